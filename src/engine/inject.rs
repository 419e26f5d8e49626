//! Trouble made on purpose: slow workers, stalls, jitter. For experiments with delays.

use super::plan::{BlockSize, Options, Plan, longest_piece};
use crate::delay::Hold;
use crate::error::{Error, Result};
use crate::law::Law;
use crate::sync::{Arc, AtomicBool, Ordering, thread};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::SeedableRng;
use std::fmt;
use std::time::{Duration, Instant};

/// How workers are held back, between computing a gradient and applying it: so the time counts as compute time, and
/// the gradient grows stale meanwhile.
///
/// Waits of more than a tenth of a millisecond sleep and leave the core to others; shorter ones spin. A worker's first
/// gradient is not lengthened, nor is its waiting for the others before an epoch.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Injection {
    /// Workers that take longer.
    pub slow: Vec<Slow>,
    /// Workers that stop for a while.
    pub stall: Vec<Stall>,
    /// All workers take longer, by this law. A second of the law is the time that the worker
    /// computes for a gradient, so the whole takes as long as under the simulator's `fixed:1+LAW`.
    pub jitter: Option<Law>,
}

/// A worker that takes `factor` times as long to compute.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Slow {
    /// The worker, from 0.
    pub worker: usize,
    /// At least 1.
    pub factor: f64,
}

/// A worker that stops once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stall {
    /// The worker, from 0.
    pub worker: usize,
    /// When, counted from the worker's first update.
    pub at: Duration,
    /// For how long.
    pub length: Duration,
}

impl fmt::Display for Slow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.worker, self.factor)
    }
}

impl fmt::Display for Stall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}s:{}s", self.worker, self.at.as_secs_f64(), self.length.as_secs_f64())
    }
}

impl Injection {
    /// Checks it for a number of workers.
    ///
    /// # Errors
    /// [`Error::Usage`] with a line for each entry that is out of range.
    pub fn check(&self, workers: usize) -> Result<()> {
        let mut wrong = Vec::new();
        let mut require = |holds: bool, line: String| {
            if !holds {
                wrong.push(line);
            }
        };
        for slow in &self.slow {
            require(slow.worker < workers, unknown("slow", slow.worker, workers));
            require(
                slow.factor >= 1.0 && slow.factor.is_finite(),
                format!("slow: found a factor of {}, expected at least 1", slow.factor),
            );
        }
        for stall in &self.stall {
            require(stall.worker < workers, unknown("stall", stall.worker, workers));
        }
        if let Some(law) = &self.jitter {
            require(
                !law.depends_on_sample(),
                format!(
                    "jitter: found '{law}', expected a law without sample: the longer row takes longer anyway"
                ),
            );
            if let Err(Error::Usage(lines)) = law.pace(workers) {
                wrong.extend(lines.into_iter().map(|line| format!("jitter: {line}")));
            }
        }
        if wrong.is_empty() { Ok(()) } else { Err(Error::Usage(wrong)) }
    }

    /// The options for a run with it: blocks of automatic size are direct, as the others would wait for the slow
    /// worker's last block at the end of each epoch, and the delays would be those of idle workers.
    pub(super) fn adapt(&self, options: &Options) -> Options {
        let mut options = options.clone();
        if options.block == BlockSize::Auto && *self != Injection::default() {
            options.block = BlockSize::Rows(1);
        }
        options
    }

    /// Shortens the direct chunks of slow workers: at the end of a run they finish theirs without waiting, and at the
    /// next evaluation the others wait for them. Less so where many of the `examples` come before it, since the order
    /// of all chunks up to then is kept.
    pub(super) fn shorten(&self, plan: &mut Plan, examples: usize) {
        if plan.block == 1 && !(self.slow.is_empty() && self.jitter.is_none()) {
            let least = examples.saturating_mul(plan.evaluate_every) / MOST_CHUNKS;
            plan.chunk = plan.chunk.min(CHUNK.max(least).next_multiple_of(plan.batch));
            plan.piece = longest_piece(plan.chunk, plan.piece);
        }
    }

    /// What holds worker `worker` back, if anything does; `halt` ends all waiting.
    ///
    /// # Errors
    /// As [`Injection::check`].
    pub(super) fn hold(&self, worker: usize, plan: &Plan, halt: Arc<AtomicBool>) -> Result<Option<Hold>> {
        let factors = self.slow.iter().filter(|slow| slow.worker == worker).map(|slow| slow.factor);
        let factor: f64 = factors.product();
        let mut stalls: Vec<Stall> = self.stall.iter().filter(|s| s.worker == worker).copied().collect();
        // The earliest last, to be popped.
        stalls.sort_by_key(|stall| std::cmp::Reverse(stall.at));
        if factor == 1.0 && stalls.is_empty() && self.jitter.is_none() {
            return Ok(None);
        }
        let mut pace = self.jitter.as_ref().map(|law| law.pace(plan.workers)).transpose()?;
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(plan.seed ^ (worker as u64 + 1) << 32);
        let (mut began, mut usual, mut gradients) = (None, None, 0.0);
        Ok(Some(Box::new(move |computing: Duration| {
            let now = Instant::now();
            let since = now - *began.get_or_insert(now);
            let computing = computing.as_secs_f64();
            // The first gradient is not lengthened: its data are in no cache yet, and nothing tells whether it was
            // interrupted.
            let computing = match &mut usual {
                None => {
                    usual = Some(computing);
                    0.0
                }
                Some(usual) => {
                    *usual = usual.min(computing * LONGEST);
                    let computing = computing.min(*usual * LONGEST);
                    *usual += (computing - *usual) * USUAL;
                    computing
                }
            };
            let jitter = pace.as_mut().map_or(0.0, |pace| pace.seconds(worker, gradients, 1.0, &mut rng));
            gradients += 1.0 + jitter;
            let mut wait = computing * (factor * (1.0 + jitter) - 1.0);
            if let Some(stall) = stalls.pop_if(|stall| stall.at <= since) {
                wait += stall.length.as_secs_f64();
            }
            hold_until(now + Duration::from_secs_f64(wait.min(FOREVER)), &halt);
        })))
    }
}

/// Examples that a worker takes at a time where gradients take longer.
const CHUNK: usize = 4;

/// Chunks up to an evaluation: 64 MB.
const MOST_CHUNKS: usize = 1 << 23;

/// A gradient that has taken this many times as long as usual was interrupted: a slower processor would take longer
/// to compute, but it would not be interrupted for longer. If one takes so much less, those before were interrupted.
const LONGEST: f64 = 8.0;

/// The last gradient's part in what is usual.
const USUAL: f64 = 1.0 / 64.0;

/// Seconds that no run lasts, and that clocks can add.
const FOREVER: f64 = 1e9;

fn unknown(option: &str, worker: usize, workers: usize) -> String {
    format!("{option}: found worker {worker}, expected one of 0 to {}", workers - 1)
}

/// Sleeping takes this much longer than asked, or a little more.
const SLACK: Duration = Duration::from_micros(100);

/// How long a sleeper may overlook a halt.
const SLICE: Duration = Duration::from_millis(20);

fn hold_until(end: Instant, halt: &AtomicBool) {
    loop {
        let left = end.saturating_duration_since(Instant::now());
        // Relaxed: a stop may be seen late.
        if left.is_zero() || halt.load(Ordering::Relaxed) {
            return;
        }
        if left > SLACK { thread::sleep((left - SLACK).min(SLICE)) } else { std::hint::spin_loop() }
    }
}

//! Where an update's time goes: measured by the clock in a sample of the iterations.
//!
//! What is measured, from a worker's read of the iteration counter to the end of its write:
//!
//! - **compute time**: ns from the read of the counter to the taking of the iteration number;
//! - **write time**: ns from there to the end of the write;
//! - **staleness**: ns from the read of the counter to the end of the write, the two together;
//! - **ticket-to-ticket delay**: how many updates began to be written between the read of the counter and the
//!   taking of the own number. It leaves out the updates that were being written during the read, which the
//!   delay τ of [`Clock`](crate::clock::Clock) counts;
//! - **writers met**: those, τ less the ticket-to-ticket delay. Their mean is (n − 1)·w/c for n workers that
//!   write for w of every c seconds, so it measures the time spent writing;
//! - **weights by cost**: the delays and weights of the updates that were quick to compute, and of the slow ones.
//!   Where compute time depends on the example, a rule that looks at delays weighs examples by their cost, and
//!   what is learnt is biased ([`Timing::cost_bias`]).
//!
//! Reading the time costs tens of nanoseconds and the second counter a cache miss, as much as a small update
//! takes. So only every k-th iteration is sampled, at random distances of mean k (a fixed distance could keep
//! step with the chunks of work). k is a power of two, the same for all workers: the smallest with which the
//! samples take at most 1 % of the time of the worker with the shortest updates.

use std::time::{Duration, Instant};

use super::{Profile, Reader, Recorder};
use crate::sync::{Arc, AtomicU64, Ordering};

/// The samples' share of the time that k aims at. Half of what is promised: [`sample_cost`] is measured on
/// warm caches.
const SHARE: f64 = 0.005;

/// A class of updates with fewer samples, or a smaller share of them, says nothing of the weights.
const LEAST_SAMPLES: u64 = 1000;
const LEAST_SHARE: f64 = 0.05;

/// Iterations from which a worker learns how long its updates take, again and again, since the first ones find their
/// data in no cache; the first so many are not recorded.
const TRIAL: usize = 33;

/// The largest k.
const LARGEST_EVERY: u64 = 1 << 20;

/// What was sampled, as plain data.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Timing {
    /// One iteration in this many was sampled: k, 0 where nothing was.
    pub every: u64,
    /// What a sample costs its worker, in ns, as measured before the run.
    pub sample_cost: f64,
    /// Ticket-to-ticket delays, in iterations.
    pub ticket_delay: Profile,
    /// Updates that were being written when the parameters were read.
    pub writers: Profile,
    /// Wall-clock staleness, in ns.
    pub staleness: Profile,
    /// Compute time, in ns.
    pub compute: Profile,
    /// Write time, in ns.
    pub write: Profile,
    /// Delays and weights of the updates that were quick to compute, by the measure of their worker; those of
    /// workers that are held back on purpose are left out.
    pub quick: Profile,
    /// Of those that were slow to compute.
    pub slow: Profile,
}

impl Timing {
    /// The number of samples.
    pub fn samples(&self) -> u64 {
        self.staleness.count()
    }

    /// The share of the workers' time that sampling has taken, by the cost measured before the run; 0 without
    /// samples.
    pub fn cost(&self) -> f64 {
        let between = self.every as f64 * self.staleness.mean();
        if between > 0.0 { self.sample_cost / between } else { 0.0 }
    }

    /// By what share the mean weight of the updates that were slow to compute differs from that of all: negative
    /// where the rule weighs them less. `None` where too few were slow, or quick, to tell.
    pub fn cost_bias(&self) -> Option<f64> {
        let mut all = self.quick.clone();
        all.merge(&self.slow);
        let least = (LEAST_SHARE * all.count() as f64).max(LEAST_SAMPLES as f64);
        let tells = self.quick.count().min(self.slow.count()) as f64 >= least;
        tells.then(|| self.slow.kept_mass() / all.kept_mass() - 1.0)
    }

    /// Adds the other's samples.
    pub fn merge(&mut self, other: &Timing) {
        self.every = self.every.max(other.every);
        self.sample_cost = self.sample_cost.max(other.sample_cost);
        self.ticket_delay.merge(&other.ticket_delay);
        self.writers.merge(&other.writers);
        self.staleness.merge(&other.staleness);
        self.compute.merge(&other.compute);
        self.write.merge(&other.write);
        self.quick.merge(&other.quick);
        self.slow.merge(&other.slow);
    }
}

/// The start of an iteration that is measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Start {
    pub(crate) at: Instant,
    /// Updates begun when the worker read.
    pub(crate) begun: u64,
    pub(crate) sampled: bool,
}

/// A worker's side: decides which iterations are sampled, and records them.
#[derive(Debug)]
pub(crate) struct Sampler {
    ticket_delay: Recorder,
    writers: Recorder,
    staleness: Recorder,
    compute: Recorder,
    write: Recorder,
    /// k, for all workers of a run.
    every: Arc<AtomicU64>,
    cost: f64,
    /// The next iteration (of this worker's own) to sample.
    next: u64,
    random: u64,
    trial: Vec<u64>,
    quick: Recorder,
    slow: Recorder,
    /// Compute times of the trial, and from it the time that parts quick updates from slow ones.
    costs: Vec<u64>,
    middle: u64,
}

/// Reads a [`Sampler`] from any thread.
#[derive(Debug, Clone)]
pub(crate) struct TimingReader {
    every: Arc<AtomicU64>,
    cost: f64,
    ticket_delay: Reader,
    writers: Reader,
    staleness: Reader,
    compute: Reader,
    write: Reader,
    quick: Reader,
    slow: Reader,
}

impl Sampler {
    /// A sampler for worker `number`. `every` starts at 0 and is shared by all workers of a run; `cost` is a
    /// sample's in ns.
    pub(crate) fn new(number: usize, every: Arc<AtomicU64>, cost: f64) -> Self {
        Sampler {
            ticket_delay: Recorder::new(),
            writers: Recorder::new(),
            staleness: Recorder::new(),
            compute: Recorder::new(),
            write: Recorder::new(),
            every,
            cost,
            next: 0,
            random: (number as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15),
            trial: Vec::with_capacity(TRIAL),
            quick: Recorder::new(),
            slow: Recorder::new(),
            costs: Vec::with_capacity(TRIAL),
            middle: 0,
        }
    }

    pub(crate) fn reader(&self) -> TimingReader {
        TimingReader {
            every: Arc::clone(&self.every),
            cost: self.cost,
            ticket_delay: self.ticket_delay.reader(),
            writers: self.writers.reader(),
            staleness: self.staleness.reader(),
            compute: self.compute.reader(),
            write: self.write.reader(),
            quick: self.quick.reader(),
            slow: self.slow.reader(),
        }
    }

    /// Whether the worker's iteration `count` is to be sampled.
    #[inline]
    pub(crate) fn wants(&self, count: u64) -> bool {
        count >= self.next
    }

    /// Records a sampled iteration, the worker's own number `count`, whose delay was `delay`, whose number
    /// was taken at `computed`, and whose write has just ended; `weight` is the rule's, without if the worker is
    /// held back on purpose.
    #[cold]
    pub(crate) fn record(
        &mut self,
        count: u64,
        start: Start,
        computed: Instant,
        iteration: u64,
        delay: u64,
        weight: Option<f64>,
    ) {
        let end = Instant::now();
        let (staleness, compute) = (nanoseconds(end - start.at), nanoseconds(computed - start.at));
        self.trial.push(staleness);
        if self.trial.len() == TRIAL {
            self.trial.sort_unstable();
            let every = every(self.cost, self.trial[TRIAL / 2]);
            self.trial.clear();
            // Relaxed: only the number is shared.
            self.every.fetch_max(every, Ordering::Relaxed);
        }
        if self.costs.len() < TRIAL {
            self.costs.push(compute);
            if self.costs.len() == TRIAL {
                self.costs.sort_unstable();
                // Between a low and a high one, so that two kinds of examples are parted.
                let product = self.costs[TRIAL / 10] as f64 * self.costs[TRIAL - 1 - TRIAL / 10] as f64;
                self.middle = product.sqrt() as u64;
            }
            return;
        }
        let ticket_delay = iteration - start.begun;
        self.ticket_delay.record(ticket_delay, 1.0);
        self.writers.record(delay.saturating_sub(ticket_delay), 1.0);
        self.staleness.record(staleness, 1.0);
        self.compute.record(compute, 1.0);
        self.write.record(nanoseconds(end - computed), 1.0);
        if let Some(weight) = weight {
            let class = if compute > self.middle { &mut self.slow } else { &mut self.quick };
            class.record(delay, weight);
        }
        // xorshift64: the distance to the next is uniform on 1 … 2k − 1, k on average.
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        let every = self.every.load(Ordering::Relaxed).max(1);
        self.next = count + 1 + self.random % (2 * every - 1);
    }
}

fn nanoseconds(time: Duration) -> u64 {
    time.as_nanos().try_into().unwrap_or(u64::MAX)
}

/// The smallest power of two k such that samples of `cost` ns at every k-th update of `update` ns keep to
/// their share.
fn every(cost: f64, update: u64) -> u64 {
    let least = cost / (SHARE * update.max(1) as f64);
    (least.min(LARGEST_EVERY as f64).ceil() as u64).max(1).next_power_of_two()
}

/// What a sample costs, in ns: three readings of the time and six records. Takes some 20 µs.
pub(crate) fn sample_cost() -> f64 {
    const ROUNDS: u32 = 100;
    let mut recorder = Recorder::new();
    let mut round = || {
        let (start, computed, end) = (Instant::now(), Instant::now(), Instant::now());
        for _ in 0..6 {
            recorder.record(nanoseconds((end - start) + (end - computed)), 1.0);
        }
    };
    // The best of some: an interruption is not the sample's cost.
    let rounds = (0..5).map(|_| {
        let start = Instant::now();
        (0..ROUNDS).for_each(|_| round());
        start.elapsed().as_nanos() as f64 / f64::from(ROUNDS)
    });
    rounds.fold(f64::INFINITY, f64::min)
}

impl TimingReader {
    /// What was sampled so far, while the worker goes on.
    pub(crate) fn snapshot(&self) -> Timing {
        Timing {
            every: self.every.load(Ordering::Relaxed),
            sample_cost: self.cost,
            ticket_delay: self.ticket_delay.snapshot(),
            writers: self.writers.snapshot(),
            staleness: self.staleness.snapshot(),
            compute: self.compute.snapshot(),
            write: self.write.snapshot(),
            quick: self.quick.snapshot(),
            slow: self.slow.snapshot(),
        }
    }

    /// The staleness alone, in ns.
    pub(crate) fn staleness(&self) -> Profile {
        self.staleness.snapshot()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn samples_are_as_rare_as_their_cost_demands() {
        assert_eq!(every(200.0, 1_000_000), 1);
        // 200 ns of 0.5 % are 40 µs: 400 updates of 100 ns.
        assert_eq!(every(200.0, 100), 512);
        assert_eq!(every(200.0, 0), 65_536);
        assert_eq!(every(1e12, 1), LARGEST_EVERY);
    }

    #[test]
    fn slow_updates_of_less_weight_show() {
        let mut timing = Timing::default();
        assert_eq!(timing.cost_bias(), None);
        let (mut quick, mut slow) = (Recorder::new(), Recorder::new());
        (0..3000).for_each(|_| quick.record(1, 1.0));
        (0..LEAST_SAMPLES).for_each(|_| slow.record(9, 0.2));
        (timing.quick, timing.slow) = (quick.reader().snapshot(), slow.reader().snapshot());
        // The mean weight is (3000 + 200)/4000.
        assert!((timing.cost_bias().unwrap() + 0.75).abs() < 1e-12);
        (0..17_000).for_each(|_| quick.record(1, 1.0));
        timing.quick = quick.reader().snapshot();
        assert_eq!(timing.cost_bias(), None, "too few are slow");
    }

    #[test]
    fn every_kth_iteration_is_sampled_on_average() {
        let shared = Arc::new(AtomicU64::new(0));
        let mut sampler = Sampler::new(3, Arc::clone(&shared), 100.0);
        let start = Start { at: Instant::now(), begun: 5, sampled: true };
        for i in 0..200_000 {
            if sampler.wants(i) {
                shared.store(64, Ordering::Relaxed);
                sampler.record(i, start, start.at, 12, 9, Some(1.0));
            }
        }
        let timing = sampler.reader().snapshot();
        let expected = (200_000 - TRIAL as u64) / 64;
        assert!(timing.samples().abs_diff(expected) < expected / 10, "{} of {expected}", timing.samples());
        // Seven began since the read; of nine, two were being written.
        assert_eq!((timing.ticket_delay.max(), timing.ticket_delay.quantile(0.0)), (7, 7));
        assert_eq!((timing.writers.max(), timing.writers.mean()), (2, 2.0));
        assert_eq!(timing.every, 64);
        assert!(timing.compute.max() == 0 && timing.staleness.max() > 0);
    }
}

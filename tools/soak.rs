//! A long run whose every number is known beforehand: `soak [SECONDS]` trains with 8 workers, some of them held back,
//! while snapshots are read at 100 Hz and checkpoints are written every second; from time to time the run is stopped and
//! goes on from its checkpoint. `soak stress [SECONDS]` starts and ends many short runs instead, with up to 16 workers a
//! core, and lets workers of one's own come, go and panic.
//!
//! Gradients are whole numbers and nothing scales them, so that the parameters count the updates: whatever is lost or
//! done twice shows, at any moment. Run by tools/soak.sh and tools/stress.sh.

use asyncsgd::delay::Profile;
use asyncsgd::step::{self, Optimizer};
use asyncsgd::{
    BlockSize, Checkpoint, Every, Hogwild, Live, Objective, Pin, Result, Run, Sink, Stop, Trainer, Update,
    Weights,
    engine::{Injection, Slow, Stall},
};
use std::ops::Range;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

/// Parameters that one example touches.
const TOUCHED: usize = 16;

/// Each example adds 1 to some parameters.
struct Counting {
    parameters: usize,
    examples: usize,
}

impl Objective<f64> for Counting {
    type Gradient = Range<usize>;

    fn parameters(&self) -> usize {
        self.parameters
    }

    fn examples(&self) -> usize {
        self.examples
    }

    fn buffer(&self) -> Range<usize> {
        0..0
    }

    fn gradient<W: Weights<f64> + ?Sized>(&self, examples: Range<usize>, w: &W, out: &mut Range<usize>) {
        // Reads what it will write, as gradients do.
        let sum: f64 = (0..TOUCHED).map(|k| w.get(self.touched(examples.start, k))).sum();
        assert!(sum.fract() == 0.0, "a parameter that is no whole number");
        *out = examples;
    }

    fn descend<S: Sink<f64> + ?Sized>(&self, examples: &Range<usize>, step: f64, w: &mut S) {
        for example in examples.clone() {
            (0..TOUCHED).for_each(|k| w.add(self.touched(example, k), step));
        }
    }

    fn value(&self, w: &[f64]) -> f64 {
        1.0 / (1.0 + w.iter().sum::<f64>())
    }
}

impl Counting {
    /// The first few are touched by all, the rest by few.
    fn touched(&self, example: usize, k: usize) -> usize {
        if k < 4 { k } else { (example.wrapping_mul(0x9e37_79b9) + k * 7919) % self.parameters }
    }
}

/// Updates, from the parameters.
fn counted(parameters: &[f64]) -> f64 {
    parameters.iter().sum::<f64>() / TOUCHED as f64
}

/// A line of /proc/self/status, in its unit.
fn status(key: &str) -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = text.lines().find_map(|line| line.strip_prefix(key)).expect("a known key");
    line.trim_matches(|c: char| !c.is_ascii_digit()).parse().expect("a number")
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("Linux").count()
}

fn trainer<'a>(workers: usize, seconds: f64) -> Trainer<'a, Counting, f64> {
    Trainer::new(Counting { parameters: 100_000, examples: 10_000_000 })
        .precision::<f64>()
        .workers(workers)
        .block(BlockSize::Rows(1))
        .step(step::constant(1.0))
        .epochs(1e9)
        .time_limit(Duration::from_secs_f64(seconds))
}

/// What the watching thread saw.
#[derive(Default)]
struct Seen {
    snapshots: u64,
    slowest: Duration,
    /// Checkpoints that were another file than the one before, a second later.
    checkpoints: u64,
    /// When the last was written.
    written: Option<SystemTime>,
    /// Resident memory in kB, once a second.
    memory: Vec<u64>,
}

/// Stops a run when it is dropped.
struct StopAtEnd<'a>(&'a Live<f64>);

impl Drop for StopAtEnd<'_> {
    fn drop(&mut self) {
        self.0.stop();
    }
}

/// One leg of the soak: until it is stopped from outside after `seconds`, or by its own time limit.
fn leg(seconds: f64, limit: f64, path: &Path, resume: bool, seen: &mut Seen) -> Result<Run<f64>> {
    let slow = vec![Slow { worker: 0, factor: 20.0 }, Slow { worker: 1, factor: 3.0 }];
    let at = |share: f64| Duration::from_secs_f64(seconds * share);
    let stall = |worker, share| Stall { worker, at: at(share), length: Duration::from_millis(300) };
    let injection = Injection { slow, stall: vec![stall(2, 0.3), stall(3, 0.6)], jitter: None };
    let every = Every::Time(Duration::from_secs(1));
    let mut trainer = trainer(8, limit).inject(injection).checkpoint(path, every, "soak");
    if resume {
        trainer = trainer.resume(Checkpoint::open(path)?);
    }
    let live = trainer.live();
    std::thread::scope(|scope| {
        let training = scope.spawn(|| trainer.minimize());
        // A snapshot that is wrong ends the run too: the scope waits for it.
        let _stop = StopAtEnd(&live);
        let (start, mut copy, mut looked) = (Instant::now(), Vec::new(), 0);
        while !live.is_over() && start.elapsed().as_secs_f64() < seconds {
            let begin = Instant::now();
            if let Some(updates) = live.snapshot(&mut copy) {
                assert_eq!(counted(&copy), updates as f64, "a snapshot of another number of updates");
                seen.snapshots += 1;
                seen.slowest = seen.slowest.max(begin.elapsed());
            }
            if start.elapsed().as_secs() > looked {
                looked = start.elapsed().as_secs();
                seen.memory.push(status("VmRSS:"));
                live.delays();
                let now = std::fs::metadata(path).and_then(|about| about.modified()).ok();
                seen.checkpoints += u64::from(now > seen.written);
                seen.written = now;
            }
            std::thread::sleep(Duration::from_millis(10).saturating_sub(begin.elapsed()));
        }
        live.stop();
        training.join().expect("no panic")
    })
}

fn soak(seconds: f64) -> Result<()> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("soak.ckpt");
    let legs = if seconds < 60.0 { 3 } else { 10 };
    let mut seen = Seen::default();
    // The first run starts what stays: rayon's pool and the like.
    leg(0.3, 0.3, &folder.path().join("first"), false, &mut Seen::default())?;
    let before = (descriptors(), status("Threads:"));
    let (mut applied, mut last) = (0, None);
    for number in 0..legs {
        let run = leg(seconds / f64::from(legs), 1e9, &path, number > 0, &mut seen)?;
        assert_eq!(run.stop, Stop::Interrupt);
        let delays = run.delays();
        assert_eq!(counted(&run.weights), delays.count() as f64, "updates counted and updates applied");
        assert!(delays.count() > applied, "a leg that went back");
        assert_eq!(Checkpoint::open(&path)?.iterations(), delays.count(), "the last checkpoint is the end");
        assert!(run.plan.warnings.iter().all(|w| !w.contains("not written")), "{:?}", run.plan.warnings);
        applied = delays.count();
        last = Some(run);
    }
    assert_eq!(before, (descriptors(), status("Threads:")), "descriptors and threads are left");
    let run = last.expect("some legs");
    let delays = run.delays();
    println!("{applied} updates counted = {applied} applied, in {legs} legs of {} workers", run.plan.workers);
    let rate = seen.snapshots as f64 / seconds;
    println!("{} snapshots ({rate:.0} Hz), each exact; the slowest took {:?}", seen.snapshots, seen.slowest);
    println!("{} checkpoints", seen.checkpoints);
    // On a full machine both are late, but neither stops.
    let least = (seconds / 4.0).floor() as u64;
    assert!(seen.snapshots > 4 * least && seen.checkpoints >= least && seen.memory.len() as u64 > least);
    let (mean, exact) = (delays.mean(), run.expected_mean_delay());
    println!("mean delay {mean:.4}, exact for always-busy workers {exact:.4}; max {}", delays.max());
    let [early, late] = [seen.memory.len() / 4, seen.memory.len() - 1].map(|at| seen.memory[at]);
    println!("memory {early} kB after a quarter, {late} kB at the end; descriptors and threads {before:?}");
    assert!((mean / exact - 1.0).abs() < 0.02, "a mean delay that is not n − 1");
    assert!(late < early + early / 10 + 4096, "memory grows: {:?}", seen.memory);
    Ok(())
}

/// Workers of one's own, 16 threads a core, that come, go and sometimes panic.
fn churn(seconds: f64, seed: u64) -> Result<u64> {
    let shared = Hogwild::<f64>::new(64, step::constant(1.0))?;
    let threads = 16 * std::thread::available_parallelism().map_or(2, usize::from) as u64;
    let until = Instant::now() + Duration::from_secs_f64(seconds);
    let applied: u64 = std::thread::scope(|scope| {
        let one = |thread: u64| {
            let shared = &shared;
            move || {
                let (mut bits, mut applied) = (seed ^ thread << 32 | 1, 0);
                while Instant::now() < until {
                    bits = bits.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                    let mut worker = shared.worker();
                    for _ in 0..bits >> 56 {
                        let ticket = worker.begin();
                        worker.apply(ticket, &[-1.0; 64][..]);
                        applied += 1;
                    }
                    if bits >> 40 & 7 == 0 {
                        // Unwinds with a ticket in its hand.
                        let panic = std::panic::AssertUnwindSafe(|| {
                            let _ticket = worker.begin();
                            std::panic::resume_unwind(Box::new("on purpose"));
                        });
                        assert!(std::panic::catch_unwind(panic).is_err());
                    }
                }
                applied
            }
        };
        let handles: Vec<_> = (0..threads).map(|thread| scope.spawn(one(thread))).collect();
        handles.into_iter().map(|handle| handle.join().expect("no other panic")).sum()
    });
    assert_eq!((shared.iterations(), shared.workers()), (applied, 0));
    assert!(shared.params().snapshot().iter().all(|&w| w == applied as f64), "additions lost");
    Ok(applied)
}

fn stress(seconds: f64) -> Result<()> {
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    let start = Instant::now();
    let (mut runs, mut updates, mut delays) = (0u64, 0, Profile::default());
    churn(0.1, 0)?;
    let before = (descriptors(), status("Threads:"));
    while start.elapsed().as_secs_f64() < seconds {
        let workers = [1, 2, cores, 4 * cores, 16 * cores][(runs % 5) as usize];
        let pin = [Pin::Auto, Pin::None, Pin::List(vec![0])][(runs / 5 % 3) as usize].clone();
        let update = [Update::Cas, Update::Locked][(runs / 15 % 2) as usize];
        let run = Trainer::new(Counting { parameters: 1000, examples: 20_000 })
            .precision::<f64>()
            .workers(workers)
            .pin(pin)
            .update(update)
            .optimizer(Optimizer::Sgd)
            .block(BlockSize::Rows(1))
            .step(step::constant(1.0))
            .epochs(2)
            .seed(runs)
            .minimize()?;
        assert_eq!((counted(&run.weights), run.delays().count()), (40_000.0, 40_000), "run {runs}");
        delays.merge(&run.delays());
        updates += churn(0.02, runs)? + 40_000;
        runs += 1;
    }
    assert_eq!(before, (descriptors(), status("Threads:")), "descriptors and threads are left");
    println!(
        "{runs} runs of 1 to {} workers and as many rounds of churn: {updates} updates, none lost",
        16 * cores
    );
    println!("largest delay {}", delays.max());
    Ok(())
}

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1).peekable();
    let stressed = arguments.next_if(|word| word == "stress").is_some();
    let seconds = arguments.next().map_or(20.0, |text| text.parse().expect("a number of seconds"));
    if stressed { stress(seconds) } else { soak(seconds) }
}

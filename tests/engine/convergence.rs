//! The optimum is reached in every mode, and the delays are what theory says.

use super::problem::{classes, optimum};
use asyncsgd::step::{self, Schedule};
use asyncsgd::{BlockSize, Logistic, Objective, Sink, Stop, Trainer, Update, Weights};
use std::ops::Range;

#[test]
fn every_mode_reaches_the_optimum() {
    let (data, l2) = (classes(1200, 24, 2), 0.02);
    let best = optimum(&data, l2);
    for update in Update::ALL {
        for workers in [1, 2, 8] {
            for block in [BlockSize::Rows(1), BlockSize::Auto, BlockSize::Rows(64)] {
                let rule = step::delay_adaptive(0.5).schedule(Schedule::InverseTime { decay: 0.5 });
                let trainer = Trainer::new(Logistic::l2(l2)).workers(workers).update(update).block(block);
                let run = trainer.step(rule).epochs(40.0).run(&data).unwrap();
                let gap = (run.last().objective - best) / best;
                println!("{update}, {workers} workers, block {block}: gap {gap:.1e}");
                assert!(
                    (-1e-6..1e-2).contains(&gap),
                    "{update}, {workers} workers, block {block}: gap {gap:.1e}, optimum {best}"
                );
                assert_eq!(run.stop, Stop::Epochs);
                assert_eq!(run.delays().count(), run.workers.iter().map(|w| w.delays.count()).sum::<u64>());
            }
        }
    }
}

/// Examples whose gradients take a while, some microseconds, and do nothing; the last of them some milliseconds.
struct Busy {
    examples: usize,
    long: usize,
}

impl Objective for Busy {
    type Gradient = f32;
    fn parameters(&self) -> usize {
        1
    }
    fn examples(&self) -> usize {
        self.examples
    }
    fn buffer(&self) -> f32 {
        0.0
    }
    fn gradient<W: Weights<f32> + ?Sized>(&self, examples: Range<usize>, w: &W, gradient: &mut f32) {
        let add = |sum: f32, i: usize| std::hint::black_box(sum + i as f32);
        *gradient = w.get(0) + (0..2000).fold(examples.start as f32, add);
        if examples.end > self.examples - self.long {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }
    fn descend<S: Sink<f32> + ?Sized>(&self, _: &f32, step: f32, w: &mut S) {
        w.add(0, step);
    }
    fn value(&self, _: &[f32]) -> f64 {
        1.0
    }
}

/// With n always-busy workers the mean delay is n − 1, less the exact share of the run's two ends: whatever
/// the workers' speeds, so it must hold on a loaded machine and with more workers than cores. What a worker does
/// between two updates is time in which it is not busy, and so is waiting for the others at the end: so updates
/// are long here against the loop round them, and the run long against the time slices of the system.
#[test]
fn the_mean_delay_is_the_number_of_other_workers() {
    for workers in [1, 2, 4, 8] {
        let busy = Busy { examples: 40_000 * workers, long: 0 };
        let run = Trainer::new(busy).workers(workers).block(BlockSize::Rows(1)).epochs(1).minimize().unwrap();
        let (delays, expected) = (run.delays(), run.expected_mean_delay());
        let said = format!("{workers} workers: mean delay {:.4}, expected {expected:.4}", delays.mean());
        println!("{said}");
        assert_eq!(delays.sum(), run.expected_delays, "{said}");
        let others = (workers - 1) as f64;
        assert!((expected - others).abs() <= 0.02 * others, "{said}");
        assert_eq!(delays.count() as usize, 40_000 * workers, "{said}");
        assert!(delays.kept_mass() > 0.5 && delays.kept_mass() <= 1.0, "{said}");
    }
}

/// Who is late with the last examples makes them alone. The others miss its updates, and that is told exactly.
#[test]
fn the_expected_mean_delay_is_exact_however_workers_end() {
    for block in [1, 4] {
        let missed = || {
            let busy = Busy { examples: 2048, long: 8 };
            let run =
                Trainer::new(busy).workers(2).block(BlockSize::Rows(block)).epochs(1).minimize().unwrap();
            let updates = run.delays().count();
            assert_eq!((updates, run.delays().sum()), (2048 / block as u64, run.expected_delays));
            updates - run.expected_delays
        };
        // All chunks are taken when the first worker stops: then the other makes the rest of its own, at most 8 updates,
        // or of a block the one; fewer if the first was interrupted for as long.
        let least = if block == 1 { 6 } else { 1 };
        assert!((0..20).any(|_| missed() >= least), "twenty runs in which the workers ended together");
    }
    // Of several phases.
    let run = Trainer::new(Logistic::l2(0.02)).workers(4).block(BlockSize::Rows(16)).epochs(20);
    let run = run.run(&classes(1200, 24, 2)).unwrap();
    assert_eq!(run.delays().sum(), run.expected_delays);
    assert!(run.expected_mean_delay() < 3.0 - 20.0 * 6.0 / run.delays().count() as f64 + 1e-9);
}

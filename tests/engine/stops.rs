//! Why a run ends, and what it leaves behind.

use super::problem::{Points, classes, within_a_minute};
use asyncsgd::{BlockSize, Error, Logistic, Objective, Sink, Stop, Trainer, Weights, engine::Event, step};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

#[test]
fn a_target_ends_the_run_at_the_first_epoch_that_reaches_it() {
    let data = classes(1000, 20, 4);
    let run = Trainer::new(Logistic::l2(0.01)).workers(2).epochs(500.0).target_objective(0.62);
    let run = run.run(&data).unwrap();
    assert_eq!(run.stop, Stop::Target);
    let (last, before) = run.series.split_last().unwrap();
    assert!(last.objective <= 0.62 && before.iter().all(|point| point.objective > 0.62));
    assert_eq!(last.examples, 1000 * (run.series.len() as u64 - 1));

    let at_once = Trainer::new(Logistic::l2(0.01)).target_objective(0.7).run(&data).unwrap();
    assert_eq!((at_once.stop, at_once.series.len(), at_once.delays().count()), (Stop::Target, 1, 0));
}

#[test]
fn a_time_limit_cuts_an_epoch_short() {
    within_a_minute(|| {
        let data = classes(50_000, 40, 4);
        let start = Instant::now();
        let run = Trainer::new(Logistic::l2(0.01)).workers(3).epochs(1e6);
        let run = run.time_limit(Duration::from_millis(300)).run(&data).unwrap();
        assert_eq!(run.stop, Stop::TimeLimit);
        assert!(run.last().train_seconds >= 0.3, "{}", run.last().train_seconds);
        assert!(run.last().epoch > 0.0 && run.weights.iter().all(|w| w.is_finite()));
        assert!(start.elapsed() < Duration::from_secs(30));
    });
}

#[test]
fn an_interrupt_keeps_what_was_learnt() {
    within_a_minute(|| {
        let data = classes(20_000, 40, 4);
        let flag = Arc::new(AtomicBool::new(false));
        let from_outside = flag.clone();
        let trainer = Trainer::new(Logistic::l2(0.01)).workers(2).epochs(1e6).interrupt(flag);
        let live = trainer.live();
        let thread = std::thread::spawn(move || {
            while live.epoch() < 1.5 {
                std::thread::sleep(Duration::from_millis(1));
            }
            from_outside.store(true, Ordering::Relaxed);
        });
        let run = trainer.run(&data).unwrap();
        thread.join().unwrap();
        assert_eq!(run.stop, Stop::Interrupt);
        assert!(run.last().objective < run.series[0].objective);

        // A flag that is up before the start: the run ends after its first evaluation.
        let flag = Arc::new(AtomicBool::new(true));
        let run = Trainer::new(Logistic::l2(0.01)).epochs(1e6).interrupt(flag).run(&data).unwrap();
        assert_eq!((run.stop, run.last().examples), (Stop::Interrupt, 0));
    });
}

#[test]
fn divergence_is_a_stop_and_not_hidden() {
    for workers in [1, 2] {
        let run = within_a_minute(move || {
            let trainer = Trainer::new(Points::new(500)).workers(workers).step(step::constant(1e6));
            trainer.epochs(100.0).minimize().unwrap()
        });
        assert_eq!(run.stop, Stop::Diverged);
        assert!(run.series.len() < 100);
        let last = run.last().objective;
        assert!(!last.is_finite() || !run.weights.iter().all(|w: &f32| w.is_finite()));
    }
}

/// Panics at the `at`-th call of one of its parts.
struct Fragile {
    calls: AtomicUsize,
    at: usize,
    part: &'static str,
}

impl Fragile {
    fn call(&self, part: &str) {
        if part == self.part {
            assert!(self.calls.fetch_add(1, Ordering::Relaxed) != self.at, "the {part} broke");
        }
    }
}

impl Objective for Fragile {
    type Gradient = ();
    fn parameters(&self) -> usize {
        2
    }
    fn examples(&self) -> usize {
        400
    }
    fn buffer(&self) {}
    fn gradient<W: Weights<f32> + ?Sized>(&self, _: Range<usize>, _: &W, _: &mut ()) {
        self.call("gradient");
    }
    fn descend<S: Sink<f32> + ?Sized>(&self, _: &(), step: f32, w: &mut S) {
        self.call("descent");
        w.add(0, step);
    }
    fn value(&self, _: &[f32]) -> f64 {
        self.call("value");
        1.0
    }
}

#[test]
fn a_panicking_objective_ends_the_run_with_its_message() {
    for (part, at) in [("gradient", 0), ("gradient", 1111), ("descent", 1111)] {
        for workers in [1, 2, 8] {
            for block in [1, 16] {
                let error = within_a_minute(move || {
                    let objective = Fragile { calls: AtomicUsize::new(0), at, part };
                    let trainer = Trainer::new(objective).workers(workers).block(BlockSize::Rows(block));
                    trainer.epochs(10.0).minimize().unwrap_err()
                });
                assert!(
                    matches!(&error, Error::Panic { message, worker }
                        if message.contains(&format!("the {part} broke")) && *worker < workers),
                    "{part} {workers} {block}: {error}"
                );
                assert_eq!(error.exit_code(), 1);
            }
        }
    }
}

/// The evaluation and the observer run on the caller's thread, so their panics are the caller's; the
/// workers must not be left waiting.
#[test]
fn a_panic_on_the_calling_thread_leaves_no_worker_behind() {
    within_a_minute(|| {
        let objective = Fragile { calls: AtomicUsize::new(0), at: 2, part: "value" };
        let run = move || Trainer::new(objective).workers(2).epochs(10.0).minimize().map(drop);
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).is_err());
        let run = || {
            let watch = |event: Event<'_>| assert!(!matches!(event, Event::Epoch(p) if p.epoch > 2.5));
            Trainer::new(Points::new(100)).workers(2).observe(watch).minimize().map(drop)
        };
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).is_err());
    });
}

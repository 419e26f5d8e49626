//! What other threads see of a run and do to it.

use super::problem::{Points, classes, within_a_minute};
use asyncsgd::{
    BlockSize, Error, Live, Logistic, Objective, Params, Sink, Stop, Trainer, Weights, model::Curvature, step,
};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

/// Every update adds the step to each of the parameters.
struct Count;

const WIDTH: usize = 1000;

impl Objective for Count {
    type Gradient = ();
    fn parameters(&self) -> usize {
        WIDTH
    }
    fn examples(&self) -> usize {
        2000
    }
    fn buffer(&self) {}
    fn gradient<W: Weights<f32> + ?Sized>(&self, _: Range<usize>, _: &W, (): &mut ()) {}
    fn descend<S: Sink<f32> + ?Sized>(&self, (): &(), step: f32, w: &mut S) {
        (0..WIDTH).for_each(|i| w.add(i, step));
    }
    fn value(&self, _: &[f32]) -> f64 {
        1.0
    }
    fn curvature(&self) -> Option<Curvature> {
        Some(Curvature { example_max: 1.0, example_mean: 1.0, strong_convexity: 0.0 })
    }
    /// Blocks are published whole.
    fn bounds(&self) -> Vec<f32> {
        vec![0.0; WIDTH]
    }
}

/// The handle crosses threads; so do workers and what is shared, but a worker is one thread's at a time.
#[test]
fn handles_cross_threads() {
    fn shared<T: Send + Sync + Clone + 'static>() {}
    fn sent<T: Send>() {}
    // As thread pools and the blocking pools of async runtimes ask for.
    fn owned<T: Send + 'static>() {}
    shared::<Live>();
    shared::<asyncsgd::Hogwild>();
    owned::<asyncsgd::Worker>();
    sent::<Trainer<'_, Count>>();
}

#[test]
fn a_snapshot_holds_whole_updates() {
    for (block, update) in [(1, "cas"), (50, "cas"), (1, "leashed")] {
        let seen = within_a_minute(move || {
            let trainer = Trainer::new(Count).workers(3).block(BlockSize::Rows(block)).epochs(20.0);
            let trainer = trainer.step(step::constant(1.0)).update(update.parse().unwrap());
            let live = trainer.live();
            let training = std::thread::spawn(move || trainer.minimize().unwrap());
            let (mut copy, mut seen, mut last, mut epoch) = (Vec::new(), 0, 0, 0.0);
            while !live.is_over() {
                assert!(live.epoch() >= epoch, "{} after {epoch}", live.epoch());
                epoch = live.epoch();
                let Some(updates) = live.snapshot(&mut copy) else { continue };
                // Every example adds 1, and a block publishes the sum of its own.
                let expected = if block == 1 { updates as f32 } else { copy[0] };
                assert!(copy.iter().all(|&w| w == expected), "{updates} updates, {copy:?}");
                assert!(updates >= last && live.iterations() >= updates);
                seen += u64::from(last != updates && copy[0] < 40_000.0);
                last = updates;
            }
            let run = training.join().unwrap();
            assert_eq!(live.snapshot(&mut copy), Some(live.iterations()));
            assert_eq!(copy, run.weights);
            assert_eq!(live.delays().iter().map(|d| d.count()).sum::<u64>(), run.delays().count());
            assert!((live.epoch() - 20.0).abs() < 1e-9, "{}", live.epoch());
            seen
        });
        assert!(seen > 2, "{seen} snapshots of a run under way");
    }
}

/// The observer is told of the plan before there are workers that could be held.
#[test]
fn a_snapshot_at_any_event_returns() {
    for update in ["cas", "leashed"] {
        let seen = within_a_minute(move || {
            let trainer = Trainer::new(Count).workers(3).epochs(3.0).update(update.parse().unwrap());
            let (live, mut seen) = (trainer.live(), Vec::new());
            let observed = trainer.observe(|_| seen.push(live.snapshot(&mut Vec::new()).is_some()));
            observed.minimize().unwrap();
            seen
        });
        assert!(!seen[0] && seen.len() > 3 && seen[1..].iter().all(|&seen| seen), "{seen:?}");
    }
}

#[test]
fn a_handle_stops_the_run_and_changes_its_rate() {
    within_a_minute(|| {
        let data = classes(5000, 30, 4);
        let trainer = Trainer::new(Logistic::l2(0.01)).workers(2).epochs(1e9).step(step::constant(0.1));
        let live = trainer.live();
        assert!(live.params().is_none() && live.snapshot(&mut Vec::new()).is_none());
        assert_eq!((live.iterations(), live.delays().len(), live.epoch()), (0, 0, 0.0));
        let frozen = AtomicBool::new(false);
        let run = std::thread::scope(|scope| {
            let training = scope.spawn(|| trainer.run(&data).unwrap());
            while live.epoch() < 2.0 {
                std::thread::yield_now();
            }
            live.scale_rate(0.0);
            // Each worker may be in a chunk that it began before.
            let (mut before, mut after) = (Vec::new(), Vec::new());
            live.snapshot(&mut before);
            let since = live.snapshot(&mut before).unwrap();
            while live.iterations() < since + 10_000 {
                std::thread::yield_now();
            }
            live.snapshot(&mut after);
            frozen.store(before == after && before.iter().any(|&w| w != 0.0), Ordering::Relaxed);
            live.stop();
            training.join().unwrap()
        });
        assert!(frozen.into_inner(), "parameters moved at a rate of 0");
        assert!(live.is_over());
        assert_eq!((run.stop, live.params().map(Params::snapshot)), (Stop::Interrupt, Some(run.weights)));
        assert!(
            run.plan.warnings.iter().any(|w| w.contains("no command repeats it")),
            "{:?}",
            run.plan.warnings
        );
    });
}

/// It steers the run and knows its end; parameters of its type there are none.
#[test]
fn a_handle_from_before_the_precision_is_of_the_same_run() {
    within_a_minute(|| {
        let trainer = Trainer::new(Logistic::l2(0.01)).epochs(1e9);
        let old = trainer.live();
        let trainer = trainer.precision::<f64>();
        let (new, data) = (trainer.live(), classes(500, 5, 4));
        let run = std::thread::scope(|scope| {
            let training = scope.spawn(|| trainer.run(&data).unwrap());
            while new.iterations() == 0 {
                std::thread::yield_now();
            }
            old.stop();
            while !old.is_over() {
                std::thread::yield_now();
            }
            training.join().unwrap()
        });
        assert_eq!(run.stop, Stop::Interrupt);
        assert!(old.params().is_none() && old.snapshot(&mut Vec::new()).is_none());
        assert!(new.is_over() && new.params().is_some());
    });
}

#[test]
fn a_run_that_fails_is_over() {
    let trainer = Trainer::new(Points::new(100)).workers(0);
    let live = trainer.live();
    assert!(!live.is_over());
    assert!(matches!(trainer.minimize(), Err(Error::Usage(_))));
    assert!(live.is_over() && live.params().is_none());
}

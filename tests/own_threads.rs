//! The engine's core on threads of the user's: a pool, std's, workers that come and go, and one that panics.
#![cfg(not(loom))]

use asyncsgd::{Hogwild, Params, Update, Weights, step};
use rayon::prelude::*;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Every update adds 1 to each parameter: what is lost shows, and integers are exact.
fn counting(threads: usize, update: Update) -> Hogwild<f64> {
    Hogwild::with(Params::zeros(3), step::constant(1.0), threads, update, 1.0).unwrap()
}

/// `updates` updates by a worker that comes for them; its recorded delays.
fn visit(shared: &Hogwild<f64>, updates: u64) -> u64 {
    let mut worker = shared.worker();
    assert!(shared.workers() >= 1);
    for _ in 0..updates {
        let ticket = worker.begin();
        let applied = worker.apply(ticket, &[-1.0, -1.0, -1.0][..]);
        assert!(applied.delay <= applied.iteration);
    }
    worker.delays().snapshot().count()
}

#[test]
fn a_pool_loses_nothing_while_workers_come_and_go() {
    for update in [Update::Cas, Update::Locked] {
        let shared = counting(4, update);
        let pool = rayon::ThreadPoolBuilder::new().num_threads(4).build().unwrap();
        let recorded: u64 =
            pool.install(|| (0..200u64).into_par_iter().map(|i| visit(&shared, i % 50)).sum());
        let expected: u64 = (0..200u64).map(|i| i % 50).sum();
        assert_eq!((recorded, shared.iterations(), shared.workers()), (expected, expected, 0));
        assert_eq!(shared.params().snapshot(), [expected as f64; 3]);
    }
}

#[test]
fn concurrency_follows_the_workers_that_are_there() {
    // min(1, C/τ) at a delay of 4: C is 1, then 2, then 1 again.
    let shared = Hogwild::<f32>::new(1, step::delay_adaptive(1.0)).unwrap();
    let late = |worker: &mut asyncsgd::Worker| {
        let ticket = worker.begin();
        for _ in 0..4 {
            let between = worker.begin();
            worker.apply(between, &[0.0][..]);
        }
        let applied = worker.apply(ticket, &[0.0][..]);
        assert_eq!(applied.delay, 4);
        applied.step
    };
    let mut first = shared.worker();
    assert_eq!((late(&mut first), shared.workers()), (0.25, 1));
    let second = shared.worker();
    assert_eq!((late(&mut first), shared.workers()), (0.5, 2));
    drop(second);
    assert_eq!((late(&mut first), shared.workers()), (0.25, 1));
}

#[test]
fn a_worker_that_panics_is_counted_out_and_its_update_as_done() {
    struct Breaks;
    impl asyncsgd::Direction<f64> for Breaks {
        fn descend<S: asyncsgd::Sink<f64> + ?Sized>(&self, _: f64, _: &mut S) {
            panic!("broken");
        }
    }
    let shared = counting(2, Update::Locked);
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let mut worker = shared.worker();
        let ticket = worker.begin();
        worker.apply(ticket, &Breaks);
    }));
    assert!(panicked.is_err());
    assert_eq!((shared.workers(), shared.iterations()), (0, 1));
    // Neither is the lock poisoned, nor does a later delay count the broken update.
    let mut worker = shared.worker();
    let ticket = worker.begin();
    assert_eq!(worker.apply(ticket, &[-1.0, -1.0, -1.0][..]).delay, 0);
    assert_eq!(shared.params().get(0), 1.0);
}

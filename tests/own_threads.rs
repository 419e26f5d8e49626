//! The engine's core on threads of the user's: a pool, std's, workers that come and go, and one that panics.
#![cfg(not(loom))]

use asyncsgd::{Hogwild, Params, Update, Weights, step};
use rayon::prelude::*;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

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

/// Each update adds 1 to every parameter, in as many stores: a part of one would show.
#[test]
fn a_snapshot_holds_whole_updates_and_costs_none() {
    const WIDTH: usize = 300;
    for (update, threads) in [(Update::Cas, 3), (Update::Locked, 2), (Update::Racy, 1)] {
        let shared =
            Hogwild::<f64>::with(Params::zeros(WIDTH), step::constant(1.0), threads, update, 1.0).unwrap();
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    let mut worker = shared.worker();
                    while !over.load(Ordering::Relaxed) {
                        let ticket = worker.begin();
                        worker.apply(ticket, &[-1.0; WIDTH][..]);
                    }
                });
            }
            // Two that take turns.
            let read = || {
                let (mut copy, mut last, mut between) = (Vec::new(), 0, 0);
                let start = Instant::now();
                while between < 5 {
                    assert!(
                        start.elapsed() < Duration::from_secs(60),
                        "{update}: {between} snapshots of new updates"
                    );
                    std::thread::yield_now();
                    let updates = shared.snapshot(&mut copy);
                    assert!(
                        copy.len() == WIDTH && copy.iter().all(|&w| w == updates as f64),
                        "{update}: {copy:?}"
                    );
                    assert!(updates >= last && shared.iterations() >= updates);
                    between += u64::from(updates > last);
                    last = updates;
                }
            };
            let other = scope.spawn(read);
            let outcome = catch_unwind(AssertUnwindSafe(read)).and(other.join());
            over.store(true, Ordering::Relaxed);
            outcome.unwrap();
        });
        let mut last = Vec::new();
        assert_eq!((shared.snapshot(&mut last), last), (shared.iterations(), shared.params().snapshot()));
    }
}

#[test]
fn each_worker_can_scale_its_rate() {
    let shared = Hogwild::<f64>::new(1, step::constant(0.5)).unwrap();
    let mut worker = shared.worker();
    for (factor, step) in [(0.5, 0.25), (0.0, 0.0), (4.0, 2.0), (1.0, 0.5)] {
        worker.scale_rate(factor);
        let ticket = worker.begin();
        assert_eq!(worker.apply(ticket, &[1.0][..]).step, step);
    }
    let wrong = catch_unwind(AssertUnwindSafe(|| worker.scale_rate(f64::NAN)));
    assert!(wrong.is_err());
}

#[test]
fn a_ticket_of_another_hogwild_is_refused() {
    let [one, other] = [counting(1, Update::Cas), counting(1, Update::Cas)];
    let (mut worker, foreign) = (one.worker(), other.worker());
    let wrong = catch_unwind(AssertUnwindSafe(|| worker.apply(foreign.begin(), &[-1.0; 3][..])));
    let message = wrong.unwrap_err().downcast::<&str>().unwrap();
    assert_eq!((*message, one.iterations()), ("a ticket of another Hogwild", 0));
    // Another worker's of the same is a ticket.
    let second = one.worker();
    assert_eq!(worker.apply(second.begin(), &[-1.0; 3][..]).delay, 0);
}

#[test]
fn leashed_updates_are_refused() {
    let update = "leashed".parse().unwrap();
    let error = Hogwild::<f32>::with(Params::zeros(1), step::constant(1.0), 1, update, 1.0).err().unwrap();
    let expected = "update: found leashed, expected cas, racy or locked (leashed updates are the trainer's)";
    assert_eq!(error.to_string(), expected);
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

//! Every interleaving, and every value that the memory model lets a load return, up to a bounded number of
//! preemptions: the clock with compare-exchange updates, workers, and the delay recorder. `tools/loom.sh` runs
//! them; the models of what is not public stand in `src/models.rs`.
#![cfg(loom)]

use asyncsgd::delay::{Reader, Recorder};
use asyncsgd::{Hogwild, Params, Sink, Update, Weights, clock::Clock, params::Cas, step};
use loom::sync::Arc;
use loom::thread;

fn explore(preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(model);
}

/// What one update saw of the others.
struct Seen {
    /// Its iteration number and its delay.
    iteration: u64,
    delay: u64,
    /// How many additions to each of the two parameters it read.
    values: [f32; 2],
}

/// Updates, each with the ticket that the one before it left: reads both parameters, adds 1 to each.
fn update(clock: &Clock, params: &Params<f32>, updates: usize) -> Vec<Seen> {
    let mut ticket = clock.begin();
    let mut one = |_| {
        let values = [params.get(0), params.get(1)];
        let commit = clock.commit(ticket);
        let mut writer = params.writer::<Cas>();
        writer.add(0, 1.0);
        writer.add(1, 1.0);
        ticket = clock.finish(commit);
        Seen { iteration: commit.iteration, delay: commit.delay, values }
    };
    (0..updates).map(&mut one).collect()
}

/// `threads` threads (this one is one of them) with `updates` updates each.
fn clock_and_cas(threads: usize, updates: usize) {
    let shared = Arc::new((Clock::new(), Params::<f32>::zeros(2)));
    let run = {
        let shared = Arc::clone(&shared);
        move || update(&shared.0, &shared.1, updates)
    };
    let others: Vec<_> = (1..threads).map(|_| thread::spawn(run.clone())).collect();
    let mut all = run();
    for other in others {
        all.extend(other.join().unwrap());
    }

    let total = (threads * updates) as u64;
    let mut iterations: Vec<u64> = all.iter().map(|seen| seen.iteration).collect();
    iterations.sort_unstable();
    assert!(iterations.into_iter().eq(0..total), "an iteration number was given twice");
    assert_eq!(shared.0.iterations(), total, "a completion was lost");
    assert_eq!(shared.1.snapshot(), [total as f32; 2], "an addition was lost");
    for Seen { iteration, delay, values } in all {
        for value in values {
            // What was begun before this update, less what its read saw, is what the read missed.
            let missed = iteration as i64 - value as i64;
            assert!(0 <= missed, "read {value} of the {iteration} updates that had begun");
            assert!(missed <= delay as i64, "missed {missed} updates, but the delay says {delay}");
        }
    }
}

#[test]
fn clock_and_cas_two_threads() {
    explore(3, || clock_and_cas(2, 2));
}

#[test]
fn clock_and_cas_three_threads() {
    explore(2, || clock_and_cas(3, 1));
}

/// What the core does round an update: nothing is lost, every delay is recorded.
fn workers(mode: Update) {
    let rule = step::constant(1.0);
    let shared = Hogwild::<f32>::with(Params::zeros(1), rule, 2, mode, 1.0).unwrap();
    let run = |shared: Hogwild<f32>| {
        let mut worker = shared.worker();
        let ticket = worker.begin();
        let seen = worker.params().get(0);
        let applied = worker.apply(ticket, &[-1.0f32][..]);
        assert!(applied.iteration as f32 - seen <= applied.delay as f32);
        let profile = worker.delays().snapshot();
        assert_eq!((profile.count(), profile.max()), (1, applied.delay));
        applied.iteration
    };
    let other = {
        let shared = shared.clone();
        thread::spawn(move || run(shared))
    };
    let mine = run(shared.clone());
    assert_eq!(mine + other.join().unwrap(), 1);
    assert_eq!((shared.iterations(), shared.params().snapshot()), (2, vec![2.0]));
}

/// Whoever takes snapshots, one after the other, finds whole updates, as many as are told, and nobody waits for ever.
#[test]
fn snapshots_hold_whole_updates() {
    explore(2, || {
        let shared =
            Hogwild::<f32>::with(Params::zeros(2), step::constant(1.0), 2, Update::Cas, 1.0).unwrap();
        let update = |shared: Hogwild<f32>| {
            let mut worker = shared.worker();
            let ticket = worker.begin();
            worker.apply(ticket, &[-1.0f32, -1.0][..]);
        };
        let other = {
            let shared = shared.clone();
            thread::spawn(move || {
                let mut copy = Vec::new();
                for _ in 0..2 {
                    let updates = shared.snapshot(&mut copy);
                    assert_eq!(copy, [updates as f32; 2]);
                }
            })
        };
        update(shared.clone());
        other.join().unwrap();
        assert_eq!((shared.iterations(), shared.params().snapshot()), (1, vec![1.0; 2]));
    });
}

#[test]
fn workers_by_compare_exchange() {
    explore(2, || workers(Update::Cas));
}

#[test]
fn workers_under_the_lock() {
    explore(2, || workers(Update::Locked));
}

/// A worker comes, makes an update and goes while another is at work: the count of workers follows, and nothing of what
/// the clock and the parameters hold is lost.
#[test]
fn workers_come_and_go() {
    explore(2, || {
        let shared = Hogwild::<f32>::new(1, step::delay_adaptive(1.0)).unwrap();
        let visitor = {
            let shared = shared.clone();
            thread::spawn(move || {
                let mut worker = shared.worker();
                let ticket = worker.begin();
                worker.apply(ticket, &[-1.0f32][..]).iteration
            })
        };
        let mut worker = shared.worker();
        let ticket = worker.begin();
        let applied = worker.apply(ticket, &[-1.0f32][..]);
        // The concurrency is 1 or 2 and the delay at most 1: no step is shortened.
        assert_eq!(applied.step, 1.0);
        assert!((1..=2).contains(&shared.workers()));
        assert_eq!(visitor.join().unwrap() + applied.iteration, 1);
        assert_eq!((shared.workers(), shared.iterations()), (1, 2));
        drop(worker);
        assert_eq!((shared.workers(), shared.params().snapshot()), (0, vec![2.0]));
    });
}

/// Records the delays 1 and 0 on another thread while `read` reads.
fn recording(read: impl Fn(&Reader)) {
    let mut recorder = Recorder::new();
    let reader = recorder.reader();
    let writer = thread::spawn(move || {
        recorder.record(1, 0.5);
        recorder.record(0, 1.0);
        recorder
    });
    read(&reader);
    let _recorder = writer.join().unwrap();
    let last = reader.snapshot();
    assert_eq!((last.count(), last.max(), last.mean(), last.kept_mass()), (2, 1, 0.5, 0.75));
}

#[test]
fn a_snapshot_holds_what_was_counted_and_its_totals() {
    explore(3, || {
        recording(|reader| {
            let counted = reader.count();
            let profile = reader.snapshot();
            let count = profile.count();
            assert!(counted <= count, "a snapshot forgot what was counted before");
            // The means are totals over the count; totals may be ahead of it, never behind.
            let (sum, kept) = (profile.mean() * count as f64, profile.kept_mass() * count as f64);
            let least = [(0.0, 0.0), (1.0, 0.5), (1.0, 1.5)][count as usize];
            assert!(sum >= least.0 - 1e-9 && kept >= least.1 - 1e-9, "{count} records, {sum}, {kept}");
        });
    });
}

#[test]
fn snapshots_never_decrease() {
    explore(2, || {
        recording(|reader| {
            let (first, second) = (reader.snapshot(), reader.snapshot());
            assert!(first.count() <= second.count(), "snapshots decreased");
        });
    });
}

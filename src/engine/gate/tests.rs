//! The gate alone.

use super::*;
use crate::sync::Arc;

/// Each chunk of each epoch is handed out once, whatever the number of workers, and all leave at the end.
#[test]
fn every_chunk_is_taken_once() {
    for (workers, chunks) in [(1u64, 10u64), (4, 100), (8, 3)] {
        let gate = Arc::new(Gate::new(workers as usize));
        let sum = Arc::new(AtomicU64::new(0));
        let threads: Vec<_> = (0..workers)
            .map(|_| {
                let (gate, sum) = (Arc::clone(&gate), Arc::clone(&sum));
                thread::spawn(move || {
                    while let Some(chunk) = gate.take(|| ()) {
                        sum.fetch_add(1 << chunk.min(1), Ordering::Relaxed);
                    }
                    gate.leave();
                })
            })
            .collect();
        while gate.rest(Duration::from_secs(1)) == Rest::Working {}
        for epoch in 1..=5 {
            gate.release(0..chunks);
            while gate.rest(Duration::from_secs(1)) == Rest::Working {}
            assert_eq!(gate.taken(), chunks);
            assert_eq!(sum.load(Ordering::Relaxed), epoch * (1 + 2 * (chunks - 1)));
        }
        gate.stop();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    }
}

/// While somebody holds the workers every chunk that was handed out is done, and none is handed out.
#[test]
fn held_workers_have_done_what_they_took() {
    let gate = Arc::new(Gate::new(3));
    let done = Arc::new(AtomicU64::new(0));
    let threads: Vec<_> = (0..3)
        .map(|_| {
            let (gate, done) = (Arc::clone(&gate), Arc::clone(&done));
            thread::spawn(move || {
                while gate.take(|| ()).is_some() {
                    thread::yield_now();
                    done.fetch_add(1, Ordering::Relaxed);
                }
                gate.leave();
            })
        })
        .collect();
    while gate.rest(Duration::from_secs(1)) == Rest::Working {}
    for _ in 0..10 {
        let before = done.load(Ordering::Relaxed);
        gate.release(0..2000);
        for _ in 0..20 {
            let _hold = gate.hold();
            let (taken, now) = (gate.taken(), done.load(Ordering::Relaxed));
            assert_eq!(now - before, taken);
            thread::yield_now();
            assert_eq!((gate.taken(), done.load(Ordering::Relaxed)), (taken, now));
        }
        while gate.rest(Duration::from_secs(1)) == Rest::Working {}
        assert_eq!(done.load(Ordering::Relaxed) - before, 2000);
    }
    gate.stop();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    drop(gate.hold());
}

/// A worker that waited, and leaves because the run is to end, does not stand for another that is in its chunk yet.
#[test]
fn those_that_leave_early_do_not_count_for_those_that_work() {
    let gate = Arc::new(Gate::new(2));
    let (begun, go_on) = (bounded::<()>(0), bounded::<()>(0));
    let (begin, wait) = (begun.0, go_on.1);
    let threads = [0, 1].map(|_| {
        let (gate, begin, wait) = (Arc::clone(&gate), begin.clone(), wait.clone());
        thread::spawn(move || {
            while gate.take(|| ()).is_some() {
                begin.send(()).unwrap();
                wait.recv().unwrap();
            }
            gate.leave();
        })
    });
    while gate.rest(Duration::from_secs(1)) == Rest::Working {}
    // One takes the only chunk, the other waits for the next epoch.
    gate.release(0..1);
    begun.1.recv().unwrap();
    while gate.lock().waiting < 1 {
        thread::yield_now();
    }
    gate.stop();
    while gate.lock().live > 1 {
        thread::yield_now();
    }
    assert_eq!(gate.rest(Duration::ZERO), Rest::Working);
    let (seen, job) = bounded(1);
    let asker = Arc::clone(&gate);
    let asker = thread::spawn(move || asker.quietly(move || seen.send(()).unwrap()));
    while !gate.held.load(Ordering::Relaxed) {
        thread::yield_now();
    }
    assert!(job.try_recv().is_err());
    go_on.0.send(()).unwrap();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    job.recv().unwrap();
    asker.join().unwrap();
    assert!(matches!(gate.rest(Duration::ZERO), Rest::All(_)));
}

//! Two cores and the cache line between them.

use crate::sync::{AtomicU64, CachePadded, Ordering, scope, thread};
use crate::topology::{Pin, Topology, pin_current};
use std::hint::spin_loop;
use std::panic::resume_unwind;
use std::time::{Duration, Instant};

/// Turns, of two transfers each, that are timed together, how often, and when it is enough: where other processes
/// take the cores, a turn takes as long as the system lets them.
const TURNS: u64 = 1000;
const BATCHES: usize = 25;
const ENOUGH: Duration = Duration::from_millis(100);

/// What ends the game.
const STOP: u64 = u64::MAX;

/// The first two cores that we may use.
fn two_cores() -> Option<[usize; 2]> {
    let pins = Topology::detect().plan(&Pin::Auto, 2).ok()?;
    Some([pins[0]?, pins[1]?])
}

/// How many cores we may use.
pub(super) fn available() -> usize {
    Topology::detect().cores()
}

/// Runs `work(0)`, `work(1)`, … at the same time, each on a thread of its own, pinned where there are cores enough, and
/// returns what they return. The calling thread is left where it is.
///
/// # Panics
/// If the system does not start so many threads.
pub(super) fn together<R: Send>(threads: usize, work: impl Fn(usize) -> R + Sync) -> Vec<R> {
    let pins = Topology::detect().plan(&Pin::Auto, threads).unwrap_or_else(|_| vec![None; threads]);
    let (arrived, work) = (&AtomicU64::new(0), &work);
    let outcomes = scope(|scope| {
        let start = |(thread, &pin): (usize, &Option<usize>)| {
            let timed = move |_: &_| {
                pin.map(pin_current);
                // Relaxed: only the moment counts.
                arrived.fetch_add(1, Ordering::Relaxed);
                while arrived.load(Ordering::Relaxed) < threads as u64 {
                    thread::yield_now();
                }
                work(thread)
            };
            scope.builder().spawn(timed).unwrap_or_else(|e| {
                // Relaxed: those that have started would wait for ever.
                arrived.store(threads as u64, Ordering::Relaxed);
                panic!("cannot start thread {} of {threads}: {e}", thread + 1)
            })
        };
        let handles: Vec<_> = pins.iter().enumerate().map(start).collect();
        let joined = handles.into_iter().map(|handle| handle.join());
        joined.map(|outcome| outcome.unwrap_or_else(|panic| resume_unwind(panic))).collect()
    });
    outcomes.unwrap_or_else(|panic| resume_unwind(panic))
}

/// The time in ns that a cache line takes from one core to another at present, or `None` on one core or where the system
/// starts no threads: two threads on the first two cores that we may use write to it in turn, each as soon as it sees what
/// the other wrote. The median of 25 batches of 2,000 transfers, of fewer where that takes longer than a tenth of a second.
///
/// It depends on which physical cores stand behind the two, so that it changes from hour to hour on a virtual
/// machine; what two workers cost each other is a multiple of it.
pub fn ping_pong() -> Option<f64> {
    let cores = two_cores()?;
    let ball = &CachePadded::new(AtomicU64::new(0));
    // Acquire and Release in both threads, as between a worker that publishes and one that reads.
    let batches = scope(|scope| {
        let back = move |_: &_| {
            pin_current(cores[1]);
            loop {
                // Acquire and Release: see above.
                match ball.load(Ordering::Acquire) {
                    STOP => break,
                    odd if odd % 2 == 1 => ball.store(odd + 1, Ordering::Release),
                    _ => spin_loop(),
                }
            }
        };
        let forth = move |_: &_| {
            pin_current(cores[0]);
            let turn = |turn: u64| {
                // Release and Acquire: see above.
                ball.store(2 * turn + 1, Ordering::Release);
                while ball.load(Ordering::Acquire) != 2 * turn + 2 {
                    spin_loop();
                }
            };
            // The first turn waits until the other thread is there.
            turn(0);
            let (begin, mut batches) = (Instant::now(), Vec::new());
            while batches.len() < BATCHES && (batches.is_empty() || begin.elapsed() < ENOUGH) {
                let start = Instant::now();
                (0..TURNS).for_each(turn);
                batches.push(start.elapsed().as_secs_f64() * 1e9 / (2 * TURNS) as f64);
            }
            // Release: as every stroke.
            ball.store(STOP, Ordering::Release);
            batches
        };
        scope.builder().spawn(back).ok()?;
        let Ok(first) = scope.builder().spawn(forth) else {
            // Release: as every stroke.
            ball.store(STOP, Ordering::Release);
            return None;
        };
        first.join().ok()
    });
    let mut batches = batches.ok()??;
    batches.sort_by(f64::total_cmp);
    Some(batches[batches.len() / 2])
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_line_takes_some_nanoseconds() {
        match ping_pong() {
            // On a busy machine each turn may wait for a time slice.
            Some(ns) => assert!((1.0..1e7).contains(&ns), "{ns} ns"),
            None => assert!(two_cores().is_none()),
        }
    }
}

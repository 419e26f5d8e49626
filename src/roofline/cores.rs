//! Two cores and the cache line between them.

use crate::sync::{AtomicU64, CachePadded, Ordering, scope};
use crate::topology::{Pin, Topology, pin_current};
use std::hint::spin_loop;
use std::time::Instant;

/// Transfers that are timed together, and how often.
const TURNS: u64 = 1000;
const BATCHES: u64 = 25;

/// The first two cores that we may use.
fn two_cores() -> Option<[usize; 2]> {
    let pins = Topology::detect().plan(&Pin::Auto, 2).ok()?;
    Some([pins[0]?, pins[1]?])
}

/// The time in ns that a cache line takes from one core to another at present, or `None` on one core: two threads
/// on the first two cores that we may use write to it in turn, each as soon as it sees what the other wrote. The
/// median of 25 batches of 2,000 transfers. Takes some milliseconds.
///
/// It depends on which physical cores stand behind the two, so that it changes from hour to hour on a virtual
/// machine; what two workers cost each other is a multiple of it.
pub fn ping_pong() -> Option<f64> {
    let cores = two_cores()?;
    let ball = CachePadded::new(AtomicU64::new(0));
    let ball = &ball;
    // Acquire and Release, as between a worker that publishes and one that reads.
    let hit = move |stroke: u64| {
        while ball.load(Ordering::Acquire) != stroke {
            spin_loop();
        }
        // Release: see above.
        ball.store(stroke + 1, Ordering::Release);
    };
    let batches = scope(|scope| {
        scope.spawn(move |_| {
            pin_current(cores[1]);
            (0..=TURNS * BATCHES).for_each(|turn| hit(2 * turn + 1));
        });
        let first = scope.spawn(move |_| {
            pin_current(cores[0]);
            // The first turn waits until the other thread is there.
            hit(0);
            let batch = |batch: u64| {
                let start = Instant::now();
                (1..=TURNS).for_each(|turn| hit(2 * (batch * TURNS + turn)));
                start.elapsed().as_secs_f64() * 1e9 / (2 * TURNS) as f64
            };
            (0..BATCHES).map(batch).collect::<Vec<f64>>()
        });
        first.join()
    });
    let mut batches = batches.ok()?.ok()?;
    batches.sort_by(f64::total_cmp);
    Some(batches[batches.len() / 2])
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_line_takes_some_nanoseconds() {
        match ping_pong() {
            Some(ns) => assert!((1.0..1e5).contains(&ns), "{ns} ns"),
            None => assert!(two_cores().is_none()),
        }
    }
}

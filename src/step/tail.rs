//! The empirical distribution of delays behind [`Weight::Tail`](super::Weight::Tail).

use crate::sync::{Arc, AtomicU64, Ordering};

/// No delay yet: the counter cannot reach it.
const EMPTY: u64 = u64::MAX;

/// The delays of the iterations 10·n to 15·n, collected by all workers, and this worker's sorted copy.
#[derive(Debug, Clone)]
pub(super) struct Distribution {
    first: u64,
    /// One slot an iteration, so each is written by one worker only.
    slots: Arc<Vec<AtomicU64>>,
    /// Filled once, when the collection is over; allocated before.
    sorted: Vec<u64>,
}

impl Distribution {
    pub(super) fn new(n: usize) -> Self {
        let slots = (0..5 * n).map(|_| AtomicU64::new(EMPTY)).collect();
        Distribution { first: 10 * n as u64, slots: Arc::new(slots), sorted: Vec::with_capacity(5 * n) }
    }

    /// F(`delay`), the share of collected delays that are below `delay` and half of those equal to it; `None` while
    /// collecting, when it takes note of the delay.
    ///
    /// Delays are small integers, so ties are the rule: with all of them counted the mean of F would not be 1/2,
    /// and where all delays are the same no gradient would count.
    pub(super) fn share(&mut self, iteration: u64, delay: u64) -> Option<f64> {
        if self.sorted.is_empty() && !self.collect(iteration, delay) {
            return None;
        }
        let (below, up_to) =
            (self.sorted.partition_point(|&d| d < delay), self.sorted.partition_point(|&d| d <= delay));
        Some((below + up_to) as f64 / (2 * self.sorted.len()) as f64)
    }

    /// Takes note of the delay if its iteration is one of those collected; true when all is sorted.
    #[cold]
    fn collect(&mut self, iteration: u64, delay: u64) -> bool {
        let Some(slot) = iteration.checked_sub(self.first) else { return false };
        if let Some(slot) = self.slots.get(slot as usize) {
            // Relaxed: the slots are a sample. One that another worker is about to fill is left out.
            slot.store(delay, Ordering::Relaxed);
            return false;
        }
        self.sorted.extend(self.slots.iter().map(|d| d.load(Ordering::Relaxed)).filter(|&d| d != EMPTY));
        self.sorted.sort_unstable();
        !self.sorted.is_empty()
    }
}

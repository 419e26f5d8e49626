//! Which examples a chunk stands for, and when: laid down by the monitor before each epoch.

use super::plan::Plan;
use crate::sync::{AtomicU64, AtomicUsize, Ordering};
use rand::seq::SliceRandom;
use rand_xoshiro::Xoshiro256PlusPlus;
use std::ops::Range;

/// Blocks grow as the rate falls, up to this many times: what the others miss of a block is its rate × its length,
/// so that a slower rate allows a longer block, and longer blocks cost less to publish.
const GROWTH: f64 = 8.0;

/// The order of the chunks in the present epoch. Written only while no worker runs; the gate's release
/// publishes it, so that relaxed accesses suffice.
pub(super) struct Course {
    /// Which chunk of the data comes at which place; `chunks` entries an epoch, one epoch after the other.
    order: Box<[AtomicU64]>,
    chunks: AtomicUsize,
    /// Examples in a chunk.
    chunk: AtomicUsize,
    /// When the epoch begins, in epochs, as the bits of a float.
    begin: AtomicU64,
    /// What the step rule's rate is multiplied with, as the bits of a float.
    brake: AtomicU64,
    examples: usize,
}

impl Course {
    pub(super) fn new(examples: usize, plan: &Plan) -> Self {
        let places = examples.div_ceil(plan.chunk) * plan.evaluate_every;
        Self {
            order: (0..places).map(|_| AtomicU64::new(0)).collect(),
            chunks: AtomicUsize::new(0),
            chunk: AtomicUsize::new(plan.chunk),
            begin: AtomicU64::new(0),
            brake: AtomicU64::new(1f64.to_bits()),
            examples,
        }
    }

    /// Lays down the epochs up to the next evaluation, the first of which begins at `begin`, and returns the number
    /// of chunks in one. In the first epoch the examples come as they lie, for they were shuffled when they were
    /// loaded; later the chunks are shuffled.
    pub(super) fn lay(&self, begin: f64, plan: &Plan, rng: &mut Xoshiro256PlusPlus) -> u64 {
        let rate = plan.step.schedule.factor(begin) / plan.step.schedule.factor(0.0).max(f64::MIN_POSITIVE);
        let growth = if plan.block > 1 && rate > 0.0 { (1.0 / rate).clamp(1.0, GROWTH) } else { 1.0 };
        let longest = (self.examples / plan.workers).max(plan.chunk);
        let chunk = ((plan.chunk as f64 * growth) as usize).min(longest).next_multiple_of(plan.batch);
        let chunks = self.examples.div_ceil(chunk);
        let mut order: Vec<u64> = (0..chunks as u64).collect();
        for (epoch, places) in self.order.chunks(chunks).take(plan.evaluate_every).enumerate() {
            if begin > 0.0 || epoch > 0 {
                order.shuffle(rng);
            }
            for (place, &chunk) in places.iter().zip(&order) {
                place.store(chunk, Ordering::Relaxed);
            }
        }
        self.chunks.store(chunks, Ordering::Relaxed);
        self.chunk.store(chunk, Ordering::Relaxed);
        self.begin.store(begin.to_bits(), Ordering::Relaxed);
        chunks as u64
    }

    /// The examples of the c-th chunk.
    #[inline]
    pub(super) fn examples(&self, c: u64) -> Range<usize> {
        let chunk = self.chunk.load(Ordering::Relaxed);
        let start = self.order[c as usize].load(Ordering::Relaxed) as usize * chunk;
        start..(start + chunk).min(self.examples)
    }

    /// The time at which the c-th chunk begins, in epochs.
    #[inline]
    pub(super) fn epoch(&self, c: u64) -> f64 {
        f64::from_bits(self.begin.load(Ordering::Relaxed)) + c as f64 / self.chunks() as f64
    }

    /// What the step rule's rate is multiplied with: 1, or less after the run diverged.
    #[inline]
    pub(super) fn brake(&self) -> f64 {
        f64::from_bits(self.brake.load(Ordering::Relaxed))
    }

    /// Halves the rate from now on.
    pub(super) fn slow(&self) {
        self.brake.store((self.brake() / 2.0).to_bits(), Ordering::Relaxed);
    }

    /// The number of chunks in an epoch.
    pub(super) fn chunks(&self) -> usize {
        self.chunks.load(Ordering::Relaxed)
    }

    /// How many examples the first `c` places hold.
    pub(super) fn done(&self, c: u64) -> u64 {
        (0..c).map(|place| self.examples(place).len() as u64).sum()
    }
}

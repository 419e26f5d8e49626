//! The worker's loop: the only code that runs per update besides the core, the objective and the kernels.

use super::gate::Gate;
use super::plan::Plan;
use crate::hogwild::{Gradient, Worker};
use crate::model::Objective;
use crate::params::Block;
use crate::real::Real;
use crate::sync::{AtomicU64, Ordering};
use std::ops::Range;

/// Which examples a chunk stands for: the order of chunks in the present epoch.
pub(super) struct Course {
    order: Box<[AtomicU64]>,
    chunk: usize,
    examples: usize,
}

impl Course {
    pub(super) fn new(examples: usize, chunk: usize) -> Self {
        let order = (0..examples.div_ceil(chunk) as u64).map(AtomicU64::new).collect();
        Self { order, chunk, examples }
    }

    /// Chunks in an epoch.
    pub(super) fn chunks(&self) -> u64 {
        self.order.len() as u64
    }

    /// Lays down another order of the chunks. Only while no worker runs: the release publishes it.
    pub(super) fn reorder(&self, order: &[u64]) {
        for (cell, &chunk) in self.order.iter().zip(order) {
            cell.store(chunk, Ordering::Relaxed);
        }
    }

    /// The examples of the c-th chunk of the run.
    #[inline]
    fn examples(&self, c: u64) -> Range<usize> {
        // Relaxed: see `reorder`.
        let at = self.order[(c % self.chunks()) as usize].load(Ordering::Relaxed) as usize;
        let start = at * self.chunk;
        start..(start + self.chunk).min(self.examples)
    }

    /// The time at which the c-th chunk of the run begins, in epochs.
    #[inline]
    fn epoch(&self, c: u64) -> f64 {
        c as f64 / self.chunks() as f64
    }
}

/// Trains until the gate says that the run is over.
pub(super) fn train<T: Real, O: Objective<T>>(
    worker: &mut Worker<T>,
    objective: &O,
    curvature: Option<&[f32]>,
    plan: &Plan,
    course: &Course,
    gate: &Gate,
) {
    let mut gradient = objective.buffer();
    let mut block = (plan.block > 1).then(|| Block::new(plan.hot, curvature));
    while let Some(c) = gate.take() {
        worker.set_time(course.epoch(c));
        let examples = course.examples(c);
        if let Some(block) = &mut block {
            worker.run_block(objective, &mut gradient, block, examples, plan.batch);
            continue;
        }
        for start in examples.clone().step_by(plan.batch) {
            let batch = start..(start + plan.batch).min(examples.end);
            let ticket = worker.begin();
            objective.gradient(batch, worker.params(), &mut gradient);
            worker.apply(ticket, &Gradient(objective, &gradient));
        }
    }
}

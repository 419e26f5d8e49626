//! Mini-batches: gradients at the same parameters are averaged.

use super::Arrival;
use crate::sim::problem::Problem;

/// Mini-batch SGD, which waits for all workers, and Rennala SGD, which waits for any B gradients.
pub(in crate::sim) struct Synchronous {
    /// B; without it one gradient from each worker.
    batch: Option<u64>,
    sum: Vec<f64>,
    arrived: u64,
}

impl Synchronous {
    pub(super) fn new(batch: Option<u64>, dimension: usize) -> Self {
        Self { batch, sum: vec![0.0; dimension], arrived: 0 }
    }

    #[inline]
    pub(super) fn arrive<P: Problem + ?Sized>(&mut self, arrival: Arrival<'_, '_, P>) {
        let Arrival { core, stepper, job, delay } = arrival;
        let weight = f64::from(delay == 0);
        core.record(job, delay, weight);
        if delay == 0 {
            core.compute(job);
            self.sum.iter_mut().zip(&core.gradient).for_each(|(sum, g)| *sum += g);
            self.arrived += 1;
        }
        let needed = self.batch.unwrap_or(core.workers() as u64);
        let full = self.arrived == needed;
        if full {
            let rate = stepper.rate(core.epoch());
            let scale = 1.0 / needed as f64;
            core.gradient.iter_mut().zip(&mut self.sum).for_each(|(g, sum)| *g = scale * std::mem::take(sum));
            core.descend(rate);
            self.arrived = 0;
        }
        match self.batch {
            Some(_) => core.send(job.worker),
            None if full => core.send_all(),
            None => {}
        }
    }
}

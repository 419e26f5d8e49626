//! FedBuff: some gradients, whatever their delays, make one update.

use super::Arrival;
use crate::sim::problem::Problem;

/// A buffer that is averaged when it is full.
pub(in crate::sim) struct Buffered {
    size: u64,
    sum: Vec<f64>,
    /// Σ of the steps γ·w in the buffer.
    steps: f64,
    filled: u64,
}

impl Buffered {
    pub(super) fn new(size: u64, dimension: usize) -> Self {
        Self { size, sum: vec![0.0; dimension], steps: 0.0, filled: 0 }
    }

    #[inline]
    pub(super) fn arrive<P: Problem + ?Sized>(&mut self, arrival: Arrival<'_, '_, P>) {
        let Arrival { core, stepper, job, delay } = arrival;
        let moment = core.moment(job);
        let rate = stepper.rate(moment.epoch);
        let weight = stepper.weight(&moment);
        core.record(job, delay, weight);
        if weight != 0.0 {
            core.compute(job);
            let step = rate * weight;
            self.sum.iter_mut().zip(&core.gradient).for_each(|(sum, g)| *sum += step * g);
            self.steps += step;
        }
        self.filled += 1;
        if self.filled == self.size {
            let scale = 1.0 / self.size as f64;
            core.update(self.steps * scale, |x| {
                x.iter_mut().zip(&mut self.sum).for_each(|(x, sum)| *x -= scale * std::mem::take(sum));
            });
            (self.steps, self.filled) = (0.0, 0);
        }
        core.send(job.worker);
    }
}

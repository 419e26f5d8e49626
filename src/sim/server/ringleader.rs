//! Ringleader ASGD: a table of each worker's mean gradient.

use super::Arrival;
use crate::sim::core::Core;
use crate::sim::problem::Problem;
use crate::step::Stepper;

/// Ringleader ASGD (Maranjyan and Richtárik 2026).
///
/// A round first waits until the table has an entry from every worker. Then each worker's next arrival (for
/// the one that completed the table, that arrival) updates the model once, with the mean of the table; what
/// workers send after their turn goes to the next round's table.
pub(in crate::sim) struct Ringleader {
    now: Table,
    next: Table,
    served: Vec<bool>,
    to_serve: usize,
    /// Σ_i G_i/b_i of the table.
    total: Vec<f64>,
}

/// Sums and counts of the gradients of each worker.
struct Table {
    sums: Vec<f64>,
    counts: Vec<u64>,
    missing: usize,
}

impl Ringleader {
    pub(super) fn new(workers: usize, dimension: usize) -> Self {
        Self {
            now: Table::new(workers, dimension),
            next: Table::new(workers, dimension),
            served: vec![false; workers],
            to_serve: workers,
            total: vec![0.0; dimension],
        }
    }

    #[inline]
    pub(super) fn arrive<P: Problem + ?Sized>(&mut self, arrival: Arrival<'_, '_, P>) {
        let Arrival { core, stepper, job, delay } = arrival;
        core.record(job, delay, 1.0);
        core.compute(job);
        let worker = job.worker;
        if self.served[worker] {
            self.next.add(worker, &core.gradient, None);
        } else {
            self.now.add(worker, &core.gradient, Some(&mut self.total));
            if self.now.missing == 0 {
                self.serve(core, stepper, worker);
            }
        }
        core.send(worker);
    }

    /// The worker's update of this round, and the end of the round after the last.
    fn serve<P: Problem + ?Sized>(&mut self, core: &mut Core<'_, P>, stepper: &Stepper, worker: usize) {
        let rate = stepper.rate(core.epoch());
        let scale = 1.0 / core.workers() as f64;
        core.gradient.iter_mut().zip(&self.total).for_each(|(g, total)| *g = scale * total);
        core.descend(rate);
        self.served[worker] = true;
        self.to_serve -= 1;
        if self.to_serve == 0 {
            std::mem::swap(&mut self.now, &mut self.next);
            self.next.clear();
            self.served.fill(false);
            self.to_serve = core.workers();
            // Anew, so that rounding does not add up over the rounds.
            self.now.total_into(&mut self.total);
        }
    }
}

impl Table {
    fn new(workers: usize, dimension: usize) -> Self {
        Self { sums: vec![0.0; workers * dimension], counts: vec![0; workers], missing: workers }
    }

    /// Adds a gradient of `worker`, and keeps the `total` of the means up to date.
    fn add(&mut self, worker: usize, gradient: &[f64], total: Option<&mut Vec<f64>>) {
        let d = gradient.len();
        let before = self.counts[worker];
        self.counts[worker] += 1;
        self.missing -= usize::from(before == 0);
        let sums = &mut self.sums[worker * d..][..d];
        if let Some(total) = total {
            let old = if before == 0 { 0.0 } else { 1.0 / before as f64 };
            let new = 1.0 / (before + 1) as f64;
            for ((total, sum), g) in total.iter_mut().zip(&*sums).zip(gradient) {
                *total += new * (sum + g) - old * sum;
            }
        }
        sums.iter_mut().zip(gradient).for_each(|(sum, g)| *sum += g);
    }

    fn clear(&mut self) {
        self.sums.fill(0.0);
        self.counts.fill(0);
        self.missing = self.counts.len();
    }

    fn total_into(&self, total: &mut [f64]) {
        total.fill(0.0);
        for (sums, &count) in self.sums.chunks_exact(total.len()).zip(&self.counts) {
            if count > 0 {
                total.iter_mut().zip(sums).for_each(|(total, sum)| *total += sum / count as f64);
            }
        }
    }
}

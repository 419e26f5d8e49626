//! Blocks of local steps, whose difference is published.

use super::{Arrival, Publish};
use crate::params::publication_weight;
use crate::sim::problem::Problem;
use crate::step::Moment;
use crate::{Error, Result};

/// Workers that make several steps on their own copy of the parameters.
pub(in crate::sim) struct Blocks {
    length: f64,
    publish: Publish,
    /// A bound on the curvature of each coordinate, for adaptive publication.
    curvature: Vec<f64>,
    /// The share that is published whatever the delay.
    share: f64,
    difference: Vec<f64>,
}

impl Blocks {
    pub(super) fn new(
        length: u64,
        publish: Publish,
        curvature: Option<Vec<f64>>,
        workers: usize,
        dimension: usize,
    ) -> Result<Self> {
        let curvature = match (publish, curvature) {
            (Publish::Adaptive, None) => {
                return Err(Error::usage(
                    "blocks: adaptive publication needs the curvature, which this problem does not know",
                ));
            }
            (Publish::Adaptive, Some(curvature)) => curvature,
            _ => Vec::new(),
        };
        let share = if publish == Publish::Average { 1.0 / workers as f64 } else { 1.0 };
        Ok(Self { length: length as f64, publish, curvature, share, difference: vec![0.0; dimension] })
    }

    pub(super) fn arrive<P: Problem + ?Sized>(&mut self, arrival: Arrival<'_, '_, P>) {
        let Arrival { core, stepper, job, delay } = arrival;
        // The schedule at the block's middle.
        let epoch = core.epoch() - 0.5 * self.length / core.problem.epoch();
        let moment = Moment { epoch, ..core.moment(job) };
        let rate = stepper.rate(epoch);
        let weight = match self.publish {
            // The delay's weight is in the coordinates' own.
            Publish::Adaptive => 1.0,
            Publish::Whole | Publish::Average => self.share * stepper.weight(&moment),
        };
        core.compute_block(job, rate, &mut self.difference);
        let mut kept = weight;
        if self.publish == Publish::Adaptive {
            let publications = (delay as f64 + 1.0).max(stepper.concurrency());
            let (mut whole, mut left) = (0.0, 0.0);
            for (difference, curvature) in self.difference.iter_mut().zip(&self.curvature) {
                whole += difference.abs();
                if *difference != 0.0 {
                    *difference *= publication_weight(rate * curvature * self.length, publications);
                }
                left += difference.abs();
            }
            kept = if whole > 0.0 { left / whole } else { 1.0 };
        }
        core.record(job, delay, kept);
        let difference = &self.difference;
        core.update(rate * weight, |x| {
            x.iter_mut().zip(difference).for_each(|(x, difference)| *x += weight * difference);
        });
        core.send(job.worker);
    }
}

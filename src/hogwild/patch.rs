//! Blocks of a grid: steps on a worker's own copy of what the block touches, published in one iteration of the clock.

use super::{Applied, Core, Local, Ticket, Worker};
use crate::model::{Objective, Parts};
use crate::params::{Cas, Mode, Patch, Racy, Update};
use crate::real::Real;
use crate::step::Weight;

impl<T: Real> Worker<T> {
    /// Walks through these parts of the objective's grid, after `ticket` was taken, on `patch`, and publishes the
    /// difference in one iteration of the clock.
    pub(crate) fn run_patch<O: Objective<T>>(
        &mut self,
        ticket: Ticket,
        objective: &O,
        patch: &mut Patch<T>,
        parts: &Parts,
    ) -> Applied {
        let (core, local) = (&*self.core, &mut self.local);
        let cells = core.params.cells();
        patch.refresh(cells, objective.spans(parts));
        let rate = core.rate(local);
        let (base, copy) = patch.sides();
        objective.walk(parts, T::from_f64(rate), base, copy);
        match core.update {
            Update::Cas | Update::Leashed { .. } => core.publish_patch::<Cas>(local, ticket, patch),
            Update::Racy | Update::Locked => core.publish_patch::<Racy>(local, ticket, patch),
        }
    }
}

impl<T: Real> Core<T> {
    fn publish_patch<M: Mode>(&self, local: &mut Local, ticket: Ticket, patch: &mut Patch<T>) -> Applied {
        self.iterate(local, ticket, |local, commit, step| {
            let (publications, scale) = match local.stepper.rule().weight {
                Weight::DelayAdaptive => {
                    (Some(local.stepper.concurrency().max((commit.delay + 1) as f64)), 1.0)
                }
                _ => (None, step.weight),
            };
            let _guard = (self.update == Update::Locked).then(|| self.params.locked());
            let (kept, failed) = patch.publish::<M>(self.params.cells(), publications, scale);
            local.failed += failed;
            kept
        })
    }
}

//! Direct updates of one worker alone, counted together.

use super::{Ticket, Worker, batches};
use crate::model::Objective;
use crate::params::{Racy, Update};
use crate::real::Real;
use std::ops::Range;

impl<T: Real> Worker<T> {
    /// Whether nothing is to be told of one update that is not the same for the next: the worker is alone, so that no
    /// update has a delay, the rule leaves those whole, and nobody watches them one by one.
    pub(crate) fn counts_together(&self) -> bool {
        let (core, local) = (&*self.core, &self.local);
        let unlocked = core.update == Update::Racy;
        core.clock.is_for_one() && unlocked && local.probe.is_none() && local.stepper.is_whole_at_once()
    }

    /// Steps along the gradients of the mini-batches of these pieces, one after the other, and counts and records the
    /// updates when all are done (none where the objective panics); only where [`Worker::counts_together`].
    pub(crate) fn run_alone<O: Objective<T>>(
        &mut self,
        objective: &O,
        gradient: &mut O::Gradient,
        pieces: impl Iterator<Item = Range<usize>>,
        batch: usize,
    ) -> Ticket {
        let (core, local) = (&*self.core, &mut self.local);
        let step = T::from_f64(core.rate(local));
        let mut updates = 0;
        // Two loops, as an iterator over both asks of each example whether a piece has ended.
        for piece in pieces {
            updates += piece.len().div_ceil(batch) as u64;
            for examples in batches(piece, batch) {
                objective.gradient(examples, &core.params, gradient);
                if step != T::ZERO {
                    objective.descend(gradient, step, &mut core.params.writer::<Racy>());
                }
            }
        }
        local.recorder.record_many(updates, 0, 1.0);
        core.ticket(local, core.clock.pass(updates))
    }
}

//! The worker's loop: the only code that runs per update besides the core, the objective and the kernels.

use super::beside::Beside;
use super::course::Course;
use super::gate::Gate;
use super::plan::Plan;
use crate::hogwild::{Gradient, Leash, Worker, batches};
use crate::model::Objective;
use crate::params::{Block, Patch};
use crate::real::Real;

/// Trains until the gate says that the run is over. Tells how many updates were completed, by all workers, while this one
/// was at work: from the start of an epoch to its own last update in it.
pub(super) fn train<T: Real, O: Objective<T>>(
    worker: &mut Worker<T>,
    objective: &O,
    curvature: Option<&[f32]>,
    plan: &Plan,
    (course, gate): (&Course<'_>, &Gate),
    (number, beside, leash): (usize, &Beside<T>, Option<&Leash<T>>),
) -> u64 {
    let average = beside.average.as_ref();
    let mut iterate = vec![T::ZERO; average.map_or(0, |_| objective.parameters())];
    let mut gradient = objective.buffer();
    let mut hand = leash.map(|leash| leash.hand(objective.parameters()));
    let mut patch = (plan.grid.is_some() && plan.hot > 0).then(|| Patch::new(plan.hot));
    let own = || Block::new(plan.hot, curvature).staggered(number, plan.workers);
    let mut block = (plan.block > 1 && patch.is_none()).then(own);
    let together = leash.is_none() && worker.counts_together();
    // Each update's ticket is the one that the update before it left.
    let mut ticket = worker.begin();
    let (mut busy, mut from, mut waited) = (0, ticket.clock.completed(), false);
    while let Some(c) = gate.take(|| {
        busy += ticket.clock.completed() - from;
        (ticket, waited) = (worker.begin(), true);
        from = ticket.clock.completed();
    }) {
        if std::mem::take(&mut waited) {
            worker.measure_from_now();
        }
        worker.scale_rate(course.brake());
        worker.set_time(course.epoch(c));
        // Nobody else wants them but who saves the run while it waits at the gate.
        let mut inertia = beside.inertia(number);
        if let Some(patch) = &mut patch {
            ticket = worker.run_patch(ticket, objective, patch, &course.block(c)).next;
        } else if let Some(block) = &mut block {
            let buffers = (&mut gradient, inertia.as_deref_mut());
            ticket = worker.run_block(ticket, objective, buffers, block, course.pieces(c), plan.batch).next;
        } else if together && inertia.is_none() {
            ticket = worker.run_alone(objective, &mut gradient, course.pieces(c), plan.batch);
        } else {
            for batch in course.pieces(c).flat_map(|piece| batches(piece, plan.batch)) {
                if let Some(hand) = &mut hand {
                    worker.apply_leashed(hand, objective, (&mut gradient, inertia.as_deref_mut()), batch);
                    continue;
                }
                objective.gradient(batch, worker.params(), &mut gradient);
                let applied = match &mut inertia {
                    Some(inertia) => {
                        let direction = inertia.direction(objective, &gradient, worker.params());
                        worker.apply(ticket, direction)
                    }
                    None => worker.apply(ticket, &Gradient(objective, &gradient)),
                };
                ticket = applied.next;
            }
        }
        if let Some(average) = average {
            average.sample(worker.params(), course, c, &mut iterate);
        }
    }
    busy + ticket.clock.completed() - from
}

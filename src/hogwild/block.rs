//! Blocks: local steps on a worker's own copy of the hot parameters, published in one iteration of the clock.

use super::{Applied, Core, Direction, Inertia, Local, Ticket, Worker};
use crate::model::Objective;
use crate::params::{Block, Cas, Mode, Racy, Update};
use crate::real::Real;
use crate::step::Weight;
use std::ops::Range;

impl<T: Real> Worker<T> {
    /// Runs the examples of these `pieces` of the objective, after `ticket` was taken, as local steps of mini-batches of
    /// `batch` on `block` along the gradient or what `inertia` makes of it, and publishes the difference in one iteration
    /// of the clock.
    pub(crate) fn run_block<O: Objective<T>>(
        &mut self,
        ticket: Ticket,
        objective: &O,
        (gradient, inertia): (&mut O::Gradient, Option<&mut Inertia<T>>),
        block: &mut Block<T>,
        pieces: impl Iterator<Item = Range<usize>>,
        batch: usize,
    ) -> Applied {
        let (core, local) = (&*self.core, &mut self.local);
        let job = Job { ticket, objective, gradient, inertia, block, pieces, batch };
        match core.update {
            Update::Cas | Update::Leashed { .. } => core.run_block::<Cas, O, _>(local, job),
            Update::Racy | Update::Locked => core.run_block::<Racy, O, _>(local, job),
        }
    }
}

/// A block of examples to run: the arguments of [`Worker::run_block`].
struct Job<'a, T: Real, O: Objective<T>, I> {
    ticket: Ticket,
    objective: &'a O,
    gradient: &'a mut O::Gradient,
    inertia: Option<&'a mut Inertia<T>>,
    block: &'a mut Block<T>,
    pieces: I,
    batch: usize,
}

/// The last block's part in what is usual.
const USUAL: f64 = 1.0 / 16.0;

/// The mini-batches of a piece.
#[inline]
pub(crate) fn batches(piece: Range<usize>, batch: usize) -> impl Iterator<Item = Range<usize>> {
    piece.clone().step_by(batch).map(move |start| start..(start + batch).min(piece.end))
}

impl<T: Real> Core<T> {
    /// The schedule's rate now, for local steps.
    pub(super) fn rate(&self, local: &Local) -> f64 {
        let epoch = || self.clock.iterations() as f64 / self.epoch;
        local.time.map_or_else(|| local.stepper.rate(epoch()), |(_, rate)| rate)
    }

    fn run_block<M: Mode, O: Objective<T>, I: Iterator<Item = Range<usize>>>(
        &self,
        local: &mut Local,
        job: Job<'_, T, O, I>,
    ) -> Applied {
        let Job { ticket, objective, gradient, mut inertia, block, pieces, batch } = job;
        let cells = self.params.cells();
        block.refresh(cells);
        let rate = self.rate(local);
        let locked = self.update == Update::Locked;
        let mut steps = 0.0;
        let times = if objective.adds() { 1.0 + local.late } else { 1.0 };
        let mut view = block.view::<M>(cells, times);
        // Two loops, as an iterator over both asks of each example whether a piece has ended.
        for piece in pieces {
            steps += piece.len().div_ceil(batch) as f64;
            for examples in batches(piece, batch) {
                objective.gradient(examples, &view, gradient);
                // The shared part of a row is an update of its own.
                let _guard = locked.then(|| self.params.locked());
                let step = T::from_f64(rate);
                match &mut inertia {
                    Some(inertia) => inertia.direction(objective, gradient, &view).descend(step, &mut view),
                    None => objective.descend(gradient, step, &mut view),
                }
            }
        }
        local.failed += view.failed_attempts();
        self.iterate(local, ticket, |local, commit, step| {
            let concurrency = local.stepper.concurrency();
            local.late += USUAL * ((commit.delay as f64).min(concurrency - 1.0) - local.late);
            // The delay-adaptive weight acts coordinate by coordinate; other rules scale the whole.
            let (publications, scale) = match local.stepper.rule().weight {
                Weight::DelayAdaptive => (concurrency.max((commit.delay + 1) as f64), 1.0),
                _ => (concurrency, step.weight),
            };
            let _guard = locked.then(|| self.params.locked());
            let (kept, failed) = block.publish::<M>(cells, rate * steps, publications, scale / times);
            local.failed += failed;
            kept
        })
    }
}

//! One iteration of the clock: from the ticket to what became of the update.

use super::in_flight::InFlight;
use super::{Core, Local};
use crate::clock;
use crate::real::Real;
use crate::step::Moment;
use crate::sync::Ordering;

/// What a worker holds between reading parameters and applying its gradient.
#[derive(Debug, PartialEq)]
#[must_use = "a ticket is taken to be applied"]
pub struct Ticket {
    pub(crate) clock: clock::Ticket,
    steps: f64,
    /// The address of what it was taken from.
    pub(super) core: usize,
}

/// What became of an update.
#[derive(Debug, PartialEq)]
pub struct Applied {
    /// The iteration number, from 0; of an ignored gradient the one that it would have had.
    pub iteration: u64,
    /// The delay τ, in iterations.
    pub delay: u64,
    /// The step size that the gradient was multiplied with; 0 where it was dropped.
    pub step: f64,
    /// A ticket for a worker that goes straight on to its next gradient: taken as this update completed, it counts
    /// also the time between the two.
    pub next: Ticket,
}

impl<T: Real> Core<T> {
    #[inline]
    pub(super) fn begin(&self, local: &Local) -> Ticket {
        self.ticket(local, self.clock.begin())
    }

    #[inline]
    pub(super) fn ticket(&self, local: &Local, clock: clock::Ticket) -> Ticket {
        // Relaxed: the budget is a heuristic sum; a missed addend makes one step a little larger.
        let steps = if local.stepper.needs_spent() { self.steps.load(Ordering::Relaxed) } else { 0.0 };
        if let Some(probe) = &local.probe {
            probe.begin(local.recorder.count(), || self.clock.begun());
        }
        Ticket { clock, steps, core: self.address() }
    }

    /// What tells it from others.
    #[inline]
    pub(super) fn address(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    /// Tells the worker's rule how many workers there are now.
    #[inline]
    pub(super) fn follow(&self, local: &mut Local) {
        // Relaxed: see `Hogwild::worker`. The line is written only when a worker comes or goes.
        let workers = self.workers.load(Ordering::Relaxed);
        if workers != local.workers {
            local.workers = workers;
            local.stepper.set_concurrency(workers);
        }
    }

    /// One iteration of the clock: commit, decide the step, `write` (which returns the weight to record),
    /// finish, record.
    #[inline]
    pub(super) fn iterate(
        &self,
        local: &mut Local,
        ticket: Ticket,
        write: impl FnOnce(&mut Local, clock::Commit, Step) -> f64,
    ) -> Applied {
        self.follow(local);
        if let Some(probe) = &mut local.probe {
            probe.compute_done();
        }
        if !local.stepper.counts_ignored() {
            let delay = self.clock.delay_now(ticket.clock);
            if !local.stepper.admits(delay) {
                let iteration = self.clock.begun();
                if let Some(probe) = &mut local.probe {
                    probe.trace(iteration, delay, 0.0);
                }
                local.recorder.record(delay, 0.0);
                return Applied { iteration, delay, step: 0.0, next: self.begin(local) };
            }
        }
        let in_flight = InFlight::commit(&self.clock, ticket.clock);
        let commit = in_flight.commit;
        let (epoch, rate) = local.time.unwrap_or_else(|| {
            let epoch = commit.iteration as f64 / self.epoch;
            (epoch, local.brake * local.stepper.rate(epoch))
        });
        let budget = local.stepper.needs_spent();
        let spent = if budget { self.steps.load(Ordering::Relaxed) - ticket.steps } else { 0.0 };
        let moment = Moment { iteration: commit.iteration, epoch, delay: commit.delay, spent };
        let step = Step { rate, weight: local.stepper.weight_at(&moment, rate) };
        if budget {
            self.steps.fetch_add(step.rate * step.weight, Ordering::Relaxed);
        }
        let weight = write(local, commit, step);
        if let Some(probe) = &mut local.probe {
            let (iteration, delay) = (commit.iteration, commit.delay);
            probe.written(local.recorder.count(), iteration, delay, weight);
        }
        // Before the update counts as done: what a worker does between that and its next read is time in
        // which no update of its own is in flight, and the mean delay would fall short of n − 1.
        local.recorder.record(commit.delay, weight);
        let next = self.ticket(local, in_flight.finish());
        Applied { iteration: commit.iteration, delay: commit.delay, step: step.rate * weight, next }
    }
}

/// A step size γ = rate × weight.
#[derive(Clone, Copy)]
pub(super) struct Step {
    pub rate: f64,
    pub weight: f64,
}

//! Each gradient is applied when it arrives.

use std::collections::VecDeque;

use rand::RngExt as _;
use rand::seq::SliceRandom;

use super::{Arrival, Assignment};
use crate::sim::core::{Core, Job};
use crate::sim::problem::Problem;
use crate::step::Stepper;

/// Asynchronous SGD with any step rule, assignment, delay compensation, and stopping.
pub(in crate::sim) struct Asynchronous {
    assignment: Assignment,
    in_flight: usize,
    /// The workers still to come in the present round, for shuffled assignment.
    round: Vec<usize>,
    /// λ of DC-ASGD.
    lambda: f64,
    /// With stopping: (version, worker) of the jobs sent, from the oldest.
    sent: Option<VecDeque<(u64, usize)>>,
}

impl Asynchronous {
    pub(super) fn new(assignment: Assignment, in_flight: usize, lambda: f64, stopping: bool) -> Self {
        let sent = stopping.then(VecDeque::new);
        Self { assignment, in_flight, round: Vec::new(), lambda, sent }
    }

    pub(super) fn start<P: Problem + ?Sized>(&mut self, core: &mut Core<'_, P>) {
        for first in 0..self.in_flight {
            let worker = self.next_worker(core, first);
            self.send(core, worker);
        }
    }

    /// The worker to send to, after an arrival from `arrived`.
    fn next_worker<P: Problem + ?Sized>(&mut self, core: &mut Core<'_, P>, arrived: usize) -> usize {
        match self.assignment {
            Assignment::Pure => arrived,
            Assignment::Random => core.stream.random_range(0..core.workers()),
            Assignment::Shuffled => {
                if self.round.is_empty() {
                    self.round.extend(0..core.workers());
                    self.round.shuffle(&mut core.stream);
                }
                self.round.pop().unwrap_or(arrived)
            }
        }
    }

    fn send<P: Problem + ?Sized>(&mut self, core: &mut Core<'_, P>, worker: usize) {
        if let Some(sent) = &mut self.sent {
            sent.push_back((core.iteration, worker));
        }
        core.send(worker);
    }

    #[inline]
    pub(super) fn arrive<P: Problem + ?Sized>(&mut self, arrival: Arrival<'_, '_, P>) {
        let Arrival { core, stepper, job, delay } = arrival;
        if stepper.counts_ignored() || stepper.admits(delay) {
            let moment = core.moment(job);
            let rate = stepper.rate(moment.epoch);
            let weight = stepper.weight(&moment);
            core.record(job, delay, weight);
            if weight != 0.0 {
                core.compute(job);
                if self.lambda > 0.0 {
                    self.compensate(core, job);
                }
            }
            core.descend(rate * weight);
        }
        let worker = self.next_worker(core, job.worker);
        self.send(core, worker);
        self.stop_late(core, stepper);
    }

    /// g += λ·g⊙g⊙(x − x̂).
    fn compensate<P: Problem + ?Sized>(&self, core: &mut Core<'_, P>, job: &Job) {
        let mut gradient = std::mem::take(&mut core.gradient);
        for ((g, x), sent) in gradient.iter_mut().zip(&core.x).zip(core.sent(job)) {
            *g += self.lambda * *g * *g * (x - sent);
        }
        core.gradient = gradient;
    }

    /// Stops the jobs that have become too late to be applied. O(1) a job that was sent.
    fn stop_late<P: Problem + ?Sized>(&mut self, core: &mut Core<'_, P>, stepper: &Stepper) {
        while let Some(&(version, worker)) = self.sent.as_ref().and_then(|sent| sent.front()) {
            if stepper.admits(core.iteration - version) {
                break;
            }
            self.sent.as_mut().and_then(|sent| sent.pop_front());
            // Otherwise it has finished, and what the worker does now is younger.
            if core.running(worker) == Some(version) {
                core.stop(worker);
                self.send(core, worker);
            }
        }
    }
}

//! A real run's delays, replayed.

use super::core::Share;
use super::pool::Pool;
use super::problem::{Problem, Stream};
use super::recorders::Recorders;
use super::run::{Mark, Outcome, Simulation};
use super::server::Algorithm;
use super::watch::Watch;
use crate::delay::Traced;
use crate::step::Moment;
use crate::{Error, Result};
use rand_xoshiro::rand_core::SeedableRng;

/// The updates of a trace, by iteration: who made it, and which version it had read.
struct Schedule {
    worker: Vec<u32>,
    read: Vec<u64>,
    workers: usize,
}

impl Schedule {
    /// One update for each iteration; of those that share a number, the one that was applied. Where numbers are
    /// shared, a last update of weight 0 never got one.
    fn new(trace: impl IntoIterator<Item = Result<Traced>>) -> Result<Self> {
        let mut schedule = Schedule { worker: Vec::new(), read: Vec::new(), workers: 0 };
        let (mut weight, mut shared) = (0.0, false);
        for update in trace {
            let update = update?;
            let next = schedule.worker.len() as u64;
            if update.iteration > next || update.delay > update.iteration {
                return Err(Error::usage(format!(
                    "trace: found iteration {} with delay {} after {next} iterations, expected number \
                     {next}: the trace is not whole",
                    update.iteration, update.delay
                )));
            }
            shared |= update.iteration < next;
            if update.iteration < next && update.weight <= weight {
                continue;
            }
            if update.iteration < next {
                schedule.worker.pop();
                schedule.read.pop();
            }
            schedule.worker.push(update.worker);
            schedule.read.push(update.iteration - update.delay);
            schedule.workers = schedule.workers.max(update.worker as usize + 1);
            weight = update.weight;
        }
        if shared && weight == 0.0 {
            schedule.worker.pop();
            schedule.read.pop();
        }
        Ok(schedule)
    }
}

impl Simulation {
    /// Replays the delays of a real run: iteration k has the worker and the delay that the trace tells, so
    /// its gradient is computed at x_{k−τ}. The speed law is not used, and a virtual second is an
    /// iteration. Rates and weights are those of this simulation's rule, which need not be the one of the
    /// run.
    ///
    /// Whether the trace is of a run on as many examples, each update a gradient, is for the caller to see
    /// ([`Trace::run`](crate::delay::Trace::run)).
    ///
    /// The trace is held in memory, 12 bytes an update; a version is kept while an update that read it is
    /// to come.
    ///
    /// # Errors
    /// What the trace says; a usage error where the trace has not as many workers as the simulation, or fewer updates
    /// than the limits ask for, or an iteration is missing, or the algorithm is not `async`.
    pub fn replay<P: Problem + ?Sized>(
        &self,
        problem: &P,
        trace: impl IntoIterator<Item = Result<Traced>>,
    ) -> Result<Outcome> {
        if self.algorithm != Algorithm::Async {
            return Err(Error::usage(format!("algorithm {}: only async can be replayed", self.algorithm)));
        }
        let schedule = Schedule::new(trace)?;
        if schedule.workers != self.workers {
            return Err(Error::usage(format!(
                "trace: found the updates of {} workers, expected {}",
                schedule.workers, self.workers
            )));
        }
        let (found, asked) =
            (schedule.read.len() as u64, self.iterations.into_iter().chain(self.gradients).min());
        if let Some(asked) = asked.filter(|&asked| asked > found) {
            return Err(Error::usage(format!("trace: found {found} updates, expected {asked}")));
        }
        // How many updates are still to come that read each version.
        let mut readers = vec![0u32; schedule.read.len()];
        schedule.read.iter().for_each(|&version| readers[version as usize] += 1);

        let mut stepper = self.rule.stepper(self.workers)?;
        let mut stream = Stream::seed_from_u64(self.seed);
        let mut x = problem.start();
        let mut gradient = vec![0.0; x.len()];
        let mut pool = Pool::new(x.len());
        let mut slots = vec![u32::MAX; schedule.read.len()];
        let mut spent = vec![0.0];
        let mut recorders = Recorders::new(self.workers, self.each_worker);
        let mut shares = vec![Share::default(); self.workers];
        let mut watch = Watch::new(self, problem.measure(&x));
        let mark = |iteration: u64, x: &[f64]| Mark {
            iteration,
            gradients: iteration,
            seconds: iteration as f64,
            measure: problem.measure(x),
        };
        let mut done = 0;
        for (k, (&worker, &read)) in schedule.worker.iter().zip(&schedule.read).enumerate() {
            if watch.stop().is_some() || self.is_over(k as u64, k as u64, k as f64) {
                break;
            }
            for _ in 0..readers[k] {
                slots[k] = pool.take(&x);
            }
            let (worker, delay) = (worker as usize, k as u64 - read);
            let sample = problem.draw(worker, k as u64, &mut stream);
            let moment = Moment {
                iteration: k as u64,
                epoch: k as f64 / problem.epoch(),
                delay,
                spent: spent[k] - spent[read as usize],
            };
            let rate = stepper.rate(moment.epoch);
            let weight = stepper.weight(&moment);
            recorders.record(worker, delay, weight);
            shares[worker].gradients += 1;
            shares[worker].kept += weight;
            let step = rate * weight;
            if step != 0.0 {
                problem.gradient(worker, sample, pool.get(slots[read as usize]), &mut stream, &mut gradient);
                x.iter_mut().zip(&gradient).for_each(|(x, g)| *x -= step * g);
                pool.changed();
            }
            pool.release(slots[read as usize]);
            spent.push(spent[k] + step);
            done = k as u64 + 1;
            if done.is_multiple_of(self.every) {
                watch.look(mark(done, &x));
            }
        }
        Ok(watch.outcome(mark(done, &x), &recorders, shares, x))
    }
}

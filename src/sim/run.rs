//! A simulation, from its options to what it tells.

use super::core::{Core, Share, WORKER};
use super::problem::Problem;
use super::recorders::Recorders;
use super::server::{Algorithm, Assignment, Server};
use super::watch::Watch;
use crate::delay::Profile;
use crate::law::Law;
use crate::memory;
use crate::step::StepRule;
use crate::{Error, Result};

/// Workers in virtual time, and what the server does with their gradients.
///
/// Deterministic: the same options give the same bytes. The schedule of an algorithm that keeps every
/// worker busy depends on law, workers and seed alone, so rules can be compared under the same delays.
///
/// ```
/// use asyncsgd::sim::{Law, Quadratic, Simulation};
/// use asyncsgd::step;
///
/// let problem = Quadratic::geometric(20, 0.05, 1.0)?;
/// let outcome = Simulation::new(16, "straggler:10".parse()?)
///     .step(step::delay_adaptive(0.1))
///     .target(1e-3 * problem.initial())
///     .iterations(100_000)
///     .run(&problem)?;
/// assert!(outcome.first_hit.is_some());
/// assert!((outcome.delays.mean() / 15.0 - 1.0).abs() < 0.1);
/// # Ok::<(), asyncsgd::Error>(())
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct Simulation {
    pub(super) workers: usize,
    law: Law,
    pub(super) algorithm: Algorithm,
    assignment: Assignment,
    in_flight: usize,
    pub(super) rule: StepRule,
    pub(super) seed: u64,
    pub(super) target: Option<f64>,
    pub(super) every: u64,
    pub(super) series: bool,
    pub(super) settles: bool,
    average_from: u64,
    pub(super) each_worker: bool,
    pub(super) iterations: Option<u64>,
    pub(super) gradients: Option<u64>,
    seconds: f64,
}

/// A moment of a run.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Mark {
    /// Updates made.
    pub iteration: u64,
    /// Gradients that had arrived.
    pub gradients: u64,
    /// Virtual seconds.
    pub seconds: f64,
    /// The problem's measure.
    pub measure: f64,
}

/// What a simulation tells.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// T1: the first moment at which the measure was at most the target.
    pub first_hit: Option<Mark>,
    /// T2: the first moment from which on it stayed there until the end.
    pub settled: Option<Mark>,
    /// The end.
    pub end: Mark,
    /// The measure over the run, at iterations that grow by an eighth, if that was asked for.
    pub series: Vec<Mark>,
    /// Why it ended.
    pub stop: Ended,
    /// The delays of the gradients that were used or weighted 0, and the kept mass.
    pub delays: Profile,
    /// Those of each worker, with [`Simulation::each_worker`].
    pub worker_delays: Vec<Profile>,
    /// The sum of the delays that the gradients in flight at the end would have then. With n workers that
    /// are always busy it makes, with the sum of the delays of T updates, exactly (n − 1)·T.
    pub in_flight_delays: u64,
    /// The mean parameters and the mean measure, if they were asked for and there are any.
    pub average: Option<Average>,
    /// The contribution of each worker.
    pub workers: Vec<Share>,
    /// The parameters at the end.
    pub x: Vec<f64>,
}

/// Means over the end of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Average {
    /// Of the parameters.
    pub x: Vec<f64>,
    /// Of the measure.
    pub measure: f64,
    /// Over how many moments.
    pub count: u64,
}

/// Why a simulation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The measure is at the target.
    Target,
    /// As many iterations, gradients or seconds as allowed.
    Limit,
    /// The measure is infinite, not a number, or a billion times that of the start.
    Diverged,
}

/// So many gradients at the same moment, beside one of each worker and job, and the clock stands still.
const STILL: usize = 100_000;

impl Simulation {
    /// `workers` workers with these speeds: asynchronous, delay-adaptive steps of rate 1.
    pub fn new(workers: usize, law: Law) -> Self {
        Simulation {
            workers,
            law,
            algorithm: Algorithm::Async,
            assignment: Assignment::Pure,
            in_flight: workers,
            rule: crate::step::delay_adaptive(1.0),
            seed: 0,
            target: None,
            every: 1,
            series: false,
            settles: false,
            average_from: u64::MAX,
            each_worker: false,
            iterations: None,
            gradients: None,
            seconds: f64::INFINITY,
        }
    }

    /// What the server does.
    pub fn algorithm(self, algorithm: Algorithm) -> Self {
        Simulation { algorithm, ..self }
    }

    /// To whom the server sends the parameters.
    pub fn assignment(self, assignment: Assignment) -> Self {
        Simulation { assignment, ..self }
    }

    /// So many jobs at a time with random or shuffled assignment; the number of workers unless said.
    pub fn in_flight(self, jobs: usize) -> Self {
        Simulation { in_flight: jobs, ..self }
    }

    /// The step rule.
    pub fn step(self, rule: StepRule) -> Self {
        Simulation { rule, ..self }
    }

    /// The same rule with this rate.
    pub fn rate(mut self, rate: f64) -> Self {
        self.rule.rate = rate;
        self
    }

    /// The seed of everything random.
    pub fn seed(self, seed: u64) -> Self {
        Simulation { seed, ..self }
    }

    /// Stops when the measure is first at most this.
    pub fn target(self, target: f64) -> Self {
        Simulation { target: Some(target), ..self }
    }

    /// Goes on to the limits when the target is hit, so that it shows when the measure settles there.
    pub fn settle(self) -> Self {
        Simulation { settles: true, ..self }
    }

    /// Measures every `every` iterations, at least 1, instead of at each.
    pub fn measure_every(self, every: u64) -> Self {
        Simulation { every: every.max(1), ..self }
    }

    /// Averages the parameters, and the measure, over the moments that are measured from this iteration on.
    pub fn average_from(self, iteration: u64) -> Self {
        Simulation { average_from: iteration, ..self }
    }

    /// Tells the delays of each worker apart, if they are at most 64.
    pub fn each_worker(self) -> Self {
        Simulation { each_worker: true, ..self }
    }

    /// Keeps the measure over the run.
    pub fn series(self) -> Self {
        Simulation { series: true, ..self }
    }

    /// At most so many updates.
    pub fn iterations(self, iterations: u64) -> Self {
        Simulation { iterations: Some(iterations), ..self }
    }

    /// At most so many gradients.
    pub fn gradients(self, gradients: u64) -> Self {
        Simulation { gradients: Some(gradients), ..self }
    }

    /// At most so many virtual seconds.
    pub fn seconds(self, seconds: f64) -> Self {
        Simulation { seconds, ..self }
    }

    /// Runs on `problem`. O(d) an event, beside the problem's gradients and measures, and one snapshot of d
    /// numbers for each distinct version in flight.
    ///
    /// # Errors
    /// A usage error for options that make no sense or contradict each other, where the snapshots need
    /// more memory than there is, and where the speed law gives times that no number can tell.
    pub fn run<P: Problem + ?Sized>(&self, problem: &P) -> Result<Outcome> {
        self.check(problem.dimension(), 1)?;
        let mut stepper = self.rule.stepper(self.in_flight)?;
        let mut core = Core::new(problem, &self.law, self.workers, self.seed, self.algorithm.job_length())?;
        core.recorders = Recorders::new(self.workers, self.each_worker);
        let mut server = Server::new(self.algorithm, self.assignment, self.in_flight, &core)?;
        let mut watch = Watch::new(self, problem.measure(&core.x));
        server.start(&mut core);
        let mut sums = Average { x: vec![0.0; core.x.len()], measure: 0.0, count: 0 };
        let (mut seen, mut moved, mut still) = (0, 0.0, 0);
        while watch.stop().is_none() && !self.is_over(core.iteration, core.gradients, core.now) {
            let Some(job) = core.next() else { break };
            if !core.now.is_finite() {
                return Err(Error::usage(format!(
                    "speed law {}: after {} gradients the next one would never be done, expected times that a \
                     number can tell",
                    self.law,
                    core.gradients - self.algorithm.job_length()
                )));
            }
            still = if core.now > moved { 0 } else { still + 1 };
            moved = core.now;
            if still > STILL + self.workers + self.in_flight {
                return Err(Error::usage(format!(
                    "speed law {}: after {} gradients the clock stands still at {} s, expected times that a number \
                     can tell",
                    self.law, core.gradients, core.now
                )));
            }
            server.arrive(&mut core, &mut stepper, &job);
            core.release(&job);
            if core.iteration != seen && core.iteration.is_multiple_of(self.every) {
                let measure = problem.measure(&core.x);
                watch.look(Mark {
                    iteration: core.iteration,
                    gradients: core.gradients,
                    seconds: core.now,
                    measure,
                });
                if core.iteration >= self.average_from {
                    sums.x.iter_mut().zip(&core.x).for_each(|(sum, x)| *sum += x);
                    sums.measure += measure;
                    sums.count += 1;
                }
            }
            seen = core.iteration;
        }
        let end = Mark {
            iteration: core.iteration,
            gradients: core.gradients,
            seconds: core.now,
            measure: problem.measure(&core.x),
        };
        let in_flight_delays = core.in_flight_delays();
        let outcome = watch.outcome(end, &core.recorders, core.shares, core.x);
        Ok(Outcome { in_flight_delays, average: sums.mean(), ..outcome })
    }

    /// Whether a limit is reached.
    pub(super) fn is_over(&self, iteration: u64, gradients: u64, seconds: f64) -> bool {
        let is_at = |limit: Option<u64>, count| limit.is_some_and(|limit| count >= limit);
        is_at(self.iterations, iteration) || is_at(self.gradients, gradients) || seconds >= self.seconds
    }

    /// Whether the options make sense, and workers and snapshots of `dimension` parameters fit into memory, for so many
    /// such runs `at_once`.
    /// [`Simulation::run`] does the same; this asks before the problem is made.
    ///
    /// # Errors
    /// A usage error with a line for each thing that is wrong.
    pub fn check(&self, dimension: usize, at_once: usize) -> Result<()> {
        let mut problems = Vec::new();
        if self.workers == 0 {
            problems.push("workers: 0, must be at least 1".to_owned());
        }
        if u32::try_from(self.workers).is_err() {
            problems.push(format!("workers: {}, must fit 32 bits", self.workers));
        }
        problems.extend(self.algorithm.problem());
        let chooses = self.assignment != Assignment::Pure;
        let asynchronous = matches!(self.algorithm, Algorithm::Async | Algorithm::Compensated { .. });
        if chooses && !asynchronous {
            problems.push(format!(
                "assignment {}: only for the algorithms async and dc, not {}",
                self.assignment, self.algorithm
            ));
        }
        if self.in_flight == 0 || (!chooses && self.in_flight != self.workers) {
            problems.push(format!(
                "{} jobs at a time: must be at least 1, and with pure assignment one a worker",
                self.in_flight
            ));
        }
        if self.iterations.is_none() && self.gradients.is_none() && self.seconds == f64::INFINITY {
            problems.push("a limit is needed: iterations, gradients or virtual seconds".to_owned());
        }
        if !problems.is_empty() {
            return Err(Error::Usage(problems));
        }
        let vectors = self.algorithm.vectors(self.workers, self.in_flight);
        let times = if at_once == 1 { String::new() } else { format!("{at_once} runs at a time of ") };
        let what =
            format!("{times}{} workers and {vectors} snapshots of {dimension} parameters", self.workers);
        let workers = self.workers as u128 * WORKER as u128;
        let bytes =
            memory::vectors(vectors, dimension).saturating_add(workers).saturating_mul(at_once as u128);
        memory::check(&what, bytes, "take fewer workers or parameters")
    }
}

impl Average {
    /// From sums; `None` where nothing was summed.
    fn mean(mut self) -> Option<Self> {
        let scale = 1.0 / self.count as f64;
        self.x.iter_mut().for_each(|x| *x *= scale);
        self.measure *= scale;
        (self.count > 0).then_some(self)
    }
}

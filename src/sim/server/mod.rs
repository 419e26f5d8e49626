//! Server algorithms: what to do with a gradient that arrives, and whom to send the parameters.

mod asynchronous;
mod blocks;
mod buffered;
mod ringleader;
mod synchronous;

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use super::core::{Core, Job};
use super::problem::Problem;
use crate::step::Stepper;
use crate::{Error, Result};

const MENU: &str = "async, async-stop, minibatch, rennala:B, ringleader, fedbuff:K, dc:LAMBDA, \
                    blocks:M[,whole|average|adaptive]";

/// The longest block, batch or buffer: beyond it the first update is hardly ever made.
const MOST: u64 = 1_000_000;

/// How the server uses gradients. Each takes its rate and schedule from the step rule, the asynchronous ones
/// its weight too. The text form is given with each variant.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[non_exhaustive]
pub enum Algorithm {
    /// `async`: each gradient is applied when it arrives, by the step rule (Koloskova, Stich, Jaggi 2022,
    /// Algorithm 1). With the rule `ringmaster:R` this is Ringmaster ASGD (Maranjyan, Tyurin, Richtárik
    /// 2025).
    #[default]
    Async,
    /// `async-stop`: the same, and a job is stopped, and started anew, as soon as its result would be ignored
    /// for its delay: with the rule `ringmaster:R` the variant of Ringmaster ASGD that stops.
    AsyncStop,
    /// `minibatch`: all workers compute at the same parameters; the mean is applied when all have arrived.
    Minibatch,
    /// `rennala:B`: the mean of the first B gradients at the present parameters, from whomever, is applied;
    /// late ones are ignored. Rennala SGD (Tyurin and Richtárik 2023).
    Rennala {
        /// 1 ≤ B ≤ 10⁶.
        batch: u64,
    },
    /// `ringleader`: Ringleader ASGD (Maranjyan and Richtárik 2026): a table with each worker's mean
    /// gradient, whose mean is applied once for each worker in every round. For workers with different
    /// data. Takes memory for two tables, 2·n·d.
    Ringleader,
    /// `fedbuff:K`: K gradients, each weighted by the rule, are averaged into one update (FedBuff, Nguyen et
    /// al. 2022; its weight is the rule `inverse:0.5`).
    FedBuff {
        /// 1 ≤ K ≤ 10⁶.
        buffer: u64,
    },
    /// `dc:L`: as `async`, with the gradient compensated to g + L·g⊙g⊙(x − x̂), x̂ the parameters that the
    /// worker was sent. DC-ASGD (Zheng et al. 2017).
    Compensated {
        /// λ ≥ 0.
        lambda: f64,
    },
    /// `blocks:M,HOW`: a worker makes M local steps, and its difference is published.
    Blocks {
        /// 1 ≤ M ≤ 10⁶.
        length: u64,
        /// How much of it.
        publish: Publish,
    },
}

/// How much of a block's difference is published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Publish {
    /// `whole`: all of it, times the rule's weight.
    Whole,
    /// `average`: 1/n of it, times the rule's weight.
    Average,
    /// `adaptive`: each coordinate by its own delay-adaptive weight,
    /// [`publication_weight`](crate::params::publication_weight) with N = max(τ + 1, n), as the engine does.
    #[default]
    Adaptive,
}

/// To whom the server sends the parameters after an arrival, with the asynchronous algorithms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Assignment {
    /// `pure`: to the worker whose gradient has arrived. With different data the fast workers count more.
    #[default]
    Pure,
    /// `random`: to a worker drawn at random, busy or not (Koloskova, Stich, Jaggi 2022, Algorithm 2). Jobs
    /// pile up at a slow worker.
    Random,
    /// `shuffled`: to the workers in a random order, drawn anew when it ends.
    Shuffled,
}

/// A job's result.
pub(in crate::sim) struct Arrival<'a, 'p, P: ?Sized> {
    core: &'a mut Core<'p, P>,
    stepper: &'a mut Stepper,
    job: &'a Job,
    /// Updates made since its parameters were sent.
    delay: u64,
}

/// An algorithm at work.
pub(super) enum Server {
    Async(asynchronous::Asynchronous),
    Synchronous(synchronous::Synchronous),
    Ringleader(ringleader::Ringleader),
    Buffered(buffered::Buffered),
    Blocks(blocks::Blocks),
}

impl Server {
    /// `in_flight` jobs at a time for the assignments that can choose.
    pub(super) fn new<P: Problem + ?Sized>(
        algorithm: Algorithm,
        assignment: Assignment,
        in_flight: usize,
        core: &Core<'_, P>,
    ) -> Result<Self> {
        let (workers, d) = (core.workers(), core.x.len());
        Ok(match algorithm {
            Algorithm::Async | Algorithm::AsyncStop | Algorithm::Compensated { .. } => {
                let lambda = if let Algorithm::Compensated { lambda } = algorithm { lambda } else { 0.0 };
                let stopping = algorithm == Algorithm::AsyncStop;
                Server::Async(asynchronous::Asynchronous::new(assignment, in_flight, lambda, stopping))
            }
            Algorithm::Minibatch => Server::Synchronous(synchronous::Synchronous::new(None, d)),
            Algorithm::Rennala { batch } => {
                Server::Synchronous(synchronous::Synchronous::new(Some(batch), d))
            }
            Algorithm::Ringleader => Server::Ringleader(ringleader::Ringleader::new(workers, d)),
            Algorithm::FedBuff { buffer } => Server::Buffered(buffered::Buffered::new(buffer, d)),
            Algorithm::Blocks { length, publish } => {
                Server::Blocks(blocks::Blocks::new(length, publish, core.problem.curvature(), workers, d)?)
            }
        })
    }

    /// Sends the first jobs.
    pub(super) fn start<P: Problem + ?Sized>(&mut self, core: &mut Core<'_, P>) {
        match self {
            Server::Async(server) => server.start(core),
            _ => core.send_all(),
        }
    }

    /// Takes the result of a job, which is not yet released.
    #[inline]
    pub(super) fn arrive<P: Problem + ?Sized>(
        &mut self,
        core: &mut Core<'_, P>,
        stepper: &mut Stepper,
        job: &Job,
    ) {
        let arrival = Arrival { delay: core.delay(job), core, stepper, job };
        match self {
            Server::Async(server) => server.arrive(arrival),
            Server::Synchronous(server) => server.arrive(arrival),
            Server::Ringleader(server) => server.arrive(arrival),
            Server::Buffered(server) => server.arrive(arrival),
            Server::Blocks(server) => server.arrive(arrival),
        }
    }
}

impl Algorithm {
    /// What is wrong with the parameters, if anything.
    pub(super) fn problem(&self) -> Option<String> {
        let wrong = match *self {
            Algorithm::Rennala { batch: 0 } => "the batch must be at least 1",
            Algorithm::FedBuff { buffer: 0 } => "the buffer must hold at least 1",
            Algorithm::Blocks { length: 0, .. } => "a block must have at least 1 step",
            Algorithm::Rennala { batch: many }
            | Algorithm::FedBuff { buffer: many }
            | Algorithm::Blocks { length: many, .. }
                if many > MOST =>
            {
                "expected at most 1000000 gradients"
            }
            Algorithm::Compensated { lambda } if !(lambda.is_finite() && lambda >= 0.0) => {
                "lambda must be a number of at least 0"
            }
            _ => return None,
        };
        Some(format!("algorithm {self}: {wrong}"))
    }

    /// Whether gradients are weighted by the step rule. Mini-batches, Rennala's and Ringleader's means are not.
    pub fn weighs(&self) -> bool {
        !matches!(self, Algorithm::Minibatch | Algorithm::Rennala { .. } | Algorithm::Ringleader)
    }

    /// Whether each job's result is an update: then the mean delay of n always-busy workers is n − 1.
    pub fn updates_each(&self) -> bool {
        matches!(self, Algorithm::Async | Algorithm::Compensated { .. } | Algorithm::Blocks { .. })
    }

    /// Gradients that make one update, of `workers` workers.
    pub fn gradients_an_update(&self, workers: usize) -> u64 {
        match *self {
            Algorithm::Minibatch => workers as u64,
            Algorithm::Rennala { batch } => batch,
            Algorithm::FedBuff { buffer } => buffer,
            _ => self.job_length(),
        }
    }

    /// About as many updates as are made with gradients at the same parameters, of `in_flight` gradients at a time: 1
    /// where all wait for each other.
    pub fn updates_in_flight(&self, in_flight: usize) -> usize {
        match *self {
            Algorithm::Minibatch | Algorithm::Rennala { .. } => 1,
            Algorithm::FedBuff { buffer } => {
                in_flight.div_ceil(usize::try_from(buffer).unwrap_or(usize::MAX))
            }
            _ => in_flight,
        }
    }

    /// Gradients in one job.
    pub(super) fn job_length(&self) -> u64 {
        if let Algorithm::Blocks { length, .. } = *self { length } else { 1 }
    }

    /// How many vectors of d numbers it can come to hold with `in_flight` jobs of `workers` workers, beside
    /// a few.
    pub(super) fn vectors(&self, workers: usize, in_flight: usize) -> usize {
        match self {
            // All jobs are at the same parameters.
            Algorithm::Minibatch => 1,
            Algorithm::Ringleader => in_flight + 2 * workers,
            _ => in_flight,
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Algorithm::Async => f.write_str("async"),
            Algorithm::AsyncStop => f.write_str("async-stop"),
            Algorithm::Minibatch => f.write_str("minibatch"),
            Algorithm::Rennala { batch } => write!(f, "rennala:{batch}"),
            Algorithm::Ringleader => f.write_str("ringleader"),
            Algorithm::FedBuff { buffer } => write!(f, "fedbuff:{buffer}"),
            Algorithm::Compensated { lambda } => write!(f, "dc:{lambda}"),
            Algorithm::Blocks { length, publish } => {
                let how = match publish {
                    Publish::Whole => ",whole",
                    Publish::Average => ",average",
                    Publish::Adaptive => "",
                };
                write!(f, "blocks:{length}{how}")
            }
        }
    }
}

impl FromStr for Algorithm {
    type Err = Error;

    fn from_str(s: &str) -> Result<Self> {
        let (name, argument) = s.split_once(':').unwrap_or((s, ""));
        let needs = |what: &str| {
            Error::usage(format!("algorithm {s:?}: {name} needs {what}; the algorithms are {MENU}"))
        };
        let whole = |text: &str, what: &str| text.parse::<u64>().map_err(|_| needs(what));
        let algorithm = match (name, argument) {
            ("async", "") => Algorithm::Async,
            ("async-stop", "") => Algorithm::AsyncStop,
            ("minibatch", "") => Algorithm::Minibatch,
            ("ringleader", "") => Algorithm::Ringleader,
            ("async" | "async-stop" | "minibatch" | "ringleader", _) => return Err(needs("no argument")),
            ("rennala", _) => Algorithm::Rennala { batch: whole(argument, "a batch, such as rennala:16")? },
            ("fedbuff", _) => Algorithm::FedBuff { buffer: whole(argument, "a buffer, such as fedbuff:10")? },
            ("dc", _) => Algorithm::Compensated {
                lambda: argument.parse().map_err(|_| needs("a lambda, such as dc:0.04"))?,
            },
            ("blocks", _) => {
                let (length, how) = argument.split_once(',').unwrap_or((argument, "adaptive"));
                let publish = match how {
                    "whole" => Publish::Whole,
                    "average" => Publish::Average,
                    "adaptive" => Publish::Adaptive,
                    _ => return Err(needs("whole, average or adaptive after its length")),
                };
                Algorithm::Blocks { length: whole(length, "a length, such as blocks:64")?, publish }
            }
            _ => {
                return Err(Error::usage(format!(
                    "algorithm {s:?}: no such algorithm; the algorithms are {MENU}"
                )));
            }
        };
        match algorithm.problem() {
            Some(problem) => Err(Error::usage(problem)),
            None => Ok(algorithm),
        }
    }
}

impl Serialize for Algorithm {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl FromStr for Assignment {
    type Err = Error;

    fn from_str(s: &str) -> Result<Self> {
        match s {
            "pure" => Ok(Assignment::Pure),
            "random" => Ok(Assignment::Random),
            "shuffled" => Ok(Assignment::Shuffled),
            _ => Err(Error::usage(format!("assignment {s:?}: expected pure, random or shuffled"))),
        }
    }
}

impl fmt::Display for Assignment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Assignment::Pure => "pure",
            Assignment::Random => "random",
            Assignment::Shuffled => "shuffled",
        })
    }
}

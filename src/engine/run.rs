//! What a run tells: its series of objectives, its delays, and why it stopped.

use super::plan::Plan;
use crate::delay::{Profile, Timeline, Timing};
use crate::real::Real;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Why a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stop {
    /// All epochs are done.
    Epochs,
    /// The objective reached its target.
    Target,
    /// The certified gap reached its target.
    Gap,
    /// The objective no longer falls: what is left is rounding.
    Stalled,
    /// The time limit passed.
    TimeLimit,
    /// Interrupted from outside; what was learnt so far is kept.
    Interrupt,
    /// A parameter or the objective is infinite or NaN.
    Diverged,
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Stop::Epochs => "epochs",
            Stop::Target => "target",
            Stop::Gap => "gap",
            Stop::Stalled => "stalled",
            Stop::TimeLimit => "time-limit",
            Stop::Interrupt => "interrupt",
            Stop::Diverged => "diverged",
        })
    }
}

/// The state of training at one evaluation.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// Passes over the examples so far.
    pub epoch: f64,
    /// Seconds of training so far: evaluation, and starting and waking of threads, left out.
    pub train_seconds: f64,
    /// Examples processed so far.
    pub examples: u64,
    /// The objective, regulariser included; NaN or infinite where the run diverged.
    #[serde(deserialize_with = "not_finite_is_nan")]
    pub objective: f64,
    /// No less than (f − min f)/min f, certified; where a target gap was set and it is known.
    pub gap: Option<f64>,
}

/// JSON has null for what is not finite.
fn not_finite_is_nan<'de, D: serde::Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or(f64::NAN))
}

/// One worker's part in a run.
#[derive(Debug, Clone)]
pub struct WorkerReport {
    /// Its delays.
    pub delays: Profile,
    /// Compare-exchange attempts that failed because another worker was faster.
    pub failed_attempts: u64,
    /// Where the time of its updates went; with [`Trainer::profile`](crate::Trainer::profile).
    pub timing: Option<Timing>,
    /// The core that it was pinned to.
    pub core: Option<usize>,
}

/// Additions to shared parameters, and how many of them were lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lost {
    /// Additions made in the comparison run.
    pub additions: u64,
    /// Of these, lost: another worker stored what it had made of a value loaded before them.
    pub lost: u64,
}

/// The outcome of a run.
#[derive(Debug, Clone)]
pub struct Run<T: Real = f32> {
    /// The parameters at the end.
    pub weights: Vec<T>,
    /// What was run: every option as it was resolved.
    pub plan: Plan,
    /// The objective at the start and after each epoch.
    pub series: Vec<Point>,
    /// Seconds before the first epoch that are not in the series: what the data tell of rate, blocks and algorithm, and
    /// what that needs of them. Once for a data set and an objective.
    pub prepare_seconds: f64,
    /// Why it ended.
    pub stop: Stop,
    /// One report a worker.
    pub workers: Vec<WorkerReport>,
    /// The sum of all delays as the clock alone has it: how many other workers were at work, over all updates. A worker
    /// is at work from the start of an epoch to its own last update in it. Exact where every gradient is an update: with
    /// `ringmaster`, what was being written when a gradient was ignored is missing; leashed updates, which read no clock,
    /// are taken for those of always-busy workers.
    pub expected_delays: u64,
    /// Delays over training time; with [`Trainer::profile`](crate::Trainer::profile).
    pub timeline: Option<Timeline>,
    /// What racy mode loses, with [`Trainer::profile`](crate::Trainer::profile) and unless interrupted: from a
    /// comparison run on the same examples with the same workers, in which every addition is 1, so that the
    /// parameters count the additions that were kept.
    pub lost: Option<Lost>,
    /// Data values touched by one pass over the examples.
    pub nonzeros_per_epoch: u64,
}

impl<T: Real> Run<T> {
    /// All workers' delays together.
    pub fn delays(&self) -> Profile {
        let mut all = Profile::default();
        for worker in &self.workers {
            all.merge(&worker.delays);
        }
        all
    }

    /// What was sampled of all workers together.
    pub fn timing(&self) -> Option<Timing> {
        let mut timings = self.workers.iter().filter_map(|worker| worker.timing.as_ref());
        let mut all = timings.next()?.clone();
        timings.for_each(|timing| all.merge(timing));
        Some(all)
    }

    /// The last evaluation.
    pub fn last(&self) -> Point {
        // A run begins with an evaluation, so the series is never empty.
        self.series[self.series.len() - 1]
    }

    /// Examples per second of training.
    pub fn examples_per_second(&self) -> f64 {
        let last = self.last();
        if last.train_seconds > 0.0 { last.examples as f64 / last.train_seconds } else { 0.0 }
    }

    /// The exact mean delay of workers that were busy until nothing was left for them to do: n − 1, less what they wait
    /// for the others at the ends of epochs. See [`mean_delay`](crate::clock::mean_delay), which assumes that all
    /// end together.
    pub fn expected_mean_delay(&self) -> f64 {
        let updates: u64 = self.workers.iter().map(|w| w.delays.count()).sum();
        if updates == 0 { 0.0 } else { self.expected_delays as f64 / updates as f64 }
    }

    /// A few lines for a person: objective, throughput, delays, why it stopped.
    pub fn summary(&self) -> String {
        let (first, last, delays) = (self.series[0], self.last(), self.delays());
        format!(
            "objective {:.6} → {:.6} in {:.2} epochs, {:.3} s ({:.3e} examples/s)\n\
             delay mean {:.3} (n − 1 = {}), p50 {}, p99 {}, max {}; kept step mass {:.3}\n\
             stopped: {}",
            first.objective,
            last.objective,
            last.epoch,
            last.train_seconds,
            self.examples_per_second(),
            delays.mean(),
            self.plan.workers - 1,
            delays.quantile(0.5),
            delays.quantile(0.99),
            delays.max(),
            delays.kept_mass(),
            self.stop,
        )
    }
}

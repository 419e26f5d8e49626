//! The arguments of `asyncsgd simulate`.

use crate::cli::help;
use crate::cli::options::{DataArgs, ObjectiveArgs};
use crate::cli::rule::DelayRule;
use crate::cli::value::{self, Given};
use asyncsgd::sim::{Algorithm, Assignment, Law, Partition};
use asyncsgd::step::Schedule;
use asyncsgd::{Error, Result};
use std::path::PathBuf;

/// Simulate asynchronous SGD: any number of workers of any speeds, in virtual time
#[derive(clap::Args, Debug)]
#[command(after_help = help::SIMULATE)]
pub struct Args {
    #[command(flatten)]
    pub(super) data: DataArgs,
    #[command(flatten)]
    pub(super) objective: ObjectiveArgs,
    #[command(flatten)]
    pub(super) problem: ProblemArgs,
    #[command(flatten)]
    pub(super) workers: WorkerArgs,
    #[command(flatten)]
    pub(super) step: StepArgs,
    #[command(flatten)]
    pub(super) stop: StopArgs,
    /// Write everything that the simulation tells as JSON; - is standard output, without the report
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub(super) json: Option<PathBuf>,
    /// Write one page with charts of the delays and the measure
    #[arg(long, value_name = "FILE.html", help_heading = "Output")]
    pub(super) report: Option<PathBuf>,
}

/// What is minimised, if not a loss on data.
#[derive(clap::Args, Debug)]
#[command(next_help_heading = "Problem")]
pub(super) struct ProblemArgs {
    /// A quadratic of so many parameters instead of data
    #[arg(long, value_name = "D", value_parser = value::count())]
    pub(super) quadratic: Option<Given<usize>>,
    /// Its least eigenvalue; the largest is 1, and they are in geometric progression
    #[arg(long, value_name = "MU", default_value = "0.05", value_parser = value::at_least_zero())]
    pub(super) least_eigenvalue: Given<f64>,
    /// The deviation of its gradients, in total
    #[arg(long, value_name = "SIGMA", default_value = "0", value_parser = value::at_least_zero())]
    pub(super) noise: Given<f64>,
    /// How much its workers differ: the root mean square of their gradients' distance to the mean one
    #[arg(long, value_name = "ZETA", default_value = "0", value_parser = value::at_least_zero())]
    pub(super) heterogeneity: Given<f64>,
    /// Give each worker rows of its own: iid, by-label, dirichlet:A
    #[arg(long, value_name = "HOW", value_parser = value::value::<Part>())]
    pub(super) partition: Option<Given<Part>>,
    /// Add A·Σ w²/(1 + w²), which is smooth and not convex
    #[arg(long, value_name = "A", default_value = "0", value_parser = value::at_least_zero())]
    pub(super) nonconvex: Given<f64>,
    /// Rows whose gradients are averaged
    #[arg(long, value_name = "B", default_value = "1", value_parser = value::count())]
    pub(super) batch: Given<usize>,
}

/// Who works, and what the server does.
#[derive(clap::Args, Debug)]
#[command(next_help_heading = "Workers and server")]
pub(super) struct WorkerArgs {
    /// Workers
    #[arg(long, short = 'j', value_name = "N", default_value = "16", value_parser = value::count())]
    pub(super) workers: Given<usize>,
    /// How long a gradient takes; see below [default: fixed:1]
    #[arg(long, value_name = "LAW", value_parser = value::value::<Speeds>())]
    pub(super) speeds: Option<Given<Speeds>>,
    /// What the server does with gradients; see below
    #[arg(long, value_name = "ALGORITHM", default_value = "async", value_parser = value::value::<Algorithm>())]
    pub(super) algorithm: Given<Algorithm>,
    /// To whom it sends the parameters after an arrival: pure (who sent the gradient), random, shuffled
    #[arg(long, value_name = "HOW", default_value = "pure", value_parser = value::value::<Assignment>())]
    pub(super) assignment: Given<Assignment>,
    /// Gradients at a time, for random and shuffled assignment [default: one a worker]
    #[arg(long, value_name = "N", value_parser = value::count())]
    pub(super) in_flight: Option<Given<usize>>,
    /// Take workers and delays of each update from the trace of a real run, to its end unless told when to stop
    #[arg(long, value_name = "FILE")]
    pub(super) replay: Option<PathBuf>,
}

/// How long a step is.
#[derive(clap::Args, Debug)]
#[command(next_help_heading = "Step: rate × schedule × weight of the delay")]
pub(super) struct StepArgs {
    /// How a gradient's delay changes its step; the rules of asyncsgd train [default: delay-adaptive; constant for
    /// minibatch, rennala and ringleader]
    #[arg(long, value_name = "RULE", value_parser = value::value::<DelayRule>())]
    pub(super) step: Option<Given<DelayRule>>,
    /// The base rate; auto is 1/(4·L·updates in flight), L a bound on the curvature of what is minimised, and with data at
    /// most 1/(2·L), L an example's mean smoothness
    #[arg(long, value_name = "ETA", default_value = "auto", value_parser = value::auto_or_positive())]
    pub(super) rate: Given<Option<f64>>,
    /// Search the rate that needs the least virtual time to the target, on a grid never left at its edge
    #[arg(long)]
    pub(super) tune: bool,
    /// How the rate changes over the epochs; the schedules of asyncsgd train
    #[arg(long, value_name = "S", default_value = "constant", value_parser = value::value::<Schedule>())]
    pub(super) schedule: Given<Schedule>,
    /// Seed of everything random
    #[arg(long, value_name = "SEED", default_value = "0", value_parser = value::seed())]
    pub(super) seed: Given<u64>,
}

/// When to stop.
#[derive(clap::Args, Debug)]
#[command(next_help_heading = "Stopping")]
pub(super) struct StopArgs {
    /// Gradients, in passes over the data [default: 1, with data]
    #[arg(long, short = 'e', value_name = "E", value_parser = value::at_least_zero())]
    pub(super) epochs: Option<Given<f64>>,
    /// Updates [default: 100000, without data]
    #[arg(long, value_name = "T", value_parser = value::seed())]
    pub(super) iterations: Option<Given<u64>>,
    /// Virtual seconds
    #[arg(long, value_name = "S", value_parser = value::at_least_zero())]
    pub(super) seconds: Option<Given<f64>>,
    /// Stop when the measure, the objective or a quadratic's |∇f|² over that at the start, is first at most
    /// this
    #[arg(long, value_name = "M", value_parser = value::finite())]
    pub(super) target: Option<Given<f64>>,
    /// Go on after that, to see from when on the measure stays there
    #[arg(long)]
    pub(super) settle: bool,
}

/// A partition with a default, as options need one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part(pub(super) Partition);

impl Default for Part {
    fn default() -> Self {
        Part(Partition::Iid)
    }
}

impl std::str::FromStr for Part {
    type Err = Error;

    fn from_str(s: &str) -> Result<Self> {
        s.parse().map(Part)
    }
}

/// A law with a default, as options need one.
#[derive(Debug, Clone)]
pub(super) struct Speeds(pub(super) Law);

impl Default for Speeds {
    fn default() -> Self {
        Speeds("fixed:1".parse().expect("a sound law"))
    }
}

impl std::str::FromStr for Speeds {
    type Err = Error;

    fn from_str(s: &str) -> Result<Self> {
        s.parse().map(Speeds)
    }
}

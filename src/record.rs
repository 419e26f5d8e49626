//! Everything that a run tells, as plain data: what the reports are made from.
//!
//! As JSON it keeps to `report/schema.json` ([`report::SCHEMA`](crate::report::SCHEMA)). Numbers that are
//! not finite become `null`.

mod bench;
mod profile;
mod roofline;
mod simulation;

pub use bench::{Bench, Case, Change, Conditions, Settings, Spread, TimedRun};
pub use profile::{Distribution, Intervals, Lost, Percentiles, Profiling, Timing};
pub use roofline::{Dense, Exchange, Pass, Predicted, Roofline, Traffic};
pub use simulation::{Moment, Simulated, Tuned};

use serde::Serialize;

/// The version of the record's form: it changes when a key changes its meaning or goes away.
pub const VERSION: u32 = 1;

/// A run of training.
#[derive(Debug, Clone, Serialize)]
pub struct Record {
    /// [`VERSION`].
    pub schema: u32,
    /// What ran.
    pub program: Program,
    /// Where it ran.
    pub machine: Machine,
    /// How it ran: every option as it was resolved.
    pub plan: Plan,
    /// What was trained on.
    pub data: Data,
    /// What was held out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test: Option<Data>,
    /// The objective at the start and after each epoch.
    pub series: Vec<Point>,
    /// What came of it.
    #[serde(rename = "final")]
    pub outcome: Outcome,
    /// How long it took.
    pub time: Time,
    /// How fast it was.
    pub throughput: Throughput,
    /// How late gradients were.
    pub delay: Delay,
    /// What the profiler tells, where it was on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<Profiling>,
    /// What only a simulation tells, where the run was one. Its seconds are virtual.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub simulation: Option<Simulated>,
    /// Why it ended: `epochs`, `target`, `gap`, `stalled`, `time-limit`, `interrupt` or `diverged`; of a simulation also
    /// `limit`.
    pub stop: String,
    /// Whether it is the run of a path that was chosen.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub chosen: bool,
    /// What the user should know, a line each.
    pub warnings: Vec<String>,
}

/// The program.
#[derive(Debug, Clone, Serialize)]
pub struct Program {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// The machine.
#[derive(Debug, Clone, Serialize)]
pub struct Machine {
    /// The processor's name; empty where the system does not tell.
    pub cpu: String,
    /// Cores that the process may use.
    pub cores: usize,
    /// The name of the kernels in use.
    pub kernel: String,
}

/// Every option of a run as it was resolved.
#[derive(Debug, Clone, Serialize)]
pub struct Plan {
    /// A command that repeats the run.
    pub command: String,
    /// The kind of model, with its sizes.
    pub model: String,
    /// The loss.
    pub loss: String,
    /// The L2 penalty.
    pub l2: f64,
    /// The L1 penalty.
    pub l1: f64,
    /// Whether there is a bias that is not regularised.
    pub intercept: bool,
    /// What features were divided by, where they were: `std` or `max`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scale: Option<String>,
    /// The weights of the classes, where they have any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class_weight: Option<String>,
    /// The fold that was held out, from 1, and the number of folds; of cross-validation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fold: Option<[usize; 2]>,
    /// Worker threads.
    pub workers: usize,
    /// The core of each worker; `None` where it is not pinned.
    pub pins: Vec<Option<usize>>,
    /// How the objective was minimised.
    pub algorithm: String,
    /// Why by that; empty where it was given.
    pub algorithm_origin: String,
    /// Which average of the iterates is the model.
    pub average: String,
    /// How updates reach the shared parameters.
    pub update: String,
    /// Examples in a block; 1 is direct.
    pub block: usize,
    /// Parameters that a block copies.
    pub hot: usize,
    /// Examples in a mini-batch.
    pub batch: usize,
    /// The delay weight, with its concurrency where that is not the number of workers.
    pub step: String,
    /// The base rate.
    pub rate: f64,
    /// Where the base rate comes from; empty where it was given.
    pub rate_origin: String,
    /// The schedule of the base rate.
    pub schedule: String,
    /// What a worker makes of its gradients: `sgd`, `momentum:…` or `adam…`.
    pub optimizer: String,
    /// Passes over the examples.
    pub epochs: f64,
    /// The longest training time, in seconds.
    pub time_limit_seconds: Option<f64>,
    /// The objective to stop at.
    pub target_objective: Option<f64>,
    /// The certified relative gap to stop at.
    pub target_gap: Option<f64>,
    /// The seed of everything random.
    pub seed: u64,
    /// `f32` or `f64`.
    pub precision: String,
    /// Examples that a worker takes at a time.
    pub chunk: usize,
}

/// A data set.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Data {
    /// The file as the user named it.
    pub path: String,
    /// Rows.
    pub rows: usize,
    /// Features, the intercept not counted.
    pub features: usize,
    /// Stored values, the intercept not counted.
    pub nonzeros: usize,
    /// The content's xxh3-128 in hex; of the whole where this is a part.
    pub hash: String,
    /// The original labels of the classes, in rising order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub classes: Option<Vec<f32>>,
    /// The names of the classes, where labels are names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class_names: Option<Vec<String>>,
    /// Whether values were bytes, which became shares of 1.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub bytes: bool,
    /// The share of the rows whose label is the second of two classes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub positive: Option<f64>,
    /// The number of users, where rows are ratings; features are users and items.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub users: Option<usize>,
    /// The number of items, where rows are ratings.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub items: Option<usize>,
    /// The number of words of a text; rows are those of the vocabulary, features the different ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub words: Option<usize>,
}

/// The state of training at one evaluation.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Point {
    /// Passes over the examples so far.
    pub epoch: f64,
    /// Seconds of training so far, evaluation left out.
    pub train_seconds: f64,
    /// Examples processed so far.
    pub examples: u64,
    /// The objective, regulariser included.
    pub objective: f64,
    /// A certified bound on (objective − minimum)/minimum, where one is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gap: Option<f64>,
}

/// The trained model's quality.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Outcome {
    /// The objective at the end.
    pub objective: f64,
    /// A certified bound on (objective − minimum)/minimum, where one is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gap: Option<f64>,
    /// `test`, or `train` where nothing was held out: the rows that the following were computed on.
    pub on: String,
    /// The share of rows whose label is predicted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accuracy: Option<f64>,
    /// The area under the ROC curve.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auc: Option<f64>,
    /// The mean of −ln p(label), where the model tells probabilities.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_loss: Option<f64>,
    /// The root of the mean squared error, where labels are numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rmse: Option<f64>,
    /// The mean absolute error, where labels are numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mae: Option<f64>,
    /// For each class, how many of its rows were predicted as each class; both in rising order of the label.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub confusion: Vec<Vec<u64>>,
    /// The quality by class.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<Class>,
    /// The same figures on the training rows; of a path or cross-validation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub train: Option<Figures>,
    /// Parameters that are not 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nonzero: Option<usize>,
    /// The weights of the largest magnitude, where features have names.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub strongest: Vec<Named>,
}

/// How well one class is predicted.
#[derive(Debug, Clone, Serialize)]
pub struct Class {
    /// Its label.
    pub label: f32,
    /// Its name, where labels are names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Rows of it.
    pub rows: u64,
    /// Rows predicted as it.
    pub predicted: u64,
    /// Of the rows predicted as it, the share that are; `None` where there are none.
    pub precision: Option<f64>,
    /// Of its rows, the share that are predicted as it; `None` where there are none.
    pub recall: Option<f64>,
    /// The harmonic mean of the two.
    pub f1: Option<f64>,
}

/// Figures of quality, as in [`Outcome`].
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Figures {
    /// The share of rows whose label is predicted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accuracy: Option<f64>,
    /// The area under the ROC curve.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auc: Option<f64>,
    /// The mean of −ln p(label).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_loss: Option<f64>,
    /// The root of the mean squared error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rmse: Option<f64>,
    /// The mean absolute error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mae: Option<f64>,
}

impl Outcome {
    /// The figures on the held-out rows, or on the training rows where there are none.
    pub fn figures(&self) -> Figures {
        let &Self { accuracy, auc, log_loss, rmse, mae, .. } = self;
        Figures { accuracy, auc, log_loss, rmse, mae }
    }
}

/// A feature's weight.
#[derive(Debug, Clone, Serialize)]
pub struct Named {
    /// The feature.
    pub feature: String,
    /// Its weight.
    pub weight: f64,
    /// Rows of the training data that have it.
    pub rows: u32,
}

/// Durations in seconds.
#[derive(Debug, Clone, Serialize)]
pub struct Time {
    /// Reading and laying out the data.
    pub load_seconds: f64,
    /// What comes before the first epoch: rate, blocks and algorithm are chosen from the data.
    pub prepare_seconds: f64,
    /// Training, evaluation left out.
    pub train_seconds: f64,
}

/// Rates over the training time.
#[derive(Debug, Clone, Serialize)]
pub struct Throughput {
    /// Examples a second.
    pub examples_per_second: f64,
    /// Data values a second.
    pub nonzeros_per_second: f64,
    /// Published updates (iterations) a second.
    pub updates_per_second: f64,
}

/// How late gradients were, in updates: the number of other updates that were begun, and not yet known to be
/// complete when the gradient's parameters were read.
#[derive(Debug, Clone, Serialize)]
pub struct Delay {
    /// All workers together.
    #[serde(flatten)]
    pub all: Delays,
    /// Gradients in flight: the number of workers.
    pub concurrency: usize,
    /// The exact mean delay of workers that are busy until nothing is left for them to do: n − 1, less what they wait for
    /// the others at the ends of epochs. None where a simulated gradient is not an update of its own.
    pub expected_mean: Option<f64>,
    /// Each worker.
    pub workers: Vec<Worker>,
}

/// One worker.
#[derive(Debug, Clone, Serialize)]
pub struct Worker {
    /// Its delays.
    #[serde(flatten)]
    pub delays: Delays,
    /// The core that it was pinned to.
    pub core: Option<usize>,
}

/// A distribution of delays.
#[derive(Debug, Clone, Serialize)]
pub struct Delays {
    /// Updates.
    pub count: u64,
    /// The mean.
    pub mean: f64,
    /// The median.
    pub p50: u64,
    /// The 90th percentile.
    pub p90: u64,
    /// The 99th percentile.
    pub p99: u64,
    /// The 99.9th percentile.
    pub p999: u64,
    /// The largest.
    pub max: u64,
    /// The mean of the weights that the step rule gave: 1 where delays shortened no step.
    pub kept_mass: f64,
    /// Compare-exchange attempts that failed because another worker was faster.
    pub failed_attempts: u64,
}

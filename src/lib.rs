//! Lock-free asynchronous SGD that measures every gradient's delay and scales each update by it.
//!
//! ```
//! use asyncsgd::{Dataset, Logistic, Trainer};
//!
//! let (train, _) = Dataset::flights(0)?; // or Dataset::open("data.svm.zst")?.binary()?
//! let run = Trainer::new(Logistic::default()).epochs(1).run(&train)?;
//! println!("{}", run.summary());
//! # Ok::<(), asyncsgd::Error>(())
//! ```
//!
//! | to | see |
//! |---|---|
//! | choose a mode, a rule, a block; read a profile | the [`guide`] |
//! | train a model on a data set | [`Trainer`], [`Dataset`], [`Logistic`] and its sisters |
//! | minimise a function of your own | [`Objective`] |
//! | bring your own threads | [`Hogwild`], [`Worker`] |
//! | read, steer and save a run while it goes on | [`Live`], [`Checkpoint`] |
//! | train on what arrives, or is larger than memory | [`stream()`], [`Online`], [`Batches`] |
//! | measure delays | [`delay`] |
//! | simulate any number of workers | [`sim`] |

mod clock;
mod data;
pub mod delay;
mod engine;
mod error;
mod hogwild;
mod kernel;
mod law;
mod memory;
mod model;
#[cfg(all(test, loom))]
mod models;
pub mod output;
mod params;
mod real;
pub mod record;
pub mod report;
pub mod roofline;
pub mod sim;
pub mod step;
mod sync;
mod topology;
mod weights;

#[doc = include_str!("guide.md")]
pub mod guide {}

/// The README's examples are compiled and run as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

pub use clock::{Clock, Commit, mean_delay};
pub use data::{
    Batches, Cached, Corpus, Dataset, Entry, FieldRows, Loader, Missing, Problem, Ratings, Scale, Synthetic,
};
pub use engine::{
    Algorithm, Averaging, BlockSize, Checkpoint, Event, Every, Feed, Injection, Live, Lost, Online, Plan,
    Point, Progress, Run, Slow, Stall, Stop, Stream, StreamRun, Streamed, Trainer, WorkerReport, one_vs_rest,
    stream,
};
pub use error::{Error, Place, Result};
pub use hogwild::{Applied, Direction, Gradient, Hogwild, Ticket, Worker};
pub use kernel::{Constants, Row, Rows, RowsError, name as kernel_name};
pub use model::{
    Activation, ClassWeights, Confusion, Curvature, Dual, Embedding, Factorization, FactorizationMachine,
    Factors, FieldLayout, FieldMachine, Fields, Gap, Grid, Hinge, HingeLoss, Huber, HuberLoss, Layer, Linear,
    LinearModel, LinearVisitor, Logistic, LogisticLoss, Loss, LossKind, Machine, MachineLayout,
    MatrixFactorization, Metrics, Model, ModelFormat, ModelSpec, Moves, Network, NetworkObjective,
    NetworkOutput, Newton, Objective, PairFactors, Pairs, Pass, Precision, Residuals, SavedModel, Scaled,
    Scheme, Shape, SkipGram, Squared, SquaredHinge, SquaredHingeLoss, SquaredLoss, Sums, Tensor, TensorModel,
    Weighted, scores,
};
pub use params::{Cas, Mode, Params, Racy, Update, Writer, publication_weight};
pub use real::{Cell, Real};
pub use topology::{Pin, Topology};
pub use weights::{Sink, Weights};

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
//! | train a linear model on a data set | [`Trainer`], [`Dataset`], [`Logistic`] and its sisters |
//! | train a network, a factorisation, embeddings | [`model`], [`data`] |
//! | minimise a function of your own | [`Objective`] |
//! | bring your own threads | [`Hogwild`], [`Worker`] |
//! | read, steer and save a run while it goes on | [`Live`], [`engine::Event`], [`Checkpoint`] |
//! | train on what arrives, or is larger than memory | [`stream()`], [`Online`], [`Batches`], [`data::Stored`] |
//! | measure delays | [`delay`] |
//! | simulate any number of workers | [`sim`] |

pub mod clock;
pub mod data;
pub mod delay;
pub mod engine;
mod error;
mod hogwild;
pub mod kernel;
mod law;
mod memory;
pub mod model;
#[cfg(all(test, loom))]
mod models;
pub mod output;
pub mod params;
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

pub use data::{Batches, Dataset, Loader};
pub use engine::{
    Algorithm, Averaging, BlockSize, Checkpoint, Every, Feed, Live, Online, Run, Stop, Stream, Trainer,
    stream,
};
pub use error::{Error, Place, Result};
pub use hogwild::{Applied, Direction, Gradient, Hogwild, Ticket, Worker};
pub use kernel::{Row, Rows};
pub use model::{Hinge, Huber, Logistic, Metrics, Objective, SavedModel, Squared, SquaredHinge, scores};
pub use params::{Params, Update};
pub use real::{Cell, Real};
pub use topology::{Pin, Topology};
pub use weights::{Sink, Weights};

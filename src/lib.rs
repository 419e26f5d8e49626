//! Lock-free asynchronous SGD that measures every gradient's delay and scales each update by it.

mod data;
pub mod delay;
mod error;
mod kernel;
mod real;
pub mod step;
mod sync;
mod weights;

pub use data::{Dataset, Loader};
pub use error::{Error, Place, Result};
pub use kernel::{Row, Rows, RowsError};
pub use real::{Cell, Real};
pub use weights::{Sink, Weights};

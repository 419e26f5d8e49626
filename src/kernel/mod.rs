//! The inner loops: dot, axpy, gather-dot, scatter-add and copy-out over plain and shared floats.
//!
//! This is the fence for `unsafe`: the loops go without bounds checks where a [`Row`]'s invariant or a
//! length check before the loop shows that none can fail, and everything that leaves here is safe.

mod rows;
pub(crate) mod sparse;

pub use rows::{Row, Rows, RowsError};

/// The name of the kernels in use, for reports.
pub fn name() -> &'static str {
    "scalar"
}

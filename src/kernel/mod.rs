//! The inner loops: dot, axpy, gather-dot, scatter-add and copy-out over plain and shared floats.
//!
//! This is the fence for `unsafe`: the loops go without bounds checks where a [`Row`]'s invariant or a
//! length check before the loop shows that none can fail, and everything that leaves here is safe.

mod rows;
pub(crate) mod shared;
pub(crate) mod sparse;
#[cfg(all(target_arch = "x86_64", not(loom)))]
mod x86;

pub use rows::{Row, Rows, RowsError};

/// The name of the kernels in use, for reports.
pub fn name() -> &'static str {
    "scalar"
}

//! The inner loops: dot, axpy, gather-dot, scatter-add and copy-out over plain and shared floats, and exponentials.
//!
//! This is the fence for `unsafe`: the loops go without bounds checks where a [`Row`]'s invariant or a
//! length check before the loop shows that none can fail, and everything that leaves here is safe.

pub(crate) mod elementary;
pub(crate) mod matrix;
pub(crate) mod pair;
pub(crate) mod plain;
pub(crate) mod ridge;
mod rows;
mod runs;
pub(crate) mod shared;
pub(crate) mod sparse;
#[cfg(all(target_arch = "x86_64", not(loom)))]
mod x86;

use crate::sync::OnceLock;

pub use rows::{Row, Rows, RowsError};
pub(crate) use rows::{WIDE, occurrences};
pub use runs::Constants;

/// The name of the kernels in use, for reports: `avx2+cx16` or `scalar`. Detected once.
///
/// The environment variable [`VARIABLE`] forces the scalar ones where it is `scalar`, for comparison; whatever else it may
/// be is passed over here, and refused by the program.
pub fn name() -> &'static str {
    if vector() { "avx2+cx16" } else { "scalar" }
}

/// The environment variable that says which kernels to use.
pub const VARIABLE: &str = "ASYNCSGD_KERNEL";

/// Whether the vector kernels are in use. Asking costs a load and a comparison.
#[inline(always)]
fn vector() -> bool {
    static VECTOR: OnceLock<bool> = OnceLock::new();
    *VECTOR.get_or_init(detect)
}

fn detect() -> bool {
    #[cfg(all(target_arch = "x86_64", not(loom)))]
    {
        x86::available() && std::env::var_os(VARIABLE).is_none_or(|kernel| kernel != "scalar")
    }
    #[cfg(not(all(target_arch = "x86_64", not(loom))))]
    {
        false
    }
}

//! Reports: what a [`Record`] looks like.

mod json;
mod number;
mod text;

pub use json::{SCHEMA, write_json};
pub use number::{count, si};
pub use text::{Style, write_text};

use crate::record::Record;

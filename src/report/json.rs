//! The record as JSON.

use serde::Serialize;
use std::io::{self, Write};

/// The JSON schema (draft 2020-12) of [`write_json`]'s output.
pub const SCHEMA: &str = include_str!("schema.json");

/// Writes a [`Record`](crate::record::Record), or a list of such, as JSON, indented, with a line end.
///
/// # Errors
/// What the writer says.
pub fn write_json(out: &mut (impl Write + ?Sized), record: &(impl Serialize + ?Sized)) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, record)?;
    writeln!(out)
}

//! The record as JSON.

use super::Record;
use std::io::{self, Write};

/// The JSON schema (draft 2020-12) of [`write_json`]'s output.
pub const SCHEMA: &str = include_str!("schema.json");

/// Writes the record as JSON, indented, with a line end.
///
/// # Errors
/// What the writer says.
pub fn write_json(out: &mut (impl Write + ?Sized), record: &Record) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, record)?;
    writeln!(out)
}

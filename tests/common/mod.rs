//! What the tests of the program share.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

/// The program.
pub fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_asyncsgd"))
}

/// The program, to be given arguments.
pub fn asyncsgd() -> Command {
    Command::new(program())
}

pub fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// A file of `rows` separable rows with 8 features.
pub fn small(folder: &TempDir, name: &str, rows: usize) -> PathBuf {
    let row = |i: usize| {
        let (label, feature) = if i.is_multiple_of(3) { ("+1", 1 + i % 4) } else { ("-1", 5 + i % 4) };
        format!("{label} {feature}:1 {}:0.5\n", feature + 1)
    };
    let path = folder.path().join(name);
    std::fs::write(&path, (0..rows).map(row).collect::<String>()).unwrap();
    path
}

pub fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

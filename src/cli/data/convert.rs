//! `asyncsgd data convert`.

use crate::cli::output::Output;
use asyncsgd::{Loader, Result};
use std::path::PathBuf;

/// Rewrite LIBSVM text in its shortest form, compressed as the extension says
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Rows keep their order; features are sorted within a row, zeros and comments left out.

Examples:
  asyncsgd data convert data.svm data.svm.zst
  asyncsgd data convert data.svm.xz - | head -n 3")]
pub struct Args {
    /// LIBSVM text, plain or compressed; - is standard input
    input: PathBuf,
    /// Where it goes: .gz, .bz2, .xz or .zst are compressed, anything else is plain; - is standard output
    output: PathBuf,
    /// Feature indices start from 0, not 1
    #[arg(long)]
    zero_based: bool,
}

/// Runs the command.
///
/// # Errors
/// Where the data are bad or the output cannot be written.
pub fn run(args: &Args) -> Result<u8> {
    let output = Output::check(&args.output, &[&args.input])?;
    let data = Loader::new(&args.input).zero_based(args.zero_based).load()?;
    output.write(|out| data.write_libsvm(out))?;
    Ok(0)
}

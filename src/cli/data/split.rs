//! `asyncsgd data split`.

use crate::cli::output::Output;
use crate::cli::value::{self, Check, Given};
use asyncsgd::report::count;
use asyncsgd::{Loader, Result};
use std::path::PathBuf;

/// Divide rows into a training and a test part
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Which rows are held out depends on the seed and the number of rows alone, as with train --test-fraction;
each part keeps the order of the rows.

Example:
  asyncsgd data split --fraction 0.2 --seed 1 data.svm train.svm.zst test.svm.zst")]
pub struct Args {
    /// LIBSVM text, plain or compressed; - is standard input
    input: PathBuf,
    /// Where the training rows go
    train: PathBuf,
    /// Where the test rows go
    test: PathBuf,
    /// The share of the rows that is held out
    #[arg(long, value_name = "F", default_value = "0.2", value_parser = value::fraction())]
    fraction: Given<f64>,
    /// Seed of the choice
    #[arg(long, value_name = "SEED", default_value = "0", value_parser = value::seed())]
    seed: Given<u64>,
    /// Feature indices start from 0, not 1
    #[arg(long)]
    zero_based: bool,
}

/// Runs the command.
///
/// # Errors
/// Where the data are bad, a part would be empty, or an output cannot be written.
pub fn run(args: Args) -> Result<u8> {
    let mut check = Check::default();
    let (fraction, seed) = (check.take(args.fraction), check.take(args.seed));
    check.finish()?;
    Output::distinct(&[&args.train, &args.test])?;
    let train = Output::check(&args.train, &[&args.input])?;
    let test = Output::check(&args.test, &[&args.input])?;
    let data = Loader::new(&args.input).zero_based(args.zero_based).load()?;
    // The training rows are laid out for training; the text has them in their order again.
    let parts = data.split(fraction, seed)?;
    train.write(|out| parts.0.write_libsvm(out))?;
    test.write(|out| parts.1.write_libsvm(out))?;
    crate::cli::say(format_args!(
        "{} training rows, {} test rows",
        count(parts.0.len() as u64),
        count(parts.1.len() as u64)
    ));
    Ok(0)
}

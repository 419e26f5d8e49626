//! `asyncsgd data generate`.

use crate::cli::output::Output;
use crate::cli::value::{self, Check, Given};
use asyncsgd::report::count;
use asyncsgd::{Error, Result, data::Synthetic};
use std::path::PathBuf;

/// Make a two-class problem with a known truth, in the shape of real text
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Example:
  asyncsgd data generate --like rcv1 --rows 200000 rcv1like.svm.zst")]
pub struct Args {
    /// Where it goes: .gz, .bz2, .xz or .zst are compressed, anything else is plain; - is standard output
    output: PathBuf,
    /// The shape: rcv1 has Zipf-distributed features and tf-idf-like values in rows of length 1
    #[arg(long, value_name = "SHAPE", default_value = "rcv1", value_parser = value::one_of(&[Shape::Rcv1]))]
    like: Given<Shape>,
    /// Rows
    #[arg(long, value_name = "N", default_value = "20000", value_parser = value::count())]
    rows: Given<usize>,
    /// Features
    #[arg(long, value_name = "D", default_value = "47236", value_parser = value::count())]
    features: Given<usize>,
    /// Mean number of nonzeros in a row
    #[arg(long, value_name = "K", default_value = "75", value_parser = value::at_least_zero())]
    nonzeros: Given<f64>,
    /// Seed of everything
    #[arg(long, value_name = "SEED", default_value = "0", value_parser = value::seed())]
    seed: Given<u64>,
}

/// The shapes that can be generated.
#[derive(Debug, Clone, Copy, Default)]
pub enum Shape {
    #[default]
    Rcv1,
}

impl std::fmt::Display for Shape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("rcv1")
    }
}

impl std::str::FromStr for Shape {
    type Err = Error;

    fn from_str(s: &str) -> Result<Self> {
        if s == "rcv1" { Ok(Self::Rcv1) } else { Err(Error::usage(format!("found '{s}', expected rcv1"))) }
    }
}

/// Runs the command.
///
/// # Errors
/// Where an option is out of range or the output cannot be written.
pub fn run(args: Args) -> Result<u8> {
    let mut check = Check::default();
    let Shape::Rcv1 = check.take(args.like);
    let problem = Synthetic::rcv1(check.take(args.rows))
        .features(check.take(args.features))
        .mean_nonzeros(check.take(args.nonzeros))
        .seed(check.take(args.seed));
    check.finish()?;
    let output = Output::check(&args.output, &[])?;
    let problem = problem.generate()?;
    output.write(|out| problem.data.write_libsvm(out))?;
    crate::cli::say(format_args!(
        "{} rows × {} features, {} nonzeros; the truth predicts {:.2} % of the labels",
        count(problem.data.len() as u64),
        count(problem.data.features() as u64),
        count(problem.data.nonzeros() as u64),
        100.0 * problem.accuracy
    ));
    Ok(0)
}

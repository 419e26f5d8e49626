//! `asyncsgd predict`.

use super::load::{self, Labels};
use super::models;
use super::options::TableArgs;
use super::output::Output;
use super::value::Check;
use asyncsgd::data::Columns;
use asyncsgd::report::{self, Style};
use asyncsgd::{
    Dataset, Error, Loader, Metrics, Result, SavedModel,
    model::{Confusion, TensorModel},
};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Predict labels with a saved model, one line a row in the order of the data
#[derive(clap::Args, Debug)]
#[command(after_help = super::help::PREDICT)]
pub struct Args {
    /// Data of any form that train reads; - is standard input. Without it: the held-out part of the embedded
    /// flights
    pub data: Option<PathBuf>,
    /// The model, as train --save or LIBLINEAR wrote it, or word vectors in word2vec's formats
    #[arg(long, short, value_name = "FILE")]
    pub model: PathBuf,
    /// Where predictions go [default: standard output]
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// The probability of the second class, or of each of more than two, instead of a label; logistic models and
    /// softmax outputs
    #[arg(long)]
    pub probability: bool,
    /// The score w·x + bias, or all outputs, instead of a label
    #[arg(long)]
    pub scores: bool,
    /// Feature indices of the data start from 0, not 1 [default: as in the model's training data]
    #[arg(long)]
    pub zero_based: bool,
    /// The best N for each user of a file of ratings, besides those that it rates; or the nearest N words
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub top: Option<u32>,
    #[command(flatten)]
    pub table: TableArgs,
    /// No metrics
    #[arg(long, short)]
    pub quiet: bool,
}

/// Runs the command.
///
/// # Errors
/// Where model or data are bad, the data have features that the model has not, or the output cannot be
/// written.
pub fn run(args: &Args) -> Result<u8> {
    if args.probability && args.scores {
        return Err(Error::usage("--probability and --scores: found both, expected one"));
    }
    if let Some(model) = TensorModel::load(&args.model)? {
        return models::predict(&model, args);
    }
    let model = SavedModel::load(&args.model)?;
    let taken = match model.probabilities(&[0.0]) {
        Some(_) => &["DATA", "--scores", "--probability"][..],
        None => &["DATA", "--scores"],
    };
    let labels = args.check(&format!("a linear model of {} loss", model.loss), &[taken, &ROWS].concat())?;
    let (path, output) = args.ends()?;
    let data = match &args.data {
        // The columns are those of the embedded flights.
        None => Dataset::flights(0)?.1,
        Some(_) => {
            args.rows(path, &labels, &numbering(model.features(), &model.columns)?, model.one_based)?
        }
    };
    let scores = model.scores(&data)?;
    let words = |numbers: &[f64]| numbers.iter().map(f64::to_string).collect::<Vec<_>>().join(" ");
    let line = |out: &mut dyn Write, scores: &[f64]| match (args.probability, args.scores) {
        (true, _) => writeln!(out, "{}", words(&model.probabilities(scores).unwrap_or_default())),
        (_, true) => writeln!(out, "{}", words(scores)),
        _ if model.classes.is_empty() => writeln!(out, "{}", model.predict(scores)),
        _ => writeln!(out, "{}", model.columns.label(model.predict(scores) as f32)),
    };
    output.write(|out| scores.chunks(model.outputs()).try_for_each(|scores| line(out, scores)))?;
    if !args.quiet
        && let Some(metrics) = metrics(&model, &scores, data)
    {
        tell(&metrics);
        if let Some(confusion) = &metrics.confusion {
            tell_classes(confusion, &model.classes, &model.columns);
        }
    }
    Ok(0)
}

/// The options about rows of features.
pub const ROWS: [&str; 4] = ["--zero-based", "--label", "--labels", "--missing"];

/// A row without features, which has the numbering that a file is read with: the model's own.
///
/// # Errors
/// Where the model says something else of its columns than how many features it has.
pub fn numbering(features: usize, columns: &Columns) -> Result<Dataset> {
    let row = Dataset::from_csr(vec![0, 0], Vec::new(), Vec::new(), vec![0.0], features)?;
    row.with_columns(columns.clone())
}

impl Args {
    /// Checks the options for a model that messages call `what`. It takes those that are `taken`, of the ones that are
    /// for some models alone, and may do without a file if DATA is among them.
    ///
    /// # Errors
    /// A line for each option that is wrong.
    pub fn check(&self, what: &str, taken: &[&str]) -> Result<Labels> {
        let mut check = Check::default();
        check.require(
            self.data.is_some() || taken.contains(&"DATA"),
            "data: found none, expected a file: the embedded flights are for linear models",
        );
        let given = [
            ("--probability", self.probability),
            ("--scores", self.scores),
            ("--zero-based", self.zero_based),
            ("--top", self.top.is_some()),
        ];
        let given = given.into_iter().filter(|(_, given)| *given).map(|(name, _)| name);
        for name in given.chain(self.table.given()) {
            let embedded = self.data.is_none() && ROWS.contains(&name);
            let what = if embedded { "the embedded flights" } else { what };
            check.require(
                taken.contains(&name) && !embedded,
                format!("{name}: expected it left out for {what}"),
            );
        }
        let labels = Labels::check(&mut check, self.table.clone());
        check.finish().map(|()| labels)
    }

    /// The data, where there is a file of them, and where the output goes.
    ///
    /// # Errors
    /// Where the output cannot be written, or is what is read.
    pub fn ends(&self) -> Result<(&Path, Output)> {
        let path = self.data.as_deref().unwrap_or(Path::new("-"));
        let output = match &self.output {
            Some(to) => Output::check(to, &[path, &self.model])?,
            None => Output::stdout(),
        };
        Ok((path, output))
    }

    /// The rows at `path` in the order of the file, with the features of `like`.
    ///
    /// # Errors
    /// As [`Loader::load`].
    pub fn rows(&self, path: &Path, labels: &Labels, like: &Dataset, one_based: bool) -> Result<Dataset> {
        let loader = Loader::new(path).like(like).zero_based(self.zero_based || !one_based).unlabelled();
        let data = labels.on(loader, labels.file.as_deref()).load()?;
        load::check_indices(self.zero_based, std::iter::once(&data))?;
        load::warn_of_bytes(&data);
        Ok(data)
    }
}

/// The metrics, if the labels are those that the model knows.
fn metrics(model: &SavedModel, scores: &[f64], data: Dataset) -> Option<Metrics> {
    if data.labels().iter().any(|label| label.is_nan()) {
        return None;
    }
    let data = match &model.classes[..] {
        [] => data,
        classes => data.classified_as(classes).ok()?,
    };
    Some(Metrics::new(model.loss, scores, data.labels()))
}

/// Writes metrics to standard error, a line.
pub fn tell(metrics: &Metrics) {
    let figures = [
        metrics.accuracy.map(|x| format!("accuracy {:.2} %", 100.0 * x)),
        metrics.auc.map(|x| format!("AUC {x:.4}")),
        metrics.log_loss.map(|x| format!("log-loss {x:.4}")),
        metrics.rmse.map(|x| format!("RMSE {x:.5}")),
        metrics.mae.map(|x| format!("MAE {x:.5}")),
    ];
    let figures: Vec<String> = figures.into_iter().flatten().collect();
    let rows = asyncsgd::report::count(metrics.rows as u64);
    super::say(format_args!("{} ({rows} rows)", figures.join(" · ")));
}

/// Writes a line for each class to standard error.
pub fn tell_classes(confusion: &Confusion, labels: &[f32], columns: &Columns) {
    let rows: Vec<Vec<u64>> = confusion.rows().map(<[u64]>::to_vec).collect();
    let classes = models::classes(confusion, labels, columns);
    // What standard error does not take is lost.
    let _ = report::write_classes(&mut io::stderr(), &classes, &rows, Style::default());
}

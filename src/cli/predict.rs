//! `asyncsgd predict`.

use super::load::Labels;
use super::models;
use super::options::TableArgs;
use super::output::Output;
use super::value::Check;
use asyncsgd::report::{self, Style};
use asyncsgd::{Dataset, Error, Loader, Metrics, Result, SavedModel, model::TensorModel};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Predict labels with a saved model, one line a row in the order of the data
#[derive(clap::Args, Debug)]
#[command(after_help = super::help::PREDICT)]
pub struct Args {
    /// Data of any form that train reads; - is standard input. Without it: the held-out part of the embedded
    /// flights
    pub data: Option<PathBuf>,
    /// The model, as train --save or LIBLINEAR wrote it
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
    if args.top.is_some() {
        return Err(Error::usage("--top: found a linear model, expected one of factors or of word vectors"));
    }
    let data = args.data.iter().chain([&args.model]).map(PathBuf::as_path).collect::<Vec<_>>();
    let output = match &args.output {
        Some(path) => Output::check(path, &data)?,
        None => Output::stdout(),
    };
    let model = SavedModel::load(&args.model)?;
    if args.probability && model.probabilities(&[0.0]).is_none() {
        return Err(Error::usage(format!(
            "--probability: found a {} model, expected a logistic one",
            model.loss
        )));
    }
    let data = load(args, &model)?;
    let scores = model.scores(&data)?;
    let words = |numbers: &[f64]| numbers.iter().map(f64::to_string).collect::<Vec<_>>().join(" ");
    let line = |out: &mut dyn Write, scores: &[f64]| match (args.probability, args.scores) {
        (true, _) => writeln!(out, "{}", words(&model.probabilities(scores).unwrap_or_default())),
        (_, true) => writeln!(out, "{}", words(scores)),
        _ => writeln!(out, "{}", model.predict(scores)),
    };
    output.write(|out| scores.chunks(model.outputs()).try_for_each(|scores| line(out, scores)))?;
    if !args.quiet
        && let Some(metrics) = metrics(&model, &scores, data)
    {
        tell(&metrics);
        tell_classes(&metrics, &model);
    }
    Ok(0)
}

/// The rows in the order of the file, with a fault where the model does not know a feature.
fn load(args: &Args, model: &SavedModel) -> Result<Dataset> {
    let Some(path) = &args.data else {
        return Dataset::flights(0).map(|(_, test)| test);
    };
    // One row without features gives the numbering that the file is read with: the model's own.
    let features = Dataset::from_csr(vec![0, 0], Vec::new(), Vec::new(), vec![0.0], model.features())?;
    args.loader(path, &features, !model.one_based)?.load()
}

impl Args {
    /// A loader of rows at `path` with the features of `like`.
    ///
    /// # Errors
    /// A line for each option that is wrong.
    pub fn loader(&self, path: &Path, like: &Dataset, zero_based: bool) -> Result<Loader> {
        let mut check = Check::default();
        let table = Labels::check(&mut check, self.table.clone());
        check.finish()?;
        let loader = Loader::new(path).like(like).zero_based(self.zero_based || zero_based).unlabelled();
        Ok(table.on(loader, table.file.as_deref()))
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
fn tell_classes(metrics: &Metrics, model: &SavedModel) {
    let Some(confusion) = &metrics.confusion else { return };
    let rows: Vec<Vec<u64>> = confusion.rows().map(<[u64]>::to_vec).collect();
    let classes = models::classes(metrics, &model.classes);
    // What standard error does not take is lost.
    let _ = report::write_classes(&mut io::stderr(), &classes, &rows, Style::default());
}

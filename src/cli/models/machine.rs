//! Factorization machines.

use super::Kind;
use crate::cli::gather;
use crate::cli::load::{Labels, Source};
use crate::cli::options::Training;
use crate::cli::output::Output;
use crate::cli::predict::{Args, ROWS, numbering};
use asyncsgd::record::{Data, Outcome, Record};
use asyncsgd::{
    Dataset, Metrics, Real, Result, Run,
    data::Columns,
    model::{FactorizationMachine, LossKind, MachineLayout, Model, Tensor, TensorModel},
};
use serde_json::json;
use std::path::Path;

/// A machine as `--model` and `--loss` ask for it.
#[derive(Debug, Clone)]
pub struct Machine {
    pub rank: usize,
    pub loss: LossKind,
}

impl Machine {
    fn layout(&self, train: &Dataset) -> MachineLayout {
        MachineLayout { features: train.features(), rank: self.rank }
    }
}

impl Kind for Machine {
    type Data = Dataset;

    fn load(&self, source: &Source, options: &Training) -> Result<(Dataset, Option<Dataset>)> {
        source.load(self.loss, options.seed)
    }

    fn examples(&self, data: &Dataset) -> usize {
        data.len()
    }

    fn about(&self, data: &Dataset, embedded: bool) -> Data {
        gather::data(data, embedded)
    }

    fn model<T: Real>(&self, options: &Training) -> impl Model<T, Data = Dataset> {
        let model = FactorizationMachine::new(self.loss, self.rank);
        match options.l2 {
            Some(l2) => model.with_l2(l2),
            None => model,
        }
    }

    fn objective(&self, options: &Training, train: &Dataset) -> (String, f64) {
        (self.loss.to_string(), options.l2.unwrap_or(1.0 / train.len() as f64))
    }

    fn outcome<T: Real>(
        &self,
        _: &Training,
        train: &Dataset,
        test: Option<&Dataset>,
        run: &Run<T>,
    ) -> Result<Outcome> {
        let data = test.unwrap_or(train);
        let metrics = Metrics::new(self.loss, &self.layout(train).scores(data, &run.weights), data.labels());
        Ok(outcome(if test.is_some() { "test" } else { "train" }, &metrics))
    }

    /// Tensors `bias` \[1\], `weights` \[features\] and `factors` \[features, rank\], by original id and for rows as they
    /// were before they were scaled.
    fn save<T: Real>(
        &self,
        path: &Path,
        options: &Training,
        train: &Dataset,
        run: &Run<T>,
        record: &Record,
    ) -> Result<()> {
        let layout = self.layout(train);
        let ranks = train.restore(&(0..train.features() as u32).collect::<Vec<_>>());
        let ranks = ranks.into_iter().map(|rank| rank as usize).zip(super::factors::<T>(train));
        let weights: Vec<T> =
            ranks.clone().map(|(i, factor)| run.weights[layout.weight(i)] * factor).collect();
        let row = |i: usize| run.weights[layout.factors(i)..][..self.rank].iter();
        let factors: Vec<T> = ranks.flat_map(|(i, factor)| row(i).map(move |&v| v * factor)).collect();
        let all = vec![
            Tensor::new("bias", &[1], &run.weights[..1]),
            Tensor::new("weights", &[layout.features], &weights),
            Tensor::new("factors", &[layout.features, self.rank], &factors),
        ];
        let mut model = super::tensors(options, record, all);
        let about = [
            ("loss", json!(self.loss.to_string())),
            ("classes", json!(train.classes())),
            ("features", json!(layout.features)),
            ("columns", json!(train.columns())),
            ("one_based", json!(train.one_based())),
        ];
        model.about.extend(about.map(|(key, value)| (key.to_owned(), value)));
        model.save(path)
    }
}

/// What is told of these metrics, of test or training rows.
pub fn outcome(on: &str, metrics: &Metrics) -> Outcome {
    Outcome {
        on: on.into(),
        accuracy: metrics.accuracy,
        auc: metrics.auc,
        log_loss: metrics.log_loss,
        rmse: metrics.rmse,
        mae: metrics.mae,
        ..Outcome::default()
    }
}

/// Predicts labels, probabilities or scores, one line a row.
///
/// # Errors
/// Where model, data or options do not fit, or the output cannot be written.
pub fn predict(model: &TensorModel, rank: usize, file: &str, args: &Args) -> Result<u8> {
    let (known, options) = known(model, file, args, &ROWS)?;
    let (path, output) = args.ends()?;
    let layout = MachineLayout { features: model.entry("features", file)?, rank };
    // What the file claims takes memory only once it is seen to hold it.
    let bias = model.tensor("bias", &[1], file)?[0];
    let linear = model.tensor("weights", &[layout.features], file)?;
    let factors = model.tensor("factors", &[layout.features, rank], file)?.chunks_exact(rank);
    let one_based: bool = model.entry("one_based", file)?;
    let like = numbering(layout.features, &known.columns)?;
    let data = args.rows(path, &options, &like, one_based)?;
    let mut weights = vec![0f64; layout.parameters()];
    weights[0] = bias;
    for (i, (&w, v)) in linear.iter().zip(factors).enumerate() {
        weights[layout.weight(i)] = w;
        weights[layout.factors(i)..][..rank].copy_from_slice(v);
    }
    let scores = layout.scores(&data, &weights);
    let labelled = match known.classes {
        Some(classes) => data.binary_as(classes).ok(),
        None => Some(data).filter(|data| data.labels().iter().all(|label| label.is_finite())),
    };
    tell(&output, args, &known, &scores, labelled.as_ref().map(Dataset::labels))
}

/// What a saved machine says of itself.
pub struct Known {
    pub loss: LossKind,
    /// Of a classifier.
    pub classes: Option<[f32; 2]>,
    pub columns: Columns,
}

/// What a saved machine says of itself, and where labels are, if the options suit it: those of all machines, and those
/// `taken`.
///
/// # Errors
/// Where they do not, or it is no whole machine.
pub fn known(model: &TensorModel, file: &str, args: &Args, taken: &[&str]) -> Result<(Known, Labels)> {
    let loss: LossKind = model.entry::<String>("loss", file)?.parse()?;
    let own = match loss {
        LossKind::Logistic => &["--scores", "--probability"][..],
        _ => &["--scores"],
    };
    let labels = args.check(&format!("a machine of {loss} loss"), &[own, taken].concat())?;
    let columns = super::columns(model, file)?;
    Ok((Known { loss, classes: model.entry("classes", file)?, columns }, labels))
}

/// Writes what the scores say, and the metrics where the labels are known.
///
/// # Errors
/// Where the output cannot be written.
pub fn tell(
    output: &Output,
    args: &Args,
    known: &Known,
    scores: &[f64],
    labels: Option<&[f32]>,
) -> Result<u8> {
    output.write(|out| {
        scores.iter().try_for_each(|&z| match known.classes {
            _ if args.scores => writeln!(out, "{z}"),
            Some(_) if args.probability => writeln!(out, "{}", 1.0 / (1.0 + (-z).exp())),
            Some([minus, plus]) => {
                writeln!(out, "{}", known.columns.label(if z > 0.0 { plus } else { minus }))
            }
            None => writeln!(out, "{z}"),
        })
    })?;
    if let Some(labels) = labels.filter(|_| !args.quiet) {
        crate::cli::predict::tell(&Metrics::new(known.loss, scores, labels));
    }
    Ok(0)
}

//! Softmax regression and multilayer perceptrons.

use super::{Folds, Kind};
use crate::cli::gather;
use crate::cli::load::Source;
use crate::cli::options::Training;
use crate::cli::predict::{Args, ROWS, numbering};
use asyncsgd::record::{Data, Outcome, Record};
use asyncsgd::{
    Dataset, Error, Metrics, Real, Result, Run,
    data::Columns,
    model::{Confusion, LossKind, Model, ModelSpec, NetworkOutput, Precision, Tensor, TensorModel},
};
use serde_json::json;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

/// A network as `--model` and `--loss` ask for it.
#[derive(Debug, Clone)]
pub struct Network {
    spec: ModelSpec,
    output: NetworkOutput,
}

impl Network {
    /// A network of this kind; outputs are numbers where the loss is squared, else classes.
    pub fn new(spec: ModelSpec, loss: LossKind) -> Self {
        let output = if loss == LossKind::Squared { NetworkOutput::Squared } else { NetworkOutput::Softmax };
        Self { spec, output }
    }

    fn network(&self, l2: Option<f64>) -> asyncsgd::model::Network {
        let network = match &self.spec {
            ModelSpec::Mlp(layers, activation) => {
                asyncsgd::model::Network::mlp(layers).with_activation(*activation).with_output(self.output)
            }
            _ => asyncsgd::model::Network::softmax(),
        };
        match l2 {
            Some(l2) => network.with_l2(l2),
            None => network,
        }
    }

    /// The features that the data must have at least.
    fn inputs(&self) -> usize {
        match &self.spec {
            ModelSpec::Mlp(layers, _) => layers[0],
            _ => 0,
        }
    }
}

impl Kind for Network {
    type Data = Dataset;

    fn load(&self, source: &Source, options: &Training) -> Result<(Dataset, Option<Dataset>)> {
        let (train, test) = source.read(options.seed, self.inputs())?;
        let (train, test) = match self.output {
            NetworkOutput::Squared => (train.numeric()?, test),
            NetworkOutput::Softmax => {
                let train = train.multiclass()?;
                let labels = train.classes().unwrap_or_default();
                let test = test.map(|test| test.multiclass_as(labels)).transpose()?;
                (train, test)
            }
        };
        // Data and model must fit before the work begins.
        self.network(options.l2).shape(train.features(), train.classes().map(<[f32]>::len))?;
        Ok((train, test))
    }

    fn examples(&self, data: &Dataset) -> usize {
        data.len()
    }

    fn about(&self, data: &Dataset, embedded: bool) -> Data {
        gather::data(data, embedded)
    }

    fn model<T: Real>(&self, options: &Training) -> impl Model<T, Data = Dataset> {
        self.network(options.l2)
    }

    fn folds<'a>(&self, data: &'a Dataset, options: &Training, folds: usize) -> Result<Folds<'a, Dataset>> {
        Ok(Box::new(data.folds(folds, options.seed)?))
    }

    fn objective(&self, options: &Training, train: &Dataset) -> (String, f64) {
        let loss = match self.output {
            NetworkOutput::Softmax => "softmax",
            NetworkOutput::Squared => "squared",
        };
        (loss.to_owned(), self.network(options.l2).l2(train.len()))
    }

    fn outcome<T: Real>(
        &self,
        options: &Training,
        train: &Dataset,
        test: Option<&Dataset>,
        run: &Run<T>,
    ) -> Result<Outcome> {
        let data = test.unwrap_or(train);
        let outputs = self.network(options.l2).outputs(data, &run.weights)?;
        let outcome =
            Outcome { on: if test.is_some() { "test" } else { "train" }.into(), ..Outcome::default() };
        Ok(match self.output {
            NetworkOutput::Softmax => {
                let labels = data.classes().unwrap_or_default();
                let (accuracy, log_loss, confusion) = quality(&outputs, data.labels(), labels.len());
                let classes = |confusion: &Confusion| super::classes(confusion, labels, &data.columns());
                Outcome {
                    accuracy: Some(accuracy),
                    log_loss: Some(log_loss),
                    classes: confusion.as_ref().map(classes).unwrap_or_default(),
                    confusion: confusion.iter().flat_map(Confusion::rows).map(<[u64]>::to_vec).collect(),
                    ..outcome
                }
            }
            NetworkOutput::Squared => {
                let scores: Vec<f64> = outputs.iter().map(|z| z[0]).collect();
                let metrics = Metrics::new(LossKind::Squared, &scores, data.labels());
                Outcome { rmse: metrics.rmse, mae: metrics.mae, ..outcome }
            }
        })
    }

    /// Tensors `weight1`, `bias1`, …: \[inputs, outputs\] and \[outputs\] of each layer, inputs by original id and as
    /// they were before they were scaled. An intercept is the bias of softmax regression.
    fn save<T: Real>(
        &self,
        path: &Path,
        options: &Training,
        train: &Dataset,
        run: &Run<T>,
        record: &Record,
    ) -> Result<()> {
        let shape = self.network(options.l2).shape(train.features(), train.classes().map(<[f32]>::len))?;
        let mut tensors = Vec::new();
        for (number, layer) in shape.layers().iter().enumerate() {
            let (width, mut matrix) = (layer.outputs(), run.weights[layer.matrix()].to_vec());
            let mut bias = layer.bias().map(|bias| run.weights[bias].to_vec());
            if number == 0 {
                let by_id = train.restore(&(0..train.features() as u32).collect::<Vec<_>>());
                let rows = by_id.iter().zip(super::factors::<T>(train)).flat_map(|(&rank, factor)| {
                    let row = &run.weights[layer.matrix()][rank as usize * width..][..width];
                    row.iter().map(move |&w| w * factor)
                });
                matrix = rows.collect();
                if train.intercept().is_some() {
                    bias = Some(matrix.split_off(matrix.len() - width));
                }
            }
            let inputs = matrix.len() / width;
            tensors.push(Tensor::new(format!("weight{}", number + 1), &[inputs, width], &matrix));
            tensors.extend(bias.map(|bias| Tensor::new(format!("bias{}", number + 1), &[width], &bias)));
        }
        let about = [
            ("labels", json!(train.classes())),
            ("features", json!(train.features() - usize::from(train.intercept().is_some()))),
            ("columns", json!(train.columns())),
            ("one_based", json!(train.one_based())),
            ("output", json!(if self.output == NetworkOutput::Softmax { "softmax" } else { "squared" })),
        ];
        let precision = if T::NAME == f32::NAME { Precision::F32 } else { Precision::F64 };
        let provenance = super::provenance(record).chain([
            ("data".to_owned(), train.name().to_owned()),
            ("data-hash".to_owned(), train.hash().to_owned()),
        ]);
        TensorModel {
            model: self.spec.to_string(),
            about: about.map(|(key, value)| (key.to_owned(), value)).into(),
            tensors,
            precision,
            provenance: provenance.collect::<BTreeMap<_, _>>(),
        }
        .save(path)
    }
}

/// The share of rows that are predicted right, the log-loss, and which class was taken for which unless classes are too
/// many.
fn quality(outputs: &[Vec<f64>], labels: &[f32], classes: usize) -> (f64, f64, Option<Confusion>) {
    let rows = || outputs.iter().zip(labels).map(|(z, &class)| (z, class as usize));
    let loss: f64 = rows().map(|(z, class)| ln_sum(z) - z[class]).sum();
    let pairs = || rows().map(|(z, class)| (class, best(z)));
    let (right, n) = (pairs().filter(|(is, predicted)| is == predicted).count(), outputs.len() as f64);
    (right as f64 / n, loss / n, (classes <= MOST_TOLD).then(|| Confusion::new(classes, pairs())))
}

/// Among more classes nothing is told of each: a count for each pair of a thousand takes 8 MB.
const MOST_TOLD: usize = 1000;

/// The first of the largest.
fn best(z: &[f64]) -> usize {
    (1..z.len()).fold(0, |best, c| if z[c] > z[best] { c } else { best })
}

/// ln Σ e^z.
fn ln_sum(z: &[f64]) -> f64 {
    let max = z.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    max + z.iter().map(|z| (z - max).exp()).sum::<f64>().ln()
}

/// Predicts with a saved network.
///
/// # Errors
/// Where model, data or options do not fit, or the output cannot be written.
pub fn predict(model: &TensorModel, file: &str, args: &Args) -> Result<u8> {
    let spec: ModelSpec = model.model.parse()?;
    let labels: Option<Vec<f32>> = model.entry("labels", file)?;
    let (features, one_based): (usize, bool) =
        (model.entry("features", file)?, model.entry("one_based", file)?);
    let output = match model.entry::<String>("output", file)?.as_str() {
        "softmax" if labels.is_some() => NetworkOutput::Softmax,
        "squared" if labels.is_none() => NetworkOutput::Squared,
        other => {
            let found = format!("outputs '{other}'");
            return Err(Error::input(file, 0, 0, found, "softmax with labels, or squared"));
        }
    };
    let (what, taken) = match labels {
        Some(_) => ("a network of classes", &["--scores", "--probability"][..]),
        None => ("a network of numbers", &["--scores"][..]),
    };
    let options = args.check(what, &[taken, &ROWS].concat())?;
    let (path, to) = args.ends()?;
    let softmax = spec == ModelSpec::Softmax;
    let biased = softmax && model.tensors.iter().any(|tensor| tensor.name == "bias1");
    let network = Network { spec, output }.network(Some(0.0));
    let shape = network.shape(features.saturating_add(usize::from(biased)), labels.as_ref().map(Vec::len))?;
    // What the file claims takes memory only once it is seen to hold it.
    let mut parts = Vec::new();
    for (number, layer) in (1..).zip(shape.layers()) {
        let inputs = layer.inputs() - usize::from(biased);
        let matrix = model.tensor(&format!("weight{number}"), &[inputs, layer.outputs()], file)?;
        let bias = biased || layer.bias().is_some();
        let bias = bias.then(|| model.tensor(&format!("bias{number}"), &[layer.outputs()], file));
        parts.push((layer, matrix, bias.transpose()?));
    }
    let columns: Columns = super::columns(model, file)?;
    let like = numbering(features, &columns)?;
    let like = if biased { like.with_intercept() } else { like };
    let data = args.rows(path, &options, &like, one_based)?;
    let mut weights = vec![0f64; shape.parameters()];
    for (layer, matrix, bias) in parts {
        // The intercept has rank 0.
        let first = layer.matrix().start;
        let at = layer.bias().unwrap_or(first..first + layer.outputs());
        let skipped = if biased { layer.outputs() } else { 0 };
        weights[layer.matrix()][skipped..].copy_from_slice(matrix);
        if let Some(bias) = bias {
            weights[at].copy_from_slice(bias);
        }
    }
    // Only the number of classes is asked for here: rows may have labels that the model does not know, or none.
    let outputs = shape.outputs(data.rows(), &weights);
    to.write(|out| {
        outputs.iter().try_for_each(|z| match &labels {
            _ if args.scores => line(out, z.iter().copied()),
            Some(_) if args.probability => {
                let sum = ln_sum(z);
                // Of two classes the second.
                let told = if z.len() == 2 { &z[1..] } else { &z[..] };
                line(out, told.iter().map(|z| (z - sum).exp()))
            }
            Some(labels) => writeln!(out, "{}", columns.label(labels[best(z)])),
            None => writeln!(out, "{}", z[0]),
        })
    })?;
    if args.quiet || data.labels().iter().any(|label| label.is_nan()) {
        return Ok(0);
    }
    match &labels {
        None => {
            let scores: Vec<f64> = outputs.iter().map(|z| z[0]).collect();
            crate::cli::predict::tell(&Metrics::new(LossKind::Squared, &scores, data.labels()));
        }
        // Labels that the model does not know are not judged.
        Some(labels) => {
            if let Ok(data) = data.multiclass_as(labels) {
                let (accuracy, log_loss, confusion) = quality(&outputs, data.labels(), labels.len());
                let rows = asyncsgd::report::count(data.len() as u64);
                let accuracy = 100.0 * accuracy;
                crate::cli::say(format_args!(
                    "accuracy {accuracy:.2} % · log-loss {log_loss:.4} ({rows} rows)"
                ));
                if let Some(confusion) = confusion {
                    crate::cli::predict::tell_classes(&confusion, labels, &columns);
                }
            }
        }
    }
    Ok(0)
}

/// Numbers with spaces between them.
fn line(out: &mut dyn Write, numbers: impl Iterator<Item = f64>) -> std::io::Result<()> {
    for (i, x) in numbers.enumerate() {
        write!(out, "{}{x}", if i > 0 { " " } else { "" })?;
    }
    writeln!(out)
}

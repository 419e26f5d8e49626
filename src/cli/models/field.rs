//! Field-aware factorization machines.

use super::Kind;
use crate::cli::load::Source;
use crate::cli::options::Training;
use crate::cli::predict::Args;
use asyncsgd::record::{Data, Outcome, Record};
use asyncsgd::{
    Metrics, Real, Result, Run,
    data::FieldRows,
    model::{FieldLayout, LossKind, Model, Tensor, TensorModel},
};
use serde_json::json;
use std::path::Path;

/// A field-aware machine as `--model` and `--loss` ask for it.
#[derive(Debug, Clone)]
pub struct FieldMachine {
    pub rank: usize,
    pub loss: LossKind,
}

impl FieldMachine {
    fn layout(&self, train: &FieldRows) -> FieldLayout {
        FieldLayout { features: train.ids().len(), fields: train.fields(), rank: self.rank }
    }
}

impl Kind for FieldMachine {
    type Data = FieldRows;

    fn load(&self, source: &Source, options: &Training) -> Result<(FieldRows, Option<FieldRows>)> {
        let train = FieldRows::open(source.file(), options.seed)?;
        let train = if self.loss.is_classification() { train.binary()? } else { train };
        let (train, test) = match (&source.test, source.test_fraction) {
            (Some(test), _) => {
                let test = FieldRows::like(test, train.ids(), train.fields())?;
                tell_unknown(&test);
                (train, Some(test))
            }
            (None, Some(fraction)) => {
                let (train, test) = train.split(fraction, options.seed)?;
                return Ok((train, Some(test)));
            }
            (None, None) => (train, None),
        };
        let test = match (test, train.classes()) {
            (Some(test), Some(classes)) => Some(test.binary_as(classes)?),
            (test, _) => test,
        };
        Ok((train, test))
    }

    fn examples(&self, data: &FieldRows) -> usize {
        data.len()
    }

    fn about(&self, data: &FieldRows, _: bool) -> Data {
        let positive = data.labels().iter().filter(|&&y| y > 0.0).count() as f64 / data.len() as f64;
        Data {
            path: data.name().into(),
            rows: data.len(),
            features: data.ids().len(),
            nonzeros: data.nonzeros(),
            hash: data.hash().into(),
            classes: data.classes().map(|classes| classes.to_vec()),
            positive: data.classes().map(|_| positive),
            ..Data::default()
        }
    }

    fn model<T: Real>(&self, options: &Training) -> impl Model<T, Data = FieldRows> {
        let model = asyncsgd::model::FieldMachine::new(self.loss, self.rank);
        match options.l2 {
            Some(l2) => model.with_l2(l2),
            None => model,
        }
    }

    fn objective(&self, options: &Training, train: &FieldRows) -> (String, f64) {
        (self.loss.to_string(), options.l2.unwrap_or(1.0 / train.len() as f64))
    }

    fn outcome<T: Real>(
        &self,
        _: &Training,
        train: &FieldRows,
        test: Option<&FieldRows>,
        run: &Run<T>,
    ) -> Result<Outcome> {
        let data = test.unwrap_or(train);
        let metrics = Metrics::new(self.loss, &self.layout(train).scores(&run.weights, data), data.labels());
        let on = if test.is_some() { "test" } else { "train" };
        Ok(super::machine::outcome(on, &metrics))
    }

    /// Tensors `bias` \[1\], `weights` \[features\] and `factors` \[features, fields, rank\], in the order of the ids.
    fn save<T: Real>(
        &self,
        path: &Path,
        options: &Training,
        train: &FieldRows,
        run: &Run<T>,
        record: &Record,
    ) -> Result<()> {
        let layout = self.layout(train);
        let features = 0..layout.features;
        let weights: Vec<T> = features.clone().map(|i| run.weights[layout.weight(i)]).collect();
        let width = layout.fields * self.rank;
        let factors: Vec<T> =
            features.flat_map(|i| run.weights[layout.factors(i, 0)..][..width].iter().copied()).collect();
        let all = vec![
            Tensor::new("bias", &[1], &run.weights[..1]),
            Tensor::new("weights", &[layout.features], &weights),
            Tensor::new("factors", &[layout.features, layout.fields, self.rank], &factors),
        ];
        let mut model = super::tensors(options, record, all);
        let about = [
            ("loss", json!(self.loss.to_string())),
            ("classes", json!(train.classes())),
            ("ids", json!(train.ids())),
            ("fields", json!(layout.fields)),
        ];
        model.about.extend(about.map(|(key, value)| (key.to_owned(), value)));
        model.save(path)
    }
}

/// Says how many of the values the model does not know, if any.
fn tell_unknown(data: &FieldRows) {
    if data.unknown() > 0 {
        let [unknown, all] = [data.unknown(), data.nonzeros()].map(|n| asyncsgd::report::count(n as u64));
        crate::cli::say(format_args!(
            "{}: {unknown} of {all} values are of a feature or a field that the model does not know: taken as 0",
            data.name()
        ));
    }
}

/// Predicts labels, probabilities or scores, one line a row.
///
/// # Errors
/// Where model, data or options do not fit, or the output cannot be written.
pub fn predict(model: &TensorModel, rank: usize, file: &str, args: &Args) -> Result<u8> {
    let (about, _) = super::machine::known(model, file, args, &[])?;
    let (path, output) = args.ends()?;
    let (ids, fields): (Vec<u32>, usize) = (model.entry("ids", file)?, model.entry("fields", file)?);
    let layout = FieldLayout { features: ids.len(), fields, rank };
    // What the file claims takes memory only once it is seen to hold it.
    let bias = model.tensor("bias", &[1], file)?[0];
    let linear = model.tensor("weights", &[layout.features], file)?;
    let factors =
        model.tensor("factors", &[layout.features, fields, rank], file)?.chunks_exact((fields * rank).max(1));
    let data = FieldRows::like(path, &ids, fields)?;
    if !args.quiet {
        tell_unknown(&data);
    }
    let mut weights = vec![0f64; layout.parameters()];
    weights[0] = bias;
    for (i, (&w, v)) in linear.iter().zip(factors).enumerate() {
        weights[layout.weight(i)] = w;
        weights[layout.factors(i, 0)..][..v.len()].copy_from_slice(v);
    }
    let scores = layout.scores(&weights, &data);
    let known = match about.classes {
        Some(classes) => data.binary_as(classes).ok(),
        None => Some(data),
    };
    super::machine::tell(&output, args, &about, &scores, known.as_ref().map(FieldRows::labels))
}

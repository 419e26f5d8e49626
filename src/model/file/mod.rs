//! Saved models: what a trained linear model needs to predict, and where it came from.

mod liblinear;
mod named;
mod tensors;
mod word2vec;

pub use named::{Tensor, TensorModel};

use super::kind::LossKind;
use super::loss::sigmoid;
use super::metrics::{largest, scores, shares};
use crate::data::{Columns, Dataset};
use crate::error::{Error, Result};
use crate::kernel::Row;
use crate::output;
use crate::real::Real;
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::str::FromStr;

/// A trained linear model as it is kept in a file, with weights by original feature id.
#[derive(Debug, Clone, PartialEq)]
pub struct SavedModel {
    /// The loss that it was trained with. LIBLINEAR text keeps the nearest solver.
    pub loss: LossKind,
    /// The L2 penalty; `None` where the file does not tell (LIBLINEAR text).
    pub l2: Option<f64>,
    /// The L1 penalty; `None` where the file does not tell.
    pub l1: Option<f64>,
    /// For a classifier the original labels: of two those of negative and of positive scores, of more one for each
    /// score, the largest of which tells the class. Empty for regression.
    pub classes: Vec<f32>,
    /// One weight for each feature, by original id from 0; of more than two classes so many for each class, one class
    /// after the other.
    pub weights: Vec<f64>,
    /// What is added to each score; empty where there is no intercept.
    pub bias: Vec<f64>,
    /// Whether id 0 is index 1 in LIBSVM text; always so in LIBLINEAR text.
    pub one_based: bool,
    /// The columns of the table that it was trained on. Not kept in LIBLINEAR text.
    pub columns: Columns,
    /// The type of the weights in the file. They are exact here in either case.
    pub precision: Precision,
    /// Where the model comes from: data hash, program version, step rule and whatever else is worth to know.
    /// Not kept in LIBLINEAR text.
    pub provenance: BTreeMap<String, String>,
}

/// The type of the weights in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Precision {
    /// Single precision.
    #[default]
    F32,
    /// Double precision.
    F64,
}

impl Precision {
    /// Both, in the order in which the help lists them.
    pub const ALL: [Precision; 2] = [Precision::F32, Precision::F64];
}

impl FromStr for Precision {
    type Err = Error;

    fn from_str(s: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|precision| precision.to_string() == s);
        found.ok_or_else(|| Error::usage(format!("precision '{s}': expected f32 or f64")))
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Precision::F32 => f32::NAME,
            Precision::F64 => f64::NAME,
        })
    }
}

/// How a model is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModelFormat {
    /// safetensors: tensors `weights` (\[features\], or \[classes, features\] for more than two) and, where there
    /// is an intercept, `bias` (\[1\] or \[classes\]); everything else as one JSON object in the metadata's entry `asyncsgd`.
    Safetensors,
    /// The text of LIBLINEAR, which its `predict` reads. Classes must be integers.
    Liblinear,
}

impl ModelFormat {
    /// The format that a file's name asks for: `.safetensors`, or LIBLINEAR text for `.model`.
    ///
    /// # Errors
    /// [`Error::Usage`] for any other name.
    pub fn of(path: &Path) -> Result<Self> {
        match path.extension().and_then(|e| e.to_str()) {
            Some("safetensors") => Ok(Self::Safetensors),
            Some("model") => Ok(Self::Liblinear),
            _ => Err(Error::usage(format!(
                "model file '{}': expected a name that ends in .safetensors or .model (LIBLINEAR text)",
                path.display()
            ))),
        }
    }
}

impl SavedModel {
    /// The model with these weights by rank, one for each feature or, of more than two classes, so many for each
    /// class, trained on `data`: its intercept becomes the bias; its classes, columns, hash and number of rows are
    /// kept. Where `data` were [scaled](Dataset::scaled), the weights become those for rows as they were before.
    /// Penalties and further provenance are the caller's to fill in.
    ///
    /// # Panics
    /// If there is not a whole number of weights for each feature.
    pub fn new<T: Real>(loss: LossKind, data: &Dataset, weights: &[T]) -> Self {
        assert_eq!(weights.len() % data.features().max(1), 0, "weights for each feature");
        let (mut all, mut bias) = (Vec::with_capacity(weights.len()), Vec::new());
        for weights in weights.chunks(data.features().max(1)) {
            let mut weights: Vec<f64> = data.restore(weights).into_iter().map(T::to_f64).collect();
            let factors = data.factors().unwrap_or_default();
            weights.iter_mut().zip(factors).for_each(|(w, factor)| *w *= f64::from(*factor));
            // The intercept is the last original id.
            bias.extend(data.intercept().and_then(|_| weights.pop()));
            all.extend(weights);
        }
        let provenance = [
            ("program", concat!("asyncsgd ", env!("CARGO_PKG_VERSION")).to_owned()),
            ("data", data.name().to_owned()),
            ("data-hash", data.hash().to_owned()),
            ("data-rows", data.len().to_string()),
        ];
        Self {
            loss,
            l2: None,
            l1: None,
            classes: if loss.is_classification() {
                data.classes().unwrap_or_default().to_vec()
            } else {
                Vec::new()
            },
            weights: all,
            bias,
            one_based: data.one_based(),
            columns: data.columns(),
            precision: if T::NAME == f32::NAME { Precision::F32 } else { Precision::F64 },
            provenance: provenance.map(|(key, value)| (key.to_owned(), value)).into(),
        }
    }

    /// How many scores a row has: one for each class where there are more than two, else one.
    pub fn outputs(&self) -> usize {
        if self.classes.len() > 2 { self.classes.len() } else { 1 }
    }

    /// The number of features.
    pub fn features(&self) -> usize {
        self.weights.len() / self.outputs()
    }

    /// w·x + bias for a row of original ids, from 0: [`SavedModel::outputs`] scores.
    ///
    /// # Errors
    /// [`Error::Usage`] where the row has a feature that the model does not know.
    pub fn score(&self, row: Row<'_>) -> Result<Vec<f64>> {
        let features = self.features();
        if row.end() > features {
            let found = row.end() - 1;
            return Err(Error::usage(format!("feature {found}: the model has {features}, counted from 0")));
        }
        let score = |weights: &[f64]| row.iter().map(|(i, v)| weights[i] * f64::from(v)).sum::<f64>();
        let mut scores: Vec<f64> =
            (0..self.outputs()).map(|k| score(&self.weights[k * features..])).collect();
        scores.iter_mut().zip(&self.bias).for_each(|(score, bias)| *score += bias);
        Ok(scores)
    }

    /// The scores of each row of a data set, by position, [`SavedModel::outputs`] a row; its features may be numbered
    /// in any way. In parallel.
    ///
    /// # Errors
    /// [`Error::Input`] where the data have more features than the model.
    pub fn scores(&self, data: &Dataset) -> Result<Vec<f64>> {
        let intercept = usize::from(data.intercept().is_some());
        let (features, known, outputs) = (data.features() - intercept, self.features(), self.outputs());
        if features > known {
            let first = usize::from(data.one_based());
            let found = format!("feature {}", features - 1 + first);
            let expected = format!("at most {}, as in the model", known - 1 + first);
            return Err(Error::input(data.name(), 0, 0, found, expected));
        }
        let bias = |k: usize| self.bias.get(k).copied().unwrap_or(0.0);
        let mut by_rank = Vec::with_capacity(outputs * data.features());
        for k in 0..outputs {
            let mut by_id = self.weights[k * known..][..features].to_vec();
            by_id.resize(features + intercept, bias(k));
            by_rank.extend(data.arrange(&by_id));
        }
        let mut scores = scores(data, &by_rank);
        if intercept == 0 {
            scores.iter_mut().enumerate().for_each(|(at, score)| *score += bias(at % outputs));
        }
        Ok(scores)
    }

    /// What the model says of a row with these scores: for a classifier the label of its class (of two the positive
    /// one where the score is above 0, of more that of the largest score), else the score.
    pub fn predict(&self, scores: &[f64]) -> f64 {
        match *self.classes {
            [] => scores[0],
            [minus, plus] => f64::from(if scores[0] > 0.0 { plus } else { minus }),
            ref classes => f64::from(classes[largest(scores)]),
        }
    }

    /// The probability of the positive class at this score, or of each of more than two classes at these; `None`
    /// where the loss gives none: for all but the logistic. Those of one class against the rest are divided by their
    /// sum.
    pub fn probabilities(&self, scores: &[f64]) -> Option<Vec<f64>> {
        let of = || if scores.len() == 1 { vec![sigmoid(scores[0])] } else { shares(scores).collect() };
        (self.loss == LossKind::Logistic).then(of)
    }

    /// Writes the model, in the format that the file's name asks for ([`ModelFormat::of`]). The old file stays
    /// until the new one is complete.
    ///
    /// # Errors
    /// [`Error::Usage`] where the name asks for no known format, a weight is not finite, or LIBLINEAR text
    /// cannot say it; [`Error::Io`] where the system refuses.
    pub fn save(&self, path: &Path) -> Result<()> {
        let format = ModelFormat::of(path)?;
        if !self.weights.iter().chain(&self.bias).all(|w| w.is_finite()) {
            return Err(Error::usage(format!("{}: not saved, as weights are not finite", path.display())));
        }
        let bytes = match format {
            ModelFormat::Safetensors => tensors::write(self, path)?,
            ModelFormat::Liblinear => liblinear::write(self, path)?,
        };
        output::write(path, &bytes)
    }

    /// Reads a model in either format, recognised by its content.
    ///
    /// # Errors
    /// [`Error::Io`] where the file cannot be read; [`Error::Input`] where it is no linear model, is damaged or
    /// is truncated.
    pub fn load(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(|e| Error::io("read", path, e))?;
        let file = path.display().to_string();
        if liblinear::is(&bytes) {
            return liblinear::read(&bytes, &file);
        }
        if tensors::is(&bytes) {
            return tensors::read(&bytes, &file);
        }
        let found = if bytes.is_empty() { "an empty file" } else { "something else" };
        Err(Error::input(file, 0, 0, found, "a model: safetensors or LIBLINEAR text"))
    }
}

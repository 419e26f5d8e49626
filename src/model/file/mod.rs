//! Saved models: what a trained linear model needs to predict, and where it came from.

mod liblinear;
mod named;
mod tensors;

pub use named::{Tensor, TensorModel};

use super::kind::LossKind;
use super::loss::sigmoid;
use super::metrics::scores;
use crate::data::Dataset;
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
    /// For a classifier the original labels of negative and of positive scores; `None` for regression.
    pub classes: Option<[f32; 2]>,
    /// One weight for each feature, by original id from 0.
    pub weights: Vec<f64>,
    /// What is added to each score; `None` where there is no intercept.
    pub bias: Option<f64>,
    /// Whether id 0 is index 1 in LIBSVM text; always so in LIBLINEAR text.
    pub one_based: bool,
    /// The name of each feature, by original id. Not kept in LIBLINEAR text.
    pub names: Option<Vec<String>>,
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
    /// safetensors: tensors `weights` (\[features\]) and, where there is an intercept, `bias` (\[1\]);
    /// everything else as one JSON object in the metadata's entry `asyncsgd`.
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
    /// The model with these weights by rank, trained on `data`: its intercept becomes the bias, its classes,
    /// names, hash and number of rows are kept. Penalties and further provenance are the caller's to fill in.
    ///
    /// # Panics
    /// If there is not one weight for each feature.
    pub fn new<T: Real>(loss: LossKind, data: &Dataset, weights: &[T]) -> Self {
        let mut weights: Vec<f64> = data.restore(weights).into_iter().map(T::to_f64).collect();
        let names = (0..data.features()).map(|rank| data.feature_name(rank)).collect::<Option<Vec<_>>>();
        let mut names = names.map(|n| data.restore(&n).into_iter().map(str::to_owned).collect::<Vec<_>>());
        // The intercept is the last original id.
        let bias = data.intercept().and_then(|_| {
            names.as_mut().map(Vec::pop);
            weights.pop()
        });
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
            classes: data.classes().and_then(|classes| classes.try_into().ok()),
            weights,
            bias,
            one_based: data.one_based(),
            names,
            precision: if T::NAME == f32::NAME { Precision::F32 } else { Precision::F64 },
            provenance: provenance.map(|(key, value)| (key.to_owned(), value)).into(),
        }
    }

    /// w·x + bias for a row of original ids, from 0.
    ///
    /// # Errors
    /// [`Error::Usage`] where the row has a feature that the model does not know.
    pub fn score(&self, row: Row<'_>) -> Result<f64> {
        if row.end() > self.weights.len() {
            let (found, features) = (row.end() - 1, self.weights.len());
            return Err(Error::usage(format!("feature {found}: the model has {features}, counted from 0")));
        }
        let score: f64 = row.iter().map(|(i, v)| self.weights[i] * f64::from(v)).sum();
        Ok(score + self.bias.unwrap_or(0.0))
    }

    /// The score of each row of a data set, by position; its features may be numbered in any way. In
    /// parallel.
    ///
    /// # Errors
    /// [`Error::Input`] where the data have more features than the model.
    pub fn scores(&self, data: &Dataset) -> Result<Vec<f64>> {
        let intercept = usize::from(data.intercept().is_some());
        let features = data.features() - intercept;
        let Some(weights) = self.weights.get(..features) else {
            let first = usize::from(data.one_based());
            let found = format!("feature {}", features - 1 + first);
            let expected = format!("at most {}, as in the model", self.weights.len() - 1 + first);
            return Err(Error::input(data.name(), 0, 0, found, expected));
        };
        let bias = self.bias.unwrap_or(0.0);
        let mut by_id = weights.to_vec();
        by_id.resize(features + intercept, bias);
        let mut scores = scores(data, &data.arrange(&by_id));
        if intercept == 0 {
            scores.iter_mut().for_each(|score| *score += bias);
        }
        Ok(scores)
    }

    /// What the model says of a row with this score: for a classifier the label of its class (the positive one
    /// where the score is above 0), else the score.
    pub fn predict(&self, score: f64) -> f64 {
        match self.classes {
            Some([minus, plus]) => f64::from(if score > 0.0 { plus } else { minus }),
            None => score,
        }
    }

    /// The probability of the positive class at this score; `None` where the loss gives none: for all but
    /// the logistic.
    pub fn probability(&self, score: f64) -> Option<f64> {
        (self.loss == LossKind::Logistic).then(|| sigmoid(score))
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

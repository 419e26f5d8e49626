//! Features on one scale.

use super::dataset::{Dataset, Numbering};
use crate::error::{Error, Result};
use crate::kernel::Rows;
use crate::sync::Arc;
use std::fmt;
use std::str::FromStr;

/// What the values of each feature are divided by. Zeros stay zeros, so that rows stay sparse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Scale {
    /// The standard deviation of the feature over all rows, zeros among them.
    #[default]
    Std,
    /// The largest absolute value of the feature.
    Max,
}

impl Scale {
    /// Both, in the order in which the help lists them.
    pub const ALL: [Scale; 2] = [Scale::Std, Scale::Max];
}

impl fmt::Display for Scale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Scale::Std => "std",
            Scale::Max => "max",
        })
    }
}

impl FromStr for Scale {
    type Err = Error;

    fn from_str(s: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|scale| scale.to_string() == s);
        found.ok_or_else(|| Error::usage(format!("scale '{s}': expected std or max")))
    }
}

impl Dataset {
    /// The data with every feature divided by its standard deviation or its largest absolute value; a constant
    /// feature stays as it is with [`Scale::Std`]. The factors are kept: a test set that is loaded like this one, or
    /// [`Dataset::scaled_as`] it, is multiplied by the same, and a [`SavedModel`](crate::SavedModel) takes rows as
    /// they were before. O(nonzeros).
    #[must_use]
    pub fn scaled(self, scale: Scale) -> Self {
        let n = self.len() as f64;
        // Sum, sum of squares and largest absolute value.
        let mut sums = vec![(0f64, 0f64, 0f64); self.features()];
        for row in self.rows.iter() {
            for (i, v) in row.iter() {
                let (v, sum) = (f64::from(v), &mut sums[i]);
                *sum = (sum.0 + v, sum.1 + v * v, sum.2.max(v.abs()));
            }
        }
        let factor = |(sum, squares, max): (f64, f64, f64)| {
            let unit = match scale {
                Scale::Max => max,
                Scale::Std => {
                    let (mean, square) = (sum / n, squares / n);
                    let variance = square - mean * mean;
                    // Of a constant feature rounding is left.
                    if variance > 1e-12 * square { variance.sqrt() } else { 1.0 }
                }
            };
            let factor = (1.0 / unit) as f32;
            if factor.is_normal() { factor } else { 1.0 }
        };
        let factors: Vec<f32> = sums.into_iter().map(factor).collect();
        let factors = self.restore(&factors);
        self.multiplied(&factors)
    }

    /// The data scaled as `train` was, if it was: for a test set with the numbering of `train`.
    ///
    /// # Errors
    /// [`Error::Usage`] where the two do not have the same number of features.
    pub fn scaled_as(self, train: &Dataset) -> Result<Self> {
        if self.features() != train.features() {
            let (found, expected) = (self.features(), train.features());
            let line = format!("{}: {found} features, the data that it is scaled as {expected}", self.name);
            return Err(Error::usage(line));
        }
        Ok(match train.numbering.factors.clone() {
            Some(factors) => self.multiplied(&factors),
            None => self,
        })
    }

    /// What the values of each feature were multiplied by, by original id; `None` where they are as read.
    pub fn factors(&self) -> Option<&[f32]> {
        self.numbering.factors.as_deref()
    }

    /// The data with every value multiplied by the factor of its feature, by original id.
    pub(super) fn multiplied(self, factors: &[f32]) -> Self {
        let by_rank = self.arrange(factors);
        let (starts, ids, values) = self.rows.arrays();
        let scaled = ids.iter().zip(values).map(|(&id, v)| v * by_rank[id as usize]).collect();
        let rows = Rows::new(starts.to_vec(), ids.to_vec(), scaled, self.features());
        let rows = Arc::new(rows.expect("rows stay sound when values change"));
        let before = self.numbering.factors.as_deref();
        let all = factors.iter().enumerate().map(|(id, factor)| factor * before.map_or(1.0, |b| b[id]));
        let numbering = Numbering { factors: Some(all.collect()), ..(*self.numbering).clone() };
        Self { rows, numbering: Arc::new(numbering), ..self }
    }
}

//! Classes whose rows count more than others.

use super::kind::LossKind;
use super::loss::Loss;
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::real::Real;
use std::fmt;
use std::str::FromStr;

/// A loss that is multiplied by a weight for each of two classes: a row of weight 2 counts as two rows do.
///
/// ```
/// use asyncsgd::model::{LinearModel, LogisticLoss, Weighted};
/// let rare = LinearModel::new(Weighted::new(LogisticLoss, [1.0, 2.5])).with_l2(1e-4);
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Weighted<L> {
    loss: L,
    weights: [f64; 2],
}

impl<L: Loss> Weighted<L> {
    /// `loss` times `weights[0]` where the label is negative, and times `weights[1]` where it is positive.
    ///
    /// # Panics
    /// If a weight is not above 0 and finite.
    pub fn new(loss: L, weights: [f64; 2]) -> Self {
        assert!(weights.iter().all(|w| *w > 0.0 && w.is_finite()), "weights above 0, found {weights:?}");
        Self { loss, weights }
    }

    #[inline]
    fn weight(self, positive: bool) -> f64 {
        self.weights[usize::from(positive)]
    }
}

/// (cℓ)′ = cℓ′, and (cℓ)*(u) = cℓ*(u/c).
impl<L: Loss> Loss for Weighted<L> {
    fn kind(self) -> LossKind {
        self.loss.kind()
    }
    #[inline]
    fn loss(self, z: f64, y: f64) -> f64 {
        self.weight(y > 0.0) * self.loss.loss(z, y)
    }
    #[inline]
    fn derivative(self, z: f64, y: f64) -> f64 {
        self.weight(y > 0.0) * self.loss.derivative(z, y)
    }
    #[inline]
    fn derivative_f32(self, z: f32, y: f32) -> f32 {
        self.weight(y > 0.0) as f32 * self.loss.derivative_f32(z, y)
    }
    fn curvature(self, y: f64) -> f64 {
        self.weight(y > 0.0) * self.loss.curvature(y)
    }
    fn second_derivative(self, z: f64, y: f64) -> f64 {
        self.weight(y > 0.0) * self.loss.second_derivative(z, y)
    }
    fn conjugate(self, u: f64, y: f64) -> f64 {
        let weight = self.weight(y > 0.0);
        weight * self.loss.conjugate(u / weight, y)
    }
    fn feasible(self, u: f64, y: f64) -> f64 {
        let weight = self.weight(y > 0.0);
        weight * self.loss.feasible(u / weight, y)
    }
    #[inline]
    fn dual_step<T: Real>(self, z: T, y: T, before: T, q: T) -> T {
        // With u = ca the condition u = cℓ′(z − q(u − before)) is the loss's own for a and cq.
        let weight = T::from_f64(self.weight(y > T::ZERO));
        weight * self.loss.dual_step(z, y, before / weight, q * weight)
    }
}

/// Weights for classes, as `--class-weight` has them: `1:2.5,-1:1`, where a class that is not named has weight 1, or
/// `balanced`.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum ClassWeights {
    /// Both classes of a problem weigh the same: rows/(2·rows of the class).
    #[default]
    Balanced,
    /// Labels, as the data have them, with their weights, > 0.
    Given(Vec<(f32, f64)>),
}

impl ClassWeights {
    /// The weights for labels −1 and +1 of a problem, for a [`Weighted`] loss. `classes` are what these labels were,
    /// `None` for the rest of one against the rest, which has weight 1 unless balanced.
    pub fn of(&self, data: &Dataset, classes: [Option<f32>; 2]) -> [f64; 2] {
        match self {
            Self::Balanced => {
                let positive = data.labels().iter().filter(|&&label| label > 0.0).count();
                [data.len() - positive, positive].map(|rows| data.len() as f64 / (2.0 * rows.max(1) as f64))
            }
            Self::Given(weights) => classes.map(|class| {
                let named = weights.iter().find(|(label, _)| Some(*label) == class);
                named.map_or(1.0, |(_, weight)| *weight)
            }),
        }
    }

    /// Makes sure that every label with a weight is among `classes`.
    ///
    /// # Errors
    /// [`Error::Usage`] with a line for each that is not.
    pub fn check(&self, classes: &[f32]) -> Result<()> {
        let Self::Given(weights) = self else { return Ok(()) };
        let unknown = weights.iter().filter(|(label, _)| !classes.contains(label));
        let lines: Vec<String> = unknown
            .map(|(label, _)| format!("class weights: found {label}, which no row has as label"))
            .collect();
        if lines.is_empty() { Ok(()) } else { Err(Error::Usage(lines)) }
    }
}

impl FromStr for ClassWeights {
    type Err = Error;

    fn from_str(s: &str) -> Result<Self> {
        if s == "balanced" {
            return Ok(Self::Balanced);
        }
        let wrong = || {
            Error::usage(format!(
                "class weights '{s}': expected balanced, or LABEL:WEIGHT,… with weights above 0"
            ))
        };
        let mut weights: Vec<(f32, f64)> = Vec::new();
        for part in s.split(',') {
            let (label, weight) = part.split_once(':').ok_or_else(wrong)?;
            let (label, weight) = (label.parse::<f32>(), weight.parse::<f64>());
            let (Ok(label), Ok(weight)) = (label, weight) else { return Err(wrong()) };
            if !(label.is_finite() && weight > 0.0 && weight.is_finite()) {
                return Err(wrong());
            }
            if weights.iter().any(|(known, _)| *known == label) {
                return Err(Error::usage(format!("class weights '{s}': found label {label} twice")));
            }
            weights.push((label, weight));
        }
        Ok(Self::Given(weights))
    }
}

impl fmt::Display for ClassWeights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Balanced => f.pad("balanced"),
            Self::Given(weights) => {
                let parts: Vec<String> = weights.iter().map(|(label, w)| format!("{label}:{w}")).collect();
                f.pad(&parts.join(","))
            }
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn texts_round_trip_and_bad_ones_are_refused() {
        for text in ["balanced", "1:2.5,-1:1", "0:0.001"] {
            assert_eq!(text.parse::<ClassWeights>().unwrap().to_string(), text);
        }
        for bad in ["", "1", "1:", "1:0", "1:-2", "x:1", "1:inf", "nan:1", "1:1,,2:1", "1:1,1:2", "Balanced"]
        {
            assert!(bad.parse::<ClassWeights>().is_err(), "{bad}");
        }
    }

    #[test]
    fn weights_by_label() {
        let labels = vec![1.0, -1.0, -1.0, -1.0];
        let data = Dataset::from_csr(vec![0; 5], vec![], vec![], labels, 1).unwrap().binary().unwrap();
        let of = |text: &str, classes| text.parse::<ClassWeights>().unwrap().of(&data, classes);
        let both = [Some(-1.0), Some(1.0)];
        assert_eq!(of("balanced", both), [4.0 / 6.0, 2.0]);
        assert_eq!(of("1:3", both), [1.0, 3.0]);
        assert_eq!(of("1:3,-1:0.5", both), [0.5, 3.0]);
        assert_eq!(of("7:3,-1:0.5", [None, Some(7.0)]), [1.0, 3.0]);
        let given: ClassWeights = "1:3,9:2,8:2".parse().unwrap();
        assert!(given.check(&[-1.0, 1.0, 8.0, 9.0]).is_ok());
        assert_eq!(given.check(&[-1.0, 1.0]).unwrap_err().to_string().lines().count(), 2);
    }
}

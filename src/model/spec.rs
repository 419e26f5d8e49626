//! Linear models by name, before they have met their data.

use super::kind::LossKind;
use super::linear::Linear;
use super::loss::{HingeLoss, HuberLoss, LogisticLoss, Loss, SquaredHingeLoss, SquaredLoss};
use super::objective::Model;
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::real::Real;

/// A linear model: mean loss + l2/2·‖w‖² + l1·‖w‖₁. The data's intercept, where it has one, is not
/// regularised.
///
/// ```
/// use asyncsgd::{Logistic, Squared};
/// let strong = Logistic::l2(1e-3);
/// let lasso = Squared::l2(0.0).with_l1(1e-4);
/// let default = Logistic::default(); // l2 = 1/rows
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct LinearModel<L> {
    loss: L,
    l2: Option<f64>,
    l1: f64,
}

/// Logistic regression: labels of two values.
pub type Logistic = LinearModel<LogisticLoss>;
/// A linear support vector machine: labels of two values.
pub type Hinge = LinearModel<HingeLoss>;
/// A linear support vector machine with squared slack: labels of two values.
pub type SquaredHinge = LinearModel<SquaredHingeLoss>;
/// Least squares, ridge and lasso: labels are numbers.
pub type Squared = LinearModel<SquaredLoss>;
/// Regression that outliers pull at with bounded force: labels are numbers.
pub type Huber = LinearModel<HuberLoss>;

impl<L: Loss + Default> LinearModel<L> {
    /// With this L2 penalty, ≥ 0, and no L1 penalty.
    pub fn l2(l2: f64) -> Self {
        Self { loss: L::default(), l2: Some(l2), l1: 0.0 }
    }
}

impl<L: Loss> LinearModel<L> {
    /// With this loss, l2 = 1/rows and no L1 penalty.
    pub fn new(loss: L) -> Self {
        Self { loss, l2: None, l1: 0.0 }
    }

    /// With this L2 penalty, ≥ 0.
    #[must_use]
    pub fn with_l2(mut self, l2: f64) -> Self {
        self.l2 = Some(l2);
        self
    }

    /// With this L1 penalty, ≥ 0.
    #[must_use]
    pub fn with_l1(mut self, l1: f64) -> Self {
        self.l1 = l1;
        self
    }
}

impl<T: Real, L: Loss> Model<T> for LinearModel<L> {
    type Data = Dataset;
    type Objective<'d> = Linear<'d, L>;

    fn bind<'d>(&self, data: &'d Dataset) -> Result<Linear<'d, L>> {
        let l2 = self.l2.unwrap_or(1.0 / data.len().max(1) as f64);
        let mut wrong = Vec::new();
        for (name, penalty) in [("l2", l2), ("l1", self.l1)] {
            if !(penalty >= 0.0 && penalty.is_finite()) {
                wrong.push(format!("{name}: found {penalty}, expected a number ≥ 0"));
            }
        }
        if !wrong.is_empty() {
            return Err(Error::Usage(wrong));
        }
        check_labels(self.loss.kind(), data)?;
        Ok(Linear::new(data.rows(), data.labels(), self.loss, l2, self.l1, data.intercept()))
    }
}

/// That a classifier's labels are −1 and +1.
pub(super) fn check_labels(loss: LossKind, data: &Dataset) -> Result<()> {
    let wrong = (0..data.len()).filter(|&i| loss.is_classification() && data.label(i).abs() != 1.0);
    let Some(i) = wrong.min_by_key(|&i| data.order()[i]) else { return Ok(()) };
    let expected = format!("labels -1 and +1 for {loss} loss (Dataset::binary maps any two values)");
    Err(data.wrong_label(i, "label", expected))
}

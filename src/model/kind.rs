//! The losses by name.

use super::loss::{HingeLoss, HuberLoss, LogisticLoss, Loss, SquaredHingeLoss, SquaredLoss};
use crate::real::Real;
use std::fmt;
use std::str::FromStr;

/// The losses by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum LossKind {
    /// [`LogisticLoss`](super::LogisticLoss).
    #[default]
    Logistic,
    /// [`HingeLoss`](super::HingeLoss).
    Hinge,
    /// [`SquaredHingeLoss`](super::SquaredHingeLoss).
    SquaredHinge,
    /// [`SquaredLoss`](super::SquaredLoss).
    Squared,
    /// [`HuberLoss`](super::HuberLoss) with δ = 1.
    Huber,
}

impl LossKind {
    /// All losses, in the order in which the help lists them.
    pub const ALL: [LossKind; 5] =
        [Self::Logistic, Self::Hinge, Self::SquaredHinge, Self::Squared, Self::Huber];

    /// Whether labels are two classes.
    pub fn is_classification(self) -> bool {
        matches!(self, Self::Logistic | Self::Hinge | Self::SquaredHinge)
    }

    /// Whether the loss has a second derivative that says something.
    pub fn is_curved(self) -> bool {
        self != Self::Hinge
    }
}

/// `$call` with `$loss` the loss of that kind: one predicted branch.
macro_rules! by_kind {
    ($kind:ident, $loss:ident => $call:expr) => {
        match $kind {
            LossKind::Logistic => {
                let $loss = LogisticLoss;
                $call
            }
            LossKind::Hinge => {
                let $loss = HingeLoss;
                $call
            }
            LossKind::SquaredHinge => {
                let $loss = SquaredHingeLoss;
                $call
            }
            LossKind::Squared => {
                let $loss = SquaredLoss;
                $call
            }
            LossKind::Huber => {
                let $loss = HuberLoss::default();
                $call
            }
        }
    };
}

/// A loss that is known only at run time. It costs a branch a row, and spares an instance of the engine for each
/// loss.
impl Loss for LossKind {
    fn kind(self) -> LossKind {
        self
    }
    #[inline]
    fn loss(self, z: f64, y: f64) -> f64 {
        by_kind!(self, loss => loss.loss(z, y))
    }
    #[inline]
    fn derivative(self, z: f64, y: f64) -> f64 {
        by_kind!(self, loss => loss.derivative(z, y))
    }
    #[inline]
    fn derivative_f32(self, z: f32, y: f32) -> f32 {
        by_kind!(self, loss => loss.derivative_f32(z, y))
    }
    fn curvature(self, y: f64) -> f64 {
        by_kind!(self, loss => loss.curvature(y))
    }
    fn second_derivative(self, z: f64, y: f64) -> f64 {
        by_kind!(self, loss => loss.second_derivative(z, y))
    }
    fn conjugate(self, u: f64, y: f64) -> f64 {
        by_kind!(self, loss => loss.conjugate(u, y))
    }
    fn feasible(self, u: f64, y: f64) -> f64 {
        by_kind!(self, loss => loss.feasible(u, y))
    }
    #[inline]
    fn dual_step<T: Real>(self, z: T, y: T, before: T, q: T) -> T {
        by_kind!(self, loss => loss.dual_step(z, y, before, q))
    }
}

impl fmt::Display for LossKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Logistic => "logistic",
            Self::Hinge => "hinge",
            Self::SquaredHinge => "squared-hinge",
            Self::Squared => "squared",
            Self::Huber => "huber",
        })
    }
}

impl FromStr for LossKind {
    type Err = crate::Error;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|kind| kind.to_string() == s).ok_or_else(|| {
            crate::Error::usage(format!(
                "loss '{s}': expected logistic, hinge, squared-hinge, squared or huber"
            ))
        })
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for kind in LossKind::ALL {
            assert_eq!(kind.to_string().parse::<LossKind>().unwrap(), kind);
        }
        assert!("log".parse::<LossKind>().is_err());
    }
}

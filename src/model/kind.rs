//! The losses by name.

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

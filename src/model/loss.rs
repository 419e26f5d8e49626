//! Losses of a linear model: ℓ(z, y), with z the row's score w·x and y its label.

use std::fmt;
use std::str::FromStr;

/// A loss ℓ(z, y) of score z and label y, with its derivative and a bound on its second derivative in z.
pub trait Loss: Copy + Send + Sync + 'static {
    /// Whether labels are two classes, −1 and +1; otherwise they are numbers.
    const CLASSES: bool;
    /// The loss as the command line calls it.
    const KIND: LossKind;
    /// ℓ(z, y).
    fn loss(self, z: f64, y: f64) -> f64;
    /// dℓ/dz. Where the loss has a kink, a subgradient.
    fn derivative(self, z: f64, y: f64) -> f64;
    /// The same in single precision: the hot loop's form, within 1e-6 of [`Loss::derivative`] for the labels
    /// of the loss.
    fn derivative_f32(self, z: f32, y: f32) -> f32;
    /// A bound on d²ℓ/dz²; for hinge, which has none, the weight that makes its steps behave like those of
    /// a loss of curvature 1.
    fn curvature(self) -> f64;
}

/// ln(1 + e^(−yz)).
#[derive(Debug, Clone, Copy, Default)]
pub struct LogisticLoss;

/// max(0, 1 − yz).
#[derive(Debug, Clone, Copy, Default)]
pub struct HingeLoss;

/// max(0, 1 − yz)².
#[derive(Debug, Clone, Copy, Default)]
pub struct SquaredHingeLoss;

/// (z − y)²/2.
#[derive(Debug, Clone, Copy, Default)]
pub struct SquaredLoss;

/// r²/2 for |r| ≤ δ, else δ(|r| − δ/2), with r = z − y (Huber 1964).
#[derive(Debug, Clone, Copy)]
pub struct HuberLoss {
    /// Where the loss turns from a square to a line; > 0.
    pub delta: f64,
}

impl Default for HuberLoss {
    fn default() -> Self {
        Self { delta: 1.0 }
    }
}

/// 1/(1 + e^(−x)) without overflow for any x.
pub(crate) fn sigmoid(x: f64) -> f64 {
    if x >= 0.0 {
        1.0 / (1.0 + (-x).exp())
    } else {
        let e = x.exp();
        e / (1.0 + e)
    }
}

impl Loss for LogisticLoss {
    const CLASSES: bool = true;
    const KIND: LossKind = LossKind::Logistic;
    #[inline]
    fn loss(self, z: f64, y: f64) -> f64 {
        let m = -y * z;
        // ln(1 + e^m) = max(m, 0) + ln(1 + e^−|m|): neither overflows nor loses small losses.
        m.max(0.0) + (-m.abs()).exp().ln_1p()
    }
    #[inline]
    fn derivative(self, z: f64, y: f64) -> f64 {
        -y * sigmoid(-y * z)
    }
    #[inline]
    fn derivative_f32(self, z: f32, y: f32) -> f32 {
        // e^(yz) may be infinite; 1/∞ = 0 is then the derivative.
        -y / (1.0 + (y * z).exp())
    }
    fn curvature(self) -> f64 {
        0.25
    }
}

impl Loss for HingeLoss {
    const CLASSES: bool = true;
    const KIND: LossKind = LossKind::Hinge;
    #[inline]
    fn loss(self, z: f64, y: f64) -> f64 {
        (1.0 - y * z).max(0.0)
    }
    #[inline]
    fn derivative(self, z: f64, y: f64) -> f64 {
        if y * z < 1.0 { -y } else { 0.0 }
    }
    #[inline]
    fn derivative_f32(self, z: f32, y: f32) -> f32 {
        if y * z < 1.0 { -y } else { 0.0 }
    }
    fn curvature(self) -> f64 {
        1.0
    }
}

impl Loss for SquaredHingeLoss {
    const CLASSES: bool = true;
    const KIND: LossKind = LossKind::SquaredHinge;
    #[inline]
    fn loss(self, z: f64, y: f64) -> f64 {
        (1.0 - y * z).max(0.0).powi(2)
    }
    #[inline]
    fn derivative(self, z: f64, y: f64) -> f64 {
        -2.0 * y * (1.0 - y * z).max(0.0)
    }
    #[inline]
    fn derivative_f32(self, z: f32, y: f32) -> f32 {
        -2.0 * y * (1.0 - y * z).max(0.0)
    }
    fn curvature(self) -> f64 {
        2.0
    }
}

impl Loss for SquaredLoss {
    const CLASSES: bool = false;
    const KIND: LossKind = LossKind::Squared;
    #[inline]
    fn loss(self, z: f64, y: f64) -> f64 {
        (z - y).powi(2) / 2.0
    }
    #[inline]
    fn derivative(self, z: f64, y: f64) -> f64 {
        z - y
    }
    #[inline]
    fn derivative_f32(self, z: f32, y: f32) -> f32 {
        z - y
    }
    fn curvature(self) -> f64 {
        1.0
    }
}

impl Loss for HuberLoss {
    const CLASSES: bool = false;
    const KIND: LossKind = LossKind::Huber;
    #[inline]
    fn loss(self, z: f64, y: f64) -> f64 {
        let r = (z - y).abs();
        if r <= self.delta { r * r / 2.0 } else { self.delta * (r - self.delta / 2.0) }
    }
    #[inline]
    fn derivative(self, z: f64, y: f64) -> f64 {
        (z - y).clamp(-self.delta, self.delta)
    }
    #[inline]
    fn derivative_f32(self, z: f32, y: f32) -> f32 {
        let delta = self.delta as f32;
        (z - y).clamp(-delta, delta)
    }
    fn curvature(self) -> f64 {
        1.0
    }
}

/// The losses by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum LossKind {
    /// [`LogisticLoss`].
    #[default]
    Logistic,
    /// [`HingeLoss`].
    Hinge,
    /// [`SquaredHingeLoss`].
    SquaredHinge,
    /// [`SquaredLoss`].
    Squared,
    /// [`HuberLoss`] with δ = 1.
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

    fn check<L: Loss>(loss: L) {
        let labels: &[f64] = if L::CLASSES { &[-1.0, 1.0] } else { &[-2.5, 0.0, 0.3] };
        for &y in labels {
            for i in -4001..4001 {
                let z = f64::from(i) * 1e-3 + 1.7e-4; // never on a kink
                let h = 1e-6;
                let numeric = (loss.loss(z + h, y) - loss.loss(z - h, y)) / (2.0 * h);
                let exact = loss.derivative(z, y);
                assert!((numeric - exact).abs() < 1e-6, "{}: z {z}, y {y}: {numeric} vs {exact}", L::KIND);
                let single = f64::from(loss.derivative_f32(z as f32, y as f32));
                assert!((single - exact).abs() < 2e-6, "{}: z {z}, y {y}: {single} vs {exact}", L::KIND);
                let second = (loss.derivative(z + h, y) - loss.derivative(z - h, y)) / (2.0 * h);
                assert!(second <= loss.curvature() * (1.0 + 1e-6), "{}: {second}", L::KIND);
            }
            for z in [-1e30, -1e4, 1e4, 1e30] {
                assert!(!loss.loss(z, y).is_nan() && !loss.derivative(z, y).is_nan());
                assert!(!loss.derivative_f32(z as f32, y as f32).is_nan(), "{} at {z}", L::KIND);
            }
        }
    }

    #[test]
    fn derivatives_agree_with_finite_differences() {
        check(LogisticLoss);
        check(HingeLoss);
        check(SquaredHingeLoss);
        check(SquaredLoss);
        check(HuberLoss { delta: 0.7 });
    }

    #[test]
    fn logistic_loss_is_exact_at_both_ends() {
        assert_eq!(LogisticLoss.loss(0.0, 1.0), std::f64::consts::LN_2);
        assert_eq!(LogisticLoss.loss(-1000.0, 1.0), 1000.0);
        assert!(LogisticLoss.loss(40.0, 1.0) > 4e-18);
    }

    #[test]
    fn names_round_trip() {
        for kind in LossKind::ALL {
            assert_eq!(kind.to_string().parse::<LossKind>().unwrap(), kind);
        }
        assert!("log".parse::<LossKind>().is_err());
    }
}

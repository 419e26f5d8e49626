//! How an objective is minimised, and which way suits which data.

use crate::error::{Error, Result};
use crate::model::{Linear, Loss, Newton};
use crate::step::{Concurrency, StepRule, Weight};
use std::fmt;
use std::str::FromStr;

/// How an objective is minimised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Algorithm {
    /// Chosen from the data where there is a target gap; else [`Algorithm::Sgd`].
    #[default]
    Auto,
    /// Asynchronous stochastic gradient descent.
    Sgd,
    /// Asynchronous AdaGrad ([`Scaled`](crate::model::Scaled)): a step length for each coordinate. Linear models.
    AdaGrad,
    /// Asynchronous SVRG with a step length for each coordinate ([`Scaled`](crate::model::Scaled)): linear
    /// convergence, with an L1 penalty too. Each epoch costs a second, parallel pass. Linear models.
    Svrg,
    /// Asynchronous SAGA with a step length for each coordinate ([`Scaled`](crate::model::Scaled)): as SVRG
    /// without the second pass, but a second array of shared numbers is written. Linear models.
    Saga,
    /// Asynchronous stochastic dual coordinate ascent ([`Dual`](crate::model::Dual)). Linear models.
    Sdca,
    /// An epoch or two of asynchronous SGD, then Newton's method with parallel passes ([`Newton`]). Linear models.
    Newton,
}

impl Algorithm {
    /// All algorithms, in the order in which the help lists them.
    pub const ALL: [Self; 7] =
        [Self::Auto, Self::Sgd, Self::AdaGrad, Self::Svrg, Self::Saga, Self::Sdca, Self::Newton];

    /// Whether it converges to the optimum at a constant rate, so that a target gap may take as many epochs as it
    /// takes.
    pub fn is_exact(self) -> bool {
        !matches!(self, Self::Sgd | Self::AdaGrad)
    }

    /// Passes over the examples where nothing is said of them: 10, or where a target gap is to end the run as many as it
    /// takes.
    pub fn epochs(self, target_gap: Option<f64>) -> f64 {
        if self.is_exact() && target_gap.is_some() { MOST_EPOCHS } else { EPOCHS }
    }

    /// Whether delays may change steps by this rule.
    ///
    /// # Errors
    /// Where they may not: weights would separate the parameters of dual coordinate ascent from their dual values. The
    /// default is taken for none.
    pub fn check_rule(self, weight: Weight, concurrency: Concurrency) -> Result<()> {
        let none = matches!(weight, Weight::Constant | Weight::DelayAdaptive);
        if self != Self::Sdca || none && concurrency == Concurrency::default() {
            return Ok(());
        }
        let rule = StepRule { concurrency, ..StepRule::new(1.0, weight) };
        Err(Error::usage(format!("algorithm sdca: found step rule {rule}, expected constant or none")))
    }

    /// The algorithm that reaches a gap soonest on the data of `linear`, and why.
    ///
    /// Dual coordinate ascent contracts the gap by e^(−1/(1 + ρ)) an epoch at least, ρ = κ·mean ‖x‖²/(λn)
    /// (Shalev-Shwartz & Zhang 2013): where rows are short, whatever the number of features. Newton's method does
    /// not care about ρ, but walks all features many times where it walks the nonzeros once.
    pub(super) fn choose<L: Loss>(linear: &Linear<'_, L>) -> (Self, String) {
        let ratio = linear.smoothness() / (linear.l2() * linear.rows().len() as f64);
        let nonzeros = linear.rows().nonzeros() as f64 / linear.used().max(1) as f64;
        if linear.l1() > 0.0 {
            (Self::Svrg, "with an L1 penalty".into())
        } else if linear.loss().is_curved() && Newton::is_dense(linear) {
            (Self::Newton, format!("{} features: the system is solved directly", linear.rows().features()))
        } else if !linear.loss().is_curved() {
            (Self::Sdca, format!("{} loss has no second derivative", linear.loss()))
        } else if ratio <= SHORT {
            (Self::Sdca, format!("L/(l2·rows) = {ratio:.3}: rows are short"))
        } else if nonzeros <= WIDE.0 && ratio <= WIDE.1 {
            (Self::Sdca, format!("{nonzeros:.1} nonzeros a feature: features are many"))
        } else {
            (Self::Newton, format!("L/(l2·rows) = {ratio:.3}: rows are long"))
        }
    }
}

/// Where nothing is said, …
const EPOCHS: f64 = 10.0;

/// … and where a target gap is not reached.
const MOST_EPOCHS: f64 = 10_000.0;

/// The largest L/(λn) at which dual coordinate ascent is chosen, …
const SHORT: f64 = 1.5;

/// … and where features are many: with at most so many nonzeros for each, up to this L/(λn).
const WIDE: (f64, f64) = (8.0, 200.0);

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Auto => "auto",
            Self::Sgd => "sgd",
            Self::AdaGrad => "adagrad",
            Self::Svrg => "svrg",
            Self::Saga => "saga",
            Self::Sdca => "sdca",
            Self::Newton => "newton",
        })
    }
}

impl FromStr for Algorithm {
    type Err = Error;

    fn from_str(s: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.to_string() == s).ok_or_else(|| {
            let expected = "expected auto, sgd, adagrad, svrg, saga, sdca or newton";
            Error::usage(format!("algorithm '{s}': {expected}"))
        })
    }
}

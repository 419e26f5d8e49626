//! Momentum and Adam: what a worker makes of its own gradients before it steps along them.

use super::text;
use crate::error::Error;
use std::fmt;
use std::str::FromStr;

/// What direction a worker steps in. Each worker keeps the running means of its own gradients; none are shared. A step
/// with momentum or Adam costs O(parameters), however few the gradient has: it suits networks with mini-batches.
///
/// Asynchrony makes momentum by itself: n workers act like momentum 1 − 1/n (Mitliagkas et al. 2016), so that explicit
/// momentum should shrink as workers are added. The delay's weight multiplies the step, after the division of Adam,
/// which would otherwise cancel it.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[non_exhaustive]
pub enum Optimizer {
    /// `sgd`: the gradient.
    #[default]
    Sgd,
    /// `momentum:BETA`: u ← βu + g, a step along u (Polyak 1964).
    Momentum {
        /// β in \[0, 1).
        beta: f64,
    },
    /// `adam` or `adam:BETA1,BETA2`: a step along m/(√v + 1e-8), m and v the running means of g and g², freed of
    /// their start at 0 (Kingma and Ba 2015).
    Adam {
        /// β₁ in \[0, 1); 0.9 unless said.
        beta1: f64,
        /// β₂ in \[0, 1); 0.999 unless said.
        beta2: f64,
    },
}

impl Optimizer {
    /// How many vectors as long as the parameters a worker keeps.
    pub(crate) fn vectors(self) -> u128 {
        match self {
            Self::Sgd => 0,
            Self::Momentum { .. } => 2,
            Self::Adam { .. } => 3,
        }
    }

    /// What is wrong with the numbers, if anything.
    pub(crate) fn problem(self) -> Option<String> {
        let means: &[f64] = match &self {
            Self::Sgd => &[],
            Self::Momentum { beta } => std::slice::from_ref(beta),
            Self::Adam { beta1, beta2 } => &[*beta1, *beta2],
        };
        let wrong = means.iter().find(|beta| !(0.0..1.0).contains(*beta))?;
        Some(format!("optimizer: found {wrong}, expected numbers from 0 to below 1"))
    }

    /// What a user with so many workers should know, a line each.
    pub(crate) fn warnings(self, workers: usize) -> Vec<String> {
        let others = (workers - 1) as f64;
        let (momentum, less, beta2) = match self {
            Self::Sgd => return Vec::new(),
            Self::Momentum { beta } => (beta, "less", 1.0),
            Self::Adam { beta1, beta2 } => (beta1, "less than its first number", beta2),
        };
        let implied = (workers > 1 && momentum > 0.0).then(|| {
            format!(
                "{self} with {workers} workers: asynchrony acts like momentum {:.2} by itself; {less} may converge sooner",
                others / workers as f64
            )
        });
        let late = (others * (1.0 - beta2) > 0.1).then(|| {
            format!(
                "{self} with {workers} workers: gradients that are {others} updates late are much of the mean of the \
                 squares; nearer to 1 the second number is safer"
            )
        });
        implied.into_iter().chain(late).collect()
    }
}

impl fmt::Display for Optimizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Sgd => f.pad("sgd"),
            Self::Momentum { beta } => write!(f, "momentum:{beta}"),
            Self::Adam { beta1, beta2 } if (beta1, beta2) == (0.9, 0.999) => f.pad("adam"),
            Self::Adam { beta1, beta2 } => write!(f, "adam:{beta1},{beta2}"),
        }
    }
}

impl FromStr for Optimizer {
    type Err = Error;

    fn from_str(s: &str) -> Result<Self, Error> {
        let (name, argument) = text::split(s);
        let found = match name {
            "sgd" if argument.is_none() => Some(Self::Sgd),
            "momentum" => text::number(argument).map(|beta| Self::Momentum { beta }),
            "adam" if argument.is_none() => Some(Self::Adam { beta1: 0.9, beta2: 0.999 }),
            "adam" => text::pair(argument, None).map(|(beta1, beta2)| Self::Adam { beta1, beta2 }),
            _ => None,
        };
        found.filter(|optimizer| optimizer.problem().is_none()).ok_or_else(|| {
            Error::usage(format!(
                "optimizer '{s}': expected sgd, momentum:0.9, adam or adam:0.9,0.999, numbers from 0 to below 1"
            ))
        })
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn texts_round_trip_and_bad_ones_are_refused() {
        for text in ["sgd", "momentum:0.9", "momentum:0", "adam", "adam:0.8,0.99"] {
            assert_eq!(text.parse::<Optimizer>().unwrap().to_string(), text);
        }
        for bad in
            ["", "sgd:1", "momentum", "momentum:1", "momentum:-0.1", "adam:0.9", "adam:0.9,1", "adam:x,0"]
        {
            assert!(bad.parse::<Optimizer>().is_err(), "{bad}");
        }
    }

    #[test]
    fn warns_of_momentum_beside_asynchrony() {
        let of = |text: &str, workers| text.parse::<Optimizer>().unwrap().warnings(workers);
        assert!(of("momentum:0.9", 1).is_empty() && of("sgd", 64).is_empty() && of("adam", 1).is_empty());
        assert!(of("momentum:0.9", 4)[0].contains("0.75") && of("adam", 4)[0].contains("0.75"));
        // What the first number does, and what the second.
        assert!(of("momentum:0", 4).is_empty() && of("adam:0,0.999", 8).is_empty());
        assert_eq!((of("adam", 8).len(), of("adam:0,0.9", 8).len(), of("adam:0.9,0.9", 8).len()), (1, 1, 2));
    }
}

//! What to train, by name.

use crate::error::Error;
use std::fmt;
use std::str::FromStr;

/// A kind of model with its sizes, as `--model` names it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ModelSpec {
    /// `linear`: a linear model with a loss.
    #[default]
    Linear,
    /// `softmax`: multinomial logistic regression, a score for each class.
    Softmax,
    /// `mlp:784-128-10` or `mlp:784-128-10,tanh`: a multilayer perceptron.
    Mlp(Vec<usize>, Activation),
}

/// What follows each hidden layer of a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Activation {
    /// max(z, 0).
    #[default]
    Relu,
    /// tanh z.
    Tanh,
}

/// The most inputs or outputs of a layer.
const WIDEST: usize = 1 << 28;

impl fmt::Display for Activation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Relu => "relu",
            Self::Tanh => "tanh",
        })
    }
}

impl fmt::Display for ModelSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Linear => f.pad("linear"),
            Self::Softmax => f.pad("softmax"),
            Self::Mlp(layers, activation) => {
                let sizes: Vec<String> = layers.iter().map(usize::to_string).collect();
                let other = match activation {
                    Activation::Relu => String::new(),
                    other => format!(",{other}"),
                };
                f.pad(&format!("mlp:{}{other}", sizes.join("-")))
            }
        }
    }
}

impl FromStr for ModelSpec {
    type Err = Error;

    fn from_str(s: &str) -> Result<Self, Error> {
        let (kind, sizes) = s.split_once(':').map_or((s, None), |(kind, sizes)| (kind, Some(sizes)));
        match (kind, sizes) {
            ("linear", None) => Ok(Self::Linear),
            ("softmax", None) => Ok(Self::Softmax),
            ("mlp", Some(sizes)) => network(sizes).ok_or_else(|| {
                Error::usage(format!(
                    "model '{s}': expected at least three layers such as mlp:784-128-10, and perhaps ,tanh"
                ))
            }),
            _ => Err(Error::usage(format!("model '{s}': expected linear, softmax or mlp:784-128-10"))),
        }
    }
}

/// The model `784-128-10` or `784-128-10,tanh`.
fn network(text: &str) -> Option<ModelSpec> {
    let (sizes, activation) = text.split_once(',').unwrap_or((text, "relu"));
    let activation = match activation {
        "relu" => Activation::Relu,
        "tanh" => Activation::Tanh,
        _ => return None,
    };
    let layers: Option<Vec<usize>> =
        sizes.split('-').map(|n| n.parse().ok().filter(|n| (1..=WIDEST).contains(n))).collect();
    layers.filter(|layers| layers.len() > 2).map(|layers| ModelSpec::Mlp(layers, activation))
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for name in ["linear", "softmax", "mlp:784-128-10", "mlp:4-3-2-1,tanh"] {
            assert_eq!(name.parse::<ModelSpec>().unwrap().to_string(), name);
        }
        assert_eq!("mlp:4-3-2,relu".parse::<ModelSpec>().unwrap().to_string(), "mlp:4-3-2");
        for bad in [
            "",
            "softmax:3",
            "mlp",
            "mlp:",
            "mlp:4-2",
            "mlp:4-0-2",
            "mlp:4--2",
            "mlp:4-3-2,sin",
            "mlp:1-2-3-x",
        ] {
            let error = bad.parse::<ModelSpec>().unwrap_err();
            assert!(error.to_string().contains("expected"), "{bad}: {error}");
        }
    }
}

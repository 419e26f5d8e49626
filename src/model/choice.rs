//! What to train, by name.

use super::skipgram::SkipGram;
use crate::data::Corpus;
use crate::error::Error;
use std::fmt;
use std::str::FromStr;

/// A kind of model with its sizes, as `--model` names it.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum ModelSpec {
    /// `linear`: a linear model with a loss.
    #[default]
    Linear,
    /// `softmax`: multinomial logistic regression, a score for each class.
    Softmax,
    /// `mlp:784-128-10` or `mlp:784-128-10,tanh`: a multilayer perceptron.
    Mlp(Vec<usize>, Activation),
    /// `mf:32` or `nmf:32`: a matrix factorization of this rank, or a non-negative one.
    Factorization {
        /// The number of factors.
        rank: usize,
        /// Whether factors are at least 0.
        nonnegative: bool,
    },
    /// `fm:8`: a factorization machine of this rank.
    Machine(usize),
    /// `ffm:4`: a field-aware factorization machine of this rank.
    FieldMachine(usize),
    /// `skipgram:100` or `skipgram:100,window=5,negatives=5,sample=0.0001,min-count=5`: word vectors.
    SkipGram(SkipGram, u64),
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
            Self::Factorization { rank, nonnegative } => {
                f.pad(&format!("{}:{rank}", if *nonnegative { "nmf" } else { "mf" }))
            }
            Self::Machine(rank) => f.pad(&format!("fm:{rank}")),
            Self::FieldMachine(rank) => f.pad(&format!("ffm:{rank}")),
            Self::SkipGram(model, min_count) => {
                let cut = match *min_count {
                    Corpus::MIN_COUNT => String::new(),
                    cut => format!(",min-count={cut}"),
                };
                f.pad(&format!("skipgram:{model}{cut}"))
            }
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
            ("mf" | "nmf" | "fm" | "ffm", Some(sizes)) => {
                let rank = sizes.parse().ok().filter(|rank| (1..=WIDEST_ROW).contains(rank));
                let rank = rank.ok_or_else(|| {
                    Error::usage(format!(
                        "model '{s}': expected a rank from 1 to {WIDEST_ROW}, such as {kind}:8"
                    ))
                })?;
                Ok(match kind {
                    "fm" => Self::Machine(rank),
                    "ffm" => Self::FieldMachine(rank),
                    _ => Self::Factorization { rank, nonnegative: kind == "nmf" },
                })
            }
            ("skipgram", Some(sizes)) => skipgram(sizes).ok_or_else(|| {
                Error::usage(format!(
                    "model '{s}': expected skipgram:100, and perhaps ,window=5 ,negatives=5 ,sample=0.0001 \
                     ,min-count=5 in any order"
                ))
            }),
            _ => Err(Error::usage(format!(
                "model '{s}': expected linear, softmax, mlp:784-128-10, mf:32, nmf:32, fm:8, ffm:4 or skipgram:100"
            ))),
        }
    }
}

/// The longest row of factors, or word vector.
const WIDEST_ROW: usize = 1 << 16;

/// The model `100` or `100,window=5`.
fn skipgram(text: &str) -> Option<ModelSpec> {
    let mut parts = text.split(',');
    let dimensions = parts.next()?.parse().ok().filter(|n| (1..=WIDEST_ROW).contains(n))?;
    let (mut model, mut min_count) = (SkipGram::new(dimensions), Corpus::MIN_COUNT);
    let mut seen = Vec::new();
    for part in parts {
        let (name, value) = part.split_once('=')?;
        if seen.contains(&name) {
            return None;
        }
        seen.push(name);
        let few = || value.parse().ok().filter(|n| (1..=1000).contains(n));
        model = match name {
            "window" => model.with_window(few()?),
            "negatives" => model.with_negatives(few()?),
            "sample" => model.with_sample(value.parse().ok().filter(|t: &f64| *t >= 0.0 && t.is_finite())?),
            "min-count" => {
                min_count = value.parse().ok().filter(|&n| n > 0)?;
                model
            }
            _ => return None,
        };
    }
    Some(ModelSpec::SkipGram(model, min_count))
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
        for name in [
            "linear",
            "softmax",
            "mlp:784-128-10",
            "mlp:4-3-2-1,tanh",
            "mf:32",
            "nmf:8",
            "fm:4",
            "ffm:4",
            "skipgram:100",
            "skipgram:64,window=8,sample=0.001,min-count=2",
        ] {
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
            "mf",
            "mf:0",
            "nmf:-1",
            "fm:a",
            "skipgram:0",
            "skipgram:9,window=0",
            "skipgram:9,window",
            "skipgram:9,window=5,window=3",
            "skipgram:9,depth=1",
            "skipgram:9,sample=-1",
        ] {
            let error = bad.parse::<ModelSpec>().unwrap_err();
            assert!(error.to_string().contains("expected"), "{bad}: {error}");
        }
    }
}

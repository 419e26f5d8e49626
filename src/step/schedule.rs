//! How the base rate changes over the epochs.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use super::text;
use crate::{Error, Result};

const MENU: &str = "constant, inverse-time:D, inverse-sqrt:D, cosine:EPOCHS, warmup:EPOCHS[,SCHEDULE]";

/// The factor on the base rate at time t, measured in epochs (passes over the data).
///
/// Without a data set one epoch is one iteration. Every factor lies in \[0, 1\]. The text form is given
/// with each variant; [`fmt::Display`] prints it and [`FromStr`] reads it back identically.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub enum Schedule {
    /// `constant`: 1.
    #[default]
    Constant,
    /// `inverse-time:D`: 1/(1 + D·t), the classical decay of Robbins and Monro (1951).
    InverseTime {
        /// D ≥ 0, per epoch.
        decay: f64,
    },
    /// `inverse-sqrt:D`: 1/√(1 + D·t), the decay of convex problems without strong convexity
    /// (Nemirovski, Juditsky, Lan, Shapiro 2009).
    InverseSqrt {
        /// D ≥ 0, per epoch.
        decay: f64,
    },
    /// `cosine:E`: (1 + cos(π·t/E))/2 until epoch E, and 0 from then on: the run has ended
    /// (Loshchilov and Hutter 2017, without restarts).
    Cosine {
        /// E > 0, the length of the run in epochs.
        epochs: f64,
    },
    /// `warmup:W[,SCHEDULE]`: t/W until epoch W, then the other schedule, whose time starts there
    /// (theory: late gradients kick hardest early on, while they are large). Without a SCHEDULE it is
    /// constant.
    WarmUp {
        /// W > 0, epochs.
        epochs: f64,
        /// What follows; not another warm-up.
        then: Box<Schedule>,
    },
}

impl Schedule {
    /// The factor at `epoch` ≥ 0, in \[0, 1\].
    #[inline]
    pub fn factor(&self, epoch: f64) -> f64 {
        match self {
            Schedule::Constant => 1.0,
            Schedule::InverseTime { decay } => 1.0 / (1.0 + decay * epoch),
            Schedule::InverseSqrt { decay } => 1.0 / (1.0 + decay * epoch).sqrt(),
            Schedule::Cosine { epochs } if epoch < *epochs => {
                0.5 * (1.0 + (std::f64::consts::PI * epoch / epochs).cos())
            }
            Schedule::Cosine { .. } => 0.0,
            Schedule::WarmUp { epochs, .. } if epoch < *epochs => epoch / epochs,
            Schedule::WarmUp { epochs, then } => then.factor(epoch - epochs),
        }
    }

    /// What is wrong with the parameters, if anything.
    pub(super) fn problem(&self) -> Option<String> {
        match self {
            Schedule::Constant => None,
            Schedule::InverseTime { decay } | Schedule::InverseSqrt { decay } => (!(decay.is_finite()
                && *decay >= 0.0))
                .then(|| format!("schedule {self}: the decay must be a number of at least 0")),
            Schedule::Cosine { epochs } => {
                (!positive(*epochs)).then(|| format!("schedule {self}: the epochs must be a number above 0"))
            }
            Schedule::WarmUp { epochs, .. } if !positive(*epochs) => {
                Some(format!("schedule {self}: the epochs must be a number above 0"))
            }
            Schedule::WarmUp { then, .. } if matches!(**then, Schedule::WarmUp { .. }) => {
                Some(format!("schedule {self}: a warm-up cannot follow a warm-up"))
            }
            Schedule::WarmUp { then, .. } => then.problem(),
        }
    }
}

fn positive(x: f64) -> bool {
    x.is_finite() && x > 0.0
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Schedule::Constant => f.write_str("constant"),
            Schedule::InverseTime { decay } => write!(f, "inverse-time:{decay}"),
            Schedule::InverseSqrt { decay } => write!(f, "inverse-sqrt:{decay}"),
            Schedule::Cosine { epochs } => write!(f, "cosine:{epochs}"),
            Schedule::WarmUp { epochs, then } if **then == Schedule::Constant => write!(f, "warmup:{epochs}"),
            Schedule::WarmUp { epochs, then } => write!(f, "warmup:{epochs},{then}"),
        }
    }
}

impl FromStr for Schedule {
    type Err = Error;

    fn from_str(s: &str) -> Result<Self> {
        let unknown = |why: &str| Error::usage(format!("schedule {s:?}: {why}; the schedules are {MENU}"));
        let (name, argument) = text::split(s);
        let number = |what: &str| {
            text::number(argument).ok_or_else(|| unknown(&format!("{name} needs one number, the {what}")))
        };
        let schedule = match name {
            "constant" if argument.is_none() => Schedule::Constant,
            "constant" => return Err(unknown("constant takes no argument")),
            "inverse-time" => Schedule::InverseTime { decay: number("decay per epoch")? },
            "inverse-sqrt" => Schedule::InverseSqrt { decay: number("decay per epoch")? },
            "cosine" => Schedule::Cosine { epochs: number("length of the run in epochs")? },
            "warmup" => {
                let (epochs, then) = match argument.and_then(|a| a.split_once(',')) {
                    Some((epochs, then)) => (Some(epochs), then.parse()?),
                    None => (argument, Schedule::Constant),
                };
                let epochs =
                    text::number(epochs).ok_or_else(|| unknown("warmup needs a number, its epochs"))?;
                Schedule::WarmUp { epochs, then: Box::new(then) }
            }
            _ => return Err(unknown("no such schedule")),
        };
        match schedule.problem() {
            Some(problem) => Err(Error::usage(problem)),
            None => Ok(schedule),
        }
    }
}

impl Serialize for Schedule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

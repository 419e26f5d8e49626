//! How a gradient's delay changes its step: the menu of rules and their text form.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use super::text;
use crate::{Error, Result};

const MENU: &str = "constant, delay-adaptive, koloskova:L, drop:M (M as 16 or 4n), inverse:A, \
                    budget1:GAMMA[,ALPHA], budget2:GAMMA, adadelay:L,C, fleet, tail:A, ringmaster:R (R as 16 or 4n)";

/// The share of its budget that [`Weight::Budget1`] spends on one gradient when nothing else is said.
const BUDGET_SHARE: f64 = 0.85;

/// The factor w(τ) on the step of a gradient whose delay is τ, in iterations.
///
/// C is the concurrency (see [`Concurrency`](super::Concurrency)), η the base rate with its schedule. The
/// text form is given with each variant; [`fmt::Display`] prints it and [`FromStr`] reads it back
/// identically.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[non_exhaustive]
pub enum Weight {
    /// `constant`: 1. Koloskova, Stich, Jaggi 2022, Theorem 6: the rate grows with √(τ_C·τ_max).
    Constant,
    /// `delay-adaptive`: min(1, C/τ). The rule of Koloskova, Stich, Jaggi 2022 (Theorem 8, which it
    /// satisfies for η ≤ 1/(4·L·C)) and Mishchenko, Bach, Even, Woodworth 2022. If C is at least the mean
    /// delay it keeps at least half of the step mass, whatever the delays, by Jensen's inequality.
    #[default]
    DelayAdaptive,
    /// `koloskova:L`: min(1, 1/(4·L·η·τ)), that is γ = min(η, 1/(4·L·τ)): the least damping that
    /// Theorem 8 of Koloskova, Stich, Jaggi 2022 allows when the smoothness is known.
    Koloskova {
        /// L > 0, the smoothness of the objective.
        smoothness: f64,
    },
    /// `drop:M`: 1 if τ ≤ M, else 0. A threshold of c·C discards less than 1/c of the gradients (Markov's
    /// inequality on the mean delay C − 1); below 2·C there are speeds at which nearly all are discarded,
    /// so it is refused.
    Drop {
        /// M ≥ 2·C.
        threshold: Threshold,
    },
    /// `inverse:A`: (1 + τ)^−A. Zhang, Gupta, Lian, Liu 2016 (A = 1), FedBuff, Nguyen et al. 2022 (A = ½).
    Inverse {
        /// A ≥ 0.
        exponent: f64,
    },
    /// `budget1:G[,A]`: γ = A·max(0, G − S), where S is the sum of the steps that others took between this
    /// gradient's read and its write. Wu, Magnusson, Feyzmahdavian, Johansson 2022, Adaptive 1. It sets γ
    /// itself: rate and schedule do not change it, except that a schedule at 0 stops it.
    Budget1 {
        /// G > 0, which theory sets to h/L, h < 1.
        budget: f64,
        /// A in (0, 1), the share of what is left; 0.85 if not given.
        share: f64,
    },
    /// `budget2:G`: γ = G/(τ + 1) if S + γ ≤ G (up to rounding), else 0; S as in `budget1`. Wu et al. 2022,
    /// Adaptive 2. It sets γ itself, as `budget1` does.
    Budget2 {
        /// G > 0, which theory sets to h/L, h < 1.
        budget: f64,
    },
    /// `adadelay:L,C`: γ = 1/(L + C·√(t + τ)), t the iteration. AdaDelay, Sra, Yu, Li, Smola 2016. It sets
    /// γ itself, as `budget1` does.
    AdaDelay {
        /// L > 0, the smoothness of the objective.
        smoothness: f64,
        /// C ≥ 0, the weight of the noise.
        growth: f64,
    },
    /// `fleet`: exp(−β·τ), β = 2/(C + 1)·ln(1 + (C + 1)/2). FLeet, Damaskinos et al. 2020: equals
    /// 1/(1 + τ) at τ = (C + 1)/2 and forgets faster beyond.
    Fleet,
    /// `tail:A`: 1 + A·(1 − 2·F(τ)), F the empirical distribution of the delays of the iterations 10·n to
    /// 15·n, equal delays counted by half, so that the mean weight is 1; 1 before. TAIL-τ of ASAP.SGD, Bäckström, Papatriantafilou, Tsigas 2022.
    Tail {
        /// A in (0, 1].
        amplitude: f64,
    },
    /// `ringmaster:R`: 1 if τ < R, else 0, and an ignored gradient does not advance the iteration counter.
    /// Ringmaster ASGD, Maranjyan, Tyurin, Richtárik 2025; the best R is max(1, σ²/ε). With R < n only
    /// about R equally fast workers count.
    Ringmaster {
        /// R ≥ 1.
        threshold: Threshold,
    },
}

/// A limit on the delay, in iterations.
///
/// Its text form is `16`, or `4n` for a multiple of the concurrency.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Threshold {
    /// So many iterations.
    Iterations(u64),
    /// So many times the concurrency.
    Concurrencies(f64),
}

impl Threshold {
    /// The limit in iterations at concurrency `c`, as a real number.
    pub(super) fn at(self, c: f64) -> f64 {
        match self {
            Threshold::Iterations(m) => m as f64,
            Threshold::Concurrencies(times) => times * c,
        }
    }

    fn parse(argument: Option<&str>) -> Option<Self> {
        let argument = argument?;
        match argument.strip_suffix('n') {
            Some(times) => times.parse().ok().map(Threshold::Concurrencies),
            None => argument.parse().ok().map(Threshold::Iterations),
        }
    }
}

impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Threshold::Iterations(m) => write!(f, "{m}"),
            Threshold::Concurrencies(times) => write!(f, "{times}n"),
        }
    }
}

impl Weight {
    /// Whether the rule sets the step γ itself, so that the rate and the schedule do not matter.
    pub fn sets_step(&self) -> bool {
        matches!(self, Weight::Budget1 { .. } | Weight::Budget2 { .. } | Weight::AdaDelay { .. })
    }

    /// What is wrong with the parameters, if anything.
    pub(super) fn problem(&self) -> Option<String> {
        let positive = |x: f64| x.is_finite() && x > 0.0;
        let wrong = match *self {
            Weight::Constant | Weight::DelayAdaptive | Weight::Fleet => return None,
            Weight::Koloskova { smoothness } => {
                (!positive(smoothness)).then_some("the smoothness L must be a number above 0")
            }
            Weight::Drop { threshold: Threshold::Concurrencies(times) } => {
                (!(times.is_finite() && times >= 2.0)).then_some(
                    "the threshold must be at least 2n: below it, uneven speeds can make nearly every gradient late",
                )
            }
            Weight::Drop { threshold: Threshold::Iterations(_) } => None,
            Weight::Inverse { exponent } => (!(exponent.is_finite() && exponent >= 0.0))
                .then_some("the exponent must be a number of at least 0"),
            Weight::Budget1 { budget, .. } | Weight::Budget2 { budget } if !positive(budget) => {
                Some("the budget must be a number above 0")
            }
            Weight::Budget1 { share, .. } => {
                (!(share > 0.0 && share < 1.0)).then_some("the share must lie between 0 and 1")
            }
            Weight::Budget2 { .. } => None,
            Weight::AdaDelay { smoothness, growth } => {
                (!(positive(smoothness) && growth.is_finite() && growth >= 0.0))
                    .then_some("L must be a number above 0 and C one of at least 0")
            }
            Weight::Tail { amplitude } => (!(amplitude > 0.0 && amplitude <= 1.0))
                .then_some("the amplitude must be above 0 and at most 1"),
            Weight::Ringmaster { threshold: Threshold::Iterations(r) } => {
                (r == 0).then_some("R must be at least 1: nothing has a delay below 0")
            }
            Weight::Ringmaster { threshold: Threshold::Concurrencies(times) } => {
                (!positive(times)).then_some("R must be above 0")
            }
        };
        wrong.map(|wrong| format!("step rule {self}: {wrong}"))
    }
}

impl fmt::Display for Weight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Weight::Constant => f.write_str("constant"),
            Weight::DelayAdaptive => f.write_str("delay-adaptive"),
            Weight::Koloskova { smoothness } => write!(f, "koloskova:{smoothness}"),
            Weight::Drop { threshold } => write!(f, "drop:{threshold}"),
            Weight::Inverse { exponent } => write!(f, "inverse:{exponent}"),
            Weight::Budget1 { budget, share } if *share == BUDGET_SHARE => write!(f, "budget1:{budget}"),
            Weight::Budget1 { budget, share } => write!(f, "budget1:{budget},{share}"),
            Weight::Budget2 { budget } => write!(f, "budget2:{budget}"),
            Weight::AdaDelay { smoothness, growth } => write!(f, "adadelay:{smoothness},{growth}"),
            Weight::Fleet => f.write_str("fleet"),
            Weight::Tail { amplitude } => write!(f, "tail:{amplitude}"),
            Weight::Ringmaster { threshold } => write!(f, "ringmaster:{threshold}"),
        }
    }
}

impl FromStr for Weight {
    type Err = Error;

    fn from_str(s: &str) -> Result<Self> {
        let unknown = |why: &str| Error::usage(format!("step rule {s:?}: {why}; the rules are {MENU}"));
        let (name, argument) = text::split(s);
        let needs = |what: &str| unknown(&format!("{name} needs {what}"));
        let number = |what: &str| text::number(argument).ok_or_else(|| needs(what));
        let threshold = || {
            Threshold::parse(argument).ok_or_else(|| {
                needs("a threshold, a number of iterations such as 16 or a multiple such as 4n")
            })
        };
        let plain = |weight| if argument.is_none() { Ok(weight) } else { Err(needs("no argument")) };
        let weight = match name {
            "constant" => plain(Weight::Constant)?,
            "delay-adaptive" => plain(Weight::DelayAdaptive)?,
            "koloskova" => Weight::Koloskova { smoothness: number("the smoothness L")? },
            "drop" => Weight::Drop { threshold: threshold()? },
            "inverse" => Weight::Inverse { exponent: number("an exponent")? },
            "budget1" => {
                let (budget, share) = text::pair(argument, Some(BUDGET_SHARE))
                    .ok_or_else(|| needs("a budget and perhaps the share of it to spend"))?;
                Weight::Budget1 { budget, share }
            }
            "budget2" => Weight::Budget2 { budget: number("a budget")? },
            "adadelay" => {
                let (smoothness, growth) =
                    text::pair(argument, None).ok_or_else(|| needs("two numbers, L,C"))?;
                Weight::AdaDelay { smoothness, growth }
            }
            "fleet" => plain(Weight::Fleet)?,
            "tail" => Weight::Tail { amplitude: number("an amplitude")? },
            "ringmaster" => Weight::Ringmaster { threshold: threshold()? },
            _ => return Err(unknown("no such rule")),
        };
        match weight.problem() {
            Some(problem) => Err(Error::usage(problem)),
            None => Ok(weight),
        }
    }
}

impl Serialize for Weight {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

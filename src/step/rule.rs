//! A whole step rule, its constructors and its text form.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use super::{Schedule, Stepper, Threshold, Weight};
use crate::{Error, Result};

/// How long a step is: γ = rate · schedule(t) · weight(τ).
///
/// The text form is `RATE*SCHEDULE*WEIGHT@CONCURRENCY`, where a rate of 1, a constant schedule and the
/// concurrency of the workers are left out: `delay-adaptive`, `0.5*drop:4n`,
/// `0.1*inverse-sqrt:1*delay-adaptive@online`. [`fmt::Display`] prints it and [`FromStr`] reads it back
/// identically.
#[derive(Debug, Clone, PartialEq)]
pub struct StepRule {
    /// The base rate, above 0.
    pub rate: f64,
    /// How the rate changes over the epochs.
    pub schedule: Schedule,
    /// How the delay changes the step.
    pub weight: Weight,
    /// What counts as the concurrency C in the weight.
    pub concurrency: Concurrency,
}

/// How many gradients are in flight at a time: the C of the delay weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Concurrency {
    /// The number of workers (text: left out).
    #[default]
    Workers,
    /// This number, at least 1 (text `@16`).
    Exact(usize),
    /// 1 + a running mean of the delays of all workers (text `@online`): with n always-busy workers the mean
    /// delay is n − 1 whatever their speeds. The running mean is exponential with factor 0.01, and the plain
    /// mean over the first 100 iterations.
    Online,
}

impl StepRule {
    /// A rule with constant schedule and the workers' number as concurrency.
    pub fn new(rate: f64, weight: Weight) -> Self {
        StepRule { rate, schedule: Schedule::Constant, weight, concurrency: Concurrency::Workers }
    }

    /// With this base rate.
    #[must_use]
    pub fn rate(mut self, rate: f64) -> Self {
        self.rate = rate;
        self
    }

    /// With this schedule.
    #[must_use]
    pub fn schedule(mut self, schedule: Schedule) -> Self {
        self.schedule = schedule;
        self
    }

    /// With this number as the concurrency, whatever the number of workers.
    #[must_use]
    pub fn concurrency(mut self, n: usize) -> Self {
        self.concurrency = Concurrency::Exact(n);
        self
    }

    /// With the concurrency estimated from the delays, [`Concurrency::Online`].
    #[must_use]
    pub fn online(mut self) -> Self {
        self.concurrency = Concurrency::Online;
        self
    }

    /// The rule resolved for `workers` ≥ 1 workers. Make one, and a clone of it for each worker: clones
    /// share what is learnt from the delays.
    ///
    /// # Errors
    /// One line for each parameter out of its range; a drop threshold below twice the concurrency is one.
    pub fn stepper(&self, workers: usize) -> Result<Stepper> {
        let mut problems = Vec::new();
        if !(self.rate.is_finite() && self.rate > 0.0) {
            problems.push(format!("the rate is {}, it must be a number above 0", self.rate));
        }
        if workers == 0 || self.concurrency == Concurrency::Exact(0) {
            problems.push("the concurrency is 0, it must be at least 1".to_owned());
        }
        problems.extend(self.schedule.problem());
        problems.extend(self.weight.problem());
        let c = match self.concurrency {
            Concurrency::Exact(c) => c,
            Concurrency::Workers | Concurrency::Online => workers,
        };
        if let Weight::Drop { threshold: Threshold::Iterations(m) } = self.weight
            && m < 2 * c as u64
        {
            problems.push(format!(
                "step rule {}: with a concurrency of {c} the threshold must be at least {} (or 2n): the mean \
                 delay is {}, and when speeds differ nearly every gradient can be later than that",
                self.weight,
                2 * c,
                c.saturating_sub(1)
            ));
        }
        if problems.is_empty() { Ok(Stepper::new(self.clone(), c)) } else { Err(Error::Usage(problems)) }
    }

    /// The iterations of an epoch, the schedule's unit of time, if they are that.
    pub(crate) fn epoch(iterations: f64) -> Result<f64> {
        if iterations.is_finite() && iterations > 0.0 {
            return Ok(iterations);
        }
        Err(Error::usage(format!("an epoch of {iterations} iterations, it must be a number above 0")))
    }
}

impl fmt::Display for StepRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.rate != 1.0 {
            write!(f, "{}*", self.rate)?;
        }
        if self.schedule != Schedule::Constant {
            write!(f, "{}*", self.schedule)?;
        }
        write!(f, "{}", self.weight)?;
        match self.concurrency {
            Concurrency::Workers => Ok(()),
            Concurrency::Exact(n) => write!(f, "@{n}"),
            Concurrency::Online => f.write_str("@online"),
        }
    }
}

impl FromStr for StepRule {
    type Err = Error;

    fn from_str(s: &str) -> Result<Self> {
        let wrong = |why: &str| {
            Error::usage(format!(
                "step rule {s:?}: {why}; the form is [RATE*][SCHEDULE*]WEIGHT[@CONCURRENCY]"
            ))
        };
        let (factors, weight) = s.rsplit_once('*').map_or(("", s), |(factors, weight)| (factors, weight));
        let (weight, concurrency) = match weight.split_once('@') {
            None => (weight, Concurrency::Workers),
            Some((weight, "online")) => (weight, Concurrency::Online),
            Some((weight, n)) => match n.parse() {
                Ok(n) if n > 0 => (weight, Concurrency::Exact(n)),
                _ => return Err(wrong("the concurrency must be a whole number of at least 1, or online")),
            },
        };
        let mut rule = StepRule { concurrency, ..StepRule::new(1.0, weight.parse()?) };
        if factors.is_empty() {
            return if s.starts_with('*') { Err(wrong("a factor is missing")) } else { Ok(rule) };
        }
        let (rate, schedule) = match factors.split_once('*') {
            Some((rate, schedule)) => (Some(rate), Some(schedule)),
            None if factors.starts_with(|first: char| first.is_ascii_alphabetic()) => (None, Some(factors)),
            None => (Some(factors), None),
        };
        if let Some(rate) = rate {
            rule.rate = match rate.parse::<f64>() {
                Ok(rate) if rate.is_finite() && rate > 0.0 => rate,
                _ => return Err(wrong("the rate must be a number above 0")),
            };
        }
        if let Some(schedule) = schedule {
            rule.schedule = schedule.parse()?;
        }
        Ok(rule)
    }
}

impl Serialize for StepRule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The same step whatever the delay, [`Weight::Constant`].
pub fn constant(rate: f64) -> StepRule {
    StepRule::new(rate, Weight::Constant)
}

/// The rate damped by min(1, C/τ), [`Weight::DelayAdaptive`]: the default.
pub fn delay_adaptive(rate: f64) -> StepRule {
    StepRule::new(rate, Weight::DelayAdaptive)
}

/// min(rate, 1/(4·L·τ)) for an objective of smoothness L, [`Weight::Koloskova`].
pub fn koloskova(rate: f64, smoothness: f64) -> StepRule {
    StepRule::new(rate, Weight::Koloskova { smoothness })
}

/// Nothing for delays above the threshold, [`Weight::Drop`].
pub fn drop(rate: f64, threshold: Threshold) -> StepRule {
    StepRule::new(rate, Weight::Drop { threshold })
}

/// The rate times (1 + τ)^−exponent, [`Weight::Inverse`].
pub fn inverse(rate: f64, exponent: f64) -> StepRule {
    StepRule::new(rate, Weight::Inverse { exponent })
}

/// A share of what the steps since the read left of the budget, [`Weight::Budget1`].
pub fn budget1(budget: f64, share: f64) -> StepRule {
    StepRule::new(1.0, Weight::Budget1 { budget, share })
}

/// budget/(τ + 1) if the steps since the read left that much, [`Weight::Budget2`].
pub fn budget2(budget: f64) -> StepRule {
    StepRule::new(1.0, Weight::Budget2 { budget })
}

/// 1/(L + C·√(t + τ)), [`Weight::AdaDelay`].
pub fn adadelay(smoothness: f64, growth: f64) -> StepRule {
    StepRule::new(1.0, Weight::AdaDelay { smoothness, growth })
}

/// The rate times exp(−β·τ), [`Weight::Fleet`].
pub fn fleet(rate: f64) -> StepRule {
    StepRule::new(rate, Weight::Fleet)
}

/// More for early gradients and less for late ones by the delays' own distribution, [`Weight::Tail`].
pub fn tail(rate: f64, amplitude: f64) -> StepRule {
    StepRule::new(rate, Weight::Tail { amplitude })
}

/// Nothing, and no iteration, for delays from the threshold on, [`Weight::Ringmaster`].
pub fn ringmaster(rate: f64, threshold: Threshold) -> StepRule {
    StepRule::new(rate, Weight::Ringmaster { threshold })
}

//! Averages of the iterates, at no cost to the inner loop.
//!
//! An exact running average would add a second write to each touched coordinate. Between two chunks of examples a
//! worker takes the shared parameters as they are into a mean instead, a few times an epoch: iterates that lie closer
//! together differ little, so that little is lost. Workers take turns at the mean, which is some hundredths of their time;
//! a sum could do without, but weights by powers of the time have no scale in which it keeps to the range of an `f32`
//! wherever the run ends.

use super::course::Course;
use crate::error::{Error, Result};
use crate::params::Params;
use crate::real::Real;
use crate::sync::{Mutex, MutexGuard};
use crate::weights::Weights;
use std::fmt;
use std::str::FromStr;

/// Which average of the iterates is the result. Default: none, the last iterate.
///
/// The text form is given with each variant.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Averaging {
    /// `none`: the last iterate.
    #[default]
    None,
    /// `polyak`: of all iterates (Polyak & Juditsky, SIAM J. Control Optim. 30, 1992; Ruppert 1988).
    Polyak,
    /// `suffix:F`: of the last share F of the run (Rakhlin, Shamir & Sridharan, ICML 2012).
    Suffix(f64),
    /// `weighted:P`: of all iterates, by the P-th power of the time (Lacoste-Julien, Schmidt & Bach 2012, P = 1; Shamir &
    /// Zhang, ICML 2013).
    Weighted(f64),
}

/// The largest power of the time.
const MOST_POWER: f64 = 16.0;

impl Averaging {
    /// The weight of the iterate at `epoch` of `epochs`.
    fn weight(self, epoch: f64, epochs: f64) -> f64 {
        match self {
            Self::None => 0.0,
            Self::Polyak => 1.0,
            Self::Suffix(share) => f64::from(u8::from(epoch > (1.0 - share) * epochs)),
            Self::Weighted(power) => (epoch / epochs).powf(power),
        }
    }

    /// What is wrong with the parameters, if anything.
    pub(super) fn problem(self) -> Option<String> {
        match self {
            Self::Suffix(share) if !(share > 0.0 && share <= 1.0) => {
                Some(format!("average suffix:{share}: expected a share above 0, at most 1"))
            }
            Self::Weighted(power) if !(0.0..=MOST_POWER).contains(&power) => {
                Some(format!("average weighted:{power}: expected a power from 0 to {MOST_POWER}"))
            }
            _ => None,
        }
    }
}

impl fmt::Display for Averaging {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.pad("none"),
            Self::Polyak => f.pad("polyak"),
            Self::Suffix(share) => write!(f, "suffix:{share}"),
            Self::Weighted(power) => write!(f, "weighted:{power}"),
        }
    }
}

impl FromStr for Averaging {
    type Err = Error;

    fn from_str(s: &str) -> Result<Self> {
        let (name, argument) = s.split_once(':').map_or((s, None), |(name, rest)| (name, rest.parse().ok()));
        let averaging = match (name, argument) {
            ("none", None) if name == s => Self::None,
            ("polyak", None) if name == s => Self::Polyak,
            ("suffix", Some(share)) => Self::Suffix(share),
            ("weighted", Some(power)) => Self::Weighted(power),
            _ => {
                let expected = "expected none, polyak, suffix:F or weighted:P";
                return Err(Error::usage(format!("average '{s}': {expected}")));
            }
        };
        averaging.problem().map_or(Ok(averaging), |line| Err(Error::usage(line)))
    }
}

/// Data values that an epoch touches for each parameter that averaging adds: some hundredths of its time.
const TOUCHES: u64 = 25;

/// The most iterates of an epoch that are added.
const MOST: u64 = 64;

/// The mean so far.
pub(super) struct Average<T: Real> {
    averaging: Averaging,
    epochs: f64,
    /// Iterates of an epoch that are added.
    samples: u64,
    mean: Mutex<Mean<T>>,
}

struct Mean<T> {
    point: Vec<T>,
    /// The sum of the weights.
    weight: f64,
}

impl<T: Real> Average<T> {
    /// An average over `epochs` that touch `nonzeros` data values each; `None` where there is to be none.
    pub(super) fn new(averaging: Averaging, epochs: f64, parameters: usize, nonzeros: u64) -> Option<Self> {
        let samples = (nonzeros / (TOUCHES * parameters.max(1) as u64)).clamp(1, MOST);
        let average = || Self {
            averaging,
            epochs,
            samples,
            mean: Mutex::new(Mean { point: vec![T::ZERO; parameters], weight: 0.0 }),
        };
        (averaging != Averaging::None).then(average)
    }

    /// Adds the parameters, if it is time to after the c-th chunk.
    #[inline]
    pub(super) fn sample(&self, params: &Params<T>, course: &Course<'_>, c: u64, buffer: &mut [T]) {
        let chunks = course.chunks() as u64;
        if c * self.samples / chunks == (c + 1) * self.samples / chunks {
            return;
        }
        let weight = self.averaging.weight(course.epoch(c + 1), self.epochs);
        if weight > 0.0 {
            params.copy_out(0, buffer);
            let mut mean = self.lock();
            mean.weight += weight;
            let share = T::from_f64(weight / mean.weight);
            mean.point.iter_mut().zip(buffer).for_each(|(m, x)| *m = *m + share * (*x - *m));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Mean<T>> {
        self.mean.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// The average; `None` where no iterate belongs to it yet.
    pub(super) fn point(&self) -> Option<Vec<T>> {
        let mean = self.lock();
        (mean.weight > 0.0).then(|| mean.point.clone())
    }

    /// Appends the mean to `numbers`, and tells the weights' sum. While no worker runs.
    pub(super) fn save(&self, numbers: &mut Vec<T>) -> f64 {
        let mean = self.lock();
        numbers.extend(&mean.point);
        mean.weight
    }

    /// Takes back what [`save`](Self::save) told, from the front of `numbers`; false if it does not fit.
    pub(super) fn restore(&self, numbers: &mut &[T], weight: f64) -> bool {
        let mut mean = self.lock();
        let Some((own, rest)) = numbers.split_at_checked(mean.point.len()) else { return false };
        mean.point.copy_from_slice(own);
        mean.weight = weight;
        *numbers = rest;
        weight >= 0.0
    }

    /// Forgets what was added.
    pub(super) fn clear(&self) {
        let mut mean = self.lock();
        mean.point.fill(T::ZERO);
        mean.weight = 0.0;
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn texts_are_read_back_and_weights_as_they_say() {
        for text in ["none", "polyak", "suffix:0.5", "weighted:1", "weighted:0"] {
            assert_eq!(text.parse::<Averaging>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "none:1",
            "polyak:",
            "suffix",
            "suffix:0",
            "suffix:1.5",
            "weighted:-1",
            "weighted:nan",
            "mean",
        ] {
            assert!(text.parse::<Averaging>().is_err(), "{text}");
        }
        assert_eq!(
            [1.0, 5.0, 5.1, 10.0].map(|e| Averaging::Suffix(0.5).weight(e, 10.0)),
            [0.0, 0.0, 1.0, 1.0]
        );
        assert_eq!([0.0, 5.0, 10.0].map(|e| Averaging::Weighted(2.0).weight(e, 10.0)), [0.0, 0.25, 1.0]);
    }
}

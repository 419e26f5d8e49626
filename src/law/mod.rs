//! Speed laws: how long a worker takes for a gradient, in the simulator's virtual seconds or, for workers that are
//! held back on purpose, relative to the time that it computes. Public as [`sim::Law`](crate::sim::Law).

mod factor;
mod pace;

pub use factor::Factor;
pub(crate) use pace::Pace;

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use crate::{Error, Result};

/// How long gradients take: the product of some factors, and perhaps another such product added to it, the
/// communication beside the computation.
///
/// The text form is `FACTOR*FACTOR+FACTOR`: `exp:1*straggler:10+fixed:0.2` are exponential times of mean 1,
/// ten times that for one worker, and 0.2 s of communication. See [`Factor`] for the factors.
/// [`fmt::Display`] prints the form and [`FromStr`] reads it back identically.
///
/// ```
/// use asyncsgd::sim::Law;
///
/// let law: Law = "speeds:1..4*wave:0.5,10".parse()?;
/// assert_eq!(law.to_string(), "speeds:1..4*wave:0.5,10");
/// assert_eq!("speeds:1..4".parse::<Law>()?.fixed_times(4), Some(vec![1.0, 2.0, 3.0, 4.0]));
/// assert!("pareto:-1".parse::<Law>().is_err());
/// # Ok::<(), asyncsgd::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Law {
    /// Products that are added up; neither the sum nor a product is empty.
    sum: Vec<Vec<Factor>>,
}

impl Law {
    /// Workers whose times are all the same or listed: `times[w]` seconds for worker w.
    ///
    /// # Errors
    /// A usage error where there is no time, or one is not a finite number above 0.
    pub fn list(times: Vec<f64>) -> Result<Self> {
        Self::new(vec![vec![Factor::List(times)]])
    }

    fn new(sum: Vec<Vec<Factor>>) -> Result<Self> {
        let problems: Vec<String> = sum.iter().flatten().filter_map(Factor::problem).collect();
        if problems.is_empty() { Ok(Law { sum }) } else { Err(Error::Usage(problems)) }
    }

    /// The seconds of each of `workers` workers, where they are constants; `None` for random or varying
    /// times, and where a list does not fit that number.
    pub fn fixed_times(&self, workers: usize) -> Option<Vec<f64>> {
        let mut times = vec![0.0; workers];
        for product in &self.sum {
            for (worker, time) in times.iter_mut().enumerate() {
                let factors = product.iter().map(|factor| factor.constant(worker, workers));
                *time += factors.product::<Option<f64>>()?;
            }
        }
        Some(times)
    }

    /// Whether times depend on the sample, [`Factor::Sample`].
    pub fn depends_on_sample(&self) -> bool {
        self.sum.iter().flatten().any(|factor| *factor == Factor::Sample)
    }

    /// The law resolved for `workers` workers.
    pub(crate) fn pace(&self, workers: usize) -> Result<Pace> {
        Pace::new(&self.sum, workers)
    }
}

impl fmt::Display for Law {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, product) in self.sum.iter().enumerate() {
            for (j, factor) in product.iter().enumerate() {
                let sign = if j > 0 {
                    "*"
                } else if i > 0 {
                    "+"
                } else {
                    ""
                };
                write!(f, "{sign}{factor}")?;
            }
        }
        Ok(())
    }
}

impl FromStr for Law {
    type Err = Error;

    fn from_str(s: &str) -> Result<Self> {
        // A plus sign also stands in numbers such as 1e+3, but not before a letter there.
        let mut sum = vec![Vec::new()];
        let mut rest = s;
        loop {
            let end = rest
                .char_indices()
                .find(|&(i, c)| {
                    c == '*'
                        || c == '+' && rest[i + 1..].chars().next().is_none_or(|c| c.is_ascii_alphabetic())
                })
                .map(|(i, c)| (i, c == '+'));
            let factor = &rest[..end.map_or(rest.len(), |(i, _)| i)];
            sum.last_mut().expect("never empty").push(factor.parse()?);
            let Some((at, added)) = end else { break };
            if added {
                sum.push(Vec::new());
            }
            rest = &rest[at + 1..];
        }
        Self::new(sum)
    }
}

impl Serialize for Law {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

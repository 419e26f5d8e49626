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
/// communication beside the computation. One law for all workers, or one after the other for some of them each.
///
/// The text form is `FACTOR*FACTOR+FACTOR`: `exp:1*straggler:10+fixed:0.2` are exponential times of mean 1,
/// ten times that for one worker, and 0.2 s of communication. See [`Factor`] for the factors. Workers of several laws
/// are `LAW/LAW/…`, one worker each or, as `COUNTxLAW`, so many: `exp:1/3xpareto:1.5` is for 4 workers. What factors
/// say of a worker's number and of all workers is then within its law.
/// [`fmt::Display`] prints the form and [`FromStr`] reads it back identically.
///
/// ```
/// use asyncsgd::sim::Law;
///
/// let law: Law = "speeds:1..4*wave:0.5,10".parse()?;
/// assert_eq!(law.to_string(), "speeds:1..4*wave:0.5,10");
/// assert_eq!("speeds:1..4".parse::<Law>()?.fixed_times(4), Some(vec![1.0, 2.0, 3.0, 4.0]));
/// assert_eq!("fixed:3/2xspeeds:1..2".parse::<Law>()?.fixed_times(3), Some(vec![3.0, 1.0, 2.0]));
/// assert!("pareto:-1".parse::<Law>().is_err());
/// # Ok::<(), asyncsgd::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Law {
    /// Never empty.
    groups: Vec<Group>,
}

/// The law of some workers.
#[derive(Debug, Clone, PartialEq)]
struct Group {
    /// How many; `None` for one, or for all where it is the only law.
    workers: Option<usize>,
    /// Products that are added up; neither the sum nor a product is empty.
    sum: Vec<Vec<Factor>>,
}

impl Law {
    /// Workers whose times are all the same or listed: `times[w]` seconds for worker w.
    ///
    /// # Errors
    /// A usage error where there is no time, or one is not a finite number above 0.
    pub fn list(times: Vec<f64>) -> Result<Self> {
        Self::new(vec![Group { workers: None, sum: vec![vec![Factor::List(times)]] }])
    }

    fn new(groups: Vec<Group>) -> Result<Self> {
        let law = Law { groups };
        let problems: Vec<String> = law.factors().filter_map(Factor::problem).collect();
        if problems.is_empty() { Ok(law) } else { Err(Error::Usage(problems)) }
    }

    fn factors(&self) -> impl Iterator<Item = &Factor> {
        self.groups.iter().flat_map(|group| group.sum.iter().flatten())
    }

    /// The seconds of each of `workers` workers, where they are constants; `None` for random or varying
    /// times, and where a list, or several laws, do not fit that number.
    pub fn fixed_times(&self, workers: usize) -> Option<Vec<f64>> {
        let mut times = Vec::with_capacity(workers);
        for (group, workers) in self.groups.iter().zip(self.sizes(workers)?) {
            for worker in 0..workers {
                let of = |product: &Vec<Factor>| {
                    product.iter().map(|factor| factor.constant(worker, workers)).product::<Option<f64>>()
                };
                times.push(group.sum.iter().map(of).sum::<Option<f64>>()?);
            }
        }
        Some(times)
    }

    /// How many of `workers` workers each law is for; `None` where it is not for that number.
    fn sizes(&self, workers: usize) -> Option<Vec<usize>> {
        let usual = if self.groups.len() == 1 { workers } else { 1 };
        let sizes: Vec<usize> = self.groups.iter().map(|group| group.workers.unwrap_or(usual)).collect();
        let all = sizes.iter().try_fold(0usize, |sum, &size| sum.checked_add(size));
        (all == Some(workers)).then_some(sizes)
    }

    /// Whether times depend on the sample, [`Factor::Sample`].
    pub fn depends_on_sample(&self) -> bool {
        self.factors().any(|factor| *factor == Factor::Sample)
    }

    /// The law resolved for `workers` workers.
    pub(crate) fn pace(&self, workers: usize) -> Result<Pace> {
        let Some(sizes) = self.sizes(workers) else {
            let found: usize = self.groups.iter().map(|group| group.workers.unwrap_or(1)).sum();
            return Err(Error::usage(format!("speed law {self}: for {found} workers, expected {workers}")));
        };
        Pace::new(self.groups.iter().zip(sizes).map(|(group, size)| (&*group.sum, size)))
    }
}

impl fmt::Display for Law {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, group) in self.groups.iter().enumerate() {
            f.write_str(if i > 0 { "/" } else { "" })?;
            if let Some(workers) = group.workers {
                write!(f, "{workers}x")?;
            }
            for (j, product) in group.sum.iter().enumerate() {
                for (k, factor) in product.iter().enumerate() {
                    let sign = if k > 0 {
                        "*"
                    } else if j > 0 {
                        "+"
                    } else {
                        ""
                    };
                    write!(f, "{sign}{factor}")?;
                }
            }
        }
        Ok(())
    }
}

impl FromStr for Law {
    type Err = Error;

    fn from_str(s: &str) -> Result<Self> {
        Self::new(s.split('/').map(Group::parse).collect::<Result<_>>()?)
    }
}

impl Group {
    fn parse(s: &str) -> Result<Self> {
        let digits = s.bytes().take_while(u8::is_ascii_digit).count();
        let (workers, s) = match s[digits..].strip_prefix('x') {
            Some(law) if digits > 0 => {
                let many = s[..digits].parse().ok().filter(|&many| many > 0);
                let expected = "expected a number from 1 on";
                let wrong =
                    || Error::usage(format!("speed law {s:?}: found {} workers, {expected}", &s[..digits]));
                (Some(many.ok_or_else(wrong)?), law)
            }
            _ => (None, s),
        };
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
        Ok(Group { workers, sum })
    }
}

impl Serialize for Law {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

//! Strengths of the L2 penalty.

use super::value::{Check, Given};
use std::fmt;

/// Strengths of a penalty, from strong to weak: one, or a path.
#[derive(Debug, Clone, Default)]
pub struct Penalties {
    values: Vec<f64>,
    text: String,
}

/// How many of a path there are to a power of ten where it is not said, …
const PER_DECADE: f64 = 3.0;

/// … and the most.
const MOST_PENALTIES: usize = 1000;

impl Penalties {
    /// A number, `A..B`, `A..B:N` (N of them, evenly on a logarithmic scale) or `A,B,…`.
    ///
    /// # Errors
    /// What was found and expected.
    pub fn parse(text: &str) -> Result<Self, String> {
        let number = |text: &str| text.parse().ok().filter(|x: &f64| *x >= 0.0 && x.is_finite());
        let mut values: Vec<f64> = if let Some((from, to)) = text.split_once("..") {
            let wrong = || {
                format!(
                    "found '{text}', expected A..B or A..B:N, A and B different and above 0, N from 2 to 1000"
                )
            };
            let (to, count) = to.split_once(':').map_or((to, None), |(to, count)| (to, Some(count)));
            let (a, b) = number(from)
                .zip(number(to))
                .filter(|(a, b)| *a > 0.0 && *b > 0.0 && a != b)
                .ok_or_else(wrong)?;
            let n = match count {
                Some(count) => {
                    count.parse().ok().filter(|n| (2..=MOST_PENALTIES).contains(n)).ok_or_else(wrong)?
                }
                None => ((PER_DECADE * (a / b).log10().abs()).round() as usize + 1).clamp(2, MOST_PENALTIES),
            };
            // Rounded to digits that a person would write: 1e-4 and not 9.999999999999999e-5.
            let at = |i: usize| a * (b / a).powf(i as f64 / (n - 1) as f64);
            (0..n).filter_map(|i| format!("{:.9e}", at(i)).parse().ok()).collect()
        } else if text.contains(',') {
            let wrong = || format!("found '{text}', expected different numbers of at least 0");
            text.split(',').map(number).collect::<Option<_>>().ok_or_else(wrong)?
        } else {
            vec![number(text).ok_or_else(|| format!("found '{text}', expected a number of at least 0"))?]
        };
        values.sort_by(|a, b| b.total_cmp(a));
        if values.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(format!("found '{text}', expected different numbers"));
        }
        Ok(Self { values, text: text.to_owned() })
    }

    /// The strongest.
    pub fn first(&self) -> Option<f64> {
        self.values.first().copied()
    }

    /// The one of an option that takes no path; complaints go to `check`.
    pub fn one(given: Option<Given<Self>>, check: &mut Check) -> Option<f64> {
        let path = check.option(given)?;
        let text = &path.text;
        check.require(
            path.values.len() < 2,
            format!("--l2: found '{text}', expected one number: a path is for asyncsgd train"),
        );
        path.first()
    }

    /// All of them, where they are a path.
    pub fn path(&self) -> Option<&[f64]> {
        Some(&self.values[..]).filter(|values| values.len() > 1)
    }
}

impl fmt::Display for Penalties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_go_from_strong_to_weak() {
        let of = |text: &str| Penalties::parse(text).unwrap().values;
        assert_eq!(of("0.5"), [0.5]);
        assert_eq!(of("1,0,3"), [3.0, 1.0, 0.0]);
        assert_eq!(of("1e-6..1e-4:3"), [1e-4, 1e-5, 1e-6]);
        assert_eq!(of("1e-4..1e-6:3"), [1e-4, 1e-5, 1e-6]);
        let path = of("1e-6..1e-3");
        assert_eq!((path.len(), path[0], path[3], path[9]), (10, 1e-3, 1e-4, 1e-6));
        assert_eq!(of("1..1.1").len(), 2);
        for bad in [
            "",
            "-1",
            "x",
            "1..",
            "..1",
            "0..1",
            "1..1",
            "1..2:1",
            "1..2:1001",
            "1..2:x",
            "1,1",
            "1,",
            "nan..1",
        ] {
            assert!(Penalties::parse(bad).unwrap_err().starts_with("found"), "{bad}");
        }
    }
}

//! How often a run is saved.

use crate::error::{Error, Result};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// How often a run is saved: after so much time, or after so many epochs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Every {
    /// At the first chunk after this time since the last.
    Time(Duration),
    /// At the first end of an epoch, and evaluation, at or after each multiple of this number of epochs, ≥ 1.
    Epochs(usize),
}

impl Default for Every {
    /// A minute.
    fn default() -> Self {
        Every::Time(Duration::from_secs(60))
    }
}

impl fmt::Display for Every {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Every::Time(time) => write!(f, "{}s", time.as_secs_f64()),
            Every::Epochs(epochs) => epochs.fmt(f),
        }
    }
}

impl FromStr for Every {
    type Err = Error;

    /// A number of epochs, or of seconds (`30s`, `0.5s`, `200ms`, `5m`).
    fn from_str(s: &str) -> Result<Self> {
        let wrong =
            || Error::usage(format!("found '{s}', expected a time such as 30s or a number of epochs ≥ 1"));
        let Some(unit) = s.find(|c: char| c.is_ascii_alphabetic()) else {
            return match s.parse() {
                Ok(epochs) if epochs > 0 => Ok(Every::Epochs(epochs)),
                _ => Err(wrong()),
            };
        };
        let seconds = match &s[unit..] {
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return Err(wrong()),
        };
        let number: f64 = s[..unit].parse().map_err(|_| wrong())?;
        match Duration::try_from_secs_f64(number * seconds) {
            Ok(time) if !time.is_zero() => Ok(Every::Time(time)),
            _ => Err(wrong()),
        }
    }
}

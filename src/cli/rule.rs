//! The rules that `--step` names.

use asyncsgd::step::{Concurrency, StepRule, Weight};
use std::fmt;
use std::str::FromStr;

/// A delay weight with its concurrency: a step rule without rate and schedule, which have options of their
/// own.
#[derive(Debug, Clone, Copy, Default)]
pub struct DelayRule {
    pub weight: Weight,
    pub concurrency: Concurrency,
}

impl DelayRule {
    /// Rules with commas between them. Parameters of a rule have commas too: a part without a letter belongs to the
    /// one before it.
    ///
    /// # Errors
    /// What is wrong with the first that is.
    pub fn list(text: &str) -> Result<Vec<Self>, String> {
        let mut parts: Vec<String> = Vec::new();
        for part in text.split(',') {
            match parts.last_mut() {
                Some(last) if !part.starts_with(|c: char| c.is_ascii_alphabetic()) => {
                    *last = format!("{last},{part}")
                }
                _ => parts.push(part.to_owned()),
            }
        }
        parts.iter().map(|part| part.parse().map_err(|e: asyncsgd::Error| e.to_string())).collect()
    }
}

impl FromStr for DelayRule {
    type Err = asyncsgd::Error;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        if s.contains('*') {
            let line = format!("found '{s}', expected a rule without '*': see --rate and --schedule");
            return Err(asyncsgd::Error::usage(line));
        }
        let StepRule { weight, concurrency, .. } = s.parse()?;
        Ok(Self { weight, concurrency })
    }
}

impl fmt::Display for DelayRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        StepRule { concurrency: self.concurrency, ..StepRule::new(1.0, self.weight) }.fmt(f)
    }
}

//! Options' values: parsed one by one, complained about together.

use asyncsgd::Error;
use clap::builder::{PossibleValue, TypedValueParser};
use std::ffi::OsStr;
use std::fmt::Display;
use std::num::IntErrorKind;
use std::str::FromStr;
use std::time::Duration;

/// The value of an option, or the line that says what is wrong with it.
///
/// Clap stops at the first bad value; these are carried to the plan, which tells all of them.
#[derive(Debug, Clone)]
pub struct Given<T>(Result<T, String>);

impl<T> Given<T> {
    /// The value, if it is good.
    pub fn good(&self) -> Option<&T> {
        self.0.as_ref().ok()
    }
}

/// Parses values without failing.
#[derive(Debug, Clone)]
pub struct Lenient<T> {
    parse: fn(&str) -> Result<T, String>,
    names: Vec<String>,
}

impl<T: Clone + Send + Sync + 'static> TypedValueParser for Lenient<T> {
    type Value = Given<T>;

    fn parse_ref(
        &self,
        _: &clap::Command,
        arg: Option<&clap::Arg>,
        value: &OsStr,
    ) -> Result<Given<T>, clap::Error> {
        let name = arg.map_or_else(String::new, |arg| match arg.get_long() {
            Some(long) => format!("--{long}"),
            None => arg.get_id().to_string().to_uppercase(),
        });
        let parsed = match value.to_str() {
            Some(text) => (self.parse)(text),
            None => Err(format!("found {value:?}, expected UTF-8")),
        };
        // Parsers that complain in full name what they parse.
        let complete = |why: String| if why.starts_with("found") { format!("{name}: {why}") } else { why };
        Ok(Given(parsed.map_err(complete)))
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        (!self.names.is_empty())
            .then(|| Box::new(self.names.iter().map(PossibleValue::new)) as Box<dyn Iterator<Item = _>>)
    }
}

/// What is wrong with the options of a command, gathered line by line.
#[derive(Default)]
pub struct Check(Vec<String>);

impl Check {
    /// The value; a stand-in where it is bad, which is never used as [`Check::finish`] will fail.
    pub fn take<T: Default>(&mut self, given: Given<T>) -> T {
        given.0.unwrap_or_else(|line| {
            self.0.push(line);
            T::default()
        })
    }

    /// The value of an option that may be left out.
    pub fn option<T: Default>(&mut self, given: Option<Given<T>>) -> Option<T> {
        given.map(|given| self.take(given))
    }

    /// Demands that something holds, or else complains with `line`.
    pub fn require(&mut self, holds: bool, line: impl Into<String>) {
        if !holds {
            self.0.push(line.into());
        }
    }

    /// Demands that no value of a list comes twice.
    pub fn distinct<T: PartialEq + Display>(&mut self, option: &str, values: &[T]) {
        let twice = values.iter().enumerate().find(|(at, value)| values[..*at].contains(value));
        if let Some((_, value)) = twice {
            self.0.push(format!("{option}: found {value} twice, expected each value once"));
        }
    }

    /// The value, or the complaints of the error.
    ///
    /// # Errors
    /// An error that is not about usage, at once: the system's.
    pub fn result<T>(&mut self, result: asyncsgd::Result<T>) -> asyncsgd::Result<Option<T>> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(Error::Usage(lines)) => {
                self.0.extend(lines);
                Ok(None)
            }
            Err(other) => Err(other),
        }
    }

    /// # Errors
    /// All complaints, if there are any.
    pub fn finish(self) -> asyncsgd::Result<()> {
        if self.0.is_empty() { Ok(()) } else { Err(Error::Usage(self.0)) }
    }
}

/// A value by its own parser.
pub fn value<T: FromStr<Err = Error>>() -> Lenient<T> {
    Lenient { parse: |text| text.parse().map_err(|e: Error| e.to_string()), names: Vec::new() }
}

/// A value by its own parser, one of a list.
pub fn one_of<T: FromStr<Err = Error> + Display>(all: &[T]) -> Lenient<T> {
    Lenient { names: all.iter().map(T::to_string).collect(), ..value() }
}

/// A value by a parser that says in words what is wrong.
pub fn parsed<T>(parse: fn(&str) -> Result<T, String>) -> Lenient<T> {
    Lenient { parse, names: Vec::new() }
}

/// Values with commas between them.
pub fn list<T: FromStr<Err = Error>>() -> Lenient<Vec<T>> {
    parsed(|text| {
        let each = text.split(',').map(|part| part.parse().map_err(|e: Error| e.to_string()));
        each.collect()
    })
}

/// Whole numbers from 1 with commas between them.
pub fn counts() -> Lenient<Vec<usize>> {
    parsed(|text| text.split(',').map(count().parse).collect())
}

/// A whole number, 1 to `u32::MAX`.
pub fn count() -> Lenient<usize> {
    parsed(|text| at_least(1, text))
}

/// A whole number, 0 to `u32::MAX`.
pub fn whole() -> Lenient<usize> {
    parsed(|text| at_least(0, text))
}

fn at_least(least: u32, text: &str) -> Result<usize, String> {
    match text.parse::<u32>() {
        Ok(n) if n >= least => Ok(n as usize),
        Err(e) if *e.kind() == IntErrorKind::PosOverflow => {
            Err(format!("found '{text}', expected a whole number up to {}", u32::MAX))
        }
        _ => Err(format!("found '{text}', expected a whole number from {least}")),
    }
}

/// A whole number of 64 bits.
pub fn seed() -> Lenient<u64> {
    parsed(|text| text.parse().map_err(|_| format!("found '{text}', expected a whole number from 0")))
}

/// A number in a range.
fn number(text: &str, range: &str, inside: impl Fn(f64) -> bool) -> Result<f64, String> {
    match text.parse() {
        Ok(x) if inside(x) => Ok(x),
        _ => Err(format!("found '{text}', expected a number{range}")),
    }
}

/// Any finite number.
pub fn finite() -> Lenient<f64> {
    parsed(|text| number(text, "", f64::is_finite))
}

/// A finite number of at least 0.
pub fn at_least_zero() -> Lenient<f64> {
    parsed(|text| number(text, " of at least 0", |x| x >= 0.0 && x.is_finite()))
}

/// A finite number above 0.
pub fn positive() -> Lenient<f64> {
    parsed(|text| number(text, " above 0", |x| x > 0.0 && x.is_finite()))
}

/// A number between 0 and 1, both excluded.
pub fn fraction() -> Lenient<f64> {
    parsed(|text| number(text, " between 0 and 1", |x| x > 0.0 && x < 1.0))
}

/// `auto`, which is `None`, or a finite number above 0.
pub fn auto_or_positive() -> Lenient<Option<f64>> {
    parsed(|text| match text {
        "auto" => Ok(None),
        text => number(text, " above 0, or auto", |x| x > 0.0 && x.is_finite()).map(Some),
    })
}

/// A length of time: `500ms`, `30s`, `5m`, `2h`, or seconds without a unit.
pub fn duration() -> Lenient<Duration> {
    parsed(parse_duration)
}

/// Parses what [`duration`] takes.
///
/// # Errors
/// What was found and expected.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let split = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let unit = match unit {
        "ms" => 1e-3,
        "s" | "" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => f64::NAN,
    };
    let seconds = number.trim().parse::<f64>().ok().map(|x| x * unit).filter(|&s| s > 0.0);
    seconds
        .and_then(|s| Duration::try_from_secs_f64(s).ok())
        .ok_or_else(|| format!("found '{text}', expected a time such as 500ms, 30s, 5m or 2h"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        let parse = parse_duration;
        assert_eq!(parse("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse("1.5m"), Ok(Duration::from_secs(90)));
        assert_eq!(parse("2h"), Ok(Duration::from_secs(7200)));
        assert_eq!(parse("30"), Ok(Duration::from_secs(30)));
        for bad in ["", "s", "-1s", "0", "nan", "inf", "1e300h", "3 days", "5d"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn numbers_keep_to_their_ranges() {
        for (text, good) in [("0.5", true), ("0", false), ("1", false), ("NaN", false), ("x", false)] {
            assert_eq!((fraction().parse)(text).is_ok(), good, "{text}");
        }
        assert_eq!((auto_or_positive().parse)("auto"), Ok(None));
        assert_eq!((auto_or_positive().parse)("1e-3"), Ok(Some(1e-3)));
        for bad in ["0", "-1", "inf", "Auto"] {
            assert!((auto_or_positive().parse)(bad).is_err(), "{bad}");
        }
        assert!((count().parse)("0").is_err());
        assert!((count().parse)("4294967296").is_err());
    }

    #[test]
    fn all_complaints_are_told() {
        let mut check = Check::default();
        check.require(true, "no");
        check.require(false, "one");
        assert_eq!(check.take(Given::<usize>(Err("two".into()))), 0);
        assert_eq!(check.finish().unwrap_err().to_string(), "one\ntwo");
    }
}

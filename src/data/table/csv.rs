//! Tables of text: a row a line, a column of labels, the others features.
//!
//! Separated by commas, semicolons or tabs, whichever the first line has; quoted as in RFC 4180. The first line is a
//! header where one of its fields is not a number; that of a column of labels that is asked for by its number, which
//! may be the name of a class, only where the second line's is one. The labels are in the column that is asked for, or
//! that a header calls label, target, class or y. Where the first is no number, all are names of classes.

use super::super::columns::Columns;
use super::{Options, Table, number_of, text_of};
use crate::error::{Error, Result};
use csv::{ByteRecord, ReaderBuilder};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// What stands for a missing value: an empty field, `NA`, `N/A`, `NaN`, `null` or `?`.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Missing {
    /// Nothing: it is an error.
    #[default]
    Refuse,
    /// The mean of the column's other values in the file that is trained on; a column without any is an error.
    Mean,
    /// This number.
    Value(f32),
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refuse => f.pad("refuse"),
            Self::Mean => f.pad("mean"),
            Self::Value(x) => x.fmt(f),
        }
    }
}

impl FromStr for Missing {
    type Err = Error;

    fn from_str(s: &str) -> Result<Self> {
        match s {
            "refuse" => Ok(Self::Refuse),
            "mean" => Ok(Self::Mean),
            number => match number.parse::<f32>() {
                Ok(x) if x.is_finite() => Ok(Self::Value(x)),
                _ => Err(Error::usage(format!("missing values '{s}': expected refuse, mean or a number"))),
            },
        }
    }
}

/// Names of a column of labels, where none is asked for.
const LABELS: [&str; 4] = ["label", "target", "class", "y"];

fn is_missing(field: &[u8]) -> bool {
    field.is_empty() || [&b"na"[..], b"n/a", b"nan", b"null", b"?"].contains(&&field.to_ascii_lowercase()[..])
}

pub(super) fn read(bytes: &[u8], name: &str, options: &Options, trained: Option<&Columns>) -> Result<Table> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let first =
        bytes.split(|&byte| byte == b'\n').find(|line| !line.trim_ascii().is_empty()).unwrap_or(bytes);
    let count = |byte| first.iter().filter(|&&b| b == byte).count();
    let delimiter = [b',', b';', b'\t'].into_iter().rev().max_by_key(|&byte| count(byte)).unwrap_or(b',');
    let mut reader = ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter)
        .trim(csv::Trim::All)
        .from_reader(bytes);
    let mut record = ByteRecord::new();
    let broken = |e: &csv::Error| {
        let line = e.position().map_or(0, |position| position.line() as usize);
        Error::input(
            name,
            line,
            0,
            format!("text that is no CSV ({e})"),
            "fields with a delimiter between them",
        )
    };
    if !reader.read_byte_record(&mut record).map_err(|e| broken(&e))? {
        return Err(Error::input(name, 0, 0, "no row", "a table"));
    }
    let mut ahead = ByteRecord::new();
    let mut ahead = reader.read_byte_record(&mut ahead).map_err(|e| broken(&e))?.then_some(ahead);
    let number = options.label.as_ref().and_then(|label| label.parse::<usize>().ok());
    let below = number.and_then(|number| ahead.as_ref()?.get(number.checked_sub(1)?));
    let named = trained.is_some_and(|trained| trained.classes.is_some());
    let numbered = !named && below.and_then(number_of).is_some();
    let mut fields = record.iter().zip(1..).filter(|(_, at)| Some(*at) != number || numbered);
    let header = fields.any(|(field, _)| number_of(field).is_none() && !is_missing(field));
    let mut next = |record: &mut ByteRecord| match ahead.take() {
        Some(row) => {
            *record = row;
            Ok(true)
        }
        None => reader.read_byte_record(record).map_err(|e| broken(&e)),
    };
    let columns = record.len();
    let names: Option<Vec<String>> = header.then(|| record.iter().map(text_of).collect());
    let label = label(names.as_deref(), columns, name, options, trained)?;
    let mut table = Table { full: true, ..Table::new(columns - usize::from(label.is_some())) };
    let mut labels = Labels { trained, ..Labels::default() };
    let mut values = Vec::with_capacity(columns);
    // Of each feature, the sum and the number of its values.
    let mut sums = vec![(0f64, 0u64); table.features];
    let mut more = !header || next(&mut record)?;
    while more {
        let line = record.position().map_or(0, |position| position.line() as usize);
        if record.len() != columns {
            let expected = format!("{columns}, as in the first line");
            return Err(Error::input(name, line, 0, format!("{} fields", record.len()), expected));
        }
        values.clear();
        for (at, field) in record.iter().enumerate() {
            let wrong = |expected: &str| {
                let column =
                    names.as_ref().map_or(String::new(), |names| format!(" in column '{}'", names[at]));
                let found = format!("'{}'{column}", text_of(field));
                Err(Error::input(name, line, at + 1, found, expected))
            };
            let value = number_of(field).filter(|x| x.is_finite());
            if Some(at) == label {
                let pushed = if is_missing(field) { Err("a label") } else { labels.push(field, value) };
                match pushed {
                    Err(_) if options.unlabelled => labels.numbers.push(f32::NAN),
                    Err(expected) => return wrong(expected),
                    Ok(()) => {}
                }
                continue;
            }
            values.push(match value {
                Some(x) => x,
                None if !is_missing(field) => {
                    return wrong("a finite number (column is the field's number)");
                }
                None => match options.missing {
                    Missing::Refuse => return wrong("a value, or an option for missing ones"),
                    Missing::Value(x) => x,
                    Missing::Mean => f32::NAN,
                },
            });
        }
        let known = values.iter().zip(&mut sums).filter(|(x, _)| !x.is_nan());
        known.for_each(|(&x, sum)| *sum = (sum.0 + f64::from(x), sum.1 + 1));
        table.push(values.iter().copied())?;
        more = next(&mut record)?;
    }
    // Without rows there is another error.
    let empty = sums.iter().position(|&(_, count)| count == 0).filter(|_| table.rows() > 0);
    let own_means = options.missing == Missing::Mean && trained.is_none();
    if let Some(at) = empty.filter(|_| own_means) {
        let at = at + usize::from(label.is_some_and(|label| label <= at));
        let column = names.as_ref().map_or((at + 1).to_string(), |names| format!("'{}'", names[at]));
        let expected = "at least one, whose mean stands for missing ones";
        return Err(Error::input(name, 0, 0, format!("no value in column {column}"), expected));
    }
    let mean = |&(sum, count): &(f64, u64)| (sum / count as f64) as f32;
    let means = own_means.then(|| sums.iter().map(mean).collect());
    table.columns = Columns { means, ..Columns::default() };
    if label.is_some() {
        (table.labels, table.columns.classes) = labels.finish();
    }
    if let Some(mut names) = names {
        table.columns.label = label.map(|label| names.remove(label));
        table.columns.names = Some(names);
    }
    Ok(table)
}

/// The labels of the rows so far.
#[derive(Default)]
struct Labels<'a> {
    /// Where they are names, the numbers of these as they appear.
    numbers: Vec<f32>,
    names: Option<BTreeMap<String, usize>>,
    /// Of a test set.
    trained: Option<&'a Columns>,
}

impl Labels<'_> {
    /// Adds a label, which is this number if it is one. What is expected, if it is none.
    fn push(&mut self, field: &[u8], number: Option<f32>) -> Result<(), &'static str> {
        let text = || text_of(field);
        if let Some(trained) = self.trained {
            let number = match &trained.classes {
                Some(classes) => classes.binary_search(&text()).map(|at| at as f32).ok(),
                None => number,
            };
            self.numbers.push(number.ok_or("a label as in the training data")?);
            return Ok(());
        }
        if self.numbers.is_empty() && number.is_none() {
            self.names = Some(BTreeMap::new());
        }
        self.numbers.push(match &mut self.names {
            Some(names) => {
                let next = names.len();
                *names.entry(text()).or_insert(next) as f32
            }
            None => number.ok_or("a finite number, as the first label is one")?,
        });
        Ok(())
    }

    /// The labels, and the names of 0, 1, 2, … where they are names, sorted.
    fn finish(self) -> (Option<Vec<f32>>, Option<Vec<String>>) {
        let Some(names) = self.names else { return (Some(self.numbers), None) };
        let mut rank = vec![0.0; names.len()];
        names.values().zip(0u32..).for_each(|(&number, at)| rank[number] = at as f32);
        // What is no label is none still.
        let numbers = self.numbers.iter().map(|&x| if x.is_nan() { x } else { rank[x as usize] });
        (Some(numbers.collect()), Some(names.into_keys().collect()))
    }
}

/// The column of the labels.
fn label(
    names: Option<&[String]>,
    columns: usize,
    name: &str,
    options: &Options,
    trained: Option<&Columns>,
) -> Result<Option<usize>> {
    let called = |wanted: &str| names.and_then(|names| names.iter().position(|name| name == wanted));
    if let Some(wanted) = &options.label {
        let number = wanted.parse::<usize>().ok().filter(|number| (1..=columns).contains(number));
        return called(wanted).or(number.map(|number| number - 1)).map(Some).ok_or_else(|| {
            Error::input(name, 1, 0, format!("no column '{wanted}'"), format!("its name, or 1 to {columns}"))
        });
    }
    // In a test set as in the training data.
    let named: Vec<usize> = match trained.and_then(|trained| trained.label.as_deref()) {
        Some(label) => called(label).into_iter().collect(),
        None => LABELS.into_iter().filter_map(called).collect(),
    };
    match *named {
        [] if options.labels.is_some() || options.unlabelled => Ok(None),
        [] => {
            let expected = "one called label, target, class or y, or the option that names it (--label)";
            Err(Error::input(name, 1, 0, "no column of labels", expected))
        }
        [only] if options.labels.is_none() => Ok(Some(only)),
        _ => Err(Error::input(name, 1, 0, "several sources of labels", "one: name it (--label)")),
    }
}

//! Tables of text: a row a line, a column of labels, the others features.
//!
//! Separated by commas, semicolons or tabs, whichever the first line has; quoted as in RFC 4180. The first line is a
//! header where one of its fields is not a number. The labels are in the column that is asked for, or that a header
//! calls label, target, class or y.

use super::{Options, Table, number_of};
use crate::error::{Error, Result};
use csv::{ByteRecord, ReaderBuilder};
use std::fmt;
use std::str::FromStr;

/// What stands for a missing value: an empty field, `NA`, `N/A`, `NaN`, `null` or `?`.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Missing {
    /// Nothing: it is an error.
    #[default]
    Refuse,
    /// The mean of the column's other values.
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

pub(super) fn read(bytes: &[u8], name: &str, options: &Options) -> Result<Table> {
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
    let header = record.iter().any(|field| number_of(field).is_none() && !is_missing(field));
    let columns = record.len();
    let names: Option<Vec<String>> =
        header.then(|| record.iter().map(|field| String::from_utf8_lossy(field).into_owned()).collect());
    let label = label(names.as_deref(), columns, name, options)?;
    let mut table = Table::new(columns - usize::from(label.is_some()));
    let mut labels = Vec::new();
    let mut values = vec![0f32; columns];
    // Of each column, the sum and the number of its values, and where one is missing.
    let (mut sums, mut holes) = (vec![(0f64, 0u64); columns], Vec::new());
    let mut more = !header || reader.read_byte_record(&mut record).map_err(|e| broken(&e))?;
    while more {
        let line = record.position().map_or(0, |position| position.line() as usize);
        if record.len() != columns {
            let expected = format!("{columns}, as in the first line");
            return Err(Error::input(name, line, 0, format!("{} fields", record.len()), expected));
        }
        let mut row_holes = Vec::new();
        for (at, field) in record.iter().enumerate() {
            let wrong = |expected: &str| {
                let column =
                    names.as_ref().map_or(String::new(), |names| format!(" in column '{}'", names[at]));
                let found = format!("'{}'{column}", String::from_utf8_lossy(field));
                Err(Error::input(name, line, at + 1, found, expected))
            };
            values[at] = match number_of(field) {
                Some(x) if x.is_finite() => x,
                _ if !is_missing(field) => return wrong("a finite number (column is the field's number)"),
                _ if Some(at) == label => return wrong("a label"),
                _ => match options.missing {
                    Missing::Refuse => return wrong("a value, or an option for missing ones"),
                    Missing::Value(x) => x,
                    Missing::Mean => {
                        row_holes.push(at);
                        0.0
                    }
                },
            };
            if !row_holes.contains(&at) {
                sums[at] = (sums[at].0 + f64::from(values[at]), sums[at].1 + 1);
            }
        }
        holes.extend(row_holes.into_iter().map(|at| (table.rows(), at)));
        labels.extend(label.map(|label| values[label]));
        table.push(values.iter().enumerate().filter(|(at, _)| Some(*at) != label).map(|(_, &x)| x));
        more = reader.read_byte_record(&mut record).map_err(|e| broken(&e))?;
    }
    if !holes.is_empty() {
        fill(&mut table, &holes, &sums, label);
    }
    table.labels = label.map(|_| labels);
    table.names = names.map(|mut names| {
        label.map(|label| names.remove(label));
        names
    });
    Ok(table)
}

/// The column of the labels.
fn label(names: Option<&[String]>, columns: usize, name: &str, options: &Options) -> Result<Option<usize>> {
    let called = |wanted: &str| names.and_then(|names| names.iter().position(|name| name == wanted));
    if let Some(wanted) = &options.label {
        let number = wanted.parse::<usize>().ok().filter(|number| (1..=columns).contains(number));
        return called(wanted).or(number.map(|number| number - 1)).map(Some).ok_or_else(|| {
            Error::input(name, 1, 0, format!("no column '{wanted}'"), format!("its name, or 1 to {columns}"))
        });
    }
    let named: Vec<usize> = LABELS.into_iter().filter_map(called).collect();
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

/// Puts the means of the columns in their holes: a second pass over the rows.
fn fill(table: &mut Table, holes: &[(usize, usize)], sums: &[(f64, u64)], label: Option<usize>) {
    let old = std::mem::replace(table, Table::new(table.features));
    let mut holes = holes.iter().peekable();
    let mut values = vec![0f32; old.features];
    for row in 0..old.rows() {
        values.fill(0.0);
        let range = old.starts[row] as usize..old.starts[row + 1] as usize;
        old.ids[range.clone()].iter().zip(&old.values[range]).for_each(|(&id, &x)| values[id as usize] = x);
        while let Some(&&(_, at)) = holes.peek().filter(|hole| hole.0 == row) {
            let (sum, count) = sums[at];
            let feature = at - usize::from(label.is_some_and(|label| label < at));
            values[feature] = if count > 0 { (sum / count as f64) as f32 } else { 0.0 };
            holes.next();
        }
        table.push(values.iter().copied());
    }
}

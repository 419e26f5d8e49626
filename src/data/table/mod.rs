//! Data that are no LIBSVM text: tables with a value for each feature, and sparse matrices. Recognised by the content.
//!
//! All become sparse rows: zeros are not stored, and take no time in training. Tables of many columns that are hardly
//! ever 0 keep them, for loops over dense rows.

mod csv;
mod idx;
mod lay;
mod matrix_market;
mod numpy;

pub use self::csv::Missing;

use super::columns::Columns;
use crate::error::{Error, Result};
use crate::memory;
use std::path::{Path, PathBuf};

/// What else there is to say about a table.
#[derive(Debug, Clone, Default)]
pub(super) struct Options {
    /// The file of the labels, where the table has none.
    pub labels: Option<PathBuf>,
    /// The column of the labels in CSV: a name, or a number from 1.
    pub label: Option<String>,
    /// What stands for a missing value in CSV.
    pub missing: Missing,
    /// Whether what is said of CSV is passed over in other forms.
    pub if_csv: bool,
    /// Whether rows need no labels.
    pub unlabelled: bool,
}

impl Options {
    /// Refuses what says nothing about data of this form, LIBSVM text where it is `None`.
    ///
    /// # Errors
    /// [`Error::Usage`] with a line for each such option.
    pub fn suit(&self, form: Option<Form>, name: &str) -> Result<()> {
        let csv = form == Some(Form::Csv) || self.if_csv;
        let lines = [
            (
                form.is_none() && self.labels.is_some(),
                "found labels in the rows, expected no file of them (--labels)",
            ),
            (!csv && self.label.is_some(), "found no CSV, expected no column of labels (--label)"),
            (!csv && self.missing != Missing::Refuse, "found no CSV, expected no missing values (--missing)"),
        ];
        let wrong = lines.into_iter().filter(|(wrong, _)| *wrong);
        let wrong: Vec<String> = wrong.map(|(_, line)| format!("{name}: {line}")).collect();
        if wrong.is_empty() { Ok(()) } else { Err(Error::Usage(wrong)) }
    }
}

/// Rows in the order of their source.
#[derive(Default)]
pub(super) struct Table {
    pub starts: Vec<u64>,
    pub ids: Vec<u32>,
    pub values: Vec<f32>,
    /// None where the source has no labels.
    pub labels: Option<Vec<f32>>,
    pub features: usize,
    /// Whether each row says something of each feature: no feature can be missing.
    pub full: bool,
    /// Whether the values were bytes.
    pub bytes: bool,
    pub columns: Columns,
}

/// The bytes of a value and its id.
const VALUE: usize = 8;

/// Values for which memory is not asked.
const MANY: usize = 1 << 20;

impl Table {
    fn new(features: usize) -> Self {
        Self { starts: vec![0], features, ..Self::default() }
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.starts.len() - 1
    }

    /// Adds a row of one value a feature; NaN is a missing one.
    ///
    /// # Errors
    /// Where there is no memory for as many values again.
    fn push(&mut self, values: impl Iterator<Item = f32>) -> Result<()> {
        for (id, value) in (0..).zip(values) {
            if value != 0.0 {
                let count = self.ids.len();
                if count == self.ids.capacity() && count >= MANY {
                    memory::check_reading("the table", count, "more values", VALUE)?;
                }
                self.ids.push(id);
                self.values.push(value);
            }
        }
        self.starts.push(self.ids.len() as u64);
        Ok(())
    }

    /// A table of rows with `width` values each. Without values there are no rows, however many a file claims.
    fn dense(values: impl Iterator<Item = f32>, rows: usize, width: usize) -> Result<Self> {
        let mut table = Self { full: true, ..Self::new(width) };
        let mut values = values;
        let rows = if width > 0 { rows } else { 0 };
        for _ in 0..rows {
            table.push(values.by_ref().take(width))?;
        }
        Ok(table)
    }
}

/// A form of data, as the first bytes tell it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Csv,
    Npy,
    Npz,
    Idx,
    MatrixMarket,
}

impl Form {
    /// The form that these first bytes are of; `None` for LIBSVM text. A line with a comma, a semicolon or a tab and no
    /// word `index:value` is CSV, the first one or, after lines that begin with `#`, the next.
    pub fn of(start: &[u8]) -> Option<Self> {
        if start.starts_with(numpy::MAGIC) {
            return Some(Self::Npy);
        }
        if start.starts_with(b"PK\x03\x04") {
            return Some(Self::Npz);
        }
        if matches!(start, [0, 0, 0x08 | 0x09 | 0x0b | 0x0c | 0x0d | 0x0e, 1..=4, ..]) {
            return Some(Self::Idx);
        }
        if start.starts_with(b"%%MatrixMarket") {
            return Some(Self::MatrixMarket);
        }
        let mut lines = start.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii);
        let line = lines.find(|line| !line.is_empty() && line[0] != b'#')?;
        is_csv(line).then_some(Self::Csv)
    }

    /// The table in these bytes, which are not packed; of a test set with what is known of the columns that were
    /// `trained`. `name` is what errors call it, and what the name of a file with its labels may follow from.
    ///
    /// # Errors
    /// [`Error::Input`] with line or offset where it is not what it should be; [`Error::Io`] where the labels cannot
    /// be read.
    pub fn read(
        self,
        bytes: &[u8],
        name: &str,
        options: &Options,
        trained: Option<&Columns>,
    ) -> Result<Table> {
        options.suit(Some(self), name)?;
        let mut table = match self {
            Self::Csv => csv::read(bytes, name, options, trained)?,
            Self::Npy => numpy::read(bytes, name)?,
            Self::Npz => numpy::read_zip(bytes, name)?,
            Self::Idx => idx::read(bytes, name)?,
            Self::MatrixMarket => matrix_market::read(bytes, name)?,
        };
        // Laid out in another order, beside this one.
        memory::check_reading(name, table.ids.len(), "values", VALUE)?;
        if table.rows() == 0 || table.features == 0 {
            let found = format!("{} rows with {} features", table.rows(), table.features);
            return Err(Error::input(name, 0, 0, found, "at least one of each"));
        }
        if options.labels.is_some() && table.labels.is_some() {
            return Err(Error::input(
                name,
                0,
                0,
                "labels",
                "none beside those in a file of their own (--labels)",
            ));
        }
        let beside = || (self == Self::Idx).then(|| idx::labels_beside(Path::new(name))).flatten();
        let found = options.labels.clone().or_else(|| if table.labels.is_none() { beside() } else { None });
        if let Some(path) = found {
            let labels = labels(&path)?;
            if labels.len() != table.rows() {
                let (found, expected) = (labels.len(), table.rows());
                let found = format!("{found} labels");
                return Err(Error::input(
                    path.display().to_string(),
                    0,
                    0,
                    found,
                    format!("{expected}, one a row"),
                ));
            }
            table.labels = Some(labels);
        }
        if table.labels.is_none() && !options.unlabelled {
            let expected = "labels: in a file of their own (--labels), a column (--label) or an array y";
            return Err(Error::input(name, 0, 0, "rows without labels", expected));
        }
        Ok(table)
    }
}

/// Whether a line, which is not empty, is one of CSV, and not of LIBSVM text, where a comment may follow a row.
fn is_csv(line: &[u8]) -> bool {
    let separated = |text: &[u8]| text.iter().any(|byte| b",;\t".contains(byte));
    let row = line.split(|&byte| byte == b'#').next().unwrap_or_default().trim_ascii();
    let mut words = row.split(u8::is_ascii_whitespace);
    let labelled = words.next().is_some_and(|word| number_of(word).is_some());
    let is_value = |word: &[u8]| {
        let parts = word.iter().position(|&byte| byte == b':').map(|at| (&word[..at], &word[at + 1..]));
        parts.is_some_and(|(index, value)| {
            !index.is_empty() && index.iter().all(u8::is_ascii_digit) && number_of(value).is_some()
        })
    };
    let binary = line.iter().any(|&byte| byte < b' ' && byte != b'\t');
    separated(line) && !binary && !words.any(is_value) && (separated(row) || !labelled)
}

/// The labels in a file: idx, NumPy, or text with a number a line.
fn labels(path: &Path) -> Result<Vec<f32>> {
    let name = path.display().to_string();
    let bytes = super::source::Bytes::open(path)?.unpacked(&name)?;
    let mut buffer = Vec::new();
    let bytes = bytes.part(0, bytes.len(), &mut buffer)?;
    match Form::of(bytes) {
        Some(Form::Idx) => idx::labels(bytes, &name),
        Some(Form::Npy) => numpy::labels(bytes, &name),
        None => {
            let line = |(number, line): (usize, &[u8])| match number_of(line.trim_ascii()) {
                Some(x) if x.is_finite() => Ok(x),
                _ => {
                    let found = format!("'{}'", String::from_utf8_lossy(line.trim_ascii()));
                    Err(Error::input(&name, number + 1, 0, found, "a finite number, one a line"))
                }
            };
            let lines = bytes.split(|&byte| byte == b'\n').enumerate();
            lines.filter(|(_, line)| !line.trim_ascii().is_empty()).map(line).collect()
        }
        Some(form) => {
            let found = format!("{form:?} data");
            Err(Error::input(name, 0, 0, found, "labels as idx, .npy, or text with a number a line"))
        }
    }
}

/// The number that these bytes are.
fn number_of(text: &[u8]) -> Option<f32> {
    fast_float2::parse::<f32, _>(text).ok()
}

/// Text in UTF-8, or else in Latin-1.
fn text_of(bytes: &[u8]) -> String {
    let latin = || bytes.iter().map(|&byte| char::from(byte)).collect();
    std::str::from_utf8(bytes).map_or_else(|_| latin(), str::to_owned)
}

/// An error at a byte of a binary file.
fn at_byte(name: &str, offset: usize, found: impl std::fmt::Display, expected: impl Into<String>) -> Error {
    Error::input(name, 0, 0, format!("{found} at byte {offset}"), expected)
}

//! Rows whose features belong to fields: LIBFFM's text.

use super::layout;
use super::source::Input;
use crate::error::{Error, Result};
use crate::kernel::occurrences;
use crate::memory;
use crate::sync::Arc;
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use std::path::{Path, PathBuf};

/// A value of a row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Entry {
    /// The field, from 0.
    pub field: u32,
    /// The feature by rank: 0 is the one that the most rows have.
    pub feature: u32,
    /// The value.
    pub value: f32,
}

/// Labelled rows of features with fields, in the order in which they are visited. Each row is scaled to length 1.
#[derive(Debug, Clone)]
pub struct FieldRows {
    starts: Vec<usize>,
    entries: Vec<Entry>,
    labels: Vec<f32>,
    /// The line of the source, from 1, that each is.
    lines: Vec<u32>,
    /// Original id of each feature.
    ids: Arc<Vec<u32>>,
    fields: usize,
    /// Values of features or fields that a model does not know.
    unknown: usize,
    classes: Option<[f32; 2]>,
    name: String,
    hash: String,
}

/// The bytes of an entry while rows are read, and then laid out.
const ENTRY: usize = 32;

/// The largest id of a feature, and the most fields: a wild one would take all memory.
const MOST: [u32; 2] = [(1 << 28) - 1, (1 << 12) - 1];

/// A feature of a test set that was not trained.
const UNKNOWN: u32 = u32::MAX;

impl FieldRows {
    /// Reads a file (`-` is standard input), plain or compressed, laid out by `seed`: `label field:feature:value …` on each
    /// line, fields from 0 to 4095 and features from 0 to 2²⁸ − 1; blank lines are skipped.
    ///
    /// # Errors
    /// [`Error::Io`] where the file cannot be read; [`Error::Input`] with its line where it does not say what it should.
    pub fn open(path: impl Into<PathBuf>, seed: u64) -> Result<Self> {
        Ok(Self::read(input(path.into()), None)?.laid_out(seed))
    }

    /// As [`FieldRows::open`], from bytes that errors call `name`.
    ///
    /// # Errors
    /// As [`FieldRows::open`].
    pub fn bytes(name: impl Into<String>, bytes: impl Into<Vec<u8>>, seed: u64) -> Result<Self> {
        Ok(Self::read(Input::Bytes(name.into(), bytes.into()), None)?.laid_out(seed))
    }

    /// Reads rows to test a model on that has these features, by original id, and fields: in the order of the file.
    /// Values of features and fields that the model does not know are taken as 0 ([`FieldRows::unknown`]).
    ///
    /// # Errors
    /// As [`FieldRows::open`]; [`Error::Usage`] where there are more fields, or larger ids, than it would read.
    pub fn like(path: impl Into<PathBuf>, ids: &[u32], fields: usize) -> Result<Self> {
        let largest = ids.iter().copied().max().unwrap_or(0);
        if largest > MOST[0] || fields > MOST[1] as usize + 1 {
            let found = format!("a model of {fields} fields and feature {largest}");
            return Err(Error::usage(format!("{found}, expected at most {} and {}", MOST[1] + 1, MOST[0])));
        }
        Self::read(input(path.into()), Some((ids, fields)))
    }

    fn read(mut input: Input, like: Option<(&[u32], usize)>) -> Result<Self> {
        let name = input.name();
        let unpacked = input.open()?.unpacked(&name)?;
        let mut buffer = Vec::new();
        let bytes = unpacked.part(0, unpacked.len(), &mut buffer)?;
        let hash = format!("{:032x}", xxhash_rust::xxh3::xxh3_128(bytes));
        memory::check_reading(&name, memory::occurrences(bytes, b':') / 2, "features of fields", ENTRY)?;
        let (mut starts, mut entries, mut labels, mut lines) = (vec![0], Vec::new(), Vec::new(), Vec::new());
        for (line, text) in (1..).zip(bytes.split(|&b| b == b'\n')) {
            let mut words = text.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
            let Some(label) = words.next() else { continue };
            let show = |word: &[u8]| String::from_utf8_lossy(&word[..word.len().min(40)]).into_owned();
            let wrong = |word: &[u8], expected: &str| {
                Error::input(&name, line, 0, format!("'{}'", show(word)), expected)
            };
            let label = number(label).ok_or_else(|| wrong(label, "a label, a finite number"))?;
            labels.push(label);
            lines.push(line as u32);
            let row = entries.len();
            for word in words {
                let entry = entry(word).ok_or_else(|| wrong(word, "field:feature:value"))?;
                for (at, (what, most)) in
                    [entry.feature, entry.field].into_iter().zip([("feature", MOST[0]), ("field", MOST[1])])
                {
                    if at > most {
                        return Err(wrong(word, &format!("a {what} of at most {most}")));
                    }
                }
                entries.push(entry);
            }
            let length =
                entries[row..].iter().map(|e: &Entry| f64::from(e.value).powi(2)).sum::<f64>().sqrt();
            if length > 0.0 {
                entries[row..].iter_mut().for_each(|e| e.value = (f64::from(e.value) / length) as f32);
            }
            starts.push(entries.len());
        }
        if labels.is_empty() {
            return Err(Error::input(name, 0, 0, "no row", "at least one (label field:feature:value …)"));
        }
        let ids = match like {
            Some((ids, _)) => ids.to_vec(),
            None => {
                let features = entries.iter().map(|e| e.feature as usize + 1).max().unwrap_or(0);
                let features_of: Vec<u32> = entries.iter().map(|e| e.feature).collect();
                let counts = occurrences(&features_of, features);
                layout::by_frequency(&counts).into_iter().filter(|&id| counts[id as usize] > 0).collect()
            }
        };
        let mut ranks = vec![UNKNOWN; ids.iter().max().map_or(0, |&most| most as usize + 1)];
        (0..).zip(&ids).for_each(|(rank, &id)| ranks[id as usize] = rank);
        let fields =
            like.map_or_else(|| entries.iter().map(|e| e.field as usize + 1).max().unwrap_or(0), |l| l.1);
        // What is not known has no parameters: value 0 at a place that is.
        let mut unknown = 0;
        for e in &mut entries {
            match ranks.get(e.feature as usize) {
                Some(&rank) if rank != UNKNOWN && (e.field as usize) < fields => e.feature = rank,
                _ => {
                    unknown += 1;
                    *e = Entry { field: 0, feature: 0, value: 0.0 };
                }
            }
        }
        let (ids, classes) = (Arc::new(ids), None);
        Ok(Self { starts, entries, labels, lines, ids, fields, unknown, classes, name, hash })
    }

    fn laid_out(self, seed: u64) -> Self {
        self.pick(layout::shuffled(self.len(), seed))
    }

    /// The rows at these positions, in this order.
    fn pick(&self, rows: Vec<u32>) -> Self {
        let (mut starts, mut entries) = (vec![0], Vec::with_capacity(self.entries.len()));
        for &r in &rows {
            entries.extend_from_slice(self.row(r as usize));
            starts.push(entries.len());
        }
        let labels = rows.iter().map(|&r| self.labels[r as usize]).collect();
        let lines = rows.iter().map(|&r| self.lines[r as usize]).collect();
        Self {
            starts,
            entries,
            labels,
            lines,
            ids: Arc::clone(&self.ids),
            name: self.name.clone(),
            hash: self.hash.clone(),
            ..*self
        }
    }

    /// Two sets, the second with `fraction` of the rows, chosen by `seed`.
    ///
    /// # Errors
    /// [`Error::Usage`] where one would be empty.
    pub fn split(&self, fraction: f64, seed: u64) -> Result<(Self, Self)> {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed ^ 0x5eed);
        let mut by_source: Vec<u32> = (0..self.len() as u32).collect();
        by_source.sort_unstable_by_key(|&r| self.lines[r as usize]);
        let mut held = vec![false; self.len()];
        by_source.iter().for_each(|&r| held[r as usize] = rng.random::<f64>() < fraction);
        let test: Vec<u32> = by_source.into_iter().filter(|&r| held[r as usize]).collect();
        let train: Vec<u32> = (0..self.len() as u32).filter(|&r| !held[r as usize]).collect();
        if test.is_empty() || train.is_empty() {
            let found = format!("a share of {fraction} of {} rows", self.len());
            return Err(Error::usage(format!("{}: found {found}, expected a part on both sides", self.name)));
        }
        Ok((self.pick(train), self.pick(test)))
    }

    /// Labels of two values as −1 (the smaller) and +1.
    ///
    /// # Errors
    /// [`Error::Input`] where there are not two.
    pub fn binary(self) -> Result<Self> {
        let mut values = self.labels.clone();
        values.sort_unstable_by(f32::total_cmp);
        values.dedup();
        match values[..] {
            [minus, plus] => self.binary_as([minus, plus]),
            [one] => {
                let found = format!("only the label {one}");
                Err(Error::input(self.name, 0, 0, found, "two classes"))
            }
            _ => {
                let first = |known: &[f32]| {
                    let others = (0..self.len()).filter(|&row| !known.contains(&self.labels[row]));
                    others.min_by_key(|&row| self.lines[row]).unwrap_or(0)
                };
                let one = self.labels[first(&[])];
                let two = self.labels[first(&[one])];
                let expected = format!("two classes, as are {one} and {two}");
                Err(self.wrong_label(first(&[one, two]), "a third label,", expected))
            }
        }
    }

    /// As [`FieldRows::binary`], with the classes that a model has.
    ///
    /// # Errors
    /// [`Error::Input`] where there is another label.
    pub fn binary_as(mut self, classes: [f32; 2]) -> Result<Self> {
        let others = (0..self.len()).filter(|&row| !classes.contains(&self.labels[row]));
        if let Some(row) = others.min_by_key(|&row| self.lines[row]) {
            return Err(self.wrong_label(row, "label", format!("{} or {}", classes[0], classes[1])));
        }
        self.labels.iter_mut().for_each(|label| *label = if *label == classes[0] { -1.0 } else { 1.0 });
        self.classes = Some(classes);
        Ok(self)
    }

    /// The error that the label of a row, which is `what`, is not as expected.
    fn wrong_label(&self, row: usize, what: &str, expected: String) -> Error {
        let found = format!("{what} {}", self.labels[row]);
        Error::input(&*self.name, self.lines[row] as usize, 0, found, expected)
    }

    /// The number of rows.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The entries of a row.
    #[inline(always)]
    pub fn row(&self, row: usize) -> &[Entry] {
        &self.entries[self.starts[row]..self.starts[row + 1]]
    }

    /// The number of values whose features or fields the model does not know that these are to test.
    pub fn unknown(&self) -> usize {
        self.unknown
    }

    /// The number of stored values.
    pub fn nonzeros(&self) -> usize {
        self.entries.len()
    }

    /// One label a row.
    pub fn labels(&self) -> &[f32] {
        &self.labels
    }

    /// The original labels that became −1 and +1.
    pub fn classes(&self) -> Option<[f32; 2]> {
        self.classes
    }

    /// The original ids of the features by rank.
    pub fn ids(&self) -> &[u32] {
        &self.ids
    }

    /// The number of fields.
    pub fn fields(&self) -> usize {
        self.fields
    }

    /// The file as the user named it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The xxh3-128 of the text, in hexadecimal digits.
    pub fn hash(&self) -> &str {
        &self.hash
    }
}

fn input(path: PathBuf) -> Input {
    if path == Path::new("-") { Input::Stdin } else { Input::File(path) }
}

fn number(word: &[u8]) -> Option<f32> {
    fast_float2::parse::<f32, _>(word).ok().filter(|v| v.is_finite())
}

/// `field:feature:value`.
fn entry(word: &[u8]) -> Option<Entry> {
    let mut parts = word.splitn(3, |&b| b == b':');
    let mut whole = || std::str::from_utf8(parts.next()?).ok()?.parse::<u32>().ok();
    let (field, feature) = (whole()?, whole()?);
    Some(Entry { field, feature, value: number(parts.next()?)? })
}

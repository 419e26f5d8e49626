//! From a source to a data set.

use super::cache::{Cached, Entry, Origin};
use super::dataset::{Dataset, Numbering, Stretch};
use super::layout::{self, Placed};
use super::libsvm::{Fault, Format, Limit, MAX_INDEX, UNCHANGED};
use super::lines::{Lines, Piece};
use super::slots::{Part, Slots};
use super::source::{Bytes, Input, Stamp};
use super::table::{self, Form, Missing};
use crate::error::{Error, Result};
use crate::kernel::{Rows, occurrences};
use crate::memory;
use crate::sync::Arc;
use rayon::prelude::*;
use std::path::{Path, PathBuf};
use xxhash_rust::xxh3::xxh3_64;

/// The bytes that tell the form of the data.
const SNIFFED: u64 = 1 << 16;

/// More features than this must be asked for: a wild index would take all memory.
pub(super) const FEATURES: usize = 1 << 28;

/// Reads a data set: LIBSVM text, CSV, NumPy's `.npy` and `.npz`, idx (the MNIST files) or MatrixMarket, which is
/// recognised by the content; plain, or compressed by gzip, bzip2, xz or zstd.
///
/// Rows are shuffled and features renumbered by falling frequency while they are placed; only one copy of
/// the numbers exists at any time, beside 24 bytes a row; a file is read in parts, twice. Anything compressed and standard
/// input are held in memory as whole text first: over three times the numbers' memory at the peak. All cores take part.
///
/// LIBSVM text, with what is an error: `label index:value … # comment`; a finite label; indices from 1 (see
/// [`Loader::zero_based`]) up to 2²⁸ (see [`Loader::features`]), in any order, each once in a row; finite f32 values, of which
/// zeros are not stored; blank lines and comments are skipped; `qid:N` after the label is read over.
///
/// ```no_run
/// # fn main() -> asyncsgd::Result<()> {
/// use asyncsgd::Loader;
/// let train = Loader::new("train.svm.zst").seed(7).load()?;
/// let test = Loader::new("test.svm.zst").like(&train).load()?;
/// # Ok(())
/// # }
/// ```
pub struct Loader {
    input: Input,
    seed: u64,
    zero_based: Option<bool>,
    features: usize,
    like: Option<Arc<Numbering>>,
    cache: Option<PathBuf>,
    table: table::Options,
}

impl Loader {
    /// Will read the file at `path`, or standard input for `-`.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        Self::from(if path == Path::new("-") { Input::Stdin } else { Input::File(path) })
    }

    /// Will read `bytes`, plain or compressed; errors and reports call them `name`.
    pub fn bytes(name: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        Self::from(Input::Bytes(name.into(), bytes.into()))
    }

    pub(super) fn from(input: Input) -> Self {
        Self {
            input,
            seed: 0,
            zero_based: None,
            features: 0,
            like: None,
            cache: None,
            table: table::Options::default(),
        }
    }

    /// The seed of the order in which the rows are laid out; 0 unless said. The same seed gives the same
    /// order on every machine.
    pub fn seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// The labels are in a file of their own, one a row: idx, `.npy`, or text with a number a line. Not for LIBSVM text.
    /// For idx images the file beside them with `labels` and `idx1` in its name is found without.
    pub fn labels(mut self, path: impl Into<PathBuf>) -> Self {
        self.table.labels = Some(path.into());
        self
    }

    /// The column of the labels in CSV: a name of the header, or a number from 1. Else a column called label, target,
    /// class or y; or as in the data that this is [like](Loader::like). Where the first label is no number, all are names
    /// of classes: labels are then their numbers from 0, sorted ([`Dataset::class_names`]).
    pub fn label(mut self, column: impl Into<String>) -> Self {
        self.table.label = Some(column.into());
        self
    }

    /// What stands for a missing value in CSV; it is an error unless said. Means are those of the whole file, or of the
    /// training data's file where this is [like](Loader::like) them.
    pub fn missing(mut self, missing: Missing) -> Self {
        self.table.missing = missing;
        self
    }

    /// What is said of CSV ([`Loader::label`], [`Loader::missing`]) is passed over where the data are of another form, and
    /// no error.
    pub fn if_csv(mut self) -> Self {
        self.table.if_csv = true;
        self
    }

    /// Rows need no labels, as for predicting; where there are none they are NaN. LIBSVM rows always have some.
    pub fn unlabelled(mut self) -> Self {
        self.table.unlabelled = true;
        self
    }

    /// Whether the first feature has index 0; if not said it has index 1, or the one that it has in the
    /// data of [`Loader::like`].
    pub fn zero_based(self, yes: bool) -> Self {
        Self { zero_based: Some(yes), ..self }
    }

    /// At least so many features, even where the largest index says fewer: for a training set that has to
    /// cover a test set, see [`Loader::dimension`]. Tables with a value for each feature (CSV, arrays
    /// and idx) have those that they have, whatever is said here. Indices above 2²⁸ are an error unless so many features
    /// are asked for here, at most 2³² − 2: weights and counts take 16 bytes for each feature.
    pub fn features(self, at_least: usize) -> Self {
        Self { features: at_least, ..self }
    }

    /// Reads a test set for `train`: with its numbering and its scale of the features, rows in the order of the
    /// file, and an error where a feature is not among those of `train`. Columns that have names in both are told by
    /// them, in any order, and none may be missing. If `train` has an intercept, so has this.
    pub fn like(self, train: &Dataset) -> Self {
        Self { like: Some(train.numbering.clone()), ..self }
    }

    /// Keeps the parsed rows in a file in `folder`, which is made if need be, and reads them from there the
    /// next time: many times faster than the text, and the same to the bit. An entry belongs to the file's
    /// path and to the options here but for the seed (with another one the rows are laid out again); it is
    /// as large as the data are in memory, and may be deleted at any time. Where it is damaged, from another
    /// version or not of the file's present content, the text is parsed and the entry replaced; that, and a
    /// folder that cannot be written, is told by [`Dataset::cached`] and is no error. Only LIBSVM text in files is kept,
    /// not other forms, standard input or bytes; that is told there too.
    pub fn cache(self, folder: impl Into<PathBuf>) -> Self {
        Self { cache: Some(folder.into()), ..self }
    }

    /// The number of features that the source needs (or [`Loader::features`] if that is more, but for tables with a value
    /// for each); rows are checked as when loading, and go into the [cache](Loader::cache), if there is one, by the
    /// numbering of their own.
    ///
    /// # Errors
    /// As [`Loader::load`].
    pub fn dimension(mut self) -> Result<usize> {
        // A test set's means are those of its training data.
        if self.table.missing == Missing::Mean {
            self.table.missing = Missing::Value(0.0);
        }
        Ok(Self { like: None, ..self }.load()?.features())
    }

    /// Whether the data are CSV.
    ///
    /// # Errors
    /// As [`Loader::load`], of what is read or unpacked.
    pub fn is_csv(mut self) -> Result<bool> {
        let text = self.input.open()?.unpacked(&self.input.name())?;
        Ok(Form::of(text.part(0, text.len().min(SNIFFED), &mut Vec::new())?) == Some(Form::Csv))
    }

    /// Reads everything. O(bytes + nonzeros · log(row length) + features · log(features)).
    ///
    /// # Errors
    /// [`Error::Io`] where the file cannot be read; [`Error::Input`] with line and column where it does not
    /// say what it should, is empty, or is compressed and damaged.
    pub fn load(mut self) -> Result<Dataset> {
        let name = self.input.name();
        let bytes = self.input.open()?;
        // The scale comes afterwards: the cache keeps what the file says.
        let factors = self.like.as_ref().and_then(|like| like.factors.clone());
        if let Some(like) = self.like.as_mut().filter(|_| factors.is_some()) {
            *like = Arc::new(Numbering { factors: None, ..(**like).clone() });
        }
        let mut data = match (&self.cache, &self.input) {
            (Some(folder), Input::File(path)) if self.table.suit(None, &name).is_ok() => {
                self.cached(&Entry::new(folder, path, self.shape()), path, &name, bytes)
            }
            _ => self.parse(&name, bytes, None).map(|(mut data, _)| {
                data.cached.passed_over = self.cache.is_some();
                data
            }),
        }?;
        data.look_for_numbers();
        Ok(match factors {
            Some(factors) => data.multiplied(&factors),
            None => data,
        })
    }

    /// The hash of the options that shape the rows.
    fn shape(&self) -> u64 {
        let numbering = self.like.as_deref();
        let flags = numbering.map(|n| (n.one_based, n.intercept, xxh3_64(bytemuck::cast_slice(&n.ids))));
        xxh3_64(format!("{:?} {} {flags:?}", self.zero_based, self.features).as_bytes())
    }

    /// The data from the cache; otherwise parsed, and put there.
    fn cached(&self, entry: &Entry, path: &Path, name: &str, bytes: Bytes) -> Result<Dataset> {
        let stamp = bytes.stamp();
        let mut hashed = None;
        let read = entry.read(self.like.as_ref(), |origin, written| {
            let same = stamp
                .zip(written)
                .is_some_and(|(now, written)| now == origin.stamp && now.settled_before(&written));
            if !same {
                hashed = Some(bytes.hash()?);
            }
            Ok(hashed.is_none_or(|content| content == origin.content))
        });
        let (mut data, origin, write) = match read {
            Some(Ok((data, origin))) => {
                // What had to be hashed has a stamp of its own the next time.
                let origin = Origin { stamp: stamp.unwrap_or_default(), ..origin };
                (Dataset { name: name.into(), ..data }, origin, hashed.is_some())
            }
            other => {
                // What is no packed file is hashed beside the parsing.
                let packed = hashed.is_none() && bytes.is_packed()?;
                let known = if packed { Some(bytes.hash()?) } else { hashed };
                let (mut data, text) = self.parse(name, bytes, known)?;
                data.cached.warning = other.and_then(Result::err);
                data.cached.passed_over = !text;
                let content =
                    known.unwrap_or_else(|| u128::from_str_radix(&data.hash, 16).unwrap_or_default());
                (data, Origin { content, stamp: stamp.unwrap_or_default(), seed: self.seed }, text)
            }
        };
        // A file that changed meanwhile may not be what was hashed.
        if write
            && Stamp::of(path) == stamp
            && let Err(e) = entry.write(&data, origin, self.like.is_none())
        {
            data.cached.warning = Some(format!("{e}: the text will be parsed again the next time"));
        }
        Ok(if self.like.is_none() && origin.seed != self.seed { data.laid_out(self.seed) } else { data })
    }

    /// The data from the bytes of the input, plain or compressed, and whether they are LIBSVM text, the only form that
    /// is cached; `content` is their hash, if it is known.
    fn parse(&self, name: &str, bytes: Bytes, content: Option<u128>) -> Result<(Dataset, bool)> {
        let first_is_zero = self.like.as_ref().is_some_and(|numbering| !numbering.one_based);
        let zero_based = self.zero_based.unwrap_or(first_is_zero);
        let limit = match &self.like {
            Some(_) if self.features > 0 => {
                return Err(Error::usage(
                    "a test set has the features of its training set, not a number of them",
                ));
            }
            _ if self.features as u64 > MAX_INDEX => {
                return Err(Error::usage(format!(
                    "{} features, expected at most {MAX_INDEX}",
                    self.features
                )));
            }
            Some(numbering) => Limit {
                features: numbering.ids.len() - usize::from(numbering.intercept),
                reason: ", as in the training data",
            },
            None => Limit { features: self.features.max(FEATURES), reason: "" },
        };

        let like = self.like.as_ref().filter(|numbering| numbering.intercept);
        let constant = like.map(|numbering| numbering.ids.len() as u32 - 1);

        let text = bytes.unpacked(name)?;
        // What was unpacked is no file.
        let content = content.filter(|_| text.stamp().is_some());
        let mut start = Vec::new();
        if let Some(form) = Form::of(text.part(0, text.len().min(SNIFFED), &mut start)?) {
            let hash = format!("{:032x}", content.map_or_else(|| text.hash(), Ok)?);
            let mut whole = Vec::new();
            let trained = self.like.as_deref().map(|like| &like.columns);
            let table = form.read(text.part(0, text.len(), &mut whole)?, name, &self.table, trained)?;
            let data = table.lay(name, hash, (self.like.as_ref(), self.features, self.seed, zero_based))?;
            return Ok((data, false));
        }
        self.table.suit(None, name)?;
        let lines = Lines::find(&text)?;
        let rows = lines.bounds.len();
        if rows == 0 {
            let found = if text.len() == 0 { "an empty file" } else { "no row" };
            return Err(Error::input(name, 0, 0, found, "at least one (label index:value …)"));
        }
        if u32::try_from(rows).is_err() {
            return Err(Error::input(name, 0, 0, format!("{rows} rows"), "at most 4294967295"));
        }
        let values: u128 = lines.bounds.iter().map(|&bound| u128::from(bound)).sum();
        let what = format!("{name}: {rows} rows of {values} values");
        memory::check(&what, 8 * values + 28 * rows as u128, "take fewer")?;
        let format = Format { first: u64::from(!zero_based), limit, constant };
        // The hash goes over the bytes one after the other: beside the order, which does so too.
        let (hash, placed) = rayon::join(
            || content.map_or_else(|| text.hash(), Ok),
            || {
                let order = match self.like {
                    Some(_) => (0..rows as u32).collect(),
                    None => layout::shuffled(rows, self.seed),
                };
                place(name, &text, lines, &format, &order).map(|placed| (placed, order))
            },
        );
        let ((mut placed, end, lines), order) = placed?;
        let hash = format!("{:032x}", hash?);
        drop(text);

        let (numbering, counts) = match &self.like {
            Some(numbering) => (numbering.clone(), None),
            None => {
                let features = end.max(self.features);
                layout::check_features(name, features)?;
                let counts = occurrences(&placed.ids, features);
                let ids = layout::by_frequency(&counts);
                let by_rank = ids.iter().map(|&id| counts[id as usize]).collect();
                let numbering = Numbering { ids, one_based: !zero_based, ..Numbering::default() };
                (Arc::new(numbering), Some(by_rank))
            }
        };
        layout::renumber(&mut placed, &layout::inverse(&numbering.ids));
        let features = numbering.ids.len();
        let rows = Rows::new(placed.starts, placed.ids, placed.values, features)
            .map_err(|e| Error::input(name, 0, 0, e.to_string(), "sound rows"))?;
        let rows = Arc::new(counts.into_iter().fold(rows, Rows::counted));
        let (name, cached) = (name.to_owned(), Cached::default());
        let (labels, lines) = (placed.labels, lines.into());
        let (classes, bytes) = (None, None);
        Ok((Dataset { rows, labels, order, numbering, bytes, classes, name, hash, lines, cached }, true))
    }
}

/// Parses the rows into the order in which they will be visited: row `order[p]` of the text goes to position
/// p, with its ids as in the text. Also one more than the largest id that any row mentions, and where the rows are.
///
/// # Errors
/// The first fault of the text.
fn place(
    name: &str,
    text: &Bytes,
    lines: Lines,
    format: &Format,
    order: &[u32],
) -> Result<(Placed, usize, Vec<Stretch>)> {
    let Lines { pieces, mut bounds } = lines;
    if format.constant.is_some() {
        bounds.iter_mut().for_each(|bound| *bound = bound.saturating_add(1));
    }
    let mut slots = Slots::new(bounds, order);
    let parts = slots.parts(pieces.iter().map(|piece| piece.rows));
    let tasks: Vec<(Piece, Part<'_>)> = pieces.into_iter().zip(parts).collect();
    let read: Vec<Result<_>> = tasks
        .into_par_iter()
        .map_init(Vec::new, |buffer, (piece, mut part)| {
            let text = text.part(piece.from, piece.to, buffer)?;
            let fault = |fault: Fault| fault.locate(name, text, piece.lines);
            let (mut labels, mut end, mut at) = (Vec::with_capacity(part.len()), 0, 0);
            let mut stretches = vec![[0, piece.lines as u64]];
            let mut skipped = 0;
            for row in 0..part.len() {
                let (ids, values) = part.row(row);
                let read = format.row(text, at, ids, values).map_err(fault)?;
                let read =
                    read.ok_or_else(|| Error::input(name, 0, 0, "fewer rows than there were", UNCHANGED))?;
                part.fill(row, read.len);
                labels.push(read.label);
                if !piece.dense {
                    let others = text[at..read.next - 1].iter().filter(|&&b| b == b'\n').count();
                    skipped += others;
                    if others > 0 {
                        stretches.push([row as u64, (piece.lines + skipped + row) as u64]);
                    }
                }
                (end, at) = (end.max(read.end), read.next);
            }
            Ok((labels, end, stretches))
        })
        .collect();
    let (mut by_row, mut end, mut lines) = (Vec::with_capacity(order.len()), 0, Vec::new());
    for part in read {
        let (labels, end_of_part, stretches) = part?;
        let before = by_row.len() as u64;
        lines.extend(stretches.into_iter().map(|[row, lines]| [before + row, lines]));
        by_row.extend(labels);
        end = end.max(end_of_part);
    }
    let (starts, ids, values) = slots.close(order);
    let labels = order.par_iter().map(|&row| by_row[row as usize]).collect();
    Ok((Placed { starts, ids, values, labels }, end, lines))
}

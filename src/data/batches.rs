//! Rows of LIBSVM text one batch after the other, in bounded memory.

use super::libsvm::{Format, Limit};
use super::loader::FEATURES;
use super::source::Unpacking;
use crate::error::{Error, Result};
use crate::kernel::Rows;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

/// Bytes of text that are read at a time.
const PIECE: usize = 1 << 16;

/// A longer line is no row: it would take all memory.
const LONGEST: usize = 1 << 26;

/// The rows of LIBSVM text, plain or compressed, in the order of the text and in batches of 64 kB of it, or of what has
/// arrived by then: for data that are larger than memory, or that come bit by bit. A line has at most 64 MiB. What the text may say is told at [`Loader`](crate::Loader); the
/// features keep their indices, and nothing is shuffled.
///
/// ```
/// use asyncsgd::Batches;
///
/// let text = &b"1 1:0.5 3:2\n-1 2:1\n"[..];
/// for batch in Batches::new("text", text, 3, false) {
///     let (rows, labels) = batch?;
///     assert_eq!((rows.len(), rows.features(), &labels[..]), (2, 3, &[1.0, -1.0][..]));
/// }
/// # Ok::<(), asyncsgd::Error>(())
/// ```
pub struct Batches {
    name: String,
    from: Box<dyn Read + Send>,
    format: Format,
    /// Text that was read, with the part of a line at its end.
    text: Vec<u8>,
    /// Lines before it.
    lines: usize,
    ended: bool,
    /// What is wrong with the row after those that have been read.
    fault: Option<Error>,
    binary: bool,
}

impl Batches {
    /// Will read the file at `path`, or standard input for `-`: rows of `features` features, the first of which has
    /// index 0 if `zero_based` and else 1.
    ///
    /// # Errors
    /// [`Error::Io`] where the file cannot be opened.
    pub fn open(path: impl Into<PathBuf>, features: usize, zero_based: bool) -> Result<Self> {
        let path = path.into();
        if path == Path::new("-") {
            return Ok(Self::new("<stdin>", io::stdin(), features, zero_based));
        }
        let file = File::open(&path).map_err(|e| Error::io("open", &path, e))?;
        Ok(Self::new(path.display().to_string(), file, features, zero_based))
    }

    /// Will read `from`, which errors call `name`; as [`Batches::open`].
    pub fn new(
        name: impl Into<String>,
        from: impl Read + Send + 'static,
        features: usize,
        zero_based: bool,
    ) -> Self {
        let limit = Limit { features, reason: " (as many features as were asked for)" };
        let format = Format { first: u64::from(!zero_based), limit, constant: None };
        let (name, from) = (name.into(), Box::new(Unpacking::new(BufReader::new(from))));
        Self { name, from, format, text: Vec::new(), lines: 0, ended: false, fault: None, binary: false }
    }

    /// With labels −1 and 1 for a classifier: −1 or 0, and 1 in the text; others are an error of their line.
    pub fn binary(self) -> Self {
        Self { binary: true, ..self }
    }

    /// The label of the row that ends before `end`, as it is learnt.
    fn label(&self, label: f32, text: &[u8], end: usize) -> Result<f32> {
        match label {
            label if !self.binary => Ok(label),
            1.0 => Ok(1.0),
            -1.0 | 0.0 => Ok(-1.0),
            other => {
                let before = text[..end - 1].iter().filter(|&&byte| byte == b'\n').count();
                let line = self.lines + 1 + before;
                Err(Error::input(&self.name, line, 0, format!("label {other}"), "-1 or 0, or 1"))
            }
        }
    }

    /// As [`Batches::open`], of as many features as there may be without asking for more.
    pub(super) fn uncounted(path: impl Into<PathBuf>, zero_based: bool) -> Result<Self> {
        let mut batches = Self::open(path, FEATURES, zero_based)?;
        batches.format.limit.reason = " (more features must be asked for)";
        Ok(batches)
    }

    /// The largest index in the text at `path`, less that of the first feature and plus 1: how many features it has.
    /// Reads it once, in bounded memory.
    ///
    /// # Errors
    /// Where it cannot be read, is no LIBSVM text, has no rows, or more than 2²⁸ features.
    pub fn features(path: impl Into<PathBuf>, zero_based: bool) -> Result<usize> {
        let mut batches = Self::uncounted(path, zero_based)?;
        let mut most = None;
        while let Some((rows, _)) = batches.next().transpose()? {
            most = rows.iter().fold(most, |most, row| most.max(Some(row.end())));
        }
        most.ok_or_else(|| Error::input(&batches.name, 0, 0, "no rows", "at least one (label index:value …)"))
    }

    /// Reads until the text has whole lines, and where they end; 0 at the end of the text.
    fn fill(&mut self) -> Result<usize> {
        loop {
            if self.ended {
                return Ok(self.text.len());
            }
            let from = self.text.len();
            self.text.resize(from + PIECE, 0);
            // What is there, be it one line: the next may be long in coming.
            let read = self.from.read(&mut self.text[from..]);
            self.text.truncate(from + read.as_ref().map_or(0, |&read| read));
            let io = |e: io::Error| match e.kind() {
                io::ErrorKind::InvalidData => Error::input(&self.name, 0, 0, e.to_string(), "a whole one"),
                _ => Error::io("read", &self.name, e),
            };
            match read {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                read => self.ended = read.map_err(io)? == 0,
            }
            if let Some(at) = self.text[from..].iter().rposition(|&byte| byte == b'\n') {
                return Ok(from + at + 1);
            }
            if self.text.len() > LONGEST {
                let found = format!("a line of more than {LONGEST} bytes");
                return Err(Error::input(&self.name, self.lines + 1, 0, found, "a row"));
            }
        }
    }

    /// The rows in the first `end` bytes of the text, or those before the first that is wrong, and what is wrong with it.
    fn parse(&self, end: usize) -> Result<(Rows, Vec<f32>, Option<Error>)> {
        let text = &self.text[..end];
        let most = text.iter().filter(|&&byte| byte == b':').count();
        let (mut ids, mut values) = (vec![0; most], vec![0.0; most]);
        let (mut starts, mut labels, mut at, mut len) = (vec![0], Vec::new(), 0, 0);
        let mut row: Vec<(u32, f32)> = Vec::new();
        let fault = loop {
            let read = self.format.row(text, at, &mut ids[len..], &mut values[len..]);
            let read = match read.map_err(|fault| fault.locate(&self.name, text, self.lines)) {
                Ok(Some(read)) => read,
                end => break end.err(),
            };
            match self.label(read.label, text, read.next) {
                Ok(label) => labels.push(label),
                Err(e) => break Some(e),
            }
            let own = len..len + read.len;
            if !ids[own.clone()].is_sorted() {
                row.clear();
                row.extend(ids[own.clone()].iter().copied().zip(values[own.clone()].iter().copied()));
                row.sort_unstable_by_key(|&(id, _)| id);
                for (at, &(id, value)) in own.zip(&row) {
                    (ids[at], values[at]) = (id, value);
                }
            }
            (len, at) = (len + read.len, read.next);
            starts.push(len as u64);
        };
        ids.truncate(len);
        values.truncate(len);
        let sound = |e: crate::kernel::RowsError| Error::input(&self.name, 0, 0, e.to_string(), "sound rows");
        let rows = Rows::new(starts, ids, values, self.format.limit.features).map_err(sound)?;
        Ok((rows, labels, fault))
    }
}

impl Iterator for Batches {
    type Item = Result<(Rows, Vec<f32>)>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(e) = self.fault.take() {
                (self.ended, self.text) = (true, Vec::new());
                return Some(Err(e));
            }
            let parsed = match self.fill() {
                Ok(0) => return None,
                Ok(end) => self.parse(end).map(|parsed| (end, parsed)),
                Err(e) => Err(e),
            };
            match parsed {
                Err(e) => self.fault = Some(e),
                Ok((end, (rows, labels, fault))) => {
                    self.lines += self.text[..end].iter().filter(|&&byte| byte == b'\n').count();
                    self.text.drain(..end);
                    self.fault = fault;
                    if !rows.is_empty() {
                        return Some(Ok((rows, labels)));
                    }
                }
            }
        }
    }
}

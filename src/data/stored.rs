//! The rows of a text in a file, batch by batch, so that text of any length is parsed once.
//!
//! An entry belongs to a file (by its path) and to what shapes its rows. It is written while the text is read and gives
//! its batches in the same order, one at a time: neither is ever held, and nothing is mapped, for the reasons told at
//! the [cache](super::cache) of whole data sets. It holds the text's stamp, and is believed while that is the same and
//! the entry is clearly younger. The format, in the machine's byte order: [`Head`]; for each batch its [`Lead`], the
//! rows' lengths (u32), ids (u32), values (f32) and labels (f32); [`Tail`].

use super::batches::Batches;
use super::cache::place;
use super::source::{Bytes, Stamp};
use crate::error::{Error, Result};
use crate::kernel::Rows;
use crate::output;
use crate::sync::Arc;
use bytemuck::{Pod, Zeroable};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

const MAGIC: [u8; 8] = *b"asgdrows";
/// To be raised with each change of the format or of what the numbers mean.
const VERSION: u32 = 1;

#[repr(C)]
#[derive(Clone, Copy, PartialEq, Pod, Zeroable)]
struct Head {
    magic: [u8; 8],
    version: u32,
    /// 1, in the machine's byte order.
    one: u32,
    key: u64,
    stamp: Stamp,
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Lead {
    rows: u32,
    nonzeros: u32,
    /// The checksum of both, and of the batch.
    sum: u64,
}

impl Lead {
    fn sum(&self, batch: &[u8]) -> u64 {
        xxh3_64_with_seed(batch, u64::from(self.rows) << 32 | u64::from(self.nonzeros))
    }
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Tail {
    rows: u64,
    features: u64,
    /// The checksum of both.
    sum: u64,
}

impl Tail {
    fn new(rows: u64, features: u64) -> Self {
        Self { rows, features, sum: xxh3_64(bytemuck::cast_slice(&[rows, features])) }
    }
}

/// The rows of LIBSVM text in a file of their own, to be read again and again in bounded memory, without parsing.
///
/// ```no_run
/// use asyncsgd::data::Stored;
///
/// let stored = Stored::of("larger-than-memory.svm.xz", "cache", None, false, true)?;
/// for _ in 0..3 {
///     for batch in stored.batches() {
///         let (rows, labels) = batch?;
///     }
/// }
/// # Ok::<(), asyncsgd::Error>(())
/// ```
pub struct Stored {
    file: Arc<Bytes>,
    path: PathBuf,
    rows: u64,
    features: usize,
}

impl Stored {
    /// The rows of the file at `text`, as [`Batches`] gives them, from an entry in `folder`; it is written first, from the
    /// text, unless there is one and the text has not changed. It takes 8 bytes a nonzero and a row. With `features`
    /// that many, else as many as there are; `zero_based` as for [`Batches::open`], `binary` for
    /// [`Batches::binary`].
    ///
    /// # Errors
    /// As [`Batches`], all of which is read; [`Error::Io`] where the folder cannot be made or written;
    /// [`Error::Input`] where the text has no rows, more features than asked for, is no regular file, or changes
    /// meanwhile.
    pub fn of(
        text: impl AsRef<Path>,
        folder: impl AsRef<Path>,
        features: Option<usize>,
        zero_based: bool,
        binary: bool,
    ) -> Result<Self> {
        let (text, folder) = (text.as_ref(), folder.as_ref());
        let wrong =
            |found: &str, expected: &str| Error::input(text.display().to_string(), 0, 0, found, expected);
        let options = xxh3_64(&[u8::from(zero_based), u8::from(binary)]);
        let (path, key) = place(folder, text, options, "batches");
        let stamp = Stamp::of(text).ok_or_else(|| wrong("no regular file", "one"))?;
        let head = Head { magic: MAGIC, version: VERSION, one: 1, key, stamp };
        let fresh = |written: Stamp| stamp.settled_before(&written);
        if !Stamp::of(&path).is_some_and(fresh) || Self::open(&path, head)?.is_none() {
            std::fs::create_dir_all(folder).map_err(|e| Error::io("create", folder, e))?;
            output::check_file(&path)?;
            output::clean(&path)?;
            let batches = match features {
                Some(features) => Batches::open(text, features, zero_based)?,
                None => Batches::uncounted(text, zero_based)?,
            };
            write(&path, head, if binary { batches.binary() } else { batches })?;
            if Stamp::of(text) != Some(stamp) {
                return Err(wrong("text that changes while it is read", "text that does not"));
            }
        }
        let stored = Self::open(&path, head)?.ok_or_else(|| damaged(&path))?;
        if stored.rows == 0 {
            return Err(wrong("no rows", "at least one (label index:value …)"));
        }
        let own = stored.features;
        let features = features.unwrap_or(own);
        if features < own {
            let found = format!("{own} features");
            return Err(wrong(&found, &format!("at most {features} (as many as were asked for)")));
        }
        Ok(Self { features, ..stored })
    }

    /// The entry at `path`, if it is a whole one with this head.
    fn open(path: &Path, expected: Head) -> Result<Option<Self>> {
        let file = Bytes::open(path)?;
        let (mut head, mut tail) = (Head::zeroed(), Tail::zeroed());
        if file.len() < (size_of::<Head>() + size_of::<Tail>()) as u64 {
            return Ok(None);
        }
        file.read_into(0, bytemuck::bytes_of_mut(&mut head))?;
        file.read_into(file.len() - size_of::<Tail>() as u64, bytemuck::bytes_of_mut(&mut tail))?;
        let Tail { rows, features, sum } = tail;
        if head != expected || sum != Tail::new(rows, features).sum {
            return Ok(None);
        }
        Ok(Some(Self { file: Arc::new(file), path: path.to_owned(), rows, features: features as usize }))
    }

    /// The number of features of all rows.
    pub fn features(&self) -> usize {
        self.features
    }

    /// The rows and their labels, from the first on.
    pub fn batches(&self) -> StoredBatches {
        let (at, left) = (size_of::<Head>() as u64, self.rows);
        let (file, path) = (Arc::clone(&self.file), self.path.clone());
        StoredBatches { file, path, features: self.features, at, left }
    }
}

/// Writes an entry, whole or not at all.
fn write(path: &Path, head: Head, batches: Batches) -> Result<()> {
    let mut fault = None;
    let written = output::write_with(path, |out| {
        out.write_all(bytemuck::bytes_of(&head))?;
        let (mut count, mut features) = (0, 0);
        for batch in batches {
            let (rows, labels) = batch.map_err(|e| {
                let failed = io::Error::other(e.to_string());
                fault = Some(e);
                failed
            })?;
            features = rows.iter().fold(features, |most, row| most.max(row.end()));
            count += rows.len() as u64;
            put(out, &rows, &labels)?;
        }
        out.write_all(bytemuck::bytes_of(&Tail::new(count, features as u64)))
    });
    fault.map_or(written, Err)
}

fn put(out: &mut dyn Write, rows: &Rows, labels: &[f32]) -> io::Result<()> {
    let (starts, ids, values) = rows.arrays();
    let mut batch: Vec<u32> = starts.windows(2).map(|pair| (pair[1] - pair[0]) as u32).collect();
    batch.extend_from_slice(ids);
    batch.extend_from_slice(bytemuck::cast_slice(values));
    batch.extend_from_slice(bytemuck::cast_slice(labels));
    let batch: &[u8] = bytemuck::cast_slice(&batch);
    let lead = Lead { rows: rows.len() as u32, nonzeros: ids.len() as u32, sum: 0 };
    out.write_all(bytemuck::bytes_of(&Lead { sum: lead.sum(batch), ..lead }))?;
    out.write_all(batch)
}

fn damaged(path: &Path) -> Error {
    Error::input(path.display().to_string(), 0, 0, "a damaged cache entry", "a whole one: delete it")
}

/// The batches of a [`Stored`], one after the other; the first error is the end.
pub struct StoredBatches {
    file: Arc<Bytes>,
    path: PathBuf,
    features: usize,
    at: u64,
    /// Rows to come.
    left: u64,
}

impl StoredBatches {
    fn read(&mut self) -> Result<(Rows, Vec<f32>)> {
        let end = self.file.len() - size_of::<Tail>() as u64;
        let mut lead = Lead::zeroed();
        let from = self.at + size_of::<Lead>() as u64;
        if from > end {
            return Err(damaged(&self.path));
        }
        self.file.read_into(self.at, bytemuck::bytes_of_mut(&mut lead))?;
        let (rows, nonzeros) = (u64::from(lead.rows), u64::from(lead.nonzeros));
        let words = 2 * (rows + nonzeros);
        // Before there is memory for them: the file has as much.
        if 4 * words > end - from || rows == 0 || rows > self.left {
            return Err(damaged(&self.path));
        }
        let mut batch = vec![0u32; words as usize];
        self.file.read_into(from, bytemuck::cast_slice_mut(&mut batch))?;
        if lead.sum != lead.sum(bytemuck::cast_slice(&batch)) {
            return Err(damaged(&self.path));
        }
        let (lengths, rest) = batch.split_at(rows as usize);
        let (ids, rest) = rest.split_at(nonzeros as usize);
        let numbers: &[f32] = bytemuck::cast_slice(rest);
        let (values, labels) = numbers.split_at(nonzeros as usize);
        let mut starts = vec![0];
        starts.extend(lengths.iter().scan(0, |start, &length| {
            *start += u64::from(length);
            Some(*start)
        }));
        // The checksum is the entry's own: whoever made it may have made up the rest.
        let finite = numbers.iter().all(|number| number.is_finite());
        let sound = Rows::new(starts, ids.to_vec(), values.to_vec(), self.features).ok().filter(|_| finite);
        let sound = sound.ok_or_else(|| damaged(&self.path))?;
        (self.at, self.left) = (from + 4 * words, self.left - rows);
        Ok((sound, labels.to_vec()))
    }
}

impl Iterator for StoredBatches {
    type Item = Result<(Rows, Vec<f32>)>;

    fn next(&mut self) -> Option<Self::Item> {
        (self.left > 0).then(|| self.read().inspect_err(|_| self.left = 0))
    }
}

//! Laid-out data sets in files, so that the same text is parsed once.
//!
//! An entry belongs to a file (by its path) and the options that shape its rows; the seed is none of them,
//! as rows are laid out again for another one. It holds the file's stamp (device, inode, length, times of
//! change to the nanosecond) and the hash of its bytes. A stamp that is the same is believed if the entry is
//! clearly younger than it; otherwise the bytes are hashed, and the hash decides. Whatever differs, the
//! format's version, the file, or a checksum, the text is parsed again and the entry replaced.
//!
//! Entries are read into memory, not mapped: whoever cuts short or changes a mapped file makes a signal
//! (SIGBUS) or unsound rows, where a read gives an error or rows that are checked, and training would walk
//! small pages. The format, in the machine's byte order: [`Header`], one xxh3 for each [`BLOCK`] of each
//! array, and the arrays: row starts (u64), ids (u32), values (f32), labels (f32), the source's row at each
//! position (u32), the original id at each rank and how many rows have it (u32; none where the numbering is a training
//! set's), the stretches of the text's rows (two u64 each).

use super::dataset::{Dataset, Numbering, Stretch};
use super::slots::zeros;
use super::source::{Bytes, Stamp};
use crate::error::Result;
use crate::kernel::Rows;
use crate::output;
use crate::sync::Arc;
use bytemuck::{Pod, Zeroable};
use rayon::prelude::*;
use std::path::{Path, PathBuf};
use xxhash_rust::xxh3::xxh3_64;

const MAGIC: [u8; 8] = *b"asyncsgd";
/// To be raised with each change of the format or of what the numbers mean.
const VERSION: u32 = 3;
/// The bytes that have a checksum of their own, and that a task reads at a time.
const BLOCK: usize = 1 << 18;
/// The bytes of a file's name that its entry has.
const NAMED: usize = 128;

/// What the cache did for a data set.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Cached {
    /// Whether the data came from the cache, and not from the text.
    pub read: bool,
    /// Whether a cache was asked for data that are no LIBSVM text in a file, and was not used.
    pub passed_over: bool,
    /// What was wrong with the entry, or why none could be written. The data are right all the same.
    pub warning: Option<String>,
}

/// The place of an entry.
pub(super) struct Entry {
    path: PathBuf,
    key: u64,
}

/// What an entry is of.
#[derive(Clone, Copy, PartialEq)]
pub(super) struct Origin {
    /// The hash of the file's bytes.
    pub content: u128,
    pub stamp: Stamp,
    pub seed: u64,
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Header {
    magic: [u8; 8],
    version: u32,
    /// 1, in the machine's byte order.
    one: u32,
    key: u64,
    content: [u64; 2],
    stamp: Stamp,
    seed: u64,
    /// Of the text, as [`Dataset::hash`] tells it.
    hash: [u64; 2],
    rows: u64,
    nonzeros: u64,
    features: u64,
    /// The number of original ids that are stored: of the features, or 0.
    ids: u64,
    stretches: u64,
    one_based: u64,
    /// The checksum of the blocks' checksums.
    blocks: u64,
    /// The checksum of all before it.
    header: u64,
}

impl Header {
    fn checksum(&self) -> u64 {
        let bytes = bytemuck::bytes_of(self);
        xxh3_64(&bytes[..bytes.len() - size_of::<u64>()])
    }

    /// The bytes of the arrays, in the order of the format; `None` where no file can be so long.
    fn lengths(&self) -> Option<[usize; 8]> {
        let of = |n: u64, size: u64| usize::try_from(n.checked_mul(size)?).ok();
        Some([
            of(self.rows.checked_add(1)?, 8)?,
            of(self.nonzeros, 4)?,
            of(self.nonzeros, 4)?,
            of(self.rows, 4)?,
            of(self.rows, 4)?,
            of(self.ids, 4)?,
            of(self.ids, 4)?,
            of(self.stretches, 16)?,
        ])
    }
}

/// Whether each number below the length is there once.
fn permutes(numbers: &[u32]) -> bool {
    let mut seen = vec![false; numbers.len()];
    numbers.iter().all(|&n| seen.get_mut(n as usize).is_some_and(|seen| !std::mem::replace(seen, true)))
}

/// The two words of a hash.
fn words(hash: u128) -> [u64; 2] {
    [(hash >> 64) as u64, hash as u64]
}

/// Where in `folder` what is kept of the file at `path` stands, and its key.
pub(super) fn place(folder: &Path, path: &Path, options: u64, ending: &str) -> (PathBuf, u64) {
    let whole = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let key = xxh3_64(whole.as_os_str().as_encoded_bytes()) ^ options;
    // For those who look into the folder: the key alone tells entries apart, and names may have 255 bytes.
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let name = &name[..name.floor_char_boundary(NAMED)];
    (folder.join(format!("{name}-{key:016x}.{ending}")), key)
}

impl Entry {
    /// The entry in `folder` for the file at `path`, read with options that hash to `options`.
    pub fn new(folder: &Path, path: &Path, options: u64) -> Self {
        let (path, key) = place(folder, path, options, "rows");
        Self { path, key }
    }

    /// The entry's data and where they are from, if it is whole and `fresh` says that the origin is still
    /// the same; `None` without an entry.
    ///
    /// # Errors
    /// What is wrong with it, in a line.
    pub fn read(
        &self,
        like: Option<&Arc<Numbering>>,
        fresh: impl FnOnce(Origin, Option<Stamp>) -> Result<bool>,
    ) -> Option<Result<(Dataset, Origin), String>> {
        let told = |found: &str| format!("{}: found {found}, parsed the text again", self.path.display());
        if self.is_irregular() {
            return Some(Err(told("no regular file")));
        }
        let file = match Bytes::open(&self.path) {
            Err(crate::Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
                return None;
            }
            Err(e) => return Some(Err(e.to_string())),
            Ok(file) => file,
        };
        Some(self.read_from(&file, like, fresh).map_err(|found| told(&found)))
    }

    /// Whether something is there that is no file: a pipe would be waited for, and a device read without end.
    fn is_irregular(&self) -> bool {
        std::fs::metadata(&self.path).is_ok_and(|about| !about.is_file())
    }

    fn read_from(
        &self,
        file: &Bytes,
        like: Option<&Arc<Numbering>>,
        fresh: impl FnOnce(Origin, Option<Stamp>) -> Result<bool>,
    ) -> Result<(Dataset, Origin), String> {
        let damaged = || "a damaged cache entry".to_owned();
        let mut header = Header::zeroed();
        let size = size_of::<Header>() as u64;
        if file.len() < size {
            return Err(damaged());
        }
        file.read_into(0, bytemuck::bytes_of_mut(&mut header)).map_err(|e| e.to_string())?;
        if header.magic != MAGIC || header.version != VERSION || header.one != 1 {
            return Err("a cache entry of another version".to_owned());
        }
        if header.header != header.checksum() || header.key != self.key {
            return Err(damaged());
        }
        let [high, low] = header.content;
        let content = u128::from(high) << 64 | u128::from(low);
        let origin = Origin { content, stamp: header.stamp, seed: header.seed };
        if !fresh(origin, file.stamp()).map_err(|e| e.to_string())? {
            return Err("a cache entry of older content".to_owned());
        }

        let lengths = header.lengths().ok_or_else(damaged)?;
        let blocks: usize = lengths.iter().map(|length| length.div_ceil(BLOCK)).sum();
        let table = 8 * blocks as u64;
        let whole = lengths.iter().try_fold(size + table, |sum, &length| sum.checked_add(length as u64));
        let stored = if like.is_none() { header.features } else { 0 };
        if whole != Some(file.len()) || header.ids != stored {
            return Err(damaged());
        }
        let mut sums = vec![0u64; blocks];
        file.read_into(size, bytemuck::cast_slice_mut(&mut sums)).map_err(|e| e.to_string())?;
        if xxh3_64(bytemuck::cast_slice(&sums)) != header.blocks {
            return Err(damaged());
        }

        let (rows, nonzeros) = (header.rows as usize, header.nonzeros as usize);
        let (mut starts, mut ids, mut values) = (zeros(rows + 1), zeros::<u32>(nonzeros), zeros(nonzeros));
        let (mut labels, mut order) = (zeros(rows), zeros::<u32>(rows));
        let (mut of_rank, mut counts) = (zeros(header.ids as usize), zeros(header.ids as usize));
        let mut lines: Vec<Stretch> = vec![[0; 2]; header.stretches as usize];
        let arrays: [&mut [u8]; 8] = [
            bytemuck::cast_slice_mut::<u64, u8>(&mut starts),
            bytemuck::cast_slice_mut(&mut ids),
            bytemuck::cast_slice_mut::<f32, u8>(&mut values),
            bytemuck::cast_slice_mut::<f32, u8>(&mut labels),
            bytemuck::cast_slice_mut(&mut order),
            bytemuck::cast_slice_mut::<u32, u8>(&mut of_rank),
            bytemuck::cast_slice_mut::<u32, u8>(&mut counts),
            bytemuck::cast_slice_mut::<Stretch, u8>(&mut lines),
        ];
        let mut at = size + table;
        let mut tasks = Vec::with_capacity(blocks);
        for block in arrays.into_iter().flat_map(|array| array.chunks_mut(BLOCK)) {
            let from = at;
            at += block.len() as u64;
            tasks.push((from, block));
        }
        let sound = |((from, block), sum): ((u64, &mut [u8]), &u64)| {
            file.read_into(from, block).is_ok() && xxh3_64(block) == *sum
        };
        if !tasks.into_par_iter().zip(&sums).all(sound) {
            return Err(damaged());
        }

        // The checksums are the entry's own: whoever made it may have made up the rest.
        let counted: u64 = counts.iter().copied().map(u64::from).sum();
        let falling = counts.is_sorted_by(|a, b| a >= b);
        if !(permutes(&of_rank) && permutes(&order) && falling)
            || like.is_none() && counted != header.nonzeros
        {
            return Err(damaged());
        }
        let numbering = match like {
            Some(numbering) => numbering.clone(),
            None => {
                let one_based = header.one_based == 1;
                Arc::new(Numbering { ids: of_rank, one_based, ..Numbering::default() })
            }
        };
        let rows = Rows::new(starts, ids, values, header.features as usize).map_err(|_| damaged())?;
        // No row has a feature that is said to be in none.
        let used = counts.partition_point(|&count| count > 0);
        if like.is_none() && rows.iter().any(|row| row.end() > used) {
            return Err(damaged());
        }
        let rows = if like.is_none() { rows.counted(counts) } else { rows };
        let hash = format!("{:016x}{:016x}", header.hash[0], header.hash[1]);
        let (rows, name) = (Arc::new(rows), String::new());
        let cached = Cached { read: true, ..Cached::default() };
        let lines = lines.into();
        let (classes, bytes) = (None, None);
        Ok((Dataset { rows, labels, order, numbering, bytes, classes, name, hash, lines, cached }, origin))
    }

    /// Writes the entry, whole or not at all.
    ///
    /// # Errors
    /// [`crate::Error::Io`] where the folder cannot be made or written.
    pub fn write(&self, data: &Dataset, origin: Origin, own_numbering: bool) -> Result<()> {
        if self.is_irregular() {
            return Err(crate::Error::io("write", &self.path, std::io::Error::other("no regular file")));
        }
        let folder = self.path.parent().unwrap_or(Path::new(""));
        std::fs::create_dir_all(folder).map_err(|e| crate::Error::io("create", folder, e))?;
        // A writer that was killed left as much as the data.
        crate::output::clean(&self.path)?;
        let (starts, ids, values) = data.rows.arrays();
        let (of_rank, counts) =
            if own_numbering { (&data.numbering.ids[..], data.counts()) } else { Default::default() };
        let arrays: [&[u8]; 8] = [
            bytemuck::cast_slice(starts),
            bytemuck::cast_slice(ids),
            bytemuck::cast_slice(values),
            bytemuck::cast_slice(&data.labels),
            bytemuck::cast_slice(&data.order),
            bytemuck::cast_slice(of_rank),
            bytemuck::cast_slice(counts),
            bytemuck::cast_slice(data.lines.as_slice()),
        ];
        let sums: Vec<u64> =
            arrays.iter().flat_map(|a| a.par_chunks(BLOCK).map(xxh3_64).collect::<Vec<_>>()).collect();
        let mut header = Header {
            magic: MAGIC,
            version: VERSION,
            one: 1,
            key: self.key,
            content: words(origin.content),
            stamp: origin.stamp,
            seed: origin.seed,
            hash: words(u128::from_str_radix(&data.hash, 16).unwrap_or_default()),
            rows: data.len() as u64,
            nonzeros: data.nonzeros() as u64,
            features: data.features() as u64,
            ids: of_rank.len() as u64,
            stretches: data.lines.len() as u64,
            one_based: u64::from(data.one_based()),
            blocks: xxh3_64(bytemuck::cast_slice(&sums)),
            header: 0,
        };
        header.header = header.checksum();
        output::write_with(&self.path, |out| {
            out.write_all(bytemuck::bytes_of(&header))?;
            out.write_all(bytemuck::cast_slice(&sums))?;
            arrays.iter().try_for_each(|array| out.write_all(array))
        })
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::permutes;

    #[test]
    fn permutations_have_each_number_once() {
        assert!(permutes(&[]) && permutes(&[2, 0, 1]));
        assert!(!permutes(&[0, 0, 1]) && !permutes(&[0, 1, 3]) && !permutes(&[u32::MAX]));
    }
}

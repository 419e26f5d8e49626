//! A file's bytes, memory-mapped where that is possible. The only `unsafe` of the data layer.

use crate::error::{Error, Result};
use std::fs::File;
use std::io::Read;
use std::ops::Deref;
use std::path::Path;

/// The bytes of a file.
pub(super) enum Bytes {
    Mapped(memmap2::Mmap),
    Read(Vec<u8>),
    Static(&'static [u8]),
}

impl Deref for Bytes {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        match self {
            Bytes::Mapped(map) => map,
            Bytes::Read(bytes) => bytes,
            Bytes::Static(bytes) => bytes,
        }
    }
}

/// Maps a regular file; reads anything else (a pipe, a device) to its end.
pub(super) fn open(path: &Path) -> Result<Bytes> {
    let mut file = File::open(path).map_err(|e| Error::io("open", path, e))?;
    let about = file.metadata().map_err(|e| Error::io("read", path, e))?;
    // An empty file cannot be mapped, and files in /proc claim to be empty.
    if about.is_file() && about.len() > 0 {
        // SAFETY: a mapping is sound as long as nobody changes the file under it. The program never
        // writes to a file that it reads; it is mapped while it is parsed, and another process that
        // changes it in that time breaks the parse, as it would break any reader: the bytes are only
        // ever read as integers, for which each value is valid.
        return match unsafe { memmap2::Mmap::map(&file) } {
            Ok(map) => Ok(Bytes::Mapped(map)),
            Err(e) => Err(Error::io("map", path, e)),
        };
    }
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(|e| Error::io("read", path, e))?;
    Ok(Bytes::Read(bytes))
}

//! Where data comes from: a file, standard input or memory, plain or compressed.

use super::map::{self, Bytes};
use crate::error::{Error, Result};
use std::io::{self, Read};
use std::path::PathBuf;

/// What to read.
pub(super) enum Input {
    File(PathBuf),
    Stdin,
    Bytes(String, Vec<u8>),
    Static(&'static str, &'static [u8]),
}

impl Input {
    /// The name that errors and reports give it.
    pub fn name(&self) -> String {
        match self {
            Input::File(path) => path.display().to_string(),
            Input::Stdin => "<stdin>".into(),
            Input::Bytes(name, _) => name.clone(),
            Input::Static(name, _) => (*name).into(),
        }
    }

    /// Its bytes, decompressed where its first bytes say that it is compressed.
    pub fn read(self) -> Result<Bytes> {
        let name = self.name();
        let bytes = match self {
            Input::File(path) => map::open(&path)?,
            Input::Stdin => {
                let mut bytes = Vec::new();
                io::stdin().lock().read_to_end(&mut bytes).map_err(|e| Error::io("read", &name, e))?;
                Bytes::Read(bytes)
            }
            Input::Bytes(_, bytes) => Bytes::Read(bytes),
            Input::Static(_, bytes) => Bytes::Static(bytes),
        };
        match Format::of(&bytes) {
            None => Ok(bytes),
            Some(format) => format.decompress(&bytes).map(Bytes::Read).map_err(|e| {
                let found = format!("a damaged or truncated {} stream ({e})", format.name());
                Error::input(name, 0, 0, found, "a whole one")
            }),
        }
    }
}

/// The compressed formats that are recognised.
#[derive(Clone, Copy)]
enum Format {
    Gzip,
    Bzip2,
    Xz,
    Zstd,
}

impl Format {
    /// By the magic number, whatever the file is called.
    fn of(bytes: &[u8]) -> Option<Self> {
        let magics: [(&[u8], Format); 4] = [
            (&[0x1f, 0x8b], Format::Gzip),
            (b"BZh", Format::Bzip2),
            (&[0xfd, b'7', b'z', b'X', b'Z', 0], Format::Xz),
            (&[0x28, 0xb5, 0x2f, 0xfd], Format::Zstd),
        ];
        magics.into_iter().find(|(magic, _)| bytes.starts_with(magic)).map(|(_, format)| format)
    }

    fn name(self) -> &'static str {
        match self {
            Format::Gzip => "gzip",
            Format::Bzip2 => "bzip2",
            Format::Xz => "xz",
            Format::Zstd => "zstd",
        }
    }

    /// All members of the stream, one after the other.
    fn decompress(self, bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut text = Vec::new();
        match self {
            Format::Gzip => flate2::bufread::MultiGzDecoder::new(bytes).read_to_end(&mut text),
            Format::Bzip2 => bzip2::bufread::MultiBzDecoder::new(bytes).read_to_end(&mut text),
            Format::Xz => liblzma::bufread::XzDecoder::new_multi_decoder(bytes).read_to_end(&mut text),
            Format::Zstd => zstd::Decoder::with_buffer(bytes)?.read_to_end(&mut text),
        }?;
        Ok(text)
    }
}

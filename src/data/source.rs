//! Where data comes from: a file, standard input or memory, plain or compressed.

use crate::error::{Error, Result};
use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;
use xxhash_rust::xxh3::Xxh3;

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
    ///
    /// # Errors
    /// [`Error::Io`] where it cannot be read, [`Error::Input`] where it is compressed and damaged.
    pub fn open(self) -> Result<Bytes> {
        let name = self.name();
        let bytes = match self {
            Input::File(path) => Bytes::open(path)?,
            Input::Stdin => Bytes::read(&mut io::stdin().lock(), &name)?,
            Input::Bytes(_, bytes) => Bytes::Owned(bytes),
            Input::Static(_, bytes) => Bytes::Static(bytes),
        };
        let mut buffer = Vec::new();
        let Some(format) = Format::of(bytes.part(0, bytes.len().min(Format::MAGIC), &mut buffer)?) else {
            return Ok(bytes);
        };
        let packed = bytes.part(0, bytes.len(), &mut buffer)?;
        format.decompress(packed).map(Bytes::Owned).map_err(|e| {
            let found = format!("a damaged or truncated {} stream ({e})", format.name());
            Error::input(name, 0, 0, found, "a whole one")
        })
    }
}

/// Bytes that can be read in parts, by several threads.
pub(super) enum Bytes {
    /// A regular file: it is read in parts, not mapped, so that it takes no memory, and so that a process
    /// that cuts it short meanwhile makes an error and not a signal (SIGBUS).
    #[cfg(unix)]
    File {
        file: File,
        len: u64,
        path: PathBuf,
    },
    Owned(Vec<u8>),
    Static(&'static [u8]),
}

impl Bytes {
    /// A regular file as it is; the content of anything else (a pipe, a device).
    fn open(path: PathBuf) -> Result<Self> {
        let mut file = File::open(&path).map_err(|e| Error::io("open", &path, e))?;
        #[cfg(unix)]
        {
            let about = file.metadata().map_err(|e| Error::io("read", &path, e))?;
            // Files in /proc claim to be empty.
            if about.is_file() && about.len() > 0 {
                return Ok(Self::File { file, len: about.len(), path });
            }
        }
        Self::read(&mut file, &path)
    }

    fn read(from: &mut dyn Read, name: impl Into<PathBuf>) -> Result<Self> {
        let mut bytes = Vec::new();
        from.read_to_end(&mut bytes).map_err(|e| Error::io("read", name, e))?;
        Ok(Self::Owned(bytes))
    }

    pub fn len(&self) -> u64 {
        match self {
            #[cfg(unix)]
            Bytes::File { len, .. } => *len,
            Bytes::Owned(bytes) => bytes.len() as u64,
            Bytes::Static(bytes) => bytes.len() as u64,
        }
    }

    /// The bytes `from..to`, for which `buffer` may serve.
    ///
    /// # Errors
    /// [`Error::Io`] where the system does not give them, for instance because the file is shorter now.
    ///
    /// # Panics
    /// If bytes in memory are asked for beyond their end.
    pub fn part<'a>(&'a self, from: u64, to: u64, buffer: &'a mut Vec<u8>) -> Result<&'a [u8]> {
        match self {
            #[cfg(unix)]
            Bytes::File { file, path, .. } => {
                buffer.resize((to - from) as usize, 0);
                let read = std::os::unix::fs::FileExt::read_exact_at(file, buffer, from);
                read.map_err(|e| Error::io("read", path, e))?;
                Ok(buffer)
            }
            Bytes::Owned(bytes) => Ok(&bytes[from as usize..to as usize]),
            Bytes::Static(bytes) => Ok(&bytes[from as usize..to as usize]),
        }
    }

    /// The xxh3-128 of all bytes.
    ///
    /// # Errors
    /// As [`Bytes::part`].
    pub fn hash(&self) -> Result<u128> {
        const PART: u64 = 1 << 18;
        let (mut hash, mut buffer) = (Xxh3::new(), Vec::new());
        for from in (0..self.len()).step_by(PART as usize) {
            hash.update(self.part(from, (from + PART).min(self.len()), &mut buffer)?);
        }
        Ok(hash.digest128())
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
    /// No magic number is longer.
    const MAGIC: u64 = 8;

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

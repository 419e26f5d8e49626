//! Where data comes from: a file, standard input or memory, plain or compressed.

use crate::error::{Error, Result};
use crate::memory;
use bytemuck::{Pod, Zeroable};
use std::fs::{File, Metadata};
use std::io::{self, BufRead, Read};
use std::path::{Path, PathBuf};
use xxhash_rust::xxh3::Xxh3;

/// Bytes that are not asked for without a look at what is available.
const LARGE: u64 = 16 << 20;

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

    /// Its bytes as they are.
    ///
    /// # Errors
    /// [`Error::Io`] where it cannot be read.
    pub fn open(&mut self) -> Result<Bytes> {
        match self {
            Input::File(path) => Bytes::open(path),
            Input::Stdin => Bytes::read(&mut io::stdin().lock(), Path::new("<stdin>")),
            Input::Bytes(_, bytes) => Ok(Bytes::Owned(std::mem::take(bytes))),
            Input::Static(_, bytes) => Ok(Bytes::Static(bytes)),
        }
    }
}

/// The text in a file (`-` is standard input), plain or compressed, after the name that errors give it.
///
/// # Errors
/// [`Error::Io`] where it cannot be read; [`Error::Input`], with the line, where it is no UTF-8 text.
pub fn read_text(path: &Path) -> Result<(String, String)> {
    let mut input = if path == Path::new("-") { Input::Stdin } else { Input::File(path.to_owned()) };
    let name = input.name();
    let unpacked = input.open()?.unpacked(&name)?;
    let mut buffer = Vec::new();
    let text = utf8(&name, unpacked.part(0, unpacked.len(), &mut buffer)?)?.to_owned();
    Ok((name, text))
}

/// Whether the file at `path` is compressed, by its first bytes.
///
/// # Errors
/// [`Error::Io`] where it cannot be read.
pub fn is_packed(path: &Path) -> Result<bool> {
    Bytes::open(path)?.is_packed()
}

/// These bytes of the input called `name` as text.
///
/// # Errors
/// [`Error::Input`], with the line, where they are no UTF-8.
pub(super) fn utf8<'a>(name: &str, bytes: &'a [u8]) -> Result<&'a str> {
    std::str::from_utf8(bytes).map_err(|e| {
        let line = 1 + bytes[..e.valid_up_to()].iter().filter(|&&b| b == b'\n').count();
        let byte = bytes[e.valid_up_to()];
        Error::input(name, line, 0, format!("byte 0x{byte:02x}, which is not UTF-8"), "text in UTF-8")
    })
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

/// What changes when a file does, without reading it.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Pod, Zeroable)]
pub(super) struct Stamp {
    device: u64,
    inode: u64,
    len: u64,
    /// Of the content, and of the content or the attributes: seconds and nanoseconds.
    modified: [i64; 2],
    changed: [i64; 2],
}

impl Stamp {
    /// Of the file at `path`, if it is a regular file on a system that tells all of it.
    pub fn of(path: &Path) -> Option<Self> {
        std::fs::metadata(path).ok().and_then(|about| Self::new(&about))
    }

    #[cfg(unix)]
    fn new(about: &Metadata) -> Option<Self> {
        use std::os::unix::fs::MetadataExt;
        about.is_file().then(|| Self {
            device: about.dev(),
            inode: about.ino(),
            len: about.len(),
            modified: [about.mtime(), about.mtime_nsec()],
            changed: [about.ctime(), about.ctime_nsec()],
        })
    }

    #[cfg(not(unix))]
    fn new(_: &Metadata) -> Option<Self> {
        None
    }

    /// Whether the file of this stamp was last changed at least two seconds, the coarsest clock of a file
    /// system, before the other was written: a later change would show in a stamp.
    pub fn settled_before(&self, later: &Self) -> bool {
        self.changed[0].max(self.modified[0]) + 2 <= later.modified[0]
    }
}

impl Bytes {
    /// These bytes of the input called `name`, decompressed where the first ones say that they are
    /// compressed.
    ///
    /// # Errors
    /// [`Error::Io`] where they cannot be read, [`Error::Input`] where they are compressed and damaged.
    pub fn unpacked(self, name: &str) -> Result<Self> {
        let Some(format) = self.format()? else { return Ok(self) };
        let mut buffer = Vec::new();
        let packed = self.part(0, self.len(), &mut buffer)?;
        format.decompress(packed).map(Bytes::Owned).map_err(|e| {
            let of_xz = e.get_ref().and_then(|e| e.downcast_ref::<liblzma::stream::Error>());
            if e.kind() == io::ErrorKind::OutOfMemory || of_xz == Some(&liblzma::stream::Error::Mem) {
                return Error::io("unpack", name, e);
            }
            let found = format!("a damaged or truncated {} stream ({e})", format.name());
            Error::input(name, 0, 0, found, "a whole one")
        })
    }

    fn format(&self) -> Result<Option<Format>> {
        Ok(Format::of(self.part(0, self.len().min(Format::MAGIC), &mut Vec::new())?))
    }

    /// Whether the first of them say that they are compressed.
    ///
    /// # Errors
    /// [`Error::Io`] where they cannot be read.
    pub fn is_packed(&self) -> Result<bool> {
        Ok(self.format()?.is_some())
    }

    /// A regular file as it is; the content of anything else (a pipe, a device).
    pub fn open(path: &Path) -> Result<Self> {
        let mut file = File::open(path).map_err(|e| Error::io("open", path, e))?;
        #[cfg(unix)]
        {
            let about = file.metadata().map_err(|e| Error::io("read", path, e))?;
            // Files in /proc claim to be empty.
            if about.is_file() && about.len() > 0 {
                return Ok(Self::File { file, len: about.len(), path: path.to_owned() });
            }
        }
        Self::read(&mut file, path)
    }

    fn read(from: &mut dyn Read, name: &Path) -> Result<Self> {
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
            Bytes::File { path, .. } => {
                if to - from > LARGE {
                    let what = format!("{}: {} bytes", path.display(), to - from);
                    memory::check(&what, u128::from(to - from), "take a smaller file")?;
                }
                buffer.resize((to - from) as usize, 0);
                self.read_into(from, buffer)?;
                Ok(buffer)
            }
            Bytes::Owned(bytes) => Ok(&bytes[from as usize..to as usize]),
            Bytes::Static(bytes) => Ok(&bytes[from as usize..to as usize]),
        }
    }

    /// The bytes from `from` on that fill `to`.
    ///
    /// # Errors
    /// As [`Bytes::part`].
    ///
    /// # Panics
    /// As [`Bytes::part`].
    pub fn read_into(&self, from: u64, to: &mut [u8]) -> Result<()> {
        match self {
            #[cfg(unix)]
            Bytes::File { file, path, .. } => {
                let read = std::os::unix::fs::FileExt::read_exact_at(file, to, from);
                read.map_err(|e| Error::io("read", path, e))
            }
            Bytes::Owned(bytes) => {
                to.copy_from_slice(&bytes[from as usize..][..to.len()]);
                Ok(())
            }
            Bytes::Static(bytes) => {
                to.copy_from_slice(&bytes[from as usize..][..to.len()]);
                Ok(())
            }
        }
    }

    /// The stamp of the file that they are.
    pub fn stamp(&self) -> Option<Stamp> {
        match self {
            #[cfg(unix)]
            Bytes::File { file, .. } => file.metadata().ok().and_then(|about| Stamp::new(&about)),
            _ => None,
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

    /// A reader of what is compressed in `bytes`.
    fn reader(self, bytes: impl BufRead + Send + 'static) -> io::Result<Box<dyn Read + Send>> {
        Ok(match self {
            Format::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(bytes)),
            Format::Bzip2 => Box::new(bzip2::bufread::MultiBzDecoder::new(bytes)),
            Format::Xz => Box::new(liblzma::bufread::XzDecoder::new_multi_decoder(bytes)),
            Format::Zstd => Box::new(zstd::Decoder::with_buffer(bytes)?),
        })
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

/// Reads plain or compressed bytes as they arrive. What is compressed and damaged is an error of kind `InvalidData`.
pub(super) struct Unpacking<R> {
    /// Until the first read, which shows whether they are compressed.
    from: Option<R>,
    unpacked: Box<dyn Read + Send>,
    format: Option<Format>,
}

impl<R: BufRead + Send + 'static> Unpacking<R> {
    pub fn new(from: R) -> Self {
        Self { from: Some(from), unpacked: Box::new(io::empty()), format: None }
    }
}

impl<R: BufRead + Send + 'static> Read for Unpacking<R> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        if let Some(mut from) = self.from.take() {
            let mut start = Vec::new();
            from.by_ref().take(Format::MAGIC).read_to_end(&mut start)?;
            self.format = Format::of(&start);
            let whole = io::Cursor::new(start).chain(from);
            self.unpacked = match self.format {
                Some(format) => format.reader(whole)?,
                None => Box::new(whole),
            };
        }
        self.unpacked.read(to).map_err(|e| match self.format {
            Some(format) if e.kind() != io::ErrorKind::Interrupted => {
                let found = format!("a damaged or truncated {} stream ({e})", format.name());
                io::Error::new(io::ErrorKind::InvalidData, found)
            }
            _ => e,
        })
    }
}

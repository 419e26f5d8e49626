//! Files that are written: whole or not at all, and known to be writable before the work is done.

use asyncsgd::{Error, Result, output};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// Where something will be written; `-` is standard output.
#[derive(Debug, Clone)]
pub struct Output(PathBuf);

impl Output {
    /// Standard output.
    pub fn stdout() -> Self {
        Self("-".into())
    }

    /// Makes sure, without changing what is there, that `path` can be written.
    ///
    /// # Errors
    /// [`Error::Io`] where it cannot; [`Error::Usage`] where it is one of the files that are read.
    pub fn check(path: &Path, inputs: &[&Path]) -> Result<Self> {
        let this = Self(path.to_owned());
        if this.is_stdout() {
            return Ok(this);
        }
        if let Ok(target) = path.canonicalize()
            && inputs.iter().any(|input| input.canonicalize().is_ok_and(|input| input == target))
        {
            return Err(Error::usage(format!("{}: is read, so it cannot be written", path.display())));
        }
        output::check(path).map(|()| this)
    }

    /// Makes sure that no two of `paths` are the same file, however they are spelled: the second would take the place
    /// of the first.
    ///
    /// # Errors
    /// [`Error::Usage`] where two are.
    pub fn distinct(paths: &[&Path]) -> Result<()> {
        for (at, path) in paths.iter().enumerate() {
            let Some(this) = place(path) else { continue };
            if *path != Path::new("-") && paths[..at].iter().any(|other| place(other).as_ref() == Some(&this))
            {
                let line = format!("{}: found as two outputs, expected a file for each", path.display());
                return Err(Error::usage(line));
            }
        }
        Ok(())
    }

    /// Writes what `fill` writes, compressed as the file's extension says: `.gz`, `.bz2`, `.xz`, `.zst`.
    ///
    /// # Errors
    /// [`Error::Io`] where the system refuses; the old file is then as it was.
    pub fn write(&self, fill: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<()> {
        if self.is_stdout() {
            let mut out = BufWriter::new(io::stdout().lock());
            let written = fill(&mut out).and_then(|()| out.flush());
            return written.map_err(|e| Error::io("write", "<stdout>", e));
        }
        output::write_with(&self.0, |file| compress(&self.0, file, fill))
    }

    /// Whether it is standard output.
    pub fn is_stdout(&self) -> bool {
        self.0 == Path::new("-")
    }
}

/// Where a path leads, links followed; the file itself need not be there yet.
fn place(path: &Path) -> Option<PathBuf> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    path.canonicalize()
        .or_else(|_| Ok::<_, io::Error>(parent.canonicalize()?.join(path.file_name().unwrap_or_default())))
        .ok()
}

/// Writes what `fill` writes to `file`, compressed as the extension of `path` says.
fn compress(
    path: &Path,
    file: &mut dyn Write,
    fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    let mut file = BufWriter::with_capacity(1 << 16, file);
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("gz") => {
            let mut out = flate2::write::GzEncoder::new(&mut file, flate2::Compression::default());
            fill(&mut out)?;
            out.finish()?;
        }
        Some("bz2") => {
            let mut out = bzip2::write::BzEncoder::new(&mut file, bzip2::Compression::default());
            fill(&mut out)?;
            out.finish()?;
        }
        Some("xz") => {
            let mut out = liblzma::write::XzEncoder::new(&mut file, 6);
            fill(&mut out)?;
            out.finish()?;
        }
        Some("zst") => {
            let mut out = zstd::Encoder::new(&mut file, 0)?;
            fill(&mut out)?;
            out.finish()?;
        }
        _ => fill(&mut file)?,
    }
    file.flush()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn replaces_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.txt");
        fs::write(&path, "old").unwrap();
        let output = Output::check(&path, &[]).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        let failed = output.write(|out| {
            out.write_all(b"half")?;
            Err(io::ErrorKind::StorageFull.into())
        });
        assert_eq!(failed.unwrap_err().exit_code(), 1);
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        output.write(|out| out.write_all(b"new")).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file is left");
    }

    #[test]
    fn what_is_read_is_not_written() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        assert_eq!(Output::check(&file, &[&file]).unwrap_err().exit_code(), 2);
        assert_eq!(Output::check(folder.path(), &[&file]).unwrap_err().exit_code(), 1);
    }

    #[test]
    fn two_outputs_are_two_files() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        let again = folder.path().join(".").join("file");
        let other = folder.path().join("other");
        for there in [false, true] {
            if there {
                fs::write(&file, "").unwrap();
            }
            assert_eq!(Output::distinct(&[&file, &other, &again]).unwrap_err().exit_code(), 2);
            Output::distinct(&[&file, &other, Path::new("-"), Path::new("-")]).unwrap();
        }
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(&file, &other).unwrap();
            assert!(Output::distinct(&[&file, &other]).is_err());
        }
    }

    #[test]
    fn compresses_by_extension() {
        let folder = tempfile::tempdir().unwrap();
        let mut first = Vec::new();
        for extension in ["gz", "bz2", "xz", "zst", "txt"] {
            let path = folder.path().join(format!("data.{extension}"));
            Output::check(&path, &[]).unwrap().write(|out| out.write_all(b"1 1:2\n-1 2:3\n")).unwrap();
            let data = asyncsgd::Dataset::open(&path).unwrap();
            assert_eq!((data.len(), data.features()), (2, 2), "{extension}");
            first.push(fs::read(&path).unwrap()[0]);
        }
        assert_eq!(first, [0x1f, b'B', 0xfd, 0x28, b'1']);
    }
}

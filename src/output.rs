//! Writing files so that nothing is ever half written: what the target held stays until all is on disk.

use crate::error::{Error, Result};
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// Where bytes for a path will go.
enum Target {
    /// A regular file, or none yet: a temporary file beside it takes its place.
    File(PathBuf),
    /// A device or a pipe: it is opened and written to.
    Stream,
}

/// Checks that [`write()`] to `path` can work, before the work is done whose result goes there: a temporary
/// file is made beside it and removed again. What `path` holds is not touched.
///
/// # Errors
/// [`Error::Io`] where the directory does not exist, `path` is a directory, or the system refuses.
pub fn check(path: &Path) -> Result<()> {
    match target(path)? {
        Target::File(file) => beside(&file, path).map(drop),
        Target::Stream => Ok(()),
    }
}

/// As [`check()`], for what is to take another's place again and again.
///
/// # Errors
/// [`Error::Usage`] where `path` is a device or a pipe.
pub fn check_file(path: &Path) -> Result<()> {
    match target(path)? {
        Target::File(file) => beside(&file, path).map(drop),
        Target::Stream => {
            Err(Error::usage(format!("{}: found a device or a pipe, expected a file", path.display())))
        }
    }
}

/// Makes `bytes` the content of the file at `path`, as [`write_with`] does.
///
/// # Errors
/// As [`write_with`].
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    write_with(path, |file| file.write_all(bytes))
}

/// Makes what `fill` writes the content of the file at `path`: writes a temporary file in the same directory,
/// brings it to disk (fsync), and renames it. On any failure the old file stays as it was and the temporary
/// one is removed. A symbolic link is followed; a device or a pipe is written to directly.
///
/// # Errors
/// [`Error::Io`] where `fill` fails or the system refuses, for instance because the disk is full.
pub fn write_with(path: &Path, fill: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<()> {
    let failed = |e| Error::io("write", path, e);
    let file = match target(path)? {
        Target::Stream => {
            let mut stream = OpenOptions::new().write(true).open(path).map_err(failed)?;
            return fill(&mut stream).map_err(failed);
        }
        Target::File(file) => file,
    };
    let mut temporary = beside(&file, path)?;
    fill(temporary.as_file_mut()).map_err(failed)?;
    if let Ok(old) = fs::metadata(&file) {
        temporary.as_file().set_permissions(old.permissions()).map_err(failed)?;
    }
    temporary.as_file().sync_all().map_err(failed)?;
    temporary.persist(&file).map_err(|e| failed(e.error))?;
    // The new name is on disk when the directory is. Where directories cannot be opened, renaming is all there is.
    #[cfg(unix)]
    fs::File::open(directory(&file)).and_then(|directory| directory.sync_all()).map_err(failed)?;
    Ok(())
}

/// Removes what writers that were killed have left beside `path`: temporary files for it that nobody holds.
///
/// # Errors
/// [`Error::Io`] where the directory cannot be read.
pub fn clean(path: &Path) -> Result<()> {
    let failed = |e| Error::io("read", path, e);
    let Target::File(file) = target(path)? else { return Ok(()) };
    let Some(name) = file.file_name() else { return Ok(()) };
    let prefix = format!(".{}.", name.to_string_lossy());
    for entry in fs::read_dir(directory(&file)).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name();
        let ours = name.to_str().is_some_and(|name| name.starts_with(&prefix) && name.ends_with(SUFFIX));
        // Writers hold a lock. What cannot be opened, locked or removed is left: it only takes room.
        if ours && fs::File::open(entry.path()).is_ok_and(|left| left.try_lock().is_ok()) {
            let _ = fs::remove_file(entry.path());
        }
    }
    Ok(())
}

/// How temporary files end.
const SUFFIX: &str = ".tmp";

fn directory(file: &Path) -> &Path {
    file.parent().filter(|d| !d.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// What stands at `path`, links followed.
fn target(path: &Path) -> Result<Target> {
    let failed = |e| Error::io("write", path, e);
    match fs::metadata(path) {
        Ok(about) if about.is_dir() => Err(failed(io::ErrorKind::IsADirectory.into())),
        Ok(about) if about.is_file() => {
            // A file that may not be written is not to be replaced either.
            OpenOptions::new().write(true).open(path).map_err(failed)?;
            fs::canonicalize(path).map(Target::File).map_err(failed)
        }
        // Not opened here: that would wait for a pipe's reader, or end its input.
        Ok(_) => Ok(Target::Stream),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Target::File(path.to_owned())),
        Err(e) => Err(failed(e)),
    }
}

/// A temporary file in the directory of `file`; errors speak of `path`, the name that the user gave.
fn beside(file: &Path, path: &Path) -> Result<NamedTempFile> {
    let failed = |e| Error::io("create", path, e);
    let name = file.file_name().ok_or_else(|| failed(io::ErrorKind::InvalidFilename.into()))?;
    let prefix = format!(".{}.", name.to_string_lossy());
    let mut builder = tempfile::Builder::new();
    builder.prefix(&prefix).suffix(SUFFIX);
    // As any new file: temporary files are otherwise for their owner alone.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let made = builder.tempfile_in(directory(file)).map_err(|e| {
        // tempfile adds the path of its own, which says nothing to the user.
        let text = e.to_string();
        let answer = text.split(" at path ").next().unwrap_or_default();
        failed(io::Error::new(e.kind(), answer))
    })?;
    // For `clean`; where the file system knows no locks, a file that is being written may be taken for one left over,
    // and cannot then be renamed.
    let _ = made.as_file().try_lock();
    Ok(made)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn names(directory: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn replaces_and_leaves_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("out");
        check(&path).unwrap();
        assert!(!path.exists());
        write(&path, b"one").unwrap();
        check(&path).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"one");
        write(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(names(directory.path()), ["out"]);
    }

    #[test]
    fn says_what_cannot_be_written_and_leaves_it() {
        let directory = tempfile::tempdir().unwrap();
        let missing = directory.path().join("no/out");
        for path in [missing.as_path(), directory.path(), Path::new("")] {
            let said = check(path).unwrap_err().to_string();
            assert_eq!(said.lines().count(), 1);
            assert!(said.starts_with(&format!("{}: cannot ", path.display())), "{said}");
            assert!(!said.contains(".tmp\""), "{said}");
            assert_eq!(write(path, b"x").unwrap_err().to_string(), said);
        }
        assert_eq!(names(directory.path()), [""; 0]);
    }

    #[cfg(unix)]
    #[test]
    fn keeps_permissions_and_follows_links() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let directory = tempfile::tempdir().unwrap();
        let (path, link) = (directory.path().join("out"), directory.path().join("link"));
        write(&path, b"one").unwrap();
        fs::set_permissions(&path, PermissionsExt::from_mode(0o640)).unwrap();
        symlink(&path, &link).unwrap();
        write(&link, b"two").unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
    }

    #[test]
    fn what_killed_writers_left_is_removed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("out");
        let held = beside(&path, &path).unwrap();
        fs::write(directory.path().join(".out.killed.tmp"), b"half").unwrap();
        fs::write(directory.path().join(".other.killed.tmp"), b"half").unwrap();
        clean(&path).unwrap();
        let held = held.path().file_name().unwrap().to_str().unwrap().to_owned();
        let mut left = vec![".other.killed.tmp".to_owned(), held];
        left.sort();
        assert_eq!(names(directory.path()), left);
    }

    #[cfg(unix)]
    #[test]
    fn a_device_is_no_file() {
        let said = check_file(Path::new("/dev/null")).unwrap_err();
        assert_eq!(said.to_string(), "/dev/null: found a device or a pipe, expected a file");
        check(Path::new("/dev/null")).unwrap();
        let directory = tempfile::tempdir().unwrap();
        check_file(&directory.path().join("new")).unwrap();
        assert_eq!(names(directory.path()), [""; 0]);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_device_is_an_error() {
        let said = write(Path::new("/dev/full"), b"x").unwrap_err();
        assert!(said.to_string().contains("No space left"), "{said}");
        write(Path::new("/dev/null"), b"x").unwrap();
    }
}

//! The one error type: what a person reads when something is wrong.

use std::path::PathBuf;

/// A result with the crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything that can go wrong, each with one clear line.
///
/// [`Error::exit_code`] is what the command line returns for it: 2 for bad input or usage, 1 for
/// anything else.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file does not say what it should: where, what was found, what was expected.
    #[error("{place}: found {found}, expected {expected}")]
    Input {
        /// Where in the input it was found.
        place: Place,
        /// What stands there.
        found: String,
        /// What should stand there.
        expected: String,
    },
    /// Options that are out of range or contradict each other, one line for each.
    #[error("{}", .0.join("\n"))]
    Usage(Vec<String>),
    /// The operating system refused to read or write.
    #[error("{}: cannot {action}: {source}", .path.display())]
    Io {
        /// What was being done: "open", "write", ….
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// The operating system refused to start a thread.
    #[error("cannot start {thread}: {source}")]
    Thread {
        /// What the thread was for.
        thread: String,
        /// The system's answer.
        source: std::io::Error,
    },
    /// A worker (the objective it ran) panicked; the message is the panic's.
    #[error("worker {worker} panicked: {message}")]
    Panic {
        /// The worker's number, from 0.
        worker: usize,
        /// What the panic said.
        message: String,
    },
}

/// A place in an input: a file, and where known its line and column (from 1).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    /// The file as the user named it.
    pub file: String,
    /// The line, from 1; 0 when it is not known.
    pub line: usize,
    /// The column in bytes, from 1; 0 when it is not known.
    pub column: usize,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        if self.column > 0 {
            write!(f, ":{}", self.column)?;
        }
        Ok(())
    }
}

impl Error {
    /// An input error at `file` (line and column 0 when unknown). Control characters, which may come from the file, are
    /// escaped: the error is one line, and says nothing to a terminal.
    pub fn input(
        file: impl Into<String>,
        line: usize,
        column: usize,
        found: impl Into<String>,
        expected: impl Into<String>,
    ) -> Self {
        let plain = |text: String| match text.contains(char::is_control) {
            true => text
                .chars()
                .map(|c| if c.is_control() { c.escape_default().to_string() } else { c.into() })
                .collect(),
            false => text,
        };
        let place = Place { file: plain(file.into()), line, column };
        Error::Input { place, found: plain(found.into()), expected: plain(expected.into()) }
    }

    /// One usage error.
    pub fn usage(line: impl Into<String>) -> Self {
        Error::Usage(vec![line.into()])
    }

    /// An error of the operating system while doing `action` to `path`.
    pub fn io(action: &'static str, path: impl Into<PathBuf>, source: std::io::Error) -> Self {
        Error::Io { action, path: path.into(), source }
    }

    /// An error of the operating system while starting the `number`th (from 0) of so many workers.
    pub(crate) fn worker(number: usize, workers: usize, source: std::io::Error) -> Self {
        Error::Thread { thread: format!("worker {} of {workers}", number + 1), source }
    }

    /// An error of the operating system while starting so many threads of a pool.
    pub(crate) fn pool(threads: usize, source: rayon::ThreadPoolBuildError) -> Self {
        Error::Thread {
            thread: format!("a pool of {threads} threads"),
            source: std::io::Error::other(source),
        }
    }

    /// The exit code of the command line: 2 for bad input or usage, 1 for the rest.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Input { .. } | Error::Usage(_) => 2,
            Error::Io { .. } | Error::Thread { .. } | Error::Panic { .. } => 1,
        }
    }
}

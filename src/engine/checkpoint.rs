//! A run on disk: what is needed to go on as if it had not been interrupted.
//!
//! A file is `asgdckpt`, the length of a header (8 bytes, little-endian), the header as JSON, the parameters, those of
//! the best evaluation if there are any, the objective's own state, what the engine keeps beside the parameters
//! ([`Beside`](super::beside::Beside)), what Newton's method keeps if it has begun, and the xxh3-128 of all before. It
//! is written to a temporary file beside its place, brought to disk and renamed ([`output`](crate::output)): whatever
//! happens, the place holds the last whole checkpoint.

use super::beside::Kept;
use super::every::Every;
use super::run::Point;
use crate::delay::Profile;
use crate::error::{Error, Result};
use crate::output;
use crate::real::Real;
use crate::sync::Arc;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use xxhash_rust::xxh3::{Xxh3, xxh3_128};

const MAGIC: &[u8; 8] = b"asgdckpt";

/// The length of the checksum at the end.
const CHECKSUM: usize = 16;

/// Where a run is saved and how often.
#[derive(Debug, Clone)]
pub(super) struct Keeping {
    pub path: PathBuf,
    pub every: Every,
    /// The caller's own words, kept in the file.
    pub note: String,
}

/// Where in the course of a run it was saved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Position {
    /// Releases of the workers that are over, and chunks done in the next.
    pub phases: u64,
    pub taken: u64,
    pub iterations: u64,
    /// The sum of all steps.
    pub steps: f64,
    pub seconds: f64,
    /// Examples of the releases that are over.
    pub examples: u64,
    pub brake: f64,
    pub restarts: u32,
}

/// What must be the same when the run goes on.
pub(super) struct Identity {
    /// By name.
    pub named: Vec<(String, String)>,
    /// For an objective that does not name its data: its value at parameters that no run ends at.
    pub value: Option<f64>,
}

/// What a run can have come to.
pub(super) struct Reach {
    pub parameters: usize,
    pub workers: usize,
    /// Examples from one evaluation to the next.
    pub phase: u64,
}

/// More seconds than any run takes, and few enough to reckon with.
const LONGEST: f64 = 1e12;

/// How far values of the same objective may be apart, whose sums are not always taken in the same order.
const SAME: f64 = 1e-6;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Header {
    /// The version of this crate that wrote it.
    pub program: String,
    pub identity: Vec<(String, String)>,
    /// As [`Identity::value`].
    pub value: Option<f64>,
    pub note: String,
    pub position: Position,
    /// Each worker's.
    pub delays: Vec<Profile>,
    pub series: Vec<Point>,
    pub warnings: Vec<String>,
    /// The bytes of one parameter, and how many there are, …
    width: usize,
    parameters: usize,
    /// … the objective of the best evaluation, …
    good: Option<f64>,
    /// … the numbers of the objective's own state, …
    state: usize,
    /// … those that the engine keeps beside the parameters, …
    pub kept: Kept,
    beside: usize,
    /// … and the doubles of Newton's method, with the bound on the minimum that it has proven.
    newton: usize,
    pub minimum: Option<f64>,
}

impl Header {
    /// What no run has written, of what is known without the run.
    fn fault(&self) -> Option<&'static str> {
        let Position { phases, steps, seconds, brake, .. } = self.position;
        let faults = [
            // One at the start, and one at the end of each.
            ("phases", phases >= self.series.len() as u64),
            ("steps", steps < 0.0),
            ("seconds", !(0.0..=LONGEST).contains(&seconds)),
            ("brake", brake <= 0.0 || brake > 1.0),
            ("delays", !self.delays.iter().all(Profile::is_sound)),
        ];
        faults.into_iter().find_map(|(name, wrong)| wrong.then_some(name))
    }

    /// What no run that reaches so far has written. An update is of an example at least, and its delay is no more than
    /// the updates.
    fn out_of(&self, reach: &Reach) -> Option<&'static str> {
        let Position { phases, taken, iterations, examples, .. } = self.position;
        let most = reach.phase.saturating_mul(phases + 1);
        let total = |of: fn(&Profile) -> u64| {
            self.delays.iter().try_fold(0u64, |sum, delays| sum.checked_add(of(delays)))
        };
        let counted = total(Profile::count).is_some_and(|count| count <= most);
        let faults = [
            ("taken", taken > reach.phase),
            ("examples", examples > most),
            ("iterations", iterations > most),
            ("delays", self.delays.len() != reach.workers || !counted || total(Profile::sum).is_none()),
        ];
        faults.into_iter().find_map(|(name, wrong)| wrong.then_some(name))
    }
}

/// A run as it was at one moment.
#[derive(Clone)]
pub(super) struct Saved<T> {
    pub header: Header,
    pub params: Vec<T>,
    pub good: Option<(Arc<Vec<T>>, f64)>,
    pub state: Vec<T>,
    pub beside: Vec<T>,
    /// Empty while gradients are stochastic.
    pub newton: Vec<f64>,
}

impl<T: Real> Saved<T> {
    /// Nothing yet, of a run with this identity.
    pub fn new(identity: Identity) -> Self {
        let position = Position {
            phases: 0,
            taken: 0,
            iterations: 0,
            steps: 0.0,
            seconds: 0.0,
            examples: 0,
            brake: 1.0,
            restarts: 0,
        };
        let header = Header {
            program: env!("CARGO_PKG_VERSION").into(),
            identity: identity.named,
            value: identity.value,
            note: String::new(),
            position,
            delays: Vec::new(),
            series: Vec::new(),
            warnings: Vec::new(),
            width: size_of::<T>(),
            parameters: 0,
            good: None,
            state: 0,
            kept: Kept::default(),
            beside: 0,
            newton: 0,
            minimum: None,
        };
        let [params, state, beside] = [const { Vec::new() }; 3];
        Self { header, params, good: None, state, beside, newton: Vec::new() }
    }

    /// Whether there is something to go on with.
    fn is_finite(&self) -> bool {
        // By pieces without a way out, which are vector loops.
        let finite = |piece: &[T]| piece.iter().fold(true, |all, w| all & w.is_finite());
        [&self.params, &self.beside].into_iter().all(|numbers| numbers.chunks(PIECE).all(finite))
    }

    /// Puts it at `path`, in place of what is there.
    ///
    /// # Errors
    /// [`Error::Io`] where the system refuses, and [`Error::Usage`] where there is nothing to go on with, because a
    /// parameter is not finite; what was there stays.
    pub fn write(&mut self, path: &Path) -> Result<()> {
        if !self.is_finite() {
            return Err(Error::usage(format!("{}: the parameters are not finite", path.display())));
        }
        let header = &mut self.header;
        (header.parameters, header.state) = (self.params.len(), self.state.len());
        (header.beside, header.newton) = (self.beside.len(), self.newton.len());
        header.good = self.good.as_ref().map(|(_, objective)| *objective);
        let header = serde_json::to_vec(&header).map_err(|e| Error::io("write", path, e.into()))?;
        let good = self.good.as_ref().map_or(&[][..], |(params, _)| params);
        output::write_with(path, |out| {
            let mut hash = Xxh3::new();
            let mut put = |bytes: &[u8]| {
                hash.update(bytes);
                out.write_all(bytes)
            };
            put(MAGIC)?;
            put(&(header.len() as u64).to_le_bytes())?;
            put(&header)?;
            for numbers in [&self.params, good, &self.state, &self.beside] {
                // By pieces, which are in the cache when they are written after they were hashed.
                numbers.chunks(PIECE).try_for_each(|piece| put(bytemuck::cast_slice(piece)))?;
            }
            self.newton.chunks(PIECE).try_for_each(|piece| put(bytemuck::cast_slice(piece)))?;
            let sum = hash.digest128().to_le_bytes();
            out.write_all(&sum)
        })
    }
}

/// Numbers that are written at a time.
const PIECE: usize = 1 << 16;

/// A run that was saved, read from a file.
#[derive(Clone)]
pub struct Checkpoint {
    path: PathBuf,
    header: Header,
    /// The file from the parameters on, without the checksum.
    numbers: Arc<Vec<u8>>,
}

impl fmt::Debug for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Checkpoint({})", self.path.display())
    }
}

impl Checkpoint {
    /// Reads a file that a run wrote. O(file), which is held in memory until the run that resumes it is over.
    ///
    /// # Errors
    /// [`Error::Io`] where it cannot be read; [`Error::Input`] where it is no checkpoint, damaged, or one of another
    /// version of this crate.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        let mut bytes = fs::read(&path).map_err(|e| Error::io("read", &path, e))?;
        let wrong = |found: String, expected: &str| {
            Err(Error::input(path.display().to_string(), 0, 0, found, expected))
        };
        if !bytes.starts_with(MAGIC) {
            return wrong("another kind of file".into(), "a checkpoint");
        }
        let whole = bytes
            .len()
            .checked_sub(CHECKSUM)
            .filter(|&end| bytes[end..] == xxh3_128(&bytes[..end]).to_le_bytes());
        let Some(end) = whole else {
            return wrong("a damaged file: its checksum is wrong".into(), "a whole checkpoint");
        };
        bytes.truncate(end);
        let length = bytes.get(8..16).map(|length| u64::from_le_bytes(std::array::from_fn(|i| length[i])));
        let header = length
            .and_then(|length| usize::try_from(length).ok())
            .and_then(|length| length.checked_add(16))
            .and_then(|end| bytes.get(16..end));
        let Some(text) = header else {
            return wrong("a header that does not end".into(), "a whole checkpoint");
        };
        // The version first: other versions may have other headers.
        let version = serde_json::from_slice::<Version>(text).ok().map(|version| version.program);
        if version.as_deref() != Some(env!("CARGO_PKG_VERSION")) {
            let found = format!("a checkpoint of asyncsgd {}", version.as_deref().unwrap_or("?"));
            return wrong(found, concat!("one of ", env!("CARGO_PKG_VERSION")));
        }
        let header: Header = match serde_json::from_slice(text) {
            Ok(header) => header,
            Err(e) => return wrong(format!("a header that is wrong ({e})"), "a whole checkpoint"),
        };
        let text = text.len();
        bytes.drain(..16 + text);
        let copies = if header.good.is_some() { 2 } else { 1 };
        let numbers = header.parameters.checked_mul(copies).and_then(|n| n.checked_add(header.state));
        let numbers = numbers.and_then(|n| n.checked_add(header.beside));
        let numbers = numbers.and_then(|n| n.checked_mul(header.width));
        let doubles = header.newton.checked_mul(size_of::<f64>());
        if numbers.zip(doubles).and_then(|(n, doubles)| n.checked_add(doubles)) != Some(bytes.len()) {
            return wrong(format!("{} bytes of numbers", bytes.len()), "as many as its header says");
        }
        if let Some(fault) = header.fault() {
            return wrong(format!("a header that is wrong ({fault})"), "a whole checkpoint");
        }
        Ok(Self { path, header, numbers: Arc::new(bytes) })
    }

    /// Whether the file at `path` begins as one. O(1).
    pub fn is_at(path: &Path) -> bool {
        let mut start = [0; MAGIC.len()];
        let read = File::open(path).and_then(|mut file| file.read_exact(&mut start));
        read.is_ok() && start == *MAGIC
    }

    /// The workers of the run that wrote it.
    pub fn workers(&self) -> Option<usize> {
        self.header.identity.iter().find(|(name, _)| name == "workers")?.1.parse().ok()
    }

    /// What the run that wrote it was given as its note.
    pub fn note(&self) -> &str {
        &self.header.note
    }

    /// The file that it was read from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Completed updates.
    pub fn iterations(&self) -> u64 {
        self.header.position.iterations
    }

    /// Seconds of training.
    pub fn train_seconds(&self) -> f64 {
        self.header.position.seconds
    }

    /// What Newton's method kept, nothing if it had not begun or the run of now `points` evaluations went on otherwise,
    /// and the bound on the minimum that it had proven.
    pub(super) fn newton(&self, points: usize) -> (Vec<f64>, Option<f64>) {
        if self.header.series.len() != points {
            return (Vec::new(), self.header.minimum);
        }
        let doubles = &self.numbers[self.numbers.len() - self.header.newton * size_of::<f64>()..];
        let numbers = doubles.chunks_exact(size_of::<f64>()).map(bytemuck::pod_read_unaligned);
        (numbers.collect(), self.header.minimum)
    }

    /// The run in it, if it is one of this identity.
    ///
    /// # Errors
    /// [`Error::Usage`] with a line for each thing that differs; [`Error::Input`] where no run can have come to this.
    pub(super) fn restore<T: Real>(&self, identity: &Identity, reach: &Reach) -> Result<Saved<T>> {
        let parameters = reach.parameters;
        let there =
            |name: &str| self.header.identity.iter().find(|(n, _)| n == name).map_or("none", |(_, v)| v);
        let file = self.path.display();
        let differs = identity.named.iter().filter(|(name, value)| there(name) != value);
        let mut wrong: Vec<String> = differs
            .map(|(name, value)| format!("{file}: {name}: found {}, expected {value}", there(name)))
            .collect();
        if let (Some(found), Some(expected)) = (self.header.value, identity.value)
            && (found - expected).abs() > SAME * found.abs().max(expected.abs())
        {
            let of = "another objective, or other data";
            wrong.push(format!("{file}: {of}: its value beside the start is {found}, expected {expected}"));
        }
        let (header, width) = (self.header.clone(), size_of::<T>());
        if wrong.is_empty() && (header.width, header.parameters) != (width, parameters) {
            let found = format!("{} parameters of {} bytes", header.parameters, header.width);
            wrong.push(format!("{file}: found {found}, expected {parameters} of {width}"));
        }
        if !wrong.is_empty() {
            return Err(Error::Usage(wrong));
        }
        if let Some(fault) = header.out_of(reach) {
            let found = format!("a header that is wrong ({fault})");
            return Err(Error::input(file.to_string(), 0, 0, found, "a whole checkpoint"));
        }
        let mut rest = self.numbers.chunks_exact(width).map(bytemuck::pod_read_unaligned);
        let params = rest.by_ref().take(parameters).collect();
        let good =
            header.good.map(|objective| (Arc::new(rest.by_ref().take(parameters).collect()), objective));
        let state = rest.by_ref().take(header.state).collect();
        let beside = rest.take(header.beside).collect();
        let saved = Saved { header, params, good, state, beside, newton: Vec::new() };
        if !saved.is_finite() {
            return Err(Error::input(
                file.to_string(),
                0,
                0,
                "parameters that are not finite",
                "a whole checkpoint",
            ));
        }
        Ok(saved)
    }
}

#[derive(Deserialize)]
struct Version {
    program: String,
}

//! Traces: the delay, worker and weight of every update of a run, in the order of iterations.
//!
//! # The file
//! All numbers are little-endian. The head is 12 bytes: `ASGDTRC\n` and the version, a u32, 2. Blocks follow:
//! four u32 (worker, number of updates, bytes of the body, the lower half of
//! the body's xxh3-64 with the seed worker·2^32 + number of updates) and the body.
//! A block holds updates of one worker in the order in which it made them; the blocks of different workers come
//! in any order. An update is
//!
//! - its iteration less the one before it in the block (0 for the first), as a LEB128 integer;
//! - twice its delay, plus 1 if its weight differs from the one before it (1.0 for the first), as LEB128;
//! - then, in that case, its weight as an f32.
//!
//! The first block has worker 2^32 − 2, no updates, and as its body three u64: the examples of the run, and of an
//! update those of its block and of its mini-batch ([`TracedRun`]). The last block has worker 2^32 − 1 and as its
//! body the number of all updates, a u64.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use xxhash_rust::xxh3::xxh3_64_with_seed;

pub(crate) use super::tracer::Tracing;
use crate::{Error, Result};

/// The first bytes of a trace.
pub(super) const HEAD: [u8; 12] = *b"ASGDTRC\n\x02\x00\x00\x00";

/// The bytes before a block's body.
pub(super) const BLOCK_HEADER: usize = 16;

/// The worker of the last block.
pub(super) const END: u32 = u32::MAX;

/// The worker of the first block.
pub(super) const RUN: u32 = u32::MAX - 1;

/// The largest body that is believed; the writer's have 64 kB.
const LARGEST_BODY: u32 = 1 << 20;

/// More workers than any run has.
const MOST_WORKERS: u32 = 1 << 16;

const EXPECTED: &str = "a trace of asyncsgd, version 2";

/// Of what run a trace is: what a replay must agree with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TracedRun {
    /// The examples that it was trained on.
    pub examples: u64,
    /// The examples of a block; 1 where each gradient is an update of its own.
    pub block: u64,
    /// The examples of a gradient.
    pub batch: u64,
}

impl TracedRun {
    pub(super) fn bytes(self) -> [u8; 24] {
        let mut bytes = [0; 24];
        for (place, field) in bytes.chunks_exact_mut(8).zip([self.examples, self.block, self.batch]) {
            place.copy_from_slice(&field.to_le_bytes());
        }
        bytes
    }

    fn read(bytes: [u8; 24]) -> Self {
        let field = |i: usize| u64::from_le_bytes(bytes[8 * i..][..8].try_into().expect("eight bytes"));
        TracedRun { examples: field(0), block: field(1), batch: field(2) }
    }
}

/// One update of a run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Traced {
    /// The iteration number k, from 0. A gradient that the rule ignored before it got a number has the number
    /// that it would have had, and weight 0.
    pub iteration: u64,
    /// The delay τ, in iterations.
    pub delay: u64,
    /// The worker, from 0.
    pub worker: u32,
    /// The weight that the step rule gave.
    pub weight: f32,
}

impl Traced {
    /// What a block's first update is told relative to.
    pub(super) fn first(worker: u32) -> Self {
        Traced { iteration: 0, delay: 0, worker, weight: 1.0 }
    }
}

/// The check that stands before a block's body.
pub(super) fn hash(worker: u32, updates: u32, body: &[u8]) -> u32 {
    xxh3_64_with_seed(body, u64::from(worker) << 32 | u64::from(updates)) as u32
}

/// Appends `update`, told relative to the one before it; at most 24 bytes.
#[inline]
pub(super) fn encode(bytes: &mut Vec<u8>, last: Traced, update: Traced) {
    let differs = update.weight.to_bits() != last.weight.to_bits();
    put(bytes, update.iteration - last.iteration);
    put(bytes, update.delay << 1 | u64::from(differs));
    if differs {
        bytes.extend_from_slice(&update.weight.to_le_bytes());
    }
}

#[inline]
fn put(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

fn decode(bytes: &mut &[u8], last: Traced) -> Option<Traced> {
    let iteration = last.iteration.checked_add(take(bytes)?)?;
    let delay = take(bytes)?;
    let weight = if delay & 1 == 0 {
        last.weight
    } else {
        let (weight, rest) = bytes.split_first_chunk()?;
        *bytes = rest;
        f32::from_le_bytes(*weight)
    };
    Some(Traced { iteration, delay: delay >> 1, weight, ..last })
}

fn take(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return (shift < 63 || byte < 2).then_some(number);
        }
    }
    None
}

/// A trace to be read: an iterator over the updates in the order of iterations.
///
/// One block a worker is in memory. Opening passes over the blocks' heads; their bodies are checked when they are
/// reached, and the first error ends the iteration.
#[derive(Debug)]
pub struct Trace {
    name: String,
    run: TracedRun,
    file: BufReader<File>,
    cursors: Vec<Cursor>,
    /// The next update of each worker.
    next: BinaryHeap<Reverse<(u64, usize)>>,
    updates: u64,
    left: u64,
    complete: bool,
    started: bool,
}

/// Where a worker's updates are, and its next.
#[derive(Debug)]
struct Cursor {
    worker: u32,
    /// Offset, updates, bytes and hash of the blocks that are left, the last first.
    blocks: Vec<(u64, u32, u32, u32)>,
    body: Vec<u8>,
    at: usize,
    left: u32,
    last: Traced,
}

impl Trace {
    /// Opens a trace. One of a run that was killed has no end; the blocks that are whole are read.
    ///
    /// # Errors
    /// [`Error::Io`] where the file cannot be read; an input error where it is not a trace, or where its heads are
    /// damaged.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let io = |error| Error::io("read", path, error);
        let name = path.display().to_string();
        let file = File::open(path).map_err(io)?;
        let size = file.metadata().map_err(io)?.len();
        let mut file = BufReader::new(file);
        let mut head = [0; HEAD.len()];
        if size < HEAD.len() as u64 {
            return Err(Error::input(name, 0, 0, "a file of fewer than 12 bytes", EXPECTED));
        }
        file.read_exact(&mut head).map_err(io)?;
        if head != HEAD {
            let found = if head[..8] == HEAD[..8] { "another version" } else { "another kind of file" };
            return Err(Error::input(name, 0, 0, found, EXPECTED));
        }
        let mut trace = Trace {
            name,
            run: TracedRun::default(),
            file,
            cursors: Vec::new(),
            next: BinaryHeap::new(),
            updates: 0,
            left: 0,
            complete: false,
            started: false,
        };
        trace.index(size).map_err(|problem| match problem {
            Problem::Io(error) => io(error),
            Problem::Damage(found) => trace.damaged(&found),
        })?;
        trace.left = trace.updates;
        Ok(trace)
    }

    /// Passes over the heads of the blocks.
    fn index(&mut self, size: u64) -> Result<(), Problem> {
        let mut offset = HEAD.len() as u64;
        for number in 1u64.. {
            let rest = size - offset;
            if rest < BLOCK_HEADER as u64 {
                break;
            }
            let mut head = [0; BLOCK_HEADER];
            self.file.read_exact(&mut head)?;
            let field = |i: usize| u32::from_le_bytes(head[4 * i..][..4].try_into().expect("four bytes"));
            let (worker, updates, bytes, check) = (field(0), field(1), field(2), field(3));
            if bytes > LARGEST_BODY || updates > bytes {
                return Err(Problem::Damage(format!("block {number} with a damaged head")));
            }
            if rest - (BLOCK_HEADER as u64) < u64::from(bytes) {
                break;
            }
            offset += BLOCK_HEADER as u64;
            if (number == 1) != (worker == RUN) {
                return Err(Problem::Damage(format!("block {number} out of place")));
            }
            if worker == RUN {
                let mut run = [0; 24];
                if bytes as usize != run.len() {
                    return Err(Problem::Damage("a damaged first block".to_owned()));
                }
                self.file.read_exact(&mut run)?;
                if hash(worker, updates, &run) != check {
                    return Err(Problem::Damage("a damaged first block".to_owned()));
                }
                self.run = TracedRun::read(run);
                offset += u64::from(bytes);
                continue;
            }
            if worker == END {
                let mut total = [0; 8];
                self.file.read_exact(&mut total)?;
                if u64::from_le_bytes(total) != self.updates
                    || hash(worker, updates, &total) != check
                    || offset + 8 != size
                {
                    return Err(Problem::Damage("an end that does not fit what comes before".to_owned()));
                }
                self.complete = true;
                break;
            }
            if worker >= MOST_WORKERS {
                return Err(Problem::Damage(format!("block {number} with a damaged head")));
            }
            let cursor = match self.cursors.iter().position(|cursor| cursor.worker == worker) {
                Some(at) => &mut self.cursors[at],
                None => {
                    let last = Traced::first(worker);
                    let (blocks, body) = (Vec::new(), Vec::new());
                    self.cursors.push(Cursor { worker, blocks, body, at: 0, left: 0, last });
                    self.cursors.last_mut().expect("pushed above")
                }
            };
            cursor.blocks.push((offset, updates, bytes, check));
            self.updates += u64::from(updates);
            offset += u64::from(bytes);
            self.file.seek_relative(i64::from(bytes))?;
        }
        self.cursors.sort_by_key(|cursor| cursor.worker);
        self.cursors.iter_mut().for_each(|cursor| cursor.blocks.reverse());
        Ok(())
    }

    /// Of what run it is; all 0 where that was killed before it began.
    pub fn run(&self) -> TracedRun {
        self.run
    }

    /// The number of updates.
    pub fn len(&self) -> u64 {
        self.updates
    }

    /// Whether there are no updates.
    pub fn is_empty(&self) -> bool {
        self.updates == 0
    }

    /// The number of workers that have made updates.
    pub fn workers(&self) -> usize {
        self.cursors.len()
    }

    /// Whether the trace has its end: false for that of a run that was killed.
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    fn damaged(&self, found: &str) -> Error {
        Error::input(&*self.name, 0, 0, found, EXPECTED)
    }

    fn read_next(&mut self) -> Result<Option<Traced>, Problem> {
        if !self.started {
            self.started = true;
            for at in 0..self.cursors.len() {
                self.advance(at)?;
            }
        }
        let Some(Reverse((_, at))) = self.next.pop() else { return Ok(None) };
        let update = self.cursors[at].last;
        self.advance(at)?;
        self.left -= 1;
        Ok(Some(update))
    }

    /// Decodes the next update of a worker into its `last`, if there is one, and queues it.
    fn advance(&mut self, at: usize) -> Result<(), Problem> {
        let cursor = &mut self.cursors[at];
        let before = cursor.last.iteration;
        while cursor.left == 0 {
            let Some((offset, updates, bytes, expected)) = cursor.blocks.pop() else { return Ok(()) };
            cursor.body.resize(bytes as usize, 0);
            self.file.seek(SeekFrom::Start(offset))?;
            self.file.read_exact(&mut cursor.body)?;
            if hash(cursor.worker, updates, &cursor.body) != expected {
                return Err(Problem::Damage(format!("a damaged block at byte {offset}")));
            }
            (cursor.at, cursor.left, cursor.last) = (0, updates, Traced::first(cursor.worker));
        }
        let mut rest = &cursor.body[cursor.at..];
        let update = decode(&mut rest, cursor.last).filter(|update| update.iteration >= before);
        let Some(update) = update.filter(|_| cursor.left > 1 || rest.is_empty()) else {
            return Err(Problem::Damage(format!("updates of worker {} out of order", cursor.worker)));
        };
        cursor.at = cursor.body.len() - rest.len();
        cursor.left -= 1;
        cursor.last = update;
        self.next.push(Reverse((update.iteration, at)));
        Ok(())
    }
}

/// What can go wrong while reading.
enum Problem {
    Io(io::Error),
    Damage(String),
}

impl From<io::Error> for Problem {
    fn from(error: io::Error) -> Self {
        Problem::Io(error)
    }
}

impl Iterator for Trace {
    type Item = Result<Traced>;

    fn next(&mut self) -> Option<Result<Traced>> {
        self.read_next()
            .map_err(|problem| {
                self.next.clear();
                self.left = 0;
                match problem {
                    Problem::Io(error) => Error::io("read", Path::new(&self.name), error),
                    Problem::Damage(found) => self.damaged(&found),
                }
            })
            .transpose()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        // An error stands for all that is left.
        (0, Some(self.left as usize))
    }
}

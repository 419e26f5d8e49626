//! Writing traces: each worker fills a buffer of its own, a thread of its own writes full ones to the file.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use super::trace::{BLOCK_HEADER, END, HEAD, RUN, Traced, TracedRun, encode, hash};
use crate::sync::{Arc, AtomicU64, Ordering, Receiver, Sender, bounded, thread};

/// The bytes that a worker gathers before it hands them over.
const BUFFER: usize = 64 << 10;

/// The most buffers on their way. A worker that finds as many waits: nothing is lost.
const ON_THE_WAY: usize = 64;

/// Writes the trace of a run: the iteration, delay, worker and weight of every update.
///
/// A worker encodes its updates (some 3 bytes each) into a buffer of 64 kB and hands full buffers to the thread
/// that writes. When the file is too slow for them the workers wait, and the summary tells it; no record is lost.
///
/// ```
/// use asyncsgd::delay::{Trace, Tracer};
/// use asyncsgd::{Loader, Logistic, Trainer};
///
/// let path = std::env::temp_dir().join(format!("asyncsgd-doc-{}.trace", std::process::id()));
/// let tracer = Tracer::new(std::fs::File::create(&path)?)?;
/// let data = Loader::bytes("two rows", "1 1:1\n-1 2:1\n").load()?;
/// let run = Trainer::new(Logistic::l2(0.1)).workers(2).epochs(50).trace(&tracer).run(&data)?;
/// let summary = tracer.finish()?;
/// assert_eq!(summary.updates, run.delays().count());
///
/// let trace = Trace::open(&path)?;
/// assert_eq!(trace.len(), summary.updates);
/// let delays: u64 = trace.map(|update| update.map(|u| u.delay)).sum::<asyncsgd::Result<_>>()?;
/// assert_eq!(delays, run.delays().sum());
/// # std::fs::remove_file(path)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Tracer {
    line: Line,
    writer: thread::JoinHandle<io::Result<Summary>>,
}

/// What became of a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Summary {
    /// Updates that were written.
    pub updates: u64,
    /// The size of the trace, in bytes.
    pub bytes: u64,
    /// How often a worker had to wait because the file was slower than the workers.
    pub waits: u64,
    /// How long the workers waited, added up.
    pub waited: Duration,
}

/// The way from the workers to the writer.
#[derive(Clone)]
pub(crate) struct Line {
    full: Sender<Message>,
    empty: Receiver<Vec<u8>>,
    waits: Arc<AtomicU64>,
    waited: Arc<AtomicU64>,
}

enum Message {
    Run(TracedRun),
    Block { worker: u32, updates: u32, bytes: Vec<u8> },
    End,
}

/// A worker's side of a trace.
pub(crate) struct Tracing {
    line: Line,
    worker: u32,
    buffer: Vec<u8>,
    updates: u32,
    last: Traced,
}

impl Tracer {
    /// Begins a trace and starts the thread that writes it.
    ///
    /// # Errors
    /// That the head cannot be written, or the system starts no thread.
    pub fn new(mut out: impl Write + Send + 'static) -> io::Result<Self> {
        out.write_all(&HEAD)?;
        let (full, blocks) = bounded(ON_THE_WAY);
        let (used, empty) = bounded(ON_THE_WAY);
        let write = move || {
            let (mut failed, mut begun) = (None, false);
            let mut summary = Summary { bytes: HEAD.len() as u64, ..Summary::default() };
            for message in &blocks {
                let (worker, updates, mut bytes) = match message {
                    Message::Run(_) if begun => continue,
                    Message::Run(run) => (RUN, 0, run.bytes().to_vec()),
                    Message::Block { worker, updates, bytes } => (worker, updates, bytes),
                    Message::End => break,
                };
                begun = true;
                // After an error the rest is still taken, so that no worker waits for ever.
                if failed.is_none() {
                    failed = write_block(&mut out, worker, updates, &bytes).err();
                    summary.updates += u64::from(updates);
                    summary.bytes += (BLOCK_HEADER + bytes.len()) as u64;
                }
                bytes.clear();
                // Spare buffers beyond what the line holds are freed.
                let _ = used.try_send(bytes);
            }
            if let Some(error) = failed {
                return Err(error);
            }
            if !begun {
                let none = TracedRun::default().bytes();
                write_block(&mut out, RUN, 0, &none)?;
                summary.bytes += (BLOCK_HEADER + none.len()) as u64;
            }
            write_block(&mut out, END, 0, &summary.updates.to_le_bytes())?;
            out.flush()?;
            summary.bytes += (BLOCK_HEADER + 8) as u64;
            Ok(summary)
        };
        let writer = thread::Builder::new().spawn(write)?;
        let (waits, waited) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        Ok(Tracer { line: Line { full, empty, waits, waited }, writer })
    }

    pub(crate) fn line(&self) -> Line {
        self.line.clone()
    }

    /// Writes what is left and ends the trace. To be called after the run.
    ///
    /// # Errors
    /// The first error of the writer, after which nothing more was written.
    pub fn finish(self) -> io::Result<Summary> {
        // Fails only if the thread is gone; joining tells why.
        let _ = self.line.full.send(Message::End);
        let written = self.writer.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        // Relaxed: counts, and all workers have ended.
        let waited = Duration::from_nanos(self.line.waited.load(Ordering::Relaxed));
        Ok(Summary { waits: self.line.waits.load(Ordering::Relaxed), waited, ..written })
    }
}

fn write_block(out: &mut impl Write, worker: u32, updates: u32, bytes: &[u8]) -> io::Result<()> {
    let mut head = [0; BLOCK_HEADER];
    let fields = [worker, updates, bytes.len() as u32, hash(worker, updates, bytes)];
    for (place, field) in head.chunks_exact_mut(4).zip(fields) {
        place.copy_from_slice(&field.to_le_bytes());
    }
    out.write_all(&head)?;
    out.write_all(bytes)
}

impl Line {
    /// Tells of what run the trace is, before its workers begin.
    pub(crate) fn begin(&self, run: TracedRun) {
        // Fails only if the writer has ended; finishing tells why.
        let _ = self.full.send(Message::Run(run));
    }

    /// The side of worker `worker`.
    pub(crate) fn worker(&self, worker: usize) -> Tracing {
        let worker = worker as u32;
        Tracing {
            line: self.clone(),
            worker,
            buffer: Vec::with_capacity(BUFFER),
            updates: 0,
            last: Traced::first(worker),
        }
    }
}

impl Tracing {
    /// Adds an update. Waits where the writer is too far behind.
    #[inline]
    pub(crate) fn push(&mut self, iteration: u64, delay: u64, weight: f64) {
        let update = Traced { iteration, delay, worker: self.worker, weight: weight as f32 };
        encode(&mut self.buffer, self.last, update);
        self.last = update;
        self.updates += 1;
        if self.buffer.len() > BUFFER - 32 {
            self.hand_over();
        }
    }

    #[cold]
    fn hand_over(&mut self) {
        let spare = self.line.empty.try_recv().unwrap_or_else(|_| Vec::with_capacity(BUFFER));
        let bytes = std::mem::replace(&mut self.buffer, spare);
        let block = Message::Block { worker: self.worker, updates: self.updates, bytes };
        self.updates = 0;
        self.last = Traced::first(self.worker);
        if let Err(full) = self.line.full.try_send(block) {
            let start = Instant::now();
            // Fails only if the writer has ended, which it does after the run.
            let _ = self.line.full.send(full.into_inner());
            // Relaxed: counts.
            self.line.waits.fetch_add(1, Ordering::Relaxed);
            self.line.waited.fetch_add(start.elapsed().as_nanos() as u64, Ordering::Relaxed);
        }
    }
}

impl Drop for Tracing {
    fn drop(&mut self) {
        if self.updates > 0 {
            self.hand_over();
        }
    }
}

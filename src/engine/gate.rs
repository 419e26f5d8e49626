//! Where workers get their work, wait between epochs, and learn that the run is over.
//!
//! Work is handed out in chunks of examples, numbered through the run: chunk c belongs to epoch c / per_epoch.
//! A worker takes the next number from a shared counter, once a chunk, so that fast workers do more of them.
//! The monitor releases the chunks of one epoch at a time; a worker whose number is not yet released waits.
//! When all wait, nobody writes: the monitor evaluates, then releases the next epoch.

use crate::sync::{
    Arc, AtomicBool, AtomicU64, AtomicUsize, CachePadded, Condvar, Mutex, MutexGuard, Ordering, thread,
};
use std::time::{Duration, Instant};

pub(super) struct Gate {
    /// The next chunk to hand out.
    next: CachePadded<AtomicU64>,
    /// Chunks below this may run. Written once an epoch, read once a chunk.
    released: CachePadded<AtomicU64>,
    stop: Arc<AtomicBool>,
    /// The start line: workers that have reached it since the run began, …
    ready: AtomicUsize,
    /// … how many must have reached it before any starts, and when the last one did.
    expected: AtomicUsize,
    state: Mutex<State>,
    to_workers: Condvar,
    to_monitor: Condvar,
}

struct State {
    /// Workers that have not left.
    live: usize,
    /// Workers waiting for their chunk's release.
    waiting: usize,
    started: Option<Instant>,
    ended: Option<Instant>,
}

/// What the monitor finds when it stops waiting.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Rest {
    /// All workers wait (or have left); the time from the start line to the last arrival.
    All(Duration),
    /// The time to wait is over and some still work.
    Working,
}

impl Gate {
    pub(super) fn new(workers: usize) -> Self {
        Self {
            next: CachePadded::new(AtomicU64::new(0)),
            released: CachePadded::new(AtomicU64::new(0)),
            stop: Arc::new(AtomicBool::new(false)),
            ready: AtomicUsize::new(0),
            expected: AtomicUsize::new(0),
            state: Mutex::new(State { live: workers, waiting: 0, started: None, ended: None }),
            to_workers: Condvar::new(),
            to_monitor: Condvar::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code that can panic runs under this lock.
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// The next chunk for a worker, once it is released; `None` when the run is over.
    #[inline]
    pub(super) fn take(&self) -> Option<u64> {
        // Relaxed: a stop may be seen a chunk late.
        if self.stop.load(Ordering::Relaxed) {
            return None;
        }
        // Relaxed: the number alone is shared; what it stands for is fixed within an epoch.
        let chunk = self.next.fetch_add(1, Ordering::Relaxed);
        // Acquire: sees the order of chunks that the monitor laid down before it released them.
        if chunk < self.released.load(Ordering::Acquire) { Some(chunk) } else { self.wait(chunk) }
    }

    #[cold]
    fn wait(&self, chunk: u64) -> Option<u64> {
        let mut state = self.lock();
        state.waiting += 1;
        self.tell_monitor(&mut state);
        // Relaxed, twice: written under the lock that is held here.
        while !self.stop.load(Ordering::Relaxed) && chunk >= self.released.load(Ordering::Relaxed) {
            state = self.to_workers.wait(state).unwrap_or_else(|poisoned| poisoned.into_inner());
        }
        state.waiting -= 1;
        drop(state);
        if self.stop.load(Ordering::Relaxed) {
            return None;
        }
        self.line_up();
        Some(chunk)
    }

    /// Waits until all released workers are awake: waking threads is not training time, and a worker that
    /// starts before the others would count delays of an emptier run.
    fn line_up(&self) {
        // AcqRel: the last one's start time is written after all have arrived.
        let ready = self.ready.fetch_add(1, Ordering::AcqRel) + 1;
        if ready == self.expected.load(Ordering::Acquire) {
            self.lock().started = Some(Instant::now());
            // One more than expected opens the line.
            self.ready.fetch_add(1, Ordering::Release);
        }
        let mut spins = 0u32;
        while self.ready.load(Ordering::Acquire) <= self.expected.load(Ordering::Acquire)
            && !self.stop.load(Ordering::Relaxed)
        {
            spins += 1;
            if spins < 200 { std::hint::spin_loop() } else { thread::yield_now() }
        }
    }

    /// A worker's last word.
    pub(super) fn leave(&self) {
        let mut state = self.lock();
        state.live -= 1;
        self.tell_monitor(&mut state);
    }

    fn tell_monitor(&self, state: &mut State) {
        if state.waiting == state.live {
            state.ended = Some(Instant::now());
            self.to_monitor.notify_one();
        }
    }

    /// Lets `chunks` more run. Only while all workers wait.
    pub(super) fn release(&self, chunks: u64) {
        let mut state = self.lock();
        let resumed = state.live.min(chunks as usize);
        state.started = None;
        state.ended = None;
        self.ready.store(0, Ordering::Relaxed);
        self.expected.store(resumed, Ordering::Release);
        // Release: the order of the chunks was laid down before.
        self.released.fetch_add(chunks, Ordering::Release);
        drop(state);
        self.to_workers.notify_all();
    }

    /// Ends the run: each worker leaves at its next chunk.
    pub(super) fn stop(&self) {
        // Under the lock, so that no worker goes to sleep between its check and this store.
        let _state = self.lock();
        self.stop.store(true, Ordering::Relaxed);
        self.to_workers.notify_all();
    }

    /// What becomes true when the run is to end.
    pub(super) fn halt(&self) -> &Arc<AtomicBool> {
        &self.stop
    }

    /// Waits until all workers wait or have left, but no longer than `patience`.
    pub(super) fn rest(&self, patience: Duration) -> Rest {
        let deadline = Instant::now() + patience;
        let mut state = self.lock();
        loop {
            // A worker that was just released counts as waiting until it wakes.
            let resting = state.waiting == state.live && (state.ended.is_some() || state.live == 0);
            if resting {
                let time = match (state.started, state.ended) {
                    (Some(from), Some(to)) => to.saturating_duration_since(from),
                    _ => Duration::ZERO,
                };
                return Rest::All(time);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Rest::Working;
            }
            let woken = self.to_monitor.wait_timeout(state, left);
            state = woken.unwrap_or_else(|poisoned| poisoned.into_inner()).0;
        }
    }

    /// How long the workers have been at work since the last release.
    pub(super) fn working(&self) -> Duration {
        let state = self.lock();
        state.started.map_or(Duration::ZERO, |started| started.elapsed())
    }

    /// Chunks handed out so far, at most those released.
    pub(super) fn taken(&self) -> u64 {
        // Relaxed: for a progress bar.
        self.next.load(Ordering::Relaxed).min(self.released.load(Ordering::Relaxed))
    }
}

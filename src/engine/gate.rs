//! Where workers get their work, wait between epochs, and learn that the run is over.
//!
//! The monitor releases the chunks of one epoch at a time, numbered from 0. A worker takes the next number from a
//! shared counter, once a chunk, so that fast workers do more of them; when the numbers are used up it waits.
//! When all wait, nobody writes: the monitor evaluates, then releases the next epoch.
//!
//! Between two chunks workers can be held: those that hold the gate find parameters that no update has reached in
//! part, and every chunk whose number was handed out done.

use crate::sync::{
    Arc, AtomicBool, AtomicU64, AtomicUsize, CachePadded, Condvar, Mutex, MutexGuard, Ordering, bounded,
    thread,
};
use std::ops::Range;
use std::time::{Duration, Instant};

pub(super) struct Gate {
    /// The next chunk to hand out.
    next: CachePadded<AtomicU64>,
    /// The chunks of this epoch. Written once an epoch, read once a chunk.
    released: CachePadded<AtomicU64>,
    stop: Arc<AtomicBool>,
    /// Whether workers are to wait before they take a chunk. Read once a chunk, like `released`.
    held: AtomicBool,
    /// Taken by whoever holds the workers, and to release an epoch.
    quiet: Mutex<()>,
    /// The start line: workers that have reached it in this epoch.
    ready: AtomicUsize,
    workers: usize,
    state: Mutex<State>,
    to_workers: Condvar,
    to_monitor: Condvar,
    to_holder: Condvar,
}

#[derive(Default)]
struct State {
    /// Workers that have not left.
    live: usize,
    /// Workers that wait for the next epoch.
    waiting: usize,
    /// Workers that wait because they are held.
    holding: usize,
    /// What the last of them does before all go on.
    job: Option<Box<dyn FnOnce() + Send>>,
    /// Whether one has left because it panicked, in the middle of its chunk.
    broken: bool,
    /// How many epochs have been released.
    epoch: u64,
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
        let state = State { live: workers, ..State::default() };
        Self {
            next: CachePadded::new(AtomicU64::new(0)),
            released: CachePadded::new(AtomicU64::new(0)),
            stop: Arc::new(AtomicBool::new(false)),
            held: AtomicBool::new(false),
            quiet: Mutex::new(()),
            ready: AtomicUsize::new(0),
            workers,
            state: Mutex::new(state),
            to_workers: Condvar::new(),
            to_monitor: Condvar::new(),
            to_holder: Condvar::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code that can panic runs under this lock, but what is to be done while all workers wait does (`settle`): who
        // stops them or looks after them waits for a copy of the parameters then.
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// The next chunk for a worker, once there is one; `None` when the run is over. A worker that had to wait
    /// calls `begin` when it has its chunk and before any worker starts, so that all are in flight from the start:
    /// one that the operating system lets run late is a straggler, not an absentee.
    #[inline]
    pub(super) fn take(&self, mut begin: impl FnMut()) -> Option<u64> {
        // Relaxed: may be seen a chunk late. Before the number is drawn: each number drawn below `released` is done.
        if self.held.load(Ordering::Relaxed) {
            self.pause();
        }
        let mut waited = false;
        loop {
            if self.stop.load(Ordering::Relaxed) {
                return None;
            }
            // Relaxed: the number alone is shared; what it stands for is fixed within an epoch.
            let chunk = self.next.fetch_add(1, Ordering::Relaxed);
            if waited {
                begin();
                self.line_up();
            }
            // Acquire: sees the course that the monitor laid down before it released it.
            if chunk < self.released.load(Ordering::Acquire) {
                return Some(chunk);
            }
            self.wait();
            waited = true;
        }
    }

    /// Until the next epoch is released, or the run is over.
    #[cold]
    fn wait(&self) {
        let mut state = self.lock();
        let epoch = state.epoch;
        state.waiting += 1;
        self.tell(&mut state);
        // Relaxed: written under the lock that is held here.
        while !self.stop.load(Ordering::Relaxed) && state.epoch == epoch {
            state = self.to_workers.wait(state).unwrap_or_else(|poisoned| poisoned.into_inner());
        }
        if state.epoch == epoch {
            // It leaves, and is not to be taken for one of those that still work.
            state.waiting -= 1;
        }
    }

    /// Until nobody holds the workers any more, or the run is over.
    #[cold]
    fn pause(&self) {
        let mut state = self.lock();
        state.holding += 1;
        self.tell(&mut state);
        // Relaxed: both are written under the lock that is held here.
        while self.held.load(Ordering::Relaxed) && !self.stop.load(Ordering::Relaxed) {
            state = self.to_workers.wait(state).unwrap_or_else(|poisoned| poisoned.into_inner());
        }
        state.holding -= 1;
        if state.holding == 0 {
            self.to_holder.notify_one();
        }
    }

    /// Holds the workers at their next chunk: returns when all wait (or have left), and lets them go on when the guard
    /// is dropped. Takes as long as the slowest worker's chunk, and until others let go.
    pub(super) fn hold(&self) -> Hold<'_> {
        let quiet = self.quiet.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let mut state = self.call();
        while state.waiting + state.holding < state.live {
            state = self.to_holder.wait(state).unwrap_or_else(|poisoned| poisoned.into_inner());
        }
        Hold { gate: self, _quiet: quiet }
    }

    /// Has `job` done while all workers wait at their next chunk, or have left: by the last that comes there, so that
    /// nobody waits for another thread to be scheduled. It is not to panic.
    pub(super) fn quietly<R: Send + 'static>(&self, job: impl FnOnce() -> R + Send + 'static) -> R {
        let _quiet = self.quiet.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let (done, outcome) = bounded(1);
        let mut state = self.call();
        let wake = Wake(thread::current());
        state.job = Some(Box::new(move || {
            // The second is dropped first, also where the job unwinds.
            let _wake = wake;
            let done = done;
            let _ = done.send(job());
        }));
        // They may wait already.
        self.settle(&mut state);
        drop(state);
        loop {
            match outcome.try_recv() {
                Ok(outcome) => return outcome,
                Err(e) => assert!(e.is_empty(), "a job is done before it is dropped"),
            }
            // Asleep at once: the channel's own wait yields first, and a thread that yields is woken behind the workers
            // (a snapshot of a million parameters takes 3.5 ms then, not 1.5).
            thread::park();
        }
    }

    /// Has the workers wait at their next chunk.
    fn call(&self) -> MutexGuard<'_, State> {
        let mut state = self.lock();
        // Those that were held before go on first: all do a chunk between two holds.
        while state.holding > 0 {
            state = self.to_holder.wait(state).unwrap_or_else(|poisoned| poisoned.into_inner());
        }
        // Relaxed: the lock publishes what the workers have done.
        self.held.store(true, Ordering::Relaxed);
        state
    }

    /// Lets those that are held go on.
    fn let_go(&self) {
        // Relaxed: under the lock.
        self.held.store(false, Ordering::Relaxed);
        self.to_workers.notify_all();
    }

    /// Waits until all workers are awake: waking threads is not training time, and a worker that starts before
    /// the others would count delays of an emptier run.
    fn line_up(&self) {
        // AcqRel: the start time is written after all have arrived.
        if self.ready.fetch_add(1, Ordering::AcqRel) + 1 == self.workers {
            self.lock().started = Some(Instant::now());
            // Release: one more than the workers opens the line, and who sees it open sees the start time.
            self.ready.fetch_add(1, Ordering::Release);
        }
        let mut spins = 0u32;
        // Acquire: pairs with the opening. Relaxed: a stop need not be seen at once.
        while self.ready.load(Ordering::Acquire) <= self.workers && !self.stop.load(Ordering::Relaxed) {
            spins += 1;
            if spins < 200 { std::hint::spin_loop() } else { thread::yield_now() }
        }
    }

    /// A worker's last word: the run is over, or is to be over because the worker panics. The others would wait
    /// for it at the start line.
    pub(super) fn leave(&self) {
        self.stop();
        let mut state = self.lock();
        state.broken |= thread::panicking();
        state.live -= 1;
        self.tell(&mut state);
    }

    fn tell(&self, state: &mut State) {
        if state.waiting >= state.live {
            state.ended.get_or_insert_with(Instant::now);
            self.to_monitor.notify_one();
        }
        self.settle(state);
    }

    /// Does what is to be done when all are held or wait, if they are.
    fn settle(&self, state: &mut State) {
        if state.waiting + state.holding >= state.live {
            match state.job.take() {
                Some(job) => {
                    job();
                    self.let_go();
                }
                None => self.to_holder.notify_one(),
            }
        }
    }

    /// Releases an epoch: the chunks of this range. Only while all workers wait.
    pub(super) fn release(&self, chunks: Range<u64>) {
        let _quiet = self.quiet.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let mut state = self.lock();
        state.started = None;
        state.ended = None;
        state.waiting = 0;
        state.epoch += 1;
        // Relaxed: before the release below, and no worker looks at it before it sees that.
        self.ready.store(0, Ordering::Relaxed);
        self.next.store(chunks.start, Ordering::Relaxed);
        // Release: the course was laid down before.
        self.released.store(chunks.end, Ordering::Release);
        drop(state);
        self.to_workers.notify_all();
    }

    /// Whether a worker has panicked: a chunk was handed out and is not done.
    pub(super) fn is_broken(&self) -> bool {
        self.lock().broken
    }

    /// Ends the epoch here: chunks that were not handed out are left. Only while the workers are held.
    pub(super) fn curtail(&self) {
        // Relaxed: the lock that lets the workers go on publishes it.
        let taken = self.next.load(Ordering::Relaxed);
        self.released.fetch_min(taken, Ordering::Relaxed);
    }

    /// Forgets the epoch that has ended. Only while all workers wait.
    pub(super) fn close(&self) {
        // Relaxed: nobody takes a chunk before the next release.
        self.released.store(0, Ordering::Relaxed);
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
            if state.waiting >= state.live {
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

    /// Chunks of this epoch handed out so far.
    pub(super) fn taken(&self) -> u64 {
        // Acquire: whoever sees chunks of an epoch sees how it was laid. Exact while all wait.
        self.next.load(Ordering::Acquire).min(self.released.load(Ordering::Acquire))
    }
}

/// Wakes a thread when it is dropped.
struct Wake(thread::Thread);

impl Drop for Wake {
    fn drop(&mut self) {
        self.0.unpark();
    }
}

/// Workers are held as long as this lives.
pub(super) struct Hold<'a> {
    gate: &'a Gate,
    _quiet: MutexGuard<'a, ()>,
}

impl Drop for Hold<'_> {
    fn drop(&mut self) {
        let _state = self.gate.lock();
        self.gate.let_go();
    }
}

#[cfg(all(test, not(loom)))]
mod tests;

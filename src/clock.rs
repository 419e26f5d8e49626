//! The global iteration counter, and *the* definition of delay.
//!
//! An **iteration** is one published update. Two counters tell how far the run is: `started` counts updates
//! whose writing has begun, `done` those whose writing has ended. A worker
//!
//! 1. reads s = `done` before its first parameter load ([`Clock::begin`]),
//! 2. computes its gradient,
//! 3. takes its iteration number k = `started`++ before its first store ([`Clock::commit`]),
//! 4. writes, and
//! 5. counts `done`++ after its last store ([`Clock::finish`]).
//!
//! Its **delay** is τ = k − s: how many other updates were begun, and not yet known to be complete when it
//! read. τ counts everything that the read may have missed, so it errs to the safe side for a step that
//! shrinks with the delay; and it is known before the write. With n workers that are always busy its mean is
//! n − 1, whatever their speeds: each update is in flight for τ + 1 iterations, and n are in flight at any
//! time (Koloskova, Stich and Jaggi 2022, Remark 5). [`mean_delay`] is the exact form.
//!
//! Updates can be **held** before they write ([`Hogwild::snapshot`](crate::Hogwild::snapshot)): whoever holds them finds
//! the parameters after whole updates. Whether they are stands in `started` itself, above the count, so that the increment
//! tells each update whether it was begun before, and nothing is added to an update's way.
//!
//! `done` is incremented with release and read with acquire: whoever reads s sees every store of the
//! updates that s counts. `tests/loom.rs` checks this, and that no increment is lost.

use crate::sync::{AtomicU64, CachePadded, Condvar, Mutex, MutexGuard, Ordering, thread};

/// In `started`, the number of holds begun and ended, of which two bits are left: while it is odd, updates are held. One
/// that was held sees by the other bit whether that is the next hold, which waits for it.
const PHASE: u64 = 1 << 62;

/// … and below it the count.
const COUNT: u64 = PHASE - 1;

/// The two counters, each on a cache line of its own.
pub struct Clock {
    started: CachePadded<AtomicU64>,
    done: CachePadded<AtomicU64>,
    /// Only one worker ever commits.
    alone: bool,
    /// Taken by whoever holds updates.
    turn: Mutex<()>,
    /// Where held updates wait.
    held: Mutex<()>,
    released: Condvar,
}

/// Updates are held as long as this lives.
pub(crate) struct Hold<'a> {
    clock: &'a Clock,
    _turn: MutexGuard<'a, ()>,
    /// Updates that are complete.
    pub iterations: u64,
}

/// What a worker holds between its read and its write: the updates completed when it read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "a ticket is taken to be committed"]
pub struct Ticket {
    completed: u64,
}

/// An update's place in the run: its iteration number and its delay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "a committed update is counted as in flight until it is finished"]
pub struct Commit {
    /// k, from 0: how many updates were begun before this one.
    pub iteration: u64,
    /// τ = k − s.
    pub delay: u64,
}

impl Ticket {
    /// s: the updates completed when it was taken.
    pub(crate) fn completed(self) -> u64 {
        self.completed
    }
}

impl Clock {
    /// A clock at iteration 0.
    pub fn new() -> Self {
        let zero = || CachePadded::new(AtomicU64::new(0));
        let [turn, held] = [(); 2].map(Mutex::new);
        Self { started: zero(), done: zero(), alone: false, turn, held, released: Condvar::new() }
    }

    /// A clock at iteration 0 for one worker, which counts by plain additions. Two locked ones an update, each of which
    /// waits for the parameters' stores before it, would take an eighth of the time of a row of 80 nonzeros.
    pub(crate) fn for_one() -> Self {
        Self { alone: true, ..Self::new() }
    }

    #[inline]
    fn increment(&self, counter: &AtomicU64) -> u64 {
        if self.alone {
            // Relaxed: nobody else writes it. Release: as below.
            let before = counter.load(Ordering::Relaxed);
            counter.store(before + 1, Ordering::Release);
            return before;
        }
        // AcqRel: `commit` and `finish` say what each half is for.
        counter.fetch_add(1, Ordering::AcqRel)
    }

    /// Before the first parameter is read.
    #[inline]
    pub fn begin(&self) -> Ticket {
        // Acquire: sees every store of the updates that it counts.
        Ticket { completed: self.done.load(Ordering::Acquire) }
    }

    /// After the gradient, before the first store.
    #[inline]
    pub fn commit(&self, ticket: Ticket) -> Commit {
        // Its increment is AcqRel: stores that follow cannot be seen by a worker that does not see this increment.
        let started = self.increment(&self.started);
        if started & PHASE != 0 {
            self.wait(started & !COUNT);
        }
        let iteration = started & COUNT;
        // Nothing is completed before it is begun, but in another clock at the place of one that is gone.
        Commit { iteration, delay: iteration.saturating_sub(ticket.completed) }
    }

    /// Until this hold is over.
    #[cold]
    fn wait(&self, phase: u64) {
        let mut held = self.held.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        // Acquire: what is stored from here on is not seen by whoever held.
        while self.started.load(Ordering::Acquire) & !COUNT == phase {
            held = self.released.wait(held).unwrap_or_else(|poisoned| poisoned.into_inner());
        }
    }

    /// Holds the updates that have not begun to write until the guard is dropped, and waits for those that have. Whoever
    /// holds them sees every store of the updates that are complete and of no other. Not for a clock [for
    /// one](Self::for_one), and not during an update of one's own.
    pub(crate) fn hold(&self) -> Hold<'_> {
        debug_assert!(!self.alone, "a plain store of the count would lose the phase");
        let turn = self.turn.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        // Relaxed: the count alone matters, and each update has its place before it or after it.
        let iterations = self.started.fetch_add(PHASE, Ordering::Relaxed) & COUNT;
        let mut spins = 0u32;
        // Acquire: sees the stores of all that were begun before, and no more can be complete.
        while self.done.load(Ordering::Acquire) < iterations {
            spins += 1;
            if spins < 200 && cfg!(not(loom)) { std::hint::spin_loop() } else { thread::yield_now() }
        }
        Hold { clock: self, _turn: turn, iterations }
    }

    /// The delay that the update would have if it committed now, without counting it. For rules that
    /// ignore late gradients altogether.
    #[inline]
    pub fn delay_now(&self, ticket: Ticket) -> u64 {
        // Relaxed: only a forecast. The counter can be behind what `begin` has acquired from `done`.
        self.begun().saturating_sub(ticket.completed)
    }

    /// Updates begun.
    #[inline]
    pub(crate) fn begun(&self) -> u64 {
        // Relaxed: a count to compare with; nothing is read because of it.
        self.started.load(Ordering::Relaxed) & COUNT
    }

    /// After the last store. Returns a ticket for a worker that goes straight on: it is taken in the same instant
    /// in which this update completes, so that a worker which is interrupted between its updates is never out of
    /// the count.
    #[inline]
    pub fn finish(&self, commit: Commit) -> Ticket {
        let Commit { .. } = commit;
        // Its increment releases: whoever counts this update sees its stores. It acquires, as in `begin`, for the ticket.
        Ticket { completed: self.increment(&self.done) + 1 }
    }

    /// Counts so many updates that the only worker has made, one after the other, since it took its ticket. Returns the
    /// ticket for its next one.
    #[inline]
    pub(crate) fn pass(&self, updates: u64) -> Ticket {
        debug_assert!(self.alone, "updates of several workers have an order");
        // Relaxed: nobody else writes them. Release: as in `finish`.
        let completed = self.done.load(Ordering::Relaxed) + updates;
        self.started.store(completed, Ordering::Relaxed);
        self.done.store(completed, Ordering::Release);
        Ticket { completed }
    }

    /// Whether only one worker ever commits.
    pub(crate) fn is_for_one(&self) -> bool {
        self.alone
    }

    /// Sets both counters, to go on from an earlier run. Only while no update is under way.
    pub(crate) fn set(&self, iterations: u64) {
        // Relaxed: workers that start later see it by that.
        self.started.store(iterations, Ordering::Relaxed);
        self.done.store(iterations, Ordering::Relaxed);
    }

    /// Completed updates.
    #[inline]
    pub fn iterations(&self) -> u64 {
        // Acquire, as in `begin`: a reader of parameters sees what it counts.
        self.done.load(Ordering::Acquire)
    }
}

impl Drop for Hold<'_> {
    fn drop(&mut self) {
        // Under the lock, so that no update goes to sleep between its look and this addition.
        let _held = self.clock.held.lock();
        // Release: what was read while updates were held was read before they store.
        self.clock.started.fetch_add(PHASE, Ordering::Release);
        self.clock.released.notify_all();
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}

/// The exact mean delay of `updates` updates by `workers` always-busy workers, when all start together
/// `phases` times (a run is interrupted for every evaluation) and all end together:
/// n − 1 − phases·n(n − 1)/(2·updates).
///
/// Within a phase of T updates the iteration numbers sum to T(T − 1)/2; n reads see 0 completed updates and
/// the others, each directly after a completion, see 1, …, T − n. The difference is (n − 1)T − n(n − 1)/2. A worker
/// whose last update is not among the last n, since the system interrupted it right after, misses those that follow:
/// [`Run::expected_mean_delay`](crate::Run::expected_mean_delay) counts from each worker's last.
pub fn mean_delay(workers: usize, updates: u64, phases: u64) -> f64 {
    let n = workers as f64;
    if updates == 0 {
        return 0.0;
    }
    (n - 1.0) * (1.0 - n * phases as f64 / (2.0 * updates as f64)).max(0.0)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn delay_counts_what_began_since_the_read() {
        let clock = Clock::new();
        let (a, b) = (clock.begin(), clock.begin());
        let a = clock.commit(a);
        assert_eq!(a, Commit { iteration: 0, delay: 0 });
        let c = clock.begin();
        assert_eq!(clock.finish(a), Ticket { completed: 1 });
        let b = clock.commit(b);
        assert_eq!(b, Commit { iteration: 1, delay: 1 });
        assert_eq!(clock.delay_now(c), 2);
        assert_eq!(clock.commit(c), Commit { iteration: 2, delay: 2 });
        assert_eq!(clock.finish(b), Ticket { completed: 2 });
        assert_eq!(clock.iterations(), 2);
    }

    /// Round robin: n workers read together, then each writes and reads again in turn.
    #[test]
    fn mean_delay_is_exact_for_any_order() {
        for n in [1usize, 2, 5] {
            let (updates, phases) = (40 * n, 3u64);
            let (clock, mut sum) = (Clock::new(), 0);
            for _ in 0..phases {
                let mut tickets = vec![clock.begin(); n];
                for turn in 0..updates {
                    // Worker 0 is twice as fast as the others.
                    let w = if turn % 2 == 0 { 0 } else { turn / 2 % n };
                    if turn + n >= updates {
                        break;
                    }
                    let commit = clock.commit(tickets[w]);
                    sum += commit.delay;
                    tickets[w] = clock.finish(commit);
                }
                for ticket in tickets {
                    let commit = clock.commit(ticket);
                    sum += commit.delay;
                    let _ = clock.finish(commit);
                }
            }
            let total = clock.iterations();
            assert_eq!(sum as f64 / total as f64, mean_delay(n, total, phases), "n = {n}");
        }
    }
}

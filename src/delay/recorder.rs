//! A worker's recorder, and the handle that reads it meanwhile.

use super::Profile;
use super::buckets::{BUCKETS, LARGEST, index};
use crate::sync::{Arc, AtomicF64, AtomicU64, CachePadded, Ordering};

/// How often a snapshot is taken again when the worker was much faster than the reader.
const ATTEMPTS: usize = 4;

/// Records the delays of one worker: a few nanoseconds each, without locked instructions, allocation or
/// waiting.
///
/// Values above [`LARGEST`] are counted as that, and counted as saturated. The buckets (66 kB) are
/// allocated here, so make it on the worker's own thread where memory has a place.
#[derive(Debug)]
pub struct Recorder {
    cells: Arc<Cells>,
    // The writer's own copies of what it publishes, so that it loads nothing but the bucket.
    count: u64,
    sum: u64,
    max: u64,
    kept: f64,
}

/// Reads a [`Recorder`] from any thread while its worker writes.
#[derive(Debug, Clone)]
pub struct Reader {
    cells: Arc<Cells>,
}

#[derive(Debug)]
struct Cells {
    totals: CachePadded<Totals>,
    buckets: Box<[AtomicU64]>,
}

#[derive(Debug)]
struct Totals {
    count: AtomicU64,
    sum: AtomicU64,
    max: AtomicU64,
    kept: AtomicF64,
    saturated: AtomicU64,
}

impl Default for Recorder {
    fn default() -> Self {
        Self::new()
    }
}

impl Recorder {
    /// A recorder with nothing in it.
    pub fn new() -> Self {
        let totals = Totals {
            count: AtomicU64::new(0),
            sum: AtomicU64::new(0),
            max: AtomicU64::new(0),
            kept: AtomicF64::new(0.0),
            saturated: AtomicU64::new(0),
        };
        let buckets = (0..BUCKETS).map(|_| AtomicU64::new(0)).collect();
        let cells = Arc::new(Cells { totals: CachePadded::new(totals), buckets });
        Recorder { cells, count: 0, sum: 0, max: 0, kept: 0.0 }
    }

    /// Goes on from what was recorded in an earlier run. Before anything else is recorded.
    pub(crate) fn resume(&mut self, earlier: &Profile) {
        let Cells { totals, buckets } = &*self.cells;
        // Relaxed: published by the Release store of the count below.
        for (bucket, &count) in buckets.iter().zip(earlier.counts()) {
            bucket.store(count, Ordering::Relaxed);
        }
        (self.count, self.sum) = (earlier.count(), earlier.sum());
        (self.max, self.kept) = (earlier.max(), earlier.kept());
        totals.sum.store(self.sum, Ordering::Relaxed);
        totals.max.store(self.max, Ordering::Relaxed);
        totals.kept.store(self.kept, Ordering::Relaxed);
        totals.saturated.store(earlier.saturated(), Ordering::Relaxed);
        // Release: as in `record`.
        totals.count.store(self.count, Ordering::Release);
    }

    /// A handle for readers.
    pub fn reader(&self) -> Reader {
        Reader { cells: Arc::clone(&self.cells) }
    }

    /// Records an update of this delay whose step was multiplied by `weight`.
    #[inline]
    pub fn record(&mut self, delay: u64, weight: f64) {
        self.record_many(1, delay, weight);
    }

    /// Records so many updates, all of this delay and weight.
    #[inline]
    pub(crate) fn record_many(&mut self, updates: u64, delay: u64, weight: f64) {
        let Cells { totals, buckets } = &*self.cells;
        if delay > LARGEST {
            saturated(totals, updates);
        }
        let delay = delay.min(LARGEST);
        // Relaxed: published by the Release stores below.
        self.sum = self.sum.saturating_add(delay.saturating_mul(updates));
        totals.sum.store(self.sum, Ordering::Relaxed);
        self.kept += weight * updates as f64;
        totals.kept.store(self.kept, Ordering::Relaxed);
        if delay > self.max {
            self.max = delay;
            totals.max.store(delay, Ordering::Relaxed);
        }
        // Load and store, as this is the only writer. Release: who sees the count sees the totals that
        // belong to it.
        let bucket = &buckets[index(delay)];
        bucket.store(bucket.load(Ordering::Relaxed) + updates, Ordering::Release);
        self.count += updates;
        totals.count.store(self.count, Ordering::Release);
    }

    /// How many delays were recorded.
    pub fn count(&self) -> u64 {
        self.count
    }
}

#[cold]
fn saturated(totals: &Totals, updates: u64) {
    // Relaxed load and store: one writer; published with the bucket.
    totals.saturated.store(totals.saturated.load(Ordering::Relaxed) + updates, Ordering::Relaxed);
}

impl Reader {
    /// How many delays have been recorded so far; cheap. A snapshot taken later counts at least these.
    pub fn count(&self) -> u64 {
        // Acquire: pairs with the store in `record`, so that the buckets read later hold these records.
        self.cells.totals.count.load(Ordering::Acquire)
    }

    /// What was recorded so far, while the worker goes on recording.
    ///
    /// Its count is the sum of its buckets. It holds every record that happened before, and snapshots taken
    /// one after the other never decrease. The sum, kept mass and saturated count hold those same records
    /// and perhaps some made while the buckets were read; when they are many (above 1/256) all is read
    /// again, a few times. When the worker rests all agree exactly. Cost: a load for each bucket up to the
    /// largest delay, 8,448 at most.
    pub fn snapshot(&self) -> Profile {
        let mut profile = self.read();
        for _ in 1..ATTEMPTS {
            if self.count().saturating_sub(profile.count()) <= profile.count() / 256 {
                break;
            }
            profile = self.read();
        }
        profile
    }

    fn read(&self) -> Profile {
        let Cells { totals, buckets } = &*self.cells;
        // Before the maximum: what is counted here has its maximum below.
        self.count();
        let max = totals.max.load(Ordering::Relaxed);
        // Acquire: the totals loaded next include what is counted here.
        let counts = buckets[..=index(max)].iter().map(|bucket| bucket.load(Ordering::Acquire)).collect();
        Profile::from_parts(
            counts,
            totals.sum.load(Ordering::Relaxed),
            max,
            totals.kept.load(Ordering::Relaxed),
            totals.saturated.load(Ordering::Relaxed),
        )
    }
}

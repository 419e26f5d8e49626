//! What was recorded, as plain data.

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use super::Reader;
use super::buckets::{BUCKETS, LARGEST, highest, index, lowest};

/// The significant digits of the HDR histograms that are exported: the fewest whose buckets divide ours.
const DIGITS: u8 = 3;

/// The distribution of a number of delays.
///
/// Quantiles are exact below 512 and at most 1/256 too high above; count, sum, mean, maximum and kept mass
/// are exact.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Profile {
    /// By bucket, up to the last that is not 0.
    counts: Vec<u64>,
    count: u64,
    sum: u64,
    max: u64,
    kept: f64,
    saturated: u64,
}

/// Some values and how often they were recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bucket {
    /// The lowest value.
    pub lowest: u64,
    /// The highest value.
    pub highest: u64,
    /// How many records.
    pub count: u64,
}

impl Profile {
    /// `max` may be too high, when its record is not yet among the counts, but not too low.
    pub(super) fn from_parts(mut counts: Vec<u64>, sum: u64, max: u64, kept: f64, saturated: u64) -> Self {
        while counts.last() == Some(&0) {
            counts.pop();
        }
        let max = counts.len().checked_sub(1).map_or(0, |top| highest(top).min(max));
        Profile { count: counts.iter().sum(), counts, sum, max, kept, saturated }
    }

    /// Whether what was read from a file is a profile.
    pub(crate) fn is_sound(&self) -> bool {
        let counted = self.counts.iter().try_fold(0u64, |sum, &n| sum.checked_add(n));
        self.counts.len() <= BUCKETS && counted == Some(self.count) && self.max <= LARGEST
    }

    /// By bucket, up to the last that is not 0.
    pub(super) fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// The number of records.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The sum of all delays.
    pub fn sum(&self) -> u64 {
        self.sum
    }

    /// The mean delay; 0 without records.
    pub fn mean(&self) -> f64 {
        if self.count == 0 { 0.0 } else { self.sum as f64 / self.count as f64 }
    }

    /// The largest delay; 0 without records.
    pub fn max(&self) -> u64 {
        self.max
    }

    /// How many delays were above [`LARGEST`], and count as that.
    pub fn saturated(&self) -> u64 {
        self.saturated
    }

    /// Σw, the sum of the weights.
    pub fn kept(&self) -> f64 {
        self.kept
    }

    /// Σw/T, the mean weight: the share of the step mass that the rule kept; 1 without records.
    pub fn kept_mass(&self) -> f64 {
        if self.count == 0 { 1.0 } else { self.kept / self.count as f64 }
    }

    /// The smallest recorded delay that at least the share `q` of all delays do not exceed, as the highest
    /// value of its bucket; 0 without records. `q` is taken into \[0, 1\]; 0 gives the minimum.
    pub fn quantile(&self, q: f64) -> u64 {
        self.quantile_and_rank(q).0
    }

    /// The quantile, and how many delays do not exceed it.
    pub(super) fn quantile_and_rank(&self, q: f64) -> (u64, u64) {
        // Rounding must not push q·n over a whole number: 0.55·100 is 55, not 55.00000000000001.
        let rank = ((q.clamp(0.0, 1.0).next_down() * self.count as f64).ceil() as u64).max(1);
        let mut up_to = 0;
        for (i, n) in self.counts.iter().enumerate() {
            up_to += n;
            if up_to >= rank {
                return (highest(i).min(self.max), up_to);
            }
        }
        (self.max, self.count)
    }

    /// The quantile weighted by time: of the gradients in flight at a moment chosen at random, the delay that
    /// at least the share `q` do not exceed; 0 without records.
    ///
    /// An update counts τ + 1 times, once for each iteration that it was in flight. Per update, a worker that the
    /// system has held back for a second shows as one large delay among millions of small ones (coordinated
    /// omission); weighted by time it shows as the share of the time that it was held back.
    pub fn time_quantile(&self, q: f64) -> u64 {
        // By whole buckets, each value at the middle: exact below 512.
        let weight =
            |i: usize, n: u64| n as f64 * ((lowest(i) + highest(i).min(self.max)) as f64 / 2.0 + 1.0);
        let total: f64 = self.counts.iter().enumerate().map(|(i, &n)| weight(i, n)).sum();
        let mut up_to = 0.0;
        for (i, &n) in self.counts.iter().enumerate().filter(|(_, n)| **n > 0) {
            up_to += weight(i, n);
            if up_to >= q.clamp(0.0, 1.0) * total {
                return highest(i).min(self.max);
            }
        }
        self.max
    }

    /// The buckets that hold records, from the lowest.
    pub fn buckets(&self) -> impl Iterator<Item = Bucket> {
        let held = self.counts.iter().enumerate().filter(|(_, count)| **count > 0);
        held.map(|(i, &count)| Bucket { lowest: lowest(i), highest: highest(i).min(self.max), count })
    }

    /// Adds the other's records: the same as if all had been recorded here.
    pub fn merge(&mut self, other: &Profile) {
        if self.counts.len() < other.counts.len() {
            self.counts.resize(other.counts.len(), 0);
        }
        for (mine, theirs) in self.counts.iter_mut().zip(&other.counts) {
            *mine += theirs;
        }
        self.count += other.count;
        self.sum = self.sum.saturating_add(other.sum);
        self.max = self.max.max(other.max);
        self.kept += other.kept;
        self.saturated += other.saturated;
    }

    /// The records made since `earlier`, a snapshot of the same recorder; `None` if it is not one.
    ///
    /// The maximum is the highest value of its bucket, or the whole run's maximum if that is lower.
    pub fn since(&self, earlier: &Profile) -> Option<Profile> {
        if earlier.counts.len() > self.counts.len() {
            return None;
        }
        let mut counts = self.counts.clone();
        for (mine, before) in counts.iter_mut().zip(&earlier.counts) {
            *mine = mine.checked_sub(*before)?;
        }
        let sum = self.sum.checked_sub(earlier.sum)?;
        let saturated = self.saturated.checked_sub(earlier.saturated)?;
        Some(Profile::from_parts(counts, sum, self.max, self.kept - earlier.kept, saturated))
    }

    /// As an HDR histogram of three significant digits, where each bucket stands at its highest value, so
    /// that quantiles stay the same (the maximum up to those digits).
    pub fn to_hdr(&self) -> Histogram<u64> {
        let mut histogram = Histogram::new_with_bounds(1, LARGEST, DIGITS).expect("bounds that HDR allows");
        for bucket in self.buckets() {
            histogram.record_n(bucket.highest, bucket.count).expect("values within the bounds");
        }
        histogram
    }

    /// From any HDR histogram, each of whose values stands at the highest that it is equivalent to. It
    /// does not tell weights: the kept mass is 1, and the sum is that of the values so taken.
    pub fn from_hdr(histogram: &Histogram<u64>) -> Self {
        let mut profile = Profile::default();
        for value in histogram.iter_recorded() {
            let (delay, count) = (value.value_iterated_to(), value.count_at_value());
            let bucket = index(delay.min(LARGEST));
            profile.counts.resize(bucket + 1, 0);
            profile.counts[bucket] += count;
            profile.count += count;
            profile.sum = profile.sum.saturating_add(delay.min(LARGEST).saturating_mul(count));
            profile.max = delay.min(LARGEST);
            profile.kept += count as f64;
            profile.saturated += if delay > LARGEST { count } else { 0 };
        }
        profile
    }

    /// With the totals that a bucket does not tell; `None` if they contradict the buckets.
    pub(super) fn with_totals(self, sum: u64, max: u64, kept: f64, saturated: u64) -> Option<Self> {
        let top = self.counts.len().checked_sub(1);
        let agrees = max <= LARGEST
            && top.map_or(max == 0, |top| index(max) == top)
            && sum <= max.saturating_mul(self.count)
            && kept.is_finite()
            && saturated <= self.count;
        agrees.then_some(Profile { sum, max, kept, saturated, ..self })
    }
}

/// The profiles of all workers.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Profiles {
    /// One for each worker, by its number.
    pub workers: Vec<Profile>,
}

impl Profiles {
    /// A snapshot of every reader.
    pub fn read<'a>(readers: impl IntoIterator<Item = &'a Reader>) -> Self {
        Profiles { workers: readers.into_iter().map(Reader::snapshot).collect() }
    }

    /// All workers' records together.
    pub fn overall(&self) -> Profile {
        let mut overall = Profile::default();
        for profile in &self.workers {
            overall.merge(profile);
        }
        overall
    }

    /// The records made since `earlier`; `None` if it does not come from the same recorders.
    pub fn since(&self, earlier: &Profiles) -> Option<Profiles> {
        if self.workers.len() != earlier.workers.len() {
            return None;
        }
        let intervals = self.workers.iter().zip(&earlier.workers).map(|(now, before)| now.since(before));
        Some(Profiles { workers: intervals.collect::<Option<_>>()? })
    }
}

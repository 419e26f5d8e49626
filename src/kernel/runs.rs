//! One constant a parameter that is the same over long runs of neighbours.

use rayon::prelude::*;

/// Neighbours that share one entry of the short table.
const RUN: usize = 16;

/// From where on runs are used: at most one in this many may have neighbours that differ. Which run an id falls
/// into cannot be predicted, so that a mixture of both kinds costs a mispredicted branch at each nonzero; the one
/// boundary is met once a row.
const EXCEPTIONS: usize = 32;

/// Up to this many constants are all looked up in full: they stay in a core's second-level cache by themselves.
const FEW: usize = 1 << 16;

/// So many of the first constants may differ from those that follow: an intercept's, which is not penalised.
pub(super) const PEELED: usize = 4;

/// A constant for each parameter, such as its penalty, kept twice: in full, and one entry for each run of
/// neighbours that agree.
///
/// Features are ordered by frequency, so what depends on the frequency alone changes seldom: beyond the first
/// few thousand features nearly all runs agree. A sparse row then reads a sixteenth of the memory, which stays in
/// the caches beside the parameters: without it the constants' cache misses took a quarter of the time on text of
/// 47,000 features and nearly half on 1,350,000.
#[derive(Debug, Clone, Default)]
pub struct Constants {
    each: Vec<f32>,
    /// NaN where the neighbours differ.
    run: Vec<f32>,
    /// The first parameter whose constant is looked up by its run.
    head: usize,
    /// One more than the last that is the same as all from [`PEELED`] on.
    even: usize,
}

impl Constants {
    /// The constants, one a parameter. O(length), in parallel.
    ///
    /// # Panics
    /// If one is NaN.
    pub fn new(each: Vec<f32>) -> Self {
        assert!(!each.iter().any(|x| x.is_nan()), "constants are numbers");
        let agree = |run: &[f32]| if run.iter().all(|x| *x == run[0]) { run[0] } else { f32::NAN };
        let run: Vec<f32> = each.par_chunks(RUN).with_min_len(1 << 10).map(agree).collect();
        let (mut head, mut exceptions) = (run.len(), 0);
        for (at, run) in run.iter().enumerate().rev() {
            exceptions += usize::from(run.is_nan());
            if exceptions * EXCEPTIONS <= each.len().div_ceil(RUN) - at {
                head = at;
            }
        }
        let head = if each.len() <= FEW { each.len() } else { head * RUN };
        let same = |first: &f32| each[PEELED..].iter().take_while(|x| *x == first).count();
        let even = each.get(PEELED).map_or(0, |first| PEELED + same(first));
        Self { run, each, head, even }
    }

    /// The constants that are looked up in full.
    #[inline(always)]
    pub(super) fn head(&self) -> &[f32] {
        &self.each[..self.head.min(self.each.len())]
    }

    /// The constant of the parameters from [`PEELED`] up to `end`, which must be beyond it, if they have the same.
    #[inline(always)]
    pub(super) fn even(&self, end: usize) -> Option<f32> {
        (end <= self.even && self.head >= PEELED).then(|| self.each[PEELED])
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.each.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.each.is_empty()
    }

    /// The constant of parameter `i`.
    ///
    /// # Panics
    /// If `i` is not below [`Constants::len`].
    #[inline]
    pub fn get(&self, i: usize) -> f32 {
        self.each[i]
    }

    /// The constant of parameter `i`.
    ///
    /// # Safety
    /// `i` must be below [`Constants::len`].
    #[inline(always)]
    pub(super) unsafe fn get_unchecked(&self, i: usize) -> f32 {
        if i >= self.head {
            // SAFETY: i / RUN is below the number of runs, as i is below the number of constants.
            let run = unsafe { *self.run.get_unchecked(i / RUN) };
            if !run.is_nan() {
                return run;
            }
        }
        // SAFETY: the caller's promise.
        unsafe { *self.each.get_unchecked(i) }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn every_constant_is_found_in_and_between_runs() {
        let each: Vec<f32> = (0..100_000u32).map(|i| (1000 / (1 + i / 40)) as f32).collect();
        let constants = Constants::new(each.clone());
        assert!(constants.head < 100_000 && constants.run.iter().any(|run| run.is_nan()));
        for (i, &x) in each.iter().enumerate() {
            // SAFETY: i is below the length.
            assert_eq!((constants.get(i), unsafe { constants.get_unchecked(i) }), (x, x));
        }
    }
}

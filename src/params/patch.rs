//! Patches: a worker's private copy of the parameters that a block of a grid touches.
//!
//! The blocks of a grid that are worked on at the same time touch nothing in common, unless there are more workers
//! than the grid keeps apart, or one of them was interrupted. So a worker walks through a block on plain floats, and
//! then publishes the difference in one iteration of the clock: an exchange for four parameters a block, where each
//! example would have taken one, of what was read for what it has become. Where others have moved them meanwhile all the
//! same, the rest of a group of parameters publishes the share that they have not done yet (see
//! [`Block`](super::Block)).

use super::block::{AHEAD, GROUP, LINE, undone};
use super::mode::Mode;
use crate::kernel::shared;
use crate::real::{Cell, Real};
use std::ops::Range;

/// A worker's copy of some ranges of the parameters, one behind the other. Reused from block to block; allocated once.
pub(crate) struct Patch<T> {
    copy: Aligned<T>,
    base: Aligned<T>,
    now: Box<[T]>,
    spans: [Range<usize>; 4],
}

impl<T: Real> Patch<T> {
    /// Of up to `most` parameters.
    pub(crate) fn new(most: usize) -> Self {
        let now = vec![T::ZERO; GROUP].into();
        Self { copy: Aligned::new(most), base: Aligned::new(most), now, spans: [const { 0..0 }; 4] }
    }

    /// Reads these parameters. After the ticket is taken, so that the delay counts what is missed.
    ///
    /// # Panics
    /// If they are more than the patch was made for.
    pub(crate) fn refresh(&mut self, cells: &[T::Atomic], spans: [Range<usize>; 4]) {
        let mut at = 0;
        for span in &spans {
            // Nobody else wants them now, so that lines come once, to be written too.
            let lines = |group: usize| (group..(group + GROUP).min(span.end)).step_by(LINE);
            lines(span.start).for_each(|i| shared::prefetch_write(cells, i));
            for from in span.clone().step_by(GROUP) {
                lines(from + GROUP).for_each(|i| shared::prefetch_write(cells, i));
                let n = GROUP.min(span.end - from);
                T::Atomic::copy_out(&cells[from..from + n], &mut self.base.all()[at..at + n]);
                at += n;
            }
        }
        self.copy.all()[..at].copy_from_slice(&self.base.all()[..at]);
        self.spans = spans;
    }

    /// The parameters as they were read, and as the block moves them.
    pub(crate) fn sides(&mut self) -> (&[T], &mut [T]) {
        let all = self.spans.iter().map(Range::len).sum();
        (&self.base.all()[..all], &mut self.copy.all()[..all])
    }

    /// Adds the difference × `scale` to the shared parameters; of what others may have done too no less than one part
    /// of N = `publications`, if there may be such. Returns the share that was kept, Σ|w·d|/Σ|d|, and how many
    /// compare-exchange attempts failed.
    pub(crate) fn publish<M: Mode>(
        &mut self,
        cells: &[T::Atomic],
        publications: Option<f64>,
        scale: f64,
    ) -> (f64, u64) {
        let (copy, base) = (self.copy.all(), self.base.all());
        let (mut at, mut whole, mut kept, mut failed) = (0, 0.0, 0.0, 0);
        for span in &self.spans {
            let mut from = span.start;
            while from < span.end {
                let n = GROUP.min(span.end - from);
                let (copy, base, cells) = (&copy[at..at + n], &base[at..at + n], &cells[from..from + n]);
                let (done, sum) = if scale == 1.0 { replace::<T, M>(copy, base, cells) } else { (0, 0.0) };
                whole += sum;
                kept += sum;
                if done < n {
                    let (copy, base, cells) = (&copy[done..], &base[done..], &cells[done..]);
                    let undone = |n| undone::<T>(copy, base, cells, &mut self.now, n);
                    let share = publications.map_or(1.0, undone) * scale;
                    let (sum, missed) = add::<T, M>(copy, base, cells, T::from_f64(share));
                    whole += sum;
                    kept += share * sum;
                    failed += missed;
                }
                (at, from) = (at + n, from + n);
            }
        }
        (if whole > 0.0 { kept / whole } else { scale }, failed)
    }
}

/// Makes of the cells what the copy is, up to those that are no longer what they were, if there are such. Returns how many
/// are done, and their Σ|copy − base|.
fn replace<T: Real, M: Mode>(copy: &[T], base: &[T], cells: &[T::Atomic]) -> (usize, f64) {
    let (mut sums, mut done) = ([T::ZERO; 4], 0);
    let (copy, base) = (copy.as_chunks::<4>().0, base.as_chunks::<4>().0);
    for ((copy, base), four) in copy.iter().zip(base).zip(cells.as_chunks::<4>().0) {
        let difference: [T; 4] = std::array::from_fn(|lane| copy[lane] - base[lane]);
        // Not equal, rather than larger: NaN must reach the parameters to be noticed.
        let moved = difference.iter().fold(false, |any, &d| any | (d != T::ZERO));
        if moved && !M::replace4::<T>(four, base, copy) {
            break;
        }
        (0..4).for_each(|lane| sums[lane] += difference[lane].abs());
        done += 4;
    }
    (done, sums.into_iter().map(T::to_f64).sum())
}

/// Adds `share` × (copy − base) to the cells. Returns Σ|copy − base| and how many attempts failed.
fn add<T: Real, M: Mode>(copy: &[T], base: &[T], cells: &[T::Atomic], share: T) -> (f64, u64) {
    let (mut sums, mut failed) = ([T::ZERO; 4], 0);
    let (copy, copy_rest) = copy.as_chunks::<4>();
    let (base, base_rest) = base.as_chunks::<4>();
    let (fours, rest) = cells.as_chunks::<4>();
    for (at, ((copy, base), four)) in copy.iter().zip(base).zip(fours).enumerate() {
        if at % (LINE / 4) == 0 {
            shared::prefetch_write(cells, 4 * at + AHEAD * LINE);
        }
        let difference: [T; 4] = std::array::from_fn(|lane| copy[lane] - base[lane]);
        // Not equal, rather than larger: NaN must reach the parameters to be noticed.
        if difference.iter().fold(false, |any, &d| any | (d != T::ZERO)) {
            (0..4).for_each(|lane| sums[lane] += difference[lane].abs());
            failed += M::add4::<T>(four, &difference.map(|d| share * d));
        }
    }
    for ((&copy, &base), cell) in copy_rest.iter().zip(base_rest).zip(rest) {
        let difference = copy - base;
        if difference != T::ZERO {
            sums[0] += difference.abs();
            failed += M::add(cell, |_| share * difference);
        }
    }
    (sums.into_iter().map(T::to_f64).sum(), failed)
}

/// Floats from a cache line's beginning on, without an unsafe allocation.
struct Aligned<T> {
    floats: Box<[T]>,
    start: usize,
    len: usize,
}

impl<T: Real> Aligned<T> {
    fn new(len: usize) -> Self {
        const ALIGN: usize = 64;
        let floats: Box<[T]> = vec![T::ZERO; len + ALIGN / size_of::<T>()].into();
        let address = floats.as_ptr() as usize;
        let start = (address.next_multiple_of(ALIGN) - address) / size_of::<T>();
        Self { floats, start, len }
    }

    fn all(&mut self) -> &mut [T] {
        &mut self.floats[self.start..self.start + self.len]
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::super::{Cas, Params, Racy};
    use super::*;

    #[test]
    fn what_moved_is_published_once_and_nothing_else() {
        for racy in [false, true] {
            let params = Params::from_slice(&(0..3000).map(f64::from).collect::<Vec<_>>());
            let mut patch = Patch::<f64>::new(1500);
            // Shorter than before, and with an empty span.
            for spans in [[0..1200, 1200..1210, 2000..2101, 2500..2501], [5..9, 16..16, 32..50, 2999..3000]] {
                let before = params.snapshot();
                let expected: Vec<f64> = spans.iter().cloned().flatten().map(|i| before[i]).collect();
                patch.refresh(params.cells(), spans.clone());
                let (base, copy) = patch.sides();
                assert!(base == expected && copy == expected);
                copy.iter_mut().step_by(3).for_each(|w| *w += 0.5);
                // Others write elsewhere in the same lines.
                params.cells()[51].set(-1.0);
                params.cells()[33].set(-1.0);
                let publish = if racy { Patch::publish::<Racy> } else { Patch::publish::<Cas> };
                assert_eq!(publish(&mut patch, params.cells(), Some(2.0), 1.0), (1.0, 0));
                let (after, mut place) = (params.snapshot(), 0);
                for i in 0..3000 {
                    let start = if matches!(i, 33 | 51) { -1.0 } else { before[i] };
                    let moved = spans.iter().any(|span| span.contains(&i));
                    let change = if moved && place % 3 == 0 { 0.5 } else { 0.0 };
                    place += usize::from(moved);
                    assert_eq!(after[i], start + change, "{i}, racy: {racy}");
                }
            }
        }
    }

    #[test]
    fn what_nobody_has_moved_is_replaced_up_to_what_somebody_has() {
        let params = Params::from_slice(&[1.0f32; 64]);
        let mut patch = Patch::<f32>::new(64);
        patch.refresh(params.cells(), [0..64, 64..64, 64..64, 64..64]);
        patch.sides().1.iter_mut().for_each(|w| *w += 2.0);
        params.cells()[41].set(10.0);
        let (kept, _) = patch.publish::<Cas>(params.cells(), Some(4.0), 1.0);
        // Without the exchange of four, from the first on.
        let first = if crate::kernel::name().contains("cx16") { 40 } else { 0 };
        let share = 1.0 - 2.0 * 9.0 / (4.0 * (64 - first) as f64);
        for (i, w) in params.snapshot().into_iter().enumerate() {
            let moved = if i < first { 2.0 } else { share * 2.0 };
            assert_eq!(f64::from(w), moved + if i == 41 { 10.0 } else { 1.0 }, "{i}");
        }
        assert_eq!(kept, (first as f64 + share * (64 - first) as f64) / 64.0);
    }

    #[test]
    fn of_what_others_did_too_the_rest_is_published() {
        let publish = |publications, others| {
            let params = Params::from_slice(&[1.0f64; 20]);
            let mut patch = Patch::<f64>::new(20);
            patch.refresh(params.cells(), [0..18, 20..20, 20..20, 20..20]);
            patch.sides().1.iter_mut().for_each(|w| *w += 2.0);
            params.cells()[..18].iter().for_each(|cell| cell.set(1.0 + others));
            let (kept, _) = patch.publish::<Cas>(params.cells(), publications, 1.0);
            (params.snapshot()[3] - 1.0 - others, params.snapshot()[17] - 1.0 - others, kept)
        };
        assert_eq!(publish(Some(4.0), 0.0), (2.0, 2.0, 1.0));
        assert_eq!(publish(Some(4.0), 1.0), (1.0, 1.0, 0.5));
        assert_eq!(publish(Some(4.0), 9.0), (0.5, 0.5, 0.25));
        assert_eq!(publish(None, 9.0), (2.0, 2.0, 1.0));
    }
}

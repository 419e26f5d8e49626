//! Blocks: a worker's private copy of the hot parameters, and how much of its change is published.
//!
//! Features are ordered by falling frequency, so the hot parameters are a prefix, and in a row with sorted ids
//! the hot nonzeros are a prefix too. A worker runs a block of m examples on its own copy of that prefix
//! (the other parameters stay shared) and then publishes the difference in one iteration of the clock.
//! That saves the traffic of m − 1 updates: the cache lines of frequent features would otherwise travel between
//! cores at each example.
//!
//! # The coordinate-wise delay-adaptive weight
//! Published whole, differences diverge once workers × block × rate × curvature is large: n workers that start
//! from the same state each make the same correction. Averaging them is stable, but wastes the sparse directions,
//! which only one worker has moved. In a direction of curvature h a block contracts the error by
//! c = 1 − e^(−η·h·m). The N = τ + 1 publications that are made from the same state (its own and the τ that came
//! in between) should together move as far as N blocks run one after the other, 1 − (1 − c)^N; so each is scaled
//! by
//!
//! > w(c, N) = (1 − (1 − c)^N) / (N·c)
//!
//! with the coordinate's own c, from the curvature bound g of
//! [`Objective::bounds`](crate::model::Objective::bounds). Limits: c → 0
//! gives 1 (the plain Hogwild! sum, right for a sparse coordinate), c → 1 gives 1/N (averaging, right for a
//! stiff one; with N = τ + 1 it is the damping of late gradients, one coordinate at a time). Nothing is tuned.
//! N = max(τ + 1, C), C the concurrency, is smoother than τ + 1 when fast workers see short delays.

use super::levels::{Levels, publication_weight};
use super::mode::Mode;
use super::view::BlockView;
use crate::kernel::shared;
use crate::real::{Cell, Real};
use std::marker::PhantomData;

/// Parameters on a cache line (of `f32`), …
pub(super) const LINE: usize = 16;

/// … and how many lines ahead of the one being published are asked for. A compare-exchange on a line that another
/// core wrote last waits for it, and nothing overlaps with that wait.
pub(super) const AHEAD: usize = 8;

/// Parameters that share a weight where the curvature is not known.
pub(super) const GROUP: usize = 1024;

/// The weights of all levels for one rate × block and one N.
#[derive(Clone)]
struct Table {
    publications: f64,
    weight: Box<[f32; 256]>,
}

/// A worker's copy of the hot parameters. Reused from block to block; allocated once.
pub(crate) struct Block<T> {
    /// The hot parameters as the block's examples have moved them, …
    local: Vec<T>,
    /// … and as they were read.
    base: Vec<T>,
    levels: Option<Levels>,
    /// One level for all, where the bounds are not known, …
    flat: Vec<u8>,
    /// … and the hot parameters as they are now.
    now: Box<[T]>,
    /// Tables for rate × rows = `reach`, one for each N seen; started anew when `reach` moves by 2 %.
    tables: Vec<Table>,
    reach: f64,
    /// The line with which publishing begins.
    first: usize,
}

impl<T: Real> Block<T> {
    /// A block of the first `hot` parameters. Without `curvature` (one bound a hot coordinate) nothing is known
    /// about how stiff they are, and what is published is what the others have not done ([`undone`]).
    pub(crate) fn new(hot: usize, curvature: Option<&[f32]>) -> Self {
        let levels = curvature.map(|g| Levels::new(&g[..hot]));
        let (local, base) = (vec![T::ZERO; hot], vec![T::ZERO; hot]);
        let flat = if levels.is_some() { Vec::new() } else { vec![0; hot] };
        let now = if levels.is_some() { Vec::new() } else { vec![T::ZERO; GROUP] }.into();
        let tables = Vec::with_capacity(Self::TABLES);
        Self { local, base, levels, flat, now, tables, reach: f64::NAN, first: 0 }
    }

    /// The block of worker `number` of so many: it begins to publish at a place of its own, and goes on round. Where
    /// differences are dense, workers that publish at the same time would else go through the same lines one behind the
    /// other, and wait for each of them.
    pub(crate) fn staggered(mut self, number: usize, workers: usize) -> Self {
        let groups = self.local.len() / GROUP;
        self.first = groups * number / workers * (GROUP / LINE);
        self
    }

    /// How many N a worker keeps tables for; delays beyond are rare enough to be computed again.
    const TABLES: usize = 32;

    /// Reads the hot parameters anew. After the ticket is taken, so that the delay counts what is missed.
    pub(crate) fn refresh(&mut self, cells: &[T::Atomic]) {
        // In parts, so that the second copy is made of what the first has just brought into the nearest cache.
        let copies = self.base.chunks_mut(GROUP).zip(self.local.chunks_mut(GROUP));
        for ((base, local), cells) in copies.zip(cells.chunks(GROUP)) {
            T::Atomic::copy_out(cells, base);
            local.copy_from_slice(base);
        }
    }

    /// The parameters as the block's examples see and change them: a [ridge step](crate::Sink::ridge_step) moves the
    /// copy by `times` what it says, and what is published is to be scaled by the inverse.
    #[inline]
    pub(crate) fn view<'a, M: Mode>(&'a mut self, cells: &'a [T::Atomic], times: f64) -> BlockView<'a, T, M> {
        BlockView { hot: &mut self.local, cells, times: T::from_f64(times), failed: 0, mode: PhantomData }
    }

    /// Adds the block's difference to the shared parameters, each coordinate by its weight × `scale`, for a
    /// block of `reach` = rate × rows and N = `publications`. Returns the share of the difference that
    /// was kept, Σ|w·d|/Σ|d|, and how many compare-exchange attempts failed.
    pub(crate) fn publish<M: Mode>(
        &mut self,
        cells: &[T::Atomic],
        reach: f64,
        publications: f64,
        scale: f64,
    ) -> (f64, u64) {
        let at = self.table(reach, publications);
        let known = self.levels.is_some();
        let (levels, mut weights) = match &self.levels {
            Some(levels) => (&levels.level[..], self.tables[at].weight.map(|weight| weight * scale as f32)),
            None => (&self.flat[..], [0.0; 256]),
        };
        let (local, local_rest) = self.local.as_chunks::<LINE>();
        let (base, base_rest) = self.base.as_chunks::<LINE>();
        let (lines, lines_rest) = cells[..self.local.len()].as_chunks::<LINE>();
        let (level, level_rest) = levels.as_chunks::<LINE>();
        let mut sums = Sums::<T>::default();
        for at in (self.first..lines.len()).chain(0..self.first) {
            let (local, base, line, level) = (&local[at], &base[at], &lines[at], &level[at]);
            if !known && at % (GROUP / LINE) == 0 {
                let group = at * LINE..(at * LINE + GROUP).min(self.local.len());
                let (local, base) = (&self.local[group.clone()], &self.base[group.clone()]);
                weights[0] =
                    (scale * undone::<T>(local, base, &cells[group], &mut self.now, publications)) as f32;
            }
            shared::prefetch_write(cells, (at + AHEAD) * LINE);
            let difference: [T; LINE] = std::array::from_fn(|lane| local[lane] - base[lane]);
            // Not equal, rather than larger: NaN must reach the parameters to be noticed.
            if difference.iter().fold(false, |any, &d| any | (d != T::ZERO)) {
                let change = std::array::from_fn(|lane| {
                    T::from_f32(weights[usize::from(level[lane])]) * difference[lane]
                });
                sums.add(&difference, &change);
                if (0..LINE).fold(false, |any, lane| any | (local[lane] == T::ZERO) & (base[lane] != T::ZERO))
                {
                    for lane in 0..LINE {
                        sums.failed +=
                            publish_one::<T, M>(&line[lane], local[lane], base[lane], change[lane]);
                    }
                    continue;
                }
                let (fours, _) = line.as_chunks::<4>();
                for (four, change) in fours.iter().zip(change.as_chunks::<4>().0) {
                    if change.iter().fold(false, |any, &c| any | (c != T::ZERO)) {
                        sums.failed += M::add4::<T>(four, change);
                    }
                }
            }
        }
        if !known {
            let end = &cells[self.local.len() - local_rest.len()..self.local.len()];
            weights[0] =
                (scale * undone::<T>(local_rest, base_rest, end, &mut self.now, publications)) as f32;
        }
        let rest = local_rest.iter().zip(base_rest).zip(lines_rest).zip(level_rest);
        for (((&local, &base), cell), &level) in rest {
            let difference = local - base;
            let change = T::from_f32(weights[usize::from(level)]) * difference;
            sums.add(&[difference], &[change]);
            sums.failed += publish_one::<T, M>(cell, local, base, change);
        }
        let [whole, kept] =
            [sums.whole, sums.kept].map(|lanes| lanes.into_iter().map(T::to_f64).sum::<f64>());
        (if whole > 0.0 { kept / whole } else { scale }, sums.failed)
    }

    /// The index of the table for this reach and N, computed if it is not kept.
    fn table(&mut self, reach: f64, publications: f64) -> usize {
        let Some(levels) = &self.levels else { return 0 };
        let same = (reach / self.reach - 1.0).abs() < 0.02; // false at first: the old reach is NaN
        if !same {
            self.reach = reach;
            self.tables.clear();
        }
        if let Some(at) = self.tables.iter().position(|t| t.publications == publications) {
            return at;
        }
        let reach = self.reach;
        let of = |level: usize| publication_weight(reach * levels.bound[level], publications) as f32;
        if self.tables.len() < Self::TABLES {
            self.tables.push(Table { publications, weight: Box::new(std::array::from_fn(of)) });
        } else {
            let last = &mut self.tables[Self::TABLES - 1];
            last.publications = publications;
            *last.weight = std::array::from_fn(of);
        }
        self.tables.len() - 1
    }
}

/// Publishes one coordinate. One that the block made exactly 0, as an L1 penalty does, is set to 0 and not moved by a
/// share of the way: unless others moved it elsewhere meanwhile, whom the weight takes into account.
#[inline]
fn publish_one<T: Real, M: Mode>(cell: &T::Atomic, local: T, base: T, change: T) -> u64 {
    if local == T::ZERO && base != T::ZERO {
        loop {
            match cell.compare_exchange(base, T::ZERO) {
                Err(now) if now == base => {}
                Err(now) if now != T::ZERO => break,
                _ => return 0,
            }
        }
    }
    if change == T::ZERO { 0 } else { M::add(cell, |_| change) }
}

/// The share of a group's difference a that the others have not made meanwhile: 1 − a·b/|a|² in \[1/N, 1\], b being
/// what the parameters have moved by since they were read.
///
/// Where nothing is known of the curvature, the others' differences tell whether they go the same way. With n workers
/// whose differences are all the same, shares w must meet w = 1 − (n − 1)·w, that is w = 1/n, averaging; where they are
/// at right angles, as in parameters that one worker alone touches, w = 1, the sum. Between the two it is what a late
/// difference adds to the others. Nearest relative: Adasum (Maleki et al. 2021), which joins pairs at a barrier.
pub(super) fn undone<T: Real>(
    local: &[T],
    base: &[T],
    cells: &[T::Atomic],
    now: &mut [T],
    publications: f64,
) -> f64 {
    let now = &mut now[..local.len()];
    T::Atomic::copy_out(cells, now);
    let (mut own, mut met) = ([T::ZERO; LINE], [T::ZERO; LINE]);
    let chunks = local.chunks(LINE).zip(base.chunks(LINE)).zip(now.chunks(LINE));
    for ((local, base), now) in chunks {
        for (lane, ((&local, &base), &now)) in local.iter().zip(base).zip(now).enumerate() {
            let difference = local - base;
            own[lane] += difference * difference;
            met[lane] += difference * (now - base);
        }
    }
    let sum = |lanes: [T; LINE]| lanes.into_iter().map(T::to_f64).sum::<f64>();
    let (own, met) = (sum(own), sum(met));
    if own == 0.0 { 1.0 } else { (1.0 - met / own).clamp(1.0 / publications, 1.0) }
}

/// What a publication adds up to, lane by lane: summing up each line by itself took a quarter of the time.
#[derive(Default)]
struct Sums<T> {
    /// Σ|d|, the difference, …
    whole: [T; LINE],
    /// … Σ|w·d|, what was published of it, …
    kept: [T; LINE],
    /// … and the attempts that failed.
    failed: u64,
}

impl<T: Real> Sums<T> {
    #[inline(always)]
    fn add<const N: usize>(&mut self, difference: &[T; N], change: &[T; N]) {
        for lane in 0..N {
            self.whole[lane] += difference[lane].abs();
            self.kept[lane] += change[lane].abs();
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::super::{Cas, Params};
    use super::*;
    use crate::kernel::{Constants, Row};
    use crate::weights::{Sink, Weights};

    #[test]
    fn a_block_publishes_its_difference_by_the_weights() {
        let params = Params::from_slice(&[1.0f64, 2.0, 3.0, 4.0]);
        let stiff = 1e3f32;
        let mut block = Block::new(2, Some(&[stiff, 0.0, 0.0, 0.0]));
        block.refresh(params.cells());
        let row = Row::new(&[0, 1, 3], &[1.0, 1.0, 1.0]).unwrap();
        let mut view = block.view::<Cas>(params.cells(), 1.0);
        assert_eq!(view.dot(row), 7.0);
        view.axpy(row, 0.5);
        assert_eq!(view.dot(row), 8.5);
        // The cold coordinate is shared already, the hot ones are not.
        assert_eq!(params.snapshot(), [1.0, 2.0, 3.0, 4.5]);
        let (kept, failed) = block.publish::<Cas>(params.cells(), 1.0, 4.0, 1.0);
        assert_eq!(params.snapshot(), [1.0 + 0.5 / 4.0, 2.5, 3.0, 4.5]);
        assert_eq!((kept, failed), ((0.125 + 0.5) / 1.0, 0));
    }

    #[test]
    fn steps_that_count_for_all_workers_are_published_once() {
        let params = Params::from_slice(&[1.0f64, 2.0]);
        let mut block = Block::new(1, Some(&[0.0, 0.0]));
        let (row, beside) = (Row::new(&[0, 1], &[1.0, 1.0]).unwrap(), Constants::new(vec![1.0; 2]));
        block.refresh(params.cells());
        let mut view = block.view::<Cas>(params.cells(), 4.0);
        view.ridge_step(row, &beside, -0.5, 0.0);
        // Private, and for four; shared, and as it is.
        assert_eq!((view.get(0), view.get(1)), (3.0, 2.5));
        block.publish::<Cas>(params.cells(), 1.0, 4.0, 0.25);
        assert_eq!(params.snapshot(), [1.5, 2.5]);
    }

    #[test]
    fn what_became_zero_is_zero() {
        for hot in [3, 20] {
            let params = Params::from_slice(&vec![2.0f64; hot]);
            let mut blocks = [(); 2].map(|()| Block::new(hot, Some(&vec![1e3f32; hot])));
            for block in &mut blocks {
                block.refresh(params.cells());
                block.view::<Cas>(params.cells(), 1.0).add(1, -2.0);
                block.view::<Cas>(params.cells(), 1.0).add(2, -1.0);
            }
            // Half of each way, but 0 is agreed upon, once.
            for block in &mut blocks {
                block.publish::<Cas>(params.cells(), 1.0, 2.0, 1.0);
            }
            assert_eq!(params.snapshot()[..3], [2.0, 0.0, 1.0]);
            // Where another has moved it, it is moved back half the way.
            blocks[0].refresh(params.cells());
            blocks[0].view::<Cas>(params.cells(), 1.0).add(0, -2.0);
            params.cells()[0].set(4.0);
            blocks[0].publish::<Cas>(params.cells(), 1.0, 2.0, 1.0);
            assert_eq!(params.snapshot()[0], 3.0);
        }
    }

    #[test]
    fn without_bounds_a_block_publishes_what_the_others_have_not_done() {
        let publish = |others: [f64; 3]| {
            let params = Params::from_slice(&[1.0f64; 3]);
            let mut block = Block::new(3, None);
            block.refresh(params.cells());
            block.view::<Cas>(params.cells(), 1.0).axpy_dense(0, &[2.0, 0.0, 0.0], 1.0);
            for (cell, other) in params.cells().iter().zip(others) {
                cell.set(1.0 + other);
            }
            let (kept, _) = block.publish::<Cas>(params.cells(), 1.0, 4.0, 1.0);
            (params.snapshot()[0] - 1.0 - others[0], kept)
        };
        assert_eq!(publish([0.0, 0.0, 0.0]), (2.0, 1.0));
        // At right angles: all of it. The same way: what is left, but no less than the average. Against: all.
        assert_eq!(publish([0.0, 3.0, -1.0]), (2.0, 1.0));
        assert_eq!(publish([1.0, 3.0, 0.0]), (1.0, 0.5));
        assert_eq!(publish([5.0, 0.0, 0.0]), (0.5, 0.25));
        assert_eq!(publish([-1.0, 0.0, 0.0]), (2.0, 1.0));
    }

    #[test]
    fn wherever_it_begins_a_block_publishes_all_of_its_difference_once() {
        const HOT: usize = 3 * GROUP + 21;
        for curvature in [None, Some(&[0.0; HOT][..])] {
            for (number, first) in [(0, 0), (1, GROUP), (2, 2 * GROUP)] {
                let params = Params::from_slice(&[1.0f64; HOT]);
                let mut block = Block::new(HOT, curvature).staggered(number, 3);
                assert_eq!(block.first * LINE, first);
                block.refresh(params.cells());
                let moved: Vec<f64> = (0..HOT).map(|i| i as f64).collect();
                block.view::<Cas>(params.cells(), 1.0).axpy_dense(0, &moved, 1.0);
                assert_eq!(block.publish::<Cas>(params.cells(), 1.0, 4.0, 1.0), (1.0, 0));
                assert!(params.snapshot().iter().zip(moved).all(|(w, x)| *w == 1.0 + x));
            }
        }
        // A few parameters are published as they lie.
        assert_eq!(Block::<f64>::new(GROUP - 1, None).staggered(1, 2).first, 0);
    }

    #[test]
    fn tables_follow_rate_and_delay() {
        let mut block = Block::<f64>::new(1, Some(&[1.0]));
        for (reach, n) in [(0.5, 2.0), (0.5, 3.0), (0.505, 2.0), (2.0, 2.0)] {
            let at = block.table(reach, n);
            let expected = publication_weight(reach, n);
            assert!((f64::from(block.tables[at].weight[255]) / expected - 1.0).abs() < 0.02);
        }
        for n in 1..100 {
            let at = block.table(2.0, f64::from(n));
            assert!(
                (f64::from(block.tables[at].weight[255]) - publication_weight(2.0, f64::from(n))).abs()
                    < 1e-6
            );
        }
        assert_eq!(block.tables.len(), Block::<f64>::TABLES);
    }
}

//! What a block's examples see and change.

use super::mode::Mode;
use crate::kernel::{Constants, Row, shared, sparse};
use crate::real::{Cell, Real};
use crate::weights::{Sink, Weights};
use std::marker::PhantomData;

/// The parameters inside a block: the hot prefix private, the rest shared and written in mode `M`.
pub(crate) struct BlockView<'a, T: Real, M> {
    pub(super) hot: &'a mut [T],
    pub(super) cells: &'a [T::Atomic],
    /// What a ridge step counts for on the private part: see [`Objective::adds`](crate::Objective::adds).
    pub(super) times: T,
    pub(super) failed: u64,
    pub(super) mode: PhantomData<M>,
}

impl<T: Real, M> BlockView<'_, T, M> {
    /// Compare-exchange attempts on the shared part that failed so far.
    pub(crate) fn failed_attempts(&self) -> u64 {
        self.failed
    }

    /// Σ value·w\[id\] over a row that goes beyond the private part. Not inlined: rows that do not would pay for its
    /// registers.
    #[inline(never)]
    fn dot_split(&self, row: Row<'_>) -> T {
        let (hot, rest) = row.split(self.hot.len());
        let private = T::dot(self.hot, hot);
        shared::prefetch_row(self.cells, rest);
        private + T::Atomic::dot(self.cells, rest)
    }

    /// How many of `len` parameters from `start` on are private.
    #[inline]
    fn hot_of(&self, start: usize, len: usize) -> usize {
        self.hot.len().saturating_sub(start).min(len)
    }
}

impl<T: Real, M: Mode> BlockView<'_, T, M> {
    /// A step along a row that goes beyond the private part.
    #[inline(never)]
    fn ridge_step_split(&mut self, row: Row<'_>, beside: &Constants, a: T, s: T) {
        let (hot, rest) = row.split(self.hot.len());
        T::ridge_step(self.hot, hot, beside, self.times * a, s);
        self.failed += M::ridge_step(self.cells, rest, beside, a, s);
    }
}

impl<T: Real, M: Mode> Weights<T> for BlockView<'_, T, M> {
    #[inline]
    fn len(&self) -> usize {
        self.cells.len()
    }

    #[inline]
    fn get(&self, i: usize) -> T {
        if i < self.hot.len() { self.hot[i] } else { self.cells[i].get() }
    }

    #[inline(always)]
    fn dot(&self, row: Row<'_>) -> T {
        if row.end() <= self.hot.len() { T::dot(self.hot, row) } else { self.dot_split(row) }
    }

    #[inline]
    fn dot_dense(&self, start: usize, x: &[T]) -> T {
        match x.split_at(self.hot_of(start, x.len())) {
            ([], rest) => T::Atomic::dot_dense(&self.cells[start..], rest),
            (hot, []) => T::dot_dense(&self.hot[start..], hot),
            (hot, rest) => {
                let shared = T::Atomic::dot_dense(&self.cells[self.hot.len()..], rest);
                T::dot_dense(&self.hot[start..], hot) + shared
            }
        }
    }

    #[inline]
    fn copy_out(&self, start: usize, out: &mut [T]) {
        let split = self.hot_of(start, out.len());
        let (hot, rest) = out.split_at_mut(split);
        if !hot.is_empty() {
            hot.copy_from_slice(&self.hot[start..start + split]);
        }
        T::Atomic::copy_out(&self.cells[start + split..], rest);
    }

    #[inline]
    fn private(&self) -> &[T] {
        self.hot
    }

    #[inline]
    fn times(&self) -> T {
        self.times
    }
}

impl<T: Real, M: Mode> Sink<T> for BlockView<'_, T, M> {
    #[inline]
    fn update(&mut self, i: usize, change: impl Fn(T) -> T) {
        match self.hot.get_mut(i) {
            Some(w) => *w += change(*w),
            None => self.failed += M::add(&self.cells[i], change),
        }
    }

    #[inline]
    fn update_row(&mut self, row: Row<'_>, beside: &Constants, change: impl Fn(usize, T, T, T) -> T) {
        let (hot, rest) = row.split(self.hot.len());
        sparse::for_each_mut(self.hot, hot, beside, |i, w, v, b| {
            *w += change(i, *w, T::from_f32(v), T::from_f32(b));
        });
        let mut failed = 0;
        sparse::for_each(self.cells, rest, beside, |i, cell, v, b| {
            let (v, b) = (T::from_f32(v), T::from_f32(b));
            failed += M::add(cell, |w| change(i, w, v, b));
        });
        self.failed += failed;
    }

    #[inline(always)]
    fn ridge_step(&mut self, row: Row<'_>, beside: &Constants, a: T, s: T) {
        if row.end() <= self.hot.len() {
            T::ridge_step(self.hot, row, beside, self.times * a, s);
        } else {
            self.ridge_step_split(row, beside, a, s);
        }
    }

    #[inline]
    fn ridge_dense(&mut self, start: usize, x: &[T], a: T, s: T) {
        let (hot, rest) = x.split_at(self.hot_of(start, x.len()));
        self.hot.iter_mut().skip(start).zip(hot).for_each(|(w, &x)| *w = *w - (a * x + s * *w));
        self.failed += M::ridge_dense(&self.cells[start + hot.len()..], rest, a, s);
    }

    #[inline]
    fn axpy_dense(&mut self, start: usize, x: &[T], a: T) {
        let split = self.hot_of(start, x.len());
        let (hot, rest) = x.split_at(split);
        if !hot.is_empty() {
            T::axpy_dense(&mut self.hot[start..], hot, a);
        }
        if !rest.is_empty() {
            self.failed += M::axpy_dense(&self.cells[start + split..], rest, a);
        }
    }

    #[inline]
    fn private_mut(&mut self) -> &mut [T] {
        self.hot
    }
}

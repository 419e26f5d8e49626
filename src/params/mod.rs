//! The shared parameters: an aligned array of atomic floats.
#![doc = include_str!("ORDERING.md")]

mod block;
mod levels;
mod mode;
mod patch;
mod view;

pub(crate) use block::Block;
pub use levels::publication_weight;
pub use mode::{Cas, Mode, Racy, Update};
pub(crate) use patch::Patch;

use crate::error::Result;
use crate::kernel::{Constants, Row, shared, sparse};
use crate::memory;
use crate::real::{Cell, Real};
use crate::sync::{Mutex, MutexGuard};
use crate::weights::{Sink, Weights};
use std::fmt;
use std::marker::PhantomData;

/// Shared parameters: d atomic floats, the first on a 128-byte boundary (a pair of cache lines, which the
/// adjacent-line prefetcher moves together).
///
/// Reading is a relaxed load of 4 or 8 bytes, as cheap as a plain one. Writing goes through
/// [`Params::writer`] or [`Params::locked`]. Those of a [`Hogwild`](crate::Hogwild) or of a run are for their workers to
/// write: nobody counts what others write, and a worker that runs alone overwrites it.
pub struct Params<T: Real = f32> {
    cells: Vec<T::Atomic>,
    start: usize,
    len: usize,
    lock: Mutex<()>,
    /// Whether rows are asked for in a state in which they can be written.
    claim: bool,
}

impl<T: Real> Params<T> {
    /// `dimension` parameters, all zero. O(d).
    pub fn zeros(dimension: usize) -> Self {
        Self::from_fn(dimension, |_| T::ZERO)
    }

    /// As [`Params::zeros`], where there is memory for them, a copy and a model of them.
    ///
    /// # Errors
    /// [`Error::Usage`](crate::Error::Usage) where the system says that there is not.
    pub fn fitting(dimension: usize) -> Result<Self> {
        let bytes = dimension as u128 * (2 * size_of::<T>() + size_of::<f64>()) as u128;
        memory::check(&format!("{dimension} parameters and a model of them"), bytes, "take fewer features")?;
        Ok(Self::zeros(dimension))
    }

    /// A copy of `values`. O(d).
    pub fn from_slice(values: &[T]) -> Self {
        Self::from_fn(values.len(), |i| values[i])
    }

    fn from_fn(len: usize, value: impl Fn(usize) -> T) -> Self {
        // Under loom the same cells in every execution: they would else depend on the address.
        const ALIGN: usize = if cfg!(loom) { 1 } else { 128 };
        // Whole cells of slack before the first parameter: aligned without an unsafe allocation.
        let slack = ALIGN / size_of::<T>();
        let mut cells: Vec<T::Atomic> = Vec::with_capacity(len + slack);
        let address = cells.as_ptr() as usize;
        let start = (address.next_multiple_of(ALIGN) - address) / size_of::<T>();
        // Each written once, and where they stay: within the capacity nothing moves.
        cells.extend((0..start).map(|_| T::Atomic::new(T::ZERO)));
        cells.extend((0..len).map(|i| T::Atomic::new(value(i))));
        Self { cells, start, len, lock: Mutex::new(()), claim: false }
    }

    /// For several workers that write what they have read: a row's cache lines are taken from the other cores when it
    /// is read, all at once, and not one by one when it is written. On text of 1,350,000 features two workers by
    /// compare-exchange went from 0.6 to 0.9 times the speed of one racy one. One worker would only lose the
    /// instructions. Nothing more is gained by asking for the coming row between the exchanges of this one, by computing
    /// some sums before their exchanges, or from large pages: an unconditional swap for each parameter takes as long, so
    /// that the locked instruction, on a line beyond the first cache, is what bounds it.
    pub(crate) fn claiming(self) -> Self {
        Self { claim: true, ..self }
    }

    /// The cells in order.
    #[inline]
    pub(crate) fn cells(&self) -> &[T::Atomic] {
        &self.cells[self.start..self.start + self.len]
    }

    /// A view that writes in mode `M`, and counts the attempts that failed.
    #[inline]
    pub fn writer<M: Mode>(&self) -> Writer<'_, T, M> {
        Writer { cells: self.cells(), failed: 0, _guard: None, mode: PhantomData }
    }

    /// The only writer in mode [`Update::Locked`], until it is dropped. Blocks while there is another.
    pub fn locked(&self) -> Writer<'_, T, Racy> {
        // A panic under the lock leaves parameters that are no worse than those of any partial update.
        let guard = self.lock.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        Writer { cells: self.cells(), failed: 0, _guard: Some(guard), mode: PhantomData }
    }

    /// All parameters now. Workers may be writing: each value is one that the parameter had during the copy,
    /// but not all at the same instant. O(d).
    pub fn snapshot(&self) -> Vec<T> {
        let mut out = Vec::new();
        self.copy_into(&mut out);
        out
    }

    /// As [`Params::snapshot`], into a vector that is used again.
    pub fn copy_into(&self, out: &mut Vec<T>) {
        out.resize(self.len, T::ZERO);
        T::Atomic::copy_out(self.cells(), out);
    }

    /// Overwrites all parameters.
    ///
    /// # Panics
    /// If the lengths differ.
    pub(crate) fn store(&self, values: &[T]) {
        assert_eq!(self.len, values.len(), "as many values as parameters");
        for (cell, &value) in self.cells().iter().zip(values) {
            cell.set(value);
        }
    }
}

impl<T: Real> fmt::Debug for Params<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Params<{}>({})", T::NAME, self.len)
    }
}

impl<T: Real> Weights<T> for Params<T> {
    #[inline]
    fn len(&self) -> usize {
        self.len
    }

    #[inline]
    fn get(&self, i: usize) -> T {
        self.cells()[i].get()
    }

    #[inline(always)]
    fn dot(&self, row: Row<'_>) -> T {
        if self.claim {
            shared::prefetch_row(self.cells(), row);
        }
        T::Atomic::dot(self.cells(), row)
    }

    #[inline]
    fn dot_dense(&self, start: usize, x: &[T]) -> T {
        T::Atomic::dot_dense(&self.cells()[start..], x)
    }

    #[inline]
    fn copy_out(&self, start: usize, out: &mut [T]) {
        T::Atomic::copy_out(&self.cells()[start..], out);
    }
}

/// Shared parameters as a worker writes them, in mode `M`.
pub struct Writer<'a, T: Real, M> {
    cells: &'a [T::Atomic],
    failed: u64,
    _guard: Option<MutexGuard<'a, ()>>,
    mode: PhantomData<M>,
}

impl<T: Real, M> Writer<'_, T, M> {
    /// Compare-exchange attempts that failed so far, because another worker was faster.
    pub fn failed_attempts(&self) -> u64 {
        self.failed
    }
}

impl<T: Real, M: Mode> Sink<T> for Writer<'_, T, M> {
    #[inline]
    fn update(&mut self, i: usize, change: impl Fn(T) -> T) {
        self.failed += M::add(&self.cells[i], change);
    }

    #[inline]
    fn update_row(&mut self, row: Row<'_>, beside: &Constants, change: impl Fn(usize, T, T, T) -> T) {
        let mut failed = 0;
        sparse::for_each(self.cells, row, beside, |i, cell, v, b| {
            let (v, b) = (T::from_f32(v), T::from_f32(b));
            failed += M::add(cell, |w| change(i, w, v, b));
        });
        self.failed += failed;
    }

    #[inline(always)]
    fn ridge_step(&mut self, row: Row<'_>, beside: &Constants, a: T, s: T) {
        self.failed += M::ridge_step(self.cells, row, beside, a, s);
    }

    #[inline]
    fn ridge_dense(&mut self, start: usize, x: &[T], a: T, s: T) {
        self.failed += M::ridge_dense(&self.cells[start..], x, a, s);
    }

    #[inline]
    fn axpy_dense(&mut self, start: usize, x: &[T], a: T) {
        self.failed += M::axpy_dense(&self.cells[start..], x, a);
    }
}

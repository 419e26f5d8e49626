//! How an objective sees parameters: [`Weights`] to read, [`Sink`] to write.
//!
//! An objective is written against these two traits only, so the same code runs on shared atomics, on a
//! worker's private copy, in the simulator and on a plain slice.

use crate::kernel::{Constants, Row, sparse};
use crate::real::Real;

/// Parameters that can be read. Others may be writing them: two reads of one parameter can differ.
pub trait Weights<T: Real> {
    /// The number of parameters.
    fn len(&self) -> usize;

    /// Whether there are no parameters.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Parameter `i`.
    fn get(&self, i: usize) -> T;

    /// Σ value·w\[id\] over the nonzeros of a sparse row.
    fn dot(&self, row: Row<'_>) -> T;

    /// Σ x\[j\]·w\[start + j\].
    fn dot_dense(&self, start: usize, x: &[T]) -> T;

    /// Copies `out.len()` parameters, from `start` on, into `out`.
    fn copy_out(&self, start: usize, out: &mut [T]);

    /// The first parameters, as many as nobody else writes: a plain slice, for loops that are faster on one. Empty
    /// unless overridden.
    fn private(&self) -> &[T] {
        &[]
    }

    /// By how much more than it says a [ridge step](Sink::ridge_step) moves the private ones: see
    /// [`Objective::adds`](crate::Objective::adds). 1 unless overridden.
    fn times(&self) -> T {
        T::ONE
    }
}

/// Parameters that can be changed, each change being an addition.
pub trait Sink<T: Real> {
    /// w\[i\] += change(w\[i\]). Where the parameter is shared and changes meanwhile, `change` is called
    /// again with the new value.
    fn update(&mut self, i: usize, change: impl Fn(T) -> T);

    /// w\[id\] += change(id, w\[id\], value, beside\[id\]) for each nonzero of a sparse row: one combined addition
    /// a coordinate. `beside` holds one constant a parameter, for example its penalty.
    fn update_row(&mut self, row: Row<'_>, beside: &Constants, change: impl Fn(usize, T, T, T) -> T);

    /// w\[id\] −= a·value + s·beside\[id\]·w\[id\] for each nonzero of a sparse row: a loss's step along the row,
    /// combined with the shrinking that an L2 penalty asks of the coordinates it touches.
    #[inline]
    fn ridge_step(&mut self, row: Row<'_>, beside: &Constants, a: T, s: T) {
        self.update_row(row, beside, |_, w, v, b| -(a * v + s * b * w));
    }

    /// w\[start + j\] += a·x\[j\].
    fn axpy_dense(&mut self, start: usize, x: &[T], a: T);

    /// As [`Weights::private`], to be changed.
    fn private_mut(&mut self) -> &mut [T] {
        &mut []
    }

    /// w\[start + j\] −= a·x\[j\] + s·w\[start + j\]: a loss's step along a dense row, combined with the shrinking that
    /// an L2 penalty asks of it.
    #[inline]
    fn ridge_dense(&mut self, start: usize, x: &[T], a: T, s: T) {
        for (j, &x) in x.iter().enumerate() {
            self.update(start + j, |w| -(a * x + s * w));
        }
    }

    /// w\[i\] += x.
    #[inline]
    fn add(&mut self, i: usize, x: T) {
        self.update(i, |_| x);
    }

    /// w\[id\] += a·value for each nonzero of a sparse row.
    #[inline]
    fn axpy(&mut self, row: Row<'_>, a: T) {
        for (i, v) in row.iter() {
            self.add(i, a * T::from_f32(v));
        }
    }
}

impl<T: Real> Weights<T> for [T] {
    #[inline]
    fn len(&self) -> usize {
        <[T]>::len(self)
    }

    #[inline]
    fn get(&self, i: usize) -> T {
        self[i]
    }

    #[inline]
    fn dot(&self, row: Row<'_>) -> T {
        T::dot(self, row)
    }

    #[inline]
    fn dot_dense(&self, start: usize, x: &[T]) -> T {
        T::dot_dense(&self[start..], x)
    }

    #[inline]
    fn copy_out(&self, start: usize, out: &mut [T]) {
        out.copy_from_slice(&self[start..start + out.len()]);
    }

    #[inline]
    fn private(&self) -> &[T] {
        self
    }
}

impl<T: Real> Sink<T> for [T] {
    #[inline]
    fn update(&mut self, i: usize, change: impl Fn(T) -> T) {
        self[i] += change(self[i]);
    }

    #[inline]
    fn update_row(&mut self, row: Row<'_>, beside: &Constants, change: impl Fn(usize, T, T, T) -> T) {
        sparse::for_each_mut(self, row, beside, |i, w, v, b| {
            *w += change(i, *w, T::from_f32(v), T::from_f32(b));
        });
    }

    #[inline]
    fn ridge_step(&mut self, row: Row<'_>, beside: &Constants, a: T, s: T) {
        T::ridge_step(self, row, beside, a, s);
    }

    #[inline]
    fn axpy_dense(&mut self, start: usize, x: &[T], a: T) {
        T::axpy_dense(&mut self[start..], x, a);
    }

    #[inline]
    fn private_mut(&mut self) -> &mut [T] {
        self
    }
}

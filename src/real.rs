//! The floating-point types that parameters may have, and their atomic cells.

use crate::kernel::{Constants, Row, ridge, shared, sparse};
use crate::sync::{AtomicF32, AtomicF64, Ordering};
use std::fmt::{Debug, Display};
use std::iter::Sum;
use std::ops::{Add, AddAssign, Div, Mul, Neg, Sub, SubAssign};

mod sealed {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for f64 {}
}

/// `f32` or `f64`: the type of a parameter.
pub trait Real:
    sealed::Sealed
    + Copy
    + Default
    + Debug
    + Display
    + PartialEq
    + PartialOrd
    + Send
    + Sync
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + AddAssign
    + SubAssign
    + Sum
    + bytemuck::Pod
    + Into<f64>
    + 'static
{
    /// The shared cell that holds one parameter.
    type Atomic: Cell<Self>;
    /// The type's name, `"f32"` or `"f64"`.
    const NAME: &'static str;
    /// Zero.
    const ZERO: Self;
    /// One.
    const ONE: Self;
    /// The nearest value to `x`.
    fn from_f64(x: f64) -> Self;
    /// The nearest value to `x`; exact.
    fn from_f32(x: f32) -> Self;
    /// The value as `f64`; exact.
    fn to_f64(self) -> f64;
    /// The absolute value.
    fn abs(self) -> Self;
    /// The square root.
    fn sqrt(self) -> Self;
    /// e to the power of the value.
    fn exp(self) -> Self;
    /// The hyperbolic tangent.
    fn tanh(self) -> Self;
    /// The larger of two values.
    fn max(self, other: Self) -> Self;
    /// The smaller of two values.
    fn min(self, other: Self) -> Self;
    /// Neither infinite nor NaN.
    fn is_finite(self) -> bool;
    /// Σ value·w\[id\] over the nonzeros of a row.
    ///
    /// # Panics
    /// If the row has an id outside `weights`.
    fn dot(weights: &[Self], row: Row<'_>) -> Self;
    /// w\[id\] −= a·value + s·beside\[id\]·w\[id\] over the nonzeros of a row.
    ///
    /// # Panics
    /// If the row has an id outside `weights` or `beside`.
    fn ridge_step(weights: &mut [Self], row: Row<'_>, beside: &Constants, a: Self, s: Self);
    /// Σ x\[j\]·w\[j\].
    ///
    /// # Panics
    /// If there are fewer weights than `x` is long.
    fn dot_dense(weights: &[Self], x: &[Self]) -> Self;
    /// w\[j\] += a·x\[j\].
    ///
    /// # Panics
    /// If there are fewer weights than `x` is long.
    fn axpy_dense(weights: &mut [Self], x: &[Self], a: Self);
}

/// One shared float. All accesses are relaxed: see `params/ORDERING.md`.
pub trait Cell<T>: Send + Sync {
    /// A cell that holds `x`.
    fn new(x: T) -> Self;
    /// The value now.
    fn get(&self) -> T;
    /// Stores `x`, whatever was there.
    fn set(&self, x: T);
    /// Stores `new` if the cell holds `current` to the bit (and sometimes not even then); otherwise
    /// what it holds comes back as the error.
    fn compare_exchange(&self, current: T, new: T) -> Result<T, T>;
    /// Adds `change` to four cells, losing nothing; returns how many attempts failed.
    fn add4(cells: &[Self; 4], change: &[T; 4]) -> u64
    where
        Self: Sized;
    /// Stores `new` if the cells hold `old` to the bit, all at once; false where they do not, or the machine cannot.
    fn replace4(cells: &[Self; 4], old: &[T; 4], new: &[T; 4]) -> bool
    where
        Self: Sized,
    {
        let _ = (cells, old, new);
        false
    }
    /// Copies the first `out.len()` cells out.
    ///
    /// # Panics
    /// If there are fewer.
    fn copy_out(cells: &[Self], out: &mut [T])
    where
        Self: Sized;
    /// Σ value·cell\[id\] over the nonzeros of a row.
    ///
    /// # Panics
    /// If the row has an id outside `cells`.
    fn dot(cells: &[Self], row: Row<'_>) -> T
    where
        Self: Sized;
    /// cell\[id\] −= a·value + s·beside\[id\]·cell\[id\] over the nonzeros of a row, each by a load and a store:
    /// what others add between the two is lost.
    ///
    /// # Panics
    /// If the row has an id outside `cells` or `beside`.
    fn racy_ridge_step(cells: &[Self], row: Row<'_>, beside: &Constants, a: T, s: T)
    where
        Self: Sized;
    /// Σ x\[j\]·cell\[j\].
    ///
    /// # Panics
    /// If there are fewer cells than `x` is long.
    fn dot_dense(cells: &[Self], x: &[T]) -> T
    where
        Self: Sized;
    /// cell\[j\] += a·x\[j\], each by a load and a store: what others add between the two is lost.
    ///
    /// # Panics
    /// If there are fewer cells than `x` is long.
    fn racy_axpy(cells: &[Self], x: &[T], a: T)
    where
        Self: Sized;
    /// cell\[j\] += a·x\[j\], losing nothing; returns how many attempts failed.
    ///
    /// # Panics
    /// If there are fewer cells than `x` is long.
    fn cas_axpy(cells: &[Self], x: &[T], a: T) -> u64
    where
        Self: Sized;
    /// cell\[j\] −= a·x\[j\] + s·cell\[j\], losing nothing; returns how many attempts failed.
    ///
    /// # Panics
    /// If there are fewer cells than elements of `x`.
    fn ridge_dense(cells: &[Self], x: &[T], a: T, s: T) -> u64
    where
        Self: Sized;
    /// The same by a load and a store each: what others add between the two is lost.
    ///
    /// # Panics
    /// If there are fewer cells than elements of `x`.
    fn racy_ridge_dense(cells: &[Self], x: &[T], a: T, s: T)
    where
        Self: Sized;
}

macro_rules! real {
    ($float:ident, $atomic:ident, { $($plain:item)* }, { $($shared:item)* }) => {
        impl Real for $float {
            type Atomic = $atomic;
            const NAME: &'static str = stringify!($float);
            const ZERO: Self = 0.0;
            const ONE: Self = 1.0;
            #[inline]
            fn from_f64(x: f64) -> Self {
                x as $float
            }
            #[inline]
            fn from_f32(x: f32) -> Self {
                x.into()
            }
            #[inline]
            fn to_f64(self) -> f64 {
                self.into()
            }
            #[inline]
            fn abs(self) -> Self {
                $float::abs(self)
            }
            #[inline]
            fn sqrt(self) -> Self {
                $float::sqrt(self)
            }
            #[inline]
            fn exp(self) -> Self {
                $float::exp(self)
            }
            #[inline]
            fn tanh(self) -> Self {
                $float::tanh(self)
            }
            #[inline]
            fn max(self, other: Self) -> Self {
                $float::max(self, other)
            }
            #[inline]
            fn min(self, other: Self) -> Self {
                $float::min(self, other)
            }
            #[inline]
            fn is_finite(self) -> bool {
                $float::is_finite(self)
            }
            $($plain)*
        }

        // Relaxed throughout: a parameter is read and written one float at a time, and what an update
        // must be ordered against is the clock's counter, which carries the ordering.
        impl Cell<$float> for $atomic {
            #[inline]
            fn new(x: $float) -> Self {
                $atomic::new(x)
            }
            #[inline]
            fn get(&self) -> $float {
                self.load(Ordering::Relaxed)
            }
            #[inline]
            fn set(&self, x: $float) {
                self.store(x, Ordering::Relaxed);
            }
            #[inline]
            fn compare_exchange(&self, current: $float, new: $float) -> Result<$float, $float> {
                self.compare_exchange_weak(current, new, Ordering::Relaxed, Ordering::Relaxed)
            }
            $($shared)*
        }
    };
}
real!(
    f32,
    AtomicF32,
    {
        #[inline(always)]
        fn dot(weights: &[f32], row: Row<'_>) -> f32 {
            sparse::dot_f32(weights, row)
        }
        #[inline(always)]
        fn ridge_step(weights: &mut [f32], row: Row<'_>, beside: &Constants, a: f32, s: f32) {
            sparse::ridge_step_f32(weights, row, beside, a, s);
        }
        #[inline]
        fn dot_dense(weights: &[f32], x: &[f32]) -> f32 {
            shared::dot_plain(weights, x)
        }
        #[inline]
        fn axpy_dense(weights: &mut [f32], x: &[f32], a: f32) {
            shared::axpy_plain(weights, x, a);
        }
    },
    {
        #[inline(always)]
        fn dot(cells: &[Self], row: Row<'_>) -> f32 {
            sparse::dot_shared_f32(cells, row)
        }
        #[inline(always)]
        fn racy_ridge_step(cells: &[Self], row: Row<'_>, beside: &Constants, a: f32, s: f32) {
            sparse::ridge_step_shared_f32(cells, row, beside, a, s);
        }
        #[inline]
        fn add4(cells: &[Self; 4], change: &[f32; 4]) -> u64 {
            shared::add4(cells, change).unwrap_or_else(|| add_singly(cells, change))
        }
        #[inline]
        fn replace4(cells: &[Self; 4], old: &[f32; 4], new: &[f32; 4]) -> bool {
            shared::replace4(cells, old, new)
        }
        #[inline]
        fn copy_out(cells: &[Self], out: &mut [f32]) {
            shared::copy_out(cells, out);
        }
        #[inline]
        fn dot_dense(cells: &[Self], x: &[f32]) -> f32 {
            shared::dot(cells, x)
        }
        #[inline]
        fn racy_axpy(cells: &[Self], x: &[f32], a: f32) {
            shared::racy_axpy(cells, x, a);
        }
        #[inline]
        fn cas_axpy(cells: &[Self], x: &[f32], a: f32) -> u64 {
            shared::cas_axpy(cells, x, a)
        }
        #[inline]
        fn ridge_dense(cells: &[Self], x: &[f32], a: f32, s: f32) -> u64 {
            ridge::cas(cells, x, a, s)
        }
        #[inline]
        fn racy_ridge_dense(cells: &[Self], x: &[f32], a: f32, s: f32) {
            ridge::racy(cells, x, a, s);
        }
    }
);
real!(
    f64,
    AtomicF64,
    {
        #[inline]
        fn dot(weights: &[f64], row: Row<'_>) -> f64 {
            sparse::dot(weights, row, |&w| w)
        }
        #[inline]
        fn ridge_step(weights: &mut [f64], row: Row<'_>, beside: &Constants, a: f64, s: f64) {
            let step = |_, w: &mut f64, v, b| *w -= a * f64::from(v) + s * f64::from(b) * *w;
            sparse::for_each_mut(weights, row, beside, step);
        }
        #[inline]
        fn dot_dense(weights: &[f64], x: &[f64]) -> f64 {
            shared::dot_with(weights, x, |&w| w)
        }
        #[inline]
        fn axpy_dense(weights: &mut [f64], x: &[f64], a: f64) {
            weights[..x.len()].iter_mut().zip(x).for_each(|(w, &x)| *w += a * x);
        }
    },
    {
        #[inline]
        fn dot(cells: &[Self], row: Row<'_>) -> f64 {
            sparse::dot(cells, row, Cell::get)
        }
        #[inline]
        fn racy_ridge_step(cells: &[Self], row: Row<'_>, beside: &Constants, a: f64, s: f64) {
            sparse::for_each(cells, row, beside, |_, cell, v, b| {
                let w = cell.get();
                cell.set(w - (a * f64::from(v) + s * f64::from(b) * w));
            });
        }
        #[inline]
        fn add4(cells: &[Self; 4], change: &[f64; 4]) -> u64 {
            add_singly(cells, change)
        }
        #[inline]
        fn copy_out(cells: &[Self], out: &mut [f64]) {
            let cells = &cells[..out.len()];
            for (out, cell) in out.iter_mut().zip(cells) {
                *out = cell.get();
            }
        }
        #[inline]
        fn dot_dense(cells: &[Self], x: &[f64]) -> f64 {
            shared::dot_with(cells, x, Cell::get)
        }
        #[inline]
        fn racy_axpy(cells: &[Self], x: &[f64], a: f64) {
            cells[..x.len()].iter().zip(x).for_each(|(cell, &x)| cell.set(cell.get() + a * x));
        }
        #[inline]
        fn cas_axpy(cells: &[Self], x: &[f64], a: f64) -> u64 {
            cells[..x.len()].iter().zip(x).map(|(cell, &x)| add(cell, a * x)).sum()
        }
        #[inline]
        fn ridge_dense(cells: &[Self], x: &[f64], a: f64, s: f64) -> u64 {
            let mut failed = 0;
            for (cell, &x) in cells[..x.len()].iter().zip(x) {
                let mut old = cell.get();
                while let Err(now) = Cell::compare_exchange(cell, old, old - (a * x + s * old)) {
                    old = now;
                    failed += 1;
                }
            }
            failed
        }
        #[inline]
        fn racy_ridge_dense(cells: &[Self], x: &[f64], a: f64, s: f64) {
            for (cell, &x) in cells[..x.len()].iter().zip(x) {
                let w = cell.get();
                cell.set(w - (a * x + s * w));
            }
        }
    }
);

/// Four compare-exchange loops.
fn add_singly<T: Real>(cells: &[T::Atomic; 4], change: &[T; 4]) -> u64 {
    cells.iter().zip(change).map(|(cell, &change)| add(cell, change)).sum()
}

/// Adds to a cell, losing nothing; returns how many attempts failed.
#[inline]
pub(crate) fn add<T: Real>(cell: &T::Atomic, change: T) -> u64 {
    let (mut old, mut failed) = (cell.get(), 0);
    while let Err(now) = cell.compare_exchange(old, old + change) {
        old = now;
        failed += 1;
    }
    failed
}

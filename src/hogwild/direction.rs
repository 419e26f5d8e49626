//! What a worker steps along.

use crate::kernel::Row;
use crate::model::Objective;
use crate::real::Real;
use crate::weights::Sink;

/// Something to step along: w −= step·direction.
pub trait Direction<T: Real> {
    /// Subtracts `step` times the direction from the parameters.
    fn descend<S: Sink<T> + ?Sized>(&self, step: T, weights: &mut S);
}

/// A dense gradient, from parameter 0 on.
impl<T: Real> Direction<T> for [T] {
    #[inline]
    fn descend<S: Sink<T> + ?Sized>(&self, step: T, weights: &mut S) {
        weights.axpy_dense(0, self, -step);
    }
}

/// A sparse gradient.
impl<T: Real> Direction<T> for Row<'_> {
    #[inline]
    fn descend<S: Sink<T> + ?Sized>(&self, step: T, weights: &mut S) {
        weights.axpy(*self, -step);
    }
}

/// An objective's gradient, as [`Objective::gradient`] left it.
pub struct Gradient<'a, T: Real, O: Objective<T>>(pub &'a O, pub &'a O::Gradient);

impl<T: Real, O: Objective<T>> Direction<T> for Gradient<'_, T, O> {
    #[inline]
    fn descend<S: Sink<T> + ?Sized>(&self, step: T, weights: &mut S) {
        self.0.descend(self.1, step, weights);
    }
}

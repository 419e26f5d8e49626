//! Where training starts.

use super::Trainer;
use super::plan::Options;
use crate::model::Objective;
use crate::real::Real;
use crate::sync::Arc;

impl<M, T: Real> Trainer<'_, M, T> {
    /// The parameters to start from, finite, as many as the objective has, instead of its own: a warm start. Dual
    /// coordinate ascent starts from the best combination of the rows in the direction of these parameters' dual
    /// values ([`Dual::starting_from`](crate::model::Dual::starting_from)), and Newton's method without its epoch of SGD.
    pub fn start<U: Real>(mut self, weights: &[U]) -> Self {
        self.options.start = Some(Arc::new(weights.iter().map(|w| w.to_f64()).collect()));
        self
    }
}

impl Options {
    /// The parameters that training starts from.
    pub(super) fn initial<T: Real, O: Objective<T>>(&self, objective: &O) -> Vec<T> {
        match &self.start {
            Some(start) => start.iter().map(|&w| T::from_f64(w)).collect(),
            None => objective.initial(self.seed),
        }
    }
}

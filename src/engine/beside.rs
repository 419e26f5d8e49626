//! What the engine keeps beside the parameters: sums of iterates, and the workers' running means of their gradients.

use super::average::Average;
use crate::hogwild::Inertia;
use crate::real::Real;
use crate::step::Optimizer;
use crate::sync::{Mutex, MutexGuard};
use serde::{Deserialize, Serialize};

/// One for a run.
pub(super) struct Beside<T: Real> {
    pub average: Option<Average<T>>,
    /// Each worker's, which holds it while it is at a chunk; none where the direction is the gradient.
    inertias: Vec<Mutex<Inertia<T>>>,
}

/// What a checkpoint's header tells of it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Kept {
    /// The sum of the iterates' weights.
    weight: f64,
    /// The gradients in each worker's means.
    steps: Vec<i32>,
}

impl<T: Real> Beside<T> {
    pub(super) fn new(
        average: Option<Average<T>>,
        optimizer: Optimizer,
        workers: usize,
        parameters: usize,
    ) -> Self {
        let inertias = (0..workers).filter_map(|_| Inertia::new(optimizer, parameters)).map(Mutex::new);
        Self { average, inertias: inertias.collect() }
    }

    /// A worker's means, until the guard is dropped.
    #[inline]
    pub(super) fn inertia(&self, worker: usize) -> Option<MutexGuard<'_, Inertia<T>>> {
        self.inertias.get(worker).map(|means| means.lock().unwrap_or_else(|poisoned| poisoned.into_inner()))
    }

    /// Forgets all that was added and averaged. While no worker is at a chunk.
    pub(super) fn clear(&self) {
        self.average.iter().for_each(Average::clear);
        for worker in 0..self.inertias.len() {
            self.inertia(worker).iter_mut().for_each(|means| means.clear());
        }
    }

    /// Copies all numbers to `numbers`, while no worker is at a chunk.
    pub(super) fn save(&self, numbers: &mut Vec<T>) -> Kept {
        numbers.clear();
        let weight = self.average.as_ref().map_or(0.0, |average| average.save(numbers));
        let steps = (0..self.inertias.len()).filter_map(|worker| self.inertia(worker));
        Kept { weight, steps: steps.map(|means| means.save(numbers)).collect() }
    }

    /// Takes back what [`save`](Self::save) told; false if it does not fit.
    pub(super) fn restore(&self, kept: &Kept, mut numbers: &[T]) -> bool {
        let mut restored = kept.steps.len() == self.inertias.len();
        if let Some(average) = &self.average {
            restored &= average.restore(&mut numbers, kept.weight);
        }
        for (worker, &steps) in kept.steps.iter().enumerate() {
            restored &= self.inertia(worker).is_some_and(|mut means| means.restore(&mut numbers, steps));
        }
        restored && numbers.is_empty()
    }
}

//! Momentum and Adam: a worker's running means of its own gradients.

use crate::kernel::{Constants, Row};
use crate::model::Objective;
use crate::real::Real;
use crate::step::Optimizer;
use crate::weights::{Sink, Weights};

/// Added to √v: keeps the quotient of parameters that have hardly a gradient small.
const EPSILON: f64 = 1e-8;

/// Running means, and the direction that follows from them. O(parameters) a step.
pub(crate) struct Inertia<T> {
    optimizer: Optimizer,
    /// Of the gradients; with momentum their decayed sum.
    first: Vec<T>,
    /// Of their squares.
    second: Vec<T>,
    /// The gradient, then the direction.
    direction: Vec<T>,
    steps: i32,
}

impl<T: Real> Inertia<T> {
    /// None where the direction is the gradient.
    pub(crate) fn new(optimizer: Optimizer, parameters: usize) -> Option<Self> {
        let zeros = |yes: bool| vec![T::ZERO; if yes { parameters } else { 0 }];
        let second = zeros(matches!(optimizer, Optimizer::Adam { .. }));
        (optimizer != Optimizer::Sgd).then(|| Self {
            optimizer,
            first: zeros(true),
            second,
            direction: zeros(true),
            steps: 0,
        })
    }

    /// Forgets all gradients.
    pub(crate) fn clear(&mut self) {
        self.first.fill(T::ZERO);
        self.second.fill(T::ZERO);
        self.steps = 0;
    }

    /// Appends the means to `numbers`, and tells of how many gradients they are.
    pub(crate) fn save(&self, numbers: &mut Vec<T>) -> i32 {
        numbers.extend_from_slice(&self.first);
        numbers.extend_from_slice(&self.second);
        self.steps
    }

    /// Takes back what [`save`](Self::save) told, from the front of `numbers`; false if it does not fit.
    pub(crate) fn restore(&mut self, numbers: &mut &[T], steps: i32) -> bool {
        for means in [&mut self.first, &mut self.second] {
            let Some((own, rest)) = numbers.split_at_checked(means.len()) else { return false };
            means.copy_from_slice(own);
            *numbers = rest;
        }
        self.steps = steps;
        steps >= 0
    }

    /// Takes a gradient, which was computed from these weights, into the means, and tells the direction.
    #[inline]
    pub(crate) fn direction<O: Objective<T>, W: Weights<T> + ?Sized>(
        &mut self,
        objective: &O,
        gradient: &O::Gradient,
        weights: &W,
    ) -> &[T] {
        self.direction.fill(T::ZERO);
        objective.descend(gradient, T::ONE, &mut Collect { weights, descent: &mut self.direction });
        self.steps = self.steps.saturating_add(1);
        match self.optimizer {
            Optimizer::Sgd => self.direction.iter_mut().for_each(|d| *d = -*d),
            Optimizer::Momentum { beta } => {
                let beta = T::from_f64(beta);
                for (u, d) in self.first.iter_mut().zip(&mut self.direction) {
                    *u = beta * *u - *d;
                    *d = *u;
                }
            }
            Optimizer::Adam { beta1, beta2 } => {
                let free = |beta: f64| T::from_f64(1.0 / (1.0 - beta.powi(self.steps)));
                let (free1, free2, epsilon) = (free(beta1), free(beta2), T::from_f64(EPSILON));
                let (beta1, beta2) = (T::from_f64(beta1), T::from_f64(beta2));
                let means = self.first.iter_mut().zip(&mut self.second);
                for ((m, v), d) in means.zip(&mut self.direction) {
                    *m = beta1 * *m - (T::ONE - beta1) * *d;
                    *v = beta2 * *v + (T::ONE - beta2) * *d * *d;
                    *d = free1 * *m / ((free2 * *v).sqrt() + epsilon);
                }
            }
        }
        &self.direction
    }
}

/// Collects a descent of step 1, which is minus the gradient, beside the weights that it is to be made from.
struct Collect<'a, T, W: ?Sized> {
    weights: &'a W,
    descent: &'a mut [T],
}

impl<T: Real, W: Weights<T> + ?Sized> Sink<T> for Collect<'_, T, W> {
    #[inline]
    fn update(&mut self, i: usize, change: impl Fn(T) -> T) {
        self.descent[i] += change(self.weights.get(i));
    }

    #[inline]
    fn update_row(&mut self, row: Row<'_>, beside: &Constants, change: impl Fn(usize, T, T, T) -> T) {
        for (i, v) in row.iter() {
            let beside = T::from_f32(beside.get(i));
            self.descent[i] += change(i, self.weights.get(i), T::from_f32(v), beside);
        }
    }

    #[inline]
    fn axpy_dense(&mut self, start: usize, x: &[T], a: T) {
        self.descent.axpy_dense(start, x, a);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::ops::Range;

    /// |w|²/2 − w.
    struct Bowl;

    impl Objective<f64> for Bowl {
        type Gradient = [f64; 1];
        fn parameters(&self) -> usize {
            1
        }
        fn examples(&self) -> usize {
            1
        }
        fn buffer(&self) -> [f64; 1] {
            [0.0]
        }
        fn gradient<W: Weights<f64> + ?Sized>(&self, _: Range<usize>, w: &W, g: &mut [f64; 1]) {
            g[0] = -1.0 + 0.0 * w.get(0);
        }
        fn descend<S: Sink<f64> + ?Sized>(&self, g: &[f64; 1], step: f64, w: &mut S) {
            w.update(0, |w| -step * (g[0] + w));
        }
        fn value(&self, w: &[f64]) -> f64 {
            w[0] * w[0] / 2.0 - w[0]
        }
    }

    fn directions(optimizer: &str, at: &[f64]) -> Vec<f64> {
        let mut inertia = Inertia::new(optimizer.parse().unwrap(), 1).unwrap();
        let of = |&w: &f64| inertia.direction(&Bowl, &[-1.0], &[w][..])[0];
        at.iter().map(of).collect()
    }

    #[test]
    fn directions_by_hand() {
        // Gradients w − 1: −1, −0.5, 2.
        assert_eq!(directions("momentum:0.5", &[0.0, 0.5, 3.0]), [-1.0, -1.0, 1.5]);
        let adam = directions("adam:0.5,0.75", &[0.0, 0.5, 3.0]);
        // m = −0.5, −0.5, 0.75; v = 0.25, 0.25, 1.1875; freed by 1/(1 − βᵗ).
        let expected = [
            -1.0,
            -(0.5 / 0.75) / (0.25f64 / 0.4375).sqrt(),
            (0.75 / 0.875) / (1.1875f64 / 0.578_125).sqrt(),
        ];
        for (found, expected) in adam.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-6, "{adam:?}");
        }
        assert!(Inertia::<f32>::new(Optimizer::Sgd, 5).is_none());
    }
}

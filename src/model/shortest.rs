//! The combination of conjugate directions whose system has the shortest residual.

use crate::real::Real;
use rayon::prelude::*;

/// The most directions that are kept to shorten the residual.
const KEPT: usize = 64;

/// The inner product, in the same order on any number of threads.
pub(super) fn inner(a: &[f64], b: &[f64]) -> f64 {
    let sum = |(a, b): (&[f64], &[f64])| f64::dot_dense(a, b);
    a.par_chunks(1 << 14).zip(b.par_chunks(1 << 14)).map(sum).collect::<Vec<_>>().iter().sum()
}

/// a += factor·b.
pub(super) fn axpy(a: &mut [f64], factor: f64, b: &[f64]) {
    a.par_iter_mut().zip(b).with_min_len(1 << 14).for_each(|(a, b)| *a += factor * b);
}

/// The combination of the directions so far whose residual is shortest, by Gram and Schmidt.
pub(super) struct Shortest {
    /// Pairs of H·t, of length 1 and orthogonal to the others, and t.
    basis: Vec<(Vec<f64>, Vec<f64>)>,
    residual: Vec<f64>,
    /// Where that is.
    pub point: Vec<f64>,
    most: usize,
}

impl Shortest {
    /// From 0, where the residual is this. As many directions are kept as have about `numbers` numbers, which then cost
    /// about a pass over so many nonzeros.
    pub fn new(residual: Vec<f64>, numbers: usize) -> Self {
        let point = vec![0.0; residual.len()];
        let most = (numbers / residual.len().max(1)).clamp(1, KEPT);
        Self { basis: Vec::new(), residual, point, most }
    }

    /// ‖r‖².
    pub fn squared(&self) -> f64 {
        inner(&self.residual, &self.residual)
    }

    /// Takes a direction t with its product H·t into account, and the step there with its residual.
    pub fn reduce(&mut self, mut product: Vec<f64>, mut direction: Vec<f64>, residual: &[f64], step: &[f64]) {
        if self.basis.len() >= self.most {
            self.basis.clear();
        }
        let whole = inner(&product, &product).sqrt();
        for (other, its) in &self.basis {
            let share = inner(other, &product);
            axpy(&mut product, -share, other);
            axpy(&mut direction, -share, its);
        }
        let length = inner(&product, &product).sqrt();
        // What is nearly a combination of the others is mostly rounding.
        if length > 1e-5 * whole {
            product.iter_mut().for_each(|p| *p /= length);
            direction.iter_mut().for_each(|d| *d /= length);
            let share = inner(&product, &self.residual);
            axpy(&mut self.residual, -share, &product);
            axpy(&mut self.point, share, &direction);
            self.basis.push((product, direction));
        }
        if inner(residual, residual) < self.squared() {
            (self.residual, self.point) = (residual.to_vec(), step.to_vec());
        }
    }
}

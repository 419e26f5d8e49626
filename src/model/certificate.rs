//! How far from its minimum an objective is at most, proven by duality.
//!
//! With a strength λ > 0 of the L2 penalty, the objective P(w) = mean ℓ(x·w, y) + λ/2·‖w‖² is never below the dual
//! D(u) = −mean ℓ*(u, y) − λ/2·‖v(u)‖², v(u) = −Σ u·x/(λn), for any u with one entry an example (Fenchel; for
//! these objectives Shalev-Shwartz & Zhang, JMLR 14, 2013). So P(w) − D(u) bounds P(w) − min P, and
//!
//! > P(w) − D(u) = mean [ℓ(z) + ℓ*(u) − uz] + λ/2·‖w − v(u)‖²,  z = x·w,
//!
//! a sum of terms none of which is negative, so that nothing cancels. With an L1 penalty of strength λ₁ as well, let
//! s = −Σ u·x/n, c the part of s within ±λ₁, coordinate by coordinate, and v = (s − c)/λ: the same holds with
//! λ₁·|w| − c·w added for each coordinate. With the L1 penalty alone s must be within ±λ₁, and u is shortened until
//! it is.

use super::linear::Linear;
use super::loss::Loss;
use super::shortest::axpy;
use crate::kernel::{Rows, sparse};
use crate::real::Real;
use rayon::prelude::*;
use std::ops::Range;

/// A certified bound.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Gap {
    /// The objective f(w).
    pub objective: f64,
    /// No less than f(w) − min f.
    pub bound: f64,
}

impl Gap {
    /// No less than (f(w) − min f)/min f; infinite where it is not even known that min f is above 0.
    pub fn relative(self) -> f64 {
        let minimum = self.objective - self.bound;
        if minimum > 0.0 { self.bound / minimum } else { f64::INFINITY }
    }
}

/// The first `n` rows cut into one part a thread.
pub(super) fn parts(n: usize) -> Vec<Range<usize>> {
    let part = n.div_ceil(rayon::current_num_threads()).max(1);
    (0..n).step_by(part).map(|from| from..(from + part).min(n)).collect()
}

/// The sum of what `add` adds to a vector of this length for each part of the first `n` rows. In parallel.
pub(super) fn sum_over_parts(
    n: usize,
    length: usize,
    add: impl Fn(Range<usize>, &mut [f64]) + Sync,
) -> Vec<f64> {
    let sum = |part: Range<usize>| {
        let mut sum = vec![0.0; length];
        add(part, &mut sum);
        sum
    };
    let sums: Vec<_> = parts(n).into_par_iter().map(sum).collect();
    let join = |mut a: Vec<f64>, b: Vec<f64>| {
        axpy(&mut a, 1.0, &b);
        a
    };
    sums.into_iter().reduce(join).unwrap_or_else(|| vec![0.0; length])
}

/// Σ `of(row, x·w).0`·x over the rows x, and all `of(row, x·w).1` in order. In parallel; one pass,
/// O(nonzeros + threads × features).
pub(super) fn combine<C: Copy + Into<f64> + Sync, K: Send>(
    rows: &Rows,
    weights: &[C],
    of: impl Fn(usize, f64) -> (f64, K) + Sync,
) -> (Vec<f64>, Vec<K>) {
    let sum = |part: Range<usize>| {
        let (mut vector, mut kept) = (vec![0.0; rows.features()], Vec::with_capacity(part.len()));
        let row = |r| (rows.row(r), rows.row(r));
        let factor = |r, z| {
            let (factor, keep) = of(r, z);
            kept.push(keep);
            factor
        };
        sparse::combine(part, row, weights, &mut vector, factor, |sum, factor, v| *sum += factor * v);
        (vector, kept)
    };
    let sums: Vec<_> = parts(rows.len()).into_par_iter().map(sum).collect();
    let mut sums = sums.into_iter();
    let (mut vector, mut kept) = sums.next().unwrap_or_else(|| (vec![0.0; rows.features()], Vec::new()));
    for (other, mut others) in sums {
        axpy(&mut vector, 1.0, &other);
        kept.append(&mut others);
    }
    (vector, kept)
}

fn add<const K: usize>(a: [f64; K], b: [f64; K]) -> [f64; K] {
    std::array::from_fn(|i| a[i] + b[i])
}

/// x·w of row `r`, summed in `f64`.
pub(super) fn score<T: Real>(rows: &Rows, r: usize, weights: &[T]) -> f64 {
    sparse::dot_f64(weights, rows.row(r))
}

impl<L: Loss> Linear<'_, L> {
    /// Whether the penalty is L2 alone, and on all parameters.
    pub fn is_ridge(&self) -> bool {
        self.l2 > 0.0 && self.l1 == 0.0 && self.bias.is_none()
    }

    /// Whether there is a certificate: all parameters are penalised. Where the L1 penalty has a part in that, dual
    /// values come from the loss's derivative alone, and hinge loss has none at its kink, where the optimum is.
    pub fn certifiable(&self) -> bool {
        let penalised = self.l1 > 0.0 && self.loss.kind().is_curved() || self.l2 > 0.0 && self.l1 == 0.0;
        penalised && self.bias.is_none()
    }

    /// The slack ℓ(z) + ℓ*(u) − uz ≥ 0 of row `r`.
    pub(super) fn slack(&self, r: usize, z: f64, u: f64) -> f64 {
        let y = f64::from(self.labels[r]);
        (self.loss.loss(z, y) + self.loss.conjugate(u, y) - u * z).max(0.0)
    }

    /// [`Linear::gap`] where w is known to be v(u): one pass that only reads.
    pub(super) fn gap_at_dual<T: Real>(&self, weights: &[T], dual: impl Fn(usize) -> f64 + Sync) -> Gap {
        let n = self.rows.len() as f64;
        let of = |r: usize| {
            let z = T::dot(weights, self.rows.row(r)).to_f64();
            [self.loss.loss(z, f64::from(self.labels[r])), self.slack(r, z, dual(r))]
        };
        let rows = (0..self.rows.len()).into_par_iter().with_min_len(64);
        let [loss, slack] = rows.map(of).reduce(|| [0.0; 2], add);
        let squares = weights.par_iter().with_min_len(1 << 14).map(|w| w.to_f64().powi(2));
        Gap { objective: loss / n + self.l2 / 2.0 * squares.sum::<f64>(), bound: slack / n }
    }

    /// P(w), and P(w) − D(u) for the dual point that `dual(row, score)` gives, which is to be feasible; and the mean
    /// of u·x. In parallel; one pass over the rows, or two where only the L1 penalty is there.
    pub(super) fn gap<T: Real>(
        &self,
        weights: &[T],
        dual: impl Fn(usize, f64) -> f64 + Sync,
    ) -> (Gap, Vec<f64>) {
        let (gap, mean) = self.gap_of(weights, &dual);
        let steepest = mean.iter().fold(0.0, |most: f64, m| most.max(m.abs()));
        if self.l2 > 0.0 || steepest <= self.l1 {
            return (gap, mean);
        }
        // Towards 0 dual values stay feasible. A little further than needed: the sum is rounded.
        let share = self.l1 / steepest * (1.0 - 1e-12);
        (self.gap_of(weights, &|r, z| share * dual(r, z)).0, mean)
    }

    fn gap_of<T: Real>(&self, weights: &[T], dual: &(impl Fn(usize, f64) -> f64 + Sync)) -> (Gap, Vec<f64>) {
        let n = self.rows.len() as f64;
        let (mean, sums) = combine(self.rows, weights, |r, z| {
            let u = dual(r, z);
            (u / n, [self.loss.loss(z, f64::from(self.labels[r])), self.slack(r, z, u)])
        });
        let [loss, slack] = sums.into_iter().fold([0.0; 2], add);
        let penalty = |(w, mean): (&T, &f64)| {
            let (w, within) = (w.to_f64(), (-mean).clamp(-self.l1, self.l1));
            let v = if self.l2 > 0.0 { (-mean - within) / self.l2 } else { w };
            let l1 = self.l1 * w.abs();
            [self.l2 / 2.0 * w * w + l1, self.l2 / 2.0 * (w - v).powi(2) + (l1 - within * w)]
        };
        let pairs = weights.par_iter().zip(&mean).with_min_len(1 << 14);
        let [penalty, distance] = pairs.map(penalty).reduce(|| [0.0; 2], add);
        (Gap { objective: loss / n + penalty, bound: slack / n + distance }, mean)
    }
}

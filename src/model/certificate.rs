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
use crate::kernel::{Row, Rows, elementary, sparse};
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
    /// No less than (f(w) − min f)/min f; infinite where it is not even known that min f is above 0, unless nothing is left.
    pub fn relative(self) -> f64 {
        let minimum = self.objective - self.bound;
        match self.bound {
            0.0 => 0.0,
            bound if minimum > 0.0 => bound / minimum,
            _ => f64::INFINITY,
        }
    }
}

/// Rows whose terms are computed together.
const TOGETHER: usize = 1024;

/// The sums over `0..n` of K numbers that `of` makes of each range of at most [`TOGETHER`]: the same on any number of
/// threads.
pub(super) fn sum_in_chunks<const K: usize>(
    n: usize,
    of: impl Fn(Range<usize>) -> [f64; K] + Sync,
) -> [f64; K] {
    let starts: Vec<usize> = (0..n).step_by(TOGETHER).collect();
    let chunk = |from: usize| of(from..(from + TOGETHER).min(n));
    let sums: Vec<_> = starts.into_par_iter().with_min_len(4).map(chunk).collect();
    sums.into_iter().fold([0.0; K], add)
}

/// The first `n` rows cut into one part a thread.
pub(super) fn parts(n: usize) -> Vec<Range<usize>> {
    let part = n.div_ceil(rayon::current_num_threads()).max(1);
    (0..n).step_by(part).map(|from| from..(from + part).min(n)).collect()
}

/// Zeros that have been written: of a page that is read before it is written the system first lends one of zeros, and
/// takes it back by an interrupt of every core. A Newton step on flights was a tenth longer for it.
pub(super) fn zeros(n: usize) -> Vec<f64> {
    let mut zeros = Vec::with_capacity(n);
    // A known zero would be left to the system.
    zeros.resize(n, std::hint::black_box(0.0));
    zeros
}

/// The sum of what `add` adds to a vector of this length for each part of the first `n` rows. In parallel.
pub(super) fn sum_over_parts(
    n: usize,
    length: usize,
    add: impl Fn(Range<usize>, &mut [f64]) + Sync,
) -> Vec<f64> {
    let sum = |part: Range<usize>| {
        let mut sum = zeros(length);
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

/// Σ factor·x over the rows x, as long as w, and the sums of K numbers: `of(rows, scores, factors)` makes both for some
/// rows of their scores x·w. In parallel; one pass, O(nonzeros + threads × features).
pub(super) fn combine<C: Copy + Into<f64> + Sync, const K: usize>(
    rows: &Rows,
    weights: &[C],
    of: impl Fn(Range<usize>, &[f64], &mut [f64]) -> [f64; K] + Sync,
) -> (Vec<f64>, [f64; K]) {
    let sum = |part: Range<usize>| {
        let (mut vector, mut numbers) = (zeros(weights.len()), [0.0; K]);
        let factors = |rows: Range<usize>, scores: &[f64], factors: &mut [f64]| {
            numbers = add(numbers, of(rows, scores, factors));
        };
        let row = |r| (rows.row(r), rows.row(r));
        sparse::combine(part, row, weights, &mut vector, factors, |sum, factor, v| *sum += factor * v);
        (vector, numbers)
    };
    let sums: Vec<_> = parts(rows.len()).into_par_iter().map(sum).collect();
    let join = |(mut a, numbers): (Vec<f64>, _), (b, others): (Vec<f64>, _)| {
        axpy(&mut a, 1.0, &b);
        (a, add(numbers, others))
    };
    sums.into_iter().reduce(join).unwrap_or_else(|| (zeros(weights.len()), [0.0; K]))
}

/// Σ `factor(r)`·x over the rows x, as long as there are features. In parallel; half a pass.
pub(super) fn weighted_sum(rows: &Rows, factor: impl Fn(usize) -> f64 + Sync) -> Vec<f64> {
    sum_over_parts(rows.len(), rows.features(), |part, sum| {
        let factors = |rows: Range<usize>, _: &[f64], out: &mut [f64]| {
            out.iter_mut().zip(rows).for_each(|(out, r)| *out = factor(r));
        };
        let row = |r| (Row::default(), rows.row(r));
        sparse::combine(part, row, &[0f64; 0], sum, factors, |sum, factor, v| *sum += factor * v);
    })
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

    /// The sums of the losses ℓ(z) and of the slacks ℓ(z) + ℓ*(u) − uz ≥ 0 of some rows.
    pub(super) fn losses_and_slacks(
        &self,
        rows: impl Iterator<Item = usize>,
        z: &[f64],
        u: &[f64],
    ) -> [f64; 2] {
        let (loss, y): (_, Vec<f64>) = (self.loss, rows.map(|r| self.labels[r].into()).collect());
        let slack = |[z, u, y]: [f64; 3]| (loss.loss(z, y) + loss.conjugate(u, y) - u * z).max(0.0);
        [elementary::sum([z, &y], |[z, y]| loss.loss(z, y)), elementary::sum([z, u, &y], slack)]
    }

    /// [`Linear::gap`] where w is known to be v(u): one pass that only reads.
    pub(super) fn gap_at_dual<T: Real>(&self, weights: &[T], dual: impl Fn(usize) -> f64 + Sync) -> Gap {
        let n = self.rows.len();
        let [loss, slack] = sum_in_chunks(n, |rows| {
            let z: Vec<f64> = rows.clone().map(|r| T::dot(weights, self.rows.row(r)).to_f64()).collect();
            let u: Vec<f64> = rows.clone().map(&dual).collect();
            self.losses_and_slacks(rows, &z, &u)
        });
        let squares = weights.par_iter().with_min_len(1 << 14).map(|w| w.to_f64().powi(2));
        let objective = loss / n as f64 + self.l2 / 2.0 * squares.sum::<f64>();
        Gap { objective, bound: slack / n as f64 }
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
        let (mean, [loss, slack]) = combine(self.rows, weights, |rows, z, u| {
            u.iter_mut().zip(rows.clone().zip(z)).for_each(|(u, (r, &z))| *u = dual(r, z));
            let sums = self.losses_and_slacks(rows, z, u);
            u.iter_mut().for_each(|u| *u /= n);
            sums
        });
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

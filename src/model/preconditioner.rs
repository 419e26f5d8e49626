//! Roughly the inverse of H + λ, for Newton's systems.
//!
//! The Hessian's block of the frequent features is solved for, the residual of each other feature divided by the
//! diagonal, and what couples the two parts is heeded: with A the block and C the coupling of a Hessian of some of the
//! rows, D the diagonal of the other features,
//!
//! > M = [A, Cᵀ; C, D + C·A⁻¹·Cᵀ],
//!
//! symmetric and positive definite (a block LDLᵀ). Features of a hundred rows and more look alike in a sample. It
//! matters for the certificate, ‖r‖²/(2λ), in which the residual of a frequent feature weighs as much as its curvature is
//! above λ: on flights (10,639 features) 1e-3 took 12 iterations by the diagonal alone and takes 7, and 1e-6 takes a
//! quarter of the time. Without the coupling nothing is gained: each part spoils the other.

use super::certificate::sum_over_parts;
use super::cholesky::{Cholesky, lower};
use super::linear::Linear;
use crate::kernel::{Row, Rows, sparse};
use rayon::prelude::*;
use std::ops::Range;

/// The most features whose block is solved for, …
const HOT: usize = 256;

/// … and by how much each of them is more frequent than features are in the mean: between features that are alike
/// there is nothing to be gained for the time that the block takes.
const FREQUENT: f64 = 2.0;

/// The rows of the sample: this many for each of these features, or this share if that is more. Rows lie in random
/// order.
const SAMPLE: (usize, usize) = (32, 16);

/// An approximate inverse.
pub(super) struct Preconditioner<'a> {
    rows: &'a Rows,
    /// For each row of the sample its ℓ″ divided by their number, and how many of its nonzeros are in the block.
    sample: Vec<(f64, usize)>,
    diagonal: &'a [f64],
    /// The number of features in the block, the first ones.
    hot: usize,
    block: Option<Cholesky>,
}

impl<'a> Preconditioner<'a> {
    /// For the Hessian of a linear model where `second(row)` is ℓ″/n; `diagonal` that of H + λ, of as
    /// many features as there are systems' unknowns. O(nonzeros).
    pub fn new<L>(linear: &Linear<'a, L>, second: impl Fn(usize) -> f64, diagonal: &'a [f64]) -> Self {
        let (rows, counts) = (linear.rows, linear.counts);
        let least = FREQUENT * rows.nonzeros() as f64 / diagonal.len().max(1) as f64;
        let mut hot = counts.iter().take(HOT).take_while(|&&count| f64::from(count) >= least).count();
        let sample = |hot: usize| (SAMPLE.0 * hot).max(rows.len() / SAMPLE.1).min(rows.len());
        // Of long rows fewer, as each pair is an addition: no more of them than in a pass.
        let pairs = |hot: usize| {
            let of = |r: usize| rows.row(r).split(hot).0.len().pow(2) / 2;
            (0..sample(hot)).map(of).sum::<usize>()
        };
        while hot > 0 && pairs(hot) > rows.nonzeros() {
            hot /= 2;
        }
        if hot == 0 {
            return Self { rows, sample: Vec::new(), diagonal, hot, block: None };
        }
        let scale = rows.len() as f64 / sample(hot) as f64;
        let of = |r: usize| (scale * second(r), rows.row(r).split(hot).0.len());
        let mut it = Self { rows, sample: (0..sample(hot)).map(of).collect(), diagonal, hot, block: None };
        let mut lower = lower(it.sample.len(), hot, |r| it.row(r).0, |r| it.sample[r].0);
        (0..hot).for_each(|i| lower[i * hot + i] += linear.l2);
        it.block = Cholesky::new(lower, hot);
        it
    }

    /// The nonzeros of a row of the sample that are in the block, and the others.
    #[inline(always)]
    fn row(&self, r: usize) -> (Row<'a>, Row<'a>) {
        let (row, at) = (self.rows.row(r), self.sample[r].1);
        (row.part(0..at), row.part(at..row.len()))
    }

    /// M⁻¹·r. A pass over the sample, half of it there and half of it back.
    pub fn apply(&self, residual: &[f64]) -> Vec<f64> {
        let divide = |r: &[f64]| -> Vec<f64> {
            r.par_iter().zip(self.diagonal).with_min_len(1 << 14).map(|(r, d)| r / d).collect()
        };
        let Some(block) = &self.block else { return divide(residual) };
        let second = |rows: Range<usize>, along: &[f64], out: &mut [f64]| {
            let sample = self.sample[rows].iter().zip(along);
            out.iter_mut().zip(sample).for_each(|(out, ((second, _), along))| *out = second * along);
        };
        let alone = block.solve(&residual[..self.hot]);
        let coupled = sum_over_parts(self.sample.len(), residual.len(), |part, sum| {
            sparse::combine(part, |r| self.row(r), &alone, sum, second, |sum, factor, v| *sum += factor * v);
        });
        let left: Vec<f64> = residual.iter().zip(coupled).map(|(r, c)| r - c).collect();
        let mut step = divide(&left);
        let spoilt = sum_over_parts(self.sample.len(), self.hot, |part, sum| {
            let back = |r| {
                let (hot, rare) = self.row(r);
                (rare, hot)
            };
            sparse::combine(part, back, &step, sum, second, |sum, factor, v| *sum += factor * v);
        });
        let hot = alone.iter().zip(block.solve(&spoilt)).map(|(a, b)| a - b);
        step.iter_mut().zip(hot).for_each(|(step, hot)| *step = hot);
        step
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::super::loss::LogisticLoss;
    use super::*;

    /// Rows of four features, of which those of the first two groups are frequent.
    fn rows(n: usize) -> Rows {
        let mut ids = Vec::new();
        for r in 0..n as u32 {
            let mut row = [r % 7, 7 + r * 3 % 50, 60 + r * 31 % 190, 256 + r * 17 % 140];
            row.sort_unstable();
            ids.extend(row);
        }
        let values = (0..4 * n).map(|k| 0.5 + (k % 5) as f32).collect();
        Rows::new((0..=n as u64).map(|r| 4 * r).collect(), ids, values, 400).unwrap()
    }

    /// H + λ, dense.
    fn hessian(rows: &Rows, second: impl Fn(usize) -> f64, l2: f64) -> Vec<Vec<f64>> {
        let mut hessian = vec![vec![0.0; rows.features()]; rows.features()];
        (0..rows.features()).for_each(|i| hessian[i][i] = l2);
        for r in 0..rows.len() {
            for (i, v) in rows.row(r).iter() {
                rows.row(r)
                    .iter()
                    .for_each(|(j, u)| hessian[i][j] += second(r) * f64::from(v) * f64::from(u));
            }
        }
        hessian
    }

    /// A sample's block is that of all rows, nearly; and where there is none, the diagonal is left.
    #[test]
    fn a_sample_stands_for_all_rows() {
        let rows = rows(40_000);
        let labels = vec![1.0; rows.len()];
        let linear = Linear::new(&rows, &labels, LogisticLoss, 1e-3, 0.0, None);
        let second = |r: usize| (1 + r % 3) as f64 / (4 * rows.len()) as f64;
        let hessian = hessian(&rows, second, linear.l2);
        let diagonal: Vec<f64> = (0..rows.features()).map(|i| hessian[i][i]).collect();
        let preconditioner = Preconditioner::new(&linear, second, &diagonal);
        let hot = preconditioner.hot;
        assert!(hot > 20 && preconditioner.sample.len() < rows.len() / 10);
        let x: Vec<f64> = (0..hot).map(|i| 1.0 + (i as f64 * 0.7).sin()).collect();
        let product: Vec<f64> = (0..hot).map(|i| (0..hot).map(|j| hessian[i][j] * x[j]).sum()).collect();
        let solved = preconditioner.block.as_ref().unwrap().solve(&product);
        let (off, size) = solved
            .iter()
            .zip(&x)
            .fold((0.0, 0.0), |(off, size), (s, x)| (off + (s - x) * (s - x), size + x * x));
        assert!(off < 0.05 * size, "{off} of {size}");
        let without = Preconditioner { hot: 0, block: None, ..preconditioner };
        assert_eq!(without.apply(&diagonal), vec![1.0; rows.features()]);
    }

    /// Where the sample is all rows, M·M⁻¹·r = r, M put together from its definition.
    #[test]
    fn it_is_the_inverse_of_its_definition() {
        let (n, features) = (700, 400);
        let rows = rows(n);
        let labels = vec![1.0; n];
        let linear = Linear::new(&rows, &labels, LogisticLoss, 1e-3, 0.0, None);
        let second = |r: usize| (1 + r % 3) as f64 / (4 * n) as f64;
        let hessian = hessian(&rows, second, linear.l2);
        let diagonal: Vec<f64> = (0..features).map(|i| hessian[i][i]).collect();
        let preconditioner = Preconditioner::new(&linear, second, &diagonal);
        let hot = preconditioner.hot;
        assert!((20..100).contains(&hot), "{hot} features are frequent");
        let residual: Vec<f64> = (0..features).map(|i| (i as f64 * 0.7).sin()).collect();
        let step = preconditioner.apply(&residual);
        let times =
            |i: usize, columns: Range<usize>| -> f64 { columns.map(|j| hessian[i][j] * step[j]).sum() };
        // Of A·x + Cᵀ·y = r the solution for x, without y, is what A⁻¹·Cᵀ·y takes away.
        let spoilt: Vec<f64> = (0..hot).map(|i| times(i, hot..features)).collect();
        let mended = preconditioner.block.as_ref().unwrap().solve(&spoilt);
        for i in 0..features {
            let product = if i < hot {
                times(i, 0..features)
            } else {
                let coupled: f64 = (0..hot).map(|j| hessian[i][j] * mended[j]).sum();
                times(i, 0..hot) + diagonal[i] * step[i] + coupled
            };
            assert!((product - residual[i]).abs() < 1e-9, "feature {i}: {product}, not {}", residual[i]);
        }
    }
}

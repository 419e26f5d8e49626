//! Small dense symmetric systems.

use super::certificate::sum_over_parts;
use crate::kernel::Row;

/// The lower triangle L of H = L·Lᵀ, by rows.
pub(super) struct Cholesky {
    lower: Vec<f64>,
    size: usize,
}

/// The lower triangle of Σ second(r)·x·xᵀ over the first `n` rows x, by rows, `size` numbers each. In parallel; O(pairs of
/// nonzeros + threads × size²).
///
/// # Panics
/// If a row has an id that is not below `size`.
pub(super) fn lower<'a>(
    n: usize,
    size: usize,
    row: impl Fn(usize) -> Row<'a> + Sync,
    second: impl Fn(usize) -> f64 + Sync,
) -> Vec<f64> {
    sum_over_parts(n, size * size, |part, lower| {
        for r in part {
            let (row, second) = (row(r), second(r));
            for (k, (i, v)) in row.iter().enumerate() {
                let (line, factor) = (&mut lower[i * size..][..=i], second * f64::from(v));
                for (&j, &v) in row.ids()[..=k].iter().zip(row.values()) {
                    line[j as usize] += factor * f64::from(v);
                }
            }
        }
    })
}

/// Σ a·b, in eight chains of additions.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let (a, b) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    let mut sums = [0.0; 8];
    for (a, b) in a.0.iter().zip(b.0) {
        for lane in 0..8 {
            sums[lane] += a[lane] * b[lane];
        }
    }
    sums.iter().sum::<f64>() + a.1.iter().zip(b.1).map(|(a, b)| a * b).sum::<f64>()
}

impl Cholesky {
    /// Factors the symmetric matrix whose lower triangle is given by rows, `size` numbers each; `None` where it is
    /// not positive definite. O(size³).
    pub fn new(mut lower: Vec<f64>, size: usize) -> Option<Self> {
        for i in 0..size {
            let (above, row) = lower.split_at_mut(i * size);
            for j in 0..i {
                let other = &above[j * size..];
                row[j] = (row[j] - dot(&row[..j], &other[..j])) / other[j];
            }
            let pivot = row[i] - dot(&row[..i], &row[..i]);
            if pivot.is_nan() || pivot <= 0.0 {
                return None;
            }
            row[i] = pivot.sqrt();
        }
        Some(Self { lower, size })
    }

    /// The x of H·x = b. O(size²).
    pub fn solve(&self, b: &[f64]) -> Vec<f64> {
        let mut x = b.to_vec();
        for i in 0..self.size {
            let row = &self.lower[i * self.size..];
            x[i] = (x[i] - dot(&row[..i], &x[..i])) / row[i];
        }
        for i in (0..self.size).rev() {
            let row = &self.lower[i * self.size..];
            x[i] /= row[i];
            let last = x[i];
            x[..i].iter_mut().zip(row).for_each(|(x, l)| *x -= l * last);
        }
        x
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn solves_and_refuses_what_is_not_definite() {
        let n = 21;
        // A matrix that dominates its diagonal, and a known solution.
        let entry = |i: usize, j: usize| if i == j { 30.0 } else { ((i * 7 + j * 7) % 11) as f64 / 11.0 };
        let x: Vec<f64> = (0..n).map(|i| i as f64 - 8.5).collect();
        let b: Vec<f64> = (0..n).map(|i| (0..n).map(|j| entry(i, j) * x[j]).sum()).collect();
        let matrix: Vec<f64> = (0..n * n).map(|k| entry(k / n, k % n)).collect();
        let solved = Cholesky::new(matrix, n).unwrap().solve(&b);
        assert!(solved.iter().zip(&x).all(|(s, x)| (s - x).abs() < 1e-12));
        assert!(Cholesky::new(vec![1.0, 0.0, 2.0, 1.0], 2).is_none());
    }
}

//! Linear models on sparse rows: mean loss + l2/2·‖w‖² + l1·‖w‖₁.

use super::certificate::{Gap, sum_in_chunks, zeros};
use super::kind::LossKind;
use super::loss::Loss;
use super::objective::{Curvature, LinearVisitor, Objective};
use crate::kernel::{Constants, Row, Rows, elementary, sparse};
use crate::real::Real;
use crate::weights::{Sink, Weights};
use rayon::prelude::*;
use std::ops::Range;
use xxhash_rust::xxh3::Xxh3;

/// A linear model bound to its rows and labels.
///
/// The regulariser is applied to the coordinates that a row touches, each scaled by the inverse of the
/// coordinate's frequency, n/count: in expectation over the rows that is the exact gradient of
/// l2/2·‖w‖² (and the exact shrinkage of l1·‖w‖₁), at the cost of the touched coordinates only. Loss and
/// regulariser reach each coordinate in one combined addition. L1 is a proximal step (soft threshold), so
/// that coordinates become exactly zero.
pub struct Linear<'d, L> {
    pub(super) rows: &'d Rows,
    pub(super) labels: &'d [f32],
    pub(super) loss: L,
    pub(super) l2: f64,
    pub(super) l1: f64,
    pub(super) counts: &'d [u32],
    /// n/count per coordinate; 0 for a bias, which is not regularised.
    pub(super) rarity: Constants,
    pub(super) bias: Option<usize>,
    pub(super) curvature: Curvature,
    /// ‖x‖² of each row.
    pub(super) squares: &'d [f64],
}

/// How many nonzeros a feature makes up for the array that another part of the rows needs.
const PART: usize = 3;

/// The sum of what `of` makes of each part of the rows, in parallel: the same parts on any number of threads, and few
/// where there are many features.
fn sum_parts<V: Send>(rows: &Rows, of: impl Fn(Range<usize>) -> V + Sync, add: impl Fn(&mut V, V)) -> V {
    let parts = (rows.nonzeros() / (PART * rows.features()).max(1)).clamp(1, 16);
    let part = rows.len().div_ceil(parts).max(1);
    let range = |k: usize| (k * part).min(rows.len())..((k + 1) * part).min(rows.len());
    let sums: Vec<V> = (0..parts).into_par_iter().map(|k| of(range(k))).collect();
    let join = |mut sum: V, other| {
        add(&mut sum, other);
        sum
    };
    sums.into_iter().reduce(join).unwrap_or_else(|| of(0..0))
}

impl<'d, L: Loss> Linear<'d, L> {
    /// A model on `rows` with one label a row; `bias` is the column, if any, that is not regularised.
    /// O(nonzeros), in parallel.
    ///
    /// # Panics
    /// If there are not as many labels as rows.
    pub fn new(rows: &'d Rows, labels: &'d [f32], loss: L, l2: f64, l1: f64, bias: Option<usize>) -> Self {
        assert_eq!(rows.len(), labels.len(), "one label a row");
        let n = rows.len() as f64;
        let (counts, squares) = (rows.counts(), rows.squares());
        let smooth = |(x, &y): (&f64, &f32)| loss.curvature(f64::from(y)) * x;
        let smooth = squares.iter().zip(labels).map(smooth);
        let largest = smooth.clone().fold(0.0, f64::max);
        let mean = smooth.sum::<f64>() / n;
        let curvature =
            Curvature { example_max: largest + l2, example_mean: mean + l2, strong_convexity: l2 };
        let rarity = |(i, &count): (usize, &u32)| match count {
            0 => 0.0,
            _ if Some(i) == bias => 0.0,
            count => (rows.len() as f64 / f64::from(count)) as f32,
        };
        let rarity = counts.par_iter().enumerate().with_min_len(1 << 14).map(rarity).collect();
        let rarity = Constants::new(rarity);
        Self { rows, labels, loss, l2, l1, counts, rarity, bias, curvature, squares }
    }

    /// The rows that the model is trained on.
    pub fn rows(&self) -> &'d Rows {
        self.rows
    }

    /// The loss by name.
    pub fn loss(&self) -> LossKind {
        self.loss.kind()
    }

    /// The strength of the L2 penalty.
    pub fn l2(&self) -> f64 {
        self.l2
    }

    /// The strength of the L1 penalty.
    pub fn l1(&self) -> f64 {
        self.l1
    }

    /// The mean smoothness constant of an example's loss.
    pub fn smoothness(&self) -> f64 {
        self.curvature.example_mean - self.l2
    }

    /// What it is, by name: the data's hash is that of rows and labels as they lie.
    pub(super) fn described(&self) -> Vec<(&'static str, String)> {
        let bias = self.bias.map_or("none".to_owned(), |column| format!("column {column}"));
        // The weights of classes: the loss tells no more of itself.
        let weight = |y: f64| self.loss.curvature(y) / self.loss().curvature(y);
        vec![
            ("class weights", format!("{} {}", weight(-1.0), weight(1.0))),
            ("data", fingerprint(self.rows, self.labels)),
            ("loss", self.loss().to_string()),
            ("l2", self.l2.to_string()),
            ("l1", self.l1.to_string()),
            ("intercept", bias),
        ]
    }

    /// The features up to the last one that a row has.
    pub(crate) fn used(&self) -> usize {
        self.counts.iter().rposition(|&count| count > 0).map_or(0, |last| last + 1)
    }

    /// The labels of some rows.
    pub(super) fn labels_of(&self, rows: Range<usize>) -> Vec<f64> {
        self.labels[rows].iter().map(|&y| y.into()).collect()
    }

    /// The bound on the second derivative of the loss of row `r`.
    pub(super) fn bend(&self, r: usize) -> f64 {
        self.loss.curvature(f64::from(self.labels[r]))
    }

    /// l2/2·‖w‖² + l1·‖w‖₁, the bias left out.
    fn regulariser<T: Real>(&self, weights: &[T]) -> f64 {
        let of = |(i, &w): (usize, &T)| {
            let w = if Some(i) == self.bias { 0.0 } else { w.to_f64() };
            self.l2 / 2.0 * w * w + self.l1 * w.abs()
        };
        weights.iter().enumerate().map(of).sum()
    }
}

/// The xxh3-128 of rows and labels as they lie, in hex.
pub(super) fn fingerprint(rows: &Rows, labels: &[f32]) -> String {
    let (starts, ids, values) = rows.arrays();
    let mut hash = Xxh3::new();
    hash.update(bytemuck::cast_slice(starts));
    hash.update(bytemuck::cast_slice(ids));
    hash.update(bytemuck::cast_slice(values));
    hash.update(bytemuck::cast_slice(labels));
    format!("{:032x}", hash.digest128())
}

/// The rows of a mini-batch and dℓ/dz of each: the gradient, not multiplied out.
pub struct Residuals<T> {
    pub(super) examples: Range<usize>,
    pub(super) residuals: Vec<T>,
}

/// Single precision where the parameters are single, else double.
#[inline]
fn derivative<T: Real, L: Loss>(loss: L, z: T, y: f32) -> T {
    if size_of::<T>() == size_of::<f32>() {
        T::from_f32(loss.derivative_f32(z.to_f64() as f32, y))
    } else {
        T::from_f64(loss.derivative(z.to_f64(), f64::from(y)))
    }
}

/// The minimiser over u of (u − w)²/2 + t·|u|; NaN stays NaN, to be noticed.
#[inline]
pub(super) fn soft_threshold<T: Real>(w: T, t: T) -> T {
    if w.abs() <= t {
        T::ZERO
    } else if w > t {
        w - t
    } else {
        w + t
    }
}

impl<T: Real, L: Loss> Objective<T> for Linear<'_, L> {
    type Gradient = Residuals<T>;

    fn parameters(&self) -> usize {
        self.rows.features()
    }

    fn examples(&self) -> usize {
        self.rows.len()
    }

    fn buffer(&self) -> Residuals<T> {
        Residuals { examples: 0..0, residuals: Vec::new() }
    }

    #[inline(always)]
    fn gradient<W: Weights<T> + ?Sized>(&self, examples: Range<usize>, w: &W, out: &mut Residuals<T>) {
        out.residuals.clear();
        // Pushed one by one: an extension by an iterator is a call of its own, which rows of a dozen nonzeros would feel.
        for r in examples.clone() {
            out.residuals.push(derivative(self.loss, w.dot(self.rows.row(r)), self.labels[r]));
        }
        out.examples = examples;
    }

    #[inline]
    fn descend<S: Sink<T> + ?Sized>(&self, gradient: &Residuals<T>, step: T, weights: &mut S) {
        // A mini-batch averages: each example moves by its share of the step.
        let batch = gradient.examples.len();
        let step = if batch == 1 { step } else { step / T::from_f64(batch as f64) };
        let (shrink, threshold) = (step * T::from_f64(self.l2), step * T::from_f64(self.l1));
        for (r, &residual) in gradient.examples.clone().zip(&gradient.residuals) {
            let (row, a) = (self.rows.row(r), step * residual);
            if self.l1 == 0.0 {
                weights.ridge_step(row, &self.rarity, a, shrink);
            } else {
                weights.update_row(row, &self.rarity, |_, w, v, rarity| {
                    let moved = w - (a * v + shrink * rarity * w);
                    soft_threshold(moved, threshold * rarity) - w
                });
            }
        }
    }

    fn value(&self, weights: &[T]) -> f64 {
        // Where most runs start: no row has to be read.
        let zero = weights.iter().all(|&w| w == T::ZERO);
        let [losses] = sum_in_chunks(self.rows.len(), |rows| {
            let score = |r| if zero { 0.0 } else { sparse::dot_f64(weights, self.rows.row(r)) };
            let z: Vec<f64> = rows.clone().map(score).collect();
            [elementary::sum([&z, &self.labels_of(rows)], |[z, y]| self.loss.loss(z, y))]
        });
        losses / self.rows.len() as f64 + self.regulariser(weights)
    }

    /// At the dual point ℓ′(z), which without an L1 penalty gives ‖∇f‖²/(2·l2).
    fn certify(&self, weights: &mut [T], target: Option<f64>) -> Option<Gap> {
        let dual = |r: usize, z: f64| self.loss.derivative(z, f64::from(self.labels[r]));
        target.filter(|_| self.certifiable()).map(|_| self.gap(weights, dual).0)
    }

    fn visit_linear<V: LinearVisitor>(&self, visitor: V) -> Option<V::Output> {
        Some(visitor.visit(self))
    }

    fn identity(&self) -> Vec<(&'static str, String)> {
        self.described()
    }

    fn nonzeros(&self) -> u64 {
        self.rows.nonzeros() as u64
    }

    fn counts(&self) -> Option<&[u32]> {
        Some(self.counts)
    }

    fn curvature(&self) -> Option<Curvature> {
        Some(self.curvature)
    }

    fn bounds(&self) -> Vec<f32> {
        let of = |part: Range<usize>| {
            let mut bounds = zeros(self.rows.features());
            let row = |r| (Row::default(), self.rows.row(r));
            let factor = |r| self.bend(r) * sparse::sum(self.rows.row(r), f64::abs) / self.rows.len() as f64;
            let factors = |rows: Range<usize>, _: &[f64], out: &mut [f64]| {
                out.iter_mut().zip(rows).for_each(|(out, r)| *out = factor(r));
            };
            let add = |bound: &mut f64, factor: f64, v: f64| *bound += factor * v.abs();
            sparse::combine(part, row, &[0f64; 0], &mut bounds, factors, add);
            bounds
        };
        let bounds =
            sum_parts(self.rows, of, |sum, part| sum.iter_mut().zip(part).for_each(|(s, g)| *s += g));
        let penalty = |i| if Some(i) == self.bias { 0.0 } else { self.l2 };
        bounds.iter().enumerate().map(|(i, bound)| (bound + penalty(i)) as f32).collect()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::super::loss::{HingeLoss, HuberLoss, LogisticLoss, SquaredHingeLoss, SquaredLoss};
    use super::super::weighted::Weighted;
    use super::*;

    fn rows() -> Rows {
        let (ids, values) = (vec![0, 2, 0, 1, 3, 1, 2, 3], vec![1.0, -0.5, 2.0, 0.3, 0.7, -1.5, 1.0, 0.25]);
        Rows::new(vec![0, 2, 5, 5, 8], ids, values, 4).unwrap()
    }

    const LABELS: [f32; 4] = [1.0, -1.0, 1.0, -1.0];

    /// The mean of all single-example steps is the full gradient, and that is the derivative of the value.
    fn check<L: Loss>(loss: L, batch: usize) {
        let rows = rows();
        let model = Linear::new(&rows, &LABELS, loss, 0.3, 0.0, Some(3));
        let w = [0.31f64, -0.72, 0.13, 0.44];
        let mut mean = [0f64; 4];
        let mut gradient = Objective::<f64>::buffer(&model);
        for start in (0..4).step_by(batch) {
            let mut moved = w;
            model.gradient(start..start + batch, &w[..], &mut gradient);
            model.descend(&gradient, 1e-7, &mut moved[..]);
            for i in 0..4 {
                mean[i] += (w[i] - moved[i]) / 1e-7 / (4 / batch) as f64;
            }
        }
        for i in 0..4 {
            let (mut up, mut down) = (w, w);
            up[i] += 1e-6;
            down[i] -= 1e-6;
            let numeric = (model.value(&up) - model.value(&down)) / 2e-6;
            assert!(
                (numeric - mean[i]).abs() < 1e-5,
                "{} w[{i}]: {numeric} vs {}",
                model.loss.kind(),
                mean[i]
            );
        }
    }

    #[test]
    fn steps_are_the_gradient_of_the_reported_objective() {
        for batch in [1, 2, 4] {
            check(LogisticLoss, batch);
            check(HingeLoss, batch);
            check(SquaredHingeLoss, batch);
            check(SquaredLoss, batch);
            check(HuberLoss { delta: 0.5 }, batch);
            check(Weighted::new(LogisticLoss, [0.5, 3.0]), batch);
        }
    }

    #[test]
    fn l1_steps_to_exact_zero_and_is_in_the_value() {
        let rows = rows();
        let model = Linear::new(&rows, &LABELS, LogisticLoss, 0.0, 10.0, None);
        let mut w = [1e-3f32, 0.0, -1e-3, 0.0];
        let mut gradient = Objective::<f32>::buffer(&model);
        model.gradient(0..1, &w[..], &mut gradient);
        model.descend(&gradient, 0.1, &mut w[..]);
        assert_eq!(w, [0.0; 4]);
        let value: f64 = Objective::<f32>::value(&model, &[1.0, 0.0, 0.0, -2.0]);
        let without = Linear::new(&rows, &LABELS, LogisticLoss, 0.0, 0.0, None);
        assert!((value - Objective::<f32>::value(&without, &[1.0, 0.0, 0.0, -2.0]) - 30.0).abs() < 1e-9);
    }

    #[test]
    fn coordinate_bounds_dominate_the_hessian() {
        // diag(g) − H must be positive semidefinite: try many directions.
        let rows = rows();
        let model = Linear::new(&rows, &LABELS, Weighted::new(SquaredLoss, [0.2, 2.0]), 0.1, 0.0, None);
        let g = Objective::<f64>::bounds(&model);
        for seed in 0..200u32 {
            let direction: Vec<f64> =
                (0..4).map(|i| f64::from((seed * 7919 + i * 104_729) % 2001) / 1000.0 - 1.0).collect();
            let along =
                |row: Row<'_>| row.iter().map(|(i, v)| direction[i] * f64::from(v)).sum::<f64>().powi(2);
            let weight = |label: f32| if label > 0.0 { 2.0 } else { 0.2 };
            let quadratic: f64 =
                rows.iter().zip(LABELS).map(|(row, label)| weight(label) * along(row) / 4.0).sum::<f64>()
                    + 0.1 * direction.iter().map(|d| d * d).sum::<f64>();
            let bound: f64 = direction.iter().zip(&g).map(|(d, &g)| d * d * f64::from(g)).sum();
            assert!(quadratic <= bound + 1e-6);
        }
    }
}

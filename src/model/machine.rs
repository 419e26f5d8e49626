//! Factorization machines of second order (Rendle 2010).

use super::kind::LossKind;
use super::linear::fingerprint;
use super::loss::Loss;
use super::objective::{Curvature, Model, Objective, check_room};
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::kernel::Rows;
use crate::real::Real;
use crate::weights::{Sink, Weights};
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use rayon::prelude::*;
use std::ops::Range;

/// A factorization machine, before it has met its data: a row's score is
///
/// > w₀ + Σ_i w_i·x_i + Σ_{i<j} (v_i·v_j)·x_i·x_j,
///
/// v_i a vector of `rank` factors for each feature. The objective is the mean loss of the scores +
/// l2/2·(|w|² + |V|²), w₀ left out.
///
/// ```
/// use asyncsgd::model::{FactorizationMachine, LossKind};
/// use asyncsgd::{Dataset, Trainer};
/// // y is the product of the two features' signs: no linear model tells the classes apart.
/// let rows = (vec![0, 2, 4, 6, 8], vec![0, 1, 0, 1, 0, 1, 0, 1], vec![1., 1., 1., -1., -1., 1., -1., -1.]);
/// let data = Dataset::from_csr(rows.0, rows.1, rows.2, vec![1., -1., -1., 1.], 2)?;
/// let model = FactorizationMachine::new(LossKind::Logistic, 4).with_l2(1e-3);
/// let run = Trainer::new(model).workers(1).rate(0.2).epochs(300).run(&data)?;
/// assert!(run.last().objective < 0.2);
/// # Ok::<(), asyncsgd::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FactorizationMachine {
    loss: LossKind,
    rank: usize,
    l2: Option<f64>,
}

impl FactorizationMachine {
    /// With factors of this rank, 1 to 65,536, and l2 = 1/rows.
    pub fn new(loss: LossKind, rank: usize) -> Self {
        Self { loss, rank, l2: None }
    }

    /// With this L2 penalty, ≥ 0.
    #[must_use]
    pub fn with_l2(self, l2: f64) -> Self {
        Self { l2: Some(l2), ..self }
    }
}

impl<T: Real> Model<T> for FactorizationMachine {
    type Data = Dataset;
    type Objective<'d> = Machine<'d>;

    fn bind<'d>(&self, data: &'d Dataset) -> Result<Machine<'d>> {
        let l2 = self.l2.unwrap_or(1.0 / data.len().max(1) as f64);
        check(self.rank, l2)?;
        super::spec::check_labels(self.loss, data)?;
        let rows = data.rows();
        let counts = rows.counts();
        let n = rows.len() as f64;
        let rarity = counts.iter().map(|&c| if c == 0 { 0.0 } else { (n / f64::from(c)) as f32 }).collect();
        let layout = MachineLayout { features: rows.features(), rank: self.rank };
        check_room::<T>(layout.features as u128 * layout.stride() as u128)?;
        let mut by_parameter = vec![rows.len() as u32; LINE];
        by_parameter.extend(counts.iter().flat_map(|&c| std::iter::repeat_n(c, layout.stride())));
        Ok(Machine { rows, labels: data.labels(), loss: self.loss, l2, layout, rarity, counts: by_parameter })
    }
}

/// Checks what all machines are given.
pub(super) fn check(rank: usize, l2: f64) -> Result<()> {
    let mut wrong = Vec::new();
    if !(1..=1 << 16).contains(&rank) {
        wrong.push(format!("rank: found {rank}, expected 1 to 65536"));
    }
    if !(l2 >= 0.0 && l2.is_finite()) {
        wrong.push(format!("l2: found {l2}, expected a number ≥ 0"));
    }
    if wrong.is_empty() { Ok(()) } else { Err(Error::Usage(wrong)) }
}

/// Floats on a cache line.
const LINE: usize = 16;

/// How a machine's parameters are laid out: w₀ on a cache line of its own, then for each feature, from a cache line on,
/// its factors and its weight.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MachineLayout {
    /// The number of features.
    pub features: usize,
    /// The number of factors.
    pub rank: usize,
}

impl MachineLayout {
    /// The length of a feature's row, its padding included.
    #[inline(always)]
    pub fn stride(&self) -> usize {
        (self.rank + 1).next_multiple_of(LINE)
    }

    /// Where a feature's factors begin.
    #[inline(always)]
    pub fn factors(&self, feature: usize) -> usize {
        LINE + feature * self.stride()
    }

    /// Where a feature's weight is.
    #[inline(always)]
    pub fn weight(&self, feature: usize) -> usize {
        self.factors(feature) + self.rank
    }

    /// The number of parameters, padding included.
    pub fn parameters(&self) -> usize {
        self.factors(self.features)
    }

    /// The score of a row, given by features and values, in double precision.
    pub fn score<T: Real>(&self, weights: &[T], row: impl Iterator<Item = (usize, f32)> + Clone) -> f64 {
        let linear: f64 = row.clone().map(|(i, x)| weights[self.weight(i)].to_f64() * f64::from(x)).sum();
        let pairs: f64 = (0..self.rank)
            .map(|f| {
                let terms = row.clone().map(|(i, x)| weights[self.factors(i) + f].to_f64() * f64::from(x));
                let (sum, squares) = terms.fold((0.0, 0.0), |(sum, squares), t| (sum + t, squares + t * t));
                (sum * sum - squares) / 2.0
            })
            .sum();
        weights[0].to_f64() + linear + pairs
    }

    /// The score of each row of a data set, by position. In parallel; O(nonzeros · rank).
    pub fn scores<T: Real>(&self, data: &Dataset, weights: &[T]) -> Vec<f64> {
        (0..data.len()).into_par_iter().map(|r| self.score(weights, data.row(r).iter())).collect()
    }
}

/// A factorization machine bound to its rows and labels.
pub struct Machine<'d> {
    rows: &'d Rows,
    labels: &'d [f32],
    loss: LossKind,
    l2: f64,
    layout: MachineLayout,
    /// n/count by feature: the penalty is applied to the features that a row touches, exactly in expectation.
    rarity: Vec<f32>,
    /// By parameter; falling, as features are ordered by frequency.
    counts: Vec<u32>,
}

impl Machine<'_> {
    /// How the parameters are laid out.
    pub fn layout(&self) -> MachineLayout {
        self.layout
    }

    /// The bound on the loss's second derivative at any label.
    fn bend(&self) -> f64 {
        self.labels.iter().fold(0.0, |most: f64, &y| most.max(self.loss.curvature(f64::from(y))))
    }

    /// The strength of the L2 penalty.
    pub fn l2(&self) -> f64 {
        self.l2
    }
}

/// For each row of a mini-batch dℓ/dz and the sums S_f = Σ v_if·x_i over its features: the gradient, not multiplied out.
pub struct Sums<T> {
    examples: Range<usize>,
    residuals: Vec<T>,
    sums: Vec<T>,
    row: Vec<T>,
    squares: Vec<T>,
}

impl<T: Real> Objective<T> for Machine<'_> {
    type Gradient = Sums<T>;

    fn parameters(&self) -> usize {
        self.layout.parameters()
    }

    fn identity(&self) -> Vec<(&'static str, String)> {
        let data = fingerprint(self.rows, self.labels);
        vec![
            ("data", data),
            ("loss", self.loss.to_string()),
            ("rank", self.layout.rank.to_string()),
            ("l2", self.l2.to_string()),
        ]
    }

    fn examples(&self) -> usize {
        self.rows.len()
    }

    fn buffer(&self) -> Sums<T> {
        let stride = self.layout.stride();
        let (row, squares) = (vec![T::ZERO; stride], vec![T::ZERO; stride]);
        Sums { examples: 0..0, residuals: Vec::new(), sums: Vec::new(), row, squares }
    }

    #[inline]
    fn gradient<W: Weights<T> + ?Sized>(&self, examples: Range<usize>, w: &W, out: &mut Sums<T>) {
        let (layout, stride) = (&self.layout, self.layout.stride());
        out.residuals.clear();
        out.sums.clear();
        out.sums.resize(examples.len() * stride, T::ZERO);
        for (r, sums) in examples.clone().zip(out.sums.chunks_exact_mut(stride)) {
            out.squares.fill(T::ZERO);
            for (i, x) in self.rows.row(r).iter() {
                w.copy_out(layout.factors(i), &mut out.row);
                let x = T::from_f32(x);
                // Whole lines: the weight is summed with the factors, and the padding is zero.
                let lines = out.row.as_chunks::<LINE>().0.iter().zip(sums.as_chunks_mut::<LINE>().0);
                for ((row, sums), squares) in lines.zip(out.squares.as_chunks_mut::<LINE>().0) {
                    for lane in 0..LINE {
                        let term = row[lane] * x;
                        sums[lane] += term;
                        squares[lane] += term * term;
                    }
                }
            }
            let factors = sums[..layout.rank].iter().zip(&out.squares);
            let pairs: T = factors.map(|(&s, &q)| s * s - q).sum();
            let z = w.get(0) + sums[layout.rank] + pairs * T::from_f64(0.5);
            let y = self.labels[r];
            out.residuals.push(T::from_f32(self.loss.derivative_f32(z.to_f64() as f32, y)));
        }
        out.examples = examples;
    }

    #[inline]
    fn descend<S: Sink<T> + ?Sized>(&self, gradient: &Sums<T>, step: T, w: &mut S) {
        let (layout, stride, batch) = (&self.layout, self.layout.stride(), gradient.examples.len());
        let step = if batch == 1 { step } else { step / T::from_f64(batch as f64) };
        let shrink = step * T::from_f64(self.l2);
        let rows = gradient.sums.chunks_exact(stride);
        for ((r, &residual), sums) in gradient.examples.clone().zip(&gradient.residuals).zip(rows) {
            let a = step * residual;
            w.add(0, -a);
            for (i, x) in self.rows.row(r).iter() {
                let (x, s) = (T::from_f32(x), shrink * T::from_f32(self.rarity[i]));
                // v −= a·x·(S − x·v) + s·v.
                w.ridge_dense(layout.factors(i), &sums[..layout.rank], a * x, s - a * x * x);
                w.update(layout.weight(i), |w| -(a * x + s * w));
            }
        }
    }

    fn value(&self, weights: &[T]) -> f64 {
        let of = |r: usize| {
            let z = self.layout.score(weights, self.rows.row(r).iter());
            self.loss.loss(z, f64::from(self.labels[r]))
        };
        mean(self.rows.len(), of) + self.l2 / 2.0 * squares(&weights[LINE..])
    }

    /// Factors at random, uniform of variance 0.01; weights at zero.
    fn initial(&self, seed: u64) -> Vec<T> {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        let mut weights = vec![T::ZERO; self.layout.parameters()];
        for row in weights[LINE..].chunks_exact_mut(self.layout.stride()) {
            row[..self.layout.rank].fill_with(|| T::from_f64(SPREAD * (2.0 * rng.random::<f64>() - 1.0)));
        }
        weights
    }

    fn nonzeros(&self) -> u64 {
        self.rows.nonzeros() as u64
    }

    fn counts(&self) -> Option<&[u32]> {
        Some(&self.counts)
    }

    /// That of the linear part, which is good for the factors too as long as the sums S_f are within 1: no more is known
    /// beforehand.
    fn curvature(&self) -> Option<Curvature> {
        let (n, kappa) = (self.rows.len() as f64, self.bend());
        let (mut example_max, mut example_mean) = (0f64, 0f64);
        for row in self.rows.iter() {
            let squares = 1.0 + row.values().iter().map(|&v| f64::from(v).powi(2)).sum::<f64>();
            example_max = example_max.max(kappa * squares);
            example_mean += kappa * squares / n;
        }
        let (example_max, example_mean) = (example_max + self.l2, example_mean + self.l2);
        Some(Curvature { example_max, example_mean, strong_convexity: 0.0 })
    }

    /// For the linear part, as the curvature.
    fn bounds(&self) -> Vec<f32> {
        let (n, kappa) = (self.rows.len() as f64, self.bend());
        let (mut by_feature, mut mean) = (vec![0f64; self.layout.features], 0.0);
        for row in self.rows.iter() {
            let l1: f64 = 1.0 + row.values().iter().map(|v| f64::from(v.abs())).sum::<f64>();
            row.iter().for_each(|(i, v)| by_feature[i] += kappa * f64::from(v.abs()) * l1 / n);
            mean += kappa * (1.0 + row.values().iter().map(|&v| f64::from(v).powi(2)).sum::<f64>()) / n;
        }
        let mut bounds = vec![(kappa * 4.0 * mean.max(1.0)) as f32; LINE];
        let stride = self.layout.stride();
        bounds.extend(by_feature.iter().flat_map(|&g| std::iter::repeat_n((g + self.l2) as f32, stride)));
        bounds
    }
}

/// The largest factor at the start: of variance 0.01.
pub(super) const SPREAD: f64 = 0.173;

/// The mean over the examples, in fixed chunks that are summed in order: the same on any number of threads.
pub(super) fn mean(examples: usize, of: impl Fn(usize) -> f64 + Sync) -> f64 {
    const CHUNK: usize = 4096;
    let chunk = |c: usize| (c * CHUNK..((c + 1) * CHUNK).min(examples)).map(&of).sum::<f64>();
    let sums: Vec<f64> = (0..examples.div_ceil(CHUNK)).into_par_iter().map(chunk).collect();
    sums.iter().sum::<f64>() / examples as f64
}

/// |w|².
pub(super) fn squares<T: Real>(weights: &[T]) -> f64 {
    weights.iter().map(|w| w.to_f64().powi(2)).sum()
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::super::gradient_check;
    use super::*;

    #[test]
    fn steps_are_the_gradient_of_the_reported_objective() {
        let (ids, values) = (vec![0, 2, 0, 1, 3, 1, 2, 3], vec![1.0, -0.5, 2.0, 0.3, 0.7, -1.5, 1.0, 0.25]);
        let labels = vec![1.0, -1.0, 1.0, -1.0];
        let data = Dataset::from_csr(vec![0, 2, 5, 5, 8], ids, values, labels, 4).unwrap();
        for loss in [LossKind::Logistic, LossKind::Squared] {
            let model = FactorizationMachine::new(loss, 3).with_l2(0.3);
            let machine = Model::<f64>::bind(&model, &data).unwrap();
            let layout = machine.layout();
            let padding =
                |i: usize| i > 0 && i < LINE || i >= LINE && (i - LINE) % layout.stride() > layout.rank;
            for batch in [1, 2, 4] {
                gradient_check::check(&machine, batch, |i| !padding(i));
            }
        }
    }

    #[test]
    fn the_score_is_the_sum_over_pairs() {
        let layout = MachineLayout { features: 3, rank: 2 };
        let mut w = vec![0f64; layout.parameters()];
        w[0] = 0.5;
        for i in 0..3 {
            w[layout.weight(i)] = i as f64;
            w[layout.factors(i)] = 1.0 + i as f64;
            w[layout.factors(i) + 1] = -1.0;
        }
        // 0.5 + 0·2 + 2·3 + ((1·3 + 1)·2·3).
        assert_eq!(layout.score(&w, [(0, 2.0), (2, 3.0)].into_iter()), 30.5);
    }
}

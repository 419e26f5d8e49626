//! Field-aware factorization machines (Juan, Zhuang, Chin and Lin 2016).

use super::kind::LossKind;
use super::loss::Loss;
use super::machine::{SPREAD, check, mean, squares};
use super::objective::{Model, Objective, check_room};
use crate::data::FieldRows;
use crate::error::{Error, Result};
use crate::real::Real;
use crate::weights::{Sink, Weights};
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use rayon::prelude::*;
use std::ops::Range;

/// A field-aware factorization machine, before it has met its data: a row's score is
///
/// > w₀ + Σ_i w_i·x_i + Σ_{i<j} (v_{i,f(j)}·v_{j,f(i)})·x_i·x_j,
///
/// f(i) the field of feature i and v_{i,f} a vector of `rank` factors for each feature and field. Rows are scaled to length
/// 1, as in LIBFFM, which has no w. The objective is the mean loss of the scores + l2/2·(|w|² + |V|²), w₀ left out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FieldMachine {
    loss: LossKind,
    rank: usize,
    l2: Option<f64>,
}

impl FieldMachine {
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

impl<T: Real> Model<T> for FieldMachine {
    type Data = FieldRows;
    type Objective<'d> = Fields<'d>;

    fn bind<'d>(&self, rows: &'d FieldRows) -> Result<Fields<'d>> {
        let l2 = self.l2.unwrap_or(1.0 / rows.len() as f64);
        check(self.rank, l2)?;
        let wrong = |y: &f32| self.loss.is_classification() && y.abs() != 1.0;
        if let Some(label) = rows.labels().iter().copied().find(wrong) {
            let expected =
                format!("labels -1 and +1 for {} loss (FieldRows::binary maps any two)", self.loss);
            return Err(Error::input(rows.name(), 0, 0, format!("label {label}"), expected));
        }
        let layout = FieldLayout { features: rows.ids().len(), fields: rows.fields(), rank: self.rank };
        check_room::<T>(layout.features as u128 * layout.stride() as u128)?;
        let (mut counts, mut met) =
            (vec![0u32; layout.features], vec![0u32; layout.features * layout.fields]);
        for row in (0..rows.len()).map(|r| rows.row(r)) {
            for (k, a) in row.iter().enumerate() {
                counts[a.feature as usize] += 1;
                let others = row.iter().enumerate().filter(|(j, _)| *j != k);
                others.for_each(|(_, b)| met[a.feature as usize * layout.fields + b.field as usize] += 1);
            }
        }
        let rarity = |counts: &[u32]| -> Vec<f32> {
            counts.iter().map(|&c| if c == 0 { 0.0 } else { rows.len() as f32 / c as f32 }).collect()
        };
        let rarities = [rarity(&counts), rarity(&met)];
        let mut by_parameter = vec![rows.len() as u32; LINE];
        by_parameter.extend(counts.iter().flat_map(|&c| std::iter::repeat_n(c, layout.stride())));
        Ok(Fields { rows, loss: self.loss, l2, layout, rarities, counts: by_parameter })
    }
}

/// Floats on a cache line.
const LINE: usize = 16;

/// How the parameters are laid out: w₀ on a cache line of its own, then for each feature, from a cache line on, its factors
/// field by field and its weight.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FieldLayout {
    /// The number of features.
    pub features: usize,
    /// The number of fields.
    pub fields: usize,
    /// The number of factors.
    pub rank: usize,
}

impl FieldLayout {
    /// The length of a feature's parameters, their padding included.
    #[inline(always)]
    pub fn stride(&self) -> usize {
        (self.fields * self.rank + 1).next_multiple_of(LINE)
    }

    /// Where a feature's factors for a field begin.
    #[inline(always)]
    pub fn factors(&self, feature: usize, field: usize) -> usize {
        LINE + feature * self.stride() + field * self.rank
    }

    /// Where a feature's weight is.
    #[inline(always)]
    pub fn weight(&self, feature: usize) -> usize {
        self.factors(feature, self.fields)
    }

    /// The number of parameters, padding included.
    pub fn parameters(&self) -> usize {
        LINE + self.features * self.stride()
    }

    /// The score of a row in double precision. O(n²·rank) for n entries.
    pub fn score<T: Real>(&self, weights: &[T], rows: &FieldRows, row: usize) -> f64 {
        let (row, mut z) = (rows.row(row), weights[0].to_f64());
        let factors = |at: usize| weights[at..at + self.rank].iter().map(|w| w.to_f64());
        for (k, a) in row.iter().enumerate() {
            z += weights[self.weight(a.feature as usize)].to_f64() * f64::from(a.value);
            for b in &row[k + 1..] {
                let left = factors(self.factors(a.feature as usize, b.field as usize));
                let right = factors(self.factors(b.feature as usize, a.field as usize));
                let product: f64 = left.zip(right).map(|(l, r)| l * r).sum();
                z += product * f64::from(a.value) * f64::from(b.value);
            }
        }
        z
    }

    /// The score of each row, by position. In parallel.
    pub fn scores<T: Real>(&self, weights: &[T], rows: &FieldRows) -> Vec<f64> {
        (0..rows.len()).into_par_iter().map(|r| self.score(weights, rows, r)).collect()
    }
}

/// A field-aware machine bound to its rows.
pub struct Fields<'d> {
    rows: &'d FieldRows,
    loss: LossKind,
    l2: f64,
    layout: FieldLayout,
    /// n/count by feature, and by feature and field how often a pair touches those factors: the penalty is applied to
    /// what a row touches, exactly in expectation.
    rarities: [Vec<f32>; 2],
    /// By parameter; falling, as features are ordered by frequency.
    counts: Vec<u32>,
}

impl Fields<'_> {
    /// How the parameters are laid out.
    pub fn layout(&self) -> FieldLayout {
        self.layout
    }
}

/// For each row of a mini-batch dℓ/dz and both factors of each of its pairs.
pub struct PairFactors<T> {
    examples: Range<usize>,
    residuals: Vec<T>,
    factors: Vec<T>,
}

impl<T: Real> Objective<T> for Fields<'_> {
    type Gradient = PairFactors<T>;

    fn parameters(&self) -> usize {
        self.layout.parameters()
    }

    fn identity(&self) -> Vec<(&'static str, String)> {
        let (data, rank) = (self.rows.hash().to_owned(), self.layout.rank.to_string());
        vec![("data", data), ("loss", self.loss.to_string()), ("rank", rank), ("l2", self.l2.to_string())]
    }

    fn examples(&self) -> usize {
        self.rows.len()
    }

    fn buffer(&self) -> PairFactors<T> {
        PairFactors { examples: 0..0, residuals: Vec::new(), factors: Vec::new() }
    }

    #[inline]
    fn gradient<W: Weights<T> + ?Sized>(&self, examples: Range<usize>, w: &W, out: &mut PairFactors<T>) {
        let (layout, rank) = (&self.layout, self.layout.rank);
        out.residuals.clear();
        out.factors.clear();
        for r in examples.clone() {
            let (row, mut z) = (self.rows.row(r), w.get(0));
            for (k, a) in row.iter().enumerate() {
                z += w.get(layout.weight(a.feature as usize)) * T::from_f32(a.value);
                for b in &row[k + 1..] {
                    let at = out.factors.len();
                    out.factors.resize(at + 2 * rank, T::ZERO);
                    let (left, right) = out.factors[at..].split_at_mut(rank);
                    w.copy_out(layout.factors(a.feature as usize, b.field as usize), left);
                    w.copy_out(layout.factors(b.feature as usize, a.field as usize), right);
                    let product: T = left.iter().zip(&*right).map(|(&l, &r)| l * r).sum();
                    z += product * T::from_f32(a.value * b.value);
                }
            }
            let y = self.rows.labels()[r];
            out.residuals.push(T::from_f32(self.loss.derivative_f32(z.to_f64() as f32, y)));
        }
        out.examples = examples;
    }

    #[inline]
    fn descend<S: Sink<T> + ?Sized>(&self, gradient: &PairFactors<T>, step: T, w: &mut S) {
        let (layout, rank) = (&self.layout, self.layout.rank);
        let step = step / T::from_f64(gradient.examples.len() as f64);
        let shrink = step * T::from_f64(self.l2);
        let [by_feature, by_pair] = &self.rarities;
        let mut pairs = gradient.factors.chunks_exact(2 * rank);
        for (r, &residual) in gradient.examples.clone().zip(&gradient.residuals) {
            let (row, a) = (self.rows.row(r), step * residual);
            w.add(0, -a);
            for (k, one) in row.iter().enumerate() {
                let (i, f) = (one.feature as usize, one.field as usize);
                let (x, s) = (T::from_f32(one.value), shrink * T::from_f32(by_feature[i]));
                w.update(layout.weight(i), |w| -(a * x + s * w));
                for (two, pair) in row[k + 1..].iter().zip(&mut pairs) {
                    let (j, g) = (two.feature as usize, two.field as usize);
                    let (left, right) = pair.split_at(rank);
                    let a = a * T::from_f32(one.value * two.value);
                    let shrink = |i: usize, f: usize| shrink * T::from_f32(by_pair[i * layout.fields + f]);
                    w.ridge_dense(layout.factors(i, g), right, a, shrink(i, g));
                    w.ridge_dense(layout.factors(j, f), left, a, shrink(j, f));
                }
            }
        }
    }

    fn value(&self, weights: &[T]) -> f64 {
        let of = |r: usize| {
            let z = self.layout.score(weights, self.rows, r);
            self.loss.loss(z, f64::from(self.rows.labels()[r]))
        };
        // Factors that no pair touches stay where they began, and are not penalised.
        let layout = &self.layout;
        let unmet: f64 = (0..layout.features * layout.fields)
            .filter(|&at| self.rarities[1][at] == 0.0)
            .map(|at| layout.factors(at / layout.fields, at % layout.fields))
            .map(|at| squares(&weights[at..at + layout.rank]))
            .sum();
        mean(self.rows.len(), of) + self.l2 / 2.0 * (squares(&weights[LINE..]) - unmet)
    }

    /// Factors at random, uniform of variance 0.01; weights at zero.
    fn initial(&self, seed: u64) -> Vec<T> {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        let mut weights = vec![T::ZERO; self.layout.parameters()];
        for row in weights[LINE..].chunks_exact_mut(self.layout.stride()) {
            let factors = &mut row[..self.layout.fields * self.layout.rank];
            factors.fill_with(|| T::from_f64(SPREAD * (2.0 * rng.random::<f64>() - 1.0)));
        }
        weights
    }

    fn nonzeros(&self) -> u64 {
        self.rows.nonzeros() as u64
    }

    fn counts(&self) -> Option<&[u32]> {
        Some(&self.counts)
    }

    fn rate(&self) -> Option<(f64, String)> {
        Some((RATE, "suits rows of length 1".into()))
    }
}

/// As LIBFFM has it.
const RATE: f64 = 0.2;

#[cfg(all(test, not(loom)))]
mod tests {
    use super::super::gradient_check;
    use super::*;

    const TEXT: &str = "1 0:3:1 1:7:2 2:9:1\n-1 0:4:1 1:7:1\n1 0:3:0.5 1:8:1 2:9:-1\n-1 1:8:1\n";

    #[test]
    fn steps_are_the_gradient_of_the_reported_objective() {
        let rows = FieldRows::bytes("t", TEXT, 0).unwrap().binary().unwrap();
        let machine =
            Model::<f64>::bind(&FieldMachine::new(LossKind::Logistic, 2).with_l2(0.3), &rows).unwrap();
        let layout = machine.layout();
        assert_eq!((layout.features, layout.fields), (5, 3));
        let padding = |i: usize| match i.checked_sub(LINE) {
            None => i > 0,
            Some(i) => i % layout.stride() > layout.fields * layout.rank,
        };
        for batch in [1, 2, 4] {
            gradient_check::check(&machine, batch, |i| !padding(i));
        }
    }

    #[test]
    fn the_score_is_the_sum_over_pairs_of_fields() {
        let rows = FieldRows::bytes("t", "1 0:0:3 1:1:4\n", 0).unwrap();
        let layout = FieldLayout { features: 2, fields: 2, rank: 1 };
        let mut w = vec![0f64; layout.parameters()];
        (w[0], w[layout.weight(0)]) = (0.5, 10.0);
        (w[layout.factors(0, 1)], w[layout.factors(1, 0)]) = (2.0, 5.0);
        (w[layout.factors(0, 0)], w[layout.factors(1, 1)]) = (100.0, 100.0);
        // Of length 1: 0.6 and 0.8.
        assert!((layout.score(&w, &rows, 0) - (0.5 + 10.0 * 0.6 + 2.0 * 5.0 * 0.48)).abs() < 1e-6);
    }
}

//! Linear models with a step length for each coordinate: AdaGrad, SVRG and SAGA.
//!
//! - *AdaGrad* (Duchi, Hazan & Singer, JMLR 12, 2011): the step of a coordinate is divided by √h, h the sum of its
//!   squared gradients so far; and by s, the root of the mean x² over the rows that touch it, so that the feature's unit
//!   does not matter (Ross, Mineiro & Langford, UAI 2013). Delays act on the step, by the delay's weight, and not on h,
//!   from which the weight would cancel: w −= η·weight(τ)·g/(s·√h). The per-coordinate AdaDelay (Sra, Yu, Li & Smola,
//!   AISTATS 2016) has g²·t/(t + τ) in the sum and √(t/(t + τ)) before the step, t the iteration: both factors are
//!   within τ/t of 1, and after the first hundreds of updates it is AdaGrad; the weight is what remains of a delay.
//! - *SVRG* (Johnson & Zhang, NeurIPS 2013; lock-free: Reddi et al., NeurIPS 2015): after each epoch the residuals ℓ′
//!   of all rows are kept with the full gradient μ; a step goes along (ℓ′ − kept ℓ′)·x + μ, whose noise vanishes at the
//!   optimum, so that convergence is linear at a constant rate.
//! - *SAGA* (Defazio, Bach & Lacoste-Julien, NeurIPS 2014; lock-free and sparse: ASAGA of Leblond, Pedregosa &
//!   Lacoste-Julien, AISTATS 2017): the same with the residual that each row had when it was last visited, and μ
//!   following each step. Iterations are numbered after their read, as there: the examples' order is laid down before,
//!   so that it does not depend on what is read.
//!
//! As in ASAGA a row's step moves only the coordinates that it touches, μ and penalties being multiplied by rows/count.
//! Both penalties are taken proximally (Pedregosa, Leblond & Lacoste-Julien, NeurIPS 2017): rare coordinates would
//! diverge otherwise, and with L1 they become exactly zero. The optimum is a fixed point of every step, however late
//! gradients are and whatever the delay's weight.
//!
//! SVRG and SAGA scale coordinate i by √count/Σ x_i²: as AdaGrad's 1/√h while residuals are alike, and independent of
//! the feature's units. It is known before the first epoch, and nothing is written.

use super::certificate::{Gap, combine};
use super::linear::{Linear, Residuals, soft_threshold};
use super::loss::Loss;
use super::objective::{Curvature, Objective};
use crate::real::{Cell, Real, add};
use crate::weights::{Sink, Weights};
use rayon::prelude::*;
use std::ops::Range;

/// How steps are scaled, and what is taken off their noise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// The sum of squared gradients.
    AdaGrad,
    /// Residuals and gradient at the end of the epoch before.
    Svrg,
    /// Residuals of the last visit.
    Saga,
}

/// A linear model to be trained by one of the schemes. All that it keeps is shared and lock-free.
pub struct Scaled<'l, 'd, L, T: Real> {
    linear: &'l Linear<'d, L>,
    scheme: Scheme,
    /// The step length of each coordinate; of AdaGrad, before the division by √h.
    lengths: Vec<T>,
    /// For each coordinate the sum of squared gradients h, or the mean of the kept residual·x over the rows that touch
    /// it. Relaxed accesses, as to all shared floats; additions by compare-exchange.
    memory: Vec<T::Atomic>,
    /// Of SVRG and SAGA, the residual that was kept of each row.
    kept: Vec<T::Atomic>,
    /// For each coordinate the mean of x² over the rows that touch it.
    squares: Vec<f64>,
    /// √(mean ℓ′(0)²).
    residual: f64,
    /// Coordinates before this one are frequent: see [`FREQUENT`].
    frequent: usize,
}

/// AdaGrad adds the squares of coordinates that at least one in this many rows touches in a sample of the rows only,
/// one in [`SAMPLED`], that many times: cache lines that all workers write would otherwise travel at each touch, as
/// those of the parameters do without blocks.
const FREQUENT: usize = 64;

/// See [`FREQUENT`].
const SAMPLED: u8 = 8;

/// The rate of SVRG and SAGA × the mean smoothness of an example in their scale. In a prototype of a like scale 0.1
/// needed up to three times as many epochs, on three data sets; 1 did not converge on a table of 123 features, and
/// was faster on wide text.
const STEP: f64 = 0.3;

impl<'l, 'd, L: Loss, T: Real> Scaled<'l, 'd, L, T> {
    /// A linear model and a scheme. O(nonzeros).
    pub fn new(linear: &'l Linear<'d, L>, scheme: Scheme) -> Self {
        let (rows, counts) = (linear.rows, linear.counts);
        let mut sums = vec![0.0; rows.features()];
        for row in rows.iter() {
            row.iter().for_each(|(i, v)| sums[i] += f64::from(v).powi(2));
        }
        let reduced = scheme != Scheme::AdaGrad;
        let mean = |(sum, &count): (&f64, &u32)| sum / f64::from(count.max(1));
        let squares: Vec<f64> = sums.iter().zip(counts).map(mean).collect();
        let length = |(&sum, &count): (&f64, &u32)| {
            let power = if reduced { sum } else { sum.sqrt() };
            T::from_f64(if sum > 0.0 { f64::from(count).sqrt() / power } else { 0.0 })
        };
        let first = |&y: &f32| linear.loss.derivative(0.0, f64::from(y)).powi(2);
        let zeros = |len: usize| (0..len).map(|_| T::Atomic::new(T::ZERO)).collect::<Vec<_>>();
        Self {
            linear,
            scheme,
            lengths: sums.iter().zip(counts).map(length).collect(),
            memory: zeros(rows.features()),
            kept: zeros(if reduced { rows.len() } else { 0 }),
            squares,
            residual: (linear.labels.iter().map(first).sum::<f64>() / rows.len().max(1) as f64).sqrt(),
            frequent: counts.partition_point(|&count| count as usize * FREQUENT >= rows.len()),
        }
    }

    /// The largest and the mean smoothness of an example's loss in the scale of SVRG and SAGA.
    fn smoothness(&self) -> (f64, f64) {
        let rows = self.linear.rows;
        let of = |r: usize| {
            let of = |(i, v): (usize, f32)| self.lengths[i].to_f64() * f64::from(v).powi(2);
            self.linear.bend(r) * rows.row(r).iter().map(of).sum::<f64>()
        };
        let all: Vec<f64> = (0..rows.len()).into_par_iter().with_min_len(256).map(of).collect();
        (all.iter().fold(0.0, |most, s| s.max(most)), all.iter().sum::<f64>() / rows.len().max(1) as f64)
    }

    /// Keeps the residuals of all rows at `weights`, and their mean gradient.
    fn keep(&self, weights: &[T]) {
        let (rows, n) = (self.linear.rows, self.linear.rows.len() as f64);
        let (mean, []) = combine(rows, weights, |rows, z, out| {
            out.iter_mut().zip(rows.zip(z)).for_each(|(out, (r, &z))| *out = self.keep_row(r, z) / n);
            []
        });
        self.keep_mean(&mean);
    }

    /// Keeps the residual of a row with that score, and returns it.
    fn keep_row(&self, r: usize, score: f64) -> f64 {
        let residual = self.linear.loss.derivative(score, f64::from(self.linear.labels[r]));
        self.kept[r].set(T::from_f64(residual));
        residual
    }

    /// Keeps the mean gradient, for each coordinate over the rows that touch it.
    fn keep_mean(&self, mean: &[f64]) {
        let n = self.linear.rows.len() as f64;
        for ((cell, mean), &count) in self.memory.iter().zip(mean).zip(self.linear.counts) {
            cell.set(T::from_f64(mean * n / f64::from(count.max(1))));
        }
    }

    /// A proximal step along a row: `gradient` and the step's `length` by coordinate.
    #[inline(always)]
    fn step_along<S: Sink<T> + ?Sized>(
        &self,
        r: usize,
        weights: &mut S,
        length: impl Fn(usize) -> T,
        gradient: impl Fn(usize, T) -> T,
    ) {
        let linear = self.linear;
        let (l2, l1) = (T::from_f64(linear.l2), T::from_f64(linear.l1));
        weights.update_row(linear.rows.row(r), &linear.rarity, |i, w, v, rarity| {
            let length = length(i);
            let shrunk = soft_threshold(w - length * gradient(i, v), length * l1 * rarity);
            shrunk / (T::ONE + length * l2 * rarity) - w
        });
    }

    /// Adds the squares of a row's gradient.
    #[inline]
    fn accumulate(&self, r: usize, residual: T) {
        let square = |v: f32| residual * residual * T::from_f32(v) * T::from_f32(v);
        let (frequent, rest) = self.linear.rows.row(r).split(self.frequent);
        if r.is_multiple_of(usize::from(SAMPLED)) {
            let times = T::from_f32(f32::from(SAMPLED));
            for (i, v) in frequent.iter() {
                add(&self.memory[i], times * square(v));
            }
        }
        for (i, v) in rest.iter() {
            add(&self.memory[i], square(v));
        }
    }
}

impl<L: Loss, T: Real> Objective<T> for Scaled<'_, '_, L, T> {
    type Gradient = Residuals<T>;

    fn parameters(&self) -> usize {
        self.linear.rows.features()
    }

    fn examples(&self) -> usize {
        self.linear.rows.len()
    }

    fn buffer(&self) -> Residuals<T> {
        Objective::<T>::buffer(self.linear)
    }

    #[inline]
    fn gradient<W: Weights<T> + ?Sized>(&self, examples: Range<usize>, w: &W, out: &mut Residuals<T>) {
        self.linear.gradient(examples, w, out);
    }

    #[inline]
    fn descend<S: Sink<T> + ?Sized>(&self, gradient: &Residuals<T>, step: T, weights: &mut S) {
        // A mini-batch averages: each example moves by its share of the step.
        let batch = gradient.examples.len();
        let step = if batch == 1 { step } else { step / T::from_f64(batch as f64) };
        for (r, &residual) in gradient.examples.clone().zip(&gradient.residuals) {
            if self.scheme == Scheme::AdaGrad {
                self.accumulate(r, residual);
                let length = |i: usize| step * self.lengths[i] / self.memory[i].get().sqrt();
                self.step_along(r, weights, length, |_, v| residual * v);
                continue;
            }
            let change = residual - self.kept[r].get();
            let gradient = |i: usize, v: T| change * v + self.memory[i].get();
            self.step_along(r, weights, |i| step * self.lengths[i], gradient);
            if self.scheme == Scheme::Saga {
                self.kept[r].set(residual);
                for (i, v) in self.linear.rows.row(r).iter() {
                    let count = T::from_f64(f64::from(self.linear.counts[i]));
                    add(&self.memory[i], change * T::from_f32(v) / count);
                }
            }
        }
    }

    fn value(&self, weights: &[T]) -> f64 {
        self.linear.value(weights)
    }

    fn nonzeros(&self) -> u64 {
        self.linear.rows.nonzeros() as u64
    }

    fn counts(&self) -> Option<&[u32]> {
        Objective::<T>::counts(self.linear)
    }

    /// In the steps' scale.
    fn curvature(&self) -> Option<Curvature> {
        let mut curvature = self.linear.curvature;
        if self.scheme != Scheme::AdaGrad {
            (curvature.example_max, curvature.example_mean) = self.smoothness();
        }
        Some(curvature)
    }

    /// In the steps' scale; AdaGrad's as it is expected to be in the middle of the first epoch, with residuals as at
    /// zero.
    fn bounds(&self) -> Vec<f32> {
        let mut bounds = Objective::<T>::bounds(self.linear);
        let counts = self.linear.counts;
        for (i, g) in bounds.iter_mut().enumerate() {
            let mut length = self.lengths[i].to_f64();
            if self.scheme == Scheme::AdaGrad {
                let h = self.squares[i] * self.residual.powi(2) * (1.0 + f64::from(counts[i]) / 2.0);
                length /= h.max(f64::MIN_POSITIVE).sqrt();
            }
            *g = (f64::from(*g) * length) as f32;
        }
        bounds
    }

    fn rate(&self) -> Option<(f64, String)> {
        let (rows, n) = (self.linear.rows, self.linear.rows.len() as f64);
        Some(match self.scheme {
            // The first step of a coordinate is as long as the rate/s.
            Scheme::AdaGrad => {
                let of = |(i, v): (usize, f32)| self.lengths[i].to_f64() * f64::from(v.abs());
                let length = rows.iter().map(|row| row.iter().map(of).sum::<f64>()).sum::<f64>() / n;
                let bend = (0..rows.len()).fold(0.0, |most: f64, r| most.max(self.linear.bend(r)));
                let change = self.residual / bend.max(f64::MIN_POSITIVE);
                let origin = format!(
                    "a first step changes a score by √(mean ℓ′(0)²)/max ℓ″ = {change:.3}; mean |x/s|₁ = {length:.4}"
                );
                (change.max(f64::MIN_POSITIVE) / length.max(f64::MIN_POSITIVE), origin)
            }
            _ => {
                let mean = self.smoothness().1;
                let origin = format!(
                    "{STEP}/L, L = {mean:.4} the mean smoothness of an example, coordinates scaled by √count/Σx²"
                );
                (STEP / mean.max(f64::MIN_POSITIVE), origin)
            }
        })
    }

    fn identity(&self) -> Vec<(&'static str, String)> {
        Objective::<T>::identity(self.linear)
    }

    fn begin(&self, weights: &[T]) {
        if self.scheme == Scheme::AdaGrad {
            // As if each coordinate had been touched once, with the residuals at zero: no step is longer than the
            // rate/s.
            for (cell, square) in self.memory.iter().zip(&self.squares) {
                cell.set(T::from_f64((square * self.residual.powi(2)).max(f64::from(f32::MIN_POSITIVE))));
            }
        } else {
            self.keep(weights);
        }
    }

    fn save_state(&self, state: &mut Vec<T>) {
        state.clear();
        state.extend(self.memory.iter().chain(&self.kept).map(Cell::get));
    }

    fn restore_state(&self, state: &[T]) -> bool {
        let fits = state.len() == self.memory.len() + self.kept.len();
        self.memory.iter().chain(&self.kept).zip(state).for_each(|(cell, &x)| cell.set(x));
        fits
    }

    fn certify(&self, weights: &mut [T], target: Option<f64>) -> Option<Gap> {
        if self.scheme != Scheme::Svrg {
            return self.linear.certify(weights, target);
        }
        if target.is_none() || !self.linear.certifiable() {
            self.keep(weights);
            return None;
        }
        let (gap, mean) = self.linear.gap(weights, |r, z| self.keep_row(r, z));
        self.keep_mean(&mean);
        Some(gap)
    }
}

//! Newton's method for linear models, for the last digits and for data on which first-order steps crawl.
//!
//! A step s solves (H + λ)·s = −∇f at the present point: by Cholesky where the features are few, else by conjugate
//! gradients ([`Preconditioner`]). It also proves how far it came. Along s each example's dual value is
//! continued to first order, u = ℓ′(z) + ℓ″(z)·x·s, and the gap of that dual point ([`Gap`](super::Gap)) is
//! ‖r‖²/(2λ) + mean slack, r = ∇f + (H + λ)·s the residual of the system, so that a step that is solved well needs no
//! further pass to be certified. Conjugate gradients do not shorten ‖r‖ from one iteration to the next; the dual point
//! is therefore taken at the combination of all directions so far whose residual is shortest.

use super::certificate::{combine, score, sum_in_chunks, sum_over_parts};
use super::cholesky::{Cholesky, lower};
use super::linear::Linear;
use super::loss::Loss;
use super::preconditioner::Preconditioner;
use super::shortest::{Shortest, axpy, inner};
use crate::kernel::{Row, elementary, sparse};
use crate::real::Real;
use rayon::prelude::*;
use std::ops::Range;

/// The most features whose system is solved by Cholesky, …
const DENSE_FEATURES: usize = 512;

/// … and the most additions, for the pairs of nonzeros and the factors, as a multiple of the nonzeros: a pass of
/// conjugate gradients costs about two.
const DENSE_WORK: f64 = 40.0;

/// The most iterations of conjugate gradients for one step.
const ITERATIONS: usize = 400;

/// The rows whose slack is looked at: this many, or this share. They lie in random order.
const SAMPLE: (usize, usize) = (4096, 16);

/// The part of the target that the slack may take for the rest to be left to the residual: another step would cost more
/// than some iterations.
const SLACK: f64 = 0.75;

/// The part of the target that both may take: the slack is that of a sample, and not of the dual point itself.
const SURE: f64 = 0.9;

/// Rows that a thread takes at a time.
const CHUNK: usize = 4096;

/// A linear model and a point of it.
pub struct Newton<'l, 'd, L> {
    linear: &'l Linear<'d, L>,
    /// Of the features up to the last that a row has: of hashed ones most have none, and are 0.
    weights: Vec<f64>,
    /// x·w of each row.
    scores: Vec<f64>,
    objective: f64,
}

/// What a step did.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    /// The objective now.
    pub objective: f64,
    /// A certified bound from below on the minimum.
    pub minimum: f64,
    /// Passes over the rows.
    pub passes: u32,
    /// Whether the objective fell. Where it did not, it can hardly be told from its minimum at this precision.
    pub fell: bool,
}

/// A direction and what it does.
struct Step {
    direction: Vec<f64>,
    /// A direction nearby whose system has a shorter residual.
    dual: Vec<f64>,
    passes: u32,
}

/// The objective's model at a point.
struct Local {
    gradient: Vec<f64>,
    /// The diagonal of H + λ.
    diagonal: Vec<f64>,
    /// ℓ′ of each row.
    first: Vec<f64>,
    /// ℓ″/n of each row.
    second: Vec<f64>,
}

impl<'l, 'd, L: Loss> Newton<'l, 'd, L> {
    /// Newton's method from `weights`; `None` where the penalty is not L2 alone on all parameters, or the loss has
    /// no second derivative. One pass.
    pub fn new<T: Real>(linear: &'l Linear<'d, L>, weights: &[T]) -> Option<Self> {
        if !linear.is_ridge() || !linear.loss.kind().is_curved() {
            return None;
        }
        let weights: Vec<f64> = weights[..linear.used()].iter().map(|w| w.to_f64()).collect();
        let scores = Self::scores(linear, &weights);
        Some(Self::at(linear, weights, scores))
    }

    fn at(linear: &'l Linear<'d, L>, weights: Vec<f64>, scores: Vec<f64>) -> Self {
        let mut newton = Self { linear, weights, scores, objective: 0.0 };
        newton.objective = newton.value(&newton.weights, 0.0, &newton.scores);
        newton
    }

    /// Copies to `numbers` what the next step depends on, to the bit: the scores too, which are not summed anew.
    pub(crate) fn save(&self, numbers: &mut Vec<f64>) {
        numbers.clear();
        numbers.extend(self.weights.iter().chain(&self.scores));
    }

    /// Goes on from what [`Newton::save`] copied; `None` where that does not fit the model.
    pub(crate) fn resume(linear: &'l Linear<'d, L>, numbers: &[f64]) -> Option<Self> {
        let (weights, scores) = numbers.split_at_checked(linear.used())?;
        let fits = scores.len() == linear.rows.len();
        fits.then(|| Self::at(linear, weights.to_vec(), scores.to_vec()))
    }

    /// Whether the system is small enough to be solved by Cholesky.
    pub fn is_dense(linear: &Linear<'d, L>) -> bool {
        let (rows, features) = (linear.rows, linear.used());
        let work = || {
            let pairs = rows.iter().map(|row| (row.len() as f64).powi(2) / 2.0).sum::<f64>();
            pairs + (features as f64).powi(3) / 6.0
        };
        features <= DENSE_FEATURES && work() <= DENSE_WORK * rows.nonzeros() as f64
    }

    /// The parameters.
    pub fn weights(&self) -> Vec<f64> {
        let mut weights = self.weights.clone();
        weights.resize(self.linear.rows.features(), 0.0);
        weights
    }

    fn scores(linear: &Linear<'d, L>, weights: &[f64]) -> Vec<f64> {
        let mut scores = vec![0.0; linear.rows.len()];
        scores.par_chunks_mut(CHUNK).enumerate().for_each(|(k, scores)| {
            let (from, row) = (k * CHUNK, |r| (linear.rows.row(r), Row::default()));
            let range = from..from + scores.len();
            let keep = |rows: Range<usize>, z: &[f64], _: &mut [()]| {
                scores[rows.start - from..rows.end - from].copy_from_slice(z);
            };
            sparse::combine(range, row, weights, &mut [(); 0], keep, |_, (), _| ());
        });
        scores
    }

    /// The objective at the weights whose scores lie `length` of `along` from here.
    fn value(&self, weights: &[f64], length: f64, along: &[f64]) -> f64 {
        let Linear { labels, loss, l2, .. } = self.linear;
        let [losses] = sum_in_chunks(labels.len(), |rows| {
            let y = self.linear.labels_of(rows.clone());
            let inputs = [&self.scores[rows.clone()], &along[rows], &y];
            [elementary::sum(inputs, |[z, along, y]| loss.loss(z + length * along, y))]
        });
        losses / labels.len() as f64 + l2 / 2.0 * inner(weights, weights)
    }

    /// One step; ends early where a relative gap of `target` is certified.
    pub fn step(&mut self, target: f64) -> Progress {
        let linear = self.linear;
        let local = self.local();
        let step = if Self::is_dense(linear) { self.cholesky(&local) } else { None };
        let step = step.unwrap_or_else(|| self.conjugate_gradients(&local, target));
        let scores = Self::scores(linear, &step.direction);

        // The longest of 1, 1/2, 1/4, … that descends as Armijo asks.
        let (before, slope) = (self.objective, inner(&local.gradient, &step.direction));
        let mut length = 1.0;
        let fell = loop {
            if slope.is_nan() || slope >= 0.0 {
                break None;
            }
            let mut weights = self.weights.clone();
            axpy(&mut weights, length, &step.direction);
            let objective = self.value(&weights, length, &scores);
            if objective <= before + 1e-4 * length * slope {
                let minimum = self.dual(&local, &step);
                axpy(&mut self.scores, length, &scores);
                (self.weights, self.objective) = (weights, objective);
                break Some(minimum);
            }
            length /= 2.0;
            if length < 1e-10 {
                break None;
            }
        };
        let minimum = fell.unwrap_or_else(|| self.dual(&local, &step));
        Progress {
            objective: self.objective,
            minimum,
            passes: step.passes + 1,
            fell: self.objective < before,
        }
    }

    /// One pass.
    fn local(&self) -> Local {
        let Linear { rows, loss, l2, .. } = self.linear;
        let (n, size) = (rows.len() as f64, self.weights.len());
        let (mut first, mut second) = (vec![0.0; rows.len()], vec![0.0; rows.len()]);
        let chunks = first.par_chunks_mut(CHUNK).zip(second.par_chunks_mut(CHUNK)).enumerate();
        chunks.for_each(|(k, (first, second))| {
            let chunk = k * CHUNK..k * CHUNK + first.len();
            let (z, y) = (&self.scores[chunk.clone()], self.linear.labels_of(chunk));
            elementary::map([z, &y], first, |[z, y]| loss.derivative(z, y));
            elementary::map([z, &y], second, |[z, y]| loss.second_derivative(z, y) / n);
        });
        // Side by side: one line in the cache for both.
        let sums = sum_over_parts(rows.len(), 2 * size, |part, sums| {
            let factors = |rows: Range<usize>, _: &[f64], out: &mut [(f64, f64)]| {
                out.iter_mut().zip(rows).for_each(|(out, r)| *out = (first[r] / n, second[r]));
            };
            let (row, sums) = (|r| (Row::default(), rows.row(r)), sums.as_chunks_mut().0);
            sparse::combine(
                part,
                row,
                &[0f64; 0],
                sums,
                factors,
                |sum: &mut [f64; 2], (first, second), v| {
                    *sum = [sum[0] + first * v, sum[1] + second * v * v];
                },
            );
        });
        let sums: &[[f64; 2]] = sums.as_chunks().0;
        let gradient = sums.iter().zip(&self.weights).map(|(sum, w)| sum[0] + l2 * w).collect();
        let diagonal = sums.iter().map(|sum| sum[1] + l2).collect();
        Local { gradient, diagonal, first, second }
    }

    /// The dual values of some rows, continued to first order by `along` = x·s, and their labels.
    fn continued(&self, local: &Local, rows: Range<usize>, along: &[f64], u: &mut [f64]) -> Vec<f64> {
        let (loss, n, y) =
            (self.linear.loss, self.linear.rows.len() as f64, self.linear.labels_of(rows.clone()));
        let inputs = [&local.first[rows.clone()], &local.second[rows], along, &y];
        elementary::map(inputs, u, |[first, second, along, y]| loss.feasible(first + n * second * along, y));
        y
    }

    /// The dual objective at the step's dual point, ≤ the minimum: −mean ℓ*(u) − λ/2·‖v‖², v = −Σ u·x/(λn) summed
    /// anew, so that rounding in the solution of the system cannot make it too large. One pass.
    fn dual(&self, local: &Local, step: &Step) -> f64 {
        let (linear, n) = (self.linear, self.linear.rows.len() as f64);
        let (sum, [conjugates]) = combine(linear.rows, &step.dual, |rows, along, u| {
            let y = self.continued(local, rows, along, u);
            [elementary::sum([&*u, &y], |[u, y]| linear.loss.conjugate(u, y))]
        });
        -conjugates / n - inner(&sum, &sum) / (2.0 * linear.l2 * n * n)
    }

    /// The whole system, solved.
    fn cholesky(&self, local: &Local) -> Option<Step> {
        let (rows, size) = (self.linear.rows, self.weights.len());
        let mut lower = lower(rows.len(), size, |r| rows.row(r), |r| local.second[r]);
        (0..size).for_each(|i| lower[i * size + i] += self.linear.l2);
        let direction =
            Cholesky::new(lower, size)?.solve(&local.gradient.iter().map(|g| -g).collect::<Vec<_>>());
        // Gathering the matrix costs as much as these passes, by its additions.
        let passes = rows.iter().map(|row| row.len() as f64 / 2.0).sum::<f64>() / rows.len() as f64;
        Some(Step { dual: direction.clone(), direction, passes: 1 + passes as u32 })
    }

    /// The system solved as well as pays.
    fn conjugate_gradients(&self, local: &Local, target: f64) -> Step {
        let (linear, features) = (self.linear, self.weights.len());
        let (l2, bound) = (linear.l2, target * self.objective);
        let second = |r: usize| local.second[r];
        let preconditioner = Preconditioner::new(linear, second, &local.diagonal);
        // As in the textbook, with the residual r = −∇f − H·s of opposite sign.
        let mut residual: Vec<f64> = local.gradient.iter().map(|g| -g).collect();
        let mut direction = preconditioner.apply(&residual);
        let mut norm = inner(&residual, &direction);
        let first = norm;
        let mut step = vec![0.0; features];
        let mut short = Shortest::new(residual.clone(), linear.rows.nonzeros());
        let mut passes = 1;
        // What the rows' curvature changes along the step, as part of the gap; not yet known.
        let mut slack = None;
        for _ in 0..ITERATIONS {
            if norm.is_nan() || norm <= 0.0 {
                break;
            }
            let (mut product, []) = combine(linear.rows, &direction, |rows, along, out| {
                elementary::map([&local.second[rows], along], out, |[second, along]| second * along);
                []
            });
            passes += 1;
            axpy(&mut product, l2, &direction);
            let length = norm / inner(&direction, &product);
            axpy(&mut step, length, &direction);
            axpy(&mut residual, -length, &product);
            short.reduce(product, direction.clone(), &residual, &step);
            let shortest = short.squared() / (2.0 * l2);
            if slack.is_some_and(|slack| slack < SLACK * bound && shortest + slack < SURE * bound) {
                break;
            }
            let next = preconditioner.apply(&residual);
            let now = inner(&residual, &next);
            if slack.is_none() && (now < 0.01 * first || shortest < bound) {
                slack = Some(self.slack(local, &step));
            }
            if let Some(slack) = slack {
                // A small slack leaves the certificate to the residual; a large one asks for another step.
                let enough =
                    if slack < SLACK * bound { shortest + slack < SURE * bound } else { now < slack };
                if enough {
                    break;
                }
            }
            direction
                .par_iter_mut()
                .zip(&next)
                .with_min_len(1 << 14)
                .for_each(|(d, n)| *d = n + now / norm * *d);
            norm = now;
        }
        Step { direction: step, dual: short.point, passes: passes + 1 }
    }

    /// The mean slack of the dual values continued along a step, of a sample of the rows.
    fn slack(&self, local: &Local, step: &[f64]) -> f64 {
        let (linear, n) = (self.linear, self.linear.rows.len());
        let sample = (n / SAMPLE.1).max(SAMPLE.0).min(n);
        let [_, slack] = sum_in_chunks(sample, |rows| {
            let along: Vec<f64> = rows.clone().map(|r| score(linear.rows, r, step)).collect();
            let z: Vec<f64> =
                self.scores[rows.clone()].iter().zip(&along).map(|(z, along)| z + along).collect();
            let mut u = vec![0.0; along.len()];
            self.continued(local, rows.clone(), &along, &mut u);
            linear.losses_and_slacks(rows, &z, &u)
        });
        slack / sample as f64
    }
}

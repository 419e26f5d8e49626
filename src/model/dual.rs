//! Stochastic dual coordinate ascent on shared parameters.
//!
//! Each example has a dual value u, at the optimum ℓ′(x·w), and the parameters are w = −Σ u·x/(λn): the penalty is in
//! that sum already. A step solves for one example's u and moves w along its row by the difference (Shalev-Shwartz
//! & Zhang, JMLR 14, 2013); workers do so at once on shared parameters (PASSCoDe: Hsieh, Yu & Dhillon, ICML 2015).
//! It has no rate, its steps' noise vanishes at the optimum, so that convergence is linear, and the dual values give
//! the certificate.

use super::certificate::{Gap, score, sum_in_chunks, weighted_sum};
use super::linear::Linear;
use super::loss::Loss;
use super::objective::{Curvature, Objective};
use crate::real::{Cell, Real};
use crate::weights::{Sink, Weights};
use rayon::prelude::*;
use std::ops::Range;

/// A linear model with an L2 penalty alone, to be trained by dual coordinate ascent.
///
/// To be trained from its own [`initial`](Objective::initial) parameters, with a rate of 1 in [`Update::Cas`](crate::Update::Cas) or under the lock: an
/// update that is lost or weakened breaks the relation of parameters and dual values.
pub struct Dual<'l, 'd, L, T: Real> {
    linear: &'l Linear<'d, L>,
    /// ‖x‖²/(λn) of each row.
    norms: Vec<T>,
    /// 1/(λn).
    scale: T,
    /// One dual value a row, written by the worker that has the row. Relaxed accesses, as to all shared floats. +0 is
    /// of a row that is yet to be visited for the first time, in the order of the rows; another zero is −0.
    dual: Vec<T::Atomic>,
    /// Parameters and dual values at the last certificate.
    before: (Vec<T::Atomic>, Vec<T::Atomic>),
    /// The relative gaps that the last two certificates estimated, the last one first; 0 where there was none.
    estimates: [T::Atomic; 2],
    /// The parameters that belong to the dual values at the start; none where all are 0.
    initial: Vec<T>,
    /// Whether rows are longer than [`LONG`].
    long: bool,
}

/// In the first epoch the parameters are the sum over the rows seen so far, t of n, and are taken as those that these
/// rows alone would have with the same penalty: n/t times as long (Shalev-Shwartz & Zhang 2013, SDCA begun by SGD), but
/// no more than this. On text the gap was 0.7 to 0.07 times as large after each of the next epochs, with up to 3 or
/// 10 times, or with a power of n/t, less so.
const YOUNG: f64 = 2.0;

/// Where rows are longer than this, as κ·mean ‖x‖²/(λn), the first epoch is far from the optimum either way, and a
/// longer way with it: on a9a and flights by one epoch in six.
const LONG: f64 = 1.0;

/// Examples that are always visited one after the other, where rows are short and where they are long. In a fixed order
/// ascent is several times as slow as in a random one: on a table of 123 features the gap after 14 epochs was 4.5e-4
/// with pieces of 4 rows and 1.0e-3 to 6e-3 with 8 or 16. Text does not mind pieces of 64, and an epoch takes a quarter
/// less time with pieces of 16 than with those of 4; but it minds blocks of 3,200 rows in the order of the file,
/// 1.2e-3 for 2.1e-4.
const SEQUENCE: (usize, usize) = (16, 4);

/// How far back towards the previous epoch the averaged point lies. The iterates come from both sides: at the
/// epochs' ends the gap of the average was 0.5 to 0.7 of the last iterate's on text.
const AVERAGE: f64 = 0.25;

/// Above this target the parameters count as the combination of the dual values that they are but for rounding, which
/// adds a relative gap of some 1e-9 in single precision; below it the difference is computed, in a longer pass.
const EXACT: f64 = 1e-5;

/// The rows that tell whether a certificate is worth its pass: this many, or this share.
const SAMPLE: (usize, usize) = (1000, 20);

/// The next certificate comes when the gap is expected to be this share of the target, but not before this part of an
/// epoch: one that comes too early costs a tenth of an epoch.
const AIM: (f64, f64) = (0.8, 0.25);

/// The least share of dual values to start from but none, and the steps of the search for it, each to two thirds: of its
/// logarithm, then of itself.
const LEAST_SHARE: f64 = 1e-15;
const SHARE_STEPS: [usize; 2] = [12, 12];

impl<'l, 'd, L: Loss, T: Real> Dual<'l, 'd, L, T> {
    /// The dual of a linear model; `None` where the penalty is not L2 alone on all parameters. O(nonzeros).
    pub fn new(linear: &'l Linear<'d, L>) -> Option<Self> {
        if !linear.is_ridge() {
            return None;
        }
        let (rows, n) = (linear.rows, linear.rows.len());
        let cells = |len: usize| (0..len).into_par_iter().with_min_len(1 << 14);
        let all = |len: usize, x: T| cells(len).map(|_| T::Atomic::new(x)).collect::<Vec<_>>();
        let strength = linear.l2 * n as f64;
        let norms: Vec<T> = linear.squares.iter().map(|squares| T::from_f64(squares / strength)).collect();
        let length = norms.iter().enumerate().map(|(r, q)| linear.bend(r) * q.to_f64()).sum::<f64>();
        let long = length > LONG * n as f64;
        Some(Self {
            linear,
            norms,
            scale: T::from_f64(1.0 / strength),
            dual: all(n, if long { -T::ZERO } else { T::ZERO }),
            before: (all(rows.features(), T::ZERO), all(n, T::ZERO)),
            estimates: [T::Atomic::new(T::ZERO), T::Atomic::new(T::ZERO)],
            initial: Vec::new(),
            long,
        })
    }

    /// Lets training start near `weights`. Parameters are tied to dual values, so they cannot be chosen freely: the
    /// values u = ℓ′(x·w) are those of an optimum w, and the start is the share c of them, 0 ≤ c ≤ 1, whose dual
    /// objective is largest. For the optimum of a stronger penalty, λ₀, that is c ≥ λ/λ₀, where the parameters are w
    /// itself. One pass, and some over the dual values.
    ///
    /// # Panics
    /// If there is not one weight for each parameter.
    pub fn starting_from<U: Real>(&mut self, weights: &[U]) {
        self.initial = self.near(weights);
    }

    /// Sets the dual values of [`Dual::starting_from`], and tells the parameters that belong to them.
    fn near<U: Real>(&self, weights: &[U]) -> Vec<T> {
        let Linear { rows, labels, loss, l2, .. } = self.linear;
        assert_eq!(weights.len(), rows.features(), "a weight for each parameter");
        let (n, y) = (rows.len() as f64, |r: usize| f64::from(labels[r]));
        let value = |r: usize| loss.feasible(loss.derivative(score(rows, r, weights), y(r)), y(r));
        let values: Vec<f64> = (0..rows.len()).into_par_iter().with_min_len(1 << 10).map(value).collect();
        let sum = weighted_sum(rows, |r| values[r]);
        let squares = sum.iter().map(|s| s * s).sum::<f64>() / (2.0 * l2 * n * n);
        // The negative dual objective, convex in c, finite because feasible values and 0 are.
        let lost = |c: f64| {
            let [conjugates] =
                sum_in_chunks(values.len(), |part| [part.map(|r| loss.conjugate(c * values[r], y(r))).sum()]);
            conjugates / n + c * c * squares
        };
        // By its logarithm: features that are far too large leave a share of 1e-10.
        let narrowed = |mut low: f64, mut high: f64, steps: usize, of: fn(f64) -> f64| {
            for _ in 0..steps {
                let (a, b) = (low + (high - low) / 3.0, high - (high - low) / 3.0);
                if lost(of(a)) <= lost(of(b)) { high = b } else { low = a }
            }
            (low, high)
        };
        let (low, high) = narrowed(LEAST_SHARE.ln(), 0.0, SHARE_STEPS[0], f64::exp);
        let (low, high) = narrowed(low.exp(), high.exp(), SHARE_STEPS[1], |share| share);
        let losses = [(low + high) / 2.0, 0.0, 1.0].map(|share| (lost(share), share));
        let (_, share) = losses.into_iter().reduce(|a, b| if b.0 <= a.0 { b } else { a }).unwrap_or_default();
        self.dual.iter().zip(&values).for_each(|(cell, u)| cell.set(visited(T::from_f64(share * u))));
        sum.iter().map(|s| T::from_f64(-share * s / (l2 * n))).collect()
    }

    /// By how much the parameters are taken to be longer at the first visit of a row: the first epoch takes the rows as
    /// they lie.
    fn longer(&self, r: usize) -> T {
        T::from_f64((self.norms.len() as f64 / (r + 1) as f64).min(YOUNG))
    }

    /// Keeps these parameters, and the dual values that belong to them, for the next certificate.
    fn keep(&self, weights: &[T]) {
        weights.par_iter().zip(&self.before.0).with_min_len(1 << 14).for_each(|(w, cell)| cell.set(*w));
        let dual = self.dual.par_iter().zip(&self.before.1).with_min_len(1 << 14);
        dual.for_each(|(u, cell)| cell.set(u.get()));
    }

    /// Between the value now (`share` 0) and that of the last certificate (1).
    fn mixed(now: T, before: T, share: f64) -> T {
        now + T::from_f64(share) * (before - now)
    }
}

/// The dual value of a row that has been visited: see [`Dual::dual`].
#[inline]
fn visited<T: Real>(dual: T) -> T {
    if dual == T::ZERO { -T::ZERO } else { dual }
}

/// Whether a dual value is that of a row that has not been visited: see [`Dual::dual`].
#[inline]
fn is_new<T: Real>(dual: T) -> bool {
    dual == T::ZERO && T::ONE / dual > T::ZERO
}

/// The rows of a mini-batch and by how much the dual value of each is to change.
pub struct Ascent<T> {
    examples: Range<usize>,
    changes: Vec<T>,
}

impl<L: Loss, T: Real> Objective<T> for Dual<'_, '_, L, T> {
    type Gradient = Ascent<T>;

    fn parameters(&self) -> usize {
        self.linear.rows.features()
    }

    fn examples(&self) -> usize {
        self.linear.rows.len()
    }

    fn sequence(&self) -> Option<usize> {
        Some(if self.long { SEQUENCE.1 } else { SEQUENCE.0 })
    }

    fn buffer(&self) -> Ascent<T> {
        Ascent { examples: 0..0, changes: Vec::new() }
    }

    #[inline]
    fn gradient<W: Weights<T> + ?Sized>(&self, examples: Range<usize>, w: &W, out: &mut Ascent<T>) {
        let Linear { rows, labels, loss, .. } = self.linear;
        out.changes.clear();
        // The copies of blocks are far ahead as it is.
        let single = w.times() == T::ONE;
        let of = |r: usize| {
            let (before, z, q) = (self.dual[r].get(), w.dot(rows.row(r)), w.times() * self.norms[r]);
            let longer = if single && is_new(before) { self.longer(r) } else { T::ONE };
            loss.dual_step(longer * z, T::from_f32(labels[r]), before, longer * q) - before
        };
        out.changes.extend(examples.clone().map(of));
        out.examples = examples;
    }

    #[inline]
    fn descend<S: Sink<T> + ?Sized>(&self, gradient: &Ascent<T>, step: T, weights: &mut S) {
        // Rows of a mini-batch do not see each other's steps: their average is safe.
        let batch = gradient.examples.len();
        let step = if batch == 1 { step } else { step / T::from_f64(batch as f64) };
        for (r, &change) in gradient.examples.clone().zip(&gradient.changes) {
            let change = step * change;
            self.dual[r].set(visited(self.dual[r].get() + change));
            // Without the shrinking: the penalty is in the dual values.
            weights.ridge_step(self.linear.rows.row(r), &self.linear.rarity, self.scale * change, T::ZERO);
        }
    }

    fn value(&self, weights: &[T]) -> f64 {
        self.linear.value(weights)
    }

    fn initial(&self, _: u64) -> Vec<T> {
        if self.initial.is_empty() { vec![T::ZERO; self.parameters()] } else { self.initial.clone() }
    }

    fn go_back(&self, weights: &mut [T]) {
        let near = self.near(weights);
        weights.copy_from_slice(&near);
        self.keep(weights);
    }

    fn nonzeros(&self) -> u64 {
        self.linear.rows.nonzeros() as u64
    }

    fn counts(&self) -> Option<&[u32]> {
        Objective::<T>::counts(self.linear)
    }

    /// The dual values that belong to a block's difference have changed with it.
    fn adds(&self) -> bool {
        true
    }

    fn curvature(&self) -> Option<Curvature> {
        Some(self.linear.curvature)
    }

    /// Blocks publish whole differences, whatever the curvature.
    fn bounds(&self) -> Vec<f32> {
        vec![0.0; self.parameters()]
    }

    fn identity(&self) -> Vec<(&'static str, String)> {
        self.linear.described()
    }

    fn save_state(&self, state: &mut Vec<T>) {
        state.clear();
        let cells = self.dual.iter().chain(&self.before.0).chain(&self.before.1).chain(&self.estimates);
        state.extend(cells.map(Cell::get));
    }

    fn restore_state(&self, state: &[T]) -> bool {
        let cells = self.dual.iter().chain(&self.before.0).chain(&self.before.1).chain(&self.estimates);
        let fits = state.len() == 2 * self.dual.len() + self.before.0.len() + self.estimates.len();
        if fits {
            cells.zip(state).for_each(|(cell, &x)| cell.set(x));
        }
        fits
    }

    /// As far as the gap has to fall at the pace of the last epochs.
    fn rest(&self, target: f64, epochs: f64) -> f64 {
        let [now, before] = [&self.estimates[0], &self.estimates[1]].map(|cell| cell.get().to_f64());
        let falls = now > 0.0 && before > now;
        let left = (now / (AIM.0 * target)).ln() / (before / now).ln() * epochs;
        if falls { left.clamp(AIM.1, 1.0) } else { 1.0 }
    }

    fn certify(&self, weights: &mut [T], target: Option<f64>) -> Option<Gap> {
        let target = target?;
        let (linear, n) = (self.linear, self.examples());
        let dual = |r: usize, share: f64| {
            let u = Self::mixed(self.dual[r].get(), self.before.1[r].get(), share).to_f64();
            linear.loss.feasible(u, f64::from(linear.labels[r]))
        };
        let point = |share: f64| -> Vec<T> {
            let of = |(&w, before): (&T, &T::Atomic)| Self::mixed(w, before.get(), share);
            weights.par_iter().zip(&self.before.0).with_min_len(1 << 14).map(of).collect()
        };
        // From everywhere: the dual values of the first rows are the worst, as the first epoch began there.
        let sample = (n / SAMPLE.1).max(SAMPLE.0).min(n);
        let estimate = |share: f64, w: &[T]| {
            let [loss, slack] = sum_in_chunks(sample, |part| {
                let rows = part.map(|k| k * n / sample);
                let z: Vec<f64> = rows.clone().map(|r| score(linear.rows, r, w)).collect();
                let u: Vec<f64> = rows.clone().map(|r| dual(r, share)).collect();
                linear.losses_and_slacks(rows, &z, &u)
            });
            slack / loss
        };
        let averaged = point(AVERAGE);
        let (last, average) = (estimate(0.0, weights), estimate(AVERAGE, &averaged));
        let share = if average < last { AVERAGE } else { 0.0 };
        self.estimates[1].set(self.estimates[0].get());
        self.estimates[0].set(T::from_f64(last.min(average)));
        if last.min(average) > target {
            self.keep(weights);
            return None;
        }
        let chosen = if share > 0.0 { &averaged[..] } else { &*weights };
        let gap = if !(EXACT..f64::INFINITY).contains(&target) {
            linear.gap(chosen, |r, _| dual(r, share)).0
        } else {
            linear.gap_at_dual(chosen, |r| dual(r, share))
        };
        if share > 0.0 && gap.relative() <= target {
            // Both alike, so that whoever goes on from here finds parameters and dual values that belong together.
            for (cell, before) in self.dual.iter().zip(&self.before.1).filter(|(cell, _)| !is_new(cell.get()))
            {
                cell.set(visited(Self::mixed(cell.get(), before.get(), share)));
            }
            weights.copy_from_slice(&averaged);
        }
        self.keep(weights);
        Some(gap)
    }
}

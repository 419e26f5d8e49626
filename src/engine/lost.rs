//! What is lost in racy mode, counted in a comparison run in which every addition is 1.

use super::average::Averaging;
use super::instruments::Instruments;
use super::live::Live;
use super::plan::{BlockSize, Options, Plan};
use super::run::Lost;
use crate::error::Result;
use crate::kernel::{Constants, Row};
use crate::model::{Curvature, Grid, Objective, Parts};
use crate::real::Real;
use crate::step::{Concurrency, Schedule, Weight};
use crate::sync::{Arc, AtomicU64, Ordering};
use crate::weights::{Sink, Weights};
use std::cell::Cell;
use std::ops::Range;
use std::time::Duration;

/// Examples that may add to one parameter: an `f32` counts them exactly.
const MOST: f64 = (1 << 24) as f64;

/// How long the comparison may take.
const LIMIT: Duration = Duration::from_secs(1);

/// Runs as `plan` says, on the same examples with the same workers held back in the same way, but adding 1 in place
/// of each change. What the parameters then sum up to is less than the number of additions by those that were lost.
/// `None` where a change was not finite.
pub(super) fn count<T: Real, O: Objective<T>>(
    options: &Options,
    instruments: &Instruments,
    plan: &Plan,
    objective: &O,
    live: &Live<T>,
) -> Result<Option<Lost>> {
    let options = Options {
        block: if plan.grid.is_some() { BlockSize::Auto } else { BlockSize::Rows(plan.block) },
        hot: Some(plan.hot),
        weight: Some((Weight::Constant, Concurrency::default())),
        rate: Some(plan.step.rate),
        schedule: Some(Schedule::Constant),
        epochs: Some(plan.epochs.min(MOST / objective.examples() as f64)),
        time_limit: Some(LIMIT),
        target: None,
        averaging: Averaging::None,
        target_gap: None,
        keeping: None,
        resume: None,
        // What the parameters count begins at 0.
        start: None,
        ..options.clone()
    };
    let instruments = Instruments { profile: false, trace: None, ..instruments.clone() };
    let counting = Counting { objective, additions: Arc::default() };
    let run = super::execute(&options, &instruments, &counting, live, &mut |_| ())?;
    // Relaxed: the workers have ended and were joined.
    let additions = counting.additions.load(Ordering::Relaxed);
    let kept: f64 = run.weights.iter().map(|w| w.to_f64()).sum();
    Ok(kept.is_finite().then(|| Lost { additions, lost: additions.saturating_sub(kept as u64) }))
}

/// The objective with all changes replaced by 1.
struct Counting<'a, O> {
    objective: &'a O,
    additions: Arc<AtomicU64>,
}

/// A worker's gradient, and the additions that it has made.
struct Tally<G> {
    gradient: G,
    made: Cell<u64>,
    all: Arc<AtomicU64>,
}

impl<G> Drop for Tally<G> {
    fn drop(&mut self) {
        // Relaxed: a sum, read after the workers have ended.
        self.all.fetch_add(self.made.get(), Ordering::Relaxed);
    }
}

impl<T: Real, O: Objective<T>> Objective<T> for Counting<'_, O> {
    type Gradient = Tally<O::Gradient>;

    fn parameters(&self) -> usize {
        self.objective.parameters()
    }

    fn examples(&self) -> usize {
        self.objective.examples()
    }

    fn buffer(&self) -> Self::Gradient {
        Tally { gradient: self.objective.buffer(), made: Cell::new(0), all: Arc::clone(&self.additions) }
    }

    #[inline]
    fn gradient<W: Weights<T> + ?Sized>(&self, examples: Range<usize>, weights: &W, g: &mut Self::Gradient) {
        self.objective.gradient(examples, weights, &mut g.gradient);
    }

    #[inline]
    fn descend<S: Sink<T> + ?Sized>(&self, g: &Self::Gradient, step: T, weights: &mut S) {
        let mut ones = Ones { inner: weights, made: 0 };
        self.objective.descend(&g.gradient, step, &mut ones);
        g.made.set(g.made.get() + ones.made);
    }

    fn value(&self, _: &[T]) -> f64 {
        0.0
    }

    /// None bends: blocks are published whole.
    fn curvature(&self) -> Option<Curvature> {
        Some(Curvature { example_max: 1.0, example_mean: 1.0, strong_convexity: 0.0 })
    }

    fn bounds(&self) -> Vec<f32> {
        vec![0.0; self.objective.parameters()]
    }

    fn counts(&self) -> Option<&[u32]> {
        self.objective.counts()
    }

    fn grid(&self) -> Option<Grid<'_>> {
        self.objective.grid()
    }

    fn spans(&self, parts: &Parts) -> [Range<usize>; 4] {
        self.objective.spans(parts)
    }

    fn walk(&self, parts: &Parts, step: T, base: &[T], copy: &mut [T]) {
        self.objective.walk(parts, step, base, copy);
        let mut made = 0;
        for (w, &base) in copy.iter_mut().zip(base).filter(|(w, base)| **w != **base) {
            *w = base + one(*w - base);
            made += 1;
        }
        // Relaxed: a sum, read after the workers have ended.
        self.additions.fetch_add(made, Ordering::Relaxed);
    }
}

/// Adds 1 where another sink would be changed, and counts.
struct Ones<'a, S: ?Sized> {
    inner: &'a mut S,
    made: u64,
}

/// 1, at the cost of the change that it stands for: the time from load to store stays what it was.
#[inline(always)]
fn one<T: Real>(change: T) -> T {
    change * T::ZERO + T::from_f64(1.0)
}

impl<T: Real, S: Sink<T> + ?Sized> Sink<T> for Ones<'_, S> {
    #[inline]
    fn update(&mut self, i: usize, change: impl Fn(T) -> T) {
        self.inner.update(i, |w| one(change(w)));
        self.made += 1;
    }

    #[inline]
    fn update_row(&mut self, row: Row<'_>, beside: &Constants, change: impl Fn(usize, T, T, T) -> T) {
        self.inner.update_row(row, beside, |i, w, v, b| one(change(i, w, v, b)));
        self.made += row.len() as u64;
    }

    #[inline]
    fn axpy_dense(&mut self, start: usize, x: &[T], a: T) {
        for (j, &x) in x.iter().enumerate() {
            self.update(start + j, |_| a * x);
        }
    }
}

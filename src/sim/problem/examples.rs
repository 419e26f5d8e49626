//! The engine's objectives, simulated.

use std::ops::Range;

use rand::RngExt as _;

use super::{Problem, Stream};
use crate::kernel::{Constants, Row, Rows};
use crate::model::Objective;
use crate::weights::Sink;

/// Any [`Objective`] on rows of data, in double precision, perhaps with a smooth non-convex regulariser.
///
/// Without parts, gradients go over the rows in their order, which a [`Dataset`](crate::Dataset) has
/// shuffled, again and again, whoever computes them. With parts, each worker draws from its own rows at
/// random. A gradient is the mean over a mini-batch of consecutive rows. The measure is the objective's
/// value less the optimum, if that is given.
pub struct Examples<O: Objective<f64>> {
    objective: O,
    batch: u64,
    nonconvex: f64,
    optimum: f64,
    /// The nonzeros of each row relative to the mean.
    costs: Vec<f32>,
    /// Worker w has the rows `parts[w]..parts[w + 1]`; empty where all have all.
    parts: Vec<usize>,
}

impl<O: Objective<f64>> Examples<O> {
    /// `objective` on the `rows` that it is bound to. O(rows).
    pub fn new(objective: O, rows: &Rows) -> Self {
        let mean = rows.nonzeros() as f64 / rows.len() as f64;
        let costs = rows.iter().map(|row| (row.len() as f64 / mean) as f32).collect();
        Self { objective, batch: 1, nonconvex: 0.0, optimum: 0.0, costs, parts: Vec::new() }
    }

    /// Mini-batches of `batch` rows, at least 1 and at most all.
    #[must_use]
    pub fn batch(mut self, batch: usize) -> Self {
        self.batch = batch.clamp(1, self.objective.examples()) as u64;
        self
    }

    /// Adds α·Σ w²/(1 + w²), which is smooth and not convex (Antoniadis, Gijbels and Nikolova 2011).
    #[must_use]
    pub fn nonconvex(mut self, alpha: f64) -> Self {
        self.nonconvex = alpha;
        self
    }

    /// Subtracts the known least value from the measure.
    #[must_use]
    pub fn optimum(mut self, optimum: f64) -> Self {
        self.optimum = optimum;
        self
    }

    /// Worker w has the rows `parts[w]..parts[w + 1]` only, each at least one; as
    /// [`partitioned`](super::partitioned) makes them.
    #[must_use]
    pub fn parts(mut self, parts: Vec<usize>) -> Self {
        self.parts = parts;
        self
    }

    /// The first of the worker's rows, and how many they are.
    fn own(&self, worker: usize) -> (u64, u64) {
        match self.parts.get(worker + 1) {
            Some(&end) => (self.parts[worker] as u64, (end - self.parts[worker]) as u64),
            None => (0, self.objective.examples() as u64),
        }
    }

    /// The worker's mini-batch from row `first` on.
    fn mini_batch(&self, worker: usize, first: u64) -> Range<usize> {
        let (start, len) = self.own(worker);
        first as usize..(first + self.batch).min(start + len) as usize
    }
}

/// Collects what one step of size 1 from `at` would change: the gradient.
struct Collect<'a> {
    at: &'a [f64],
    gradient: &'a mut [f64],
}

impl Sink<f64> for Collect<'_> {
    #[inline]
    fn update(&mut self, i: usize, change: impl Fn(f64) -> f64) {
        self.gradient[i] -= change(self.at[i]);
    }

    #[inline]
    fn update_row(&mut self, row: Row<'_>, beside: &Constants, change: impl Fn(usize, f64, f64, f64) -> f64) {
        for (i, v) in row.iter() {
            self.gradient[i] -= change(i, self.at[i], f64::from(v), f64::from(beside.get(i)));
        }
    }

    #[inline]
    fn axpy_dense(&mut self, start: usize, x: &[f64], a: f64) {
        self.gradient[start..].iter_mut().zip(x).for_each(|(g, x)| *g -= a * x);
    }
}

impl<O: Objective<f64>> Problem for Examples<O> {
    fn dimension(&self) -> usize {
        self.objective.parameters()
    }

    fn start(&self) -> Vec<f64> {
        self.objective.initial(0)
    }

    fn epoch(&self) -> f64 {
        self.objective.examples() as f64 / self.batch as f64
    }

    fn draw(&self, worker: usize, number: u64, stream: &mut Stream) -> u64 {
        if self.parts.is_empty() {
            return number * self.batch % self.objective.examples() as u64;
        }
        let (start, end) = (self.parts[worker] as u64, self.parts[worker + 1] as u64);
        stream.random_range(start..(end + 1).saturating_sub(self.batch).max(start + 1))
    }

    fn local_sample(&self, worker: usize, sample: u64, step: u64) -> u64 {
        let (start, len) = self.own(worker);
        start + (sample - start + step * self.batch) % len
    }

    fn cost(&self, worker: usize, sample: u64) -> f64 {
        let rows = &self.costs[self.mini_batch(worker, sample)];
        rows.iter().map(|&cost| f64::from(cost)).sum::<f64>() / rows.len() as f64
    }

    fn gradient(&self, worker: usize, sample: u64, x: &[f64], _: &mut Stream, gradient: &mut [f64]) {
        let mut buffer = self.objective.buffer();
        self.objective.gradient(self.mini_batch(worker, sample), x, &mut buffer);
        gradient.fill(0.0);
        self.objective.descend(&buffer, 1.0, &mut Collect { at: x, gradient });
        if self.nonconvex > 0.0 {
            for (g, x) in gradient.iter_mut().zip(x) {
                *g += self.nonconvex * 2.0 * x / (1.0 + x * x).powi(2);
            }
        }
    }

    fn local_steps(
        &self,
        worker: usize,
        sample: u64,
        count: u64,
        step: f64,
        x: &mut [f64],
        stream: &mut Stream,
        scratch: &mut [f64],
    ) {
        let mut buffer = self.objective.buffer();
        for j in 0..count {
            let at = self.local_sample(worker, sample, j);
            if self.nonconvex > 0.0 {
                // The regulariser is dense, so the step is too.
                self.gradient(worker, at, x, stream, scratch);
                x.iter_mut().zip(&*scratch).for_each(|(x, g)| *x -= step * g);
            } else {
                self.objective.gradient(self.mini_batch(worker, at), x, &mut buffer);
                self.objective.descend(&buffer, step, x);
            }
        }
    }

    fn measure(&self, x: &[f64]) -> f64 {
        let extra: f64 = if self.nonconvex > 0.0 {
            x.iter().map(|x| self.nonconvex * x * x / (1.0 + x * x)).sum()
        } else {
            0.0
        };
        self.objective.value(x) + extra - self.optimum
    }

    fn curvature(&self) -> Option<Vec<f64>> {
        let bounds = Some(self.objective.bounds()).filter(|bounds| !bounds.is_empty())?;
        // The second derivative of α·w²/(1 + w²) is largest at 0, where it is 2α.
        Some(bounds.into_iter().map(|g| f64::from(g) + 2.0 * self.nonconvex).collect())
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use rand_xoshiro::rand_core::SeedableRng;

    use super::*;
    use crate::model::{Linear, LogisticLoss};

    #[test]
    fn the_mean_gradient_is_the_derivative_of_the_measure() {
        let (ids, values) = (vec![0, 2, 0, 1, 3, 1, 2, 3], vec![1.0, -0.5, 2.0, 0.3, 0.7, -1.5, 1.0, 0.25]);
        let rows = Rows::new(vec![0, 2, 5, 5, 8], ids, values, 4).unwrap();
        let labels = [1.0, -1.0, 1.0, -1.0];
        let linear = Linear::new(&rows, &labels, LogisticLoss, 0.3, 0.0, None);
        let problem = Examples::new(linear, &rows).nonconvex(0.2).optimum(0.1);
        let x = [0.31f64, -0.72, 0.13, 0.44];
        let (mut mean, mut g) = ([0.0; 4], [0.0; 4]);
        let mut stream = Stream::seed_from_u64(0);
        for number in 0..4 {
            let sample = problem.draw(0, number, &mut stream);
            problem.gradient(0, sample, &x, &mut stream, &mut g);
            (0..4).for_each(|i| mean[i] += g[i] / 4.0);
            // One local step is a step along that gradient.
            let mut moved = x;
            problem.local_steps(0, sample, 1, 0.5, &mut moved, &mut stream, &mut [0.0; 4]);
            (0..4).for_each(|i| assert!((moved[i] - (x[i] - 0.5 * g[i])).abs() < 1e-12));
        }
        for i in 0..4 {
            let (mut up, mut down) = (x, x);
            up[i] += 1e-6;
            down[i] -= 1e-6;
            let numeric = (problem.measure(&up) - problem.measure(&down)) / 2e-6;
            assert!((numeric - mean[i]).abs() < 1e-6, "{i}: {numeric} vs {}", mean[i]);
        }
    }
}

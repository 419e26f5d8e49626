//! A quadratic's mean measure over all noise, exactly, along a simulated schedule.
//!
//! The first time that a mean over some replicates hits a target comes early, by their fluctuation, and how
//! much depends on the method: too much to tell differences of 2 %. But x_{t+1} = x_t − γ_t·(λ·x_{t−τ_t} + ξ_t)
//! is linear: the mean and the covariance of the parameters and of the workers' snapshots follow a recursion.

use super::super::core::Core;
use super::super::problem::Quadratic;
use crate::Result;
use crate::law::Law;
use crate::step::StepRule;

/// f = ½·Σ λ_j·x_j², started at x_j = λ_j^(−1/2), whose gradients have noise of total variance σ².
pub(super) struct Noisy {
    spectrum: Vec<f64>,
    /// The variance of each coordinate's noise.
    variance: f64,
}

/// When E‖∇f‖² is first at the target.
pub(super) struct Hit {
    pub(super) iterations: u64,
    pub(super) seconds: f64,
    /// Σw/T.
    pub(super) kept: f64,
    /// (Σw)²/(T·Σw²): noise is averaged as over this share of the gradients.
    pub(super) effective: f64,
}

impl Noisy {
    pub(super) fn new(spectrum: Vec<f64>, sigma: f64) -> Self {
        let variance = sigma * sigma / spectrum.len() as f64;
        Noisy { spectrum, variance }
    }

    /// ‖∇f‖² at the start.
    pub(super) fn initial(&self) -> f64 {
        self.spectrum.iter().sum()
    }

    /// The rounds that mini-batches of n gradients with steps `rate` take to `target`, at most `limit`.
    pub(super) fn minibatch(&self, n: usize, rate: f64, target: f64, limit: u64) -> Option<u64> {
        let mut squares: Vec<f64> = self.spectrum.iter().map(|l| 1.0 / l).collect();
        (1..=limit).find(|_| {
            for (square, l) in squares.iter_mut().zip(&self.spectrum) {
                *square = (1.0 - rate * l).powi(2) * *square + rate * rate * self.variance / n as f64;
            }
            squares.iter().zip(&self.spectrum).map(|(square, l)| l * l * square).sum::<f64>() <= target
        })
    }

    /// Asynchronous SGD with `rule` until `target`, at most `limit` updates. O(d·n) an update.
    pub(super) fn asynchronous(
        &self,
        (n, law, seed): (usize, &Law, u64),
        rule: &StepRule,
        target: f64,
        limit: u64,
    ) -> Result<Option<Hit>> {
        // Only the schedule is simulated.
        let schedule = Quadratic::new(vec![1.0])?;
        let mut core = Core::new(&schedule, law, n, seed, 1)?;
        let mut stepper = rule.stepper(n)?;
        let mut moments = Moments::new(self, n);
        let (mut kept, mut squares) = (0.0, 0.0);
        core.send_all();
        while core.iteration < limit {
            let Some(job) = core.next() else { break };
            let moment = core.moment(&job);
            let weight = stepper.weight(&moment);
            kept += weight;
            squares += weight * weight;
            moments.update(self, job.worker, stepper.rate(moment.epoch) * weight);
            core.descend(0.0);
            core.release(&job);
            core.send(job.worker);
            let measure = moments.measure(self);
            if measure <= target {
                let (iterations, t) = (core.iteration, core.iteration as f64);
                let effective = kept * kept / (t * squares);
                return Ok(Some(Hit { iterations, seconds: core.now, kept: kept / t, effective }));
            }
            if measure > 1e9 * self.initial() {
                break;
            }
        }
        Ok(None)
    }
}

/// Mean and covariance of the snapshots of n workers and, as number n, of the parameters; the d eigenvalues' side by
/// side.
struct Moments {
    mean: Vec<f64>,
    /// `covariance[(a·(n + 1) + b)·d + j]`, symmetric in a and b.
    covariance: Vec<f64>,
    n: usize,
}

impl Moments {
    fn new(problem: &Noisy, n: usize) -> Self {
        let start: Vec<f64> = problem.spectrum.iter().map(|l| 1.0 / l.sqrt()).collect();
        let covariance = vec![0.0; (n + 1) * (n + 1) * start.len()];
        Moments { mean: start.repeat(n + 1), covariance, n }
    }

    /// x ← x − γ·(λ·s + ξ), s the snapshot of `worker`, who then gets x.
    fn update(&mut self, problem: &Noisy, worker: usize, step: f64) {
        let (n, d) = (self.n, problem.spectrum.len());
        let row = (n + 1) * d;
        let (snapshots, x) = self.mean.split_at_mut(n * d);
        let snapshot = &mut snapshots[worker * d..][..d];
        for ((x, s), l) in x.iter_mut().zip(&*snapshot).zip(&problem.spectrum) {
            *x -= step * l * s;
        }
        snapshot.copy_from_slice(x);

        // The covariances of the new x with the old snapshots and the old x, …
        let (rows, of_x) = self.covariance.split_at_mut(n * row);
        let of_worker = &mut rows[worker * row..][..row];
        for (of_x, of_worker) in of_x.chunks_exact_mut(d).zip(of_worker.chunks_exact(d)) {
            for ((x, w), l) in of_x.iter_mut().zip(of_worker).zip(&problem.spectrum) {
                *x -= step * l * w;
            }
        }
        // … its variance, …
        for j in 0..d {
            let with_old = of_x[n * d + j] - step * problem.spectrum[j] * of_x[worker * d + j];
            of_x[n * d + j] = with_old + step * step * problem.variance;
        }
        // … and the snapshot is the same from here on.
        of_x.copy_within(n * d.., worker * d);
        of_worker.copy_from_slice(of_x);
        for (i, of_i) in rows.chunks_exact_mut(row).enumerate().filter(|&(i, _)| i != worker) {
            let with_x = &of_x[i * d..][..d];
            of_i[n * d..].copy_from_slice(with_x);
            of_i[worker * d..][..d].copy_from_slice(with_x);
        }
    }

    /// E‖∇f(x)‖² = Σ λ_j²·(E x_j)² + λ_j²·Var x_j.
    fn measure(&self, problem: &Noisy) -> f64 {
        let d = problem.spectrum.len();
        let (x, variance) = (&self.mean[self.n * d..], &self.covariance[self.covariance.len() - d..]);
        x.iter().zip(variance).zip(&problem.spectrum).map(|((x, v), l)| l * l * (x * x + v)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::run::Simulation;
    use super::super::minibatch::spectrum;
    use super::*;
    use crate::step;

    /// The mean over many replicates comes close to the mean over all noise.
    #[test]
    fn moments_are_those_of_many_replicates() {
        let noisy = Noisy::new(spectrum(), 3.0);
        let law: Law = "exp:1".parse().unwrap();
        let (rule, updates) = (step::delay_adaptive(0.02), 700);
        let hit = |target: f64| noisy.asynchronous((4, &law, 5), &rule, target, updates).unwrap();
        let start = spectrum().iter().map(|l| 1.0 / f64::sqrt(*l)).collect();
        let replicas = Quadratic::new(spectrum()).unwrap().from(start).noise(3.0).unwrap().replicates(4000);
        let simulation = Simulation::new(4, law.clone()).step(rule.clone()).seed(5);
        for updates in [40, 700] {
            let measure = simulation.clone().iterations(updates).run(&replicas).unwrap().end.measure;
            assert!(hit(measure * 0.96).is_none_or(|hit| hit.iterations >= updates), "{updates}: {measure}");
            assert!(hit(measure * 1.04).is_some_and(|hit| hit.iterations <= updates), "{updates}: {measure}");
        }
        let rounds = noisy.minibatch(4, 0.1, 0.2, 1000).unwrap();
        let batch = simulation.algorithm("minibatch".parse().unwrap()).step(step::constant(0.1));
        let measure = |rounds| batch.clone().iterations(rounds).run(&replicas).unwrap().end.measure;
        assert!(measure(rounds) < 0.2 * 1.03 && measure(rounds - 1) > 0.2 * 0.97);
    }
}

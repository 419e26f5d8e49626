//! What the simulated workers compute gradients of.

mod examples;
mod partition;
mod quadratic;

pub use examples::Examples;
pub use partition::{Partition, partitioned};
pub use quadratic::Quadratic;

use rand_xoshiro::Xoshiro256PlusPlus;

/// The random stream that a problem draws from: one a worker.
pub type Stream = Xoshiro256PlusPlus;

/// A function to minimise, f = mean of the workers' own f_i, with stochastic gradients.
///
/// A gradient has a sample, drawn when its computation starts, and is computed when it arrives, at the
/// parameters that its worker had been sent. Everything random comes from the stream that is handed in.
pub trait Problem: Sync {
    /// The number of parameters d.
    fn dimension(&self) -> usize;

    /// The parameters to start from; zero unless overridden.
    fn start(&self) -> Vec<f64> {
        vec![0.0; self.dimension()]
    }

    /// How many gradients make an epoch, the unit of time of schedules; 1 unless overridden.
    fn epoch(&self) -> f64 {
        1.0
    }

    /// The sample of the gradient that `worker` starts, the `number`-th of the run. O(1).
    fn draw(&self, worker: usize, number: u64, stream: &mut Stream) -> u64 {
        let _ = (worker, number, stream);
        0
    }

    /// The sample of step `step`, from 0, of a block of local steps from `sample` on.
    fn local_sample(&self, worker: usize, sample: u64, step: u64) -> u64 {
        let _ = (worker, step);
        sample
    }

    /// What the sample costs `worker` relative to the mean, for speed laws with the factor `sample`.
    fn cost(&self, worker: usize, sample: u64) -> f64 {
        let _ = (worker, sample);
        1.0
    }

    /// The stochastic gradient of f_`worker` at `x`, into `gradient`.
    fn gradient(&self, worker: usize, sample: u64, x: &[f64], stream: &mut Stream, gradient: &mut [f64]);

    /// `count` steps of size `step` on `x`, at the samples from `sample` on; `scratch` has d entries.
    #[allow(clippy::too_many_arguments)]
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
        for _ in 0..count {
            self.gradient(worker, sample, x, stream, scratch);
            x.iter_mut().zip(&*scratch).for_each(|(x, g)| *x -= step * g);
        }
    }

    /// The measure of progress at `x` that a run is to bring below its target: for example f(x) − f* or
    /// ‖∇f(x)‖². Falls to its infimum as x converges.
    fn measure(&self, x: &[f64]) -> f64;

    /// For each coordinate a bound on the curvature of f (Gershgorin row sums), where it is known.
    fn curvature(&self) -> Option<Vec<f64>> {
        None
    }
}

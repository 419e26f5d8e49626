//! Quadratics with a given spectrum, noise and heterogeneity.

use rand_distr::{Distribution, StandardNormal};
use rand_xoshiro::rand_core::SeedableRng;

use super::{Problem, Stream};
use crate::memory;
use crate::{Error, Result};

/// f_i(x) = ½·Σ_j λ_j·(x_j − c_ij)², with normal noise on the gradients; f is the mean over i.
///
/// The measure is ‖∇f(x)‖² = Σ λ_j²·(x_j − c̄_j)². Several replicates of the same problem, which differ in
/// their noise only, can be run side by side under one schedule: the parameters are then as many copies,
/// and the measure is the mean over them.
#[derive(Debug, Clone)]
pub struct Quadratic {
    spectrum: Vec<f64>,
    /// σ/√d: the deviation of each coordinate's noise.
    deviation: f64,
    start: Vec<f64>,
    replicates: usize,
    /// c_i of each worker, d numbers each; empty where all are 0.
    centres: Vec<f64>,
    /// Their mean.
    centre: Vec<f64>,
}

impl Quadratic {
    /// A quadratic with the eigenvalues `spectrum`, without noise, started at x_j = 1 with minimiser 0.
    ///
    /// # Errors
    /// A usage error where there is no eigenvalue, or one is not a finite number above 0.
    pub fn new(spectrum: Vec<f64>) -> Result<Self> {
        if spectrum.is_empty() || !spectrum.iter().all(|&l| l.is_finite() && l > 0.0) {
            return Err(Error::usage("quadratic: needs eigenvalues, which must be numbers above 0"));
        }
        let d = spectrum.len();
        let (start, centre) = (vec![1.0; d], vec![0.0; d]);
        Ok(Self { spectrum, deviation: 0.0, start, replicates: 1, centres: Vec::new(), centre })
    }

    /// `dimension` eigenvalues in geometric progression from `least` to `largest`.
    ///
    /// # Errors
    /// As [`Quadratic::new`].
    pub fn geometric(dimension: usize, least: f64, largest: f64) -> Result<Self> {
        let ratio = (largest / least).powf(1.0 / (dimension.max(2) - 1) as f64);
        Self::new((0..dimension).map(|j| least * ratio.powi(j as i32)).collect())
    }

    /// Gradients with noise of total variance σ², E‖g − ∇f‖² = σ², in equal parts on the coordinates.
    ///
    /// # Errors
    /// A usage error where `sigma` is not a finite number of at least 0.
    pub fn noise(mut self, sigma: f64) -> Result<Self> {
        if !(sigma.is_finite() && sigma >= 0.0) {
            return Err(Error::usage(format!("quadratic: the noise is {sigma}, it must be at least 0")));
        }
        self.deviation = sigma / (self.spectrum.len() as f64).sqrt();
        Ok(self)
    }

    /// Starts at `start`, one number an eigenvalue.
    ///
    /// # Panics
    /// If there are more or fewer.
    #[must_use]
    pub fn from(mut self, start: Vec<f64>) -> Self {
        assert_eq!(start.len(), self.spectrum.len(), "one coordinate an eigenvalue");
        self.start = start;
        self
    }

    /// So many copies side by side, at least 1.
    #[must_use]
    pub fn replicates(mut self, replicates: usize) -> Self {
        self.replicates = replicates.max(1);
        self
    }

    /// Worker i has its own minimiser `centres[i]`.
    ///
    /// # Panics
    /// If a centre has not one coordinate an eigenvalue.
    #[must_use]
    pub fn centres(mut self, centres: &[Vec<f64>]) -> Self {
        let d = self.spectrum.len();
        assert!(centres.iter().all(|centre| centre.len() == d), "one coordinate an eigenvalue");
        let workers = centres.len() as f64;
        self.centre = (0..d).map(|j| centres.iter().map(|c| c[j]).sum::<f64>() / workers).collect();
        self.centres = centres.concat();
        self
    }

    /// Random centres for `workers` workers with mean 0 and heterogeneity ζ: the mean of ‖∇f_i − ∇f‖² over
    /// the workers is ζ² exactly, at every x.
    ///
    /// # Errors
    /// A usage error where `zeta` is not a finite number of at least 0, a single worker is to differ, or the centres
    /// need more memory than there is.
    pub fn heterogeneity(self, workers: usize, zeta: f64, seed: u64) -> Result<Self> {
        if !(zeta.is_finite() && zeta >= 0.0) || (workers < 2 && zeta > 0.0) {
            let line = format!(
                "quadratic: heterogeneity {zeta} for {workers} workers: needs a number of at least 0 and \
                 two workers"
            );
            return Err(Error::usage(line));
        }
        if zeta == 0.0 {
            return Ok(self);
        }
        let d = self.spectrum.len();
        // Twice: as drawn, and as kept.
        let what = format!("{workers} minimisers of {d} parameters");
        let bytes = memory::vectors(workers, d).saturating_mul(2);
        memory::check(&what, bytes, "take fewer workers or parameters")?;
        let mut stream = Stream::seed_from_u64(seed);
        let mut centres: Vec<Vec<f64>> =
            (0..workers).map(|_| (0..d).map(|_| StandardNormal.sample(&mut stream)).collect()).collect();
        for j in 0..d {
            let mean = centres.iter().map(|c| c[j]).sum::<f64>() / workers as f64;
            centres.iter_mut().for_each(|c| c[j] -= mean);
        }
        let squares = centres.iter().flat_map(|c| c.iter().zip(&self.spectrum));
        let variance = squares.map(|(c, l)| (c * l).powi(2)).sum::<f64>() / workers as f64;
        centres.iter_mut().flatten().for_each(|c| *c *= zeta / variance.sqrt());
        Ok(self.centres(&centres))
    }

    /// ‖∇f‖² at the start.
    pub fn initial(&self) -> f64 {
        let gradients = self.start.iter().zip(&self.centre).zip(&self.spectrum);
        gradients.map(|((x, c), l)| (l * (x - c)).powi(2)).sum()
    }

    /// The minimiser of f, the mean of the centres.
    pub fn minimiser(&self) -> &[f64] {
        &self.centre
    }

    /// L, the largest eigenvalue.
    pub fn smoothness(&self) -> f64 {
        self.spectrum.iter().copied().fold(0.0, f64::max)
    }
}

impl Problem for Quadratic {
    fn dimension(&self) -> usize {
        self.spectrum.len() * self.replicates
    }

    fn start(&self) -> Vec<f64> {
        self.start.repeat(self.replicates)
    }

    #[inline]
    fn gradient(&self, worker: usize, _: u64, x: &[f64], stream: &mut Stream, gradient: &mut [f64]) {
        let d = self.spectrum.len();
        let centre = if self.centres.is_empty() { &self.centre } else { &self.centres[worker * d..][..d] };
        for (x, gradient) in x.chunks_exact(d).zip(gradient.chunks_exact_mut(d)) {
            for (((g, x), c), l) in gradient.iter_mut().zip(x).zip(centre).zip(&self.spectrum) {
                *g = l * (x - c);
            }
        }
        if self.deviation > 0.0 {
            for g in gradient {
                let z: f64 = StandardNormal.sample(stream);
                *g += self.deviation * z;
            }
        }
    }

    #[inline]
    fn measure(&self, x: &[f64]) -> f64 {
        let one = |x: &[f64]| -> f64 {
            x.iter().zip(&self.centre).zip(&self.spectrum).map(|((x, c), l)| (l * (x - c)).powi(2)).sum()
        };
        x.chunks_exact(self.spectrum.len()).map(one).sum::<f64>() / self.replicates as f64
    }

    fn curvature(&self) -> Option<Vec<f64>> {
        Some(self.spectrum.repeat(self.replicates))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heterogeneity_is_exact_and_leaves_the_minimiser() {
        let quadratic = Quadratic::geometric(5, 0.1, 1.0).unwrap().heterogeneity(7, 2.0, 1).unwrap();
        let mut stream = Stream::seed_from_u64(0);
        let (x, mut squares, mut mean) = ([0.3; 5], 0.0, [0.0; 5]);
        for worker in 0..7 {
            let mut g = [0.0; 5];
            quadratic.gradient(worker, 0, &x, &mut stream, &mut g);
            for j in 0..5 {
                mean[j] += g[j] / 7.0;
                squares += (g[j] - 0.1 * 10f64.powf(j as f64 / 4.0) * 0.3).powi(2) / 7.0;
            }
        }
        assert!((squares - 4.0).abs() < 1e-9);
        assert!((mean.iter().map(|g| g * g).sum::<f64>() - quadratic.measure(&x)).abs() < 1e-12);
        assert!(quadratic.minimiser().iter().all(|c| c.abs() < 1e-12));
    }

    #[test]
    fn noise_has_the_given_total_variance_in_each_replicate() {
        let quadratic = Quadratic::new(vec![1.0; 4]).unwrap().noise(3.0).unwrap().replicates(2);
        let (mut stream, mut squares) = (Stream::seed_from_u64(3), 0.0);
        let (x, mut g) = ([0.0; 8], [0.0; 8]);
        for _ in 0..20_000 {
            quadratic.gradient(0, 0, &x, &mut stream, &mut g);
            squares += g[..4].iter().map(|g| g * g).sum::<f64>() / 20_000.0;
        }
        assert!((squares / 9.0 - 1.0).abs() < 0.03, "{squares}");
    }
}

//! Small problems whose answers are known.

use asyncsgd::{Dataset, Objective, Real, Sink, Weights};
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use std::ops::Range;
use std::sync::mpsc;
use std::time::Duration;

/// `rows` × `features` with a third of the values present and noisy labels −1 and +1.
pub fn classes(rows: usize, features: usize, seed: u64) -> Dataset {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    let truth: Vec<f32> = (0..features).map(|_| rng.random_range(-2.0..2.0)).collect();
    let (mut starts, mut ids, mut values, mut labels) = (vec![0], Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rows {
        let mut score = rng.random_range(-0.5f32..0.5);
        for (j, truth) in truth.iter().enumerate() {
            if rng.random_range(0..3) == 0 {
                let value = rng.random_range(-1.0f32..1.0);
                ids.push(j as u32);
                values.push(value);
                score += value * truth;
            }
        }
        starts.push(ids.len() as u64);
        labels.push(if score > 0.0 { 1.0 } else { -1.0 });
    }
    Dataset::from_csr(starts, ids, values, labels, features).unwrap().laid_out(seed)
}

/// The mean logistic loss + l2/2·‖w‖² and its gradient.
pub fn logistic(data: &Dataset, l2: f64, w: &[f64]) -> (f64, Vec<f64>) {
    let n = data.len() as f64;
    let mut value = l2 / 2.0 * w.iter().map(|w| w * w).sum::<f64>();
    let mut gradient: Vec<f64> = w.iter().map(|w| l2 * w).collect();
    for i in 0..data.len() {
        let (row, y) = (data.row(i), f64::from(data.label(i)));
        let z: f64 = row.iter().map(|(j, v)| w[j] * f64::from(v)).sum();
        value += (-y * z).exp().ln_1p() / n;
        for (j, v) in row.iter() {
            gradient[j] -= y * f64::from(v) / (1.0 + (y * z).exp()) / n;
        }
    }
    (value, gradient)
}

/// The optimum of [`logistic`] by gradient descent with Nesterov's momentum, to 1e-12.
pub fn optimum(data: &Dataset, l2: f64) -> f64 {
    let squares = |i| data.row(i).values().iter().map(|&v| f64::from(v).powi(2)).sum::<f64>();
    let smoothness = (0..data.len()).map(squares).fold(0.0, f64::max) / 4.0 + l2;
    let momentum = (smoothness.sqrt() - l2.sqrt()) / (smoothness.sqrt() + l2.sqrt());
    let mut w = vec![0.0; data.features()];
    let mut ahead = w.clone();
    loop {
        let (_, gradient) = logistic(data, l2, &ahead);
        if gradient.iter().map(|g| g * g).sum::<f64>() < 1e-20 * l2 {
            return logistic(data, l2, &ahead).0;
        }
        let next: Vec<f64> = ahead.iter().zip(&gradient).map(|(a, g)| a - g / smoothness).collect();
        ahead = next.iter().zip(&w).map(|(n, w)| n + momentum * (n - w)).collect();
        w = next;
    }
}

/// Least squares on dense points as a user would write it: (w·x − y)²/2, a plain mean over the examples.
pub struct Points {
    pub x: Vec<[f32; 3]>,
    pub y: Vec<f32>,
}

impl Points {
    /// `n` points on the plane y = x₀ − 2x₁ + x₂/2, plus noise.
    pub fn new(n: usize) -> Self {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(5);
        let x: Vec<[f32; 3]> = (0..n).map(|_| std::array::from_fn(|_| rng.random_range(-1.0..1.0))).collect();
        let noise = |x: &[f32; 3]| x[0] - 2.0 * x[1] + x[2] / 2.0 + rng.random_range(-0.1..0.1);
        let y = x.iter().map(noise).collect();
        Self { x, y }
    }
}

impl<T: Real> Objective<T> for Points {
    type Gradient = [T; 3];

    fn parameters(&self) -> usize {
        3
    }
    fn examples(&self) -> usize {
        self.x.len()
    }
    fn buffer(&self) -> [T; 3] {
        [T::ZERO; 3]
    }
    fn gradient<W: Weights<T> + ?Sized>(&self, examples: Range<usize>, w: &W, gradient: &mut [T; 3]) {
        *gradient = [T::ZERO; 3];
        let n = T::from_f64(examples.len() as f64);
        for (x, &y) in self.x[examples.clone()].iter().zip(&self.y[examples]) {
            let mut error = T::from_f32(-y);
            let x = x.map(T::from_f32);
            for (j, &x) in x.iter().enumerate() {
                error += w.get(j) * x;
            }
            for (g, &x) in gradient.iter_mut().zip(&x) {
                *g += error * x / n;
            }
        }
    }
    fn descend<S: Sink<T> + ?Sized>(&self, gradient: &[T; 3], step: T, w: &mut S) {
        for (j, &g) in gradient.iter().enumerate() {
            w.add(j, -(step * g));
        }
    }
    fn value(&self, w: &[T]) -> f64 {
        let error = |(x, y): (&[f32; 3], &f32)| {
            (0..3).map(|j| w[j].to_f64() * f64::from(x[j])).sum::<f64>() - f64::from(*y)
        };
        self.x.iter().zip(&self.y).map(|of| error(of).powi(2) / 2.0).sum::<f64>() / self.x.len() as f64
    }
}

/// Runs `work` on a thread of its own and fails if it has not ended within a minute.
pub fn within_a_minute<R: Send + 'static>(work: impl FnOnce() -> R + Send + 'static) -> R {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || sender.send(work()));
    receiver.recv_timeout(Duration::from_secs(60)).expect("the run hangs")
}

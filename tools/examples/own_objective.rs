//! An objective of your own: Poisson regression of counts, which the library does not have, on all cores.
//!
//! `cargo run --release --example own_objective`

use asyncsgd::{Objective, Result, Row, Rows, Sink, Trainer, Weights, step};
use std::ops::Range;

/// f(w) = mean of exp(w·x) − y·(w·x): counts y with mean exp(w·x).
struct Poisson {
    rows: Rows,
    counts: Vec<f32>,
}

impl Objective for Poisson {
    /// The residual of each example of a mini-batch: with the rows it is the gradient, which is never written out.
    type Gradient = (Range<usize>, Vec<f32>);

    fn parameters(&self) -> usize {
        self.rows.features()
    }

    fn examples(&self) -> usize {
        self.rows.len()
    }

    fn buffer(&self) -> Self::Gradient {
        (0..0, Vec::new())
    }

    fn gradient<W: Weights<f32> + ?Sized>(&self, examples: Range<usize>, w: &W, out: &mut Self::Gradient) {
        let residual = |i: usize| w.dot(self.rows.row(i)).min(20.0).exp() - self.counts[i];
        out.0 = examples.clone();
        out.1.clear(); // keeps its memory: nothing is allocated from the second gradient on
        out.1.extend(examples.map(residual));
    }

    fn descend<S: Sink<f32> + ?Sized>(&self, (examples, residuals): &Self::Gradient, step: f32, w: &mut S) {
        for (i, residual) in examples.clone().zip(residuals) {
            w.axpy(self.rows.row(i), -step * residual / residuals.len() as f32);
        }
    }

    fn value(&self, w: &[f32]) -> f64 {
        let dot = |row: Row<'_>| row.iter().map(|(i, x)| f64::from(w[i]) * f64::from(x)).sum::<f64>();
        let loss = |(row, &y): (Row<'_>, &f32)| dot(row).exp() - f64::from(y) * dot(row);
        self.rows.iter().zip(&self.counts).map(loss).sum::<f64>() / self.rows.len() as f64
    }
}

/// Visitors of a shop by weekday and weather: features 0 to 6 and 7 to 9, one of each a row.
fn visits(rows: usize) -> (Poisson, [f32; 10]) {
    let truth = [0.2, 0.1, 0.1, 0.3, 0.6, 1.0, -0.5, 0.4, 0.0, -0.6];
    let mut bits = 1u64;
    let mut uniform = || {
        bits = bits.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (bits >> 40) as f32 / (1 << 24) as f32
    };
    let (mut starts, mut ids, mut counts) = (vec![0], Vec::new(), Vec::new());
    for row in 0..rows {
        let (day, weather) = (row as u32 % 7, 7 + (uniform() * 3.0) as u32);
        ids.extend([day, weather]);
        starts.push(ids.len() as u64);
        // Knuth: as many factors as it takes to fall below exp(−mean), less one.
        let mean = f32::exp(truth[day as usize] + truth[weather as usize]);
        let (mut product, mut count) = (uniform(), 0.0);
        while product > (-mean).exp() {
            (product, count) = (product * uniform(), count + 1.0);
        }
        counts.push(count);
    }
    let values = vec![1.0; ids.len()];
    (Poisson { rows: Rows::new(starts, ids, values, 10).expect("ids rise and are below 10"), counts }, truth)
}

fn main() -> Result<()> {
    let (objective, truth) = visits(100_000);
    let run = Trainer::new(objective)
        .batch(4)
        .step(step::delay_adaptive(0.05).schedule("cosine:20".parse()?))
        .epochs(20)
        .minimize()?;
    println!("{}", run.summary());
    // Only sums of a day and a weather can be told from counts.
    for weather in 7..10 {
        for day in 0..7 {
            let (told, true_one) = (run.weights[day] + run.weights[weather], truth[day] + truth[weather]);
            assert!((told - true_one).abs() < 0.08, "day {day}, weather {weather}: {told}, {true_one}");
        }
    }
    println!("all 21 means are told within 8 %");
    Ok(())
}

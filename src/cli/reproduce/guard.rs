//! Whether the engine sees that compute time depends on the example.

use asyncsgd::sim::claims::{Effort, Row};
use asyncsgd::{BlockSize, Objective, Result, Sink, Topology, Trainer, Weights, step};
use std::ops::Range;
use std::time::{Duration, Instant};

/// The mean of (w − 1)²/2 and (w + 1)²/2, whose gradients take their time.
struct TwoCosts {
    times: [Duration; 2],
}

impl TwoCosts {
    /// Which of the two example i is.
    fn kind(i: usize) -> usize {
        ((i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 63) as usize
    }
}

impl Objective for TwoCosts {
    type Gradient = f32;

    fn parameters(&self) -> usize {
        1
    }

    fn examples(&self) -> usize {
        1 << 16
    }

    fn buffer(&self) -> f32 {
        0.0
    }

    fn gradient<W: Weights<f32> + ?Sized>(&self, examples: Range<usize>, w: &W, gradient: &mut f32) {
        let (start, kind) = (Instant::now(), Self::kind(examples.start));
        *gradient = w.get(0) - [1.0, -1.0][kind];
        while start.elapsed() < self.times[kind] {
            std::hint::spin_loop();
        }
    }

    fn descend<S: Sink<f32> + ?Sized>(&self, gradient: &f32, step: f32, w: &mut S) {
        w.axpy_dense(0, &[*gradient], -step);
    }

    fn value(&self, w: &[f32]) -> f64 {
        (1.0 + f64::from(w[0]).powi(2)) / 2.0
    }
}

/// The weight of slow updates relative to all, with equal costs and with costs 1 and 10, on real threads.
pub fn sample_cost(effort: Effort) -> Result<Vec<Row>> {
    let workers = Topology::detect().cores().max(2);
    let one = |micros: [u64; 2]| -> Result<(f64, bool)> {
        let run = Trainer::new(TwoCosts { times: micros.map(Duration::from_micros) })
            .workers(workers)
            .block(BlockSize::Rows(1))
            .step(step::delay_adaptive(0.005))
            .epochs(if effort.quick { 4.0 } else { 16.0 })
            .seed(effort.seed)
            .profile(true)
            .minimize()?;
        let bias = run.timing().and_then(|timing| timing.cost_bias()).unwrap_or(0.0);
        Ok((bias, run.plan.warnings.iter().any(|line| line.contains("slow to compute"))))
    };
    let row = |what: &str, expected: &str, (bias, warned): (f64, bool), least: f64, most: f64| {
        let told = if warned { "warned" } else { "no warning" };
        let what = format!("{workers} real threads, {what}: weight of slow updates / all − 1 ({told})");
        Row::between(what, expected, bias, least, most)
    };
    Ok(vec![
        row("costs 1 and 1", "no bias, no warning", one([5, 5])?, -0.05, 0.05),
        row("costs 1 and 10", "below −0.05: the engine warns", one([1, 10])?, -1.0, -0.05),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use asyncsgd::sim::claims::Verdict;

    #[test]
    fn the_engine_warns_of_examples_costs() {
        if Topology::detect().cores() < 2 {
            return; // workers that take turns do not meet
        }
        let rows = sample_cost(Effort { quick: true, seed: 0 }).unwrap();
        assert!(rows[1].verdict == Verdict::Holds && rows[1].what.ends_with("(warned)"), "{rows:?}");
    }
}

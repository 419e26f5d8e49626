//! Whether the engine sees that compute time depends on the example.

use asyncsgd::sim::claims::{Effort, Row, Verdict};
use asyncsgd::step::{self, StepRule};
use asyncsgd::{BlockSize, Objective, Result, Sink, Topology, Trainer, Weights};
use std::ops::Range;
use std::time::{Duration, Instant};

/// The mean of (w − 1)²/2 and (w + 1)²/2, whose gradients take their time.
struct TwoCosts {
    times: [Duration; 2],
    examples: usize,
    /// Wait instead of computing: then workers overlap on any number of cores, however busy.
    sleeps: bool,
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
        self.examples
    }

    fn buffer(&self) -> f32 {
        0.0
    }

    fn gradient<W: Weights<f32> + ?Sized>(&self, examples: Range<usize>, w: &W, gradient: &mut f32) {
        let (start, kind) = (Instant::now(), Self::kind(examples.start));
        *gradient = w.get(0) - [1.0, -1.0][kind];
        if self.sleeps {
            std::thread::sleep(self.times[kind]);
        }
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

/// The workers of theory's example; sleeping ones need no cores.
const WORKERS: usize = 8;

/// What the guard saw, a bias (NaN where too few were slow to tell), and whether it warned: both must be as expected.
fn row(
    what: &str,
    expected: &str,
    (bias, warned): (f64, bool),
    (least, most): (f64, f64),
    warns: bool,
) -> Row {
    let told = if warned { "warned" } else { "no warning" };
    let what = format!("{what}: weight of slow updates / all − 1 ({told})");
    let row = Row::between(what, expected, bias, least, most);
    if warned == warns { row } else { Row { verdict: Verdict::OutOfTolerance, ..row } }
}

/// The weight of slow updates relative to all, on real threads.
pub fn sample_cost(effort: Effort) -> Result<Vec<Row>> {
    let cores = Topology::detect().cores().max(2);
    let one = |problem: TwoCosts, workers: usize, rule: StepRule| -> Result<(f64, bool)> {
        let run = Trainer::new(problem)
            .workers(workers)
            .block(BlockSize::Rows(1))
            .step(rule)
            .epochs(if effort.quick { 1.0 } else { 4.0 })
            .seed(effort.seed)
            .profile(true)
            .minimize()?;
        let bias = run.timing().and_then(|timing| timing.cost_bias()).unwrap_or(f64::NAN);
        Ok((bias, run.plan.warnings.iter().any(|line| line.contains("slow to compute"))))
    };
    let equal = || TwoCosts { times: [Duration::from_micros(5); 2], examples: 1 << 18, sleeps: false };
    let costs = || TwoCosts { times: [1, 10].map(Duration::from_millis), examples: 1 << 12, sleeps: true };
    let damped = || step::delay_adaptive(0.005);
    // As the engine warns.
    let most = 0.05;
    Ok(vec![
        row(
            &format!("{cores} real threads, costs 1 and 1, delay-adaptive"),
            "no bias, no warning",
            one(equal(), cores, damped())?,
            (-most, most),
            false,
        ),
        row(
            &format!("{WORKERS} real threads, costs 1 and 10, delay-adaptive"),
            "−0.203 as simulated; from −0.05 on the engine warns",
            one(costs(), WORKERS, damped())?,
            (-1.0, -most),
            true,
        ),
        row(
            &format!("{WORKERS} real threads, costs 1 and 10, constant"),
            "no bias, no warning",
            one(costs(), WORKERS, step::constant(0.005))?,
            (0.0, 0.0),
            false,
        ),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_warning_is_out_of_tolerance() {
        let verdict = |bias, warned, warns| row("", "", (bias, warned), (-1.0, -0.05), warns).verdict;
        assert_eq!(verdict(-0.2, true, true), Verdict::Holds);
        for (bias, warned, warns) in [(-0.2, false, true), (-0.2, true, false), (f64::NAN, false, false)] {
            assert_eq!(verdict(bias, warned, warns), Verdict::OutOfTolerance, "{bias} {warned} {warns}");
        }
    }

    #[test]
    fn the_engine_warns_of_examples_costs() {
        let rows = sample_cost(Effort { quick: true, seed: 0 }).unwrap();
        assert!(rows[1].verdict == Verdict::Holds && rows[1].what.ends_with("(warned)"), "{rows:?}");
        assert!(rows[2].verdict == Verdict::Holds && rows[2].what.ends_with("(no warning)"), "{rows:?}");
    }
}

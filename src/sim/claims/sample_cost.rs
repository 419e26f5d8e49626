//! Delay-adaptive steps are biased when a sample's gradient takes its own time.

use rand::RngExt as _;
use rayon::prelude::*;

use super::{Axis, Chart, Claim, Effort, Row, number};
use crate::Result;
use crate::sim::{Problem, Simulation, Stream};
use crate::step::{self, StepRule, Threshold};

const WORKERS: usize = 8;

/// The mean of (x − 1)²/2, which costs 1, and (x + 1)²/2, which costs `cost`: its minimiser is 0.
struct TwoSamples {
    cost: f64,
}

impl Problem for TwoSamples {
    fn dimension(&self) -> usize {
        1
    }

    fn draw(&self, _: usize, _: u64, stream: &mut Stream) -> u64 {
        u64::from(stream.random::<bool>())
    }

    fn cost(&self, _: usize, sample: u64) -> f64 {
        if sample == 0 { 1.0 } else { self.cost }
    }

    fn gradient(&self, _: usize, sample: u64, x: &[f64], _: &mut Stream, gradient: &mut [f64]) {
        gradient[0] = if sample == 0 { x[0] - 1.0 } else { x[0] + 1.0 };
    }

    fn measure(&self, x: &[f64]) -> f64 {
        1.0 + x[0] * x[0]
    }
}

pub(super) fn sample_cost(effort: Effort) -> Result<Claim> {
    let updates: u64 = if effort.quick { 1_000_000 } else { 10_000_000 };
    let drop = |m: u64| step::drop(0.005, Threshold::Iterations(m)).concurrency(m as usize / 2);
    let rules: [(&str, StepRule, [f64; 2]); 5] = [
        ("constant", step::constant(0.005), [0.0, 0.0]),
        ("delay-adaptive, C = 8", step::delay_adaptive(0.005), [0.075, 0.203]),
        ("drop above 8", drop(8), [0.586, 0.886]),
        ("drop above 16", drop(16), [0.0, 0.066]),
        ("1/(1 + τ)", step::inverse(0.005, 1.0), [0.315, 0.756]),
    ];
    let cases: Vec<(f64, &str, StepRule, f64)> = [2.0, 10.0]
        .into_iter()
        .enumerate()
        .flat_map(|(i, cost)| {
            rules.iter().map(move |(name, rule, bias)| (cost, *name, rule.clone(), bias[i]))
        })
        .collect();
    let one = |(cost, name, rule, expected): (f64, &str, StepRule, f64)| -> Result<Row> {
        let outcome = Simulation::new(WORKERS, "uniform:1,0.01*sample".parse()?)
            .step(rule)
            .seed(effort.seed)
            .average_from(updates / 20)
            .iterations(updates)
            .run(&TwoSamples { cost })?;
        let mean = outcome.average.map_or(f64::NAN, |average| average.x[0]);
        let share = 50.0 * (1.0 + mean);
        let what = format!(
            "costs 1 and {cost}, {name}: mean of x (cheap samples' share: {} %)",
            number(share.round())
        );
        Ok(Row::around(what, expected, mean, 0.02))
    };
    let points: Vec<(f64, &str)> = cases.iter().map(|&(cost, name, ..)| (cost, name)).collect();
    let rows: Vec<Row> = cases.into_par_iter().map(one).collect::<Result<_>>()?;
    let mut chart =
        Chart::new(Axis::linear("cost of the dear sample"), Axis::linear("mean of x, minimiser 0"));
    for (name, ..) in &rules {
        let of_rule = points.iter().zip(&rows).filter(|((_, rule), _)| rule == name);
        chart.line(*name, of_rule.map(|((cost, _), row)| (*cost, row.measured)).collect());
    }
    Ok(Claim {
        name: "sample-cost",
        statement: "Steps that depend on the delay weigh samples by their cost when compute time depends \
                    on the sample, and converge elsewhere; a constant step does not",
        setup: format!(
            "{WORKERS} workers, times ± 1 % (in lock-step, which exact multiples would keep, the bias is \
             up to three times smaller); f = the mean of (x − 1)²/2, cheap, and (x + 1)²/2, dear, \
             minimised at 0; γ = 0.005, {updates} updates; a cheap share of the step mass other than 50 % \
             is the bias"
        ),
        rows,
        chart,
    })
}

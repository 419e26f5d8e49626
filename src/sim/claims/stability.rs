//! When a constant delay diverges.

use rayon::prelude::*;

use super::{Axis, Chart, Claim, Effort, Row, edge};
use crate::Result;
use crate::sim::{Quadratic, Simulation};
use crate::step;

pub(super) fn stability(effort: Effort) -> Result<Claim> {
    let sizes: &[usize] = if effort.quick { &[1, 2, 4, 8, 16] } else { &[1, 2, 3, 4, 8, 16, 32, 64, 128] };
    let problem = Quadratic::new(vec![1.0])?;
    let one = |&n: &usize| -> Result<(Vec<Row>, [f64; 3])> {
        let tau = n - 1;
        // Equal speeds take turns, so every delay is n − 1, from the n-th update on.
        let end = |rate: f64, iterations: u64| -> Result<f64> {
            let run =
                Simulation::new(n, "fixed:1".parse()?).step(step::constant(rate)).iterations(iterations);
            Ok(run.run(&problem)?.end.measure)
        };
        let bound = 2.0 * (std::f64::consts::PI / (2.0 * (2 * tau + 1) as f64)).sin();
        let long = 4000 * n as u64;
        let critical = edge(0.5 * bound, 2.0 * bound, |rate| Ok(end(rate, long)? <= problem.initial()))?;
        let mut rows = vec![Row::near(format!("τ = {tau}: largest stable γ·L"), bound, critical, 0.01)];
        if tau > 0 {
            // The largest step without oscillation, τ^τ/(τ + 1)^(τ + 1), has a double root:
            // |x_t| ~ t·(τ/(τ + 1))^t.
            let t = tau as f64;
            let rate = (t / (t + 1.0)).powf(t) / (t + 1.0);
            let (from, to) = (20 * n as u64, 40 * n as u64);
            let ratio = (end(rate, to)? / end(rate, from)?).sqrt() / (to as f64 / from as f64);
            let contraction = ratio.powf(1.0 / (to - from) as f64);
            let what = format!("τ = {tau}: contraction at the largest step without oscillation");
            rows.push(Row::near(what, t / (t + 1.0), contraction, 0.005));
        }
        Ok((rows, [(2 * tau + 1) as f64, bound, critical]))
    };
    let (rows, points): (Vec<Vec<Row>>, Vec<[f64; 3]>) =
        sizes.par_iter().map(one).collect::<Result<Vec<_>>>()?.into_iter().unzip();
    let mut chart = Chart::new(Axis::log("2τ + 1"), Axis::log("largest stable γ·L"));
    chart.line("2·sin(π/(2(2τ + 1)))", points.iter().map(|&[x, bound, _]| (x, bound)).collect());
    chart.line("measured", points.iter().map(|&[x, _, critical]| (x, critical)).collect());
    Ok(Claim {
        name: "stability",
        statement: "x ← x − γ·L·x with a fixed delay τ is stable exactly for γ·L < 2·sin(π/(2(2τ + 1)))",
        setup: "τ + 1 equally fast workers on f = x²/2; the edge by bisection".to_owned(),
        rows: rows.concat(),
        chart,
    })
}

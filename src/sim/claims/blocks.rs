//! How much of a block's difference may be published.

use rayon::prelude::*;

use super::{Axis, Chart, Claim, Effort, Row, edge, number};
use crate::sim::{Algorithm, Examples, Law, Outcome, Problem, Publish, Quadratic, Simulation};
use crate::step::{self, Schedule};
use crate::{Dataset, Linear, LogisticLoss, Result, Rows};

/// The least value of the mean logistic loss + ‖w‖²/(2n) on the embedded data.
const OPTIMUM: f64 = 0.444_205_123_531_701_3;

/// Rate and decay of the schedule rate/(1 + epoch).
const RATE: f64 = 0.05;

fn objective(data: &Dataset) -> Examples<Linear<'_, LogisticLoss>> {
    let l2 = 1.0 / data.len() as f64;
    Examples::new(Linear::new(data.rows(), data.labels(), LogisticLoss, l2, 0.0, None), data.rows())
        .optimum(OPTIMUM)
}

/// The largest eigenvalue of X'X/(4n), by power iteration: the top curvature of the mean loss.
fn top_curvature(rows: &Rows) -> f64 {
    let mut v = vec![1.0; rows.features()];
    let mut top = 0.0;
    for _ in 0..20 {
        let norm = v.iter().map(|v| v * v).sum::<f64>().sqrt();
        v.iter_mut().for_each(|v| *v /= norm);
        let mut next = vec![0.0; v.len()];
        for row in rows.iter() {
            let z: f64 = row.iter().map(|(i, x)| v[i] * f64::from(x)).sum();
            row.iter().for_each(|(i, x)| next[i] += z * f64::from(x));
        }
        top = next.iter().zip(&v).map(|(a, b)| a * b).sum::<f64>() / (4.0 * rows.len() as f64);
        v = next;
    }
    top
}

struct Case {
    workers: usize,
    length: u64,
    law: String,
    publish: Publish,
}

pub(super) fn blocks(effort: Effort) -> Result<Claim> {
    let (data, _) = Dataset::flights(effort.seed)?;
    let data = data.binary()?;
    let problem = objective(&data);
    let epochs: u64 = if effort.quick { 2 } else { 6 };
    let rule = step::constant(RATE).schedule(Schedule::InverseTime { decay: 1.0 });
    // The gap after each epoch, (f − f*)/f*.
    let run = |case: &Case, epochs: u64| -> Result<f64> {
        let outcome: Outcome = Simulation::new(case.workers, case.law.parse::<Law>()?)
            .algorithm(Algorithm::Blocks { length: case.length, publish: case.publish })
            .step(rule.clone())
            .seed(effort.seed)
            .measure_every(u64::MAX)
            .gradients(epochs * data.len() as u64)
            .run(&problem)?;
        Ok(outcome.end.measure / OPTIMUM)
    };
    let case = |workers, length, law: &str, publish| Case { workers, length, law: law.to_owned(), publish };
    let sequential = run(&case(1, 1024, "fixed:1", Publish::Whole), epochs)?;
    let top = top_curvature(data.rows());

    let uneven = |n: usize| format!("speeds:1..{n}");
    let mut adaptive = Vec::new();
    for (n, m) in [(2, 1024), (8, 256), (8, 1024), (32, 64), (32, 256)] {
        adaptive.push(case(n, m, "fixed:1", Publish::Adaptive));
        adaptive.push(case(n, m, &uneven(n), Publish::Adaptive));
        adaptive.push(case(n, m, "straggler:50", Publish::Adaptive));
    }
    if effort.quick {
        adaptive.retain(|case| case.length == 256);
    }
    let gaps: Vec<f64> =
        adaptive.par_iter().map(|case| Ok(run(case, epochs)? / sequential)).collect::<Result<_>>()?;
    let mut chart = Chart::new(Axis::log("rows in flight, n·m"), Axis::log("gap / sequential's"));
    let mut rows = Vec::new();
    for (case, &gap) in adaptive.iter().zip(&gaps) {
        let what =
            format!("adaptive, n = {}, m = {}, {}: gap / sequential's", case.workers, case.length, case.law);
        let expected = format!("at most 1 (sequential: {})", number(sequential));
        rows.push(Row::between(what, expected, gap, 0.0, 1.0));
    }
    let in_flight = |case: &Case| (case.workers as u64 * case.length) as f64;
    for kind in ["fixed", "speeds", "straggler"] {
        let those = adaptive.iter().zip(&gaps).filter(|(case, _)| case.law.starts_with(kind));
        chart.line(format!("adaptive, {kind}"), those.map(|(case, &gap)| (in_flight(case), gap)).collect());
    }

    // Whole: stable only for m·γ·L below 2·sin(π/(2(2n − 1))).
    let mut whole = Vec::new();
    for n in [2, 8, 32] {
        let bound = 2.0 * (std::f64::consts::PI / (2.0 * (2 * n - 1) as f64)).sin() / (RATE * top);
        whole.push((n, bound, 0.5));
        whole.push((n, bound, 16.0));
    }
    let first = run(&case(1, 1024, "fixed:1", Publish::Whole), 1)?;
    let ends: Vec<f64> = whole
        .par_iter()
        .map(|&(n, bound, times)| run(&case(n, length(bound, times), "fixed:1", Publish::Whole), 1))
        .collect::<Result<_>>()?;
    let mut points = Vec::new();
    for (&(n, bound, times), gap) in whole.iter().zip(ends) {
        let m = length(bound, times);
        let what =
            format!("whole, n = {n}, m = {m}, {times} × the bound {}: gap after an epoch", number(bound));
        points.push(((n as u64 * m) as f64, gap / first));
        rows.push(if times < 1.0 {
            Row::between(what, "stable", gap, 0.0, 0.1)
        } else {
            Row::between(what, "diverges", gap, 0.5, f64::INFINITY)
        });
    }
    chart.line("whole, after an epoch", points);
    rows.extend([4, 8, 32].into_par_iter().map(exact_edge).collect::<Result<Vec<_>>>()?);

    let mut averages = Vec::new();
    for n in [8, 32] {
        averages.push(case(n, 64, "fixed:1", Publish::Average));
        averages.push(case(n, 64, &uneven(n), Publish::Average));
    }
    let gaps: Vec<f64> =
        averages.par_iter().map(|case| Ok(run(case, epochs)? / sequential)).collect::<Result<_>>()?;
    for (case, &gap) in averages.iter().zip(&gaps) {
        let what = format!("average, n = {}, m = 64, {}: gap / sequential's", case.workers, case.law);
        rows.push(Row::between(what, "slow: above 1", gap, 1.2, f64::INFINITY));
    }
    chart.line("average", averages.iter().map(in_flight).zip(gaps).collect());
    Ok(Claim {
        name: "blocks",
        statement: "Workers that publish whole differences of blocks diverge beyond m·γ·L = 2·sin(π/(2(2n \
                    − 1))), averaging is slow, and coordinate-wise delay-adaptive weights keep the \
                    sequential gap per epoch",
        setup: format!(
            "embedded flights ({} rows, {} features), logistic loss, γ = {RATE}/(1 + epoch), top curvature \
             {}; (f − f*)/f* after {epochs} epochs; m rows a block",
            data.len(),
            problem.dimension(),
            number(top)
        ),
        rows,
        chart,
    })
}

/// `times` the bound on a block's length, in rows.
fn length(bound: f64, times: f64) -> u64 {
    ((bound * times) as u64).max(1)
}

/// The largest stable rate of blocks of 64 steps that are published whole, where it is exact: on x²/2 a block moves by
/// 1 − (1 − γ)^64 of the parameters it read, as one late gradient step of that size.
fn exact_edge(n: usize) -> Result<Row> {
    const LENGTH: u64 = 64;
    let bound = 2.0 * (std::f64::consts::PI / (2.0 * (2 * n - 1) as f64)).sin();
    let expected = 1.0 - (1.0 - bound).powf(1.0 / LENGTH as f64);
    let problem = Quadratic::new(vec![1.0])?;
    let rate = edge(0.5 * expected, 2.0 * expected, |rate| {
        let run = Simulation::new(n, Law::list(vec![1.0; n])?)
            .algorithm(Algorithm::Blocks { length: LENGTH, publish: Publish::Whole })
            .step(step::constant(rate))
            .iterations(2_000 * n as u64)
            .run(&problem)?;
        Ok(run.end.measure <= problem.initial())
    })?;
    Ok(Row::near(format!("whole, n = {n}, m = {LENGTH}, f = x²/2: largest stable γ"), expected, rate, 0.01))
}

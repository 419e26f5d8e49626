//! How much of a block's difference may be published.

use rayon::prelude::*;

use super::{Axis, Chart, Claim, Effort, Row, edge, number};
use crate::sim::{Algorithm, Examples, Law, Outcome, Problem, Publish, Quadratic, Simulation};
use crate::step::{self, Schedule};
use crate::{
    Dataset, Result, Rows,
    model::{Linear, LogisticLoss},
};

/// The least value of the mean logistic loss + ‖w‖²/(2n) on the embedded data.
const OPTIMUM: f64 = 0.444_205_123_531_701_3;

/// Layouts of the rows over which is averaged.
const LAYOUTS: u64 = 8;

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

/// The gap after some epochs, (f − f*)/f*.
fn gap(
    problem: &Examples<Linear<'_, LogisticLoss>>,
    case: &Case,
    epochs: u64,
    effort: Effort,
) -> Result<f64> {
    let outcome: Outcome = Simulation::new(case.workers, case.law.parse::<Law>()?)
        .algorithm(Algorithm::Blocks { length: case.length, publish: case.publish })
        .step(step::constant(RATE).schedule(Schedule::InverseTime { decay: 1.0 }))
        .seed(effort.seed)
        .measure_every(u64::MAX)
        .gradients(epochs * problem.epoch() as u64)
        .run(problem)?;
    Ok(outcome.end.measure / OPTIMUM)
}

pub(super) fn blocks(effort: Effort) -> Result<Claim> {
    let (data, _) = Dataset::flights(effort.seed)?;
    let data = data.binary()?;
    let problem = objective(&data);
    let epochs: u64 = if effort.quick { 2 } else { 6 };
    let run = |case: &Case, epochs: u64| gap(&problem, case, epochs, effort);
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

    // Whole: a block contracts by 1 − (1 − γ·L)^m, which is below m·γ·L, so m·γ·L below the bound is stable.
    let first = run(&case(1, 1024, "fixed:1", Publish::Whole), 1)?;
    let start = problem.measure(&problem.start()) / OPTIMUM;
    let bound = |n: usize| bound(n) / (RATE * top);
    let whole = [(2, 0.5), (8, 0.5), (8, 16.0), (32, 0.5), (32, 16.0)];
    let end =
        |&(n, times): &(usize, f64)| run(&case(n, length(bound(n), times), "fixed:1", Publish::Whole), 1);
    let ends: Vec<f64> = whole.par_iter().map(end).collect::<Result<_>>()?;
    let mut points = Vec::new();
    for (&(n, times), gap) in whole.iter().zip(ends) {
        let m = length(bound(n), times);
        // A block has at least a row.
        let share = m as f64 / bound(n);
        let what = format!("whole, n = {n}, m = {m}, {share:.2} × the bound {}", number(bound(n)));
        points.push(((n as u64 * m) as f64, gap / first));
        rows.push(if times < 1.0 {
            let most = amplified(share);
            let text = format!("stable: noise at most {} times sequential's", number(most));
            Row::between(format!("{what}: gap after an epoch / sequential's"), text, gap / first, 0.0, most)
        } else {
            let text = format!("diverges: above {} at the start", number(start));
            Row::between(format!("{what}: gap after an epoch"), text, gap, start, f64::INFINITY)
        });
    }
    // Two workers have no edge where blocks contract by less than 1, but noise adds up: what becomes of it in one run
    // is as random as one number, so runs on some layouts of the rows are averaged.
    let m = length(bound(2), 16.0);
    let gaps: Vec<f64> = (effort.seed..effort.seed + LAYOUTS)
        .into_par_iter()
        .map(|seed| {
            let data = data.laid_out(seed);
            gap(&objective(&data), &case(2, m, "fixed:1", Publish::Whole), 1, effort)
        })
        .collect::<Result<_>>()?;
    let mean = gaps.iter().sum::<f64>() / gaps.len() as f64 / first;
    points.push(((2 * m) as f64, mean));
    let what = format!(
        "whole, n = 2, m = {m}, {:.2} × the bound {}: gap after an epoch / sequential's, mean of {LAYOUTS} layouts",
        m as f64 / bound(2),
        number(bound(2))
    );
    let text = "noise adds up: more than at half the bound";
    rows.push(Row::between(what, text, mean, amplified(0.5), f64::INFINITY));
    chart.line("whole, after an epoch", points);
    rows.push(two_workers(effort)?);
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
        statement: "Workers that publish whole differences of blocks diverge beyond 1 − (1 − γ·L)^m = \
                    2·sin(π/(2(2n − 1))), which two never reach, averaging is slow, and coordinate-wise \
                    delay-adaptive weights keep the sequential gap per epoch",
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

/// The largest stable contraction of a block: what n workers in turn publish is n − 1 publications late.
fn bound(n: usize) -> f64 {
    2.0 * (std::f64::consts::PI / (2.0 * (2 * n - 1) as f64)).sin()
}

/// The most that delays make of a gradient's noise up to this share, below 1, of the bound: the stationary variance of
/// dx = −a·x(t − 1)·dt + dW is (1 + sin a)/(2a·cos a), that without the delay 1/(2a), and the bound is a = π/2, which
/// many workers come to from below.
fn amplified(share: f64) -> f64 {
    let a = share * std::f64::consts::FRAC_PI_2;
    (1.0 + a.sin()) / a.cos()
}

/// Two workers at twice the bound: on x²/2 a block contracts by c = 1 − (1 − γ)^m, which is below their bound of 1 for
/// any m. They are stable, and x_{k+1} = x_k − c·x_{k−1} + e_k has (1 + c)/(c·(1 − c)·(2 + c)) times the variance of e,
/// one worker 1/(c·(2 − c)) times.
fn two_workers(effort: Effort) -> Result<Row> {
    const LENGTH: u64 = 16;
    let rate = 2.0 / LENGTH as f64;
    let c = 1.0 - (1.0 - rate).powi(LENGTH as i32);
    let expected = (1.0 + c) * (2.0 - c) / ((1.0 - c) * (2.0 + c));
    let problem = Quadratic::new(vec![1.0])?.noise(1.0)?.replicates(256);
    let variance = |n: usize| -> Result<f64> {
        let run = Simulation::new(n, Law::list(vec![1.0; n])?)
            .algorithm(Algorithm::Blocks { length: LENGTH, publish: Publish::Whole })
            .step(step::constant(rate))
            .seed(effort.seed)
            .average_from(400)
            .iterations(4_000)
            .run(&problem)?;
        Ok(run.average.map_or(f64::NAN, |average| average.measure))
    };
    let what = format!("whole, n = 2, m = {LENGTH}, 2 × the bound, f = x²/2: variance / sequential's");
    Ok(Row::near(what, expected, variance(2)? / variance(1)?, 0.05))
}

/// The largest stable rate of blocks of 64 steps that are published whole, where it is exact: on x²/2 a block moves by
/// 1 − (1 − γ)^64 of the parameters it read, as one late gradient step of that size.
fn exact_edge(n: usize) -> Result<Row> {
    const LENGTH: u64 = 64;
    let expected = 1.0 - (1.0 - bound(n)).powf(1.0 / LENGTH as f64);
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

//! How much of a block's difference may be published.

use rayon::prelude::*;

use super::{Claim, Effort, Row, number};
use crate::sim::{Algorithm, Examples, Law, Outcome, Problem, Publish, Simulation};
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
    let mut rows: Vec<Row> = adaptive
        .par_iter()
        .map(|case| {
            let gap = run(case, epochs)?;
            let what = format!(
                "adaptive, n = {}, m = {}, {}: gap / sequential's",
                case.workers, case.length, case.law
            );
            let expected = format!("at most 1 (sequential: {})", number(sequential));
            Ok(Row::between(what, expected, gap / sequential, 0.0, 1.25))
        })
        .collect::<Result<_>>()?;

    // Whole: stable only for m·γ·L below 2·sin(π/(2(2n − 1))).
    let mut whole = Vec::new();
    for n in [2, 8, 32] {
        let bound = 2.0 * (std::f64::consts::PI / (2.0 * (2 * n - 1) as f64)).sin() / (RATE * top);
        whole.push((n, bound, 0.5));
        whole.push((n, bound, 16.0));
    }
    let stability: Vec<Row> = whole
        .par_iter()
        .map(|&(n, bound, times)| {
            let m = ((bound * times) as u64).max(1);
            let gap = run(&case(n, m, "fixed:1", Publish::Whole), 1)?;
            let what =
                format!("whole, n = {n}, m = {m}, {times} × the bound {}: gap after an epoch", number(bound));
            Ok(if times < 1.0 {
                Row::between(what, "stable", gap, 0.0, 0.1)
            } else {
                Row::between(what, "diverges", gap, 0.5, f64::INFINITY)
            })
        })
        .collect::<Result<_>>()?;
    rows.extend(stability);

    let average = |n: usize| -> Result<Row> {
        let gap = run(&case(n, 64, "fixed:1", Publish::Average), epochs)?;
        let what = format!("average, n = {n}, m = 64: gap / sequential's");
        Ok(Row::between(what, "slow: above 1", gap / sequential, 1.2, f64::INFINITY))
    };
    let averages: Vec<Row> = [8, 32].into_par_iter().map(average).collect::<Result<_>>()?;
    rows.extend(averages);
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
    })
}

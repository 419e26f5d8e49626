//! Dropping late gradients, and damping them.

use rayon::prelude::*;

use super::minibatch::spectrum;
use super::moments::{Hit, Noisy};
use super::{Axis, Chart, Claim, Effort, Row, Verdict, best, number};
use crate::Result;
use crate::sim::Law;
use crate::step::{self, StepRule, Threshold};

/// How much faster than the others one worker is.
const FAST: f64 = 4.0;

/// The longest run of the constant step; the others get multiples of its time.
const LONGEST: u64 = 60_000;

/// Drops what is later than n. A threshold below 2·C is refused for what this experiment shows, so the
/// concurrency is understated.
fn drop_at_n(workers: usize) -> StepRule {
    step::drop(1.0, Threshold::Iterations(workers as u64)).concurrency(workers / 2)
}

pub(super) fn drop(effort: Effort) -> Result<Claim> {
    let sizes: &[usize] = if effort.quick { &[4, 16] } else { &[4, 16, 64] };
    let relative = if effort.quick { 1e-2 } else { 3e-3 };
    let problem = Noisy::new(spectrum(), 3.0);
    let target = relative * problem.initial();
    let one = |&n: &usize| -> Result<(Vec<Row>, [f64; 4])> {
        let law: Law = format!("straggler:{}", 1.0 / FAST).parse()?;
        // With the best rate.
        let hit = |rule: StepRule, limit: f64| -> Result<Option<Hit>> {
            let run = |rate| {
                let rule = rule.clone().rate(rate);
                problem.asynchronous((n, &law, effort.seed), &rule, target, limit as u64)
            };
            let (_, rate) = best(|rate| Ok(run(rate)?.map(|hit| hit.iterations as f64)))?;
            if rate.is_nan() { Ok(None) } else { run(rate) }
        };
        // Iterations and kept mass.
        let told =
            |hit: Option<Hit>| hit.map_or((f64::INFINITY, f64::NAN), |hit| (hit.iterations as f64, hit.kept));
        // The fast worker makes FAST updates for each of the n − 1 others, whose delays are n + FAST − 2.
        let share = FAST / (n as f64 - 1.0 + FAST);
        let weight = (n as f64 / (n as f64 + FAST - 2.0)).min(1.0);
        let (mass, square) = (share + (1.0 - share) * weight, share + (1.0 - share) * weight * weight);
        // Noise is averaged over T·(Σw)²/(T·Σw²) gradients.
        let averaged = mass * mass / square;
        let (constant, _) = told(hit(step::constant(1.0), LONGEST as f64)?);
        let (dropped, kept) = told(hit(drop_at_n(n), 3.0 * constant / share)?);
        let (damped, damped_kept) = told(hit(step::delay_adaptive(1.0), 3.0 * constant)?);
        let (late, late_kept) = told(hit(step::drop(1.0, Threshold::Concurrencies(2.0)), 3.0 * constant)?);
        // The fast worker's gradients are all that is kept, and are never late: SGD with one worker.
        let serial = |rate| Ok(problem.minibatch(1, rate, target, LONGEST).map(|updates| updates as f64));
        let alone = best(serial)?.0 / share / constant;
        let at = |what: &str| format!("n = {n}: {what}");
        let same = |rule: &str, iterations: f64, averaged: f64| {
            let known = format!("1; noise is averaged over {} of the gradients", number(averaged));
            let text = if averaged < 1.0 { &known } else { "1" };
            let (what, ratio) =
                (at(&format!("iterations of {rule} / constant step's")), iterations / constant);
            let row = Row::between(what, text, ratio, f64::NEG_INFINITY, 1.02 / averaged);
            if ratio > 1.02 { row.known(Verdict::DoesNotHold) } else { row }
        };
        let rows = vec![
            Row::near(at("kept share of drop above n = τ_C"), share, kept, 0.02),
            Row::near(at("iterations of drop above n / constant step's"), alone, dropped / constant, 0.02)
                .expecting(&format!(
                    "of the order of 1, by Theorem 8; the fast worker alone: {}",
                    number(alone)
                ))
                .known(Verdict::DoesNotHold),
            Row::between(at("kept mass of damping"), "at least ½, by Jensen", damped_kept, 0.5, 1.0),
            same("damping", damped, averaged),
            Row::between(at("kept share of drop above 2n"), "at least ½, by Markov", late_kept, 0.5, 1.0),
            same("drop above 2n", late, 1.0),
        ];
        Ok((rows, [alone, dropped / constant, damped / constant, late / constant]))
    };
    let (rows, times): (Vec<Vec<Row>>, Vec<[f64; 4]>) =
        sizes.par_iter().map(one).collect::<Result<Vec<_>>>()?.into_iter().unzip();
    let mut chart = Chart::new(Axis::log("workers"), Axis::log("iterations / constant step's"));
    for (i, name) in
        ["the fast worker alone", "drop above n", "delay-adaptive", "drop above 2n"].into_iter().enumerate()
    {
        chart.line(name, sizes.iter().zip(&times).map(|(&n, times)| (n as f64, times[i])).collect());
    }
    Ok(Claim {
        name: "drop",
        statement: "Gradients later than the concurrency τ_C may be dropped (Koloskova, Stich, Jaggi 2022, \
                    Theorem 8, which takes half of the delays to be below the mean)",
        setup: format!(
            "one worker {FAST} times as fast as the others; quadratic as in `minibatch`, noise σ = 3; tuned \
             steps, iterations until the mean of ‖∇f‖² over all noise is {relative} of its start"
        ),
        rows: rows.concat(),
        chart,
    })
}

//! Dropping late gradients, and damping them.

use rayon::prelude::*;

use super::minibatch::problem;
use super::{Claim, Effort, Row, Verdict, tuned};
use crate::Result;
use crate::sim::{Outcome, Simulation};
use crate::step::{self, StepRule, Threshold};

/// How much faster than the others one worker is.
const FAST: f64 = 4.0;

/// Drops what is later than n. A threshold below 2·C is refused for what this experiment shows, so the
/// concurrency is understated.
fn drop_at_n(workers: usize) -> StepRule {
    step::drop(1.0, Threshold::Iterations(workers as u64)).concurrency(workers / 2)
}

pub(super) fn drop(effort: Effort) -> Result<Claim> {
    let sizes: &[usize] = if effort.quick { &[4, 16] } else { &[4, 16, 64] };
    let relative = if effort.quick { 1e-2 } else { 3e-3 };
    let problem = problem(3.0, if effort.quick { 32 } else { 64 })?;
    let target = relative * problem.initial();
    // The first hit of a mean over fewer replicates is noisier.
    let most = if effort.quick { 1.05 } else { 1.02 };
    let one = |&n: &usize| {
        let base = Simulation::new(n, format!("straggler:{}", 1.0 / FAST).parse()?)
            .seed(effort.seed)
            .target(target)
            .iterations(if effort.quick { 12_000 } else { 60_000 });
        let time = |rule: &StepRule| -> Result<(f64, f64)> {
            let hit = |outcome: &Outcome| outcome.first_hit.map(|mark| mark.iteration as f64);
            let (time, rate) = tuned(&base, rule, &problem, hit)?;
            let kept = base.clone().step(rule.clone().rate(rate.max(1e-9))).run(&problem)?.delays.kept_mass();
            Ok((time, kept))
        };
        let (constant, _) = time(&step::constant(1.0))?;
        let (dropped, kept) = time(&drop_at_n(n))?;
        let (damped, damped_kept) = time(&step::delay_adaptive(1.0))?;
        let (late, late_kept) = time(&step::drop(1.0, Threshold::Concurrencies(2.0)))?;
        // The fast worker makes FAST updates for each of the n − 1 others.
        let share = FAST / (n as f64 - 1.0 + FAST);
        let at = |what: &str| format!("n = {n}: {what}");
        Ok(vec![
            Row::near(at("kept share of drop above n = τ_C"), share, kept, 0.02),
            Row::between(
                at("its iterations / constant step's"),
                format!("of the order of 1, by Theorem 8; 1/share: {}", super::number(1.0 / share)),
                dropped / constant,
                0.7 / share,
                f64::INFINITY,
            )
            .known(Verdict::DoesNotHold),
            Row::between(at("kept mass of damping"), "at least ½, by Jensen", damped_kept, 0.5, 1.0),
            Row::between(
                at("its iterations / constant step's"),
                "at most 1",
                damped / constant,
                f64::NEG_INFINITY,
                most,
            ),
            Row::between(at("kept share of drop above 2n"), "at least ½, by Markov", late_kept, 0.5, 1.0),
            Row::between(
                at("its iterations / constant step's"),
                "at most 1",
                late / constant,
                f64::NEG_INFINITY,
                most,
            ),
        ])
    };
    let rows: Vec<Vec<Row>> = sizes.par_iter().map(one).collect::<Result<_>>()?;
    Ok(Claim {
        name: "drop",
        statement: "Gradients later than the concurrency τ_C may be dropped (Koloskova, Stich, Jaggi 2022, \
                    Theorem 8, which takes half of the delays to be below the mean)",
        setup: format!(
            "one worker {FAST} times as fast as the others; quadratic as in `minibatch`, noise σ = 3, \
             target {relative}; tuned steps, iterations to the first hit"
        ),
        rows: rows.concat(),
    })
}

//! How the time to a target depends on the longest delay, at the same mean delay.

use rayon::prelude::*;

use super::{Axis, Chart, Claim, Effort, Row, Verdict, slope, tuned};
use crate::Result;
use crate::sim::{Factor, Law, Outcome, Quadratic, Simulation};
use crate::step::{self, StepRule, Threshold};

const WORKERS: usize = 16;

/// d = 20, eigenvalues in geometric progression from 0.05 to 1, started where each is equally far.
fn problem() -> Result<Quadratic> {
    let spectrum: Vec<f64> = (0..20).map(|j| 0.05 * 20f64.powf(f64::from(j) / 19.0)).collect();
    let start = spectrum.iter().map(|l| 1.0 / f64::sqrt(*l)).collect();
    Ok(Quadratic::new(spectrum)?.from(start))
}

fn stragglers(factor: f64, many: usize) -> Result<Law> {
    Factor::Straggler(factor, many).to_string().parse()
}

fn first_hit(outcome: &Outcome) -> Option<f64> {
    outcome.first_hit.map(|mark| mark.iteration as f64)
}

pub(super) fn rates(effort: Effort) -> Result<Claim> {
    let mut chart = Chart::new(Axis::log("τ_max"), Axis::log("iterations"));
    let mut rows = licensed(effort, &mut chart)?;
    rows.extend(control(effort, &mut chart)?);
    rows.extend(settling(effort, &mut chart)?);
    Ok(Claim {
        name: "rates",
        statement: "Steps that do not adapt cost √(τ_max·τ_avg) or τ_max, delay-adaptive ones τ_avg only \
                    (Koloskova, Stich, Jaggi 2022, Theorems 6 and 8; Mishchenko et al. 2022)",
        setup: format!(
            "{WORKERS} workers, so τ_avg = 15; quadratic, d = 20, eigenvalues 0.05 … 1, no noise; \
             iterations to ‖∇f‖² of 1e-3 (or 1e-6) of its start. Slopes of log T in log τ_max (settling: in \
             the stragglers' factor, 32 … 1024). The slopes \
             1 and ½ under licensed steps follow from T ~ 1/γ: they show what each theorem allows, not \
             what the method needs"
        ),
        rows,
        chart,
    })
}

/// A licensed step: its name, the slope expected, and R(n, τ_max) in the step 1/(4·L·R).
type Licence = (&'static str, f64, fn(f64, f64) -> f64);

/// The steps that each theorem allows.
fn licensed(effort: Effort, chart: &mut Chart) -> Result<Vec<Row>> {
    let factors: &[f64] =
        if effort.quick { &[16.0, 64.0, 256.0] } else { &[16.0, 64.0, 256.0, 1024.0, 4096.0] };
    let problem = problem()?;
    let target = 1e-3 * problem.initial();
    let n = WORKERS as f64;
    let smoothness = problem.smoothness();
    let rules: [Licence; 4] = [
        ("1/(4·L·τ_max)", 1.0, |_, most| most),
        ("1/(4·L·√(n·τ_max))", 0.5, |n, most| (n * most).sqrt()),
        ("Theorem 8, η = 1/(4·L·n)", 0.0, |n, _| n),
        ("constant 1/(4·L·n)", 0.0, |n, _| n),
    ];
    let mut one = |&(name, expected, reach): &Licence| -> Result<Row> {
        let points = factors.par_iter().map(|&factor| {
            let most = (n - 1.0) * factor;
            let rate = 1.0 / (4.0 * smoothness * reach(n, most));
            let rule = if name.starts_with("Theorem") {
                step::koloskova(rate, smoothness)
            } else {
                step::constant(rate)
            };
            let outcome = Simulation::new(WORKERS, stragglers(factor, 1)?)
                .step(rule)
                .target(target)
                .iterations(100_000_000)
                .run(&problem)?;
            Ok((most, first_hit(&outcome).unwrap_or(f64::INFINITY)))
        });
        let points: Vec<(f64, f64)> = points.collect::<Result<_>>()?;
        let what =
            format!("licensed step {name}: slope (T = {} … {})", points[0].1, points[points.len() - 1].1);
        let row = Row::around(what, expected, slope(&points), 0.02);
        chart.line(format!("licensed {name}"), points);
        Ok(row)
    };
    rules.iter().map(&mut one).collect()
}

fn rules() -> [(&'static str, StepRule); 3] {
    [
        ("constant", step::constant(1.0)),
        ("delay-adaptive", step::delay_adaptive(1.0)),
        ("drop above 2n", step::drop(1.0, Threshold::Concurrencies(2.0))),
    ]
}

/// The same with tuned steps: nothing shows.
fn control(effort: Effort, chart: &mut Chart) -> Result<Vec<Row>> {
    let factors: &[f64] =
        if effort.quick { &[16.0, 256.0] } else { &[4.0, 16.0, 64.0, 256.0, 1024.0, 4096.0] };
    let problem = problem()?;
    let target = 1e-3 * problem.initial();
    let one = |(name, rule): (&str, StepRule)| -> Result<Row> {
        let points = factors.par_iter().map(|&factor| {
            let simulation =
                Simulation::new(WORKERS, stragglers(factor, 1)?).target(target).iterations(5_000);
            Ok(((WORKERS - 1) as f64 * factor, tuned(&simulation, &rule, &problem, first_hit)?.0))
        });
        let points: Vec<(f64, f64)> = points.collect::<Result<_>>()?;
        let (least, most) = points.iter().fold((f64::INFINITY, 0f64), |(a, b), &(_, t)| (a.min(t), b.max(t)));
        let what = format!("tuned step, first hit, {name}: slope (T = {least} … {most})");
        let row = Row::around(what, 0.0, slope(&points), 0.05);
        chart.line(format!("first hit, {name}"), points);
        Ok(if name == "constant" { row.known(Verdict::NotVisible) } else { row })
    };
    rules().into_iter().map(one).collect()
}

/// Tuned steps, and the last time above the target: old gradients kick.
fn settling(effort: Effort, chart: &mut Chart) -> Result<Vec<Row>> {
    let factors: &[f64] = &[32.0, 64.0, 128.0, 256.0, 512.0, 1024.0];
    let cases: &[(usize, f64)] =
        if effort.quick { &[(8, 1e-3)] } else { &[(8, 1e-3), (15, 1e-3), (8, 1e-6), (12, 1e-6), (15, 1e-6)] };
    let problem = problem()?;
    let mut rows = Vec::new();
    for &(many, relative) in cases {
        for (name, rule) in rules() {
            let points = factors.par_iter().map(|&factor| {
                // Six rounds of the stragglers, in which the fast ones make this many updates.
                let rounds = 6.0 * factor * (WORKERS - many) as f64 + 6.0 * many as f64;
                let simulation = Simulation::new(WORKERS, stragglers(factor, many)?)
                    .target(relative * problem.initial())
                    .settle()
                    .iterations((rounds as u64).max(5_000));
                let settled = |outcome: &Outcome| outcome.settled.map(|mark| mark.iteration as f64);
                Ok((factor, tuned(&simulation, &rule, &problem, settled)?.0))
            });
            let points: Vec<(f64, f64)> = points.collect::<Result<_>>()?;
            let times: Vec<String> = points.iter().map(|&(_, t)| super::number(t)).collect();
            let what = format!(
                "tuned step, settling at {relative:e}, {many} stragglers, {name}: slope (T = {})",
                times.join(" ")
            );
            let measured = slope(&points);
            // The updates of the fast workers, and of the other stragglers.
            let most = |factor| factor * (WORKERS - many) as f64 + many as f64 - 1.0;
            let line = points.into_iter().map(|(factor, time)| (most(factor), time)).collect();
            chart.line(format!("settling at {relative:e}, {many} stragglers, {name}"), line);
            rows.push(match (name, relative) {
                ("constant", _) => {
                    let known = match (many, relative) {
                        (8, 1e-3) => 0.7,
                        (15, 1e-3) => 0.53,
                        (8, _) => 0.72,
                        (12, _) => 0.63,
                        _ => 0.51,
                    };
                    Row::around(what, known, measured, 0.05)
                }
                // A kick that is damped by n/τ still is above a target of 1e-6.
                ("delay-adaptive", 1e-6) => {
                    let known = match many {
                        8 => 0.27,
                        12 => 0.57,
                        _ => 0.3,
                    };
                    let text = format!("0: no growth; known: {known}");
                    Row::around(what, known, measured, 0.1).expecting(&text).known(Verdict::DoesNotHold)
                }
                _ => Row::between(what, "0: no growth", measured, f64::NEG_INFINITY, 0.1),
            });
        }
    }
    Ok(rows)
}

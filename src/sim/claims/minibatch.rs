//! Asynchronous against mini-batch SGD, in virtual time.

use rayon::prelude::*;

use super::moments::Noisy;
use super::{Axis, Chart, Claim, Effort, RATES, Row, Verdict, best, number, tuned};
use crate::Result;
use crate::sim::{Algorithm, Law, Outcome, Quadratic, Simulation};
use crate::step::{self, StepRule};

const WORKERS: usize = 16;

const LAWS: [&str; 11] = [
    "fixed:1",
    "uniform:1,0.2",
    "speeds:1..16",
    "straggler:10",
    "straggler:100",
    "half:10",
    "exp:1",
    "shifted-exp:0.5,0.5",
    "lognormal:1,1",
    "pareto:1.5",
    "exp:1*on-off:20,10",
];

/// d = 8 eigenvalues in geometric progression from 0.05 to 1.
pub(super) fn spectrum() -> Vec<f64> {
    (0..8).map(|j| 0.05 * 20f64.powf(f64::from(j) / 7.0)).collect()
}

/// The quadratic with these eigenvalues, started where each is equally far.
pub(super) fn problem(sigma: f64, replicates: usize) -> Result<Quadratic> {
    let start = spectrum().iter().map(|l| 1.0 / f64::sqrt(*l)).collect();
    Ok(Quadratic::new(spectrum())?.from(start).noise(sigma)?.replicates(replicates))
}

pub(super) fn seconds(outcome: &Outcome) -> Option<f64> {
    outcome.first_hit.map(|mark| mark.seconds)
}

/// Mini-batch's time over asynchronous SGD's under some speeds, by geometric means over schedules.
#[derive(Default)]
struct Gain {
    time: f64,
    /// Of the gradients per second: max t · mean 1/t for constant times.
    gradients: f64,
    /// The share of the gradients over which noise is averaged; 1 where they have equal weights.
    effective: f64,
}

impl Gain {
    /// The means over `seeds` schedules of what `one` measures under each; constant times have one schedule only.
    fn mean(law: &Law, effort: Effort, seeds: u64, one: impl Fn(u64) -> Result<Gain>) -> Result<Gain> {
        let times = law.fixed_times(WORKERS);
        let seeds = if times.is_some() { 1 } else { seeds };
        let mut logs = Gain::default();
        for seed in effort.seed..effort.seed + seeds {
            let gain = one(seed)?;
            logs.time += gain.time.ln() / seeds as f64;
            logs.gradients += gain.gradients.ln() / seeds as f64;
            logs.effective += gain.effective.ln() / seeds as f64;
        }
        let gradients = match times {
            Some(times) => {
                let most = times.iter().copied().fold(0.0, f64::max);
                most * times.iter().map(|t| 1.0 / t).sum::<f64>() / WORKERS as f64
            }
            None => logs.gradients.exp(),
        };
        Ok(Gain { time: logs.time.exp(), gradients, effective: logs.effective.exp() })
    }

    fn row(&self, what: &str) -> Row {
        let what = format!("{what}: mini-batch time / asynchronous time");
        if self.gradients < 1.01 {
            return Row::between(what, "never more than 2 % slower: 0.98", self.time, 0.98, f64::INFINITY);
        }
        let expected = format!("gain in gradients per second: {}", number(self.gradients));
        let least = 0.95 * self.gradients;
        let weighted = self.gradients * self.effective;
        if self.time < least && weighted < self.gradients {
            let expected = format!("{expected}; noise is averaged over less: {}", number(weighted));
            let row = Row::between(what, expected, self.time, 0.95 * weighted, f64::INFINITY);
            return row.known(Verdict::DoesNotHold);
        }
        Row::between(what, expected, self.time, least, f64::INFINITY)
    }
}

/// Gradients per second of asynchronous workers over those of mini-batches.
fn pace(law: &Law, seed: u64) -> Result<f64> {
    let base = Simulation::new(WORKERS, law.clone()).step(step::constant(1e-9)).seed(seed).gradients(32_000);
    let rate = |simulation: Simulation| -> Result<f64> {
        let end = simulation.run(&Quadratic::new(vec![1.0])?)?.end;
        Ok(end.gradients as f64 / end.seconds)
    };
    Ok(rate(base.clone())? / rate(base.algorithm(Algorithm::Minibatch))?)
}

pub(super) fn minibatch(effort: Effort) -> Result<Claim> {
    let seeds: u64 = if effort.quick { 2 } else { 8 };
    let relative = if effort.quick { 3e-3 } else { 1e-3 };
    let laws: &[&str] = if effort.quick { &LAWS[..8] } else { &LAWS };
    let clean = |&text: &&str| -> Result<(Row, (f64, f64))> {
        let (law, problem) = (text.parse::<Law>()?, problem(0.0, 1)?);
        let gain = Gain::mean(&law, effort, seeds, |seed| {
            let base = Simulation::new(WORKERS, law.clone())
                .seed(seed)
                .target(1e-3 * problem.initial())
                .gradients(3_000);
            let batch = base.clone().algorithm(Algorithm::Minibatch);
            let (waiting, _) = tuned(&batch, &step::constant(1.0), &problem, seconds)?;
            let (asynchronous, _) = tuned(&base, &step::delay_adaptive(1.0), &problem, seconds)?;
            Ok(Gain { time: waiting / asynchronous, gradients: pace(&law, seed)?, effective: 1.0 })
        })?;
        Ok((gain.row(&format!("no noise, {text}, delay-adaptive")), (gain.gradients, gain.time)))
    };
    let (mut rows, points): (Vec<Row>, Vec<(f64, f64)>) =
        laws.par_iter().map(clean).collect::<Result<Vec<_>>>()?.into_iter().unzip();
    let mut chart = Chart::new(
        Axis::log("gain in gradients per second"),
        Axis::log("mini-batch time / asynchronous time"),
    );
    chart.line("equal", points.iter().map(|&(x, _)| (x, x)).collect());
    chart.line("no noise, delay-adaptive", points);
    let rules = [("constant", step::constant(1.0)), ("delay-adaptive", step::delay_adaptive(1.0))];
    let cases: Vec<(&str, &(&str, StepRule))> =
        rules.iter().flat_map(|rule| laws.iter().map(move |text| (*text, rule))).collect();
    let one = |&(text, (name, rule)): &(&str, &(&str, StepRule))| -> Result<(Row, (f64, f64))> {
        let gain = noisy(&text.parse()?, rule, relative, effort, seeds)?;
        let row = gain.row(&format!("noise σ = 3, to {relative}, {text}, {name}"));
        Ok((row, (gain.gradients, gain.time)))
    };
    let (noisy_rows, points): (Vec<Row>, Vec<(f64, f64)>) =
        cases.par_iter().map(one).collect::<Result<Vec<_>>>()?.into_iter().unzip();
    rows.extend(noisy_rows);
    for ((name, _), points) in rules.iter().zip(points.chunks(laws.len())) {
        chart.line(format!("noise, {name}"), points.to_vec());
    }
    rows.push(early(&rules[1].1, relative, points[laws.len()].1, effort)?);
    Ok(Claim {
        name: "minibatch",
        statement: "Asynchronous SGD is never slower than mini-batch SGD, whatever the speeds (Koloskova, \
                    Stich, Jaggi 2022, section 4.4), and faster by max t · mean 1/t where all gradients \
                    count",
        setup: format!(
            "{WORKERS} workers; quadratic, d = 8, eigenvalues 0.05 … 1; virtual seconds until ‖∇f‖² is \
             1e-3 (with noise its mean, exactly, is the share given) of its start; each method's step tuned \
             ({RATES}); random speeds: geometric mean over {seeds} schedules, expected gain measured as \
             gradients per second"
        ),
        rows,
        chart,
    })
}

/// Where noise does not yet dominate, delays on equal speeds cost more than 2 %: n/ε beside σ²/ε² in the theorems is
/// a share that grows as ε, from `known`, its value at the target `relative`.
fn early(rule: &StepRule, relative: f64, known: f64, effort: Effort) -> Result<Row> {
    let target = 1e-2;
    let gain = noisy(&LAWS[0].parse()?, rule, target, effort, 1)?;
    let expected = 1.0 - (1.0 - known) * target / relative;
    let what =
        format!("noise σ = 3, to {target}, {}, delay-adaptive: mini-batch time / asynchronous time", LAWS[0]);
    let text =
        format!("never more than 2 % slower: 0.98; the cost of delays grows as ε: {}", number(expected));
    let row = Row::around(what, expected, gain.time, 0.02).expecting(&text);
    Ok(if gain.time < 0.98 { row.known(Verdict::DoesNotHold) } else { row })
}

fn noisy(law: &Law, rule: &StepRule, relative: f64, effort: Effort, seeds: u64) -> Result<Gain> {
    let problem = Noisy::new(spectrum(), 3.0);
    let target = relative * problem.initial();
    let rounds = |rate| Ok(problem.minibatch(WORKERS, rate, target, 10_000).map(|rounds| rounds as f64));
    let (rounds, _) = best(rounds)?;
    // Beyond that, asynchronous SGD has lost.
    let limit = 2 * WORKERS as u64 * rounds as u64;
    Gain::mean(law, effort, seeds, |seed| {
        let run = |rate| problem.asynchronous((WORKERS, law, seed), &rule.clone().rate(rate), target, limit);
        let (asynchronous, rate) = best(|rate| Ok(run(rate)?.map(|hit| hit.seconds)))?;
        let waiting = Simulation::new(WORKERS, law.clone())
            .algorithm(Algorithm::Minibatch)
            .step(step::constant(1e-9))
            .seed(seed)
            .iterations(rounds as u64)
            .run(&Quadratic::new(vec![1.0])?)?;
        let effective = run(rate)?.map_or(f64::NAN, |hit| hit.effective);
        Ok(Gain { time: waiting.end.seconds / asynchronous, gradients: pace(law, seed)?, effective })
    })
}

//! What a simulation tells, as JSON and as text.

use asyncsgd::delay::Profile;
use asyncsgd::sim::claims::number;
use asyncsgd::sim::{Ended, Mark, Outcome, Share, Tuned};
use serde::Serialize;
use std::io::{self, Write};

/// What a simulation tells.
#[derive(Serialize)]
pub(super) struct Record<'a> {
    pub(super) schema: u32,
    pub(super) version: &'static str,
    pub(super) plan: Told,
    pub(super) tuned: Option<Tuned>,
    #[serde(flatten)]
    pub(super) outcome: &'a Outcome,
    pub(super) delay: Delays,
}

/// The options, resolved.
#[derive(Serialize)]
pub(super) struct Told {
    pub(super) problem: String,
    pub(super) workers: usize,
    pub(super) speeds: String,
    pub(super) algorithm: String,
    pub(super) assignment: String,
    pub(super) in_flight: usize,
    pub(super) step: String,
    pub(super) seed: u64,
    pub(super) target: Option<f64>,
    pub(super) settle: bool,
    pub(super) measure: &'static str,
}

#[derive(Serialize)]
pub(super) struct Delays {
    count: u64,
    mean: f64,
    max: u64,
    p50: u64,
    p90: u64,
    p99: u64,
    p999: u64,
    kept_mass: f64,
}

impl Delays {
    pub(super) fn new(profile: &Profile) -> Self {
        Delays {
            count: profile.count(),
            mean: profile.mean(),
            max: profile.max(),
            p50: profile.quantile(0.5),
            p90: profile.quantile(0.9),
            p99: profile.quantile(0.99),
            p999: profile.quantile(0.999),
            kept_mass: profile.kept_mass(),
        }
    }
}

impl Record<'_> {
    pub(super) fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let (plan, end, delay) = (&self.plan, self.outcome.end, &self.delay);
        writeln!(out, "problem    {}", plan.problem)?;
        writeln!(out, "workers    {}, {}, {}", plan.workers, plan.speeds, plan.algorithm)?;
        writeln!(out, "step       {}", plan.step)?;
        if let Some(tuned) = &self.tuned {
            let reached = tuned.tried.iter().filter(|(_, cost)| cost.is_finite()).count();
            writeln!(out, "tuned      {} rates, {reached} of which reach the target", tuned.tried.len())?;
        }
        let mark = |out: &mut dyn Write, name: &str, mark: Option<Mark>| match mark {
            Some(mark) => writeln!(
                out,
                "{name:9}  {} virtual seconds, {} updates, {} gradients",
                number(mark.seconds),
                mark.iteration,
                mark.gradients
            ),
            None => writeln!(out, "{name:9}  never"),
        };
        if plan.target.is_some() {
            mark(out, "first hit", self.outcome.first_hit)?;
            if plan.settle {
                mark(out, "settled", self.outcome.settled)?;
            }
        }
        mark(out, "end", Some(end))?;
        writeln!(out, "{:9}  {}", plan.measure, number(end.measure))?;
        writeln!(
            out,
            "delay      mean {}, p50 {}, p99 {}, max {}, kept mass {}",
            number(delay.mean),
            delay.p50,
            delay.p99,
            delay.max,
            number(delay.kept_mass)
        )?;
        let gradients = |of: fn(&Share) -> u64| {
            (self.outcome.workers.iter().map(of).min(), self.outcome.workers.iter().map(of).max())
        };
        if let (Some(least), Some(most)) = gradients(|worker| worker.gradients) {
            writeln!(out, "gradients  {least} … {most} a worker")?;
        }
        let why = match self.outcome.stop {
            Ended::Target => "the target is reached",
            Ended::Limit => "the limit is reached",
            Ended::Diverged => "diverged",
        };
        writeln!(out, "stopped    {why}")
    }
}

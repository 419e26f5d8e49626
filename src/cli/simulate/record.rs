//! A simulation's record, and the same as text.

use super::Plan;
use crate::cli::gather::{self, quote};
use asyncsgd::record::{
    Data, Delay, Distribution, Machine, Moment, Outcome as Final, Plan as Options, Point, Program, Record,
    Simulated, Throughput, Time, Tuned as Search, VERSION, Worker,
};
use asyncsgd::sim::claims::number;
use asyncsgd::sim::{Algorithm, Ended, Mark, Outcome, Tuned};
use asyncsgd::step::{StepRule, Weight};
use std::io::{self, Write};

/// What was simulated, as far as the plan does not tell.
pub(super) struct Run {
    pub(super) data: Data,
    pub(super) l2: f64,
    pub(super) rate: f64,
    pub(super) rate_origin: &'static str,
    /// Gradients in an epoch.
    pub(super) epoch: f64,
    /// What targets are relative to.
    pub(super) unit: f64,
    pub(super) measure: &'static str,
    pub(super) tuned: Option<Tuned>,
}

fn moment(mark: Mark) -> Moment {
    let Mark { iteration, gradients, seconds, measure } = mark;
    Moment { iteration, gradients, seconds, measure }
}

impl Plan {
    /// Everything that the simulation tells. Of machine and real time nothing: the same options give the same bytes.
    pub(super) fn record(&self, run: &Run, outcome: &Outcome) -> Record {
        let end = outcome.end;
        let per_second = |n: f64| if end.seconds > 0.0 { n / end.seconds } else { 0.0 };
        let examples = (end.gradients * self.batch as u64) as f64;
        let point = |mark: &Mark| Point {
            epoch: mark.gradients as f64 / run.epoch,
            train_seconds: mark.seconds,
            examples: mark.gradients * self.batch as u64,
            objective: mark.measure,
            gap: None,
        };
        let workers = outcome.worker_delays.iter();
        let rule_counts = !matches!(self.rule.weight, Weight::Ringmaster { .. });
        let counts =
            self.algorithm.updates_each() && self.replay.is_none() && rule_counts && end.iteration > 0;
        let per_row = run.data.nonzeros as f64 / run.data.rows as f64;
        Record {
            schema: VERSION,
            program: Program { name: "asyncsgd".into(), version: env!("CARGO_PKG_VERSION").into() },
            machine: Machine { cpu: String::new(), cores: 1, kernel: "simulated".into() },
            plan: self.options(run, end.gradients as f64 / run.epoch),
            data: run.data.clone(),
            test: None,
            series: outcome
                .series
                .iter()
                .chain(outcome.series.last().filter(|last| **last != end).map(|_| &outcome.end))
                .map(point)
                .collect(),
            outcome: Final { objective: end.measure, on: "train".into(), ..Final::default() },
            time: Time { load_seconds: 0.0, prepare_seconds: 0.0, train_seconds: end.seconds },
            throughput: Throughput {
                examples_per_second: per_second(examples),
                nonzeros_per_second: per_second(examples * per_row),
                updates_per_second: per_second(end.iteration as f64),
            },
            delay: Delay {
                all: gather::delays(&outcome.delays, 0),
                concurrency: self.in_flight,
                // Less what is still in flight. A trace tells nothing of that.
                expected_mean: counts.then(|| {
                    (self.in_flight - 1) as f64 - outcome.in_flight_delays as f64 / end.iteration as f64
                }),
                workers: workers.map(|w| Worker { delays: gather::delays(w, 0), core: None }).collect(),
            },
            profile: None,
            simulation: Some(self.simulated(run, outcome)),
            stop: match outcome.stop {
                Ended::Target => "target",
                Ended::Limit => "limit",
                Ended::Diverged => "diverged",
            }
            .into(),
            chosen: false,
            warnings: Vec::new(),
        }
    }

    fn options(&self, run: &Run, epochs: f64) -> Options {
        let rule = |rule: StepRule| {
            StepRule { concurrency: rule.concurrency, ..StepRule::new(1.0, rule.weight) }.to_string()
        };
        Options {
            command: self.command(run),
            model: "linear".into(),
            loss: if self.quadratic.is_some() { "quadratic".into() } else { self.loss.to_string() },
            l2: run.l2,
            l1: 0.0,
            intercept: self.source.intercept,
            scale: None,
            class_weight: None,
            fold: None,
            workers: self.workers,
            pins: Vec::new(),
            algorithm: "sgd".into(),
            algorithm_origin: String::new(),
            average: "none".into(),
            update: "simulated".into(),
            block: if let Algorithm::Blocks { length, .. } = self.algorithm { length as usize } else { 1 },
            hot: 0,
            batch: self.batch,
            step: rule(self.rule.clone()),
            rate: run.rate,
            rate_origin: run.rate_origin.into(),
            schedule: self.rule.schedule.to_string(),
            optimizer: "sgd".into(),
            epochs: self.epochs.unwrap_or(epochs),
            time_limit_seconds: self.seconds,
            target_objective: self.target.map(|target| target * run.unit),
            target_gap: None,
            seed: self.seed,
            precision: "f64".into(),
            chunk: 1,
        }
    }

    /// The command, with the rate written out.
    fn command(&self, run: &Run) -> String {
        let mut words = vec!["asyncsgd".to_owned(), "simulate".into()];
        words.extend(self.source.data.as_deref().map(|path| quote(&path.display().to_string())));
        let mut option = |name: &str, value: Option<String>| {
            words.extend(value.into_iter().flat_map(|value| [format!("--{name}"), value]));
        };
        let some = |x: f64| (x != 0.0).then(|| x.to_string());
        match self.quadratic {
            Some(d) => {
                option("quadratic", Some(d.to_string()));
                option("least-eigenvalue", Some(self.least.to_string()));
                option("noise", some(self.noise));
                option("heterogeneity", some(self.zeta));
            }
            None => {
                option("loss", Some(self.loss.to_string()));
                option("l2", self.l2.map(|l2| l2.to_string()));
                option("partition", self.partition.map(|partition| partition.to_string()));
                option("nonconvex", some(self.nonconvex));
                option("batch", Some(self.batch.to_string()));
            }
        }
        option("workers", Some(self.workers.to_string()));
        match &self.replay {
            Some(path) => option("replay", Some(quote(&path.display().to_string()))),
            None => option("speeds", Some(quote(&self.law.to_string()))),
        }
        option("algorithm", Some(self.algorithm.to_string()));
        option("assignment", Some(self.assignment.to_string()));
        option("in-flight", (self.in_flight != self.workers).then(|| self.in_flight.to_string()));
        let weight = StepRule { rate: 1.0, ..StepRule::new(1.0, self.rule.weight) };
        option("step", Some(StepRule { concurrency: self.rule.concurrency, ..weight }.to_string()));
        option("rate", Some(format!("{:?}", run.rate)));
        option("schedule", Some(self.rule.schedule.to_string()));
        option("seed", Some(self.seed.to_string()));
        option("epochs", self.epochs.map(|epochs| epochs.to_string()));
        option("iterations", self.iterations.map(|iterations| iterations.to_string()));
        option("seconds", self.seconds.map(|seconds| seconds.to_string()));
        option("target", self.target.map(|target| target.to_string()));
        let flags = [
            ("--settle", self.settle),
            ("--intercept", self.source.intercept),
            ("--zero-based", self.source.zero_based),
        ];
        words.extend(flags.into_iter().filter(|(_, set)| *set).map(|(flag, _)| flag.to_owned()));
        words.join(" ")
    }

    fn simulated(&self, run: &Run, outcome: &Outcome) -> Simulated {
        let search = |tuned: &Tuned| Search {
            rate: tuned.rate,
            seconds: tuned.cost,
            tried: tuned.tried.iter().map(|&(rate, cost)| (rate, cost.is_finite().then_some(cost))).collect(),
        };
        Simulated {
            problem: match self.quadratic {
                Some(d) => format!("quadratic of {d} parameters"),
                None => format!("{} on {}", self.loss, run.data.path),
            },
            measure: run.measure.into(),
            speeds: match &self.replay {
                Some(path) => format!("replay of {}", path.display()),
                None => self.law.to_string(),
            },
            algorithm: self.algorithm.to_string(),
            assignment: self.assignment.to_string(),
            in_flight: self.in_flight,
            target: self.target.map(|target| target * run.unit),
            settle: self.settle,
            tuned: run.tuned.as_ref().map(search),
            first_hit: outcome.first_hit.map(moment),
            settled: outcome.settled.map(moment),
            end: moment(outcome.end),
            delays: (&outcome.delays).into(),
            worker_delays: outcome.worker_delays.iter().map(Distribution::from).collect(),
            gradients: outcome.workers.iter().map(|share| share.gradients).collect(),
            kept: outcome.workers.iter().map(|share| share.kept).collect(),
        }
    }
}

/// Writes what a person wants to know.
pub(super) fn write(out: &mut dyn Write, record: &Record) -> io::Result<()> {
    let Some(told) = &record.simulation else { return Ok(()) };
    let (plan, delay) = (&record.plan, &record.delay.all);
    writeln!(out, "problem    {}", told.problem)?;
    writeln!(out, "workers    {}, {}, {}", plan.workers, told.speeds, told.algorithm)?;
    writeln!(out, "step       {} × {} × {}", number(plan.rate), plan.schedule, plan.step)?;
    if let Some(tuned) = &told.tuned {
        let reached = tuned.tried.iter().filter(|(_, seconds)| seconds.is_some()).count();
        let tried = tuned.tried.len();
        writeln!(
            out,
            "tuned      {tried} rates on a log grid, {reached} reach the target, the best is not at its edge"
        )?;
    }
    let moment = |out: &mut dyn Write, name: &str, moment: Option<Moment>| match moment {
        Some(moment) => writeln!(
            out,
            "{name:9}  {} virtual seconds, {} updates, {} gradients",
            number(moment.seconds),
            moment.iteration,
            moment.gradients
        ),
        None => writeln!(out, "{name:9}  never"),
    };
    if told.target.is_some() {
        moment(out, "first hit", told.first_hit)?;
        if told.settle {
            moment(out, "settled", told.settled)?;
        }
    }
    moment(out, "end", Some(told.end))?;
    writeln!(out, "{:9}  {}", told.measure, number(told.end.measure))?;
    writeln!(
        out,
        "delay      mean {}, p50 {}, p99 {}, max {}, kept mass {}",
        number(delay.mean),
        delay.p50,
        delay.p99,
        delay.max,
        number(delay.kept_mass)
    )?;
    if let (Some(least), Some(most)) = (told.gradients.iter().min(), told.gradients.iter().max()) {
        writeln!(out, "gradients  {least} … {most} a worker")?;
    }
    let why = match &record.stop[..] {
        "target" => "the target is reached",
        "limit" => "the limit is reached",
        other => other,
    };
    writeln!(out, "stopped    {why}")
}

//! `asyncsgd simulate`.

mod args;
mod rate;
mod record;

pub use args::Args;

use self::record::Run;
use super::gather;
use super::load::Source;
use super::output::Output;
use super::penalties::Penalties;
use super::print;
use super::rule::DelayRule;
use super::value::Check;
use asyncsgd::delay::Trace;
use asyncsgd::record::Data;
use asyncsgd::report;
use asyncsgd::sim::{
    Algorithm, Assignment, Ended, Examples, Law, Partition, Problem, Publish, Quadratic, Simulation,
    partitioned, tune,
};
use asyncsgd::step::{StepRule, Weight};
use asyncsgd::{
    Error, Objective, Result,
    model::{Linear, LossKind},
};
use std::path::PathBuf;

/// What will be done: arguments, checked.
struct Plan {
    source: Source,
    loss: LossKind,
    l2: Option<f64>,
    quadratic: Option<usize>,
    least: f64,
    noise: f64,
    zeta: f64,
    partition: Option<Partition>,
    nonconvex: f64,
    batch: usize,
    workers: usize,
    law: Law,
    algorithm: Algorithm,
    assignment: Assignment,
    in_flight: usize,
    replay: Option<PathBuf>,
    rule: StepRule,
    rate: Option<f64>,
    tune: bool,
    seed: u64,
    epochs: Option<f64>,
    iterations: Option<u64>,
    seconds: Option<f64>,
    target: Option<f64>,
    settle: bool,
    json: Option<Output>,
    page: Option<Output>,
}

impl Plan {
    fn new(args: Args) -> Result<Self> {
        let mut check = Check::default();
        let Args { data, objective, problem, workers: who, step, stop, json, report } = args;
        let source = Source::check(&mut check, data, objective.intercept);
        let l1 = check.take(objective.l1);
        check.require(l1 == 0.0, "--l1: the simulator has no proximal steps, expected 0");
        let workers = check.take(who.workers);
        let algorithm = check.take(who.algorithm);
        let usual = if algorithm.weighs() { Weight::DelayAdaptive } else { Weight::Constant };
        let DelayRule { weight, concurrency } =
            check.option(step.step).unwrap_or(DelayRule { weight: usual, ..DelayRule::default() });
        let weight_fits = algorithm.weighs() || weight == usual;
        check.require(
            weight_fits,
            format!("--step: found a weight by delay with --algorithm {algorithm}, which has none, expected constant"),
        );
        let by_coordinate = matches!(algorithm, Algorithm::Blocks { publish: Publish::Adaptive, .. });
        check.require(
            !by_coordinate || weight == Weight::DelayAdaptive,
            format!("--step: found another rule with --algorithm {algorithm}, expected delay-adaptive"),
        );
        let ignores = matches!(weight, Weight::Ringmaster { .. } | Weight::Drop { .. });
        check.require(
            ignores || algorithm != Algorithm::AsyncStop,
            "--algorithm async-stop: found a --step that ignores no gradient, so none is stopped, expected ringmaster \
             or drop",
        );
        let speeds = check.option(who.speeds);
        let rate = check.take(step.rate);
        let schedule = check.take(step.schedule);
        let rule = StepRule { rate: rate.unwrap_or(1.0), schedule, weight, concurrency };
        check.result(rule.stepper(workers.max(1)))?;
        let plan = Self {
            source,
            loss: check.take(objective.loss),
            l2: Penalties::one(objective.l2, &mut check),
            quadratic: check.option(problem.quadratic),
            least: check.take(problem.least_eigenvalue),
            noise: check.take(problem.noise),
            zeta: check.take(problem.heterogeneity),
            partition: check.option(problem.partition).map(|part| part.0),
            nonconvex: check.take(problem.nonconvex),
            batch: check.take(problem.batch),
            workers,
            law: speeds.clone().unwrap_or_default().0,
            algorithm,
            assignment: check.take(who.assignment),
            in_flight: check.option(who.in_flight).unwrap_or(workers),
            replay: who.replay,
            rule,
            rate,
            tune: step.tune,
            seed: check.take(step.seed),
            epochs: check.option(stop.epochs),
            iterations: check.option(stop.iterations),
            seconds: check.option(stop.seconds),
            target: check.option(stop.target),
            settle: stop.settle,
            json: None,
            page: None,
        };
        plan.fits(&mut check, speeds.is_some());
        check.require(
            json.is_none() || json != report,
            "--json and --report: found the same file, expected two",
        );
        check.require(!plan.tune || plan.target.is_some(), "--tune: needs a --target to tune for");
        check.require(!plan.tune || plan.rate.is_none(), "--tune: found --rate too, expected one of them");
        check.require(!plan.settle || plan.target.is_some(), "--settle: needs a --target to settle at");
        check.finish()?;
        let mut inputs = plan.source.inputs();
        inputs.extend(plan.replay.as_deref());
        let output = |path: Option<PathBuf>| path.map(|path| Output::check(&path, &inputs)).transpose();
        let (json, page) = (output(json)?, output(report)?);
        Ok(Self { json, page, ..plan })
    }

    /// Complains about options that would change nothing.
    fn fits(&self, check: &mut Check, speeds: bool) {
        let (on_data, source) = (self.quadratic.is_none(), &self.source);
        let of_data = [
            ("data", source.data.is_some()),
            ("--zero-based", source.zero_based),
            ("--label", source.table.column.is_some()),
            ("--labels", source.table.file.is_some()),
            ("--intercept", source.intercept),
            ("--loss", self.loss != LossKind::default()),
            ("--l2", self.l2.is_some()),
            ("--partition", self.partition.is_some()),
            ("--nonconvex", self.nonconvex != 0.0),
            ("--batch", self.batch != 1),
            ("--epochs", self.epochs.is_some()),
        ];
        for (name, _) in of_data.iter().filter(|(_, given)| *given && !on_data) {
            check.require(false, format!("--quadratic: found {name} too, expected one of them"));
        }
        let of_quadratics = [
            ("--least-eigenvalue", self.least != 0.05),
            ("--noise", self.noise != 0.0),
            ("--heterogeneity", self.zeta != 0.0),
        ];
        for (name, _) in of_quadratics.iter().filter(|(_, given)| *given && on_data) {
            check.require(false, format!("{name}: needs --quadratic"));
        }
        check.require(
            on_data || (self.least > 0.0 && self.least <= 1.0),
            format!(
                "--least-eigenvalue: found {}, expected a number above 0 and at most the largest, 1",
                self.least
            ),
        );
        check.require(
            on_data || !self.law.depends_on_sample(),
            "--speeds: found the factor sample with --quadratic, whose samples all cost the same, expected none",
        );
        let held_out = source.test.is_some() || source.test_fraction.is_some();
        check.require(
            !held_out,
            "--test, --test-fraction: nothing is measured on held-out rows, expected neither",
        );
        let chosen = speeds || self.assignment != Assignment::Pure || self.in_flight != self.workers;
        check.require(
            self.replay.is_none() || !chosen,
            "--replay: found --speeds, --assignment or --in-flight too, which the trace tells",
        );
    }

    fn run(&self) -> Result<u8> {
        match self.quadratic {
            Some(dimension) => {
                self.simulation(1.0).iterations(1).check(dimension, 1)?;
                let problem = Quadratic::geometric(dimension, self.least, 1.0)?
                    .noise(self.noise)?
                    .heterogeneity(self.workers, self.zeta, self.seed)?;
                let updates = self.algorithm.updates_in_flight(self.in_flight);
                let rate = 0.25 / (problem.smoothness() * updates as f64);
                let data = Data {
                    path: "none".into(),
                    rows: 1,
                    features: dimension,
                    nonzeros: dimension,
                    hash: String::new(),
                    classes: None,
                    positive: None,
                    ..Data::default()
                };
                let run = Run {
                    data,
                    l2: 0.0,
                    rate,
                    rate_origin: "1/(4·L·updates in flight)",
                    epoch: problem.epoch(),
                    unit: problem.initial(),
                    measure: "|∇f|²",
                    tuned: None,
                };
                self.simulate(&problem, run)
            }
            None => self.on_data(),
        }
    }

    fn on_data(&self) -> Result<u8> {
        let (data, _) = self.source.load(self.loss, self.seed)?;
        let (intercept, l2) = (data.intercept(), self.l2.unwrap_or(1.0 / data.len() as f64));
        let told = gather::data(&data, self.source.data.is_none());
        let (data, parts) = match self.partition {
            Some(partition) => partitioned(&data, partition, self.workers, self.seed)?,
            None => (data, Vec::new()),
        };
        let linear = Linear::new(data.rows(), data.labels(), self.loss, l2, 0.0, intercept);
        let curvature = Objective::<f64>::curvature(&linear);
        // The second derivative of the non-convex term is largest at 0.
        let (rate, rate_origin) = match curvature {
            Some(curvature) => {
                let updates = self.algorithm.updates_in_flight(self.in_flight);
                rate::automatic(&curvature, &Objective::<f64>::bounds(&linear), 2.0 * self.nonconvex, updates)
            }
            None => (0.1, "the loss has no curvature"),
        };
        // Without parts everybody has all rows.
        let least = parts.windows(2).map(|part| part[1] - part[0]).min().unwrap_or(data.len());
        if self.batch > least {
            let whose = if parts.is_empty() { "" } else { " of some worker" };
            let line = format!("--batch: found {}, expected at most the {least} rows{whose}", self.batch);
            return Err(Error::usage(line));
        }
        let problem =
            Examples::new(linear, data.rows()).batch(self.batch).nonconvex(self.nonconvex).parts(parts);
        let run = Run {
            data: told,
            l2,
            rate,
            rate_origin,
            epoch: problem.epoch(),
            unit: 1.0,
            measure: "objective",
            tuned: None,
        };
        self.simulate(&problem, run)
    }

    /// Refuses a trace of a run of another size: its updates are no gradients of this one.
    fn check_trace(&self, rows: usize) -> Result<()> {
        let Some(path) = &self.replay else { return Ok(()) };
        let (found, mut problems) = (Trace::open(path)?.run(), Vec::new());
        if found.block != 1 {
            problems.push(format!(
                "trace: found updates of blocks of {} examples, expected those of single gradients: record it with \
                 --block 1",
                found.block
            ));
        }
        if self.quadratic.is_none() && found.examples != rows as u64 {
            problems.push(format!("trace: found a run on {} examples, expected {rows}", found.examples));
        }
        if self.quadratic.is_none() && found.batch != self.batch as u64 {
            let line = format!(
                "trace: found gradients of {} examples, expected --batch {}",
                found.batch, self.batch
            );
            problems.push(line);
        }
        if problems.is_empty() { Ok(()) } else { Err(Error::Usage(problems)) }
    }

    /// Everything but the limits.
    fn simulation(&self, rate: f64) -> Simulation {
        Simulation::new(self.workers, self.law.clone())
            .algorithm(self.algorithm)
            .assignment(self.assignment)
            .in_flight(self.in_flight)
            .step(self.rule.clone())
            .rate(rate)
            .seed(self.seed)
    }

    fn simulate(&self, problem: &dyn Problem, mut told: Run) -> Result<u8> {
        let on_data = self.quadratic.is_none();
        // Measuring data takes a pass.
        let each = self.algorithm.gradients_an_update(self.workers);
        let every = if on_data { ((problem.epoch() / 20.0 / each as f64).ceil() as u64).max(1) } else { 1 };
        let auto = told.rate;
        if let Some(rate) = self.rate {
            (told.rate, told.rate_origin) = (rate, "");
        }
        let mut simulation = self.simulation(told.rate).measure_every(every).series().each_worker();
        if let Some(target) = self.target {
            simulation = simulation.target(target * told.unit);
        }
        if self.settle {
            simulation = simulation.settle();
        }
        if let Some(seconds) = self.seconds {
            simulation = simulation.seconds(seconds);
        }
        if let Some(iterations) = self.iterations {
            simulation = simulation.iterations(iterations);
        }
        let unlimited = self.seconds.is_none() && self.iterations.is_none();
        match self.epochs {
            Some(epochs) => simulation = simulation.gradients((epochs * problem.epoch()).ceil() as u64),
            // To the end of the trace.
            None if unlimited && self.replay.is_some() => {}
            None if unlimited && on_data => simulation = simulation.gradients(problem.epoch() as u64),
            None if unlimited => simulation = simulation.iterations(100_000),
            None => {}
        }
        self.check_trace(told.data.rows)?;
        let run = |simulation: &Simulation| match &self.replay {
            Some(path) => simulation.replay(problem, Trace::open(path)?),
            None => simulation.run(problem),
        };
        if self.tune {
            // So many runs at a time. A replay holds a trace instead, and has its limit in it.
            if self.replay.is_none() {
                simulation.check(problem.dimension(), rayon::current_num_threads())?;
            }
            let search = tune(1e-3 * auto, 1e2 * auto, 31, |rate| {
                let outcome = run(&simulation.clone().rate(rate))?;
                let mark = if self.settle { outcome.settled } else { outcome.first_hit };
                Ok(mark.map(|mark| mark.seconds))
            })?;
            let found =
                search.ok_or_else(|| Error::usage("--tune: no rate reaches the target within the limits"))?;
            simulation = simulation.rate(found.rate);
            (told.rate, told.rate_origin) = (found.rate, "tuned to the least time to the target");
            told.tuned = Some(found);
        }
        let outcome = run(&simulation)?;
        let record = self.record(&told, &outcome);
        if let Some(json) = &self.json {
            json.write(|out| report::write_json(out, &record))?;
        }
        if let Some(page) = &self.page {
            page.write(|out| report::write_html(out, &record))?;
        }
        if !self.json.as_ref().is_some_and(Output::is_stdout) {
            print(|out, _| record::write(out, &record))?;
        }
        Ok(u8::from(outcome.stop == Ended::Diverged))
    }
}

/// Runs the command.
///
/// # Errors
/// Everything that can be wrong with options, data, trace and outputs.
pub fn run(args: Args) -> Result<u8> {
    Plan::new(args)?.run()
}

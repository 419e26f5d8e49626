//! From a run to its record.

use super::load::Source;
use super::options::Training;
use super::penalties::Penalties;
use super::rule::DelayRule;
use asyncsgd::delay::Profile;
use asyncsgd::record::{
    Data, Delay, Delays, Machine, Named, Outcome, Plan, Point, Profiling, Program, Record, Throughput, Time,
    VERSION, Worker,
};
use asyncsgd::{Averaging, BlockSize, Dataset, Real, Run, data::Missing, model::ModelSpec};
use std::path::Path;

/// How many of the strongest weights are told.
const STRONGEST: usize = 10;

/// What a run is one of.
#[derive(Clone, Default)]
pub struct Choice {
    /// The strengths of the L2 penalty, where they are a path.
    pub path: Option<Penalties>,
    /// The number of folds of cross-validation, and which one is held out, from 1.
    pub folds: Option<usize>,
    pub fold: Option<[usize; 2]>,
}

/// What a training run was made of, for its record.
pub struct Context<'a> {
    pub source: &'a Source,
    pub options: &'a Training,
    /// The loss by name, and the strength of the L2 penalty.
    pub objective: (String, f64),
    pub data: Data,
    pub test: Option<Data>,
    pub load_seconds: f64,
    pub profile: Option<Profiling>,
    /// The subcommand, and options of it that are not among `options`.
    pub subcommand: &'a str,
    pub trouble: Vec<(&'static str, String)>,
    pub choice: Choice,
}

impl Context<'_> {
    /// Everything that `run` tells; `outcome` holds the metrics.
    pub fn record<T: Real>(&self, run: &Run<T>, outcome: Outcome) -> Record {
        let last = run.last();
        let per_second = |n: f64| if last.train_seconds > 0.0 { n / last.train_seconds } else { 0.0 };
        let delay = delay(run);
        Record {
            schema: VERSION,
            program: program(),
            machine: machine(run.plan.cores),
            plan: self.plan(run),
            data: self.data.clone(),
            test: self.test.clone(),
            series: run.series.iter().map(point).collect(),
            outcome: Outcome {
                objective: last.objective,
                gap: last.gap,
                nonzero: Some(run.weights.iter().filter(|w| w.to_f64() != 0.0).count()),
                ..outcome
            },
            time: Time {
                load_seconds: self.load_seconds,
                prepare_seconds: run.prepare_seconds,
                train_seconds: last.train_seconds,
            },
            throughput: Throughput {
                examples_per_second: run.examples_per_second(),
                nonzeros_per_second: per_second(run.nonzeros_per_epoch as f64 * last.epoch),
                updates_per_second: per_second(delay.all.count as f64),
            },
            delay,
            profile: self.profile.clone(),
            simulation: None,
            stop: run.stop.to_string(),
            chosen: false,
            warnings: run.plan.warnings.clone(),
        }
    }

    fn plan<T: Real>(&self, run: &Run<T>) -> Plan {
        let (plan, options) = (&run.plan, self.options);
        Plan {
            command: self.command(run),
            model: options.model.to_string(),
            loss: self.objective.0.clone(),
            l2: self.objective.1,
            l1: options.l1,
            intercept: self.source.intercept,
            scale: self.source.scale.map(|scale| scale.to_string()),
            class_weight: options.class_weights.as_ref().map(|weights| weights.to_string()),
            fold: self.choice.fold,
            workers: plan.workers,
            pins: run.workers.iter().map(|worker| worker.core).collect(),
            algorithm: plan.algorithm.to_string(),
            algorithm_origin: plan.algorithm_origin.clone(),
            average: plan.averaging.to_string(),
            update: plan.update.to_string(),
            block: plan.block,
            hot: plan.hot,
            batch: plan.batch,
            step: applied(run).to_string(),
            rate: plan.step.rate,
            rate_origin: plan.rate_origin.clone(),
            schedule: plan.step.schedule.to_string(),
            optimizer: plan.optimizer.to_string(),
            epochs: plan.epochs,
            time_limit_seconds: plan.time_limit.map(|limit| limit.as_secs_f64()),
            target_objective: plan.target,
            target_gap: plan.target_gap,
            seed: plan.seed,
            precision: plan.precision.into(),
            chunk: plan.chunk,
        }
    }

    /// The command with everything that was chosen from the machine and the data written out.
    fn command<T: Real>(&self, run: &Run<T>) -> String {
        let (plan, source, options) = (&run.plan, self.source, self.options);
        let mut words = vec!["asyncsgd".to_owned(), self.subcommand.into()];
        let quoted = |path: &Path| quote(&path.display().to_string());
        words.extend(source.data.as_deref().map(quoted));
        let mut option = |name: &str, value: Option<String>| {
            words.extend(value.into_iter().flat_map(|value| [format!("--{name}"), value]));
        };
        option("test", source.test.as_deref().map(quoted));
        option("test-labels", source.test_labels.as_deref().map(quoted));
        option("label", source.table.column.as_deref().map(quote));
        option("labels", source.table.file.as_deref().map(quoted));
        let refused = source.table.missing == Missing::Refuse;
        option("missing", (!refused).then(|| source.table.missing.to_string()));
        option("test-fraction", source.test_fraction.map(|f| f.to_string()));
        option("model", (options.model != ModelSpec::Linear).then(|| options.model.to_string()));
        option("loss", Some(options.loss.to_string()));
        let path = self.choice.path.as_ref().map(|path| path.to_string());
        option("l2", path.or(options.l2.map(|l2| l2.to_string())));
        option("l1", (options.l1 > 0.0).then(|| options.l1.to_string()));
        option("scale", source.scale.map(|scale| scale.to_string()));
        option("class-weight", options.class_weights.as_ref().map(|weights| weights.to_string()));
        option("folds", self.choice.folds.map(|folds| folds.to_string()));
        // What was chosen for one of several runs is not that of the others.
        let several = self.choice.path.is_some() || self.choice.folds.is_some();
        let either = |given: Option<String>, resolved: String| if several { given } else { Some(resolved) };
        option("algorithm", either(Some(options.algorithm.to_string()), plan.algorithm.to_string()));
        option("average", (plan.averaging != Averaging::None).then(|| plan.averaging.to_string()));
        option("workers", Some(plan.workers.to_string()));
        option("pin", Some(options.pin.to_string()));
        option("update", Some(plan.update.to_string()));
        // A number would take the grid's blocks away.
        let block = if plan.grid.is_some() { BlockSize::Auto } else { BlockSize::Rows(plan.block) };
        option("block", either(Some(options.block.to_string()), block.to_string()));
        // Where each update is sent on its own it said nothing.
        option("hot", options.hot.filter(|_| several || plan.block > 1).map(|hot| hot.to_string()));
        option("precision", Some(plan.precision.to_owned()));
        option("step", Some(applied(run).to_string()));
        let schedule = options.schedule.as_ref().map(|schedule| schedule.to_string());
        option("rate", either(options.rate.map(|rate| format!("{rate:?}")), format!("{:?}", plan.step.rate)));
        option("schedule", either(schedule, plan.step.schedule.to_string()));
        option("optimizer", Some(plan.optimizer.to_string()).filter(|optimizer| optimizer != "sgd"));
        option("batch", Some(plan.batch.to_string()));
        option("seed", Some(plan.seed.to_string()));
        option("epochs", Some(plan.epochs.to_string()));
        option("time-limit", plan.time_limit.map(|limit| format!("{}s", limit.as_secs_f64())));
        option("target-objective", plan.target.map(|target| target.to_string()));
        option("target-gap", plan.target_gap.map(|gap| gap.to_string()));
        for (name, value) in &self.trouble {
            option(name, Some(quote(value)));
        }
        let flags = [("--intercept", source.intercept), ("--zero-based", source.zero_based)];
        words.extend(flags.into_iter().filter(|(_, set)| *set).map(|(flag, _)| flag.to_owned()));
        words.join(" ")
    }
}

/// A word as a shell reads it back.
pub fn quote(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "/._-+=:,@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

/// This program.
pub fn program() -> Program {
    Program { name: "asyncsgd".into(), version: env!("CARGO_PKG_VERSION").into() }
}

/// The machine.
pub fn machine(cores: usize) -> Machine {
    let about = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = about.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    let cpu = name.map_or("", |(_, name)| name.trim()).to_owned();
    Machine { cpu, cores, kernel: asyncsgd::kernel::name().into() }
}

/// What is told of a data set.
pub fn data(data: &Dataset, embedded: bool) -> Data {
    let intercept = usize::from(data.intercept().is_some());
    let positive = data.labels().iter().filter(|&&label| label > 0.0).count() as f64 / data.len() as f64;
    Data {
        path: format!("{}{}", data.name(), if embedded { " (embedded)" } else { "" }),
        rows: data.len(),
        features: data.features() - intercept,
        nonzeros: data.nonzeros() - intercept * data.len(),
        hash: data.hash().into(),
        classes: data.classes().map(<[f32]>::to_vec),
        class_names: data.class_names().map(<[String]>::to_vec),
        bytes: data.of_bytes(),
        positive: data.classes().filter(|classes| classes.len() == 2).map(|_| positive),
        ..Data::default()
    }
}

/// A point of the series.
pub fn point(point: &asyncsgd::engine::Point) -> Point {
    let &asyncsgd::engine::Point { epoch, train_seconds, examples, objective, gap } = point;
    Point { epoch, train_seconds, examples, objective, gap }
}

fn delay<T: Real>(run: &Run<T>) -> Delay {
    let failed = run.workers.iter().map(|worker| worker.failed_attempts).sum();
    let workers = run
        .workers
        .iter()
        .map(|worker| Worker { delays: delays(&worker.delays, worker.failed_attempts), core: worker.core });
    Delay {
        all: delays(&run.delays(), failed),
        concurrency: run.plan.workers,
        expected_mean: Some(run.expected_mean_delay()),
        workers: workers.collect(),
    }
}

/// What is told of a profile.
pub fn delays(profile: &Profile, failed_attempts: u64) -> Delays {
    Delays {
        count: profile.count(),
        mean: profile.mean(),
        p50: profile.quantile(0.5),
        p90: profile.quantile(0.9),
        p99: profile.quantile(0.99),
        p999: profile.quantile(0.999),
        max: profile.max(),
        kept_mass: profile.kept_mass(),
        failed_attempts,
    }
}

/// The weights of the largest magnitude, from the strongest, where features have names and one weight each.
pub fn strongest<T: Real>(train: &Dataset, weights: &[T]) -> Vec<Named> {
    if weights.len() != train.features() {
        return Vec::new();
    }
    let mut ranks: Vec<usize> = (0..train.features()).collect();
    let size = |rank: usize| weights[rank].to_f64().abs();
    let stronger = |a: &usize, b: &usize| size(*b).total_cmp(&size(*a)).then(a.cmp(b));
    if ranks.len() > STRONGEST {
        // Features may be millions: only those that are shown are sorted.
        ranks.select_nth_unstable_by(STRONGEST, stronger);
        ranks.truncate(STRONGEST);
    }
    ranks.sort_unstable_by(stronger);
    let counts = train.counts();
    let named = ranks.into_iter().filter_map(|rank| {
        let (weight, rows) = (weights[rank].to_f64(), counts[rank]);
        Some(Named { feature: train.feature_name(rank)?.to_owned(), weight, rows })
    });
    named.collect()
}

/// The rule that the run went by: an algorithm may have set another than was given.
fn applied<T: Real>(run: &Run<T>) -> DelayRule {
    DelayRule { weight: run.plan.step.weight, concurrency: run.plan.step.concurrency }
}

#[cfg(test)]
mod tests {
    use super::quote;

    #[test]
    fn words_are_quoted_for_a_shell() {
        assert_eq!(quote("data/a9a-1.txt"), "data/a9a-1.txt");
        assert_eq!(quote("my data"), "'my data'");
        assert_eq!(quote("it's"), r"'it'\''s'");
        assert_eq!(quote(""), "''");
    }
}

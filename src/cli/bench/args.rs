//! The arguments of `asyncsgd bench`.

use super::is_reference;
use crate::cli::load::Source;
use crate::cli::options::{DataArgs, ModelArgs, ObjectiveArgs, Training};
use crate::cli::penalties::Penalties;
use crate::cli::rule::DelayRule;
use crate::cli::value::{self, Check, Given};
use asyncsgd::model::ModelSpec;
use asyncsgd::step::{Optimizer, Schedule};
use asyncsgd::{Algorithm, Averaging, BlockSize, Pin, Result, Topology, Update, model::Precision};
use std::path::PathBuf;

/// What the benchmark is made of.
#[derive(clap::Args, Debug)]
pub struct BenchArgs {
    #[command(flatten)]
    pub(super) data: DataArgs,
    #[command(flatten)]
    pub(super) model: ModelArgs,
    #[command(flatten)]
    pub(super) sweep: SweepArgs,
    #[command(flatten)]
    pub(super) objective: ObjectiveArgs,
    #[command(flatten)]
    pub(super) step: StepArgs,
    #[command(flatten)]
    pub(super) run: RunArgs,
    #[command(flatten)]
    pub(super) output: OutputArgs,
}

/// What is swept.
#[derive(clap::Args, Debug)]
#[command(next_help_heading = "Sweep: every combination, besides one worker, racy, direct, the reference")]
pub(super) struct SweepArgs {
    /// Worker threads [default: 1, 2, 4, … and the cores that we may use]
    #[arg(long, short = 'j', value_name = "N,N…", value_parser = value::counts())]
    workers: Option<Given<Vec<usize>>>,
    /// How an addition reaches a shared parameter: cas, racy, locked, leashed
    #[arg(long, value_name = "MODE,MODE…", default_value = "cas", value_parser = value::list::<Update>())]
    update: Given<Vec<Update>>,
    /// Examples in a block: auto or a number; 1 is direct. While the rate falls blocks grow, to eight times as many
    #[arg(long, value_name = "B,B…", default_value = "auto", value_parser = value::list::<BlockSize>())]
    block: Given<Vec<BlockSize>>,
    /// How a gradient's delay changes its step; the rules of asyncsgd train
    #[arg(long, value_name = "RULE,RULE…", default_value = "delay-adaptive", value_parser = value::parsed(DelayRule::list))]
    step: Given<Vec<DelayRule>>,
    /// Cores for the workers: auto (one each), none, or a list such as 0,2,3
    #[arg(long, value_name = "CORES", default_value = "auto", value_parser = value::value::<Pin>())]
    pin: Given<Pin>,
    /// Number type of the parameters
    #[arg(long, value_name = "TYPE", default_value = "f32", value_parser = value::one_of(&Precision::ALL))]
    precision: Given<Precision>,
}

/// What is the same in all cases.
#[derive(clap::Args, Debug)]
#[command(next_help_heading = "Training")]
pub(super) struct StepArgs {
    /// The base rate; auto takes it from the curvature of the loss on the data
    #[arg(long, value_name = "ETA", default_value = "auto", value_parser = value::auto_or_positive())]
    rate: Given<Option<f64>>,
    /// How the rate changes over the epochs; the schedules of asyncsgd train [default: a cosine over all epochs]
    #[arg(long, value_name = "S", value_parser = value::value::<Schedule>())]
    schedule: Option<Given<Schedule>>,
    /// Examples whose gradients are averaged for a step
    #[arg(long, value_name = "B", default_value = "1", value_parser = value::count())]
    batch: Given<usize>,
    /// Seed of everything random
    #[arg(long, value_name = "SEED", default_value = "0", value_parser = value::seed())]
    seed: Given<u64>,
    /// Passes over the data in a run
    #[arg(long, short = 'e', value_name = "E", default_value = "10", value_parser = value::positive())]
    epochs: Given<f64>,
}

/// How it is measured.
#[derive(clap::Args, Debug)]
#[command(next_help_heading = "Measurement")]
pub(super) struct RunArgs {
    /// Timed runs of each case, at most 100; the cases take turns
    #[arg(long, value_name = "N", default_value = "5", value_parser = value::count())]
    pub(super) repeats: Given<usize>,
    /// Runs of each case before these, not timed, at most 100
    #[arg(long, value_name = "N", default_value = "1", value_parser = value::whole())]
    pub(super) warm_up: Given<usize>,
    /// The least value of the objective, f*, to tell gaps (f - f*)/f* [default: known for the embedded flights]
    #[arg(long, value_name = "F", value_parser = value::positive())]
    pub(super) optimum: Option<Given<f64>>,
    /// Tell the training time to this gap
    #[arg(long, value_name = "G", value_parser = value::positive())]
    pub(super) target_gap: Option<Given<f64>>,
    /// Tell the training time to this objective
    #[arg(long, value_name = "F", value_parser = value::finite())]
    pub(super) target_objective: Option<Given<f64>>,
}

/// What to write.
#[derive(clap::Args, Debug)]
#[command(next_help_heading = "Output")]
pub(super) struct OutputArgs {
    /// Write everything as JSON; - is standard output, without the table
    #[arg(long, value_name = "FILE")]
    pub(super) json: Option<PathBuf>,
    /// Write a line for each run as CSV; - is standard output, without the table
    #[arg(long, value_name = "FILE")]
    pub(super) csv: Option<PathBuf>,
    /// Write one page with tables and drawings
    #[arg(long, value_name = "FILE.html")]
    pub(super) report: Option<PathBuf>,
    /// Write the delays of each case's last run to a folder of its own in DIR: HDR interval logs, percentiles,
    /// CSV, JSON and SVG
    #[arg(long, value_name = "DIR")]
    pub(super) profile: Option<PathBuf>,
    /// Keep the result by this name, in the user's cache directory
    #[arg(long, value_name = "NAME")]
    pub(super) save_baseline: Option<String>,
    /// Compare with the result that was kept by this name
    #[arg(long, value_name = "NAME")]
    pub(super) baseline: Option<String>,
    /// No progress and no table; warnings and errors remain
    #[arg(long, short)]
    pub(super) quiet: bool,
}

impl SweepArgs {
    /// Every combination, the reference first; complaints go to `check`.
    pub(super) fn cases(
        self,
        check: &mut Check,
        (source, model): (&Source, ModelArgs),
        objective: ObjectiveArgs,
        step: StepArgs,
    ) -> Result<Vec<Training>> {
        let workers = check.option(self.workers).unwrap_or_else(|| powers(Topology::detect().cores()));
        let (updates, blocks, steps) =
            (check.take(self.update), check.take(self.block), check.take(self.step));
        check.distinct("--workers", &workers);
        check.distinct("--update", &updates);
        check.distinct("--block", &blocks);
        check.distinct("--step", &steps.iter().map(DelayRule::to_string).collect::<Vec<_>>());
        let mut base = Training {
            model: ModelSpec::Linear,
            optimizer: Optimizer::Sgd,
            loss: check.take(objective.loss),
            l2: Penalties::one(objective.l2, check),
            l1: check.take(objective.l1),
            class_weights: None,
            workers: 1,
            pin: check.take(self.pin),
            update: Update::Racy,
            block: BlockSize::Rows(1),
            hot: None,
            precision: check.take(self.precision),
            step: steps.first().copied().unwrap_or_default(),
            rate: check.take(step.rate),
            schedule: check.option(step.schedule),
            batch: check.take(step.batch),
            seed: check.take(step.seed),
            epochs: check.take(step.epochs),
            time_limit: None,
            target: None,
            target_gap: None,
            average: Averaging::None,
            algorithm: Algorithm::Sgd,
        };
        base.take_model(check, model, source);
        let mut cases = Vec::new();
        for &update in &updates {
            for &block in &blocks {
                for &step in &steps {
                    let case = |&workers| Training { workers, update, block, step, ..base.clone() };
                    cases.extend(workers.iter().map(case));
                }
            }
        }
        match cases.iter().position(is_reference) {
            Some(at) => cases[..=at].rotate_right(1),
            None => cases.insert(0, base),
        }
        for case in &cases {
            case.check_workers(check)?;
        }
        Ok(cases)
    }
}

/// 1, 2, 4, … and `cores`.
fn powers(cores: usize) -> Vec<usize> {
    let below = (0..usize::BITS).map(|power| 1 << power).take_while(|&n| n < cores);
    below.chain([cores]).collect()
}

#[cfg(test)]
mod tests {
    use super::powers;

    #[test]
    fn workers_double_up_to_the_cores() {
        assert_eq!((powers(1), powers(2), powers(6)), (vec![1], vec![1, 2], vec![1, 2, 4, 6]));
    }
}

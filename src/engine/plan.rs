//! From options to a checked plan: everything that a run depends on, resolved.

use super::algorithm::Algorithm;
use super::average::Averaging;
use super::blocks;
use super::checkpoint::{Checkpoint, Keeping};
use super::every::Every;
use super::rate;
use crate::error::{Error, Result};
use crate::memory;
use crate::model::Objective;
use crate::params::Update;
use crate::real::Real;
use crate::step::{Concurrency, Optimizer, Schedule, StepRule, Weight};
use crate::sync::Arc;
use crate::topology::{Pin, Topology};
use std::fmt;
use std::str::FromStr;
use std::time::{Duration, Instant};

/// How many examples a worker runs on its own copy of the hot parameters before it publishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BlockSize {
    /// Chosen from the data; direct with one worker.
    #[default]
    Auto,
    /// This many examples; 1 is direct: each update goes to the shared parameters.
    Rows(usize),
}

impl fmt::Display for BlockSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BlockSize::Auto => f.write_str("auto"),
            BlockSize::Rows(rows) => rows.fmt(f),
        }
    }
}

impl FromStr for BlockSize {
    type Err = Error;

    fn from_str(s: &str) -> Result<Self> {
        match s.parse() {
            _ if s == "auto" => Ok(BlockSize::Auto),
            Ok(rows) if rows > 0 => Ok(BlockSize::Rows(rows)),
            _ => Err(Error::usage(format!("block '{s}': expected auto or a number of examples ≥ 1"))),
        }
    }
}

/// The options of a run, not yet checked.
#[derive(Debug, Clone)]
pub(super) struct Options {
    pub workers: Option<usize>,
    pub pin: Pin,
    pub update: Update,
    pub block: BlockSize,
    pub hot: Option<usize>,
    pub batch: usize,
    pub step: Option<StepRule>,
    pub weight: Option<(Weight, Concurrency)>,
    pub rate: Option<f64>,
    pub schedule: Option<Schedule>,
    pub epochs: Option<f64>,
    pub time_limit: Option<Duration>,
    pub target: Option<f64>,
    pub target_gap: Option<f64>,
    pub evaluate_every: usize,
    pub seed: u64,
    pub averaging: Averaging,
    pub optimizer: Optimizer,
    /// The parameters to start from, instead of the objective's.
    pub start: Option<Arc<Vec<f64>>>,
    pub algorithm: Algorithm,
    /// Why it is that one, where it was chosen.
    pub algorithm_origin: String,
    pub keeping: Option<Keeping>,
    pub resume: Option<Checkpoint>,
    /// When preparation began.
    pub begun: Option<Instant>,
}

/// Everything that a run depends on besides its data: options as they were resolved.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Worker threads n.
    pub workers: usize,
    /// Cores that the process may use.
    pub cores: usize,
    /// The core of each worker; `None` where it is not pinned.
    pub pins: Vec<Option<usize>>,
    /// How the objective is minimised.
    pub algorithm: Algorithm,
    /// Why by that; empty where it was given.
    pub algorithm_origin: String,
    /// Which average of the iterates is the result.
    pub averaging: Averaging,
    /// How updates reach the shared parameters.
    pub update: Update,
    /// Examples in a block; 1 is direct.
    pub block: usize,
    /// Parameters that a block copies; 0 where it is direct.
    pub hot: usize,
    /// Examples in a mini-batch.
    pub batch: usize,
    /// The step rule, base rate and schedule.
    pub step: StepRule,
    /// Where the base rate comes from; empty where it was given.
    pub rate_origin: String,
    /// What direction a worker steps in.
    pub optimizer: Optimizer,
    /// Passes over the examples.
    pub epochs: f64,
    /// The longest training time.
    pub time_limit: Option<Duration>,
    /// The objective to stop at.
    pub target: Option<f64>,
    /// The certified relative gap to stop at.
    pub target_gap: Option<f64>,
    /// Epochs from one evaluation to the next.
    pub evaluate_every: usize,
    /// The seed of the order of the examples.
    pub seed: u64,
    /// `f32` or `f64`.
    pub precision: &'static str,
    /// Examples that a worker takes at a time.
    pub chunk: usize,
    /// Examples that come one after the other whatever the order: a chunk, or a part of one.
    pub piece: usize,
    /// The side of the grid whose blocks the chunks are, where the objective's examples are laid out by one; `block` and
    /// `chunk` are then their mean length.
    pub grid: Option<usize>,
    /// Things that the user should know, a line each.
    pub warnings: Vec<String>,
}

impl Options {
    /// Checks all options together, and resolves what is automatic.
    pub fn plan<T: Real, O: Objective<T>>(&self, objective: &O, topology: &Topology) -> Result<Plan> {
        let (examples, parameters) = (objective.examples(), objective.parameters());
        let mut wrong = Vec::new();
        let mut require = |holds: bool, line: String| {
            if !holds {
                wrong.push(line);
            }
        };
        require(examples > 0, "data: found no examples, expected at least 1".into());
        require(self.workers != Some(0), "workers: found 0, expected at least 1".into());
        let workers = self.workers.unwrap_or(topology.cores());
        require(
            workers <= MOST_WORKERS,
            format!("workers: found {workers}, expected at most {MOST_WORKERS}"),
        );
        // The checks that follow take a number that can be.
        let workers = workers.clamp(1, MOST_WORKERS);
        require(self.evaluate_every > 0, "evaluate every: found 0 epochs, expected at least 1".into());
        require(self.batch > 0, "batch: found 0, expected at least 1".into());
        require(self.block != BlockSize::Rows(0), "block: found 0, expected at least 1".into());
        let epochs = self.epochs();
        require(
            epochs >= 0.0 && epochs.is_finite(),
            format!("epochs: found {epochs}, expected a number ≥ 0"),
        );
        if let Some(Keeping { every, .. }) = &self.keeping {
            let never = matches!(every, Every::Epochs(0) | Every::Time(Duration::ZERO));
            require(
                !never,
                "checkpoint: found every 0, expected a time or a number of epochs above 0".into(),
            );
        }
        if let Some(start) = &self.start {
            require(self.resume.is_none(), "start: a run that is resumed has its own".into());
            let line = format!("start: found {} parameters, expected {parameters}", start.len());
            require(start.len() == parameters, line);
            require(start.iter().all(|w| w.is_finite()), "start: expected finite parameters".into());
        }
        if let Some(rate) = self.rate {
            require(rate > 0.0 && rate.is_finite(), format!("rate: found {rate}, expected a number above 0"));
        }
        if let Some(target) = self.target {
            require(target.is_finite(), format!("target objective: found {target}, expected a number"));
        }
        wrong.extend(self.averaging.problem());
        wrong.extend(self.optimizer.problem());
        let exact = self.algorithm.is_exact() && self.averaging != Averaging::None;
        if exact {
            let (average, algorithm) = (self.averaging, self.algorithm);
            wrong.push(format!(
                "average {average}: expected none, as the noise of {algorithm} vanishes of itself"
            ));
        }
        let curvature = objective.curvature();
        // Gradients are only asked of what will be run.
        let start = || wrong.is_empty().then(|| self.initial(objective));
        let (rule, rate_origin) = self.rule(|| {
            let refined = self.algorithm == Algorithm::Newton;
            let size = (workers, self.batch);
            rate::automatic(objective, curvature.as_ref(), self.optimizer, size, refined, start)
        })?;
        if let Err(Error::Usage(lines)) = rule.stepper(workers) {
            wrong.extend(lines);
        }
        // A block's local steps take the schedule's rate, which these rules replace.
        let block = if rule.weight.sets_step() { BlockSize::Rows(1) } else { self.block };
        if block != self.block && self.block != BlockSize::Auto {
            let line = format!("block {}: expected 1, as {} sets each step itself", self.block, rule.weight);
            wrong.push(line);
        }
        let leashed = matches!(self.update, Update::Leashed { .. });
        if leashed && rule.weight.sets_step() {
            wrong.push(format!(
                "update {}: expected a step rule with a rate, found {}",
                self.update, rule.weight
            ));
        }
        if leashed && !matches!(block, BlockSize::Auto | BlockSize::Rows(1)) {
            wrong.push(format!("block {block}: expected 1, as {} updates are published whole", self.update));
        }
        if leashed && self.averaging != Averaging::None {
            wrong.push(format!("average: expected none with {} updates", self.update));
        }
        let block = if leashed { BlockSize::Rows(1) } else { block };
        let pins = match topology.plan(&self.pin, workers) {
            Ok(pins) => pins,
            Err(Error::Usage(lines)) => {
                wrong.extend(lines);
                Vec::new()
            }
            Err(other) => return Err(other),
        };
        if !wrong.is_empty() {
            return Err(Error::Usage(wrong));
        }
        let counts = objective.counts();
        // Where nothing is copied, the local steps go straight to the shared parameters, at the rate: a weight would not
        // reach them. Those of a grid's blocks meet nobody and have the adaptive weight 1.
        let unweighted = matches!(rule.weight, Weight::DelayAdaptive | Weight::Constant);
        let straight = block == BlockSize::Auto && unweighted;
        let grid = objective.grid().filter(|_| straight);
        let plain = self.batch == 1 && self.optimizer == Optimizer::Sgd && self.hot != Some(0);
        let walk = grid.filter(|_| plain).and_then(|grid| blocks::walked(&grid, objective, workers));
        let grid = grid.map(|grid| walk.map_or(grid.side, |(side, _)| side));
        let (block, hot) = match grid {
            Some(side) => (examples.div_ceil(side * side).max(2), walk.map_or(0, |(_, copied)| copied)),
            None if straight && counts.is_some_and(<[u32]>::is_empty) => {
                (direct_chunk(workers, examples, self.batch), 0)
            }
            None => {
                blocks::choose(block, self.hot, workers, examples, parameters, counts, objective.copies())
            }
        };
        // Of a whole difference, which there is none of, nothing is left to weigh.
        let unweighed = block > 1 && hot == 0 && !unweighted;
        let block = if unweighed { 1 } else { block };
        let sequence = objective.sequence();
        let block = match sequence.filter(|_| self.block == BlockSize::Auto) {
            Some(sequence) if block > sequence => block.next_multiple_of(sequence),
            _ => block,
        };
        let evaluate_every = self.evaluate_every.min(epochs.ceil() as usize).max(1);
        let phase = examples.saturating_mul(evaluate_every);
        let chunk = match sequence {
            _ if block > 1 => block,
            Some(sequence) => sequence.next_multiple_of(self.batch).min(examples),
            None => direct_chunk(workers, phase, self.batch).min(examples),
        };
        let longest = sequence.filter(|_| self.batch == 1).unwrap_or(chunk);
        let piece = longest_piece(chunk, longest);
        // The shared ones, those of evaluations, the best, what the objective keeps for each; and the workers' copies:
        // leashed, the one that is read, the one that is written, and two spare ones.
        let leashed = if matches!(self.update, Update::Leashed { .. }) { 4 } else { 0 };
        let copies = self.optimizer.vectors() + leashed;
        let numbers =
            4 * parameters as u128 + workers as u128 * (2 * hot as u128 + copies * parameters as u128);
        let order = 8 * examples.div_ceil(piece) as u128 * self.evaluate_every as u128;
        memory::check(&format!("{} epochs without an evaluation", self.evaluate_every), order, "take fewer")?;
        let what = format!("{workers} workers on {parameters} parameters");
        memory::check(&what, numbers * size_of::<T>() as u128, "take fewer")?;
        let mut warnings = Vec::new();
        if workers > topology.cores() {
            warnings.push(format!(
                "{workers} workers on {} cores: the operating system interrupts workers, which makes long delays",
                topology.cores()
            ));
        }
        let longest = blocks::longest(workers, examples).max(1);
        if let BlockSize::Rows(_) = self.block
            && workers > 1
            && block > longest
        {
            warnings.push(format!(
                "block {block}: an epoch gains less, as the workers see little of each other's steps; on {examples} \
                 examples up to {longest} keep what it gains"
            ));
        }
        warnings.extend(self.optimizer.warnings(workers));
        if unweighed {
            warnings.push(format!(
                "{}: each update is sent on its own, as those of blocks that copy nothing have no weight",
                rule.weight
            ));
        }
        match self.hot {
            Some(1..) if hot == 0 => {
                warnings.push("hot: nothing is copied, as each update is sent on its own".into());
            }
            Some(asked @ 1..) if grid.is_some() => warnings.push(format!(
                "hot {asked}: a block of the grid copies what its examples touch, up to {hot} parameters"
            )),
            _ => {}
        }
        Ok(Plan {
            workers,
            cores: topology.cores(),
            pins,
            algorithm: self.algorithm,
            algorithm_origin: self.algorithm_origin.clone(),
            averaging: self.averaging,
            update: self.update,
            block,
            hot,
            batch: self.batch,
            step: rule,
            rate_origin,
            optimizer: self.optimizer,
            epochs,
            time_limit: self.time_limit,
            target: self.target,
            target_gap: self.target_gap,
            evaluate_every,
            seed: self.seed,
            precision: T::NAME,
            chunk,
            piece,
            grid,
            warnings,
        })
    }

    /// These lines, and all else that is wrong with the options.
    pub fn refuse<T: Real, O: Objective<T>>(&self, mut wrong: Vec<String>, objective: &O) -> Error {
        if let Err(Error::Usage(more)) = self.plan(objective, &Topology::detect()) {
            wrong.extend(more);
        }
        Error::Usage(wrong)
    }

    /// The step rule with base rate and schedule filled in.
    fn rule(&self, automatic: impl FnOnce() -> Result<(f64, String)>) -> Result<(StepRule, String)> {
        let given = self.step.clone();
        let mut origin = String::new();
        let rate = match self.rate.or(given.as_ref().map(|rule| rule.rate)) {
            Some(rate) => rate,
            None => {
                let (rate, from) = automatic()?;
                origin = from;
                rate
            }
        };
        let schedule = self
            .schedule
            .clone()
            .or(given.as_ref().map(|rule| rule.schedule.clone()))
            .unwrap_or_else(|| self.automatic_schedule());
        let rule = given.unwrap_or_else(|| crate::step::delay_adaptive(rate));
        let (weight, concurrency) = self.weight.unwrap_or((rule.weight, rule.concurrency));
        Ok((StepRule { rate, schedule, weight, concurrency }, origin))
    }

    /// A cosine over the whole run. After as many epochs of 1/(1 + epoch) the objective was 2 to 180 times
    /// further from the optimum on a9a, flights, news20 and covtype, and as close on an RCV1-shaped problem.
    /// Constant where the iterates are averaged.
    fn automatic_schedule(&self) -> Schedule {
        let epochs = self.epochs();
        let falls = epochs > 0.0 && self.averaging == Averaging::None;
        if falls { Schedule::Cosine { epochs } } else { Schedule::Constant }
    }

    /// Passes over the examples: as many as a target gap takes, where nothing was said.
    pub fn epochs(&self) -> f64 {
        self.epochs.unwrap_or_else(|| self.algorithm.epochs(self.target_gap))
    }
}

/// The most worker threads.
pub(super) const MOST_WORKERS: usize = 4096;

/// The longest piece of at most `most` examples that chunks can be cut into.
pub(super) fn longest_piece(chunk: usize, most: usize) -> usize {
    (1..=most).rev().find(|&piece| chunk.is_multiple_of(piece)).unwrap_or(chunk)
}

/// Examples that a worker takes at a time in direct mode, of so many up to an evaluation: enough that the shared counter
/// does not matter, few enough that all workers end together. While a late one finishes its chunk the others are idle,
/// for less than 1/128 of their updates, and by so much the mean delay falls short.
fn direct_chunk(workers: usize, examples: usize, batch: usize) -> usize {
    let fair = examples / (workers * 128);
    fair.clamp(1, 256).next_multiple_of(batch)
}

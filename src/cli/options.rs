//! Options that several commands share.

use super::load::{Cache, Source};
use super::penalties::Penalties;
use super::rule::DelayRule;
use super::value::{self, Check, Given};
use asyncsgd::step::{Optimizer, Schedule, StepRule};
use asyncsgd::{
    Algorithm, Averaging, BlockSize, Pin, Topology, Trainer, Update,
    data::Missing,
    model::{ClassWeights, LossKind, ModelSpec, Precision},
};
use clap::Args;
use std::path::PathBuf;
use std::time::Duration;

/// What to read.
#[derive(Args, Debug)]
#[command(next_help_heading = "Data")]
pub struct InputArgs {
    /// LIBSVM text, CSV, .npy, .npz, idx (MNIST) or MatrixMarket, plain or compressed by gzip, bzip2, xz or
    /// zstd; - is standard input. Without it: the embedded flights, will this flight arrive late?
    #[arg(help_heading = "Arguments")]
    pub data: Option<PathBuf>,
    /// Feature indices of the files start from 0, not 1
    #[arg(long)]
    pub zero_based: bool,
    /// Where parsed LIBSVM text is kept for the next run: a directory, none, or auto (files of 4 MB and more, packed of
    /// 0.4 MB, in asyncsgd in the user's cache directory)
    #[arg(long, value_name = "DIR", default_value = "auto")]
    pub cache: Cache,
    #[command(flatten)]
    pub table: TableArgs,
}

/// Where labels are in data that are no LIBSVM text.
#[derive(Args, Debug, Clone)]
pub struct TableArgs {
    /// The column of the labels in CSV, by name or number from 1 [default: label, target, class or y]
    #[arg(long, value_name = "COLUMN")]
    pub label: Option<String>,
    /// A file with the labels of the data, one a row: idx, .npy, or text with a number a line [default: in the
    /// data, or for idx images the file of the labels beside them]
    #[arg(long, value_name = "FILE")]
    pub labels: Option<PathBuf>,
    /// What stands for a missing value in CSV: refuse, mean (of the column, in the file that is trained on),
    /// or a number
    #[arg(long, value_name = "HOW", default_value = "refuse", value_parser = value::value::<Missing>())]
    pub missing: Given<Missing>,
}

impl TableArgs {
    /// The names of the options that say something.
    pub fn given(&self) -> impl Iterator<Item = &'static str> {
        let missing = self.missing.good().is_none_or(|missing| *missing != Missing::Refuse);
        let all =
            [("--label", self.label.is_some()), ("--labels", self.labels.is_some()), ("--missing", missing)];
        all.into_iter().filter(|(_, given)| *given).map(|(name, _)| name)
    }
}

/// What to read for training and for testing.
#[derive(Args, Debug)]
#[command(next_help_heading = "Data")]
pub struct DataArgs {
    #[command(flatten)]
    pub input: InputArgs,
    /// Held-out rows, for the final figures
    #[arg(long, value_name = "FILE")]
    pub test: Option<PathBuf>,
    /// A file with the labels of the held-out rows
    #[arg(long, value_name = "FILE", requires = "test")]
    pub test_labels: Option<PathBuf>,
    /// Hold out this share of the rows instead, chosen by the seed
    #[arg(long, value_name = "F", value_parser = value::fraction())]
    pub test_fraction: Option<Given<f64>>,
}

/// What is trained.
#[derive(Args, Debug)]
#[command(next_help_heading = "Model")]
pub struct ModelArgs {
    /// linear, softmax (a score for each class), a network by its layers (mlp:784-128-10), factors of ratings (mf:32
    /// or nmf:32), a factorization machine (fm:8, with fields ffm:4) or word vectors (skipgram:100); see below
    #[arg(long, value_name = "MODEL", default_value = "linear", value_parser = value::value::<ModelSpec>())]
    pub model: Given<ModelSpec>,
}

/// What is minimised.
#[derive(Args, Debug)]
#[command(next_help_heading = "Objective: mean loss + l2/2·|w|² + l1·|w|₁")]
pub struct ObjectiveArgs {
    /// The loss; logistic, hinge and squared-hinge classify two labels, squared and huber fit numbers
    #[arg(long, value_name = "LOSS", default_value = "logistic", value_parser = value::one_of(&LossKind::ALL))]
    pub loss: Given<LossKind>,
    /// Strength of the L2 penalty; asyncsgd train also takes a path of them: A..B, A..B:N or A,B,… [default: 1/rows]
    #[arg(long, value_name = "L2", value_parser = value::parsed(Penalties::parse))]
    pub l2: Option<Given<Penalties>>,
    /// Strength of the L1 penalty, which makes weights exactly 0
    #[arg(long, value_name = "L1", default_value = "0", value_parser = value::at_least_zero())]
    pub l1: Given<f64>,
    /// Add a bias, which is not penalised
    #[arg(long)]
    pub intercept: bool,
}

/// Who works, and how updates reach the shared parameters.
#[derive(Args, Debug)]
#[command(next_help_heading = "Workers")]
pub struct WorkerArgs {
    /// Worker threads [default: the cores that we may use]
    #[arg(long, short = 'j', value_name = "N", value_parser = value::count())]
    pub workers: Option<Given<usize>>,
    /// Cores for the workers: auto (one each), none, or a list such as 0,2,3
    #[arg(long, value_name = "CORES", default_value = "auto", value_parser = value::value::<Pin>())]
    pub pin: Given<Pin>,
    /// How an addition reaches a shared parameter: by compare-exchange (one worker alone stores: there is nobody to
    /// lose an update to), by load and store (updates can be lost), or under a lock; or leashed[:RETRIES], which publishes a whole new state of all parameters by
    /// exchanging a pointer
    #[arg(long, value_name = "MODE", default_value = "cas", value_parser = value::one_of(&Update::ALL))]
    pub update: Given<Update>,
    /// Examples that a worker runs on its own copy of the frequent parameters before it publishes the
    /// difference; 1 sends each update to the shared parameters. While the rate falls blocks grow, to eight times as
    /// many
    #[arg(long, value_name = "B", default_value = "auto", value_parser = value::value::<BlockSize>())]
    pub block: Given<BlockSize>,
    /// How many parameters, the most frequent ones, a block copies; the others it shares [default: those that it
    /// touches often]
    #[arg(long, value_name = "H", value_parser = value::whole())]
    pub hot: Option<Given<usize>>,
    /// Number type of the parameters
    #[arg(long, value_name = "TYPE", default_value = "f32", value_parser = value::one_of(&Precision::ALL))]
    pub precision: Given<Precision>,
}

/// How long a step is.
#[derive(Args, Debug)]
#[command(next_help_heading = "Step: rate × schedule × weight of the delay")]
pub struct StepArgs {
    /// How to minimise, see below; auto chooses from the data where there is a target gap, and is sgd without
    /// one
    #[arg(long, value_name = "A", default_value = "auto", value_parser = value::one_of(&Algorithm::ALL))]
    pub algorithm: Given<Algorithm>,
    /// Which average of the iterates is the model: none, polyak (all), suffix:F (the last share F) or weighted:P (by
    /// the P-th power of the time); of sgd and adagrad
    #[arg(long, value_name = "AVERAGE", default_value = "none", value_parser = value::value::<Averaging>())]
    pub average: Given<Averaging>,
    /// How a gradient's delay τ changes its step, RULE or RULE@C with another concurrency C; see below
    #[arg(long, value_name = "RULE", default_value = "delay-adaptive", value_parser = value::value::<DelayRule>())]
    pub step: Given<DelayRule>,
    /// The base rate; auto takes it from the curvature of the loss on the data, or for a network from that along
    /// some hundred gradients
    #[arg(long, value_name = "ETA", default_value = "auto", value_parser = value::auto_or_positive())]
    pub rate: Given<Option<f64>>,
    /// How the rate changes over the epochs; see below [default: a cosine over all epochs; constant with --average and
    /// where an algorithm's noise vanishes]
    #[arg(long, value_name = "S", value_parser = value::value::<Schedule>())]
    pub schedule: Option<Given<Schedule>>,
    /// What a worker makes of its gradients: sgd, momentum:BETA, adam or adam:BETA1,BETA2
    #[arg(long, value_name = "O", default_value = "sgd", value_parser = value::value::<Optimizer>())]
    pub optimizer: Given<Optimizer>,
    /// Examples whose gradients are averaged for a step
    #[arg(long, value_name = "B", default_value = "1", value_parser = value::count())]
    pub batch: Given<usize>,
    /// Seed of everything random: one worker repeats a run to the bit
    #[arg(long, value_name = "SEED", default_value = "0", value_parser = value::seed())]
    pub seed: Given<u64>,
}

/// When to stop.
#[derive(Args, Debug)]
#[command(next_help_heading = "Stopping")]
pub struct StopArgs {
    /// Passes over the data; a fraction is a part of a pass [default: 10, or what a target gap takes]
    #[arg(long, short = 'e', value_name = "E", value_parser = value::at_least_zero())]
    pub epochs: Option<Given<f64>>,
    /// The longest training time: 500ms, 30s, 5m, 2h
    #[arg(long, value_name = "TIME", value_parser = value::duration())]
    pub time_limit: Option<Given<Duration>>,
    /// Stop after the first epoch whose objective is at most this
    #[arg(long, value_name = "F", value_parser = value::finite())]
    pub target_objective: Option<Given<f64>>,
    /// Stop when the objective is certified to be at most this share above its minimum
    #[arg(long, value_name = "G", value_parser = value::positive())]
    pub target_gap: Option<Given<f64>>,
}

/// The options of a training run, checked.
#[derive(Debug, Clone)]
pub struct Training {
    pub model: ModelSpec,
    pub loss: LossKind,
    pub l2: Option<f64>,
    pub l1: f64,
    pub class_weights: Option<ClassWeights>,
    pub workers: usize,
    pub pin: Pin,
    pub update: Update,
    pub block: BlockSize,
    pub hot: Option<usize>,
    pub precision: Precision,
    pub step: DelayRule,
    pub rate: Option<f64>,
    pub schedule: Option<Schedule>,
    pub optimizer: Optimizer,
    pub batch: usize,
    pub seed: u64,
    pub epochs: f64,
    pub time_limit: Option<Duration>,
    pub target: Option<f64>,
    pub target_gap: Option<f64>,
    pub average: Averaging,
    pub algorithm: Algorithm,
}

/// The most worker threads.
const MOST_WORKERS: usize = 4096;

impl Training {
    /// Checks the options together; complaints go to `check`.
    pub fn check(
        check: &mut Check,
        (objective, workers, step, stop): (ObjectiveArgs, WorkerArgs, StepArgs, StopArgs),
        class_weights: Option<ClassWeights>,
    ) -> asyncsgd::Result<Self> {
        let (target_gap, algorithm) = (check.option(stop.target_gap), check.take(step.algorithm));
        let epochs = check.option(stop.epochs).unwrap_or_else(|| algorithm.epochs(target_gap));
        let training = Self {
            model: ModelSpec::Linear,
            loss: check.take(objective.loss),
            l2: check.option(objective.l2).and_then(|path| path.first()),
            l1: check.take(objective.l1),
            class_weights,
            workers: check.option(workers.workers).unwrap_or_else(|| Topology::detect().cores()),
            pin: check.take(workers.pin),
            update: check.take(workers.update),
            block: check.take(workers.block),
            hot: check.option(workers.hot),
            precision: check.take(workers.precision),
            step: check.take(step.step),
            rate: check.take(step.rate),
            schedule: check.option(step.schedule),
            optimizer: check.take(step.optimizer),
            batch: check.take(step.batch),
            seed: check.take(step.seed),
            epochs,
            time_limit: check.option(stop.time_limit),
            target: check.option(stop.target_objective),
            target_gap,
            average: check.take(step.average),
            algorithm,
        };
        check.require(
            training.class_weights.is_none() || training.loss.is_classification(),
            format!("--class-weight: found {} loss, which has no classes", training.loss),
        );
        training.check_workers(check)?;
        check.require(
            training.hot.is_none() || training.block != BlockSize::Rows(1),
            "--hot: found --block 1, expected blocks, as nothing else is copied",
        );
        let simple = training.optimizer == Optimizer::Sgd;
        check.require(
            simple || training.l1 == 0.0,
            format!("--optimizer: found {}, expected sgd with an L1 penalty", training.optimizer),
        );
        check.require(
            simple || matches!(training.algorithm, Algorithm::Auto | Algorithm::Sgd) && target_gap.is_none(),
            format!("--optimizer: found {}, expected sgd for algorithms but sgd", training.optimizer),
        );
        Ok(training)
    }

    /// Takes the model, with the loss that it has where none is said, and checks what depends on it; complaints go to
    /// `check`.
    pub fn take_model(&mut self, check: &mut Check, args: ModelArgs, source: &Source) {
        self.model = check.take(args.model);
        if matches!(self.model, ModelSpec::Factorization { .. }) && self.loss == LossKind::default() {
            self.loss = LossKind::Squared;
        }
        let (model, intercept) = (&self.model, source.intercept);
        match model {
            ModelSpec::Factorization { .. } => source.check_other(check, "ratings"),
            ModelSpec::FieldMachine(_) => source.check_other(check, "rows with fields"),
            ModelSpec::SkipGram(..) => {
                source.check_other(check, "text");
                let trained = source.test.is_none() && source.test_fraction.is_none();
                check.require(trained, "--test, --test-fraction: expected neither for word vectors");
            }
            ModelSpec::Linear | ModelSpec::Softmax | ModelSpec::Mlp(..) | ModelSpec::Machine(_) => {}
        }
        let (losses, biased): (&[LossKind], bool) = match model {
            ModelSpec::Linear => return,
            ModelSpec::Softmax => (&[LossKind::Logistic], false),
            ModelSpec::Mlp(..) => (&[LossKind::Logistic, LossKind::Squared], true),
            ModelSpec::Factorization { .. } => (&[LossKind::Squared], true),
            ModelSpec::Machine(_) | ModelSpec::FieldMachine(_) => (&LossKind::ALL, true),
            ModelSpec::SkipGram(..) => (&[LossKind::Logistic], true),
        };
        let expected: Vec<String> = losses.iter().map(LossKind::to_string).collect();
        check.require(
            losses.contains(&self.loss),
            format!("--loss: found {}, expected {} for {model}", self.loss, expected.join(" or ")),
        );
        if !matches!(model, ModelSpec::Softmax | ModelSpec::Mlp(..)) {
            let single = self.precision == Precision::F32;
            check.require(single, format!("--precision: found {}, expected f32 for {model}", self.precision));
        }
        // Their steps are made from where the parameters would be, which is not kept above 0.
        let free = !matches!(model, ModelSpec::Factorization { nonnegative: true, .. })
            || self.optimizer == Optimizer::Sgd;
        check.require(free, format!("--optimizer: found {}, expected sgd for {model}", self.optimizer));
        let penalised = !matches!(model, ModelSpec::SkipGram(..)) || self.l2.is_none();
        check.require(penalised, format!("--l2: expected none for {model}"));
        check.require(self.l1 == 0.0, format!("--l1: found {}, expected 0 for {model}", self.l1));
        let sgd = matches!(self.algorithm, Algorithm::Auto | Algorithm::Sgd);
        check.require(sgd, format!("--algorithm: found {}, expected sgd for {model}", self.algorithm));
        check.require(self.target_gap.is_none(), format!("--target-gap: expected none for {model}"));
        check.require(
            !(biased && intercept),
            format!("--intercept: expected it left out, as {model} has its own biases or none"),
        );
    }

    /// Checks what depends on the number of workers; complaints go to `check`.
    ///
    /// # Errors
    /// None that is about usage.
    pub fn check_workers(&self, check: &mut Check) -> asyncsgd::Result<()> {
        let n = self.workers;
        check.require(n <= MOST_WORKERS, format!("--workers: found {n}, expected at most {MOST_WORKERS}"));
        check.result(Topology::detect().plan(&self.pin, n.clamp(1, MOST_WORKERS)))?;
        check.result(self.check_rule()).map(drop)
    }

    /// Checks the step rule for the number of workers.
    ///
    /// # Errors
    /// Where it is out of range.
    pub fn check_rule(&self) -> asyncsgd::Result<()> {
        let rule = StepRule {
            rate: self.rate.unwrap_or(1.0),
            schedule: self.schedule.clone().unwrap_or_default(),
            weight: self.step.weight,
            concurrency: self.step.concurrency,
        };
        rule.stepper(self.workers.clamp(1, MOST_WORKERS))?;
        self.algorithm.check_rule(rule.weight, rule.concurrency)
    }

    /// A trainer of `model` with these options.
    pub fn trainer<'a, M>(&self, model: M) -> Trainer<'a, M> {
        let mut trainer = Trainer::new(model)
            .workers(self.workers)
            .pin(self.pin.clone())
            .update(self.update)
            .block(self.block)
            .batch(self.batch)
            .weight(self.step.weight, self.step.concurrency)
            .average(self.average)
            .algorithm(self.algorithm)
            .optimizer(self.optimizer)
            .epochs(self.epochs)
            .seed(self.seed);
        if let Some(hot) = self.hot {
            trainer = trainer.hot(hot);
        }
        if let Some(rate) = self.rate {
            trainer = trainer.rate(rate);
        }
        if let Some(schedule) = &self.schedule {
            trainer = trainer.schedule(schedule.clone());
        }
        if let Some(limit) = self.time_limit {
            trainer = trainer.time_limit(limit);
        }
        if let Some(target) = self.target {
            trainer = trainer.target_objective(target);
        }
        if let Some(gap) = self.target_gap {
            trainer = trainer.target_gap(gap);
        }
        trainer
    }
}

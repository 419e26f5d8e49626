//! The trainer: pinned threads on shared parameters, in real time.

mod algorithm;
mod average;
mod beside;
mod blocks;
mod checkpoint;
mod course;
mod divergence;
mod event;
mod every;
mod execute;
mod gate;
mod inject;
mod instruments;
mod keeper;
mod live;
mod lost;
mod monitor;
mod multiclass;
mod optimum;
mod plan;
mod rate;
mod run;
mod start;
mod stream;
mod worker;

pub use algorithm::Algorithm;
pub use average::Averaging;
pub use checkpoint::Checkpoint;
pub use event::{Event, Progress};
pub use every::Every;
pub use inject::{Injection, Slow, Stall};
pub use live::Live;
pub use multiclass::one_vs_rest;
pub use plan::{BlockSize, Plan};
pub use run::{Lost, Point, Run, Stop, WorkerReport};
pub use stream::{Feed, LiveStream, Online, Stream, StreamRun, Streamed, stream};

use crate::delay::Tracer;
use crate::error::Result;
use crate::model::{Model, Objective};
use crate::params::Update;
use crate::real::Real;
use crate::step::{Concurrency, Optimizer, Schedule, StepRule, Weight};
use crate::sync::Arc;
use crate::topology::{Pin, Topology};
use checkpoint::Keeping;
use execute::execute;
use instruments::Instruments;
use plan::Options;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

/// Trains a model with asynchronous SGD. Options not set are chosen from the machine and the data.
///
/// Parameters are `f32`; [`Trainer::precision`] changes that.
#[must_use = "a trainer does nothing until it is run"]
pub struct Trainer<'a, M, T: Real = f32> {
    model: M,
    options: Options,
    instruments: Instruments,
    interrupt: Option<Arc<AtomicBool>>,
    live: Live<T>,
    observer: Box<dyn FnMut(Event<'_>) + Send + 'a>,
}

impl<'a, M> Trainer<'a, M, f32> {
    /// A trainer of `model` with all options at their defaults.
    pub fn new(model: M) -> Self {
        let options = Options {
            workers: None,
            pin: Pin::Auto,
            update: Update::Cas,
            block: BlockSize::Auto,
            hot: None,
            batch: 1,
            step: None,
            weight: None,
            rate: None,
            schedule: None,
            epochs: None,
            time_limit: None,
            target: None,
            target_gap: None,
            evaluate_every: 1,
            seed: 0,
            averaging: Averaging::None,
            optimizer: Optimizer::Sgd,
            start: None,
            algorithm: Algorithm::Auto,
            algorithm_origin: String::new(),
            keeping: None,
            resume: None,
            begun: None,
        };
        Self {
            model,
            options,
            instruments: Instruments::default(),
            interrupt: None,
            live: Live::new(),
            observer: Box::new(|_| {}),
        }
    }
}

impl<'a, M, T: Real> Trainer<'a, M, T> {
    /// The number of worker threads, 1 to 4096. Default: the cores that we may use.
    pub fn workers(mut self, workers: usize) -> Self {
        self.options.workers = Some(workers);
        self
    }

    /// Which cores workers run on. Default: [`Pin::Auto`].
    pub fn pin(mut self, pin: Pin) -> Self {
        self.options.pin = pin;
        self
    }

    /// How updates reach the shared parameters. Default: [`Update::Cas`].
    pub fn update(mut self, update: Update) -> Self {
        self.options.update = update;
        self
    }

    /// Examples in a block. Default: [`BlockSize::Auto`].
    pub fn block(mut self, block: BlockSize) -> Self {
        self.options.block = block;
        self
    }

    /// How many parameters, the most frequent, a block copies. Default: chosen from the data.
    pub fn hot(mut self, hot: usize) -> Self {
        self.options.hot = Some(hot);
        self
    }

    /// Examples in a mini-batch, whose gradients are averaged, at least 1. Default: 1.
    pub fn batch(mut self, batch: usize) -> Self {
        self.options.batch = batch;
        self
    }

    /// The step rule with its base rate and schedule. Default: delay-adaptive, with an automatic rate and
    /// a cosine over all epochs.
    pub fn step(mut self, rule: StepRule) -> Self {
        self.options.step = Some(rule);
        self
    }

    /// The delay weight and what counts as its concurrency, instead of the rule's; base rate and schedule stay
    /// as they are.
    pub fn weight(mut self, weight: Weight, concurrency: Concurrency) -> Self {
        self.options.weight = Some((weight, concurrency));
        self
    }

    /// The base rate η, above 0, instead of the rule's.
    pub fn rate(mut self, rate: f64) -> Self {
        self.options.rate = Some(rate);
        self
    }

    /// The schedule of the base rate, instead of the rule's.
    pub fn schedule(mut self, schedule: Schedule) -> Self {
        self.options.schedule = Some(schedule);
        self
    }

    /// Which average of the iterates is evaluated and returned, of SGD's and AdaGrad's; the schedule is then constant
    /// where none is given. Default: none, the last iterate.
    pub fn average(mut self, averaging: Averaging) -> Self {
        self.options.averaging = averaging;
        self
    }

    /// How to minimise the objective. Default: chosen from the data and the target gap; SGD without one.
    pub fn algorithm(mut self, algorithm: Algorithm) -> Self {
        self.options.algorithm = algorithm;
        self
    }

    /// Passes over the examples, ≥ 0; a fraction is a part of a pass. A step of Newton's method that has begun is
    /// finished, whatever passes it takes. Default: 10, or with a target gap as many as it takes.
    pub fn epochs(mut self, epochs: impl Into<f64>) -> Self {
        self.options.epochs = Some(epochs.into());
        self
    }

    /// The longest training time. Default: none.
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.options.time_limit = Some(limit);
        self
    }

    /// Stops at the first epoch whose objective is at most this. Default: none.
    pub fn target_objective(mut self, target: f64) -> Self {
        self.options.target = Some(target);
        self
    }

    /// Stops when (f − min f)/min f is certified to be at most this, > 0. Needs a penalty and no intercept, and with
    /// hinge loss no L1 penalty. Default: none.
    pub fn target_gap(mut self, gap: f64) -> Self {
        self.options.target_gap = Some(gap);
        self
    }

    /// Epochs from one evaluation of the objective to the next, at least 1. All workers wait for an evaluation, the
    /// fast ones for the slow. The order of their chunks takes 8 bytes a chunk. Default: 1.
    pub fn evaluate_every(mut self, epochs: usize) -> Self {
        self.options.evaluate_every = epochs;
        self
    }

    /// The seed of everything random: with one worker, the same seed gives the same parameters to the bit.
    /// Default: 0.
    pub fn seed(mut self, seed: u64) -> Self {
        self.options.seed = seed;
        self
    }

    /// Momentum or Adam, of each worker's own gradients, at O(parameters) a step. For objectives whose descent is
    /// proportional to the step: not with an L1 penalty. Default: [`Optimizer::Sgd`].
    pub fn optimizer(mut self, optimizer: Optimizer) -> Self {
        self.options.optimizer = optimizer;
        self
    }

    /// Whether to measure more than the delays: where the time of an update goes, in a sample of the iterations
    /// ([`WorkerReport::timing`]), and delays over time ([`Run::timeline`]). Costs at most 1 % of the time. In racy
    /// mode a comparison run of at most a second follows, which counts what is lost ([`Run::lost`]). Default: no.
    pub fn profile(mut self, yes: bool) -> Self {
        self.instruments.profile = yes;
        self
    }

    /// Writes every update to a trace.
    pub fn trace(mut self, tracer: &Tracer) -> Self {
        self.instruments.trace = Some(tracer.line());
        self
    }

    /// Holds workers back on purpose.
    pub fn inject(mut self, injection: Injection) -> Self {
        self.instruments.injection = injection;
        self
    }

    /// Saves the run to `path` every so often, when it is stopped, and at its end, but for a run that has nothing to do. A crash, a kill or a full disk at any
    /// moment leaves the last whole checkpoint there. Workers wait while the parameters are copied; they are written on a
    /// thread of their own. What goes wrong with that is told by [`Event::Warning`], and with the last among the plan's warnings. `note` is kept in the file
    /// ([`Checkpoint::note`]). [`Algorithm::Newton`] is saved between its steps.
    pub fn checkpoint(mut self, path: impl Into<PathBuf>, every: Every, note: impl Into<String>) -> Self {
        self.options.keeping = Some(Keeping { path: path.into(), every, note: note.into() });
        self
    }

    /// Goes on with a run that was saved: with one worker to the same result, to the bit, as one that was not
    /// interrupted. The data, the objective and all options that decide the course must be those of the saved run;
    /// those that decide when to stop may differ (but a cosine that follows the epochs is a part of the course), and there is
    /// no other start. Failed attempts and what is sampled count from here on, and buffers that draw at random, as
    /// skip-gram's, draw anew.
    pub fn resume(mut self, from: Checkpoint) -> Self {
        self.options.resume = Some(from);
        self
    }

    /// Stops the run soon after the flag becomes true; what was learnt so far is returned.
    pub fn interrupt(mut self, flag: Arc<AtomicBool>) -> Self {
        self.interrupt = Some(flag);
        self
    }

    /// Calls `observer` on the thread that runs the trainer: at the start, several times a second, after each epoch, and
    /// where a checkpoint was not written. Workers are not slowed by it, but wait for it at the end of an epoch, and while
    /// it takes its time no limit is looked at.
    pub fn observe(mut self, observer: impl FnMut(Event<'_>) + Send + 'a) -> Self {
        self.observer = Box::new(observer);
        self
    }

    /// A handle for other threads to read parameters and progress, to stop the run and to change its rate, from before
    /// the run's start until after its end. To be taken after [`Trainer::precision`]: a handle from before steers the same
    /// run and knows its end, but shows no parameters of another type.
    pub fn live(&self) -> Live<T> {
        self.live.clone()
    }

    /// Parameters of type `U`.
    pub fn precision<U: Real>(self) -> Trainer<'a, M, U> {
        let Self { model, options, instruments, interrupt, live, observer } = self;
        Trainer { model, options, instruments, interrupt, live: live.of_type(), observer }
    }

    /// What a run on `data` by stochastic gradients would keep to: blocks, rate, cores, without running.
    ///
    /// # Errors
    /// As [`Trainer::run`], but for what is wrong with a target gap, the algorithm or what is injected.
    pub fn plan(&self, data: &M::Data) -> Result<Plan>
    where
        M: Model<T>,
    {
        self.options.plan(&self.model.bind(data)?, &Topology::detect())
    }

    /// Trains the model on `data`.
    ///
    /// # Errors
    /// [`Error::Usage`](crate::Error::Usage) with a line for each option that is out of range; an input error where
    /// data and model do not fit; [`Error::Thread`](crate::Error::Thread) where the system does not start all threads;
    /// [`Error::Panic`](crate::Error::Panic) where the objective's gradient or descent panicked.
    ///
    /// # Panics
    /// Where anything else of the objective, or the observer, does.
    pub fn run(mut self, data: &M::Data) -> Result<Run<T>>
    where
        M: Model<T>,
    {
        let _over = self.live.until_dropped();
        self.live.interrupt_by(self.interrupt.take());
        self.options.begun = Some(Instant::now());
        let objective = self.model.bind(data)?;
        optimum::run(&self.options, &self.instruments, &objective, &self.live, &mut *self.observer)
    }

    /// Minimises the objective that this trainer was made with.
    ///
    /// # Errors
    /// As [`Trainer::run`].
    pub fn minimize(mut self) -> Result<Run<T>>
    where
        M: Objective<T>,
    {
        let _over = self.live.until_dropped();
        self.live.interrupt_by(self.interrupt.take());
        self.options.begun = Some(Instant::now());
        optimum::run(&self.options, &self.instruments, &self.model, &self.live, &mut *self.observer)
    }
}

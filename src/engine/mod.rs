//! The trainer: pinned threads on shared parameters, in real time.

mod algorithm;
mod average;
mod blocks;
mod course;
mod event;
mod gate;
mod inject;
mod instruments;
mod lost;
mod monitor;
mod optimum;
mod plan;
mod run;
mod worker;

pub use algorithm::Algorithm;
pub use average::Averaging;
pub use event::{Event, Progress};
pub use inject::{Injection, Slow, Stall};
pub use plan::{BlockSize, Plan};
pub use run::{Lost, Point, Run, Stop, WorkerReport};

use crate::delay::{Timeline, Tracer};
use crate::error::{Error, Result};
use crate::hogwild::Hogwild;
use crate::model::{Model, Objective};
use crate::params::{Params, Update};
use crate::real::Real;
use crate::step::{Concurrency, Schedule, StepRule, Weight};
use crate::sync::{Arc, scope};
use crate::topology::{Pin, Topology};
use average::Average;
use course::Course;
use gate::Gate;
use instruments::{Instruments, Readers};
use monitor::Monitor;
use plan::Options;
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
    observer: Box<dyn FnMut(Event<'_>) + 'a>,
    precision: std::marker::PhantomData<T>,
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
            algorithm: Algorithm::Auto,
            algorithm_origin: String::new(),
        };
        Self {
            model,
            options,
            instruments: Instruments::default(),
            interrupt: None,
            observer: Box::new(|_| {}),
            precision: std::marker::PhantomData,
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

    /// Passes over the examples, ≥ 0; a fraction is a part of a pass. Default: 10, or with a target gap as many as
    /// it takes.
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
    /// fast ones for the slow. Default: 1.
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

    /// Stops the run soon after the flag becomes true; what was learnt so far is returned.
    pub fn interrupt(mut self, flag: Arc<AtomicBool>) -> Self {
        self.interrupt = Some(flag);
        self
    }

    /// Calls `observer` on the thread that runs the trainer: at the start, several times a second, and after
    /// each epoch. Workers are not slowed.
    pub fn observe(mut self, observer: impl FnMut(Event<'_>) + 'a) -> Self {
        self.observer = Box::new(observer);
        self
    }

    /// Parameters of type `U`.
    pub fn precision<U: Real>(self) -> Trainer<'a, M, U> {
        let Self { model, options, instruments, interrupt, observer, .. } = self;
        Trainer { model, options, instruments, interrupt, observer, precision: std::marker::PhantomData }
    }

    /// Trains the model on `data`.
    ///
    /// # Errors
    /// [`Error::Usage`] with a line for each option that is out of range; an input error where data and model
    /// do not fit; [`Error::Panic`] where the objective panicked.
    pub fn run(mut self, data: &M::Data) -> Result<Run<T>>
    where
        M: Model<T>,
    {
        let objective = self.model.bind(data)?;
        let interrupt = self.interrupt.as_deref();
        optimum::run(&self.options, &self.instruments, &objective, interrupt, &mut *self.observer)
    }

    /// Minimises the objective that this trainer was made with.
    ///
    /// # Errors
    /// As [`Trainer::run`].
    pub fn minimize(mut self) -> Result<Run<T>>
    where
        M: Objective<T>,
    {
        let interrupt = self.interrupt.as_deref();
        optimum::run(&self.options, &self.instruments, &self.model, interrupt, &mut *self.observer)
    }
}

/// Trains by gradients, and measures what is lost in racy mode if the run is to be profiled.
fn descend<T: Real, O: Objective<T>>(
    options: &Options,
    instruments: &Instruments,
    objective: &O,
    interrupt: Option<&AtomicBool>,
    observer: &mut dyn FnMut(Event<'_>),
) -> Result<Run<T>> {
    let mut run = execute(options, instruments, objective, interrupt, observer)?;
    if instruments.profile && run.plan.update == Update::Racy && run.stop != Stop::Interrupt {
        run.lost = lost::count(options, instruments, &run.plan, objective, interrupt)?;
    }
    Ok(run)
}

/// Plans, starts the workers, watches over them, and gathers what they have done.
fn execute<T: Real, O: Objective<T>>(
    options: &Options,
    instruments: &Instruments,
    objective: &O,
    interrupt: Option<&AtomicBool>,
    observer: &mut dyn FnMut(Event<'_>),
) -> Result<Run<T>> {
    let mut plan = instruments.injection.adapt(options).plan(objective, &Topology::detect())?;
    instruments.injection.check(plan.workers)?;
    instruments.injection.shorten(&mut plan, objective.examples());
    observer(Event::Planned(&plan));
    let curvature = (plan.block > 1).then(|| objective.curvature()).flatten();
    let course = Course::new(objective.examples(), &plan, objective.grid());
    let iterations = objective.examples().div_ceil(if plan.block > 1 { plan.block } else { plan.batch });
    let params = Params::from_slice(&objective.initial(plan.seed));
    let (rule, epoch) = (plan.step.clone(), iterations as f64);
    let hogwild = match plan.workers {
        1 => Hogwild::for_one(params, rule, plan.update, epoch)?,
        workers => Hogwild::with(params, rule, workers, plan.update, epoch)?,
    };
    let average = Average::new(plan.averaging, plan.epochs, objective.parameters(), objective.nonzeros());
    let gate = Gate::new(plan.workers);
    let mut workers: Vec<_> = (0..plan.workers).map(|_| hogwild.worker()).collect();
    let timings = instruments.equip(&mut workers, &plan, gate.halt())?;
    let delays = workers.iter().map(|worker| worker.delays()).collect();
    let timeline = instruments.profile.then(|| Timeline::new(plan.workers));
    let mut monitor = Monitor {
        objective,
        hogwild: &hogwild,
        gate: &gate,
        course: &course,
        plan: &plan,
        average: average.as_ref(),
        interrupt,
        observer,
        readers: Readers { delays, timings, timeline },
        series: Vec::new(),
        seconds: 0.0,
        examples: 0,
        phases: 0,
        told: Instant::now(),
        good: None,
        restarts: 0,
        warnings: Vec::new(),
    };
    let joined = scope(|scope| {
        let handles: Vec<_> = workers
            .iter_mut()
            .zip(&plan.pins)
            .map(|(worker, &pin)| {
                let (gate, course, plan, average) = (&gate, &course, &plan, average.as_ref());
                let bounds = curvature.as_ref().map(|c| &c.coordinates[..]).filter(|g| !g.is_empty());
                scope.spawn(move |_| {
                    let _leave = Leave(gate);
                    let pinned = pin.is_none_or(crate::topology::pin_current);
                    worker::train(worker, objective, bounds, plan, (course, gate), average);
                    pinned
                })
            })
            .collect();
        let stop = monitor.watch();
        let outcomes: Vec<_> = handles.into_iter().map(|handle| handle.join()).collect();
        (stop, outcomes)
    });
    // The scope fails only if a thread panicked without having been joined.
    let (stop, outcomes) = joined.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    let weights = monitor.weights(stop);
    let Monitor { series, phases, mut readers, seconds, warnings, .. } = monitor;
    plan.warnings.extend(warnings);
    readers.cut(Duration::from_secs_f64(seconds), true);
    let mut timings = readers.timings().into_iter();
    let mut reports = Vec::with_capacity(plan.workers);
    for (number, (worker, outcome)) in workers.iter().zip(outcomes).enumerate() {
        let pinned = outcome.map_err(|panic| Error::Panic { worker: number, message: message(&*panic) })?;
        let core = plan.pins[number].filter(|_| pinned);
        if !pinned {
            plan.warnings.push(format!("worker {number} could not be pinned: the system refused"));
        }
        let (delays, failed_attempts) = (worker.delays().snapshot(), worker.failed_attempts());
        reports.push(WorkerReport { delays, failed_attempts, timing: timings.next(), core });
    }
    let mut run = Run {
        weights,
        plan,
        series,
        stop,
        workers: reports,
        phases,
        timeline: readers.timeline,
        lost: None,
        nonzeros_per_epoch: objective.nonzeros(),
    };
    run.plan.warnings.extend(instruments::bias(run.timing(), &run.plan));
    Ok(run)
}

/// Counts a worker out, also when it panics.
struct Leave<'a>(&'a Gate);

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        self.0.leave();
    }
}

fn message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|s| (*s).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}

//! To the optimum: by the algorithm that was asked for, or that suits the data.

use super::Event;
use super::algorithm::Algorithm;
use super::checkpoint::Saved;
use super::execute::{begin, count_lost, descend, execute};
use super::instruments::Instruments;
use super::keeper::Keeper;
use super::live::Live;
use super::plan::Options;
use super::run::{Point, Run, Stop};
use crate::error::{Error, Result};
use crate::model::{Dual, Gap, Linear, LinearVisitor, Loss, Newton, Objective, Scaled, Scheme};
use crate::params::Update;
use crate::real::Real;
use crate::step::{Concurrency, Optimizer, Schedule, Weight};
use std::time::Instant;

/// Epochs of SGD before Newton's method, without a warm start, where its system is solved directly and where it takes
/// conjugate gradients, of which an epoch saves more than it costs: on flights five iterations of fifteen.
const FIRST_EPOCHS: (f64, f64) = (1.0, 2.0);

/// What rounding may hide of the difference of two sums over the rows, as a share of them.
const ROUNDING: f64 = 16.0 * f64::EPSILON;

/// Runs the algorithm of the options, and warns of a target gap that was missed.
pub(super) fn run<T: Real, O: Objective<T>>(
    options: &Options,
    instruments: &Instruments,
    objective: &O,
    live: &Live<T>,
    observer: &mut dyn FnMut(Event<'_>),
) -> Result<Run<T>> {
    let mut run = minimize(options, instruments, objective, live, observer)?;
    if let Some(target) = run.plan.target_gap
        && matches!(run.stop, Stop::Epochs | Stop::TimeLimit | Stop::Stalled)
    {
        let known = run.last().gap.map_or("not known".into(), |gap| format!("at most {gap:.2e}"));
        let hint = if run.stop == Stop::Stalled {
            ": rounding hides the rest, unless features are scaled or numbers are longer"
        } else {
            ""
        };
        run.plan.warnings.push(format!("target gap {target:e} was not reached, the gap is {known}{hint}"));
    }
    Ok(run)
}

fn minimize<T: Real, O: Objective<T>>(
    options: &Options,
    instruments: &Instruments,
    objective: &O,
    live: &Live<T>,
    observer: &mut dyn FnMut(Event<'_>),
) -> Result<Run<T>> {
    let mut wrong = Vec::new();
    if let Some(gap) = options.target_gap.filter(|gap| !(*gap > 0.0 && gap.is_finite())) {
        wrong.push(format!("target gap: found {gap}, expected a number above 0"));
    }
    if options.target_gap.is_some() && objective.visit_linear(Certifiable) == Some(false) {
        wrong.push(
            "target gap: no bound is proven without a penalty, with an intercept, or with hinge loss and an L1 penalty"
                .into(),
        );
    }
    let sgd = match options.algorithm {
        Algorithm::Auto => options.target_gap.is_none() || objective.visit_linear(Certifiable).is_none(),
        other => other == Algorithm::Sgd,
    };
    if !sgd && objective.visit_linear(Certifiable).is_none() {
        wrong.push(format!("algorithm {}: expected a linear model", options.algorithm));
    }
    if !sgd && options.optimizer != Optimizer::Sgd {
        let (optimizer, algorithm) = (options.optimizer, options.algorithm);
        wrong.push(format!("optimizer {optimizer}: expected sgd with algorithm {algorithm}"));
    }
    if !wrong.is_empty() {
        return Err(options.refuse(wrong, objective));
    }
    if sgd {
        let options = Options { algorithm: Algorithm::Sgd, ..options.clone() };
        return descend(&options, instruments, objective, live, observer);
    }
    let solve = Solve { options, instruments, live, observer };
    let none = || Error::usage(format!("algorithm {}: expected a linear model", options.algorithm));
    objective.visit_linear(solve).ok_or_else(none)?
}

/// Whether a gap can be certified.
struct Certifiable;

impl LinearVisitor for Certifiable {
    type Output = bool;

    fn visit<L: Loss>(self, linear: &Linear<'_, L>) -> bool {
        linear.certifiable()
    }
}

/// Minimises a linear model.
struct Solve<'a, T: Real> {
    options: &'a Options,
    instruments: &'a Instruments,
    live: &'a Live<T>,
    observer: &'a mut dyn FnMut(Event<'_>),
}

impl<T: Real> LinearVisitor for Solve<'_, T> {
    type Output = Result<Run<T>>;

    fn visit<L: Loss>(self, linear: &Linear<'_, L>) -> Result<Run<T>> {
        let (algorithm, algorithm_origin) = match self.options.algorithm {
            Algorithm::Auto => Algorithm::choose(linear),
            given => (given, String::new()),
        };
        let options = Options { algorithm, algorithm_origin, ..self.options.clone() };
        match algorithm {
            Algorithm::AdaGrad => self.scaled(options, linear, Scheme::AdaGrad),
            Algorithm::Svrg => self.scaled(options, linear, Scheme::Svrg),
            Algorithm::Saga => self.scaled(options, linear, Scheme::Saga),
            Algorithm::Sdca => self.ascend(options, linear),
            _ => self.newton(options, linear),
        }
    }
}

impl<T: Real> Solve<'_, T> {
    fn ascend<L: Loss>(self, options: Options, linear: &Linear<'_, L>) -> Result<Run<T>> {
        let mut wrong = Vec::new();
        let mut require = |holds: bool, line: String| {
            if !holds {
                wrong.push(format!("algorithm sdca: {line}"));
            }
        };
        let rate = options.rate.or(options.step.as_ref().map(|rule| rule.rate));
        if let Some(rate) = rate {
            require(rate == 1.0, format!("found a rate of {rate}, expected 1 or none"));
        }
        let constant = |schedule: &Schedule| *schedule == Schedule::Constant;
        require(options.schedule.as_ref().is_none_or(constant), "found a schedule, expected constant".into());
        let rule = options.step.as_ref().map(|rule| (rule.weight, rule.concurrency));
        let rule = options.weight.or(rule).map(|(weight, of)| options.algorithm.check_rule(weight, of));
        let update = options.update;
        // Of the others each loses updates whose dual values have changed.
        let whole = matches!(update, Update::Cas | Update::Locked);
        require(whole, format!("update: found {update}, expected cas or locked"));
        let mut dual = Dual::<L, T>::new(linear);
        // What cannot be is left for the plan to refuse.
        let features = linear.rows().features();
        let sound = |start: &Vec<f64>| start.len() == features && start.iter().all(|w| w.is_finite());
        let refused = options.start.clone().filter(|start| !sound(start));
        if let (Some(dual), Some(start), None) = (&mut dual, &options.start, &refused) {
            dual.starting_from(start);
        }
        require(dual.is_some(), "expected an L2 penalty, no L1 penalty and no intercept".into());
        if let Some(Err(Error::Usage(lines))) = rule {
            wrong.extend(lines);
        }
        let (Some(dual), true) = (dual, wrong.is_empty()) else {
            return Err(options.refuse::<T, _>(wrong, linear));
        };
        let options = Options {
            rate: Some(1.0),
            schedule: Some(Schedule::Constant),
            // Weights would separate the parameters from their dual values.
            weight: Some((Weight::Constant, Concurrency::Workers)),
            // The dual values and the parameters that belong to them are the objective's.
            start: refused,
            ..options
        };
        // Nothing is lost without racy mode, so nothing is counted.
        execute(&options, self.instruments, &dual, self.live, self.observer)
    }

    /// By stochastic gradients with a step length for each coordinate.
    fn scaled<L: Loss>(self, options: Options, linear: &Linear<'_, L>, scheme: Scheme) -> Result<Run<T>> {
        let scaled = Scaled::<L, T>::new(linear, scheme);
        let free = options.schedule.is_none() && options.step.is_none();
        // Noise that vanishes of itself needs no falling rate.
        let constant = Some(Schedule::Constant).filter(|_| free && scheme != Scheme::AdaGrad);
        let schedule = options.schedule.clone().or(constant);
        let options = Options { schedule, ..options };
        let mut run = execute(&options, self.instruments, &scaled, self.live, self.observer)?;
        // The same additions to the same parameters, whatever their size.
        count_lost(&mut run, &options, self.instruments, linear, self.live)?;
        Ok(run)
    }

    fn newton<L: Loss>(self, options: Options, linear: &Linear<'_, L>) -> Result<Run<T>> {
        let (most, gap) = (options.epochs(), options.target_gap);
        let mut wrong = Vec::new();
        if !(linear.is_ridge() && linear.loss().is_curved()) {
            wrong.push(
                "algorithm newton: expected a loss with a second derivative, an L2 penalty, no L1 penalty and no \
                 intercept"
                    .into(),
            );
        }
        if !wrong.is_empty() {
            return Err(options.refuse::<T, _>(wrong, linear));
        }
        // Where training starts from parameters that are better than none, a first epoch would lead away from them.
        let first = match options.start {
            Some(_) => 0.0,
            None if Newton::is_dense(linear) => FIRST_EPOCHS.0,
            None => FIRST_EPOCHS.1,
        };
        let first = Options { epochs: Some(most.min(first)), target_gap: None, ..options };
        // A run that was saved in a later step begins, and has ended, with the end of its first epochs.
        let (mut run, mut keeper) = begin(&first, self.instruments, linear, self.live, self.observer)?;
        count_lost(&mut run, &first, self.instruments, linear, self.live)?;
        (run.plan.epochs, run.plan.target_gap) = (most, gap);
        if run.stop == Stop::Epochs {
            let threads = run.plan.workers.min(run.plan.cores);
            // Pinned as the workers were: where other programs run, two threads of a pool may share a core for a while.
            let pins = run.plan.pins.clone();
            let pin = move |thread: usize| {
                if let Some(core) = pins[thread] {
                    crate::topology::pin_current(core);
                }
            };
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).start_handler(pin).build();
            let pool = pool.map_err(|e| Error::pool(threads, e))?;
            self.refine(&mut run, linear, &pool, &mut keeper)?;
        }
        run.plan.warnings.extend(keeper.and_then(Keeper::finish));
        Ok(run)
    }

    /// Newton's method from where a run ended, until there is a reason to stop.
    fn refine<L: Loss>(
        self,
        run: &mut Run<T>,
        linear: &Linear<'_, L>,
        pool: &rayon::ThreadPool,
        keeper: &mut Option<Keeper<T>>,
    ) -> Result<()> {
        let (mut start, mut seconds) = (Instant::now(), run.last().train_seconds);
        let (saved, known) = self
            .options
            .resume
            .as_ref()
            .map(|checkpoint| checkpoint.newton(run.series.len()))
            .unwrap_or_default();
        let newton = pool.install(|| match &saved[..] {
            [] => Newton::new(linear, &run.weights),
            numbers => Newton::resume(linear, numbers),
        });
        let unfit = || Error::usage("resume: the checkpoint's steps do not fit the objective");
        let mut newton = newton.ok_or_else(unfit)?;
        let (mut minimum, mut better) = (known.unwrap_or(f64::NEG_INFINITY), true);
        run.stop = loop {
            let last = run.last();
            if !last.objective.is_finite() {
                break Stop::Diverged;
            }
            if last.gap.is_some_and(|gap| run.plan.target_gap.is_some_and(|target| gap <= target)) {
                break Stop::Gap;
            }
            if run.plan.target.is_some_and(|target| last.objective <= target) {
                break Stop::Target;
            }
            if !better {
                break Stop::Stalled;
            }
            if self.live.interrupted() {
                break Stop::Interrupt;
            }
            if run.plan.time_limit.is_some_and(|limit| last.train_seconds >= limit.as_secs_f64()) {
                break Stop::TimeLimit;
            }
            if last.epoch >= run.plan.epochs {
                break Stop::Epochs;
            }
            if let Some(keeper) = keeper {
                if let Some(news) = keeper.news() {
                    (self.observer)(Event::Warning(&news));
                }
                keep(keeper.due(Some(last.epoch as u64)), keeper, run, &newton, minimum);
            }
            let target = run.plan.target_gap.unwrap_or(0.0);
            let step = pool.install(|| newton.step(target));
            // Where rounding hides whether it fell, more may still be proven.
            better = step.fell || step.minimum > minimum;
            minimum = minimum.max(step.minimum);
            seconds += start.elapsed().as_secs_f64();
            // What follows is evaluation.
            run.weights = newton.weights().into_iter().map(T::from_f64).collect();
            self.live.show(&run.weights, last.epoch + f64::from(step.passes));
            let objective = linear.value(&run.weights);
            let bound = (objective - minimum).max(ROUNDING * objective.abs());
            let gap = Gap { objective, bound }.relative();
            let point = Point {
                epoch: last.epoch + f64::from(step.passes),
                train_seconds: seconds,
                examples: last.examples + u64::from(step.passes) * linear.rows().len() as u64,
                objective,
                gap: Some(gap).filter(|gap| gap.is_finite()),
            };
            run.series.push(point);
            (self.observer)(Event::Epoch(point));
            start = Instant::now();
        };
        if let Some(keeper) = keeper.as_mut().filter(|_| run.stop != Stop::Diverged) {
            keep(keeper.last(), keeper, run, &newton, minimum);
        }
        Ok(())
    }
}

/// Has a run saved in the `buffers`, if there are any, as it is between two steps.
fn keep<T: Real, L: Loss>(
    buffers: Option<Saved<T>>,
    keeper: &mut Keeper<T>,
    run: &Run<T>,
    newton: &Newton<'_, '_, L>,
    minimum: f64,
) {
    let Some(mut saved) = buffers else { return };
    saved.params.clone_from(&run.weights);
    newton.save(&mut saved.newton);
    let header = &mut saved.header;
    header.minimum = Some(minimum).filter(|minimum| minimum.is_finite());
    header.delays = run.workers.iter().map(|worker| worker.delays.clone()).collect();
    header.series.clone_from(&run.series);
    if run.stop == Stop::Stalled {
        // A step that did not descend left everything where it was: whoever resumes the run finds that out anew.
        header.series.pop();
    }
    header.position.seconds = header.series.last().map_or(0.0, |last| last.train_seconds);
    keeper.write(saved);
}

//! One run from its plan to its outcome: starts the workers, watches over them, and gathers what they have done.

use super::algorithm::Algorithm;
use super::average::{Average, Averaging};
use super::beside::Beside;
use super::checkpoint::{Identity, Reach, Saved};
use super::course::Course;
use super::event::Event;
use super::gate::Gate;
use super::instruments::{self, Instruments, Readers};
use super::keeper::Keeper;
use super::live::Live;
use super::monitor::Monitor;
use super::plan::{MOST_WORKERS, Options, Plan};
use super::run::{Run, Stop, WorkerReport};
use super::{lost, worker};
use crate::clock::mean_delay;
use crate::delay::{Profile, Timeline};
use crate::error::{Error, Result};
use crate::hogwild::{Hogwild, Leash};
use crate::model::Objective;
use crate::params::{Params, Update};
use crate::real::Real;
use crate::step::Optimizer;
use crate::sync::{Arc, scope};
use crate::topology::Topology;
use std::time::{Duration, Instant};

/// Trains by gradients, and measures what is lost in racy mode if the run is to be profiled.
pub(super) fn descend<T: Real, O: Objective<T>>(
    options: &Options,
    instruments: &Instruments,
    objective: &O,
    live: &Live<T>,
    observer: &mut dyn FnMut(Event<'_>),
) -> Result<Run<T>> {
    let mut run = execute(options, instruments, objective, live, observer)?;
    count_lost(&mut run, options, instruments, objective, live)?;
    Ok(run)
}

/// Measures what is lost in racy mode if the run was profiled.
pub(super) fn count_lost<T: Real, O: Objective<T>>(
    run: &mut Run<T>,
    options: &Options,
    instruments: &Instruments,
    objective: &O,
    live: &Live<T>,
) -> Result<()> {
    let counts = instruments.profile && run.plan.update == Update::Racy && run.stop != Stop::Interrupt;
    if counts && options.optimizer != Optimizer::Sgd {
        let why = "what a worker makes of its gradients is no sum of ones";
        run.plan.warnings.push(format!("lost additions are not counted with {}: {why}", options.optimizer));
    } else if counts {
        run.lost = lost::count(options, instruments, &run.plan, objective, &live.aside())?;
    }
    Ok(())
}

/// Plans, starts the workers, watches over them, and gathers what they have done.
pub(super) fn execute<T: Real, O: Objective<T>>(
    options: &Options,
    instruments: &Instruments,
    objective: &O,
    live: &Live<T>,
    observer: &mut dyn FnMut(Event<'_>),
) -> Result<Run<T>> {
    let (mut run, keeper) = begin(options, instruments, objective, live, observer)?;
    run.plan.warnings.extend(keeper.and_then(Keeper::finish));
    Ok(run)
}

/// As [`execute`], for a run that goes on in another way: with what saves it, if anything does.
pub(super) fn begin<T: Real, O: Objective<T>>(
    options: &Options,
    instruments: &Instruments,
    objective: &O,
    live: &Live<T>,
    observer: &mut dyn FnMut(Event<'_>),
) -> Result<(Run<T>, Option<Keeper<T>>)> {
    let (adapted, topology) = (instruments.injection.adapt(options), Topology::detect());
    let workers = options.workers.unwrap_or(topology.cores()).clamp(1, MOST_WORKERS);
    if let Err(Error::Usage(lines)) = instruments.injection.check(workers) {
        return Err(adapted.refuse(lines, objective));
    }
    let mut plan = adapted.plan(objective, &topology)?;
    instruments.injection.shorten(&mut plan, objective.examples());
    let bounds = if plan.block > 1 { objective.bounds() } else { Vec::new() };
    // A rate would separate the parameters from their dual values.
    let rate = if plan.algorithm == Algorithm::Sdca {
        Live::<T>::new().rate().clone()
    } else {
        Arc::clone(live.rate())
    };
    let course = Course::new(objective.examples(), &plan, objective.grid(), rate);
    let iterations = objective.examples().div_ceil(if plan.block > 1 { plan.block } else { plan.batch });
    let params = Params::from_slice(&options.initial(objective));
    let (rule, epoch) = (plan.step.clone(), iterations as f64);
    // Leashed workers write no shared floats.
    let update = if let Update::Leashed { .. } = plan.update { Update::Cas } else { plan.update };
    let hogwild = match plan.workers {
        1 => Hogwild::for_one(params, rule, update, epoch)?,
        workers => Hogwild::with(params, rule, workers, update, epoch)?,
    };
    let average = Average::new(plan.averaging, plan.epochs, objective.parameters(), objective.nonzeros());
    let beside = Beside::new(average, plan.optimizer, plan.workers, objective.parameters());
    let gate = Arc::new(Gate::new(plan.workers));
    let mut workers: Vec<_> = (0..plan.workers).map(|_| hogwild.worker()).collect();
    let timings = instruments.equip(&mut workers, &plan, objective.examples(), gate.halt())?;
    let delays: Vec<_> = workers.iter().map(|worker| worker.delays()).collect();
    let timeline = instruments.profile.then(|| Timeline::new(plan.workers));
    let (keeper, resumed) = saved(options, &plan, objective)?;
    let before = resumed.as_ref().map_or(0, |saved| saved.header.delays.iter().map(Profile::sum).sum());
    if let Some(saved) = &resumed {
        hogwild.resume(&saved.params, saved.header.position.iterations, saved.header.position.steps);
        if !beside.restore(&saved.header.kept, &saved.beside) {
            return Err(Error::usage("resume: the checkpoint's averages and means do not fit the run"));
        }
        for (worker, delays) in workers.iter_mut().zip(&saved.header.delays) {
            worker.resume(delays);
        }
    }
    let first = hogwild.iterations();
    let leash = Leash::new(plan.update, || hogwild.params().snapshot(), first).map(Arc::new);
    let prepare_seconds = options.begun.map_or(0.0, |begun| begun.elapsed().as_secs_f64());
    // Before the handle shows the run: a snapshot that the observer asks for would wait for workers that start below.
    observer(Event::Planned(&plan));
    live.begin(&hogwild, leash.as_ref(), &gate, course.mark(), &delays);
    let mut monitor = Monitor {
        objective,
        hogwild: &hogwild,
        gate: &gate,
        course: &course,
        plan: &plan,
        beside: &beside,
        leash: leash.as_deref(),
        live,
        observer,
        readers: Readers { delays, timings, timeline },
        series: Vec::new(),
        seconds: 0.0,
        examples: 0,
        before: 0,
        phases: 0,
        told: Instant::now(),
        good: None,
        restarts: 0,
        looked: 0,
        warnings: Vec::new(),
        taken: 0,
        keeper,
    };
    if let Some(saved) = resumed {
        monitor.resume(saved);
    }
    let joined = scope(|scope| {
        // Those that the system does not start leave, too: who holds the workers, and those that run, would await them.
        let leaving: Vec<_> = (0..plan.workers).map(|_| Leave(&gate)).collect();
        let mut refused = None;
        let handles: Vec<_> = workers
            .iter_mut()
            .zip(&plan.pins)
            .zip(leaving)
            .enumerate()
            .map(|(number, ((worker, &pin), leave))| {
                let (gate, course, plan) = (&*gate, &course, &plan);
                let beside = (number, &beside, leash.as_deref());
                let bounds = Some(&bounds[..]).filter(|bounds| !bounds.is_empty());
                let work = move |_: &_| {
                    let _leave = leave;
                    let pinned = pin.is_none_or(crate::topology::pin_current);
                    (pinned, worker::train(worker, objective, bounds, plan, (course, gate), beside))
                };
                scope.builder().spawn(work).map_err(|e| Error::worker(number, plan.workers, e))
            })
            .map_while(|handle| handle.map_err(|e| refused = Some(e)).ok())
            .collect();
        if let Some(refused) = refused {
            // That one could not start is told, and not what became of the others.
            handles.into_iter().for_each(|handle| _ = handle.join());
            return Err(refused);
        }
        let stop = monitor.watch();
        let outcomes: Vec<_> = handles.into_iter().map(|handle| handle.join()).collect();
        Ok::<_, Error>((stop, outcomes))
    });
    // The scope fails only if a thread panicked without having been joined.
    let (stop, outcomes) = joined.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
    let weights = monitor.weights(stop);
    let Monitor { series, phases, mut readers, seconds, warnings, keeper, .. } = monitor;
    plan.warnings.extend(warnings.into_iter().chain(live.warning()));
    readers.cut(Duration::from_secs_f64(seconds), true);
    let mut timings = readers.timings().into_iter();
    let mut reports = Vec::with_capacity(plan.workers);
    let mut busy = 0;
    for (number, (worker, outcome)) in workers.iter().zip(outcomes).enumerate() {
        let (pinned, own) =
            outcome.map_err(|panic| Error::Panic { worker: number, message: message(&*panic) })?;
        busy += own;
        let core = plan.pins[number].filter(|_| pinned);
        if !pinned {
            plan.warnings.push(format!("worker {number} could not be pinned: the system refused"));
        }
        let (delays, failed_attempts) = (worker.delays().snapshot(), worker.failed_attempts());
        reports.push(WorkerReport { delays, failed_attempts, timing: timings.next(), core });
    }
    // An update of iteration k read s completed ones, and k and s run through the same numbers but for those s that the
    // workers' last updates before a wait, or the end, have left: the sum of k − s is the sum over workers of what was
    // completed while they were busy, less one an update. Leashed workers read no clock.
    let expected_delays = match leash {
        None => before + busy - (hogwild.iterations() - first),
        Some(_) => {
            let updates = reports.iter().map(|report: &WorkerReport| report.delays.count()).sum();
            (mean_delay(plan.workers, updates, phases) * updates as f64).round() as u64
        }
    };
    let mut run = Run {
        weights,
        plan,
        series,
        prepare_seconds,
        stop,
        workers: reports,
        expected_delays,
        timeline: readers.timeline,
        lost: None,
        nonzeros_per_epoch: objective.nonzeros(),
    };
    run.plan.warnings.extend(instruments::bias(run.timing(), &run.plan));
    Ok((run, keeper))
}

type Kept<T> = (Option<Keeper<T>>, Option<Saved<T>>);

/// What saves the run, and the run that it continues, where the options say so.
fn saved<T: Real, O: Objective<T>>(options: &Options, plan: &Plan, objective: &O) -> Result<Kept<T>> {
    if options.keeping.is_none() && options.resume.is_none() {
        return Ok((None, None));
    }
    let identity = identity(options, plan, objective);
    let reach = Reach {
        parameters: objective.parameters(),
        workers: plan.workers,
        phase: (objective.examples() as u64).saturating_mul(plan.evaluate_every as u64),
    };
    let resumed = options.resume.as_ref().map(|file| file.restore(&identity, &reach)).transpose()?;
    if let Some(saved) = &resumed
        && !objective.restore_state(&saved.state)
    {
        return Err(Error::usage("resume: the checkpoint's state does not fit the objective"));
    }
    if let Some(keeping) = &options.keeping {
        crate::output::check_file(&keeping.path)?;
        crate::output::clean(&keeping.path)?;
    }
    let keeper = options.keeping.as_ref().map(|keeping| {
        let mut saved = resumed.clone().unwrap_or_else(|| Saved::new(identity));
        saved.header.note.clone_from(&keeping.note);
        Keeper::new(keeping, saved)
    });
    Ok((keeper.transpose()?, resumed))
}

/// What decides, besides the data's order, every number of a run; not when it ends.
fn identity<T: Real, O: Objective<T>>(options: &Options, plan: &Plan, objective: &O) -> Identity {
    let endian = if cfg!(target_endian = "little") { "little" } else { "big" };
    let own: Vec<_> =
        objective.identity().into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    // At the start itself many objectives have the same value on all data.
    let beside_start = |(i, w): (usize, T)| T::from_f64(w.to_f64() + 0.01 * (1.0 + i as f64).sin());
    let value = own.is_empty().then(|| {
        let start = options.initial(objective).into_iter().enumerate();
        objective.value(&start.map(beside_start).collect::<Vec<_>>())
    });
    let value = value.filter(|value| value.is_finite());
    let average = match plan.averaging {
        Averaging::None | Averaging::Polyak => plan.averaging.to_string(),
        of_the_end => format!("{of_the_end} of {} epochs", plan.epochs),
    };
    let plan = [
        ("examples", objective.examples().to_string()),
        ("algorithm", plan.algorithm.to_string()),
        ("workers", plan.workers.to_string()),
        ("update", plan.update.to_string()),
        ("block", plan.block.to_string()),
        ("copied parameters", plan.hot.to_string()),
        ("batch", plan.batch.to_string()),
        ("chunk", plan.chunk.to_string()),
        ("grid", plan.grid.unwrap_or(0).to_string()),
        ("step", plan.step.to_string()),
        ("optimizer", plan.optimizer.to_string()),
        ("average", average),
        ("epochs from one evaluation to the next", plan.evaluate_every.to_string()),
        ("seed", plan.seed.to_string()),
        ("precision", format!("{}, {endian}-endian", plan.precision)),
    ];
    let plan = plan.map(|(name, value)| (name.to_owned(), value));
    Identity { named: own.into_iter().chain(plan).collect(), value }
}

/// Counts a worker out, also when it panics.
struct Leave<'a>(&'a Gate);

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        self.0.leave();
    }
}

pub(super) fn message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|s| (*s).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}

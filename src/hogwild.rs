//! The core loop as a library: shared parameters, the clock and a step rule, for whoever brings threads.
//!
//! The engine is built on this; so is an application that has threads of its own.

mod alone;
mod block;
mod direction;
mod in_flight;
mod inertia;
mod iterate;
mod leash;
mod patch;

pub(crate) use block::batches;
pub use direction::{Direction, Gradient};
pub(crate) use inertia::Inertia;
pub use iterate::{Applied, Ticket};
pub(crate) use leash::Leash;

use crate::clock::Clock;
use crate::delay::{Probe, Profile, Reader, Recorder};
use crate::error::{Error, Result};
use crate::params::{Cas, Mode, Params, Racy, Update, Writer};
use crate::real::Real;
use crate::step::{StepRule, Stepper};
use crate::sync::{Arc, AtomicF64, AtomicUsize, CachePadded, Ordering};
use crate::weights::Weights;

/// Shared parameters with their clock and step rule. Cloning gives another handle to the same.
///
/// Each thread takes a [`Worker`]; reading needs none: [`Hogwild::params`] can be read at any time.
///
/// ```
/// use asyncsgd::{Hogwild, Weights, step};
///
/// let threads = 2;
/// let shared = Hogwild::<f32>::new(3, step::delay_adaptive(0.1).concurrency(threads))?;
/// std::thread::scope(|scope| {
///     for _ in 0..threads {
///         scope.spawn(|| {
///             let mut worker = shared.worker();
///             for _ in 0..1000 {
///                 let ticket = worker.begin(); // reads the iteration counter
///                 let w = worker.params();
///                 let gradient = [w.get(0) - 1.0, w.get(1) - 2.0, w.get(2) - 3.0]; // others keep writing
///                 let applied = worker.apply(ticket, &gradient[..]); // CAS, scaled by the delay
///                 assert!(applied.step <= 0.1);
///             }
///         });
///     }
/// });
/// assert_eq!(shared.iterations(), 2000);
/// assert!((shared.params().get(2) - 3.0).abs() < 1e-3);
/// # Ok::<(), asyncsgd::Error>(())
/// ```
pub struct Hogwild<T: Real = f32> {
    core: Arc<Core<T>>,
}

struct Core<T: Real> {
    params: Params<T>,
    clock: Clock,
    /// What workers clone: the rule, resolved.
    stepper: Stepper,
    update: Update,
    /// Iterations that make one epoch, the unit of time of the rule's schedule.
    epoch: f64,
    /// Workers alive: the concurrency that rules see.
    workers: AtomicUsize,
    /// The sum of all steps taken, for the rules with a staleness budget; others never touch it.
    steps: CachePadded<AtomicF64>,
}

impl<T: Real> Clone for Hogwild<T> {
    fn clone(&self) -> Self {
        Self { core: Arc::clone(&self.core) }
    }
}

impl<T: Real> Hogwild<T> {
    /// `dimension` parameters at zero, updated by compare-exchange, with steps by `rule`.
    ///
    /// # Errors
    /// Where the rule is out of range (a negative rate, a drop threshold below twice the concurrency, …).
    pub fn new(dimension: usize, rule: StepRule) -> Result<Self> {
        Self::with(Params::zeros(dimension), rule, 1, Update::Cas, 1.0)
    }

    /// The given parameters and update mode, for a number of workers that are expected. The rule's schedule
    /// runs in epochs of `epoch` iterations.
    ///
    /// # Errors
    /// As [`Hogwild::new`], where `epoch` is not a finite number above 0, and for [`Update::Leashed`].
    pub fn with(
        params: Params<T>,
        rule: StepRule,
        workers: usize,
        update: Update,
        epoch: f64,
    ) -> Result<Self> {
        if let Update::Leashed { .. } = update {
            let expected = "expected cas, racy or locked (leashed updates are the trainer's)";
            return Err(Error::usage(format!("update: found {update}, {expected}")));
        }
        Self::with_clock(params, rule, workers, update, epoch, Clock::new())
    }

    /// As [`Hogwild::with`], for one worker alone: it loses nothing by a load and a store, as nobody writes between
    /// them, and text of 80 nonzeros a row takes it half the time of compare-exchanges.
    pub(crate) fn for_one(params: Params<T>, rule: StepRule, update: Update, epoch: f64) -> Result<Self> {
        let update = if update == Update::Cas { Update::Racy } else { update };
        Self::with_clock(params, rule, 1, update, epoch, Clock::for_one())
    }

    fn with_clock(
        params: Params<T>,
        rule: StepRule,
        workers: usize,
        update: Update,
        epoch: f64,
        clock: Clock,
    ) -> Result<Self> {
        let core = Core {
            params: if workers > 1 { params.claiming() } else { params },
            clock,
            stepper: rule.stepper(workers)?,
            update,
            epoch: StepRule::epoch(epoch)?,
            workers: AtomicUsize::new(0),
            steps: CachePadded::new(AtomicF64::new(0.0)),
        };
        Ok(Self { core: Arc::new(core) })
    }

    /// The shared parameters, to read while workers write.
    pub fn params(&self) -> &Params<T> {
        &self.core.params
    }

    /// Completed updates.
    pub fn iterations(&self) -> u64 {
        self.core.clock.iterations()
    }

    /// Copies all parameters into `out`, which is best used again, as they are after a number of whole updates, which is
    /// returned: no update is there in part.
    ///
    /// Updates that come to write meanwhile wait, and those that write are awaited: for the time of the longest write and
    /// some 0.4 ns a parameter; gradients are computed on. Not to be called while one writes oneself, by a [`Direction`].
    pub fn snapshot(&self, out: &mut Vec<T>) -> u64 {
        // Pages that were never touched would take longer than the copy, while updates wait.
        out.resize(self.params().len(), T::ZERO);
        let hold = self.core.clock.hold();
        self.params().copy_into(out);
        hold.iterations
    }

    /// The sum of all steps taken, where the rule has a budget.
    pub(crate) fn steps(&self) -> f64 {
        // Relaxed: read while no update is under way.
        self.core.steps.load(Ordering::Relaxed)
    }

    /// Goes on from an earlier run. Only while no update is under way.
    pub(crate) fn resume(&self, params: &[T], iterations: u64, steps: f64) {
        self.core.params.store(params);
        self.core.clock.set(iterations);
        // Relaxed: as for the clock.
        self.core.steps.store(steps, Ordering::Relaxed);
    }

    /// Workers alive.
    pub fn workers(&self) -> usize {
        // Relaxed: a count.
        self.core.workers.load(Ordering::Relaxed)
    }

    /// A worker, for one thread. Workers may come and go while others run; the concurrency that step rules
    /// see follows, from each worker's next update on. Allocates 70 kB for its delays: one for a thread or a task of
    /// many updates, not one an update.
    pub fn worker(&self) -> Worker<T> {
        // Relaxed: a count that steers step sizes, nothing is published through it.
        let workers = self.core.workers.fetch_add(1, Ordering::Relaxed) + 1;
        let mut stepper = self.core.stepper.clone();
        stepper.set_concurrency(workers);
        let (recorder, late, brake) = (Recorder::new(), (workers - 1) as f64, 1.0);
        let local = Local { stepper, workers, recorder, failed: 0, late, brake, time: None, probe: None };
        Worker { core: Arc::clone(&self.core), local }
    }
}

/// One thread's access: takes tickets, applies gradients, records delays. It can be sent to another thread; when it
/// is dropped, also by a panic, the others see one worker less.
///
/// A ticket is applied once, and one thread at a time uses a worker:
/// ```
/// # let mut worker = asyncsgd::Hogwild::<f32>::new(1, asyncsgd::step::constant(0.1)).unwrap().worker();
/// let ticket = worker.begin();
/// worker.apply(ticket, &[1.0][..]);
/// std::thread::scope(|scope| {
///     scope.spawn(|| worker.apply(worker.begin(), &[1.0][..]));
/// });
/// ```
/// Neither a ticket twice nor a worker in two threads compiles:
/// ```compile_fail,E0382
/// # let mut worker = asyncsgd::Hogwild::<f32>::new(1, asyncsgd::step::constant(0.1)).unwrap().worker();
/// let ticket = worker.begin();
/// worker.apply(ticket, &[1.0][..]);
/// worker.apply(ticket, &[1.0][..]); // a second update would have a delay that is not its own
/// ```
/// ```compile_fail,E0499
/// # let mut worker = asyncsgd::Hogwild::<f32>::new(1, asyncsgd::step::constant(0.1)).unwrap().worker();
/// std::thread::scope(|scope| {
///     scope.spawn(|| worker.apply(worker.begin(), &[1.0][..]));
///     scope.spawn(|| worker.apply(worker.begin(), &[1.0][..]));
/// });
/// ```
pub struct Worker<T: Real = f32> {
    core: Arc<Core<T>>,
    local: Local,
}

/// What belongs to one worker alone.
struct Local {
    stepper: Stepper,
    workers: usize,
    recorder: Recorder,
    failed: u64,
    /// The usual delay of its blocks, each counting for concurrency − 1 at most.
    late: f64,
    /// What the rule's rate is multiplied with.
    brake: f64,
    /// The schedule's time in epochs, and the rate then, where time is given from outside.
    time: Option<(f64, f64)>,
    /// What watches the worker more closely than the recorder, if anything does.
    probe: Option<Box<Probe>>,
}

impl<T: Real> Worker<T> {
    /// Puts instruments on the worker.
    pub(crate) fn set_probe(&mut self, probe: Probe) {
        self.local.probe = Some(Box::new(probe)).filter(|probe| !probe.is_idle());
    }

    /// Measures the iteration whose ticket was taken last from now on: what was before was a wait.
    pub(crate) fn measure_from_now(&self) {
        if let Some(probe) = &self.local.probe {
            probe.begin_again();
        }
    }

    /// The shared parameters.
    #[inline]
    pub fn params(&self) -> &Params<T> {
        &self.core.params
    }

    /// Reads the iteration counter. To be called before the parameters are read.
    #[inline]
    pub fn begin(&self) -> Ticket {
        self.core.begin(&self.local)
    }

    /// Applies a gradient computed from parameters that were read after `ticket` was taken: decides the step
    /// from the delay, writes, and records the delay.
    ///
    /// # Panics
    /// If the ticket was taken from a worker of another [`Hogwild`] that still lives: its iterations say nothing here.
    #[inline]
    pub fn apply<D: Direction<T> + ?Sized>(&mut self, ticket: Ticket, direction: &D) -> Applied {
        let core = &*self.core;
        assert!(ticket.core == core.address(), "a ticket of another Hogwild");
        core.iterate(&mut self.local, ticket, |local, _, step| {
            let size = T::from_f64(step.rate * step.weight);
            if size != T::ZERO {
                local.failed += match core.update {
                    Update::Cas | Update::Leashed { .. } => {
                        write(core.params.writer::<Cas>(), direction, size)
                    }
                    Update::Racy => write(core.params.writer::<Racy>(), direction, size),
                    Update::Locked => write(core.params.locked(), direction, size),
                };
            }
            step.weight
        })
    }

    /// Goes on from what a worker of an earlier run has recorded.
    pub(crate) fn resume(&mut self, delays: &Profile) {
        self.local.recorder.resume(delays);
    }

    /// Sets the schedule's time, in epochs, instead of counting iterations.
    ///
    /// # Panics
    /// If `epoch` is not a finite number ≥ 0.
    pub fn set_time(&mut self, epoch: f64) {
        assert!(epoch >= 0.0 && epoch.is_finite(), "a time is a number of epochs ≥ 0, found {epoch}");
        self.local.time = Some((epoch, self.local.brake * self.local.stepper.rate(epoch)));
    }

    /// Multiplies this worker's rate with `factor`, of the rule's and not of what it was multiplied with before: from its
    /// next update on, or where [`set_time`](Self::set_time) is used from the next call of that. 1 goes back to the rule.
    ///
    /// # Panics
    /// If `factor` is not a finite number ≥ 0.
    pub fn scale_rate(&mut self, factor: f64) {
        assert!(factor >= 0.0 && factor.is_finite(), "a factor of the rate is a number ≥ 0, found {factor}");
        self.local.brake = factor;
    }

    /// The live view of this worker's delays, for another thread.
    pub fn delays(&self) -> Reader {
        self.local.recorder.reader()
    }

    /// Compare-exchange attempts that failed so far, because another worker was faster.
    pub fn failed_attempts(&self) -> u64 {
        self.local.failed
    }
}

#[inline(always)]
fn write<T: Real, M: Mode>(mut to: Writer<'_, T, M>, along: &(impl Direction<T> + ?Sized), step: T) -> u64 {
    along.descend(step, &mut to);
    to.failed_attempts()
}

impl<T: Real> Drop for Worker<T> {
    fn drop(&mut self) {
        // Relaxed: counts only.
        self.core.workers.fetch_sub(1, Ordering::Relaxed);
    }
}

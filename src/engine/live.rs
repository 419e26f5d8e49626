//! A run as other threads see it and steer it.

use super::course::Mark;
use super::gate::Gate;
use crate::delay::{Profile, Reader};
use crate::hogwild::{Hogwild, Leash};
use crate::params::Params;
use crate::real::Real;
use crate::sync::{Arc, AtomicU64, OnceLock};
use crate::weights::Weights;
use std::sync::atomic::{AtomicBool, Ordering};

/// A handle to a run, for any thread: reads parameters and progress while workers train, stops the run, changes its
/// rate. Clones are handles to the same run; [`Trainer::live`](super::Trainer::live) gives the first.
///
/// Nothing here slows the workers but [`Live::snapshot`], which holds them for as long as it copies.
///
/// ```
/// use asyncsgd::{Dataset, Logistic, Trainer, Weights};
///
/// let (data, _) = Dataset::flights(0)?;
/// let trainer = Trainer::new(Logistic::default()).workers(2).epochs(1000);
/// let live = trainer.live();
/// let run = std::thread::scope(|scope| {
///     let training = scope.spawn(|| trainer.run(&data));
///     let mut copy = Vec::new();
///     while !live.is_over() {
///         let Some(params) = live.params() else { continue }; // not yet begun
///         let score: f32 = params.dot(data.row(0)); // plain reads: others keep writing
///         if let Some(updates) = live.snapshot(&mut copy) {
///             assert!(updates <= live.iterations()); // all parameters after exactly so many updates
///         }
///         if live.epoch() >= 2.0 && score != 0.0 {
///             live.stop();
///         }
///     }
///     training.join().unwrap()
/// })?;
/// assert!(run.last().epoch < 1000.0);
/// # Ok::<(), asyncsgd::Error>(())
/// ```
pub struct Live<T: Real = f32> {
    control: Arc<Control>,
    running: Arc<OnceLock<Running<T>>>,
}

/// What other threads ask of a run, or of training on a stream.
pub(super) struct Control {
    stop: AtomicBool,
    /// A flag of the user's that stops the run too.
    interrupt: OnceLock<Arc<AtomicBool>>,
    over: AtomicBool,
    /// What the step rule's rate is multiplied with, as the bits of a float.
    rate: Arc<AtomicU64>,
    /// Whether it ever was multiplied.
    scaled: AtomicBool,
}

/// The parts of a run that has begun.
struct Running<T: Real> {
    hogwild: Hogwild<T>,
    leash: Option<Arc<Leash<T>>>,
    gate: Arc<Gate>,
    mark: Arc<Mark>,
    delays: Vec<Reader>,
}

impl<T: Real> Clone for Live<T> {
    fn clone(&self) -> Self {
        Self { control: Arc::clone(&self.control), running: Arc::clone(&self.running) }
    }
}

impl<T: Real> Live<T> {
    pub(super) fn new() -> Self {
        Self { control: Arc::new(Control::new()), running: Arc::default() }
    }

    /// The shared parameters, from the run's start on and also after its end; `None` before. A read is a relaxed
    /// load, some nanoseconds: each value is one that the parameter had, but several may be of different instants.
    /// `dot` takes the cache lines as a worker's does, for writing where there are several workers; `get` only reads.
    ///
    /// Parameters of a linear model are ordered by the frequency of their features: rows of
    /// [`Loader::like`](crate::Loader::like) fit, and [`Dataset::feature_order`](crate::Dataset::feature_order) tells
    /// the original ids. With leashed updates, which have no shared floats, they are those of the last evaluation.
    #[inline]
    pub fn params(&self) -> Option<&Params<T>> {
        self.running.get().map(|running| running.hogwild.params())
    }

    /// Copies all parameters into `out` as they are after a number of whole updates, which is returned: no update is
    /// there in part. `None` before the run's start.
    ///
    /// Workers are held at their next chunk (some hundred examples, or a block) until all have come to it and the last has
    /// copied the parameters: the time of the slowest worker's chunk and some 0.4 ns a parameter. `out` is best used
    /// again from call to call. Several threads take turns. Not to be called by an objective: it would wait for itself.
    pub fn snapshot(&self, out: &mut Vec<T>) -> Option<u64> {
        let running = self.running.get()?;
        if let Some(leash) = running.leash.as_ref().filter(|_| !self.is_over()) {
            return Some(leash.copy_into(out));
        }
        // Pages that were never touched would take longer than the copy, while workers wait.
        out.resize(running.hogwild.params().len(), T::ZERO);
        let (hogwild, leash) = (running.hogwild.clone(), running.leash.clone());
        let mut copy = std::mem::take(out);
        let updates;
        (*out, updates) = running.gate.quietly(move || {
            hogwild.params().copy_into(&mut copy);
            (copy, leash.map_or_else(|| hogwild.iterations(), |leash| leash.iterations()))
        });
        Some(updates)
    }

    /// Completed updates; those of one direct worker alone are counted by the chunk, at most 256 examples or a
    /// mini-batch.
    pub fn iterations(&self) -> u64 {
        let of = |running: &Running<T>| match &running.leash {
            Some(leash) => leash.iterations(),
            None => running.hogwild.iterations(),
        };
        self.running.get().map_or(0, of)
    }

    /// Passes over the examples so far, those included that workers are at. It never falls.
    pub fn epoch(&self) -> f64 {
        let now = |running: &Running<T>| running.mark.now(|| running.gate.taken());
        self.running.get().map_or(0.0, now)
    }

    /// Each worker's delays so far, counted as [`Live::iterations`]; none before the run's start. Up to 8,448 loads a worker.
    pub fn delays(&self) -> Vec<Profile> {
        self.running.get().map_or_else(Vec::new, |r| r.delays.iter().map(Reader::snapshot).collect())
    }

    /// Stops the run within a tenth of a second, or at the end of what a worker is at where that takes longer: a chunk of
    /// examples (at most 256 gradients or a block), a step of Newton's method. What was learnt is returned by
    /// [`Trainer::run`](super::Trainer::run).
    pub fn stop(&self) {
        self.control.stop();
    }

    /// Multiplies the rate with `factor`, of the schedule's and not of what it was multiplied with before: from each
    /// worker's next chunk on. 1 goes back to the schedule, and so does a run that is resumed. The run's warnings tell of
    /// it, since its command does not repeat it. Without effect where there is no such rate: on
    /// [`Algorithm::Sdca`](super::Algorithm::Sdca), Newton's steps, and rules that set each step themselves (`budget1`,
    /// `budget2`, `adadelay`).
    ///
    /// # Panics
    /// If `factor` is not a finite number ≥ 0.
    pub fn scale_rate(&self, factor: f64) {
        self.control.scale_rate(factor);
    }

    /// Whether the run has ended, be it by an error.
    pub fn is_over(&self) -> bool {
        self.control.is_over()
    }

    /// A handle of the same control to another run, which others do not see.
    pub(super) fn aside(&self) -> Self {
        self.of_type()
    }

    /// … and of parameters of type `U`.
    pub(super) fn of_type<U: Real>(&self) -> Live<U> {
        Live { control: Arc::clone(&self.control), running: Arc::default() }
    }

    pub(super) fn interrupt_by(&self, flag: Option<Arc<AtomicBool>>) {
        if let Some(flag) = flag {
            self.control.interrupt.get_or_init(|| flag);
        }
    }

    /// Whether somebody wants the run to stop.
    pub(super) fn interrupted(&self) -> bool {
        // Relaxed: a flag that is looked at again soon.
        let flag = self.control.interrupt.get();
        self.control.stopped() || flag.is_some_and(|flag| flag.load(Ordering::Relaxed))
    }

    /// What [`Live::scale_rate`] sets.
    pub(super) fn rate(&self) -> &Arc<AtomicU64> {
        &self.control.rate
    }

    /// What the user should know of the rate.
    pub(super) fn warning(&self) -> Option<String> {
        // Relaxed: for the report.
        let scaled = self.control.scaled.load(Ordering::Relaxed);
        let factor = self.control.factor();
        scaled.then(|| {
            format!("the rate was changed while the run went on (last × {factor}): no command repeats it")
        })
    }

    /// From now on the handle shows this run.
    pub(super) fn begin(
        &self,
        hogwild: &Hogwild<T>,
        leash: Option<&Arc<Leash<T>>>,
        gate: &Arc<Gate>,
        mark: &Arc<Mark>,
        delays: &[Reader],
    ) {
        let (leash, gate, mark) = (leash.cloned(), Arc::clone(gate), Arc::clone(mark));
        self.running.get_or_init(|| Running {
            hogwild: hogwild.clone(),
            leash,
            gate,
            mark,
            delays: delays.to_vec(),
        });
    }

    /// Shows parameters that came to be outside the workers' loop, after so many epochs.
    pub(super) fn show(&self, weights: &[T], epoch: f64) {
        if let Some(running) = self.running.get() {
            let _hold = running.gate.hold();
            running.hogwild.params().store(weights);
            running.mark.reach(epoch);
        }
    }

    /// The end of the run, when what is returned is dropped.
    pub(super) fn until_dropped(&self) -> impl Drop + use<T> {
        Control::until_dropped(&self.control)
    }
}

impl Control {
    pub(super) fn new() -> Self {
        let rate = Arc::new(AtomicU64::new(1f64.to_bits()));
        let [stop, over, scaled] = [false; 3].map(AtomicBool::new);
        Self { stop, interrupt: OnceLock::new(), over, rate, scaled }
    }

    pub(super) fn stop(&self) {
        // Relaxed: nothing else is published through it.
        self.stop.store(true, Ordering::Relaxed);
    }

    pub(super) fn stopped(&self) -> bool {
        // Relaxed: looked at again soon.
        self.stop.load(Ordering::Relaxed)
    }

    pub(super) fn scale_rate(&self, factor: f64) {
        assert!(factor >= 0.0 && factor.is_finite(), "a factor of the rate is a number ≥ 0, found {factor}");
        // Relaxed: the number alone is shared.
        self.scaled.store(true, Ordering::Relaxed);
        self.rate.store(factor.to_bits(), Ordering::Relaxed);
    }

    /// What the rate is multiplied with.
    pub(super) fn factor(&self) -> f64 {
        f64::from_bits(self.rate.load(Ordering::Relaxed))
    }

    pub(super) fn is_over(&self) -> bool {
        // Acquire: whoever sees the end sees the last parameters.
        self.over.load(Ordering::Acquire)
    }

    /// The end, when what is returned is dropped.
    pub(super) fn until_dropped(control: &Arc<Self>) -> impl Drop + use<> {
        Ending(Arc::clone(control))
    }
}

struct Ending(Arc<Control>);

impl Drop for Ending {
    fn drop(&mut self) {
        // Release: pairs with `is_over`.
        self.0.over.store(true, Ordering::Release);
    }
}

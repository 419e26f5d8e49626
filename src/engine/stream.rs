//! Training on examples as they arrive: from any number of producers through a bounded channel, each example once.

use super::execute::message;
use super::live::Control;
use super::plan::MOST_WORKERS;
use super::run::WorkerReport;
use crate::delay::{Profile, Reader};
use crate::error::{Error, Result};
use crate::hogwild::{Direction, Hogwild, Worker};
use crate::kernel::{Row, Rows};
use crate::model::Loss;
use crate::real::Real;
use crate::sync::{Arc, AtomicF64, AtomicU64, OnceLock, Ordering, Receiver, Sender, bounded, scope};
use crate::topology::{Pin, Topology};
use crate::weights::{Sink, Weights};
use std::time::{Duration, Instant};

/// How often progress is told, and how long a worker waits for examples before it looks whether it is to stop.
const TICK: Duration = Duration::from_millis(100);

/// Rows with one label each.
struct Batch {
    rows: Rows,
    labels: Vec<f32>,
}

/// Where producers put examples; a clone for each.
#[derive(Clone)]
pub struct Feed {
    to: Sender<Batch>,
    features: usize,
}

/// Where [`Online`] takes them. It ends when the last [`Feed`] is dropped.
pub struct Stream {
    from: Receiver<Batch>,
    features: usize,
}

/// A stream of rows of `features` features (a feature's id may be a hash), in which at most `batches` wait.
pub fn stream(features: usize, batches: usize) -> (Feed, Stream) {
    let (to, from) = bounded(batches);
    (Feed { to, features }, Stream { from, features })
}

impl Feed {
    /// Sends rows with one label each; some hundred at a time, for what a batch costs is a handover between threads.
    /// Waits while the stream is full. O(nonzeros), a look at the values.
    ///
    /// # Errors
    /// [`Error::Usage`] where there are not as many labels as rows, the rows have another number of features, a value is
    /// not finite, or nobody trains any more.
    pub fn send(&self, rows: Rows, labels: Vec<f32>) -> Result<()> {
        if rows.len() != labels.len() || rows.features() != self.features {
            return Err(Error::usage(format!(
                "stream: found {} rows of {} features with {} labels, expected {} features and a label a row",
                rows.len(),
                rows.features(),
                labels.len(),
                self.features
            )));
        }
        // One would make NaN of all that it touches.
        if let Some(value) = rows.arrays().2.iter().find(|value| !value.is_finite()) {
            return Err(Error::usage(format!("stream: found value {value}, expected a finite number")));
        }
        self.to.send(Batch { rows, labels }).map_err(|_| Error::usage("stream: its training has ended"))
    }
}

/// Trains a linear model without a penalty on a [`Stream`], each example once, each before it is known: its loss
/// counts before its update.
///
/// The parameters are a [`Hogwild`] that the caller keeps: to read and predict meanwhile, to choose rule, mode and the
/// unit of the schedule's time, to train on after the stream's end.
///
/// ```
/// use asyncsgd::{Hogwild, Online, Rows, model::LogisticLoss, step, stream};
///
/// let shared = Hogwild::<f32>::new(4, step::delay_adaptive(0.5))?;
/// let (feed, examples) = stream(4, 8);
/// let told = std::thread::scope(|scope| {
///     for _ in 0..2 {
///         let feed = feed.clone();
///         scope.spawn(move || {
///             for _ in 0..100 {
///                 // Two rows: features 0 and 2, label 1; feature 3, label −1.
///                 let rows = Rows::new(vec![0, 2, 3], vec![0, 2, 3], vec![1.0, 0.5, 1.0], 4).unwrap();
///                 feed.send(rows, vec![1.0, -1.0]).unwrap();
///             }
///         });
///     }
///     drop(feed); // the stream ends with the last one
///     Online::new(LogisticLoss).workers(2).run(&shared, examples)
/// })?;
/// assert_eq!((told.examples, shared.iterations()), (400, 400));
/// assert!(told.loss < 0.3); // ln 2 at the first example
/// # Ok::<(), asyncsgd::Error>(())
/// ```
#[must_use = "it does nothing until it is run"]
pub struct Online<'a, L> {
    loss: L,
    workers: Option<usize>,
    pin: Pin,
    live: LiveStream,
    observer: Box<dyn FnMut(Streamed) + Send + 'a>,
}

/// A handle to training on a stream, for any thread: what was learnt so far, the delays, to stop it, to change its rate.
/// Clones are handles to the same. The parameters are read from the [`Hogwild`].
#[derive(Clone)]
pub struct LiveStream {
    control: Arc<Control>,
    tally: Arc<Tally>,
}

/// What was learnt from so far.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Streamed {
    /// Examples.
    pub examples: u64,
    /// The mean of their losses, each before the example's own update (progressive validation); 0 without any.
    pub loss: f64,
    /// Seconds since the start.
    pub seconds: f64,
}

/// The outcome of training on a stream; [`Hogwild::params`] holds the parameters.
#[derive(Debug, Clone)]
pub struct StreamRun {
    /// As [`Streamed::examples`].
    pub examples: u64,
    /// As [`Streamed::loss`].
    pub loss: f64,
    /// Seconds from the start to the end.
    pub seconds: f64,
    /// Whether [`LiveStream::stop`] came before the stream's end.
    pub stopped: bool,
    /// One report a worker.
    pub workers: Vec<WorkerReport>,
}

/// What the workers tell.
struct Tally {
    examples: AtomicU64,
    loss: AtomicF64,
    begun: OnceLock<(Instant, Vec<Reader>)>,
}

impl LiveStream {
    fn new() -> Self {
        let (examples, loss) = (AtomicU64::new(0), AtomicF64::new(0.0));
        let tally = Tally { examples, loss, begun: OnceLock::new() };
        Self { control: Arc::new(Control::new()), tally: Arc::new(tally) }
    }

    /// What was learnt from so far, but for the batches that workers are at.
    pub fn progress(&self) -> Streamed {
        // Relaxed: for progress; exact when the workers have been joined.
        let examples = self.tally.examples.load(Ordering::Relaxed);
        let sum = self.tally.loss.load(Ordering::Relaxed);
        let loss = if examples == 0 { 0.0 } else { sum / examples as f64 };
        let seconds = self.tally.begun.get().map_or(0.0, |(start, _)| start.elapsed().as_secs_f64());
        Streamed { examples, loss, seconds }
    }

    /// Each worker's delays so far; none before the start. Up to 8,448 loads a worker.
    pub fn delays(&self) -> Vec<Profile> {
        let begun = self.tally.begun.get();
        begun.map_or_else(Vec::new, |(_, delays)| delays.iter().map(Reader::snapshot).collect())
    }

    /// Ends training when the batches that workers are at are learnt, and within a tenth of a second where they wait for
    /// one; batches that wait are not learnt. Producers find the stream closed.
    pub fn stop(&self) {
        self.control.stop();
    }

    /// Multiplies the rate with `factor`, of the rule's and not of what it was multiplied with before: from each worker's
    /// next batch on. 1 goes back to the rule.
    ///
    /// # Panics
    /// If `factor` is not a finite number ≥ 0.
    pub fn scale_rate(&self, factor: f64) {
        self.control.scale_rate(factor);
    }

    /// Whether training has ended, be it by an error.
    pub fn is_over(&self) -> bool {
        self.control.is_over()
    }
}

/// A gradient a·x.
struct Along<'r, T>(Row<'r>, T);

impl<T: Real> Direction<T> for Along<'_, T> {
    #[inline]
    fn descend<S: Sink<T> + ?Sized>(&self, step: T, weights: &mut S) {
        weights.axpy(self.0, -step * self.1);
    }
}

impl<'a, L: Loss> Online<'a, L> {
    /// Training by a loss.
    pub fn new(loss: L) -> Self {
        Self { loss, workers: None, pin: Pin::Auto, live: LiveStream::new(), observer: Box::new(|_| ()) }
    }

    /// The number of worker threads, 1 to 4096. Default: the cores that we may use.
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = Some(workers);
        self
    }

    /// Which cores workers run on. Default: [`Pin::Auto`].
    pub fn pin(mut self, pin: Pin) -> Self {
        self.pin = pin;
        self
    }

    /// Calls `observer` several times a second, on the thread that runs this.
    pub fn observe(mut self, observer: impl FnMut(Streamed) + Send + 'a) -> Self {
        self.observer = Box::new(observer);
        self
    }

    /// A handle for other threads, from before the start until after the end.
    pub fn live(&self) -> LiveStream {
        self.live.clone()
    }

    /// Trains until the stream ends or is stopped.
    ///
    /// # Errors
    /// [`Error::Usage`] where options are out of range, where `shared` has not as many parameters as the stream has
    /// features, or a label is neither −1 nor 1 and the loss needs those; [`Error::Thread`] where the system
    /// does not start all threads; [`Error::Panic`] where the loss panicked. Producers find the stream closed then.
    pub fn run<T: Real>(mut self, shared: &Hogwild<T>, stream: Stream) -> Result<StreamRun> {
        let _over = Control::until_dropped(&self.live.control);
        let topology = Topology::detect();
        let workers = self.workers.unwrap_or(topology.cores());
        let mut wrong = Vec::new();
        if !(1..=MOST_WORKERS).contains(&workers) {
            wrong.push(format!("workers: found {workers}, expected 1 to {MOST_WORKERS}"));
        }
        if shared.params().len() != stream.features {
            let found = shared.params().len();
            wrong.push(format!(
                "stream: found {found} parameters, expected {}, one a feature",
                stream.features
            ));
        }
        let pins = match topology.plan(&self.pin, workers.min(MOST_WORKERS)) {
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
        let (loss, live) = (self.loss, &self.live);
        let mut crew: Vec<_> = pins.iter().map(|_| shared.worker()).collect();
        let delays = crew.iter().map(Worker::delays).collect();
        live.tally.begun.get_or_init(|| (Instant::now(), delays));
        // Closed when the last worker leaves, by whom the monitor learns of it.
        let (alive, ended) = bounded::<()>(0);
        let outcomes = scope(|scope| {
            let mut refused = None;
            let handles: Vec<_> = pins
                .iter()
                .zip(crew.drain(..))
                .enumerate()
                .map(|(number, (&pin, mut worker))| {
                    let (from, alive) = (stream.from.clone(), alive.clone());
                    let work = move |_: &_| {
                        let _alive = alive;
                        let stop = StopOthers(&live.control);
                        let pinned = pin.is_none_or(crate::topology::pin_current);
                        let learnt = learn(&mut worker, loss, &from, live);
                        if learnt.is_ok() {
                            // The stream has ended; others may still have a batch of it.
                            std::mem::forget(stop);
                        }
                        let (delays, failed_attempts) =
                            (worker.delays().snapshot(), worker.failed_attempts());
                        let core = pin.filter(|_| pinned);
                        let report = WorkerReport { delays, failed_attempts, timing: None, core };
                        learnt.map(|ended| (ended, report))
                    };
                    scope.builder().spawn(work).map_err(|e| Error::worker(number, workers, e))
                })
                .map_while(|handle| handle.map_err(|e| refused = Some(e)).ok())
                .collect();
            drop((alive, stream));
            // Also if not all have started, or the observer panics: they would wait for the stream's end.
            let stop = StopOthers(&live.control);
            if let Some(refused) = refused {
                drop(stop);
                // That one could not start is told, and not what became of the others.
                handles.into_iter().for_each(|handle| _ = handle.join());
                return Err(refused);
            }
            while ended.recv_timeout(TICK).is_err_and(|e| e.is_timeout()) {
                (self.observer)(live.progress());
            }
            Ok::<_, Error>(handles.into_iter().map(|handle| handle.join()).collect::<Vec<_>>())
        });
        // The scope fails only if a thread panicked without having been joined.
        let outcomes = outcomes.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        let (mut reports, mut stopped) = (Vec::with_capacity(workers), false);
        for (number, outcome) in outcomes.into_iter().enumerate() {
            let outcome =
                outcome.map_err(|panic| Error::Panic { worker: number, message: message(&*panic) })?;
            let (ended, report) = outcome?;
            stopped |= !ended;
            reports.push(report);
        }
        let Streamed { examples, loss, seconds } = live.progress();
        Ok(StreamRun { examples, loss, seconds, stopped, workers: reports })
    }
}

/// Ends the others when a worker panics or meets a label that it cannot learn, and the workers when nobody awaits them.
struct StopOthers<'a>(&'a Control);

impl Drop for StopOthers<'_> {
    fn drop(&mut self) {
        self.0.stop();
    }
}

/// One worker's share of the stream. Tells whether the stream has ended.
fn learn<T: Real, L: Loss>(
    worker: &mut Worker<T>,
    loss: L,
    from: &Receiver<Batch>,
    LiveStream { control, tally }: &LiveStream,
) -> Result<bool> {
    let two = loss.kind().is_classification();
    while !control.stopped() {
        let Batch { rows, labels } = match from.recv_timeout(TICK) {
            Ok(batch) => batch,
            Err(e) if e.is_timeout() => continue,
            Err(_) => return Ok(true),
        };
        worker.scale_rate(control.factor());
        if let Some(label) = labels.iter().find(|&&y| !(if two { y.abs() == 1.0 } else { y.is_finite() })) {
            let expected = if two { "-1 or 1" } else { "a finite number" };
            return Err(Error::usage(format!("stream: found label {label}, expected {expected}")));
        }
        let (mut sum, mut ticket) = (0.0, worker.begin());
        for (row, &label) in rows.iter().zip(&labels) {
            let y = f64::from(label);
            let z = worker.params().dot(row).to_f64();
            sum += loss.loss(z, y);
            ticket = worker.apply(ticket, &Along(row, T::from_f64(loss.derivative(z, y)))).next;
        }
        // Relaxed: sums, read as a whole when the workers have ended.
        tally.loss.fetch_add(sum, Ordering::Relaxed);
        tally.examples.fetch_add(labels.len() as u64, Ordering::Relaxed);
    }
    Ok(false)
}

//! What a worker does beside its work when it is watched closely.

use std::cell::Cell;
use std::time::{Duration, Instant};

use super::timing::{Sampler, Start};
use super::trace::Tracing;

/// Holds a worker back, given the time since it read: a slower processor, a stall.
pub(crate) type Hold = Box<dyn FnMut(Duration) + Send>;

/// The instruments of one worker; a worker without has none of their cost.
pub(crate) struct Probe {
    sampler: Option<Sampler>,
    tracing: Option<Tracing>,
    hold: Option<Hold>,
    /// When the iteration under way began, where it is measured or held back. Here and not in the ticket, which every
    /// update moves a few times.
    start: Cell<Option<Start>>,
    /// When the gradient of a sampled iteration was done.
    computed: Option<Instant>,
}

impl Probe {
    /// The instruments that are given.
    pub(crate) fn new(sampler: Option<Sampler>, tracing: Option<Tracing>, hold: Option<Hold>) -> Self {
        Probe { sampler, tracing, hold, start: Cell::new(None), computed: None }
    }

    /// Whether there is any instrument.
    pub(crate) fn is_idle(&self) -> bool {
        self.sampler.is_none() && self.tracing.is_none() && self.hold.is_none()
    }

    /// After the counter was read for the worker's iteration `count`; `begun` reads the other counter.
    #[inline]
    pub(crate) fn begin(&self, count: u64, begun: impl FnOnce() -> u64) {
        let sampled = self.sampler.as_ref().is_some_and(|sampler| sampler.wants(count));
        let start = || Start { at: Instant::now(), begun: begun(), sampled };
        self.start.set((sampled || self.hold.is_some()).then(start));
    }

    /// Measures the iteration under way from now on: what was before was a wait, and no computing.
    pub(crate) fn begin_again(&self) {
        self.start.set(self.start.get().map(|start| Start { at: Instant::now(), ..start }));
    }

    /// Before the iteration number is taken.
    #[inline]
    pub(crate) fn compute_done(&mut self) {
        let Some(start) = self.start.get() else { return };
        if let Some(hold) = &mut self.hold {
            hold(start.at.elapsed());
        }
        self.computed = start.sampled.then(Instant::now);
    }

    /// After the last store.
    #[inline]
    pub(crate) fn written(&mut self, count: u64, iteration: u64, delay: u64, weight: f64) {
        let times = self.start.get().zip(self.computed.take());
        if let (Some(sampler), Some((start, computed))) = (&mut self.sampler, times) {
            let weight = self.hold.is_none().then_some(weight);
            sampler.record(count, start, computed, iteration, delay, weight);
        }
        self.trace(iteration, delay, weight);
    }

    /// Writes the record of an update, or of a gradient that was ignored, to the trace.
    #[inline]
    pub(crate) fn trace(&mut self, iteration: u64, delay: u64, weight: f64) {
        if let Some(tracing) = &mut self.tracing {
            tracing.push(iteration, delay, weight);
        }
    }
}

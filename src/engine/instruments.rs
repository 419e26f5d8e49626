//! What is put on the workers to watch them or to trouble them.

use super::inject::Injection;
use super::plan::Plan;
use crate::delay::{Line, Probe, Profile, Reader, Sampler, Timeline, Timing, TimingReader, sample_cost};
use crate::error::Result;
use crate::hogwild::Worker;
use crate::real::Real;
use crate::sync::{Arc, AtomicBool, AtomicU64};
use std::time::Duration;

/// The options of a run that change nothing of what is trained.
#[derive(Clone, Default)]
pub(super) struct Instruments {
    pub profile: bool,
    pub trace: Option<Line>,
    pub injection: Injection,
}

impl Instruments {
    /// Equips the workers; `halt` is set when the run is to end. Returns the readers of what is sampled, one a
    /// worker or none.
    ///
    /// # Errors
    /// As [`Injection::check`].
    pub(super) fn equip<T: Real>(
        &self,
        workers: &mut [Worker<T>],
        plan: &Plan,
        halt: &Arc<AtomicBool>,
    ) -> Result<Vec<TimingReader>> {
        let every = Arc::new(AtomicU64::new(0));
        let cost = if self.profile { sample_cost() } else { 0.0 };
        let mut readers = Vec::new();
        for (number, worker) in workers.iter_mut().enumerate() {
            let sampler = self.profile.then(|| Sampler::new(number, Arc::clone(&every), cost));
            readers.extend(sampler.as_ref().map(Sampler::reader));
            let tracing = self.trace.as_ref().map(|line| line.worker(number));
            let hold = self.injection.hold(number, plan, Arc::clone(halt))?;
            worker.set_probe(Probe::new(sampler, tracing, hold));
        }
        Ok(readers)
    }
}

/// The recorders of all workers, as the monitor reads them.
pub(super) struct Readers {
    pub delays: Vec<Reader>,
    /// Empty where nothing is sampled.
    pub timings: Vec<TimingReader>,
    pub timeline: Option<Timeline>,
}

impl Readers {
    pub(super) fn delays(&self) -> Vec<Profile> {
        self.delays.iter().map(Reader::snapshot).collect()
    }

    pub(super) fn timings(&self) -> Vec<Timing> {
        self.timings.iter().map(TimingReader::snapshot).collect()
    }

    /// Ends an interval of the timeline at training time `now`, if it is long enough or the last.
    pub(super) fn cut(&mut self, now: Duration, last: bool) {
        let (delays, timings) = (&self.delays, &self.timings);
        if let Some(timeline) = &mut self.timeline
            && (last || timeline.is_due(now))
        {
            let delays = delays.iter().map(Reader::snapshot).collect();
            timeline.cut(now, delays, timings.iter().map(TimingReader::staleness).collect());
        }
    }
}

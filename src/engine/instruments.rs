//! What is put on the workers to watch them or to trouble them.

use super::inject::Injection;
use super::plan::Plan;
use crate::delay::{
    Line, Probe, Profile, Reader, Sampler, Timeline, Timing, TimingReader, TracedRun, sample_cost,
};
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
        examples: usize,
        halt: &Arc<AtomicBool>,
    ) -> Result<Vec<TimingReader>> {
        let every = Arc::new(AtomicU64::new(0));
        let cost = if self.profile { sample_cost() } else { 0.0 };
        if let Some(line) = &self.trace {
            let [examples, block, batch] = [examples, plan.block, plan.batch].map(|n| n as u64);
            line.begin(TracedRun { examples, block, batch });
        }
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

/// By how much slow updates may weigh less than all, on average, before the user is told.
const BIAS: f64 = 0.05;

/// That the step rule weighs updates by the time that they take, if it does (theory of delay-adaptive steps where
/// compute time depends on the example: they converge elsewhere).
pub(super) fn bias(timing: Option<Timing>, plan: &Plan) -> Option<String> {
    // Blocks of many examples all take their time.
    let bias = timing.filter(|_| plan.block == 1)?.cost_bias().filter(|bias| bias.abs() > BIAS)?;
    Some(format!(
        "updates that are slow to compute weigh {:.0} % {} than all do: if it is their examples that make them \
         slow, what is learnt is biased; --step constant is not, nor are equal batches",
        100.0 * bias.abs(),
        if bias < 0.0 { "less" } else { "more" }
    ))
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

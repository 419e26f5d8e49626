//! What a run watches its measure for: the target, divergence, the series.

use super::core::Share;
use super::recorders::Recorders;
use super::run::{Ended, Mark, Outcome, Simulation};

/// A measure this many times the first one is divergence.
const DIVERGED: f64 = 1e9;

/// Watches the measure.
pub(super) struct Watch {
    target: Option<f64>,
    /// Whether to go on after the target.
    settles: bool,
    first: f64,
    first_hit: Option<Mark>,
    settled: Option<Mark>,
    stop: Option<Ended>,
    keeps: bool,
    series: Vec<Mark>,
    /// The iteration of the next point of the series.
    next: u64,
}

impl Watch {
    pub(super) fn new(simulation: &Simulation, first: f64) -> Self {
        let mut watch = Watch {
            target: simulation.target,
            settles: simulation.settles,
            first,
            first_hit: None,
            settled: None,
            stop: None,
            keeps: simulation.series,
            series: Vec::new(),
            next: 0,
        };
        watch.look(Mark { measure: first, ..Mark::default() });
        watch
    }

    /// Why the run should end, if it should.
    pub(super) fn stop(&self) -> Option<Ended> {
        self.stop
    }

    /// What the run tells when it ends here.
    pub(super) fn outcome(
        mut self,
        end: Mark,
        delays: &Recorders,
        workers: Vec<Share>,
        x: Vec<f64>,
    ) -> Outcome {
        if self.stop.is_none() {
            self.look(end);
        }
        Outcome {
            first_hit: self.first_hit,
            settled: self.settled,
            end,
            series: self.series,
            stop: self.stop.unwrap_or(Ended::Limit),
            delays: delays.all(),
            worker_delays: delays.each(),
            in_flight_delays: 0,
            average: None,
            workers,
            x,
        }
    }

    #[inline]
    pub(super) fn look(&mut self, mark: Mark) {
        let most = DIVERGED * self.first.abs().max(f64::MIN_POSITIVE);
        if mark.measure.is_nan() || mark.measure.abs() > most {
            self.stop = Some(Ended::Diverged);
            self.settled = None;
        } else if let Some(target) = self.target {
            if mark.measure <= target {
                self.first_hit.get_or_insert(mark);
                self.settled.get_or_insert(mark);
                if !self.settles {
                    self.stop = Some(Ended::Target);
                }
            } else {
                self.settled = None;
            }
        }
        if self.keeps && mark.iteration >= self.next {
            self.series.push(mark);
            self.next = mark.iteration + mark.iteration / 8 + 1;
        }
    }
}

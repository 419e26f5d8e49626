//! What the monitor does about a run that diverges.

use super::algorithm::Algorithm;
use super::monitor::Monitor;
use super::run::Point;
use crate::model::Objective;
use crate::real::{Cell, Real};
use crate::sync::Arc;
use std::ops::Range;
use std::time::Instant;

/// A run that has diverged this often with half the rate each time will not converge.
const RESTARTS: u32 = 40;

/// How far above its start the objective of a run is that diverges, as a multiple of its size there, or of what it has
/// fallen by if that is more: so neither its unit nor its sign matters. Noise alone stays below.
const DIVERGED: f64 = 3.0;

/// How far above its best an objective is that swings, as a share of it, and of the target gap if there is one; and for
/// how many evaluations without a better one.
const SWING: (f64, f64) = (1e-6, 0.1);
const STUCK: usize = 8;

/// Parameters that are looked at in one go.
const LOOK: usize = 1 << 16;

impl<T: Real, O: Objective<T>> Monitor<'_, T, O> {
    /// Ends the epoch where a parameter is infinite or NaN: all that came after would be lost. Looks at some parameters
    /// each time, while workers write them. Tells whether it did that.
    pub(super) fn curtailed(&mut self) -> bool {
        let all = self.hogwild.params().cells().len();
        let from = if self.looked < all { self.looked } else { 0 };
        let range = from..(from + LOOK).min(all);
        self.looked = range.end;
        let finite = self.is_finite(range);
        if !finite {
            let _hold = self.gate.hold();
            self.gate.curtail();
        }
        !finite
    }

    /// Whether these parameters are finite.
    pub(super) fn is_finite(&self, range: Range<usize>) -> bool {
        match self.leash {
            Some(leash) => leash.is_finite(range),
            None => self.hogwild.params().cells()[range].iter().all(|cell| cell.get().is_finite()),
        }
    }

    /// Whether the last evaluations, since a restart if there was one, found nothing better than what had been.
    fn is_stuck(&self) -> bool {
        let (before, recent) = self.series.split_at(self.series.len().saturating_sub(STUCK));
        let least =
            |points: &[Point]| points.iter().map(|point| point.objective).fold(f64::INFINITY, f64::min);
        // A restart has two evaluations of one epoch.
        let twice = |pair: &[Point]| pair[0].examples == pair[1].examples;
        let restarted = before.last().zip(recent.first()).is_some_and(|(a, b)| twice(&[*a, *b]));
        let restarted = restarted || recent.windows(2).any(twice);
        !before.is_empty() && !restarted && least(recent) >= least(before)
    }

    /// With a rate that is not the user's: keeps parameters that are better than all before; where the run diverges, goes
    /// back to those and halves the rate. Tells whether it did that.
    pub(super) fn restarted(&mut self, weights: &[T], objective: f64, finite: bool) -> bool {
        let ascends = self.plan.algorithm == Algorithm::Sdca;
        if self.plan.rate_origin.is_empty() && !ascends {
            return false;
        }
        let start = self.series[0].objective;
        let size = self.good.as_ref().map_or(0.0, |(_, best)| start - best).max(start.abs());
        // One worker's dual steps never lower the dual, whatever the objective does meanwhile.
        let may = !(ascends && self.plan.workers == 1);
        // Nothing is known of the size of an objective that is 0 and has not fallen.
        let diverges = !finite || may && size > 0.0 && objective - start > DIVERGED * size;
        // The steps of these lose their noise, and with it what keeps an objective above its best.
        let exact = matches!(self.plan.algorithm, Algorithm::Svrg | Algorithm::Saga);
        let best = self.good.as_ref().map_or(f64::INFINITY, |(_, best)| *best);
        let swing = self.plan.target_gap.map_or(SWING.0, |target| SWING.1 * target);
        let swings = exact && finite && objective > best + swing * best.abs() && self.is_stuck();
        let diverges = diverges || swings;
        match &self.good {
            Some((good, _)) if diverges && self.restarts < RESTARTS => {
                let mut back = good.to_vec();
                self.beside.clear();
                let begun = Instant::now();
                self.objective.go_back(&mut back);
                self.seconds += begun.elapsed().as_secs_f64();
                self.put(&back);
                self.course.slow();
                self.restarts += 1;
                let (last, objective) = (self.series[self.series.len() - 1], self.objective.value(&back));
                self.series.push(Point { objective, gap: None, ..last });
                let rate = self.plan.step.rate * self.course.slowed();
                let how = if ascends { "steps of half the length" } else { "half the rate" };
                let what = if swings { "did not converge by" } else { "diverged in" };
                self.warnings.push(format!(
                    "{what} epoch {} with an automatic rate: went back to an objective of {objective:.6} and on \
                     with {how}, {rate:.3e}",
                    self.phases * self.plan.evaluate_every as u64
                ));
                return true;
            }
            Some((_, best)) if !finite || objective >= *best => {}
            _ if finite => self.good = Some((Arc::new(weights.to_vec()), objective)),
            _ => {}
        }
        false
    }
}

//! Watches over the workers from the thread that started them: evaluation, progress, stopping.

use super::average::Average;
use super::beside::Beside;
use super::checkpoint::{Position, Saved};
use super::course::Course;
use super::gate::{Gate, Rest};
use super::instruments::Readers;
use super::keeper::Keeper;
use super::live::Live;
use super::plan::Plan;
use super::run::{Point, Stop};
use super::{Event, Progress};
use crate::hogwild::{Hogwild, Leash};
use crate::model::Objective;
use crate::real::Real;
use crate::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// How often the monitor looks up from its waiting.
const TICK: Duration = Duration::from_millis(100);

pub(super) struct Monitor<'a, T: Real, O> {
    pub objective: &'a O,
    pub hogwild: &'a Hogwild<T>,
    pub gate: &'a Gate,
    /// Where the parameters are while leashed workers run.
    pub leash: Option<&'a Leash<T>>,
    pub course: &'a Course<'a>,
    pub plan: &'a Plan,
    pub beside: &'a Beside<T>,
    pub live: &'a Live<T>,
    pub observer: &'a mut dyn FnMut(Event<'_>),
    pub readers: Readers,
    pub series: Vec<Point>,
    /// Training time of the epochs that have ended.
    pub seconds: f64,
    /// Examples processed until the last evaluation.
    pub examples: u64,
    /// … and before the orders that are laid down now.
    pub before: u64,
    /// How often orders of the examples were laid down.
    pub phases: u64,
    /// When the observer was last told of progress.
    pub told: Instant,
    /// The parameters and the objective to go back to when the run diverges; where the rate is not the user's.
    pub good: Option<(Arc<Vec<T>>, f64)>,
    /// How often that happened.
    pub restarts: u32,
    /// Where parameters were last looked at, to see whether they are finite.
    pub looked: usize,
    /// What happened, for the user.
    pub warnings: Vec<String>,
    /// The chunks of the present order that are done: where the run was resumed, or evaluated in the middle of an epoch.
    pub taken: u64,
    /// What saves the run, if anything does.
    pub keeper: Option<Keeper<T>>,
}

/// Stops the workers when the monitor is done with them, also if the observer or the objective panics here:
/// the threads would otherwise wait for ever.
struct StopAtEnd<'a>(&'a Gate);

/// Evaluations, twice, in which nothing moves in a run that has come to rest short of its target gap.
const STILL: usize = 50;

impl Drop for StopAtEnd<'_> {
    fn drop(&mut self) {
        self.0.stop();
    }
}

impl<T: Real, O: Objective<T>> Monitor<'_, T, O> {
    /// Runs epoch after epoch until there is a reason to stop.
    pub(super) fn watch(&mut self) -> Stop {
        let _stop = StopAtEnd(self.gate);
        let stop = self.descend();
        if self.plan.target_gap.is_some() && !matches!(stop, Stop::Gap | Stop::Diverged) {
            self.bound();
            let last = self.series.last().and_then(|last| last.gap).zip(self.plan.target_gap);
            if stop != Stop::Interrupt && last.is_some_and(|(gap, target)| gap <= target) {
                return Stop::Gap;
            }
        }
        stop
    }

    fn descend(&mut self) -> Stop {
        // Until all workers have arrived for the first time.
        while self.gate.rest(TICK) == Rest::Working {}
        let span = self.plan.evaluate_every as f64;
        // Whether an order has been laid down of which there is something left.
        let mut laid = false;
        let mut stop = match self.series.last() {
            None => self.evaluate(),
            Some(&last) if self.taken == 0 => self.reason(last),
            Some(_) => None,
        };
        loop {
            if let Some(stop) = stop {
                return stop;
            }
            let phase = self.phases - u64::from(laid);
            let begin = phase as f64 * span;
            if begin >= self.plan.epochs {
                return Stop::Epochs;
            }
            self.gate.close();
            let chunks = if laid { self.course.chunks() as u64 } else { self.course.lay(phase, self.plan) };
            let all = chunks * self.plan.evaluate_every as u64;
            self.taken = self.taken.min(all);
            // The last epoch may be a part of one, and where a run is resumed a shorter one than was done.
            let whole = ((self.plan.epochs - begin).clamp(0.0, span) * chunks as f64).round() as u64;
            let whole = whole.max(self.taken);
            let here = self.before + self.course.done(self.taken);
            let seen = self.series.last().filter(|last| last.examples == here);
            if seen.is_some() && self.taken >= whole {
                return Stop::Epochs;
            }
            // A run that is resumed may have ended right there.
            if let (Some(&last), false, true) = (seen, laid, self.taken > 0)
                && let Some(stop) = self.reason(last)
            {
                return stop;
            }
            let least = self.taken + u64::from(seen.is_some());
            let part = self.next_evaluation(begin, chunks).clamp(least, whole);
            if let Some(leash) = self.leash {
                leash.set(self.hogwild.params().snapshot());
            }
            self.gate.release(self.taken..part);
            self.phases += u64::from(!laid);
            let cut = self.await_epoch();
            // Relaxed: all workers have arrived or left, and the gate's lock has told us.
            if cut.is_none() && self.gate.halt().load(Ordering::Relaxed) {
                // A worker panicked, which whoever joins it will report in place of this.
                return Stop::Interrupt;
            }
            if cut.is_some() && self.is_finite(0..self.hogwild.params().cells().len()) {
                // Before the evaluation in the middle of an epoch, which an uninterrupted run does not have.
                self.keep(false, true);
            }
            self.examples = self.before + self.course.done(self.gate.taken());
            let ended = part == all;
            laid = !ended;
            // What became infinite leaves the rest of its part.
            (self.taken, self.before) =
                if ended { (0, self.examples) } else { (self.gate.taken(), self.before) };
            if let Some(leash) = self.leash {
                leash.copy_to(self.hogwild.params());
            }
            let evaluated = self.evaluate();
            // What is not finite is worth more to know than why the run was cut short.
            stop = if evaluated == Some(Stop::Diverged) { evaluated } else { cut.or(evaluated) };
            if cut.is_none() && evaluated != Some(Stop::Diverged) {
                let last = stop.is_some() || part == whole && self.phases as f64 * span >= self.plan.epochs;
                // In the middle of an epoch workers may be held for that.
                if ended || last {
                    self.keep(ended, last);
                }
            }
        }
    }

    /// The chunk of the order from epoch `begin` on before which the objective is worth another look.
    fn next_evaluation(&self, begin: f64, chunks: u64) -> u64 {
        let target = self.plan.target_gap.filter(|_| self.plan.evaluate_every == 1);
        let (Some(target), [.., before, last]) = (target, &self.series[..]) else { return u64::MAX };
        let rest = self.objective.rest(target, last.epoch - before.epoch);
        if rest < 1.0 { ((last.epoch + rest - begin) * chunks as f64) as u64 } else { u64::MAX }
    }

    /// Waits until the released chunks are done, or cuts the epoch short.
    fn await_epoch(&mut self) -> Option<Stop> {
        let (mut cut, mut curtailed) = (None, false);
        loop {
            let left = self.plan.time_limit.map(|limit| {
                limit.saturating_sub(Duration::from_secs_f64(self.seconds) + self.gate.working())
            });
            let keep = self.keeper.as_ref().map_or(TICK, |keeper| keeper.patience().min(TICK));
            match self.gate.rest(left.map_or(keep, |left| left.min(keep))) {
                Rest::All(time) => {
                    self.seconds += time.as_secs_f64();
                    if self.told.elapsed() >= TICK {
                        self.progress(self.seconds);
                    }
                    return cut;
                }
                Rest::Working => {
                    if self.live.interrupted() {
                        cut = cut.or(Some(Stop::Interrupt));
                    } else if left == Some(Duration::ZERO) {
                        cut = cut.or(Some(Stop::TimeLimit));
                    }
                    if cut.is_some() {
                        self.gate.stop();
                    }
                    curtailed = curtailed || cut.is_none() && self.curtailed();
                    // A checkpoint is no place for what has diverged.
                    if cut.is_none() && !curtailed {
                        self.keep(false, false);
                    }
                    if self.told.elapsed() >= TICK || cut.is_some() {
                        self.progress(self.seconds + self.gate.working().as_secs_f64());
                    }
                }
            }
        }
    }

    /// Saves the run, if it is time to or this is the `last` time. Either an epoch has `ended` and was evaluated, or
    /// workers are in the middle of it.
    fn keep(&mut self, ended: bool, last: bool) {
        let Some(keeper) = &mut self.keeper else { return };
        if let Some(news) = keeper.news() {
            (self.observer)(Event::Warning(&news));
        }
        let epoch = ended.then(|| self.phases * self.plan.evaluate_every as u64);
        let buffers = if last { keeper.last() } else { keeper.due(epoch) };
        let Some(mut saved) = buffers else { return };
        // Not while workers wait, if these are the first buffers.
        saved.params.resize(self.objective.parameters(), T::ZERO);
        let hold = self.gate.hold();
        if self.gate.is_broken() {
            keeper.keep(saved);
            return;
        }
        let iterations = match self.leash {
            Some(leash) if !ended => leash.copy_into(&mut saved.params),
            leash => {
                self.hogwild.params().copy_into(&mut saved.params);
                leash.map_or_else(|| self.hogwild.iterations(), Leash::iterations)
            }
        };
        self.objective.save_state(&mut saved.state);
        saved.header.kept = self.beside.save(&mut saved.beside);
        // What was cut short has been added to the seconds.
        let working = if ended || last { 0.0 } else { self.gate.working().as_secs_f64() };
        saved.header.position = Position {
            phases: self.phases - u64::from(!ended),
            taken: if ended { 0 } else { self.gate.taken() },
            iterations,
            steps: self.hogwild.steps(),
            seconds: self.seconds + working,
            examples: self.before,
            brake: self.course.slowed(),
            restarts: self.restarts,
        };
        saved.header.delays = self.readers.delays();
        drop(hold);
        saved.header.series.clone_from(&self.series);
        // The factor of the rate is the handle's, and a run that goes on has another.
        saved.header.warnings = self.warnings.iter().cloned().chain(self.live.warning()).collect();
        saved.good.clone_from(&self.good);
        keeper.write(saved);
    }

    /// Goes on where a run was saved.
    pub(super) fn resume(&mut self, saved: Saved<T>) {
        let Position { phases, taken, seconds, examples, brake, restarts, .. } = saved.header.position;
        (self.phases, self.taken, self.seconds) = (phases, taken, seconds);
        (self.examples, self.before) = (examples, examples);
        (self.series, self.warnings) = (saved.header.series, saved.header.warnings);
        (self.good, self.restarts) = (saved.good, restarts);
        self.course.slow_to(brake);
    }

    /// Keeps what was recorded by now as an interval, if it is long enough, and tells the observer.
    fn progress(&mut self, train_seconds: f64) {
        self.told = Instant::now();
        self.readers.cut(Duration::from_secs_f64(train_seconds), false);
        let before = self.before as f64 / self.objective.examples() as f64;
        let epoch = before + self.gate.taken() as f64 / self.course.chunks() as f64;
        let progress = Progress { epoch, train_seconds, readers: &self.readers };
        (self.observer)(Event::Progress(progress));
    }

    /// The objective now, while no worker writes. Tells whether it is a reason to stop.
    fn evaluate(&mut self) -> Option<Stop> {
        let mut weights = self.point();
        let gap = self.certify(&mut weights);
        let objective = self.objective.value(&weights);
        let (epoch, examples) = (self.epoch(), self.examples);
        let point = Point { epoch, train_seconds: self.seconds, examples, objective, gap };
        self.series.push(point);
        self.course.mark().reach(epoch);
        (self.observer)(Event::Epoch(point));
        let sound = |weights: &[T]| weights.iter().all(|w| w.is_finite());
        // An average may be of finite parameters that are so no longer.
        let averaged = self.beside.average.is_some();
        let finite = objective.is_finite()
            && sound(&weights)
            && (!averaged || sound(&self.hogwild.params().snapshot()));
        if !self.restarted(&weights, objective, finite) && !finite {
            return Some(Stop::Diverged);
        }
        let reason = self.reason(point);
        if reason == Some(Stop::Gap) {
            self.put(&weights);
        }
        reason
    }

    /// The certified gap of the end, where it was not known for being far from the target.
    fn bound(&mut self) {
        let Some(last) = self.series.last().filter(|last| last.gap.is_none() && self.examples > 0) else {
            return;
        };
        let (mut weights, mut last) = (self.point(), *last);
        let start = Instant::now();
        let Some(gap) = self.objective.certify(&mut weights, Some(f64::INFINITY)) else { return };
        self.seconds += start.elapsed().as_secs_f64();
        last.gap = Some(gap.relative()).filter(|gap| gap.is_finite());
        last.objective = self.objective.value(&weights);
        self.put(&weights);
        self.series.last_mut().into_iter().for_each(|point| *point = last);
    }

    /// Whether nothing has moved for long: neither the objective, on average, by more than rounding, nor a certificate that
    /// is known.
    fn is_still(&self) -> bool {
        let Some(recent) =
            self.series.last_chunk::<{ 2 * STILL }>().filter(|_| self.plan.target_gap.is_some())
        else {
            return false;
        };
        let (before, now) = recent.split_at(STILL);
        let mean = |points: &[Point]| points.iter().map(|point| point.objective).sum::<f64>() / STILL as f64;
        let least =
            |points: &[Point]| points.iter().filter_map(|point| point.gap).fold(f64::INFINITY, f64::min);
        let rounding = if size_of::<T>() < size_of::<f64>() { f32::EPSILON.into() } else { f64::EPSILON };
        let flat = (mean(before) - mean(now)).abs() <= rounding * mean(before).abs();
        // Dual steps certify nothing while they are far from the target, and go on falling where objectives seem flat.
        flat && least(now).is_finite() && least(now) > 0.99 * least(before)
    }

    /// Whether the last evaluation, time or the user is a reason to stop.
    fn reason(&self, point: Point) -> Option<Stop> {
        if self.plan.target.is_some_and(|target| point.objective <= target) {
            return Some(Stop::Target);
        }
        if point.gap.is_some_and(|gap| self.plan.target_gap.is_some_and(|target| gap <= target)) {
            return Some(Stop::Gap);
        }
        if self.is_still() {
            return Some(Stop::Stalled);
        }
        let late = self.plan.time_limit.is_some_and(|limit| self.seconds >= limit.as_secs_f64());
        if self.live.interrupted() { Some(Stop::Interrupt) } else { late.then_some(Stop::TimeLimit) }
    }

    /// The parameters that count: the average, if there is one by now.
    fn point(&self) -> Vec<T> {
        let average = self.beside.average.as_ref().and_then(Average::point);
        let mut point = average.unwrap_or_else(|| self.hogwild.params().snapshot());
        self.objective.project(&mut point);
        point
    }

    /// The parameters that a run leaves.
    pub(super) fn weights(&self, stop: Stop) -> Vec<T> {
        // The certificate may have moved them.
        if stop == Stop::Gap { self.hogwild.params().snapshot() } else { self.point() }
    }

    /// Overwrites the parameters, and not while somebody copies them.
    pub(super) fn put(&self, weights: &[T]) {
        let _hold = self.gate.hold();
        self.hogwild.params().store(weights);
    }

    /// Lets the objective prepare what comes. The certified relative gap, if one is asked for and known: it decides when
    /// to stop, so that its time is training time.
    fn certify(&mut self, weights: &mut [T]) -> Option<f64> {
        let start = Instant::now();
        let gap = match self.examples {
            0 => {
                self.objective.begin(weights);
                None
            }
            _ => self.objective.certify(weights, self.plan.target_gap),
        };
        self.seconds += start.elapsed().as_secs_f64();
        Some(gap?.relative()).filter(|gap| gap.is_finite())
    }

    /// Passes over the examples in the epochs that have ended.
    fn epoch(&self) -> f64 {
        self.examples as f64 / self.objective.examples() as f64
    }
}

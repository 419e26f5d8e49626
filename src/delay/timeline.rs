//! Delays over time: snapshots of the recorders, as intervals.

use std::time::Duration;

use super::Profile;

/// The shortest interval.
const SHORTEST: Duration = Duration::from_millis(100);

/// The most intervals, if the workers are few.
const MOST: usize = 512;

/// The most intervals of all workers together.
const MOST_OF_ALL: usize = 4096;

/// What each worker recorded in each interval of a run.
///
/// Intervals are at least a tenth of a second long. When there are more than 512 (fewer where there are more than 8
/// workers) each is merged with its neighbour, so a run of any length keeps between half of that and that many.
/// The monitor takes the snapshots; workers do nothing for them.
#[derive(Debug, Clone, PartialEq)]
pub struct Timeline {
    spans: Vec<Span>,
    shortest: Duration,
    /// Where the last interval ended, and the snapshots then.
    at: Duration,
    delays: Vec<Profile>,
    staleness: Vec<Profile>,
}

/// An interval of training time.
#[derive(Debug, Clone, PartialEq)]
pub struct Span {
    /// Training time at its start.
    pub start: Duration,
    /// Its length.
    pub length: Duration,
    /// The delays of each worker, in iterations.
    pub delays: Vec<Profile>,
    /// The sampled wall-clock staleness of each worker, in ns.
    pub staleness: Vec<Profile>,
}

impl Timeline {
    /// An empty one for a number of workers, at time 0.
    pub fn new(workers: usize) -> Self {
        let none = vec![Profile::default(); workers];
        Timeline {
            spans: Vec::new(),
            shortest: SHORTEST,
            at: Duration::ZERO,
            delays: none.clone(),
            staleness: none,
        }
    }

    /// Whether the next interval is long enough at training time `now`.
    pub fn is_due(&self, now: Duration) -> bool {
        now.saturating_sub(self.at) >= self.shortest
    }

    /// Ends an interval at training time `now`, with snapshots of the whole run's delays and staleness so far. An
    /// interval without records is not kept.
    pub fn cut(&mut self, now: Duration, delays: Vec<Profile>, staleness: Vec<Profile>) {
        // Recorders' snapshots never decrease.
        let since = |now: &[Profile], before: &[Profile]| -> Vec<Profile> {
            now.iter().zip(before).map(|(now, before)| now.since(before).unwrap_or_default()).collect()
        };
        let span = Span {
            start: self.at,
            length: now.saturating_sub(self.at),
            delays: since(&delays, &self.delays),
            staleness: since(&staleness, &self.staleness),
        };
        self.at = now;
        (self.delays, self.staleness) = (delays, staleness);
        if span.delays.iter().any(|profile| profile.count() > 0) {
            self.spans.push(span);
        }
        let most = (MOST_OF_ALL / self.delays.len().max(1)).clamp(8, MOST);
        if self.spans.len() > most {
            self.shortest *= 2;
            let old = std::mem::take(&mut self.spans);
            let mut old = old.into_iter();
            while let Some(mut span) = old.next() {
                if let Some(next) = old.next() {
                    span.merge(&next);
                }
                self.spans.push(span);
            }
        }
    }

    /// The intervals in the order of time.
    pub fn spans(&self) -> &[Span] {
        &self.spans
    }
}

impl Span {
    /// Adds the interval that follows.
    fn merge(&mut self, next: &Span) {
        self.length = (next.start + next.length).saturating_sub(self.start);
        let pairs = self.delays.iter_mut().zip(&next.delays);
        pairs.chain(self.staleness.iter_mut().zip(&next.staleness)).for_each(|(a, b)| a.merge(b));
    }
}

#[cfg(test)]
mod tests {
    use super::super::Recorder;
    use super::*;

    #[test]
    fn a_long_run_keeps_few_intervals_and_every_record() {
        let mut recorders = [Recorder::new(), Recorder::new()];
        let mut timeline = Timeline::new(2);
        let tick = Duration::from_millis(100);
        for i in 1u64..=6000 {
            recorders[0].record(i % 7, 1.0);
            if !(2000..4000).contains(&i) {
                recorders[1].record(1, 0.5);
            }
            let now = tick * i as u32;
            if timeline.is_due(now) {
                let delays: Vec<_> = recorders.iter().map(|r| r.reader().snapshot()).collect();
                timeline.cut(now, delays.clone(), delays);
            }
        }
        let spans = timeline.spans();
        assert!(spans.len() > MOST / 2 && spans.len() <= MOST, "{}", spans.len());
        let counted = |w: usize| spans.iter().map(|span| span.delays[w].count()).sum::<u64>();
        // What was recorded since the last cut is not yet in an interval.
        assert!(counted(0) > 5900 && counted(1) > 3900);
        // The second worker's pause is to be seen.
        let idle: Duration = spans.iter().filter(|s| s.delays[1].count() == 0).map(|s| s.length).sum();
        assert!(idle.abs_diff(tick * 2000) < tick * 64, "{idle:?}");
        for pair in spans.windows(2) {
            assert_eq!(pair[0].start + pair[0].length, pair[1].start);
        }
    }
}

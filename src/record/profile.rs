//! What the profiler tells: distributions, where time goes, delays over time.

use serde::Serialize;

use crate::delay;

/// The shares at which percentile curves are told: halving the distance to 1 in five steps each.
const STEPS_PER_HALF: i32 = 5;

/// The buckets of an octave in a histogram that is drawn.
const PER_OCTAVE: u32 = 8;

/// What the profiler tells of a run.
#[derive(Debug, Clone, Serialize)]
pub struct Profiling {
    /// Workers held back on purpose: `slow 0:50`, `stall 1:2s:0.5s`.
    pub injections: Vec<String>,
    /// Delays τ, in iterations, of all workers.
    pub delays: Distribution,
    /// Delays τ of each worker.
    pub worker_delays: Vec<Distribution>,
    /// Wall-clock staleness, in ns from the read of the iteration counter to the end of the write, of all workers.
    pub staleness: Distribution,
    /// Where the time goes, of all workers.
    pub timing: Timing,
    /// Where the time goes, of each worker.
    pub worker_timings: Vec<Timing>,
    /// Delays over training time.
    pub intervals: Intervals,
    /// Additions lost in racy mode, where they were measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lost: Option<Lost>,
}

/// A distribution.
#[derive(Debug, Clone, Serialize)]
pub struct Distribution {
    /// How many values.
    pub count: u64,
    /// Their mean.
    pub mean: f64,
    /// The largest.
    pub max: u64,
    /// Percentiles per update.
    pub per_update: Percentiles,
    /// Percentiles weighted by time: of the gradients in flight at a moment chosen at random.
    pub by_time: Percentiles,
    /// Lowest and highest value of each bucket and how many it holds, from the lowest.
    pub buckets: Vec<(u64, u64, u64)>,
    /// Shares q and their quantiles per update and by time, up to the largest value.
    pub curve: Vec<(f64, u64, u64)>,
}

/// Some percentiles.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Percentiles {
    /// The median.
    pub p50: u64,
    /// The 90th.
    pub p90: u64,
    /// The 99th.
    pub p99: u64,
    /// The 99.9th.
    pub p999: u64,
}

/// Where the time of updates goes, from a sample of the iterations.
#[derive(Debug, Clone, Serialize)]
pub struct Timing {
    /// One iteration in this many was sampled.
    pub every: u64,
    /// Samples.
    pub samples: u64,
    /// The share of the workers' time that sampling has taken.
    pub cost: f64,
    /// Mean of the ticket-to-ticket delay: updates begun between the read and the taking of the number.
    pub ticket_delay: f64,
    /// Mean number of updates that were being written during the read.
    pub writers: f64,
    /// Compute time, in ns: mean, median, 99th percentile.
    pub compute: [f64; 3],
    /// Write time, in ns: mean, median, 99th percentile.
    pub write: [f64; 3],
    /// Staleness, in ns: mean, median, 99th percentile.
    pub staleness: [f64; 3],
}

/// Delays over training time: a value for each interval, or a list of such for each worker.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Intervals {
    /// Training seconds at the start.
    pub start: Vec<f64>,
    /// Seconds.
    pub length: Vec<f64>,
    /// Updates.
    pub updates: Vec<Vec<u64>>,
    /// Mean delay; `null` without updates.
    pub mean: Vec<Vec<Option<f64>>>,
    /// Median delay.
    pub p50: Vec<Vec<Option<u64>>>,
    /// 99th percentile of the delays.
    pub p99: Vec<Vec<Option<u64>>>,
    /// Largest delay.
    pub max: Vec<Vec<Option<u64>>>,
    /// Mean weight.
    pub kept_mass: Vec<Vec<Option<f64>>>,
    /// Largest sampled staleness, in ns.
    pub staleness: Vec<Vec<Option<u64>>>,
}

/// Additions lost in racy mode.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Lost {
    /// Additions made to shared parameters in a comparison run in which every addition is 1.
    pub additions: u64,
    /// Of these, lost.
    pub lost: u64,
}

impl Profiling {
    /// What was measured: delays and timings of each worker, and delays over time.
    pub fn new(delays: &[delay::Profile], timings: &[delay::Timing], timeline: &delay::Timeline) -> Self {
        let mut all = delay::Profile::default();
        delays.iter().for_each(|worker| all.merge(worker));
        let mut timing = delay::Timing::default();
        timings.iter().for_each(|worker| timing.merge(worker));
        Profiling {
            injections: Vec::new(),
            delays: (&all).into(),
            worker_delays: delays.iter().map(Distribution::from).collect(),
            staleness: (&timing.staleness).into(),
            timing: (&timing).into(),
            worker_timings: timings.iter().map(Timing::from).collect(),
            intervals: timeline.into(),
            lost: None,
        }
    }
}

impl From<&delay::Profile> for Distribution {
    fn from(profile: &delay::Profile) -> Self {
        let percentiles = |at: &dyn Fn(f64) -> u64| Percentiles {
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
        };
        Distribution {
            count: profile.count(),
            mean: profile.mean(),
            max: profile.max(),
            per_update: percentiles(&|q| profile.quantile(q)),
            by_time: percentiles(&|q| profile.time_quantile(q)),
            buckets: coarse(profile),
            curve: curve(profile),
        }
    }
}

/// Buckets wide enough to be drawn: those of an octave are joined to 8; below 16 each value has its own.
fn coarse(profile: &delay::Profile) -> Vec<(u64, u64, u64)> {
    let mut coarse: Vec<(u64, u64, u64)> = Vec::new();
    for bucket in profile.buckets() {
        let width = (bucket.lowest.max(1).ilog2() + 1).saturating_sub(PER_OCTAVE.ilog2() + 1);
        let lowest = bucket.lowest >> width << width;
        match coarse.last_mut() {
            Some(last) if last.0 == lowest => last.2 += bucket.count,
            _ => coarse.push((lowest, lowest + (1 << width) - 1, bucket.count)),
        }
    }
    coarse
}

/// The percentile curve, until the quantile is the maximum.
fn curve(profile: &delay::Profile) -> Vec<(f64, u64, u64)> {
    let mut curve = Vec::new();
    for step in 0.. {
        let (halvings, part) = (step / STEPS_PER_HALF, step % STEPS_PER_HALF);
        let far = 0.5f64.powi(halvings);
        let q = 1.0 - far * (1.0 - 0.5 * f64::from(part) / f64::from(STEPS_PER_HALF));
        curve.push((q, profile.quantile(q), profile.time_quantile(q)));
        if far * profile.count() as f64 <= 1.0 {
            break;
        }
    }
    curve
}

impl From<&delay::Timing> for Timing {
    fn from(timing: &delay::Timing) -> Self {
        let three = |p: &delay::Profile| [p.mean(), p.quantile(0.5) as f64, p.quantile(0.99) as f64];
        Timing {
            every: timing.every,
            samples: timing.samples(),
            cost: timing.cost(),
            ticket_delay: timing.ticket_delay.mean(),
            writers: timing.writers.mean(),
            compute: three(&timing.compute),
            write: three(&timing.write),
            staleness: three(&timing.staleness),
        }
    }
}

impl From<&delay::Timeline> for Intervals {
    fn from(timeline: &delay::Timeline) -> Self {
        let spans = timeline.spans();
        let workers = spans.first().map_or(0, |span| span.delays.len());
        fn each<V>(spans: &[delay::Span], workers: usize, of: impl Fn(&delay::Profile) -> V) -> Vec<Vec<V>> {
            (0..workers).map(|w| spans.iter().map(|span| of(&span.delays[w])).collect()).collect()
        }
        let some = |p: &delay::Profile, value: f64| (p.count() > 0).then(|| rounded(value));
        let whole = |p: &delay::Profile, value: u64| (p.count() > 0).then_some(value);
        let staleness = |w: usize| {
            spans.iter().map(move |span| span.staleness.get(w).and_then(|p| whole(p, p.max()))).collect()
        };
        Intervals {
            start: spans.iter().map(|span| rounded(span.start.as_secs_f64())).collect(),
            length: spans.iter().map(|span| rounded(span.length.as_secs_f64())).collect(),
            updates: each(spans, workers, delay::Profile::count),
            mean: each(spans, workers, |p| some(p, p.mean())),
            p50: each(spans, workers, |p| whole(p, p.quantile(0.5))),
            p99: each(spans, workers, |p| whole(p, p.quantile(0.99))),
            max: each(spans, workers, |p| whole(p, p.max())),
            kept_mass: each(spans, workers, |p| some(p, p.kept_mass())),
            staleness: (0..workers).map(staleness).collect(),
        }
    }
}

/// To a millionth, or six digits: enough to be drawn, and short.
fn rounded(value: f64) -> f64 {
    let scale = 10f64.powi(5 - value.abs().max(1.0).log10() as i32);
    (value * scale).round() / scale
}

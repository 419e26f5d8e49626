//! What a benchmark tells: configurations side by side, their runs interleaved.

use super::{Data, Delays, Figures, Machine, Point, Program};
use serde::{Deserialize, Serialize};

/// A benchmark.
#[derive(Debug, Clone, Serialize)]
pub struct Bench {
    /// [`VERSION`](super::VERSION).
    pub schema: u32,
    /// What ran.
    pub program: Program,
    /// Where it ran.
    pub machine: Machine,
    /// What all cases share, and what two benchmarks must share to be compared.
    pub settings: Settings,
    /// What was trained on.
    pub data: Data,
    /// What was held out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test: Option<Data>,
    /// Timed runs of each case; some have one more where an interrupt came before all were made.
    pub repeats: usize,
    /// Runs of each case before these, not timed.
    pub warm_up: usize,
    /// The optimum f*, where it is known.
    pub optimum: Option<f64>,
    /// The objective to which the time is told.
    pub target_objective: Option<f64>,
    /// The state of the machine.
    pub conditions: Conditions,
    /// The cases; the first is the reference.
    pub cases: Vec<Case>,
    /// The benchmark that this one was compared with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub baseline: Option<String>,
    /// What the user should know, a line each.
    pub warnings: Vec<String>,
}

/// What all cases share: options as they were given, `auto` where they were left to the program.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// The content's xxh3-128 in hex.
    pub data_hash: String,
    /// The kind of model, with its sizes.
    pub model: String,
    /// The loss.
    pub loss: String,
    /// The L2 penalty.
    pub l2: f64,
    /// The L1 penalty.
    pub l1: f64,
    /// Whether there is a bias that is not regularised.
    pub intercept: bool,
    /// `f32` or `f64`.
    pub precision: String,
    /// The cores of the workers.
    pub pin: String,
    /// The base rate.
    pub rate: String,
    /// The schedule of the base rate.
    pub schedule: String,
    /// Examples in a mini-batch.
    pub batch: usize,
    /// Passes over the examples in a run.
    pub epochs: f64,
    /// The seed of everything random.
    pub seed: u64,
    /// How the data were read, as far as it was said.
    pub reading: String,
}

/// The state of the machine; `None` where the system does not tell.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Conditions {
    /// The time of a nonzero in a plain loop that is the same in all versions, in ns
    /// (`asyncsgd::roofline::yardstick`): the median of all repeats.
    pub yardstick_ns: Option<f64>,
    /// The time of a cache line from core to core, in ns, before and after the runs.
    pub ping_pong_ns: Option<[f64; 2]>,
    /// Processes that wanted a core, over the minute before.
    pub load_average: Option<f64>,
    /// The share of the cores' time that other processes took during the runs.
    pub others: Option<f64>,
    /// The share of the cores' time that the hypervisor gave to other machines.
    pub steal: Option<f64>,
}

/// One configuration.
#[derive(Debug, Clone, Serialize)]
pub struct Case {
    /// Worker threads.
    pub workers: usize,
    /// How updates reach the shared parameters.
    pub update: String,
    /// Examples in a block, or `auto`.
    pub block: String,
    /// The delay weight.
    pub step: String,
    /// Examples in a block as resolved; 1 is direct.
    pub block_rows: usize,
    /// Parameters that a block copies.
    pub hot: usize,
    /// The base rate as resolved.
    pub rate: f64,
    /// The timed runs, in the order in which they were made.
    pub runs: Vec<TimedRun>,
    /// Training seconds of a run.
    pub seconds: Spread,
    /// Data values a second, by the median time.
    pub nonzeros_per_second: f64,
    /// Examples a second, by the median time.
    pub examples_per_second: f64,
    /// Times as fast as one worker with the same options, of the same repeat; where that was run.
    pub speed_up: Option<Spread>,
    /// Times as fast as the reference, of the same repeat.
    pub against_reference: Spread,
    /// The median objective at the end.
    pub objective: f64,
    /// Its distance to the optimum, (f − f*)/f*.
    pub gap: Option<f64>,
    /// The figures on the held-out data, or on the training data where there are none, of the last run.
    pub quality: Figures,
    /// The median of the training seconds to the target; `None` where half of the runs did not reach it.
    pub to_target: Option<f64>,
    /// Delays of all runs together.
    pub delay: Delays,
    /// The objective over training time in the run of the median time.
    pub series: Vec<Point>,
    /// Against the baseline.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub change: Option<Change>,
}

/// One timed run.
#[derive(Debug, Clone, Serialize)]
pub struct TimedRun {
    /// Which repeat, from 0.
    pub repeat: usize,
    /// The how-manieth run of the repeat, from 0: cases take turns in an order drawn anew for each repeat.
    pub turn: usize,
    /// Training seconds.
    pub seconds: f64,
    /// The time of a nonzero in the plain loop of [`Conditions::yardstick_ns`], before this repeat.
    pub yardstick_ns: f64,
    /// The objective at the end.
    pub objective: f64,
    /// Training seconds to the first evaluation at or below the target.
    pub to_target: Option<f64>,
    /// The mean delay.
    pub mean_delay: f64,
    /// Why it ended.
    pub stop: String,
}

/// A sample's middle and width.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Spread {
    /// The median.
    pub median: f64,
    /// The lower quartile.
    pub low: f64,
    /// The upper quartile.
    pub high: f64,
}

/// The ratio of this benchmark's times to the baseline's.
#[derive(Debug, Clone, Serialize)]
pub struct Change {
    /// The baseline's median, in seconds.
    pub before: f64,
    /// The median of all ratios of a time of now to a time of then, each in units of the yardstick of its repeat.
    pub ratio: f64,
    /// A 95 % interval for it; `None` where there are too few runs for one.
    pub interval: Option<[f64; 2]>,
    /// `faster`, `slower`, `same`, or `unclear` where the spread allows no verdict.
    pub verdict: String,
}

impl Spread {
    /// Median and quartiles, between two values by proportion.
    ///
    /// # Panics
    /// If there are no values.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut sorted: Vec<f64> = values.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let at = |share: f64| {
            let place = share * (sorted.len() - 1) as f64;
            let (low, high) = (sorted[place as usize], sorted[place.ceil() as usize]);
            low + (high - low) * place.fract()
        };
        Self { median: at(0.5), low: at(0.25), high: at(0.75) }
    }

    /// Half the distance of the quartiles over the median.
    pub fn relative(&self) -> f64 {
        (self.high - self.low) / 2.0 / self.median
    }
}

impl Case {
    /// The case in words: `2 workers, cas, block auto, delay-adaptive`.
    pub fn name(&self) -> String {
        let plural = if self.workers == 1 { "" } else { "s" };
        format!("{} worker{plural}, {}, block {}, {}", self.workers, self.update, self.block, self.step)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::Spread;

    #[test]
    fn median_and_quartiles() {
        assert_eq!(Spread::of([3.0]), Spread { median: 3.0, low: 3.0, high: 3.0 });
        assert_eq!(Spread::of([5.0, 1.0, 4.0, 2.0, 3.0]), Spread { median: 3.0, low: 2.0, high: 4.0 });
        let four = Spread::of([4.0, 1.0, 3.0, 2.0]);
        assert_eq!((four.median, four.low, four.high, four.relative()), (2.5, 1.75, 3.25, 0.3));
    }
}

//! What a simulation tells beside what a run of threads does.

use serde::Serialize;

use super::Distribution;

/// A simulation: its seconds are virtual, its objective is the problem's measure.
#[derive(Debug, Clone, Serialize)]
pub struct Simulated {
    /// What was minimised.
    pub problem: String,
    /// What the series and the objective tell: `objective`, or `|∇f|²`.
    pub measure: String,
    /// How long gradients take.
    pub speeds: String,
    /// What the server does with them.
    pub algorithm: String,
    /// To whom it sends the parameters.
    pub assignment: String,
    /// Jobs at a time.
    pub in_flight: usize,
    /// The measure to reach.
    pub target: Option<f64>,
    /// Whether the run went on after that.
    pub settle: bool,
    /// The search for the rate, where there was one.
    pub tuned: Option<Tuned>,
    /// T1: when the measure was first at the target.
    pub first_hit: Option<Moment>,
    /// T2: from when on it stayed there until the end.
    pub settled: Option<Moment>,
    /// The end.
    pub end: Moment,
    /// Delays of all workers.
    pub delays: Distribution,
    /// Delays of each worker, of at most 64.
    pub worker_delays: Vec<Distribution>,
    /// Gradients that arrived from each worker.
    pub gradients: Vec<u64>,
    /// The sum of their weights.
    pub kept: Vec<f64>,
}

/// A search for the best rate.
#[derive(Debug, Clone, Serialize)]
pub struct Tuned {
    /// The best rate.
    pub rate: f64,
    /// The virtual seconds that it takes.
    pub seconds: f64,
    /// Every rate tried, in increasing order, with its seconds; `null` where it failed.
    pub tried: Vec<(f64, Option<f64>)>,
}

/// A moment of a simulation.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Moment {
    /// Updates made.
    pub iteration: u64,
    /// Gradients that had arrived.
    pub gradients: u64,
    /// Virtual seconds.
    pub seconds: f64,
    /// The problem's measure.
    pub measure: f64,
}

//! What the machine can do, to compare training with: memory, compare-exchange, dense loops, the plain loop, and
//! cache lines between cores.
//!
//! # Many cores
#![doc = include_str!("SCALING.md")]

mod cores;
mod memory;
mod traffic;

pub use cores::ping_pong;
pub use memory::{Dense, Exchange, dense, exchange, read_bandwidth};
pub use traffic::Traffic;

use crate::model::Objective;
use std::time::{Duration, Instant};

/// The time of one pass of plain SGD over the examples in their order, with the objective's own loops on a slice of
/// plain floats, on the first core: what sharing costs nothing of. `weights` go on from where they are.
///
/// # Panics
/// If there are not as many weights as the objective has parameters.
pub fn plain_pass<O: Objective<f32>>(objective: &O, rate: f32, weights: &mut [f32]) -> Duration {
    assert_eq!(weights.len(), objective.parameters(), "as many weights as parameters");
    let weights = crate::sync::Mutex::new(weights);
    let times = cores::together(1, |_| {
        let mut weights = weights.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let mut gradient = objective.buffer();
        let start = Instant::now();
        for i in 0..objective.examples() {
            objective.gradient(i..i + 1, &**weights, &mut gradient);
            objective.descend(&gradient, rate, &mut **weights);
        }
        start.elapsed()
    });
    times[0]
}

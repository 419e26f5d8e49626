//! What the machine can do, to compare training with: memory, compare-exchange, dense loops, the plain loop, and
//! cache lines between cores.
//!
//! # Many cores
#![doc = include_str!("SCALING.md")]

mod cores;
mod memory;
mod traffic;
mod yardstick;

pub use cores::ping_pong;
pub use memory::{Dense, Exchange, dense, exchange, read_bandwidth};
pub use traffic::Traffic;
pub use yardstick::yardstick;

use crate::hogwild::Hogwild;
use crate::model::Objective;
use crate::params::{Params, Update};
use crate::step;
use std::hint::black_box;
use std::time::{Duration, Instant};

/// Updates that are timed together.
const UPDATES: usize = 100_000;

/// What the clock, the step rule and the recorder take for an update of several workers, in ns, where none is late: that
/// of one that changes nothing.
pub fn bookkeeping() -> f64 {
    let rule = step::delay_adaptive(0.1);
    let shared = Hogwild::with(Params::<f32>::zeros(1), rule, 2, Update::Cas, 1.0).expect("a sound rule");
    cores::together(1, |_| {
        let mut worker = shared.worker();
        memory::best(UPDATES, || {
            let mut ticket = worker.begin();
            for _ in 0..UPDATES {
                ticket = worker.apply(ticket, black_box(&[][..])).next;
            }
        })
    })[0]
}

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

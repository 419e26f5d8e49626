//! What the machine can do, and how much of it training reaches.

use super::{Conditions, Data, Machine, Program, Spread};
use serde::Serialize;

/// The measurements of `asyncsgd bench roofline`.
#[derive(Debug, Clone, Serialize)]
pub struct Roofline {
    /// [`VERSION`](super::VERSION).
    pub schema: u32,
    /// What ran.
    pub program: Program,
    /// Where it ran.
    pub machine: Machine,
    /// What was trained on.
    pub data: Data,
    /// The state of the machine.
    pub conditions: Conditions,
    /// Bytes a second that one core reads from memory, and all together.
    pub read_bandwidth: [f64; 2],
    /// What an addition to a shared float takes.
    pub exchange: Exchange,
    /// What the clock, the step rule and the recorder take for an update, in ns.
    pub bookkeeping: f64,
    /// Dense loops over shared floats, racy, in ns an element.
    pub dense_shared: Dense,
    /// Dense loops over plain floats, in ns an element.
    pub dense_plain: Dense,
    /// Passes over the data; the first is the plain loop.
    pub passes: Vec<Pass>,
    /// Cache lines between two workers, by the model, and the time that they took.
    pub traffic: Vec<Traffic>,
    /// What the model says of more workers.
    pub predicted: Vec<Predicted>,
    /// What the user should know, a line each.
    pub warnings: Vec<String>,
}

/// An addition to a shared float, in ns.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Exchange {
    /// By a load and a store.
    pub racy: f64,
    /// By a compare-exchange of 4 bytes.
    pub single: f64,
    /// By one of 16 bytes, for each of its four floats.
    pub packed: f64,
    /// By one of 4 bytes while another core adds to the same cache line.
    pub contended: Option<f64>,
}

/// Dense loops, in ns an element.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Dense {
    /// Σ w·x.
    pub dot: f64,
    /// w += a·x.
    pub axpy: f64,
    /// Copying parameters out.
    pub copy_out: f64,
}

/// A pass over the data.
#[derive(Debug, Clone, Serialize)]
pub struct Pass {
    /// What made it: `plain floats`, or workers, mode and block.
    pub name: String,
    /// Seconds.
    pub seconds: Spread,
    /// Data values a second, by the median.
    pub nonzeros_per_second: f64,
    /// Times as fast as the plain loop in the same repeat.
    pub of_plain: Spread,
    /// The bytes of the rows that are read a second, over what the cores at work can read.
    pub of_bandwidth: f64,
    /// The data values a second, over the single compare-exchanges that the cores at work could make: at most 1 where
    /// each value costs one, more where blocks spare them.
    pub of_exchange: f64,
    /// The share of the time that the clock, the step rule and the recorder take.
    pub bookkeeping: f64,
}

/// Two workers that run blocks of one size, racy.
#[derive(Debug, Clone, Serialize)]
pub struct Traffic {
    /// Examples in a block; 1 is direct.
    pub block: usize,
    /// Parameters that a block copies.
    pub hot: usize,
    /// Cache lines that move between cores for an example, by the model.
    pub lines: f64,
    /// What an example takes one worker that is alone, in ns.
    pub alone: f64,
    /// What an example takes each of two workers, in ns.
    pub both: f64,
    /// The difference for each line, in ns: one constant where the model holds.
    pub per_line: f64,
}

/// More workers, by the model.
#[derive(Debug, Clone, Serialize)]
pub struct Predicted {
    /// Worker threads, each on a core of its own.
    pub workers: usize,
    /// Examples in a block.
    pub block: usize,
    /// Parameters that a block copies.
    pub hot: usize,
    /// Cache lines that move between cores for an example.
    pub lines: f64,
    /// Times as fast as one worker.
    pub speed_up: f64,
    /// Examples a second beyond which the busiest line cannot follow.
    pub limit: f64,
}

//! Asynchronous SGD in virtual time: n workers of any speeds on one thread, deterministic to the byte.
//!
//! Where the engine runs on the threads that there are, [`Simulation`] runs as many workers as one likes, by
//! [speed laws](Law), with the same objectives, step rules and delay profiles. Iterates are consistent:
//! x_{t+1} = x_t − γ_t·g(x_{t−τ_t}). The [server algorithms](Algorithm) are those that asynchronous SGD is
//! compared with in the literature.
//!
//! Events are ordered by (time, order of entry). Each worker has a stream of random numbers of its own for
//! its times, and one for its samples, so neither the schedule nor the samples change with the step rule.
//! An event costs O(d + log n); jobs that were sent the same version share its snapshot.

pub mod claims;
mod core;
mod pool;
mod problem;
mod queue;
mod recorders;
mod replay;
mod run;
mod server;
mod tune;
mod watch;

pub use self::core::Share;
pub use crate::law::{Factor, Law};
pub use problem::{Examples, Partition, Problem, Quadratic, Stream, partitioned};
pub use run::{Average, Ended, Mark, Outcome, Simulation};
pub use server::{Algorithm, Assignment, Publish};
pub use tune::{Tuned, tune};

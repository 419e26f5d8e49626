//! The trainer as a whole: what it computes, when it stops, and that nothing hangs.
#![cfg(not(loom))]

mod convergence;
mod limits;
mod optimum;
mod problem;
mod sequential;
mod stops;

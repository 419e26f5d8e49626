//! The trainer as a whole: what it computes, when it stops, and that nothing hangs.
#![cfg(not(loom))]

mod average;
mod checkpoint;
mod convergence;
mod gap;
mod limits;
mod live;
mod newton;
mod optimum;
mod parts;
mod problem;
mod scaled;
mod sequential;
mod stops;
mod variants;

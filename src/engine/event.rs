//! What an observer is told.

use super::instruments::Readers;
use super::plan::Plan;
use super::run::Point;
use crate::delay::{Profile, Timing};

/// What a run tells while it goes on, on the thread that started it.
pub enum Event<'a> {
    /// The plan is made and the workers are about to start.
    Planned(&'a Plan),
    /// Some tenths of a second have passed.
    Progress(Progress<'a>),
    /// An epoch has ended and its objective is known.
    Epoch(Point),
    /// Something has gone wrong that does not end the run: a checkpoint was not written.
    Warning(&'a str),
}

/// The state of training while workers run.
pub struct Progress<'a> {
    /// Passes over the examples so far.
    pub epoch: f64,
    /// Seconds of training so far.
    pub train_seconds: f64,
    pub(super) readers: &'a Readers,
}

impl Progress<'_> {
    /// Each worker's delays so far.
    pub fn delays(&self) -> Vec<Profile> {
        self.readers.delays()
    }

    /// What was sampled of each worker so far; empty without [`Trainer::profile`](super::Trainer::profile).
    pub fn timings(&self) -> Vec<Timing> {
        self.readers.timings()
    }
}

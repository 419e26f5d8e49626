//! The delays of a simulation, of all workers together or of each.

use crate::delay::{Profile, Recorder};

/// The most workers whose delays are told apart: a recorder takes 66 kB.
const MOST: usize = 64;

/// One recorder, or one a worker.
pub(super) struct Recorders(Vec<Recorder>);

impl Recorders {
    /// A recorder for each of `workers` workers, if that is asked for and they are at most [`MOST`].
    pub(super) fn new(workers: usize, each: bool) -> Self {
        let count = if each && workers <= MOST { workers } else { 1 };
        Recorders((0..count).map(|_| Recorder::new()).collect())
    }

    #[inline]
    pub(super) fn record(&mut self, worker: usize, delay: u64, weight: f64) {
        let last = self.0.len() - 1;
        self.0[worker.min(last)].record(delay, weight);
    }

    /// All delays together.
    pub(super) fn all(&self) -> Profile {
        let mut all = Profile::default();
        self.0.iter().for_each(|recorder| all.merge(&recorder.reader().snapshot()));
        all
    }

    /// The delays of each worker; none where they were not told apart.
    pub(super) fn each(&self) -> Vec<Profile> {
        let each = if self.0.len() > 1 { &self.0[..] } else { &[] };
        each.iter().map(|recorder| recorder.reader().snapshot()).collect()
    }
}

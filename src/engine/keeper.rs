//! Saves a run while it goes on: gathered by the monitor while the workers are held, written on a thread of its own.

use super::checkpoint::{Keeping, Saved};
use super::every::Every;
use crate::error::{Error, Result};
use crate::real::Real;
use crate::sync::{Receiver, Sender, bounded, thread};
use std::time::{Duration, Instant};

/// Decides when to save, and has it written. One checkpoint is on its way at a time: where the disk is slower than the
/// interval, there are fewer.
pub(super) struct Keeper<T: Real> {
    every: Every,
    to_write: Option<Sender<Saved<T>>>,
    written: Receiver<(Saved<T>, Result<()>)>,
    writer: Option<thread::JoinHandle<()>>,
    /// The buffers, while nothing is being written.
    idle: Option<Saved<T>>,
    last: Instant,
    last_epoch: u64,
    failure: Option<String>,
    /// A failure that nobody was told of.
    news: Option<String>,
}

impl<T: Real> Keeper<T> {
    /// # Errors
    /// [`Error::Thread`] where the system starts no thread.
    pub(super) fn new(keeping: &Keeping, buffers: Saved<T>) -> Result<Self> {
        // Of a run that goes on.
        let last_epoch = buffers.header.series.last().map_or(0, |last| last.epoch as u64);
        let (to_write, jobs) = bounded::<Saved<T>>(1);
        let (done, written) = bounded(1);
        let path = keeping.path.clone();
        let write = move || {
            for mut saved in jobs {
                let outcome = saved.write(&path);
                if done.send((saved, outcome)).is_err() {
                    return;
                }
            }
        };
        let refused = |source| Error::Thread { thread: "the writer of checkpoints".into(), source };
        let writer = thread::Builder::new().spawn(write).map_err(refused)?;
        Ok(Self {
            every: keeping.every,
            to_write: Some(to_write),
            written,
            writer: Some(writer),
            idle: Some(buffers),
            last: Instant::now(),
            last_epoch,
            failure: None,
            news: None,
        })
    }

    /// How long there is nothing to save, at most: a moment longer where the disk is slow.
    pub(super) fn patience(&self) -> Duration {
        match self.every {
            Every::Time(time) => time.saturating_sub(self.last.elapsed()).max(Duration::from_millis(1)),
            Every::Epochs(_) => Duration::MAX,
        }
    }

    /// The buffers to fill, if it is time to save and they are free. `epoch` is the number of the epoch that has ended,
    /// if one has.
    pub(super) fn due(&mut self, epoch: Option<u64>) -> Option<Saved<T>> {
        let due = match self.every {
            Every::Time(time) => self.last.elapsed() >= time,
            Every::Epochs(epochs) => {
                epoch.is_some_and(|epoch| epoch / epochs as u64 > self.last_epoch / epochs as u64)
            }
        };
        if !due {
            return None;
        }
        self.take_back();
        self.idle.take().inspect(|_| {
            self.last = Instant::now();
            self.last_epoch = epoch.unwrap_or(self.last_epoch);
        })
    }

    /// The buffers for the last checkpoint: waits for the one before it.
    pub(super) fn last(&mut self) -> Option<Saved<T>> {
        if self.idle.is_none()
            && let Ok((saved, outcome)) = self.written.recv()
        {
            self.took_back(saved, outcome);
        }
        self.idle.take()
    }

    /// The first failure, and the first after a success, once.
    pub(super) fn news(&mut self) -> Option<String> {
        self.take_back();
        self.news.take()
    }

    /// Takes the buffers back.
    pub(super) fn keep(&mut self, saved: Saved<T>) {
        self.idle = Some(saved);
    }

    /// Has it written.
    pub(super) fn write(&mut self, saved: Saved<T>) {
        if let Some(writer) = &self.to_write {
            // The writer ends when this sender is dropped, not before.
            let _ = writer.send(saved);
        }
    }

    /// Waits until all is written; what went wrong with the last, if anything did.
    pub(super) fn finish(mut self) -> Option<String> {
        self.idle = self.last();
        if !self.join() {
            return Some("checkpoint: the thread that writes it panicked".into());
        }
        let failure = self.failure.take()?;
        Some(format!("the last checkpoint was not written: {failure}"))
    }

    /// Ends the writer, when it has written what was sent; false if it panicked.
    fn join(&mut self) -> bool {
        self.to_write = None;
        self.writer.take().is_none_or(|writer| writer.join().is_ok())
    }

    fn take_back(&mut self) {
        if let Ok((saved, outcome)) = self.written.try_recv() {
            self.took_back(saved, outcome);
        }
    }

    fn took_back(&mut self, saved: Saved<T>, outcome: Result<()>) {
        self.idle = Some(saved);
        // The run goes on: there may be room on the disk the next time, and if not, what is learnt is not lost.
        let failure = outcome.err().map(|e| e.to_string());
        if let (None, Some(e)) = (&self.failure, &failure) {
            self.news = Some(format!("a checkpoint was not written: {e}"));
        }
        self.failure = failure;
    }
}

/// Also where the run ends by an error or a panic: what was sent is written.
impl<T: Real> Drop for Keeper<T> {
    fn drop(&mut self) {
        self.join();
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::super::checkpoint::Identity;
    use super::*;

    fn keeper(path: &std::path::Path) -> (Keeper<f32>, Saved<f32>) {
        let mut saved = Saved::new(Identity { named: Vec::new(), value: None });
        saved.params = vec![1.0; 1 << 20];
        let keeping = Keeping { path: path.into(), every: Every::Epochs(1), note: String::new() };
        let mut keeper = Keeper::new(&keeping, saved).unwrap();
        let buffers = keeper.due(Some(1)).unwrap();
        (keeper, buffers)
    }

    #[test]
    fn what_is_on_its_way_arrives_when_a_run_ends_by_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("run");
        let (mut keeper, saved) = keeper(&path);
        keeper.write(saved);
        drop(keeper);
        assert!(std::fs::metadata(&path).unwrap().len() > 4 << 20);
    }

    #[test]
    fn a_failure_is_told_at_once_and_once() {
        let directory = tempfile::tempdir().unwrap();
        let missing = directory.path().join("none/run");
        let (mut keeper, mut saved) = keeper(&missing);
        let mut told = Vec::new();
        for epoch in 2..5 {
            keeper.write(saved);
            saved = loop {
                told.extend(keeper.news());
                if let Some(saved) = keeper.due(Some(epoch)) {
                    break saved;
                }
                thread::yield_now();
            };
        }
        keeper.keep(saved);
        let failed = crate::output::check(&missing).unwrap_err();
        assert_eq!(told, [format!("a checkpoint was not written: {failed}")]);
        assert_eq!(keeper.finish(), Some(format!("the last checkpoint was not written: {failed}")));
    }
}

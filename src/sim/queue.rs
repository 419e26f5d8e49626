//! The event queue: who finishes next.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

/// Finish times in a total order: by time, then in the order in which they were entered.
#[derive(Default)]
pub(super) struct Queue {
    heap: BinaryHeap<Reverse<Event>>,
    entered: u64,
}

/// A worker finishes a job.
#[derive(Clone, Copy)]
pub(super) struct Event {
    /// Virtual seconds.
    pub time: f64,
    /// The how-manieth event of the run: no two are equal.
    sequence: u64,
    /// The worker.
    pub worker: u32,
    /// The worker's count of started jobs when it started this one: another if the job was stopped since.
    pub start: u32,
}

impl Queue {
    /// Enters that `worker` finishes its job number `start` at `time`. O(log workers).
    pub(super) fn push(&mut self, time: f64, worker: u32, start: u32) {
        self.heap.push(Reverse(Event { time, sequence: self.entered, worker, start }));
        self.entered += 1;
    }

    /// The next event. O(log workers).
    pub(super) fn pop(&mut self) -> Option<Event> {
        self.heap.pop().map(|Reverse(event)| event)
    }
}

impl Ord for Event {
    fn cmp(&self, other: &Self) -> Ordering {
        self.time.total_cmp(&other.time).then(self.sequence.cmp(&other.sequence))
    }
}

impl PartialOrd for Event {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Event {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Event {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_come_in_the_order_of_entry() {
        let mut queue = Queue::default();
        for (time, worker) in [(2.0, 0), (1.0, 3), (1.0, 1), (2.0, 2), (0.5, 4)] {
            queue.push(time, worker, 0);
        }
        let order: Vec<u32> = std::iter::from_fn(|| queue.pop()).map(|event| event.worker).collect();
        assert_eq!(order, [4, 3, 1, 0, 2]);
    }
}

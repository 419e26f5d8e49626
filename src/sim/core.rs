//! The event core: workers with jobs in virtual time.

use std::collections::VecDeque;

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::SeedableRng;

use super::pool::Pool;
use super::problem::{Problem, Stream};
use super::queue::{Event, Queue};
use super::recorders::Recorders;
use crate::Result;
use crate::law::{Law, Pace};
use crate::step::Moment;

/// Workers, their jobs, and the parameters that the jobs' results change.
///
/// The server algorithms decide what to do with an arrival; everything else is here.
pub(super) struct Core<'p, P: ?Sized> {
    pub problem: &'p P,
    /// The parameters x_k.
    pub x: Vec<f64>,
    /// k: the updates so far. Delays are differences of this count.
    pub iteration: u64,
    /// Virtual seconds.
    pub now: f64,
    /// Gradients that arrived. A block of local steps is as many as it has steps.
    pub gradients: u64,
    /// Σγ over the updates.
    pub spent: f64,
    pub recorders: Recorders,
    /// Arrived gradients and kept mass of each worker.
    pub shares: Vec<Share>,
    /// The last gradient computed.
    pub gradient: Vec<f64>,
    /// The server's own stream, for assignments.
    pub stream: Stream,
    /// Gradients in a job: 1, or the length of a block.
    job_length: u64,
    queue: Queue,
    pool: Pool,
    workers: Vec<Worker>,
    pace: Pace,
    /// Gradients begun.
    begun: u64,
}

/// What a worker has contributed.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Share {
    /// Gradients that arrived.
    pub gradients: u64,
    /// The sum of their weights.
    pub kept: f64,
}

/// A gradient to be computed at parameters that were sent at some iteration.
#[derive(Clone, Copy)]
pub(super) struct Job {
    pub worker: usize,
    /// The iteration k at which the parameters were sent.
    pub version: u64,
    /// Σγ then.
    pub spent: f64,
    pub sample: u64,
    slot: u32,
}

struct Worker {
    running: Option<Job>,
    /// Jobs that wait until the running one is done, first come, first served.
    waiting: VecDeque<Job>,
    /// Jobs started.
    starts: u32,
    /// Two streams, so that the schedule does not depend on what the problem draws.
    times: Xoshiro256PlusPlus,
    samples: Stream,
}

/// The bytes that a worker takes beside snapshots; the queue's memory grows by doubling.
pub(super) const WORKER: usize =
    size_of::<Worker>() + size_of::<Share>() + 2 * size_of::<Event>() + size_of::<f64>();

impl<'p, P: Problem + ?Sized> Core<'p, P> {
    /// `workers` idle workers. Worker w's streams are the w-th jumps of the seed's.
    pub(super) fn new(problem: &'p P, law: &Law, workers: usize, seed: u64, job_length: u64) -> Result<Self> {
        let mut times = Xoshiro256PlusPlus::seed_from_u64(seed);
        let mut samples = times.clone();
        samples.long_jump();
        let mut stream = samples.clone();
        stream.long_jump();
        let make = |_| {
            times.jump();
            samples.jump();
            let (times, samples) = (times.clone(), samples.clone());
            Worker { running: None, waiting: VecDeque::new(), starts: 0, times, samples }
        };
        let x = problem.start();
        Ok(Core {
            problem,
            iteration: 0,
            now: 0.0,
            gradients: 0,
            spent: 0.0,
            recorders: Recorders::new(workers, false),
            shares: vec![Share::default(); workers],
            gradient: vec![0.0; x.len()],
            stream,
            job_length,
            queue: Queue::default(),
            pool: Pool::new(x.len()),
            workers: (0..workers).map(make).collect(),
            pace: law.pace(workers)?,
            begun: 0,
            x,
        })
    }

    pub(super) fn workers(&self) -> usize {
        self.workers.len()
    }

    /// Sends the present parameters to `worker`, who starts at once or when the jobs before are done. O(d).
    pub(super) fn send(&mut self, worker: usize) {
        let slot = self.pool.take(&self.x);
        let job = Job { worker, version: self.iteration, spent: self.spent, sample: 0, slot };
        if self.workers[worker].running.is_some() {
            self.workers[worker].waiting.push_back(job);
        } else {
            self.begin(job);
        }
    }

    /// Sends the present parameters to every worker.
    pub(super) fn send_all(&mut self) {
        (0..self.workers()).for_each(|worker| self.send(worker));
    }

    /// Starts a job: its sample and its time are drawn.
    fn begin(&mut self, mut job: Job) {
        let worker = &mut self.workers[job.worker];
        job.sample = self.problem.draw(job.worker, self.begun, &mut worker.samples);
        self.begun += self.job_length;
        let (mut end, mut cost) = (self.now, 1.0);
        for step in 0..self.job_length {
            if self.pace.by_sample() {
                let sample = self.problem.local_sample(job.worker, job.sample, step);
                cost = self.problem.cost(job.worker, sample);
            }
            end += self.pace.seconds(job.worker, end, cost, &mut worker.times);
        }
        worker.starts = worker.starts.wrapping_add(1);
        worker.running = Some(job);
        self.queue.push(end, job.worker as u32, worker.starts);
    }

    /// The next job to be done: time moves on. `None` when nobody works. The caller must
    /// [`release`](Self::release) it.
    pub(super) fn next(&mut self) -> Option<Job> {
        loop {
            let event = self.queue.pop()?;
            let worker = &mut self.workers[event.worker as usize];
            if worker.starts != event.start {
                continue; // that job was stopped
            }
            let Some(job) = worker.running.take() else { continue };
            let next = worker.waiting.pop_front();
            self.now = event.time;
            self.gradients += self.job_length;
            self.shares[job.worker].gradients += self.job_length;
            if let Some(next) = next {
                self.begin(next);
            }
            return Some(job);
        }
    }

    /// Stops what `worker` is doing, and what waits. Its results are lost.
    pub(super) fn stop(&mut self, worker: usize) {
        let worker = &mut self.workers[worker];
        worker.starts = worker.starts.wrapping_add(1);
        for job in worker.running.take().into_iter().chain(worker.waiting.drain(..)) {
            self.pool.release(job.slot);
        }
    }

    /// The version of the job that `worker` is at.
    pub(super) fn running(&self, worker: usize) -> Option<u64> {
        self.workers[worker].running.map(|job| job.version)
    }

    /// Computes the job's gradient into `self.gradient`. O(d).
    pub(super) fn compute(&mut self, job: &Job) {
        let (x, stream) = (self.pool.get(job.slot), &mut self.workers[job.worker].samples);
        self.problem.gradient(job.worker, job.sample, x, stream, &mut self.gradient);
    }

    /// Makes the job's local steps of size `step` on a copy of what it was sent, into `copy`, and then
    /// turns that into the difference.
    pub(super) fn compute_block(&mut self, job: &Job, step: f64, copy: &mut [f64]) {
        let (sent, stream) = (self.pool.get(job.slot), &mut self.workers[job.worker].samples);
        copy.copy_from_slice(sent);
        let count = self.job_length;
        self.problem.local_steps(job.worker, job.sample, count, step, copy, stream, &mut self.gradient);
        copy.iter_mut().zip(sent).for_each(|(copy, sent)| *copy -= sent);
    }

    /// The parameters that the job was sent.
    pub(super) fn sent(&self, job: &Job) -> &[f64] {
        self.pool.get(job.slot)
    }

    /// Forgets what the job was sent.
    pub(super) fn release(&mut self, job: &Job) {
        self.pool.release(job.slot);
    }

    /// The delay of a job that arrives now.
    pub(super) fn delay(&self, job: &Job) -> u64 {
        self.iteration - job.version
    }

    /// What the step rule knows of a job that arrives now.
    pub(super) fn moment(&self, job: &Job) -> Moment {
        let (delay, spent) = (self.delay(job), self.spent - job.spent);
        Moment { iteration: self.iteration, epoch: self.epoch(), delay, spent }
    }

    /// Σ of the delays that the jobs in flight would have now.
    pub(super) fn in_flight_delays(&self) -> u64 {
        let jobs = self.workers.iter().flat_map(|worker| worker.running.iter().chain(&worker.waiting));
        jobs.map(|job| self.iteration - job.version).sum()
    }

    /// The time in epochs, for schedules.
    pub(super) fn epoch(&self) -> f64 {
        self.gradients as f64 / self.problem.epoch()
    }

    /// x −= step·`self.gradient`, one iteration. A step of 0 counts too.
    pub(super) fn descend(&mut self, step: f64) {
        if step != 0.0 {
            self.x.iter_mut().zip(&self.gradient).for_each(|(x, g)| *x -= step * g);
            self.pool.changed();
        }
        self.spent += step;
        self.iteration += 1;
    }

    /// One iteration that changes the parameters by `change`.
    pub(super) fn update(&mut self, step: f64, change: impl FnOnce(&mut [f64])) {
        change(&mut self.x);
        self.pool.changed();
        self.spent += step;
        self.iteration += 1;
    }

    /// Records the delay of a gradient that got this weight.
    pub(super) fn record(&mut self, job: &Job, delay: u64, weight: f64) {
        self.recorders.record(job.worker, delay, weight);
        self.shares[job.worker].kept += weight;
    }
}

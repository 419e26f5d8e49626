//! Consistent snapshots (Leashed-SGD, Bäckström, Papatriantafilou and Tsigas 2021): a worker reads parameters that
//! nobody changes, and publishes whole new ones by exchanging a pointer.
//!
//! A gradient is computed from one state of all parameters, and applied to one: never to a mixture. Its delay is
//! exact, the number of publications between the two. What another worker publishes first makes the exchange fail;
//! then the gradient is applied anew to the newest state, up to a bound, which keeps slow workers from spinning for
//! ever and late gradients from being ever later. The price is a copy of all parameters for each publication.

use super::{Direction, Gradient, Inertia, Worker};
use crate::model::Objective;
use crate::params::{Params, Update};
use crate::real::Real;
use crate::step::Moment;
use crate::sync::snapshots::{Arc, ArcSwap};
use std::ops::Range;

/// The newest snapshot, shared by the workers.
pub(crate) struct Leash<T> {
    newest: ArcSwap<Snapshot<T>>,
    retries: u32,
}

/// A state of all parameters.
struct Snapshot<T> {
    values: Vec<T>,
    /// Publications before it.
    iteration: u64,
}

/// A worker's hold on the leash, with snapshots that it may reuse.
pub(crate) struct Hand<'a, T> {
    leash: &'a Leash<T>,
    spare: Vec<Arc<Snapshot<T>>>,
}

impl<T: Real> Leash<T> {
    /// The leash for an update mode, if it is leashed, from these parameters on, which so many publications have made.
    pub(crate) fn new(update: Update, values: impl FnOnce() -> Vec<T>, iteration: u64) -> Option<Self> {
        let Update::Leashed { retries } = update else { return None };
        let values = values();
        Some(Self { newest: ArcSwap::from_pointee(Snapshot { values, iteration }), retries })
    }

    /// For one worker, with what it allocates.
    pub(crate) fn hand(&self, parameters: usize) -> Hand<'_, T> {
        let snapshot = || Arc::new(Snapshot { values: vec![T::ZERO; parameters], iteration: 0 });
        Hand { leash: self, spare: (0..2).map(|_| snapshot()).collect() }
    }

    /// Copies the newest parameters to `params`, and tells how many publications have made them.
    pub(crate) fn copy_to(&self, params: &Params<T>) -> u64 {
        let newest = self.newest.load();
        params.store(&newest.values);
        newest.iteration
    }

    /// Copies the newest parameters into `out`, and tells how many publications have made them.
    pub(crate) fn copy_into(&self, out: &mut Vec<T>) -> u64 {
        let newest = self.newest.load();
        out.clone_from(&newest.values);
        newest.iteration
    }

    /// Whether these of the newest parameters are finite.
    pub(crate) fn is_finite(&self, range: Range<usize>) -> bool {
        self.newest.load().values[range].iter().all(|value| value.is_finite())
    }

    /// Publications so far.
    pub(crate) fn iterations(&self) -> u64 {
        self.newest.load().iteration
    }

    /// Goes on from these parameters. Only while no worker runs.
    pub(crate) fn set(&self, values: Vec<T>) {
        let iteration = self.newest.load().iteration;
        self.newest.store(Arc::new(Snapshot { values, iteration }));
    }
}

impl<T: Real> Hand<'_, T> {
    /// A snapshot that only this worker holds. Allocates where others still read all that it had.
    fn free(&mut self, parameters: usize) -> Arc<Snapshot<T>> {
        match self.spare.iter_mut().position(|spare| Arc::get_mut(spare).is_some()) {
            Some(at) => self.spare.swap_remove(at),
            None => Arc::new(Snapshot { values: vec![T::ZERO; parameters], iteration: 0 }),
        }
    }
}

impl<T: Real> Worker<T> {
    /// Computes the gradient of a batch from the newest snapshot, and publishes a step along it, or along what
    /// `inertia` makes of it.
    pub(crate) fn apply_leashed<O: Objective<T>>(
        &mut self,
        hand: &mut Hand<'_, T>,
        objective: &O,
        (gradient, inertia): (&mut O::Gradient, Option<&mut Inertia<T>>),
        batch: Range<usize>,
    ) {
        let read = hand.leash.newest.load_full();
        objective.gradient(batch, &read.values[..], gradient);
        let direction = inertia.map(|inertia| inertia.direction(objective, gradient, &read.values[..]));
        let local = &mut self.local;
        self.core.follow(local);
        let (epoch, rate) = local.time.unwrap_or((0.0, local.stepper.rate(0.0)));
        let mut next = hand.free(read.values.len());
        let mut failed = 0;
        loop {
            let newest = hand.leash.newest.load_full();
            let (iteration, delay) = (newest.iteration, newest.iteration - read.iteration);
            let weight = local.stepper.weight_at(&Moment { iteration, epoch, delay, spent: 0.0 }, rate);
            let Some(new) = Arc::get_mut(&mut next).filter(|_| weight > 0.0 && failed <= hand.leash.retries)
            else {
                // Given up, or too late for the rule.
                local.recorder.record(delay, 0.0);
                break;
            };
            new.values.copy_from_slice(&newest.values);
            new.iteration = iteration + 1;
            let step = T::from_f64(rate * weight);
            match direction {
                Some(direction) => direction.descend(step, &mut new.values[..]),
                None => Gradient(objective, &*gradient).descend(step, &mut new.values[..]),
            }
            let before = hand.leash.newest.compare_and_swap(&newest, Arc::clone(&next));
            if Arc::ptr_eq(&before, &newest) {
                local.recorder.record(delay, weight);
                hand.spare.push(newest);
                break;
            }
            failed += 1;
        }
        local.failed += u64::from(failed);
        if let Some(unused) = (Arc::strong_count(&next) == 1).then_some(next) {
            hand.spare.push(unused);
        }
        hand.spare.truncate(SPARE);
    }
}

/// Snapshots that a worker keeps for reuse.
const SPARE: usize = 4;

#[cfg(all(test, not(loom)))]
mod tests {
    use super::super::Hogwild;
    use super::*;

    #[test]
    fn only_leashed_updates_have_a_leash() {
        assert!(Leash::<f32>::new(Update::Cas, || vec![0.0], 0).is_none());
        let leash = Leash::new(Update::Leashed { retries: 3 }, || vec![1.0f32, 2.0], 7).unwrap();
        let (mut copy, params) = (Vec::new(), Params::zeros(2));
        assert_eq!((leash.copy_into(&mut copy), &copy[..]), (7, &[1.0, 2.0][..]));
        leash.set(vec![3.0, 4.0]);
        assert_eq!((leash.copy_to(&params), leash.iterations()), (7, 7));
        assert_eq!(params.snapshot(), [3.0, 4.0]);
    }

    /// Somebody else publishes whenever a step is made: no exchange can succeed while `rival` does.
    struct Overtaken<'a> {
        leash: &'a Leash<f32>,
        times: crate::sync::Mutex<u32>,
    }

    impl Objective<f32> for Overtaken<'_> {
        type Gradient = ();
        fn parameters(&self) -> usize {
            1
        }
        fn examples(&self) -> usize {
            1
        }
        fn buffer(&self) {}
        fn gradient<W: crate::weights::Weights<f32> + ?Sized>(&self, _: Range<usize>, _: &W, (): &mut ()) {}
        fn descend<S: crate::weights::Sink<f32> + ?Sized>(&self, (): &(), step: f32, weights: &mut S) {
            weights.update(0, |_| -step);
            let mut left = self.times.lock().unwrap();
            if *left > 0 {
                *left -= 1;
                self.leash.set(vec![100.0]);
            }
        }
        fn value(&self, _: &[f32]) -> f64 {
            0.0
        }
    }

    #[test]
    fn after_so_many_lost_exchanges_a_gradient_is_given_up() {
        const RETRIES: u32 = 3;
        let update = Update::Leashed { retries: RETRIES };
        for (lost, kept) in [(0, true), (1, true), (RETRIES, true), (RETRIES + 1, false), (1000, false)] {
            let leash = Leash::new(update, || vec![0.0f32], 0).unwrap();
            let rule = crate::step::constant(0.5);
            let shared = Hogwild::with(Params::zeros(1), rule, 2, Update::Cas, 1.0).unwrap();
            let (mut worker, mut hand) = (shared.worker(), leash.hand(1));
            let objective = Overtaken { leash: &leash, times: crate::sync::Mutex::new(lost) };
            worker.apply_leashed(&mut hand, &objective, (&mut (), None), 0..1);
            assert_eq!(worker.failed_attempts(), u64::from(lost.min(RETRIES + 1)), "{lost}");
            let delays = worker.delays().snapshot();
            assert_eq!((delays.count(), delays.kept_mass()), (1, f64::from(u8::from(kept))), "{lost}");
            let mut now = Vec::new();
            leash.copy_into(&mut now);
            let before = if lost > 0 { 100.0 } else { 0.0 };
            assert_eq!(now, [if kept { before - 0.5 } else { before }], "{lost}");
            assert_eq!(leash.iterations(), u64::from(kept));
        }
    }

    #[test]
    fn a_snapshot_that_is_read_is_not_reused() {
        let leash = Leash::new(Update::Leashed { retries: 3 }, || vec![1.0f32], 0).unwrap();
        let mut hand = leash.hand(1);
        let held: Vec<_> = hand.spare.iter().map(Arc::clone).collect();
        let new = hand.free(1);
        assert!(held.iter().all(|held| !Arc::ptr_eq(held, &new)));
        drop(held);
        let reused = Arc::as_ptr(&hand.spare[0]);
        assert_eq!(Arc::as_ptr(&hand.free(1)), reused);
    }
}

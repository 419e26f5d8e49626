//! A step rule at work: one object a worker.

use super::tail::Distribution;
use super::{Concurrency, StepRule, Threshold, Weight};
use crate::sync::{Arc, AtomicF64, CachePadded, Ordering};

/// Delays below this take their weight from a table where it would cost a power or an exponential.
const TABLE: usize = 1024;

/// Rounding that a budget may be exceeded by, relative to it: sums of steps are differences of long sums.
const SLACK: f64 = 1e-9;

/// A gradient at the moment of its update.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Moment {
    /// The iteration's number k, from 0.
    pub iteration: u64,
    /// The time in epochs, ≥ 0, for the schedule.
    pub epoch: f64,
    /// The delay τ in iterations.
    pub delay: u64,
    /// The sum of the steps taken between this gradient's read and its write; needed only if
    /// [`Stepper::needs_spent`].
    pub spent: f64,
}

/// A step rule resolved for a number of workers, made by [`StepRule::stepper`].
///
/// Each worker owns a clone. Clones share what the rule learns from the delays of all workers (the mean of
/// [`Concurrency::Online`] and the distribution of [`Weight::Tail`]): a slow worker would find its own
/// delays normal. A step costs a few nanoseconds and never allocates.
#[derive(Debug, Clone)]
pub struct Stepper {
    rule: StepRule,
    /// C; the start value of the mean if it is online.
    concurrency: f64,
    /// w(0), w(1), …; empty if the weight needs none.
    table: Box<[f64]>,
    mean_delay: Option<Arc<CachePadded<AtomicF64>>>,
    tail: Option<Distribution>,
}

impl Stepper {
    /// `rule` has been checked; `c` is the concurrency to start from.
    pub(super) fn new(rule: StepRule, c: usize) -> Self {
        let online = rule.concurrency == Concurrency::Online;
        let tail = matches!(rule.weight, Weight::Tail { .. }).then(|| Distribution::new(c));
        let mean_delay = online.then(|| Arc::new(CachePadded::new(AtomicF64::new((c - 1) as f64))));
        let mut stepper = Stepper { rule, concurrency: c as f64, table: Box::default(), mean_delay, tail };
        stepper.tabulate();
        stepper
    }

    /// The rule that this was made from.
    pub fn rule(&self) -> &StepRule {
        &self.rule
    }

    /// η: the base rate times its schedule at `epoch`.
    #[inline]
    pub fn rate(&self, epoch: f64) -> f64 {
        self.rule.rate * self.rule.schedule.factor(epoch)
    }

    /// w(τ), so that the step is η·w. In \[0, 1\], except for [`Weight::Tail`] (up to 2) and the rules that
    /// [set the step](Weight::sets_step) themselves.
    ///
    /// Ask once for each gradient: rules that learn from the delays take note of this one.
    #[inline]
    pub fn weight(&mut self, moment: &Moment) -> f64 {
        self.weight_at(moment, self.rate(moment.epoch))
    }

    /// γ = η·w(τ). Ask once for each gradient, instead of [`weight`](Self::weight).
    #[inline]
    pub fn step(&mut self, moment: &Moment) -> f64 {
        let rate = self.rate(moment.epoch);
        rate * self.weight_at(moment, rate)
    }

    /// C: the number of workers, the number demanded, or what the delays so far say.
    #[inline]
    pub fn concurrency(&self) -> f64 {
        match &self.mean_delay {
            // Relaxed: an estimate, which nothing is read through.
            Some(mean) => 1.0 + mean.load(Ordering::Relaxed),
            None => self.concurrency,
        }
    }

    /// Tells that there are now `n` ≥ 1 workers. An exact or an online concurrency is not touched.
    pub fn set_concurrency(&mut self, n: usize) {
        if self.rule.concurrency == Concurrency::Workers {
            self.concurrency = n.max(1) as f64;
            self.tabulate();
        }
    }

    /// Whether the rule needs [`Moment::spent`].
    pub fn needs_spent(&self) -> bool {
        matches!(self.rule.weight, Weight::Budget1 { .. } | Weight::Budget2 { .. })
    }

    /// Whether a gradient without delay takes the whole rate, whatever came before it, and the rule learns nothing from
    /// it.
    pub(crate) fn is_whole_at_once(&self) -> bool {
        let learns = matches!(self.rule.weight, Weight::Tail { .. } | Weight::AdaDelay { .. });
        !learns && !self.needs_spent() && self.mean_delay.is_none()
    }

    /// Whether gradients that are not [admitted](Self::admits) advance the iteration counter all the same.
    /// Only [`Weight::Ringmaster`] counts applied updates alone.
    pub fn counts_ignored(&self) -> bool {
        !matches!(self.rule.weight, Weight::Ringmaster { .. })
    }

    /// Whether a gradient of this delay is applied at all.
    ///
    /// A drop threshold is never taken below 2·C, so its guarantee survives workers that join later.
    #[inline]
    pub fn admits(&self, delay: u64) -> bool {
        match self.rule.weight {
            Weight::Drop { threshold } => {
                let c = self.concurrency();
                delay as f64 <= threshold.at(c).max(2.0 * c)
            }
            Weight::Ringmaster { threshold: Threshold::Iterations(r) } => delay < r,
            Weight::Ringmaster { threshold } => (delay as f64) < threshold.at(self.concurrency()),
            _ => true,
        }
    }

    /// [`weight`](Self::weight) where the rate at this moment is known: a cosine is not to be taken an update.
    #[inline(always)]
    pub(crate) fn weight_at(&mut self, moment: &Moment, rate: f64) -> f64 {
        // The usual rules in line: with the call of the others an update takes a tenth longer.
        match (&self.mean_delay, self.rule.weight) {
            (None, Weight::Constant) => 1.0,
            (None, Weight::DelayAdaptive) => ratio(self.concurrency, moment.delay as f64),
            _ => self.any_weight(moment, rate),
        }
    }

    #[inline(never)]
    fn any_weight(&mut self, moment: &Moment, rate: f64) -> f64 {
        let tau = moment.delay as f64;
        let weight = match self.rule.weight {
            Weight::Constant => 1.0,
            Weight::DelayAdaptive => ratio(self.concurrency(), tau),
            Weight::Koloskova { smoothness } => ratio(1.0, 4.0 * smoothness * rate * tau),
            Weight::Drop { .. } | Weight::Ringmaster { .. } => f64::from(self.admits(moment.delay)),
            Weight::Inverse { exponent } => self.tabulated(moment.delay, |tau| (1.0 + tau).powf(-exponent)),
            Weight::Fleet => self.tabulated(moment.delay, |tau| fleet(self.concurrency(), tau)),
            Weight::Tail { amplitude } => self
                .tail
                .as_mut()
                .and_then(|tail| tail.share(moment.iteration, moment.delay))
                .map_or(1.0, |share| 1.0 + amplitude * (1.0 - 2.0 * share)),
            Weight::Budget1 { budget, share } => over(share * (budget - moment.spent).max(0.0), rate),
            Weight::Budget2 { budget } => {
                let step = budget / (tau + 1.0);
                if step <= budget - moment.spent + SLACK * budget { over(step, rate) } else { 0.0 }
            }
            Weight::AdaDelay { smoothness, growth } => {
                over(1.0 / (smoothness + growth * (moment.iteration as f64 + tau).sqrt()), rate)
            }
        };
        if let Some(mean) = &self.mean_delay {
            observe(mean, moment);
        }
        weight
    }

    #[inline]
    fn tabulated(&self, delay: u64, weight: impl Fn(f64) -> f64) -> f64 {
        match self.table.get(delay as usize) {
            Some(&w) => w,
            None => weight(delay as f64),
        }
    }

    fn tabulate(&mut self) {
        let c = self.concurrency;
        let fill = |weight: &dyn Fn(f64) -> f64| (0..TABLE).map(|tau| weight(tau as f64)).collect();
        self.table = match self.rule.weight {
            Weight::Inverse { exponent } => fill(&|tau| (1.0 + tau).powf(-exponent)),
            Weight::Fleet if self.mean_delay.is_none() => fill(&|tau| fleet(c, tau)),
            _ => Box::default(),
        };
    }
}

/// min(1, a/b) for b ≥ 0 without a division in the usual case.
#[inline]
fn ratio(a: f64, b: f64) -> f64 {
    if b <= a { 1.0 } else { a / b }
}

/// The weight that makes the step `step`; a schedule at 0 stops it.
#[inline]
fn over(step: f64, rate: f64) -> f64 {
    if rate > 0.0 { step / rate } else { 0.0 }
}

fn fleet(c: f64, tau: f64) -> f64 {
    let half = (c + 1.0) / 2.0;
    (-tau / half * (1.0 + half).ln()).exp()
}

/// Moves the running mean towards the delay. It comes after the weight, so that a late gradient does not
/// excuse itself.
#[inline]
fn observe(mean: &AtomicF64, moment: &Moment) {
    let factor = (1.0 / (moment.iteration as f64 + 1.0)).max(0.01);
    // Relaxed load and store: an observation lost to another worker's does not matter to a running mean.
    let before = mean.load(Ordering::Relaxed);
    mean.store(before + factor * (moment.delay as f64 - before), Ordering::Relaxed);
}

//! A speed law at work: draws the time of each gradient.

use rand_distr::{Distribution, Exp, LogNormal, Pareto, Uniform};
use rand_xoshiro::Xoshiro256PlusPlus;

use super::Factor;
use crate::{Error, Result};

/// A law resolved for a number of workers.
pub(crate) struct Pace {
    /// The first worker of each group, in order, and the products that are added up for it.
    groups: Vec<(usize, Vec<Part>)>,
}

/// One product of factors.
struct Part {
    /// The constant factors of each worker, multiplied.
    base: Vec<f64>,
    draws: Vec<Draw>,
    phases: Option<OnOff>,
    by_sample: bool,
}

/// What is drawn for each gradient.
enum Draw {
    Uniform(Uniform<f64>),
    Exponential { shift: f64, law: Exp<f64> },
    LogNormal(LogNormal<f64>),
    Pareto(Pareto<f64>),
    Wave { amplitude: f64, period: f64 },
}

/// The state of the on/off process of each worker.
struct OnOff {
    on: Exp<f64>,
    off: Option<Exp<f64>>,
    share_on: f64,
    workers: Vec<Phase>,
}

/// Changes between on and off in the time of one gradient. With more of them the law is not the one that was meant,
/// and where they are shorter than a number can tell beside the time they never end.
const MOST_PHASES: usize = 10_000_000;

#[derive(Clone, Copy)]
struct Phase {
    is_on: bool,
    until: f64,
}

impl Pace {
    /// Of groups of workers, each with its size and its sum of products.
    pub(super) fn new<'a>(groups: impl Iterator<Item = (&'a [Vec<Factor>], usize)>) -> Result<Self> {
        let mut first = 0;
        let of = |(sum, workers): (&[Vec<Factor>], usize)| {
            let parts = sum.iter().map(|product| Part::new(product, workers)).collect::<Result<_>>()?;
            first += workers;
            Ok((first - workers, parts))
        };
        Ok(Pace { groups: groups.map(of).collect::<Result<_>>()? })
    }

    /// The seconds that `worker` takes for a gradient that it starts `now`, at a sample of this `cost`; not finite
    /// where a number cannot tell them.
    #[inline]
    pub(crate) fn seconds(
        &mut self,
        worker: usize,
        now: f64,
        cost: f64,
        rng: &mut Xoshiro256PlusPlus,
    ) -> f64 {
        let group = self.groups.partition_point(|(first, _)| *first <= worker) - 1;
        let (first, parts) = &mut self.groups[group];
        parts.iter_mut().map(|part| part.seconds(worker - *first, now, cost, rng)).sum()
    }

    /// Whether the cost of a sample matters.
    pub(crate) fn by_sample(&self) -> bool {
        self.groups.iter().any(|(_, parts)| parts.iter().any(|part| part.by_sample))
    }
}

impl Part {
    fn new(product: &[Factor], workers: usize) -> Result<Self> {
        let mut part = Part { base: vec![1.0; workers], draws: Vec::new(), phases: None, by_sample: false };
        for factor in product {
            match *factor {
                Factor::List(ref times) if times.len() != workers => {
                    let line = format!("speed law {factor}: {} times for {workers} workers", times.len());
                    return Err(Error::usage(line));
                }
                Factor::Straggler(_, many) if many > workers => {
                    let line = format!("speed law {factor}: {many} stragglers among {workers} workers");
                    return Err(Error::usage(line));
                }
                Factor::Uniform(t, spread) => {
                    let (least, most) = (t * (1.0 - spread), t * (1.0 + spread));
                    if least < most {
                        part.draws.push(Draw::Uniform(sound(Uniform::new(least, most))));
                    } else {
                        // No number lies between.
                        part.base.iter_mut().for_each(|base| *base *= t);
                    }
                }
                Factor::Exponential(mean) => {
                    part.draws.push(Draw::Exponential { shift: 0.0, law: sound(Exp::new(1.0 / mean)) });
                }
                Factor::ShiftedExponential(shift, mean) => {
                    part.draws.push(Draw::Exponential { shift, law: sound(Exp::new(1.0 / mean)) });
                }
                Factor::LogNormal(median, sigma) => {
                    part.draws.push(Draw::LogNormal(sound(LogNormal::new(median.ln(), sigma))));
                }
                Factor::Pareto(shape, scale) => {
                    part.draws.push(Draw::Pareto(sound(Pareto::new(scale, shape))))
                }
                Factor::Wave(amplitude, period) => part.draws.push(Draw::Wave { amplitude, period }),
                Factor::OnOff(on, off) => part.phases = Some(OnOff::new(on, off, workers)),
                Factor::Sample => part.by_sample = true,
                Factor::Fixed(_)
                | Factor::List(_)
                | Factor::Speeds(..)
                | Factor::Straggler(..)
                | Factor::Half(_) => {
                    for (worker, base) in part.base.iter_mut().enumerate() {
                        *base *= factor.constant(worker, workers).expect("these factors are constants");
                    }
                }
            }
        }
        Ok(part)
    }

    #[inline]
    fn seconds(&mut self, worker: usize, now: f64, cost: f64, rng: &mut Xoshiro256PlusPlus) -> f64 {
        let mut time = self.base[worker];
        for draw in &self.draws {
            time *= match draw {
                Draw::Uniform(law) => law.sample(rng),
                Draw::Exponential { shift, law } => shift + law.sample(rng),
                Draw::LogNormal(law) => law.sample(rng),
                Draw::Pareto(law) => law.sample(rng),
                Draw::Wave { amplitude, period } => {
                    let turns = now / period + worker as f64 / self.base.len() as f64;
                    1.0 + amplitude * (std::f64::consts::TAU * turns).sin()
                }
            };
        }
        if self.by_sample {
            time *= cost;
        }
        match &mut self.phases {
            Some(phases) => phases.elapsed(worker, now, time, rng),
            None => time,
        }
    }
}

impl OnOff {
    fn new(on: f64, off: f64, workers: usize) -> Self {
        OnOff {
            on: sound(Exp::new(1.0 / on)),
            off: (off > 0.0).then(|| sound(Exp::new(1.0 / off))),
            share_on: on / (on + off),
            // Not started yet: the state at time 0 is drawn when it is first asked for.
            workers: vec![Phase { is_on: false, until: f64::NEG_INFINITY }; workers],
        }
    }

    /// The seconds from `now` until the worker has been on for `work` seconds; infinite after
    /// [`MOST_PHASES`].
    fn elapsed(&mut self, worker: usize, now: f64, work: f64, rng: &mut Xoshiro256PlusPlus) -> f64 {
        let Some(off) = self.off else { return work };
        let phase = &mut self.workers[worker];
        if phase.until == f64::NEG_INFINITY {
            phase.is_on = Uniform::new(0.0, 1.0).is_ok_and(|u| u.sample(rng) < self.share_on);
            phase.until = if phase.is_on { self.on.sample(rng) } else { off.sample(rng) };
        }
        let (mut at, mut left) = (now, work);
        for _ in 0..MOST_PHASES {
            if phase.is_on && at + left <= phase.until {
                return at + left - now;
            }
            if phase.is_on {
                left -= (phase.until - at).max(0.0);
            }
            at = at.max(phase.until);
            phase.is_on = !phase.is_on;
            phase.until += if phase.is_on { self.on.sample(rng) } else { off.sample(rng) };
        }
        f64::INFINITY
    }
}

/// The parameters were checked when the law was made.
fn sound<T, E: std::fmt::Debug>(law: Result<T, E>) -> T {
    law.expect("parameters were checked")
}

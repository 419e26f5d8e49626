//! Step sizes: γ = rate · schedule(t) · weight(τ).
//!
//! A [`StepRule`] says how, and [`StepRule::stepper`] resolves it for a number of workers into a
//! [`Stepper`], which gives each gradient its step once its delay is known.
//!
//! ```
//! use asyncsgd::step::{self, Moment, Schedule};
//!
//! let rule = step::delay_adaptive(0.5).schedule(Schedule::InverseTime { decay: 1.0 });
//! assert_eq!(rule.to_string(), "0.5*inverse-time:1*delay-adaptive");
//! let mut stepper = rule.stepper(4)?;
//! // Twice as late as the four workers make normal, after one epoch: a quarter of the rate.
//! assert_eq!(stepper.step(&Moment { iteration: 100, epoch: 1.0, delay: 8, spent: 0.0 }), 0.125);
//! # Ok::<(), asyncsgd::Error>(())
//! ```

mod optimizer;
mod rule;
mod schedule;
mod stepper;
mod tail;
mod text;
mod weight;

pub use optimizer::Optimizer;
pub use rule::{
    Concurrency, StepRule, adadelay, budget1, budget2, constant, delay_adaptive, drop, fleet, inverse,
    koloskova, ringmaster, tail,
};
pub use schedule::Schedule;
pub use stepper::{Moment, Stepper};
pub use weight::{Threshold, Weight};

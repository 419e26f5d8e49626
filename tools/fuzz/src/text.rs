//! Everything that is said on a command line: what is understood is said again in a form that means the same.

use asyncsgd::data::{Missing, Scale};
use asyncsgd::model::{ClassWeights, LossKind, ModelSpec, Precision};
use asyncsgd::sim::{self, Factor, Law, Partition};
use asyncsgd::step::{Optimizer, Schedule, StepRule, Weight};
use asyncsgd::{Algorithm, Averaging, BlockSize, Every, Pin, Update};
use std::fmt::{Debug, Display};
use std::str::FromStr;

fn read<V: FromStr + Debug>(text: &str) {
    let _ = V::from_str(text);
}

fn again<V: FromStr<Err: Debug> + Display + PartialEq + Debug>(text: &str) {
    if let Ok(value) = V::from_str(text) {
        let said = value.to_string();
        let heard = V::from_str(&said).unwrap_or_else(|e| panic!("{text:?} became {said:?}: {e:?}"));
        assert_eq!(heard, value, "{text:?} became {said:?}");
    }
}

pub fn options(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    again::<StepRule>(text);
    again::<Schedule>(text);
    again::<Weight>(text);
    again::<Optimizer>(text);
    again::<Averaging>(text);
    again::<Algorithm>(text);
    again::<BlockSize>(text);
    again::<Every>(text);
    again::<LossKind>(text);
    again::<ModelSpec>(text);
    again::<Precision>(text);
    again::<Update>(text);
    read::<ClassWeights>(text);
    read::<Factor>(text);
    read::<Law>(text);
    read::<Missing>(text);
    read::<Partition>(text);
    read::<Pin>(text);
    read::<Scale>(text);
    read::<sim::Algorithm>(text);
    read::<sim::Assignment>(text);
    if let Ok(rule) = text.parse::<StepRule>()
        && let Ok(mut stepper) = rule.stepper(8)
    {
        let moment = asyncsgd::step::Moment { iteration: 100, epoch: 1.5, delay: 9, spent: 0.5 };
        let step = stepper.step(&moment);
        assert!(step >= 0.0 && step.is_finite(), "{text:?} makes steps of {step}");
    }
}

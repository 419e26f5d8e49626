//! The automatic base rate: from the mean smoothness L of an example, which is known from the data, or from that of
//! gradients along themselves, probed on a sample.

use super::execute::message;
use crate::error::{Error, Result};
use crate::model::{Curvature, Objective};
use crate::real::Real;
use crate::step::Optimizer;

/// The most and the fewest steps that are probed, each by three gradients, and their share of an epoch's in between: for
/// gradients may be dear.
const SAMPLE: (usize, usize, usize) = (500, 16, 20);

/// The most numbers that are compared for it.
const NUMBERS: usize = 1 << 26;

/// The length of the first step, against that of the parameters or 1.
const FIRST: f64 = 1e-3;

/// A step that is shorter, against the parameters, tells more of rounding than of curvature.
const SHORTEST: f64 = 1e-5;

/// How often a first step that is too long is shortened.
const SHORTENED: u32 = 20;

/// A probed rate falls with the number of workers from here on: n late steps along one direction of curvature h are
/// stable below 2 sin(π/(2(2n − 1)))/h, and a gradient's own smoothness is a few times the mean's. A perceptron on
/// images of digits had its least loss after an epoch or two at 1/L to 1.3/L, with batches of 1 and of 64.
const IN_FLIGHT: f64 = 4.0;

/// A gradient counts for no more than one of so many times the usual length.
const LONGEST: f64 = 3.0;

/// The square root of the batch from which on the rate is 1/L. Single examples differ more: small perceptrons stopped
/// learning at 1/L, and learnt as well at a quarter of it as at the best of fixed rates.
const AVERAGED: f64 = 4.0;

/// Where there is nothing to tell a rate from.
const UNKNOWN: f64 = 0.1;

/// A base rate, and a line that says from what; `refined` where Newton's steps follow.
pub(super) fn automatic<T: Real, O: Objective<T>>(
    objective: &O,
    curvature: Option<&Curvature>,
    optimizer: Optimizer,
    (workers, batch): (usize, usize),
    refined: bool,
    start: impl FnOnce() -> Option<Vec<T>>,
) -> Result<(f64, String)> {
    if let Some(suits) = objective.rate() {
        return Ok(suits);
    }
    Ok(match curvature {
        _ if matches!(optimizer, Optimizer::Adam { .. }) => (0.001, "Adam's usual".into()),
        // Half of 1/2L ends at one and a half times the distance on flights, but at a fifteenth of it on a9a with eight
        // workers in direct mode. Newton's steps forgive that, and take fewer iterations from the nearer point: on
        // flights 11 passes for 12 or 13, on an RCV1-shaped set 7 for 8, on nine others as many or fewer.
        Some(c) => {
            let (share, of) = if refined { (0.5, "1/2L") } else { (0.25, "1/4L") };
            let line = format!("{of}, L = {:.4} the mean smoothness of an example", c.example_mean);
            (share / c.example_mean, line)
        }
        None => {
            // Copies of more parameters are not made for this.
            let small = objective.parameters() <= NUMBERS / SAMPLE.1;
            let start = if small { start() } else { None };
            let averaged = ((batch as f64).sqrt() / AVERAGED).min(1.0);
            let probed =
                start.map(|start| safely(|| probe(objective, batch, averaged, start))).transpose()?;
            match probed.flatten() {
                Some((smoothness, of)) => {
                    let late = (workers as f64 / IN_FLIGHT).max(1.0);
                    // Momentum takes each gradient 1/(1 − β) times in the end.
                    let kept = if let Optimizer::Momentum { beta } = optimizer { 1.0 - beta } else { 1.0 };
                    let share = kept / late * averaged;
                    let line = format!(
                        "{share:.3}/L, L = {smoothness:.4} the usual smoothness along {of} gradients"
                    );
                    (share / smoothness, line)
                }
                None => (UNKNOWN, "the objective tells no curvature, nor do its gradients".into()),
            }
        }
    })
}

/// The median smoothness |g(w − tg) − g(w)|/|tg| of a gradient along itself, and of how many gradients: on the way of SGD
/// from `w` over a sample of the examples, because networks bend more where they have learnt something, at the rate
/// t = `averaged`/L for the largest L so far, as a step that is too long leads where nothing is learnt any more. A gradient
/// counts by its square, as a step of SGD raises the objective by t²·mean(L·|g|²)/2 at most: examples that are learnt
/// already, or units that none of them reaches, bend nothing and say nothing.
fn probe<T: Real, O: Objective<T>>(
    objective: &O,
    batch: usize,
    averaged: f64,
    mut w: Vec<T>,
) -> Option<(f64, usize)> {
    let mut buffer = objective.buffer();
    let examples = objective.examples();
    let batches = (examples / batch).max(1);
    let (most, fewest, share) = SAMPLE;
    let sample = (batches / share).clamp(fewest, most).min(batches).min(NUMBERS / w.len().max(1)).max(1);
    let (mut next, mut after) = (w.clone(), w.clone());
    let (mut seen, mut largest, mut rate) = (Vec::new(), 0f64, None);
    for k in 0..sample {
        let first = k * batches / sample * batch;
        let range = first..(first + batch).min(examples);
        let size = length(w.iter().map(|w| w.to_f64()));
        let mut descend = |rate: f64, from: &[T], to: &mut [T]| {
            to.copy_from_slice(from);
            objective.gradient(range.clone(), from, &mut buffer);
            objective.descend(&buffer, T::from_f64(rate), to);
            length(from.iter().zip(&*to).map(|(from, to)| to.to_f64() - from.to_f64()))
        };
        let mut t = rate.unwrap_or_else(|| FIRST * size.max(1.0) / descend(1.0, &w, &mut next));
        let mut moved = descend(t, &w, &mut next);
        for _ in 0..SHORTENED {
            if moved.is_finite() {
                break;
            }
            t = if t.is_finite() { t / 4.0 } else { f64::from(f32::EPSILON) };
            moved = descend(t, &w, &mut next);
        }
        if !(moved.is_finite() && moved > SHORTEST * size) {
            continue;
        }
        descend(t, &next, &mut after);
        let steps = w.iter().zip(&next).zip(&after);
        let change = length(
            steps.map(|((w, next), after)| (after.to_f64() - next.to_f64()) - (next.to_f64() - w.to_f64())),
        );
        if !change.is_finite() {
            // Too long by far: nothing is learnt but that.
            rate = rate.map(|rate| rate / 4.0);
            continue;
        }
        seen.push((change / (t * moved), moved / t));
        largest = largest.max(change / (t * moved));
        rate = (largest > 0.0).then(|| averaged / largest);
        std::mem::swap(&mut w, &mut next);
    }
    let count = seen.len();
    usual(&mut seen).filter(|smoothness| *smoothness > 0.0).map(|smoothness| (smoothness, count))
}

/// The median of pairs of smoothness and a gradient's length, by the square of the length.
fn usual(seen: &mut [(f64, f64)]) -> Option<f64> {
    seen.sort_by(|a, b| a.1.total_cmp(&b.1));
    let most = LONGEST * seen.get(seen.len() / 2)?.1;
    seen.sort_by(|a, b| a.0.total_cmp(&b.0));
    let weight = |length: f64| length.min(most).powi(2);
    let half = seen.iter().map(|pair| weight(pair.1)).sum::<f64>() / 2.0;
    let below = seen.iter().scan(0.0, |sum, pair| {
        *sum += weight(pair.1);
        Some(*sum)
    });
    below.zip(&*seen).find(|(sum, _)| *sum >= half).map(|(_, pair)| pair.0)
}

/// What `of` tells; a panic of the objective ends the run, as one in a worker does.
fn safely<R>(of: impl FnOnce() -> R) -> Result<R> {
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(of));
    caught.map_err(|panic| Error::Panic { worker: 0, message: message(&*panic) })
}

fn length(values: impl Iterator<Item = f64>) -> f64 {
    values.map(|x| x * x).sum::<f64>().sqrt()
}

//! One worker is sequential SGD.

use super::problem::{Points, classes};
use asyncsgd::step::{self, Schedule, StepRule, Weight};
use asyncsgd::{BlockSize, Dataset, Logistic, Objective, Pin, Real, Run, Trainer, Update, model::Model};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_xoshiro::Xoshiro256PlusPlus;
use std::ops::Range;

/// Calls `batch(examples, rate)` for each mini-batch of a run, in its order: rows stand in the order of the
/// data, chunk by chunk; from the second epoch on the chunks are shuffled; the rate stays for a chunk.
fn in_order<T: Real>(run: &Run<T>, examples: usize, mut batch: impl FnMut(Range<usize>, f64)) {
    let (plan, chunks) = (&run.plan, examples.div_ceil(run.plan.chunk));
    for epoch in 0..plan.epochs.ceil() as u64 {
        let mut order: Vec<usize> = (0..chunks).collect();
        if epoch > 0 {
            let seed = plan.seed ^ epoch.wrapping_mul(0xd134_2543_de82_ef95);
            order.shuffle(&mut Xoshiro256PlusPlus::seed_from_u64(seed));
        }
        let begin = epoch as f64;
        let part = ((plan.epochs - begin).min(1.0) * chunks as f64).round() as usize;
        for (place, &chunk) in order[..part].iter().enumerate() {
            let (start, end) = (chunk * plan.chunk, ((chunk + 1) * plan.chunk).min(examples));
            let rate = plan.step.rate * plan.step.schedule.factor(begin + place as f64 / chunks as f64);
            for start in (start..end).step_by(plan.batch) {
                batch(start..(start + plan.batch).min(end), rate);
            }
        }
    }
}

fn bits<T: Real>(w: &[T]) -> Vec<u64> {
    w.iter().map(|w| w.to_f64().to_bits()).collect()
}

fn points<T: Real>(update: Update, batch: usize) -> Run<T> {
    let rule = step::delay_adaptive(0.3).schedule(Schedule::InverseTime { decay: 0.7 });
    Trainer::new(Points::new(999))
        .precision::<T>()
        .workers(1)
        .pin(Pin::None)
        .update(update)
        .block(BlockSize::Rows(1))
        .batch(batch)
        .step(rule)
        .epochs(3.5)
        .seed(11)
        .minimize()
        .unwrap()
}

/// Plain SGD on a plain array, written out, against the trainer: the same bits.
fn equals_plain_sgd<T: Real>() {
    let data = Points::new(999);
    for (update, batch) in [(Update::Cas, 1), (Update::Racy, 1), (Update::Locked, 1), (Update::Cas, 7)] {
        let run = points::<T>(update, batch);
        let mut w = [T::ZERO; 3];
        in_order(&run, data.x.len(), |examples, rate| {
            let (mut gradient, n) = ([T::ZERO; 3], T::from_f64(examples.len() as f64));
            for i in examples {
                let x = data.x[i].map(T::from_f32);
                let error = T::from_f32(-data.y[i]) + w[0] * x[0] + w[1] * x[1] + w[2] * x[2];
                for j in 0..3 {
                    gradient[j] += error * x[j] / n;
                }
            }
            for j in 0..3 {
                w[j] -= T::from_f64(rate) * gradient[j];
            }
        });
        assert_eq!(bits(&run.weights), bits(&w), "{} {update} batch {batch}", T::NAME);
        assert_eq!((run.delays().max(), run.delays().kept_mass()), (0, 1.0));
    }
}

#[test]
fn one_worker_is_plain_sgd_to_the_bit() {
    equals_plain_sgd::<f32>();
    equals_plain_sgd::<f64>();
}

fn logistic<T: Real>(data: &Dataset, seed: u64) -> Run<T> {
    Trainer::new(Logistic::l2(0.01)).precision::<T>().workers(1).epochs(4.0).seed(seed).run(data).unwrap()
}

/// The built-in model's kernels may add in another order than a plain loop, but do the same everywhere.
#[test]
fn one_worker_is_the_objective_on_a_plain_slice_to_the_bit() {
    let data = classes(500, 30, 1);
    let run = logistic::<f32>(&data, 3);
    let objective = Model::<f32>::bind(&Logistic::l2(0.01), &data).unwrap();
    let mut w = vec![0f32; data.features()];
    let mut gradient = Objective::<f32>::buffer(&objective);
    in_order(&run, data.len(), |examples, rate| {
        objective.gradient(examples, &w[..], &mut gradient);
        objective.descend(&gradient, rate as f32, &mut w[..]);
    });
    assert_eq!(bits(&run.weights), bits(&w));
}

#[test]
fn one_worker_is_logistic_regression_by_sgd() {
    let data = classes(500, 30, 1);
    let run = logistic::<f64>(&data, 3);
    let mut count = vec![0.0; data.features()];
    for i in 0..data.len() {
        data.row(i).iter().for_each(|(j, _)| count[j] += 1.0);
    }
    let mut w = vec![0f64; data.features()];
    in_order(&run, data.len(), |examples, rate| {
        for i in examples {
            let (row, y) = (data.row(i), f64::from(data.label(i)));
            let z: f64 = row.iter().map(|(j, v)| w[j] * f64::from(v)).sum();
            let residual = -y / (1.0 + (y * z).exp());
            for (j, v) in row.iter() {
                let penalty = 0.01 * data.len() as f64 / count[j];
                w[j] -= rate * (residual * f64::from(v) + penalty * w[j]);
            }
        }
    });
    // The penalty's factor is kept in single precision.
    for (a, b) in run.weights.iter().zip(&w) {
        assert!((a - b).abs() < 1e-6, "{a} is not {b}");
    }
}

#[test]
fn the_same_seed_gives_the_same_bits_and_another_seed_others() {
    let data = classes(2000, 30, 1);
    for block in [BlockSize::Auto, BlockSize::Rows(1), BlockSize::Rows(64)] {
        let run = |seed| {
            let trainer = Trainer::new(Logistic::l2(0.01)).workers(1).block(block).epochs(3.0).seed(seed);
            let run = trainer.run(&data).unwrap();
            (bits(&run.weights), run.series.iter().map(|p| p.objective.to_bits()).collect::<Vec<_>>())
        };
        assert_eq!(run(1), run(1), "block {block}");
        assert_ne!(run(1), run(2), "block {block}");
    }
}

/// An alone worker counts its updates together; watched, one by one.
#[test]
fn updates_counted_together_are_those_counted_one_by_one() {
    let data = classes(1000, 12, 4);
    for (batch, rule) in [
        (1, step::delay_adaptive(0.1)),
        (3, step::constant(0.1)),
        (1, StepRule { weight: Weight::Inverse { exponent: 0.5 }, ..step::delay_adaptive(0.1) }),
    ] {
        let run = |watched| {
            let trainer = Trainer::new(Logistic::l2(1e-3)).workers(1).update(Update::Racy).batch(batch);
            trainer.step(rule.clone()).epochs(2.5).profile(watched).run(&data).unwrap()
        };
        let (together, singly) = (run(false), run(true));
        assert_eq!(bits(&together.weights), bits(&singly.weights));
        let [a, b] = [&together, &singly].map(|run| run.delays());
        let updates = together.last().examples.div_ceil(batch as u64);
        assert!(a.count() >= updates && a.count() < updates + 100, "{} of {updates}", a.count());
        assert_eq!((a.count(), a.max(), a.kept()), (b.count(), b.max(), b.kept()));
        assert_eq!(together.expected_mean_delay(), singly.expected_mean_delay());
    }
}

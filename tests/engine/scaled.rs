//! AdaGrad, SVRG and SAGA: known optima in every mode, with and without an L1 penalty.

use super::problem::{classes, optimum};
use asyncsgd::{
    Algorithm, BlockSize, Dataset, Hinge, Logistic, Squared, Stop, Trainer, Update,
    engine::Point,
    model::{LinearModel, Loss, LossKind},
};
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

const EXACT: [Algorithm; 2] = [Algorithm::Svrg, Algorithm::Saga];

/// Linear convergence to 1e-8, lock-free, in every mode, with blocks and without.
#[test]
fn reduced_noise_converges_linearly_in_every_mode() {
    let (data, l2) = (classes(1200, 24, 2), 0.02);
    let best = optimum(&data, l2);
    for algorithm in EXACT {
        for update in Update::ALL {
            for workers in [1, 2, 8] {
                for block in [BlockSize::Rows(1), BlockSize::Auto, BlockSize::Rows(30)] {
                    let trainer = Trainer::new(Logistic::l2(l2)).workers(workers).update(update).block(block);
                    let trainer = trainer.algorithm(algorithm).target_gap(1e-8).epochs(400);
                    let run = trainer.precision::<f64>().run(&data).unwrap();
                    let (gap, epochs) = ((run.last().objective - best) / best, run.last().epoch);
                    let said = format!("{algorithm}, {update}, {workers} workers, block {block}");
                    println!("{said}: gap {gap:.1e} in {epochs} epochs");
                    // Additions to a mean that is lost in racy mode would shift SAGA's optimum: none is.
                    assert_eq!(run.stop, Stop::Gap, "{said}: gap {gap:.1e}");
                    assert!((-1e-12..1e-8).contains(&gap), "{said}: gap {gap:.1e}");
                }
            }
        }
    }
}

#[test]
fn adagrad_comes_near_in_every_mode() {
    let (data, l2) = (classes(1200, 24, 2), 0.02);
    let best = optimum(&data, l2);
    for update in Update::ALL {
        for workers in [1, 2, 8] {
            for block in [BlockSize::Rows(1), BlockSize::Auto, BlockSize::Rows(30)] {
                let trainer = Trainer::new(Logistic::l2(l2)).workers(workers).update(update).block(block);
                let run = trainer.algorithm(Algorithm::AdaGrad).epochs(20).run(&data).unwrap();
                let gap = (run.last().objective - best) / best;
                println!("{update}, {workers} workers, block {block}: gap {gap:.1e}");
                assert!(
                    (-1e-6..1e-3).contains(&gap),
                    "{update}, {workers} workers, block {block}: {gap:.1e}"
                );
                assert_eq!((run.stop, run.last().epoch), (Stop::Epochs, 20.0));
            }
        }
    }
}

/// The minimum of mean loss + l2/2·‖w‖² + l1·‖w‖₁ by proximal gradient descent, and its parameters.
fn sparse_optimum(loss: impl Loss, data: &Dataset, l2: f64, l1: f64) -> (f64, Vec<f64>) {
    let (n, squares) = (data.len() as f64, |i| data.row(i).values().iter().map(|v| v * v).sum::<f32>());
    let smoothness = loss.curvature(1.0) * f64::from((0..data.len()).map(squares).fold(0.0, f32::max)) + l2;
    let score = |w: &[f64], i| data.row(i).iter().map(|(j, v)| w[j] * f64::from(v)).sum::<f64>();
    let mut w = vec![0.0; data.features()];
    for _ in 0..6000 {
        let mut gradient: Vec<f64> = w.iter().map(|w| l2 * w).collect();
        for i in 0..data.len() {
            let residual = loss.derivative(score(&w, i), f64::from(data.label(i))) / n;
            data.row(i).iter().for_each(|(j, v)| gradient[j] += residual * f64::from(v));
        }
        for (w, g) in w.iter_mut().zip(&gradient) {
            let moved = *w - g / smoothness;
            *w = moved.signum() * (moved.abs() - l1 / smoothness).max(0.0);
        }
    }
    let losses = (0..data.len()).map(|i| loss.loss(score(&w, i), f64::from(data.label(i)))).sum::<f64>();
    let penalty = w.iter().map(|w| l2 / 2.0 * w * w + l1 * w.abs()).sum::<f64>();
    (losses / n + penalty, w)
}

/// With an L1 penalty, alone or with L2: the optimum with the same zeros, certified, and the certificate is true.
#[test]
fn an_l1_penalty_gives_exact_zeros_and_is_certified() {
    let data = classes(300, 30, 7);
    for (l2, l1) in [(0.01, 0.02), (0.0, 0.02)] {
        let (best, expected) = sparse_optimum(asyncsgd::model::LogisticLoss, &data, l2, l1);
        // Without L2 dual values have to be shortened by what the gradient errs.
        let target = if l2 > 0.0 { 1e-9 } else { 1e-8 };
        let zeros = expected.iter().filter(|w| **w == 0.0).count();
        assert!((3..27).contains(&zeros), "{zeros} zeros");
        for algorithm in [Algorithm::Auto, Algorithm::Svrg, Algorithm::Saga] {
            for workers in [1, 2, 8] {
                let trainer =
                    Trainer::new(Logistic::l2(l2).with_l1(l1)).algorithm(algorithm).workers(workers);
                let run = trainer.target_gap(target).epochs(4000).precision::<f64>().run(&data).unwrap();
                let said = format!("l2 {l2}, {algorithm}, {workers} workers");
                for point in &run.series[1..] {
                    assert!(point.objective - best <= point.gap.unwrap() * best + 1e-12, "{said}: {point:?}");
                }
                assert_eq!(run.stop, Stop::Gap, "{said}: {:?}", run.last());
                let alike = |(a, b): (&f64, &f64)| (*a == 0.0) == (*b == 0.0) && (a - b).abs() < 1e-3;
                assert!(
                    run.weights.iter().zip(&expected).all(alike),
                    "{said}: {:?} {expected:?}",
                    run.weights
                );
            }
        }
    }
}

/// Every loss that has a second derivative, with both penalties; lasso among them.
#[test]
fn every_curved_loss_reaches_its_sparse_optimum() {
    let data = classes(300, 20, 4);
    let kinds = LossKind::ALL.into_iter().filter(|kind| kind.is_curved());
    for kind in kinds {
        let (best, _) = sparse_optimum(kind, &data, 0.01, 0.01);
        let trainer = Trainer::new(LinearModel::new(kind).with_l2(0.01).with_l1(0.01)).workers(2);
        let run = trainer.target_gap(1e-8).epochs(2000).precision::<f64>().run(&data).unwrap();
        assert_eq!((run.stop, run.plan.algorithm), (Stop::Gap, Algorithm::Svrg), "{kind}: {:?}", run.last());
        assert!((run.last().objective / best - 1.0).abs() < 1e-8, "{kind}: {:?}, {best}", run.last());
    }
}

/// Features of very different scales, copies of a feature, a feature that separates the classes, and one that no row
/// has: nothing diverges, and the way is told.
#[test]
fn odd_data_need_no_tuning() {
    let plain = classes(400, 12, 9);
    let (mut starts, mut ids, mut values) = (vec![0], Vec::new(), Vec::new());
    for i in 0..plain.len() {
        for (j, v) in plain.row(i).iter() {
            let scale = if j % 3 == 0 { 1e4 } else { 1.0 };
            ids.extend([2 * j as u32, 2 * j as u32 + 1]);
            values.extend([scale * v, scale * v]);
        }
        ids.push(30);
        values.push(plain.label(i));
        starts.push(ids.len() as u64);
    }
    let labels = (0..plain.len()).map(|i| plain.label(i)).collect();
    let data = Dataset::from_csr(starts, ids, values, labels, 40).unwrap().laid_out(0);
    for algorithm in [Algorithm::AdaGrad, Algorithm::Svrg, Algorithm::Saga, Algorithm::Auto] {
        for workers in [1, 2] {
            let trainer = Trainer::new(Logistic::default()).algorithm(algorithm).workers(workers);
            let run = trainer.target_gap(1e-3).epochs(60).run(&data).unwrap();
            let (first, last) = (run.series[0].objective, run.last().objective);
            println!(
                "{algorithm}, {workers} workers: {first:.2e} to {last:.2e}, {}, {:?}",
                run.stop,
                run.last().gap
            );
            assert!(last < 0.2 * first, "{algorithm}, {workers} workers: {first} to {last}");
            assert!(algorithm == Algorithm::Auto || !run.plan.rate_origin.is_empty());
        }
    }
    let ends = [Algorithm::Auto, Algorithm::Sdca].map(|algorithm| {
        let trainer = Trainer::new(Squared::l2(0.1)).algorithm(algorithm).workers(2);
        trainer.target_gap(1e-6).precision::<f64>().run(&plain).unwrap().last().objective
    });
    assert!((ends[0] / ends[1] - 1.0).abs() < 1e-5);
}

/// A few rows of a hundred features among rows of five: what is stable for the mean of the rows swings about the optimum for
/// the long ones, and the rate is halved until it does not.
#[test]
fn rates_that_are_too_long_for_some_rows_are_halved() {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
    let (mut starts, mut ids, mut labels) = (vec![0], Vec::new(), Vec::new());
    for r in 0..3000 {
        let long = r % 33 == 0;
        let mut row: Vec<u32> = (0..300).collect();
        let _ = row.partial_shuffle(&mut rng, if long { 100 } else { 5 });
        row.truncate(if long { 100 } else { 5 });
        row.sort_unstable();
        ids.extend(row);
        starts.push(ids.len() as u64);
        labels.push(if long == (rng.random_range(0..10) > 1) { 1.0 } else { -1.0 });
    }
    let values = vec![1.0; ids.len()];
    let data = Dataset::from_csr(starts, ids, values, labels, 300).unwrap().laid_out(0);
    for algorithm in EXACT {
        let trainer = Trainer::new(Logistic::l2(1.0 / 3000.0)).workers(1).algorithm(algorithm);
        let run = trainer.target_gap(1e-4).epochs(600).run(&data).unwrap();
        assert_eq!(run.stop, Stop::Gap, "{algorithm}: {:?}", run.last());
        let said =
            run.plan.warnings.iter().filter(|line| line.starts_with("did not converge by epoch ")).count();
        assert!(said > 0, "{algorithm}: {:?}", run.plan.warnings);
    }
}

/// Dual steps that go back from features that are far too large find a start near which the objective is small, and a run
/// that misses its target tells a bound all the same.
#[test]
fn dual_steps_go_back_to_where_the_objective_is_small() {
    let data = classes(2000, 24, 2);
    let (mut starts, mut ids, mut values) = (vec![0], Vec::new(), Vec::new());
    for r in 0..data.len() {
        for (id, value) in data.row(r).iter() {
            ids.push(id as u32);
            values.push(value * 10f32.powi(id as i32 / 3));
        }
        starts.push(ids.len() as u64);
    }
    let data = Dataset::from_csr(starts, ids, values, data.labels().to_vec(), 24).unwrap().laid_out(0);
    for workers in [1, 2] {
        let trainer = Trainer::new(Hinge::l2(1.0 / 2000.0)).workers(workers).target_gap(1e-9).epochs(20);
        let run = trainer.run(&data).unwrap();
        let went_back =
            |point: &[Point]| point[1].examples == point[0].examples && point[1].objective > 100.0;
        assert!(!run.series.windows(2).any(went_back), "{:?}", run.series);
        assert!(run.stop != Stop::Epochs || run.last().gap.is_some(), "{:?}", run.last());
    }
}

/// What has come to rest short of its target stops, and says so.
#[test]
fn a_run_that_no_longer_moves_stops() {
    let data = classes(300, 10, 5);
    let trainer = Trainer::new(Squared::l2(0.1)).workers(1).algorithm(Algorithm::Svrg).target_gap(1e-14);
    let run = trainer.epochs(2000).run(&data).unwrap();
    assert_eq!(run.stop, Stop::Stalled, "{:?}", run.last());
    assert!(
        run.plan.warnings.iter().any(|line| line.contains("rounding hides the rest")),
        "{:?}",
        run.plan.warnings
    );
}

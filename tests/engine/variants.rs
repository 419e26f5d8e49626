//! Class weights, warm starts, and several classes.

use super::problem::classes;
use asyncsgd::{
    Algorithm, Dataset, Error, Hinge, Logistic, Metrics, Run, Stop, Trainer,
    engine::one_vs_rest,
    model::{LinearModel, LogisticLoss, Loss, LossKind, Weighted},
    scores,
};

/// The data with the rows of the positive class twice.
fn doubled(data: &Dataset) -> Dataset {
    let (mut starts, mut ids, mut values, mut labels) = (vec![0], Vec::new(), Vec::new(), Vec::new());
    for r in 0..data.len() {
        let times = if data.label(r) > 0.0 { 2 } else { 1 };
        for _ in 0..times {
            ids.extend(data.row(r).ids());
            values.extend(data.row(r).values());
            labels.push(data.label(r));
            starts.push(ids.len() as u64);
        }
    }
    Dataset::from_csr(starts, ids, values, labels, data.features()).unwrap().laid_out(0)
}

const GAP: f64 = 1e-8;

fn optimum<L: Loss>(data: &Dataset, loss: L, l2: f64, algorithm: Algorithm) -> Run<f64> {
    let trainer = Trainer::new(LinearModel::new(loss).with_l2(l2)).workers(2).algorithm(algorithm);
    let run = trainer.precision::<f64>().target_gap(GAP).run(data).unwrap();
    assert_eq!(run.stop, Stop::Gap, "{}, {algorithm}: {:?}", loss.kind(), run.last());
    run
}

/// A weight of 2 is a row twice: certificates, dual steps, Newton steps and curvature agree on it.
#[test]
fn a_weight_of_two_is_a_row_twice() {
    let (data, l2) = (classes(400, 12, 3), 0.02);
    let (twice, n) = (doubled(&data), data.len() as f64);
    let m = twice.len() as f64;
    for kind in [LossKind::Logistic, LossKind::Hinge, LossKind::SquaredHinge] {
        let algorithms: &[Algorithm] =
            if kind.is_curved() { &[Algorithm::Sdca, Algorithm::Newton] } else { &[Algorithm::Sdca] };
        for &algorithm in algorithms {
            let weighted =
                optimum(&data, Weighted::new(kind, [1.0, 2.0]), l2, algorithm).last().objective * n;
            let doubled = optimum(&twice, kind, l2 * n / m, algorithm).last().objective * m;
            assert!(
                (weighted / doubled - 1.0).abs() < 3.0 * GAP,
                "{kind}, {algorithm}: {weighted} and {doubled}"
            );
        }
    }
    // And SGD goes there too, with a rate from the weighted curvature.
    let best =
        optimum(&data, Weighted::new(LogisticLoss, [1.0, 2.0]), l2, Algorithm::Newton).last().objective;
    let model = LinearModel::new(Weighted::new(LogisticLoss, [1.0, 2.0])).with_l2(l2);
    let run = Trainer::new(model).workers(2).epochs(40).run(&data).unwrap();
    assert!(run.last().objective / best - 1.0 < 0.01, "{} is far from {best}", run.last().objective);
}

/// From the optimum of a stronger penalty each algorithm begins nearer than from nothing, and ends at the same place.
#[test]
fn a_warm_start_begins_near() {
    let data = classes(800, 20, 4);
    let before = Trainer::new(Logistic::l2(0.02)).workers(2).target_gap(1e-6).run(&data).unwrap();
    for algorithm in [Algorithm::Sgd, Algorithm::Sdca, Algorithm::Newton] {
        let trainer = || Trainer::new(Logistic::l2(0.01)).workers(1).algorithm(algorithm).target_gap(1e-3);
        let cold = trainer().run(&data).unwrap();
        let warm = trainer().start(&before.weights).run(&data).unwrap();
        let (first, start) = (warm.series[0].objective, cold.series[0].objective);
        let best = cold.last().objective.min(warm.last().objective);
        assert!(
            first - best < 0.2 * (start - best),
            "{algorithm}: begins at {first}, not {start}, best {best}"
        );
        if algorithm != Algorithm::Sgd {
            assert_eq!((cold.stop, warm.stop), (Stop::Gap, Stop::Gap), "{algorithm}");
            assert!((warm.last().objective / cold.last().objective - 1.0).abs() < 1e-3, "{algorithm}");
            let (cold, warm) = (cold.last().epoch, warm.last().epoch);
            // Newton's method has no epoch of SGD then, and so few steps that one more or less tells nothing.
            let saves = algorithm == Algorithm::Newton || warm < cold;
            assert!(saves, "{algorithm}: {warm} epochs with a start, {cold} without");
        }
    }
    // A weaker penalty's optimum is a start too, and so is anything.
    for (l2, start) in [(0.5, before.weights.clone()), (0.01, vec![3.0; 20])] {
        let trainer = Trainer::new(Hinge::l2(l2)).workers(2).algorithm(Algorithm::Sdca).target_gap(1e-4);
        assert_eq!(trainer.start(&start).run(&data).unwrap().stop, Stop::Gap);
    }
    for (start, word) in [(vec![0.0; 3], "3 parameters"), (vec![f32::NAN; 20], "finite")] {
        for algorithm in [Algorithm::Sgd, Algorithm::Sdca, Algorithm::Newton] {
            match Trainer::new(Logistic::l2(0.1)).algorithm(algorithm).workers(1).start(&start).run(&data) {
                Err(Error::Usage(lines)) => assert!(lines.join("\n").contains(word), "{lines:?}"),
                other => panic!("{algorithm}: {:?}", other.map(|run| run.stop)),
            }
        }
    }
}

/// Each class has the weights that it has on its own, and the sum of the objectives is theirs.
#[test]
fn one_model_for_each_class() {
    // Class c where feature c is largest.
    let n = 300usize;
    let value = |r: usize, f: usize| {
        let x = (r as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)
            ^ (f as u64 + 1).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let x = (x ^ (x >> 31)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((x ^ (x >> 29)) % 1000) as f32 / 1000.0
    };
    let label =
        |r: usize| (0..3).max_by(|&a, &b| value(r, a).total_cmp(&value(r, b))).unwrap() as f32 * 10.0 - 10.0;
    let ids = (0..n).flat_map(|_| [0, 1, 2]).collect();
    let values = (0..n).flat_map(|r| [0, 1, 2].map(|f| value(r, f))).collect();
    let starts = (0..=n as u64).map(|r| 3 * r).collect();
    let data = Dataset::from_csr(starts, ids, values, (0..n).map(label).collect(), 3).unwrap();
    let data = data.laid_out(1).multiclass().unwrap();
    let train = |data: &Dataset| Trainer::new(Logistic::l2(1e-3)).workers(1).target_gap(1e-6).run(data);
    let run = one_vs_rest(&data, |_, part| train(part)).unwrap();
    assert_eq!((run.weights.len(), run.stop), (9, Stop::Gap));
    let mut sum = 0.0;
    for class in 0..3 {
        let alone = train(&data.versus_rest(class)).unwrap();
        assert_eq!(alone.weights, run.weights[class * 3..][..3]);
        sum += alone.last().objective;
    }
    assert!((run.last().objective - sum).abs() < 1e-12 && run.last().gap.unwrap() <= 1e-6);
    assert!((run.series[0].objective - 3.0 * 2f64.ln()).abs() < 1e-12);
    assert!(run.series.windows(2).all(|pair| pair[1].examples > pair[0].examples));
    let metrics = Metrics::new(LossKind::Logistic, &scores(&data, &run.weights), data.labels());
    assert!(metrics.accuracy.unwrap() > 0.85, "{:?}", metrics.accuracy);
    let numbers = data.versus_rest(0);
    assert!(one_vs_rest(&numbers, |_, part| train(part)).is_err());
}

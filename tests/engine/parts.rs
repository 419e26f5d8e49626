//! Epochs that are evaluated, or end, in their middle.

use super::problem::classes;
use asyncsgd::{Algorithm, Checkpoint, Dataset, Every, Hinge, Logistic, Stop, Trainer};
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

/// One worker's dual steps to a gap.
fn dual(l2: f64, gap: f64) -> Trainer<'static, Logistic> {
    Trainer::new(Logistic::l2(l2)).algorithm(Algorithm::Sdca).workers(1).target_gap(gap)
}

/// Where the gap falls at a known pace, it is looked at when it should be there, and not at the end of the epoch.
#[test]
fn a_gap_is_certified_within_an_epoch() {
    let data = classes(4000, 30, 6);
    let run = dual(0.01, 1e-6).precision::<f64>().run(&data).unwrap();
    assert!(run.series.is_sorted_by(|a, b| a.epoch < b.epoch));
    assert!(run.series.iter().any(|point| point.epoch.fract() > 0.0), "{:?}", run.series);
    // Those of the parts of an epoch and of whole ones are counted once.
    let counted = run.delays().count();
    assert_eq!((run.last().examples, run.last().epoch * 4000.0), (counted, counted as f64));
    // Not where evaluations are to be rare.
    let run = dual(0.01, 1e-4).evaluate_every(3).run(&data).unwrap();
    assert!(run.stop == Stop::Gap && run.last().epoch % 3.0 == 0.0);
}

/// A run may go on for longer or for less than it was to: what is left of an epoch is done, and nothing twice.
#[test]
fn a_part_of_an_epoch_is_resumed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("run");
    let data = classes(2000, 20, 4);
    let trainer = |epochs: f64| Trainer::new(Logistic::l2(0.01)).workers(1).epochs(epochs).seed(2);
    let constant = |epochs| trainer(epochs).step(asyncsgd::step::constant(0.1));
    constant(1.4).checkpoint(&path, Every::Epochs(1), "").run(&data).unwrap();
    let rest = constant(3.0).resume(Checkpoint::open(&path).unwrap()).run(&data).unwrap();
    assert_eq!((rest.stop, rest.last().examples, rest.delays().count()), (Stop::Epochs, 6000, 6000));
    assert_eq!(rest.weights, constant(3.0).run(&data).unwrap().weights);
    for epochs in [1.4, 1.2, 0.7] {
        let run = constant(epochs).resume(Checkpoint::open(&path).unwrap()).run(&data).unwrap();
        assert_eq!((run.stop, run.last().examples), (Stop::Epochs, 2800));
    }
}

/// Where the certified point is an average, so are the dual values that belong to it: what goes on from there reaches any
/// gap.
#[test]
fn a_certified_point_is_one_to_go_on_from() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("run");
    let data = text(4000, 500);
    for (l2, first) in [(1e-4, 1e-2), (3e-4, 1e-2), (1e-3, 1e-3)] {
        let train = |gap| dual(l2, gap).precision::<f64>();
        let run = train(first).checkpoint(&path, Every::Epochs(1), "").run(&data).unwrap();
        assert_eq!(run.stop, Stop::Gap);
        let run = train(1e-8).epochs(60).resume(Checkpoint::open(&path).unwrap()).run(&data).unwrap();
        assert_eq!(run.stop, Stop::Gap, "from {first} on: {:?}", run.last());
    }
}

/// What is certain at the end is told, and where it is the target, that is why the run stopped.
#[test]
fn the_end_of_a_run_has_a_bound() {
    let data = text(400, 100);
    for epochs in 1..9 {
        let run = dual(0.01, 1e-2).epochs(epochs).run(&data).unwrap();
        let gap = run.last().gap.unwrap();
        assert_eq!(run.stop == Stop::Gap, gap <= 1e-2, "{epochs}: {}, {gap}", run.stop);
    }
}

/// Dual steps far from their target certify nothing, and are not at rest where the means of their objectives agree.
#[test]
fn slow_dual_steps_are_not_at_rest() {
    let run = Trainer::new(Hinge::l2(3e-4)).workers(1).target_gap(1e-4).run(&text(300, 40)).unwrap();
    assert_eq!(run.stop, Stop::Gap, "{:?}", run.last());
}

/// Rows of 8 of so many features, the first ones more often, and labels that are not quite theirs.
fn text(rows: usize, features: u32) -> Dataset {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
    let (mut ids, mut labels) = (Vec::new(), Vec::new());
    for _ in 0..rows {
        let mut row = std::collections::BTreeSet::new();
        while row.len() < 8 {
            row.insert((f64::from(features) * rng.random_range(0f64..1.0).powi(3)) as u32);
        }
        let score: f64 = row.iter().map(|id| (f64::from(*id) * 1.7).sin()).sum();
        labels.push(if score + rng.random_range(-2.0..2.0) > 0.0 { 1.0 } else { -1.0 });
        ids.extend(row);
    }
    let starts = (0..=rows as u64).map(|r| 8 * r).collect();
    Dataset::from_csr(starts, ids, vec![0.5; 8 * rows], labels, features as usize).unwrap().laid_out(0)
}

//! Newton's method where features are many or badly scaled.

use super::problem::classes;
use asyncsgd::{Algorithm, Dataset, Logistic, Stop, Trainer};

/// Of hashed features most are in no row: they cost nothing and stay 0, wherever training starts.
#[test]
fn features_that_no_row_has_are_zero() {
    let few = classes(600, 550, 3);
    let (starts, ids, values) = few.rows().arrays();
    let arrays = (starts.to_vec(), ids.to_vec(), values.to_vec(), few.labels().to_vec());
    let many = Dataset::from_csr(arrays.0, arrays.1, arrays.2, arrays.3, 100_000).unwrap();
    let train = |data: &Dataset| {
        let trainer = Trainer::new(Logistic::l2(0.001)).algorithm(Algorithm::Newton).workers(1);
        let start = vec![0.5; data.features()];
        trainer.precision::<f64>().start(&start).target_gap(1e-6).run(data).unwrap()
    };
    let (few, many) = (train(&few), train(&many));
    assert_eq!((few.stop, many.stop), (Stop::Gap, Stop::Gap));
    assert_eq!((&many.weights[..550], many.weights.len()), (&few.weights[..], 100_000));
    assert!(many.weights[550..].iter().all(|w| *w == 0.0));
}

/// Columns that differ in size by more than numbers have digits: the run ends and says so, as does one that is cut short.
#[test]
fn a_missed_gap_is_told() {
    let (ids, labels) = ((0..400).map(|k| k % 2).collect(), (0..200).map(|r| (r % 3 % 2) as f32 * 2.0 - 1.0));
    let values =
        (0..400).map(|k| if k % 2 == 0 { 1e15 + (k * k) as f32 * 1e8 } else { (k % 7) as f32 }).collect();
    let starts = (0..=200).map(|r| 2 * r).collect();
    let data = Dataset::from_csr(starts, ids, values, labels.collect(), 2).unwrap().laid_out(0);
    let train = |gap, epochs| {
        let trainer = Trainer::new(Logistic::l2(1.0 / 200.0)).workers(1).target_gap(gap);
        let run = trainer.epochs(epochs).run(&data).unwrap();
        let told = run.plan.warnings.iter().filter(|warning| warning.starts_with("target gap")).count();
        (run.stop, told, run.last().epoch)
    };
    let (stop, told, epochs) = train(1e-9, 10_000);
    assert!(
        stop == Stop::Stalled && told == 1 && epochs < 1000.0,
        "{stop}, {told} warnings, {epochs} epochs"
    );
    assert_eq!(train(1e-9, 1), (Stop::Epochs, 1, 1.0));
}

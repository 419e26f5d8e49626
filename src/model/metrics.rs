//! How good a linear model's scores are. Everything is summed in `f64`, in an order that does not depend on
//! the number of threads.

use super::kind::LossKind;
use super::loss::{HingeLoss, HuberLoss, LogisticLoss, Loss, SquaredHingeLoss, SquaredLoss};
use crate::data::Dataset;
use crate::real::Real;
use rayon::prelude::*;

/// Rows that are summed one after the other; the sums of these are then added in order.
const CHUNK: usize = 4096;

/// Figures of a linear model on a data set. Those that the loss or the labels do not define are `None`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Metrics {
    /// Rows that were evaluated.
    pub rows: usize,
    /// The mean loss, without the regulariser.
    pub loss: f64,
    /// The share of rows whose class is predicted: the positive class where the score is above 0. Classifiers
    /// only.
    pub accuracy: Option<f64>,
    /// The area under the ROC curve: the chance that a positive row scores above a negative one, a tie
    /// counting one half (Hanley and McNeil 1982). Exact. Classifiers only, and only where both classes occur
    /// and no score is NaN.
    pub auc: Option<f64>,
    /// The mean of −ln p of the true class, in nats. Logistic loss only, the only one that gives
    /// probabilities.
    pub log_loss: Option<f64>,
    /// The root of the mean squared error. Regression only.
    pub rmse: Option<f64>,
    /// The mean absolute error. Regression only.
    pub mae: Option<f64>,
}

/// The score w·x of each row, by position, for weights by rank. In parallel; O(nonzeros).
///
/// # Panics
/// If there is not one weight for each feature.
pub fn scores<T: Real>(data: &Dataset, weights: &[T]) -> Vec<f64> {
    assert_eq!(weights.len(), data.features(), "one weight for each feature");
    let score = |r: usize| data.row(r).iter().map(|(i, v)| weights[i].to_f64() * f64::from(v)).sum();
    (0..data.len()).into_par_iter().with_min_len(CHUNK / 16).map(score).collect()
}

impl Metrics {
    /// The figures of `scores` against `labels`: −1 and +1 for classifiers, numbers for regression. In
    /// parallel; O(n log n) for classifiers, which sort for the AUC. Without any row all means are NaN.
    ///
    /// # Panics
    /// If there are not as many labels as scores.
    pub fn new(loss: LossKind, scores: &[f64], labels: &[f32]) -> Self {
        assert_eq!(scores.len(), labels.len(), "one label a score");
        let mean = |of: &(dyn Fn(f64, f64) -> f64 + Sync)| mean(scores, labels, of);
        let mean_loss = match loss {
            LossKind::Logistic => mean(&|z, y| LogisticLoss.loss(z, y)),
            LossKind::Hinge => mean(&|z, y| HingeLoss.loss(z, y)),
            LossKind::SquaredHinge => mean(&|z, y| SquaredHingeLoss.loss(z, y)),
            LossKind::Squared => mean(&|z, y| SquaredLoss.loss(z, y)),
            LossKind::Huber => mean(&|z, y| HuberLoss::default().loss(z, y)),
        };
        let classes = loss.is_classification();
        let correct = |z: f64, y: f64| f64::from((z > 0.0) == (y > 0.0));
        Self {
            rows: scores.len(),
            loss: mean_loss,
            accuracy: classes.then(|| mean(&correct)),
            auc: if classes { auc(scores, labels) } else { None },
            log_loss: (loss == LossKind::Logistic).then_some(mean_loss),
            rmse: (!classes).then(|| mean(&|z, y| (z - y).powi(2)).sqrt()),
            mae: (!classes).then(|| mean(&|z, y| (z - y).abs())),
        }
    }
}

fn mean(scores: &[f64], labels: &[f32], of: &(dyn Fn(f64, f64) -> f64 + Sync)) -> f64 {
    let sums: Vec<f64> = scores
        .par_chunks(CHUNK)
        .zip(labels.par_chunks(CHUNK))
        .map(|(scores, labels)| scores.iter().zip(labels).map(|(&z, &y)| of(z, f64::from(y))).sum())
        .collect();
    sums.iter().sum::<f64>() / scores.len() as f64
}

/// The Mann–Whitney statistic over the number of pairs, counted in integers.
fn auc(scores: &[f64], labels: &[f32]) -> Option<f64> {
    let mut sorted: Vec<(f64, bool)> = scores.iter().copied().zip(labels.iter().map(|&y| y > 0.0)).collect();
    if scores.iter().any(|z| z.is_nan()) {
        return None;
    }
    sorted.par_sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    // Twice the number of pairs in the right order, a tie being half a pair.
    let (mut twice, mut below) = (0u128, 0u128);
    let (mut positives, mut negatives) = (0u128, 0u128);
    // By ==, so that −0 and 0, neighbours in the order, are a tie.
    for tied in sorted.chunk_by(|a, b| a.0 == b.0) {
        let plus = tied.iter().filter(|(_, positive)| *positive).count() as u128;
        let minus = tied.len() as u128 - plus;
        twice += plus * (2 * below + minus);
        below += minus;
        positives += plus;
        negatives += minus;
    }
    let pairs = positives * negatives;
    (pairs > 0).then(|| twice as f64 / (2 * pairs) as f64)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn near(a: Option<f64>, b: f64) {
        assert!((a.unwrap() - b).abs() < 1e-12, "{a:?} is not {b}");
    }

    #[test]
    fn classifiers_by_hand() {
        // Pairs (+, −): 0.8 over −1, 0.5, 0 → 3; 0.5 ties 0.5 and is over two → 2.5; 5.5 of 6.
        let (z, y) = ([0.8, -1.0, 0.5, 0.5, -0.0], [1.0, -1.0, 1.0, -1.0, -1.0]);
        let m = Metrics::new(LossKind::Hinge, &z, &y);
        near(m.auc, 5.5 / 6.0);
        near(m.accuracy, 4.0 / 5.0);
        // Hinge: 0.2, 0, 0.5, 1.5, 1.
        near(Some(m.loss), 3.2 / 5.0);
        assert_eq!((m.rows, m.log_loss, m.rmse, m.mae), (5, None, None, None));
        let m = Metrics::new(LossKind::Logistic, &z[..2], &y[..2]);
        near(m.log_loss, ((-0.8f64).exp().ln_1p() + (-1f64).exp().ln_1p()) / 2.0);
        assert_eq!(m.auc, Some(1.0));
    }

    #[test]
    fn auc_takes_both_zeros_for_a_tie_and_needs_both_classes() {
        let hinge = |z: &[f64], y: &[f32]| Metrics::new(LossKind::Hinge, z, y).auc;
        assert_eq!(hinge(&[0.0, -0.0], &[1.0, -1.0]), Some(0.5));
        assert_eq!(hinge(&[0.0, 1.0], &[1.0, 1.0]), None);
        assert_eq!(hinge(&[f64::NAN, 1.0], &[-1.0, 1.0]), None);
        assert_eq!(hinge(&[f64::INFINITY, f64::NEG_INFINITY], &[1.0, -1.0]), Some(1.0));
    }

    #[test]
    fn auc_is_the_count_of_all_pairs() {
        let z: Vec<f64> = (0..300u32).map(|i| f64::from(i * 7919 % 41)).collect();
        let y: Vec<f32> = (0..300u32).map(|i| if i * 104_729 % 7 < 3 { 1.0 } else { -1.0 }).collect();
        let (mut twice, mut pairs) = (0, 0);
        for (a, _) in z.iter().zip(&y).filter(|(_, y)| **y > 0.0) {
            for (b, _) in z.iter().zip(&y).filter(|(_, y)| **y < 0.0) {
                twice += if a > b { 2 } else { i32::from(a == b) };
                pairs += 2;
            }
        }
        near(Metrics::new(LossKind::Hinge, &z, &y).auc, f64::from(twice) / f64::from(pairs));
    }

    #[test]
    fn regression_by_hand() {
        let m = Metrics::new(LossKind::Huber, &[1.0, 2.0, 10.0], &[1.5, 2.0, 7.0]);
        near(m.rmse, (9.25f64 / 3.0).sqrt());
        near(m.mae, 3.5 / 3.0);
        near(Some(m.loss), (0.125 + 2.5) / 3.0);
        assert_eq!((m.accuracy, m.auc, m.log_loss), (None, None, None));
        near(Some(Metrics::new(LossKind::Squared, &[3.0], &[1.0]).loss), 2.0);
    }

    #[test]
    fn the_number_of_threads_does_not_matter() {
        let z: Vec<f64> = (0..50_000u32).map(|i| f64::from(i).sin() * 3.0).collect();
        let y: Vec<f32> = (0..50_000u32).map(|i| if f64::from(i).cos() > 0.1 { 1.0 } else { -1.0 }).collect();
        let on = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| Metrics::new(LossKind::Logistic, &z, &y))
        };
        assert_eq!(on(1), on(2));
        assert_eq!(on(1), on(5));
    }
}

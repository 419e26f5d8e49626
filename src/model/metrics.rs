//! How good a linear model's scores are. Everything is summed in `f64`, in an order that does not depend on
//! the number of threads.

use super::confusion::Confusion;
use super::kind::LossKind;
use super::loss::{Loss, sigmoid};
use crate::data::Dataset;
use crate::real::Real;
use rayon::prelude::*;

/// Rows that are summed one after the other; the sums of these are then added in order.
const CHUNK: usize = 4096;

/// Figures of a linear model on a data set. Those that the loss or the labels do not define are `None`.
#[derive(Debug, Clone, PartialEq)]
pub struct Metrics {
    /// Rows that were evaluated.
    pub rows: usize,
    /// The mean loss, without the regulariser; of one against the rest the sum over the classes.
    pub loss: f64,
    /// The share of rows whose class is predicted: of two the positive class where the score is above 0, else the
    /// first of those with the largest score. Classifiers only.
    pub accuracy: Option<f64>,
    /// The area under the ROC curve: the chance that a positive row scores above a negative one, a tie
    /// counting one half (Hanley and McNeil 1982). Exact. Classifiers only, and only where both classes occur
    /// and no score is NaN. Of more than two classes the mean over those that occur, each against the rest.
    pub auc: Option<f64>,
    /// The mean of −ln p of the true class, in nats. Logistic loss only, the only one that gives
    /// probabilities; those of one against the rest are divided by their sum.
    pub log_loss: Option<f64>,
    /// Which class was taken for which. Classifiers only.
    pub confusion: Option<Confusion>,
    /// The root of the mean squared error. Regression only.
    pub rmse: Option<f64>,
    /// The mean absolute error. Regression only.
    pub mae: Option<f64>,
}

/// The scores w·x of each row, by position, for weights by rank: one a row, or as many as there are weights for each
/// feature, the first feature-long part for the first score. In parallel; O(nonzeros × scores of a row).
///
/// # Panics
/// If there is not a whole number of weights, at least one, for each feature.
pub fn scores<T: Real>(data: &Dataset, weights: &[T]) -> Vec<f64> {
    let features = data.features();
    let outputs = weights.len().checked_div(features).unwrap_or(1);
    assert!(outputs > 0 && weights.len() == outputs * features, "weights for each feature");
    let score = |at: usize| {
        let weights = &weights[at % outputs * features..][..features];
        data.row(at / outputs).iter().map(|(i, v)| weights[i].to_f64() * f64::from(v)).sum()
    };
    (0..data.len() * outputs).into_par_iter().with_min_len(CHUNK / 16).map(score).collect()
}

/// The place of the largest, the first of equals.
pub(super) fn largest(scores: &[f64]) -> usize {
    let better = |best: usize, at: usize| if scores[at] > scores[best] { at } else { best };
    (0..scores.len()).fold(0, better)
}

/// Of one-against-the-rest logistic scores the probability of each class.
pub(super) fn shares(scores: &[f64]) -> impl Iterator<Item = f64> {
    let sum: f64 = scores.iter().map(|&z| sigmoid(z)).sum();
    scores.iter().map(move |&z| sigmoid(z) / sum)
}

impl Metrics {
    /// The figures of `scores` against `labels`: −1 and +1 for classifiers, numbers for regression; where a row has
    /// several scores, one for each class, the number of the class. In parallel; O(n log n) for each score of a
    /// row for classifiers, which sort for the AUC. Without any row all means are NaN.
    ///
    /// # Panics
    /// If there are not as many scores for each label, or a label is not the number of a score.
    pub fn new(loss: LossKind, scores: &[f64], labels: &[f32]) -> Self {
        let outputs = (scores.len() / labels.len().max(1)).max(1);
        assert_eq!(scores.len(), labels.len() * outputs, "as many scores for each label");
        if outputs > 1 {
            return Self::one_vs_rest(loss, scores, labels, outputs);
        }
        let mean = |of: &(dyn Fn(&[f64], f64) -> f64 + Sync)| mean(scores, labels, of);
        let mean_loss = mean(&|z, y| loss.loss(z[0], y));
        let classes = loss.is_classification();
        let pairs = || scores.iter().zip(labels).map(|(&z, &y)| (usize::from(y > 0.0), usize::from(z > 0.0)));
        let confusion = classes.then(|| Confusion::new(2, pairs()));
        Self {
            rows: scores.len(),
            loss: mean_loss,
            accuracy: confusion.as_ref().map(Confusion::accuracy),
            auc: if classes { auc(scores.iter().copied(), labels.iter().map(|&y| y > 0.0)) } else { None },
            log_loss: (loss == LossKind::Logistic).then_some(mean_loss),
            confusion,
            rmse: (!classes).then(|| mean(&|z, y| (z[0] - y).powi(2)).sqrt()),
            mae: (!classes).then(|| mean(&|z, y| (z[0] - y).abs())),
        }
    }

    fn one_vs_rest(loss: LossKind, scores: &[f64], labels: &[f32], classes: usize) -> Self {
        let is = |class: usize, y: f64| if class as f64 == y { 1.0 } else { -1.0 };
        let summed =
            |z: &[f64], y: f64| z.iter().enumerate().map(|(class, &z)| loss.loss(z, is(class, y))).sum();
        let log_loss = |z: &[f64], y: f64| -shares(z).nth(y as usize).unwrap_or(f64::NAN).ln();
        let pairs = labels.iter().zip(scores.chunks(classes)).map(|(&y, z)| (y as usize, largest(z)));
        let confusion = Confusion::new(classes, pairs);
        let areas: Vec<f64> = (0..classes)
            .into_par_iter()
            .filter_map(|class| {
                auc(
                    scores.iter().skip(class).step_by(classes).copied(),
                    labels.iter().map(|&y| y as usize == class),
                )
            })
            .collect();
        let whole = !areas.is_empty() && !scores.iter().any(|z| z.is_nan());
        Self {
            rows: labels.len(),
            loss: mean(scores, labels, &summed),
            accuracy: Some(confusion.accuracy()),
            auc: whole.then(|| areas.iter().sum::<f64>() / areas.len() as f64),
            log_loss: (loss == LossKind::Logistic).then(|| mean(scores, labels, &log_loss)),
            confusion: Some(confusion),
            rmse: None,
            mae: None,
        }
    }
}

/// The mean over the rows of what `of` makes of a row's scores and label.
fn mean(scores: &[f64], labels: &[f32], of: &(dyn Fn(&[f64], f64) -> f64 + Sync)) -> f64 {
    let outputs = (scores.len() / labels.len().max(1)).max(1);
    let sums: Vec<f64> = scores
        .par_chunks(CHUNK * outputs)
        .zip(labels.par_chunks(CHUNK))
        .map(|(scores, labels)| scores.chunks(outputs).zip(labels).map(|(z, &y)| of(z, f64::from(y))).sum())
        .collect();
    sums.iter().sum::<f64>() / labels.len() as f64
}

/// The Mann–Whitney statistic over the number of pairs, counted in integers.
fn auc(scores: impl Iterator<Item = f64>, positive: impl Iterator<Item = bool>) -> Option<f64> {
    let mut sorted: Vec<(f64, bool)> = scores.zip(positive).collect();
    if sorted.iter().any(|(z, _)| z.is_nan()) {
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
    fn several_classes_by_hand() {
        // Scores of three classes for labels 0, 1, 2, 1: the last row is taken for 0, its first largest.
        let z = [2.0, -1.0, -1.0, 0.0, 1.0, -2.0, -1.0, -3.0, 0.5, 0.5, 0.5, -1.0];
        let y = [0.0, 1.0, 2.0, 1.0];
        let m = Metrics::new(LossKind::Hinge, &z, &y);
        near(m.accuracy, 0.75);
        assert_eq!(m.confusion.unwrap().rows().collect::<Vec<_>>(), [[1, 0, 0], [1, 1, 0], [0, 0, 1]]);
        // AUC of 0: 2 is above 0, −1, 0.5: 1. Of 1: {1, 0.5} over {−1, −3}: 1. Of 2: 0.5 over −1, −2, −1: 1.
        assert_eq!(m.auc, Some(1.0));
        // Rows: 0, 0 + 0 + 0; 1 + 0 + 0; 0 + 0 + 0.5; 1.5 + 0.5 + 0.
        near(Some(m.loss), (1.0 + 0.5 + 2.0) / 4.0);
        let m = Metrics::new(LossKind::Logistic, &z[..3], &y[..1]);
        let (a, b) = (1.0 / (1.0 + (-2f64).exp()), 1.0 / (1.0 + 1f64.exp()));
        near(m.log_loss, -(a / (a + 2.0 * b)).ln());
        assert_eq!((m.auc, m.rmse), (None, None));
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

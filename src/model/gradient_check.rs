//! Finite differences, for the tests of objectives.

use super::objective::Objective;

/// The mean of the steps over all mini-batches of `batch`, from random parameters, is the derivative of the value, in
/// every parameter that `counts` admits; the others, padding, are zero and stay so.
pub(super) fn check<O: Objective<f64>>(objective: &O, batch: usize, counts: impl Fn(usize) -> bool) {
    let (n, mut w) = (objective.examples(), objective.initial(1));
    let noise = |i: usize| ((i * 7919 % 1009) as f64 / 1009.0 - 0.4) * 0.8;
    w.iter_mut()
        .enumerate()
        .for_each(|(i, w)| *w = if counts(i) { (*w + noise(i)).abs() + 0.01 } else { 0.0 });
    let mut mean = vec![0.0; w.len()];
    let mut gradient = objective.buffer();
    for start in (0..n).step_by(batch) {
        let range = start..(start + batch).min(n);
        let share = range.len() as f64 / n as f64;
        let mut moved = w.clone();
        objective.gradient(range, &w[..], &mut gradient);
        objective.descend(&gradient, 1e-7, &mut moved[..]);
        mean.iter_mut()
            .zip(w.iter().zip(&moved))
            .for_each(|(m, (w, moved))| *m += share * (w - moved) / 1e-7);
    }
    let mut seen = 0;
    for i in 0..w.len() {
        if !counts(i) {
            assert_eq!(mean[i], 0.0, "padding {i}");
            continue;
        }
        let at = |d: f64| {
            let mut w = w.clone();
            w[i] += d;
            objective.value(&w)
        };
        let numeric = (at(1e-6) - at(-1e-6)) / 2e-6;
        assert!((numeric - mean[i]).abs() < 1e-5, "w[{i}]: {numeric} vs {}", mean[i]);
        seen += usize::from(numeric != 0.0);
    }
    assert!(seen > 1);
}

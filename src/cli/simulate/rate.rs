//! The rate that is taken on data unless one is given.

use asyncsgd::model::Curvature;

/// The base rate where gradients of examples are as smooth as the curvature says, plus `extra`: one that an example bears,
/// and that the mean loss bears with so many `updates` under way.
pub(super) fn automatic(
    curvature: &Curvature,
    bounds: &[f32],
    extra: f64,
    updates: usize,
) -> (f64, &'static str) {
    let example = curvature.example_mean + extra;
    let rows = bounds.iter().copied().fold(0.0, f32::max);
    // The mean loss is no more curved than its examples are in the mean.
    let mean = if rows > 0.0 { example.min(f64::from(rows) + extra) } else { example };
    let (alone, together) = (0.5 / example, 0.25 / (mean * updates as f64));
    if alone < together {
        (alone, "1/(2·L), L the mean smoothness of an example")
    } else {
        (together, "1/(4·L·updates in flight), L a bound on the curvature of the mean loss")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_automatic_rate_heeds_workers_and_what_is_added() {
        let curvature = Curvature { example_max: 4.0, example_mean: 1.0, strong_convexity: 0.0 };
        let rate = |bounds: &[f32], extra, workers| automatic(&curvature, bounds, extra, workers).0;
        // Of sparse rows the mean is hardly curved: a few workers do not matter, many do.
        assert_eq!(rate(&[0.01, 0.02], 0.0, 2), 0.5);
        assert!((rate(&[0.01, 0.02], 0.0, 100) - 0.125).abs() < 1e-6);
        assert!((rate(&[0.01, 0.02], 0.08, 100) - 0.025).abs() < 1e-6);
        assert!((rate(&[0.01, 0.02], 0.5, 1) - 1.0 / 3.0).abs() < 1e-12);
        // Row sums bound loosely, and may not be known.
        assert_eq!((rate(&[7.0], 0.0, 4), rate(&[], 0.0, 4)), (0.0625, 0.0625));
    }
}

//! The share of a block's difference that is published, by the curvature of each coordinate.

/// w(c, N) for one coordinate: the share of a block's difference that is published.
///
/// `contraction` = η·g·m ≥ 0 is the exponent, c = 1 − e^(−contraction); `publications` is N ≥ 1. In (0, 1],
/// falling in both.
pub fn publication_weight(contraction: f64, publications: f64) -> f64 {
    let c = -(-contraction).exp_m1();
    // Below, 1 − w < 1e-6·N/2 and the quotient loses its digits.
    if c * publications < 1e-6 {
        return 1.0;
    }
    -(-contraction * publications).exp_m1() / (publications * c)
}

/// The curvature bounds of the hot coordinates in 256 logarithmic levels, so that publishing looks a weight up
/// instead of taking two exponentials a coordinate.
///
/// Bounds are rounded up to the next level (at most 11 %), to the stable side.
#[derive(Debug, Clone)]
pub(crate) struct Levels {
    pub(super) level: Vec<u8>,
    pub(super) bound: [f64; 256],
}

impl Levels {
    /// The smallest level is 2^(-255/LEVELS_PER_OCTAVE) of the largest: its weight is 1 for any step that
    /// keeps the largest within reason.
    const PER_OCTAVE: f64 = 6.5;

    /// Levels of `curvature`, one bound ≥ 0 a coordinate. O(hot).
    pub(crate) fn new(curvature: &[f32]) -> Self {
        let max = curvature.iter().copied().fold(f32::MIN_POSITIVE, f32::max) as f64;
        let bound = std::array::from_fn(|level| max * (-((255 - level) as f64) / Self::PER_OCTAVE).exp2());
        let of = |&g: &f32| {
            let octaves = (f64::from(g.max(f32::MIN_POSITIVE)) / max).log2();
            (255.0 + (octaves * Self::PER_OCTAVE).ceil()).clamp(0.0, 255.0) as u8
        };
        Self { level: curvature.iter().map(of).collect(), bound }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn weights_have_the_limits_and_the_middle_of_the_formula() {
        assert_eq!(publication_weight(0.0, 8.0), 1.0);
        assert!((publication_weight(1e3, 8.0) - 1.0 / 8.0).abs() < 1e-12);
        assert_eq!(publication_weight(0.7, 1.0), 1.0);
        // c = 1/2, N = 2: (1 − 1/4)/(2·1/2) = 3/4.
        assert!((publication_weight(std::f64::consts::LN_2, 2.0) - 0.75).abs() < 1e-12);
        // c = 1/2, N = 3: (1 − 1/8)/(3/2) = 7/12.
        assert!((publication_weight(std::f64::consts::LN_2, 3.0) - 7.0 / 12.0).abs() < 1e-12);
    }

    #[test]
    fn levels_round_up_by_less_than_one_step() {
        let g: Vec<f32> = (0..500).map(|i| 3.0 * 0.95f32.powi(i)).collect();
        let levels = Levels::new(&g);
        for (&g, &level) in g.iter().zip(&levels.level) {
            let bound = levels.bound[usize::from(level)];
            let g = f64::from(g);
            assert!(bound >= g * 0.999_999 && (bound <= g * 1.12 || level == 0), "{g}: {bound}");
        }
        assert_eq!(Levels::new(&[0.0, 0.0]).level.len(), 2);
    }
}

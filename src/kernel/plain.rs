//! Dense loops over plain floats, as fast as the compiler makes them: what the loops over shared floats are
//! compared with (`asyncsgd bench roofline`).

/// Sums that run beside each other, so that additions do not wait for each other.
const LANES: usize = 32;

#[inline(always)]
fn dot_lanes(w: &[f32], x: &[f32]) -> f32 {
    let (w, w_rest) = w.as_chunks::<LANES>();
    let (x, x_rest) = x.as_chunks::<LANES>();
    let mut sums = [0f32; LANES];
    for (w, x) in w.iter().zip(x) {
        for lane in 0..LANES {
            sums[lane] += w[lane] * x[lane];
        }
    }
    let rest: f32 = w_rest.iter().zip(x_rest).map(|(w, x)| w * x).sum();
    sums.iter().sum::<f32>() + rest
}

#[inline(always)]
fn axpy_lanes(w: &mut [f32], x: &[f32], a: f32) {
    w.iter_mut().zip(x).for_each(|(w, x)| *w += a * x);
}

/// Σ w·x over the shorter length.
pub(crate) fn dot(w: &[f32], x: &[f32]) -> f32 {
    #[cfg(all(target_arch = "x86_64", not(loom)))]
    if super::vector() {
        #[target_feature(enable = "avx2,fma")]
        fn wide(w: &[f32], x: &[f32]) -> f32 {
            dot_lanes(w, x)
        }
        // SAFETY: the instructions are there.
        return unsafe { wide(w, x) };
    }
    dot_lanes(w, x)
}

/// w += a·x over the shorter length.
pub(crate) fn axpy(w: &mut [f32], x: &[f32], a: f32) {
    #[cfg(all(target_arch = "x86_64", not(loom)))]
    if super::vector() {
        #[target_feature(enable = "avx2,fma")]
        fn wide(w: &mut [f32], x: &[f32], a: f32) {
            axpy_lanes(w, x, a);
        }
        // SAFETY: the instructions are there.
        return unsafe { wide(w, x, a) };
    }
    axpy_lanes(w, x, a);
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn every_element_counts_once() {
        for n in [0, 1, 31, 32, 33, 100] {
            let x: Vec<f32> = (0..n).map(|i| (i % 7) as f32).collect();
            let mut w: Vec<f32> = (0..n).map(|i| (i % 5) as f32).collect();
            let sum: f32 = w.iter().zip(&x).map(|(w, x)| w * x).sum();
            assert_eq!(dot(&w, &x), sum);
            axpy(&mut w, &x, 2.0);
            assert!(w.iter().enumerate().all(|(i, &w)| w == (i % 5 + 2 * (i % 7)) as f32), "{n}");
        }
    }
}

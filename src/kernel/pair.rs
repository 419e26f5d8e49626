//! A step of two rows of factors along each other, as matrix factorization takes it: on plain floats.

use crate::real::Real;

/// Floats on a cache line (of `f32`), of which rows are made: their products are summed beside each other.
const LINE: usize = 16;

/// For the error e = p·q + `offset`: p −= a·q + `shrink`·p and q −= a·p + `shrink`·q, a = `step`·e, both from what they
/// were, and no less than 0 if `floor`. Returns a.
///
/// The rows must be whole lines of equal length; what is left over or beyond the shorter is not looked at.
#[inline]
pub(crate) fn step<T: Real>(p: &mut [T], q: &mut [T], offset: T, step: T, shrink: T, floor: bool) -> T {
    #[cfg(all(target_arch = "x86_64", not(loom)))]
    if super::vector() {
        #[target_feature(enable = "avx2,fma")]
        fn wide<T: Real>(p: &mut [T], q: &mut [T], offset: T, step: T, shrink: T, floor: bool) -> T {
            body(p, q, offset, step, shrink, floor)
        }
        // SAFETY: the instructions are there.
        return unsafe { wide(p, q, offset, step, shrink, floor) };
    }
    body(p, q, offset, step, shrink, floor)
}

#[inline(always)]
fn body<T: Real>(p: &mut [T], q: &mut [T], offset: T, step: T, shrink: T, floor: bool) -> T {
    let (p, q) = (p.as_chunks_mut::<LINE>().0, q.as_chunks_mut::<LINE>().0);
    let mut sums = [T::ZERO; LINE];
    for (p, q) in p.iter().zip(&*q) {
        for lane in 0..LINE {
            sums[lane] += p[lane] * q[lane];
        }
    }
    // By halves: one sum after the other would take as long as all the rest.
    for half in [8, 4, 2, 1] {
        for lane in 0..half {
            sums[lane] += sums[lane + half];
        }
    }
    let a = step * (sums[0] + offset);
    for (p, q) in p.iter_mut().zip(q) {
        for lane in 0..LINE {
            let (x, y) = (p[lane], q[lane]);
            p[lane] = x - (a * y + shrink * x);
            q[lane] = y - (a * x + shrink * y);
        }
        if floor {
            p.iter_mut().chain(q).for_each(|w| *w = floored(*w));
        }
    }
    a
}

/// A factor that is not to be below 0. What is no number stays, to be noticed.
#[inline(always)]
pub(crate) fn floored<T: Real>(w: T) -> T {
    if w < T::ZERO { T::ZERO } else { w }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_number_is_no_zero() {
        let (mut p, mut q) = ([f32::NAN; LINE], [1.0; LINE]);
        step(&mut p, &mut q, 0.0, 0.5, 0.25, true);
        assert!(p.iter().chain(&q).all(|w| w.is_nan()));
    }

    #[test]
    fn both_rows_move_by_what_the_other_was() {
        for (lines, floor) in [(0, false), (1, false), (3, false), (1, true), (2, true)] {
            let row = |k: usize| (0..LINE * lines).map(|i| ((i * k) % 7) as f64 - 3.0).collect::<Vec<f64>>();
            let (start_p, start_q) = (row(3), row(5));
            let (mut p, mut q) = (start_p.clone(), start_q.clone());
            let product: f64 = start_p.iter().zip(&start_q).map(|(x, y)| x * y).sum();
            let a = step(&mut p, &mut q, 2.0, 0.5, 0.25, floor);
            assert_eq!(a, 0.5 * (product + 2.0));
            let least = if floor { 0.0 } else { f64::NEG_INFINITY };
            for (i, (&x, &y)) in start_p.iter().zip(&start_q).enumerate() {
                assert_eq!(p[i], (x - (a * y + 0.25 * x)).max(least), "{i} of {lines} lines");
                assert_eq!(q[i], (y - (a * x + 0.25 * y)).max(least), "{i} of {lines} lines");
            }
        }
    }
}

//! A sparse or dense row times a matrix, and a row's outer product added to one: what layers of a network are made
//! of. Matrices are plain slices, one row of `width` floats for each input.

use super::Row;
use crate::real::Real;

/// Floats of a matrix row that are summed beside each other, in registers. So many are left out where an input is 0, as
/// half of what rectifiers let through is: of fewer, a branch that nobody can foresee costs more than it spares.
const WIDE: usize = 64;

/// Calls `$call` with `N` the widest of 64, 16, or what is left, until all columns are done.
macro_rules! by_columns {
    ($width:expr, $at:ident => $function:ident $args:tt) => {{
        let mut $at = 0;
        while $at < $width {
            let left = $width - $at;
            $at += by_columns!(@ left, $function $args;
                1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16);
        }
    }};
    (@ $left:ident, $function:ident $args:tt; $($n:literal)*) => {
        match $left {
            $($n => { $function::<T, $n> $args; $n })*
            17..WIDE => { $function::<T, 16> $args; 16 }
            _ => { $function::<T, WIDE> $args; WIDE }
        }
    };
}

/// Defines a function whose loops are compiled once for the machine at hand and once for any.
macro_rules! dispatched {
    ($(#[$about:meta])* $name:ident($($arg:ident: $type:ty),*) $body:block) => {
        $(#[$about])*
        #[inline]
        #[allow(clippy::too_many_arguments, reason = "a kernel's operands")]
        pub(crate) fn $name<T: Real>($($arg: $type),*) {
            #[inline(always)]
            #[allow(clippy::too_many_arguments, reason = "a kernel's operands")]
            fn body<T: Real>($($arg: $type),*) $body
            #[cfg(all(target_arch = "x86_64", not(loom)))]
            if super::vector() {
                #[target_feature(enable = "avx2,fma")]
                #[allow(clippy::too_many_arguments, reason = "a kernel's operands")]
                fn wide<T: Real>($($arg: $type),*) {
                    body($($arg),*)
                }
                // SAFETY: the instructions are there.
                return unsafe { wide($($arg),*) };
            }
            body($($arg),*)
        }
    };
}

#[inline(always)]
fn gather_columns<T: Real, const N: usize>(w: &[T], width: usize, at: usize, row: Row<'_>, z: &mut [T]) {
    let Some(z) = z[at..].first_chunk_mut::<N>() else { return };
    let mut sums = *z;
    for (id, v) in row.iter() {
        let v = T::from_f32(v);
        let Some(w) = w[id * width + at..].first_chunk::<N>() else { return };
        for lane in 0..N {
            sums[lane] += v * w[lane];
        }
    }
    *z = sums;
}

dispatched! {
    /// z += Σ value·w\[id\] over the nonzeros of a row, w\[id\] being a row of the matrix.
    ///
    /// # Panics
    /// If the row has an id outside the matrix.
    gather(w: &[T], width: usize, row: Row<'_>, z: &mut [T]) {
        by_columns!(width, at => gather_columns(w, width, at, row, z))
    }
}

#[inline(always)]
fn scatter_columns<T: Real, const N: usize>(
    w: &mut [T],
    width: usize,
    at: usize,
    row: Row<'_>,
    delta: &[T],
    a: T,
) {
    let Some(delta) = delta[at..].first_chunk::<N>() else { return };
    for (id, v) in row.iter() {
        let a = a * T::from_f32(v);
        let Some(w) = w[id * width + at..].first_chunk_mut::<N>() else { return };
        for lane in 0..N {
            w[lane] += a * delta[lane];
        }
    }
}

dispatched! {
    /// w\[id\] += a·value·delta for each nonzero of a row.
    ///
    /// # Panics
    /// If the row has an id outside the matrix.
    scatter(w: &mut [T], width: usize, row: Row<'_>, delta: &[T], a: T) {
        by_columns!(width, at => scatter_columns(w, width, at, row, delta, a))
    }
}

#[inline(always)]
fn combine_columns<T: Real, const N: usize>(w: &[T], width: usize, at: usize, h: &[T], z: &mut [T]) {
    let Some(z) = z[at..].first_chunk_mut::<N>() else { return };
    let mut sums = *z;
    for (w, &h) in w.chunks_exact(width).zip(h) {
        let (Some(w), true) = (w[at..].first_chunk::<N>(), N < WIDE || h != T::ZERO) else { continue };
        for lane in 0..N {
            sums[lane] += h * w[lane];
        }
    }
    *z = sums;
}

dispatched! {
    /// z += h·w for a dense row h, one value a row of the matrix.
    combine(w: &[T], width: usize, h: &[T], z: &mut [T]) {
        by_columns!(width, at => combine_columns(w, width, at, h, z))
    }
}

#[inline(always)]
fn outer_columns<T: Real, const N: usize>(w: &mut [T], width: usize, at: usize, h: &[T], delta: &[T], a: T) {
    let Some(delta) = delta[at..].first_chunk::<N>() else { return };
    for (w, &h) in w.chunks_exact_mut(width).zip(h) {
        let (Some(w), true) = (w[at..].first_chunk_mut::<N>(), N < WIDE || h != T::ZERO) else { continue };
        let a = a * h;
        for lane in 0..N {
            w[lane] += a * delta[lane];
        }
    }
}

dispatched! {
    /// w += a·h·deltaᵀ for a dense row h, one value a row of the matrix.
    outer(w: &mut [T], width: usize, h: &[T], delta: &[T], a: T) {
        by_columns!(width, at => outer_columns(w, width, at, h, delta, a))
    }
}

dispatched! {
    /// out\[i\] = w\[i\]·delta: back through the matrix.
    back(w: &[T], width: usize, delta: &[T], out: &mut [T]) {
        for (w, out) in w.chunks_exact(width).zip(out) {
            let (wide, rest) = w.as_chunks::<8>();
            let (delta, delta_rest) = delta.as_chunks::<8>();
            let mut sums = [T::ZERO; 8];
            for (w, delta) in wide.iter().zip(delta) {
                for lane in 0..8 {
                    sums[lane] += w[lane] * delta[lane];
                }
            }
            let rest: T = rest.iter().zip(delta_rest).map(|(&w, &d)| w * d).sum();
            *out = sums.into_iter().sum::<T>() + rest;
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn numbers(n: usize, seed: usize) -> Vec<f64> {
        (0..n).map(|i| ((i * 7919 + seed) % 23) as f64 - 11.0).collect()
    }

    /// Whole numbers, so that the order of a sum does not matter.
    #[test]
    fn all_widths_agree_with_plain_loops() {
        for width in (1..=20).chain([31, 63, 64, 65, 80, 128, 150]) {
            let (rows, w) = (5, numbers(5 * width, 3));
            let row = Row::new(&[0, 2, 4], &[2.0, -1.0, 3.0]).unwrap();
            let (h, delta) = ([2.0, 0.0, -1.0, 0.0, 3.0], numbers(width, 5));
            let expected: Vec<f64> =
                (0..width).map(|c| 1.0 + (0..rows).map(|r| h[r] * w[r * width + c]).sum::<f64>()).collect();
            let (mut sparse, mut dense) = (vec![1.0; width], vec![1.0; width]);
            gather(&w, width, row, &mut sparse);
            combine(&w, width, &h, &mut dense);
            assert_eq!(sparse, expected, "{width}");
            assert_eq!(dense, expected, "{width}");

            let moved: Vec<f64> =
                (0..rows * width).map(|i| w[i] + 2.0 * h[i / width] * delta[i % width]).collect();
            let (mut sparse, mut dense) = (w.clone(), w.clone());
            scatter(&mut sparse, width, row, &delta, 2.0);
            outer(&mut dense, width, &h, &delta, 2.0);
            assert_eq!(sparse, moved, "{width}");
            assert_eq!(dense, moved, "{width}");

            let mut out = [0.0; 5];
            back(&w, width, &delta, &mut out);
            for (r, out) in out.into_iter().enumerate() {
                assert_eq!(out, (0..width).map(|c| w[r * width + c] * delta[c]).sum::<f64>(), "{width}");
            }
        }
    }
}

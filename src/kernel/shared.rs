//! Runs of neighbouring shared floats: read, copied out, and added to, several at a time where the machine can.
//!
//! The loops under each kernel are its reference, and what other machines run.

use super::Row;
use crate::sync::{AtomicF32, Ordering};
use std::ops::{Add, AddAssign, Mul};

/// Sums that run beside each other, so that additions do not wait for each other.
const LANES: usize = 8;

/// Σ x\[j\]·load(cells\[j\]): the reference.
///
/// # Panics
/// If there are fewer cells than `x` is long.
#[inline]
pub(crate) fn dot_with<C, T>(cells: &[C], x: &[T], load: impl Fn(&C) -> T) -> T
where
    T: Copy + Default + Add<Output = T> + Mul<Output = T> + AddAssign,
{
    let (cells, rest) = cells[..x.len()].as_chunks::<LANES>();
    let (x, x_rest) = x.as_chunks::<LANES>();
    let mut sums = [T::default(); LANES];
    for (cells, x) in cells.iter().zip(x) {
        for lane in 0..LANES {
            sums[lane] += load(&cells[lane]) * x[lane];
        }
    }
    let [a, b, c, d, e, f, g, h] = sums;
    let mut sum = ((a + b) + (c + d)) + ((e + f) + (g + h));
    for (cell, &x) in rest.iter().zip(x_rest) {
        sum += load(cell) * x;
    }
    sum
}

/// Σ x\[j\]·cells\[j\].
///
/// # Panics
/// If there are fewer cells than `x` is long.
#[inline]
pub(crate) fn dot(cells: &[AtomicF32], x: &[f32]) -> f32 {
    let cells = &cells[..x.len()];
    #[cfg(all(target_arch = "x86_64", not(loom)))]
    if super::vector() {
        // SAFETY: as many cells as numbers; AtomicF32 has the layout of f32; the instructions are there.
        return unsafe { super::x86::dense::dot(cells.as_ptr().cast(), x) };
    }
    dot_with(cells, x, |w| w.load(Ordering::Relaxed))
}

/// [`dot`] over plain floats, by the same kernel: with one worker both give the same bits.
///
/// # Panics
/// If there are fewer weights than `x` is long.
#[inline]
pub(crate) fn dot_plain(weights: &[f32], x: &[f32]) -> f32 {
    let weights = &weights[..x.len()];
    #[cfg(all(target_arch = "x86_64", not(loom)))]
    if super::vector() {
        // SAFETY: as many weights as numbers; the instructions are there.
        return unsafe { super::x86::dense::dot(weights.as_ptr(), x) };
    }
    dot_with(weights, x, |&w| w)
}

/// cells\[j\] += a·x\[j\], each by a load and a store, between which others may write.
///
/// # Panics
/// If there are fewer cells than `x` is long.
#[inline]
pub(crate) fn racy_axpy(cells: &[AtomicF32], x: &[f32], a: f32) {
    let cells = &cells[..x.len()];
    #[cfg(all(target_arch = "x86_64", not(loom)))]
    if super::vector() {
        // SAFETY: as many cells as numbers; AtomicF32 has the layout of f32 and allows writing through a shared
        // reference; the instructions are there.
        return unsafe { super::x86::dense::axpy(cells.as_ptr().cast::<f32>().cast_mut(), x, a) };
    }
    for (cell, &x) in cells.iter().zip(x) {
        cell.store(cell.load(Ordering::Relaxed) + a * x, Ordering::Relaxed);
    }
}

/// weights\[j\] += a·x\[j\].
///
/// # Panics
/// If there are fewer weights than `x` is long.
#[inline]
pub(crate) fn axpy_plain(weights: &mut [f32], x: &[f32], a: f32) {
    let weights = &mut weights[..x.len()];
    #[cfg(all(target_arch = "x86_64", not(loom)))]
    if super::vector() {
        // SAFETY: as many weights as numbers; the instructions are there.
        return unsafe { super::x86::dense::axpy(weights.as_mut_ptr(), x, a) };
    }
    for (w, &x) in weights.iter_mut().zip(x) {
        *w += a * x;
    }
}

/// cells\[j\] += a·x\[j\] with nothing lost, four at a time where the machine can; returns how many
/// compare-exchanges failed.
///
/// # Panics
/// If there are fewer cells than `x` is long.
#[inline]
pub(crate) fn cas_axpy(cells: &[AtomicF32], x: &[f32], a: f32) -> u64 {
    let cells = &cells[..x.len()];
    #[cfg(all(target_arch = "x86_64", not(loom)))]
    if super::vector() {
        // Up to the first cell on a 16-byte boundary, the fours from there on, and the rest.
        let first = (cells.as_ptr().addr().wrapping_neg() / size_of::<f32>() % 4).min(cells.len());
        let ((before, cells), (x_before, x)) = (cells.split_at(first), x.split_at(first));
        let (x, x_after) = x.as_chunks::<4>();
        let after = &cells[4 * x.len()..];
        // SAFETY: as many fours as cells, accessed as atomics only, from a 16-byte boundary on; AtomicF32 has the
        // layout of f32 and allows writing through a shared reference; the instruction is there.
        let failed = unsafe { super::x86::dense::axpy4(cells.as_ptr().cast::<f32>().cast_mut(), x, a) };
        return failed + axpy_singly(before, x_before, a) + axpy_singly(after, x_after, a);
    }
    axpy_singly(cells, x, a)
}

/// One compare-exchange loop a cell.
#[inline]
fn axpy_singly(cells: &[AtomicF32], x: &[f32], a: f32) -> u64 {
    let mut failed = 0;
    for (cell, &x) in cells.iter().zip(x) {
        let mut old = cell.load(Ordering::Relaxed);
        while let Err(now) =
            cell.compare_exchange_weak(old, old + a * x, Ordering::Relaxed, Ordering::Relaxed)
        {
            old = now;
            failed += 1;
        }
    }
    failed
}

/// Copies `out.len()` floats out of the first cells.
///
/// # Panics
/// If there are fewer cells.
#[inline]
pub(crate) fn copy_out(cells: &[AtomicF32], out: &mut [f32]) {
    let cells = &cells[..out.len()];
    #[cfg(all(target_arch = "x86_64", not(loom)))]
    if super::vector() {
        // SAFETY: as many cells as places; AtomicF32 has the layout of f32; the instructions are there.
        return unsafe { super::x86::dense::copy_out(cells.as_ptr().cast(), out) };
    }
    for (out, cell) in out.iter_mut().zip(cells) {
        *out = cell.load(Ordering::Relaxed);
    }
}

/// Adds `change` to four cells as one compare-exchange, and returns how often that failed; `None` where the
/// machine cannot, or the cells are not on a 16-byte boundary.
#[inline]
pub(crate) fn add4(cells: &[AtomicF32; 4], change: &[f32; 4]) -> Option<u64> {
    #[cfg(all(target_arch = "x86_64", not(loom)))]
    if super::vector() && cells.as_ptr().addr().is_multiple_of(16) {
        // SAFETY: four aligned cells, accessed as atomics only; AtomicF32 has the layout of f32 and allows
        // writing through a shared reference; the instruction is there.
        return Some(unsafe { super::x86::dense::add4(cells.as_ptr().cast::<f32>().cast_mut(), change) });
    }
    let _ = (cells, change);
    None
}

/// Stores `new` in four cells if they hold `old` to the bit, as one compare-exchange, and returns whether they did; never
/// where the machine cannot, or the cells are not on a 16-byte boundary.
#[inline]
pub(crate) fn replace4(cells: &[AtomicF32; 4], old: &[f32; 4], new: &[f32; 4]) -> bool {
    #[cfg(all(target_arch = "x86_64", not(loom)))]
    if super::vector() && cells.as_ptr().addr().is_multiple_of(16) {
        // SAFETY: as in `add4`.
        return unsafe { super::x86::dense::replace4(cells.as_ptr().cast::<f32>().cast_mut(), old, new) };
    }
    let _ = (cells, old, new);
    false
}

/// Asks for the cache line of cell `i`, if there is one, in a state in which it can be written.
#[inline(always)]
pub(crate) fn prefetch_write<C>(cells: &[C], i: usize) {
    #[cfg(all(target_arch = "x86_64", not(loom)))]
    if i < cells.len() {
        super::x86::prefetch_write(cells.as_ptr(), i);
    }
    let _ = (cells, i);
}

/// [`prefetch_write`] for each parameter of a sparse row: the cache lines come at once, where an exchange after a load
/// that left the line with another core waits for each by itself.
///
/// # Panics
/// If the row has an id outside `cells`.
#[inline]
pub(crate) fn prefetch_row<C>(cells: &[C], row: Row<'_>) {
    super::sparse::check(row, cells.len());
    #[cfg(all(target_arch = "x86_64", not(loom)))]
    {
        let ask = |id: u32| super::x86::prefetch_write(cells.as_ptr(), id as usize);
        if row.is_full() {
            // Once a line.
            return (0..row.len() as u32).step_by(16).for_each(ask);
        }
        let (eights, rest) = row.ids().as_chunks::<8>();
        eights.iter().for_each(|ids| ids.iter().for_each(|&id| ask(id)));
        rest.iter().for_each(|&id| ask(id));
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn shared(values: &[f32]) -> Vec<AtomicF32> {
        values.iter().map(|&w| AtomicF32::new(w)).collect()
    }

    fn read(cells: &[AtomicF32]) -> Vec<f32> {
        cells.iter().map(|cell| cell.load(Ordering::Relaxed)).collect()
    }

    /// The kernels against the loops that define them, for every length up to three turns and every alignment,
    /// with a margin that must stay as it was.
    #[test]
    fn kernels_are_the_reference() {
        let of = |i: usize| ((i * 37 % 101) as f32 - 50.0) / 32.0;
        for (len, at) in (0..100usize).flat_map(|len| (0..9).map(move |at| (len, at))) {
            let start: Vec<f32> = (0..len + 20).map(of).collect();
            // Some fours are zero as a whole, some in part, and one number is no number.
            let mut x: Vec<f32> = (0..len).map(|j| if j / 5 % 3 == 0 { 0.0 } else { of(j + 7) }).collect();
            let exact: f64 = x.iter().zip(&start[at..]).map(|(&x, &w)| f64::from(x) * f64::from(w)).sum();
            let (cells, mut copy) = (shared(&start), vec![0.0; len]);
            let sum = dot(&cells[at..], &x);
            assert!((f64::from(sum) - exact).abs() < 1e-4, "{len} from {at}: {sum} is not {exact}");
            assert!(
                dot_plain(&start[at..], &x) == sum && (sum - dot_with(&start[at..], &x, |&w| w)).abs() < 1e-4
            );
            copy_out(&cells[at..], &mut copy);
            assert!(copy == start[at..at + len]);

            let mut expected = start.clone();
            expected[at..].iter_mut().zip(&x).for_each(|(w, &x)| *w += 0.3 * x);
            racy_axpy(&cells[at..], &x, 0.3);
            assert!(read(&cells) == expected, "{len} from {at}, racy");
            let cells = shared(&start);
            assert_eq!(cas_axpy(&cells[at..], &x, 0.3), 0);
            assert!(read(&cells) == expected, "{len} from {at}, by compare-exchange");
            let mut plain = start;
            axpy_plain(&mut plain[at..], &x, 0.3);
            assert!(plain == expected, "{len} from {at}, plain");

            if let Some(last) = x.last_mut() {
                *last = f32::NAN;
                cas_axpy(&cells[at..], &x, 0.3);
                assert!(read(&cells)[at + len - 1].is_nan());
            }
        }
    }

    /// Two threads add to the same cells at once, by fours and one by one: nothing is lost.
    #[test]
    fn concurrent_additions_all_arrive() {
        let cells = shared(&[0.0; 37]);
        crate::sync::scope(|scope| {
            for at in [0, 1] {
                let cells = &cells[at..];
                scope.spawn(move |_| (0..20_000).for_each(|_| _ = cas_axpy(cells, &[1.0; 36], 0.5)));
            }
        })
        .expect("no panic");
        let sums = read(&cells);
        assert!(sums[0] == 1e4 && sums[36] == 1e4 && sums[1..36].iter().all(|&w| w == 2e4), "{sums:?}");
    }
}

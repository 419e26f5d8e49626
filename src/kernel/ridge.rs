//! w ← w − (a·x + s·w) over neighbouring shared floats: a step along a dense row together with the shrinking that an
//! L2 penalty asks of it.

use crate::sync::{AtomicF32, Ordering};

/// Each by a load and a store: what others add between the two is lost.
///
/// # Panics
/// If there are fewer cells than elements of `x`.
#[inline]
pub(crate) fn racy(cells: &[AtomicF32], x: &[f32], a: f32, s: f32) {
    let cells = &cells[..x.len()];
    #[cfg(all(target_arch = "x86_64", not(loom)))]
    if super::vector() {
        // SAFETY: as many cells as numbers; AtomicF32 has the layout of f32 and allows writing through a shared
        // reference; the instructions are there.
        return unsafe { super::x86::dense::ridge(cells.as_ptr().cast::<f32>().cast_mut(), x, a, s) };
    }
    for (cell, &x) in cells.iter().zip(x) {
        let w = cell.load(Ordering::Relaxed);
        cell.store(w - (a * x + s * w), Ordering::Relaxed);
    }
}

/// Each by compare-exchange, four at a time where the machine can and they are aligned; returns how often one failed.
///
/// # Panics
/// If there are fewer cells than elements of `x`.
#[inline]
pub(crate) fn cas(cells: &[AtomicF32], x: &[f32], a: f32, s: f32) -> u64 {
    let cells = &cells[..x.len()];
    #[cfg(all(target_arch = "x86_64", not(loom)))]
    if super::vector() && cells.as_ptr().addr().is_multiple_of(16) {
        let (fours, rest) = x.as_chunks::<4>();
        // SAFETY: as many fours as cells, accessed as atomics only, on a 16-byte boundary; AtomicF32 has the layout
        // of f32 and allows writing through a shared reference; the instruction is there.
        let failed =
            unsafe { super::x86::dense::ridge4(cells.as_ptr().cast::<f32>().cast_mut(), fours, a, s) };
        return failed + singly(&cells[4 * fours.len()..], rest, a, s);
    }
    singly(cells, x, a, s)
}

fn singly(cells: &[AtomicF32], x: &[f32], a: f32, s: f32) -> u64 {
    let mut failed = 0;
    for (cell, &x) in cells.iter().zip(x) {
        let mut old = cell.load(Ordering::Relaxed);
        let exchange = |old: f32| {
            let new = old - (a * x + s * old);
            cell.compare_exchange_weak(old, new, Ordering::Relaxed, Ordering::Relaxed)
        };
        while let Err(now) = exchange(old) {
            old = now;
            failed += 1;
        }
    }
    failed
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn every_element_moves_once_in_either_way() {
        for (n, offset) in [(0, 0), (3, 0), (8, 1), (16, 0), (33, 0), (50, 3)] {
            let start: Vec<f32> = (0..n + offset).map(|i| i as f32 - 7.0).collect();
            let x: Vec<f32> = (0..n).map(|i| (i % 5) as f32).collect();
            let cells = || start.iter().map(|&w| AtomicF32::new(w)).collect::<Vec<_>>();
            let (by_store, by_cas) = (cells(), cells());
            racy(&by_store[offset..], &x, 0.5, 0.25);
            assert_eq!(cas(&by_cas[offset..], &x, 0.5, 0.25), 0);
            for (i, &w) in start.iter().enumerate() {
                let expected = if i < offset { w } else { w - (0.5 * x[i - offset] + 0.25 * w) };
                assert_eq!(by_store[i].load(Ordering::Relaxed), expected, "{n} {offset} {i}");
                assert_eq!(by_cas[i].load(Ordering::Relaxed), expected, "{n} {offset} {i}");
            }
        }
    }
}

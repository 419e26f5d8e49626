//! Runs of neighbouring shared floats: copied out, and added to, several at a time where the machine can.

use crate::sync::{AtomicF32, Ordering};

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
        return unsafe { super::x86::copy_out(cells.as_ptr().cast(), out) };
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
        return Some(unsafe { super::x86::add4(cells.as_ptr().cast::<f32>().cast_mut(), change) });
    }
    let _ = (cells, change);
    None
}

/// Asks for the cache line of cell `i`, if there is one, in a state in which it can be written.
#[inline(always)]
pub(crate) fn prefetch_write<C>(cells: &[C], i: usize) {
    #[cfg(all(target_arch = "x86_64", not(loom)))]
    if i < cells.len() {
        super::x86::prefetch_write(&raw const cells[i]);
    }
    let _ = (cells, i);
}

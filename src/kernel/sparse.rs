//! Gather and scatter along one sparse row.

use super::{Constants, Row};
use crate::sync::AtomicF32;
use std::ops::{Add, AddAssign, Mul};

/// The panic of a row that does not fit the parameters: one comparison a row is all the checking there is.
#[inline(always)]
fn check(row: Row<'_>, len: usize) {
    assert!(row.end() <= len, "a row of {} features on {len} parameters", row.end());
}

/// Σ values[k] · load(cells[ids[k]]): the reference.
///
/// Eight accumulators: one chain of dependent additions would wait 4 cycles for each nonzero.
///
/// # Panics
/// If the row has an id outside `cells`.
#[inline]
pub(crate) fn dot<C, T>(cells: &[C], row: Row<'_>, load: impl Fn(&C) -> T) -> T
where
    T: Copy + Default + From<f32> + Add<Output = T> + Mul<Output = T> + AddAssign,
{
    check(row, cells.len());
    // SAFETY: ids increase strictly, so each is below row.end(), which is at most cells.len().
    let at = |id: u32| load(unsafe { cells.get_unchecked(id as usize) });
    let (ids, values) = (row.ids().chunks_exact(8), row.values().chunks_exact(8));
    let mut tail = T::default();
    for (&id, &v) in ids.remainder().iter().zip(values.remainder()) {
        tail += at(id) * v.into();
    }
    let mut sums = [T::default(); 8];
    for (ids, values) in ids.zip(values) {
        for lane in 0..8 {
            sums[lane] += at(ids[lane]) * values[lane].into();
        }
    }
    let [a, b, c, d, e, f, g, h] = sums;
    ((a + b) + (c + d)) + ((e + f) + (g + h)) + tail
}

/// [`dot`] over plain floats, by the kernel that the machine has.
#[inline]
pub(crate) fn dot_f32(cells: &[f32], row: Row<'_>) -> f32 {
    #[cfg(all(target_arch = "x86_64", not(loom)))]
    if super::vector() {
        check(row, cells.len());
        // SAFETY: every id of the row is below cells.len(), and the instructions are there.
        return unsafe { super::x86::gather_dot(cells.as_ptr(), row) };
    }
    dot(cells, row, |&w| w)
}

/// [`dot`] over shared floats, by the kernel that the machine has.
#[inline]
pub(crate) fn dot_shared_f32(cells: &[AtomicF32], row: Row<'_>) -> f32 {
    #[cfg(all(target_arch = "x86_64", not(loom)))]
    if super::vector() {
        check(row, cells.len());
        // SAFETY: as above; AtomicF32 has the layout of f32, and the kernel reads it by single aligned
        // loads in assembly, each of which is a relaxed atomic load on this architecture.
        return unsafe { super::x86::gather_dot(cells.as_ptr().cast(), row) };
    }
    dot(cells, row, |w| w.load(crate::sync::Ordering::Relaxed))
}

/// Calls `visit(&cells[id], value, beside[id])` for each nonzero of the row.
///
/// # Panics
/// If the row has an id outside `cells` or `beside`.
#[inline(always)]
pub(crate) fn for_each<C>(
    cells: &[C],
    row: Row<'_>,
    beside: &Constants,
    mut visit: impl FnMut(&C, f32, f32),
) {
    check(row, cells.len());
    check(row, beside.len());
    for (&id, &v) in row.ids().iter().zip(row.values()) {
        let id = id as usize;
        // SAFETY: ids increase strictly, so each is below row.end(), which is at most either length.
        let (cell, beside) = unsafe { (cells.get_unchecked(id), beside.get_unchecked(id)) };
        visit(cell, v, beside);
    }
}

/// Calls `visit(&mut cells[id], value, beside[id])` for each nonzero of the row.
///
/// # Panics
/// If the row has an id outside `cells` or `beside`.
#[inline(always)]
pub(crate) fn for_each_mut<C>(
    cells: &mut [C],
    row: Row<'_>,
    beside: &Constants,
    mut visit: impl FnMut(&mut C, f32, f32),
) {
    check(row, cells.len());
    check(row, beside.len());
    for (&id, &v) in row.ids().iter().zip(row.values()) {
        let id = id as usize;
        // SAFETY: ids increase strictly, so each is below row.end(), which is at most either length.
        let (cell, beside) = unsafe { (cells.get_unchecked_mut(id), beside.get_unchecked(id)) };
        visit(cell, v, beside);
    }
}

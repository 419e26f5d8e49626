//! Gather and scatter along one sparse row.

use super::Row;
use crate::real::Real;

/// Σ values[k] · load(cells[ids[k]]).
///
/// Eight accumulators: one chain of dependent additions would wait 4 cycles for each nonzero.
///
/// # Panics
/// If the row has an id outside `cells`.
#[inline]
pub(crate) fn dot<C, T: Real>(cells: &[C], row: Row<'_>, load: impl Fn(&C) -> T) -> T {
    assert!(row.end() <= cells.len(), "a row of {} features on {} parameters", row.end(), cells.len());
    // SAFETY: ids increase strictly, so each is below row.end(), which is at most cells.len().
    let at = |id: u32| load(unsafe { cells.get_unchecked(id as usize) });
    let (ids, values) = (row.ids().chunks_exact(8), row.values().chunks_exact(8));
    let mut tail = T::ZERO;
    for (&id, &v) in ids.remainder().iter().zip(values.remainder()) {
        tail += at(id) * T::from_f32(v);
    }
    let mut sums = [T::ZERO; 8];
    for (ids, values) in ids.zip(values) {
        for lane in 0..8 {
            sums[lane] += at(ids[lane]) * T::from_f32(values[lane]);
        }
    }
    let [a, b, c, d, e, f, g, h] = sums;
    ((a + b) + (c + d)) + ((e + f) + (g + h)) + tail
}

/// Calls `visit(&cells[id], id, value)` for each nonzero of the row.
///
/// # Panics
/// If the row has an id outside `cells`.
#[inline]
pub(crate) fn for_each<C>(cells: &[C], row: Row<'_>, mut visit: impl FnMut(&C, usize, f32)) {
    assert!(row.end() <= cells.len(), "a row of {} features on {} parameters", row.end(), cells.len());
    for (&id, &v) in row.ids().iter().zip(row.values()) {
        let id = id as usize;
        // SAFETY: ids increase strictly, so each is below row.end(), which is at most cells.len().
        visit(unsafe { cells.get_unchecked(id) }, id, v);
    }
}

/// Calls `visit(&mut cells[id], id, value)` for each nonzero of the row.
///
/// # Panics
/// If the row has an id outside `cells`.
#[inline]
pub(crate) fn for_each_mut<C>(cells: &mut [C], row: Row<'_>, mut visit: impl FnMut(&mut C, usize, f32)) {
    assert!(row.end() <= cells.len(), "a row of {} features on {} parameters", row.end(), cells.len());
    for (&id, &v) in row.ids().iter().zip(row.values()) {
        let id = id as usize;
        // SAFETY: ids increase strictly, so each is below row.end(), which is at most cells.len().
        visit(unsafe { cells.get_unchecked_mut(id) }, id, v);
    }
}

//! Gather and scatter along one sparse row.

#[cfg(all(target_arch = "x86_64", not(loom)))]
use super::runs::PEELED;
use super::{Constants, Row};
use crate::sync::{AtomicF32, Ordering};
use std::ops::{Add, AddAssign, Mul, Range};

/// Rows whose scores are computed before what follows from them; as few as lie in the second-level cache where they are
/// long.
const TURN: usize = 64;

/// The panic of a row that does not fit the parameters: one comparison a row is all the checking there is.
#[inline(always)]
pub(super) fn check(row: Row<'_>, len: usize) {
    assert!(row.end() <= len, "a row of {} features on {len} parameters", row.end());
}

/// Σ values[k] · load(cells[ids[k]]): the reference.
///
/// Eight accumulators: one chain of dependent additions would wait 4 cycles for each nonzero.
///
/// # Panics
/// If the row has an id outside `cells`.
#[inline(always)]
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
#[inline(always)]
pub(crate) fn dot_f32(cells: &[f32], row: Row<'_>) -> f32 {
    #[cfg(all(target_arch = "x86_64", not(loom)))]
    if super::vector() {
        check(row, cells.len());
        if row.is_full() {
            return super::shared::dot_plain(cells, row.values());
        }
        // SAFETY: every id of the row is below cells.len(), and the instructions are there.
        return unsafe { super::x86::gather_dot(cells.as_ptr(), row) };
    }
    dot(cells, row, |&w| w)
}

/// [`dot`] in double precision, by the kernel that the machine has.
#[inline]
pub(crate) fn dot_f64<C: Copy + Into<f64>>(cells: &[C], row: Row<'_>) -> f64 {
    #[cfg(all(target_arch = "x86_64", not(loom)))]
    if super::vector() {
        #[target_feature(enable = "avx2,fma")]
        fn wide<C: Copy + Into<f64>>(cells: &[C], row: Row<'_>) -> f64 {
            dot(cells, row, |&w| w.into())
        }
        // SAFETY: the instructions are there.
        return unsafe { wide(cells, row) };
    }
    dot(cells, row, |&w| w.into())
}

/// The sum of what `of` makes of each value, +0 of an empty row.
#[inline]
pub(crate) fn sum(row: Row<'_>, of: impl Fn(f64) -> f64) -> f64 {
    let (eights, rest) = row.values().as_chunks::<8>();
    let rest = rest.iter().fold(0.0, |sum, &v| sum + of(v.into()));
    let mut sums = [0f64; 8];
    for values in eights {
        for lane in 0..8 {
            sums[lane] += of(values[lane].into());
        }
    }
    let [a, b, c, d, e, f, g, h] = sums;
    ((a + b) + (c + d)) + ((e + f) + (g + h)) + rest
}

/// For each r of the range, in order, with x and y = `rows(r)`: calls `add(&mut sums[id], factor, value)` for each nonzero
/// of y. `factors(rows, scores, out)` makes the factors of up to [`TURN`] rows of their scores x·w, so that what it does is
/// compiled to vectors. Compiled for the machine as one loop: on rows of 13 nonzeros two calls a row were a sixth of its
/// time.
///
/// # Panics
/// If a row has an id outside `weights` or `sums`.
#[inline]
pub(crate) fn combine<'a, C: Copy + Into<f64>, S, F: Copy + Default>(
    range: Range<usize>,
    rows: impl Fn(usize) -> (Row<'a>, Row<'a>),
    weights: &[C],
    sums: &mut [S],
    factors: impl FnMut(Range<usize>, &[f64], &mut [F]),
    add: impl Fn(&mut S, F, f64),
) {
    #[inline(always)]
    fn all<'a, C: Copy + Into<f64>, S, F: Copy + Default>(
        range: Range<usize>,
        rows: impl Fn(usize) -> (Row<'a>, Row<'a>),
        weights: &[C],
        sums: &mut [S],
        mut factors: impl FnMut(Range<usize>, &[f64], &mut [F]),
        add: impl Fn(&mut S, F, f64),
    ) {
        let (mut scores, mut made) = ([0.0; TURN], [F::default(); TURN]);
        for start in range.clone().step_by(TURN) {
            let turn = start..range.end.min(start + TURN);
            let (scores, made) = (&mut scores[..turn.len()], &mut made[..turn.len()]);
            for (score, r) in scores.iter_mut().zip(turn.clone()) {
                *score = dot(weights, rows(r).0, |&w| w.into());
            }
            factors(turn.clone(), scores, made);
            for (&factor, r) in made.iter().zip(turn) {
                let row = rows(r).1;
                check(row, sums.len());
                for (&id, &v) in row.ids().iter().zip(row.values()) {
                    // SAFETY: ids increase strictly, so each is below row.end(), which is at most sums.len().
                    add(unsafe { sums.get_unchecked_mut(id as usize) }, factor, f64::from(v));
                }
            }
        }
    }
    #[cfg(all(target_arch = "x86_64", not(loom)))]
    if super::vector() {
        #[target_feature(enable = "avx2,fma")]
        fn wide<'a, C: Copy + Into<f64>, S, F: Copy + Default>(
            range: Range<usize>,
            rows: impl Fn(usize) -> (Row<'a>, Row<'a>),
            weights: &[C],
            sums: &mut [S],
            factors: impl FnMut(Range<usize>, &[f64], &mut [F]),
            add: impl Fn(&mut S, F, f64),
        ) {
            all(range, rows, weights, sums, factors, add);
        }
        // SAFETY: the instructions are there.
        return unsafe { wide(range, rows, weights, sums, factors, add) };
    }
    all(range, rows, weights, sums, factors, add);
}

/// [`dot`] over shared floats, by the kernel that the machine has.
#[inline(always)]
pub(crate) fn dot_shared_f32(cells: &[AtomicF32], row: Row<'_>) -> f32 {
    #[cfg(all(target_arch = "x86_64", not(loom)))]
    if super::vector() {
        check(row, cells.len());
        if row.is_full() {
            return super::shared::dot(cells, row.values());
        }
        // SAFETY: as above; AtomicF32 has the layout of f32, and the kernel reads it by single aligned
        // loads in assembly, each of which is a relaxed atomic load on this architecture.
        return unsafe { super::x86::gather_dot(cells.as_ptr().cast(), row) };
    }
    dot(cells, row, |w| w.load(Ordering::Relaxed))
}

/// w\[id\] −= a·value + s·beside\[id\]·w\[id\] for each nonzero of the row, by the kernel that the machine has.
///
/// # Panics
/// If the row has an id outside `cells` or `beside`.
#[inline(always)]
pub(crate) fn ridge_step_f32(cells: &mut [f32], row: Row<'_>, beside: &Constants, a: f32, s: f32) {
    check(row, cells.len());
    // SAFETY: the row's ids are below the number of floats, which are ours alone.
    let rest = unsafe { ridge_step_head(cells.as_mut_ptr(), row, beside, a, s) };
    for_each_mut(cells, rest, beside, |_, w, v, b| *w -= a * v + s * b * *w);
}

/// [`ridge_step_f32`] on shared floats: a load and a store each, between which others may write.
#[inline(always)]
pub(crate) fn ridge_step_shared_f32(cells: &[AtomicF32], row: Row<'_>, beside: &Constants, a: f32, s: f32) {
    check(row, cells.len());
    // SAFETY: the row's ids are below the number of cells. AtomicF32 has the layout of f32 and allows writing through
    // a shared reference; the kernel's aligned moves are relaxed atomic accesses on this architecture.
    let rest = unsafe { ridge_step_head(cells.as_ptr().cast::<f32>().cast_mut(), row, beside, a, s) };
    for_rest(cells, rest, beside, |_, cell, v, b| {
        let w = cell.load(Ordering::Relaxed);
        cell.store(w - (a * v + s * b * w), Ordering::Relaxed);
    });
}

/// Does the part of a row whose constants are looked up in full, where there is a kernel for it, and returns the rest.
///
/// # Safety
/// Every id of the row must be an element of `cells`, which must be readable and writable.
#[inline(always)]
unsafe fn ridge_step_head<'a>(cells: *mut f32, row: Row<'a>, beside: &Constants, a: f32, s: f32) -> Row<'a> {
    #[cfg(all(target_arch = "x86_64", not(loom)))]
    if super::vector() {
        if row.is_full()
            && let Some(b) = beside.even(row.len())
        {
            let (first, values) = (row.part(0..PEELED), &row.values()[PEELED..]);
            // SAFETY: the caller's promise; the first ids are below the number of constants; the instructions are there.
            unsafe {
                super::x86::ridge_step(cells, first, beside.head().as_ptr(), a, s);
                super::x86::dense::ridge(cells.add(PEELED), values, a, s * b);
            }
            return Row::default();
        }
        let head = beside.head();
        let (head, rest) =
            if row.end() <= head.len() { (row, Row::default()) } else { row.split(head.len()) };
        // SAFETY: the caller's promise; the head's ids are below the number of constants; the instructions are there.
        unsafe { super::x86::ridge_step(cells, head, beside.head().as_ptr(), a, s) };
        return rest;
    }
    let _ = (cells, beside, a, s);
    row
}

/// Calls `visit(id, &cells[id], value, beside[id])` for each nonzero of the row: first those whose constants are looked
/// up in full, without asking each whether it is one.
///
/// # Panics
/// If the row has an id outside `cells` or `beside`.
#[inline(always)]
pub(crate) fn for_each<C>(
    cells: &[C],
    row: Row<'_>,
    beside: &Constants,
    mut visit: impl FnMut(usize, &C, f32, f32),
) {
    check(row, cells.len());
    let constants = beside.head();
    let (head, rest) = row.split(constants.len());
    for (&id, &v) in head.ids().iter().zip(head.values()) {
        let id = id as usize;
        // SAFETY: ids increase strictly, so each is below head.end(), which is at most either length.
        let (cell, beside) = unsafe { (cells.get_unchecked(id), *constants.get_unchecked(id)) };
        visit(id, cell, v, beside);
    }
    for_rest(cells, rest, beside, visit);
}

/// [`for_each`] of a row that has been split: its constants are mostly looked up by their runs.
#[inline(always)]
fn for_rest<C>(cells: &[C], row: Row<'_>, beside: &Constants, mut visit: impl FnMut(usize, &C, f32, f32)) {
    check(row, cells.len());
    check(row, beside.len());
    for (&id, &v) in row.ids().iter().zip(row.values()) {
        let id = id as usize;
        // SAFETY: ids increase strictly, so each is below row.end(), which is at most either length.
        let (cell, beside) = unsafe { (cells.get_unchecked(id), beside.get_unchecked(id)) };
        visit(id, cell, v, beside);
    }
}

/// Calls `visit(id, &mut cells[id], value, beside[id])` for each nonzero of the row.
///
/// # Panics
/// If the row has an id outside `cells` or `beside`.
#[inline(always)]
pub(crate) fn for_each_mut<C>(
    cells: &mut [C],
    row: Row<'_>,
    beside: &Constants,
    mut visit: impl FnMut(usize, &mut C, f32, f32),
) {
    check(row, cells.len());
    check(row, beside.len());
    for (&id, &v) in row.ids().iter().zip(row.values()) {
        let id = id as usize;
        // SAFETY: ids increase strictly, so each is below row.end(), which is at most either length.
        let (cell, beside) = unsafe { (cells.get_unchecked_mut(id), beside.get_unchecked(id)) };
        visit(id, cell, v, beside);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// Rows that have a value for each parameter go through the loops over dense ones: to the same bits, but for sums.
    #[test]
    fn full_rows_are_the_reference() {
        for len in [31usize, 32, 33, 57, 70] {
            let ids: Vec<u32> = (0..len as u32).collect();
            let values: Vec<f32> = (0..len).map(|k| (k as f32 - 13.5) / 8.0).collect();
            let row = Row::new(&ids, &values).unwrap();
            assert_eq!((row.is_full(), row.part(1..len).is_full()), (len >= 32, false));
            let (a, s) = (0.3f32, 0.05f32);
            // An intercept's constant first; one that differs within the row, or after it.
            for other in [0, 40, 64, 79] {
                let constants = |i: usize| {
                    if i == 0 {
                        0.0
                    } else if i == other {
                        2.0
                    } else {
                        1.25
                    }
                };
                let beside = Constants::new((0..80).map(constants).collect());
                let start: Vec<f32> = (0..80).map(|i| (i % 13) as f32 / 16.0 - 0.4).collect();
                let mut expected = start.clone();
                for (i, v) in row.iter() {
                    expected[i] -= a * v + s * beside.get(i) * expected[i];
                }
                let mut private = start.clone();
                ridge_step_f32(&mut private, row, &beside, a, s);
                assert!(private == expected, "{len} values, other constant {other}");
                let shared: Vec<AtomicF32> = start.iter().map(|&w| AtomicF32::new(w)).collect();
                let z = dot_shared_f32(&shared, row);
                let exact: f64 = row.iter().map(|(i, v)| f64::from(start[i]) * f64::from(v)).sum();
                assert!((f64::from(z) - exact).abs() < 1e-5 && dot_f32(&start, row) == z, "{z}, not {exact}");
                ridge_step_shared_f32(&shared, row, &beside, a, s);
                assert!(shared.iter().zip(&expected).all(|(w, e)| w.load(Ordering::Relaxed) == *e));
            }
        }
    }

    #[test]
    fn rows_are_split_at_any_id() {
        for len in [0usize, 1, 15, 16, 17, 40] {
            let ids: Vec<u32> = (0..len as u32).map(|k| 3 * k + 1).collect();
            let values = vec![1.0; len];
            for id in 0..3 * len + 3 {
                let (below, rest) = Row::new(&ids, &values).unwrap().split(id);
                let cut = ids.iter().filter(|&&i| (i as usize) < id).count();
                assert_eq!((below.ids(), rest.ids()), ids.split_at(cut), "{len} ids, cut at {id}");
            }
        }
    }

    /// The kernels against the loops that define them, on rows of every length up to three turns.
    #[test]
    fn kernels_are_the_reference() {
        let features = 200_000;
        let constants = |i: usize| (1 + i % 7) as f32 / 8.0;
        for len in 0..=25usize {
            let ids: Vec<u32> = (0..len as u32).map(|k| k * k * 300 + k).collect();
            let values: Vec<f32> = (0..len).map(|k| (k as f32 - 3.5) / 4.0).collect();
            let row = Row::new(&ids, &values).unwrap();
            // All looked up in full, and most by their runs.
            for beside in [
                Constants::new((0..60_000).map(constants).collect()),
                Constants::new((0..features).map(|i| constants(i / 5000)).collect()),
            ] {
                let len = beside.len();
                if row.end() > len {
                    continue;
                }
                let start: Vec<f32> = (0..len).map(|i| (i % 13) as f32 / 16.0 - 0.4).collect();
                let (a, s) = (0.3f32, 0.05f32);
                let mut expected = start.clone();
                for (i, v) in row.iter() {
                    expected[i] -= a * v + s * beside.get(i) * expected[i];
                }
                let mut private = start.clone();
                ridge_step_f32(&mut private, row, &beside, a, s);
                assert!(private == expected, "{} nonzeros", row.len());
                let shared: Vec<AtomicF32> = start.iter().map(|&w| AtomicF32::new(w)).collect();
                let z = dot_shared_f32(&shared, row);
                let exact: f64 = row.iter().map(|(i, v)| f64::from(start[i]) * f64::from(v)).sum();
                assert!(
                    (f64::from(z) - exact).abs() < 1e-5 && dot_f32(&start, row) == z,
                    "{z} is not {exact}"
                );
                let mut visited = Vec::new();
                for_each(&start, row, &beside, |i, &w, v, b| visited.push((i, w, v, b)));
                assert!(visited.into_iter().eq(row.iter().map(|(i, v)| (i, start[i], v, beside.get(i)))));
                let double = dot_f64(&start, row);
                assert!((double - exact).abs() < 1e-12, "{double} is not {exact}");
                let mut sums: Vec<f64> = start.iter().map(|&w| w.into()).collect();
                let mut added = sums.clone();
                row.iter().for_each(|(i, v)| added[i] += 0.5 * f64::from(v));
                let twice = |z: f64| if z == double { 0.5 } else { f64::NAN };
                let factors = |_: Range<usize>, z: &[f64], out: &mut [f64]| out[0] = twice(z[0]);
                combine(0..1, |_| (row, row), &start, &mut sums, factors, |sum, f, v| *sum += f * v);
                assert!(sums == added);
                ridge_step_shared_f32(&shared, row, &beside, a, s);
                assert!(shared.iter().zip(&expected).all(|(w, e)| w.load(Ordering::Relaxed) == *e));
            }
        }
    }
}

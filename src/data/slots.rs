//! Where rows go: arrays whose rows are filled in any order, by several threads. The only `unsafe` of the
//! data layer.

use rayon::prelude::*;
use std::marker::PhantomData;

/// Sparse rows to be filled: the rows of a source, laid out in another order. One copy of the numbers.
pub(super) struct Slots {
    /// By row of the source: where its slot starts. The slots do not overlap.
    starts: Vec<u64>,
    /// By row of the source: how much its slot holds.
    lens: Vec<u32>,
    ids: Vec<u32>,
    values: Vec<f32>,
}

impl Slots {
    /// Slots for rows with at most `bounds` values, laid out such that row `order[p]` is at position p.
    ///
    /// # Panics
    /// If `order` is no permutation of the rows.
    pub fn new(bounds: Vec<u32>, order: &[u32]) -> Self {
        const NOWHERE: u64 = u64::MAX;
        let mut starts = vec![NOWHERE; bounds.len()];
        let mut total = 0;
        for &row in order {
            let start = &mut starts[row as usize];
            assert!(*start == NOWHERE, "row {row} has two positions");
            *start = total;
            total += u64::from(bounds[row as usize]);
        }
        assert!(order.len() == bounds.len(), "each row has a position");
        let (ids, values) = (zeros(total as usize), zeros(total as usize));
        Self { starts, lens: bounds, ids, values }
    }

    /// The slots in parts of so many rows each, for tasks that fill them.
    pub fn parts(&mut self, rows: impl Iterator<Item = usize>) -> Vec<Part<'_>> {
        let (mut starts, mut lens) = (&self.starts[..], &mut self.lens[..]);
        let (ids, values) = (self.ids.as_mut_ptr(), self.values.as_mut_ptr());
        let part = |rows| {
            let starts = starts.split_off(..rows).expect("no more rows than slots");
            let lens = lens.split_off_mut(..rows).expect("no more rows than slots");
            Part { starts, lens, ids, values, slots: PhantomData }
        };
        rows.map(part).collect()
    }

    /// The filled arrays in the order of the slots: row starts, ids and values. What slots did not need is
    /// closed up.
    pub fn close(self, order: &[u32]) -> (Vec<u64>, Vec<u32>, Vec<f32>) {
        let Self { starts: from, lens, mut ids, mut values } = self;
        let mut starts = vec![0; order.len() + 1];
        let (ends, lens) = (&mut starts[1..], &lens);
        ends.par_iter_mut().zip(order).for_each(|(end, &row)| *end = u64::from(lens[row as usize]));
        let mut filled = 0;
        for end in ends {
            filled += *end;
            *end = filled;
        }
        let filled = filled as usize;
        if filled < ids.len() {
            for (row, to) in order.iter().zip(starts.windows(2)) {
                let (start, to, len) =
                    (from[*row as usize] as usize, to[0] as usize, (to[1] - to[0]) as usize);
                ids.copy_within(start..start + len, to);
                values.copy_within(start..start + len, to);
            }
            ids.truncate(filled);
            ids.shrink_to_fit();
            values.truncate(filled);
            values.shrink_to_fit();
        }
        (starts, ids, values)
    }
}

/// The slots of some of the rows.
pub(super) struct Part<'a> {
    starts: &'a [u64],
    lens: &'a mut [u32],
    ids: *mut u32,
    values: *mut f32,
    slots: PhantomData<&'a mut Slots>,
}

// SAFETY: the pointers reach only the slots of this part's rows, and no other part has those: a part is an
// exclusive borrow of them, as `&mut [u32]` and `&mut [f32]` are, which are `Send`.
unsafe impl Send for Part<'_> {}

impl Part<'_> {
    /// The number of rows.
    pub fn len(&self) -> usize {
        self.starts.len()
    }

    /// The slot of a row of the part, counted from the part's first.
    ///
    /// # Panics
    /// If there is no such row.
    #[inline]
    pub fn row(&mut self, row: usize) -> (&mut [u32], &mut [f32]) {
        let (start, len) = (self.starts[row] as usize, self.lens[row] as usize);
        // SAFETY: the slot lies in both arrays, whose length is the sum of all bounds, and `lens` holds a
        // bound or less. Slots of different rows do not overlap, as `order` was found to have each row
        // once, and each row is in one part only (`split_off`). Two slots of this part cannot be held at a
        // time: they borrow it. The arrays outlive the part, which borrows `Slots` exclusively.
        unsafe {
            (
                std::slice::from_raw_parts_mut(self.ids.add(start), len),
                std::slice::from_raw_parts_mut(self.values.add(start), len),
            )
        }
    }

    /// Says how much of a row's slot is filled.
    ///
    /// # Panics
    /// If that is more than it holds.
    #[inline]
    pub fn fill(&mut self, row: usize, len: usize) {
        assert!(len <= self.lens[row] as usize, "a row fits its slot");
        self.lens[row] = len as u32;
    }
}

/// So many zeros, in huge pages where the system has them: rows that are filled in any order would miss
/// the processor's table of pages for nearly each, and a fault for every 4 kB costs more than its zeros.
pub(super) fn zeros<T: Clone + Default>(n: usize) -> Vec<T> {
    let zeros = vec![T::default(); n];
    #[cfg(target_os = "linux")]
    {
        let page = 4096;
        let start = (zeros.as_ptr() as usize).next_multiple_of(page);
        let end = (zeros.as_ptr() as usize + size_of_val(&*zeros)) / page * page;
        if start < end {
            // SAFETY: the range is within the vector's allocation, and the advice changes no content. That
            // it may be refused does no harm.
            unsafe { libc::madvise(start as *mut libc::c_void, end - start, libc::MADV_HUGEPAGE) };
        }
    }
    zeros
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn rows_go_where_the_order_says_and_close_up() {
        let order = [2, 0, 3, 1];
        let mut slots = Slots::new(vec![2, 1, 3, 0], &order);
        for (mut part, first) in slots.parts([1, 3].into_iter()).into_iter().zip([0, 1]) {
            for row in 0..part.len() {
                let (ids, values) = part.row(row);
                let whole = ids.len();
                ids.fill((first + row) as u32);
                values.fill(0.5 * (first + row) as f32);
                // One row does not need all of its slot.
                part.fill(row, if first + row == 2 { 1 } else { whole });
            }
        }
        let (starts, ids, values) = slots.close(&order);
        assert_eq!(starts, [0, 1, 3, 3, 4]);
        assert_eq!(ids, [2, 0, 0, 1]);
        assert_eq!(values, [1.0, 0.0, 0.0, 0.5]);
    }

    #[test]
    #[should_panic(expected = "row 1 has two positions")]
    fn a_row_has_one_position() {
        Slots::new(vec![1, 1], &[1, 1]);
    }

    #[test]
    #[should_panic(expected = "a row fits its slot")]
    fn a_row_fits_its_slot() {
        let mut slots = Slots::new(vec![1], &[0]);
        slots.parts([1].into_iter())[0].fill(0, 2);
    }
}

//! A mini-batch's way through the first matrix: by as many of its rows as the nearest cache holds.

use crate::kernel::{Row, Rows};
use std::cell::RefCell;
use std::ops::Range;

/// The bytes of a tile: half of a first-level cache of 32 kB. MNIST's 784 rows of 128 floats come from the second level
/// otherwise, once for each image.
const BYTES: usize = 16 << 10;

/// How many rows of the matrix make a tile, and how far each example has come.
pub(super) struct Tiles {
    rows: usize,
    /// Grows to the largest batch once.
    places: RefCell<Vec<usize>>,
}

impl Tiles {
    /// For matrix rows of so many bytes.
    pub(super) fn new(bytes: usize) -> Self {
        Self { rows: (BYTES / bytes.max(1)).max(1), places: RefCell::default() }
    }

    /// Calls `with` for each tile of the first `near` features and each of the examples that has some of them, with the
    /// example's number in the batch and that part of its row: tile by tile, the examples in their order.
    #[inline]
    pub(super) fn each(
        &self,
        rows: &Rows,
        examples: Range<usize>,
        near: usize,
        mut with: impl FnMut(usize, Row<'_>),
    ) {
        if examples.len() == 1 || near <= self.rows {
            // Each row of the matrix is wanted once, or all stay near.
            for example in 0..examples.len() {
                with(example, rows.row(examples.start + example).split(near).0);
            }
            return;
        }
        let mut places = self.places.borrow_mut();
        places.clear();
        places.resize(examples.len(), 0);
        let mut end = 0;
        while end < near {
            end = (end + self.rows).min(near);
            for (example, place) in places.iter_mut().enumerate() {
                let row = rows.row(examples.start + example);
                let from = *place;
                *place += row.ids()[from..].iter().take_while(|&&id| (id as usize) < end).count();
                if *place > from {
                    with(example, row.part(from..*place));
                }
            }
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn every_nonzero_below_the_limit_comes_once_in_order() {
        let starts = vec![0, 4, 4, 6, 9];
        let ids = vec![0, 2, 5, 9, 1, 8, 3, 4, 9];
        let rows = Rows::new(starts, ids, (0..9).map(|v| v as f32).collect(), 10).unwrap();
        for (bytes, examples, near) in
            [(BYTES, 0..4, 9), (BYTES / 4, 0..4, 10), (BYTES / 3, 1..3, 8), (1, 3..4, 9)]
        {
            let mut seen = vec![Vec::new(); examples.len()];
            Tiles::new(bytes)
                .each(&rows, examples.clone(), near, |example, row| seen[example].extend(row.iter()));
            for (example, seen) in examples.zip(seen) {
                assert!(rows.row(example).split(near).0.iter().eq(seen), "{bytes} bytes, example {example}");
            }
        }
        // Two tiles: the first of all examples before the second of any.
        let mut order = Vec::new();
        Tiles::new(BYTES / 5).each(&rows, 0..4, 10, |example, row| order.push((example, row.ids().to_vec())));
        let expected: [(usize, &[u32]); 6] =
            [(0, &[0, 2]), (2, &[1]), (3, &[3, 4]), (0, &[5, 9]), (2, &[8]), (3, &[9])];
        assert!(order.iter().map(|(example, ids)| (*example, &ids[..])).eq(expected), "{order:?}");
    }
}

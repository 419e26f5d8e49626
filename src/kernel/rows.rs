//! Sparse rows whose ids are known to increase: checked once, so that the loops need no bounds checks.

use super::sparse;
use crate::sync::OnceLock;
use rayon::prelude::*;
use std::fmt;
use std::ops::Range;

/// The shortest row that counts as [full](Row::is_full).
pub(crate) const WIDE: usize = 32;

/// How many of a row's last ids are looked at one by one.
const NEAR_END: usize = 16;

/// One sparse row: feature ids, strictly increasing, each with its value.
///
/// The order is an invariant that the kernels' bounds rely on: the last id is the largest.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Row<'a> {
    ids: &'a [u32],
    values: &'a [f32],
}

impl<'a> Row<'a> {
    /// The row of these ids and values, or `None` where the lengths differ or the ids do not strictly
    /// increase. O(length).
    pub fn new(ids: &'a [u32], values: &'a [f32]) -> Option<Self> {
        let increasing = ids.windows(2).all(|w| w[0] < w[1]);
        (ids.len() == values.len() && increasing).then_some(Self { ids, values })
    }

    /// The feature ids, strictly increasing.
    #[inline]
    pub fn ids(&self) -> &'a [u32] {
        self.ids
    }

    /// The values, one for each id.
    #[inline]
    pub fn values(&self) -> &'a [f32] {
        self.values
    }

    /// The number of nonzeros.
    #[inline]
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether the row has no nonzero.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// One more than the largest id; 0 for an empty row.
    #[inline]
    pub fn end(&self) -> usize {
        self.ids.last().map_or(0, |&last| last as usize + 1)
    }

    /// Whether it has a value for each of the first parameters, as many as it is long, and is long enough for the loops
    /// over dense rows to be worth it: ids increase strictly, so that the last one tells.
    #[inline(always)]
    pub(crate) fn is_full(&self) -> bool {
        self.len() >= WIDE && self.len() == self.end()
    }

    /// The part with ids below `id`, and the rest. O(log(length)).
    #[inline(always)]
    pub fn split(self, id: usize) -> (Self, Self) {
        let below = |&i: &u32| (i as usize) < id;
        // From the end, where a block's row has its few rare features: a binary search is mispredicted at each step, and
        // is for the rows of wide data alone.
        let at = match self.len().checked_sub(NEAR_END) {
            Some(last) if !below(&self.ids[last]) => self.ids[..last].partition_point(below),
            _ => self.ids.iter().rposition(below).map_or(0, |last| last + 1),
        };
        let (ids, values) = (self.ids.split_at(at), self.values.split_at(at));
        (Self { ids: ids.0, values: values.0 }, Self { ids: ids.1, values: values.1 })
    }

    /// The nonzeros at these places of the row.
    ///
    /// # Panics
    /// If the row has fewer.
    #[inline]
    pub fn part(self, places: Range<usize>) -> Self {
        Self { ids: &self.ids[places.clone()], values: &self.values[places] }
    }

    /// The ids and values in pairs.
    pub fn iter(self) -> impl Iterator<Item = (usize, f32)> + Clone + 'a {
        self.ids.iter().zip(self.values).map(|(&i, &v)| (i as usize, v))
    }
}

/// A sparse matrix by rows (CSR): u32 ids, f32 values, every row strictly increasing and within the
/// features, checked at construction.
#[derive(Clone)]
pub struct Rows {
    starts: Vec<u64>,
    ids: Vec<u32>,
    values: Vec<f32>,
    features: usize,
    /// What was asked for before; see [`Rows::counts`] and [`Rows::squares`].
    counts: OnceLock<Vec<u32>>,
    squares: OnceLock<Vec<f64>>,
}

/// How often each id below `features` occurs. O(ids + features), in parallel.
pub(crate) fn occurrences(ids: &[u32], features: usize) -> Vec<u32> {
    // A task has an array of its own, so a task is worth it only with more ids than features.
    let task = ids.len().div_ceil(rayon::current_num_threads()).max(features).max(1 << 16);
    let count = |ids: &[u32]| {
        let mut counts = vec![0; features];
        ids.iter().for_each(|&id| counts[id as usize] += 1);
        counts
    };
    let parts: Vec<Vec<u32>> = ids.par_chunks(task).map(count).collect();
    let join = |mut sum: Vec<u32>, part: Vec<u32>| {
        sum.iter_mut().zip(part).for_each(|(sum, count)| *sum += count);
        sum
    };
    parts.into_iter().reduce(join).unwrap_or_else(|| vec![0; features])
}

/// Why arrays are not a [`Rows`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RowsError {
    /// The row starts are not 0, …, number of nonzeros, or the arrays' lengths disagree.
    #[error("row starts must run from 0 up to the number of ids and values ({ids} ids, {values} values)")]
    Starts {
        /// How many ids there are.
        ids: usize,
        /// How many values there are.
        values: usize,
    },
    /// A row's ids do not strictly increase.
    #[error("row {row}: id {id} does not come after the one before it")]
    Order {
        /// The row, from 0.
        row: usize,
        /// The id that stands out of order.
        id: u32,
    },
    /// An id is not below the number of features.
    #[error("row {row}: id {id} is not below the number of features")]
    Range {
        /// The row, from 0.
        row: usize,
        /// The id.
        id: u32,
    },
}

impl Rows {
    /// Rows from CSR arrays: row r is `starts[r]..starts[r + 1]` of `ids` and `values`. O(nonzeros), in
    /// parallel.
    ///
    /// # Errors
    /// [`RowsError`] where the arrays are not a matrix with strictly increasing ids below `features`.
    pub fn new(
        starts: Vec<u64>,
        ids: Vec<u32>,
        values: Vec<f32>,
        features: usize,
    ) -> Result<Self, RowsError> {
        let whole = starts.first() == Some(&0)
            && starts.last() == Some(&(ids.len() as u64))
            && ids.len() == values.len()
            && starts.is_sorted();
        if !whole {
            return Err(RowsError::Starts { ids: ids.len(), values: values.len() });
        }
        let fault = |(row, bounds): (usize, &[u64])| {
            let of_row = &ids[bounds[0] as usize..bounds[1] as usize];
            // One sum over the row, with no branch for each id.
            let unordered: usize = of_row.windows(2).map(|w| usize::from(w[0] >= w[1])).sum();
            if unordered > 0 {
                let id = of_row.windows(2).find(|w| w[0] >= w[1]).map_or(0, |w| w[1]);
                return Some(RowsError::Order { row, id });
            }
            let &id = of_row.last()?;
            (id as usize >= features).then_some(RowsError::Range { row, id })
        };
        match starts.par_windows(2).enumerate().with_min_len(1 << 10).find_map_first(fault) {
            Some(fault) => Err(fault),
            None => {
                let (counts, squares) = (OnceLock::new(), OnceLock::new());
                Ok(Self { starts, ids, values, features, counts, squares })
            }
        }
    }

    /// Rows whose [counts](Rows::counts) are known to be these.
    pub(crate) fn counted(self, counts: Vec<u32>) -> Self {
        debug_assert_eq!(counts.len(), self.features);
        Self { counts: counts.into(), ..self }
    }

    /// The number of rows.
    pub fn len(&self) -> usize {
        self.starts.len() - 1
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of features: every id is below it.
    pub fn features(&self) -> usize {
        self.features
    }

    /// The number of stored values.
    pub fn nonzeros(&self) -> usize {
        self.ids.len()
    }

    /// The number of rows that have each feature. O(nonzeros), in parallel, when it is first asked for.
    pub fn counts(&self) -> &[u32] {
        // Not within the lock, where a task of the pool that waits for it could be another one that asks.
        let counts = self.counts.get().is_none().then(|| occurrences(&self.ids, self.features));
        self.counts.get_or_init(|| counts.unwrap_or_default())
    }

    /// ‖x‖² of each row. O(nonzeros), in parallel, when it is first asked for.
    pub fn squares(&self) -> &[f64] {
        let square = |r| sparse::sum(self.row(r), |v| v * v);
        let squares = || (0..self.len()).into_par_iter().with_min_len(1 << 10).map(square).collect();
        let squares = self.squares.get().is_none().then(squares);
        self.squares.get_or_init(|| squares.unwrap_or_default())
    }

    /// The row starts, ids and values: the CSR arrays.
    pub fn arrays(&self) -> (&[u64], &[u32], &[f32]) {
        (&self.starts, &self.ids, &self.values)
    }

    /// Row `r`. O(1).
    ///
    /// # Panics
    /// If `r` is not below [`Rows::len`].
    #[inline]
    pub fn row(&self, r: usize) -> Row<'_> {
        let (from, to) = (self.starts[r] as usize, self.starts[r + 1] as usize);
        Row { ids: &self.ids[from..to], values: &self.values[from..to] }
    }

    /// All rows in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Row<'_>> {
        (0..self.len()).map(|r| self.row(r))
    }
}

impl fmt::Debug for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rows({} × {}, {} nonzeros)", self.len(), self.features, self.nonzeros())
    }
}

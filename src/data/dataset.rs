//! Rows with labels, laid out for training, and the way back to the file that they came from.

use super::cache::Cached;
use super::columns::Columns;
use super::layout::{self, Placed};
use super::loader::Loader;
use crate::error::{Error, Result};
use crate::kernel::{Row, Rows};
use crate::sync::Arc;
use std::path::PathBuf;
use xxhash_rust::xxh3::Xxh3;

/// Labelled sparse rows in the order in which they will be visited, with features renumbered.
///
/// Rows lie in memory as training reads them, because random access from memory costs several times a
/// streamed row. Features have *ranks*: 0 is the feature that the most rows have, ties go to the smaller
/// original id. All ids in [`Dataset::rows`] are ranks; [`Dataset::restore`] brings weights back to the
/// original ids. An original id counts from 0: it is the column of the source.
#[derive(Clone, Debug)]
pub struct Dataset {
    pub(super) rows: Arc<Rows>,
    pub(super) labels: Vec<f32>,
    pub(super) order: Vec<u32>,
    pub(super) numbering: Arc<Numbering>,
    /// As [`Columns::bytes`], of these data.
    pub(super) bytes: Option<bool>,
    pub(super) classes: Option<Vec<f32>>,
    pub(super) name: String,
    pub(super) hash: String,
    /// Where the rows of a text are; empty where there was none.
    pub(super) lines: Arc<Vec<Stretch>>,
    pub(super) cached: Cached,
}

/// Rows of a text each on the line after the one before: the first of them, and how many lines are before it.
pub(super) type Stretch = [u64; 2];

/// How the features are numbered and scaled, shared by a training set and its test sets.
#[derive(Clone, Debug, Default)]
pub(super) struct Numbering {
    /// Rank → original id.
    pub ids: Vec<u32>,
    /// What is known of the columns; the intercept has a name too.
    pub columns: Columns,
    /// Whether the source counts its features from 1.
    pub one_based: bool,
    /// Whether rank 0 is the intercept.
    pub intercept: bool,
    /// What the source's values were multiplied by, by original id.
    pub factors: Option<Vec<f32>>,
}

impl Dataset {
    /// Reads a file (`-` is standard input) in LIBSVM text, plain or compressed, laid out with seed 0. See
    /// [`Loader`] for the format and for the options.
    ///
    /// # Errors
    /// As [`Loader::load`].
    pub fn open(path: impl Into<PathBuf>) -> Result<Self> {
        Loader::new(path).load()
    }

    /// Data from CSR arrays: row r is `starts[r]..starts[r + 1]` of `ids` (from 0, below `features`, strictly
    /// increasing in a row) and `values`. Rows and features stay as they are given; see
    /// [`Dataset::laid_out`]. O(nonzeros).
    ///
    /// ```
    /// let data = asyncsgd::Dataset::from_csr(
    ///     vec![0, 2, 3], vec![0, 2, 1], vec![0.5, -1.0, 2.0], vec![1.0, -1.0], 3)?.laid_out(42);
    /// assert_eq!((data.len(), data.features(), data.nonzeros()), (2, 3, 3));
    /// # Ok::<(), asyncsgd::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Usage`] where the arrays are no matrix, there are not as many labels as rows, there is no
    /// row, or a value or label is not finite.
    pub fn from_csr(
        starts: Vec<u64>,
        ids: Vec<u32>,
        values: Vec<f32>,
        labels: Vec<f32>,
        features: usize,
    ) -> Result<Self> {
        let rows = Rows::new(starts, ids, values, features).map_err(|e| Error::usage(e.to_string()))?;
        if rows.len() != labels.len() {
            return Err(Error::usage(format!("{} labels for {} rows", labels.len(), rows.len())));
        }
        if rows.is_empty() || u32::try_from(rows.len()).is_err() || u32::try_from(features).is_err() {
            return Err(Error::usage(format!(
                "{} rows × {features} features: both must fit 32 bits, and there must be a row",
                rows.len()
            )));
        }
        let finite = |row: &Row<'_>| row.values().iter().all(|v| v.is_finite());
        let sound = rows.iter().zip(&labels).map(|(row, label)| label.is_finite() && finite(&row));
        if let Some(row) = sound.into_iter().position(|sound| !sound) {
            return Err(Error::usage(format!("row {row}: a value or the label is not finite")));
        }

        let (starts, ids, values) = rows.arrays();
        let mut hash = Xxh3::new();
        hash.update(bytemuck::cast_slice(starts));
        hash.update(bytemuck::cast_slice(ids));
        hash.update(bytemuck::cast_slice(values));
        hash.update(bytemuck::cast_slice(&labels));
        let hash = format!("{:032x}", hash.digest128());
        let order = (0..rows.len() as u32).collect();
        let ids = (0..features as u32).collect();
        let numbering = Arc::new(Numbering { ids, ..Numbering::default() });
        Ok(Self {
            rows: Arc::new(rows),
            labels,
            order,
            numbering,
            bytes: None,
            classes: None,
            name: "arrays".into(),
            hash,
            lines: Arc::default(),
            cached: Cached::default(),
        })
    }

    /// The same data laid out for training: rows shuffled by `seed`, which depends on the original order
    /// alone, features renumbered by falling frequency. A copy; O(nonzeros · log(row length)).
    pub fn laid_out(&self, seed: u64) -> Self {
        let by_source = self.by_source();
        let shuffled = layout::shuffled(self.len(), seed);
        let rows: Vec<u32> = shuffled.into_iter().map(|at| by_source[at as usize]).collect();
        let mut placed = self.pick(&rows);
        // Renumbered by original ids, so that ties fall the same way whatever the numbering was.
        let counts = self.restore(self.counts());
        let ids = layout::by_frequency(&counts);
        let rank = layout::inverse(&ids);
        let again: Vec<u32> = self.numbering.ids.iter().map(|&id| rank[id as usize]).collect();
        layout::renumber(&mut placed, &again);
        self.part(placed, &rows, Arc::new(Numbering { ids, ..(*self.numbering).clone() }))
    }

    /// The number of rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is no row: never.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The number of features.
    pub fn features(&self) -> usize {
        self.rows.features()
    }

    /// The number of stored values.
    pub fn nonzeros(&self) -> usize {
        self.rows.nonzeros()
    }

    /// The row at position `i`. O(1).
    ///
    /// # Panics
    /// If `i` is not below [`Dataset::len`].
    #[inline]
    pub fn row(&self, i: usize) -> Row<'_> {
        self.rows.row(i)
    }

    /// The label at position `i`. O(1).
    ///
    /// # Panics
    /// If `i` is not below [`Dataset::len`].
    #[inline]
    pub fn label(&self, i: usize) -> f32 {
        self.labels[i]
    }

    /// All rows, by position.
    pub fn rows(&self) -> &Rows {
        &self.rows
    }

    /// All labels, by position: as read, −1 and +1 after [`Dataset::binary`], or indices of
    /// [`Dataset::classes`] after [`Dataset::multiclass`].
    pub fn labels(&self) -> &[f32] {
        &self.labels
    }

    /// Position → number of the row in the source, from 0, without blank lines.
    pub fn order(&self) -> &[u32] {
        &self.order
    }

    /// Rank → original id, from 0.
    pub fn feature_order(&self) -> &[u32] {
        &self.numbering.ids
    }

    /// The name of the feature at `rank`, if the features have names.
    ///
    /// # Panics
    /// If `rank` is not below [`Dataset::features`].
    pub fn feature_name(&self, rank: usize) -> Option<&str> {
        let id = self.numbering.ids[rank] as usize;
        self.numbering.columns.names.as_ref().map(|names| names[id].as_str())
    }

    /// Whether the source counts its features from 1: its index is then the original id plus 1.
    pub fn one_based(&self) -> bool {
        self.numbering.one_based
    }

    /// Whether the source's values are bytes (idx, `.npy` of type u1), which were multiplied by 1/255.
    pub fn of_bytes(&self) -> bool {
        self.bytes == Some(true)
    }

    /// Whether the source is LIBSVM text, whose values each have an index.
    pub fn has_indices(&self) -> bool {
        !self.lines.is_empty()
    }

    /// The name of the source: the file as the user named it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The content's xxh3-128 in hex: of the decompressed file, or of the arrays. Parts of a split have
    /// that of the whole.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// What the cache did for the data; see [`Loader::cache`].
    pub fn cached(&self) -> &Cached {
        &self.cached
    }

    /// The number of rows that have each feature, by rank: see [`Rows::counts`].
    pub fn counts(&self) -> &[u32] {
        self.rows.counts()
    }

    /// Brings one entry a feature from ranks to original ids. O(features).
    ///
    /// # Panics
    /// If there is not one entry for each feature.
    pub fn restore<T: Copy + Default>(&self, by_rank: &[T]) -> Vec<T> {
        assert_eq!(by_rank.len(), self.features(), "one entry for each feature");
        let mut by_id = vec![T::default(); by_rank.len()];
        self.numbering.ids.iter().zip(by_rank).for_each(|(&id, &x)| by_id[id as usize] = x);
        by_id
    }

    /// The inverse of [`Dataset::restore`]: from original ids to ranks. O(features).
    ///
    /// # Panics
    /// If there is not one entry for each feature.
    pub fn arrange<T: Copy>(&self, by_id: &[T]) -> Vec<T> {
        assert_eq!(by_id.len(), self.features(), "one entry for each feature");
        self.numbering.ids.iter().map(|&id| by_id[id as usize]).collect()
    }

    /// The positions in the order of the source.
    pub(super) fn by_source(&self) -> Vec<u32> {
        let mut positions: Vec<u32> = (0..self.len() as u32).collect();
        positions.sort_unstable_by_key(|&p| self.order[p as usize]);
        positions
    }

    /// The data under another name, and with features that count from 1 when written.
    pub(super) fn counted_from_one(mut self, name: &str) -> Self {
        self.name = name.into();
        self.numbering = Arc::new(Numbering { one_based: true, ..(*self.numbering).clone() });
        self
    }

    /// The rows at these positions.
    pub(super) fn pick(&self, positions: &[u32]) -> Placed {
        layout::gather(&self.rows, &self.labels, positions)
    }

    /// The data set of some of the rows, from these positions.
    pub(super) fn part(&self, placed: Placed, positions: &[u32], numbering: Arc<Numbering>) -> Self {
        let Placed { starts, ids, values, labels } = placed;
        let rows = Rows::new(starts, ids, values, self.features()).expect("rows of sound rows are sound");
        Self {
            rows: Arc::new(rows),
            labels,
            order: positions.iter().map(|&p| self.order[p as usize]).collect(),
            numbering,
            bytes: self.bytes,
            classes: self.classes.clone(),
            name: self.name.clone(),
            hash: self.hash.clone(),
            lines: self.lines.clone(),
            cached: self.cached.clone(),
        }
    }
}

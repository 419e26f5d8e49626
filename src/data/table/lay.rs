//! From a table to a data set: laid out as the rows of LIBSVM text are.

use super::super::cache::Cached;
use super::super::dataset::{Dataset, Numbering};
use super::super::layout;
use super::Table;
use crate::error::{Error, Result};
use crate::kernel::{Rows, RowsError, WIDE, occurrences};
use crate::sync::Arc;
use std::collections::{HashMap, HashSet};

impl Table {
    /// The data set of the table: for a test set with the numbering that it is to be like, else with at least so many
    /// features, shuffled by the seed.
    ///
    /// # Errors
    /// [`Error::Input`] where the columns are not those of the training data.
    pub fn lay(
        self,
        name: &str,
        hash: String,
        (like, at_least, seed, zero_based): (Option<&Arc<Numbering>>, usize, u64, bool),
    ) -> Result<Dataset> {
        let (count, found) = (self.rows(), self.features);
        let Table { mut starts, mut ids, mut values, labels, full, bytes, mut columns, .. } = self;
        let most = like.map(|like| like.ids.len() - usize::from(like.intercept));
        let trained = like.map(|like| &like.columns);
        // Where both have names, columns go by them, else by their place. Of each column the original id.
        let names = trained.and_then(|trained| trained.names.as_ref()).zip(columns.names.as_ref());
        let mut to: Vec<u32> = match (names, most) {
            (Some((trained, names)), Some(most)) => places(&trained[..most], names, name)?,
            (None, Some(most)) if found > most || full && found < most => {
                let at_most = if full { "" } else { "at most " };
                let expected = format!("{at_most}{most}, as in the training data");
                return Err(Error::input(name, 0, 0, format!("{found} features"), expected));
            }
            _ => (0..found as u32).collect(),
        };
        if values.iter().any(|value| value.is_nan()) {
            let means = trained.unwrap_or(&columns).means.as_ref().ok_or_else(|| {
                let expected =
                    "means of the training data, which must have been read with them (--missing mean)";
                Error::input(name, 0, 0, "missing values", expected)
            })?;
            let missing = ids.iter().zip(&mut values).filter(|(_, value)| value.is_nan());
            missing.for_each(|(&id, value)| *value = means[to[id as usize] as usize]);
            // A mean may be 0.
            (starts, ids, values) = without_zeros(&starts, &ids, &values);
        }
        let bytes = if bytes { Some(true) } else { values.iter().any(|&value| value > 1.0).then_some(false) };
        columns.bytes = bytes;
        if full && found >= WIDE && SPARSE * (count * found - ids.len()) < count * found {
            (starts, ids, values) = with_zeros(&starts, &ids, &values, found);
        }
        if let Some(most) = most.filter(|_| like.is_some_and(|like| like.intercept)) {
            (starts, ids, values) = with_constant(&starts, &ids, &values, found as u32);
            to.push(most as u32);
        }
        let width = to.len();
        // Of a full table a feature that no row has is no feature.
        let at_least = if full { 0 } else { at_least };
        let features = like.map_or(found.max(at_least), |like| like.ids.len());
        layout::check_features(name, features)?;
        let sound = |e: RowsError| Error::input(name, 0, 0, e.to_string(), "sound rows");
        let rows = Rows::new(starts, ids, values, width).map_err(sound)?;
        let labels = labels.unwrap_or_else(|| vec![f32::NAN; count]);
        let order = match like {
            Some(_) => (0..count as u32).collect(),
            None => layout::shuffled(count, seed),
        };
        let mut placed = layout::gather(&rows, &labels, &order);
        let numbering = like.cloned().unwrap_or_else(|| {
            let ids = layout::by_frequency(&occurrences(&placed.ids, features));
            Arc::new(Numbering { ids, columns, one_based: !zero_based, ..Numbering::default() })
        });
        let rank = layout::inverse(&numbering.ids);
        let rank: Vec<u32> = to.into_iter().map(|id| rank[id as usize]).collect();
        layout::renumber(&mut placed, &rank);
        let rows = Rows::new(placed.starts, placed.ids, placed.values, features).map_err(sound)?;
        Ok(Dataset {
            rows: Arc::new(rows),
            labels: placed.labels,
            order,
            numbering,
            bytes,
            classes: None,
            name: name.to_owned(),
            hash,
            lines: Arc::default(),
            cached: Cached::default(),
        })
    }
}

/// The rows without zeros.
fn without_zeros(starts: &[u64], ids: &[u32], values: &[f32]) -> (Vec<u64>, Vec<u32>, Vec<f32>) {
    let mut to = vec![0];
    let (mut kept_ids, mut kept_values) = (Vec::with_capacity(ids.len()), Vec::with_capacity(ids.len()));
    for pair in starts.windows(2) {
        let range = pair[0] as usize..pair[1] as usize;
        let kept = ids[range.clone()].iter().zip(&values[range]).filter(|&(_, &value)| value != 0.0);
        kept.for_each(|(&id, &value)| {
            kept_ids.push(id);
            kept_values.push(value);
        });
        to.push(kept_ids.len() as u64);
    }
    (to, kept_ids, kept_values)
}

/// Tables of which less than one in so many values is 0 keep the zeros: loops over rows without gaps are worth more.
const SPARSE: usize = 4;

/// The rows with their zeros.
fn with_zeros(starts: &[u64], ids: &[u32], values: &[f32], width: usize) -> (Vec<u64>, Vec<u32>, Vec<f32>) {
    let rows = starts.len() - 1;
    let mut all = vec![0.0; rows * width];
    for (row, pair) in all.chunks_exact_mut(width).zip(starts.windows(2)) {
        let range = pair[0] as usize..pair[1] as usize;
        ids[range.clone()].iter().zip(&values[range]).for_each(|(&id, &value)| row[id as usize] = value);
    }
    let starts = (0..=rows).map(|row| (row * width) as u64).collect();
    (starts, (0..rows).flat_map(|_| 0..width as u32).collect(), all)
}

/// The place of each of the columns called `names` among the `trained` ones.
///
/// # Errors
/// [`Error::Input`] where one is missing, is there twice, or was not trained.
fn places(trained: &[String], names: &[String], file: &str) -> Result<Vec<u32>> {
    let wrong = |found: String, expected: &str| Err(Error::input(file, 1, 0, found, expected));
    if trained == names {
        // Names may then even come twice.
        return Ok((0..names.len() as u32).collect());
    }
    let place: HashMap<&str, u32> = trained.iter().map(String::as_str).zip(0..).collect();
    let mut found = HashSet::new();
    let mut places = Vec::with_capacity(names.len());
    for column in names {
        match place.get(&**column) {
            None => {
                return wrong(
                    format!("column '{column}'"),
                    "the features of the training data (is it --label?)",
                );
            }
            Some(_) if !found.insert(&**column) => {
                return wrong(format!("column '{column}' twice"), "it once");
            }
            Some(&at) => places.push(at),
        }
    }
    match trained.iter().find(|column| !found.contains(&***column)) {
        Some(column) => wrong(format!("no column '{column}'"), "all features of the training data"),
        None => Ok(places),
    }
}

/// The rows with one more value, the constant 1, whose id is the largest.
fn with_constant(starts: &[u64], ids: &[u32], values: &[f32], id: u32) -> (Vec<u64>, Vec<u32>, Vec<f32>) {
    let mut all = (vec![0], Vec::new(), Vec::new());
    for range in starts.windows(2).map(|pair| pair[0] as usize..pair[1] as usize) {
        all.1.extend(ids[range.clone()].iter().copied().chain([id]));
        all.2.extend(values[range].iter().copied().chain([1.0]));
        all.0.push(all.1.len() as u64);
    }
    all
}

//! From a table to a data set: laid out as the rows of LIBSVM text are.

use super::super::cache::Cached;
use super::super::dataset::{Dataset, Numbering};
use super::super::layout;
use super::Table;
use crate::error::{Error, Result};
use crate::kernel::{Rows, RowsError};
use crate::sync::Arc;

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
        let Table { mut starts, mut ids, mut values, labels, names, .. } = self;
        let most = like.map(|like| like.ids.len() - usize::from(like.intercept));
        if let Some(most) = most.filter(|most| found > *most) {
            let expected = format!("at most {most}, as in the training data");
            return Err(Error::input(name, 0, 0, format!("{found} features"), expected));
        }
        let known = like.and_then(|like| like.names.as_ref());
        if let Some((known, names)) = known.zip(names.as_ref())
            && let Some(at) = known.iter().zip(names).position(|(a, b)| a != b)
        {
            let expected = "the columns of the training data in their order";
            return Err(Error::input(
                name,
                1,
                0,
                format!("feature {} called '{}'", at + 1, names[at]),
                expected,
            ));
        }
        if like.is_some_and(|like| like.intercept) {
            let constant = most.unwrap_or(found) as u32;
            (starts, ids, values) = with_constant(&starts, &ids, &values, constant);
        }
        let features = like.map_or(found.max(at_least), |like| like.ids.len());
        layout::check_features(name, features)?;
        let sound = |e: RowsError| Error::input(name, 0, 0, e.to_string(), "sound rows");
        let rows = Rows::new(starts, ids, values, features).map_err(sound)?;
        let labels = labels.unwrap_or_else(|| vec![f32::NAN; count]);
        let order = match like {
            Some(_) => (0..count as u32).collect(),
            None => layout::shuffled(count, seed),
        };
        let mut placed = layout::gather(&rows, &labels, &order);
        let numbering = like.cloned().unwrap_or_else(|| {
            let ids = layout::by_frequency(&layout::counts(&placed.ids, features));
            let names = names.map(|mut names| {
                names.extend((names.len()..features).map(|at| format!("column {}", at + 1)));
                names
            });
            Arc::new(Numbering { ids, names, one_based: !zero_based, intercept: false, factors: None })
        });
        layout::renumber(&mut placed, &layout::inverse(&numbering.ids));
        let rows = Rows::new(placed.starts, placed.ids, placed.values, features).map_err(sound)?;
        Ok(Dataset {
            rows: Arc::new(rows),
            labels: placed.labels,
            order,
            numbering,
            classes: None,
            name: name.to_owned(),
            hash,
            lines: Arc::default(),
            cached: Cached::default(),
        })
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

//! A constant feature, so that a linear model has a bias.

use super::columns::Columns;
use super::dataset::{Dataset, Numbering};
use crate::kernel::Rows;
use crate::sync::Arc;

impl Dataset {
    /// The data with an intercept: one more feature, the constant 1 in every row. It has rank 0, as no feature
    /// is more frequent, and the last original id, which is where LIBLINEAR's models have their bias. Models
    /// do not regularise it. A test set that was loaded like its training set gets its own. O(nonzeros).
    #[must_use]
    pub fn with_intercept(self) -> Self {
        if self.intercept().is_some() {
            return self;
        }
        let nonzeros = self.nonzeros() + self.len();
        let (mut ids, mut values) = (Vec::with_capacity(nonzeros), Vec::with_capacity(nonzeros));
        let mut starts = vec![0];
        for row in self.rows.iter() {
            ids.push(0);
            values.push(1.0);
            ids.extend(row.ids().iter().map(|id| id + 1));
            values.extend(row.values());
            starts.push(ids.len() as u64);
        }
        let features = self.features() + 1;
        let rows = Rows::new(starts, ids, values, features).expect("ids that increase still do, each by one");
        let numbering = Numbering {
            ids: std::iter::once(features as u32 - 1).chain(self.numbering.ids.iter().copied()).collect(),
            columns: Columns {
                names: self.numbering.columns.names.clone().map(|mut names| {
                    names.push("(intercept)".to_owned());
                    names
                }),
                ..self.numbering.columns.clone()
            },
            factors: self.numbering.factors.clone().map(|mut factors| {
                factors.push(1.0);
                factors
            }),
            intercept: true,
            ..*self.numbering
        };
        Self { rows: Arc::new(rows), numbering: Arc::new(numbering), ..self }
    }

    /// The rank of the intercept, if there is one: 0 unless another constant feature came before it when the
    /// data were [laid out](Dataset::laid_out).
    pub fn intercept(&self) -> Option<usize> {
        let last = (self.features() as u32).checked_sub(1)?;
        self.numbering.ids.iter().position(|&id| self.numbering.intercept && id == last)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn rows_without_features_have_none() {
        let data = Dataset::from_csr(vec![0, 0], vec![], vec![], vec![1.0], 0).unwrap();
        assert_eq!(data.intercept(), None);
        assert_eq!(data.with_intercept().intercept(), Some(0));
    }

    #[test]
    fn adds_a_first_feature_that_is_the_last_original_one() {
        let data = Dataset::from_csr(vec![0, 1, 3], vec![1, 0, 1], vec![2.0, 3.0, 4.0], vec![1.0, -1.0], 2)
            .unwrap()
            .with_intercept();
        assert_eq!((data.features(), data.nonzeros(), data.intercept()), (3, 5, Some(0)));
        assert_eq!((data.row(1).ids(), data.row(1).values()), (&[0u32, 1, 2][..], &[1f32, 3.0, 4.0][..]));
        assert_eq!(data.restore(&[9.0, 5.0, 6.0]), [5.0, 6.0, 9.0]);
        assert_eq!(data.with_intercept().features(), 3);
    }
}

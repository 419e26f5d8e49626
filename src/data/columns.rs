//! What is known of the columns of a table.

use super::dataset::{Dataset, Numbering};
use crate::error::{Error, Result};
use crate::sync::Arc;
use serde::{Deserialize, Serialize};

/// What a model keeps of the table that it was trained on, so that others are read alike: by the names of the columns,
/// with the same means and the same numbers for the classes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Columns {
    /// The name of each feature, by original id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub names: Option<Vec<String>>,
    /// The name of the column of the labels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// What the labels 0, 1, 2, … stand for, sorted, where they are names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub classes: Option<Vec<String>>,
    /// The mean of each feature, by original id, where means stand for missing values.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub means: Option<Vec<f32>>,
    /// Whether the values were bytes, which became shares of 1; `Some(false)` where they were not and some are above 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<bool>,
}

impl Columns {
    /// What is wrong with what is said of so many features.
    pub(crate) fn fault(&self, features: usize) -> Option<String> {
        let lengths =
            [("names", self.names.as_ref().map(Vec::len)), ("means", self.means.as_ref().map(Vec::len))];
        for (what, length) in lengths {
            if let Some(length) = length.filter(|length| *length != features) {
                return Some(format!("{length} {what} for {features} features"));
            }
        }
        let sorted = |classes: &Vec<String>| !classes.is_empty() && classes.is_sorted();
        self.classes.as_ref().filter(|classes| !sorted(classes)).map(|_| "classes that are not sorted".into())
    }

    /// What stands for this label in the source: its name, or itself.
    pub fn label(&self, label: f32) -> String {
        let whole = label >= 0.0 && label.fract() == 0.0;
        let name = || self.classes.as_ref().filter(|_| whole)?.get(label as usize).cloned();
        name().unwrap_or_else(|| label.to_string())
    }
}

impl Dataset {
    /// What the labels 0, 1, 2, … of the source stand for, where they are names.
    pub fn class_names(&self) -> Option<&[String]> {
        self.numbering.columns.classes.as_deref()
    }

    /// What is known of the columns, the intercept left out. O(features).
    pub fn columns(&self) -> Columns {
        let mut columns = self.numbering.columns.clone();
        if let Some(names) = columns.names.as_mut().filter(|_| self.numbering.intercept) {
            names.pop();
        }
        columns
    }

    /// Looks for values above 1 in rows of indices, where the training data were bytes; tables have looked.
    pub(super) fn look_for_numbers(&mut self) {
        let unlike = self.bytes.is_none() && self.numbering.columns.bytes == Some(true);
        if unlike && self.rows.arrays().2.iter().any(|&value| value > 1.0) {
            self.bytes = Some(false);
        }
    }

    /// Words for that of these data and of those that they are [like](crate::Loader::like) one had bytes, which became
    /// shares of 1, and the other had numbers above 1: most likely one was to be divided by 255, too. Before they are
    /// scaled.
    pub fn unlike_bytes(&self) -> Option<String> {
        let name = self.name();
        match (self.bytes, self.numbering.columns.bytes) {
            (Some(false), Some(true)) => Some(format!(
                "{name}: has values above 1, but the training data were bytes, which became shares of 1 (x/255)"
            )),
            (Some(true), Some(false)) => Some(format!(
                "{name}: has bytes, which became shares of 1 (x/255), but the training data had values above 1"
            )),
            _ => None,
        }
    }

    /// The data with columns of which this is known. Rows stay as they are: it is for what is read
    /// [like](crate::Loader::like) them, and for reports. Before an intercept is added.
    ///
    /// # Errors
    /// [`Error::Usage`] where there are not as many names or means as features, or classes are not sorted.
    pub fn with_columns(mut self, columns: Columns) -> Result<Self> {
        if let Some(fault) = columns.fault(self.features()) {
            return Err(Error::usage(fault));
        }
        self.numbering = Arc::new(Numbering { columns, ..(*self.numbering).clone() });
        Ok(self)
    }
}

//! Labels as classes: two, or any number.

use super::dataset::Dataset;
use crate::error::{Error, Result};

/// The most classes: whole numbers up to here are exact as labels, and more are hardly classes.
const MOST: usize = 1 << 16;

/// Labels are single numbers: from here on, different whole numbers are the same one.
const EXACT: f32 = (1 << 24) as f32;

impl Dataset {
    /// The data with two-valued labels mapped to −1 (the smaller) and +1; the two are kept in
    /// [`Dataset::classes`].
    ///
    /// # Errors
    /// [`Error::Input`] where there are not exactly two different labels, or one is not between ±2²⁴.
    pub fn binary(self) -> Result<Self> {
        self.check_exact()?;
        match *self.distinct_labels(2) {
            [minus, plus] => self.binary_as([minus, plus]),
            [one] => Err(self.unlike_classes(format!("only the label {}", self.told(one)), "two classes")),
            _ => Err(self.third_label()),
        }
    }

    /// The data with the labels `classes[0]` mapped to −1 and `classes[1]` to +1: for a test set, by the
    /// classes of its training set.
    ///
    /// # Errors
    /// [`Error::Input`] where a row has another label.
    pub fn binary_as(self, classes: [f32; 2]) -> Result<Self> {
        self.mapped(&classes, |class| 2.0 * class as f32 - 1.0)
    }

    /// The data with the labels mapped to 0, 1, 2, … in rising order; what they were is kept in
    /// [`Dataset::classes`]. O(rows · log(classes)).
    ///
    /// # Errors
    /// [`Error::Input`] where there is only one label, more than 65,536, one that is not between ±2²⁴, or one of more
    /// than two is no whole number: such labels are numbers to fit, not classes.
    pub fn multiclass(self) -> Result<Self> {
        self.check_exact()?;
        let classes = self.distinct_labels(MOST);
        let fraction = (0..self.len()).filter(|&p| classes.len() > 2 && self.labels[p].fract() != 0.0);
        if let Some(p) = fraction.min_by_key(|&p| self.order[p]) {
            return Err(self.wrong_label(p, "label", "two classes, or whole numbers as classes".into()));
        }
        match classes.len() {
            1 => Err(self
                .unlike_classes(format!("only the label {}", self.told(classes[0])), "two classes or more")),
            n if n > MOST => Err(self.unlike_classes(self.many_labels(), format!("at most {MOST} classes"))),
            _ => self.multiclass_as(&classes),
        }
    }

    /// The data with the label `classes[i]` mapped to i: for a test set, by the classes of its training set.
    ///
    /// # Errors
    /// [`Error::Input`] where a row has another label.
    pub fn multiclass_as(self, classes: &[f32]) -> Result<Self> {
        self.mapped(classes, |class| class as f32)
    }

    /// [`Dataset::binary`] where there are two different labels, else [`Dataset::multiclass`].
    ///
    /// # Errors
    /// As [`Dataset::multiclass`].
    pub fn classified(self) -> Result<Self> {
        if self.distinct_labels(2).len() == 2 { self.binary() } else { self.multiclass() }
    }

    /// The labels mapped as by [`Dataset::classified`]: for a test set, by the classes of its training set.
    ///
    /// # Errors
    /// [`Error::Input`] where a row has another label.
    pub fn classified_as(self, classes: &[f32]) -> Result<Self> {
        match *classes {
            [minus, plus] => self.binary_as([minus, plus]),
            _ => self.multiclass_as(classes),
        }
    }

    /// The data with their labels as numbers to fit.
    ///
    /// # Errors
    /// [`Error::Input`] where they are names of classes.
    pub fn numeric(self) -> Result<Self> {
        match &self.numbering.columns.classes {
            None => Ok(self),
            Some(names) => {
                let found = format!("labels that are names ('{}', …)", names[0]);
                Err(self.unlike_classes(found, "numbers, or a loss that classifies"))
            }
        }
    }

    /// One class against the rest: label +1 where the label is `class`, a number below that of
    /// [`Dataset::classes`], else −1. Shares the rows; O(rows).
    #[must_use]
    pub fn versus_rest(&self, class: usize) -> Self {
        let labels =
            self.labels.iter().map(|&label| if label == class as f32 { 1.0 } else { -1.0 }).collect();
        Self { labels, classes: None, ..self.clone() }
    }

    /// What the labels were before they were mapped, in the order of the numbers that they are mapped to: two after
    /// [`Dataset::binary`], any number after [`Dataset::multiclass`]; `None` where they are as read.
    pub fn classes(&self) -> Option<&[f32]> {
        self.classes.as_deref()
    }

    /// Refuses labels that are too large to be told from their neighbours.
    fn check_exact(&self) -> Result<()> {
        let large = (0..self.len()).filter(|&p| self.labels[p].abs() >= EXACT);
        match large.min_by_key(|&p| self.order[p]) {
            Some(p) => Err(self.wrong_label(p, "label", format!("classes between ±{EXACT}"))),
            None => Ok(()),
        }
    }

    /// The label as the source has it.
    pub(super) fn source_label(&self, position: usize) -> f32 {
        match (self.classes(), self.label(position)) {
            (Some([minus, plus]), label) => {
                if label > 0.0 {
                    *plus
                } else {
                    *minus
                }
            }
            (Some(classes), label) => classes[label as usize],
            (None, label) => label,
        }
    }

    /// The different labels in rising order; where there are more than `most`, some of them, more than `most`.
    fn distinct_labels(&self, most: usize) -> Vec<f32> {
        let mut labels: Vec<f32> = Vec::new();
        for &label in &self.labels {
            let at = labels.partition_point(|&known| known < label);
            if labels.get(at) != Some(&label) {
                labels.insert(at, label);
                if labels.len() > most {
                    break;
                }
            }
        }
        labels
    }

    /// Words for more labels than there may be.
    fn many_labels(&self) -> String {
        let labels = self.distinct_labels(5);
        let some: Vec<String> = labels.iter().take(5).map(|&label| self.told(label)).collect();
        let more = if labels.len() > 5 { ", …" } else { "" };
        format!("more than two labels ({}{more})", some.join(", "))
    }

    /// The error that there is a third label, the first one in the order of the text.
    fn third_label(&self) -> Error {
        let mut positions = self.by_source().into_iter();
        let mut next =
            |others: &[f32]| positions.find(|&p| !others.contains(&self.labels[p as usize])).unwrap_or(0);
        let one = self.labels[next(&[]) as usize];
        let two = self.labels[next(&[one]) as usize];
        let third = next(&[one, two]) as usize;
        let expected = format!("two classes, as are {} and {}", self.told(one), self.told(two));
        self.wrong_label(third, "a third label,", expected)
    }

    /// The label as the source calls it.
    fn told(&self, label: f32) -> String {
        self.numbering.columns.label(label)
    }

    /// The error that the label at a position, which is `what`, is not as expected: with its line, or with its row where
    /// there is no text.
    pub(crate) fn wrong_label(&self, position: usize, what: &str, expected: String) -> Error {
        let (row, label) = (u64::from(self.order[position]), self.told(self.labels[position]));
        let after = self.lines.partition_point(|&[first, _]| first <= row);
        let Some([first, lines]) = after.checked_sub(1).map(|last| self.lines[last]) else {
            return self.unlike_classes(format!("{what} {label} in row {}", row + 1), expected);
        };
        let line = lines + (row - first) + 1;
        Error::input(&self.name, line as usize, 0, format!("{what} {label}"), expected)
    }

    fn unlike_classes(&self, found: String, expected: impl Into<String>) -> Error {
        Error::input(&self.name, 0, 0, found, expected)
    }

    fn mapped(mut self, classes: &[f32], to: impl Fn(usize) -> f32) -> Result<Self> {
        // By rising label, for the search.
        let mut known: Vec<(f32, f32)> =
            classes.iter().enumerate().map(|(i, &label)| (label, to(i))).collect();
        known.sort_by(|a, b| a.0.total_cmp(&b.0));
        // By ==, so that −0 and 0 are one.
        let find = |label: f32| {
            let at = known.partition_point(|(known, _)| *known < label);
            known.get(at).filter(|(known, _)| *known == label).map(|(_, to)| *to)
        };
        let unknown = (0..self.len()).filter(|&p| find(self.labels[p]).is_none());
        if let Some(p) = unknown.min_by_key(|&p| self.order[p]) {
            let expected = match classes {
                [minus, plus] => format!("{} or {}", self.told(*minus), self.told(*plus)),
                _ => format!("one of the {} classes of the training data", classes.len()),
            };
            return Err(self.wrong_label(p, "label", expected));
        }
        self.labels.iter_mut().for_each(|label| *label = find(*label).unwrap_or(f32::NAN));
        self.classes = Some(classes.to_vec());
        Ok(self)
    }
}

//! Rows held out for testing.

use super::dataset::Dataset;
use super::layout;
use crate::error::{Error, Result};

impl Dataset {
    /// Cuts off a test set of `fraction` of the rows (0 to 1, rounded): which ones depends on `seed` and the
    /// original order alone, not on the layout. Returns (train, test): the training rows in the layout's
    /// order, the test rows in the original one, both with this data's numbering of the features.
    ///
    /// # Errors
    /// [`Error::Usage`] where one of the two would be empty, or `fraction` is no fraction.
    pub fn split(&self, fraction: f64, seed: u64) -> Result<(Self, Self)> {
        let test = (fraction * self.len() as f64).round();
        if !(test >= 1.0 && test < self.len() as f64) {
            let line = format!("a test fraction of {fraction} of {} rows leaves a part empty", self.len());
            return Err(Error::usage(line));
        }
        let by_source = self.by_source();
        let mut held_out = vec![false; self.len()];
        for &at in &layout::shuffled(self.len(), seed)[..test as usize] {
            held_out[by_source[at as usize] as usize] = true;
        }
        Ok(self.parts(&by_source, |p| held_out[p]))
    }

    /// (train, test) for each of `folds` folds: every row is in one test set. Which one depends on `seed`, the
    /// original order and the labels; where these are [classes](Dataset::classes), each class is spread evenly. Sizes
    /// differ by one row at most. A pair is made when it is asked for; O(nonzeros).
    ///
    /// # Errors
    /// [`Error::Usage`] where there are fewer than two folds or fewer rows than folds.
    pub fn folds(&self, folds: usize, seed: u64) -> Result<impl ExactSizeIterator<Item = (Self, Self)>> {
        if folds < 2 || folds > self.len() {
            let line =
                format!("{folds} folds of {} rows: expected 2 or more, and a row for each", self.len());
            return Err(Error::usage(line));
        }
        let by_source = self.by_source();
        let shuffled = layout::shuffled(self.len(), seed);
        let mut order: Vec<u32> = shuffled.into_iter().map(|at| by_source[at as usize]).collect();
        if self.classes().is_some() {
            order.sort_by(|&a, &b| self.label(a as usize).total_cmp(&self.label(b as usize)));
        }
        let mut fold_of = vec![0u32; self.len()];
        order.iter().zip((0..folds as u32).cycle()).for_each(|(&p, fold)| fold_of[p as usize] = fold);
        Ok((0..folds).map(move |fold| self.parts(&by_source, |p| fold_of[p] as usize == fold)))
    }

    /// The rows that are not held out, in the layout's order, and those that are, in the original one.
    fn parts(&self, by_source: &[u32], held_out: impl Fn(usize) -> bool) -> (Self, Self) {
        let train: Vec<u32> = (0..self.len() as u32).filter(|&p| !held_out(p as usize)).collect();
        let test: Vec<u32> = by_source.iter().copied().filter(|&p| held_out(p as usize)).collect();
        let part = |rows: &[u32]| self.part(self.pick(rows), rows, self.numbering.clone());
        (part(&train), part(&test))
    }
}

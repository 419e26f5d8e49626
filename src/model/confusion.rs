//! Which class was taken for which.

/// How many rows of each class were predicted as each class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confusion {
    classes: usize,
    /// By true class and then by predicted one.
    counts: Vec<u64>,
}

impl Confusion {
    /// Counts pairs of true and predicted class, each below `classes`.
    ///
    /// # Panics
    /// If a class is not below `classes`.
    pub fn new(classes: usize, pairs: impl IntoIterator<Item = (usize, usize)>) -> Self {
        let mut counts = vec![0; classes * classes];
        for (is, predicted) in pairs {
            assert!(is < classes && predicted < classes, "class {is} or {predicted} of {classes}");
            counts[is * classes + predicted] += 1;
        }
        Self { classes, counts }
    }

    /// The number of classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// For each class, how many of its rows were predicted as each class.
    pub fn rows(&self) -> impl Iterator<Item = &[u64]> {
        self.counts.chunks(self.classes)
    }

    /// Rows of this class.
    pub fn actual(&self, class: usize) -> u64 {
        self.counts[class * self.classes..][..self.classes].iter().sum()
    }

    /// Rows that are predicted as this class.
    pub fn predicted(&self, class: usize) -> u64 {
        self.rows().map(|row| row[class]).sum()
    }

    fn correct(&self, class: usize) -> u64 {
        self.counts[class * self.classes + class]
    }

    /// The share of all rows that are predicted right; NaN without rows.
    pub fn accuracy(&self) -> f64 {
        let correct: u64 = (0..self.classes).map(|class| self.correct(class)).sum();
        correct as f64 / self.counts.iter().sum::<u64>() as f64
    }

    /// Of the rows that are predicted as this class, the share that are of it; `None` where there are none.
    pub fn precision(&self, class: usize) -> Option<f64> {
        share(self.correct(class), self.predicted(class))
    }

    /// Of the rows of this class, the share that are predicted as it; `None` where there are none.
    pub fn recall(&self, class: usize) -> Option<f64> {
        share(self.correct(class), self.actual(class))
    }

    /// The harmonic mean of precision and recall; `None` where the class is neither there nor predicted.
    pub fn f1(&self, class: usize) -> Option<f64> {
        share(2 * self.correct(class), self.actual(class) + self.predicted(class))
    }
}

fn share(part: u64, of: u64) -> Option<f64> {
    (of > 0).then(|| part as f64 / of as f64)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn three_classes_by_hand() {
        // Class 0: 2 right, 1 taken for 1; class 1: 1 right; class 2: never there, predicted once for 1.
        let pairs = [(0, 0), (0, 0), (0, 1), (1, 1), (1, 2)];
        let c = Confusion::new(3, pairs);
        assert_eq!(c.rows().collect::<Vec<_>>(), [[2, 1, 0], [0, 1, 1], [0, 0, 0]]);
        assert_eq!(c.accuracy(), 0.6);
        let figures =
            |class| (c.actual(class), c.predicted(class), c.precision(class), c.recall(class), c.f1(class));
        assert_eq!(figures(0), (3, 2, Some(1.0), Some(2.0 / 3.0), Some(0.8)));
        assert_eq!(figures(1), (2, 2, Some(0.5), Some(0.5), Some(0.5)));
        assert_eq!(figures(2), (0, 1, Some(0.0), None, Some(0.0)));
    }
}

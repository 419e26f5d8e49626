//! How many cache lines of parameters an example moves between cores: see `SCALING.md`.

/// Bytes of a cache line.
const LINE: usize = 64;

/// How often rows touch each cache line of the parameters.
#[derive(Debug, Clone)]
pub struct Traffic {
    /// The share of the rows that touch the line, from the line of the most frequent features on.
    touched: Vec<f64>,
    /// Parameters on a line.
    width: usize,
}

impl Traffic {
    /// The lines of parameters of `bytes` bytes each, from how many of the `rows` have each feature, as the features
    /// are numbered. Features are taken as independent. O(features).
    ///
    /// # Panics
    /// If `bytes` is 0 or above 64.
    pub fn new(counts: &[u32], rows: usize, bytes: usize) -> Self {
        let width = LINE / bytes;
        let missed = |&count: &u32| 1.0 - f64::from(count) / rows as f64;
        let line = |counts: &[u32]| 1.0 - counts.iter().map(missed).product::<f64>();
        Self { touched: counts.chunks(width).map(line).collect(), width }
    }

    /// Lines that move between cores for each example, with `workers` ≥ 1 workers that run blocks of `block` examples
    /// on copies of the first `hot` parameters; a block of 1 is direct.
    pub fn per_example(&self, workers: usize, block: usize, hot: usize) -> f64 {
        if workers < 2 {
            return 0.0;
        }
        let others = workers as f64 - 1.0;
        let (hot, cold) = self.touched.split_at(if block > 1 { self.lines(hot) } else { 0 });
        let of_hot = |&q: &f64| {
            let changed = 1.0 - (1.0 - q).powf(block as f64);
            // Read anew if one of the others has published since, and made one's own to be written.
            (1.0 - (1.0 - changed).powf(others)) + changed
        };
        let hot = hot.iter().map(of_hot).sum::<f64>() / block as f64;
        hot + cold.iter().sum::<f64>() * others / workers as f64
    }

    /// The largest number of times that one line moves for each example: a line is at one core at a time, so that all
    /// workers together do no more examples in a second than lines travel in a second, divided by this.
    pub fn busiest(&self, workers: usize, block: usize, hot: usize) -> f64 {
        if workers < 2 {
            return 0.0;
        }
        let hot = if block > 1 { self.lines(hot) } else { 0 };
        let published =
            self.touched[..hot].iter().map(|q| 2.0 * (1.0 - (1.0 - q).powf(block as f64)) / block as f64);
        let direct = self.touched[hot..].iter().map(|q| q * (workers as f64 - 1.0) / workers as f64);
        published.chain(direct).fold(0.0, f64::max)
    }

    fn lines(&self, parameters: usize) -> usize {
        parameters.div_ceil(self.width).min(self.touched.len())
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// Three lines: all rows touch the first, half of them the second, one in a hundred the third.
    fn traffic() -> Traffic {
        let mut counts = [0u32; 48];
        (counts[0], counts[16], counts[32]) = (100, 50, 1);
        Traffic::new(&counts, 100, 4)
    }

    #[test]
    fn lines_are_touched_as_often_as_one_of_their_features() {
        assert_eq!(traffic().touched, [1.0, 0.5, 0.010000000000000009]);
        // Two independent halves: three quarters.
        assert_eq!(Traffic::new(&[50, 50], 100, 4).touched, [0.75]);
        assert_eq!(Traffic::new(&[50; 16], 100, 8).touched.len(), 2);
    }

    #[test]
    fn direct_traffic_is_that_of_lines_last_touched_by_another() {
        let lines = 1.51;
        assert_eq!(traffic().per_example(1, 1, 0), 0.0);
        assert!((traffic().per_example(2, 1, 0) - lines / 2.0).abs() < 1e-12);
        assert!((traffic().per_example(4, 1, 0) - lines * 0.75).abs() < 1e-12);
        assert_eq!(traffic().busiest(2, 1, 0), 0.5);
    }

    #[test]
    fn blocks_move_hot_lines_once_there_and_once_back() {
        // Both hot lines change in practically every block of 100; the third stays direct.
        let found = traffic().per_example(2, 100, 32);
        assert!((found - (4.0 / 100.0 + 0.01 / 2.0)).abs() < 1e-9, "{found}");
        assert!((traffic().busiest(2, 100, 32) - 0.02).abs() < 1e-12);
        // Blocks of two: the second line changes in three quarters of them.
        let found = traffic().per_example(3, 2, 32);
        let expected = (2.0 + (1.0 - 0.25f64.powi(2)) + 0.75) / 2.0 + 0.01 * 2.0 / 3.0;
        assert!((found - expected).abs() < 1e-9, "{found}");
    }
}

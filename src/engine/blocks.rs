//! How long the blocks are, and which parameters a worker copies for them: chosen from the data.
//!
//! A block of m rows spares the traffic of m − 1 updates and costs the copying and publishing of its hot parameters,
//! while the others do not see it. Found on five data sets with 1, 2, 4 and 8 workers:
//! - A parameter that is shared costs a compare-exchange, and often the trip of a cache line, at each touch; one that
//!   is copied costs 3 to 5 ns a block. Copying pays from a touch in some tens of blocks on ([`HOT_TOUCHES`]): on
//!   flights it made an epoch 2.4 times as fast as copying from one touch a block on.
//! - Workers × m up to a two-hundredth of the rows keeps or betters the objective per epoch of one worker in direct
//!   mode; 4 workers may take twice and 2 eight times that ([`longest`]). On RCV1-shaped text the gap after an epoch
//!   was 2.1e-2 with one worker, 1.9e-2 with 4 in blocks of 500 and 1.8e-2 with 8 in blocks of 125, but 2.9e-2 in
//!   blocks of twice that. The longest blocks are worth it where they touch many parameters for their rows
//!   ([`PUBLISHING`]): RCV1-shaped text with 2 workers went from 1.3 to 1.7 times the speed of one direct worker.
//! - Where most nonzeros fall on parameters that a block touches less than once ([`HOT_SHARE`]: 20,000 rows with
//!   1,350,000 features), blocks are faster, but lose two thirds of the progress per epoch.

use super::plan::BlockSize;

/// How often a block must touch a parameter, on average, for it to be copied.
const HOT_TOUCHES: f64 = 1.0 / 32.0;

/// The share of the nonzeros that must fall on parameters that a block touches at least once.
const HOT_SHARE: f64 = 0.5;

/// The nonzeros that a block should have for each parameter that it publishes.
const PUBLISHING: f64 = 10.0;

/// … and where examples move whole rows of parameters by vectors, at a tenth of the time for each.
const COPIED: f64 = 100.0;

/// The largest automatic block, in examples.
const MAX_ROWS: usize = 8192;

/// The rows of a block and the number of hot parameters; (1, 0) is direct. `counts` tells how many examples touch
/// each parameter, and falls; `None` where each touches all. `copies` tells that a copy pays even for one worker.
pub(super) fn choose(
    asked: BlockSize,
    hot: Option<usize>,
    workers: usize,
    examples: usize,
    parameters: usize,
    counts: Option<&[u32]>,
    copies: bool,
) -> (usize, usize) {
    let automatic = asked == BlockSize::Auto;
    let rows = match asked {
        BlockSize::Rows(rows) => rows.min(examples),
        // One worker has nobody to keep traffic from.
        BlockSize::Auto if workers == 1 && !copies => 1,
        BlockSize::Auto => automatic_rows(workers, examples, counts, copies),
    };
    if rows < 2 || (automatic && counts.is_some_and(|counts| hot_share(counts, rows, examples) < HOT_SHARE)) {
        return (1, 0);
    }
    let touched = |counts: &[u32]| touched_by(counts, HOT_TOUCHES, rows, examples);
    (rows, hot.unwrap_or_else(|| counts.map_or(parameters, touched)).min(parameters))
}

/// The longest block, in examples, with which the workers see enough of each other.
pub(super) fn longest(workers: usize, examples: usize) -> usize {
    match workers {
        1 => examples * 2 / 25,
        2 => examples / 50,
        _ => (examples / (25 * workers * workers)).max(examples / (200 * workers)),
    }
}

fn automatic_rows(workers: usize, examples: usize, counts: Option<&[u32]>, copies: bool) -> usize {
    let longest = longest(workers, examples);
    let shortest = (examples / (100 * workers)).min(longest);
    let publishing = if copies { COPIED } else { PUBLISHING };
    let worth = counts.map_or(0, |counts| {
        let nonzeros: f64 = counts.iter().map(|&c| f64::from(c)).sum();
        let share = shortest as f64 / examples as f64;
        let published: f64 = counts.iter().map(|&c| (f64::from(c) * share).min(1.0)).sum();
        (publishing * published * examples as f64 / nonzeros.max(1.0)) as usize
    });
    worth.clamp(shortest, longest).min(MAX_ROWS)
}

/// How many parameters a block of `rows` touches at least `touches` times, on average.
fn touched_by(counts: &[u32], touches: f64, rows: usize, examples: usize) -> usize {
    counts.partition_point(|&c| f64::from(c) * rows as f64 >= touches * examples as f64)
}

/// The share of the nonzeros on parameters that a block touches at least once.
fn hot_share(counts: &[u32], rows: usize, examples: usize) -> f64 {
    let sum = |counts: &[u32]| counts.iter().map(|&c| f64::from(c)).sum::<f64>();
    sum(&counts[..touched_by(counts, 1.0, rows, examples)]) / sum(counts).max(1.0)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// Counts that fall as 1/(rank + head), as in text.
    fn zipf(features: usize, head: f64, nonzeros: f64, examples: usize) -> Vec<u32> {
        let sum: f64 = (0..features).map(|rank| 1.0 / (rank as f64 + head)).sum();
        let count = |rank: usize| nonzeros / sum / (rank as f64 + head);
        (0..features).map(|rank| count(rank).min(examples as f64).max(1.0) as u32).collect()
    }

    #[test]
    fn text_has_long_blocks_for_few_workers_and_short_ones_for_many() {
        let counts = zipf(200_000, 10.0, 15.7e6, 200_000);
        let of =
            |workers| choose(BlockSize::Auto, None, workers, 200_000, counts.len(), Some(&counts), false);
        assert_eq!(of(1), (1, 0));
        assert!((2500..=4000).contains(&of(2).0), "{:?}", of(2));
        assert_eq!(of(4).0, 500);
        assert_eq!(of(6).0, 222);
        assert!(of(2).1 > 100_000 && of(6).1 < of(2).1 / 3);
    }

    #[test]
    fn few_features_need_no_long_blocks() {
        let counts = vec![300_000u32; 50];
        assert_eq!(choose(BlockSize::Auto, None, 2, 600_000, 50, Some(&counts), false), (3000, 50));
        assert_eq!(choose(BlockSize::Auto, None, 4, 10_000, 70, None, false), (25, 70));
    }

    #[test]
    fn wide_data_is_direct_unless_asked() {
        let counts = zipf(1_350_000, 2000.0, 9.1e6, 20_000);
        assert_eq!(choose(BlockSize::Auto, None, 2, 20_000, counts.len(), Some(&counts), false), (1, 0));
        let (rows, hot) = choose(BlockSize::Rows(64), None, 2, 20_000, counts.len(), Some(&counts), false);
        assert!(rows == 64 && hot > 0);
        assert_eq!(
            choose(BlockSize::Rows(64), Some(9), 2, 20_000, counts.len(), Some(&counts), false),
            (64, 9)
        );
    }
}

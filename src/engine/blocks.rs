//! How long the blocks are, and which parameters a worker copies for them: chosen from the data.
//!
//! A block of m rows spares the traffic of m − 1 updates and costs the copying and publishing of its hot parameters,
//! while the others do not see it. Found on five data sets with 1, 2, 4 and 8 workers:
//! - A parameter that is shared costs a compare-exchange, and often the trip of a cache line, at each touch; one that
//!   is copied costs 3 to 5 ns a block. Copying pays from a touch in some tens of blocks on ([`HOT_TOUCHES`]): on
//!   flights it made an epoch 2.4 times as fast as copying from one touch a block on.
//!   The sizes of caches are no input: RCV1-shaped text took two workers 102 ms an epoch at best with 1,024 copies,
//!   then 74, 52 and 46, and 33 with all 47,236, though that copy no longer fits into the second cache (512 kB) beside
//!   the shared ones.
//! - Workers × m up to a two-hundredth of the rows keeps or betters the objective per epoch of one worker in direct
//!   mode; 4 workers may take twice and 2 eight times that ([`longest`]). On RCV1-shaped text the gap after an epoch
//!   was 2.1e-2 with one worker, 1.9e-2 with 4 in blocks of 500 and 1.8e-2 with 8 in blocks of 125, but 2.9e-2 in
//!   blocks of twice that. The longest blocks are worth it where they touch many parameters for their rows
//!   ([`PUBLISHING`]): RCV1-shaped text with 2 workers went from 1.3 to 1.7 times the speed of one direct worker.
//! - Where most nonzeros fall on parameters that such a block touches less than once ([`HOT_SHARE`]: 20,000 rows with
//!   1,350,000 features), long blocks lose progress and copy much for few touches, and short ones gain nothing: of 33
//!   rows on 2,128 parameters two workers were as fast as direct, 38.9 ms an epoch (67 with the 47,000 that one block in
//!   32 touches), and by racy updates slower, 36 to 28 ms. So such data are direct; blocks that are asked for copy what
//!   they touch often ([`WIDE_TOUCHES`]).

use super::plan::BlockSize;
use crate::model::{Grid, Objective};
use crate::real::Real;
use std::ops::Range;

/// How often a block must touch a parameter, on average, for it to be copied.
const HOT_TOUCHES: f64 = 1.0 / 32.0;

/// The share of the nonzeros that must fall on parameters that a block touches at least once; data are wide below it.
const HOT_SHARE: f64 = 0.5;

/// [`HOT_TOUCHES`] of wide data, where each row touches shared parameters anyway.
const WIDE_TOUCHES: f64 = 0.5;

/// The nonzeros that a block should have for each parameter that it publishes.
const PUBLISHING: f64 = 10.0;

/// … and where examples move whole rows of parameters by vectors, at a tenth of the time for each. Two workers on images
/// of 784 pixels took blocks of 370 rows from it for a network of 128 hidden units. From 380 rows on nothing was faster
/// (320,000 examples a second; 250,000 with 64 rows, 280,000 with 128), while the objective after 3 epochs rises all the
/// way, 0.094 with 64 rows, 0.099 with 380 and 0.104 with 2048; softmax alike.
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
    let rows = match asked {
        BlockSize::Rows(rows) => rows.min(examples),
        // One worker has nobody to keep traffic from.
        BlockSize::Auto if workers == 1 && !copies => 1,
        BlockSize::Auto => automatic_rows(workers, examples, counts, copies),
    };
    let wide = rows > 1 && counts.is_some_and(|counts| hot_share(counts, rows, examples) < HOT_SHARE);
    if rows < 2 || (wide && asked == BlockSize::Auto) {
        return (1, 0);
    }
    let touches = if wide { WIDE_TOUCHES } else { HOT_TOUCHES };
    let touched = |counts: &[u32]| touched_by(counts, touches, rows, examples);
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

/// The bytes that a worker may copy for a block of a grid: most of a second-level cache of 512 kB. Two workers on 91,000
/// ratings of films by rank 32 made 22 million steps a second with copies of 350 kB, 17 with 180, and 6 without. With 416
/// kB 1.6 million ratings of 100 jokes took 15 % less time than with 209, but ended at a 0.3 % larger error.
const NEAR: usize = 384 << 10;

/// For blocks of a grid that workers walk through on copies: the side of the grid that they make of it by joining parts,
/// and the most parameters that a block then copies; `None` where copying is not worth it.
///
/// Larger blocks publish less often what several of their examples touch. As few parts as keep the workers apart, one of
/// whom may be late by a block, and let copies stay in the second-level cache.
pub(super) fn walked<T: Real, O: Objective<T>>(
    grid: &Grid<'_>,
    objective: &O,
    workers: usize,
) -> Option<(usize, usize)> {
    let copied = |side: usize| {
        let of = |block| objective.spans(&grid.joined(block, side)).iter().map(Range::len).sum::<usize>();
        (0..side * side).map(of).max().unwrap_or(0)
    };
    let sides = (workers + 2).min(grid.side)..=grid.side;
    let mut sides = sides.map(|side| (side, copied(side)));
    let fits = |&(side, copied): &(usize, usize)| side == grid.side || copied * size_of::<T>() <= NEAR;
    let worth = |&(side, copied): &(usize, usize)| copied * side * side <= grid.copied * objective.examples();
    sides.find(fits).filter(worth)
}

fn automatic_rows(workers: usize, examples: usize, counts: Option<&[u32]>, copies: bool) -> usize {
    let longest = longest(workers, examples);
    let shortest = (examples / (100 * workers)).min(longest);
    let publishing = if copies { COPIED } else { PUBLISHING };
    let worth = counts.map_or(0, |counts| {
        let share = shortest as f64 / examples as f64;
        let sure = counts.partition_point(|&c| f64::from(c) * share >= 1.0);
        let published = sure as f64 + sum(&counts[sure..]) * share;
        (publishing * published * examples as f64 / sum(counts).max(1.0)) as usize
    });
    worth.clamp(shortest, longest).min(MAX_ROWS)
}

fn sum(counts: &[u32]) -> f64 {
    counts.iter().map(|&c| u64::from(c)).sum::<u64>() as f64
}

/// How many parameters a block of `rows` touches at least `touches` times, on average.
fn touched_by(counts: &[u32], touches: f64, rows: usize, examples: usize) -> usize {
    counts.partition_point(|&c| f64::from(c) * rows as f64 >= touches * examples as f64)
}

/// The share of the nonzeros on parameters that a block touches at least once.
fn hot_share(counts: &[u32], rows: usize, examples: usize) -> f64 {
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
    fn wide_data_are_direct_or_copy_few_parameters() {
        let counts = zipf(1_350_000, 2000.0, 9.1e6, 20_000);
        let of =
            |asked, hot, workers| choose(asked, hot, workers, 20_000, counts.len(), Some(&counts), false);
        assert_eq!((of(BlockSize::Auto, None, 2), of(BlockSize::Auto, None, 8)), ((1, 0), (1, 0)));
        // The parameters that every 66th row has.
        let (rows, hot) = of(BlockSize::Rows(33), None, 2);
        assert!(rows == 33 && counts[hot - 1] >= 304 && counts[hot] < 304, "{rows} rows, {hot} hot");
        assert_eq!(of(BlockSize::Rows(64), Some(9), 2), (64, 9));
    }
}

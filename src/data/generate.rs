//! Problems with a known truth, shaped like text.

use super::dataset::Dataset;
use crate::error::{Error, Result};
use rand::RngExt as _;
use rand::seq::SliceRandom;
use rand_distr::weighted::WeightedAliasIndex;
use rand_distr::{Distribution, StandardNormal};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::SeedableRng;
use rayon::prelude::*;

/// Rows that one random stream makes.
const BLOCK: usize = 4096;
/// Blocks on which the noise is set.
const CALIBRATION: usize = 5;
/// The spread of the logarithm of the row lengths.
const LENGTH_SPREAD: f64 = 0.6;

/// Makes two-class problems in the shape of RCV1 (Lewis et al. 2004), with a known truth.
///
/// - Features are drawn by a Zipf law, p_j ∝ 1 / (j + 10) at rank j, their ids in random order; repeated
///   draws count once.
/// - Row lengths are log-normal (σ = 0.6) about the mean.
/// - Values are like tf-idf, exp(z/2) · ln(1 + 1/(p_j · mean)) with z normal, and every row has length 1.
/// - A tenth of the features have a normal weight, the 200 most frequent ones (σ = 0.5) among them.
/// - A label is +1 with probability σ(β(x·w − b)), where b is the median score, so that the classes
///   balance, and β is set so that knowing the truth predicts 95 % of the labels.
///
/// The first rows do not depend on how many there are. Repeatable for a version of the crate on a
/// platform.
///
/// ```
/// let problem = asyncsgd::data::Synthetic::rcv1(1000).features(500).mean_nonzeros(20.0).seed(1).generate()?;
/// assert_eq!((problem.data.len(), problem.data.features()), (1000, 500));
/// # Ok::<(), asyncsgd::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Synthetic {
    rows: usize,
    features: usize,
    mean_nonzeros: f64,
    seed: u64,
}

/// A generated problem.
#[derive(Clone, Debug)]
pub struct Problem {
    /// The rows, in the order in which they were made and with ids as they are: see
    /// [`Dataset::laid_out`]. Labels are −1 and +1, features count from 1 when written.
    pub data: Dataset,
    /// The true weight of each feature by original id: P(+1) = σ(x·weights + intercept).
    pub weights: Vec<f64>,
    /// The true intercept.
    pub intercept: f64,
    /// The accuracy that the truth is expected to reach on these rows: that of the best classifier.
    pub accuracy: f64,
}

/// Rows of one block.
#[derive(Default)]
struct Block {
    lens: Vec<usize>,
    ids: Vec<u32>,
    values: Vec<f32>,
    /// x·w for each row.
    scores: Vec<f64>,
    /// What decides the label: uniform in [0, 1).
    draws: Vec<f64>,
}

/// What all blocks share, by frequency rank.
struct Shape {
    popularity: WeightedAliasIndex<f64>,
    idf: Vec<f64>,
    weights: Vec<f64>,
    /// Rank → id.
    ids: Vec<u32>,
    /// The mean of the logarithm of the number of draws for a row, and the most.
    log_draws: f64,
    most: f64,
}

impl Synthetic {
    /// `rows` rows of 47,236 features with 75 nonzeros on average, as RCV1 has; seed 0.
    pub fn rcv1(rows: usize) -> Self {
        Self { rows, features: 47_236, mean_nonzeros: 75.0, seed: 0 }
    }

    /// The number of features.
    pub fn features(self, features: usize) -> Self {
        Self { features, ..self }
    }

    /// The mean number of nonzeros in a row, 1 up to half the features.
    pub fn mean_nonzeros(self, mean_nonzeros: f64) -> Self {
        Self { mean_nonzeros, ..self }
    }

    /// The seed of everything.
    pub fn seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// Makes the problem, in parallel. O(nonzeros + features), and 20,480 rows at least.
    ///
    /// # Errors
    /// [`Error::Usage`] where there is no row, or the mean is not between 1 and half the features.
    pub fn generate(self) -> Result<Problem> {
        let Self { rows, features, mean_nonzeros: mean, seed } = self;
        let mut wrong = Vec::new();
        if rows == 0 || rows > u32::MAX as usize {
            wrong.push(format!("{rows} rows: must be 1 to {}", u32::MAX));
        }
        if features > u32::MAX as usize - 1 {
            wrong.push(format!("{features} features: must be at most {}", u32::MAX - 1));
        }
        if !(1.0..=features as f64 / 2.0).contains(&mean) {
            wrong.push(format!("{mean} nonzeros a row: must be 1 to half of {features} features"));
        }
        if !wrong.is_empty() {
            return Err(Error::Usage(wrong));
        }
        let mut stream = Xoshiro256PlusPlus::seed_from_u64(seed);
        let shape = Shape::new(features, mean, &mut stream);
        let streams: Vec<_> = (0..rows.div_ceil(BLOCK).max(CALIBRATION))
            .map(|_| {
                stream.jump();
                stream.clone()
            })
            .collect();
        let blocks: Vec<Block> = streams.into_par_iter().map(|stream| shape.block(stream)).collect();
        let scores: Vec<f64> =
            blocks[..CALIBRATION].iter().flat_map(|block| block.scores.iter().copied()).collect();
        let (slope, middle) = calibrate(scores);
        shape.problem(blocks, rows, slope, middle)
    }
}

impl Shape {
    fn new(features: usize, mean: f64, stream: &mut Xoshiro256PlusPlus) -> Self {
        let mut popularity: Vec<f64> = (0..features).map(|j| 1.0 / (j as f64 + 10.0)).collect();
        let sum: f64 = popularity.iter().sum();
        popularity.iter_mut().for_each(|p| *p /= sum);
        let idf = popularity.iter().map(|p| (1.0 / (p * mean)).ln_1p()).collect();

        let mut ids: Vec<u32> = (0..features as u32).collect();
        ids.shuffle(stream);
        let mut weights = vec![0.0; features];
        for rank in rand::seq::index::sample(stream, features, features / 10) {
            weights[rank] = StandardNormal.sample(stream);
        }
        for weight in weights.iter_mut().take(200) {
            let normal: f64 = StandardNormal.sample(stream);
            *weight = 0.5 * normal;
        }
        let log_draws = draws_for(&popularity, mean).ln() - LENGTH_SPREAD * LENGTH_SPREAD / 2.0;
        let popularity = WeightedAliasIndex::new(popularity).expect("positive weights, at least two");
        Self { popularity, idf, weights, ids, log_draws, most: 16.0 * mean }
    }

    /// One block of rows.
    fn block(&self, mut stream: Xoshiro256PlusPlus) -> Block {
        let mut block = Block::default();
        let (mut ranks, mut row): (Vec<usize>, Vec<(u32, f64)>) = (Vec::new(), Vec::new());
        for _ in 0..BLOCK {
            let normal: f64 = StandardNormal.sample(&mut stream);
            let length = (self.log_draws + LENGTH_SPREAD * normal).exp().clamp(1.0, self.most) as usize;
            ranks.clear();
            ranks.extend((0..length).map(|_| self.popularity.sample(&mut stream)));
            ranks.sort_unstable();
            ranks.dedup();
            row.clear();
            let (mut square, mut score) = (0.0, 0.0);
            for &rank in &ranks {
                let normal: f64 = StandardNormal.sample(&mut stream);
                let value = (0.5 * normal).exp() * self.idf[rank];
                square += value * value;
                score += value * self.weights[rank];
                row.push((self.ids[rank], value));
            }
            row.sort_unstable_by_key(|&(id, _)| id);
            let norm = f64::sqrt(square);
            block.lens.push(row.len());
            block.ids.extend(row.iter().map(|&(id, _)| id));
            block.values.extend(row.iter().map(|&(_, value)| (value / norm) as f32));
            block.scores.push(score / norm);
            block.draws.push(stream.random());
        }
        block
    }

    /// The first `rows` rows of the blocks, labelled by σ(slope · (score − middle)).
    fn problem(self, blocks: Vec<Block>, rows: usize, slope: f64, middle: f64) -> Result<Problem> {
        let (mut starts, mut labels) = (vec![0], Vec::with_capacity(rows));
        let nonzeros = blocks.iter().flat_map(|b| &b.lens).take(rows).sum();
        let (mut ids, mut values) = (Vec::with_capacity(nonzeros), Vec::with_capacity(nonzeros));
        let mut accuracy = 0.0;
        for block in blocks {
            let rows = block.lens.len().min(rows - labels.len());
            for r in 0..rows {
                let p = 1.0 / (1.0 + (-slope * (block.scores[r] - middle)).exp());
                accuracy += p.max(1.0 - p);
                labels.push(if block.draws[r] < p { 1.0 } else { -1.0 });
                starts.push(starts[starts.len() - 1] + block.lens[r] as u64);
            }
            let room = nonzeros - ids.len();
            ids.extend(block.ids.into_iter().take(room));
            values.extend(block.values.into_iter().take(room));
        }
        let mut weights = vec![0.0; self.ids.len()];
        for (&id, weight) in self.ids.iter().zip(&self.weights) {
            weights[id as usize] = slope * weight;
        }
        let data =
            Dataset::from_csr(starts, ids, values, labels, weights.len())?.counted_from_one("generated");
        Ok(Problem { data, weights, intercept: -slope * middle, accuracy: accuracy / rows as f64 })
    }
}

/// The number of draws that hits `mean` different features on average: Σ 1 − exp(−n·p_j) = mean.
fn draws_for(popularity: &[f64], mean: f64) -> f64 {
    let different = |draws: f64| popularity.iter().map(|p| -(-draws * p).exp_m1()).sum::<f64>();
    let mut high = mean;
    while different(high) < mean {
        high *= 2.0;
    }
    bisect(mean / 2.0, high, |draws| different(draws) < mean)
}

/// The slope at which the truth is right on 95 % of the rows, and the median score.
fn calibrate(mut scores: Vec<f64>) -> (f64, f64) {
    scores.sort_unstable_by(f64::total_cmp);
    let middle = scores[scores.len() / 2];
    let right = |slope: f64| {
        let chances = scores.iter().map(|score| 1.0 / (1.0 + (-(slope * (score - middle)).abs()).exp()));
        chances.sum::<f64>() / scores.len() as f64
    };
    (bisect(1e-2, 1e4, |slope| right(slope) < 0.95), middle)
}

/// Where `below` turns false between two positive numbers, in geometric steps.
fn bisect(mut low: f64, mut high: f64, below: impl Fn(f64) -> bool) -> f64 {
    for _ in 0..60 {
        let middle = (low * high).sqrt();
        *(if below(middle) { &mut low } else { &mut high }) = middle;
    }
    low
}

//! Word vectors by skip-gram with negative sampling (Mikolov et al. 2013).

use super::machine::check;
use super::objective::{Model, Objective};
use crate::data::Corpus;
use crate::error::{Error, Result};
use crate::real::Real;
use crate::weights::{Sink, Weights};
use rand::distr::Distribution;
use rand::{RngExt, SeedableRng};
use rand_distr::weighted::WeightedAliasIndex;
use rand_xoshiro::Xoshiro256PlusPlus;
use rayon::prelude::*;
use std::fmt;
use std::ops::Range;

/// Skip-gram, before it has met its text.
///
/// An example is a position of the text. Frequent words are skipped at random, each with the chance that leaves
/// √(t/f) + t/f of a word of frequency f; of the words that remain, those up to b places to either side, b uniform from 1
/// to the window, are the context. The loss of a position is the sum over its context words c of
///
/// > −ln σ(v_c·u_w) − Σ_k ln σ(−v_c·u_k),
///
/// w the word there and k the negatives, drawn by count^¾ and shared by the context (as in pWord2Vec, Ji et al. 2016):
/// their rows are then read and written once for all of it. The v are the word vectors.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SkipGram {
    dimensions: usize,
    window: usize,
    negatives: usize,
    sample: f64,
}

impl SkipGram {
    /// Vectors of so many dimensions, 1 to 65,536; a window of 5, 5 negatives, t = 1e-4.
    pub fn new(dimensions: usize) -> Self {
        Self { dimensions, window: 5, negatives: 5, sample: 1e-4 }
    }

    /// With this window, ≥ 1.
    #[must_use]
    pub fn with_window(self, window: usize) -> Self {
        Self { window, ..self }
    }

    /// With so many negatives, ≥ 1.
    #[must_use]
    pub fn with_negatives(self, negatives: usize) -> Self {
        Self { negatives, ..self }
    }

    /// With this t, the frequency from which words are skipped; 0 skips none.
    #[must_use]
    pub fn with_sample(self, sample: f64) -> Self {
        Self { sample, ..self }
    }
}

/// `100`, and what differs from the usual: `100,window=8`.
impl fmt::Display for SkipGram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let usual = Self::new(self.dimensions);
        write!(f, "{}", self.dimensions)?;
        if self.window != usual.window {
            write!(f, ",window={}", self.window)?;
        }
        if self.negatives != usual.negatives {
            write!(f, ",negatives={}", self.negatives)?;
        }
        if self.sample != usual.sample {
            write!(f, ",sample={}", self.sample)?;
        }
        Ok(())
    }
}

impl<T: Real> Model<T> for SkipGram {
    type Data = Corpus;
    type Objective<'d> = Embedding<'d>;

    fn bind<'d>(&self, corpus: &'d Corpus) -> Result<Embedding<'d>> {
        check(self.dimensions, 0.0)?;
        let mut wrong = Vec::new();
        for (name, n) in [("window", self.window), ("negatives", self.negatives)] {
            if !(1..=1000).contains(&n) {
                wrong.push(format!("{name}: found {n}, expected 1 to 1000"));
            }
        }
        if !(self.sample >= 0.0 && self.sample.is_finite()) {
            wrong.push(format!("sample: found {}, expected a number ≥ 0", self.sample));
        }
        if !wrong.is_empty() {
            return Err(Error::Usage(wrong));
        }
        let total: f64 = corpus.counts().iter().map(|&c| c as f64).sum();
        let kept = |&count: &u64| match self.sample * total / count as f64 {
            0.0 => u32::MAX,
            t => ((t.sqrt() + t).min(1.0) * f64::from(u32::MAX)) as u32,
        };
        let weights = corpus.counts().iter().map(|&c| (c as f32).powf(0.75)).collect();
        let noise = WeightedAliasIndex::new(weights).map_err(|e| Error::usage(format!("negatives: {e}")))?;
        let kept = corpus.counts().iter().map(kept).collect();
        Ok(Embedding { corpus, options: *self, kept, noise })
    }
}

/// Floats on a cache line.
const LINE: usize = 16;

/// Skip-gram bound to its text. A word's parameters are its vector and then its vector as a neighbour, each from a cache
/// line on.
pub struct Embedding<'d> {
    corpus: &'d Corpus,
    options: SkipGram,
    /// The chance that a word is kept, times 2³².
    kept: Vec<u32>,
    noise: WeightedAliasIndex<f32>,
}

/// What is drawn for one position: rows of the context's vectors and of the neighbours', of which the first is the word
/// that is there.
#[derive(Debug, Default)]
struct Draw {
    inputs: Vec<usize>,
    outputs: Vec<usize>,
}

/// The rows that a mini-batch moves and the directions, with a worker's own random numbers.
pub struct Moves<T> {
    rng: Xoshiro256PlusPlus,
    /// Decides with the position which words are skipped; another for each stretch of the text.
    round: u64,
    /// The position after the last.
    next: usize,
    draw: Draw,
    rows: Vec<usize>,
    directions: Vec<T>,
    /// The rows as they were read.
    read: Vec<T>,
    examples: usize,
}

/// A number from 0 to 2³² − 1 that looks random (the finaliser of SplitMix64).
#[inline(always)]
fn hash(round: u64, position: usize) -> u32 {
    let x = round ^ (position as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((x ^ (x >> 31)) >> 32) as u32
}

impl Embedding<'_> {
    /// The length of a row, its padding included.
    pub fn stride(&self) -> usize {
        self.options.dimensions.next_multiple_of(LINE)
    }

    /// The words' vectors, by number, one after the other without padding.
    pub fn vectors<T: Real>(&self, weights: &[T]) -> Vec<T> {
        let rows = weights.chunks_exact(2 * self.stride());
        rows.flat_map(|row| row[..self.options.dimensions].iter().copied()).collect()
    }

    /// The word at a position, unless it is skipped in this round.
    #[inline(always)]
    fn word(&self, round: u64, position: usize) -> Option<usize> {
        let word = (self.corpus.tokens()[position] & !Corpus::FIRST) as usize;
        (hash(round, position) <= self.kept[word]).then_some(word)
    }

    /// Draws for a position; nothing where its word is skipped or stands alone.
    #[inline]
    fn draw(&self, position: usize, round: u64, rng: &mut Xoshiro256PlusPlus, draw: &mut Draw) {
        draw.inputs.clear();
        draw.outputs.clear();
        let Some(word) = self.word(round, position) else { return };
        let (tokens, row) = (self.corpus.tokens(), 2 * self.stride());
        let reach = rng.random_range(1..=self.options.window);
        let mut at = position;
        while draw.inputs.len() < reach && tokens[at] & Corpus::FIRST == 0 {
            at -= 1;
            draw.inputs.extend(self.word(round, at).map(|word| word * row));
        }
        let before = draw.inputs.len();
        let mut at = position + 1;
        while draw.inputs.len() < before + reach && at < tokens.len() && tokens[at] & Corpus::FIRST == 0 {
            draw.inputs.extend(self.word(round, at).map(|word| word * row));
            at += 1;
        }
        if draw.inputs.is_empty() {
            return;
        }
        draw.outputs.push(word * row + self.stride());
        for _ in 0..self.options.negatives {
            let negative = self.noise.sample(rng);
            if negative != word {
                draw.outputs.push(negative * row + self.stride());
            }
        }
    }

    /// The loss of what was drawn.
    fn loss<T: Real>(&self, draw: &Draw, weights: &[T]) -> f64 {
        let dot = |a: usize, b: usize| -> f64 {
            let row = |at: usize| weights[at..at + self.options.dimensions].iter().map(|w| w.to_f64());
            row(a).zip(row(b)).map(|(a, b)| a * b).sum()
        };
        let mut sum = 0.0;
        for &input in &draw.inputs {
            for (k, &output) in draw.outputs.iter().enumerate() {
                let z = dot(input, output);
                let m = if k == 0 { -z } else { z };
                sum += m.max(0.0) + (-m.abs()).exp().ln_1p();
            }
        }
        sum
    }

    /// Adds the gradient of what was drawn to the moves.
    #[inline]
    fn differentiate<T: Real, W: Weights<T> + ?Sized>(&self, w: &W, out: &mut Moves<T>) {
        let stride = self.stride();
        let (inputs, outputs) = (out.draw.inputs.len(), out.draw.outputs.len());
        let rows = inputs + outputs;
        let first = out.rows.len();
        out.rows.extend(out.draw.inputs.iter().chain(&out.draw.outputs));
        out.directions.resize((first + rows) * stride, T::ZERO);
        out.read.resize(rows * stride, T::ZERO);
        for (&row, read) in out.rows[first..].iter().zip(out.read.chunks_exact_mut(stride)) {
            w.copy_out(row, read);
        }
        let directions = &mut out.directions[first * stride..];
        directions.fill(T::ZERO);
        let (of_inputs, of_outputs) = directions.split_at_mut(inputs * stride);
        let (inputs, outputs) = out.read.split_at(inputs * stride);
        for (input, of_input) in inputs.chunks_exact(stride).zip(of_inputs.chunks_exact_mut(stride)) {
            let outputs = outputs.chunks_exact(stride).zip(of_outputs.chunks_exact_mut(stride));
            for (k, (output, of_output)) in outputs.enumerate() {
                let label = if k == 0 { T::ONE } else { T::ZERO };
                // e^(−z) may be infinite; 1/∞ = 0 is then the chance.
                let error = T::ONE / (T::ONE + (-T::dot_dense(input, output)).exp()) - label;
                T::axpy_dense(of_input, output, error);
                T::axpy_dense(of_output, input, error);
            }
        }
    }
}

/// Positions whose loss is computed for the objective, at most.
const SAMPLE: usize = 1 << 15;

impl<T: Real> Objective<T> for Embedding<'_> {
    type Gradient = Moves<T>;

    fn parameters(&self) -> usize {
        self.corpus.words().len() * 2 * self.stride()
    }

    fn identity(&self) -> Vec<(&'static str, String)> {
        let SkipGram { dimensions, window, negatives, sample } = self.options;
        let model = format!("skipgram:{dimensions} window {window} negatives {negatives} sample {sample:?}");
        vec![("data", self.corpus.hash().to_owned()), ("model", model)]
    }

    fn examples(&self) -> usize {
        self.corpus.tokens().len()
    }

    fn buffer(&self) -> Moves<T> {
        Moves {
            rng: Xoshiro256PlusPlus::seed_from_u64(0),
            round: 0,
            next: usize::MAX,
            draw: Draw::default(),
            rows: Vec::new(),
            directions: Vec::new(),
            read: Vec::new(),
            examples: 0,
        }
    }

    #[inline]
    fn gradient<W: Weights<T> + ?Sized>(&self, examples: Range<usize>, w: &W, out: &mut Moves<T>) {
        if examples.start != out.next {
            // Workers begin at different places, and so draw differently.
            out.rng = Xoshiro256PlusPlus::seed_from_u64(out.rng.random::<u64>() ^ examples.start as u64);
            out.round = out.rng.random();
        }
        out.next = examples.end;
        out.examples = examples.len();
        out.rows.clear();
        for position in examples {
            self.draw(position, out.round, &mut out.rng, &mut out.draw);
            if !out.draw.inputs.is_empty() {
                self.differentiate(w, out);
            }
        }
    }

    #[inline]
    fn descend<S: Sink<T> + ?Sized>(&self, gradient: &Moves<T>, step: T, w: &mut S) {
        let step = step / T::from_f64(gradient.examples as f64);
        let directions = gradient.directions.chunks_exact(self.stride());
        for (&row, direction) in gradient.rows.iter().zip(directions) {
            w.axpy_dense(row, direction, -step);
        }
    }

    /// The mean loss of a position, on a sample of them that is always the same, with the same draws.
    fn value(&self, weights: &[T]) -> f64 {
        let n = self.corpus.tokens().len();
        let sample = n.min(SAMPLE);
        let loss = |s: usize| {
            let mut draw = Draw::default();
            let mut rng = Xoshiro256PlusPlus::seed_from_u64(s as u64);
            self.draw(s * n / sample, s as u64, &mut rng, &mut draw);
            self.loss(&draw, weights)
        };
        let losses: Vec<f64> = (0..sample).into_par_iter().map(loss).collect();
        losses.iter().sum::<f64>() / sample as f64
    }

    /// Vectors at random, uniform within ±1/(2·dimensions); those of the neighbours at zero.
    fn initial(&self, seed: u64) -> Vec<T> {
        let (mut rng, dimensions) = (Xoshiro256PlusPlus::seed_from_u64(seed), self.options.dimensions);
        let mut weights = vec![T::ZERO; Objective::<T>::parameters(self)];
        for row in weights.chunks_exact_mut(2 * self.stride()) {
            row[..dimensions].fill_with(|| T::from_f64((rng.random::<f64>() - 0.5) / dimensions as f64));
        }
        weights
    }

    /// None is worth a copy of its own to a worker: a position touches ten rows of many thousand.
    fn counts(&self) -> Option<&[u32]> {
        Some(&[])
    }

    fn rate(&self) -> Option<(f64, String)> {
        Some((RATE, "usual for word vectors".into()))
    }
}

/// As word2vec has it.
const RATE: f64 = 0.025;

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    const TEXT: &str = "a b c d a b c\nb a d c b a\nd d a b c c a b\n";

    #[test]
    fn moves_are_the_gradient_of_the_loss_of_what_was_drawn() {
        let corpus = Corpus::bytes("text", TEXT, 1).unwrap();
        let model = SkipGram::new(3).with_sample(0.0).with_window(2).with_negatives(2);
        let objective = Model::<f64>::bind(&model, &corpus).unwrap();
        let stride = objective.stride();
        let mut w: Vec<f64> = objective.initial(0);
        let padding = |i: usize| i % stride >= 3;
        let value = |i: usize| ((i * 7919 % 1009) as f64 / 1009.0 - 0.5) * 2.0;
        w.iter_mut().enumerate().for_each(|(i, w)| *w = if padding(i) { 0.0 } else { value(i) });
        let mut moves = Objective::<f64>::buffer(&objective);
        for position in 0..corpus.tokens().len() {
            objective.gradient(position..position + 1, &w[..], &mut moves);
            assert!(moves.draw.inputs.len() <= 4 && !moves.draw.inputs.is_empty());
            let mut moved = w.clone();
            objective.descend(&moves, 1e-7, &mut moved[..]);
            for i in 0..w.len() {
                let at = |d: f64| {
                    let mut w = w.clone();
                    w[i] += d;
                    objective.loss(&moves.draw, &w)
                };
                let numeric = if padding(i) { 0.0 } else { (at(1e-6) - at(-1e-6)) / 2e-6 };
                assert!((numeric - (w[i] - moved[i]) / 1e-7).abs() < 1e-5, "{position} {i}");
            }
        }
    }

    #[test]
    fn windows_end_with_the_sentence_and_frequent_words_are_skipped() {
        let corpus = Corpus::bytes("text", TEXT, 1).unwrap();
        let objective =
            Model::<f32>::bind(&SkipGram::new(3).with_sample(0.0).with_window(9), &corpus).unwrap();
        let (mut rng, mut draw) = (Xoshiro256PlusPlus::seed_from_u64(1), Draw::default());
        for _ in 0..50 {
            objective.draw(0, 0, &mut rng, &mut draw);
            assert!((1..=6).contains(&draw.inputs.len()));
            objective.draw(12, 0, &mut rng, &mut draw);
            assert!((1..=5).contains(&draw.inputs.len()));
        }
        // Frequency 7/21 and t/f = 0.03: 0.1732 + 0.03 remain.
        let sampled = Model::<f32>::bind(&SkipGram::new(3).with_sample(0.01), &corpus).unwrap();
        let kept = (0..100_000).filter(|&round| sampled.word(round, 0).is_some()).count();
        let share = f64::from(corpus.counts()[0] as u32) / 21.0;
        let expected = 1e5 * ((0.01 / share).sqrt() + 0.01 / share);
        assert!((kept as f64 - expected).abs() < 4.0 * expected.sqrt(), "{kept} for {expected}");
    }
}

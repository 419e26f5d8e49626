//! Networks of full layers on sparse rows: softmax regression, which has no hidden layer, and multilayer
//! perceptrons.
//!
//! f(w) = mean loss + l2/2·‖matrices‖²; biases are not penalised. The loss is −ln p(class) of the softmax of the
//! outputs, or half their squared distance from the label. Gradients by back-propagation.
//!
//! The parameters lie so that what every example touches comes first (the biases, and all layers but the first), and
//! then the first matrix, one row of its width for each feature, the most frequent feature first: a block's copy of
//! the frequent parameters is a prefix. A zero among the inputs costs nothing.

mod layers;
mod pass;
mod tiles;

pub use layers::{Layer, NetworkOutput, Shape};

pub use pass::Pass;

use super::choice::Activation;
use super::linear::fingerprint;
use super::objective::{Curvature, Model, Objective, check_room};
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::kernel::Rows;
use crate::real::Real;
use crate::weights::{Sink, Weights};
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use rayon::prelude::*;
use std::ops::Range;

/// A network, before it has met its data: the sizes of its layers, what follows the hidden ones, what the outputs
/// mean, and the L2 penalty.
///
/// ```
/// use asyncsgd::{Dataset, Trainer, model::Network};
///
/// // Exclusive or: 1 where exactly one feature is there.
/// let data = Dataset::from_csr(
///     vec![0, 0, 1, 2, 4], vec![0, 1, 0, 1], vec![1.0; 4], vec![0.0, 1.0, 1.0, 0.0], 2)?.multiclass()?;
/// let network = Network::mlp(&[2, 16, 2]);
/// let run = Trainer::new(network.clone()).workers(1).rate(0.5).batch(4).epochs(500).run(&data)?;
/// let outputs = network.outputs(&data, &run.weights)?;
/// assert!((0..4).all(|row| (outputs[row][1] > outputs[row][0]) == (data.label(row) == 1.0)));
/// # Ok::<(), asyncsgd::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Network {
    /// Sizes from the inputs to the outputs; empty for softmax regression, which takes them from the data.
    layers: Vec<usize>,
    activation: Activation,
    output: NetworkOutput,
    l2: Option<f64>,
}

impl Network {
    /// Softmax regression: a score w_c·x for each class c, with l2 = 1/rows. A bias is the data's intercept.
    pub fn softmax() -> Self {
        Self { layers: Vec::new(), activation: Activation::Relu, output: NetworkOutput::Softmax, l2: None }
    }

    /// A multilayer perceptron with rectifiers, softmax outputs and no penalty. `layers` are the sizes from the
    /// inputs to the outputs; each layer has biases.
    pub fn mlp(layers: &[usize]) -> Self {
        let l2 = Some(0.0);
        Self { layers: layers.to_vec(), activation: Activation::Relu, output: NetworkOutput::Softmax, l2 }
    }

    /// With another activation of the hidden layers.
    #[must_use]
    pub fn with_activation(mut self, activation: Activation) -> Self {
        self.activation = activation;
        self
    }

    /// With outputs of another meaning.
    #[must_use]
    pub fn with_output(mut self, output: NetworkOutput) -> Self {
        self.output = output;
        self
    }

    /// With this L2 penalty, ≥ 0.
    #[must_use]
    pub fn with_l2(mut self, l2: f64) -> Self {
        self.l2 = Some(l2);
        self
    }

    /// The strength of the L2 penalty on so many rows.
    pub fn l2(&self, rows: usize) -> f64 {
        self.l2.unwrap_or(1.0 / rows.max(1) as f64)
    }

    /// Sizes and places of the layers for data with so many features and classes.
    ///
    /// # Errors
    /// [`Error::Usage`] where the sizes are not those of the data.
    pub fn shape(&self, features: usize, classes: Option<usize>) -> Result<Shape> {
        let outputs = match self.output {
            NetworkOutput::Softmax => {
                let missing = || Error::usage("softmax outputs need classes (Dataset::multiclass)");
                classes.ok_or_else(missing)?
            }
            NetworkOutput::Squared => 1,
        };
        if self.layers.is_empty() {
            return Ok(Shape::new(&[features, outputs], self.activation, self.output, false));
        }
        let (first, last) = (self.layers[0], self.layers[self.layers.len() - 1]);
        let mut wrong = Vec::new();
        if features != first {
            wrong.push(format!("model: found {first} inputs, expected {features}, the features of the data"));
        }
        if outputs != last {
            let what = if classes.is_some() { "the classes of the data" } else { "a number" };
            wrong.push(format!("model: found {last} outputs, expected {outputs}, {what}"));
        }
        if !wrong.is_empty() {
            return Err(Error::Usage(wrong));
        }
        Ok(Shape::new(&self.layers, self.activation, self.output, true))
    }

    /// The outputs for each row of the data, by position, before the softmax. In parallel.
    ///
    /// # Errors
    /// As [`Network::shape`]; where there are not as many weights as the network has.
    pub fn outputs<T: Real>(&self, data: &Dataset, weights: &[T]) -> Result<Vec<Vec<f64>>> {
        let shape = self.shape(data.features(), data.classes().map(<[f32]>::len))?;
        if shape.parameters() != weights.len() {
            let (found, expected) = (weights.len(), shape.parameters());
            return Err(Error::usage(format!("weights: found {found}, expected {expected}")));
        }
        Ok(shape.outputs(data.rows(), weights))
    }
}

impl<T: Real> Model<T> for Network {
    type Data = Dataset;
    type Objective<'d> = NetworkObjective<'d>;

    fn bind<'d>(&self, data: &'d Dataset) -> Result<NetworkObjective<'d>> {
        let l2 = self.l2(data.len());
        if !(l2 >= 0.0 && l2.is_finite()) {
            return Err(Error::usage(format!("l2: found {l2}, expected a number ≥ 0")));
        }
        let shape = self.shape(data.features(), data.classes().map(<[f32]>::len))?;
        check_room::<T>(shape.parameters() as u128)?;
        Ok(NetworkObjective::new(data.rows(), data.labels(), shape, l2, data.intercept()))
    }
}

/// A network bound to its rows and labels.
pub struct NetworkObjective<'d> {
    rows: &'d Rows,
    /// Class numbers, or numbers.
    labels: &'d [f32],
    shape: Shape,
    l2: f64,
    /// How many examples touch each parameter.
    counts: Vec<u32>,
    /// n/count for each feature: see [`Linear`](super::Linear). 0 for an intercept.
    rarity: Vec<f32>,
}

impl<'d> NetworkObjective<'d> {
    fn new(rows: &'d Rows, labels: &'d [f32], shape: Shape, l2: f64, bias: Option<usize>) -> Self {
        let by_feature = rows.counts();
        let mut counts = vec![rows.len() as u32; shape.head()];
        counts.extend(by_feature.iter().flat_map(|&count| std::iter::repeat_n(count, shape.width())));
        let rarity = by_feature.iter().enumerate().map(|(feature, &count)| match count {
            0 => 0.0,
            _ if Some(feature) == bias => 0.0,
            count => (rows.len() as f64 / f64::from(count)) as f32,
        });
        Self { rows, labels, rarity: rarity.collect(), shape, l2, counts }
    }

    /// l2/2·‖matrices‖², biases and an intercept left out.
    fn regulariser<T: Real>(&self, weights: &[T]) -> f64 {
        let squares = |weights: &[T]| weights.iter().map(|w| w.to_f64().powi(2)).sum::<f64>();
        let upper: f64 = self.shape.upper().map(|layer| squares(&weights[layer.matrix()])).sum();
        let first = weights[self.shape.head()..].chunks_exact(self.shape.width()).zip(&self.rarity);
        let first: f64 = first.filter(|(_, rarity)| **rarity > 0.0).map(|(row, _)| squares(row)).sum();
        self.l2 / 2.0 * (upper + first)
    }
}

impl<T: Real> Objective<T> for NetworkObjective<'_> {
    type Gradient = Pass<T>;

    fn parameters(&self) -> usize {
        self.shape.parameters()
    }

    fn identity(&self) -> Vec<(&'static str, String)> {
        let data = fingerprint(self.rows, self.labels);
        vec![("data", data), ("model", self.shape.to_string()), ("l2", self.l2.to_string())]
    }

    fn examples(&self) -> usize {
        self.rows.len()
    }

    fn buffer(&self) -> Pass<T> {
        Pass::new(&self.shape)
    }

    #[inline]
    fn gradient<W: Weights<T> + ?Sized>(&self, examples: Range<usize>, weights: &W, pass: &mut Pass<T>) {
        pass.run(&self.shape, self.rows, self.labels, examples, weights);
    }

    #[inline]
    fn descend<S: Sink<T> + ?Sized>(&self, pass: &Pass<T>, step: T, weights: &mut S) {
        pass.descend(&self.shape, self.rows, (self.l2, &self.rarity), step, weights);
    }

    fn value(&self, weights: &[T]) -> f64 {
        let loss = |outputs: &[T], r: usize| self.shape.loss(outputs, self.labels[r]);
        // Fixed chunks, summed in order: the same value on any number of threads.
        let chunks: Vec<f64> = (0..self.rows.len().div_ceil(CHUNK))
            .into_par_iter()
            .map(|chunk| {
                let rows = chunk * CHUNK..((chunk + 1) * CHUNK).min(self.rows.len());
                let mut sum = 0.0;
                self.shape.each_output(self.rows, rows, weights, |r, outputs| sum += loss(outputs, r));
                sum
            })
            .collect();
        chunks.iter().sum::<f64>() / self.rows.len() as f64 + self.regulariser(weights)
    }

    /// Uniform within ±√(6/inputs) before rectifiers (He et al. 2015), ±√(6/(inputs + outputs)) elsewhere (Glorot and
    /// Bengio 2010). Softmax regression is convex and starts from 0, as do biases.
    fn initial(&self, seed: u64) -> Vec<T> {
        let mut weights = vec![T::ZERO; self.shape.parameters()];
        if self.shape.layers().len() == 1 {
            return weights;
        }
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        for layer in self.shape.layers() {
            let bound = self.shape.initial_bound(layer);
            weights[layer.matrix()].fill_with(|| T::from_f64(rng.random_range(-bound..bound)));
        }
        weights
    }

    fn nonzeros(&self) -> u64 {
        self.rows.nonzeros() as u64
    }

    /// Softmax regression's: its Hessian in the outputs is at most ½ (Böhning 1992).
    fn curvature(&self) -> Option<Curvature> {
        if self.shape.layers().len() > 1 {
            return None;
        }
        let bound = self.shape.curvature();
        let squares =
            |row: crate::kernel::Row<'_>| row.values().iter().map(|&v| f64::from(v).powi(2)).sum::<f64>();
        let (mut max, mut sum) = (0f64, 0f64);
        for row in self.rows.iter() {
            let of = bound * squares(row);
            max = max.max(of);
            sum += of;
        }
        Some(Curvature {
            example_max: max + self.l2,
            example_mean: sum / self.rows.len() as f64 + self.l2,
            strong_convexity: self.l2,
        })
    }

    fn counts(&self) -> Option<&[u32]> {
        Some(&self.counts)
    }

    fn copies(&self) -> bool {
        true
    }
}

/// Rows whose losses are summed one after the other.
const CHUNK: usize = 512;

//! The layers of a network: where their parameters lie, and the way forward through them.

use super::super::choice::Activation;
use crate::kernel::{Rows, matrix};
use crate::real::Real;
use rayon::prelude::*;
use std::fmt;
use std::ops::Range;

/// What the outputs of a network mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NetworkOutput {
    /// Scores of classes; the loss is −ln of the class's probability under their softmax.
    Softmax,
    /// One number; the loss is half its squared distance from the label.
    Squared,
}

/// One layer: outputs = activation(inputs·matrix + bias).
#[derive(Debug, Clone)]
pub struct Layer {
    inputs: usize,
    outputs: usize,
    /// The first parameter of the matrix, one row of `outputs` for each input.
    matrix: usize,
    /// The first parameter of the bias.
    bias: Option<usize>,
    /// Where its outputs begin among the values of an example.
    values: usize,
}

impl Layer {
    /// The number of inputs.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// The number of outputs.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// The parameters of the matrix, one row of the outputs for each input.
    pub fn matrix(&self) -> Range<usize> {
        self.matrix..self.matrix + self.inputs * self.outputs
    }

    /// The parameters of the bias.
    pub fn bias(&self) -> Option<Range<usize>> {
        self.bias.map(|bias| bias..bias + self.outputs)
    }

    /// Its outputs among the values of an example.
    pub(super) fn values(&self) -> Range<usize> {
        self.values..self.values + self.outputs
    }
}

/// Sizes and places of the layers.
#[derive(Debug, Clone)]
pub struct Shape {
    layers: Vec<Layer>,
    activation: Activation,
    output: NetworkOutput,
    /// Parameters before the first matrix.
    head: usize,
}

impl fmt::Display for Shape {
    /// As a command's `--model` says it, what the outputs mean, and whether the layers have biases.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "mlp:{}", self.layers[0].inputs)?;
        self.layers.iter().try_for_each(|layer| write!(f, "-{}", layer.outputs))?;
        let output = match self.output {
            NetworkOutput::Softmax => "softmax",
            NetworkOutput::Squared => "squared",
        };
        let bias = if self.layers[0].bias.is_some() { "" } else { " without biases" };
        write!(f, ",{} {output}{bias}", self.activation)
    }
}

impl Shape {
    /// Layers of these sizes, from the inputs to the outputs.
    pub(super) fn new(sizes: &[usize], activation: Activation, output: NetworkOutput, bias: bool) -> Self {
        let (mut at, mut values) = (0, 0);
        let mut layers = Vec::new();
        for (number, pair) in sizes.windows(2).enumerate() {
            let mut layer = Layer { inputs: pair[0], outputs: pair[1], matrix: at, bias: None, values };
            // The first matrix comes last.
            at += if number == 0 { 0 } else { layer.inputs * layer.outputs };
            if bias {
                layer.bias = Some(at);
                at += layer.outputs;
            }
            values += layer.outputs;
            layers.push(layer);
        }
        layers[0].matrix = at;
        Self { layers, activation, output, head: at }
    }

    /// The layers, from the inputs on.
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// The layers after the first.
    pub(super) fn upper(&self) -> impl DoubleEndedIterator<Item = &Layer> {
        self.layers[1..].iter()
    }

    /// The number of parameters.
    pub fn parameters(&self) -> usize {
        self.layers[0].matrix().end
    }

    /// The number of parameters before the first matrix: those that every example touches.
    pub fn head(&self) -> usize {
        self.head
    }

    /// The outputs of the first layer.
    pub(super) fn width(&self) -> usize {
        self.layers[0].outputs
    }

    /// The values that one example has: the outputs of all layers.
    pub(super) fn values(&self) -> usize {
        self.last().values().end
    }

    pub(super) fn last(&self) -> &Layer {
        &self.layers[self.layers.len() - 1]
    }

    pub(super) fn initial_bound(&self, layer: &Layer) -> f64 {
        let hidden = layer.values != self.last().values;
        match self.activation {
            Activation::Relu if hidden => (6.0 / layer.inputs as f64).sqrt(),
            _ => (6.0 / (layer.inputs + layer.outputs) as f64).sqrt(),
        }
    }

    /// A bound on the loss's second derivative in any direction of the outputs.
    pub(super) fn curvature(&self) -> f64 {
        match self.output {
            NetworkOutput::Softmax => 0.5,
            NetworkOutput::Squared => 1.0,
        }
    }

    /// The loss of one example.
    pub(super) fn loss<T: Real>(&self, outputs: &[T], label: f32) -> f64 {
        match self.output {
            NetworkOutput::Softmax => {
                let max = outputs.iter().fold(f64::NEG_INFINITY, |max, z| max.max(z.to_f64()));
                let sum: f64 = outputs.iter().map(|z| (z.to_f64() - max).exp()).sum();
                max + sum.ln() - outputs[label as usize].to_f64()
            }
            NetworkOutput::Squared => (outputs[0].to_f64() - f64::from(label)).powi(2) / 2.0,
        }
    }

    /// Turns outputs into the loss's derivative by them.
    #[inline]
    pub(super) fn residual<T: Real>(&self, outputs: &mut [T], label: f32) {
        match self.output {
            NetworkOutput::Softmax => {
                let max = outputs.iter().fold(outputs[0], |max, &z| max.max(z));
                let mut sum = T::ZERO;
                for z in outputs.iter_mut() {
                    *z = (*z - max).exp();
                    sum += *z;
                }
                let scale = T::ONE / sum;
                outputs.iter_mut().for_each(|z| *z = *z * scale);
                outputs[label as usize] -= T::ONE;
            }
            NetworkOutput::Squared => outputs[0] -= T::from_f32(label),
        }
    }

    /// Applies the activation to what a hidden layer summed up.
    #[inline]
    pub(super) fn activate<T: Real>(&self, values: &mut [T]) {
        match self.activation {
            Activation::Relu => values.iter_mut().for_each(|z| *z = z.max(T::ZERO)),
            Activation::Tanh => values.iter_mut().for_each(|z| *z = z.tanh()),
        }
    }

    /// Multiplies derivatives by a hidden layer's outputs with the activation's slope there.
    #[inline]
    pub(super) fn slope<T: Real>(&self, values: &[T], delta: &mut [T]) {
        match self.activation {
            Activation::Relu => {
                for (delta, &h) in delta.iter_mut().zip(values) {
                    *delta = if h > T::ZERO { *delta } else { T::ZERO };
                }
            }
            Activation::Tanh => {
                delta.iter_mut().zip(values).for_each(|(delta, &h)| *delta = *delta * (T::ONE - h * h));
            }
        }
    }

    /// Goes on from the first layer's sums, which `values` begins with, to the outputs, which it ends with. `head` are
    /// the parameters before the first matrix.
    #[inline]
    pub(super) fn forward<T: Real>(&self, head: &[T], values: &mut [T]) {
        for pair in self.layers.windows(2) {
            let (before, layer) = (&pair[0], &pair[1]);
            let (below, above) = values.split_at_mut(layer.values);
            let below = &mut below[before.values()];
            self.activate(below);
            let above = &mut above[..layer.outputs];
            start(layer, head, above);
            matrix::combine(&head[layer.matrix()], layer.outputs, below, above);
        }
    }

    /// Calls `done` with the number of each of the rows and its outputs.
    pub(super) fn each_output<T: Real>(
        &self,
        rows: &Rows,
        range: Range<usize>,
        weights: &[T],
        mut done: impl FnMut(usize, &[T]),
    ) {
        let (head, first) = weights.split_at(self.head);
        let mut values = vec![T::ZERO; self.values()];
        for r in range {
            let sums = &mut values[..self.width()];
            start(&self.layers[0], head, sums);
            matrix::gather(first, self.width(), rows.row(r), sums);
            self.forward(head, &mut values);
            done(r, &values[self.last().values()]);
        }
    }

    /// The outputs for each row, before the softmax. In parallel.
    ///
    /// # Panics
    /// If a row has a feature, or the network a parameter, that the other has not.
    pub fn outputs<T: Real>(&self, rows: &Rows, weights: &[T]) -> Vec<Vec<f64>> {
        let chunk = super::CHUNK;
        let chunks: Vec<Vec<Vec<f64>>> = (0..rows.len().div_ceil(chunk))
            .into_par_iter()
            .map(|c| {
                let mut all = Vec::with_capacity(chunk);
                let range = c * chunk..((c + 1) * chunk).min(rows.len());
                self.each_output(rows, range, weights, |_, outputs| {
                    all.push(outputs.iter().map(|z| z.to_f64()).collect());
                });
                all
            })
            .collect();
        chunks.into_iter().flatten().collect()
    }
}

/// Fills a layer's sums with its bias.
#[inline]
pub(super) fn start<T: Real>(layer: &Layer, head: &[T], sums: &mut [T]) {
    match layer.bias() {
        Some(bias) => sums.copy_from_slice(&head[bias]),
        None => sums.fill(T::ZERO),
    }
}

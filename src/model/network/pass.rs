//! The way forward and back of a mini-batch, and the step along its gradient.

use super::layers::{Shape, start};
use super::tiles::Tiles;
use crate::kernel::{Row, Rows, matrix};
use crate::real::Real;
use crate::weights::{Sink, Weights};
use std::ops::Range;

/// What a mini-batch leaves on its way through a network: the outputs of all layers, and the loss's derivatives by
/// what the layers summed up. The gradient is the outer products of the two, which are not multiplied out.
pub struct Pass<T> {
    examples: Range<usize>,
    /// For each example the outputs of all layers, one after the other; those of the last are not used.
    values: Vec<T>,
    /// The derivatives, in the same order.
    deltas: Vec<T>,
    /// A copy of the parameters before the first matrix, where others write them.
    head: Vec<T>,
    /// A row of the first matrix.
    row: Vec<T>,
    tiles: Tiles,
}

impl<T: Real> Pass<T> {
    pub(super) fn new(shape: &Shape) -> Self {
        let (values, deltas) = (Vec::new(), Vec::new());
        Self {
            examples: 0..0,
            values,
            deltas,
            head: vec![T::ZERO; shape.head()],
            row: vec![T::ZERO; shape.width()],
            tiles: Tiles::new(shape.width() * size_of::<T>()),
        }
    }

    /// Forward and back for a range of examples.
    #[inline]
    pub(super) fn run<W: Weights<T> + ?Sized>(
        &mut self,
        shape: &Shape,
        rows: &Rows,
        labels: &[f32],
        examples: Range<usize>,
        weights: &W,
    ) {
        let (size, width, private) = (shape.values(), shape.width(), weights.private());
        // Grows to the largest batch once.
        if self.values.len() < size * examples.len() {
            self.values.resize(size * examples.len(), T::ZERO);
            self.deltas.resize(size * examples.len(), T::ZERO);
        }
        let head = match private.get(..shape.head()) {
            Some(head) => head,
            None => {
                weights.copy_out(0, &mut self.head);
                &self.head
            }
        };
        let first = private.get(shape.head()..).unwrap_or(&[]);
        for values in self.values.chunks_exact_mut(size).take(examples.len()) {
            start(&shape.layers()[0], head, &mut values[..width]);
        }
        let near = first.len() / width;
        self.tiles.each(rows, examples.clone(), near, |example, row| {
            matrix::gather(first, width, row, &mut self.values[example * size..][..width]);
        });
        let each = self.values.chunks_exact_mut(size).zip(self.deltas.chunks_exact_mut(size));
        for (r, (values, deltas)) in examples.clone().zip(each) {
            let sums = &mut values[..width];
            for (id, v) in rows.row(r).split(near).1.iter() {
                weights.copy_out(shape.head() + id * width, &mut self.row);
                sums.iter_mut().zip(&self.row).for_each(|(z, &w)| *z += T::from_f32(v) * w);
            }
            shape.forward(head, values);
            back(shape, head, values, deltas, labels[r]);
        }
        self.examples = examples;
    }

    /// w −= step·gradient, the penalty's included. Rows of the first matrix are penalised when they are touched, by as
    /// much as makes up for the examples that do not touch them.
    #[inline]
    pub(super) fn descend<S: Sink<T> + ?Sized>(
        &self,
        shape: &Shape,
        rows: &Rows,
        (l2, rarity): (f64, &[f32]),
        step: T,
        weights: &mut S,
    ) {
        let (size, width, head) = (shape.values(), shape.width(), shape.head());
        // A mini-batch averages: each example moves by its share of the step.
        let step = step / T::from_f64(self.examples.len() as f64);
        let shrink = step * T::from_f64(l2);
        let near = weights.private_mut().len().saturating_sub(head) / width;
        let each = self.values.chunks_exact(size).zip(self.deltas.chunks_exact(size));
        if let Some(first) = weights.private_mut().get_mut(head..) {
            self.tiles.each(rows, self.examples.clone(), near, |example, row| {
                if shrink != T::ZERO {
                    shrink_rows(first, width, row, rarity, shrink);
                }
                matrix::scatter(first, width, row, &self.deltas[example * size..][..width], -step);
            });
        }
        for (r, (values, deltas)) in self.examples.clone().zip(each) {
            upper(shape, values, deltas, (step, shrink), weights);
            let delta = &deltas[..width];
            for (id, v) in rows.row(r).split(near).1.iter() {
                let (at, shrink) = (head + id * width, shrink * T::from_f32(rarity[id]));
                let a = step * T::from_f32(v);
                if shrink == T::ZERO {
                    weights.axpy_dense(at, delta, -a);
                } else {
                    for (c, &delta) in delta.iter().enumerate() {
                        weights.update(at + c, |w| -(a * delta + shrink * w));
                    }
                }
            }
        }
    }
}

/// The derivatives by what each layer summed up, from those by the outputs.
#[inline]
fn back<T: Real>(shape: &Shape, head: &[T], values: &[T], deltas: &mut [T], label: f32) {
    let last = shape.last().values();
    deltas[last.clone()].copy_from_slice(&values[last.clone()]);
    shape.residual(&mut deltas[last], label);
    for pair in shape.layers().windows(2).rev() {
        let (before, layer) = (pair[0].values(), &pair[1]);
        let (below, above) = deltas.split_at_mut(layer.values().start);
        let below = &mut below[before.clone()];
        matrix::back(&head[layer.matrix()], layer.outputs(), &above[..layer.outputs()], below);
        shape.slope(&values[before], below);
    }
}

/// One example's step of all parameters before the first matrix.
#[inline]
fn upper<T: Real, S: Sink<T> + ?Sized>(
    shape: &Shape,
    values: &[T],
    deltas: &[T],
    (step, shrink): (T, T),
    weights: &mut S,
) {
    for layer in shape.layers() {
        if let Some(bias) = layer.bias() {
            weights.axpy_dense(bias.start, &deltas[layer.values()], -step);
        }
    }
    for pair in shape.layers().windows(2) {
        let (h, delta, layer) = (&values[pair[0].values()], &deltas[pair[1].values()], &pair[1]);
        match weights.private_mut().get_mut(layer.matrix()) {
            Some(w) => {
                if shrink != T::ZERO {
                    w.iter_mut().for_each(|w| *w -= shrink * *w);
                }
                matrix::outer(w, layer.outputs(), h, delta, -step);
            }
            None => {
                for (i, &h) in h.iter().enumerate() {
                    let at = layer.matrix().start + i * layer.outputs();
                    for (c, &delta) in delta.iter().enumerate() {
                        weights.update(at + c, |w| -(step * h * delta + shrink * w));
                    }
                }
            }
        }
    }
}

/// The penalty's step of the rows of the first matrix that an example touches.
#[inline]
fn shrink_rows<T: Real>(first: &mut [T], width: usize, row: Row<'_>, rarity: &[f32], shrink: T) {
    for &id in row.ids() {
        let (id, shrink) = (id as usize, shrink * T::from_f32(rarity[id as usize]));
        first[id * width..][..width].iter_mut().for_each(|w| *w -= shrink * *w);
    }
}

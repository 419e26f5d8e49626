//! What the engine trains: a function of the parameters that is a mean over examples.

use super::certificate::Gap;
use super::linear::Linear;
use super::loss::Loss;
use crate::error::Result;
use crate::memory;
use crate::real::Real;
use crate::weights::{Sink, Weights};
use std::ops::Range;

/// An objective f(w) = mean of losses over examples + regulariser, bound to its data.
///
/// A step is taken in two phases, because the step size depends on the delay, and the delay is known only
/// when the gradient is: [`gradient`](Objective::gradient) reads the parameters, then
/// [`descend`](Objective::descend) changes them. What passes between the two is a buffer that each worker
/// owns and reuses; it need not be the gradient's vector (for a linear model it is the rows and their
/// residuals).
///
/// Workers call both from many threads at once, on parameters that others are changing; the objective itself
/// is not changed. An objective knows neither threads nor clocks.
///
/// # Example
/// Mean squared distance to some points: the minimiser is their mean.
/// ```
/// use asyncsgd::{Objective, Sink, Trainer, Weights, step};
/// use std::ops::Range;
///
/// struct Centre(Vec<[f32; 2]>);
///
/// impl Objective for Centre {
///     type Gradient = [f32; 2];
///
///     fn parameters(&self) -> usize {
///         2
///     }
///     fn examples(&self) -> usize {
///         self.0.len()
///     }
///     fn buffer(&self) -> [f32; 2] {
///         [0.0; 2]
///     }
///     fn gradient<W: Weights<f32> + ?Sized>(&self, examples: Range<usize>, w: &W, g: &mut [f32; 2]) {
///         let n = examples.len() as f32;
///         *g = [0.0; 2];
///         for point in &self.0[examples] {
///             g[0] += (w.get(0) - point[0]) / n;
///             g[1] += (w.get(1) - point[1]) / n;
///         }
///     }
///     fn descend<S: Sink<f32> + ?Sized>(&self, g: &[f32; 2], step: f32, w: &mut S) {
///         w.axpy_dense(0, g, -step);
///     }
///     fn value(&self, w: &[f32]) -> f64 {
///         let distance = |p: &[f32; 2]| ((w[0] - p[0]).powi(2) + (w[1] - p[1]).powi(2)) as f64 / 2.0;
///         self.0.iter().map(distance).sum::<f64>() / self.0.len() as f64
///     }
/// }
///
/// let points = Centre(vec![[1.0, 2.0], [3.0, 6.0]]);
/// let run = Trainer::new(points).workers(2).step(step::delay_adaptive(0.1)).epochs(500).minimize()?;
/// assert!((run.weights[0] - 2.0).abs() < 0.2 && (run.weights[1] - 4.0).abs() < 0.4);
/// # Ok::<(), asyncsgd::Error>(())
/// ```
pub trait Objective<T: Real = f32>: Sync {
    /// What [`gradient`](Objective::gradient) leaves for [`descend`](Objective::descend).
    type Gradient: Send;

    /// The number of parameters d.
    fn parameters(&self) -> usize;

    /// The number of examples n.
    fn examples(&self) -> usize;

    /// A buffer for one worker. The only place where a worker allocates for an objective.
    fn buffer(&self) -> Self::Gradient;

    /// Computes the mean gradient of a range of examples, which is not empty, into `gradient`. Without
    /// allocation, locks or system calls: this is the hot loop.
    fn gradient<W: Weights<T> + ?Sized>(
        &self,
        examples: Range<usize>,
        weights: &W,
        gradient: &mut Self::Gradient,
    );

    /// Moves the parameters against the gradient: w −= step·gradient.
    fn descend<S: Sink<T> + ?Sized>(&self, gradient: &Self::Gradient, step: T, weights: &mut S);

    /// f(w), the regulariser included, with sums in `f64`. Not part of training time; may use rayon.
    fn value(&self, weights: &[T]) -> f64;

    /// The parameters that training starts from, a function of the seed; zero unless overridden.
    fn initial(&self, seed: u64) -> Vec<T> {
        let _ = seed;
        vec![T::ZERO; self.parameters()]
    }

    /// Moves parameters to the nearest that the model allows. Steps keep to those, but of steps that several workers take
    /// at once the sum may not. Called on copies of the parameters before they are evaluated or given away.
    /// O(parameters) at most; nothing unless overridden.
    fn project(&self, weights: &mut [T]) {
        let _ = weights;
    }

    /// Data values that a gradient over all examples touches (for throughput in nonzeros per second);
    /// the number of examples unless overridden.
    fn nonzeros(&self) -> u64 {
        self.examples() as u64
    }

    /// How the objective bends, for choosing the rate; `None` where it is not known.
    fn curvature(&self) -> Option<Curvature> {
        None
    }

    /// For each coordinate a bound on the curvature of the mean loss that includes the coupling to the others, for the
    /// weights of blocks: the Gershgorin row sum κ·mean_s |x_si|·‖x_s‖₁, κ the bound on loss″. diag(g) − H is diagonally
    /// dominant, hence positive semidefinite. Empty where it is not known; zeros where blocks are to publish their
    /// differences whole. Asked for once a run, where a worker takes more than an example at a time.
    fn bounds(&self) -> Vec<f32> {
        Vec::new()
    }

    /// Whether blocks must publish their differences whole, because something beside the parameters has changed with
    /// them. A worker then takes each step of its block for as long as those of all blocks that are under way with it
    /// and go the same way, 1 + τ of them, τ the usual delay: its copy moves by 1 + τ times the step, the step heeds
    /// that ([`Weights::times`]), and a direction that a block moves to its end is moved by 1/(1 + τ) of the way by each
    /// of them (the safe adding of CoCoA⁺, Ma et al., ICML 2015, made delay-adaptive, and for blocks instead of parts of
    /// the data). Steps must be [ridge steps](Sink::ridge_step) without shrinking.
    fn adds(&self) -> bool {
        false
    }

    /// How many examples touch each parameter, when the parameters are ordered so that the counts fall:
    /// the hot ones are then a prefix. `None` for dense objectives, where all are touched by each example; empty where
    /// none is worth a copy.
    fn counts(&self) -> Option<&[u32]> {
        None
    }

    /// Whether a worker should work on a copy of its own even when it is alone: where an example touches many
    /// parameters, and loops over plain floats are several times as fast as those over shared ones.
    fn copies(&self) -> bool {
        false
    }

    /// The most examples that may always be visited one after the other, whatever the order of these pieces; `None`
    /// where all that a worker takes at a time may.
    fn sequence(&self) -> Option<usize> {
        None
    }

    /// How the examples are laid out, where they lie by blocks that mostly touch different parameters; `None` where any
    /// order is as good.
    fn grid(&self) -> Option<Grid<'_>> {
        None
    }

    /// The parameters that the examples of these parts of the grid touch, as ranges that do not overlap. Asked for where
    /// the grid says that they are worth a copy.
    fn spans(&self, parts: &Parts) -> [Range<usize>; 4] {
        let _ = parts;
        [const { 0..0 }; 4]
    }

    /// Takes a step of this size along each example of these parts of the grid, one after the other, on a copy of their
    /// [spans](Objective::spans), one behind the other; `base` is that copy as it was made. As a hot loop as
    /// [`gradient`](Objective::gradient).
    fn walk(&self, parts: &Parts, step: T, base: &[T], copy: &mut [T]) {
        let _ = (parts, step, base, copy);
    }

    /// A base rate that suits the objective, and a few words on where it comes from; `None` to take it from the
    /// curvature.
    fn rate(&self) -> Option<(f64, String)> {
        None
    }

    /// Called where training begins, while no worker writes. Part of training time.
    fn begin(&self, weights: &[T]) {
        let _ = weights;
    }

    /// Called where training goes back to these weights because it diverged, while no worker writes: to forget what was
    /// learnt of other weights; may move them. Part of training time. [`begin`](Objective::begin) unless overridden.
    fn go_back(&self, weights: &mut [T]) {
        self.begin(weights);
    }

    /// How much of an epoch is likely to be left, 0 < … ≤ 1, to a certified relative gap of `target` when there was a
    /// [certificate](Objective::certify) just now, and the one before it was so many epochs ago. A whole one unless
    /// overridden.
    fn rest(&self, target: f64, epochs: f64) -> f64 {
        let _ = (target, epochs);
        1.0
    }

    /// Called after each epoch or [part](Objective::rest) of one, while no worker writes; part of training time. With a
    /// target, a bound on f(w) − min f
    /// that is proven: may move the weights to a better point if the relative gap of that is within the target; may
    /// also tell nothing, `None`, where the objective has no such bound or sees cheaply that it would be above the
    /// target.
    fn certify(&self, weights: &mut [T], target: Option<f64>) -> Option<Gap> {
        let _ = (weights, target);
        None
    }

    /// What data and function this is, by name, as far as the numbers of a run depend on it: a checkpoint is resumed only
    /// with the same. The number of examples and the engine's options need not be there. O(data) at most. Where it is
    /// empty, as unless overridden, the [`value`](Objective::value) at parameters near the start must be the same.
    fn identity(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    /// Copies what the objective has learnt beside the parameters, if anything, into `state`, for a checkpoint.
    /// Called while no worker writes.
    fn save_state(&self, state: &mut Vec<T>) {
        state.clear();
    }

    /// Takes back what [`save_state`](Objective::save_state) told; false if it does not fit.
    fn restore_state(&self, state: &[T]) -> bool {
        state.is_empty()
    }

    /// Shows the linear model that this objective is, if it is one, to a visitor: for algorithms that need to know
    /// more of the objective than its gradients.
    fn visit_linear<V: LinearVisitor>(&self, visitor: V) -> Option<V::Output> {
        let _ = visitor;
        None
    }
}

/// Refuses a model whose parameters, with a count for each, do not fit into memory.
pub(super) fn check_room<T: Real>(parameters: u128) -> Result<()> {
    let bytes = parameters * (size_of::<T>() + size_of::<u32>()) as u128;
    memory::check(&format!("{parameters} parameters"), bytes, "take fewer")
}

/// Examples laid out by the blocks of a square grid: block i·side + j touches parameters of part i of one kind and of
/// part j of another, such as users and items. Blocks that share neither part touch nothing in common.
#[derive(Debug, Clone, Copy)]
pub struct Grid<'a> {
    /// The parts of each kind.
    pub side: usize,
    /// Where each of the side² blocks begins, and where the last ends; blocks may be empty.
    pub bounds: &'a [usize],
    /// The parameters that a worker may copy for each example of a block, to walk through it on the copy
    /// ([`Objective::walk`]); 0 where it cannot.
    pub copied: usize,
}

/// Parts of each kind, such as of users and of items: blocks of a grid that are joined.
pub type Parts = [Range<usize>; 2];

impl Grid<'_> {
    /// What block i·`side` + j of a coarser grid of 1 to [`Grid::side`] parts a side joins.
    pub fn joined(&self, block: usize, side: usize) -> Parts {
        let parts = |part: usize| part * self.side / side..(part + 1) * self.side / side;
        [parts(block / side), parts(block % side)]
    }

    /// The examples of joined blocks, in ranges of those that lie together.
    pub fn examples(&self, [rows, columns]: &Parts) -> impl Iterator<Item = Range<usize>> {
        let (first, end) = (columns.start, columns.end);
        rows.clone().map(move |row| self.bounds[row * self.side + first]..self.bounds[row * self.side + end])
    }
}

/// Something to do with a linear model of any loss.
pub trait LinearVisitor {
    /// What comes of it.
    type Output;
    /// Does it.
    fn visit<L: Loss>(self, linear: &Linear<'_, L>) -> Self::Output;
}

/// Bounds on second derivatives, from one pass over the data.
#[derive(Debug, Clone, Copy)]
pub struct Curvature {
    /// The largest smoothness constant of one example's loss: bound on loss″ × largest squared row norm.
    pub example_max: f64,
    /// The mean smoothness constant over the examples.
    pub example_mean: f64,
    /// Strong convexity from the regulariser; 0 where there is none.
    pub strong_convexity: f64,
}

/// What to train, before it has met its data: `Logistic::l2(1e-5)`.
pub trait Model<T: Real = f32> {
    /// The data that the model is trained on.
    type Data: ?Sized;
    /// The model on that data.
    type Objective<'d>: Objective<T>
    where
        Self::Data: 'd;

    /// The objective on `data`. O(data).
    ///
    /// # Errors
    /// Where data and model do not fit: for example labels with more than two values for a classifier.
    fn bind<'d>(&self, data: &'d Self::Data) -> Result<Self::Objective<'d>>;
}

//! Where the parameters of a matrix factorization lie.

use crate::real::Real;
use std::ops::Range;

/// How a factorization's parameters are laid out, and what makes ratings of them: a row of factors for each user, then
/// for each item, each row starting on a cache line; then a bias for each user, from a cache line on for each item.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Factors {
    /// The number of users.
    pub users: usize,
    /// The number of items.
    pub items: usize,
    /// The number of factors.
    pub rank: usize,
    /// The mean of the ratings. μ, unless the factors are non-negative.
    pub mean: f64,
    /// σ.
    pub scale: f64,
    /// Whether the factors are non-negative: there are no biases, and μ = 0.
    pub nonnegative: bool,
}

/// Floats on a cache line.
const LINE: usize = 16;

impl Factors {
    /// The length of a row, its padding included.
    #[inline(always)]
    pub fn stride(&self) -> usize {
        self.rank.next_multiple_of(LINE)
    }

    /// The row of a user's factors.
    #[inline(always)]
    pub fn user(&self, user: usize) -> usize {
        user * self.stride()
    }

    /// The row of an item's factors.
    #[inline(always)]
    pub fn item(&self, item: usize) -> usize {
        (self.users + item) * self.stride()
    }

    /// A user's bias.
    #[inline(always)]
    pub fn user_bias(&self, user: usize) -> usize {
        (self.users + self.items) * self.stride() + user
    }

    /// An item's bias.
    #[inline(always)]
    pub fn item_bias(&self, item: usize) -> usize {
        self.user_bias(0) + self.users.next_multiple_of(LINE) + item
    }

    /// The number of parameters, padding included.
    pub fn parameters(&self) -> usize {
        self.item_bias(self.items)
    }

    /// The parameters of some users and items: their rows, then their biases.
    pub(super) fn spans(&self, [users, items]: &[Range<usize>; 2]) -> [Range<usize>; 4] {
        [
            self.user(users.start)..self.user(users.end),
            self.item(items.start)..self.item(items.end),
            self.user_bias(users.start)..self.user_bias(users.end),
            self.item_bias(items.start)..self.item_bias(items.end),
        ]
    }

    /// μ, what factors and biases are added to.
    #[inline(always)]
    pub(super) fn offset(&self) -> f64 {
        if self.nonnegative { 0.0 } else { self.mean }
    }

    /// The standardised rating; of a user or item that is not known, the others' part of it.
    pub(super) fn standardised<T: Real>(
        &self,
        weights: &[T],
        user: Option<usize>,
        item: Option<usize>,
    ) -> f64 {
        let row = |at: usize| weights[at..at + self.rank].iter().map(|w| w.to_f64());
        let product = user
            .zip(item)
            .map_or(0.0, |(u, i)| row(self.user(u)).zip(row(self.item(i))).map(|(p, q)| p * q).sum());
        let bias = |at: Option<usize>| at.map_or(0.0, |at| weights[at].to_f64());
        product + bias(user.map(|u| self.user_bias(u))) + bias(item.map(|i| self.item_bias(i)))
    }

    /// The rating that is expected of a user for an item, either of which may be unknown: then it is the mean and the
    /// bias of the other, or where there are no biases the mean alone.
    pub fn rating<T: Real>(&self, weights: &[T], user: Option<usize>, item: Option<usize>) -> f64 {
        match (user, item) {
            (None, _) | (_, None) if self.nonnegative => self.mean,
            _ => self.offset() + self.scale * self.standardised(weights, user, item),
        }
    }
}

//! The update modes: how one addition reaches a shared float.

use crate::kernel::{Constants, Row, sparse};
use crate::real::{Cell, Real};
use std::fmt;
use std::str::FromStr;

/// How updates reach the shared parameters. `params/ORDERING.md` tells what each promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Update {
    /// A compare-exchange loop per coordinate: no update is ever lost.
    #[default]
    Cas,
    /// A relaxed load and a relaxed store per coordinate, as in the original Hogwild!: an update that
    /// another worker makes between the two is lost.
    Racy,
    /// A mutex round each update: the baseline that the others are compared with.
    Locked,
    /// No shared floats: workers read a snapshot that nobody changes, and publish a whole new one by exchanging a
    /// pointer, again if another was faster, but no more than `retries` times: then the gradient is dropped. Of the
    /// trainer alone: [`Hogwild`](crate::Hogwild) refuses it.
    Leashed {
        /// Attempts after the first.
        retries: u32,
    },
}

impl Update {
    /// All modes of shared floats, in the order in which the help lists them.
    pub const ALL: [Update; 3] = [Update::Cas, Update::Racy, Update::Locked];
}

impl fmt::Display for Update {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Update::Leashed { retries: RETRIES } => "leashed",
            Update::Leashed { retries } => return write!(f, "leashed:{retries}"),
            Update::Cas => "cas",
            Update::Racy => "racy",
            Update::Locked => "locked",
        })
    }
}

impl FromStr for Update {
    type Err = crate::Error;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let leashed = match s.split_once(':') {
            Some(("leashed", retries)) => retries.parse().ok(),
            _ => (s == "leashed").then_some(RETRIES),
        };
        let leashed = leashed.map(|retries| Update::Leashed { retries });
        Update::ALL.into_iter().find(|mode| mode.to_string() == s).or(leashed).ok_or_else(|| {
            crate::Error::usage(format!(
                "update mode '{s}': expected cas, racy, locked, leashed or leashed:RETRIES"
            ))
        })
    }
}

/// Attempts of a leashed update after the first, unless said.
const RETRIES: u32 = 16;

/// A way of adding to a shared float, resolved at compile time.
pub trait Mode {
    /// cell += change(cell); returns how many attempts failed because others were faster.
    fn add<T: Real>(cell: &T::Atomic, change: impl Fn(T) -> T) -> u64;
    /// Adds to four neighbours; returns how many attempts failed.
    fn add4<T: Real>(cells: &[T::Atomic; 4], change: &[T; 4]) -> u64;
    /// Stores `new` in four neighbours if they hold `old`, and returns whether they did; sometimes not even then.
    fn replace4<T: Real>(cells: &[T::Atomic; 4], old: &[T; 4], new: &[T; 4]) -> bool;
    /// cell\[id\] −= a·value + s·beside\[id\]·cell\[id\] along a row; returns how many attempts failed.
    fn ridge_step<T: Real>(cells: &[T::Atomic], row: Row<'_>, beside: &Constants, a: T, s: T) -> u64;
    /// cell\[j\] += a·x\[j\]; returns how many attempts failed.
    fn axpy_dense<T: Real>(cells: &[T::Atomic], x: &[T], a: T) -> u64;
    /// cells\[j\] −= a·x\[j\] + s·cells\[j\]; returns how many attempts failed.
    fn ridge_dense<T: Real>(cells: &[T::Atomic], x: &[T], a: T, s: T) -> u64;
}

/// [`Update::Cas`].
pub struct Cas;

/// [`Update::Racy`]; also [`Update::Locked`] while it holds the mutex.
pub struct Racy;

impl Mode for Cas {
    #[inline(always)]
    fn add<T: Real>(cell: &T::Atomic, change: impl Fn(T) -> T) -> u64 {
        let (mut old, mut failed) = (cell.get(), 0);
        while let Err(now) = cell.compare_exchange(old, old + change(old)) {
            old = now;
            failed += 1;
        }
        failed
    }

    #[inline(always)]
    fn add4<T: Real>(cells: &[T::Atomic; 4], change: &[T; 4]) -> u64 {
        T::Atomic::add4(cells, change)
    }

    #[inline(always)]
    fn replace4<T: Real>(cells: &[T::Atomic; 4], old: &[T; 4], new: &[T; 4]) -> bool {
        T::Atomic::replace4(cells, old, new)
    }

    #[inline(always)]
    fn ridge_step<T: Real>(cells: &[T::Atomic], row: Row<'_>, beside: &Constants, a: T, s: T) -> u64 {
        let mut failed = 0;
        sparse::for_each(cells, row, beside, |_, cell, v, b| {
            let (v, b) = (T::from_f32(v), T::from_f32(b));
            failed += Self::add(cell, |w: T| -(a * v + s * b * w));
        });
        failed
    }

    #[inline(always)]
    fn axpy_dense<T: Real>(cells: &[T::Atomic], x: &[T], a: T) -> u64 {
        T::Atomic::cas_axpy(cells, x, a)
    }

    #[inline(always)]
    fn ridge_dense<T: Real>(cells: &[T::Atomic], x: &[T], a: T, s: T) -> u64 {
        T::Atomic::ridge_dense(cells, x, a, s)
    }
}

impl Mode for Racy {
    #[inline(always)]
    fn add<T: Real>(cell: &T::Atomic, change: impl Fn(T) -> T) -> u64 {
        let old = cell.get();
        cell.set(old + change(old));
        0
    }

    #[inline(always)]
    fn add4<T: Real>(cells: &[T::Atomic; 4], change: &[T; 4]) -> u64 {
        for (cell, &change) in cells.iter().zip(change) {
            // What was not changed is not written: it would undo what others add meanwhile.
            if change != T::ZERO {
                cell.set(cell.get() + change);
            }
        }
        0
    }

    #[inline(always)]
    fn replace4<T: Real>(cells: &[T::Atomic; 4], old: &[T; 4], new: &[T; 4]) -> bool {
        let same = cells.iter().zip(old).fold(true, |same, (cell, &old)| same & (cell.get() == old));
        if same {
            cells.iter().zip(new).for_each(|(cell, &new)| cell.set(new));
        }
        same
    }

    #[inline(always)]
    fn ridge_step<T: Real>(cells: &[T::Atomic], row: Row<'_>, beside: &Constants, a: T, s: T) -> u64 {
        T::Atomic::racy_ridge_step(cells, row, beside, a, s);
        0
    }

    #[inline(always)]
    fn axpy_dense<T: Real>(cells: &[T::Atomic], x: &[T], a: T) -> u64 {
        T::Atomic::racy_axpy(cells, x, a);
        0
    }

    #[inline(always)]
    fn ridge_dense<T: Real>(cells: &[T::Atomic], x: &[T], a: T, s: T) -> u64 {
        T::Atomic::racy_ridge_dense(cells, x, a, s);
        0
    }
}

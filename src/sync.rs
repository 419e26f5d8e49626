//! The one door to atomics, locks and threads: `std` and `atomic_float`, or loom under `cfg(loom)`.
//!
//! Every other file of the crate imports them from here (`tests/layers.rs` checks it), so that the loom
//! models run the product's own code.

pub(crate) use std::sync::OnceLock;

// crossbeam's scope and not std's: ThreadSanitizer sees its joins.
pub(crate) use crossbeam::{
    channel::{Receiver, Sender, bounded},
    thread::scope,
    utils::CachePadded,
};

/// Pointers to what does not change, exchanged without locks. Not modelled by loom.
pub(crate) mod snapshots {
    pub(crate) use arc_swap::ArcSwap;
    pub(crate) use std::sync::Arc;
}

#[cfg(not(loom))]
pub(crate) use {
    atomic_float::{AtomicF32, AtomicF64},
    std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    std::sync::{Arc, Condvar, Mutex, MutexGuard},
    std::thread,
};

#[cfg(loom)]
pub(crate) use {
    self::modelled::{AtomicF32, AtomicF64},
    loom::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    loom::sync::{Arc, Condvar, Mutex, MutexGuard},
};

/// loom knows no time: what sleeps is not modelled, and only has to compile.
#[cfg(loom)]
pub(crate) mod thread {
    pub(crate) use {loom::thread::*, std::thread::panicking, std::thread::sleep};
}

/// `atomic_float`'s types are built on `std`; these are the same operations on loom's integers.
#[cfg(loom)]
mod modelled {
    use super::{AtomicU64, Ordering};
    use loom::sync::atomic::AtomicU32;

    macro_rules! atomic_float {
        ($name:ident, $float:ty, $bits:ty) => {
            #[derive(Debug)]
            pub struct $name($bits);

            impl $name {
                pub(crate) fn new(x: $float) -> Self {
                    Self(<$bits>::new(x.to_bits()))
                }
                pub(crate) fn load(&self, order: Ordering) -> $float {
                    <$float>::from_bits(self.0.load(order))
                }
                pub(crate) fn store(&self, x: $float, order: Ordering) {
                    self.0.store(x.to_bits(), order);
                }
                #[allow(dead_code, reason = "only AtomicF64's is used")]
                pub(crate) fn fetch_add(&self, x: $float, order: Ordering) -> $float {
                    let mut old = self.load(Ordering::Relaxed);
                    while let Err(now) = self.compare_exchange_weak(old, old + x, order, Ordering::Relaxed) {
                        old = now;
                    }
                    old
                }
                pub(crate) fn compare_exchange_weak(
                    &self,
                    current: $float,
                    new: $float,
                    success: Ordering,
                    failure: Ordering,
                ) -> Result<$float, $float> {
                    self.0
                        .compare_exchange_weak(current.to_bits(), new.to_bits(), success, failure)
                        .map(<$float>::from_bits)
                        .map_err(<$float>::from_bits)
                }
            }
        };
    }
    atomic_float!(AtomicF32, f32, AtomicU32);
    atomic_float!(AtomicF64, f64, AtomicU64);
}

//! The one door to atomics, locks and threads: `std` and `atomic_float`, or loom under `cfg(loom)`.
//!
//! Every other file of the crate imports them from here (`tests/layers.rs` checks it), so that the loom
//! models run the product's own code.

#[cfg(tsan)]
pub(crate) use once_cell::sync::OnceCell as OnceLock;
#[cfg(not(tsan))]
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
    std::sync::Arc,
    std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    std::thread,
};

#[cfg(tsan)]
pub(crate) use instrumented::{Condvar, Mutex, MutexGuard};
#[cfg(not(any(loom, tsan)))]
pub(crate) use std::sync::{Condvar, Mutex, MutexGuard};

#[cfg(loom)]
pub(crate) use {
    self::modelled::{AtomicF32, AtomicF64},
    loom::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    loom::sync::{Arc, Condvar, Mutex, MutexGuard},
};

/// Locks that ThreadSanitizer sees, as std's are not instrumented: the same operations, never poisoned.
#[cfg(tsan)]
mod instrumented {
    pub use parking_lot::MutexGuard;
    use std::sync::LockResult;
    use std::time::Duration;

    #[derive(Debug, Default)]
    pub struct Mutex<T>(parking_lot::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) const fn new(value: T) -> Self {
            Self(parking_lot::Mutex::new(value))
        }
        pub(crate) fn lock(&self) -> LockResult<MutexGuard<'_, T>> {
            Ok(self.0.lock())
        }
    }

    #[derive(Debug, Default)]
    pub struct Condvar(parking_lot::Condvar);

    impl Condvar {
        pub(crate) const fn new() -> Self {
            Self(parking_lot::Condvar::new())
        }
        pub(crate) fn wait<'a, T>(&self, mut guard: MutexGuard<'a, T>) -> LockResult<MutexGuard<'a, T>> {
            self.0.wait(&mut guard);
            Ok(guard)
        }
        pub(crate) fn wait_timeout<'a, T>(
            &self,
            mut guard: MutexGuard<'a, T>,
            time: Duration,
        ) -> LockResult<(MutexGuard<'a, T>, bool)> {
            let timed_out = self.0.wait_for(&mut guard, time).timed_out();
            Ok((guard, timed_out))
        }
        pub(crate) fn notify_one(&self) {
            self.0.notify_one();
        }
        pub(crate) fn notify_all(&self) {
            self.0.notify_all();
        }
    }
}

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

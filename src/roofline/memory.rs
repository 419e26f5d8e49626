//! What memory gives, what a compare-exchange takes, and dense loops over shared and plain floats.

use super::cores;
use crate::kernel::plain;
use crate::params::{Cas, Mode, Params, Racy};
use crate::weights::{Sink, Weights};
use std::hint::black_box;
use std::time::Instant;

/// Words that are read for the bandwidth: 128 MiB, beyond a core's own caches.
const WORDS: usize = 1 << 24;

/// Parameters of the dense loops: 64 KiB, which a core's second cache holds twice.
const DENSE: usize = 1 << 14;

/// Passes over them that are timed together.
const PASSES: usize = 200;

/// What dense loops take, in ns an element.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dense {
    /// Σ w·x.
    pub dot: f64,
    /// w += a·x.
    pub axpy: f64,
    /// Copying the parameters out.
    pub copy_out: f64,
}

/// What an addition to one shared float takes, in ns.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Exchange {
    /// By a load and a store.
    pub racy: f64,
    /// By a compare-exchange of 4 bytes.
    pub single: f64,
    /// By one of 16 bytes, for each of four neighbours; where the machine has none, as `single`.
    pub packed: f64,
    /// By a compare-exchange of 4 bytes while another core adds to the same cache line; `None` on one core.
    pub contended: Option<f64>,
}

/// The times of some tries, in ns for each of `elements`, from the least on.
fn times(elements: usize, mut work: impl FnMut()) -> [f64; 7] {
    let mut time = || {
        let start = Instant::now();
        work();
        start.elapsed().as_secs_f64() * 1e9 / elements as f64
    };
    time();
    let mut times = [(); 7].map(|()| time());
    times.sort_by(f64::total_cmp);
    times
}

/// The least of them: what is longer was disturbed.
pub(super) fn best(elements: usize, work: impl FnMut()) -> f64 {
    times(elements, work)[0]
}

/// Bytes a second that `threads` threads, each on a core of its own, read together from memory, in order, each its own
/// part of 128 MiB.
pub fn read_bandwidth(threads: usize) -> f64 {
    let words = vec![1u64; WORDS];
    let part = WORDS.div_ceil(threads);
    let seconds = cores::together(threads, |thread| {
        let mine = &words[thread * part..((thread + 1) * part).min(WORDS)];
        let sum = || {
            black_box(mine.iter().fold(0u64, |sum, &word| sum.wrapping_add(word)));
        };
        best(1, sum) * 1e-9
    });
    (WORDS * 8) as f64 / seconds.into_iter().fold(0.0, f64::max)
}

/// What additions to shared floats take, in an array that the first cache holds.
pub fn exchange() -> Exchange {
    let params = Params::<f32>::zeros(2048);
    let one = cores::together(1, |_| {
        let all = || 0..params.len();
        let (mut racy, mut cas) = (params.writer::<Racy>(), params.writer::<Cas>());
        let racy = best(20 * params.len(), || (0..20).for_each(|_| all().for_each(|i| racy.add(i, 1e-9))));
        let single = best(20 * params.len(), || (0..20).for_each(|_| all().for_each(|i| cas.add(i, 1e-9))));
        let (fours, _) = params.cells().as_chunks::<4>();
        let four = || {
            black_box(fours.iter().map(|four| Cas::add4::<f32>(four, black_box(&[1e-9; 4]))).sum::<u64>());
        };
        let packed = best(20 * params.len(), || (0..20).for_each(|_| four()));
        [racy, single, packed]
    });
    let [racy, single, packed] = one[0];
    let two = (cores::available() > 1).then(|| {
        cores::together(2, |thread| {
            let mut cas = params.writer::<Cas>();
            // The median: that the other rests, or keeps the line for long, is the exception here.
            times(20_000, || (0..20_000).for_each(|_| cas.add(thread, 1e-9)))[3]
        })
    });
    Exchange { racy, single, packed, contended: two.map(|ns| (ns[0] + ns[1]) / 2.0) }
}

/// Dense loops over shared floats (racy), and over plain ones, of the same length.
pub fn dense() -> (Dense, Dense) {
    let (params, x) = (Params::<f32>::zeros(DENSE), vec![1e-9f32; DENSE]);
    let times = cores::together(1, |_| {
        let (mut w, mut out) = (vec![0f32; DENSE], vec![0f32; DENSE]);
        let repeat = |work: &mut dyn FnMut()| best(PASSES * DENSE, || (0..PASSES).for_each(|_| work()));
        let mut racy = params.writer::<Racy>();
        let shared = Dense {
            dot: repeat(&mut || {
                black_box(params.dot_dense(0, black_box(&x)));
            }),
            axpy: repeat(&mut || racy.axpy_dense(0, black_box(&x), 0.5)),
            copy_out: repeat(&mut || params.copy_out(0, black_box(&mut out))),
        };
        let plain = Dense {
            dot: repeat(&mut || {
                black_box(plain::dot(black_box(&w), black_box(&x)));
            }),
            axpy: repeat(&mut || plain::axpy(black_box(&mut w), black_box(&x), 0.5)),
            copy_out: repeat(&mut || black_box(&mut out).copy_from_slice(black_box(&x))),
        };
        (shared, plain)
    });
    times[0]
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn what_is_measured_is_a_time() {
        let exchange = exchange();
        let all = [exchange.racy, exchange.single, exchange.packed];
        assert!(all.iter().all(|ns| (0.01..1e4).contains(ns)), "{exchange:?}");
        let bandwidth = read_bandwidth(1);
        assert!((1e7..1e13).contains(&bandwidth), "{bandwidth}");
        let (shared, plain) = dense();
        for ns in [shared.dot, shared.axpy, shared.copy_out, plain.dot, plain.axpy, plain.copy_out] {
            assert!((1e-3..1e3).contains(&ns), "{shared:?} {plain:?}");
        }
    }
}

//! What each update mode promises: `cas` and `locked` lose nothing, `racy` does; and with one thread all are
//! plain additions.
#![cfg(not(loom))]

use asyncsgd::{
    Params, Real, Row, Sink, Update, Weights,
    params::{Cas, Racy},
};
use proptest::prelude::*;
use std::sync::{Arc, Barrier};
use std::thread;

const CELLS: usize = 3;

/// Every thread adds 1 to every cell `times` times, sparse, dense and singly in turn. Returns how many additions
/// are missing at the end, and how many compare-exchange attempts failed.
fn hammer<T: Real>(mode: Update, threads: usize, times: usize) -> (u64, u64) {
    let shared = Arc::new((Params::<T>::zeros(CELLS), Barrier::new(threads)));
    let run = {
        let shared = Arc::clone(&shared);
        move || {
            let (params, start) = &*shared;
            start.wait();
            match mode {
                Update::Cas => {
                    let mut writer = params.writer::<Cas>();
                    (0..times).for_each(|turn| add_one(&mut writer, turn));
                    return writer.failed_attempts();
                }
                Update::Racy => {
                    let mut writer = params.writer::<Racy>();
                    (0..times).for_each(|turn| add_one(&mut writer, turn));
                }
                Update::Locked => (0..times).for_each(|turn| add_one(&mut params.locked(), turn)),
                Update::Leashed { .. } => unreachable!("no mode of shared floats"),
            }
            0
        }
    };
    // Spawned and joined and not in a scope, whose end ThreadSanitizer does not see.
    let handles: Vec<_> = (0..threads).map(|_| thread::spawn(run.clone())).collect();
    let failed: u64 = handles.into_iter().map(|handle| handle.join().unwrap()).sum();
    let expected = (threads * times) as f64;
    // Integers below 2²⁴ are exact in either type, in any order of the additions.
    assert!(expected < f64::from(1 << 24));
    let missing: f64 = shared.0.snapshot().iter().map(|w| expected - w.to_f64()).sum();
    (missing as u64, failed)
}

fn add_one<T: Real>(sink: &mut impl Sink<T>, turn: usize) {
    match turn % 3 {
        0 => sink.axpy(Row::new(&[0, 1, 2], &[1.0; CELLS]).unwrap(), T::ONE),
        1 => sink.axpy_dense(0, &[T::ONE; CELLS], T::ONE),
        _ => (0..CELLS).for_each(|i| sink.add(i, T::ONE)),
    }
}

fn promises<T: Real>() {
    let (threads, times, rounds) = (4, 200_000, 50);
    let total = threads * times * CELLS;
    // On one core threads meet only where the system switches between them, which may be between additions.
    let alone = thread::available_parallelism().map_or(1, usize::from) == 1;

    // Rounds until threads have met: one in which they ran one after the other proves nothing.
    let mut met = 0;
    for _ in 0..rounds {
        let (missing, failed) = hammer::<T>(Update::Cas, threads, times);
        assert_eq!(missing, 0, "{} cas lost additions", T::NAME);
        met += failed;
        if met > 1000 {
            break;
        }
    }
    println!("{} cas: none of {total} additions lost, {met} attempts had to be repeated", T::NAME);
    assert!(met > 0 || alone, "the threads never met");

    assert_eq!(hammer::<T>(Update::Locked, threads, times).0, 0, "{} locked lost additions", T::NAME);
    println!("{} locked: none of {total} additions lost", T::NAME);

    let missing = (0..rounds).map(|_| hammer::<T>(Update::Racy, threads, times).0).find(|&m| m > 0);
    println!("{} racy: {} of {total} additions lost", T::NAME, missing.unwrap_or(0));
    assert!(missing.is_some() || alone, "racy updates lose some");
}

#[test]
fn cas_and_locked_keep_every_addition_and_racy_loses_some_f32() {
    promises::<f32>();
}

#[test]
fn cas_and_locked_keep_every_addition_and_racy_loses_some_f64() {
    promises::<f64>();
}

#[derive(Debug, Clone)]
enum Change {
    One(usize, f32),
    Halve(usize),
    Sparse(Vec<u32>, Vec<f32>, f32),
    Dense(usize, Vec<f32>, f32),
}

const DIMENSION: usize = 40;

/// Multiples of 1/8: with few of them every sum and product is exact, in whatever order a kernel takes them.
fn eighths() -> impl Strategy<Value = f32> {
    (-16i8..=16).prop_map(|x| f32::from(x) / 8.0)
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let sparse = proptest::collection::btree_map(0..DIMENSION as u32, eighths(), 0..DIMENSION);
    let dense = (0..DIMENSION).prop_flat_map(|start| {
        (Just(start), proptest::collection::vec(eighths(), 0..=DIMENSION - start), eighths())
    });
    let change = prop_oneof![
        (0..DIMENSION, eighths()).prop_map(|(i, x)| Change::One(i, x)),
        (0..DIMENSION).prop_map(Change::Halve),
        (sparse, eighths()).prop_map(|(row, a)| {
            let (ids, values) = row.into_iter().unzip();
            Change::Sparse(ids, values, a)
        }),
        dense.prop_map(|(start, x, a)| Change::Dense(start, x, a)),
    ];
    proptest::collection::vec(change, 0..12)
}

fn plainly<T: Real>(w: &mut [T], change: &Change) {
    match change {
        Change::One(i, x) => w[*i] += T::from_f32(*x),
        Change::Halve(i) => w[*i] = w[*i] * T::from_f64(0.5),
        Change::Sparse(ids, values, a) => {
            for (&i, &v) in ids.iter().zip(values) {
                w[i as usize] += T::from_f32(*a) * T::from_f32(v);
            }
        }
        Change::Dense(start, x, a) => {
            for (j, &x) in x.iter().enumerate() {
                w[start + j] += T::from_f32(*a) * T::from_f32(x);
            }
        }
    }
}

fn through<T: Real, S: Sink<T> + ?Sized>(sink: &mut S, change: &Change) {
    match change {
        Change::One(i, x) => sink.add(*i, T::from_f32(*x)),
        Change::Halve(i) => sink.update(*i, |w| w * T::from_f64(-0.5)),
        Change::Sparse(ids, values, a) => sink.axpy(Row::new(ids, values).unwrap(), T::from_f32(*a)),
        Change::Dense(start, x, a) => {
            let x: Vec<T> = x.iter().map(|&x| T::from_f32(x)).collect();
            sink.axpy_dense(*start, &x, T::from_f32(*a));
        }
    }
}

fn agrees<T: Real>(start: &[f32], changes: &[Change]) {
    let start: Vec<T> = start.iter().map(|&x| T::from_f32(x)).collect();
    let mut reference = start.clone();
    changes.iter().for_each(|change| plainly(&mut reference, change));

    let mut slice = start.clone();
    changes.iter().for_each(|change| through(&mut slice[..], change));
    assert_eq!(slice, reference, "a plain slice");
    for mode in Update::ALL {
        let params = Params::from_slice(&start);
        for change in changes {
            match mode {
                Update::Cas => through(&mut params.writer::<Cas>(), change),
                Update::Racy => through(&mut params.writer::<Racy>(), change),
                Update::Locked => through(&mut params.locked(), change),
                Update::Leashed { .. } => unreachable!("no mode of shared floats"),
            }
        }
        assert_eq!(params.snapshot(), reference, "{mode}");
        // What is read is what was written, in every way of reading.
        let mut copy = vec![T::ZERO; DIMENSION - 5];
        params.copy_out(5, &mut copy);
        assert_eq!(copy, reference[5..]);
        for change in changes {
            if let Change::Sparse(ids, values, _) = change {
                let expected: T =
                    ids.iter().zip(values).map(|(&i, &v)| reference[i as usize] * T::from_f32(v)).sum();
                let row = Row::new(ids, values).unwrap();
                // Differently rounded only where the sum has more digits than the type.
                let tolerance = 1e-5 * (1.0 + expected.to_f64().abs());
                assert!((params.dot(row) - expected).to_f64().abs() <= tolerance);
                assert!((slice[..].dot(row) - expected).to_f64().abs() <= tolerance);
            }
            if let Change::Dense(at, x, _) = change {
                let x: Vec<T> = x.iter().map(|&x| T::from_f32(x)).collect();
                let expected: T = x.iter().zip(&reference[*at..]).map(|(&x, &w)| x * w).sum();
                let tolerance = 1e-5 * (1.0 + expected.to_f64().abs());
                assert!((params.dot_dense(*at, &x) - expected).to_f64().abs() <= tolerance);
                assert!((slice[..].dot_dense(*at, &x) - expected).to_f64().abs() <= tolerance);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn one_thread_is_a_sequence_of_additions(
        start in proptest::collection::vec(eighths(), DIMENSION),
        changes in changes(),
    ) {
        agrees::<f32>(&start, &changes);
        agrees::<f64>(&start, &changes);
    }
}

//! One epoch of logistic regression on RCV1-shaped rows, and of softmax regression on rows shaped like images, against
//! the same loops on plain floats.

use asyncsgd::delay::Recorder;
use asyncsgd::{
    BlockSize, Dataset, Logistic, Objective, Trainer, Update,
    clock::Clock,
    data::Synthetic,
    model::{Model, Network},
    step,
};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use std::hint::black_box;
use std::time::Duration;

const RATE: f32 = 0.5;
const L2: f64 = 1e-5;

/// The loop as one would write it, without any sharing: rows in the order of memory, penalties scaled by
/// frequency.
fn plain(data: &Dataset, shrink: &[f32], w: &mut [f32]) {
    for i in 0..data.len() {
        let (row, y) = (data.row(i), data.label(i));
        let z: f32 = row.iter().map(|(j, v)| w[j] * v).sum();
        let residual = -y / (1.0 + (y * z).exp());
        for (j, v) in row.iter() {
            w[j] -= RATE * (residual * v + shrink[j] * w[j]);
        }
    }
}

fn epoch(c: &mut Criterion) {
    let data = Synthetic::rcv1(20_000).generate().expect("a problem of RCV1's shape").data;
    let data = data.binary().expect("two classes").laid_out(0);
    let scale = |&count: &u32| (L2 * data.len() as f64 / f64::from(count.max(1))) as f32;
    let shrink: Vec<f32> = data.counts().iter().map(scale).collect();

    let mut group = c.benchmark_group("epoch");
    group.throughput(Throughput::Elements(data.nonzeros() as u64));
    let mut w = vec![0f32; data.features()];
    group.bench_function("plain loop", |b| b.iter(|| plain(&data, &shrink, black_box(&mut w))));

    let objective = Model::<f32>::bind(&Logistic::l2(L2), &data).expect("data for a classifier");
    let mut gradient = Objective::<f32>::buffer(&objective);
    let mut w = vec![0f32; data.features()];
    group.bench_function("objective on a slice", |b| {
        b.iter(|| {
            for i in 0..data.len() {
                objective.gradient(i..i + 1, &w[..], &mut gradient);
                objective.descend(&gradient, RATE, black_box(&mut w[..]));
            }
        });
    });

    // What measuring costs a row: the delay's recorder, and the clock that two workers would share.
    let (mut recorder, clock) = (Recorder::new(), Clock::new());
    let mut w = vec![0f32; data.features()];
    group.bench_function("objective on a slice, recorded", |b| {
        b.iter(|| {
            for i in 0..data.len() {
                objective.gradient(i..i + 1, &w[..], &mut gradient);
                objective.descend(&gradient, RATE, black_box(&mut w[..]));
                recorder.record(black_box(1), 1.0);
            }
        });
    });
    let mut w = vec![0f32; data.features()];
    group.bench_function("objective on a slice, clocked and recorded", |b| {
        b.iter(|| {
            let mut ticket = clock.begin();
            for i in 0..data.len() {
                objective.gradient(i..i + 1, &w[..], &mut gradient);
                let commit = clock.commit(ticket);
                objective.descend(&gradient, RATE, black_box(&mut w[..]));
                recorder.record(commit.delay, 1.0);
                ticket = clock.finish(commit);
            }
        });
    });

    let cases = [
        ("1 worker, racy, direct", 1, Update::Racy, BlockSize::Rows(1)),
        ("1 worker, cas, direct", 1, Update::Cas, BlockSize::Rows(1)),
        ("2 workers, cas, direct", 2, Update::Cas, BlockSize::Rows(1)),
        ("2 workers, cas, blocks", 2, Update::Cas, BlockSize::Auto),
    ];
    for (name, workers, update, block) in cases {
        // Training time as the trainer reports it: without starting threads and without evaluation.
        group.bench_function(name, |b| {
            b.iter_custom(|epochs| {
                let trainer = Trainer::new(Logistic::l2(L2)).workers(workers).update(update).block(block);
                let run = trainer.step(step::delay_adaptive(RATE.into())).epochs(epochs as f64).run(&data);
                Duration::from_secs_f64(run.expect("a run").last().train_seconds)
            });
        });
    }
    group.finish();
}

/// The sizes of MNIST, and the share of its pixels that are not 0.
const PIXELS: usize = 784;
const CLASSES: usize = 10;
const INK: f64 = 0.19;
const ROWS: usize = 10_000;

/// The loop of softmax regression as one would write it: a row of the matrix for each pixel.
fn plain_softmax(data: &Dataset, w: &mut [f32]) {
    for i in 0..data.len() {
        let (row, class) = (data.row(i), data.label(i) as usize);
        let mut z = [0f32; CLASSES];
        for (j, v) in row.iter() {
            z.iter_mut().zip(&w[j * CLASSES..][..CLASSES]).for_each(|(z, w)| *z += v * w);
        }
        let most = z.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        z.iter_mut().for_each(|z| *z = (*z - most).exp());
        let sum: f32 = z.iter().sum();
        z.iter_mut().for_each(|z| *z /= sum);
        z[class] -= 1.0;
        for (j, v) in row.iter() {
            let step = SOFTMAX_RATE * v;
            w[j * CLASSES..][..CLASSES].iter_mut().zip(&z).for_each(|(w, z)| *w -= step * z);
        }
    }
}

const SOFTMAX_RATE: f32 = 0.01;

/// One example an update: samples a second.
fn softmax(c: &mut Criterion) {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(0);
    let (mut starts, mut ids, mut values) = (vec![0], Vec::new(), Vec::new());
    for _ in 0..ROWS {
        for pixel in (0..PIXELS as u32).filter(|_| rng.random_bool(INK)).collect::<Vec<_>>() {
            ids.push(pixel);
            values.push(rng.random::<f32>());
        }
        starts.push(ids.len() as u64);
    }
    let labels = (0..ROWS).map(|_| rng.random_range(0..CLASSES) as f32).collect();
    let data = Dataset::from_csr(starts, ids, values, labels, PIXELS).expect("sound rows");
    let data = data.multiclass().expect("ten classes").laid_out(0);

    let mut group = c.benchmark_group("softmax 784x10, batch 1");
    group.throughput(Throughput::Elements(ROWS as u64));
    let mut w = vec![0f32; PIXELS * CLASSES];
    group.bench_function("plain loop", |b| b.iter(|| plain_softmax(&data, black_box(&mut w))));
    for workers in [1, 2] {
        group.bench_function(BenchmarkId::new("workers", workers), |b| {
            b.iter_custom(|epochs| {
                let network = Network::softmax().with_l2(0.0);
                let trainer = Trainer::new(network).workers(workers).epochs(epochs as f64);
                let run = trainer.step(step::delay_adaptive(SOFTMAX_RATE.into())).run(&data);
                Duration::from_secs_f64(run.expect("a run").last().train_seconds)
            });
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10).measurement_time(Duration::from_secs(3));
    targets = epoch, softmax
}
criterion_main!(benches);

//! One epoch of logistic regression on RCV1-shaped rows, against the same loop on plain floats.

use asyncsgd::delay::Recorder;
use asyncsgd::{
    BlockSize, Dataset, Logistic, Objective, Trainer, Update, clock::Clock, data::Synthetic, model::Model,
    step,
};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
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

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10).measurement_time(Duration::from_secs(3));
    targets = epoch
}
criterion_main!(benches);

//! What one update costs: its additions in each mode, the clock, the delay recorder.

use asyncsgd::delay::Recorder;
use asyncsgd::{
    Params, Rows, Sink, Update,
    clock::Clock,
    data::Synthetic,
    params::{Cas, Racy},
};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

/// The time in which each of `threads` threads runs `work(thread)`.
fn together(threads: usize, work: impl Fn(usize) + Send + Sync + 'static) -> Duration {
    let (start, work) = (Arc::new(Barrier::new(threads + 1)), Arc::new(work));
    let handles: Vec<_> = (0..threads)
        .map(|thread| {
            let (start, work) = (Arc::clone(&start), Arc::clone(&work));
            thread::spawn(move || {
                start.wait();
                work(thread);
            })
        })
        .collect();
    start.wait();
    let begin = Instant::now();
    handles.into_iter().for_each(|handle| handle.join().expect("a bench thread panicked"));
    begin.elapsed()
}

/// Adds `count` rows to the parameters, from a place of the thread's own on.
fn add_rows(params: &Params<f32>, rows: &Rows, mode: Update, thread: usize, count: u64) {
    let start = thread * rows.len() / 2;
    let rows = (start..).map(|r| rows.row(r % rows.len())).take(count as usize);
    match mode {
        Update::Cas => {
            let mut writer = params.writer::<Cas>();
            rows.for_each(|row| writer.axpy(row, 1e-9));
        }
        Update::Racy => {
            let mut writer = params.writer::<Racy>();
            rows.for_each(|row| writer.axpy(row, 1e-9));
        }
        Update::Locked => rows.for_each(|row| params.locked().axpy(row, 1e-9)),
        Update::Leashed { .. } => unreachable!("no mode of shared floats"),
    }
}

/// Text-shaped rows: a few features are in most of them, so that threads meet there.
fn sparse_addition(c: &mut Criterion) {
    let data = Synthetic::rcv1(4096).generate().expect("a small problem").data.laid_out(0);
    let rows = Arc::new(data.rows().clone());
    let params = Arc::new(Params::<f32>::zeros(rows.features()));
    let mut group = c.benchmark_group("sparse row");
    for threads in [1, 2] {
        // Per row on each thread.
        group.throughput(Throughput::Elements((threads * rows.nonzeros() / rows.len()) as u64));
        for mode in Update::ALL {
            group.bench_function(BenchmarkId::new(mode.to_string(), threads), |b| {
                b.iter_custom(|count| {
                    let (rows, params) = (Arc::clone(&rows), Arc::clone(&params));
                    together(threads, move |thread| add_rows(&params, &rows, mode, thread, count))
                });
            });
        }
    }
    group.finish();
}

fn clock(c: &mut Criterion) {
    let mut group = c.benchmark_group("clock");
    for threads in [1, 2] {
        group.bench_function(BenchmarkId::new("commit and finish", threads), |b| {
            b.iter_custom(|count| {
                let clock = Clock::new();
                together(threads, move |_| {
                    let mut ticket = clock.begin();
                    for _ in 0..count {
                        ticket = clock.finish(black_box(clock.commit(ticket)));
                    }
                })
            });
        });
    }
    group.finish();
}

fn recorder(c: &mut Criterion) {
    let mut recorder = Recorder::new();
    let mut delay = 0u64;
    c.bench_function("record a delay", |b| {
        b.iter(|| {
            delay = delay.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            recorder.record(delay >> 58, black_box(1.0));
        });
    });
    let reader = recorder.reader();
    c.bench_function("snapshot of a recorder", |b| b.iter(|| black_box(reader.snapshot())));
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20).measurement_time(Duration::from_secs(2));
    targets = sparse_addition, clock, recorder
}
criterion_main!(benches);

//! What it costs to look into a run while it goes on: reading parameters, whole snapshots, checkpoints.
//!
//! `cargo bench --bench embedding [reads|snapshots|checkpoints]`; runs with and without take turns, and what is told is
//! the median of the ratios of examples per second in a turn.

use asyncsgd::{Dataset, Every, Live, Logistic, Result, Trainer, Weights, data::Synthetic};
use std::hint::black_box;
use std::time::{Duration, Instant};

/// Turns of a comparison.
const TURNS: usize = 7;

/// … of runs whose parameters take a second to lay out and to evaluate.
const LONG_TURNS: usize = 5;

/// Rows of text with this many features, the rare ones hardly ever seen.
fn data(features: usize) -> Result<Dataset> {
    Ok(Synthetic::rcv1(50_000).features(features).generate()?.data.laid_out(0))
}

fn trainer<'a>(seconds: f64) -> Trainer<'a, Logistic> {
    // One evaluation at the start and one at the end.
    let trainer = Trainer::new(Logistic::l2(1e-5)).epochs(1e6).evaluate_every(1_000_000);
    trainer.time_limit(Duration::from_secs_f64(seconds))
}

/// Examples per second of a run, with something done beside it.
fn speed(
    seconds: f64,
    data: &Dataset,
    configure: impl FnOnce(Trainer<'_, Logistic>) -> Trainer<'_, Logistic>,
    beside: impl FnOnce(&Live) + Send,
) -> Result<f64> {
    let trainer = configure(trainer(seconds));
    let live = trainer.live();
    std::thread::scope(|scope| {
        scope.spawn(|| beside(&live));
        let run = trainer.run(data)?;
        Ok(run.examples_per_second())
    })
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn spread(values: &[f64]) -> String {
    let (low, high) = values.iter().fold((f64::MAX, f64::MIN), |(l, h), &v| (l.min(v), h.max(v)));
    format!("{low:.3} to {high:.3}")
}

/// Nanoseconds of a read, one parameter after the other and in no order, while one worker trains.
fn reads() -> Result<()> {
    let data = data(1 << 20)?;
    let mut told = [Vec::new(), Vec::new()];
    for _ in 0..TURNS {
        speed(
            0.5,
            &data,
            |trainer| trainer.workers(1),
            |live| {
                let reads = 1 << 16;
                while live.params().is_none() {
                    std::thread::yield_now();
                }
                while !live.is_over() {
                    let Some(params) = live.params() else { continue };
                    for (stride, times) in [1, 0x9e37_79b1].into_iter().zip(&mut told) {
                        let (begin, mut at) = (Instant::now(), 0usize);
                        for _ in 0..reads {
                            black_box(params.get(at & ((1 << 20) - 1)));
                            at = at.wrapping_add(stride);
                        }
                        times.push(begin.elapsed().as_secs_f64() * 1e9 / reads as f64);
                    }
                }
            },
        )?;
    }
    for (order, times) in
        ["in order", "in no order (memory, not the read, takes the time)"].into_iter().zip(told)
    {
        println!("a parameter read while training, {order}: {:.2} ns (median)", median(times));
    }
    Ok(())
}

/// What whole snapshots of a million parameters take, and how much they slow training.
fn snapshots() -> Result<()> {
    let data = data(1_000_000)?;
    for hertz in [10.0, 100.0] {
        let (mut ratios, mut times) = (Vec::new(), Vec::new());
        for _ in 0..TURNS {
            let plain = speed(1.0, &data, |trainer| trainer.workers(2), |_| {})?;
            let watched = speed(
                1.0,
                &data,
                |trainer| trainer.workers(2),
                |live| {
                    let (mut copy, mut last) = (Vec::new(), 0);
                    while !live.is_over() {
                        let begin = Instant::now();
                        let updates = live.snapshot(&mut copy).unwrap_or(0);
                        // Not while nobody trains: those are quicker.
                        if updates > last {
                            times.push(begin.elapsed().as_secs_f64() * 1e3);
                        }
                        last = updates;
                        std::thread::sleep(
                            Duration::from_secs_f64(1.0 / hertz).saturating_sub(begin.elapsed()),
                        );
                    }
                },
            )?;
            ratios.push(watched / plain);
        }
        times.sort_by(f64::total_cmp);
        let [p50, p99] = [0.5, 0.99].map(|q| times[(q * (times.len() - 1) as f64) as usize]);
        println!(
            "snapshots of 1 M parameters at {hertz} Hz, 2 workers: p50 {p50:.2} ms, p99 {p99:.2} ms; speed × {:.3} ({})",
            median(ratios.clone()),
            spread(&ratios)
        );
    }
    Ok(())
}

/// What a checkpoint of 100 MB a second costs.
fn checkpoints() -> Result<()> {
    let data = data(25_000_000)?;
    let folder = tempfile::tempdir().map_err(|e| asyncsgd::Error::io("create", "", e))?;
    let path = folder.path().join("run.ckpt");
    let mut ratios = Vec::new();
    for _ in 0..LONG_TURNS {
        let plain = speed(4.0, &data, |trainer| trainer.workers(2), |_| {})?;
        let every = Every::Time(Duration::from_secs(1));
        let kept = speed(4.0, &data, |trainer| trainer.workers(2).checkpoint(&path, every, ""), |_| {})?;
        ratios.push(kept / plain);
    }
    let size = std::fs::metadata(&path).map_or(0, |about| about.len());
    println!(
        "checkpoints of {} MB a second, 2 workers: speed × {:.3} ({})",
        size / 1_000_000,
        median(ratios.clone()),
        spread(&ratios)
    );
    Ok(())
}

fn main() -> Result<()> {
    let chosen = std::env::args().skip(1).find(|word| !word.starts_with('-'));
    let wanted = |name: &str| chosen.as_deref().is_none_or(|chosen| chosen == name);
    for (name, measure) in
        [("reads", reads as fn() -> _), ("snapshots", snapshots), ("checkpoints", checkpoints)]
    {
        if wanted(name) {
            measure()?;
        }
    }
    Ok(())
}

//! What it costs to look into a run while it goes on: reading parameters, whole snapshots, checkpoints.
//!
//! `cargo bench --bench embedding [reads|snapshots|checkpoints]`; what is told of the speed is the median of its ratios
//! between neighbouring moments of one run: two runs of the same differ by more than what is sought.

use asyncsgd::{Dataset, Every, Live, Logistic, Result, Trainer, Weights, data::Synthetic};
use std::hint::black_box;
use std::time::{Duration, Instant};

/// Turns of a comparison.
const TURNS: usize = 7;

/// Seconds of a run that is now watched and now not, and how long at a time.
const SECONDS: f64 = 20.0;
const WINDOW: Duration = Duration::from_millis(300);

const SECOND: Duration = Duration::from_secs(1);

/// Rows of text with this many features, the rare ones hardly ever seen.
fn data(features: usize) -> Result<Dataset> {
    Ok(Synthetic::rcv1(50_000).features(features).generate()?.data.laid_out(0))
}

fn trainer<'a>(seconds: f64) -> Trainer<'a, Logistic> {
    // One evaluation at the start and one at the end.
    let trainer = Trainer::new(Logistic::l2(1e-5)).epochs(1e6).evaluate_every(1_000_000);
    trainer.time_limit(Duration::from_secs_f64(seconds))
}

/// Trains, with something done beside it.
fn train(
    seconds: f64,
    data: &Dataset,
    configure: impl FnOnce(Trainer<'_, Logistic>) -> Trainer<'_, Logistic>,
    beside: impl FnOnce(&Live) + Send,
) -> Result<()> {
    let trainer = configure(trainer(seconds));
    let live = trainer.live();
    std::thread::scope(|scope| {
        scope.spawn(|| beside(&live));
        trainer.run(data).map(drop)
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
        train(
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

/// What whole snapshots of a million parameters take, and how much they slow training: one run, now watched and now not,
/// since two runs differ by more.
fn snapshots() -> Result<()> {
    let data = data(1_000_000)?;
    for hertz in [10.0, 100.0] {
        let (mut ratios, mut times) = (Vec::new(), Vec::new());
        train(
            SECONDS,
            &data,
            |trainer| trainer.workers(2),
            |live| {
                let (mut copy, mut last) = (Vec::new(), 0);
                // Epochs a second for a while, with snapshots or without.
                let mut pace = |watched: bool| {
                    let (begin, epoch) = (Instant::now(), live.epoch());
                    while begin.elapsed() < WINDOW && !live.is_over() {
                        let asked = Instant::now();
                        if watched {
                            let updates = live.snapshot(&mut copy).unwrap_or(0);
                            // Not while nobody trains: those are quicker.
                            if updates > last {
                                times.push(asked.elapsed().as_secs_f64() * 1e3);
                            }
                            last = updates;
                        }
                        let pause = Duration::from_secs_f64(1.0 / hertz);
                        std::thread::sleep(pause.saturating_sub(asked.elapsed()));
                    }
                    (live.epoch() - epoch) / begin.elapsed().as_secs_f64()
                };
                while live.epoch() < 1.0 {
                    std::thread::yield_now();
                }
                while !live.is_over() {
                    let [before, watched, after] = [false, true, false].map(&mut pace);
                    ratios.push(2.0 * watched / (before + after));
                }
                // The run's end is in it.
                ratios.pop();
            },
        )?;
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

/// What a checkpoint of 100 MB a second costs: the second that ends with one, against the one before it, which has none.
fn checkpoints() -> Result<()> {
    // A checkpoint has the parameters twice, the present and the best.
    let data = data(12_500_000)?;
    let folder = tempfile::tempdir().map_err(|e| asyncsgd::Error::io("create", "", e))?;
    let path = folder.path().join("run.ckpt");
    let written = || std::fs::metadata(&path).and_then(|about| about.modified()).ok();
    let every = Every::Time(2 * SECOND);
    let mut ratios = Vec::new();
    train(
        30.0,
        &data,
        |trainer| trainer.workers(2).checkpoint(&path, every, ""),
        |live| {
            let mut course = vec![(Instant::now(), 0.0)];
            let mut last = None;
            while !live.is_over() {
                std::thread::sleep(Duration::from_millis(5));
                let (now, begin) = (Instant::now(), course[0].0);
                course.push((now, live.epoch()));
                let written = written();
                if written != last && now - begin > 2 * SECOND {
                    let at = |t| course[course.partition_point(|&(time, _)| time < t)].1;
                    let [first, middle, end] = [now - 2 * SECOND, now - SECOND, now].map(at);
                    // Not the time in which nobody trains, at the start.
                    if first > 0.0 {
                        ratios.push((end - middle) / (middle - first));
                    }
                }
                last = written;
            }
        },
    )?;
    let size = std::fs::metadata(&path).map_or(0, |about| about.len());
    println!(
        "checkpoints of {} MB a second, 2 workers: speed × {:.3} ({}, {} of them)",
        size / 1_000_000,
        median(ratios.clone()),
        spread(&ratios),
        ratios.len()
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

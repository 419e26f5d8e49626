//! Prediction beside training: one thread scores rows on the parameters while workers change them, another takes whole
//! snapshots; how long both take is told as percentiles.
//!
//! `cargo run --release --example live`

use asyncsgd::delay::Recorder;
use asyncsgd::{Dataset, Logistic, Result, Trainer, Weights};
use std::time::{Duration, Instant};

fn main() -> Result<()> {
    let (train, test) = Dataset::flights(0)?;
    let test = test.binary()?;
    let trainer = Trainer::new(Logistic::default()).epochs(1e6).time_limit(Duration::from_secs(2));
    let live = trainer.live();
    let run = std::thread::scope(|scope| {
        let training = scope.spawn(|| trainer.run(&train));
        scope.spawn(|| {
            // The recorder of delays counts any whole numbers: here nanoseconds.
            let (mut single, mut right, mut n) = (Recorder::new(), 0u64, 0usize);
            while !live.is_over() {
                let Some(params) = live.params() else { continue };
                let row = n % test.len();
                let start = Instant::now();
                let score: f32 = params.dot(test.row(row));
                single.record(start.elapsed().as_nanos() as u64, 1.0);
                right += u64::from(score * test.label(row) > 0.0);
                n += 1;
            }
            tell("prediction (13 features)", &single);
            println!("{:.2} % of {n} predictions were right", 100.0 * right as f64 / n as f64);
        });
        scope.spawn(|| {
            let (mut whole, mut copy) = (Recorder::new(), Vec::new());
            while !live.is_over() {
                let start = Instant::now();
                if live.snapshot(&mut copy).is_some() {
                    whole.record(start.elapsed().as_nanos() as u64, 1.0);
                }
                std::thread::sleep(Duration::from_millis(10));
            }
            tell("whole snapshot", &whole);
        });
        training.join().unwrap()
    })?;
    println!("{}", run.summary());
    Ok(())
}

fn tell(what: &str, times: &Recorder) {
    let times = times.reader().snapshot();
    let [p50, p99, p999] = [0.5, 0.99, 0.999].map(|q| times.quantile(q) as f64 / 1000.0);
    let max = times.max() as f64 / 1000.0;
    println!(
        "{what}: {} times, p50 {p50:.2} µs, p99 {p99:.2} µs, p99.9 {p999:.2} µs, max {max:.2} µs",
        times.count()
    );
}

//! Delays measured: one worker of four is held back on purpose; what its gradients' age does, and what the rule makes
//! of it, worker by worker. Writes the logs that HdrHistogram's tools read.
//!
//! `cargo run --release --example profile [DIR]`

use asyncsgd::delay::{LogWriter, Unit, write_percentiles};
use asyncsgd::{
    BlockSize, Dataset, Logistic, Result, Trainer,
    engine::{Injection, Slow},
};
use std::time::{Duration, SystemTime};

fn main() -> Result<()> {
    let (train, _) = Dataset::flights(0)?;
    let injection = Injection { slow: vec![Slow { worker: 0, factor: 20.0 }], ..Injection::default() };
    let run = Trainer::new(Logistic::default())
        .workers(4)
        .block(BlockSize::Rows(64)) // an update each 64 examples: delays are counted in these
        .epochs(2)
        .profile(true)
        .inject(injection)
        .run(&train)?;
    println!("{}\n", run.summary());
    println!("worker  share      mean      p99      max  kept mass  compute p50");
    let all = run.delays();
    for (number, worker) in run.workers.iter().enumerate() {
        let delays = &worker.delays;
        let compute = worker.timing.as_ref().map_or(0, |timing| timing.compute.quantile(0.5));
        println!(
            "{number:>6} {:>5.1} % {:>9.3} {:>8} {:>8} {:>10.3} {:>9.1} µs",
            100.0 * delays.count() as f64 / all.count() as f64,
            delays.mean(),
            delays.quantile(0.99),
            delays.max(),
            delays.kept_mass(),
            compute as f64 / 1000.0,
        );
    }
    // Busy workers make a mean of n − 1, however slow one of them is.
    println!("mean of all {:.4}, exact for always-busy workers {:.4}", all.mean(), run.expected_mean_delay());
    assert!((all.mean() / run.expected_mean_delay() - 1.0).abs() < 0.05);

    if let Some(folder) = std::env::args_os().nth(1) {
        let folder = std::path::PathBuf::from(folder);
        let io = |e| asyncsgd::Error::io("write", &folder, e);
        std::fs::create_dir_all(&folder).map_err(io)?;
        let file = |name: &str| std::fs::File::create(folder.join(name)).map_err(io);
        let mut log =
            LogWriter::new(file("delays.hlog")?, SystemTime::now(), Unit::Iterations).map_err(io)?;
        let length = Duration::from_secs_f64(run.last().train_seconds);
        for (number, worker) in run.workers.iter().enumerate() {
            log.interval(&number.to_string(), Duration::ZERO, length, &worker.delays).map_err(io)?;
        }
        log.finish().map_err(io)?;
        write_percentiles(&mut file("delays.hgrm")?, &all).map_err(io)?;
    }
    Ok(())
}

//! What is claimed about the engine: real threads.

use asyncsgd::delay::{Trace, Tracer};
use asyncsgd::sim::claims::{Claim, Effort, Row, number};
use asyncsgd::sim::{Examples, Law, Simulation};
use asyncsgd::step::{self, Schedule};
use asyncsgd::{
    BlockSize, Dataset, Error, Linear, Logistic, LogisticLoss, Result, Run, Synthetic, Topology, Trainer,
};
use std::fs::File;
use std::path::PathBuf;

/// The mean delay of real threads, as many as there are cores and more.
pub fn identity(effort: Effort) -> Result<Vec<Row>> {
    let data = data(if effort.quick { 20_000 } else { 100_000 }, effort.seed)?;
    let cores = Topology::detect().cores();
    let one = |times: usize| {
        let workers = (cores * times).max(2);
        let run = Trainer::new(Logistic::l2(1e-5))
            .workers(workers)
            .block(BlockSize::Rows(1))
            .step(step::delay_adaptive(0.1))
            .epochs(3.0)
            .evaluate_every(3)
            .run(&data)?;
        let what = format!(
            "mean delay, {workers} real threads on {cores} cores (longest {}; with its start and end: {})",
            run.delays().max(),
            number(run.expected_mean_delay())
        );
        Ok(Row::near(what, (workers - 1) as f64, run.delays().mean(), 0.02))
    };
    [1, 2, 4].map(one).into_iter().collect()
}

fn data(rows: usize, seed: u64) -> Result<Dataset> {
    let problem = Synthetic::rcv1(rows).features(1000).mean_nonzeros(20.0).seed(seed).generate()?;
    Ok(problem.data.laid_out(seed))
}

/// A file that is removed in the end.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        // Nobody is left to be told.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// A real run's trace, replayed in the simulator.
pub fn against_simulator(effort: Effort) -> Result<Claim> {
    let (rows, seeds) = if effort.quick { (4_000, 5) } else { (20_000, 10) };
    let epochs = 4usize;
    let data = data(rows, effort.seed)?.binary()?;
    let l2 = 1.0 / rows as f64;
    let rule = step::delay_adaptive(1.0).schedule(Schedule::InverseTime { decay: 1.0 });
    let workers = Topology::detect().cores().max(2);
    let mut engine = vec![Vec::new(); epochs];
    let mut simulator = vec![Vec::new(); epochs];
    for seed in effort.seed..effort.seed + seeds {
        let scratch =
            Scratch(std::env::temp_dir().join(format!("asyncsgd-{}-{seed}.trace", std::process::id())));
        let path = &scratch.0;
        let run = traced(&data, l2, rule.clone(), workers, epochs, seed, path)?;
        for epoch in 1..=epochs {
            let iterations = (epoch * data.len()) as u64;
            let linear = Linear::new(data.rows(), data.labels(), LogisticLoss, l2, 0.0, None);
            let replay = Simulation::new(workers, Law::list(vec![1.0; workers])?)
                .step(rule.clone())
                .seed(seed)
                .measure_every(u64::MAX)
                .iterations(iterations)
                .replay(&Examples::new(linear, data.rows()), Trace::open(path)?)?;
            let at_epoch = run.series.iter().find(|point| point.epoch == epoch as f64);
            engine[epoch - 1].push(at_epoch.map_or(f64::NAN, |point| point.objective));
            simulator[epoch - 1].push(replay.end.measure);
        }
    }
    let rows = (1..=epochs).map(|epoch| {
        let (engine, simulator) = (&engine[epoch - 1], &simulator[epoch - 1]);
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        let most = engine.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let least = engine.iter().copied().fold(f64::INFINITY, f64::min);
        let what = format!(
            "objective after epoch {epoch}: replayed (engine, over seeds: {} … {})",
            digits(least),
            digits(most)
        );
        Row::around(what, mean(engine), mean(simulator), most - least)
    });
    Ok(Claim {
        name: super::ENGINE,
        statement: "The engine's inconsistent reads do not matter: a run's delays replayed on consistent \
                    iterates reach the same objective per epoch, within the spread over seeds",
        setup: format!(
            "{workers} threads, generated text-like data of {} rows and {} features, logistic loss, rate \
             1/(1 + epoch), delay-adaptive; mean over {seeds} seeds, the spread is the range",
            data.len(),
            data.features()
        ),
        rows: rows.collect(),
    })
}

fn digits(x: f64) -> String {
    format!("{x:.6}")
}

/// A run of the engine whose trace is written to `path`.
fn traced(
    data: &Dataset,
    l2: f64,
    rule: step::StepRule,
    workers: usize,
    epochs: usize,
    seed: u64,
    path: &PathBuf,
) -> Result<Run<f32>> {
    let write = |e| Error::io("write", path, e);
    let tracer = Tracer::new(File::create(path).map_err(write)?).map_err(write)?;
    let run = Trainer::new(Logistic::l2(l2))
        .workers(workers)
        .block(BlockSize::Rows(1))
        .step(rule)
        .epochs(epochs as f64)
        .seed(seed)
        .trace(&tracer)
        .run(data)?;
    tracer.finish().map_err(write)?;
    Ok(run)
}

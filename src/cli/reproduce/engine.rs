//! What is claimed about the engine: real threads.

use asyncsgd::delay::{Trace, Tracer};
use asyncsgd::sim::claims::{Axis, Chart, Claim, Effort, Row, number};
use asyncsgd::sim::{Examples, Law, Problem, Simulation, Stream};
use asyncsgd::step::{self, Schedule};
use asyncsgd::{
    BlockSize, Dataset, Error, Logistic, Result, Run, Topology, Trainer,
    data::Synthetic,
    model::{Linear, LogisticLoss},
};
use rand::seq::SliceRandom;
use rand_xoshiro::rand_core::SeedableRng;
use std::fs::File;
use std::ops::Range;
use std::path::PathBuf;

/// The mean delay of real threads, as many as there are cores and more.
pub fn identity(effort: Effort) -> Result<Vec<Row>> {
    let data = data(20_000, effort.seed)?;
    // Long against the end, when some workers have no rows left while an interrupted one still has.
    let epochs = if effort.quick { 50u32 } else { 200 };
    let cores = Topology::detect().cores();
    let one = |times: usize| {
        let workers = (cores * times).max(2);
        let run = Trainer::new(Logistic::l2(1e-5))
            .workers(workers)
            .block(BlockSize::Rows(1))
            .step(step::delay_adaptive(0.1))
            .epochs(f64::from(epochs))
            .evaluate_every(epochs as usize)
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

/// What chance does to the mean of paired differences, in its standard errors: of ten pairs more is seen once in a
/// thousand times.
const ERRORS: f64 = 5.0;

/// A real run's trace, replayed in the simulator.
///
/// Everything that a seed changes of a run it changes of its replay too: the layout of the rows, and the order of the
/// chunks from the second epoch on.
pub fn against_simulator(effort: Effort) -> Result<Claim> {
    let (rows, seeds) = if effort.quick { (4_000, 10) } else { (20_000, 20) };
    let epochs = 4usize;
    let l2 = 1.0 / rows as f64;
    let rule = step::delay_adaptive(1.0).schedule(Schedule::InverseTime { decay: 1.0 });
    let workers = Topology::detect().cores().max(2);
    let mut engine = vec![Vec::new(); epochs];
    let mut simulator = vec![Vec::new(); epochs];
    for seed in effort.seed..effort.seed + seeds {
        let data = data(rows, effort.seed)?.binary()?.laid_out(seed);
        let scratch =
            Scratch(std::env::temp_dir().join(format!("asyncsgd-{}-{seed}.trace", std::process::id())));
        let path = &scratch.0;
        let run = traced(&data, l2, rule.clone(), workers, epochs, seed, path)?;
        let linear = Linear::new(data.rows(), data.labels(), LogisticLoss, l2, 0.0, None);
        let visits = Visits {
            examples: Examples::new(linear, data.rows()),
            order: visits(Trace::open(path)?, workers, rows, run.plan.chunk, seed)?,
        };
        let replay = Simulation::new(workers, Law::list(vec![1.0; workers])?)
            .step(rule.clone())
            .seed(seed)
            .measure_every(rows as u64)
            .series()
            .iterations((epochs * rows) as u64)
            .replay(&visits, Trace::open(path)?)?;
        for epoch in 1..=epochs {
            let point = run.series.iter().find(|point| point.epoch == epoch as f64);
            let mark = replay.series.iter().find(|mark| mark.iteration == (epoch * rows) as u64);
            engine[epoch - 1].push(point.map_or(f64::NAN, |point| point.objective));
            simulator[epoch - 1].push(mark.map_or(f64::NAN, |mark| mark.measure));
        }
    }
    let mut chart = Chart::new(Axis::linear("epoch"), Axis::linear("objective"));
    let mut table = Vec::new();
    let mut lines: [Vec<(f64, f64)>; 4] = Default::default();
    for (epoch, (engine, simulator)) in engine.iter().zip(&simulator).enumerate() {
        let epoch = epoch as f64 + 1.0;
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        let most = engine.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let least = engine.iter().copied().fold(f64::INFINITY, f64::min);
        let what = format!(
            "objective after epoch {epoch}: replayed less the engine's, mean (engine {}, over seeds {} … {})",
            digits(mean(engine)),
            digits(least),
            digits(most)
        );
        let deviation = |values: &[f64]| {
            let center = mean(values);
            let squares: f64 = values.iter().map(|value| (value - center).powi(2)).sum();
            (squares / (values.len() as f64 - 1.0)).sqrt()
        };
        let differences: Vec<f64> = simulator.iter().zip(engine).map(|(s, e)| s - e).collect();
        let error = deviation(&differences) / (differences.len() as f64).sqrt();
        // Pairs differ so little that rounding to f32 may be seen; what matters is what another seed does.
        let tolerance = (ERRORS * error).max(deviation(engine));
        table.push(Row::around(what, 0.0, mean(&differences), tolerance));
        let values = [mean(engine), least, most, mean(simulator)];
        lines.iter_mut().zip(values).for_each(|(line, value)| line.push((epoch, value)));
    }
    let names = ["engine, mean", "engine, least", "engine, largest", "replayed, mean"];
    names.into_iter().zip(lines).for_each(|(name, line)| chart.line(name, line));
    Ok(Claim {
        name: super::ENGINE,
        statement: "The engine's inconsistent reads do not matter: a run's delays replayed on consistent \
                    iterates reach the same objective per epoch",
        setup: format!(
            "{workers} threads, generated text-like data of {rows} rows and 1000 features, logistic loss, rate \
             1/(1 + epoch), delay-adaptive; mean over {seeds} seeds, each with a layout of the rows of its own; \
             tolerance: the standard deviation over the engine's seeds, or {ERRORS} standard errors of the paired \
             differences where that is more"
        ),
        rows: table,
        chart,
    })
}

/// Examples, visited in the order of a real run.
struct Visits<P> {
    examples: P,
    /// The row of each iteration.
    order: Vec<u32>,
}

/// The row of each iteration of a trace: a worker goes through a chunk of rows, and takes the next when it is through.
/// The chunks come as they lie in the first epoch, and are shuffled in the others.
fn visits(trace: Trace, workers: usize, rows: usize, chunk: usize, seed: u64) -> Result<Vec<u32>> {
    let mut rng = Stream::seed_from_u64(seed);
    let mut left: Vec<u32> = (0..rows as u32).step_by(chunk).rev().collect();
    let mut own: Vec<Range<u32>> = vec![0..0; workers];
    let mut order = Vec::new();
    for update in trace {
        let at = update?.worker as usize;
        if own[at].is_empty() {
            if left.is_empty() {
                left = (0..rows as u32).step_by(chunk).collect();
                left.shuffle(&mut rng);
            }
            let start = left.pop().unwrap_or(0);
            own[at] = start..(start + chunk as u32).min(rows as u32);
        }
        order.push(own[at].next().unwrap_or(0));
    }
    Ok(order)
}

impl<P: Problem> Problem for Visits<P> {
    fn dimension(&self) -> usize {
        self.examples.dimension()
    }

    fn start(&self) -> Vec<f64> {
        self.examples.start()
    }

    fn epoch(&self) -> f64 {
        self.examples.epoch()
    }

    fn draw(&self, _: usize, number: u64, _: &mut Stream) -> u64 {
        self.order[number as usize].into()
    }

    fn gradient(&self, worker: usize, sample: u64, x: &[f64], stream: &mut Stream, gradient: &mut [f64]) {
        self.examples.gradient(worker, sample, x, stream, gradient);
    }

    fn measure(&self, x: &[f64]) -> f64 {
        self.examples.measure(x)
    }
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

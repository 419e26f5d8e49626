//! `asyncsgd bench roofline`: what the machine can do, and how much of it training reaches.

use super::MOST_REPEATS;
use super::conditions::{self, Watch};
use crate::cli::load::Source;
use crate::cli::options::{DataArgs, InputArgs};
use crate::cli::output::Output;
use crate::cli::progress::Bar;
use crate::cli::value::{self, Check, Given};
use crate::cli::{gather, help, print};
use asyncsgd::record::{self, Pass, Predicted, Roofline, Spread, Traffic};
use asyncsgd::report::{self, Style};
use asyncsgd::roofline::{self, plain_pass};
use asyncsgd::step::Schedule;
use asyncsgd::{
    BlockSize, Dataset, Logistic, Objective, Result, Trainer, Update,
    engine::Plan,
    model::{LossKind, Model},
};
use std::path::PathBuf;

/// Measure what the machine can do, and how much of it training reaches
#[derive(clap::Args, Debug)]
#[command(after_help = help::ROOFLINE)]
pub struct Args {
    #[command(flatten)]
    input: InputArgs,
    /// How often each measurement is repeated; they take turns
    #[arg(long, value_name = "N", default_value = "5", value_parser = value::count())]
    repeats: Given<usize>,
    /// Write everything as JSON; - is standard output, without the tables
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Block sizes of the two workers whose traffic is measured.
const BLOCKS: [usize; 5] = [1, 16, 64, 256, 1024];

/// Numbers of workers that the model is asked about.
const WORKERS: [usize; 6] = [2, 4, 8, 16, 32, 64];

/// Bytes of a nonzero: its feature and its value.
const NONZERO: f64 = 8.0;

/// Passes of one measurement, all timed together.
const PASSES: usize = 2;

/// Workers, mode and block of a measurement.
type Setup = (usize, Update, BlockSize);

/// Runs the command.
///
/// # Errors
/// Everything that can be wrong with options, data and outputs.
pub fn run(args: Args) -> Result<u8> {
    let mut check = Check::default();
    let repeats = check.take(args.repeats);
    check.require(
        repeats <= MOST_REPEATS,
        format!("--repeats: found {repeats}, expected at most {MOST_REPEATS}"),
    );
    let data = DataArgs { input: args.input, test: None, test_labels: None, test_fraction: None };
    let source = Source::check(&mut check, data, false);
    check.finish()?;
    let json = args.json.map(|path| Output::check(&path, &source.inputs())).transpose()?;
    let quiet = json.as_ref().is_some_and(Output::is_stdout);
    let bar = Bar::new(quiet);
    bar.say("loading");
    let (data, _) = source.load(LossKind::Logistic, 0)?;
    let roofline = measure(&data, source.data.is_none(), repeats, &bar)?;
    bar.clear();
    for warning in &roofline.warnings {
        crate::cli::say(format_args!("warning: {warning}"));
    }
    if let Some(json) = &json {
        json.write(|out| report::write_json(out, &roofline))?;
    }
    if !quiet {
        print(|out, colour| report::write_roofline(out, &roofline, Style { colour }))?;
    }
    Ok(0)
}

fn measure(data: &Dataset, embedded: bool, repeats: usize, bar: &Bar) -> Result<Roofline> {
    let cores = asyncsgd::Topology::detect().cores();
    let mut watch = Watch::new();
    watch.yardstick();
    let read_bandwidth = [roofline::read_bandwidth(1), roofline::read_bandwidth(cores)];
    let (exchange, bookkeeping) = (roofline::exchange(), roofline::bookkeeping());
    let (dense_shared, dense_plain) = roofline::dense();

    let racy = |workers, block| (workers, Update::Racy, BlockSize::Rows(block));
    let all = |update, block| (cores, update, block);
    let mut setups: Vec<Setup> = vec![
        racy(1, 1),
        all(Update::Cas, BlockSize::Rows(1)),
        all(Update::Racy, BlockSize::Auto),
        all(Update::Cas, BlockSize::Auto),
    ];
    let told = setups.len();
    // Rows without values move no lines.
    let pairs = cores > 1 && data.nonzeros() > 0;
    let blocks: Vec<usize> = BLOCKS.into_iter().filter(|&block| pairs && 4 * block <= data.len()).collect();
    setups.extend(blocks.iter().flat_map(|&block| [racy(1, block), racy(2, block)]));
    let objective = Model::<f32>::bind(&Logistic::default(), data)?;
    let mut plans: Vec<Option<Plan>> = vec![None; setups.len()];
    let mut seconds: Vec<Vec<f64>> = vec![Vec::new(); setups.len() + 1];
    // Once more than is timed: the first warms caches and the processor up.
    for repeat in 0..=repeats {
        let mut weights = vec![0f32; data.features()];
        let mut times = Vec::with_capacity(seconds.len());
        for (at, &setup) in setups.iter().enumerate() {
            bar.count(repeat * setups.len() + at, (repeats + 1) * setups.len());
            let (time, plan) = train(data, setup)?;
            if at == 0 {
                let rate = plan.step.rate as f32;
                let passes = (0..PASSES).map(|_| plain_pass(&objective, rate, &mut weights).as_secs_f64());
                times.push(passes.sum::<f64>() / PASSES as f64);
            }
            times.push(time);
            plans[at] = Some(plan);
        }
        if repeat > 0 {
            seconds.iter_mut().zip(times).for_each(|(seconds, time)| seconds.push(time));
        }
    }
    let plans: Vec<Plan> = plans.into_iter().flatten().collect();
    let (plain, seconds) = seconds.split_first().expect("the plain loop is always timed");

    let nonzeros = Objective::<f32>::nonzeros(&objective) as f64;
    let pass = |name: String, workers: usize, times: &[f64], updates: f64| {
        let spread = Spread::of(times.iter().copied());
        let bandwidth = read_bandwidth[usize::from(workers > 1)];
        Pass {
            name,
            seconds: spread,
            nonzeros_per_second: nonzeros / spread.median,
            of_plain: Spread::of(plain.iter().zip(times).map(|(plain, time)| plain / time)),
            of_bandwidth: NONZERO * nonzeros / spread.median / bandwidth,
            of_exchange: 1e-9 * exchange.single * nonzeros / spread.median / workers as f64,
            bookkeeping: 1e-9 * bookkeeping * updates / spread.median / workers as f64,
        }
    };
    let mut passes = vec![pass("plain floats".into(), 1, plain, 0.0)];
    for ((&(workers, update, _), plan), times) in setups.iter().zip(&plans).zip(seconds).take(told) {
        let block = if plan.block > 1 { format!("blocks of {}", plan.block) } else { "direct".into() };
        let plural = if workers == 1 { "" } else { "s" };
        // One worker's direct updates are counted by the chunk.
        let counted = if workers > 1 { plan.block } else { plan.chunk };
        let updates = data.len().div_ceil(counted) as f64;
        passes.push(pass(format!("{workers} worker{plural}, {update}, {block}"), workers, times, updates));
    }

    let model = roofline::Traffic::new(data.counts(), data.len(), size_of::<f32>());
    let per_example = |times: &[f64]| Spread::of(times.iter().copied()).median * 1e9 / data.len() as f64;
    let pairs = blocks.iter().zip(seconds[told..].chunks(2)).zip(plans[told..].chunks(2));
    let traffic: Vec<Traffic> = pairs
        .map(|((&block, times), plans)| {
            let (hot, alone, both) = (plans[1].hot, per_example(&times[0]), 2.0 * per_example(&times[1]));
            let lines = model.per_example(2, block, hot);
            Traffic { block, hot, lines, alone, both, per_line: (both - alone) / lines }
        })
        .collect();
    let mut roofline = Roofline {
        schema: record::VERSION,
        program: gather::program(),
        machine: gather::machine(cores),
        data: gather::data(data, embedded),
        conditions: watch.finish(),
        read_bandwidth,
        exchange: record::Exchange {
            racy: exchange.racy,
            single: exchange.single,
            packed: exchange.packed,
            contended: exchange.contended,
        },
        bookkeeping,
        dense_shared: dense(dense_shared),
        dense_plain: dense(dense_plain),
        passes,
        predicted: predict(&model, &traffic, data)?,
        traffic,
        warnings: Vec::new(),
    };
    roofline.warnings = conditions::doubts(&roofline.conditions);
    Ok(roofline)
}

/// Seconds of a pass, and the plan.
fn train(data: &Dataset, setup: Setup) -> Result<(f64, Plan)> {
    let run = trainer(setup).run(data)?;
    Ok((run.last().train_seconds / PASSES as f64, run.plan))
}

fn trainer((workers, update, block): Setup) -> Trainer<'static, Logistic> {
    // The rate stays, so that blocks keep their length; the objective is computed at the end only.
    let trainer = Trainer::new(Logistic::default()).workers(workers).update(update).block(block);
    trainer.schedule(Schedule::Constant).epochs(PASSES as f64).evaluate_every(PASSES)
}

fn dense(dense: roofline::Dense) -> record::Dense {
    record::Dense { dot: dense.dot, axpy: dense.axpy, copy_out: dense.copy_out }
}

/// What the model says of more workers, with the time of a line that was measured.
fn predict(model: &roofline::Traffic, traffic: &[Traffic], data: &Dataset) -> Result<Vec<Predicted>> {
    let (Some(per_line), Some(last)) = (line_time(traffic), traffic.last()) else { return Ok(Vec::new()) };
    let predicted = WORKERS.into_iter().map(|workers| {
        let Plan { block, hot, .. } = trainer((workers, Update::Cas, BlockSize::Auto)).plan(data)?;
        let lines = model.per_example(workers, block, hot);
        let speed_up = workers as f64 * last.alone / (last.alone + lines * per_line);
        let limit = 1e9 / (per_line * model.busiest(workers, block, hot));
        Ok(Predicted { workers, block, hot, lines, speed_up, limit })
    });
    predicted.collect()
}

/// The median of the time of a line over the blocks.
fn line_time(traffic: &[Traffic]) -> Option<f64> {
    if traffic.is_empty() {
        return None;
    }
    Some(Spread::of(traffic.iter().map(|row| row.per_line)).median.max(1.0))
}

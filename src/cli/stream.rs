//! `asyncsgd stream`.

use super::interrupt;
use super::load::Cache;
use super::output::Output;
use super::rule::DelayRule;
use super::value::{self, Check, Given};
use asyncsgd::data::{Columns, Stored};
use asyncsgd::delay::Profile;
use asyncsgd::report::count;
use asyncsgd::step::{Schedule, StepRule};
use asyncsgd::{
    Batches, Error, Feed, Hogwild, Online, Params, Result, Rows, SavedModel, Update,
    engine::{StreamRun, Streamed},
    model::{Loss, LossKind, Precision},
    stream,
};
use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Examples in the unit of the schedule's time.
const UNIT: f64 = 1e5;

/// Batches of up to 64 kB of text that wait for the workers at most.
const WAITING: usize = 64;

/// A mean loss so many times that without a model tells of a rate that is too high.
const DIVERGED: f64 = 4.0;

/// Train a linear model on text of any length, in bounded memory
#[derive(clap::Args, Debug)]
#[command(after_help = super::help::STREAM)]
pub struct Args {
    /// LIBSVM text, plain or compressed; - is standard input. Labels of classifiers: -1 or 0, and 1
    data: PathBuf,
    /// The number of features [default: counted in a pass before; needed with standard input and pipes]
    #[arg(long, value_name = "N", value_parser = value::count())]
    features: Option<Given<usize>>,
    /// The loss; no penalty is added
    #[arg(long, value_name = "LOSS", default_value = "logistic", value_parser = value::one_of(&LossKind::ALL))]
    loss: Given<LossKind>,
    /// Worker threads, beside the one that reads [default: the cores that we may use]
    #[arg(long, short = 'j', value_name = "N", value_parser = value::count())]
    workers: Option<Given<usize>>,
    /// How an addition reaches a shared parameter: cas, racy or locked
    #[arg(long, value_name = "MODE", default_value = "cas", value_parser = value::one_of(&Update::ALL))]
    update: Given<Update>,
    /// How a gradient's delay τ changes its step, as of train
    #[arg(long, value_name = "RULE", default_value = "delay-adaptive", value_parser = value::value::<DelayRule>())]
    step: Given<DelayRule>,
    /// The base rate
    #[arg(long, value_name = "ETA", default_value = "0.5", value_parser = value::positive())]
    rate: Given<f64>,
    /// How the rate changes with the time, in units of 100,000 examples
    #[arg(long, value_name = "S", default_value = "inverse-sqrt:1", value_parser = value::value::<Schedule>())]
    schedule: Given<Schedule>,
    /// Passes over the file
    #[arg(long, value_name = "N", default_value = "1", value_parser = value::count())]
    passes: Given<usize>,
    /// Feature indices start from 0, not 1
    #[arg(long)]
    zero_based: bool,
    /// Where the parsed rows are kept for all passes and the next run: a directory, none, or auto (asyncsgd in the user's
    /// cache directory)
    #[arg(long, value_name = "DIR", default_value = "none")]
    cache: Cache,
    /// Save the model: .safetensors, or LIBLINEAR text when it ends in .model
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    /// No progress and no report
    #[arg(long, short)]
    quiet: bool,
}

/// Runs the command.
///
/// # Errors
/// Where options or data are bad, or the model cannot be written.
pub fn run(args: Args) -> Result<u8> {
    let mut check = Check::default();
    let (loss, passes, rate) = (check.take(args.loss), check.take(args.passes), check.take(args.rate));
    let (update, schedule) = (check.take(args.update), check.take(args.schedule));
    let DelayRule { weight, concurrency } = check.take(args.step);
    let (features, workers) = (check.option(args.features), check.option(args.workers));
    let stdin = args.data == Path::new("-");
    let special = |about: Metadata| !about.is_file() && !about.is_dir();
    let piped = stdin || std::fs::metadata(&args.data).is_ok_and(special);
    let once = if stdin { "standard input" } else { "a pipe" };
    check.require(
        !(piped && features.is_none()),
        format!("--features: expected a number, as {once} is read once"),
    );
    check.require(!(piped && passes != 1), format!("--passes: expected 1, as {once} is read once"));
    let folder = args.cache.folder();
    check.require(!(piped && folder.is_some()), format!("--cache: expected none, as {once} is read once"));
    let leashed = matches!(update, Update::Leashed { .. });
    check.require(!leashed, "--update: found leashed, expected cas, racy or locked");
    check.finish()?;
    if let Some(path) = &args.save {
        Output::check(path, &[&args.data])?;
        asyncsgd::model::ModelFormat::of(path)?;
    }
    let (zero_based, binary) = (args.zero_based, loss.is_classification());
    let stored =
        folder.map(|folder| Stored::of(&args.data, folder, features, zero_based, binary)).transpose()?;
    let features = match (&stored, features) {
        (Some(stored), _) => stored.features(),
        (None, Some(features)) => features,
        (None, None) => Batches::features(&args.data, zero_based)?,
    };
    let rule = StepRule { concurrency, ..StepRule::new(rate, weight).schedule(schedule) };
    let workers = workers.unwrap_or_else(|| asyncsgd::Topology::detect().cores());
    let shared = Hogwild::<f32>::with(Params::fitting(features)?, rule, workers, update, UNIT)?;
    let interrupt = interrupt::flag();
    let (mut told, mut delays, mut failed, mut start) = (Vec::new(), Profile::default(), None, 0.0);
    for _ in 0..passes {
        let batches: Rowed = match &stored {
            Some(stored) => Box::new(stored.batches()),
            None => {
                let batches = Batches::open(&args.data, features, zero_based)?;
                Box::new(if binary { batches.binary() } else { batches })
            }
        };
        let (feed, examples) = stream(features, WAITING);
        let (mut last, quiet, stopped) = (Instant::now(), args.quiet, Arc::clone(&interrupt));
        let online = Online::new(loss).workers(workers);
        let live = online.live();
        let online = online.observe(move |now| {
            if stopped.load(Ordering::Relaxed) {
                live.stop();
            }
            if !quiet && last.elapsed() >= Duration::from_secs(1) {
                last = Instant::now();
                super::say(progress(&now));
            }
        });
        let refused = |source| Error::Thread { thread: "the reader of the text".into(), source };
        let reading =
            std::thread::Builder::new().spawn(move || read(batches, loss, &feed)).map_err(refused)?;
        let run = online.run(&shared, examples)?;
        // The end of the stream is that of the text, or the reader's error. Where workers ended it the reader may wait for
        // text that never comes.
        if !run.stopped {
            match reading.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)) {
                Ok(loss) => start = loss,
                Err(error) => failed = Some(error),
            }
        }
        run.workers.iter().for_each(|worker| delays.merge(&worker.delays));
        told.push(run);
        if failed.is_some() || interrupt.load(Ordering::Relaxed) {
            break;
        }
    }
    let examples: u64 = told.iter().map(|run: &StreamRun| run.examples).sum();
    if examples == 0 && !interrupt.load(Ordering::Relaxed) {
        let name = if stdin { "<stdin>".to_owned() } else { args.data.display().to_string() };
        let none = || Error::input(name, 0, 0, "no rows", "at least one (label index:value …)");
        return Err(failed.unwrap_or_else(none));
    }
    let weights = shared.params().snapshot();
    if weights.iter().any(|w| !w.is_finite()) {
        super::say("diverged: a lower --rate may help");
        return failed.map_or(Ok(1), Err);
    }
    if let Some(last) = told.last().filter(|run| start > 0.0 && run.loss > DIVERGED * start) {
        let (loss, lower) = (last.loss, "a lower --rate may help");
        super::say(format_args!(
            "warning: the mean loss is {loss:.3e}, at the start it was {start:.3e}: {lower}"
        ));
    }
    if let Some(path) = &args.save {
        model(loss, &weights, (&args.data, args.zero_based), examples).save(path)?;
    }
    if let Some(error) = failed {
        if let Some(path) = &args.save {
            let (examples, path) = (count(examples), path.display());
            super::say(format!(
                "what was learnt before the error, from {examples} examples, is saved in {path}"
            ));
        }
        return Err(error);
    }
    if !args.quiet {
        super::print(|out, _| {
            for (pass, run) in (1..).zip(&told) {
                writeln!(out, "pass {pass:<3} {}", progress(&streamed(run)))?;
            }
            writeln!(
                out,
                "delay    mean {:.3}, p99 {}, max {}; kept {:.3}; {workers} workers, {} features",
                delays.mean(),
                delays.quantile(0.99),
                delays.max(),
                delays.kept_mass(),
                count(features as u64)
            )
        })?;
    }
    Ok(if interrupt.load(Ordering::Relaxed) { interrupt::EXIT } else { 0 })
}

/// Rows with their labels, batch by batch.
type Rowed = Box<dyn Iterator<Item = Result<(Rows, Vec<f32>)>> + Send>;

fn streamed(run: &StreamRun) -> Streamed {
    Streamed { examples: run.examples, loss: run.loss, seconds: run.seconds }
}

fn progress(now: &Streamed) -> String {
    let speed = now.examples as f64 / now.seconds.max(1e-9);
    format!(
        "{} examples in {:.2} s ({:.3e}/s), mean loss {:.6} before each was learnt",
        count(now.examples),
        now.seconds,
        speed,
        now.loss
    )
}

/// Feeds batches until they end or nobody learns from them any more. Their mean loss without a model.
fn read(batches: Rowed, loss: LossKind, feed: &Feed) -> Result<f64> {
    let (mut sum, mut count) = (0.0, 0);
    for batch in batches {
        let (rows, labels) = batch?;
        sum += labels.iter().map(|&y| loss.loss(0.0, f64::from(y))).sum::<f64>();
        count += labels.len();
        if feed.send(rows, labels).is_err() {
            break;
        }
    }
    Ok(sum / count.max(1) as f64)
}

fn model(loss: LossKind, weights: &[f32], (data, zero_based): (&Path, bool), examples: u64) -> SavedModel {
    let provenance = [
        ("program", concat!("asyncsgd ", env!("CARGO_PKG_VERSION")).to_owned()),
        ("data", data.display().to_string()),
        ("examples", examples.to_string()),
    ];
    SavedModel {
        loss,
        l2: Some(0.0),
        l1: Some(0.0),
        classes: if loss.is_classification() { vec![-1.0, 1.0] } else { Vec::new() },
        weights: weights.iter().map(|&w| f64::from(w)).collect(),
        bias: Vec::new(),
        one_based: !zero_based,
        columns: Columns::default(),
        precision: Precision::F32,
        provenance: provenance.map(|(key, value)| (key.to_owned(), value)).into(),
    }
}

//! `asyncsgd bench`: configurations side by side, their runs interleaved.

mod args;
mod baseline;
mod conditions;
mod roofline;
mod sweep;

use super::load::Source;
use super::models::{self, Kind, Visit};
use super::options::Training;
use super::output::Output;
use super::progress::Bar;
use super::value::Check;
use super::{help, interrupt, print};
use args::{BenchArgs, OutputArgs, RunArgs};
use asyncsgd::record::Bench;
use asyncsgd::report::{self, Style};
use asyncsgd::{
    BlockSize, Error, Real, Result, Update,
    model::{LossKind, ModelSpec},
};
use baseline::Baseline;
use std::fs;
use std::path::{Path, PathBuf};
use sweep::Sweep;

/// Time configurations side by side, their runs interleaved
#[derive(clap::Args, Debug)]
#[command(after_help = help::BENCH, args_conflicts_with_subcommands = true)]
pub struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    bench: BenchArgs,
}

#[derive(clap::Subcommand, Debug)]
enum Command {
    Roofline(roofline::Args),
}

/// f* of the embedded flights with the default objective: logistic loss, l2 = 1/rows, no intercept. By Newton's
/// method in double precision, to a gradient norm below 1e-13.
const FLIGHTS_OPTIMUM: f64 = 0.444_205_123_531_701_3;

/// What will be done: arguments, checked.
struct Plan {
    source: Source,
    /// The first is the reference.
    cases: Vec<Training>,
    repeats: usize,
    warm_up: usize,
    optimum: Option<f64>,
    target: Option<f64>,
    json: Option<Output>,
    csv: Option<Output>,
    report: Option<Output>,
    profile: Option<PathBuf>,
    save: Option<String>,
    baseline: Option<(String, Baseline)>,
    quiet: bool,
}

impl Plan {
    fn new(args: BenchArgs) -> Result<Self> {
        let mut check = Check::default();
        let BenchArgs { data, model, objective, sweep, step, run, output } = args;
        let misplaced = Path::new("roofline");
        if data.input.data.as_deref() == Some(misplaced) && !misplaced.exists() {
            let line = "roofline: found options before it, expected them after it (asyncsgd bench roofline --repeats 5)";
            return Err(Error::usage(line));
        }
        let source = Source::check(&mut check, data, objective.intercept);
        let cases = sweep.cases(&mut check, (&source, model), objective, step)?;
        let RunArgs { repeats, warm_up, optimum, target_gap, target_objective } = run;
        let (repeats, warm_up) = (check.take(repeats), check.take(warm_up));
        let optimum = check.option(optimum).or_else(|| known_optimum(&source, cases.first()?));
        let (gap, objective) = (check.option(target_gap), check.option(target_objective));
        check.require(
            gap.is_none() || objective.is_none(),
            "--target-gap and --target-objective: found both, expected one",
        );
        check.require(
            gap.is_none() || optimum.is_some(),
            "--target-gap: found no optimum, expected --optimum (it is known for the embedded flights with their \
             default objective)",
        );
        check.require(repeats <= MOST_REPEATS, format!("--repeats: found {repeats}, expected at most 100"));
        check.require(warm_up <= MOST_REPEATS, format!("--warm-up: found {warm_up}, expected at most 100"));
        let OutputArgs { json, csv, report, profile, save_baseline, baseline, quiet } = output;
        for name in save_baseline.iter().chain(&baseline) {
            check.result(baseline::path(name))?;
        }
        check.finish()?;
        // The file system is asked when the options make sense.
        let outputs = [&json, &csv, &report].into_iter().flatten().map(PathBuf::as_path);
        Output::distinct(&outputs.collect::<Vec<_>>())?;
        let inputs = source.inputs();
        let file = |path: Option<PathBuf>| path.map(|path| Output::check(&path, &inputs)).transpose();
        let (json, csv, report) = (file(json)?, file(csv)?, file(report)?);
        let stdout = [&json, &csv, &report].into_iter().flatten().filter(|file| file.is_stdout()).count();
        if stdout > 1 {
            return Err(Error::usage("--json, --csv, --report: found '-' more than once, expected it once"));
        }
        let baseline = baseline.map(|name| Baseline::read(&name).map(|kept| (name, kept))).transpose()?;
        if let Some(folder) = &profile {
            make_folder(folder, &inputs)?;
        }
        let target = objective.or(gap.zip(optimum).map(|(gap, optimum)| optimum * (1.0 + gap)));
        let quiet = quiet || stdout > 0;
        let (save, target) = (save_baseline, target);
        Ok(Self {
            source,
            cases,
            repeats,
            warm_up,
            optimum,
            target,
            json,
            csv,
            report,
            profile,
            save,
            baseline,
            quiet,
        })
    }

    fn bench<T: Real, K: Kind>(&self, kind: &K) -> Result<u8> {
        let bar = Bar::new(self.quiet);
        bar.say("loading");
        let start = std::time::Instant::now();
        let (data, test) = kind.load(&self.source, &self.cases[0])?;
        let load_seconds = start.elapsed().as_secs_f64();
        let sweep = Sweep { plan: self, kind, data: &data, test: test.as_ref(), load_seconds };
        sweep.check::<T>()?;
        let settings = sweep.settings();
        if let Some((name, baseline)) = &self.baseline {
            baseline.check(name, &settings)?;
        }
        let flag = interrupt::flag();
        let Some(mut bench) = sweep.run::<T>(settings, &bar, &flag)? else {
            bar.clear();
            crate::cli::say("error: interrupted before each case had run once: there is nothing to tell");
            return Ok(interrupt::EXIT);
        };
        bar.clear();
        if let Some((name, baseline)) = &self.baseline {
            bench.baseline = Some(name.clone());
            baseline.compare(&mut bench);
        }
        let whole = bench.repeats == self.repeats;
        if !whole {
            let left =
                [(self.save.is_some(), "; baseline not saved"), (self.profile.is_some(), "; no profile")];
            let left: String = left.into_iter().filter_map(|(wanted, what)| wanted.then_some(what)).collect();
            let line = format!("interrupted after {} of {} repeats{left}", bench.repeats, self.repeats);
            bench.warnings.insert(0, line);
        }
        self.write(&bench)?;
        if !whole {
            return Ok(interrupt::EXIT);
        }
        if let Some(name) = &self.save {
            baseline::save(name, &bench)?;
        }
        Ok(0)
    }

    fn write(&self, bench: &Bench) -> Result<()> {
        for warning in &bench.warnings {
            crate::cli::say(format_args!("warning: {warning}"));
        }
        if let Some(json) = &self.json {
            json.write(|out| report::write_json(out, bench))?;
        }
        if let Some(csv) = &self.csv {
            csv.write(|out| report::write_bench_csv(out, bench))?;
        }
        if let Some(page) = &self.report {
            page.write(|out| report::write_bench_html(out, bench))?;
        }
        if !self.quiet {
            print(|out, colour| report::write_bench(out, bench, Style { colour }))?;
        }
        Ok(())
    }
}

impl Visit for Plan {
    fn visit<T: Real, K: Kind>(&self, kind: &K) -> Result<u8> {
        self.bench::<T, K>(kind)
    }
}

/// The most repeats, and the most rounds before them.
const MOST_REPEATS: usize = 100;

/// The optimum, where the program knows it.
fn known_optimum(source: &Source, training: &Training) -> Option<f64> {
    let default = source.data.is_none()
        && source.test_fraction.is_none()
        && training.model == ModelSpec::Linear
        && !source.intercept
        && training.loss == LossKind::Logistic
        && training.l2.is_none()
        && training.l1 == 0.0;
    default.then_some(FLIGHTS_OPTIMUM)
}

/// Makes the folder of the profiles, before the work whose result goes there.
fn make_folder(folder: &Path, inputs: &[&Path]) -> Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    Output::check(folder, inputs)?;
    fs::create_dir(folder).map_err(|e| Error::io("create", folder, e))
}

/// One worker, racy, direct: what every other case is compared with.
fn is_reference(training: &Training) -> bool {
    let direct = match training.block {
        BlockSize::Rows(rows) => rows == 1,
        // Where an example has few of the parameters, one worker works on no copy.
        BlockSize::Auto => {
            let model = &training.model;
            matches!(model, ModelSpec::Linear | ModelSpec::Machine(_) | ModelSpec::FieldMachine(_))
        }
    };
    training.workers == 1 && training.update == Update::Racy && direct
}

/// Runs the command.
///
/// # Errors
/// Everything that can be wrong with options, data, baselines and outputs.
pub fn run(args: Args) -> Result<u8> {
    match args.command {
        Some(Command::Roofline(args)) => roofline::run(args),
        None => {
            let plan = Plan::new(args.bench)?;
            models::visit(&plan.cases[0], &plan)
        }
    }
}

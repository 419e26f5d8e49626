//! `asyncsgd train`.

use super::checkpoint::{self, CheckpointArgs, Checkpoints};
use super::fit::{FitArgs, Fitter};
use super::gather::{Choice, Context};
use super::instruments::{Instruments, TroubleArgs, WatchArgs};
use super::interrupt::{self, Interrupt};
use super::load::Source;
use super::models::{self, Kind, Visit};
use super::options::{DataArgs, ModelArgs, ObjectiveArgs, StepArgs, StopArgs, Training, WorkerArgs};
use super::output::Output;
use super::penalties::Penalties;
use super::progress::Bar;
use super::rule::DelayRule;
use super::value::Check;
use super::{print, profile, search};
use asyncsgd::record::Record;
use asyncsgd::report::{self, Style};
use asyncsgd::{Algorithm, Real, Result, Run, Stop, model::ModelSpec};
use std::path::PathBuf;
use std::time::Instant;

/// Train a model and report its objective, its speed and its delays
#[derive(clap::Args, Debug)]
#[command(after_help = super::help::TRAIN)]
pub struct Args {
    #[command(flatten)]
    data: DataArgs,
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    objective: ObjectiveArgs,
    #[command(flatten)]
    fit: FitArgs,
    #[command(flatten)]
    workers: WorkerArgs,
    #[command(flatten)]
    step: StepArgs,
    #[command(flatten)]
    stop: StopArgs,
    #[command(flatten)]
    write: WriteArgs,
    #[command(flatten)]
    watch: WatchArgs,
    #[command(flatten)]
    checkpoint: CheckpointArgs,
}

/// What to write.
#[derive(clap::Args, Debug)]
#[command(next_help_heading = "Output")]
struct WriteArgs {
    /// Save the model: .safetensors, or for a linear one LIBLINEAR text where the name ends in .model
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    /// Write everything that the run tells as JSON; - is standard output, without the report
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// No progress and no report; warnings and errors remain
    #[arg(long, short)]
    quiet: bool,
}

/// What will be done: arguments, checked.
#[derive(Clone)]
pub struct Plan {
    source: Source,
    pub(super) training: Training,
    /// The strengths of the L2 penalty, where they are a path.
    pub(super) path: Option<Penalties>,
    pub(super) folds: Option<usize>,
    pub(super) save: Option<PathBuf>,
    pub(super) json: Option<Output>,
    pub(super) quiet: bool,
    instruments: Instruments,
    checkpoints: Checkpoints,
    /// Whether nothing is said of when to stop.
    open: bool,
    /// Whether to show the delays while the run goes on.
    live: bool,
    /// Step rules to compare; otherwise there is one run.
    rules: Vec<DelayRule>,
}

/// The data, and how long loading them took.
pub struct Loaded<D> {
    pub train: D,
    pub test: Option<D>,
    pub seconds: f64,
    /// What Ctrl-C sets from now on, in the first run or a later one.
    pub interrupt: Interrupt,
}

/// What came of a run.
pub struct Trained<T: Real> {
    pub run: Run<T>,
    pub record: Record,
    /// Whether `q` was pressed.
    pub quit: bool,
}

impl Plan {
    /// Checks the arguments, those of `asyncsgd profile` if there is `trouble`.
    ///
    /// # Errors
    /// A line for each option that is wrong, or what the file system says.
    pub fn new(args: Args, trouble: Option<TroubleArgs>) -> Result<Self> {
        let mut check = Check::default();
        let mut source = Source::check(&mut check, args.data, args.objective.intercept);
        source.scale = check.option(args.fit.scale);
        let open = args.stop.epochs.is_none() && args.stop.time_limit.is_none();
        let (weights, folds) = (check.option(args.fit.class_weight), check.option(args.fit.folds));
        let path = args.objective.l2.as_ref().and_then(|given| given.good());
        let path = path.filter(|path| path.path().is_some()).cloned();
        let options = (args.objective, args.workers, args.step, args.stop);
        let mut training = Training::check(&mut check, options, weights)?;
        check.require(folds != Some(1), "--folds: found 1, expected 2 or more");
        training.take_model(&mut check, args.model, &source);
        let linear = training.model == ModelSpec::Linear;
        source.multiclass = linear;
        check.require(
            linear || training.class_weights.is_none(),
            format!("--class-weight: expected none for {}", training.model),
        );
        let rows = !matches!(
            training.model,
            ModelSpec::Factorization { .. } | ModelSpec::FieldMachine(_) | ModelSpec::SkipGram(..)
        );
        check.require(
            rows || source.scale.is_none(),
            format!("--scale: expected none for {}", training.model),
        );
        let WriteArgs { save, json, quiet } = args.write;
        if let Some(save) = &save {
            check.result(models::check_save(&training, save))?;
            check.require(
                !(save.extension().is_some_and(|e| e == "model") && source.zero_based),
                "--save: LIBLINEAR's text cannot say that indices start from 0, expected a .safetensors file",
            );
        }
        let live = trouble.is_some();
        check.require(
            !(live && args.checkpoint.any()),
            "--checkpoint and --resume: expected none of them with profile; see asyncsgd train",
        );
        let kept = args.checkpoint.file().map(PathBuf::from);
        let checkpoints = args.checkpoint.check(&mut check)?;
        let mut instruments = Instruments::check(&mut check, &args.watch, trouble);
        check.result(instruments.injection.check(training.workers))?;
        let rules = instruments.rules();
        if !rules.is_empty() {
            let alone = save.is_none() && !args.watch.any();
            check.require(
                alone,
                "--compare: found --save, --report, --profile or --trace, expected none of them",
            );
        }
        for rule in &rules {
            check.result(Training { step: *rule, ..training.clone() }.check_rule())?;
        }
        let watched = live || args.watch.any() || checkpoints.any();
        search::check(&mut check, &training, (path.as_ref(), folds), watched);
        check.require(
            path.is_none() || save.is_none() || folds.is_some() || source.holds_out(),
            "--save: a path has no best without rows held out, expected --test, --test-fraction or --folds",
        );
        check.finish()?;
        // The file system is asked when the options make sense.
        let inputs = source.inputs();
        save.as_deref().map(|save| Output::check(save, &inputs)).transpose()?;
        checkpoints.output(&inputs)?;
        let outputs =
            [&save, &json, &kept].into_iter().flatten().map(PathBuf::as_path).chain(args.watch.files());
        Output::distinct(&outputs.collect::<Vec<_>>())?;
        let json = json.as_deref().map(|json| Output::check(json, &inputs)).transpose()?;
        let quiet = quiet || json.as_ref().is_some_and(Output::is_stdout);
        instruments.outputs(args.watch, &inputs)?;
        Ok(Self {
            source,
            training,
            path,
            folds,
            save,
            json,
            quiet,
            instruments,
            checkpoints,
            open,
            live,
            rules,
        })
    }

    /// Loads, and trains one kind of model with one type of parameters.
    fn train<T: Real, K: Kind>(&self, kind: &K) -> Result<u8> {
        let start = Instant::now();
        let bar = Bar::new(self.quiet);
        bar.say("loading");
        let (train, test) = kind.load(&self.source, &self.training)?;
        if let Some(save) = &self.save {
            models::check_classes(save, &kind.about(&train, false))?;
        }
        let loaded =
            Loaded { train, test, seconds: start.elapsed().as_secs_f64(), interrupt: interrupt::flag() };
        let mut plan = self.clone();
        plan.instruments.settle(&mut plan.training, plan.open, kind.examples(&loaded.train));
        if !plan.rules.is_empty() {
            bar.clear();
            return plan.compare::<T, K>(kind, &loaded);
        }
        if plan.path.is_some() || plan.folds.is_some() {
            return plan.search::<T, K>(kind, &loaded, bar);
        }
        plan.single::<T, K>(kind, &loaded, bar, Vec::new())
    }

    /// Trains once, writes what there is to write, and reports. The record comes after those of the runs `before`, if
    /// there were any.
    pub(super) fn single<T: Real, K: Kind>(
        &self,
        kind: &K,
        loaded: &Loaded<K::Data>,
        bar: Bar,
        before: Vec<Record>,
    ) -> Result<u8> {
        let Trained { run, record, quit } = self.once::<T, K>(kind, loaded, &bar, None, Choice::default())?;
        for warning in &record.warnings {
            super::say(format_args!("warning: {warning}"));
        }
        let diverged = run.stop == Stop::Diverged;
        // All is tried: one full disk is not to cost the rest of what was learnt.
        let saved = match &self.save {
            Some(path) if !diverged => kind.save(path, &self.training, &loaded.train, &run, &record),
            _ => Ok(()),
        };
        let json = self.json.as_ref().map_or(Ok(()), |json| {
            json.write(|out| match &before[..] {
                [] => report::write_json(out, &record),
                before => report::write_json(out, &before.iter().chain([&record]).collect::<Vec<_>>()),
            })
        });
        let shown = self.instruments.write(&run, &record);
        if !self.quiet {
            print(|out, colour| {
                report::write_text(out, &record, Style { colour })?;
                if self.live { profile::write_profile(out, &run) } else { Ok(()) }
            })?;
        }
        let mut failed = [saved, json, shown].into_iter().filter_map(Result::err);
        if let Some(first) = failed.next() {
            failed.for_each(|error| super::say(format_args!("error: {error}")));
            return Err(first);
        }
        if diverged {
            let lost = if self.save.is_some() { "; nothing was saved" } else { "" };
            super::say(format_args!("error: training diverged: try {}{lost}", remedy(&run)));
            return Ok(1);
        }
        Ok(if run.stop == Stop::Interrupt && !quit { interrupt::EXIT } else { 0 })
    }

    /// Trains once, from `start` if there is one.
    pub(super) fn once<T: Real, K: Kind>(
        &self,
        kind: &K,
        loaded: &Loaded<K::Data>,
        bar: &Bar,
        start: Option<&[T]>,
        choice: Choice,
    ) -> Result<Trained<T>> {
        let (options, train) = (&self.training, &loaded.train);
        let mut fitter = Fitter {
            options,
            instruments: &self.instruments,
            checkpoints: &self.checkpoints,
            interrupt: &loaded.interrupt,
            bar,
            examples: kind.examples(train),
            live: self.live,
            quiet: self.quiet,
            quit: false,
        };
        let run = kind.fit(&mut fitter, train, start)?;
        let quit = fitter.quit;
        bar.clear();
        let test = loaded.test.as_ref();
        let outcome = kind.outcome(options, train, test, &run)?;
        let profile = self.instruments.profiling(&run);
        let source = &self.source;
        let embedded = source.data.is_none();
        let context = Context {
            source,
            options,
            objective: kind.objective(options, train),
            data: kind.about(train, embedded),
            test: test.map(|test| kind.about(test, embedded && source.test.is_none())),
            load_seconds: loaded.seconds,
            profile,
            subcommand: if self.live { "profile" } else { "train" },
            trouble: self.instruments.words(),
            choice,
        };
        let mut record = context.record(&run, outcome);
        record.warnings.extend(self.instruments.missed(&run));
        Ok(Trained { run, record, quit })
    }

    /// Trains with each of the step rules in turn, and prints a table.
    fn compare<T: Real, K: Kind>(&self, kind: &K, loaded: &Loaded<K::Data>) -> Result<u8> {
        let mut records = Vec::new();
        let mut stopped = None;
        for &step in &self.rules {
            let training = Training { step, ..self.training.clone() };
            let plan = Plan { training, ..self.clone() };
            let Trained { run, record, quit } =
                plan.once::<T, K>(kind, loaded, &Bar::new(self.quiet), None, Choice::default())?;
            for warning in &record.warnings {
                super::say(format_args!("warning: {step}: {warning}"));
            }
            records.push(record);
            if run.stop == Stop::Interrupt {
                stopped = Some(if quit { 0 } else { interrupt::EXIT });
                break;
            }
        }
        if let Some(json) = &self.json {
            json.write(|out| report::write_json(out, &records))?;
        }
        if !self.quiet {
            print(|out, _| report::write_comparison(out, &records))?;
        }
        Ok(stopped.unwrap_or(0))
    }
}

/// What may help where training diverged.
fn remedy<T: Real>(run: &Run<T>) -> String {
    match run.plan.algorithm {
        Algorithm::Sdca => "fewer --workers, or another --algorithm".into(),
        Algorithm::Newton => "another --algorithm".into(),
        _ => format!("a --rate below {:?}", run.plan.step.rate),
    }
}

/// Runs the command.
///
/// # Errors
/// Everything that can be wrong with options, data and outputs.
pub fn run(args: Args) -> Result<u8> {
    let args = args.checkpoint.resume().map(checkpoint::merged).transpose()?.unwrap_or(args);
    Plan::new(args, None)?.run()
}

impl Plan {
    /// Does it.
    ///
    /// # Errors
    /// Everything that can be wrong with data and outputs.
    pub fn run(&self) -> Result<u8> {
        models::visit(&self.training, self)
    }
}

impl Visit for Plan {
    fn visit<T: Real, K: Kind>(&self, kind: &K) -> Result<u8> {
        self.train::<T, K>(kind)
    }
}

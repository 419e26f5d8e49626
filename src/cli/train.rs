//! `asyncsgd train`.

use super::gather::Context;
use super::instruments::{Instruments, TroubleArgs, WatchArgs};
use super::interrupt::{self, Interrupt};
use super::live::Live;
use super::load::Source;
use super::options::{DataArgs, DelayRule, ObjectiveArgs, StepArgs, StopArgs, Training, WorkerArgs};
use super::output::Output;
use super::progress::Bar;
use super::value::Check;
use super::{print, profile};
use asyncsgd::record::{Outcome, Record};
use asyncsgd::report::{self, Style};
use asyncsgd::{
    Dataset, LinearModel, LogisticLoss, Loss, LossKind, Metrics, ModelFormat, Precision, Real, Result, Run,
    SavedModel, Stop, scores,
};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

/// Train a linear model and report its objective, its speed and its delays
#[derive(clap::Args, Debug)]
#[command(after_help = super::help::TRAIN)]
pub struct Args {
    #[command(flatten)]
    data: DataArgs,
    #[command(flatten)]
    objective: ObjectiveArgs,
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
}

/// What to write.
#[derive(clap::Args, Debug)]
#[command(next_help_heading = "Output")]
struct WriteArgs {
    /// Save the model: .safetensors, or LIBLINEAR text where the name ends in .model
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
    training: Training,
    save: Option<PathBuf>,
    json: Option<Output>,
    quiet: bool,
    instruments: Instruments,
    /// Whether nothing is said of when to stop.
    open: bool,
    /// Whether to show the delays while the run goes on.
    live: bool,
    /// Step rules to compare; otherwise there is one run.
    rules: Vec<DelayRule>,
}

/// The data, and how long loading them took.
struct Loaded {
    train: Dataset,
    test: Option<Dataset>,
    seconds: f64,
    /// What Ctrl-C sets from now on, in the first run or a later one.
    interrupt: Interrupt,
}

/// What came of a run.
struct Trained<T: Real> {
    run: Run<T>,
    record: Record,
    /// Whether `q` was pressed.
    quit: bool,
}

impl Plan {
    /// Checks the arguments, those of `asyncsgd profile` if there is `trouble`.
    ///
    /// # Errors
    /// A line for each option that is wrong, or what the file system says.
    pub fn new(args: Args, trouble: Option<TroubleArgs>) -> Result<Self> {
        let mut check = Check::default();
        let source = Source::check(&mut check, args.data, args.objective.intercept);
        let open = args.stop.epochs.is_none() && args.stop.time_limit.is_none();
        let training = Training::check(&mut check, (args.objective, args.workers, args.step, args.stop))?;
        let WriteArgs { save, json, quiet } = args.write;
        if let Some(save) = &save {
            let text = check.result(ModelFormat::of(save))? == Some(ModelFormat::Liblinear);
            check.require(
                !(text && source.zero_based),
                "--save: LIBLINEAR's text cannot say that indices start from 0, expected a .safetensors file",
            );
        }
        let live = trouble.is_some();
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
        check.finish()?;
        // The file system is asked when the options make sense.
        let inputs = source.inputs();
        save.as_deref().map(|save| Output::check(save, &inputs)).transpose()?;
        let outputs = [&save, &json].into_iter().flatten().map(PathBuf::as_path).chain(args.watch.files());
        Output::distinct(&outputs.collect::<Vec<_>>())?;
        let json = json.as_deref().map(|json| Output::check(json, &inputs)).transpose()?;
        let quiet = quiet || json.as_ref().is_some_and(Output::is_stdout);
        instruments.outputs(args.watch, &inputs)?;
        Ok(Self { source, training, save, json, quiet, instruments, open, live, rules })
    }

    /// Loads, and trains with one loss and one type of parameters.
    fn train<T: Real>(&self, loss: impl Loss) -> Result<u8> {
        let start = Instant::now();
        let bar = Bar::new(self.quiet);
        bar.say("loading");
        let (train, test) = self.source.load(self.training.loss, self.training.seed)?;
        let loaded =
            Loaded { train, test, seconds: start.elapsed().as_secs_f64(), interrupt: interrupt::flag() };
        let mut plan = self.clone();
        plan.instruments.settle(&mut plan.training, plan.open, loaded.train.len());
        if plan.rules.is_empty() {
            return plan.single::<T>(loss, &loaded, bar);
        }
        bar.clear();
        plan.compare::<T>(loss, &loaded)
    }

    /// Trains once, writes what there is to write, and reports.
    fn single<T: Real>(&self, loss: impl Loss, loaded: &Loaded, bar: Bar) -> Result<u8> {
        let Trained { run, record, quit } = self.once::<T>(loss, loaded, bar)?;
        for warning in &record.warnings {
            super::say(format_args!("warning: {warning}"));
        }
        let diverged = run.stop == Stop::Diverged;
        // All is tried: one full disk is not to cost the rest of what was learnt.
        let saved = match &self.save {
            Some(path) if !diverged => self.save(path, &loaded.train, &run, &record),
            _ => Ok(()),
        };
        let json =
            self.json.as_ref().map_or(Ok(()), |json| json.write(|out| report::write_json(out, &record)));
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
            super::say(format_args!(
                "error: training diverged: try a --rate below {:?}{lost}",
                run.plan.step.rate
            ));
            return Ok(1);
        }
        Ok(if run.stop == Stop::Interrupt && !quit { interrupt::EXIT } else { 0 })
    }

    /// Trains once.
    fn once<T: Real>(&self, loss: impl Loss, loaded: &Loaded, bar: Bar) -> Result<Trained<T>> {
        let (options, train) = (&self.training, &loaded.train);
        let mut model = LinearModel::new(loss).with_l1(options.l1);
        if let Some(l2) = options.l2 {
            model = model.with_l2(l2);
        }
        let (trainer, tracing) = self.instruments.put_on(options.trainer(model).precision::<T>())?;
        let flag = Arc::clone(&loaded.interrupt);
        let mut quit = false;
        let run = if self.live {
            bar.clear();
            let mut view = Live::new(train.len(), self.quiet, Arc::clone(&flag));
            let run = trainer.interrupt(flag).observe(|event| view.event(event)).run(train);
            quit = view.quit();
            run
        } else {
            let run = trainer.interrupt(flag).observe(bar.watch(train.len())).run(train);
            bar.clear();
            run
        };
        // The trace is ended also where the run failed.
        let traced = tracing.finish();
        let run = run?;
        traced?;
        let test = loaded.test.as_ref();
        let outcome = outcome(options.loss, train, test, &run);
        let profile = self.instruments.profiling(&run);
        let (source, load_seconds) = (&self.source, loaded.seconds);
        let subcommand = if self.live { "profile" } else { "train" };
        let trouble = self.instruments.words();
        let context = Context { source, options, train, test, load_seconds, profile, subcommand, trouble };
        let mut record = context.record(&run, outcome);
        record.warnings.extend(self.instruments.missed(&run));
        Ok(Trained { run, record, quit })
    }

    /// Trains with each of the step rules in turn, and prints a table.
    fn compare<T: Real>(&self, loss: impl Loss, loaded: &Loaded) -> Result<u8> {
        let mut records = Vec::new();
        let mut stopped = None;
        for &step in &self.rules {
            let training = Training { step, ..self.training.clone() };
            let plan = Plan { training, ..self.clone() };
            let Trained { run, record, quit } = plan.once::<T>(loss, loaded, Bar::new(self.quiet))?;
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

    fn save<T: Real>(&self, path: &Path, train: &Dataset, run: &Run<T>, record: &Record) -> Result<()> {
        let mut model = SavedModel::new(self.training.loss, train, &run.weights);
        (model.l2, model.l1) = (Some(record.plan.l2), Some(record.plan.l1));
        let objective = record.outcome.objective.to_string();
        let told = [("command", &record.plan.command), ("objective", &objective), ("stop", &record.stop)];
        model.provenance.extend(told.map(|(key, value)| (key.to_owned(), value.clone())));
        model.save(path)
    }
}

/// The metrics on the held-out rows, or on the training rows where there are none.
pub fn outcome<T: Real>(loss: LossKind, train: &Dataset, test: Option<&Dataset>, run: &Run<T>) -> Outcome {
    let data = test.unwrap_or(train);
    let metrics = Metrics::new(loss, &scores(data, &run.weights), data.labels());
    Outcome {
        on: if test.is_some() { "test" } else { "train" }.into(),
        accuracy: metrics.accuracy,
        auc: metrics.auc,
        log_loss: metrics.log_loss,
        rmse: metrics.rmse,
        mae: metrics.mae,
        ..Outcome::default()
    }
}

/// Runs the command.
///
/// # Errors
/// Everything that can be wrong with options, data and outputs.
pub fn run(args: Args) -> Result<u8> {
    Plan::new(args, None)?.run()
}

impl Plan {
    /// Does it.
    ///
    /// # Errors
    /// Everything that can be wrong with data and outputs.
    pub fn run(&self) -> Result<u8> {
        match self.training.loss {
            LossKind::Logistic => self.with_loss(LogisticLoss),
            // The others share an instance of the engine.
            other => self.with_loss(other),
        }
    }

    fn with_loss(&self, loss: impl Loss) -> Result<u8> {
        match self.training.precision {
            Precision::F32 => self.train::<f32>(loss),
            Precision::F64 => self.train::<f64>(loss),
        }
    }
}

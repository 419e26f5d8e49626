//! `asyncsgd train`.

use super::gather::Context;
use super::load::Source;
use super::options::{DataArgs, ObjectiveArgs, StepArgs, StopArgs, Training, WorkerArgs};
use super::output::Output;
use super::progress::Bar;
use super::value::Check;
use super::{interrupt, print};
use asyncsgd::record::{Outcome, Record};
use asyncsgd::report::{self, Style};
use asyncsgd::{
    Dataset, HingeLoss, HuberLoss, LinearModel, LogisticLoss, Loss, LossKind, Metrics, ModelFormat,
    Precision, Real, Result, Run, SavedModel, SquaredHingeLoss, SquaredLoss, Stop, Trainer, scores,
};
use std::path::{Path, PathBuf};
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
struct Plan {
    source: Source,
    training: Training,
    save: Option<PathBuf>,
    json: Option<Output>,
    quiet: bool,
}

impl Plan {
    fn new(args: Args) -> Result<Self> {
        let mut check = Check::default();
        let source = Source::check(&mut check, args.data, args.objective.intercept);
        let training = Training::check(&mut check, (args.objective, args.workers, args.step, args.stop))?;
        let WriteArgs { save, json, quiet } = args.write;
        check.require(save.is_none() || save != json, "--save and --json: found the same file, expected two");
        if let Some(save) = &save {
            check.result(ModelFormat::of(save))?;
        }
        check.finish()?;
        // The file system is asked when the options make sense.
        let inputs = source.inputs();
        save.as_deref().map(|save| Output::check(save, &inputs)).transpose()?;
        let json = json.as_deref().map(|json| Output::check(json, &inputs)).transpose()?;
        let quiet = quiet || json.as_ref().is_some_and(Output::is_stdout);
        Ok(Self { source, training, save, json, quiet })
    }

    /// Trains with one loss and one type of parameters, writes what there is to write, and reports.
    fn train<T: Real>(&self, loss: impl Loss) -> Result<u8> {
        let options = &self.training;
        let start = Instant::now();
        let bar = Bar::new(self.quiet);
        bar.say("loading");
        let (train, test) = self.source.load(options.loss, options.seed)?;
        let load_seconds = start.elapsed().as_secs_f64();

        let mut model = LinearModel::new(loss).with_l1(options.l1);
        if let Some(l2) = options.l2 {
            model = model.with_l2(l2);
        }
        let run = self.trainer(model, bar.watch(train.len())).precision::<T>().run(&train);
        bar.clear();
        let run = run?;

        let outcome = outcome(options.loss, &train, test.as_ref(), &run);
        let source = &self.source;
        let context = Context { source, options, train: &train, test: test.as_ref(), load_seconds };
        let record = context.record(&run, outcome);
        for warning in &record.warnings {
            eprintln!("warning: {warning}");
        }
        let diverged = run.stop == Stop::Diverged;
        if let (Some(path), false) = (&self.save, diverged) {
            self.save(path, &train, &run, &record)?;
        }
        if let Some(json) = &self.json {
            json.write(|out| report::write_json(out, &record))?;
        }
        if !self.quiet {
            print(|out, colour| report::write_text(out, &record, Style { colour }))?;
        }
        if diverged {
            let lost = if self.save.is_some() { "; nothing was saved" } else { "" };
            eprintln!("error: training diverged: try a --rate below {:?}{lost}", run.plan.step.rate);
            return Ok(1);
        }
        Ok(if run.stop == Stop::Interrupt { interrupt::EXIT } else { 0 })
    }

    fn trainer<'a, M>(&self, model: M, watch: impl FnMut(asyncsgd::Event<'_>) + 'a) -> Trainer<'a, M> {
        let options = &self.training;
        let mut trainer = Trainer::new(model)
            .workers(options.workers)
            .pin(options.pin.clone())
            .update(options.update)
            .block(options.block)
            .batch(options.batch)
            .weight(options.step.weight, options.step.concurrency)
            .epochs(options.epochs)
            .seed(options.seed)
            .interrupt(interrupt::flag())
            .observe(watch);
        if let Some(rate) = options.rate {
            trainer = trainer.rate(rate);
        }
        if let Some(schedule) = &options.schedule {
            trainer = trainer.schedule(schedule.clone());
        }
        if let Some(limit) = options.time_limit {
            trainer = trainer.time_limit(limit);
        }
        if let Some(target) = options.target {
            trainer = trainer.target_objective(target);
        }
        trainer
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
fn outcome<T: Real>(loss: LossKind, train: &Dataset, test: Option<&Dataset>, run: &Run<T>) -> Outcome {
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
    let plan = Plan::new(args)?;
    match plan.training.loss {
        LossKind::Logistic => plan.with_loss(LogisticLoss),
        LossKind::Hinge => plan.with_loss(HingeLoss),
        LossKind::SquaredHinge => plan.with_loss(SquaredHingeLoss),
        LossKind::Squared => plan.with_loss(SquaredLoss),
        LossKind::Huber => plan.with_loss(HuberLoss::default()),
    }
}

impl Plan {
    fn with_loss(&self, loss: impl Loss) -> Result<u8> {
        match self.training.precision {
            Precision::F32 => self.train::<f32>(loss),
            Precision::F64 => self.train::<f64>(loss),
        }
    }
}

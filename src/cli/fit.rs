//! Fitting a model to data.

use super::checkpoint::Checkpoints;
use super::instruments::Instruments;
use super::interrupt::Interrupt;
use super::live::Live;
use super::options::Training;
use super::progress::Bar;
use super::value::{self, Given};
use asyncsgd::{
    Dataset, Real, Result, Run,
    data::Scale,
    model::{ClassWeights, LinearModel, Loss, Model},
};
use std::sync::Arc;

/// How the data are fitted.
#[derive(clap::Args, Debug)]
#[command(next_help_heading = "Fit")]
pub struct FitArgs {
    /// Divide each feature by its standard deviation (zeros counted, nothing subtracted) or by its largest absolute
    /// value; penalties are of the scaled weights, and a saved model takes data as they were
    #[arg(long, value_name = "HOW", value_parser = value::one_of(&Scale::ALL))]
    pub scale: Option<Given<Scale>>,
    /// Weights of the classes' rows: LABEL:WEIGHT,… (1 where not named; of more than two classes each against the
    /// rest), or balanced
    #[arg(long, value_name = "W", allow_hyphen_values = true, value_parser = value::value::<ClassWeights>())]
    pub class_weight: Option<Given<ClassWeights>>,
    /// Cross-validate first: train K times, each time without another part of the rows, and tell the quality on those;
    /// of a path of --l2 then take the best
    #[arg(long, value_name = "K", value_parser = value::count())]
    pub folds: Option<Given<usize>>,
}

impl Training {
    /// A model of this loss with the penalties.
    pub fn model<L: Loss>(&self, loss: L) -> LinearModel<L> {
        let model = LinearModel::new(loss).with_l1(self.l1);
        match self.l2 {
            Some(l2) => model.with_l2(l2),
            None => model,
        }
    }

    /// The weights for labels −1 and +1 of `data`, which were `classes`.
    pub fn weights(&self, data: &Dataset, classes: [Option<f32>; 2]) -> [f64; 2] {
        self.class_weights.as_ref().map_or([1.0; 2], |weights| weights.of(data, classes))
    }
}

/// Runs trainers, once or for each of several classes.
pub struct Fitter<'a> {
    pub options: &'a Training,
    pub instruments: &'a Instruments,
    pub checkpoints: &'a Checkpoints,
    /// What Ctrl-C sets.
    pub interrupt: &'a Interrupt,
    pub bar: &'a Bar,
    pub examples: usize,
    /// Whether to show the delays while the run goes on.
    pub live: bool,
    pub quiet: bool,
    /// Whether `q` was pressed.
    pub quit: bool,
}

impl Fitter<'_> {
    /// Trains once, from `start` if there is one.
    ///
    /// # Errors
    /// What the trainer or the trace says.
    pub fn run<T: Real, M: Model<T>>(
        &mut self,
        model: M,
        data: &M::Data,
        start: Option<&[T]>,
    ) -> Result<Run<T>> {
        let (mut trainer, tracing) = self.instruments.put_on(self.options.trainer(model).precision::<T>())?;
        trainer = self.checkpoints.put_on(trainer);
        if let Some(start) = start {
            trainer = trainer.start(start);
        }
        let flag = Arc::clone(self.interrupt);
        let run = if self.live {
            self.bar.clear();
            let mut view = Live::new(self.examples, self.quiet, Arc::clone(&flag));
            let run = trainer.interrupt(flag).observe(|event| view.event(event)).run(data);
            self.quit = view.quit();
            run
        } else {
            trainer.interrupt(flag).observe(self.bar.watch(self.examples)).run(data)
        };
        // The trace is ended also where the run failed.
        let traced = tracing.finish();
        let run = run?;
        traced.map(|()| run)
    }
}

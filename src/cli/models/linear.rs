//! Linear models.

use super::Kind;
use crate::cli::gather;
use crate::cli::load::Source;
use crate::cli::options::Training;
use asyncsgd::record::{Data, Outcome, Record};
use asyncsgd::{Dataset, LinearModel, Loss, LossKind, Metrics, Model, Real, Result, Run, SavedModel, scores};
use std::path::Path;

/// A linear model with this loss.
#[derive(Debug, Clone, Copy)]
pub struct Linear<L>(pub L);

impl<L: Loss> Kind for Linear<L> {
    type Data = Dataset;

    fn load(&self, source: &Source, options: &Training) -> Result<(Dataset, Option<Dataset>)> {
        source.load(options.loss, options.seed)
    }

    fn examples(&self, data: &Dataset) -> usize {
        data.len()
    }

    fn about(&self, data: &Dataset, embedded: bool) -> Data {
        gather::data(data, embedded)
    }

    fn model<T: Real>(&self, options: &Training) -> impl Model<T, Data = Dataset> {
        let model = LinearModel::new(self.0).with_l1(options.l1);
        match options.l2 {
            Some(l2) => model.with_l2(l2),
            None => model,
        }
    }

    fn objective(&self, options: &Training, train: &Dataset) -> (String, f64) {
        (options.loss.to_string(), options.l2.unwrap_or(1.0 / train.len() as f64))
    }

    fn outcome<T: Real>(
        &self,
        options: &Training,
        train: &Dataset,
        test: Option<&Dataset>,
        run: &Run<T>,
    ) -> Result<Outcome> {
        Ok(outcome(options.loss, train, test, run))
    }

    fn save<T: Real>(
        &self,
        path: &Path,
        options: &Training,
        train: &Dataset,
        run: &Run<T>,
        record: &Record,
    ) -> Result<()> {
        let mut model = SavedModel::new(options.loss, train, &run.weights);
        (model.l2, model.l1) = (Some(record.plan.l2), Some(record.plan.l1));
        model.provenance.extend(super::provenance(record));
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
        strongest: gather::strongest(train, &run.weights),
        ..Outcome::default()
    }
}

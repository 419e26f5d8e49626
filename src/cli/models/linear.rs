//! Linear models.

use super::{Folds, Kind};
use crate::cli::fit::Fitter;
use crate::cli::gather;
use crate::cli::load::Source;
use crate::cli::options::Training;
use asyncsgd::record::{Data, Outcome, Record};
use asyncsgd::{
    Dataset, Error, Metrics, Real, Result, Run, SavedModel,
    engine::one_vs_rest,
    model::{Loss, LossKind, Model},
    scores,
};
use std::path::Path;

/// A linear model with the loss that this makes of the weights of two classes.
#[derive(Debug, Clone, Copy)]
pub struct Linear<F>(pub F);

impl<L: Loss, F: Fn([f64; 2]) -> L + Clone> Kind for Linear<F> {
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
        options.model((self.0)([1.0; 2]))
    }

    fn folds<'a>(&self, data: &'a Dataset, options: &Training, folds: usize) -> Result<Folds<'a, Dataset>> {
        Ok(Box::new(data.folds(folds, options.seed)?))
    }

    fn fit<T: Real>(&self, fitter: &mut Fitter<'_>, data: &Dataset, start: Option<&[T]>) -> Result<Run<T>> {
        let (options, classes) = (fitter.options, data.classes().unwrap_or_default());
        if let Some(weights) = &options.class_weights {
            weights.check(classes)?;
        }
        let model = |data: &Dataset, classes| options.model((self.0)(options.weights(data, classes)));
        match *classes {
            [] => fitter.run(model(data, [None; 2]), data, start),
            [minus, plus] => fitter.run(model(data, [Some(minus), Some(plus)]), data, start),
            _ if fitter.instruments.profile || fitter.instruments.traces() || fitter.checkpoints.any() => {
                Err(Error::usage(format!(
                    "{}: found {} classes, expected two for profile, --report, --profile, --trace and --checkpoint",
                    data.name(),
                    classes.len()
                )))
            }
            _ => one_vs_rest(data, |class, part| {
                let start = start.map(|start| &start[class * part.features()..][..part.features()]);
                fitter.run(model(part, [None, Some(classes[class])]), part, start)
            }),
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
fn outcome<T: Real>(loss: LossKind, train: &Dataset, test: Option<&Dataset>, run: &Run<T>) -> Outcome {
    let data = test.unwrap_or(train);
    let metrics = Metrics::new(loss, &scores(data, &run.weights), data.labels());
    Outcome {
        on: if test.is_some() { "test" } else { "train" }.into(),
        confusion: metrics.confusion.iter().flat_map(|c| c.rows()).map(<[u64]>::to_vec).collect(),
        classes: metrics.confusion.as_ref().map_or_else(Vec::new, |confusion| {
            super::classes(confusion, data.classes().unwrap_or_default(), &data.columns())
        }),
        accuracy: metrics.accuracy,
        auc: metrics.auc,
        log_loss: metrics.log_loss,
        rmse: metrics.rmse,
        mae: metrics.mae,
        strongest: gather::strongest(train, &run.weights),
        ..Outcome::default()
    }
}

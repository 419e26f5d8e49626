//! The kinds of models as the commands see them: one file a kind.

mod factorization;
mod field;
mod linear;
mod machine;
mod network;
mod skipgram;

use factorization::Factorization;
use field::FieldMachine;
use linear::Linear;
use machine::Machine;
use network::Network;
use skipgram::SkipGram;

use super::fit::Fitter;
use super::load::Source;
use super::options::Training;
use super::predict;
use asyncsgd::record::{Class, Data, Outcome, Record};
use asyncsgd::{
    Dataset, Error, Real, Result, Run,
    data::Columns,
    model::{
        Confusion, LogisticLoss, LossKind, Model, ModelFormat, ModelSpec, Precision, Tensor, TensorModel,
        Weighted,
    },
};
use std::collections::BTreeMap;
use std::path::Path;

/// Training and held-out data, a pair for each fold.
pub type Folds<'a, D> = Box<dyn Iterator<Item = (D, D)> + 'a>;

/// A kind of model: how its data are loaded, how it is trained, and what is told and kept of it.
pub trait Kind: Clone {
    /// What it is trained on.
    type Data;

    /// Training and test data, as the model needs them.
    ///
    /// # Errors
    /// Where they cannot be read, or do not suit the model.
    fn load(&self, source: &Source, options: &Training) -> Result<(Self::Data, Option<Self::Data>)>;

    /// The number of examples.
    fn examples(&self, data: &Self::Data) -> usize;

    /// What is told of the data; `embedded` if they are a part of the program.
    fn about(&self, data: &Self::Data, embedded: bool) -> Data;

    /// What the trainer trains.
    fn model<T: Real>(&self, options: &Training) -> impl Model<T, Data = Self::Data>;

    /// Trains on `data`, from `start` if there is one.
    ///
    /// # Errors
    /// What the trainer says, or where options and data do not go together.
    fn fit<T: Real>(
        &self,
        fitter: &mut Fitter<'_>,
        data: &Self::Data,
        start: Option<&[T]>,
    ) -> Result<Run<T>> {
        fitter.run(self.model::<T>(fitter.options), data, start)
    }

    /// Training and held-out data of each fold of cross-validation.
    ///
    /// # Errors
    /// Where the data cannot be cut so, or the model has no folds.
    fn folds<'a>(
        &self,
        data: &'a Self::Data,
        options: &Training,
        folds: usize,
    ) -> Result<Folds<'a, Self::Data>> {
        let _ = (data, folds);
        Err(Error::usage(format!("--folds: expected none for {}", options.model)))
    }

    /// What the objective is: the loss by name, and the strength of the L2 penalty.
    fn objective(&self, options: &Training, train: &Self::Data) -> (String, f64);

    /// The metrics on the held-out data, or on the training data where there are none.
    ///
    /// # Errors
    /// Where the data do not suit the model.
    fn outcome<T: Real>(
        &self,
        options: &Training,
        train: &Self::Data,
        test: Option<&Self::Data>,
        run: &Run<T>,
    ) -> Result<Outcome>;

    /// Saves the model.
    ///
    /// # Errors
    /// [`Error::Io`] where the system refuses.
    fn save<T: Real>(
        &self,
        path: &Path,
        options: &Training,
        train: &Self::Data,
        run: &Run<T>,
        record: &Record,
    ) -> Result<()>;
}

/// Something to do with a model of any kind.
pub trait Visit {
    /// Does it, with parameters of this type.
    ///
    /// # Errors
    /// Whatever it meets.
    fn visit<T: Real, K: Kind>(&self, kind: &K) -> Result<u8>;
}

/// Does something with the model that the options ask for.
///
/// # Errors
/// What it meets.
pub fn visit(options: &Training, visitor: &impl Visit) -> Result<u8> {
    match (&options.model, options.loss) {
        (ModelSpec::Linear, LossKind::Logistic) if options.class_weights.is_none() => {
            in_precision(options, visitor, &Linear(|_| LogisticLoss))
        }
        // The others share an instance of the engine.
        (ModelSpec::Linear, other) => {
            in_precision(options, visitor, &Linear(|weights| Weighted::new(other, weights)))
        }
        (model @ (ModelSpec::Softmax | ModelSpec::Mlp(..)), loss) => {
            in_precision(options, visitor, &Network::new(model.clone(), loss))
        }
        // In single precision only: fewer instances of the engine.
        (&ModelSpec::Factorization { rank, nonnegative }, _) => {
            visitor.visit::<f32, _>(&Factorization { rank, nonnegative })
        }
        (&ModelSpec::Machine(rank), loss) => visitor.visit::<f32, _>(&Machine { rank, loss }),
        (&ModelSpec::FieldMachine(rank), loss) => visitor.visit::<f32, _>(&FieldMachine { rank, loss }),
        (&ModelSpec::SkipGram(model, min_count), _) => {
            visitor.visit::<f32, _>(&SkipGram { model, min_count })
        }
    }
}

fn in_precision<K: Kind>(options: &Training, visitor: &impl Visit, kind: &K) -> Result<u8> {
    match options.precision {
        Precision::F32 => visitor.visit::<f32, K>(kind),
        Precision::F64 => visitor.visit::<f64, K>(kind),
    }
}

/// Where a model comes from, for its file.
pub fn provenance(record: &Record) -> impl Iterator<Item = (String, String)> {
    let told = [
        ("command", record.plan.command.clone()),
        ("objective", record.outcome.objective.to_string()),
        ("stop", record.stop.clone()),
    ];
    told.into_iter().map(|(key, value)| (key.to_owned(), value))
}

/// A model of factors, in single precision, without anything that it says of itself.
fn tensors(options: &Training, record: &Record, tensors: Vec<Tensor>) -> TensorModel {
    let data = [("data", &record.data.path), ("data-hash", &record.data.hash)];
    let data = data.map(|(key, value)| (key.to_owned(), value.clone()));
    TensorModel {
        model: options.model.to_string(),
        about: BTreeMap::new(),
        tensors,
        precision: Precision::F32,
        provenance: provenance(record).chain(data).collect(),
    }
}

/// What a saved model says of the columns of its table.
///
/// # Errors
/// Where it says something else.
fn columns(model: &TensorModel, file: &str) -> Result<Columns> {
    Ok(model.entry::<Option<Columns>>("columns", file)?.unwrap_or_default())
}

/// What a model's weights of each feature are multiplied with, by original id, to take rows as they were before they
/// were scaled.
fn factors<T: Real>(data: &Dataset) -> impl Iterator<Item = T> + Clone + use<'_, T> {
    let factors = data.factors().unwrap_or_default().iter().map(|&factor| T::from_f32(factor));
    factors.chain(std::iter::repeat(T::ONE))
}

/// Whether a model can be saved in a file of this name.
///
/// # Errors
/// [`Error::Usage`] where it cannot.
pub fn check_save(options: &Training, path: &Path) -> Result<()> {
    if options.model == ModelSpec::Linear {
        return ModelFormat::of(path).map(drop);
    }
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    let words = matches!(options.model, ModelSpec::SkipGram(..));
    if extension == "safetensors" || words && matches!(extension, "vec" | "txt" | "bin") {
        return Ok(());
    }
    let path = path.display();
    let others = if words { ", .vec, .txt or .bin" } else { "" };
    Err(Error::usage(format!("model file '{path}': expected a name that ends in .safetensors{others}")))
}

/// Whether the classes of these data can be saved in a file of this name: told before the work is done.
///
/// # Errors
/// [`Error::Usage`] where they cannot.
pub fn check_classes(path: &Path, data: &Data) -> Result<()> {
    match &data.class_names {
        Some(names) if path.extension().is_some_and(|extension| extension == "model") => {
            let line = format!("--save: LIBLINEAR's classes are integers, found '{}', expected", names[0]);
            Err(Error::usage(format!("{line} a .safetensors file")))
        }
        _ => Ok(()),
    }
}

/// Predicts with a saved model that is not linear.
///
/// # Errors
/// Where model, data or options do not fit, or the output cannot be written.
pub fn predict(model: &TensorModel, args: &predict::Args) -> Result<u8> {
    let file = args.model.display().to_string();
    let spec = model.model.parse::<ModelSpec>();
    match spec {
        Ok(ModelSpec::Softmax | ModelSpec::Mlp(..)) => network::predict(model, &file, args),
        Ok(ModelSpec::Factorization { nonnegative, .. }) => {
            factorization::predict(model, nonnegative, &file, args)
        }
        Ok(ModelSpec::Machine(rank)) => machine::predict(model, rank, &file, args),
        Ok(ModelSpec::FieldMachine(rank)) => field::predict(model, rank, &file, args),
        Ok(ModelSpec::SkipGram(..)) => skipgram::predict(model, &file, args),
        Ok(ModelSpec::Linear) | Err(_) => {
            let found = format!("model '{}'", model.model);
            Err(Error::input(file, 0, 0, found, "a model that this version knows"))
        }
    }
}

/// The quality by class, of these original labels.
pub fn classes(confusion: &Confusion, labels: &[f32], columns: &Columns) -> Vec<Class> {
    let class = |(class, &label): (usize, &f32)| Class {
        label,
        name: columns.classes.is_some().then(|| columns.label(label)),
        rows: confusion.actual(class),
        predicted: confusion.predicted(class),
        precision: confusion.precision(class),
        recall: confusion.recall(class),
        f1: confusion.f1(class),
    };
    labels.iter().enumerate().map(class).collect()
}

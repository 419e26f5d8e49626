//! From arguments to data.

use super::options::DataArgs;
use super::value::Check;
use asyncsgd::{Dataset, Error, Loader, LossKind, Result};
use std::path::{Path, PathBuf};

/// What to read for training, checked.
#[derive(Debug, Clone)]
pub struct Source {
    pub data: Option<PathBuf>,
    pub test: Option<PathBuf>,
    pub test_fraction: Option<f64>,
    pub zero_based: bool,
    pub intercept: bool,
}

impl Source {
    /// Checks the arguments; complaints go to `check`.
    pub fn check(check: &mut Check, args: DataArgs, intercept: bool) -> Self {
        let test_fraction = check.option(args.test_fraction);
        check.require(
            args.test.is_none() || test_fraction.is_none(),
            "--test and --test-fraction: found both, expected one",
        );
        check.require(
            args.test.as_deref() != Some(Path::new("-")),
            "--test: found '-', expected a file (standard input can be the training data)",
        );
        let (data, test, zero_based) = (args.input.data, args.test, args.input.zero_based);
        Self { data, test, test_fraction, zero_based, intercept }
    }

    /// The files that are read.
    pub fn inputs(&self) -> Vec<&Path> {
        self.data.iter().chain(&self.test).map(PathBuf::as_path).collect()
    }

    /// Training and test rows, with labels as `loss` needs them.
    ///
    /// # Errors
    /// As [`Loader::load`]; where there are not two classes and `loss` needs them.
    pub fn load(&self, loss: LossKind, seed: u64) -> Result<(Dataset, Option<Dataset>)> {
        let (train, test) = match &self.data {
            None => {
                let (train, test) = Dataset::flights(seed)?;
                (train, Some(test).filter(|_| self.test.is_none() && self.test_fraction.is_none()))
            }
            Some(path) => {
                // The model has a weight for each feature of the test rows too.
                let features = match &self.test {
                    Some(test) => self.loader(test).dimension()?,
                    None => 0,
                };
                (self.loader(path).seed(seed).features(features).load()?, None)
            }
        };
        let (train, test) = match (&self.test, self.test_fraction) {
            (Some(path), _) => {
                let test = self.loader(path).like(&train).load()?;
                (train, Some(test))
            }
            (None, Some(fraction)) => {
                let (train, test) = train.split(fraction, seed)?;
                (train, Some(test))
            }
            (None, None) => (train, test),
        };
        let (train, test) = if loss.is_classification() {
            let train = train.binary()?;
            let classes = train.classes().ok_or_else(|| Error::usage("no classes"))?;
            (train, test.map(|test| test.binary_as(classes)).transpose()?)
        } else {
            (train, test)
        };
        Ok(match self.intercept {
            true => (train.with_intercept(), test.map(Dataset::with_intercept)),
            false => (train, test),
        })
    }

    fn loader(&self, path: &Path) -> Loader {
        Loader::new(path).zero_based(self.zero_based)
    }
}

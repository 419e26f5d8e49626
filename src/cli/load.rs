//! From arguments to data.

use super::options::{DataArgs, InputArgs, TableArgs};
use super::value::Check;
use asyncsgd::{
    Dataset, Error, Loader, Result,
    data::{self, Missing, Scale},
    model::LossKind,
};
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// What to read for training, checked.
#[derive(Debug, Clone)]
pub struct Source {
    pub data: Option<PathBuf>,
    pub test: Option<PathBuf>,
    pub test_fraction: Option<f64>,
    pub zero_based: bool,
    pub intercept: bool,
    pub scale: Option<Scale>,
    /// Whether labels may have more than two values.
    pub multiclass: bool,
    pub cache: Cache,
    pub table: Labels,
    pub test_labels: Option<PathBuf>,
    /// The options given that say something about tables.
    about_table: Vec<&'static str>,
}

/// Where labels are in data that are no LIBSVM text, checked.
#[derive(Debug, Clone)]
pub struct Labels {
    pub column: Option<String>,
    pub file: Option<PathBuf>,
    pub missing: Missing,
}

impl Labels {
    /// Checks the arguments; complaints go to `check`.
    pub fn check(check: &mut Check, args: TableArgs) -> Self {
        Self { column: args.label, file: args.labels, missing: check.take(args.missing) }
    }

    /// Whether something is said of CSV alone.
    fn about_csv(&self) -> bool {
        self.column.is_some() || self.missing != Missing::Refuse
    }

    /// The loader, told where labels are: in the file `labels`, if there is one.
    pub fn on(&self, loader: Loader, labels: Option<&Path>) -> Loader {
        let loader = loader.missing(self.missing);
        let loader = self.column.iter().fold(loader, |loader, column| loader.label(column));
        labels.into_iter().fold(loader, |loader, file| loader.labels(file))
    }
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
        let (InputArgs { data, zero_based, cache, table }, test) = (args.input, args.test);
        let named = matches!(cache, Cache::Folder(_));
        check.require(data.is_some() || !named, "--cache: expected it left out for the embedded flights");
        let mut about_table: Vec<&'static str> = table.given().collect();
        for option in about_table.iter().filter(|_| data.is_none()) {
            check.require(false, format!("{option}: expected it left out for the embedded flights"));
        }
        about_table.extend(args.test_labels.as_ref().map(|_| "--test-labels"));
        let (table, test_labels) = (Labels::check(check, table), args.test_labels);
        Self {
            data,
            test,
            test_fraction,
            zero_based,
            intercept,
            scale: None,
            multiclass: false,
            cache,
            table,
            test_labels,
            about_table,
        }
    }

    /// Refuses what says nothing about data that are no rows of features, but `what`; complaints go to `check`.
    pub fn check_other(&self, check: &mut Check, what: &str) {
        check.require(self.data.is_some(), format!("data: found none, expected a file of {what}"));
        let rows = self.zero_based.then_some("--zero-based");
        let cache = matches!(self.cache, Cache::Folder(_)).then_some("--cache");
        for option in rows.iter().chain(&cache).chain(&self.about_table) {
            check.require(false, format!("{option}: expected it left out for {what}"));
        }
    }

    /// The file that is read, of a model that has none in the program.
    pub fn file(&self) -> &Path {
        self.data.as_deref().unwrap_or(Path::new("-"))
    }

    /// How the data are read, where something was said that makes other rows or labels of the same bytes.
    pub fn reading(&self) -> String {
        let Labels { column, file, missing } = &self.table;
        let said = [
            self.zero_based.then(|| "indices from 0".to_owned()),
            column.as_ref().map(|column| format!("labels in column {column}")),
            file.as_ref().map(|file| format!("labels of {}", file.display())),
            (*missing != Missing::Refuse).then(|| format!("missing values {missing}")),
            self.test_fraction.map(|share| format!("{share} of the rows held out")),
        ];
        said.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }

    /// Whether rows are held out.
    pub fn holds_out(&self) -> bool {
        self.data.is_none() || self.test.is_some() || self.test_fraction.is_some()
    }

    /// The files that are read.
    pub fn inputs(&self) -> Vec<&Path> {
        self.data
            .iter()
            .chain(&self.test)
            .chain(&self.table.file)
            .chain(&self.test_labels)
            .map(PathBuf::as_path)
            .collect()
    }

    /// Training and test rows, with labels as `loss` needs them.
    ///
    /// # Errors
    /// As [`Loader::load`]; where labels are no classes and `loss` needs them.
    pub fn load(&self, loss: LossKind, seed: u64) -> Result<(Dataset, Option<Dataset>)> {
        let (train, test) = self.read(seed, 0)?;
        if !loss.is_classification() {
            return Ok((train.numeric()?, test));
        }
        let train = if self.multiclass { train.classified() } else { train.binary() }?;
        let classes = train.classes().unwrap_or_default();
        if classes.len() > MANY {
            super::say(format_args!(
                "warning: {}: {} classes, a model each; labels that are numbers are for --loss squared",
                train.name(),
                classes.len()
            ));
        }
        let test = test.map(|test| test.classified_as(classes)).transpose()?;
        Ok((train, test))
    }

    /// Training and test rows, with labels as they are, and at least so many features.
    ///
    /// # Errors
    /// As [`Loader::load`].
    pub fn read(&self, seed: u64, features: usize) -> Result<(Dataset, Option<Dataset>)> {
        let (train, test) = match &self.data {
            None => {
                let (train, test) = Dataset::flights(seed)?;
                (train, Some(test).filter(|_| self.test.is_none() && self.test_fraction.is_none()))
            }
            Some(path) => {
                // The model has a weight for each feature of the test rows too.
                let features = match &self.test {
                    Some(test) => self.test_loader(test).dimension()?,
                    None => 0,
                }
                .max(features);
                let loader = self.loader(path, self.table.file.as_deref()).seed(seed).features(features);
                // What is said of CSV is of one of the two at least.
                let test_is_csv = match &self.test {
                    Some(test) if self.table.about_csv() => Loader::new(test).is_csv()?,
                    _ => false,
                };
                let loader = if test_is_csv { loader.if_csv() } else { loader };
                (self.cache.warned(loader.load()?), None)
            }
        };
        let (train, test) = match (&self.test, self.test_fraction) {
            (Some(path), _) => {
                let test = self.cache.warned(self.test_loader(path).like(&train).load()?);
                warn_of_bytes(&test);
                (train, Some(test))
            }
            (None, Some(fraction)) => {
                let (train, test) = train.split(fraction, seed)?;
                (train, Some(test))
            }
            (None, None) => (train, test),
        };
        if self.data.is_some() {
            check_indices(self.zero_based, [Some(&train), test.as_ref()].into_iter().flatten())?;
        }
        let (train, test) = match self.scale {
            Some(scale) => {
                let train = train.scaled(scale);
                let test = test.map(|test| test.scaled_as(&train)).transpose()?;
                (train, test)
            }
            None => (train, test),
        };
        Ok(match self.intercept {
            true => (train.with_intercept(), test.map(Dataset::with_intercept)),
            false => (train, test),
        })
    }

    fn test_loader(&self, path: &Path) -> Loader {
        self.loader(path, self.test_labels.as_deref()).if_csv()
    }

    fn loader(&self, path: &Path, labels: Option<&Path>) -> Loader {
        let loader = self.cache.on(Loader::new(path).zero_based(self.zero_based), path);
        self.table.on(loader, labels)
    }
}

/// Refuses to count indices from 0 where none of the data have any.
///
/// # Errors
/// [`Error::Usage`] for these.
pub fn check_indices<'a>(
    zero_based: bool,
    mut data: impl Iterator<Item = &'a Dataset> + Clone,
) -> Result<()> {
    match data.clone().next() {
        Some(first) if zero_based && !data.any(Dataset::has_indices) => {
            let line = "found no LIBSVM text, expected no indices from 0 (--zero-based)";
            Err(Error::usage(format!("{}: {line}", first.name())))
        }
        _ => Ok(()),
    }
}

/// Says where bytes and other numbers seem to be mistaken for each other.
pub fn warn_of_bytes(data: &Dataset) {
    if let Some(line) = data.unlike_bytes() {
        super::say(format_args!("warning: {line}"));
    }
}

/// Where parsed files are kept.
#[derive(Debug, Clone)]
pub enum Cache {
    Auto,
    None,
    Folder(PathBuf),
}

/// More classes than this may be numbers that were taken for classes.
const MANY: usize = 100;

/// Smaller files are parsed in a moment, and not kept unless a directory is named.
const KEPT: u64 = 4 << 20;

/// The same of compressed files: text packs to a tenth at best, and unpacking takes longer than parsing.
const KEPT_PACKED: u64 = KEPT / 10;

/// Whether the text in the file takes long enough to parse to be kept.
fn is_long(path: &Path) -> bool {
    let about = std::fs::metadata(path).ok().filter(|about| about.is_file());
    let packed = || data::is_packed(path).unwrap_or(false);
    about.is_some_and(|about| about.len() >= KEPT || about.len() >= KEPT_PACKED && packed())
}

impl FromStr for Cache {
    type Err = std::convert::Infallible;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        Ok(match s {
            "auto" => Self::Auto,
            "none" => Self::None,
            folder => Self::Folder(folder.into()),
        })
    }
}

impl Cache {
    /// The loader of the file at `path`, with the cache that it is to use.
    pub fn on(&self, loader: Loader, path: &Path) -> Loader {
        match self.folder().filter(|_| matches!(self, Self::Folder(_)) || is_long(path)) {
            Some(folder) => loader.cache(folder),
            None => loader,
        }
    }

    /// The directory, if there is to be one.
    pub fn folder(&self) -> Option<PathBuf> {
        match self {
            Self::Auto => user_folder(),
            Self::Folder(folder) => Some(folder.clone()),
            Self::None => None,
        }
    }

    /// The data, after a word about what was wrong with the cache, or that there is none for them.
    pub fn warned(&self, data: Dataset) -> Dataset {
        let cached = data.cached();
        if let Some(warning) = &cached.warning {
            super::say(format_args!("warning: {warning}"));
        }
        if cached.passed_over && matches!(self, Self::Folder(_)) {
            let name = data.name();
            super::say(format_args!("warning: --cache: {name} is not kept, only LIBSVM text in files is"));
        }
        data
    }
}

/// The folder for this program in the user's cache directory.
pub fn user_folder() -> Option<PathBuf> {
    let named = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let folder = named("XDG_CACHE_HOME").or_else(|| named("LOCALAPPDATA"));
    folder
        .or_else(|| std::env::home_dir().map(|home| home.join(".cache")))
        .map(|folder| folder.join("asyncsgd"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn packed_files_are_long_when_they_are_shorter() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data");
        let xz = [0xfd, b'7', b'z', b'X', b'Z', 0];
        for (start, length, long) in [
            (&xz[..], KEPT_PACKED, true),
            (&xz, KEPT_PACKED - 1, false),
            (&[], KEPT - 1, false),
            (&[], KEPT, true),
        ] {
            fs::write(&path, start).unwrap();
            fs::File::options().write(true).open(&path).unwrap().set_len(length).unwrap();
            assert_eq!(is_long(&path), long, "{length}");
        }
        assert!(!is_long(folder.path()) && !is_long(Path::new("no/such/file")));
    }
}

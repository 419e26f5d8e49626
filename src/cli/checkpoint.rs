//! `--checkpoint` and `--resume`: runs that survive what ends the program.

use super::load::Cache;
use super::output::Output;
use super::value::{self, Check, Given};
use super::{Cli, Command, train};
use asyncsgd::{Checkpoint, Error, Every, Real, Result, Trainer, output};
use clap::parser::ValueSource;
use clap::{ArgMatches, CommandFactory, FromArgMatches};
use std::any::TypeId;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// What to save while training goes on, and what to go on with.
#[derive(clap::Args, Debug)]
#[command(next_help_heading = "Checkpoints")]
pub struct CheckpointArgs {
    /// Save the run to FILE every so often, when it is interrupted, and at its end
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
    /// How often: a time such as 30s, or a number of epochs [default: 60s]
    #[arg(long, value_name = "EVERY", value_parser = value::value::<Every>())]
    checkpoint_every: Option<Given<Every>>,
    /// Go on with the run saved in FILE, by the options that it was started with; others given here take their
    /// place where they change nothing of what is computed: DATA, too, where it has moved
    #[arg(long, value_name = "FILE")]
    resume: Option<PathBuf>,
}

/// What is saved and gone on with, checked.
#[derive(Debug, Clone)]
pub struct Checkpoints {
    keep: Option<(PathBuf, Every)>,
    resume: Option<Checkpoint>,
    /// The words of the command, as JSON: see [`Words`].
    words: String,
}

impl CheckpointArgs {
    /// Checks the options; complaints go to `check`.
    ///
    /// # Errors
    /// What is wrong with the file to go on with.
    pub fn check(self, check: &mut Check) -> Result<Checkpoints> {
        let alone = self.checkpoint.is_none() && self.checkpoint_every.is_some();
        check.require(!alone, "--checkpoint-every: found no --checkpoint, expected the file to save to");
        let every = check.option(self.checkpoint_every).unwrap_or_default();
        let resume = self.resume.map(Checkpoint::open).transpose()?;
        let words = if self.checkpoint.is_some() { words(resume.as_ref())? } else { Words::new() };
        let words = serde_json::to_string(&words).map_err(|e| Error::usage(e.to_string()))?;
        Ok(Checkpoints { keep: self.checkpoint.map(|path| (path, every)), resume, words })
    }

    /// The file to go on with.
    pub fn resume(&self) -> Option<&Path> {
        self.resume.as_deref()
    }

    /// Whether anything is to be saved or gone on with.
    pub fn any(&self) -> bool {
        self.checkpoint.is_some() || self.resume.is_some()
    }

    /// The file that is written.
    pub fn file(&self) -> Option<&Path> {
        self.checkpoint.as_deref()
    }
}

impl Checkpoints {
    /// Asks the file system whether the checkpoint can be written.
    ///
    /// # Errors
    /// [`Error::Io`] where it cannot; [`Error::Usage`] where it is one of the `inputs`, a device or a pipe.
    pub fn output(&self, inputs: &[&Path]) -> Result<()> {
        let Some((path, _)) = &self.keep else { return Ok(()) };
        if path == Path::new("-") {
            return Err(Error::usage("--checkpoint: found '-', expected a file"));
        }
        Output::check(path, inputs)?;
        output::check_file(path)?;
        output::clean(path)?;
        let going_on = self.resume.as_ref().is_some_and(|from| is_same(from.path(), path));
        if !going_on && Checkpoint::is_at(path) {
            let path = path.display();
            super::say(format_args!(
                "warning: {path}: the checkpoint that is there will be replaced; --resume continues it"
            ));
        }
        Ok(())
    }

    /// Whether anything is saved or gone on with.
    pub fn any(&self) -> bool {
        self.keep.is_some() || self.resume.is_some()
    }

    /// Puts them on a trainer.
    pub fn put_on<'a, M, T: Real>(&self, mut trainer: Trainer<'a, M, T>) -> Trainer<'a, M, T> {
        if let Some((path, every)) = &self.keep {
            trainer = trainer.checkpoint(path, *every, &self.words);
        }
        match &self.resume {
            Some(from) => trainer.resume(from.clone()),
            None => trainer,
        }
    }
}

fn is_same(one: &Path, other: &Path) -> bool {
    one.canonicalize().is_ok_and(|one| other.canonicalize().is_ok_and(|other| one == other))
}

/// The arguments of a command: the options that were given, by name, and the values of each. What they say does not
/// depend on the directory.
type Words = BTreeMap<String, Vec<String>>;

/// The arguments with which the run in the file was started; those of this command take their place.
///
/// # Errors
/// What is wrong with the file, or with the arguments together.
pub fn merged(file: &Path) -> Result<train::Args> {
    let saved = Checkpoint::open(file)?;
    let mut words = words(Some(&saved))?;
    // As many as there were, be this machine another.
    if let Some(workers) = saved.workers() {
        words.entry("workers".into()).or_insert_with(|| vec![workers.to_string()]);
    }
    let command = Cli::command();
    let train = command.find_subcommand("train").ok_or_else(|| foreign(file))?;
    let mut all: Vec<OsString> = ["asyncsgd", "train", "--resume"].map(OsString::from).into();
    all.push(file.into());
    let mut rest = vec![OsString::from("--")];
    for (id, values) in &words {
        let arg =
            train.get_arguments().find(|arg| arg.get_id() == id.as_str()).ok_or_else(|| foreign(file))?;
        match arg.get_long() {
            None => rest.extend(values.iter().map(OsString::from)),
            Some(long) if values.is_empty() => all.push(format!("--{long}").into()),
            Some(long) => all.extend(values.iter().map(|value| format!("--{long}={value}").into())),
        }
    }
    let parsed = command
        .try_get_matches_from(all.into_iter().chain(rest))
        .and_then(|matches| Cli::from_arg_matches(&matches));
    match parsed.map(|cli| cli.command) {
        Ok(Command::Train(args)) => Ok(*args),
        Ok(_) => Err(foreign(file)),
        Err(e) => Err(super::complaint(&e)),
    }
}

fn foreign(file: &Path) -> Error {
    let file = file.display().to_string();
    Error::input(file, 0, 0, "no command line", "a checkpoint of asyncsgd train")
}

/// What the run in the file, if there is one, was started with, and what was said to this command, without `--resume`.
///
/// # Errors
/// What is wrong with the file, and values that are not UTF-8, which cannot be kept.
fn words(from: Option<&Checkpoint>) -> Result<Words> {
    let saved = from.map(|from| serde_json::from_str(from.note()).map_err(|_| foreign(from.path())));
    let mut words: Words = saved.transpose()?.unwrap_or_default();
    let mut command = Cli::command();
    let matches = command.try_get_matches_from_mut(std::env::args_os()).map_err(|e| super::complaint(&e))?;
    if let Some((name, matches)) = matches.subcommand()
        && let Some(command) = command.find_subcommand(name)
    {
        let arguments = command.get_arguments();
        let given = arguments.filter(|arg| {
            arg.get_id() != "resume"
                && matches.value_source(arg.get_id().as_str()) == Some(ValueSource::CommandLine)
        });
        for arg in given {
            words.insert(arg.get_id().to_string(), values(arg, matches)?);
        }
    }
    Ok(words)
}

/// The values given to an argument; paths so that they lead to the same place from everywhere.
fn values(arg: &clap::Arg, matches: &ArgMatches) -> Result<Vec<String>> {
    if !arg.get_action().takes_values() {
        return Ok(Vec::new());
    }
    let kind = arg.get_value_parser().type_id();
    let path = |value: &OsStr| match kind {
        _ if kind == TypeId::of::<PathBuf>() => value != "-",
        _ if kind == TypeId::of::<Cache>() => value != "auto" && value != "none",
        _ => false,
    };
    let value = |value: &OsStr| {
        let whole = std::path::absolute(value).ok().filter(|_| path(value)).map(PathBuf::into_os_string);
        whole.unwrap_or_else(|| value.into()).into_string().map_err(|value| {
            Error::usage(format!("--checkpoint: found {}, expected UTF-8 to keep", value.display()))
        })
    };
    matches.get_raw(arg.get_id().as_str()).into_iter().flatten().map(value).collect()
}

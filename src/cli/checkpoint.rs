//! `--checkpoint` and `--resume`: runs that survive what ends the program.

use super::output::Output;
use super::value::{self, Check, Given};
use super::{Cli, Command, train};
use asyncsgd::{Checkpoint, Error, Every, Real, Result, Trainer, output};
use clap::{CommandFactory, FromArgMatches};
use std::path::{Path, PathBuf};

/// What to save while training goes on, and what to go on with.
#[derive(clap::Args, Debug)]
#[command(next_help_heading = "Checkpoints")]
pub struct CheckpointArgs {
    /// Save the run to FILE every so often, when it is interrupted, and at its end
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
    /// How often: a time such as 30s, or a number of epochs
    #[arg(long, value_name = "EVERY", default_value = "60s", value_parser = value::value::<Every>())]
    checkpoint_every: Given<Every>,
    /// Go on with the run saved in FILE, by the options that it was started with; others given here take their
    /// place where they change nothing of what is computed
    #[arg(long, value_name = "FILE")]
    resume: Option<PathBuf>,
}

/// What is saved and gone on with, checked.
#[derive(Debug, Clone)]
pub struct Checkpoints {
    keep: Option<(PathBuf, Every)>,
    resume: Option<Checkpoint>,
    /// The words of the command, as JSON.
    words: String,
}

impl CheckpointArgs {
    /// Checks the options; complaints go to `check`.
    ///
    /// # Errors
    /// What is wrong with the file to go on with.
    pub fn check(self, check: &mut Check) -> Result<Checkpoints> {
        let every = check.take(self.checkpoint_every);
        let resume = self.resume.map(Checkpoint::open).transpose()?;
        let words = match &resume {
            Some(from) => [saved(from)?, given()].concat(),
            None => given(),
        };
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
    /// [`Error::Io`] where it cannot; [`Error::Usage`] where it is one of the `inputs`.
    pub fn output(&self, inputs: &[&Path]) -> Result<()> {
        let Some((path, _)) = &self.keep else { return Ok(()) };
        if path == Path::new("-") {
            return Err(Error::usage("--checkpoint: found '-', expected a file"));
        }
        output::clean(path)?;
        Output::check(path, inputs).map(drop)
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

/// The arguments with which the run in the file was started, and then those of this command, which take their place.
///
/// # Errors
/// What is wrong with the file, or with the arguments together.
pub fn merged(file: &Path) -> Result<train::Args> {
    let words = [saved(&Checkpoint::open(file)?)?, given()].concat();
    let resume = ["--resume".to_owned(), file.display().to_string()];
    let all = ["asyncsgd".to_owned(), "train".to_owned()].into_iter().chain(words).chain(resume);
    let command = Cli::command().mut_subcommand("train", |train| train.args_override_self(true));
    let parsed = command.try_get_matches_from(all).and_then(|matches| Cli::from_arg_matches(&matches));
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

/// The words of the command that began the run.
fn saved(from: &Checkpoint) -> Result<Vec<String>> {
    serde_json::from_str(from.note()).map_err(|_| foreign(from.path()))
}

/// The words of this command after `asyncsgd train`, without `--resume`.
fn given() -> Vec<String> {
    let mut words = Vec::new();
    let mut all = std::env::args_os().skip(2).map(|word| word.to_string_lossy().into_owned());
    while let Some(word) = all.next() {
        match word.as_str() {
            "--resume" => drop(all.next()),
            word if word.starts_with("--resume=") => {}
            _ => words.push(word),
        }
    }
    words
}

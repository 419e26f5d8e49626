//! The command line: arguments → plan → call → record → report. One file a subcommand.

mod bench;
mod checkpoint;
mod completions;
mod data;
mod fit;
mod gather;
mod help;
mod instruments;
mod interrupt;
mod live;
mod load;
mod models;
mod options;
mod output;
mod penalties;
mod predict;
mod profile;
mod progress;
mod reproduce;
mod rule;
mod search;
mod simulate;
mod stream;
mod train;
mod value;

use asyncsgd::{Error, Result, kernel};
use clap::Parser;
use clap::error::ErrorKind;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::process::ExitCode;

/// Lock-free asynchronous SGD: workers update shared parameters without locks, every gradient's delay is
/// measured, and each update is scaled by it
#[derive(Parser, Debug)]
#[command(name = "asyncsgd", version, after_help = help::MAIN, arg_required_else_help = true)]
#[command(max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand, Debug)]
enum Command {
    #[command(allow_negative_numbers = true)]
    Train(Box<train::Args>),
    Stream(stream::Args),
    Predict(predict::Args),
    Data(data::Args),
    #[command(allow_negative_numbers = true)]
    Simulate(Box<simulate::Args>),
    Reproduce(reproduce::Args),
    #[command(allow_negative_numbers = true)]
    Profile(Box<profile::Args>),
    #[command(allow_negative_numbers = true)]
    Bench(Box<bench::Args>),
    Completions(completions::Args),
}

/// Runs the program.
pub fn main() -> ExitCode {
    interrupt::heed_limits();
    let outcome = match Cli::try_parse() {
        Ok(cli) => check_kernel().and_then(|()| start_pool()).and_then(|()| match cli.command {
            Command::Train(args) => train::run(*args),
            Command::Stream(args) => stream::run(args),
            Command::Predict(args) => predict::run(&args),
            Command::Data(args) => data::run(args),
            Command::Simulate(args) => simulate::run(*args),
            Command::Reproduce(args) => reproduce::run(args),
            Command::Profile(args) => profile::run(*args),
            Command::Bench(args) => bench::run(*args),
            Command::Completions(args) => completions::run(&args),
        }),
        Err(e) => usage(&e),
    };
    ExitCode::from(outcome.unwrap_or_else(|error| {
        if is_closed_pipe(&error) {
            // Whoever read has seen enough.
            return 0;
        }
        for line in error.to_string().lines() {
            say(format_args!("error: {line}"));
        }
        error.exit_code()
    }))
}

/// Refuses an environment variable that says something else than it can: it would be passed over.
fn check_kernel() -> Result<()> {
    match std::env::var_os(kernel::VARIABLE) {
        Some(found) if found != "scalar" => {
            let (name, found) = (kernel::VARIABLE, found.display());
            Err(Error::usage(format!("{name}: found '{found}', expected scalar, or no such variable")))
        }
        _ => Ok(()),
    }
}

/// Starts the threads that load and evaluate, which would panic where the system refuses them later.
fn start_pool() -> Result<()> {
    let refused = |e| Error::Thread { thread: "the pool of threads".into(), source: io::Error::other(e) };
    rayon::ThreadPoolBuilder::new().build_global().map_err(refused)
}

/// Help and version go to standard output; what clap complains about becomes a line.
fn usage(e: &clap::Error) -> Result<u8> {
    let asked = [ErrorKind::DisplayHelp, ErrorKind::DisplayVersion];
    if asked.contains(&e.kind()) {
        return print(|out, colour| match colour {
            true => write!(out, "{}", e.render().ansi()),
            false => write!(out, "{}", e.render()),
        });
    }
    if e.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        say(e.render().to_string().trim_end());
        return Ok(2);
    }
    Err(complaint(e))
}

/// What clap complains about, as a line.
fn complaint(e: &clap::Error) -> Error {
    let text = e.render().to_string();
    let about = |line: &&str| !line.starts_with("Usage:") && !line.starts_with("For more");
    let said: Vec<&str> = text.lines().take_while(about).map(str::trim).filter(|l| !l.is_empty()).collect();
    let line = said.join("; ").replace(":; ", ": ");
    Error::usage(format!("{}; see --help", line.trim_start_matches("error: ")))
}

/// Tells something on standard error. Where nobody listens any more there is nothing to tell, and no reason to stop.
fn say(what: impl std::fmt::Display) {
    let _ = writeln!(io::stderr(), "{what}");
}

/// Writes to standard output, telling whether colour is wanted there.
fn print(write: impl FnOnce(&mut dyn Write, bool) -> io::Result<()>) -> Result<u8> {
    let stdout = io::stdout();
    let colour = stdout.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|set| set.is_empty());
    let mut out = BufWriter::new(stdout.lock());
    let written = write(&mut out, colour).and_then(|()| out.flush());
    written.map(|()| 0).map_err(|e| Error::io("write", "<stdout>", e))
}

fn is_closed_pipe(error: &Error) -> bool {
    matches!(error, Error::Io { source, .. } if source.kind() == io::ErrorKind::BrokenPipe)
}

//! `asyncsgd profile`: a run with its delays to be seen, and logs of earlier ones.

use super::instruments::TroubleArgs;
use super::output::Output;
use super::{print, train};
use asyncsgd::delay::{Log, LogWriter, Profile, Unit};
use asyncsgd::report::{count, write_histogram, write_profiles};
use asyncsgd::{Error, Real, Result, Run, engine::Lost};
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::UNIX_EPOCH;

/// Train, and see how late gradients are: live, and as tables, charts and logs afterwards
#[derive(clap::Args, Debug)]
#[command(after_help = super::help::PROFILE, args_conflicts_with_subcommands = true)]
// The group of the flattened arguments has its name already.
#[group(skip)]
pub struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    train: train::Args,
    #[command(flatten)]
    trouble: TroubleArgs,
}

#[derive(clap::Subcommand, Debug)]
enum Command {
    Show(ShowArgs),
}

/// Print, compare and merge HDR interval logs (.hlog) of earlier runs
#[derive(clap::Args, Debug)]
struct ShowArgs {
    /// The logs
    #[arg(value_name = "FILE.hlog", required = true)]
    logs: Vec<PathBuf>,
    /// Write all their intervals to one log
    #[arg(long, value_name = "FILE.hlog")]
    merge: Option<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// Everything that can be wrong with options, data, logs and outputs.
pub fn run(args: Args) -> Result<u8> {
    match args.command {
        Some(Command::Show(args)) => show(&args),
        None => train::Plan::new(args.train, Some(args.trouble))?.run(),
    }
}

/// What follows the report of a profiled run: percentiles by worker, per update and by time, and histograms.
///
/// # Errors
/// What the writer says.
pub fn write_profile<T: Real>(out: &mut dyn Write, run: &Run<T>) -> io::Result<()> {
    let all = run.delays();
    if all.count() == 0 {
        return writeln!(out, "\nno updates, so no delays");
    }
    writeln!(out, "\ndelays in iterations; time: weighted by how long gradients were in flight")?;
    let names: Vec<String> = (0..run.workers.len()).map(|worker| format!("worker {worker}")).collect();
    let named = |profiles: Vec<Profile>, all| {
        let names = names.iter().cloned().chain(["all".to_owned()]);
        names.zip(profiles.into_iter().chain([all])).collect::<Vec<_>>()
    };
    let delays = named(run.workers.iter().map(|worker| worker.delays.clone()).collect(), all.clone());
    write_profiles(out, Unit::Iterations, delays.iter().map(|(name, profile)| (name.as_str(), profile)))?;
    writeln!(out)?;
    write_histogram(out, Unit::Iterations, &all)?;
    let Some(timing) = run.timing().filter(|timing| timing.samples() > 0) else {
        return writeln!(out, "\nthe run was too short for a sample of its times");
    };
    writeln!(
        out,
        "\nstaleness, from the read of the counter to the end of the write: one update in {} timed, {:.2} % of the time",
        timing.every,
        100.0 * timing.cost()
    )?;
    let workers = run.workers.iter().filter_map(|worker| worker.timing.as_ref());
    let staleness = named(workers.map(|timing| timing.staleness.clone()).collect(), timing.staleness.clone());
    let parts = [("compute".to_owned(), timing.compute.clone()), ("write".to_owned(), timing.write.clone())];
    let all = staleness.iter().chain(&parts).map(|(name, profile)| (name.as_str(), profile));
    write_profiles(out, Unit::Nanoseconds, all)?;
    let (ticket, writers) = (timing.ticket_delay.mean(), timing.writers.mean());
    writeln!(
        out,
        "\nticket-to-ticket delay {ticket:.3}; {writers:.3} other updates were being written when parameters were read"
    )?;
    let Some(Lost { additions, lost }) = run.lost else { return Ok(()) };
    writeln!(
        out,
        "lost in racy mode: {} of {} additions, {:.1e} of them, in a comparison run in which every addition is 1",
        count(lost),
        count(additions),
        lost as f64 / additions.max(1) as f64
    )
}

fn show(args: &ShowArgs) -> Result<u8> {
    let logs = args.logs.iter().map(Log::read).collect::<Result<Vec<_>>>()?;
    let units: Vec<Option<Unit>> = logs.iter().map(|log| log.unit).collect();
    if let Some(other) = units.iter().position(|unit| *unit != units[0]) {
        let name = |unit: Option<Unit>| unit.map_or("no unit", Unit::name);
        return Err(Error::usage(format!(
            "{} counts {}, {} counts {}: expected logs of one unit",
            args.logs[0].display(),
            name(units[0]),
            args.logs[other].display(),
            name(units[other])
        )));
    }
    let unit = units[0].unwrap_or(Unit::Iterations);
    let inputs: Vec<_> = args.logs.iter().map(PathBuf::as_path).collect();
    if let Some(path) = &args.merge {
        let start = logs.iter().filter_map(|log| log.start).min().unwrap_or(UNIX_EPOCH);
        Output::check(path, &inputs)?.write(|out| merge(out, unit, start, &logs))?;
    }
    print(|out, _| {
        let mut wholes: Vec<(String, Profile)> = Vec::new();
        for (path, log) in args.logs.iter().zip(&logs) {
            let mut whole = Profile::default();
            let mut tags = log.profiles();
            tags.iter().for_each(|(_, profile)| whole.merge(profile));
            for (tag, _) in &mut tags {
                *tag = if tag.is_empty() { "untagged".to_owned() } else { std::mem::take(tag) };
            }
            writeln!(out, "{}: {} intervals, in {}", path.display(), log.intervals.len(), unit.name())?;
            tags.push(("all".to_owned(), whole.clone()));
            write_profiles(out, unit, tags.iter().map(|(tag, profile)| (tag.as_str(), profile)))?;
            writeln!(out)?;
            write_histogram(out, unit, &whole)?;
            writeln!(out)?;
            wholes.push((path.display().to_string(), whole));
        }
        if wholes.len() > 1 {
            let mut merged = Profile::default();
            wholes.iter().for_each(|(_, whole)| merged.merge(whole));
            wholes.push(("merged".to_owned(), merged));
            write_profiles(out, unit, wholes.iter().map(|(name, whole)| (name.as_str(), whole)))?;
        }
        Ok(())
    })
}

/// Writes the intervals of all logs, in the order of the logs.
fn merge(out: &mut dyn Write, unit: Unit, start: std::time::SystemTime, logs: &[Log]) -> io::Result<()> {
    let mut merged = LogWriter::new(out, start, unit)?;
    for interval in logs.iter().flat_map(|log| &log.intervals) {
        let tag = if interval.tag.is_empty() { "untagged" } else { &interval.tag };
        merged.interval(tag, interval.start, interval.length, &interval.profile)?;
    }
    merged.finish().map(drop)
}

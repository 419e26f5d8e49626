//! Runs side by side.

use super::{count, si};
use crate::record::Record;
use std::io::{self, Write};

/// Writes a table with a line for each run: its step rule, what it reached, and its delays.
///
/// # Errors
/// What the writer says.
pub fn write_comparison(out: &mut dyn Write, records: &[Record]) -> io::Result<()> {
    let wide = records.iter().map(|record| record.plan.step.chars().count()).max().unwrap_or(0).max(4);
    writeln!(
        out,
        "{:wide$} {:>11} {:>9} {:>8} {:>10} {:>8} {:>6} {:>8} {:>9} {:>9} {:>6}  stopped",
        "step",
        "objective",
        "seconds",
        "epochs",
        "updates/s",
        "mean",
        "p99",
        "max",
        "p99 time",
        "staleness",
        "kept"
    )?;
    for record in records {
        let delay = &record.delay;
        let last = record.series.last();
        let timed = record.profile.as_ref().map_or("–".to_owned(), |p| count(p.delays.by_time.p99));
        let late = record.profile.as_ref().map_or("–".to_owned(), |p| {
            super::value(crate::delay::Unit::Nanoseconds, p.timing.staleness[0])
        });
        writeln!(
            out,
            "{:wide$} {:>11.6} {:>9.3} {:>8.2} {:>10} {:>8.3} {:>6} {:>8} {timed:>9} {late:>9} {:>6.3}  {}",
            record.plan.step,
            record.outcome.objective,
            record.time.train_seconds,
            last.map_or(0.0, |point| point.epoch),
            si(record.throughput.updates_per_second),
            delay.all.mean,
            delay.all.p99,
            count(delay.all.max),
            delay.all.kept_mass,
            record.stop,
        )?;
    }
    Ok(())
}

//! Runs side by side.

use super::{count, si, value};
use crate::delay::Unit;
use crate::record::Record;
use std::io::{self, Write};

/// The columns; those from [`DELAYS`] on tell of delays.
const HEAD: [&str; 11] = [
    "step",
    "objective",
    "seconds",
    "updates/s",
    "mean",
    "p99",
    "max",
    "p99 by time",
    "staleness",
    "kept mass",
    "stopped by",
];
const DELAYS: std::ops::Range<usize> = 4..8;

/// Writes what the runs share, then a table with a line for each: its step rule, what it reached, and its delays.
///
/// # Errors
/// What the writer says.
pub fn write_comparison(out: &mut dyn Write, records: &[Record]) -> io::Result<()> {
    let Some(first) = records.first() else { return Ok(()) };
    let trouble = first.profile.iter().flat_map(|profile| &profile.injections);
    let trouble: String = trouble.map(|trouble| format!(", {trouble}")).collect();
    let rows: Vec<[String; HEAD.len()]> = records.iter().map(cells).collect();
    let wide: [usize; HEAD.len()] = std::array::from_fn(|column| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([HEAD[column].len()]).max().unwrap_or(0)
    });
    let of = |columns: std::ops::Range<usize>| wide[columns].iter().map(|wide| wide + 2).sum::<usize>();
    writeln!(out, "{} workers on {}{trouble}", first.plan.workers, first.data.path)?;
    writeln!(
        out,
        "\n{:before$}{:─^delays$}",
        "",
        " delay in updates ",
        before = of(0..DELAYS.start),
        delays = of(DELAYS) - 2
    )?;
    let head = HEAD.map(str::to_owned);
    for row in [&head].into_iter().chain(&rows) {
        let line: Vec<String> = row
            .iter()
            .zip(wide)
            .enumerate()
            .map(|(column, (cell, wide))| {
                let left = column == 0 || column == HEAD.len() - 1;
                if left { format!("{cell:<wide$}") } else { format!("{cell:>wide$}") }
            })
            .collect();
        writeln!(out, "{}", line.join("  ").trim_end())?;
    }
    Ok(())
}

fn cells(record: &Record) -> [String; HEAD.len()] {
    let (delay, profile) = (&record.delay, record.profile.as_ref());
    let unknown = || "–".to_owned();
    [
        record.plan.step.clone(),
        format!("{:.6}", record.outcome.objective),
        format!("{:.3}", record.time.train_seconds),
        si(record.throughput.updates_per_second),
        format!("{:.3}", delay.all.mean),
        count(delay.all.p99),
        count(delay.all.max),
        profile.map_or_else(unknown, |profile| count(profile.delays.by_time.p99)),
        profile.map_or_else(unknown, |profile| value(Unit::Nanoseconds, profile.timing.staleness[0])),
        format!("{:.3}", delay.all.kept_mass),
        record.stop.clone(),
    ]
}

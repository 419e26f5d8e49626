//! A benchmark as text for a terminal, 100 columns wide.

use super::super::number::{count, short, si};
use super::super::text::Style;
use crate::record::{Bench, Case, Conditions, Delays, Figures, Settings};
use std::io::{self, Write};

/// Writes what was run, the state of the machine, a line for each case, and what has changed since the baseline.
///
/// # Errors
/// What the writer says.
pub fn write_bench(out: &mut dyn Write, bench: &Bench, style: Style) -> io::Result<()> {
    for (label, text) in facts(bench) {
        title(out, style, &format!("{label:12}"))?;
        writeln!(out, "{text}")?;
    }
    writeln!(out)?;
    let mut rows = vec![head(bench)];
    rows.extend(bench.cases.iter().map(|case| cells(bench, case)));
    table(out, style, &rows, names(bench).len())?;
    if let Some(baseline) = &bench.baseline {
        writeln!(out)?;
        writeln!(out, "against the baseline {baseline}, {UNITS}")?;
        let mut rows = vec![changes_head(bench)];
        rows.extend(bench.cases.iter().map(|case| change(bench, case)));
        table(out, style, &rows, names(bench).len())?;
    }
    if !bench.warnings.is_empty() {
        writeln!(out)?;
    }
    bench.warnings.iter().try_for_each(|warning| writeln!(out, "warning: {warning}"))
}

/// What the ratios of a comparison are of.
pub(super) const UNITS: &str = "time now over time then, each in units of the plain loop at that time";

/// What was run and where: labels and texts.
pub(super) fn facts(bench: &Bench) -> Vec<(&'static str, String)> {
    let (program, machine, data, settings) = (&bench.program, &bench.machine, &bench.data, &bench.settings);
    let cpu = if machine.cpu.is_empty() { "unknown processor" } else { &machine.cpu };
    let Settings { model, loss, precision, batch, epochs, rate, schedule, seed, pin, .. } = settings;
    let (model, intercept) = match (&**model, settings.intercept) {
        ("linear", true) => (String::new(), "with intercept, "),
        ("linear", false) => (String::new(), "no intercept, "),
        (_, intercept) => (format!("{model}, "), if intercept { "with intercept, " } else { "" }),
    };
    let l1 = if settings.l1 > 0.0 { format!(", l1 {}", short(settings.l1)) } else { String::new() };
    let batch = if *batch > 1 { format!(", mini-batches of {batch}") } else { String::new() };
    let mut facts = vec![
        (
            "asyncsgd",
            format!("{} · {cpu}, {} cores · {} kernels", program.version, machine.cores, machine.kernel),
        ),
        (
            "data",
            format!(
                "{}: {} rows × {} features, {} nonzeros",
                data.path,
                count(data.rows as u64),
                count(data.features as u64),
                count(data.nonzeros as u64)
            ),
        ),
        ("objective", format!("{model}{loss} loss, l2 {}{l1}, {intercept}{precision}", short(settings.l2))),
        (
            "training",
            format!("{epochs} epochs, rate {rate}, schedule {schedule}{batch}, seed {seed}, pin {pin}"),
        ),
        ("runs", format!("{} of each case after {} for warm-up, interleaved", bench.repeats, bench.warm_up)),
        ("machine", state(&bench.conditions)),
    ];
    if let Some(test) = &bench.test {
        let rows = count(test.rows as u64);
        facts.push(("held out", format!("{}: {rows} rows, for the quality of each last run", test.path)));
    }
    if let Some(target) = bench.target_objective {
        let gap = bench.optimum.map_or(String::new(), |f| format!(", gap {}", short(target / f - 1.0)));
        facts.push(("target", format!("objective {target:.8}{gap}")));
    }
    facts
}

/// The state of the machine in words.
pub(super) fn state(conditions: &Conditions) -> String {
    let percent = |share: f64| format!("{:.1} %", 100.0 * share);
    let parts = [
        conditions.yardstick_ns.map(|ns| format!("plain loop {ns:.2} ns a nonzero")),
        conditions.ping_pong_ns.map(|[before, after]| {
            format!("cache line from core to core {before:.0} ns before, {after:.0} ns after")
        }),
        conditions.load_average.map(|load| format!("load {load:.2}")),
        conditions.others.map(|share| format!("others {}", percent(share))),
        conditions.steal.map(|share| format!("steal {}", percent(share))),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    if parts.is_empty() { "unknown".into() } else { parts.join(" · ") }
}

/// The columns that name a case: the step rule only where there are several.
fn names(bench: &Bench) -> &'static [&'static str] {
    let several = bench.cases.iter().any(|case| case.step != bench.cases[0].step);
    if several { &["workers", "update", "block", "step"] } else { &["workers", "update", "block"] }
}

fn name(bench: &Bench, case: &Case) -> Vec<String> {
    let all = [case.workers.to_string(), case.update.clone(), case.block.clone(), case.step.clone()];
    all.into_iter().take(names(bench).len()).collect()
}

/// The figure that tells most, and what it is.
fn quality(figures: &Figures) -> Option<(&'static str, String)> {
    let accuracy = figures.accuracy.map(|share| ("accuracy", format!("{:.2} %", 100.0 * share)));
    accuracy.or_else(|| figures.rmse.map(|error| ("RMSE", format!("{error:.5}"))))
}

/// What that is, if any case has one.
fn quality_head(bench: &Bench) -> Option<&'static str> {
    bench.cases.iter().find_map(|case| quality(&case.quality)).map(|(name, _)| name)
}

/// The heads of the table's columns.
pub(super) fn head(bench: &Bench) -> Vec<String> {
    let mut head: Vec<&str> = names(bench).to_vec();
    head.extend(["seconds", "spread", "nonzeros/s", "speed-up", "vs ref"]);
    head.push(if bench.optimum.is_some() { "gap" } else { "objective" });
    head.extend(quality_head(bench));
    head.extend(bench.target_objective.map(|_| "to target"));
    head.extend(["p50", "p99", "max"]);
    head.into_iter().map(str::to_owned).collect()
}

/// A case's line.
pub(super) fn cells(bench: &Bench, case: &Case) -> Vec<String> {
    let none = || "–".to_owned();
    let mut cells = name(bench, case);
    cells.push(format!("{:.4}", case.seconds.median));
    cells.push(format!("±{:.1} %", 100.0 * case.seconds.relative()));
    cells.push(si(case.nonzeros_per_second));
    cells.push(case.speed_up.map_or_else(none, |times| format!("{:.2}", times.median)));
    cells.push(format!("{:.2}", case.against_reference.median));
    cells.push(match case.gap {
        _ if !case.objective.is_finite() => "diverged".into(),
        Some(gap) => format!("{gap:.2e}"),
        None => format!("{:.8}", case.objective),
    });
    cells.extend(quality_head(bench).map(|_| quality(&case.quality).map_or_else(none, |(_, figure)| figure)));
    if bench.target_objective.is_some() {
        cells.push(case.to_target.map_or_else(none, |seconds| format!("{seconds:.4}")));
    }
    cells.extend([case.delay.p50, case.delay.p99, case.delay.max].map(count));
    cells
}

/// The heads of the columns of delays.
pub(super) fn delays_head(bench: &Bench) -> Vec<String> {
    let rest = ["updates", "mean", "p50", "p90", "p99", "p99.9", "max", "kept mass", "failed CAS per update"];
    names(bench).iter().chain(&rest).map(|&name| name.to_owned()).collect()
}

/// A case's delays, of all its runs together.
pub(super) fn delays(bench: &Bench, case: &Case) -> Vec<String> {
    let Delays { count: updates, mean, p50, p90, p99, p999, max, kept_mass, failed_attempts } = case.delay;
    let mut cells = name(bench, case);
    cells.extend([count(updates), format!("{mean:.3}")]);
    cells.extend([p50, p90, p99, p999, max].map(count));
    cells.extend([format!("{kept_mass:.4}"), short(failed_attempts as f64 / updates.max(1) as f64)]);
    cells
}

/// The heads of the columns of changes.
pub(super) fn changes_head(bench: &Bench) -> Vec<String> {
    let head = names(bench).iter().chain(&["then", "now", "ratio", "95 % interval", "verdict"]);
    head.map(|&name| name.to_owned()).collect()
}

/// What has changed of a case.
pub(super) fn change(bench: &Bench, case: &Case) -> Vec<String> {
    let mut cells = name(bench, case);
    let now = format!("{:.4}", case.seconds.median);
    cells.extend(match &case.change {
        None => ["–".into(), now, "–".into(), "–".into(), "new".into()],
        Some(change) => [
            format!("{:.4}", change.before),
            now,
            format!("{:.3}", change.ratio),
            change.interval.map_or("too few runs".into(), |[low, high]| format!("{low:.3} … {high:.3}")),
            change.verdict.clone(),
        ],
    });
    cells
}

/// Columns as wide as they must be; the first `left` of them begin on the left.
pub(in crate::report) fn table(
    out: &mut (impl Write + ?Sized),
    style: Style,
    rows: &[Vec<String>],
    left: usize,
) -> io::Result<()> {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..rows[0].len()).map(width).collect();
    for (number, row) in rows.iter().enumerate() {
        let cell = |(column, text): (usize, &String)| match widths[column] {
            wide if column < left => format!("{text:wide$}"),
            wide => format!("{text:>wide$}"),
        };
        let line = row.iter().enumerate().map(cell).collect::<Vec<_>>().join("  ");
        match number {
            0 => {
                title(out, style, &line)?;
                writeln!(out)?;
            }
            _ => writeln!(out, "{}", line.trim_end())?,
        }
    }
    Ok(())
}

pub(in crate::report) fn title(out: &mut (impl Write + ?Sized), style: Style, text: &str) -> io::Result<()> {
    if style.colour { write!(out, "\x1b[1m{text}\x1b[0m") } else { write!(out, "{text}") }
}

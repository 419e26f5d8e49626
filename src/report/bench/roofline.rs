//! The roofline as text.

use super::super::number::{count, si};
use super::super::text::Style;
use super::table::{state, table, title};
use crate::record::{Dense, Roofline};
use std::io::{self, Write};

/// Writes the measurements as text.
///
/// # Errors
/// What the writer says.
pub fn write_roofline(out: &mut dyn Write, roofline: &Roofline, style: Style) -> io::Result<()> {
    let Roofline { program, machine, data, exchange, .. } = roofline;
    let cpu = if machine.cpu.is_empty() { "unknown processor" } else { &machine.cpu };
    let [one, all] = roofline.read_bandwidth;
    let contended = exchange
        .contended
        .map_or(String::new(), |ns| format!(", {ns:.1} ns beside another core on its line"));
    let facts = [
        (
            "asyncsgd",
            format!("{} · {cpu}, {} cores · {} kernels", program.version, machine.cores, machine.kernel),
        ),
        (
            "data",
            format!(
                "{}: {} rows, {} nonzeros",
                data.path,
                count(data.rows as u64),
                count(data.nonzeros as u64)
            ),
        ),
        ("machine", state(&roofline.conditions)),
        ("memory", format!("read {}B/s by one core, {}B/s by all", si(one), si(all))),
        (
            "additions",
            format!(
                "load and store {:.2} ns · compare-exchange {:.2} ns{contended} · of 16 bytes {:.2} ns a float, {:.1} \
                 times as fast",
                exchange.racy,
                exchange.single,
                exchange.packed,
                exchange.single / exchange.packed
            ),
        ),
        ("updates", format!("clock, step rule and recorder {:.1} ns", roofline.bookkeeping)),
    ];
    for (label, text) in facts {
        title(out, style, &format!("{label:12}"))?;
        writeln!(out, "{text}")?;
    }
    let words = |cells: &[&str]| cells.iter().map(|&cell| cell.to_owned()).collect::<Vec<_>>();
    writeln!(out)?;
    let (shared, plain) = (&roofline.dense_shared, &roofline.dense_plain);
    let line = |name: &str, of: fn(&Dense) -> f64| {
        let (shared, plain) = (of(shared), of(plain));
        vec![name.into(), format!("{shared:.3}"), format!("{plain:.3}"), format!("{:.2}", plain / shared)]
    };
    let dense = [
        words(&["dense loop", "shared ns", "plain ns", "of plain"]),
        line("dot", |dense| dense.dot),
        line("axpy, racy", |dense| dense.axpy),
        line("copy out", |dense| dense.copy_out),
    ];
    table(out, style, &dense, 1)?;
    writeln!(out)?;
    let mut rows = vec![words(&[
        "pass",
        "ms",
        "spread",
        "nonzeros/s",
        "of plain",
        "of bandwidth",
        "of exchanges",
        "clock",
    ])];
    rows.extend(roofline.passes.iter().map(|pass| {
        vec![
            pass.name.clone(),
            format!("{:.2}", 1e3 * pass.seconds.median),
            format!("±{:.1} %", 100.0 * pass.seconds.relative()),
            si(pass.nonzeros_per_second),
            format!("{:.2}", pass.of_plain.median),
            format!("{:.2}", pass.of_bandwidth),
            format!("{:.2}", pass.of_exchange),
            format!("{:.1} %", 100.0 * pass.bookkeeping),
        ]
    }));
    table(out, style, &rows, 1)?;
    if !roofline.traffic.is_empty() {
        writeln!(out, "\ncache lines between two workers: the model's number, and the time that they took")?;
        let head = ["block", "hot", "lines/example", "alone ns", "both ns", "ns a line"];
        let mut rows = vec![words(&head)];
        rows.extend(roofline.traffic.iter().map(|row| {
            vec![
                count(row.block as u64),
                count(row.hot as u64),
                format!("{:.3}", row.lines),
                format!("{:.1}", row.alone),
                format!("{:.1}", row.both),
                format!("{:.1}", row.per_line),
            ]
        }));
        table(out, style, &rows, 0)?;
        writeln!(out, "\nmore workers, by the model, each on a core of its own")?;
        let mut rows =
            vec![words(&["workers", "block", "hot", "lines/example", "speed-up", "examples/s at most"])];
        rows.extend(roofline.predicted.iter().map(|row| {
            vec![
                count(row.workers as u64),
                count(row.block as u64),
                count(row.hot as u64),
                format!("{:.3}", row.lines),
                format!("{:.1}", row.speed_up),
                si(row.limit),
            ]
        }));
        table(out, style, &rows, 0)?;
    }
    if !roofline.warnings.is_empty() {
        writeln!(out)?;
    }
    roofline.warnings.iter().try_for_each(|warning| writeln!(out, "warning: {warning}"))
}

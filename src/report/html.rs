//! One self-contained page: charts with zoom and values on hover, tables, the plan and the machine.

use crate::record::Record;
use serde::Serialize;
use std::io::{self, Write};

const PAGE: &str = include_str!("assets/page.html");

/// The most points of the objective that are drawn.
const POINTS: usize = 2000;

/// Writes the record as an HTML page that needs nothing but itself, below 3 MB for a run of any length with up to
/// 64 workers.
///
/// # Errors
/// What the writer says.
pub fn write_html(out: &mut dyn Write, record: &Record) -> io::Result<()> {
    let mut record = record.clone();
    thin(&mut record.series);
    write_page(out, "a run and its delays", &record, include_str!("assets/page.js"))
}

/// Writes the tables of claims, in the form of `asyncsgd reproduce --json`, as such a page, with a chart each.
///
/// # Errors
/// What the writer says.
pub fn write_claims(out: &mut dyn Write, tables: &impl Serialize) -> io::Result<()> {
    write_page(out, "claims and verdicts", tables, include_str!("assets/claims.js"))
}

/// A page with `data` that `script` draws by what all pages share.
fn write_page(out: &mut dyn Write, title: &str, data: &impl Serialize, script: &str) -> io::Result<()> {
    // In a script element only `<` could end the data.
    let data = serde_json::to_string(data)?.replace('<', "\\u003c");
    let parts = [
        ("title", title),
        ("uplot.css", include_str!("assets/uplot.min.css")),
        ("page.css", include_str!("assets/page.css")),
        ("record", &data),
        ("uplot.licence", include_str!("assets/uplot.LICENSE")),
        ("uplot.js", include_str!("assets/uplot.min.js")),
        ("chart.js", include_str!("assets/chart.js")),
        ("page.js", script),
    ];
    let mut rest = PAGE;
    for (name, text) in parts {
        let (before, after) = rest.split_once(&format!("{{{name}}}")).expect("the page has a place for it");
        out.write_all(before.as_bytes())?;
        out.write_all(text.trim_end().as_bytes())?;
        rest = after;
    }
    out.write_all(rest.as_bytes())
}

/// Keeps at most [`POINTS`] evenly spaced points, the first and the last among them.
fn thin<P: Copy>(points: &mut Vec<P>) {
    let last = points.len().saturating_sub(1);
    if last >= POINTS {
        *points = (0..POINTS).map(|i| points[i * last / (POINTS - 1)]).collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_series_keep_their_ends() {
        let mut points: Vec<usize> = (0..12_345).collect();
        thin(&mut points);
        assert_eq!((points.len(), points[0], points[POINTS - 1]), (POINTS, 0, 12_344));
        let mut few = vec![1, 2, 3];
        thin(&mut few);
        assert_eq!(few, [1, 2, 3]);
    }
}

//! One self-contained page: charts with zoom and values on hover, tables, the plan and the machine.

use crate::record::Record;
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
    // In a script element only `<` could end the data.
    let data = serde_json::to_string(&record)?.replace('<', "\\u003c");
    let parts = [
        ("uplot.css", include_str!("assets/uplot.min.css")),
        ("page.css", include_str!("assets/page.css")),
        ("record", &data),
        ("uplot.licence", include_str!("assets/uplot.LICENSE")),
        ("uplot.js", include_str!("assets/uplot.min.js")),
        ("page.js", include_str!("assets/page.js")),
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

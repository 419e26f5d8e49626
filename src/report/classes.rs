//! The quality of a classifier, class by class.

use super::bench::title;
use super::number::count;
use super::text::Style;
use crate::record::Class;
use std::io::{self, Write};

/// The most classes that are listed.
const LISTED: usize = 40;

fn name(class: &Class) -> String {
    class.name.clone().unwrap_or_else(|| class.label.to_string())
}

/// Writes a line for each class: its rows, how well it is predicted, and for which other class it is taken most often.
///
/// # Errors
/// What the writer says.
pub fn write_classes(
    out: &mut (impl Write + ?Sized),
    classes: &[Class],
    confusion: &[Vec<u64>],
    style: Style,
) -> io::Result<()> {
    let head = format!(
        "{:>8} {:>10} {:>10} {:>10} {:>8} {:>8}  {}",
        "class", "rows", "predicted", "precision", "recall", "F1", "mostly mistaken for"
    );
    title(out, style, &head)?;
    writeln!(out)?;
    for (at, class) in classes.iter().enumerate().take(LISTED) {
        let share = |x: Option<f64>| x.map_or("–".to_owned(), |x| format!("{x:.4}"));
        let mistaken = confusion.get(at).map_or(&[][..], |row| row);
        let mut most = None;
        for (other, &rows) in mistaken.iter().enumerate().filter(|(other, rows)| *other != at && **rows > 0) {
            if most.is_none_or(|(_, before)| rows > before) {
                most = Some((other, rows));
            }
        }
        let most = most
            .map_or(String::new(), |(other, rows)| format!("{} ({})", name(&classes[other]), count(rows)));
        let line = format!(
            "{:>8} {:>10} {:>10} {:>10} {:>8} {:>8}  {most}",
            name(class),
            count(class.rows),
            count(class.predicted),
            share(class.precision),
            share(class.recall),
            share(class.f1)
        );
        writeln!(out, "{}", line.trim_end())?;
    }
    if classes.len() > LISTED {
        writeln!(out, "{:>8} {} more", "…", classes.len() - LISTED)?;
    }
    Ok(())
}

//! A benchmark as one self-contained page: tables, the times of all runs, and the objective over time.

use super::super::svg::COLOURS;
use super::table::{UNITS, cells, change, changes_head, delays, delays_head, facts, head};
use crate::record::Bench;
use plotters::prelude::*;
use std::io::{self, Write};

type Drawing = Result<(), Box<dyn std::error::Error + Send + Sync>>;

/// Writes the benchmark as an HTML page that needs nothing but itself.
///
/// # Errors
/// What the writer says.
pub fn write_bench_html(out: &mut dyn Write, bench: &Bench) -> io::Result<()> {
    let css = include_str!("../assets/page.css");
    writeln!(out, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">")?;
    writeln!(out, "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">")?;
    writeln!(
        out,
        "<meta name=\"color-scheme\" content=\"light dark\">\n<link rel=\"icon\" href=\"data:,\">"
    )?;
    writeln!(out, "<title>asyncsgd: a benchmark</title>\n<style>\n{css}</style>\n</head>\n<body>")?;
    writeln!(out, "<header><h1>asyncsgd bench</h1></header>\n<main>")?;
    let facts: Vec<Vec<String>> =
        facts(bench).into_iter().map(|(name, text)| vec![name.into(), text]).collect();
    table(out, "data facts", None, &facts)?;
    for warning in &bench.warnings {
        writeln!(out, "<p class=\"note\">warning: {}</p>", escape(warning))?;
    }
    writeln!(out, "<h2>Cases</h2>")?;
    let rows: Vec<Vec<String>> = bench.cases.iter().map(|case| cells(bench, case)).collect();
    table(out, "data", Some(&head(bench)), &rows)?;
    writeln!(out, "<h2>Delays in iterations</h2>")?;
    let rows: Vec<Vec<String>> = bench.cases.iter().map(|case| delays(bench, case)).collect();
    table(out, "data", Some(&delays_head(bench)), &rows)?;
    if let Some(baseline) = &bench.baseline {
        writeln!(out, "<h2>Against the baseline {}: {UNITS}</h2>", escape(baseline))?;
        let rows: Vec<Vec<String>> = bench.cases.iter().map(|case| change(bench, case)).collect();
        table(out, "data", Some(&changes_head(bench)), &rows)?;
    }
    writeln!(out, "<section id=\"charts\">")?;
    drawing(out, "times", |text| times(text, bench))?;
    drawing(out, "series", |text| series(text, bench))?;
    writeln!(out, "</section>\n</main>\n</body>\n</html>")
}

fn table(out: &mut dyn Write, class: &str, head: Option<&[String]>, rows: &[Vec<String>]) -> io::Result<()> {
    let row = |cells: &[String], tag: &str| {
        let cells: String = cells.iter().map(|cell| format!("<{tag}>{}</{tag}>", escape(cell))).collect();
        format!("<tr>{cells}</tr>")
    };
    writeln!(out, "<div class=\"scroll\"><table class=\"{class}\">")?;
    head.map_or(Ok(()), |head| writeln!(out, "{}", row(head, "th")))?;
    rows.iter().try_for_each(|cells| writeln!(out, "{}", row(cells, "td")))?;
    writeln!(out, "</table></div>")
}

fn drawing(out: &mut dyn Write, id: &str, draw: impl FnOnce(&mut String) -> Drawing) -> io::Result<()> {
    let mut text = String::new();
    draw(&mut text).map_err(io::Error::other)?;
    writeln!(out, "<div class=\"chart\" id=\"{id}\">\n{text}</div>")
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// A line for each case: a dot for each run, a bar from quartile to quartile, a mark at the median.
fn times(text: &mut String, bench: &Bench) -> Drawing {
    let cases = &bench.cases;
    let height = 90 + 26 * cases.len() as u32;
    let root = SVGBackend::with_string(text, (900, height)).into_drawing_area();
    root.fill(&WHITE)?;
    let longest = cases.iter().flat_map(|case| &case.runs).map(|run| run.seconds).fold(0.0, f64::max);
    let longest = if longest > 0.0 { longest * 1.05 } else { 1.0 };
    let mut chart = ChartBuilder::on(&root)
        .caption("Training seconds of each run; quartiles and median", ("sans-serif", 16))
        .margin(10)
        .set_label_area_size(LabelAreaPosition::Left, 330)
        .set_label_area_size(LabelAreaPosition::Bottom, 30)
        .build_cartesian_2d(0.0..longest, -0.6..cases.len() as f64 - 0.4)?;
    let label =
        |y: &f64| cases.iter().rev().nth(y.round() as usize).map_or(String::new(), |case| case.name());
    chart
        .configure_mesh()
        .disable_y_mesh()
        .y_labels(2 * cases.len() + 1)
        .y_label_formatter(&|y| if (y - y.round()).abs() < 1e-9 { label(y) } else { String::new() })
        .light_line_style(WHITE)
        .draw()?;
    for (line, case) in cases.iter().rev().enumerate() {
        let (y, colour) = (line as f64, COLOURS[(cases.len() - 1 - line) % COLOURS.len()]);
        let spread = case.seconds;
        let bar =
            Rectangle::new([(spread.low, y - 0.25), (spread.high, y + 0.25)], colour.mix(0.25).filled());
        let mark =
            PathElement::new([(spread.median, y - 0.35), (spread.median, y + 0.35)], colour.stroke_width(2));
        chart.draw_series([bar])?;
        chart.draw_series([mark])?;
        chart.draw_series(case.runs.iter().map(|run| Circle::new((run.seconds, y), 2, colour.filled())))?;
    }
    root.present()?;
    Ok(())
}

/// The objective, or the gap where the optimum is known, over training seconds, of the run of median time.
fn series(text: &mut String, bench: &Bench) -> Drawing {
    let root = SVGBackend::with_string(text, (900, 420)).into_drawing_area();
    root.fill(&WHITE)?;
    let height = |objective: f64| bench.optimum.map_or(objective, |optimum| objective / optimum - 1.0);
    let lines: Vec<Vec<(f64, f64)>> = bench
        .cases
        .iter()
        .map(|case| case.series.iter().map(|point| (point.train_seconds, height(point.objective))))
        .map(|points| points.filter(|&(_, y)| y.is_finite() && y > 0.0).collect())
        .collect();
    let all = || lines.iter().flatten();
    let longest = all().map(|point| point.0).fold(1e-9, f64::max);
    let (low, high) =
        all().fold((f64::INFINITY, 0.0), |(low, high), point| (point.1.min(low), point.1.max(high)));
    if low > high {
        root.draw_text("no finite objective", &("sans-serif", 16).into(), (40, 40))?;
        root.present()?;
        return Ok(());
    }
    let what = if bench.optimum.is_some() { "gap (f − f*)/f*" } else { "objective" };
    let mut chart = ChartBuilder::on(&root)
        .caption(format!("{what} over training seconds, run of median time"), ("sans-serif", 16))
        .margin(10)
        .set_label_area_size(LabelAreaPosition::Left, 70)
        .set_label_area_size(LabelAreaPosition::Bottom, 40)
        .build_cartesian_2d(0.0..longest * 1.02, (low * 0.95..high * 1.05).log_scale())?;
    chart
        .configure_mesh()
        .x_desc("training seconds")
        .y_desc(what)
        .y_label_formatter(&|y| format!("{y:.2e}"))
        .light_line_style(WHITE)
        .draw()?;
    for (number, (case, line)) in bench.cases.iter().zip(lines).enumerate() {
        let colour = COLOURS[number % COLOURS.len()];
        chart
            .draw_series(LineSeries::new(line, colour).point_size(3))?
            .label(case.name())
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 14, y)], colour));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .border_style(BLACK.mix(0.2))
        .background_style(WHITE.mix(0.8))
        .draw()?;
    root.present()?;
    Ok(())
}

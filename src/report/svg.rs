//! The delays as a vector drawing: how often each, and their percentiles.

use crate::record::{Distribution, Record};
use plotters::coord::Shift;
use plotters::prelude::*;
use std::io::{self, Write};

pub(super) const COLOURS: [RGBColor; 8] = [
    RGBColor(0, 0, 0),
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(181, 137, 0),
    RGBColor(86, 180, 233),
    RGBColor(138, 95, 191),
];

type Panel<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Writes the delays of a profiled run: left the share of updates at each delay, of all and of the first seven
/// workers, right the percentiles of all, per update and by time. Delays stand at τ + 1, so that 0 has a place on the
/// logarithmic axis. A record without a profile gives a drawing that says so.
///
/// # Errors
/// What the writer says.
pub fn write_svg(out: &mut dyn Write, record: &Record) -> io::Result<()> {
    let mut text = String::new();
    draw(&mut text, record).map_err(io::Error::other)?;
    out.write_all(text.as_bytes())
}

fn draw(text: &mut String, record: &Record) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let root = SVGBackend::with_string(text, (1000, 420)).into_drawing_area();
    root.fill(&WHITE)?;
    match &record.profile {
        Some(profile) if profile.delays.count > 0 => {
            let (left, right) = root.split_horizontally(500);
            let workers = if profile.worker_delays.len() > 1 { &profile.worker_delays[..] } else { &[] };
            histogram(&left, &profile.delays, workers)?;
            percentiles(&right, &profile.delays)?;
        }
        _ => root.draw_text("no delays were recorded", &("sans-serif", 16).into(), (40, 40))?,
    }
    root.present()?;
    Ok(())
}

/// The share of updates at each delay: that of a bucket divided by its width.
fn density(delays: &Distribution) -> Vec<(f64, f64)> {
    let share = |n: u64, width: u64| n as f64 / delays.count as f64 / width as f64;
    delays.buckets.iter().map(|&(low, high, n)| (low as f64 + 1.0, share(n, high - low + 1))).collect()
}

fn histogram(
    panel: &Panel<'_>,
    all: &Distribution,
    workers: &[Distribution],
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let lines: Vec<Vec<(f64, f64)>> =
        std::iter::once(all).chain(workers).take(COLOURS.len()).map(density).collect();
    let least = lines.iter().flatten().map(|point| point.1).fold(1.0, f64::min);
    let mut chart = ChartBuilder::on(panel)
        .caption("Share of updates at a delay", ("sans-serif", 16))
        .margin(10)
        .set_label_area_size(LabelAreaPosition::Left, 70)
        .set_label_area_size(LabelAreaPosition::Bottom, 40)
        .build_cartesian_2d((1.0..all.max as f64 + 2.0).log_scale(), (least / 2.0..1.0).log_scale())?;
    chart
        .configure_mesh()
        .x_desc("delay τ + 1, iterations")
        .y_label_formatter(&|y| format!("{y:.0e}"))
        .x_label_formatter(&|x| format!("{x:.0}"))
        .light_line_style(WHITE)
        .draw()?;
    for (i, (line, colour)) in lines.into_iter().zip(COLOURS).enumerate() {
        let name = if i == 0 { "all".to_owned() } else { format!("worker {}", i - 1) };
        chart
            .draw_series(LineSeries::new(line, colour).point_size(2))?
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 14, y)], colour));
    }
    chart.configure_series_labels().border_style(BLACK.mix(0.2)).background_style(WHITE.mix(0.8)).draw()?;
    Ok(())
}

fn percentiles(
    panel: &Panel<'_>,
    all: &Distribution,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let far = |q: f64| 1.0 / (1.0 - q);
    let last = all.curve.last().map_or(10.0, |point| far(point.0)).max(10.0);
    let mut chart = ChartBuilder::on(panel)
        .caption("Percentiles of the delay", ("sans-serif", 16))
        .margin(10)
        .set_label_area_size(LabelAreaPosition::Left, 70)
        .set_label_area_size(LabelAreaPosition::Bottom, 40)
        .build_cartesian_2d((1.0..last).log_scale(), (1.0..all.max as f64 + 2.0).log_scale())?;
    chart
        .configure_mesh()
        .x_desc("1/(1 − percentile)")
        .y_desc("delay τ + 1, iterations")
        .x_label_formatter(&|x| format!("{x:.0}"))
        .y_label_formatter(&|y| format!("{y:.0}"))
        .light_line_style(WHITE)
        .draw()?;
    for (i, (name, colour)) in ["per update", "by time"].into_iter().zip(COLOURS[1..].iter()).enumerate() {
        let value = |&(_, per_update, by_time): &(f64, u64, u64)| [per_update, by_time][i];
        let points = all.curve.iter().map(|point| (far(point.0), value(point) as f64 + 1.0));
        chart
            .draw_series(LineSeries::new(points, colour))?
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 14, y)], colour));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .border_style(BLACK.mix(0.2))
        .background_style(WHITE.mix(0.8))
        .draw()?;
    Ok(())
}

//! Delays as text: tables and bars.

use super::count;
use crate::delay::{Profile, Unit};
use std::io::{self, Write};

/// The longest bar.
const BAR: usize = 40;

/// A value as text: `12.3 µs` where values are ns, `1,234` or `0.998` otherwise.
pub fn value(unit: Unit, value: f64) -> String {
    match unit {
        Unit::Nanoseconds => {
            let units = [(1e9, "s"), (1e6, "ms"), (1e3, "µs")];
            let (one, name) = units.into_iter().find(|unit| value >= 0.9995 * unit.0).unwrap_or((1.0, "ns"));
            let x = value / one;
            let decimals = if x >= 99.95 || one == 1.0 { 0 } else { usize::from(x < 9.995) + 1 };
            format!("{x:.decimals$} {name}")
        }
        _ if value.fract() == 0.0 => count(value as u64),
        _ => format!("{value:.3}"),
    }
}

/// Writes a table of named profiles: records, their share, mean and percentiles, two of them weighted by time.
///
/// # Errors
/// What the writer says.
pub fn write_profiles<'a>(
    out: &mut dyn Write,
    unit: Unit,
    profiles: impl IntoIterator<Item = (&'a str, &'a Profile)>,
) -> io::Result<()> {
    let profiles: Vec<_> = profiles.into_iter().collect();
    let wide = profiles.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0).max(6);
    let head = ["records", "mean", "p50", "p90", "p99", "p99.9", "max", "p50 time", "p99 time"];
    write!(out, "{:wide$}", "")?;
    head.iter().try_for_each(|name| write!(out, " {name:>9}"))?;
    writeln!(out)?;
    for (name, profile) in profiles {
        let whole = |q: f64| value(unit, profile.quantile(q) as f64);
        let timed = |q: f64| value(unit, profile.time_quantile(q) as f64);
        let cells = [
            count(profile.count()),
            value(unit, profile.mean()),
            whole(0.5),
            whole(0.9),
            whole(0.99),
            whole(0.999),
            value(unit, profile.max() as f64),
            timed(0.5),
            timed(0.99),
        ];
        write!(out, "{name:wide$}")?;
        cells.iter().try_for_each(|cell| write!(out, " {cell:>9}"))?;
        writeln!(out)?;
    }
    Ok(())
}

/// Writes how often each delay was, an octave a line: 0, 1, 2–3, 4–7, …
///
/// # Errors
/// What the writer says.
pub fn write_histogram(out: &mut dyn Write, unit: Unit, profile: &Profile) -> io::Result<()> {
    let octaves = octaves(profile);
    let first = octaves.iter().position(|&n| n > 0).unwrap_or(0);
    let most = octaves.iter().copied().max().unwrap_or(0).max(1);
    for (octave, &n) in octaves.iter().enumerate().skip(first) {
        let (low, high) = bounds(octave);
        let range = match unit {
            Unit::Nanoseconds => format!("< {}", value(unit, high as f64 + 1.0)),
            _ if low == high => count(low),
            _ => format!("{} – {}", count(low), count(high)),
        };
        let share = 100.0 * n as f64 / profile.count() as f64;
        // In eighths of a character; what there is, is seen.
        let eighths = (n * 8 * BAR as u64).div_ceil(most) as usize;
        let bar = "█".repeat(eighths / 8) + ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"][eighths % 8];
        writeln!(out, "{range:>21} {:>11} {share:>7.3} %  {bar}", count(n))?;
    }
    Ok(())
}

/// The records of each octave: of 0, 1, 2–3, 4–7, …
pub fn octaves(profile: &Profile) -> Vec<u64> {
    let mut octaves = Vec::new();
    for bucket in profile.buckets() {
        let octave = (u64::BITS - bucket.lowest.leading_zeros()) as usize;
        octaves.resize(octave + 1, 0);
        octaves[octave] += bucket.count;
    }
    octaves
}

/// The lowest and highest value of an octave.
fn bounds(octave: usize) -> (u64, u64) {
    match octave {
        0 => (0, 0),
        octave => (1 << (octave - 1), (1 << octave) - 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delay::Recorder;

    #[test]
    fn every_record_is_in_its_octave() {
        let mut recorder = Recorder::new();
        for delay in [0, 1, 1, 2, 3, 4, 100] {
            recorder.record(delay, 1.0);
        }
        let profile = recorder.reader().snapshot();
        assert_eq!(octaves(&profile), [1, 2, 2, 1, 0, 0, 0, 1]);
        let mut text = Vec::new();
        write_histogram(&mut text, Unit::Iterations, &profile).unwrap();
        let text = String::from_utf8(text).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 8);
        assert!(lines[2].contains("2 – 3") && lines[2].contains("28.571 %") && lines[7].contains("64 – 127"));
        assert!(lines[1].ends_with(&"█".repeat(BAR)) && lines[4].trim_end().ends_with('%'));
    }
}

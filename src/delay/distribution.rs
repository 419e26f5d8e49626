//! Distributions as text: `.hgrm` percentiles and CSV.

use std::io::{self, Write};

use super::Profile;

/// Steps for each halving of the distance to 100 %, as HdrHistogram does by default.
const STEPS_PER_HALF: u32 = 5;

/// Writes percentiles in the `.hgrm` format of HdrHistogram's `outputPercentileDistribution`, which its
/// plotters read: value, percentile, count up to it, 1/(1 − percentile), and a footer.
///
/// # Errors
/// What the writer says.
pub fn write_percentiles(out: &mut impl Write, profile: &Profile) -> io::Result<()> {
    writeln!(out, "{:>12} {:>14} {:>10} {:>14}\n", "Value", "Percentile", "TotalCount", "1/(1-Percentile)")?;
    for q in steps() {
        let (value, up_to) = profile.quantile_and_rank(q);
        let value = value as f64;
        writeln!(out, "{value:12.3} {q:.12} {up_to:10} {:14.2}", 1.0 / (1.0 - q))?;
        if up_to == profile.count() {
            writeln!(out, "{value:12.3} {:.12} {up_to:10}", 1.0)?;
            break;
        }
    }
    let histogram = profile.to_hdr();
    writeln!(out, "#[Mean    = {:12.3}, StdDeviation   = {:12.3}]", profile.mean(), histogram.stdev())?;
    writeln!(out, "#[Max     = {:12.3}, Total count    = {:12}]", profile.max() as f64, profile.count())?;
    // Histogram's own layout: the buckets double, each divided into so many.
    writeln!(
        out,
        "#[Buckets = {:12}, SubBuckets     = {:12}]",
        histogram.buckets(),
        sub_buckets(histogram.sigfig())
    )
}

/// The shares 0, 0.1, … 0.4, 0.5, 0.55, … 0.7, 0.75, …: at half the distance to 1 the steps halve. Each is
/// a correctly rounded fraction.
fn steps() -> impl Iterator<Item = f64> {
    (0..).map(|halvings| f64::from(2 * STEPS_PER_HALF) * 2f64.powi(halvings)).flat_map(|whole| {
        let first = whole - f64::from(2 * STEPS_PER_HALF);
        (0..STEPS_PER_HALF).map(move |step| (first + f64::from(step)) / whole)
    })
}

/// HDR's number of linear steps in a bucket: the power of two that tells two times 10^digits apart.
fn sub_buckets(digits: u8) -> u64 {
    (2 * 10u64.pow(digits.into())).next_power_of_two()
}

/// Writes the buckets of named profiles as CSV: `name,lowest,highest,count,share_up_to`. Names are quoted
/// where CSV needs it.
///
/// # Errors
/// What the writer says.
pub fn write_buckets<'a>(
    out: &mut impl Write,
    profiles: impl IntoIterator<Item = (&'a str, &'a Profile)>,
) -> io::Result<()> {
    writeln!(out, "name,lowest,highest,count,share_up_to")?;
    for (name, profile) in profiles {
        let name = if name.contains(['"', ',', '\n', '\r']) {
            format!("\"{}\"", name.replace('"', "\"\""))
        } else {
            name.to_owned()
        };
        let mut up_to = 0;
        for bucket in profile.buckets() {
            up_to += bucket.count;
            let share = up_to as f64 / profile.count() as f64;
            writeln!(out, "{name},{},{},{},{share}", bucket.lowest, bucket.highest, bucket.count)?;
        }
    }
    Ok(())
}

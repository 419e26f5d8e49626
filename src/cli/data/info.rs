//! `asyncsgd data info`.

use crate::cli::load::{Cache, Labels, check_indices};
use crate::cli::options::TableArgs;
use crate::cli::print;
use crate::cli::value::Check;
use asyncsgd::report::count;
use asyncsgd::{Dataset, Loader, Result};
use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Instant;

/// Tell the shape of a data set, and how long it took to load
#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  asyncsgd data info data.svm.zst")]
pub struct Args {
    /// Data of any form that train reads; - is standard input. Without it: the training part of the embedded
    /// flights
    data: Option<PathBuf>,
    /// Feature indices start from 0, not 1
    #[arg(long)]
    zero_based: bool,
    /// Where parsed files are kept for the next run: a directory, none, or auto (files of 4 MB and more, packed of
    /// 0.4 MB, in asyncsgd in the user's cache directory)
    #[arg(long, value_name = "DIR", default_value = "auto")]
    cache: Cache,
    #[command(flatten)]
    table: TableArgs,
}

/// The most labels, and the most features, that are listed.
const LISTED: usize = 10;

/// Runs the command.
///
/// # Errors
/// Where the data are bad.
pub fn run(args: &Args) -> Result<u8> {
    let mut check = Check::default();
    let table = Labels::check(&mut check, args.table.clone());
    check.finish()?;
    let start = Instant::now();
    let data = match &args.data {
        None => Dataset::flights(0)?.0,
        Some(path) => {
            let loader = args.cache.on(Loader::new(path).zero_based(args.zero_based), path);
            let data = args.cache.warned(table.on(loader, table.file.as_deref()).load()?);
            check_indices(args.zero_based, std::iter::once(&data))?;
            data
        }
    };
    let seconds = start.elapsed().as_secs_f64();
    let file = args.data.as_ref().and_then(|path| fs::metadata(path).ok()).filter(fs::Metadata::is_file);
    let speed =
        file.map_or(String::new(), |file| format!(" ({:.0} MB/s)", file.len() as f64 / 1e6 / seconds));
    let cached = if data.cached().read { ", from the cache" } else { "" };
    print(|out, _| write(out, &data, &format!("{seconds:.3} s{speed}{cached}")))
}

fn write(out: &mut dyn Write, data: &Dataset, load: &str) -> io::Result<()> {
    let rows = data.len();
    let share = |n: u64| 100.0 * n as f64 / rows as f64;
    let density = 100.0 * data.nonzeros() as f64 / (rows as f64 * data.features().max(1) as f64);
    writeln!(out, "data        {}", data.name())?;
    writeln!(out, "hash        {} (xxh3-128)", data.hash())?;
    writeln!(out, "rows        {}", count(rows as u64))?;
    writeln!(out, "features    {}", count(data.features() as u64))?;
    writeln!(out, "nonzeros    {} ({density:.3} %)", count(data.nonzeros() as u64))?;
    writeln!(out, "loaded in   {load}")?;

    let mut lengths: Vec<usize> = data.rows().iter().map(|row| row.len()).collect();
    lengths.sort_unstable();
    let quantile = |q: f64| lengths[((q * (rows - 1) as f64).round() as usize).min(rows - 1)];
    let mean = data.nonzeros() as f64 / rows as f64;
    writeln!(out, "\nnonzeros a row")?;
    writeln!(out, "{:>9} {:>8} {:>8} {:>8} {:>8} {:>8}", "mean", "min", "p10", "p50", "p90", "max")?;
    let [min, p10, p50, p90, max] = [0.0, 0.1, 0.5, 0.9, 1.0].map(quantile);
    writeln!(out, "{mean:>9.2} {min:>8} {p10:>8} {p50:>8} {p90:>8} {max:>8}")?;

    let mut labels = data.labels().to_vec();
    labels.sort_by(f32::total_cmp);
    let mut runs: Vec<(f32, u64)> =
        labels.chunk_by(|a, b| a == b).map(|run| (run[0], run.len() as u64)).collect();
    if runs.len() <= LISTED {
        writeln!(out, "\n{:>9} {:>14} {:>8}", "label", "rows", "share")?;
        let columns = data.columns();
        for (label, n) in runs {
            let label = columns.label(label);
            writeln!(out, "{label:>9} {:>14} {:>6.2} %", count(n), share(n))?;
        }
    } else {
        let (first, last) = (runs.remove(0).0, labels[labels.len() - 1]);
        let median = labels[labels.len() / 2];
        writeln!(out, "\n{} labels from {first} to {last}, median {median}", count(runs.len() as u64 + 1))?;
    }

    // Ranks are by falling frequency.
    let counts = data.counts();
    let listed: Vec<_> = counts.iter().take(LISTED).enumerate().filter(|(_, n)| **n > 0).collect();
    if !listed.is_empty() {
        writeln!(out, "\n{:>9} {:>14} {:>8}  most frequent features", "index", "rows", "share")?;
    }
    for (rank, &n) in listed {
        let index = u64::from(data.feature_order()[rank]) + u64::from(data.one_based());
        let name = data.feature_name(rank).map_or(String::new(), |name| format!("  {name}"));
        writeln!(out, "{index:>9} {:>14} {:>6.2} %{name}", count(n.into()), share(n.into()))?;
    }
    Ok(())
}

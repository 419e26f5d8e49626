//! Benchmarks: a table for the terminal, a line a run as CSV, a page.

mod page;
mod roofline;
mod table;

pub use page::write_bench_html;
pub use roofline::write_roofline;
pub use table::write_bench;
pub(super) use table::{table, title};

use crate::record::Bench;
use std::io::{self, Write};

/// Writes a line for each timed run, in the order of the cases.
///
/// # Errors
/// What the writer says.
pub fn write_bench_csv(out: &mut dyn Write, bench: &Bench) -> io::Result<()> {
    writeln!(out, "workers,update,block,step,repeat,turn,seconds,objective,gap,to_target,mean_delay,stop")?;
    let maybe = |x: Option<f64>| x.map_or(String::new(), |x| x.to_string());
    for case in &bench.cases {
        // A rule's parameters may have commas between them.
        let step = if case.step.contains(',') { format!("\"{}\"", case.step) } else { case.step.clone() };
        for run in &case.runs {
            let gap = bench.optimum.map(|optimum| run.objective / optimum - 1.0);
            writeln!(
                out,
                "{},{},{},{step},{},{},{},{},{},{},{},{}",
                case.workers,
                case.update,
                case.block,
                run.repeat,
                run.turn,
                run.seconds,
                run.objective,
                maybe(gap),
                maybe(run.to_target),
                run.mean_delay,
                run.stop,
            )?;
        }
    }
    Ok(())
}

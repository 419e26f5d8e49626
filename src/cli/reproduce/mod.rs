//! `asyncsgd reproduce`.

mod engine;
mod guard;

use super::output::Output;
use super::print;
use super::value::{self, Check, Given};
use asyncsgd::sim::claims::{self, Claim, Effort, Verdict, number};
use asyncsgd::{Error, Result, report};
use serde::Serialize;
use std::io::{self, Write};
use std::path::PathBuf;

/// What the engine alone can show.
const ENGINE: &str = "engine-vs-simulator";

/// Examine what papers claim about asynchronous SGD: expected, measured, verdict
#[derive(clap::Args, Debug)]
#[command(after_help = super::help::REPRODUCE)]
pub struct Args {
    /// The claims, or all
    #[arg(value_name = "CLAIM", required = true)]
    claims: Vec<String>,
    /// Fewer cases and repetitions: seconds instead of minutes
    #[arg(long)]
    quick: bool,
    /// Seed of everything random
    #[arg(long, value_name = "SEED", default_value = "0", value_parser = value::seed())]
    seed: Given<u64>,
    /// Write the tables as JSON; - is standard output, without the text
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write one page with a chart and a table for each claim
    #[arg(long, value_name = "FILE.html")]
    report: Option<PathBuf>,
}

/// All tables.
#[derive(Serialize)]
struct Tables {
    schema: u32,
    version: &'static str,
    quick: bool,
    seed: u64,
    holds: bool,
    claims: Vec<Claim>,
}

/// Runs the command. Returns 1 where a value left its tolerance.
///
/// # Errors
/// Bad options; a file that cannot be written.
pub fn run(args: Args) -> Result<u8> {
    let mut check = Check::default();
    let seed = check.take(args.seed);
    let known: Vec<&str> = claims::names().chain([ENGINE]).collect();
    for name in args.claims.iter().filter(|name| *name != "all" && !known.contains(&name.as_str())) {
        check.require(false, format!("CLAIM: found '{name}', expected all, {}", known.join(", ")));
    }
    let output = |path: &Option<PathBuf>| path.as_deref().map(|path| Output::check(path, &[])).transpose();
    check.require(
        args.json.is_none() || args.json != args.report,
        "--json and --report: found the same file, expected two",
    );
    check.finish()?;
    let (json, page) = (output(&args.json)?, output(&args.report)?);
    let quiet = json.as_ref().is_some_and(Output::is_stdout);
    let effort = Effort { quick: args.quick, seed };

    let asked = |name: &str| args.claims.iter().any(|claim| claim == "all" || claim == name);
    let mut done = Vec::new();
    for name in known.into_iter().filter(|name| asked(name)) {
        let claim = examine(name, effort)?;
        if !quiet {
            print(|out, _| write_claim(out, &claim))?;
        }
        done.push(claim);
    }
    let code = exit_code(&done);
    let version = env!("CARGO_PKG_VERSION");
    let tables = Tables { schema: 1, version, quick: effort.quick, seed, holds: code == 0, claims: done };
    if let Some(json) = json {
        json.write(|out| report::write_json(out, &tables))?;
    }
    if let Some(page) = page {
        page.write(|out| report::write_claims(out, &tables))?;
    }
    Ok(code)
}

/// 1 where a value of any claim left its tolerance.
fn exit_code(claims: &[Claim]) -> u8 {
    u8::from(!claims.iter().all(Claim::holds))
}

/// The claim of this name, by the simulator, the engine or both.
fn examine(name: &str, effort: Effort) -> Result<Claim> {
    if name == ENGINE {
        return engine::against_simulator(effort);
    }
    let mut claim =
        claims::run(name, effort).unwrap_or_else(|| Err(Error::usage(format!("no claim {name}"))))?;
    match name {
        "identity" => claim.rows.extend(engine::identity(effort)?),
        "sample-cost" => claim.rows.extend(guard::sample_cost(effort)?),
        _ => {}
    }
    Ok(claim)
}

fn write_claim(out: &mut dyn Write, claim: &Claim) -> io::Result<()> {
    writeln!(out, "{}: {}", claim.name, claim.statement)?;
    writeln!(out, "{}", claim.setup)?;
    let rows: Vec<[String; 4]> = claim
        .rows
        .iter()
        .map(|row| [row.what.clone(), row.expected.clone(), number(row.measured), row.tolerance.clone()])
        .collect();
    let heads = ["", "expected", "measured", "tolerance"].map(str::to_owned);
    let width = |column: usize| {
        let cells = rows.iter().chain([&heads]).map(|row| row[column].chars().count());
        cells.max().unwrap_or(0)
    };
    let widths = [width(0), width(1), width(2), width(3)];
    let mut line = |cells: &[String; 4], verdict: &str| {
        let [what, expected, measured, tolerance] = cells;
        let [a, b, c, d] = widths;
        writeln!(out, "  {what:a$}  {expected:b$}  {measured:>c$}  {tolerance:d$}  {verdict}")
    };
    line(&heads, "verdict")?;
    for (row, cells) in claim.rows.iter().zip(&rows) {
        line(cells, row.verdict.text())?;
    }
    let out_of = claim.rows.iter().filter(|row| row.verdict == Verdict::OutOfTolerance).count();
    match out_of {
        0 => writeln!(out, "  all as expected\n"),
        n => writeln!(out, "  {n} of {} OUT OF TOLERANCE\n", rows.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use asyncsgd::sim::claims::{Axis, Chart, Row};

    #[test]
    fn a_value_out_of_tolerance_is_exit_code_1() {
        let claim = |measured: f64, verdict: Verdict| {
            let rows = vec![
                Row::near("one", 1.0, 1.0, 0.1),
                Row { verdict, ..Row::near("other", 1.0, measured, 0.1) },
            ];
            let chart = Chart::new(Axis::linear("x"), Axis::linear("y"));
            Claim { name: "none", statement: "none", setup: String::new(), rows, chart }
        };
        let known =
            [Verdict::Holds, Verdict::DoesNotHold, Verdict::NotVisible].map(|verdict| claim(1.0, verdict));
        assert_eq!(exit_code(&known), 0);
        let out = claim(2.0, Row::near("", 1.0, 2.0, 0.1).verdict);
        assert_eq!(exit_code(&[claim(1.0, Verdict::Holds), out]), 1);
    }
}

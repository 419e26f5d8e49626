//! Benchmarks kept by name, and whether times have changed since.
//!
//! A baseline is the benchmark's JSON record in `asyncsgd/baselines/NAME.json` in the user's cache directory:
//! `$XDG_CACHE_HOME`, or else `~/.cache` (`%LOCALAPPDATA%` on Windows).

use super::conditions::is_busy;
use crate::cli::load::user_folder;
use asyncsgd::output;
use asyncsgd::record::{Bench, Case, Change, Conditions, Settings, Spread};
use asyncsgd::report::write_json;
use asyncsgd::{Error, Result, Stop};
use serde::Deserialize;
use std::fs;
use std::path::PathBuf;

/// A change below this share is none.
const NOISE: f64 = 0.02;

/// How often the interval of a ratio leaves the true one out.
const MISSES: f64 = 0.05;

/// How many times as long a plain loop may take as in the baseline before times in its units are not comparable: memory
/// and exchanges do not all slow down with it.
const PACE: f64 = 1.25;

/// How many times longer a cache line may travel than in the baseline before several workers' times are not
/// comparable.
const PING_PONG: f64 = 1.5;

/// The file of the baseline `name`.
///
/// # Errors
/// Where the name has other characters than letters, digits, `.`, `_` and `-`, or no directory is known.
pub fn path(name: &str) -> Result<PathBuf> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if name.is_empty() || name.starts_with('.') || !name.chars().all(plain) {
        let line = format!("baseline '{name}': expected a name of letters, digits, '.', '_' and '-'");
        return Err(Error::usage(line));
    }
    let folder =
        user_folder().ok_or_else(|| Error::usage("baseline: found neither $XDG_CACHE_HOME nor a home"))?;
    Ok(folder.join("baselines").join(format!("{name}.json")))
}

/// Keeps the benchmark; one of the same name is replaced.
///
/// # Errors
/// [`Error::Io`] where the system refuses.
pub fn save(name: &str, bench: &Bench) -> Result<()> {
    let path = path(name)?;
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(|e| Error::io("create", folder, e))?;
    }
    output::write_with(&path, |mut out| write_json(&mut out, bench))
}

/// What is read of a benchmark that was kept.
#[derive(Deserialize)]
pub struct Baseline {
    machine: Cpu,
    settings: Settings,
    conditions: Conditions,
    cases: Vec<Kept>,
}

#[derive(Deserialize)]
struct Cpu {
    cpu: String,
    cores: usize,
    kernel: String,
}

#[derive(Deserialize)]
struct Kept {
    workers: usize,
    update: String,
    block: String,
    step: String,
    runs: Vec<Timed>,
}

#[derive(Deserialize)]
struct Timed {
    seconds: f64,
    yardstick_ns: f64,
    stop: String,
}

impl Baseline {
    /// Reads the baseline `name`.
    ///
    /// # Errors
    /// Where there is none, or it is not one.
    pub fn read(name: &str) -> Result<Self> {
        let path = path(name)?;
        let text = match fs::read_to_string(&path) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                let path = path.display();
                let line = format!(
                    "--baseline: found no '{name}' ({path}), expected one of an earlier --save-baseline"
                );
                return Err(Error::usage(line));
            }
            text => text.map_err(|e| Error::io("read", &path, e))?,
        };
        serde_json::from_str(&text).map_err(|e| {
            let file = path.display().to_string();
            Error::input(
                file,
                e.line(),
                e.column(),
                "something else",
                format!("a benchmark kept by this version ({e})"),
            )
        })
    }

    /// Demands that the times are of the same work.
    ///
    /// # Errors
    /// A line with the settings that differ.
    pub fn check(&self, name: &str, settings: &Settings) -> Result<()> {
        let values = |settings: &Settings| serde_json::to_value(settings).unwrap_or_default();
        let (then, now) = (values(&self.settings), values(settings));
        let keys = now.as_object().into_iter().flat_map(|now| now.keys());
        let differ = keys.filter(|key| then[key.as_str()] != now[key.as_str()]);
        let differ: Vec<String> =
            differ.map(|key| format!("{key} {} there and {} here", then[key], now[key])).collect();
        if differ.is_empty() {
            return Ok(());
        }
        let differ = differ.join(", ");
        Err(Error::usage(format!("--baseline: found '{name}' with {differ}, expected the same settings")))
    }

    /// Tells of each case that the baseline has how its times have changed, and warns where the machine has.
    pub fn compare(&self, bench: &mut Bench) {
        if self.machine.cpu != bench.machine.cpu {
            let (then, now) = (&self.machine.cpu, &bench.machine.cpu);
            let line =
                format!("no verdicts: the baseline was measured on another processor: {then}, not {now}");
            bench.warnings.push(line);
        }
        let of = |cores: usize, kernel: &str| format!("{cores} cores by the kernels {kernel}");
        let then = of(self.machine.cores, &self.machine.kernel);
        let now = of(bench.machine.cores, &bench.machine.kernel);
        if then != now {
            bench.warnings.push(format!("no verdicts: the baseline was measured on {then}, not {now}"));
        }
        let other = then != now || self.machine.cpu != bench.machine.cpu;
        let (then, now) = (is_busy(&self.conditions), is_busy(&bench.conditions));
        if then || now {
            let when = ["in the baseline", "now"][usize::from(now)];
            bench.warnings.push(format!("no verdicts: the machine was busy {when}"));
        }
        let paces = self.conditions.yardstick_ns.zip(bench.conditions.yardstick_ns);
        let pace = paces.filter(|(then, now)| (then / now).max(now / then) > PACE);
        if let Some((then, now)) = pace {
            bench.warnings.push(format!(
                "no verdicts: a plain loop took {then:.2} ns a nonzero in the baseline and {now:.2} ns now, so that the \
                 machine is in another state"
            ));
        }
        let quiet = !other && !then && !now && pace.is_none();
        let mean = |conditions: &Conditions| conditions.ping_pong_ns.map(|[a, b]| (a + b) / 2.0);
        let travel = mean(&self.conditions).zip(mean(&bench.conditions));
        let moved = travel.filter(|(then, now)| (then / now).max(now / then) > PING_PONG);
        if let Some((then, now)) = moved {
            bench.warnings.push(format!(
                "a cache line took {then:.0} ns from core to core in the baseline and {now:.0} ns now: no verdict on \
                 several workers"
            ));
        }
        for case in &mut bench.cases {
            let same = |kept: &&Kept| {
                kept.workers == case.workers
                    && [&kept.update, &kept.block, &kept.step] == [&case.update, &case.block, &case.step]
            };
            let kept = self.cases.iter().find(same);
            let comparable = quiet && (moved.is_none() || case.workers == 1);
            case.change = kept.and_then(|kept| change(kept, case, comparable));
        }
    }
}

fn change(kept: &Kept, case: &Case, comparable: bool) -> Option<Change> {
    let before: Vec<f64> = kept.runs.iter().map(|run| run.seconds / run.yardstick_ns).collect();
    let now: Vec<f64> = case.runs.iter().map(|run| run.seconds / run.yardstick_ns).collect();
    if before.is_empty() || now.is_empty() {
        return None;
    }
    // Runs that ended otherwise did other work.
    let mut ends = kept.runs.iter().map(|run| &run.stop).chain(case.runs.iter().map(|run| &run.stop));
    let (first, diverged) = (&case.runs[0].stop, Stop::Diverged.to_string());
    let comparable = comparable && ends.all(|stop| stop == first && *stop != diverged);
    let (ratio, interval) = ratio(&before, &now);
    let verdict = match interval {
        Some(_) if !comparable => "unclear",
        Some([_, high]) if high < 1.0 - NOISE => "faster",
        Some([low, _]) if low > 1.0 + NOISE => "slower",
        Some([low, high]) if low >= 1.0 - NOISE && high <= 1.0 + NOISE => "same",
        _ => "unclear",
    };
    let before = Spread::of(kept.runs.iter().map(|run| run.seconds)).median;
    Some(Change { before, ratio, interval, verdict: verdict.into() })
}

/// The median of all ratios now/before, and a 95 % interval for it: that of Hodges and Lehmann for a shift of the
/// logarithms, from the distribution of the Wilcoxon–Mann–Whitney statistic (Hollander, Wolfe, *Nonparametric
/// Statistical Methods*, 4.2 and 4.3). Nothing is supposed of how times are distributed. Two samples of three are
/// too few for an interval, two of four are enough.
fn ratio(before: &[f64], now: &[f64]) -> (f64, Option<[f64; 2]>) {
    let mut ratios: Vec<f64> = now.iter().flat_map(|now| before.iter().map(move |then| now / then)).collect();
    ratios.sort_by(f64::total_cmp);
    let all = ratios.len();
    let median = (ratios[(all - 1) / 2] + ratios[all / 2]) / 2.0;
    // How many orders of the n + m times give each value of the statistic: the coefficients of the product of
    // (1 − q^(m+i))/(1 − q^i).
    let mut ways = vec![0f64; all + 1];
    ways[0] = 1.0;
    for i in 1..=before.len() {
        let up = now.len() + i;
        (up..=all).rev().for_each(|u| ways[u] -= ways[u - up]);
        (i..=all).for_each(|u| ways[u] += ways[u - i]);
    }
    let orders: f64 = ways.iter().sum();
    let mut tail = 0.0;
    let inside = |ways: &&f64| {
        tail += *ways;
        2.0 * tail <= MISSES * orders
    };
    let cut = ways.iter().take_while(inside).count();
    (median, (cut > 0).then(|| [ratios[cut - 1], ratios[all - cut]]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain() {
        for bad in ["", "a/b", "..", ".x", "a b", "ä"] {
            assert_eq!(path(bad).unwrap_err().exit_code(), 2, "{bad}");
        }
        assert!(path("v1.2_x-86").unwrap().ends_with("asyncsgd/baselines/v1.2_x-86.json"));
    }

    #[test]
    fn intervals_are_those_of_the_tables() {
        // Tables of the Mann–Whitney statistic, two-sided 5 %: the largest value to reject is 0 for 4 and 4, 2 for 5
        // and 5, 3 for 5 and 6, 23 for 10 and 10.
        for (n, m, critical) in [(4, 4, 0), (5, 5, 2), (5, 6, 3), (10, 10, 23)] {
            let before: Vec<f64> = (0..n).map(|i| f64::from(2i32).powi(i)).collect();
            let now: Vec<f64> = (0..m).map(|i| f64::from(2i32).powi(100 * (i + 1))).collect();
            let (_, interval) = ratio(&before, &now);
            let mut ratios: Vec<f64> = now.iter().flat_map(|a| before.iter().map(move |b| a / b)).collect();
            ratios.sort_by(f64::total_cmp);
            let expected = [ratios[critical], ratios[ratios.len() - 1 - critical]];
            assert_eq!(interval, Some(expected), "{n} and {m}");
        }
        assert_eq!(ratio(&[1.0; 3], &[2.0; 3]), (2.0, None));
    }
}

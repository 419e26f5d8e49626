//! What papers claim about asynchronous SGD, as experiments with verdicts.
//!
//! Each claim is a function from an [`Effort`] to a [`Claim`]: a table of what was expected, what was
//! measured, the tolerance, and a verdict. Nothing is tuned until it passes: what is known not to show
//! stands in the table with its numbers.

mod blocks;
mod drop;
mod heterogeneous;
mod identity;
mod minibatch;
mod moments;
mod rates;
mod ringmaster;
mod sample_cost;
mod stability;

use serde::{Serialize, Serializer};

use super::{Quadratic, Simulation, tune};
use crate::Result;
use crate::step::StepRule;

/// How much is spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Effort {
    /// Fewer profiles, seeds and repetitions: seconds instead of minutes.
    pub quick: bool,
    /// The seed of everything random.
    pub seed: u64,
}

/// A claim and how it fared.
#[derive(Debug, Clone, Serialize)]
pub struct Claim {
    /// The name on the command line.
    pub name: &'static str,
    /// What is claimed, and by whom.
    pub statement: &'static str,
    /// The set-up of the experiment.
    pub setup: String,
    /// The table.
    pub rows: Vec<Row>,
    /// The same as a picture.
    pub chart: Chart,
}

/// Lines in a plane.
#[derive(Debug, Clone, Serialize)]
pub struct Chart {
    /// What goes to the right.
    pub x: Axis,
    /// What goes up.
    pub y: Axis,
    /// The lines; a value that is not finite, for what never happened, has no point.
    pub lines: Vec<Line>,
}

/// An axis of a chart.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Axis {
    /// What is told.
    pub name: &'static str,
    /// Whether it is logarithmic.
    pub log: bool,
}

/// A line of a chart.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Line {
    /// What it is of.
    pub name: String,
    /// Its points (x, y), from left to right.
    pub points: Vec<(f64, f64)>,
}

/// One line of a claim's table.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// What was measured.
    pub what: String,
    /// What was expected.
    pub expected: String,
    /// What came out; infinite for something that never happened.
    #[serde(serialize_with = "finite")]
    pub measured: f64,
    /// How far it may be off, or where it must lie.
    pub tolerance: String,
    /// What follows.
    pub verdict: Verdict,
}

/// What a measured value says about a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Within the tolerance.
    Holds,
    /// Within what is known: and that is, that the claim in question does not hold here.
    DoesNotHold,
    /// Within what is known: and that is, that the claimed effect cannot be seen here.
    NotVisible,
    /// Not as expected.
    OutOfTolerance,
}

impl Verdict {
    /// In words.
    pub fn text(self) -> &'static str {
        match self {
            Verdict::Holds => "holds",
            Verdict::DoesNotHold => "does not hold",
            Verdict::NotVisible => "not visible",
            Verdict::OutOfTolerance => "OUT OF TOLERANCE",
        }
    }
}

impl Chart {
    /// A chart without lines.
    pub fn new(x: Axis, y: Axis) -> Self {
        Chart { x, y, lines: Vec::new() }
    }

    /// Adds a line; its points are sorted.
    pub fn line(&mut self, name: impl Into<String>, mut points: Vec<(f64, f64)>) {
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        self.lines.push(Line { name: name.into(), points });
    }
}

impl Axis {
    /// An axis of equal steps.
    pub fn linear(name: &'static str) -> Self {
        Axis { name, log: false }
    }

    /// An axis of equal factors.
    pub fn log(name: &'static str) -> Self {
        Axis { name, log: true }
    }
}

impl Claim {
    /// Whether every value is as expected.
    pub fn holds(&self) -> bool {
        self.rows.iter().all(|row| row.verdict != Verdict::OutOfTolerance)
    }
}

impl Row {
    /// `measured` must be within the share `tolerance` of `expected`; 0 means equal.
    pub fn near(what: impl Into<String>, expected: f64, measured: f64, tolerance: f64) -> Self {
        let sound = (measured - expected).abs() <= tolerance * expected.abs();
        let text = if tolerance == 0.0 { "exact".to_owned() } else { format!("± {}", percent(tolerance)) };
        Self::new(what, number(expected), measured, text, sound)
    }

    /// `measured` must be within `tolerance` of `expected`.
    pub fn around(what: impl Into<String>, expected: f64, measured: f64, tolerance: f64) -> Self {
        let sound = (measured - expected).abs() <= tolerance;
        Self::new(what, number(expected), measured, format!("± {}", number(tolerance)), sound)
    }

    /// `measured` must lie in the range; `expected` says what is known.
    pub fn between(
        what: impl Into<String>,
        expected: impl Into<String>,
        measured: f64,
        least: f64,
        most: f64,
    ) -> Self {
        let text = match (least, most) {
            (f64::NEG_INFINITY, most) => format!("≤ {}", number(most)),
            (least, f64::INFINITY) => format!("≥ {}", number(least)),
            (least, most) => format!("{} … {}", number(least), number(most)),
        };
        Self::new(what, expected.into(), measured, text, measured >= least && measured <= most)
    }

    fn new(what: impl Into<String>, expected: String, measured: f64, tolerance: String, sound: bool) -> Self {
        let verdict = if sound { Verdict::Holds } else { Verdict::OutOfTolerance };
        Row { what: what.into(), expected, measured, tolerance, verdict }
    }

    /// The same with another text for what is expected.
    #[must_use]
    pub fn expecting(self, expected: &str) -> Self {
        Row { expected: expected.to_owned(), ..self }
    }

    /// The expected value is one that speaks against a claim: `verdict` says how.
    #[must_use]
    pub fn known(mut self, verdict: Verdict) -> Self {
        if self.verdict == Verdict::Holds {
            self.verdict = verdict;
        }
        self
    }
}

/// A claim's function.
type Experiment = fn(Effort) -> Result<Claim>;

/// All claims that the simulator alone can examine, by name.
const ALL: [(&str, Experiment); 9] = [
    ("identity", identity::identity),
    ("rates", rates::rates),
    ("minibatch", minibatch::minibatch),
    ("drop", drop::drop),
    ("heterogeneous", heterogeneous::heterogeneous),
    ("ringmaster", ringmaster::ringmaster),
    ("stability", stability::stability),
    ("sample-cost", sample_cost::sample_cost),
    ("blocks", blocks::blocks),
];

/// The names of the claims that the simulator examines.
pub fn names() -> impl Iterator<Item = &'static str> {
    ALL.iter().map(|&(name, _)| name)
}

/// Examines the claim of this name; `None` if there is none. Uses rayon; the result does not depend on the
/// number of threads.
///
/// # Errors
/// None that the unchanged program could meet, other than a lack of memory.
pub fn run(name: &str, effort: Effort) -> Option<Result<Claim>> {
    let (_, experiment) = ALL.iter().find(|&&(of, _)| of == name)?;
    Some(experiment(effort))
}

/// Four significant digits.
pub fn number(x: f64) -> String {
    if x == f64::INFINITY || x.is_nan() {
        return "never".to_owned();
    }
    if x == 0.0 || (x.fract() == 0.0 && x.abs() < 1e7) {
        return format!("{x}");
    }
    let digits = 3 - x.abs().log10().floor() as i32;
    if x.abs() < 1e-3 || x.abs() >= 1e7 {
        return format!("{x:.2e}");
    }
    let text = format!("{x:.*}", digits.max(0) as usize);
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

fn percent(share: f64) -> String {
    format!("{} %", number(100.0 * share))
}

/// JSON has no infinity: what never happened is null.
fn finite<S: Serializer>(x: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    if x.is_finite() { serializer.serialize_some(x) } else { serializer.serialize_none() }
}

/// What a tuned run of `simulation` with `rule` costs on `problem`, as `cost` reads it from the outcome, and its
/// rate; infinite where no rate succeeds.
fn tuned(
    simulation: &Simulation,
    rule: &StepRule,
    problem: &Quadratic,
    cost: impl Fn(&super::Outcome) -> Option<f64> + Sync,
) -> Result<(f64, f64)> {
    best(|rate| {
        let outcome = simulation.clone().step(rule.clone().rate(rate)).run(problem)?;
        Ok(cost(&outcome))
    })
}

/// The least cost, and its rate, on the grids that [`RATES`] tells; infinite where no rate succeeds.
fn best(cost: impl Fn(f64) -> Result<Option<f64>> + Sync) -> Result<(f64, f64)> {
    let Some(coarse) = tune(1e-3, 10.0, 33, &cost)? else { return Ok((f64::INFINITY, f64::NAN)) };
    // A first hit comes a tenth sooner or later within one step of that grid: more than what is to be told.
    let near = 10f64.powf(4.0 / 32.0);
    let fine = tune(coarse.rate / near, coarse.rate * near, 33, &cost)?;
    let best = fine.filter(|fine| fine.cost < coarse.cost).unwrap_or(coarse);
    Ok((best.cost, best.rate))
}

/// How [`best`] searches.
const RATES: &str = "33 rates from 10⁻³ to 10, then 33 between the neighbours of the best";

/// The edge between `stable` and `unstable`, by bisection to a factor of 2^(1/2048).
fn edge(mut stable: f64, mut unstable: f64, is_stable: impl Fn(f64) -> Result<bool>) -> Result<f64> {
    for _ in 0..12 {
        let middle = 0.5 * (stable + unstable);
        if is_stable(middle)? { stable = middle } else { unstable = middle }
    }
    Ok(0.5 * (stable + unstable))
}

/// The slope of log y in log x by least squares.
fn slope(points: &[(f64, f64)]) -> f64 {
    let n = points.len() as f64;
    let logs: Vec<(f64, f64)> = points.iter().map(|&(x, y)| (x.ln(), y.ln())).collect();
    let (mx, my) = logs.iter().fold((0.0, 0.0), |(a, b), &(x, y)| (a + x / n, b + y / n));
    let (sxy, sxx) =
        logs.iter().fold((0.0, 0.0), |(a, b), &(x, y)| (a + (x - mx) * (y - my), b + (x - mx).powi(2)));
    sxy / sxx
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_four_digits() {
        for (x, text) in [
            (0.0, "0"),
            (15.0, "15"),
            (3.38066, "3.381"),
            (0.5, "0.5"),
            (1234.56, "1235"),
            (2.5e-5, "2.50e-5"),
            (f64::INFINITY, "never"),
            (61_440.25, "61440"),
        ] {
            assert_eq!(number(x), text);
        }
    }

    #[test]
    fn verdicts_follow_the_tolerance() {
        assert_eq!(Row::near("x", 2.0, 2.015, 0.01).verdict, Verdict::Holds);
        assert_eq!(Row::near("x", 2.0, 2.03, 0.01).verdict, Verdict::OutOfTolerance);
        assert_eq!(Row::near("x", 2.0, f64::NAN, 0.01).verdict, Verdict::OutOfTolerance);
        let known = Row::between("x", "", 5.0, 2.0, f64::INFINITY).known(Verdict::DoesNotHold);
        assert_eq!((known.verdict, known.tolerance.as_str()), (Verdict::DoesNotHold, "≥ 2"));
        let unknown = Row::between("x", "", 1.0, 2.0, 3.0).known(Verdict::DoesNotHold);
        assert_eq!((unknown.verdict, unknown.tolerance.as_str()), (Verdict::OutOfTolerance, "2 … 3"));
    }

    #[test]
    fn slopes_are_exponents() {
        assert!((slope(&[(1.0, 3.0), (2.0, 12.0), (8.0, 192.0)]) - 2.0).abs() < 1e-12);
    }
}

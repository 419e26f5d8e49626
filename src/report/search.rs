//! Paths of penalties and cross-validation, as a table.

use super::bench::table;
use super::number::{count, short};
use super::text::Style;
use crate::record::{Figures, Record};
use std::io::{self, Write};

/// The figure by which models are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// The smaller the better: of models that tell probabilities.
    LogLoss,
    /// The larger the better: of other classifiers.
    Accuracy,
    /// The smaller the better: of models of numbers.
    Rmse,
}

impl Measure {
    /// The one for a loss.
    pub fn of(classification: bool, loss: &str) -> Self {
        match loss {
            "logistic" => Self::LogLoss,
            _ if classification => Self::Accuracy,
            _ => Self::Rmse,
        }
    }

    /// Its value; `None` where it is not defined or not a number.
    pub fn figure(self, figures: &Figures) -> Option<f64> {
        let figure = match self {
            Self::LogLoss => figures.log_loss,
            Self::Accuracy => figures.accuracy,
            Self::Rmse => figures.rmse,
        };
        figure.filter(|x| x.is_finite())
    }

    /// Whether `a` is better than `b`; nothing is worst.
    pub fn better(self, a: Option<f64>, b: Option<f64>) -> bool {
        match (a, b) {
            (Some(a), Some(b)) if self == Self::Accuracy => a > b,
            (Some(a), Some(b)) => a < b,
            (a, b) => a.is_some() && b.is_none(),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::LogLoss => "log-loss",
            Self::Accuracy => "accuracy",
            Self::Rmse => "RMSE",
        }
    }

    fn text(self, x: f64) -> String {
        if self == Self::Accuracy { format!("{:.2} %", 100.0 * x) } else { format!("{x:.5}") }
    }
}

/// Mean and standard deviation (of a sample) of what is known.
fn spread(values: impl Iterator<Item = Option<f64>>) -> Option<(f64, f64)> {
    let values: Vec<f64> = values.collect::<Option<_>>()?;
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
    (n > 0.0).then(|| (mean, (squares / (n - 1.0).max(1.0)).sqrt()))
}

/// The strengths in the order in which they were run, each with its records.
fn by_strength(records: &[Record]) -> Vec<Vec<&Record>> {
    let mut groups: Vec<Vec<&Record>> = Vec::new();
    for record in records {
        match groups.iter_mut().find(|group| group[0].plan.l2 == record.plan.l2) {
            Some(group) => group.push(record),
            None => groups.push(vec![record]),
        }
    }
    groups
}

/// The strength whose mean over the folds is best, of those that have all figures.
pub fn best(records: &[Record], measure: Measure) -> Option<f64> {
    let mut best: Option<(f64, f64)> = None;
    for group in by_strength(records) {
        let figures = group.iter().map(|record| measure.figure(&record.outcome.figures()));
        if let Some((mean, _)) = spread(figures)
            && measure.better(Some(mean), best.map(|(_, mean)| mean))
        {
            best = Some((group[0].plan.l2, mean));
        }
    }
    best.map(|(l2, _)| l2)
}

/// Writes what the runs share, then a table: of a path without folds a line for each strength, of cross-validation at
/// one strength a line for each fold with mean and spread, of both a line for each strength with the means.
///
/// # Errors
/// What the writer says.
pub fn write_search(
    out: &mut (impl Write + ?Sized),
    records: &[Record],
    measure: Measure,
    style: Style,
) -> io::Result<()> {
    let Some(first) = records.first() else { return Ok(()) };
    let (data, plan) = (&first.data, &first.plan);
    let rows = count(data.rows as u64);
    let folds = plan.fold.map_or(String::new(), |[_, of]| format!(", {of} folds"));
    let held_out = first.test.is_some();
    writeln!(out, "{} loss on {}: {rows} rows to train on{folds}\n", plan.loss, data.path)?;
    let groups = by_strength(records);
    let by_fold = plan.fold.is_some() && groups.len() == 1;
    let lines: Vec<Vec<&Record>> =
        if by_fold { records.iter().map(|record| vec![record]).collect() } else { groups };

    let mut cells = vec![head(measure, by_fold, held_out)];
    for (number, line) in lines.iter().enumerate() {
        let name = if by_fold { (number + 1).to_string() } else { short(line[0].plan.l2) };
        cells.push(row(name, line, measure, held_out));
    }
    if by_fold {
        let all: Vec<&Record> = records.iter().collect();
        cells.push(row("all".into(), &all, measure, held_out));
    }
    table(&mut &mut *out, style, &cells, 1)?;
    let chosen = records.iter().find(|record| record.chosen);
    if let Some(chosen) = chosen {
        let rule = if measure == Measure::Accuracy { "largest" } else { "smallest" };
        let mean = if chosen.plan.fold.is_some() { "mean " } else { "" };
        writeln!(
            out,
            "\nbest: l2 {}, by the {rule} {mean}{} held out",
            short(chosen.plan.l2),
            measure.name()
        )?;
    }
    Ok(())
}

fn head(measure: Measure, by_fold: bool, held_out: bool) -> Vec<String> {
    let first = if by_fold { "fold" } else { "l2" };
    let mut head: Vec<String> = [first, "objective", "gap ≤", "nonzero"].map(str::to_owned).into();
    if held_out {
        head.extend([format!("train {}", measure.name()), format!("held-out {}", measure.name())]);
        head.extend((measure == Measure::LogLoss).then(|| "accuracy".to_owned()));
    }
    head.extend(["seconds", "stopped by"].map(str::to_owned));
    head
}

/// The cells of some runs: means, with the spread where there are several.
fn row(name: String, runs: &[&Record], measure: Measure, held_out: bool) -> Vec<String> {
    let none = || "–".to_owned();
    let of = |value: &dyn Fn(&Record) -> Option<f64>| spread(runs.iter().map(|run| value(run)));
    let mean = |value: &dyn Fn(&Record) -> Option<f64>| of(value).map(|(mean, _)| mean);
    let figure = |measure: Measure, value: &dyn Fn(&Record) -> Option<f64>| match of(value) {
        None => none(),
        Some((mean, _)) if runs.len() == 1 => measure.text(mean),
        Some((mean, spread)) => format!("{} ± {}", measure.text(mean), measure.text(spread)),
    };
    let mut cells = vec![
        name,
        mean(&|run| Some(run.outcome.objective)).map_or_else(none, |x| format!("{x:.6}")),
        // The largest: all are within it.
        runs.iter()
            .map(|run| run.outcome.gap)
            .collect::<Option<Vec<f64>>>()
            .and_then(|gaps| gaps.into_iter().reduce(f64::max))
            .map_or_else(none, |gap| format!("{gap:.1e}")),
        mean(&|run| run.outcome.nonzero.map(|n| n as f64)).map_or_else(none, |n| count(n.round() as u64)),
    ];
    if held_out {
        let train = |run: &Record| run.outcome.train.and_then(|figures| measure.figure(&figures));
        cells.push(mean(&train).map_or_else(none, |x| measure.text(x)));
        cells.push(figure(measure, &|run| measure.figure(&run.outcome.figures())));
        if measure == Measure::LogLoss {
            cells.push(figure(Measure::Accuracy, &|run| run.outcome.accuracy));
        }
    }
    let seconds: f64 = runs.iter().map(|run| run.time.train_seconds).sum();
    cells.push(format!("{seconds:.3}"));
    let mut stops: Vec<&str> = runs.iter().map(|run| &run.stop[..]).collect();
    stops.dedup();
    cells.push(stops.join(", "));
    cells
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn better_and_spread() {
        assert!(
            Measure::LogLoss.better(Some(0.1), Some(0.2)) && !Measure::Accuracy.better(Some(0.1), Some(0.2))
        );
        assert!(Measure::Rmse.better(Some(9.0), None) && !Measure::Rmse.better(None, None));
        assert!(!Measure::Accuracy.better(Some(0.5), Some(0.5)));
        assert_eq!(spread([1.0, 2.0, 3.0].map(Some).into_iter()), Some((2.0, 1.0)));
        assert_eq!(spread([Some(2.0)].into_iter()), Some((2.0, 0.0)));
        assert_eq!((spread([Some(2.0), None].into_iter()), spread(std::iter::empty())), (None, None));
    }
}

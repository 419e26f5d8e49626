//! Several classes by one model each.

use super::run::{Point, Run, Stop};
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::real::Real;

/// Trains one model for each class against the rest, one after the other by `train`, which is given the number of the
/// class and the data with labels −1 and +1. The run that comes out has the weights of all classes, one after the
/// other, the sum of their objectives over time, and all delays. Ends early where a run was interrupted or diverged.
///
/// ```
/// use asyncsgd::{Dataset, Logistic, Metrics, Trainer, engine::one_vs_rest, model::LossKind, scores};
///
/// let ids = vec![0, 1, 2, 0, 1, 2];
/// let labels = vec![5.0, 7.0, 9.0, 5.0, 7.0, 9.0];
/// let data = Dataset::from_csr((0..=6).collect(), ids, vec![1.0; 6], labels, 3)?.multiclass()?;
/// let run = one_vs_rest(&data, |_, part| Trainer::new(Logistic::l2(0.01)).workers(1).run(part))?;
/// let metrics = Metrics::new(LossKind::Logistic, &scores(&data, &run.weights), data.labels());
/// assert_eq!(metrics.accuracy, Some(1.0));
/// # Ok::<(), asyncsgd::Error>(())
/// ```
///
/// # Errors
/// What `train` says; [`Error::Usage`] where the labels are no classes ([`Dataset::multiclass`]).
pub fn one_vs_rest<T: Real>(
    data: &Dataset,
    mut train: impl FnMut(usize, &Dataset) -> Result<Run<T>>,
) -> Result<Run<T>> {
    let classes = data.classes().map_or(0, <[f32]>::len);
    if classes < 2 {
        return Err(Error::usage(format!("{}: labels are no classes: see Dataset::multiclass", data.name())));
    }
    let mut runs: Vec<Run<T>> = Vec::new();
    for class in 0..classes {
        let run = train(class, &data.versus_rest(class))?;
        let cut = matches!(run.stop, Stop::Interrupt | Stop::Diverged);
        runs.push(run);
        if cut {
            break;
        }
    }
    let gaps = runs.iter().map(|run| run.last().gap).collect::<Option<Vec<_>>>();
    // What was not trained has no bound.
    let (series, gap) = (series(&runs, classes), gaps.filter(|gaps| gaps.len() == classes));
    let mut runs = runs.into_iter();
    let Some(first) = runs.next() else { return Err(Error::usage("one against the rest: found no class")) };
    let mut run = runs.fold(first, join);
    // What was not trained scores 0.
    run.weights.resize(classes * data.features(), T::ZERO);
    run.nonzeros_per_epoch *= classes as u64;
    run.series = series;
    // Each of the sum's parts is within its share of its minimum, so the sum is within the largest share.
    if let (Some(last), Some(gaps)) = (run.series.last_mut(), gap) {
        last.gap = gaps.into_iter().reduce(f64::max);
    }
    Ok(run)
}

/// The sum of the objectives over time, where an epoch is a pass of every class over the examples.
fn series<T: Real>(runs: &[Run<T>], classes: usize) -> Vec<Point> {
    let mut sum: f64 = runs.iter().map(|run| run.series[0].objective).sum();
    let (mut epoch, mut seconds, mut examples) = (0.0, 0.0, 0);
    let mut series = Vec::new();
    for (number, run) in runs.iter().enumerate() {
        let start = run.series[0].objective;
        // The start of the first is that of all.
        for point in &run.series[usize::from(number > 0)..] {
            series.push(Point {
                epoch: (epoch + point.epoch) / classes as f64,
                train_seconds: seconds + point.train_seconds,
                examples: examples + point.examples,
                objective: sum - start + point.objective,
                gap: None,
            });
        }
        let last = run.last();
        sum += last.objective - start;
        (epoch, seconds, examples) =
            (epoch + last.epoch, seconds + last.train_seconds, examples + last.examples);
    }
    series
}

/// Two runs as one after the other, but for the series.
fn join<T: Real>(mut before: Run<T>, run: Run<T>) -> Run<T> {
    before.weights.extend(run.weights);
    for (worker, other) in before.workers.iter_mut().zip(&run.workers) {
        worker.delays.merge(&other.delays);
        worker.failed_attempts += other.failed_attempts;
    }
    before.expected_delays += run.expected_delays;
    before.prepare_seconds += run.prepare_seconds;
    let known = |warning: &String| before.plan.warnings.contains(warning);
    let warnings: Vec<String> = run.plan.warnings.into_iter().filter(|warning| !known(warning)).collect();
    before.plan.warnings.extend(warnings);
    // What cut one short is worth more to know than that the others came to their end.
    if rank(run.stop) > rank(before.stop) {
        before.stop = run.stop;
    }
    before
}

fn rank(stop: Stop) -> u8 {
    match stop {
        Stop::Gap => 0,
        Stop::Target => 1,
        Stop::Epochs => 2,
        Stop::Stalled => 3,
        Stop::TimeLimit => 4,
        Stop::Interrupt => 5,
        Stop::Diverged => 6,
    }
}

//! The runs of a benchmark, and what comes of them.

use super::Plan;
use super::conditions::{self, Watch};
use crate::cli::gather::{self, Choice, Context};
use crate::cli::instruments::Instruments;
use crate::cli::models::Kind;
use crate::cli::options::Training;
use crate::cli::progress::Bar;
use asyncsgd::delay::Profile;
use asyncsgd::record::{self, Bench, Case, Figures, Settings, Spread, TimedRun};
use asyncsgd::{Error, Real, Result, Run, Stop, Update};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_xoshiro::Xoshiro256PlusPlus;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Runs below this many training seconds are too short to be told apart: waking threads and the order in which they
/// come take milliseconds.
const SHORT: f64 = 0.1;

/// The share of the median by which times may spread before a case is called unsteady.
const UNSTEADY: f64 = 0.1;

/// A benchmark's plan with its data.
pub struct Sweep<'a, K: Kind> {
    pub plan: &'a Plan,
    pub kind: &'a K,
    pub data: &'a K::Data,
    pub test: Option<&'a K::Data>,
    pub load_seconds: f64,
}

/// What is known of a case so far.
struct Taken {
    runs: Vec<TimedRun>,
    series: Vec<Vec<record::Point>>,
    delays: Profile,
    failed_attempts: u64,
    nonzeros: u64,
    plan: asyncsgd::engine::Plan,
    /// What the runs have warned of, each line once.
    warnings: Vec<String>,
    quality: Figures,
}

impl<K: Kind> Sweep<'_, K> {
    /// What all cases share.
    pub fn settings(&self) -> Settings {
        let training = &self.plan.cases[0];
        let auto = || "auto".to_owned();
        let (loss, l2) = self.kind.objective(training, self.data);
        Settings {
            data_hash: self.about(self.data).hash,
            model: training.model.to_string(),
            loss,
            l2,
            l1: training.l1,
            intercept: self.plan.source.intercept,
            precision: training.precision.to_string(),
            pin: training.pin.to_string(),
            rate: training.rate.map_or_else(auto, |rate| rate.to_string()),
            schedule: training.schedule.as_ref().map_or_else(auto, |schedule| schedule.to_string()),
            batch: training.batch,
            epochs: training.epochs,
            seed: training.seed,
            reading: self.plan.source.reading(),
        }
    }

    /// Demands that every case can run, before any does.
    ///
    /// # Errors
    /// All that is wrong.
    pub fn check<T: Real>(&self) -> Result<()> {
        let mut wrong = Vec::new();
        for training in &self.plan.cases {
            let trainer = training.trainer(self.kind.model::<T>(training)).precision::<T>();
            match trainer.plan(self.data) {
                Err(Error::Usage(lines)) => wrong.extend(lines),
                plan => drop(plan?),
            }
        }
        let mut told = HashSet::new();
        wrong.retain(|line| told.insert(line.clone()));
        if wrong.is_empty() { Ok(()) } else { Err(Error::Usage(wrong)) }
    }

    /// Runs each case `warm_up` times and then `repeats` times, all cases in each round, in an order drawn anew.
    /// `None` where it was interrupted before each case had a timed run.
    pub fn run<T: Real>(
        &self,
        settings: Settings,
        bar: &Bar,
        flag: &Arc<AtomicBool>,
    ) -> Result<Option<Bench>> {
        let plan = self.plan;
        let mut order: Vec<usize> = (0..plan.cases.len()).collect();
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(settings.seed);
        let mut taken: Vec<Option<Taken>> = plan.cases.iter().map(|_| None).collect();
        let all = order.len() * (plan.warm_up + plan.repeats);
        let mut watch = Watch::new();
        'rounds: for round in 0..plan.warm_up + plan.repeats {
            order.shuffle(&mut rng);
            let yardstick_ns = watch.yardstick();
            for (turn, &case) in order.iter().enumerate() {
                let training = &plan.cases[case];
                bar.count(round * order.len() + turn, all);
                let last = round + 1 == plan.warm_up + plan.repeats;
                let run = self.train::<T>(training, last, flag)?;
                // Relaxed: a flag that is looked at after each run.
                if flag.load(Ordering::Relaxed) {
                    break 'rounds;
                }
                if let Some(repeat) = round.checked_sub(plan.warm_up) {
                    let taken = taken[case].get_or_insert_with(|| Taken::new(&run));
                    // Of each run, as any may turn out to be the last.
                    taken.quality = self.kind.outcome(training, self.data, self.test, &run)?.figures();
                    taken.add(
                        &run,
                        TimedRun {
                            repeat,
                            turn,
                            seconds: run.last().train_seconds,
                            yardstick_ns,
                            objective: run.last().objective,
                            to_target: plan.target.and_then(|target| reached(&run, target)),
                            mean_delay: run.delays().mean(),
                            stop: run.stop.to_string(),
                        },
                    );
                }
            }
        }
        let conditions = watch.finish();
        let Some(taken) = taken.into_iter().collect::<Option<Vec<_>>>() else { return Ok(None) };
        let mut bench = Bench {
            schema: record::VERSION,
            program: gather::program(),
            machine: gather::machine(taken[0].plan.cores),
            settings,
            data: self.about(self.data),
            test: self.test.map(|test| self.about(test)),
            // Those that all cases have had: fewer than were wanted where an interrupt came.
            repeats: taken.iter().map(|taken| taken.runs.len()).min().unwrap_or_default(),
            warm_up: plan.warm_up,
            optimum: plan.optimum,
            target_objective: plan.target,
            conditions,
            cases: self.cases(&taken),
            baseline: None,
            warnings: Vec::new(),
        };
        bench.warnings = doubts(&bench);
        for (case, taken) in bench.cases.iter().zip(&taken) {
            let warnings = taken.warnings.iter().map(|warning| format!("{}: {warning}", case.name()));
            bench.warnings.extend(warnings);
        }
        Ok(Some(bench))
    }

    /// Trains once; the last run of a case writes its profile, if one is wanted.
    fn train<T: Real>(&self, training: &Training, last: bool, flag: &Arc<AtomicBool>) -> Result<Run<T>> {
        let model = self.kind.model::<T>(training);
        let trainer = training.trainer(model).precision::<T>().interrupt(Arc::clone(flag));
        let Some(folder) = self.plan.profile.as_ref().filter(|_| last) else { return trainer.run(self.data) };
        let Training { workers, update, block, step, .. } = training;
        let name = format!("{workers}-{update}-{block}-{step}").replace([':', '/'], "-");
        let instruments = Instruments::of(folder.join(name))?;
        let (trainer, tracing) = instruments.put_on(trainer)?;
        let run = trainer.run(self.data)?;
        tracing.finish()?;
        let context = Context {
            source: &self.plan.source,
            options: training,
            objective: self.kind.objective(training, self.data),
            data: self.about(self.data),
            test: self.test.map(|test| self.about(test)),
            load_seconds: self.load_seconds,
            profile: instruments.profiling(&run),
            subcommand: "train",
            trouble: Vec::new(),
            choice: Choice::default(),
        };
        let record = context.record(&run, self.kind.outcome(training, self.data, self.test, &run)?);
        instruments.write(&run, &record)?;
        Ok(run)
    }

    fn about(&self, data: &K::Data) -> record::Data {
        self.kind.about(data, self.plan.source.data.is_none())
    }

    fn cases(&self, taken: &[Taken]) -> Vec<Case> {
        let cases = &self.plan.cases;
        let position = |wanted: &dyn Fn(&Training) -> bool| cases.iter().position(wanted);
        let build = |(training, taken_here): (&Training, &Taken)| {
            let alone = |other: &Training| {
                let rest = |t: &Training| (t.update, t.block, t.step.to_string());
                other.workers == 1 && rest(other) == rest(training)
            };
            let alone = position(&alone).filter(|_| training.workers > 1);
            self.case(training, taken_here, &taken[0], alone.map(|at| &taken[at]))
        };
        cases.iter().zip(taken).map(build).collect()
    }

    fn case(&self, training: &Training, taken: &Taken, reference: &Taken, alone: Option<&Taken>) -> Case {
        let Taken { runs, plan, delays, .. } = taken;
        let seconds = Spread::of(runs.iter().map(|run| run.seconds));
        let (nonzeros, examples) = (taken.nonzeros as f64, self.kind.examples(self.data) as f64);
        // The last of the sorted lower half: one of the runs where a median may lie between two.
        let mut by_time: Vec<usize> = (0..runs.len()).collect();
        by_time.sort_by(|&a, &b| runs[a].seconds.total_cmp(&runs[b].seconds));
        let middle = by_time[(runs.len() - 1) / 2];
        let objective = Spread::of(runs.iter().map(|run| run.objective)).median;
        let late = |run: &TimedRun| run.to_target.unwrap_or(f64::INFINITY);
        let to_target = Spread::of(runs.iter().map(late)).median;
        // Of the epochs that there were: a run that diverged has fewer.
        let epochs = taken
            .series
            .iter()
            .zip(runs)
            .map(|(series, run)| series.last().map_or(0.0, |point| point.epoch) / run.seconds);
        let epochs = Spread::of(epochs).median;
        let per_second = |n: f64| n * epochs;
        Case {
            workers: training.workers,
            update: training.update.to_string(),
            block: training.block.to_string(),
            step: training.step.to_string(),
            block_rows: plan.block,
            hot: plan.hot,
            rate: plan.step.rate,
            seconds,
            nonzeros_per_second: per_second(nonzeros),
            examples_per_second: per_second(examples),
            speed_up: alone.map(|alone| times_as_fast(runs, &alone.runs)),
            against_reference: times_as_fast(runs, &reference.runs),
            objective,
            quality: taken.quality,
            gap: self.plan.optimum.map(|optimum| objective / optimum - 1.0),
            to_target: Some(to_target).filter(|seconds| seconds.is_finite()),
            delay: gather::delays(delays, taken.failed_attempts),
            series: taken.series[middle].clone(),
            runs: runs.clone(),
            change: None,
        }
    }
}

impl Taken {
    fn new<T: Real>(run: &Run<T>) -> Self {
        let (runs, series, delays) = (Vec::new(), Vec::new(), Profile::default());
        let (nonzeros, plan) = (run.nonzeros_per_epoch, run.plan.clone());
        let (warnings, quality) = (Vec::new(), Figures::default());
        Self { runs, series, delays, failed_attempts: 0, nonzeros, plan, warnings, quality }
    }

    fn add<T: Real>(&mut self, run: &Run<T>, timed: TimedRun) {
        self.delays.merge(&run.delays());
        self.failed_attempts += run.workers.iter().map(|worker| worker.failed_attempts).sum::<u64>();
        self.series.push(run.series.iter().map(gather::point).collect());
        for warning in &run.plan.warnings {
            if !self.warnings.contains(warning) {
                self.warnings.push(warning.clone());
            }
        }
        self.runs.push(timed);
    }
}

/// Training seconds to the first evaluation at or below the target.
fn reached<T: Real>(run: &Run<T>, target: f64) -> Option<f64> {
    run.series.iter().find(|point| point.objective <= target).map(|point| point.train_seconds)
}

/// How many times as fast `runs` were as the `others` of the same repeats.
fn times_as_fast(runs: &[TimedRun], others: &[TimedRun]) -> Spread {
    Spread::of(runs.iter().zip(others).map(|(run, other)| other.seconds / run.seconds))
}

/// Whether the case runs as another one of the same options that is racy: one worker alone makes no exchanges.
fn is_racy_again(case: &Case, cases: &[Case]) -> bool {
    let [cas, racy] = [Update::Cas, Update::Racy].map(|update| update.to_string());
    let rest = |case: &Case| (case.workers, case.block.clone(), case.step.clone());
    case.workers == 1 && case.update == cas && cases.iter().any(|o| o.update == racy && rest(o) == rest(case))
}

/// What makes the timings doubtful.
fn doubts(bench: &Bench) -> Vec<String> {
    let mut doubts = conditions::doubts(&bench.conditions);
    let shortest = bench.cases.iter().map(|case| case.seconds.median).fold(f64::INFINITY, f64::min);
    if shortest < SHORT {
        let epochs = (bench.settings.epochs * SHORT / shortest.max(1e-6) * 1.2).ceil();
        doubts.push(format!(
            "runs are too short: {:.1} ms, below {} ms threads' waking counts; --epochs {epochs} would do",
            1e3 * shortest,
            1e3 * SHORT
        ));
    }
    let lowest =
        bench.cases.iter().flat_map(|case| &case.runs).map(|run| run.objective).fold(f64::INFINITY, f64::min);
    if let Some(optimum) = bench.optimum.filter(|optimum| lowest < optimum * (1.0 - 1e-6)) {
        doubts.push(format!("the optimum is said to be {optimum}, but a run came to {lowest}"));
    }
    for case in bench.cases.iter().filter(|case| is_racy_again(case, &bench.cases)) {
        doubts.push(format!(
            "{}: is the racy case measured again, as one worker alone loses nothing",
            case.name()
        ));
    }
    for case in &bench.cases {
        if case.runs.iter().any(|run| run.stop == Stop::Diverged.to_string()) {
            doubts.push(format!("{}: diverged, its times are of fewer epochs", case.name()));
        } else if case.seconds.relative() > UNSTEADY {
            let spread = 100.0 * case.seconds.relative();
            doubts.push(format!("{}: times spread by ±{spread:.0} % round the median", case.name()));
        }
    }
    doubts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(seconds: f64) -> TimedRun {
        TimedRun {
            repeat: 0,
            turn: 0,
            seconds,
            yardstick_ns: 1.0,
            objective: 1.0,
            to_target: None,
            mean_delay: 0.0,
            stop: "epochs".into(),
        }
    }

    #[test]
    fn speed_ups_are_of_runs_of_the_same_repeat() {
        // The machine was twice as slow in the second repeat, for both.
        let (ours, others) = ([1.0, 2.0, 1.0].map(run), [2.0, 4.0, 2.0].map(run));
        assert_eq!(times_as_fast(&ours, &others), Spread { median: 2.0, low: 2.0, high: 2.0 });
    }
}

//! Paths of penalties, and cross-validation, over one loaded data set.

use super::gather::Choice;
use super::models::Kind;
use super::options::Training;
use super::penalties::Penalties;
use super::progress::Bar;
use super::train::{Loaded, Plan, Trained};
use super::value::Check;
use super::{interrupt, print};
use asyncsgd::record::Record;
use asyncsgd::report::{self, Measure, Style};
use asyncsgd::{Algorithm, Real, Result, Run, Stop, model::ModelSpec};

/// Checks what a path of --l2 and --folds do not go together with, `watched` runs among it; complaints go to `check`.
pub fn check(
    check: &mut Check,
    training: &Training,
    (path, folds): (Option<&Penalties>, Option<usize>),
    watched: bool,
) {
    let search = path.is_some() || folds.is_some();
    let known = matches!(training.model, ModelSpec::Linear | ModelSpec::Softmax | ModelSpec::Mlp(..));
    check.require(
        !search || known,
        format!("a path of --l2, and --folds: expected neither for {}", training.model),
    );
    check.require(
        !search || !watched,
        "a path of --l2, and --folds: found --report, --profile, --trace, --checkpoint or asyncsgd profile, expected none of \
         them",
    );
    let unpenalised = path.and_then(Penalties::path).is_some_and(|path| path.contains(&0.0));
    let penalty = training.target_gap.is_some() && training.l1 == 0.0
        || matches!(training.algorithm, Algorithm::Sdca | Algorithm::Newton);
    check.require(
        !unpenalised || !penalty,
        "--l2: found a path to 0, expected numbers above 0 with --target-gap, sdca and newton",
    );
}

/// The runs so far.
struct Runs<T: Real> {
    records: Vec<Record>,
    /// The best run of a path without folds, and where its record is.
    best: Option<(Run<T>, usize)>,
    /// How the program ends, where a run was interrupted.
    stopped: Option<u8>,
}

impl Plan {
    /// Trains along the path, on all rows or without each fold, tells of it in a table, and saves or trains the best.
    ///
    /// # Errors
    /// Everything that can be wrong with data and outputs.
    pub(super) fn search<T: Real, K: Kind>(
        &self,
        kind: &K,
        loaded: &Loaded<K::Data>,
        bar: Bar,
    ) -> Result<u8> {
        let (train, path) = (&loaded.train, self.path.as_ref());
        let strengths: Vec<Option<f64>> = match path.and_then(|path| path.path()) {
            Some(values) => values.iter().copied().map(Some).collect(),
            // The same in all folds, and on all rows.
            None => vec![Some(kind.objective(&self.training, train).1)],
        };
        let mut runs: Runs<T> = Runs { records: Vec::new(), best: None, stopped: None };
        let measure = self.measure();
        match self.folds {
            None => self.along(kind, loaded, &strengths, None, &bar, &mut runs)?,
            Some(folds) => {
                for (fold, (part, held_out)) in kind.folds(train, &self.training, folds)?.enumerate() {
                    let (seconds, interrupt) = (loaded.seconds, loaded.interrupt.clone());
                    let loaded = Loaded { train: part, test: Some(held_out), seconds, interrupt };
                    self.along(kind, &loaded, &strengths, Some([fold + 1, folds]), &bar, &mut runs)?;
                    if runs.stopped.is_some() {
                        break;
                    }
                }
            }
        }
        bar.clear();
        let Runs { mut records, best, stopped } = runs;
        let whole = stopped.is_none();
        // What was cut short is no reason to choose.
        let chosen = match self.folds {
            Some(_) if whole => report::best(&records, measure),
            Some(_) => None,
            None => best.as_ref().map(|(_, at)| records[*at].plan.l2),
        };
        records
            .iter_mut()
            .for_each(|record| record.chosen = path.is_some() && chosen == Some(record.plan.l2));
        if !self.quiet {
            print(|out, colour| report::write_search(out, &records, measure, Style { colour }))?;
        }
        if self.folds.is_some()
            && let Some(l2) = chosen
        {
            // The model is of all rows.
            let l2 = if path.is_some() { Some(l2) } else { self.training.l2 };
            let mut plan = self.clone();
            plan.training.l2 = l2;
            if !self.quiet {
                print(|out, _| writeln!(out))?;
            }
            return plan.single::<T, K>(kind, loaded, Bar::new(self.quiet), records);
        }
        let saved = match (&self.save, &best) {
            (Some(file), Some((run, at))) => kind.save(file, &self.training, train, run, &records[*at]),
            _ => Ok(()),
        };
        let json =
            self.json.as_ref().map_or(Ok(()), |json| json.write(|out| report::write_json(out, &records)));
        saved.and(json)?;
        if whole && records.iter().all(|record| record.stop == Stop::Diverged.to_string()) {
            super::say(
                "error: training diverged with every --l2: try a smaller --rate, or another --algorithm",
            );
            return Ok(1);
        }
        Ok(stopped.unwrap_or(0))
    }

    /// By what runs are compared.
    fn measure(&self) -> Measure {
        Measure::of(self.training.loss.is_classification(), &self.training.loss.to_string())
    }

    /// Trains with each strength in turn, from strong to weak, each from the parameters of the one before.
    fn along<T: Real, K: Kind>(
        &self,
        kind: &K,
        loaded: &Loaded<K::Data>,
        strengths: &[Option<f64>],
        fold: Option<[usize; 2]>,
        bar: &Bar,
        runs: &mut Runs<T>,
    ) -> Result<()> {
        let measure = self.measure();
        let mut start: Option<Vec<T>> = None;
        for &l2 in strengths {
            let mut plan = self.clone();
            plan.training.l2 = l2;
            let choice = Choice { path: self.path.clone(), folds: self.folds, fold };
            let once = plan.once::<T, K>(kind, loaded, bar, start.as_deref(), choice);
            let Trained { run, mut record, quit } = once?;
            let about = fold.map_or(String::new(), |[fold, of]| format!(", fold {fold} of {of}"));
            for warning in &record.warnings {
                super::say(format_args!("warning: l2 {:e}{about}: {warning}", record.plan.l2));
            }
            if loaded.test.is_some() {
                let train = kind.outcome(&plan.training, &loaded.train, None, &run)?;
                record.outcome.train = Some(train.figures());
            }
            let at = runs.records.len();
            runs.records.push(record);
            let figure = |at: usize| measure.figure(&runs.records[at].outcome.figures());
            let sound = run.stop != Stop::Diverged;
            if sound && fold.is_none() && loaded.test.is_some() {
                let better =
                    runs.best.as_ref().is_none_or(|(_, best)| measure.better(figure(at), figure(*best)));
                if better {
                    runs.best = Some((run.clone(), at));
                }
            }
            if run.stop == Stop::Interrupt {
                runs.stopped = Some(if quit { 0 } else { interrupt::EXIT });
                return Ok(());
            }
            start = sound.then_some(run.weights);
        }
        Ok(())
    }
}

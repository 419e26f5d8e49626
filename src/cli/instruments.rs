//! What watches or troubles the workers of a run, and the files that come of it.

use super::options::Training;
use super::output::Output;
use super::rule::DelayRule;
use super::value::{self, Check, Given};
use asyncsgd::delay::{LogWriter, Profile, Timeline, Timing, Tracer, Unit, write_buckets, write_percentiles};
use asyncsgd::record::{self, Profiling, Record};
use asyncsgd::report;
use asyncsgd::sim::Law;
use asyncsgd::{
    Error, Real, Result, Run, Trainer,
    engine::{Injection, Lost, Slow, Stall},
};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// What to write of the delays.
#[derive(clap::Args, Debug)]
#[command(next_help_heading = "Output")]
pub struct WatchArgs {
    /// Write one page with charts of the delays, the objective and the throughput
    #[arg(long, value_name = "FILE.html")]
    report: Option<PathBuf>,
    /// Write the delays: HDR interval logs, percentiles, CSV, JSON and SVG
    #[arg(long, value_name = "DIR")]
    profile: Option<PathBuf>,
    /// Write the delay, worker and weight of every update to a new file
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
}

impl WatchArgs {
    /// The single files that are written.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        [&self.report, &self.trace].into_iter().flatten().map(PathBuf::as_path)
    }
}

/// How to trouble the workers.
#[derive(clap::Args, Debug)]
#[command(next_help_heading = "Trouble on purpose")]
pub struct TroubleArgs {
    /// Worker W takes FACTOR times as long to compute its gradients; can be repeated
    #[arg(long, value_name = "W:FACTOR", value_parser = value::parsed(slow))]
    slow: Vec<Given<Option<(usize, f64)>>>,
    /// Worker W stops after AT of its first update, for a time FOR: 1:2s:500ms; can be repeated. Without --epochs
    /// and --time-limit the run lasts twice as long as the last stall's end
    #[arg(long, value_name = "W:AT:FOR", value_parser = value::parsed(stall))]
    stall: Vec<Given<(usize, Duration, Duration)>>,
    /// Every gradient takes longer, by LAW times its computing time: exp:1, pareto:1.5, … (asyncsgd simulate --help)
    #[arg(long, value_name = "LAW", value_parser = value::parsed(law))]
    jitter: Option<Given<Option<Law>>>,
    /// Epochs from one evaluation of the objective, for which all workers wait, to the next [default: 1, or all
    /// with --stall]
    #[arg(long, value_name = "E", value_parser = value::count())]
    evaluate_every: Option<Given<usize>>,
    /// Run once with each of these step rules, under the same trouble, and compare them in a table
    #[arg(long, value_name = "RULE,RULE…", value_parser = value::parsed(DelayRule::list))]
    compare: Option<Given<Vec<DelayRule>>>,
}

/// `None`, which is never parsed, stands for what is bad.
fn slow(text: &str) -> Result<Option<(usize, f64)>, String> {
    let parts = text.split_once(':').and_then(|(w, factor)| Some((w.parse().ok()?, factor.parse().ok()?)));
    parts.map(Some).ok_or_else(|| format!("found '{text}', expected W:FACTOR such as 0:50"))
}

fn law(text: &str) -> Result<Option<Law>, String> {
    text.parse().map(Some).map_err(|e: Error| format!("--jitter: {e}"))
}

fn stall(text: &str) -> Result<(usize, Duration, Duration), String> {
    let wrong = || format!("found '{text}', expected W:AT:FOR such as 1:2s:500ms");
    let parts: Vec<&str> = text.split(':').collect();
    let [worker, at, length] = parts[..] else { return Err(wrong()) };
    let time = |text: &str| if text == "0" { Ok(Duration::ZERO) } else { value::parse_duration(text) };
    Ok((worker.parse().map_err(|_| wrong())?, time(at)?, time(length)?))
}

/// What watches and troubles a run, checked.
#[derive(Debug, Clone)]
pub struct Instruments {
    /// Whether to measure more than delays.
    pub profile: bool,
    pub injection: Injection,
    evaluate_every: Option<usize>,
    rules: Vec<DelayRule>,
    report: Option<Output>,
    folder: Option<Folder>,
    trace: Option<PathBuf>,
    start: SystemTime,
}

/// The files of a profile.
#[derive(Debug, Clone)]
struct Folder {
    path: PathBuf,
    /// Whether it is to be made.
    new: bool,
}

/// Examples a second that no worker reaches.
const FASTEST: f64 = 1e7;

/// The most examples of a run whose length is not given.
const MOST_EXAMPLES: f64 = 2.5e8;

const FILES: [&str; 6] =
    ["delays.hlog", "staleness.hlog", "delays.hgrm", "delays.csv", "profile.json", "delays.svg"];

impl WatchArgs {
    /// Whether anything is to be written.
    pub fn any(&self) -> bool {
        self.report.is_some() || self.profile.is_some() || self.trace.is_some()
    }
}

impl Instruments {
    /// Checks the options; complaints go to `check`. Without `trouble` there is none.
    pub fn check(check: &mut Check, watch: &WatchArgs, trouble: Option<TroubleArgs>) -> Self {
        let trouble = trouble.map(|trouble| {
            let slow = trouble.slow.into_iter().filter_map(|slow| check.take(slow));
            let slow = slow.map(|(worker, factor)| Slow { worker, factor }).collect();
            let stall = trouble.stall.into_iter().map(|stall| check.take(stall));
            let stall = stall.map(|(worker, at, length)| Stall { worker, at, length }).collect();
            let rules = check.option(trouble.compare).unwrap_or_default();
            let jitter = check.option(trouble.jitter).flatten();
            (Injection { slow, stall, jitter }, check.option(trouble.evaluate_every), rules)
        });
        let profile = trouble.is_some() || watch.report.is_some() || watch.profile.is_some();
        let (injection, evaluate_every, rules) = trouble.unwrap_or_default();
        let start = SystemTime::now();
        Self { profile, injection, evaluate_every, rules, report: None, folder: None, trace: None, start }
    }

    /// Instruments that write a profile to `folder`.
    ///
    /// # Errors
    /// As [`Instruments::outputs`].
    pub fn of(folder: PathBuf) -> Result<Self> {
        let watch = WatchArgs { report: None, profile: Some(folder), trace: None };
        let mut this = Self::check(&mut Check::default(), &watch, None);
        this.outputs(watch, &[])?;
        Ok(this)
    }

    /// Whether a trace is to be written.
    pub fn traces(&self) -> bool {
        self.trace.is_some()
    }

    /// The step rules to compare.
    pub fn rules(&self) -> Vec<DelayRule> {
        self.rules.clone()
    }

    /// Makes a run with stalls long enough for them, unless it is said how long it is to be (not `open`), and lets no
    /// worker wait in it for the stalled one before the end, unless it is said when to evaluate.
    pub fn settle(&mut self, training: &mut Training, open: bool, rows: usize) {
        let end = self.injection.stall.iter().map(|stall| stall.at + stall.length).max();
        let Some(end) = end.filter(|end| !end.is_zero()) else { return };
        if open {
            let limit = 2 * end;
            let examples = limit.as_secs_f64() * FASTEST * training.workers as f64;
            training.epochs = (examples.min(MOST_EXAMPLES) / rows as f64).ceil().max(training.epochs);
            training.time_limit = Some(limit);
        }
        self.evaluate_every = self.evaluate_every.or(Some((training.epochs.ceil() as usize).max(1)));
    }

    /// A line for each stall that was to come after the run had ended.
    pub fn missed<T: Real>(&self, run: &Run<T>) -> Vec<String> {
        let seconds = run.last().train_seconds;
        let missed = self.injection.stall.iter().filter(|stall| stall.at.as_secs_f64() >= seconds);
        missed.map(|stall| format!("stall {stall} did not come: the run took {seconds:.3} s")).collect()
    }

    /// Asks the file system whether all can be written.
    ///
    /// # Errors
    /// [`Error::Io`] where it cannot; [`Error::Usage`] where it is read, or where a trace would take the place of a
    /// file.
    pub fn outputs(&mut self, watch: WatchArgs, inputs: &[&Path]) -> Result<()> {
        self.report = watch.report.as_deref().map(|path| Output::check(path, inputs)).transpose()?;
        if let Some(path) = watch.profile {
            let new = !path.exists();
            if new {
                let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
                Output::check(&parent.join(path.file_name().unwrap_or_default()), inputs)?;
            } else {
                FILES.iter().try_for_each(|name| Output::check(&path.join(name), inputs).map(drop))?;
            }
            self.folder = Some(Folder { path, new });
        }
        if let Some(path) = &watch.trace {
            if path.exists() {
                let line = format!("--trace: {} exists; a trace needs a new file", path.display());
                return Err(Error::usage(line));
            }
            Output::check(path, inputs)?;
        }
        self.trace = watch.trace;
        Ok(())
    }

    /// Puts the instruments on a trainer; the tracer is to be finished after the run.
    ///
    /// # Errors
    /// That the trace cannot be begun.
    pub fn put_on<'a, M, T: Real>(&self, trainer: Trainer<'a, M, T>) -> Result<(Trainer<'a, M, T>, Tracing)> {
        let mut trainer = trainer.profile(self.profile).inject(self.injection.clone());
        trainer = trainer.evaluate_every(self.evaluate_every.unwrap_or(1));
        let mut tracing = Tracing(None);
        if let Some(path) = &self.trace {
            let failed = |e| Error::io("write", path, e);
            let tracer = Tracer::new(File::create_new(path).map_err(failed)?).map_err(failed)?;
            trainer = trainer.trace(&tracer);
            tracing = Tracing(Some((path.clone(), tracer)));
        }
        Ok((trainer, tracing))
    }

    /// What the profiler tells of the run, if it was on.
    pub fn profiling<T: Real>(&self, run: &Run<T>) -> Option<Profiling> {
        let delays: Vec<Profile> = run.workers.iter().map(|worker| worker.delays.clone()).collect();
        let timings: Vec<Timing> = run.workers.iter().filter_map(|worker| worker.timing.clone()).collect();
        let profiling = Profiling::new(&delays, &timings, run.timeline.as_ref()?);
        let injections = self.troubles().map(|(kind, what)| format!("{kind} {what}")).collect();
        let lost = run.lost.map(|Lost { additions, lost }| record::Lost { additions, lost });
        Some(Profiling { injections, lost, ..profiling })
    }

    /// What holds workers back, by option and value.
    fn troubles(&self) -> impl Iterator<Item = (&'static str, String)> {
        let Injection { slow, stall, jitter } = &self.injection;
        let slow = slow.iter().map(|slow| ("slow", slow.to_string()));
        let stall = stall.iter().map(|stall| ("stall", stall.to_string()));
        slow.chain(stall).chain(jitter.iter().map(|law| ("jitter", law.to_string())))
    }

    /// The options that make this trouble again, with their values.
    pub fn words(&self) -> Vec<(&'static str, String)> {
        let every = self.evaluate_every.map(|every| ("evaluate-every", every.to_string()));
        self.troubles().chain(every).collect()
    }

    /// Writes all files but the trace.
    ///
    /// # Errors
    /// [`Error::Io`] where the system refuses.
    pub fn write<T: Real>(&self, run: &Run<T>, record: &Record) -> Result<()> {
        if let Some(output) = &self.report {
            output.write(|out| report::write_html(out, record))?;
        }
        let (Some(folder), Some(timeline)) = (&self.folder, &run.timeline) else { return Ok(()) };
        if folder.new {
            fs::create_dir_all(&folder.path).map_err(|e| Error::io("create", &folder.path, e))?;
        }
        let write = |name: &str, fill: &dyn Fn(&mut dyn Write) -> io::Result<()>| {
            Output::check(&folder.path.join(name), &[])?.write(fill)
        };
        let [delays, staleness, percentiles, buckets, json, svg] = FILES;
        let workers: Vec<String> = (0..run.workers.len()).map(tag).collect();
        let all = run.delays();
        write(delays, &|out| self.log(out, Unit::Iterations, timeline, &workers))?;
        write(staleness, &|out| self.log(out, Unit::Nanoseconds, timeline, &workers))?;
        write(percentiles, &|mut out| write_percentiles(&mut out, &all))?;
        write(buckets, &|mut out| {
            let each = workers.iter().map(String::as_str).zip(run.workers.iter().map(|w| &w.delays));
            write_buckets(&mut out, each.chain([("all", &all)]))
        })?;
        write(json, &|out| report::write_json(out, record))?;
        write(svg, &|out| report::write_svg(out, record))
    }

    fn log(
        &self,
        out: &mut dyn Write,
        unit: Unit,
        timeline: &Timeline,
        workers: &[String],
    ) -> io::Result<()> {
        let mut log = LogWriter::new(out, self.start, unit)?;
        for span in timeline.spans() {
            let profiles: &[Profile] = match unit {
                Unit::Iterations => &span.delays,
                _ => &span.staleness,
            };
            for (tag, profile) in workers.iter().zip(profiles).filter(|(_, profile)| profile.count() > 0) {
                log.interval(tag, span.start, span.length, profile)?;
            }
        }
        log.finish().map(drop)
    }
}

/// How a worker is called in logs.
fn tag(worker: usize) -> String {
    format!("w{worker}")
}

/// A trace that is being written.
pub struct Tracing(Option<(PathBuf, Tracer)>);

impl Tracing {
    /// Ends it, and tells on standard error if workers had to wait for it.
    ///
    /// # Errors
    /// [`Error::Io`] where something could not be written.
    pub fn finish(self) -> Result<()> {
        let Some((path, tracer)) = self.0 else { return Ok(()) };
        let summary = tracer.finish().map_err(|e| Error::io("write", &path, e))?;
        if summary.waits > 0 {
            let waited = summary.waited.as_secs_f64();
            super::say(format_args!(
                "warning: workers waited {} times, {waited:.3} s in all, for the trace to be written: delays are longer \
                 than without",
                summary.waits
            ));
        }
        Ok(())
    }
}

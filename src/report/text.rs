//! The record as text for a terminal, 80 columns wide.

use super::classes::write_classes;
use super::number::{count, short, si};
use crate::record::{Data, Delays, Record};
use std::io::{self, Write};

/// The columns of a terminal that has no more.
const WIDTH: usize = 80;
/// Where what a label labels begins.
const INDENT: usize = 12;
/// The most rows of the table of epochs.
const EPOCHS: usize = 25;
/// The most workers that are listed one by one.
const WORKERS: usize = 16;

/// How the text looks.
#[derive(Debug, Clone, Copy, Default)]
pub struct Style {
    /// Whether labels are bold, by ANSI escapes.
    pub colour: bool,
}

/// Writes the record as text.
///
/// # Errors
/// What the writer says.
pub fn write_text(out: &mut (impl Write + ?Sized), record: &Record, style: Style) -> io::Result<()> {
    let mut page = Page { out, style };
    page.head(record)?;
    page.series(record)?;
    page.results(record)?;
    page.classes(record)?;
    page.delays(record)?;
    page.strongest(record)?;
    page.end(record)
}

struct Page<'a, W: ?Sized> {
    out: &'a mut W,
    style: Style,
}

impl<W: Write + ?Sized> Page<'_, W> {
    fn head(&mut self, record: &Record) -> io::Result<()> {
        let (program, machine, plan) = (&record.program, &record.machine, &record.plan);
        let cpu = if machine.cpu.is_empty() { "unknown processor" } else { &machine.cpu };
        let cores = plural(machine.cores, "core");
        let version = &program.version;
        self.entry(&program.name, &format!("{version} · {cpu}, {cores} · {} kernels", machine.kernel))?;
        self.entry("data", &data(&record.data))?;
        if let Some(test) = &record.test {
            self.entry("held out", &data(test))?;
        }
        let l1 = if plan.l1 > 0.0 { format!(", l1 {}", short(plan.l1)) } else { String::new() };
        let intercept = match (&*plan.model, plan.intercept) {
            (_, true) => "with intercept, ",
            ("linear", false) => "no intercept, ",
            _ => "",
        };
        let (loss, l2, precision) = (&plan.loss, short(plan.l2), &plan.precision);
        let model = if plan.model == "linear" { String::new() } else { format!("{}, ", plan.model) };
        let scale =
            plan.scale.as_ref().map_or(String::new(), |scale| format!(", features divided by their {scale}"));
        let weights = plan.class_weight.as_ref().map_or(String::new(), |w| format!(", class weights {w}"));
        let versus = match record.data.classes.as_deref() {
            Some(classes) if classes.len() > 2 && plan.model == "linear" => {
                format!(", each of {} classes against the rest", classes.len())
            }
            _ => String::new(),
        };
        let what = format!("{model}{loss} loss, l2 {l2}{l1}, {intercept}{precision}{scale}{weights}{versus}");
        self.entry("objective", &what)?;
        let block = match plan.block {
            1 => "each update sent on its own".to_owned(),
            rows if plan.hot == 0 => format!("blocks of {} on the shared parameters", examples(rows)),
            rows => {
                // Of ratings a block has its own users and items; else all have the same.
                let [up_to, frequent] =
                    if record.data.users.is_some() { ["up to ", ""] } else { ["", "frequent "] };
                let hot = count(plan.hot as u64);
                format!("blocks of {} on copies of {up_to}{hot} {frequent}parameters", examples(rows))
            }
        };
        let batch = if plan.batch > 1 { format!(", mini-batches of {}", plan.batch) } else { String::new() };
        let workers = plural(plan.workers, "worker");
        let pins = pins(&plan.pins);
        self.entry("workers", &format!("{workers} {pins}, update {}, {block}{batch}", plan.update))?;
        if plan.target_gap.is_some() || plan.algorithm != "sgd" {
            let why = match &plan.algorithm_origin[..] {
                "" => String::new(),
                origin => format!(" ({origin})"),
            };
            self.entry("algorithm", &format!("{}{why}", plan.algorithm))?;
        }
        if plan.average != "none" {
            self.entry("average", &plan.average)?;
        }
        let from = match &plan.rate_origin[..] {
            "" => String::new(),
            origin => format!(" ({origin})"),
        };
        let rate = short(plan.rate);
        let optimizer = if plan.optimizer == "sgd" { String::new() } else { format!(", {}", plan.optimizer) };
        // Of blocks on the shared parameters there is no late difference to weigh.
        let fresh = plan.block > 1 && plan.hot == 0 && plan.step != "constant";
        let weight = if fresh { " (1: each step of a block is on fresh parameters)" } else { "" };
        let step = format!("{} × {}{weight}", plan.schedule, plan.step);
        self.entry("step", &format!("rate {rate}{from} × {step}{optimizer}"))?;
        self.entry("repeat", &plan.command)
    }

    fn series(&mut self, record: &Record) -> io::Result<()> {
        writeln!(self.out)?;
        let points = &record.series;
        let gaps = points.iter().any(|point| point.gap.is_some());
        let gap = if gaps { format!(" {:>10}", "gap ≤") } else { String::new() };
        self.title(&format!("{:>8} {:>10} {:>14} {:>14}{gap}", "epoch", "seconds", "examples", "objective"))?;
        let step = points.len().div_ceil(EPOCHS).max(1);
        for (i, point) in points.iter().enumerate() {
            if i % step == 0 || i + 1 == points.len() {
                let epoch = (point.epoch * 100.0).round() / 100.0;
                let (seconds, examples) = (point.train_seconds, count(point.examples));
                let gap = point.gap.map_or(String::new(), |gap| format!(" {gap:>10.1e}"));
                writeln!(
                    self.out,
                    "{epoch:>8} {seconds:>10.3} {examples:>14} {:>14.8}{gap}",
                    point.objective
                )?;
            }
        }
        Ok(())
    }

    fn results(&mut self, record: &Record) -> io::Result<()> {
        writeln!(self.out)?;
        let (outcome, throughput) = (&record.outcome, &record.throughput);
        let on = if record.test.is_some() { "held out" } else { "on the training rows" };
        let figures = [
            outcome.accuracy.map(|x| format!("accuracy {:.2} %", 100.0 * x)),
            outcome.auc.map(|x| format!("AUC {x:.4}")),
            outcome.log_loss.map(|x| format!("log-loss {x:.4}")),
            outcome.rmse.map(|x| format!("RMSE {x:.5}")),
            outcome.mae.map(|x| format!("MAE {x:.5}")),
        ];
        let figures: Vec<String> = figures.into_iter().flatten().collect();
        // Of word vectors there are none.
        if !figures.is_empty() {
            self.entry("quality", &format!("{} ({on})", figures.join(" · ")))?;
        }
        self.entry(
            "speed",
            &format!(
                "{} examples/s · {} nonzeros/s · {} updates/s",
                si(throughput.examples_per_second),
                si(throughput.nonzeros_per_second),
                si(throughput.updates_per_second)
            ),
        )?;
        let time = &record.time;
        self.entry(
            "time",
            &format!(
                "training {:.3} s · preparing {:.3} s · loading {:.3} s",
                time.train_seconds, time.prepare_seconds, time.load_seconds
            ),
        )
    }

    fn classes(&mut self, record: &Record) -> io::Result<()> {
        if !record.outcome.classes.is_empty() {
            writeln!(self.out)?;
            write_classes(self.out, &record.outcome.classes, &record.outcome.confusion, self.style)?;
        }
        Ok(())
    }

    fn delays(&mut self, record: &Record) -> io::Result<()> {
        writeln!(self.out)?;
        let (delay, plan) = (&record.delay, &record.plan);
        let unit = match (plan.block, plan.batch) {
            (1, 1) => "each of one example".to_owned(),
            (1, rows) => format!("each of {}", examples(rows)),
            // Blocks grow as the rate falls.
            (rows, _) => format!("of {} at first", examples(rows)),
        };
        self.entry("delay", &format!("in updates, {unit}"))?;
        self.title(&format!(
            "{:>8} {:>10} {:>8} {:>5} {:>5} {:>5} {:>6} {:>7} {:>6} {:>11}",
            "worker", "updates", "mean", "p50", "p90", "p99", "p99.9", "max", "kept", "failed CAS"
        ))?;
        if delay.workers.len() > 1 {
            for (number, worker) in delay.workers.iter().enumerate().take(WORKERS) {
                self.delay(&number.to_string(), &worker.delays)?;
            }
            if delay.workers.len() > WORKERS {
                writeln!(self.out, "{:>8} {} more", "…", delay.workers.len() - WORKERS)?;
            }
        }
        self.delay("all", &delay.all)?;
        match delay.expected_mean {
            Some(exact) => self.entry("self-check", &self_check(delay.all.mean, exact, record.plan.workers)),
            None => Ok(()),
        }
    }

    fn delay(&mut self, name: &str, delays: &Delays) -> io::Result<()> {
        let Delays { count: updates, mean, p50, p90, p99, p999, max, kept_mass, failed_attempts } = delays;
        let (updates, failed) = (count(*updates), count(*failed_attempts));
        writeln!(
            self.out,
            "{name:>8} {updates:>10} {mean:>8.3} {p50:>5} {p90:>5} {p99:>5} {p999:>6} {max:>7} \
             {kept_mass:>6.3} {failed:>11}"
        )
    }

    fn strongest(&mut self, record: &Record) -> io::Result<()> {
        let named = &record.outcome.strongest;
        if named.is_empty() {
            return Ok(());
        }
        writeln!(self.out)?;
        self.title(&format!("{:>8} {:>9}  {}", "weight", "rows", "strongest features"))?;
        for feature in named {
            let rows = count(feature.rows.into());
            writeln!(self.out, "{:>+8.3} {rows:>9}  {}", feature.weight, feature.feature)?;
        }
        Ok(())
    }

    fn end(&mut self, record: &Record) -> io::Result<()> {
        writeln!(self.out)?;
        let plan = &record.plan;
        let why = match &record.stop[..] {
            "epochs" => format!("all {} epochs are done", plan.epochs),
            "target" => format!("the objective reached {}", short(plan.target_objective.unwrap_or(f64::NAN))),
            "gap" => {
                let (gap, target) =
                    (record.outcome.gap.unwrap_or(f64::NAN), plan.target_gap.unwrap_or(f64::NAN));
                format!(
                    "the objective is certified to be within {gap:.1e} of its minimum (target {target:e})"
                )
            }
            "stalled" => "the objective no longer falls: what is left is rounding".to_owned(),
            "time-limit" => format!("{} s have passed", short(plan.time_limit_seconds.unwrap_or(f64::NAN))),
            "interrupt" => "interrupted; what was learnt so far is kept".to_owned(),
            "diverged" => "diverged: a parameter or the objective is not finite".to_owned(),
            other => other.to_owned(),
        };
        self.entry("stopped", &why)?;
        record.warnings.iter().try_for_each(|warning| self.entry("warning", warning))
    }

    /// A label, and text that is wrapped beside it.
    fn entry(&mut self, label: &str, text: &str) -> io::Result<()> {
        let mut column = INDENT;
        let pad = INDENT - label.chars().count().min(INDENT - 1);
        self.bold(label)?;
        write!(self.out, "{:pad$}", "")?;
        for (i, word) in words(text).into_iter().enumerate() {
            let length = word.chars().count();
            if i > 0 && column + 1 + length > WIDTH {
                write!(self.out, "\n{:INDENT$}", "")?;
                column = INDENT;
            } else if i > 0 {
                write!(self.out, " ")?;
                column += 1;
            }
            write!(self.out, "{word}")?;
            column += length;
        }
        writeln!(self.out)
    }

    fn title(&mut self, text: &str) -> io::Result<()> {
        self.bold(text)?;
        writeln!(self.out)
    }

    fn bold(&mut self, text: &str) -> io::Result<()> {
        if self.style.colour { write!(self.out, "\x1b[1m{text}\x1b[0m") } else { write!(self.out, "{text}") }
    }
}

/// The words, an option with its value taken as one.
fn words(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match words.last_mut() {
            Some(option) if option.starts_with("--") && !option.contains(' ') && !word.starts_with("--") => {
                *option = format!("{option} {word}");
            }
            _ => words.push(word.to_owned()),
        }
    }
    words
}

fn data(data: &Data) -> String {
    let many = |n: usize| count(n as u64);
    if let (Some(users), Some(items)) = (data.users, data.items) {
        return format!(
            "{}: {} ratings by {} users of {} items",
            data.path,
            many(data.rows),
            many(users),
            many(items)
        );
    }
    if let Some(words) = data.words {
        let (kept, vocabulary) = (many(data.rows), many(data.features));
        return format!(
            "{}: {} words, {kept} of them in a vocabulary of {vocabulary}",
            data.path,
            many(words)
        );
    }
    let per_row = data.nonzeros as f64 / data.rows as f64;
    let whole = |label: f32| label >= 0.0 && label.fract() == 0.0;
    let named = |label: f32| data.class_names.as_ref().filter(|_| whole(label))?.get(label as usize).cloned();
    let told = |label: f32| named(label).unwrap_or_else(|| label.to_string());
    let classes = match (data.classes.as_deref(), data.positive) {
        (Some(&[minus, plus]), Some(share)) => {
            format!(", {:.1} % labelled {}, the others {}", 100.0 * share, told(plus), told(minus))
        }
        (Some(classes), _) => format!(", {} classes", classes.len()),
        _ => String::new(),
    };
    let bytes = if data.bytes { ", bytes as shares of 1" } else { "" };
    format!(
        "{}: {} rows × {} features, {} nonzeros ({} a row){bytes}{classes}",
        data.path,
        count(data.rows as u64),
        count(data.features as u64),
        count(data.nonzeros as u64),
        short(per_row)
    )
}

fn pins(pins: &[Option<usize>]) -> String {
    let pinned: Vec<String> = pins.iter().flatten().map(usize::to_string).collect();
    match pinned.len() {
        0 => "not pinned".to_owned(),
        n if n == pins.len() && n == 1 => format!("on core {}", pinned[0]),
        n if n == pins.len() && n <= WORKERS => format!("on cores {}", pinned.join(",")),
        n => format!("({n} of them pinned)"),
    }
}

fn self_check(mean: f64, exact: f64, workers: usize) -> String {
    // Of one worker every delay must be 0, so the difference itself is the deviation.
    let deviation = 100.0 * (mean - exact).abs() / (workers - 1).max(1) as f64;
    let verdict = if deviation <= 2.0 {
        format!("within {deviation:.1} %")
    } else {
        format!("off by {deviation:.1} %: workers were not always busy, or updates not counted")
    };
    format!(
        "mean delay {mean:.3}, expected n − 1 = {} (always-busy workers, exact for this run: {exact:.3}): {verdict}",
        workers - 1
    )
}

fn examples(n: usize) -> String {
    format!("{} example{}", count(n as u64), if n == 1 { "" } else { "s" })
}

fn plural(n: usize, noun: &str) -> String {
    format!("{n} {noun}{}", if n == 1 { "" } else { "s" })
}

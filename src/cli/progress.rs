//! The progress bar of a training run.

use asyncsgd::delay::Profile;
use asyncsgd::engine::{Event, Progress};
use asyncsgd::report::si;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// The bar's length: parts of the run.
const PARTS: u64 = 1000;

/// Draws on standard error if that is a terminal, and otherwise nothing.
pub struct Bar(ProgressBar);

impl Bar {
    /// A bar; hidden for the quiet.
    pub fn new(quiet: bool) -> Self {
        // Indicatif draws nothing where standard error is no terminal.
        let target = if quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let bar = ProgressBar::with_draw_target(Some(PARTS), target);
        let style = ProgressStyle::with_template("{prefix:12} {bar:20.cyan/blue} {msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Self(bar)
    }

    /// What is being done before training.
    pub fn say(&self, what: &'static str) {
        self.0.set_prefix(what);
        self.0.tick();
    }

    /// Follows a run over `examples` examples.
    pub fn watch(&self, examples: usize) -> impl FnMut(Event<'_>) + use<> {
        let bar = self.0.clone();
        let (mut epochs, mut objective) = (0.0, f64::NAN);
        move |event| {
            let epoch = match event {
                Event::Planned(plan) => {
                    epochs = plan.epochs;
                    0.0
                }
                Event::Progress(progress) => {
                    if !bar.is_hidden() {
                        bar.set_message(message(&progress, examples, objective));
                    }
                    progress.epoch
                }
                Event::Epoch(point) => {
                    objective = point.objective;
                    point.epoch
                }
                Event::Warning(warning) => {
                    return bar.suspend(|| super::say(format_args!("warning: {warning}")));
                }
            };
            bar.set_prefix(format!("epoch {epoch:.1}/{epochs}"));
            let share = if epochs > 0.0 { (epoch / epochs).min(1.0) } else { 1.0 };
            bar.set_position((share * PARTS as f64) as u64);
        }
    }

    /// Shows that `done` of `all` runs are done.
    pub fn count(&self, done: usize, all: usize) {
        self.0.set_prefix(format!("run {}/{all}", done + 1));
        self.0.set_position((done * PARTS as usize / all.max(1)) as u64);
    }

    /// Takes the bar away.
    pub fn clear(&self) {
        self.0.finish_and_clear();
    }
}

fn message(progress: &Progress<'_>, examples: usize, objective: f64) -> String {
    let mut delays = Profile::default();
    progress.delays().iter().for_each(|worker| delays.merge(worker));
    let rate = progress.epoch * examples as f64 / progress.train_seconds.max(1e-9);
    format!("{objective:.5} · {} examples/s · delay {:.2}", si(rate), delays.mean())
}

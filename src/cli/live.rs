//! The view of a run while it goes on: a screen on a terminal, lines elsewhere.

use asyncsgd::delay::Profile;
use asyncsgd::engine::{Event, Progress};
use asyncsgd::report::{octaves, si};
use ratatui::crossterm::event::{self, KeyCode, KeyModifiers};
use ratatui::crossterm::terminal::{self, EnterAlternateScreen, LeaveAlternateScreen};
use ratatui::crossterm::{cursor, execute};
use ratatui::layout::Rect;
use ratatui::prelude::{CrosstermBackend, Line, Stylize};
use ratatui::widgets::Paragraph;
use ratatui::{Frame, Terminal};
use std::io::{self, IsTerminal, Stderr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Between two drawings of the screen.
const REDRAW: Duration = Duration::from_millis(200);

/// Between two lines.
const NEXT_LINE: Duration = Duration::from_secs(1);

/// The eighths of a character's height.
const BARS: [&str; 9] = [" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];

/// Shows a run on standard error.
pub struct Live {
    examples: usize,
    shown: Shown,
    last: Option<Instant>,
    state: State,
    interrupt: Arc<AtomicBool>,
    /// Whether `q` was pressed.
    quit: bool,
}

enum Shown {
    Nothing,
    Lines,
    Screen(Screen),
}

/// The terminal's alternate screen, until it is dropped.
struct Screen(Terminal<CrosstermBackend<Stderr>>);

/// What is shown.
#[derive(Default)]
struct State {
    epochs: f64,
    epoch: f64,
    seconds: f64,
    objective: Option<f64>,
    updates_per_second: f64,
    examples_per_second: f64,
    workers: Vec<Profile>,
    all: Profile,
}

impl Live {
    /// A view of a run over `examples` examples, which `q` and Ctrl-C stop by setting `interrupt`. None for the quiet.
    pub fn new(examples: usize, quiet: bool, interrupt: Arc<AtomicBool>) -> Self {
        let terminal = io::stderr().is_terminal() && io::stdin().is_terminal();
        let shown = match quiet {
            true => Shown::Nothing,
            false if terminal => Screen::open().map_or(Shown::Lines, Shown::Screen),
            false => Shown::Lines,
        };
        Self { examples, shown, last: None, state: State::default(), interrupt, quit: false }
    }

    /// Whether `q` has stopped the run.
    pub fn quit(&self) -> bool {
        self.quit
    }

    /// Takes an event of the run in.
    pub fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Planned(plan) => self.state.epochs = plan.epochs,
            Event::Epoch(point) => self.state.objective = Some(point.objective),
            Event::Progress(progress) => self.progress(&progress),
            // Of checkpoints, which are not made here.
            Event::Warning(warning) => super::say(format_args!("warning: {warning}")),
        }
    }

    fn progress(&mut self, progress: &Progress<'_>) {
        let pause = match self.shown {
            Shown::Nothing => return,
            Shown::Lines => NEXT_LINE,
            Shown::Screen(_) => REDRAW,
        };
        self.keys();
        if self.last.is_some_and(|last| last.elapsed() < pause) {
            return;
        }
        self.last = Some(Instant::now());
        self.state.update(progress, self.examples);
        match &mut self.shown {
            Shown::Nothing => {}
            Shown::Lines => super::say(self.state.line()),
            Shown::Screen(screen) => {
                let state = &self.state;
                if screen.0.draw(|frame| draw(frame, state)).is_err() {
                    // A terminal that has gone away: the run goes on.
                    self.shown = Shown::Nothing;
                }
            }
        }
    }

    /// Takes in the keys pressed since the last time.
    fn keys(&mut self) {
        let Shown::Screen(_) = self.shown else { return };
        while event::poll(Duration::ZERO).unwrap_or(false) {
            let Ok(event) = event::read() else { return };
            let Some(key) = event.as_key_press_event() else { continue };
            let control_c = key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
            let quit = matches!(key.code, KeyCode::Char('q') | KeyCode::Esc);
            if quit || control_c {
                self.quit = quit;
                // Relaxed: nothing else is published through it.
                self.interrupt.store(true, Ordering::Relaxed);
            }
        }
    }
}

impl Screen {
    fn open() -> io::Result<Self> {
        terminal::enable_raw_mode()?;
        let opened = execute!(io::stderr(), EnterAlternateScreen, cursor::Hide)
            .and_then(|()| Terminal::new(CrosstermBackend::new(io::stderr())));
        opened.map(Self).inspect_err(|_| restore())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        restore();
    }
}

fn restore() {
    // There is nothing to do about a terminal that refuses.
    let _ = terminal::disable_raw_mode();
    let _ = execute!(io::stderr(), LeaveAlternateScreen, cursor::Show);
}

impl State {
    fn update(&mut self, progress: &Progress<'_>, examples: usize) {
        let workers = progress.delays();
        let mut all = Profile::default();
        workers.iter().for_each(|worker| all.merge(worker));
        let passed = progress.train_seconds - self.seconds;
        if passed > 0.0 {
            let updates = all.count().saturating_sub(self.all.count());
            self.updates_per_second = updates as f64 / passed;
            self.examples_per_second = (progress.epoch - self.epoch).max(0.0) * examples as f64 / passed;
        }
        (self.epoch, self.seconds) = (progress.epoch, progress.train_seconds);
        (self.workers, self.all) = (workers, all);
    }

    fn figures(&self) -> Vec<String> {
        let delays = &self.all;
        let objective = self.objective.map_or("–".to_owned(), |objective| format!("{objective:.5}"));
        vec![
            format!("epoch {:.1}/{}", self.epoch, self.epochs),
            format!("{:.1} s", self.seconds),
            format!("objective {objective}"),
            format!("delay {:.3}", delays.mean()),
            format!("kept {:.3}", delays.kept_mass()),
            format!("{} updates/s", si(self.updates_per_second)),
            format!("{} examples/s", si(self.examples_per_second)),
        ]
    }

    fn line(&self) -> String {
        let delays = &self.all;
        let quantiles = [0.5, 0.99].map(|q| delays.quantile(q));
        let tail = format!("p50 {} p99 {} max {}", quantiles[0], quantiles[1], delays.max());
        format!("{} · {tail}", self.figures().join(" · "))
    }
}

/// The columns that a worker's figures take, left of its histogram.
const FIGURES: u16 = 30;

/// The columns of an axis label such as `1.05M`, and a space.
const LABEL: u16 = 6;

fn draw(frame: &mut Frame<'_>, state: &State) {
    let area = frame.area();
    let head = wrap(&state.figures(), usize::from(area.width));
    let head_rows = (head.len() as u16).min(area.height);
    frame.render_widget(Paragraph::new(head), Rect { height: head_rows, ..area });
    let rows = area.height.saturating_sub(head_rows + 2);
    let workers = &state.workers;
    // What has no room is left out: the figures above are of all workers.
    if rows == 0 || area.width < FIGURES + 10 || workers.is_empty() {
        return;
    }
    let each = (rows / workers.len() as u16).clamp(1, 8);
    let fit = usize::from(rows / each).min(workers.len());
    let most = octaves(&state.all).len().max(1);
    let wide = ((area.width - FIGURES) / most as u16).clamp(1, 6);
    let mut y = area.y + head_rows + 1;
    for (number, worker) in workers.iter().take(fit).enumerate() {
        let share = 100.0 * worker.count() as f64 / state.all.count().max(1) as f64;
        let figures = [
            format!("worker {number} · {share:.1} %"),
            format!("  p50 {} p99 {}", worker.quantile(0.5), worker.quantile(0.99)),
            format!("  mean {:.2} max {}", worker.mean(), worker.max()),
            format!("  by time p99 {}", worker.time_quantile(0.99)),
        ];
        let text = if each == 1 { vec![format!("{}{}", figures[0], figures[1])] } else { figures.to_vec() };
        let text: Vec<Line<'_>> = text.into_iter().take(usize::from(each)).map(Line::from).collect();
        frame.render_widget(Paragraph::new(text), Rect { y, width: FIGURES - 1, height: each, ..area });
        let bars = bars(&octaves(worker), usize::from(each), usize::from(wide));
        let bars: Vec<Line<'_>> = bars.into_iter().map(|bar| Line::from(bar).cyan()).collect();
        let place = Rect { x: area.x + FIGURES, y, width: area.width - FIGURES, height: each };
        frame.render_widget(Paragraph::new(bars), place);
        y += each;
    }
    // So many octaves apart that each label has room.
    let apart = LABEL.div_ceil(wide);
    let labels: String = (0..most)
        .step_by(usize::from(apart))
        .map(|octave| {
            let low = if octave == 0 { 0 } else { 1u64 << (octave - 1) };
            if low < 1000 { low.to_string() } else { si(low as f64).replace(' ', "") }
        })
        .map(|label| format!("{label:<width$}", width = usize::from(apart * wide)))
        .collect();
    let place = Rect { x: area.x + FIGURES, y, width: area.width - FIGURES, height: 1 };
    frame.render_widget(Paragraph::new(Line::from(labels).dim()), place);
}

/// The figures, and before them how to stop, in lines of at most `width` columns where they fit.
fn wrap(figures: &[String], width: usize) -> Vec<Line<'static>> {
    let mut lines: Vec<String> = vec!["q stops".to_owned()];
    for figure in figures {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 3 + figure.chars().count() <= width => {
                *line = format!("{line} · {figure}");
            }
            _ => lines.push(figure.clone()),
        }
    }
    lines.into_iter().map(Line::from).collect()
}

/// A histogram of `height` lines, `wide` columns a bar; a bar's height is the logarithm of its count.
fn bars(counts: &[u64], height: usize, wide: usize) -> Vec<String> {
    let most = counts.iter().copied().max().unwrap_or(0).max(1);
    let eighths: Vec<usize> = counts
        .iter()
        .map(|&n| ((n as f64).ln_1p() / (most as f64).ln_1p() * (8 * height) as f64).ceil() as usize)
        .collect();
    (0..height)
        .rev()
        .map(|line| eighths.iter().map(|&e| BARS[e.saturating_sub(8 * line).min(8)].repeat(wide)).collect())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use asyncsgd::delay::Recorder;
    use ratatui::backend::TestBackend;

    fn screen(width: u16, height: u16) -> String {
        let mut recorder = Recorder::new();
        (0..1000).for_each(|i| recorder.record(if i % 100 == 0 { 900 } else { i % 3 }, 1.0));
        let workers = vec![recorder.reader().snapshot(); 2];
        let state = State { all: workers[0].clone(), workers, epochs: 10.0, ..State::default() };
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(frame, &state)).unwrap();
        terminal.backend().to_string()
    }

    #[test]
    fn every_size_of_terminal_shows_something() {
        let large = screen(100, 30);
        assert!(large.contains("worker 1") && large.contains("max 900") && large.contains('█'), "{large}");
        assert!(large.contains("0     1     2     4     8     16    32    64    128   256   512"), "{large}");
        let small = screen(20, 5);
        assert!(small.contains("q stops") && small.contains("delay 9.990"), "{small}");
        for (width, height) in [(1, 1), (45, 3), (200, 1), (41, 6)] {
            screen(width, height);
        }
    }

    #[test]
    fn bars_grow_with_the_logarithm() {
        assert_eq!(bars(&[0, 1, 7], 1, 2), ["  ▃▃██"]);
        assert_eq!(bars(&[7, 1], 2, 1), ["█ ", "█▆"]);
    }
}

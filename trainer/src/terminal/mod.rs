//! The terminal view of a run: a dashboard where somebody watches, plain lines where nobody does.
//!
//! Everything here is written to standard error; standard output belongs to results. [`View`] takes the lab's events
//! one by one, keeps what they say in a [`state::State`], and shows it. It changes no setting of the terminal: no raw
//! mode, no other screen, no hidden cursor, so Ctrl-C stays SIGINT and nothing needs to be restored.

mod dashboard;
mod painter;
mod plain;
mod state;
mod summary;

use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use crossover::lab::Event;
use ratatui::buffer::Buffer;
use ratatui::crossterm::terminal;
use ratatui::layout::Rect;

pub use dashboard::Palette;
use painter::Painter;
use state::State;
pub use state::Turn;
pub use summary::{aligned, seeds_summary, summary};

/// Time between two drawings of the dashboard.
const FRAME: Duration = Duration::from_millis(100);
/// Rows the dashboard takes where there are enough.
const ROWS: u16 = 24;
/// Rows below which a dashboard shows too little.
const LEAST_ROWS: u16 = 12;
/// Columns below which a dashboard shows too little.
const LEAST_COLUMNS: u16 = 50;

/// How a run is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// A dashboard that is drawn anew in place.
    Live,
    /// A line now and then.
    Plain,
    /// Not at all: somebody else shows it.
    Silent,
}

impl Mode {
    /// A dashboard where standard error is a terminal that can show one.
    pub fn detect() -> Self {
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let (columns, rows) = size();
        let fits = columns >= LEAST_COLUMNS && rows > LEAST_ROWS;
        if io::stderr().is_terminal() && !dumb && fits {
            Self::Live
        } else {
            Self::Plain
        }
    }
}

/// Shows a run while it happens. What can't be written (a closed pipe) is lost and never stops the run.
pub struct View {
    state: State,
    form: Form,
    since: Instant,
}

enum Form {
    Silent,
    Plain,
    Live {
        painter: Painter<io::Stderr>,
        palette: Palette,
        drawn: Option<Instant>,
    },
}

impl View {
    /// A view with nothing to show yet; `turn` where it is one of several runs.
    pub fn new(mode: Mode, turn: Option<Turn>) -> Self {
        let form = match mode {
            Mode::Silent => Form::Silent,
            Mode::Plain => Form::Plain,
            Mode::Live => Form::Live {
                painter: Painter::new(io::stderr()),
                palette: Palette::detect(),
                drawn: None,
            },
        };
        Self {
            state: State::new(turn),
            form,
            since: Instant::now(),
        }
    }

    /// Takes the next event.
    pub fn on_event(&mut self, event: &Event) {
        self.state.apply(event, self.since.elapsed().as_secs_f64());
        match &mut self.form {
            Form::Silent => {}
            Form::Plain => {
                for line in plain::lines(&self.state, event) {
                    let _ = writeln!(io::stderr(), "{line}");
                }
            }
            Form::Live { painter, drawn, .. } => {
                if let Some(line) = plain::lasting(&self.state, event) {
                    let _ = painter.above(&line);
                }
                // Steps come by the hundred; everything else is rare, and may be the last for a while.
                let due = drawn.is_none_or(|drawn| drawn.elapsed() >= FRAME);
                if due || !matches!(event, Event::Metrics(_) | Event::Sample(_)) {
                    self.draw();
                }
            }
        }
    }

    /// Leaves the last picture where it is (of one of several runs, a line), and gives the final table and verdicts for standard output; `None` when the
    /// run has no result.
    #[must_use]
    pub fn finish(mut self, report: Option<&Path>) -> Option<String> {
        self.draw();
        let (outcome, started) = (self.state.outcome()?, self.state.started()?);
        Some(summary(outcome, &started.config, report))
    }

    fn draw(&mut self) {
        // A finished run that is resumed never starts, and of one of several runs a line stays, which is above.
        let is_over = self.state.turn().is_some() && self.state.outcome().is_some();
        if self.state.started().is_none() || is_over {
            return;
        }
        let Form::Live {
            painter,
            palette,
            drawn,
        } = &mut self.form
        else {
            return;
        };
        let (columns, rows) = size();
        let area = Rect::new(0, 0, columns, ROWS.min(rows.saturating_sub(1)));
        let mut buffer = Buffer::empty(area);
        dashboard::render(&self.state, *palette, area, &mut buffer);
        let _ = painter.paint(&buffer);
        *drawn = Some(Instant::now());
    }
}

/// Columns and rows of the terminal; some pretend to have none.
fn size() -> (u16, u16) {
    match terminal::size() {
        Ok((columns, rows)) if columns > 0 && rows > 0 => (columns, rows),
        _ => (80, 24),
    }
}

//! What is on the screen, as plain data: a browser's tests read it from `window.crossover.state()`, tests of the native
//! app from [`crate::app::App::hook`].

use crossover::objective::Objective;
use serde::Serialize;

/// What is on the screen.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Hook {
    /// The title of the screen that is shown.
    pub screen: String,
    /// What the lab computes on, as the badge says it: empty until it is known.
    pub badge: String,
    /// What goes on, in one line.
    pub status: String,
    /// The run that is shown.
    pub run: Option<Run>,
    /// Its curves.
    pub series: Vec<Series>,
    /// The text that is shown being written.
    pub theatre: Option<Theatre>,
    /// What the page has done so far.
    pub counters: Counters,
}

/// A run.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Run {
    /// Its folder.
    pub id: String,
    /// `running`, `paused`, `stopped`, `failed` or `done`.
    pub state: String,
    /// Steps that every model has done.
    pub step: u64,
    /// Steps of the whole run.
    pub steps: u64,
    /// The step that a reload would continue from.
    pub saved: Option<u64>,
    /// Passes over the unique data.
    pub epoch: f64,
    /// Tokens that each model has seen.
    pub tokens: u64,
}

/// A model's curve.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Series {
    /// Whose.
    pub objective: Objective,
    /// Its evaluations.
    pub points: Vec<Point>,
}

/// An evaluation.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Point {
    /// After how many steps.
    pub step: u64,
    /// Tokens seen.
    pub tokens: u64,
    /// Validation loss, nats per token.
    pub nats: f64,
    /// Its standard error.
    pub se: Option<f64>,
}

/// A text while it is written.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Theatre {
    /// `recorded`, or `live` where the lab wrote it in this visit.
    pub source: String,
    /// The step that is shown: 0 is before the first.
    pub step: usize,
    /// Steps of the whole text.
    pub steps: usize,
    /// Each position.
    pub cells: Vec<Cell>,
}

/// A position of a text.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Cell {
    /// How it looks: `prompt`, `pinned`, `mask`, `draft`, `revealed`, `committed`, `remasked` or `changed`.
    pub state: String,
    /// Its token, where it has one.
    pub id: Option<u32>,
    /// The probability that its token had when it was written.
    pub p: Option<f32>,
}

/// What the page has done.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Counters {
    /// Messages from the lab.
    pub messages: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Bytes of memory that the lab holds, as it said last; 0 where it can't know.
    pub memory: u64,
    /// Pictures drawn.
    pub frames: u64,
    /// Milliseconds that the longest of them took.
    pub longest: f64,
}

//! What the app knows, folded from the lab's events. Nothing here draws.
//!
//! [`Run`] is the run on the table, [`Series`] its curves, [`verdict`] what they say, [`units`] how they are read.
//! [`recorded`] is a run that ships with the app, shown while there is none.

pub mod notice;
pub mod recorded;
mod run;
mod series;
pub mod units;
pub mod verdict;

use crossover::lab::Event;
use crossover::objective::Objective;

use crate::link::DeviceInfo;
use crate::theme::Preferences;

pub use notice::{Act, Grade, Notice};
pub use run::{Phase, Run};
pub use series::{Point, Series};

/// Everything that is known.
#[derive(Debug, Default)]
pub struct State {
    /// What the lab computes on, once it is open.
    pub device: Option<DeviceInfo>,
    /// The run on the table: under way, or the last one.
    pub run: Option<Run>,
    /// What the one-line bar says.
    pub notice: Option<Notice>,
    /// What a person chose about looks and keys.
    pub preferences: Preferences,
    /// Where the app should go next.
    pub route: Option<Route>,
    /// Events that were folded.
    pub events: u64,
}

/// Somewhere to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// The Race screen.
    Race,
    /// The Denoise screen, to watch a model of the current run write.
    Denoise {
        /// Whose.
        objective: Objective,
    },
    /// The Runs screen.
    Runs,
    /// The Device screen.
    Device,
}

impl State {
    /// Takes note of an event.
    pub fn fold(&mut self, event: &Event) {
        self.events += 1;
        match event {
            Event::Started(started) => match &mut self.run {
                Some(run) if run.folder() == started.folder => run.resume(started),
                other => *other = Some(Run::new(started.as_ref().clone())),
            },
            Event::Notice { message } => self.notice = Some(Notice::said(message)),
            Event::Failed { message, hint, .. } => {
                self.notice = Some(Notice::went_wrong(message, hint.as_deref()));
            }
            _ => {}
        }
        if let Some(run) = &mut self.run {
            run.fold(event);
        }
    }

    /// Whether a run is under way.
    pub fn is_busy(&self) -> bool {
        self.run.as_ref().is_some_and(Run::is_under_way)
    }

    /// Whether the lab computes on a GPU.
    pub fn has_gpu(&self) -> bool {
        self.device.as_ref().is_some_and(|device| device.gpu)
    }

    /// A run is about to be asked for: the old one makes room.
    pub fn clear_table(&mut self) {
        self.run = None;
        self.notice = None;
    }
}

//! What the app knows, folded from the lab's events. Nothing here draws.
//!
//! [`Run`] is the run on the table, [`Series`] its curves, [`verdict`] what they say, [`units`] how they are read.
//! [`recorded`] is a run that ships with the app, shown while there is none. [`Preferences`] survive closing.

pub mod notice;
mod preferences;
pub mod recorded;
mod run;
mod series;
pub mod units;
pub mod verdict;

use crossover::lab::Event;

use crate::link::files::Given;
use crate::link::{self, Compute, DeviceInfo, Loading, StorageInfo};

pub use notice::{Act, Grade, Notice};
pub use preferences::Preferences;
pub use run::{Phase, Run};
pub use series::{Point, Series};

/// Everything that is known.
#[derive(Debug, Default)]
pub struct State {
    /// What the lab computes on, once it is open.
    pub device: Option<DeviceInfo>,
    /// How files are kept.
    pub storage: StorageInfo,
    /// How much of the lab's program has arrived, while it is on its way.
    pub loading: Option<Loading>,
    /// Bytes of memory that the worker uses, 0 where that is unknown.
    pub memory: u64,
    /// What the way to the lab says.
    pub told: Option<link::Notice>,
    /// What only the way to the lab can do.
    pub wishes: Vec<Wish>,
    /// Windows in a batch that would fit, where a run did not.
    pub batch: Option<usize>,
    /// The run on the table: under way, or the last one.
    pub run: Option<Run>,
    /// What the one-line bar says.
    pub notice: Option<Notice>,
    /// What a person chose about looks and habits.
    pub preferences: Preferences,
    /// Where the app should go next.
    pub route: Option<Route>,
    /// What was pressed in the one-line bar, for the screen it belongs to.
    pub acted: Option<Act>,
    /// Where links to settings lead: the page's address; natively empty.
    pub home: String,
    /// The link that the app was opened with, until the Race screen has read it.
    pub link: Option<String>,
    /// Whether single keys act now: they don't while a text is edited.
    pub keys_act: bool,
    /// Whether the main button was pressed by its key.
    pub press_primary: bool,
    /// Whether nothing may move unasked.
    pub reduced_motion: bool,
    /// Whether the system asks for that.
    pub system_reduces_motion: bool,
    /// Whether the window is a phone's.
    pub narrow: bool,
    /// The text in the theatre.
    pub theatre: Option<crate::theatre::Onstage>,
    /// Texts that were dropped somewhere, for the Race screen.
    pub given: Vec<Given>,
    /// Whether the lab has let go of all texts, until the Race screen has taken note of it.
    pub texts_are_gone: bool,
    /// What the theatre is to show next.
    pub staged: Option<Staged>,
    /// A run that was asked for and has not begun: what it is doing.
    pub starting: Option<String>,
}

/// What only the way to the lab can do.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Wish {
    /// Computes on something else.
    Compute(Compute),
    /// Asks the browser not to clear files by itself.
    KeepData,
    /// A notice was read.
    Dismiss(u64),
    /// A notice's button was pressed.
    Act(u64, link::Action),
}

/// Somewhere to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// The Race screen.
    Race,
    /// The Denoise screen.
    Denoise,
    /// The Runs screen.
    Runs,
    /// The Device screen.
    Device,
}

/// Something for the theatre.
#[derive(Debug, Clone, PartialEq)]
pub enum Staged {
    /// A trace that was dropped somewhere.
    Trace(Given),
    /// The checkpoint of a model that is to write.
    Model(String),
}

impl State {
    /// Takes note of an event.
    pub fn fold(&mut self, event: &Event) {
        if event.ends_run() || matches!(event, Event::Started(_)) {
            self.starting = None;
        }
        match event {
            Event::Progress { doing } if self.starting.is_some() => {
                self.starting = Some(notice::first_upper(doing));
            }
            Event::Started(started) => match &mut self.run {
                Some(run) if run.folder() == started.folder => run.resume(started),
                other => *other = Some(Run::new(started.as_ref().clone())),
            },
            Event::Notice { message } => self.notice = Some(Notice::said(message)),
            _ => {}
        }
        let was_busy = self.is_busy();
        if let Some(run) = &mut self.run {
            run.fold(event);
        }
        if let Event::Failed { message, hint, .. } = event {
            // A run may have better words for its end.
            let (message, hint) = match self.run.as_ref().map(|run| &run.phase) {
                Some(Phase::Failed { message, hint }) if was_busy => (message, hint),
                _ => (message, hint),
            };
            self.notice = Some(Notice::went_wrong(message, hint.as_deref()));
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

    /// Whether a key was pressed that acts by itself, and may.
    pub fn key(&self, ui: &egui::Ui, key: egui::Key) -> bool {
        self.keys_act && ui.input(|input| input.modifiers.is_none() && input.key_pressed(key))
    }

    /// What a person who helps would want to know.
    pub fn diagnostics(&self) -> String {
        let mut lines = vec![format!("Crossover {}", env!("CARGO_PKG_VERSION"))];
        if let Some(device) = &self.device {
            lines.push(format!("{}: {}", device.badge, device.description));
            lines.extend(
                device
                    .details
                    .iter()
                    .map(|(name, value)| format!("{name}: {value}")),
            );
        }
        if let Some(run) = &self.run {
            lines.push(format!(
                "run {} at step {} of {}: {:?}",
                run.folder(),
                run.step,
                run.started.steps,
                run.phase
            ));
            lines.extend(run.started.config.to_toml().ok());
        }
        lines.join("\n")
    }
}

//! The lab: the one door to runs. The command line, the app and the browser's worker all send a [`Command`] and show the
//! [`Event`]s that come back; none of them touches a tensor.
//!
//! A run lives on one task: natively a pinned thread, in the browser the worker. [`protocol`] is the language, `session`
//! the run itself, `finale` the measurement at its end, [`crossover`] the verdict. [`generation`] compares ways of writing.

pub mod bench;
pub mod crossover;
mod finale;
pub mod generation;
mod load;
pub mod protocol;
mod session;

use async_channel::{Receiver, Sender};

use crate::device::Selected;
use crate::error::{Error, Kind, Result};
use crate::platform;

pub use load::{Loaded, load_checkpoint};
pub use protocol::{
    CheckpointKind, Command, DualAr, Estimate, Event, GridShare, Outcome, RaceResult, SampleText,
    Started, TrainResult,
};
pub use session::prepare;

/// A lab at work: where commands go and events come from. It ends when a run has ended.
#[derive(Debug, Clone)]
pub struct Lab {
    commands: Sender<Command>,
    events: Receiver<Event>,
}

impl Lab {
    /// Opens a lab on a device.
    pub fn open(device: Selected) -> Self {
        let (command_sender, commands) = async_channel::unbounded();
        let (event_sender, events) = async_channel::unbounded();
        platform::spawn("lab", move || work(device, commands, event_sender));
        Self {
            commands: command_sender,
            events,
        }
    }

    /// Sends a command. One that comes after the end is dropped: there is nothing left to stop.
    pub fn send(&self, command: Command) {
        let _ = self.commands.try_send(command);
    }

    /// The events, in order; the channel closes after the last.
    pub fn events(&self) -> &Receiver<Event> {
        &self.events
    }
}

/// What a run reads from its front end and tells it.
struct Control {
    commands: Receiver<Command>,
    events: Sender<Event>,
}

impl Control {
    fn emit(&self, event: Event) {
        // A front end that went away is no reason to lose the run.
        let _ = self.events.try_send(event);
    }

    /// Whether somebody asked to stop since the last look.
    ///
    /// # Errors
    /// That it was asked.
    fn check(&self) -> Result<()> {
        match self.commands.try_recv() {
            Ok(Command::Stop) => Err(Error::interrupted("stopped as asked")),
            _ => Ok(()),
        }
    }
}

async fn work(device: Selected, commands: Receiver<Command>, events: Sender<Event>) {
    let Ok(command) = commands.recv().await else {
        return;
    };
    let control = Control { commands, events };
    let result = match command {
        Command::Start {
            config,
            folder,
            force,
        } => session::start(*config, &folder, force, &device, &control).await,
        Command::Resume { folder } => session::resume(&folder, &device, &control).await,
        Command::Stop => Ok(()),
    };
    match result {
        Ok(()) => {}
        // The session has said that it stopped, and where.
        Err(error) if error.kind() == Kind::Interrupted => {}
        Err(error) => control.emit(Event::Failed {
            message: error.to_string(),
            hint: error.hint().map(str::to_owned),
            input: error.kind() == Kind::Input,
        }),
    }
}

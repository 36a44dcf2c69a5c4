//! The lab: the one door to runs. The command line, the app and the browser's worker all send a [`Command`] and show the
//! [`Event`]s that come back; none of them touches a tensor.
//!
//! A lab lives on one task: natively a pinned thread, in the browser the worker. It takes one command after the other, and
//! during a run looks for new ones between two steps. [`protocol`] is the language, `session` the run itself, `records` its
//! files, `states` its checkpoints, `fits` what its memory must hold, `finale` the measurement at its end, [`crossover`] the verdict; `requests` answers what is asked beside runs. [`generation`]
//! compares ways of writing, and [`tasks`] puts questions to models; `exams` does so on the way of a run.

pub mod bench;
mod control;
pub mod crossover;
mod exams;
mod finale;
mod fits;
pub mod generation;
mod load;
pub mod protocol;
mod records;
mod requests;
mod session;
mod states;
pub mod tasks;
mod template;
mod writing;

use async_channel::{Receiver, Sender};

use crate::device::Selected;
use crate::error::Kind;
use crate::platform;

use control::Control;

pub use load::{Loaded, load_checkpoint};
pub use protocol::{
    Answer, Attention, Benchmark, Bin, CheckpointKind, Command, DualAr, Estimate, Event,
    ExpertLoad, GridShare, LossSpike, Measured, ModelMeasured, Outcome, Plan, Preview, RaceResult,
    Request, RunSummary, SampleText, SkippedStep, Started, Straggler, Template, TrainResult,
    Writing,
};
pub use session::prepare;
pub use states::file_name as checkpoint_file;
pub use template::templates;
pub use writing::{check_vocabulary, traced};

/// A lab at work: where commands go and events come from. It closes with the last copy of this.
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

    /// Sends a command.
    pub fn send(&self, command: Command) {
        // A lab that is gone has nothing left to do.
        let _ = self.commands.try_send(command);
    }

    /// The events, in order. Those of a run end with one that says so ([`Event::ends_run`]).
    pub fn events(&self) -> &Receiver<Event> {
        &self.events
    }
}

async fn work(device: Selected, commands: Receiver<Command>, events: Sender<Event>) {
    let control = Control::new(commands, events);
    while let Some(command) = control.next().await {
        control.begin();
        let ended = match command {
            Command::Start {
                config,
                folder,
                force,
            } => session::start(*config, &folder, force, &device, &control).await,
            Command::Resume { folder } => session::resume(&folder, &device, &control).await,
            Command::Ask { request, what } => {
                requests::answer(request, what, &device, &control).await;
                continue;
            }
            // There is no run.
            Command::Pause | Command::Continue | Command::Stop => continue,
        };
        control.emit(ended.unwrap_or_else(|error| Event::Failed {
            message: error.to_string(),
            hint: error.hint().map(str::to_owned),
            input: error.kind() == Kind::Input,
        }));
    }
}

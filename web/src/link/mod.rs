//! The way to the lab.
//!
//! A [`Link`] is a lab on a device: a pinned thread natively, a worker in the browser. It can die: the [`Supervisor`] above
//! it opens another one, carries on the run from its last autosave and says so. The [`Desk`] is what screens hold: they
//! send commands, ask questions, and find the answers among the events. [`Order`]s go to a link and [`Message`]s come
//! back; in the browser both travel as JSON, and an [`Outbox`] keeps their number down.

pub mod files;
mod notice;
mod outbox;
mod supervisor;
mod watch;

#[cfg(target_family = "wasm")]
pub mod hooks;
#[cfg_attr(target_family = "wasm", path = "browser.rs")]
#[cfg_attr(not(target_family = "wasm"), path = "native.rs")]
mod system;

use std::sync::Arc;

use crossover::lab::{Command, Event, Request};
use serde::{Deserialize, Serialize};

pub use notice::{Action, Notice, Severity, span};
pub use outbox::Outbox;
pub use supervisor::{Supervisor, Then};
pub use system::Link;
pub use watch::Watched;

/// What is called when there is something new to look at.
pub type Wake = Arc<dyn Fn() + Send + Sync>;

/// What a person wants the lab to compute on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Compute {
    /// A real GPU if there is one, else the processor.
    #[default]
    Auto,
    /// A real GPU.
    Gpu,
    /// The processor.
    Processor,
    /// A GPU played by the processor.
    SoftwareGpu,
}

impl Compute {
    /// All of them, in the order they are offered.
    pub const ALL: [Self; 4] = [Self::Auto, Self::Gpu, Self::Processor, Self::SoftwareGpu];

    /// What it is called.
    pub fn label(self) -> &'static str {
        match self {
            Self::Auto => "Auto",
            Self::Gpu => "GPU",
            Self::Processor => "Processor",
            Self::SoftwareGpu => "Software GPU",
        }
    }
}

/// How a link is opened.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Opening {
    /// On what.
    pub compute: Compute,
    /// Whether it takes the place of a link that is gone, which may still hold what it held for a moment.
    pub again: bool,
    /// Whether files were kept when the page was open last.
    pub had_files: bool,
    /// Where the bundled models are, as an address.
    pub bundled: String,
    /// Whether the lab shares the page's thread.
    pub here: bool,
}

/// What is asked of a link.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// The first of all: opens the lab.
    Open(Opening),
    /// For the lab.
    Lab(Command),
    /// Ends a run so that it can be resumed, keeps every file, and says [`Message::Closed`].
    Close,
    /// For tests: the GPU device is destroyed.
    LoseDevice,
    /// For tests: the program stops.
    Panic,
    /// For tests: no more file can be kept.
    FillStorage,
}

impl Order {
    /// The file that travels beside the JSON, where one does.
    pub fn content_mut(&mut self) -> Option<&mut Vec<u8>> {
        match self {
            Self::Lab(command) => command.content_mut(),
            _ => None,
        }
    }
}

/// What a link tells.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Message {
    /// The lab's program is on its way.
    Loading(Loading),
    /// The lab's program is there and waits for [`Order::Open`].
    Ready,
    /// The lab's program did not arrive or does not run here.
    Unreachable {
        /// How much of it arrived.
        loading: Loading,
        /// What the system said of it.
        detail: String,
    },
    /// The lab is open and computes on this.
    Opened(DeviceInfo),
    /// The lab said something.
    Lab(Event),
    /// How files are kept.
    Storage(StorageInfo),
    /// The worker lives, and uses this much memory.
    Alive {
        /// Bytes of its memory.
        memory: u64,
    },
    /// The browser let the worker wait for so long.
    Slept {
        /// Seconds.
        seconds: f64,
    },
    /// Everything is kept after [`Order::Close`].
    Closed,
    /// The lab is gone: its thread or worker stopped, or its device was lost.
    Lost {
        /// What happened.
        reason: Loss,
        /// What the system said of it.
        detail: String,
    },
}

impl Message {
    /// The file that travels beside the JSON, where one does.
    pub fn content_mut(&mut self) -> Option<&mut Vec<u8>> {
        match self {
            Self::Lab(event) => event.content_mut(),
            _ => None,
        }
    }
}

/// Why a lab is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Loss {
    /// The GPU was lost.
    Device,
    /// The program stopped.
    Panic,
    /// There was not enough memory.
    Memory,
    /// No sign of life for too long.
    Silence,
}

/// What a system's text about its end says of the reason, where it is more than a panic.
pub fn loss_of(text: &str) -> Option<Loss> {
    let text = text.to_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
    if says(&[
        "out of memory",
        "outofmemory",
        "memory allocation",
        "not enough memory",
    ]) {
        Some(Loss::Memory)
    } else if says(&[
        "poisoned",
        "device was lost",
        "device is lost",
        "device lost",
        "lost device",
    ]) {
        Some(Loss::Device)
    } else {
        None
    }
}

/// What a lab computes on.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct DeviceInfo {
    /// The badge: `GPU: <name>`, `Processor` or `Software GPU`.
    pub badge: String,
    /// What it is and why, in one line.
    pub description: String,
    /// Whether it is a GPU, be it played by the processor.
    pub gpu: bool,
    /// What was asked for.
    pub compute: Compute,
    /// What a person should know of the choice, where it is not what they may expect.
    pub note: Option<String>,
    /// Why that is so, in more words.
    pub why: Option<String>,
    /// Whether asking for a GPU again may find one.
    pub may_find_gpu: bool,
    /// Adapter, backend and limits, a pair each.
    pub details: Vec<(String, String)>,
}

/// How much of a download has arrived.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Loading {
    /// Bytes that arrived.
    pub loaded: f64,
    /// Bytes in all; 0 where that is unknown.
    pub total: f64,
}

/// How files are kept.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct StorageInfo {
    /// Where.
    pub place: Place,
    /// Bytes in use, where that is known.
    pub used: Option<f64>,
    /// Bytes that may be used, where that is known.
    pub quota: Option<f64>,
    /// Whether the browser promised not to clear them by itself.
    pub kept: bool,
    /// Whether another tab writes them.
    pub read_only: bool,
    /// Whether there is no room for more.
    pub full: bool,
    /// Whether files that were kept are gone.
    pub cleared: bool,
    /// How many files are kept.
    pub files: usize,
}

/// Where files are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// On disk.
    Disk,
    /// In the browser's file system of this site.
    Opfs,
    /// In the browser's database of this site.
    IndexedDb,
    /// Nowhere: they are gone when the page closes.
    #[default]
    Memory,
}

impl Place {
    /// What it is called.
    pub fn label(self) -> &'static str {
        match self {
            Self::Disk => "disk",
            Self::Opfs => "browser storage",
            Self::IndexedDb => "browser database",
            Self::Memory => "memory only",
        }
    }
}

/// What a link has carried.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Counters {
    /// Messages from the lab.
    pub messages: u64,
    /// Their bytes of JSON.
    pub bytes: u64,
    /// Bytes of files beside them.
    pub file_bytes: u64,
    /// Bytes of memory that the worker uses.
    pub memory: u64,
}

/// Where screens put what they want.
#[derive(Debug, Default)]
pub struct Desk {
    commands: Vec<Command>,
    asked: u64,
    imports: Vec<u64>,
}

impl Desk {
    /// Sends a command.
    pub fn send(&mut self, command: Command) {
        self.commands.push(command);
    }

    /// Asks something; the answer comes with this number, which is never 0.
    pub fn ask(&mut self, what: Request) -> u64 {
        self.asked += 1;
        self.send(Command::Ask {
            request: self.asked,
            what,
        });
        self.asked
    }

    /// Asks to take in a file that a person gave.
    pub fn import(&mut self, name: String, content: Vec<u8>) {
        let request = self.ask(Request::Import { name, content });
        self.imports.push(request);
    }

    /// Whether a request was to take in a file.
    pub fn was_import(&self, request: u64) -> bool {
        self.imports.contains(&request)
    }

    /// What was put there since the last time.
    pub fn take(&mut self) -> Vec<Command> {
        std::mem::take(&mut self.commands)
    }
}

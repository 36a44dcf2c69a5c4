//! The way to the lab.
//!
//! A [`Link`] is a lab on a device: a pinned thread natively, a worker in the browser. The [`Desk`] is what screens hold of
//! it: they send commands, ask questions, and find the answers among the events.

#[cfg_attr(target_family = "wasm", path = "browser.rs")]
#[cfg_attr(not(target_family = "wasm"), path = "native.rs")]
mod system;

use crossover::lab::{Command, Event, Request};

pub use system::Link;

/// What a link tells.
#[derive(Debug, Clone, PartialEq)]
pub enum Message {
    /// The lab is open and computes on this.
    Opened(DeviceInfo),
    /// The lab said something.
    Lab(Event),
    /// The lab is gone: its thread or worker stopped, or its device was lost.
    Lost {
        /// What happened.
        reason: Loss,
        /// What the system said of it.
        detail: String,
    },
}

/// Why a lab is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// The GPU was lost.
    Device,
    /// The program stopped.
    Panic,
    /// No sign of life for too long.
    Silence,
}

/// What a lab computes on.
#[derive(Debug, Clone, PartialEq, Default, serde::Serialize, serde::Deserialize)]
pub struct DeviceInfo {
    /// The badge: `GPU: <name>`, `Processor` or `Software GPU`.
    pub badge: String,
    /// What it is and why, in one line.
    pub description: String,
    /// Whether it is a GPU.
    pub gpu: bool,
    /// What a person should know of the choice, where it is not what they may expect.
    pub note: Option<String>,
    /// Adapter, backend and limits, a pair each.
    pub details: Vec<(String, String)>,
}

/// Where screens put what they want.
#[derive(Debug, Default)]
pub struct Desk {
    commands: Vec<Command>,
    asked: u64,
}

impl Desk {
    /// Sends a command.
    pub fn send(&mut self, command: Command) {
        self.commands.push(command);
    }

    /// Asks something; the answer comes with this number.
    pub fn ask(&mut self, what: Request) -> u64 {
        self.asked += 1;
        self.send(Command::Ask {
            request: self.asked,
            what,
        });
        self.asked
    }

    /// What was put there since the last time.
    pub fn take(&mut self) -> Vec<Command> {
        std::mem::take(&mut self.commands)
    }
}

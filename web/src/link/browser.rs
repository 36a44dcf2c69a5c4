//! A lab in a dedicated worker.

use crossover::device::DeviceChoice;
use crossover::lab::Command;

use super::Message;

/// A worker with a lab.
#[derive(Debug)]
pub struct Link {
    waiting: Vec<Message>,
}

impl Link {
    /// Opens a worker; `wake` is called when there is something to [`Link::poll`].
    pub fn open(choice: DeviceChoice, wake: impl Fn() + 'static) -> Self {
        let _ = (choice, wake);
        Self {
            waiting: Vec::new(),
        }
    }

    /// Sends a command.
    pub fn send(&mut self, command: Command) {
        let _ = command;
    }

    /// What came since the last time.
    pub fn poll(&mut self) -> Vec<Message> {
        std::mem::take(&mut self.waiting)
    }
}

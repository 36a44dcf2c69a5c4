//! A lab on a thread of this process.

use crossover::device::{Candidate, DeviceChoice, is_software_adapter, select};
use crossover::lab::{Command, Lab};
use crossover::platform;

use super::{DeviceInfo, Loss, Message};

/// A lab and its device.
#[derive(Debug)]
pub struct Link {
    lab: Option<Lab>,
    waiting: Vec<Message>,
}

impl Link {
    /// Opens a lab on a device; `wake` is called when there is something to [`Link::poll`].
    pub fn open(choice: DeviceChoice, wake: impl Fn() + Send + Sync + 'static) -> Self {
        let threads = platform::threads();
        match select(choice, &candidates(choice), threads) {
            Ok(device) => {
                let gpu = !device.is_processor();
                let info = DeviceInfo {
                    badge: if gpu { "GPU" } else { "Processor" }.to_owned(),
                    description: device.description.clone(),
                    gpu,
                    note: None,
                    details: Vec::new(),
                };
                let _ = wake;
                Self {
                    lab: Some(Lab::open(device)),
                    waiting: vec![Message::Opened(info)],
                }
            }
            Err(error) => Self {
                lab: None,
                waiting: vec![Message::Lost {
                    reason: Loss::Device,
                    detail: error.to_string(),
                }],
            },
        }
    }

    /// Sends a command.
    pub fn send(&mut self, command: Command) {
        if let Some(lab) = &self.lab {
            lab.send(command);
        }
    }

    /// What came since the last time.
    pub fn poll(&mut self) -> Vec<Message> {
        let mut messages = std::mem::take(&mut self.waiting);
        if let Some(lab) = &self.lab {
            while let Ok(event) = lab.events().try_recv() {
                messages.push(Message::Lab(event));
            }
        }
        messages
    }
}

fn candidates(choice: DeviceChoice) -> Vec<Candidate> {
    let mut found = Vec::new();
    #[cfg(feature = "wgpu")]
    if choice != DeviceChoice::Cpu {
        use burn::tensor::{Device, DeviceType};
        for device in Device::enumerate(DeviceType::Wgpu) {
            if let Some(identity) = device.identity() {
                found.push(Candidate {
                    choice: DeviceChoice::Wgpu,
                    software: is_software_adapter(&identity.name),
                    name: identity.name,
                    device,
                });
            }
        }
    }
    #[cfg(feature = "cpu")]
    found.push(Candidate {
        choice: DeviceChoice::Cpu,
        name: platform::processor().0,
        software: false,
        device: burn::tensor::Device::flex(),
    });
    found
}

//! The backends this binary was built with, and what they find on this machine.

use crossover::device::{Candidate, DeviceChoice, Selected, is_software_adapter, select};
use crossover::error::Result;

/// Every device that could be used. Looking for GPUs opens their drivers, so it is done only where `choice` may need one.
pub fn candidates(choice: DeviceChoice) -> Vec<Candidate> {
    let mut found = Vec::new();
    if choice != DeviceChoice::Cpu {
        found.extend(gpus());
    }
    found.extend(cpu());
    found
}

/// Picks the device of a command.
///
/// # Errors
/// When this build or machine has none of the kind asked for.
pub fn choose(asked: Option<&str>) -> Result<Selected> {
    let choice = asked.map_or(Ok(DeviceChoice::Auto), str::parse)?;
    select(choice, &candidates(choice))
}

#[cfg(feature = "cpu")]
fn cpu() -> Option<Candidate> {
    Some(Candidate {
        choice: DeviceChoice::Cpu,
        name: crossover::platform::processor().0,
        software: false,
        device: burn::tensor::Device::flex(),
    })
}

#[cfg(not(feature = "cpu"))]
fn cpu() -> Option<Candidate> {
    None
}

#[cfg(feature = "wgpu")]
fn gpus() -> Vec<Candidate> {
    use burn::tensor::{Device, DeviceType};

    Device::enumerate(DeviceType::Wgpu)
        .into_iter()
        .filter_map(|device| {
            let name = device.identity()?.name;
            Some(Candidate {
                choice: DeviceChoice::Wgpu,
                software: is_software_adapter(&name),
                name,
                device,
            })
        })
        .collect()
}

#[cfg(not(feature = "wgpu"))]
fn gpus() -> Vec<Candidate> {
    Vec::new()
}

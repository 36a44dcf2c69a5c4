//! The backends this binary was built with, and what they find on this machine.

use crossover::device::{Candidate, DeviceChoice, Selected, select};
use crossover::error::{Error, Result};
use crossover::platform;

use crate::arguments::CommonArguments;
use crate::distributed;

/// Every device that could be used. Looking for GPUs opens their drivers, so it is done only where `choice` may need one.
pub fn candidates(choice: DeviceChoice) -> Vec<Candidate> {
    let mut found = Vec::new();
    if choice != DeviceChoice::Cpu {
        found.extend(gpus());
    }
    found.extend(cpu());
    found
}

/// Picks the device of a command, and gives the processor its number of threads. Must come before the first tensor.
///
/// # Errors
/// When this build or machine has none of the kind asked for, or the number of threads is 0.
pub fn choose(asked: &CommonArguments) -> Result<Selected> {
    let choice = asked
        .device
        .as_deref()
        .map_or(Ok(DeviceChoice::Auto), str::parse)?;
    let threads = asked.threads.unwrap_or_else(platform::threads);
    if threads == 0 {
        return Err(Error::input("`--threads` is 0").with_hint("give at least 1"));
    }
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build_global()
        .map_err(|error| Error::work("can't start the worker threads").with_source(error))?;
    select(choice, &candidates(choice), threads)
}

/// Picks the device of a run, which several processes may train together if they were started so.
///
/// # Errors
/// Those of [`choose`], and when there are other processes that can't be reached.
pub fn choose_together(asked: &CommonArguments) -> Result<Selected> {
    let ranks = distributed::join()?;
    Ok(Selected {
        ranks: ranks.clone(),
        ..ranks.agree(choose(asked))?
    })
}

#[cfg(feature = "cpu")]
fn cpu() -> Option<Candidate> {
    Some(Candidate {
        choice: DeviceChoice::Cpu,
        name: platform::processor().0,
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
    use crossover::device::is_software_adapter;

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

//! What operations are tried on.

use burn::tensor::Device;
use crossover::device::{DeviceChoice, Selected};
use crossover::ranks::Ranks;

/// The processor, as one of some ranks.
pub fn cpu(ranks: Ranks) -> Selected {
    Selected {
        device: Device::flex(),
        choice: DeviceChoice::Cpu,
        threads: 2,
        description: "the processor".to_owned(),
        ranks,
    }
}

/// The processor, and a GPU where one is asked for.
pub fn devices() -> Vec<Selected> {
    let mut devices = vec![cpu(Ranks::alone())];
    devices.extend(gpu());
    devices
}

#[cfg(feature = "gpu")]
fn gpu() -> Option<Selected> {
    let Ok(name) = std::env::var("BURN_DEVICE") else {
        eprintln!("the processor only: set BURN_DEVICE=wgpu, cuda or vulkan where there is one");
        return None;
    };
    Some(Selected {
        // burn takes the one that the variable names.
        device: Device::default(),
        choice: name.parse().expect("BURN_DEVICE is one of ours"),
        threads: 1,
        description: format!("{name} on a GPU"),
        ranks: Ranks::alone(),
    })
}

#[cfg(not(feature = "gpu"))]
fn gpu() -> Option<Selected> {
    None
}

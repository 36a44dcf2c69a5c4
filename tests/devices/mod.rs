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
    use burn::tensor::DeviceType;

    if std::env::var_os("CROSSOVER_TEST_WGPU").is_none_or(|value| value != "1") {
        eprintln!("the processor only: set CROSSOVER_TEST_WGPU=1 where there is a Vulkan driver");
        return None;
    }
    let found = Device::enumerate(DeviceType::Wgpu).into_iter().next();
    Some(Selected {
        device: found.expect("a Vulkan driver has a device"),
        choice: DeviceChoice::Wgpu,
        threads: 1,
        description: "wgpu on a GPU".to_owned(),
        ranks: Ranks::alone(),
    })
}

#[cfg(not(feature = "gpu"))]
fn gpu() -> Option<Selected> {
    None
}

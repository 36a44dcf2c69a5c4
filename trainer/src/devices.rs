//! The backends this binary was built with, and what they find on this machine.

use burn::tensor::Device;
use crossover::device::{Candidate, DeviceChoice, Selected, select};
use crossover::error::{Error, Result};
use crossover::platform;

use crate::arguments::CommonArguments;
use crate::distributed::{self, EngineChoice};
#[cfg(feature = "cuda")]
use crate::machine::{Look, Machine};

/// Switches off Mesa's Vulkan layer that asks the desktop which GPU it prefers, where there is no desktop: its Wayland library would
/// print lines of its own that begin with "error:". Called before any thread runs.
#[expect(unsafe_code, reason = "the layer listens to the environment alone")]
pub fn expect_no_desktop() {
    if std::env::var_os("XDG_RUNTIME_DIR").is_none() {
        // SAFETY: no other thread runs yet.
        unsafe { std::env::set_var("NODEVICE_SELECT", "1") }
    }
}

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
    choose_as(asked, 0)
}

/// The same for one of several processes on this machine, by its number.
fn choose_as(asked: &CommonArguments, local_rank: usize) -> Result<Selected> {
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
    select(
        choice,
        &each_its_own(candidates(choice), local_rank),
        threads,
    )
}

/// Puts the CUDA device that this process on its machine takes before the others: with as many of them as processes, each has
/// one of its own.
fn each_its_own(mut candidates: Vec<Candidate>, local_rank: usize) -> Vec<Candidate> {
    let is_cuda = |candidate: &Candidate| candidate.choice == DeviceChoice::Cuda;
    let devices = candidates
        .iter()
        .filter(|candidate| is_cuda(candidate))
        .count();
    if let Some(first) = candidates.iter().position(is_cuda) {
        candidates[first..first + devices].rotate_left(local_rank % devices);
    }
    candidates
}

/// Picks the device of a run, which several processes may train together if they were started so, and connects their devices by
/// the engine that `--engine` names.
///
/// # Errors
/// Those of [`choose`], and when there are other processes or an engine that can't be reached.
pub fn choose_together(asked: &CommonArguments, engine: Option<EngineChoice>) -> Result<Selected> {
    let ranks = distributed::join()?;
    let local_rank = distributed::local_rank();
    let device = ranks.agree(choose_as(asked, local_rank))?;
    distributed::connect(engine.unwrap_or_default(), &ranks, device)
}

#[cfg(feature = "cpu")]
fn cpu() -> Option<Candidate> {
    Some(Candidate {
        choice: DeviceChoice::Cpu,
        name: platform::processor().0,
        software: false,
        device: Device::flex(),
    })
}

#[cfg(not(feature = "cpu"))]
fn cpu() -> Option<Candidate> {
    None
}

/// Every GPU, through each way to it that this build has; the first real one is what `auto` takes.
fn gpus() -> Vec<Candidate> {
    let mut found = cuda();
    found.extend(wgpu());
    found.extend(vulkan());
    found
}

/// GPUs through CUDA, where a kernel can be compiled too: burn panics at the first one that can't.
#[cfg(feature = "cuda")]
fn cuda() -> Vec<Candidate> {
    let machine = Machine::here();
    let (_, driver) = machine.driver();
    let needs = [machine.nvrtc(driver), machine.headers()];
    if needs.iter().any(|look| matches!(look, Look::Missing(_))) {
        return Vec::new();
    }
    through(DeviceChoice::Cuda, burn::tensor::DeviceType::Cuda)
}

#[cfg(not(feature = "cuda"))]
fn cuda() -> Vec<Candidate> {
    Vec::new()
}

#[cfg(feature = "wgpu")]
fn wgpu() -> Vec<Candidate> {
    through(DeviceChoice::Wgpu, burn::tensor::DeviceType::Wgpu)
}

#[cfg(not(feature = "wgpu"))]
fn wgpu() -> Vec<Candidate> {
    Vec::new()
}

/// GPUs through Vulkan. Software ones are left out: Mesa's crashes on SPIR-V kernels.
#[cfg(feature = "vulkan")]
fn vulkan() -> Vec<Candidate> {
    let mut found = through(DeviceChoice::Vulkan, burn::tensor::DeviceType::Vulkan);
    found.retain(|candidate| !candidate.software);
    found
}

#[cfg(not(feature = "vulkan"))]
fn vulkan() -> Vec<Candidate> {
    Vec::new()
}

#[cfg(any(feature = "cuda", feature = "wgpu", feature = "vulkan"))]
fn through(choice: DeviceChoice, kind: burn::tensor::DeviceType) -> Vec<Candidate> {
    use crossover::device::is_software_adapter;

    Device::enumerate(kind)
        .into_iter()
        .filter_map(|device| {
            let name = device.identity()?.name;
            Some(Candidate {
                choice,
                software: is_software_adapter(&name),
                name,
                device,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(feature = "cpu")]
    #[test]
    fn each_process_takes_a_cuda_device_of_its_own_as_far_as_they_go() {
        let candidate = |choice, name: &str| Candidate {
            choice,
            name: name.to_owned(),
            software: false,
            device: Device::flex(),
        };
        let all = || {
            vec![
                candidate(DeviceChoice::Cuda, "first"),
                candidate(DeviceChoice::Cuda, "second"),
                candidate(DeviceChoice::Wgpu, "first again"),
                candidate(DeviceChoice::Cpu, "processor"),
            ]
        };
        let taken = |choice, local_rank| {
            let selected = select(choice, &each_its_own(all(), local_rank), 1);
            selected.expect("one of each").description
        };
        for choice in [DeviceChoice::Auto, DeviceChoice::Cuda] {
            for (local_rank, name) in [(0, "first"), (1, "second"), (2, "first")] {
                let taken = taken(choice, local_rank);
                assert!(taken.starts_with(&format!("cuda on {name} ")), "{taken}");
            }
        }
        assert!(taken(DeviceChoice::Cpu, 1).contains("processor"));
        let none = vec![candidate(DeviceChoice::Cpu, "processor")];
        assert_eq!(each_its_own(none, 3).len(), 1);
    }
}

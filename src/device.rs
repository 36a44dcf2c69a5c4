//! What a run computes on. Front ends know which backends they were built with and offer candidates; the rule that
//! picks one lives here, so that every front end picks alike and can say why.

use std::fmt;
use std::str::FromStr;

use burn::tensor::Device;

use crate::error::{Error, Result, nearest};
use crate::ranks::Ranks;

/// What the user asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DeviceChoice {
    /// A real GPU if there is one, else the processor.
    #[default]
    Auto,
    /// The processor.
    Cpu,
    /// A GPU through wgpu, software adapters included.
    Wgpu,
    /// A GPU through Vulkan with SPIR-V kernels.
    Vulkan,
    /// An NVIDIA GPU through CUDA.
    Cuda,
}

impl DeviceChoice {
    const ALL: [(&'static str, Self); 5] = [
        ("auto", Self::Auto),
        ("cpu", Self::Cpu),
        ("wgpu", Self::Wgpu),
        ("vulkan", Self::Vulkan),
        ("cuda", Self::Cuda),
    ];
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, _) = Self::ALL[*self as usize];
        formatter.write_str(name)
    }
}

impl FromStr for DeviceChoice {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL
            .iter()
            .find(|(name, _)| *name == text)
            .map(|(_, choice)| *choice)
            .ok_or_else(|| {
                let error = Error::input(format!("there is no device `{text}`"));
                match nearest(text, Self::ALL.map(|(name, _)| name)) {
                    Some(near) => error.with_hint(format!("did you mean `{near}`?")),
                    None => error.with_hint("one of auto, cpu, wgpu, vulkan, cuda"),
                }
            })
    }
}

/// A device that could be used.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// Which choice asks for it.
    pub choice: DeviceChoice,
    /// Its name, as its driver gives it.
    pub name: String,
    /// Whether it is a processor that plays a GPU (llvmpipe, SwiftShader).
    pub software: bool,
    /// The handle.
    pub device: Device,
}

/// The device of a run, and why it was taken.
#[derive(Debug, Clone)]
pub struct Selected {
    /// The handle, without autodiff.
    pub device: Device,
    /// What to ask for to get it again.
    pub choice: DeviceChoice,
    /// Threads of the processor that the run may use.
    pub threads: usize,
    /// What it is and why, in one line.
    pub description: String,
    /// The processes that compute together, each on a device of its own.
    pub ranks: Ranks,
}

impl Selected {
    /// Whether it is the processor itself: a value is there by the time it can be asked for, and several threads can
    /// compute at once.
    pub fn is_processor(&self) -> bool {
        self.choice == DeviceChoice::Cpu
    }
}

/// Picks one of the candidates; `threads` of the processor may be used.
///
/// # Errors
/// When what was asked for is not among them.
pub fn select(choice: DeviceChoice, candidates: &[Candidate], threads: usize) -> Result<Selected> {
    let of = |wanted: DeviceChoice| {
        candidates
            .iter()
            .filter(move |candidate| candidate.choice == wanted)
    };
    let (candidate, reason) = match choice {
        DeviceChoice::Auto => {
            let gpu = candidates
                .iter()
                .find(|candidate| candidate.choice != DeviceChoice::Cpu && !candidate.software);
            match gpu {
                Some(gpu) => (Some(gpu), "a real GPU"),
                None => (of(DeviceChoice::Cpu).next(), "no GPU found"),
            }
        }
        // A real adapter before a software one.
        named => (
            of(named).min_by_key(|candidate| candidate.software),
            "as asked",
        ),
    };
    candidate
        .map(|candidate| Selected {
            device: candidate.device.clone(),
            choice: candidate.choice,
            threads,
            description: format!("{} on {} ({reason})", candidate.choice, candidate.name),
            ranks: Ranks::alone(),
        })
        .ok_or_else(|| {
            let offered: Vec<String> = candidates
                .iter()
                .map(|candidate| format!("{} ({})", candidate.choice, candidate.name))
                .collect();
            Error::input(format!("this build or machine offers no `{choice}` device")).with_hint(
                format!(
                    "available here: {}; `crossover doctor` says more",
                    offered.join(", ")
                ),
            )
        })
}

/// Whether an adapter's name is that of a processor playing a GPU.
pub fn is_software_adapter(name: &str) -> bool {
    let name = name.to_lowercase();
    [
        "llvmpipe",
        "lavapipe",
        "swiftshader",
        "basic render",
        "softpipe",
    ]
    .iter()
    .any(|software| name.contains(software))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(choice: DeviceChoice, name: &str) -> Candidate {
        Candidate {
            choice,
            name: name.to_owned(),
            software: is_software_adapter(name),
            device: Device::flex(),
        }
    }

    #[test]
    fn auto_prefers_a_real_gpu_and_never_takes_a_software_one() {
        let cpu = candidate(DeviceChoice::Cpu, "EPYC");
        let llvmpipe = candidate(DeviceChoice::Wgpu, "llvmpipe (LLVM 15)");
        let real = candidate(DeviceChoice::Wgpu, "Radeon");
        let chosen = select(DeviceChoice::Auto, &[llvmpipe.clone(), cpu.clone()], 2);
        assert!(
            chosen.is_ok_and(|chosen| chosen.choice == DeviceChoice::Cpu
                && chosen.description.contains("no GPU"))
        );
        let chosen = select(
            DeviceChoice::Auto,
            &[cpu, llvmpipe.clone(), real.clone()],
            2,
        );
        assert!(chosen.is_ok_and(|chosen| chosen.description.contains("Radeon")));
        let chosen = select(DeviceChoice::Wgpu, &[llvmpipe, real], 2);
        assert!(chosen.is_ok_and(|chosen| chosen.description.contains("Radeon")));
    }

    #[test]
    fn a_missing_device_names_what_there_is() {
        let error = select(
            DeviceChoice::Cuda,
            &[candidate(DeviceChoice::Cpu, "EPYC")],
            2,
        )
        .expect_err("no CUDA here");
        assert!(error.hint().is_some_and(|hint| hint.contains("EPYC")));
    }
}

//! `doctor`: what this machine offers and lacks, and how to get each.

use anyhow::Result;
use crossover::device::{Candidate, DeviceChoice, select};
use crossover::platform;
use crossover::train::MixedPrecision;
use serde::Serialize;

use crate::arguments::DoctorArguments;
use crate::commands::{print_json, print_text};
use crate::devices;
use crate::machine::{CudaVersion, Look, Machine};

#[derive(Serialize)]
struct Finding {
    event: &'static str,
    what: &'static str,
    present: bool,
    detail: String,
    needed_for: &'static str,
    /// How to get it, where it is missing.
    remedy: Option<String>,
}

impl Finding {
    fn new(
        what: &'static str,
        present: bool,
        detail: impl Into<String>,
        needed_for: &'static str,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            event: "finding",
            what,
            present,
            detail: detail.into(),
            needed_for,
            remedy: (!present).then(|| remedy.into()),
        }
    }

    fn of(
        what: &'static str,
        look: Look,
        needed_for: &'static str,
        remedy: impl Into<String>,
    ) -> Self {
        let (present, detail) = match look {
            Look::Found(detail) => (true, detail),
            Look::Missing(detail) => (false, detail),
        };
        Self::new(what, present, detail, needed_for, remedy)
    }

    /// Lines of a table.
    fn text(&self) -> String {
        let mark = if self.present { "found" } else { "missing" };
        let mut text = format!("{:<13}{mark:<9}{}\n", self.what, self.detail);
        let mut more = |label: &str, said: &str| text += &format!("{:<22}{label} {said}\n", "");
        more("for:", self.needed_for);
        if let Some(remedy) = &self.remedy {
            more("get it:", remedy);
        }
        text
    }
}

/// Looks and prints. Nothing that is missing is an error.
pub fn run(arguments: &DoctorArguments) -> Result<()> {
    let mut findings = devices();
    findings.extend(cluster(&Machine::here()));
    for finding in &findings {
        match arguments.common.json {
            true => print_json(finding)?,
            false => print_text(&finding.text())?,
        }
    }
    Ok(())
}

/// What a run can compute on.
fn devices() -> Vec<Finding> {
    let (name, threads) = platform::processor();
    let candidates = devices::candidates(DeviceChoice::Auto);
    let gpus: Vec<&str> = candidates
        .iter()
        .filter(|candidate| candidate.choice != DeviceChoice::Cpu && !candidate.software)
        .map(|candidate| candidate.name.as_str())
        .collect();
    let software: Vec<&str> = candidates
        .iter()
        .filter(|candidate| candidate.software)
        .map(|candidate| candidate.name.as_str())
        .collect();
    let none_or = |names: &[&str]| match names {
        [] => "none found".to_owned(),
        names => names.join(", "),
    };
    let auto = match select(DeviceChoice::Auto, &candidates, threads) {
        Ok(selected) => selected.description,
        Err(error) => error.to_string(),
    };
    vec![
        Finding::new(
            "cpu",
            cfg!(feature = "cpu"),
            format!("{name}, {threads} threads{}", simd()),
            "training and writing without a GPU",
            "build with `--features cpu`",
        ),
        Finding::new(
            "wgpu",
            cfg!(feature = "wgpu"),
            "GPUs through Vulkan, Metal or DirectX 12",
            "`--device wgpu`: GPUs of every maker",
            "build with `--features wgpu`",
        ),
        Finding::new(
            "gpu",
            !gpus.is_empty(),
            none_or(&gpus),
            "training larger models",
            "install the GPU's driver (`apt-get install mesa-vulkan-drivers`, or NVIDIA's own); without one the \
             processor trains",
        ),
        Finding::new(
            "software",
            !software.is_empty(),
            match software.as_slice() {
                [] => "no software GPU".to_owned(),
                names => format!("{} (never chosen by `auto`)", names.join(", ")),
            },
            "tests of GPU code, nothing else",
            "`apt-get install mesa-vulkan-drivers`",
        ),
        Finding::new(
            "cuda",
            cfg!(feature = "cuda"),
            in_build(cfg!(feature = "cuda")),
            "`--device cuda`: NVIDIA GPUs by kernels compiled for them; the lines below say what it needs",
            "build with `--features cuda`; NVIDIA GPUs work through `--device wgpu` too",
        ),
        Finding::new(
            "vulkan",
            cfg!(feature = "vulkan"),
            in_build(cfg!(feature = "vulkan")),
            "`--device vulkan`: GPUs by SPIR-V kernels",
            "build with `--features vulkan`; the same GPUs work through `--device wgpu`",
        ),
        Finding::new(
            "precision",
            true,
            precisions(&candidates),
            "`--precision`: products of halves are quicker on GPUs that have them",
            "",
        ),
        Finding::new("auto", true, auto, "`--device auto`, the default", ""),
    ]
}

/// What each device can train in; software GPUs aren't opened for that.
fn precisions(candidates: &[Candidate]) -> String {
    let real = candidates.iter().filter(|candidate| !candidate.software);
    let each = real.map(|Candidate { choice, device, .. }| {
        let names = MixedPrecision::offered_by(device).into_iter();
        let names = names.map(|precision| match precision.is_emulated_on(device) {
            true => format!("{} (emulated)", precision.name()),
            false => precision.name().to_owned(),
        });
        format!("{choice}: {}", names.collect::<Vec<_>>().join(", "))
    });
    each.collect::<Vec<_>>().join("; ")
}

fn in_build(is: bool) -> &'static str {
    match is {
        true => "in this build",
        false => "not in this build",
    }
}

/// What CUDA and runs of several processes need beside this program.
fn cluster(machine: &Machine) -> Vec<Finding> {
    let (driver, cuda) = machine.driver();
    let wheels = Wheels::for_driver(cuda);
    vec![
        Finding::of(
            "driver",
            driver,
            "`--device cuda`, and NVIDIA GPUs through `--device wgpu`",
            "`apt-get install nvidia-driver` (Ubuntu: `ubuntu-drivers install`), release 580 or newer; in a container, \
             NVIDIA's container toolkit and `--gpus all`",
        ),
        Finding::of(
            "nvrtc",
            machine.nvrtc(cuda),
            "`--device cuda`: kernels are compiled when they are first used",
            wheels.remedy(),
        ),
        Finding::of(
            "headers",
            machine.headers(),
            "`--device cuda`: what compiled kernels include",
            wheels.remedy(),
        ),
        Finding::of(
            "nccl",
            machine.nccl(),
            match cfg!(feature = "nccl") {
                true => "`--engine nccl`: gradients go from GPU to GPU, and not through the hosts",
                false => {
                    "gradients that go from GPU to GPU, in a build with `--features nccl`; this one sends them through the hosts"
                }
            },
            wheels.nccl(),
        ),
        Finding::of(
            "mpi",
            machine.mpirun(),
            "runs of several processes or machines",
            "`apt-get install openmpi-bin`; on a cluster `module load openmpi`",
        ),
        Finding::of(
            "mpi-build",
            machine.mpi_development(),
            "building a `crossover` that runs over MPI",
            "`apt-get install libopenmpi-dev libclang-dev`",
        ),
    ]
}

/// Where NVRTC and headers come from: the same release as the driver's CUDA, or an older one.
struct Wheels {
    major: u32,
    minor: u32,
}

impl Wheels {
    /// The release whose wheels keep everything below one folder, as a toolkit does; those of 12 don't.
    const FIRST: CudaVersion = (13, 0);

    fn for_driver(driver: Option<CudaVersion>) -> Self {
        let (major, minor) = driver.unwrap_or(Self::FIRST);
        Self { major, minor }
    }

    fn remedy(&self) -> String {
        let Self { major, minor } = self;
        let toolkit =
            format!("`apt-get install cuda-toolkit-{major}-{minor}` from NVIDIA's repository");
        if (*major, *minor) < Self::FIRST {
            return format!(
                "{toolkit}; with driver release 580 or newer, wheels from PyPI do as well"
            );
        }
        let packages = ["nvrtc", "runtime", "crt", "cccl"]
            .map(|part| format!("'nvidia-cuda-{part}~={major}.{minor}.0'"))
            .join(" ");
        format!(
            "`pip install --target DIR {packages}`, then `export CUDA_PATH=DIR/nvidia/cu{major} \
             LD_LIBRARY_PATH=DIR/nvidia/cu{major}/lib`; or {toolkit}"
        )
    }

    fn nccl(&self) -> String {
        let major = self.major;
        format!(
            "`pip install --target DIR nvidia-nccl-cu{major}`, then in `DIR/nvidia/nccl/lib` `ln -s libnccl.so.2 \
             libnccl.so`, and that folder in `LD_LIBRARY_PATH`; or `apt-get install libnccl-dev` from NVIDIA's repository"
        )
    }
}

/// The vector instructions that the processor backend can use.
fn simd() -> &'static str {
    #[cfg(target_arch = "x86_64")]
    {
        if std::arch::is_x86_feature_detected!("avx512f") {
            return ", AVX-512";
        }
        if std::arch::is_x86_feature_detected!("avx2") {
            return ", AVX2";
        }
    }
    ""
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wheels_follow_the_driver() {
        let remedy = |driver| Wheels::for_driver(driver).remedy();
        for driver in [None, Some((13, 0))] {
            assert!(remedy(driver).contains("'nvidia-cuda-nvrtc~=13.0.0'"));
        }
        assert!(remedy(Some((13, 2))).contains("'nvidia-cuda-crt~=13.2.0'"));
        let old = remedy(Some((12, 8)));
        assert!(
            old.contains("cuda-toolkit-12-8") && !old.contains("pip"),
            "{old}"
        );
    }
}

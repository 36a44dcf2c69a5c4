//! `doctor`: what this machine offers and lacks, and how to get each.

use anyhow::Result;
use crossover::device::{DeviceChoice, select};
use crossover::platform;
use serde::Serialize;

use crate::arguments::DoctorArguments;
use crate::commands::{print_json, print_text};
use crate::devices;

#[derive(Serialize)]
struct Finding {
    event: &'static str,
    what: &'static str,
    present: bool,
    detail: String,
    /// How to get it, where it is missing.
    remedy: Option<String>,
}

/// Looks and prints.
pub fn run(arguments: &DoctorArguments) -> Result<()> {
    let findings = findings();
    for finding in &findings {
        if arguments.common.json {
            print_json(finding)?;
            continue;
        }
        let mark = if finding.present { "yes" } else { "no " };
        let mut line = format!("{:<10} {mark}  {}\n", finding.what, finding.detail);
        if let Some(remedy) = &finding.remedy {
            line += &format!("{:<10}      {remedy}\n", "");
        }
        print_text(&line)?;
    }
    Ok(())
}

fn findings() -> Vec<Finding> {
    let finding = |what, present, detail: String, remedy: &str| Finding {
        event: "finding",
        what,
        present,
        detail,
        remedy: (!present).then(|| remedy.to_owned()),
    };
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
        finding(
            "cpu",
            cfg!(feature = "cpu"),
            format!("{name}, {threads} threads{}", simd()),
            "build with `--features cpu`",
        ),
        finding(
            "wgpu",
            cfg!(feature = "wgpu"),
            "GPUs through Vulkan, Metal or DirectX 12".to_owned(),
            "build with `--features wgpu`",
        ),
        finding(
            "gpu",
            !gpus.is_empty(),
            none_or(&gpus),
            "install the GPU's driver (on Debian `mesa-vulkan-drivers`, or NVIDIA's own); without one the processor trains",
        ),
        finding(
            "software",
            !software.is_empty(),
            match software.as_slice() {
                [] => "no software GPU".to_owned(),
                names => format!("{} (never chosen by `auto`)", names.join(", ")),
            },
            "only tests need one: `apt-get install mesa-vulkan-drivers`",
        ),
        finding(
            "cuda",
            false,
            "not in this build".to_owned(),
            "NVIDIA GPUs work through `--device wgpu`; CUDA comes with a later version",
        ),
        finding("auto", true, auto, ""),
    ]
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

//! Everything that must hold before a change lands, in the order that fails fastest.

use std::path::Path;

use anyhow::Result;

use crate::{command, step};

/// The software Vulkan driver's manifest, on Debian.
const SOFTWARE_VULKAN: &str = "/usr/share/vulkan/icd.d/lvp_icd.x86_64.json";

/// What a browser build turns on; the library itself asks for no backend.
const BROWSER: &str = "burn/wgpu,burn/flex,burn/simd";

pub fn run() -> Result<()> {
    step(command("cargo", &["fmt", "--all", "--check"]))?;
    step(command(
        "rustup",
        &["target", "add", "wasm32-unknown-unknown"],
    ))?;
    let software_vulkan = install_software_vulkan();

    let deny = ["--", "-D", "warnings"];
    let native = ["clippy", "--locked", "--workspace", "--all-targets"];
    step(command("cargo", &[&native[..], &deny].concat()))?;
    let processor_only = [
        "clippy",
        "--locked",
        "-p",
        "crossover-trainer",
        "--no-default-features",
        "--features",
        "cpu",
    ];
    step(command("cargo", &[&processor_only[..], &deny].concat()))?;
    let browser = [
        "clippy",
        "--locked",
        "-p",
        "crossover",
        "--lib",
        "--target",
        "wasm32-unknown-unknown",
        "--features",
        BROWSER,
    ];
    step(command("cargo", &[&browser[..], &deny].concat()))?;

    let mut tests = command("cargo", &["test", "--locked", "--workspace"]);
    if software_vulkan {
        // With the driver there, a test that finds no adapter fails instead of skipping.
        tests
            .env("VK_ICD_FILENAMES", SOFTWARE_VULKAN)
            .env("CROSSOVER_TEST_WGPU", "1");
    } else {
        eprintln!(
            "    skipping the wgpu tests: no software Vulkan driver (`apt-get install mesa-vulkan-drivers`)"
        );
    }
    step(tests)
}

/// Makes sure that software Vulkan is there, where it can be installed.
fn install_software_vulkan() -> bool {
    let present = || Path::new(SOFTWARE_VULKAN).exists();
    if !present() {
        let installed = step(command("apt-get", &["update", "-qq"])).and_then(|()| {
            step(command(
                "apt-get",
                &["install", "-y", "-qq", "mesa-vulkan-drivers", "libvulkan1"],
            ))
        });
        if let Err(error) = installed {
            eprintln!("    {error:#}");
        }
    }
    present()
}

//! Everything that must hold before a change lands, in the order that fails fastest.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::{command, step};

/// The software Vulkan driver's manifest, on Debian.
const SOFTWARE_VULKAN: &str = "/usr/share/vulkan/icd.d/lvp_icd.x86_64.json";

const WASM: &str = "wasm32-unknown-unknown";

/// What a browser build turns on; the library itself asks for no backend.
const BROWSER: &str = "burn/wgpu,burn/flex,burn/simd";

pub fn run() -> Result<()> {
    step(command("cargo", &["fmt", "--all", "--check"]))?;
    step(command("rustup", &["target", "add", WASM]))?;
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
        WASM,
        "--features",
        BROWSER,
    ];
    step(command("cargo", &[&browser[..], &deny].concat()))?;

    let mut tests = command("cargo", &["test", "--locked", "--workspace"]);
    if command("node", &["--version"]).output().is_ok() {
        tests.env("CROSSOVER_TEST_WASM", wasm_probe()?);
    } else {
        eprintln!("    skipping tokenizers and samplers in wasm: no `node`");
    }
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

/// Builds the library for wasm, without any backend, and links what the tests in `tests/wasm` ask of it.
///
/// Not a package of the workspace: that would be built natively too, each time.
fn wasm_probe() -> Result<PathBuf> {
    let library = ["build", "--locked", "-p", "crossover", "--lib"];
    let wasm = ["--target", WASM];
    // A third of the time: nothing here is worth optimizing.
    let quickly = ["--config", "profile.dev.package.\"*\".opt-level=0"];
    step(command("cargo", &[&library[..], &wasm, &quickly].concat()))?;

    // This program is in `debug` of cargo's target directory.
    let program = std::env::current_exe()?;
    let native = program.parent().context("a program is in a folder")?;
    let target = native
        .parent()
        .context("cargo has a target directory")?
        .join(WASM);
    let probe = target.join("probe.wasm");
    let mut link = command("rustc", &["tests/wasm/probe.rs", "--edition", "2024"]);
    link.args(["--crate-type", "cdylib", "-C", "strip=debuginfo", "-o"])
        .arg(&probe)
        .args(wasm)
        .arg("--extern")
        .arg(format!(
            "crossover={}",
            target.join("debug/libcrossover.rlib").display()
        ));
    for dependencies in [target.join("debug/deps"), native.join("deps")] {
        link.arg("-L")
            .arg(format!("dependency={}", dependencies.display()));
    }
    step(link)?;
    Ok(probe)
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

//! Everything that must hold before a change lands, in the order that fails fastest.

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::web::wasm::{self, WASM};
use crate::{browser, command, step, target, web};

/// The software Vulkan driver's manifest, on Debian.
const SOFTWARE_VULKAN: &str = "/usr/share/vulkan/icd.d/lvp_icd.x86_64.json";

/// What is checked and tested: every backend, CUDA too, which a machine without it only compiles and finds no device of; and
/// several processes where there is MPI, with NCCL between their CUDA devices. Tests that asked for anything else would build all dependencies anew.
pub fn features() -> &'static str {
    match has_mpi() {
        true => "--features=crossover-trainer/nccl",
        false => "--features=crossover-trainer/cuda",
    }
}

fn has_mpi() -> bool {
    let is_there = |program| command(program, &["--version"]).output().is_ok();
    is_there("mpicc") && is_there("mpirun")
}

pub fn run() -> Result<()> {
    step(command("cargo", &["fmt", "--all", "--check"]))?;
    step(command("rustup", &["target", "add", WASM]))?;
    let software_vulkan = install(
        || Path::new(SOFTWARE_VULKAN).exists(),
        &["mesa-vulkan-drivers", "libvulkan1"],
    );
    let display = install(
        || {
            ["/usr/bin/Xvfb", "/usr/bin/xdotool"]
                .iter()
                .all(|path| Path::new(path).exists())
        },
        &["xvfb", "xdotool", "libegl1", "libgl1-mesa-dri"],
    );

    if !install(has_mpi, &["libopenmpi-dev", "openmpi-bin", "libclang-dev"]) {
        eprintln!(
            "    skipping runs of several processes: no MPI (`apt-get install libopenmpi-dev openmpi-bin libclang-dev`)"
        );
    }
    let features = features();

    let deny = ["--", "-D", "warnings"];
    let native = [
        "clippy",
        "--locked",
        "--workspace",
        "--all-targets",
        features,
    ];
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
        "crossover-web",
        "--bins",
        "--target",
        WASM,
    ];
    step(command("cargo", &[&browser[..], &deny].concat()))?;

    wasm::build()?;
    web::assemble(false)?;

    let mut tests = command("cargo", &["test", "--locked", "--workspace", features]);
    if command("node", &["--version"]).output().is_ok() {
        tests.env("CROSSOVER_TEST_WASM", wasm_probe()?);
    } else {
        eprintln!("    skipping tokenizers and samplers in wasm: no `node`");
    }
    if software_vulkan {
        // With the driver there, a test that finds no adapter fails instead of skipping.
        tests
            .env("VK_ICD_FILENAMES", SOFTWARE_VULKAN)
            .env("BURN_DEVICE", "wgpu");
    } else {
        eprintln!(
            "    skipping the wgpu tests: no software Vulkan driver (`apt-get install mesa-vulkan-drivers`)"
        );
    }
    if display {
        tests.env("CROSSOVER_TEST_WINDOW", "1");
    } else {
        eprintln!(
            "    skipping the native window: no display in memory (`apt-get install xvfb xdotool`)"
        );
    }
    step(tests)?;
    browser::run()
}

/// Links what the tests in `tests/wasm` ask of the library that browsers run.
///
/// Not a package of the workspace: that would be built natively too, each time.
fn wasm_probe() -> Result<PathBuf> {
    let built = wasm::built()?;
    let probe = built.join("probe.wasm");
    let mut link = command("rustc", &["tests/wasm/probe.rs", "--edition", "2024"]);
    link.args(["--crate-type", "cdylib", "--target", WASM])
        .args(["-C", "panic=abort", "-C", "strip=debuginfo", "-o"])
        .arg(&probe)
        .arg("--extern")
        .arg(format!("crossover={}", wasm::library()?.display()));
    for dependencies in [built.join("deps"), target()?.join("web/deps")] {
        link.arg("-L")
            .arg(format!("dependency={}", dependencies.display()));
    }
    step(link)?;
    Ok(probe)
}

/// Makes sure that Debian's packages are there, where they can be installed; says whether they are.
fn install(present: impl Fn() -> bool, packages: &[&str]) -> bool {
    if !present() {
        let installed = step(command("apt-get", &["update", "-qq"])).and_then(|()| {
            step(command(
                "apt-get",
                &[&["install", "-y", "-qq"], packages].concat(),
            ))
        });
        if let Err(error) = installed {
            eprintln!("    {error:#}");
        }
    }
    present()
}

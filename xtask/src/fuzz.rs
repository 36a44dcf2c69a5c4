//! `cargo xtask long fuzz`: each reader of files is given what nobody wrote, until it panics, asks for too much memory, or
//! the time is up.

use std::fs;

use anyhow::{Context, Result};

use crate::{command, root, step, target};

/// As it was when the targets were written.
const CARGO_FUZZ: &str = "0.13.2";

/// Fuzzes every target in `fuzz/fuzz_targets`, or the one that is named, for so many minutes each.
pub fn run(minutes: u64, only: Option<&str>) -> Result<()> {
    let is_there = command("cargo", &["fuzz", "--version"]).output();
    if !is_there.is_ok_and(|ran| ran.status.success()) {
        let install = ["install", "--locked", "cargo-fuzz", "--version", CARGO_FUZZ];
        step(command("cargo", &install))?;
    }
    let folder = root().join("fuzz/fuzz_targets");
    let mut targets: Vec<String> = fs::read_dir(&folder)?
        .map(|entry| {
            Ok(entry?
                .path()
                .file_stem()
                .map(|stem| stem.to_string_lossy().into_owned()))
        })
        .filter_map(Result::transpose)
        .collect::<Result<_>>()?;
    targets.sort();
    if let Some(only) = only {
        targets.retain(|target| target == only);
        targets
            .first()
            .with_context(|| format!("no target `{only}` in {}", folder.display()))?;
    }
    for name in targets {
        // What was found stays beside the build, so that the next hour begins where this one ended.
        let found = target()?.join("fuzz-corpus").join(&name);
        fs::create_dir_all(&found)?;
        // Sanitizers need a nightly compiler; coverage, panics and the allocator's bound don't.
        let mut fuzz = command("cargo", &["fuzz", "run", "--sanitizer", "none", &name]);
        fuzz.env("CARGO_TARGET_DIR", target()?.join("fuzz"));
        fuzz.arg(&found)
            .arg(root().join("fuzz/seeds").join(&name))
            .args([
                "--",
                "-rss_limit_mb=2048",
                "-timeout=10",
                "-print_final_stats=1",
            ])
            .arg(format!("-max_total_time={}", 60 * minutes));
        step(fuzz)?;
    }
    Ok(())
}

//! What takes too long for CI.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Instant, SystemTime};

use anyhow::{Context, Result, bail, ensure};

use crate::{command, step, test};

/// How often a run is killed.
const ROUNDS: u32 = 20;

/// Builds the release binary and says where it is; `$CROSSOVER_BINARY` names one that is there already.
pub fn binary() -> Result<PathBuf> {
    built_with(&[])
}

fn built_with(features: &[&str]) -> Result<PathBuf> {
    if let Some(built) = std::env::var_os("CROSSOVER_BINARY") {
        return Ok(PathBuf::from(built));
    }
    let build = ["build", "--release", "--locked", "--bin", "crossover"];
    step(command("cargo", &[&build[..], features].concat()))?;
    let metadata =
        command("cargo", &["metadata", "--no-deps", "--format-version", "1"]).output()?;
    let metadata: serde_json::Value = serde_json::from_slice(&metadata.stdout)?;
    let target = metadata["target_directory"]
        .as_str()
        .context("cargo names its target folder")?;
    Ok(Path::new(target).join("release").join("crossover"))
}

/// Draws a hundred million tokens, and holds the counts of rare ones against their probabilities.
pub fn sampler() -> Result<()> {
    let test = [
        "test",
        "--locked",
        "--workspace",
        test::features(),
        "--test",
        "sampling",
    ];
    let long = ["--", "--ignored", "--nocapture"];
    step(command("cargo", &[&test[..], &long].concat()))
}

/// Kills a race at a random moment, resumes it, and compares every line of its metrics with a run nobody killed. Of several
/// ranks one is killed, each in its turn.
pub fn kill(ranks: usize) -> Result<()> {
    let binary = match ranks {
        1 => binary()?,
        _ => built_with(&["--features", "crossover-trainer/mpi"])?,
    };
    let folder = std::env::temp_dir().join(format!("crossover-kill-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    let crossover = |arguments: &[&str]| {
        let mut crossover = match ranks {
            1 => Command::new(&binary),
            _ => {
                let mut launcher = Command::new("mpirun");
                launcher
                    .args(["--allow-run-as-root", "--oversubscribe", "-n"])
                    .arg(ranks.to_string())
                    .arg(&binary)
                    .env("OMPI_MCA_mpi_yield_when_idle", "1");
                launcher
            }
        };
        crossover
            .args(arguments)
            .current_dir(&folder)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        crossover
    };
    let race = |name: &str| {
        let mut race = crossover(&["race", "--device", "cpu", "--hidden-size", "32"]);
        race.args(["--layers", "2", "--dropout", "0.1", "--epochs", "8"])
            .args(["--evaluate-every", "20", "--zero-stage", "1", "--threads"])
            .arg((2 / ranks).max(1).to_string())
            .args(["--out", name]);
        race
    };
    let began = Instant::now();
    ensure!(
        race("reference").status()?.success(),
        "the reference run failed"
    );
    let whole = began.elapsed();
    let expected = losses(&folder.join("reference"))?;
    for round in 0..ROUNDS {
        let name = format!("round-{round}");
        let run = folder.join(&name);
        let mut child = race(&name).spawn()?;
        let nanoseconds = SystemTime::UNIX_EPOCH.elapsed()?.subsec_nanos();
        let moment = whole.mul_f64(f64::from(nanoseconds % 1_000) / 1_000.0);
        sleep(moment);
        match started_by(child.id()).get(round as usize % ranks) {
            Some(rank) if ranks > 1 => {
                // It may have come to its end just now.
                let _ = Command::new("kill").args(["-KILL", rank]).status()?;
            }
            _ => child.kill()?,
        }
        child.wait()?;
        let seconds = moment.as_secs_f64();
        let last = run.join("checkpoints/last-masked.safetensors");
        if !last.exists() {
            println!(
                "round {round}: killed after {seconds:.1} s, before there was anything to resume"
            );
            continue;
        }
        let resumed = crossover(&["race", "--resume", &name]).status()?;
        ensure!(resumed.success(), "round {round}: the resumed run failed");
        let found = losses(&run)?;
        if found != expected {
            bail!(
                "round {round}: killed after {seconds:.1} s, losses differ; see {}",
                run.display()
            );
        }
        println!(
            "round {round}: killed after {seconds:.1} s, {} lines identical",
            found.len()
        );
    }
    fs::remove_dir_all(&folder)?;
    Ok(())
}

/// The processes that a process has started.
fn started_by(parent: u32) -> Vec<String> {
    let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children"));
    let children = children.unwrap_or_default();
    children.split_whitespace().map(str::to_owned).collect()
}

/// Each step's losses as they stand in the file, by objective and step; a second line for one of them is an error.
fn losses(run: &Path) -> Result<BTreeMap<String, String>> {
    let path = run.join("metrics.jsonl");
    let text =
        fs::read_to_string(&path).with_context(|| format!("can't read {}", path.display()))?;
    let mut found = BTreeMap::new();
    for line in text.lines() {
        let part = |key: &str| {
            line.split(&format!("\"{key}\":"))
                .nth(1)
                .and_then(|rest| rest.split([',', '}']).next())
                .unwrap_or("missing")
                .to_owned()
        };
        let key = format!("{} {}", part("objective"), part("step"));
        let value = ["train_nats", "val_nats", "grad_norm"].map(part).join(" ");
        if found.insert(key.clone(), value).is_some() {
            bail!("{}: two lines for {key}", path.display());
        }
    }
    Ok(found)
}

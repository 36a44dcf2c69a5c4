//! What takes too long for CI.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, bail, ensure};

use crate::{command, step, test};

/// How often a run is killed.
pub const ROUNDS: usize = 20;

/// Builds the release binary and says where it is; `$CROSSOVER_BINARY` names one that is there already.
pub fn binary() -> Result<PathBuf> {
    built_with(&[])
}

/// The same, built so that several processes train together.
pub fn binary_for_ranks() -> Result<PathBuf> {
    built_with(&["--features", "crossover-trainer/mpi"])
}

/// Starts the program on so many ranks of this machine, which may have fewer cores. They give cores away while they wait, and are
/// bound to none, as processes by themselves are.
pub fn launcher(binary: &Path, ranks: usize) -> Command {
    let mut launcher = Command::new("mpirun");
    launcher
        .args([
            "--allow-run-as-root",
            "--oversubscribe",
            "--bind-to",
            "none",
        ])
        .args(["-n", &ranks.to_string()])
        .arg(binary)
        .env("OMPI_MCA_mpi_yield_when_idle", "1");
    launcher
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

/// Kills a race at a random moment, resumes it, and compares every line of its metrics with a run nobody killed; what was killed
/// before there was a checkpoint begins again. Of several ranks one is killed, each in its turn, and every other round shares the
/// optimizer's moments out among them.
pub fn kill(ranks: usize, rounds: usize) -> Result<()> {
    let binary = match ranks {
        1 => binary()?,
        _ => binary_for_ranks()?,
    };
    let folder = std::env::temp_dir().join(format!("crossover-kill-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    let crossover = |arguments: &[&str]| {
        let mut crossover = match ranks {
            1 => Command::new(&binary),
            _ => launcher(&binary, ranks),
        };
        crossover
            .args(arguments)
            .current_dir(&folder)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        crossover
    };
    let race = |name: &str, zero_stage: usize| {
        let mut race = crossover(&["race", "--device", "cpu", "--hidden-size", "32"]);
        race.args(["--layers", "2", "--dropout", "0.1", "--epochs", "8"])
            .args(["--evaluate-every", "20", "--threads"])
            .arg((2 / ranks).max(1).to_string())
            .args(["--zero-stage", &zero_stage.to_string(), "--out", name]);
        race
    };
    let mut expected = Vec::new();
    let mut whole = Duration::ZERO;
    for zero_stage in 0..2 {
        let name = format!("reference-{zero_stage}");
        let began = Instant::now();
        let ended = race(&name, zero_stage).status()?;
        ensure!(ended.success(), "the reference run failed");
        whole = whole.max(began.elapsed());
        expected.push(losses(&folder.join(name))?);
    }
    for round in 0..rounds {
        let (name, zero_stage) = (format!("round-{round}"), round % 2);
        let run = folder.join(&name);
        let mut child = race(&name, zero_stage).spawn()?;
        let nanoseconds = SystemTime::UNIX_EPOCH.elapsed()?.subsec_nanos();
        let moment = whole.mul_f64(f64::from(nanoseconds % 1_000) / 1_000.0);
        sleep(moment);
        // Each rank in both kinds of rounds.
        match started_by(child.id()).get(round / 2 % ranks) {
            Some(rank) if ranks > 1 => {
                // It may have come to its end just now.
                let _ = Command::new("kill").args(["-KILL", rank]).status()?;
            }
            _ => child.kill()?,
        }
        child.wait()?;
        let last = run.join("checkpoints/last-masked");
        let can_go_on = ["safetensors", "index.json"]
            .iter()
            .any(|ending| last.with_extension(ending).exists());
        let resumed = match can_go_on {
            true => crossover(&["race", "--resume", &name]).status()?,
            false => race(&name, zero_stage).arg("--force").status()?,
        };
        ensure!(resumed.success(), "round {round}: the resumed run failed");
        let found = losses(&run)?;
        let how = format!(
            "round {round}, ZeRO stage {zero_stage}: killed after {:.1} s, {}",
            moment.as_secs_f64(),
            if can_go_on { "resumed" } else { "begun again" }
        );
        if found != expected[zero_stage] {
            bail!("{how}: losses differ; see {}", run.display());
        }
        println!("{how}, {} lines identical", found.len());
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

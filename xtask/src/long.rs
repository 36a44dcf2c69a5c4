//! What takes too long for CI.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Instant, SystemTime};

use anyhow::{Context, Result, bail, ensure};

use crate::{command, root, step};

/// How often a run is killed.
const ROUNDS: u32 = 20;
/// How often each side is timed.
const TIMES: usize = 3;
/// How many times as fast a cache must write 256 tokens left to right.
const CACHE_SPEEDS_UP: f64 = 5.0;
/// How many forward passes a denoising step may cost.
const STEP_COSTS: f64 = 1.1;

/// Builds the release binary and says where it is; `$CROSSOVER_BINARY` names one that is there already.
pub fn binary() -> Result<PathBuf> {
    if let Some(built) = std::env::var_os("CROSSOVER_BINARY") {
        return Ok(PathBuf::from(built));
    }
    step(command(
        "cargo",
        &["build", "--release", "--locked", "--bin", "crossover"],
    ))?;
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
    let test = ["test", "--locked", "--workspace", "--test", "sampling"];
    let long = ["--", "--ignored", "--nocapture"];
    step(command("cargo", &[&test[..], &long].concat()))
}

/// Kills a race at a random moment, resumes it, and compares every line of its metrics with a run nobody killed.
pub fn kill() -> Result<()> {
    let binary = binary()?;
    let folder = std::env::temp_dir().join(format!("crossover-kill-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    let race = |name: &str| {
        let mut race = Command::new(&binary);
        race.args([
            "race",
            "--device",
            "cpu",
            "--threads",
            "2",
            "--hidden-size",
            "32",
            "--layers",
            "2",
        ])
        .args([
            "--dropout",
            "0.1",
            "--epochs",
            "8",
            "--evaluate-every",
            "20",
            "--out",
        ])
        .arg(folder.join(name))
        .stdout(Stdio::null())
        .stderr(Stdio::null());
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
        child.kill()?;
        child.wait()?;
        if !run
            .join("checkpoints")
            .join("last-masked.safetensors")
            .exists()
        {
            println!(
                "round {round}: killed after {:.1} s, before there was anything to resume",
                moment.as_secs_f64()
            );
            continue;
        }
        let resumed = Command::new(&binary)
            .args(["race", "--resume"])
            .arg(&run)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()?;
        ensure!(resumed.success(), "round {round}: the resumed run failed");
        let found = losses(&run)?;
        if found != expected {
            bail!(
                "round {round}: killed after {:.1} s, losses differ; see {}",
                moment.as_secs_f64(),
                run.display()
            );
        }
        println!(
            "round {round}: killed after {:.1} s, {} lines identical",
            moment.as_secs_f64(),
            found.len()
        );
    }
    fs::remove_dir_all(&folder)?;
    Ok(())
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

/// Times writing 256 tokens on the processor, and says whether the cache and the denoising loop are as fast as they
/// should be.
pub fn decode() -> Result<()> {
    let binary = binary()?;
    println!(
        "| hidden size, layers | AR, ms | with a cache, ms | speed-up | forward pass, ms | denoising step, forward passes |"
    );
    println!("|---|---|---|---|---|---|");
    let mut missed = Vec::new();
    for (hidden_size, layers) in [("128", "4"), ("256", "6")] {
        let output = Command::new(&binary)
            .args(["bench", "--writing", "--json", "--device", "cpu"])
            .args(["--length", "256", "--steps", "5"])
            .args(["--hidden-size", hidden_size, "--layers", layers])
            .output()?;
        ensure!(
            output.status.success(),
            "bench failed: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        let text = String::from_utf8(output.stdout)?;
        let number = |key| {
            let found = numbers(&text, key).first().copied();
            found.with_context(|| format!("bench printed no {key}"))
        };
        let (speed_up, cost) = (number("ar_speedup")?, number("forwards_per_step")?);
        println!(
            "| {hidden_size}, {layers} | {:.0} | {:.0} | {speed_up:.1} | {:.1} | {cost:.2} |",
            number("ar_seconds")? * 1e3,
            number("ar_cached_seconds")? * 1e3,
            number("forward_seconds")? * 1e3,
        );
        if speed_up < CACHE_SPEEDS_UP || cost > STEP_COSTS {
            missed.push(hidden_size);
        }
    }
    ensure!(
        missed.is_empty(),
        "missed at hidden size {}: a cache is to be {CACHE_SPEEDS_UP} times as fast, and a denoising step to cost at most \
         {STEP_COSTS} forward passes",
        missed.join(", ")
    );
    Ok(())
}

/// A shape both sides train.
struct Work {
    name: &'static str,
    hidden_size: u32,
    layers: u32,
    heads: u32,
    batch: u32,
    length: u32,
    steps: u32,
}

const WORK: [Work; 3] = [
    Work {
        name: "hidden 128, 8 x 64",
        hidden_size: 128,
        layers: 4,
        heads: 4,
        batch: 8,
        length: 64,
        steps: 60,
    },
    Work {
        name: "hidden 256, 16 x 256",
        hidden_size: 256,
        layers: 6,
        heads: 4,
        batch: 16,
        length: 256,
        steps: 6,
    },
    Work {
        name: "10M parameters, 16 x 256",
        hidden_size: 320,
        layers: 8,
        heads: 5,
        batch: 16,
        length: 256,
        steps: 3,
    },
];

/// Trains the same shapes here and in the PyTorch peer, in turns, and prints the median ratio. `CROSSOVER_PEER_PYTHON`
/// names a Python with torch.
pub fn peer() -> Result<()> {
    let peers = root().join("../shared/peers/torch_lm.py");
    let text = root().join("../shared/data/tinyshakespeare.txt");
    ensure!(
        peers.exists() && text.exists(),
        "the peer and its text are in ../shared, which is not here"
    );
    let python = std::env::var("CROSSOVER_PEER_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let binary = binary()?;
    println!(
        "| work | objective | crossover, tokens/s | PyTorch eager, tokens/s | ratio | memory here | memory there |"
    );
    println!("|---|---|---|---|---|---|---|");
    for work in WORK {
        let mut rows: [Vec<(Side, Side)>; 2] = Default::default();
        for _ in 0..TIMES {
            let ours = ours(&binary, &work)?;
            for (row, (mode, ours)) in rows.iter_mut().zip([("ar", ours[0]), ("mdm", ours[1])]) {
                row.push((ours, theirs(&python, &peers, &text, mode, &work)?));
            }
        }
        for (row, objective) in rows.iter().zip(["AR", "masked"]) {
            let median = |pick: &dyn Fn(&(Side, Side)) -> f64| {
                let mut values: Vec<f64> = row.iter().map(pick).collect();
                values.sort_by(f64::total_cmp);
                values[values.len() / 2]
            };
            println!(
                "| {} | {objective} | {:.0} | {:.0} | {:.2} | {:.0} MiB | {:.0} MiB |",
                work.name,
                median(&|(ours, _)| ours.speed),
                median(&|(_, theirs)| theirs.speed),
                median(&|(ours, theirs)| ours.speed / theirs.speed),
                median(&|(ours, _)| ours.mebibytes),
                median(&|(_, theirs)| theirs.mebibytes),
            );
        }
    }
    Ok(())
}

/// What one side did.
#[derive(Clone, Copy)]
struct Side {
    /// Tokens per second.
    speed: f64,
    mebibytes: f64,
}

fn ours(binary: &Path, work: &Work) -> Result<[Side; 2]> {
    let output = Command::new(binary)
        .args([
            "bench",
            "--device",
            "cpu",
            "--threads",
            "2",
            "--json",
            "--vocab-size",
            "66",
        ])
        .args([
            "--hidden-size",
            &work.hidden_size.to_string(),
            "--layers",
            &work.layers.to_string(),
        ])
        .args([
            "--heads",
            &work.heads.to_string(),
            "--batch",
            &work.batch.to_string(),
        ])
        .args([
            "--length",
            &work.length.to_string(),
            "--steps",
            &work.steps.to_string(),
        ])
        .output()?;
    ensure!(
        output.status.success(),
        "bench failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout)?;
    let speeds: Vec<f64> = numbers(&text, "tokens_per_second");
    let bytes = numbers(&text, "peak_memory_bytes")
        .first()
        .copied()
        .unwrap_or(0.0);
    ensure!(speeds.len() == 2, "bench printed {} speeds", speeds.len());
    let side = |speed| Side {
        speed,
        mebibytes: bytes / 1_048_576.0,
    };
    Ok([side(speeds[0]), side(speeds[1])])
}

fn theirs(python: &str, peer: &Path, text: &Path, mode: &str, work: &Work) -> Result<Side> {
    // The wrapper waits for the peer and tells its largest resident set.
    let wrapper = "import resource, subprocess, sys\n\
                   subprocess.run([sys.executable] + sys.argv[1:], check=True)\n\
                   print('{\"peak_kib\":', resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, '}')";
    let output = Command::new(python)
        .args(["-c", wrapper])
        .arg(peer)
        .arg("--text")
        .arg(text)
        .args(["--mode", mode, "--threads", "2", "--val", "4096"])
        .args([
            "--dim",
            &work.hidden_size.to_string(),
            "--layers",
            &work.layers.to_string(),
        ])
        .args([
            "--heads",
            &work.heads.to_string(),
            "--batch",
            &work.batch.to_string(),
        ])
        .args([
            "--length",
            &work.length.to_string(),
            "--steps",
            &work.steps.to_string(),
        ])
        .output()?;
    ensure!(
        output.status.success(),
        "the peer failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout)?;
    let last = |key| numbers(&text, key).last().copied();
    Ok(Side {
        speed: last("tok_s").context("the peer printed no speed")?,
        mebibytes: last("peak_kib").context("the wrapper printed no memory")? / 1024.0,
    })
}

/// Every number that follows a key in JSON text.
fn numbers(text: &str, key: &str) -> Vec<f64> {
    text.split(&format!("\"{key}\":"))
        .skip(1)
        .filter_map(|rest| rest.split([',', '}']).next()?.trim().parse().ok())
        .collect()
}

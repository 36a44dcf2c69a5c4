//! The same run on another device: losses of a few steps on a GPU agree with those of the processor.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

const CHAIN: &str =
    "transition = [[0.8, 0.15, 0.05], [0.1, 0.8, 0.1], [0.25, 0.05, 0.7]]\nsymbols = \"abc\"\n";

/// One evaluation at the end and no texts: a software GPU takes its time.
const CONFIG: &str =
    "[evaluate]\nevery = 4\nwindows = 4\ntest_windows = 4\norders = 0\nsamples = 0\n";

/// The GPU to be tried, as burn's own variable names it.
fn gpu() -> Option<String> {
    let named = std::env::var("BURN_DEVICE").ok();
    if named.is_none() {
        eprintln!("skipped: set BURN_DEVICE=wgpu, cuda or vulkan where there is one");
    }
    named
}

/// Training loss of each step, and what was measured at the end.
fn train(folder: &Path, objective: &str, device: &str) -> (Vec<f64>, f64) {
    let output = Command::new(env!("CARGO_BIN_EXE_crossover"))
        .args(["train", "--objective", objective, "--device", device])
        .args(["--config", "config.toml", "--corpus", "markov:chain.toml"])
        .args(["--length", "16", "--unique", "320", "--held-out", "64"])
        .args(["--hidden-size", "32", "--layers", "2", "--heads", "2"])
        .args(["--batch", "4", "--steps", "4", "--json"])
        .args(["--out", &format!("{objective}-{device}")])
        .current_dir(folder)
        .output()
        .unwrap();
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{objective} on {device}: {err}");
    let lines: Vec<Value> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let steps = lines.iter().filter(|line| line["event"] == "metrics");
    let losses = steps.map(|line| line["train_nats"].as_f64().unwrap());
    let result = lines.last().unwrap()["nats"].as_f64().unwrap();
    (losses.collect(), result)
}

#[test]
fn a_gpu_trains_like_the_processor() {
    let Some(gpu) = gpu() else { return };
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("chain.toml"), CHAIN).unwrap();
    fs::write(folder.path().join("config.toml"), CONFIG).unwrap();
    for objective in ["ar", "masked"] {
        let (expected, expected_result) = train(folder.path(), objective, "cpu");
        let (found, result) = train(folder.path(), objective, &gpu);
        assert_eq!((expected.len(), found.len()), (4, 4));
        for (step, (left, right)) in (1..).zip(expected.iter().zip(&found)) {
            assert!(
                (left - right).abs() < 1e-3,
                "{objective}, step {step}: {left} on the processor, {right} on {gpu}"
            );
        }
        assert!(
            (expected_result - result).abs() < 1e-3,
            "{objective}: {expected_result} {result}"
        );
    }
}

/// WGSL has no bf16 whatever the adapter.
#[test]
fn a_precision_that_a_gpu_lacks_is_refused_before_anything_is_written() {
    if gpu().is_none_or(|gpu| gpu != "wgpu") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_crossover"))
        .args(["race", "--device", "wgpu", "--precision", "bf16"])
        .args(["--out", "run"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    let err = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{err}");
    assert!(
        err.contains("the device doesn't compute with that"),
        "{err}"
    );
    assert!(err.contains("hint: it trains in f32"), "{err}");
    assert!(fs::read_dir(folder.path()).unwrap().next().is_none());
}

/// What the model of a run writes, with a cache where one is named.
fn write(folder: &Path, objective: &str, cache: &str, device: &str) -> String {
    let checkpoint = format!("{objective}-cpu/checkpoints/last-{objective}.safetensors");
    let output = Command::new(env!("CARGO_BIN_EXE_crossover"))
        .args(["sample", "--checkpoint", &checkpoint, "--device", device])
        .args(["--cache", cache, "--samples", "3", "--json"])
        .current_dir(folder)
        .output()
        .unwrap();
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{objective} on {device}: {err}");
    String::from_utf8(output.stdout).unwrap()
}

/// Tokens are drawn on the processor from the device's log-probabilities: they could differ only where the two first of a
/// race are as close as the devices' rounding.
#[test]
fn a_gpu_writes_like_the_processor_with_and_without_caches() {
    let Some(gpu) = gpu() else { return };
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("chain.toml"), CHAIN).unwrap();
    fs::write(folder.path().join("config.toml"), CONFIG).unwrap();
    for (objective, caches) in [("ar", ["none", "exact"]), ("masked", ["none", "dkv"])] {
        train(folder.path(), objective, "cpu");
        for cache in caches {
            let expected = write(folder.path(), objective, cache, "cpu");
            let found = write(folder.path(), objective, cache, &gpu);
            assert_eq!(found, expected, "{objective} with the cache `{cache}`");
        }
    }
}

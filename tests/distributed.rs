//! Several processes train one model: `mpirun` starts the program itself, built with feature `mpi`.

#![cfg(feature = "mpi")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod program;

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use program::{CROSSOVER, json_lines};

const TRAIN: [&str; 19] = [
    "train",
    "--device",
    "cpu",
    "--threads",
    "1",
    "--hidden-size",
    "16",
    "--layers",
    "1",
    "--heads",
    "2",
    "--evaluate-every",
    "20",
    "--unique",
    "500",
    "--held-out",
    "250",
    "--dropout",
    "0.1",
];

/// `mpirun` with the program on so many ranks.
fn launcher(count: usize, folder: &Path) -> Command {
    let mut command = Command::new("mpirun");
    command
        .args(["--allow-run-as-root", "--oversubscribe", "-n"])
        .arg(count.to_string())
        .arg(CROSSOVER)
        .current_dir(folder)
        // Ranks that wait for each other on few cores give them away.
        .env("OMPI_MCA_mpi_yield_when_idle", "1");
    command
}

/// So many ranks that train.
fn ranks(count: usize, folder: &Path, arguments: &[&str]) -> Command {
    let mut command = launcher(count, folder);
    command.args(TRAIN).args(arguments);
    command
}

fn ran(mut command: Command) -> Output {
    command.output().expect("mpirun is installed")
}

#[track_caller]
fn succeeds(command: Command) -> String {
    let output = ran(command);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    String::from_utf8(output.stdout).unwrap()
}

/// Training losses by step, and the last validation loss.
fn losses(run: &Path) -> (Vec<f64>, f64) {
    let lines = json_lines(&fs::read_to_string(run.join("metrics.jsonl")).unwrap());
    let of = |line: &Value, name: &str| line[name].as_f64();
    let trained = lines.iter().filter_map(|line| of(line, "train_nats"));
    let measured = lines.iter().rev().find_map(|line| of(line, "val_nats"));
    (trained.collect(), measured.unwrap())
}

/// Seconds that steps took to exchange numbers.
fn exchanging(run: &Path) -> Vec<f64> {
    let lines = json_lines(&fs::read_to_string(run.join("metrics.jsonl")).unwrap());
    let seconds = lines
        .iter()
        .map(|line| line["communication_seconds"].as_f64());
    seconds.flatten().collect()
}

#[test]
fn processes_train_like_one_and_the_first_speaks_for_all() {
    // States are kept by the clock, and on a busy machine one rank waits for another.
    let events = |told: &str| {
        let told = json_lines(told).into_iter();
        told.filter(|line| !["checkpoint", "straggler"].contains(&line["event"].as_str().unwrap()))
            .count()
    };
    for objective in ["ar", "masked"] {
        let folder = tempfile::tempdir().unwrap();
        let run = |name: &str, count: usize, more: &[&str]| {
            let named = ["--objective", objective, "--steps", "40", "--out", name];
            let out = succeeds(ranks(count, folder.path(), &[&named, more].concat()));
            (losses(&folder.path().join(name)), out)
        };
        let ((alone, end), told) = run("alone", 1, &["--json"]);
        assert_eq!(alone.len(), 40);
        assert!(exchanging(&folder.path().join("alone")).is_empty());
        let expected = events(&told);
        for (name, count, more) in [
            ("two", 2, &["--json", "--engine", "mpi"][..]),
            ("four", 4, &["--json"]),
            ("zero", 4, &["--json", "--zero-stage", "1"]),
        ] {
            let ((together, last), told) = run(name, count, more);
            assert_eq!(together.len(), 40);
            for (step, (ours, theirs)) in alone.iter().zip(&together).enumerate() {
                let most = if step < 10 { 1e-5 } else { 1e-4 };
                assert!(
                    (ours - theirs).abs() < most,
                    "{name}, step {step}: {theirs}, not {ours}"
                );
            }
            assert!((last - end).abs() < 1e-4);
            let waited = exchanging(&folder.path().join(name));
            assert!(waited.iter().all(|seconds| *seconds > 0.0) && waited.len() == 40);
            assert_eq!(events(&told), expected, "one rank's events");
        }
    }
}

#[test]
fn what_no_rank_can_do_is_said_once() {
    let folder = tempfile::tempdir().unwrap();
    for (arguments, message) in [
        (
            &["--objective", "ar", "--batch", "6"][..],
            "4 ranks can't share a batch of 6 windows equally",
        ),
        (
            &["--objective", "ar", "--corpus", "absent.txt"],
            "can't read `absent.txt`",
        ),
        (&["--objective", "ar", "--estimator", "exact"], "exact-l"),
        (&["--objektive", "ar"], "--objektive"),
        (
            &["--objective", "ar", "--seeds", "2"],
            "`--seeds` trains in one process, and 4 were started together",
        ),
        (
            &["--objective", "ar", "--engine", "ncll"],
            "unknown variant `ncll`",
        ),
        (
            &["--objective", "ar", "--engine", "nccl"],
            match cfg!(feature = "nccl") {
                true => "computes on no CUDA device",
                false => "this build of crossover has no NCCL",
            },
        ),
    ] {
        let mut command = ranks(4, folder.path(), arguments);
        command.args(["--steps", "5", "--out", "run"]);
        let output = ran(command);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert_eq!(said.matches("error: ").count(), 1, "{said}");
        assert!(said.contains(message), "{said}");
        assert!(!folder.path().join("run").exists());
    }
}

#[test]
fn ranks_that_differ_are_refused_with_both_named() {
    let folder = tempfile::tempdir().unwrap();
    let all = ["--objective", "ar", "--steps", "5", "--out", "run"];
    for (other, differ) in [
        (
            ["--lr", "0.5"],
            "rank 0 has `learning_rate = 0.001`, rank 1 has `learning_rate = 0.5`",
        ),
        (
            ["--precision", "bf16"],
            "rank 0 has `precision = \"f32\"`, rank 1 has `precision = \"bf16\"`",
        ),
    ] {
        let mut command = ranks(1, folder.path(), &all);
        command.args([":", "-n", "1", CROSSOVER]).args(TRAIN);
        command.args(all).args(other);
        let output = ran(command);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert_eq!(said.matches("error: ").count(), 1, "{said}");
        assert!(said.contains(&format!("configuration: {differ}")), "{said}");
        assert!(!folder.path().join("run").exists());
    }
}

#[test]
fn bench_times_what_processes_tell_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = launcher(2, folder.path());
    command.args(["bench", "--device", "cpu", "--threads", "1", "--json"]);
    command.args(["--hidden-size", "16", "--layers", "1", "--heads", "2"]);
    command.args([
        "--batch", "3", "--length", "8", "--steps", "2", "--rounds", "1",
    ]);
    let told = json_lines(&succeeds(command));
    let [result] = &told[..] else {
        panic!("one rank tells: {told:?}");
    };
    let between = &result["between_ranks"];
    assert_eq!(between["ranks"], 2);
    let sums = between["sums"].as_array().unwrap();
    let bytes = |sum: &Value| sum["bytes"].as_u64().unwrap();
    assert_eq!((bytes(&sums[0]), bytes(&sums[4])), (4 << 10, 16 << 20));
    let positive =
        |value: &Value, key: &str| assert!(value[key].as_f64().unwrap() > 0.0, "{value}");
    sums.iter().for_each(|sum| positive(sum, "seconds"));
    positive(between, "bandwidth_bytes_per_second");
    for row in result["training"].as_array().unwrap() {
        positive(&row["spent"], "communication_seconds");
        // Both ranks' windows.
        let tokens = row["tokens_per_second"].as_f64().unwrap();
        let seconds = row["step_seconds"].as_f64().unwrap();
        assert!((tokens * seconds - 48.0).abs() < 1e-6);
    }
}

/// The lock file is in the program, and its hash is in a build's name.
#[test]
fn a_rank_of_another_build_is_refused_with_both_named() {
    let folder = tempfile::tempdir().unwrap();
    let other = folder.path().join("other");
    let mut program = fs::read(CROSSOVER).unwrap();
    let locked = b"name = \"crossover-trainer\"\nversion = \"";
    let places: Vec<usize> = program
        .windows(locked.len())
        .enumerate()
        .filter_map(|(place, bytes)| (bytes == locked).then_some(place))
        .collect();
    assert!(!places.is_empty(), "the lock file is in the program");
    for place in places {
        program[place + locked.len()] ^= 1;
    }
    fs::write(&other, program).unwrap();
    fs::set_permissions(&other, fs::metadata(CROSSOVER).unwrap().permissions()).unwrap();

    let same = ["--objective", "ar", "--steps", "5", "--out", "run"];
    let mut command = ranks(1, folder.path(), &same);
    command.args([":", "-n", "1"]).arg(&other);
    command.args(TRAIN).args(same);
    let output = ran(command);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert_eq!(said.matches("error: ").count(), 1, "{said}");
    assert!(
        said.contains("the ranks differ in their build: rank 0 has `"),
        "{said}"
    );
    assert!(said.contains(", rank 1 has `"), "{said}");
    assert!(!folder.path().join("run").exists());
}

/// In the other folder a file is where the run's folder is in the first.
#[test]
fn a_folder_that_one_rank_can_t_write_in_is_refused_before_it_is_used() {
    let [first, other] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    fs::write(other.path().join("run"), "").unwrap();
    let config = first.path().join("shards.toml");
    fs::write(&config, "[train]\nshard_checkpoints = true\n").unwrap();
    let train = [
        "--objective",
        "ar",
        "--steps",
        "5",
        "--out",
        "run",
        "--config",
    ];
    let mut command = ranks(1, first.path(), &train);
    command
        .arg(&config)
        .args([":", "-n", "1", "-wdir"])
        .arg(other.path());
    command.arg(CROSSOVER).args(TRAIN).args(train).arg(&config);
    let output = ran(command);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert_eq!(said.matches("error: ").count(), 1, "{said}");
    assert!(
        said.contains("rank 1: can't write `run/rank-1.check`"),
        "{said}"
    );
    assert!(said.contains("\nhint: each rank writes its part"), "{said}");
    assert!(!first.path().join("run").exists());
}

/// A rank that dies takes the others with it; one that is asked to stop stops all, with all saved. Either way the run goes on
/// where it was, with another number of ranks.
#[test]
fn a_rank_that_ends_costs_nothing_that_was_kept() {
    let folder = tempfile::tempdir().unwrap();
    let named = "--objective masked --steps 200 --zero-stage 1 --out";
    let named: Vec<&str> = named.split(' ').collect();
    let train = |name: &str| ranks(2, folder.path(), &[&named[..], &[name]].concat());
    succeeds(train("whole"));
    let (whole, end) = losses(&folder.path().join("whole"));
    for (signal, code) in [("KILL", 137), ("TERM", 130)] {
        let mut command = train(signal);
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        let run = command.spawn().unwrap();
        let metrics = folder.path().join(signal).join("metrics.jsonl");
        let began = Instant::now();
        while fs::read_to_string(&metrics).map_or(0, |text| text.lines().count()) < 50 {
            assert!(began.elapsed() < Duration::from_secs(60), "it trains");
            thread::sleep(Duration::from_millis(20));
        }
        let rank = child_of(run.id()).to_string();
        let sent = Command::new("kill").args(["-s", signal, &rank]).status();
        assert!(sent.unwrap().success());
        let ended = run.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(code), "{said}");
        let is_told = said.matches("the state is saved").count();
        assert_eq!(is_told, usize::from(signal == "TERM"), "{said}");

        let mut resumed = launcher(4, folder.path());
        resumed.args(["train", "--resume", signal]);
        succeeds(resumed);
        let (ours, last) = losses(&folder.path().join(signal));
        assert_eq!(ours.len(), 200);
        assert!((end - last).abs() < 1e-3);
        for (step, (ours, whole)) in ours.iter().zip(&whole).enumerate().take(60) {
            assert!((ours - whole).abs() < 1e-4, "{signal}, step {step}");
        }
    }
}

/// Each process writes its part; another number of them goes on, and one file can be made of it.
#[test]
fn shards_of_processes_are_read_by_any_number_of_them() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("shards.toml");
    fs::write(config, "[train]\nshard_checkpoints = true\n").unwrap();
    let named = "--config shards.toml --objective masked --steps 200 --zero-stage 1 --out run";
    let named: Vec<&str> = named.split(' ').collect();
    let mut run = ranks(2, folder.path(), &named)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let place = folder.path().join("run");
    let began = Instant::now();
    let recorded = || fs::read_to_string(place.join("metrics.jsonl")).unwrap_or_default();
    while recorded().lines().count() < 50 {
        assert!(began.elapsed() < Duration::from_secs(60), "it trains");
        thread::sleep(Duration::from_millis(20));
    }
    let rank = child_of(run.id()).to_string();
    let sent = Command::new("kill").args(["-s", "TERM", &rank]).status();
    assert!(sent.unwrap().success());
    assert_eq!(run.wait().unwrap().code(), Some(130));
    let index = place.join("checkpoints/last-masked.index.json");
    let index: Value = serde_json::from_slice(&fs::read(index).unwrap()).unwrap();
    assert_eq!(index["shards"].as_array().unwrap().len(), 2);

    let mut resumed = launcher(4, folder.path());
    resumed.args(["train", "--resume", "run"]);
    succeeds(resumed);
    assert_eq!(losses(&place).0.len(), 200);
    let mut exported = Command::new(CROSSOVER);
    exported.current_dir(folder.path()).args([
        "export",
        "--checkpoint",
        "run/checkpoints/last-masked.index.json",
        "--out",
        "one.safetensors",
    ]);
    succeeds(exported);
}

/// A process that this one started.
fn child_of(parent: u32) -> u32 {
    let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).unwrap();
    children.split_whitespace().last().unwrap().parse().unwrap()
}

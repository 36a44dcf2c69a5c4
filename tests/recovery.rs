//! What survives: a run that was killed or interrupted goes on exactly where it was, a finished one stays finished, and
//! a loss that is no number costs no checkpoint.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod program;

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::hash::{BuildHasher, RandomState};
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use program::{Ran, command, crossover, json_lines, signal};

/// A race of two tiny models that takes a few seconds and is evaluated ten times on the way.
const RACE: [&str; 21] = [
    "race",
    "--device",
    "cpu",
    "--threads",
    "2",
    "--hidden-size",
    "16",
    "--layers",
    "1",
    "--heads",
    "2",
    "--batch",
    "4",
    "--steps",
    "300",
    "--evaluate-every",
    "30",
    "--unique",
    "500",
    "--held-out",
    "250",
];

/// To be started, and heard of through its files alone.
fn background(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = command(folder, arguments);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command
}

#[track_caller]
fn recorded(path: &Path) -> Vec<Value> {
    json_lines(&fs::read_to_string(path).unwrap())
}

/// What a run recorded that doesn't depend on the clock, by model and step.
type Record = BTreeMap<(String, u64), Value>;

/// Reads `metrics.jsonl`, which has one line for each step and model.
#[track_caller]
fn record(run: &Path) -> Record {
    let mut record = Record::new();
    for mut line in recorded(&run.join("metrics.jsonl")) {
        let fields = line.as_object_mut().unwrap();
        for clock in ["seconds", "tokens_per_second"] {
            fields.remove(clock).unwrap();
        }
        let step = fields["step"].as_u64().unwrap();
        let objective = fields["objective"].as_str().unwrap().to_owned();
        let twice = record.insert((objective, step), line);
        assert!(twice.is_none(), "a step is recorded twice: {twice:?}");
    }
    record
}

/// The result of a finished run without what depends on the clock and the machine.
#[track_caller]
fn result(run: &Path) -> Value {
    let events = recorded(&run.join("events.jsonl"));
    let mut results = events.iter().filter(|event| event["event"] == "result");
    let mut result = results.next_back().expect("the run is finished").clone();
    for clock in ["wall_seconds", "peak_memory_bytes"] {
        result.as_object_mut().unwrap().remove(clock).unwrap();
    }
    result
}

#[track_caller]
fn assert_same_run(run: &Path, expected: &Path) {
    let (found, expected_record) = (record(run), record(expected));
    assert_eq!(found.len(), 600, "every step of both models is recorded");
    for (key, line) in &expected_record {
        assert_eq!(&found[key], line, "{key:?}");
    }
    assert_eq!(result(run), result(expected));
    // Both keep the same checkpoints; `state` counts seconds, so only their steps are compared.
    for name in ["last-ar", "best-ar", "last-masked", "best-masked"] {
        let kept = |run: &Path| {
            let folder = run.join("checkpoints");
            match fs::read(folder.join(format!("{name}.index.json"))) {
                Ok(index) => {
                    let index: Value = serde_json::from_slice(&index).unwrap();
                    let shards = index["shards"].as_array().unwrap().clone();
                    let shard =
                        |shard: &Value| weights(&folder.join(shard["file"].as_str().unwrap()));
                    shards.iter().map(shard).collect::<Vec<_>>()
                }
                Err(_) => vec![weights(&folder.join(format!("{name}.safetensors")))],
            }
        };
        assert!(
            kept(run) == kept(expected),
            "{name} has other weights or moments"
        );
    }
}

/// Every tensor's bytes.
fn weights(file: &Path) -> BTreeMap<String, Vec<u8>> {
    let bytes = fs::read(file).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let owned = |(name, view): (&str, safetensors::tensor::TensorView<'_>)| {
        (name.to_owned(), view.data().to_vec())
    };
    tensors.iter().map(owned).collect()
}

/// A moment that is another in every test run.
fn random_delay(most: Duration) -> Duration {
    let share = RandomState::new().hash_one(0) as f64 / u64::MAX as f64;
    most.mul_f64(share)
}

/// Waits until a running process has recorded an evaluation of a later step than `after`, and says which.
fn wait_for_evaluation(child: &mut Child, run: &Path, after: u64) -> u64 {
    let began = Instant::now();
    loop {
        let text = fs::read_to_string(run.join("evaluations.jsonl")).unwrap_or_default();
        let last = text
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok())
            .filter_map(|line| line["step"].as_u64())
            .max();
        if let Some(step) = last.filter(|step| *step > after) {
            return step;
        }
        assert_eq!(child.try_wait().unwrap(), None, "the run ended by itself");
        assert!(began.elapsed() < Duration::from_secs(60), "no evaluation");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn is_finished(run: &Path) -> bool {
    recorded(&run.join("events.jsonl"))
        .iter()
        .any(|event| event["event"] == "result")
}

/// A folder with an uninterrupted race in `straight`.
fn straight(flags: &[&str]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let flags = [&RACE[..], flags, &["--out", "straight"]].concat();
    crossover(folder.path(), &flags).ended(0);
    folder
}

fn killed_again_and_again(flags: &[&str]) {
    let began = Instant::now();
    let folder = straight(flags);
    let longest = began.elapsed() / 8;
    let run = folder.path().join("killed");
    let start = [&RACE[..], flags, &["--out", "killed"]].concat();
    let resume = ["race", "--resume", "killed"];
    let (mut arguments, mut evaluated) = (&start[..], 0);
    for _ in 0..3 {
        let mut child = background(folder.path(), arguments).spawn().unwrap();
        evaluated = wait_for_evaluation(&mut child, &run, evaluated);
        let delay = random_delay(longest);
        eprintln!("killed {delay:?} after step {evaluated} was evaluated");
        std::thread::sleep(delay);
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!is_finished(&run), "killed too late to be a test");
        arguments = &resume;
    }
    // What a power failure can leave: a line that was cut off.
    for name in ["metrics.jsonl", "evaluations.jsonl", "events.jsonl"] {
        let mut file = OpenOptions::new()
            .append(true)
            .open(run.join(name))
            .unwrap();
        file.write_all(b"{\"objective\":\"ar\",\"likel").unwrap();
    }
    crossover(folder.path(), resume).ended(0);
    assert_same_run(&run, &folder.path().join("straight"));
    recorded(&run.join("evaluations.jsonl"));
}

#[test]
fn a_run_killed_at_any_moment_goes_on_as_if_nothing_had_happened() {
    killed_again_and_again(&[]);
}

#[test]
fn so_does_one_with_dropout() {
    killed_again_and_again(&["--dropout", "0.1"]);
}

#[test]
fn so_does_one_that_keeps_its_states_in_shards() {
    killed_again_and_again(&["--shard-checkpoints", "--keep-every", "50"]);
}

#[test]
fn a_run_killed_in_its_final_measurement_only_measures_again() {
    let folder = straight(&["--dropout", "0.1"]);
    let start = [&RACE[..], &["--dropout", "0.1", "--out", "killed"]].concat();
    let run = folder.path().join("killed");
    let mut child = background(folder.path(), &start).spawn().unwrap();
    let measuring = || {
        let events = fs::read_to_string(run.join("events.jsonl")).unwrap_or_default();
        events.contains("\"event\":\"progress\"")
    };
    while !measuring() {
        assert_eq!(child.try_wait().unwrap(), None, "the run ended by itself");
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!is_finished(&run), "killed too late to be a test");
    let metrics = fs::read(run.join("metrics.jsonl")).unwrap();
    crossover(folder.path(), ["race", "--resume", "killed"]).ended(0);
    assert!(fs::read(run.join("metrics.jsonl")).unwrap() == metrics);
    assert_same_run(&run, &folder.path().join("straight"));
}

#[test]
fn an_interrupted_run_saves_its_state_and_goes_on() {
    let began = Instant::now();
    let folder = straight(&["--dropout", "0.1"]);
    let longest = began.elapsed() / 8;
    let run = folder.path().join("stopped");
    let start = [&RACE[..], &["--dropout", "0.1", "--out", "stopped"]].concat();
    let resume = ["race", "--resume", "stopped"];
    let (mut arguments, mut evaluated) = (&start[..], 0);
    for name in ["INT", "TERM"] {
        let mut child = background(folder.path(), arguments)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        evaluated = wait_for_evaluation(&mut child, &run, evaluated);
        std::thread::sleep(random_delay(longest));
        signal(&child, name);
        let Ran { err, .. } = Ran::of(child.wait_with_output().unwrap()).ended(130);
        assert!(err.contains("interrupted: "), "{err}");
        assert!(err.contains("--resume stopped"), "{err}");
        assert!(!err.contains("panicked"), "{err}");
        let events = recorded(&run.join("events.jsonl"));
        let stopped = events.last().unwrap();
        assert_eq!(stopped["event"], "stopped");
        // The state is that of the last recorded step, not of the last evaluation.
        let both = |step: u64| {
            ["ar", "masked"]
                .map(|objective| record(&run).contains_key(&(objective.to_owned(), step)))
        };
        let step = stopped["step"].as_u64().unwrap();
        assert_eq!(both(step), [true, true]);
        assert!(both(step + 1).contains(&false));
        arguments = &resume;
    }
    crossover(folder.path(), resume).ended(0);
    assert_same_run(&run, &folder.path().join("straight"));
}

#[test]
fn a_finished_run_tells_its_result_again_without_training() {
    let folder = tempfile::tempdir().unwrap();
    let start = [&RACE[..], &["--out", "run", "--json"]].concat();
    let Ran { out: first, .. } = crossover(folder.path(), &start).ended(0);
    let metrics = folder.path().join("run/metrics.jsonl");
    let before = fs::read(&metrics).unwrap();
    let again = ["race", "--resume", "run", "--json"];
    let Ran { out: second, .. } = crossover(folder.path(), again).ended(0);
    let last = |text: &str| serde_json::from_str::<Value>(text.lines().last().unwrap()).unwrap();
    assert_eq!(last(&second), last(&first));
    assert_eq!(last(&second)["event"], "result");
    assert!(!second.contains("\"event\":\"metrics\""), "{second}");
    assert!(fs::read(&metrics).unwrap() == before);

    let Ran {
        out: table, err, ..
    } = crossover(folder.path(), &again[..3]).ended(0);
    assert!(table.contains("AR, exact NLL"), "{table}\n{err}");
    assert!(table.contains("report.html"), "{table}");
}

#[test]
fn a_run_whose_text_changed_is_not_continued() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("text.txt");
    fs::write(&text, "To be, or not to be. ".repeat(80)).unwrap();
    let start = [
        &RACE[..],
        &["--corpus", "text.txt", "--length", "16", "--out", "run"],
    ]
    .concat();
    let mut child = background(folder.path(), &start).spawn().unwrap();
    let run = folder.path().join("run");
    wait_for_evaluation(&mut child, &run, 0);
    signal(&child, "INT");
    assert_eq!(child.wait().unwrap().code(), Some(130));

    fs::write(&text, "To be, or not to bE. ".repeat(80)).unwrap();
    let before = fs::read(run.join("metrics.jsonl")).unwrap();
    let Ran { err, .. } = crossover(folder.path(), ["race", "--resume", "run"]).ended(2);
    assert!(err.contains("error: the text changed"), "{err}");
    assert!(
        err.contains("text.txt") && err.contains("\nhint: "),
        "{err}"
    );
    assert!(fs::read(run.join("metrics.jsonl")).unwrap() == before);

    // From another working directory, too: the path is absolute.
    fs::write(&text, "To be, or not to be. ".repeat(80)).unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let resume = ["race", "--resume", run.to_str().unwrap()];
    crossover(elsewhere.path(), resume).ended(0);
    assert_eq!(record(&run).len(), 600);
}

#[test]
fn a_run_without_a_sound_last_checkpoint_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let start = [&RACE[..], &["--out", "run"]].concat();
    let mut child = background(folder.path(), &start).spawn().unwrap();
    wait_for_evaluation(&mut child, &run, 0);
    child.kill().unwrap();
    child.wait().unwrap();
    let files = || {
        ["metrics.jsonl", "events.jsonl", "evaluations.jsonl"]
            .map(|name| fs::read(run.join(name)).unwrap())
    };
    let before = files();
    let last = run.join("checkpoints/last-masked.safetensors");
    let _ = fs::remove_file(run.join("checkpoints/best-masked.safetensors"));
    let good = fs::read(&last).unwrap();
    fs::write(&last, &good[..good.len() / 2]).unwrap();
    let resume = ["race", "--resume", "run"];
    let Ran {
        out: _,
        err: damaged,
        ..
    } = crossover(folder.path(), resume).ended(2);
    fs::remove_file(&last).unwrap();
    let Ran {
        out: _,
        err: missing,
        ..
    } = crossover(folder.path(), resume).ended(2);
    for err in [damaged, missing] {
        assert!(err.contains("last-masked.safetensors`"), "{err}");
        assert!(err.contains("\nhint: "), "{err}");
    }
    assert!(files() == before);
}

/// One bit has changed: the file is named, and the run goes on from the model's best checkpoint.
#[test]
fn a_damaged_last_checkpoint_is_noticed_and_the_best_one_used() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let start = [&RACE[..], &["--out", "run"]].concat();
    let mut child = background(folder.path(), &start).spawn().unwrap();
    let best = run.join("checkpoints/best-masked.safetensors");
    wait_for_evaluation(&mut child, &run, 30);
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(best.exists());
    let last = run.join("checkpoints/last-masked.safetensors");
    let mut bytes = fs::read(&last).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&last, bytes).unwrap();
    let Ran { err, .. } = crossover(folder.path(), ["race", "--resume", "run"]).ended(0);
    assert!(
        err.contains("last-masked.safetensors`: its checksum doesn't fit"),
        "{err}"
    );
    assert!(
        err.contains("the masked model goes on from its best checkpoint"),
        "{err}"
    );
    assert_eq!(record(&run).len(), 600);
}

#[test]
fn a_loss_that_is_no_number_ends_the_run_and_keeps_the_last_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    // A rate that f32 can't hold: the first update is infinite.
    let start = [&RACE[..], &["--lr", "1e39", "--out", "run", "--json"]].concat();
    let Ran { out, err, .. } = crossover(folder.path(), &start).ended(1);
    assert!(
        err.contains("error: the ar model's loss became NaN or infinite at step 2"),
        "{err}"
    );
    assert!(err.contains("the state of step 0 is kept"), "{err}");
    assert!(err.contains("\nhint: ") && err.contains("`--lr`"), "{err}");
    let failed: Value = serde_json::from_str(out.lines().last().unwrap()).unwrap();
    assert_eq!(failed["event"], "failed");
    assert_eq!(failed["input"], false);

    let metrics = record(&folder.path().join("run"));
    assert_eq!(metrics[&("ar".to_owned(), 2)]["train_nats"], json!(null));

    let events = recorded(&folder.path().join("run/events.jsonl"));
    let spike = events
        .iter()
        .find(|event| event["event"] == "spike")
        .unwrap();
    assert_eq!(
        (&spike["objective"], &spike["step"], &spike["nats"]),
        (&json!("ar"), &json!(2), &json!(null))
    );

    fs::write(folder.path().join("text.txt"), "12345".repeat(20)).unwrap();
    let last = [
        "--device",
        "cpu",
        "--checkpoint",
        "run/checkpoints/last-ar.safetensors",
    ];
    let evaluate = [&["evaluate", "--text", "text.txt"][..], &last].concat();
    crossover(folder.path(), &evaluate).ended(0);
    crossover(folder.path(), [&["sample"][..], &last].concat()).ended(0);
}

/// An index stands for one file wherever one is asked for, and a shard that is missing or damaged is named.
#[test]
fn a_checkpoint_in_shards_is_used_as_one_file_is() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("text.txt"), "12345".repeat(20)).unwrap();
    let kept = ["--shard-checkpoints", "--keep-last", "1", "--out", "run"];
    crossover(folder.path(), [&RACE[..], &kept].concat()).ended(0);
    let index = "run/checkpoints/best-masked.index.json";
    crossover(
        folder.path(),
        ["export", "--checkpoint", index, "--out", "one.safetensors"],
    )
    .ended(0);
    let on = |arguments: &[&str], file: &str| {
        let all = [arguments, &["--device", "cpu", "--checkpoint", file]].concat();
        crossover(folder.path(), all).ended(0).out
    };
    let sample = ["sample", "--seed", "3"];
    assert_eq!(on(&sample, index), on(&sample, "one.safetensors"));
    let nats = |file: &str| {
        let out = on(&["evaluate", "--text", "text.txt", "--json"], file);
        json_lines(&out).pop().unwrap()["nats"].clone()
    };
    assert!(nats(index).is_f64());
    assert_eq!(nats(index), nats("one.safetensors"));

    let kept = folder.path().join("run/checkpoints");
    let state = kept.join("step-300-masked.shards/rank-0-of-1.safetensors");
    let step = "run/checkpoints/step-300-masked.index.json";
    let good = fs::read(&state).unwrap();
    let mut flipped = good.clone();
    flipped[good.len() / 2] ^= 1;
    for (bytes, said) in [
        (Some(&good[..good.len() / 2]), "its index promises"),
        (Some(&flipped[..]), "its checksum doesn't fit"),
        (None, "No such file"),
    ] {
        match bytes {
            Some(bytes) => fs::write(&state, bytes).unwrap(),
            None => fs::remove_file(&state).unwrap(),
        }
        let export = ["export", "--checkpoint", step, "--out", "other.safetensors"];
        let Ran { err, .. } = crossover(folder.path(), export).ended(2);
        let names_it = err.contains("step-300-masked.shards/rank-0-of-1.safetensors`");
        assert!(names_it && err.contains(said), "{err}");
        assert!(err.contains("\nhint: "), "{err}");
        assert!(!folder.path().join("other.safetensors").exists());
    }
}

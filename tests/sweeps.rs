//! Sweeps and plans on the command line: every run is the run it would be alone, what is interrupted or killed goes on, the
//! report has every figure, and bad input starts nothing.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod program;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use program::{Ran, command, crossover, json_lines, signal};

/// Two by two races of tiny models on 20 Latin squares.
const FILE: &str = "# A tiny grid

[base.corpus]
unique = 500
held_out = 250

[base.model]
hidden_size = 16
num_hidden_layers = 1
num_attention_heads = 2

[base.train]
batch = 4
steps = 3

[base.evaluate]
every = 1
samples = 2
orders = 0

[axes]
\"corpus.unique\" = [250, 500]
\"model.dropout\" = [0.0, 0.1]
";

const NAMES: [&str; 4] = [
    "unique=250,dropout=0,seed=1",
    "unique=250,dropout=0.1,seed=1",
    "unique=500,dropout=0,seed=1",
    "unique=500,dropout=0.1,seed=1",
];

const FLAGS: [&str; 4] = ["--device", "cpu", "--threads", "2"];

fn sweep(folder: &Path, flags: &[&str]) -> Ran {
    crossover(
        folder,
        [&["sweep", "tiny.toml"][..], &FLAGS, flags].concat(),
    )
}

fn folder_with(text: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("tiny.toml"), text).unwrap();
    folder
}

/// What a run recorded, without what depends on the clock.
#[track_caller]
fn record(run: &Path) -> Vec<Value> {
    let text = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let mut lines = json_lines(&text);
    for line in &mut lines {
        for clock in ["seconds", "tokens_per_second"] {
            line.as_object_mut().unwrap().remove(clock);
        }
    }
    // Models take turns; after a break one may be a step ahead.
    lines.sort_by_key(|line| (line["step"].as_u64(), line["objective"].to_string()));
    lines
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// The tiny sweep, run once for all tests: only to be read.
struct Finished {
    folder: PathBuf,
    lines: Vec<Value>,
}

static FINISHED: LazyLock<Finished> = LazyLock::new(|| {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("sweep");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("tiny.toml"), FILE).unwrap();
    let Ran { out, .. } = sweep(&folder, &["-o", "all", "--json"]).ended(0);
    Finished {
        lines: json_lines(&out),
        folder,
    }
});

fn copied() -> TempDir {
    let folder = folder_with(FILE);
    let copied = Command::new("cp")
        .arg("-r")
        .arg(FINISHED.folder.join("all"))
        .arg(folder.path())
        .status();
    assert!(copied.unwrap().success());
    folder
}

#[test]
fn a_grid_is_a_folder_of_ordinary_races() {
    let all = FINISHED.folder.join("all");
    let found = names(&all);
    for name in NAMES.iter().chain(&[
        "configs",
        "figures",
        "logs",
        "report.html",
        "results.json",
        "sweep.json",
    ]) {
        assert!(found.contains(&(*name).to_owned()), "{name}: {found:?}");
    }
    // Alone, with the same configuration, a run is the same.
    let folder = tempfile::tempdir().unwrap();
    let config = all.join("configs").join(format!("{}.toml", NAMES[3]));
    let alone = [
        "race",
        "--config",
        config.to_str().unwrap(),
        "--out",
        "alone",
    ];
    crossover(
        folder.path(),
        [&alone[..], &["--device", "cpu", "--threads", "1"]].concat(),
    )
    .ended(0);
    assert_eq!(
        record(&all.join(NAMES[3])),
        record(&folder.path().join("alone"))
    );
    assert!(all.join(NAMES[0]).join("report.html").exists());

    let text = fs::read_to_string(all.join("sweep.json")).unwrap();
    let mark: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(mark["axes"], json!(["corpus.unique", "model.dropout"]));
    assert_eq!(
        mark["runs"][1],
        json!({
            "name": NAMES[1], "point": "unique=250,dropout=0.1", "seed": 1,
            "settings": {"corpus.unique": 250, "model.dropout": 0.1}, "command": "race",
        })
    );
}

#[test]
fn every_line_names_its_run_and_the_last_has_every_point() {
    let (last, others) = FINISHED.lines.split_last().unwrap();
    for line in others {
        assert!(NAMES.contains(&line["run"].as_str().unwrap()), "{line}");
    }
    assert_eq!(
        (&last["event"], &last["sweep"]),
        (&json!("result"), &json!("tiny"))
    );
    assert_eq!((&last["runs"], &last["finished"]), (&json!(4), &json!(4)));
    let points = last["points"].as_array().unwrap();
    for (point, name) in points.iter().zip(NAMES) {
        let own = others
            .iter()
            .find(|line| line["event"] == "result" && line["run"] == name)
            .unwrap();
        let (found, told) = (&point["result"]["difference"], &own["difference"]);
        let apart = found.as_f64().unwrap() - told.as_f64().unwrap();
        assert!(apart.abs() < 1e-12, "{name}");
    }
    let kept = fs::read_to_string(FINISHED.folder.join("all/results.json")).unwrap();
    assert_eq!(*last, serde_json::from_str::<Value>(&kept).unwrap());
    // Two dropouts on each budget: AR's best of both.
    let envelopes = last["regularised_envelopes"].as_array().unwrap();
    assert_eq!(envelopes.len(), 2);
    assert_eq!(envelopes[0]["among"], "unique=250");
    assert_eq!(envelopes[0]["tried"], 2);
}

#[test]
fn the_report_has_every_figure_and_loads_nothing() {
    let all = FINISHED.folder.join("all");
    let page = fs::read_to_string(all.join("report.html")).unwrap();
    for outside in ["http:", "https:", "src=", "@import", "<script", "<link"] {
        assert!(!page.contains(outside), "{outside}");
    }
    assert!(!page.contains("NaN") && !page.contains("Unfinished"));
    for name in NAMES {
        assert!(
            page.contains(&format!("href=\"{name}/report.html\"")),
            "{name}"
        );
    }
    let figures = names(&all.join("figures"));
    for figure in [
        "points.csv",
        "fair-ar.csv",
        "loss-unique-250-dropout-0.svg",
        "loss-unique-250-dropout-0.csv",
        "nats-per-token-corpus.unique.svg",
        "difference-nats-per-token-model.dropout.csv",
    ] {
        assert!(
            figures.contains(&figure.to_owned()),
            "{figure}: {figures:?}"
        );
    }
    let points = fs::read_to_string(all.join("figures/points.csv")).unwrap();
    assert_eq!(points.lines().count(), 5);
    let drawing = fs::read_to_string(all.join("figures/nats-per-token-corpus.unique.svg")).unwrap();
    assert!(drawing.starts_with("<svg xmlns=") && drawing.contains("<style>"));
    // The same page again, by itself.
    let folder = copied();
    fs::remove_file(folder.path().join("all/report.html")).unwrap();
    crossover(folder.path(), ["report", "all"]).ended(0);
    let again = fs::read_to_string(folder.path().join("all/report.html")).unwrap();
    assert!(again.contains("href=\"unique=250,dropout=0,seed=1/report.html\""));
}

#[test]
fn finished_runs_are_kept_and_more_may_come() {
    let folder = copied();
    let all = folder.path().join("all");
    let kept = fs::read(all.join(NAMES[0]).join("events.jsonl")).unwrap();
    let before = record(&all.join(NAMES[2]));
    fs::remove_dir_all(all.join(NAMES[2])).unwrap();
    fs::write(
        folder.path().join("tiny.toml"),
        FILE.replace("[0.0, 0.1]", "[0.0, 0.1, 0.2]"),
    )
    .unwrap();
    // One thread for each run, as when two went at once.
    let typed = [
        "sweep",
        "tiny.toml",
        "-o",
        "all",
        "--jobs",
        "1",
        "--device",
        "cpu",
        "--threads",
        "1",
    ];
    let Ran { err, .. } = crossover(folder.path(), typed).ended(0);
    assert!(
        err.contains("6 runs, 3 of them finished; 1 at once"),
        "{err}"
    );
    assert_eq!(record(&all.join(NAMES[2])), before);
    assert!(all.join("unique=500,dropout=0.2,seed=1").exists());
    let now = fs::read(all.join(NAMES[0]).join("events.jsonl")).unwrap();
    assert!(now == kept, "a finished run was touched");
}

/// Races of 400 steps, two at once.
fn long() -> String {
    FILE.replace("steps = 3", "steps = 400")
        .replace("every = 1", "every = 20")
}

fn wait_for(path: &Path, child: &mut std::process::Child) {
    let began = Instant::now();
    while !path.exists() {
        assert_eq!(child.try_wait().unwrap(), None, "it ended by itself");
        assert!(
            began.elapsed() < Duration::from_secs(120),
            "{}",
            path.display()
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn what_is_stopped_or_killed_goes_on_with_the_same_command() {
    let folder = folder_with(&long());
    sweep(folder.path(), &["-o", "straight"]).ended(0);
    let begin = || {
        command(
            folder.path(),
            [&["sweep", "tiny.toml", "-o", "broken"][..], &FLAGS].concat(),
        )
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
    };
    let broken = folder.path().join("broken");

    let mut child = begin();
    wait_for(&broken.join(NAMES[1]).join("evaluations.jsonl"), &mut child);
    signal(&child, "INT");
    let Ran { err, .. } = Ran::of(child.wait_with_output().unwrap()).ended(130);
    assert!(
        err.contains("interrupted: stopped; what was trained is saved"),
        "{err}"
    );
    assert!(err.contains("hint: the same command goes on"), "{err}");
    assert!(!err.contains("panicked"), "{err}");

    // Killed: its runs are left to themselves, or killed too, as a machine that fails does.
    let mut child = begin();
    wait_for(&broken.join(NAMES[2]).join("evaluations.jsonl"), &mut child);
    let pids = fs::read_to_string(format!("/proc/{0}/task/{0}/children", child.id()));
    child.kill().unwrap();
    child.wait().unwrap();
    for pid in pids.unwrap().split_whitespace() {
        Command::new("kill").args(["-KILL", pid]).status().unwrap();
    }
    std::thread::sleep(Duration::from_millis(300));

    let Ran { out, .. } = sweep(folder.path(), &["-o", "broken"]).ended(0);
    assert!(out.contains("Report: broken/report.html"), "{out}");
    for name in NAMES {
        assert_eq!(
            record(&broken.join(name)),
            record(&folder.path().join("straight").join(name)),
            "{name}"
        );
    }
}

#[test]
fn a_run_that_fails_is_named_and_the_others_finish() {
    // A rate that f32 can't hold: the first update is infinite.
    let text = FILE.replace(
        "\"model.dropout\" = [0.0, 0.1]",
        "\"train.learning_rate\" = [1e-3, 1e39]",
    );
    let folder = folder_with(&text);
    let Ran { err, .. } = sweep(folder.path(), &["-o", "all"]).ended(1);
    assert!(err.contains("error: 2 runs failed: "), "{err}");
    assert!(err.contains("learning_rate=1e39,seed=1: error: "), "{err}");
    assert!(err.contains("NaN"), "{err}");
    assert!(err.contains("hint: `all/logs` says why"), "{err}");
    let page = fs::read_to_string(folder.path().join("all/report.html")).unwrap();
    assert!(page.contains("Unfinished, 2 of 4 runs are done."));
}

#[test]
fn bad_input_starts_nothing_and_says_where() {
    let folder = folder_with(FILE);
    let at = |name: &str| folder.path().join(name);
    fs::write(
        at("misspelled.toml"),
        FILE.replace("corpus.unique", "corpus.uniqe"),
    )
    .unwrap();
    fs::write(at("other.toml"), "[base.train]\nbatch = \"many\"\n").unwrap();
    fs::write(
        at("impossible.toml"),
        "[axes]\n\"corpus.unique\" = [250, 3]\n",
    )
    .unwrap();
    fs::write(
        at("huge.toml"),
        "[axes]\n\"model.hidden_size\" = [16, 1000000]\n",
    )
    .unwrap();
    fs::write(at("binary.toml"), [0xff, 0xfe]).unwrap();
    fs::create_dir(at("taken")).unwrap();
    // What a sweep makes may have its name, and does not hide it.
    fs::create_dir(at("code")).unwrap();
    fs::write(at("taken/thesis.txt"), "years of work").unwrap();
    let before = names(folder.path());
    for (typed, said) in [
        (
            &["misspelled.toml"][..],
            "`misspelled.toml`, line 22: there is no setting `corpus.uniqe`",
        ),
        (&["misspelled.toml"], "hint: did you mean `corpus.unique`?"),
        (
            &["other.toml"],
            "`other.toml`, line 2: `train.batch` can't be \"many\"",
        ),
        (&["impossible.toml"], "point `unique=3`"),
        (&["huge.toml"], "point `hidden_size=1000000`"),
        (&["binary.toml"], "`binary.toml` is no text"),
        (&["missing.toml"], "there is no file `missing.toml`"),
        (&["unique-dat"], "did you mean the sweep `unique-data`?"),
        (
            &["tiny.toml", "--scale", "gpu"],
            "`tiny.toml` has no scale `gpu`",
        ),
        (&["tiny.toml", "--seeds", "0"], "`--seeds` is 0"),
        (&["tiny.toml", "--jobs", "0"], "`--jobs`"),
        (&["tiny.toml", "-o", "taken"], "`taken` already holds files"),
        (&["code"], "has no text of its own"),
        (&["fair-ar-text"], "has no text of its own"),
        (&["tiny.toml", "--corpus", "nowhere.txt"], "nowhere.txt"),
    ] {
        let Ran { out, err, .. } =
            crossover(folder.path(), [&["sweep"][..], typed].concat()).ended(2);
        assert!(err.contains(said), "{typed:?}: {err}");
        assert!(err.contains("\nhint: "), "{typed:?}: {err}");
        assert!(out.is_empty(), "{typed:?}: {out}");
        assert_eq!(names(folder.path()), before, "{typed:?} wrote something");
    }
    assert_eq!(names(&at("taken")), ["thesis.txt"]);
}

#[test]
fn another_sweep_is_not_mixed_into_a_folder() {
    let folder = copied();
    let changed = |text: String| {
        fs::write(folder.path().join("tiny.toml"), text).unwrap();
        let Ran { err, .. } = sweep(folder.path(), &["-o", "all"]).ended(2);
        assert!(
            err.contains("\nhint: write the changed sweep elsewhere"),
            "{err}"
        );
        err
    };
    let err = changed(FILE.replace("steps = 3", "steps = 4"));
    assert!(
        err.contains("with other settings than the file gives it now"),
        "{err}"
    );
    let err = changed(FILE.replace("[250, 500]", "[500]"));
    assert!(err.contains("doesn't ask for any more"), "{err}");
    fs::write(folder.path().join("tiny.toml"), FILE).unwrap();
    fs::copy(
        folder.path().join("tiny.toml"),
        folder.path().join("new.toml"),
    )
    .unwrap();
    let typed = [&["sweep", "new.toml", "-o", "all"][..], &FLAGS].concat();
    let Ran { err, .. } = crossover(folder.path(), typed).ended(2);
    assert!(err.contains("holds the sweep `tiny`"), "{err}");
}

#[test]
fn help_says_what_each_sweep_asks_and_takes() {
    let Ran { out, .. } = crossover(Path::new("."), ["sweep", "--help"]).ended(0);
    for name in ["unique-data", "fair-ar", "order", "minutes a seed"] {
        assert!(out.contains(name), "{name}: {out}");
    }
}

// Plans

#[test]
fn a_plan_follows_the_budget() {
    let plan = |budget: &str| {
        let typed = ["plan", "--unique", "1e6", "--json", "--budget", budget];
        crossover(Path::new("."), typed).ended(0).result()
    };
    let (little, much) = (plan("2e14"), plan("2e16"));
    assert_eq!(little["plan"]["advice"], "ar");
    assert_eq!(much["plan"]["advice"], "masked");
    assert_eq!(much["extrapolated"], true);
    let ratio = much["ratio"].as_f64().unwrap() / little["ratio"].as_f64().unwrap();
    assert!((ratio - 100.0).abs() < 1e-6);
    // A time is FLOPs at a speed.
    let typed = [
        "plan", "--unique", "1e6", "--json", "--budget", "1000s", "--speed", "2e13",
    ];
    let timed = crossover(Path::new("."), typed).ended(0).result();
    assert_eq!(timed["plan"], much["plan"]);
    assert_eq!(timed["seconds"], 1_000.0);

    let typed = ["plan", "--unique", "1e6", "--budget", "2e15"];
    let Ran { out, .. } = crossover(Path::new("."), typed).ended(0);
    for said in [
        "race both",
        "Extrapolated",
        "lowest predicted loss",
        "crossover race --corpus TEXT",
    ] {
        assert!(out.contains(said), "{said}: {out}");
    }
}

#[test]
fn a_plan_takes_the_laws_of_a_sweep_that_has_some() {
    let all = FINISHED.folder.join("all");
    let typed = [
        "plan", "--unique", "1e6", "--budget", "2e15", "--json", "--from",
    ];
    let typed = [&typed[..], &[all.to_str().unwrap()]].concat();
    let result = crossover(Path::new("."), typed).ended(0).result();
    // Four runs of three steps have none.
    assert!(result["own_critical"].is_null() && result["own_onset"].is_null());
}

#[test]
fn a_plan_without_sense_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for (typed, said) in [
        (
            &["--unique", "0", "--budget", "1e15"][..],
            "`--unique` is 0",
        ),
        (
            &["--unique", "1e6", "--budget", "soon"],
            "`--budget` can't be `soon`",
        ),
        (&["--unique", "1e6", "--budget", "-1"], "not above 0"),
        (
            &["--unique", "1e6", "--budget", "10"],
            "don't pay for one pass",
        ),
        (
            &["--unique", "1e6", "--budget", "1m", "--speed", "-2"],
            "`--speed` is -2",
        ),
        (
            &["--unique", "1e6", "--budget", "1e15", "--length", "0"],
            "`--length` is at least 1",
        ),
        (
            &["--unique", "1e6", "--budget", "1e15", "--from", "."],
            "holds no sweep",
        ),
    ] {
        let budget: Vec<String> = typed.iter().map(|word| (*word).to_owned()).collect();
        let typed: Vec<String> = std::iter::once("plan".to_owned())
            .chain(joined(&budget))
            .collect();
        let Ran { out, err, .. } = crossover(folder.path(), &typed).ended(2);
        assert!(err.contains(said), "{typed:?}: {err}");
        assert!(err.starts_with("error: ") && out.is_empty(), "{err}");
    }
}

/// Flags and values as one word, so that a value may begin with a minus.
fn joined(words: &[String]) -> Vec<String> {
    words.chunks(2).map(|pair| pair.join("=")).collect()
}

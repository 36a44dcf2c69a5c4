//! Several seeds in one command, and presets: each seed is the run it would be alone, what is interrupted goes on, the
//! last line is the mean of the runs, and a preset gives way to whatever the reader says.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod program;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use program::{Ran, command, crossover, json_lines, signal};

/// A race of two tiny models on 20 Latin squares: about a second.
const TINY: [&str; 20] = [
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
    "6",
    "--evaluate-every",
    "2",
    "--unique",
    "500",
    "--held-out",
    "250",
];

fn race(folder: &Path, flags: &[&str]) -> Ran {
    crossover(folder, [&["race"][..], &TINY, flags].concat())
}

/// Every file below a folder with its content.
fn content(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(content(&path));
        } else {
            found.insert(path.clone(), fs::read(&path).unwrap());
        }
    }
    found
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// What a run recorded, without what depends on the clock and the machine.
#[track_caller]
fn record(run: &Path) -> Vec<Value> {
    let read = |name: &str| json_lines(&fs::read_to_string(run.join(name)).unwrap());
    let results = read("events.jsonl").into_iter();
    let results = results.filter(|event| event["event"] == "result");
    let mut lines: Vec<Value> = read("metrics.jsonl").into_iter().chain(results).collect();
    for line in &mut lines {
        without_clock(line);
    }
    lines.extend(read("evaluations.jsonl"));
    lines
}

fn without_clock(line: &mut Value) {
    for clock in [
        "seconds",
        "tokens_per_second",
        "wall_seconds",
        "peak_memory_bytes",
    ] {
        line.as_object_mut().unwrap().remove(clock);
    }
}

/// Races of seeds 3 and 4, run once for all tests: only to be read.
struct Finished {
    folder: PathBuf,
    lines: Vec<Value>,
    err: String,
}

static FINISHED: LazyLock<Finished> = LazyLock::new(|| {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("seeds");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    let flags = ["--seed", "3", "--seeds", "2", "--json", "--out", "both"];
    let Ran { out, err, .. } = race(&folder, &flags).ended(0);
    Finished {
        lines: json_lines(&out),
        err,
        folder,
    }
});

fn copied() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let copied = Command::new("cp")
        .arg("-r")
        .arg(FINISHED.folder.join("both"))
        .arg(folder.path())
        .status();
    assert!(copied.unwrap().success());
    folder
}

#[test]
fn each_seed_is_the_run_that_it_would_be_alone() {
    let both = FINISHED.folder.join("both");
    assert_eq!(
        names(&both),
        [
            ".lock",
            "config.toml",
            "report.html",
            "seed-3",
            "seed-4",
            "seeds.json"
        ]
    );
    let folder = tempfile::tempdir().unwrap();
    for seed in ["3", "4"] {
        race(folder.path(), &["--seed", seed, "--out", seed]).ended(0);
        let (alone, run) = (folder.path().join(seed), both.join(format!("seed-{seed}")));
        assert_eq!(record(&run), record(&alone));
        assert_eq!(names(&run), names(&alone));
    }
    assert_ne!(
        record(&both.join("seed-3")).first(),
        record(&both.join("seed-4")).first()
    );

    let mark: Value = serde_json::from_slice(&fs::read(both.join("seeds.json")).unwrap()).unwrap();
    assert_eq!(
        mark,
        json!({"version": 1, "seeds": [3, 4], "command": "race"})
    );
    let config: toml::Table = fs::read_to_string(both.join("config.toml"))
        .unwrap()
        .parse()
        .unwrap();
    assert_eq!(config["seed"].as_integer(), Some(3));
    assert!(!config.contains_key("provenance"));
    for seed in [3, 4] {
        let said = format!("seed {seed} ({} of 2)", seed - 2);
        assert!(FINISHED.err.contains(&said), "{}", FINISHED.err);
    }
}

#[test]
fn the_last_line_is_the_mean_of_the_runs() {
    let (last, others) = FINISHED.lines.split_last().unwrap();
    assert!(
        others.iter().all(|line| line["seed"].is_u64()),
        "each line names its seed"
    );
    let results: Vec<&Value> = others
        .iter()
        .filter(|line| line["event"] == "result")
        .collect();
    let [third, fourth] = results[..] else {
        panic!("a result for each seed: {results:?}")
    };
    assert_eq!((&third["seed"], &fourth["seed"]), (&json!(3), &json!(4)));

    assert_eq!(last["event"], "result");
    assert_eq!(last["seeds"], json!([3, 4]));
    for (key, spread) in [
        ("ar_best", "ar_best_spread"),
        ("masked_best", "masked_best_spread"),
        ("difference", "difference_spread"),
    ] {
        let value = match key {
            "difference" => key.to_owned(),
            _ => format!("{key}_nats"),
        };
        let of = |line: &Value| line[&value].as_f64().unwrap();
        let (a, b) = (of(third), of(fourth));
        assert!((of(last) - (a + b) / 2.0).abs() < 1e-12, "{key}");
        // Two values lie |a - b| / √2 apart as a deviation, and half their distance as the mean's standard error.
        let near = |key: &str, expected: f64| {
            assert!(
                (last[key].as_f64().unwrap() - expected).abs() < 1e-12,
                "{key}"
            );
        };
        near(spread, (a - b).abs() / 2.0_f64.sqrt());
        near(&format!("{key}_se"), (a - b).abs() / 2.0);
    }
    let paired = |line: &Value| line["difference_se"].as_f64().unwrap();
    let mean = (paired(third) + paired(fourth)) / 2.0;
    assert!((last["paired_se"].as_f64().unwrap() - mean).abs() < 1e-12);
    let crossed = results
        .iter()
        .filter(|line| line["envelope_crossover_epoch"].is_f64())
        .count();
    assert_eq!(last["envelope_crossovers"], crossed);
    assert_eq!(last["envelope_crossover_epoch"].is_f64(), crossed == 2);
    assert_eq!(last["floor_nats"], third["floor_nats"]);
    for (run, result) in last["runs"].as_array().unwrap().iter().zip(results) {
        for (key, value) in run.as_object().unwrap() {
            assert_eq!(&result[key], value, "{key}");
        }
    }
}

#[test]
fn a_seed_that_is_missing_is_run_and_a_finished_one_is_taken_over() {
    let folder = copied();
    let both = folder.path().join("both");
    let before = record(&both.join("seed-4"));
    let kept = fs::read(both.join("seed-3/metrics.jsonl")).unwrap();
    fs::remove_dir_all(both.join("seed-4")).unwrap();
    fs::remove_file(both.join("report.html")).unwrap();

    // A report of what there is says what is missing.
    crossover(folder.path(), ["report", "both"]).ended(0);
    let page = fs::read_to_string(both.join("report.html")).unwrap();
    assert!(
        page.contains("Unfinished, 1 of 2 seeds are done."),
        "{page}"
    );
    assert!(page.contains("not begun") && page.contains("race --resume both"));

    let resume = ["race", "--resume", "both", "--json"];
    let Ran { out, .. } = crossover(folder.path(), resume).ended(0);
    let lines = json_lines(&out);
    assert!(
        lines
            .iter()
            .all(|line| line["event"] != "metrics" || line["seed"] == 4)
    );
    // A result that was read from a file may differ in its last digit.
    let (last, first) = (lines.last().unwrap(), FINISHED.lines.last().unwrap());
    assert_eq!(last["seeds"], first["seeds"]);
    for (key, value) in first.as_object().unwrap() {
        let same = match (last[key].as_f64(), value.as_f64()) {
            (Some(now), Some(then)) => (now - then).abs() < 1e-12,
            _ => value.is_array() || value.is_object() || last[key] == *value,
        };
        assert!(same, "{key}");
    }
    assert_eq!(record(&both.join("seed-4")), before);
    assert!(fs::read(both.join("seed-3/metrics.jsonl")).unwrap() == kept);

    // All are finished now: nothing is trained.
    let Ran {
        out: table, err, ..
    } = crossover(folder.path(), &resume[..3]).ended(0);
    for said in [
        "Seed 3 ",
        "Seed 4 ",
        "Mean ± SE",
        "Spread",
        "Report: both/report.html",
    ] {
        assert!(table.contains(said), "no `{said}` in\n{table}");
    }
    assert!(!err.contains("step 2 of 6"), "{err}");
    let page = fs::read_to_string(both.join("report.html")).unwrap();
    for linked in ["href=\"seed-3/report.html\"", "href=\"seed-4/report.html\""] {
        assert!(page.contains(linked));
    }
    assert!(!page.contains("Unfinished") && !page.contains("NaN"));
}

#[test]
fn interrupted_seeds_go_on_where_they_were() {
    let folder = tempfile::tempdir().unwrap();
    let flags = |out| {
        [
            "--seeds",
            "2",
            "--steps",
            "60",
            "--evaluate-every",
            "20",
            "--out",
            out,
        ]
    };
    // Later flags replace earlier ones only if they are not there twice.
    let typed = |out| {
        let mut typed: Vec<&str> = vec!["race"];
        let own = flags(out);
        for pair in TINY.chunks(2) {
            if !own.contains(&pair[0]) {
                typed.extend(pair);
            }
        }
        typed.extend(own);
        typed
    };
    crossover(folder.path(), typed("straight")).ended(0);
    let stopped = folder.path().join("stopped");
    let mut child = command(folder.path(), typed("stopped"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let began = Instant::now();
    // In the second seed's training, so that one is finished and one begun.
    while !stopped.join("seed-2/evaluations.jsonl").exists() {
        assert_eq!(
            child.try_wait().unwrap(),
            None,
            "the runs ended by themselves"
        );
        assert!(began.elapsed() < Duration::from_secs(120), "no second seed");
        std::thread::sleep(Duration::from_millis(2));
    }
    signal(&child, "INT");
    let Ran { err, .. } = Ran::of(child.wait_with_output().unwrap()).ended(130);
    assert!(err.contains("interrupted: "), "{err}");
    assert!(err.contains("crossover race --resume stopped`"), "{err}");
    assert!(!err.contains("panicked"), "{err}");
    crossover(folder.path(), ["race", "--resume", "stopped"]).ended(0);
    for seed in ["seed-1", "seed-2"] {
        let straight = folder.path().join("straight").join(seed);
        assert_eq!(record(&stopped.join(seed)), record(&straight));
    }
}

#[test]
fn force_replaces_seeds_and_nothing_else() {
    let folder = copied();
    let both = folder.path().join("both");
    fs::write(both.join("notes.txt"), "mine").unwrap();
    fs::write(both.join("seed-4/notes.txt"), "mine too").unwrap();
    fs::create_dir(both.join("seed-9")).unwrap();
    fs::write(both.join("seed-9/thesis.txt"), "years of work").unwrap();
    let before = content(folder.path());
    race(folder.path(), &["--seeds", "2", "--out", "both"]).ended(2);
    for refused in [
        &["--dropout", "2"][..],
        &["--corpus", "missing.txt"],
        &["--intermediate-size", "1000000000"],
        &["--second", "block", "--block-size", "7"],
        // Where a seed would go, there is something else.
        &["--seed", "8"],
        &["--seeds", "0"],
    ] {
        let seeds = if refused[0] == "--seeds" {
            &[][..]
        } else {
            &["--seeds", "2"]
        };
        let flags = [&["--out", "both", "--force"], seeds, refused].concat();
        let Ran { err, .. } = race(folder.path(), &flags).ended(2);
        assert!(err.contains("\nhint: "), "{err}");
        assert!(content(folder.path()) == before, "{refused:?}");
    }

    // A single run takes the place of the seeds.
    race(folder.path(), &["--out", "both", "--force"]).ended(0);
    let files = names(&both);
    for (name, is_there) in [
        ("metrics.jsonl", true),
        ("notes.txt", true),
        ("seed-9", true),
        ("seed-4", true),
        ("seed-3", false),
        ("seeds.json", false),
    ] {
        assert_eq!(
            files.contains(&name.to_owned()),
            is_there,
            "{name}: {files:?}"
        );
    }
    assert_eq!(names(&both.join("seed-4")), [".lock", "notes.txt"]);

    // And seeds that of a single run.
    let flags = ["--out", "both", "--force", "--seed", "4", "--seeds", "2"];
    race(folder.path(), &flags).ended(0);
    let files = names(&both);
    assert!(
        files.contains(&"seeds.json".to_owned()) && !files.contains(&"metrics.jsonl".to_owned())
    );
    let read = |name: &str| fs::read_to_string(both.join(name)).unwrap();
    assert_eq!(read("notes.txt"), "mine");
    assert_eq!(read("seed-4/notes.txt"), "mine too");
    assert_eq!(read("seed-9/thesis.txt"), "years of work");
}

#[test]
fn seeds_that_can_t_be_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let single = folder.path().join("single");
    fs::create_dir(&single).unwrap();
    let run = FINISHED.folder.join("both/seed-3/config.toml");
    fs::copy(run, single.join("config.toml")).unwrap();
    fs::create_dir(folder.path().join("newer")).unwrap();
    let newer = "{\"version\":2,\"seeds\":[1],\"command\":\"race\"}";
    fs::write(folder.path().join("newer/seeds.json"), newer).unwrap();
    let before = content(folder.path());
    for (typed, mentioned) in [
        (&["race", "--seeds", "0"][..], "`--seeds` is 0"),
        (&["race", "--seeds", "1001"], "1001"),
        (
            &["race", "--seeds", "2", "--seed", "18446744073709551615"],
            "18446744073709551615",
        ),
        (&["race", "--seeds", "2", "--held-out", "25"], "25 tokens"),
        (&["race", "--seeds", "2", "--hidden-size", "1000000"], "GB"),
        (
            &["race", "--seeds", "3", "--resume", "single"],
            "`single` holds a single run",
        ),
        (&["race", "--resume", "newer"], "version 2"),
        (&["report", "newer"], "version 2"),
    ] {
        let Ran { out, err, .. } = crossover(folder.path(), typed).ended(2);
        assert!(out.is_empty(), "{typed:?}: {out}");
        assert!(
            err.starts_with("error: ") && err.contains("\nhint: "),
            "{err}"
        );
        assert!(err.contains(mentioned), "{typed:?}: {err}");
        assert!(
            content(folder.path()) == before,
            "{typed:?} wrote something"
        );
    }
}

#[test]
fn one_model_can_have_several_seeds_too() {
    let folder = tempfile::tempdir().unwrap();
    let flags = [
        "--objective",
        "ar",
        "--seeds",
        "2",
        "--json",
        "--out",
        "two",
    ];
    let typed = [&["train"][..], &TINY, &flags].concat();
    let Ran { out, .. } = crossover(folder.path(), &typed).ended(0);
    let lines = json_lines(&out);
    let last = lines.last().unwrap();
    let runs = last["runs"].as_array().unwrap();
    let [a, b] = [&runs[0], &runs[1]].map(|run| run["nats"].as_f64().unwrap());
    assert!((last["nats"].as_f64().unwrap() - (a + b) / 2.0).abs() < 1e-12);
    assert!((last["se"].as_f64().unwrap() - (a - b).abs() / 2.0).abs() < 1e-12);
    assert_eq!(
        (&last["objective"], &last["bound"]),
        (&json!("ar"), &json!("exact"))
    );
    let page = fs::read_to_string(folder.path().join("two/report.html")).unwrap();
    assert!(page.contains("train of 2 seeds") && page.contains("href=\"seed-2/report.html\""));
}

#[test]
fn both_losses_of_a_dual_opponent_are_put_together() {
    let folder = tempfile::tempdir().unwrap();
    let flags = ["--second", "dual", "--seeds", "2", "--json", "--out", "two"];
    let Ran { out, .. } = race(folder.path(), &flags).ended(0);
    let lines = json_lines(&out);
    let last = lines.last().unwrap();
    assert_eq!(last["second"], "dual");
    let runs = last["runs"].as_array().unwrap();
    for key in ["nats", "difference"] {
        let [a, b] = [&runs[0], &runs[1]].map(|run| run["dual_ar"][key].as_f64().unwrap());
        let mean = last["dual_ar"][key].as_f64().unwrap();
        assert!((mean - (a + b) / 2.0).abs() < 1e-12, "{key}");
    }
    for page in ["two/report.html", "two/seed-1/report.html"] {
        let page = fs::read_to_string(folder.path().join(page)).unwrap();
        assert!(page.contains("◆ Dual as AR") && page.contains("▼ Dual bound"));
        assert!(!page.contains("NaN"));
    }
}

#[test]
fn one_seed_is_a_plain_run() {
    let folder = tempfile::tempdir().unwrap();
    race(folder.path(), &["--seeds", "1", "--out", "one"]).ended(0);
    race(folder.path(), &["--out", "plain"]).ended(0);
    let [one, plain] = ["one", "plain"].map(|name| folder.path().join(name));
    assert_eq!(names(&one), names(&plain));
    assert_eq!(record(&one), record(&plain));
}

// Presets

#[test]
fn help_says_what_each_preset_promises() {
    for command in ["race", "train"] {
        let Ran { out: help, .. } = crossover(Path::new("."), [command, "--help"]).ended(0);
        for name in ["grids", "tales", "shakespeare-like", "code"] {
            let named = |line: &&str| line.trim_start().starts_with(name);
            assert!(help.lines().any(|line| named(&line)), "{name}: {help}");
        }
        assert!(help.contains("may not cross"), "{help}");
    }
    let Ran { err, .. } =
        crossover(Path::new("."), ["race", "--preset", "list-all-of-them"]).ended(2);
    assert!(
        err.contains("\n  grids ") && err.contains("\n  code "),
        "{err}"
    );
    let Ran { err, .. } = crossover(Path::new("."), ["race", "--preset", "tale"]).ended(2);
    assert!(err.contains("hint: did you mean `tales`?"), "{err}");
}

#[test]
fn a_preset_gives_way_to_a_file_and_a_file_to_flags() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(
        folder.path().join("mine.toml"),
        "[train]\nlearning_rate = 0.002\nweight_decay = 0.3\n[model]\nhidden_size = 999\n",
    )
    .unwrap();
    let flags = [
        "--preset",
        "grids",
        "--config",
        "mine.toml",
        "--weight-decay",
        "0.4",
        "--out",
        "run",
    ];
    race(folder.path(), &flags).ended(0);
    let text = fs::read_to_string(folder.path().join("run/config.toml")).unwrap();
    let config: toml::Table = text.parse().unwrap();
    assert_eq!(
        config["corpus"]["source"][0].as_str(),
        Some("grids:latin-5")
    );
    assert_eq!(config["train"]["learning_rate"].as_float(), Some(0.002));
    assert_eq!(config["train"]["weight_decay"].as_float(), Some(0.4));
    assert_eq!(config["model"]["hidden_size"].as_integer(), Some(16));
}

#[test]
fn a_preset_without_a_text_asks_for_one() {
    let folder = tempfile::tempdir().unwrap();
    for preset in ["shakespeare-like", "code"] {
        for command in [
            &["race"][..],
            &["train", "--objective", "ar"],
            &["race", "--seeds", "2"],
        ] {
            let typed = [command, &["--preset", preset]].concat();
            let Ran { out, err, .. } = crossover(folder.path(), &typed).ended(2);
            assert!(err.contains(&format!("`{preset}` has no text")), "{err}");
            assert!(
                err.contains("\nhint: ") && err.contains("--corpus"),
                "{err}"
            );
            assert!(out.is_empty());
        }
        let flops = ["flops", "--preset", preset, "--json"];
        let Ran { out, .. } = crossover(folder.path(), flops).ended(0);
        let counted = &json_lines(&out)[0];
        assert!(
            counted["parameters"].as_u64().unwrap() > 400_000,
            "{counted}"
        );
    }
    assert!(content(folder.path()).is_empty());
    let Ran { out, .. } =
        crossover(folder.path(), ["flops", "--preset", "grids", "--json"]).ended(0);
    let Ran { out: plain, .. } = crossover(folder.path(), ["flops", "--json"]).ended(0);
    assert_eq!(out, plain, "the default race's shape");
}

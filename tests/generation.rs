//! `evaluate --generate`: every way of writing is measured beside real text, by a twin, and by the source where it is
//! known; what can't be compared is refused.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod program;

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use serde_json::Value;
use tempfile::TempDir;

use program::{Ran, crossover};

const TINY: [&str; 16] = [
    "--device",
    "cpu",
    "--hidden-size",
    "16",
    "--layers",
    "1",
    "--heads",
    "2",
    "--batch",
    "4",
    "--steps",
    "4",
    "--evaluate-every",
    "4",
    "--unique",
    "500",
];

/// A folder with finished races: `markov` of windows of 8 symbols, `grids`, and a block model in `block`.
static RACES: LazyLock<TempDir> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    fs::write(
        at.join("chain.toml"),
        "transition = [[0.8, 0.15, 0.05], [0.1, 0.8, 0.1], [0.25, 0.05, 0.7]]",
    )
    .unwrap();
    fs::write(at.join("text.txt"), "abcabbca".repeat(40)).unwrap();
    let markov = [
        "--corpus",
        "markov:chain.toml",
        "--length",
        "8",
        "--held-out",
        "400",
    ];
    let grids = ["--held-out", "250"];
    for (out, flags) in [
        ("markov", &markov[..]),
        ("grids", &grids),
        ("block", &[&markov[..], &["--second", "block"]].concat()),
        ("dual", &[&markov[..], &["--second", "dual"]].concat()),
    ] {
        crossover(at, [&["race", "--out", out][..], &TINY, flags].concat()).ended(0);
    }
    folder
});

fn checkpoint(run: &str, model: &str) -> String {
    format!("{run}/checkpoints/best-{model}.safetensors")
}

fn evaluate(folder: &Path, checkpoint: &str, flags: &[&str]) -> Ran {
    let model = ["evaluate", "--device", "cpu", "--checkpoint", checkpoint];
    crossover(folder, [&model[..], flags].concat())
}

/// The rows, and the result behind them.
fn generate(run: &str, model: &str, flags: &[&str]) -> (Vec<Value>, Value) {
    let flags = [&["--json", "--generate"][..], flags].concat();
    let ran = evaluate(RACES.path(), &checkpoint(run, model), &flags).ended(0);
    let mut lines = ran.lines();
    let result = lines.pop().unwrap();
    assert_eq!(result["event"], "result");
    assert_eq!(result["rows"], lines.len());
    assert!(lines.iter().all(|row| row["event"] == "row"));
    (lines, result)
}

#[track_caller]
fn assert_estimate(row: &Value, key: &str) -> f64 {
    let (mean, se) = (&row[key]["mean"], &row[key]["se"]);
    assert!(mean.is_f64() && se.is_f64(), "{key} of {row}");
    mean.as_f64().unwrap()
}

#[test]
fn every_sampler_and_rung_is_a_row_beside_real_text_and_the_twin() {
    let flags = [
        "6",
        "--samplers",
        "low-confidence,ancestral",
        "--steps-ladder",
        "8,1",
    ];
    let (rows, result) = generate("markov", "masked", &flags);
    let named: Vec<String> = rows
        .iter()
        .map(|row| {
            let text = |key: &str| row[key].as_str().unwrap_or("-").to_owned();
            format!("{} {} {}", text("writer"), text("way"), row["asked_steps"])
        })
        .collect();
    assert_eq!(
        named,
        [
            "reference - null",
            "twin autoregressive null",
            "model low-confidence 1",
            "model low-confidence 8",
            "model ancestral 1",
            "model ancestral 8",
        ]
    );
    for row in &rows {
        assert_eq!(row["samples"], 6);
        for key in [
            "twin_nats",
            "accepted",
            "true_nats",
            "entropy",
            "pooled_entropy",
            "distinct_1",
            "distinct_2",
            "distinct_3",
            "repetition_4",
        ] {
            assert!(assert_estimate(row, key) >= 0.0);
        }
        assert_eq!(row["judged"], 6);
        assert_eq!(row["accepted"]["mean"], 1.0);
        assert!(row["valid"].is_null() && row["novel"].is_null());
        let costs = ["steps", "model_calls", "flops", "seconds"];
        if row["writer"] == "reference" {
            assert!(costs.iter().all(|cost| row[cost].is_null()), "{row}");
        } else {
            assert!(assert_estimate(row, "model_calls") > 0.0);
            assert!(assert_estimate(row, "flops") > 0.0);
            assert!(row["seconds"].as_f64().unwrap() > 0.0);
        }
    }
    assert_eq!(rows[3]["sampler"]["name"], "low-confidence");
    assert_eq!(rows[3]["model_calls"]["mean"], 8.0);
    assert_eq!(rows[2]["steps"]["mean"], 1.0);
    assert_eq!(result["samples"], 6);
    assert_eq!(result["length"], 8);
    assert!(
        result["twin"]
            .as_str()
            .unwrap()
            .ends_with("best-ar.safetensors")
    );
    assert!(
        result["source"]
            .as_str()
            .unwrap()
            .ends_with("chain.toml, test part")
    );
    assert!(result["page"].is_null());

    // The same seed gives the same figures.
    let (again, _) = generate("markov", "masked", &flags);
    for (row, again) in rows.iter().zip(&again) {
        for key in ["model_calls", "twin_nats", "true_nats", "entropy"] {
            assert_eq!(row[key], again[key]);
        }
    }
}

#[test]
fn by_default_the_ladder_doubles_and_every_sampler_climbs_it() {
    for (run, model, expected) in [
        ("markov", "masked", &[1, 2, 4, 8][..]),
        ("block", "block", &[2, 4, 8]),
    ] {
        let (rows, _) = generate(run, model, &["2", "--samplers", "ancestral"]);
        let steps: Vec<u64> = rows
            .iter()
            .filter_map(|row| row["asked_steps"].as_u64())
            .collect();
        assert_eq!(steps, expected);
    }
    let (rows, _) = generate("markov", "masked", &["2"]);
    let samplers: std::collections::BTreeSet<String> = rows
        .iter()
        .filter_map(|row| Some(row["sampler"].as_object()?["name"].to_string()))
        .collect();
    let known = crossover::sample::Sampler::ALL.map(|sampler| format!("\"{sampler}\""));
    assert_eq!(samplers, known.into_iter().collect());
}

#[test]
fn a_model_that_reads_left_to_right_has_one_way_and_judges_itself() {
    let (rows, result) = generate("markov", "ar", &["5"]);
    let writers: Vec<&Value> = rows.iter().map(|row| &row["writer"]).collect();
    assert_eq!(writers, ["reference", "model"]);
    assert_eq!(rows[1]["way"], "autoregressive");
    assert_eq!(rows[1]["model_calls"]["mean"], 8.0);
    assert_eq!(result["objective"], "ar");
    let (rows, _) = generate("dual", "dual", &["2", "--samplers", "ancestral"]);
    let ways: Vec<&Value> = rows.iter().skip(1).map(|row| &row["way"]).collect();
    assert_eq!(
        ways,
        [
            "autoregressive",
            "autoregressive",
            "ancestral",
            "ancestral",
            "ancestral",
            "ancestral"
        ]
    );
}

#[test]
fn grids_are_checked_by_their_rules() {
    let (rows, _) = generate("grids", "masked", &["4", "--samplers", "ancestral"]);
    assert_eq!(rows[0]["valid"]["mean"], 1.0);
    assert_eq!(rows[0]["novel"]["mean"], 1.0);
    for row in &rows {
        assert_estimate(row, "valid");
        assert!(row["true_nats"].is_null() && row["judged"].is_null());
    }
}

#[test]
fn a_checkpoint_on_its_own_is_measured_without_twin_and_reference_unless_they_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let from = RACES.path();
    fs::copy(
        from.join(checkpoint("markov", "masked")),
        at.join("m.safetensors"),
    )
    .unwrap();
    fs::copy(
        from.join(checkpoint("markov", "ar")),
        at.join("a.safetensors"),
    )
    .unwrap();
    fs::copy(from.join("text.txt"), at.join("text.txt")).unwrap();
    let model = ["--generate", "3", "--samplers", "ancestral", "--json"];
    let ran = evaluate(at, "m.safetensors", &model).ended(0);
    assert!(
        ran.err.contains("no twin") && ran.err.contains("no real text"),
        "{}",
        ran.err
    );
    let lines = ran.lines();
    assert!(
        lines[..4]
            .iter()
            .all(|row| row["writer"] == "model" && row["twin_nats"].is_null())
    );
    let more = ["--twin", "a.safetensors", "--text", "text.txt"];
    let ran = evaluate(at, "m.safetensors", &[&model[..], &more].concat()).ended(0);
    let lines = ran.lines();
    assert_eq!(lines[0]["writer"], "reference");
    assert_eq!(lines[1]["writer"], "twin");
    assert_estimate(&lines[2], "twin_nats");
    // Nobody said that the text is a chain's.
    assert!(lines.iter().all(|row| row["true_nats"].is_null()));
}

#[test]
fn a_person_gets_a_table_of_80_columns_and_a_page() {
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("frontier.html");
    let flags = ["--generate", "4", "--out", page.to_str().unwrap()];
    let ran = evaluate(RACES.path(), &checkpoint("markov", "masked"), &flags).ended(0);
    for name in [
        "held-out text",
        "AR twin",
        "low-confidence",
        "twin NLL",
        "true NLL",
        "entropy",
        "Page: ",
    ] {
        assert!(ran.out.contains(name), "{}", ran.out);
    }
    let table = ran.out.lines().take_while(|line| !line.is_empty());
    assert!(
        table.clone().all(|line| line.chars().count() <= 80),
        "{}",
        ran.out
    );
    assert!(table.count() > 8);
    let html = fs::read_to_string(&page).unwrap();
    assert!(html.starts_with("<!doctype html>") && html.contains("<svg class=\"chart wide\""));
    assert!(html.contains("ancestral, 8 steps: ") && !html.contains("NaN"));
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(left.len(), 1, "{left:?}");
}

#[test]
fn what_can_t_be_compared_is_refused_and_nothing_is_written() {
    let masked = checkpoint("markov", "masked");
    let ar = checkpoint("markov", "ar");
    let other = checkpoint("grids", "ar");
    let cases: [(&str, &[&str], &str); 16] = [
        (&masked, &["--generate", "0"], "`--generate 0`"),
        (&masked, &["--generate", "1"], "at least 2 samples"),
        (
            &masked,
            &["--generate", "2", "--samplers", "lowconfidence"],
            "`lowconfidence`",
        ),
        (
            &masked,
            &["--generate", "2", "--samplers", ""],
            "there is no sampler ``",
        ),
        (
            &masked,
            &["--generate", "2", "--steps-ladder", "0,4"],
            "`0` steps",
        ),
        (
            &masked,
            &[
                "--generate",
                "2",
                "--steps-ladder",
                "9",
                "--samplers",
                "low-confidence",
            ],
            "over 9 steps",
        ),
        (
            &masked,
            &[
                "--generate",
                "2",
                "--samplers",
                "threshold",
                "--steps-ladder",
                "2",
            ],
            "as many steps as they find right",
        ),
        (
            &masked,
            &["--generate", "2", "--twin", &other],
            "tokens are not those of",
        ),
        (
            &masked,
            &["--generate", "2", "--twin", &masked],
            "doesn't read left to right",
        ),
        (
            &masked,
            &["--generate", "2", "--twin", "text.txt"],
            "`text.txt`",
        ),
        (
            &masked,
            &["--generate", "2", "--text", "missing.txt"],
            "`missing.txt`",
        ),
        (
            &masked,
            &["--generate", "2", "--out", "missing/page.html"],
            "`missing`",
        ),
        (
            &masked,
            &["--generate", "2", "--out", "grids"],
            "`grids` is a folder",
        ),
        (
            &ar,
            &["--generate", "2", "--samplers", "ancestral"],
            "`--samplers`",
        ),
        (
            &ar,
            &["--generate", "2", "--steps-ladder", "2"],
            "`--steps-ladder`",
        ),
        (
            &checkpoint("block", "block"),
            &["--generate", "2", "--steps-ladder", "1"],
            "2 blocks",
        ),
    ];
    for (checkpoint, flags, mentioned) in cases {
        let out = [flags, &["--out", "page.html"]].concat();
        let flags = if flags.contains(&"--out") {
            flags
        } else {
            &out
        };
        let ran = evaluate(RACES.path(), checkpoint, flags).ended(2);
        assert!(ran.err.contains(mentioned), "{flags:?}: {}", ran.err);
        assert!(ran.err.contains("hint: "), "{flags:?}: {}", ran.err);
        assert!(ran.out.is_empty(), "{flags:?}");
        assert!(!RACES.path().join("page.html").exists(), "{flags:?}");
    }
    for flags in [
        &[][..],
        &["--text", "text.txt", "--twin", &ar],
        &["--text", "text.txt", "--samplers", "ancestral"],
        &["--generate", "2", "--orders", "2"],
        &["--generate", "-1"],
    ] {
        let ran = evaluate(RACES.path(), &masked, flags).ended(2);
        assert!(
            ran.err.contains("Usage:") || ran.err.contains("--help"),
            "{}",
            ran.err
        );
    }
}

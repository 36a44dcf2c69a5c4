//! `evaluate --task`: questions are read in every form and put to every kind of model; what can't be put is refused
//! before anything is asked.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod program;

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use serde_json::{Value, json};
use tempfile::TempDir;

use program::{Ran, crossover};

/// A folder with two finished races on tales, of windows of 40 characters: against a dual model and against one of blocks.
static RACES: LazyLock<TempDir> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    for (out, second) in [("dual", "dual"), ("block", "block")] {
        let flags = "--corpus tales --length 40 --held-out 400 --unique 2000 --hidden-size 16 --layers 1 --heads 2 --batch 4 \
            --steps 4 --evaluate-every 4 --device cpu";
        let race = ["race", "--out", out, "--second", second];
        crossover(at, race.into_iter().chain(flags.split_whitespace())).ended(0);
    }
    crossover(
        at,
        "train --objective masked --out masked --corpus tales --length 40 --held-out 400 --unique 2000 --hidden-size 16 \
            --layers 1 --heads 2 --batch 4 --steps 4 --evaluate-every 4 --device cpu"
            .split_whitespace(),
    )
    .ended(0);
    folder
});

const MODELS: [(&str, &str); 4] = [
    ("dual", "ar"),
    ("dual", "dual"),
    ("block", "block"),
    ("masked", "masked"),
];

fn evaluate((run, model): (&str, &str), flags: &[&str]) -> Ran {
    let checkpoint = format!("{run}/checkpoints/best-{model}.safetensors");
    let known = ["evaluate", "--device", "cpu", "--checkpoint", &checkpoint];
    crossover(RACES.path(), [&known[..], flags].concat())
}

/// A file of this name among the races.
fn file(name: &str, lines: &[Value]) -> String {
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    fs::write(RACES.path().join(name), text).unwrap();
    name.to_owned()
}

fn asked(model: (&str, &str), task: &str, flags: &[&str]) -> (Vec<Value>, Value) {
    let ran = evaluate(model, &[&["--json", "--task", task][..], flags].concat()).ended(0);
    let mut lines = ran.lines();
    let result = lines.pop().unwrap();
    assert_eq!(result["event"], "result");
    assert!(lines.iter().all(|line| line["event"] == "question"));
    (lines, result)
}

#[test]
fn tales_are_asked_about_and_the_same_again() {
    for model in MODELS {
        let (questions, result) = asked(model, "tales", &["--limit", "6", "--samples", "8"]);
        let halves = if model.1 == "dual" { 2 } else { 1 };
        assert_eq!(questions.len(), 6 * halves);
        assert_eq!(result["questions"], 6);
        assert_eq!(result["kind"], "multiple-choice");
        assert_eq!(result["task"], "tales");
        assert_eq!(result["objective"], model.1);
        assert_eq!(result["cut"], 0);
        assert_eq!(result["dual_ar"].is_object(), model.1 == "dual");
        let is_exact = model.1 == "ar";
        assert_eq!(result["bound"], if is_exact { "exact" } else { "elbo" });
        assert_eq!(result["samples"].is_null(), is_exact);
        for key in ["nats", "se", "chance"] {
            assert!(result[key].as_f64().unwrap() > 0.0, "{key} of {result}");
        }
        let right = questions.iter().take(6);
        let right = right.filter(|one| one["chosen"] == one["label"]).count();
        let acc = result["acc"]["mean"].as_f64().unwrap();
        assert!((acc - right as f64 / 6.0).abs() < 1e-12);
        for question in &questions {
            let choices = question["choices"].as_array().unwrap();
            let share: f64 = choices
                .iter()
                .map(|choice| choice["probability"].as_f64().unwrap())
                .sum();
            assert!((share - 1.0).abs() < 1e-9);
            let exact = question["likelihood"] == "ar";
            let is_sampled = |choice: &Value| choice["se"].as_f64().unwrap() > 0.0;
            // Eight masks are fewer than an answer of four characters has.
            assert!(!exact || !choices.iter().any(is_sampled));
        }
        let again = asked(model, "tales", &["--limit", "6", "--samples", "8"]);
        assert_eq!(again, (questions, result));
    }
    let (few, _) = asked(MODELS[0], "tales", &["--limit", "2"]);
    let (many, _) = asked(MODELS[0], "tales", &["--limit", "3"]);
    assert_eq!(few[..], many[..2]);
    let (other, _) = asked(MODELS[0], "tales", &["--limit", "2", "--seed", "2"]);
    assert_ne!(few, other);
}

#[test]
fn a_model_that_has_learned_something_answers_better_than_guessing() {
    let train = "train --objective ar --out learned --corpus tales --length 64 --held-out 2000 --unique 400000 --hidden-size 64 \
        --layers 2 --heads 2 --batch 16 --steps 400 --evaluate-every 400 --lr 3e-3 --device cpu";
    crossover(RACES.path(), train.split_whitespace()).ended(0);
    // It scored 40 % of 400 questions when this was written, where guessing gets 30 %.
    let (_, result) = asked(("learned", "ar"), "tales", &["--limit", "250"]);
    let [mean, se] = ["mean", "se"].map(|key| result["acc"][key].as_f64().unwrap());
    let chance = result["chance"].as_f64().unwrap();
    assert!(
        mean > chance + se,
        "{mean} ± {se} where guessing gets {chance}"
    );
    assert!(result["nats"].as_f64().unwrap() < 2.0);
}

#[test]
fn every_form_of_question_is_put() {
    let task = file(
        "forms.jsonl",
        &[
            json!({"context": "The hen was", "choices": [" right", " in the barn"], "label": 0}),
            json!({"ctx": "The hen", "endings": ["sat", "ran", "was"], "label": "2"}),
            json!({"question": "Who?", "choices": ["hen", "owl"], "answer": 1}),
            json!({"question": {"stem": "Who?", "choices": [
                {"text": "hen", "label": "A"}, {"text": "owl", "label": "B"}
            ]}, "answerKey": "B"}),
            json!({"goal": "the hen", "sol1": "was", "sol2": "were", "label": 0}),
        ],
    );
    // Letters and colons are nothing to the characters of tales: the first two are.
    let (questions, result) = asked(MODELS[0], &task, &["--limit", "2"]);
    assert_eq!(result["questions"], 2);
    let lines: Vec<&Value> = questions.iter().map(|question| &question["line"]).collect();
    assert_eq!(lines, [1, 2]);
    let refused = evaluate(MODELS[0], &["--json", "--task", &task]).ended(2);
    assert!(
        refused.err.contains("`forms.jsonl`: line 3: character"),
        "{}",
        refused.err
    );
    assert!(refused.out.is_empty());
    let ran = evaluate(MODELS[0], &["--task", &task, "--limit", "2"]).ended(0);
    assert!(
        ran.out.contains("(acc_norm), where guessing gets 41.7 %"),
        "{}",
        ran.out
    );
    assert!(ran.out.contains("2 questions\n"), "{}", ran.out);
}

#[test]
fn last_words_and_gaps_are_filled() {
    let cloze = file(
        "cloze.jsonl",
        &[
            json!({"text": "They found nothing behind the bakery, but a hen"}),
            json!({"text": "in the barn"}),
        ],
    );
    for model in MODELS {
        let (questions, result) = asked(model, &cloze, &[]);
        assert_eq!(result["kind"], "cloze");
        assert_eq!(result["cut"], 1);
        assert!(result["acc_norm"].is_null() && result["chance"].is_null());
        let written = questions[0]["written"].as_str().unwrap();
        assert_eq!(written.chars().count(), " hen".len(), "{written:?}");
        assert_eq!(questions[0]["tokens"], 4);
        let right = written == " hen";
        assert_eq!(questions[0]["right"], right);
    }
    let gaps = file(
        "gaps.jsonl",
        &[json!({"prefix": "It was a ", "middle": "rainy", "suffix": " evening"})],
    );
    for model in [MODELS[1], MODELS[3]] {
        let (questions, result) = asked(model, &gaps, &[]);
        assert_eq!((questions.len(), &result["kind"]), (1, &json!("infilling")));
        assert!(result["se"].is_null(), "one question has no spread");
        assert!(result.get("dual_ar").is_none());
    }
    for (model, why) in [
        (
            MODELS[0],
            "reads left to right and sees nothing behind a gap",
        ),
        (MODELS[2], "reads block after block and sees nothing behind"),
    ] {
        let refused = evaluate(model, &["--json", "--task", &gaps]).ended(2);
        assert!(refused.err.contains(why), "{}", refused.err);
        assert!(refused.err.contains("hint: give a masked diffusion model"));
        assert!(refused.out.is_empty());
    }
}

#[test]
fn what_is_no_task_is_refused_before_anything_is_asked() {
    let out_of_range = file(
        "label.jsonl",
        &[
            json!({"context": "a", "choices": ["b", "c"], "label": 1}),
            json!({"context": "a", "choices": ["b", "c"], "label": 2}),
        ],
    );
    file("empty.jsonl", &[]);
    let long = json!({"context": "", "choices": ["a".repeat(41), "b"], "label": 0});
    file("long.jsonl", &[long]);
    let cases: [(&[&str], &str); 8] = [
        (
            &["--task", &out_of_range],
            "error: `label.jsonl`: line 2: `label` is 2, where 0 or 1 is expected\nhint: answers are counted from 0\n",
        ),
        (
            &["--task", "empty.jsonl"],
            "error: `empty.jsonl`: there is no question in it\nhint: a task file has one JSON object a line\n",
        ),
        (
            &["--task", "nowhere.jsonl"],
            "error: can't read `nowhere.jsonl`",
        ),
        (
            &["--task", "long.jsonl"],
            "error: `long.jsonl`: line 1: an answer has 41 tokens, and the model's window 40\n",
        ),
        (
            &["--task", "tales", "--samples", "1"],
            "error: `--samples` is 1\n",
        ),
        (
            &["--task", "tales", "--limit", "0"],
            "error: `--limit` is 0\n",
        ),
        (
            &["--task", "tales", "--text", "a.txt"],
            "error: the argument '--task",
        ),
        (
            &["--limit", "3", "--text", "a.txt"],
            "error: the argument '--limit",
        ),
    ];
    for (flags, expected) in cases {
        let refused = evaluate(MODELS[3], &[&["--json"], flags].concat()).ended(2);
        let told = &refused.err;
        let told = &told[told.find("error: ").unwrap_or(0)..];
        assert!(told.starts_with(expected), "{flags:?}: {told}");
        assert!(refused.out.is_empty());
    }
    let missing = crossover(
        Path::new("."),
        ["evaluate", "--checkpoint", "nowhere", "--task", "tales"],
    );
    assert!(missing.ended(2).err.contains("nowhere"));
}

/// A race on tales, in the folder `asked`, with these lines under `[evaluate]`.
fn asking(folder: &Path, evaluate: &str, command: &str, corpus: &str) -> Ran {
    let config = format!("[evaluate]\n{evaluate}\n");
    fs::write(folder.join("asks.toml"), config).unwrap();
    let typed = format!(
        "{command} --config asks.toml --corpus {corpus} --hidden-size 16 --layers 1 --heads 2 --batch 4 --steps 4 \
         --evaluate-every 2 --device cpu --out asked"
    );
    crossover(folder, typed.split_whitespace())
}

const SHORT_TALES: &str = "tales --length 40 --held-out 400 --unique 2000";

#[test]
fn a_race_is_asked_on_its_way_what_evaluate_asks_afterwards() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let gap = json!({"prefix": "It was a ", "middle": "rainy", "suffix": " evening"});
    fs::write(at.join("gaps.jsonl"), gap.to_string()).unwrap();
    let tasks = "task = [\"tales\", \"gaps.jsonl\"]\nquestions = 12\nanswer_masks = 4";
    asking(at, tasks, "race", SHORT_TALES).ended(0);
    let text = fs::read_to_string(at.join("asked/metrics.jsonl")).unwrap();
    let lines = program::json_lines(&text);
    assert_eq!(lines.len(), 8);
    for line in &lines {
        let is_evaluated = !line["val_nats"].is_null();
        assert_eq!(line.get("tasks").is_some(), is_evaluated, "{line}");
    }
    for objective in ["ar", "masked"] {
        let last = lines
            .iter()
            .find(|line| line["objective"] == objective && line["step"] == 4);
        let scores = last.unwrap()["tasks"].as_array().unwrap();
        let names: Vec<&Value> = scores.iter().map(|score| &score["task"]).collect();
        // AR sees nothing behind a gap.
        assert_eq!(names[0], "tales");
        assert_eq!(names.len(), if objective == "ar" { 1 } else { 2 });
        let checkpoint = format!("asked/checkpoints/last-{objective}.safetensors");
        let put = |task: &str| {
            let known = ["evaluate", "--json", "--device", "cpu", "--checkpoint"];
            let flags = ["--task", task, "--limit", "12", "--samples", "4"];
            crossover(at, [&known[..], &[&checkpoint], &flags].concat())
                .ended(0)
                .result()
        };
        for score in scores {
            let alone = put(score["task"].as_str().unwrap());
            assert_eq!(score["questions"], alone["questions"]);
            assert_eq!(score["acc"], alone["acc"]["mean"], "{score}");
            assert_eq!(score["acc_se"], alone["acc"]["se"]);
            assert_eq!(score["acc_norm"], alone["acc_norm"]["mean"]);
            assert_eq!(score["chance"], alone["chance"]);
            let [on_the_way, afterwards] = [score, &alone].map(|of| of["nats"].as_f64().unwrap());
            assert!((on_the_way - afterwards).abs() < 1e-9, "{score}");
        }
    }
    let page = fs::read_to_string(at.join("asked/report.html")).unwrap();
    assert!(page.contains("Right answers along the way"));
    assert!(page.contains("Right answers: gaps.jsonl") && page.contains("guessing"));
    // From another folder the run finds its file again.
    let config = fs::read_to_string(at.join("asked/config.toml")).unwrap();
    let config: toml::Table = config.parse().unwrap();
    let kept = config["evaluate"]["task"].as_array().unwrap();
    assert!(Path::new(kept[1].as_str().unwrap()).is_absolute());
}

#[test]
fn tasks_that_no_model_of_a_run_can_be_asked_start_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let gap = json!({"prefix": "It was a ", "middle": "rainy", "suffix": " evening"});
    fs::write(at.join("gaps.jsonl"), gap.to_string()).unwrap();
    let sudoku = "grids:sudoku-6 --held-out 720 --unique 720";
    let shuffled = format!("{SHORT_TALES} --order shuffled");
    for (evaluate, command, corpus, said) in [
        (
            "task = [\"nowhere.jsonl\"]",
            "race",
            SHORT_TALES,
            "can't read `nowhere.jsonl`",
        ),
        (
            "task = [\"tales\", \"tales\"]",
            "race",
            SHORT_TALES,
            "two tasks in `evaluate.task` are called `tales`",
        ),
        (
            "task = [\"tales\"]",
            "race",
            sudoku,
            "the task `tales`: line 1: character",
        ),
        (
            "task = [\"tales\"]",
            "race",
            "grids:latin-5 --held-out 250 --unique 500",
            "tales can't be asked about in 25 characters",
        ),
        (
            "task = [\"tales\"]",
            "race",
            &shuffled,
            "shuffled windows can't be asked",
        ),
        (
            "task = [\"gaps.jsonl\"]",
            "train --objective ar",
            SHORT_TALES,
            "sees nothing behind a gap",
        ),
        (
            "task = [\"tales\"]\nquestions = 0",
            "race",
            SHORT_TALES,
            "`evaluate.questions` is 0",
        ),
        (
            "task = [\"tales\"]\nanswer_masks = 1",
            "race",
            SHORT_TALES,
            "`evaluate.answer_masks` is 1",
        ),
    ] {
        let Ran { out, err, .. } = asking(at, evaluate, command, corpus).ended(2);
        assert!(err.contains(said), "{said}: {err}");
        assert!(err.contains("\nhint: "), "{said}: {err}");
        assert!(out.is_empty() && !at.join("asked").exists(), "{said}");
    }
}

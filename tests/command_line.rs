//! What the `crossover` command promises to whoever types it: help, JSON, exit codes, files, and errors that say what to
//! do. Every test runs the real program, on the processor, at toy sizes.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod disk;
mod program;

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::LazyLock;
use std::time::Duration;

use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use serde_json::{Value, json};
use tempfile::TempDir;

use disk::SmallDisk;
use program::{Ran, command, crossover, json_lines};

/// A race of two tiny models on 20 Latin squares: about a second.
const TINY: [(&str, &str); 10] = [
    ("--device", "cpu"),
    ("--threads", "2"),
    ("--hidden-size", "16"),
    ("--layers", "1"),
    ("--heads", "2"),
    ("--batch", "4"),
    ("--steps", "6"),
    ("--unique", "500"),
    ("--held-out", "250"),
    ("--seed", "3"),
];

/// The flags of the tiny race with some changed, added, or (those without a value) switched on.
fn tiny<'a>(changes: &[&'a str]) -> Vec<&'a str> {
    let kept = TINY.iter().filter(|(flag, _)| !changes.contains(flag));
    let mut flags: Vec<&str> = kept.flat_map(|(flag, value)| [*flag, *value]).collect();
    flags.extend(changes);
    flags
}

fn race(folder: &Path, changes: &[&str]) -> Ran {
    crossover(folder, [vec!["race"], tiny(changes)].concat())
}

fn keys(value: &Value) -> Vec<&str> {
    value
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect()
}

fn events<'a>(lines: &'a [Value], name: &str) -> Vec<&'a Value> {
    let named = |line: &&Value| line["event"] == name;
    lines.iter().filter(named).collect()
}

/// Every file below a folder with its content, and every folder.
fn content(folder: &Path) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(content(&path));
            found.insert(path, None);
        } else {
            found.insert(path.clone(), Some(fs::read(&path).unwrap()));
        }
    }
    found
}

/// A race that has run once for all tests: only to be read.
struct Finished {
    folder: PathBuf,
    lines: Vec<Value>,
    err: String,
}

impl Finished {
    fn run(&self) -> PathBuf {
        self.folder.join("run")
    }

    fn checkpoint(&self, name: &str) -> String {
        let path = self.run().join(format!("checkpoints/{name}.safetensors"));
        path.to_str().unwrap().to_owned()
    }
}

static FINISHED: LazyLock<Finished> = LazyLock::new(|| {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("command_line");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    let ran = race(&folder, &["--json", "--out", "run"]).ended(0);
    Finished {
        lines: ran.lines(),
        err: ran.err,
        folder,
    }
});

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// Latin squares without anything between them, as the tiny race's tokenizer reads them.
fn squares(count: usize) -> String {
    let ran = crossover(
        Path::new("."),
        [
            "corpus",
            "grids",
            "latin-5",
            "--seed",
            "9",
            "--count",
            &count.to_string(),
        ],
    );
    ran.ended(0).out.replace('\n', "")
}

// Help

#[test]
fn every_command_has_help_with_an_example() {
    let commands: [&[&str]; 16] = [
        &[],
        &["race"],
        &["train"],
        &["sample"],
        &["evaluate"],
        &["corpus"],
        &["corpus", "stats"],
        &["corpus", "markov"],
        &["corpus", "grids"],
        &["flops"],
        &["bench"],
        &["report"],
        &["sweep"],
        &["plan"],
        &["serve"],
        &["doctor"],
    ];
    for command in commands {
        let ran = crossover(Path::new("."), [command, &["--help"]].concat()).ended(0);
        assert!(ran.out.contains("Example: crossover"), "{command:?}");
        assert!(ran.out.contains("Usage:"), "{command:?}");
        assert!(ran.err.is_empty(), "{command:?}");
    }
}

#[test]
fn what_can_t_be_parsed_is_bad_usage() {
    for arguments in [
        &["race", "--no-such-flag"][..],
        &["--no-such-flag"],
        &["no-such-command"],
        &["train"],
        &["sample"],
        &["race", "--steps", "many"],
        &["race", "--steps", "-1"],
    ] {
        let folder = folder();
        let ran = crossover(folder.path(), arguments).ended(2);
        assert!(ran.err.starts_with("error: "), "{}", ran.err);
        assert!(ran.out.is_empty());
        assert!(content(folder.path()).is_empty());
    }
}

// Races

#[test]
fn a_race_prints_json_lines_that_end_with_the_result() {
    let lines = &FINISHED.lines;
    let result = lines.last().unwrap();
    assert_eq!(result["event"], "result");
    assert_eq!(events(lines, "result").len(), 1);
    for key in [
        "ar_best_nats",
        "ar_best_se",
        "masked_best_nats",
        "masked_best_se",
        "difference",
        "difference_se",
        "floor_nats",
    ] {
        assert!(result[key].as_f64().unwrap().is_finite(), "{key}");
    }
    for key in ["curve_crossover_epoch", "envelope_crossover_epoch"] {
        assert!(keys(result).contains(&key), "{key}");
        assert!(result[key].is_null() || result[key].is_f64(), "{key}");
    }
    let difference =
        result["masked_best_nats"].as_f64().unwrap() - result["ar_best_nats"].as_f64().unwrap();
    assert!((result["difference"].as_f64().unwrap() - difference).abs() < 1e-9);
    // 161,280 Latin squares of 25 cells.
    assert!((result["floor_nats"].as_f64().unwrap() - 161_280_f64.ln() / 25.0).abs() < 1e-9);
    assert!(FINISHED.err.contains("step 6 of 6"), "{}", FINISHED.err);
}

#[test]
fn both_models_of_a_race_start_alike_and_from_ignorance() {
    let started = events(&FINISHED.lines, "started");
    let [started] = started[..] else {
        panic!("a run starts once")
    };
    assert_eq!(started["objectives"], json!(["ar", "masked"]));
    assert!(started["parameters"].as_u64().unwrap() > 1_000);
    assert_eq!(started["initial_hash"].as_str().unwrap().len(), 64);
    let vocab = started["vocab"].as_array().unwrap().len();
    for objective in ["ar", "masked"] {
        let metrics = events(&FINISHED.lines, "metrics");
        let first = metrics
            .iter()
            .find(|line| line["objective"] == objective)
            .unwrap();
        assert_eq!(first["step"], 1);
        let ignorance = (vocab as f64 - 1.0).ln();
        let loss = first["train_nats"].as_f64().unwrap();
        assert!(
            (loss - ignorance).abs() < 0.03,
            "{objective} starts at {loss}, not at ln({vocab} - 1) = {ignorance}"
        );
    }
}

#[test]
fn a_run_directory_holds_what_the_contract_says() {
    let _ = &FINISHED.lines;
    let run = FINISHED.run();
    let read = |name: &str| fs::read_to_string(run.join(name)).unwrap();

    let config: toml::Table = read("config.toml").parse().unwrap();
    let provenance = config["provenance"].as_table().unwrap();
    for key in ["version", "commit", "lock_hash", "device", "threads"] {
        assert!(provenance.contains_key(key), "{key}");
    }
    assert_eq!(provenance["threads"].as_integer(), Some(2));

    let metrics = json_lines(&read("metrics.jsonl"));
    let mut steps: Vec<(&str, u64)> = Vec::new();
    for line in &metrics {
        let contract = [
            "objective",
            "likelihood",
            "step",
            "epoch",
            "tokens",
            "flops",
            "seconds",
            "train_nats",
            "val_nats",
            "val_se",
            "bound",
            "lr",
            "grad_norm",
            "tokens_per_second",
        ];
        assert_eq!(keys(line), contract);
        let objective = line["objective"].as_str().unwrap();
        assert_eq!(line["likelihood"], objective);
        let bound = if objective == "ar" { "exact" } else { "elbo" };
        assert_eq!(line["bound"], bound);
        let step = line["step"].as_u64().unwrap();
        assert_eq!(line["tokens"], step * 4 * 25);
        assert_eq!(line["epoch"], step as f64 * 4.0 / 20.0);
        steps.push((objective, step));
    }
    steps.sort_unstable();
    let once = |name| (1..=6).map(move |step| (name, step));
    assert_eq!(steps, once("ar").chain(once("masked")).collect::<Vec<_>>());

    assert!(!json_lines(&read("events.jsonl")).is_empty());
    for name in ["metrics.jsonl", "events.jsonl", "evaluations.jsonl"] {
        assert!(!read(name).contains("NaN"), "{name}");
    }
    for checkpoint in ["last-ar", "best-ar", "last-masked", "best-masked"] {
        let bytes = fs::read(FINISHED.checkpoint(checkpoint)).unwrap();
        assert!(SafeTensors::deserialize(&bytes).is_ok(), "{checkpoint}");
    }
    assert!(fs::read_dir(run.join("samples")).unwrap().count() > 0);
    let leftovers: Vec<_> = content(&run)
        .into_keys()
        .filter(|path| path.to_str().unwrap().ends_with(".partial"))
        .collect();
    assert!(leftovers.is_empty(), "{leftovers:?}");

    let page = read("report.html");
    assert!(page.contains("<svg"));
    let own = page.replace("xmlns=\"http://www.w3.org/", "");
    for outside in ["http://", "https://", "src=\"", "<link"] {
        assert!(!own.contains(outside), "the report asks for {outside}");
    }
}

#[test]
fn what_was_not_measured_is_null() {
    let folder = folder();
    race(
        folder.path(),
        &["--out", "run", "--steps", "4", "--evaluate-every", "2"],
    )
    .ended(0);
    let text = fs::read_to_string(folder.path().join("run/metrics.jsonl")).unwrap();
    for line in json_lines(&text) {
        let evaluated = line["step"].as_u64().unwrap().is_multiple_of(2);
        assert_eq!(line["val_nats"].is_f64(), evaluated, "{line}");
        assert_eq!(line["val_nats"].is_null(), !evaluated, "{line}");
        assert_eq!(line["val_se"].is_null(), !evaluated, "{line}");
    }
}

#[test]
fn without_a_command_a_race_runs_and_finds_a_folder_of_its_own() {
    let folder = folder();
    let ran = crossover(folder.path(), tiny(&["--steps", "2"])).ended(0);
    assert!(ran.out.contains("Diffusion, upper bound"), "{}", ran.out);
    assert!(ran.out.contains("report.html"), "{}", ran.out);
    let runs: Vec<_> = fs::read_dir(folder.path().join("runs")).unwrap().collect();
    let [Ok(run)] = &runs[..] else {
        panic!("one run: {runs:?}")
    };
    let name = run.file_name().into_string().unwrap();
    assert!(name.ends_with("-latin-5"), "{name}");
    assert!(run.path().join("report.html").exists());
}

#[test]
fn training_one_model_ends_with_its_figure() {
    for (objective, bound) in [("ar", "exact"), ("masked", "elbo")] {
        let folder = folder();
        let flags = tiny(&[
            "--objective",
            objective,
            "--json",
            "--out",
            "run",
            "--steps",
            "2",
        ]);
        let lines = crossover(folder.path(), [vec!["train"], flags].concat())
            .ended(0)
            .lines();
        let result = lines.last().unwrap();
        assert_eq!(result["event"], "result");
        assert_eq!(result["bound"], bound);
        assert_eq!(result["tokens"], 250);
        for key in ["nats", "se"] {
            assert!(result[key].as_f64().unwrap() > 0.0, "{key}");
        }
        let checkpoints = folder.path().join("run/checkpoints");
        assert_eq!(
            fs::read_dir(checkpoints).unwrap().count(),
            2,
            "last and best of {objective}"
        );
    }
}

#[test]
fn a_mixture_races_counts_its_experts_and_writes() {
    let folder = folder();
    let mixture = ["--experts", "4", "--shared-expert-size", "8"];
    let ran = race(
        folder.path(),
        &[&mixture[..], &["--json", "--out", "run"]].concat(),
    );
    let lines = ran.ended(0).lines();
    // Each of six steps is evaluated, for two models.
    let told = events(&lines, "experts");
    assert_eq!(told.len(), 12);
    for line in &told {
        let fields = [
            "event",
            "objective",
            "likelihood",
            "step",
            "busiest",
            "evenness",
        ];
        assert!(fields.iter().all(|field| !line[field].is_null()), "{line}");
        let [layer] = &line["shares"].as_array().unwrap()[..] else {
            panic!("one layer: {line}")
        };
        let shares = layer.as_array().unwrap();
        let sum: f64 = shares.iter().filter_map(Value::as_f64).sum();
        assert!(shares.len() == 4 && (sum - 1.0).abs() < 1e-9, "{line}");
        assert!(line["busiest"].as_f64().unwrap() >= 1.0);
    }
    let kept = fs::read_to_string(folder.path().join("run/events.jsonl")).unwrap();
    assert_eq!(events(&json_lines(&kept), "experts").len(), 12);
    let report = fs::read_to_string(folder.path().join("run/report.html")).unwrap();
    assert!(report.contains("How busy the experts are"));
    let config = fs::read_to_string(folder.path().join("run/config.toml")).unwrap();
    assert!(config.contains("num_experts_per_tok = 2"), "{config}");

    let train = |objective, out| {
        let chosen = ["--experts", "4", "--routing", "expert-choice", "--out", out];
        let typed = [&["train", "--objective", objective][..], &tiny(&chosen)].concat();
        crossover(folder.path(), typed)
    };
    for objective in ["ar", "block", "dual"] {
        let refused = train(objective, "none").ended(2);
        assert!(
            refused.err.contains(&format!("the {objective} model")),
            "{}",
            refused.err
        );
        assert!(refused.err.contains("hint: use `--routing token-choice`"));
        assert!(!folder.path().join("none").exists());
    }
    let plain = train("masked", "chosen").ended(0);
    assert!(
        plain
            .err
            .contains("busiest expert 1.00x its share, evenness 1.00"),
        "{}",
        plain.err
    );
    for (model, flags) in [
        ("run/checkpoints/best-ar.safetensors", &[][..]),
        ("run/checkpoints/best-masked.safetensors", &[]),
        (
            "chosen/checkpoints/best-masked.safetensors",
            &["--cache", "dkv"],
        ),
        (
            "chosen/checkpoints/last-masked.safetensors",
            &["--cfg", "1", "--prompt", "12"],
        ),
    ] {
        let typed = ["sample", "--device", "cpu", "--checkpoint", model];
        let ran = crossover(folder.path(), [&typed[..], flags].concat()).ended(0);
        let written = ran.out.trim_end();
        assert!(written.len() == 25 && is_digits(written), "{written}");
    }
}

#[test]
fn a_reader_that_goes_away_does_not_stop_a_run() {
    let folder = folder();
    let mut child = command(
        folder.path(),
        tiny(&["--json", "--out", "run", "--steps", "3"]),
    )
    .stdout(Stdio::piped())
    .stderr(Stdio::piped())
    .spawn()
    .unwrap();
    drop(child.stdout.take());
    drop(child.stderr.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(folder.path().join("run/report.html").exists());
}

// Bad input

/// Files for bad input, and one good text.
fn bad_files(folder: &Path) {
    let write = |name: &str, bytes: &[u8]| fs::write(folder.join(name), bytes).unwrap();
    write("text.txt", &b"To be, or not to be. ".repeat(50));
    write("short.txt", &[b'a'; 100]);
    write("empty.txt", b"");
    write("binary.bin", b"PK\x03\0\x01\x02".repeat(500).as_slice());
    write("latin1.txt", b"gr\xFCn ".repeat(500).as_slice());
    write(
        "chain.toml",
        b"transition = [[0.5, 0.5], [0.5, 0.4]]\nsymbols = \"ab\"\n",
    );
    write("misspelled.toml", b"[train]\nlearning_rat = 0.001\n");
    write("mistyped.toml", b"[train]\nbatch = \"many\"\n");
    write("no.toml", b"a run, please\n");
    fs::create_dir(folder.join("no-run")).unwrap();
}

/// What is typed, and what the error must mention.
const BAD_RACES: [(&[&str], &str); 68] = [
    (&["--corpus", "missing.txt"], "`missing.txt`"),
    (&["--corpus", "no-run"], "`no-run`"),
    (&["--corpus", "empty.txt"], "empty.txt`"),
    (&["--corpus", "binary.bin"], "byte 3"),
    (&["--corpus", "latin1.txt"], "0xFC"),
    (&["--corpus", "short.txt"], "100 tokens"),
    (&["--corpus", "text.txt", "--unique", "5000"], "5000"),
    (&["--corpus", "text.txt", "--held-out", "600"], "600"),
    (&["--corpus", "text.txt", "--unique", "10"], "10"),
    (&["--held-out", "25"], "25 tokens"),
    (&["--corpus", "text.txt", "--length", "0"], "0"),
    (&["--corpus", "text.txt", "--tokenizer", "chars"], "`chars`"),
    (&["--corpus", "grids:latin-5", "text.txt"], "grids:latin-5"),
    (&["--corpus", "grids:latin-7"], "`latin-7`"),
    (&["--corpus", "grids:latin-5", "--length", "24"], "24"),
    (&["--corpus", "markov:chain.toml"], "row 2"),
    (&["--corpus", "markov:missing.toml"], "`missing.toml`"),
    (&["--corpus", "markov:no.toml"], "no.toml`"),
    (&["--unique", "99000000"], "3960000"),
    (&["--unique", "18446744073709551615"], "latin-5"),
    (&["--length", "0"], "0"),
    (&["--config", "missing.toml"], "`missing.toml`"),
    (&["--config", "misspelled.toml"], "learning_rat"),
    (&["--config", "mistyped.toml"], "many"),
    (&["--config", "no.toml"], "`no.toml`"),
    (&["--second", "ar"], "AR"),
    (&["--second", "maskd"], "`maskd`"),
    (&["--heads", "3"], "3 heads"),
    (&["--heads", "0"], "`num_attention_heads` is 0"),
    (&["--hidden-size", "0"], "`hidden_size` is 0"),
    (&["--layers", "0"], "`num_hidden_layers` is 0"),
    (&["--layers", "9999999"], "9999999"),
    (&["--hidden-size", "1000000"], "GB"),
    (&["--key-value-heads", "3"], "3 key-value heads"),
    (&["--experts", "0"], "`num_experts` is 0"),
    (&["--experts", "4", "--experts-per-token", "5"], "5 of 4"),
    (&["--experts-per-token", "2"], "there are no experts"),
    (&["--experts", "4", "--routing", "expert"], "`expert`"),
    (
        &["--experts", "4", "--routing", "expert-choice"],
        "the ar model would learn",
    ),
    (&["--experts", "4", "--router-z-loss", "-1"], "-1"),
    (&["--experts", "1048576", "--expert-size", "1048576"], "GB"),
    (&["--batch", "0"], "`train.batch` is 0"),
    (&["--micro-batch", "0"], "`train.micro_batch` is 0"),
    (&["--steps", "0"], "`train.steps` is 0"),
    (&["--evaluate-every", "0"], "`evaluate.every` is 0"),
    (&["--epochs", "0"], "`train.epochs` is 0"),
    (&["--epochs", "-1"], "-1"),
    (&["--epochs", "inf"], "inf"),
    (&["--lr", "NaN"], "NaN"),
    (&["--lr", "-1"], "-1"),
    (&["--lr", "0"], "`train.learning_rate` is 0"),
    (&["--weight-decay", "-0.1"], "-0.1"),
    (&["--dropout", "1"], "`dropout` is 1"),
    (&["--dropout", "-0.5"], "-0.5"),
    (&["--input-mask", "1.5"], "1.5"),
    (&["--random-length", "-1"], "-1"),
    (&["--estimator", "exact"], "`exact`"),
    (&["--schedule", "cosin"], "`cosin`"),
    (&["--precision", "bf8"], "`bf8`"),
    (
        &["--precision", "f16", "--ops", "reference"],
        "`--ops reference`",
    ),
    (&["--precision", "bf16", "--experts", "4"], "mixture"),
    (&["--device", "gpu"], "`gpu`"),
    (&["--device", "cuda"], "`cuda`"),
    (&["--threads", "0"], "0"),
    (&["--resume", "missing"], "missing"),
    (&["--resume", "no-run"], "no-run"),
    (&["--resume", "text.txt"], "text.txt"),
    (&["--out", "text.txt"], "`text.txt`"),
];

#[test]
fn bad_input_is_refused_with_a_hint_before_anything_is_written() {
    let folder = folder();
    bad_files(folder.path());
    let mut broken = Vec::new();
    for (typed, mentioned) in BAD_RACES {
        let mut places = vec![vec![]];
        if !typed.contains(&"--out") {
            places.push(vec!["--out", "out"]);
        }
        for place in places {
            let changes = [typed, &place[..]].concat();
            let before = content(folder.path());
            let ran = race(folder.path(), &changes);
            let told = format!("{changes:?}\nstdout:\n{}\nstderr:\n{}", ran.out, ran.err);
            let said = |start| {
                ran.err
                    .lines()
                    .filter(|line| line.starts_with(start))
                    .count()
            };
            let promises = [
                (ran.code == Some(2), "exits with 2"),
                (said("error: ") == 1, "says what is wrong, once"),
                (said("hint: ") == 1, "says what to do, once"),
                (ran.err.contains(mentioned), "mentions the value"),
                (ran.out.is_empty(), "keeps stdout empty"),
                (content(folder.path()) == before, "writes nothing"),
            ];
            for (kept, promise) in promises {
                if !kept {
                    broken.push(format!("not so: it {promise}\n{told}"));
                }
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn bytes_take_what_characters_refuse() {
    let folder = folder();
    bad_files(folder.path());
    for file in ["binary.bin", "latin1.txt"] {
        let run = format!("{file}-run");
        race(
            folder.path(),
            &[
                "--corpus",
                file,
                "--tokenizer",
                "byte",
                "--length",
                "8",
                "--steps",
                "1",
                "--out",
                &run,
            ],
        )
        .ended(0);
    }
}

#[test]
fn misspelled_names_are_corrected() {
    let folder = folder();
    bad_files(folder.path());
    for (typed, meant) in [
        (&["--config", "misspelled.toml"][..], "learning_rate"),
        (&["--corpus", "grids:latin-7"], "latin-5"),
        (&["--corpus", "text.txt", "--tokenizer", "chars"], "char"),
        (&["--second", "maskd"], "masked"),
        (&["--schedule", "cosin"], "cosine"),
        (&["--precision", "bf61"], "bf16"),
        (&["--estimator", "exact"], "exact-l"),
        (&["--device", "cup"], "cpu"),
    ] {
        let ran = race(folder.path(), typed).ended(2);
        let hint = format!("hint: did you mean `{meant}`?");
        assert!(ran.err.contains(&hint), "{typed:?}: {}", ran.err);
    }
}

#[test]
fn typical_errors_read_like_this() {
    let folder = folder();
    bad_files(folder.path());
    let said = |changes: &[&str]| race(folder.path(), changes).ended(2).err;
    let stats = crossover(folder.path(), ["corpus", "stats", "missing.txt"]);
    let missing = said(&["--corpus", "missing.txt"]);
    assert_eq!(stats.ended(2).err, missing, "the same words everywhere");
    insta::assert_snapshot!(missing, @"
    error: can't read `missing.txt`: No such file or directory (os error 2)
    hint: check the spelling, or give the full path
    ");
    insta::assert_snapshot!(said(&["--heads", "3"]), @"
    error: 3 heads don't divide a hidden size of 16
    hint: use a hidden size of 18 or 2 heads
    ");
    insta::assert_snapshot!(said(&["--config", "misspelled.toml"]), @"
    error: `misspelled.toml` is no valid configuration
    TOML parse error at line 2, column 1
      |
    2 | learning_rat = 0.001
      | ^^^^^^^^^^^^
    unknown field `learning_rat`, expected one of `batch`, `micro_batch`, `epochs`, `steps`, `learning_rate`, `final_learning_rate_ratio`, `schedule`, `warmup_steps`, `decay_fraction`, `weight_decay`, `adam_beta1`, `adam_beta2`, `adam_epsilon`, `max_grad_norm`, `ema_decay`, `ops`, `precision`, `recompute`, `zero_stage`, `keep_last`, `keep_every`, `shard_checkpoints`
    hint: did you mean `learning_rate`?
    ");
    insta::assert_snapshot!(said(&["--corpus", "text.txt", "--unique", "5000"]), @"
    error: the text has 1050 tokens: too few for `--unique 5000` beside twice `--held-out 250`
    hint: `--unique` can be at most 550; or hold out less
    ");
}

#[test]
fn halves_are_told_to_be_emulated_and_f16_s_scale_is_recorded() {
    let folder = folder();
    let lines = |precision: &str| {
        let ran = race(
            folder.path(),
            &["--precision", precision, "--out", precision, "--json"],
        );
        ran.ended(0).lines()
    };
    let told = |lines: &[Value]| {
        let notices = events(lines, "notice").into_iter();
        let emulated =
            notices.filter(|line| line["message"].as_str().unwrap().contains("emulated"));
        emulated.count()
    };
    let (halves, scaled) = (lines("bf16"), lines("f16"));
    assert_eq!((told(&halves), told(&scaled)), (1, 1));
    for line in events(&halves, "metrics") {
        assert!(line.get("loss_scale").is_none() && line.get("skipped_steps").is_none());
    }
    for line in events(&scaled, "metrics") {
        assert!(line["loss_scale"].as_f64().unwrap() >= 1.0, "{line}");
        assert!(line["skipped_steps"].is_u64(), "{line}");
    }
    let config = fs::read_to_string(folder.path().join("f16/config.toml")).unwrap();
    assert!(config.contains("precision = \"f16\""), "{config}");
}

// Where a run may write

#[test]
fn a_folder_that_holds_something_is_left_alone() {
    let folder = folder();
    let taken = folder.path().join("taken");
    fs::create_dir(&taken).unwrap();
    fs::write(taken.join("thesis.txt"), "years of work").unwrap();
    let before = content(folder.path());
    for force in [&["--out", "taken"][..], &["--out", "taken", "--force"]] {
        let ran = race(folder.path(), force).ended(2);
        assert!(ran.err.contains("`taken`"), "{}", ran.err);
        assert!(ran.err.contains("\nhint: "), "{}", ran.err);
        assert!(content(folder.path()) == before);
    }
    fs::remove_file(taken.join("thesis.txt")).unwrap();
    race(folder.path(), &["--out", "taken", "--steps", "1"]).ended(0);
}

#[test]
fn force_replaces_a_run_and_nothing_else() {
    let folder = folder();
    race(folder.path(), &["--out", "run", "--steps", "2"]).ended(0);
    fs::write(folder.path().join("run/notes.txt"), "mine").unwrap();
    let before = content(folder.path());

    race(folder.path(), &["--out", "run"]).ended(2);
    // A request that can't be met must not cost the earlier run.
    race(folder.path(), &["--out", "run", "--force", "--heads", "3"]).ended(2);
    race(
        folder.path(),
        &["--out", "run", "--force", "--corpus", "missing.txt"],
    )
    .ended(2);
    assert!(content(folder.path()) == before);

    race(
        folder.path(),
        &[
            "--out",
            "run",
            "--force",
            "--steps",
            "1",
            "--evaluate-every",
            "1",
        ],
    )
    .ended(0);
    let read = |name| fs::read_to_string(folder.path().join("run").join(name)).unwrap();
    assert_eq!(read("notes.txt"), "mine");
    assert_eq!(read("metrics.jsonl").lines().count(), 2);
    assert!(!folder.path().join("run/samples/ar-2.txt").exists());
}

#[test]
fn a_run_in_use_can_t_be_resumed_or_replaced() {
    let folder = folder();
    let mut child = command(folder.path(), tiny(&["--out", "run", "--steps", "1000000"]))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    while !folder.path().join("run/metrics.jsonl").exists() {
        assert!(child.try_wait().unwrap().is_none(), "the long run ended");
        std::thread::sleep(Duration::from_millis(20));
    }
    let resumed = crossover(folder.path(), ["race", "--resume", "run"]);
    let forced = race(folder.path(), &["--out", "run", "--force"]);
    let plain = race(folder.path(), &["--out", "run"]);
    child.kill().unwrap();
    child.wait().unwrap();
    for ran in [resumed, forced] {
        let ran = ran.ended(2);
        assert!(ran.err.contains("`run` is in use"), "{}", ran.err);
        assert!(ran.err.contains("\nhint: "), "{}", ran.err);
    }
    plain.ended(2);
}

#[test]
fn a_full_disk_ends_a_run_without_ruining_it() {
    // Room for the first checkpoints, then for less and less.
    for kilobytes in [240, 320, 400] {
        let Some(disk) = SmallDisk::mount(kilobytes) else {
            eprintln!("skipped: this user may not mount a small file system");
            return;
        };
        let folder = disk.path();
        let filler = folder.join("filler");
        fs::write(&filler, vec![0; kilobytes * 1024 / 3]).unwrap();
        let ran = race(folder, &["--out", "run", "--json", "--steps", "400"]).ended(1);
        assert!(ran.err.contains("error: can't write"), "{}", ran.err);
        assert!(ran.err.contains("hint: the disk is full"), "{}", ran.err);
        assert_eq!(ran.lines().last().unwrap()["event"], "failed");

        let text = FINISHED.folder.join("full-disk.txt");
        fs::write(&text, squares(4)).unwrap();
        let text = text.to_str().unwrap();
        let mut whole = 0;
        for path in content(folder).into_keys() {
            let name = path.to_str().unwrap();
            assert!(!name.ends_with(".partial"), "{name} is left");
            if name.ends_with(".safetensors") {
                let model = ["evaluate", "--device", "cpu", "--checkpoint", name];
                crossover(folder, [&model[..], &["--text", text]].concat()).ended(0);
                whole += 1;
            }
        }
        assert!(whole >= 2, "the checkpoints from before step 1 are there");

        // With some space, the run goes on from where it was.
        fs::remove_file(&filler).unwrap();
        disk.resize(20 << 10);
        let lines = crossover(folder, ["race", "--resume", "run", "--json"])
            .ended(0)
            .lines();
        assert_eq!(lines.last().unwrap()["event"], "result");
        for name in ["metrics.jsonl", "events.jsonl", "evaluations.jsonl"] {
            json_lines(&fs::read_to_string(folder.join("run").join(name)).unwrap());
        }
    }
}

// Checkpoints

/// A file's metadata, changed, around the same tensors.
fn with_metadata(bytes: &[u8], change: impl Fn(&mut Value)) -> Vec<u8> {
    let (_, header) = SafeTensors::read_metadata(bytes).unwrap();
    let mut metadata = header.metadata().clone().unwrap();
    let mut config: Value = serde_json::from_str(&metadata["config"]).unwrap();
    change(&mut config);
    metadata.insert("config".to_owned(), config.to_string());
    let tensors = SafeTensors::deserialize(bytes).unwrap();
    safetensors::serialize(tensors.tensors(), Some(metadata)).unwrap()
}

#[test]
fn a_file_that_is_no_checkpoint_is_refused_in_one_sentence() {
    let _ = &FINISHED.lines;
    let folder = folder();
    fs::write(folder.path().join("text.txt"), squares(4)).unwrap();
    let good = fs::read(FINISHED.checkpoint("best-masked")).unwrap();
    let values = [0_u8; 16];
    let foreign = TensorView::new(Dtype::F32, vec![2, 2], &values).unwrap();
    let newer = with_metadata(&good, |config| config["format_version"] = json!(99));
    let other = with_metadata(&good, |config| config["hidden_size"] = json!(32));
    let files: [(&str, Vec<u8>, &str); 9] = [
        ("half", good[..good.len() / 2].to_vec(), "can't read"),
        (
            "one-byte-short",
            good[..good.len() - 1].to_vec(),
            "can't read",
        ),
        ("head-only", good[..100].to_vec(), "can't read"),
        ("empty", Vec::new(), "can't read"),
        (
            "garbage",
            b"not a checkpoint at all".repeat(99),
            "can't read",
        ),
        ("zeros", vec![0; 4_096], "can't read"),
        (
            "foreign",
            safetensors::serialize([("weight", foreign)], None).unwrap(),
            "without crossover's",
        ),
        ("newer", newer, "newer Crossover (99; this reads 1)"),
        ("other-shape", other, "does not fit together"),
    ];
    for (name, bytes, reason) in &files {
        let file = format!("{name}.safetensors");
        fs::write(folder.path().join(&file), bytes).unwrap();
        let common = ["--device", "cpu", "--checkpoint", &file];
        for command in [
            &["evaluate", "--text", "text.txt"][..],
            &["sample", "--trace", "trace.jsonl"],
        ] {
            let ran = crossover(folder.path(), [command, &common].concat()).ended(2);
            let lines: Vec<&str> = ran.err.lines().collect();
            let [error, hint] = lines[..] else {
                panic!("an error and a hint: {}", ran.err)
            };
            assert!(
                error.starts_with("error: ") && error.contains(reason),
                "{}",
                ran.err
            );
            assert!(error.contains(&format!("`{file}`")), "{}", ran.err);
            assert!(hint.starts_with("hint: "), "{}", ran.err);
            assert!(ran.out.is_empty());
        }
        assert!(!folder.path().join("trace.jsonl").exists());
    }
    for command in [&["evaluate", "--text", "text.txt"][..], &["sample"]] {
        let missing = [command, &["--checkpoint", "missing.safetensors"]].concat();
        crossover(folder.path(), missing).ended(2);
    }
}

// Samples

fn sample(folder: &Path, model: &str, flags: &[&str]) -> Ran {
    let checkpoint = FINISHED.checkpoint(model);
    let common = ["sample", "--device", "cpu", "--checkpoint", &checkpoint];
    crossover(folder, [&common[..], flags].concat())
}

fn text(folder: &Path, model: &str, flags: &[&str]) -> String {
    let out = sample(folder, model, flags).ended(0).out;
    out.strip_suffix('\n').unwrap().to_owned()
}

fn is_digits(text: &str) -> bool {
    text.chars().all(|c| ('1'..='5').contains(&c))
}

#[test]
fn both_models_write_whole_windows_and_keep_the_prompt() {
    let folder = folder();
    for model in ["best-ar", "best-masked"] {
        let plain = text(folder.path(), model, &[]);
        assert!(plain.len() == 25 && is_digits(&plain), "{plain}");
        let short = text(folder.path(), model, &["--prompt", "1234", "--length", "9"]);
        assert!(short.len() == 9 && is_digits(&short), "{short}");
        assert!(short.starts_with("1234"), "{short}");
    }
}

#[test]
fn a_seed_writes_the_same_text_again() {
    let folder = folder();
    for flags in [
        &["best-ar", "--seed", "5"][..],
        &["best-masked", "--seed", "5"],
        &["best-masked", "--seed", "5", "--steps", "7"],
        &["best-masked", "--seed", "5", "--sampler", "low-confidence"],
        &["best-ar", "--seed", "5", "--temperature", "0"],
        &["best-ar", "--seed", "5", "--top-k", "3", "--top-p", "0.9"],
    ] {
        let (model, flags) = (flags[0], &flags[1..]);
        let once = text(folder.path(), model, flags);
        assert_eq!(text(folder.path(), model, flags), once, "{flags:?}");
        // A sample is the same however many are written at once.
        let two = text(folder.path(), model, &[flags, &["--samples", "2"]].concat());
        let (first, second) = two.split_once("\n---\n").unwrap();
        assert_eq!(first, once);
        assert!(is_digits(second) && second.len() == 25, "{second}");
    }
    let other = text(folder.path(), "best-masked", &["--seed", "6"]);
    assert_ne!(other, text(folder.path(), "best-masked", &["--seed", "5"]));
}

#[test]
fn infilling_keeps_the_template() {
    let folder = folder();
    for (template, length, kept) in [
        ("12[MASK:3]", 5, &[(0, "12")][..]),
        ("[MASK:3]45", 5, &[(3, "45")]),
        ("1[MASK:1]3[MASK:2]5", 6, &[(0, "1"), (2, "3"), (5, "5")]),
        ("[MASK:25]", 25, &[]),
    ] {
        let written = text(folder.path(), "best-masked", &["--infill", template]);
        assert!(
            written.len() == length && is_digits(&written),
            "{template}: {written}"
        );
        for (position, part) in kept {
            assert!(
                written[*position..].starts_with(part),
                "{template}: {written}"
            );
        }
    }
}

#[test]
fn traces_are_written_as_the_contract_says() {
    let folder = folder();
    for (model, kind, flags) in [
        ("best-ar", "ar", &["--prompt", "12"][..]),
        (
            "best-masked",
            "masked",
            &["--infill", "12[MASK:23]", "--steps", "8"],
        ),
    ] {
        let trace = format!("{kind}.jsonl");
        let flags = [
            flags,
            &["--trace", &trace, "--samples", "2", "--seed", "7", "--json"],
        ]
        .concat();
        let written = sample(folder.path(), model, &flags).ended(0).lines();
        for (number, file) in [trace.clone(), format!("{trace}.2")].iter().enumerate() {
            let lines = json_lines(&fs::read_to_string(folder.path().join(file)).unwrap());
            let [header, steps @ .., footer] = &lines[..] else {
                panic!("a header and a footer: {lines:?}")
            };
            let contract = [
                "version", "kind", "length", "vocab", "prompt", "parent", "sampler", "seed",
            ];
            assert_eq!(keys(header), contract);
            assert_eq!(header["version"], 1);
            assert_eq!(header["kind"], kind);
            assert_eq!(header["length"], 25);
            assert_eq!(header["vocab"], json!(["1", "2", "3", "4", "5", "[MASK]"]));
            assert_eq!(header["seed"], 7);
            let mut prompt = vec![-1; 25];
            prompt[..2].copy_from_slice(&[0, 1]);
            assert_eq!(header["prompt"], json!(prompt));

            assert_eq!(
                keys(footer),
                ["text", "steps", "model_calls", "flops", "seconds"]
            );
            assert_eq!(footer["text"], written[number]["text"]);
            assert_eq!(footer["steps"], steps.len());
            assert_eq!(steps.len(), if kind == "ar" { 23 } else { 8 });

            let mut free: Vec<u64> = (2..25).collect();
            for step in steps {
                let contract = [
                    "step",
                    "t",
                    "tokens",
                    "committed",
                    "remasked",
                    "confidence",
                    "entropy",
                    "top",
                ];
                assert_eq!(keys(step), contract);
                for position in step["committed"].as_array().unwrap() {
                    free.retain(|free| position != free);
                }
                let tokens = step["tokens"].as_array().unwrap();
                for (position, token) in tokens.iter().enumerate() {
                    assert_eq!(*token == -1, free.contains(&(position as u64)), "{step}");
                }
                assert_eq!(step["confidence"][0], 1.0);
            }
            assert!(free.is_empty(), "everything is committed in the end");
        }
    }
}

#[test]
fn exact_caches_change_the_cost_of_a_text_and_nothing_else() {
    let folder = folder();
    let written = |flags: &[&str]| {
        let flags = [flags, &["--seed", "3", "--prompt", "123", "--json"]].concat();
        sample(folder.path(), "best-ar", &flags)
            .ended(0)
            .lines()
            .remove(0)
    };
    let (cached, plain) = (written(&[]), written(&["--cache", "none"]));
    assert_eq!(written(&["--cache", "exact"]), cached);
    for key in ["text", "model_calls"] {
        assert_eq!(cached[key], plain[key]);
    }
    let flops = |line: &Value| line["flops"].as_f64().unwrap();
    assert!(flops(&cached) < flops(&plain) / 10.0, "{cached} {plain}");
}

#[test]
fn approximate_caches_are_named_and_measured_in_the_trace() {
    let folder = folder();
    for (cache, flags, named) in [
        (
            "prefix",
            &["--block", "5"][..],
            json!({"name": "prefix", "refresh": null}),
        ),
        (
            "dual",
            &["--block", "5", "--cache-refresh", "3"],
            json!({"name": "dual", "refresh": 3}),
        ),
        ("dkv", &[], json!({"name": "dkv", "refresh": 8})),
    ] {
        let flags = [flags, &["--cache", cache, "--trace", "trace.jsonl"]].concat();
        sample(folder.path(), "best-masked", &flags).ended(0);
        let lines = json_lines(&fs::read_to_string(folder.path().join("trace.jsonl")).unwrap());
        assert_eq!(lines[0]["sampler"]["cache"], named);
        let divergence: Vec<f64> = lines[1..lines.len() - 1]
            .iter()
            .filter_map(|step| step["divergence"].as_f64())
            .collect();
        // A step that finds its page unchanged tells the divergence of the reading that it uses.
        let calls = lines[lines.len() - 1]["model_calls"].as_u64().unwrap();
        assert!(divergence.len() as u64 >= calls, "{cache}: {divergence:?}");
        assert!(
            divergence.iter().all(|nats| (0.0..1.0).contains(nats)),
            "{cache}"
        );
    }
}

#[test]
fn samples_that_can_t_be_written_are_refused() {
    let folder = folder();
    let (ar, masked) = ("best-ar", "best-masked");
    let cases: [(&str, &[&str], &str); 29] = [
        (masked, &["--steps", "0"], "0"),
        (masked, &["--temperature", "-1"], "-1"),
        (ar, &["--temperature", "-1"], "-1"),
        (ar, &["--temperature", "NaN"], "NaN"),
        (ar, &["--top-k", "0"], "0"),
        (ar, &["--top-p", "1.5"], "1.5"),
        (
            masked,
            &["--sampler", "low-confidence", "--steps", "26"],
            "26",
        ),
        (masked, &["--sampler", "lowconfidence"], "`lowconfidence`"),
        (ar, &["--sampler", "ancestral"], "`--sampler`"),
        (ar, &["--steps", "4"], "`--steps`"),
        (ar, &["--infill", "12[MASK:3]"], "`--infill`"),
        (masked, &["--infill", "12[MASK:0]"], "[MASK:"),
        (masked, &["--infill", "12[MASK:3"], "[MASK:"),
        (masked, &["--infill", "12[MASK:24]"], "26 tokens"),
        (masked, &["--infill", "12345"], "nothing"),
        (masked, &["--prompt", "12a"], "`a`"),
        (ar, &["--prompt", "12a"], "`a`"),
        (ar, &["--prompt", "1234", "--length", "4"], "4"),
        (ar, &["--length", "26"], "26"),
        (ar, &["--samples", "0"], "0"),
        (ar, &["--cache", "prefix"], "`prefix`"),
        (masked, &["--cache", "exact"], "`exact`"),
        (masked, &["--cache", "duel"], "`dual`"),
        (masked, &["--cache", "dkv", "--cache-refresh", "0"], "0"),
        (masked, &["--cache-refresh", "4"], "`--cache-refresh`"),
        (
            masked,
            &["--cache", "none", "--cache-refresh", "4"],
            "`none`",
        ),
        (ar, &["--cache", "exact", "--cache-refresh", "4"], "`exact`"),
        (ar, &["--trace", "."], "`.`"),
        (ar, &["--trace", "missing/trace.jsonl"], "`missing`"),
    ];
    for (model, flags, mentioned) in cases {
        let flags = if flags.contains(&"--trace") {
            flags.to_vec()
        } else {
            [flags, &["--trace", "trace.jsonl"]].concat()
        };
        let ran = sample(folder.path(), model, &flags);
        let told = format!("{model} {flags:?}: {}", ran.err);
        assert_eq!(ran.code, Some(2), "{told}");
        assert!(ran.err.starts_with("error: "), "{told}");
        assert!(ran.err.contains("\nhint: "), "{told}");
        assert!(ran.err.contains(mentioned), "{told}");
        assert!(
            ran.out.is_empty() && content(folder.path()).is_empty(),
            "{told}"
        );
    }
}

// The other commands

#[test]
fn evaluation_ends_with_nats_and_their_standard_error() {
    let folder = folder();
    fs::write(folder.path().join("text.txt"), squares(20)).unwrap();
    for (model, bound) in [("best-ar", "exact"), ("best-masked", "elbo")] {
        let checkpoint = FINISHED.checkpoint(model);
        let flags = ["evaluate", "--device", "cpu", "--checkpoint", &checkpoint];
        let measure = |more: &[&str]| {
            let flags = [&flags[..], &["--text", "text.txt", "--json"], more].concat();
            crossover(folder.path(), flags)
        };
        let lines = measure(&[]).ended(0).lines();
        let [result] = &lines[..] else {
            panic!("one line: {lines:?}")
        };
        assert_eq!(result["event"], "result");
        assert_eq!(result["bound"], bound);
        assert_eq!(result["tokens"], 500);
        let nats = result["nats"].as_f64().unwrap();
        assert!((nats - 5_f64.ln()).abs() < 0.2, "{nats}");
        assert!(result["se"].as_f64().unwrap() > 0.0);
        let bits = result["bits_per_character"].as_f64().unwrap();
        assert!((bits - nats / 2_f64.ln()).abs() < 1e-9);
        assert_eq!(measure(&[]).lines(), lines, "the same again");

        let orders = measure(&["--orders", "2"]);
        if bound == "exact" {
            orders.ended(2);
        } else {
            let exact = orders.ended(0).lines()[0]["left_to_right"]["mean"].as_f64();
            assert!(
                (exact.unwrap() - nats).abs() < 0.1,
                "{exact:?}, bound {nats}"
            );
        }
        measure(&["--levels", "0"]).ended(2);
    }
}

#[test]
fn an_exported_checkpoint_is_smaller_and_measures_the_same() {
    let folder = folder();
    fs::write(folder.path().join("squares.txt"), squares(20)).unwrap();
    let original = FINISHED.checkpoint("last-ar");
    let original = original.as_str();
    let export = |flags: &[&str]| {
        let common = ["export", "--checkpoint", original];
        crossover(folder.path(), [&common[..], flags].concat())
    };
    let size = |name: &str| fs::metadata(folder.path().join(name)).unwrap().len() as f64;
    let nats = |name: &str| {
        let flags = [
            "evaluate",
            "--device",
            "cpu",
            "--json",
            "--text",
            "squares.txt",
        ];
        let ran = crossover(
            folder.path(),
            [&flags[..], &["--checkpoint", name]].concat(),
        );
        ran.ended(0).result()["nats"].as_f64().unwrap()
    };
    export(&["--weights-only", "--out", "weights.safetensors"]).ended(0);
    assert!((size("weights.safetensors") / size(original) - 1.0 / 3.0).abs() < 0.1);
    assert_eq!(nats("weights.safetensors"), nats(original));

    let halves = [
        "--weights-only",
        "--dtype",
        "bf16",
        "--out",
        "bf16.safetensors",
    ];
    export(&halves).ended(0);
    assert!(size("bf16.safetensors") < 0.7 * size("weights.safetensors"));
    assert!((nats("bf16.safetensors") / nats(original) - 1.0).abs() < 0.01);

    let refused = export(&["--dtype", "bf16", "--out", "no.safetensors"]).ended(2);
    assert!(
        refused.err.contains("add `--weights-only`"),
        "{}",
        refused.err
    );
    let refused = export(&["--dtype", "f8", "--out", "no.safetensors"]).ended(2);
    assert!(refused.err.contains("`f32` or `bf16`"), "{}", refused.err);
    assert!(!folder.path().join("no.safetensors").exists());
}

#[test]
fn texts_that_can_t_be_measured_are_refused() {
    let folder = folder();
    fs::write(folder.path().join("letters.txt"), "abc".repeat(100)).unwrap();
    fs::write(folder.path().join("short.txt"), "12345".repeat(9)).unwrap();
    let checkpoint = FINISHED.checkpoint("best-ar");
    for (file, mentioned) in [
        ("missing.txt", "`missing.txt`"),
        ("letters.txt", "`a`"),
        ("short.txt", "45 tokens"),
    ] {
        let flags = ["evaluate", "--device", "cpu", "--checkpoint", &checkpoint];
        let ran = crossover(folder.path(), [&flags[..], &["--text", file]].concat()).ended(2);
        assert!(
            ran.err.contains(mentioned) && ran.err.contains("\nhint: "),
            "{}",
            ran.err
        );
    }
}

#[test]
fn flops_of_the_paper_s_model_are_the_paper_s() {
    let lines = crossover(Path::new("."), ["flops", "--preset", "paper-1b", "--json"])
        .ended(0)
        .lines();
    let [counted] = &lines[..] else {
        panic!("one line: {lines:?}")
    };
    let generation = counted["generation"].as_array().unwrap();
    let lengths: Vec<u64> = generation
        .iter()
        .map(|row| row["length"].as_u64().unwrap())
        .collect();
    assert_eq!(lengths, [16, 64, 256, 1024, 2048, 4096]);
    for (row, expected) in [(0, 16.0), (5, 4708.0)] {
        let row = &generation[row];
        assert_eq!(keys(row), ["length", "ar_flops", "masked_flops", "ratio"]);
        let ratio = row["ratio"].as_f64().unwrap();
        assert!((ratio / expected - 1.0).abs() < 0.005, "{row}");
    }
    let table = crossover(Path::new("."), ["flops", "--preset", "paper-1b"]).ended(0);
    assert!(table.out.contains("4096 tokens"), "{}", table.out);
    let wrong = crossover(Path::new("."), ["flops", "--preset", "paper-1c"]).ended(2);
    assert!(
        wrong.err.contains("hint: did you mean `paper-1b`?"),
        "{}",
        wrong.err
    );
}

/// The paper's model, its own shape and batch, on a text of ours.
#[test]
fn a_billion_parameters_are_refused_with_the_memory_that_they_need() {
    let preset = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs/paper-1b.toml");
    let preset = fs::read_to_string(preset).unwrap();
    let ours = |line: &&str| !line.starts_with("vocab_size");
    let folder = folder();
    let config: String = preset
        .lines()
        .filter(ours)
        .flat_map(|line| [line, "\n"])
        .collect();
    fs::write(folder.path().join("paper.toml"), config).unwrap();
    fs::write(folder.path().join("text.txt"), "abcdefghi\n".repeat(2_000)).unwrap();
    let counted = [
        "flops",
        "--config",
        "paper.toml",
        "--vocab-size",
        "11",
        "--threads",
        "2",
    ];
    let counted = crossover(folder.path(), [&counted[..], &["--json"]].concat()).ended(0);
    let needed = counted.result()["training_peak_bytes"].as_u64().unwrap();
    assert!(
        (60_000_000_000..120_000_000_000).contains(&needed),
        "{needed}"
    );
    if crossover::platform::memory_bytes().is_none_or(|memory| memory >= needed) {
        eprintln!("skipped: this machine may have the memory");
        return;
    }
    let train = [
        "train",
        "--objective",
        "masked",
        "--config",
        "paper.toml",
        "--device",
        "cpu",
    ];
    let data = [
        "--corpus",
        "text.txt",
        "--unique",
        "8192",
        "--held-out",
        "4096",
        "--threads",
        "2",
    ];
    let ran = crossover(
        folder.path(),
        [&train[..], &data, &["--out", "run"]].concat(),
    )
    .ended(2);
    let said = format!(
        "error: training needs about {:.1} GB at its peak",
        needed as f64 / 1e9
    );
    assert!(ran.err.contains(&said), "{}", ran.err);
    assert!(
        ran.err
            .contains("hint: choose a smaller model, or `--recompute`"),
        "{}",
        ran.err
    );
    assert!(!folder.path().join("run").exists());
}

#[test]
fn flops_of_a_mixture_are_those_of_what_a_token_asks() {
    let count = |flags: &[&str]| {
        let ran = crossover(Path::new("."), [&["flops", "--json"], flags].concat());
        let counted = ran.ended(0).result();
        move |field: &str| counted[field].as_f64().unwrap()
    };
    let paper = count(&["--preset", "paper-8b1a"]);
    assert!((paper("parameters") / 8e9 - 1.0).abs() < 0.02);
    assert!((paper("active_parameters") / 1e9 - 1.0).abs() < 0.02);
    let dense = count(&[]);
    assert_eq!(dense("parameters"), dense("active_parameters"));
    let mixture = count(&["--experts", "8"]);
    // Beside four blocks' experts there are four routers.
    let routers = 4.0 * 8.0 * 96.0;
    assert_eq!(mixture("active_parameters"), dense("parameters") + routers);
    let (more, less) = (
        mixture("training_flops_per_token"),
        dense("training_flops_per_token"),
    );
    assert_eq!(more - less, 6.0 * routers);
    let table = crossover(Path::new("."), ["flops", "--preset", "paper-8b1a"]).ended(0);
    assert!(table.out.contains("(a token uses 1G, "), "{}", table.out);
}

#[test]
fn flops_predict_steps_on_many_gpus() {
    let predict = [
        "flops",
        "--preset",
        "paper-1b",
        "--ranks",
        "1024",
        "--batch-per-rank",
        "8",
        "--tokens",
        "96e9",
    ];
    let counted = crossover(Path::new("."), [&predict[..], &["--json"]].concat())
        .ended(0)
        .result();
    let scaling = &counted["scaling"];
    assert_eq!(scaling["interconnect"], "nvlink4+ndr400");
    let steps = scaling["steps"].as_array().unwrap();
    let ranks: Vec<u64> = steps
        .iter()
        .map(|step| step["ranks"].as_u64().unwrap())
        .collect();
    assert_eq!(ranks, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024]);
    let number = |step: &Value, key: &str| step[key].as_f64().unwrap();
    assert!((number(&steps[0], "mfu") - 0.4).abs() < 1e-9);
    for pair in steps.windows(2) {
        assert!(number(&pair[1], "efficiency") <= number(&pair[0], "efficiency"));
        assert!(number(&pair[1], "days") < number(&pair[0], "days"));
    }
    // 96e9 tokens of 7.67e9 FLOPs at 0.4 of 989e12 a second.
    let days = 96e9 * 7.67e9 / (0.4 * 989e12) / 86_400.0;
    assert!((number(&steps[0], "days") / days - 1.0).abs() < 0.01);
    let table = crossover(Path::new("."), predict).ended(0).out;
    assert!(table.contains("\n  1024   8192 "), "{table}");

    // The optimizer's state is shared out as `train` is told to, and as it was told before.
    let shared = |flags: &[&str]| {
        let ran = crossover(Path::new("."), [&predict[..], flags, &["--json"]].concat());
        ran.ended(0).result()["scaling"]["zero1"].as_bool()
    };
    assert_eq!(shared(&["--zero-stage", "0"]), Some(false));
    assert_eq!(shared(&["--zero-stage", "1"]), Some(true));
    assert_eq!(shared(&["--zero1"]), Some(true));

    // Without flags of its own there is no prediction.
    let plain = ["flops", "--preset", "paper-1b", "--json"];
    assert!(crossover(Path::new("."), plain).result()["scaling"].is_null());
    for (wrong, said) in [
        (&["--ranks", "0"][..], "hint: give a number from 1"),
        (
            &["--ranks", "2", "--zero-stage", "2"],
            "`--zero-stage` is 2",
        ),
        (&["--ranks", "512"], "hint: `--batch-per-rank N`"),
        (&["--ranks", "2", "--gpu", "h10"], "did you mean `h100`?"),
        (
            &["--ranks", "2", "--interconnect", "nvlink"],
            "did you mean `nvlink",
        ),
        (&["--ranks", "2", "--mfu", "40"], "hint: give a share"),
        (
            &["--ranks", "2", "--tokens", "-1"],
            "hint: give a number above 0",
        ),
        (&["--ranks", "2", "--precision", "fp16"], "hint: "),
        (&["--gpu", "h100"], "--ranks"),
    ] {
        let arguments = [&["flops", "--preset", "paper-1b"], wrong].concat();
        let ran = crossover(Path::new("."), arguments).ended(2);
        assert!(ran.err.contains(said), "{}", ran.err);
    }
}

#[test]
fn flops_count_every_configuration_that_comes_along() {
    let configs = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs");
    let mut counted = Vec::new();
    for entry in fs::read_dir(configs).unwrap() {
        let path = entry.unwrap().path();
        let config = [
            "flops",
            "--json",
            "--ranks",
            "8",
            "--batch-per-rank",
            "4",
            "--config",
        ];
        let ran = command(Path::new("."), config).arg(&path).output().unwrap();
        let result = Ran::of(ran).ended(0).result();
        assert!(result["training_flops_per_step"].as_f64().unwrap() > 0.0);
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        if name.starts_with("paper-") {
            let days = &result["scaling"]["steps"][3]["days"];
            assert!(days.as_f64().unwrap() > 1.0, "{name}: {days}");
            // The preset is the file.
            let preset = [
                "flops",
                "--json",
                "--ranks",
                "8",
                "--batch-per-rank",
                "4",
                "--preset",
            ];
            let preset = [&preset[..], &[&name]].concat();
            assert_eq!(crossover(Path::new("."), preset).result(), result);
        }
        counted.push(name);
    }
    counted.sort();
    assert!(
        counted.len() >= 7 && counted.contains(&"paper-8b".to_owned()),
        "{counted:?}"
    );
}

#[test]
fn what_launches_runs_elsewhere_names_flags_and_files_that_there_are() {
    let trainer = Path::new(env!("CARGO_MANIFEST_DIR"));
    let train = crossover(Path::new("."), ["train", "--help"]).out;
    let race = crossover(Path::new("."), ["race", "--help"]).out;
    let mut checked = 0;
    for entry in fs::read_dir(trainer.join("launch")).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        // Between `set --` or `crossover` and the end of the command stand our flags.
        let ours = text.lines().filter(|line| {
            let line = line.trim_start();
            !line.starts_with('#')
                && (line.starts_with("set -- ")
                    || line.contains("crossover train")
                    || line.contains("crossover race")
                    || line.starts_with("--seed"))
        });
        for line in ours {
            let begin = line.find("crossover ").unwrap_or(0);
            for word in line[begin..]
                .split_whitespace()
                .filter(|word| word.len() > 2)
            {
                if word.starts_with("--") {
                    assert!(
                        train.contains(word) || race.contains(word),
                        "{}: {word}",
                        path.display()
                    );
                    checked += 1;
                }
                if let Some((_, file)) = word.split_once("configs/") {
                    assert!(trainer.join("configs").join(file).is_file(), "{file}");
                    checked += 1;
                }
            }
        }
    }
    assert!(checked > 15, "{checked}");
}

#[test]
fn corpus_stats_say_how_a_run_would_cut_a_source() {
    let folder = folder();
    fs::write(folder.path().join("text.txt"), "abcdefghij".repeat(100)).unwrap();
    let stats = ["corpus", "stats", "text.txt", "--length", "10"];
    let lines = crossover(folder.path(), [&stats[..], &["--json"]].concat())
        .ended(0)
        .lines();
    let [line] = &lines[..] else {
        panic!("one line: {lines:?}")
    };
    assert_eq!(line["vocab_size"], 11);
    assert_eq!(line["unique_tokens"], 800);
    assert_eq!(line["validation_tokens"], 100);
    assert_eq!(line["test_tokens"], 100);
    assert_eq!(line["first"], "abcdefghij");
    assert!(line["floor_nats"].is_null());
    let table = crossover(folder.path(), stats).ended(0).out;
    assert!(table.contains("800 unique tokens"), "{table}");
}

#[test]
fn a_markov_source_comes_with_its_exact_entropy() {
    let folder = folder();
    // The next symbol is certain; only a window's first is not.
    fs::write(
        folder.path().join("chain.toml"),
        "transition = [[0, 1], [1, 0]]\nsymbols = \"xy\"\n",
    )
    .unwrap();
    let draw = [
        "corpus",
        "markov",
        "chain.toml",
        "--tokens",
        "50",
        "--length",
        "4",
    ];
    let lines = crossover(folder.path(), [&draw[..], &["--json"]].concat())
        .ended(0)
        .lines();
    let text = lines[0]["text"].as_str().unwrap();
    assert!(
        text.len() == 50 && text.contains("xyxy") && !text.contains("xx"),
        "{text}"
    );
    assert_eq!(lines[0]["entropy_rate"], 0.0);
    let window = lines[0]["window_entropy"].as_f64().unwrap();
    assert!((window - 2_f64.ln() / 4.0).abs() < 1e-12, "{window}");
    // Data on stdout, words about it on stderr.
    let plain = crossover(folder.path(), draw).ended(0);
    assert_eq!(plain.out, format!("{text}\n"));
    assert!(plain.err.contains("entropy rate 0.0"), "{}", plain.err);
}

#[test]
fn drawn_grids_keep_their_rules() {
    let grids = ["corpus", "grids", "latin-5", "--count", "20"];
    let drawn = crossover(Path::new("."), grids).ended(0).out;
    assert_eq!(drawn.lines().count(), 20);
    for square in drawn.lines() {
        let cells: Vec<char> = square.chars().collect();
        assert_eq!(cells.len(), 25);
        for index in 0..5 {
            for lane in [
                cells[index * 5..][..5].to_vec(),
                cells[index..].iter().step_by(5).copied().collect(),
            ] {
                let mut sorted = lane;
                sorted.sort_unstable();
                assert_eq!(sorted, ['1', '2', '3', '4', '5'], "{square}");
            }
        }
    }
    let lines = crossover(Path::new("."), [&grids[..], &["--json"]].concat()).lines();
    let listed: Vec<&str> = lines
        .iter()
        .map(|line| line["grid"].as_str().unwrap())
        .collect();
    assert_eq!(listed, drawn.lines().collect::<Vec<_>>());
}

#[test]
fn doctor_says_what_there_is_and_how_to_get_the_rest() {
    let bare = folder();
    let machine = folder();
    for file in [
        "lib/libcuda.so.1",
        "lib/libnvrtc.so.13",
        "lib/libnvrtc-builtins.so.13.5",
        "lib/libnccl.so",
        "cuda/include/cuda_fp16.h",
    ] {
        let path = machine.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "").unwrap();
    }
    let smi = machine.path().join("nvidia-smi");
    fs::write(
        &smi,
        "#!/bin/sh\necho '| Driver Version: 580.82.07   CUDA Version: 13.0 |'\n",
    )
    .unwrap();
    fs::set_permissions(&smi, fs::Permissions::from_mode(0o755)).unwrap();
    let doctor = |at: &Path, arguments: &[&str]| {
        let mut command = command(at, arguments);
        command
            .env("PATH", at)
            .env("LD_LIBRARY_PATH", at.join("lib"))
            .env("CUDA_PATH", at.join("cuda"));
        Ran::of(command.output().unwrap()).ended(0)
    };

    let lines = doctor(bare.path(), &["doctor", "--json"]).lines();
    for line in &lines {
        assert_eq!(line["event"], "finding");
        assert!(line["needed_for"].is_string(), "{line}");
        let present = line["present"].as_bool().unwrap();
        assert_eq!(line["remedy"].is_string(), !present, "{line}");
    }
    let find = |lines: &[Value], what: &str| {
        let mut found = lines.iter().filter(|line| line["what"] == what);
        found.next().cloned().unwrap_or_else(|| panic!("no {what}"))
    };
    assert_eq!(find(&lines, "cpu")["present"], true);
    let precision = find(&lines, "precision")["detail"].to_string();
    let emulated = "cpu: f32, bf16 (emulated), f16 (emulated)";
    assert!(precision.contains(emulated), "{precision}");
    for what in ["headers", "mpi", "mpi-build"] {
        assert_eq!(find(&lines, what)["present"], false);
    }

    let lines = doctor(machine.path(), &["doctor", "--json"]).lines();
    for what in ["driver", "nccl"] {
        assert_eq!(find(&lines, what)["present"], true);
    }
    let nvrtc = find(&lines, "nvrtc");
    assert_eq!(nvrtc["present"], false);
    assert!(nvrtc["detail"].as_str().unwrap().contains("newer than"));
    assert!(nvrtc["remedy"].as_str().unwrap().contains("~=13.0.0"));
    let table = doctor(machine.path(), &["doctor"]).out;
    for said in [
        "driver       found    driver 580.82.07, up to CUDA 13.0",
        "headers      missing",
        "get it: `pip install --target DIR",
    ] {
        assert!(table.contains(said), "{table}");
    }
}

#[test]
fn reports_are_written_anew_from_run_directories() {
    let folder = folder();
    race(folder.path(), &["--out", "run", "--steps", "2"]).ended(0);
    let page = folder.path().join("run/report.html");
    let first = fs::read_to_string(&page).unwrap();
    fs::remove_file(&page).unwrap();
    let ran = crossover(folder.path(), ["report", "run"]).ended(0);
    assert_eq!(ran.out, "run/report.html\n");
    assert_eq!(fs::read_to_string(&page).unwrap(), first);
    // And every figure by itself.
    for axis in ["tokens", "epochs", "flops", "seconds"] {
        let figure = folder.path().join(format!("run/figures/loss-{axis}"));
        let drawing = fs::read_to_string(figure.with_extension("svg")).unwrap();
        assert!(drawing.starts_with("<svg xmlns=") && drawing.contains("<style>"));
        let numbers = fs::read_to_string(figure.with_extension("csv")).unwrap();
        assert!(numbers.contains("\nar,ar,2,"), "{numbers}");
    }

    let lines = crossover(folder.path(), ["report", "run", "--json"])
        .ended(0)
        .lines();
    assert_eq!(
        lines,
        [json!({"event": "report", "report": "run/report.html"})]
    );

    let before = content(folder.path());
    let ran = crossover(folder.path(), ["report", "missing"]).ended(2);
    assert!(
        ran.err.contains("missing") && ran.err.contains("\nhint: "),
        "{}",
        ran.err
    );
    assert!(content(folder.path()) == before);
}

#[test]
fn bench_measures_both_objectives() {
    let flags = [
        "bench",
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
        "2",
        "--length",
        "8",
        "--steps",
        "2",
        "--rounds",
        "2",
        "--peer",
        "none",
        "--json",
    ];
    let lines = crossover(Path::new("."), flags).ended(0).lines();
    assert!(lines[0]["memory_bytes_per_second"].as_f64().unwrap() > 0.0);
    let training = lines[0]["training"].as_array().unwrap();
    assert_eq!(training.len(), 2);
    for speed in training {
        let step = speed["step_seconds"].as_f64().unwrap();
        assert!(
            speed["tokens_per_second"].as_f64().unwrap() > 0.0,
            "{speed}"
        );
        let parts = ["data", "forward", "backward", "optimizer"]
            .map(|part| speed["spent"][format!("{part}_seconds")].as_f64().unwrap());
        assert!(parts.iter().all(|part| *part > 0.0), "{speed}");
        assert!(parts.iter().sum::<f64>() <= 1.01 * step, "{speed}");
        assert_eq!(speed["peers"].as_array().unwrap().len(), 0);
    }
    assert_eq!(lines[0]["precision"], "f32");
    let halves = [&flags[..], &["--precision", "bf16"]].concat();
    let lines = crossover(Path::new("."), halves).ended(0).lines();
    assert_eq!(lines[0]["precision"], "bf16");
    assert_eq!(lines[0]["training"].as_array().unwrap().len(), 2);
    crossover(Path::new("."), ["bench", "--precision", "f8"]).ended(2);
    crossover(Path::new("."), ["bench", "--batch", "0"]).ended(2);
    if crossover::platform::memory_bytes().is_some() {
        let huge = ["--batch", "100000", "--length", "4096", "--device", "cpu"];
        let ran = crossover(Path::new("."), [&["bench"], &huge[..]].concat()).ended(2);
        assert!(ran.err.contains("GB at its peak") && ran.err.contains("hint: "));
    }
    let ran = crossover(Path::new("."), ["bench", "--preset", "7m"]).ended(2);
    assert!(ran.err.contains("hint: did you mean"), "{}", ran.err);
    let lines = crossover(Path::new("."), [&flags[..], &["--writing"]].concat())
        .ended(0)
        .lines();
    let writing = lines[0]["writing"].as_array().unwrap();
    let calls = ["forward", "ar", "ar-cached", "denoising"].map(|method| {
        let found = writing.iter().find(|row| row["method"] == method).unwrap();
        assert!(found["seconds"].as_f64().unwrap() > 0.0, "{found}");
        found["model_calls"].as_u64().unwrap()
    });
    assert_eq!(calls, [1, 8, 8, 8]);
}

#[test]
#[cfg(unix)]
fn bench_stands_beside_what_a_python_prints() {
    use std::os::unix::fs::PermissionsExt;
    let folder = folder();
    let python = folder.path().join("python");
    let flags = [
        "bench",
        "--device",
        "cpu",
        "--threads",
        "1",
        "--hidden-size",
        "16",
        "--layers",
        "1",
    ];
    let flags = [
        &flags[..],
        &["--heads", "2", "--length", "8", "--rounds", "1", "--json"],
    ]
    .concat();
    let writes = [
        &flags[..],
        &[
            "--writing",
            "ar-cached,denoising",
            "--peer",
            "eager,compile",
        ],
    ]
    .concat();
    let bench = |script: &str| {
        fs::write(&python, script).unwrap();
        fs::set_permissions(&python, fs::Permissions::from_mode(0o755)).unwrap();
        Ran::of(
            command(folder.path(), &writes)
                .env("CROSSOVER_PEER_PYTHON", &python)
                .output()
                .unwrap(),
        )
    };
    let printed = |parameters: u64| {
        format!(
            "#!/bin/sh\necho '{{\"torch\":\"9.9\",\"parameters\":{parameters},\"seconds\":1e6,\"tokens_per_second\":1,\
             \"matmul_flops_per_second\":1,\"peak_memory_bytes\":1}}'\n"
        )
    };
    let lines = bench(&printed(5_504)).ended(0).lines();
    for row in lines[0]["writing"].as_array().unwrap() {
        let peers = row["peers"].as_array().unwrap();
        // Nothing is compiled to write.
        assert_eq!(peers.len(), 1, "{row}");
        assert_eq!(
            (&peers[0]["mode"], &peers[0]["torch"]),
            (&"eager".into(), &"9.9".into())
        );
        assert!(peers[0]["ratio"].as_f64().unwrap() > 1e3, "{row}");
    }
    let other = bench(&printed(7)).ended(1);
    assert!(
        other.err.contains("its model has 7 parameters"),
        "{}",
        other.err
    );
    let none = bench("#!/bin/sh\necho no module named torch >&2\nexit 1\n").ended(2);
    assert!(none.err.contains("no module named torch"), "{}", none.err);
    assert!(none.err.contains("hint: "), "{}", none.err);
}

// Watching from elsewhere

#[test]
fn tensorboard_gets_a_file_for_each_model_and_force_removes_them() {
    let folder = folder();
    race(
        folder.path(),
        &["--out", "run", "--steps", "2", "--tensorboard"],
    )
    .ended(0);
    let board = folder.path().join("run/tensorboard");
    for name in ["ar", "masked"] {
        let mut files = fs::read_dir(board.join(name)).unwrap();
        let file = files.next().unwrap().unwrap();
        let name = file.file_name().into_string().unwrap();
        assert!(name.starts_with("events.out.tfevents."), "{name}");
        let bytes = fs::read(file.path()).unwrap();
        for tag in ["train_nats", "val_nats", "grad_norm", "tokens_per_second"] {
            let tag = tag.as_bytes();
            assert!(bytes.windows(tag.len()).any(|window| window == tag));
        }
        assert!(files.next().is_none());
    }
    race(folder.path(), &["--out", "run", "--steps", "2", "--force"]).ended(0);
    assert!(!board.exists());
}

#[test]
fn the_newest_figures_are_served_to_this_machine_while_a_run_trains() {
    let folder = folder();
    let long = ["--steps", "100000", "--out", "run", "--metrics-port", "0"];
    let mut child = command(folder.path(), [vec!["race"], tiny(&long)].concat())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let url = lines.find_map(|line| line.unwrap().strip_prefix("Metrics: ").map(str::to_owned));
    let url = url.unwrap();
    let host = url
        .strip_prefix("http://")
        .unwrap()
        .strip_suffix("/metrics")
        .unwrap()
        .to_owned();
    assert!(host.starts_with("127.0.0.1:"), "{host}");
    // The pipe must not fill up.
    let rest = std::thread::spawn(move || lines.count());
    let serving = Serving { child, host };
    let page = loop {
        let (first, headers, body) = serving.ask("GET", "/metrics", "");
        assert_eq!(first, "HTTP/1.1 200 OK");
        assert!(headers.contains("text/plain; version=0.0.4"), "{headers}");
        let page = String::from_utf8(body).unwrap();
        if page.contains("crossover_train_nats{objective=\"masked\"") {
            break page;
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    assert!(page.contains("crossover_steps_planned 100000\n"), "{page}");
    assert_eq!(serving.status("GET", "/"), 404);
    drop(serving);
    rest.join().unwrap();

    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let refused = race(folder.path(), &["--out", "other", "--metrics-port", &port]).ended(1);
    assert!(refused.err.contains("hint: ") && refused.err.contains("--metrics-port"));
    assert!(!folder.path().join("other").exists());
}

// Serving

/// A running `crossover serve`, and where it listens.
struct Serving {
    child: Child,
    host: String,
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Serving {
    fn of(folder: &Path) -> Self {
        let mut child = command(
            Path::new("."),
            ["serve", "--port", "0", "--json", "--folder"],
        )
        .arg(folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let serving: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(keys(&serving), ["event", "url", "folder"]);
        assert_eq!(serving["event"], "serving");
        let url = serving["url"].as_str().unwrap();
        let host = url.strip_prefix("http://127.0.0.1:").unwrap();
        Self {
            child,
            host: format!("127.0.0.1:{}", host.trim_end_matches('/')),
        }
    }

    /// What a request is answered with: its first line, its headers in lower case, its body.
    fn ask(&self, method: &str, address: &str, headers: &str) -> (String, String, Vec<u8>) {
        let mut stream = TcpStream::connect(&self.host).unwrap();
        write!(
            stream,
            "{method} {address} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n{headers}\r\n",
            self.host
        )
        .unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n");
        let body = answer.split_off(end.unwrap() + 4);
        let head = String::from_utf8(answer).unwrap();
        let (first, rest) = head.split_once("\r\n").unwrap();
        (first.to_owned(), rest.to_lowercase(), body)
    }

    fn status(&self, method: &str, address: &str) -> u16 {
        let (first, _, _) = self.ask(method, address, "");
        first.split(' ').nth(1).unwrap().parse().unwrap()
    }
}

#[test]
fn a_folder_is_served_as_browsers_want_it() {
    let root = folder();
    let site = root.path().join("site");
    fs::create_dir_all(site.join("below")).unwrap();
    fs::write(root.path().join("secret.txt"), "secret").unwrap();
    for (name, content) in [
        ("index.html", "<p>page"),
        ("app-0123456789.wasm", "plain"),
        ("app-0123456789.wasm.br", "as brotli"),
        ("app-0123456789.wasm.gz", "as gzip"),
        (".hidden", "hidden"),
        ("below/index.html", "below"),
    ] {
        fs::write(site.join(name), content).unwrap();
    }
    let serving = Serving::of(&site);

    let (first, headers, body) = serving.ask("GET", "/?test", "");
    assert_eq!(
        (first.as_str(), &body[..]),
        ("HTTP/1.1 200 OK", &b"<p>page"[..])
    );
    assert!(
        headers.contains("content-type: text/html; charset=utf-8"),
        "{headers}"
    );
    assert!(headers.contains("cache-control: no-cache"), "{headers}");
    let tag = headers.lines().find_map(|line| line.strip_prefix("etag: "));
    let known = format!("If-None-Match: {}\r\n", tag.unwrap());
    let (first, _, body) = serving.ask("GET", "/", &known);
    assert!(first.contains(" 304 ") && body.is_empty(), "{first}");

    let program = "/app-0123456789.wasm";
    for (offered, encoding, expected) in [
        ("gzip, deflate, br", Some("br"), "as brotli"),
        ("gzip, br;q=0", Some("gzip"), "as gzip"),
        ("identity", None, "plain"),
    ] {
        let offered = format!("Accept-Encoding: {offered}\r\n");
        let (_, headers, body) = serving.ask("GET", program, &offered);
        assert_eq!(body, expected.as_bytes());
        assert!(
            headers.contains("content-type: application/wasm"),
            "{headers}"
        );
        assert!(headers.contains("immutable"), "{headers}");
        assert!(
            headers.contains(&format!("content-length: {}", body.len())),
            "{headers}"
        );
        let sent = headers
            .lines()
            .find_map(|line| line.strip_prefix("content-encoding: "));
        assert_eq!(sent, encoding);
    }
    let (_, headers, body) = serving.ask("HEAD", program, "");
    assert!(
        body.is_empty() && headers.contains("content-length: 5"),
        "{headers}"
    );

    let (first, headers, _) = serving.ask("GET", "/below", "");
    assert!(
        first.contains(" 301 ") && headers.contains("location: /below/"),
        "{headers}"
    );
    assert_eq!(serving.ask("GET", "/below/", "").2, b"below");
    for address in [
        "/../secret.txt",
        "/%2e%2e/secret.txt",
        "/below/../../secret.txt",
        "/..%5Csecret.txt",
        "//etc/passwd",
        "/.hidden",
        "/missing",
        "/%ff",
        "/%",
    ] {
        assert_eq!(serving.status("GET", address), 404, "{address}");
    }
    assert_eq!(serving.status("POST", "/"), 405);
}

#[cfg(unix)]
#[test]
fn a_link_leads_nowhere_outside_the_served_folder() {
    let root = folder();
    let site = root.path().join("site");
    fs::create_dir(&site).unwrap();
    fs::write(site.join("index.html"), "page").unwrap();
    fs::write(root.path().join("secret.txt"), "secret").unwrap();
    std::os::unix::fs::symlink("../secret.txt", site.join("link.txt")).unwrap();
    assert_eq!(Serving::of(&site).status("GET", "/link.txt"), 404);
}

#[test]
fn a_folder_without_the_playground_is_not_served() {
    let folder = folder();
    let missing = crossover(folder.path(), ["serve", "--port", "0"]).ended(2);
    insta::assert_snapshot!(missing.err, @r"
    error: there is no folder `dist`
    hint: `cargo xtask web` builds the playground
    ");
    let empty = crossover(folder.path(), ["serve", "--folder", "."]).ended(2);
    assert!(
        empty
            .err
            .starts_with("error: `.` has no `index.html`\nhint: "),
        "{}",
        empty.err
    );
    assert!(content(folder.path()).is_empty());
}

#[test]
fn a_port_that_is_taken_is_said() {
    let folder = folder();
    fs::write(folder.path().join("index.html"), "page").unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let flags = ["serve", "--folder", ".", "--port", &port];
    let ran = crossover(folder.path(), flags).ended(1);
    assert!(
        ran.err.contains(&port) && ran.err.contains("\nhint: "),
        "{}",
        ran.err
    );
}

//! Tokenizers from end to end: `corpus tokenizer`, runs with byte-level BPE, and the same ids in a wasm build.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod program;

use std::fs;
use std::path::Path;
use std::process::Command;

use crossover::corpus::{Bpe, Tokenizer};
use serde_json::{Value, json};
use tempfile::TempDir;

use program::{Ran, crossover};

/// A model and a run as small as they get, on the processor.
const TINY: [&str; 18] = [
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
    "--length",
    "16",
    "--batch",
    "2",
    "--steps",
    "2",
    "--held-out",
    "64",
];

fn tokenizer(folder: &Path, arguments: &[&str]) -> Ran {
    crossover(folder, [&["corpus", "tokenizer"], arguments].concat())
}

fn race(folder: &Path, arguments: &[&str]) -> Ran {
    crossover(folder, [&["race"], &TINY[..], arguments].concat())
}

/// A text with words that repeat, and a few that don't.
fn text() -> String {
    let verses = (1..=60).map(|verse| {
        format!(
            "{verse}: the cat sat on the mat, and grünes Gras grew by the sea; verse {} of it.\n",
            verse * 7 % 31
        )
    });
    verses.collect()
}

/// A folder with `text.txt` in it.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("text.txt"), text()).unwrap();
    folder
}

const TRAIN: [&str; 6] = [
    "train",
    "text.txt",
    "--tokenizer",
    "bpe:320",
    "--out",
    "tokenizer.json",
];

// `corpus tokenizer`

#[test]
fn every_tokenizer_command_has_help_with_an_example() {
    let folder = folder();
    for command in [&[][..], &["train"], &["inspect"], &["compare"]] {
        let help = tokenizer(folder.path(), &[command, &["--help"]].concat()).ended(0);
        assert!(
            help.out.contains("Example: crossover corpus tokenizer"),
            "{command:?}"
        );
    }
}

#[test]
fn a_trained_file_is_that_of_the_library_and_always_the_same() {
    let folder = folder();
    let ran = tokenizer(folder.path(), &[&TRAIN[..], &["--json"]].concat()).ended(0);
    let [result] = &ran.lines()[..] else {
        panic!("one line: {}", ran.out)
    };
    let keys: Vec<&String> = result.as_object().unwrap().keys().collect();
    assert_eq!(
        keys,
        [
            "event",
            "file",
            "ids",
            "merges",
            "documents",
            "bytes",
            "seconds"
        ]
    );
    assert_eq!(
        (&result["ids"], &result["merges"]),
        (&json!(320), &json!(64))
    );
    assert_eq!(result["bytes"], text().len());
    let file = fs::read(folder.path().join("tokenizer.json")).unwrap();
    let tokenizer_of = |name| Tokenizer::for_documents(name, [Ok(text())]).unwrap();
    assert_eq!(
        tokenizer_of("bpe:320").bpe(),
        Some(&Bpe::from_file(&file).unwrap())
    );

    let refused = tokenizer(folder.path(), &TRAIN).ended(2);
    assert_eq!(
        refused.err,
        "error: `tokenizer.json` is already there\nhint: replace it with `--force`, or choose another `--out`\n"
    );
    let again = tokenizer(folder.path(), &[&TRAIN[..], &["--force"]].concat()).ended(0);
    assert!(
        again
            .out
            .starts_with("tokenizer.json: 320 ids, 64 merges, learnt from 4,"),
        "{}",
        again.out
    );
    assert_eq!(
        fs::read(folder.path().join("tokenizer.json")).unwrap(),
        file
    );

    let most = [
        "train",
        "text.txt",
        "--tokenizer",
        "bpe:5000",
        "--out",
        "most.json",
    ];
    let ran = tokenizer(folder.path(), &most).ended(0);
    assert!(
        ran.err.contains("no other pair of neighbours occurs twice"),
        "{}",
        ran.err
    );
}

#[test]
fn inspecting_shows_the_vocabulary_and_the_cut() {
    let folder = folder();
    tokenizer(folder.path(), &TRAIN).ended(0);
    let inspect = ["inspect", "tokenizer.json", "--text", "text.txt"];
    let shown = tokenizer(folder.path(), &inspect).ended(0);
    insta::assert_snapshot!(shown.out, @"
    vocabulary      321 ids, MASK included
    longest tokens  ` grünes`, ` verse`, `ünes`, ` grew`, ` Gras`, ` the`, `<0xBC>nes`, ` cat`, ` mat`, ` sat`
    merges          64
    first merges    `a` + `t`, `h` + `e`, `t` + `he`, ` ` + `the`, `g` + `r`, `s` + `e`, ` ` + `o`, ` ` + `gr`, `G` + `r`, `a` + `n`
    last merges     ` 1` + `5`, ` 1` + `6`, ` 1` + `7`, ` 1` + `8`, ` 1` + `9`, ` 2` + `0`, ` 2` + `1`, ` 2` + `2`, ` 2` + `3`, ` 2` + `5`
    text            4,652 bytes, 1,443 tokens, 3.224 bytes/token
    begins          1|:| the| cat| sat| on| the| mat|,| and| grünes| Gras| grew| by| the| sea|;| verse| 7| of| it|.|\\n|2|:| the| cat| sat| on| the| mat|,| and| grünes| Gras| grew| by| the| sea|;| verse| 14| of| it|.|\\n|3|:| the| cat| sat| on| the| mat|,| and| grünes| Gras| grew| by|…
    ");
    let ran = tokenizer(folder.path(), &[&inspect[..], &["--json"]].concat()).ended(0);
    let [result] = &ran.lines()[..] else {
        panic!("one line: {}", ran.out)
    };
    assert_eq!(
        (&result["vocab_size"], &result["mask_id"]),
        (&json!(321), &json!(320))
    );
    assert_eq!(result["longest"].as_array().unwrap().len(), 10);
    let first: Vec<&str> = result["text"]["first"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(Value::as_str)
        .collect();
    assert!(text().starts_with(&first.concat()));
    let bytes = tokenizer(folder.path(), &["inspect", "byte", "--json"]).ended(0);
    assert_eq!(bytes.lines()[0]["vocab_size"], 257);
}

#[test]
fn comparing_measures_every_tokenizer_on_the_same_text() {
    let folder = folder();
    tokenizer(folder.path(), &TRAIN).ended(0);
    let compare = [
        "compare",
        "text.txt",
        "--tokenizer",
        "byte",
        "char",
        "bpe:320",
        "tokenizer.json",
    ];
    let ran = tokenizer(folder.path(), &compare).ended(0);
    insta::with_settings!({filters => vec![(r"\d+\.\d\d s\b", "[time]"), (r" +\[time\]", " [time]")]}, {
        insta::assert_snapshot!(ran.out, @"
        tokenizer             ids        tokens  tokens/byte  bytes/token  unigram bits/byte  vocabulary   encoding
        byte                  257         4,652        1.000        1.000              4.346 [time] [time]
        char                   37         4,592        0.987        1.013              4.174 [time] [time]
        bpe:320               321         1,443        0.310        3.224              1.567 [time] [time]
        tokenizer.json        321         1,443        0.310        3.224              1.567 [time] [time]

        4,652 bytes; ids include MASK. Unigram bits/byte is what the last tenth costs a model that knows only how often each
        token occurs before it, with one more of each. Vocabularies are made from the whole text.
        ");
    });
    let rows = tokenizer(folder.path(), &[&compare[..], &["--json"]].concat())
        .ended(0)
        .lines();
    let keys: Vec<&String> = rows[0].as_object().unwrap().keys().collect();
    assert_eq!(
        keys,
        [
            "event",
            "tokenizer",
            "vocab_size",
            "documents",
            "bytes",
            "tokens",
            "tokens_per_byte",
            "bytes_per_token",
            "unigram_bits_per_byte",
            "vocabulary_seconds",
            "encoding_seconds",
        ]
    );
    assert_eq!(rows[0]["tokens"], text().len());
    assert_eq!(rows[1]["tokens"], text().chars().count());
    assert_eq!(rows[2]["tokens"], rows[3]["tokens"]);
    let bits = |row: &Value| row["unigram_bits_per_byte"].as_f64().unwrap();
    assert!(
        bits(&rows[2]) < bits(&rows[0]),
        "{} is not less than {}",
        bits(&rows[2]),
        bits(&rows[0])
    );
}

#[test]
fn folders_are_read_as_a_run_reads_them() {
    let folder = folder();
    fs::create_dir(folder.path().join("more")).unwrap();
    fs::write(folder.path().join("more/copy.txt"), text()).unwrap();
    fs::write(
        folder.path().join("more/two.txt"),
        "one cat<|endoftext|>another cat",
    )
    .unwrap();
    fs::write(folder.path().join("more/latin1.txt"), b"gr\xFCn").unwrap();
    let compare = [
        "compare",
        "text.txt",
        "more",
        "--tokenizer",
        "byte",
        "bpe:300",
        "--json",
    ];
    let rows = tokenizer(folder.path(), &compare).ended(0).lines();
    let sizes = |row: &Value| {
        (
            row["documents"].as_u64().unwrap(),
            row["bytes"].as_u64().unwrap(),
        )
    };
    let documents = text().len() as u64 + 7 + 11;
    assert_eq!(sizes(&rows[0]), (4, documents + 4));
    assert_eq!(
        (&rows[0]["tokens"], &rows[0]["vocab_size"]),
        (&json!(documents + 4), &json!(258))
    );
    let skipping = [
        &compare[..4],
        &["char", "byte", "--json", "--skip-unreadable"],
    ]
    .concat();
    let ran = tokenizer(folder.path(), &skipping).ended(0);
    assert_eq!(
        sizes(&ran.lines()[1]),
        (3, documents),
        "all read what `char` can read"
    );
    assert!(ran.err.contains("note: skipped 1 file"), "{}", ran.err);
    let train = [
        "train",
        "more",
        "--extensions",
        "md",
        "--tokenizer",
        "bpe:300",
        "--out",
        "a.json",
    ];
    assert!(
        tokenizer(folder.path(), &train)
            .ended(2)
            .err
            .contains("`more`")
    );
}

#[test]
fn bad_input_is_refused_with_a_hint() {
    let folder = folder();
    let write = |name: &str, content: &[u8]| fs::write(folder.path().join(name), content).unwrap();
    write("latin1.txt", b"gr\xFCn");
    write("empty.txt", b"");
    write("text.json", b"{}");
    write(
        "words.json",
        br#"{"model":{"type":"WordPiece","vocab":{}}}"#,
    );
    let choices = "there are `byte`, `char`, `bpe:N` and `FILE.json`";
    let cases: [(&[&str], &str, &str); 13] = [
        (
            &["compare", "missing.txt"],
            "`missing.txt`",
            "check the spelling",
        ),
        (
            &["compare", "empty.txt"],
            "`empty.txt` is empty",
            "holds text",
        ),
        (
            &["compare", "latin1.txt"],
            "`latin1.txt`: this is no UTF-8 text: byte 2 (0xFC)",
            "`--tokenizer byte`",
        ),
        (
            &["compare", "text.txt", "--tokenizer", "bytes"],
            "`bytes`",
            choices,
        ),
        (
            &["compare", "text.txt", "--tokenizer", "bpe:100"],
            "`bpe:100` has too few ids",
            "`bpe:256`",
        ),
        (
            &["compare", "text.txt", "--tokenizer", "missing.json"],
            "`missing.json`",
            "check the spelling",
        ),
        (
            &["inspect", "text.json"],
            "`text.json`: this tokenizer can't be used",
            "bpe:N",
        ),
        (
            &["inspect", "words.json"],
            "`words.json`: this tokenizer can't be used",
            "bpe:N",
        ),
        (
            &["inspect", "char"],
            "`char` takes its vocabulary from a text",
            "`--text FILE`",
        ),
        (
            &[
                "train",
                "text.txt",
                "--tokenizer",
                "char",
                "--out",
                "a.json",
            ],
            "`--tokenizer char`",
            "bpe:1024",
        ),
        (
            &[
                "train",
                "text.txt",
                "--tokenizer",
                "bpe:9",
                "--out",
                "a.json",
            ],
            "`bpe:9`",
            "`bpe:256`",
        ),
        (
            &[
                "train",
                "text.txt",
                "--tokenizer",
                "bpe:300",
                "--out",
                "a.txt",
            ],
            "`--out a.txt`",
            "`--tokenizer`",
        ),
        (
            &[
                "train",
                "text.txt",
                "--tokenizer",
                "bpe:300",
                "--out",
                "no/a.json",
            ],
            "`no`",
            "make it first",
        ),
    ];
    let files = || fs::read_dir(folder.path()).unwrap().count();
    let before = files();
    for (typed, wrong, hint) in cases {
        let ran = tokenizer(folder.path(), typed).ended(2);
        let [error, help] = &ran.err.lines().collect::<Vec<_>>()[..] else {
            panic!("{typed:?}: {}", ran.err)
        };
        assert!(
            error.starts_with("error: ") && error.contains(wrong),
            "{typed:?}: {}",
            ran.err
        );
        assert!(
            help.starts_with("hint: ") && help.contains(hint),
            "{typed:?}: {}",
            ran.err
        );
        assert!(ran.out.is_empty(), "{typed:?}");
    }
    assert_eq!(files(), before, "nothing is written");
}

// Runs

#[test]
fn a_run_with_bpe_learns_writes_and_is_measured() {
    let folder = folder();
    tokenizer(folder.path(), &TRAIN).ended(0);
    let result = |name: &str, out: &str| {
        let flags = [
            "--corpus",
            "text.txt",
            "--tokenizer",
            name,
            "--out",
            out,
            "--json",
        ];
        let lines = race(folder.path(), &flags).ended(0).lines();
        lines.last().unwrap()["ar_best_nats"].as_f64().unwrap()
    };
    let trained = result("bpe:320", "trained");
    assert_eq!(
        trained,
        result("tokenizer.json", "loaded"),
        "the same ids, the same run"
    );

    let checkpoint = "trained/checkpoints/last-masked.safetensors";
    let file = fs::read(folder.path().join(checkpoint)).unwrap();
    let (_, header) = safetensors::SafeTensors::read_metadata(&file).unwrap();
    let kept = &header.metadata().as_ref().unwrap()["tokenizer"];
    assert!(
        kept.starts_with(r#"{"kind":"bpe","tokenizer":{"version":"1.0","#),
        "{kept}"
    );
    let kept = Tokenizer::from_json(kept).unwrap();
    assert_eq!(
        kept,
        Tokenizer::for_documents("bpe:320", [Ok(text())]).unwrap()
    );

    let sample = [
        "sample",
        "--checkpoint",
        checkpoint,
        "--infill",
        "the cat[MASK:3] Gras",
        "--device",
        "cpu",
        "--json",
    ];
    let lines = crossover(folder.path(), sample).ended(0).lines();
    let written = lines[0]["text"].as_str().unwrap();
    assert!(
        written.starts_with("the cat") && written.ends_with(" Gras"),
        "{written}"
    );
    let evaluate = [
        "evaluate",
        "--checkpoint",
        checkpoint,
        "--text",
        "text.txt",
        "--device",
        "cpu",
        "--json",
    ];
    let lines = crossover(folder.path(), evaluate).ended(0).lines();
    assert!(lines.last().unwrap()["bits_per_byte"].as_f64().unwrap() > 0.0);
}

#[test]
fn a_run_does_not_go_on_with_another_tokenizer() {
    let folder = folder();
    tokenizer(folder.path(), &TRAIN).ended(0);
    let flags = [
        "--corpus",
        "text.txt",
        "--tokenizer",
        "tokenizer.json",
        "--out",
        "run",
    ];
    race(folder.path(), &flags).ended(0);
    // As if it had been stopped before its result was known.
    fs::remove_file(folder.path().join("run/events.jsonl")).unwrap();
    let file = folder.path().join("tokenizer.json");
    let trained = fs::read_to_string(&file).unwrap();
    let mut other: Value = serde_json::from_str(&trained).unwrap();
    other["model"]["merges"].as_array_mut().unwrap().pop();
    fs::write(&file, other.to_string()).unwrap();
    let resume = ["race", "--resume", "run"];
    let ran = crossover(folder.path(), resume).ended(2);
    assert!(
        ran.err
            .contains("tokenizer.json` changed since this run began\nhint: put the old file back"),
        "{}",
        ran.err
    );
    fs::write(&file, trained).unwrap();
    crossover(folder.path(), resume).ended(0);
}

#[test]
fn a_tokenizer_that_is_larger_than_the_model_is_refused() {
    let folder = folder();
    fs::write(
        folder.path().join("small.toml"),
        "[model]\nvocab_size = 300\n",
    )
    .unwrap();
    let flags = [
        "--config",
        "small.toml",
        "--corpus",
        "text.txt",
        "--tokenizer",
        "bpe:320",
        "--out",
        "run",
    ];
    let ran = race(folder.path(), &flags).ended(2);
    assert_eq!(
        ran.err,
        "error: `vocab_size` is 300, but the tokenizer has 321 ids with MASK\n\
         hint: leave `vocab_size` out: it follows the tokenizer\n"
    );
    assert!(!folder.path().join("run").exists());
}

// The browser

/// Texts that are cut in different places by the smallest difference in regular expressions, hashes or character tables.
fn tricky() -> Vec<Vec<u8>> {
    let mut texts: Vec<Vec<u8>> = [
        "",
        "It's we'll THEY'RE  two  spaces\tand\ttabs \n\n  indented\r\n",
        "fn main() {\n    let x: Vec<u8> = vec![0; 1024]; // ==== ----\n}\n",
        "naïve re\u{301}sumé ß ﬁ Ǆ ſ ıİ Ⅷ ½ ²³ ٣٤ १२ 漢字かな交じり文 한국어 עברית العربية",
        "👩\u{200D}🚀👍🏽🇩🇪 \u{a0}\u{1680}\u{2028}\u{3000}\u{85}\u{feff}\u{200b}",
        "<|endoftext|> <|im_start|> <tool> a<tool>b",
    ]
    .map(|text| text.as_bytes().to_vec())
    .into();
    texts.push(b"caf\xE9 \xFF\xFE\0 \xC3 \xE2\x82 end".to_vec());
    texts.push((0..=u8::MAX).cycle().take(1000).collect());
    texts.push(text().repeat(20).into_bytes());
    texts
}

/// A loaded file in the manner of Qwen: another expression for words, words that are not merged, added tokens.
fn loaded() -> Tokenizer {
    let trained = Tokenizer::for_documents("bpe:320", [Ok(text())]).unwrap();
    let mut file: Value = serde_json::from_str(&trained.bpe().unwrap().to_file().unwrap()).unwrap();
    let words = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
    file["normalizer"] = json!({"type": "NFC"});
    file["pre_tokenizer"] = json!({"type": "Sequence", "pretokenizers": [
        {"type": "Split", "pattern": {"Regex": words}, "behavior": "Isolated", "invert": false},
        {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false},
    ]});
    file["model"]["ignore_merges"] = true.into();
    let added = |id: u32, content: &str, special: bool| {
        json!({
            "id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false,
            "normalized": false, "special": special
        })
    };
    file["added_tokens"] = json!([
        added(320, "<|im_start|>", true),
        added(321, "<tool>", false)
    ]);
    Tokenizer::from_json(
        &json!({"kind": "bpe", "tokenizer": file, "end_of_text": true}).to_string(),
    )
    .unwrap()
}

#[test]
fn a_wasm_build_gives_the_same_ids() {
    let Ok(module) = std::env::var("CROSSOVER_TEST_WASM") else {
        eprintln!("skipped: `cargo xtask test` builds the module");
        return;
    };
    let texts = tricky();
    let of_text = |name| Tokenizer::for_documents(name, [Ok(text())]).unwrap();
    let cases = [
        ("bpe:320", text(), of_text("bpe:320")),
        ("bpe:256", text(), of_text("bpe:256")),
        (
            "json",
            of_text("bpe:400").to_json().unwrap(),
            of_text("bpe:400"),
        ),
        ("json", loaded().to_json().unwrap(), loaded()),
    ];
    let asked = cases
        .iter()
        .map(|(name, text, _)| json!({"name": name, "text": text.as_bytes(), "texts": texts}));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("cases.json");
    fs::write(&file, Value::from_iter(asked).to_string()).unwrap();
    let script = Path::new("../tests/wasm/run.mjs");
    let output = Command::new("node")
        .arg(script)
        .arg(module)
        .arg(file)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let results: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(results.len(), cases.len());
    for ((name, _, native), wasm) in cases.iter().zip(&results) {
        assert_eq!(wasm["json"], native.to_json().unwrap(), "{name}");
        for (text, ids) in texts.iter().zip(wasm["ids"].as_array().unwrap()) {
            let expected = native.encode_bytes(text).unwrap();
            assert_eq!(native.decode_bytes(&expected), *text);
            assert_eq!(
                *ids,
                json!(expected),
                "{name}: {}",
                String::from_utf8_lossy(text)
            );
        }
    }
}

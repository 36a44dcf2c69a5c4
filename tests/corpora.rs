//! What a corpus of files promises: any folder of text trains with one command, no document is on both sides of the
//! measurement, shards are the text they were made of, and what can't be read is said before anything is written.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod program;

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::Path;

use crossover::corpus::{Corpus, CorpusConfig, DOCUMENT_END, EpochOrder, Survey, write_shards};
use crossover::error::{Error, Kind};
use serde_json::{Value, json};
use tempfile::TempDir;

use program::{Ran, crossover};

/// A model of one tiny block, two steps.
const TINY: [&str; 16] = [
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
    "--steps",
    "2",
    "--length",
    "16",
];

fn train(folder: &Path, arguments: &[&str]) -> Ran {
    let objective = ["train", "--objective", "masked"];
    crossover(folder, [&objective, &TINY[..], arguments].concat())
}

/// A folder with these files.
fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in files {
        write(folder.path(), name, content.as_bytes());
    }
    folder
}

fn write(folder: &Path, name: &str, content: &[u8]) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

/// A text that no other number gives, of about `words` words.
fn prose(number: u64, words: u64) -> String {
    let mut state = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0x5555;
    let mut text = format!("Text {number} begins.");
    for word in 0..words {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        text += if word % 9 == 8 { ".\n" } else { " " };
        for letter in 0..2 + (state >> 60) % 7 {
            text.push(char::from(b'a' + (state >> (8 * letter)) as u8 % 26));
        }
    }
    text + "\n"
}

fn config(paths: &[&Path]) -> CorpusConfig {
    CorpusConfig {
        source: paths
            .iter()
            .map(|path| path.to_str().unwrap().to_owned())
            .collect(),
        length: Some(16),
        ..CorpusConfig::default()
    }
}

fn names(survey: &Survey<'_>, below: &Path) -> Vec<String> {
    let below = below.display().to_string();
    let strip = |name: String| {
        name.strip_prefix(&below)
            .unwrap_or(&name)
            .trim_start_matches('/')
            .to_owned()
    };
    survey.names().map(strip).collect()
}

#[track_caller]
fn refused(result: Result<impl Sized, Error>) -> String {
    let error = result.err().expect("it is refused");
    assert_eq!(error.kind(), Kind::Input);
    format!("{error} / {}", error.hint().unwrap_or_default())
}

// One text

#[test]
fn a_single_file_is_cut_as_it_always_was() {
    let text: String = (0..1_000_u64)
        .map(|number| char::from(b'a' + (number * number * number / 91 % 23) as u8))
        .collect();
    let files = folder(&[("a.txt", &text)]);
    let config = CorpusConfig {
        unique: Some(300),
        ..config(&[&files.path().join("a.txt")])
    };
    let corpus = Corpus::load(&config, 3).unwrap();
    // `printf %s "$text" | sha256sum`
    assert_eq!(
        corpus.config.hash.as_deref(),
        Some("2d8dc812423c0d60c9b0ad49567d99c6bbd711d1459576c8a1e7ae3a88b7d09c"),
    );
    assert_eq!(corpus.tokenizer.end_of_text(), None);
    assert_eq!(corpus.config.tokenizer.as_deref(), Some("char"));
    let encode = |part: &str| corpus.tokenizer.encode(part).unwrap();
    assert_eq!(corpus.train.tokens.to_vec(), encode(&text[..300]));
    assert_eq!(corpus.validation.tokens, encode(&text[800..900]));
    assert_eq!(corpus.test.tokens, encode(&text[900..]));
    let mut order = EpochOrder::new(&corpus.train, 3);
    let starts: Vec<usize> = (0..3)
        .map(|index| {
            text.find(&corpus.tokenizer.decode(&order.window(index)))
                .unwrap()
        })
        .collect();
    assert_eq!(starts, STARTS, "windows that earlier versions drew");
}

const STARTS: [usize; 3] = [209, 241, 81];

// Which files

#[test]
fn a_folder_is_walked_in_order_as_its_gitignore_says() {
    let files = folder(&[
        ("b.rs", &prose(1, 30)),
        ("a/z.rs", &prose(2, 30)),
        ("a.rs", &prose(3, 30)),
        ("notes.MD", &prose(4, 30)),
        ("Makefile", &prose(5, 30)),
        ("target/built.rs", &prose(6, 30)),
        ("a/kept.log.rs", &prose(7, 30)),
        ("a/debug.log", &prose(8, 30)),
        (".hidden/secret.rs", &prose(9, 30)),
        (".gitignore", "/target\n*.log\n"),
        ("runs/one/.lock", ""),
        ("runs/one/config.toml", &prose(10, 30)),
        ("shards/shards.json", &prose(11, 30)),
    ]);
    let read = |extensions: &[&str]| {
        let config = CorpusConfig {
            extensions: extensions.iter().map(|&name| name.to_owned()).collect(),
            ..config(&[files.path()])
        };
        names(&Survey::of_files(&config).unwrap(), files.path())
    };
    let all = [
        "Makefile",
        "a/kept.log.rs",
        "a/z.rs",
        "a.rs",
        "b.rs",
        "notes.MD",
    ];
    assert_eq!(read(&[]), all);
    assert_eq!(read(&["rs"]), ["a/kept.log.rs", "a/z.rs", "a.rs", "b.rs"]);
    assert_eq!(read(&["md"]), ["notes.MD"]);

    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(files.path().join("a.rs"), files.path().join("link.rs"))
            .unwrap();
        std::os::unix::fs::symlink(files.path(), files.path().join("around")).unwrap();
        std::os::unix::fs::symlink("nowhere", files.path().join("broken.rs")).unwrap();
        assert_eq!(read(&[]), all, "links are not followed");
    }
    let wanted = CorpusConfig {
        extensions: vec!["py".to_owned()],
        ..config(&[files.path()])
    };
    let message = refused(Survey::of_files(&wanted));
    assert!(
        message.contains("has the extension `py` / it has `rs` (4), "),
        "{message}"
    );
    assert!(
        message.contains("`md` (1)") && message.contains("1 without an extension"),
        "{message}"
    );
}

#[test]
fn nothing_is_counted_twice() {
    let files = folder(&[
        ("sub/a.txt", &prose(1, 30)),
        ("sub/b.txt", &prose(2, 30)),
        ("c.txt", &prose(3, 30)),
    ]);
    let path = |name: &str| files.path().join(name);
    let (sub, again) = (path("sub"), path("sub/../sub"));
    let several = [
        &path("c.txt"),
        &path("sub/b.txt"),
        &sub,
        &sub,
        &again,
        &path("c.txt"),
    ];
    let survey = Survey::of_files(&config(&several.map(|path| path.as_path()))).unwrap();
    assert_eq!(
        names(&survey, files.path()),
        ["c.txt", "sub/b.txt", "sub/a.txt"]
    );
    assert_eq!(survey.copies, 0);
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(path("c.txt"), path("same.txt")).unwrap();
        let linked = Survey::of_files(&config(&[&path("same.txt"), &path("c.txt")])).unwrap();
        assert_eq!(
            linked.documents, 1,
            "a link that is named is the file it names"
        );
    }
}

#[test]
fn what_is_no_text_is_left_out_or_refused_by_name() {
    let files = folder(&[
        ("a.txt", &prose(1, 60)),
        ("b.txt", &prose(2, 60)),
        ("c.txt", &prose(3, 60)),
        ("d.txt", ""),
    ]);
    write(files.path(), "image.png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR");
    let folder_config = config(&[files.path()]);
    let corpus = Corpus::load(&folder_config, 1).unwrap();
    assert_eq!(
        corpus.notices,
        ["left out 1 binary file; `--extensions` reads them anyway"]
    );
    assert_eq!(corpus.documents, Some(3));

    write(files.path(), "latin1.txt", b"gr\xFCn und bl\xE4ulich");
    let message = refused(Corpus::load(&folder_config, 1));
    assert!(
        message.contains("latin1.txt`: this is no UTF-8 text: byte 2 (0xFC)"),
        "{message}"
    );
    assert!(
        message.contains("`--skip-unreadable` leaves such files out"),
        "{message}"
    );
    let skipping = CorpusConfig {
        skip_unreadable: true,
        ..folder_config.clone()
    };
    let skipped = Corpus::load(&skipping, 1).unwrap();
    assert_eq!(skipped.train, corpus.train);
    assert!(
        skipped.notices[0].starts_with("skipped 1 file that can't be read: "),
        "{:?}",
        skipped.notices
    );
    assert_eq!(
        Corpus::load(&skipped.config, 1).unwrap().config,
        skipped.config,
        "it resumes so"
    );

    // Bytes and merged bytes take any file.
    for tokenizer in ["byte", "bpe:260"] {
        let bytes = CorpusConfig {
            tokenizer: Some(tokenizer.to_owned()),
            ..folder_config.clone()
        };
        assert_eq!(
            Corpus::load(&bytes, 1).unwrap().documents,
            Some(4),
            "{tokenizer}"
        );
    }
    // A name that doesn't exist is a mistake, whatever is skipped.
    let missing = CorpusConfig {
        skip_unreadable: true,
        ..config(&[files.path(), Path::new("missing.txt")])
    };
    assert!(refused(Corpus::load(&missing, 1)).starts_with("can't read `missing.txt`"));

    let runs = files.path().join("out");
    let ran = train(files.path(), &["--corpus", ".", "--out", "out"]).ended(2);
    assert!(
        ran.err.contains("latin1.txt") && ran.err.contains("hint: `--skip-unreadable`"),
        "{}",
        ran.err
    );
    assert!(!runs.exists(), "nothing is written");
    train(
        files.path(),
        &["--corpus", ".", "--out", "out", "--skip-unreadable"],
    )
    .ended(0);
    let events = fs::read_to_string(runs.join("events.jsonl")).unwrap();
    let notices: Vec<String> = events
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|event| event["event"] == "notice")
        .map(|event| event["message"].as_str().unwrap().to_owned())
        .collect();
    assert!(
        notices.iter().any(|notice| notice.contains("latin1.txt")),
        "{notices:?}"
    );
    assert!(
        notices.iter().any(|notice| notice.contains("binary")),
        "{notices:?}"
    );
}

#[test]
fn any_folder_of_text_trains_with_one_command() {
    let files = folder(&[
        ("empty.rs", ""),
        ("one line.rs", "fn main() {}"),
        ("break.rs", "\n"),
        ("windows.rs", &prose(1, 60).replace('\n', "\r\n")),
        ("marked.rs", &format!("\u{FEFF}{}", prose(2, 60))),
        (
            "名前.rs",
            &"漢字かな交じり文、そして русский текст и עברית.\n".repeat(8),
        ),
        (
            "emoji.rs",
            &"👩\u{200D}🚀 e\u{301} \u{a0}\u{3000}\n".repeat(20),
        ),
        ("long line.rs", &"x = 1; ".repeat(60)),
    ]);
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStrExt;
        let name = std::ffi::OsStr::from_bytes(b"latin1-\xE4.rs");
        // Some file systems take only UTF-8 names.
        let _ = fs::write(files.path().join(name), prose(3, 60));
    }
    for (tokenizer, run) in [("char", "1"), ("byte", "2"), ("bpe:300", "3")] {
        train(
            files.path(),
            &[
                "--corpus",
                ".",
                "--extensions",
                ".RS,md",
                "--tokenizer",
                tokenizer,
                "--out",
                run,
            ],
        )
        .ended(0);
        let config = fs::read_to_string(files.path().join(run).join("config.toml")).unwrap();
        assert!(config.contains("extensions = [\"rs\", \"md\"]"), "{config}");
        assert!(
            config.contains(&format!("tokenizer = \"{tokenizer}\"")),
            "{config}"
        );
    }
}

#[test]
fn a_tokenizer_from_a_file_is_remembered_by_its_full_path() {
    let files = folder(&[
        ("a.txt", &prose(1, 300)),
        ("b.txt", &prose(2, 300)),
        ("c.txt", &prose(3, 300)),
    ]);
    let make = [
        "corpus",
        "tokenizer",
        "train",
        "a.txt",
        "--tokenizer",
        "bpe:300",
        "--out",
        "tok.json",
    ];
    crossover(files.path(), make).ended(0);
    let from_file = ["--extensions", "txt", "--tokenizer", "tok.json"];
    let shards = ["corpus", "files", ".", "--out", "shards"];
    crossover(files.path(), [&shards[..], &from_file].concat()).ended(0);
    train(
        files.path(),
        &[&["--corpus", ".", "--out", "run"][..], &from_file].concat(),
    )
    .ended(0);
    train(
        files.path(),
        &[
            "--corpus",
            "shards",
            "--tokenizer",
            "./tok.json",
            "--out",
            "again",
        ],
    )
    .ended(0);
    let path = files.path().join("tok.json");
    for run in ["run", "again"] {
        let config = fs::read_to_string(files.path().join(run).join("config.toml")).unwrap();
        assert!(
            config.contains(&format!("tokenizer = \"{}\"", path.display())),
            "{config}"
        );
    }
}

// Documents

#[test]
fn no_document_and_no_copy_is_in_two_parts() {
    let mut files: Vec<(String, String)> = (0..40)
        .map(|number| (format!("{number}.txt"), prose(number, 20 + number % 7 * 10)))
        .collect();
    files.push(("copy.txt".to_owned(), prose(7, 20)));
    files.push((
        "three.txt".to_owned(),
        [50, 51, 2]
            .map(|number| prose(number, 40))
            .join(&format!("{DOCUMENT_END}\n")),
    ));
    let files: Vec<(&str, &str)> = files
        .iter()
        .map(|(name, text)| (name.as_str(), text.as_str()))
        .collect();
    let files = folder(&files);
    let config = CorpusConfig {
        unique: Some(3_000),
        ..config(&[files.path()])
    };
    let corpus = Corpus::load(&config, 5).unwrap();
    assert_eq!(corpus.documents, Some(42));
    assert_eq!(
        corpus.notices,
        ["dropped 2 documents, the same to the byte as an earlier one"]
    );
    let end = corpus.tokenizer.end_of_text().unwrap();
    assert_eq!(corpus.tokenizer.symbol(end), DOCUMENT_END);
    assert_eq!(end + 1, corpus.tokenizer.mask_id());
    let openings = |tokens: &[u32]| -> HashSet<String> {
        tokens
            .split(|&id| id == end)
            .map(|document| corpus.tokenizer.decode(document).chars().take(15).collect())
            .filter(|opening: &String| !opening.is_empty())
            .collect()
    };
    let parts = [
        &corpus.train.tokens.to_vec(),
        &corpus.validation.tokens,
        &corpus.test.tokens,
    ];
    let parts = parts.map(|tokens| openings(tokens));
    assert!(parts.iter().all(|part| part.len() > 1), "{parts:?}");
    for (one, two) in [(0, 1), (0, 2), (1, 2)] {
        assert!(parts[one].is_disjoint(&parts[two]), "{parts:?}");
    }
    let other = Corpus::load(&config, 6).unwrap();
    assert_ne!(other.test, corpus.test, "the seed chooses what is held out");
    assert_eq!(other.config.hash, corpus.config.hash);
}

#[test]
fn near_duplicates_are_counted_and_shown() {
    let changed = |number: u64| prose(number, 300).replacen("begins", "starts", 1);
    let mut files: Vec<(String, String)> = (0..30)
        .map(|number| (format!("{number}.txt"), prose(number, 300)))
        .collect();
    files.extend((0..10).map(|number| (format!("{number}-again.txt"), changed(number))));
    let files: Vec<(&str, &str)> = files
        .iter()
        .map(|(name, text)| (name.as_str(), text.as_str()))
        .collect();
    let files = folder(&files);
    let corpus = Corpus::load(
        &CorpusConfig {
            unique: Some(40_000),
            held_out: Some(8_000),
            ..config(&[files.path()])
        },
        1,
    )
    .unwrap();
    let [notice] = &corpus.notices[..] else {
        panic!("one notice: {:?}", corpus.notices)
    };
    assert!(
        notice.contains(" held-out documents are near-duplicates of training documents"),
        "{notice}"
    );

    let found = crossover(
        files.path(),
        ["corpus", "files", ".", "--json", "--tokenizer", "bpe:300"],
    )
    .ended(0)
    .result();
    assert_eq!(found["documents"], 40);
    assert_eq!(found["near_duplicates"]["documents"], 10);
    assert_eq!(found["near_duplicates"]["groups"], 10);
    let example = &found["near_duplicates"]["examples"][0];
    assert!(
        example["first"].as_str().unwrap().ends_with("-again.txt"),
        "{example}"
    );
    assert_eq!(
        found["tokens"]["byte"],
        found["bytes"].as_u64().unwrap() + 40
    );
    assert!(found["tokens"]["bpe:300"].as_u64() < found["tokens"]["char"].as_u64());
    assert_eq!(found["extensions"][0]["extension"], "txt");
    let table = crossover(files.path(), ["corpus", "stats", "."])
        .ended(0)
        .out;
    assert!(
        table.contains("near-duplicates 10 of 40 documents, in 10 groups"),
        "{table}"
    );
}

#[test]
fn a_text_with_markers_is_evaluated_document_by_document() {
    let documents: Vec<String> = (0..30).map(|number| prose(number, 30)).collect();
    let files = folder(&[("stories.txt", &documents.join(&format!("{DOCUMENT_END}\n")))]);
    train(files.path(), &["--corpus", "stories.txt", "--out", "run"]).ended(0);
    let measure = |name: &str| {
        let checkpoint = "run/checkpoints/best-masked.safetensors";
        let arguments = [
            "evaluate",
            "--json",
            "--device",
            "cpu",
            "--checkpoint",
            checkpoint,
            "--text",
            name,
        ];
        crossover(files.path(), arguments).ended(0).result()["tokens"]
            .as_u64()
            .unwrap()
    };
    // 32 characters and as many ends make two windows of 16 each.
    write(
        files.path(),
        "marked.txt",
        "a<|endoftext|>".repeat(32).as_bytes(),
    );
    write(files.path(), "plain.txt", "a".repeat(64).as_bytes());
    assert_eq!(measure("marked.txt"), 64);
    assert_eq!(measure("plain.txt"), 64);
}

// Shards

/// Everything that a run sees of a corpus.
fn seen(corpus: &Corpus) -> Value {
    let mut config = serde_json::to_value(&corpus.config).unwrap();
    config.as_object_mut().unwrap().remove("source");
    json!({
        "config": config,
        "tokenizer": corpus.tokenizer.to_json().unwrap(),
        "train": corpus.train.tokens.to_vec(),
        "validation": corpus.validation.tokens,
        "test": corpus.test.tokens,
        "documents": corpus.documents,
        "notices": corpus.notices,
    })
}

#[test]
fn a_run_from_shards_is_the_run_from_the_text() {
    let many: Vec<String> = (0..25).map(|number| prose(number, 40)).collect();
    let mut numbered: Vec<(String, &str)> = many
        .iter()
        .enumerate()
        .map(|(number, text)| (format!("many/{number}.txt"), text.as_str()))
        .collect();
    numbered.push(("many/again.txt".to_owned(), &many[3]));
    let (one, two) = (
        prose(100, 400),
        format!("{}{DOCUMENT_END}{}", prose(101, 200), prose(102, 200)),
    );
    numbered.push(("one.txt".to_owned(), &one));
    numbered.push(("two.txt".to_owned(), &two));
    let files: Vec<(&str, &str)> = numbered
        .iter()
        .map(|(name, text)| (name.as_str(), *text))
        .collect();
    let files = folder(&files);
    write(files.path(), "many/binary", b"\0");
    for (source, documents) in [("many", 25), ("one.txt", 1), ("two.txt", 2)] {
        for tokenizer in ["char", "byte", "bpe:300"] {
            let text = CorpusConfig {
                tokenizer: Some(tokenizer.to_owned()),
                ..config(&[&files.path().join(source)])
            };
            let out = tempfile::tempdir().unwrap();
            let index = write_shards(&text, out.path().to_str().unwrap(), 700, |_, _| {}).unwrap();
            assert!(index.shards > 1);
            assert_eq!((index.documents, index.token_bytes), (documents, 2));
            let shards = CorpusConfig {
                tokenizer: None,
                ..text.clone()
            };
            let shards = CorpusConfig {
                source: config(&[out.path()]).source,
                ..shards
            };
            let from_text = Corpus::load(&text, 9).unwrap();
            let from_shards = Corpus::load(&shards, 9).unwrap();
            assert_eq!(seen(&from_shards), seen(&from_text), "{source} {tokenizer}");
            let mut orders =
                [&from_text, &from_shards].map(|corpus| EpochOrder::new(&corpus.train, 9));
            for index in 0..200 {
                let [text, shards] = orders.each_mut().map(|order| order.window(index));
                assert_eq!(text, shards);
            }
            let again = Corpus::load(&from_shards.config, 9).unwrap();
            assert_eq!(seen(&again), seen(&from_shards), "it resumes so");
        }
    }
}

#[test]
fn wide_vocabularies_take_four_bytes() {
    let symbols: String = ('\u{4E00}'..)
        .take(70_000)
        .filter(|c| c.is_alphanumeric())
        .collect();
    assert!(symbols.chars().count() > 20_000);
    // Every character of the first planes that is none of a surrogate pair, to need more than two bytes.
    let all: String = ('\u{1}'..='\u{1FFFF}').filter(|c| *c != '<').collect();
    let files = folder(&[("all.txt", &all)]);
    let out = files.path().join("shards");
    let text = config(&[&files.path().join("all.txt")]);
    let index = write_shards(&text, out.to_str().unwrap(), 50_000, |_, _| {}).unwrap();
    assert_eq!(index.token_bytes, 4);
    let (text, shards) = (
        Corpus::load(&text, 1).unwrap(),
        Corpus::load(&config(&[&out]), 1).unwrap(),
    );
    assert_eq!(shards.test, text.test);
    assert_eq!(shards.train, text.train);
}

#[test]
fn damaged_or_foreign_shards_are_refused_with_a_way_out() {
    let files = folder(&[("a.txt", &prose(1, 400)), ("b.txt", &prose(2, 400))]);
    let path = |name: &str| files.path().join(name);
    let text = config(&[&path("a.txt")]);
    let shards = path("shards");
    let make = |config: &CorpusConfig| {
        let _ = fs::remove_dir_all(&shards);
        write_shards(config, shards.to_str().unwrap(), 700, |_, _| {})
    };
    let load = || refused(Corpus::load(&config(&[&shards]), 1));
    let index = make(&text).unwrap();

    let asked = |tokenizer: &str| {
        let tokenizer = Some(tokenizer.to_owned());
        Corpus::load(
            &CorpusConfig {
                tokenizer,
                ..config(&[&shards])
            },
            1,
        )
    };
    assert!(asked("char").is_ok());
    let message = refused(asked("byte"));
    assert!(
        message.contains("were made with `--tokenizer char`, not `byte` / leave `--tokenizer` out"),
        "{message}"
    );
    let message = refused(Corpus::load(&config(&[&shards, &path("a.txt")]), 1));
    assert!(
        message
            .contains("holds token shards, not text / to train on shards, give their folder alone"),
        "{message}"
    );

    // A run began with the shards of another text.
    let began = Corpus::load(&config(&[&shards]), 1).unwrap().config;
    make(&config(&[&path("b.txt")])).unwrap();
    assert!(refused(Corpus::load(&began, 1)).contains("the text changed since this run began"));

    make(&text).unwrap();
    let message = refused(write_shards(
        &text,
        shards.to_str().unwrap(),
        700,
        |_, _| {},
    ));
    assert!(
        message.contains("already holds files / choose another folder with `--out`"),
        "{message}"
    );

    let last = format!("tokens-{:05}.bin", index.shards - 1);
    let whole = fs::read(shards.join(&last)).unwrap();
    fs::write(shards.join(&last), &whole[..whole.len() - 2]).unwrap();
    let message = load();
    assert!(
        message.contains(&format!(
            "are damaged: `{last}` has {} bytes",
            whole.len() - 2
        )),
        "{message}"
    );
    assert!(message.contains("/ write them again"), "{message}");
    fs::remove_file(shards.join(&last)).unwrap();
    assert!(load().contains(&format!("`{last}` is missing")));

    make(&text).unwrap();
    fs::write(shards.join("documents.bin"), [255; 8]).unwrap();
    assert!(load().contains("are damaged: document 0 ends at token"));

    make(&text).unwrap();
    let json = fs::read_to_string(shards.join("shards.json")).unwrap();
    fs::write(
        shards.join("shards.json"),
        json.replace("\"format_version\": 1", "\"format_version\": 2"),
    )
    .unwrap();
    assert!(load().contains("has version 2, and this program reads versions up to 1"));
    fs::write(
        shards.join("shards.json"),
        json.replace("\"token_bytes\": 2", "\"token_bytes\": 4"),
    )
    .unwrap();
    assert!(load().contains("contradict each other"));
    fs::write(shards.join("shards.json"), &json[..json.len() / 2]).unwrap();
    assert!(load().contains("is no index of token shards"));

    // Whoever is interrupted leaves no index; what is left may be written over.
    fs::remove_file(shards.join("shards.json")).unwrap();
    assert!(load().contains("was interrupted / the same command goes on"));
    write_shards(&text, shards.to_str().unwrap(), 700, |_, _| {}).unwrap();
    assert!(Corpus::load(&config(&[&shards]), 1).is_ok());
}

/// Every file of a folder, by name.
fn content(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    entries
        .map(|entry| {
            let name = entry.file_name().into_string().unwrap();
            (name, fs::read(entry.path()).unwrap())
        })
        .collect()
}

#[test]
fn shards_go_on_where_a_killed_command_was() {
    // Many times the text that is encoded at once.
    let files = tempfile::tempdir().unwrap();
    for number in 0..40 {
        let name = format!("text/{number:02}.txt");
        write(files.path(), &name, prose(number, 150_000).as_bytes());
    }
    fn make(out: &str) -> [&str; 8] {
        let size = "3000000";
        [
            "corpus",
            "files",
            "text",
            "--out",
            out,
            "--shard-tokens",
            size,
            "--json",
        ]
    }
    let whole = crossover(files.path(), make("whole")).ended(0).result();
    assert_eq!(whole["kept"], 0);
    assert!(whole["shards"].as_u64().unwrap() > 8, "{whole}");

    let cut = files.path().join("cut");
    let progress = cut.join("progress.json");
    let begin = || {
        let mut child = program::command(files.path(), make("cut"))
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let before = fs::read(&progress).ok();
        // Further than the last one came, if it is not too quick for that.
        while fs::read(&progress).ok() == before && child.try_wait().unwrap().is_none() {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        child.kill().unwrap();
        child.wait().unwrap();
    };
    begin();
    begin();
    let first = cut.join("tokens-00000.bin");
    let made = fs::metadata(&first).unwrap().modified().unwrap();
    let on = crossover(files.path(), make("cut")).ended(0).result();
    assert!(on["kept"].as_u64().unwrap() >= 2, "{on}");
    assert_eq!(fs::metadata(&first).unwrap().modified().unwrap(), made);
    assert!(content(&cut) == content(&files.path().join("whole")));

    // What was changed meanwhile is made again, and so is everything with it.
    fs::remove_dir_all(&cut).unwrap();
    begin();
    let mut bytes = fs::read(&first).unwrap();
    bytes[1_000] ^= 1;
    fs::write(&first, bytes).unwrap();
    let anew = crossover(files.path(), make("cut")).ended(0).result();
    assert_eq!(anew["kept"], 0);
    assert!(content(&cut) == content(&files.path().join("whole")));
    // So is another text.
    fs::remove_dir_all(&cut).unwrap();
    begin();
    write(files.path(), "text/40.txt", prose(40, 1_000).as_bytes());
    let longer = crossover(files.path(), make("cut")).ended(0).result();
    assert_eq!(
        (&longer["kept"], &longer["documents"]),
        (&json!(0), &json!(41))
    );
}

#[test]
fn records_are_the_text_they_hold() {
    let files = tempfile::tempdir().unwrap();
    let texts: Vec<String> = (0..30).map(|number| prose(number, 30)).collect();
    let plain: String = texts
        .iter()
        .map(|text| format!("{text}\n{DOCUMENT_END}\n"))
        .collect();
    let lines: String = texts
        .iter()
        .zip(0..)
        .map(|(text, id)| format!("{}\n", json!({"id": id, "text": text, "body": id})))
        .collect();
    let lines = lines + "{\"text\":null}\n";
    write(files.path(), "plain.txt", plain.as_bytes());
    write(files.path(), "lines.jsonl", lines.as_bytes());
    let packed = zstd::encode_all(lines.as_bytes(), 3).unwrap();
    write(files.path(), "packed.jsonl.zst", &packed);

    let load = |name: &str| Corpus::load(&config(&[&files.path().join(name)]), 5).unwrap();
    let expected = load("plain.txt");
    assert_eq!(expected.documents, Some(30));
    for name in ["lines.jsonl", "packed.jsonl.zst"] {
        let found = load(name);
        assert_eq!(found.config.hash, expected.config.hash, "{name}");
        assert_eq!(found.train.tokens, expected.train.tokens, "{name}");
        assert_eq!(found.test.tokens, expected.test.tokens, "{name}");
    }

    // What to do where there is no such field.
    let field = |name: &str, field: &str| CorpusConfig {
        text_field: Some(field.to_owned()),
        ..config(&[&files.path().join(name)])
    };
    let said = refused(Corpus::load(&field("lines.jsonl", "body"), 5));
    assert!(
        said.contains("lines.jsonl`: line 1: ") && said.contains("`--text-field`"),
        "{said}"
    );
    write(files.path(), "cut.jsonl.zst", &packed[..packed.len() / 2]);
    refused(Corpus::load(
        &config(&[&files.path().join("cut.jsonl.zst")]),
        5,
    ));

    // In a folder only what holds such records is read so; other lines of JSON are text as ever, other packed files are none.
    write(files.path(), "mixed/a.jsonl", lines.as_bytes());
    write(files.path(), "mixed/b.jsonl.zst", &packed);
    write(files.path(), "mixed/log.jsonl", b"{\"event\":1}\n");
    let mixed = config(&[&files.path().join("mixed")]);
    let survey = Survey::of_files(&mixed).unwrap();
    // The packed texts are copies of the others.
    assert_eq!(
        (survey.documents, survey.copies, survey.binaries),
        (31, 30, 0)
    );
    let other = CorpusConfig {
        text_field: Some("body".to_owned()),
        ..mixed
    };
    assert_eq!(Survey::of_files(&other).unwrap().binaries, 1);

    // All the way: shards of records.
    let renamed = lines.replace("\"text\"", "\"article\"");
    write(files.path(), "renamed.jsonl", renamed.as_bytes());
    let arguments = [
        "corpus",
        "files",
        "renamed.jsonl",
        "--text-field",
        "article",
        "--out",
        "shards",
        "--json",
    ];
    let made = crossover(files.path(), arguments).ended(0).result();
    assert_eq!(made["documents"], 30);
}

#[test]
fn a_mixture_trains_on_shares_of_its_sources_and_measures_each() {
    // Two languages that share no letter.
    let digits = |text: String| -> String {
        let shifted = |letter: char| match letter {
            'a'..='z' => char::from(b'0' + (letter as u8 - b'a') % 10),
            other => other,
        };
        text.to_lowercase().chars().map(shifted).collect()
    };
    let letters: Vec<String> = (0..40).map(|number| prose(number, 60)).collect();
    let numbers: Vec<String> = (40..50).map(|number| digits(prose(number, 60))).collect();
    let files = tempfile::tempdir().unwrap();
    for (folder, texts) in [("letters", &letters), ("numbers", &numbers)] {
        for (number, text) in texts.iter().enumerate() {
            write(
                files.path(),
                &format!("{folder}/{number}.txt"),
                text.as_bytes(),
            );
        }
    }
    // A document of both is in one of them only.
    write(files.path(), "numbers/copy.txt", letters[3].as_bytes());
    let mixed = CorpusConfig {
        mixture: vec![3.0, 1.0],
        unique: Some(4_000),
        held_out: Some(800),
        ..config(&[&files.path().join("letters"), &files.path().join("numbers")])
    };
    let corpus = Corpus::load(&mixed, 4).unwrap();
    assert_eq!(corpus.documents, Some(50));
    assert_eq!(corpus.train.tokens.len(), 4_000);
    let is_numbers = |window: &[u32]| {
        let text = corpus.tokenizer.decode(window);
        text.chars().filter(char::is_ascii_digit).count() > 4
    };
    let mut order = EpochOrder::new(&corpus.train, 4);
    let count = (0..1_000)
        .filter(|index| is_numbers(&order.window(*index)))
        .count();
    // A few windows of letters have a number's digits, and the other way round.
    assert!(count.abs_diff(250) < 15, "{count}");
    for windows in [&corpus.validation, &corpus.test] {
        let windows: Vec<&[u32]> = windows.iter().collect();
        assert_eq!(windows.len(), 37 + 12);
        let first = windows[..16]
            .iter()
            .filter(|window| is_numbers(window))
            .count();
        assert!((2..=6).contains(&first), "{first}");
    }
    // The resolved configuration makes the same again.
    let again = Corpus::load(&corpus.config, 4).unwrap();
    assert_eq!(seen(&again), seen(&corpus));
    assert_eq!(again.train, corpus.train);

    // From shards likewise, by a tokenizer that both have.
    let made: Vec<_> = ["letters", "numbers"]
        .iter()
        .map(|name| {
            let out = files.path().join(format!("shards-{name}"));
            let text = CorpusConfig {
                tokenizer: Some("byte".to_owned()),
                ..config(&[&files.path().join(name)])
            };
            write_shards(&text, out.to_str().unwrap(), 700, |_, _| {}).unwrap();
            out
        })
        .collect();
    let from_shards = CorpusConfig {
        source: config(&[&made[0], &made[1]]).source,
        ..mixed.clone()
    };
    assert_eq!(Corpus::load(&from_shards, 4).unwrap().train.shares.len(), 2);

    for (wrong, said) in [
        (
            CorpusConfig {
                mixture: vec![1.0],
                ..mixed.clone()
            },
            "1 weights for 2 sources",
        ),
        (
            CorpusConfig {
                mixture: vec![1.0, -1.0],
                ..mixed.clone()
            },
            "weight -1",
        ),
        (
            CorpusConfig {
                source: config(&[&made[0], &files.path().join("numbers")]).source,
                ..mixed.clone()
            },
            "token shards",
        ),
        (
            CorpusConfig {
                source: vec!["tales".to_owned()],
                mixture: vec![1.0],
                ..mixed.clone()
            },
            "part of a mixture",
        ),
        (
            CorpusConfig {
                unique: Some(40_000),
                ..mixed.clone()
            },
            "letters`: ",
        ),
    ] {
        let message = refused(Corpus::load(&wrong, 4));
        assert!(message.contains(said), "{message}");
    }

    let arguments = [
        "--corpus",
        "letters",
        "--corpus",
        "numbers",
        "--mixture",
        "0.75,0.25",
        "--held-out",
        "400",
        "--out",
        "run",
    ];
    train(files.path(), &arguments).ended(0);
    let resolved = fs::read_to_string(files.path().join("run/config.toml")).unwrap();
    assert!(resolved.contains("mixture = [0.75, 0.25]"), "{resolved}");
}

#[test]
fn the_command_line_makes_shards_and_trains_on_them() {
    let files: Vec<(String, String)> = (0..12)
        .map(|number| (format!("code/{number}.rs"), prose(number, 60)))
        .collect();
    let mut files: Vec<(&str, &str)> = files
        .iter()
        .map(|(name, text)| (name.as_str(), text.as_str()))
        .collect();
    files.push(("code/readme.txt", "not code"));
    let files = folder(&files);
    let made = crossover(
        files.path(),
        [
            "corpus",
            "code",
            "code",
            "--out",
            "shards",
            "--shard-tokens",
            "999",
            "--json",
        ],
    );
    let made = made.ended(0).result();
    assert_eq!(made["documents"], 12);
    assert_eq!(made["tokenizer"], "char");
    let entries: Vec<String> = fs::read_dir(files.path().join("shards"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(
        entries.len() as u64,
        made["shards"].as_u64().unwrap() + 2,
        "{entries:?}"
    );

    let stats = |arguments: &[&str]| {
        let all = [&["corpus", "stats", "--json", "--length", "16"], arguments].concat();
        let Value::Object(mut stats) = crossover(files.path(), &all).ended(0).result() else {
            panic!("an object")
        };
        stats.remove("source");
        // Shards have no file names to show.
        stats["near_duplicates"]["examples"].take();
        stats
    };
    assert_eq!(stats(&["shards"]), stats(&["code", "--extensions", "rs"]));
    train(files.path(), &["--corpus", "shards", "--out", "run"]).ended(0);
    let shards = crossover(files.path(), ["corpus", "files", "shards"]).ended(2);
    assert!(
        shards.err.contains("holds token shards, not text"),
        "{}",
        shards.err
    );
    let again = crossover(files.path(), ["corpus", "code", "code", "--out", "shards"]).ended(2);
    assert!(
        again
            .err
            .contains("hint: choose another folder with `--out`"),
        "{}",
        again.err
    );
}

#[test]
fn the_corpus_commands_have_help_with_an_example() {
    for command in ["files", "code", "tales", "stats"] {
        let ran = crossover(Path::new("."), ["corpus", command, "--help"]).ended(0);
        assert!(ran.out.contains("Example: crossover corpus"), "{command}");
    }
}

#[test]
fn inspecting_reads_what_can_be_read_and_lists_the_rest() {
    let files = folder(&[("a.txt", &prose(1, 60)), ("b.txt", &prose(2, 60))]);
    write(files.path(), "broken.txt", b"\xFF\xFE");
    write(files.path(), "zip", b"PK\0\0");
    let ran = crossover(files.path(), ["corpus", "files", "."]).ended(0);
    assert!(
        ran.out
            .contains("2 read, 1 binary and 0 empty left out, 1 unreadable"),
        "{}",
        ran.out
    );
    assert!(
        ran.out.contains("broken.txt: this is no UTF-8 text"),
        "{}",
        ran.out
    );
    let json = crossover(files.path(), ["corpus", "files", ".", "--json"])
        .ended(0)
        .result();
    let keys: BTreeMap<String, Value> = serde_json::from_value(json).unwrap();
    assert_eq!(keys["unreadable"][0]["file"], "./broken.txt");
}

// Tales

#[test]
fn tales_are_told_in_streams_of_their_own() {
    let config = |tokenizer: &str, unique| CorpusConfig {
        source: vec!["tales".to_owned()],
        tokenizer: Some(tokenizer.to_owned()),
        unique: Some(unique),
        held_out: Some(20_000),
        ..CorpusConfig::default()
    };
    let mut floors = Vec::new();
    for tokenizer in ["char", "byte", "bpe:400"] {
        let small = Corpus::load(&config(tokenizer, 5_000), 4).unwrap();
        let large = Corpus::load(&config(tokenizer, 30_000), 4).unwrap();
        assert_eq!(
            (&small.test, &small.validation),
            (&large.test, &large.validation)
        );
        assert_eq!(
            large.train.tokens.read(0..5_000),
            small.train.tokens.to_vec()
        );
        assert_eq!(
            Corpus::load(&large.config, 4).unwrap().config,
            large.config,
            "it resumes so"
        );
        let end = large.tokenizer.end_of_text().unwrap();
        let stories = |tokens: &[u32]| -> Vec<String> {
            let mut stories: Vec<String> = tokens
                .split(|&id| id == end)
                .map(|story| large.tokenizer.decode(story))
                .collect();
            stories.pop();
            stories
        };
        let train = stories(&large.train.tokens.to_vec());
        let test = stories(&large.test.tokens);
        assert!(!train.is_empty() && train.iter().all(|story| !test.contains(story)));
        let tales = large.tales.as_ref().unwrap();
        for story in train.iter().chain(&test) {
            tales.log_probability(story).unwrap();
        }
        // A token's mean surprise, as the stories themselves have it, is near the floor.
        let nats: f64 = train
            .iter()
            .map(|story| -tales.log_probability(story).unwrap())
            .sum();
        let tokens: usize = train
            .iter()
            .map(|story| large.tokenizer.encode(story).unwrap().len() + 1)
            .sum();
        let floor = large.floor_nats.unwrap();
        assert!(
            (nats / tokens as f64 / floor - 1.0).abs() < 0.1,
            "{tokenizer}: {nats} {tokens} {floor}"
        );
        floors.push(floor);
    }
    assert_eq!(floors[0], floors[1]);
    assert!(
        floors[2] > 2.0 * floors[0],
        "a merged token says more: {floors:?}"
    );
}

#[test]
fn told_tales_make_the_corpus_that_tales_are() {
    let files = tempfile::tempdir().unwrap();
    let told = crossover(files.path(), ["corpus", "tales", "--count", "300"]).ended(0);
    assert!(told.err.contains("nats/token"), "{}", told.err);
    write(files.path(), "stories.txt", told.out.as_bytes());
    let json = crossover(files.path(), ["corpus", "tales", "--count", "2", "--json"]).ended(0);
    let first: Value = serde_json::from_str(json.out.lines().next().unwrap()).unwrap();
    let figures = json.result();
    assert!(told.out.starts_with(first["text"].as_str().unwrap()));
    assert_eq!(told.out.matches(DOCUMENT_END).count(), 300);

    let stats = |source| {
        let ran = crossover(
            files.path(),
            ["corpus", "stats", source, "--json", "--held-out", "10000"],
        );
        ran.ended(0).result()
    };
    let (tales, file) = (stats("tales"), stats("stories.txt"));
    assert_eq!(tales["floor_nats"], figures["floor_nats"]);
    assert_eq!(file["documents"], 300);
    assert_eq!(
        file["end_of_text"].as_u64().map(|id| id + 2),
        file["vocab_size"].as_u64()
    );
    assert!(file["vocab_size"].as_u64() <= tales["vocab_size"].as_u64());
    train(
        files.path(),
        &[
            "--corpus",
            "tales",
            "--out",
            "run",
            "--unique",
            "2000",
            "--held-out",
            "1000",
        ],
    )
    .ended(0);
}

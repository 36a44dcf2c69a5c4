//! `cargo xtask long tokenize`: text as token shards, beside the batch encoding of `tokenizers` on the same threads; how much
//! memory that takes, whether it goes on where it was killed, and how soon training starts from the shards.

use std::fs::{self, File};
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::child::{Watched, watched};
use crate::long::binary;
use crate::{command, root, step};

/// How often each side tokenizes the text, in turns; once where that takes minutes, in which noise evens out by itself.
const ROUNDS: usize = 2;
/// From so many megabytes on it does.
const TAKES_MINUTES: u64 = 200;
/// What share of the speed of `tokenizers` is wanted, by either of its ways.
const AS_FAST: f64 = 0.9;
/// Bytes that making shards may take.
const MOST_MEMORY: u64 = 1_000_000_000;
/// Seconds from a command to the end of its first step.
const STARTS_WITHIN: f64 = 5.0;
/// Bytes of a file of the text.
const FILE_BYTES: u64 = 100_000_000;
/// Ids of the tokenizer, which is trained on the first file.
const VOCABULARY: &str = "bpe:8192";
/// Stories that the text repeats with other words.
const STORIES: &str = "2000";
/// One in so many words is another one.
const REPLACED: u64 = 6;
/// How many words there are to replace them by; of rank r about 1/r of all.
const WORDS: f64 = 200_000.0;

/// Makes so many megabytes of text, and measures.
pub fn run(megabytes: u64) -> Result<()> {
    let binary = binary()?;
    let peer = peer(&binary)?;
    let folder = std::env::temp_dir().join(format!("crossover-tokenize-{}", std::process::id()));
    let text = folder.join("text");
    fs::create_dir_all(&text)?;
    let bytes = write_text(&binary, &text, megabytes * 1_000_000)?;
    let crossover = |arguments: &[&str]| {
        let mut crossover = Command::new(&binary);
        crossover.args(arguments).arg("--json").current_dir(&folder);
        crossover
    };
    let learn = ["corpus", "tokenizer", "train", "text/000.txt"];
    let learnt = ["--tokenizer", VOCABULARY, "--out", "tokenizer.json"];
    watched(&mut crossover(&[&learn[..], &learnt].concat()))?;

    // About 16 shards, so that there is something to go on from at half.
    let shard_tokens = (bytes / 64).to_string();
    let shards = |out: &str| {
        let mut files = crossover(&["corpus", "files", "text", "--out", out]);
        files.args(["--tokenizer", "tokenizer.json", "--shard-tokens"]);
        files.arg(&shard_tokens);
        files
    };
    println!(
        "| {megabytes} MB | seconds | MB/s | largest memory | speed of ours, of theirs |\n|---|---|---|---|---|"
    );
    let row = |name: &str, seconds: f64, memory: &str, ratio: &str| {
        let speed = bytes as f64 / 1e6 / seconds;
        println!("| {name} | {seconds:.1} | {speed:.2} | {memory} | {ratio} |");
    };
    let mut ours = Vec::new();
    let mut worst = f64::INFINITY;
    let rounds = if megabytes < TAKES_MINUTES { ROUNDS } else { 1 };
    for round in 0..rounds {
        let out = format!("shards-{round}");
        let made = watched(&mut shards(&out))?;
        let memory = format!("{:.0} MB", made.peak_bytes as f64 / 1e6);
        row("crossover corpus files", made.seconds, &memory, "");
        let mut theirs = Command::new(&peer);
        theirs.args(["tokenizer.json", "text"]);
        for (_, method) in &watched(theirs.current_dir(&folder))?.lines {
            same_tokens(made.result()?, method)?;
            let name = method["method"].as_str().unwrap_or("?");
            let seconds = method["seconds"].as_f64();
            let seconds = seconds.with_context(|| format!("no `seconds` in {method}"))?;
            let ratio = seconds / made.seconds;
            row(
                &format!("tokenizers, {name}"),
                seconds,
                "",
                &format!("{ratio:.2}"),
            );
            worst = worst.min(ratio);
        }
        if round > 0 {
            fs::remove_dir_all(folder.join(&out))?;
        }
        ours.push(made);
    }

    let seconds = ours.iter().map(|made| made.seconds).sum::<f64>() / rounds as f64;
    let kept = kill_and_go_on(&shards, &folder, Duration::from_secs_f64(seconds / 2.0))?;
    let tokens = ours[0].result()?["tokens"].as_u64().unwrap_or(0);
    let started = first_step(&mut crossover(&["train"]), tokens)?;
    let memory = ours.iter().map(|made| made.peak_bytes).max().unwrap_or(0);
    println!("\nAt the least we have {worst:.2} of the speed of `tokenizers`.");
    println!("Killed at half, it went on behind {kept} shards and wrote the same files.");
    println!("The first step from these shards was done after {started:.1} s.");
    ensure!(
        worst >= AS_FAST,
        "less than {AS_FAST} of the speed of `tokenizers`"
    );
    ensure!(
        memory < MOST_MEMORY,
        "{memory} bytes of memory are too many"
    );
    ensure!(started < STARTS_WITHIN, "training starts too late");
    fs::remove_dir_all(&folder)?;
    Ok(())
}

/// The other side's program, which lies beside ours.
fn peer(binary: &Path) -> Result<PathBuf> {
    if std::env::var_os("CROSSOVER_BINARY").is_none() {
        let build = [
            "build",
            "--release",
            "--locked",
            "--example",
            "encode_batch",
        ];
        step(command("cargo", &build))?;
    }
    let peer = binary.with_file_name("examples").join("encode_batch");
    ensure!(
        peer.exists(),
        "{} is missing: build the example `encode_batch` as the program was built",
        peer.display()
    );
    Ok(peer)
}

/// Both sides must have done the same work: ours has an end behind each document.
fn same_tokens(ours: &Value, theirs: &Value) -> Result<()> {
    let number = |value: &Value, key: &str| {
        let number = value[key].as_u64();
        number.with_context(|| format!("no `{key}` in {value}"))
    };
    let without_ends = number(ours, "tokens")? - number(ours, "documents")?;
    let tokens = number(theirs, "tokens")?;
    ensure!(
        without_ends == tokens,
        "we have {without_ends} tokens, and `tokenizers` has {tokens}"
    );
    Ok(())
}

/// Kills the making of shards, goes on, compares the files with those that nobody killed, and gives the number of shards that
/// were kept.
fn kill_and_go_on(
    shards: &impl Fn(&str) -> Command,
    folder: &Path,
    moment: Duration,
) -> Result<u64> {
    let began = Instant::now();
    let mut child = shards("killed").stdout(Stdio::null()).spawn()?;
    let progress = folder.join("killed/progress.json");
    while began.elapsed() < moment || !progress.exists() {
        ensure!(child.try_wait()?.is_none(), "it ended before it was killed");
        sleep(Duration::from_millis(10));
    }
    child.kill()?;
    child.wait()?;
    let again: Watched = watched(&mut shards("killed"))?;
    let kept = again.result()?["kept"].as_u64().unwrap_or(0);
    ensure!(kept > 0, "nothing was kept of what was killed");
    let names = |place: &str| -> Result<Vec<_>> {
        let names = fs::read_dir(folder.join(place))?.map(|entry| Ok(entry?.file_name()));
        let mut names = names.collect::<Result<Vec<_>>>()?;
        names.sort();
        Ok(names)
    };
    let whole = names("shards-0")?;
    ensure!(names("killed")? == whole, "other files were written");
    for name in whole {
        let [one, other] = ["shards-0", "killed"].map(|place| folder.join(place).join(&name));
        ensure!(
            same(&one, &other)?,
            "{} is not what it would have been",
            other.display()
        );
    }
    Ok(kept)
}

/// Whether two files hold the same.
fn same(one: &Path, other: &Path) -> Result<bool> {
    if fs::metadata(one)?.len() != fs::metadata(other)?.len() {
        return Ok(false);
    }
    let [one, other] = [
        BufReader::new(File::open(one)?),
        BufReader::new(File::open(other)?),
    ];
    for (one, other) in one.bytes().zip(other.bytes()) {
        if one? != other? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Trains on nearly all tokens of the shards, and gives the seconds to the end of the first step.
fn first_step(crossover: &mut Command, tokens: u64) -> Result<f64> {
    crossover
        .args(["--objective", "masked", "--device", "cpu"])
        .args(["--corpus", "shards-0", "--out", "run", "--steps", "2"])
        .args(["--hidden-size", "64", "--layers", "2", "--heads", "2"])
        .args(["--length", "128", "--batch", "8", "--evaluate-every", "2"])
        .arg("--unique")
        .arg((tokens / 10 * 9).to_string());
    let trained = watched(crossover)?;
    let step = trained
        .lines
        .iter()
        .find(|(_, line)| line["event"] == "metrics");
    Ok(step.context("it trained a step")?.0)
}

/// Writes stories and this project's own prose over and over, each time with other words in some places; gives the bytes.
fn write_text(binary: &Path, folder: &Path, bytes: u64) -> Result<u64> {
    let stories = Command::new(binary)
        .args(["corpus", "tales", "--count", STORIES])
        .output()?;
    ensure!(stories.status.success(), "there are no tales");
    let mut text = String::from_utf8(stories.stdout)?;
    for name in ["README.md", "docs/decisions.md", "docs/formats.md"] {
        let prose = fs::read_to_string(root().join(name))?;
        let prose = prose.replace("<|endoftext|>", "end-of-text");
        text += &prose.replace("\n## ", "\n<|endoftext|>\n## ");
        text += "\n<|endoftext|>\n";
    }
    let documents: Vec<&str> = text
        .split("\n<|endoftext|>\n")
        .filter(|document| !document.is_empty())
        .collect();
    let (mut draws, mut written) = (Draws(1), 0);
    let mut documents = documents.iter().cycle();
    for number in 0.. {
        let left = bytes.saturating_sub(written);
        if left == 0 {
            break;
        }
        let file = File::create(folder.join(format!("{number:03}.txt")))?;
        let mut file = BufWriter::new(file);
        let (end, mut line) = (written + left.min(FILE_BYTES), String::new());
        while written < end {
            line.clear();
            if let Some(document) = documents.next() {
                vary(document, &mut draws, &mut line);
            }
            line += "\n<|endoftext|>\n";
            written += line.len() as u64;
            file.write_all(line.as_bytes())?;
        }
        file.flush()?;
    }
    Ok(written)
}

/// Appends a document with other words in some places, and a number of its own in front: it must be no copy of another.
fn vary(document: &str, draws: &mut Draws, out: &mut String) {
    *out += &format!("{:x}. ", draws.draw());
    let mut rest = document;
    while let Some(begin) = rest.find(|c: char| c.is_ascii_lowercase()) {
        let word = &rest[begin..];
        let end = word.find(|c: char| !c.is_ascii_lowercase());
        let (word, behind) = word.split_at(end.unwrap_or(word.len()));
        *out += &rest[..begin];
        match draws.draw() % REPLACED {
            0 => invent(draws.rank(), out),
            _ => *out += word,
        }
        rest = behind;
    }
    *out += rest;
}

/// Appends the word of this rank.
fn invent(rank: u64, out: &mut String) {
    const FIRST: &[u8] = b"bdfghklmnprstvwz";
    const SECOND: &[u8] = b"aeiou";
    let mut left = rank;
    loop {
        let syllable = left as usize % (FIRST.len() * SECOND.len());
        out.push(char::from(FIRST[syllable % FIRST.len()]));
        out.push(char::from(SECOND[syllable / FIRST.len()]));
        left /= (FIRST.len() * SECOND.len()) as u64;
        if left == 0 {
            return;
        }
    }
}

/// The same draws every time.
struct Draws(u64);

impl Draws {
    fn draw(&mut self) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    /// A rank that is drawn as words are in a language, r about 1/r times as often as the first.
    fn rank(&mut self) -> u64 {
        let uniform = self.draw() as f64 / (1_u64 << 31) as f64;
        WORDS.powf(uniform) as u64
    }
}

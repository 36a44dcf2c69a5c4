//! Speed and memory: what `crossover bench` measures, beside PyTorch, the laws, and the reference operations. Prints the tables
//! of `docs/performance.md`.

mod bars;
mod peer;
mod precision;
mod presets;

use std::fs;
use std::ops::Range;
use std::path::Path;
use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::child::watched;
use crate::long::binary;
use crate::root;

pub use peer::peer;
pub use precision::precision;
pub use presets::presets;

/// How many times as fast a cache must write 256 tokens left to right.
const CACHE_SPEEDS_UP: f64 = 5.0;
/// How many forward passes a denoising step may cost.
const STEP_COSTS: f64 = 1.1;
/// How far the laws of memory and FLOPs may be off.
const LAW_HOLDS: f64 = 0.15;
/// How far losses of fused and reference operations may be apart, nats, where training doesn't multiply roundings.
const OPS_AGREE: f64 = 1e-3;
/// How many times as far as what rounding alone has done so far: an order of magnitude, as both grow from steps of other sizes.
const ROUNDINGS: f64 = 10.0;
/// A source that is learnt smoothly: three symbols, each of which says much of the next.
const SMOOTH_CHAIN: &str = "transition = [[0.8, 0.15, 0.05], [0.1, 0.8, 0.1], [0.25, 0.05, 0.7]]\n";

/// Runs the program on the processor and reads the last line of JSON that it prints.
pub fn crossover(binary: &Path, arguments: &[&str]) -> Result<Value> {
    let mut crossover = Command::new(binary);
    crossover
        .args(arguments)
        .args(["--device", "cpu", "--json"]);
    last_line(crossover.output()?).with_context(|| format!("crossover {arguments:?} failed"))
}

/// The last line of JSON that the program printed.
pub fn last_line(output: Output) -> Result<Value> {
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{said}");
    let text = String::from_utf8(output.stdout)?;
    let last = text.lines().last().context("crossover printed nothing")?;
    Ok(serde_json::from_str(last)?)
}

/// A number of an object.
pub fn number(value: &Value, key: &str) -> Result<f64> {
    value[key]
        .as_f64()
        .with_context(|| format!("there is no number `{key}` in {value}"))
}

/// A list of an object.
pub fn list<'a>(value: &'a Value, key: &str) -> Result<&'a Vec<Value>> {
    value[key]
        .as_array()
        .with_context(|| format!("there is no list `{key}` in {value}"))
}

fn mebibytes(value: &Value, key: &str) -> Result<f64> {
    Ok(number(value, key)? / 1_048_576.0)
}

/// Keeps what was measured, and the chart of it, in `docs/performance`.
fn keep(name: &str, measured: &[Value], chart: &str) -> Result<()> {
    let folder = root().join("docs/performance");
    fs::create_dir_all(&folder)?;
    let mut text = serde_json::to_string_pretty(measured)?;
    text.push('\n');
    fs::write(folder.join(format!("{name}.json")), text)?;
    fs::write(folder.join(format!("{name}.svg")), chart)?;
    Ok(())
}

/// What was kept under this name before.
fn kept(name: &str) -> Result<Vec<Value>> {
    match fs::read(root().join(format!("docs/performance/{name}.json"))) {
        Ok(text) => Ok(serde_json::from_slice(&text)?),
        Err(_) => Ok(Vec::new()),
    }
}

/// Times writing 256 tokens, and says whether the cache and the denoising loop are as fast as they should be.
pub fn decode() -> Result<()> {
    let binary = binary()?;
    println!(
        "| hidden size, layers | AR, ms | with a cache, ms | speed-up | forward pass, ms | denoising step, forward passes |"
    );
    println!("|---|---|---|---|---|---|");
    let mut missed = Vec::new();
    for (hidden_size, layers) in [("128", "4"), ("256", "6")] {
        let shape = [
            "--hidden-size",
            hidden_size,
            "--layers",
            layers,
            "--length",
            "256",
        ];
        let bench = ["bench", "--writing", "--peer", "none", "--rounds", "5"];
        let measured = crossover(&binary, &[&bench[..], &shape].concat())?;
        let seconds = |method: &str| {
            let found = list(&measured, "writing")?
                .iter()
                .find(|row| row["method"] == method);
            let found = found.with_context(|| format!("bench did not time {method}"))?;
            Ok::<_, anyhow::Error>((number(found, "seconds")?, number(found, "model_calls")?))
        };
        let ((forward, _), (ar, _), (cached, _)) =
            (seconds("forward")?, seconds("ar")?, seconds("ar-cached")?);
        let (denoising, steps) = seconds("denoising")?;
        let (speed_up, cost) = (ar / cached, denoising / steps / forward);
        println!(
            "| {hidden_size}, {layers} | {:.0} | {:.0} | {speed_up:.1} | {:.1} | {cost:.2} |",
            ar * 1e3,
            cached * 1e3,
            forward * 1e3,
        );
        if speed_up < CACHE_SPEEDS_UP || cost > STEP_COSTS {
            missed.push(hidden_size);
        }
    }
    ensure!(
        missed.is_empty(),
        "missed at hidden size {}: a cache is to be {CACHE_SPEEDS_UP} times as fast, and a denoising step to cost at most \
         {STEP_COSTS} forward passes",
        missed.join(", ")
    );
    Ok(())
}

/// A shape that memory or time is measured of: hidden size, layers, heads, vocabulary, windows, tokens in a window.
pub type Shape = [u32; 6];

const MEMORY: [Shape; 7] = [
    [128, 4, 4, 66, 8, 64],
    [128, 4, 4, 32_768, 8, 64],
    [128, 4, 4, 66, 2, 1_024],
    [256, 6, 4, 66, 16, 256],
    [256, 6, 4, 8_192, 16, 256],
    [320, 8, 5, 66, 16, 256],
    [128, 4, 4, 32_768, 16, 1_024],
];

/// A shape as flags of `bench` and `flops`.
pub fn flags([hidden_size, layers, heads, vocab_size, batch, length]: Shape) -> Vec<String> {
    [
        ("--hidden-size", hidden_size),
        ("--layers", layers),
        ("--heads", heads),
        ("--vocab-size", vocab_size),
        ("--batch", batch),
        ("--length", length),
    ]
    .into_iter()
    .flat_map(|(flag, value)| [flag.to_owned(), value.to_string()])
    .collect()
}

/// Compares the law of memory with the peaks of processes that train; the last shape also with PyTorch's.
pub fn memory() -> Result<()> {
    let binary = binary()?;
    println!(
        "| hidden size, layers, vocabulary, batch | threads | predicted | measured | ratio | PyTorch eager |"
    );
    println!("|---|---|---|---|---|---|");
    let mut worst = 0.0_f64;
    for (index, shape) in MEMORY.into_iter().enumerate() {
        let flags = flags(shape);
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        let peer = if index + 1 == MEMORY.len() {
            "eager"
        } else {
            "none"
        };
        for threads in ["1", "2"] {
            let on = ["--threads", threads];
            let predicted = crossover(&binary, &[&["flops"], &flags[..], &on].concat())?;
            // Looking for GPUs takes memory too.
            let bench = ["bench", "--steps", "1", "--rounds", "1", "--device", "cpu"];
            let beside = ["--peer", peer];
            let measured = crossover(&binary, &[&bench[..], &beside, &flags, &on].concat())?;
            // What is measured keeps no state.
            let predicted = mebibytes(&predicted, "training_peak_bytes")?
                - mebibytes(&predicted, "saving_bytes")?;
            let peak = mebibytes(&measured, "peak_memory_bytes")?;
            let beside = list(&list(&measured, "training")?[0], "peers")?;
            let theirs = match beside.first() {
                Some(peer) => format!("{:.0} MiB", mebibytes(peer, "peak_memory_bytes")?),
                None => String::new(),
            };
            worst = worst.max((predicted / peak - 1.0).abs());
            let [hidden_size, layers, _, vocab_size, batch, length] = shape;
            println!(
                "| {hidden_size}, {layers}, {vocab_size}, {batch} x {length} | {threads} | {predicted:.0} MiB | {peak:.0} MiB \
                 | {:.2} | {theirs} |",
                predicted / peak
            );
        }
    }
    ensure!(
        worst < LAW_HOLDS,
        "the law is off by {:.0} %, more than {:.0} %",
        worst * 100.0,
        LAW_HOLDS * 100.0
    );
    Ok(())
}

/// What a hundred million parameters are trained on, and how: little of everything that takes time and no memory.
const HUNDRED_MILLION: &str = "
[corpus]
source = [\"tales\"]
tokenizer = \"byte\"
length = 256
unique = 20_000
held_out = 512

[model]
hidden_size = 768
intermediate_size = 2080
num_hidden_layers = 14
num_attention_heads = 12

[train]
batch = 8
steps = 3
recompute = true

[evaluate]
every = 1
windows = 2
levels = 1
test_windows = 2
test_levels = 1
orders = 0
samples = 1
";

/// Trains a hundred million parameters for three steps, each of which is kept beside the next, and holds the largest resident
/// memory against what `crossover flops` predicts.
pub fn hundred_million() -> Result<()> {
    let binary = binary()?;
    let folder = std::env::temp_dir().join(format!("crossover-large-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    let file = folder.join("large.toml");
    fs::write(&file, HUNDRED_MILLION)?;
    let mut train = Command::new(&binary);
    train
        .args(["train", "--objective", "ar", "--device", "cpu", "--json"])
        .args(["--threads", "2", "--out", "run", "--config"])
        .arg(&file)
        .current_dir(&folder);
    let trained = watched(&mut train)?;
    let started = trained
        .lines
        .iter()
        .find(|(_, line)| line["event"] == "started");
    let (_, started) = started.context("the run tells of its start")?;
    let vocabulary = list(started, "vocab")?.len().to_string();
    let config = file.to_string_lossy();
    let count = ["flops", "--threads", "2", "--config", &*config];
    let counted = crossover(
        &binary,
        &[&count[..], &["--vocab-size", &vocabulary]].concat(),
    )?;
    let steps = trained
        .lines
        .iter()
        .filter(|(_, line)| line["event"] == "metrics");
    ensure!(steps.count() == 3, "it trains three steps");
    ensure!(
        number(&counted, "parameters")? == number(started, "parameters")?,
        "what is counted is not what is trained"
    );
    let predicted = number(&counted, "training_peak_bytes")?;
    let measured = trained.peak_bytes as f64;
    println!(
        "| parameters | predicted | of it for a state on its way | measured | ratio | seconds |"
    );
    println!("|---|---|---|---|---|---|");
    println!(
        "| {:.1}M | {:.0} MiB | {:.0} MiB | {:.0} MiB | {:.2} | {:.0} |",
        number(&counted, "parameters")? / 1e6,
        predicted / 1_048_576.0,
        mebibytes(&counted, "saving_bytes")?,
        measured / 1_048_576.0,
        predicted / measured,
        trained.seconds,
    );
    fs::remove_dir_all(&folder)?;
    ensure!(measured <= predicted, "it took more memory than predicted");
    Ok(())
}

/// Compares time per token with the FLOPs law as windows get longer, as many tokens a step; the law counts what a causal model
/// doesn't compute, so a masked model is measured.
pub fn length() -> Result<()> {
    let binary = binary()?;
    println!("| length | FLOPs a token, of 256's | time a token, of 256's, median of 3 | off by |");
    println!("|---|---|---|---|");
    let lengths = [256, 512, 1_024, 2_048];
    let mut seconds = vec![Vec::new(); lengths.len()];
    let mut flops = Vec::new();
    for round in 0..3 {
        for (length, seconds) in lengths.into_iter().zip(&mut seconds) {
            let flags = flags([256, 6, 4, 66, 4_096 / length, length]);
            let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
            let bench = ["bench", "--steps", "2", "--rounds", "1", "--peer", "none"];
            let measured = crossover(&binary, &[&bench, &flags[..]].concat())?;
            let masked = &list(&measured, "training")?[1];
            seconds.push(1.0 / number(masked, "tokens_per_second")?);
            if round == 0 {
                let counted = crossover(&binary, &[&["flops"], &flags[..]].concat())?;
                flops.push(number(&counted, "training_flops_per_token")?);
            }
        }
    }
    let mut worst = 0.0_f64;
    let mut first = None;
    for ((length, mut seconds), flops) in lengths.into_iter().zip(seconds).zip(flops) {
        seconds.sort_by(f64::total_cmp);
        let (short, fewest) = *first.get_or_insert((seconds[1], flops));
        let (time, law) = (seconds[1] / short, flops / fewest);
        worst = worst.max((time / law - 1.0).abs());
        println!(
            "| {length} | {law:.2} | {time:.2} | {:+.0} % |",
            (time / law - 1.0) * 100.0
        );
    }
    ensure!(
        worst < LAW_HOLDS,
        "time is off the law by {:.0} %",
        worst * 100.0
    );
    Ok(())
}

/// Races 500 steps with fused and with reference operations, and with fused ones on one thread, where sums are rounded otherwise
/// and nothing else differs.
///
/// On a chain losses agree to [`OPS_AGREE`] all along. Tales and grids are learnt in steep falls, where training multiplies
/// roundings, so there losses may be apart as far as those put them.
pub fn ops_parity() -> Result<()> {
    let binary = binary()?;
    let folder = std::env::temp_dir().join(format!("crossover-parity-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    let chain = folder.join("chain.toml");
    fs::write(&chain, SMOOTH_CHAIN)?;
    let chain = format!("markov:{}", chain.display());
    println!(
        "| source | steps | objective | fused and reference apart | one thread and two apart |"
    );
    println!("|---|---|---|---|---|");
    let mut missed = Vec::new();
    for (name, source, factor) in [
        ("chain", &*chain, 0.0),
        ("tales", "tales", ROUNDINGS),
        ("grids", "grids:latin-5", ROUNDINGS),
    ] {
        let runs = parity_runs(&binary, &folder, name, source)?;
        for objective in ["ar", "masked"] {
            let apart = |other: usize, steps: &Range<u64>| {
                let in_range = runs[0].iter().zip(&runs[other]);
                in_range
                    .filter(|(one, _)| one.objective == objective && steps.contains(&one.step))
                    .map(|(one, other)| (one.train_nats - other.train_nats).abs())
                    .fold(0.0, f64::max)
            };
            let mut rounding = 0.0_f64;
            for start in (1..500).step_by(50) {
                let steps = start..start + 50;
                let (ops, threads) = (apart(1, &steps), apart(2, &steps));
                println!(
                    "| {name} | {start} to {} | {objective} | {ops:.1e} | {threads:.1e} |",
                    steps.end - 1
                );
                rounding = rounding.max(threads);
                let allowed = OPS_AGREE.max(factor * rounding);
                if ops > allowed {
                    missed.push(format!(
                        "{name}, {objective}, steps from {start}: {allowed:.0e}"
                    ));
                }
            }
        }
    }
    fs::remove_dir_all(&folder)?;
    ensure!(
        missed.is_empty(),
        "losses are apart by more nats than may be: {}",
        missed.join("; ")
    );
    Ok(())
}

/// The losses of one race with fused operations, with reference ones, and with fused ones on one thread.
fn parity_runs(binary: &Path, folder: &Path, name: &str, source: &str) -> Result<[Vec<Loss>; 3]> {
    let run = |ops: &str, threads: &str| {
        let out = folder.join(format!("{name}-{ops}-{threads}"));
        let how = ["race", "--corpus", source, "--ops", ops];
        let steps = ["--steps", "500", "--evaluate-every", "100"];
        let put = ["--threads", threads, "--out", &*out.to_string_lossy()];
        crossover(binary, &[&how[..], &steps, &put].concat())?;
        losses(&out.join("metrics.jsonl"))
    };
    Ok([
        run("fused", "2")?,
        run("reference", "2")?,
        run("fused", "1")?,
    ])
}

/// A step's training loss.
struct Loss {
    objective: String,
    step: u64,
    train_nats: f64,
}

fn losses(path: &Path) -> Result<Vec<Loss>> {
    let text =
        fs::read_to_string(path).with_context(|| format!("can't read {}", path.display()))?;
    text.lines()
        .map(|line| {
            let line: Value = serde_json::from_str(line)?;
            Ok(Loss {
                objective: line["objective"].as_str().unwrap_or_default().to_owned(),
                step: line["step"].as_u64().context("a line has a step")?,
                train_nats: number(&line, "train_nats")?,
            })
        })
        .collect()
}

//! Builds, checks and tests Crossover: `cargo xtask test`, `cargo xtask web`, `cargo xtask long NAME`.

mod browser;
mod child;
mod findings;
mod fuzz;
mod long;
mod pilots;
mod ranks;
mod speed;
mod test;
mod tokenize;
mod web;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

use anyhow::{Context, Result, bail};

const USAGE: &str =
    "usage: cargo xtask test         checks and tests everything; installs what that needs
       cargo xtask web [--quick]
                                writes the playground to dist/, for `crossover serve` or any other host;
                                quick: larger, for a look
       cargo xtask bundle       trains the models that come with the playground and records its first text
       cargo xtask long NAME    what takes too long for CI:
           kill [RANKS [ROUNDS]]
                   kills runs, or one rank of them, at random moments and compares what follows (20 rounds)
           ranks [quick]
                   what `crossover flops --ranks` predicts of 1, 2 and 4 processes beside what they take; quick: for a look
           fuzz [MINUTES [TARGET]]
                   files that nobody wrote, given to everything that reads files: 10 minutes for each kind
           decode  how much faster a cache writes, and what denoising costs in forward passes
           tokenize [MEGABYTES]
                   text as token shards beside the batch encoding of `tokenizers`, in turns: speed, memory, going on after
                   a kill, and the start of training from them; of 1000 megabytes, or as many as are named
           sampler a hundred million draws, whose rare tokens are counted
           peer    training and writing beside PyTorch, in turns: speed and memory
           presets [NAME...]
                   training at every size, or those named: speed, share of the matrix product, where a step's time goes, memory
           memory  what `crossover flops` predicts of training's peak memory beside what is measured, and PyTorch's
           hundred-million
                   a hundred million parameters, trained for three steps within the memory that `crossover flops` predicts
           length  time per token from 256 to 2048 tokens beside the FLOPs law
           ops-parity
                   500 steps of fused and of reference operations, loss by loss
           precision [STEPS]
                   1,000 steps, or as many as are named, in f32, bf16 and f16: losses apart beside what seeds do
           playground [MINUTES]
                   how the page that `cargo xtask web` made does while it trains, for 20 minutes or as many as are named
           pilots [TABLE]
                   the races of docs/pilots.md, hours in all; results are kept in docs/pilots
           findings [--from DIR] [NAME...]
                   the sweeps of docs/findings.md, three seeds each, many hours in all, or their results in DIR/NAME;
                   kept in docs/findings, and put into the page's tables";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match arguments.as_slice() {
        ["test"] => test::run(),
        ["bundle"] => web::bundle::run(),
        ["web"] => web::run(true),
        ["web", "--quick"] => web::run(false),
        ["long", "kill"] => long::kill(1, long::ROUNDS),
        ["long", "kill", ranks, rounds @ ..] if rounds.len() < 2 => {
            let rounds = rounds
                .first()
                .map_or(Ok(long::ROUNDS), |rounds| rounds.parse());
            match (ranks.parse(), rounds) {
                (Ok(ranks), Ok(rounds)) if ranks > 0 => long::kill(ranks, rounds),
                _ => Err(anyhow::anyhow!("ranks and rounds are numbers")),
            }
        }
        ["long", "ranks"] => ranks::run(false),
        ["long", "ranks", "quick"] => ranks::run(true),
        ["long", "fuzz"] => fuzz::run(10, None),
        ["long", "fuzz", minutes, target @ ..] if target.len() < 2 => match minutes.parse() {
            Ok(minutes) => fuzz::run(minutes, target.first().copied()),
            Err(_) => Err(anyhow::anyhow!("`{minutes}` is no number of minutes")),
        },
        ["long", "decode"] => speed::decode(),
        ["long", "tokenize"] => tokenize::run(1_000),
        ["long", "tokenize", megabytes] => match megabytes.parse() {
            Ok(megabytes) if megabytes > 0 => tokenize::run(megabytes),
            _ => Err(anyhow::anyhow!("`{megabytes}` is no number of megabytes")),
        },
        ["long", "sampler"] => long::sampler(),
        ["long", "peer"] => speed::peer(),
        ["long", "presets", named @ ..] => speed::presets(named),
        ["long", "memory"] => speed::memory(),
        ["long", "hundred-million"] => speed::hundred_million(),
        ["long", "length"] => speed::length(),
        ["long", "ops-parity"] => speed::ops_parity(),
        ["long", "precision"] => speed::precision(1_000),
        ["long", "precision", steps] => match steps.parse() {
            Ok(steps) if steps >= 10 => speed::precision(steps),
            _ => Err(anyhow::anyhow!(
                "`{steps}` is no number of steps, at least 10"
            )),
        },
        ["long", "playground"] => browser::measure("20"),
        ["long", "playground", minutes] => browser::measure(minutes),
        ["long", "findings", arguments @ ..] => findings::run(arguments),
        ["long", "pilots"] => pilots::run(None),
        ["long", "pilots", table] => pilots::run(Some(table)),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The workspace's root, as cargo tells it now: clones that share a target directory share this program too.
fn root() -> PathBuf {
    std::env::var_os("CARGO_MANIFEST_DIR")
        .and_then(|folder| Path::new(&folder).parent().map(Path::to_owned))
        .unwrap_or_else(|| PathBuf::from("."))
}

/// Cargo's target directory: this program is in its `debug`.
fn target() -> Result<PathBuf> {
    let program = std::env::current_exe()?;
    let target = program.parent().and_then(Path::parent);
    Ok(target.context("cargo has a target directory")?.to_owned())
}

/// Installs a package of npm's in a folder of its own, if it is not there yet, and says where: its `node_modules` are in it.
fn tool(package: &str) -> Result<PathBuf> {
    let folder = target()?.join("npm").join(package);
    if !folder.join("node_modules/.package-lock.json").exists() {
        std::fs::create_dir_all(&folder)?;
        let mut install = command("npm", &["install", "--silent", "--no-audit", "--no-fund"]);
        install.arg("--prefix").arg(&folder).arg(package);
        step(install)?;
    }
    Ok(folder)
}

/// A command in the workspace's root.
fn command(program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(root());
    command
}

/// Runs a command to its end, saying what it is and how long it took.
fn step(mut command: Command) -> Result<()> {
    let text = format!(
        "{} {}",
        command.get_program().to_string_lossy(),
        command
            .get_args()
            .map(|argument| argument.to_string_lossy())
            .collect::<Vec<_>>()
            .join(" ")
    );
    eprintln!("==> {text}");
    let began = Instant::now();
    let status = command
        .status()
        .with_context(|| format!("can't start `{text}`"))?;
    if !status.success() {
        bail!("`{text}` failed: {status}");
    }
    eprintln!("    {:.0} s", began.elapsed().as_secs_f64());
    Ok(())
}

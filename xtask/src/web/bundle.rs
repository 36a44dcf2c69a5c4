//! What the page has from the start: two small trained models and a recorded text, made anew by `cargo xtask bundle`.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::long::binary;
use crate::{root, step};

/// The race that trains them. Tokens are words and parts of words, so that what a small model writes can be read; the width
/// is what leaves both models, at two bytes a weight, within what a first visit may load.
const RACE: &str = "--corpus tales --tokenizer bpe:512 --unique 1000000 --held-out 20000 --epochs 8 \
    --hidden-size 80 --layers 3 --heads 4 --tied --lr 2e-3 --evaluate-every 600";

/// How the recorded text is written by the masked model.
const SAMPLE: &str = "--prompt Once --steps 32 --temperature 0.4 --trace-top 5 --seed 2";

/// Stories that no model was trained on.
const UNSEEN: &str = "corpus tales --seed 2 --count 400";

/// Trains, going on where an earlier call was stopped; writes `web/bundled`; says what rounding the weights costs.
pub fn run() -> Result<()> {
    let binary = binary()?;
    let crossover = |arguments: &str| {
        let mut command = Command::new(&binary);
        command.args(arguments.split_whitespace());
        command
    };
    let race = root().join("runs/bundle");
    let bundled = root().join("web/bundled");
    let mut train = crossover("race --device cpu");
    if race.join("config.toml").exists() {
        train.arg("--resume").arg(&race);
    } else {
        train.args(RACE.split_whitespace()).arg("--out").arg(&race);
    }
    step(train)?;

    let stories = crossover(UNSEEN).stderr(Stdio::inherit()).output()?;
    ensure!(stories.status.success(), "`crossover {UNSEEN}` failed");
    let text = race.join("unseen.txt");
    fs::write(&text, stories.stdout)?;
    let loss = |checkpoint: &Path| -> Result<String> {
        let mut evaluate = crossover("evaluate --device cpu --json --checkpoint");
        evaluate.arg(checkpoint).arg("--text").arg(&text);
        let output = evaluate.stderr(Stdio::inherit()).output()?;
        let shown = checkpoint.display();
        ensure!(output.status.success(), "can't evaluate `{shown}`");
        let line = String::from_utf8(output.stdout)?;
        let result: Value = serde_json::from_str(line.lines().last().unwrap_or_default())?;
        let figure = |key: &str| {
            result[key]
                .as_f64()
                .with_context(|| format!("no `{key}` in {line}"))
        };
        Ok(format!(
            "{:.5} ± {:.5} nats/token",
            figure("nats")?,
            figure("se")?
        ))
    };
    for objective in ["ar", "masked"] {
        let trained = race.join(format!("checkpoints/best-{objective}.safetensors"));
        let shipped = bundled.join(format!("{objective}.safetensors"));
        let mut export = crossover("export --weights-only --dtype bf16 --checkpoint");
        export.arg(&trained).arg("--out").arg(&shipped);
        step(export)?;
        eprintln!(
            "    {objective}: {} as trained, {} as shipped",
            loss(&trained)?,
            loss(&shipped)?
        );
    }

    let mut sample = crossover("sample --device cpu --checkpoint");
    sample
        .arg(bundled.join("masked.safetensors"))
        .args(SAMPLE.split_whitespace())
        .arg("--trace")
        .arg(bundled.join("trace.jsonl"));
    step(sample)
}

//! The same work in PyTorch, where there is one: `benches/peers/peer.py`, which is part of this program.

use std::ffi::OsString;
use std::process::{Command, Output};

use crossover::device::DeviceChoice;
use crossover::error::{Error, Result};
use crossover::lab::bench::Method;
use crossover::model::Shape;
use crossover::objective::Objective;
use crossover::train::MixedPrecision;
use serde::{Deserialize, Serialize};

const SCRIPT: &str = include_str!("../../benches/peers/peer.py");
/// Names a Python that has torch.
const VARIABLE: &str = "CROSSOVER_PEER_PYTHON";

/// How PyTorch computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Operation after operation.
    Eager,
    /// Through `torch.compile`; in training alone, as its first pass takes longer than a text.
    Compile,
    /// Not at all.
    None,
}

/// What both sides do.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Work {
    /// An objective's training steps.
    Training {
        /// Which.
        objective: Objective,
        /// Steps to time.
        steps: u64,
    },
    /// Writing windows once.
    Writing(Method),
}

/// The model and the batch that it is done with.
#[derive(Debug, Clone, Copy)]
pub struct Setting<'a> {
    /// The model's shape.
    pub shape: &'a Shape,
    /// Windows at once.
    pub batch: usize,
    /// Tokens in a window.
    pub length: usize,
    /// Threads of the processor.
    pub threads: usize,
    /// The processor, or CUDA: PyTorch has no other way to a GPU that is ours too.
    pub device: DeviceChoice,
    /// Of products in training.
    pub precision: MixedPrecision,
}

/// What the script prints.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Measured {
    /// PyTorch's version.
    pub torch: String,
    /// Parameters of its model, which must be ours.
    pub parameters: u64,
    /// The median step, or the fastest writing.
    pub seconds: f64,
    /// Tokens in those seconds.
    pub tokens_per_second: f64,
    /// FLOP/s of its matrix product.
    pub matmul_flops_per_second: f64,
    /// Largest resident memory of its process.
    pub peak_memory_bytes: u64,
}

/// A Python that has torch.
#[derive(Debug, Clone)]
pub struct Peer(OsString);

impl Peer {
    /// The Python that the environment names, or the one on the path; `None` where that has no torch.
    ///
    /// # Errors
    /// When the environment names one that doesn't start or has no torch.
    pub fn find() -> Result<Option<Self>> {
        let named = std::env::var_os(VARIABLE);
        let python = named.clone().unwrap_or_else(|| "python3".into());
        let tried = Command::new(&python).args(["-c", "import torch"]).output();
        let why = match &tried {
            Ok(output) if output.status.success() => return Ok(Some(Self(python))),
            Ok(output) => last_line(&output.stderr),
            Err(error) => error.to_string(),
        };
        match named {
            None => Ok(None),
            Some(python) => Err(Error::input(format!(
                "the Python that `{VARIABLE}` names, `{}`, can't import torch: {why}",
                python.display()
            ))
            .with_hint("name one that can, or leave PyTorch out with `--peer none`")),
        }
    }

    /// Does some work in a process of its own.
    ///
    /// # Errors
    /// When the process fails, or its model is not ours.
    pub fn measure(&self, mode: Mode, work: Work, setting: Setting<'_>) -> Result<Measured> {
        let shape = setting.shape;
        let mut command = Command::new(&self.0);
        command.args(["-c", SCRIPT]);
        match work {
            Work::Training { objective, steps } => {
                command.args(["train", "--objective", objective.name()]);
                command.args(["--steps", &steps.to_string()]);
            }
            Work::Writing(method) => {
                let name = if method == Method::Denoising {
                    "denoise"
                } else {
                    "decode"
                };
                command.args([name, "--steps", "1"]);
                let steps = Method::Denoising.model_calls(setting.length);
                command.args(["--denoising-steps", &steps.to_string()]);
            }
        }
        command.args(["--device", &setting.device.to_string()]);
        command.args(["--precision", setting.precision.name()]);
        if mode == Mode::Compile {
            command.arg("--compile");
        }
        for (flag, value) in [
            ("--hidden-size", shape.hidden_size),
            ("--intermediate-size", shape.intermediate_size),
            ("--layers", shape.num_hidden_layers),
            ("--heads", shape.num_attention_heads),
            ("--vocab-size", shape.vocab_size),
            ("--batch", setting.batch),
            ("--length", setting.length),
            ("--threads", setting.threads),
        ] {
            command.args([flag, &value.to_string()]);
        }
        let failed = |why: String| {
            Error::work(format!("PyTorch failed beside us: {why}"))
                .with_hint("leave it out with `--peer none`")
        };
        let Output {
            status,
            stdout,
            stderr,
        } = command
            .output()
            .map_err(|error| failed(error.to_string()))?;
        if !status.success() {
            return Err(failed(last_line(&stderr)));
        }
        let measured: Measured = serde_json::from_slice(&stdout)
            .map_err(|error| failed(format!("what it printed is no result ({error})")))?;
        if measured.parameters != shape.parameters() {
            return Err(failed(format!(
                "its model has {} parameters and ours {}",
                measured.parameters,
                shape.parameters()
            )));
        }
        Ok(measured)
    }
}

/// Whether the script has models of a shape.
pub fn knows(shape: &Shape) -> bool {
    !shape.tie_word_embeddings
        && shape.experts.is_none()
        && shape.num_key_value_heads == shape.num_attention_heads
        && shape.head_dim * shape.num_attention_heads == shape.hidden_size
}

fn last_line(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let last = text.lines().rfind(|line| !line.trim().is_empty());
    last.unwrap_or("it said nothing").to_owned()
}

//! `export`: writes a checkpoint again, in another form.

use anyhow::Result;
use crossover::error::Error;
use crossover::platform;
use crossover::train::{Checkpoint, Precision};
use serde::Serialize;

use crate::arguments::ExportArguments;
use crate::commands::{check_place, print_json, print_text};

#[derive(Serialize)]
struct Exported {
    event: &'static str,
    file: String,
    bytes: usize,
}

/// Reads the checkpoint and writes it.
pub fn run(arguments: &ExportArguments) -> Result<()> {
    let precision = match arguments.dtype.as_str() {
        "f32" => Precision::F32,
        "bf16" => Precision::Bf16,
        other => {
            return Err(Error::input(format!("`--dtype` is `{other}`"))
                .with_hint("`f32` or `bf16`")
                .into());
        }
    };
    check_place(&arguments.out)?;
    let origin = arguments.checkpoint.display().to_string();
    let mut checkpoint = Checkpoint::open(&origin)?;
    if arguments.weights_only {
        checkpoint = checkpoint.weights_only();
    } else if precision != Precision::F32 && checkpoint.moments.is_some() {
        return Err(
            Error::input("`--dtype bf16` would round what training goes on from")
                .with_hint("add `--weights-only`")
                .into(),
        );
    }
    let bytes = checkpoint.to_bytes_as(precision)?;
    let file = arguments.out.display().to_string();
    platform::write_file(&file, &bytes)?;
    if arguments.common.json {
        return print_json(&Exported {
            event: "result",
            file,
            bytes: bytes.len(),
        });
    }
    print_text(&format!("{file}\n"))
}

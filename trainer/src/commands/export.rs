//! `export`: writes a checkpoint again, in another form; a folder in Hugging Face's layout among them.

use anyhow::Result;
use crossover::error::Error;
use crossover::platform;
use crossover::train::{Extent, Precision, hugging_face};
use serde::Serialize;

use crate::arguments::ExportArguments;
use crate::commands::{check_place, print_json, print_text};

#[derive(Serialize)]
struct Exported {
    event: &'static str,
    file: String,
    bytes: usize,
}

/// The precision that `--dtype` names.
pub fn precision(dtype: &str) -> Result<Precision, Error> {
    match dtype {
        "f32" => Ok(Precision::F32),
        "bf16" => Ok(Precision::Bf16),
        other => Err(Error::input(format!("`--dtype` is `{other}`")).with_hint("`f32` or `bf16`")),
    }
}

/// Reads the checkpoint and writes it: a file where the name is one of a safetensors file, otherwise a folder.
pub fn run(arguments: &ExportArguments) -> Result<()> {
    let precision = precision(&arguments.dtype)?;
    let is_file = arguments
        .out
        .extension()
        .is_some_and(|end| end == "safetensors");
    if is_file {
        check_place(&arguments.out)?;
    }
    let extent = match is_file && !arguments.weights_only {
        true => Extent::Whole,
        false => Extent::Weights,
    };
    let place = arguments.checkpoint.display().to_string();
    let checkpoint = hugging_face::read_model(&place, extent)?;
    let file = arguments.out.display().to_string();
    if !is_file {
        let bytes = hugging_face::write(&checkpoint, &file, precision)?;
        return tell(arguments.common.json, file, bytes);
    }
    if precision != Precision::F32 && checkpoint.moments.is_some() {
        return Err(
            Error::input("`--dtype bf16` would round what training goes on from")
                .with_hint("add `--weights-only`")
                .into(),
        );
    }
    let content = checkpoint.file(precision)?;
    platform::write_file(&file, content.parts())?;
    tell(arguments.common.json, file, content.bytes())
}

/// Prints what was written.
pub fn tell(json: bool, file: String, bytes: usize) -> Result<()> {
    if json {
        return print_json(&Exported {
            event: "result",
            file,
            bytes,
        });
    }
    print_text(&format!("{file}\n"))
}

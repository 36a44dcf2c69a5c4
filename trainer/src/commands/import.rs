//! `import`: writes a model from elsewhere as a checkpoint.

use anyhow::Result;
use crossover::platform;
use crossover::train::hugging_face;

use crate::arguments::ImportArguments;
use crate::commands::check_place;
use crate::commands::export::{precision, tell};

/// Reads the model and writes it.
pub fn run(arguments: &ImportArguments) -> Result<()> {
    let precision = precision(&arguments.dtype)?;
    check_place(&arguments.out)?;
    let source = arguments.source.display().to_string();
    let checkpoint = hugging_face::read(&source, arguments.length)?;
    let content = checkpoint.file(precision)?;
    let file = arguments.out.display().to_string();
    platform::write_file(&file, content.parts())?;
    tell(arguments.common.json, file, content.bytes())
}

//! The commands, a file each.

pub mod bench;
mod branch;
pub mod corpus;
pub mod doctor;
pub mod evaluate;
pub mod export;
pub mod flops;
pub mod generation;
pub mod import;
pub mod plan;
pub mod report;
pub mod run;
pub mod sample;
mod scaling;
pub mod seeds;
pub mod serve;
pub mod sweep;
mod tasks;
pub mod tokenizer;
pub mod trace;

use std::io::Write;
use std::path::Path;

use anyhow::Result;
use crossover::error::Error;
use serde::Serialize;

/// Prints one line of `--json` output. A reader that went away ends the line, not the work.
pub fn print_json(value: &impl Serialize) -> Result<()> {
    let line = serde_json::to_string(value)?;
    match writeln!(std::io::stdout(), "{line}") {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// Prints text on standard output, for people or pipes.
pub fn print_text(text: &str) -> Result<()> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// Refuses a place where no file can be written, before any work is done for it.
fn check_place(file: &Path) -> Result<(), Error> {
    if file.is_dir() {
        return Err(
            Error::input(format!("`{}` is a folder", file.display())).with_hint("give a file")
        );
    }
    let folder = file
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
        return Err(
            Error::input(format!("there is no folder `{}`", folder.display()))
                .with_hint("make it first, or write elsewhere"),
        );
    }
    Ok(())
}

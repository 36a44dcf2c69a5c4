//! The commands, a file each.

pub mod bench;
pub mod corpus;
pub mod doctor;
pub mod evaluate;
pub mod flops;
pub mod report;
pub mod run;
pub mod sample;
pub mod seeds;
pub mod tokenizer;
pub mod trace;

use std::io::Write;

use anyhow::Result;
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

//! `trace`: checks and shows the traces of samples.

use std::fs;
use std::path::Path;

use anyhow::Result;
use crossover::error::Error;
use crossover::objective::Objective;
use crossover::sample::Trace;
use serde::Serialize;

use crate::arguments::{CheckTraceArguments, TraceCommand};
use crate::commands::{print_json, print_text};
use crate::numbers::counted;
use crate::traces::{self, Film};

/// Does one thing with traces.
pub fn run(command: &TraceCommand) -> Result<()> {
    match command {
        TraceCommand::Check(arguments) => check(arguments),
        TraceCommand::Play(arguments) => {
            let film = film(&arguments.file)?;
            traces::show(&film, arguments.common.json)
        }
    }
}

/// Reads a trace from a file.
fn read(path: &Path) -> Result<Trace, Error> {
    let name = path.display().to_string();
    let bytes = fs::read(path).map_err(|error| {
        Error::input(format!("can't read `{name}`"))
            .with_source(error)
            .with_hint("give a file that `sample --trace` wrote")
    })?;
    let text = String::from_utf8(bytes).map_err(|error| {
        Error::input(format!("`{name}` is no trace: it is no text"))
            .with_source(error.utf8_error())
            .with_hint("give a file that `sample --trace` wrote")
    })?;
    Trace::from_json_lines(&text, &name)
}

fn film(path: &Path) -> Result<Film, Error> {
    Ok(Film::new(read(path)?, path.display().to_string()))
}

#[derive(Serialize)]
struct Checked {
    event: &'static str,
    file: String,
    ok: bool,
    #[serde(flatten)]
    found: Found,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Found {
    Trace {
        kind: Objective,
        sampler: String,
        length: usize,
        steps: usize,
        model_calls: usize,
    },
    Error {
        error: String,
        hint: Option<String>,
    },
}

fn check(arguments: &CheckTraceArguments) -> Result<()> {
    let mut broken = Vec::new();
    for path in &arguments.files {
        let file = path.display().to_string();
        let checked = read(path);
        let found = match &checked {
            Ok(trace) => Found::Trace {
                kind: trace.header.kind,
                sampler: trace.header.sampler.name.clone(),
                length: trace.header.length,
                steps: trace.footer.steps,
                model_calls: trace.footer.model_calls,
            },
            Err(error) => Found::Error {
                error: error.to_string(),
                hint: error.hint().map(str::to_owned),
            },
        };
        if arguments.common.json {
            print_json(&Checked {
                event: "trace",
                file,
                ok: checked.is_ok(),
                found,
            })?;
        } else {
            print_text(&match found {
                Found::Trace {
                    kind,
                    sampler,
                    length,
                    steps,
                    model_calls,
                } => format!(
                    "ok   `{file}`: {}, {sampler}, {length} positions, {}, {}\n",
                    kind.name(),
                    counted(steps, "step"),
                    counted(model_calls, "model call")
                ),
                Found::Error { error, .. } => format!("bad  {error}\n"),
            })?;
        }
        broken.extend(checked.err());
    }
    let (count, total) = (broken.len(), arguments.files.len());
    let Some(first) = broken.into_iter().next() else {
        return Ok(());
    };
    let error = Error::input(match total {
        1 => "the trace is not sound".to_owned(),
        _ => format!("{count} of {total} traces are not sound"),
    });
    Err(match first.hint() {
        Some(hint) if count == 1 => error.with_hint(hint),
        _ => error.with_hint("the lines above say what is wrong with each"),
    }
    .into())
}

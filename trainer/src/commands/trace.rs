//! `trace`: checks, shows and converts the traces of samples.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use crossover::error::Error;
use crossover::objective::Objective;
use crossover::sample::Trace;
use crossover_report::numbers::counted;
use serde::Serialize;

use crate::arguments::{CheckTraceArguments, GifTraceArguments, HtmlTraceArguments, TraceCommand};
use crate::commands::{branch, check_place, print_json, print_text};
use crate::traces::{self, Film};

/// Does one thing with traces.
pub fn run(command: &TraceCommand) -> Result<()> {
    match command {
        TraceCommand::Check(arguments) => check(arguments),
        TraceCommand::Play(arguments) => {
            let film = film(&arguments.file)?;
            traces::show(&film, arguments.common.json)
        }
        TraceCommand::Html(arguments) => html(arguments),
        TraceCommand::Gif(arguments) => gif(arguments),
        TraceCommand::Branch(arguments) => {
            let parent = read(&arguments.file)?;
            let files = std::slice::from_ref(&arguments.file);
            let out = output(arguments.out.as_deref(), files, "branch.jsonl")?;
            branch::run(arguments, &parent, &out)
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

fn html(arguments: &HtmlTraceArguments) -> Result<()> {
    let films = arguments
        .files
        .iter()
        .map(|path| film(path))
        .collect::<Result<Vec<Film>, Error>>()?;
    let out = output(arguments.out.as_deref(), &arguments.files, "html")?;
    put(&out, traces::page(&films).as_bytes(), arguments.common.json)
}

fn gif(arguments: &GifTraceArguments) -> Result<()> {
    let film = film(&arguments.file)?;
    let out = output(
        arguments.out.as_deref(),
        std::slice::from_ref(&arguments.file),
        "gif",
    )?;
    let picture = traces::gif(&film, usize::from(arguments.scale))?;
    put(&out, &picture, arguments.common.json)
}

/// Where a conversion goes: where it was asked for, or beside the first trace. `trace.jsonl.2` has a page
/// `trace.2.html`, so that the traces of several samples do not share one.
fn output(asked: Option<&Path>, traces: &[PathBuf], extension: &str) -> Result<PathBuf, Error> {
    let path = match (asked, traces) {
        (Some(path), _) => path.to_owned(),
        (None, [first, ..]) => match numbered(first) {
            Some((stem, number)) => first.with_file_name(format!("{stem}.{number}.{extension}")),
            None => first.with_extension(extension),
        },
        (None, []) => return Err(Error::input("no trace is given")),
    };
    check_place(&path)?;
    let is_trace = |trace: &PathBuf| match (trace.canonicalize(), path.canonicalize()) {
        (Ok(trace), Ok(path)) => trace == path,
        _ => false,
    };
    if traces.iter().any(is_trace) {
        return Err(
            Error::input(format!("`{}` is the trace that is read", path.display()))
                .with_hint("give another file with `--out`"),
        );
    }
    Ok(path)
}

/// The name and number of `name.jsonl.2`, the second sample's trace.
fn numbered(path: &Path) -> Option<(&str, u64)> {
    let (name, number) = path.file_name()?.to_str()?.rsplit_once('.')?;
    let (stem, _) = name.rsplit_once('.')?;
    Some((stem, number.parse().ok()?))
}

/// Writes beside and renames, so that a reader never meets half a file.
fn put(path: &Path, bytes: &[u8], json: bool) -> Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    fs::write(&beside, bytes)
        .and_then(|()| fs::rename(&beside, path))
        .with_context(|| format!("can't write `{}`", path.display()))?;
    let file = path.display().to_string();
    if json {
        print_json(&Written {
            event: "written",
            file,
        })
    } else {
        print_text(&format!("{file}\n"))
    }
}

#[derive(Serialize)]
struct Written {
    event: &'static str,
    file: String,
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

//! `trace branch`: goes back into a trace, changes something, and writes on from there.

use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result};
use crossover::corpus::Tokenizer;
use crossover::error::Error;
use crossover::lab::{check_vocabulary, load_checkpoint, traced};
use crossover::sample::{Edit, Parent, Trace};
use serde::Serialize;

use crate::arguments::BranchTraceArguments;
use crate::commands::{print_json, print_text};
use crate::writing::{cache, way};
use crate::{devices, settings, traces};

#[derive(Serialize)]
struct Branched {
    event: &'static str,
    trace: String,
    text: String,
    steps: usize,
    model_calls: usize,
    flops: f64,
}

/// Continues a trace that was read from a file, and writes its branch to `out`.
pub fn run(arguments: &BranchTraceArguments, parent: &Trace, out: &Path) -> Result<()> {
    let device = devices::choose(&arguments.common)?;
    let loaded = load_checkpoint(&arguments.checkpoint.display().to_string(), &device)?;
    let tokenizer = &loaded.checkpoint.tokenizer;
    let name = arguments.file.display().to_string();
    check_vocabulary(parent, tokenizer, &name)?;
    let edits = edits(arguments, tokenizer)?;
    let template = parent.branch(arguments.step, &edits)?;
    let seed = settings::seed(&arguments.common);
    let way = way(&arguments.writing, &loaded, template, seed)?;
    let way = traced(way, cache(&arguments.writing)?);

    let began = Instant::now();
    let sample = pollster::block_on(way.write(&loaded.model, 0..1))?
        .pop()
        .context("one sample was asked for")?;
    let seconds = began.elapsed().as_secs_f64();
    let text = tokenizer.decode(sample.text());
    let mut header = way.header(0, Some(tokenizer.vocab()));
    header.parent = Some(Parent {
        trace: name,
        step: arguments.step,
        edits,
    });
    let trace = Trace::new(header, sample, text.clone(), seconds);
    std::fs::write(out, trace.to_json_lines()?)
        .with_context(|| format!("can't write the trace `{}`", out.display()))?;
    if arguments.watch {
        return traces::watch(&trace, arguments.common.json);
    }
    if arguments.common.json {
        return print_json(&Branched {
            event: "branch",
            trace: out.display().to_string(),
            text,
            steps: trace.footer.steps,
            model_calls: trace.footer.model_calls,
            flops: trace.footer.flops,
        });
    }
    eprintln!("Wrote the trace `{}`", out.display());
    print_text(&format!("{text}\n"))
}

/// What `--set` and `--mask` ask for, in the order of positions.
fn edits(arguments: &BranchTraceArguments, tokenizer: &Tokenizer) -> Result<Vec<Edit>, Error> {
    let vocab = tokenizer.vocab();
    let mut edits = Vec::new();
    for text in &arguments.set {
        let (position, token) = text
            .split_once('=')
            .and_then(|(position, token)| Some((position.parse().ok()?, token)))
            .ok_or_else(|| {
                Error::input(format!("`--set {text}` is not POSITION=TOKEN"))
                    .with_hint("write `--set 3=a`, or `--set 3=#17` for the token with id 17")
            })?;
        edits.push(Edit {
            position,
            token: token_id(token, &vocab)?,
        });
    }
    for text in &arguments.mask {
        for position in positions(text)? {
            edits.push(Edit {
                position,
                token: -1,
            });
        }
    }
    edits.sort_by_key(|edit| edit.position);
    Ok(edits)
}

/// The id of a token that is given by its text, or as `#id`. MASK, the last, is none.
fn token_id(text: &str, vocab: &[String]) -> Result<i64, Error> {
    let tokens = vocab.len() - 1;
    let by_text = vocab[..tokens].iter().position(|token| token == text);
    let by_number = || {
        let id: usize = text.strip_prefix('#')?.parse().ok()?;
        (id < tokens).then_some(id)
    };
    match by_text.or_else(by_number) {
        Some(id) => Ok(id as i64),
        None => Err(Error::input(format!("there is no token `{text}`")).with_hint(format!(
            "give a token's text as `trace play` shows it, or `#0` to `#{}`; to hide a position use `--mask`",
            tokens - 1
        ))),
    }
}

/// One position, or several as `3-8`.
fn positions(text: &str) -> Result<RangeInclusive<usize>, Error> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let range = || Some(first.parse().ok()?..=last.parse().ok()?);
    range()
        .filter(|range: &RangeInclusive<usize>| !range.is_empty())
        .ok_or_else(|| {
            Error::input(format!("`--mask {text}` is no position"))
                .with_hint("write `--mask 3`, or `--mask 3-8` for six of them")
        })
}

//! `sample`: lets a checkpoint's model write.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result};
use crossover::corpus::Tokenizer;
use crossover::error::Error;
use crossover::evaluate::nats;
use crossover::lab::{Loaded, load_checkpoint, templates, traced};
use crossover::objective::Factorization;
use crossover::sample::{Cell, Sample, Trace, Way};
use serde::Serialize;

use crate::arguments::SampleArguments;
use crate::commands::{check_place, print_json, print_text};
use crate::writing::{cache, way, writing};
use crate::{devices, settings, traces};

/// Samples written at once.
const BATCH: u64 = 64;
/// Mask levels of the bound by which the length of a gap is chosen.
const LEVELS: usize = 16;

#[derive(Serialize)]
struct Written {
    event: &'static str,
    sample: u64,
    text: String,
    model_calls: usize,
    flops: f64,
}

/// A finished sample, and what was asked for.
struct Finished<'a> {
    way: &'a Way,
    /// Which of the seed's samples it is.
    index: u64,
    sample: Sample,
    /// Wall-clock seconds.
    seconds: f64,
}

/// Writes the samples, and their traces where asked.
pub fn run(arguments: &SampleArguments) -> Result<()> {
    let device = devices::choose(&arguments.common)?;
    let loaded = load_checkpoint(&arguments.checkpoint.display().to_string(), &device)?;
    if arguments.samples == 0 {
        return Err(Error::input("`--samples` is 0")
            .with_hint("give at least 1")
            .into());
    }
    let asked = asked(arguments, &loaded)?;
    let seed = settings::seed(&arguments.common);
    let cache = cache(&arguments.writing)?;
    let way = |template| {
        let way = way(&arguments.writing, &loaded, template, seed)?;
        Ok(match &arguments.trace {
            Some(_) => traced(way, cache),
            None => way,
        })
    };
    let ways: Vec<Vec<Way>> = asked
        .into_iter()
        .map(|templates| templates.into_iter().map(way).collect())
        .collect::<Result<_, Error>>()?;
    let files = trace_files(arguments, ways.len() as u64 * arguments.samples)?;
    let mut number = 0;
    for alternatives in &ways {
        for start in (0..arguments.samples).step_by(BATCH as usize) {
            let end = (start + BATCH).min(arguments.samples);
            for finished in best(alternatives, &loaded, start..end, seed)? {
                tell(
                    arguments,
                    number as u64,
                    &finished.sample,
                    &loaded.checkpoint.tokenizer,
                )?;
                show(arguments, finished, files.get(number), &loaded)?;
                number += 1;
            }
        }
    }
    Ok(())
}

/// What is to be written: a list for each length, of templates between which the model decides.
fn asked(arguments: &SampleArguments, loaded: &Loaded) -> Result<Vec<Vec<Vec<Cell>>>, Error> {
    let checkpoint = &loaded.checkpoint;
    let tokenizer = &checkpoint.tokenizer;
    let by = writing(&arguments.writing, 0)?.factorization(loaded)?;
    if let Some(text) = &arguments.infill {
        if by == Factorization::LeftToRight {
            return Err(Error::input(
                "`--infill` is for diffusion models, and this one writes left to right",
            )
            .with_hint("use `--prompt`, or give the checkpoint of a diffusion model"));
        }
        let templates = templates(text, tokenizer, checkpoint.length)?;
        let is_whole = by
            == Factorization::Blocks {
                size: checkpoint.length,
            };
        if templates.len() > 1 && !is_whole {
            return Err(Error::input(
                "this model writes in blocks, which gaps of unknown length would move",
            )
            .with_hint("give each gap one length, or the checkpoint of a masked model"));
        }
        return Ok(vec![templates]);
    }
    let prompt = match &arguments.prompt {
        Some(text) => tokenizer.encode(text)?,
        None => Vec::new(),
    };
    let lengths = match arguments.length.as_slice() {
        [] => &[checkpoint.length],
        lengths => lengths,
    };
    let template = |length: usize| {
        if length == 0 || length > checkpoint.length {
            return Err(Error::input(format!(
                "`--length` is {length}, and this model was trained on windows of {} tokens",
                checkpoint.length
            ))
            .with_hint(format!("give 1 to {}", checkpoint.length)));
        }
        if prompt.len() >= length {
            return Err(Error::input(format!(
                "the prompt has {} tokens and the text {length}: nothing is left to write",
                prompt.len()
            ))
            .with_hint("shorten the prompt or raise `--length`"));
        }
        let mut template: Vec<Cell> = prompt.iter().copied().map(Cell::Given).collect();
        template.resize(length, Cell::Free);
        Ok(vec![template])
    };
    lengths.iter().copied().map(template).collect()
}

/// Writes these samples by each of the alternatives, and keeps of each sample the one that the model finds likeliest: by
/// the lowest bound per token, the same masks for all.
fn best<'a>(
    alternatives: &'a [Way],
    loaded: &Loaded,
    samples: std::ops::Range<u64>,
    seed: u64,
) -> Result<Vec<Finished<'a>>> {
    let mut kept: Vec<(f64, Finished<'a>)> = Vec::new();
    for way in alternatives {
        let began = Instant::now();
        let written = pollster::block_on(way.write(&loaded.model, samples.clone()))?;
        let seconds = began.elapsed().as_secs_f64() / written.len() as f64;
        let losses = match alternatives {
            [_] => vec![0.0; written.len()],
            _ => bounds(loaded, &written, seed)?,
        };
        let finished = samples
            .clone()
            .zip(written)
            .map(|(index, sample)| Finished {
                way,
                index,
                sample,
                seconds,
            });
        if kept.is_empty() {
            kept = losses.into_iter().zip(finished).collect();
        } else {
            for (best, (loss, finished)) in kept.iter_mut().zip(losses.into_iter().zip(finished)) {
                if loss < best.0 {
                    *best = (loss, finished);
                }
            }
        }
    }
    Ok(kept.into_iter().map(|(_, finished)| finished).collect())
}

/// The bound of each text, nats per token.
fn bounds(loaded: &Loaded, samples: &[Sample], seed: u64) -> Result<Vec<f64>, Error> {
    let windows: Vec<&[u32]> = samples.iter().map(|sample| &sample.tokens[..]).collect();
    let size = samples.first().map_or(1, |sample| sample.tokens.len());
    let whole = Factorization::Blocks { size };
    pollster::block_on(nats(&loaded.model, whole, &windows, LEVELS, seed))
}

/// Saves and plays the sample's trace, where asked.
fn show(
    arguments: &SampleArguments,
    finished: Finished<'_>,
    path: Option<&PathBuf>,
    loaded: &Loaded,
) -> Result<()> {
    if path.is_none() && !arguments.watch {
        return Ok(());
    }
    let tokenizer = &loaded.checkpoint.tokenizer;
    let header = finished.way.header(finished.index, Some(tokenizer.vocab()));
    let text = tokenizer.decode(finished.sample.text());
    let trace = Trace::new(header, finished.sample, text, finished.seconds);
    if let Some(path) = path {
        std::fs::write(path, trace.to_json_lines()?)
            .with_context(|| format!("can't write the trace `{}`", path.display()))?;
    }
    if arguments.watch {
        traces::watch(&trace, arguments.common.json)?;
    }
    Ok(())
}

/// FILE, FILE.2, … for each sample; refuses what can't be written before any work starts.
fn trace_files(arguments: &SampleArguments, count: u64) -> Result<Vec<PathBuf>, Error> {
    let Some(first) = &arguments.trace else {
        return Ok(Vec::new());
    };
    check_place(first)?;
    Ok((1..=count)
        .map(|number| match number {
            1 => first.clone(),
            _ => numbered(first, number),
        })
        .collect())
}

fn numbered(path: &Path, number: u64) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    name.into()
}

fn tell(
    arguments: &SampleArguments,
    index: u64,
    sample: &Sample,
    tokenizer: &Tokenizer,
) -> Result<()> {
    let text = tokenizer.decode(sample.text());
    if arguments.common.json {
        return print_json(&Written {
            event: "sample",
            sample: index,
            text,
            model_calls: sample.model_calls,
            flops: sample.flops,
        });
    }
    let separator = if index == 0 { "" } else { "---\n" };
    print_text(&format!("{separator}{text}\n"))
}

//! `sample`: lets a checkpoint's model write.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result};
use crossover::corpus::Tokenizer;
use crossover::error::Error;
use crossover::lab::{Loaded, load_checkpoint};
use crossover::laws::flops;
use crossover::model::Visibility;
use crossover::objective::{Factorization, Likelihood, Objective};
use crossover::sample::{
    Choice, Decoding, Denoising, Header, Sample, Sampler, Trace, decode, denoise,
};
use serde::Serialize;

use crate::arguments::SampleArguments;
use crate::commands::{print_json, print_text};
use crate::{devices, settings, traces};

/// Samples written at once.
const BATCH: u64 = 64;

#[derive(Serialize)]
struct Written {
    event: &'static str,
    sample: u64,
    text: String,
    model_calls: usize,
    flops: f64,
}

/// How this call's model writes.
enum Writing {
    LeftToRight(Decoding),
    Denoising(Denoising),
}

/// Writes the samples, and their traces where asked.
pub fn run(arguments: &SampleArguments) -> Result<()> {
    let device = devices::choose(&arguments.common)?;
    let loaded = load_checkpoint(&arguments.checkpoint.display().to_string(), &device)?;
    let writing = prepare(arguments, &loaded)?;
    let files = trace_files(arguments)?;
    let tokenizer = &loaded.checkpoint.tokenizer;
    for start in (0..arguments.samples).step_by(BATCH as usize) {
        let end = (start + BATCH).min(arguments.samples);
        let began = Instant::now();
        let samples = pollster::block_on(async {
            match &writing {
                Writing::LeftToRight(decoding) => decode(&loaded.model, decoding, start..end).await,
                Writing::Denoising(denoising) => {
                    denoise(&loaded.model, denoising, start..end).await
                }
            }
        })?;
        let seconds = began.elapsed().as_secs_f64() / samples.len() as f64;
        for (index, sample) in (start..end).zip(samples) {
            tell(arguments, index, &sample, tokenizer)?;
            let path = files.get(index as usize);
            if path.is_none() && !arguments.watch {
                continue;
            }
            let header = writing.header(index, tokenizer);
            let text = tokenizer.decode(&sample.tokens);
            let trace = Trace::new(header, sample, text, seconds);
            if let Some(path) = path {
                std::fs::write(path, trace.to_json_lines()?)
                    .with_context(|| format!("can't write the trace `{}`", path.display()))?;
            }
            if arguments.watch {
                traces::watch(&trace, arguments.common.json)?;
            }
        }
    }
    Ok(())
}

impl Writing {
    fn header(&self, sample: u64, tokenizer: &Tokenizer) -> Header {
        let vocab = Some(tokenizer.vocab());
        match self {
            Self::LeftToRight(decoding) => decoding.header(sample, vocab),
            Self::Denoising(denoising) => denoising.header(sample, vocab),
        }
    }
}

fn prepare(arguments: &SampleArguments, loaded: &Loaded) -> Result<Writing, Error> {
    let checkpoint = &loaded.checkpoint;
    let tokenizer = &checkpoint.tokenizer;
    if arguments.samples == 0 {
        return Err(Error::input("`--samples` is 0").with_hint("give at least 1"));
    }
    let length = arguments.length.unwrap_or(checkpoint.length);
    if length == 0 || length > checkpoint.length {
        return Err(Error::input(format!(
            "`--length` is {length}, and this model was trained on windows of {} tokens",
            checkpoint.length
        ))
        .with_hint(format!("give 1 to {}", checkpoint.length)));
    }
    let choice = Choice {
        temperature: arguments.temperature,
        top_k: arguments.top_k,
        top_p: arguments.top_p,
    };
    let prompt = match &arguments.prompt {
        Some(text) => tokenizer.encode(text)?,
        None => Vec::new(),
    };
    if prompt.len() >= length {
        return Err(Error::input(format!(
            "the prompt has {} tokens and the text {length}: nothing is left to write",
            prompt.len()
        ))
        .with_hint("shorten the prompt or raise `--length`"));
    }
    let seed = settings::seed(&arguments.common);
    let mask_id = tokenizer.mask_id();
    match factorization(arguments, loaded)? {
        Factorization::LeftToRight => {
            for (flag, given) in [
                ("--infill", arguments.infill.is_some()),
                ("--sampler", arguments.sampler.is_some()),
                ("--steps", arguments.steps.is_some()),
            ] {
                if given {
                    return Err(Error::input(format!(
                        "`{flag}` is for diffusion models, and this one writes left to right"
                    ))
                    .with_hint("leave it out, or give the checkpoint of a diffusion model"));
                }
            }
            let decoding = Decoding {
                prompt,
                length,
                choice,
                seed,
                flops_per_call: flops::forward(loaded.model.shape(), length),
            };
            decoding.check(mask_id)?;
            Ok(Writing::LeftToRight(decoding))
        }
        Factorization::Blocks { size } => {
            let template = match &arguments.infill {
                Some(text) => template(text, tokenizer, checkpoint.length)?,
                None => (0..length)
                    .map(|position| prompt.get(position).copied())
                    .collect(),
            };
            let free = template.iter().filter(|token| token.is_none()).count();
            let sampler = match &arguments.sampler {
                Some(name) => name.parse()?,
                None => Sampler::Ancestral,
            };
            let denoising = Denoising {
                flops_per_call: flops::forward(loaded.model.shape(), template.len()),
                // A text shorter than the window is one block where the model has one, and cut where it has several.
                block_size: size,
                visibility: Visibility::of_blocks(size, checkpoint.length),
                template,
                sampler,
                steps: arguments.steps.unwrap_or(free),
                choice,
                seed,
            };
            denoising.check(mask_id)?;
            Ok(Writing::Denoising(denoising))
        }
    }
}

/// How this model is asked to write: by its own likelihood, or the one of a dual model's two that was asked for.
fn factorization(arguments: &SampleArguments, loaded: &Loaded) -> Result<Factorization, Error> {
    let checkpoint = &loaded.checkpoint;
    let asked = match arguments.likelihood.as_deref() {
        None => None,
        Some("ar") => Some(Likelihood::Autoregressive),
        Some("masked") => Some(Likelihood::Masked),
        Some(other) => {
            return Err(Error::input(format!("there is no likelihood `{other}`"))
                .with_hint("`ar` or `masked`, for a dual model"));
        }
    };
    if asked.is_some() && checkpoint.objective != Objective::Dual {
        return Err(Error::input(
            "`--likelihood` is for dual models: the others write in one way only",
        )
        .with_hint("leave it out"));
    }
    Ok(checkpoint.factorization(asked.unwrap_or(checkpoint.objective.headline())))
}

/// Reads `"text with [MASK:8] gaps"`: given tokens, and `None` for each free one.
fn template(text: &str, tokenizer: &Tokenizer, longest: usize) -> Result<Vec<Option<u32>>, Error> {
    const OPEN: &str = "[MASK:";
    let mut template = Vec::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once(OPEN) {
        template.extend(tokenizer.encode(before)?.into_iter().map(Some));
        let (count, after) = behind
            .split_once(']')
            .and_then(|(count, after)| Some((count.parse::<usize>().ok()?, after)))
            .filter(|(count, _)| *count > 0)
            .ok_or_else(|| {
                Error::input(format!("`{OPEN}` is not followed by a number and `]`"))
                    .with_hint("write `[MASK:8]` for a gap of eight tokens")
            })?;
        if count > longest {
            return Err(Error::input(format!(
                "a gap of {count} tokens is longer than the model's window of {longest}"
            ))
            .with_hint("shorten the gap"));
        }
        template.extend(std::iter::repeat_n(None, count));
        rest = after;
    }
    template.extend(tokenizer.encode(rest)?.into_iter().map(Some));
    if template.len() > longest {
        return Err(Error::input(format!(
            "the template has {} tokens, and this model was trained on windows of {longest}",
            template.len()
        ))
        .with_hint("shorten the text or its gaps"));
    }
    Ok(template)
}

/// FILE, FILE.2, … for each sample; refuses what can't be written before any work starts.
fn trace_files(arguments: &SampleArguments) -> Result<Vec<PathBuf>, Error> {
    let Some(first) = &arguments.trace else {
        return Ok(Vec::new());
    };
    if first.is_dir() {
        return Err(Error::input(format!(
            "the trace can't be written to `{}`: it is a folder",
            first.display()
        ))
        .with_hint("give a file"));
    }
    let parent = first
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    if let Some(parent) = parent.filter(|parent| !parent.is_dir()) {
        return Err(
            Error::input(format!("there is no folder `{}`", parent.display()))
                .with_hint("make it first, or write the trace elsewhere"),
        );
    }
    Ok((1..=arguments.samples)
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
    let text = tokenizer.decode(&sample.tokens);
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

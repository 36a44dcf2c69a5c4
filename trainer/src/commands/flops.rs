//! `flops`: what a model costs in training and in generation.

use anyhow::Result;
use crossover::corpus::Corpus;
use crossover::error::Error;
use crossover::laws::{flops, memory};
use crossover::model::{ModelConfig, Shape};
use crossover::platform;
use crossover::train::RunConfig;
use crossover_report::numbers;
use serde::Serialize;

use crate::arguments::FlopsArguments;
use crate::commands::scaling::{Run, Scaling};
use crate::commands::{print_json, print_text};
use crate::presets::{self, PAPER, Preset};
use crate::settings;

/// Token ids of an English text by character, MASK included: what Shakespeare's plays have.
const ENGLISH_CHARACTERS: usize = 66;

#[derive(Serialize)]
struct Flops {
    event: &'static str,
    parameters: u64,
    active_parameters: u64,
    matmul_parameters: u64,
    length: usize,
    training_flops_per_token: f64,
    training_flops_per_step: f64,
    training_state_bytes: u64,
    batch: usize,
    threads: usize,
    training_peak_bytes: u64,
    /// Of that, for a state on its way to the disk.
    saving_bytes: u64,
    generation: Vec<flops::Generation>,
    /// Training on many GPUs, where it was asked for.
    scaling: Option<Scaling>,
}

/// Counts and prints.
pub fn run(arguments: &FlopsArguments) -> Result<()> {
    let known = known(arguments)?;
    let (shape, length) = shape(arguments, &known)?;
    let batch = arguments.batch.unwrap_or(known.batch);
    let threads = arguments.common.threads.unwrap_or_else(platform::threads);
    if batch == 0 || threads == 0 {
        return Err(Error::input("`--batch` and `--threads` are at least 1").into());
    }
    let recompute = arguments.recompute || known.recompute;
    let at_once = known.micro_batch.unwrap_or(batch).min(batch);
    let saving_bytes = memory::saving_bytes(&shape, known.has_average);
    let run = Run {
        shape: &shape,
        length,
        batch,
        micro_batch: known.micro_batch,
        recompute,
        zero_stage: known.zero_stage,
        tokens: known.tokens(length),
    };
    let scaling = Scaling::predict(&arguments.cluster, &run)?;
    let counted = Flops {
        event: "result",
        parameters: shape.parameters(),
        active_parameters: shape.active_parameters(),
        matmul_parameters: shape.matmul_parameters(),
        length,
        training_flops_per_token: flops::training_per_token(&shape, length),
        training_flops_per_step: flops::training(&shape, length, 1, batch),
        training_state_bytes: memory::training_state_bytes(&shape),
        batch,
        threads,
        training_peak_bytes: memory::training_peak_bytes(
            &shape, at_once, length, threads, recompute,
        )
        .saturating_add(saving_bytes),
        saving_bytes,
        generation: flops::generation(&shape),
        scaling,
    };
    if arguments.common.json {
        return print_json(&counted);
    }
    print_text(&text(&counted))
}

/// What is known of a model before flags have their say.
struct Known {
    model: ModelConfig,
    vocab: Option<usize>,
    length: Option<usize>,
    batch: usize,
    /// Windows computed at once.
    micro_batch: Option<usize>,
    recompute: bool,
    has_average: bool,
    zero_stage: u8,
    /// Steps of the whole run.
    steps: Option<u64>,
    /// Unique tokens, and passes over them.
    unique: Option<(u64, f64)>,
}

impl Known {
    /// What a configuration file tells by itself.
    fn of_file(config: RunConfig) -> Self {
        let (vocab, length) = (config.model.vocab_size, config.corpus.length);
        Self::of(config, vocab, length)
    }

    fn of(config: RunConfig, vocab: Option<usize>, length: Option<usize>) -> Self {
        Self {
            vocab,
            length,
            batch: config.train.batch,
            micro_batch: config.train.micro_batch,
            recompute: config.train.recompute,
            has_average: config.train.ema_decay.is_some(),
            zero_stage: config.train.zero_stage,
            steps: config.train.steps,
            unique: config
                .corpus
                .unique
                .map(|tokens| (tokens, config.train.epochs)),
            model: config.model,
        }
    }

    /// Tokens of the whole run, where the configuration tells.
    fn tokens(&self, length: usize) -> Option<f64> {
        let of_steps = self
            .steps
            .map(|steps| steps as f64 * self.batch as f64 * length as f64);
        of_steps.or(self.unique.map(|(tokens, epochs)| tokens as f64 * epochs))
    }
}

fn known(arguments: &FlopsArguments) -> Result<Known, Error> {
    match (&arguments.preset, &arguments.config) {
        (Some(name), _) => preset(name),
        (None, Some(path)) => settings::read_config(path).map(Known::of_file),
        (None, None) => Ok(Known::of(RunConfig::default(), None, None)),
    }
}

/// The shape, and the window's length.
fn shape(arguments: &FlopsArguments, known: &Known) -> Result<(Shape, usize), Error> {
    let mut model = known.model.clone();
    settings::overlay_model(&mut model, &arguments.model)?;
    // The default race's vocabulary: the five symbols of its squares, and MASK.
    let vocab = arguments.vocab_size.or(known.vocab).unwrap_or(6);
    let length = arguments.length.or(known.length).unwrap_or(25);
    if length == 0 {
        return Err(Error::input("`--length` is 0").with_hint("give at least 1"));
    }
    model.vocab_size = None;
    Ok((model.resolve(vocab)?, length))
}

fn preset(name: &str) -> Result<Known, Error> {
    match PAPER.iter().find(|preset| preset.name == name) {
        Some(preset) => preset.config().map(Known::of_file),
        None => race_preset(presets::find_any(name)?),
    }
}

/// A preset of `race`: its own text tells the vocabulary; where the reader brings the text, it is that of English.
fn race_preset(preset: &Preset) -> Result<Known, Error> {
    let config = preset.config()?;
    if !preset.needs_text()? {
        let corpus = Corpus::load(&config.corpus, config.seed)?;
        let vocab = corpus.tokenizer.vocab_size();
        return Ok(Known::of(config, Some(vocab), Some(corpus.length())));
    }
    let tokenizer = config.corpus.tokenizer.as_deref().unwrap_or_default();
    let learnt = tokenizer.strip_prefix("bpe:");
    let learnt = learnt.and_then(|count| count.parse::<usize>().ok());
    // Beside the learnt ids there are the end of a text and MASK.
    let vocab = learnt.map_or(ENGLISH_CHARACTERS, |count| count + 2);
    let length = config.corpus.length;
    Ok(Known::of(config, Some(vocab), length))
}

fn text(counted: &Flops) -> String {
    let active = match counted.active_parameters {
        active if active == counted.parameters => String::new(),
        active => format!("a token uses {}, ", numbers::count(active as f64)),
    };
    let mut text = format!(
        "parameters          {}  ({active}{} in matrix products)\n\
         training            {} FLOPs a token, in windows of {}\n\
         a step              {} FLOPs, {} windows\n\
         training state      {}  (weights, gradients and moments in f32)\n\
         training, at most   {}  ({} windows a step, on {} of a processor; {} of it for a state on its way to the disk)\n\n\
         generation, FLOPs   AR with cache   masked, a step a token   ratio\n",
        numbers::count(counted.parameters as f64),
        numbers::count(counted.matmul_parameters as f64),
        numbers::flops(counted.training_flops_per_token),
        counted.length,
        numbers::flops(counted.training_flops_per_step),
        numbers::grouped(counted.batch as u64),
        numbers::memory(counted.training_state_bytes),
        numbers::memory(counted.training_peak_bytes),
        counted.batch,
        numbers::counted(counted.threads, "thread"),
        numbers::memory(counted.saving_bytes),
    );
    for row in &counted.generation {
        text += &format!(
            "{:>6} tokens       {:>13} {:>24} {:>7.1}\n",
            row.length,
            numbers::flops(row.ar_flops),
            numbers::flops(row.masked_flops),
            row.ratio
        );
    }
    if let Some(scaling) = &counted.scaling {
        text += &scaling.text();
    }
    text
}

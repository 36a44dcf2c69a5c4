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
use crate::commands::{print_json, print_text};
use crate::presets::{self, Preset};
use crate::settings;

/// The paper's models: `science.md` 4 names the configuration files they come from. The 8B shapes are our choice of a
/// dense model of that size and of a mixture with 1B active, as their configurations are not published.
const PRESETS: [(&str, PresetShape); 4] = [
    (
        "paper-1b",
        PresetShape {
            hidden: 1_792,
            feed_forward: 4_736,
            layers: 26,
            heads: 14,
            vocab: 50_269,
            tied: true,
            experts: None,
            length: 2_048,
        },
    ),
    (
        "paper-1.7b",
        PresetShape {
            hidden: 2_048,
            feed_forward: 6_144,
            layers: 28,
            heads: 16,
            vocab: 50_289,
            tied: false,
            experts: None,
            length: 2_048,
        },
    ),
    (
        "paper-8b",
        PresetShape {
            hidden: 4_096,
            feed_forward: 14_336,
            layers: 32,
            heads: 32,
            vocab: 50_289,
            tied: false,
            experts: None,
            length: 2_048,
        },
    ),
    (
        "paper-8b1a",
        PresetShape {
            hidden: 2_048,
            feed_forward: 3_840,
            layers: 20,
            heads: 16,
            vocab: 50_289,
            tied: false,
            experts: Some([64, 4]),
            length: 2_048,
        },
    ),
];

/// Windows in a step of the paper's models.
const PAPER_BATCH: usize = 256;

/// Token ids of an English text by character, MASK included: what Shakespeare's plays have.
const ENGLISH_CHARACTERS: usize = 66;

struct PresetShape {
    hidden: usize,
    feed_forward: usize,
    layers: usize,
    heads: usize,
    vocab: usize,
    tied: bool,
    /// How many there are, and how many a token asks; those are as wide together as `feed_forward`.
    experts: Option<[usize; 2]>,
    length: usize,
}

#[derive(Serialize)]
struct Flops {
    event: &'static str,
    parameters: u64,
    active_parameters: u64,
    matmul_parameters: u64,
    length: usize,
    training_flops_per_token: f64,
    training_state_bytes: u64,
    batch: usize,
    threads: usize,
    training_peak_bytes: u64,
    generation: Vec<flops::Generation>,
}

/// Counts and prints.
pub fn run(arguments: &FlopsArguments) -> Result<()> {
    let (shape, length, known_batch) = shape(arguments)?;
    let batch = arguments.batch.unwrap_or(known_batch);
    let threads = arguments.common.threads.unwrap_or_else(platform::threads);
    if batch == 0 || threads == 0 {
        return Err(Error::input("`--batch` and `--threads` are at least 1").into());
    }
    let counted = Flops {
        event: "result",
        parameters: shape.parameters(),
        active_parameters: shape.active_parameters(),
        matmul_parameters: shape.matmul_parameters(),
        length,
        training_flops_per_token: flops::training_per_token(&shape, length),
        training_state_bytes: memory::training_state_bytes(&shape),
        batch,
        threads,
        training_peak_bytes: memory::training_peak_bytes(
            &shape,
            batch,
            length,
            threads,
            arguments.recompute,
        ),
        generation: flops::generation(&shape),
    };
    if arguments.common.json {
        return print_json(&counted);
    }
    print_text(&text(&counted))
}

/// The shape, the window's length, and the batch that the configuration trains with.
fn shape(arguments: &FlopsArguments) -> Result<(Shape, usize, usize), Error> {
    let default = RunConfig::default();
    let (mut model, vocab, length, batch) = match (&arguments.preset, &arguments.config) {
        (Some(name), _) => preset(name)?,
        (None, Some(path)) => {
            let config = settings::read_config(path)?;
            (
                config.model.clone(),
                config.model.vocab_size,
                config.corpus.length,
                config.train.batch,
            )
        }
        (None, None) => (default.model, None, None, default.train.batch),
    };
    settings::overlay_model(&mut model, &arguments.model)?;
    // The default race's vocabulary: the five symbols of its squares, and MASK.
    let vocab = arguments.vocab_size.or(vocab).unwrap_or(6);
    let length = arguments.length.or(length).unwrap_or(25);
    if length == 0 {
        return Err(Error::input("`--length` is 0").with_hint("give at least 1"));
    }
    model.vocab_size = None;
    Ok((model.resolve(vocab)?, length, batch))
}

/// A model's configuration, its vocabulary and window where they are known, and its batch.
type Known = (ModelConfig, Option<usize>, Option<usize>, usize);

fn preset(name: &str) -> Result<Known, Error> {
    let Some((_, preset)) = PRESETS.iter().find(|(known, _)| *known == name) else {
        return race_preset(presets::find(name, &PRESETS.map(|(name, _)| name))?);
    };
    let model = ModelConfig {
        hidden_size: preset.hidden,
        intermediate_size: Some(preset.feed_forward),
        num_hidden_layers: preset.layers,
        num_attention_heads: preset.heads,
        tie_word_embeddings: preset.tied,
        num_experts: preset.experts.map(|[count, _]| count),
        num_experts_per_tok: preset.experts.map(|[_, per_token]| per_token),
        ..ModelConfig::default()
    };
    Ok((model, Some(preset.vocab), Some(preset.length), PAPER_BATCH))
}

/// A preset of `race`: its own text tells the vocabulary; where the reader brings the text, it is that of English.
fn race_preset(preset: &Preset) -> Result<Known, Error> {
    let config = preset.config()?;
    if !preset.needs_text()? {
        let corpus = Corpus::load(&config.corpus, config.seed)?;
        let vocab = corpus.tokenizer.vocab_size();
        let length = Some(corpus.length());
        return Ok((config.model, Some(vocab), length, config.train.batch));
    }
    let tokenizer = config.corpus.tokenizer.as_deref().unwrap_or_default();
    let learnt = tokenizer.strip_prefix("bpe:");
    let learnt = learnt.and_then(|count| count.parse::<usize>().ok());
    // Beside the learnt ids there are the end of a text and MASK.
    let vocab = learnt.map_or(ENGLISH_CHARACTERS, |count| count + 2);
    let length = config.corpus.length;
    Ok((config.model, Some(vocab), length, config.train.batch))
}

fn text(counted: &Flops) -> String {
    let active = match counted.active_parameters {
        active if active == counted.parameters => String::new(),
        active => format!("a token uses {}, ", numbers::count(active as f64)),
    };
    let mut text = format!(
        "parameters          {}  ({active}{} in matrix products)\n\
         training            {} FLOPs a token, in windows of {}\n\
         training state      {}  (weights, gradients and moments in f32)\n\
         training, at most   {}  ({} windows a step, on {} of a processor)\n\n\
         generation, FLOPs   AR with cache   masked, a step a token   ratio\n",
        numbers::count(counted.parameters as f64),
        numbers::count(counted.matmul_parameters as f64),
        numbers::flops(counted.training_flops_per_token),
        counted.length,
        numbers::memory(counted.training_state_bytes),
        numbers::memory(counted.training_peak_bytes),
        counted.batch,
        numbers::counted(counted.threads, "thread"),
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
    text
}

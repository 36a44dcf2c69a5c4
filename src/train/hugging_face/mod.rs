//! Models in Hugging Face's layout: a folder of `config.json`, `tokenizer.json` and safetensors files.
//!
//! A folder enters [`read`] and a [`Checkpoint`] leaves, which computes the same logits; [`write()`] is the way back. [`config`]
//! says which models there are and what of them our decoder computes (what it doesn't is refused by name), [`names`] what their
//! tensors are called, [`shards`] takes those out of their files.
//!
//! Where MASK, or what a text begins with, is not a model's last id already, a copy of its row becomes the last: everything else
//! here relies on that place, and no other id changes its number.

mod config;
mod names;
mod shards;
mod write;

use crate::corpus::{Numbering, Tokenizer};
use crate::error::{Error, Result, grouped};
use crate::model::weights::layout;
use crate::model::{Shape, Weights};
use crate::platform;
use crate::train::checkpoint::{Checkpoint, Extent, State};

use config::{Description, Keys};
use shards::Shards;
pub use write::write;

/// The window where a model's own is longer and nobody asks for another: reading one costs its square.
const LONGEST_UNASKED: usize = 1024;

/// Reads a checkpoint file, or a folder in Hugging Face's layout.
///
/// # Errors
/// Those of [`Checkpoint::from_bytes`] and of [`read`].
pub fn read_model(path: &str, extent: Extent) -> Result<Checkpoint> {
    if platform::is_folder(path) {
        return read(path, None);
    }
    Checkpoint::open(path, extent)
}

/// Reads a model: a folder, one of its weight files, or their index. `length` is how many tokens a window is to have; at most
/// as many as the model was made for, and without it 1,024 of them (a model that Crossover wrote keeps its own).
///
/// # Errors
/// When a file is missing or damaged, or the model is none that can be computed here.
pub fn read(source: &str, length: Option<usize>) -> Result<Checkpoint> {
    let (folder, weights) = match platform::is_folder(source) {
        true => (source.trim_end_matches('/'), None),
        false => match source.rsplit_once('/') {
            Some((folder, _)) => (folder, Some(source)),
            None => (".", Some(source)),
        },
    };
    let keys = Keys::read(&format!("{folder}/config.json"))?;
    let description = Description::of(&keys)?;
    let length = window(&keys, &description, length)?;
    let shape = shape(&keys, &description)?;
    let tokenizer = tokenizer(folder, &description)?;
    let weights = match weights {
        Some(file) => Shards::open_file(file)?,
        None => Shards::open_folder(folder)?,
    };
    let weights = taken(&keys, &description, &shape, weights)?;
    let weights = with_last_row(weights, &description);
    let mut model = description.model;
    let shape = model.resolve(tokenizer.vocab_size())?;
    model.vocab_size = Some(shape.vocab_size);
    model.head_dim = Some(shape.head_dim);
    if let Some(experts) = &shape.experts {
        experts.fill(&mut model);
    }
    let checkpoint = Checkpoint {
        objective: description.objective,
        model,
        length,
        block_size: description.block_size,
        tokenizer,
        weights,
        trained_weights: None,
        moments: None,
        state: State::new(0),
    };
    checkpoint
        .fits_together()
        .map_err(|error| error.about(&format!("`{folder}`")))?;
    Ok(checkpoint)
}

fn window(keys: &Keys, description: &Description, asked: Option<usize>) -> Result<usize> {
    let longest = description.longest;
    match asked {
        Some(length) if length == 0 || length > longest => Err(Error::input(format!(
            "a window can't have {length} tokens: the model of {} was made for 1 to {longest}",
            keys.origin()
        ))
        .with_hint("choose another `--length`")),
        Some(length) => Ok(length),
        None if description.is_ours => Ok(longest),
        None => Ok(longest.min(LONGEST_UNASKED)),
    }
}

fn tokenizer(folder: &str, description: &Description) -> Result<Tokenizer> {
    let path = format!("{folder}/tokenizer.json");
    let content = platform::read_file(&path).map_err(|error| {
        error.with_hint(
            "a model needs its tokenizer; `AutoTokenizer.from_pretrained(…).save_pretrained(…)` writes this file",
        )
    })?;
    let numbering = Numbering {
        ids: description.rows - u32::from(description.has_last_row()),
        end_of_text: description.end_of_text,
    };
    Tokenizer::from_hugging_face(&content, description.rows, numbering)
        .map_err(|error| error.about(&format!("`{path}`")))
}

/// The shape as the files have it. Refuses one whose values alone are larger than this machine's memory.
fn shape(keys: &Keys, description: &Description) -> Result<Shape> {
    let resolved = description.model.resolve(description.rows as usize);
    let shape = resolved.map_err(|error| error.about(&keys.origin()))?;
    let needed = shape.parameters().saturating_mul(size_of::<f32>() as u64);
    match platform::memory_bytes() {
        Some(memory) if needed > memory => Err(Error::input(format!(
            "the model of {} has {} parameters: {:.1} GB in f32, and this machine has {:.1} GB",
            keys.origin(),
            grouped(shape.parameters()),
            needed as f64 / 1e9,
            memory as f64 / 1e9
        ))
        .with_hint("use a smaller model, or a machine with more memory")),
        _ => Ok(shape),
    }
}

/// The model's parameters under our names, each taken out of its file by itself.
fn taken(
    keys: &Keys,
    description: &Description,
    shape: &Shape,
    mut shards: Shards,
) -> Result<Weights> {
    let names = description.names;
    let layout = layout(shape);
    let tied = shape.tie_word_embeddings;
    let head = names.theirs("lm_head.weight");
    if !tied && !shards.has(&head) {
        return Err(keys.refused(
            names.tied(),
            &format!("`true`, as there is no tensor `{head}`"),
        ));
    }
    if tied && shards.has(&head) {
        let embedding = names.theirs("model.embed_tokens.weight");
        if !shards.are_equal(&head, &embedding) {
            return Err(keys.refused(
                names.tied(),
                &format!("`false`, as `{head}` is another matrix than `{embedding}`"),
            ));
        }
        shards.pass_over(&head);
    }
    // All is looked at before the first value is read.
    for (ours, sizes) in &layout {
        shards.check(&names.theirs(ours), sizes)?;
    }
    shards.check_rest(layout.iter().map(|(ours, _)| names.theirs(ours)))?;
    let tensors = layout
        .into_iter()
        .map(|(ours, _)| Ok((shards.take(&names.theirs(&ours))?, ours)))
        .map(|taken| taken.map(|(tensor, ours)| (ours, tensor)))
        .collect::<Result<_>>()?;
    Ok(Weights(tensors))
}

/// Gives MASK the last row, a copy of the row that it has in the model. Nothing ever asks what it is predicted with: zeros.
fn with_last_row(mut weights: Weights, description: &Description) -> Weights {
    if description.has_last_row() {
        return weights;
    }
    let width = description.model.hidden_size;
    let row = description.masking as usize * width;
    if let Some(embedding) = weights.0.get_mut("model.embed_tokens.weight") {
        embedding.values.extend_from_within(row..row + width);
        embedding.shape[0] += 1;
    }
    if let Some(head) = weights.0.get_mut("lm_head.weight") {
        head.values.resize(head.values.len() + width, 0.0);
        head.shape[0] += 1;
    }
    weights
}

//! A checkpoint brought to life, for commands that use a model without training it.

use crate::device::Selected;
use crate::error::Result;
use crate::model::Decoder;
use crate::train::hugging_face::read_model;
use crate::train::{Checkpoint, Extent};

/// A checkpoint and its model on a device.
#[derive(Debug)]
pub struct Loaded {
    /// The file's content.
    pub checkpoint: Checkpoint,
    /// The model, without autodiff.
    pub model: Decoder,
}

/// Loads a checkpoint (one file, an index with its shards, or a folder in Hugging Face's layout) onto a device.
///
/// # Errors
/// When it can't be read or is no sound checkpoint.
pub fn load_checkpoint(path: &str, device: &Selected) -> Result<Loaded> {
    let checkpoint = read_model(path, Extent::Weights)?;
    Ok(Loaded {
        model: Decoder::new(
            &checkpoint.model,
            &checkpoint.shape()?,
            &checkpoint.weights,
            &device.device,
        )?,
        checkpoint,
    })
}

//! A checkpoint brought to life, for commands that use a model without training it.

use crate::device::Selected;
use crate::error::Result;
use crate::model::Decoder;
use crate::train::Checkpoint;

/// A checkpoint and its model on a device.
#[derive(Debug)]
pub struct Loaded {
    /// The file's content.
    pub checkpoint: Checkpoint,
    /// The model, without autodiff.
    pub model: Decoder,
}

/// Loads a checkpoint, one file or an index with its shards, onto a device.
///
/// # Errors
/// When a file can't be read or is no sound checkpoint.
pub fn load_checkpoint(path: &str, device: &Selected) -> Result<Loaded> {
    let checkpoint = Checkpoint::open(path)?;
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

//! What evaluation and sampling ask of a model, whatever it is made of.

use std::future::Future;

use crate::error::Result;

/// Who may see whom inside a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Visibility {
    /// Each position sees itself and what is before it.
    Causal,
    /// Every position sees every position.
    Full,
}

/// Something that turns tokens into distributions over tokens: the trained decoder, or an exact posterior.
///
/// MASK is the last id, is the start token of autoregressive models, and is never predicted: distributions are over
/// the ids before it. Inputs are `[batch * length]`, row after row.
pub trait Predictor {
    /// Number of token ids, MASK included.
    fn vocab_size(&self) -> usize;

    /// The id of MASK: the last one.
    fn mask_id(&self) -> u32 {
        (self.vocab_size() - 1) as u32
    }

    /// Cross-entropy of each target under the distribution at its position, in nats: `[batch * length]`.
    ///
    /// # Errors
    /// When the device fails.
    fn nats(
        &self,
        inputs: &[u32],
        targets: &[u32],
        length: usize,
        visibility: Visibility,
    ) -> impl Future<Output = Result<Vec<f64>>>;

    /// Log-probabilities of every id but MASK at every position: `[batch * length * (vocab_size - 1)]`.
    ///
    /// # Errors
    /// When the device fails.
    fn log_probabilities(
        &self,
        inputs: &[u32],
        length: usize,
        visibility: Visibility,
    ) -> impl Future<Output = Result<Vec<f32>>>;
}

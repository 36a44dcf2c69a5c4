//! What training keeps in memory.

use crate::model::Shape;

/// Bytes that parameters, gradients and both moments take in f32.
pub fn training_state_bytes(shape: &Shape) -> u64 {
    shape.parameters() * 4 * 4
}

/// Bytes of what a forward pass over `batch` windows of `length` tokens keeps in f32 for the backward pass, by counting
/// the buffers of a block: about 16 as wide as the hidden state, 5 as wide as the feed-forward, 3 as wide as the attention
/// weights of all heads; and 3 of logits.
pub fn activation_bytes(shape: &Shape, batch: usize, length: usize) -> u64 {
    let block = 16 * shape.hidden_size
        + 5 * shape.intermediate_size
        + 3 * shape.num_attention_heads * length;
    let token = shape.num_hidden_layers * block + 3 * shape.vocab_size;
    // In the browser a `usize` ends at 4 GiB, and this is asked before anything is known to fit.
    batch as u64 * length as u64 * token as u64 * 4
}

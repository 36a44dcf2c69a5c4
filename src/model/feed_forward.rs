//! The feed-forward half of a block: SwiGLU (Shazeer 2020, arXiv 2002.05202). A mixture of experts would take its place
//! in [`super::block`], with the same shapes in and out.

use burn::tensor::{Tensor, activation::silu};

use super::decoder::linear;
use super::dropout::Dropout;

/// `down(silu(gate(x)) * up(x))`.
#[derive(Debug, Clone)]
pub struct FeedForward {
    /// `[intermediate_size, hidden_size]`
    pub gate: Tensor<2>,
    /// `[intermediate_size, hidden_size]`
    pub up: Tensor<2>,
    /// `[hidden_size, intermediate_size]`
    pub down: Tensor<2>,
}

impl FeedForward {
    /// `[rows, hidden_size]` -> the same.
    pub fn forward(&self, input: Tensor<2>, dropout: &Dropout) -> Tensor<2> {
        let gated = silu(linear(input.clone(), &self.gate)) * linear(input, &self.up);
        dropout.apply(linear(gated, &self.down))
    }
}

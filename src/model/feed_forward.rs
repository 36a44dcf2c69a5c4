//! The feed-forward half of a block: SwiGLU (Shazeer 2020, arXiv 2002.05202). A mixture of experts would take its place
//! in [`super::block`], with the same shapes in and out.

use burn::tensor::{Tensor, activation::silu};

use super::attention::dropout;
use super::decoder::linear;

/// `down(silu(gate(x)) * up(x))`, gate and up in one matrix.
#[derive(Debug, Clone)]
pub struct FeedForward {
    /// `[2 * intermediate_size, hidden_size]`: the gate's rows, then the up projection's.
    pub gate_up: Tensor<2>,
    /// `[hidden_size, intermediate_size]`
    pub down: Tensor<2>,
}

impl FeedForward {
    /// `[rows, hidden_size]` -> the same.
    pub fn forward(&self, input: Tensor<2>, dropout_rate: f64) -> Tensor<2> {
        let [_, intermediate_size] = self.down.dims();
        let both = linear(input, &self.gate_up);
        let gate = both.clone().narrow(1, 0, intermediate_size);
        let up = both.narrow(1, intermediate_size, intermediate_size);
        dropout(linear(silu(gate) * up, &self.down), dropout_rate)
    }
}

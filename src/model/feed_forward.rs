//! The feed-forward half of a block: SwiGLU (Shazeer 2020, arXiv 2002.05202). A mixture of experts would take its place
//! in [`super::block`], with the same shapes in and out.

use burn::tensor::Tensor;

use super::dropout::Dropout;
use super::operations::Ops;

/// `down(silu(gate(x)) * up(x))`.
#[derive(Debug, Clone)]
pub struct FeedForward {
    /// Gate, then up: `[2 * intermediate_size, hidden_size]`
    pub gate_up: Tensor<2>,
    /// `[hidden_size, intermediate_size]`
    pub down: Tensor<2>,
}

impl FeedForward {
    /// `[rows, hidden_size]` -> the same.
    pub fn forward(&self, input: Tensor<2>, ops: Ops, dropout: &Dropout) -> Tensor<2> {
        let gated = ops.swiglu(input, &self.gate_up);
        dropout.apply(ops.linear(gated, &self.down))
    }
}

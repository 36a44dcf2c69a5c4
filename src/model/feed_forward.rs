//! The feed-forward half of a block: SwiGLU (Shazeer 2020, arXiv 2002.05202). [`super::mixture`] may take its place in
//! [`super::block`], with the same shapes in and out.

use burn::tensor::Tensor;

use super::dropout::Dropout;
use super::operations::Arithmetic;

/// `down(silu(gate(x)) * up(x))`.
#[derive(Debug, Clone)]
pub struct FeedForward {
    /// Gate, then up: `[2 * intermediate_size, hidden_size]`
    pub gate_up: Tensor<2>,
    /// `[hidden_size, intermediate_size]`
    pub down: Tensor<2>,
}

impl FeedForward {
    /// Every parameter, in the order of the layout.
    pub fn parameters(&self) -> [&Tensor<2>; 2] {
        [&self.gate_up, &self.down]
    }

    /// The same list, to be replaced by an update.
    pub fn parameters_mut(&mut self) -> [&mut Tensor<2>; 2] {
        [&mut self.gate_up, &mut self.down]
    }

    /// `[rows, hidden_size]` -> the same.
    pub fn forward(&self, input: Tensor<2>, ops: Arithmetic, dropout: &Dropout) -> Tensor<2> {
        dropout.apply(self.computed(input, ops))
    }

    /// The same, and nothing is dropped.
    pub fn computed(&self, input: Tensor<2>, ops: Arithmetic) -> Tensor<2> {
        ops.linear(ops.swiglu(input, &self.gate_up), &self.down)
    }
}

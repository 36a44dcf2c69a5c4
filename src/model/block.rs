//! A block: attention, then feed-forward, each on a normalised copy of the residual stream.

use burn::tensor::Tensor;

use super::attention::{Attention, Surroundings};
use super::cache::Memory;
use super::feed_forward::FeedForward;
use super::operations::Ops;

/// One layer of the decoder.
#[derive(Debug, Clone)]
pub struct Block {
    /// `[1, hidden_size]`
    pub attention_norm: Tensor<2>,
    /// Mixes positions.
    pub attention: Attention,
    /// `[1, hidden_size]`
    pub feed_forward_norm: Tensor<2>,
    /// Works on each position alone.
    pub feed_forward: FeedForward,
}

impl Block {
    /// `[batch * length, hidden_size]` -> the same.
    pub fn forward(
        &self,
        stream: Tensor<2>,
        around: &Surroundings<'_>,
        memory: Option<Memory<'_>>,
    ) -> Tensor<2> {
        let read = self.read(stream.clone(), around.ops);
        let stream = stream + self.attention.forward(read, around, memory);
        let eps = self.attention.eps;
        let read = (around.ops).rms_norm(stream.clone(), &self.feed_forward_norm, eps);
        stream + self.feed_forward.forward(read, around.ops, around.dropout)
    }

    /// Who looks at whom: `[batch * length, hidden_size]` -> `[batch, heads, length, length]`.
    pub fn weights(&self, stream: Tensor<2>, around: &Surroundings<'_>) -> Tensor<4> {
        self.attention
            .weights(self.read(stream, around.ops), around)
    }

    /// The stream as attention reads it.
    fn read(&self, stream: Tensor<2>, ops: Ops) -> Tensor<2> {
        ops.rms_norm(stream, &self.attention_norm, self.attention.eps)
    }
}

//! A block: attention, then feed-forward, each on a normalised copy of the residual stream.

use burn::tensor::Tensor;

use super::attention::{Attention, Surroundings};
use super::cache::Memory;
use super::feed_forward::FeedForward;
use super::mixture::Mixture;
use super::operations::Arithmetic;

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
    pub mlp: Mlp,
}

/// The half of a block that works on positions; Hugging Face's name for it.
#[derive(Debug, Clone)]
pub enum Mlp {
    /// One layer for all tokens.
    Dense(Box<FeedForward>),
    /// Several, of which each token asks a few.
    Mixture(Box<Mixture>),
}

impl Mlp {
    /// `[batch * length, hidden_size]` -> the same.
    fn forward(&self, input: Tensor<2>, around: &Surroundings<'_>) -> Tensor<2> {
        match self {
            Self::Dense(dense) => dense.forward(input, around.ops, around.dropout),
            Self::Mixture(mixture) => mixture.forward(input, around),
        }
    }

    /// Every parameter, in the order of the layout.
    pub fn parameters(&self) -> Vec<&Tensor<2>> {
        match self {
            Self::Dense(dense) => dense.parameters().to_vec(),
            Self::Mixture(mixture) => mixture.parameters(),
        }
    }

    /// The same list, to be replaced by an update.
    pub fn parameters_mut(&mut self) -> Vec<&mut Tensor<2>> {
        match self {
            Self::Dense(dense) => dense.parameters_mut().into(),
            Self::Mixture(mixture) => mixture.parameters_mut(),
        }
    }
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
        stream + self.mlp.forward(read, around)
    }

    /// Who looks at whom: `[batch * length, hidden_size]` -> `[batch, heads, length, length]`.
    pub fn weights(&self, stream: Tensor<2>, around: &Surroundings<'_>) -> Tensor<4> {
        self.attention
            .weights(self.read(stream, around.ops), around)
    }

    /// The stream as attention reads it.
    fn read(&self, stream: Tensor<2>, ops: Arithmetic) -> Tensor<2> {
        ops.rms_norm(stream, &self.attention_norm, self.attention.eps)
    }
}

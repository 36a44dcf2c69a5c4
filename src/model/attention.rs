//! Grouped-query attention; queries and keys are normalised by head where the configuration says so.

use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData, activation::softmax};
use crossover_ops::{Heads, Reading};

use super::cache::Memory;
use super::dropout::Dropout;
use super::mixture::Decisions;
use super::operations::{Arithmetic, rms_normalize};
use super::predictor::Visibility;
use super::rotary::Rotary;

/// What hidden positions are given instead of their score. Finite, so that no kernel meets an infinity, and far enough
/// below any score that its exponential is exactly zero.
const HIDDEN: f32 = -1e9;

/// The attention half of a block.
#[derive(Debug, Clone)]
pub struct Attention {
    /// All heads' queries, then keys, then values: `[(heads + 2 * key_value_heads) * head_dim, hidden_size]`
    pub projection: Tensor<2>,
    /// The scales of normalised queries and keys, `[1, head_dim]` each; none: they are taken as they are.
    pub norms: Option<[Tensor<2>; 2]>,
    /// `[hidden_size, heads * head_dim]`
    pub output: Tensor<2>,
    /// Number of query heads.
    pub heads: usize,
    /// Number of key and value heads.
    pub key_value_heads: usize,
    /// Width of a head.
    pub head_dim: usize,
    /// Added to the mean square of queries and keys.
    pub eps: f64,
}

/// What is the same for every layer of a forward pass.
#[derive(Debug, Clone)]
pub struct Surroundings<'a> {
    /// Sequences in the batch.
    pub batch: usize,
    /// Tokens of a sequence that go through the blocks, all copies of the window together.
    pub length: usize,
    /// Positions.
    pub rotary: Rotary,
    /// Added to the scores `[batch, heads, length, seen]`; `None` when nothing is hidden.
    pub bias: Option<Tensor<4>>,
    /// What is dropped of attention weights and branch outputs.
    pub dropout: &'a Dropout,
    /// How to compute.
    pub ops: Arithmetic,
    /// What fused attention has to know, where it can be used: over whole sequences, with masks of dropout that are drawn here.
    /// Fused forms normalise queries and keys.
    pub fused: Option<Arc<Heads>>,
    /// What fused attention with a memory has to know, where it can be used.
    pub reading: Option<Arc<Reading>>,
    /// Where routers leave what they decide, for whoever asks.
    pub decisions: Option<&'a Decisions>,
}

impl Attention {
    /// `[batch * length, hidden_size]` -> the same. Without a memory a token sees those that it came with, with one all
    /// that the memory then holds for it.
    pub fn forward(
        &self,
        input: Tensor<2>,
        around: &Surroundings<'_>,
        memory: Option<Memory<'_>>,
    ) -> Tensor<2> {
        if let (Some(heads), Some([query, key]), None) = (&around.fused, &self.norms, &memory) {
            let projected = around.ops.linear(input, &self.projection);
            let (query, key) = (query.clone(), key.clone());
            // Masks are drawn in the order in which the composition draws them.
            let pairs = self.heads * around.length * around.length;
            let heads = match around.dropout.drawn(pairs) {
                None => heads.clone(),
                kept => Arc::new(Heads {
                    kept,
                    ..Heads::clone(heads)
                }),
            };
            let mixed = crossover_ops::attention(projected, query, key, heads);
            return around.dropout.apply(around.ops.linear(mixed, &self.output));
        }
        let memory = match (&around.reading, &self.norms, memory) {
            (Some(reading), Some(scales), Some(memory)) => {
                let projected = around.ops.linear(input, &self.projection);
                let mixed = memory.attend(projected, scales.clone(), reading.clone());
                return around.ops.linear(mixed, &self.output);
            }
            (_, _, memory) => memory,
        };
        let (queries, keys) = self.asked(&input, around);
        let first = self.heads + self.key_value_heads;
        let values = self.by_head(&input, first, self.key_value_heads, around);
        let values = values.swap_dims(1, 2);
        let (keys, values) = match memory {
            Some(memory) => memory.put(keys, values),
            None => (keys, values),
        };
        let weights = around.dropout.apply(self.weighed(queries, keys, around));
        let mixed = weights
            .matmul(self.shared(values))
            .swap_dims(1, 2)
            .reshape([around.batch * around.length, self.heads * self.head_dim]);
        around.dropout.apply(around.ops.linear(mixed, &self.output))
    }

    /// Who looks at whom, without a memory: `[batch * length, hidden_size]` -> `[batch, heads, length, length]`, by head,
    /// query and key; rows sum to 1.
    pub fn weights(&self, input: Tensor<2>, around: &Surroundings<'_>) -> Tensor<4> {
        let (queries, keys) = self.asked(&input, around);
        self.weighed(queries, keys, around)
    }

    /// Queries and keys: `[batch, heads, length, head_dim]` and `[batch, key_value_heads, length, head_dim]`.
    fn asked(&self, input: &Tensor<2>, around: &Surroundings<'_>) -> (Tensor<4>, Tensor<4>) {
        let root = 1.0 / (self.head_dim as f64).sqrt();
        let queries = self.by_head(input, 0, self.heads, around);
        let keys = self.by_head(input, self.heads, self.key_value_heads, around);
        let (queries, keys) = match &self.norms {
            // The scores' 1/sqrt(head_dim) hides in the queries' scale, the smallest tensor it can be multiplied into.
            Some([query, key]) => (
                self.normalised(queries, query.clone().mul_scalar(root)),
                self.normalised(keys, key.clone()),
            ),
            None => (queries.mul_scalar(root), keys),
        };
        let turned = |heads| around.rotary.apply(heads).swap_dims(1, 2);
        (turned(queries), turned(keys))
    }

    /// Some of the heads: `[batch * length, hidden_size]` -> `[batch, length, heads, head_dim]`. The matrix is cut, not what
    /// comes of it: the gradient of a cut is as large as the whole, and weights are smaller than a batch.
    fn by_head(
        &self,
        input: &Tensor<2>,
        first: usize,
        heads: usize,
        around: &Surroundings<'_>,
    ) -> Tensor<4> {
        let head_dim = self.head_dim;
        let rows = (self.projection.clone()).narrow(0, first * head_dim, heads * head_dim);
        let projected = around.ops.linear(input.clone(), &rows);
        projected.reshape([around.batch, around.length, heads, head_dim])
    }

    fn weighed(&self, queries: Tensor<4>, keys: Tensor<4>, around: &Surroundings<'_>) -> Tensor<4> {
        let mut scores = queries.matmul(self.shared(keys).swap_dims(2, 3));
        if let Some(bias) = &around.bias {
            scores = scores + bias.clone();
        }
        softmax(scores, 3)
    }

    /// Normalises each head and scales it: `[batch, length, heads, head_dim]` -> the same.
    fn normalised(&self, heads: Tensor<4>, scale: Tensor<2>) -> Tensor<4> {
        rms_normalize(heads, self.eps) * scale.unsqueeze::<4>()
    }

    /// Repeats each key or value head for the query heads it serves: `[batch, key_value_heads, ..]` -> `[batch, heads, ..]`.
    fn shared(&self, tensor: Tensor<4>) -> Tensor<4> {
        let group = self.heads / self.key_value_heads;
        if group == 1 {
            return tensor;
        }
        let [batch, kv_heads, length, head_dim] = tensor.dims();
        tensor
            .reshape([batch, kv_heads, 1, length, head_dim])
            .expand([batch, kv_heads, group, length, head_dim])
            .reshape([batch, self.heads, length, head_dim])
    }
}

/// The bias that hides what the positions `readers` of a sequence may not see among `0..end`:
/// `[1, 1, readers, end]`, `None` when nothing is hidden. Windows have `length` tokens.
pub fn visibility_bias(
    visibility: Visibility,
    readers: impl IntoIterator<Item = usize>,
    end: usize,
    length: usize,
    device: &Device,
) -> Option<Tensor<4>> {
    if visibility == Visibility::Full {
        return None;
    }
    let values: Vec<f32> = readers
        .into_iter()
        .flat_map(|reader| {
            (0..end).map(move |read| {
                if visibility.sees(reader, read, length) {
                    0.0
                } else {
                    HIDDEN
                }
            })
        })
        .collect();
    let readers = values.len() / end;
    values
        .contains(&HIDDEN)
        .then(|| Tensor::from_data(TensorData::new(values, [1, 1, readers, end]), device))
}

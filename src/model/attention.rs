//! Grouped-query attention with normalised queries and keys.

use burn::tensor::{Device, Distribution, Tensor, TensorData, activation::softmax};

use super::decoder::linear;
use super::normalization::rms_normalize;
use super::predictor::Visibility;
use super::rotary::Rotary;

/// What hidden positions are given instead of their score. Finite, so that no kernel meets an infinity, and far enough
/// below any score that its exponential is exactly zero.
const HIDDEN: f32 = -1e9;

/// The attention half of a block.
#[derive(Debug, Clone)]
pub struct Attention {
    /// `[(heads + 2 * key_value_heads) * head_dim, hidden_size]`: queries, keys, values.
    pub query_key_value: Tensor<2>,
    /// `[1, head_dim]`
    pub query_norm: Tensor<2>,
    /// `[1, head_dim]`
    pub key_norm: Tensor<2>,
    /// `[hidden_size, heads * head_dim]`
    pub output: Tensor<2>,
    /// Number of query heads.
    pub heads: usize,
    /// Number of key and value heads.
    pub key_value_heads: usize,
    /// Added to the mean square of queries and keys.
    pub eps: f64,
}

/// What is the same for every layer of a forward pass.
#[derive(Debug)]
pub struct Surroundings {
    /// Sequences in the batch.
    pub batch: usize,
    /// Tokens in a sequence.
    pub length: usize,
    /// Positions.
    pub rotary: Rotary,
    /// Added to the scores `[batch, heads, length, length]`; `None` when everybody sees everybody.
    pub bias: Option<Tensor<4>>,
    /// Probability of dropping an attention weight or a branch's output.
    pub dropout: f64,
}

impl Attention {
    /// `[batch * length, hidden_size]` -> the same.
    pub fn forward(&self, input: Tensor<2>, around: &Surroundings) -> Tensor<2> {
        let [_, head_dim] = self.query_norm.dims();
        let (heads, kv_heads) = (self.heads, self.key_value_heads);
        let all = linear(input, &self.query_key_value)
            .reshape([around.batch, around.length, heads + 2 * kv_heads, head_dim])
            .swap_dims(1, 2);

        // Queries and keys are normalised and turned together; the scores' 1/sqrt(head_dim) hides in the queries' scale.
        let query_scale = self
            .query_norm
            .clone()
            .mul_scalar(1.0 / (head_dim as f64).sqrt())
            .expand([heads, head_dim]);
        let key_scale = self.key_norm.clone().expand([kv_heads, head_dim]);
        let scale = Tensor::cat(vec![query_scale, key_scale], 0).reshape([
            1,
            heads + kv_heads,
            1,
            head_dim,
        ]);
        let turned = around
            .rotary
            .apply(rms_normalize(all.clone().narrow(1, 0, heads + kv_heads), self.eps) * scale);
        let queries = turned.clone().narrow(1, 0, heads);
        let keys = self.shared(turned.narrow(1, heads, kv_heads));
        let values = self.shared(all.narrow(1, heads + kv_heads, kv_heads));

        let mut scores = queries.matmul(keys.swap_dims(2, 3));
        if let Some(bias) = &around.bias {
            scores = scores + bias.clone();
        }
        let weights = dropout(softmax(scores, 3), around.dropout);
        let mixed = weights
            .matmul(values)
            .swap_dims(1, 2)
            .reshape([around.batch * around.length, heads * head_dim]);
        dropout(linear(mixed, &self.output), around.dropout)
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

/// The bias that hides what a position may not see: `[1, 1, length, length]`, `None` when nothing is hidden.
pub fn visibility_bias(
    visibility: Visibility,
    length: usize,
    device: &Device,
) -> Option<Tensor<4>> {
    match visibility {
        Visibility::Full => None,
        Visibility::Causal => {
            let values: Vec<f32> = (0..length * length)
                .map(|index| {
                    if index % length > index / length {
                        HIDDEN
                    } else {
                        0.0
                    }
                })
                .collect();
            Some(Tensor::from_data(
                TensorData::new(values, [1, 1, length, length]),
                device,
            ))
        }
    }
}

/// Zeroes each element with probability `rate` and scales the others up (Srivastava et al. 2014). The device's generator
/// is seeded by the caller before each step.
pub fn dropout<const D: usize>(input: Tensor<D>, rate: f64) -> Tensor<D> {
    if rate == 0.0 {
        return input;
    }
    let kept = Tensor::random(
        input.shape(),
        Distribution::Bernoulli(1.0 - rate),
        &input.device(),
    );
    input * kept.mul_scalar(1.0 / (1.0 - rate))
}

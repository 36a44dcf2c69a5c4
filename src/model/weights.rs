//! Parameters on the host: the form that is drawn, hashed, saved and loaded.
//!
//! Names and `[out, in]` orientation are those of Hugging Face's Qwen3 and Qwen3-MoE, so that a checkpoint's weights load there;
//! those of a shared expert are Qwen2-MoE's.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::model::Shape;
use crate::random::{Purpose, Stream};

/// Named tensors on the host.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Weights(pub BTreeMap<String, HostTensor>);

/// A tensor on the host, row after row.
#[derive(Debug, Clone, PartialEq)]
pub struct HostTensor {
    /// One or two sizes.
    pub shape: Vec<usize>,
    /// The values.
    pub values: Vec<f32>,
}

/// Every parameter's name and shape, in the order in which initial weights are drawn and in which the decoder, the
/// optimizer and the checkpoint list them.
pub fn layout(shape: &Shape) -> Vec<(String, Vec<usize>)> {
    let hidden = shape.hidden_size;
    let queries = shape.num_attention_heads * shape.head_dim;
    let keys = shape.num_key_value_heads * shape.head_dim;
    let mut layout = vec![(
        "model.embed_tokens.weight".to_owned(),
        vec![shape.vocab_size, hidden],
    )];
    for layer in 0..shape.num_hidden_layers {
        let mut attention: Vec<(&str, Vec<usize>)> = vec![
            ("input_layernorm", vec![hidden]),
            ("self_attn.q_proj", vec![queries, hidden]),
            ("self_attn.k_proj", vec![keys, hidden]),
            ("self_attn.v_proj", vec![keys, hidden]),
        ];
        if shape.qk_norm {
            attention.push(("self_attn.q_norm", vec![shape.head_dim]));
            attention.push(("self_attn.k_norm", vec![shape.head_dim]));
        }
        attention.push(("self_attn.o_proj", vec![hidden, queries]));
        attention.push(("post_attention_layernorm", vec![hidden]));
        let attention = attention.into_iter();
        layout.extend(
            attention
                .map(|(part, sizes)| (part.to_owned(), sizes))
                .chain(feed_forward(shape))
                .map(|(part, sizes)| (format!("model.layers.{layer}.{part}.weight"), sizes)),
        );
    }
    layout.push(("model.norm.weight".to_owned(), vec![hidden]));
    if !shape.tie_word_embeddings {
        layout.push(("lm_head.weight".to_owned(), vec![shape.vocab_size, hidden]));
    }
    layout
}

/// A layer's `mlp`, dense or a mixture. Experts' first matrices follow each other, then their second ones, so that the decoder
/// can hold either as one.
fn feed_forward(shape: &Shape) -> Vec<(String, Vec<usize>)> {
    let hidden = shape.hidden_size;
    let first = |name: &str, width: usize| {
        ["gate_proj", "up_proj"].map(|part| (format!("mlp.{name}{part}"), vec![width, hidden]))
    };
    let second = |name: &str, width: usize| (format!("mlp.{name}down_proj"), vec![hidden, width]);
    let Some(experts) = &shape.experts else {
        let mut dense = first("", shape.intermediate_size).to_vec();
        dense.push(second("", shape.intermediate_size));
        return dense;
    };
    let name = |expert: usize| format!("experts.{expert}.");
    let width = experts.intermediate_size;
    let mut parts = vec![("mlp.gate".to_owned(), vec![experts.count, hidden])];
    parts.extend((0..experts.count).flat_map(|expert| first(&name(expert), width)));
    parts.extend((0..experts.count).map(|expert| second(&name(expert), width)));
    if let Some(width) = experts.shared_intermediate_size {
        parts.extend(first("shared_expert.", width));
        parts.push(second("shared_expert.", width));
    }
    parts
}

/// The same parameters as the decoder holds them: what reads the same input is one matrix, rows under each other.
pub fn joined(shape: &Shape) -> Vec<Vec<(String, Vec<usize>)>> {
    let mut joined: Vec<Vec<(String, Vec<usize>)>> = Vec::new();
    for (name, sizes) in layout(shape) {
        let follows = ["k_proj.weight", "v_proj.weight", "up_proj.weight"];
        let is_another_expert = name.contains(".experts.") && !name.contains(".experts.0.");
        let follows = is_another_expert || follows.iter().any(|end| name.ends_with(end));
        match joined.last_mut() {
            Some(last) if follows => last.push((name, sizes)),
            _ => joined.push(vec![(name, sizes)]),
        }
    }
    joined
}

impl Weights {
    /// Draws initial weights: matrices from N(0, `initializer_range`²), norm scales 1. The draw depends on the shape and
    /// the seed alone, so every objective of a race starts from the same weights.
    pub fn initial(shape: &Shape, initializer_range: f64, seed: u64) -> Self {
        let tensors = layout(shape)
            .into_iter()
            .enumerate()
            .map(|(index, (name, sizes))| {
                let count: usize = sizes.iter().product();
                let values = if sizes.len() == 1 {
                    vec![1.0; count]
                } else {
                    let mut stream = Stream::new(seed, Purpose::Initialization, index as u64, 0);
                    (0..count)
                        .map(|_| (stream.normal() * initializer_range) as f32)
                        .collect()
                };
                (
                    name,
                    HostTensor {
                        shape: sizes,
                        values,
                    },
                )
            })
            .collect();
        Self(tensors)
    }

    /// SHA-256 over names, shapes and values.
    pub fn hash(&self) -> String {
        let mut digest = Sha256::new();
        for (name, tensor) in &self.0 {
            digest.update(name.as_bytes());
            for size in &tensor.shape {
                digest.update((*size as u64).to_le_bytes());
            }
            digest.update(bytemuck::cast_slice::<f32, u8>(&tensor.values));
        }
        hex::encode(digest.finalize())
    }

    /// The values of one parameter, checked against the shape it must have.
    ///
    /// # Errors
    /// When it is missing or shaped otherwise.
    pub fn get(&self, name: &str, shape: &[usize]) -> Result<&[f32]> {
        let tensor = self
            .0
            .get(name)
            .ok_or_else(|| Error::input(format!("the checkpoint has no tensor `{name}`")))?;
        if tensor.shape != shape {
            return Err(Error::input(format!(
                "`{name}` has shape {:?}, and the configuration asks for {shape:?}",
                tensor.shape
            )));
        }
        Ok(&tensor.values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ModelConfig;

    #[test]
    fn the_layout_holds_every_parameter_that_the_shape_counts() {
        for (tied, qk_norm) in [(false, true), (true, true), (false, false)] {
            let config = ModelConfig {
                num_key_value_heads: Some(2),
                tie_word_embeddings: tied,
                qk_norm,
                ..ModelConfig::default()
            };
            let shape = config.resolve(7).expect("the default shape is sound");
            let weights = Weights::initial(&shape, 0.02, 1);
            let count: usize = weights.0.values().map(|tensor| tensor.values.len()).sum();
            assert_eq!(count as u64, shape.parameters());
            assert_eq!(shape.parameters(), shape.active_parameters());
        }
    }

    #[test]
    fn of_a_mixture_the_layout_holds_all_experts_and_a_token_uses_those_that_it_asks() {
        for (experts, asked, shared) in [(1, 1, None), (6, 2, None), (6, 3, Some(10))] {
            let config = ModelConfig {
                num_experts: Some(experts),
                num_experts_per_tok: Some(asked),
                moe_intermediate_size: Some(20),
                shared_expert_intermediate_size: shared,
                ..ModelConfig::default()
            };
            let shape = config.resolve(7).expect("a sound shape");
            let weights = Weights::initial(&shape, 0.02, 1);
            let count: usize = weights.0.values().map(|tensor| tensor.values.len()).sum();
            assert_eq!(count as u64, shape.parameters());
            let expert = 3 * shape.hidden_size * 20;
            let idle = shape.num_hidden_layers * (experts - asked) * expert;
            assert_eq!(shape.active_parameters(), (count - idle) as u64);
            // The embeddings and the norms take part in no product.
            let (hidden, layers) = (shape.hidden_size, shape.num_hidden_layers);
            let others = 7 * hidden + 2 * (hidden + shape.head_dim) * layers + hidden;
            let products = shape.active_parameters() - others as u64;
            assert_eq!(shape.matmul_parameters(), products);
        }
    }

    #[test]
    fn initial_weights_depend_on_the_seed_and_on_nothing_else() {
        let shape = ModelConfig::default().resolve(6).expect("sound");
        let first = Weights::initial(&shape, 0.02, 1);
        assert_eq!(first.hash(), Weights::initial(&shape, 0.02, 1).hash());
        assert_ne!(first.hash(), Weights::initial(&shape, 0.02, 2).hash());
    }
}

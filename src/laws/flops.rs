//! FLOPs of training and generation, counted as Megatron does (`megatron/training/training.py`): two per parameter of a
//! matrix product and token in the forward pass, twice that in the backward pass, and attention's products over the whole
//! window, not halved for a causal model. So autoregressive and diffusion training are charged alike.

use serde::Serialize;

use crate::model::Shape;

/// What attention's products cost per token pair: layers times width.
fn attention_width(shape: &Shape) -> f64 {
    shape.num_hidden_layers as f64 * shape.num_attention_heads as f64 * shape.head_dim as f64
}

/// Training FLOPs per token: `6N + 12 n d L`, with N the parameters of matrix products (output matrix included); of a mixture
/// of experts those that a token asks.
pub fn training_per_token(shape: &Shape, length: usize) -> f64 {
    6.0 * shape.matmul_parameters() as f64 + 12.0 * attention_width(shape) * length as f64
}

/// Training FLOPs of `windows` windows, read in `copies`: every copy goes through the blocks and attends to all of them,
/// one alone reaches the output matrix.
pub fn training(shape: &Shape, length: usize, copies: usize, windows: usize) -> f64 {
    let head = 6.0 * shape.vocab_size as f64 * shape.hidden_size as f64;
    let token = copies as f64 * training_per_token(shape, copies.saturating_mul(length))
        - (copies - 1) as f64 * head;
    token * windows as f64 * length as f64
}

/// FLOPs of one forward pass over a window: `2NL + 4 n d L²`.
pub fn forward(shape: &Shape, length: usize) -> f64 {
    ReadCost::of(shape).forward(length)
}

/// What reading costs: some positions go through the blocks, attend to what they may see, and some are answered for.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct ReadCost {
    /// FLOPs of a position in the blocks' matrices.
    pub position: f64,
    /// FLOPs of an answer: the output matrix.
    pub answer: f64,
    /// FLOPs of attention for one position that attends to one position, all layers together.
    pub pair: f64,
}

impl ReadCost {
    /// A decoder's.
    pub fn of(shape: &Shape) -> Self {
        let head = shape.vocab_size as f64 * shape.hidden_size as f64;
        Self {
            position: 2.0 * (shape.matmul_parameters() as f64 - head),
            answer: 2.0 * head,
            pair: 4.0 * attention_width(shape),
        }
    }

    /// FLOPs of reading `positions` that attend to `seen` positions, `answers` of them answered for. Scores that are
    /// computed and then hidden count, as they do in training.
    pub fn read(&self, positions: usize, seen: usize, answers: usize) -> f64 {
        self.position * positions as f64
            + self.answer * answers as f64
            + self.pair * (positions * seen) as f64
    }

    /// FLOPs of one forward pass over a window.
    pub fn forward(&self, length: usize) -> f64 {
        self.read(length, length, length)
    }

    /// FLOPs of writing a window left to right with a cache: each token is read once, and sees itself and those before.
    pub fn left_to_right(&self, length: usize) -> f64 {
        (1..=length).map(|seen| self.read(1, seen, 1)).sum()
    }
}

/// What generating one window costs, by either kind of model.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Generation {
    /// Tokens generated.
    pub length: usize,
    /// Autoregressive with a key-value cache: `2NL + 2 n d L (L + 1)`, a token seeing itself too.
    pub ar_flops: f64,
    /// Masked diffusion with as many steps as tokens and full recomputation: `2NL² + 4 n d L³`.
    pub masked_flops: f64,
    /// The second over the first.
    pub ratio: f64,
}

/// Generation at the lengths of the paper's comparison.
pub fn generation(shape: &Shape) -> Vec<Generation> {
    [16, 64, 256, 1024, 2048, 4096]
        .into_iter()
        .map(|length| {
            let tokens = length as f64;
            let ar_flops = ReadCost::of(shape).left_to_right(length);
            let masked_flops = forward(shape, length) * tokens;
            Generation {
                length,
                ar_flops,
                masked_flops,
                ratio: masked_flops / ar_flops,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ModelConfig;

    /// The paper's 1B: 26 layers, 1792 wide, 14 heads, feed-forward 4736, GPT-2 vocabulary, tied.
    fn paper_1b() -> Shape {
        ModelConfig {
            hidden_size: 1792,
            intermediate_size: Some(4736),
            num_hidden_layers: 26,
            num_attention_heads: 14,
            tie_word_embeddings: true,
            ..ModelConfig::default()
        }
        .resolve(50_269)
        .expect("the paper's shape is sound")
    }

    #[test]
    fn the_paper_s_generation_ratios_come_out() {
        let generation = generation(&paper_1b());
        let ratio = |length| {
            generation
                .iter()
                .find(|row| row.length == length)
                .map(|row| row.ratio)
                .expect("a listed length")
        };
        for (length, expected) in [
            (16, 16.0),
            (256, 258.8),
            (1024, 1067.0),
            (2048, 2213.0),
            (4096, 4708.0),
        ] {
            assert!(
                (ratio(length) / expected - 1.0).abs() < 5e-3,
                "{length}: {}",
                ratio(length)
            );
        }
    }

    #[test]
    fn reading_token_after_token_costs_half_the_attention_of_a_forward_pass() {
        let shape = paper_1b();
        let (length, cost) = (256, ReadCost::of(&shape));
        let attention = |flops: f64| flops - 2.0 * shape.matmul_parameters() as f64 * length as f64;
        let ratio = attention(cost.left_to_right(length)) / attention(cost.forward(length));
        assert!((ratio - 257.0 / 512.0).abs() < 1e-6, "{ratio}");
        assert_eq!(cost.forward(length), forward(&shape, length));
        // Training is three forward passes.
        let trained = training_per_token(&shape, length) * length as f64;
        assert!((cost.forward(length) * 3.0 / trained - 1.0).abs() < 1e-12);
    }

    #[test]
    fn a_mixture_costs_what_a_token_asks_of_it() {
        let dense = paper_1b();
        let config = ModelConfig {
            hidden_size: 1792,
            intermediate_size: Some(4736),
            num_hidden_layers: 26,
            num_attention_heads: 14,
            tie_word_embeddings: true,
            num_experts: Some(64),
            num_experts_per_tok: Some(4),
            ..ModelConfig::default()
        };
        let mixture = config.resolve(50_269).expect("a sound shape");
        // Four experts are a quarter as wide, so only the routers are more.
        let routers = (26 * 64 * 1792) as f64;
        let more = training_per_token(&mixture, 2048) - training_per_token(&dense, 2048);
        assert_eq!(more, 6.0 * routers);
        assert_eq!(
            ReadCost::of(&mixture).position - ReadCost::of(&dense).position,
            2.0 * routers
        );
        assert!(mixture.parameters() > 10 * mixture.active_parameters());
    }

    #[test]
    fn training_the_paper_s_model_costs_what_megatron_says() {
        let shape = paper_1b();
        assert!((shape.matmul_parameters() as f64 / 1.086e9 - 1.0).abs() < 5e-3);
        let per_token = training_per_token(&shape, 2048);
        assert!((per_token / 7.67e9 - 1.0).abs() < 5e-3, "{per_token}");
    }
}

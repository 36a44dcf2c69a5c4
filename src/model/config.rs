//! The shape of the backbone, under Hugging Face's names.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// The decoder's shape. Autoregressive and diffusion models share it to the unit.
///
/// Optional fields are automatic until [`ModelConfig::resolve`] fills them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ModelConfig {
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Width of the feed-forward layer; automatic: `int(8h/3 + 15) // 16 * 16`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub intermediate_size: Option<usize>,
    /// Number of blocks.
    pub num_hidden_layers: usize,
    /// Number of query heads.
    pub num_attention_heads: usize,
    /// Number of key and value heads (grouped-query attention); automatic: as many as query heads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub num_key_value_heads: Option<usize>,
    /// Width of a head; automatic: `hidden_size / num_attention_heads`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub head_dim: Option<usize>,
    /// Added to the mean square before its root is taken.
    pub rms_norm_eps: f64,
    /// Base of the rotary frequencies.
    pub rope_theta: f64,
    /// Whether the output matrix is the embedding matrix.
    pub tie_word_embeddings: bool,
    /// Standard deviation of the initial weights.
    pub initializer_range: f64,
    /// Probability of dropping a residual branch's output or an attention weight, in training only.
    pub dropout: f64,
    /// Number of token ids, MASK included; automatic: the tokenizer's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vocab_size: Option<usize>,
}

impl Default for ModelConfig {
    fn default() -> Self {
        Self {
            hidden_size: 96,
            intermediate_size: None,
            num_hidden_layers: 4,
            num_attention_heads: 4,
            num_key_value_heads: None,
            head_dim: None,
            rms_norm_eps: 1e-6,
            rope_theta: 10_000.0,
            tie_word_embeddings: false,
            initializer_range: 0.02,
            dropout: 0.0,
            vocab_size: None,
        }
    }
}

/// The largest size of anything: far above any model, and far below what would overflow a count of parameters.
const MOST: usize = 1 << 20;

/// A [`ModelConfig`] with nothing left open.
#[derive(Debug, Clone, PartialEq)]
pub struct Shape {
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Width of the feed-forward layer.
    pub intermediate_size: usize,
    /// Number of blocks.
    pub num_hidden_layers: usize,
    /// Number of query heads.
    pub num_attention_heads: usize,
    /// Number of key and value heads.
    pub num_key_value_heads: usize,
    /// Width of a head.
    pub head_dim: usize,
    /// Number of token ids, MASK included.
    pub vocab_size: usize,
    /// Whether the output matrix is the embedding matrix.
    pub tie_word_embeddings: bool,
}

impl Shape {
    /// Number of parameters, the embeddings and norms included.
    pub fn parameters(&self) -> u64 {
        let norms =
            2 * (self.hidden_size + self.head_dim) * self.num_hidden_layers + self.hidden_size;
        let embedding = if self.tie_word_embeddings {
            0
        } else {
            self.vocab_size * self.hidden_size
        };
        self.matmul_parameters() + (norms + embedding) as u64
    }

    /// Parameters that take part in a matrix product for every token: the blocks' matrices and the output matrix.
    pub fn matmul_parameters(&self) -> u64 {
        let queries = self.num_attention_heads * self.head_dim;
        let keys = self.num_key_value_heads * self.head_dim;
        let attention = self.hidden_size * (queries + 2 * keys) + queries * self.hidden_size;
        let feed_forward = 3 * self.hidden_size * self.intermediate_size;
        self.num_hidden_layers as u64 * (attention + feed_forward) as u64
            + (self.vocab_size * self.hidden_size) as u64
    }
}

impl ModelConfig {
    /// Fills what was left automatic, for a vocabulary of `vocab_size` ids (MASK included).
    ///
    /// # Errors
    /// When a size is zero, heads don't divide the hidden size, key-value heads don't divide the heads, the head
    /// width is odd (rotary positions turn pairs), or a rate lies outside its range.
    pub fn resolve(&self, vocab_size: usize) -> Result<Shape> {
        let positive = [
            ("hidden_size", self.hidden_size),
            ("num_hidden_layers", self.num_hidden_layers),
            ("num_attention_heads", self.num_attention_heads),
            ("intermediate_size", self.intermediate_size.unwrap_or(1)),
            ("num_key_value_heads", self.num_key_value_heads.unwrap_or(1)),
            ("head_dim", self.head_dim.unwrap_or(2)),
            ("vocab_size", vocab_size),
        ];
        if let Some((name, _)) = positive.iter().find(|(_, value)| *value == 0) {
            return Err(Error::input(format!("`{name}` is 0")).with_hint("give at least 1"));
        }
        if let Some((name, value)) = positive.iter().find(|(_, value)| *value > MOST) {
            return Err(Error::input(format!("`{name}` is {value}"))
                .with_hint(format!("the largest that is counted here is {MOST}")));
        }
        if let Some(declared) = self.vocab_size.filter(|declared| *declared != vocab_size) {
            return Err(Error::input(format!(
                "`vocab_size` is {declared}, but the tokenizer has {vocab_size} ids with MASK"
            ))
            .with_hint("leave `vocab_size` out: it follows the tokenizer"));
        }
        let heads = self.num_attention_heads;
        if self.head_dim.is_none() && !self.hidden_size.is_multiple_of(heads) {
            return Err(Error::input(format!(
                "{heads} heads don't divide a hidden size of {}",
                self.hidden_size
            ))
            .with_hint(format!(
                "use a hidden size of {} or {} heads",
                self.hidden_size.next_multiple_of(heads),
                (1..=heads)
                    .rev()
                    .find(|count| self.hidden_size.is_multiple_of(*count))
                    .unwrap_or(1)
            )));
        }
        let head_dim = self.head_dim.unwrap_or(self.hidden_size / heads);
        if !head_dim.is_multiple_of(2) {
            return Err(Error::input(format!(
                "a head is {head_dim} wide, and rotary positions turn pairs"
            ))
            .with_hint("choose hidden size and heads so that their ratio is even"));
        }
        let key_value_heads = self.num_key_value_heads.unwrap_or(heads);
        if !heads.is_multiple_of(key_value_heads) {
            return Err(Error::input(format!(
                "{key_value_heads} key-value heads don't divide {heads} heads"
            ))
            .with_hint("each key-value head serves the same number of heads"));
        }
        if !(0.0..1.0).contains(&self.dropout) {
            return Err(Error::input(format!("`dropout` is {}", self.dropout))
                .with_hint("give a probability from 0 up to, not including, 1"));
        }
        let finite = [
            ("rms_norm_eps", self.rms_norm_eps),
            ("rope_theta", self.rope_theta),
            ("initializer_range", self.initializer_range),
        ];
        if let Some((name, value)) = finite
            .iter()
            .find(|(_, value)| !(value.is_finite() && *value > 0.0))
        {
            return Err(
                Error::input(format!("`{name}` is {value}")).with_hint("give a number above 0")
            );
        }
        Ok(Shape {
            hidden_size: self.hidden_size,
            intermediate_size: self
                .intermediate_size
                .unwrap_or((8 * self.hidden_size / 3).div_ceil(16) * 16),
            num_hidden_layers: self.num_hidden_layers,
            num_attention_heads: heads,
            num_key_value_heads: key_value_heads,
            head_dim,
            vocab_size,
            tie_word_embeddings: self.tie_word_embeddings,
        })
    }
}

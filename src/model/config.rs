//! The shape of the backbone, under Hugging Face's names.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::model::mixture::Routing;

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
    /// Whether queries and keys are normalised by head, as in Qwen3; Llama and LLaDA take them as they are.
    #[serde(skip_serializing_if = "is_true")]
    pub qk_norm: bool,
    /// Standard deviation of the initial weights.
    pub initializer_range: f64,
    /// Probability of dropping a residual branch's output or an attention weight, in training only.
    pub dropout: f64,
    /// Number of token ids, MASK included; automatic: the tokenizer's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vocab_size: Option<usize>,
    /// Number of experts that take the feed-forward layer's place; absent: a dense layer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub num_experts: Option<usize>,
    /// Experts that a token asks, on average; automatic: 2, or 1 where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub num_experts_per_tok: Option<usize>,
    /// Width of an expert; automatic: `intermediate_size / num_experts_per_tok`, so that a token costs what it costs dense.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub moe_intermediate_size: Option<usize>,
    /// Width of the expert that every token asks; automatic: there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shared_expert_intermediate_size: Option<usize>,
    /// Whether a token's gates are divided by their sum; automatic: where each token asks several experts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub norm_topk_prob: Option<bool>,
    /// Who chooses whom; automatic: tokens choose experts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expert_routing: Option<Routing>,
    /// Weight of the load-balancing loss in training; automatic: 0.01, and 0 where experts choose.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub router_aux_loss_coef: Option<f64>,
    /// Weight of the routers' z-loss in training; automatic: 0.001.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub router_z_loss_coef: Option<f64>,
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
            qk_norm: true,
            initializer_range: 0.02,
            dropout: 0.0,
            vocab_size: None,
            num_experts: None,
            num_experts_per_tok: None,
            moe_intermediate_size: None,
            shared_expert_intermediate_size: None,
            norm_topk_prob: None,
            expert_routing: None,
            router_aux_loss_coef: None,
            router_z_loss_coef: None,
        }
    }
}

/// Serde asks by reference. What is as in every model of ours goes without saying: files of earlier versions don't say it.
pub(crate) fn is_true(value: &bool) -> bool {
    *value
}

/// The largest size of anything: far above any model, and far below what would overflow a count of parameters.
const MOST: usize = 1 << 20;

/// The most parameters: sizes that are each within their bound may still be too many for a count together.
const MOST_PARAMETERS: u128 = 1_000_000_000_000_000;

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
    /// Whether queries and keys are normalised by head.
    pub qk_norm: bool,
    /// The experts in the feed-forward layer's place; none in a dense model.
    pub experts: Option<Experts>,
}

/// A mixture of experts with nothing left open.
#[derive(Debug, Clone, PartialEq)]
pub struct Experts {
    /// How many there are.
    pub count: usize,
    /// How many a token asks, on average.
    pub per_token: usize,
    /// Width of each.
    pub intermediate_size: usize,
    /// Width of the one that every token asks; none: there is none.
    pub shared_intermediate_size: Option<usize>,
    /// Whether a token's gates are divided by their sum.
    pub normalized: bool,
    /// Who chooses whom.
    pub routing: Routing,
    /// Weight of the load-balancing loss in training.
    pub balance_weight: f64,
    /// Weight of the z-loss in training.
    pub z_weight: f64,
}

impl Experts {
    /// Parameters of a layer that a token uses: the router's, its experts' and the shared one's; of the experts as many as
    /// `asked`.
    fn parameters(&self, hidden_size: usize, asked: usize) -> u64 {
        let widths = asked as u64 * self.intermediate_size as u64
            + self.shared_intermediate_size.unwrap_or(0) as u64;
        hidden_size as u64 * (3 * widths + self.count as u64)
    }

    /// Writes everything that was automatic into a configuration.
    pub fn fill(&self, config: &mut ModelConfig) {
        config.num_experts = Some(self.count);
        config.num_experts_per_tok = Some(self.per_token);
        config.moe_intermediate_size = Some(self.intermediate_size);
        config.shared_expert_intermediate_size = self.shared_intermediate_size;
        config.norm_topk_prob = Some(self.normalized);
        config.expert_routing = Some(self.routing);
        config.router_aux_loss_coef = Some(self.balance_weight);
        config.router_z_loss_coef = Some(self.z_weight);
    }
}

impl Shape {
    /// Number of parameters, the embeddings, norms and all experts included.
    pub fn parameters(&self) -> u64 {
        // What is resolved has no more than `MOST_PARAMETERS`.
        self.all_parameters() as u64
    }

    fn all_parameters(&self) -> u128 {
        let of_a_head = if self.qk_norm { self.head_dim } else { 0 };
        let norms = 2 * (self.hidden_size + of_a_head) as u128 * self.num_hidden_layers as u128
            + self.hidden_size as u128;
        let embedding = if self.tie_word_embeddings {
            0
        } else {
            self.vocab_size as u128 * self.hidden_size as u128
        };
        self.matrices(|experts| experts.count) + norms + embedding
    }

    /// Parameters that a token uses: all of a dense model, and of a mixture's experts those that it asks.
    pub fn active_parameters(&self) -> u64 {
        self.parameters() - self.matrices(|experts| experts.count) as u64 + self.matmul_parameters()
    }

    /// Parameters that take part in a matrix product for a token: the blocks' matrices and the output matrix; of a mixture's
    /// experts those that it asks.
    pub fn matmul_parameters(&self) -> u64 {
        self.matrices(|experts| experts.per_token) as u64
    }

    /// Parameters of the blocks' matrices and the output matrix, of so many experts.
    fn matrices(&self, asked: impl Fn(&Experts) -> usize) -> u128 {
        let hidden_size = self.hidden_size as u128;
        let queries = self.num_attention_heads as u128 * self.head_dim as u128;
        let keys = self.num_key_value_heads as u128 * self.head_dim as u128;
        let attention = 2 * hidden_size * (queries + keys);
        let feed_forward = match &self.experts {
            Some(experts) => experts.parameters(self.hidden_size, asked(experts)).into(),
            None => 3 * hidden_size * self.intermediate_size as u128,
        };
        self.num_hidden_layers as u128 * (attention + feed_forward)
            + self.vocab_size as u128 * hidden_size
    }

    /// Its sizes by their names, the largest last.
    fn sizes(&self) -> [(&'static str, usize); 6] {
        let experts = self.experts.as_ref().map_or(0, |experts| experts.count);
        let mut sizes = [
            ("hidden_size", self.hidden_size),
            ("intermediate_size", self.intermediate_size),
            ("num_hidden_layers", self.num_hidden_layers),
            ("num_attention_heads", self.num_attention_heads),
            ("vocab_size", self.vocab_size),
            ("num_experts", experts),
        ];
        sizes.sort_by_key(|(_, size)| *size);
        sizes
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
            ("num_experts", self.num_experts.unwrap_or(1)),
            ("num_experts_per_tok", self.num_experts_per_tok.unwrap_or(1)),
            (
                "moe_intermediate_size",
                self.moe_intermediate_size.unwrap_or(1),
            ),
            (
                "shared_expert_intermediate_size",
                self.shared_expert_intermediate_size.unwrap_or(1),
            ),
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
        let intermediate_size = self
            .intermediate_size
            .unwrap_or((8 * self.hidden_size / 3).div_ceil(16) * 16);
        let experts = self.experts(intermediate_size)?;
        let shape = Shape {
            hidden_size: self.hidden_size,
            intermediate_size,
            num_hidden_layers: self.num_hidden_layers,
            num_attention_heads: heads,
            num_key_value_heads: key_value_heads,
            head_dim,
            vocab_size,
            tie_word_embeddings: self.tie_word_embeddings,
            qk_norm: self.qk_norm,
            experts,
        };
        let parameters = shape.all_parameters();
        if parameters > MOST_PARAMETERS {
            let [.., (second, less), (first, most)] = shape.sizes();
            return Err(Error::input(format!(
                "`{first}` is {most} and `{second}` is {less}: the model has {:.0e} parameters",
                parameters as f64
            ))
            .with_hint(format!(
                "the most that is counted here is {MOST_PARAMETERS:e}"
            )));
        }
        Ok(shape)
    }

    /// The mixture, where there is one, beside a dense layer of so much width.
    fn experts(&self, dense: usize) -> Result<Option<Experts>> {
        let Some(count) = self.num_experts else {
            let of_a_mixture = [
                ("num_experts_per_tok", self.num_experts_per_tok.is_some()),
                (
                    "moe_intermediate_size",
                    self.moe_intermediate_size.is_some(),
                ),
                (
                    "shared_expert_intermediate_size",
                    self.shared_expert_intermediate_size.is_some(),
                ),
                ("norm_topk_prob", self.norm_topk_prob.is_some()),
                ("expert_routing", self.expert_routing.is_some()),
                ("router_aux_loss_coef", self.router_aux_loss_coef.is_some()),
                ("router_z_loss_coef", self.router_z_loss_coef.is_some()),
            ];
            return match of_a_mixture.into_iter().find(|(_, given)| *given) {
                None => Ok(None),
                Some((name, _)) => Err(Error::input(format!(
                    "`{name}` is given, and there are no experts"
                ))
                .with_hint("say how many: `--experts N`, or `num_experts` in `[model]`")),
            };
        };
        let per_token = self.num_experts_per_tok.unwrap_or(count.min(2));
        if per_token > count {
            return Err(
                Error::input(format!("a token can't ask {per_token} of {count} experts"))
                    .with_hint(format!("`--experts-per-token` can be 1 to {count}")),
            );
        }
        let routing = self.expert_routing.unwrap_or_default();
        let normalized = self.norm_topk_prob;
        if routing == Routing::ExpertChoice && normalized == Some(true) {
            return Err(Error::input(
                "`norm_topk_prob` divides by the sum of a token's gates, and where experts choose a token may have none",
            )
            .with_hint("leave it out"));
        }
        let several = per_token > 1 && routing == Routing::TokenChoice;
        let automatic_balance = match routing {
            Routing::TokenChoice => 0.01,
            Routing::ExpertChoice => 0.0,
        };
        let balance_weight = self.router_aux_loss_coef.unwrap_or(automatic_balance);
        let z_weight = self.router_z_loss_coef.unwrap_or(0.001);
        for (name, weight) in [
            ("router_aux_loss_coef", balance_weight),
            ("router_z_loss_coef", z_weight),
        ] {
            if !(weight.is_finite() && weight >= 0.0) {
                return Err(Error::input(format!("`{name}` is {weight}"))
                    .with_hint("give 0, or a number above"));
            }
        }
        Ok(Some(Experts {
            count,
            per_token,
            intermediate_size: self
                .moe_intermediate_size
                .unwrap_or(dense.div_ceil(per_token)),
            shared_intermediate_size: self.shared_expert_intermediate_size,
            normalized: normalized.unwrap_or(several),
            routing,
            balance_weight,
            z_weight,
        }))
    }
}

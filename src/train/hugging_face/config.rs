//! `config.json`: which model it is, and whether our decoder computes it.

use serde_json::{Map, Value, json};

use super::names::Names;
use crate::error::{Error, Result, nearest};
use crate::model::{ModelConfig, Routing};
use crate::objective::Objective;
use crate::platform;
use crate::train::checkpoint::{FORMAT_VERSION, OUR_MIXTURE};

/// A class of model elsewhere, by the name that `architectures` gives it.
struct Class {
    name: &'static str,
    names: Names,
    objective: Objective,
    /// Whether queries and keys are normalised; none: a key of ours says so.
    qk_norm: Option<bool>,
    /// Whether every layer is a mixture of experts.
    is_mixture: bool,
}

const fn class(
    name: &'static str,
    names: Names,
    objective: Objective,
    qk_norm: Option<bool>,
    is_mixture: bool,
) -> Class {
    Class {
        name,
        names,
        objective,
        qk_norm,
        is_mixture,
    }
}

const CLASSES: [Class; 8] = {
    use Names::{Llada, Qwen};
    use Objective::{Autoregressive, Masked};
    [
        class("Qwen3ForCausalLM", Qwen, Autoregressive, Some(true), false),
        class(
            "Qwen3MoeForCausalLM",
            Qwen,
            Autoregressive,
            Some(true),
            true,
        ),
        class("LlamaForCausalLM", Qwen, Autoregressive, Some(false), false),
        class("LLaDAModelLM", Llada, Masked, Some(false), false),
        // What MegaDLMs (arXiv 2511.03276's code) converts its models to: Qwen3's parameters, diffusion and AR.
        class("DiffLM", Qwen, Masked, Some(true), false),
        class("CausalLM", Qwen, Autoregressive, Some(true), false),
        // Ours, which no class elsewhere computes; `objective` says which.
        class(OURS, Qwen, Masked, None, false),
        class(OUR_MIXTURE, Qwen, Autoregressive, None, true),
    ]
};

/// A diffusion model of ours that no class elsewhere computes.
pub const OURS: &str = "CrossoverForMaskedLM";

/// The keys of a `config.json`, with their places.
#[derive(Debug)]
pub struct Keys {
    path: String,
    content: String,
    values: Map<String, Value>,
}

/// The line of a JSON text on which a key stands first, from 1.
pub fn line_of(text: &str, key: &str) -> usize {
    let quoted = Value::from(key).to_string();
    let mut found = text.match_indices(&quoted).map(|(place, _)| place);
    let is_key = |place: &usize| text[place + quoted.len()..].trim_start().starts_with(':');
    let place = found.find(is_key).unwrap_or(0);
    text[..place].matches('\n').count() + 1
}

impl Keys {
    /// Reads a file.
    ///
    /// # Errors
    /// When it is missing, or no JSON object.
    pub fn read(path: &str) -> Result<Self> {
        let content = platform::read_file(path).map_err(|error| {
            error.with_hint("give a checkpoint, or a folder in Hugging Face's layout: `config.json`, `tokenizer.json` and safetensors files")
        })?;
        let content = String::from_utf8_lossy(&content).into_owned();
        let values = serde_json::from_str(&content).map_err(|error| {
            Error::input(format!("`{path}` is no JSON object"))
                .with_source(error)
                .with_hint("fetch it again")
        })?;
        Ok(Self {
            path: path.to_owned(),
            content,
            values,
        })
    }

    /// The file.
    pub fn origin(&self) -> String {
        format!("`{}`", self.path)
    }

    /// What a key says; nothing where it is absent or null.
    fn given(&self, key: &str) -> Option<&Value> {
        self.values.get(key).filter(|value| !value.is_null())
    }

    /// The error of a key that doesn't say what it should.
    pub fn refused(&self, key: &str, expected: &str) -> Error {
        let origin = self.origin();
        let message = match self.values.get(key) {
            None => format!("{origin} has no `{key}`; expected {expected}"),
            Some(value) => {
                let mut said = value.to_string();
                if said.chars().count() > 80 {
                    said = said.chars().take(77).collect::<String>() + "…";
                }
                let line = line_of(&self.content, key);
                format!("{origin}, line {line}: `{key}` is `{said}`; expected {expected}")
            }
        };
        Error::input(message)
            .with_hint("it may have been changed, or be of another model than the files beside it")
    }

    /// Refuses a key that says anything else than one of these; absent and null say nothing.
    fn only(&self, key: &str, supported: &[Value]) -> Result<()> {
        match self.given(key) {
            Some(value) if !supported.contains(value) => {
                let expected: Vec<String> =
                    supported.iter().map(|value| format!("`{value}`")).collect();
                let expected = match expected.is_empty() {
                    true => "nothing".to_owned(),
                    false => expected.join(" or "),
                };
                Err(self
                    .refused(key, &expected)
                    .with_hint("the decoder here computes nothing else"))
            }
            _ => Ok(()),
        }
    }

    fn size(&self, key: &str) -> Result<Option<usize>> {
        self.given(key)
            .map(|value| {
                value
                    .as_u64()
                    .and_then(|size| usize::try_from(size).ok())
                    .filter(|size| *size > 0)
                    .ok_or_else(|| self.refused(key, "a whole number above 0"))
            })
            .transpose()
    }

    fn needed_size(&self, key: &str) -> Result<usize> {
        self.size(key)?
            .ok_or_else(|| self.refused(key, "a whole number above 0"))
    }

    fn number(&self, key: &str) -> Result<Option<f64>> {
        self.given(key)
            .map(|value| value.as_f64().ok_or_else(|| self.refused(key, "a number")))
            .transpose()
    }

    fn flag(&self, key: &str) -> Result<Option<bool>> {
        self.given(key)
            .map(|value| {
                value
                    .as_bool()
                    .ok_or_else(|| self.refused(key, "`true` or `false`"))
            })
            .transpose()
    }

    fn text(&self, key: &str) -> Option<&str> {
        self.given(key)?.as_str()
    }

    /// An id of the vocabulary; of several, the first.
    fn id(&self, key: &str, rows: u32) -> Result<Option<u32>> {
        self.given(key)
            .map(|value| {
                let first = value.get(0).unwrap_or(value);
                first
                    .as_u64()
                    .and_then(|id| u32::try_from(id).ok())
                    .filter(|id| *id < rows)
                    .ok_or_else(|| self.refused(key, &format!("an id below {rows}")))
            })
            .transpose()
    }
}

/// What a `config.json` describes.
#[derive(Debug)]
pub struct Description {
    /// What its tensors are called.
    pub names: Names,
    /// Its shape, without its vocabulary.
    pub model: ModelConfig,
    /// What it was trained to do.
    pub objective: Objective,
    /// Tokens in a block, of block diffusion.
    pub block_size: Option<usize>,
    /// Tokens in the longest window that it was made for.
    pub longest: usize,
    /// Rows of its embedding.
    pub rows: u32,
    /// The id that hides a token; of an autoregressive model the one that a text begins with.
    pub masking: u32,
    /// The id behind each document.
    pub end_of_text: Option<u32>,
    /// Whether Crossover wrote it.
    pub is_ours: bool,
}

impl Description {
    /// Reads a configuration.
    ///
    /// # Errors
    /// When it is of a model that is not known, or not computed here; names file, line and key.
    pub fn of(keys: &Keys) -> Result<Self> {
        let class = class_of(keys)?;
        keys.only("quantization_config", &[])?;
        let is_ours = keys.given("format_version").is_some();
        if let Some(newer) = keys
            .size("format_version")?
            .filter(|version| *version as u64 > FORMAT_VERSION)
        {
            return Err(Error::input(format!(
                "{} was made by a newer Crossover ({newer}; this reads {FORMAT_VERSION})",
                keys.origin()
            ))
            .with_hint("update crossover"));
        }
        let seen = match class.objective {
            Objective::Autoregressive => "causal",
            _ => "bidirectional",
        };
        keys.only("attn_mask_type", &[seen.into()])?;
        let mut model = match class.names {
            Names::Qwen => qwen(keys)?,
            Names::Llada => llada(keys)?,
        };
        model.qk_norm = match class.qk_norm {
            Some(known) => {
                keys.only("qk_norm", &[known.into()])?;
                known
            }
            None => keys.flag("qk_norm")?.unwrap_or(true),
        };
        if class.is_mixture {
            mixture(keys, &mut model)?;
        }
        let (rows, longest) = match class.names {
            Names::Qwen => ("vocab_size", "max_position_embeddings"),
            Names::Llada if keys.given("embedding_size").is_some() => {
                ("embedding_size", "max_sequence_length")
            }
            Names::Llada => ("vocab_size", "max_sequence_length"),
        };
        let rows = u32::try_from(keys.needed_size(rows)?)
            .map_err(|_| keys.refused(rows, "a number of ids"))?;
        let objective = objective(keys, class)?;
        Ok(Self {
            names: class.names,
            model,
            objective,
            block_size: keys.size("block_size")?,
            longest: keys.needed_size(longest)?,
            rows,
            masking: masking(keys, objective, rows)?,
            end_of_text: keys.id("eos_token_id", rows)?,
            is_ours,
        })
    }

    /// Whether MASK, or what a text begins with, has the last row.
    pub fn has_last_row(&self) -> bool {
        self.masking + 1 == self.rows
    }
}

fn class_of(keys: &Keys) -> Result<&'static Class> {
    let known = || CLASSES.iter().map(|class| class.name);
    let expected = || {
        let names: Vec<String> = known().map(|name| format!("`{name}`")).collect();
        format!("one of {}", names.join(", "))
    };
    let name = keys
        .given("architectures")
        .and_then(|classes| classes.get(0)?.as_str())
        .ok_or_else(|| keys.refused("architectures", &expected()))?;
    CLASSES.iter().find(|class| class.name == name).ok_or_else(|| {
        let refused = keys.refused("architectures", &expected());
        match nearest(name, known()) {
            Some(near) => refused.with_hint(format!(
                "the nearest that is computed here is `{near}`, and only what is exactly that may be called so"
            )),
            None => refused.with_hint("other models can't be computed here"),
        }
    })
}

fn objective(keys: &Keys, class: &Class) -> Result<Objective> {
    let Some(value) = keys.given("objective") else {
        return Ok(class.objective);
    };
    serde_json::from_value(value.clone()).map_err(|_| {
        keys.refused(
            "objective",
            "`\"ar\"`, `\"masked\"`, `\"block\"` or `\"dual\"`",
        )
    })
}

/// The id that hides a token, or that a text begins with. Where nothing says what that is, packed texts are set apart by
/// their end, and so begin behind one.
fn masking(keys: &Keys, objective: Objective, rows: u32) -> Result<u32> {
    if objective != Objective::Autoregressive {
        return keys.id("mask_token_id", rows)?.ok_or_else(|| {
            keys.refused("mask_token_id", "the id of MASK")
                .with_hint("add it: the tokenizer's files or the model's authors say which it is")
        });
    }
    let begin = keys.id("bos_token_id", rows)?;
    match begin {
        Some(begin) => Ok(begin),
        None => keys.id("eos_token_id", rows)?.ok_or_else(|| {
            keys.refused("bos_token_id", "the id that a text begins with")
                .with_hint("add it, or an `eos_token_id`: the first token is predicted from it")
        }),
    }
}

/// Keys of Qwen3 and Llama.
fn qwen(keys: &Keys) -> Result<ModelConfig> {
    keys.only("hidden_act", &["silu".into()])?;
    keys.only("attention_bias", &[false.into()])?;
    keys.only("mlp_bias", &[false.into()])?;
    keys.only("use_sliding_window", &[false.into()])?;
    if let Some(kinds) = keys.given("layer_types") {
        let is_full = |kind: &Value| *kind == "full_attention";
        if !kinds
            .as_array()
            .is_some_and(|kinds| kinds.iter().all(is_full))
        {
            return Err(keys
                .refused("layer_types", "`\"full_attention\"` of every layer")
                .with_hint("the decoder here computes nothing else"));
        }
    }
    let defaults = ModelConfig::default();
    let heads = keys.needed_size("num_attention_heads")?;
    Ok(ModelConfig {
        hidden_size: keys.needed_size("hidden_size")?,
        intermediate_size: Some(keys.needed_size("intermediate_size")?),
        num_hidden_layers: keys.needed_size("num_hidden_layers")?,
        num_attention_heads: heads,
        num_key_value_heads: Some(keys.size("num_key_value_heads")?.unwrap_or(heads)),
        head_dim: keys.size("head_dim")?,
        rms_norm_eps: keys
            .number("rms_norm_eps")?
            .unwrap_or(defaults.rms_norm_eps),
        rope_theta: rope_theta(keys)?.unwrap_or(defaults.rope_theta),
        tie_word_embeddings: keys.flag("tie_word_embeddings")?.unwrap_or(false),
        initializer_range: keys
            .number("initializer_range")?
            .unwrap_or(defaults.initializer_range),
        ..defaults
    })
}

/// The base of the rotary frequencies, which nothing else may change. Since its fifth version `transformers` keeps it in
/// `rope_parameters`.
fn rope_theta(keys: &Keys) -> Result<Option<f64>> {
    keys.only("partial_rotary_factor", &[json!(1.0), json!(1)])?;
    let mut theta = keys.number("rope_theta")?;
    for key in ["rope_scaling", "rope_parameters"] {
        let Some(rope) = keys.given(key) else {
            continue;
        };
        let refused = || {
            keys.refused(key, "the type `default`")
                .with_hint("positions can't be stretched here")
        };
        let kind = rope.get("rope_type").or_else(|| rope.get("type"));
        let is_whole = rope
            .get("partial_rotary_factor")
            .is_none_or(|share| share.as_f64() == Some(1.0));
        if kind.is_some_and(|kind| kind != "default") || !rope.is_object() || !is_whole {
            return Err(refused());
        }
        if let Some(base) = rope.get("rope_theta") {
            theta = Some(base.as_f64().ok_or_else(refused)?);
        }
    }
    Ok(theta)
}

/// Keys of Qwen3-MoE, and ours beside.
fn mixture(keys: &Keys, model: &mut ModelConfig) -> Result<()> {
    keys.only("decoder_sparse_step", &[1.into()])?;
    keys.only("mlp_only_layers", &[json!([])])?;
    // The fifth version of `transformers` writes another name than published models have.
    let count = match keys.size("num_experts")? {
        Some(count) => count,
        None => keys.needed_size("num_local_experts")?,
    };
    model.num_experts = Some(count);
    model.num_experts_per_tok = Some(keys.needed_size("num_experts_per_tok")?);
    model.moe_intermediate_size = Some(keys.needed_size("moe_intermediate_size")?);
    model.shared_expert_intermediate_size = keys.size("shared_expert_intermediate_size")?;
    model.expert_routing = Some(match keys.text("expert_routing") {
        None => Routing::TokenChoice,
        Some(name) => serde_json::from_value(name.into()).map_err(|_| {
            keys.refused(
                "expert_routing",
                "`\"token-choice\"` or `\"expert-choice\"`",
            )
        })?,
    });
    model.norm_topk_prob = Some(keys.flag("norm_topk_prob")?.unwrap_or(false));
    model.router_aux_loss_coef = keys.number("router_aux_loss_coef")?;
    model.router_z_loss_coef = keys.number("router_z_loss_coef")?;
    Ok(())
}

/// Keys of LLaDA.
fn llada(keys: &Keys) -> Result<ModelConfig> {
    for (key, supported) in [
        ("activation_type", json!("silu")),
        ("block_type", json!("llama")),
        ("layer_norm_type", json!("rms")),
        ("layer_norm_with_affine", json!(true)),
        ("rope", json!(true)),
        ("block_group_size", json!(1)),
        ("alibi", json!(false)),
        ("attention_layer_norm", json!(false)),
        ("bias_for_layer_norm", json!(false)),
        ("include_bias", json!(false)),
        ("include_qkv_bias", json!(false)),
        ("input_emb_norm", json!(false)),
        ("scale_logits", json!(false)),
        ("multi_query_attention", json!(false)),
    ] {
        keys.only(key, &[supported])?;
    }
    rope_theta(keys)?;
    let hidden_size = keys.needed_size("d_model")?;
    let heads = keys.needed_size("n_heads")?;
    let intermediate_size = match keys.size("mlp_hidden_size")? {
        Some(width) => width,
        None => hidden_size.saturating_mul(keys.needed_size("mlp_ratio")?),
    };
    let defaults = ModelConfig::default();
    Ok(ModelConfig {
        hidden_size,
        intermediate_size: Some(intermediate_size),
        num_hidden_layers: keys.needed_size("n_layers")?,
        num_attention_heads: heads,
        num_key_value_heads: Some(keys.size("n_kv_heads")?.unwrap_or(heads)),
        rms_norm_eps: keys.number("rms_norm_eps")?.unwrap_or(1e-5),
        rope_theta: keys.number("rope_theta")?.unwrap_or(defaults.rope_theta),
        tie_word_embeddings: keys.flag("weight_tying")?.unwrap_or(true),
        initializer_range: keys
            .number("init_std")?
            .unwrap_or(defaults.initializer_range),
        ..defaults
    })
}

#[cfg(test)]
mod tests {
    use super::line_of;

    #[test]
    fn a_key_s_line_is_that_of_the_key_and_not_of_a_value() {
        let text = "{\n \"a\": \"b\",\n \"b\" : 1\n}";
        assert_eq!((line_of(text, "a"), line_of(text, "b")), (2, 3));
        assert_eq!(line_of("{\"a\":1}", "a"), 1);
    }
}

//! A checkpoint as a folder in Hugging Face's layout.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::config::OURS;
use super::names::Names;
use super::shards::SINGLE;
use crate::error::Result;
use crate::model::Shape;
use crate::objective::Objective;
use crate::platform;
use crate::train::TensorFile;
use crate::train::checkpoint::{
    Checkpoint, FORMAT_VERSION, OUR_MIXTURE, Precision, architecture, unwritable,
};

/// Writes `config.json`, `model.safetensors`, `tokenizer.json` and `tokenizer_config.json`; gives the bytes of all of them.
///
/// What only training needs is left out. The class that `config.json` names computes the model's logits: Qwen3, Llama or
/// Qwen3-MoE for what is read left to right; MegaDLMs' `DiffLM` for masked diffusion, or LLaDA where queries and keys are not
/// normalised; a name of our own where there is none.
///
/// # Errors
/// When the folder holds files, or can't be written.
pub fn write(checkpoint: &Checkpoint, folder: &str, precision: Precision) -> Result<usize> {
    let shape = checkpoint.shape()?;
    let tokenizer = checkpoint.tokenizer.to_hugging_face()?;
    let (class, kind, names) = class(checkpoint.objective, &shape);
    let mut config = match names {
        Names::Qwen => qwen(checkpoint)?,
        Names::Llada => llada(checkpoint, &shape),
    };
    config.insert("architectures".to_owned(), json!([class]));
    config.insert("model_type".to_owned(), kind.into());
    if class == "DiffLM" {
        config.insert("attn_mask_type".to_owned(), "bidirectional".into());
    }
    let mask = checkpoint.tokenizer.mask_id();
    config.insert("mask_token_id".to_owned(), mask.into());
    if checkpoint.objective == Objective::Autoregressive {
        config.insert("bos_token_id".to_owned(), mask.into());
    }
    let end = checkpoint.tokenizer.end_of_text();
    config.insert("eos_token_id".to_owned(), end.into());
    let dtype = match precision {
        Precision::F32 => "float32",
        Precision::Bf16 => "bfloat16",
    };
    config.insert("torch_dtype".to_owned(), dtype.into());
    let for_tokenizer = json!({
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": checkpoint.length,
        "clean_up_tokenization_spaces": false,
        "eos_token": tokenizer.end_of_text,
        "mask_token": tokenizer.mask
    });
    let files = [
        ("config.json", pretty(&config.into())?),
        ("tokenizer.json", tokenizer.file.into_bytes()),
        ("tokenizer_config.json", pretty(&for_tokenizer)?),
    ];
    let weights = weights(checkpoint, names, precision)?;
    platform::make_folder(folder, |name| {
        let mut known = files.iter().map(|(name, _)| *name).chain([SINGLE]);
        name.strip_suffix(".partial")
            .is_some_and(|name| known.any(|known| known == name))
    })?;
    for (name, content) in &files {
        platform::write_file(&format!("{folder}/{name}"), [&content[..]])?;
    }
    platform::write_file(&format!("{folder}/{SINGLE}"), weights.parts())?;
    let others: usize = files.iter().map(|(_, content)| content.len()).sum();
    Ok(others + weights.bytes())
}

fn pretty(value: &Value) -> Result<Vec<u8>> {
    let mut text = serde_json::to_vec_pretty(value).map_err(|error| unwritable(&error))?;
    text.push(b'\n');
    Ok(text)
}

/// The class that computes a model's logits, its `model_type`, and what its tensors are called.
fn class(objective: Objective, shape: &Shape) -> (&'static str, &'static str, Names) {
    let fills = shape.num_attention_heads * shape.head_dim == shape.hidden_size;
    match objective {
        // A dual model is read left to right, too.
        Objective::Autoregressive | Objective::Dual => {
            let (class, kind) = architecture(shape);
            (class, kind, Names::Qwen)
        }
        _ if shape.experts.is_some() => (OUR_MIXTURE, "crossover_moe", Names::Qwen),
        Objective::Masked if shape.qk_norm => ("DiffLM", "dlm", Names::Qwen),
        Objective::Masked if fills => ("LLaDAModelLM", "llada", Names::Llada),
        Objective::Masked | Objective::Block => (OURS, "crossover", Names::Qwen),
    }
}

fn qwen(checkpoint: &Checkpoint) -> Result<Map<String, Value>> {
    match serde_json::to_value(checkpoint.header()?).map_err(|error| unwritable(&error))? {
        Value::Object(keys) => Ok(keys),
        _ => Ok(Map::new()),
    }
}

/// LLaDA's keys, those included that say what is left out.
fn llada(checkpoint: &Checkpoint, shape: &Shape) -> Map<String, Value> {
    let model = &checkpoint.model;
    let keys = [
        ("format_version", json!(FORMAT_VERSION)),
        ("objective", json!(checkpoint.objective)),
        ("activation_type", json!("silu")),
        ("alibi", json!(false)),
        ("attention_dropout", json!(model.dropout)),
        ("attention_layer_norm", json!(false)),
        ("bias_for_layer_norm", json!(false)),
        ("block_group_size", json!(1)),
        ("block_type", json!("llama")),
        ("d_model", json!(shape.hidden_size)),
        ("embedding_dropout", json!(0.0)),
        ("embedding_size", json!(shape.vocab_size)),
        ("flash_attention", json!(false)),
        ("include_bias", json!(false)),
        ("include_qkv_bias", json!(false)),
        ("init_std", json!(model.initializer_range)),
        ("input_emb_norm", json!(false)),
        ("layer_norm_type", json!("rms")),
        ("layer_norm_with_affine", json!(true)),
        ("max_sequence_length", json!(checkpoint.length)),
        ("mlp_hidden_size", json!(shape.intermediate_size)),
        ("multi_query_attention", json!(null)),
        ("n_heads", json!(shape.num_attention_heads)),
        ("n_kv_heads", json!(shape.num_key_value_heads)),
        ("n_layers", json!(shape.num_hidden_layers)),
        ("residual_dropout", json!(model.dropout)),
        ("rms_norm_eps", json!(model.rms_norm_eps)),
        ("rope", json!(true)),
        ("rope_full_precision", json!(true)),
        ("rope_theta", json!(model.rope_theta)),
        ("scale_logits", json!(false)),
        ("use_cache", json!(false)),
        ("vocab_size", json!(shape.vocab_size)),
        ("weight_tying", json!(shape.tie_word_embeddings)),
    ];
    keys.map(|(key, value)| (key.to_owned(), value))
        .into_iter()
        .collect()
}

fn weights(checkpoint: &Checkpoint, names: Names, precision: Precision) -> Result<TensorFile<'_>> {
    let tensors = checkpoint.weights.0.iter().map(|(name, tensor)| {
        let bytes = precision.encode(&tensor.values);
        (names.theirs(name), (tensor.shape.clone(), bytes))
    });
    let tensors = tensors.collect();
    // What `transformers` expects of a file.
    let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    TensorFile::new(precision.dtype(), tensors, Some(metadata))
}

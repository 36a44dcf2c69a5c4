//! What tensors are called elsewhere.

/// A family of names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Names {
    /// Those of Qwen3 and Llama, which are ours.
    Qwen,
    /// Those of LLaDA, after OLMo.
    Llada,
}

/// Ours, and LLaDA's.
const WHOLE: [(&str, &str); 3] = [
    ("model.embed_tokens", "model.transformer.wte"),
    ("model.norm", "model.transformer.ln_f"),
    ("lm_head", "model.transformer.ff_out"),
];

/// Ours, and LLaDA's, of a layer.
const OF_A_LAYER: [(&str, &str); 9] = [
    ("input_layernorm", "attn_norm"),
    ("self_attn.q_proj", "q_proj"),
    ("self_attn.k_proj", "k_proj"),
    ("self_attn.v_proj", "v_proj"),
    ("self_attn.o_proj", "attn_out"),
    ("post_attention_layernorm", "ff_norm"),
    ("mlp.gate_proj", "ff_proj"),
    ("mlp.up_proj", "up_proj"),
    ("mlp.down_proj", "ff_out"),
];

impl Names {
    /// What the tensor that we call `ours` is called there. LLaDA has no other tensors than those of a dense decoder whose queries
    /// and keys are not normalised: what it has no name for keeps ours.
    pub fn theirs(self, ours: &str) -> String {
        let llada = || {
            let name = ours.strip_suffix(".weight")?;
            let of = |table: &[(&str, &str)], name: &str| {
                let mut rows = table.iter();
                rows.find(|(ours, _)| *ours == name)
                    .map(|(_, theirs)| (*theirs).to_owned())
            };
            let theirs = match name.strip_prefix("model.layers.") {
                None => of(&WHOLE, name)?,
                Some(rest) => {
                    let (layer, part) = rest.split_once('.')?;
                    format!(
                        "model.transformer.blocks.{layer}.{}",
                        of(&OF_A_LAYER, part)?
                    )
                }
            };
            Some(format!("{theirs}.weight"))
        };
        match self {
            Self::Qwen => ours.to_owned(),
            Self::Llada => llada().unwrap_or_else(|| ours.to_owned()),
        }
    }

    /// The key of `config.json` that says whether the output matrix is the embedding matrix.
    pub fn tied(self) -> &'static str {
        match self {
            Self::Qwen => "tie_word_embeddings",
            Self::Llada => "weight_tying",
        }
    }
}

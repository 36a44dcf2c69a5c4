//! The checkpoint: one safetensors file with weights under Hugging Face's Qwen3 (or Qwen3-MoE) names, the optimizer's moments under
//! `optimizer.`, and `config`, `tokenizer` and `state` as JSON strings in its metadata.
//!
//! The same file is written and read natively, in the browser, and (weights) in Python. Where several processes each write a
//! part, [`index`] has the same content in several files.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use burn::tensor::{bf16, f16};
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::corpus::Tokenizer;
use crate::error::{Error, Result, grouped};
use crate::model::config::is_true;
use crate::model::weights::HostTensor;
use crate::model::{Experts, ModelConfig, Routing, Shape, Weights};
use crate::objective::{Factorization, Likelihood, Objective};
use crate::platform::FileBytes;
use crate::train::index::{self, Index};
use crate::train::precision::LossScale;
use crate::train::tensor_file::TensorFile;

/// The newest version of the format that this code reads and writes.
pub const FORMAT_VERSION: u64 = 1;

pub(super) const FIRST: &str = "optimizer.exp_avg.";
pub(super) const SECOND: &str = "optimizer.exp_avg_sq.";
pub(super) const TRAINED: &str = "optimizer.weights.";

/// A mixture that no class of `transformers` computes.
pub(super) const OUR_MIXTURE: &str = "CrossoverMoeForCausalLM";

/// Where the metadata has the checksum.
const CHECKSUM: &str = "sha256";

/// A model on the host, with all that is needed to use it or to train on.
#[derive(Debug, Clone, PartialEq)]
pub struct Checkpoint {
    /// What the model was trained to do.
    pub objective: Objective,
    /// Its shape.
    pub model: ModelConfig,
    /// Tokens in a window of its training.
    pub length: usize,
    /// Tokens in a block, for a model of block diffusion.
    pub block_size: Option<usize>,
    /// Its tokens.
    pub tokenizer: Tokenizer,
    /// Its parameters: the moving average where one is kept.
    pub weights: Weights,
    /// The parameters that training goes on from, where `weights` are an average.
    pub trained_weights: Option<Weights>,
    /// The optimizer's moments; absent when only weights were kept.
    pub moments: Option<Moments>,
    /// Where training stood.
    pub state: State,
}

/// AdamW's moments, shaped and named like the weights.
#[derive(Debug, Clone, PartialEq)]
pub struct Moments {
    /// Means of the gradients.
    pub first: Weights,
    /// Means of their squares.
    pub second: Weights,
}

/// Where a model's training stood.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// Optimizer steps done. The data cursor follows from it: step times batch windows have been read.
    pub step: u64,
    /// Tokens trained on.
    pub tokens: u64,
    /// FLOPs spent.
    pub flops: f64,
    /// Seconds trained, without evaluation and checkpoints.
    pub seconds: f64,
    /// Seed of the run.
    pub seed: u64,
    /// The lowest validation loss so far.
    pub best: Option<Best>,
    /// What the loss is multiplied by, where it is trained in f16.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loss_scale: Option<LossScale>,
}

/// The lowest validation loss so far.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Best {
    /// After how many steps.
    pub step: u64,
    /// The loss, nats per token.
    pub nats: f64,
    /// Its standard error.
    pub se: f64,
}

impl State {
    /// Before the first step.
    pub fn new(seed: u64) -> Self {
        Self {
            step: 0,
            tokens: 0,
            flops: 0.0,
            seconds: 0.0,
            seed,
            best: None,
            loss_scale: None,
        }
    }

    /// Steps that moved nothing.
    pub fn skipped_steps(&self) -> u64 {
        self.loss_scale.map_or(0, |scale| scale.skipped_steps)
    }
}

/// How a file's numbers are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    /// As they are.
    F32,
    /// In half the space, rounded to 8 significant bits: enough to use a model, not to go on training it.
    Bf16,
}

impl Precision {
    /// Its name in a file's header.
    pub(super) fn dtype(self) -> Dtype {
        match self {
            Self::F32 => Dtype::F32,
            Self::Bf16 => Dtype::BF16,
        }
    }

    /// Values as a file has them.
    pub(super) fn encode(self, values: &[f32]) -> Cow<'_, [u8]> {
        match self {
            Self::F32 => Cow::Borrowed(bytemuck::cast_slice(values)),
            Self::Bf16 => values
                .iter()
                .flat_map(|value| bf16::from_f32(*value).to_le_bytes())
                .collect(),
        }
    }
}

/// How much of a checkpoint is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// All, to go on training.
    Whole,
    /// What the model is used with; the rest takes no memory.
    Weights,
}

impl Extent {
    /// Whether the tensor of this name is part of it.
    pub(super) fn has(self, name: &str) -> bool {
        self == Self::Whole || group(name).0.is_empty()
    }
}

/// `config` in the metadata: Hugging Face's keys beside ours.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Header {
    format_version: u64,
    objective: Objective,
    architectures: Vec<String>,
    model_type: String,
    hidden_size: usize,
    intermediate_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    num_key_value_heads: usize,
    head_dim: usize,
    vocab_size: usize,
    rms_norm_eps: f64,
    rope_theta: f64,
    tie_word_embeddings: bool,
    #[serde(default = "always", skip_serializing_if = "is_true")]
    qk_norm: bool,
    max_position_embeddings: usize,
    hidden_act: String,
    attention_bias: bool,
    initializer_range: f64,
    dropout: f64,
    mask_token_id: usize,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    block_size: Option<usize>,
    #[serde(flatten)]
    experts: Option<ExpertsHeader>,
}

/// Files of earlier versions don't say that queries and keys are normalised.
fn always() -> bool {
    true
}

/// What the header of a mixture has beside: Qwen3-MoE's keys, Qwen2-MoE's for the shared expert, and ours.
#[derive(Debug, Serialize, Deserialize)]
struct ExpertsHeader {
    num_experts: usize,
    num_experts_per_tok: usize,
    moe_intermediate_size: usize,
    norm_topk_prob: bool,
    router_aux_loss_coef: f64,
    /// Every layer is a mixture.
    decoder_sparse_step: usize,
    mlp_only_layers: Vec<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    shared_expert_intermediate_size: Option<usize>,
    expert_routing: Routing,
    router_z_loss_coef: f64,
}

impl ExpertsHeader {
    fn new(experts: &Experts) -> Self {
        Self {
            num_experts: experts.count,
            num_experts_per_tok: experts.per_token,
            moe_intermediate_size: experts.intermediate_size,
            norm_topk_prob: experts.normalized,
            router_aux_loss_coef: experts.balance_weight,
            decoder_sparse_step: 1,
            mlp_only_layers: Vec::new(),
            shared_expert_intermediate_size: experts.shared_intermediate_size,
            expert_routing: experts.routing,
            router_z_loss_coef: experts.z_weight,
        }
    }
}

/// The class of `transformers` that computes what a shape does, and its name there. Names of our own where there is none, so that
/// nothing else is computed in silence.
pub(super) fn architecture(shape: &Shape) -> (&'static str, &'static str) {
    match &shape.experts {
        None if shape.qk_norm => ("Qwen3ForCausalLM", "qwen3"),
        None => ("LlamaForCausalLM", "llama"),
        Some(Experts {
            routing: Routing::TokenChoice,
            shared_intermediate_size: None,
            ..
        }) if shape.qk_norm => ("Qwen3MoeForCausalLM", "qwen3_moe"),
        Some(_) => (OUR_MIXTURE, "crossover_moe"),
    }
}

/// The one key that has to be readable in every version.
#[derive(Deserialize)]
struct Version {
    format_version: u64,
}

impl Checkpoint {
    /// The resolved shape.
    ///
    /// # Errors
    /// When the configuration is unsound.
    pub fn shape(&self) -> Result<Shape> {
        self.model.resolve(self.tokenizer.vocab_size())
    }

    /// What a likelihood asks of this model.
    pub fn factorization(&self, likelihood: Likelihood) -> Factorization {
        likelihood.factorization(self.length, self.block_size)
    }

    /// The file's bytes, every number as it is.
    ///
    /// # Errors
    /// Never for a checkpoint that came from a run.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        Ok(self.file(Precision::F32)?.to_bytes())
    }

    /// The file, with numbers of this precision.
    ///
    /// # Errors
    /// Never for a checkpoint that came from a run.
    pub fn file(&self, precision: Precision) -> Result<TensorFile<'_>> {
        let [config, tokenizer, state] = self.strings()?;
        let mut groups = vec![("", &self.weights)];
        if let Some(moments) = &self.moments {
            groups.extend([(FIRST, &moments.first), (SECOND, &moments.second)]);
        }
        groups.extend(self.trained_weights.iter().map(|own| (TRAINED, own)));
        let mut tensors = BTreeMap::new();
        for (prefix, weights) in groups {
            for (name, tensor) in &weights.0 {
                let bytes = precision.encode(&tensor.values);
                tensors.insert(format!("{prefix}{name}"), (tensor.shape.clone(), bytes));
            }
        }
        let content = tensors
            .iter()
            .map(|(name, (_, bytes))| (&name[..], &bytes[..]));
        let sum = checksum([&config, &tokenizer, &state], content);
        let metadata = [
            ("config", config),
            ("tokenizer", tokenizer),
            ("state", state),
            (CHECKSUM, sum),
            ("format", "pt".to_owned()),
        ];
        let metadata = metadata.map(|(key, text)| (key.to_owned(), text)).into();
        TensorFile::new(precision.dtype(), tensors, Some(metadata))
    }

    /// What the metadata says of the model: `config`, `tokenizer` and `state`.
    pub(super) fn strings(&self) -> Result<[String; 3]> {
        let config = serde_json::to_string(&self.header()?).map_err(|error| unwritable(&error))?;
        let state = serde_json::to_string(&self.state).map_err(|error| unwritable(&error))?;
        Ok([config, self.tokenizer.to_json()?, state])
    }

    /// Reads a file, or an index and the shards beside it.
    ///
    /// # Errors
    /// Those of [`Checkpoint::from_bytes`]; a shard that is missing or not what the index promises is named.
    pub fn open(path: &str, extent: Extent) -> Result<Self> {
        let bytes = FileBytes::open(path)?;
        match index::is_index(path) {
            true => Index::from_bytes(&bytes, path)?.checkpoint(path, extent),
            false => Self::read(&bytes, path, extent),
        }
    }

    /// `config` as a file has it.
    pub(super) fn header(&self) -> Result<Header> {
        let shape = self.shape()?;
        let (architecture, model_type) = architecture(&shape);
        Ok(Header {
            format_version: FORMAT_VERSION,
            objective: self.objective,
            architectures: vec![architecture.to_owned()],
            model_type: model_type.to_owned(),
            hidden_size: shape.hidden_size,
            intermediate_size: shape.intermediate_size,
            num_hidden_layers: shape.num_hidden_layers,
            num_attention_heads: shape.num_attention_heads,
            num_key_value_heads: shape.num_key_value_heads,
            head_dim: shape.head_dim,
            vocab_size: shape.vocab_size,
            rms_norm_eps: self.model.rms_norm_eps,
            rope_theta: self.model.rope_theta,
            tie_word_embeddings: shape.tie_word_embeddings,
            qk_norm: shape.qk_norm,
            max_position_embeddings: self.length,
            hidden_act: "silu".to_owned(),
            attention_bias: false,
            initializer_range: self.model.initializer_range,
            dropout: self.model.dropout,
            mask_token_id: shape.vocab_size - 1,
            block_size: self.block_size,
            experts: shape.experts.as_ref().map(ExpertsHeader::new),
        })
    }

    /// The counters in a file's bytes, without a look at its tensors; `None` where it has none.
    pub fn state_of(bytes: &[u8]) -> Option<State> {
        let (_, metadata) = SafeTensors::read_metadata(bytes).ok()?;
        serde_json::from_str(metadata.metadata().as_ref()?.get("state")?).ok()
    }

    /// Reads a file's bytes; `origin` names it in errors.
    ///
    /// # Errors
    /// When it is truncated, no safetensors file, not one of ours, made by a newer version, or inconsistent.
    pub fn from_bytes(bytes: &[u8], origin: &str) -> Result<Self> {
        Self::read(bytes, origin, Extent::Whole)
    }

    fn read(bytes: &[u8], origin: &str, extent: Extent) -> Result<Self> {
        let damaged = |why: String| damaged(origin, &why);
        check_length(bytes).map_err(damaged)?;
        let (_, metadata) =
            SafeTensors::read_metadata(bytes).map_err(|error| damaged(error.to_string()))?;
        let strings = metadata.metadata().clone().unwrap_or_default();
        let text = |key: &str| {
            strings.get(key).ok_or_else(|| {
                Error::input(format!(
                    "`{origin}` is a safetensors file without crossover's `{key}`"
                ))
                .with_hint("if it is a model from elsewhere, give the folder that has its `config.json` too")
            })
        };
        let described = [text("config")?, text("tokenizer")?, text("state")?];
        let described = described.map(|text| &text[..]);
        let mut checkpoint = Self::from_strings(described, origin)?;
        let tensors =
            SafeTensors::deserialize(bytes).map_err(|error| damaged(error.to_string()))?;
        for (name, view) in tensors.iter().filter(|(name, _)| extent.has(name)) {
            let tensor =
                host_tensor(&view).map_err(|why| damaged(format!("tensor `{name}` {why}")))?;
            checkpoint.put(name, tensor);
        }
        checkpoint.check(origin)?;
        // Files of earlier versions have none.
        if let Some(promised) = strings.get(CHECKSUM) {
            let sorted: BTreeMap<String, TensorView<'_>> = tensors.tensors().into_iter().collect();
            let content = sorted.iter().map(|(name, view)| (&name[..], view.data()));
            if *promised != checksum(described, content) {
                return Err(damaged(CHANGED.to_owned()));
            }
        }
        Ok(checkpoint)
    }

    /// A checkpoint as its metadata describes it, still without a tensor.
    pub(super) fn from_strings(
        [config, tokenizer, state]: [&str; 3],
        origin: &str,
    ) -> Result<Self> {
        let damaged = |why: String| damaged(origin, &why);
        let Version { format_version } = serde_json::from_str(config)
            .map_err(|error| damaged(format!("`config` is damaged: {error}")))?;
        if format_version > FORMAT_VERSION {
            return Err(Error::input(format!(
                "`{origin}` was made by a newer Crossover ({format_version}; this reads {FORMAT_VERSION})"
            ))
            .with_hint("update crossover"));
        }
        let header: Header = serde_json::from_str(config)
            .map_err(|error| damaged(format!("`config` is damaged: {error}")))?;
        let tokenizer = Tokenizer::from_json(tokenizer)?;
        let state = serde_json::from_str(state)
            .map_err(|error| damaged(format!("`state` is damaged: {error}")))?;
        let experts = header.experts.as_ref();
        Ok(Self {
            objective: header.objective,
            model: ModelConfig {
                hidden_size: header.hidden_size,
                intermediate_size: Some(header.intermediate_size),
                num_hidden_layers: header.num_hidden_layers,
                num_attention_heads: header.num_attention_heads,
                num_key_value_heads: Some(header.num_key_value_heads),
                head_dim: Some(header.head_dim),
                rms_norm_eps: header.rms_norm_eps,
                rope_theta: header.rope_theta,
                tie_word_embeddings: header.tie_word_embeddings,
                qk_norm: header.qk_norm,
                initializer_range: header.initializer_range,
                dropout: header.dropout,
                vocab_size: Some(header.vocab_size),
                num_experts: experts.map(|experts| experts.num_experts),
                num_experts_per_tok: experts.map(|experts| experts.num_experts_per_tok),
                moe_intermediate_size: experts.map(|experts| experts.moe_intermediate_size),
                shared_expert_intermediate_size: experts
                    .and_then(|experts| experts.shared_expert_intermediate_size),
                norm_topk_prob: experts.map(|experts| experts.norm_topk_prob),
                expert_routing: experts.map(|experts| experts.expert_routing),
                router_aux_loss_coef: experts.map(|experts| experts.router_aux_loss_coef),
                router_z_loss_coef: experts.map(|experts| experts.router_z_loss_coef),
            },
            length: header.max_position_embeddings,
            block_size: header.block_size,
            tokenizer,
            weights: Weights::default(),
            trained_weights: None,
            moments: None,
            state,
        })
    }

    /// Takes a tensor by its name in a file.
    pub(super) fn put(&mut self, name: &str, tensor: HostTensor) {
        let (prefix, name) = group(name);
        let moments = || Moments {
            first: Weights::default(),
            second: Weights::default(),
        };
        let weights = match prefix {
            FIRST => &mut self.moments.get_or_insert_with(moments).first,
            SECOND => &mut self.moments.get_or_insert_with(moments).second,
            TRAINED => self.trained_weights.get_or_insert_default(),
            _ => &mut self.weights,
        };
        weights.0.insert(name.to_owned(), tensor);
    }

    /// Refuses a checkpoint that lacks a parameter, or has one in another shape than the configuration says.
    pub(super) fn check(&self, origin: &str) -> Result<()> {
        self.fits_together().map_err(|error| {
            Error::input(format!("`{origin}` does not fit together"))
                .with_source(error)
                .with_hint("the file is damaged; use another checkpoint")
        })
    }

    /// Every parameter is there, shaped as the configuration says.
    pub(super) fn fits_together(&self) -> Result<()> {
        if self.length == 0 {
            return Err(Error::input("`max_position_embeddings` is 0"));
        }
        self.objective.check_routing(&self.model)?;
        if let Some(size) = self.block_size
            && (size == 0 || !self.length.is_multiple_of(size))
        {
            return Err(Error::input(format!(
                "`block_size` is {size}, which doesn't divide {}",
                self.length
            )));
        }
        let groups = std::iter::once(&self.weights)
            .chain(&self.trained_weights)
            .chain(
                self.moments
                    .iter()
                    .flat_map(|moments| [&moments.first, &moments.second]),
            );
        let layout = crate::model::weights::layout(&self.shape()?);
        for group in groups {
            for (name, sizes) in &layout {
                group.get(name, sizes)?;
            }
        }
        Ok(())
    }
}

/// What the damaged file's bytes tell.
pub(super) const CHANGED: &str = "its checksum doesn't fit, so some of its bytes have changed";

pub(super) fn damaged(origin: &str, why: &str) -> Error {
    Error::input(format!("can't read `{origin}`: {why}")).with_hint(
        "it may be truncated or no checkpoint; give a `.safetensors` file that crossover wrote",
    )
}

/// The error of what can't be put into a file.
pub(super) fn unwritable(error: &dyn std::fmt::Display) -> Error {
    Error::work(format!("can't write the checkpoint: {error}"))
}

/// What a tensor belongs to (a prefix, none for the weights), and the parameter's name.
pub(super) fn group(name: &str) -> (&'static str, &str) {
    [FIRST, SECOND, TRAINED]
        .into_iter()
        .find_map(|prefix| Some((prefix, name.strip_prefix(prefix)?)))
        .unwrap_or(("", name))
}

/// SHA-256 of what a file holds, whatever its order there: the three JSON strings, then each tensor's name and bytes, sorted by
/// name.
pub(super) fn checksum<'a>(
    strings: [&str; 3],
    tensors: impl Iterator<Item = (&'a str, &'a [u8])>,
) -> String {
    let mut sum = Sha256::new();
    for string in strings {
        sum.update(string);
    }
    for (name, bytes) in tensors {
        sum.update(name);
        sum.update(bytes);
    }
    hex::encode(sum.finalize())
}

/// A safetensors file says how long it is: eight bytes of header length, the header, and the tensors' last offset.
pub(super) fn check_length(bytes: &[u8]) -> Result<(), String> {
    let size = bytes.len() as u64;
    let Some((length, rest)) = bytes.split_first_chunk::<8>() else {
        return Err(format!("it has {size} bytes, too few for a header"));
    };
    let header = u64::from_le_bytes(*length);
    let data = usize::try_from(header)
        .ok()
        .and_then(|header| rest.get(..header))
        .map_or(0, data_length);
    let promised = header.saturating_add(8).saturating_add(data);
    if promised > size {
        return Err(format!(
            "header promises {} bytes, file has {}",
            grouped(promised),
            grouped(size)
        ));
    }
    Ok(())
}

/// The last offset that a header names; 0 where it can't be read, which is said later.
fn data_length(header: &[u8]) -> u64 {
    let tensors: HashMap<String, serde_json::Value> =
        serde_json::from_slice(header).unwrap_or_default();
    let ends = tensors
        .values()
        .filter_map(|tensor| tensor["data_offsets"][1].as_u64());
    ends.max().unwrap_or(0)
}

/// A tensor's values, widened to f32.
pub(super) fn host_tensor(view: &TensorView<'_>) -> Result<HostTensor, String> {
    let data = view.data();
    let values = match view.dtype() {
        Dtype::F32 => data
            .chunks_exact(4)
            .map(|bytes| f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
            .collect(),
        Dtype::BF16 => data
            .chunks_exact(2)
            .map(|bytes| bf16::from_le_bytes([bytes[0], bytes[1]]).to_f32())
            .collect(),
        Dtype::F16 => data
            .chunks_exact(2)
            .map(|bytes| f16::from_le_bytes([bytes[0], bytes[1]]).to_f32())
            .collect(),
        other => {
            return Err(format!(
                "has type {other:?}, and F32, BF16 or F16 is expected"
            ));
        }
    };
    Ok(HostTensor {
        shape: view.shape().to_vec(),
        values,
    })
}

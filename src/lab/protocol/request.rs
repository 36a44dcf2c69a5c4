//! What can be asked of the lab beside a run, and the answers.

use serde::{Deserialize, Serialize};

use crate::corpus::CorpusConfig;
use crate::lab::protocol::{Estimate, Outcome};
use crate::objective::{Likelihood, Objective};
use crate::sample::{Caching, Choice, Edit, Parameters, Schedule};
use crate::train::RunConfig;

/// A question. Models and files are named by the paths that [`Answer::Runs`] and [`Answer::Kept`] give.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "snake_case")]
pub enum Request {
    /// Keeps a file, so that a corpus or another request can name it: [`Answer::Kept`].
    Keep {
        /// Its name, without folders.
        name: String,
        /// What is in it. Travels beside the JSON.
        #[serde(skip)]
        content: Vec<u8>,
    },
    /// Looks at a text before anything trains on it: [`Answer::Preview`].
    Preview {
        /// Which, and how it is cut.
        corpus: CorpusConfig,
        /// Seed of generated sources.
        seed: u64,
    },
    /// Says what a run would cost here: [`Answer::Plan`].
    Plan {
        /// The run.
        config: Box<RunConfig>,
    },
    /// Lets a model write: [`Answer::Written`].
    Write {
        /// The checkpoint's path.
        model: String,
        /// What stands there already.
        template: Template,
        /// How.
        writing: Box<Writing>,
    },
    /// Measures where models are good, on a run's validation text: [`Answer::Measured`], in parts.
    Measure {
        /// Paths of one or two checkpoints.
        models: Vec<String>,
        /// The run whose text it is.
        run: String,
        /// Windows to measure.
        sequences: usize,
        /// Draws of a mask for each window and bin.
        draws: usize,
    },
    /// Who looks at whom: [`Answer::Attention`].
    Attention {
        /// The checkpoint's path.
        model: String,
        /// The tokens, MASK as -1: `[length]`.
        tokens: Vec<i64>,
        /// Which layer, from 0.
        layer: usize,
    },
    /// Measures this device: [`Answer::Benchmark`].
    Benchmark,
    /// Lists the runs that are kept: [`Answer::Runs`].
    Runs,
    /// Reads a file of a run: [`Answer::File`].
    Read {
        /// Its path.
        path: String,
    },
    /// Packs a run's folder: [`Answer::File`].
    Archive {
        /// The run.
        run: String,
    },
    /// Makes a run of a checkpoint or of a packed run: [`Answer::Imported`].
    Import {
        /// The file's name.
        name: String,
        /// What is in it. Travels beside the JSON.
        #[serde(skip)]
        content: Vec<u8>,
    },
    /// Gives a run another name: [`Answer::Done`].
    Rename {
        /// The run.
        run: String,
        /// Its new name.
        name: String,
    },
    /// Removes a run: [`Answer::Done`].
    Remove {
        /// The run.
        run: String,
    },
}

impl Request {
    pub(super) fn content_mut(&mut self) -> Option<&mut Vec<u8>> {
        match self {
            Self::Keep { content, .. } | Self::Import { content, .. } => Some(content),
            _ => None,
        }
    }
}

/// What stands on the page before a model writes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "template", rename_all = "snake_case")]
pub enum Template {
    /// A beginning, possibly empty.
    Prompt {
        /// The text.
        text: String,
        /// Tokens in all; automatic: the model's window.
        length: Option<usize>,
    },
    /// A text with gaps, such as `To be[MASK:8]not to be`.
    Gaps {
        /// The text.
        text: String,
    },
    /// Tokens, -1 where free: `[length]`.
    Tokens {
        /// The ids.
        tokens: Vec<i64>,
    },
    /// A state of a trace, changed by hand.
    Branch {
        /// The trace, as JSON lines.
        trace: String,
        /// What the child's header calls it.
        name: String,
        /// The step whose state is taken over, 0 being before the first.
        step: usize,
        /// What is changed in that state.
        edits: Vec<Edit>,
    },
}

/// How a model is asked to write. What is left out is automatic.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Writing {
    /// Name of the order in which positions are written.
    pub sampler: Option<String>,
    /// What that order is given.
    pub parameters: Parameters,
    /// Denoising steps; automatic: one for each free position.
    pub steps: Option<usize>,
    /// How much is masked as the steps go by.
    pub schedule: Option<Schedule>,
    /// Tokens in a block; automatic: as the model was trained.
    pub block_size: Option<usize>,
    /// How tokens are chosen.
    pub choice: Choice,
    /// Weight of classifier-free guidance.
    pub guidance: Option<f64>,
    /// Whether the text ends at the end-of-text token.
    pub stop: bool,
    /// How many of each position's likeliest tokens the trace keeps.
    pub top: usize,
    /// What is kept between two readings; automatic: what changes nothing.
    pub cache: Option<Caching>,
    /// Which of a dual model's two ways.
    pub likelihood: Option<Likelihood>,
    /// Seed of the random numbers.
    pub seed: u64,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
#[allow(
    clippy::large_enum_variant,
    reason = "events box their answer, and there are few"
)]
pub enum Answer {
    /// A file is kept.
    Kept {
        /// What names it from now on.
        path: String,
    },
    /// A text, looked at.
    Preview(Preview),
    /// A run's cost.
    Plan(Plan),
    /// A model wrote.
    Written {
        /// The trace, as JSON lines.
        trace: String,
    },
    /// Models were measured.
    Measured(Measured),
    /// Attention was read.
    Attention(Attention),
    /// The device was measured.
    Benchmark(Benchmark),
    /// The runs that are kept, newest first.
    Runs {
        /// Each.
        runs: Vec<RunSummary>,
    },
    /// A file.
    File {
        /// What to save it as.
        name: String,
        /// What is in it. Travels beside the JSON.
        #[serde(skip)]
        content: Vec<u8>,
    },
    /// A run was made of a file.
    Imported {
        /// The run.
        run: String,
    },
    /// It is done.
    Done,
}

impl Answer {
    pub(super) fn content_mut(&mut self) -> Option<&mut Vec<u8>> {
        match self {
            Self::File { content, .. } => Some(content),
            _ => None,
        }
    }
}

/// A text before anything trains on it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Preview {
    /// Unique tokens to train on.
    pub unique: u64,
    /// Tokens held out for validation, and as many for the test.
    pub held_out: u64,
    /// Tokens in a window.
    pub length: usize,
    /// Tokens in the vocabulary, MASK included.
    pub vocab_size: usize,
    /// Documents, where there are such.
    pub documents: Option<usize>,
    /// Documents that are nearly the same as an earlier one, where that was looked at.
    pub near_duplicates: Option<usize>,
    /// The first training window.
    pub first: String,
    /// The first held-out window.
    pub held_out_first: String,
    /// Lowest possible loss, nats per token, where the source is known.
    pub floor_nats: Option<f64>,
    /// What a person should know of the text.
    pub notices: Vec<String>,
}

/// What a run would cost here.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The resolved configuration.
    pub config: RunConfig,
    /// Steps of each model.
    pub steps: u64,
    /// Tokens of one pass over the unique data.
    pub tokens_per_epoch: u64,
    /// Parameters of each model.
    pub parameters: u64,
    /// Training FLOPs of all models together.
    pub flops: f64,
    /// Seconds in all, evaluation included, by the speed of a few steps measured now.
    pub seconds: f64,
    /// Memory of weights, gradients, moments and activations, bytes.
    pub memory_bytes: u64,
    /// Epoch of the crossover by the critical-compute law of the "Super Data Learners" line of work; an extrapolation.
    pub critical_epoch: Option<f64>,
}

/// Where models are good.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// Windows measured so far.
    pub sequences: usize,
    /// One for each model.
    pub models: Vec<ModelMeasured>,
}

/// Where one model is good.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelMeasured {
    /// Its path.
    pub model: String,
    /// How it was trained.
    pub objective: Objective,
    /// Cross-entropy of masked tokens in nats against the share that is masked, in bins. Empty for AR.
    pub by_mask_ratio: Vec<Bin>,
    /// NLL in nats at each position, left to right.
    pub by_position: Vec<Estimate>,
    /// How often the likeliest token was right, in bins of its probability.
    pub calibration: Vec<Bin>,
    /// Expected calibration error, over those bins.
    pub calibration_error: f64,
}

/// A bin of a measurement.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Bin {
    /// Mean of what is binned.
    pub at: f64,
    /// Cases in it.
    pub count: u64,
    /// What was measured there, where anything was.
    pub value: Option<Estimate>,
}

/// Who looks at whom in one layer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Attention {
    /// Layers of the model.
    pub layers: usize,
    /// Weights by head, query and key: `[heads][length][length]`, rows sum to 1.
    pub heads: Vec<Vec<Vec<f32>>>,
}

/// What a device can do.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Benchmark {
    /// FLOP/s of a large matrix product.
    pub matmul_flops: f64,
    /// FLOP/s of training the default race's model, or a smaller one on a slow device, by the law that counts runs.
    pub training_flops: f64,
    /// Tokens trained per second.
    pub tokens_per_second: f64,
    /// Parameters of that model.
    pub parameters: u64,
}

/// A run that is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunSummary {
    /// Its folder: what commands name.
    pub run: String,
    /// Its configuration.
    pub config: RunConfig,
    /// Parameters of each model.
    pub parameters: u64,
    /// Steps of the whole run.
    pub steps: u64,
    /// Steps that every model has done.
    pub step: u64,
    /// The step that the run would go on from: its last checkpoints may be older than its record.
    #[serde(default)]
    pub saved: u64,
    /// The result, once it has ended.
    pub outcome: Option<Outcome>,
    /// Its checkpoints' paths.
    pub checkpoints: Vec<String>,
    /// Bytes of all its files.
    pub bytes: u64,
}

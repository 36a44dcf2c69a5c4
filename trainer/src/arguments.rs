//! What can be typed. Nothing here knows a default of the library or what a flag leads to: absent flags stay `None`.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use crossover::lab::bench::Method;
use crossover::sample::{Precision, Remasking, Schedule, Score};

use crate::distributed::EngineChoice;
use crate::peer::Mode;
use crate::presets;
use crate::sweep::ready;

/// Trains autoregressive and diffusion language models side by side and measures where one overtakes the other.
#[derive(Debug, Parser)]
#[command(
    name = "crossover",
    version,
    args_conflicts_with_subcommands = true,
    after_help = "Without a command, a race starts: 1,000 Latin squares, both models, a few minutes.\n\n\
                  Example: crossover race --corpus book.txt --unique 50000 --epochs 60"
)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// The default race's flags.
    #[command(flatten)]
    pub race: RaceArguments,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Train an AR and a masked diffusion model on the same data and see which wins, and when
    #[command(after_help = with_presets(
        "Example: crossover race --corpus book.txt --unique 50000 --epochs 60 --seeds 3"
    ))]
    Race(RaceArguments),
    /// Train one model
    #[command(after_help = with_presets(
        "Example: crossover train --objective masked --corpus grids:latin-5 --epochs 50"
    ))]
    Train(TrainArguments),
    /// Let a trained model write
    #[command(
        after_help = "Example: crossover sample --checkpoint runs/x/checkpoints/best-masked.safetensors --infill \"To be[MASK:8]not to be\""
    )]
    Sample(SampleArguments),
    /// Check, watch or convert the trace of a sample
    #[command(after_help = "Example: crossover trace play trace.jsonl")]
    Trace(TraceArguments),
    /// Measure a trained model on a text or a task, or what it writes
    #[command(
        after_help = "Example: crossover evaluate --checkpoint runs/x/checkpoints/best-ar.safetensors --text book.txt\n\
                      Example: crossover evaluate --checkpoint runs/x/checkpoints/best-masked.safetensors --generate \
                      --out frontier.html\n\
                      Example: crossover evaluate --checkpoint runs/x/checkpoints/best-ar.safetensors --task tales"
    )]
    Evaluate(EvaluateArguments),
    /// Make or inspect a corpus
    #[command(after_help = "Example: crossover corpus stats book.txt --tokenizer char")]
    Corpus(CorpusArguments),
    /// Count FLOPs and memory of a model, in training and in generation
    #[command(after_help = "Example: crossover flops --preset paper-1b --json\n\
                      Example: crossover flops --preset paper-1b --ranks 1024 --gpu h100 --interconnect nvlink4+ndr400 \
                      --batch-per-rank 8 --tokens 96e9")]
    Flops(FlopsArguments),
    /// Measure training or writing speed on this machine
    #[command(
        after_help = "Example: crossover bench --hidden-size 128 --layers 4 --batch 8 --length 64\n\
                      Example: mpirun -n 2 crossover bench --preset 6m --threads 1"
    )]
    Bench(BenchArguments),
    /// Write a checkpoint again, in another form; Hugging Face's layout among them
    #[command(
        after_help = "Example: crossover export --checkpoint runs/x/checkpoints/best-masked.safetensors --weights-only \
                      --dtype bf16 --out small.safetensors\n\
                      Example: crossover export --checkpoint runs/x/checkpoints/best-ar.safetensors --out model/"
    )]
    Export(ExportArguments),
    /// Write a model from elsewhere as a checkpoint: Qwen3, Qwen3-MoE, Llama, LLaDA, MegaDLMs
    #[command(
        after_help = "Example: crossover import Qwen3-0.6B/ --out qwen3.safetensors --length 256"
    )]
    Import(ImportArguments),
    /// Write the HTML report of run directories, and every figure as SVG and CSV
    #[command(after_help = "Example: crossover report runs/*")]
    Report(ReportArguments),
    /// Run a grid of races from a file, and report them together
    #[command(after_help = with_sweeps("Example: crossover sweep unique-data --seeds 3\n\
                      Example: crossover sweep mine.toml -o runs/mine --jobs 2"))]
    Sweep(SweepArguments),
    /// Say what to train with some unique tokens and a budget
    #[command(after_help = "Example: crossover plan --unique 100000 --budget 30m\n\
                      Example: crossover plan --unique 1e6 --budget 2e15 --json")]
    Plan(PlanArguments),
    /// Serve the built playground to this machine's browsers
    #[command(after_help = "Example: crossover serve --port 8080")]
    Serve(ServeArguments),
    /// Say what this machine offers and lacks
    #[command(after_help = "Example: crossover doctor --json")]
    Doctor(DoctorArguments),
}

/// The end of a help text that accepts `--preset`.
fn with_presets(example: &str) -> String {
    format!("Presets:\n{}\n\n{example}", presets::list())
}

/// The end of a help text that names the sweeps.
fn with_sweeps(example: &str) -> String {
    format!(
        "Sweeps that come with the program:\n{}\n\n{example}",
        ready::list()
    )
}

/// Flags of every command.
#[derive(Debug, Clone, Default, PartialEq, Args)]
pub struct CommonArguments {
    /// Print JSON lines on stdout; everything else goes to stderr
    #[arg(long, help_heading = "Common")]
    pub json: bool,
    /// Seed of every random draw [default: 1]
    #[arg(long, value_name = "N", help_heading = "Common")]
    pub seed: Option<u64>,
    /// auto, cpu, wgpu, vulkan or cuda [default: auto]
    #[arg(long, value_name = "DEVICE", help_heading = "Common")]
    pub device: Option<String>,
    /// Threads on the processor [default: all]
    #[arg(long, value_name = "N", help_heading = "Common")]
    pub threads: Option<usize>,
}

/// Flags shared by `race` and `train`.
#[derive(Debug, Clone, Default, PartialEq, Args)]
pub struct RunArguments {
    /// Files and folders of text, a folder of token shards, `tales`, `markov:FILE.toml`, or
    /// `grids:latin-5|latin-6|sudoku-4|sudoku-6` [default: grids:latin-5]
    #[arg(long, value_name = "SOURCE", num_args = 1.., help_heading = "Data")]
    pub corpus: Option<Vec<String>>,
    /// Weights of the files and folders after --corpus, such as 0.7,0.3: each is a source of its own, and every 1,000 windows
    /// have its share [default: they are one text]
    #[arg(
        long,
        value_name = "WEIGHTS",
        value_delimiter = ',',
        help_heading = "Data",
        allow_negative_numbers = true
    )]
    pub mixture: Option<Vec<f64>>,
    /// Read only files of these kinds in folders, such as rs,md [default: every file that isn't binary]
    #[arg(
        long,
        value_name = "LIST",
        value_delimiter = ',',
        help_heading = "Data"
    )]
    pub extensions: Option<Vec<String>>,
    /// Field of a record that is its text, in .jsonl, .jsonl.zst and .parquet files [default: text]
    #[arg(long, value_name = "NAME", help_heading = "Data")]
    pub text_field: Option<String>,
    /// Leave out files that can't be read as text, instead of refusing them
    #[arg(long, help_heading = "Data")]
    pub skip_unreadable: bool,
    /// Budget of unique training tokens
    #[arg(long, value_name = "TOKENS", help_heading = "Data")]
    pub unique: Option<u64>,
    /// Passes over the unique data
    #[arg(
        long,
        value_name = "E",
        help_heading = "Data",
        allow_negative_numbers = true
    )]
    pub epochs: Option<f64>,
    /// Optimizer steps; overrides --epochs
    #[arg(long, value_name = "N", help_heading = "Data")]
    pub steps: Option<u64>,
    /// Tokens kept for validation, and as many for the test
    #[arg(long, value_name = "TOKENS", help_heading = "Data")]
    pub held_out: Option<u64>,
    /// Probability of replacing a training token by another one
    #[arg(
        long,
        value_name = "P",
        help_heading = "Data",
        allow_negative_numbers = true
    )]
    pub noise: Option<f64>,
    /// Where windows begin and how their tokens stand: reading, blocks (at multiples of the window) or shuffled (blocks, all
    /// in one other order) [default: reading]
    #[arg(long, value_name = "NAME", help_heading = "Data")]
    pub order: Option<String>,
    /// byte, char, bpe:N (trained on the text, N ids) or FILE.json (Hugging Face's, byte-level BPE) [default: char, or
    /// what shards were made with]
    #[arg(long, value_name = "NAME", help_heading = "Data")]
    pub tokenizer: Option<String>,
    /// Tokens in a window [default: 64, or the cells of a grid]
    #[arg(long, value_name = "TOKENS", help_heading = "Data")]
    pub length: Option<usize>,
    /// Model shape flags.
    #[command(flatten)]
    pub model: ModelArguments,
    /// Windows in an optimizer step, over all devices
    #[arg(long, value_name = "N", help_heading = "Training")]
    pub batch: Option<usize>,
    /// Windows computed at once; gradients are accumulated
    #[arg(long, value_name = "N", help_heading = "Training")]
    pub micro_batch: Option<usize>,
    /// Highest learning rate
    #[arg(
        long,
        value_name = "RATE",
        help_heading = "Training",
        allow_negative_numbers = true
    )]
    pub lr: Option<f64>,
    /// wsd, cosine or constant
    #[arg(long, value_name = "NAME", help_heading = "Training")]
    pub schedule: Option<String>,
    /// Warm-up steps [default: 1% of the steps, at most 100]
    #[arg(long, value_name = "STEPS", help_heading = "Training")]
    pub warmup: Option<u64>,
    /// AdamW's decoupled weight decay, on matrices
    #[arg(
        long,
        value_name = "RATE",
        help_heading = "Training",
        allow_negative_numbers = true
    )]
    pub weight_decay: Option<f64>,
    /// Probability of dropping attention weights and branch outputs
    #[arg(
        long,
        value_name = "P",
        help_heading = "Training",
        allow_negative_numbers = true
    )]
    pub dropout: Option<f64>,
    /// Probability of masking an input of the AR model
    #[arg(
        long,
        value_name = "P",
        help_heading = "Training",
        allow_negative_numbers = true
    )]
    pub input_mask: Option<f64>,
    /// Masked diffusion's training loss: exact-l, 1/t, unweighted or paper
    #[arg(long, value_name = "NAME", help_heading = "Training")]
    pub estimator: Option<String>,
    /// Tokens in a block of block diffusion; divides the window [default: the divisor nearest to 4]
    #[arg(long, value_name = "TOKENS", help_heading = "Training")]
    pub block_size: Option<usize>,
    /// Share of a dual model's batch that trains autoregressively [default: 0.5]
    #[arg(
        long,
        value_name = "P",
        help_heading = "Training",
        allow_negative_numbers = true
    )]
    pub dual_fraction: Option<f64>,
    /// Measure and keep an exponential moving average of the weights, with this decay
    #[arg(
        long,
        value_name = "DECAY",
        help_heading = "Training",
        allow_negative_numbers = true
    )]
    pub ema: Option<f64>,
    /// How to compute: fused (hand-written operations, where the device has them) or reference
    #[arg(long, value_name = "NAME", help_heading = "Training")]
    pub ops: Option<String>,
    /// What linear layers multiply in training: f32, or bf16 or f16 where the device computes with them (emulated on cpu).
    /// Weights, sums and everything that is measured stay f32 [default: f32]
    #[arg(long, value_name = "NAME", help_heading = "Training")]
    pub precision: Option<String>,
    /// Keep only the blocks' inputs and compute each block twice: a model of several blocks needs far less memory, for a third
    /// more time
    #[arg(long, help_heading = "Training")]
    pub recompute: bool,
    /// Where several processes train together: 0 keeps the optimizer's moments in each of them, 1 shares them out
    #[arg(long, value_name = "N", help_heading = "Training")]
    pub zero_stage: Option<u8>,
    /// How several processes add up what their GPUs hold: nccl (between CUDA devices), mpi (through the host), or auto, nccl
    /// where each has a device of its own [default: auto]
    #[arg(long, value_name = "NAME", help_heading = "Training", value_parser = named::<EngineChoice>)]
    pub engine: Option<EngineChoice>,
    /// Keep the states of the last N evaluations too, beside the last and the best [default: none]
    #[arg(long, value_name = "N", help_heading = "Checkpoints")]
    pub keep_last: Option<usize>,
    /// Keep the state of every Nth step for good [default: none]
    #[arg(long, value_name = "STEPS", help_heading = "Checkpoints")]
    pub keep_every: Option<u64>,
    /// Each process writes its part of a state to a file of its own, instead of the first writing one file for all
    #[arg(long, help_heading = "Checkpoints")]
    pub shard_checkpoints: bool,
    /// Share of masked batches cut to a random length
    #[arg(
        long,
        value_name = "P",
        help_heading = "Training",
        allow_negative_numbers = true
    )]
    pub random_length: Option<f64>,
    /// Steps between evaluations [default: a 40th of the run]
    #[arg(long, value_name = "STEPS", help_heading = "Training")]
    pub evaluate_every: Option<u64>,
    /// Named configuration, listed below; a configuration file and flags override it
    #[arg(long, value_name = "NAME", help_heading = "Run")]
    pub preset: Option<String>,
    /// Configuration file; flags override it
    #[arg(long, value_name = "FILE.toml", help_heading = "Run")]
    pub config: Option<PathBuf>,
    /// Runs that differ in their seed only: --seed and those after it [default: 1]
    #[arg(long, value_name = "N", help_heading = "Run")]
    pub seeds: Option<u64>,
    /// Also write TensorBoard's event files, in `tensorboard/` in the run directory
    #[arg(long, help_heading = "Run")]
    pub tensorboard: bool,
    /// Serve the newest figures to Prometheus at http://127.0.0.1:PORT/metrics; 0 takes any free port
    #[arg(long, value_name = "PORT", help_heading = "Run")]
    pub metrics_port: Option<u16>,
    /// Run directory [default: runs/<time>-<corpus>]
    #[arg(long, value_name = "DIR", help_heading = "Run")]
    pub out: Option<PathBuf>,
    /// Replace an earlier run in that directory
    #[arg(long, help_heading = "Run")]
    pub force: bool,
    /// Continue the run in this directory; needs nothing else
    #[arg(long, value_name = "DIR", help_heading = "Run")]
    pub resume: Option<PathBuf>,
    /// Common flags.
    #[command(flatten)]
    pub common: CommonArguments,
}

/// The backbone's shape.
#[derive(Debug, Clone, Default, PartialEq, Args)]
pub struct ModelArguments {
    /// Width of the model
    #[arg(long, value_name = "N", help_heading = "Model")]
    pub hidden_size: Option<usize>,
    /// Width of the feed-forward layer [default: about 8/3 of the width]
    #[arg(long, value_name = "N", help_heading = "Model")]
    pub intermediate_size: Option<usize>,
    /// Blocks
    #[arg(long, value_name = "N", help_heading = "Model")]
    pub layers: Option<usize>,
    /// Attention heads
    #[arg(long, value_name = "N", help_heading = "Model")]
    pub heads: Option<usize>,
    /// Key and value heads [default: as many as heads]
    #[arg(long, value_name = "N", help_heading = "Model")]
    pub key_value_heads: Option<usize>,
    /// Use one matrix for input and output embeddings
    #[arg(long, help_heading = "Model")]
    pub tied: bool,
    /// Put N small feed-forward layers in the place of one, of which each token asks a few
    #[arg(long, value_name = "N", help_heading = "Mixture of experts")]
    pub experts: Option<usize>,
    /// Experts that a token asks [default: 2]
    #[arg(long, value_name = "N", help_heading = "Mixture of experts")]
    pub experts_per_token: Option<usize>,
    /// Width of an expert [default: --intermediate-size over --experts-per-token, so a token costs what it costs without experts]
    #[arg(long, value_name = "N", help_heading = "Mixture of experts")]
    pub expert_size: Option<usize>,
    /// Width of an expert that every token asks beside them [default: there is none]
    #[arg(long, value_name = "N", help_heading = "Mixture of experts")]
    pub shared_expert_size: Option<usize>,
    /// Who chooses: token-choice, or expert-choice, for masked diffusion alone [default: token-choice]
    #[arg(long, value_name = "NAME", help_heading = "Mixture of experts")]
    pub routing: Option<String>,
    /// Weight of the loss that keeps experts equally busy [default: 0.01; 0 for expert-choice]
    #[arg(
        long,
        value_name = "WEIGHT",
        help_heading = "Mixture of experts",
        allow_negative_numbers = true
    )]
    pub router_aux_loss: Option<f64>,
    /// Weight of the loss that keeps routers' scores small [default: 0.001]
    #[arg(
        long,
        value_name = "WEIGHT",
        help_heading = "Mixture of experts",
        allow_negative_numbers = true
    )]
    pub router_z_loss: Option<f64>,
}

/// `race`.
#[derive(Debug, Clone, Default, PartialEq, Args)]
pub struct RaceArguments {
    /// AR's opponent: masked, block or dual [default: masked]
    #[arg(long, value_name = "OBJECTIVE", help_heading = "Training")]
    pub second: Option<String>,
    /// Everything else.
    #[command(flatten)]
    pub run: RunArguments,
}

/// `train`.
#[derive(Debug, Clone, Default, PartialEq, Args)]
pub struct TrainArguments {
    /// ar, masked, block or dual
    #[arg(long, value_name = "OBJECTIVE", required_unless_present_any = ["resume", "config"], help_heading = "Training")]
    pub objective: Option<String>,
    /// Everything else.
    #[command(flatten)]
    pub run: RunArguments,
}

/// `sample`.
#[derive(Debug, Clone, Args)]
pub struct SampleArguments {
    /// Checkpoint file, or a folder in Hugging Face's layout
    #[arg(long, value_name = "FILE|DIR")]
    pub checkpoint: PathBuf,
    /// Texts to write
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub samples: u64,
    /// Tokens in all, prompt included; several after commas are written one after the other [default: the model's window]
    #[arg(long, value_name = "TOKENS", value_delimiter = ',')]
    pub length: Vec<usize>,
    /// Text to continue
    #[arg(long, value_name = "TEXT")]
    pub prompt: Option<String>,
    /// Text with gaps: `[MASK:8]` is eight free tokens, `[MASK:2-8]` two to eight, as the model finds best (diffusion)
    #[arg(long, value_name = "TEXT", conflicts_with_all = ["prompt", "length"])]
    pub infill: Option<String>,
    /// How it writes.
    #[command(flatten)]
    pub writing: WritingArguments,
    /// Write every step as JSON lines: FILE, FILE.2, … one for each sample
    #[arg(long, value_name = "FILE")]
    pub trace: Option<PathBuf>,
    /// Show how each text was written: a player in a terminal, plain lines elsewhere
    #[arg(long)]
    pub watch: bool,
    /// Common flags.
    #[command(flatten)]
    pub common: CommonArguments,
}

/// How a model writes.
#[derive(Debug, Clone, Args)]
pub struct WritingArguments {
    /// Which positions a step writes: ancestral, first-hitting, low-confidence, random, margin, entropy, threshold,
    /// entropy-bounded, dream or remdm (diffusion) [default: ancestral]
    #[arg(long, value_name = "NAME")]
    pub sampler: Option<String>,
    /// Denoising steps [default: one a free token] (diffusion)
    #[arg(long, value_name = "N")]
    pub steps: Option<usize>,
    /// How much is masked as the steps go by: linear or cosine (diffusion) [default: linear]
    #[arg(long, value_name = "NAME", value_parser = named::<Schedule>)]
    pub schedule: Option<Schedule>,
    /// Write left to right in blocks of N tokens (masked models) [default: all at once]
    #[arg(long, value_name = "N")]
    pub block: Option<usize>,
    /// Weight of classifier-free guidance by what is given (diffusion) [default: 0]
    #[arg(long, value_name = "W", allow_negative_numbers = true)]
    pub cfg: Option<f64>,
    /// Probability from which on a token is written, for `threshold` [default: 0.9]
    #[arg(long, value_name = "P", allow_negative_numbers = true)]
    pub tau: Option<f64>,
    /// Nats that a step may lose by writing tokens independently, for `entropy-bounded` [default: 0.1]
    #[arg(long, value_name = "NATS", allow_negative_numbers = true)]
    pub gamma: Option<f64>,
    /// How often written tokens are hidden again, for `remdm` [default: 0.008; rescale 0.015, loop 0.02]
    #[arg(long, value_name = "P", allow_negative_numbers = true)]
    pub eta: Option<f64>,
    /// Which written tokens are hidden again, for `remdm`: cap, rescale, confidence or loop [default: cap]
    #[arg(long, value_name = "NAME", value_parser = named::<Remasking>)]
    pub remasking: Option<Remasking>,
    /// What decides the order, for `dream`: confidence, margin or entropy [default: entropy]
    #[arg(long, value_name = "NAME", value_parser = named::<Score>)]
    pub score: Option<Score>,
    /// How much chance has a say in the order, for `dream` [default: 0.1]
    #[arg(long, value_name = "T", allow_negative_numbers = true)]
    pub order_temperature: Option<f64>,
    /// What is kept between two steps: none; exact, for models that write left to right or in blocks; or prefix, dual or
    /// dkv, which approximate masked models [default: exact where it fits, otherwise none]
    #[arg(long, value_name = "NAME")]
    pub cache: Option<String>,
    /// Read everything every N readings, with an approximate cache [default: dkv 8, otherwise when a block starts]
    #[arg(long, value_name = "N")]
    pub cache_refresh: Option<usize>,
    /// 0 takes the likeliest token
    #[arg(
        long,
        value_name = "T",
        default_value_t = 1.0,
        allow_negative_numbers = true
    )]
    pub temperature: f64,
    /// Draw among the K likeliest tokens only
    #[arg(long, value_name = "K")]
    pub top_k: Option<usize>,
    /// Draw among the likeliest tokens that hold this share of the probability
    #[arg(long, value_name = "P", allow_negative_numbers = true)]
    pub top_p: Option<f64>,
    /// How tokens are drawn: exact, or fp32-gumbel, whose known defect makes rare tokens too rare [default: exact]
    #[arg(long, value_name = "NAME", value_parser = named::<Precision>)]
    pub sampler_precision: Option<Precision>,
    /// End the text at its first end-of-text token
    #[arg(long)]
    pub stop: bool,
    /// How a dual model writes: ar or masked [default: masked]
    #[arg(long, value_name = "NAME")]
    pub likelihood: Option<String>,
    /// The likeliest K tokens of each position that a trace keeps
    #[arg(long, value_name = "K", default_value_t = 0)]
    pub trace_top: usize,
}

/// `trace`.
#[derive(Debug, Clone, Args)]
pub struct TraceArguments {
    /// What to do with it.
    #[command(subcommand)]
    pub command: TraceCommand,
}

/// What to do with a trace.
#[derive(Debug, Clone, Subcommand)]
pub enum TraceCommand {
    /// Say whether traces keep their format's promises
    #[command(after_help = "Example: crossover trace check trace.jsonl trace.jsonl.2")]
    Check(CheckTraceArguments),
    /// Show how a text was written, step by step: a player in a terminal, plain lines elsewhere
    #[command(
        after_help = "Keys: space plays and pauses, arrows step, Home and End jump, + and - change the speed,\n\
                      h shows a heat map of positions and steps, e colours by entropy or confidence, q leaves.\n\n\
                      Example: crossover trace play trace.jsonl"
    )]
    Play(PlayTraceArguments),
    /// Write a page that plays traces in any browser and needs nothing else
    #[command(after_help = "Example: crossover trace html ar.jsonl masked.jsonl --out both.html")]
    Html(HtmlTraceArguments),
    /// Write a moving picture
    #[command(after_help = "Example: crossover trace gif trace.jsonl --scale 1")]
    Gif(GifTraceArguments),
    /// Go back to a step, change tokens, and let a model write on from there
    #[command(
        after_help = "Example: crossover trace branch trace.jsonl --checkpoint runs/x/checkpoints/best-masked.safetensors \
                      --step 3 --set 5=a --mask 8-12 --sampler entropy"
    )]
    Branch(Box<BranchTraceArguments>),
}

/// `trace check`.
#[derive(Debug, Clone, Args)]
pub struct CheckTraceArguments {
    /// Traces, as `sample --trace` writes them
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// Common flags.
    #[command(flatten)]
    pub common: CommonArguments,
}

/// `trace play`.
#[derive(Debug, Clone, Args)]
pub struct PlayTraceArguments {
    /// Trace, as `sample --trace` writes it
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Common flags.
    #[command(flatten)]
    pub common: CommonArguments,
}

/// `trace html`.
#[derive(Debug, Clone, Args)]
pub struct HtmlTraceArguments {
    /// Traces, as `sample --trace` writes them; several go on one page
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// Page to write [default: the first trace with the extension html]
    #[arg(long, value_name = "FILE.html")]
    pub out: Option<PathBuf>,
    /// Common flags.
    #[command(flatten)]
    pub common: CommonArguments,
}

/// `trace gif`.
#[derive(Debug, Clone, Args)]
pub struct GifTraceArguments {
    /// Trace, as `sample --trace` writes it
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Picture to write [default: the trace with the extension gif]
    #[arg(long, value_name = "FILE.gif")]
    pub out: Option<PathBuf>,
    /// Width and height of a pixel
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=16))]
    pub scale: u16,
    /// Common flags.
    #[command(flatten)]
    pub common: CommonArguments,
}

/// `trace branch`.
#[derive(Debug, Clone, Args)]
pub struct BranchTraceArguments {
    /// Trace, as `sample --trace` writes it
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Checkpoint that writes on, or a folder in Hugging Face's layout
    #[arg(long, value_name = "FILE|DIR")]
    pub checkpoint: PathBuf,
    /// Step whose state is taken over; 0 is before the first
    #[arg(long, value_name = "N")]
    pub step: usize,
    /// Put a token there, by its text or as #id; may be given several times
    #[arg(long, value_name = "POSITION=TOKEN")]
    pub set: Vec<String>,
    /// Hide what is there, also several positions as 8-12; may be given several times
    #[arg(long, value_name = "POSITION")]
    pub mask: Vec<String>,
    /// How it writes on.
    #[command(flatten)]
    pub writing: WritingArguments,
    /// Trace to write [default: the trace with the extension branch.jsonl]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Play the branch once it is written
    #[arg(long)]
    pub watch: bool,
    /// Common flags.
    #[command(flatten)]
    pub common: CommonArguments,
}

/// Reads a value that the library knows by name.
fn named<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_json::from_value(serde_json::Value::from(text)).map_err(|error| error.to_string())
}

/// `evaluate`.
#[derive(Debug, Clone, Args)]
pub struct EvaluateArguments {
    /// Checkpoint file, or a folder in Hugging Face's layout
    #[arg(long, value_name = "FILE|DIR")]
    pub checkpoint: PathBuf,
    /// Text to measure, in windows of the model's length; with --generate, real text to compare with [default: the test
    /// part of the checkpoint's run]
    #[arg(long, value_name = "FILE", required_unless_present_any = ["generate", "task"])]
    pub text: Option<PathBuf>,
    /// Windows at most [default: 2000]
    #[arg(long, value_name = "N", conflicts_with_all = ["generate", "task"])]
    pub windows: Option<usize>,
    /// Mask levels a window (masked models) [default: 16]
    #[arg(long, value_name = "K", conflicts_with_all = ["generate", "task"])]
    pub levels: Option<usize>,
    /// Also measure the exact left-to-right likelihood and the bound of this many orders (masked models; slow)
    #[arg(long, value_name = "K", conflicts_with_all = ["generate", "task"])]
    pub orders: Option<usize>,
    /// Put questions to the model: a file of multiple choice (own form, HellaSwag, MMLU, ARC, PIQA), cloze or gaps, one JSON
    /// object a line; or `tales`, questions about generated stories
    #[arg(long, value_name = "FILE|tales", conflicts_with_all = ["generate", "text"], help_heading = "Tasks")]
    pub task: Option<String>,
    /// Masks an answer (diffusion models) [default: 32]
    #[arg(long, value_name = "N", requires = "task", conflicts_with_all = ["generate", "text"], help_heading = "Tasks")]
    pub samples: Option<usize>,
    /// Questions at most [default: all of a file, 200 about tales]
    #[arg(long, value_name = "N", requires = "task", conflicts_with_all = ["generate", "text"], help_heading = "Tasks")]
    pub limit: Option<usize>,
    /// Let the model write N samples in every way it can, and measure them: quality against steps [default N: 64]
    #[arg(long, value_name = "N", num_args = 0..=1, default_missing_value = "64", help_heading = "Generation")]
    pub generate: Option<u64>,
    /// Which samplers, such as ancestral,low-confidence (diffusion models) [default: all]
    #[arg(
        long,
        value_name = "LIST",
        value_delimiter = ',',
        requires = "generate",
        help_heading = "Generation"
    )]
    pub samplers: Option<Vec<String>>,
    /// Numbers of denoising steps, such as 1,4,16 (diffusion models) [default: doubled from one a block to one a token]
    #[arg(
        long,
        value_name = "LIST",
        value_delimiter = ',',
        requires = "generate",
        help_heading = "Generation"
    )]
    pub steps_ladder: Option<Vec<usize>>,
    /// Checkpoint of a model that reads left to right, to judge samples [default: best-ar beside the checkpoint]
    #[arg(
        long,
        value_name = "FILE",
        requires = "generate",
        help_heading = "Generation"
    )]
    pub twin: Option<PathBuf>,
    /// Also write a page with charts
    #[arg(
        long,
        value_name = "FILE.html",
        requires = "generate",
        help_heading = "Generation"
    )]
    pub out: Option<PathBuf>,
    /// Common flags.
    #[command(flatten)]
    pub common: CommonArguments,
}

/// `corpus`.
#[derive(Debug, Clone, Args)]
pub struct CorpusArguments {
    /// What to do with it.
    #[command(subcommand)]
    pub command: CorpusCommand,
}

/// What to do with a corpus.
#[derive(Debug, Clone, Subcommand)]
pub enum CorpusCommand {
    /// Say how a run would cut a source: tokens, vocabulary, windows, floor
    #[command(after_help = "Example: crossover corpus stats book.txt")]
    Stats(StatsArguments),
    /// Say what files and folders hold, or tokenize them into a folder of shards
    #[command(
        after_help = "Example: crossover corpus files books/ --out shards/books --tokenizer bpe:2048"
    )]
    Files(FilesArguments),
    /// The same for source code: in folders, only files with its extensions
    #[command(after_help = "Example: crossover corpus code ~/project --out shards/project")]
    Code(FilesArguments),
    /// Write generated stories, and their entropy
    #[command(after_help = "Example: crossover corpus tales --count 1000 > stories.txt")]
    Tales(TalesArguments),
    /// Write text drawn from a Markov chain, and its entropy
    #[command(after_help = "Example: crossover corpus markov chain.toml --tokens 1000 > text.txt")]
    Markov(MarkovArguments),
    /// Write uniformly drawn grids, one a line
    #[command(after_help = "Example: crossover corpus grids latin-5 --count 10")]
    Grids(GridsArguments),
    /// Train a tokenizer, look inside one, or see which suits a text
    #[command(
        after_help = "Example: crossover corpus tokenizer compare book.txt --tokenizer byte char bpe:1024"
    )]
    Tokenizer(TokenizerArguments),
}

/// `corpus tokenizer`.
#[derive(Debug, Clone, Args)]
pub struct TokenizerArguments {
    /// What to do with it.
    #[command(subcommand)]
    pub command: TokenizerCommand,
}

/// What to do with a tokenizer.
#[derive(Debug, Clone, Subcommand)]
pub enum TokenizerCommand {
    /// Learn a byte-level BPE vocabulary and write it as Hugging Face's tokenizer.json
    #[command(
        after_help = "Example: crossover corpus tokenizer train book.txt --tokenizer bpe:1024 --out tokenizer.json"
    )]
    Train(TrainTokenizerArguments),
    /// Show a tokenizer's vocabulary, and how it cuts a text
    #[command(
        after_help = "Example: crossover corpus tokenizer inspect tokenizer.json --text book.txt"
    )]
    Inspect(InspectTokenizerArguments),
    /// Measure tokenizers on the same text: tokens, bytes per token, bits per byte without a model, time
    #[command(
        after_help = "Example: crossover corpus tokenizer compare book.txt --tokenizer byte char bpe:1024"
    )]
    Compare(CompareTokenizersArguments),
}

/// `corpus tokenizer train`.
#[derive(Debug, Clone, Args)]
pub struct TrainTokenizerArguments {
    /// Files and folders
    #[arg(value_name = "SOURCE", required = true)]
    pub source: Vec<String>,
    /// How many ids: bpe:N, the 256 bytes included
    #[arg(long, value_name = "bpe:N")]
    pub tokenizer: String,
    /// File to write
    #[arg(long, value_name = "FILE.json")]
    pub out: PathBuf,
    /// Replace the file if it is there
    #[arg(long)]
    pub force: bool,
    /// Which files.
    #[command(flatten)]
    pub folders: FolderArguments,
    /// Common flags.
    #[command(flatten)]
    pub common: CommonArguments,
}

/// `corpus tokenizer inspect`.
#[derive(Debug, Clone, Args)]
pub struct InspectTokenizerArguments {
    /// byte, char, bpe:N or FILE.json
    #[arg(value_name = "NAME")]
    pub tokenizer: String,
    /// Text to cut; `char` and `bpe:N` take their vocabulary from it
    #[arg(long, value_name = "FILE")]
    pub text: Option<PathBuf>,
    /// Common flags.
    #[command(flatten)]
    pub common: CommonArguments,
}

/// `corpus tokenizer compare`.
#[derive(Debug, Clone, Args)]
pub struct CompareTokenizersArguments {
    /// Files and folders
    #[arg(value_name = "SOURCE", required = true)]
    pub source: Vec<String>,
    /// byte, char, bpe:N or FILE.json, one or more [default: byte char bpe:512 bpe:1024]
    #[arg(long, value_name = "NAME", num_args = 1..)]
    pub tokenizer: Option<Vec<String>>,
    /// Which files.
    #[command(flatten)]
    pub folders: FolderArguments,
    /// Common flags.
    #[command(flatten)]
    pub common: CommonArguments,
}

/// `corpus stats`.
#[derive(Debug, Clone, Args)]
pub struct StatsArguments {
    /// As in `race --corpus`
    #[arg(value_name = "SOURCE", required = true)]
    pub source: Vec<String>,
    /// How to read files and folders.
    #[command(flatten)]
    pub reading: ReadingArguments,
    /// Tokens in a window
    #[arg(long, value_name = "TOKENS")]
    pub length: Option<usize>,
    /// Budget of unique training tokens
    #[arg(long, value_name = "TOKENS")]
    pub unique: Option<u64>,
    /// Tokens kept for validation, and as many for the test
    #[arg(long, value_name = "TOKENS")]
    pub held_out: Option<u64>,
    /// Common flags.
    #[command(flatten)]
    pub common: CommonArguments,
}

/// How to read files and folders.
#[derive(Debug, Clone, Default, PartialEq, Args)]
pub struct ReadingArguments {
    /// byte, char, bpe:N or FILE.json [default: char]
    #[arg(long, value_name = "NAME")]
    pub tokenizer: Option<String>,
    /// Which files.
    #[command(flatten)]
    pub folders: FolderArguments,
}

/// Which files of a folder to read.
#[derive(Debug, Clone, Default, PartialEq, Args)]
pub struct FolderArguments {
    /// Read only files of these kinds in folders, such as rs,md [default: every file that isn't binary]
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    pub extensions: Option<Vec<String>>,
    /// Field of a record that is its text, in .jsonl, .jsonl.zst and .parquet files [default: text]
    #[arg(long, value_name = "NAME")]
    pub text_field: Option<String>,
    /// Leave out files that can't be read as text, instead of refusing them
    #[arg(long)]
    pub skip_unreadable: bool,
}

/// `corpus files` and `corpus code`.
#[derive(Debug, Clone, Args)]
pub struct FilesArguments {
    /// Files and folders
    #[arg(value_name = "PATH", required = true)]
    pub paths: Vec<String>,
    /// Write token shards to this folder, for `race --corpus DIR`
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Tokens in a shard file [default: 67108864]
    #[arg(long, value_name = "TOKENS", requires = "out")]
    pub shard_tokens: Option<usize>,
    /// How to read files and folders.
    #[command(flatten)]
    pub reading: ReadingArguments,
    /// Common flags.
    #[command(flatten)]
    pub common: CommonArguments,
}

/// `corpus tales`.
#[derive(Debug, Clone, Args)]
pub struct TalesArguments {
    /// Stories to write
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub count: usize,
    /// Common flags.
    #[command(flatten)]
    pub common: CommonArguments,
}

/// `corpus markov`.
#[derive(Debug, Clone, Args)]
pub struct MarkovArguments {
    /// The chain
    #[arg(value_name = "FILE.toml")]
    pub file: PathBuf,
    /// Tokens to write
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    pub tokens: usize,
    /// Tokens in a window, for the exact entropy
    #[arg(long, value_name = "TOKENS", default_value_t = 64)]
    pub length: usize,
    /// Common flags.
    #[command(flatten)]
    pub common: CommonArguments,
}

/// `corpus grids`.
#[derive(Debug, Clone, Args)]
pub struct GridsArguments {
    /// latin-5, latin-6, sudoku-4 or sudoku-6
    #[arg(value_name = "NAME")]
    pub name: String,
    /// Grids to write
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub count: usize,
    /// Common flags.
    #[command(flatten)]
    pub common: CommonArguments,
}

/// `flops`.
#[derive(Debug, Clone, Args)]
pub struct FlopsArguments {
    /// paper-1b, paper-1.7b, paper-8b, paper-8b1a, or a preset of `race` [default: the default race's shape]
    #[arg(long, value_name = "NAME")]
    pub preset: Option<String>,
    /// Configuration file
    #[arg(long, value_name = "FILE.toml", conflicts_with = "preset")]
    pub config: Option<PathBuf>,
    /// Model shape flags.
    #[command(flatten)]
    pub model: ModelArguments,
    /// Token ids, MASK included
    #[arg(long, value_name = "N")]
    pub vocab_size: Option<usize>,
    /// Tokens in a window
    #[arg(long, value_name = "TOKENS")]
    pub length: Option<usize>,
    /// Windows in a training step [default: the preset's or file's]
    #[arg(long, value_name = "N")]
    pub batch: Option<usize>,
    /// As if blocks were computed twice
    #[arg(long)]
    pub recompute: bool,
    /// Training on many GPUs.
    #[command(flatten)]
    pub cluster: ClusterArguments,
    /// Common flags.
    #[command(flatten)]
    pub common: CommonArguments,
}

/// Training on many GPUs, as `flops` predicts it.
#[derive(Debug, Clone, Default, Args)]
pub struct ClusterArguments {
    /// Predict steps on 1, 2, 4 and so on up to N ranks, a GPU each
    #[arg(long, value_name = "N", help_heading = "Cluster")]
    pub ranks: Option<usize>,
    /// GPU of each rank (h100, h200, b200, a100, l40s, rtx-4090), or its peak in TFLOP/s [default: h100]
    #[arg(
        long,
        value_name = "NAME",
        requires = "ranks",
        help_heading = "Cluster"
    )]
    pub gpu: Option<String>,
    /// Share of its peak that a rank reaches alone [default: 0.4]
    #[arg(
        long,
        value_name = "SHARE",
        requires = "ranks",
        help_heading = "Cluster",
        allow_negative_numbers = true
    )]
    pub mfu: Option<f64>,
    /// INSIDE+BETWEEN: links inside nodes and between them; or one for all ranks. nvlink3, nvlink4, nvlink5, pcie4, pcie5,
    /// shared-memory, hdr200, ndr400, ethernet25, ethernet100, or GB/s:MICROSECONDS such as 48:9.6 [default: nvlink4+ndr400]
    #[arg(
        long,
        value_name = "LINKS",
        requires = "ranks",
        help_heading = "Cluster"
    )]
    pub interconnect: Option<String>,
    /// Ranks of a full node [default: 8]
    #[arg(long, value_name = "N", requires = "ranks", help_heading = "Cluster")]
    pub ranks_per_node: Option<usize>,
    /// How numbers are stored: bf16 (with a 32-bit copy of the weights) or f32 [default: bf16]
    #[arg(
        long,
        value_name = "NAME",
        requires = "ranks",
        help_heading = "Cluster"
    )]
    pub precision: Option<String>,
    /// Windows on each rank, so that the batch grows with the ranks [default: --batch is shared out]
    #[arg(
        long,
        value_name = "N",
        requires = "ranks",
        conflicts_with = "batch",
        help_heading = "Cluster"
    )]
    pub batch_per_rank: Option<usize>,
    /// Windows that a rank computes at once [default: the file's or preset's, otherwise all it has]
    #[arg(long, value_name = "N", requires = "ranks", help_heading = "Cluster")]
    pub micro_batch: Option<usize>,
    /// 0 keeps the optimizer's state on each rank, 1 shares it out (ZeRO) [default: the file's or preset's]
    #[arg(long, value_name = "N", requires = "ranks", help_heading = "Cluster")]
    pub zero_stage: Option<u8>,
    /// What `--zero-stage 1` was called before.
    #[arg(long, requires = "ranks", conflicts_with = "zero_stage", hide = true)]
    pub zero1: bool,
    /// As if gradients were sent only once the backward pass is over
    #[arg(long, requires = "ranks", help_heading = "Cluster")]
    pub no_overlap: bool,
    /// Tokens of the whole run, such as 96e9, to say how many days it takes [default: the file's or preset's]
    #[arg(
        long,
        value_name = "TOKENS",
        requires = "ranks",
        help_heading = "Cluster",
        allow_negative_numbers = true
    )]
    pub tokens: Option<f64>,
}

/// `bench`.
#[derive(Debug, Clone, Args)]
pub struct BenchArguments {
    /// Shape and batch: 0.5m, 1m, 6m, 10m, 30m or 100m (parameters), or web-quick, web-markov or web-half-hour (what the
    /// page trains); flags override it [default: 0.5m]
    #[arg(long, value_name = "NAME")]
    pub preset: Option<String>,
    /// Model shape flags.
    #[command(flatten)]
    pub model: ModelArguments,
    /// Windows in a step of each process, or written at once [default: the preset's; 1 with `--writing`]
    #[arg(long, value_name = "N")]
    pub batch: Option<usize>,
    /// Tokens in a window [default: the preset's]
    #[arg(long, value_name = "TOKENS")]
    pub length: Option<usize>,
    /// Token ids, MASK included [default: the preset's, 66 with those named by size]
    #[arg(long, value_name = "N")]
    pub vocab_size: Option<usize>,
    /// Training steps to time in a round, after three to warm up [default: the preset's]
    #[arg(long, value_name = "N")]
    pub steps: Option<u64>,
    /// Compute blocks twice, as `train --recompute`
    #[arg(long)]
    pub recompute: bool,
    /// Train in f32, bf16 or f16, as `train --precision` [default: f32]
    #[arg(long, value_name = "NAME", conflicts_with = "writing")]
    pub precision: Option<String>,
    /// Times that everything is measured, PyTorch in turns with us
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub rounds: u64,
    /// Time writing instead of training: forward (a forward pass), ar, ar-cached and denoising (64 steps), or those listed
    #[arg(
        long,
        value_name = "LIST",
        num_args = 0..=1,
        default_missing_value = "forward,ar,ar-cached,denoising",
        value_delimiter = ',',
        value_parser = named::<Method>
    )]
    pub writing: Vec<Method>,
    /// How several processes add up what their GPUs hold: nccl, mpi or auto, as `train --engine`
    #[arg(long, value_name = "NAME", value_parser = named::<EngineChoice>)]
    pub engine: Option<EngineChoice>,
    /// PyTorch to compare with: eager, compile (training alone, minutes to warm up) or none; $CROSSOVER_PEER_PYTHON names a
    /// Python that has it [default: eager, with python3]
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = named::<Mode>)]
    pub peer: Vec<Mode>,
    /// Common flags.
    #[command(flatten)]
    pub common: CommonArguments,
}

/// `export`.
#[derive(Debug, Clone, Args)]
pub struct ExportArguments {
    /// The checkpoint, or a folder in Hugging Face's layout
    #[arg(long, value_name = "FILE|DIR")]
    pub checkpoint: PathBuf,
    /// Where to write it: FILE.safetensors, or a folder in Hugging Face's layout
    #[arg(short, long, value_name = "FILE|DIR")]
    pub out: PathBuf,
    /// Leave out what only training needs: a third of the size; a folder never has it
    #[arg(long)]
    pub weights_only: bool,
    /// How numbers are stored: f32 or bf16, which halves the size and is for use only
    #[arg(long, value_name = "TYPE", default_value = "f32")]
    pub dtype: String,
    /// Common flags.
    #[command(flatten)]
    pub common: CommonArguments,
}

/// `import`.
#[derive(Debug, Clone, Args)]
pub struct ImportArguments {
    /// The model: a folder with `config.json`, `tokenizer.json` and safetensors files; or one such file, or their index, in it
    #[arg(value_name = "FOLDER|FILE")]
    pub source: PathBuf,
    /// Where to write it
    #[arg(short, long, value_name = "FILE")]
    pub out: PathBuf,
    /// Tokens in a window [default: as many as the model was made for, at most 1024]
    #[arg(long, value_name = "N")]
    pub length: Option<usize>,
    /// How numbers are stored: f32 or bf16, which halves the size
    #[arg(long, value_name = "TYPE", default_value = "f32")]
    pub dtype: String,
    /// Common flags.
    #[command(flatten)]
    pub common: CommonArguments,
}

/// `report`.
#[derive(Debug, Clone, Args)]
pub struct ReportArguments {
    /// Run directories
    #[arg(value_name = "DIR", required = true)]
    pub folders: Vec<PathBuf>,
    /// Common flags.
    #[command(flatten)]
    pub common: CommonArguments,
}

/// `sweep`.
#[derive(Debug, Clone, Args)]
pub struct SweepArguments {
    /// The sweep: a TOML file, or one of those listed below
    #[arg(value_name = "FILE.toml|NAME")]
    pub file: PathBuf,
    /// Folder of the sweep; the same again goes on with it [default: runs/sweep-<name>-<scale>]
    #[arg(short, long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Which of the file's scales: cpu, gpu, paper or what else it has [default: cpu]
    #[arg(long, value_name = "NAME")]
    pub scale: Option<String>,
    /// Runs at once [default: one for each thread on the processor, one on a GPU]
    #[arg(short, long, value_name = "N")]
    pub jobs: Option<usize>,
    /// Seeds of each point: --seed and those after it [default: the file's, or 1]
    #[arg(long, value_name = "N")]
    pub seeds: Option<u64>,
    /// Text in the place of the file's, as in `race --corpus`
    #[arg(long, value_name = "SOURCE", num_args = 1..)]
    pub corpus: Option<Vec<String>>,
    /// Common flags.
    #[command(flatten)]
    pub common: CommonArguments,
}

/// `plan`.
#[derive(Debug, Clone, Args)]
pub struct PlanArguments {
    /// Unique training tokens, such as 20000 or 1e6
    #[arg(long, value_name = "TOKENS", allow_negative_numbers = true)]
    pub unique: f64,
    /// What may be spent on each model: FLOPs such as 2e13, or time such as 20m or 3h
    #[arg(long, value_name = "FLOPS|TIME")]
    pub budget: String,
    /// FLOPs a second that training reaches [default: measured here in some seconds, where the budget is a time]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub speed: Option<f64>,
    /// Tokens in a window [default: 64]
    #[arg(long, value_name = "TOKENS")]
    pub length: Option<usize>,
    /// Token ids, MASK included [default: 66, an English text by character]
    #[arg(long, value_name = "N")]
    pub vocab_size: Option<usize>,
    /// Folder of a sweep of yours, whose fitted laws are taken where it has them
    #[arg(long, value_name = "DIR")]
    pub from: Option<PathBuf>,
    /// Common flags.
    #[command(flatten)]
    pub common: CommonArguments,
}

/// `serve`.
#[derive(Debug, Clone, Args)]
pub struct ServeArguments {
    /// Port on 127.0.0.1; 0 takes any free one
    #[arg(long, value_name = "N", default_value_t = 8080)]
    pub port: u16,
    /// Folder that `cargo xtask web` has written
    #[arg(long, value_name = "DIR", default_value = "dist")]
    pub folder: PathBuf,
    /// Common flags.
    #[command(flatten)]
    pub common: CommonArguments,
}

/// `doctor`.
#[derive(Debug, Clone, Args)]
pub struct DoctorArguments {
    /// Common flags.
    #[command(flatten)]
    pub common: CommonArguments,
}

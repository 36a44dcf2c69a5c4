//! One decoder for every objective: RMSNorm, rotary positions, normalised queries and keys (unless a model from elsewhere has
//! none), SwiGLU, no biases.
//!
//! Token ids `[batch, length]` enter with a [`Visibility`]; logits leave. The model does not know which objective asks,
//! nor that diffusion exists: only who may see whom differs. [`config`] gives the shape, [`weights`] the parameters on
//! the host under Hugging Face's Qwen3 names, [`decoder`] the computation, [`cache`] what it remembers of a window that it
//! reads in parts, [`mixture`] the experts that may take the feed-forward layer's place; [`recompute`] is how it is
//! differentiated in less memory; [`predictor`] is what evaluation and sampling ask of any model.

pub mod attention;
pub mod block;
pub mod cache;
pub mod config;
pub mod decoder;
pub mod dropout;
pub mod feed_forward;
pub mod mixture;
pub mod operations;
pub mod predictor;
pub mod recompute;
pub mod rotary;
pub mod weights;

pub use cache::{Cache, Read};
pub use config::{Experts, ModelConfig, Shape};
pub use decoder::Decoder;
pub use dropout::Dropout;
pub use mixture::Routing;
pub use operations::Ops;
pub use predictor::{Predictor, Visibility};
pub use weights::Weights;

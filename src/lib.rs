//! Crossover trains small autoregressive and diffusion language models side by side and measures where one overtakes
//! the other.
//!
//! The rooms, in the order data flows; each imports only from those above it:
//!
//! - [`error`], [`device`], [`random`], [`platform`]: the ground floor, open to all.
//! - [`corpus`]: text to tokens, a budget of unique tokens, the order of windows, three parts that never touch.
//! - [`model`]: one decoder for every objective; only who may see whom differs.
//! - [`objective`]: what is hidden, what is predicted, and how predictions are weighted.
//! - [`laws`]: FLOPs of training and generation, and published laws to set beside a measurement.
//! - [`sample`]: writing text, token after token or by denoising, every step recorded in a trace.
//! - [`evaluate`]: likelihoods and bounds with standard errors.
//! - [`train`]: the optimizer step, checkpoints, the run directory.
//! - [`lab`]: the one door to runs: a [`lab::Command`] goes in, [`lab::Event`]s come out.

pub mod corpus;
pub mod device;
pub mod error;
pub mod evaluate;
pub mod lab;
pub mod laws;
pub mod model;
pub mod objective;
pub mod platform;
pub mod random;
pub mod sample;
pub mod train;

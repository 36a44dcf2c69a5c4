//! How runs end: the figures of a result.

use serde::{Deserialize, Serialize};

use crate::evaluate::Mean;
use crate::objective::{Bound, Objective};

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Outcome {
    /// Two models.
    Race(RaceResult),
    /// One model.
    Train(TrainResult),
}

/// A mean with its standard error.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The mean.
    pub mean: f64,
    /// Its standard error.
    pub se: f64,
}

impl From<Mean> for Estimate {
    fn from(mean: Mean) -> Self {
        Self {
            mean: mean.mean,
            se: mean.se,
        }
    }
}

/// The race's headline: the best checkpoints re-measured on the test part, and where the curves crossed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RaceResult {
    /// AR's exact test NLL at its best checkpoint, nats per token.
    pub ar_best_nats: f64,
    /// Its standard error.
    pub ar_best_se: f64,
    /// Step of AR's best checkpoint.
    pub ar_best_step: u64,
    /// What the second model is.
    pub second: Objective,
    /// Tokens in a block, where it is block diffusion.
    pub block_size: Option<usize>,
    /// The second model's test bound at its best checkpoint, nats per token. (Exact for blocks of one token.)
    pub masked_best_nats: f64,
    /// Its standard error.
    pub masked_best_se: f64,
    /// Step of the second model's best checkpoint.
    pub masked_best_step: u64,
    /// The second model's bound minus AR NLL over the same test windows: negative when diffusion wins.
    pub difference: f64,
    /// Standard error of the difference, paired by window.
    pub difference_se: f64,
    /// First evaluation from which on the diffusion bound is below AR's NLL at equal tokens.
    pub curve_crossover_epoch: Option<f64>,
    /// First evaluation at which the diffusion bound is below the lowest AR NLL of the whole run by more than twice
    /// the paired standard error, confirmed on the test part.
    pub envelope_crossover_epoch: Option<f64>,
    /// The same model read left to right, where the second model is dual.
    pub dual_ar: Option<DualAr>,
    /// Lowest possible loss, where the source is known.
    pub floor_nats: Option<f64>,
    /// The diffusion model's exact NLL when it writes left to right, nats per token.
    pub masked_left_to_right: Option<Estimate>,
    /// The diffusion model's tighter bound from several random orders, nats per token.
    pub masked_k_order: Option<Estimate>,
    /// How many orders that bound averages.
    pub orders: Option<u64>,
    /// Test windows measured.
    pub test_windows: u64,
    /// Tokens measured.
    pub tokens: u64,
    /// Characters per token of the test part (for bits per character).
    pub characters_per_token: f64,
    /// Bytes per token of the test part (for bits per byte).
    pub bytes_per_token: f64,
    /// For grids: how many of each model's samples are valid, and new.
    pub grids: Option<Vec<GridShare>>,
    /// Largest resident memory of the process, bytes.
    pub peak_memory_bytes: Option<u64>,
    /// Wall-clock seconds since the run was started or resumed, evaluation included.
    pub wall_seconds: f64,
}

/// A dual model's other likelihood: the exact one, left to right, on the test part.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct DualAr {
    /// Its exact NLL, nats per token.
    pub nats: f64,
    /// Its standard error.
    pub se: f64,
    /// That minus the AR model's NLL over the same windows.
    pub difference: f64,
    /// Standard error of the difference, paired by window.
    pub difference_se: f64,
    /// First evaluation at which it is below the AR model's lowest NLL by more than twice the paired standard error,
    /// confirmed on the test part.
    pub envelope_crossover_epoch: Option<f64>,
}

/// How many of a model's sampled grids keep every rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GridShare {
    /// Whose samples.
    pub objective: Objective,
    /// Samples drawn.
    pub samples: u64,
    /// Share of valid samples.
    pub valid: Estimate,
    /// Share of samples that are valid and not among the training grids.
    pub novel: Estimate,
}

/// The result of training one model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrainResult {
    /// Which.
    pub objective: Objective,
    /// Test loss of the best checkpoint, nats per token.
    pub nats: f64,
    /// Its standard error.
    pub se: f64,
    /// Whether that is exact or a bound.
    pub bound: Bound,
    /// For a dual model, whose `nats` are its diffusion bound: its exact left-to-right NLL.
    pub dual_ar: Option<Estimate>,
    /// Tokens measured.
    pub tokens: u64,
    /// Step of the best checkpoint.
    pub best_step: u64,
    /// Lowest possible loss, where the source is known.
    pub floor_nats: Option<f64>,
    /// For grids: how many samples are valid, and new.
    pub grids: Option<Vec<GridShare>>,
    /// Characters per token of the test part.
    pub characters_per_token: f64,
    /// Bytes per token of the test part.
    pub bytes_per_token: f64,
    /// Largest resident memory of the process, bytes.
    pub peak_memory_bytes: Option<u64>,
    /// Wall-clock seconds since the run was started or resumed, evaluation included.
    pub wall_seconds: f64,
}

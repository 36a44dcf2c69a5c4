//! Objectives: what is hidden, what is predicted, and how each prediction is weighted.
//!
//! A window of tokens enters; a [`Batch`] leaves: inputs, targets, weights, and who may see whom. The model never
//! learns which objective asked. [`autoregressive`] hides the future, [`masked`] hides a random subset.

pub mod autoregressive;
pub mod masked;

use serde::{Deserialize, Serialize};

use crate::model::Visibility;

/// What a model is trained to do; also its name in files and flags.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Objective {
    /// Predicts each token from those before it.
    #[serde(rename = "ar")]
    Autoregressive,
    /// Predicts masked tokens from the others (masked diffusion).
    Masked,
}

impl Objective {
    /// The name in files and flags.
    pub fn name(self) -> &'static str {
        match self {
            Self::Autoregressive => "ar",
            Self::Masked => "masked",
        }
    }

    /// Who may see whom while this objective trains.
    pub fn visibility(self) -> Visibility {
        match self {
            Self::Autoregressive => Visibility::Causal,
            Self::Masked => Visibility::Full,
        }
    }

    /// What this objective's loss is: the exact negative log-likelihood, or a bound above it.
    pub fn bound(self) -> Bound {
        match self {
            Self::Autoregressive => Bound::Exact,
            Self::Masked => Bound::Elbo,
        }
    }
}

/// What a loss figure is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Bound {
    /// The exact negative log-likelihood.
    Exact,
    /// The negative evidence lower bound: the true figure is at or below it.
    Elbo,
}

/// What one optimizer step sees: `batch` sequences of `length` tokens, row after row.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// Tokens the model reads: `[batch * length]`.
    pub inputs: Vec<u32>,
    /// Tokens it should predict: `[batch * length]`.
    pub targets: Vec<u32>,
    /// Weight of each prediction's cross-entropy; the loss is the weighted sum, in nats per token: `[batch * length]`.
    pub weights: Vec<f32>,
    /// Number of tokens in a sequence.
    pub length: usize,
    /// Who may see whom.
    pub visibility: Visibility,
}

/// How objectives are computed in training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ObjectiveConfig {
    /// How masked diffusion draws and weights its masks.
    pub estimator: masked::Estimator,
    /// Share of masked batches cut to a random length, as LLaDA does with 1%; 0 is off.
    pub random_length: f64,
    /// Probability of replacing an input of the autoregressive model by MASK in training (an ablation).
    pub input_mask: f64,
}

impl Default for ObjectiveConfig {
    fn default() -> Self {
        Self {
            estimator: masked::Estimator::ExactL,
            random_length: 0.0,
            input_mask: 0.0,
        }
    }
}

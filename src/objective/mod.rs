//! Objectives: what is hidden, what is predicted, and how each prediction is weighted.
//!
//! A window of tokens enters; a [`Batch`] leaves: inputs, targets, weights, and who may see whom. The model never
//! learns which objective asked. [`autoregressive`] hides the future, [`masked`] hides a random subset of each block; one
//! block of the whole window is masked diffusion, smaller ones are block diffusion.
//!
//! Three words are kept apart. An [`Objective`] is what a model is trained for. A [`Likelihood`] is one way of measuring
//! it, and a name in files; the dual objective has two. A [`Factorization`] is what that means for a model with windows
//! of a known length: which conditional distributions are asked for.

pub mod autoregressive;
pub mod masked;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::model::{ModelConfig, Routing, Visibility};

/// What a model is trained to do; also its name in files and flags.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Objective {
    /// Predicts each token from those before it.
    #[serde(rename = "ar")]
    Autoregressive,
    /// Predicts masked tokens from the others (masked diffusion).
    Masked,
    /// Predicts masked tokens of a block from the rest of it and the blocks before (BD3-LM, arXiv 2503.09573).
    Block,
    /// A share of each batch autoregressive, the rest masked diffusion, in one model (arXiv 2512.14549).
    Dual,
}

impl Objective {
    /// Every objective.
    pub const ALL: [Self; 4] = [Self::Autoregressive, Self::Masked, Self::Block, Self::Dual];

    /// The name in files and flags.
    pub fn name(self) -> &'static str {
        match self {
            Self::Autoregressive => "ar",
            Self::Masked => "masked",
            Self::Block => "block",
            Self::Dual => "dual",
        }
    }

    /// Refuses experts that would see what a prediction may not: those that choose compare all tokens of a window, so where a
    /// part of it is hidden from a token, that part would have a say in what the token is told.
    ///
    /// # Errors
    /// When experts choose, and this is not masked diffusion over the whole window.
    pub fn check_routing(self, model: &ModelConfig) -> Result<()> {
        let hidden = match (self, model.expert_routing) {
            (_, None | Some(Routing::TokenChoice)) | (Self::Masked, _) => return Ok(()),
            (Self::Autoregressive | Self::Dual, _) => "the tokens behind it",
            (Self::Block, _) => "the blocks behind it",
        };
        Err(Error::input(format!(
            "with `expert-choice` routing the {} model would learn of {hidden} which experts are free",
            self.name()
        ))
        .with_hint(
            "use `--routing token-choice`, or train masked diffusion alone: `crossover train --objective masked`",
        ))
    }

    /// The ways a model of this objective is measured; a diffusion bound, where there is one, comes last.
    pub fn likelihoods(self) -> &'static [Likelihood] {
        match self {
            Self::Autoregressive => &[Likelihood::Autoregressive],
            Self::Masked => &[Likelihood::Masked],
            Self::Block => &[Likelihood::Block],
            Self::Dual => &[Likelihood::Autoregressive, Likelihood::Masked],
        }
    }

    /// The likelihood that stands for a model of this objective, the last of [`Objective::likelihoods`]: its headline, and
    /// how it writes.
    pub fn headline(self) -> Likelihood {
        match self {
            Self::Autoregressive => Likelihood::Autoregressive,
            Self::Masked | Self::Dual => Likelihood::Masked,
            Self::Block => Likelihood::Block,
        }
    }
}

/// A way of measuring how likely a text is; also its name in files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Likelihood {
    /// Token by token, left to right.
    #[serde(rename = "ar")]
    Autoregressive,
    /// Masked diffusion over the whole window.
    Masked,
    /// Masked diffusion inside blocks, block by block.
    Block,
}

impl Likelihood {
    /// The name in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Autoregressive => "ar",
            Self::Masked => "masked",
            Self::Block => "block",
        }
    }

    /// What this likelihood asks of a model with windows of `length` tokens and blocks of `block_size`.
    ///
    /// The ends of the dial are the other two: blocks of one token are plain autoregression (one hidden token, fully
    /// masked, is predicted from all before it), and one block of the whole window is masked diffusion.
    pub fn factorization(self, length: usize, block_size: Option<usize>) -> Factorization {
        match (self, block_size) {
            (Self::Autoregressive, _) | (Self::Block, Some(1)) => Factorization::LeftToRight,
            (Self::Block, Some(size)) => Factorization::Blocks { size },
            (Self::Masked, _) | (Self::Block, None) => Factorization::Blocks { size: length },
        }
    }
}

/// Which conditional distributions a model is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Factorization {
    /// Each token given those before it.
    LeftToRight,
    /// Each block given those before it; inside a block any subset given the rest.
    Blocks {
        /// Tokens in a block.
        size: usize,
    },
}

impl Factorization {
    /// What a loss measured this way is.
    pub fn bound(self) -> Bound {
        match self {
            Self::LeftToRight => Bound::Exact,
            Self::Blocks { .. } => Bound::Elbo,
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
    /// Tokens the model reads: `[batch * copies * length]`, see [`Visibility::copies`].
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

impl Batch {
    /// Number of windows.
    pub fn sequences(&self) -> usize {
        self.targets.len() / self.length
    }

    /// Tokens the model reads of each window, all copies of it together.
    pub fn sequence_length(&self) -> usize {
        self.visibility.copies() * self.length
    }
}

/// How objectives are computed in training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ObjectiveConfig {
    /// How masked diffusion draws and weights its masks.
    pub estimator: masked::Estimator,
    /// Share of masked batches cut to a random length, as LLaDA does with 1%; 0 is off. Block diffusion has none.
    pub random_length: f64,
    /// Probability of replacing an input of the autoregressive model by MASK in training (an ablation).
    pub input_mask: f64,
    /// Tokens in a block of block diffusion; automatic: the divisor of the window's length that is nearest to 4.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub block_size: Option<usize>,
    /// Share of a dual model's batch that is autoregressive, rounded to whole windows.
    pub dual_fraction: f64,
}

/// The block size the automatic choice is near to: the smallest of those BD3-LM reports.
const USUAL_BLOCK: usize = 4;

impl ObjectiveConfig {
    /// Tokens in a block where windows have `length`.
    ///
    /// # Errors
    /// When the size that was asked for doesn't divide the length.
    pub fn block_size(&self, length: usize) -> Result<usize> {
        let divides = |size: &usize| *size > 0 && length.is_multiple_of(*size);
        let divisors = || (1..=length).filter(divides);
        match self.block_size {
            None => Ok(divisors()
                .rev()
                .min_by_key(|size| size.abs_diff(USUAL_BLOCK))
                .unwrap_or(length)),
            Some(size) if divides(&size) => Ok(size),
            Some(size) => {
                let known: Vec<String> = divisors().map(|size| size.to_string()).collect();
                Err(Error::input(format!(
                    "blocks of {size} tokens don't fill a window of {length}"
                ))
                .with_hint(format!("`--block-size` can be {}", known.join(", "))))
            }
        }
    }
}

impl Default for ObjectiveConfig {
    fn default() -> Self {
        Self {
            estimator: masked::Estimator::ExactL,
            random_length: 0.0,
            input_mask: 0.0,
            block_size: None,
            dual_fraction: 0.5,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_divides_the_window() {
        let size = |asked, length| {
            ObjectiveConfig {
                block_size: asked,
                ..ObjectiveConfig::default()
            }
            .block_size(length)
        };
        let automatic = [64, 25, 36, 16, 7, 1].map(|length| size(None, length).ok());
        assert_eq!(automatic, [4, 5, 4, 4, 7, 1].map(Some));
        assert_eq!(size(Some(8), 64).ok(), Some(8));
        let error = size(Some(5), 16).err();
        assert_eq!(
            error.as_ref().map(ToString::to_string).as_deref(),
            Some("blocks of 5 tokens don't fill a window of 16")
        );
        assert_eq!(
            error.as_ref().and_then(Error::hint),
            Some("`--block-size` can be 1, 2, 4, 8, 16")
        );
        assert!(size(Some(0), 16).is_err());
    }

    #[test]
    fn the_ends_of_the_dial_are_the_other_two() {
        let block = |size| Likelihood::Block.factorization(8, Some(size));
        assert_eq!(block(1), Likelihood::Autoregressive.factorization(8, None));
        assert_eq!(block(8), Likelihood::Masked.factorization(8, None));
        assert_eq!(block(2), Factorization::Blocks { size: 2 });
    }
}

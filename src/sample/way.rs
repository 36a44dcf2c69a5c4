//! Either way of writing, for callers that don't mind which.

use std::ops::Range;

use crate::error::Result;
use crate::model::Predictor;
use crate::sample::autoregressive::{Decoding, decode};
use crate::sample::canvas::Sample;
use crate::sample::denoise::{Denoising, denoise};
use crate::sample::order::Sampler;
use crate::sample::trace::Header;

/// A way of writing, with all that belongs to it.
#[derive(Debug, Clone, PartialEq)]
pub enum Way {
    /// One token after the other.
    LeftToRight(Decoding),
    /// All positions at once, in steps.
    Denoising(Denoising),
}

impl Way {
    /// Its name in tables and files.
    pub fn name(&self) -> &'static str {
        match self {
            Self::LeftToRight(_) => Decoding::NAME,
            Self::Denoising(denoising) => denoising.sampler.name(),
        }
    }

    /// Tokens of a sample.
    pub fn length(&self) -> usize {
        match self {
            Self::LeftToRight(decoding) => decoding.length,
            Self::Denoising(denoising) => denoising.template.len(),
        }
    }

    /// The order of its denoising.
    pub fn sampler(&self) -> Option<Sampler> {
        match self {
            Self::LeftToRight(_) => None,
            Self::Denoising(denoising) => Some(denoising.sampler),
        }
    }

    /// The number of steps it was asked for, where that is anybody's choice but its own.
    pub fn asked_steps(&self) -> Option<usize> {
        match self {
            Self::Denoising(denoising) if !denoising.sampler.chooses_its_steps() => {
                Some(denoising.steps)
            }
            _ => None,
        }
    }

    /// The first line of a sample's trace.
    pub fn header(&self, sample: u64, vocab: Option<Vec<String>>) -> Header {
        match self {
            Self::LeftToRight(decoding) => decoding.header(sample, vocab),
            Self::Denoising(denoising) => denoising.header(sample, vocab),
        }
    }

    /// Refuses what a model whose MASK is `mask_id` can't write.
    ///
    /// # Errors
    /// As [`Decoding::check`] and [`Denoising::check`].
    pub fn check(&self, mask_id: u32) -> Result<()> {
        match self {
            Self::LeftToRight(decoding) => decoding.check(mask_id),
            Self::Denoising(denoising) => denoising.check(mask_id),
        }
    }

    /// Writes the samples with these indices.
    ///
    /// # Errors
    /// When [`Way::check`] refuses, or the model fails.
    pub async fn write<P: Predictor>(&self, model: &P, samples: Range<u64>) -> Result<Vec<Sample>> {
        match self {
            Self::LeftToRight(decoding) => decode(model, decoding, samples).await,
            Self::Denoising(denoising) => denoise(model, denoising, samples).await,
        }
    }
}

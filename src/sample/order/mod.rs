//! Orders: which positions a denoising step commits or hides again. A file each.
//!
//! An order sees numbers and returns positions. It never touches the model, the tokens or the random stream, so it is
//! a pure function, and the loop in `denoise.rs` alone guarantees that given and written tokens stay.

mod ancestral;
mod dream;
mod entropy;
mod entropy_bounded;
mod first_hitting;
mod low_confidence;
mod margin;
mod random;
mod remdm;
mod sampler;
mod schedule;
mod threshold;

use serde::{Deserialize, Serialize};

use crate::sample::draw::Drawn;

pub use sampler::{Parameters, Sampler};
pub use schedule::Schedule;

/// A rule for which positions to commit.
pub trait Order {
    /// What to do in a step. Asked at every step but the last, which commits all that is left.
    fn decide(&self, view: &StepView<'_>) -> Decision;

    /// The share of the free positions that should be masked when the share `t` of the time is left; both from 1 to 0.
    fn time(&self, t: f64) -> f64 {
        t
    }
}

/// What an order sees of a step.
#[derive(Debug, Clone, Copy)]
pub struct StepView<'a> {
    /// Share of the free positions that the schedule leaves masked before the step, above 0.
    pub t: f64,
    /// The same after it; `t` for samplers that choose their own steps.
    pub s: f64,
    /// How many positions the step commits where the schedule fixes it.
    pub quota: usize,
    /// The token drawn for each masked position, `None` where one is given or written: `[length]`.
    pub candidates: &'a [Option<Drawn>],
    /// The probability each written token had when it was written, `None` where one is given or masked: `[length]`.
    pub written: &'a [Option<f64>],
    /// A uniform random number on [0, 1) for each position: `[length]`.
    pub uniforms: &'a [f64],
}

impl StepView<'_> {
    /// The masked positions with the tokens drawn for them, left to right.
    fn masked(&self) -> impl Iterator<Item = (usize, &Drawn)> {
        let drawn = self.candidates.iter().enumerate();
        drawn.filter_map(|(position, drawn)| Some((position, drawn.as_ref()?)))
    }

    /// The `count` masked positions of the highest score, the surest first; among equals the leftmost.
    fn surest(&self, score: Score, count: usize) -> Vec<usize> {
        self.first_by(count, |_, drawn| -score.of(drawn))
    }

    /// The `count` masked positions of the lowest key, lowest first; among equals the leftmost.
    fn first_by(&self, count: usize, key: impl Fn(usize, &Drawn) -> f64) -> Vec<usize> {
        let mut ranked: Vec<(usize, f64)> = self
            .masked()
            .map(|(position, drawn)| (position, key(position, drawn)))
            .collect();
        // The sort is stable.
        ranked.sort_by(|(_, a), (_, b)| a.total_cmp(b));
        ranked.truncate(count);
        ranked.into_iter().map(|(position, _)| position).collect()
    }
}

/// What an order wants done; positions may come in any order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Decision {
    /// Masked positions whose candidate is written.
    pub commit: Vec<usize>,
    /// Written positions that are masked again.
    pub remask: Vec<usize>,
    /// The time after the step, where the order finds it itself.
    pub time: Option<f64>,
}

impl Decision {
    fn commit(positions: Vec<usize>) -> Self {
        Self {
            commit: positions,
            ..Self::default()
        }
    }
}

/// How sure the model is of a position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Score {
    /// The probability of the drawn token.
    Confidence,
    /// How far the likeliest token is ahead of the next.
    Margin,
    /// Minus the entropy of the distribution.
    Entropy,
}

impl Score {
    /// Higher is surer.
    fn of(self, drawn: &Drawn) -> f64 {
        match self {
            Self::Confidence => drawn.probability,
            Self::Margin => drawn.margin,
            Self::Entropy => -drawn.entropy,
        }
    }
}

/// What ReMDM hides again, and how often.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Remasking {
    /// Each written token with probability eta, as long as the schedule can make up for it.
    Cap,
    /// Each written token with the share eta of the largest probability that the schedule can make up for.
    Rescale,
    /// Tokens that were unlikely when they were written, rather than likely ones.
    Confidence,
    /// Writes nine tenths first, hides and reveals with probability eta for half of the steps, then finishes.
    Loop,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A candidate of this probability.
    pub fn drawn(probability: f64) -> Option<Drawn> {
        Some(Drawn {
            token: 0,
            probability,
            margin: 0.0,
            entropy: 0.1,
        })
    }

    /// A candidate from a distribution of this entropy.
    pub fn uncertain(entropy: f64) -> Option<Drawn> {
        Some(Drawn {
            token: 0,
            probability: 0.5,
            margin: 0.0,
            entropy,
        })
    }

    /// A step with nothing else to see.
    pub fn view(candidates: &[Option<Drawn>]) -> StepView<'_> {
        StepView {
            t: 1.0,
            s: 0.0,
            quota: 0,
            candidates,
            written: &[],
            uniforms: &[],
        }
    }
}

//! The page both ways of writing fill in, and the record kept of it.

use crate::random::{Purpose, Stream};
use crate::sample::draw::Drawn;
use crate::sample::trace::Step;

/// What was written, step by step, and what it took.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// The finished tokens, never MASK: `[length]`.
    pub tokens: Vec<u32>,
    /// Where an end-of-text token stopped it; `length` where none did.
    pub end: usize,
    /// The state after each step.
    pub steps: Vec<Step>,
    /// Forward passes that read this sample.
    pub model_calls: usize,
    /// Their floating-point operations.
    pub flops: f64,
}

impl Sample {
    /// The tokens of the text: those before its end.
    pub fn text(&self) -> &[u32] {
        &self.tokens[..self.end]
    }
}

/// What stands at a position before the first step.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Cell {
    /// Nothing: it is to be written.
    #[default]
    Free,
    /// A token that stays, whatever happens.
    Given(u32),
    /// A token that was written earlier, with this probability; an order may hide it again.
    Written(u32, f64),
}

impl Cell {
    /// The token, if there is one.
    pub fn token(self) -> Option<u32> {
        match self {
            Self::Free => None,
            Self::Given(token) | Self::Written(token, _) => Some(token),
        }
    }

    /// As a trace's prompt shows it: -1 unless given.
    pub(super) fn prompt(self) -> i64 {
        match self {
            Self::Given(token) => i64::from(token),
            Self::Free | Self::Written(..) => -1,
        }
    }
}

/// One sample while it is written.
pub(super) struct Canvas {
    /// Tokens so far, MASK where nothing is written: `[length]`.
    pub tokens: Vec<u32>,
    /// Whether the caller gave the token: `[length]`.
    pub given: Vec<bool>,
    /// The sample's own random numbers.
    pub stream: Stream,
    /// Where the text has ended, once it has.
    pub end: Option<usize>,
    /// Entropy of the last prediction at each position that was free then, nats: `[length]`.
    pub entropy: Vec<f32>,
    /// The likeliest tokens of that prediction with their probabilities, where they are kept: `[length][k]`.
    top: Option<Vec<Vec<(u32, f32)>>>,
    confidence: Vec<f32>,
    mask_id: u32,
    steps: Vec<Step>,
    model_calls: usize,
    flops: f64,
}

impl Canvas {
    /// A page with the template's tokens on it; `index` tells the samples of one seed apart.
    pub fn new(template: &[Cell], mask_id: u32, seed: u64, index: u64) -> Self {
        let confidence = |cell: &Cell| match cell {
            Cell::Free => 0.0,
            Cell::Given(_) => 1.0,
            Cell::Written(_, probability) => *probability as f32,
        };
        Self {
            tokens: template
                .iter()
                .map(|cell| cell.token().unwrap_or(mask_id))
                .collect(),
            confidence: template.iter().map(confidence).collect(),
            given: template
                .iter()
                .map(|cell| matches!(cell, Cell::Given(_)))
                .collect(),
            stream: Stream::new(seed, Purpose::Sampling, index, 0),
            end: None,
            entropy: vec![0.0; template.len()],
            top: None,
            mask_id,
            steps: Vec::new(),
            model_calls: 0,
            flops: 0.0,
        }
    }

    /// Whether nothing is written at a position.
    pub fn is_masked(&self, position: usize) -> bool {
        self.tokens[position] == self.mask_id
    }

    /// The probability of a token when it was written; `None` where one is given or nothing is written.
    pub fn written(&self, position: usize) -> Option<f64> {
        (!self.given[position] && !self.is_masked(position))
            .then(|| f64::from(self.confidence[position]))
    }

    /// The tokens as they would be if none had been given.
    pub fn without_given(&self) -> Vec<u32> {
        let cells = self.tokens.iter().zip(&self.given);
        cells
            .map(|(&token, &given)| if given { self.mask_id } else { token })
            .collect()
    }

    /// Keeps what the model says of a position, `[vocab_size - 1]`, and the `top` likeliest tokens.
    pub fn predict(&mut self, position: usize, entropy: f64, logs: &[f32], top: usize) {
        self.entropy[position] = entropy as f32;
        if top == 0 {
            return;
        }
        let cells = self.tokens.iter().zip(&self.given);
        let known = |(&token, &given)| {
            if given {
                vec![(token, 1.0)]
            } else {
                Vec::new()
            }
        };
        let kept = self.top.get_or_insert_with(|| cells.map(known).collect());
        kept[position] = likeliest(logs, top);
    }

    /// Ends the text at the first `stop` token that was written, if all before it is written and nothing behind it was
    /// given: what is free behind it becomes `stop` too. Gives the positions of those.
    pub fn end_at(&mut self, stop: Option<u32>) -> Vec<usize> {
        let length = self.tokens.len();
        let Some(end) = (0..length).find(|&i| Some(self.tokens[i]) == stop && !self.given[i])
        else {
            return Vec::new();
        };
        if (0..end).any(|i| self.is_masked(i)) || self.given[end..].contains(&true) {
            return Vec::new();
        }
        self.end = Some(end);
        let behind: Vec<usize> = (end..length).filter(|&i| self.is_masked(i)).collect();
        for &position in &behind {
            let certain = Drawn {
                token: self.tokens[end],
                probability: 1.0,
                margin: 1.0,
                entropy: 0.0,
            };
            self.commit(position, certain);
        }
        behind
    }

    /// Writes a token.
    pub fn commit(&mut self, position: usize, drawn: Drawn) {
        self.tokens[position] = drawn.token;
        self.confidence[position] = drawn.probability as f32;
        self.entropy[position] = drawn.entropy as f32;
    }

    /// Takes a token back.
    pub fn remask(&mut self, position: usize) {
        self.tokens[position] = self.mask_id;
        self.confidence[position] = 0.0;
    }

    /// Counts a reading of the page.
    pub fn count(&mut self, flops: f64) {
        self.model_calls += 1;
        self.flops += flops;
    }

    /// Adds the present state to the record, with the share `t` of the time left, and how far the predictions behind it
    /// were off where that is known.
    pub fn record(
        &mut self,
        t: f64,
        committed: Vec<usize>,
        remasked: Vec<usize>,
        divergence: Option<f64>,
    ) {
        let tokens = self.tokens.iter().map(|&token| {
            if token == self.mask_id {
                -1
            } else {
                i64::from(token)
            }
        });
        self.steps.push(Step {
            step: self.steps.len() + 1,
            t,
            tokens: tokens.collect(),
            committed,
            remasked,
            confidence: self.confidence.clone(),
            entropy: self.entropy.clone(),
            top: self.top.clone(),
            divergence,
        });
    }

    /// The finished sample.
    pub fn finish(self) -> Sample {
        Sample {
            end: self.end.unwrap_or(self.tokens.len()),
            tokens: self.tokens,
            steps: self.steps,
            flops: self.flops,
            model_calls: self.model_calls,
        }
    }
}

/// The `count` likeliest ids with their probabilities, the likeliest first; the logarithms need not be normalised.
fn likeliest(logs: &[f32], count: usize) -> Vec<(u32, f32)> {
    let peak = logs.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let weights: Vec<f32> = logs.iter().map(|log| libm::expf(log - peak)).collect();
    let total: f32 = weights.iter().sum();
    let mut ids: Vec<u32> = (0..weights.len() as u32).collect();
    ids.sort_by(|&a, &b| weights[b as usize].total_cmp(&weights[a as usize]));
    ids.truncate(count);
    ids.into_iter()
        .map(|id| (id, weights[id as usize] / total))
        .collect()
}

//! The page both ways of writing fill in, and the record kept of it.

use crate::random::{Purpose, Stream};
use crate::sample::draw::Drawn;
use crate::sample::trace::Step;

/// What was written, step by step, and what it took.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// The finished tokens, never MASK: `[length]`.
    pub tokens: Vec<u32>,
    /// The state after each step.
    pub steps: Vec<Step>,
    /// Forward passes that read this sample.
    pub model_calls: usize,
    /// Their floating-point operations.
    pub flops: f64,
}

/// One sample while it is written.
pub(super) struct Canvas {
    /// Tokens so far, MASK where nothing is written: `[length]`.
    pub tokens: Vec<u32>,
    /// Whether the caller gave the token: `[length]`.
    pub given: Vec<bool>,
    /// The sample's own random numbers.
    pub stream: Stream,
    /// Forward passes so far.
    pub model_calls: usize,
    /// Entropy of the last prediction at each position that was free then, nats: `[length]`.
    pub entropy: Vec<f32>,
    confidence: Vec<f32>,
    mask_id: u32,
    steps: Vec<Step>,
}

impl Canvas {
    /// An empty page with the template's tokens on it; `index` tells the samples of one seed apart.
    pub fn new(template: &[Option<u32>], mask_id: u32, seed: u64, index: u64) -> Self {
        let given: Vec<bool> = template.iter().map(Option::is_some).collect();
        Self {
            tokens: template
                .iter()
                .map(|token| token.unwrap_or(mask_id))
                .collect(),
            confidence: given
                .iter()
                .map(|&given| f32::from(u8::from(given)))
                .collect(),
            given,
            stream: Stream::new(seed, Purpose::Sampling, index, 0),
            model_calls: 0,
            entropy: vec![0.0; template.len()],
            mask_id,
            steps: Vec::new(),
        }
    }

    /// Whether nothing is written at a position.
    pub fn is_masked(&self, position: usize) -> bool {
        self.tokens[position] == self.mask_id
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

    /// Adds the present state to the record, as the end of step number `step` of `of`.
    pub fn record(&mut self, step: usize, of: usize, committed: Vec<usize>, remasked: Vec<usize>) {
        let tokens = self.tokens.iter().map(|&token| {
            if token == self.mask_id {
                -1
            } else {
                i64::from(token)
            }
        });
        self.steps.push(Step {
            step,
            t: (of - step) as f64 / of as f64,
            tokens: tokens.collect(),
            committed,
            remasked,
            confidence: self.confidence.clone(),
            entropy: self.entropy.clone(),
            top: None,
        });
    }

    /// The finished sample.
    pub fn finish(self, flops_per_call: f64) -> Sample {
        Sample {
            tokens: self.tokens,
            steps: self.steps,
            flops: self.model_calls as f64 * flops_per_call,
            model_calls: self.model_calls,
        }
    }
}

/// The template as a trace shows it: -1 where free.
pub(super) fn prompt(template: &[Option<u32>]) -> Vec<i64> {
    template
        .iter()
        .map(|token| token.map_or(-1, i64::from))
        .collect()
}

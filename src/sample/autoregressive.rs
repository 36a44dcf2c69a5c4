//! Writing left to right, one token a step.

use std::iter::once;
use std::ops::Range;

use crate::error::{Error, Result};
use crate::model::{Predictor, Visibility};
use crate::objective::Objective;
use crate::platform::yield_now;
use crate::sample::canvas::{Canvas, Sample, prompt};
use crate::sample::draw::Choice;
use crate::sample::trace::{Header, Settings};

/// What [`decode`] writes, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct Decoding {
    /// The text to continue: fewer than `length` tokens, possibly none.
    pub prompt: Vec<u32>,
    /// Number of tokens in all, prompt included.
    pub length: usize,
    /// How tokens are chosen.
    pub choice: Choice,
    /// Seed of the random numbers.
    pub seed: u64,
    /// Floating-point operations of one forward over `length` tokens, for the record.
    pub flops_per_call: f64,
}

impl Decoding {
    /// Refuses what can't be written by a model whose MASK is `mask_id`.
    ///
    /// # Errors
    /// When nothing is left to write, the prompt holds an id that is no token, or the choice chooses nothing.
    pub fn check(&self, mask_id: u32) -> Result<()> {
        self.choice.check()?;
        if self.prompt.len() >= self.length {
            return Err(Error::input(format!(
                "a prompt of {} tokens leaves nothing to write in {}",
                self.prompt.len(),
                self.length
            ))
            .with_hint("shorten the prompt or raise the length"));
        }
        match self.prompt.iter().find(|&&token| token >= mask_id) {
            Some(token) => Err(Error::input(format!("the prompt's id {token} is no token"))),
            None => Ok(()),
        }
    }

    /// The first line of a sample's trace.
    pub fn header(&self, sample: u64, vocab: Option<Vec<String>>) -> Header {
        Header {
            version: Header::VERSION,
            kind: Objective::Autoregressive,
            length: self.length,
            vocab,
            prompt: prompt(&self.template()),
            parent: None,
            sampler: Settings {
                name: "autoregressive".to_owned(),
                steps: self.length - self.prompt.len(),
                sample,
                choice: self.choice,
            },
            seed: self.seed,
        }
    }

    fn template(&self) -> Vec<Option<u32>> {
        let mut template: Vec<Option<u32>> = self.prompt.iter().copied().map(Some).collect();
        template.resize(self.length, None);
        template
    }
}

/// Writes the samples with these indices left to right, all in one batch.
///
/// Every step reads the whole window again: correct for any model, and each call costs the same.
///
/// # Errors
/// When [`Decoding::check`] refuses, or the model fails.
pub async fn decode<P: Predictor>(
    model: &P,
    decoding: &Decoding,
    samples: Range<u64>,
) -> Result<Vec<Sample>> {
    decoding.check(model.mask_id())?;
    if samples.is_empty() {
        return Ok(Vec::new());
    }
    let template = decoding.template();
    let mut canvases: Vec<Canvas> = samples
        .map(|index| Canvas::new(&template, model.mask_id(), decoding.seed, index))
        .collect();
    let (length, ids) = (decoding.length, model.vocab_size() - 1);
    let first = decoding.prompt.len();
    for position in first..length {
        // Shifted right behind the start token: position i is predicted from the tokens before it.
        let inputs: Vec<u32> = canvases
            .iter()
            .flat_map(|canvas| {
                once(model.mask_id()).chain(canvas.tokens[..length - 1].iter().copied())
            })
            .collect();
        let logs = model
            .log_probabilities(&inputs, length, Visibility::Causal)
            .await?;
        for (canvas, rows) in canvases.iter_mut().zip(logs.chunks_exact(length * ids)) {
            let row = &rows[position * ids..][..ids];
            let drawn = decoding.choice.draw(row, &mut canvas.stream)?;
            canvas.model_calls += 1;
            canvas.commit(position, drawn);
            canvas.record(position - first + 1, length - first, vec![position], vec![]);
        }
        yield_now().await;
    }
    Ok(canvases
        .into_iter()
        .map(|canvas| canvas.finish(decoding.flops_per_call))
        .collect())
}

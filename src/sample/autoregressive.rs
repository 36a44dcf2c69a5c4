//! Writing left to right, one token a step.

use std::iter::once;
use std::ops::Range;

use crate::error::{Error, Result};
use crate::laws::flops::ReadCost;
use crate::model::{Predictor, Visibility};
use crate::objective::Objective;
use crate::platform::yield_now;
use crate::sample::canvas::{Canvas, Cell, Sample};
use crate::sample::draw::Choice;
use crate::sample::order::{Parameters, Schedule};
use crate::sample::reading::{Caching, Question, Reader};
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
    /// The end-of-text token: nothing is written behind it.
    pub stop: Option<u32>,
    /// How many of each position's likeliest tokens the record keeps.
    pub top: usize,
    /// Seed of the random numbers.
    pub seed: u64,
    /// What is kept from token to token: everything, with [`Caching::Exact`], or nothing.
    pub cache: Caching,
    /// What reading costs, for the record.
    pub cost: ReadCost,
}

impl Decoding {
    /// Its name where samplers have theirs.
    pub const NAME: &str = "autoregressive";

    /// Continues a prompt up to `length` tokens, from the model's own distribution.
    pub fn new(prompt: Vec<u32>, length: usize, seed: u64) -> Self {
        Self {
            prompt,
            length,
            choice: Choice::default(),
            stop: None,
            top: 0,
            seed,
            cache: Caching::None,
            cost: ReadCost::default(),
        }
    }

    /// Refuses what can't be written by a model whose MASK is `mask_id`.
    ///
    /// # Errors
    /// When nothing is left to write, the prompt holds an id that is no token, the choice chooses nothing, or the cache is
    /// for another way of writing.
    pub fn check(&self, mask_id: u32) -> Result<()> {
        self.choice.check()?;
        self.cache.check(Visibility::Causal)?;
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
            prompt: self.template().into_iter().map(Cell::prompt).collect(),
            parent: None,
            sampler: Settings {
                name: Self::NAME.to_owned(),
                steps: self.length - self.prompt.len(),
                sample,
                choice: self.choice,
                parameters: Parameters::default(),
                schedule: Schedule::Linear,
                block_size: None,
                cfg: 0.0,
                cache: self.cache,
            },
            seed: self.seed,
        }
    }

    fn template(&self) -> Vec<Cell> {
        let mut template: Vec<Cell> = self.prompt.iter().copied().map(Cell::Given).collect();
        template.resize(self.length, Cell::Free);
        template
    }
}

/// Writes the samples with these indices left to right, all in one batch.
///
/// With a cache each token is read once, and a prompt in one go. Without, every step reads the whole window again: correct
/// for any model, and each call costs the same.
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
    let length = decoding.length;
    let first = decoding.prompt.len();
    let mut reader = Reader::new(
        model,
        decoding.cache,
        Visibility::Causal,
        decoding.cost,
        [canvases.len(), length],
    );
    for position in first..length {
        let mut unfinished: Vec<(usize, &mut Canvas)> = canvases
            .iter_mut()
            .enumerate()
            .filter(|(_, canvas)| canvas.end.is_none())
            .collect();
        if unfinished.is_empty() {
            break;
        }
        // Shifted right behind the start token: position i is predicted from the tokens before it.
        let questions: Vec<Question> = unfinished
            .iter()
            .map(|(page, canvas)| Question {
                page: *page,
                tokens: once(model.mask_id())
                    .chain(canvas.tokens[..length - 1].iter().copied())
                    .collect(),
                asked: vec![position],
            })
            .collect();
        let answers = reader.read(&questions, &(position..position + 1)).await?;
        for ((_, canvas), answer) in unfinished.iter_mut().zip(answers) {
            let drawn = decoding.choice.draw(&answer.logs, &mut canvas.stream)?;
            canvas.count(answer.flops);
            canvas.predict(position, drawn.entropy, &answer.logs, decoding.top);
            canvas.commit(position, drawn);
            let mut committed = vec![position];
            committed.extend(canvas.end_at(decoding.stop));
            let left = (length - 1 - position) as f64 / (length - first) as f64;
            let time = if canvas.end.is_some() { 0.0 } else { left };
            canvas.record(time, committed, vec![], None);
        }
        yield_now().await;
    }
    Ok(canvases.into_iter().map(Canvas::finish).collect())
}

//! The denoising loop: all positions at once, from MASK to text in a number of steps.

use std::ops::Range;

use crate::error::{Error, Result};
use crate::model::{Predictor, Visibility};
use crate::objective::Objective;
use crate::platform::yield_now;
use crate::sample::canvas::{Canvas, Sample, prompt};
use crate::sample::draw::{Choice, Drawn};
use crate::sample::order::{Decision, Order, Sampler, StepView};
use crate::sample::trace::{Header, Settings};

/// What [`denoise`] writes, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct Denoising {
    /// The given tokens, `None` where the model is free: a prompt, a text with gaps, or nothing at all. `[length]`
    pub template: Vec<Option<u32>>,
    /// Which positions a step commits.
    pub sampler: Sampler,
    /// Number of steps, spread evenly over the blocks.
    pub steps: usize,
    /// Tokens in a block: blocks are written one after the other, left to right. The whole template is one block.
    pub block_size: usize,
    /// Who sees whom: everybody, or only blocks that are written, for a model that was trained so.
    pub visibility: Visibility,
    /// How tokens are chosen.
    pub choice: Choice,
    /// Seed of the random numbers.
    pub seed: u64,
    /// Floating-point operations of one forward over the template's length, for the record.
    pub flops_per_call: f64,
}

impl Denoising {
    /// Refuses what can't be written by a model whose MASK is `mask_id`.
    ///
    /// # Errors
    /// When nothing is free, the template holds an id that is no token, the steps don't fit the sampler, or the choice
    /// chooses nothing.
    pub fn check(&self, mask_id: u32) -> Result<()> {
        self.choice.check()?;
        let free = self.free();
        if free == 0 {
            return Err(
                Error::input("there is nothing to write: every token is given")
                    .with_hint("leave gaps, or raise the length"),
            );
        }
        if let Some(token) = self
            .template
            .iter()
            .flatten()
            .find(|&&token| token >= mask_id)
        {
            return Err(Error::input(format!("the given id {token} is no token")));
        }
        if self.block_size == 0 {
            return Err(Error::input("blocks of 0 tokens hold nothing")
                .with_hint("a block has at least 1 token"));
        }
        let blocks = self.blocks();
        if self.steps < blocks.len() && self.steps > 0 {
            return Err(Error::input(format!(
                "{} steps are too few for {} blocks",
                self.steps,
                blocks.len()
            ))
            .with_hint(format!("use at least {} steps", blocks.len())));
        }
        blocks
            .iter()
            .try_for_each(|block| self.sampler.check(block.steps, block.free))
    }

    /// The blocks that have something to write.
    fn blocks(&self) -> Vec<Block> {
        let length = self.template.len();
        let spans = (0..length).step_by(self.block_size);
        let free: Vec<(Range<usize>, usize)> = spans
            .map(|start| start..(start + self.block_size).min(length))
            .map(|span| {
                let free = self.template[span.clone()].iter();
                (span, free.filter(|token| token.is_none()).count())
            })
            .filter(|(_, free)| *free > 0)
            .collect();
        let count = free.len();
        free.into_iter()
            .enumerate()
            .map(|(number, (span, free))| Block {
                span,
                free,
                steps: self.steps * (number + 1) / count - self.steps * number / count,
            })
            .collect()
    }

    /// The first line of a sample's trace.
    pub fn header(&self, sample: u64, vocab: Option<Vec<String>>) -> Header {
        Header {
            version: Header::VERSION,
            kind: match self.visibility {
                Visibility::Blocks { .. } => Objective::Block,
                _ => Objective::Masked,
            },
            length: self.template.len(),
            vocab,
            prompt: prompt(&self.template),
            parent: None,
            sampler: Settings {
                name: self.sampler.name().to_owned(),
                steps: self.steps,
                sample,
                choice: self.choice,
            },
            seed: self.seed,
        }
    }

    fn free(&self) -> usize {
        self.template.iter().filter(|token| token.is_none()).count()
    }
}

/// Writes the samples with these indices by denoising, all in one batch.
///
/// The last step commits whatever is left. A sample whose page did not change since the model read it is not read
/// again, so `model_calls` can be below the number of steps.
///
/// # Errors
/// When [`Denoising::check`] refuses, or the model fails.
pub async fn denoise<P: Predictor>(
    model: &P,
    denoising: &Denoising,
    samples: Range<u64>,
) -> Result<Vec<Sample>> {
    denoising.check(model.mask_id())?;
    let order = denoising.sampler.order();
    let mut pages: Vec<Page> = samples
        .map(|index| Page {
            canvas: Canvas::new(&denoising.template, model.mask_id(), denoising.seed, index),
            logs: None,
        })
        .collect();
    let mut before = 0;
    for block in denoising.blocks() {
        for step in 1..=block.steps {
            read(model, &mut pages, denoising, &block).await?;
            for page in &mut pages {
                advance(page, denoising, &block, order, before, step)?;
            }
            yield_now().await;
        }
        before += block.steps;
    }
    Ok(pages
        .into_iter()
        .map(|page| page.canvas.finish(denoising.flops_per_call))
        .collect())
}

/// Positions that are written together.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Block {
    span: Range<usize>,
    /// How many of them were free before the first step.
    free: usize,
    /// Its share of the steps.
    steps: usize,
}

/// A sample, and what the model says about its present state.
struct Page {
    canvas: Canvas,
    /// Log-probabilities, `[length * (vocab_size - 1)]`; `None` once the state has changed, and when it is finished.
    logs: Option<Vec<f32>>,
}

/// Asks the model about every page that has gaps in this block and that it has not seen in its present state.
async fn read<P: Predictor>(
    model: &P,
    pages: &mut [Page],
    denoising: &Denoising,
    block: &Block,
) -> Result<()> {
    let length = denoising.template.len();
    let mut unread: Vec<&mut Page> = pages
        .iter_mut()
        .filter(|page| page.logs.is_none() && block.span.clone().any(|i| page.canvas.is_masked(i)))
        .collect();
    if unread.is_empty() {
        return Ok(());
    }
    let inputs: Vec<u32> = unread
        .iter()
        .flat_map(|page| &page.canvas.tokens)
        .copied()
        .collect();
    let logs = model
        .log_probabilities(&inputs, length, denoising.visibility)
        .await?;
    let size = length * (model.vocab_size() - 1);
    for (page, logs) in unread.iter_mut().zip(logs.chunks_exact(size)) {
        page.canvas.model_calls += 1;
        page.logs = Some(logs.to_vec());
    }
    Ok(())
}

/// One step of one sample, number `step` of its block, `before` having been done in earlier blocks. Whatever the order
/// says, given tokens stay, written ones are never rewritten, and other blocks are left alone.
fn advance(
    page: &mut Page,
    denoising: &Denoising,
    block: &Block,
    order: &dyn Order,
    before: usize,
    step: usize,
) -> Result<()> {
    let canvas = &mut page.canvas;
    let steps = block.steps;
    let length = canvas.tokens.len();
    let uniforms: Vec<f64> = (0..length).map(|_| canvas.stream.uniform()).collect();
    let mut candidates: Vec<Option<Drawn>> = vec![None; length];
    if let Some(logs) = &page.logs {
        for (position, row) in logs.chunks_exact(logs.len() / length).enumerate() {
            if canvas.is_masked(position) && block.span.contains(&position) {
                let drawn = denoising.choice.draw(row, &mut canvas.stream)?;
                canvas.entropy[position] = drawn.entropy as f32;
                candidates[position] = Some(drawn);
            }
        }
    }
    let decision = if step == steps {
        Decision {
            commit: (0..length).collect(),
            remask: Vec::new(),
        }
    } else {
        order.decide(&StepView {
            step,
            steps,
            free: block.free,
            candidates: &candidates,
            uniforms: &uniforms,
        })
    };

    let mut remasked = decision.remask;
    remasked.retain(|&position| {
        block.span.contains(&position) && !canvas.given[position] && !canvas.is_masked(position)
    });
    remasked.sort_unstable();
    remasked.dedup();
    for &position in &remasked {
        canvas.remask(position);
    }
    let mut committed = Vec::new();
    for position in decision.commit {
        if let Some(drawn) = candidates[position].take() {
            canvas.commit(position, drawn);
            committed.push(position);
        }
    }
    committed.sort_unstable();
    if !(committed.is_empty() && remasked.is_empty()) {
        page.logs = None;
    }
    page.canvas
        .record(before + step, denoising.steps, committed, remasked);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Wants everything written and everything taken back, at every step.
    struct Restless;

    impl Order for Restless {
        fn decide(&self, view: &StepView<'_>) -> Decision {
            let everywhere: Vec<usize> = (0..view.candidates.len()).rev().collect();
            Decision {
                commit: [everywhere.clone(), everywhere.clone()].concat(),
                remask: [everywhere.clone(), everywhere].concat(),
            }
        }
    }

    #[test]
    fn an_order_cannot_touch_given_tokens_or_rewrite_written_ones() {
        let denoising = Denoising {
            template: vec![Some(1), None, None],
            sampler: Sampler::Ancestral,
            steps: 4,
            block_size: 3,
            visibility: Visibility::Full,
            choice: Choice::default(),
            seed: 0,
            flops_per_call: 1.0,
        };
        let mut page = Page {
            canvas: Canvas::new(&denoising.template, 2, 0, 0),
            logs: None,
        };
        for step in 1..=4 {
            page.logs = Some(vec![-(2.0_f32.ln()); 6]);
            let block = &denoising.blocks()[0];
            advance(&mut page, &denoising, block, &Restless, 0, step).unwrap();
        }
        let sample = page.canvas.finish(1.0);
        let changed: Vec<(&[usize], &[usize])> = sample
            .steps
            .iter()
            .map(|step| (&step.committed[..], &step.remasked[..]))
            .collect();
        let (none, both): (&[usize], &[usize]) = (&[], &[1, 2]);
        assert_eq!(
            changed,
            [(both, none), (none, both), (both, none), (none, none)]
        );
        assert_eq!(sample.steps[1].tokens, [1, -1, -1]);
        assert_eq!(sample.steps[1].confidence, [1.0, 0.0, 0.0]);
        assert_eq!(sample.steps[2].confidence, [1.0, 0.5, 0.5]);
        assert!(sample.tokens.iter().all(|&token| token < 2));
    }

    #[test]
    fn blocks_share_the_steps_and_are_left_alone_when_nothing_is_free() {
        let mut denoising = Denoising {
            template: [
                vec![None; 3],
                vec![Some(0); 3],
                vec![None; 3],
                vec![Some(1), None],
            ]
            .concat(),
            sampler: Sampler::Ancestral,
            steps: 7,
            block_size: 3,
            visibility: Visibility::Blocks { size: 3 },
            choice: Choice::default(),
            seed: 0,
            flops_per_call: 1.0,
        };
        let blocks = denoising.blocks();
        let shape = |block: &Block| (block.span.start, block.free, block.steps);
        assert_eq!(
            blocks.iter().map(shape).collect::<Vec<_>>(),
            [(0, 3, 2), (6, 3, 2), (9, 1, 3)]
        );
        assert!(denoising.check(2).is_ok());
        denoising.steps = 2;
        let error = denoising.check(2).unwrap_err();
        assert_eq!(error.to_string(), "2 steps are too few for 3 blocks");
        denoising.block_size = 0;
        assert!(denoising.check(2).is_err());
    }
}

//! The denoising loop: all positions at once, from MASK to text in a number of steps.

use std::ops::Range;

use crate::error::{Error, Result};
use crate::laws::flops::ReadCost;
use crate::model::{Predictor, Visibility};
use crate::objective::Objective;
use crate::platform::yield_now;
use crate::sample::canvas::{Canvas, Cell, Sample};
use crate::sample::draw::{Choice, Drawn};
use crate::sample::order::{Decision, Order, Sampler, Schedule, StepView};
use crate::sample::reading::{Caching, Question, Reader, divergence};
use crate::sample::trace::{Header, Settings};

/// What [`denoise`] writes, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct Denoising {
    /// What stands there already: a prompt, a text with gaps, a half-written text, or nothing at all. `[length]`
    pub template: Vec<Cell>,
    /// Which positions a step commits.
    pub sampler: Sampler,
    /// Number of steps, shared out by how much is free in each block. A sampler that chooses its own doesn't look at it.
    pub steps: usize,
    /// How much is masked as the steps go by.
    pub schedule: Schedule,
    /// Tokens in a block: blocks are written one after the other, left to right. The whole template is one block.
    pub block_size: usize,
    /// Who sees whom: everybody, or only blocks that are written, for a model that was trained so.
    pub visibility: Visibility,
    /// How tokens are chosen.
    pub choice: Choice,
    /// Classifier-free guidance: how far to go beyond the model's prediction, away from what it would be without the given
    /// tokens. 0 is off.
    pub guidance: f64,
    /// The end-of-text token: once one is written, with everything before it, no later block is.
    pub stop: Option<u32>,
    /// How many of each position's likeliest tokens the record keeps.
    pub top: usize,
    /// Seed of the random numbers.
    pub seed: u64,
    /// What is kept between two readings of a page.
    pub cache: Caching,
    /// Whether each step measures how far its cache is off, by a reading of everything that is not counted.
    pub divergence: bool,
    /// What reading costs, for the record.
    pub cost: ReadCost,
}

impl Denoising {
    /// Fills a template, one step a free position, in the reverse process of the diffusion.
    pub fn new(template: Vec<Cell>, visibility: Visibility, seed: u64) -> Self {
        Self {
            sampler: Sampler::Ancestral,
            steps: free(&template),
            schedule: Schedule::Linear,
            block_size: match visibility {
                Visibility::Blocks { size } => size,
                _ => template.len().max(1),
            },
            visibility,
            choice: Choice::default(),
            guidance: 0.0,
            stop: None,
            top: 0,
            seed,
            cache: Caching::None,
            divergence: false,
            cost: ReadCost::default(),
            template,
        }
    }

    /// Refuses what can't be written by a model whose MASK is `mask_id`.
    ///
    /// # Errors
    /// When nothing is free, the template holds an id that is no token, the steps don't fit the sampler, the choice chooses
    /// nothing, or the cache is for another kind of model.
    pub fn check(&self, mask_id: u32) -> Result<()> {
        self.choice.check()?;
        self.cache.check(self.visibility)?;
        if free(&self.template) == 0 {
            return Err(
                Error::input("there is nothing to write: every token is given")
                    .with_hint("leave gaps, or raise the length"),
            );
        }
        let mut tokens = self.template.iter().filter_map(|cell| cell.token());
        if let Some(token) = tokens.find(|&token| token >= mask_id) {
            return Err(Error::input(format!("the given id {token} is no token")));
        }
        if self.block_size == 0 {
            return Err(Error::input("blocks of 0 tokens hold nothing")
                .with_hint("a block has at least 1 token"));
        }
        self.check_guidance()?;
        let blocks = self.blocks();
        if self.steps < blocks.len() && self.steps > 0 && !self.sampler.chooses_its_steps() {
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

    fn check_guidance(&self) -> Result<()> {
        if !self.guidance.is_finite() || self.guidance < 0.0 {
            return Err(Error::input(format!("the guidance is `{}`", self.guidance))
                .with_hint("use 0 for none; LLaDA's authors use 0.5 to 2"));
        }
        let given = self
            .template
            .iter()
            .any(|cell| matches!(cell, Cell::Given(_)));
        if self.guidance > 0.0 && !given {
            return Err(Error::input(
                "guidance compares the text with and without what is given, and nothing is given",
            )
            .with_hint("give a prompt or a text with gaps, or leave the guidance out"));
        }
        Ok(())
    }

    /// The blocks that have something to write.
    fn blocks(&self) -> Vec<Block> {
        let length = self.template.len();
        let spans = (0..length).step_by(self.block_size);
        let spans: Vec<(Range<usize>, usize)> = spans
            .map(|start| start..(start + self.block_size).min(length))
            .map(|span| (span.clone(), free(&self.template[span])))
            .filter(|(_, free)| *free > 0)
            .collect();
        let (count, all) = (spans.len(), free(&self.template));
        let mut later = all;
        let mut begun = 0;
        spans
            .into_iter()
            .enumerate()
            .map(|(number, (span, free))| {
                later -= free;
                let cells = &self.template[span.clone()];
                let written = cells
                    .iter()
                    .filter(|cell| matches!(cell, Cell::Written(..)));
                Block {
                    masked: free as f64 / (free + written.count()) as f64,
                    span,
                    free,
                    later,
                    steps: if self.sampler.chooses_its_steps() {
                        free
                    } else {
                        // In proportion to what is free up to here, one at least, and one left for each later block.
                        let share = self.steps * (all - later) / all;
                        let end = share
                            .max(begun + 1)
                            .min(self.steps.saturating_sub(count - 1 - number));
                        end - std::mem::replace(&mut begun, end)
                    },
                }
            })
            .collect()
    }

    /// How many versions of a page are read: guidance also wants it without the given tokens.
    fn versions(&self) -> usize {
        if self.guidance > 0.0 { 2 } else { 1 }
    }

    /// The first line of a sample's trace.
    pub fn header(&self, sample: u64, vocab: Option<Vec<String>>) -> Header {
        let length = self.template.len();
        Header {
            version: Header::VERSION,
            kind: match self.visibility {
                Visibility::Blocks { .. } => Objective::Block,
                _ => Objective::Masked,
            },
            length,
            vocab,
            prompt: self.template.iter().map(|cell| cell.prompt()).collect(),
            parent: None,
            sampler: Settings {
                name: self.sampler.name().to_owned(),
                steps: self.blocks().iter().map(|block| block.steps).sum(),
                sample,
                choice: self.choice,
                parameters: self.sampler.parameters(),
                schedule: self.schedule,
                block_size: (self.block_size < length).then_some(self.block_size),
                cfg: self.guidance,
                cache: self.cache,
            },
            seed: self.seed,
        }
    }
}

fn free(cells: &[Cell]) -> usize {
    cells.iter().filter(|cell| **cell == Cell::Free).count()
}

/// Writes the samples with these indices by denoising, all in one batch.
///
/// The last step commits whatever is left. A sample whose page did not change since the model read it is not read
/// again, so `model_calls` can be below the number of steps; guidance reads it twice.
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
        .enumerate()
        .map(|(number, index)| Page {
            number,
            canvas: Canvas::new(&denoising.template, model.mask_id(), denoising.seed, index),
            prediction: None,
            time: 1.0,
        })
        .collect();
    let mut reader = Reader::new(
        model,
        denoising.cache,
        denoising.visibility,
        denoising.cost,
        [denoising.versions() * pages.len(), denoising.template.len()],
    )
    .measuring(denoising.divergence);
    for block in denoising.blocks() {
        for page in &mut pages {
            page.time = 1.0;
        }
        for step in 1..=block.steps {
            let mut at_work: Vec<&mut Page> = pages
                .iter_mut()
                .filter(|page| page.takes_part(denoising, &block))
                .collect();
            if at_work.is_empty() {
                break;
            }
            read(&mut reader, &mut at_work, denoising, &block).await?;
            for page in at_work {
                advance(page, denoising, &block, order.as_ref(), step)?;
            }
            yield_now().await;
        }
    }
    Ok(pages.into_iter().map(|page| page.canvas.finish()).collect())
}

/// Positions that are written together.
#[derive(Debug, Clone, PartialEq)]
struct Block {
    span: Range<usize>,
    /// How many of them are free before the first step.
    free: usize,
    /// How many positions are free in the blocks after it.
    later: usize,
    /// Its share of the steps; as many as can be needed where the sampler chooses.
    steps: usize,
    /// The share of its positions, given ones aside, that are masked before the first step: less than 1 where a
    /// half-written text is continued.
    masked: f64,
}

/// A sample, and what the model says about its present state.
struct Page {
    number: usize,
    canvas: Canvas,
    /// `None` once the state has changed, and when it is finished.
    prediction: Option<Prediction>,
    /// The share of the block's time that is left, for samplers that choose their own steps.
    time: f64,
}

/// What the model says about the masked positions of a block.
struct Prediction {
    /// Those positions, ascending.
    positions: Vec<usize>,
    /// Logarithms of weights, not normalised: `[positions * (vocab_size - 1)]`.
    logs: Vec<f32>,
    /// How far it is from what a reading of everything would say, where that was measured.
    divergence: Option<f64>,
}

impl Page {
    /// Whether there are steps left for it in this block: a text that has ended takes none, and one whose sampler chooses
    /// its own steps none after the block is written.
    fn takes_part(&self, denoising: &Denoising, block: &Block) -> bool {
        let is_written = || block.span.clone().all(|i| !self.canvas.is_masked(i));
        self.canvas.end.is_none() && !(denoising.sampler.chooses_its_steps() && is_written())
    }
}

/// Asks the model about every page that has gaps in this block and that it has not seen in its present state.
async fn read<P: Predictor>(
    reader: &mut Reader<'_, P>,
    pages: &mut [&mut Page],
    denoising: &Denoising,
    block: &Block,
) -> Result<()> {
    let mut unread: Vec<&mut &mut Page> = pages
        .iter_mut()
        .filter(|page| {
            let has_gaps = || block.span.clone().any(|i| page.canvas.is_masked(i));
            page.prediction.is_none() && has_gaps()
        })
        .collect();
    if unread.is_empty() {
        return Ok(());
    }
    let versions = denoising.versions();
    let questions: Vec<Question> = unread
        .iter()
        .flat_map(|page| {
            let asked = block.span.clone().filter(|&i| page.canvas.is_masked(i));
            let asked: Vec<usize> = asked.collect();
            (0..versions).map(move |version| Question {
                page: page.number * versions + version,
                tokens: match version {
                    0 => page.canvas.tokens.clone(),
                    _ => page.canvas.without_given(),
                },
                asked: asked.clone(),
            })
        })
        .collect();
    let answers = reader.read(&questions, &block.span).await?;
    let versions = answers
        .chunks_exact(versions)
        .zip(questions.chunks_exact(versions));
    for (page, (answers, questions)) in unread.iter_mut().zip(versions) {
        for answer in answers {
            page.canvas.count(answer.flops);
        }
        let positions = questions[0].asked.clone();
        let logs = combined(answers.iter().map(|answer| &answer.logs), denoising);
        let exact: Option<Vec<&Vec<f32>>> =
            answers.iter().map(|answer| answer.exact.as_ref()).collect();
        page.prediction = Some(Prediction {
            divergence: exact.map(|exact| {
                let exact = combined(exact.into_iter(), denoising);
                divergence(&exact, &logs, logs.len() / positions.len())
            }),
            positions,
            logs,
        });
    }
    Ok(())
}

/// What the answers about a page's versions say together: with guidance there is one with the given tokens and one without.
fn combined<'a>(
    mut versions: impl Iterator<Item = &'a Vec<f32>>,
    denoising: &Denoising,
) -> Vec<f32> {
    let weight = denoising.guidance as f32;
    let conditional = versions.next().into_iter().flatten().copied();
    match versions.next() {
        None => conditional.collect(),
        Some(unconditional) => conditional
            .zip(unconditional)
            .map(|(conditional, &unconditional)| guided(conditional, unconditional, weight))
            .collect(),
    }
}

/// Classifier-free guidance of a logit, up to a constant of the distribution: `u + (w + 1)(c - u)` (Nie et al. 2025, arXiv
/// 2502.09992, appendix A.2). What is impossible with the given tokens stays so.
fn guided(conditional: f32, unconditional: f32, weight: f32) -> f32 {
    if conditional == f32::NEG_INFINITY || unconditional == f32::NEG_INFINITY {
        conditional
    } else {
        unconditional + (weight + 1.0) * (conditional - unconditional)
    }
}

/// One step of one sample, number `step` of its block. Whatever the order says, given tokens stay, written ones are never
/// rewritten, and other blocks are left alone.
fn advance(
    page: &mut Page,
    denoising: &Denoising,
    block: &Block,
    order: &dyn Order,
    step: usize,
) -> Result<()> {
    let canvas = &mut page.canvas;
    let steps = block.steps;
    let length = canvas.tokens.len();
    let uniforms: Vec<f64> = (0..length).map(|_| canvas.stream.uniform()).collect();
    let mut candidates: Vec<Option<Drawn>> = vec![None; length];
    if let Some(Prediction {
        positions, logs, ..
    }) = &page.prediction
    {
        let rows = logs.chunks_exact(logs.len() / positions.len());
        for (&position, row) in positions.iter().zip(rows) {
            let drawn = denoising.choice.draw(row, &mut canvas.stream)?;
            canvas.predict(position, drawn.entropy, row, denoising.top);
            candidates[position] = Some(drawn);
        }
    }
    let chooses = denoising.sampler.chooses_its_steps();
    let (t, s) = if chooses {
        (page.time, page.time)
    } else {
        let time = |step| order.time(denoising.schedule.masked(step, steps));
        (time(step - 1), time(step))
    };
    let decision = if step == steps {
        Decision {
            commit: (0..length).collect(),
            time: Some(0.0),
            ..Decision::default()
        }
    } else {
        let masked = candidates.iter().flatten().count();
        let written: Vec<Option<f64>> = (0..length)
            .map(|position| {
                let is_here = block.span.contains(&position);
                is_here.then(|| canvas.written(position)).flatten()
            })
            .collect();
        order.decide(&StepView {
            t: t * block.masked,
            s: s * block.masked,
            quota: denoising.schedule.quota(step, steps, block.free, masked),
            candidates: &candidates,
            written: &written,
            uniforms: &uniforms,
        })
    };

    let mut remasked = decision.remask;
    remasked
        .retain(|&position| block.span.contains(&position) && canvas.written(position).is_some());
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
    let left = block.span.clone().filter(|&i| canvas.is_masked(i)).count();
    if left == 0 && (step == steps || chooses) {
        committed.extend(canvas.end_at(denoising.stop));
    }
    committed.sort_unstable();
    page.time = if chooses {
        decision.time.unwrap_or(left as f64 / block.free as f64)
    } else {
        s
    };
    let of = free(&denoising.template) as f64;
    let time = match page.canvas.end {
        Some(_) => 0.0,
        None => (page.time * block.free as f64 + block.later as f64) / of,
    };
    let divergence = page.prediction.as_ref().and_then(|said| said.divergence);
    if !(committed.is_empty() && remasked.is_empty()) {
        page.prediction = None;
    }
    page.canvas.record(time, committed, remasked, divergence);
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
                time: None,
            }
        }
    }

    #[test]
    fn an_order_cannot_touch_given_tokens_or_rewrite_written_ones() {
        let template = vec![Cell::Given(1), Cell::Free, Cell::Free];
        let denoising = Denoising {
            steps: 4,
            ..Denoising::new(template, Visibility::Full, 0)
        };
        let mut page = Page {
            number: 0,
            canvas: Canvas::new(&denoising.template, 2, 0, 0),
            prediction: None,
            time: 1.0,
        };
        for step in 1..=4 {
            page.prediction = page.canvas.is_masked(1).then(|| Prediction {
                positions: vec![1, 2],
                logs: vec![-(2.0_f32.ln()); 4],
                divergence: None,
            });
            let block = &denoising.blocks()[0];
            advance(&mut page, &denoising, block, &Restless, step).unwrap();
        }
        let sample = page.canvas.finish();
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
        let template = [
            vec![Cell::Free; 3],
            vec![Cell::Given(0); 3],
            vec![Cell::Written(0, 0.5), Cell::Free, Cell::Free],
            vec![Cell::Given(1), Cell::Free],
        ]
        .concat();
        let mut denoising = Denoising {
            steps: 7,
            ..Denoising::new(template, Visibility::Blocks { size: 3 }, 0)
        };
        let blocks = denoising.blocks();
        let shape = |block: &Block| (block.span.start, block.free, block.later, block.steps);
        assert_eq!(
            blocks.iter().map(shape).collect::<Vec<_>>(),
            [(0, 3, 3, 3), (6, 2, 1, 2), (9, 1, 0, 2)]
        );
        assert_eq!(blocks[1].masked, 2.0 / 3.0);
        for (steps, shares) in [
            (6, [3, 2, 1]),
            (5, [2, 2, 1]),
            (3, [1, 1, 1]),
            (30, [15, 10, 5]),
        ] {
            denoising.steps = steps;
            let blocks = denoising.blocks();
            assert_eq!(
                blocks.iter().map(|block| block.steps).collect::<Vec<_>>(),
                shares
            );
        }
        assert!(denoising.check(2).is_ok());
        denoising.steps = 2;
        let error = denoising.check(2).unwrap_err();
        assert_eq!(error.to_string(), "2 steps are too few for 3 blocks");
        denoising.block_size = 0;
        assert!(denoising.check(2).is_err());
    }
}

//! How likely a part of a text is, given the rest of it: of an answer after its question, or of what fills a gap.
//!
//! Read left to right that is exact, the sum of the answer's tokens. A diffusion model has a bound: the negative
//! evidence lower bound of the answer with everything else in sight, as LLaDA scores its benchmarks (Nie et al. 2025, arXiv
//! 2502.09992, `get_log_likelihood.py`). With an answer of m tokens, and masks inside it alone,
//!
//! ```text
//! E over l uniform on 1..=m, E over masks of exactly l positions: (m / l) * sum of ce over the mask
//!   =  sum over all 2^m - 1 masks M of (1 / (|M| C(m, |M|))) * sum of ce over M
//! ```
//!
//! and with blocks, the sum of that over the blocks the answer lies in, each given those before it.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::error::{Error, Result};
use crate::evaluate::likelihood::{Blocks, Question, Scored, ask, window_length, windows_at_once};
use crate::model::{Predictor, Visibility};
use crate::objective::Factorization;
use crate::random::{Purpose, Stream};

/// A text, part of which is the answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The text: `[length]`, no MASK in it.
    pub tokens: Vec<u32>,
    /// Which of its tokens answer; the others are given.
    pub range: Range<usize>,
    /// Answers of the same number see the same random masks, where they are as long.
    pub number: u64,
}

/// `-ln` of an answer's probability, or the bound on it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AnswerNats {
    /// Nats, of the whole answer.
    pub nats: f64,
    /// How far `nats` may be off the exact bound, as masks were drawn; 0 where they were not.
    pub se: f64,
}

/// Scores answers, in their order; their texts may have any lengths, and a block is shorter where the text ends.
///
/// An answer with no more than `samples` = K masks is averaged over all of them, block by block where it lies in several,
/// and the bound is exact. Otherwise K masks are drawn, stratified over the share that is masked as in
/// [`masked_bound`](crate::evaluate::masked_bound). Neighbouring strata differ little, so their differences tell the error: `sum of (y_k -
/// y_(k-1))^2 / (2 K (K - 1))` for estimates y of K strata in order (Wolter, Introduction to Variance Estimation, 2007,
/// chapter 8, the second of its estimators for systematic samples).
///
/// # Errors
/// When `samples` is below 2, an answer has no token or lies outside its text, a text holds an id that the model can't
/// predict, or the model fails.
pub async fn answer_nats<P: Predictor>(
    model: &P,
    factorization: Factorization,
    answers: &[Answer],
    samples: usize,
    seed: u64,
) -> Result<Vec<AnswerNats>> {
    if samples < 2 {
        return Err(Error::input(format!("the number of samples is {samples}"))
            .with_hint("a standard error needs at least 2"));
    }
    let mut by_length: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (index, answer) in answers.iter().enumerate() {
        let Range { start, end } = answer.range;
        if start >= end || end > answer.tokens.len() {
            return Err(Error::input(format!(
                "the answer {start}..{end} is no part of a text of {} tokens",
                answer.tokens.len()
            )));
        }
        let alike = by_length.entry(answer.tokens.len()).or_default();
        alike.push(index);
    }
    let mut scored = vec![AnswerNats { nats: 0.0, se: 0.0 }; answers.len()];
    for (length, alike) in by_length {
        let group: Vec<&Answer> = alike.iter().map(|&index| &answers[index]).collect();
        let windows: Vec<&[u32]> = group.iter().map(|answer| &answer.tokens[..]).collect();
        window_length(model, &windows, 1)?;
        let each = group.iter().enumerate();
        let (visibility, questions): (_, Box<dyn Iterator<Item = Question>>) = match factorization {
            Factorization::LeftToRight => {
                let questions = each.map(|(window, answer)| left_to_right(model, window, answer));
                (Visibility::Causal, Box::new(questions))
            }
            Factorization::Blocks { size } => {
                let blocks = Blocks {
                    size,
                    count: length.div_ceil(size),
                };
                let windows = &windows;
                let questions = each.flat_map(move |(window, answer)| {
                    let masks = masks(answer, size, samples, seed).into_iter();
                    masks.map(move |scored| {
                        let hidden: Vec<usize> = scored
                            .iter()
                            .flat_map(|part| &part.positions)
                            .copied()
                            .collect();
                        blocks.question(model, windows, window, &hidden, scored)
                    })
                });
                (blocks.visibility(), Box::new(questions))
            }
        };
        let mut parts = vec![Vec::new(); group.len()];
        let batch = windows_at_once(length);
        ask(
            model,
            &windows,
            questions,
            batch,
            visibility,
            |question, row| {
                parts[question.window].push(question.nats(row)?);
                Ok(())
            },
        )
        .await?;
        for (index, (answer, parts)) in alike.into_iter().zip(group.iter().zip(parts)) {
            scored[index] = AnswerNats {
                nats: parts.iter().sum(),
                se: match factorization {
                    Factorization::Blocks { size } if !visits_all(answer, size, samples) => {
                        systematic_error(&parts)
                    }
                    _ => 0.0,
                },
            };
        }
    }
    Ok(scored)
}

/// Reads the start token and everything before the answer's end.
fn left_to_right<P: Predictor>(model: &P, window: usize, answer: &Answer) -> Question {
    let mut inputs = vec![model.mask_id()];
    inputs.extend_from_slice(&answer.tokens[..answer.tokens.len() - 1]);
    Question {
        window,
        inputs,
        scored: vec![Scored {
            positions: answer.range.clone().collect(),
            weight: 1.0,
        }],
    }
}

/// The parts of an answer by the block they lie in, as positions in the text.
fn parts(answer: &Answer, size: usize) -> impl Iterator<Item = Range<usize>> {
    let Range { start, end } = answer.range;
    (start / size..end.div_ceil(size))
        .map(move |block| start.max(block * size)..end.min((block + 1) * size))
}

/// Whether an answer has no more masks in any block than are to be drawn.
fn visits_all(answer: &Answer, size: usize, samples: usize) -> bool {
    // 2^m - 1 <= samples.
    let most = samples.saturating_add(1).ilog2() as usize;
    parts(answer, size).all(|part| part.len() <= most)
}

/// Masks of an answer, and what they weigh: one in each of its blocks, for one question after the other.
fn masks(answer: &Answer, size: usize, samples: usize, seed: u64) -> Vec<Vec<Scored>> {
    let parts: Vec<Range<usize>> = parts(answer, size).collect();
    if visits_all(answer, size, samples) {
        let count = parts.iter().map(|part| (1 << part.len()) - 1).max();
        return (1..=count.unwrap_or(0))
            .map(|mask: usize| {
                let here = parts.iter().filter(|part| mask >> part.len() == 0);
                here.map(|part| every(part, mask)).collect()
            })
            .collect();
    }
    // Rank 3: other numbers than those of the bounds of whole windows.
    let mut stream = Stream::new(seed, Purpose::Evaluation, answer.number, 3);
    let offset = stream.uniform();
    (0..samples)
        .map(|level| {
            let each = parts.iter().enumerate();
            each.map(|(number, part)| {
                let turned = (offset + number as f64 / parts.len() as f64).fract();
                let position = (level as f64 + turned) / samples as f64;
                let masked = ((part.len() as f64 * position).ceil() as usize).clamp(1, part.len());
                let chosen = stream.choose(part.len(), masked);
                Scored {
                    positions: chosen.iter().map(|at| part.start + at).collect(),
                    weight: part.len() as f64 / (masked * samples) as f64,
                }
            })
            .collect()
        })
        .collect()
}

/// The mask of a part whose positions are the bits of a number.
fn every(part: &Range<usize>, mask: usize) -> Scored {
    let positions: Vec<usize> = (0..part.len())
        .filter(|at| mask >> at & 1 == 1)
        .map(|at| part.start + at)
        .collect();
    let masked = positions.len();
    let binomial: f64 = (0..masked)
        .map(|k| (part.len() - k) as f64 / (k + 1) as f64)
        .product();
    Scored {
        positions,
        weight: 1.0 / (masked as f64 * binomial),
    }
}

/// The standard error of a sum over strata in order, by the differences between neighbours.
fn systematic_error(parts: &[f64]) -> f64 {
    let squares: f64 = parts
        .windows(2)
        .map(|pair| (pair[1] - pair[0]).powi(2))
        .sum();
    let count = parts.len() as f64;
    // Parts are y / K, and there are K of them: K^2 of the one cancels 1 / K of the other but for K.
    (squares * count / (2.0 * (count - 1.0))).sqrt()
}

//! Likelihoods and bounds, in nats per token, one figure for each window.
//!
//! With `ce_i = -ln p(x_i | what is visible)` and a window of `L` tokens, a masked model's negative evidence lower
//! bound has two equal forms (Ou et al. 2024, arXiv 2406.03736; enumerated in `tests/exactness.rs`):
//!
//! ```text
//! E over l uniform on 1..=L, E over masks of exactly l positions: (L / l) * sum of ce over the mask
//! E over orders s:                                                sum over j of -ln p(x_s(j) | x_s(1) .. x_s(j-1))
//! ```
//!
//! Masks and orders are keyed by (seed, window index): every model and every checkpoint is asked the same questions,
//! so differences between them carry none of this noise.
//!
//! All windows have one length and hold no MASK. `batch` is how many sequences the model reads in one forward; it
//! changes speed and memory, not the figures. Other tasks of the thread run between forwards.

use crate::error::{Error, Result};
use crate::model::{Predictor, Visibility};
use crate::objective::Factorization;
use crate::platform::{TOKENS_AT_ONCE, yield_now};
use crate::random::{Purpose, Stream};

/// Windows to measure at once.
pub fn windows_at_once(length: usize) -> usize {
    (TOKENS_AT_ONCE / length).max(1)
}

/// Loss of each window, however the model is asked: nats per token, `[windows]`; exact or a bound, as
/// [`Factorization::bound`] says. `levels` is what [`masked_bound`] averages.
///
/// # Errors
/// When the windows can't be scored (see the module), `levels` is 0, or the model fails.
pub async fn nats<P: Predictor>(
    model: &P,
    factorization: Factorization,
    windows: &[&[u32]],
    levels: usize,
    seed: u64,
) -> Result<Vec<f64>> {
    let length = windows.first().map_or(1, |window| window.len());
    let batch = windows_at_once(length);
    match factorization {
        Factorization::LeftToRight => autoregressive_nats(model, windows, batch).await,
        Factorization::Blocks { size } => {
            masked_bound(model, windows, size, levels, seed, batch).await
        }
    }
}

/// Exact negative log-likelihood of each window under a model that reads left to right: nats per token, `[windows]`.
///
/// The first token is predicted from the start token (MASK), so every token counts.
///
/// # Errors
/// When the windows can't be scored (see the module), or the model fails.
pub async fn autoregressive_nats<P: Predictor>(
    model: &P,
    windows: &[&[u32]],
    batch: usize,
) -> Result<Vec<f64>> {
    let length = window_length(model, windows, batch)?;
    let questions = windows.iter().enumerate().map(|(window, tokens)| {
        let mut inputs = vec![model.mask_id()];
        inputs.extend_from_slice(&tokens[..length - 1]);
        Question {
            window,
            inputs,
            scored: vec![Scored {
                positions: (0..length).collect(),
                weight: 1.0 / length as f64,
            }],
        }
    });
    answers(model, windows, questions, batch, Visibility::Causal).await
}

/// Negative evidence lower bound of each window under a diffusion model that writes blocks of `block_size` tokens, one
/// after the other: nats per token, `[windows]`. One block of the whole window is masked diffusion.
///
/// Averages `levels` = K masks of exactly `l_k = ceil(B (k + u) / K)` positions in each block of B, k = 0..K, with one
/// uniform `u` for the window, turned by the block's number: unbiased for any K, and stratified over the share of masked
/// positions, which is where most of the variance is.
///
/// # Errors
/// When the windows can't be scored (see the module), `levels` is 0, or the model fails.
pub async fn masked_bound<P: Predictor>(
    model: &P,
    windows: &[&[u32]],
    block_size: usize,
    levels: usize,
    seed: u64,
    batch: usize,
) -> Result<Vec<f64>> {
    let length = window_length(model, windows, batch)?;
    let blocks = Blocks::new(length, block_size)?;
    at_least_one(levels, "levels")?;
    let questions = (0..windows.len()).flat_map(|window| {
        let mut stream = Stream::new(seed, Purpose::Evaluation, window as u64, 0);
        let offset = stream.uniform();
        (0..levels).map(move |level| {
            let scored = (0..blocks.count).map(|block| {
                let turned = (offset + block as f64 / blocks.count as f64).fract();
                let position = (level as f64 + turned) / levels as f64;
                let masked = ((block_size as f64 * position).ceil() as usize).clamp(1, block_size);
                let chosen = stream.choose(block_size, masked);
                Scored {
                    positions: blocks.positions(block, &chosen),
                    // B / l of the formula, over B for nats per token, over K and the blocks for the mean.
                    weight: 1.0 / (masked * levels * blocks.count) as f64,
                }
            });
            let scored: Vec<Scored> = scored.collect();
            let hidden: Vec<usize> = scored
                .iter()
                .flat_map(|part| &part.positions)
                .copied()
                .collect();
            blocks.question(model, windows, window, &hidden, scored)
        })
    });
    let parts = answers(model, windows, questions, batch, blocks.visibility()).await?;
    Ok(parts
        .chunks_exact(levels)
        .map(|window| window.iter().sum())
        .collect())
}

/// Exact negative log-likelihood of each window under the sampler that asks a diffusion model for one token after the
/// other, left to right: nats per token, `[windows]`.
///
/// The only figure of a diffusion model that is comparable with an autoregressive one without the word "bound". Costs
/// one forward per token of a block: with smaller blocks all blocks of a window are asked at once.
///
/// # Errors
/// When the windows can't be scored (see the module), or the model fails.
pub async fn left_to_right_nats<P: Predictor>(
    model: &P,
    windows: &[&[u32]],
    block_size: usize,
    batch: usize,
) -> Result<Vec<f64>> {
    let length = window_length(model, windows, batch)?;
    let blocks = Blocks::new(length, block_size)?;
    let order: Vec<usize> = (0..block_size).collect();
    let orders = vec![order; blocks.count];
    let questions =
        (0..windows.len()).flat_map(|window| blocks.chain(model, windows, window, orders.clone()));
    let parts = answers(model, windows, questions, batch, blocks.visibility()).await?;
    Ok(parts
        .chunks_exact(block_size)
        .map(|window| window.iter().sum::<f64>() / length as f64)
        .collect())
}

/// Bound of each window under a diffusion model from `orders` = K random orders: nats per token, `[windows]`.
///
/// `-ln(mean over k of exp(-sum over j of ce_j in order k)) / L`: the importance-weighted bound of Burda et al.
/// (arXiv 1509.00519) over orders. Its expectation is the evidence lower bound at K = 1 and falls towards the
/// likelihood of the model that writes in a random order as K grows. Costs K forwards per token of a block.
///
/// # Errors
/// When the windows can't be scored (see the module), `orders` is 0, or the model fails.
pub async fn k_order_bound<P: Predictor>(
    model: &P,
    windows: &[&[u32]],
    block_size: usize,
    orders: usize,
    seed: u64,
    batch: usize,
) -> Result<Vec<f64>> {
    let length = window_length(model, windows, batch)?;
    let blocks = Blocks::new(length, block_size)?;
    at_least_one(orders, "orders")?;
    let questions = (0..windows.len()).flat_map(|window| {
        // Rank 1: other numbers than those `masked_bound` draws for this window.
        let mut stream = Stream::new(seed, Purpose::Evaluation, window as u64, 1);
        (0..orders).flat_map(move |_| {
            let drawn = (0..blocks.count).map(|_| stream.permutation(block_size));
            blocks.chain(model, windows, window, drawn.collect())
        })
    });
    let parts = answers(model, windows, questions, batch, blocks.visibility()).await?;
    Ok(parts
        .chunks_exact(block_size * orders)
        .map(|window| {
            let sums: Vec<f64> = window
                .chunks_exact(block_size)
                .map(|order| order.iter().sum())
                .collect();
            -log_mean_exp_negative(&sums) / length as f64
        })
        .collect())
}

/// One sequence the model is asked about.
pub(super) struct Question {
    /// Index of the window it comes from: its tokens are the targets.
    pub window: usize,
    /// What the model reads: `[copies * length]`.
    pub inputs: Vec<u32>,
    /// What counts of its answer.
    pub scored: Vec<Scored>,
}

impl Question {
    /// The weighted sum of what counts of a row of cross-entropies, `[length]`, nats.
    ///
    /// # Errors
    /// When it is not finite.
    pub fn nats(&self, row: &[f64]) -> Result<f64> {
        let parts = self.scored.iter().map(|part| {
            let nats = part.positions.iter().map(|&position| row[position]);
            part.weight * nats.sum::<f64>()
        });
        finite(parts.sum(), self.window)
    }
}

/// Positions whose cross-entropies are added up, and the factor on their sum.
pub(super) struct Scored {
    pub positions: Vec<usize>,
    pub weight: f64,
}

/// How windows are cut into blocks.
#[derive(Clone, Copy)]
pub(super) struct Blocks {
    pub size: usize,
    pub count: usize,
}

impl Blocks {
    pub fn new(length: usize, size: usize) -> Result<Self> {
        at_least_one(size, "tokens in a block")?;
        if !length.is_multiple_of(size) {
            return Err(Error::input(format!(
                "blocks of {size} tokens don't fill a window of {length}"
            )));
        }
        Ok(Self {
            size,
            count: length / size,
        })
    }

    pub fn visibility(self) -> Visibility {
        match self.count {
            1 => Visibility::Full,
            _ => Visibility::GapsAndWhole { size: self.size },
        }
    }

    /// Positions in the window of some positions in a block.
    pub fn positions(self, block: usize, inside: &[usize]) -> Vec<usize> {
        inside
            .iter()
            .map(|position| block * self.size + position)
            .collect()
    }

    pub fn question<P: Predictor>(
        self,
        model: &P,
        windows: &[&[u32]],
        window: usize,
        hidden: &[usize],
        scored: Vec<Scored>,
    ) -> Question {
        let mut inputs = windows[window].to_vec();
        for &position in hidden {
            inputs[position] = model.mask_id();
        }
        if self.count > 1 {
            inputs.extend_from_slice(windows[window]);
        }
        Question {
            window,
            inputs,
            scored,
        }
    }

    /// The questions of one order in each block: position `order[j]` is predicted with `order[j..]` hidden, in all blocks
    /// at once.
    pub fn chain<P: Predictor>(
        self,
        model: &P,
        windows: &[&[u32]],
        window: usize,
        orders: Vec<Vec<usize>>,
    ) -> impl Iterator<Item = Question> {
        (0..self.size).map(move |done| {
            let at = |from: std::ops::Range<usize>| -> Vec<usize> {
                let blocks = orders.iter().enumerate();
                blocks
                    .flat_map(|(block, order)| self.positions(block, &order[from.clone()]))
                    .collect()
            };
            let scored = vec![Scored {
                positions: at(done..done + 1),
                weight: 1.0,
            }];
            self.question(model, windows, window, &at(done..self.size), scored)
        })
    }
}

/// The weighted sum of cross-entropies each question asks for, in nats, in order.
async fn answers<P: Predictor>(
    model: &P,
    windows: &[&[u32]],
    questions: impl Iterator<Item = Question>,
    batch: usize,
    visibility: Visibility,
) -> Result<Vec<f64>> {
    let mut answers = Vec::new();
    ask(
        model,
        windows,
        questions,
        batch,
        visibility,
        |question, row| {
            answers.push(question.nats(row)?);
            Ok(())
        },
    )
    .await?;
    Ok(answers)
}

/// Tells the cross-entropies at all positions, `[length]`, of one question after the other.
pub(super) async fn ask<P: Predictor>(
    model: &P,
    windows: &[&[u32]],
    mut questions: impl Iterator<Item = Question>,
    batch: usize,
    visibility: Visibility,
    mut tell: impl FnMut(&Question, &[f64]) -> Result<()>,
) -> Result<()> {
    let length = windows[0].len();
    loop {
        let asked: Vec<Question> = questions.by_ref().take(batch).collect();
        if asked.is_empty() {
            return Ok(());
        }
        let inputs: Vec<u32> = asked
            .iter()
            .flat_map(|question| &question.inputs)
            .copied()
            .collect();
        let targets: Vec<u32> = asked
            .iter()
            .flat_map(|question| windows[question.window])
            .copied()
            .collect();
        let nats = model.nats(&inputs, &targets, length, visibility).await?;
        for (question, row) in asked.iter().zip(nats.chunks_exact(length)) {
            tell(question, row)?;
        }
        yield_now().await;
    }
}

/// A loss that can be counted on.
pub(super) fn finite(nats: f64, window: usize) -> Result<f64> {
    match nats.is_finite() {
        true => Ok(nats),
        false => Err(Error::work(format!(
            "the model's loss on window {window} is `{nats}`"
        ))),
    }
}

/// `ln(mean(exp(-sums)))`, safe where every `exp` underflows.
fn log_mean_exp_negative(sums: &[f64]) -> f64 {
    let least = sums.iter().copied().fold(f64::INFINITY, f64::min);
    let mean = sums.iter().map(|sum| (least - sum).exp()).sum::<f64>() / sums.len() as f64;
    mean.ln() - least
}

/// The one length of all windows, once it is clear that they can be scored.
pub(super) fn window_length<P: Predictor>(
    model: &P,
    windows: &[&[u32]],
    batch: usize,
) -> Result<usize> {
    at_least_one(batch, "sequences in a batch")?;
    let length = windows.first().map_or(0, |window| window.len());
    if length == 0 {
        return Err(Error::input("there is no text to evaluate")
            .with_hint("give at least one whole window of tokens"));
    }
    for (index, window) in windows.iter().enumerate() {
        if window.len() != length {
            return Err(Error::input(format!(
                "window {index} has {} tokens where the first has {length}",
                window.len()
            )));
        }
        if let Some(token) = window.iter().find(|&&token| token >= model.mask_id()) {
            return Err(Error::input(format!(
                "window {index} holds the id {token}, which the model can't predict"
            ))
            .with_hint(format!("ids below {} are tokens", model.mask_id())));
        }
    }
    Ok(length)
}

pub(super) fn at_least_one(count: usize, of_what: &str) -> Result<()> {
    if count == 0 {
        return Err(
            Error::input(format!("the number of {of_what} is 0")).with_hint("use at least 1")
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every token has the same probability, wherever it stands.
    struct Uniform;

    impl Predictor for Uniform {
        fn vocab_size(&self) -> usize {
            5
        }

        async fn nats(
            &self,
            _inputs: &[u32],
            targets: &[u32],
            _length: usize,
            _visibility: Visibility,
        ) -> Result<Vec<f64>> {
            Ok(vec![4.0_f64.ln(); targets.len()])
        }

        async fn log_probabilities(
            &self,
            inputs: &[u32],
            _length: usize,
            _visibility: Visibility,
        ) -> Result<Vec<f32>> {
            Ok(vec![-(4.0_f32.ln()); inputs.len() * 4])
        }
    }

    #[test]
    fn every_figure_of_a_uniform_model_is_the_log_of_its_vocabulary() {
        let windows: [&[u32]; 3] = [&[0, 1, 2, 3, 0], &[3, 3, 3, 3, 3], &[0, 1, 0, 1, 0]];
        pollster::block_on(async {
            for batch in [1, 2, 100] {
                for figures in [
                    autoregressive_nats(&Uniform, &windows, batch)
                        .await
                        .unwrap(),
                    masked_bound(&Uniform, &windows, 5, 3, 0, batch)
                        .await
                        .unwrap(),
                    masked_bound(&Uniform, &windows, 1, 3, 0, batch)
                        .await
                        .unwrap(),
                    left_to_right_nats(&Uniform, &windows, 5, batch)
                        .await
                        .unwrap(),
                    left_to_right_nats(&Uniform, &windows, 1, batch)
                        .await
                        .unwrap(),
                    k_order_bound(&Uniform, &windows, 5, 3, 0, batch)
                        .await
                        .unwrap(),
                ] {
                    assert_eq!(figures.len(), 3);
                    assert!(
                        figures
                            .iter()
                            .all(|nats| (nats - 4.0_f64.ln()).abs() < 1e-12)
                    );
                }
            }
        });
    }

    #[test]
    fn what_cannot_be_scored_is_refused() {
        let score = |windows: &[&[u32]], batch| {
            pollster::block_on(autoregressive_nats(&Uniform, windows, batch))
        };
        assert!(score(&[], 1).is_err());
        assert!(score(&[&[]], 1).is_err());
        assert!(score(&[&[0, 1], &[0]], 1).is_err());
        assert!(score(&[&[0, 4]], 1).is_err(), "MASK is no target");
        assert!(score(&[&[0, 1]], 0).is_err());
        assert!(pollster::block_on(masked_bound(&Uniform, &[&[0]], 1, 0, 0, 1)).is_err());
        assert!(pollster::block_on(masked_bound(&Uniform, &[&[0, 1, 2]], 2, 1, 0, 1)).is_err());
        assert!(pollster::block_on(k_order_bound(&Uniform, &[&[0]], 1, 0, 0, 1)).is_err());
    }

    #[test]
    fn orders_of_hundreds_of_nats_do_not_underflow() {
        assert_eq!(log_mean_exp_negative(&[2000.0, 2000.0]), -2000.0);
        assert!((log_mean_exp_negative(&[2000.0, 5000.0]) + 2000.0 + 2.0_f64.ln()).abs() < 1e-9);
    }
}

//! Where a model is good: its loss by how much is hidden and by position, and whether it knows how sure it is.
//!
//! Windows come in groups, and every figure can be read after each. Masks are keyed by (seed, window index), so that
//! models that are inspected alike are asked alike.

use crate::error::Result;
use crate::evaluate::likelihood::{
    Blocks, Question, Scored, ask, at_least_one, finite, window_length, windows_at_once,
};
use crate::evaluate::{Mean, ratio};
use crate::model::{Predictor, Visibility};
use crate::objective::Factorization;
use crate::platform::yield_now;
use crate::random::{Purpose, Stream};

/// Bins of the share that is masked.
const RATIOS: usize = 16;
/// Bins of the likeliest token's probability.
const CERTAINTIES: usize = 10;
/// Log-probabilities that are read back at once.
const READ_AT_ONCE: usize = 1 << 22;

/// A bin of a measurement.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Binned {
    /// Mean of what is binned; the bin's middle where nothing is in it.
    pub at: f64,
    /// Cases in it.
    pub count: u64,
    /// What was measured there, from at least two windows.
    pub value: Option<Mean>,
}

/// An inspection under way.
#[derive(Debug, Clone)]
pub struct Inspection {
    factorization: Factorization,
    draws: usize,
    seed: u64,
    windows: usize,
    /// Cross-entropy by the share that is masked. Nothing for a model that masks nothing.
    ratios: Vec<Cases>,
    /// NLL of each window at each position, left to right: `[length][windows]`.
    positions: Vec<Vec<f64>>,
    /// Whether the likeliest token was right, by its probability.
    certainties: Vec<Cases>,
}

/// What fell into a bin.
#[derive(Debug, Clone, Default)]
struct Cases {
    count: u64,
    /// Weighted sum of what is binned.
    at: f64,
    /// Weighted sums of what is measured, and of the weights, for each window.
    sums: Vec<(f64, f64)>,
}

impl Cases {
    fn add(&mut self, at: f64, value: f64, weight: f64) {
        self.count += 1;
        self.at += at * weight;
        if let Some((values, weights)) = self.sums.last_mut() {
            *values += value * weight;
            *weights += weight;
        }
    }

    fn weight(&self) -> f64 {
        self.sums.iter().map(|(_, weights)| weights).sum()
    }

    fn binned(&self, middle: f64) -> Binned {
        let known: Vec<(f64, f64)> = self
            .sums
            .iter()
            .copied()
            .filter(|(_, weights)| *weights > 0.0)
            .collect();
        let weight = self.weight();
        Binned {
            at: if weight > 0.0 {
                self.at / weight
            } else {
                middle
            },
            count: self.count,
            value: (known.len() >= 2).then(|| ratio(&known).ok()).flatten(),
        }
    }
}

impl Inspection {
    /// An inspection of a model that is asked in this way, with `draws` masks for each window and share.
    ///
    /// # Errors
    /// When `draws` is 0.
    pub fn new(factorization: Factorization, draws: usize, seed: u64) -> Result<Self> {
        at_least_one(draws, "draws")?;
        let ratios = match factorization {
            Factorization::LeftToRight => 0,
            Factorization::Blocks { .. } => RATIOS,
        };
        Ok(Self {
            factorization,
            draws,
            seed,
            windows: 0,
            ratios: vec![Cases::default(); ratios],
            positions: Vec::new(),
            certainties: vec![Cases::default(); CERTAINTIES],
        })
    }

    /// Windows inspected so far.
    pub fn windows(&self) -> usize {
        self.windows
    }

    /// Inspects some more windows.
    ///
    /// # Errors
    /// When they can't be scored, or the model fails.
    pub async fn add<P: Predictor>(&mut self, model: &P, windows: &[&[u32]]) -> Result<()> {
        let length = window_length(model, windows, 1)?;
        self.positions.resize(length, Vec::new());
        match self.factorization {
            Factorization::LeftToRight => self.left_to_right(model, windows, length).await?,
            Factorization::Blocks { size } => {
                let blocks = Blocks::new(length, size)?;
                self.chain(model, windows, blocks).await?;
                self.masks(model, windows, blocks).await?;
            }
        }
        self.windows += windows.len();
        Ok(())
    }

    /// Every token given those before it.
    async fn left_to_right<P: Predictor>(
        &mut self,
        model: &P,
        windows: &[&[u32]],
        length: usize,
    ) -> Result<()> {
        let ids = model.vocab_size() - 1;
        for group in windows.chunks(at_once(length, ids)) {
            let inputs: Vec<u32> = group
                .iter()
                .flat_map(|tokens| {
                    std::iter::once(model.mask_id()).chain(tokens[..length - 1].iter().copied())
                })
                .collect();
            let logs = model
                .log_probabilities(&inputs, length, Visibility::Causal)
                .await?;
            for (tokens, rows) in group.iter().zip(logs.chunks_exact(length * ids)) {
                self.certainties.iter_mut().for_each(begin);
                for (position, row) in rows.chunks_exact(ids).enumerate() {
                    let target = tokens[position] as usize;
                    let nats = finite(-f64::from(row[target]), self.windows)?;
                    self.positions[position].push(nats);
                    self.judge(row, target, 1.0);
                }
            }
            yield_now().await;
        }
        Ok(())
    }

    /// NLL at each position when blocks are written token after token.
    async fn chain<P: Predictor>(
        &mut self,
        model: &P,
        windows: &[&[u32]],
        blocks: Blocks,
    ) -> Result<()> {
        let order: Vec<usize> = (0..blocks.size).collect();
        let orders = vec![order; blocks.count];
        let questions = (0..windows.len())
            .flat_map(|window| blocks.chain(model, windows, window, orders.clone()));
        let batch = windows_at_once(blocks.size * blocks.count);
        let positions = &mut self.positions;
        ask(
            model,
            windows,
            questions,
            batch,
            blocks.visibility(),
            |question, row| {
                for &position in question.scored.iter().flat_map(|part| &part.positions) {
                    positions[position].push(finite(row[position], question.window)?);
                }
                Ok(())
            },
        )
        .await
    }

    /// Cross-entropy of what is masked, share by share. Calibration is that of a token that is committed next, in a random
    /// order: of one masked position in each block, all shares being equally likely.
    async fn masks<P: Predictor>(
        &mut self,
        model: &P,
        windows: &[&[u32]],
        blocks: Blocks,
    ) -> Result<()> {
        let ids = model.vocab_size() - 1;
        let length = blocks.size * blocks.count;
        let size = blocks.size;
        for (index, tokens) in windows.iter().enumerate() {
            self.ratios.iter_mut().for_each(begin);
            self.certainties.iter_mut().for_each(begin);
            let mut stream = Stream::new(
                self.seed,
                Purpose::Evaluation,
                (self.windows + index) as u64,
                2,
            );
            let mut asked: Vec<(usize, usize, Question)> = Vec::new();
            for bin in 0..RATIOS {
                // As many are masked as are in this part of all.
                let (from, to) = (bin * size / RATIOS, (bin + 1) * size / RATIOS);
                for _ in 0..if from < to { self.draws } else { 0 } {
                    let masked = from + 1 + stream.below((to - from) as u64) as usize;
                    let scored: Vec<Scored> = (0..blocks.count)
                        .map(|block| Scored {
                            positions: blocks.positions(block, &stream.choose(size, masked)),
                            weight: (to - from) as f64,
                        })
                        .collect();
                    let hidden: Vec<usize> = scored
                        .iter()
                        .flat_map(|part| part.positions.iter().copied())
                        .collect();
                    let question = blocks.question(model, windows, index, &hidden, scored);
                    asked.push((bin, masked, question));
                }
            }
            for group in asked.chunks(at_once(length, ids)) {
                let inputs: Vec<u32> = group
                    .iter()
                    .flat_map(|(.., question)| question.inputs.iter().copied())
                    .collect();
                let logs = model
                    .log_probabilities(&inputs, length, blocks.visibility())
                    .await?;
                for ((bin, masked, question), rows) in
                    group.iter().zip(logs.chunks_exact(length * ids))
                {
                    let share = *masked as f64 / size as f64;
                    let row = |position: usize| &rows[position * ids..][..ids];
                    for part in &question.scored {
                        for &position in &part.positions {
                            let nats = -f64::from(row(position)[tokens[position] as usize]);
                            self.ratios[*bin].add(share, finite(nats, self.windows + index)?, 1.0);
                        }
                        // They come in random order.
                        let next = part.positions[0];
                        self.judge(row(next), tokens[next] as usize, part.weight);
                    }
                }
                yield_now().await;
            }
        }
        Ok(())
    }

    /// Whether the likeliest token is the true one.
    fn judge(&mut self, logs: &[f32], target: usize, weight: f64) {
        let likeliest = (0..logs.len()).max_by(|&a, &b| logs[a].total_cmp(&logs[b]));
        let Some(likeliest) = likeliest else { return };
        let certainty = libm::exp(f64::from(logs[likeliest])).min(1.0);
        let bin = ((certainty * CERTAINTIES as f64) as usize).min(CERTAINTIES - 1);
        let right = f64::from(u8::from(likeliest == target));
        self.certainties[bin].add(certainty, right, weight);
    }

    /// Cross-entropy of masked tokens in nats, by the share that is masked: 16 bins, none for a model that masks nothing.
    pub fn by_mask_ratio(&self) -> Vec<Binned> {
        bins(&self.ratios)
    }

    /// NLL in nats at each position, left to right, from at least two windows.
    pub fn by_position(&self) -> Vec<Mean> {
        let means = self.positions.iter().map(|nats| Mean::of(nats));
        means.collect::<Result<_>>().unwrap_or_default()
    }

    /// How often the likeliest token was right, by its probability: 10 bins.
    pub fn calibration(&self) -> Vec<Binned> {
        bins(&self.certainties)
    }

    /// Expected calibration error: how far probability and share of right tokens are apart, mean over the cases.
    pub fn calibration_error(&self) -> f64 {
        let all: f64 = self.certainties.iter().map(Cases::weight).sum();
        let apart = self.certainties.iter().map(|cases| {
            let right: f64 = cases.sums.iter().map(|(values, _)| values).sum();
            (cases.at - right).abs()
        });
        if all > 0.0 {
            apart.sum::<f64>() / all
        } else {
            0.0
        }
    }
}

fn begin(cases: &mut Cases) {
    cases.sums.push((0.0, 0.0));
}

fn bins(cases: &[Cases]) -> Vec<Binned> {
    let width = 1.0 / cases.len().max(1) as f64;
    let middles = (0..cases.len()).map(|bin| (bin as f64 + 0.5) * width);
    let each = cases.iter().zip(middles);
    each.map(|(cases, middle)| cases.binned(middle)).collect()
}

fn at_once(length: usize, ids: usize) -> usize {
    windows_at_once(length).min((READ_AT_ONCE / (length * ids)).max(1))
}

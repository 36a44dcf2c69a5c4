//! Quality against cost: a model writes in every way it can, and what each way wrote is measured beside real text.
//!
//! No figure stands alone. A likelihood of samples, by another model or by the source itself, is the lower the duller they
//! are; variety is the higher the wilder they are. Samples are good where *all* figures are those of real text, which
//! is why [`Judge::quality`] measures held-out windows and samples in the same way.

use serde::Serialize;

use crate::corpus::{Corpus, Grid, Judged};
use crate::error::{Error, Result};
use crate::evaluate::{Mean, Variety, autoregressive_nats, ratio, share, windows_at_once};
use crate::lab::protocol::Estimate;
use crate::laws::flops::ReadCost;
use crate::model::{Predictor, Visibility};
use crate::objective::Factorization;
use crate::platform;
use crate::sample::{Caching, Cell, Decoding, Denoising, Sampler, Way};

/// What is the same in all ways of a comparison.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Page {
    /// Tokens to write.
    pub length: usize,
    /// Seed of the random numbers.
    pub seed: u64,
    /// What reading costs.
    pub cost: ReadCost,
}

impl Page {
    /// Token after token.
    pub fn left_to_right(self) -> Way {
        Way::LeftToRight(Decoding {
            cache: Caching::Exact,
            cost: self.cost,
            ..Decoding::new(Vec::new(), self.length, self.seed)
        })
    }

    /// In blocks of `block_size` tokens, which is the page's length for a model that knows no blocks. `steps` are nothing
    /// to a sampler that chooses its own.
    pub fn denoising(self, block_size: usize, sampler: Sampler, steps: usize) -> Way {
        let visibility = Visibility::of_blocks(block_size, self.length);
        Way::Denoising(Denoising {
            sampler,
            steps,
            cache: Caching::suiting(visibility),
            cost: self.cost,
            ..Denoising::new(vec![Cell::Free; self.length], visibility, self.seed)
        })
    }

    /// The plain way of a model: left to right, or ancestral with a step for each token.
    pub(super) fn plain(self, factorization: Factorization) -> Way {
        match factorization {
            Factorization::LeftToRight => self.left_to_right(),
            Factorization::Blocks { size } => self.denoising(size, Sampler::Ancestral, self.length),
        }
    }
}

/// The numbers of denoising steps to compare where nobody asks for others: one for each block of `block_size` tokens,
/// and doubled until there is one for each of `length` tokens.
pub fn ladder(length: usize, block_size: usize) -> Vec<usize> {
    let fewest = length.div_ceil(block_size.max(1)).max(1);
    let mut ladder: Vec<usize> = std::iter::successors(Some(fewest), |steps| steps.checked_mul(2))
        .take_while(|&steps| steps < length)
        .collect();
    ladder.push(length);
    ladder
}

/// Every way in which a model of this factorization can write: samplers in order, each with the ladder's numbers of
/// steps, or once where it chooses its own; or the one way there is, left to right.
pub fn ways(
    page: Page,
    factorization: Factorization,
    samplers: &[Sampler],
    ladder: &[usize],
) -> Vec<Way> {
    let Factorization::Blocks { size } = factorization else {
        return vec![page.left_to_right()];
    };
    let own = [page.length];
    let of_sampler = |&sampler: &Sampler| {
        let steps = match sampler.chooses_its_steps() {
            true => own.as_slice(),
            false => ladder,
        };
        let way = move |&steps: &usize| page.denoising(size, sampler, steps);
        steps.iter().map(way)
    };
    samplers.iter().flat_map(of_sampler).collect()
}

/// Who wrote what a row measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Writer {
    /// People, or the source: held-out text.
    Reference,
    /// The model in question.
    Model,
    /// The autoregressive model that judges it.
    Twin,
}

/// What one way of writing costs, and how good it is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// Who wrote.
    pub writer: Writer,
    /// How: `autoregressive`, or the name of a sampler. Nothing for real text, as all that follows of the cost.
    pub way: Option<&'static str>,
    /// The sampler with its parameters.
    pub sampler: Option<Sampler>,
    /// Denoising steps that were asked for, where the sampler doesn't choose them.
    pub asked_steps: Option<usize>,
    /// Steps taken for a sample.
    pub steps: Option<Estimate>,
    /// Forward passes that read a sample.
    pub model_calls: Option<Estimate>,
    /// Their floating-point operations.
    pub flops: Option<Estimate>,
    /// Wall-clock seconds a sample, written in batches.
    pub seconds: Option<f64>,
    /// What it is like.
    #[serde(flatten)]
    pub quality: Quality,
}

/// What written text is like. Standard errors are over samples.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Quality {
    /// Samples, or windows of real text.
    pub samples: usize,
    /// Exact negative log-likelihood under the AR twin, nats per token.
    pub twin_nats: Option<Estimate>,
    /// Stretches that the source judges: windows, or whole stories ([`Corpus::judge`]).
    pub judged: Option<usize>,
    /// Share of them that the source can write at all. (Standard error: Agresti and Coull's.)
    pub accepted: Option<Estimate>,
    /// Minus the source's own log-probability of those that it can write, nats per token: all of them together, over
    /// all their tokens. Samples that can't be written have no finite one, so it says nothing without `accepted`.
    pub true_nats: Option<Estimate>,
    /// For grids: share that keeps every rule.
    pub valid: Option<Estimate>,
    /// For grids: share that keeps every rule and is no training grid.
    pub novel: Option<Estimate>,
    /// Entropy of a sample's tokens, nats.
    pub entropy: Estimate,
    /// Entropy of all samples' tokens together, nats.
    pub pooled_entropy: Estimate,
    /// Distinct tokens of a sample, over its tokens.
    pub distinct_1: Option<Estimate>,
    /// Distinct pairs of a sample, over its pairs.
    pub distinct_2: Option<Estimate>,
    /// Distinct runs of three, over all such runs of a sample.
    pub distinct_3: Option<Estimate>,
    /// Share of tokens that complete a run of four which the sample had before.
    pub repetition_4: Option<Estimate>,
}

/// What is known beside the samples themselves.
#[derive(Debug, Clone, Copy)]
pub struct Judge<'a, T> {
    /// A model that reads left to right, with the samples' tokens.
    pub twin: Option<&'a T>,
    /// The text that the model was trained on.
    pub corpus: Option<&'a Corpus>,
}

impl<T: Predictor> Judge<'_, T> {
    /// Measures windows of one length, real or written.
    ///
    /// # Errors
    /// When there are fewer than two windows, or the twin fails.
    pub async fn quality(&self, windows: &[&[u32]]) -> Result<Quality> {
        let variety = Variety::of(windows)?;
        let twin_nats = match self.twin {
            Some(twin) => {
                let length = windows.first().map_or(1, |window| window.len());
                let nats = autoregressive_nats(twin, windows, windows_at_once(length)).await?;
                Some(Mean::of(&nats)?)
            }
            None => None,
        };
        let verdict = self
            .corpus
            .filter(|corpus| corpus.can_judge())
            .map(|corpus| by_source(corpus, windows))
            .transpose()?;
        let grids = self
            .corpus
            .and_then(|corpus| Some(grid_shares(corpus, corpus.grid.as_ref()?, windows)))
            .transpose()?;
        let known = |mean: Option<Mean>| mean.map(Estimate::from);
        let [distinct_1, distinct_2, distinct_3] = variety.distinct.map(known);
        Ok(Quality {
            samples: windows.len(),
            twin_nats: known(twin_nats),
            judged: verdict.as_ref().map(|verdict| verdict.judged),
            accepted: known(verdict.as_ref().and_then(|verdict| verdict.accepted)),
            true_nats: known(verdict.and_then(|verdict| verdict.nats)),
            valid: known(grids.map(|(valid, _)| valid)),
            novel: known(grids.map(|(_, novel)| novel)),
            entropy: variety.entropy.into(),
            pooled_entropy: variety.pooled_entropy.into(),
            distinct_1,
            distinct_2,
            distinct_3,
            repetition_4: known(variety.repetition),
        })
    }

    /// Measures real text: what samples should be like.
    ///
    /// # Errors
    /// As [`Judge::quality`].
    pub async fn reference(&self, windows: &[&[u32]]) -> Result<Row> {
        Ok(Row {
            writer: Writer::Reference,
            way: None,
            sampler: None,
            asked_steps: None,
            steps: None,
            model_calls: None,
            flops: None,
            seconds: None,
            quality: self.quality(windows).await?,
        })
    }

    /// Lets a model write `samples` windows in one way, and measures them.
    ///
    /// # Errors
    /// When [`Way::check`] refuses, there are fewer than two samples, or a model fails.
    pub async fn row<P: Predictor>(
        &self,
        model: &P,
        writer: Writer,
        way: &Way,
        samples: u64,
    ) -> Result<Row> {
        if samples < 2 {
            return Err(Error::input(format!(
                "a standard error needs at least 2 samples, `{samples}` were asked for"
            )));
        }
        let batch = windows_at_once(way.length()) as u64;
        let mut texts = Vec::new();
        let (mut steps, mut calls, mut flops) = (Vec::new(), Vec::new(), Vec::new());
        let mut seconds = 0.0;
        for start in (0..samples).step_by(batch as usize) {
            let began = platform::now();
            let written = way
                .write(model, start..(start + batch).min(samples))
                .await?;
            seconds += began.elapsed().as_secs_f64();
            for sample in written {
                steps.push(sample.steps.len() as f64);
                calls.push(sample.model_calls as f64);
                flops.push(sample.flops);
                texts.push(sample.tokens);
            }
        }
        let windows: Vec<&[u32]> = texts.iter().map(Vec::as_slice).collect();
        let estimate = |values: &[f64]| Mean::of(values).map(|mean| Some(mean.into()));
        Ok(Row {
            writer,
            way: Some(way.name()),
            sampler: way.sampler(),
            asked_steps: way.asked_steps(),
            steps: estimate(&steps)?,
            model_calls: estimate(&calls)?,
            flops: estimate(&flops)?,
            seconds: Some(seconds / samples as f64),
            quality: self.quality(&windows).await?,
        })
    }
}

/// What a source says of samples.
struct Verdict {
    judged: usize,
    accepted: Option<Mean>,
    /// `None` where it accepts parts of fewer than two samples: then there is no standard error.
    nats: Option<Mean>,
}

fn by_source(corpus: &Corpus, windows: &[&[u32]]) -> Result<Verdict> {
    let judged: Vec<Vec<Judged>> = windows.iter().map(|window| corpus.judge(window)).collect();
    // Stories of one sample are counted as independent trials; their nats are not.
    let trials = || judged.iter().flatten().map(|part| part.nats.is_some());
    let count = trials().count();
    let accepted: Vec<(f64, f64)> = judged
        .iter()
        .map(|parts| {
            let known = parts
                .iter()
                .filter_map(|part| Some((part.nats?, part.tokens)));
            known.fold((0.0, 0.0), |(nats, tokens), (more, length)| {
                (nats + more, tokens + length as f64)
            })
        })
        .filter(|(_, tokens)| *tokens > 0.0)
        .collect();
    Ok(Verdict {
        judged: count,
        accepted: (count > 0).then(|| share(trials())).transpose()?,
        nats: (accepted.len() >= 2)
            .then(|| ratio(&accepted))
            .transpose()?,
    })
}

/// Shares of written grids that keep every rule, and that do and are no training grids.
///
/// # Errors
/// When there is no grid.
pub(super) fn grid_shares(
    corpus: &Corpus,
    grid: &Grid,
    written: &[&[u32]],
) -> Result<(Mean, Mean)> {
    let valid: Vec<bool> = written.iter().map(|tokens| grid.is_valid(tokens)).collect();
    let novel = written
        .iter()
        .zip(&valid)
        .map(|(tokens, valid)| *valid && !corpus.is_training_window(tokens));
    Ok((share(valid.iter().copied())?, share(novel)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ladder_doubles_from_a_step_a_block_to_a_step_a_token() {
        assert_eq!(ladder(64, 64), [1, 2, 4, 8, 16, 32, 64]);
        assert_eq!(ladder(25, 25), [1, 2, 4, 8, 16, 25]);
        assert_eq!(ladder(24, 4), [6, 12, 24]);
        assert_eq!(ladder(8, 1), [8]);
        assert_eq!(ladder(1, 1), [1]);
    }

    #[test]
    fn every_rung_of_every_sampler_can_be_written() {
        let page = Page {
            length: 24,
            seed: 0,
            cost: ReadCost::default(),
        };
        for size in [24, 12, 4, 3] {
            let rungs = ladder(24, size);
            let factorization = Factorization::Blocks { size };
            let ways = ways(page, factorization, &Sampler::ALL, &rungs);
            let own = |sampler: &&Sampler| sampler.chooses_its_steps();
            let alone = Sampler::ALL.iter().filter(own).count();
            assert_eq!(
                ways.len(),
                alone + (Sampler::ALL.len() - alone) * rungs.len()
            );
            for way in ways {
                way.check(9).unwrap();
            }
        }
        let only = ways(page, Factorization::LeftToRight, &Sampler::ALL, &[1, 2]);
        assert_eq!(only, [page.left_to_right()]);
    }
}

//! Masked diffusion: hide a random subset of a block, predict it from the rest and the blocks before, and weight each
//! prediction so that the expected loss bounds the negative log-likelihood from above. One block of the whole window is
//! masked diffusion proper; several are block diffusion (BD3-LM; Arriola et al. 2025, arXiv 2503.09573), whose bound is the
//! sum of its blocks' bounds.
//!
//! With M the masked set and ce_i the cross-entropy of token i given the unmasked ones, three forms are equal
//! (Sahoo et al. 2024, arXiv 2406.07524; Ou et al. 2024, arXiv 2406.03736; `tests/exactness.rs` enumerates them):
//!
//! ```text
//! E_{t~U(0,1)} E_{M~Bern(t)} (1/t) sum_M ce  =  E_{l~U{1..L}} E_{|M|=l} (L/l) sum_M ce  =  E_order sum_j ce
//! ```

use serde::{Deserialize, Serialize};

use crate::model::Visibility;
use crate::objective::Batch;
use crate::random::Stream;

/// How masks are drawn and weighted in training. Every one of them is evaluated by the same bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Estimator {
    /// l uniform on 1..=L, stratified over the batch; exactly l positions; weight L/l. Unbiased, and the quietest.
    #[serde(rename = "exact-l")]
    ExactL,
    /// t uniform, stratified over the batch; each position with probability t; weight 1/t (MDLM).
    #[serde(rename = "1/t")]
    InverseT,
    /// As `exact-l` with weight 1 (MaskGIT): no bound on anything, though it trains.
    #[serde(rename = "unweighted")]
    Unweighted,
    /// The released estimator of arXiv 2511.03276: t uniform for each sequence, each position with probability t, one
    /// position forced where none fell, weight L/n with the realised count n. Biased by (g(1) - mean g)/(L + 1), where
    /// g(n) is the mean cross-entropy with n masked.
    #[serde(rename = "paper")]
    Paper,
}

/// The smallest t of the 1/t form, as in MDLM. What it leaves out is below 1e-3 of the last position's cross-entropy.
const SMALLEST_T: f64 = 1e-3;

/// One block's masked positions and the weight of their cross-entropies; weight times sum, divided by L, estimates
/// nats per token.
#[derive(Debug, Clone, PartialEq)]
pub struct Mask {
    /// The masked positions, at least one unless the estimator drew none.
    pub positions: Vec<usize>,
    /// Weight of each masked position.
    pub weight: f64,
}

/// Draws the mask of one block of `length` tokens. `level` in [0, 1) sets how much is masked; stratifying it over a
/// batch is the caller's part.
pub fn draw(estimator: Estimator, length: usize, level: f64, stream: &mut Stream) -> Mask {
    match estimator {
        Estimator::ExactL | Estimator::Unweighted => {
            let count = (level * length as f64) as usize + 1;
            let weight = match estimator {
                Estimator::Unweighted => 1.0,
                _ => length as f64 / count as f64,
            };
            Mask {
                positions: stream.choose(length, count.min(length)),
                weight,
            }
        }
        Estimator::InverseT => {
            let t = SMALLEST_T + (1.0 - SMALLEST_T) * level;
            Mask {
                positions: bernoulli(length, t, stream),
                weight: 1.0 / t,
            }
        }
        Estimator::Paper => {
            let mut positions = bernoulli(length, level, stream);
            if positions.is_empty() {
                positions.push(stream.below(length as u64) as usize);
            }
            Mask {
                weight: length as f64 / positions.len() as f64,
                positions,
            }
        }
    }
}

fn bernoulli(length: usize, probability: f64, stream: &mut Stream) -> Vec<usize> {
    (0..length)
        .filter(|_| stream.uniform() < probability)
        .collect()
}

/// One batch of windows, in blocks of `block_size`. Levels are stratified over windows and blocks, a window's own blocks
/// as far apart as they can be. With probability `random_length` all windows are cut to one random length, as LLaDA
/// does with 1% of its batches; windows of several blocks stay whole.
pub fn batch(
    tokens: &[u32],
    length: usize,
    block_size: usize,
    mask_id: u32,
    estimator: Estimator,
    random_length: f64,
    stream: &mut Stream,
) -> Batch {
    let one_block = block_size == length;
    let cut = if stream.uniform() < random_length && one_block {
        1 + stream.below(length as u64) as usize
    } else {
        length
    };
    let size = block_size.min(cut);
    let targets: Vec<u32> = tokens
        .chunks_exact(length)
        .flat_map(|window| &window[..cut])
        .copied()
        .collect();
    let (sequences, blocks) = (tokens.len() / length, cut / size);
    let shared = stream.uniform();
    let mut gaps = targets.clone();
    let mut weights = vec![0.0; targets.len()];
    for sequence in 0..sequences {
        for block in 0..blocks {
            let level = match estimator {
                Estimator::Paper => stream.uniform(),
                _ => {
                    let place = block * sequences + sequence;
                    (shared + place as f64 / (sequences * blocks) as f64).fract()
                }
            };
            let mask = draw(estimator, size, level, stream);
            for position in mask.positions {
                let index = sequence * cut + block * size + position;
                gaps[index] = mask_id;
                weights[index] = (mask.weight / (cut * sequences) as f64) as f32;
            }
        }
    }
    let (inputs, visibility) = if one_block {
        (gaps, Visibility::Full)
    } else {
        let both = gaps.chunks_exact(cut).zip(targets.chunks_exact(cut));
        let inputs = both.flat_map(|(gaps, whole)| [gaps, whole].concat());
        (inputs.collect(), Visibility::GapsAndWhole { size })
    };
    Batch {
        inputs,
        targets,
        weights,
        length: cut,
        visibility,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Purpose;

    const LENGTH: usize = 4;

    fn stream(step: u64) -> Stream {
        Stream::new(11, Purpose::Masking, step, 0)
    }

    /// A denoiser without structure: the cross-entropy of each masked position depends on the whole mask, irregularly.
    fn cross_entropy(masked: &[bool; LENGTH], position: usize) -> f64 {
        let pattern = masked
            .iter()
            .fold(0_usize, |bits, hidden| bits * 2 + usize::from(*hidden));
        0.2 + ((pattern * 7 + position * 3) % 11) as f64 / 10.0
    }

    fn sum_over(positions: &[usize]) -> f64 {
        let mut masked = [false; LENGTH];
        for &position in positions {
            masked[position] = true;
        }
        (0..LENGTH)
            .filter(|&position| masked[position])
            .map(|position| cross_entropy(&masked, position))
            .sum()
    }

    /// Mean over all masks of exactly `count` positions of the mean cross-entropy per masked position.
    fn mean_by_count(count: usize) -> f64 {
        let subsets: Vec<Vec<usize>> = (1_usize..1 << LENGTH)
            .filter(|bits| bits.count_ones() as usize == count)
            .map(|bits| {
                (0..LENGTH)
                    .filter(|position| bits >> position & 1 == 1)
                    .collect()
            })
            .collect();
        let total: f64 = subsets.iter().map(|subset| sum_over(subset)).sum();
        total / (subsets.len() * count) as f64
    }

    fn monte_carlo(estimator: Estimator) -> (f64, f64) {
        let draws = 100_000;
        let mut stream = stream(estimator as u64);
        let values: Vec<f64> = (0..draws)
            .map(|_| {
                let level = stream.uniform();
                let mask = draw(estimator, LENGTH, level, &mut stream);
                mask.weight * sum_over(&mask.positions) / LENGTH as f64
            })
            .collect();
        let mean = values.iter().sum::<f64>() / f64::from(draws);
        let variance = values
            .iter()
            .map(|value| (value - mean).powi(2))
            .sum::<f64>()
            / (f64::from(draws) - 1.0);
        (mean, (variance / f64::from(draws)).sqrt())
    }

    #[test]
    fn the_weighted_estimators_are_unbiased_for_the_bound() {
        let bound = (1..=LENGTH).map(mean_by_count).sum::<f64>() / LENGTH as f64;
        for estimator in [Estimator::ExactL, Estimator::InverseT] {
            let (mean, se) = monte_carlo(estimator);
            let left_out = match estimator {
                Estimator::InverseT => SMALLEST_T * mean_by_count(1),
                _ => 0.0,
            };
            assert!(
                (mean - bound).abs() < 4.0 * se + left_out,
                "{estimator:?}: {mean} ± {se}, bound {bound}"
            );
        }
    }

    #[test]
    fn the_papers_estimator_is_off_by_its_known_bias() {
        let mean_g = (1..=LENGTH).map(mean_by_count).sum::<f64>() / LENGTH as f64;
        let bias = (mean_by_count(1) - mean_g) / (LENGTH + 1) as f64;
        let (mean, se) = monte_carlo(Estimator::Paper);
        assert!((mean - mean_g - bias).abs() < 3.0 * se);
        assert!(bias.abs() > 6.0 * se, "the test can see the bias");
    }

    #[test]
    fn the_unweighted_form_is_the_sum_over_masked_positions_alone() {
        let expected = (1..=LENGTH)
            .map(|count| mean_by_count(count) * count as f64)
            .sum::<f64>()
            / (LENGTH * LENGTH) as f64;
        let (mean, se) = monte_carlo(Estimator::Unweighted);
        assert!((mean - expected).abs() < 4.0 * se);
    }

    #[test]
    fn exactly_l_masks_spread_evenly_over_the_batch() {
        let length = 8;
        let tokens: Vec<u32> = (0..8 * length as u32).map(|index| index % 5).collect();
        for step in 0..20 {
            let batch = batch(
                &tokens,
                length,
                length,
                5,
                Estimator::ExactL,
                0.0,
                &mut stream(step),
            );
            let mut counts: Vec<usize> = batch
                .inputs
                .chunks_exact(length)
                .map(|row| row.iter().filter(|token| **token == 5).count())
                .collect();
            counts.sort_unstable();
            assert_eq!(
                counts,
                [1, 2, 3, 4, 5, 6, 7, 8],
                "one sequence of each level"
            );
            for (row, (input, weight)) in batch.inputs.iter().zip(&batch.weights).enumerate() {
                assert_eq!(
                    *input == 5,
                    *weight > 0.0,
                    "only masked positions count ({row})"
                );
            }
        }
    }

    #[test]
    fn a_random_length_cuts_every_window_alike() {
        let tokens: Vec<u32> = (0..60).collect();
        let batch = batch(&tokens, 20, 20, 99, Estimator::ExactL, 1.0, &mut stream(3));
        assert_eq!(batch.targets.len(), 3 * batch.length);
        assert_eq!(
            batch.targets[batch.length], 20,
            "the second window starts where it did"
        );
    }

    #[test]
    fn every_block_of_a_window_has_a_level_of_its_own() {
        let (length, size) = (8, 4);
        let tokens: Vec<u32> = (0..2 * length as u32).map(|index| index % 5).collect();
        for step in 0..20 {
            let batch = batch(
                &tokens,
                length,
                size,
                5,
                Estimator::ExactL,
                1.0,
                &mut stream(step),
            );
            assert_eq!(batch.length, length, "several blocks stay whole");
            assert_eq!(batch.visibility, Visibility::GapsAndWhole { size });
            let mut counts = Vec::new();
            for (window, read) in tokens
                .chunks_exact(length)
                .zip(batch.inputs.chunks_exact(2 * length))
            {
                let (gaps, whole) = read.split_at(length);
                assert_eq!(whole, window);
                counts.extend(
                    gaps.chunks_exact(size)
                        .map(|block| block.iter().filter(|token| **token == 5).count()),
                );
            }
            counts.sort_unstable();
            assert_eq!(
                counts,
                [1, 2, 3, 4],
                "each level once over windows and blocks"
            );
            let total: f32 = batch.weights.iter().sum();
            assert!(
                (total - 1.0).abs() < 1e-6,
                "a constant loss is estimated exactly: {total}"
            );
        }
    }
}

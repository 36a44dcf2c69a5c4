//! What can be counted in written text: how varied it is, and how often it repeats itself.
//!
//! None of these figures is good or bad by itself: text of one token has no variety, and random tokens have the most. They
//! mean something beside the same figures of real text of the same length and count, because all of them move with
//! length (a longer sample has more repetitions) and the pooled ones with count. They are reported with every likelihood
//! of samples, which alone rewards dull text: a model that writes the likeliest token only is easy to predict.

use std::collections::{BTreeMap, HashSet};

use crate::error::Result;
use crate::evaluate::Mean;

/// Tokens in the n-grams whose return counts as repetition.
pub const REPEATED: usize = 4;

/// How varied samples are. Every standard error is over samples.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Variety {
    /// [`unigram_entropy`] of each sample, nats.
    pub entropy: Mean,
    /// [`pooled_entropy`] of all samples, nats.
    pub pooled_entropy: Mean,
    /// [`distinct`] of n = 1, 2, 3; `None` where samples are shorter than that.
    pub distinct: [Option<Mean>; 3],
    /// [`repetition`]; `None` where samples have fewer than [`REPEATED`] tokens.
    pub repetition: Option<Mean>,
}

impl Variety {
    /// Counts in samples.
    ///
    /// # Errors
    /// When there are fewer than two.
    pub fn of(samples: &[&[u32]]) -> Result<Self> {
        let entropies: Vec<f64> = samples.iter().map(|one| unigram_entropy(one)).collect();
        let mean = |count: &dyn Fn(&[u32]) -> Option<f64>| {
            let counted: Option<Vec<f64>> = samples.iter().map(|one| count(one)).collect();
            counted.map(|values| Mean::of(&values)).transpose()
        };
        Ok(Self {
            entropy: Mean::of(&entropies)?,
            pooled_entropy: pooled_entropy(samples)?,
            distinct: [
                mean(&|one| distinct(one, 1))?,
                mean(&|one| distinct(one, 2))?,
                mean(&|one| distinct(one, 3))?,
            ],
            repetition: mean(&repetition)?,
        })
    }
}

/// Entropy of a sample's tokens in nats: `-sum over v of (c_v / L) ln(c_v / L)`, with `c_v` the times that token `v` is
/// among its `L`.
///
/// The figure that Zheng et al. (arXiv 2409.02908) report beside generative perplexity: it falls when a sampler's
/// rounding or its order favours likely tokens. It is at most `ln L`, and lower than the entropy of the source, since
/// few tokens can't show many.
pub fn unigram_entropy(tokens: &[u32]) -> f64 {
    entropy(&counts(tokens))
}

/// Entropy of the tokens of all samples together, in nats, which also falls when samples are alike.
///
/// Its standard error is the jackknife's over samples, `sqrt((m - 1) / m * sum of (h_i - mean h)²)`, with `h_i` the
/// entropy without sample `i` (Efron and Stein 1981). The plug-in estimate is biased downwards, by about the number of
/// distinct tokens over twice the number of tokens, and not corrected.
///
/// # Errors
/// When there are fewer than two samples.
pub fn pooled_entropy(samples: &[&[u32]]) -> Result<Mean> {
    let all = counts(&samples.concat());
    let without: Vec<f64> = samples
        .iter()
        .map(|sample| {
            let mut left = all.clone();
            for token in *sample {
                if let Some(count) = left.get_mut(token) {
                    *count -= 1;
                }
            }
            entropy(&left)
        })
        .collect();
    let spread = Mean::of(&without)?;
    Ok(Mean {
        mean: entropy(&all),
        // From the standard error of a mean, sqrt(squares / (m - 1) / m), to sqrt(squares * (m - 1) / m).
        se: spread.se * (samples.len() - 1) as f64,
        count: samples.len(),
    })
}

/// Distinct n-grams over n-grams of a sample (Li et al. 2016, arXiv 1510.03055): 1 where none occurs twice. `None` where
/// the sample is shorter than `n`.
///
/// # Panics
/// If `n` is 0.
pub fn distinct(tokens: &[u32], n: usize) -> Option<f64> {
    let grams = tokens.windows(n);
    let total = grams.len();
    let different: HashSet<&[u32]> = grams.collect();
    (total > 0).then(|| different.len() as f64 / total as f64)
}

/// Share of a sample's tokens that complete a 4-gram which the sample had before, among those that complete one at all
/// (that have three tokens before them). This is `1 - distinct-4`, the "seq-rep-4" of Welleck et al. (arXiv 1908.04319).
/// `None` where the sample is shorter.
pub fn repetition(tokens: &[u32]) -> Option<f64> {
    distinct(tokens, REPEATED).map(|distinct| 1.0 - distinct)
}

/// How often each token occurs; in order, so that sums over it are the same every time.
fn counts(tokens: &[u32]) -> BTreeMap<u32, u64> {
    let mut counts = BTreeMap::new();
    for &token in tokens {
        *counts.entry(token).or_insert(0) += 1;
    }
    counts
}

fn entropy(counts: &BTreeMap<u32, u64>) -> f64 {
    let total = counts.values().sum::<u64>() as f64;
    let positive = counts.values().filter(|&&count| count > 0);
    let shares = positive.map(|&count| count as f64 / total);
    // Taken from 0, so that one token alone has 0 and not -0.
    0.0 - shares.map(|share| share * libm::log(share)).sum::<f64>()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// a b a b c a b a
    const SAMPLE: [u32; 8] = [0, 1, 0, 1, 2, 0, 1, 0];

    #[track_caller]
    fn assert_near(value: f64, expected: f64) {
        assert!(
            (value - expected).abs() < 1e-12,
            "{value} is not {expected}"
        );
    }

    #[test]
    fn a_sample_is_counted_as_by_hand() {
        // Four a, three b, one c.
        let expected = -(0.5_f64 * 0.5_f64.ln() + 0.375 * 0.375_f64.ln() + 0.125 * 0.125_f64.ln());
        assert_near(unigram_entropy(&SAMPLE), expected);
        assert_eq!(distinct(&SAMPLE, 1), Some(3.0 / 8.0));
        // ab ba ab bc ca ab ba: ab, ba, bc, ca.
        assert_eq!(distinct(&SAMPLE, 2), Some(4.0 / 7.0));
        // aba bab abc bca cab aba: all but the last are new.
        assert_eq!(distinct(&SAMPLE, 3), Some(5.0 / 6.0));
        // abab babc abca bcab caba.
        assert_eq!(repetition(&SAMPLE), Some(0.0));
        // 01 01 01 01: 0101 and 1010 are new, three more are not.
        assert_eq!(repetition(&[0, 1, 0, 1, 0, 1, 0, 1]), Some(3.0 / 5.0));
        assert_eq!(repetition(&[0, 1, 2]), None);
        assert_eq!(distinct(&[0], 2), None);
    }

    #[test]
    fn text_of_one_token_is_exposed() {
        let dull: Vec<&[u32]> = vec![&[7; 20]; 3];
        let variety = Variety::of(&dull).unwrap();
        assert_eq!(variety.entropy.mean, 0.0);
        assert_eq!(variety.pooled_entropy.mean, 0.0);
        assert_near(variety.distinct[0].unwrap().mean, 1.0 / 20.0);
        assert_near(variety.distinct[2].unwrap().mean, 1.0 / 18.0);
        assert_near(variety.repetition.unwrap().mean, 16.0 / 17.0);
    }

    #[test]
    fn samples_that_are_alike_have_less_entropy_together_than_samples_that_are_not() {
        let alike = Variety::of(&[&[0, 1, 0, 1], &[0, 1, 0, 1]]).unwrap();
        let unlike = Variety::of(&[&[0, 1, 0, 1], &[2, 3, 2, 3]]).unwrap();
        assert_eq!(alike.entropy, unlike.entropy);
        assert_near(alike.pooled_entropy.mean, 2.0_f64.ln());
        assert_near(unlike.pooled_entropy.mean, 4.0_f64.ln());
        assert_eq!(alike.pooled_entropy.se, 0.0);
        assert_eq!(alike.distinct[0].unwrap().mean, 0.5);
    }

    #[test]
    fn the_jackknife_of_pooled_entropy_is_as_by_hand() {
        let pooled = pooled_entropy(&[&[0, 0], &[0, 1], &[1, 1]]).unwrap();
        assert_near(pooled.mean, 2.0_f64.ln());
        // Without one: {0: 1, 1: 3}, {0: 2, 1: 2}, {0: 3, 1: 1}.
        let lopsided = -(0.25_f64 * 0.25_f64.ln() + 0.75 * 0.75_f64.ln());
        let without = [lopsided, 2.0_f64.ln(), lopsided];
        let mean = without.iter().sum::<f64>() / 3.0;
        let squares: f64 = without.iter().map(|h| (h - mean).powi(2)).sum();
        assert_near(pooled.se, (2.0 / 3.0 * squares).sqrt());
        assert!(pooled_entropy(&[&[0, 1]]).is_err());
    }

    #[test]
    fn samples_shorter_than_an_n_gram_have_no_figure_of_it() {
        let variety = Variety::of(&[&[0, 1], &[1, 1]]).unwrap();
        assert_eq!(variety.distinct[1].unwrap().mean, 1.0);
        assert_eq!(variety.distinct[2], None);
        assert_eq!(variety.repetition, None);
    }
}

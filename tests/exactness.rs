//! What the likelihoods and samplers promise, held against full enumeration.
//!
//! The models here are tables in f64, small enough that every string, every mask and every order can be visited, so
//! the expected figures come from definitions and from no code of the library. Formulas: the evidence lower bound's
//! three forms (arXiv 2406.03736), and a Markov chain whose exact posterior is the perfect denoiser.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use crossover::corpus::{Corpus, CorpusConfig};
use crossover::error::{Kind, Result};
use crossover::evaluate::{
    Mean, autoregressive_nats, k_order_bound, left_to_right_nats, masked_bound,
};
use crossover::lab::generation::{Judge, Page, Quality, Way, Writer};
use crossover::model::{Predictor, Visibility};
use crossover::random::{Purpose, Stream};
use crossover::sample::{Choice, Decoding, Denoising, Sample, Sampler, Trace, decode, denoise};
use pollster::block_on;
use proptest::prelude::*;

/// Tokens of every model here; MASK is the next id.
const TOKENS: usize = 3;
const MASK: u32 = TOKENS as u32;

/// A denoiser given by a table: what it says at each position for every pattern of tokens and MASKs.
///
/// Read causally it predicts a token from those before it with everything after hidden, which is what a masked model
/// does that writes left to right.
struct Table {
    length: usize,
    /// `[4^length patterns][length][3]`.
    probabilities: Vec<Vec<[f64; TOKENS]>>,
}

impl Table {
    fn new(length: usize, row: impl Fn(&[u32], usize) -> [f64; TOKENS]) -> Self {
        let probabilities = words(length, MASK + 1)
            .iter()
            .map(|pattern| (0..length).map(|position| row(pattern, position)).collect())
            .collect();
        Self {
            length,
            probabilities,
        }
    }

    /// A denoiser without rhyme or reason: every (pattern, position) has a distribution of its own.
    fn random(length: usize, seed: u64) -> Self {
        Self::new(length, |pattern, position| {
            let key = index(pattern) * length + position;
            let mut stream = Stream::new(seed, Purpose::Source, key as u64, 0);
            normalised([(); TOKENS].map(|()| 0.05 + stream.uniform()))
        })
    }

    /// The perfect denoiser of a known distribution over strings: its exact posterior marginals.
    fn posterior(length: usize, strings: &[(Vec<u32>, f64)]) -> Self {
        let marginals = |pattern: &[u32]| {
            let mut mass = vec![[0.0; TOKENS]; length];
            for (string, probability) in strings {
                if string
                    .iter()
                    .zip(pattern)
                    .all(|(token, seen)| *seen == MASK || token == seen)
                {
                    for (position, &token) in string.iter().enumerate() {
                        mass[position][token as usize] += probability;
                    }
                }
            }
            mass.into_iter().map(normalised).collect()
        };
        Self {
            length,
            probabilities: words(length, MASK + 1)
                .iter()
                .map(|pattern| marginals(pattern))
                .collect(),
        }
    }

    fn row(&self, pattern: &[u32], position: usize) -> [f64; TOKENS] {
        self.probabilities[index(pattern)][position]
    }

    /// `-ln p` of a token of `x` where the masked positions are the bits of `mask`.
    fn cross_entropy(&self, x: &[u32], mask: usize, position: usize) -> f64 {
        -self.row(&hidden(x, mask), position)[x[position] as usize].ln()
    }

    /// Cross-entropies summed over the masked positions.
    fn masked_sum(&self, x: &[u32], mask: usize) -> f64 {
        bits(mask, self.length)
            .map(|position| self.cross_entropy(x, mask, position))
            .sum()
    }

    /// `-ln` of the probability of writing `x` in this order.
    fn chain(&self, x: &[u32], order: &[usize]) -> f64 {
        let mut mask = (1 << self.length) - 1;
        let mut sum = 0.0;
        for &position in order {
            sum += self.cross_entropy(x, mask, position);
            mask &= !(1 << position);
        }
        sum
    }

    /// The bound of `x` in nats, as `L / l` times the masked sum, l uniform on 1..=L.
    fn bound(&self, x: &[u32]) -> f64 {
        (1..1_usize << self.length)
            .map(|mask| {
                let masked = mask.count_ones() as usize;
                let chance = 1.0 / (self.length as f64 * binomial(self.length, masked));
                chance * self.length as f64 / masked as f64 * self.masked_sum(x, mask)
            })
            .sum()
    }

    /// `-ln` of the probability of writing `x` in a uniformly random order.
    fn mixture_nats(&self, x: &[u32]) -> f64 {
        let orders = permutations(self.length);
        let total: f64 = orders
            .iter()
            .map(|order| (-self.chain(x, order)).exp())
            .sum();
        -(total / orders.len() as f64).ln()
    }

    /// What the model predicts from at each position of one input row.
    fn patterns(&self, inputs: &[u32], visibility: Visibility) -> Vec<Vec<u32>> {
        let until = |tokens: &[u32], end: usize| {
            let mut pattern = tokens[..end].to_vec();
            pattern.resize(self.length, MASK);
            pattern
        };
        (0..self.length)
            .map(|position| match visibility {
                Visibility::Full => inputs.to_vec(),
                Visibility::Blocks { size } => until(inputs, (position / size + 1) * size),
                Visibility::GapsAndWhole { size } => {
                    let (gaps, whole) = inputs.split_at(self.length);
                    let start = position / size * size;
                    let mut pattern = until(gaps, start + size);
                    pattern[..start].copy_from_slice(&whole[..start]);
                    pattern
                }
                Visibility::Causal => {
                    assert_eq!(inputs[0], MASK, "the start token");
                    let mut pattern = inputs[1..=position].to_vec();
                    pattern.resize(self.length, MASK);
                    pattern
                }
            })
            .collect()
    }
}

impl Predictor for Table {
    fn vocab_size(&self) -> usize {
        TOKENS + 1
    }

    async fn nats(
        &self,
        inputs: &[u32],
        targets: &[u32],
        length: usize,
        visibility: Visibility,
    ) -> Result<Vec<f64>> {
        assert_eq!(length, self.length);
        let rows = inputs
            .chunks_exact(visibility.copies() * length)
            .zip(targets.chunks_exact(length));
        Ok(rows
            .flat_map(|(inputs, targets)| {
                let patterns = self.patterns(inputs, visibility).into_iter().enumerate();
                patterns.map(|(i, pattern)| -self.row(&pattern, i)[targets[i] as usize].ln())
            })
            .collect())
    }

    async fn log_probabilities(
        &self,
        inputs: &[u32],
        length: usize,
        visibility: Visibility,
    ) -> Result<Vec<f32>> {
        assert_eq!(length, self.length);
        Ok(inputs
            .chunks_exact(length)
            .flat_map(|inputs| self.patterns(inputs, visibility).into_iter().enumerate())
            .flat_map(|(i, pattern)| self.row(&pattern, i).map(|p| p.ln() as f32))
            .collect())
    }
}

/// Every string of `length` ids below `ids`, in the order of [`index`] when `ids` counts MASK.
fn words(length: usize, ids: u32) -> Vec<Vec<u32>> {
    (0..(ids as usize).pow(length as u32))
        .map(|mut number| {
            let mut word = vec![0; length];
            for digit in word.iter_mut().rev() {
                *digit = (number % ids as usize) as u32;
                number /= ids as usize;
            }
            word
        })
        .collect()
}

/// Number of a pattern of tokens and MASKs.
fn index(pattern: &[u32]) -> usize {
    pattern
        .iter()
        .fold(0, |number, &id| number * (TOKENS + 1) + id as usize)
}

fn permutations(length: usize) -> Vec<Vec<usize>> {
    if length == 0 {
        return vec![vec![]];
    }
    permutations(length - 1)
        .into_iter()
        .flat_map(|shorter| {
            (0..length).map(move |place| {
                let mut order = shorter.clone();
                order.insert(place, length - 1);
                order
            })
        })
        .collect()
}

fn bits(mask: usize, length: usize) -> impl Iterator<Item = usize> {
    (0..length).filter(move |position| mask >> position & 1 == 1)
}

fn hidden(x: &[u32], mask: usize) -> Vec<u32> {
    let mut pattern = x.to_vec();
    for position in bits(mask, x.len()) {
        pattern[position] = MASK;
    }
    pattern
}

fn normalised(weights: [f64; TOKENS]) -> [f64; TOKENS] {
    let total: f64 = weights.iter().sum();
    weights.map(|weight| weight / total)
}

fn factorial(n: usize) -> f64 {
    (1..=n).map(|factor| factor as f64).product()
}

fn binomial(n: usize, k: usize) -> f64 {
    factorial(n) / factorial(k) / factorial(n - k)
}

/// The chain of the "four criticisms" demonstration, which starts in its stationary distribution.
const TRANSITION: [[f64; 3]; 3] = [[0.8, 0.15, 0.05], [0.1, 0.8, 0.1], [0.25, 0.05, 0.7]];

fn stationary() -> [f64; 3] {
    let mut share = [1.0 / 3.0; 3];
    for _ in 0..1000 {
        share = [0, 1, 2].map(|to| (0..3).map(|from| share[from] * TRANSITION[from][to]).sum());
    }
    share
}

/// Every string of the chain with its probability.
fn markov_strings(length: usize) -> Vec<(Vec<u32>, f64)> {
    let start = stationary();
    words(length, MASK)
        .into_iter()
        .map(|word| {
            let moves = word
                .windows(2)
                .map(|pair| TRANSITION[pair[0] as usize][pair[1] as usize]);
            let probability = start[word[0] as usize] * moves.product::<f64>();
            (word, probability)
        })
        .collect()
}

#[track_caller]
fn assert_near(value: f64, expected: f64, tolerance: f64) {
    assert!(
        (value - expected).abs() <= tolerance,
        "{value} is not within {tolerance} of {expected}"
    );
}

/// Fails where the mean of these draws is more than four standard errors from the expected one.
#[track_caller]
fn assert_mean(draws: &[f64], expected: f64) {
    let Mean { mean, se, .. } = Mean::of(draws).unwrap();
    assert!(
        (mean - expected).abs() < 4.0 * se + 1e-12,
        "{mean} ± {se} where {expected} is expected"
    );
}

/// Fails where counts are improbable (p < 0.001) under these probabilities.
#[track_caller]
fn assert_chi_squared(counts: &[f64], probabilities: &[f64]) {
    let total: f64 = counts.iter().sum();
    let statistic: f64 = counts
        .iter()
        .zip(probabilities)
        .map(|(count, p)| (count - total * p).powi(2) / (total * p))
        .sum();
    // Wilson and Hilferty (1931): the cube root of chi-squared over its degrees of freedom is close to normal.
    let freedom = (counts.len() - 1) as f64;
    let spread = 2.0 / (9.0 * freedom);
    let z = ((statistic / freedom).cbrt() - (1.0 - spread)) / spread.sqrt();
    assert!(
        z < 3.09,
        "chi-squared {statistic} at {freedom} degrees of freedom: {counts:?}"
    );
}

/// Copies of one window: each is evaluated with random numbers of its own.
fn copies(x: &[u32], count: usize) -> Vec<&[u32]> {
    vec![x; count]
}

#[test]
fn the_three_forms_of_the_bound_are_equal() {
    let table = Table::random(4, 1);
    for x in words(4, MASK) {
        // (a) E over t of (1/t) sum ce: a mask of n positions has weight B(n, L - n + 1) = (n-1)! (L-n)! / L!
        let over_time: f64 = (1..16_usize)
            .map(|mask| {
                let n = mask.count_ones() as usize;
                factorial(n - 1) * factorial(4 - n) / factorial(4) * table.masked_sum(&x, mask)
            })
            .sum();
        let orders = permutations(4);
        let over_orders = orders
            .iter()
            .map(|order| table.chain(&x, order))
            .sum::<f64>()
            / orders.len() as f64;
        assert_near(over_time, table.bound(&x), 1e-10);
        assert_near(over_orders, table.bound(&x), 1e-10);
    }
}

#[test]
fn the_random_order_sampler_has_a_likelihood_and_the_bound_is_above_it() {
    let table = Table::random(4, 2);
    let strings = words(4, MASK);
    let total: f64 = strings.iter().map(|x| (-table.mixture_nats(x)).exp()).sum();
    assert_near(total, 1.0, 1e-10);
    for x in &strings {
        assert!(table.mixture_nats(x) <= table.bound(x) + 1e-10);
    }
}

#[test]
fn masked_bound_is_unbiased_at_any_number_of_levels() {
    let table = Table::random(4, 3);
    for (x, levels) in [
        ([0, 2, 1, 1], 1),
        ([2, 2, 0, 1], 3),
        ([1, 0, 0, 2], 4),
        ([0, 1, 2, 0], 7),
    ] {
        let draws = block_on(masked_bound(&table, &copies(&x, 10_000), 4, levels, 5, 64)).unwrap();
        assert_mean(&draws, table.bound(&x) / 4.0);
    }
}

#[test]
fn more_levels_make_the_bound_quieter() {
    let table = Table::random(4, 3);
    let se = |levels| {
        let windows = copies(&[0, 2, 1, 1], 2_000);
        let draws = block_on(masked_bound(&table, &windows, 4, levels, 5, 64)).unwrap();
        Mean::of(&draws).unwrap().se
    };
    // Stratification helps beyond averaging: 4 levels at least halve the error of 1.
    assert!(se(4) < 0.5 * se(1));
}

#[test]
fn evaluation_asks_every_model_the_same_and_batches_change_nothing() {
    let table = Table::random(4, 4);
    let strings = words(4, MASK);
    let windows: Vec<&[u32]> = strings.iter().map(Vec::as_slice).collect();
    let bound = |seed, batch| block_on(masked_bound(&table, &windows, 4, 3, seed, batch)).unwrap();
    let orders =
        |seed, batch| block_on(k_order_bound(&table, &windows, 4, 3, seed, batch)).unwrap();
    assert_eq!(bound(0, 1), bound(0, 1000));
    assert_ne!(bound(0, 8), bound(1, 8));
    assert_eq!(orders(0, 7), orders(0, 64));
    assert_ne!(orders(0, 8), orders(1, 8));
}

#[test]
fn left_to_right_and_autoregressive_likelihoods_are_exact() {
    let table = Table::random(4, 6);
    let strings = words(4, MASK);
    let windows: Vec<&[u32]> = strings.iter().map(Vec::as_slice).collect();
    let left_to_right = block_on(left_to_right_nats(&table, &windows, 4, 10)).unwrap();
    let autoregressive = block_on(autoregressive_nats(&table, &windows, 10)).unwrap();
    for (position, x) in strings.iter().enumerate() {
        let expected = table.chain(x, &[0, 1, 2, 3]) / 4.0;
        assert_near(left_to_right[position], expected, 1e-12);
        assert_near(autoregressive[position], expected, 1e-12);
    }
    let total: f64 = autoregressive.iter().map(|nats| (-4.0 * nats).exp()).sum();
    assert_near(total, 1.0, 1e-10);
}

#[test]
fn k_orders_give_a_figure_between_the_likelihood_and_the_bound() {
    let table = Table::random(4, 7);
    let x = [2, 0, 1, 0];
    let (likelihood, bound) = (table.mixture_nats(&x) / 4.0, table.bound(&x) / 4.0);
    let measure = |orders, count| {
        block_on(k_order_bound(&table, &copies(&x, count), 4, orders, 8, 64)).unwrap()
    };
    assert_mean(&measure(1, 10_000), bound);
    let eight = Mean::of(&measure(8, 2_000)).unwrap();
    assert!(
        likelihood + 4.0 * eight.se < eight.mean,
        "{likelihood} < {eight:?}"
    );
    assert!(eight.mean < bound - 4.0 * eight.se, "{eight:?} < {bound}");
    // Many orders: the mean of their probabilities is known to this relative error.
    let chances: Vec<f64> = permutations(4)
        .iter()
        .map(|order| (-table.chain(&x, order)).exp())
        .collect();
    let (spread, count) = (Mean::of(&chances).unwrap(), 20_000_usize);
    let error = spread.se * 24.0_f64.sqrt() / spread.mean / (count as f64).sqrt();
    assert_near(measure(count, 1)[0], likelihood, 4.0 * error / 4.0);
}

#[test]
fn a_denoiser_that_ignores_context_has_one_likelihood_in_every_order() {
    let alone = Table::new(4, |_, position| {
        normalised([1.0, 2.0 + position as f64, 0.5 * position as f64 + 0.1])
    });
    let same_everywhere = Table::new(4, |_, _| [0.2, 0.5, 0.3]);
    for x in words(4, MASK) {
        let window: [&[u32]; 1] = [&x];
        let exact = block_on(autoregressive_nats(&alone, &window, 1)).unwrap()[0];
        assert_near(alone.bound(&x) / 4.0, exact, 1e-12);
        assert_near(alone.mixture_nats(&x) / 4.0, exact, 1e-12);
        assert_near(
            block_on(left_to_right_nats(&alone, &window, 4, 1)).unwrap()[0],
            exact,
            1e-12,
        );
        assert_near(
            block_on(k_order_bound(&alone, &window, 4, 3, 0, 1)).unwrap()[0],
            exact,
            1e-12,
        );
    }
    // With one cross-entropy for all tokens the weights L / l leave no noise at all.
    let bound = block_on(masked_bound(&same_everywhere, &[&[1, 1, 1, 1]], 4, 3, 0, 1)).unwrap()[0];
    assert_near(bound, -(0.5_f64.ln()), 1e-12);
}

#[test]
fn a_perfect_denoiser_reaches_the_entropy_and_wrong_weights_miss_it() {
    let length = 6;
    let strings = markov_strings(length);
    let table = Table::posterior(length, &strings);
    let entropy: f64 = strings.iter().map(|(_, p)| -p * p.ln()).sum::<f64>() / length as f64;
    assert_near(entropy, 0.715_605, 1e-6);

    // g[n]: mean cross-entropy per masked token when n are masked, over all strings and masks.
    let mut g = vec![0.0; length + 1];
    for (x, probability) in &strings {
        for mask in 1..1_usize << length {
            let n = mask.count_ones() as usize;
            let chance = probability / binomial(length, n);
            g[n] += chance * table.masked_sum(x, mask) / n as f64;
        }
    }
    let levels = 1..=length;
    let (l, total): (f64, f64) = (length as f64, levels.clone().map(|n| n as f64).sum());
    let bound = levels.clone().map(|n| g[n]).sum::<f64>() / l;
    let unweighted = levels.clone().map(|n| n as f64 / l * g[n]).sum::<f64>() / l;
    let per_masked_token = levels.clone().map(|n| n as f64 * g[n]).sum::<f64>() / total;
    // mega-dlms: n is uniform on 0..=L, and where nothing was masked, one position is.
    let forced = (levels.map(|n| g[n]).sum::<f64>() + g[1]) / (l + 1.0);
    assert_near(bound, 0.715_605, 1e-6);
    assert_near(bound, entropy, 1e-12);
    assert_near(unweighted, 0.469_102, 1e-6);
    assert_near(per_masked_token, 0.804_175, 1e-6);
    assert_near(forced, 0.684_789, 1e-6);

    // The library's exact figures, over all strings with their probabilities, are that entropy too.
    let windows: Vec<&[u32]> = strings.iter().map(|(x, _)| x.as_slice()).collect();
    for nats in [
        block_on(autoregressive_nats(&table, &windows, 64)).unwrap(),
        block_on(left_to_right_nats(&table, &windows, length, 64)).unwrap(),
        block_on(k_order_bound(&table, &windows, length, 2, 0, 64)).unwrap(),
    ] {
        let mean: f64 = strings
            .iter()
            .zip(nats)
            .map(|((_, p), nats)| p * nats)
            .sum();
        assert_near(mean, entropy, 1e-12);
    }
}

#[test]
fn blocks_of_one_are_the_autoregressive_likelihood_and_one_block_is_masked_diffusion() {
    let table = Table::random(4, 9);
    let strings = words(4, MASK);
    let windows: Vec<&[u32]> = strings.iter().map(Vec::as_slice).collect();
    let autoregressive = block_on(autoregressive_nats(&table, &windows, 10)).unwrap();
    // A block of one token has one mask, and that mask always: no noise, no gap.
    let ones = block_on(masked_bound(&table, &windows, 1, 3, 0, 10)).unwrap();
    for (left, right) in ones.iter().zip(&autoregressive) {
        assert_near(*left, *right, 1e-12);
    }
    let whole = block_on(masked_bound(
        &table,
        &copies(&[0, 2, 1, 1], 10_000),
        4,
        3,
        0,
        64,
    ))
    .unwrap();
    assert_mean(&whole, table.bound(&[0, 2, 1, 1]) / 4.0);
}

#[test]
fn the_bound_of_blocks_is_the_mean_over_orders_inside_them() {
    let table = Table::random(4, 10);
    let x = [1, 0, 2, 2];
    // Blocks {0, 1} and {2, 3}: each in either order, the first before the second.
    let orders = [[0, 1, 2, 3], [1, 0, 2, 3], [0, 1, 3, 2], [1, 0, 3, 2]];
    let expected = orders
        .iter()
        .map(|order| table.chain(&x, order))
        .sum::<f64>()
        / 4.0
        / 4.0;
    let bound = block_on(masked_bound(&table, &copies(&x, 20_000), 2, 2, 3, 64)).unwrap();
    assert_mean(&bound, expected);
    let one_order = block_on(k_order_bound(&table, &copies(&x, 20_000), 2, 1, 3, 64)).unwrap();
    assert_mean(&one_order, expected);
    let left_to_right = block_on(left_to_right_nats(&table, &[&x], 2, 64)).unwrap()[0];
    assert_near(left_to_right, table.chain(&x, &[0, 1, 2, 3]) / 4.0, 1e-12);
}

#[test]
fn a_perfect_denoiser_reaches_the_entropy_in_blocks_of_any_size() {
    let length = 6;
    let strings = markov_strings(length);
    let table = Table::posterior(length, &strings);
    let entropy: f64 = strings.iter().map(|(_, p)| -p * p.ln()).sum::<f64>() / length as f64;
    let windows: Vec<&[u32]> = strings.iter().map(|(x, _)| x.as_slice()).collect();
    for size in [1, 2, 3, 6] {
        for nats in [
            block_on(left_to_right_nats(&table, &windows, size, 64)).unwrap(),
            block_on(k_order_bound(&table, &windows, size, 2, 0, 64)).unwrap(),
        ] {
            let parts = strings.iter().zip(nats).map(|((_, p), nats)| p * nats);
            assert_near(parts.sum(), entropy, 1e-12);
        }
    }
}

#[test]
fn blocks_are_written_one_after_the_other_with_the_bigrams_of_the_source() {
    let table = Table::posterior(6, &markov_strings(6));
    let request = Denoising {
        block_size: 2,
        visibility: Visibility::Blocks { size: 2 },
        ..denoising(vec![None; 6], Sampler::Ancestral, 150, 3)
    };
    let samples = block_on(denoise(&table, &request, 0..8_000)).unwrap();
    for step in &samples[0].steps {
        let blocks = step.tokens.chunks(2);
        let unfinished = blocks.skip_while(|block| block.iter().all(|&token| token >= 0));
        let mut later = unfinished.skip(1).flatten();
        assert!(later.all(|&token| token < 0), "{:?}", step.tokens);
    }
    let tokens: Vec<Vec<u32>> = samples.into_iter().map(|sample| sample.tokens).collect();
    assert_chi_squared(&pairs(&tokens, 1, 2), &bigrams());
    assert_chi_squared(&pairs(&tokens, 2, 3), &bigrams());
}

fn denoising(template: Vec<Option<u32>>, sampler: Sampler, steps: usize, seed: u64) -> Denoising {
    Denoising {
        block_size: template.len().max(1),
        visibility: Visibility::Full,
        template,
        sampler,
        steps,
        choice: Choice::default(),
        seed,
        flops_per_call: 10.0,
    }
}

/// Denoises from nothing, or decodes where there is no sampler; in batches of 500.
fn many(table: &Table, sampler: Option<(Sampler, usize)>, count: u64) -> Vec<Vec<u32>> {
    let batches = (0..count)
        .step_by(500)
        .map(|first| first..(first + 500).min(count));
    batches
        .flat_map(|range| match sampler {
            Some((sampler, steps)) => {
                let request = denoising(vec![None; table.length], sampler, steps, 11);
                block_on(denoise(table, &request, range)).unwrap()
            }
            None => {
                let request = Decoding {
                    prompt: vec![],
                    length: table.length,
                    choice: Choice::default(),
                    seed: 11,
                    flops_per_call: 10.0,
                };
                block_on(decode(table, &request, range)).unwrap()
            }
        })
        .map(|sample| sample.tokens)
        .collect()
}

/// How often each pair of tokens stands at positions `first` and `second`, row after row.
fn pairs(samples: &[Vec<u32>], first: usize, second: usize) -> Vec<f64> {
    let mut counts = vec![0.0; TOKENS * TOKENS];
    for sample in samples {
        counts[sample[first] as usize * TOKENS + sample[second] as usize] += 1.0;
    }
    counts
}

fn bigrams() -> Vec<f64> {
    let start = stationary();
    (0..9)
        .map(|pair| start[pair / 3] * TRANSITION[pair / 3][pair % 3])
        .collect()
}

#[test]
fn samples_of_the_perfect_model_have_the_bigrams_of_the_source() {
    let table = Table::posterior(6, &markov_strings(6));
    // 128 steps for 6 tokens: two neighbours are hardly ever revealed in the same step.
    let denoised = many(&table, Some((Sampler::Ancestral, 128)), 8_000);
    let decoded = many(&table, None, 20_000);
    for samples in [denoised, decoded] {
        assert_chi_squared(&pairs(&samples, 0, 1), &bigrams());
        assert_chi_squared(&pairs(&samples, 3, 4), &bigrams());
    }
}

#[test]
fn one_step_writes_the_product_of_the_marginals() {
    let table = Table::posterior(4, &markov_strings(4));
    let start = stationary();
    let product: Vec<f64> = (0..9)
        .map(|pair| start[pair / 3] * start[pair % 3])
        .collect();
    for sampler in Sampler::ALL {
        let samples = many(&table, Some((sampler, 1)), 10_000);
        assert_chi_squared(&pairs(&samples, 1, 2), &product);
    }
}

#[test]
fn more_steps_bring_ancestral_samples_closer_to_the_source() {
    let table = Table::posterior(4, &markov_strings(4));
    let truth = bigrams();
    let distance = |steps| {
        let counts = pairs(
            &many(&table, Some((Sampler::Ancestral, steps)), 10_000),
            1,
            2,
        );
        let gaps = counts
            .iter()
            .zip(&truth)
            .map(|(count, p)| (count / 10_000.0 - p).abs());
        gaps.sum::<f64>() / 2.0
    };
    let distances = [1, 2, 4, 16].map(distance);
    // One step misses by about 0.4; the noise of 10,000 samples is below 0.02.
    assert!(distances.is_sorted_by(|a, b| a > b), "{distances:?}");
    assert!(distances[3] < 0.05 && distances[0] > 0.3, "{distances:?}");
}

#[test]
fn a_sample_does_not_depend_on_its_batch() {
    let table = Table::random(4, 9);
    let request = denoising(vec![None, Some(1), None, None], Sampler::Ancestral, 5, 3);
    let together = block_on(denoise(&table, &request, 0..4)).unwrap();
    for (sample, index) in together.iter().zip(0..) {
        let alone = block_on(denoise(&table, &request, index..index + 1)).unwrap();
        assert_eq!(*sample, alone[0]);
    }
    assert!(
        together
            .iter()
            .any(|sample| sample.tokens != together[0].tokens)
    );
    let request = Decoding {
        prompt: vec![2],
        length: 4,
        choice: Choice::default(),
        seed: 3,
        flops_per_call: 1.0,
    };
    let together = block_on(decode(&table, &request, 0..4)).unwrap();
    for (sample, index) in together.iter().zip(0..) {
        let alone = block_on(decode(&table, &request, index..index + 1)).unwrap();
        assert_eq!(*sample, alone[0]);
    }
    assert!(block_on(decode(&table, &request, 4..4)).unwrap().is_empty());
}

#[test]
fn greedy_confident_denoising_writes_the_surest_token_first() {
    let table = Table::random(4, 10);
    let mut request = denoising(vec![None; 4], Sampler::LowConfidence, 4, 0);
    request.choice.temperature = 0.0;
    let samples = block_on(denoise(&table, &request, 0..2)).unwrap();
    assert_eq!(samples[0], samples[1], "nothing is left to chance");
    let mut pattern = vec![MASK; 4];
    for step in &samples[0].steps {
        let sure = |position: usize| {
            table
                .row(&pattern, position)
                .into_iter()
                .fold(0.0, f64::max)
        };
        let masked = (0..4).filter(|&position| pattern[position] == MASK);
        let surest = masked.max_by(|&a, &b| sure(a).total_cmp(&sure(b))).unwrap();
        assert_eq!(step.committed, [surest]);
        assert_near(f64::from(step.confidence[surest]), sure(surest), 1e-6);
        pattern[surest] = samples[0].tokens[surest];
    }
}

#[test]
fn an_unchanged_page_is_not_read_again() {
    let table = Table::random(4, 12);
    let request = denoising(vec![None; 4], Sampler::Ancestral, 200, 0);
    let sample = &block_on(denoise(&table, &request, 0..1)).unwrap()[0];
    assert_eq!(sample.steps.len(), 200);
    assert!(sample.model_calls <= 4);
    assert_eq!(sample.flops, 10.0 * sample.model_calls as f64);
}

#[test]
fn what_cannot_be_written_is_refused_before_the_model_is_asked() {
    let table = Table::random(4, 13);
    let good = denoising(
        vec![None, None, Some(0), None],
        Sampler::LowConfidence,
        3,
        0,
    );
    assert!(block_on(denoise(&table, &good, 0..1)).is_ok());
    for bad in [
        Denoising {
            steps: 0,
            ..good.clone()
        },
        Denoising {
            steps: 4,
            ..good.clone()
        },
        Denoising {
            template: vec![Some(0); 4],
            ..good.clone()
        },
        Denoising {
            template: vec![],
            ..good.clone()
        },
        Denoising {
            template: vec![None, None, None, Some(MASK)],
            ..good.clone()
        },
        Denoising {
            choice: Choice {
                top_k: Some(0),
                ..Choice::default()
            },
            ..good.clone()
        },
    ] {
        let error = block_on(denoise(&table, &bad, 0..1)).unwrap_err();
        assert_eq!(error.kind(), Kind::Input, "{bad:?}");
    }
    let good = Decoding {
        prompt: vec![0],
        length: 4,
        choice: Choice::default(),
        seed: 0,
        flops_per_call: 1.0,
    };
    assert!(block_on(decode(&table, &good, 0..1)).is_ok());
    for bad in [
        Decoding {
            prompt: vec![0; 4],
            ..good.clone()
        },
        Decoding {
            prompt: vec![MASK],
            ..good.clone()
        },
        Decoding {
            choice: Choice {
                temperature: -1.0,
                ..Choice::default()
            },
            ..good.clone()
        },
    ] {
        let error = block_on(decode(&table, &bad, 0..1)).unwrap_err();
        assert_eq!(error.kind(), Kind::Input, "{bad:?}");
    }
}

/// What holds of every sample, however it was written.
fn check_record(template: &[Option<u32>], sample: &Sample, steps: usize) {
    assert_eq!(sample.steps.len(), steps);
    assert!(
        sample.tokens.iter().all(|&token| token < MASK),
        "MASK is never written"
    );
    let mut before: Vec<i64> = template
        .iter()
        .map(|token| token.map_or(-1, i64::from))
        .collect();
    let free = before.iter().filter(|&&token| token < 0).count();
    assert_eq!(
        sample
            .steps
            .iter()
            .map(|step| step.committed.len())
            .sum::<usize>(),
        free
    );
    for (number, step) in sample.steps.iter().enumerate() {
        assert_eq!(step.step, number + 1);
        assert!(step.remasked.is_empty());
        for position in 0..template.len() {
            let (now, confidence) = (step.tokens[position], step.confidence[position]);
            if before[position] >= 0 {
                assert_eq!(now, before[position], "what is written stays");
            }
            let newly_written = before[position] < 0 && now >= 0;
            assert_eq!(step.committed.contains(&position), newly_written);
            match (template[position], now) {
                (Some(_), _) => assert_eq!((confidence, step.entropy[position]), (1.0, 0.0)),
                (None, -1) => assert_eq!(confidence, 0.0),
                (None, _) => assert!(confidence > 0.0 && confidence < 1.0),
            }
            if number > 0 && before[position] >= 0 {
                let earlier = &sample.steps[number - 1];
                assert_eq!(
                    confidence, earlier.confidence[position],
                    "confidence is kept"
                );
                assert_eq!(step.entropy[position], earlier.entropy[position]);
            }
        }
        before.clone_from(&step.tokens);
    }
    assert_eq!(sample.steps[steps - 1].t, 0.0);
    assert!(
        before
            .iter()
            .zip(&sample.tokens)
            .all(|(last, token)| *last == i64::from(*token))
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn denoising_fills_every_gap_once_and_leaves_the_rest(
        template in prop::collection::vec(prop::option::of(0..MASK), 4),
        low_confidence in any::<bool>(),
        steps in 1_usize..9,
        temperature in prop_oneof![Just(0.0), 0.1..3.0],
        top_k in prop::option::of(1_usize..5),
        top_p in prop::option::of(0.01..1.0),
        seed in any::<u64>(),
    ) {
        let free = template.iter().filter(|token| token.is_none()).count();
        prop_assume!(free > 0);
        let (sampler, steps) = match low_confidence {
            true => (Sampler::LowConfidence, steps.min(free)),
            false => (Sampler::Ancestral, steps),
        };
        let mut request = denoising(template, sampler, steps, seed);
        request.choice = Choice { temperature, top_k, top_p };
        let table = Table::random(4, 14);
        for sample in block_on(denoise(&table, &request, 0..3)).unwrap() {
            check_record(&request.template, &sample, steps);
            if sampler == Sampler::LowConfidence {
                let counts = sample.steps.iter().map(|step| step.committed.len());
                prop_assert!(counts.clone().max().unwrap() - counts.min().unwrap() <= 1);
            }
            let lines = Trace::new(request.header(0, None), sample, String::new(), 0.0)
                .to_json_lines()
                .unwrap();
            prop_assert_eq!(lines.lines().count(), steps + 2);
        }
    }

    #[test]
    fn decoding_keeps_the_prompt_and_writes_one_token_a_step(
        prompt in prop::collection::vec(0..MASK, 0..4),
        seed in any::<u64>(),
    ) {
        let request = Decoding {
            prompt,
            length: 4,
            choice: Choice::default(),
            seed,
            flops_per_call: 1.0,
        };
        let mut template: Vec<Option<u32>> = request.prompt.iter().copied().map(Some).collect();
        template.resize(4, None);
        let steps = 4 - request.prompt.len();
        let table = Table::random(4, 15);
        for sample in block_on(decode(&table, &request, 0..2)).unwrap() {
            check_record(&template, &sample, steps);
            prop_assert!(sample.steps.iter().all(|step| step.committed.len() == 1));
            prop_assert_eq!(sample.model_calls, steps);
        }
    }
}

// Statistics of written text

/// The corpus of the chain, in windows of this length.
fn markov_corpus(length: usize) -> Corpus {
    let rows = TRANSITION.map(|row| format!("{row:?}")).join(", ");
    let config = CorpusConfig {
        source: vec!["markov:chain".to_owned()],
        length: Some(length),
        ..CorpusConfig::default()
    };
    Corpus::from_text(&config, format!("transition = [{rows}]").as_bytes(), 1).unwrap()
}

#[test]
fn what_a_perfect_model_writes_one_token_at_a_time_has_the_source_s_entropy() {
    let length = 6;
    let table = Table::posterior(length, &markov_strings(length));
    let corpus = markov_corpus(length);
    let page = Page {
        length,
        seed: 5,
        flops_per_call: 2.0,
    };
    let judge = Judge {
        twin: Some(&table),
        corpus: Some(&corpus),
    };
    let entropy = corpus.floor_nats.unwrap();
    let windows: Vec<&[u32]> = corpus.test.iter().take(3_000).collect();
    let reference = block_on(judge.reference(&windows)).unwrap().quality;
    for way in [
        Way::left_to_right(page),
        Way::denoising(page, 1, Sampler::Ancestral, length),
    ] {
        let row = block_on(judge.row(&table, Writer::Model, &way, 3_000)).unwrap();
        assert_eq!(row.model_calls.unwrap().mean, length as f64);
        assert_eq!(row.flops.unwrap().mean, 2.0 * length as f64);
        let Quality {
            twin_nats,
            true_nats,
            accepted,
            ..
        } = row.quality;
        let (twin, truth) = (twin_nats.unwrap(), true_nats.unwrap());
        // The twin is perfect too, so both are the same figure.
        assert_near(twin.mean, truth.mean, 1e-9);
        assert_near(twin.se, truth.se, 1e-9);
        assert_near(truth.mean, entropy, 3.0 * truth.se);
        assert_eq!(accepted.unwrap().mean, 1.0);
        for (written, real) in [
            (row.quality.entropy, reference.entropy),
            (row.quality.pooled_entropy, reference.pooled_entropy),
        ] {
            assert_near(written.mean, real.mean, 3.0 * written.se.hypot(real.se));
        }
    }
    assert_near(
        reference.true_nats.unwrap().mean,
        entropy,
        3.0 * reference.true_nats.unwrap().se,
    );

    // All at once, neighbours don't know of each other: the source finds that unlikely, and it is more varied.
    let at_once = Way::denoising(page, length, Sampler::Ancestral, 1);
    let row = block_on(judge.row(&table, Writer::Model, &at_once, 3_000)).unwrap();
    assert_eq!(row.model_calls.unwrap().mean, 1.0);
    let truth = row.quality.true_nats.unwrap();
    assert!(truth.mean > entropy + 10.0 * truth.se, "{truth:?}");
    assert!(row.quality.entropy.mean > reference.entropy.mean);
}

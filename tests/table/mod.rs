//! Models that are tables, and a source whose every string can be visited: what holds of them is known from definitions and
//! from no code of the library.

#![allow(dead_code, reason = "each file of tests uses a part of this")]

use crossover::error::Result;
use crossover::evaluate::Mean;
use crossover::model::{Predictor, Visibility};
use crossover::random::{Purpose, Stream};

/// Tokens of every model here; MASK is the next id.
pub const TOKENS: usize = 3;
pub const MASK: u32 = TOKENS as u32;

/// A denoiser given by a table: what it says at each position for every pattern of tokens and MASKs.
///
/// Read causally it predicts a token from those before it with everything after hidden, which is what a masked model
/// does that writes left to right.
pub struct Table {
    pub length: usize,
    /// `[4^length patterns][length][3]`.
    probabilities: Vec<Vec<[f64; TOKENS]>>,
}

impl Table {
    pub fn new(length: usize, row: impl Fn(&[u32], usize) -> [f64; TOKENS]) -> Self {
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
    pub fn random(length: usize, seed: u64) -> Self {
        Self::new(length, |pattern, position| {
            let key = index(pattern) * length + position;
            let mut stream = Stream::new(seed, Purpose::Source, key as u64, 0);
            normalised([(); TOKENS].map(|()| 0.05 + stream.uniform()))
        })
    }

    /// The perfect denoiser of a known distribution over strings: its exact posterior marginals.
    pub fn posterior(length: usize, strings: &[(Vec<u32>, f64)]) -> Self {
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

    pub fn row(&self, pattern: &[u32], position: usize) -> [f64; TOKENS] {
        self.probabilities[index(pattern)][position]
    }

    /// `-ln p` of a token of `x` where the masked positions are the bits of `mask`.
    pub fn cross_entropy(&self, x: &[u32], mask: usize, position: usize) -> f64 {
        -self.row(&hidden(x, mask), position)[x[position] as usize].ln()
    }

    /// Cross-entropies summed over the masked positions.
    pub fn masked_sum(&self, x: &[u32], mask: usize) -> f64 {
        bits(mask, self.length)
            .map(|position| self.cross_entropy(x, mask, position))
            .sum()
    }

    /// `-ln` of the probability of writing `x` in this order.
    pub fn chain(&self, x: &[u32], order: &[usize]) -> f64 {
        let mut mask = (1 << self.length) - 1;
        let mut sum = 0.0;
        for &position in order {
            sum += self.cross_entropy(x, mask, position);
            mask &= !(1 << position);
        }
        sum
    }

    /// The bound of `x` in nats, as `L / l` times the masked sum, l uniform on 1..=L.
    pub fn bound(&self, x: &[u32]) -> f64 {
        (1..1_usize << self.length)
            .map(|mask| {
                let masked = mask.count_ones() as usize;
                let chance = 1.0 / (self.length as f64 * binomial(self.length, masked));
                chance * self.length as f64 / masked as f64 * self.masked_sum(x, mask)
            })
            .sum()
    }

    /// `-ln` of the probability of writing `x` in a uniformly random order.
    pub fn mixture_nats(&self, x: &[u32]) -> f64 {
        let orders = permutations(self.length);
        let total: f64 = orders
            .iter()
            .map(|order| (-self.chain(x, order)).exp())
            .sum();
        -(total / orders.len() as f64).ln()
    }

    /// What the model predicts from at each position of one input row.
    pub fn patterns(&self, inputs: &[u32], visibility: Visibility) -> Vec<Vec<u32>> {
        let until = |tokens: &[u32], end: usize| {
            let mut pattern = tokens[..end.min(self.length)].to_vec();
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
            .chunks_exact(visibility.copies() * length)
            .flat_map(|inputs| self.patterns(inputs, visibility).into_iter().enumerate())
            .flat_map(|(i, pattern)| self.row(&pattern, i).map(|p| p.ln() as f32))
            .collect())
    }
}

/// Every string of `length` ids below `ids`, in the order of [`index`] when `ids` counts MASK.
pub fn words(length: usize, ids: u32) -> Vec<Vec<u32>> {
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
pub fn index(pattern: &[u32]) -> usize {
    pattern
        .iter()
        .fold(0, |number, &id| number * (TOKENS + 1) + id as usize)
}

pub fn normalised(weights: [f64; TOKENS]) -> [f64; TOKENS] {
    let total: f64 = weights.iter().sum();
    weights.map(|weight| weight / total)
}

/// The chain of the "four criticisms" demonstration, which starts in its stationary distribution.
pub const TRANSITION: [[f64; 3]; 3] = [[0.8, 0.15, 0.05], [0.1, 0.8, 0.1], [0.25, 0.05, 0.7]];

pub fn stationary() -> [f64; 3] {
    let mut share = [1.0 / 3.0; 3];
    for _ in 0..1000 {
        share = [0, 1, 2].map(|to| (0..3).map(|from| share[from] * TRANSITION[from][to]).sum());
    }
    share
}

/// Every string of the chain with its probability.
pub fn markov_strings(length: usize) -> Vec<(Vec<u32>, f64)> {
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
pub fn assert_near(value: f64, expected: f64, tolerance: f64) {
    assert!(
        (value - expected).abs() <= tolerance,
        "{value} is not within {tolerance} of {expected}"
    );
}

/// Fails where the mean of these draws is more than four standard errors from the expected one.
#[track_caller]
pub fn assert_mean(draws: &[f64], expected: f64) {
    let Mean { mean, se, .. } = Mean::of(draws).unwrap();
    assert!(
        (mean - expected).abs() < 4.0 * se + 1e-12,
        "{mean} ± {se} where {expected} is expected"
    );
}

/// Fails where counts are improbable (p < 0.001) under these probabilities.
#[track_caller]
pub fn assert_chi_squared(counts: &[f64], probabilities: &[f64]) {
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

pub fn permutations(length: usize) -> Vec<Vec<usize>> {
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

pub fn bits(mask: usize, length: usize) -> impl Iterator<Item = usize> {
    (0..length).filter(move |position| mask >> position & 1 == 1)
}

pub fn hidden(x: &[u32], mask: usize) -> Vec<u32> {
    let mut pattern = x.to_vec();
    for position in bits(mask, x.len()) {
        pattern[position] = MASK;
    }
    pattern
}

pub fn factorial(n: usize) -> f64 {
    (1..=n).map(|factor| factor as f64).product()
}

pub fn binomial(n: usize, k: usize) -> f64 {
    factorial(n) / factorial(k) / factorial(n - k)
}

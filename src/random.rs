//! Every random number of a run, drawn from a counter-based generator keyed by (seed, purpose, step, rank).
//!
//! A draw depends on its key alone, never on what was drawn before it elsewhere. So a resumed run, another
//! number of processes, and the browser all see the same data order, masks and initial weights. The generator
//! is ChaCha with 8 rounds (Bernstein 2008; the `rand_chacha` crate), whose 256-bit key holds the four parts.

use rand_chacha::ChaCha8Rng;
use rand_core::{RngCore, SeedableRng};

/// What a stream of random numbers is for. Two purposes never share numbers; the values are part of the
/// checkpoint format and never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u64)]
pub enum Purpose {
    /// Initial weights.
    Initialization = 1,
    /// The order of windows within an epoch, and the epoch's offset into contiguous text.
    DataOrder = 2,
    /// How many positions of each sequence are masked, and which.
    Masking = 3,
    /// Which inputs of the autoregressive model are replaced by MASK (an ablation).
    InputMask = 4,
    /// The seed given to the device's own generator for dropout.
    Dropout = 5,
    /// Mask levels and positions of the evaluation: the same for every model and every checkpoint.
    Evaluation = 6,
    /// The next token, or the next position, while generating.
    Sampling = 7,
    /// Text drawn from a generated source (Markov chains, grids).
    Source = 8,
    /// Which runs a law is fitted to once more, to know how far it can be trusted.
    Bootstrap = 12,
    /// Which training tokens of a corpus are replaced by others, and by which.
    Corruption = 13,
}

/// One independent stream of random numbers.
#[derive(Debug, Clone)]
pub struct Stream(ChaCha8Rng);

impl Stream {
    /// The stream of one purpose at one step of one rank.
    pub fn new(seed: u64, purpose: Purpose, step: u64, rank: u64) -> Self {
        let mut key = [0; 32];
        for (part, value) in key
            .chunks_exact_mut(8)
            .zip([seed, purpose as u64, step, rank])
        {
            part.copy_from_slice(&value.to_le_bytes());
        }
        Self(ChaCha8Rng::from_seed(key))
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// Random bytes, many at once.
    pub fn fill_bytes(&mut self, bytes: &mut [u8]) {
        self.0.fill_bytes(bytes);
    }

    /// Uniform on [0, 1) with 53 random bits.
    pub fn uniform(&mut self) -> f64 {
        (self.bits() >> 11) as f64 * (1.0 / (1_u64 << 53) as f64)
    }

    /// Uniform on 0..`bound`, without bias: Lemire's multiply-and-reject (arXiv 1805.10941).
    ///
    /// # Panics
    /// If `bound` is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        assert!(bound > 0, "nothing to choose from");
        let reject_below = bound.wrapping_neg() % bound;
        loop {
            let product = u128::from(self.bits()) * u128::from(bound);
            if product as u64 >= reject_below {
                return (product >> 64) as u64;
            }
        }
    }

    /// A uniform permutation of 0..`length` (Fisher-Yates).
    pub fn permutation(&mut self, length: usize) -> Vec<usize> {
        let mut items: Vec<usize> = (0..length).collect();
        self.shuffle_first(&mut items, length);
        items
    }

    /// A uniform subset of exactly `count` of `length` positions, in random order.
    pub fn choose(&mut self, length: usize, count: usize) -> Vec<usize> {
        let mut items: Vec<usize> = (0..length).collect();
        self.shuffle_first(&mut items, count);
        items.truncate(count);
        items
    }

    fn shuffle_first(&mut self, items: &mut [usize], count: usize) {
        for index in 0..count.min(items.len()) {
            let other = index + self.below((items.len() - index) as u64) as usize;
            items.swap(index, other);
        }
    }

    /// Standard normal (Box-Muller), through `libm` so that native and wasm agree to the bit.
    pub fn normal(&mut self) -> f64 {
        let radius = libm::sqrt(-2.0 * libm::log1p(-self.uniform()));
        radius * libm::cos(std::f64::consts::TAU * self.uniform())
    }

    /// Standard exponential made of 64 random bits: exact far into the small values that win a race.
    ///
    /// The usual `-ln(1 - u)` from 24 or 53 bits truncates that end, and truncated Gumbel noise lowers the entropy
    /// of what is sampled (arXiv 2409.02908).
    pub fn exponential(&mut self) -> f64 {
        -libm::log1p(-self.fine_uniform())
    }

    /// Uniform on (0, 1) with 64 random bits: as fine near 0 as a number made of bits can be.
    fn fine_uniform(&mut self) -> f64 {
        (self.bits() as f64 + 0.5) * (0.5_f64).powi(64)
    }

    /// Draws an index with probability proportional to `weights` by an exponential race:
    /// `argmin_i e_i / weights_i` with independent standard exponentials `e_i`.
    ///
    /// Every weight takes one draw, zero or not, so that the numbers drawn depend on the length alone.
    ///
    /// # Panics
    /// If no weight is positive.
    pub fn race(&mut self, weights: impl IntoIterator<Item = f64>) -> usize {
        let mut best = None;
        for (index, weight) in weights.into_iter().enumerate() {
            let uniform = self.fine_uniform();
            let is_ahead = |arrival: f64| best.is_none_or(|(earliest, _)| arrival < earliest);
            // -ln(1 - u) is at least u: most of those who are late are seen to be so without the logarithm.
            if weight > 0.0 && is_ahead(uniform / weight) {
                let arrival = -libm::log1p(-uniform) / weight;
                if is_ahead(arrival) {
                    best = Some((arrival, index));
                }
            }
        }
        best.expect("a race needs at least one positive weight").1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_key_draws_the_same_numbers_here_and_in_the_browser() {
        let mut stream = Stream::new(1, Purpose::Masking, 2, 3);
        let drawn: Vec<u64> = (0..3).map(|_| stream.bits()).collect();
        assert_eq!(
            drawn, GOLDEN,
            "the generator's output is part of the checkpoint format"
        );
    }

    /// First three draws of the key (1, Masking, 2, 3): a change here breaks exact resume of older runs.
    const GOLDEN: [u64; 3] = [
        7_100_975_674_232_274_879,
        9_251_429_015_614_869_756,
        2_861_751_601_071_719_679,
    ];

    #[test]
    fn every_part_of_the_key_matters() {
        let reference = Stream::new(1, Purpose::Masking, 2, 3).bits();
        assert_ne!(reference, Stream::new(2, Purpose::Masking, 2, 3).bits());
        assert_ne!(reference, Stream::new(1, Purpose::Sampling, 2, 3).bits());
        assert_ne!(reference, Stream::new(1, Purpose::Masking, 1, 3).bits());
        assert_ne!(reference, Stream::new(1, Purpose::Masking, 2, 4).bits());
    }

    #[test]
    fn a_subset_has_exactly_its_size_and_no_repeats() {
        let mut stream = Stream::new(5, Purpose::Masking, 0, 0);
        for count in 0..=9 {
            let mut chosen = stream.choose(9, count);
            chosen.sort_unstable();
            chosen.dedup();
            assert_eq!(chosen.len(), count);
            assert!(chosen.iter().all(|&position| position < 9));
        }
    }

    #[test]
    fn normal_draws_have_the_moments_of_a_normal() {
        let mut stream = Stream::new(7, Purpose::Initialization, 0, 0);
        let draws: Vec<f64> = (0..100_000).map(|_| stream.normal()).collect();
        let mean = draws.iter().sum::<f64>() / draws.len() as f64;
        let variance = draws.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / draws.len() as f64;
        let fourth = draws.iter().map(|x| (x - mean).powi(4)).sum::<f64>() / draws.len() as f64;
        assert!(mean.abs() < 4.0 / (draws.len() as f64).sqrt());
        assert!((variance - 1.0).abs() < 0.02);
        assert!((fourth - 3.0).abs() < 0.15);
    }

    #[test]
    fn a_race_is_won_in_proportion_to_the_weights() {
        let mut stream = Stream::new(3, Purpose::Sampling, 0, 0);
        let weights = [0.5, 0.0, 0.3, 0.2];
        let mut wins = [0_u32; 4];
        let draws = 40_000;
        for _ in 0..draws {
            wins[stream.race(weights)] += 1;
        }
        assert_eq!(wins[1], 0);
        for (won, weight) in wins.iter().zip(weights) {
            let expected = weight * f64::from(draws);
            let deviation = (expected * (1.0 - weight)).sqrt();
            assert!((f64::from(*won) - expected).abs() <= 4.0 * deviation + 1e-9);
        }
    }
}

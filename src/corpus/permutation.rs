//! A permutation of the windows of an epoch. Few are drawn and kept; of many each is computed when it is asked for, so that
//! an epoch of any size takes no memory.

use crate::random::Stream;

/// Up to so many numbers are drawn: 8 MiB.
const DRAWN: usize = 1 << 20;

/// Rounds of the keyed permutation. Four make a pseudo-random one of pseudo-random functions (Luby and Rackoff 1988, "How to
/// construct pseudorandom permutations from pseudorandom functions"); ours are quick hashes, so there are twice as many.
const ROUNDS: usize = 8;

/// The numbers below a length in another order.
#[derive(Debug, Clone)]
pub(super) enum Permutation {
    /// A uniform one, kept.
    Drawn(Vec<usize>),
    /// One of 2^512, computed.
    Keyed(Keyed),
}

impl Permutation {
    /// The next permutation of a stream.
    pub fn draw(stream: &mut Stream, length: usize) -> Self {
        match length {
            0..=DRAWN => Self::Drawn(stream.permutation(length)),
            _ => Self::Keyed(Keyed::new(stream, length as u64)),
        }
    }

    /// What stands at a place.
    ///
    /// # Panics
    /// If the place is none below the length.
    pub fn at(&self, index: usize) -> usize {
        match self {
            Self::Drawn(items) => items[index],
            Self::Keyed(keyed) => keyed.at(index as u64) as usize,
        }
    }
}

/// A Feistel network over the next even power of two, with cycle walking: what falls outside is permuted again until it falls
/// inside, which makes it a permutation of what is inside (Black and Rogaway 2002, "Ciphers with arbitrary finite domains").
#[derive(Debug, Clone)]
pub(super) struct Keyed {
    length: u64,
    half_bits: u32,
    keys: [u64; ROUNDS],
}

impl Keyed {
    fn new(stream: &mut Stream, length: u64) -> Self {
        let bits = u64::BITS - length.saturating_sub(1).leading_zeros();
        Self {
            length,
            half_bits: bits.div_ceil(2).max(1),
            keys: std::array::from_fn(|_| stream.bits()),
        }
    }

    fn at(&self, index: u64) -> u64 {
        assert!(index < self.length, "{index} is outside {}", self.length);
        let mut place = self.permute(index);
        while place >= self.length {
            place = self.permute(place);
        }
        place
    }

    fn permute(&self, place: u64) -> u64 {
        let mask = (1 << self.half_bits) - 1;
        let (mut left, mut right) = (place >> self.half_bits, place & mask);
        for key in self.keys {
            (left, right) = (right, left ^ (hash(right ^ key) & mask));
        }
        left << self.half_bits | right
    }
}

/// SplitMix64's finalizer (Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators").
fn hash(value: u64) -> u64 {
    let value = (value ^ value >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ value >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ value >> 31
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Purpose;
    use proptest::prelude::*;

    fn stream(seed: u64) -> Stream {
        Stream::new(seed, Purpose::DataOrder, 0, 0)
    }

    proptest! {
        #[test]
        fn a_keyed_permutation_meets_every_number_once(length in 1_u64..3_000, seed: u64) {
            let keyed = Keyed::new(&mut stream(seed), length);
            let mut met: Vec<u64> = (0..length).map(|index| keyed.at(index)).collect();
            met.sort_unstable();
            prop_assert!(met.into_iter().eq(0..length));
        }
    }

    #[test]
    fn few_numbers_are_drawn_as_ever_and_many_are_computed() {
        let few = Permutation::draw(&mut stream(5), 1_000);
        let drawn = stream(5).permutation(1_000);
        assert!((0..1_000).all(|index| few.at(index) == drawn[index]));
        let many = Permutation::draw(&mut stream(5), DRAWN + 1);
        assert!(matches!(many, Permutation::Keyed(_)));
        let mut met = vec![false; DRAWN + 1];
        for index in 0..=DRAWN {
            assert!(!std::mem::replace(&mut met[many.at(index)], true));
        }
    }

    /// Where a number goes is as good as uniform, over keys and over numbers, and neighbours part.
    #[test]
    fn a_keyed_permutation_looks_random() {
        let length = 10;
        let mut first = [0_u32; 10];
        let mut follows = 0;
        for seed in 0..10_000 {
            let keyed = Keyed::new(&mut stream(seed), length);
            first[keyed.at(0) as usize] += 1;
            follows += u32::from(keyed.at(4) == keyed.at(3) + 1);
        }
        // 1,000 each and 900; 5 standard deviations are 150.
        assert!(
            first.iter().all(|&count| count.abs_diff(1_000) < 150),
            "{first:?}"
        );
        assert!(follows.abs_diff(900) < 150, "{follows}");

        let keyed = Keyed::new(&mut stream(1), 1 << 30);
        let places: Vec<u64> = (0..100_000).map(|index| keyed.at(index)).collect();
        let mut tenths = [0_u32; 10];
        for place in &places {
            tenths[((place * 10) >> 30) as usize] += 1;
        }
        assert!(
            tenths.iter().all(|&count| count.abs_diff(10_000) < 500),
            "{tenths:?}"
        );
        let steps = places
            .windows(2)
            .filter(|pair| pair[0].abs_diff(pair[1]) < 1_000);
        // Of 10^5 pairs, each is that near with a probability of 2,000 / 2^30.
        assert!(steps.count() < 5);
    }

    /// As a program in another language computes it: nobody may change what a run reads.
    #[test]
    fn a_keyed_permutation_stays_the_same() {
        let keyed = Keyed::new(&mut stream(7), 3_000_000_000);
        let places: Vec<u64> = (0..4).map(|index| keyed.at(index)).collect();
        assert_eq!(
            places,
            [2_516_603_922, 1_596_590_818, 776_686_620, 327_604_325]
        );
    }
}

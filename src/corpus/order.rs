//! Which training window comes when: a true permutation each epoch, random access to all of them.

use super::mixture::{self, BLOCK, Share};
use super::permutation::Permutation;
use super::store::Tokens;
use crate::random::{Purpose, Stream};

/// The unique tokens to train on. Cloning shares them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrainingData {
    /// All of them, in reading order.
    pub tokens: Tokens,
    /// Tokens in a window.
    pub length: usize,
    /// Whether windows start at multiples of `length` only (grids, text in blocks), not anywhere (text).
    pub aligned: bool,
    /// The sources that these tokens come from and their shares, where they are a mixture.
    pub shares: Vec<Share>,
}

impl TrainingData {
    /// Windows in an epoch: as many as fit behind any offset below `length`, and at least one.
    ///
    /// Of a mixture, as many as in an epoch of each source.
    pub fn windows_per_epoch(&self) -> usize {
        if !self.shares.is_empty() {
            let windows = self
                .shares
                .iter()
                .map(|share| share.data.windows_per_epoch());
            return windows.sum();
        }
        let (unique, length) = (self.tokens.len(), self.length);
        if self.aligned {
            unique / length
        } else {
            ((unique + 1 - length) / length).max(1)
        }
    }

    /// Tokens that an epoch shows.
    pub fn tokens_per_epoch(&self) -> usize {
        self.windows_per_epoch() * self.length
    }

    /// How many offsets an epoch may begin at.
    ///
    /// Text is cut elsewhere each epoch, so that every position of it meets every position of a window.
    fn offsets(&self) -> usize {
        if self.aligned {
            1
        } else {
            self.length
                .min(self.tokens.len() - self.tokens_per_epoch() + 1)
        }
    }
}

/// The order of training windows over a whole run.
///
/// A function of (seed, index) alone: a resumed run and any process of a distributed one read the same order. It
/// keeps the epoch that was asked for last, so reading in order costs one permutation an epoch; of more than a million
/// windows it keeps a key alone.
#[derive(Debug, Clone)]
pub struct EpochOrder {
    data: TrainingData,
    seed: u64,
    /// Keeps the draws of several sources apart.
    lane: u64,
    epoch: Option<Epoch>,
    mixed: Mixed,
}

/// The orders of a mixture's sources; none of a single one.
#[derive(Debug, Clone, Default)]
struct Mixed {
    orders: Vec<EpochOrder>,
    /// The block that was asked for last: its number, and of each of its windows the source and its number there.
    block: Option<(u64, Vec<(usize, u64)>)>,
}

#[derive(Debug, Clone)]
struct Epoch {
    number: u64,
    offset: usize,
    permutation: Permutation,
}

impl EpochOrder {
    /// The order that this seed gives this data.
    ///
    /// # Panics
    /// If the data is shorter than one window; a loaded [`super::Corpus`] never is.
    pub fn new(data: &TrainingData, seed: u64) -> Self {
        assert!(
            data.length > 0 && data.tokens.len() >= data.length,
            "training data holds at least one window"
        );
        let order_of = |(share, lane): (&Share, u64)| Self {
            lane,
            ..Self::new(&share.data, seed)
        };
        Self {
            mixed: Mixed {
                orders: data.shares.iter().zip(1..).map(order_of).collect(),
                block: None,
            },
            data: data.clone(),
            seed,
            lane: 0,
            epoch: None,
        }
    }

    /// The window of this number, counted through all epochs from the beginning of the run.
    pub fn window(&mut self, index: u64) -> Vec<u32> {
        if !self.data.shares.is_empty() {
            let (source, own) = self.mixed_window(index);
            return self.mixed.orders[source].window(own);
        }
        let windows = self.data.windows_per_epoch() as u64;
        let number = index / windows;
        let epoch = match self.epoch.take() {
            Some(epoch) if epoch.number == number => epoch,
            _ => self.draw(number),
        };
        let window = epoch.permutation.at((index % windows) as usize);
        let start = epoch.offset + window * self.data.length;
        self.epoch = Some(epoch);
        self.data.tokens.read(start..start + self.data.length)
    }

    /// Which source of a mixture a window comes from, and its number among that source's windows.
    fn mixed_window(&mut self, index: u64) -> (usize, u64) {
        let (number, place) = (index / BLOCK as u64, (index % BLOCK as u64) as usize);
        let shares = &self.data.shares;
        let windows = match self.mixed.block.take() {
            Some((known, windows)) if known == number => windows,
            _ => {
                let own = |share: &Share| number * share.windows as u64;
                let mut next: Vec<u64> = shares.iter().map(own).collect();
                let sources = mixture::block(shares, self.seed, number).into_iter();
                let numbered = sources.map(|source| {
                    next[source] += 1;
                    (source, next[source] - 1)
                });
                numbered.collect()
            }
        };
        let window = windows[place];
        self.mixed.block = Some((number, windows));
        window
    }

    fn draw(&self, number: u64) -> Epoch {
        let mut stream = Stream::new(self.seed, Purpose::DataOrder, number, self.lane);
        Epoch {
            number,
            offset: stream.below(self.data.offsets() as u64) as usize,
            permutation: Permutation::draw(&mut stream, self.data.windows_per_epoch()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Tokens that count up: a window's first token says where it starts.
    fn counting(unique: usize, length: usize, aligned: bool) -> TrainingData {
        TrainingData {
            tokens: (0..unique as u32).collect(),
            length,
            aligned,
            shares: Vec::new(),
        }
    }

    /// Seven tenths of 300 tokens, three of 60 whose ids begin at 1,000; windows of 4.
    fn mixture() -> TrainingData {
        let few = TrainingData {
            tokens: (1_000..1_060).collect(),
            ..counting(60, 4, false)
        };
        let share = |data: &TrainingData, windows| Share {
            data: data.clone(),
            windows,
        };
        let many = counting(300, 4, false);
        TrainingData {
            tokens: Tokens::joined([many.tokens.clone(), few.tokens.clone()]),
            shares: vec![share(&many, 700), share(&few, 300)],
            ..many
        }
    }

    #[test]
    fn a_mixture_has_its_shares_in_every_block_and_true_epochs_of_each_source() {
        let data = mixture();
        assert_eq!(data.windows_per_epoch(), 74 + 14);
        let mut order = EpochOrder::new(&data, 3);
        let firsts: Vec<u32> = (0..2_000).map(|index| order.window(index)[0]).collect();
        for block in firsts.chunks(1_000) {
            assert_eq!(block.iter().filter(|first| **first < 1_000).count(), 700);
        }
        // Neither source waits for the other.
        let early = firsts[..100]
            .iter()
            .filter(|first| **first >= 1_000)
            .count();
        assert!((15..45).contains(&early), "{early}");
        let of = |few: bool| {
            firsts
                .iter()
                .copied()
                .filter(move |first| (*first >= 1_000) == few)
        };
        for (few, windows) in [(false, 74), (true, 14)] {
            let firsts: Vec<u32> = of(few).collect();
            for epoch in firsts.chunks_exact(windows) {
                let mut sorted = epoch.to_vec();
                sorted.sort_unstable();
                assert!(
                    sorted.windows(2).all(|pair| pair[1] == pair[0] + 4),
                    "{sorted:?}"
                );
            }
        }
        // Any window can be read first.
        for index in [1_999, 0, 1_000, 37] {
            let mut fresh = EpochOrder::new(&data, 3);
            assert_eq!(fresh.window(index)[0], firsts[index as usize]);
        }
        let mut other = EpochOrder::new(&data, 4);
        assert!((0..100).any(|index| other.window(index)[0] != firsts[index as usize]));
    }

    fn epoch_starts(order: &mut EpochOrder, epoch: u64) -> Vec<usize> {
        let windows = order.data.windows_per_epoch() as u64;
        (epoch * windows..(epoch + 1) * windows)
            .map(|index| {
                let window = order.window(index);
                assert!(window.windows(2).all(|pair| pair[1] == pair[0] + 1));
                window[0] as usize
            })
            .collect()
    }

    proptest! {
        #[test]
        fn an_epoch_visits_every_window_once(
            length in 1_usize..20, extra in 0_usize..200, aligned: bool, seed: u64, epoch in 0_u64..1_000_000,
        ) {
            let unique = length + extra;
            let data = counting(unique, length, aligned);
            let mut starts = epoch_starts(&mut EpochOrder::new(&data, seed), epoch);
            starts.sort_unstable();
            prop_assert_eq!(starts.len(), data.windows_per_epoch());
            prop_assert!(starts.windows(2).all(|pair| pair[1] == pair[0] + length));
            let offsets = if aligned { 1 } else { length };
            prop_assert!(starts[0] < offsets);
            prop_assert!(starts[starts.len() - 1] + length <= unique);
            // What an epoch can't show is less than the offset and a window behind it.
            prop_assert!(unique - data.tokens_per_epoch() < 2 * length);
        }

        #[test]
        fn any_window_can_be_read_first(length in 1_usize..9, extra in 0_usize..60, seed: u64, index in 0_u64..500) {
            let data = counting(length + extra, length, false);
            let mut in_order = EpochOrder::new(&data, seed);
            let expected = (0..=index).map(|index| in_order.window(index)).last();
            let mut fresh = EpochOrder::new(&data, seed);
            prop_assert_eq!(Some(fresh.window(index)), expected.clone());
            fresh.window(index + 1_000);
            prop_assert_eq!(Some(fresh.window(index)), expected);
        }
    }

    #[test]
    fn every_offset_and_every_order_comes_up() {
        // 11 tokens in windows of 3: three windows behind the offsets 0, 1 and 2.
        let data = counting(11, 3, false);
        let mut order = EpochOrder::new(&data, 5);
        let mut seen = std::collections::BTreeMap::new();
        let epochs = 3_600;
        for epoch in 0..epochs {
            *seen.entry(epoch_starts(&mut order, epoch)).or_insert(0_u32) += 1;
        }
        // 3 offsets x 3! orders, 200 times each; 5 standard deviations are 70.
        assert_eq!(seen.len(), 18);
        assert!(
            seen.values().all(|&times| times.abs_diff(200) < 70),
            "{seen:?}"
        );
    }

    #[test]
    fn another_seed_is_another_order() {
        let data = counting(400, 4, true);
        let (mut one, mut two) = (EpochOrder::new(&data, 1), EpochOrder::new(&data, 2));
        assert_ne!(epoch_starts(&mut one, 0), epoch_starts(&mut two, 0));
        assert_ne!(epoch_starts(&mut one, 0), epoch_starts(&mut one, 1));
    }
}

//! Text made worse on purpose, to see what a model makes of it: tokens replaced at random, and windows whose tokens stand in
//! another order.

use super::{MOST_GENERATED, Order, Parts};
use crate::error::{Error, Result};
use crate::random::{Purpose, Stream};

impl Parts {
    /// Replaces each token of text to train on with probability `noise` by one drawn evenly from all of text. What is held
    /// out stays as it is, so losses are comparable and a known floor stays one; ends of documents stay too.
    ///
    /// # Errors
    /// When the probability is none, or there are too many tokens for memory.
    pub(super) fn with_noise(mut self, noise: f64, seed: u64) -> Result<Self> {
        if !(0.0..=1.0).contains(&noise) {
            return Err(Error::input(format!("`corpus.noise` is {noise}"))
                .with_hint("give a number from 0 to 1"));
        }
        if noise == 0.0 {
            return Ok(self);
        }
        let mut tokens = self.training_tokens("corpus.noise")?;
        let kinds = self.tokenizer.text_ids();
        let mut stream = Stream::new(seed, Purpose::Corruption, 0, 0);
        for token in tokens.iter_mut().filter(|token| **token < kinds) {
            if stream.uniform() < noise {
                *token = stream.below(u64::from(kinds)) as u32;
            }
        }
        self.train = tokens.into();
        Ok(self)
    }

    /// Puts the tokens of every window of all parts in the same order, which the seed draws. A rest that is shorter than a
    /// window stays as it is; no window begins there.
    ///
    /// # Errors
    /// For grids, whose windows have no order to begin with, for mixtures, and when there are too many tokens for memory.
    pub(super) fn in_order(mut self, order: Order, seed: u64) -> Result<Self> {
        if order == Order::Reading {
            return Ok(self);
        }
        if self.grid.is_some() {
            return Err(Error::input(format!(
                "`corpus.order` is `{}`, and the cells of a grid have no order",
                order.name()
            ))
            .with_hint("leave it out, or take a text, `tales` or a Markov source"));
        }
        if !self.shares.is_empty() {
            return Err(Error::input(format!(
                "`corpus.order` is `{}`, and the sources of a mixture have windows of their own",
                order.name()
            ))
            .with_hint("leave out one of `corpus.order` and `corpus.mixture`"));
        }
        if order == Order::Shuffled {
            let places = Stream::new(seed, Purpose::Corruption, 1, 0).permutation(self.length);
            let shuffle = |tokens: &mut [u32]| {
                for window in tokens.chunks_exact_mut(places.len()) {
                    let reading = window.to_vec();
                    for (token, place) in window.iter_mut().zip(&places) {
                        *token = reading[*place];
                    }
                }
            };
            let mut train = self.training_tokens("corpus.order")?;
            for part in [&mut train, &mut self.validation, &mut self.test] {
                shuffle(part);
            }
            self.train = train.into();
            // Neither knows a shuffled text when it sees one.
            self.chain = None;
            self.tales = None;
        }
        Ok(self)
    }

    /// All of them, in memory.
    fn training_tokens(&self, key: &str) -> Result<Vec<u32>> {
        let count = self.train.len();
        if count as u64 > MOST_GENERATED {
            return Err(Error::input(format!(
                "`{key}` is for texts of at most {MOST_GENERATED} tokens, and this one has {count}"
            ))
            .with_hint("give less `--unique`"));
        }
        Ok(self.train.read(0..count))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Corpus, CorpusConfig};
    use super::*;

    fn load(noise: f64, order: Order) -> Result<Corpus> {
        let config = CorpusConfig {
            source: vec!["tales".to_owned()],
            length: Some(16),
            unique: Some(4_001),
            held_out: Some(320),
            noise,
            order,
            ..CorpusConfig::default()
        };
        Corpus::load(&config, 5)
    }

    fn train(corpus: &Corpus) -> Vec<u32> {
        corpus.train.tokens.read(0..corpus.train.tokens.len())
    }

    #[test]
    fn noise_replaces_its_share_of_training_tokens_and_nothing_else() {
        let clean = load(0.0, Order::Reading).expect("tales");
        let noisy = load(0.3, Order::Reading).expect("tales");
        assert_eq!(noisy.validation, clean.validation);
        assert_eq!(noisy.test, clean.test);
        assert_eq!(noisy.floor_nats, clean.floor_nats);
        let end = clean.tokenizer.end_of_text();
        let (before, after) = (train(&clean), train(&noisy));
        let changed = before.iter().zip(&after).filter(|(a, b)| a != b).count();
        // One in about forty is replaced by itself.
        let share = changed as f64 / before.len() as f64;
        assert!((share - 0.29).abs() < 0.03, "{share}");
        for (before, after) in before.iter().zip(&after) {
            assert_eq!(Some(*before) == end, Some(*after) == end);
        }
        assert_eq!(train(&load(0.3, Order::Reading).expect("again")), after);
        for wrong in [-0.1, 1.5, f64::NAN] {
            assert!(load(wrong, Order::Reading).is_err(), "{wrong}");
        }
    }

    #[test]
    fn shuffled_windows_have_the_same_tokens_in_one_other_order() {
        let blocks = load(0.0, Order::Blocks).expect("tales");
        let shuffled = load(0.0, Order::Shuffled).expect("tales");
        assert!(blocks.train.aligned && shuffled.train.aligned);
        let (before, after) = (train(&blocks), train(&shuffled));
        assert_eq!(before.len(), after.len());
        assert_eq!(before[4_000..], after[4_000..], "the rest stays");
        let place_of = |window: usize| -> Vec<Vec<usize>> {
            // Where each token of the shuffled window may have come from.
            let (from, to) = (&before[window * 16..][..16], &after[window * 16..][..16]);
            to.iter()
                .map(|token| (0..16).filter(|place| from[*place] == *token).collect())
                .collect()
        };
        // One permutation explains all windows.
        let mut possible = place_of(0);
        for window in 1..250 {
            for (known, here) in possible.iter_mut().zip(place_of(window)) {
                known.retain(|place| here.contains(place));
            }
        }
        assert!(
            possible.iter().all(|places| places.len() == 1),
            "{possible:?}"
        );
        assert!(
            possible
                .iter()
                .enumerate()
                .any(|(at, places)| places[0] != at)
        );
        assert_ne!(blocks.validation, shuffled.validation);
        assert!(shuffled.tales.is_none() && shuffled.floor_nats == blocks.floor_nats);
    }

    #[test]
    fn a_grid_has_no_order() {
        let config = CorpusConfig {
            order: Order::Shuffled,
            ..CorpusConfig::default()
        };
        let error = Corpus::load(&config, 1).expect_err("cells of a square");
        assert!(
            error.to_string().contains("`corpus.order` is `shuffled`"),
            "{error}"
        );
    }
}

//! Several sources in given shares. Each is cut into its own training, validation and test part, and windows of all of them
//! follow one another so that every [`BLOCK`] of them hold exactly each source's share. A source whose training tokens are
//! few for its share is read more often than the others.

use super::store::Tokens;
use super::text::{self, Texts};
use super::{CorpusConfig, Parts, Survey, TrainingData, shards, unchanged};
use crate::error::{Error, Result};
use crate::random::{Purpose, Stream};

/// Windows in which the shares come out exactly.
pub(super) const BLOCK: usize = 1_000;

/// Keeps the draws of blocks apart from those of windows.
const BLOCK_LANE: u64 = u64::MAX;

/// A source's part of a mixture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share {
    /// Its training tokens.
    pub data: TrainingData,
    /// Its windows among [`BLOCK`].
    pub windows: usize,
}

/// Each source's windows among [`BLOCK`]: its weight's, rounded so that they add up (largest remainders).
fn shares(config: &CorpusConfig) -> Result<Vec<usize>> {
    let (weights, sources) = (&config.mixture, config.source.len());
    if weights.len() != sources {
        return Err(Error::input(format!(
            "`mixture` has {} weights for {sources} sources",
            weights.len()
        ))
        .with_hint("give a weight for each file or folder, such as `--mixture 0.7,0.3`"));
    }
    let total: f64 = weights.iter().sum();
    if let Some(wrong) = weights
        .iter()
        .find(|weight| !(**weight > 0.0 && total.is_finite()))
    {
        return Err(Error::input(format!("`mixture` has the weight {wrong}"))
            .with_hint("weights are numbers above 0"));
    }
    let exact = weights.iter().map(|weight| weight / total * BLOCK as f64);
    let exact: Vec<f64> = exact.collect();
    let mut shares: Vec<usize> = exact.iter().map(|share| share.floor() as usize).collect();
    let mut by_remainder: Vec<usize> = (0..sources).collect();
    by_remainder.sort_by(|a, b| exact[*b].fract().total_cmp(&exact[*a].fract()));
    let missing = BLOCK - shares.iter().sum::<usize>();
    for source in by_remainder.into_iter().cycle().take(missing) {
        shares[source] += 1;
    }
    match shares.iter().position(|share| *share == 0) {
        None => Ok(shares),
        Some(source) => Err(Error::input(format!(
            "`mixture` gives `{}` less than one window in {BLOCK}",
            config.source[source]
        ))
        .with_hint("give it a larger weight, or leave it out")),
    }
}

/// Cuts every source, and puts the parts together.
pub(super) fn parts(config: &CorpusConfig, seed: u64) -> Result<Parts> {
    let shares = shares(config)?;
    let texts = texts(config)?;
    let hashes: Vec<&str> = texts.iter().map(|texts| texts.hash.as_str()).collect();
    let hash = unchanged(config, super::hash(hashes.concat().as_bytes()))?;
    let mut cut = Vec::new();
    for ((texts, name), share) in texts.into_iter().zip(&config.source).zip(&shares) {
        let budget = |tokens: u64| (u128::from(tokens) * *share as u128 / BLOCK as u128) as u64;
        let own = CorpusConfig {
            source: vec![name.clone()],
            mixture: Vec::new(),
            unique: config.unique.map(budget),
            held_out: config.held_out.map(budget),
            ..config.clone()
        };
        let parts = text::parts(&own, texts, seed);
        cut.push(parts.map_err(|error| error.about(&format!("`{name}`")))?);
    }
    let length = cut[0].length;
    let training = cut.iter().zip(&shares).map(|(parts, windows)| Share {
        data: TrainingData {
            tokens: parts.train.clone(),
            length,
            aligned: false,
            shares: Vec::new(),
        },
        windows: *windows,
    });
    let notices = cut.iter().zip(&config.source).flat_map(|(parts, name)| {
        let said = parts.notices.iter();
        said.map(move |notice| format!("{name}: {notice}"))
    });
    Ok(Parts {
        shares: training.collect(),
        train: Tokens::joined(cut.iter().map(|parts| parts.train.clone())),
        validation: interleaved(
            cut.iter().map(|parts| &parts.validation[..]).collect(),
            length,
        ),
        test: interleaved(cut.iter().map(|parts| &parts.test[..]).collect(), length),
        documents: Some(cut.iter().filter_map(|parts| parts.documents).sum()),
        tokenizer_name: cut[0].tokenizer_name.clone(),
        notices: notices.collect(),
        hash,
        ..Parts::of(cut[0].tokenizer.clone(), length)
    })
}

/// The tokens of each source, by one tokenizer.
fn texts(config: &CorpusConfig) -> Result<Vec<Texts>> {
    let mut folders = 0;
    for source in &config.source {
        folders += usize::from(shards::is_folder_of_shards(source)?);
    }
    if folders == 0 {
        return Survey::of_files(config)?.tokenize_each(config);
    }
    if folders < config.source.len() {
        return Err(
            Error::input("a mixture has sources of text and sources of token shards")
                .with_hint("make shards of all of them, with the same `--tokenizer`"),
        );
    }
    let open = |folder: &String| shards::open(config, folder);
    let texts: Vec<Texts> = config.source.iter().map(open).collect::<Result<_>>()?;
    let other = texts
        .iter()
        .position(|own| own.tokenizer != texts[0].tokenizer);
    match other {
        None => Ok(texts),
        Some(other) => Err(Error::input(format!(
            "the shards in `{}` and in `{}` were made with different tokenizers",
            config.source[0], config.source[other]
        ))
        .with_hint("make them with one: `--tokenizer FILE.json`, or `byte`")),
    }
}

/// Whole windows of every part, each part's spread evenly, so that any first few of them hold all.
fn interleaved(parts: Vec<&[u32]>, length: usize) -> Vec<u32> {
    let mut windows: Vec<(f64, &[u32])> = Vec::new();
    for part in parts {
        let count = part.len() / length;
        let place = |number: usize| (number as f64 + 0.5) / count as f64;
        let own = part.chunks_exact(length).enumerate();
        windows.extend(own.map(|(number, window)| (place(number), window)));
    }
    windows.sort_by(|a, b| a.0.total_cmp(&b.0));
    windows
        .into_iter()
        .flat_map(|(_, window)| window)
        .copied()
        .collect()
}

/// Which source each window of a block comes from, in an order that the seed draws.
pub(super) fn block(shares: &[Share], seed: u64, number: u64) -> Vec<usize> {
    let all = shares.iter().enumerate();
    let sources: Vec<usize> = all
        .flat_map(|(source, share)| std::iter::repeat_n(source, share.windows))
        .collect();
    let mut stream = Stream::new(seed, Purpose::DataOrder, number, BLOCK_LANE);
    let order = stream.permutation(sources.len());
    order.into_iter().map(|place| sources[place]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(weights: &[f64]) -> Result<Vec<usize>> {
        shares(&CorpusConfig {
            source: weights
                .iter()
                .map(|weight| format!("{weight}.txt"))
                .collect(),
            mixture: weights.to_vec(),
            ..CorpusConfig::default()
        })
    }

    #[test]
    fn shares_are_weights_rounded_to_the_whole() {
        assert_eq!(of(&[0.7, 0.3]).unwrap(), [700, 300]);
        assert_eq!(of(&[2.0, 1.0]).unwrap(), [667, 333]);
        assert_eq!(of(&[1.0, 1.0, 1.0]).unwrap(), [334, 333, 333]);
        assert_eq!(of(&[1.0]).unwrap(), [1_000]);
        for wrong in [
            &[1.0, 0.0][..],
            &[1.0, -1.0],
            &[f64::NAN, 1.0],
            &[1.0, 1e-5],
            &[f64::INFINITY, 1.0],
        ] {
            assert!(of(wrong).is_err(), "{wrong:?}");
        }
        let uneven = CorpusConfig {
            mixture: vec![0.5, 0.5],
            ..CorpusConfig::default()
        };
        assert!(
            shares(&uneven)
                .unwrap_err()
                .to_string()
                .contains("2 weights for 1 source")
        );
    }

    #[test]
    fn the_first_windows_hold_every_part() {
        let (many, few): (Vec<u32>, Vec<u32>) = ((0..13).collect(), (100..105).collect());
        // Six windows and two; a rest that is no window is left out.
        let all = interleaved(vec![&many, &few], 2);
        assert_eq!(
            all,
            [0, 1, 2, 3, 100, 101, 4, 5, 6, 7, 8, 9, 102, 103, 10, 11]
        );
    }
}

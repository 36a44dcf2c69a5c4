//! Text files: one long text, cut by position.
//!
//! Training comes from the front, validation and test from the end: what was written later is predicted from what was
//! written before, and a budget of unique tokens can grow without touching either.

use super::{CorpusConfig, DEFAULT_LENGTH, Parts, Tokenizer, at_least_a_window};
use crate::error::{Error, Result};

/// The unique training tokens, where so many are left.
const DEFAULT_UNIQUE: usize = 20_000;

/// The most tokens held out for each of validation and test: enough for a standard error near .01 nat.
const DEFAULT_HELD_OUT: usize = 50_000;

/// A shorter text gives one part in so many to each of validation and test.
const DEFAULT_HELD_OUT_SHARE: usize = 10;

/// Training is the first `unique` tokens, test the last `held_out`, validation the `held_out` before it.
pub(super) fn parts(config: &CorpusConfig, text: &[u8]) -> Result<Parts> {
    let names = config.source.join("`, `");
    if text.is_empty() {
        return Err(
            Error::input(format!("`{names}` is empty")).with_hint("give a file that holds text")
        );
    }
    let tokenizer = Tokenizer::for_documents(&config.tokenizer, [Ok(text)])
        .map_err(|error| error.about(&format!("`{names}`")))?;
    let mut train = tokenizer.encode_bytes(text)?;
    let length = config.length.unwrap_or(DEFAULT_LENGTH);
    let (unique, held_out) = budgets(config, train.len(), length)?;

    let test = train.split_off(train.len() - held_out);
    let validation = train.split_off(train.len() - held_out);
    train.truncate(unique);
    Ok(Parts {
        tokenizer,
        length,
        train,
        validation,
        test,
        floor_nats: None,
        grid: None,
        chain: None,
    })
}

/// The budgets that are asked for, or that suit a text of `tokens` tokens.
fn budgets(config: &CorpusConfig, tokens: usize, length: usize) -> Result<(usize, usize)> {
    if tokens / 3 < length {
        let error = Error::input(format!(
            "the text has {tokens} tokens: too few for three windows of {length}"
        ));
        return Err(if tokens < 3 {
            error.with_hint("give more text")
        } else {
            error.with_hint(format!(
                "give more text, or `--length {}` or less",
                tokens / 3
            ))
        });
    }
    let share = (tokens / DEFAULT_HELD_OUT_SHARE).clamp(length, DEFAULT_HELD_OUT.max(length));
    let held_out = at_least_a_window(
        "--held-out",
        config.held_out.unwrap_or(share as u64),
        length,
    )?;
    let left = (tokens as u64).saturating_sub(held_out.saturating_mul(2));
    if left < length as u64 {
        return Err(Error::input(format!(
            "the text has {tokens} tokens: `--held-out {held_out}`, taken twice, leaves less than a window of {length} \
             to train on"
        ))
        .with_hint(format!("`--held-out` can be at most {}", (tokens - length) / 2)));
    }
    let unique = config
        .unique
        .unwrap_or(left.min(DEFAULT_UNIQUE.max(length) as u64));
    let unique = at_least_a_window("--unique", unique, length)?;
    if unique > left {
        return Err(Error::input(format!(
            "the text has {tokens} tokens: too few for `--unique {unique}` beside twice `--held-out {held_out}`"
        ))
        .with_hint(format!("`--unique` can be at most {left}; or hold out less")));
    }
    // Both are at most `tokens`, which is a `usize`.
    Ok((unique as usize, held_out as usize))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;
    use proptest::prelude::*;

    fn config(length: usize, unique: Option<u64>, held_out: Option<u64>) -> CorpusConfig {
        CorpusConfig {
            source: vec!["a.txt".to_owned()],
            tokenizer: "byte".to_owned(),
            length: Some(length),
            unique,
            held_out,
            hash: None,
        }
    }

    proptest! {
        #[test]
        fn parts_are_whole_in_place_and_apart(
            tokens in 0_usize..250, length in 1_usize..40,
            unique in prop::option::of(0_u64..250), held_out in prop::option::of(0_u64..250),
        ) {
            let text: Vec<u8> = (0..tokens).map(|position| position as u8).collect();
            match parts(&config(length, unique, held_out), &text) {
                Ok(parts) => {
                    let (train, held) = (parts.train.len(), parts.validation.len());
                    prop_assert!(unique.is_none_or(|asked| asked == train as u64));
                    prop_assert!(held_out.is_none_or(|asked| asked == held as u64));
                    prop_assert_eq!(parts.test.len(), held);
                    prop_assert!(train >= length && held >= length && train + 2 * held <= tokens);
                    // Tokens count up, so each part shows where it was taken from.
                    prop_assert_eq!(parts.train[0], 0);
                    prop_assert_eq!(parts.validation[0] as usize, tokens - 2 * held);
                    prop_assert_eq!(parts.test[0] as usize, tokens - held);
                }
                Err(error) => {
                    prop_assert_eq!(error.kind(), Kind::Input);
                    let held = held_out.unwrap_or(length as u64);
                    let needed = unique.unwrap_or(length as u64) + 2 * held;
                    let window = length as u64;
                    prop_assert!(
                        tokens < 3 * length
                            || needed > tokens as u64
                            || unique.is_some_and(|asked| asked < window)
                            || held_out.is_some_and(|asked| asked < window)
                            // A tenth is held out by default, which may not go with a large `unique`.
                            || unique.is_some() && held_out.is_none(),
                        "refused without need: {}", error
                    );
                }
            }
        }
    }

    #[test]
    fn defaults_follow_the_size_of_the_text() {
        let sizes = |tokens: usize, length| {
            let text = vec![b'a'; tokens];
            let parts = parts(&config(length, None, None), &text).unwrap();
            (parts.train.len(), parts.validation.len())
        };
        assert_eq!(sizes(1_000, 64), (800, 100));
        assert_eq!(sizes(300, 100), (100, 100), "at least a window each");
        assert_eq!(sizes(2_000_000, 64), (20_000, 50_000));
        assert_eq!(
            sizes(400_000, 100_000),
            (100_000, 100_000),
            "at least a window each"
        );
    }

    #[test]
    fn the_vocabulary_is_that_of_the_whole_text() {
        let config = CorpusConfig {
            tokenizer: "char".to_owned(),
            ..config(2, Some(2), Some(2))
        };
        let parts = parts(&config, b"aabbccdd").unwrap();
        assert_eq!(parts.tokenizer.vocab_size(), 5);
        assert_eq!(parts.test, [3, 3]);
    }

    #[test]
    fn refusals_say_what_would_fit() {
        let refused = |config: CorpusConfig, tokens: usize| {
            let error = parts(&config, &vec![b'a'; tokens]).err().unwrap();
            assert_eq!(error.kind(), Kind::Input);
            format!("{error} / {}", error.hint().unwrap_or_default())
        };
        assert_eq!(
            refused(config(64, None, None), 0),
            "`a.txt` is empty / give a file that holds text"
        );
        assert_eq!(
            refused(config(64, None, None), 100),
            "the text has 100 tokens: too few for three windows of 64 / give more text, or `--length 33` or less"
        );
        assert_eq!(
            refused(config(10, Some(90), Some(10)), 100),
            "the text has 100 tokens: too few for `--unique 90` beside twice `--held-out 10` / \
             `--unique` can be at most 80; or hold out less"
        );
        assert_eq!(
            refused(config(10, None, Some(u64::MAX)), 100),
            format!(
                "the text has 100 tokens: `--held-out {}`, taken twice, leaves less than a window of 10 to train on / \
                 `--held-out` can be at most 45",
                u64::MAX
            )
        );
        assert_eq!(
            refused(config(10, Some(9), None), 100),
            "`--unique 9` is less than one window of 10 tokens / give at least 10"
        );
    }
}

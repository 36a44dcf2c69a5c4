//! Text cut into training, validation and test.
//!
//! Three documents or more are shared out whole, in an order that the seed draws: the test's first, then those of
//! validation, then those to train on, so that what is held out stays the same when the training budget grows. The
//! last document of a part is cut where the budget ends, and its rest is used nowhere. No document is in two parts.
//!
//! One document, or two, are one text, cut by position: training comes from the front, validation and test from the
//! end. What was written later is predicted from what was written before.

use std::ops::Range;
use std::sync::Arc;

use super::store::{TokenStore, Tokens};
use super::{
    CorpusConfig, DEFAULT_LENGTH, NearDuplicates, Parts, Tokenizer, at_least_a_window, duplicates,
};
use crate::error::{Error, Result};
use crate::random::{Purpose, Stream};

/// The unique training tokens, where so many are left.
const DEFAULT_UNIQUE: usize = 20_000;

/// The most tokens held out for each of validation and test: enough for a standard error near .01 nat.
const DEFAULT_HELD_OUT: usize = 50_000;

/// A shorter text gives one part in so many to each of validation and test.
const DEFAULT_HELD_OUT_SHARE: usize = 10;

/// From so many documents on they are kept whole.
const WHOLE_DOCUMENTS: usize = 3;

/// Tokenized text, from files or from shards.
pub(super) struct Texts {
    pub tokenizer: Tokenizer,
    pub tokenizer_name: String,
    pub store: TokenStore,
    /// Whether the store takes memory, rather than files.
    pub in_memory: bool,
    /// SHA-256 of the text.
    pub hash: String,
    pub notices: Vec<String>,
}

impl Texts {
    /// Looks for near-duplicates among the documents.
    pub fn near_duplicates(&self) -> Result<NearDuplicates> {
        let store = &self.store;
        let documents = (0..store.documents()).map(|index| {
            let mut document = store.document(index);
            document.end = document.end.min(document.start + duplicates::MOST_BYTES);
            let mut ids = Vec::new();
            store.read(document, &mut ids);
            let bytes = self.tokenizer.decode_bytes(&ids);
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        });
        NearDuplicates::among(documents, |index| format!("document {}", index + 1))
    }
}

/// Cuts a text into the budgets that are asked for, or that suit it.
pub(super) fn parts(config: &CorpusConfig, texts: Texts, seed: u64) -> Result<Parts> {
    let length = config.length.unwrap_or(DEFAULT_LENGTH);
    let mut notices = texts.notices;
    let store = Arc::new(texts.store);
    if store.len() / 3 < length {
        return Err(too_short(store.len(), length));
    }
    let Cut {
        train,
        validation,
        test,
    } = if store.documents() < WHOLE_DOCUMENTS {
        by_position(config, store.len(), length)?
    } else {
        let cut = by_document(config, &store, length, seed, &mut notices)?;
        let held_out = cut.validation.iter().chain(&cut.test);
        notices.extend(duplicates::notice(
            &store,
            &texts.tokenizer,
            &held_out.cloned().collect::<Vec<_>>(),
            &cut.train,
        ));
        cut
    };
    let held_out = |ranges: Vec<Range<usize>>| {
        let view = Tokens::new(Arc::clone(&store), ranges);
        view.to_vec()
    };
    let mut train = Tokens::new(Arc::clone(&store), train);
    if texts.in_memory {
        train = train.alone(texts.tokenizer.vocab_size())?;
    }
    Ok(Parts {
        documents: Some(store.documents()),
        validation: held_out(validation),
        test: held_out(test),
        train,
        tokenizer_name: Some(texts.tokenizer_name),
        hash: texts.hash,
        notices,
        ..Parts::of(texts.tokenizer, length)
    })
}

/// Where each part lies in the store.
struct Cut {
    train: Vec<Range<usize>>,
    validation: Vec<Range<usize>>,
    test: Vec<Range<usize>>,
}

fn too_short(tokens: usize, length: usize) -> Error {
    let error = Error::input(format!(
        "the text has {tokens} tokens: too few for three windows of {length}"
    ));
    match tokens / 3 {
        0 => error.with_hint("give more text"),
        shorter => error.with_hint(format!("give more text, or `--length {shorter}` or less")),
    }
}

/// What is held out where nothing is said: a share of the text.
fn default_held_out(tokens: usize, length: usize) -> usize {
    (tokens / DEFAULT_HELD_OUT_SHARE).clamp(length, DEFAULT_HELD_OUT.max(length))
}

/// The training budget, given what is left for it.
fn unique(config: &CorpusConfig, left: usize, length: usize) -> Result<u64> {
    let default = left.min(DEFAULT_UNIQUE.max(length)) as u64;
    at_least_a_window("--unique", config.unique.unwrap_or(default), length)
}

/// Training is the first `unique` tokens, test the last `held_out`, validation the `held_out` before it.
fn by_position(config: &CorpusConfig, tokens: usize, length: usize) -> Result<Cut> {
    let held_out = at_least_a_window(
        "--held-out",
        config
            .held_out
            .unwrap_or(default_held_out(tokens, length) as u64),
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
    let unique = unique(config, left as usize, length)?;
    if unique > left {
        return Err(Error::input(format!(
            "the text has {tokens} tokens: too few for `--unique {unique}` beside twice `--held-out {held_out}`"
        ))
        .with_hint(format!("`--unique` can be at most {left}; or hold out less")));
    }
    // Both are at most `tokens`, which is a `usize`.
    let (unique, held_out) = (unique as usize, held_out as usize);
    let range = |start: usize, length: usize| std::iter::once(start..start + length).collect();
    Ok(Cut {
        train: range(0, unique),
        validation: range(tokens - 2 * held_out, held_out),
        test: range(tokens - held_out, held_out),
    })
}

/// Whole documents, in the order of the seed; those longer than `held_out` come last, the longest at the very end, so that
/// they rather train.
fn by_document(
    config: &CorpusConfig,
    store: &TokenStore,
    length: usize,
    seed: u64,
    notices: &mut Vec<String>,
) -> Result<Cut> {
    let (tokens, documents) = (store.len(), store.documents());
    let order = Stream::new(seed, Purpose::Source, 0, 0).permutation(documents);
    let share = |held_out: usize| Shares::new(store, &order, held_out);
    let held_out = match config.held_out {
        Some(asked) => {
            let asked = at_least_a_window("--held-out", asked, length)?;
            let fits = |held_out: usize| share(held_out).left >= length;
            match usize::try_from(asked) {
                Ok(asked) if fits(asked) => asked,
                _ => {
                    let error = Error::input(format!(
                        "the text has {tokens} tokens in {documents} documents: `--held-out {asked}`, taken twice in \
                         whole documents, leaves less than a window of {length} to train on"
                    ));
                    return Err(match largest(tokens / 2, length, fits) {
                        Some(fewer) => error.with_hint(format!("`--held-out {fewer}` fits")),
                        None => error.with_hint(MORE_DOCUMENTS),
                    });
                }
            }
        }
        None => {
            let usual = default_held_out(tokens, length);
            let fits = |held_out: usize| share(held_out).left >= held_out;
            // A standard error takes two windows; one is better than nothing.
            let chosen = largest(usual, 2 * length, fits).or_else(|| largest(length, length, fits));
            let Some(chosen) = chosen else {
                return Err(uneven(store, length, fits));
            };
            if chosen < usual {
                notices.push(format!(
                    "only {chosen} tokens each are held out for validation and test: the {documents} documents are few \
                     or of uneven length, and none is in two parts"
                ));
            }
            chosen
        }
    };
    let mut shares = share(held_out);
    let unique = unique(config, shares.left, length)?;
    if unique > shares.left as u64 {
        return Err(Error::input(format!(
            "the text has {tokens} tokens in {documents} documents: too few for `--unique {unique}` beside twice \
             `--held-out {held_out}` in whole documents"
        ))
        .with_hint(format!("`--unique` can be at most {}; or hold out less", shares.left)));
    }
    let train = shares.take(unique as usize);
    Ok(Cut {
        train,
        validation: shares.validation,
        test: shares.test,
    })
}

const MORE_DOCUMENTS: &str =
    "give more documents, or join them to one file: one text is cut by position";

fn uneven(store: &TokenStore, length: usize, fits: impl Fn(usize) -> bool) -> Error {
    let error = Error::input(format!(
        "the text has {} tokens in {} documents, too few or of too uneven length to hold whole ones out in windows of \
         {length}",
        store.len(),
        store.documents()
    ));
    // A standard error takes two windows.
    match largest(2 * length, 2, fits) {
        Some(two) => error.with_hint(format!("{MORE_DOCUMENTS}; `--length {}` fits too", two / 2)),
        None => error.with_hint(MORE_DOCUMENTS),
    }
}

/// The first number that fits, going down from `most` to `least` in steps of a quarter.
fn largest(most: usize, least: usize, fits: impl Fn(usize) -> bool) -> Option<usize> {
    let next = |number: &usize| (*number > least).then(|| (number - number.div_ceil(4)).max(least));
    std::iter::successors((most >= least).then_some(most), next).find(|number| fits(*number))
}

/// Documents as they are shared out.
struct Shares<'a> {
    store: &'a TokenStore,
    order: std::vec::IntoIter<usize>,
    test: Vec<Range<usize>>,
    validation: Vec<Range<usize>>,
    /// Tokens of the documents that are in neither; 0 if those two couldn't be filled.
    left: usize,
}

impl<'a> Shares<'a> {
    /// Fills test and validation.
    fn new(store: &'a TokenStore, order: &[usize], held_out: usize) -> Self {
        // 0 up to the budget, 1 up to three times it, and so on: those of like length stay in the seed's order.
        let excess = |index: &usize| {
            let length = store.document(*index).len();
            (1 + length.saturating_sub(1) / held_out).ilog2()
        };
        let mut order = order.to_vec();
        order.sort_by_key(excess);
        let mut shares = Self {
            store,
            order: order.into_iter(),
            test: Vec::new(),
            validation: Vec::new(),
            left: store.len(),
        };
        shares.test = shares.take(held_out);
        shares.validation = shares.take(held_out);
        let filled = |part: &[Range<usize>]| part.iter().map(Range::len).sum::<usize>() == held_out;
        if !filled(&shares.test) || !filled(&shares.validation) {
            shares.left = 0;
        }
        shares
    }

    /// The next documents, as many as hold so many tokens; the last is cut.
    fn take(&mut self, tokens: usize) -> Vec<Range<usize>> {
        let mut part = Vec::new();
        let mut missing = tokens;
        while missing > 0 {
            let Some(index) = self.order.next() else {
                break;
            };
            let document = self.store.document(index);
            self.left -= document.len();
            let used = document.len().min(missing);
            part.push(document.start..document.start + used);
            missing -= used;
        }
        part
    }
}

#[cfg(test)]
mod tests {
    use super::super::Survey;
    use super::super::documents::DOCUMENT_END;
    use super::super::store::Writer;
    use super::*;
    use crate::error::Kind;
    use proptest::prelude::*;

    fn config(length: usize, unique: Option<u64>, held_out: Option<u64>) -> CorpusConfig {
        CorpusConfig {
            source: vec!["a.txt".to_owned()],
            tokenizer: Some("byte".to_owned()),
            length: Some(length),
            unique,
            held_out,
            ..CorpusConfig::default()
        }
    }

    fn cut(config: &CorpusConfig, text: &[u8]) -> Result<Parts> {
        parts(config, Survey::of_text(config, text)?.tokenize(config)?, 1)
    }

    /// Documents of these lengths, each token of which says where it is in the whole; every part's tokens.
    fn share(config: &CorpusConfig, lengths: &[usize], seed: u64) -> Result<[Vec<usize>; 3]> {
        let mut writer = Writer::in_memory(1 << 20);
        let mut next = 0;
        for &length in lengths {
            writer.push(&(next..next + length as u32).collect::<Vec<_>>())?;
            writer.end_document()?;
            next += length as u32;
        }
        let store = writer.finish()?;
        let length = config.length.unwrap();
        let cut = by_document(config, &store, length, seed, &mut Vec::new())?;
        Ok([cut.train, cut.validation, cut.test].map(|part| part.into_iter().flatten().collect()))
    }

    proptest! {
        #[test]
        fn parts_of_one_text_are_whole_in_place_and_apart(
            tokens in 0_usize..250, length in 1_usize..40,
            unique in prop::option::of(0_u64..250), held_out in prop::option::of(0_u64..250),
        ) {
            let text: Vec<u8> = (0..tokens).map(|position| position as u8).collect();
            match cut(&config(length, unique, held_out), &text) {
                Ok(parts) => {
                    let (train, held) = (parts.train.len(), parts.validation.len());
                    prop_assert!(unique.is_none_or(|asked| asked == train as u64));
                    prop_assert!(held_out.is_none_or(|asked| asked == held as u64));
                    prop_assert_eq!(parts.test.len(), held);
                    prop_assert!(train >= length && held >= length && train + 2 * held <= tokens);
                    // Tokens count up, so each part shows where it was taken from.
                    prop_assert_eq!(parts.train.read(0..1), [0]);
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

        #[test]
        fn no_document_is_in_two_parts_and_budgets_are_exact(
            lengths in prop::collection::vec(1_usize..60, 3..40), length in 1_usize..12, seed: u64,
            unique in prop::option::of(1_u64..400), held_out in prop::option::of(1_u64..200),
        ) {
            let starts: Vec<usize> = lengths.iter().scan(0, |end, length| {
                *end += length;
                Some(*end - length)
            }).collect();
            let document_of = |position: &usize| starts.partition_point(|start| start <= position) - 1;
            let Ok(shared) = share(&config(length, unique, held_out), &lengths, seed) else {
                return Ok(());
            };
            let mut owner = vec![None; lengths.len()];
            for (part, positions) in shared.iter().enumerate() {
                let mut documents: Vec<usize> = positions.iter().map(document_of).collect();
                documents.dedup();
                for (rank, &document) in documents.iter().enumerate() {
                    prop_assert_eq!(owner[document].replace(part), None, "document {} twice", document);
                    let used = positions.iter().filter(|position| document_of(position) == document).count();
                    let is_last = rank + 1 == documents.len();
                    prop_assert!(used == lengths[document] || is_last, "only the last is cut");
                    prop_assert!(positions.contains(&starts[document]), "it is cut at its end");
                }
            }
            let [train, validation, test] = shared.map(|part| part.len());
            prop_assert_eq!(validation, test);
            prop_assert!(train >= length && test >= length);
            prop_assert!(unique.is_none_or(|asked| asked == train as u64));
            prop_assert!(held_out.is_none_or(|asked| asked == test as u64));
        }

        #[test]
        fn what_is_held_out_stays_when_the_budget_grows(
            lengths in prop::collection::vec(1_usize..60, 3..40), seed: u64,
            held_out in prop::option::of(5_u64..200), unique in 5_u64..300, more in 0_u64..300,
        ) {
            let of = |unique| share(&config(5, Some(unique), held_out), &lengths, seed);
            if let (Ok(small), Ok(large)) = (of(unique), of(unique + more)) {
                prop_assert_eq!(&small[1..], &large[1..]);
                prop_assert_eq!(&large[0][..small[0].len()], &small[0]);
            }
        }

        #[test]
        fn a_hint_of_what_fits_is_true(
            lengths in prop::collection::vec(1_usize..60, 3..12), length in 1_usize..20, seed: u64,
            unique in prop::option::of(1_u64..400), held_out in prop::option::of(1_u64..400),
        ) {
            let mut asked = config(length, unique, held_out);
            let Err(error) = share(&asked, &lengths, seed) else {
                return Ok(());
            };
            let hint = error.hint().unwrap();
            let number = |flag: &str| -> Option<u64> {
                let behind = hint.split_once(flag)?.1.trim_start_matches(" can be at most");
                behind.trim_start().split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
            };
            if let Some(fits) = number("`--unique`") {
                asked.unique = Some(fits);
            } else if let Some(fits) = number("`--held-out") {
                asked = config(length, None, Some(fits));
            } else if let Some(fits) = number("`--length") {
                asked = config(fits as usize, None, None);
            } else {
                return Ok(());
            }
            // Only a budget below a window may still be in the way: that is another mistake.
            if let Err(error) = share(&asked, &lengths, seed) {
                prop_assert!(error.to_string().contains("less than one window"), "{}: {}", hint, error);
            }
        }
    }

    #[test]
    fn long_documents_rather_train() {
        let lengths = [5_000, 40, 50, 60, 45, 55, 900];
        for seed in 0..20 {
            let parts = share(&config(10, Some(5_000), Some(60)), &lengths, seed).unwrap();
            let held_out = |position: &usize| (5_000..5_250).contains(position);
            assert!(parts[1].iter().chain(&parts[2]).all(held_out));
            // What is short trains first, then the shorter of the long ones, whole.
            let place = |wanted: usize| parts[0].iter().position(|&position| position == wanted);
            assert!(place(6_149).unwrap() < place(0).unwrap());
        }
    }

    #[test]
    fn uneven_documents_hold_less_out() {
        // A book with a short licence and a short introduction.
        let lengths = [200_000, 9_000, 600];
        for seed in 0..20 {
            let [train, validation, test] = share(&config(64, None, None), &lengths, seed).unwrap();
            assert_eq!(train.len(), DEFAULT_UNIQUE);
            assert_eq!(validation.len(), test.len());
            assert!((128..=600).contains(&test.len()), "{}", test.len());
        }
        let error = share(&config(64, None, None), &[1_000, 10, 10], 1).unwrap_err();
        assert_eq!(
            format!("{error} / {}", error.hint().unwrap()),
            "the text has 1020 tokens in 3 documents, too few or of too uneven length to hold whole ones out in \
             windows of 64 / give more documents, or join them to one file: one text is cut by position; `--length 4` \
             fits too"
        );
    }

    #[test]
    fn defaults_follow_the_size_of_the_text() {
        let sizes = |tokens: usize, length| {
            let text = vec![b'a'; tokens];
            let parts = cut(&config(length, None, None), &text).unwrap();
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
            tokenizer: Some("char".to_owned()),
            ..config(2, Some(2), Some(2))
        };
        let parts = cut(&config, b"aabbccdd").unwrap();
        assert_eq!(parts.tokenizer.vocab_size(), 5);
        assert_eq!(parts.test, [3, 3]);
    }

    #[test]
    fn two_documents_are_one_text_with_an_end_between() {
        let text = format!("first part\n{DOCUMENT_END}\nsecond part");
        let config = config(2, Some(12), Some(4));
        let parts = cut(&config, text.as_bytes()).unwrap();
        let end = parts.tokenizer.end_of_text().unwrap();
        let mut expected = parts.tokenizer.encode("first part").unwrap();
        expected.push(end);
        expected.push(u32::from(b's'));
        assert_eq!(parts.train.to_vec(), expected);
        assert_eq!(parts.test, parts.tokenizer.encode("part").unwrap());
    }

    #[test]
    fn refusals_say_what_would_fit() {
        let refused = |config: CorpusConfig, tokens: usize| {
            let error = cut(&config, &vec![b'a'; tokens]).err().unwrap();
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

//! Learns a byte-level BPE vocabulary, by the trainer of `tokenizers`.

use std::collections::btree_map::{BTreeMap, Entry};

use serde_json::Value;
use tokenizers::models::bpe::{BPE, BpeTrainer};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::{OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer};

use super::pieces::pieces;
use crate::error::{Error, Result};
use crate::platform;

/// So many bytes of different words are counted; words that are first seen later are not. Learning needs many times as
/// much memory, and what is new after so much text is rare.
const MOST_WORD_BYTES: usize = 64 << 20;

/// So many documents are read before their words are found, at the same time.
const BATCH: usize = 16;

/// The fewest places that make a pair worth an id.
const FEWEST: u64 = 2;

/// How often each word occurs, in the characters that stand for its bytes. The order decides which words there is room
/// for, so it is a fixed one.
type Words = BTreeMap<String, u64>;

/// The `tokenizer.json` of a vocabulary of at most `ids` ids, learnt from these documents on the words of GPT-2. What is
/// no UTF-8 belongs to no word.
///
/// # Errors
/// Those of the documents.
pub(super) fn learn<Document: AsRef<[u8]>>(
    ids: usize,
    documents: impl IntoIterator<Item = Result<Document>>,
) -> Result<Value> {
    let in_bytes = ByteLevel::new(false, true, true);
    let words = count_words(&in_bytes, documents)?;
    let trainer = BpeTrainer::builder()
        .show_progress(false)
        .vocab_size(ids)
        .min_frequency(FEWEST)
        .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
        .build();
    let mut model = BPE::default();
    let words = words.into_iter().map(|(word, times)| (word.into(), times));
    trainer
        .do_train(&words.collect(), &mut model)
        .map_err(failed)?;
    let mut library = tokenizers::Tokenizer::new(model);
    library
        .with_pre_tokenizer(Some(in_bytes))
        .with_decoder(Some(in_bytes));
    serde_json::to_value(&library).map_err(|error| failed(error.into()))
}

fn failed(error: tokenizers::Error) -> Error {
    Error::work("no vocabulary can be learnt from this text").with_source(error)
}

fn count_words<Document: AsRef<[u8]>>(
    in_bytes: &ByteLevel,
    documents: impl IntoIterator<Item = Result<Document>>,
) -> Result<Words> {
    let (mut words, mut size) = (Words::new(), 0);
    let mut documents = documents.into_iter();
    loop {
        let batch = documents.by_ref().take(BATCH).collect::<Result<Vec<_>>>()?;
        if batch.is_empty() {
            return Ok(words);
        }
        let parts = batch.iter().flat_map(|document| pieces(document.as_ref()));
        for found in platform::in_parallel(parts.collect(), |piece| words_of(in_bytes, piece)) {
            for (word, times) in found.map_err(failed)? {
                add(&mut words, &mut size, word, times);
            }
        }
    }
}

/// Counts a word, unless it is new and there are too many.
fn add(words: &mut Words, size: &mut usize, word: String, times: u64) {
    let length = word.len();
    match words.entry(word) {
        Entry::Occupied(mut entry) => *entry.get_mut() += times,
        Entry::Vacant(entry) if *size + length <= MOST_WORD_BYTES => {
            *size += length;
            entry.insert(times);
        }
        Entry::Vacant(_) => {}
    }
}

fn words_of(in_bytes: &ByteLevel, piece: &[u8]) -> tokenizers::Result<Words> {
    let mut words = Words::new();
    for chunk in piece.utf8_chunks() {
        let mut text = PreTokenizedString::from(chunk.valid());
        in_bytes.pre_tokenize(&mut text)?;
        for (word, ..) in text.get_splits(OffsetReferential::Original, OffsetType::None) {
            match words.get_mut(word) {
                Some(times) => *times += 1,
                None => drop(words.insert(word.to_owned(), 1)),
            }
        }
    }
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted<Document: AsRef<[u8]>>(
        documents: impl IntoIterator<Item = Result<Document>>,
    ) -> Result<Words> {
        count_words(&ByteLevel::new(false, true, true), documents)
    }

    #[test]
    fn the_most_frequent_pair_comes_first_and_rare_ones_never() {
        let merges = |text: &str, ids| learn(ids, [Ok(text)]).unwrap()["model"]["merges"].clone();
        assert_eq!(
            merges("low low low lower lowest xyz", 1_000),
            serde_json::json!([["l", "o"], ["lo", "w"], ["Ġ", "low"], ["Ġlow", "e"]])
        );
        assert_eq!(merges("low low low", 257).as_array().unwrap().len(), 1);
    }

    #[test]
    fn words_are_counted_over_documents_and_not_across() {
        let documents = ["a b", "b a", "\u{e9}"].map(str::as_bytes).into_iter();
        let documents = documents.chain([&b"a\xFFa"[..]]).map(Ok);
        let words = counted(documents).unwrap();
        let expected = [("a", 3), ("b", 1), ("Ã©", 1), ("Ġa", 1), ("Ġb", 1)];
        assert_eq!(
            words,
            expected
                .map(|(word, times)| (word.to_owned(), times))
                .into()
        );
        assert!(counted([Ok("a"), Err(Error::work("gone"))]).is_err());
    }

    #[test]
    fn new_words_are_counted_while_there_is_room() {
        let (mut words, mut size) = (Words::new(), MOST_WORD_BYTES - 5);
        for word in ["abc", "def", "gh", "abc"] {
            add(&mut words, &mut size, word.to_owned(), 2);
        }
        let times = |word: &str| words.get(word).copied();
        assert_eq!(
            (times("abc"), times("def"), times("gh")),
            (Some(4), None, Some(2))
        );
        assert_eq!(size, MOST_WORD_BYTES);
    }

    #[test]
    fn ties_are_broken_the_same_way_each_time() {
        // Few letters make many pairs equally frequent, and the same token by different merges.
        let mut state = 1_u32;
        let mut letter = |_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            ['a', 'b', ' '][(state >> 16) as usize % 3]
        };
        for _ in 0..50 {
            let text: String = (0..400).map(&mut letter).collect();
            let [once, twice] = [(); 2].map(|()| learn(600, [Ok(&text)]).unwrap());
            assert_eq!(once, twice, "{text}");
        }
    }
}

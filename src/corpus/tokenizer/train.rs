//! Learns the merges of a byte-level BPE vocabulary.
//!
//! Our own, because the library's counts pairs in 32 bits and walks through a whole word for each merge in it, and a
//! text without spaces is one word. This one goes from one place of a pair to the next.

use std::cmp::Reverse;
use std::collections::hash_map::Entry;
use std::collections::{BinaryHeap, HashMap, HashSet};

use super::pieces::pieces;
use super::words::WordFinder;
use crate::error::Result;
use crate::platform;

/// So many bytes of different words are counted; words that are first seen later are not. Learning needs about thirty
/// times as much memory, and what is new after so much text is rare.
const MOST_WORD_BYTES: usize = 64 << 20;

/// Documents are read until there are so many bytes, whose words are found at the same time.
const BATCH: usize = 4 << 20;

/// The fewest places that make a pair worth an id.
const FEWEST: u64 = 2;

/// How often each word occurs.
pub(super) type Words = HashMap<Box<[u8]>, u64>;

/// Finds and counts the words of all documents. What is no UTF-8 belongs to no word.
///
/// # Errors
/// Those of the documents.
pub(super) fn count_words<Document: AsRef<[u8]>>(
    finder: &WordFinder,
    documents: impl IntoIterator<Item = Result<Document>>,
) -> Result<Words> {
    let mut words = Words::new();
    let mut size = 0;
    let mut batch: Vec<Document> = Vec::new();
    let mut bytes = 0;
    let mut count = |batch: &mut Vec<Document>| {
        let parts = batch.iter().flat_map(|document| pieces(document.as_ref()));
        for found in platform::in_parallel(parts.collect(), |piece| words_of(finder, piece)) {
            for (word, times) in found {
                add(&mut words, &mut size, word, times);
            }
        }
        batch.clear();
    };
    for document in documents {
        let document = document?;
        bytes += document.as_ref().len();
        batch.push(document);
        if bytes >= BATCH {
            count(&mut batch);
            bytes = 0;
        }
    }
    count(&mut batch);
    Ok(words)
}

/// Counts a word, unless it is new and there are too many.
fn add(words: &mut Words, size: &mut usize, word: Box<[u8]>, times: u64) {
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

/// The words of a piece, in a fixed order.
fn words_of(finder: &WordFinder, piece: &[u8]) -> Vec<(Box<[u8]>, u64)> {
    let mut words: HashMap<&str, u64> = HashMap::new();
    for chunk in piece.utf8_chunks() {
        for word in finder.words(chunk.valid()) {
            *words.entry(word).or_default() += 1;
        }
    }
    let mut words: Vec<_> = words.into_iter().collect();
    words.sort_unstable();
    let owned = |(word, times): (&str, u64)| (word.as_bytes().into(), times);
    words.into_iter().map(owned).collect()
}

/// What was learnt.
pub(super) struct Learnt {
    /// What each id stands for; the first 256 are the bytes.
    pub tokens: Vec<Vec<u8>>,
    /// The pairs in the order in which they are merged.
    pub merges: Vec<(u32, u32)>,
}

type Pair = (u32, u32);

/// Merges the most frequent pair of neighbours again and again, until there are `ids` ids or no pair occurs twice.
pub(super) fn learn(words: &Words, ids: usize) -> Learnt {
    let mut tokens: Vec<Vec<u8>> = (0..=u8::MAX).map(|byte| vec![byte]).collect();
    let mut known: HashMap<Vec<u8>, u32> = tokens.iter().cloned().zip(0..).collect();
    let mut merges = Vec::new();
    let mut learnt = HashSet::new();
    let mut text = Text::new(words);
    // Of every pair, at least one entry is as high as the pair is frequent; lower ones and higher ones are old.
    let mut queue: BinaryHeap<(u64, Reverse<Pair>)> = text
        .pairs
        .iter()
        .map(|(pair, found)| (found.times, Reverse(*pair)))
        .collect();
    while tokens.len() < ids
        && let Some((times, Reverse(pair))) = queue.pop()
    {
        let now = text.times(pair);
        if now < FEWEST {
            continue;
        }
        if now != times {
            queue.push((now, Reverse(pair)));
            continue;
        }
        let merged = [pair.0, pair.1]
            .map(|id| tokens[id as usize].as_slice())
            .concat();
        // Two merges may make the same token: `aa` and `a`, `a` and `aa`.
        let id = *known.entry(merged).or_insert_with_key(|merged| {
            tokens.push(merged.clone());
            tokens.len() as u32 - 1
        });
        if learnt.insert(pair) {
            merges.push(pair);
        }
        for grown in text.merge(pair, id) {
            queue.push((text.times(grown), Reverse(grown)));
        }
    }
    Learnt { tokens, merges }
}

/// All different words, cut into tokens.
struct Text {
    /// The words one behind the other, a place for each byte. A merged token keeps its first.
    places: Vec<Place>,
    /// How often each word occurs.
    word_times: Vec<u64>,
    pairs: HashMap<Pair, Occurrences>,
}

#[derive(Clone, Copy)]
struct Place {
    /// `NONE` where another place's token covers this one.
    token: u32,
    /// The places of the neighbours in the word.
    before: u32,
    behind: u32,
    word: u32,
}

/// No place and no token: [`MOST_WORD_BYTES`] is less.
const NONE: u32 = u32::MAX;

/// A pair of neighbours.
#[derive(Default)]
struct Occurrences {
    times: u64,
    /// Where its left half is, or once was; the same place may be there twice.
    places: Vec<u32>,
}

impl Text {
    fn new(words: &Words) -> Self {
        let mut text = Self {
            places: Vec::with_capacity(words.keys().map(|word| word.len()).sum()),
            word_times: Vec::with_capacity(words.len()),
            pairs: HashMap::new(),
        };
        for (word, &times) in words {
            let begin = text.places.len();
            for (offset, &byte) in word.iter().enumerate() {
                let place = (begin + offset) as u32;
                text.places.push(Place {
                    token: byte.into(),
                    before: if offset == 0 { NONE } else { place - 1 },
                    behind: if offset + 1 == word.len() {
                        NONE
                    } else {
                        place + 1
                    },
                    word: text.word_times.len() as u32,
                });
            }
            text.word_times.push(times);
            for (place, pair) in (begin as u32..).zip(word.windows(2)) {
                text.more((pair[0].into(), pair[1].into()), place, times);
            }
        }
        text
    }

    fn times(&self, pair: Pair) -> u64 {
        self.pairs.get(&pair).map_or(0, |found| found.times)
    }

    fn more(&mut self, pair: Pair, place: u32, times: u64) {
        let found = self.pairs.entry(pair).or_default();
        found.times += times;
        found.places.push(place);
    }

    fn less(&mut self, pair: Pair, times: u64) {
        if let Entry::Occupied(mut found) = self.pairs.entry(pair) {
            found.get_mut().times -= times;
            if found.get().times == 0 {
                found.remove();
            }
        }
    }

    /// Makes one token of this pair wherever it occurs, from left to right in every word, and returns the pairs that
    /// became more frequent.
    fn merge(&mut self, pair: Pair, merged: u32) -> Vec<Pair> {
        // Taken out, so that what happens to it meanwhile is not counted: afterwards it occurs nowhere.
        let mut places = self.pairs.remove(&pair).unwrap_or_default().places;
        places.sort_unstable();
        let mut grown = HashSet::new();
        for place in places {
            let left = self.places[place as usize];
            if left.token != pair.0 || left.behind == NONE {
                continue;
            }
            let right = self.places[left.behind as usize];
            if right.token != pair.1 {
                continue;
            }
            let times = self.word_times[left.word as usize];
            if left.before != NONE {
                let before = self.places[left.before as usize].token;
                self.less((before, left.token), times);
                self.more((before, merged), left.before, times);
                grown.insert((before, merged));
            }
            if right.behind != NONE {
                let behind = self.places[right.behind as usize].token;
                self.less((right.token, behind), times);
                self.more((merged, behind), place, times);
                grown.insert((merged, behind));
                self.places[right.behind as usize].before = place;
            }
            self.places[left.behind as usize].token = NONE;
            self.places[place as usize].token = merged;
            self.places[place as usize].behind = right.behind;
        }
        grown.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
    use proptest::prelude::*;

    fn words(text: &str) -> Words {
        count_words(&WordFinder::gpt_2().unwrap(), [Ok(text)]).unwrap()
    }

    /// Counts all pairs anew for each merge, and merges them word by word.
    fn learn_slowly(words: &Words, ids: usize) -> Learnt {
        let mut tokens: Vec<Vec<u8>> = (0..=u8::MAX).map(|byte| vec![byte]).collect();
        let mut merges: Vec<Pair> = Vec::new();
        let mut cut: Vec<(Vec<u32>, u64)> = words
            .iter()
            .map(|(word, &times)| (word.iter().copied().map(u32::from).collect(), times))
            .collect();
        while tokens.len() < ids {
            let mut counts: HashMap<Pair, u64> = HashMap::new();
            for (word, times) in &cut {
                for pair in word.windows(2) {
                    *counts.entry((pair[0], pair[1])).or_default() += times;
                }
            }
            let best = counts
                .into_iter()
                .max_by_key(|&(pair, times)| (times, Reverse(pair)));
            let Some((pair, _)) = best.filter(|&(_, times)| times >= FEWEST) else {
                break;
            };
            let merged = [pair.0, pair.1]
                .map(|id| tokens[id as usize].as_slice())
                .concat();
            let known = tokens.iter().position(|token| *token == merged);
            let id = known.unwrap_or(tokens.len()) as u32;
            if known.is_none() {
                tokens.push(merged);
            }
            if !merges.contains(&pair) {
                merges.push(pair);
            }
            for (word, _) in &mut cut {
                let mut place = 0;
                while place + 1 < word.len() {
                    if (word[place], word[place + 1]) == pair {
                        word.splice(place..place + 2, [id]);
                    }
                    place += 1;
                }
            }
        }
        Learnt { tokens, merges }
    }

    proptest! {
        #[test]
        fn learning_agrees_with_counting_anew(text in "[ab ]{0,60}|[a-c]{0,80}|a{0,40}|\\PC{0,40}", more in 0_usize..40) {
            let words = words(&text);
            let (learnt, slowly) = (learn(&words, 256 + more), learn_slowly(&words, 256 + more));
            prop_assert_eq!(learnt.merges, slowly.merges);
            prop_assert_eq!(learnt.tokens, slowly.tokens);
        }
    }

    #[test]
    fn the_most_frequent_pair_comes_first_and_rare_ones_never() {
        let learnt = learn(&words("low low low lower lowest xyz"), 1_000);
        let tokens: Vec<&str> = learnt.tokens[256..]
            .iter()
            .map(|token| std::str::from_utf8(token).unwrap())
            .collect();
        assert_eq!(tokens, ["lo", "low", " low", " lowe"]);
        assert_eq!(learn(&words("low low low"), 257).tokens.len(), 257);
    }

    #[test]
    fn words_are_counted_over_documents_and_not_across() {
        let documents = ["a b", "b a", "\u{e9}"].map(str::as_bytes).into_iter();
        let documents = documents.chain([&b"a\xFFa"[..]]).map(Ok);
        let counted = count_words(&WordFinder::gpt_2().unwrap(), documents).unwrap();
        let times = |word: &str| counted.get(word.as_bytes()).copied();
        assert_eq!(
            (times("a"), times(" a"), times("b"), times(" b")),
            (Some(3), Some(1), Some(1), Some(1))
        );
        assert_eq!((times("é"), counted.len()), (Some(1), 5));
        let unreadable = [Ok("a"), Err(Error::work("gone"))];
        assert!(count_words(&WordFinder::gpt_2().unwrap(), unreadable).is_err());
    }

    #[test]
    fn new_words_are_counted_while_there_is_room() {
        let (mut counted, mut size) = (Words::new(), MOST_WORD_BYTES - 5);
        for word in ["abc", "def", "gh", "abc"] {
            add(&mut counted, &mut size, word.as_bytes().into(), 2);
        }
        let times = |word: &str| counted.get(word.as_bytes()).copied();
        assert_eq!(
            (times("abc"), times("def"), times("gh")),
            (Some(4), None, Some(2))
        );
        assert_eq!(size, MOST_WORD_BYTES);
    }

    #[test]
    fn a_word_without_end_is_learnt_in_time() {
        // A walk through the whole word for each of the merges would take minutes.
        let mut state = 1_u32;
        let letters = std::iter::repeat_with(|| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            char::from(b'a' + (state >> 24) as u8 % 20)
        });
        let text: String = letters.take(200_000).collect();
        assert_eq!(learn(&words(&text), 3_000).tokens.len(), 3_000);
    }
}

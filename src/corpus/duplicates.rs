//! Near-duplicates: documents that share most of what they say.
//!
//! Two documents are compared by their shingles, runs of a few characters: the Jaccard similarity of the two sets is
//! Broder's resemblance (Broder 1997, "On the resemblance and containment of documents"). A [`Sketch`] keeps the least
//! hash of each of 128 classes of shingles (one-permutation MinHash: Li, Owen and Zhang 2012, arXiv 1208.1259; empty
//! classes borrow from the next: Shrivastava and Li 2014, arXiv 1406.4784), so it costs one hash a character, and the
//! share of classes in which two sketches agree estimates the similarity with a standard error of at most .045. Bands
//! of eight classes find candidates: two documents of similarity s share one of the 16 bands with probability
//! 1 - (1 - s^8)^16, which is .95 for .8 and .06 for .5.
//!
//! The same documents give the same figures everywhere: nothing is drawn.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use super::Tokenizer;
use super::store::{TokenStore, Tokens};
use crate::error::Result;
use crate::platform;

/// Estimated similarity from which on documents are near-duplicates.
pub const NEAR: f64 = 0.8;

/// Characters in a shingle: long enough that most shingles of a language are rare.
const SHINGLE: usize = 9;

/// Least hashes in a sketch.
const CLASSES: usize = 128;

/// Classes in a band.
const BAND: usize = 8;

/// Documents in a band's bucket that another is compared with: many unlike ones in one bucket are an accident.
const BUCKET: usize = 8;

/// Documents that [`NearDuplicates`] compares at most: their sketches are held in memory.
pub const MOST_COMPARED: usize = 1 << 17;

/// Examples that it keeps.
const EXAMPLES: usize = 5;

/// Bytes of a document that [`NearDuplicates`] reads at most.
pub(super) const MOST_BYTES: usize = 4 << 20;

/// Documents sketched at once, over all threads.
const BATCH: usize = 512;

/// Training tokens that a run compares with what is held out, at most: a few seconds' work.
const MOST_TOKENS: usize = 1 << 26;

/// Marks a class that no shingle fell into. A hash that happens to be this is taken for the next smaller.
const EMPTY: u32 = u32::MAX;

/// A document in 512 bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Sketch([u32; CLASSES]);

impl Sketch {
    /// The sketch of a text; runs of white space count as one space. A text shorter than a shingle is one.
    fn of(text: &str) -> Self {
        // A polynomial in the last characters, kept up to date as they pass.
        const BASE: u64 = 0x9E37_79B9_7F4A_7C15;
        let leaving = (0..SHINGLE).fold(1_u64, |power, _| power.wrapping_mul(BASE));
        let mut classes = [EMPTY; CLASSES];
        let mut add = |polynomial: u64| {
            let hash = mix(polynomial);
            let class = (hash >> 32) as usize % CLASSES;
            classes[class] = classes[class].min((hash as u32).min(EMPTY - 1));
        };
        let mut window = [0_u64; SHINGLE];
        let (mut polynomial, mut seen) = (0_u64, 0_usize);
        let mut in_space = false;
        for character in text.chars() {
            let space = character.is_whitespace();
            if space && std::mem::replace(&mut in_space, true) {
                continue;
            }
            in_space = space;
            let code = if space { ' ' } else { character } as u64 + 1;
            let oldest = std::mem::replace(&mut window[seen % SHINGLE], code);
            polynomial = polynomial
                .wrapping_mul(BASE)
                .wrapping_add(code)
                .wrapping_sub(oldest.wrapping_mul(leaving));
            seen += 1;
            if seen >= SHINGLE {
                add(polynomial);
            }
        }
        if seen < SHINGLE {
            add(polynomial);
        }
        Self(filled(classes))
    }

    /// Estimated Jaccard similarity of two documents' shingles.
    fn similarity(&self, other: &Self) -> f64 {
        let equal = self.0.iter().zip(&other.0).filter(|(a, b)| a == b).count();
        equal as f64 / CLASSES as f64
    }

    /// A key for each band: equal where the band's classes are.
    fn bands(&self) -> impl Iterator<Item = u64> {
        self.0.chunks(BAND).zip(0_u64..).map(|(band, number)| {
            band.iter()
                .fold(mix(number), |key, &class| mix(key ^ u64::from(class)))
        })
    }
}

/// Lets each empty class borrow from the next one that isn't, marked by how far it is.
fn filled(classes: [u32; CLASSES]) -> [u32; CLASSES] {
    std::array::from_fn(|class| {
        (0..CLASSES as u32)
            .map(|away| (classes[(class + away as usize) % CLASSES], away))
            .find(|(hash, _)| *hash != EMPTY)
            .map_or(EMPTY, |(hash, away)| match away {
                0 => hash,
                away => mix(u64::from(hash) << 32 | u64::from(away)) as u32,
            })
    })
}

/// A bijection that spreads every bit over all others (the finaliser of SplitMix64: Steele, Lea and Flood 2014).
fn mix(value: u64) -> u64 {
    let value = (value ^ value >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let value = (value ^ value >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ value >> 31
}

/// Sketches by their bands.
#[derive(Debug, Default)]
struct Index {
    sketches: Vec<Sketch>,
    buckets: HashMap<u64, Vec<u32>>,
}

impl Index {
    fn insert(&mut self, sketch: Sketch) {
        let number = self.sketches.len() as u32;
        for band in sketch.bands() {
            let bucket = self.buckets.entry(band).or_default();
            if bucket.len() < BUCKET {
                bucket.push(number);
            }
        }
        self.sketches.push(sketch);
    }

    /// Every near-duplicate that shares a band, with its similarity.
    fn similar<'a>(&'a self, sketch: &'a Sketch) -> impl Iterator<Item = (usize, f64)> + 'a {
        sketch
            .bands()
            .filter_map(|band| self.buckets.get(&band))
            .flatten()
            .map(|&number| {
                let number = number as usize;
                (number, self.sketches[number].similarity(sketch))
            })
            .filter(|(_, similarity)| *similarity >= NEAR)
    }

    fn most_similar(&self, sketch: &Sketch) -> Option<(usize, f64)> {
        self.similar(sketch)
            .max_by(|a, b| a.1.total_cmp(&b.1).then(b.0.cmp(&a.0)))
    }
}

/// How many documents say nearly the same as an earlier one.
#[derive(Debug, Clone, PartialEq)]
pub struct NearDuplicates {
    /// Documents that were compared: the first so many.
    pub compared: usize,
    /// Documents that are near-duplicates of an earlier one.
    pub documents: usize,
    /// Earlier documents that have near-duplicates.
    pub groups: usize,
    /// The clearest pairs.
    pub examples: Vec<NearPair>,
}

/// Two documents that say nearly the same.
#[derive(Debug, Clone, PartialEq)]
pub struct NearPair {
    /// What the earlier document is called.
    pub first: String,
    /// What the later one is called.
    pub second: String,
    /// Estimated Jaccard similarity.
    pub similarity: f64,
}

impl NearDuplicates {
    /// Compares each document with those before it that are no near-duplicates themselves; `name` says what the n-th is
    /// called.
    ///
    /// # Errors
    /// Those of reading the documents.
    pub(super) fn among(
        documents: impl Iterator<Item = Result<String>>,
        name: impl Fn(usize) -> String,
    ) -> Result<Self> {
        let mut found = Self {
            compared: 0,
            documents: 0,
            groups: 0,
            examples: Vec::new(),
        };
        let mut clearest: Vec<(usize, usize, f64)> = Vec::new();
        let mut index = Index::default();
        // The document that each sketch in the index is of, and whether it has near-duplicates.
        let mut leaders: Vec<(usize, bool)> = Vec::new();
        let mut documents = documents.take(MOST_COMPARED);
        loop {
            let batch = documents.by_ref().take(BATCH).collect::<Result<Vec<_>>>()?;
            if batch.is_empty() {
                break;
            }
            for sketch in platform::in_parallel(batch, |text: String| Sketch::of(&text)) {
                let number = found.compared;
                found.compared += 1;
                let Some((leader, similarity)) = index.most_similar(&sketch) else {
                    leaders.push((number, false));
                    index.insert(sketch);
                    continue;
                };
                found.documents += 1;
                let (first, has_any) = &mut leaders[leader];
                found.groups += usize::from(!std::mem::replace(has_any, true));
                clearest.push((*first, number, similarity));
                clearest.sort_by(|a, b| b.2.total_cmp(&a.2));
                clearest.truncate(EXAMPLES);
            }
        }
        found.examples = clearest
            .into_iter()
            .map(|(first, second, similarity)| NearPair {
                first: name(first),
                second: name(second),
                similarity,
            })
            .collect();
        Ok(found)
    }
}

/// What a person should know before trusting a held-out loss: how many of the documents behind it were nearly trained
/// on. Ranges are of a store, a document each.
pub(super) fn notice(
    store: &Arc<TokenStore>,
    tokenizer: &Tokenizer,
    held_out: &[Range<usize>],
    train: &[Range<usize>],
) -> Option<String> {
    let sketch = |range: &Range<usize>| {
        let view = Tokens::new(Arc::clone(store), [range.clone()]);
        Sketch::of(&String::from_utf8_lossy(
            &tokenizer.decode_bytes(&view.to_vec()),
        ))
    };
    let parallel = |ranges: &[Range<usize>]| {
        let chunks: Vec<_> = ranges.chunks(BATCH / 8).collect();
        let sketches = platform::in_parallel(chunks, |chunk: &[Range<usize>]| {
            chunk.iter().map(sketch).collect::<Vec<_>>()
        });
        sketches.into_iter().flatten()
    };
    let mut index = Index::default();
    for sketch in parallel(held_out) {
        index.insert(sketch);
    }
    let mut near = vec![false; held_out.len()];
    let (mut compared, mut rest) = (0, train);
    while !rest.is_empty() && compared < MOST_TOKENS {
        let (now, later) = rest.split_at(rest.len().min(BATCH));
        for sketch in parallel(now) {
            for (number, _) in index.similar(&sketch) {
                near[number] = true;
            }
        }
        compared += now.iter().map(Range::len).sum::<usize>();
        rest = later;
    }
    let found = near.iter().filter(|near| **near).count();
    let of = match rest.is_empty() {
        true => "training documents".to_owned(),
        false => format!("the first {compared} training tokens"),
    };
    (found > 0).then(|| {
        format!(
            "{found} of {} held-out documents are near-duplicates of {of} (estimated Jaccard similarity {NEAR} or \
             more): their loss may flatter a model that remembers",
            held_out.len()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Purpose, Stream};
    use std::collections::HashSet;

    /// Letters that are drawn.
    fn noise(seed: u64, length: usize) -> Vec<char> {
        let mut stream = Stream::new(seed, Purpose::Source, 0, 0);
        let letter = |_| char::from(b'a' + stream.below(26) as u8);
        (0..length).map(letter).collect()
    }

    fn jaccard(one: &[char], two: &[char]) -> f64 {
        let shingles = |text: &[char]| -> HashSet<Vec<char>> {
            text.windows(SHINGLE).map(<[char]>::to_vec).collect()
        };
        let (one, two) = (shingles(one), shingles(two));
        one.intersection(&two).count() as f64 / one.union(&two).count() as f64
    }

    fn sketch(text: &[char]) -> Sketch {
        Sketch::of(&text.iter().collect::<String>())
    }

    #[test]
    fn sketches_estimate_the_jaccard_similarity() {
        for (length, kept) in [
            (2_000, 1_900),
            (2_000, 1_500),
            (400, 380),
            (60, 55),
            (30_000, 9_000),
        ] {
            let trials = 40;
            let (mut sum, mut exact) = (0.0, 0.0);
            for seed in 0..trials {
                let one = noise(seed, length);
                let mut two = one.clone();
                two.splice(kept.., noise(1_000 + seed, length - kept));
                sum += sketch(&one).similarity(&sketch(&two));
                exact += jaccard(&one, &two);
            }
            let (estimate, exact) = (sum / trials as f64, exact / trials as f64);
            // Five standard errors; borrowed classes of short texts go together, which triples the variance.
            let error = (exact * (1.0 - exact) * 3.0 / (CLASSES as f64 * trials as f64)).sqrt();
            assert!(
                (estimate - exact).abs() < 5.0 * error + 0.01,
                "{length}: {estimate} {exact}"
            );
        }
    }

    #[test]
    fn white_space_and_its_amount_do_not_matter() {
        let one = "fn main() {\n    println!(\"hello, world\");\n}\n";
        let two = "fn main() {\r\n\tprintln!(\"hello, world\");\r\n}\r\n";
        assert_eq!(Sketch::of(one), Sketch::of(two));
        assert_eq!(Sketch::of("short"), Sketch::of("short"));
        assert_ne!(Sketch::of("short"), Sketch::of("shirt"));
    }

    #[test]
    fn a_sketch_is_the_same_on_every_machine() {
        let sketch = Sketch::of("To be, or not to be: that is the question. Ä 漢字");
        let bands: Vec<u64> = sketch.bands().take(2).collect();
        assert_eq!(bands, GOLDEN);
    }

    const GOLDEN: [u64; 2] = [4_280_185_128_663_941_037, 11_876_775_364_708_801_089];

    #[test]
    fn near_duplicates_are_grouped_with_the_first_of_their_kind() {
        let text = |letters: Vec<char>| -> String { letters.into_iter().collect() };
        let changed = |seed: u64, at: usize| {
            let mut letters = noise(seed, 3_000);
            letters[at..at + 30].fill('-');
            text(letters)
        };
        let documents = [
            text(noise(1, 3_000)),
            text(noise(2, 3_000)),
            changed(1, 100),
            text(noise(3, 3_000)),
            changed(2, 700),
            changed(1, 2_000),
        ];
        let found = NearDuplicates::among(documents.into_iter().map(Ok), |number| {
            format!("text {number}")
        })
        .unwrap();
        assert_eq!((found.compared, found.documents, found.groups), (6, 3, 2));
        let mut pairs: Vec<(&str, &str)> = found
            .examples
            .iter()
            .map(|pair| (pair.first.as_str(), pair.second.as_str()))
            .collect();
        pairs.sort_unstable();
        assert_eq!(
            pairs,
            [
                ("text 0", "text 2"),
                ("text 0", "text 5"),
                ("text 1", "text 4")
            ]
        );
        assert!(found.examples.iter().all(|pair| pair.similarity >= NEAR));
    }
}

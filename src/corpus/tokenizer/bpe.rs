//! Byte-level BPE: in each word of a text, neighbours are merged, starting from bytes, in the order in which the merges
//! were learnt.
//!
//! The work is done by Hugging Face's `tokenizers`. It takes text, and a document may be any bytes: what is no UTF-8 gets
//! the ids of its bytes.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use super::file::{self, Contents, MOST_IDS};
use super::train;
use crate::error::{Error, Result};

/// A byte-level BPE vocabulary and its merges; cheap to clone.
#[derive(Clone)]
pub struct Bpe(Arc<Loaded>);

struct Loaded {
    file: Value,
    contents: Contents,
}

impl Bpe {
    /// Learns a vocabulary of at most `ids` ids from all these documents; the first 256 are the bytes, in the order of
    /// GPT-2.
    ///
    /// The most frequent pair of neighbours in words is merged first (of equally frequent ones that with the smaller
    /// ids), until there are enough ids or no pair occurs twice. Memory goes to the different words, and a text has no end
    /// of those: what is new after 64 MiB of different words is not counted. The library counts pairs in 32 bits: a pair
    /// must not occur 2^31 times.
    ///
    /// # Errors
    /// Those of the documents, and when `ids` is less than 256 or more than 2^20.
    pub fn train<Document: AsRef<[u8]>>(
        ids: usize,
        documents: impl IntoIterator<Item = Result<Document>>,
    ) -> Result<Self> {
        check_size(ids)?;
        Self::from_value(train::learn(ids, documents)?)
    }

    /// Reads a `tokenizer.json`.
    ///
    /// # Errors
    /// When it is something else, or a tokenizer that doesn't bring back every text.
    pub fn from_file(file: &[u8]) -> Result<Self> {
        Self::from_value(file::parse(file)?)
    }

    /// Reads a `tokenizer.json` that is parsed already.
    ///
    /// # Errors
    /// Those of [`Bpe::from_file`].
    pub(super) fn from_value(mut file: Value) -> Result<Self> {
        let contents = file::read(&mut file)?;
        Ok(Self(Arc::new(Loaded { file, contents })))
    }

    /// The tokenizer as a `tokenizer.json`, for Hugging Face's libraries.
    ///
    /// # Errors
    /// Never: what could be read can be written.
    pub fn to_file(&self) -> Result<String> {
        serde_json::to_string_pretty(&self.0.file)
            .map_err(|error| Error::work("the tokenizer can't be written").with_source(error))
    }

    /// The same, unwritten.
    pub(super) fn file(&self) -> &Value {
        &self.0.file
    }

    /// How many ids there are.
    pub fn ids(&self) -> u32 {
        self.0.contents.bytes.len() as u32
    }

    /// What an id stands for; nothing where there is no such id.
    pub fn bytes(&self, id: u32) -> &[u8] {
        let bytes = self.0.contents.bytes.get(id as usize);
        bytes.map_or(&[], |bytes| bytes)
    }

    /// The pairs of ids in the order in which they are merged.
    pub fn merges(&self) -> &[(u32, u32)] {
        &self.0.contents.merges
    }

    /// Appends the ids of one piece of a document. What is no UTF-8 gets the ids of its bytes.
    ///
    /// # Errors
    /// When the library has one: never, since every byte has its id.
    pub(super) fn encode(&self, piece: &[u8], ids: &mut Vec<u32>) -> Result<()> {
        let Contents {
            library, byte_ids, ..
        } = &self.0.contents;
        for chunk in piece.utf8_chunks() {
            let found = library.encode_fast(chunk.valid(), false);
            let found = found
                .map_err(|error| Error::work("the text can't be encoded").with_source(error))?;
            ids.extend_from_slice(found.get_ids());
            let broken = chunk.invalid().iter();
            ids.extend(broken.map(|&byte| byte_ids[byte as usize]));
        }
        Ok(())
    }
}

impl fmt::Debug for Bpe {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Bpe")
            .field("ids", &self.ids())
            .field("merges", &self.0.contents.merges.len())
            .finish_non_exhaustive()
    }
}

/// Two are equal when their files are.
impl PartialEq for Bpe {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0.file == other.0.file
    }
}

impl Eq for Bpe {}

impl Serialize for Bpe {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.file.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Bpe {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::from_value(Value::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// The N of `bpe:N`.
pub(super) fn parse_size(size: &str) -> Result<usize> {
    let ids = size.parse().map_err(|_| {
        Error::input(format!("`{size}` in `bpe:{size}` is no number of ids"))
            .with_hint("`bpe:1024` trains a vocabulary of 1024 ids on the text")
    })?;
    check_size(ids).map(|()| ids)
}

fn check_size(ids: usize) -> Result<()> {
    if ids < 256 {
        return Err(Error::input(format!(
            "`bpe:{ids}` has too few ids: each byte needs its own"
        ))
        .with_hint("give at least `bpe:256`"));
    }
    if ids > MOST_IDS {
        return Err(Error::input(format!("`bpe:{ids}` has too many ids"))
            .with_hint(format!("give at most `bpe:{MOST_IDS}`")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::pieces::pieces;
    use super::*;
    use crate::error::Kind;
    use proptest::prelude::*;
    use serde_json::json;

    const TEXT: &str = "the cat in the hat, the rat's 1234 tails\n\n    if (x == 10) { return 2024; }\n\
                        grün, grüner, am grünsten: 漢字漢字 👩\u{200D}🚀👩\u{200D}🚀 ---- ======== aaaa aaaaaaa\n";

    fn trained() -> Bpe {
        Bpe::train(320, [Ok(TEXT.repeat(2))]).unwrap()
    }

    fn sequence(steps: impl IntoIterator<Item = Value>) -> Value {
        let in_bytes = json!({
            "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false
        });
        let parts: Vec<Value> = steps.into_iter().chain([in_bytes]).collect();
        json!({"type": "Sequence", "pretokenizers": parts})
    }

    fn split(pattern: &str, behavior: &str, invert: bool) -> Value {
        json!({"type": "Split", "pattern": {"Regex": pattern}, "behavior": behavior, "invert": invert})
    }

    /// A trained file, changed to look like those of well-known models.
    fn styles() -> Vec<(&'static str, Value)> {
        let words = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
        let digits = json!({"type": "Digits", "individual_digits": true});
        let numbers = json!({"type": "Digits", "individual_digits": false});
        let added = |content: &str, special: bool| {
            json!({
                "id": 0, "content": content, "single_word": false, "lstrip": false, "rstrip": false,
                "normalized": !special, "special": special
            })
        };
        let with = |change: &dyn Fn(&mut Value)| {
            let mut file = trained().0.file.clone();
            change(&mut file);
            file
        };
        vec![
            (
                "gpt-2",
                with(&|file| {
                    let merges = file["model"]["merges"].as_array().unwrap().iter();
                    let pairs = merges.map(|pair| {
                        format!(
                            "{} {}",
                            pair[0].as_str().unwrap(),
                            pair[1].as_str().unwrap()
                        )
                    });
                    file["model"]["merges"] = pairs.collect();
                    file["added_tokens"] = json!([added("<|endoftext|>", true)]);
                }),
            ),
            (
                "gpt-neox",
                with(&|file| {
                    file["added_tokens"] = json!([
                        added("<|padding|>", true),
                        added("    ", false),
                        added("  ", false)
                    ]);
                }),
            ),
            (
                "starcoder",
                with(&|file| {
                    let gpt_2 = json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true});
                    file["pre_tokenizer"] =
                        json!({"type": "Sequence", "pretokenizers": [digits, gpt_2]});
                }),
            ),
            (
                "qwen",
                with(&|file| {
                    file["pre_tokenizer"] = sequence([split(words, "Isolated", false)]);
                    file["added_tokens"] =
                        json!([added("<|im_start|>", true), added("<tool>", false)]);
                }),
            ),
            (
                "llama-3",
                with(&|file| {
                    file["pre_tokenizer"] = sequence([split(words, "Isolated", false)]);
                    file["model"]["ignore_merges"] = true.into();
                    // Tokens that no merge makes, and ids before them that stand for nothing.
                    file["model"]["vocab"]["cat"] = 420.into();
                    file["model"]["vocab"]["Ġhat"] = 421.into();
                }),
            ),
            (
                "gpt-4",
                with(&|file| {
                    file["pre_tokenizer"] = sequence([split(words, "Removed", true)]);
                }),
            ),
            (
                "deepseek",
                with(&|file| {
                    file["pre_tokenizer"] = sequence([
                        split(r"[\r\n]", "Isolated", false),
                        split(r"\s?\p{L}+", "Isolated", false),
                        numbers.clone(),
                    ]);
                }),
            ),
        ]
    }

    fn library(file: &Value) -> tokenizers::Tokenizer {
        let mut library: tokenizers::Tokenizer = serde_json::from_value(file.clone()).unwrap();
        library.set_encode_special_tokens(true);
        library
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn ids_are_those_of_the_library(
            parts in prop::collection::vec(prop::sample::select(vec![
                "the cat", " hat", "it's", "IT'S", "12345", " 7", "grünsten", "漢字", "👩\u{200D}🚀", "    ", "  \n",
                "\r\n", "\t", "====", "aaaaa", "\u{301}", "٣٤", "\u{3000}", "<tool>", "<|endoftext|>", "<|im_start|>", "",
            ]), 0..30),
            noise in "\\PC{0,20}",
        ) {
            let text = parts.concat() + &noise + &parts.concat();
            for (name, file) in styles() {
                let bpe = Bpe::from_value(file.clone()).unwrap();
                let mut ids = Vec::new();
                bpe.encode(text.as_bytes(), &mut ids).unwrap();
                let expected = library(&file).encode_fast(text.as_str(), false).unwrap();
                prop_assert_eq!(&ids[..], expected.get_ids(), "{}: {:?}", name, text);
                let bytes: Vec<u8> = ids.iter().flat_map(|&id| bpe.bytes(id)).copied().collect();
                prop_assert!(bytes == text.as_bytes(), "{name}: {text:?}");
            }
        }
    }

    #[test]
    fn pieces_have_the_ids_of_the_whole_document() {
        let text = [TEXT, "\n\n", TEXT, "\r\n\r\n\n", "no end "]
            .concat()
            .repeat(500);
        let pieces: Vec<&[u8]> = pieces(text.as_bytes()).collect();
        assert!(pieces.len() > 1);
        for (name, file) in styles() {
            let bpe = Bpe::from_value(file).unwrap();
            let (mut whole, mut ids) = (Vec::new(), Vec::new());
            bpe.encode(text.as_bytes(), &mut whole).unwrap();
            for piece in &pieces {
                bpe.encode(piece, &mut ids).unwrap();
            }
            assert!(ids == whole, "{name}");
        }
    }

    #[test]
    fn a_file_comes_back_from_the_library_as_it_was() {
        for (name, file) in styles() {
            let bpe = Bpe::from_value(file).unwrap();
            let written = bpe.to_file().unwrap();
            let again = Bpe::from_file(written.as_bytes()).unwrap();
            assert_eq!(again, bpe, "{name}");
            assert_eq!(again.merges(), bpe.merges(), "{name}");
            assert!(library(&bpe.0.file).get_vocab_size(true) >= 256, "{name}");
        }
        let ours: Value = serde_json::from_str(&trained().to_file().unwrap()).unwrap();
        let theirs: Value = serde_json::to_value(library(&ours)).unwrap();
        assert_eq!(theirs, ours);
    }

    #[test]
    fn training_twice_gives_the_same_file() {
        let [once, twice] = [(); 2].map(|()| trained());
        assert_eq!(once.to_file().unwrap(), twice.to_file().unwrap());
        assert_eq!(once.ids(), 320);
        let mut bytes: Vec<&[u8]> = (0..256).map(|id| once.bytes(id)).collect();
        assert_eq!(bytes[..3].concat(), b"!\"#");
        bytes.sort_unstable();
        assert_eq!(bytes.concat(), (0..=u8::MAX).collect::<Vec<_>>());
        for (id, (left, right)) in (256..).zip(once.merges()) {
            assert_eq!(
                [once.bytes(*left), once.bytes(*right)].concat(),
                once.bytes(id)
            );
        }
    }

    #[test]
    fn special_tokens_are_not_found_in_text() {
        let styles = styles();
        for (name, token, found) in [
            ("gpt-2", "<|endoftext|>", false),
            ("qwen", "<|im_start|>", false),
            ("qwen", "<tool>", true),
            ("gpt-neox", "    ", true),
        ] {
            let file = &styles.iter().find(|(style, _)| *style == name).unwrap().1;
            let bpe = Bpe::from_value(file.clone()).unwrap();
            let id = (0..bpe.ids())
                .rev()
                .find(|&id| bpe.bytes(id) == token.as_bytes())
                .unwrap();
            let mut ids = Vec::new();
            bpe.encode(token.as_bytes(), &mut ids).unwrap();
            assert_eq!(ids == [id], found, "{name}: {token}");
        }
    }

    #[test]
    fn what_changes_the_text_is_left_out() {
        let mut file = trained().0.file.clone();
        file["normalizer"] = json!({"type": "NFC"});
        file["pre_tokenizer"]["add_prefix_space"] = true.into();
        file["truncation"] =
            json!({"direction": "Right", "max_length": 2, "strategy": "LongestFirst", "stride": 0});
        assert_eq!(Bpe::from_value(file).unwrap(), trained());
    }

    #[test]
    fn what_does_not_bring_back_every_text_is_refused() {
        let refused = |reason: &str, change: &dyn Fn(&mut Value)| {
            let mut file = trained().0.file.clone();
            change(&mut file);
            let error = Bpe::from_value(file).unwrap_err();
            assert_eq!(error.kind(), Kind::Input, "{reason}");
            assert!(error.to_string().contains(reason), "{reason}: {error}");
            assert!(error.hint().unwrap().contains("bpe:N"), "{reason}");
        };
        refused("no `tokenizer.json`", &|file| *file = json!([1]));
        refused("no model", &|file| file["model"] = Value::Null);
        refused("`Unigram`, not `BPE`", &|file| {
            file["model"] = json!({"type": "Unigram", "vocab": []})
        });
        refused("normalizer `Lowercase`", &|file| {
            file["normalizer"] = json!({"type": "Lowercase"})
        });
        refused("doesn't end in `ByteLevel`", &|file| {
            file["pre_tokenizer"] = Value::Null
        });
        refused("doesn't end in `ByteLevel`", &|file| {
            file["pre_tokenizer"] = json!({"type": "Metaspace"})
        });
        refused("`Whitespace` is none of", &|file| {
            file["pre_tokenizer"] = sequence([json!({"type": "Whitespace"})]);
        });
        refused("`Removed`, not `Isolated`", &|file| {
            file["pre_tokenizer"] = sequence([split(" ", "Removed", false)]);
        });
        refused("the library `tokenizers` can't read it", &|file| {
            file["pre_tokenizer"] = sequence([split("(", "Isolated", false)]);
        });
        refused("end_of_word_suffix", &|file| {
            file["model"]["end_of_word_suffix"] = "</w>".into()
        });
        refused("dropout", &|file| file["model"]["dropout"] = 0.1.into());
        refused("no `vocab`", &|file| file["model"]["vocab"] = Value::Null);
        refused("no token for the byte 33", &|file| {
            file["model"]["vocab"].as_object_mut().unwrap().remove("!");
        });
        refused("id 40 stands for", &|file| {
            file["model"]["vocab"]["new"] = 40.into()
        });
        refused("an id of 4000000000", &|file| {
            file["model"]["vocab"]["new"] = 4_000_000_000_u32.into()
        });
        refused("`-1` is no id", &|file| {
            file["model"]["vocab"]["new"] = (-1).into()
        });
        refused("no `merges`", &|file| file["model"]["merges"] = Value::Null);
        for merge in [
            json!(["t", "q"]),
            json!("t q"),
            json!("tq"),
            json!(["t"]),
            json!(1),
        ] {
            refused("makes no token", &|file| {
                file["model"]["merges"]
                    .as_array_mut()
                    .unwrap()
                    .push(merge.clone());
            });
        }
        refused("swallows the spaces", &|file| {
            file["added_tokens"] = json!([{
                "id": 0, "content": "<gap>", "single_word": false, "lstrip": true, "rstrip": false,
                "normalized": false, "special": false
            }]);
        });
        refused("the library `tokenizers` can't read it", &|file| {
            file["version"] = "9".into()
        });
        refused("special token `!` is also a word", &|file| {
            file["added_tokens"] = json!([{
                "id": 0, "content": "!", "single_word": false, "lstrip": false, "rstrip": false,
                "normalized": false, "special": true
            }]);
        });
        let error = Bpe::from_file(b"not JSON").unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("this is no `tokenizer.json`: expected"),
            "{error}"
        );
    }
}

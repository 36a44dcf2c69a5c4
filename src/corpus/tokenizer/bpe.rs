//! Byte-level BPE, in the `tokenizer.json` that Hugging Face's `tokenizers` reads and writes.
//!
//! Text is cut into words by a regular expression, and in each word neighbours are merged, starting from bytes, in the
//! order in which the merges were learnt. The library finds words and merges; what an id stands for is our own table.
//!
//! A file that somebody else wrote may do more. What would change the text is left out: NFC normalization and a space
//! before the first word. Tokens that are marked as special are never found in text. Everything else that doesn't
//! bring back every text is refused.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Value, json};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;

use super::train;
use crate::error::{Error, Result};

/// The most ids of a vocabulary: several times what published models use.
const MOST_IDS: usize = 1 << 20;

/// What every tokenizer must give back as it was.
const TRIAL: &str =
    " It's\tre\u{301}sumé №42,\r\n\n    ＡＢＣ 漢字 👩\u{200D}🚀\u{a0}\u{3000}end <s>  \n";

const USE_ANOTHER: &str = "use a byte-level BPE tokenizer (GPT-2, GPT-NeoX and Qwen have one), or let `--tokenizer \
                           bpe:N` train one on the text";

/// A byte-level BPE vocabulary and its merges; cheap to clone.
#[derive(Clone)]
pub struct Bpe(Arc<Loaded>);

struct Loaded {
    library: tokenizers::Tokenizer,
    /// What each id stands for; nothing where the file leaves an id out.
    bytes: Vec<Box<[u8]>>,
    /// The id of each byte by itself.
    byte_ids: [u32; 256],
    /// The pairs in the order in which they are merged.
    merges: Vec<(u32, u32)>,
}

impl Bpe {
    /// Learns a vocabulary of at most `ids` ids from all these documents; the first 256 are the bytes.
    ///
    /// The most frequent pair of neighbours in words is merged first (of equally frequent ones that with the smaller
    /// ids), until there are enough ids or no pair occurs twice. The same documents in the same order give the same
    /// vocabulary on every machine.
    ///
    /// # Errors
    /// Those of the documents, and when `ids` is less than 256 or more than 2^20.
    pub fn train<Document: AsRef<[u8]>>(
        ids: usize,
        documents: impl IntoIterator<Item = Result<Document>>,
    ) -> Result<Self> {
        check_size(ids)?;
        let word_finder = ByteLevel::new(false, true, true);
        let words = train::count_words(&word_finder, documents)?;
        let learnt = train::learn(&words, ids);
        let symbols: Vec<String> = learnt
            .tokens
            .iter()
            .map(|bytes| to_symbols(bytes))
            .collect();
        let merges: Vec<[&str; 2]> = learnt
            .merges
            .iter()
            .map(|&(left, right)| [left, right].map(|id| symbols[id as usize].as_str()))
            .collect();
        let vocab: serde_json::Map<String, Value> = symbols
            .iter()
            .zip(0_u32..)
            .map(|(symbol, id)| (symbol.clone(), id.into()))
            .collect();
        Self::from_value(json!({
            "version": "1.0",
            "truncation": null,
            "padding": null,
            "added_tokens": [],
            "normalizer": null,
            "pre_tokenizer": word_finder,
            "post_processor": null,
            "decoder": word_finder,
            "model": {
                "type": "BPE",
                "dropout": null,
                "unk_token": null,
                "continuing_subword_prefix": null,
                "end_of_word_suffix": null,
                "fuse_unk": false,
                "byte_fallback": false,
                "ignore_merges": false,
                "vocab": vocab,
                "merges": merges,
            },
        }))
    }

    /// Reads a `tokenizer.json`.
    ///
    /// # Errors
    /// When it is something else, or a tokenizer that doesn't bring back every text.
    pub fn from_file(file: &[u8]) -> Result<Self> {
        let value = serde_json::from_slice(file).map_err(|error| {
            Error::input("this is no `tokenizer.json`")
                .with_source(error)
                .with_hint(USE_ANOTHER)
        })?;
        Self::from_value(value)
    }

    fn from_value(mut file: Value) -> Result<Self> {
        if !file.is_object() {
            return Err(refused("it is no `tokenizer.json`"));
        }
        keep_the_text(&mut file)?;
        let model = Model::check(&file)?;
        let library: tokenizers::Tokenizer = serde_json::from_value(file).map_err(|error| {
            refused("the `tokenizers` library can't read it").with_source(error)
        })?;
        Self::new(library, model)
    }

    fn new(mut library: tokenizers::Tokenizer, model: Model) -> Result<Self> {
        library.set_encode_special_tokens(true);
        let Model {
            mut bytes,
            byte_ids,
            merges,
        } = model;
        for (id, added) in library.get_added_tokens_decoder() {
            let id = id as usize;
            if id >= MOST_IDS {
                return Err(refused(&format!("it has the id {id}")));
            }
            if id >= bytes.len() {
                bytes.resize(id + 1, Box::default());
            }
            let text = added.content.into_bytes().into_boxed_slice();
            if !bytes[id].is_empty() && bytes[id] != text {
                return Err(refused(&format!("two of its tokens have the id {id}")));
            }
            bytes[id] = text;
        }
        let loaded = Self(Arc::new(Loaded {
            library,
            bytes,
            byte_ids,
            merges,
        }));
        loaded.encode(TRIAL.as_bytes(), &mut Vec::new())?;
        Ok(loaded)
    }

    /// Number of ids.
    pub fn len(&self) -> usize {
        self.0.bytes.len()
    }

    /// Never: every byte has an id.
    pub fn is_empty(&self) -> bool {
        self.0.bytes.is_empty()
    }

    /// What an id stands for; nothing where there is no such id.
    pub fn bytes(&self, id: u32) -> &[u8] {
        self.0.bytes.get(id as usize).map_or(&[], |bytes| bytes)
    }

    /// The pairs of ids in the order in which they are merged.
    pub fn merges(&self) -> &[(u32, u32)] {
        &self.0.merges
    }

    /// The tokenizer as a `tokenizer.json`, for Hugging Face's libraries.
    ///
    /// # Errors
    /// Never: what could be read can be written.
    pub fn to_file(&self) -> Result<String> {
        self.0
            .library
            .to_string(true)
            .map_err(|error| Error::work("the tokenizer can't be written").with_source(error))
    }

    /// Appends the ids of one piece of a document. What is no UTF-8 gets the ids of its bytes.
    ///
    /// # Errors
    /// When the tokenizer's regular expressions drop a part of the text.
    pub(super) fn encode(&self, piece: &[u8], ids: &mut Vec<u32>) -> Result<()> {
        for chunk in piece.utf8_chunks() {
            if !chunk.valid().is_empty() {
                self.encode_text(chunk.valid(), ids)?;
            }
            let broken = chunk.invalid().iter();
            ids.extend(broken.map(|&byte| self.0.byte_ids[byte as usize]));
        }
        Ok(())
    }

    fn encode_text(&self, text: &str, ids: &mut Vec<u32>) -> Result<()> {
        let encoded = self
            .0
            .library
            .encode_fast(text, false)
            .map_err(|error| Error::work("the tokenizer failed").with_source(error))?;
        let mut rest = text.as_bytes();
        for &id in encoded.get_ids() {
            rest = rest
                .strip_prefix(self.bytes(id))
                .ok_or_else(|| lost(rest))?;
        }
        if !rest.is_empty() {
            return Err(lost(rest));
        }
        ids.extend_from_slice(encoded.get_ids());
        Ok(())
    }
}

impl fmt::Debug for Bpe {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Bpe")
            .field("ids", &self.len())
            .field("merges", &self.0.merges.len())
            .finish_non_exhaustive()
    }
}

/// Two are equal when their files are.
impl PartialEq for Bpe {
    fn eq(&self, other: &Self) -> bool {
        let file = |bpe: &Self| bpe.0.library.to_string(false).ok();
        Arc::ptr_eq(&self.0, &other.0)
            || self.0.bytes == other.0.bytes
                && self.0.merges == other.0.merges
                && file(self) == file(other)
    }
}

impl Eq for Bpe {}

impl Serialize for Bpe {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.library.serialize(serializer)
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

fn refused(reason: &str) -> Error {
    Error::input(format!("this tokenizer can't be used: {reason}")).with_hint(USE_ANOTHER)
}

fn lost(rest: &[u8]) -> Error {
    let text = String::from_utf8_lossy(rest);
    let shown: String = text.chars().take(12).collect();
    refused(&format!(
        "it doesn't bring back every text (it changes `{}`)",
        shown.escape_debug()
    ))
}

/// Takes out of a `tokenizer.json` what would change the text, and refuses what can't be taken out.
fn keep_the_text(file: &mut Value) -> Result<()> {
    for left_out in ["truncation", "padding"] {
        file[left_out] = Value::Null;
    }
    match kind(&file["normalizer"]) {
        None => {}
        Some("NFC") => file["normalizer"] = Value::Null,
        Some(other) => {
            return Err(refused(&format!(
                "its normalizer `{other}` changes the text"
            )));
        }
    }
    if !works_on_bytes(&mut file["pre_tokenizer"])? {
        return Err(refused(
            "it doesn't work on bytes (it has no `ByteLevel` pre-tokenizer)",
        ));
    }
    let added = file["added_tokens"].as_array().into_iter().flatten();
    for token in added {
        let is = |field: &str| token[field] == true;
        if !is("special") && (is("lstrip") || is("rstrip")) {
            return Err(refused(&format!(
                "its token `{}` swallows the spaces around it",
                token["content"].as_str().unwrap_or_default()
            )));
        }
    }
    Ok(())
}

/// The `type` of a part of the file, when it has that part.
fn kind(part: &Value) -> Option<&str> {
    (!part.is_null()).then(|| part["type"].as_str().unwrap_or("of no known type"))
}

/// Whether this pre-tokenizer ends in bytes; a space that it would put before the first word is taken out.
fn works_on_bytes(pre_tokenizer: &mut Value) -> Result<bool> {
    match kind(pre_tokenizer) {
        Some("ByteLevel") => {
            pre_tokenizer["add_prefix_space"] = false.into();
            Ok(true)
        }
        Some("Sequence") => {
            let mut found = false;
            for part in pre_tokenizer["pretokenizers"]
                .as_array_mut()
                .into_iter()
                .flatten()
            {
                found |= works_on_bytes(part)?;
            }
            Ok(found)
        }
        None | Some("Split" | "Digits" | "Punctuation" | "UnicodeScripts" | "FixedLength") => {
            Ok(false)
        }
        Some(other) => Err(refused(&format!(
            "its pre-tokenizer `{other}` doesn't keep the text as it is"
        ))),
    }
}

/// What a `tokenizer.json` says of its model, checked.
struct Model {
    bytes: Vec<Box<[u8]>>,
    byte_ids: [u32; 256],
    merges: Vec<(u32, u32)>,
}

impl Model {
    fn check(file: &Value) -> Result<Self> {
        let model = &file["model"];
        match kind(model) {
            Some("BPE") => {}
            None => return Err(refused("it has no model")),
            Some(other) => return Err(refused(&format!("its model is `{other}`, not `BPE`"))),
        }
        for field in ["continuing_subword_prefix", "end_of_word_suffix"] {
            if model[field].as_str().is_some_and(|text| !text.is_empty()) {
                return Err(refused(&format!("its model has a `{field}`")));
            }
        }
        if model["dropout"]
            .as_f64()
            .is_some_and(|dropout| dropout != 0.0)
        {
            return Err(refused("its model drops merges by chance (`dropout`)"));
        }
        let vocab = model["vocab"]
            .as_object()
            .ok_or_else(|| refused("its model has no `vocab`"))?;
        let mut ids = HashMap::with_capacity(vocab.len());
        let mut bytes: Vec<Box<[u8]>> = Vec::with_capacity(vocab.len());
        for (token, id) in vocab {
            let id = id
                .as_u64()
                .and_then(|id| usize::try_from(id).ok())
                .filter(|&id| id < MOST_IDS)
                .ok_or_else(|| refused(&format!("`{token}` has the id {id}")))?;
            if id >= bytes.len() {
                bytes.resize(id + 1, Box::default());
            }
            if token.is_empty() || !bytes[id].is_empty() {
                return Err(refused(&format!("two of its tokens have the id {id}")));
            }
            // What is not written in bytes' symbols can't come out of a text either.
            let read = from_symbols(token).unwrap_or_else(|| token.clone().into_bytes());
            bytes[id] = read.into_boxed_slice();
            ids.insert(token.as_str(), id as u32);
        }

        let mut byte_ids = [0; 256];
        for (byte, id) in (0..=u8::MAX).zip(&mut byte_ids) {
            let symbol = SYMBOLS[byte as usize];
            *id = *ids
                .get(symbol.encode_utf8(&mut [0; 4]) as &str)
                .ok_or_else(|| {
                    refused(&format!("its vocabulary has no token for the byte {byte}"))
                })?;
        }

        let merges = model["merges"]
            .as_array()
            .ok_or_else(|| refused("its model has no `merges`"))?;
        let merges = merges
            .iter()
            .map(|merge| {
                merged(merge, &ids).ok_or_else(|| {
                    refused(&format!(
                        "the merge {merge} is not of tokens in its vocabulary"
                    ))
                })
            })
            .collect::<Result<_>>()?;
        Ok(Self {
            bytes,
            byte_ids,
            merges,
        })
    }
}

/// The ids of `["a", "b"]` or, in older files, `"a b"`, when they and what they become are in the vocabulary.
fn merged(merge: &Value, ids: &HashMap<&str, u32>) -> Option<(u32, u32)> {
    let (left, right) = match merge {
        Value::String(pair) => pair.split_once(' ')?,
        pair => (pair.get(0)?.as_str()?, pair.get(1)?.as_str()?),
    };
    ids.get(format!("{left}{right}").as_str())?;
    Some((*ids.get(left)?, *ids.get(right)?))
}

/// The character that stands for each byte in a `tokenizer.json`: printable ones for themselves, the others for those
/// from U+0100 on, in order.
const SYMBOLS: [char; 256] = {
    let mut symbols = ['\0'; 256];
    let mut next = 256;
    let mut byte = 0;
    while byte < 256 {
        let printable = matches!(byte, 0x21..=0x7E | 0xA1..=0xAC | 0xAE..=0xFF);
        let code = if printable { byte as u32 } else { next };
        if !printable {
            next += 1;
        }
        if let Some(symbol) = char::from_u32(code) {
            symbols[byte] = symbol;
        }
        byte += 1;
    }
    symbols
};

fn to_symbols(bytes: &[u8]) -> String {
    bytes.iter().map(|&byte| SYMBOLS[byte as usize]).collect()
}

/// `None` when a character stands for no byte.
fn from_symbols(token: &str) -> Option<Vec<u8>> {
    let byte = |symbol: char| match u8::try_from(symbol) {
        Ok(byte) if SYMBOLS[byte as usize] == symbol => Some(byte),
        _ => (0..=u8::MAX).find(|&byte| SYMBOLS[byte as usize] == symbol),
    };
    token.chars().map(byte).collect()
}

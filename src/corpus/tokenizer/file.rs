//! Hugging Face's `tokenizer.json`: reads the byte-level BPE tokenizers among them, and writes ours.
//!
//! Every text must come back as it was. What would change it is left out where that is harmless: NFC normalization, a
//! space before the first word. Tokens that are marked as special are never found in text: only the program may write
//! them. What can't be left out is refused.

use std::collections::HashMap;

use serde_json::{Map, Value, json};
use tokenizers::AddedVocabulary;

use super::train::Learnt;
use super::words::WordFinder;
use crate::error::{Error, Result};

/// The most ids of a vocabulary: several times what published models use.
pub(super) const MOST_IDS: usize = 1 << 20;

const USE_ANOTHER: &str = "use a byte-level BPE tokenizer (GPT-2, GPT-NeoX and Qwen have one), or let `--tokenizer \
                           bpe:N` train one on the text";

/// What encoding needs of a file.
pub(super) struct Contents {
    pub words: WordFinder,
    /// What each id stands for; nothing where the file leaves an id out.
    pub bytes: Vec<Box<[u8]>>,
    /// The id of each byte by itself.
    pub byte_ids: [u32; 256],
    /// The rank of each pair that is merged, and what it becomes.
    pub merges: HashMap<(u32, u32), (u32, u32)>,
    /// The words that are taken as they are, not merged from bytes.
    pub whole: HashMap<Box<[u8]>, u32>,
    /// Finds tokens that were added outside the merges, where there are some that text may hold.
    pub added: Option<AddedVocabulary>,
}

/// Parses a file.
///
/// # Errors
/// When it is no JSON.
pub(super) fn parse(file: &[u8]) -> Result<Value> {
    serde_json::from_slice(file).map_err(|error| {
        Error::input("this is no `tokenizer.json`")
            .with_source(error)
            .with_hint(USE_ANOTHER)
    })
}

/// Takes a file's contents; what is left out of them is left out of the file too.
///
/// # Errors
/// When it is no tokenizer, or not one that brings back every text.
pub(super) fn read(file: &mut Value) -> Result<Contents> {
    if !file.is_object() {
        return Err(refused("it is no `tokenizer.json`"));
    }
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
    leave_out_first_space(&mut file["pre_tokenizer"]);
    // The library's errors and ours say why, without a hint.
    let words = WordFinder::from_value(&file["pre_tokenizer"])
        .map_err(|error| refused(&error.to_string()))?;

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
        .is_some_and(|dropout| dropout > 0.0)
    {
        return Err(refused("its model leaves out merges by chance (`dropout`)"));
    }
    let ids = vocabulary(model)?;
    let mut bytes = Vec::new();
    for (token, &id) in &ids {
        // What is not written in symbols of bytes can't come out of a text.
        let read = from_symbols(token).unwrap_or_else(|| token.as_bytes().to_vec());
        put(&mut bytes, id, read)?;
    }
    let byte_ids = byte_ids(&ids)?;
    let merges = merges(model, &ids)?;
    let mut whole = HashMap::new();
    if model["ignore_merges"] == true {
        whole.extend(bytes.iter().cloned().zip(0..));
    }
    let added = added(file, &mut bytes, &mut whole)?;
    Ok(Contents {
        words,
        bytes,
        byte_ids,
        merges,
        whole,
        added,
    })
}

/// The file of a vocabulary that was learnt on the words of GPT-2.
pub(super) fn write(learnt: &Learnt) -> Value {
    let symbols: Vec<String> = learnt
        .tokens
        .iter()
        .map(|token| to_symbols(token))
        .collect();
    let vocab: Map<String, Value> = symbols
        .iter()
        .cloned()
        .zip((0_u32..).map(Value::from))
        .collect();
    let merges: Vec<[&str; 2]> = learnt
        .merges
        .iter()
        .map(|&(left, right)| [left, right].map(|id| symbols[id as usize].as_str()))
        .collect();
    let in_bytes = json!({
        "type": "ByteLevel",
        "add_prefix_space": false,
        "trim_offsets": true,
        "use_regex": true,
    });
    json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": [],
        "normalizer": null,
        "pre_tokenizer": in_bytes,
        "post_processor": null,
        "decoder": in_bytes,
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
    })
}

fn refused(reason: &str) -> Error {
    Error::input(format!("this tokenizer can't be used: {reason}")).with_hint(USE_ANOTHER)
}

/// The `type` of a part of the file, when it has that part.
fn kind(part: &Value) -> Option<&str> {
    (!part.is_null()).then(|| part["type"].as_str().unwrap_or("of no type"))
}

fn leave_out_first_space(pre_tokenizer: &mut Value) {
    if pre_tokenizer["type"] == "ByteLevel" {
        pre_tokenizer["add_prefix_space"] = false.into();
    }
    if let Some(Value::Array(parts)) = pre_tokenizer.get_mut("pretokenizers") {
        parts.iter_mut().for_each(leave_out_first_space);
    }
}

/// Writes down what an id stands for.
fn put(bytes: &mut Vec<Box<[u8]>>, id: u32, token: Vec<u8>) -> Result<()> {
    let place = id as usize;
    if place >= MOST_IDS {
        return Err(refused(&format!("it has an id of {id}")));
    }
    if place >= bytes.len() {
        bytes.resize(place + 1, Box::default());
    }
    let before = &mut bytes[place];
    if token.is_empty() || !before.is_empty() && **before != *token {
        return Err(refused(&format!(
            "what its id {id} stands for is not clear"
        )));
    }
    *before = token.into_boxed_slice();
    Ok(())
}

/// The ids of the model's tokens.
fn vocabulary(model: &Value) -> Result<HashMap<&str, u32>> {
    let vocab = model["vocab"]
        .as_object()
        .ok_or_else(|| refused("its model has no `vocab`"))?;
    vocab
        .iter()
        .map(|(token, id)| {
            let number = id.as_u64().and_then(|id| u32::try_from(id).ok());
            let number = number
                .ok_or_else(|| refused(&format!("`{id}` is no id (of its token `{token}`)")))?;
            Ok((token.as_str(), number))
        })
        .collect()
}

fn byte_ids(ids: &HashMap<&str, u32>) -> Result<[u32; 256]> {
    let mut byte_ids = [0; 256];
    for (id, (byte, symbol)) in byte_ids.iter_mut().zip(SYMBOLS.iter().enumerate()) {
        *id = *ids
            .get(symbol.to_string().as_str())
            .ok_or_else(|| refused(&format!("its vocabulary has no token for the byte {byte}")))?;
    }
    Ok(byte_ids)
}

fn merges(model: &Value, ids: &HashMap<&str, u32>) -> Result<HashMap<(u32, u32), (u32, u32)>> {
    let merges = model["merges"]
        .as_array()
        .ok_or_else(|| refused("its model has no `merges`"))?;
    let ranked = merges.iter().zip(0..).map(|(merge, rank)| {
        let (pair, merged) = merged(merge, ids).ok_or_else(|| {
            refused(&format!(
                "its merge {merge} makes no token of its vocabulary"
            ))
        })?;
        Ok((pair, (rank, merged)))
    });
    ranked.collect()
}

/// The ids of `["a", "b"]` or, in older files, `"a b"`, and of what they become.
fn merged(merge: &Value, ids: &HashMap<&str, u32>) -> Option<((u32, u32), u32)> {
    let (left, right) = match merge {
        Value::String(pair) => pair.split_once(' ')?,
        pair => (pair.get(0)?.as_str()?, pair.get(1)?.as_str()?),
    };
    let merged = ids.get(format!("{left}{right}").as_str())?;
    Some(((*ids.get(left)?, *ids.get(right)?), *merged))
}

/// The tokens that were added outside the merges: writes down what they stand for, and that special ones are no words.
fn added(
    file: &Value,
    bytes: &mut Vec<Box<[u8]>>,
    whole: &mut HashMap<Box<[u8]>, u32>,
) -> Result<Option<AddedVocabulary>> {
    let library: tokenizers::Tokenizer = serde_json::from_value(file.clone())
        .map_err(|error| refused("the library `tokenizers` can't read it").with_source(error))?;
    let mut in_text = false;
    for (id, token) in library.get_added_tokens_decoder() {
        if token.special {
            whole.remove(token.content.as_bytes());
        } else {
            if token.lstrip || token.rstrip {
                return Err(refused(&format!(
                    "its token `{}` swallows the spaces around it",
                    token.content
                )));
            }
            in_text = true;
        }
        put(bytes, id, token.content.into_bytes())?;
    }
    let mut added = library.get_added_vocabulary().clone();
    added.set_encode_special_tokens(true);
    Ok(in_text.then_some(added))
}

/// The character that stands for each byte in a file: printable ones for themselves, the others for those from U+0100
/// on, in order.
const SYMBOLS: [char; 256] = {
    let mut symbols = ['\0'; 256];
    let mut next = 0x100;
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

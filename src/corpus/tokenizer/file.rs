//! Hugging Face's `tokenizer.json`: reads the byte-level BPE tokenizers among them.
//!
//! Every text must come back as it was. What would change it is left out where that is harmless: NFC normalization, a
//! space before the first word. Tokens that are marked as special are never found in text: only the program may write
//! them. What can't be left out is refused.

use std::collections::HashMap;

use serde_json::Value;

use crate::error::{Error, Result};

/// The most ids of a vocabulary: several times what published models use.
pub(super) const MOST_IDS: usize = 1 << 20;

const USE_ANOTHER: &str = "use a byte-level BPE tokenizer (GPT-2, GPT-NeoX and Qwen have one), or let `--tokenizer \
                           bpe:N` train one on the text";

/// What a file holds.
pub(super) struct Contents {
    /// Finds the ids of a text.
    pub library: tokenizers::Tokenizer,
    /// What each id stands for; nothing where the file leaves an id out.
    pub bytes: Vec<Box<[u8]>>,
    /// The id of each byte by itself.
    pub byte_ids: [u32; 256],
    /// The pairs in the order in which they are merged.
    pub merges: Vec<(u32, u32)>,
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
    keep_every_byte(&mut file["pre_tokenizer"])?;

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
    let mut library: tokenizers::Tokenizer = serde_json::from_value(file.clone())
        .map_err(|error| refused("the library `tokenizers` can't read it").with_source(error))?;
    library.set_encode_special_tokens(true);
    library.with_post_processor(None::<tokenizers::PostProcessorWrapper>);
    added(&library, &mut bytes)?;
    Ok(Contents {
        library,
        bytes,
        byte_ids,
        merges,
    })
}

pub(super) fn refused(reason: &str) -> Error {
    Error::input(format!("this tokenizer can't be used: {reason}")).with_hint(USE_ANOTHER)
}

/// The `type` of a part of the file, when it has that part.
fn kind(part: &Value) -> Option<&str> {
    (!part.is_null()).then(|| part["type"].as_str().unwrap_or("of no type"))
}

/// Takes the first space and what drops text out of a pre-tokenizer, which must end in bytes.
///
/// # Errors
/// When it may cut text in a way that doesn't bring it back.
fn keep_every_byte(pre_tokenizer: &mut Value) -> Result<()> {
    let parts = match pre_tokenizer["type"].as_str() {
        Some("Sequence") => pre_tokenizer["pretokenizers"]
            .as_array_mut()
            .map(Vec::as_mut_slice),
        _ => Some(std::slice::from_mut(pre_tokenizer)),
    };
    let last = parts.and_then(|parts| parts.split_last_mut());
    let Some((bytes, before)) = last.filter(|(last, _)| last["type"] == "ByteLevel") else {
        return Err(refused(
            "it doesn't work on bytes (its pre-tokenizer doesn't end in `ByteLevel`)",
        ));
    };
    bytes["add_prefix_space"] = false.into();
    for part in before {
        match part["type"].as_str() {
            Some("Digits") => {}
            Some("Split") => match part["behavior"].as_str() {
                Some("Isolated") => {}
                // What the expression doesn't match is to be dropped: nothing, or we keep it.
                Some("Removed") if part["invert"] == true => {
                    part["behavior"] = "Isolated".into();
                    part["invert"] = false.into();
                }
                other => {
                    return Err(refused(&format!(
                        "its `Split` pre-tokenizer is `{}`, not `Isolated`",
                        other.unwrap_or("null")
                    )));
                }
            },
            other => {
                return Err(refused(&format!(
                    "its pre-tokenizer `{}` is none of `ByteLevel`, `Split` and `Digits`",
                    other.unwrap_or("null")
                )));
            }
        }
    }
    Ok(())
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

/// The library would panic where a merge makes no token.
fn merges(model: &Value, ids: &HashMap<&str, u32>) -> Result<Vec<(u32, u32)>> {
    let merges = model["merges"]
        .as_array()
        .ok_or_else(|| refused("its model has no `merges`"))?;
    let pairs = merges.iter().map(|merge| {
        merged(merge, ids).ok_or_else(|| {
            refused(&format!(
                "its merge {merge} makes no token of its vocabulary"
            ))
        })
    });
    pairs.collect()
}

/// The ids of `["a", "b"]` or, in older files, `"a b"`, when there is one of what they become.
fn merged(merge: &Value, ids: &HashMap<&str, u32>) -> Option<(u32, u32)> {
    let (left, right) = match merge {
        Value::String(pair) => pair.split_once(' ')?,
        pair => (pair.get(0)?.as_str()?, pair.get(1)?.as_str()?),
    };
    ids.get(format!("{left}{right}").as_str())?;
    Some((*ids.get(left)?, *ids.get(right)?))
}

/// Writes down what the tokens stand for that were added outside the merges.
fn added(library: &tokenizers::Tokenizer, bytes: &mut Vec<Box<[u8]>>) -> Result<()> {
    for (id, token) in library.get_added_tokens_decoder() {
        let content = token.content.as_str();
        if token.special {
            // Not as an added token, but as a word of the model's own vocabulary.
            let found = library
                .encode_fast(content, false)
                .is_ok_and(|text| text.get_ids().contains(&id));
            if found {
                return Err(refused(&format!(
                    "its special token `{content}` is also a word"
                )));
            }
        } else if token.lstrip || token.rstrip {
            return Err(refused(&format!(
                "its token `{content}` swallows the spaces around it"
            )));
        }
        put(bytes, id, token.content.into_bytes())?;
    }
    Ok(())
}

/// A file that has the bytes in their order, and merges none.
pub(super) fn of_bytes() -> Value {
    let ids = SYMBOLS.iter().zip(0_u32..);
    let vocabulary: serde_json::Map<String, Value> = ids
        .map(|(symbol, id)| (symbol.to_string(), id.into()))
        .collect();
    let in_bytes = serde_json::json!({
        "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false
    });
    serde_json::json!({
        "version": "1.0",
        "added_tokens": [],
        "normalizer": null,
        "pre_tokenizer": in_bytes,
        "post_processor": null,
        "decoder": in_bytes,
        "model": {"type": "BPE", "vocab": vocabulary, "merges": []}
    })
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

/// `None` when a character stands for no byte.
fn from_symbols(token: &str) -> Option<Vec<u8>> {
    let byte = |symbol: char| match u8::try_from(symbol) {
        Ok(byte) if SYMBOLS[byte as usize] == symbol => Some(byte),
        _ => (0..=u8::MAX).find(|&byte| SYMBOLS[byte as usize] == symbol),
    };
    token.chars().map(byte).collect()
}

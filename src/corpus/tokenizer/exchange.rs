//! A model's whole `tokenizer.json`, the tokens that stand for no text included: for models that come from elsewhere, or
//! go there.
//!
//! Beside byte-level BPE it knows one form: characters, which are words of the model `WordLevel` there.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::alphabet::Alphabet;
use super::{Bpe, Tokenizer, Vocabulary, file};
use crate::error::{Error, Result};

/// What MASK and end-of-text are called in a file, and otherwise where a vocabulary has such a token already.
const MASK_NAMES: [&str; 2] = ["[MASK]", "<|crossover_mask|>"];
const END_NAMES: [&str; 2] = ["<|endoftext|>", "<|crossover_end_of_text|>"];

/// How a model from elsewhere numbers its ids: MASK comes behind all of them, and end-of-text is one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Numbering {
    /// Ids before MASK, those included that stand for nothing: published models often have more rows than tokens.
    pub ids: u32,
    /// The id behind each document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_of_text: Option<u32>,
}

/// A tokenizer for Hugging Face's libraries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exported {
    /// The content of `tokenizer.json`.
    pub file: String,
    /// What end-of-text is called there, where it is.
    pub end_of_text: Option<String>,
    /// What MASK is called there, where it is.
    pub mask: Option<String>,
}

impl Tokenizer {
    /// Reads the `tokenizer.json` of a model whose embedding has so many rows.
    ///
    /// # Errors
    /// When it is something else, has more ids than there are rows, or doesn't bring back every text.
    pub fn from_hugging_face(content: &[u8], rows: u32, numbering: Numbering) -> Result<Self> {
        let parsed = file::parse(content)?;
        let vocabulary = if parsed["model"]["type"] == "WordLevel" {
            characters(&parsed)?
        } else {
            Vocabulary::Bpe(Bpe::from_value(parsed)?)
        };
        let tokenizer = Self {
            vocabulary,
            end_of_text: false,
            numbering: Some(numbering),
        };
        let named = tokenizer.text_ids();
        if named > rows {
            return Err(Error::input(format!(
                "it has {named} ids, and the model's embedding has {rows} rows"
            ))
            .with_hint(format!(
                "the tokenizer of another model may lie here; at most {rows} ids are expected"
            )));
        }
        Ok(tokenizer)
    }

    /// The tokenizer as a `tokenizer.json`, with end-of-text and MASK among its special tokens. A tokenizer that came from
    /// elsewhere names no ids that it didn't name there.
    ///
    /// # Errors
    /// When the vocabulary leaves ids out, so that the library would give MASK another one.
    pub fn to_hugging_face(&self) -> Result<Exported> {
        let mut written = match &self.vocabulary {
            Vocabulary::Byte => file::of_bytes(),
            Vocabulary::Char(symbols) => of_characters(symbols, &character()),
            Vocabulary::Symbols(symbols) => of_characters(
                symbols,
                &json!({"type": "Sequence", "pretokenizers": [no_line_breaks(), character()]}),
            ),
            Vocabulary::Bpe(bpe) => bpe.file().clone(),
        };
        let before = library(&written)?;
        let named = self.text_ids();
        let (end, mask) = (self.end_of_text(), self.mask_id());
        let own = [(end, END_NAMES), (Some(mask), MASK_NAMES)];
        let missing: Vec<(u32, &str)> = own
            .iter()
            .filter_map(|(id, names)| {
                let id = id.filter(|id| *id >= named)?;
                let is_free = |name: &&&str| before.token_to_id(name).is_none();
                Some((id, *names.iter().find(is_free)?))
            })
            .collect();
        // Rows that no token names lie between, and the library numbers what is added from the first free id on.
        let follow = missing
            .iter()
            .zip(named..)
            .all(|((id, _), next)| *id == next);
        if follow {
            let entries = missing.iter().map(|(id, name)| {
                json!({
                    "id": id, "content": name, "single_word": false, "lstrip": false, "rstrip": false,
                    "normalized": false, "special": true
                })
            });
            let mut tokens: Vec<Value> = written["added_tokens"]
                .as_array()
                .cloned()
                .unwrap_or_default();
            tokens.extend(entries);
            written["added_tokens"] = tokens.into();
        }
        let library = library(&written)?;
        if let Some((id, name)) = missing
            .iter()
            .find(|(id, name)| follow && library.token_to_id(name) != Some(*id))
        {
            return Err(Error::input(format!(
                "this tokenizer can't be written for other libraries: it leaves ids out, so they would not give `{name}` the id {id}"
            )));
        }
        let content = serde_json::to_string_pretty(&written)
            .map_err(|error| Error::work("the tokenizer can't be written").with_source(error))?;
        Ok(Exported {
            file: content,
            end_of_text: end.and_then(|id| library.id_to_token(id)),
            mask: library.id_to_token(mask),
        })
    }
}

fn library(written: &Value) -> Result<tokenizers::Tokenizer> {
    serde_json::from_value(written.clone())
        .map_err(|error| Error::work("the tokenizer can't be written").with_source(error))
}

/// Cuts text into characters.
fn character() -> Value {
    json!({"type": "Split", "pattern": {"Regex": "[\\s\\S]"}, "behavior": "Isolated", "invert": false})
}

/// Drops what a generated source doesn't have, though files of it do.
fn no_line_breaks() -> Value {
    json!({"type": "Split", "pattern": {"Regex": "[\\r\\n]"}, "behavior": "Removed", "invert": false})
}

fn of_characters(symbols: &Alphabet, cut: &Value) -> Value {
    let ids = symbols.symbols().iter().zip(0_u32..);
    let vocabulary: serde_json::Map<String, Value> = ids
        .map(|(symbol, id)| (symbol.to_string(), id.into()))
        .collect();
    json!({
        "version": "1.0",
        "added_tokens": [],
        "normalizer": null,
        "pre_tokenizer": cut,
        "post_processor": null,
        "decoder": {"type": "Fuse"},
        "model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": "[UNK]"}
    })
}

/// Takes what [`of_characters`] has written.
fn characters(parsed: &Value) -> Result<Vocabulary> {
    let no_characters = || file::refused("its words are no single characters, numbered from 0");
    let words = parsed["model"]["vocab"]
        .as_object()
        .ok_or_else(no_characters)?;
    let mut symbols = words
        .iter()
        .map(|(word, id)| {
            let mut letters = word.chars();
            match (letters.next(), letters.next(), id.as_u64()) {
                (Some(symbol), None, Some(id)) => Ok((id, symbol)),
                _ => Err(no_characters()),
            }
        })
        .collect::<Result<Vec<_>>>()?;
    symbols.sort_unstable();
    if symbols.iter().zip(0..).any(|((id, _), place)| *id != place) {
        return Err(no_characters());
    }
    let alphabet = Alphabet::new(symbols.into_iter().map(|(_, symbol)| symbol))?;
    let cut = &parsed["pre_tokenizer"];
    match cut["pretokenizers"][0] == no_line_breaks() {
        true => Ok(Vocabulary::Symbols(alphabet)),
        false if *cut == character() => Ok(Vocabulary::Char(alphabet)),
        false => Err(file::refused(
            "its words are cut otherwise than by character",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every_kind() -> Vec<Tokenizer> {
        let text = "grün, grüner\nam grünsten\n".repeat(3);
        let of = |name: &str| Tokenizer::for_documents(name, [Ok(text.as_bytes())]).unwrap();
        let signs = Alphabet::new("ngrüeamst ,".chars()).unwrap();
        vec![
            of("byte"),
            of("char"),
            of("bpe:270"),
            Tokenizer::symbols(signs),
        ]
    }

    #[test]
    fn a_written_tokenizer_gives_the_same_ids_in_the_library_and_read_again() {
        for plain in every_kind() {
            for ours in [plain.clone(), plain.with_end_of_text()] {
                let written = ours.to_hugging_face().unwrap();
                let theirs: tokenizers::Tokenizer = written.file.parse().unwrap();
                assert_eq!(theirs.get_vocab_size(true), ours.vocab_size());
                assert_eq!(theirs.token_to_id("[MASK]"), Some(ours.mask_id()));
                assert_eq!(written.mask.as_deref(), Some("[MASK]"));
                assert_eq!(written.end_of_text.is_some(), ours.end_of_text().is_some());
                let text = "grüner am grünsten, etwas ganz";
                let text: String = text
                    .chars()
                    .filter(|c| ours.encode(&c.to_string()).is_ok())
                    .collect();
                let ids = ours.encode(&text).unwrap();
                assert_eq!(
                    theirs.encode_fast(text.as_str(), false).unwrap().get_ids(),
                    ids
                );
                assert_eq!(theirs.decode(&ids, false).unwrap(), text);

                let numbering = Numbering {
                    ids: ours.mask_id(),
                    end_of_text: ours.end_of_text(),
                };
                let rows = ours.vocab_size() as u32;
                let read =
                    Tokenizer::from_hugging_face(written.file.as_bytes(), rows, numbering).unwrap();
                assert_eq!(read.encode(&text).unwrap(), ids);
                assert_eq!(read.vocab(), ours.vocab());
                assert_eq!(read.is_generated(), ours.is_generated());
                assert_eq!(read.vocab_size(), ours.vocab_size());
                assert_eq!(read.to_hugging_face().unwrap().mask, written.mask);
                let kept = Tokenizer::from_json(&read.to_json().unwrap()).unwrap();
                assert_eq!(kept, read);

                let few = Tokenizer::from_hugging_face(written.file.as_bytes(), 3, numbering);
                assert!(
                    few.unwrap_err()
                        .to_string()
                        .contains("embedding has 3 rows")
                );
            }
        }
    }

    #[test]
    fn ids_that_no_token_names_stand_for_nothing_and_are_named_by_none() {
        let text = Tokenizer::byte().to_hugging_face().unwrap().file;
        let numbering = Numbering {
            ids: 300,
            end_of_text: Some(270),
        };
        let tokenizer = Tokenizer::from_hugging_face(text.as_bytes(), 300, numbering).unwrap();
        assert_eq!((tokenizer.vocab_size(), tokenizer.mask_id()), (301, 300));
        assert_eq!(
            tokenizer.decode(&[97, 280, 270, 300]),
            "a\u{FFFD}<|endoftext|>▯"
        );
        assert_eq!(tokenizer.decode_bytes(&[97, 280, 270, 300]), b"a");
        let again = tokenizer.to_hugging_face().unwrap();
        // The byte's own file called its 257th id so, and nothing else may be called so now.
        assert_eq!((again.end_of_text, again.mask), (None, None));
    }

    #[test]
    fn words_that_are_no_characters_are_refused() {
        let mut file: Value =
            serde_json::from_str(&every_kind()[1].to_hugging_face().unwrap().file).unwrap();
        let numbering = Numbering {
            ids: 20,
            end_of_text: None,
        };
        let refused = |file: &Value, why: &str| {
            let content = file.to_string();
            let error =
                Tokenizer::from_hugging_face(content.as_bytes(), 20, numbering).unwrap_err();
            assert!(error.to_string().contains(why), "{error}");
        };
        let whole = file.clone();
        file["model"]["vocab"]["two"] = 12.into();
        refused(&file, "no single characters");
        file = whole.clone();
        file["model"]["vocab"]["x"] = 40.into();
        refused(&file, "no single characters");
        file = whole;
        file["pre_tokenizer"] = Value::Null;
        refused(&file, "cut otherwise");
    }
}

//! Between text and ids: bytes, characters, or the symbols of a generated source.
//!
//! MASK is always the last id; it stands for no text. [`Tokenizer::decode`] shows it as `▯`, vocabulary lists as
//! `[MASK]`.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result, nearest};

/// What MASK looks like inside a text.
const MASK_IN_TEXT: char = '▯';

/// How many symbols a hint lists: all of an alphabet, not all of Chinese.
const LISTED_SYMBOLS: usize = 120;

/// What an id outside the vocabulary looks like inside a text.
const UNKNOWN_IN_TEXT: char = char::REPLACEMENT_CHARACTER;

/// A way of cutting text into ids; its JSON form is part of the checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum Tokenizer {
    /// One id for each of the 256 byte values.
    Byte,
    /// One id for each character of the whole source, in code-point order.
    Char {
        /// The characters.
        symbols: Alphabet,
    },
    /// One id for each symbol of a generated source, in the source's own order.
    Symbols {
        /// The symbols.
        symbols: Alphabet,
    },
}

/// Distinct characters, numbered in a fixed order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Alphabet {
    in_order: Vec<char>,
    /// Sorted by character, for lookup.
    ids: Vec<(char, u32)>,
}

impl Alphabet {
    /// Numbers the characters in the order given.
    ///
    /// # Errors
    /// When there is none, or one twice.
    pub fn new(symbols: impl IntoIterator<Item = char>) -> Result<Self> {
        let in_order: Vec<char> = symbols.into_iter().collect();
        if in_order.is_empty() {
            return Err(Error::input("a vocabulary needs at least one symbol"));
        }
        let mut ids: Vec<(char, u32)> = in_order.iter().copied().zip(0..).collect();
        ids.sort_unstable();
        match ids.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            Some(pair) => Err(Error::input(format!(
                "the symbol `{}` is given twice",
                pair[0].0
            ))),
            None => Ok(Self { in_order, ids }),
        }
    }

    /// The characters in the order of their ids.
    pub fn symbols(&self) -> &[char] {
        &self.in_order
    }

    fn id(&self, character: char) -> Option<u32> {
        let index = self
            .ids
            .binary_search_by_key(&character, |entry| entry.0)
            .ok()?;
        Some(self.ids[index].1)
    }
}

impl TryFrom<String> for Alphabet {
    type Error = Error;

    fn try_from(symbols: String) -> Result<Self> {
        Self::new(symbols.chars())
    }
}

impl From<Alphabet> for String {
    fn from(alphabet: Alphabet) -> Self {
        alphabet.in_order.into_iter().collect()
    }
}

impl Tokenizer {
    /// The tokenizer of this name, its vocabulary taken from the whole text.
    ///
    /// # Errors
    /// When there is none of this name, or the text has no characters (is not UTF-8, is binary, is empty).
    pub fn for_text(name: &str, text: &[u8]) -> Result<Self> {
        match name {
            "byte" => Ok(Self::Byte),
            "char" => {
                let mut symbols: Vec<char> = characters_of(text)?.chars().collect();
                symbols.sort_unstable();
                symbols.dedup();
                Ok(Self::Char {
                    symbols: Alphabet::new(symbols)?,
                })
            }
            _ => {
                let hint = match nearest(name, ["byte", "char"]) {
                    Some(near) => {
                        format!("did you mean `{near}`? there are only `byte` and `char`")
                    }
                    None => "there are only `byte` and `char`".to_owned(),
                };
                Err(Error::input(format!("there is no tokenizer `{name}`")).with_hint(hint))
            }
        }
    }

    /// Reads what [`Tokenizer::to_json`] wrote.
    ///
    /// # Errors
    /// When it is something else.
    pub fn from_json(json: &str) -> Result<Self> {
        serde_json::from_str(json)
            .map_err(|error| Error::input("the tokenizer can't be read").with_source(error))
    }

    /// The tokenizer as it is kept in a checkpoint.
    ///
    /// # Errors
    /// Never: every tokenizer has a JSON form.
    pub fn to_json(&self) -> Result<String> {
        serde_json::to_string(self)
            .map_err(|error| Error::work("the tokenizer can't be written").with_source(error))
    }

    /// Number of ids, MASK included.
    pub fn vocab_size(&self) -> usize {
        self.mask_id() as usize + 1
    }

    /// The id of MASK: the last one.
    pub fn mask_id(&self) -> u32 {
        match self {
            Self::Byte => 256,
            Self::Char { symbols } | Self::Symbols { symbols } => symbols.in_order.len() as u32,
        }
    }

    /// The ids of a text.
    ///
    /// # Errors
    /// Names the first character that has no id.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        match self {
            Self::Byte => Ok(text.bytes().map(u32::from).collect()),
            Self::Char { symbols } | Self::Symbols { symbols } => text
                .chars()
                .enumerate()
                .map(|(index, character)| {
                    symbols
                        .id(character)
                        .ok_or_else(|| unknown(character, index, symbols))
                })
                .collect(),
        }
    }

    /// The ids of a text that may be no UTF-8.
    ///
    /// # Errors
    /// For characters: where the text is no UTF-8 or binary, and those of [`Tokenizer::encode`].
    pub fn encode_bytes(&self, text: &[u8]) -> Result<Vec<u32>> {
        match self {
            Self::Byte => Ok(text.iter().copied().map(u32::from).collect()),
            Self::Char { .. } | Self::Symbols { .. } => self.encode(characters_of(text)?),
        }
    }

    /// The text of these ids: MASK as `▯`, bytes that are no UTF-8 as `<0xE4>`, ids outside the vocabulary as `�`.
    pub fn decode(&self, ids: &[u32]) -> String {
        let mut text = String::new();
        match self {
            Self::Byte => {
                // Only a run of bytes without MASK in between can be put together to characters.
                for run in ids.chunk_by(|left, right| *left < 256 && *right < 256) {
                    match run {
                        [256] => text.push(MASK_IN_TEXT),
                        [id] if *id > 256 => text.push(UNKNOWN_IN_TEXT),
                        _ => {
                            let bytes: Vec<u8> = run.iter().map(|&id| id as u8).collect();
                            for chunk in bytes.utf8_chunks() {
                                text.push_str(chunk.valid());
                                text.extend(chunk.invalid().iter().map(|&byte| byte_name(byte)));
                            }
                        }
                    }
                }
            }
            Self::Char { symbols } | Self::Symbols { symbols } => {
                text.extend(
                    ids.iter()
                        .map(|&id| match symbols.in_order.get(id as usize) {
                            Some(&character) => character,
                            None if id == self.mask_id() => MASK_IN_TEXT,
                            None => UNKNOWN_IN_TEXT,
                        }),
                );
            }
        }
        text
    }

    /// One id as a vocabulary list shows it: MASK as `[MASK]`, a byte that is no character by itself as `<0xE4>`.
    pub fn symbol(&self, id: u32) -> String {
        match self {
            _ if id == self.mask_id() => "[MASK]".to_owned(),
            _ => self.decode(&[id]),
        }
    }

    /// [`Tokenizer::symbol`] of every id in order.
    pub fn vocab(&self) -> Vec<String> {
        (0..=self.mask_id()).map(|id| self.symbol(id)).collect()
    }

    /// How many characters and how many bytes of text these ids stand for; MASK stands for none.
    ///
    /// Counts of windows add up to the count of the whole even where a cut goes through a character: it is counted
    /// with its first byte.
    pub fn measure(&self, ids: &[u32]) -> (usize, usize) {
        let sizes = |id: &u32| match self {
            Self::Byte => u8::try_from(*id).map_or((0, 0), |byte| {
                let continues = byte & 0b1100_0000 == 0b1000_0000;
                (usize::from(!continues), 1)
            }),
            Self::Char { symbols } | Self::Symbols { symbols } => {
                let character = symbols.in_order.get(*id as usize);
                character.map_or((0, 0), |character| (1, character.len_utf8()))
            }
        };
        ids.iter()
            .map(sizes)
            .fold((0, 0), |sum, size| (sum.0 + size.0, sum.1 + size.1))
    }
}

fn byte_name(byte: u8) -> String {
    format!("<0x{byte:02X}>")
}

/// The bytes as characters, unless they are none: characters of a binary file would be a vocabulary of noise.
fn characters_of(text: &[u8]) -> Result<&str> {
    if let Some(offset) = text.iter().position(|&byte| byte == 0) {
        return Err(
            Error::input(format!("this is a binary file: byte {offset} is zero"))
                .with_hint(USE_BYTES),
        );
    }
    std::str::from_utf8(text).map_err(|error| {
        Error::input(format!(
            "this is no UTF-8 text: byte {} (0x{:02X}) belongs to no character",
            error.valid_up_to(),
            text[error.valid_up_to()],
        ))
        .with_hint(USE_BYTES)
    })
}

const USE_BYTES: &str = "use `--tokenizer byte`";

fn unknown(character: char, index: usize, symbols: &Alphabet) -> Error {
    let error = Error::input(format!(
        "character {} of the text, `{}` (U+{:04X}), is not in the vocabulary",
        index + 1,
        character.escape_debug(),
        u32::from(character),
    ));
    let listed: String = symbols.in_order.iter().take(LISTED_SYMBOLS).collect();
    let more = if symbols.in_order.len() > LISTED_SYMBOLS {
        " and others"
    } else {
        ""
    };
    error.with_hint(format!("it has only `{}`{more}", listed.escape_debug()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;
    use proptest::prelude::*;

    fn letters() -> Tokenizer {
        Tokenizer::for_text("char", "grün\n".as_bytes()).unwrap()
    }

    proptest! {
        #[test]
        fn decoding_undoes_encoding_characters(text in "\\PC{1,40}") {
            let tokenizer = Tokenizer::for_text("char", text.as_bytes()).unwrap();
            let ids = tokenizer.encode_bytes(text.as_bytes()).unwrap();
            prop_assert_eq!(&ids, &tokenizer.encode(&text).unwrap());
            prop_assert!(ids.iter().all(|&id| id < tokenizer.mask_id()));
            prop_assert_eq!(tokenizer.measure(&ids), (text.chars().count(), text.len()));
            prop_assert_eq!(tokenizer.decode(&ids), text);
        }

        #[test]
        fn decoding_undoes_encoding_bytes_of_text(text in any::<String>()) {
            let ids = Tokenizer::Byte.encode(&text).unwrap();
            prop_assert_eq!(Tokenizer::Byte.measure(&ids), (text.chars().count(), text.len()));
            prop_assert_eq!(Tokenizer::Byte.decode(&ids), text);
        }

        #[test]
        fn any_bytes_have_ids_and_a_picture(bytes in any::<Vec<u8>>()) {
            let ids = Tokenizer::Byte.encode_bytes(&bytes).unwrap();
            prop_assert_eq!(ids.iter().map(|&id| id as u8).collect::<Vec<_>>(), bytes.clone());
            let picture = Tokenizer::Byte.decode(&ids);
            let broken = std::str::from_utf8(&bytes).is_err();
            let written_out = bytes.windows(3).any(|part| part == b"<0x");
            prop_assert_eq!(picture.contains("<0x"), broken || written_out);
        }

        #[test]
        fn measures_of_windows_add_up(text in any::<String>(), cut in any::<prop::sample::Index>()) {
            let ids = Tokenizer::Byte.encode(&text).unwrap();
            let (left, right) = ids.split_at(cut.index(ids.len() + 1));
            let (left, right) = (Tokenizer::Byte.measure(left), Tokenizer::Byte.measure(right));
            prop_assert_eq!((left.0 + right.0, left.1 + right.1), (text.chars().count(), text.len()));
        }
    }

    #[test]
    fn characters_take_ids_in_code_point_order_and_mask_is_last() {
        assert_eq!(letters().vocab(), ["\n", "g", "n", "r", "ü", "[MASK]"]);
        assert_eq!((letters().vocab_size(), letters().mask_id()), (6, 5));
        assert_eq!(Tokenizer::Byte.vocab_size(), 257);
    }

    #[test]
    fn mask_and_broken_bytes_are_shown() {
        assert_eq!(letters().decode(&[1, 5, 4, 9]), "g▯ü�");
        let bytes = [b'a'.into(), 0xC3, 0xBC, 256, 0xC3, 256, 256, 0xBC, 300];
        assert_eq!(Tokenizer::Byte.decode(&bytes), "aü▯<0xC3>▯▯<0xBC>�");
        assert_eq!(Tokenizer::Byte.symbol(0xE4), "<0xE4>");
        assert_eq!(Tokenizer::Byte.symbol(256), "[MASK]");
    }

    #[test]
    fn json_brings_the_same_tokenizer_back() {
        let symbols = Tokenizer::Symbols {
            symbols: Alphabet::new("ba".chars()).unwrap(),
        };
        assert_eq!(
            symbols.to_json().unwrap(),
            r#"{"kind":"symbols","symbols":"ba"}"#
        );
        assert_eq!(symbols.encode("ab").unwrap(), [1, 0]);
        for tokenizer in [Tokenizer::Byte, letters(), symbols] {
            let json = tokenizer.to_json().unwrap();
            assert_eq!(Tokenizer::from_json(&json).unwrap(), tokenizer);
        }
        assert!(Tokenizer::from_json(r#"{"kind":"char","symbols":"aa"}"#).is_err());
        assert!(Tokenizer::from_json("{}").is_err());
    }

    #[test]
    fn an_unknown_character_is_named_with_its_place() {
        let error = letters().encode("grau").unwrap_err();
        assert_eq!(error.kind(), Kind::Input);
        assert_eq!(
            error.to_string(),
            "character 3 of the text, `a` (U+0061), is not in the vocabulary"
        );
        assert_eq!(error.hint(), Some("it has only `\\ngnrü`"));
    }

    #[test]
    fn what_is_no_text_is_refused_with_a_way_out() {
        for (bytes, place) in [(&b"gr\xFCn"[..], "byte 2 (0xFC)"), (b"PK\x03\0", "byte 3")] {
            let error = Tokenizer::for_text("char", bytes).unwrap_err();
            assert!(error.to_string().contains(place), "{error}");
            assert_eq!(error.hint(), Some("use `--tokenizer byte`"));
            assert!(Tokenizer::for_text("byte", bytes).is_ok());
        }
    }

    #[test]
    fn an_unknown_tokenizer_is_refused() {
        let hint = |name| {
            let error = Tokenizer::for_text(name, b"a").unwrap_err();
            error.hint().unwrap().to_owned()
        };
        assert_eq!(
            hint("chars"),
            "did you mean `char`? there are only `byte` and `char`"
        );
        assert_eq!(hint("bpe:512"), "there are only `byte` and `char`");
    }
}

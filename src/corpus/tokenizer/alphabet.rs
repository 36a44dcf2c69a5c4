//! Characters as a vocabulary.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// How many symbols a hint lists: all of an alphabet, not all of Chinese.
const LISTED_SYMBOLS: usize = 120;

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

    /// Every character of these documents, in code-point order.
    ///
    /// # Errors
    /// Those of the documents, and when one has no characters: it is binary or not UTF-8, or all are empty.
    pub(super) fn of_documents<Document: AsRef<[u8]>>(
        documents: impl IntoIterator<Item = Result<Document>>,
    ) -> Result<Self> {
        let mut seen = vec![false; char::MAX as usize + 1];
        for document in documents {
            for character in characters_of(document?.as_ref(), 0)?.chars() {
                seen[character as usize] = true;
            }
        }
        Self::new(('\0'..=char::MAX).filter(|&character| seen[character as usize]))
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

    /// Appends the ids of a text that has `before` characters of its document before it, and says how many it has.
    ///
    /// # Errors
    /// Names the first character that has no id, with its place in the document.
    pub(super) fn encode(&self, text: &str, before: usize, ids: &mut Vec<u32>) -> Result<usize> {
        let begin = ids.len();
        for character in text.chars() {
            let id = self
                .id(character)
                .ok_or_else(|| unknown(character, before + ids.len() - begin, &self.in_order))?;
            ids.push(id);
        }
        Ok(ids.len() - begin)
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

/// The bytes as characters, unless they are none: characters of a binary file would be a vocabulary of noise.
///
/// `before` is how many bytes of the document come before these, for errors.
pub(super) fn characters_of(text: &[u8], before: usize) -> Result<&str> {
    if let Some(offset) = text.iter().position(|&byte| byte == 0) {
        return Err(Error::input(format!(
            "this is a binary file: byte {} is zero",
            before + offset
        ))
        .with_hint(USE_BYTES));
    }
    std::str::from_utf8(text).map_err(|error| {
        Error::input(format!(
            "this is no UTF-8 text: byte {} (0x{:02X}) belongs to no character",
            before + error.valid_up_to(),
            text[error.valid_up_to()],
        ))
        .with_hint(USE_BYTES)
    })
}

const USE_BYTES: &str = "use `--tokenizer byte` or `--tokenizer bpe:N`, which take any bytes";

fn unknown(character: char, index: usize, symbols: &[char]) -> Error {
    let error = Error::input(format!(
        "character {} of the text, `{}` (U+{:04X}), is not in the vocabulary",
        index + 1,
        character.escape_debug(),
        u32::from(character),
    ));
    let listed: String = symbols.iter().take(LISTED_SYMBOLS).collect();
    let more = if symbols.len() > LISTED_SYMBOLS {
        " and others"
    } else {
        ""
    };
    error.with_hint(format!("it has only `{}`{more}", listed.escape_debug()))
}

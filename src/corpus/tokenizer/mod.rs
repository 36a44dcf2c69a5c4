//! Between text and ids: bytes, characters, pairs of bytes that were merged, or the symbols of a generated source.
//!
//! MASK is always the last id; end-of-text, where documents have it, is the one before, unless a model from elsewhere
//! numbers it otherwise ([`Numbering`]). Both stand for no text.
//! [`Tokenizer::decode`] shows them as `▯` and `<|endoftext|>`, vocabulary lists as `[MASK]` and `<|endoftext|>`.

mod alphabet;
mod bpe;
mod exchange;
mod file;
mod pieces;
mod train;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result, nearest};
use crate::platform;

pub use alphabet::Alphabet;
pub use bpe::Bpe;
pub use exchange::{Exported, Numbering};
pub use pieces::piece_length;

use alphabet::characters_of;
use pieces::pieces;

/// What MASK looks like inside a text.
const MASK_IN_TEXT: char = '▯';

/// What end-of-text looks like everywhere.
const END_OF_TEXT: &str = "<|endoftext|>";

/// What an id outside the vocabulary looks like inside a text.
const UNKNOWN_IN_TEXT: char = char::REPLACEMENT_CHARACTER;

/// The hint when somebody asks for another.
const CHOICES: &str = "there are `byte`, `char`, `bpe:N` and `FILE.json`";

/// A way of cutting text into ids; its JSON form is part of the checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Form", into = "Form")]
pub struct Tokenizer {
    vocabulary: Vocabulary,
    end_of_text: bool,
    numbering: Option<Numbering>,
}

/// The ids that stand for text.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Vocabulary {
    /// One id for each of the 256 byte values.
    Byte,
    /// One id for each character of the whole source, in code-point order.
    Char(Alphabet),
    /// One id for each symbol of a generated source, in the source's own order.
    Symbols(Alphabet),
    /// An id for each byte, and one for each pair of neighbours that was merged.
    Bpe(Bpe),
}

/// The JSON form.
#[derive(Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
enum Form {
    Byte {
        #[serde(default, skip_serializing_if = "is_false")]
        end_of_text: bool,
    },
    Char {
        symbols: Alphabet,
        #[serde(default, skip_serializing_if = "is_false")]
        end_of_text: bool,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        numbering: Option<Numbering>,
    },
    Symbols {
        symbols: Alphabet,
        #[serde(default, skip_serializing_if = "is_false")]
        end_of_text: bool,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        numbering: Option<Numbering>,
    },
    Bpe {
        tokenizer: Bpe,
        #[serde(default, skip_serializing_if = "is_false")]
        end_of_text: bool,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        numbering: Option<Numbering>,
    },
}

fn is_false(value: &bool) -> bool {
    !value
}

impl From<Form> for Tokenizer {
    fn from(form: Form) -> Self {
        let (vocabulary, end_of_text, numbering) = match form {
            Form::Byte { end_of_text } => (Vocabulary::Byte, end_of_text, None),
            Form::Char {
                symbols,
                end_of_text,
                numbering,
            } => (Vocabulary::Char(symbols), end_of_text, numbering),
            Form::Symbols {
                symbols,
                end_of_text,
                numbering,
            } => (Vocabulary::Symbols(symbols), end_of_text, numbering),
            Form::Bpe {
                tokenizer,
                end_of_text,
                numbering,
            } => (Vocabulary::Bpe(tokenizer), end_of_text, numbering),
        };
        Self {
            vocabulary,
            end_of_text,
            numbering,
        }
    }
}

impl From<Tokenizer> for Form {
    fn from(tokenizer: Tokenizer) -> Self {
        let end_of_text = tokenizer.end_of_text;
        let numbering = tokenizer.numbering;
        match tokenizer.vocabulary {
            Vocabulary::Byte => Self::Byte { end_of_text },
            Vocabulary::Char(symbols) => Self::Char {
                symbols,
                end_of_text,
                numbering,
            },
            Vocabulary::Symbols(symbols) => Self::Symbols {
                symbols,
                end_of_text,
                numbering,
            },
            Vocabulary::Bpe(tokenizer) => Self::Bpe {
                tokenizer,
                end_of_text,
                numbering,
            },
        }
    }
}

impl From<Vocabulary> for Tokenizer {
    fn from(vocabulary: Vocabulary) -> Self {
        Self {
            vocabulary,
            end_of_text: false,
            numbering: None,
        }
    }
}

/// How much of a document is encoded already.
#[derive(Default)]
struct Done {
    bytes: usize,
    characters: usize,
}

/// What a tokenizer's name asks for.
enum Named<'a> {
    Byte,
    Char,
    Bpe(usize),
    File(&'a str),
}

impl<'a> Named<'a> {
    fn parse(name: &'a str) -> Result<Self> {
        match name {
            "byte" => Ok(Self::Byte),
            "char" => Ok(Self::Char),
            _ if name.ends_with(".json") => Ok(Self::File(name)),
            _ => match name.strip_prefix("bpe:") {
                Some(ids) => bpe::parse_size(ids).map(Self::Bpe),
                None => {
                    let hint = match nearest(name, ["byte", "char", "bpe:N"]) {
                        Some(near) => format!("did you mean `{near}`? {CHOICES}"),
                        None => CHOICES.to_owned(),
                    };
                    Err(Error::input(format!("there is no tokenizer `{name}`")).with_hint(hint))
                }
            },
        }
    }
}

impl Tokenizer {
    /// The tokenizer of this name, its vocabulary taken from all these documents: `byte`, `char`, `bpe:N`, or the path
    /// of a Hugging Face `tokenizer.json`.
    ///
    /// The documents are read one after the other, and only for `char` and `bpe:N`. No more of their text is kept than
    /// the vocabulary needs; [`Bpe::train`] says how much that is.
    ///
    /// # Errors
    /// Those of the documents; when there is no tokenizer of this name, when the file is none that can be used, or
    /// when a document has no characters (is not UTF-8, is binary) though they are to be the vocabulary.
    pub fn for_documents<Document: AsRef<[u8]>>(
        name: &str,
        documents: impl IntoIterator<Item = Result<Document>>,
    ) -> Result<Self> {
        let vocabulary = match Named::parse(name)? {
            Named::Byte => Vocabulary::Byte,
            Named::Char => Vocabulary::Char(Alphabet::of_documents(documents)?),
            Named::Bpe(ids) => Vocabulary::Bpe(Bpe::train(ids, documents)?),
            Named::File(path) => {
                let file = platform::read_file(path)?;
                let loaded = Bpe::from_file(&file);
                Vocabulary::Bpe(loaded.map_err(|error| error.about(&format!("`{path}`")))?)
            }
        };
        Ok(vocabulary.into())
    }

    /// One id for each of the 256 byte values.
    pub fn byte() -> Self {
        Vocabulary::Byte.into()
    }

    /// One id for each symbol of a generated source, in the source's own order.
    pub fn symbols(symbols: Alphabet) -> Self {
        Vocabulary::Symbols(symbols).into()
    }

    /// Gives documents an end: the id before MASK.
    #[must_use]
    pub fn with_end_of_text(self) -> Self {
        Self {
            end_of_text: true,
            ..self
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

    /// Whether the symbols are those of a generated source, which has no line breaks though a file of it may.
    pub fn is_generated(&self) -> bool {
        matches!(self.vocabulary, Vocabulary::Symbols(_))
    }

    /// The byte-level BPE vocabulary, when it is one.
    pub fn bpe(&self) -> Option<&Bpe> {
        match &self.vocabulary {
            Vocabulary::Bpe(bpe) => Some(bpe),
            _ => None,
        }
    }

    /// Number of ids, end-of-text and MASK included.
    pub fn vocab_size(&self) -> usize {
        self.mask_id() as usize + 1
    }

    /// The id of MASK: the last one.
    pub fn mask_id(&self) -> u32 {
        match self.numbering {
            Some(numbering) => numbering.ids,
            None => self.text_ids() + u32::from(self.end_of_text),
        }
    }

    /// The id behind each document, where documents have one: the one before MASK, unless it has a number of its own.
    pub fn end_of_text(&self) -> Option<u32> {
        match self.numbering {
            Some(numbering) => numbering.end_of_text,
            None => self.end_of_text.then(|| self.text_ids()),
        }
    }

    /// How many ids the vocabulary names. With numbers of our own all of them stand for text.
    pub fn text_ids(&self) -> u32 {
        match &self.vocabulary {
            Vocabulary::Byte => 256,
            Vocabulary::Char(symbols) | Vocabulary::Symbols(symbols) => {
                symbols.symbols().len() as u32
            }
            Vocabulary::Bpe(bpe) => bpe.ids(),
        }
    }

    /// The ids of a text.
    ///
    /// # Errors
    /// Names the first character that has no id.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        match &self.vocabulary {
            Vocabulary::Byte | Vocabulary::Bpe(_) => self.encode_bytes(text.as_bytes()),
            Vocabulary::Char(symbols) | Vocabulary::Symbols(symbols) => {
                let mut ids = Vec::new();
                symbols.encode(text, 0, &mut ids)?;
                Ok(ids)
            }
        }
    }

    /// The ids of one document, which may be no UTF-8: those of its pieces ([`piece_length`]), one after the other.
    ///
    /// # Errors
    /// For characters: where the text is no UTF-8 or binary, and those of [`Tokenizer::encode`].
    pub fn encode_bytes(&self, text: &[u8]) -> Result<Vec<u32>> {
        let mut ids = Vec::new();
        if let Vocabulary::Bpe(bpe) = &self.vocabulary {
            let encode = |piece| {
                let mut ids = Vec::new();
                bpe.encode(piece, &mut ids).map(|()| ids)
            };
            for encoded in platform::in_parallel(pieces(text).collect(), encode) {
                ids.append(&mut encoded?);
            }
        } else {
            let mut done = Done::default();
            pieces(text).try_for_each(|piece| self.encode_piece(piece, &mut done, &mut ids))?;
        }
        Ok(ids)
    }

    /// The ids of one piece of a document, which [`piece_length`] has cut.
    ///
    /// # Errors
    /// Those of [`Tokenizer::encode_bytes`]; places are counted from the piece's beginning.
    pub fn encode_one_piece(&self, piece: &[u8]) -> Result<Vec<u32>> {
        let mut ids = Vec::new();
        self.encode_piece(piece, &mut Done::default(), &mut ids)?;
        Ok(ids)
    }

    /// Appends the ids of one piece of a document.
    fn encode_piece(&self, piece: &[u8], done: &mut Done, ids: &mut Vec<u32>) -> Result<()> {
        match &self.vocabulary {
            Vocabulary::Byte => ids.extend(piece.iter().copied().map(u32::from)),
            Vocabulary::Char(symbols) | Vocabulary::Symbols(symbols) => {
                let text = characters_of(piece, done.bytes)?;
                done.characters += symbols.encode(text, done.characters, ids)?;
            }
            Vocabulary::Bpe(bpe) => bpe.encode(piece, ids)?,
        }
        done.bytes += piece.len();
        Ok(())
    }

    /// The bytes of text that one id stands for: none for MASK, end-of-text and ids outside the vocabulary.
    fn put_bytes(&self, id: u32, bytes: &mut Vec<u8>) {
        if id >= self.mask_id() || Some(id) == self.end_of_text() {
            return;
        }
        match &self.vocabulary {
            Vocabulary::Byte => bytes.extend(u8::try_from(id)),
            Vocabulary::Char(symbols) | Vocabulary::Symbols(symbols) => {
                if let Some(character) = symbols.symbols().get(id as usize) {
                    bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                }
            }
            Vocabulary::Bpe(bpe) => bytes.extend_from_slice(bpe.bytes(id)),
        }
    }

    /// The bytes that these ids stand for: exactly what was encoded. MASK and end-of-text stand for none.
    pub fn decode_bytes(&self, ids: &[u32]) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(ids.len());
        for &id in ids {
            self.put_bytes(id, &mut bytes);
        }
        bytes
    }

    /// The text of these ids: MASK as `▯`, end-of-text as `<|endoftext|>`, bytes that are no UTF-8 as `<0xE4>`, ids
    /// outside the vocabulary as `�`.
    pub fn decode(&self, ids: &[u32]) -> String {
        let mut text = String::new();
        let mut run = Vec::new();
        for &id in ids {
            let before = run.len();
            self.put_bytes(id, &mut run);
            if run.len() == before {
                // Only bytes with nothing in between can be put together to characters.
                put_text(&run, &mut text);
                run.clear();
                if id == self.mask_id() {
                    text.push(MASK_IN_TEXT);
                } else if Some(id) == self.end_of_text() {
                    text.push_str(END_OF_TEXT);
                } else {
                    text.push(UNKNOWN_IN_TEXT);
                }
            }
        }
        put_text(&run, &mut text);
        text
    }

    /// One id as a vocabulary list shows it: MASK as `[MASK]`, bytes that are no character by themselves as `<0xE4>`.
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

    /// How many characters and how many bytes of text these ids stand for; MASK and end-of-text stand for none.
    ///
    /// Counts of windows add up to the count of the whole even where a cut goes through a character: it is counted
    /// with its first byte.
    pub fn measure(&self, ids: &[u32]) -> (usize, usize) {
        let mut bytes = Vec::new();
        ids.iter().fold((0, 0), |(characters, length), &id| {
            bytes.clear();
            self.put_bytes(id, &mut bytes);
            let begun = bytes.iter().filter(|&&byte| begins_character(byte)).count();
            (characters + begun, length + bytes.len())
        })
    }
}

/// Whether a byte of UTF-8 is a character's first.
fn begins_character(byte: u8) -> bool {
    byte & 0b1100_0000 != 0b1000_0000
}

/// Appends bytes as text, what is no UTF-8 written out.
fn put_text(bytes: &[u8], text: &mut String) {
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|byte| format!("<0x{byte:02X}>")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;
    use proptest::prelude::*;

    fn of(name: &str, document: &[u8]) -> Result<Tokenizer> {
        Tokenizer::for_documents(name, [Ok(document)])
    }

    fn letters() -> Tokenizer {
        of("char", "grün\n".as_bytes()).unwrap()
    }

    fn pairs() -> Tokenizer {
        of(
            "bpe:300",
            "grün, grüner, am grünsten\n".repeat(3).as_bytes(),
        )
        .unwrap()
    }

    fn signs() -> Tokenizer {
        Tokenizer::symbols(Alphabet::new("ba".chars()).unwrap())
    }

    fn all() -> [Tokenizer; 4] {
        [Tokenizer::byte(), letters(), pairs(), signs()]
    }

    proptest! {
        #[test]
        fn decoding_undoes_encoding_characters(text in "\\PC{1,40}") {
            let tokenizer = of("char", text.as_bytes()).unwrap();
            let ids = tokenizer.encode_bytes(text.as_bytes()).unwrap();
            prop_assert_eq!(&ids, &tokenizer.encode(&text).unwrap());
            prop_assert!(ids.iter().all(|&id| id < tokenizer.text_ids()));
            prop_assert_eq!(tokenizer.measure(&ids), (text.chars().count(), text.len()));
            prop_assert_eq!(tokenizer.decode_bytes(&ids), text.as_bytes());
            prop_assert_eq!(tokenizer.decode(&ids), text);
        }

        #[test]
        fn decoding_undoes_encoding_bytes_of_text(text in any::<String>()) {
            for tokenizer in [Tokenizer::byte(), pairs()] {
                let ids = tokenizer.encode(&text).unwrap();
                prop_assert_eq!(tokenizer.measure(&ids), (text.chars().count(), text.len()));
                prop_assert_eq!(tokenizer.decode(&ids), text.as_str());
            }
        }

        #[test]
        fn any_bytes_have_ids_and_a_picture(bytes in any::<Vec<u8>>()) {
            for tokenizer in [Tokenizer::byte(), pairs()] {
                let ids = tokenizer.encode_bytes(&bytes).unwrap();
                prop_assert_eq!(tokenizer.decode_bytes(&ids), bytes.as_slice());
                let picture = tokenizer.decode(&ids);
                let broken = std::str::from_utf8(&bytes).is_err();
                let written_out = bytes.windows(3).any(|part| part == b"<0x");
                prop_assert_eq!(picture.contains("<0x"), broken || written_out);
            }
        }

        #[test]
        fn measures_of_windows_add_up(text in any::<String>(), cut in any::<prop::sample::Index>()) {
            for tokenizer in [Tokenizer::byte(), pairs()] {
                let ids = tokenizer.encode(&text).unwrap();
                let (left, right) = ids.split_at(cut.index(ids.len() + 1));
                let (left, right) = (tokenizer.measure(left), tokenizer.measure(right));
                prop_assert_eq!((left.0 + right.0, left.1 + right.1), (text.chars().count(), text.len()));
            }
        }
    }

    #[test]
    fn characters_take_ids_in_code_point_order_and_mask_is_last() {
        assert_eq!(letters().vocab(), ["\n", "g", "n", "r", "ü", "[MASK]"]);
        assert_eq!((letters().vocab_size(), letters().mask_id()), (6, 5));
        assert_eq!(Tokenizer::byte().vocab_size(), 257);
    }

    #[test]
    fn characters_are_those_of_all_documents() {
        let documents = ["ba", "", "c"].map(Ok);
        let tokenizer = Tokenizer::for_documents("char", documents).unwrap();
        assert_eq!(tokenizer.vocab(), ["a", "b", "c", "[MASK]"]);
        let unreadable = [Ok("a"), Err(Error::work("gone"))];
        let error = Tokenizer::for_documents("char", unreadable).unwrap_err();
        assert_eq!(error.to_string(), "gone");
    }

    #[test]
    fn end_of_text_is_the_id_before_mask_and_stands_for_nothing() {
        for tokenizer in all() {
            let without = tokenizer.vocab_size();
            assert_eq!(tokenizer.end_of_text(), None);
            let tokenizer = tokenizer.with_end_of_text();
            let (end, mask) = (tokenizer.end_of_text().unwrap(), tokenizer.mask_id());
            assert_eq!((end, mask), (tokenizer.text_ids(), end + 1));
            assert_eq!(tokenizer.vocab_size(), without + 1);
            assert_eq!(tokenizer.vocab().len(), tokenizer.vocab_size());
            assert_eq!(tokenizer.symbol(end), "<|endoftext|>");
            assert_eq!(tokenizer.symbol(mask), "[MASK]");
            assert_eq!(
                tokenizer.decode(&[0, end, mask]),
                tokenizer.decode(&[0]) + "<|endoftext|>▯"
            );
            assert_eq!(tokenizer.measure(&[end, mask]), (0, 0));
            assert!(tokenizer.decode_bytes(&[end, mask]).is_empty());
        }
        let ids = Tokenizer::byte()
            .with_end_of_text()
            .encode("<|endoftext|>")
            .unwrap();
        assert_eq!(ids.len(), 13, "text can't end a document");
    }

    #[test]
    fn mask_and_broken_bytes_are_shown() {
        assert_eq!(letters().decode(&[1, 5, 4, 9]), "g▯ü�");
        let bytes = [b'a'.into(), 0xC3, 0xBC, 256, 0xC3, 256, 256, 0xBC, 300];
        assert_eq!(Tokenizer::byte().decode(&bytes), "aü▯<0xC3>▯▯<0xBC>�");
        assert_eq!(Tokenizer::byte().symbol(0xE4), "<0xE4>");
        assert_eq!(Tokenizer::byte().symbol(256), "[MASK]");
        let broken = pairs().encode_bytes(b"a\xC3").unwrap();
        assert_eq!(pairs().decode(&broken), "a<0xC3>");
    }

    #[test]
    fn json_brings_the_same_tokenizer_back() {
        assert_eq!(
            signs().to_json().unwrap(),
            r#"{"kind":"symbols","symbols":"ba"}"#
        );
        assert_eq!(Tokenizer::byte().to_json().unwrap(), r#"{"kind":"byte"}"#);
        assert_eq!(
            letters().with_end_of_text().to_json().unwrap(),
            r#"{"kind":"char","symbols":"\ngnrü","end_of_text":true}"#
        );
        assert_eq!(signs().encode("ab").unwrap(), [1, 0]);
        for tokenizer in all()
            .into_iter()
            .chain(all().map(Tokenizer::with_end_of_text))
        {
            let json = tokenizer.to_json().unwrap();
            let read = Tokenizer::from_json(&json).unwrap();
            assert_eq!(read, tokenizer);
            assert_eq!(read.vocab(), tokenizer.vocab());
            assert_eq!(read.to_json().unwrap(), json);
        }
        assert_ne!(pairs(), pairs().with_end_of_text());
        assert_ne!(pairs(), of("bpe:256", b"").unwrap());
        assert!(Tokenizer::from_json(r#"{"kind":"char","symbols":"aa"}"#).is_err());
        assert!(Tokenizer::from_json(r#"{"kind":"bpe","tokenizer":{}}"#).is_err());
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
            let error = of("char", bytes).unwrap_err();
            assert!(error.to_string().contains(place), "{error}");
            assert!(error.hint().unwrap().starts_with("use `--tokenizer byte`"));
            for name in ["byte", "bpe:256"] {
                let tokenizer = of(name, bytes).unwrap();
                let ids = tokenizer.encode_bytes(bytes).unwrap();
                assert_eq!(ids.len(), bytes.len());
                assert_eq!(tokenizer.decode_bytes(&ids), bytes);
            }
        }
    }

    #[test]
    fn errors_count_from_the_beginning_of_a_long_document() {
        let lines = "ü\n".repeat(100_000);
        let told = |end: &[u8]| {
            let text = [lines.as_bytes(), end].concat();
            letters().encode_bytes(&text).unwrap_err().to_string()
        };
        assert!(told(b"\xFFa").contains("byte 300000 (0xFF)"));
        assert!(told(b"\0").contains("byte 300000 is zero"));
        assert!(told(b"x").starts_with("character 200001 of the text, `x`"));
    }

    #[test]
    fn an_unknown_tokenizer_is_refused() {
        let told = |name| {
            let error = of(name, b"a").unwrap_err();
            assert_eq!(error.kind(), Kind::Input, "{name}");
            format!("{error} / {}", error.hint().unwrap_or_default())
        };
        let choices = "there are `byte`, `char`, `bpe:N` and `FILE.json`";
        assert_eq!(
            told("chars"),
            format!("there is no tokenizer `chars` / did you mean `char`? {choices}")
        );
        assert_eq!(
            told("wordpiece"),
            format!("there is no tokenizer `wordpiece` / {choices}")
        );
        assert_eq!(
            told("bpe:255"),
            "`bpe:255` has too few ids: each byte needs its own / give at least `bpe:256`"
        );
        assert_eq!(
            told("bpe:2000000"),
            "`bpe:2000000` has too many ids / give at most `bpe:1048576`"
        );
        assert_eq!(
            told("bpe:1k"),
            "`1k` in `bpe:1k` is no number of ids / `bpe:1024` trains a vocabulary of 1024 ids on the text"
        );
        assert!(told("missing.json").starts_with("can't read `missing.json`"));
    }
}

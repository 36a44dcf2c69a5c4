//! A long document is encoded piece by piece, and its pieces depend on its text alone: whoever reads it whole, in
//! chunks or in parallel gets the same ids.

use super::{Tokenizer, Vocabulary, begins_character};
use crate::error::Result;

/// A piece has at least so many bytes, unless it is the document's last.
const SMALLEST: usize = 64 << 10;

/// A piece has at most so many. The regular expressions that find words keep a step for each character of a run of
/// spaces, and give up at a million.
const LARGEST: usize = 256 << 10;

/// So many bytes decide where a piece ends, whatever follows them: the largest piece and a whole character behind it.
const ENOUGH: usize = LARGEST + 4;

/// How many bytes the next piece of a document has; `rest` is all that is left of the document, or [`ENOUGH`] of it.
///
/// A piece ends behind the first newline that has a character other than white space behind it, once it is large
/// enough; there byte-level BPE ends a word anyway. Where the largest piece has none, it ends between two characters.
pub fn piece_length(rest: &[u8]) -> usize {
    let furthest = rest.len().min(LARGEST);
    let line = (SMALLEST..=furthest).find(|&end| {
        rest[end - 1] == b'\n' && end < rest.len() && !begins_with_white_space(&rest[end..])
    });
    if let Some(end) = line {
        return end;
    }
    if rest.len() <= LARGEST {
        return rest.len();
    }
    let between_characters = |end: &usize| begins_character(rest[*end]);
    (LARGEST - 3..=LARGEST)
        .rev()
        .find(between_characters)
        .unwrap_or(LARGEST)
}

/// No white space has more than three bytes.
fn begins_with_white_space(text: &[u8]) -> bool {
    text[..text.len().min(3)]
        .utf8_chunks()
        .next()
        .and_then(|chunk| chunk.valid().chars().next())
        .is_some_and(char::is_whitespace)
}

/// The pieces of a whole document, in order.
pub(super) fn pieces(document: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = document;
    std::iter::from_fn(move || {
        let (piece, behind) = rest.split_at(piece_length(rest));
        rest = behind;
        (!piece.is_empty()).then_some(piece)
    })
}

/// Encodes one document that arrives in chunks, of which it keeps less than a piece.
///
/// The ids are those of [`Tokenizer::encode_bytes`] of the whole document, however it is cut into chunks.
#[derive(Debug)]
pub struct Encoder<'a> {
    tokenizer: &'a Tokenizer,
    waiting: Vec<u8>,
    done: Done,
}

/// How much of a document is encoded already.
#[derive(Debug, Default)]
pub(super) struct Done {
    pub bytes: usize,
    pub characters: usize,
}

impl<'a> Encoder<'a> {
    pub(super) fn new(tokenizer: &'a Tokenizer) -> Self {
        Self {
            tokenizer,
            waiting: Vec::new(),
            done: Done::default(),
        }
    }

    /// Takes the next bytes of the document and appends the ids that are certain by now.
    ///
    /// # Errors
    /// Those of [`Tokenizer::encode_bytes`]; places are counted from the document's beginning.
    pub fn push(&mut self, chunk: &[u8], ids: &mut Vec<u32>) -> Result<()> {
        if matches!(self.tokenizer.vocabulary, Vocabulary::Byte) {
            return self.tokenizer.encode_piece(chunk, &mut self.done, ids);
        }
        // A chunk may be a whole file: only what waits is ever copied.
        for part in chunk.chunks(LARGEST) {
            self.waiting.extend_from_slice(part);
            let mut begin = 0;
            while self.waiting.len() - begin >= ENOUGH {
                let end = begin + piece_length(&self.waiting[begin..]);
                let piece = &self.waiting[begin..end];
                self.tokenizer.encode_piece(piece, &mut self.done, ids)?;
                begin = end;
            }
            self.waiting.drain(..begin);
        }
        Ok(())
    }

    /// Appends the ids of what is left: the document ends here.
    ///
    /// # Errors
    /// As [`Encoder::push`].
    pub fn finish(mut self, ids: &mut Vec<u32>) -> Result<()> {
        let waiting = std::mem::take(&mut self.waiting);
        pieces(&waiting)
            .try_for_each(|piece| self.tokenizer.encode_piece(piece, &mut self.done, ids))
    }
}

//! Where one document ends and the next begins: at the end of a file, and inside a file at `<|endoftext|>`.

use std::io::{self, Read};

use super::{Tokenizer, piece_length};
use crate::error::{Error, Result};

/// What separates documents inside a text. It takes one line break before it and one behind it with it, so it can stand
/// on a line of its own.
pub const DOCUMENT_END: &str = "<|endoftext|>";

const MARKER: &[u8] = DOCUMENT_END.as_bytes();

/// Bytes of a document that are in sight when a piece is cut from it: more than a piece has, as [`piece_length`] needs.
const IN_SIGHT: usize = 1 << 20;

/// Bytes before a marker that belong to it: `\r\n`.
const BREAK_BYTES: usize = 2;

/// A document, or a part of one that is long, which has ids of its own ([`piece_length`]).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece {
    pub bytes: Vec<u8>,
    /// Whether the document begins here.
    pub first: bool,
    /// Whether the document ends here.
    pub last: bool,
}

/// Reads the documents of a file, in order. A document without a byte is none.
pub(super) struct Pieces<R> {
    reader: R,
    in_sight: usize,
    buffer: Vec<u8>,
    /// What is before it in the buffer has left.
    start: usize,
    /// No marker begins before it.
    searched: usize,
    at_end: bool,
    /// Whether what is at `start` begins a document.
    first: bool,
    failed: bool,
}

impl<R: Read> Pieces<R> {
    pub fn new(reader: R) -> Self {
        Self::with_in_sight(reader, IN_SIGHT)
    }

    fn with_in_sight(reader: R, in_sight: usize) -> Self {
        Self {
            reader,
            in_sight,
            buffer: Vec::new(),
            start: 0,
            searched: 0,
            at_end: false,
            first: true,
            failed: false,
        }
    }

    fn refill(&mut self) -> io::Result<()> {
        self.buffer.drain(..self.start);
        self.searched -= self.start;
        self.start = 0;
        let more = 2 * self.in_sight as u64;
        let read = (&mut self.reader)
            .take(more)
            .read_to_end(&mut self.buffer)?;
        self.at_end = (read as u64) < more;
        Ok(())
    }

    /// The next marker, as far as the buffer goes.
    fn find(&mut self) -> Option<usize> {
        let found = find(&self.buffer, self.searched);
        self.searched = found.unwrap_or_else(|| {
            let sure = (self.buffer.len() + 1).saturating_sub(MARKER.len());
            sure.max(self.searched)
        });
        found
    }

    /// The next piece of the current document, of which what lies before `end` is in sight, all of it or enough;
    /// `None` where nothing is left of it.
    fn piece(&mut self, end: usize, all: bool) -> Option<Piece> {
        let rest = &self.buffer[self.start..end];
        let length = piece_length(rest);
        let last = all && length == rest.len();
        let piece = Piece {
            bytes: rest[..length].to_vec(),
            first: std::mem::replace(&mut self.first, last),
            last,
        };
        self.start += length;
        (length > 0 || !piece.first).then_some(piece)
    }

    fn advance(&mut self) -> io::Result<Option<Piece>> {
        loop {
            let found = self.find();
            // A marker may begin behind this, and the line break before it.
            let certain = self.searched.saturating_sub(BREAK_BYTES);
            match found {
                // What follows a marker must be in sight: it may be a line break.
                Some(marker)
                    if self.at_end || marker + MARKER.len() + BREAK_BYTES <= self.buffer.len() =>
                {
                    let piece = self.piece(before_break(&self.buffer, self.start, marker), true);
                    if piece.as_ref().is_none_or(|piece| piece.last) {
                        self.start = behind_break(&self.buffer, marker + MARKER.len());
                        self.searched = self.start;
                    }
                    if piece.is_some() {
                        return Ok(piece);
                    }
                }
                None if self.at_end => return Ok(self.piece(self.buffer.len(), true)),
                None if certain.saturating_sub(self.start) >= self.in_sight => {
                    return Ok(self.piece(certain, false));
                }
                _ => self.refill()?,
            }
        }
    }
}

impl<R: Read> Iterator for Pieces<R> {
    type Item = io::Result<Piece>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let piece = self.advance();
        self.failed = piece.is_err();
        piece.transpose()
    }
}

/// The ids of a text: cut into documents, each followed by end-of-text, where it holds markers and the tokenizer has an
/// end-of-text, else of the text as it is.
///
/// # Errors
/// Those of [`Tokenizer::encode_bytes`]; places are counted from the beginning of a piece where there are markers.
pub fn encode_documents(tokenizer: &Tokenizer, text: &[u8]) -> Result<Vec<u32>> {
    let Some(end_of_text) = tokenizer.end_of_text().filter(|_| find(text, 0).is_some()) else {
        return tokenizer.encode_bytes(text);
    };
    let mut ids = Vec::new();
    for piece in Pieces::new(text) {
        let piece = piece
            .map_err(|error| Error::work("a text in memory can't be read").with_source(error))?;
        ids.extend(tokenizer.encode_one_piece(&piece.bytes)?);
        if piece.last {
            ids.push(end_of_text);
        }
    }
    Ok(ids)
}

/// The first marker at or behind `from`.
fn find(bytes: &[u8], from: usize) -> Option<usize> {
    let mut from = from;
    while let Some(offset) = bytes[from..].iter().position(|&byte| byte == MARKER[0]) {
        from += offset;
        if bytes[from..].starts_with(MARKER) {
            return Some(from);
        }
        from += 1;
    }
    None
}

/// Where the line break before `marker` begins, if there is one.
fn before_break(bytes: &[u8], start: usize, marker: usize) -> usize {
    match &bytes[start..marker] {
        [.., b'\r', b'\n'] => marker - 2,
        [.., b'\n'] => marker - 1,
        _ => marker,
    }
}

/// Where the line break at `position` ends, if there is one.
fn behind_break(bytes: &[u8], position: usize) -> usize {
    match &bytes[position..] {
        [b'\r', b'\n', ..] => position + 2,
        [b'\n', ..] => position + 1,
        _ => position,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn documents(text: &[u8], in_sight: usize) -> Vec<Vec<u8>> {
        let mut found: Vec<Vec<u8>> = Vec::new();
        let mut inside = false;
        for piece in Pieces::with_in_sight(text, in_sight) {
            let piece = piece.unwrap();
            assert_eq!(piece.first, !inside);
            if piece.first {
                found.push(Vec::new());
            }
            found.last_mut().unwrap().extend(&piece.bytes);
            inside = !piece.last;
        }
        assert!(!inside, "the last document ends");
        found
    }

    /// The rule without pieces.
    fn reference(text: &str) -> Vec<Vec<u8>> {
        let parts: Vec<&str> = text.split(DOCUMENT_END).collect();
        let last = parts.len() - 1;
        let strip = |(index, part): (usize, &&str)| {
            let mut part = *part;
            if index > 0 {
                let behind = part.strip_prefix("\r\n").or(part.strip_prefix('\n'));
                part = behind.unwrap_or(part);
            }
            if index < last {
                let before = part.strip_suffix("\r\n").or(part.strip_suffix('\n'));
                part = before.unwrap_or(part);
            }
            part.as_bytes().to_vec()
        };
        let documents = parts.iter().enumerate().map(strip);
        documents.filter(|document| !document.is_empty()).collect()
    }

    proptest! {
        #[test]
        fn documents_do_not_depend_on_the_size_of_pieces(
            parts in prop::collection::vec(
                prop::sample::select(vec!["a", "ü", "好", "\n", "\r\n", "\r", "<", "<|endof", DOCUMENT_END, "text|>"]), 0..40,
            ),
            in_sight in 1_usize..50,
        ) {
            let text = parts.concat();
            prop_assert_eq!(documents(text.as_bytes(), in_sight), reference(&text));
        }
    }

    #[test]
    fn pieces_of_a_long_document_have_the_ids_of_the_whole() {
        let lines = [
            "Überall und nirgends, 漢字 and   white\tspace, again and again.\r\n",
            "Here a line is better cut:\n than there.  \n\n",
        ];
        let long = lines.concat().repeat(20_000);
        let text = format!(
            "short\n{DOCUMENT_END}\n{long}\n{DOCUMENT_END}\n{}",
            "x".repeat(700_000)
        );
        let tokenizer = Tokenizer::for_documents("bpe:400", [Ok(&text)]).unwrap();
        let mut documents = vec![Vec::new()];
        let mut pieces = 0;
        for piece in Pieces::new(text.as_bytes()) {
            let piece = piece.unwrap();
            assert!(std::str::from_utf8(&piece.bytes).is_ok());
            let ids = tokenizer.encode_one_piece(&piece.bytes).unwrap();
            documents.last_mut().unwrap().extend(ids);
            pieces += 1;
            if piece.last {
                documents.push(Vec::new());
            }
        }
        assert!(pieces > 15, "{pieces}");
        let whole = ["short", &long, &"x".repeat(700_000), ""];
        assert_eq!(documents, whole.map(|text| tokenizer.encode(text).unwrap()));
    }

    #[test]
    fn a_marker_takes_its_line_with_it() {
        let all = |text: &str| documents(text.as_bytes(), 8);
        assert_eq!(
            all("one\n<|endoftext|>\ntwo\n"),
            [b"one".to_vec(), b"two\n".to_vec()]
        );
        assert_eq!(all("one<|endoftext|>two"), [b"one", b"two"]);
        assert_eq!(
            all("a\r\n<|endoftext|>\r\n\r\nb"),
            [b"a".to_vec(), b"\r\nb".to_vec()]
        );
        assert_eq!(
            all("<|endoftext|>\n<|endoftext|>\nb<|endoftext|>\n"),
            [b"b"]
        );
        assert!(all("").is_empty());
    }
}

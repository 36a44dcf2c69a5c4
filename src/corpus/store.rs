//! Tokens of many documents, read on demand from memory or from files by the same code.
//!
//! A [`TokenStore`] holds every token of a corpus, two or four bytes each, little-endian, in chunks, and where each
//! document ends. [`Tokens`] is a view of it: pieces of the store in reading order, so that a training part of whole
//! documents costs no copy and a corpus on disk takes memory only as far as it is read.

use std::iter;
use std::ops::Range;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::platform::FileBytes;

/// Tokens in a chunk of a store in memory: growing moves none of those already full.
const CHUNK_TOKENS: usize = 1 << 20;

/// Bytes of a document's end.
pub(super) const END_BYTES: usize = size_of::<u64>();

/// Bytes of a token: two where every id fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Width {
    Two,
    Four,
}

impl Width {
    /// The least that holds the ids of a vocabulary.
    pub fn of(vocab_size: usize) -> Self {
        if vocab_size <= 1 << 16 {
            Self::Two
        } else {
            Self::Four
        }
    }

    pub fn bytes(self) -> usize {
        match self {
            Self::Two => 2,
            Self::Four => 4,
        }
    }

    fn encode(self, ids: &[u32], bytes: &mut Vec<u8>) {
        match self {
            Self::Two => bytes.extend(ids.iter().flat_map(|&id| (id as u16).to_le_bytes())),
            Self::Four => bytes.extend(ids.iter().flat_map(|&id| id.to_le_bytes())),
        }
    }

    fn decode(self, bytes: &[u8], ids: &mut Vec<u32>) {
        match self {
            Self::Two => ids.extend(
                bytes
                    .as_chunks()
                    .0
                    .iter()
                    .map(|&token| u32::from(u16::from_le_bytes(token))),
            ),
            Self::Four => ids.extend(
                bytes
                    .as_chunks()
                    .0
                    .iter()
                    .map(|&token| u32::from_le_bytes(token)),
            ),
        }
    }
}

/// Every token of a corpus, and where its documents end.
#[derive(Debug)]
pub(super) struct TokenStore {
    width: Width,
    /// Each but the last has `chunk_tokens` tokens.
    chunks: Vec<FileBytes>,
    chunk_tokens: usize,
    len: usize,
    /// The position behind each document's last token: u64, little-endian.
    ends: FileBytes,
}

impl TokenStore {
    /// A store of chunks that are all full but the last.
    ///
    /// # Errors
    /// When a document ends before the one in front of it, or behind the last token.
    ///
    /// # Panics
    /// If the chunks don't hold `len` tokens.
    pub fn new(
        width: Width,
        chunks: Vec<FileBytes>,
        chunk_tokens: usize,
        len: usize,
        ends: FileBytes,
    ) -> Result<Self> {
        let bytes: usize = chunks.iter().map(|chunk| chunk.len()).sum();
        assert_eq!(bytes, len * width.bytes(), "chunks hold the store's tokens");
        let store = Self {
            width,
            chunks,
            chunk_tokens,
            len,
            ends,
        };
        let mut before = 0;
        for index in 0..store.documents() {
            let end = store.end(index);
            if end < before || end > len {
                return Err(Error::input(format!(
                    "document {index} ends at token {end}, and the one before it at {before} of {len}"
                )));
            }
            before = end;
        }
        Ok(store)
    }

    /// Number of tokens.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Number of documents.
    pub fn documents(&self) -> usize {
        self.ends.len() / END_BYTES
    }

    /// Where a document's tokens are, its end-of-text included where there is one.
    pub fn document(&self, index: usize) -> Range<usize> {
        let start = match index {
            0 => 0,
            _ => self.end(index - 1),
        };
        start..self.end(index)
    }

    fn end(&self, index: usize) -> usize {
        let end = u64::from_le_bytes(self.ends.as_chunks().0[index]);
        usize::try_from(end).unwrap_or(usize::MAX)
    }

    /// Appends the tokens of a range.
    pub fn read(&self, range: Range<usize>, ids: &mut Vec<u32>) {
        let mut position = range.start;
        while position < range.end {
            let (chunk, inside) = (position / self.chunk_tokens, position % self.chunk_tokens);
            let count = (range.end - position).min(self.chunk_tokens - inside);
            let bytes = self.width.bytes();
            self.width.decode(
                &self.chunks[chunk][inside * bytes..(inside + count) * bytes],
                ids,
            );
            position += count;
        }
    }
}

/// Where a [`Writer`] puts what it is given.
pub(super) trait Output {
    /// Adds bytes of tokens to the chunk of this number; numbers never go back.
    fn tokens(&mut self, chunk: usize, bytes: &[u8]) -> Result<()>;

    /// Adds a document's end.
    fn end(&mut self, end: u64) -> Result<()>;
}

/// Fills the chunks of a store.
#[derive(Debug)]
pub(super) struct Writer<O> {
    pub output: O,
    pub width: Width,
    pub chunk_tokens: usize,
    pub len: usize,
    pub documents: usize,
    bytes: Vec<u8>,
}

impl<O: Output> Writer<O> {
    /// An empty store.
    pub fn new(output: O, width: Width, chunk_tokens: usize) -> Self {
        Self {
            output,
            width,
            chunk_tokens,
            len: 0,
            documents: 0,
            bytes: Vec::new(),
        }
    }

    /// Adds tokens to the current document.
    pub fn push(&mut self, mut ids: &[u32]) -> Result<()> {
        while !ids.is_empty() {
            let room = self.chunk_tokens - self.len % self.chunk_tokens;
            let (now, later) = ids.split_at(room.min(ids.len()));
            self.bytes.clear();
            self.width.encode(now, &mut self.bytes);
            self.output
                .tokens(self.len / self.chunk_tokens, &self.bytes)?;
            self.len += now.len();
            ids = later;
        }
        Ok(())
    }

    /// Ends the current document.
    pub fn end_document(&mut self) -> Result<()> {
        self.documents += 1;
        self.output.end(self.len as u64)
    }
}

/// Chunks in memory.
#[derive(Debug, Default)]
pub(super) struct Memory {
    chunks: Vec<Vec<u8>>,
    ends: Vec<u8>,
}

impl Output for Memory {
    fn tokens(&mut self, chunk: usize, bytes: &[u8]) -> Result<()> {
        if self.chunks.len() <= chunk {
            // Where one chunk was filled, the next will be, as a rule.
            let full = self.chunks.last().map_or(0, Vec::len);
            self.chunks.push(Vec::with_capacity(full));
        }
        self.chunks[chunk].extend_from_slice(bytes);
        Ok(())
    }

    fn end(&mut self, end: u64) -> Result<()> {
        self.ends.extend(end.to_le_bytes());
        Ok(())
    }
}

impl Writer<Memory> {
    /// An empty store in memory for the ids of a vocabulary.
    pub fn in_memory(vocab_size: usize) -> Self {
        Self::new(Memory::default(), Width::of(vocab_size), CHUNK_TOKENS)
    }

    /// The store.
    pub fn finish(self) -> Result<TokenStore> {
        TokenStore::new(
            self.width,
            self.output
                .chunks
                .into_iter()
                .map(FileBytes::from)
                .collect(),
            self.chunk_tokens,
            self.len,
            self.output.ends.into(),
        )
    }
}

/// Keeps nothing: for counting.
#[derive(Debug)]
pub(super) struct Nothing;

impl Output for Nothing {
    fn tokens(&mut self, _chunk: usize, _bytes: &[u8]) -> Result<()> {
        Ok(())
    }

    fn end(&mut self, _end: u64) -> Result<()> {
        Ok(())
    }
}

/// A sequence of tokens that is read on demand. Cloning shares them.
#[derive(Debug, Clone)]
pub struct Tokens {
    stores: Arc<[Arc<TokenStore>]>,
    pieces: Arc<[Piece]>,
    len: usize,
}

/// Tokens that lie together in the store and in reading order.
#[derive(Debug, Clone, Copy)]
struct Piece {
    /// Where it begins in reading order.
    start: usize,
    /// Which store it lies in.
    store: usize,
    /// Where it begins there.
    from: usize,
}

impl Tokens {
    /// These ranges of a store, one after the other.
    pub(super) fn new(
        store: Arc<TokenStore>,
        ranges: impl IntoIterator<Item = Range<usize>>,
    ) -> Self {
        let mut pieces: Vec<Piece> = Vec::new();
        let mut len = 0;
        for range in ranges {
            let follows = |last: &Piece| last.from + (len - last.start) == range.start;
            if !range.is_empty() && !pieces.last().is_some_and(follows) {
                pieces.push(Piece {
                    start: len,
                    store: 0,
                    from: range.start,
                });
            }
            len += range.len();
        }
        Self {
            stores: [store].into(),
            pieces: pieces.into(),
            len,
        }
    }

    /// Several, one after the other, where they are.
    pub(super) fn joined(parts: impl IntoIterator<Item = Self>) -> Self {
        let (mut stores, mut pieces, mut len) = (Vec::new(), Vec::new(), 0);
        for part in parts {
            let before = stores.len();
            let moved = part.pieces.iter().map(|piece| Piece {
                start: len + piece.start,
                store: before + piece.store,
                from: piece.from,
            });
            pieces.extend(moved);
            stores.extend(part.stores.iter().cloned());
            len += part.len;
        }
        Self {
            stores: stores.into(),
            pieces: pieces.into(),
            len,
        }
    }

    /// Number of tokens.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The tokens at these positions.
    ///
    /// # Panics
    /// If the range ends behind the last token.
    pub fn read(&self, range: Range<usize>) -> Vec<u32> {
        assert!(
            range.end <= self.len,
            "{range:?} is outside {} tokens",
            self.len
        );
        let mut ids = Vec::with_capacity(range.len());
        let mut position = range.start;
        let mut index = self.pieces.partition_point(|piece| piece.start <= position);
        while position < range.end {
            let piece = self.pieces[index - 1];
            let end = self.pieces.get(index).map_or(self.len, |next| next.start);
            let count = (range.end - position).min(end - position);
            let from = piece.from + (position - piece.start);
            self.stores[piece.store].read(from..from + count, &mut ids);
            position += count;
            index += 1;
        }
        ids
    }

    /// All of them.
    pub fn to_vec(&self) -> Vec<u32> {
        self.read(0..self.len)
    }

    /// All of them, `step` at a time, each time with the first `overlap` of the next.
    pub(super) fn stretches(&self, step: usize, overlap: usize) -> impl Iterator<Item = Vec<u32>> {
        (0..self.len)
            .step_by(step)
            .map(move |start| self.read(start..(start + step + overlap).min(self.len)))
    }

    /// The same tokens in memory without what else the store holds, where that is worth a copy.
    pub(super) fn alone(self, vocab_size: usize) -> Result<Self> {
        let stored: usize = self.stores.iter().map(|store| store.len()).sum();
        if self.len > stored / 2 {
            return Ok(self);
        }
        let mut writer = Writer::in_memory(vocab_size);
        for stretch in self.stretches(CHUNK_TOKENS, 0) {
            writer.push(&stretch)?;
        }
        let store = Arc::new(writer.finish()?);
        Ok(Self::new(store, iter::once(0..self.len)))
    }
}

impl From<Vec<u32>> for Tokens {
    fn from(ids: Vec<u32>) -> Self {
        let width = Width::of(ids.iter().max().map_or(0, |&id| id as usize + 1));
        let mut bytes = Vec::with_capacity(ids.len() * width.bytes());
        width.encode(&ids, &mut bytes);
        let store = TokenStore {
            width,
            chunks: vec![bytes.into()],
            chunk_tokens: ids.len().max(1),
            len: ids.len(),
            ends: Vec::new().into(),
        };
        Self::new(Arc::new(store), iter::once(0..ids.len()))
    }
}

impl FromIterator<u32> for Tokens {
    fn from_iter<I: IntoIterator<Item = u32>>(ids: I) -> Self {
        ids.into_iter().collect::<Vec<u32>>().into()
    }
}

/// The same ids, wherever they are.
impl PartialEq for Tokens {
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len
            && self
                .stretches(CHUNK_TOKENS, 0)
                .eq(other.stretches(CHUNK_TOKENS, 0))
    }
}

impl Eq for Tokens {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A store of documents of these lengths whose ids count up from `first`.
    fn counting(lengths: &[usize], first: u32, chunk_tokens: usize) -> TokenStore {
        let last = first as usize + lengths.iter().sum::<usize>();
        let mut writer = Writer::new(Memory::default(), Width::of(last), chunk_tokens);
        let mut next = first;
        for &length in lengths {
            let ids: Vec<u32> = (next..next + length as u32).collect();
            let (left, right) = ids.split_at(length / 3);
            writer.push(left).unwrap();
            writer.push(right).unwrap();
            writer.end_document().unwrap();
            next += length as u32;
        }
        writer.finish().unwrap()
    }

    proptest! {
        #[test]
        fn every_range_of_every_view_reads_what_was_written(
            lengths in prop::collection::vec(0_usize..20, 1..9), chunk_tokens in 1_usize..30, wide: bool,
            order in prop::collection::vec(any::<prop::sample::Index>(), 0..9), cut in any::<(prop::sample::Index, prop::sample::Index)>(),
        ) {
            let first = if wide { 70_000 } else { 3 };
            let store = Arc::new(counting(&lengths, first, chunk_tokens));
            prop_assert_eq!(store.documents(), lengths.len());
            let ranges: Vec<_> = order.iter().map(|index| store.document(index.index(lengths.len()))).collect();
            let expected: Vec<u32> = ranges.iter().flat_map(|range| {
                range.clone().map(|position| first + position as u32)
            }).collect();
            let view = Tokens::new(store, ranges);
            prop_assert_eq!(view.len(), expected.len());
            prop_assert_eq!(&view.to_vec(), &expected);
            let (left, right) = (cut.0.index(expected.len() + 1), cut.1.index(expected.len() + 1));
            let (left, right) = (left.min(right), left.max(right));
            prop_assert_eq!(&view.read(left..right), &expected[left..right]);
            prop_assert_eq!(&view.clone().alone(100_000).unwrap(), &view);
            let joined = Tokens::joined([view.clone(), Tokens::from(Vec::new()), view.clone()]);
            let twice = [&expected[..], &expected[..]].concat();
            prop_assert_eq!(joined.to_vec(), &twice[..]);
            prop_assert_eq!(&joined.read(left.min(right)..expected.len() + left.max(right)), &twice[left.min(right)..expected.len() + left.max(right)]);
            prop_assert_eq!(&Tokens::from(expected), &view);
        }
    }

    #[test]
    fn ids_take_two_bytes_where_they_fit() {
        assert_eq!(Width::of(65_536), Width::Two);
        assert_eq!(Width::of(65_537), Width::Four);
        let largest = Tokens::from(vec![65_535, 0, 1]);
        assert_eq!(largest.stores[0].width, Width::Two);
        assert_eq!(largest.read(0..3), [65_535, 0, 1]);
    }

    #[test]
    fn ends_that_go_back_or_beyond_are_refused() {
        for ends in [[3_u64, 2], [2, 9]] {
            let ends: Vec<u8> = ends.iter().flat_map(|end| end.to_le_bytes()).collect();
            let chunk = vec![0; 8].into();
            assert!(TokenStore::new(Width::Two, vec![chunk], 4, 4, ends.into()).is_err());
        }
    }
}

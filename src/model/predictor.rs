//! What evaluation and sampling ask of a model, whatever it is made of.

use std::future::Future;
use std::ops::Range;

use crate::error::Result;
use crate::model::cache::{Cache, Read};

/// Who may see whom inside a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Visibility {
    /// Each position sees itself and what is before it.
    Causal,
    /// Every position sees every position.
    Full,
    /// Each position sees its own block of `size` positions and the blocks before it.
    Blocks {
        /// Positions in a block.
        size: usize,
    },
    /// Two copies of a window one behind the other, the first with gaps, the second whole. A block of the first sees
    /// itself and the earlier blocks of the second; the second is as [`Visibility::Blocks`]. So one pass answers for
    /// every block at once what writing block after block would ask (Arriola et al. 2025, arXiv 2503.09573, appendix
    /// B.6). Only the first copy is answered for.
    GapsAndWhole {
        /// Positions in a block.
        size: usize,
    },
}

impl Visibility {
    /// Who sees whom while blocks of `size` are written into a window of `length`; one block is everybody.
    pub fn of_blocks(size: usize, length: usize) -> Self {
        if size == length {
            Self::Full
        } else {
            Self::Blocks { size }
        }
    }

    /// How many copies of a window the model reads.
    pub fn copies(self) -> usize {
        match self {
            Self::Causal | Self::Full | Self::Blocks { .. } => 1,
            Self::GapsAndWhole { .. } => 2,
        }
    }

    /// One behind the last position of a window that `reader` sees.
    pub fn end(self, reader: usize, length: usize) -> usize {
        match self {
            Self::Full => length,
            Self::Causal => reader + 1,
            Self::Blocks { size } | Self::GapsAndWhole { size } => {
                ((reader / size + 1) * size).min(length)
            }
        }
    }

    /// The first position of a window that sees `read`: what `read` holds is nothing to those before.
    pub fn first_reader(self, read: usize) -> usize {
        match self {
            Self::Full => 0,
            Self::Causal => read,
            Self::Blocks { size } | Self::GapsAndWhole { size } => read / size * size,
        }
    }

    /// The positions that `reader` sees, in stretches; windows have `length` tokens.
    pub fn seen(self, reader: usize, length: usize) -> Vec<Range<usize>> {
        let both = match self {
            Self::GapsAndWhole { .. } if reader < length => {
                let (begin, end) = (self.first_reader(reader), self.end(reader, length));
                [begin..end, length..length + begin]
            }
            Self::GapsAndWhole { .. } => [0..0, length..length + self.end(reader - length, length)],
            _ => [0..self.end(reader, length), 0..0],
        };
        let seen = both.into_iter().filter(|stretch| !stretch.is_empty());
        seen.collect()
    }

    /// Whether the position `reader` of a sequence sees the position `read`; windows have `length` tokens.
    pub fn sees(self, reader: usize, read: usize, length: usize) -> bool {
        match self {
            Self::Full => true,
            Self::Causal => read <= reader,
            Self::Blocks { size } => read / size <= reader / size,
            Self::GapsAndWhole { size } => {
                let block = |position: usize| position % length / size;
                match (reader < length, read < length) {
                    (true, true) => block(read) == block(reader),
                    (true, false) => block(read) < block(reader),
                    (false, true) => false,
                    (false, false) => block(read) <= block(reader),
                }
            }
        }
    }
}

/// Something that turns tokens into distributions over tokens: the trained decoder, or an exact posterior.
///
/// MASK is the last id, is the start token of autoregressive models, and is never predicted: distributions are over
/// the ids before it. Inputs are `[batch * copies * length]`, row after row, with [`Visibility::copies`]; answers are
/// for `[batch * length]` positions.
pub trait Predictor {
    /// Number of token ids, MASK included.
    fn vocab_size(&self) -> usize;

    /// The id of MASK: the last one.
    fn mask_id(&self) -> u32 {
        (self.vocab_size() - 1) as u32
    }

    /// Cross-entropy of each target under the distribution at its position, in nats: `[batch * length]`.
    ///
    /// # Errors
    /// When the device fails.
    fn nats(
        &self,
        inputs: &[u32],
        targets: &[u32],
        length: usize,
        visibility: Visibility,
    ) -> impl Future<Output = Result<Vec<f64>>>;

    /// Log-probabilities of every id but MASK at every position: `[batch * length * (vocab_size - 1)]`.
    ///
    /// # Errors
    /// When the device fails.
    fn log_probabilities(
        &self,
        inputs: &[u32],
        length: usize,
        visibility: Visibility,
    ) -> impl Future<Output = Result<Vec<f32>>>;

    /// An empty memory of `rows` windows of `length` tokens.
    fn cache(&self, rows: usize, length: usize) -> Cache {
        Cache::new(rows, length, 0)
    }

    /// Log-probabilities of every id but MASK at the positions that a read answers for:
    /// `[rows * answers * (vocab_size - 1)]`; the cache then holds what was read. A predictor that keeps nothing reads
    /// the whole window, with MASK where nothing was read yet.
    ///
    /// # Errors
    /// When the read does not fit the cache or sees what was never read, or the device fails.
    fn read(&self, cache: &mut Cache, read: &Read<'_>) -> impl Future<Output = Result<Vec<f32>>> {
        async {
            cache.note(read)?;
            let inputs: Vec<u32> = read
                .rows
                .iter()
                .flat_map(|row| cache.seen(*row))
                .map(|seen| seen.unwrap_or(self.mask_id()))
                .collect();
            let (length, ids) = (cache.length(), self.vocab_size() - 1);
            let logs = self
                .log_probabilities(&inputs, length, read.visibility)
                .await?;
            let answered = &read.positions[read.answers.clone()];
            Ok(logs
                .chunks_exact(length * ids)
                .flat_map(|row| {
                    answered
                        .iter()
                        .map(|position| &row[position * ids..][..ids])
                })
                .flatten()
                .copied()
                .collect())
        }
    }
}

//! Memory of a window: the keys and values of every position, layer by layer, and the tokens that they come from.
//!
//! One operation fills and uses it, a [`Read`]: some positions are computed, theirs are put in the place of what was
//! there, and they attend to everything that their visibility allows. Which positions are read is the caller's to
//! choose. Where nobody sees what is behind him, reading what is new gives what reading everything gives; where
//! everybody sees everybody, whatever is not read again is as old as its last read, and the answer an approximation.

use std::ops::Range;
use std::sync::Arc;

use burn::tensor::{Device, Int, Tensor, TensorData};
use crossover_ops::Reading;

use crate::error::{Error, Result};
use crate::model::predictor::Visibility;

/// The memory of some windows of one length.
#[derive(Debug, Clone)]
pub struct Cache {
    length: usize,
    /// The token that each position was last read with, row after row: `[rows * length]`.
    seen: Vec<Option<u32>>,
    /// Keys and values, where the predictor keeps any.
    pub(super) layers: Vec<Layer>,
}

/// What is computed in one go.
#[derive(Debug, Clone)]
pub struct Read<'a> {
    /// Which of the cache's rows, ascending.
    pub rows: &'a [usize],
    /// Which positions of each, ascending.
    pub positions: &'a [usize],
    /// The tokens there, row after row: `[rows * positions]`.
    pub tokens: &'a [u32],
    /// Which of the positions are answered for, at least one, as indices into `positions`. The others only go through the
    /// blocks.
    pub answers: Range<usize>,
    /// Who sees whom. Each copy of a window would need a memory of its own, so only visibilities of one copy will do.
    pub visibility: Visibility,
}

impl Cache {
    /// The memory of `rows` windows of `length` tokens, none of which has been read, for a model of so many layers; none
    /// for a predictor that keeps nothing.
    pub fn new(rows: usize, length: usize, layers: usize) -> Self {
        Self {
            length,
            seen: vec![None; rows * length],
            layers: vec![Layer::default(); layers],
        }
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.seen.len() / self.length.max(1)
    }

    /// Tokens in a row.
    pub fn length(&self) -> usize {
        self.length
    }

    /// The tokens that a row's positions were last read with, `None` where they never were: `[length]`.
    pub fn seen(&self, row: usize) -> &[Option<u32>] {
        &self.seen[row * self.length..][..self.length]
    }

    /// Takes note of a read's tokens, and says how many positions it may see: `0..end` of each row.
    ///
    /// # Errors
    /// When the read does not fit the cache, or would see a position that was never read.
    pub(super) fn note(&mut self, read: &Read<'_>) -> Result<usize> {
        let ascend = |numbers: &[usize], bound: usize| {
            numbers.is_sorted_by(|left, right| left < right)
                && numbers.last().is_some_and(|last| *last < bound)
        };
        if !ascend(read.rows, self.rows())
            || !ascend(read.positions, self.length)
            || read.tokens.len() != read.rows.len() * read.positions.len()
            || read.answers.is_empty()
            || read.answers.end > read.positions.len()
            || read.visibility.copies() != 1
        {
            return Err(Error::work(format!(
                "a cache of {} x {} tokens can't be read so: {read:?}",
                self.rows(),
                self.length
            )));
        }
        let end = read
            .positions
            .iter()
            .map(|position| read.visibility.end(*position, self.length))
            .fold(0, usize::max);
        for (row, tokens) in read
            .rows
            .iter()
            .zip(read.tokens.chunks_exact(read.positions.len()))
        {
            let seen = &mut self.seen[row * self.length..][..self.length];
            for (position, token) in read.positions.iter().zip(tokens) {
                seen[*position] = Some(*token);
            }
            if let Some(position) = seen[..end].iter().position(Option::is_none) {
                return Err(Error::work(format!(
                    "position {position} of row {row} would be seen before it is read"
                )));
            }
        }
        Ok(end)
    }
}

/// One layer's memory.
#[derive(Debug, Clone, Default)]
pub(super) struct Layer {
    keys: Held,
    values: Held,
}

/// `[rows, key_value_heads, length, head_dim]`, `None` before the first read.
#[derive(Debug, Clone, Default)]
struct Held(Option<Tensor<4>>);

/// Where a read's keys and values go and what it sees, the same for every layer.
#[derive(Debug)]
pub(super) struct Places {
    rows: Axis,
    positions: Axis,
    /// Sizes of the whole cache.
    size: [usize; 2],
    /// The read sees positions before this one.
    end: usize,
}

/// A layer's memory, open at the places of a read.
#[derive(Debug)]
pub struct Memory<'a> {
    pub(super) layer: &'a mut Layer,
    pub(super) places: &'a Places,
}

impl Memory<'_> {
    /// Keys and values of what is read, each `[rows, key_value_heads, positions, head_dim]` -> of all that it sees.
    pub fn put(self, keys: Tensor<4>, values: Tensor<4>) -> (Tensor<4>, Tensor<4>) {
        (
            self.layer.keys.put(keys, self.places),
            self.layer.values.put(values, self.places),
        )
    }

    /// Fused attention of what is read, `[rows * positions, projected]` -> `[rows * positions, heads * head_dim]`; its keys and
    /// values are put in their places.
    pub fn attend(
        self,
        projected: Tensor<2>,
        scales: [Tensor<2>; 2],
        reading: Arc<Reading>,
    ) -> Tensor<2> {
        let size = [
            reading.windows,
            reading.keys,
            reading.length,
            reading.head_dim,
        ];
        let device = projected.device();
        let Layer { keys, values } = &mut *self.layer;
        let kept = [&mut *keys, &mut *values].map(|held| held.take(size, &device));
        let (mixed, [new_keys, new_values]) = crossover_ops::read(projected, scales, kept, reading);
        (keys.0, values.0) = (Some(new_keys), Some(new_values));
        mixed
    }
}

impl Held {
    /// What is held, zeros of a size before the first read. Nothing is held then.
    fn take(&mut self, size: [usize; 4], device: &Device) -> Tensor<4> {
        let held = self.0.take();
        held.unwrap_or_else(|| Tensor::zeros(size, device))
    }

    fn put(&mut self, new: Tensor<4>, places: &Places) -> Tensor<4> {
        let [_, heads, _, head_dim] = new.dims();
        let [rows, length] = places.size;
        let held = self.take([rows, heads, length, head_dim], &new.device());
        // Nobody else may hold the tensor while it is written to, or all of it is copied for a few positions.
        let (held, read) = match &places.rows {
            Axis::All => {
                let held = places.positions.put(held, 2, new);
                (held.clone(), held)
            }
            rows => {
                let read = rows.take(held.clone(), 0);
                let read = places.positions.put(read, 2, new);
                (rows.put(held, 0, read.clone()), read)
            }
        };
        self.0 = Some(held);
        read.narrow(2, 0, places.end)
    }
}

impl Places {
    pub(super) fn new(read: &Read<'_>, cache: &Cache, end: usize, device: &Device) -> Self {
        Self {
            rows: Axis::new(read.rows, cache.rows(), device),
            positions: Axis::new(read.positions, cache.length(), device),
            size: [cache.rows(), cache.length()],
            end,
        }
    }
}

/// Some indices of a dimension.
#[derive(Debug)]
enum Axis {
    All,
    Span(Range<usize>),
    Scattered(Box<Scattered>),
}

#[derive(Debug)]
struct Scattered {
    /// The indices.
    chosen: Tensor<1, Int>,
    /// For each index of the dimension, where its values are once new ones stand behind the old.
    merged: Tensor<1, Int>,
}

impl Axis {
    fn new(chosen: &[usize], size: usize, device: &Device) -> Self {
        let (first, count) = (chosen.first().copied().unwrap_or(0), chosen.len());
        if count == size {
            Self::All
        } else if chosen.last().is_some_and(|last| last + 1 - first == count) {
            Self::Span(first..first + count)
        } else {
            let indices = |indices: Vec<i32>| {
                let count = indices.len();
                Tensor::from_data(TensorData::new(indices, [count]), device)
            };
            let mut merged: Vec<i32> = (0..size as i32).collect();
            for (rank, &index) in chosen.iter().enumerate() {
                merged[index] = (size + rank) as i32;
            }
            Self::Scattered(Box::new(Scattered {
                chosen: indices(chosen.iter().map(|&index| index as i32).collect()),
                merged: indices(merged),
            }))
        }
    }

    /// What is there.
    fn take(&self, whole: Tensor<4>, dimension: usize) -> Tensor<4> {
        match self {
            Self::All => whole,
            Self::Span(span) => whole.narrow(dimension, span.start, span.len()),
            Self::Scattered(at) => whole.select(dimension, at.chosen.clone()),
        }
    }

    /// The whole with something else there.
    fn put(&self, whole: Tensor<4>, dimension: usize, new: Tensor<4>) -> Tensor<4> {
        match self {
            Self::All => new,
            Self::Span(span) => {
                let mut ranges = whole.dims().map(|size| 0..size);
                ranges[dimension] = span.clone();
                whole.slice_assign(ranges, new)
            }
            Self::Scattered(at) => {
                Tensor::cat(vec![whole, new], dimension).select(dimension, at.merged.clone())
            }
        }
    }
}

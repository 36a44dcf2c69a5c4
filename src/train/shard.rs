//! Gradients, parameters and moments of several ranks: one flat list of f32 for all of them, of which each rank may own a part.
//!
//! Ranks that keep all moments sum whole lists. With ZeRO's first stage (Rajbhandari et al. 2020, arXiv 1910.02054) a rank
//! gets the summed gradients of its own part alone, keeps the moments of that part, moves those parameters, and is told the
//! others' by them. Parts are equally long and cut through parameters where that falls so.

use std::ops::Range;

use burn::tensor::{Device, Tensor, TensorData};

use crate::error::Result;
use crate::model::decoder::values;
use crate::ranks::Ranks;

/// Values summed in one message: long enough for the network's full speed, short enough to need little memory beside.
const BUCKET: usize = 1 << 22;

/// Replaces values by their sums over all ranks, bucket after bucket.
pub fn sum(values: &mut [f32], ranks: &Ranks) {
    values
        .chunks_mut(BUCKET)
        .for_each(|bucket| ranks.sum(bucket));
}

/// Where each tensor's values are in the flat list, and how they lie in the tensor.
#[derive(Debug, Clone)]
pub struct Layout {
    sizes: Vec<[usize; 2]>,
}

/// Consecutive values of one tensor that one rank owns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// Which tensor.
    pub tensor: usize,
    /// Which of its values.
    pub values: Range<usize>,
}

impl Layout {
    /// That of a list of tensors.
    pub fn of(tensors: &[&Tensor<2>]) -> Self {
        Self {
            sizes: tensors.iter().map(|tensor| tensor.dims()).collect(),
        }
    }

    /// All values.
    pub fn total(&self) -> usize {
        self.sizes
            .iter()
            .map(|[rows, columns]| rows * columns)
            .sum()
    }

    /// How many values each of `ranks` owns; the last ones may be of nobody.
    pub fn part(&self, ranks: usize) -> usize {
        self.total().div_ceil(ranks)
    }

    /// What a rank owns of each tensor.
    pub fn pieces(&self, rank: usize, ranks: usize) -> Vec<Piece> {
        let part = self.part(ranks);
        let own = rank * part..(rank + 1) * part;
        let mut start = 0;
        let mut pieces = Vec::new();
        for (tensor, [rows, columns]) in self.sizes.iter().enumerate() {
            let end = start + rows * columns;
            let values = own.start.max(start)..own.end.min(end);
            if !values.is_empty() {
                pieces.push(Piece {
                    tensor,
                    values: values.start - start..values.end - start,
                });
            }
            start = end;
        }
        pieces
    }

    /// Whether weight decay is for this tensor: a norm's scale is kept as one row, and only matrices decay.
    pub fn decays(&self, tensor: usize) -> bool {
        self.sizes[tensor][0] > 1
    }

    /// The tensors of a flat list, which may be longer.
    pub fn tensors(&self, values: &[f32], device: &Device) -> Vec<Tensor<2>> {
        let mut rest = values;
        self.sizes
            .iter()
            .map(|[rows, columns]| {
                let (own, after) = rest.split_at(rows * columns);
                rest = after;
                Tensor::from_data(TensorData::new(own.to_vec(), [*rows, *columns]), device)
            })
            .collect()
    }
}

/// The pieces of some tensors, as tensors of one row each.
pub fn pieces_of(pieces: &[Piece], whole: &[&Tensor<2>]) -> Vec<Tensor<2>> {
    pieces
        .iter()
        .map(|piece| {
            let tensor = whole[piece.tensor].clone();
            let count = tensor.shape().num_elements();
            tensor
                .reshape([1, count])
                .narrow(1, piece.values.start, piece.values.len())
        })
        .collect()
}

/// A rank's pieces as tensors of one row each, from the values that it owns.
pub fn tensors_of(pieces: &[Piece], values: &[f32], device: &Device) -> Vec<Tensor<2>> {
    let mut rest = values;
    pieces
        .iter()
        .map(|piece| {
            let (own, after) = rest.split_at(piece.values.len());
            rest = after;
            Tensor::from_data(TensorData::new(own.to_vec(), [1, own.len()]), device)
        })
        .collect()
}

/// A rank's own values, up to the length of a part.
///
/// # Errors
/// When the device fails.
pub async fn own(pieces: Vec<Tensor<2>>, part: usize) -> Result<Vec<f32>> {
    let mut values = values(pieces).await?;
    values.resize(part, 0.0);
    Ok(values)
}

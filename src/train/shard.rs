//! Gradients, parameters and moments of several ranks: one flat list of f32 for all of them, of which each rank may own a part.
//!
//! Ranks that keep all moments sum whole lists. With ZeRO's first stage (Rajbhandari et al. 2020, arXiv 1910.02054) a rank
//! gets the summed gradients of its own part alone, keeps the moments of that part, moves those parameters, and is told the
//! others' by them. Parts are equally long and cut through parameters where that falls so.
//!
//! Where the engine reaches the ranks' devices, the list is made there and stays there; otherwise it goes through the host.

use std::ops::Range;

use burn::tensor::{Device, Tensor, TensorData};

use crate::error::Result;
use crate::model::decoder::values;
use crate::ranks::Ranks;

/// Values summed in one message: long enough for the network's full speed, short enough to need little memory beside.
const BUCKET: usize = 1 << 22;

/// The sums of gradients over all ranks, bucket after bucket.
///
/// # Errors
/// When the device or the engine fails.
pub async fn sum(
    gradients: Vec<Tensor<2>>,
    layout: &Layout,
    ranks: &Ranks,
    device: &Device,
) -> Result<Vec<Tensor<2>>> {
    let Some(devices) = ranks.on_devices() else {
        let mut values = values(gradients).await?;
        values
            .chunks_mut(BUCKET)
            .for_each(|bucket| ranks.sum(bucket));
        return Ok(layout.tensors(&values, device));
    };
    let mut rest = gradients.into_iter();
    let mut sums = Vec::with_capacity(layout.sizes.len());
    for sizes in layout.buckets() {
        let bucket: Vec<_> = rest.by_ref().take(sizes.len()).collect();
        sums.extend(cut(&devices.sum(flat(bucket, 0, device))?, sizes));
    }
    Ok(sums)
}

/// The sums over all ranks of what this one owns of the gradients, by its pieces.
///
/// # Errors
/// When the device or the engine fails.
pub async fn sum_part(
    gradients: Vec<Tensor<2>>,
    layout: &Layout,
    pieces: &[Piece],
    ranks: &Ranks,
    device: &Device,
) -> Result<Vec<Tensor<2>>> {
    let whole = layout.part(ranks.count()) * ranks.count();
    if let Some(devices) = ranks.on_devices() {
        let own = devices.sum_part(flat(gradients, whole, device))?;
        let sizes: Vec<_> = pieces.iter().map(|piece| [1, piece.values.len()]).collect();
        return Ok(cut(&own, &sizes));
    }
    let mut values = values(gradients).await?;
    values.resize(whole, 0.0);
    Ok(tensors_of(pieces, &ranks.sum_part(values), device))
}

/// The whole tensors, of which each rank gives its own pieces.
///
/// # Errors
/// When the device or the engine fails.
pub async fn join(
    own: Vec<Tensor<2>>,
    layout: &Layout,
    ranks: &Ranks,
    device: &Device,
) -> Result<Vec<Tensor<2>>> {
    let part = layout.part(ranks.count());
    if let Some(devices) = ranks.on_devices() {
        let whole = devices.join(flat(own, part, device))?;
        return Ok(cut(&whole, &layout.sizes));
    }
    let mut values = values(own).await?;
    values.resize(part, 0.0);
    Ok(layout.tensors(&ranks.join(values), device))
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

    /// Consecutive tensors whose values are summed in one message on a device: no more of them than fill a bucket.
    fn buckets(&self) -> impl Iterator<Item = &[[usize; 2]]> {
        let mut held = 0;
        self.sizes.split_inclusive(move |[rows, columns]| {
            held += rows * columns;
            let is_full = held >= BUCKET;
            held *= usize::from(!is_full);
            is_full
        })
    }

    /// The tensors of a flat list, which may be longer.
    fn tensors(&self, values: &[f32], device: &Device) -> Vec<Tensor<2>> {
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
fn tensors_of(pieces: &[Piece], values: &[f32], device: &Device) -> Vec<Tensor<2>> {
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

/// All values of some tensors in a list on their device, with zeros behind them up to a length.
fn flat(tensors: Vec<Tensor<2>>, length: usize, device: &Device) -> Tensor<1> {
    let mut held = 0;
    let mut lists: Vec<Tensor<1>> = tensors
        .into_iter()
        .map(|tensor| {
            let count = tensor.shape().num_elements();
            held += count;
            tensor.reshape([count])
        })
        .collect();
    if held < length {
        lists.push(Tensor::zeros([length - held], device));
    }
    Tensor::cat(lists, 0)
}

/// The tensors of a list on their device, which may be longer.
fn cut(values: &Tensor<1>, sizes: &[[usize; 2]]) -> Vec<Tensor<2>> {
    let mut start = 0;
    sizes
        .iter()
        .map(|[rows, columns]| {
            let own = values.clone().narrow(0, start, rows * columns);
            start += rows * columns;
            own.reshape([*rows, *columns])
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_hold_all_tensors_in_their_order_and_few_of_them() {
        let layout = |sizes: &[[usize; 2]]| Layout {
            sizes: sizes.to_vec(),
        };
        let half = [1, BUCKET / 2];
        let buckets = |sizes: &[[usize; 2]]| {
            let layout = layout(sizes);
            layout.buckets().map(<[_]>::len).collect::<Vec<_>>()
        };
        assert_eq!(buckets(&[half; 5]), [2, 2, 1]);
        // One that is larger than a bucket isn't cut.
        assert_eq!(buckets(&[[1, 3], [3, BUCKET], half, [1, 3]]), [2, 2]);
        assert_eq!(buckets(&[[2, 2]]), [1]);
    }

    #[test]
    fn a_list_on_a_device_is_cut_into_what_it_was_made_of() {
        let device = Device::flex();
        let tensor = |from: i64, sizes: [usize; 2]| {
            let count = (sizes[0] * sizes[1]) as i64;
            Tensor::<1, burn::tensor::Int>::arange(from..from + count, &device)
                .float()
                .reshape(sizes)
        };
        let sizes = [[2, 3], [1, 4]];
        let read = |tensors| pollster::block_on(values(tensors)).expect("numbers");
        let list = flat(vec![tensor(0, sizes[0]), tensor(6, sizes[1])], 12, &device);
        let cut = cut(&list, &sizes);
        assert_eq!([cut[0].dims(), cut[1].dims()], sizes);
        let mut counted: Vec<f32> = (0..10).map(|number| number as f32).collect();
        assert_eq!(read(cut), counted);
        counted.extend([0.0; 2]);
        assert_eq!(read(vec![list.reshape([1, 12])]), counted);
    }
}

//! Cross-entropy of a linear layer's outputs, without keeping them: `loss = sum over rows of weight * (logsumexp(h Wᵀ) - (h Wᵀ)[target])`.
//!
//! Rows without weight, as half of a masked model's are, are left out before the product, and the others are taken as many at a
//! time as keep the logits small. Products are burn's own; between them a cube turns each row of logits into its gradient where
//! it lies, `dlogits = weight * (softmax - onehot)`, so `dh = dlogits W` and `dW = dlogitsᵀ h` are ready before anybody asks.
//! Rows of the matrix behind the classes (MASK's) get logits too, which count nothing: cheaper than to cut the matrix and to
//! fill up its gradient.

use burn::backend::ops::{FloatTensorOps, IntTensorOps};
use burn::tensor::{FloatDType, Shape, TensorData};
use burn_cubecl::CubeBackend;
use burn_cubecl::cubecl::{self, prelude::*};
use burn_cubecl::tensor::CubeTensor;

use super::reduce::{UNITS, largest_of_units, sum_of_units, walkers};
use super::{buffer, elementwise, empty, linear, ordered, written};
use crate::dispatch::Differentiated;
use crate::request::Asked;

/// Elements of a chunk's logits: 64 MiB, half of what WebGPU promises of one binding.
const CHUNK: usize = 1 << 24;

/// Rows are filled up to a multiple of this by some without weight, where there are such: how many are masked differs from step
/// to step, and products of ever other sizes would be compiled, and find memory, anew.
const ROUND: usize = 64;

/// Below every logit, and finite: a shader may not hold infinities.
const LEAST: f32 = -3.0e38;

/// Rows that are taken at once.
fn chunk(matrix: &CubeTensor) -> usize {
    let [answers, _] = matrix.meta.shape().dims();
    (CHUNK / answers).max(1)
}

/// Rows of a tensor, by number.
fn pick(tensor: &CubeTensor, numbers: &CubeTensor) -> CubeTensor {
    CubeBackend::float_select(tensor.clone(), 0, numbers.clone())
}

/// Numbers of rows or of classes, on the device of a tensor.
fn numbers(values: Vec<u32>, beside: &CubeTensor) -> CubeTensor {
    let count = values.len();
    CubeBackend::int_from_data(TensorData::new(values, [count]), &beside.device)
}

/// Cross-entropy of each row, nats: `[rows]`.
pub fn rows(
    hidden: CubeTensor,
    matrix: CubeTensor,
    classes: usize,
    targets: Vec<u32>,
) -> CubeTensor {
    let rows = targets.len();
    let [answers, _] = matrix.meta.shape().dims();
    let client = hidden.client.clone();
    let losses = empty(&hidden, [rows]);
    let targets = numbers(targets, &hidden);
    for start in (0..rows).step_by(chunk(&matrix)) {
        let end = rows.min(start + chunk(&matrix));
        let part = pick(
            &hidden,
            &numbers((start as u32..end as u32).collect(), &hidden),
        );
        let logits = ordered(linear::forward(part, matrix.clone()));
        let (count, units) = walkers(end - start);
        nats::launch(
            &client,
            count,
            units,
            buffer(logits),
            buffer(targets.clone()),
            written(&losses),
            start,
            end - start,
            classes,
            answers,
        );
    }
    losses
}

/// The weighted sum and its gradients.
pub fn sum(hidden: CubeTensor, matrix: CubeTensor, asked: &Asked) -> Differentiated<CubeBackend> {
    let [answers, width] = matrix.meta.shape().dims();
    let client = hidden.client.clone();
    let (counted, others): (Vec<u32>, Vec<u32>) =
        (0..asked.targets.len() as u32).partition(|row| asked.weights[*row as usize] != 0.0);
    let filling = counted.len().next_multiple_of(ROUND) - counted.len();
    let kept: Vec<u32> = (counted.into_iter())
        .chain(others.into_iter().take(filling))
        .collect();
    let zeros = |shape: Shape| {
        ordered(CubeBackend::float_zeros(
            shape,
            &hidden.device,
            FloatDType::F32,
        ))
    };
    let to_hidden = zeros(hidden.meta.shape().clone());
    if kept.is_empty() {
        return Differentiated {
            loss: zeros([1].into()),
            hidden: to_hidden,
            matrix: zeros(matrix.meta.shape().clone()),
        };
    }
    let operand = |matrix: CubeTensor| linear::operand(matrix, asked.operands);
    let multiplied = operand(matrix.clone());
    let rows = || kept.iter().map(|row| *row as usize);
    let targets = numbers(rows().map(|row| asked.targets[row]).collect(), &hidden);
    let weights: Vec<f32> = rows().map(|row| asked.weights[row]).collect();
    let weights = TensorData::new(weights, [kept.len()]);
    let weights = CubeBackend::float_from_data(weights, &hidden.device);
    // A row that only fills up may have no class, and writes no loss then.
    let losses = zeros([kept.len()].into());
    let mut to_matrix: Option<CubeTensor> = None;
    for (index, part) in kept.chunks(chunk(&matrix)).enumerate() {
        let places = numbers(part.to_vec(), &hidden);
        let picked = operand(pick(&hidden, &places));
        let logits = ordered(linear::forward(picked.clone(), multiplied.clone()));
        let (count, units) = walkers(part.len());
        slopes::launch(
            &client,
            count,
            units,
            written(&logits),
            buffer(targets.clone()),
            buffer(weights.clone()),
            written(&losses),
            index * chunk(&matrix),
            part.len(),
            asked.classes,
            answers,
        );
        let logits = operand(logits);
        let back = linear::input_gradient(logits.clone(), multiplied.clone());
        let (count, units) = elementwise(&client, part.len() * width);
        put_rows::launch(
            &client,
            count,
            units,
            buffer(back),
            buffer(places),
            written(&to_hidden),
            part.len() * width,
            width,
        );
        let found = linear::weight_gradient(logits, picked);
        to_matrix = Some(match to_matrix {
            Some(sum) => CubeBackend::float_add(sum, found),
            None => found,
        });
    }
    Differentiated {
        loss: CubeBackend::float_sum(losses),
        hidden: to_hidden,
        matrix: to_matrix.unwrap_or_else(|| zeros(matrix.meta.shape().clone())),
    }
}

/// The logarithm of the sum of a row's exponentials, told to all units. Each reads its columns once and keeps the largest of
/// them and the sum below it, as in an online softmax (Milakov & Gimelshein 2018, arXiv 1805.02867).
#[cube]
fn logarithm_of_row(
    logits: &[f32],
    start: usize,
    classes: usize,
    scratch: &mut Shared<[f32]>,
) -> f32 {
    let mut most = f32::new(LEAST);
    let mut sum = 0.0f32;
    let mut class = UNIT_POS as usize;
    while class < classes {
        let logit = logits[start + class];
        let above = max(most, logit);
        sum = sum * (most - above).exp() + (logit - above).exp();
        most = above;
        class += UNITS;
    }
    let largest = largest_of_units(most, scratch);
    let total = sum_of_units(sum * (most - largest).exp(), scratch);
    largest + total.ln()
}

/// Cross-entropies of a chunk of rows; a cube walks some of them.
#[cube(launch, create_dummy_kernel)]
fn nats(
    logits: &[f32],
    targets: &[u32],
    losses: &mut [f32],
    first: usize,
    rows: usize,
    classes: usize,
    answers: usize,
) {
    let mut scratch = Shared::<[f32]>::new_slice(UNITS);
    let mut row = CUBE_POS;
    while row < rows {
        let start = row * answers;
        let logarithm = logarithm_of_row(logits, start, classes, &mut scratch);
        if UNIT_POS == 0 {
            losses[first + row] = logarithm - logits[start + targets[first + row] as usize];
        }
        row += CUBE_COUNT;
    }
}

/// Replaces a chunk's logits by the gradient of the weighted sum, and writes each row's part of that sum.
#[cube(launch, create_dummy_kernel)]
fn slopes(
    logits: &mut [f32],
    targets: &[u32],
    weights: &[f32],
    losses: &mut [f32],
    first: usize,
    rows: usize,
    classes: usize,
    answers: usize,
) {
    let mut scratch = Shared::<[f32]>::new_slice(UNITS);
    let mut row = CUBE_POS;
    while row < rows {
        let start = row * answers;
        let weight = weights[first + row];
        let target = targets[first + row] as usize;
        let logarithm = logarithm_of_row(&*logits, start, classes, &mut scratch);
        let mut class = UNIT_POS as usize;
        while class < answers {
            let logit = logits[start + class];
            let mut slope = 0.0f32;
            if class < classes {
                slope = weight * (logit - logarithm).exp();
            }
            if class == target {
                slope -= weight;
                losses[first + row] = weight * (logarithm - logit);
            }
            logits[start + class] = slope;
            class += UNITS;
        }
        row += CUBE_COUNT;
    }
}

/// `output[places[i]] = input[i]`, row by row; one element a unit.
#[cube(launch, create_dummy_kernel)]
fn put_rows(input: &[f32], places: &[u32], output: &mut [f32], elements: usize, width: usize) {
    if ABSOLUTE_POS < elements {
        let row = places[ABSOLUTE_POS / width] as usize;
        output[row * width + ABSOLUTE_POS % width] = input[ABSOLUTE_POS];
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::source::cuda;

    #[test]
    fn becomes_cuda() {
        cuda!(nats, UNITS, [l t o], 0, 8, 32, 31);
        cuda!(slopes, UNITS, [l t w o], 0, 8, 32, 31);
        cuda!(put_rows, 256, [i p o], 1024, 32);
    }
}

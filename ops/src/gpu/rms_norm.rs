//! Root-mean-square normalization (Zhang & Sennrich 2019, arXiv 1910.07467): `y = x / sqrt(mean(x²) + eps) * scale`.
//!
//! A cube walks some of the rows; its units share a row's columns. Backward, with `n = x / sqrt(mean(x²) + eps)` and
//! `g = dy * scale`, is `dx = (g - n * mean(g * n)) / sqrt(mean(x²) + eps)` and `dscale = sum over rows of dy * n`; a cube adds
//! the latter for its own rows in registers, and a second kernel adds what the cubes found.

use burn_cubecl::cubecl::{self, prelude::*};
use burn_cubecl::tensor::CubeTensor;

use super::reduce::{UNITS, sum_of_rows, sum_of_units, walkers};
use super::{buffer, empty, written};

/// At most so many cubes go back: each leaves a row to be added.
const RETURNING: usize = 256;

/// Normalises rows: `[rows, width]` and `[1, width]` -> `[rows, width]`.
pub fn forward(input: CubeTensor, scale: CubeTensor, eps: f32) -> CubeTensor {
    let [rows, width] = input.meta.shape().dims();
    let output = empty(&input, [rows, width]);
    let client = input.client.clone();
    let (count, units) = walkers(rows);
    normalise::launch(
        &client,
        count,
        units,
        buffer(input),
        buffer(scale),
        written(&output),
        rows,
        eps,
        width,
    );
    output
}

/// Gradients of the input and the scale.
pub fn backward(
    input: CubeTensor,
    scale: CubeTensor,
    eps: f32,
    gradient: CubeTensor,
) -> (CubeTensor, CubeTensor) {
    let [rows, width] = input.meta.shape().dims();
    let cubes = rows.min(RETURNING);
    let output = empty(&input, [rows, width]);
    let shares = empty(&input, [cubes, width]);
    let client = input.client.clone();
    normalise_back::launch(
        &client,
        CubeCount::new_1d(cubes as u32),
        CubeDim::new_1d(UNITS as u32),
        buffer(input),
        buffer(scale),
        buffer(gradient),
        written(&output),
        written(&shares),
        rows,
        eps,
        width,
    );
    (output, sum_of_rows(shares))
}

#[cube(launch, create_dummy_kernel)]
fn normalise(
    input: &[f32],
    scale: &[f32],
    output: &mut [f32],
    rows: usize,
    eps: f32,
    #[comptime] width: usize,
) {
    let mut scratch = Shared::<[f32]>::new_slice(UNITS);
    let unit = UNIT_POS as usize;
    let mut row = CUBE_POS;
    while row < rows {
        let start = row * width;
        let mut squares = 0.0f32;
        let mut column = unit;
        while column < width {
            squares += input[start + column] * input[start + column];
            column += UNITS;
        }
        let mean = sum_of_units(squares, &mut scratch) / width as f32;
        let root = 1.0f32 / (mean + eps).sqrt();
        let mut column = unit;
        while column < width {
            output[start + column] = input[start + column] * root * scale[column];
            column += UNITS;
        }
        row += CUBE_COUNT;
    }
}

#[cube(launch, create_dummy_kernel)]
fn normalise_back(
    input: &[f32],
    scale: &[f32],
    gradient: &[f32],
    output: &mut [f32],
    shares: &mut [f32],
    rows: usize,
    eps: f32,
    #[comptime] width: usize,
) {
    let mut scratch = Shared::<[f32]>::new_slice(UNITS);
    let unit = UNIT_POS as usize;
    let columns = comptime!(width.div_ceil(UNITS));
    let mut sums = Array::<f32>::new(columns);
    let mut row = CUBE_POS;
    while row < rows {
        let start = row * width;
        let mut squares = 0.0f32;
        let mut along = 0.0f32;
        let mut column = unit;
        while column < width {
            let x = input[start + column];
            squares += x * x;
            along += x * gradient[start + column] * scale[column];
            column += UNITS;
        }
        let mean = sum_of_units(squares, &mut scratch) / width as f32;
        let root = 1.0f32 / (mean + eps).sqrt();
        let along = sum_of_units(along, &mut scratch) * root * root / width as f32;
        for index in 0..columns {
            let column = index * UNITS + unit;
            if column < width {
                let (x, slope) = (input[start + column], gradient[start + column]);
                sums[index] += slope * x * root;
                output[start + column] = (slope * scale[column] - x * along) * root;
            }
        }
        row += CUBE_COUNT;
    }
    for index in 0..columns {
        let column = index * UNITS + unit;
        if column < width {
            shares[CUBE_POS * width + column] = sums[index];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::source::cuda;

    #[test]
    fn becomes_cuda() {
        for width in [32, 256] {
            cuda!(normalise, UNITS, [i s o], 8, 1e-6, width);
            cuda!(normalise_back, UNITS, [i s g o p], 8, 1e-6, width);
        }
    }
}

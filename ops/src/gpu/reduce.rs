//! Sums and largest values of a cube's units, and of columns.
//!
//! By workgroup memory alone: subgroups are no part of WebGPU's core. Every loop with a barrier in it is counted by what is the
//! same for all units, as browsers demand.

use std::ops::Range;

use burn_cubecl::cubecl::{self, prelude::*};
use burn_cubecl::tensor::CubeTensor;

use super::{buffer, elementwise, empty, written};

/// Units of a cube that works on rows.
pub const UNITS: usize = 64;

/// How often they are halved until one is left.
const HALVINGS: usize = UNITS.ilog2() as usize;

/// At most so many cubes walk the rows; a cube takes every so-many-th row. More would only wait for each other.
const WALKERS: usize = 4096;

/// Rows that are left of a first sum over rows.
const PARTS: usize = 64;

/// How many cubes walk some rows, and their units.
pub fn walkers(rows: usize) -> (CubeCount, CubeDim) {
    let cubes = rows.min(WALKERS) as u32;
    (CubeCount::new_1d(cubes), CubeDim::new_1d(UNITS as u32))
}

/// The sum of one number of each unit, told to all. The scratch memory holds [`UNITS`] numbers.
#[cube]
pub fn sum_of_units(value: f32, scratch: &mut Shared<[f32]>) -> f32 {
    let unit = UNIT_POS as usize;
    scratch[unit] = value;
    sync_cube();
    #[unroll]
    for step in 0..HALVINGS {
        let half = comptime!(UNITS >> (step + 1));
        if unit < half {
            scratch[unit] += scratch[unit + half];
        }
        sync_cube();
    }
    let sum = scratch[0];
    // Nobody writes the scratch memory again before all have read.
    sync_cube();
    sum
}

/// The largest of one number of each unit, told to all.
#[cube]
pub fn largest_of_units(value: f32, scratch: &mut Shared<[f32]>) -> f32 {
    let unit = UNIT_POS as usize;
    scratch[unit] = value;
    sync_cube();
    #[unroll]
    for step in 0..HALVINGS {
        let half = comptime!(UNITS >> (step + 1));
        if unit < half {
            scratch[unit] = max(scratch[unit], scratch[unit + half]);
        }
        sync_cube();
    }
    let most = scratch[0];
    sync_cube();
    most
}

/// Sums of columns: `[rows, width]` -> `[1, width]`.
///
/// A unit adds every so-many-th row of a column, so that neighbours read beside each other; then the same again.
pub fn sum_of_rows(input: CubeTensor) -> CubeTensor {
    let [rows, width] = input.meta.shape().dims();
    let parts = rows.min(PARTS);
    let sums = sum_of_some(&input, 0..rows, width, parts);
    match parts {
        1 => sums,
        _ => sum_of_some(&sums, 0..parts, width, 1),
    }
}

/// The sum of some of a matrix's rows in so many parts: `[rows.., width]` -> `[parts, width]`.
pub fn sum_of_some(
    input: &CubeTensor,
    rows: Range<usize>,
    width: usize,
    parts: usize,
) -> CubeTensor {
    let output = empty(input, [parts, width]);
    let (count, units) = elementwise(&input.client, parts * width);
    columns::launch(
        &input.client,
        count,
        units,
        buffer(input.clone()),
        written(&output),
        rows.start,
        rows.end,
        parts,
        width,
    );
    output
}

#[cube(launch, create_dummy_kernel)]
fn columns(
    input: &[f32],
    output: &mut [f32],
    begin: usize,
    end: usize,
    parts: usize,
    width: usize,
) {
    if ABSOLUTE_POS < parts * width {
        let column = ABSOLUTE_POS % width;
        let mut sum = 0.0f32;
        let mut row = begin + ABSOLUTE_POS / width;
        while row < end {
            sum += input[row * width + column];
            row += parts;
        }
        output[ABSOLUTE_POS] = sum;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::source::cuda;

    #[test]
    fn becomes_cuda() {
        cuda!(columns, 256, [i o], 0, 64, 8, 32);
    }
}

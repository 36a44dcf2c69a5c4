//! A vector times a matrix, which is what writing one token asks for: every weight is read once and used once, so the
//! matrix's way through memory is all that counts. `gemm` would first copy it into panels, which pays off from some rows on.

use multiversion::multiversion;

use super::simd::{LANES, prefetch};
use crate::parallel::{in_parallel, workers};

/// Lanes of a row's sums: enough independent ones to keep the processor's adders busy.
const SUMS: usize = 2 * LANES;
/// Elements of the matrix that are worth handing to another thread: some 30 µs of reading.
const SHARED: usize = 1 << 17;
/// How many elements ahead of a product its factors are asked for. A row of a small model is over before the processor has
/// seen where the reading leads; 512 to 4096 were equally quick, without it half as quick.
const AHEAD: usize = 1024;

/// Sets each output to the vector's product with a row of the matrix; rows are `stride` elements apart.
pub fn by_rows(vector: &[f32], matrix: &[f32], stride: usize, output: &mut [f32]) {
    let parts = (vector.len() * output.len() / SHARED).clamp(1, 2 * workers());
    if parts == 1 {
        return dots(vector, matrix, stride, output);
    }
    let rows = output.len().div_ceil(parts);
    let parts = output.chunks_mut(rows).zip(matrix.chunks(rows * stride));
    in_parallel(parts.collect(), |(output, matrix)| {
        dots(vector, matrix, stride, output);
    });
}

#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+fma", "x86_64+avx2+fma"))]
fn dots(vector: &[f32], matrix: &[f32], stride: usize, output: &mut [f32]) {
    let width = vector.len();
    for (output, row) in output.iter_mut().zip(matrix.chunks(stride)) {
        let (vectors, rest) = vector.as_chunks::<SUMS>();
        let (rows, others) = row[..width].as_chunks::<SUMS>();
        let mut sums = [0.0; SUMS];
        for (vector, row) in vectors.iter().zip(rows) {
            prefetch(row, AHEAD);
            for lane in 0..SUMS {
                sums[lane] += vector[lane] * row[lane];
            }
        }
        let (first, second) = sums.split_at(LANES);
        let sum: f32 = first.iter().zip(second).map(|(a, b)| a + b).sum();
        let rest = rest.iter().zip(others).map(|(a, b)| a * b);
        *output = sum + rest.sum::<f32>();
    }
}

/// Sets the output to the sum of the matrix's rows, each times an element of the vector; rows are `stride` elements apart.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+fma", "x86_64+avx2+fma"))]
pub fn of_rows(vector: &[f32], matrix: &[f32], stride: usize, output: &mut [f32]) {
    output.fill(0.0);
    for (element, row) in vector.iter().zip(matrix.chunks(stride)) {
        for (output, value) in output.iter_mut().zip(row) {
            *output += element * value;
        }
    }
}

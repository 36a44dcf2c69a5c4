//! A vector times a matrix, which is what writing one token asks for: every weight is read once and used once, so the
//! matrix's way through memory is all that counts. `gemm` would first copy it into panels, which pays off from some rows on.

use multiversion::multiversion;

use super::simd::LANES;
use crate::parallel::in_parallel;

/// Rows of the matrix that are read beside each other: enough independent sums to keep the processor's adders busy.
const ROWS: usize = 4;
/// Elements of the matrix from which on it is worth waking another thread: some 100 µs of reading.
const SHARED: usize = 1 << 18;

/// Sets each output to the vector's product with a row of the matrix; rows are `stride` elements apart.
pub fn by_rows(vector: &[f32], matrix: &[f32], stride: usize, output: &mut [f32]) {
    if vector.len() * output.len() < SHARED {
        return dots(vector, matrix, stride, output);
    }
    let rows = (SHARED / 2 / vector.len()).max(1).next_multiple_of(ROWS);
    let parts = output.chunks_mut(rows).zip(matrix.chunks(rows * stride));
    in_parallel(parts.collect(), |(output, matrix)| {
        dots(vector, matrix, stride, output);
    });
}

#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+fma", "x86_64+avx2+fma"))]
fn dots(vector: &[f32], matrix: &[f32], stride: usize, output: &mut [f32]) {
    let width = vector.len();
    let whole = width / LANES * LANES;
    for (number, outputs) in output.chunks_mut(ROWS).enumerate() {
        // The last ones may be fewer: a row that is there stands in for one that isn't.
        let rows: [&[f32]; ROWS] = std::array::from_fn(|row| {
            let row = number * ROWS + row.min(outputs.len() - 1);
            &matrix[row * stride..row * stride + width]
        });
        let mut lanes = [[0.0; LANES]; ROWS];
        for start in (0..whole).step_by(LANES) {
            let vector = &vector[start..start + LANES];
            for (lanes, row) in lanes.iter_mut().zip(&rows) {
                let row = &row[start..start + LANES];
                for lane in 0..LANES {
                    lanes[lane] += vector[lane] * row[lane];
                }
            }
        }
        for ((output, lanes), row) in outputs.iter_mut().zip(&lanes).zip(&rows) {
            let rest = vector[whole..].iter().zip(&row[whole..]);
            *output = lanes.iter().sum::<f32>() + rest.map(|(a, b)| a * b).sum::<f32>();
        }
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

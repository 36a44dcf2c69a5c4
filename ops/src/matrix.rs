//! Products of matrices that lie in slices, by the `gemm` crate: the same kernels that burn's processor backend uses.
#![allow(unsafe_code, reason = "`gemm` takes pointers; sizes are checked here")]

use super::vector;

/// A matrix in a slice: element (i, j) is at `i * row_stride + j * column_stride`.
#[derive(Debug, Clone, Copy)]
pub struct Matrix<'a> {
    values: &'a [f32],
    shape: [usize; 2],
    strides: [usize; 2],
}

/// A matrix in a slice, to be written to. Rows don't overlap.
#[derive(Debug)]
pub struct MatrixMut<'a> {
    values: &'a mut [f32],
    shape: [usize; 2],
    row_stride: usize,
}

fn last(shape: [usize; 2], strides: [usize; 2]) -> usize {
    (shape[0] - 1) * strides[0] + (shape[1] - 1) * strides[1]
}

impl<'a> Matrix<'a> {
    /// Rows of `columns` elements, `row_stride` apart.
    pub fn new(values: &'a [f32], rows: usize, columns: usize, row_stride: usize) -> Self {
        let (shape, strides) = ([rows, columns], [row_stride, 1]);
        assert!(rows > 0 && columns > 0 && last(shape, strides) < values.len());
        Self {
            values,
            shape,
            strides,
        }
    }

    /// Rows that follow each other.
    pub fn rows(values: &'a [f32], columns: usize) -> Self {
        Self::new(values, values.len() / columns, columns, columns)
    }

    /// Rows and columns exchanged.
    pub fn transposed(self) -> Self {
        let ([rows, columns], [down, right]) = (self.shape, self.strides);
        Self {
            shape: [columns, rows],
            strides: [right, down],
            ..self
        }
    }
}

impl<'a> MatrixMut<'a> {
    /// Rows of `columns` elements, `row_stride` apart.
    pub fn new(values: &'a mut [f32], rows: usize, columns: usize, row_stride: usize) -> Self {
        let shape = [rows, columns];
        assert!(rows > 0 && columns > 0 && columns <= row_stride);
        assert!(last(shape, [row_stride, 1]) < values.len());
        Self {
            values,
            shape,
            row_stride,
        }
    }

    /// Rows that follow each other.
    pub fn rows(values: &'a mut [f32], columns: usize) -> Self {
        let rows = values.len() / columns;
        Self::new(values, rows, columns, columns)
    }
}

/// How a product is computed and put down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// In place of what was there.
    Over,
    /// Added to what was there.
    Onto,
}

/// Multiplications from which on a product is shared among threads, as burn's processor backend has it.
#[cfg(feature = "threads")]
const SHARED: usize = 192 * 192 * 192;

/// `left · right`, row after row.
pub fn product(left: Matrix<'_>, right: Matrix<'_>) -> Vec<f32> {
    let [rows, columns] = [left.shape[0], right.shape[1]];
    if rows == 1 {
        let mut output = vec![0.0; columns];
        multiply(
            MatrixMut::rows(&mut output, columns),
            left,
            right,
            Put::Over,
        );
        return output;
    }
    let mut output = Vec::with_capacity(rows * columns);
    // SAFETY: the product fills the capacity, and what was there before is not read.
    unsafe {
        multiply_into(output.as_mut_ptr(), columns, left, right, Put::Over);
        output.set_len(rows * columns);
    }
    output
}

/// `output = left · right`, or `output += left · right`.
pub fn multiply(output: MatrixMut<'_>, left: Matrix<'_>, right: Matrix<'_>, put: Put) {
    assert_eq!(output.shape, [left.shape[0], right.shape[1]]);
    if let ([1, inner], [_, 1], Put::Over) = (left.shape, left.strides, put) {
        assert_eq!(inner, right.shape[0]);
        let (left, output) = (&left.values[..inner], &mut output.values[..right.shape[1]]);
        match right.strides {
            // A column as wide as a row could be either, and is only read right as the latter.
            [1, stride] if stride >= inner => {
                return vector::by_rows(left, right.values, stride, output);
            }
            [stride, 1] => return vector::of_rows(left, right.values, stride, output),
            _ => {}
        }
    }
    // SAFETY: the view's last element lies in its slice, which is borrowed for writing alone.
    unsafe {
        multiply_into(
            output.values.as_mut_ptr(),
            output.row_stride,
            left,
            right,
            put,
        )
    };
}

/// # Safety
/// As many rows as `left` has and columns as `right` has, `row_stride` apart, may be written at `output`; and read, where the
/// product is added.
unsafe fn multiply_into(
    output: *mut f32,
    row_stride: usize,
    left: Matrix<'_>,
    right: Matrix<'_>,
    put: Put,
) {
    let [rows, inner] = left.shape;
    let [also_inner, columns] = right.shape;
    assert_eq!(inner, also_inner);
    #[cfg(feature = "threads")]
    let parallelism = match rows * inner * columns {
        many if many >= SHARED => gemm::Parallelism::Rayon(0),
        _ => gemm::Parallelism::None,
    };
    #[cfg(not(feature = "threads"))]
    let parallelism = gemm::Parallelism::None;
    let alpha = match put {
        Put::Over => 0.0,
        Put::Onto => 1.0,
    };
    // SAFETY: the inputs' last elements lie in their slices, sizes agree, and the caller answers for the output.
    unsafe {
        gemm::gemm(
            rows,
            columns,
            inner,
            output,
            1,
            row_stride as isize,
            put == Put::Onto,
            left.values.as_ptr(),
            left.strides[1] as isize,
            left.strides[0] as isize,
            right.values.as_ptr(),
            right.strides[1] as isize,
            right.strides[0] as isize,
            alpha,
            1.0,
            false,
            false,
            false,
            parallelism,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vector_s_products_are_those_of_plain_loops() {
        let number = |i: usize| (i * 31 % 17) as f32 - 8.0;
        for (inner, columns, gap) in [(1, 1, 0), (7, 3, 2), (16, 5, 0), (65, 9, 3), (300, 700, 1)] {
            let left: Vec<f32> = (0..inner).map(number).collect();
            let [by_column, by_row] = [columns * (inner + gap), inner * (columns + gap)]
                .map(|count| (5..5 + count).map(number).collect::<Vec<f32>>());
            let by_column = Matrix::new(&by_column, columns, inner, inner + gap).transposed();
            let by_row = Matrix::new(&by_row, inner, columns, columns + gap);
            for right in [by_column, by_row] {
                let found = product(Matrix::rows(&left, inner), right);
                let [down, across] = right.strides;
                for (column, found) in found.iter().enumerate() {
                    let plain: f32 = (0..inner)
                        .map(|k| left[k] * right.values[k * down + column * across])
                        .sum();
                    assert_eq!(*found, plain, "{inner} x {columns}, column {column}");
                }
            }
        }
    }

    #[test]
    fn products_of_views_are_those_of_plain_loops() {
        let values: Vec<f32> = (0..200).map(|i| (i * 31 % 17) as f32 - 8.0).collect();
        let (rows, inner, columns) = (5, 7, 3);
        // A left matrix with gaps, a right one that lies the other way.
        let left = Matrix::new(&values, rows, inner, 11);
        let right = Matrix::new(&values[60..], columns, inner, 9).transposed();
        let mut output = vec![2.0; rows * 4];
        multiply(
            MatrixMut::new(&mut output, rows, columns, 4),
            left,
            right,
            Put::Onto,
        );
        for row in 0..rows {
            for column in 0..columns {
                let sum: f32 = (0..inner)
                    .map(|k| values[row * 11 + k] * values[60 + column * 9 + k])
                    .sum();
                assert_eq!(output[row * 4 + column], 2.0 + sum);
            }
            assert_eq!(output[row * 4 + 3], 2.0);
        }
        multiply(
            MatrixMut::new(&mut output, rows, columns, 4),
            left,
            right,
            Put::Over,
        );
        let sum: f32 = (0..inner).map(|k| values[k] * values[60 + k]).sum();
        assert_eq!(output[0], sum);
        let whole = product(left, right);
        assert_eq!(whole.len(), rows * columns);
        for (whole, output) in whole.chunks(columns).zip(output.chunks(4)) {
            assert_eq!(whole, &output[..columns]);
        }
    }
}

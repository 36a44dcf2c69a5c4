//! Sums of squares, many beside each other: the first pass of a global norm.

use multiversion::multiversion;

/// Adds the square of each element to one of the sums, to each in its turn.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+fma", "x86_64+avx2+fma"))]
pub fn add(sums: &mut [f32], elements: &[f32]) {
    for elements in elements.chunks(sums.len()) {
        for (sum, element) in sums.iter_mut().zip(elements) {
            *sum += element * element;
        }
    }
}

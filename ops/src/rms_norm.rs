//! Root-mean-square normalization (Zhang & Sennrich 2019, arXiv 1910.07467): `y = x / sqrt(mean(x²) + eps) * scale`.
//!
//! Forward reads a row twice while it is in the cache and writes it once. Backward, with `n = x / sqrt(mean(x²) + eps)` and
//! `g = dy * scale`, is `dx = (g - n * mean(g * n)) / sqrt(mean(x²) + eps)` and `dscale = sum over rows of dy * n`; it computes
//! the root again rather than keeping it.

use multiversion::multiversion;

use super::simd::{dot, dot_of_three};

#[inline(always)]
fn inverse_root(row: &[f32], eps: f32) -> f32 {
    1.0 / (dot(row, row) / row.len() as f32 + eps).sqrt()
}

/// Appends the normalised rows, of `scale.len()` elements each.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+fma", "x86_64+avx2+fma"))]
pub fn forward(input: &[f32], scale: &[f32], eps: f32, output: &mut Vec<f32>) {
    output.reserve(input.len());
    for row in input.chunks_exact(scale.len()) {
        let root = inverse_root(row, eps);
        output.extend(row.iter().zip(scale).map(|(x, scale)| x * root * scale));
    }
}

/// Appends the input's gradient and adds to the scale's.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+fma", "x86_64+avx2+fma"))]
pub fn backward(
    input: &[f32],
    scale: &[f32],
    eps: f32,
    gradient: &[f32],
    input_gradient: &mut Vec<f32>,
    scale_gradient: &mut [f32],
) {
    let width = scale.len();
    input_gradient.reserve(input.len());
    for (row, gradient) in input.chunks_exact(width).zip(gradient.chunks_exact(width)) {
        let root = inverse_root(row, eps);
        for ((sum, gradient), x) in scale_gradient.iter_mut().zip(gradient).zip(row) {
            *sum += gradient * x * root;
        }
        let along = dot_of_three(gradient, scale, row) * root * root / width as f32;
        let columns = gradient.iter().zip(scale).zip(row);
        input_gradient
            .extend(columns.map(|((gradient, scale), x)| (gradient * scale - x * along) * root));
    }
}

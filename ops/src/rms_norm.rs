//! Root-mean-square normalization (Zhang & Sennrich 2019, arXiv 1910.07467): `y = x / sqrt(mean(x²) + eps) * scale`.
//!
//! Forward reads a row twice while it is in the cache and writes it once. Backward, with `n = x / sqrt(mean(x²) + eps)` and
//! `g = dy * scale`, is `dx = (g - n * mean(g * n)) / sqrt(mean(x²) + eps)` and `dscale = sum over rows of dy * n`; it computes
//! the root again rather than keeping it.

use multiversion::multiversion;

use super::simd::dot;

#[inline(always)]
fn inverse_root(row: &[f32], eps: f32) -> f32 {
    1.0 / (dot(row, row) / row.len() as f32 + eps).sqrt()
}

/// Normalises rows of `scale.len()` elements.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+fma", "x86_64+avx2+fma"))]
pub fn forward(input: &[f32], scale: &[f32], eps: f32, output: &mut [f32]) {
    let rows = input.chunks_exact(scale.len());
    for (row, output) in rows.zip(output.chunks_exact_mut(scale.len())) {
        let root = inverse_root(row, eps);
        for ((y, x), scale) in output.iter_mut().zip(row).zip(scale) {
            *y = x * root * scale;
        }
    }
}

/// Writes the input's gradient and adds to the scale's.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+fma", "x86_64+avx2+fma"))]
pub fn backward(
    input: &[f32],
    scale: &[f32],
    eps: f32,
    gradient: &[f32],
    input_gradient: &mut [f32],
    scale_gradient: &mut [f32],
) {
    let width = scale.len();
    let rows = input.chunks_exact(width).zip(gradient.chunks_exact(width));
    for ((row, gradient), output) in rows.zip(input_gradient.chunks_exact_mut(width)) {
        let root = inverse_root(row, eps);
        for ((sum, gradient), x) in scale_gradient.iter_mut().zip(gradient).zip(row) {
            *sum += gradient * x * root;
        }
        for ((out, gradient), scale) in output.iter_mut().zip(gradient).zip(scale) {
            *out = gradient * scale;
        }
        let along = dot(output, row) * root * root / width as f32;
        for (out, x) in output.iter_mut().zip(row) {
            *out = (*out - x * along) * root;
        }
    }
}

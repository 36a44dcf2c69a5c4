//! SwiGLU's gate (Shazeer 2020, arXiv 2002.05202): `y = gate * sigmoid(gate) * up`, gate and up side by side in a row.
//!
//! One pass forward and one back, where plain operations take eight and keep four results. Backward computes the sigmoid
//! again: with `s = sigmoid(gate)`, `dgate = dy * up * s * (1 + gate * (1 - s))` and `dup = dy * gate * s`.

use multiversion::multiversion;

use super::simd::sigmoid;

/// `[rows, 2 * width]` -> `[rows, width]`.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+fma", "x86_64+avx2+fma"))]
pub fn forward(input: &[f32], width: usize, output: &mut [f32]) {
    let rows = input.chunks_exact(2 * width);
    for (row, output) in rows.zip(output.chunks_exact_mut(width)) {
        let (gate, up) = row.split_at(width);
        for ((y, gate), up) in output.iter_mut().zip(gate).zip(up) {
            *y = gate * sigmoid(*gate) * up;
        }
    }
}

/// The gradient of both: `[rows, 2 * width]`.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+fma", "x86_64+avx2+fma"))]
pub fn backward(input: &[f32], width: usize, gradient: &[f32], input_gradient: &mut [f32]) {
    let rows = input
        .chunks_exact(2 * width)
        .zip(gradient.chunks_exact(width));
    for ((row, gradient), output) in rows.zip(input_gradient.chunks_exact_mut(2 * width)) {
        let (gate, up) = row.split_at(width);
        let (to_gate, to_up) = output.split_at_mut(width);
        for index in 0..width {
            let (gate, up, gradient) = (gate[index], up[index], gradient[index]);
            let share = sigmoid(gate);
            to_gate[index] = gradient * up * share * (1.0 + gate * (1.0 - share));
            to_up[index] = gradient * gate * share;
        }
    }
}

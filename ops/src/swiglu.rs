//! SwiGLU's gate (Shazeer 2020, arXiv 2002.05202): `y = gate * sigmoid(gate) * up`, gate and up side by side in a row.
//!
//! One pass forward and one back, where plain operations take eight and keep four results. Backward computes the sigmoid
//! again: with `s = sigmoid(gate)`, `dgate = dy * up * s * (1 + gate * (1 - s))` and `dup = dy * gate * s`.

use multiversion::multiversion;

use super::simd::sigmoid;

/// Appends `[rows, width]` for `[rows, 2 * width]`.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+fma", "x86_64+avx2+fma"))]
pub fn forward(input: &[f32], width: usize, output: &mut Vec<f32>) {
    output.reserve(input.len() / 2);
    for row in input.chunks_exact(2 * width) {
        let (gate, up) = row.split_at(width);
        output.extend(
            gate.iter()
                .zip(up)
                .map(|(gate, up)| gate * sigmoid(*gate) * up),
        );
    }
}

/// Appends the gradient of both: `[rows, 2 * width]`.
#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+fma", "x86_64+avx2+fma"))]
pub fn backward(input: &[f32], width: usize, gradient: &[f32], input_gradient: &mut Vec<f32>) {
    input_gradient.reserve(input.len());
    let mut to_up = vec![0.0; width];
    let rows = input
        .chunks_exact(2 * width)
        .zip(gradient.chunks_exact(width));
    for (row, gradient) in rows {
        let (gate, up) = row.split_at(width);
        let columns = gate.iter().zip(up).zip(gradient).zip(&mut to_up);
        input_gradient.extend(columns.map(|(((gate, up), gradient), to_up)| {
            let share = sigmoid(*gate);
            *to_up = gradient * gate * share;
            gradient * up * share * (1.0 + gate * (1.0 - share))
        }));
        input_gradient.extend_from_slice(&to_up);
    }
}

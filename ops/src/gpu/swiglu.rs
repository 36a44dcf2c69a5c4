//! SwiGLU's gate (Shazeer 2020, arXiv 2002.05202): `y = gate * sigmoid(gate) * up`, gate and up side by side in a row.
//!
//! A unit computes one element of the narrow side, so that neighbours read and write beside each other, and nothing but the
//! input is kept for the way back.

use burn_cubecl::cubecl::{self, prelude::*};
use burn_cubecl::tensor::CubeTensor;

use super::{buffer, elementwise, empty, written};

/// `[rows, 2 * width]` -> `[rows, width]`.
pub fn forward(input: CubeTensor) -> CubeTensor {
    let [rows, both] = input.meta.shape().dims();
    let width = both / 2;
    let output = empty(&input, [rows, width]);
    let (count, units) = elementwise(&input.client, rows * width);
    let client = input.client.clone();
    gate::launch(
        &client,
        count,
        units,
        buffer(input),
        written(&output),
        rows * width,
        width,
    );
    output
}

/// The gradient of both: `[rows, 2 * width]`.
pub fn backward(input: CubeTensor, gradient: CubeTensor) -> CubeTensor {
    let [rows, both] = input.meta.shape().dims();
    let width = both / 2;
    let output = empty(&input, [rows, both]);
    let (count, units) = elementwise(&input.client, rows * width);
    let client = input.client.clone();
    gate_back::launch(
        &client,
        count,
        units,
        buffer(input),
        buffer(gradient),
        written(&output),
        rows * width,
        width,
    );
    output
}

#[cube]
fn sigmoid(value: f32) -> f32 {
    1.0f32 / (1.0f32 + (-value).exp())
}

/// `y = gate * sigmoid(gate) * up`, one element a unit.
#[cube(launch, create_dummy_kernel)]
fn gate(input: &[f32], output: &mut [f32], elements: usize, width: usize) {
    if ABSOLUTE_POS < elements {
        let place = ABSOLUTE_POS / width * (2 * width) + ABSOLUTE_POS % width;
        let gate = input[place];
        output[ABSOLUTE_POS] = gate * sigmoid(gate) * input[place + width];
    }
}

/// With `s = sigmoid(gate)`: `dgate = dy * up * s * (1 + gate * (1 - s))` and `dup = dy * gate * s`, both of one element a unit.
#[cube(launch, create_dummy_kernel)]
fn gate_back(input: &[f32], gradient: &[f32], output: &mut [f32], elements: usize, width: usize) {
    if ABSOLUTE_POS < elements {
        let place = ABSOLUTE_POS / width * (2 * width) + ABSOLUTE_POS % width;
        let gate = input[place];
        let share = sigmoid(gate);
        let along = gradient[ABSOLUTE_POS] * share;
        output[place] = along * input[place + width] * (1.0f32 + gate * (1.0f32 - share));
        output[place + width] = along * gate;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::source::cuda;

    #[test]
    fn becomes_cuda() {
        cuda!(gate, 256, [i o], 1024, 32);
        cuda!(gate_back, 256, [i g o], 1024, 32);
    }
}

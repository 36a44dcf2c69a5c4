//! AdamW (Loshchilov & Hutter 2019, arXiv 1711.05101) in one pass: a unit reads and writes a weight, its gradient and both
//! moments once, where plain operations launch a dozen kernels for each parameter.

use burn_cubecl::cubecl::{self, prelude::*};
use burn_cubecl::tensor::CubeTensor;

use super::{buffer, elementwise, own, written};
use crate::request::Update;

/// A parameter and its two moments; the same shape each.
pub type Moved = [CubeTensor; 3];

/// Moves every element, in place where nobody else holds a tensor. `clip`, one element, scales the gradients.
pub fn step(moved: Moved, gradient: CubeTensor, clip: CubeTensor, update: Update) -> Moved {
    let moved = moved.map(own);
    let [value, first, second] = moved.each_ref().map(written);
    let elements = gradient.meta.shape().num_elements();
    let client = gradient.client.clone();
    let (count, units) = elementwise(&client, elements);
    move_all::launch(
        &client,
        count,
        units,
        value,
        buffer(gradient),
        first,
        second,
        buffer(clip),
        elements,
        update.beta1,
        update.beta2,
        update.step_size,
        update.second_correction,
        update.epsilon,
        update.kept,
    );
    moved
}

/// `m = m b1 + g (1 - b1)`, `v = v b2 + g² (1 - b2)`, `w = w kept - step_size m / (sqrt(v) second_correction + epsilon)`, with
/// `g` the clipped gradient; one element a unit.
#[cube(launch, create_dummy_kernel)]
fn move_all(
    value: &mut [f32],
    gradient: &[f32],
    first: &mut [f32],
    second: &mut [f32],
    clip: &[f32],
    elements: usize,
    beta1: f32,
    beta2: f32,
    step_size: f32,
    second_correction: f32,
    epsilon: f32,
    kept: f32,
) {
    if ABSOLUTE_POS < elements {
        let slope = gradient[ABSOLUTE_POS] * clip[0];
        let mean = first[ABSOLUTE_POS] * beta1 + slope * (1.0f32 - beta1);
        let square = second[ABSOLUTE_POS] * beta2 + slope * slope * (1.0f32 - beta2);
        let root = square.sqrt() * second_correction + epsilon;
        first[ABSOLUTE_POS] = mean;
        second[ABSOLUTE_POS] = square;
        value[ABSOLUTE_POS] = value[ABSOLUTE_POS] * kept - mean / root * step_size;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::source::cuda;

    #[test]
    fn becomes_cuda() {
        // Value, gradient, moments, clip; elements and six numbers.
        cuda!(move_all, 256, [v g f s c], 1024, 0.9, 0.99, 1e-3, 1.0, 1e-8, 1.0);
    }
}

//! AdamW (Loshchilov & Hutter 2019, arXiv 1711.05101) in one pass: a weight, its gradient and both moments are read and written
//! once, where plain operations go through memory a dozen times.

use multiversion::multiversion;

use super::parallel::in_parallel;
use super::request::Update;

/// Elements that one thread moves at a time: enough that handing them out costs nothing.
const CHUNK: usize = 1 << 16;

/// Moves every element. `clip` scales the gradients.
pub fn step(
    values: &mut [f32],
    gradient: &[f32],
    first: &mut [f32],
    second: &mut [f32],
    clip: f32,
    update: Update,
) {
    let moments = first.chunks_mut(CHUNK).zip(second.chunks_mut(CHUNK));
    let chunks = values.chunks_mut(CHUNK).zip(gradient.chunks(CHUNK));
    in_parallel(
        chunks.zip(moments).collect(),
        |((values, gradient), (first, second))| {
            chunk(values, gradient, first, second, clip, update);
        },
    );
}

#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+fma", "x86_64+avx2+fma"))]
fn chunk(
    values: &mut [f32],
    gradient: &[f32],
    first: &mut [f32],
    second: &mut [f32],
    clip: f32,
    update: Update,
) {
    let Update {
        beta1,
        beta2,
        step_size,
        second_correction,
        epsilon,
        kept,
    } = update;
    let moments = first.iter_mut().zip(second);
    for ((value, gradient), (first, second)) in values.iter_mut().zip(gradient).zip(moments) {
        let gradient = gradient * clip;
        *first = *first * beta1 + gradient * (1.0 - beta1);
        *second = *second * beta2 + gradient * gradient * (1.0 - beta2);
        let root = second.sqrt() * second_correction + epsilon;
        *value = *value * kept - *first / root * step_size;
    }
}

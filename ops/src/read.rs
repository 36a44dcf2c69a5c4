//! Attention of some positions over a window of which the rest was read before: queries, keys and values are those of
//! [`attention`](super::attention), but keys and values stay, already normalised and turned, where the next read finds them.
//!
//! Writing left to right reads one position at a time, so each of its steps is two products of a vector with what is kept:
//! nothing is copied together, and nothing grows with the window but those.

use multiversion::multiversion;

use super::attention::{Scales, turn_head};
use super::matrix::{Matrix, MatrixMut, Put, multiply};
use super::request::Reading;
use super::simd::{exp_shifted, largest};
use crate::parallel::in_parallel;

/// Puts what is read in its place among the keys and values that are kept, `[windows, keys, length, head_dim]` each, and
/// attends: `[rows * positions, projected]` -> `[rows * positions, mixed]`.
pub fn forward(
    input: &[f32],
    scales: Scales<'_>,
    kept: [&mut [f32]; 2],
    reading: &Reading,
) -> Vec<f32> {
    let count = reading.positions.len();
    let mut output = vec![0.0; reading.rows.len() * count * reading.mixed()];
    let [keys, values] = kept;
    let windows = keys
        .chunks_exact_mut(reading.kept())
        .zip(values.chunks_exact_mut(reading.kept()));
    // Rows ascend, so those that are read are met in their order.
    let read = windows
        .enumerate()
        .filter(|(window, _)| reading.rows.binary_search(window).is_ok());
    let parts = read
        .map(|(_, kept)| kept)
        .zip(input.chunks_exact(count * reading.projected()))
        .zip(output.chunks_exact_mut(count * reading.mixed()))
        .collect();
    in_parallel(parts, |(((keys, values), input), output)| {
        window_forward(input, scales, keys, values, reading, output);
    });
    output
}

/// Normalises a head, scales it and turns it to the position of a number among those that are read.
#[inline(always)]
fn turn(
    head: &[f32],
    scale: &[f32],
    factor: f32,
    number: usize,
    reading: &Reading,
    output: &mut [f32],
) {
    let half = reading.head_dim / 2;
    let angles = number * half..(number + 1) * half;
    let angles = [&reading.cosine[angles.clone()], &reading.sine[angles]];
    turn_head(head, scale, factor, reading.eps, angles, output);
}

#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+fma", "x86_64+avx2+fma"))]
fn window_forward<'a>(
    input: &[f32],
    scales: Scales<'a>,
    keys: &mut [f32],
    values: &mut [f32],
    reading: &Reading,
    output: &mut [f32],
) {
    let (width, count, mixed) = (reading.head_dim, reading.positions.len(), reading.mixed());
    let root = 1.0 / (width as f32).sqrt();
    let group = reading.queries / reading.keys;
    let reach = reading.ends.iter().copied().max().unwrap_or(0);
    let head_of = |token: usize, head: usize| {
        let start = token * reading.projected() + head * width;
        &input[start..start + width]
    };
    let (mut queries, mut scores) = (vec![0.0; count * width], vec![0.0; count * reach]);
    for key_head in 0..reading.keys {
        let head = key_head * reading.length * width..(key_head + 1) * reading.length * width;
        let (keys, values) = (&mut keys[head.clone()], &mut values[head]);
        for (token, position) in reading.positions.iter().enumerate() {
            let place = position * width..(position + 1) * width;
            let key = head_of(token, reading.queries + key_head);
            turn(
                key,
                scales.key,
                1.0,
                token,
                reading,
                &mut keys[place.clone()],
            );
            let value = head_of(token, reading.queries + reading.keys + key_head);
            values[place].copy_from_slice(value);
        }
        let (keys, values) = (&keys[..reach * width], &values[..reach * width]);
        for head in key_head * group..(key_head + 1) * group {
            for (token, query) in queries.chunks_exact_mut(width).enumerate() {
                turn(
                    head_of(token, head),
                    scales.query,
                    root,
                    token,
                    reading,
                    query,
                );
            }
            multiply(
                MatrixMut::rows(&mut scores, reach),
                Matrix::rows(&queries, width),
                Matrix::rows(keys, width).transposed(),
                Put::Over,
            );
            for (scores, end) in scores.chunks_exact_mut(reach).zip(&reading.ends) {
                let (seen, hidden) = scores.split_at_mut(*end);
                let sum = exp_shifted(seen, largest(seen));
                for weight in seen {
                    *weight /= sum;
                }
                hidden.fill(0.0);
            }
            multiply(
                MatrixMut::new(&mut output[head * width..], count, width, mixed),
                Matrix::rows(&scores, reach),
                Matrix::rows(values, width),
                Put::Over,
            );
        }
    }
}

//! Attention over projected tokens: queries and keys are normalised by head (RMSNorm with a learned scale), turned to their
//! positions (Su et al. 2021, arXiv 2104.09864), and weighed by softmax.
//!
//! No matrix of all pairs of tokens is kept, as in FlashAttention (Dao 2023, arXiv 2307.08691): a tile of queries meets the keys
//! that any of them sees, block by block. A block's weights fill one scratch matrix; what was summed before is shrunk where a
//! larger score comes (Milakov & Gimelshein 2018, arXiv 1805.02867), and of each query only the logarithm of the sum of its
//! exponentials stays. Backward computes the weights again from that. With `P` the weights, `O = P V` the output, and
//! `D_i = dO_i · O_i`:
//!
//! ```text
//! dV = Pᵀ dO    dS = P * (dO Vᵀ - D)    dQ = dS K    dK = dSᵀ Q
//! ```
//!
//! With dropout of weights, `M` 0 where one is dropped and else `1 / (1 - rate)`, `P` is `P * M` in `O` and `dV`, and
//! `dS = P * (M * (dO Vᵀ) - D)`; `D` is what it was.
//!
//! Tiles that a causal model doesn't see are never computed. A row of the input holds all heads' queries, then keys, then
//! values, so no head is copied together before the products, which take strides.

use std::ops::Range;

use multiversion::multiversion;

use super::matrix::{Matrix, MatrixMut, Put, multiply};
use super::request::{Heads, Kept};
use super::simd::{dot, exp, exp_shifted, largest};
use crate::parallel::in_parallel;

/// Queries that are weighed at once.
const TILE: usize = 128;
/// Keys that a tile meets at once: its scores, and on the way back their gradients beside them, stay in the second-level cache.
const KEYS: usize = 512;

impl Heads {
    /// Each sequence's part of dropout's mask.
    fn masks(&self, sequences: usize) -> Vec<Option<Mask<'_>>> {
        let Some(Kept { mask, scale }) = &self.kept else {
            return vec![None; sequences];
        };
        let parts = mask.chunks_exact(self.queries * self.length * self.length);
        let length = self.length;
        parts
            .map(|kept| {
                Some(Mask {
                    kept,
                    length,
                    scale: *scale,
                })
            })
            .collect()
    }

    /// All keys that some of these queries see, and what lies between them.
    fn reach(&self, queries: Range<usize>) -> Range<usize> {
        let seen = self.positions.seen[queries].iter().flatten();
        let start = seen.clone().map(|stretch| stretch.start).min();
        let end = seen.map(|stretch| stretch.end).max();
        start.unwrap_or(0)..end.unwrap_or(0)
    }

    /// Blocks of those keys, in order; without such as lie between and nobody sees.
    fn blocks_of_keys(&self, queries: Range<usize>) -> impl Iterator<Item = Range<usize>> {
        let reach = self.reach(queries.clone());
        let seen = &self.positions.seen[queries];
        (reach.clone().step_by(KEYS))
            .map(move |start| start..(start + KEYS).min(reach.end))
            .filter(move |keys| {
                let mut stretches = seen.iter().flatten();
                stretches.any(|seen| seen.start < keys.end && keys.start < seen.end)
            })
    }

    /// Some tokens of what [`lay_across`] has made: `[head_dim, tokens]`.
    fn block<'a>(&self, across: &'a [f32], tokens: &Range<usize>) -> Matrix<'a> {
        let tail = &across[tokens.start..];
        Matrix::new(tail, self.head_dim, tokens.len(), self.length)
    }

    /// The column at which a head begins: query heads, then key heads, then value heads.
    fn columns(&self, head: usize) -> Range<usize> {
        head * self.head_dim..(head + 1) * self.head_dim
    }
}

/// What of a stretch is among some keys, counted from the first of those.
#[inline(always)]
fn among(seen: &Range<usize>, keys: &Range<usize>) -> Range<usize> {
    let place = |key: usize| key.clamp(keys.start, keys.end) - keys.start;
    place(seen.start)..place(seen.end)
}

/// What dropout leaves of one sequence's weights.
#[derive(Debug, Clone, Copy)]
struct Mask<'a> {
    /// `[queries, length, length]`
    kept: &'a [u8],
    length: usize,
    scale: f32,
}

impl Mask<'_> {
    /// Of some keys, for a head and a query.
    #[inline(always)]
    fn row(&self, head: usize, query: usize, keys: Range<usize>) -> &[u8] {
        let start = (head * self.length + query) * self.length;
        &self.kept[start + keys.start..start + keys.end]
    }
}

/// The scales of queries and keys, `[head_dim]` each. Scores are divided by the root of the width: the queries' scale holds that.
#[derive(Debug, Clone, Copy)]
pub struct Scales<'a> {
    /// Of queries.
    pub query: &'a [f32],
    /// Of keys.
    pub key: &'a [f32],
}

/// Attention of a batch: `[batch * length, projected]` -> `[batch * length, mixed]`, and for each sequence, head and query the
/// logarithm of the sum of exponentials.
pub fn forward(input: &[f32], scales: Scales<'_>, heads: &Heads) -> (Vec<f32>, Vec<f32>) {
    let sequences = input.len() / (heads.length * heads.projected());
    let mut output = vec![0.0; sequences * heads.length * heads.mixed()];
    let mut logarithms = vec![0.0; sequences * heads.length * heads.queries];
    let parts = (input.chunks_exact(heads.length * heads.projected()))
        .zip(output.chunks_exact_mut(heads.length * heads.mixed()))
        .zip(logarithms.chunks_exact_mut(heads.length * heads.queries))
        .zip(heads.masks(sequences))
        .collect();
    in_parallel(parts, |(((input, output), logarithms), mask)| {
        sequence_forward(input, scales, heads, mask, output, logarithms);
    });
    (output, logarithms)
}

/// What [`backward`] is given: what [`forward`] was given and gave, and the gradient of its output.
#[derive(Debug, Clone, Copy)]
pub struct Backward<'a> {
    /// `[batch * length, projected]`
    pub input: &'a [f32],
    /// The scales.
    pub scales: Scales<'a>,
    /// `[batch * length, mixed]`
    pub output: &'a [f32],
    /// `[batch, queries, length]`
    pub logarithms: &'a [f32],
    /// `[batch * length, mixed]`
    pub gradient: &'a [f32],
}

/// Gradients of the input, of the queries' scale and of the keys'.
#[derive(Debug, Clone, PartialEq)]
pub struct Gradients {
    /// `[batch * length, projected]`
    pub input: Vec<f32>,
    /// `[head_dim]`
    pub query_scale: Vec<f32>,
    /// `[head_dim]`
    pub key_scale: Vec<f32>,
}

/// The way back.
pub fn backward(of: Backward<'_>, heads: &Heads) -> Gradients {
    let (wide, narrow) = (
        heads.length * heads.projected(),
        heads.length * heads.mixed(),
    );
    let mut input = vec![0.0; of.input.len()];
    let parts = (input.chunks_exact_mut(wide))
        .zip(of.input.chunks_exact(wide))
        .zip(of.output.chunks_exact(narrow))
        .zip(of.logarithms.chunks_exact(heads.length * heads.queries))
        .zip(of.gradient.chunks_exact(narrow))
        .zip(heads.masks(of.input.len() / wide))
        .collect();
    let scales = in_parallel(
        parts,
        |(((((to_input, input), output), logarithms), gradient), mask)| {
            let part = Backward {
                input,
                output,
                logarithms,
                gradient,
                ..of
            };
            let mut scales = vec![0.0; 2 * heads.head_dim];
            sequence_backward(part, heads, mask, to_input, &mut scales);
            scales
        },
    );
    let mut sums = vec![0.0; 2 * heads.head_dim];
    for part in &scales {
        for (sum, part) in sums.iter_mut().zip(part) {
            *sum += part;
        }
    }
    let key_scale = sums.split_off(heads.head_dim);
    Gradients {
        input,
        query_scale: sums,
        key_scale,
    }
}

/// What [`turn`] is given: one head of each token, from its first column on, and the scale.
struct Turned<'a> {
    input: &'a [f32],
    /// Elements from one token to the next.
    row: usize,
    scale: &'a [f32],
    /// What the scale is multiplied by.
    factor: f32,
}

/// Normalises one head of one token, scales it, and turns it by cosines and sines: `[head_dim]` -> the same.
#[inline(always)]
pub fn turn_head(
    head: &[f32],
    scale: &[f32],
    factor: f32,
    eps: f32,
    [cosine, sine]: [&[f32]; 2],
    output: &mut [f32],
) {
    let half = head.len() / 2;
    let root = factor / (dot(head, head) / head.len() as f32 + eps).sqrt();
    let (first, second) = output.split_at_mut(half);
    for index in 0..half {
        let a = head[index] * root * scale[index];
        let b = head[half + index] * root * scale[half + index];
        first[index] = a * cosine[index] - b * sine[index];
        second[index] = b * cosine[index] + a * sine[index];
    }
}

/// Normalises one head of each token, scales it and turns it to its position: `[length, row]` -> `[length, head_dim]`.
#[inline(always)]
fn turn(of: &Turned<'_>, heads: &Heads, output: &mut [f32]) {
    let width = heads.head_dim;
    let half = width / 2;
    let positions = &heads.positions;
    let angles = (positions.cosine.chunks_exact(half)).zip(positions.sine.chunks_exact(half));
    let tokens = output.chunks_exact_mut(width).zip(angles);
    for (position, (output, (cosine, sine))) in tokens.enumerate() {
        let head = &of.input[position * of.row..position * of.row + width];
        let angles = [cosine, sine];
        turn_head(head, of.scale, of.factor, heads.eps, angles, output);
    }
}

/// Transposes one head of each token, `[length, row]` -> `[width, length]`: every tile of queries multiplies by it so, and would
/// have it put in order again.
#[inline(always)]
fn lay_across(input: &[f32], row: usize, width: usize, output: &mut [f32]) {
    /// Tokens whose heads stay in the first-level cache meanwhile.
    const TOKENS: usize = 16;
    let length = output.len() / width;
    for start in (0..length).step_by(TOKENS) {
        for (column, output) in output.chunks_exact_mut(length).enumerate() {
            let tokens = start..(start + TOKENS).min(length);
            for token in tokens {
                output[token] = input[token * row + column];
            }
        }
    }
}

/// The way back through [`turn`]: writes the gradient of the head's columns and adds to the scale's.
#[inline(always)]
fn turn_back(
    of: &Turned<'_>,
    heads: &Heads,
    gradient: &mut [f32],
    input_gradient: &mut [f32],
    scale_gradient: &mut [f32],
) {
    let width = heads.head_dim;
    let half = width / 2;
    let positions = &heads.positions;
    let angles = (positions.cosine.chunks_exact(half)).zip(positions.sine.chunks_exact(half));
    for (position, (turned, (cosine, sine))) in
        gradient.chunks_exact_mut(width).zip(angles).enumerate()
    {
        let place = position * of.row..position * of.row + width;
        let head = &of.input[place.clone()];
        let root = 1.0 / (dot(head, head) / width as f32 + heads.eps).sqrt();
        let (first, second) = turned.split_at_mut(half);
        for index in 0..half {
            let (a, b) = (first[index], second[index]);
            first[index] = (a * cosine[index] + b * sine[index]) * of.factor;
            second[index] = (b * cosine[index] - a * sine[index]) * of.factor;
        }
        for index in 0..width {
            scale_gradient[index] += turned[index] * head[index] * root;
            turned[index] *= of.scale[index];
        }
        let along = dot(turned, head) * root * root / width as f32;
        let output = &mut input_gradient[place];
        for index in 0..width {
            output[index] = (turned[index] - head[index] * along) * root;
        }
    }
}

/// The first `count` values of what is left of a sequence's memory. It is asked for at once: the allocator keeps pages of
/// their own for each size, and for each thread.
fn take<'a>(rest: &mut &'a mut [f32], count: usize) -> &'a mut [f32] {
    let (taken, behind) = std::mem::take(rest).split_at_mut(count);
    *rest = behind;
    taken
}

#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+fma", "x86_64+avx2+fma"))]
fn sequence_forward<'a>(
    input: &[f32],
    scales: Scales<'a>,
    heads: &Heads,
    mask: Option<Mask<'a>>,
    output: &mut [f32],
    logarithms: &mut [f32],
) {
    let (length, width, row) = (heads.length, heads.head_dim, heads.projected());
    let root = 1.0 / (width as f32).sqrt();
    let (of_head, of_tile) = (length * width, TILE.min(length) * KEYS.min(length));
    let mut memory = vec![0.0; 3 * of_head + of_tile];
    let mut rest = &mut memory[..];
    let [queries, keys, keys_across] = [of_head; 3].map(|count| take(&mut rest, count));
    let scores = rest;
    for key_head in 0..heads.keys {
        let columns = heads.columns(heads.queries + key_head);
        let of_keys = Turned {
            input: &input[columns.start..],
            row,
            scale: scales.key,
            factor: 1.0,
        };
        turn(&of_keys, heads, keys);
        lay_across(keys, width, width, keys_across);
        let values = &input[heads.columns(heads.queries + heads.keys + key_head).start..];
        for head in key_head * heads.group()..(key_head + 1) * heads.group() {
            let columns = heads.columns(head);
            let of_queries = Turned {
                input: &input[columns.start..],
                row,
                scale: scales.query,
                factor: root,
            };
            turn(&of_queries, heads, queries);
            for start in (0..length).step_by(TILE) {
                let tile = start..(start + TILE).min(length);
                let mixed = &mut output[tile.start * heads.mixed() + columns.start..];
                let (mut largest_yet, mut sums) = ([f32::NEG_INFINITY; TILE], [0.0; TILE]);
                let mut put = Put::Over;
                for block in heads.blocks_of_keys(tile.clone()) {
                    let scores = &mut scores[..tile.len() * block.len()];
                    multiply(
                        MatrixMut::rows(scores, block.len()),
                        Matrix::rows(&queries[tile.start * width..tile.end * width], width),
                        heads.block(keys_across, &block),
                        Put::Over,
                    );
                    let rows = (scores.chunks_exact_mut(block.len()))
                        .zip(mixed.chunks_mut(heads.mixed()))
                        .zip(tile.clone());
                    let sums = largest_yet.iter_mut().zip(&mut sums);
                    for (((scores, mixed), query), (most, sum)) in rows.zip(sums) {
                        let seen = &heads.positions.seen[query];
                        let before = *most;
                        for seen in seen {
                            *most = most.max(largest(&scores[among(seen, &block)]));
                        }
                        if *sum > 0.0 && *most > before {
                            let shrunk = exp(before - *most);
                            *sum *= shrunk;
                            for value in &mut mixed[..width] {
                                *value *= shrunk;
                            }
                        }
                        let mut from = 0;
                        for seen in seen {
                            let stretch = among(seen, &block);
                            scores[from..stretch.start].fill(0.0);
                            *sum += exp_shifted(&mut scores[stretch.clone()], *most);
                            if let Some(mask) = mask {
                                let start = block.start + stretch.start;
                                let kept = mask.row(head, query, start..start + stretch.len());
                                for (weight, kept) in scores[stretch.clone()].iter_mut().zip(kept) {
                                    *weight *= f32::from(*kept) * mask.scale;
                                }
                            }
                            from = stretch.end;
                        }
                        scores[from..].fill(0.0);
                    }
                    multiply(
                        MatrixMut::new(mixed, tile.len(), width, heads.mixed()),
                        Matrix::rows(scores, block.len()),
                        Matrix::new(&values[block.start * row..], block.len(), width, row),
                        put,
                    );
                    put = Put::Onto;
                }
                for ((most, sum), query) in largest_yet.iter().zip(&sums).zip(tile.clone()) {
                    logarithms[head * length + query] = most + sum.ln();
                }
                for (mixed, sum) in mixed.chunks_mut(heads.mixed()).zip(&sums[..tile.len()]) {
                    for value in &mut mixed[..width] {
                        *value /= sum;
                    }
                }
            }
        }
    }
}

#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl+fma", "x86_64+avx2+fma"))]
fn sequence_backward<'a>(
    of: Backward<'a>,
    heads: &Heads,
    mask: Option<Mask<'a>>,
    input_gradient: &mut [f32],
    scale_gradients: &mut [f32],
) {
    let (length, width) = (heads.length, heads.head_dim);
    let (row, mixed) = (heads.projected(), heads.mixed());
    let root = 1.0 / (width as f32).sqrt();
    let (query_scale, key_scale) = scale_gradients.split_at_mut(width);
    let (of_head, of_tile) = (length * width, TILE.min(length) * KEYS.min(length));
    let mut memory = vec![0.0; 7 * of_head + 2 * of_tile];
    let mut rest = &mut memory[..];
    let [queries, keys] = [of_head; 2].map(|count| take(&mut rest, count));
    let [keys_across, values_across] = [of_head; 2].map(|count| take(&mut rest, count));
    let [to_queries, to_keys, to_values] = [of_head; 3].map(|count| take(&mut rest, count));
    let (weights, slopes) = rest.split_at_mut(of_tile);
    for key_head in 0..heads.keys {
        let key_columns = heads.columns(heads.queries + key_head);
        let of_keys = Turned {
            input: &of.input[key_columns.start..],
            row,
            scale: of.scales.key,
            factor: 1.0,
        };
        turn(&of_keys, heads, keys);
        let value_columns = heads.columns(heads.queries + heads.keys + key_head);
        lay_across(keys, width, width, keys_across);
        lay_across(&of.input[value_columns.start..], row, width, values_across);
        to_keys.fill(0.0);
        to_values.fill(0.0);
        for head in key_head * heads.group()..(key_head + 1) * heads.group() {
            let columns = heads.columns(head);
            let of_queries = Turned {
                input: &of.input[columns.start..],
                row,
                scale: of.scales.query,
                factor: root,
            };
            turn(&of_queries, heads, queries);
            for start in (0..length).step_by(TILE) {
                let tile = start..(start + TILE).min(length);
                let of_tile = tile.start * width..tile.end * width;
                let queries = Matrix::rows(&queries[of_tile.clone()], width);
                let place = tile.start * mixed + columns.start;
                let gradient = Matrix::new(&of.gradient[place..], tile.len(), width, mixed);
                let mut deltas = [0.0; TILE];
                for (delta, query) in deltas.iter_mut().zip(tile.clone()) {
                    let place = query * mixed + columns.start..query * mixed + columns.end;
                    *delta = dot(&of.output[place.clone()], &of.gradient[place]);
                }
                let mut put = Put::Over;
                for block in heads.blocks_of_keys(tile.clone()) {
                    let weights = &mut weights[..tile.len() * block.len()];
                    let slopes = &mut slopes[..tile.len() * block.len()];
                    let of_block = block.start * width..block.end * width;
                    let keys = Matrix::rows(&keys[of_block.clone()], width);
                    multiply(
                        MatrixMut::rows(weights, block.len()),
                        queries,
                        heads.block(keys_across, &block),
                        Put::Over,
                    );
                    multiply(
                        MatrixMut::rows(slopes, block.len()),
                        gradient,
                        heads.block(values_across, &block),
                        Put::Over,
                    );
                    let rows = (weights.chunks_exact_mut(block.len()))
                        .zip(slopes.chunks_exact_mut(block.len()));
                    for (((weights, slopes), query), delta) in rows.zip(tile.clone()).zip(deltas) {
                        let logarithm = of.logarithms[head * length + query];
                        let mut from = 0;
                        for seen in &heads.positions.seen[query] {
                            let stretch = among(seen, &block);
                            weights[from..stretch.start].fill(0.0);
                            slopes[from..stretch.start].fill(0.0);
                            let pairs = weights[stretch.clone()]
                                .iter_mut()
                                .zip(&mut slopes[stretch.clone()]);
                            match mask {
                                None => {
                                    for (weight, slope) in pairs {
                                        *weight = exp(*weight - logarithm);
                                        *slope = *weight * (*slope - delta);
                                    }
                                }
                                Some(mask) => {
                                    let start = block.start + stretch.start;
                                    let kept = mask.row(head, query, start..start + stretch.len());
                                    for ((weight, slope), kept) in pairs.zip(kept) {
                                        let share = f32::from(*kept) * mask.scale;
                                        let whole = exp(*weight - logarithm);
                                        *weight = whole * share;
                                        *slope = whole * (*slope * share - delta);
                                    }
                                }
                            }
                            from = stretch.end;
                        }
                        weights[from..].fill(0.0);
                        slopes[from..].fill(0.0);
                    }
                    let weights = Matrix::rows(weights, block.len());
                    let slopes = Matrix::rows(slopes, block.len());
                    let onto_values = MatrixMut::rows(&mut to_values[of_block.clone()], width);
                    multiply(onto_values, weights.transposed(), gradient, Put::Onto);
                    let to_queries = MatrixMut::rows(&mut to_queries[of_tile.clone()], width);
                    multiply(to_queries, slopes, keys, put);
                    let onto_keys = MatrixMut::rows(&mut to_keys[of_block], width);
                    multiply(onto_keys, slopes.transposed(), queries, Put::Onto);
                    put = Put::Onto;
                }
            }
            let place = &mut input_gradient[columns.start..];
            turn_back(&of_queries, heads, to_queries, place, query_scale);
        }
        let place = &mut input_gradient[key_columns.start..];
        turn_back(&of_keys, heads, to_keys, place, key_scale);
        let rows = input_gradient[value_columns.start..].chunks_mut(row);
        for (row, value) in rows.zip(to_values.chunks_exact(width)) {
            row[..width].copy_from_slice(value);
        }
    }
}

//! Attention over projected tokens: queries and keys are normalised by head (RMSNorm with a learned scale), turned to their
//! positions (Su et al. 2021, arXiv 2104.09864), and weighed by softmax.
//!
//! As FlashAttention (Dao 2023, arXiv 2307.08691) it keeps no matrix of all pairs of tokens. One kernel turns queries and keys.
//! In the next a cube has a block of [`ROWS`] queries of one head, one for each unit, which holds its query and what it mixes in
//! registers; keys and values pass by in tiles of workgroup memory, where all units read the same number at a time. A unit keeps
//! the largest score so far and the sum of exponentials below it (Milakov & Gimelshein 2018, arXiv 1805.02867), and shrinks what
//! it has when a larger score comes, which is seldom after the first few. Of each query only the logarithm of the sum stays.
//!
//! Backward computes the weights again from that. With `P` the weights, `O = P V` the output, and `D_i = dO_i · O_i`:
//!
//! ```text
//! dV = Pᵀ dO    dS = P * (dO Vᵀ - D)    dQ = dS K    dK = dSᵀ Q
//! ```
//!
//! `dQ` is found by blocks of queries that keys and values pass by, `dK` and `dV` by blocks of keys that queries and gradients
//! pass by, so that nobody adds to what another unit adds to. Tiles that nobody in a block sees are neither fetched nor computed;
//! the barriers stay, since browsers refuse one that not every unit is sure to reach.

use burn::backend::ops::{FloatTensorOps, IntTensorOps};
use burn::tensor::TensorData;
use burn_cubecl::CubeBackend;
use burn_cubecl::cubecl::{self, prelude::*};
use burn_cubecl::tensor::CubeTensor;

use super::reduce::{sum_of_rows, sum_of_some};
use super::{buffer, elementwise, empty, ordered, written};
use crate::request::{Heads, Positions};

/// Bytes of workgroup memory that two tiles may fill: what WebGPU promises.
pub const WORKGROUP_MEMORY: usize = 16384;

/// Queries or keys of a block, and units of a cube.
const ROWS: usize = 64;

/// Rows of a tile at most. It divides a block.
const MOST: usize = 32;

/// A head this wide is held in registers, its loops unrolled; a wider one would not fit there.
const UNROLLED: usize = 64;

/// Below every score, and finite: a shader may not hold infinities.
const LEAST: f32 = -3.0e38;

/// What kernels read of [`Positions`].
#[derive(Debug)]
pub struct Sent {
    /// Cosines, then sines: `[length, head_dim]`.
    angles: CubeTensor,
    /// Beginnings and ends of two stretches: those that some query of a block sees, then those of each query. Behind the last
    /// query the last block is filled up with such as see nothing: `[blocks + blocks * ROWS, 4]`.
    sight: CubeTensor,
}

impl Sent {
    fn new(positions: &Positions, beside: &CubeTensor) -> Self {
        let length = positions.seen.len();
        let half = positions.cosine.len() / length;
        let pairs = (positions.cosine.chunks_exact(half)).zip(positions.sine.chunks_exact(half));
        let angles: Vec<f32> = pairs
            .flat_map(|(cosine, sine)| [cosine, sine].concat())
            .collect();
        let blocks = length.div_ceil(ROWS);
        let stretch = |position: usize, index: usize| {
            let seen = positions.seen.get(position);
            seen.and_then(|seen| seen.get(index))
                .cloned()
                .unwrap_or(0..0)
        };
        let of_blocks = (0..blocks).flat_map(|block| {
            [0, 1].map(|index| {
                (block * ROWS..(block + 1) * ROWS)
                    .map(|position| stretch(position, index))
                    .filter(|stretch| !stretch.is_empty())
                    .reduce(|a, b| a.start.min(b.start)..a.end.max(b.end))
                    .unwrap_or(0..0)
            })
        });
        let of_queries =
            (0..blocks * ROWS).flat_map(|position| [0, 1].map(|index| stretch(position, index)));
        let sight: Vec<u32> = (of_blocks.chain(of_queries))
            .flat_map(|stretch| [stretch.start as u32, stretch.end as u32])
            .collect();
        let rows = sight.len() / 4;
        let device = &beside.device;
        Self {
            angles: ordered(CubeBackend::float_from_data(
                TensorData::new(angles, [length, 2 * half]),
                device,
            )),
            sight: ordered(CubeBackend::int_from_data(
                TensorData::new(sight, [rows, 4]),
                device,
            )),
        }
    }
}

impl Heads {
    fn sent(&self, beside: &CubeTensor) -> &Sent {
        let positions = &self.positions;
        positions.sent.get_or_init(|| Sent::new(positions, beside))
    }

    /// Heads that are turned: those of queries, then those of keys.
    fn turned(&self) -> usize {
        self.queries + self.keys
    }

    /// Rows of a tile: two tiles fit into workgroup memory.
    fn tile(&self) -> usize {
        let rows = WORKGROUP_MEMORY / size_of::<f32>() / 2 / self.head_dim;
        1 << rows.clamp(1, MOST).ilog2()
    }

    /// Cubes for all blocks of some heads.
    fn blocks(&self, heads: usize, sequences: usize) -> (CubeCount, CubeDim) {
        let blocks = self.length.div_ceil(ROWS);
        (
            CubeCount::new_3d(blocks as u32, heads as u32, sequences as u32),
            CubeDim::new_1d(ROWS as u32),
        )
    }
}

/// Queries and keys, normalised, scaled and turned: `[batch * length, projected]` -> `[batch * length, (queries + keys) * head_dim]`.
fn turn_all(input: &CubeTensor, scales: &[CubeTensor; 2], heads: &Heads) -> CubeTensor {
    let [tokens, _] = input.meta.shape().dims();
    let turned = empty(input, [tokens, heads.turned() * heads.head_dim]);
    let (count, units) = elementwise(&input.client, tokens * heads.turned());
    turn::launch(
        &input.client,
        count,
        units,
        buffer(input.clone()),
        buffer(scales[0].clone()),
        buffer(scales[1].clone()),
        buffer(heads.sent(input).angles.clone()),
        written(&turned),
        tokens,
        heads.length,
        heads.queries,
        heads.keys,
        heads.eps,
        heads.head_dim,
    );
    turned
}

/// Attention of a batch: `[batch * length, projected]` -> `[batch * length, mixed]`, and for each sequence, head and query the
/// logarithm of the sum of exponentials, `[batch * queries * length]`.
pub fn forward(
    input: CubeTensor,
    scales: [CubeTensor; 2],
    heads: &Heads,
) -> (CubeTensor, CubeTensor) {
    let [tokens, _] = input.meta.shape().dims();
    let turned = turn_all(&input, &scales, heads);
    let output = empty(&input, [tokens, heads.mixed()]);
    let logarithms = empty(&input, [tokens * heads.queries]);
    let client = input.client.clone();
    let (count, units) = heads.blocks(heads.queries, tokens / heads.length);
    attend::launch(
        &client,
        count,
        units,
        buffer(turned),
        buffer(input.clone()),
        buffer(heads.sent(&input).sight.clone()),
        written(&output),
        written(&logarithms),
        heads.length,
        heads.queries,
        heads.keys,
        heads.head_dim,
        heads.tile(),
    );
    (output, logarithms)
}

/// Gradients of the input, of the queries' scale and of the keys', from what [`forward`] gave and the gradient of its output.
pub fn backward(
    input: CubeTensor,
    scales: [CubeTensor; 2],
    [output, logarithms, gradient]: [CubeTensor; 3],
    heads: &Heads,
) -> (CubeTensor, CubeTensor, CubeTensor) {
    let [tokens, projected] = input.meta.shape().dims();
    let client = input.client.clone();
    let width = heads.head_dim;
    let sight = &heads.sent(&input).sight;
    let turned = turn_all(&input, &scales, heads);
    let pairs = empty(&input, [tokens * heads.queries, 2]);
    let (count, units) = elementwise(&client, tokens * heads.queries);
    deltas::launch(
        &client,
        count,
        units,
        buffer(output),
        buffer(gradient.clone()),
        buffer(logarithms),
        written(&pairs),
        tokens,
        heads.length,
        heads.queries,
        width,
    );
    let to_turned = empty(&input, [tokens, heads.turned() * width]);
    let (count, units) = heads.blocks(heads.queries, tokens / heads.length);
    attend_back_queries::launch(
        &client,
        count,
        units,
        buffer(turned.clone()),
        buffer(input.clone()),
        buffer(gradient.clone()),
        buffer(pairs.clone()),
        buffer(sight.clone()),
        written(&to_turned),
        heads.length,
        heads.queries,
        heads.keys,
        width,
        heads.tile(),
    );
    let to_input = empty(&input, [tokens, projected]);
    let (count, units) = heads.blocks(heads.keys, tokens / heads.length);
    attend_back_keys::launch(
        &client,
        count,
        units,
        buffer(turned),
        buffer(input.clone()),
        buffer(gradient),
        buffer(pairs),
        buffer(sight.clone()),
        written(&to_turned),
        written(&to_input),
        heads.length,
        heads.queries,
        heads.keys,
        width,
        heads.tile(),
    );
    let (count, units) = elementwise(&client, tokens * heads.turned());
    turn_back::launch(
        &client,
        count,
        units,
        buffer(input.clone()),
        buffer(scales[0].clone()),
        buffer(scales[1].clone()),
        buffer(heads.sent(&input).angles.clone()),
        written(&to_turned),
        written(&to_input),
        tokens,
        heads.length,
        heads.queries,
        heads.keys,
        heads.eps,
        width,
    );
    let by_head = sum_of_rows(to_turned);
    let query_scale = sum_of_some(&by_head, 0..heads.queries, width, 1);
    let key_scale = sum_of_some(&by_head, heads.queries..heads.turned(), width, 1);
    (to_input, query_scale, key_scale)
}

/// `y = turn(x / sqrt(mean(x²) + eps) * scale)`, one head of one token a unit. Scores are divided by the root of the width: the
/// queries hold that.
#[cube(launch, create_dummy_kernel)]
fn turn(
    input: &[f32],
    query_scale: &[f32],
    key_scale: &[f32],
    angles: &[f32],
    turned: &mut [f32],
    tokens: usize,
    length: usize,
    queries: usize,
    keys: usize,
    eps: f32,
    #[comptime] width: usize,
) {
    let half = comptime!(width / 2);
    let heads = queries + keys;
    if ABSOLUTE_POS < tokens * heads {
        let (token, head) = (ABSOLUTE_POS / heads, ABSOLUTE_POS % heads);
        let from = (token * (heads + keys) + head) * width;
        let to = ABSOLUTE_POS * width;
        let angle = token % length * width;
        let mut root = inverse_root(input, from, eps, width);
        if head < queries {
            root /= (width as f32).sqrt();
        }
        for index in 0..half {
            let mut first = input[from + index] * root;
            let mut second = input[from + half + index] * root;
            if head < queries {
                first *= query_scale[index];
                second *= query_scale[half + index];
            } else {
                first *= key_scale[index];
                second *= key_scale[half + index];
            }
            let (cosine, sine) = (angles[angle + index], angles[angle + half + index]);
            turned[to + index] = first * cosine - second * sine;
            turned[to + half + index] = second * cosine + first * sine;
        }
    }
}

/// The way back through [`turn`]: writes the gradient of the head's columns of the input, and in place of the given gradient
/// what this token adds to the gradient of the scale.
#[cube(launch, create_dummy_kernel)]
fn turn_back(
    input: &[f32],
    query_scale: &[f32],
    key_scale: &[f32],
    angles: &[f32],
    gradient: &mut [f32],
    to_input: &mut [f32],
    tokens: usize,
    length: usize,
    queries: usize,
    keys: usize,
    eps: f32,
    #[comptime] width: usize,
) {
    let half = comptime!(width / 2);
    let heads = queries + keys;
    if ABSOLUTE_POS < tokens * heads {
        let (token, head) = (ABSOLUTE_POS / heads, ABSOLUTE_POS % heads);
        let place = (token * (heads + keys) + head) * width;
        let from = ABSOLUTE_POS * width;
        let angle = token % length * width;
        let root = inverse_root(input, place, eps, width);
        let mut factor = 1.0f32;
        if head < queries {
            factor /= (width as f32).sqrt();
        }
        let mut along = 0.0f32;
        for index in 0..half {
            let (first, second) = (gradient[from + index], gradient[from + half + index]);
            let (cosine, sine) = (angles[angle + index], angles[angle + half + index]);
            let mut before = (first * cosine + second * sine) * factor;
            let mut behind = (second * cosine - first * sine) * factor;
            let (x, y) = (input[place + index], input[place + half + index]);
            gradient[from + index] = before * x * root;
            gradient[from + half + index] = behind * y * root;
            if head < queries {
                before *= query_scale[index];
                behind *= query_scale[half + index];
            } else {
                before *= key_scale[index];
                behind *= key_scale[half + index];
            }
            to_input[place + index] = before;
            to_input[place + half + index] = behind;
            along += before * x + behind * y;
        }
        along *= root * root / width as f32;
        for index in 0..width {
            to_input[place + index] =
                (to_input[place + index] - input[place + index] * along) * root;
        }
    }
}

#[cube]
fn inverse_root(input: &[f32], from: usize, eps: f32, #[comptime] width: usize) -> f32 {
    let mut squares = 0.0f32;
    for index in 0..width {
        squares += input[from + index] * input[from + index];
    }
    1.0f32 / (squares / width as f32 + eps).sqrt()
}

/// Two stretches of keys.
#[derive(CubeType)]
struct Stretches {
    begin: u32,
    end: u32,
    second_begin: u32,
    second_end: u32,
}

#[cube]
impl Stretches {
    /// A row of `sight`.
    fn of(sight: &[u32], row: usize) -> Stretches {
        Stretches {
            begin: sight[row * 4],
            end: sight[row * 4 + 1],
            second_begin: sight[row * 4 + 2],
            second_end: sight[row * 4 + 3],
        }
    }

    /// Whether a key of `begin..end` is in one of them.
    fn meet(&self, begin: usize, end: usize) -> bool {
        let (begin, end) = (begin as u32, end as u32);
        (begin < self.end && end > self.begin)
            || (begin < self.second_end && end > self.second_begin)
    }
}

/// Copies rows of some columns of a matrix into workgroup memory, as far as there are rows; all units take part.
#[cube]
fn fetch(
    from: &[f32],
    place: usize,
    stride: usize,
    rows: usize,
    tile: &mut Shared<[f32]>,
    #[comptime] most: usize,
    #[comptime] width: usize,
) {
    let mut element = UNIT_POS as usize;
    while element < most * width {
        let row = element / width;
        if row < rows {
            tile[element] = from[place + row * stride + element % width];
        }
        element += ROWS;
    }
}

/// Copies one row into registers.
#[cube]
fn hold(from: &[f32], place: usize, held: &mut Array<f32>, #[comptime] width: usize) {
    #[unroll(width <= UNROLLED)]
    for index in 0..width {
        held[index] = from[place + index];
    }
}

/// `held · row` of a tile.
#[cube]
fn dot(held: &Array<f32>, tile: &Shared<[f32]>, row: usize, #[comptime] width: usize) -> f32 {
    let mut sum = 0.0f32;
    #[unroll(width <= UNROLLED)]
    for index in 0..width {
        sum += held[index] * tile[row * width + index];
    }
    sum
}

/// `held += factor * row` of a tile.
#[cube]
fn add(
    held: &mut Array<f32>,
    factor: f32,
    tile: &Shared<[f32]>,
    row: usize,
    #[comptime] width: usize,
) {
    #[unroll(width <= UNROLLED)]
    for index in 0..width {
        held[index] += factor * tile[row * width + index];
    }
}

/// Copies registers, each times a factor, into one row.
#[cube]
fn put(held: &Array<f32>, factor: f32, to: &mut [f32], place: usize, #[comptime] width: usize) {
    #[unroll(width <= UNROLLED)]
    for index in 0..width {
        to[place + index] = held[index] * factor;
    }
}

/// Cubes by block of queries, query head and sequence.
#[cube(launch, create_dummy_kernel)]
fn attend(
    turned: &[f32],
    input: &[f32],
    sight: &[u32],
    output: &mut [f32],
    logarithms: &mut [f32],
    length: usize,
    queries: usize,
    keys: usize,
    #[comptime] width: usize,
    #[comptime] tile: usize,
) {
    let mut key_tile = Shared::<[f32]>::new_slice(tile * width);
    let mut value_tile = Shared::<[f32]>::new_slice(tile * width);
    let (block, head, sequence) = (
        CUBE_POS_X as usize,
        CUBE_POS_Y as usize,
        CUBE_POS_Z as usize,
    );
    let key_head = queries + head / (queries / keys);
    let (narrow, wide) = ((queries + keys) * width, (queries + 2 * keys) * width);
    let position = block * ROWS + UNIT_POS as usize;
    let token = sequence * length + position;

    let mut query = Array::<f32>::new(width);
    let mut mixed = Array::<f32>::new(width);
    // Behind the last position a unit sees nothing, and only helps to fetch.
    let blocks = CUBE_COUNT_X as usize;
    let seen = Stretches::of(sight, blocks + position);
    let seen_by_some = Stretches::of(sight, block);
    if position < length {
        hold(turned, token * narrow + head * width, &mut query, width);
    }
    let mut most = f32::new(LEAST);
    let mut sum = 0.0f32;
    let mut start = 0usize.runtime();
    while start < length {
        let is_seen = seen_by_some.meet(start, start + tile);
        if is_seen {
            let (first, rows) = (sequence * length + start, length - start);
            let place = first * narrow + key_head * width;
            fetch(turned, place, narrow, rows, &mut key_tile, tile, width);
            let place = first * wide + (key_head + keys) * width;
            fetch(input, place, wide, rows, &mut value_tile, tile, width);
        }
        sync_cube();
        if is_seen {
            for row in 0..tile {
                let key = start + row;
                if seen.meet(key, key + 1) {
                    let score = dot(&query, &key_tile, row, width);
                    if score > most {
                        let shrink = (most - score).exp();
                        sum *= shrink;
                        #[unroll(width <= UNROLLED)]
                        for index in 0..width {
                            mixed[index] *= shrink;
                        }
                        most = score;
                    }
                    let weight = (score - most).exp();
                    sum += weight;
                    add(&mut mixed, weight, &value_tile, row, width);
                }
            }
        }
        sync_cube();
        start += tile;
    }
    if position < length {
        let place = token * queries * width + head * width;
        put(&mixed, 1.0f32 / sum, output, place, width);
        logarithms[(sequence * queries + head) * length + position] = most + sum.ln();
    }
}

/// The logarithm of each sum beside `D_i = dO_i · O_i`: one head of one token a unit, `[batch, queries, length, 2]`.
#[cube(launch, create_dummy_kernel)]
fn deltas(
    output: &[f32],
    gradient: &[f32],
    logarithms: &[f32],
    pairs: &mut [f32],
    tokens: usize,
    length: usize,
    queries: usize,
    #[comptime] width: usize,
) {
    if ABSOLUTE_POS < tokens * queries {
        let (token, head) = (ABSOLUTE_POS / queries, ABSOLUTE_POS % queries);
        let mut delta = 0.0f32;
        for index in 0..width {
            let place = ABSOLUTE_POS * width + index;
            delta += output[place] * gradient[place];
        }
        let to = (token / length * queries + head) * length + token % length;
        pairs[2 * to] = logarithms[to];
        pairs[2 * to + 1] = delta;
    }
}

/// The gradient of queries. Cubes by block of queries, query head and sequence.
#[cube(launch, create_dummy_kernel)]
fn attend_back_queries(
    turned: &[f32],
    input: &[f32],
    gradient: &[f32],
    pairs: &[f32],
    sight: &[u32],
    to_turned: &mut [f32],
    length: usize,
    queries: usize,
    keys: usize,
    #[comptime] width: usize,
    #[comptime] tile: usize,
) {
    let mut key_tile = Shared::<[f32]>::new_slice(tile * width);
    let mut value_tile = Shared::<[f32]>::new_slice(tile * width);
    let (block, head, sequence) = (
        CUBE_POS_X as usize,
        CUBE_POS_Y as usize,
        CUBE_POS_Z as usize,
    );
    let key_head = queries + head / (queries / keys);
    let (narrow, wide) = ((queries + keys) * width, (queries + 2 * keys) * width);
    let position = block * ROWS + UNIT_POS as usize;
    let token = sequence * length + position;

    let mut query = Array::<f32>::new(width);
    let mut above = Array::<f32>::new(width);
    let mut to_query = Array::<f32>::new(width);
    let mut logarithm = 0.0f32;
    let mut delta = 0.0f32;
    // Behind the last position a unit sees nothing, and only helps to fetch.
    let blocks = CUBE_COUNT_X as usize;
    let seen = Stretches::of(sight, blocks + position);
    let seen_by_some = Stretches::of(sight, block);
    if position < length {
        hold(turned, token * narrow + head * width, &mut query, width);
        hold(
            gradient,
            (token * queries + head) * width,
            &mut above,
            width,
        );
        let pair = 2 * ((sequence * queries + head) * length + position);
        logarithm = pairs[pair];
        delta = pairs[pair + 1];
    }
    let mut start = 0usize.runtime();
    while start < length {
        let is_seen = seen_by_some.meet(start, start + tile);
        if is_seen {
            let (first, rows) = (sequence * length + start, length - start);
            let place = first * narrow + key_head * width;
            fetch(turned, place, narrow, rows, &mut key_tile, tile, width);
            let place = first * wide + (key_head + keys) * width;
            fetch(input, place, wide, rows, &mut value_tile, tile, width);
        }
        sync_cube();
        if is_seen {
            for row in 0..tile {
                let key = start + row;
                if seen.meet(key, key + 1) {
                    let weight = (dot(&query, &key_tile, row, width) - logarithm).exp();
                    let slope = weight * (dot(&above, &value_tile, row, width) - delta);
                    add(&mut to_query, slope, &key_tile, row, width);
                }
            }
        }
        sync_cube();
        start += tile;
    }
    if position < length {
        let place = token * narrow + head * width;
        put(&to_query, 1.0f32, to_turned, place, width);
    }
}

/// The gradients of keys and values. Cubes by block of keys, key head and sequence; the queries of every head that the key head
/// serves pass by.
#[cube(launch, create_dummy_kernel)]
fn attend_back_keys(
    turned: &[f32],
    input: &[f32],
    gradient: &[f32],
    pairs: &[f32],
    sight: &[u32],
    to_turned: &mut [f32],
    to_input: &mut [f32],
    length: usize,
    queries: usize,
    keys: usize,
    #[comptime] width: usize,
    #[comptime] tile: usize,
) {
    let mut query_tile = Shared::<[f32]>::new_slice(tile * width);
    let mut above_tile = Shared::<[f32]>::new_slice(tile * width);
    let (block, key_head, sequence) = (
        CUBE_POS_X as usize,
        CUBE_POS_Y as usize,
        CUBE_POS_Z as usize,
    );
    let group = queries / keys;
    let blocks = CUBE_COUNT_X as usize;
    let (narrow, wide) = ((queries + keys) * width, (queries + 2 * keys) * width);
    let position = block * ROWS + UNIT_POS as usize;
    let token = sequence * length + position;
    let key_place = token * narrow + (queries + key_head) * width;
    let value_place = token * wide + (queries + keys + key_head) * width;

    let mut key = Array::<f32>::new(width);
    let mut value = Array::<f32>::new(width);
    let mut to_key = Array::<f32>::new(width);
    let mut to_value = Array::<f32>::new(width);
    if position < length {
        hold(turned, key_place, &mut key, width);
        hold(input, value_place, &mut value, width);
    }
    let mut member = 0usize.runtime();
    while member < group {
        let head = key_head * group + member;
        let mut start = 0usize.runtime();
        while start < length {
            let is_seen = Stretches::of(sight, start / ROWS).meet(block * ROWS, (block + 1) * ROWS);
            if is_seen {
                let (first, rows) = (sequence * length + start, length - start);
                let place = first * narrow + head * width;
                fetch(turned, place, narrow, rows, &mut query_tile, tile, width);
                let place = (first * queries + head) * width;
                fetch(
                    gradient,
                    place,
                    queries * width,
                    rows,
                    &mut above_tile,
                    tile,
                    width,
                );
            }
            sync_cube();
            if is_seen {
                for row in 0..tile {
                    let query = start + row;
                    if Stretches::of(sight, blocks + query).meet(position, position + 1) {
                        let pair = 2 * ((sequence * queries + head) * length + query);
                        let score = dot(&key, &query_tile, row, width);
                        let weight = (score - pairs[pair]).exp();
                        add(&mut to_value, weight, &above_tile, row, width);
                        let along = dot(&value, &above_tile, row, width);
                        add(
                            &mut to_key,
                            weight * (along - pairs[pair + 1]),
                            &query_tile,
                            row,
                            width,
                        );
                    }
                }
            }
            sync_cube();
            start += tile;
        }
        member += 1;
    }
    if position < length {
        put(&to_key, 1.0f32, to_turned, key_place, width);
        put(&to_value, 1.0f32, to_input, value_place, width);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::source::cuda;

    #[test]
    fn becomes_cuda() {
        for width in [8, 64, 128] {
            let heads = 4;
            let tile = (WORKGROUP_MEMORY / size_of::<f32>() / 2 / width).min(MOST);
            cuda!(turn, 256, [i q k a t], 64, 16, heads, heads, 1e-6, width);
            cuda!(turn_back, 256, [i q k a g t], 64, 16, heads, heads, 1e-6, width);
            cuda!(deltas, 256, [o g l p], 64, 16, heads, width);
            let tiled = [
                cuda!(attend, ROWS, [t i s o l], 16, heads, heads, width, tile),
                cuda!(attend_back_queries, ROWS, [t i g p s d], 16, heads, heads, width, tile),
                cuda!(attend_back_keys, ROWS, [t i g p s d i], 16, heads, heads, width, tile),
            ];
            for source in tiled {
                assert!(source.contains("__syncthreads"), "{source}");
            }
        }
    }
}

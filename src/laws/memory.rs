//! What training keeps in memory, by counting the tensors that the fused operations keep. `cargo xtask long memory` holds the
//! law against the largest resident memory of processes that train; the table is in `docs/performance.md`.

use crate::model::Shape;

/// Bytes of an f32.
const F32: u64 = 4;
/// Bytes of a process that trains next to nothing: the program, its threads, and the products of its kernels' first calls.
/// Measured, as the next two.
const PROCESS: u64 = 50_000_000;
/// What each thread's part of the allocator holds of other sizes than it needs now, and its packed matrices.
const THREAD: u64 = 20_000_000;
/// Resident over living bytes of the activations: freed pages are kept, and what comes next does not fit all of them.
const KEPT_PAGES: f64 = 1.1;

/// Bytes that parameters, gradients and both moments take in f32.
pub fn training_state_bytes(shape: &Shape) -> u64 {
    shape.parameters() * F32 * 4
}

/// Bytes of what a forward pass over `batch` windows of `length` tokens keeps in f32 for the backward pass, and of the
/// gradients that are alive beside it. Fused operations keep their inputs alone. For each token that is, in a block: the
/// stream before and behind attention and both normalised (4 hidden sizes); queries, keys and values, attention's output
/// and the logarithm of each head's sum; gate, up and their product. Once: the last stream, it normalised, and its
/// gradient. The way back adds most where a block's gradients of gate, up and their product are alive before anything of
/// its activations is let go. Logits and attention weights are never kept, so neither vocabulary nor length squared
/// appears. A mixture keeps gate and up of the experts that a token asks and of the shared one, and a few numbers for each expert
/// there is; their product it computes again. Without `qk_norm` attention is composed of operations that keep its weights, which are
/// not counted here. With recomputation only one block at a time has activations, and of the others the stream before them is kept.
pub fn activation_bytes(shape: &Shape, batch: usize, length: usize, recompute: bool) -> u64 {
    // In the browser a `usize` ends at 4 GiB, and this is asked before anything is known to fit.
    let [hidden_size, layers, heads] = [
        shape.hidden_size,
        shape.num_hidden_layers,
        shape.num_attention_heads,
    ]
    .map(|size| size as u64);
    let queries = heads * shape.head_dim as u64;
    let keys = shape.num_key_value_heads as u64 * shape.head_dim as u64;
    let (feed_forward, way_back) = match &shape.experts {
        None => {
            let width = 3 * shape.intermediate_size as u64;
            (width, width)
        }
        Some(experts) => {
            let shared = 3 * experts.shared_intermediate_size.unwrap_or(0) as u64;
            let asked = 2 * experts.per_token as u64 * experts.intermediate_size as u64;
            (asked + shared + 5 * experts.count as u64, asked + shared)
        }
    };
    let block = 4 * hidden_size + 2 * (queries + keys) + heads + feed_forward;
    let on_the_way_back = way_back + 2 * hidden_size;
    let blocks = match recompute {
        false => layers * block,
        true => layers * hidden_size + block,
    };
    let token = blocks + 3 * hidden_size + on_the_way_back;
    let tokens = (batch as u64).saturating_mul(length as u64);
    tokens.saturating_mul(token.saturating_mul(F32))
}

/// Bytes that a state takes on its way to the disk, beside the training that goes on: what was read of weights and moments, and
/// of an average of the weights too. Of several ranks that write shards each has its part.
pub fn saving_bytes(shape: &Shape, has_average: bool) -> u64 {
    let values = if has_average { 4 } else { 3 };
    values * shape.parameters() * F32
}

/// The largest resident memory of a process that trains one model natively on the processor, bytes: within 15 % of what was
/// measured for 1 and 2 threads. While it keeps a state, [`saving_bytes`] come to it.
///
/// Each thread's share of the batch has gradients of its own, and of the output matrix two at once while its gradient is put
/// into the graph. The initial weights stay as they were drawn.
pub fn training_peak_bytes(
    shape: &Shape,
    batch: usize,
    length: usize,
    threads: usize,
    recompute: bool,
) -> u64 {
    let shares = threads.min(batch) as u64;
    let weights_moments_drawn = 4 * shape.parameters() * F32;
    let output_matrix = shape.vocab_size as u64 * shape.hidden_size as u64 * F32;
    let of_a_share = THREAD + shape.parameters() * F32 + 2 * output_matrix;
    let activations = KEPT_PAGES * activation_bytes(shape, batch, length, recompute) as f64;
    let state = PROCESS + weights_moments_drawn + shares.saturating_mul(of_a_share);
    state.saturating_add(activations as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ModelConfig;

    fn shape(hidden_size: usize, layers: usize, heads: usize, vocab_size: usize) -> Shape {
        ModelConfig {
            hidden_size,
            num_hidden_layers: layers,
            num_attention_heads: heads,
            ..ModelConfig::default()
        }
        .resolve(vocab_size)
        .expect("a sound shape")
    }

    #[test]
    fn the_peak_is_within_15_percent_of_what_was_measured() {
        for (shape, batch, length, threads, measured) in [
            (shape(128, 4, 4, 66), 8, 64, 2, 131_850_240.0),
            (shape(128, 4, 4, 66), 8, 64, 1, 96_403_456.0),
            (shape(128, 4, 4, 32_768), 8, 64, 2, 416_337_920.0),
            (shape(128, 4, 4, 32_768), 8, 64, 1, 307_843_072.0),
            (shape(128, 4, 4, 66), 2, 1_024, 2, 228_589_568.0),
            (shape(128, 4, 4, 66), 2, 1_024, 1, 178_352_128.0),
            (shape(256, 6, 4, 66), 16, 256, 2, 708_845_568.0),
            (shape(256, 6, 4, 66), 16, 256, 1, 642_387_968.0),
            (shape(256, 6, 4, 8_192), 16, 256, 2, 798_625_792.0),
            (shape(256, 6, 4, 8_192), 16, 256, 1, 784_973_824.0),
            (shape(320, 8, 5, 66), 16, 256, 2, 1_109_237_760.0),
            (shape(320, 8, 5, 66), 16, 256, 1, 1_089_327_104.0),
        ] {
            let predicted = training_peak_bytes(&shape, batch, length, threads, false) as f64;
            let ratio = predicted / measured;
            assert!(
                (ratio - 1.0).abs() < 0.15,
                "{ratio}: {shape:?}, {batch} x {length}, {threads}"
            );
        }
    }

    #[test]
    fn a_state_on_its_way_is_what_it_holds() {
        let shape = shape(128, 4, 4, 66);
        let values = 3 * shape.parameters();
        assert_eq!(saving_bytes(&shape, false), 4 * values);
        let of_an_average = saving_bytes(&shape, true) - saving_bytes(&shape, false);
        assert_eq!(of_an_average, 4 * shape.parameters());
    }

    #[test]
    fn a_browser_s_estimate_does_not_overflow() {
        let shape = shape(4_096, 32, 32, 50_000);
        assert!(activation_bytes(&shape, 1 << 10, 1 << 12, false) > u64::from(u32::MAX));
    }
}

//! The backbone: nobody sees what is hidden from it, gradients are the loss's slope, and one seed starts every objective
//! from the same weights.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::cell::RefCell;

use burn::tensor::{Device, Tensor, TensorData};
use crossover::error::Kind;
use crossover::model::{
    Cache, Decoder, Dropout, ModelConfig, Predictor, Read, Shape, Visibility, Weights,
};
use crossover::random::{Purpose, Stream};
use pollster::block_on;

const LENGTH: usize = 7;
const VOCAB: usize = 6;

fn config() -> ModelConfig {
    ModelConfig {
        hidden_size: 16,
        num_hidden_layers: 2,
        num_attention_heads: 4,
        num_key_value_heads: Some(2),
        // Larger than in training, so that a leak would show.
        initializer_range: 0.3,
        ..ModelConfig::default()
    }
}

fn decoder(config: &ModelConfig, device: &Device) -> (Shape, Decoder) {
    let shape = config.resolve(VOCAB).unwrap();
    let weights = Weights::initial(&shape, config.initializer_range, 3);
    let decoder = Decoder::new(config, &shape, &weights, device).unwrap();
    (shape, decoder)
}

fn log_probabilities(decoder: &Decoder, tokens: &[u32], visibility: Visibility) -> Vec<f32> {
    block_on(decoder.log_probabilities(tokens, LENGTH, visibility)).unwrap()
}

#[test]
fn sizes_that_are_too_many_together_are_refused_by_name() {
    const MOST: usize = 1 << 20;
    let large = |change: &dyn Fn(&mut ModelConfig)| {
        let mut config = config();
        change(&mut config);
        config.resolve(VOCAB)
    };
    let refused = |change: &dyn Fn(&mut ModelConfig)| {
        let error = large(change).unwrap_err();
        assert_eq!(error.kind(), Kind::Input);
        error.to_string()
    };
    let said = refused(&|config| {
        config.hidden_size = MOST;
        config.num_attention_heads = MOST;
        config.num_key_value_heads = None;
        config.head_dim = Some(MOST);
        config.intermediate_size = Some(MOST);
        config.num_hidden_layers = MOST;
    });
    assert!(said.contains("the model has 5e24 parameters"), "{said}");
    let said = refused(&|config| {
        config.num_hidden_layers = MOST;
        config.hidden_size = MOST / 2;
        config.intermediate_size = Some(16);
    });
    assert!(
        said.starts_with("`num_hidden_layers` is 1048576 and `hidden_size` is 524288: "),
        "{said}"
    );
    assert!(refused(&|config| config.num_hidden_layers = MOST + 1).contains("`num_hidden_layers`"));
    // Each at its largest is counted.
    let deep = large(&|config| config.num_hidden_layers = MOST).unwrap();
    let block = 2 * 16 * (16 + 8) + 3 * 16 * deep.intermediate_size + 2 * (16 + 4);
    let ends = 2 * VOCAB * 16 + 16;
    assert_eq!(deep.parameters(), (MOST * block + ends) as u64);
}

#[test]
fn a_causal_model_never_sees_later_tokens() {
    let (_, decoder) = decoder(&config(), &Device::flex());
    let first = [5, 0, 1, 2, 3, 4, 0];
    let per_row = VOCAB - 1;
    let before = log_probabilities(&decoder, &first, Visibility::Causal);
    for position in 1..LENGTH {
        let mut changed = first;
        for token in &mut changed[position..] {
            *token = (*token + 1) % 5;
        }
        let after = log_probabilities(&decoder, &changed, Visibility::Causal);
        let same = position * per_row;
        assert_eq!(
            before[..same],
            after[..same],
            "a change from {position} on shows before it"
        );
        assert_ne!(
            before[same..],
            after[same..],
            "a change from {position} on shows nowhere"
        );
    }
}

#[test]
fn a_masked_model_sees_both_sides_and_not_what_is_masked() {
    let (_, decoder) = decoder(&config(), &Device::flex());
    // The hidden token never enters the model: the input holds MASK, whatever was there.
    let hide = |tokens: [u32; LENGTH]| {
        let mut inputs = tokens;
        inputs[3] = 5;
        log_probabilities(&decoder, &inputs, Visibility::Full)
    };
    assert_eq!(hide([0, 1, 2, 3, 4, 0, 1]), hide([0, 1, 2, 0, 4, 0, 1]));
    // A change on either side reaches the masked position.
    let row = |values: &[f32]| values[3 * (VOCAB - 1)..4 * (VOCAB - 1)].to_vec();
    let reference = row(&hide([0, 1, 2, 3, 4, 0, 1]));
    assert_ne!(row(&hide([1, 1, 2, 3, 4, 0, 1])), reference);
    assert_ne!(row(&hide([0, 1, 2, 3, 4, 0, 2])), reference);
}

#[test]
fn one_pass_over_gaps_and_whole_answers_what_writing_block_after_block_asks() {
    let (_, decoder) = decoder(&config(), &Device::flex());
    let per_row = VOCAB - 1;
    let whole = [0, 1, 2, 3, 4, 0];
    let gaps = [5, 1, 5, 5, 4, 5];
    let ask = |tokens: &[u32], visibility| {
        block_on(decoder.log_probabilities(tokens, whole.len(), visibility)).unwrap()
    };
    for size in [1, 2, 3, 6] {
        let at_once = ask(&[gaps, whole].concat(), Visibility::GapsAndWhole { size });
        assert_eq!(at_once.len(), whole.len() * per_row);
        for start in (0..whole.len()).step_by(size) {
            // The blocks before are written, this one has gaps, those behind are not begun.
            let mut page = [5; 6];
            page[..start].copy_from_slice(&whole[..start]);
            page[start..start + size].copy_from_slice(&gaps[start..start + size]);
            let alone = ask(&page, Visibility::Blocks { size });
            let rows = start * per_row..(start + size) * per_row;
            for (left, right) in at_once[rows.clone()].iter().zip(&alone[rows]) {
                assert!(
                    (left - right).abs() < 1e-5,
                    "blocks of {size}: {left} is not {right}"
                );
            }
        }
        // What a block is to write, and what comes later, is nowhere in its answer.
        for position in 0..whole.len() {
            let mut changed = whole;
            changed[position] = (changed[position] + 1) % 5;
            let after = ask(&[gaps, changed].concat(), Visibility::GapsAndWhole { size });
            let seen_by = (position / size + 1) * size * per_row;
            assert_eq!(
                at_once[..seen_by],
                after[..seen_by],
                "blocks of {size}, {position}"
            );
            let later = at_once[seen_by..] != after[seen_by..];
            assert_eq!(later, seen_by < at_once.len(), "later blocks see it");
        }
    }
    assert_eq!(
        ask(&gaps, Visibility::of_blocks(6, 6)),
        ask(&gaps, Visibility::Full)
    );
}

/// Puts positions of some rows of `window` into a cache, and gives what it says of all of them.
fn read(
    decoder: &Decoder,
    cache: &mut Cache,
    window: &[u32],
    rows: &[usize],
    positions: &[usize],
    visibility: Visibility,
) -> Vec<f32> {
    let token = |row: usize, position: usize| window[row * LENGTH + position];
    let tokens: Vec<u32> = rows
        .iter()
        .flat_map(|&row| positions.iter().map(move |&position| token(row, position)))
        .collect();
    let read = Read {
        rows,
        positions,
        tokens: &tokens,
        answers: 0..positions.len(),
        visibility,
    };
    block_on(decoder.read(cache, &read)).unwrap()
}

/// The rows of log-probabilities at some positions of some windows.
fn at(values: &[f32], rows: &[usize], positions: &[usize]) -> Vec<f32> {
    let per_row = VOCAB - 1;
    let place = |row: usize, position: usize| (row * LENGTH + position) * per_row;
    rows.iter()
        .flat_map(|&row| positions.iter().map(move |&position| place(row, position)))
        .flat_map(|place| &values[place..][..per_row])
        .copied()
        .collect()
}

fn assert_close(left: &[f32], right: &[f32], what: &str) {
    assert_eq!(left.len(), right.len(), "{what}");
    for (left, right) in left.iter().zip(right) {
        assert!((left - right).abs() < 1e-5, "{what}: {left} is not {right}");
    }
}

/// Three windows of seven tokens.
fn windows() -> Vec<u32> {
    (0..3 * LENGTH as u32)
        .map(|index| index * index % 5)
        .collect()
}

#[test]
fn reading_what_is_new_gives_what_reading_everything_gives() {
    let heads = [None, Some(2), Some(1)];
    for key_value_heads in heads {
        let config = ModelConfig {
            num_key_value_heads: key_value_heads,
            ..config()
        };
        let (_, decoder) = decoder(&config, &Device::flex());
        let (window, rows) = (windows(), [0, 1, 2]);
        let causal = log_probabilities(&decoder, &window, Visibility::Causal);
        for prompt in [1, 2, 4, LENGTH] {
            let mut cache = decoder.cache(3, LENGTH);
            let starts = std::iter::once(0).chain(prompt..LENGTH);
            for start in starts {
                let end = if start == 0 { prompt } else { start + 1 };
                let positions: Vec<usize> = (start..end).collect();
                let said = read(
                    &decoder,
                    &mut cache,
                    &window,
                    &rows,
                    &positions,
                    Visibility::Causal,
                );
                assert_close(&said, &at(&causal, &rows, &positions), "token after token");
            }
        }
        for size in [2, 3, 5] {
            let visibility = Visibility::Blocks { size };
            let mut cache = decoder.cache(3, LENGTH);
            for start in (0..LENGTH).step_by(size) {
                let positions: Vec<usize> = (start..(start + size).min(LENGTH)).collect();
                // The block is half written first, then finished: the second reading replaces what the first put there.
                for written in [1, size] {
                    let mut page = window.clone();
                    for (index, token) in page.iter_mut().enumerate() {
                        if index % LENGTH >= start + written {
                            *token = 5;
                        }
                    }
                    let said = read(&decoder, &mut cache, &page, &rows, &positions, visibility);
                    let whole = log_probabilities(&decoder, &page, visibility);
                    assert_close(&said, &at(&whole, &rows, &positions), "block after block");
                }
            }
        }
    }
}

#[test]
fn a_cache_keeps_what_is_not_read_whatever_rows_and_positions_are() {
    let (_, decoder) = decoder(&config(), &Device::flex());
    let (mut window, every, all) = (windows(), [0, 1, 2], [0, 1, 2, 3, 4, 5, 6]);
    let mut cache = decoder.cache(3, LENGTH);
    let full = |cache: &mut Cache, window: &[u32], rows: &[usize], positions: &[usize]| {
        read(&decoder, cache, window, rows, positions, Visibility::Full)
    };
    let first = full(&mut cache, &window, &every, &all);
    assert_close(
        &first,
        &log_probabilities(&decoder, &window, Visibility::Full),
        "everything at once",
    );
    // Nothing has changed: any part says again what the whole said.
    for rows in [&every[..], &[1], &[0, 2], &[1, 2]] {
        for positions in [&all[..], &[3], &[2, 3, 4], &[0, 2, 6], &[5, 6]] {
            let said = full(&mut cache, &window, rows, positions);
            assert_close(&said, &at(&first, rows, positions), "a part");
        }
    }
    // Tokens change in the rows 0 and 2, and these alone hear of it, where the changed positions are read.
    for row in [0, 2] {
        window[row * LENGTH + 1] = 4 - window[row * LENGTH + 1];
        window[row * LENGTH + 5] = (window[row * LENGTH + 5] + 1) % 5;
    }
    let stale = full(&mut cache, &window, &[0, 2], &[3]);
    assert_close(
        &stale,
        &at(&first, &[0, 2], &[3]),
        "nothing that is read has changed",
    );
    full(&mut cache, &window, &[0, 2], &[1, 5]);
    let news = full(&mut cache, &window, &every, &[3]);
    let moved = |row: usize| -> f32 {
        let now = at(&first, &[row], &[3]);
        let said = &news[row * (VOCAB - 1)..][..VOCAB - 1];
        said.iter().zip(now).map(|(a, b)| (a - b).abs()).sum()
    };
    assert!(moved(0) > 1e-3 && moved(1) < 1e-5 && moved(2) > 1e-3);
    assert_eq!(cache.seen(2)[5], Some(window[2 * LENGTH + 5]));
    assert_close(
        &full(&mut cache, &window, &every, &all),
        &log_probabilities(&decoder, &window, Visibility::Full),
        "everything again",
    );
}

#[test]
fn only_answers_that_are_asked_for_are_given() {
    let (_, decoder) = decoder(&config(), &Device::flex());
    let tokens = &windows()[..LENGTH];
    let whole = log_probabilities(&decoder, tokens, Visibility::Causal);
    let answers = block_on(decoder.read(
        &mut decoder.cache(1, LENGTH),
        &Read {
            rows: &[0],
            positions: &[0, 1, 2, 3],
            tokens: &tokens[..4],
            answers: 2..4,
            visibility: Visibility::Causal,
        },
    ));
    assert_close(&answers.unwrap(), &at(&whole, &[0], &[2, 3]), "two of four");
}

#[test]
fn a_read_that_would_see_what_was_never_read_is_refused() {
    let (_, decoder) = decoder(&config(), &Device::flex());
    let attempt = |rows: &[usize], positions: &[usize], visibility| {
        let tokens = vec![1; rows.len() * positions.len()];
        let read = Read {
            rows,
            positions,
            tokens: &tokens,
            answers: 0..positions.len(),
            visibility,
        };
        block_on(decoder.read(&mut decoder.cache(2, LENGTH), &read)).map(|answers| answers.len())
    };
    let blocks = Visibility::Blocks { size: 2 };
    for (rows, positions, visibility) in [
        (&[0, 1][..], &[0, 1][..], Visibility::Full),
        (&[0], &[1], Visibility::Causal),
        (&[0], &[0], blocks),
        (&[1, 0], &[0], Visibility::Causal),
        (&[2], &[0], Visibility::Causal),
        (&[0], &[1, 0], Visibility::Causal),
        (&[0], &[], Visibility::Causal),
        (&[], &[0], Visibility::Causal),
        (&[0], &[0, LENGTH], Visibility::Causal),
        (&[0], &[0, 1], Visibility::GapsAndWhole { size: 2 }),
    ] {
        assert!(
            attempt(rows, positions, visibility).is_err(),
            "{rows:?} {positions:?}"
        );
    }
    assert_eq!(attempt(&[1], &[0, 1], blocks).unwrap(), 2 * (VOCAB - 1));
    let ends = [blocks, Visibility::Causal, Visibility::Full].map(|see| see.end(4, 5));
    assert_eq!(ends, [5, 5, 5]);
    let ends = [blocks, Visibility::Causal, Visibility::Full].map(|see| see.end(2, 5));
    assert_eq!(ends, [4, 3, 5]);
    for see in [blocks, Visibility::Causal, Visibility::Full] {
        for read in 0..5 {
            let first = (0..5).find(|&reader| see.sees(reader, read, 5));
            assert_eq!(Some(see.first_reader(read)), first, "{see:?}");
            let last = (0..5).rfind(|&other| see.sees(read, other, 5));
            assert_eq!(Some(see.end(read, 5) - 1), last, "{see:?}");
        }
    }
}

#[test]
fn predictions_are_distributions_over_everything_but_mask() {
    let (_, decoder) = decoder(&config(), &Device::flex());
    let values = log_probabilities(&decoder, &[0, 1, 2, 5, 5, 4, 0], Visibility::Full);
    assert_eq!(values.len(), LENGTH * (VOCAB - 1));
    for row in values.chunks_exact(VOCAB - 1) {
        let sum: f64 = row.iter().map(|value| f64::from(*value).exp()).sum();
        assert!((sum - 1.0).abs() < 1e-5);
    }
}

#[test]
fn shared_key_heads_equal_repeated_ones() {
    let grouped = config();
    let (shape, small) = decoder(&grouped, &Device::flex());
    let mut weights = block_on(small.weights()).unwrap();
    // Repeating each key-value head for the two query heads it serves makes the ungrouped model of the same function.
    for layer in 0..shape.num_hidden_layers {
        for part in ["k_proj", "v_proj"] {
            let name = format!("model.layers.{layer}.self_attn.{part}.weight");
            let tensor = weights.0.get_mut(&name).unwrap();
            let head = shape.head_dim * shape.hidden_size;
            tensor.values = tensor
                .values
                .chunks_exact(head)
                .flat_map(|rows| [rows, rows].concat())
                .collect();
            tensor.shape[0] *= 2;
        }
    }
    let full = ModelConfig {
        num_key_value_heads: None,
        ..grouped
    };
    let full_shape = full.resolve(VOCAB).unwrap();
    let large = Decoder::new(&full, &full_shape, &weights, &Device::flex()).unwrap();
    let tokens = [0, 1, 2, 3, 4, 0, 1];
    let (one, two) = (
        log_probabilities(&small, &tokens, Visibility::Full),
        log_probabilities(&large, &tokens, Visibility::Full),
    );
    for (left, right) in one.iter().zip(&two) {
        assert!((left - right).abs() < 1e-5, "{left} is not {right}");
    }
}

#[test]
fn gradients_are_the_loss_s_slope() {
    let config = ModelConfig {
        num_hidden_layers: 1,
        tie_word_embeddings: true,
        ..config()
    };
    let device = Device::flex();
    let shape = config.resolve(VOCAB).unwrap();
    let weights = Weights::initial(&shape, config.initializer_range, 3);
    let inputs = [5, 0, 1, 2, 3, 4, 0];
    let targets = [0, 1, 2, 3, 4, 0, 1];
    let loss = |weights: &Weights| -> f64 {
        let decoder = Decoder::new(&config, &shape, weights, &device).unwrap();
        block_on(decoder.nats(&inputs, &targets, LENGTH, Visibility::Causal))
            .unwrap()
            .iter()
            .sum()
    };
    let trained = Decoder::new(&config, &shape, &weights, &device)
        .unwrap()
        .tracked();
    let total = trained
        .cross_entropy(&inputs, &targets, LENGTH, Visibility::Causal, &Dropout::Off)
        .sum();
    let gradients = total.backward();
    let gradients: Vec<Tensor<2>> = trained
        .parameters()
        .into_iter()
        .map(|parameter| {
            parameter
                .grad(&gradients)
                .expect("every parameter is reached")
        })
        .collect();
    let references: Vec<&Tensor<2>> = gradients.iter().collect();
    let gradients = block_on(crossover::model::decoder::read(&shape, &references)).unwrap();
    for (name, gradient) in &gradients.0 {
        // The steepest coordinate of each parameter, where f32 differences are most reliable.
        let (index, slope) = gradient
            .values
            .iter()
            .enumerate()
            .max_by(|left, right| left.1.abs().total_cmp(&right.1.abs()))
            .unwrap();
        let step = 1e-2;
        let moved = |by: f32| {
            let mut weights = weights.clone();
            weights.0.get_mut(name).unwrap().values[index] += by;
            loss(&weights)
        };
        // Fourth-order central difference: the step can be wide enough for f32 losses.
        let difference = (8.0 * (moved(step) - moved(-step))
            - (moved(2.0 * step) - moved(-2.0 * step)))
            / (12.0 * f64::from(step));
        let tolerance = 1e-3 * f64::from(slope.abs()) + 2e-4;
        assert!(
            (difference - f64::from(*slope)).abs() < tolerance,
            "{name}[{index}]: slope {slope}, difference {difference}"
        );
    }
}

#[test]
fn weights_come_back_as_they_went_in() {
    for tied in [false, true] {
        let config = ModelConfig {
            tie_word_embeddings: tied,
            ..config()
        };
        let shape = config.resolve(VOCAB).unwrap();
        let weights = Weights::initial(&shape, 0.02, 9);
        let decoder = Decoder::new(&config, &shape, &weights, &Device::flex()).unwrap();
        assert_eq!(block_on(decoder.weights()).unwrap(), weights);
    }
}

#[test]
fn dropout_drops_by_its_stream_and_not_at_all_when_off() {
    let device = Device::flex();
    let (_, decoder) = decoder(&config(), &device);
    let tokens = [5, 0, 1, 2, 3, 4, 0];
    let hidden = |dropout: &Dropout| -> TensorData {
        let hidden = decoder.hidden(&tokens, LENGTH, Visibility::Causal, dropout);
        block_on(hidden.into_data_async()).unwrap()
    };
    let host = |seed| Dropout::Host {
        rate: 0.5,
        streams: RefCell::new(vec![Stream::new(seed, Purpose::Dropout, 0, 0)]),
    };
    assert_eq!(hidden(&Dropout::Off), hidden(&Dropout::Off));
    assert_eq!(hidden(&host(1)), hidden(&host(1)));
    assert_ne!(hidden(&host(1)), hidden(&host(2)));
    assert_ne!(hidden(&host(1)), hidden(&Dropout::Off));
}

#[test]
fn attention_rows_sum_to_one_and_respect_who_may_see_whom() {
    let (shape, decoder) = decoder(&config(), &Device::flex());
    let tokens = [5, 0, 1, 2, 3, 4, 0];
    let blocks = Visibility::Blocks { size: 3 };
    for visibility in [Visibility::Causal, Visibility::Full, blocks] {
        for layer in 0..shape.num_hidden_layers {
            let weights = block_on(decoder.attention(&tokens, visibility, layer)).unwrap();
            assert_eq!(weights.len(), shape.num_attention_heads * LENGTH * LENGTH);
            for (row, weights) in weights.chunks_exact(LENGTH).enumerate() {
                let sum: f32 = weights.iter().sum();
                assert!((sum - 1.0).abs() < 1e-5, "row {row} sums to {sum}");
                for (read, &weight) in weights.iter().enumerate() {
                    let sees = visibility.sees(row % LENGTH, read, LENGTH);
                    assert_eq!(weight > 0.0, sees, "{visibility:?}: {row} at {read}");
                }
            }
        }
    }
    let missing = shape.num_hidden_layers;
    assert!(block_on(decoder.attention(&tokens, Visibility::Full, missing)).is_err());
}

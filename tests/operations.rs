//! Fused operations give what compositions of burn's own give: logits, losses, gradients, and models after many steps.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod devices;

use std::cell::RefCell;

use burn::tensor::{Device, Tensor};
use crossover::device::{DeviceChoice, Selected};
use crossover::model::{Decoder, Dropout, ModelConfig, Ops, Predictor, Read, Visibility, Weights};
use crossover::objective::Objective;
use crossover::random::{Purpose, Stream};
use crossover::train::{RunConfig, Trainer};
use pollster::block_on;

use devices::devices;

/// A GPU sums in another order. CUDA multiplies by TF32, which moves a factor by up to 5e-4 of it, and gradients of weights as
/// wild as these by a hundredth.
fn tolerance(device: &Selected) -> f32 {
    match device.choice {
        DeviceChoice::Cpu => 5e-5,
        DeviceChoice::Cuda => 1e-2,
        _ => 1e-4,
    }
}

fn config(hidden_size: usize, heads: usize, key_value_heads: usize, tied: bool) -> ModelConfig {
    ModelConfig {
        hidden_size,
        intermediate_size: Some(2 * hidden_size - 3),
        num_hidden_layers: 2,
        num_attention_heads: heads,
        num_key_value_heads: Some(key_value_heads),
        tie_word_embeddings: tied,
        initializer_range: 0.3,
        ..ModelConfig::default()
    }
}

/// A window whose keys the processor's attention takes in several blocks.
fn long() -> (ModelConfig, usize) {
    (config(12, 2, 1, false), 700)
}

/// Widths and counts that no vector and no tile divides.
fn shapes() -> Vec<(ModelConfig, usize)> {
    let mixture = ModelConfig {
        num_experts: Some(3),
        moe_intermediate_size: Some(9),
        shared_expert_intermediate_size: Some(5),
        ..config(12, 2, 1, false)
    };
    vec![
        (mixture, 10),
        (config(12, 2, 1, false), 7),
        (config(24, 4, 2, true), 41),
        (config(32, 2, 2, false), 130),
        (config(8, 1, 1, false), 4),
        (config(16, 2, 1, false), 1),
    ]
}

fn both(config: &ModelConfig, vocab: usize, device: &Device) -> [Decoder; 2] {
    let shape = config.resolve(vocab).unwrap();
    let weights = Weights::initial(&shape, config.initializer_range, 3);
    [Ops::Fused, Ops::Reference].map(|ops| {
        let decoder = Decoder::new(config, &shape, &weights, device).unwrap();
        let decoder = decoder.with_ops(ops);
        assert_eq!(decoder.ops(), ops);
        decoder
    })
}

fn visibilities(length: usize) -> Vec<Visibility> {
    // Blocks that fill the window, and blocks of which the last is cut.
    let size = (length / 3).max(1);
    vec![
        Visibility::Full,
        Visibility::Causal,
        Visibility::Blocks { size },
        Visibility::GapsAndWhole { size },
        Visibility::GapsAndWhole { size: 1 },
    ]
}

fn close(found: &[f32], expected: &[f32], tolerance: f32, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let size = expected
        .iter()
        .fold(0.0_f32, |most, value| most.max(value.abs()));
    for (index, (a, b)) in found.iter().zip(expected).enumerate() {
        assert!(
            (a - b).abs() <= tolerance * (1.0 + size),
            "{what}, element {index}: {a} and {b}, largest {size}"
        );
    }
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    block_on(tensor.into_data_async())
        .unwrap()
        .iter::<f32>()
        .collect()
}

#[test]
fn what_a_position_sees_is_the_same_in_stretches_and_one_by_one() {
    for length in [1, 2, 7, 12] {
        for size in 1..=length {
            let all = [
                Visibility::Full,
                Visibility::Causal,
                Visibility::Blocks { size },
                Visibility::GapsAndWhole { size },
            ];
            for visibility in all {
                let sequence = visibility.copies() * length;
                for reader in 0..sequence {
                    let seen = visibility.seen(reader, length);
                    for read in 0..sequence {
                        let inside = seen.iter().any(|stretch| stretch.contains(&read));
                        assert_eq!(inside, visibility.sees(reader, read, length));
                    }
                    assert!(seen.is_sorted_by(|a, b| a.end <= b.start));
                }
            }
        }
    }
}

#[test]
fn losses_and_gradients_are_those_of_the_reference() {
    for device in devices() {
        let mut shapes = shapes();
        if device.is_processor() {
            shapes.push(long());
        }
        losses_and_gradients_agree(&device, shapes);
    }
}

fn losses_and_gradients_agree(device: &Selected, shapes: Vec<(ModelConfig, usize)>) {
    let tolerance = tolerance(device);
    for (config, length) in shapes {
        let vocab = 6;
        let batch = 3;
        for visibility in visibilities(length) {
            let mut stream = Stream::new(1, Purpose::Source, length as u64, 0);
            let mut draw = |count: usize, below: u64| -> Vec<u32> {
                (0..count).map(|_| stream.below(below) as u32).collect()
            };
            let inputs = draw(batch * visibility.copies() * length, vocab as u64);
            let targets = draw(batch * length, vocab as u64 - 1);
            // Some rows don't count.
            let weights: Vec<f32> = draw(batch * length, 3)
                .iter()
                .map(|n| *n as f32 / 2.0)
                .collect();
            let [fused, reference] = both(&config, vocab, &device.device).map(|decoder| {
                let nats = block_on(decoder.nats(&inputs, &targets, length, visibility)).unwrap();
                let nats: Vec<f32> = nats.iter().map(|nats| *nats as f32).collect();
                let tracked = decoder.tracked();
                let loss = tracked.cross_entropy_sum(
                    &inputs,
                    &targets,
                    weights.clone(),
                    length,
                    visibility,
                    &Dropout::Off,
                );
                let gradients = loss.backward();
                let gradients: Vec<Vec<f32>> = tracked
                    .parameters()
                    .iter()
                    .map(|parameter| values(parameter.grad(&gradients).unwrap()))
                    .collect();
                (nats, values(loss.without_autodiff()), gradients)
            });
            let what = format!(
                "{}: {visibility:?}, {length} tokens, width {}",
                device.description, config.hidden_size
            );
            close(&fused.0, &reference.0, tolerance, &format!("{what}: nats"));
            close(&fused.1, &reference.1, tolerance, &format!("{what}: sum"));
            for (index, (found, expected)) in fused.2.iter().zip(&reference.2).enumerate() {
                close(
                    found,
                    expected,
                    tolerance,
                    &format!("{what}: gradient {index}"),
                );
            }
        }
    }
}

/// The same masks, drawn in the same order.
#[test]
fn what_is_dropped_is_the_same_as_in_the_reference() {
    let (batch, vocab) = (2, 6);
    for (config, length) in shapes().into_iter().chain([long()]) {
        for visibility in visibilities(length) {
            let tokens: Vec<u32> = (0..(batch * visibility.copies() * length) as u32)
                .map(|n| n * n % 5)
                .collect();
            let targets = &tokens[..batch * length];
            let [fused, reference] = both(&config, vocab, &Device::flex()).map(|decoder| {
                let streams = [1, 2].map(|n| Stream::new(n, Purpose::Dropout, 0, 0));
                let dropout = Dropout::Host {
                    rate: 0.3,
                    streams: RefCell::new(streams.to_vec()),
                };
                let weights = vec![0.1; batch * length];
                let tracked = decoder.tracked();
                let loss = tracked
                    .cross_entropy_sum(&tokens, targets, weights, length, visibility, &dropout);
                let found = loss.backward();
                let parameters = tracked.parameters().into_iter();
                let gradients: Vec<Vec<f32>> = parameters
                    .map(|parameter| values(parameter.grad(&found).unwrap()))
                    .collect();
                (values(loss.without_autodiff()), gradients)
            });
            let what = format!(
                "{visibility:?}, {length} tokens, width {}",
                config.hidden_size
            );
            close(&fused.0, &reference.0, 2e-5, &what);
            for (index, (found, expected)) in fused.1.iter().zip(&reference.1).enumerate() {
                close(found, expected, 5e-5, &format!("{what}: gradient {index}"));
            }
        }
    }
}

#[test]
fn reads_with_a_cache_are_those_of_the_reference() {
    for (config, length) in shapes() {
        let vocab = 6;
        let decoders = both(&config, vocab, &Device::flex());
        for visibility in visibilities(length) {
            if visibility.copies() > 1 {
                continue;
            }
            let mut caches = decoders.each_ref().map(|decoder| decoder.cache(3, length));
            let mut stream = Stream::new(2, Purpose::Source, length as u64, 0);
            // Everything; one row's last position, as in writing; scattered positions of two rows; and everything again.
            let everything: Vec<usize> = (0..length).collect();
            let scattered: Vec<usize> = (0..length).step_by(3).collect();
            let reads: [(&[usize], &[usize]); 4] = [
                (&[0, 1, 2], &everything),
                (&[1], &everything[length - 1..]),
                (&[0, 2], &scattered),
                (&[0, 1, 2], &everything),
            ];
            for (number, (rows, positions)) in reads.into_iter().enumerate() {
                let count = rows.len() * positions.len();
                let tokens: Vec<u32> = (0..count).map(|_| stream.below(6) as u32).collect();
                let read = Read {
                    rows,
                    positions,
                    tokens: &tokens,
                    answers: 0..positions.len(),
                    visibility,
                };
                let answers = decoders.iter().zip(&mut caches);
                let [fused, reference]: [Vec<f32>; 2] = answers
                    .map(|(decoder, cache)| block_on(decoder.read(cache, &read)).unwrap())
                    .collect::<Vec<_>>()
                    .try_into()
                    .unwrap();
                let what = format!("{length} tokens, {visibility:?}, read {number}");
                close(&fused, &reference, 2e-5, &what);
            }
        }
    }
}

#[test]
fn training_goes_where_the_reference_goes() {
    for device in devices() {
        training_agrees(&device);
    }
}

fn training_agrees(device: &Selected) {
    // In software a GPU takes a second for a step.
    let steps = match device.choice {
        DeviceChoice::Cpu => 40,
        _ => 10,
    };
    // Of the losses; what rounds grows with every step.
    let at_first = match device.choice {
        DeviceChoice::Cuda => 3e-4,
        _ => 1e-5,
    };
    for objective in [
        Objective::Autoregressive,
        Objective::Masked,
        Objective::Block,
    ] {
        let [fused, reference] = [Ops::Fused, Ops::Reference].map(|ops| {
            let mut config = RunConfig::default();
            config.model.hidden_size = 32;
            config.model.num_hidden_layers = 2;
            config.train.batch = 6;
            config.train.ops = ops;
            config.objective.block_size = Some(5);
            let (length, vocab) = (15, 8);
            let shape = config.model.resolve(vocab).unwrap();
            let weights = Weights::initial(&shape, 0.02, 1);
            let mut trainer = Trainer::new(objective, &config, &shape, &weights, device).unwrap();
            // The same few windows again and again, so that there is something to learn.
            let mut stream = Stream::new(2, Purpose::Source, 0, 0);
            let tokens: Vec<u32> = (0..6 * length).map(|_| stream.below(7) as u32).collect();
            let (losses, norms): (Vec<f32>, Vec<f32>) = (0..steps)
                .map(|_| {
                    let pending = block_on(trainer.step(&tokens, length, steps))
                        .expect("the processor computes");
                    let result = block_on(Trainer::read(&pending)).unwrap();
                    (result.nats[0].1 as f32, result.grad_norm as f32)
                })
                .unzip();
            (losses, norms)
        });
        let what = format!("{}: {}", device.description, objective.name());
        let ((fused, norms), (reference, reference_norms)) = (fused, reference);
        close(
            &norms[..10],
            &reference_norms[..10],
            10.0 * at_first,
            &format!("{what}, norms"),
        );
        close(&fused[..10], &reference[..10], at_first, &what);
        close(&fused, &reference, 100.0 * at_first, &what);
        let kept = fused.iter().sum::<f32>() / steps as f32;
        assert!(fused[0] > kept, "{what} learns: {fused:?}");
    }
}

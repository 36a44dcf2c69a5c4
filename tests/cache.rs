//! What a cache may change: the time and the FLOPs of a text, and where it is exact nothing else.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use burn::tensor::Device;
use crossover::error::Kind;
use crossover::laws::flops::{self, ReadCost};
use crossover::model::{Decoder, ModelConfig, Shape, Visibility, Weights};
use crossover::sample::{
    Caching, Cell, Decoding, Denoising, Sample, Sampler, Step, Trace, decode, denoise,
};
use pollster::block_on;

const VOCAB: usize = 9;

fn decoder(key_value_heads: usize) -> (Shape, Decoder) {
    let config = ModelConfig {
        hidden_size: 16,
        num_hidden_layers: 3,
        num_attention_heads: 4,
        num_key_value_heads: Some(key_value_heads),
        // Larger than in training, so that what is out of date shows.
        initializer_range: 0.4,
        ..ModelConfig::default()
    };
    let shape = config.resolve(VOCAB).unwrap();
    let weights = Weights::initial(&shape, config.initializer_range, 7);
    let decoder = Decoder::new(&config, &shape, &weights, &Device::flex()).unwrap();
    (shape, decoder)
}

/// Both texts have the same tokens, written by the same steps from predictions that agree within 1e-4 nats.
fn assert_same(left: &[Sample], right: &[Sample], what: &str) {
    assert_eq!(left.len(), right.len());
    for (left, right) in left.iter().zip(right) {
        assert_eq!(left.tokens, right.tokens, "{what}");
        assert_eq!(left.model_calls, right.model_calls, "{what}");
        for (left, right) in left.steps.iter().zip(&right.steps) {
            assert_eq!(left.committed, right.committed, "{what}");
            let numbers = |step: &Step| [step.confidence.clone(), step.entropy.clone()].concat();
            for (left, right) in numbers(left).iter().zip(numbers(right)) {
                assert!((left - right).abs() < 1e-4, "{what}: {left} is not {right}");
            }
        }
    }
}

#[test]
fn left_to_right_text_is_the_same_with_and_without_a_cache() {
    for key_value_heads in [1, 2, 4] {
        let (shape, model) = decoder(key_value_heads);
        for prompt in [vec![], vec![3], vec![1, 2, 3, 4, 5], vec![0; 12]] {
            let plain = Decoding {
                cost: ReadCost::of(&shape),
                ..Decoding::new(prompt, 13, 5)
            };
            let cached = Decoding {
                cache: Caching::Exact,
                ..plain.clone()
            };
            let plain = block_on(decode(&model, &plain, 0..3)).unwrap();
            let cached = block_on(decode(&model, &cached, 0..3)).unwrap();
            assert_same(&cached, &plain, "left to right");
            assert!(cached[0].flops < plain[0].flops);
        }
    }
}

#[test]
fn a_cached_text_costs_what_the_law_of_generation_says() {
    let (shape, model) = decoder(2);
    let cost = ReadCost::of(&shape);
    for row in &flops::generation(&shape)[..2] {
        let cached = Decoding {
            cache: Caching::Exact,
            cost,
            ..Decoding::new(vec![], row.length, 1)
        };
        let sample = &block_on(decode(&model, &cached, 0..1)).unwrap()[0];
        assert!((sample.flops / row.ar_flops - 1.0).abs() < 1e-12);
        assert_eq!(sample.model_calls, row.length);
        let steps = Denoising {
            sampler: Sampler::LowConfidence,
            cost,
            ..Denoising::new(vec![Cell::Free; row.length], Visibility::Full, 1)
        };
        let sample = &block_on(denoise(&model, &steps, 0..1)).unwrap()[0];
        assert!((sample.flops / row.masked_flops - 1.0).abs() < 1e-12);
    }
    // A prompt is read in one call, together with the start token before it.
    let prompted = Decoding {
        cache: Caching::Exact,
        cost,
        ..Decoding::new(vec![1, 2, 3], 6, 1)
    };
    let sample = &block_on(decode(&model, &prompted, 0..1)).unwrap()[0];
    assert_eq!(sample.model_calls, 3);
    let expected = cost.read(4, 4, 1) + cost.read(1, 5, 1) + cost.read(1, 6, 1);
    assert!((sample.flops / expected - 1.0).abs() < 1e-12);
}

/// A page of 13 cells with a prompt of some length and a given token further on.
fn page(prompt: u32) -> Vec<Cell> {
    let mut page: Vec<Cell> = (0..prompt).map(Cell::Given).collect();
    page.resize(13, Cell::Free);
    page[11] = Cell::Given(2);
    page
}

#[test]
fn block_diffusion_text_is_the_same_with_and_without_a_cache() {
    for key_value_heads in [1, 4] {
        let (shape, model) = decoder(key_value_heads);
        for (size, prompt) in [(2, 0), (3, 2), (4, 5), (5, 6), (1, 3)] {
            for sampler in [Sampler::Ancestral, Sampler::Threshold { tau: 0.4 }] {
                let plain = Denoising {
                    sampler,
                    cost: ReadCost::of(&shape),
                    ..Denoising::new(page(prompt), Visibility::Blocks { size }, 3)
                };
                let cached = Denoising {
                    cache: Caching::Exact,
                    divergence: true,
                    ..plain.clone()
                };
                let plain = block_on(denoise(&model, &plain, 0..3)).unwrap();
                let cached = block_on(denoise(&model, &cached, 0..3)).unwrap();
                assert_same(&cached, &plain, &format!("blocks of {size}"));
                let saved = cached.iter().zip(&plain).all(|(a, b)| a.flops < b.flops);
                assert!(saved, "blocks of {size}");
                let steps = &cached[0].steps;
                let measured: Vec<f64> = steps.iter().filter_map(|step| step.divergence).collect();
                assert!(!measured.is_empty());
                assert!(measured.iter().all(|nats| *nats <= 1e-5), "{measured:?}");
            }
        }
    }
}

#[test]
fn approximate_caches_tell_how_far_they_are_off_and_are_exact_when_always_refreshed() {
    let (shape, model) = decoder(2);
    let plain = Denoising {
        sampler: Sampler::FirstHitting,
        block_size: 5,
        cost: ReadCost::of(&shape),
        ..Denoising::new(page(2), Visibility::Full, 3)
    };
    let write = |cache, divergence, guidance| {
        let request = Denoising {
            cache,
            divergence,
            guidance,
            ..plain.clone()
        };
        block_on(denoise(&model, &request, 0..3)).unwrap()
    };
    let worst = |samples: &[Sample]| {
        let steps = samples.iter().flat_map(|sample| &sample.steps);
        steps
            .map(|step| step.divergence.unwrap())
            .fold(0.0, f64::max)
    };
    for guidance in [0.0, 1.5] {
        let exact = write(Caching::None, true, guidance);
        assert!(exact[0].steps.iter().all(|step| step.divergence.is_none()));
        for name in ["prefix", "dual", "dkv"] {
            let rarely = Caching::named(name, Some(1_000)).unwrap();
            let measured = write(rarely, true, guidance);
            assert!(worst(&measured) > 1e-4, "{name}: {}", worst(&measured));
            let first = measured
                .iter()
                .map(|sample| sample.steps[0].divergence.unwrap());
            assert!(
                first.fold(0.0, f64::max) <= 1e-6,
                "{name}: all is new at first"
            );
            assert!(measured[0].flops < exact[0].flops, "{name}");

            let mut silent = write(rarely, false, guidance);
            for (silent, measured) in silent.iter_mut().zip(&measured) {
                assert!(silent.steps.iter().all(|step| step.divergence.is_none()));
                for (silent, measured) in silent.steps.iter_mut().zip(&measured.steps) {
                    silent.divergence = measured.divergence;
                }
            }
            assert_eq!(
                silent, measured,
                "{name}: measuring changes and costs nothing"
            );

            let always = write(Caching::named(name, Some(1)).unwrap(), true, guidance);
            assert!(worst(&always) <= 1e-6, "{name}: {}", worst(&always));
            assert_same(&always, &exact, name);
        }
    }
}

#[test]
fn a_trace_names_its_cache_and_its_divergence() {
    let (_, model) = decoder(2);
    let request = Denoising {
        cache: Caching::Dual { refresh: Some(3) },
        divergence: true,
        ..Denoising::new(page(0), Visibility::Full, 3)
    };
    let sample = block_on(denoise(&model, &request, 0..1)).unwrap().remove(0);
    let trace = Trace::new(request.header(0, None), sample, String::new(), 0.0);
    let lines = trace.to_json_lines().unwrap();
    let lines: Vec<serde_json::Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(
        lines[0]["sampler"]["cache"],
        serde_json::json!({"name": "dual", "refresh": 3})
    );
    let read: Vec<Step> = lines[1..lines.len() - 1]
        .iter()
        .map(|line| serde_json::from_value(line.clone()).unwrap())
        .collect();
    // JSON is read to within the last bit of a double.
    let rounded = |steps: &[Step]| -> Vec<Step> {
        let single = |step: &Step| Step {
            divergence: step.divergence.map(|nats| f64::from(nats as f32)),
            ..step.clone()
        };
        steps.iter().map(single).collect()
    };
    assert_eq!(rounded(&read), rounded(&trace.steps));
    let request = Denoising {
        cache: Caching::None,
        ..request
    };
    let header = serde_json::to_value(request.header(0, None)).unwrap();
    assert!(header["sampler"].get("cache").is_none());
}

#[test]
fn a_cache_for_another_kind_of_model_is_refused() {
    let (_, model) = decoder(2);
    let approximate = ["prefix", "dual", "dkv"].map(|name| Caching::named(name, None).unwrap());
    for cache in approximate {
        let request = Decoding {
            cache,
            ..Decoding::new(vec![], 4, 0)
        };
        let error = block_on(decode(&model, &request, 0..1)).unwrap_err();
        assert_eq!(error.kind(), Kind::Input);
        let request = Denoising {
            cache,
            ..Denoising::new(page(0), Visibility::Blocks { size: 2 }, 0)
        };
        assert!(block_on(denoise(&model, &request, 0..1)).is_err());
    }
    for cache in [Caching::Exact, Caching::Dual { refresh: Some(0) }] {
        let request = Denoising {
            cache,
            ..Denoising::new(page(0), Visibility::Full, 0)
        };
        let error = block_on(denoise(&model, &request, 0..1)).unwrap_err();
        assert_eq!(error.kind(), Kind::Input);
        assert!(error.hint().is_some());
    }
}

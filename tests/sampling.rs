//! What the samplers promise, held against models and sources that are known to the last digit.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "wasm/guess.rs"]
mod guess;
mod table;

use std::process::Command;

use crossover::error::Kind;
use crossover::laws::flops::ReadCost;
use crossover::model::Visibility;
use crossover::random::{Purpose, Stream};
use crossover::sample::{
    Cell, Choice, Decoding, Denoising, Remasking, Sample, Sampler, Schedule, Score, Trace, decode,
    denoise,
};
use pollster::block_on;
use proptest::prelude::*;

use table::*;

#[test]
fn blocks_are_written_one_after_the_other_with_the_bigrams_of_the_source() {
    let table = Table::posterior(6, &markov_strings(6));
    let request = Denoising {
        block_size: 2,
        visibility: Visibility::Blocks { size: 2 },
        ..denoising(vec![Cell::Free; 6], Sampler::Ancestral, 150, 3)
    };
    let samples = block_on(denoise(&table, &request, 0..8_000)).unwrap();
    for step in &samples[0].steps {
        let blocks = step.tokens.chunks(2);
        let unfinished = blocks.skip_while(|block| block.iter().all(|&token| token >= 0));
        let mut later = unfinished.skip(1).flatten();
        assert!(later.all(|&token| token < 0), "{:?}", step.tokens);
    }
    let tokens: Vec<Vec<u32>> = samples.into_iter().map(|sample| sample.tokens).collect();
    assert_chi_squared(&pairs(&tokens, 1, 2), &bigrams());
    assert_chi_squared(&pairs(&tokens, 2, 3), &bigrams());
}

fn denoising(template: Vec<Cell>, sampler: Sampler, steps: usize, seed: u64) -> Denoising {
    Denoising {
        sampler,
        steps,
        cost: ReadCost {
            answer: 2.5,
            ..ReadCost::default()
        },
        ..Denoising::new(template, Visibility::Full, seed)
    }
}

/// Denoises from nothing, or decodes where there is no sampler; in batches of 500.
fn many(table: &Table, sampler: Option<(Sampler, usize)>, count: u64) -> Vec<Vec<u32>> {
    let batches = (0..count)
        .step_by(500)
        .map(|first| first..(first + 500).min(count));
    batches
        .flat_map(|range| match sampler {
            Some((sampler, steps)) => {
                let request = denoising(vec![Cell::Free; table.length], sampler, steps, 11);
                block_on(denoise(table, &request, range)).unwrap()
            }
            None => {
                let request = Decoding::new(vec![], table.length, 11);
                block_on(decode(table, &request, range)).unwrap()
            }
        })
        .map(|sample| sample.tokens)
        .collect()
}

/// How often each pair of tokens stands at positions `first` and `second`, row after row.
fn pairs(samples: &[Vec<u32>], first: usize, second: usize) -> Vec<f64> {
    let mut counts = vec![0.0; TOKENS * TOKENS];
    for sample in samples {
        counts[sample[first] as usize * TOKENS + sample[second] as usize] += 1.0;
    }
    counts
}

fn bigrams() -> Vec<f64> {
    let start = stationary();
    (0..9)
        .map(|pair| start[pair / 3] * TRANSITION[pair / 3][pair % 3])
        .collect()
}

#[test]
fn samples_of_the_perfect_model_have_the_bigrams_of_the_source() {
    let table = Table::posterior(6, &markov_strings(6));
    // 128 steps for 6 tokens: two neighbours are hardly ever revealed in the same step.
    let denoised = many(&table, Some((Sampler::Ancestral, 128)), 8_000);
    let decoded = many(&table, None, 20_000);
    for samples in [denoised, decoded] {
        assert_chi_squared(&pairs(&samples, 0, 1), &bigrams());
        assert_chi_squared(&pairs(&samples, 3, 4), &bigrams());
    }
}

#[test]
fn one_step_writes_the_product_of_the_marginals() {
    let table = Table::posterior(4, &markov_strings(4));
    let start = stationary();
    let product: Vec<f64> = (0..9)
        .map(|pair| start[pair / 3] * start[pair % 3])
        .collect();
    let fixed = Sampler::ALL
        .into_iter()
        .filter(|sampler| !sampler.chooses_its_steps());
    for sampler in fixed {
        let samples = many(&table, Some((sampler, 1)), 10_000);
        assert_chi_squared(&pairs(&samples, 1, 2), &product);
    }
}

#[test]
fn more_steps_bring_ancestral_samples_closer_to_the_source() {
    let table = Table::posterior(4, &markov_strings(4));
    let truth = bigrams();
    let distance = |steps| {
        let counts = pairs(
            &many(&table, Some((Sampler::Ancestral, steps)), 10_000),
            1,
            2,
        );
        let gaps = counts
            .iter()
            .zip(&truth)
            .map(|(count, p)| (count / 10_000.0 - p).abs());
        gaps.sum::<f64>() / 2.0
    };
    let distances = [1, 2, 4, 16].map(distance);
    // One step misses by about 0.4; the noise of 10,000 samples is below 0.02.
    assert!(distances.is_sorted_by(|a, b| a > b), "{distances:?}");
    assert!(distances[3] < 0.05 && distances[0] > 0.3, "{distances:?}");
}

#[test]
fn a_sample_does_not_depend_on_its_batch() {
    let table = Table::random(4, 9);
    let request = denoising(
        vec![Cell::Free, Cell::Given(1), Cell::Free, Cell::Free],
        Sampler::Ancestral,
        5,
        3,
    );
    let together = block_on(denoise(&table, &request, 0..4)).unwrap();
    for (sample, index) in together.iter().zip(0..) {
        let alone = block_on(denoise(&table, &request, index..index + 1)).unwrap();
        assert_eq!(*sample, alone[0]);
    }
    assert!(
        together
            .iter()
            .any(|sample| sample.tokens != together[0].tokens)
    );
    let request = Decoding::new(vec![2], 4, 3);
    let together = block_on(decode(&table, &request, 0..4)).unwrap();
    for (sample, index) in together.iter().zip(0..) {
        let alone = block_on(decode(&table, &request, index..index + 1)).unwrap();
        assert_eq!(*sample, alone[0]);
    }
    assert!(block_on(decode(&table, &request, 4..4)).unwrap().is_empty());
}

#[test]
fn greedy_confident_denoising_writes_the_surest_token_first() {
    let table = Table::random(4, 10);
    let mut request = denoising(vec![Cell::Free; 4], Sampler::LowConfidence, 4, 0);
    request.choice.temperature = 0.0;
    let samples = block_on(denoise(&table, &request, 0..2)).unwrap();
    assert_eq!(samples[0], samples[1], "nothing is left to chance");
    let mut pattern = vec![MASK; 4];
    for step in &samples[0].steps {
        let sure = |position: usize| {
            table
                .row(&pattern, position)
                .into_iter()
                .fold(0.0, f64::max)
        };
        let masked = (0..4).filter(|&position| pattern[position] == MASK);
        let surest = masked.max_by(|&a, &b| sure(a).total_cmp(&sure(b))).unwrap();
        assert_eq!(step.committed, [surest]);
        assert_near(f64::from(step.confidence[surest]), sure(surest), 1e-6);
        pattern[surest] = samples[0].tokens[surest];
    }
}

#[test]
fn an_unchanged_page_is_not_read_again() {
    let table = Table::random(4, 12);
    let request = denoising(vec![Cell::Free; 4], Sampler::Ancestral, 200, 0);
    let sample = &block_on(denoise(&table, &request, 0..1)).unwrap()[0];
    assert_eq!(sample.steps.len(), 200);
    assert!(sample.model_calls <= 4);
    assert_eq!(sample.flops, 10.0 * sample.model_calls as f64);
}

#[test]
fn what_cannot_be_written_is_refused_before_the_model_is_asked() {
    let table = Table::random(4, 13);
    let good = denoising(
        vec![Cell::Free, Cell::Free, Cell::Given(0), Cell::Free],
        Sampler::LowConfidence,
        3,
        0,
    );
    assert!(block_on(denoise(&table, &good, 0..1)).is_ok());
    for bad in [
        Denoising {
            steps: 0,
            ..good.clone()
        },
        Denoising {
            steps: 4,
            ..good.clone()
        },
        Denoising {
            template: vec![Cell::Given(0); 4],
            ..good.clone()
        },
        Denoising {
            template: vec![],
            ..good.clone()
        },
        Denoising {
            template: vec![Cell::Free, Cell::Given(MASK)],
            ..good.clone()
        },
        Denoising {
            guidance: -1.0,
            ..good.clone()
        },
        Denoising {
            guidance: 1.0,
            template: vec![Cell::Free; 4],
            ..good.clone()
        },
        Denoising {
            sampler: Sampler::Threshold { tau: 2.0 },
            ..good.clone()
        },
        Denoising {
            choice: Choice {
                top_k: Some(0),
                ..Choice::default()
            },
            ..good.clone()
        },
    ] {
        let error = block_on(denoise(&table, &bad, 0..1)).unwrap_err();
        assert_eq!(error.kind(), Kind::Input, "{bad:?}");
    }
    let good = Decoding::new(vec![0], 4, 0);
    assert!(block_on(decode(&table, &good, 0..1)).is_ok());
    for bad in [
        Decoding {
            prompt: vec![0; 4],
            ..good.clone()
        },
        Decoding {
            prompt: vec![MASK],
            ..good.clone()
        },
        Decoding {
            choice: Choice {
                temperature: -1.0,
                ..Choice::default()
            },
            ..good.clone()
        },
    ] {
        let error = block_on(decode(&table, &bad, 0..1)).unwrap_err();
        assert_eq!(error.kind(), Kind::Input, "{bad:?}");
    }
}

/// What holds of every sample, however it was written. `rewrites` says whether written tokens may be hidden again.
fn check_record(template: &[Cell], sample: &Sample, rewrites: bool) {
    assert!(
        sample.tokens.iter().all(|&token| token < MASK),
        "MASK is never written"
    );
    let state = |cell: &Cell| cell.token().map_or(-1, i64::from);
    let mut before: Vec<i64> = template.iter().map(state).collect();
    for (number, step) in sample.steps.iter().enumerate() {
        assert_eq!(step.step, number + 1);
        assert!(rewrites || step.remasked.is_empty());
        for position in 0..template.len() {
            let (now, confidence) = (step.tokens[position], step.confidence[position]);
            assert!(now < 0 || before[position] < 0 || now == before[position]);
            let written = before[position] < 0 && now >= 0;
            assert_eq!(step.committed.contains(&position), written);
            let hidden = before[position] >= 0 && now < 0;
            assert_eq!(step.remasked.contains(&position), hidden);
            match (template[position], now) {
                (Cell::Given(token), _) => {
                    assert_eq!(now, i64::from(token), "what is given stays");
                    assert_eq!((confidence, step.entropy[position]), (1.0, 0.0));
                }
                (_, -1) => assert_eq!(confidence, 0.0),
                _ => assert!(confidence > 0.0 && confidence < 1.0),
            }
            if number > 0 && before[position] >= 0 && now >= 0 {
                let earlier = &sample.steps[number - 1];
                assert_eq!(confidence, earlier.confidence[position]);
                assert_eq!(step.entropy[position], earlier.entropy[position]);
            }
        }
        before.clone_from(&step.tokens);
    }
    let times: Vec<f64> = sample.steps.iter().map(|step| step.t).collect();
    assert!(times.is_sorted_by(|a, b| a >= b), "{times:?}");
    assert_eq!(times.last(), Some(&0.0));
    assert!(
        before
            .iter()
            .zip(&sample.tokens)
            .all(|(last, token)| *last == i64::from(*token))
    );
}

fn any_sampler() -> impl Strategy<Value = Sampler> {
    let remdm = (0..4_usize, 0.0..1.0).prop_map(|(which, eta)| Sampler::Remdm {
        remasking: [
            Remasking::Cap,
            Remasking::Rescale,
            Remasking::Confidence,
            Remasking::Loop,
        ][which],
        eta,
    });
    let dream = (0..3_usize, 0.0..2.0).prop_map(|(which, order_temperature)| Sampler::Dream {
        score: [Score::Confidence, Score::Margin, Score::Entropy][which],
        order_temperature,
    });
    prop_oneof![
        prop::sample::select(Sampler::ALL.to_vec()),
        (0.0..=1.0).prop_map(|tau| Sampler::Threshold { tau }),
        (0.0..2.0).prop_map(|gamma| Sampler::EntropyBounded { gamma }),
        remdm,
        dream,
    ]
}

fn any_cell() -> impl Strategy<Value = Cell> {
    prop_oneof![
        3 => Just(Cell::Free),
        1 => (0..MASK).prop_map(Cell::Given),
        1 => (0..MASK, 0.01..0.99).prop_map(|(token, p)| Cell::Written(token, p)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_sampler_finishes_keeps_what_is_given_and_says_what_it_did(
        template in prop::collection::vec(any_cell(), 4),
        sampler in any_sampler(),
        schedule in prop::sample::select(vec![Schedule::Linear, Schedule::Cosine]),
        steps in 1_usize..9,
        block_size in 1_usize..5,
        temperature in prop_oneof![Just(0.0), 0.1..3.0],
        top_k in prop::option::of(1_usize..5),
        top_p in prop::option::of(0.01..1.0),
        guidance in prop_oneof![Just(0.0), 0.1..2.0],
        top in 0_usize..3,
        seed in any::<u64>(),
    ) {
        let free = template.iter().filter(|cell| **cell == Cell::Free).count();
        prop_assume!(free > 0);
        let given = template.iter().any(|cell| matches!(cell, Cell::Given(_)));
        let request = Denoising {
            schedule,
            block_size,
            guidance: if given { guidance } else { 0.0 },
            top,
            choice: Choice { temperature, top_k, top_p, ..Choice::default() },
            ..denoising(template, sampler, steps, seed)
        };
        let table = Table::random(4, 14);
        // Too few steps for the blocks, or too many for the free tokens.
        prop_assume!(request.check(MASK).is_ok());
        let rewrites = matches!(sampler, Sampler::Remdm { .. });
        for sample in block_on(denoise(&table, &request, 0..3)).unwrap() {
            check_record(&request.template, &sample, rewrites);
            if sampler.chooses_its_steps() {
                prop_assert!(sample.steps.len() <= free);
                prop_assert!(sample.steps.iter().all(|step| !step.committed.is_empty()));
            } else {
                prop_assert_eq!(sample.steps.len(), steps);
            }
            prop_assert_eq!(sample.steps[0].top.is_some(), top > 0);
            let count = sample.steps.len();
            let lines = Trace::new(request.header(0, None), sample, String::new(), 0.0)
                .to_json_lines()
                .unwrap();
            prop_assert_eq!(lines.lines().count(), count + 2);
        }
    }

    #[test]
    fn decoding_keeps_the_prompt_and_writes_one_token_a_step(
        prompt in prop::collection::vec(0..MASK, 0..4),
        seed in any::<u64>(),
    ) {
        let request = Decoding::new(prompt, 4, seed);
        let mut template: Vec<Cell> = request.prompt.iter().copied().map(Cell::Given).collect();
        template.resize(4, Cell::Free);
        let steps = 4 - request.prompt.len();
        let table = Table::random(4, 15);
        for sample in block_on(decode(&table, &request, 0..2)).unwrap() {
            check_record(&template, &sample, false);
            prop_assert_eq!(sample.steps.len(), steps);
            prop_assert!(sample.steps.iter().all(|step| step.committed.len() == 1));
            prop_assert_eq!(sample.model_calls, steps);
        }
    }
}

/// Words of a chain's first letters are as frequent as the chain makes them, whichever order one token at a time is
/// written in.
#[test]
fn one_at_a_time_every_order_that_does_not_look_at_the_tokens_samples_the_source() {
    let table = Table::posterior(4, &markov_strings(4));
    let samplers = [
        (Sampler::FirstHitting, 4),
        (Sampler::Random, 4),
        (Sampler::Margin, 4),
        (Sampler::Entropy, 4),
        (Sampler::EntropyBounded { gamma: 0.0 }, 4),
        (
            Sampler::Dream {
                score: Score::Entropy,
                order_temperature: 0.5,
            },
            4,
        ),
    ];
    let strings = markov_strings(4);
    let probabilities: Vec<f64> = strings.iter().map(|(_, p)| *p).collect();
    for (sampler, steps) in samplers {
        let samples = many(&table, Some((sampler, steps)), 100_000);
        let mut counts = vec![0.0; strings.len()];
        for sample in &samples {
            let number = sample
                .iter()
                .fold(0, |n, &token| n * TOKENS + token as usize);
            counts[number] += 1.0;
        }
        assert_chi_squared(&counts, &probabilities);
    }
}

#[test]
fn remdm_that_hides_nothing_is_ancestral() {
    let table = Table::random(4, 16);
    for steps in [1, 3, 8] {
        let write = |sampler| {
            let request = denoising(vec![Cell::Free; 4], sampler, steps, 5);
            block_on(denoise(&table, &request, 0..50)).unwrap()
        };
        for remasking in [Remasking::Cap, Remasking::Rescale] {
            let still = Sampler::Remdm {
                remasking,
                eta: 0.0,
            };
            assert_eq!(write(still), write(Sampler::Ancestral));
        }
    }
}

/// Counts of written tokens after each step are binomial where positions are revealed independently.
#[test]
fn the_share_that_is_written_follows_the_schedule() {
    let table = Table::random(4, 17);
    let remdm = |remasking| Sampler::Remdm {
        remasking,
        eta: 0.3,
    };
    let (steps, count) = (6, 5_000);
    for sampler in [
        Sampler::Ancestral,
        remdm(Remasking::Cap),
        remdm(Remasking::Rescale),
        remdm(Remasking::Loop),
    ] {
        for schedule in [Schedule::Linear, Schedule::Cosine] {
            let request = Denoising {
                schedule,
                ..denoising(vec![Cell::Free; 4], sampler, steps, 9)
            };
            let samples = block_on(denoise(&table, &request, 0..count)).unwrap();
            for number in 0..steps - 1 {
                let time = samples[0].steps[number].t;
                let masked: usize = samples
                    .iter()
                    .map(|sample| &sample.steps[number].tokens)
                    .map(|tokens| tokens.iter().filter(|&&token| token < 0).count())
                    .sum();
                let draws = 4.0 * count as f64;
                let deviation = (time * (1.0 - time) / draws).sqrt();
                let z = (masked as f64 / draws - time) / deviation.max(1e-12);
                assert!(z.abs() < 4.0, "{sampler:?}, step {number}: {z}");
            }
        }
    }
}

#[test]
fn first_hitting_times_are_the_order_statistics_of_uniform_ones() {
    let table = Table::random(4, 18);
    let request = denoising(vec![Cell::Free; 4], Sampler::FirstHitting, 1, 2);
    let samples = block_on(denoise(&table, &request, 0..4_000)).unwrap();
    // Of four uniform times the largest has the mean 4/5, the next 3/5, and so on; the last step ends at 0.
    for (step, expected) in [(0, 0.8), (1, 0.6), (2, 0.4)] {
        let mean = samples
            .iter()
            .map(|sample| sample.steps[step].t)
            .sum::<f64>()
            / 4_000.0;
        assert!((mean - expected).abs() < 0.013, "{mean} for {expected}");
    }
}

#[test]
fn a_text_ends_at_its_end_of_text_token() {
    let table = Table::random(4, 19);
    let stop = 1;
    let request = Denoising {
        block_size: 2,
        stop: Some(stop),
        ..denoising(vec![Cell::Free; 4], Sampler::Ancestral, 4, 3)
    };
    let (mut early, mut late) = (0, 0);
    for sample in block_on(denoise(&table, &request, 0..200)).unwrap() {
        let first = sample.tokens.iter().position(|&token| token == stop);
        assert_eq!(sample.end, first.unwrap_or(4));
        assert_eq!(sample.text().len(), sample.end);
        if sample.end < 2 {
            early += 1;
            assert_eq!(
                sample.tokens[2..],
                [stop, stop],
                "what is behind is not written"
            );
            assert_eq!(sample.steps.len(), 2);
        } else {
            late += 1;
        }
        check_written(&sample);
    }
    assert!(early > 20 && late > 20);
    let request = Decoding {
        stop: Some(stop),
        ..Decoding::new(vec![1], 4, 3)
    };
    for sample in block_on(decode(&table, &request, 0..50)).unwrap() {
        let first = sample.tokens[1..].iter().position(|&token| token == stop);
        let end = first.map_or(4, |first| first + 1);
        assert_eq!(sample.end, end, "a prompt's token ends nothing");
        assert_eq!(
            sample.model_calls,
            end.min(3),
            "nothing is read behind the end"
        );
        check_written(&sample);
    }
}

/// Every cell is written exactly once over the steps.
fn check_written(sample: &Sample) {
    let mut written: Vec<usize> = sample
        .steps
        .iter()
        .flat_map(|step| step.committed.clone())
        .collect();
    written.sort_unstable();
    written.dedup();
    let free = sample.tokens.len() - written.first().copied().unwrap_or(0);
    assert_eq!(written.len(), free);
    assert_eq!(sample.steps.last().map(|step| step.t), Some(0.0));
}

/// With a position-independent effect of the given token the guided logits are known.
#[test]
fn guidance_goes_beyond_the_conditional_prediction_and_reads_twice() {
    // Next to a 0, token 0 has twice the odds it has otherwise.
    let table = Table::new(2, |pattern, _| {
        if pattern.contains(&0) {
            [0.5, 0.25, 0.25]
        } else {
            [1.0 / 3.0; TOKENS]
        }
    });
    let request = Denoising {
        guidance: 1.0,
        ..denoising(vec![Cell::Given(0), Cell::Free], Sampler::Ancestral, 1, 4)
    };
    let samples = block_on(denoise(&table, &request, 0..20_000)).unwrap();
    let mut counts = [0.0; TOKENS];
    for sample in &samples {
        counts[sample.tokens[1] as usize] += 1.0;
        // Two readings of two positions.
        assert_eq!((sample.model_calls, sample.flops), (2, 4.0 * 2.5));
    }
    // Odds of 2 become odds of 4.
    assert_chi_squared(&counts, &[4.0 / 6.0, 1.0 / 6.0, 1.0 / 6.0]);
}

#[test]
fn a_half_written_text_is_continued_and_its_tokens_may_be_taken_back() {
    let table = Table::random(4, 20);
    let template = vec![
        Cell::Written(0, 0.4),
        Cell::Free,
        Cell::Given(2),
        Cell::Free,
    ];
    let sampler = Sampler::Remdm {
        remasking: Remasking::Rescale,
        eta: 1.0,
    };
    let request = denoising(template.clone(), sampler, 6, 8);
    assert_eq!(request.header(0, None).prompt, [-1, -1, 2, -1]);
    let samples = block_on(denoise(&table, &request, 0..50)).unwrap();
    assert!(samples.iter().any(|sample| sample.tokens[0] != 0));
    let request = denoising(template, Sampler::Ancestral, 6, 8);
    let samples = block_on(denoise(&table, &request, 0..50)).unwrap();
    assert!(samples.iter().all(|sample| sample.tokens[0] == 0));
}

/// 50,000 nearly equal tokens: ranks of the drawn ones are uniform (Kolmogorov and Smirnov), and a rare one comes as
/// often as it should.
#[test]
fn a_race_among_many_tokens_has_no_favourites() {
    let (vocabulary, draws) = (50_000, 20_000);
    let rare = 0.01;
    let logs: Vec<f32> = (0..vocabulary)
        .map(|id| if id % 2 == 0 { 0.0 } else { f32::ln(rare) })
        .collect();
    let mut stream = Stream::new(1, Purpose::Sampling, 0, 0);
    let mut ids: Vec<f64> = (0..draws)
        .map(|_| Choice::default().draw(&logs, &mut stream).unwrap().token)
        .map(f64::from)
        .collect();
    let odd = ids.iter().filter(|id| **id % 2.0 == 1.0).count() as f64 / draws as f64;
    let expected = f64::from(rare / (1.0 + rare));
    let deviation = (expected * (1.0 - expected) / draws as f64).sqrt();
    assert!((odd - expected).abs() < 4.0 * deviation, "{odd}");
    ids.sort_by(f64::total_cmp);
    let farthest = ids
        .iter()
        .enumerate()
        .map(|(rank, id)| (rank as f64 / draws as f64 - id / vocabulary as f64).abs())
        .fold(0.0, f64::max);
    // The limit law's 1e-4 quantile is 2.23.
    assert!(farthest * (draws as f64).sqrt() < 2.23, "{farthest}");
}

/// Takes a minute or so: `cargo xtask long sampler`.
#[test]
#[ignore = "a hundred million draws"]
fn a_token_of_one_in_a_million_comes_once_in_a_million_draws() {
    const DRAWS: f64 = 1e8;
    let probabilities = [0.7, 0.3 - 1e-6, 1e-6];
    let mut stream = Stream::new(2, Purpose::Sampling, 0, 0);
    let mut counts = [0.0; 3];
    for _ in 0..DRAWS as u64 {
        counts[stream.race(probabilities)] += 1.0;
    }
    println!("{counts:?} of {DRAWS:e}");
    for (count, p) in counts.iter().zip(probabilities) {
        let z = (count - DRAWS * p) / (DRAWS * p * (1.0 - p)).sqrt();
        assert!(z.abs() < 4.0, "{count} where {} are expected", DRAWS * p);
    }
}

/// Random numbers, their logarithms and what follows from them are the same to the bit.
#[test]
fn every_sampler_writes_the_same_in_wasm() {
    let Ok(module) = std::env::var("CROSSOVER_TEST_WASM") else {
        eprintln!("skipped: `cargo xtask test` builds the wasm module and names it");
        return;
    };
    let output = Command::new("node")
        .args(["tests/wasm/run.mjs", &module])
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let native = block_on(guess::texts()).unwrap();
    let wasm = String::from_utf8(output.stdout).unwrap();
    for (line, (native, wasm)) in native.lines().zip(wasm.lines()).enumerate() {
        assert_eq!(native, wasm, "line {}", line + 1);
    }
    assert_eq!(native.len(), wasm.len());
}

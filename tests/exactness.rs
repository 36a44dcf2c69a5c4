//! What the likelihoods, and the figures of written text, promise, held against full enumeration.
//!
//! The models here are tables in f64, small enough that every string, every mask and every order can be visited, so
//! the expected figures come from definitions and from no code of the library. Formulas: the evidence lower bound's
//! three forms (arXiv 2406.03736), and a Markov chain whose exact posterior is the perfect denoiser.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod table;

use crossover::corpus::{Corpus, CorpusConfig};
use crossover::evaluate::{
    Mean, autoregressive_nats, k_order_bound, left_to_right_nats, masked_bound,
};
use crossover::lab::generation::{Judge, Page, Quality, Writer};
use crossover::laws::flops::ReadCost;
use crossover::sample::Sampler;
use pollster::block_on;

use table::*;

/// Copies of one window: each is evaluated with random numbers of its own.
fn copies(x: &[u32], count: usize) -> Vec<&[u32]> {
    vec![x; count]
}

#[test]
fn the_three_forms_of_the_bound_are_equal() {
    let table = Table::random(4, 1);
    for x in words(4, MASK) {
        // (a) E over t of (1/t) sum ce: a mask of n positions has weight B(n, L - n + 1) = (n-1)! (L-n)! / L!
        let over_time: f64 = (1..16_usize)
            .map(|mask| {
                let n = mask.count_ones() as usize;
                factorial(n - 1) * factorial(4 - n) / factorial(4) * table.masked_sum(&x, mask)
            })
            .sum();
        let orders = permutations(4);
        let over_orders = orders
            .iter()
            .map(|order| table.chain(&x, order))
            .sum::<f64>()
            / orders.len() as f64;
        assert_near(over_time, table.bound(&x), 1e-10);
        assert_near(over_orders, table.bound(&x), 1e-10);
    }
}

#[test]
fn the_random_order_sampler_has_a_likelihood_and_the_bound_is_above_it() {
    let table = Table::random(4, 2);
    let strings = words(4, MASK);
    let total: f64 = strings.iter().map(|x| (-table.mixture_nats(x)).exp()).sum();
    assert_near(total, 1.0, 1e-10);
    for x in &strings {
        assert!(table.mixture_nats(x) <= table.bound(x) + 1e-10);
    }
}

#[test]
fn masked_bound_is_unbiased_at_any_number_of_levels() {
    let table = Table::random(4, 3);
    for (x, levels) in [
        ([0, 2, 1, 1], 1),
        ([2, 2, 0, 1], 3),
        ([1, 0, 0, 2], 4),
        ([0, 1, 2, 0], 7),
    ] {
        let draws = block_on(masked_bound(&table, &copies(&x, 10_000), 4, levels, 5, 64)).unwrap();
        assert_mean(&draws, table.bound(&x) / 4.0);
    }
}

#[test]
fn more_levels_make_the_bound_quieter() {
    let table = Table::random(4, 3);
    let se = |levels| {
        let windows = copies(&[0, 2, 1, 1], 2_000);
        let draws = block_on(masked_bound(&table, &windows, 4, levels, 5, 64)).unwrap();
        Mean::of(&draws).unwrap().se
    };
    // Stratification helps beyond averaging: 4 levels at least halve the error of 1.
    assert!(se(4) < 0.5 * se(1));
}

#[test]
fn evaluation_asks_every_model_the_same_and_batches_change_nothing() {
    let table = Table::random(4, 4);
    let strings = words(4, MASK);
    let windows: Vec<&[u32]> = strings.iter().map(Vec::as_slice).collect();
    let bound = |seed, batch| block_on(masked_bound(&table, &windows, 4, 3, seed, batch)).unwrap();
    let orders =
        |seed, batch| block_on(k_order_bound(&table, &windows, 4, 3, seed, batch)).unwrap();
    assert_eq!(bound(0, 1), bound(0, 1000));
    assert_ne!(bound(0, 8), bound(1, 8));
    assert_eq!(orders(0, 7), orders(0, 64));
    assert_ne!(orders(0, 8), orders(1, 8));
}

#[test]
fn left_to_right_and_autoregressive_likelihoods_are_exact() {
    let table = Table::random(4, 6);
    let strings = words(4, MASK);
    let windows: Vec<&[u32]> = strings.iter().map(Vec::as_slice).collect();
    let left_to_right = block_on(left_to_right_nats(&table, &windows, 4, 10)).unwrap();
    let autoregressive = block_on(autoregressive_nats(&table, &windows, 10)).unwrap();
    for (position, x) in strings.iter().enumerate() {
        let expected = table.chain(x, &[0, 1, 2, 3]) / 4.0;
        assert_near(left_to_right[position], expected, 1e-12);
        assert_near(autoregressive[position], expected, 1e-12);
    }
    let total: f64 = autoregressive.iter().map(|nats| (-4.0 * nats).exp()).sum();
    assert_near(total, 1.0, 1e-10);
}

#[test]
fn k_orders_give_a_figure_between_the_likelihood_and_the_bound() {
    let table = Table::random(4, 7);
    let x = [2, 0, 1, 0];
    let (likelihood, bound) = (table.mixture_nats(&x) / 4.0, table.bound(&x) / 4.0);
    let measure = |orders, count| {
        block_on(k_order_bound(&table, &copies(&x, count), 4, orders, 8, 64)).unwrap()
    };
    assert_mean(&measure(1, 10_000), bound);
    let eight = Mean::of(&measure(8, 2_000)).unwrap();
    assert!(
        likelihood + 4.0 * eight.se < eight.mean,
        "{likelihood} < {eight:?}"
    );
    assert!(eight.mean < bound - 4.0 * eight.se, "{eight:?} < {bound}");
    // Many orders: the mean of their probabilities is known to this relative error.
    let chances: Vec<f64> = permutations(4)
        .iter()
        .map(|order| (-table.chain(&x, order)).exp())
        .collect();
    let (spread, count) = (Mean::of(&chances).unwrap(), 20_000_usize);
    let error = spread.se * 24.0_f64.sqrt() / spread.mean / (count as f64).sqrt();
    assert_near(measure(count, 1)[0], likelihood, 4.0 * error / 4.0);
}

#[test]
fn a_denoiser_that_ignores_context_has_one_likelihood_in_every_order() {
    let alone = Table::new(4, |_, position| {
        normalised([1.0, 2.0 + position as f64, 0.5 * position as f64 + 0.1])
    });
    let same_everywhere = Table::new(4, |_, _| [0.2, 0.5, 0.3]);
    for x in words(4, MASK) {
        let window: [&[u32]; 1] = [&x];
        let exact = block_on(autoregressive_nats(&alone, &window, 1)).unwrap()[0];
        assert_near(alone.bound(&x) / 4.0, exact, 1e-12);
        assert_near(alone.mixture_nats(&x) / 4.0, exact, 1e-12);
        assert_near(
            block_on(left_to_right_nats(&alone, &window, 4, 1)).unwrap()[0],
            exact,
            1e-12,
        );
        assert_near(
            block_on(k_order_bound(&alone, &window, 4, 3, 0, 1)).unwrap()[0],
            exact,
            1e-12,
        );
    }
    // With one cross-entropy for all tokens the weights L / l leave no noise at all.
    let bound = block_on(masked_bound(&same_everywhere, &[&[1, 1, 1, 1]], 4, 3, 0, 1)).unwrap()[0];
    assert_near(bound, -(0.5_f64.ln()), 1e-12);
}

#[test]
fn a_perfect_denoiser_reaches_the_entropy_and_wrong_weights_miss_it() {
    let length = 6;
    let strings = markov_strings(length);
    let table = Table::posterior(length, &strings);
    let entropy: f64 = strings.iter().map(|(_, p)| -p * p.ln()).sum::<f64>() / length as f64;
    assert_near(entropy, 0.715_605, 1e-6);

    // g[n]: mean cross-entropy per masked token when n are masked, over all strings and masks.
    let mut g = vec![0.0; length + 1];
    for (x, probability) in &strings {
        for mask in 1..1_usize << length {
            let n = mask.count_ones() as usize;
            let chance = probability / binomial(length, n);
            g[n] += chance * table.masked_sum(x, mask) / n as f64;
        }
    }
    let levels = 1..=length;
    let (l, total): (f64, f64) = (length as f64, levels.clone().map(|n| n as f64).sum());
    let bound = levels.clone().map(|n| g[n]).sum::<f64>() / l;
    let unweighted = levels.clone().map(|n| n as f64 / l * g[n]).sum::<f64>() / l;
    let per_masked_token = levels.clone().map(|n| n as f64 * g[n]).sum::<f64>() / total;
    // mega-dlms: n is uniform on 0..=L, and where nothing was masked, one position is.
    let forced = (levels.map(|n| g[n]).sum::<f64>() + g[1]) / (l + 1.0);
    assert_near(bound, 0.715_605, 1e-6);
    assert_near(bound, entropy, 1e-12);
    assert_near(unweighted, 0.469_102, 1e-6);
    assert_near(per_masked_token, 0.804_175, 1e-6);
    assert_near(forced, 0.684_789, 1e-6);

    // The library's exact figures, over all strings with their probabilities, are that entropy too.
    let windows: Vec<&[u32]> = strings.iter().map(|(x, _)| x.as_slice()).collect();
    for nats in [
        block_on(autoregressive_nats(&table, &windows, 64)).unwrap(),
        block_on(left_to_right_nats(&table, &windows, length, 64)).unwrap(),
        block_on(k_order_bound(&table, &windows, length, 2, 0, 64)).unwrap(),
    ] {
        let mean: f64 = strings
            .iter()
            .zip(nats)
            .map(|((_, p), nats)| p * nats)
            .sum();
        assert_near(mean, entropy, 1e-12);
    }
}

#[test]
fn blocks_of_one_are_the_autoregressive_likelihood_and_one_block_is_masked_diffusion() {
    let table = Table::random(4, 9);
    let strings = words(4, MASK);
    let windows: Vec<&[u32]> = strings.iter().map(Vec::as_slice).collect();
    let autoregressive = block_on(autoregressive_nats(&table, &windows, 10)).unwrap();
    // A block of one token has one mask, and that mask always: no noise, no gap.
    let ones = block_on(masked_bound(&table, &windows, 1, 3, 0, 10)).unwrap();
    for (left, right) in ones.iter().zip(&autoregressive) {
        assert_near(*left, *right, 1e-12);
    }
    let whole = block_on(masked_bound(
        &table,
        &copies(&[0, 2, 1, 1], 10_000),
        4,
        3,
        0,
        64,
    ))
    .unwrap();
    assert_mean(&whole, table.bound(&[0, 2, 1, 1]) / 4.0);
}

#[test]
fn the_bound_of_blocks_is_the_mean_over_orders_inside_them() {
    let table = Table::random(4, 10);
    let x = [1, 0, 2, 2];
    // Blocks {0, 1} and {2, 3}: each in either order, the first before the second.
    let orders = [[0, 1, 2, 3], [1, 0, 2, 3], [0, 1, 3, 2], [1, 0, 3, 2]];
    let expected = orders
        .iter()
        .map(|order| table.chain(&x, order))
        .sum::<f64>()
        / 4.0
        / 4.0;
    let bound = block_on(masked_bound(&table, &copies(&x, 20_000), 2, 2, 3, 64)).unwrap();
    assert_mean(&bound, expected);
    let one_order = block_on(k_order_bound(&table, &copies(&x, 20_000), 2, 1, 3, 64)).unwrap();
    assert_mean(&one_order, expected);
    let left_to_right = block_on(left_to_right_nats(&table, &[&x], 2, 64)).unwrap()[0];
    assert_near(left_to_right, table.chain(&x, &[0, 1, 2, 3]) / 4.0, 1e-12);
}

#[test]
fn a_perfect_denoiser_reaches_the_entropy_in_blocks_of_any_size() {
    let length = 6;
    let strings = markov_strings(length);
    let table = Table::posterior(length, &strings);
    let entropy: f64 = strings.iter().map(|(_, p)| -p * p.ln()).sum::<f64>() / length as f64;
    let windows: Vec<&[u32]> = strings.iter().map(|(x, _)| x.as_slice()).collect();
    for size in [1, 2, 3, 6] {
        for nats in [
            block_on(left_to_right_nats(&table, &windows, size, 64)).unwrap(),
            block_on(k_order_bound(&table, &windows, size, 2, 0, 64)).unwrap(),
        ] {
            let parts = strings.iter().zip(nats).map(|((_, p), nats)| p * nats);
            assert_near(parts.sum(), entropy, 1e-12);
        }
    }
}

// Statistics of written text

/// The corpus of the chain, in windows of this length.
fn markov_corpus(length: usize) -> Corpus {
    let rows = TRANSITION.map(|row| format!("{row:?}")).join(", ");
    let config = CorpusConfig {
        source: vec!["markov:chain".to_owned()],
        length: Some(length),
        ..CorpusConfig::default()
    };
    Corpus::from_text(&config, format!("transition = [{rows}]").as_bytes(), 1).unwrap()
}

#[test]
fn what_a_perfect_model_writes_one_token_at_a_time_has_the_source_s_entropy() {
    let length = 6;
    let table = Table::posterior(length, &markov_strings(length));
    let corpus = markov_corpus(length);
    let page = Page {
        length,
        seed: 5,
        cost: ReadCost {
            position: 2.0,
            ..ReadCost::default()
        },
    };
    let judge = Judge {
        twin: Some(&table),
        corpus: Some(&corpus),
    };
    let entropy = corpus.floor_nats.unwrap();
    let windows: Vec<&[u32]> = corpus.test.iter().take(3_000).collect();
    let reference = block_on(judge.reference(&windows)).unwrap().quality;
    // Positions read: each once; each twice but the last, since what is written is read again; all in every step.
    for (way, positions) in [
        (page.left_to_right(), 6.0),
        (page.denoising(1, Sampler::Ancestral, length), 11.0),
        (page.denoising(length, Sampler::Random, length), 36.0),
        (page.denoising(length, Sampler::FirstHitting, length), 36.0),
    ] {
        let row = block_on(judge.row(&table, Writer::Model, &way, 3_000)).unwrap();
        assert_eq!(row.model_calls.unwrap().mean, length as f64);
        assert_eq!(row.flops.unwrap().mean, 2.0 * positions);
        let Quality {
            twin_nats,
            true_nats,
            accepted,
            ..
        } = row.quality;
        let (twin, truth) = (twin_nats.unwrap(), true_nats.unwrap());
        // The twin is perfect too, so both are the same figure.
        assert_near(twin.mean, truth.mean, 1e-9);
        assert_near(twin.se, truth.se, 1e-9);
        assert_near(truth.mean, entropy, 3.0 * truth.se);
        assert_eq!(accepted.unwrap().mean, 1.0);
        for (written, real) in [
            (row.quality.entropy, reference.entropy),
            (row.quality.pooled_entropy, reference.pooled_entropy),
        ] {
            assert_near(written.mean, real.mean, 3.0 * written.se.hypot(real.se));
        }
    }
    assert_near(
        reference.true_nats.unwrap().mean,
        entropy,
        3.0 * reference.true_nats.unwrap().se,
    );

    // All at once, neighbours don't know of each other: the source finds that unlikely, and it is more varied.
    let at_once = page.denoising(length, Sampler::Ancestral, 1);
    let row = block_on(judge.row(&table, Writer::Model, &at_once, 3_000)).unwrap();
    assert_eq!(row.model_calls.unwrap().mean, 1.0);
    let truth = row.quality.true_nats.unwrap();
    assert!(truth.mean > entropy + 10.0 * truth.se, "{truth:?}");
    assert!(row.quality.entropy.mean > reference.entropy.mean);
}

//! What an inspection promises, held against a source whose exact posterior is the model.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod table;

use crossover::evaluate::{Inspection, Mean};
use crossover::objective::Factorization;
use crossover::random::{Purpose, Stream};
use pollster::block_on;

use table::*;

const LENGTH: usize = 5;

fn drawn(count: usize) -> Vec<Vec<u32>> {
    let strings = markov_strings(LENGTH);
    let mut stream = Stream::new(5, Purpose::Source, 0, 0);
    (0..count)
        .map(|_| {
            let chances = strings.iter().map(|(_, chance)| *chance);
            strings[stream.race(chances)].0.clone()
        })
        .collect()
}

fn inspected(factorization: Factorization, count: usize, draws: usize) -> Inspection {
    let table = Table::posterior(LENGTH, &markov_strings(LENGTH));
    let windows = drawn(count);
    let windows: Vec<&[u32]> = windows.iter().map(Vec::as_slice).collect();
    let mut inspection = Inspection::new(factorization, draws, 1).unwrap();
    for group in windows.chunks(100) {
        block_on(inspection.add(&table, group)).unwrap();
    }
    assert_eq!(inspection.windows(), count);
    inspection
}

#[track_caller]
fn near(found: Mean, expected: f64) {
    assert!(
        (found.mean - expected).abs() < 4.0 * found.se + 1e-9,
        "{} ± {} where {expected} is exact",
        found.mean,
        found.se
    );
}

/// The mean uncertainty of a masked token where `masked` of all are, nats.
fn conditional_entropy(table: &Table, masked: usize) -> f64 {
    let masks: Vec<usize> = (0..1_usize << LENGTH)
        .filter(|mask| mask.count_ones() as usize == masked)
        .collect();
    let sums = markov_strings(LENGTH).into_iter().map(|(x, chance)| {
        let sums = masks.iter().map(|&mask| table.masked_sum(&x, mask));
        chance * sums.sum::<f64>()
    });
    sums.sum::<f64>() / (masks.len() * masked) as f64
}

#[test]
fn loss_by_mask_ratio_is_the_conditional_entropy() {
    let table = Table::posterior(LENGTH, &markov_strings(LENGTH));
    let inspection = inspected(Factorization::Blocks { size: LENGTH }, 1500, 2);
    let bins = inspection.by_mask_ratio();
    assert_eq!(bins.len(), 16);
    let measured: Vec<_> = bins.iter().filter(|bin| bin.count > 0).collect();
    assert_eq!(measured.len(), LENGTH);
    for (bin, masked) in measured.into_iter().zip(1..) {
        assert_near(bin.at, masked as f64 / LENGTH as f64, 1e-12);
        near(bin.value.unwrap(), conditional_entropy(&table, masked));
    }
}

#[test]
fn the_source_itself_is_calibrated() {
    for factorization in [
        Factorization::Blocks { size: LENGTH },
        Factorization::LeftToRight,
    ] {
        let inspection = inspected(factorization, 1500, 4);
        assert!(inspection.calibration_error() < 0.02);
        for bin in inspection.calibration() {
            if let Some(right) = bin.value
                && bin.count > 50
            {
                near(right, bin.at);
            }
        }
    }
}

#[test]
fn overconfidence_shows() {
    // It says 0.98 of what is right half the time.
    let table = Table::new(LENGTH, |_, _| [0.98, 0.01, 0.01]);
    let windows: Vec<Vec<u32>> = (0..40).map(|window| vec![window % 2; LENGTH]).collect();
    let windows: Vec<&[u32]> = windows.iter().map(Vec::as_slice).collect();
    let mut inspection = Inspection::new(Factorization::LeftToRight, 1, 0).unwrap();
    block_on(inspection.add(&table, &windows)).unwrap();
    assert_near(inspection.calibration_error(), 0.48, 1e-6);
    let last = inspection.calibration()[9];
    assert_eq!((last.count, last.value.unwrap().mean), (200, 0.5));
    assert!(inspection.by_mask_ratio().is_empty());
}

#[test]
fn nll_by_position_is_the_chain_s() {
    let start = stationary();
    let entropy = |row: &[f64]| -> f64 { row.iter().map(|p| -p * p.ln()).sum() };
    let rate: f64 = (0..TOKENS)
        .map(|from| start[from] * entropy(&TRANSITION[from]))
        .sum();
    for factorization in [
        Factorization::LeftToRight,
        Factorization::Blocks { size: LENGTH },
        Factorization::Blocks { size: 1 },
    ] {
        let positions = inspected(factorization, 1000, 1).by_position();
        assert_eq!(positions.len(), LENGTH);
        near(positions[0], entropy(&start));
        for later in &positions[1..] {
            near(*later, rate);
        }
    }
}

#[test]
fn windows_are_asked_alike_in_whatever_groups_they_come() {
    let table = Table::random(LENGTH, 3);
    let windows = drawn(12);
    let windows: Vec<&[u32]> = windows.iter().map(Vec::as_slice).collect();
    let of_groups = |size: usize| {
        let factorization = Factorization::Blocks { size: LENGTH };
        let mut inspection = Inspection::new(factorization, 3, 7).unwrap();
        for group in windows.chunks(size) {
            block_on(inspection.add(&table, group)).unwrap();
        }
        (
            inspection.by_mask_ratio(),
            inspection.by_position(),
            inspection.calibration(),
        )
    };
    assert_eq!(of_groups(12), of_groups(5));
    assert!(Inspection::new(Factorization::LeftToRight, 0, 0).is_err());
}

//! Runs as they could be, for tests.

use crossover::lab::{Outcome, RaceResult};
use crossover::objective::{Bound, Likelihood, Objective};
use crossover::train::{Metrics, TaskScore};

use crate::history::History;
use crate::together::{Races, Together};

/// A step's line with made-up cost: 1,000 tokens, 1e9 FLOPs and half a second a step, 25 steps an epoch.
pub fn line(objective: Objective, step: u64, val: Option<f64>) -> Metrics {
    Metrics {
        objective,
        likelihood: objective.likelihoods()[0],
        step,
        epoch: step as f64 / 25.0,
        tokens: step * 1_000,
        flops: step as f64 * 1e9,
        seconds: step as f64 * 0.5,
        train_nats: Some(1.0),
        val_nats: val,
        val_se: val.map(|_| 0.01),
        bound: match objective {
            Objective::Autoregressive => Bound::Exact,
            _ => Bound::Elbo,
        },
        lr: 1e-3,
        grad_norm: Some(1.0),
        tokens_per_second: 50_000.0,
        loss_scale: None,
        skipped_steps: None,
        tasks: Vec::new(),
        communication_seconds: None,
    }
}

/// A race evaluated every 25 steps with these losses.
pub fn race(ar: &[f64], masked: &[f64]) -> History {
    let mut history = History::default();
    for (objective, losses) in [(Objective::Autoregressive, ar), (Objective::Masked, masked)] {
        for (index, nats) in losses.iter().enumerate() {
            history.push(line(objective, 25 * (index as u64 + 1), Some(*nats)));
        }
    }
    history
}

/// How a model did on a hundred questions, with the error of its share of right answers.
pub fn score(task: &str, acc: f64, acc_se: f64) -> TaskScore {
    TaskScore {
        task: task.to_owned(),
        questions: 100,
        acc,
        acc_se,
        acc_norm: Some(acc),
        acc_norm_se: Some(acc_se),
        chance: Some(0.3),
        nats: 0.7,
    }
}

/// A diffusion model put to the task `tales` after these steps, with its share of right answers and the error of that.
pub fn answered(scores: &[(u64, f64, f64)]) -> History {
    let mut history = History::default();
    for (step, acc, acc_se) in scores {
        let mut line = line(Objective::Masked, *step, Some(1.0));
        line.tasks.push(score("tales", *acc, *acc_se));
        history.push(line);
    }
    history
}

/// A race against a dual model, whose second likelihood is the bound.
pub fn dual_race() -> History {
    let mut history = race(&[0.9, 0.6, 0.8], &[]);
    for (step, exact, bound) in [(25, 1.0, 1.2), (50, 0.7, 1.0), (75, 0.55, 0.9)] {
        let exact = line(Objective::Dual, step, Some(exact));
        let bound = Metrics {
            likelihood: Likelihood::Masked,
            bound: Bound::Elbo,
            val_nats: Some(bound),
            ..exact.clone()
        };
        history.push(Metrics {
            bound: Bound::Exact,
            ..exact
        });
        history.push(bound);
    }
    history
}

/// A race that diffusion won by 0.041 ± 0.008.
pub fn won() -> RaceResult {
    RaceResult {
        ar_best_nats: 0.592,
        ar_best_se: 0.004,
        ar_best_step: 240,
        second: Objective::Masked,
        block_size: None,
        dual_ar: None,
        masked_best_nats: 0.551,
        masked_best_se: 0.006,
        masked_best_step: 2500,
        difference: -0.041,
        difference_se: 0.008,
        curve_crossover_epoch: Some(23.0),
        envelope_crossover_epoch: Some(61.04),
        floor_nats: Some(0.4796),
        masked_left_to_right: None,
        masked_k_order: None,
        orders: None,
        test_windows: 2_000,
        tokens: 50_000,
        characters_per_token: 1.0,
        bytes_per_token: 1.0,
        grids: None,
        peak_memory_bytes: Some(64_000_000),
        wall_seconds: 100.0,
    }
}

/// Races with these differences; those below zero crossed.
pub fn races(differences: &[f64]) -> Races {
    let runs = differences.iter().zip(1..).map(|(difference, seed)| {
        let mut result: RaceResult = won();
        result.difference = *difference;
        result.masked_best_nats = result.ar_best_nats + difference;
        if *difference >= 0.0 {
            result.envelope_crossover_epoch = None;
        }
        (seed, Outcome::Race(result))
    });
    match Together::of(runs.collect()) {
        Ok(Some(Together::Race(races))) => *races,
        other => panic!("races: {other:?}"),
    }
}

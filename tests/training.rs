//! Training does what it says: it reaches a known source's entropy and not below, micro-batches add up to the batch, a
//! checkpoint continues exactly, and a loss that is no number stops the run.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::path::Path;

use burn::tensor::Device;
use crossover::corpus::{Corpus, CorpusConfig, EpochOrder};
use crossover::device::{DeviceChoice, Selected};
use crossover::lab::{Command, Event, Lab, Outcome};
use crossover::model::{ModelConfig, Ops, Weights};
use crossover::objective::{Objective, ObjectiveConfig};
use crossover::ranks::Ranks;
use crossover::train::{Checkpoint, EvaluateConfig, RunConfig, TrainConfig, Trainer};
use pollster::block_on;

const CHAIN: &str =
    "transition = [[0.8, 0.15, 0.05], [0.1, 0.8, 0.1], [0.25, 0.05, 0.7]]\nsymbols = \"abc\"\n";

fn small() -> ModelConfig {
    ModelConfig {
        hidden_size: 32,
        num_hidden_layers: 2,
        num_attention_heads: 2,
        ..ModelConfig::default()
    }
}

fn chain_config(folder: &Path, text: &str) -> RunConfig {
    let file = folder.join("chain.toml");
    std::fs::write(&file, text).unwrap();
    RunConfig {
        corpus: CorpusConfig {
            source: vec![format!("markov:{}", file.display())],
            length: Some(8),
            unique: Some(40_000),
            held_out: Some(16_000),
            ..CorpusConfig::default()
        },
        model: small(),
        train: TrainConfig {
            batch: 32,
            steps: Some(400),
            learning_rate: 3e-3,
            ..TrainConfig::default()
        },
        evaluate: EvaluateConfig {
            every: Some(200),
            samples: 4,
            ..EvaluateConfig::default()
        },
        ..RunConfig::default()
    }
}

fn cpu() -> Selected {
    Selected {
        device: Device::flex(),
        choice: DeviceChoice::Cpu,
        threads: 2,
        description: "cpu".to_owned(),
        ranks: Ranks::alone(),
    }
}

/// Losses and gradient norms of a few steps on the same windows.
fn steps(objective: Objective, config: &RunConfig) -> Vec<(f64, f64)> {
    let (length, vocab, count) = (12, 8, 6);
    let shape = config.model.resolve(vocab).unwrap();
    let weights = Weights::initial(&shape, 0.1, 1);
    let mut trainer = Trainer::new(objective, config, &shape, &weights, &cpu()).unwrap();
    let windows = config.train.batch * length;
    let tokens: Vec<u32> = (0..windows as u32).map(|n| n * n % 7).collect();
    (0..count)
        .map(|_| {
            let pending =
                block_on(trainer.step(&tokens, length, count)).expect("the processor computes");
            let read = block_on(Trainer::read(&pending)).unwrap();
            (read.nats[0].1, read.grad_norm)
        })
        .collect()
}

/// Whatever is dropped, hidden or shared, and although windows are computed in parts; to rounding, since burn computes a softmax
/// otherwise where a gradient is to come.
#[test]
fn blocks_that_are_computed_twice_change_nothing() {
    for objective in [
        Objective::Autoregressive,
        Objective::Masked,
        Objective::Block,
    ] {
        for ops in [Ops::Fused, Ops::Reference] {
            let mut config = RunConfig {
                model: small(),
                ..RunConfig::default()
            };
            config.model.tie_word_embeddings = objective == Objective::Masked;
            config.model.num_hidden_layers = 3;
            config.objective.block_size = Some(4);
            (config.train.batch, config.train.micro_batch) = (5, Some(3));
            config.train.ops = ops;
            for dropout in [0.0, 0.3] {
                config.model.dropout = dropout;
                config.train.recompute = false;
                let whole = steps(objective, &config);
                config.train.recompute = true;
                let twice = steps(objective, &config);
                let what =
                    format!("{objective:?}, {ops:?}, dropout {dropout}: {twice:?}, not {whole:?}");
                let close = |a: f64, b: f64| (a - b).abs() <= 1e-5 * (1.0 + b.abs());
                let pairs = twice.iter().zip(&whole);
                assert!(
                    pairs
                        .clone()
                        .all(|(a, b)| close(a.0, b.0) && close(a.1, b.1)),
                    "{what}"
                );
                assert!(whole[0].1 > 0.0);
            }
        }
    }
}

/// Runs to the end and gives every event.
fn run(config: RunConfig, folder: &Path) -> Vec<Event> {
    let lab = Lab::open(cpu());
    lab.send(Command::Start {
        config: Box::new(config),
        folder: folder.display().to_string(),
        force: false,
    });
    let mut events = Vec::new();
    while let Ok(event) = lab.events().recv_blocking() {
        events.push(event);
        if events.last().is_some_and(Event::ends_run) {
            break;
        }
    }
    events
}

fn race_result(events: &[Event]) -> crossover::lab::RaceResult {
    match events.last() {
        Some(Event::Result(outcome)) => match outcome.as_ref() {
            Outcome::Race(result) => result.clone(),
            other => panic!("not a race: {other:?}"),
        },
        other => panic!("no result: {other:?}"),
    }
}

#[test]
fn models_reach_a_markov_source_s_entropy_and_not_below() {
    let chains = [
        CHAIN,
        "transition = [[0.05, 0.9, 0.03, 0.02], [0.3, 0.1, 0.4, 0.2], [0.25, 0.25, 0.25, 0.25], [0.6, 0.2, 0.1, 0.1]]",
        // Periodic: the next symbol is certain, only the first is not.
        "transition = [[0, 1, 0], [0, 0, 1], [1, 0, 0]]",
    ];
    for chain in chains {
        let folder = tempfile::tempdir().unwrap();
        let events = run(
            chain_config(folder.path(), chain),
            &folder.path().join("run"),
        );
        let result = race_result(&events);
        let floor = result.floor_nats.expect("the source is known");
        let sampling = 3.0 * result.ar_best_se;
        assert!(
            result.ar_best_nats < floor + 0.02 + sampling
                && result.ar_best_nats > floor - sampling - 1e-4,
            "AR {} ± {}, entropy {floor}: {chain}",
            result.ar_best_nats,
            result.ar_best_se
        );
        assert!(
            result.masked_best_nats > floor - 3.0 * result.masked_best_se - 1e-4,
            "masked {} ± {}, entropy {floor}: {chain}",
            result.masked_best_nats,
            result.masked_best_se
        );
        assert!(
            result.masked_best_nats < floor + 0.1,
            "the masked model has learned: {chain}"
        );
    }
}

#[test]
fn a_race_starts_both_models_from_the_same_weights() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = chain_config(folder.path(), CHAIN);
    config.train.steps = Some(1);
    config.evaluate.every = Some(1);
    let path = folder.path().join("run");
    let lab = Lab::open(cpu());
    lab.send(Command::Start {
        config: Box::new(config.clone()),
        folder: path.display().to_string(),
        force: false,
    });
    let mut started = None;
    while let Ok(event) = lab.events().recv_blocking() {
        if event.ends_run() {
            break;
        }
        if let Event::Started(told) = event {
            started = Some(told);
        }
    }
    let started = started.unwrap();
    let shape = started.config.model.resolve(started.vocab.len()).unwrap();
    let weights = Weights::initial(&shape, config.model.initializer_range, config.seed);
    assert_eq!(started.initial_hash, weights.hash());
    assert_eq!(started.parameters, shape.parameters());
    for objective in [Objective::Autoregressive, Objective::Masked] {
        let trainer = Trainer::new(objective, &started.config, &shape, &weights, &cpu()).unwrap();
        let read = block_on(trainer.model().weights()).unwrap();
        assert_eq!(read.hash(), started.initial_hash);
    }
}

/// A trainer on the chain, with its data.
fn trainer(config: &RunConfig, objective: Objective) -> (Trainer, Corpus) {
    let corpus = Corpus::load(&config.corpus, config.seed).unwrap();
    let shape = config.model.resolve(corpus.tokenizer.vocab_size()).unwrap();
    let weights = Weights::initial(&shape, 0.02, config.seed);
    let trainer = Trainer::new(objective, config, &shape, &weights, &cpu()).unwrap();
    (trainer, corpus)
}

fn losses(trainer: &mut Trainer, corpus: &Corpus, config: &RunConfig, steps: u64) -> Vec<f64> {
    let mut order = EpochOrder::new(&corpus.train, config.seed);
    let batch = config.train.batch as u64;
    (0..steps)
        .map(|_| {
            let step = trainer.state.step;
            let tokens: Vec<u32> = (step * batch..(step + 1) * batch)
                .flat_map(|index| order.window(index).to_vec())
                .collect();
            let pending = block_on(trainer.step(&tokens, corpus.length(), 100))
                .expect("the processor computes");
            let parts = block_on(Trainer::read(&pending)).unwrap().nats;
            parts.iter().map(|(_, nats)| nats).sum::<f64>() / parts.len() as f64
        })
        .collect()
}

#[test]
fn micro_batches_add_up_to_the_batch() {
    let folder = tempfile::tempdir().unwrap();
    let whole = chain_config(folder.path(), CHAIN);
    for objective in Objective::ALL {
        let (mut one, corpus) = trainer(&whole, objective);
        let expected = losses(&mut one, &corpus, &whole, 8);
        // 5 doesn't divide 32: the last micro-batch is smaller, and weighs less.
        let mut parts = whole.clone();
        parts.train.micro_batch = Some(5);
        let (mut several, corpus) = trainer(&parts, objective);
        let found = losses(&mut several, &corpus, &parts, 8);
        for (left, right) in expected.iter().zip(&found) {
            assert!(
                (left - right).abs() < 2e-5,
                "{objective:?}: {left} is not {right}"
            );
        }
    }
}

#[test]
fn a_checkpoint_continues_to_the_bit() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = chain_config(folder.path(), CHAIN);
    config.objective.block_size = Some(4);
    config.train.ema_decay = Some(0.9);
    for objective in Objective::ALL {
        let (mut straight, corpus) = trainer(&config, objective);
        let mut expected = losses(&mut straight, &corpus, &config, 6);
        let bytes = block_on(straight.checkpoint(&corpus.tokenizer))
            .unwrap()
            .to_bytes()
            .unwrap();
        expected.extend(losses(&mut straight, &corpus, &config, 6));

        let checkpoint = Checkpoint::from_bytes(&bytes, "memory").unwrap();
        let shape = checkpoint.shape().unwrap();
        let mut resumed =
            Trainer::from_checkpoint(objective, &config, &shape, &checkpoint, &cpu()).unwrap();
        let found = losses(&mut resumed, &corpus, &config, 6);
        assert_eq!(expected[6..], found[..], "{objective:?}");
        let hash = |trainer: &Trainer| block_on(trainer.model().weights()).unwrap().hash();
        assert_eq!(hash(&straight), hash(&resumed), "the average too");
        assert_eq!(resumed.state.step, 12);
    }
}

#[test]
fn the_ends_of_the_block_dial_train_as_the_other_two_to_the_bit() {
    let folder = tempfile::tempdir().unwrap();
    let base = chain_config(folder.path(), CHAIN);
    for (size, twin) in [(1, Objective::Autoregressive), (8, Objective::Masked)] {
        let mut config = base.clone();
        config.objective.block_size = Some(size);
        let (mut block, corpus) = trainer(&config, Objective::Block);
        let (mut other, _) = trainer(&base, twin);
        assert_eq!(
            losses(&mut block, &corpus, &config, 6),
            losses(&mut other, &corpus, &base, 6),
            "blocks of {size}"
        );
    }
}

#[test]
fn a_dual_batch_is_shared_between_two_objectives() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = chain_config(folder.path(), CHAIN);
    let first_step = |config: &RunConfig| {
        let (mut dual, corpus) = trainer(config, Objective::Dual);
        let mut order = EpochOrder::new(&corpus.train, config.seed);
        let tokens: Vec<u32> = (0..32)
            .flat_map(|index| order.window(index).to_vec())
            .collect();
        let pending =
            block_on(dual.step(&tokens, corpus.length(), 100)).expect("the processor computes");
        (
            block_on(Trainer::read(&pending)).unwrap().nats,
            pending.state.tokens,
        )
    };
    let (parts, tokens) = first_step(&config);
    let names: Vec<&str> = parts
        .iter()
        .map(|(likelihood, _)| likelihood.name())
        .collect();
    assert_eq!((names, tokens), (vec!["ar", "masked"], 32 * 8));
    // Before the first step every token is about as likely as any other, under either.
    for (_, nats) in &parts {
        assert!((nats - 3.0_f64.ln()).abs() < 0.05, "{parts:?}");
    }
    for (fraction, alone) in [(0.0, "masked"), (1.0, "ar"), (0.01, "masked")] {
        config.objective.dual_fraction = fraction;
        let (parts, _) = first_step(&config);
        assert_eq!(parts.len(), 1, "{fraction} of 32 windows");
        assert_eq!(parts[0].0.name(), alone);
    }
}

#[test]
fn an_average_follows_the_weights() {
    let folder = tempfile::tempdir().unwrap();
    let plain = chain_config(folder.path(), CHAIN);
    let averaged = |decay| {
        let mut config = plain.clone();
        config.train.ema_decay = Some(decay);
        let (mut model, corpus) = trainer(&config, Objective::Masked);
        let values = losses(&mut model, &corpus, &config, 20);
        (values, block_on(model.model().weights()).unwrap().hash())
    };
    let (mut model, corpus) = trainer(&plain, Objective::Masked);
    let values = losses(&mut model, &corpus, &plain, 20);
    let hash = block_on(model.model().weights()).unwrap().hash();
    assert_eq!(
        averaged(0.0),
        (values.clone(), hash.clone()),
        "no memory: the weights themselves"
    );
    let (same, other) = averaged(0.99);
    assert_eq!(same, values, "training doesn't notice the average");
    assert_ne!(other, hash);
}

#[test]
fn block_and_dual_race_with_every_figure_and_not_below_the_entropy() {
    for second in [Objective::Block, Objective::Dual] {
        let folder = tempfile::tempdir().unwrap();
        let mut config = chain_config(folder.path(), CHAIN);
        config.objectives = vec![Objective::Autoregressive, second];
        config.train.ema_decay = Some(0.98);
        config.evaluate.test_windows = 400;
        config.evaluate.orders = 1;
        let events = run(config, &folder.path().join("run"));
        let result = race_result(&events);
        let floor = result.floor_nats.expect("the source is known");
        assert_eq!(result.second, second);
        assert_eq!(result.block_size, (second == Objective::Block).then_some(4));
        let in_reach = |nats: f64, se: f64| nats > floor - 3.0 * se - 1e-4 && nats < floor + 0.1;
        assert!(
            in_reach(result.masked_best_nats, result.masked_best_se),
            "{result:?}"
        );
        let left_to_right = result.masked_left_to_right.expect("measured");
        assert!(in_reach(left_to_right.mean, left_to_right.se), "{result:?}");
        let lines = |name| {
            let of = |event: &&Event| matches!(event, Event::Metrics(line) if line.objective == second && line.likelihood.name() == name);
            events.iter().filter(of).count()
        };
        match second {
            Objective::Block => assert_eq!((lines("block"), lines("ar")), (400, 0)),
            _ => {
                assert_eq!((lines("masked"), lines("ar")), (400, 400));
                let dual = result.dual_ar.expect("a dual model has two likelihoods");
                assert!(in_reach(dual.nats, dual.se), "{dual:?}");
            }
        }
    }
}

#[test]
fn every_estimator_and_the_input_mask_train() {
    let folder = tempfile::tempdir().unwrap();
    use crossover::objective::masked::Estimator;
    for estimator in [
        Estimator::ExactL,
        Estimator::InverseT,
        Estimator::Unweighted,
        Estimator::Paper,
    ] {
        let config = RunConfig {
            objective: ObjectiveConfig {
                estimator,
                random_length: 0.3,
                input_mask: 0.2,
                block_size: Some(4),
                ..ObjectiveConfig::default()
            },
            ..chain_config(folder.path(), CHAIN)
        };
        for objective in Objective::ALL {
            let (mut model, corpus) = trainer(&config, objective);
            let values = losses(&mut model, &corpus, &config, 60);
            let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len() as f64;
            assert!(
                mean(&values[40..]) < mean(&values[..20]),
                "{estimator:?} {objective:?} learns: {values:?}"
            );
        }
    }
}

#[test]
fn a_damaged_checkpoint_is_refused_wherever_it_is_cut() {
    let folder = tempfile::tempdir().unwrap();
    let config = chain_config(folder.path(), CHAIN);
    let (model, corpus) = trainer(&config, Objective::Masked);
    let checkpoint = block_on(model.checkpoint(&corpus.tokenizer)).unwrap();
    let bytes = checkpoint.to_bytes().unwrap();
    assert_eq!(Checkpoint::from_bytes(&bytes, "whole").unwrap(), {
        // What was automatic is filled in by the file.
        let mut resolved = checkpoint.clone();
        let shape = resolved.shape().unwrap();
        resolved.model.intermediate_size = Some(shape.intermediate_size);
        resolved.model.num_key_value_heads = Some(shape.num_key_value_heads);
        resolved.model.head_dim = Some(shape.head_dim);
        resolved
    });
    for cut in (0..bytes.len()).step_by(bytes.len() / 61 + 1) {
        let error = Checkpoint::from_bytes(&bytes[..cut], "cut").unwrap_err();
        assert_eq!(error.kind(), crossover::error::Kind::Input);
        assert!(error.hint().is_some());
    }
}

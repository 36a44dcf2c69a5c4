//! Several ranks train the same model that one trains: here as threads, which exchange numbers through memory.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod threads;

use burn::tensor::Device;
use crossover::corpus::Tokenizer;
use crossover::device::{DeviceChoice, Selected};
use crossover::error::{Error, Kind};
use crossover::model::{Decoder, ModelConfig, Predictor, Visibility, Weights};
use crossover::objective::Objective;
use crossover::ranks::Ranks;
use crossover::train::{RunConfig, Trainer};
use pollster::block_on;

use threads::{on, on_devices};

fn small() -> RunConfig {
    let mut config = RunConfig::default();
    config.model = ModelConfig {
        hidden_size: 32,
        num_hidden_layers: 2,
        num_attention_heads: 2,
        dropout: 0.1,
        ..config.model
    };
    config.objective.block_size = Some(4);
    config.train.batch = 8;
    config
}

const LENGTH: usize = 12;
const VOCAB: usize = 8;
const STEPS: u64 = 40;

/// Losses, gradient norms, and the hash of everything that a checkpoint would hold, after all steps.
fn trained(objective: Objective, config: &RunConfig, ranks: Ranks) -> (Vec<[f64; 2]>, Weights) {
    let device = Selected {
        device: Device::flex(),
        choice: DeviceChoice::Cpu,
        threads: 1,
        description: "cpu".to_owned(),
        ranks,
    };
    let shape = config.model.resolve(VOCAB).unwrap();
    let weights = Weights::initial(&shape, 0.1, 1);
    let mut trainer = Trainer::new(objective, config, &shape, &weights, &device).unwrap();
    let windows = (config.train.batch * LENGTH) as u32;
    let losses = (0..STEPS)
        .map(|step| {
            let tokens: Vec<u32> = (0..windows)
                .map(|n| (n * n + step as u32 * n) % 7)
                .collect();
            let pending = block_on(trainer.step(&tokens, LENGTH, STEPS)).unwrap();
            let read = block_on(Trainer::read(&pending)).unwrap();
            [read.nats[0].1, read.grad_norm]
        })
        .collect();
    let tokenizer = Tokenizer::byte();
    let checkpoint = block_on(trainer.checkpoint(&tokenizer)).unwrap();
    (losses, checkpoint.moments.unwrap().second)
}

#[test]
fn two_and_four_ranks_train_like_one() {
    for objective in [
        Objective::Autoregressive,
        Objective::Masked,
        Objective::Block,
        Objective::Dual,
    ] {
        let mut config = small();
        let (alone, moments) = trained(objective, &config, Ranks::alone());
        for (count, zero_stage, is_between_devices) in [
            (2, 0, false),
            (4, 0, false),
            (2, 1, false),
            (4, 1, false),
            (4, 0, true),
            (4, 1, true),
        ] {
            config.train.zero_stage = zero_stage;
            let train = |ranks| trained(objective, &config, ranks);
            let all = match is_between_devices {
                false => on(count, train),
                true => on_devices(count, train),
            };
            for (losses, theirs) in &all {
                for (step, (ours, alone)) in losses.iter().zip(&alone).enumerate() {
                    let most = if step < 10 { 1e-5 } else { 1e-4 };
                    let apart = (ours[0] - alone[0]).abs();
                    assert!(
                        apart < most,
                        "{objective:?}, {count} ranks, stage {zero_stage}, step {step}: {ours:?}, not {alone:?}"
                    );
                    assert!((ours[1] / alone[1] - 1.0).abs() < 1e-3);
                }
                for (name, tensor) in &theirs.0 {
                    let whole = &moments.0[name];
                    assert_eq!(tensor.shape, whole.shape);
                    for (ours, alone) in tensor.values.iter().zip(&whole.values) {
                        assert!((ours - alone).abs() < 1e-5 + 1e-2 * alone.abs(), "{name}");
                    }
                }
            }
        }
    }
}

#[test]
fn ranks_measure_each_their_windows_and_know_all_losses() {
    let config = small();
    let shape = config.model.resolve(VOCAB).unwrap();
    let weights = Weights::initial(&shape, 0.1, 1);
    let model = Decoder::new(&config.model, &shape, &weights, &Device::flex()).unwrap();
    // One window less than there are ranks, and more.
    for windows in [3, 9] {
        let tokens: Vec<u32> = (0..windows * LENGTH as u32).map(|n| n * n % 7).collect();
        let measure = |model: &Decoder| {
            block_on(model.nats(&tokens, &tokens, LENGTH, Visibility::Causal)).unwrap()
        };
        let alone = measure(&model);
        for all in on(4, |ranks| measure(&model.clone().shared_by(&ranks))) {
            assert_eq!(all.len(), alone.len());
            for (ours, alone) in all.iter().zip(&alone) {
                assert!((ours - alone).abs() < 1e-5);
            }
        }
    }
}

#[test]
fn what_one_rank_can_t_do_none_does() {
    let refused = on(3, |ranks| {
        let own = match ranks.rank() {
            2 => Err(Error::input("the disk is elsewhere").with_hint("bring it")),
            rank => Ok(rank),
        };
        ranks.agree(own)
    });
    for result in refused {
        let error = result.unwrap_err();
        assert_eq!(error.to_string(), "rank 2: the disk is elsewhere");
        assert_eq!(
            (error.hint(), error.kind()),
            (Some("bring it"), Kind::Input)
        );
    }
    let agreed = on(3, |ranks| ranks.agree(Ok(ranks.rank())).unwrap());
    assert_eq!(agreed, [0, 1, 2]);

    let asked = on(2, |ranks| {
        (
            ranks.any(ranks.rank() == 1),
            ranks.first_says(ranks.rank() == 1),
        )
    });
    assert_eq!(asked, [(true, false); 2]);
    let apart = on(2, |ranks| {
        let rank = ranks.rank();
        ranks.in_common(&[
            ("build", "1".into()),
            ("configuration", format!("same\nrank = {rank}")),
        ])
    });
    for result in apart {
        let message = result.unwrap_err().to_string();
        assert!(
            message.contains("configuration: rank 0 has `rank = 0`, rank 1 has `rank = 1`"),
            "{message}"
        );
    }
}

//! Mixtures of experts: one expert is the dense model, later tokens never reach earlier answers, experts that choose share the
//! work evenly, and training, checkpoints and caches do with a mixture what they do without.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use burn::tensor::{Device, Tensor};
use crossover::corpus::{Alphabet, Tokenizer};
use crossover::device::{DeviceChoice, Selected};
use crossover::error::Kind;
use crossover::model::{
    Decoder, Dropout, ModelConfig, Ops, Predictor, Read, Routing, Visibility, Weights,
};
use crossover::objective::Objective;
use crossover::random::{Purpose, Stream};
use crossover::ranks::Ranks;
use crossover::train::{Checkpoint, RunConfig, Trainer};
use pollster::block_on;

const LENGTH: usize = 7;
const VOCAB: usize = 6;

fn mixture(count: usize, per_token: usize) -> ModelConfig {
    ModelConfig {
        hidden_size: 16,
        num_hidden_layers: 2,
        num_attention_heads: 4,
        num_key_value_heads: Some(2),
        // Larger than in training, so that a leak would show.
        initializer_range: 0.3,
        num_experts: Some(count),
        num_experts_per_tok: Some(per_token),
        ..ModelConfig::default()
    }
}

fn expert_choice() -> ModelConfig {
    ModelConfig {
        expert_routing: Some(Routing::ExpertChoice),
        ..mixture(4, 2)
    }
}

/// Every kind of mixture.
fn mixtures() -> [ModelConfig; 5] {
    [
        mixture(4, 2),
        mixture(4, 1),
        ModelConfig {
            shared_expert_intermediate_size: Some(11),
            moe_intermediate_size: Some(13),
            ..mixture(5, 3)
        },
        expert_choice(),
        ModelConfig {
            shared_expert_intermediate_size: Some(8),
            expert_routing: Some(Routing::ExpertChoice),
            ..mixture(3, 1)
        },
    ]
}

fn chooses_tokens(config: &ModelConfig) -> bool {
    config.expert_routing == Some(Routing::ExpertChoice)
}

fn decoder(config: &ModelConfig, ops: Ops) -> Decoder {
    let shape = config.resolve(VOCAB).unwrap();
    let weights = Weights::initial(&shape, config.initializer_range, 3);
    let decoder = Decoder::new(config, &shape, &weights, &Device::flex()).unwrap();
    decoder.with_ops(ops)
}

fn log_probabilities(decoder: &Decoder, tokens: &[u32], visibility: Visibility) -> Vec<f32> {
    block_on(decoder.log_probabilities(tokens, LENGTH, visibility)).unwrap()
}

fn farthest(left: &[f32], right: &[f32]) -> f32 {
    assert_eq!(left.len(), right.len());
    let pairs = left.iter().zip(right);
    pairs.fold(0.0, |most, (a, b)| most.max((a - b).abs()))
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    let read = block_on(tensor.into_data_async()).unwrap();
    read.iter::<f32>().collect()
}

/// Three windows of seven tokens.
fn windows() -> Vec<u32> {
    (0..3 * LENGTH as u32).map(|n| n * n % 5).collect()
}

#[test]
fn one_expert_is_the_dense_model() {
    let dense = ModelConfig {
        num_experts: None,
        num_experts_per_tok: None,
        ..mixture(1, 1)
    };
    let shape = dense.resolve(VOCAB).unwrap();
    let weights = Weights::initial(&shape, 0.3, 3);
    for routing in [Routing::TokenChoice, Routing::ExpertChoice] {
        let mixed = ModelConfig {
            expert_routing: Some(routing),
            ..mixture(1, 1)
        };
        let mixed_shape = mixed.resolve(VOCAB).unwrap();
        // The router's weights can be anything.
        let mut renamed = Weights::initial(&mixed_shape, 0.3, 4);
        for (name, tensor) in &weights.0 {
            let name = name.replace(".mlp.", ".mlp.experts.0.");
            assert!(renamed.0.insert(name, tensor.clone()).is_some());
        }
        for ops in [Ops::Fused, Ops::Reference] {
            let [dense, mixed] = [(&dense, &shape, &weights), (&mixed, &mixed_shape, &renamed)]
                .map(|(config, shape, weights)| {
                    let decoder = Decoder::new(config, shape, weights, &Device::flex()).unwrap();
                    let decoder = decoder.with_ops(ops);
                    let said = log_probabilities(&decoder, &windows(), Visibility::Full);
                    let tracked = decoder.tracked();
                    let loss = tracked.cross_entropy(
                        &windows(),
                        &windows(),
                        LENGTH,
                        Visibility::Full,
                        &Dropout::Off,
                    );
                    let found = loss.sum().backward();
                    let gradient = tracked.parameters()[0].grad(&found).unwrap();
                    (said, values(gradient))
                });
            assert!(farthest(&dense.0, &mixed.0) <= 1e-6, "{routing:?} {ops:?}");
            assert!(farthest(&dense.1, &mixed.1) <= 1e-5, "{routing:?} {ops:?}");
        }
    }
}

#[test]
fn later_tokens_never_reach_the_earlier_answers_of_a_model_whose_tokens_choose() {
    let first = [5, 0, 1, 2, 3, 4, 0];
    let per_row = VOCAB - 1;
    let mut leaked = false;
    let wide = ModelConfig {
        hidden_size: 72,
        ..mixture(8, 2)
    };
    for config in mixtures().into_iter().chain([wide]) {
        for ops in [Ops::Fused, Ops::Reference] {
            let decoder = decoder(&config, ops);
            let before = log_probabilities(&decoder, &first, Visibility::Causal);
            for position in 1..LENGTH {
                let mut changed = first;
                for token in &mut changed[position..] {
                    *token = (*token + 1) % 5;
                }
                let after = log_probabilities(&decoder, &changed, Visibility::Causal);
                let same = position * per_row;
                let moved = farthest(&before[..same], &after[..same]);
                if chooses_tokens(&config) {
                    leaked |= moved > 1e-3;
                    continue;
                }
                // To the bit, although other tokens come and go beside them.
                assert_eq!(moved, 0.0, "before {position}, {ops:?}: {config:?}");
                assert!(farthest(&before[same..], &after[same..]) > 1e-3);
            }
        }
    }
    assert!(
        leaked,
        "where experts choose it shows, and so would any leak"
    );
}

#[test]
fn losses_and_gradients_are_those_of_the_reference() {
    for config in mixtures() {
        let blocks = Visibility::GapsAndWhole { size: 2 };
        for visibility in [Visibility::Full, Visibility::Causal, blocks] {
            if chooses_tokens(&config) && visibility != Visibility::Full {
                continue;
            }
            let targets = windows();
            let inputs = targets.repeat(visibility.copies());
            let [fused, reference] = [Ops::Fused, Ops::Reference].map(|ops| {
                let tracked = decoder(&config, ops).tracked();
                let weights = vec![0.1; targets.len()];
                let (nats, routers) = tracked.training_losses(
                    &inputs,
                    &targets,
                    weights,
                    LENGTH,
                    visibility,
                    &Dropout::Off,
                );
                // Counted many times over, so that its gradient shows.
                let routers = routers.unwrap().mul_scalar(30.0);
                let found = (nats.clone() + routers.clone()).backward();
                let parameters = tracked.parameters().into_iter();
                let gradients: Vec<Vec<f32>> = parameters
                    .map(|parameter| values(parameter.grad(&found).unwrap()))
                    .collect();
                (values(nats)[0], values(routers)[0], gradients)
            });
            assert!((fused.0 - reference.0).abs() < 1e-5, "{config:?}");
            assert!((fused.1 - reference.1).abs() < 1e-4, "{config:?}");
            for (index, (found, expected)) in fused.2.iter().zip(&reference.2).enumerate() {
                let size = expected.iter().fold(0.0_f32, |most, x| most.max(x.abs()));
                assert!(
                    farthest(found, expected) <= 2e-5 * (1.0 + size),
                    "gradient {index} of {size}: {config:?}"
                );
            }
        }
    }
}

#[test]
fn gradients_are_the_slope_of_both_losses() {
    for config in mixtures() {
        let shape = config.resolve(VOCAB).unwrap();
        let weights = Weights::initial(&shape, config.initializer_range, 3);
        let losses = |decoder: &Decoder| {
            let counted = vec![0.5; 3 * LENGTH];
            let (inputs, full) = (windows(), Visibility::Full);
            let (nats, routers) =
                decoder.training_losses(&inputs, &inputs, counted, LENGTH, full, &Dropout::Off);
            nats + routers.unwrap().mul_scalar(10.0)
        };
        let made =
            |weights: &Weights| Decoder::new(&config, &shape, weights, &Device::flex()).unwrap();
        let trained = made(&weights).tracked();
        let found = losses(&trained).backward();
        let parameters = trained.parameters().into_iter();
        let gradients: Vec<Tensor<2>> = parameters
            .map(|parameter| parameter.grad(&found).unwrap())
            .collect();
        let references: Vec<&Tensor<2>> = gradients.iter().collect();
        let gradients = block_on(crossover::model::decoder::read(&shape, &references)).unwrap();
        let mut checked = 0;
        for (name, gradient) in gradients
            .0
            .iter()
            .filter(|(name, _)| name.contains(".mlp."))
        {
            let slopes = gradient.values.iter().enumerate();
            let (index, slope) = slopes
                .max_by(|left, right| left.1.abs().total_cmp(&right.1.abs()))
                .unwrap();
            // Small, so that nobody chooses otherwise.
            let step = 2e-3;
            let moved = |by: f32| {
                let mut weights = weights.clone();
                weights.0.get_mut(name).unwrap().values[index] += by;
                f64::from(values(losses(&made(&weights)))[0])
            };
            let difference = (moved(step) - moved(-step)) / (2.0 * f64::from(step));
            let tolerance = 1e-2 * f64::from(slope.abs()) + 5e-3;
            assert!(
                (difference - f64::from(*slope)).abs() < tolerance,
                "{name}[{index}]: slope {slope}, difference {difference}: {config:?}"
            );
            checked += usize::from(slope.abs() > 0.05);
        }
        assert!(checked > 8, "slopes that show: {checked} of {config:?}");
    }
}

#[test]
fn an_even_router_costs_its_weights_and_an_uneven_one_more() {
    let config = ModelConfig {
        router_aux_loss_coef: Some(0.3),
        router_z_loss_coef: Some(0.2),
        ..mixture(4, 2)
    };
    let shape = config.resolve(VOCAB).unwrap();
    let mut weights = Weights::initial(&shape, 0.3, 3);
    for (name, tensor) in &mut weights.0 {
        if name.ends_with("mlp.gate.weight") {
            tensor.values.fill(0.0);
        }
    }
    let cost = |weights: &Weights| {
        let decoder = Decoder::new(&config, &shape, weights, &Device::flex()).unwrap();
        let (_, routers) = decoder.training_losses(
            &windows(),
            &windows(),
            vec![1.0; 3 * LENGTH],
            LENGTH,
            Visibility::Causal,
            &Dropout::Off,
        );
        values(routers.unwrap())[0]
    };
    // Probabilities are even, so whoever is chosen, the first loss is 1; the second is ln(4)², for 3 windows and 2 layers.
    let expected = 6.0 * (0.3 + 0.2 * 4.0_f32.ln().powi(2));
    assert!(
        (cost(&weights) - expected).abs() < 1e-4,
        "{}",
        cost(&weights)
    );
    let uneven = Weights::initial(&shape, 0.3, 3);
    assert!(cost(&uneven) > expected);
}

#[test]
fn experts_that_choose_get_the_same_number_of_tokens_and_ask_no_other_window() {
    let config = expert_choice();
    for ops in [Ops::Fused, Ops::Reference] {
        let decoder = decoder(&config, ops);
        let windows = windows();
        let asked = block_on(decoder.asked_experts(&windows, LENGTH, Visibility::Full)).unwrap();
        // ceil(7 * 2 / 4) tokens of each of three windows, in two layers.
        assert_eq!(asked, [12.0; 8]);
        let together = log_probabilities(&decoder, &windows, Visibility::Full);
        let alone: Vec<f32> = windows
            .chunks_exact(LENGTH)
            .flat_map(|window| log_probabilities(&decoder, window, Visibility::Full))
            .collect();
        assert!(farthest(&together, &alone) < 1e-5);
    }
    let decoder = decoder(&mixture(4, 2), Ops::Fused);
    let asked = block_on(decoder.asked_experts(&windows(), LENGTH, Visibility::Causal)).unwrap();
    for layer in asked.chunks_exact(4) {
        assert_eq!(layer.iter().sum::<f32>(), 2.0 * 21.0);
        assert!(layer.iter().any(|count| *count != layer[0]), "{asked:?}");
    }
}

#[test]
fn reading_token_after_token_gives_what_reading_everything_gives() {
    for config in mixtures()
        .into_iter()
        .filter(|config| !chooses_tokens(config))
    {
        for ops in [Ops::Fused, Ops::Reference] {
            let decoder = decoder(&config, ops);
            let window = &windows()[..LENGTH];
            let whole = log_probabilities(&decoder, window, Visibility::Causal);
            let mut cache = decoder.cache(1, LENGTH);
            for (position, said) in whole.chunks_exact(VOCAB - 1).enumerate() {
                let read = Read {
                    rows: &[0],
                    positions: &[position],
                    tokens: &window[position..=position],
                    answers: 0..1,
                    visibility: Visibility::Causal,
                };
                let found = block_on(decoder.read(&mut cache, &read)).unwrap();
                assert!(farthest(&found, said) < 1e-5, "{position}: {config:?}");
            }
        }
    }
}

fn processor(threads: usize) -> Selected {
    Selected {
        device: Device::flex(),
        choice: DeviceChoice::Cpu,
        threads,
        description: "cpu".to_owned(),
        ranks: Ranks::alone(),
    }
}

fn run_config(model: ModelConfig) -> RunConfig {
    let mut config = RunConfig {
        model,
        ..RunConfig::default()
    };
    config.corpus.length = Some(12);
    config.objective.block_size = Some(4);
    config.train.batch = 6;
    // As if it had no weight, the routers' loss would not be missed.
    config.model.router_aux_loss_coef = Some(0.5);
    config.model.router_z_loss_coef = Some(0.1);
    config
}

const LONG: usize = 12;

fn new_trainer(objective: Objective, config: &RunConfig, threads: usize) -> Trainer {
    let shape = config.model.resolve(VOCAB).unwrap();
    let weights = Weights::initial(&shape, 0.1, 1);
    Trainer::new(objective, config, &shape, &weights, &processor(threads)).unwrap()
}

fn letters() -> Tokenizer {
    Tokenizer::symbols(Alphabet::new("abcde".chars()).unwrap())
}

/// Losses and gradient norms of a few steps on the same windows.
fn steps(trainer: &mut Trainer, count: usize) -> Vec<f64> {
    let mut stream = Stream::new(1, Purpose::Source, 0, 0);
    let tokens: Vec<u32> = (0..6 * LONG).map(|_| stream.below(5) as u32).collect();
    (0..count)
        .flat_map(|_| {
            let pending = block_on(trainer.step(&tokens, LONG, 100)).unwrap();
            let read = block_on(Trainer::read(&pending)).unwrap();
            [read.nats[0].1, read.grad_norm]
        })
        .collect()
}

fn objectives_of(model: &ModelConfig) -> &'static [Objective] {
    match chooses_tokens(model) {
        true => &[Objective::Masked],
        false => &Objective::ALL,
    }
}

#[test]
fn shares_micro_batches_and_recomputation_change_nothing() {
    for model in mixtures() {
        for objective in objectives_of(&model) {
            for dropout in [0.0, 0.3] {
                let mut config = run_config(model.clone());
                config.model.dropout = dropout;
                // Experts that choose among many tokens alike (MASK, at first) choose otherwise after any rounding.
                let count = if chooses_tokens(&model) { 1 } else { 4 };
                let whole = steps(&mut new_trainer(*objective, &config, 1), count);
                let same = |config: &RunConfig, threads, what| {
                    let found = steps(&mut new_trainer(*objective, config, threads), count);
                    for (a, b) in found.iter().zip(&whole) {
                        assert!(
                            (a - b).abs() <= 2e-5 * (1.0 + b.abs()),
                            "{what}, {objective:?}: {found:?}, not {whole:?}: {model:?}"
                        );
                    }
                };
                same(&config, 2, "two threads");
                config.train.micro_batch = Some(4);
                same(&config, 2, "micro-batches");
                config.train.recompute = true;
                same(&config, 2, "recomputation");
            }
        }
    }
}

#[test]
fn the_routers_loss_moves_training_and_is_no_part_of_its_figure() {
    let config = run_config(mixture(4, 2));
    let mut without = config.clone();
    without.model.router_aux_loss_coef = Some(0.0);
    without.model.router_z_loss_coef = Some(0.0);
    let [with, without] =
        [config, without].map(|config| steps(&mut new_trainer(Objective::Masked, &config, 1), 3));
    assert_eq!(with[0], without[0], "the first loss is of the same model");
    assert_ne!(with[1], without[1], "its gradient is another");
    assert_ne!(with[4], without[4], "and so is the model after it");
}

#[test]
fn a_checkpoint_has_qwen3_moe_s_names_and_continues_to_the_bit() {
    for model in mixtures() {
        for objective in objectives_of(&model) {
            let mut config = run_config(model.clone());
            config.train.ema_decay = Some(0.9);
            let mut straight = new_trainer(*objective, &config, 2);
            steps(&mut straight, 3);
            let tokenizer = letters();
            let checkpoint = block_on(straight.checkpoint(&tokenizer)).unwrap();
            let bytes = checkpoint.to_bytes().unwrap();
            let read = Checkpoint::from_bytes(&bytes, "memory").unwrap();
            assert_eq!(read.weights, checkpoint.weights);
            let shape = read.shape().unwrap();
            assert_eq!(shape, config.model.resolve(VOCAB).unwrap());
            let again = read.to_bytes().unwrap();
            assert_eq!(Checkpoint::from_bytes(&again, "again").unwrap(), read);

            let expected = steps(&mut straight, 3);
            let mut resumed =
                Trainer::from_checkpoint(*objective, &config, &shape, &read, &processor(2))
                    .unwrap();
            assert_eq!(steps(&mut resumed, 3), expected, "{objective:?}: {model:?}");

            let count = shape.experts.as_ref().unwrap().count;
            let names: Vec<&str> = read.weights.0.keys().map(String::as_str).collect();
            let layer = "model.layers.1.mlp";
            for part in ["gate_proj", "up_proj", "down_proj"] {
                for expert in 0..count {
                    assert!(names.contains(&&*format!("{layer}.experts.{expert}.{part}.weight")));
                }
                let shared = format!("{layer}.shared_expert.{part}.weight");
                let has_shared = model.shared_expert_intermediate_size.is_some();
                assert_eq!(names.contains(&&*shared), has_shared);
            }
            assert!(names.contains(&&*format!("{layer}.gate.weight")));
            let (_, metadata) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
            let header = metadata.metadata().clone().unwrap();
            let header: serde_json::Value = serde_json::from_str(&header["config"]).unwrap();
            let plain = !chooses_tokens(&model) && model.shared_expert_intermediate_size.is_none();
            let name = if plain { "qwen3_moe" } else { "crossover_moe" };
            assert_eq!(header["model_type"], name);
            assert_eq!(header["num_experts"], count);
        }
    }
}

#[test]
fn experts_that_would_see_what_is_hidden_are_refused() {
    let mut config = run_config(expert_choice());
    config.objectives = vec![Objective::Masked];
    config.check().unwrap();
    for objective in [Objective::Autoregressive, Objective::Block, Objective::Dual] {
        config.objectives = vec![objective];
        let error = config.check().unwrap_err();
        assert_eq!(error.kind(), Kind::Input);
        assert!(error.to_string().contains("expert-choice"), "{error}");
        assert!(error.hint().unwrap().contains("token-choice"));
        // Nor does a file get such a model in.
        let trainer = new_trainer(objective, &config, 1);
        let checkpoint = block_on(trainer.checkpoint(&letters())).unwrap();
        let bytes = checkpoint.to_bytes().unwrap();
        assert!(Checkpoint::from_bytes(&bytes, "memory").is_err());
    }
}

#[test]
fn what_no_mixture_can_have_is_refused_by_its_name() {
    type Change = fn(&mut ModelConfig);
    let wrong: [(&str, Change); 8] = [
        ("`num_experts` is 0", |config| config.num_experts = Some(0)),
        ("`num_experts_per_tok` is 0", |config| {
            config.num_experts_per_tok = Some(0);
        }),
        ("a token can't ask 5 of 4 experts", |config| {
            config.num_experts_per_tok = Some(5);
        }),
        ("`moe_intermediate_size` is 0", |config| {
            config.moe_intermediate_size = Some(0);
        }),
        ("`router_aux_loss_coef` is -1", |config| {
            config.router_aux_loss_coef = Some(-1.0);
        }),
        ("`router_z_loss_coef` is NaN", |config| {
            config.router_z_loss_coef = Some(f64::NAN);
        }),
        ("`num_experts_per_tok` is given", |config| {
            config.num_experts = None;
        }),
        ("parameters", |config| {
            config.hidden_size = 1 << 20;
            config.num_experts = Some(1 << 20);
            config.moe_intermediate_size = Some(1 << 20);
        }),
    ];
    for (said, change) in wrong {
        let mut config = mixture(4, 2);
        change(&mut config);
        let error = config.resolve(VOCAB).unwrap_err();
        assert_eq!(error.kind(), Kind::Input);
        assert!(error.to_string().contains(said), "{error}");
        assert!(error.hint().is_some());
    }
    let normalized = ModelConfig {
        norm_topk_prob: Some(true),
        ..expert_choice()
    };
    assert!(normalized.resolve(VOCAB).is_err());
}

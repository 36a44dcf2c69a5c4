//! What a run would cost on this device.

use crate::corpus::{Corpus, EpochOrder};
use crate::device::Selected;
use crate::error::Result;
use crate::evaluate::nats;
use crate::lab::finale;
use crate::lab::generation::Page;
use crate::lab::protocol::{Answer, Plan};
use crate::lab::session::{prepare, resolve};
use crate::laws::flops::ReadCost;
use crate::laws::{critical, flops, memory};
use crate::model::Weights;
use crate::objective::{Factorization, Objective};
use crate::platform;
use crate::sample::Sampler;
use crate::train::{RunConfig, Trainer};

/// Steps that are timed of each model, after one that isn't.
const STEPS: u32 = 2;
/// Windows that are measured to know how long all would take.
const MEASURED: usize = 8;
/// Tokens, or steps of denoising, that are written to know how long a window would take.
const WRITTEN: usize = 8;
/// How often an evaluation keeps a model: as the last, and as the best if it is.
const KEPT: f64 = 2.0;

pub(super) async fn plan(config: RunConfig, device: &Selected) -> Result<Answer> {
    let (corpus, shape) = prepare(&config)?;
    let config = resolve(config, &corpus, &shape, device)?;
    let length = corpus.length();
    let steps = config.train.steps.unwrap_or(1);
    let every = config.evaluate.every.unwrap_or(steps);
    let evaluations = steps.div_ceil(every);
    let mut order = EpochOrder::new(&corpus.train, config.seed);
    let windows: Vec<Vec<u32>> = (0..config.train.batch as u64)
        .map(|index| order.window(index))
        .collect();
    let tokens = windows.concat();
    let weights = Weights::initial(&shape, config.model.initializer_range, config.seed);

    let (mut seconds, mut operations) = (0.0, 0.0);
    for objective in &config.objectives {
        let mut trainer = Trainer::new(*objective, &config, &shape, &weights, device)?;
        let mut began = platform::now();
        for step in 0..=STEPS {
            let pending = trainer.step(&tokens, length, steps).await?;
            Trainer::read(&pending).await?;
            platform::yield_now().await;
            if step == 0 {
                began = platform::now();
            }
        }
        seconds += began.elapsed().as_secs_f64() / f64::from(STEPS) * steps as f64;
        operations += trainer.state.flops / f64::from(STEPS + 1) * steps as f64;
        let looking = Looking::measure(&trainer, &config, &corpus).await?;
        seconds += evaluations as f64 * looking.evaluation + looking.finale;
    }
    let tokens_per_epoch = corpus.train.tokens_per_epoch() as u64;
    let is_race = config.objectives.first() == Some(&Objective::Autoregressive);
    Ok(Answer::Plan(Plan {
        steps,
        tokens_per_epoch,
        parameters: shape.parameters(),
        flops: operations,
        seconds,
        memory_bytes: config.objectives.len() as u64 * memory::training_state_bytes(&shape)
            + memory::activation_bytes(&shape, config.train.batch, length, config.train.recompute),
        critical_epoch: is_race.then(|| {
            critical::epochs(
                tokens_per_epoch as f64,
                flops::training_per_token(&shape, length),
            )
        }),
        config,
    }))
}

/// Seconds that go into looking at one model instead of training it.
struct Looking {
    /// Each time: validation windows, keeping the model, a window that it writes.
    evaluation: f64,
    /// At the end: test windows, samples, and what a diffusion model is asked in other orders.
    finale: f64,
}

impl Looking {
    /// By a little of everything.
    async fn measure(trainer: &Trainer, config: &RunConfig, corpus: &Corpus) -> Result<Self> {
        let (model, objective) = (trainer.model(), trainer.objective());
        let (length, evaluate) = (corpus.length(), &config.evaluate);
        let few: Vec<&[u32]> = corpus.validation.iter().take(MEASURED).collect();
        let validation = corpus.validation.count(evaluate.windows) as f64;
        let test = corpus.test.count(evaluate.test_windows);
        let samples = finale::samples(config, corpus);
        let mut looking = Self {
            evaluation: 0.0,
            finale: 0.0,
        };
        for likelihood in objective.likelihoods() {
            let factorization = likelihood.factorization(length, config.objective.block_size);
            let (levels, test_levels) = match factorization {
                Factorization::LeftToRight => (1, 1),
                Factorization::Blocks { .. } => (evaluate.levels, evaluate.test_levels),
            };
            let began = platform::now();
            nats(model, factorization, &few, levels, config.seed).await?;
            let forward = began.elapsed().as_secs_f64() / (few.len() * levels) as f64;
            looking.evaluation += forward * validation * levels as f64;
            looking.finale += forward * (test * test_levels) as f64;
            if *likelihood == objective.headline() {
                let forwards = match factorization {
                    // Many at once, each token is read once.
                    Factorization::LeftToRight => samples,
                    Factorization::Blocks { size } => {
                        let chains = match config.objectives.len() {
                            1 => 0,
                            _ => [size, size * evaluate.orders]
                                .map(|passes| passes * finale::affordable(length, passes, test))
                                .iter()
                                .sum(),
                        };
                        samples * length + chains
                    }
                };
                looking.finale += forward * forwards as f64;
            }
        }

        let page = Page {
            length,
            seed: config.seed,
            cost: ReadCost::of(model.shape()),
        };
        let headline = objective.headline();
        let (way, written) = match headline.factorization(length, config.objective.block_size) {
            Factorization::LeftToRight => {
                let length = WRITTEN.min(length);
                (Page { length, ..page }.left_to_right(), length)
            }
            Factorization::Blocks { size } => {
                let steps = WRITTEN.max(length.div_ceil(size)).min(length);
                (page.denoising(size, Sampler::Ancestral, steps), steps)
            }
        };
        let began = platform::now();
        way.write(model, 0..1).await?;
        let window = began.elapsed().as_secs_f64() * length as f64 / written as f64;
        let began = platform::now();
        trainer.checkpoint(&corpus.tokenizer).await?.to_bytes()?;
        let keeping = began.elapsed().as_secs_f64();
        looking.evaluation += KEPT * keeping + window;
        looking.finale += window;
        Ok(looking)
    }
}

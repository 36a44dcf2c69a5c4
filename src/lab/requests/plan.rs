//! What a run would cost on this device.

use crate::corpus::EpochOrder;
use crate::device::Selected;
use crate::error::Result;
use crate::evaluate::nats;
use crate::lab::protocol::{Answer, Plan};
use crate::lab::session::{prepare, resolve};
use crate::laws::{critical, flops, memory};
use crate::model::Weights;
use crate::objective::Objective;
use crate::platform;
use crate::train::{RunConfig, Trainer};

/// Steps that are timed of each model, after one that isn't.
const STEPS: u32 = 2;

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
            let pending = trainer.step(&tokens, length, steps).await;
            Trainer::read(&pending).await?;
            platform::yield_now().await;
            if step == 0 {
                began = platform::now();
            }
        }
        seconds += began.elapsed().as_secs_f64() / f64::from(STEPS) * steps as f64;
        operations += trainer.state.flops / f64::from(STEPS + 1) * steps as f64;
        // A few windows stand for all that are measured.
        let few: Vec<&[u32]> = corpus.validation.iter().take(MEASURED).collect();
        let began = platform::now();
        let factorization = objective
            .headline()
            .factorization(length, config.objective.block_size);
        let levels = config.evaluate.levels;
        nats(trainer.model(), factorization, &few, levels, config.seed).await?;
        let windows = corpus.validation.count(config.evaluate.windows) as f64;
        seconds += began.elapsed().as_secs_f64() / few.len() as f64 * windows * evaluations as f64;
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
            + memory::activation_bytes(&shape, config.train.batch, length),
        critical_epoch: is_race.then(|| {
            critical::epochs(
                tokens_per_epoch as f64,
                flops::training_per_token(&shape, length),
            )
        }),
        config,
    }))
}

/// Windows that are measured to know how long all would take.
const MEASURED: usize = 8;

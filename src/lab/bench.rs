//! How fast this machine trains, beside how fast it multiplies matrices.

use burn::tensor::{Device, Distribution, Tensor};
use serde::Serialize;

use crate::device::Selected;
use crate::error::Result;
use crate::laws::flops;
use crate::model::decoder::device_failed;
use crate::model::{Shape, Weights};
use crate::objective::Objective;
use crate::platform;
use crate::random::{Purpose, Stream};
use crate::train::{RunConfig, Trainer};

/// Rows and columns of the matrices whose product is timed.
const PEAK_SIZE: usize = 1_024;
/// Steps that are not timed: the first ones allocate, and compile kernels on a GPU.
const WARM_UP: u64 = 3;

/// Speed of one objective.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Speed {
    /// Which.
    pub objective: Objective,
    /// Training speed.
    pub tokens_per_second: f64,
    /// Training FLOP/s, by the law in [`crate::laws::flops`].
    pub flops_per_second: f64,
    /// Those as a share of the measured matrix product.
    pub share_of_peak: f64,
    /// Seconds of the median step.
    pub step_seconds: f64,
}

/// The best of several products of two square f32 matrices, FLOP/s.
///
/// # Errors
/// When the device fails.
pub async fn matmul_peak(device: &Device) -> Result<f64> {
    let matrix = || {
        Tensor::<2>::random(
            [PEAK_SIZE, PEAK_SIZE],
            Distribution::Uniform(-1.0, 1.0),
            device,
        )
    };
    let (left, right) = (matrix(), matrix());
    let mut fastest = f64::INFINITY;
    for _ in 0..8 {
        let began = platform::now();
        let product = left.clone().matmul(right.clone());
        // One value is enough to wait for all of them.
        product
            .narrow(0, 0, 1)
            .narrow(1, 0, 1)
            .into_data_async()
            .await
            .map_err(device_failed)?;
        fastest = fastest.min(began.elapsed().as_secs_f64());
    }
    Ok(2.0 * (PEAK_SIZE as f64).powi(3) / fastest)
}

/// Trains `steps` steps of an objective on random tokens and takes the median.
///
/// # Errors
/// When the device fails.
pub async fn training_speed(
    objective: Objective,
    config: &RunConfig,
    shape: &Shape,
    length: usize,
    steps: u64,
    peak: f64,
    device: &Selected,
) -> Result<Speed> {
    let weights = Weights::initial(shape, config.model.initializer_range, config.seed);
    let mut trainer = Trainer::new(objective, config, shape, &weights, device)?;
    let mut stream = Stream::new(config.seed, Purpose::Source, 0, 0);
    let tokens: Vec<u32> = (0..config.train.batch * length)
        .map(|_| stream.below(shape.vocab_size as u64 - 1) as u32)
        .collect();
    let mut seconds = Vec::new();
    for step in 0..WARM_UP + steps {
        let began = platform::now();
        let pending = trainer.step(&tokens, length, WARM_UP + steps);
        Trainer::read(&pending).await?;
        if step >= WARM_UP {
            seconds.push(began.elapsed().as_secs_f64());
        }
        platform::yield_now().await;
    }
    seconds.sort_by(f64::total_cmp);
    let step_seconds = seconds[seconds.len() / 2];
    let tokens_per_second = tokens.len() as f64 / step_seconds;
    let flops_per_second = tokens_per_second * flops::training_per_token(shape, length);
    Ok(Speed {
        objective,
        tokens_per_second,
        flops_per_second,
        share_of_peak: flops_per_second / peak,
        step_seconds,
    })
}

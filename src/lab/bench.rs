//! How fast this machine trains and writes, beside how fast it multiplies matrices.

use burn::tensor::{Device, Distribution, Tensor};
use serde::Serialize;

use crate::device::Selected;
use crate::error::Result;
use crate::laws::flops;
use crate::model::decoder::device_failed;
use crate::model::{Decoder, Predictor, Shape, Visibility, Weights};
use crate::objective::Objective;
use crate::platform;
use crate::random::{Purpose, Stream};
use crate::sample::{Caching, Cell, Decoding, Denoising, Sampler, decode, denoise};
use crate::train::{RunConfig, Trainer};

/// Rows and columns of the matrices whose product is timed.
const PEAK_SIZE: usize = 1_024;
/// Steps that are not timed: the first ones allocate, and compile kernels on a GPU.
const WARM_UP: u64 = 3;

/// Steps of denoising that are timed, where there are as many tokens.
const DENOISING_STEPS: usize = 32;

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
        let pending = trainer.step(&tokens, length, WARM_UP + steps).await;
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

/// How long writing one window takes: the fastest of several, since whatever else the machine does only adds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WritingSpeed {
    /// One forward pass over the window, its answers read back: the mean of as many as there are denoising steps.
    pub forward_seconds: f64,
    /// Left to right, the whole window read for each token.
    pub ar_seconds: f64,
    /// Left to right, each token read once.
    pub ar_cached_seconds: f64,
    /// The first over the second.
    pub ar_speedup: f64,
    /// Steps of denoising that were timed, each of which reads the window.
    pub denoising_steps: usize,
    /// Their time in all.
    pub denoising_seconds: f64,
    /// What a step takes, in forward passes.
    pub forwards_per_step: f64,
}

/// Lets a decoder with initial weights write windows of `length` tokens, `rounds` times in each way, at least once.
///
/// # Errors
/// When the length is 0, or the device fails.
pub async fn writing_speed(
    config: &RunConfig,
    shape: &Shape,
    length: usize,
    rounds: u64,
    device: &Selected,
) -> Result<WritingSpeed> {
    let weights = Weights::initial(shape, config.model.initializer_range, config.seed);
    let model = Decoder::new(&config.model, shape, &weights, &device.device)?;
    let decoding = Decoding::new(Vec::new(), length, config.seed);
    let cached = Decoding {
        cache: Caching::Exact,
        ..decoding.clone()
    };
    let steps = length.min(DENOISING_STEPS);
    let denoising = Denoising {
        sampler: Sampler::LowConfidence,
        steps,
        ..Denoising::new(vec![Cell::Free; length], Visibility::Full, config.seed)
    };
    let masked = vec![model.mask_id(); length];
    let mut timed: Vec<[f64; 4]> = Vec::new();
    // The first round warms up.
    for round in 0..=rounds {
        let mut times = [0.0; 4];
        let began = platform::now();
        for _ in 0..steps {
            model
                .log_probabilities(&masked, length, Visibility::Full)
                .await?;
        }
        times[0] = began.elapsed().as_secs_f64() / steps as f64;
        let began = platform::now();
        denoise(&model, &denoising, 0..1).await?;
        times[1] = began.elapsed().as_secs_f64();
        for (time, decoding) in times[2..].iter_mut().zip([&decoding, &cached]) {
            let began = platform::now();
            decode(&model, decoding, 0..1).await?;
            *time = began.elapsed().as_secs_f64();
        }
        if round > 0 {
            timed.push(times);
        }
    }
    let fastest = |which: usize| {
        let times = timed.iter().map(|times| times[which]);
        times.fold(f64::INFINITY, f64::min)
    };
    let [
        forward_seconds,
        denoising_seconds,
        ar_seconds,
        ar_cached_seconds,
    ] = [0, 1, 2, 3].map(fastest);
    Ok(WritingSpeed {
        forward_seconds,
        ar_seconds,
        ar_cached_seconds,
        ar_speedup: ar_seconds / ar_cached_seconds,
        denoising_steps: steps,
        denoising_seconds,
        forwards_per_step: denoising_seconds / (steps as f64 * forward_seconds),
    })
}

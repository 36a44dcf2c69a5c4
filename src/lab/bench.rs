//! How fast this machine trains and writes, beside how fast it multiplies matrices.

use std::hint::black_box;

use burn::tensor::{Device, Distribution, Tensor};
use serde::{Deserialize, Serialize};

use crate::device::Selected;
use crate::error::Result;
use crate::lab::fits;
use crate::laws::flops;
use crate::model::decoder::device_failed;
use crate::model::{Decoder, Predictor, Shape, Visibility, Weights};
use crate::objective::Objective;
use crate::platform;
use crate::random::{Purpose, Stream};
use crate::ranks::Ranks;
use crate::sample::{Caching, Cell, Decoding, Denoising, Sampler, decode, denoise};
use crate::train::{MixedPrecision, RunConfig, Spent, Trainer};

/// Rows and columns of the matrices whose products are timed; the larger ones where a device is quick.
const PEAK_SIZES: [usize; 5] = [256, 512, 1_024, 2_048, 4_096];
/// The largest for the processor, whose product is no faster beyond it. A large GPU needs larger ones to be busy.
const PROCESSOR_PEAK_SIZE: usize = 1_024;
/// Seconds that a quick product takes at most.
const QUICK: f64 = 0.5;
/// Elements of the tensors whose sum is timed.
const BANDWIDTH_SIZE: usize = 1 << 24;
/// Steps that are not timed: the first ones allocate, and compile kernels on a GPU.
const WARM_UP: u64 = 3;
/// Steps of the learning rate's schedule, which comes nowhere near its end.
const SCHEDULED: u64 = 1_000_000;

/// Values that several ranks add up, and how often: from what is all latency to a bucket of gradients.
const SUMS: [(usize, usize); 5] = [
    (1 << 10, 101),
    (1 << 14, 51),
    (1 << 18, 21),
    (1 << 20, 11),
    (1 << 22, 5),
];

/// Steps of denoising, where there are as many tokens.
const DENOISING_STEPS: usize = 64;

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
    /// Where they went; nothing on a GPU, which computes while the processor goes on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spent: Option<Spent>,
}

/// The best of several products of two square matrices, FLOP/s: of f32, and on GPUs of the halves that are trained in. A software
/// GPU multiplies small ones only, or would be at it for minutes.
///
/// # Errors
/// When the device fails.
pub async fn matmul_peak(device: &Device, precision: MixedPrecision) -> Result<f64> {
    let half = precision.operands().half();
    let is_processor = crossover_ops::is_processor(device);
    let mut peak = 0.0_f64;
    for size in PEAK_SIZES {
        let matrix = || {
            let uniform = Distribution::Uniform(-1.0, 1.0);
            let matrix = Tensor::<2>::random([size, size], uniform, device);
            match half {
                Some(half) if !precision.is_emulated_on(device) => matrix.cast(half),
                _ => matrix,
            }
        };
        let (left, right) = (matrix(), matrix());
        let mut fastest = f64::INFINITY;
        for _ in 0..8 {
            let began = platform::now();
            let product = left.clone().matmul(right.clone());
            wait_for(product.narrow(0, 0, 1)).await?;
            fastest = fastest.min(began.elapsed().as_secs_f64());
        }
        peak = peak.max(2.0 * (size as f64).powi(3) / fastest);
        // Twice as many rows and columns are eight times the work.
        if 8.0 * fastest > QUICK || (is_processor && size == PROCESSOR_PEAK_SIZE) {
            break;
        }
    }
    Ok(peak)
}

/// Waits until a tensor is computed. One value is enough to wait for all of them, but it must be looked at: natively a GPU gives
/// data that is fetched when somebody does.
async fn wait_for<const D: usize>(tensor: Tensor<D>) -> Result<()> {
    let value = tensor.flatten::<1>(0, D - 1).narrow(0, 0, 1);
    let data = value.into_data_async().await.map_err(device_failed)?;
    black_box(data.as_bytes());
    Ok(())
}

/// The best of several sums of two f32 tensors far larger than a processor's caches, bytes per second: two are read, one is
/// written. They take 192 MiB.
///
/// # Errors
/// When the device fails.
pub async fn memory_bandwidth(device: &Device) -> Result<f64> {
    let ones = || Tensor::<1>::ones([BANDWIDTH_SIZE], device);
    let (left, right) = (ones(), ones());
    let mut fastest = f64::INFINITY;
    for _ in 0..8 {
        let began = platform::now();
        let sum = left.clone() + right.clone();
        wait_for(sum).await?;
        fastest = fastest.min(began.elapsed().as_secs_f64());
    }
    Ok(3.0 * 4.0 * BANDWIDTH_SIZE as f64 / fastest)
}

/// Trains `steps` steps of an objective on random tokens and takes the median.
///
/// # Errors
/// When this machine's memory can't hold that, or the device fails.
pub async fn training_speed(
    objective: Objective,
    config: &RunConfig,
    shape: &Shape,
    length: usize,
    steps: u64,
    peak: f64,
    device: &Selected,
) -> Result<Speed> {
    fits::steps(config, shape, length, device)?;
    let weights = Weights::initial(shape, config.model.initializer_range, config.seed);
    let mut trainer = Trainer::new(objective, config, shape, &weights, device)?;
    let mut stream = Stream::new(config.seed, Purpose::Source, 0, 0);
    let tokens: Vec<u32> = (0..config.train.batch * length)
        .map(|_| stream.below(shape.vocab_size as u64 - 1) as u32)
        .collect();
    let (began, mut warm_up) = (platform::now(), 0);
    while warm_up < WARM_UP || began.elapsed() < platform::WARM_UP {
        timed_step(&mut trainer, &tokens, length).await?;
        warm_up += 1;
    }
    let mut timed = Vec::new();
    for _ in 0..steps {
        timed.push(timed_step(&mut trainer, &tokens, length).await?);
    }
    timed.sort_by(|(left, _), (right, _)| left.total_cmp(right));
    let (step_seconds, spent) = timed[timed.len() / 2];
    let tokens_per_second = tokens.len() as f64 / step_seconds;
    let flops_per_second = tokens_per_second * flops::training_per_token(shape, length);
    Ok(Speed {
        objective,
        tokens_per_second,
        flops_per_second,
        share_of_peak: flops_per_second / peak,
        step_seconds,
        spent: device.is_processor().then_some(spent),
    })
}

async fn timed_step(trainer: &mut Trainer, tokens: &[u32], length: usize) -> Result<(f64, Spent)> {
    let began = platform::now();
    let pending = trainer.step(tokens, length, SCHEDULED).await?;
    Trainer::read(&pending).await?;
    let seconds = began.elapsed().as_secs_f64();
    platform::yield_now().await;
    Ok((seconds, pending.spent))
}

/// How long several ranks take to add up some bytes for all of them.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Sum {
    /// Of 32-bit numbers.
    pub bytes: usize,
    /// The median.
    pub seconds: f64,
}

/// Adds up lists of several lengths over all ranks, as gradients are added up: between devices where the engine can. All ranks
/// must ask.
///
/// # Errors
/// When the device or the engine fails.
pub fn sums(ranks: &Ranks, device: &Device) -> Result<Vec<Sum>> {
    let timed = |values: usize| {
        let (mut host, on_device) = (Vec::new(), Tensor::<1>::zeros([values], device));
        let devices = ranks.on_devices();
        if devices.is_none() {
            host.resize(values, 0.0);
        }
        // Nobody is waited for.
        ranks.any(false);
        let before = ranks.exchanging();
        match devices {
            Some(devices) => drop(devices.sum(on_device)?),
            None => ranks.sum(&mut host),
        }
        Ok((ranks.exchanging() - before).as_secs_f64())
    };
    let median = |(values, rounds): (usize, usize)| {
        let seconds = (0..rounds)
            .map(|_| timed(values))
            .collect::<Result<Vec<_>>>();
        let mut seconds = seconds?;
        seconds.sort_by(f64::total_cmp);
        Ok(Sum {
            bytes: values * size_of::<f32>(),
            seconds: seconds[rounds / 2],
        })
    };
    SUMS.into_iter().map(median).collect()
}

/// A way of writing that is timed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// One forward pass over the windows, its answers read back: nothing is written.
    Forward,
    /// Left to right, everything read again for each token.
    Ar,
    /// Left to right, each token read once.
    ArCached,
    /// Everything at once, in steps that keep the tokens they are most confident of.
    Denoising,
}

impl Method {
    /// All, in the order in which they are timed.
    pub const ALL: [Self; 4] = [Self::Forward, Self::Ar, Self::ArCached, Self::Denoising];

    /// How often the model is called for windows of `length` tokens.
    pub fn model_calls(self, length: usize) -> usize {
        match self {
            Self::Forward => 1,
            Self::Ar | Self::ArCached => length,
            Self::Denoising => length.min(DENOISING_STEPS),
        }
    }
}

/// A decoder with initial weights that is to write windows, as many at once as it is asked for.
#[derive(Debug)]
pub struct Writer {
    model: Decoder,
    windows: usize,
    length: usize,
    seed: u64,
}

impl Writer {
    /// A writer of `windows` windows of `length` tokens.
    ///
    /// # Errors
    /// When the weights don't fit the shape.
    pub fn new(
        config: &RunConfig,
        shape: &Shape,
        windows: usize,
        length: usize,
        device: &Selected,
    ) -> Result<Self> {
        let weights = Weights::initial(shape, config.model.initializer_range, config.seed);
        Ok(Self {
            model: Decoder::new(&config.model, shape, &weights, &device.device)?,
            windows,
            length,
            seed: config.seed,
        })
    }

    /// Writes every window once; gives the seconds.
    ///
    /// # Errors
    /// When the device fails.
    pub async fn time(&self, way: Method) -> Result<f64> {
        let (length, samples) = (self.length, 0..self.windows as u64);
        let began = platform::now();
        match way {
            Method::Forward => {
                let masked = vec![self.model.mask_id(); self.windows * length];
                let full = Visibility::Full;
                self.model.log_probabilities(&masked, length, full).await?;
            }
            Method::Ar | Method::ArCached => {
                let mut decoding = Decoding::new(Vec::new(), length, self.seed);
                if way == Method::ArCached {
                    decoding.cache = Caching::Exact;
                }
                decode(&self.model, &decoding, samples).await?;
            }
            Method::Denoising => {
                let free = vec![Cell::Free; length];
                let denoising = Denoising {
                    sampler: Sampler::LowConfidence,
                    steps: way.model_calls(length),
                    ..Denoising::new(free, Visibility::Full, self.seed)
                };
                denoise(&self.model, &denoising, samples).await?;
            }
        }
        Ok(began.elapsed().as_secs_f64())
    }
}

//! How fast this device multiplies matrices and trains.

use crate::device::Selected;
use crate::error::Result;
use crate::lab::bench::{matmul_peak, training_speed};
use crate::lab::protocol::{Answer, Benchmark};
use crate::laws::flops;
use crate::objective::Objective;
use crate::train::{MixedPrecision, RunConfig};

/// Steps that are timed.
const STEPS: u64 = 5;
/// Hidden size, layers and windows of a model that a GPU in software can train.
const SMALLEST: [usize; 3] = [32, 1, 4];
/// Those of what is trained where a device is quick enough: the default race's own model and batch, or something between.
const LARGER: [[usize; 3]; 2] = [[96, 4, 40], [64, 2, 16]];
/// Seconds that a step may take.
const STEP_SECONDS: f64 = 1.0;
/// Kinds of tokens in the default race's grids, and the length of their windows.
const GRIDS: (usize, usize) = (6, 25);

/// Trains the largest of the models whose steps are quick here.
pub(super) async fn benchmark(device: &Selected) -> Result<Answer> {
    let peak = matmul_peak(&device.device, MixedPrecision::F32).await?;
    let mut measured = train(SMALLEST, peak, device).await?;
    for size in LARGER {
        if training_flops(&config(size))? / measured.training_flops <= STEP_SECONDS {
            measured = train(size, peak, device).await?;
            break;
        }
    }
    Ok(Answer::Benchmark(measured))
}

fn config([hidden_size, layers, windows]: [usize; 3]) -> RunConfig {
    let mut config = RunConfig::default();
    config.model.hidden_size = hidden_size;
    config.model.num_hidden_layers = layers;
    config.train.batch = windows;
    config
}

/// FLOPs of a step.
fn training_flops(config: &RunConfig) -> Result<f64> {
    let (vocab_size, length) = GRIDS;
    let shape = config.model.resolve(vocab_size)?;
    Ok((config.train.batch * length) as f64 * flops::training_per_token(&shape, length))
}

async fn train(size: [usize; 3], peak: f64, device: &Selected) -> Result<Benchmark> {
    let (vocab_size, length) = GRIDS;
    let config = config(size);
    let shape = config.model.resolve(vocab_size)?;
    let masked = Objective::Masked;
    let speed = training_speed(masked, &config, &shape, length, STEPS, peak, device).await?;
    Ok(Benchmark {
        matmul_flops: peak,
        training_flops: speed.flops_per_second,
        tokens_per_second: speed.tokens_per_second,
        parameters: shape.parameters(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_model_is_the_default_race_s() {
        assert_eq!(config(LARGER[0]), RunConfig::default());
    }
}

//! Refuses what is predicted to need more memory than this machine has, before it begins: a process that outgrows the memory
//! is ended by the system without a word.

use crate::device::Selected;
use crate::error::{Error, Result};
use crate::laws::memory;
use crate::model::Shape;
use crate::platform;
use crate::train::RunConfig;

/// Refuses models whose training state alone is larger than the memory.
///
/// # Errors
/// Bytes needed and bytes there.
pub(super) fn state(shape: &Shape, models: usize) -> Result<()> {
    let needed = memory::training_state_bytes(shape).saturating_mul(models as u64);
    match platform::memory_bytes() {
        Some(memory) if needed > memory => Err(Error::input(format!(
            "training needs {:.1} GB for weights, gradients and moments alone, and this machine has {:.1} GB",
            gigabytes(needed),
            gigabytes(memory)
        ))
        .with_hint("choose fewer layers or a smaller hidden size; `crossover flops` counts before you start")),
        _ => Ok(()),
    }
}

/// Refuses a run on the processor: the steps of one model, a state of it on its way to the disk, and the models that wait for
/// their turn.
///
/// # Errors
/// Bytes needed and bytes there.
pub(super) fn run(
    config: &RunConfig,
    shape: &Shape,
    length: usize,
    device: &Selected,
) -> Result<()> {
    let (train, ranks) = (&config.train, device.ranks.count());
    let has_average = train.ema_decay.is_some();
    let saving = memory::saving_bytes(shape, has_average);
    let saving = match train.shard_checkpoints {
        true => saving / ranks as u64,
        false => saving,
    };
    // Weights and moments, or those and an average.
    let values = shape.parameters() * if has_average { 4 } else { 3 };
    let waiting = 4 * values * (config.objectives.len() as u64 - 1);
    let on_its_way = format!(
        ", {:.1} GB for a state on its way to the disk",
        gigabytes(saving)
    );
    work(config, shape, length, device, saving + waiting, &on_its_way)
}

/// Refuses training steps on the processor that keep no state.
///
/// # Errors
/// Bytes needed and bytes there.
pub(super) fn steps(
    config: &RunConfig,
    shape: &Shape,
    length: usize,
    device: &Selected,
) -> Result<()> {
    work(config, shape, length, device, 0, "")
}

/// Refuses training steps on the processor with so many bytes beside them, which are for what `beside_them` says.
fn work(
    config: &RunConfig,
    shape: &Shape,
    length: usize,
    device: &Selected,
    beside: u64,
    beside_them: &str,
) -> Result<()> {
    let Some(memory) = platform::memory_bytes().filter(|_| device.is_processor()) else {
        return Ok(());
    };
    let train = &config.train;
    let at_once = train.batch.div_ceil(device.ranks.count());
    let at_once = train.micro_batch.unwrap_or(at_once).min(at_once);
    let training =
        memory::training_peak_bytes(shape, at_once, length, device.threads, train.recompute);
    let needed = training.saturating_add(beside);
    if needed <= memory {
        return Ok(());
    }
    Err(Error::input(format!(
        "training needs about {:.1} GB at its peak ({:.1} GB for weights, gradients and moments{beside_them}), and this \
         machine has {:.1} GB",
        gigabytes(needed),
        gigabytes(memory::training_state_bytes(shape)),
        gigabytes(memory),
    ))
    .with_hint(
        "choose a smaller model, or `--recompute`, a smaller `--batch` (of a run: `--micro-batch`) and fewer `--threads`; `crossover flops` counts \
         before you start",
    ))
}

fn gigabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e9
}

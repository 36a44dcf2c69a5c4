//! NCCL, in a build without it.

use burn::tensor::Device;
use crossover::device::Selected;
use crossover::error::{Error, Result};
use crossover::platform;
use crossover::ranks::Ranks;

use super::choice::Place;

/// Whether this build has it.
///
/// # Errors
/// It hasn't.
pub fn built() -> Result<()> {
    Err(absent())
}

/// What this rank has to offer: no way between devices.
pub fn place(_device: &Selected) -> Place {
    Place {
        host: platform::host(),
        gpu: None,
        nccl: Err("is of a build without NCCL".to_owned()),
    }
}

/// Never asked for: no rank offers it.
pub fn connect(_device: &Device, _ranks: &Ranks) -> Result<Ranks> {
    Err(absent())
}

fn absent() -> Error {
    Error::input("this build of crossover has no NCCL").with_hint(
        "build it with `cargo build --release --features nccl`; or `--engine mpi`, through the host",
    )
}

//! Several processes that train one model: who started them, and how they reach each other.
//!
//! `mpirun` or `srun` starts the same command once for each rank. The engine is the machine's MPI (feature `mpi`); a build
//! without it says so instead of training the same model several times. Where each rank has a CUDA device of its own, NCCL
//! (feature `nccl`) moves what the devices hold, and MPI says the rest.

mod choice;
#[cfg(feature = "mpi")]
mod engine;
#[cfg_attr(not(feature = "nccl"), path = "distributed/nccl_absent.rs")]
mod nccl;

use crossover::device::Selected;
use crossover::error::{Error, Result};
use crossover::ranks::Ranks;
use serde::Serialize;
use serde::de::DeserializeOwned;

#[cfg(feature = "mpi")]
pub use engine::{abort, join, leave, local_rank};

pub use choice::EngineChoice;

use choice::Engine;

/// How a process of several ends that failed.
pub enum Leaving {
    /// Another one says why: all have failed alike.
    Quietly,
    /// It says why for all.
    Speaking,
    /// It says why and ends the others, which wait for it.
    #[cfg(feature = "mpi")]
    Alone,
}

/// What launchers tell a process of its rank and of how many there are: Open MPI's; those of MPICH, Intel MPI and
/// `srun --mpi=pmi2`; and `srun --mpi=pmix`. Slurm's own names alone won't do: a batch script has them too.
const LAUNCHERS: [[&str; 2]; 3] = [
    ["OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"],
    ["PMI_RANK", "PMI_SIZE"],
    ["PMIX_RANK", "SLURM_NTASKS"],
];

/// This process's rank and their number, where a launcher started several.
fn launched() -> Option<(usize, usize)> {
    let number = |name: &str| std::env::var(name).ok()?.parse::<usize>().ok();
    LAUNCHERS
        .iter()
        .find_map(|[rank, count]| Some((number(rank)?, number(count)?)))
        .filter(|(_, count)| *count > 1)
}

/// How many processes a launcher has started together.
pub fn processes() -> usize {
    launched().map_or(1, |(_, count)| count)
}

/// Whether this process speaks to people before the others are reached: of several that were started together, the first does.
pub fn speaks() -> bool {
    launched().is_none_or(|(rank, _)| rank == 0)
}

/// Lets these ranks move what their devices hold, by the engine that `--engine` names; which, the device's description then
/// says too. All ranks must ask.
///
/// # Errors
/// When the ranks name different ones, or it can't be had.
pub fn connect(asked: EngineChoice, ranks: &Ranks, device: Selected) -> Result<Selected> {
    if asked == EngineChoice::Nccl {
        // Said to one process too, which has nobody to reach.
        ranks.agree(nccl::built())?;
    }
    let mut device = Selected {
        ranks: ranks.clone(),
        ..device
    };
    if ranks.count() == 1 {
        return Ok(device);
    }
    ranks.in_common(&[("engine", format!("{asked:?}"))])?;
    let places = told(ranks, &nccl::place(&device))?;
    let note = match choice::decide(asked, &places)? {
        Engine::Nccl(version) => {
            device.ranks = nccl::connect(&device.device, ranks)?;
            format!(", gradients by NCCL {version}")
        }
        Engine::Mpi(Some(why)) => format!(", gradients through the host: {why}"),
        Engine::Mpi(None) => String::new(),
    };
    device.description += &note;
    Ok(device)
}

/// What each rank tells, in their order.
fn told<T: Serialize + DeserializeOwned>(ranks: &Ranks, own: &T) -> Result<Vec<T>> {
    let garbled = |error| Error::work("ranks can't read what others tell").with_source(error);
    let own = serde_json::to_string(own).map_err(garbled)?;
    ranks
        .say(own)
        .iter()
        .map(|said| serde_json::from_str(said).map_err(garbled))
        .collect()
}

/// This process's number among those on its machine.
#[cfg(not(feature = "mpi"))]
pub fn local_rank() -> usize {
    0
}

/// Connects this process with the others that were started together with it.
///
/// # Errors
/// When there are others and this build can't reach them.
#[cfg(not(feature = "mpi"))]
pub fn join() -> Result<Ranks> {
    match launched() {
        None => Ok(Ranks::alone()),
        Some((_, count)) => Err(Error::input(format!(
            "{count} processes were started together, and this build of crossover can't connect them"
        ))
        .with_hint(
            "install MPI (`apt-get install libopenmpi-dev openmpi-bin libclang-dev`) and build with `cargo build --release \
             --features mpi`",
        )),
    }
}

/// Ends this process's part; `failed` if it could not do it.
#[cfg(not(feature = "mpi"))]
pub fn leave(_failed: bool) -> Leaving {
    if speaks() {
        Leaving::Speaking
    } else {
        Leaving::Quietly
    }
}

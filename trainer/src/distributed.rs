//! Several processes that train one model: who started them, and how they reach each other.
//!
//! `mpirun` or `srun` starts the same command once for each rank. The engine is the machine's MPI (feature `mpi`); a build
//! without it says so instead of training the same model several times.

#[cfg(feature = "mpi")]
mod engine;

#[cfg(feature = "mpi")]
pub use engine::{abort, join, leave};

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

/// Connects this process with the others that were started together with it.
///
/// # Errors
/// When there are others and this build can't reach them.
#[cfg(not(feature = "mpi"))]
pub fn join() -> crossover::error::Result<crossover::ranks::Ranks> {
    use crossover::error::Error;
    use crossover::ranks::Ranks;

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

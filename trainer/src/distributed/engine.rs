//! The engine: MPI, called by the one thread that a run lives on.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crossover::error::{Error, Result};
use crossover::ranks::{Exchange, Ranks};
use mpi::Threading;
use mpi::collective::SystemOperation;
use mpi::datatype::PartitionMut;
use mpi::environment::Universe;
use mpi::topology::SimpleCommunicator;
use mpi::traits::{Communicator, CommunicatorCollectives};

use super::{Leaving, launched, speaks};

/// Values of a part that one message moves: MPI counts with 32 bits, and every rank holds as many of each part.
const CHUNK: usize = 1 << 20;

/// How long a process that ends early waits for the others to end too.
const PATIENCE: Duration = Duration::from_secs(5);

/// MPI, from the moment this process has joined the others.
static UNIVERSE: Mutex<Option<Universe>> = Mutex::new(None);

/// Connects this process with the others that were started together with it.
///
/// # Errors
/// When MPI can't be called from a run's own thread.
pub fn join() -> Result<Ranks> {
    if launched().is_none() {
        return Ok(Ranks::alone());
    }
    let (universe, threading) = mpi::initialize_with_threading(Threading::Serialized)
        .ok_or_else(|| Error::work("MPI was started twice"))?;
    *UNIVERSE.lock().unwrap_or_else(PoisonError::into_inner) = Some(universe);
    if threading < Threading::Serialized {
        return Err(Error::input(
            "this MPI can be used from a program's first thread only, and runs have one of their own",
        )
        .with_hint("use an MPI built with support for threads, as Open MPI and MPICH are by default"));
    }
    Ok(Ranks::connected(Arc::new(World::joined())))
}

/// This process's number among those on its machine. All must ask.
pub fn local_rank() -> usize {
    match launched() {
        None => 0,
        Some(_) => SimpleCommunicator::world().split_shared(0).rank() as usize,
    }
}

/// Ends this process's part; `failed` if it could not do it.
pub fn leave(failed: bool) -> Leaving {
    let mut universe = UNIVERSE.lock().unwrap_or_else(PoisonError::into_inner);
    if universe.is_some() && failed && !all_end(SimpleCommunicator::world()) {
        return Leaving::Alone;
    }
    // Waits for the others.
    *universe = None;
    if speaks() {
        Leaving::Speaking
    } else {
        Leaving::Quietly
    }
}

/// Ends all processes at once.
pub fn abort(code: u8) -> ! {
    SimpleCommunicator::world().abort(code.into())
}

/// Whether the other processes end within some seconds too.
fn all_end(world: SimpleCommunicator) -> bool {
    let began = Instant::now();
    let mut waiting = world.immediate_barrier();
    while began.elapsed() < PATIENCE {
        match waiting.test() {
            Ok(_) => return true,
            Err(still) => waiting = still,
        }
        thread::sleep(Duration::from_millis(5));
    }
    // The request is never to be waited for: this process is about to end all others.
    std::mem::forget(waiting);
    false
}

/// All processes of the run. MPI itself is reached through the one communicator that every process has.
#[derive(Debug)]
pub(super) struct World {
    rank: usize,
    count: usize,
}

impl World {
    /// Once this process has joined the others.
    pub(super) fn joined() -> Self {
        let world = SimpleCommunicator::world();
        Self {
            rank: world.rank() as usize,
            count: world.size() as usize,
        }
    }
}

impl Exchange for World {
    fn rank(&self) -> usize {
        self.rank
    }

    fn count(&self) -> usize {
        self.count
    }

    fn sum(&self, values: &mut [f32]) {
        for chunk in values.chunks_mut(CHUNK) {
            let own = chunk.to_vec();
            SimpleCommunicator::world().all_reduce_into(&own[..], chunk, SystemOperation::sum());
        }
    }

    fn sum_part(&self, values: &[f32]) -> Vec<f32> {
        let part = values.len() / self.count;
        let mut sums = vec![0.0; part];
        for (number, chunk) in sums.chunks_mut(CHUNK).enumerate() {
            let start = number * CHUNK;
            let asked: Vec<f32> = (0..self.count)
                .flat_map(|rank| &values[rank * part + start..][..chunk.len()])
                .copied()
                .collect();
            SimpleCommunicator::world().reduce_scatter_block_into(
                &asked[..],
                chunk,
                SystemOperation::sum(),
            );
        }
        sums
    }

    fn join(&self, part: &[f32]) -> Vec<f32> {
        let mut whole = vec![0.0; part.len() * self.count];
        for (number, chunk) in part.chunks(CHUNK).enumerate() {
            let mut told = vec![0.0; chunk.len() * self.count];
            SimpleCommunicator::world().all_gather_into(chunk, &mut told[..]);
            for (rank, told) in told.chunks_exact(chunk.len()).enumerate() {
                let start = rank * part.len() + number * CHUNK;
                whole[start..start + chunk.len()].copy_from_slice(told);
            }
        }
        whole
    }

    fn tell(&self, said: &[u8]) -> Vec<Vec<u8>> {
        // Never nothing: Open MPI takes the address of an empty list for a request to work in place.
        let said = [&[0], said].concat();
        let mut lengths = vec![0_i32; self.count];
        SimpleCommunicator::world().all_gather_into(&(said.len() as i32), &mut lengths[..]);
        let starts: Vec<i32> = lengths
            .iter()
            .scan(0, |start, length| {
                let own = *start;
                *start += length;
                Some(own)
            })
            .collect();
        let mut all = vec![0_u8; lengths.iter().sum::<i32>() as usize];
        let mut places = PartitionMut::new(&mut all[..], lengths.clone(), &starts[..]);
        SimpleCommunicator::world().all_gather_varcount_into(&said[..], &mut places);
        starts
            .iter()
            .zip(&lengths)
            .map(|(start, length)| all[*start as usize..][1..*length as usize].to_vec())
            .collect()
    }
}

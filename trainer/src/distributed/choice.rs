//! Which engine moves what the ranks' devices hold: decided by every rank alike, from what all of them have told.

use std::fmt;

use crossover::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// What `--engine` asks for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EngineChoice {
    /// NCCL where it can be had.
    #[default]
    Auto,
    /// MPI, through the host.
    Mpi,
    /// NCCL, between CUDA devices.
    Nccl,
}

/// What it comes to.
#[derive(Debug, PartialEq, Eq)]
pub enum Engine {
    /// NCCL of this version.
    Nccl(Version),
    /// MPI; and why not NCCL, where somebody may expect it.
    Mpi(Option<String>),
}

/// NCCL's version: major, minor, patch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Version(pub [u32; 3]);

/// What a rank has to offer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Place {
    /// Its machine.
    pub host: String,
    /// What tells its CUDA device from all others; `None` if it computes on another kind of device.
    pub gpu: Option<String>,
    /// The NCCL that it loads, or why it loads none.
    pub nccl: Result<Version, String>,
}

/// The oldest NCCL whose interface the bindings know.
const OLDEST: Version = Version([2, 22, 0]);

/// Where a newer or a first one comes from.
const GET_NCCL: &str = "`pip install --target DIR nvidia-nccl-cu13` (`-cu12` for drivers older than 580), then in \
     `DIR/nvidia/nccl/lib` `ln -s libnccl.so.2 libnccl.so`, and that folder in `LD_LIBRARY_PATH`; or `--engine mpi`";

impl Version {
    /// From NCCL's own number: 22703 is 2.27.3, and before 2.9 it was 2804 for 2.8.4.
    #[cfg_attr(
        not(feature = "nccl"),
        allow(dead_code, reason = "asked of NCCL alone")
    )]
    pub fn of_code(code: u32) -> Self {
        let major = if code < 10_000 { 1_000 } else { 10_000 };
        Self([code / major, code % major / 100, code % 100])
    }
}

impl fmt::Display for Version {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [major, minor, patch] = self.0;
        write!(formatter, "{major}.{minor}.{patch}")
    }
}

/// The engine for ranks that are in these places.
///
/// # Errors
/// When NCCL was asked for and can't connect them.
pub fn decide(asked: EngineChoice, places: &[Place]) -> Result<Engine> {
    match (asked, usable(places)) {
        (EngineChoice::Mpi, _) => Ok(Engine::Mpi(None)),
        (_, Ok(version)) => Ok(Engine::Nccl(version)),
        (EngineChoice::Nccl, Err(obstacle)) => Err(Error::input(format!(
            "NCCL can't connect these processes: {}",
            obstacle.what
        ))
        .with_hint(obstacle.remedy)),
        (EngineChoice::Auto, Err(obstacle)) => {
            // On processors nobody expects it.
            let is_expected = places.iter().any(|place| place.gpu.is_some());
            Ok(Engine::Mpi(is_expected.then_some(obstacle.what)))
        }
    }
}

/// Why NCCL can't connect all ranks, and what to do.
struct Obstacle {
    what: String,
    remedy: &'static str,
}

/// The NCCL that all ranks can use.
fn usable(places: &[Place]) -> Result<Version, Obstacle> {
    let refuse = |what, remedy| Err(Obstacle { what, remedy });
    let mut common = None;
    for (rank, place) in places.iter().enumerate() {
        let host = &place.host;
        let Some(gpu) = &place.gpu else {
            return refuse(
                format!("rank {rank} on {host} computes on no CUDA device"),
                "`--device cuda` on all of them; or `--engine mpi`",
            );
        };
        let is_same = |other: &Place| other.gpu.as_ref() == Some(gpu);
        if let Some(other) = places[..rank].iter().position(is_same) {
            return refuse(
                format!("ranks {other} and {rank} share a GPU on {host}, {gpu}"),
                "start no more processes on a machine than it has GPUs; or `--engine mpi`",
            );
        }
        let version = match &place.nccl {
            Ok(version) => *version,
            Err(why) => return refuse(format!("rank {rank} on {host} {why}"), GET_NCCL),
        };
        if version < OLDEST {
            return refuse(
                format!("rank {rank} on {host} has NCCL {version}, older than {OLDEST}"),
                GET_NCCL,
            );
        }
        let first = *common.get_or_insert(version);
        if first != version {
            return refuse(
                format!("rank 0 has NCCL {first}, rank {rank} on {host} has NCCL {version}"),
                GET_NCCL,
            );
        }
    }
    common.ok_or_else(|| Obstacle {
        what: "there are none".to_owned(),
        remedy: "start several",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEW: Version = Version([2, 27, 3]);

    fn place(gpu: &str) -> Place {
        Place {
            host: "node".to_owned(),
            gpu: Some(gpu.to_owned()),
            nccl: Ok(NEW),
        }
    }

    #[test]
    fn nccl_is_taken_where_each_rank_has_a_gpu_of_its_own() {
        let places = [place("GPU-1"), place("GPU-2")];
        for asked in [EngineChoice::Auto, EngineChoice::Nccl] {
            assert_eq!(decide(asked, &places).expect("it can"), Engine::Nccl(NEW));
        }
        let mpi = decide(EngineChoice::Mpi, &places).expect("it always can");
        assert_eq!(mpi, Engine::Mpi(None));
    }

    #[test]
    fn what_keeps_nccl_away_is_refused_with_a_remedy_if_it_was_asked_for() {
        let on_a_processor = Place {
            gpu: None,
            nccl: Err("has no CUDA device".to_owned()),
            ..place("")
        };
        let with = |nccl| Place {
            nccl,
            ..place("GPU-2")
        };
        for (second, what, remedy) in [
            (
                on_a_processor.clone(),
                "rank 1 on node computes on no CUDA device",
                "--device cuda",
            ),
            (
                place("GPU-1"),
                "ranks 0 and 1 share a GPU on node, GPU-1",
                "no more processes",
            ),
            (
                with(Err("loads no `libnccl.so`".to_owned())),
                "rank 1 on node loads no `libnccl.so`",
                "nvidia-nccl-cu13",
            ),
            (
                with(Ok(Version([2, 21, 5]))),
                "NCCL 2.21.5, older than 2.22.0",
                "nvidia-nccl-cu13",
            ),
            (
                with(Ok(Version([2, 28, 0]))),
                "rank 0 has NCCL 2.27.3, rank 1 on node has NCCL 2.28.0",
                "nvidia-nccl-cu13",
            ),
        ] {
            let places = [place("GPU-1"), second];
            let refused = decide(EngineChoice::Nccl, &places).expect_err("it can't");
            assert!(refused.to_string().contains(what), "{refused}");
            assert_eq!(refused.kind(), crossover::error::Kind::Input);
            let hint = refused.hint().unwrap_or_default();
            assert!(
                hint.contains(remedy) && hint.contains("--engine mpi"),
                "{hint}"
            );
            match decide(EngineChoice::Auto, &places).expect("by MPI") {
                Engine::Mpi(Some(why)) => assert!(why.contains(what), "{why}"),
                other => panic!("{other:?}"),
            }
        }
        // Processors alone have nothing to say of GPUs.
        let processors = [on_a_processor.clone(), on_a_processor];
        let engine = decide(EngineChoice::Auto, &processors).expect("by MPI");
        assert_eq!(engine, Engine::Mpi(None));
    }

    #[test]
    fn versions_are_read_from_nccl_s_numbers() {
        for (code, version) in [(22_703, "2.27.3"), (23_004, "2.30.4"), (2_804, "2.8.4")] {
            assert_eq!(Version::of_code(code).to_string(), version);
        }
        assert!(Version::of_code(2_804) < OLDEST && OLDEST < Version::of_code(23_004));
    }
}

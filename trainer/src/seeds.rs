//! The folder of several seeds of one run, a run each: `seeds.json` says which.

use std::fs;
use std::path::{Path, PathBuf};

use crossover::error::{Error, Result};
use crossover_report::seeds::run_name;
use serde::{Deserialize, Serialize};

/// The file that says that a folder holds several runs.
pub const MARK: &str = "seeds.json";
/// The version of [`MARK`] that this program writes and reads.
const VERSION: u32 = 1;

/// Which seeds a folder holds, a run each: the content of `seeds.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Series {
    version: u32,
    /// The seeds, in the order they run.
    pub seeds: Vec<u64>,
    /// Which command runs them: `race` or `train`.
    pub command: String,
}

impl Series {
    /// The `count` seeds from `first` on.
    ///
    /// # Errors
    /// When there are no numbers left for them.
    pub fn new(first: u64, count: u64, command: &str) -> Result<Self> {
        let end = first.checked_add(count).ok_or_else(|| {
            Error::input(format!("there are no {count} seeds from {first} on"))
                .with_hint("give a lower `--seed`")
        })?;
        Ok(Self {
            version: VERSION,
            seeds: (first..end).collect(),
            command: command.to_owned(),
        })
    }

    /// What a folder says of its seeds; `None` when it holds a single run, or nothing.
    ///
    /// # Errors
    /// When its `seeds.json` can't be read or is another version's.
    pub fn read(folder: &Path) -> Result<Option<Self>> {
        let path = folder.join(MARK);
        let refused = |what: &str| {
            Error::input(format!("`{}` {what}", path.display())).with_hint(
                "each `seed-N` in that folder is a run of its own: resume or report those",
            )
        };
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if is_missing(&error) => return Ok(None),
            Err(error) => return Err(refused("can't be read").with_source(error)),
        };
        let series: Self = serde_json::from_str(&text)
            .map_err(|error| refused("is damaged").with_source(error))?;
        if series.version != VERSION {
            return Err(refused(&format!(
                "has version {}, and this program knows {VERSION}",
                series.version
            )));
        }
        if series.seeds.is_empty() {
            return Err(refused("names no seed"));
        }
        Ok(Some(series))
    }

    /// The file's text.
    ///
    /// # Errors
    /// Never: these are numbers and a word.
    pub fn to_json(&self) -> Result<String> {
        serde_json::to_string(self)
            .map(|text| text + "\n")
            .map_err(|error| Error::work(format!("can't write `{MARK}`")).with_source(error))
    }
}

fn is_missing(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory
    )
}

/// Where a seed's run is, in the folder of them all.
pub fn run_folder(folder: &Path, seed: u64) -> PathBuf {
    folder.join(run_name(seed))
}

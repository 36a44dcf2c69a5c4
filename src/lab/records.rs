//! The files of a run, as one of its ranks sees them: the first writes them, the others only read.

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::platform::{self, Folder};
use crate::ranks::Ranks;

/// A run's folder, locked by the first rank.
pub(super) struct Records {
    folder: Arc<Folder>,
    ours: bool,
}

impl Records {
    /// Makes a new folder, or takes over an existing one when `force` is set.
    pub fn create(path: &str, force: bool, ranks: &Ranks) -> Result<Self> {
        Self::of(path, ranks, |path| Folder::create(path, force))
    }

    /// Opens the folder of an earlier run.
    pub fn open(path: &str, ranks: &Ranks) -> Result<Self> {
        Self::of(path, ranks, Folder::open)
    }

    fn of(path: &str, ranks: &Ranks, take: impl Fn(&str) -> Result<Folder>) -> Result<Self> {
        let ours = ranks.is_first();
        let folder = match ours {
            true => take(path)?,
            false => Folder::of_another(path),
        };
        Ok(Self {
            folder: Arc::new(folder),
            ours,
        })
    }

    /// Refuses a folder that some rank can't write its part of a state in, before there is anything to lose; it is gone again if
    /// nothing else is in it.
    pub fn can_be_shared(&self, ranks: &Ranks) -> Result<()> {
        let name = format!("rank-{}.check", ranks.rank());
        let write = || {
            self.folder.write(&name, [])?;
            self.folder.remove(&name)
        };
        let written = write().map_err(|error| {
            Error::input(error.to_string()).with_hint(
                "each rank writes its part of a checkpoint: give a folder that all can write in",
            )
        });
        let agreed = ranks.agree(written);
        if agreed.is_err() && self.ours {
            self.folder.remove_if_empty()?;
        }
        agreed
    }

    /// The folder as a person would type it.
    pub fn name(&self) -> String {
        self.folder.name()
    }

    /// The folder, for what another thread writes.
    pub fn folder(&self) -> Arc<Folder> {
        self.folder.clone()
    }

    /// Whether this rank writes.
    pub fn are_ours(&self) -> bool {
        self.ours
    }

    /// Reads a file, `None` if it isn't there.
    pub fn read(&self, name: &str) -> Result<Option<Vec<u8>>> {
        match self.ours {
            true => self.folder.read(name),
            // What is wrong with it, the first rank finds out too.
            false => Ok(platform::read_file(&format!("{}/{name}", self.name())).ok()),
        }
    }

    /// Writes a file as a whole, if this rank writes.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        match self.ours {
            true => self.folder.write(name, [bytes]),
            false => Ok(()),
        }
    }

    /// Adds a line to a file, if this rank writes.
    pub fn append_line(&self, name: &str, line: &str) -> Result<()> {
        match self.ours {
            true => self.folder.append_line(name, line),
            false => Ok(()),
        }
    }

    /// Reads a file that a run can't go on without.
    pub fn need(&self, name: &str, hint: &str) -> Result<Vec<u8>> {
        self.read(name)?.ok_or_else(|| {
            Error::input(format!("`{}/{name}` is missing", self.name())).with_hint(hint)
        })
    }
}

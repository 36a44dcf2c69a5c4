//! The files of a run, as one of its ranks sees them: the first writes them, the others only read.

use crate::error::{Error, Result};
use crate::platform::{self, Folder};
use crate::ranks::Ranks;

/// A run's folder, locked by the first rank.
pub(super) struct Records {
    name: String,
    folder: Option<Folder>,
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
        let folder = ranks.is_first().then(|| take(path)).transpose()?;
        Ok(Self {
            name: folder
                .as_ref()
                .map_or_else(|| path.to_owned(), Folder::name),
            folder,
        })
    }

    /// The folder as a person would type it.
    pub fn name(&self) -> String {
        self.name.clone()
    }

    /// Whether this rank writes.
    pub fn are_ours(&self) -> bool {
        self.folder.is_some()
    }

    /// Reads a file, `None` if it isn't there.
    pub fn read(&self, name: &str) -> Result<Option<Vec<u8>>> {
        match &self.folder {
            Some(folder) => folder.read(name),
            // What is wrong with it, the first rank finds out too.
            None => Ok(platform::read_file(&format!("{}/{name}", self.name)).ok()),
        }
    }

    /// Writes a file as a whole, if this rank writes.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        match &self.folder {
            Some(folder) => folder.write(name, bytes),
            None => Ok(()),
        }
    }

    /// Adds a line to a file, if this rank writes.
    pub fn append_line(&self, name: &str, line: &str) -> Result<()> {
        match &self.folder {
            Some(folder) => folder.append_line(name, line),
            None => Ok(()),
        }
    }

    /// Reads a file that a run can't go on without.
    pub fn need(&self, name: &str, hint: &str) -> Result<Vec<u8>> {
        self.read(name)?.ok_or_else(|| {
            Error::input(format!("`{}/{name}` is missing", self.name)).with_hint(hint)
        })
    }
}

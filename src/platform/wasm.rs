//! The browser's half of the platform: one thread, no files of its own.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashSet};
use std::future::Future;
use std::io;
use std::ops::Deref;
use std::path::PathBuf;

use crate::error::{Error, Result};

/// A page has no file system: its corpora arrive as text.
///
/// # Errors
/// Always.
pub fn read_file(path: &str) -> Result<Vec<u8>> {
    Err(no_files(path))
}

fn no_files(path: &str) -> Error {
    Error::input(format!("a browser can't open `{path}`")).with_hint("drop or paste the text")
}

/// A file of a source: a page finds none.
#[derive(Debug, Clone)]
pub struct SourceFile {
    /// The path as a person would type it.
    pub name: String,
    /// Whether it was found in a folder rather than named itself.
    pub in_folder: bool,
}

impl SourceFile {
    /// Opens the file to read it.
    ///
    /// # Errors
    /// Always.
    pub fn open(&self) -> io::Result<io::Empty> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// What [`list_files`] would find.
#[derive(Debug, Default)]
pub struct Listing {
    /// The files.
    pub files: Vec<SourceFile>,
    /// What can't be looked at, each with the reason.
    pub unreadable: Vec<(String, String)>,
    /// How many files were seen before.
    pub again: usize,
}

/// A page has no folders.
///
/// # Errors
/// Always.
pub fn list_files(source: &str, _finished: &str, _seen: &mut HashSet<PathBuf>) -> Result<Listing> {
    Err(no_files(source))
}

/// The content of a file: in memory.
#[derive(Debug)]
pub struct FileBytes(Vec<u8>);

impl FileBytes {
    /// A page has no files.
    ///
    /// # Errors
    /// Always.
    pub fn open(path: &str) -> Result<Self> {
        Err(no_files(path))
    }
}

impl Deref for FileBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl From<Vec<u8>> for FileBytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

/// A file that is written from its beginning to its end: a page can't.
#[derive(Debug)]
pub struct FileWriter;

impl FileWriter {
    /// Begins a file.
    ///
    /// # Errors
    /// Always.
    pub fn create(path: &str) -> Result<Self> {
        Err(no_files(path))
    }

    /// Adds bytes.
    ///
    /// # Errors
    /// Never; natively it can fail.
    pub fn write(&mut self, _bytes: &[u8]) -> Result<()> {
        Ok(())
    }

    /// Ends the file.
    ///
    /// # Errors
    /// Never; natively it can fail.
    pub fn finish(self) -> Result<()> {
        Ok(())
    }
}

/// A page has no files.
///
/// # Errors
/// Always.
pub fn write_file(path: &str, _bytes: &[u8]) -> Result<()> {
    Err(no_files(path))
}

/// A page has no folders.
///
/// # Errors
/// Always.
pub fn make_folder(path: &str, _leftover: impl Fn(&str) -> bool) -> Result<()> {
    Err(no_files(path))
}

/// Runs a task on this worker's event loop.
pub fn spawn<F, Task>(_name: &str, task: F)
where
    F: FnOnce() -> Task + 'static,
    Task: Future<Output = ()> + 'static,
{
    wasm_bindgen_futures::spawn_local(async move { task().await });
}

/// Runs a task on each part, one after the other: a page has one thread.
pub fn in_parallel<Part, Output>(parts: Vec<Part>, task: impl Fn(Part) -> Output) -> Vec<Output> {
    parts.into_iter().map(task).collect()
}

/// The processor as far as a page may know it, and its one thread.
pub fn processor() -> (String, usize) {
    ("browser".to_owned(), threads())
}

/// One: wasm threads would need headers that static hosts don't send.
pub fn threads() -> usize {
    1
}

/// A page doesn't learn the machine's memory; wasm itself ends at 4 GiB.
pub fn memory_bytes() -> Option<u64> {
    Some(4 << 30)
}

/// A page can't see its peak memory.
pub fn peak_memory_bytes() -> Option<u64> {
    None
}

/// Where a run keeps its files: a map in this worker's memory.
#[derive(Debug, Default)]
pub struct Folder {
    name: String,
    files: RefCell<BTreeMap<String, Vec<u8>>>,
}

impl Folder {
    /// An empty folder.
    ///
    /// # Errors
    /// Never; natively it can fail.
    pub fn create(name: &str, _force: bool) -> Result<Self> {
        Ok(Self {
            name: name.to_owned(),
            files: RefCell::default(),
        })
    }

    /// Nothing outlives the page's worker, so there is no earlier folder.
    ///
    /// # Errors
    /// Always.
    pub fn open(name: &str) -> Result<Self> {
        Err(Error::input(format!("there is no saved run `{name}`"))
            .with_hint("import its checkpoint"))
    }

    /// The folder's name.
    pub fn name(&self) -> String {
        self.name.clone()
    }

    /// Reads a file, `None` if it isn't there.
    ///
    /// # Errors
    /// Never; natively it can fail.
    pub fn read(&self, name: &str) -> Result<Option<Vec<u8>>> {
        Ok(self.files.borrow().get(name).cloned())
    }

    /// Writes a file as a whole.
    ///
    /// # Errors
    /// Never; natively it can fail.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        self.files
            .borrow_mut()
            .insert(name.to_owned(), bytes.to_owned());
        Ok(())
    }

    /// Adds one line to a file.
    ///
    /// # Errors
    /// Never; natively it can fail.
    pub fn append_line(&self, name: &str, line: &str) -> Result<()> {
        let mut files = self.files.borrow_mut();
        let file = files.entry(name.to_owned()).or_default();
        file.extend_from_slice(line.as_bytes());
        file.push(b'\n');
        Ok(())
    }
}

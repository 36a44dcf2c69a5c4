//! The browser's half of the platform: one thread, no files of its own.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::Future;

use crate::error::{Error, Result};

/// A page has no file system: its corpora arrive as text.
///
/// # Errors
/// Always.
pub fn read_file(path: &str) -> Result<Vec<u8>> {
    Err(Error::input(format!("a browser can't open `{path}`")).with_hint("drop or paste the text"))
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

//! The browser's half of the platform: one thread, and files in memory.
//!
//! Whoever owns the worker puts files there that should be found ([`restore_file`]), and learns which changed
//! ([`take_changes`]), so that they can be kept where the browser keeps things.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::future::Future;
use std::io::{self, Cursor, Read};
use std::ops::Deref;
use std::path::PathBuf;
use std::task::Waker;
use std::time::Duration;

use crate::error::{Error, Result};

#[derive(Default)]
struct Files {
    contents: BTreeMap<String, Vec<u8>>,
    changed: BTreeSet<String>,
}

impl Files {
    fn put(&mut self, path: &str, content: Vec<u8>) {
        self.contents.insert(path.to_owned(), content);
        self.changed.insert(path.to_owned());
    }

    fn remove(&mut self, path: &str) -> Option<Vec<u8>> {
        let content = self.contents.remove(path)?;
        self.changed.insert(path.to_owned());
        Some(content)
    }

    /// The paths in a folder, as they are inside it, with the size of each.
    fn inside(&self, folder: &str) -> Vec<(String, u64)> {
        let beginning = format!("{folder}/");
        let behind = self.contents.range(beginning.clone()..);
        behind
            .map_while(|(path, content)| {
                let inside = path.strip_prefix(&beginning)?;
                Some((inside.to_owned(), content.len() as u64))
            })
            .collect()
    }
}

thread_local! {
    static FILES: RefCell<Files> = RefCell::default();
    static SCHEDULE: Cell<fn(Waker)> = const { Cell::new(Waker::wake) };
}

/// Puts a file there as it was kept before.
pub fn restore_file(path: &str, content: Vec<u8>) {
    FILES.with_borrow_mut(|files| files.contents.insert(path.to_owned(), content));
}

/// Each file that changed since the last call, with what is in it now; nothing where it was removed.
pub fn take_changes() -> Vec<(String, Option<Vec<u8>>)> {
    FILES.with_borrow_mut(|files| {
        let changed = std::mem::take(&mut files.changed);
        let with_content = |path: String| {
            let content = files.contents.get(&path).cloned();
            (path, content)
        };
        changed.into_iter().map(with_content).collect()
    })
}

/// Says how a task that let others run is woken again; until then it is at once.
pub fn schedule_by(schedule: fn(Waker)) {
    SCHEDULE.set(schedule);
}

/// Wakes a task that let others run.
pub(super) fn wake_soon(waker: Waker) {
    SCHEDULE.get()(waker);
}

/// Reads a whole file.
///
/// # Errors
/// Names the path when it is missing.
pub fn read_file(path: &str) -> Result<Vec<u8>> {
    FILES.with_borrow(|files| {
        files
            .contents
            .get(path)
            .cloned()
            .ok_or_else(|| missing(path))
    })
}

fn missing(path: &str) -> Error {
    Error::input(format!("there is no file `{path}`")).with_hint("drop or paste the text")
}

/// A file that a source names, or that lies in a folder that it names.
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
    /// When it is gone.
    pub fn open(&self) -> io::Result<Cursor<Vec<u8>>> {
        read_file(&self.name)
            .map(Cursor::new)
            .map_err(io::Error::other)
    }
}

/// What [`list_files`] finds.
#[derive(Debug, Default)]
pub struct Listing {
    /// The files, in order.
    pub files: Vec<SourceFile>,
    /// What can't be looked at, each with the reason.
    pub unreadable: Vec<(String, String)>,
    /// How many files were seen before.
    pub again: usize,
}

/// The file that a path names, or those of a folder, sorted by path. What is in `seen` is left out, and what is found is
/// added to it.
///
/// # Errors
/// Names the path that is neither.
pub fn list_files(source: &str, _finished: &str, seen: &mut HashSet<PathBuf>) -> Result<Listing> {
    let mut listing = Listing::default();
    let inside = FILES.with_borrow(|files| match files.contents.contains_key(source) {
        true => vec![source.to_owned()],
        false => {
            let inside = files.inside(source).into_iter();
            inside.map(|(path, _)| format!("{source}/{path}")).collect()
        }
    });
    if inside.is_empty() {
        return Err(missing(source));
    }
    for name in inside {
        if seen.insert(PathBuf::from(&name)) {
            listing.files.push(SourceFile {
                in_folder: name != source,
                name,
            });
        } else {
            listing.again += 1;
        }
    }
    Ok(listing)
}

/// The content of a file.
#[derive(Debug)]
pub struct FileBytes(Vec<u8>);

impl FileBytes {
    /// Opens a file.
    ///
    /// # Errors
    /// When it is missing.
    pub fn open(path: &str) -> Result<Self> {
        read_file(path).map(Self)
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

/// A file that is written from its beginning to its end.
#[derive(Debug)]
pub struct FileWriter {
    path: String,
    content: Vec<u8>,
}

impl FileWriter {
    /// Begins a file.
    ///
    /// # Errors
    /// Never; natively it can fail.
    pub fn create(path: &str) -> Result<Self> {
        Ok(Self {
            path: path.to_owned(),
            content: Vec::new(),
        })
    }

    /// Goes on with a file behind its first `kept` bytes; what follows them is dropped.
    ///
    /// # Errors
    /// When it isn't there, or has fewer.
    pub fn go_on(path: &str, kept: u64) -> Result<Self> {
        let mut content = read_file(path)?;
        match usize::try_from(kept) {
            Ok(kept) if kept <= content.len() => content.truncate(kept),
            _ => return Err(Error::work(format!("`{path}` is shorter than it was"))),
        }
        Ok(Self {
            path: path.to_owned(),
            content,
        })
    }

    /// Sees to it that what was written can be read.
    ///
    /// # Errors
    /// Never; natively it can fail.
    pub fn keep(&mut self) -> Result<()> {
        FILES.with_borrow_mut(|files| files.put(&self.path, self.content.clone()));
        Ok(())
    }

    /// Adds bytes.
    ///
    /// # Errors
    /// Never; natively it can fail.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.content.extend_from_slice(bytes);
        Ok(())
    }

    /// Ends the file.
    ///
    /// # Errors
    /// Never; natively it can fail.
    pub fn finish(self) -> Result<()> {
        FILES.with_borrow_mut(|files| files.put(&self.path, self.content));
        Ok(())
    }
}

/// Packed text is for native programs.
///
/// # Errors
/// Always.
pub fn unpack_zstd(_packed: impl Read) -> io::Result<impl Read> {
    let unpacked: io::Result<io::Empty> = Err(natively("files packed by zstd"));
    unpacked
}

/// Tables are for native programs.
///
/// # Errors
/// Always.
pub fn table_texts(
    _file: &SourceFile,
    _column: &str,
) -> io::Result<impl Iterator<Item = io::Result<Vec<u8>>> + use<>> {
    let texts: io::Result<std::iter::Empty<io::Result<Vec<u8>>>> = Err(natively("parquet tables"));
    texts
}

fn natively(what: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::Unsupported,
        format!("{what} are read by the command line, not in a browser"),
    )
}

/// Removes a file.
///
/// # Errors
/// Never; natively it can fail.
pub fn remove_file(path: &str) -> Result<()> {
    FILES.with_borrow_mut(|files| files.remove(path));
    Ok(())
}

/// Writes a file as a whole, whose bytes may lie in several places.
///
/// # Errors
/// Never; natively it can fail.
pub fn write_file<'a>(path: &str, parts: impl IntoIterator<Item = &'a [u8]>) -> Result<()> {
    let content = parts.into_iter().collect::<Vec<_>>().concat();
    FILES.with_borrow_mut(|files| files.put(path, content));
    Ok(())
}

/// Folders are there as soon as something is in them.
///
/// # Errors
/// When something is in the way.
pub fn make_folder(path: &str, leftover: impl Fn(&str) -> bool) -> Result<()> {
    FILES.with_borrow_mut(|files| {
        let inside = files.inside(path);
        if inside.iter().any(|(name, _)| !leftover(name)) {
            return Err(Error::input(format!("`{path}` already holds files")));
        }
        for (name, _) in inside {
            files.remove(&format!("{path}/{name}"));
        }
        Ok(())
    })
}

/// Whether a path is a folder.
pub fn is_folder(path: &str) -> bool {
    FILES.with_borrow(|files| !files.inside(path).is_empty())
}

/// The folders in a folder, last in order first.
///
/// # Errors
/// Never; natively it can fail.
pub fn folders(path: &str) -> Result<Vec<String>> {
    let inside = FILES.with_borrow(|files| files.inside(path));
    let names = inside.iter().filter_map(|(name, _)| name.split_once('/'));
    let found: BTreeSet<String> = names.map(|(name, _)| format!("{path}/{name}")).collect();
    Ok(found.into_iter().rev().collect())
}

/// The files in a folder and in the folders in it, by their paths inside it, with their sizes in bytes; sorted.
///
/// # Errors
/// Never; natively it can fail.
pub fn folder_files(path: &str) -> Result<Vec<(String, u64)>> {
    Ok(FILES.with_borrow(|files| files.inside(path)))
}

/// Gives a run's folder another path.
///
/// # Errors
/// When it isn't there, or the new path is taken.
pub fn rename_folder(from: &str, to: &str) -> Result<()> {
    FILES.with_borrow_mut(|files| {
        let inside = files.inside(from);
        if inside.is_empty() {
            return Err(Error::input(format!("there is no run directory `{from}`")));
        }
        if !files.inside(to).is_empty() {
            return Err(
                Error::input(format!("there is a `{to}` already")).with_hint("choose another name")
            );
        }
        for (name, _) in inside {
            if let Some(content) = files.remove(&format!("{from}/{name}")) {
                files.put(&format!("{to}/{name}"), content);
            }
        }
        Ok(())
    })
}

/// Removes a run's folder.
///
/// # Errors
/// When it isn't there.
pub fn remove_folder(path: &str) -> Result<()> {
    FILES.with_borrow_mut(|files| {
        let inside = files.inside(path);
        if inside.is_empty() {
            return Err(Error::input(format!("there is no run directory `{path}`")));
        }
        for (name, _) in inside {
            files.remove(&format!("{path}/{name}"));
        }
        Ok(())
    })
}

/// Runs a task on this worker's event loop.
pub fn spawn<F, Task>(_name: &str, task: F)
where
    F: FnOnce() -> Task + 'static,
    Task: Future<Output = ()> + 'static,
{
    wasm_bindgen_futures::spawn_local(async move { task().await });
}

/// Work that is done already: a worker has one thread.
#[derive(Debug)]
pub struct Beside<Output>(Output);

impl<Output> Beside<Output> {
    /// Does it.
    pub fn begin(_name: &str, work: impl FnOnce() -> Output) -> Self {
        Self(work())
    }

    /// Whether nobody would have to wait for it: always.
    pub fn is_done(&self) -> bool {
        true
    }

    /// What came of it.
    ///
    /// # Errors
    /// Never; natively it can fail.
    pub fn wait(self) -> Result<Output> {
        Ok(self.0)
    }
}

/// How much the processor computes before others may run: about a tenth of a second with SIMD.
pub const TURN_FLOPS: Option<f64> = Some(4e8);

/// How long a program runs before its speed says something: a browser runs loops slowly until it has found which of them are
/// worth compiling well, and changes them only between two calls.
pub const WARM_UP: Duration = Duration::from_secs(2);

/// Tokens that are measured at once: few enough to hear in between that somebody wants to pause.
pub const TOKENS_AT_ONCE: usize = 1_024;

/// The processor as far as a page may know it, and its one thread.
pub fn processor() -> (String, usize) {
    ("browser".to_owned(), threads())
}

/// One: wasm threads would need headers that static hosts don't send.
pub fn threads() -> usize {
    1
}

/// A page doesn't learn the machine's name.
pub fn host() -> String {
    "browser".to_owned()
}

/// A page doesn't learn the machine's memory; wasm itself ends at 4 GiB.
pub fn memory_bytes() -> Option<u64> {
    Some(4 << 30)
}

/// A page can't see its peak memory.
pub fn peak_memory_bytes() -> Option<u64> {
    None
}

/// Where a run keeps its files.
#[derive(Debug)]
pub struct Folder {
    path: String,
}

impl Folder {
    /// Makes a new folder, or takes over an existing one when `force` is set: what is in it is removed.
    ///
    /// # Errors
    /// When it already holds something and `force` is not set.
    pub fn create(path: &str, force: bool) -> Result<Self> {
        let folder = Self {
            path: path.to_owned(),
        };
        if FILES.with_borrow(|files| files.inside(path).is_empty()) {
            return Ok(folder);
        }
        if !force {
            return Err(Error::input(format!("`{path}` already holds files"))
                .with_hint("give the run another name"));
        }
        remove_folder(path)?;
        Ok(folder)
    }

    /// Opens the folder of an earlier run.
    ///
    /// # Errors
    /// When there is none.
    pub fn open(path: &str) -> Result<Self> {
        if FILES.with_borrow(|files| files.inside(path).is_empty()) {
            return Err(Error::input(format!("there is no run directory `{path}`"))
                .with_hint("import its checkpoint"));
        }
        Ok(Self {
            path: path.to_owned(),
        })
    }

    /// The folder of a run that is shared with others; natively one of them has locked it.
    pub fn of_another(path: &str) -> Self {
        Self {
            path: path.to_owned(),
        }
    }

    /// The folder's path.
    pub fn name(&self) -> String {
        self.path.clone()
    }

    fn place(&self, name: &str) -> String {
        format!("{}/{name}", self.path)
    }

    /// Reads a file, `None` if it isn't there.
    ///
    /// # Errors
    /// Never; natively it can fail.
    pub fn read(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let path = self.place(name);
        Ok(FILES.with_borrow(|files| files.contents.get(&path).cloned()))
    }

    /// Writes a file as a whole, as [`write_file`] does.
    ///
    /// # Errors
    /// Never; natively it can fail.
    pub fn write<'a>(&self, name: &str, parts: impl IntoIterator<Item = &'a [u8]>) -> Result<()> {
        write_file(&self.place(name), parts)
    }

    /// Folders are there as long as something is in them.
    ///
    /// # Errors
    /// Never; natively it can fail.
    pub fn remove_if_empty(&self) -> Result<()> {
        Ok(())
    }

    /// Removes a file.
    ///
    /// # Errors
    /// Never; natively it can fail.
    pub fn remove(&self, name: &str) -> Result<()> {
        remove_file(&self.place(name))
    }

    /// Adds one line to a file.
    ///
    /// # Errors
    /// Never; natively it can fail.
    pub fn append_line(&self, name: &str, line: &str) -> Result<()> {
        let path = self.place(name);
        FILES.with_borrow_mut(|files| {
            let file = files.contents.entry(path.clone()).or_default();
            file.extend_from_slice(line.as_bytes());
            file.push(b'\n');
            files.changed.insert(path);
        });
        Ok(())
    }
}

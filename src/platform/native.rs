//! The native half of the platform: directories, one pinned thread for a run, `/proc`.

use std::collections::{BTreeMap, HashSet};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::future::Future;
use std::io::{self, BufWriter, ErrorKind, Read, Seek, SeekFrom, Write};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};
use std::task::Waker;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use ignore::{DirEntry, WalkBuilder};
use memmap2::Mmap;

pub use super::table::table_texts;
use crate::error::{Error, Result};

/// Files that came with the program, by path.
static BROUGHT: RwLock<BTreeMap<String, &'static [u8]>> = RwLock::new(BTreeMap::new());

/// Puts a file there that came with the program: [`read_file`] finds it, whatever is on the disk.
pub fn bring_file(path: &str, content: &'static [u8]) {
    let mut brought = BROUGHT.write().unwrap_or_else(PoisonError::into_inner);
    brought.insert(path.to_owned(), content);
}

/// Reads a whole file.
///
/// # Errors
/// Names the path when it is missing, unreadable, or something that may have no end (a device, a pipe).
pub fn read_file(path: &str) -> Result<Vec<u8>> {
    if let Some(content) = brought(path) {
        return Ok(content.to_vec());
    }
    check_regular(path)?;
    fs::read(path).map_err(|error| unreadable(path, error))
}

/// The file of this path that came with the program.
fn brought(path: &str) -> Option<&'static [u8]> {
    let brought = BROUGHT.read().unwrap_or_else(PoisonError::into_inner);
    brought.get(path).copied()
}

/// Refuses what may have no end. What isn't there is told by who opens it.
fn check_regular(path: &str) -> Result<()> {
    match fs::metadata(path) {
        Ok(found) if !found.is_file() && !found.is_dir() => Err(no_regular_file(path)),
        _ => Ok(()),
    }
}

fn no_regular_file(path: &str) -> Error {
    Error::input(format!("`{path}` is no regular file"))
        .with_hint("save the text to a file: a resumed run has to find it again")
}

fn unreadable(path: &str, error: io::Error) -> Error {
    let hint = match error.kind() {
        ErrorKind::NotFound => "check the spelling, or give the full path",
        ErrorKind::IsADirectory => "give a file, not a folder",
        _ => "check that you may read it",
    };
    Error::input(format!("can't read `{path}`"))
        .with_source(error)
        .with_hint(hint)
}

/// A file that a source names, or that lies in a folder that it names.
#[derive(Debug, Clone)]
pub struct SourceFile {
    path: PathBuf,
    /// The path as a person would type it; what is no UTF-8 in it is shown as `�`.
    pub name: String,
    /// Whether it was found in a folder rather than named itself.
    pub in_folder: bool,
}

impl SourceFile {
    /// Opens the file to read it.
    ///
    /// # Errors
    /// Those of the system.
    pub fn open(&self) -> io::Result<File> {
        File::open(&self.path)
    }
}

/// What [`list_files`] finds.
#[derive(Debug, Default)]
pub struct Listing {
    /// The files, in order.
    pub files: Vec<SourceFile>,
    /// Files and folders inside a folder that can't be looked at, each with the reason.
    pub unreadable: Vec<(String, String)>,
    /// How many files were seen before.
    pub again: usize,
}

/// The regular file that a path names, or those of a folder, sorted by path. What is in `seen` is left out, and what is
/// found is added to it.
///
/// A folder is walked as `.gitignore` files inside it say, also outside a git repository; hidden files are left out,
/// and links are not followed. Nothing outside the folder has a say, so the same folder gives the same files
/// everywhere. Folders inside it that hold a run, or a file called `finished`, are the program's own work and left out.
///
/// # Errors
/// Names the path that is not there or is neither a file nor a folder.
pub fn list_files(source: &str, finished: &str, seen: &mut HashSet<PathBuf>) -> Result<Listing> {
    let mut listing = Listing::default();
    let mut add = |listing: &mut Listing, path: &Path, in_folder| {
        let identity = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        if seen.insert(identity) {
            listing.files.push(SourceFile {
                name: path.display().to_string(),
                path: path.to_owned(),
                in_folder,
            });
        } else {
            listing.again += 1;
        }
    };
    let found = fs::metadata(source).map_err(|error| unreadable(source, error))?;
    if found.is_file() {
        add(&mut listing, Path::new(source), false);
        return Ok(listing);
    }
    if !found.is_dir() {
        return Err(no_regular_file(source));
    }
    let own = finished.to_owned();
    let walk = WalkBuilder::new(source)
        .require_git(false)
        .parents(false)
        .ignore(false)
        .git_global(false)
        .git_exclude(false)
        .follow_links(false)
        .sort_by_file_path(Path::cmp)
        .filter_entry(move |entry| entry.depth() == 0 || !is_our_work(entry, &own))
        .build();
    for entry in walk {
        match entry {
            Ok(entry) if entry.file_type().is_some_and(|kind| kind.is_file()) => {
                add(&mut listing, entry.path(), true);
            }
            Ok(_) => {}
            Err(error) => {
                let (name, reason) = place_of(&error);
                let name = name.unwrap_or_else(|| source.to_owned());
                listing.unreadable.push((name, reason));
            }
        }
    }
    Ok(listing)
}

/// Where a walk met an error, and what it was.
fn place_of(error: &ignore::Error) -> (Option<String>, String) {
    match error {
        ignore::Error::WithPath { path, err } => {
            (Some(path.display().to_string()), err.to_string())
        }
        ignore::Error::WithDepth { err, .. } => place_of(err),
        other => (None, other.to_string()),
    }
}

/// Whether this is the folder of a run or of one for each seed, or holds a file called `finished`.
fn is_our_work(entry: &DirEntry, finished: &str) -> bool {
    let holds = |name: &str| entry.path().join(name).is_file();
    entry.file_type().is_some_and(|kind| kind.is_dir())
        && (holds(finished) || holds(LOCK) && (holds("config.toml") || holds(SEEDS)))
}

/// The content of a file: mapped, so that it takes memory only as far as it is read, or in memory.
#[derive(Debug)]
pub struct FileBytes(Content);

#[derive(Debug)]
enum Content {
    Brought(&'static [u8]),
    Owned(Vec<u8>),
    Mapped(Mmap),
}

impl FileBytes {
    /// Maps a file, unless it came with the program.
    ///
    /// # Errors
    /// Those of [`read_file`].
    pub fn open(path: &str) -> Result<Self> {
        if let Some(content) = brought(path) {
            return Ok(Self(Content::Brought(content)));
        }
        check_regular(path)?;
        let map = || -> io::Result<Content> {
            let file = File::open(path)?;
            let found = file.metadata()?;
            if found.is_dir() {
                return Err(ErrorKind::IsADirectory.into());
            }
            if found.len() == 0 {
                return Ok(Content::Owned(Vec::new()));
            }
            // SAFETY: the map is read-only, and the program never changes a file that it reads so: shards are written
            // once, before their index. Somebody else who cuts one short while a run reads it ends the run (SIGBUS).
            #[allow(
                unsafe_code,
                reason = "tokens larger than memory can only be read through a map"
            )]
            let map = unsafe { Mmap::map(&file) }?;
            Ok(Content::Mapped(map))
        };
        map().map(Self).map_err(|error| unreadable(path, error))
    }
}

impl Deref for FileBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Content::Brought(bytes) => bytes,
            Content::Owned(bytes) => bytes,
            Content::Mapped(map) => map,
        }
    }
}

impl From<Vec<u8>> for FileBytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Content::Owned(bytes))
    }
}

/// A file that is written from its beginning to its end.
#[derive(Debug)]
pub struct FileWriter {
    path: PathBuf,
    file: BufWriter<File>,
}

impl FileWriter {
    /// Begins a file, in place of an old one.
    ///
    /// # Errors
    /// When it can't be made.
    pub fn create(path: &str) -> Result<Self> {
        let path = PathBuf::from(path);
        match File::create(&path) {
            Ok(file) => Ok(Self {
                file: BufWriter::with_capacity(1 << 20, file),
                path,
            }),
            Err(error) => Err(unwritten(&path, error)),
        }
    }

    /// Goes on with a file behind its first `kept` bytes; what follows them is dropped.
    ///
    /// # Errors
    /// When it can't be written, or has fewer.
    pub fn go_on(path: &str, kept: u64) -> Result<Self> {
        let path = PathBuf::from(path);
        let open = || -> io::Result<File> {
            let mut file = OpenOptions::new().write(true).open(&path)?;
            if file.metadata()?.len() < kept {
                return Err(io::Error::other("the file is shorter than it was"));
            }
            file.set_len(kept)?;
            file.seek(SeekFrom::End(0))?;
            Ok(file)
        };
        match open() {
            Ok(file) => Ok(Self {
                file: BufWriter::with_capacity(1 << 20, file),
                path,
            }),
            Err(error) => Err(unwritten(&path, error)),
        }
    }

    /// Sees to it that what was written is on the disk.
    ///
    /// # Errors
    /// A full disk or a folder that became unwritable.
    pub fn keep(&mut self) -> Result<()> {
        self.file
            .flush()
            .and_then(|()| self.file.get_ref().sync_all())
            .map_err(|error| unwritten(&self.path, error))
    }

    /// Adds bytes.
    ///
    /// # Errors
    /// A full disk or a folder that became unwritable.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.file
            .write_all(bytes)
            .map_err(|error| unwritten(&self.path, error))
    }

    /// Ends the file; then it is on the disk.
    ///
    /// # Errors
    /// A full disk or a folder that became unwritable.
    pub fn finish(mut self) -> Result<()> {
        self.keep()
    }
}

/// Unpacks what zstd has packed, as it is read.
///
/// # Errors
/// When there is no memory for it.
pub fn unpack_zstd(packed: impl Read) -> io::Result<impl Read> {
    zstd::Decoder::new(packed)
}

/// Removes a file.
///
/// # Errors
/// When it isn't there, or the folder is not to be written in.
pub fn remove_file(path: &str) -> Result<()> {
    fs::remove_file(path).map_err(|error| unwritten(Path::new(path), error))
}

/// Writes a file as a whole: beside it first, then renamed, so that a reader or a crash sees the old or the new. Its bytes may lie
/// in several places.
///
/// # Errors
/// A full disk or a folder that became unwritable; the old file stays.
pub fn write_file<'a>(path: &str, parts: impl IntoIterator<Item = &'a [u8]>) -> Result<()> {
    let path = Path::new(path);
    write_whole(path, parts).map_err(|error| unwritten(path, error))
}

fn write_whole<'a>(path: &Path, parts: impl IntoIterator<Item = &'a [u8]>) -> io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".partial");
    let write = || {
        let mut file = File::create(&beside)?;
        for part in parts {
            file.write_all(part)?;
        }
        file.sync_all()?;
        fs::rename(&beside, path)
    };
    write().inspect_err(|_| {
        // A partial file is worthless, and on a full disk it is in the way.
        let _ = fs::remove_file(&beside);
    })
}

fn unwritten(path: &Path, error: io::Error) -> Error {
    let hint = match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            "the disk is full: free some space, then do it again"
        }
        _ => "check the folder's permissions",
    };
    Error::work(format!("can't write `{}`", path.display()))
        .with_source(error)
        .with_hint(hint)
}

/// Makes a folder for files that belong together, its parents too, and takes over one that holds nothing but what
/// `leftover` recognises: that is removed.
///
/// # Errors
/// When something else is in the way.
pub fn make_folder(path: &str, leftover: impl Fn(&str) -> bool) -> Result<()> {
    let unusable = |error: io::Error| {
        Error::input(format!("can't use the folder `{path}`"))
            .with_source(error)
            .with_hint("choose another with `--out`")
    };
    fs::create_dir_all(path).map_err(unusable)?;
    let mut leftovers = Vec::new();
    for entry in fs::read_dir(path).map_err(unusable)? {
        let entry = entry.map_err(unusable)?;
        if !entry.file_name().to_str().is_some_and(&leftover) {
            return Err(Error::input(format!("`{path}` already holds files"))
                .with_hint("choose another folder with `--out`"));
        }
        leftovers.push(entry.path());
    }
    leftovers
        .iter()
        .try_for_each(fs::remove_file)
        .map_err(unusable)
}

/// Runs a task on a thread of its own: a run's tensors live and die on one thread, because the order of GPU work
/// follows the thread that submitted it.
pub fn spawn<F, Task>(name: &str, task: F)
where
    F: FnOnce() -> Task + Send + 'static,
    Task: Future<Output = ()>,
{
    thread::Builder::new()
        .name(name.to_owned())
        .stack_size(16 << 20)
        .spawn(move || pollster::block_on(task()))
        .expect("the operating system starts a thread");
}

/// Work that another thread does. Dropping this waits for it.
#[derive(Debug)]
pub struct Beside<Output>(Option<JoinHandle<Output>>);

impl<Output> Beside<Output> {
    /// Begins it, on a thread of this name.
    pub fn begin(name: &str, work: impl FnOnce() -> Output + Send + 'static) -> Self
    where
        Output: Send + 'static,
    {
        let thread = thread::Builder::new().name(name.to_owned()).spawn(work);
        Self(Some(thread.expect("the operating system starts a thread")))
    }

    /// Whether nobody would have to wait for it.
    pub fn is_done(&self) -> bool {
        self.0.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// When it panicked.
    pub fn wait(mut self) -> Result<Output> {
        let thread = self.0.take();
        thread
            .and_then(|thread| thread.join().ok())
            .ok_or_else(|| Error::work("a thread of this program ended in a panic"))
    }
}

impl<Output> Drop for Beside<Output> {
    fn drop(&mut self) {
        if let Some(thread) = self.0.take() {
            // Whoever drops it doesn't ask how it ended.
            let _ = thread.join();
        }
    }
}

/// Wakes a task that let others run: here nobody waits.
pub(super) fn wake_soon(waker: Waker) {
    waker.wake();
}

/// How much the processor computes before others may run: others have threads of their own.
pub const TURN_FLOPS: Option<f64> = None;

/// How long a program runs before its speed says something: it is compiled already.
pub const WARM_UP: Duration = Duration::ZERO;

/// Tokens that are measured at once: enough to fill a device, few enough for memory.
pub const TOKENS_AT_ONCE: usize = 4_096;

/// The processor's name and how many hardware threads this process may use.
pub fn processor() -> (String, usize) {
    let name = fs::read_to_string("/proc/cpuinfo")
        .ok()
        .and_then(|text| {
            text.lines()
                .find_map(|line| line.strip_prefix("model name"))
                .map(|rest| rest.trim_start_matches([' ', '\t', ':']).to_owned())
        })
        .unwrap_or_else(|| std::env::consts::ARCH.to_owned());
    (name, threads())
}

/// How many hardware threads this process may use.
pub fn threads() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// This machine's name, as the others of a run tell it apart.
pub fn host() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").ok();
    name.or_else(|| std::env::var("HOSTNAME").ok())
        .map(|name| name.trim().to_owned())
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "an unnamed host".to_owned())
}

/// The largest resident set of this process so far, where the system tells.
pub fn peak_memory_bytes() -> Option<u64> {
    proc_bytes("/proc/self/status", "VmHWM:")
}

/// The machine's memory, where the system tells.
pub fn memory_bytes() -> Option<u64> {
    proc_bytes("/proc/meminfo", "MemTotal:")
}

/// The value of a line like `MemTotal:  1234 kB`.
fn proc_bytes(path: &str, key: &str) -> Option<u64> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find(|line| line.starts_with(key))?;
    let kibibytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kibibytes * 1024)
}

/// Where a run keeps its files: a directory that this process, or the first of those that share the run, has locked.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    _lock: Option<File>,
}

impl Folder {
    /// Makes a new folder, or takes over an existing one when `force` is set: its run files are removed, and with them
    /// the runs of several seeds (`seed-*`) where it holds such.
    ///
    /// # Errors
    /// When it already holds something and `force` is not set, when another process uses it or one of its seeds, or
    /// when it can't be made.
    pub fn create(path: &str, force: bool) -> Result<Self> {
        let folder = Path::new(path);
        let occupied = match fs::read_dir(folder) {
            Ok(mut entries) => entries.next().is_some(),
            Err(error) if error.kind() == ErrorKind::NotFound => false,
            Err(error) => {
                return Err(
                    Error::input(format!("can't use `{path}` as a run directory"))
                        .with_source(error)
                        .with_hint("choose another with `--out`"),
                );
            }
        };
        if occupied && !force {
            return Err(Error::input(format!("`{path}` already holds files")).with_hint(
                "choose another with `--out`, continue it with `--resume`, or replace it with `--force`",
            ));
        }
        if occupied && !folder.join(LOCK).exists() {
            return Err(Error::input(format!(
                "`{path}` holds files that are not a run of crossover"
            ))
            .with_hint("`--force` replaces runs only; choose another folder with `--out`"));
        }
        fs::create_dir_all(folder).map_err(|error| {
            Error::input(format!("can't make the run directory `{path}`"))
                .with_source(error)
                .with_hint("choose another with `--out`")
        })?;
        let opened = Self::lock(folder)?;
        if occupied {
            // All are locked before any is removed.
            let seeds = opened.seeds()?;
            for seed in &seeds {
                seed.clear()?;
                seed.remove_if_empty()?;
            }
            opened.clear()?;
        }
        Ok(opened)
    }

    /// Opens the folder of an earlier run.
    ///
    /// # Errors
    /// When there is none, or another process uses it.
    pub fn open(path: &str) -> Result<Self> {
        let folder = Path::new(path);
        if !folder.is_dir() {
            return Err(Error::input(format!("there is no run directory `{path}`"))
                .with_hint("give the folder that a `race` or `train` wrote"));
        }
        Self::lock(folder)
    }

    /// The folder of a run that this process shares with another one, which has locked it.
    pub fn of_another(path: &str) -> Self {
        Self {
            path: PathBuf::from(path),
            _lock: None,
        }
    }

    fn lock(folder: &Path) -> Result<Self> {
        let path = folder.join(LOCK);
        let lock = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .map_err(|error| {
                Error::input(format!("can't write in `{}`", folder.display())).with_source(error)
            })?;
        match lock.try_lock() {
            Ok(()) => Ok(Self {
                path: folder.to_owned(),
                _lock: Some(lock),
            }),
            Err(TryLockError::WouldBlock) => Err(Error::input(format!(
                "`{}` is in use by another process",
                folder.display()
            ))
            .with_hint("wait for it, or choose another folder with `--out`")),
            Err(TryLockError::Error(error)) => Err(failed("lock", &path, error)),
        }
    }

    /// The runs in this folder when it holds one for each seed, locked.
    fn seeds(&self) -> Result<Vec<Self>> {
        if !self.path.join(SEEDS).exists() {
            return Ok(Vec::new());
        }
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.path).map_err(|error| failed("read", &self.path, error))? {
            let entry = entry.map_err(|error| failed("read", &self.path, error))?;
            let path = entry.path();
            let name = entry.file_name();
            let number = name.to_str().and_then(|name| name.strip_prefix("seed-"));
            let is_seed = number.is_some_and(|number| number.parse::<u64>().is_ok());
            // A link leads out of this folder.
            let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            if is_seed && is_folder && path.join(LOCK).exists() {
                found.push(Self::lock(&path)?);
            }
        }
        Ok(found)
    }

    /// Removes what a run wrote.
    fn clear(&self) -> Result<()> {
        RUN_ENTRIES
            .iter()
            .try_for_each(|name| remove(&self.path.join(name)))
    }

    /// Removes the folder unless something is in it.
    ///
    /// # Errors
    /// When it can't be read or removed.
    pub fn remove_if_empty(&self) -> Result<()> {
        let entries =
            fs::read_dir(&self.path).map_err(|error| failed("read", &self.path, error))?;
        if entries.count() > 1 {
            return Ok(());
        }
        fs::remove_file(self.path.join(LOCK))
            .and_then(|()| fs::remove_dir(&self.path))
            .map_err(|error| failed("replace", &self.path, error))
    }

    /// The folder as a person would type it.
    pub fn name(&self) -> String {
        self.path.display().to_string()
    }

    /// Reads a file, `None` if it isn't there.
    ///
    /// # Errors
    /// When it is there and can't be read.
    pub fn read(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let path = self.path.join(name);
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed("read", &path, error)),
        }
    }

    /// Writes a file as a whole, as [`write_file`] does.
    ///
    /// # Errors
    /// A full disk or a folder that became unwritable; the old file stays.
    pub fn write<'a>(&self, name: &str, parts: impl IntoIterator<Item = &'a [u8]>) -> Result<()> {
        let path = self.path.join(name);
        let made = path.parent().map_or(Ok(()), fs::create_dir_all);
        made.and_then(|()| write_whole(&path, parts))
            .map_err(|error| failed("write", &path, error))
    }

    /// Removes a file, and the folder it was in if nothing else is there.
    ///
    /// # Errors
    /// When it is there and can't be removed.
    pub fn remove(&self, name: &str) -> Result<()> {
        let path = self.path.join(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(failed("remove", &path, error))
            }
            _ => {
                // A folder that holds something stays.
                let _ = path.parent().map(fs::remove_dir);
                Ok(())
            }
        }
    }

    /// Adds one line to a file and hands it to the system at once.
    ///
    /// # Errors
    /// A full disk or a folder that became unwritable.
    pub fn append_line(&self, name: &str, line: &str) -> Result<()> {
        let path = self.path.join(name);
        OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .and_then(|mut file| file.write_all(format!("{line}\n").as_bytes()))
            .map_err(|error| failed("write", &path, error))
    }
}

/// Whether a path is a folder.
pub fn is_folder(path: &str) -> bool {
    Path::new(path).is_dir()
}

/// The folders in a folder, newest first by when they were changed; none where there is no such folder.
///
/// # Errors
/// When it can't be read.
pub fn folders(path: &str) -> Result<Vec<String>> {
    let unreadable = |error| unreadable(path, error);
    let entries = match fs::read_dir(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(unreadable)?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(unreadable)?;
        let facts = entry.metadata().map_err(unreadable)?;
        if facts.is_dir() {
            found.push((facts.modified().ok(), entry.path().display().to_string()));
        }
    }
    found.sort();
    Ok(found.into_iter().rev().map(|(_, name)| name).collect())
}

/// The files in a folder and in the folders in it, by their paths inside it, with their sizes in bytes; sorted.
///
/// # Errors
/// When it can't be read.
pub fn folder_files(path: &str) -> Result<Vec<(String, u64)>> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::from(path)];
    while let Some(folder) = folders.pop() {
        let unreadable = |error| unreadable(path, error);
        for entry in fs::read_dir(&folder).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            let facts = entry.metadata().map_err(unreadable)?;
            let place = entry.path();
            if facts.is_dir() {
                folders.push(place);
            } else if entry.file_name() != LOCK
                && let Ok(inside) = place.strip_prefix(path)
            {
                found.push((inside.display().to_string(), facts.len()));
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Gives a run's folder another path.
///
/// # Errors
/// When it is in use or isn't there, or the new path is taken.
pub fn rename_folder(from: &str, to: &str) -> Result<()> {
    let _in_nobodys_use = Folder::open(from)?;
    if Path::new(to).exists() {
        return Err(
            Error::input(format!("there is a `{to}` already")).with_hint("choose another name")
        );
    }
    fs::rename(from, to).map_err(|error| failed("rename", Path::new(from), error))
}

/// Removes a run's folder.
///
/// # Errors
/// When it is in use, isn't there, or holds files that no run wrote.
pub fn remove_folder(path: &str) -> Result<()> {
    let folder = Folder::open(path)?;
    folder.clear()?;
    folder.remove_if_empty()
}

/// The file whose lock says that a process uses the folder; its presence says that the folder is a run's.
const LOCK: &str = ".lock";

/// Says that a folder holds several runs, one for each seed, in folders `seed-N` of their own.
const SEEDS: &str = "seeds.json";

/// What a run writes: the only things `--force` removes.
const RUN_ENTRIES: [&str; 10] = [
    SEEDS,
    "config.toml",
    "metrics.jsonl",
    "events.jsonl",
    "evaluations.jsonl",
    "checkpoints",
    "samples",
    "tensorboard",
    "figures",
    "report.html",
];

/// Removes a file or a folder, if it is there.
fn remove(entry: &Path) -> Result<()> {
    let removed = if entry.is_dir() {
        fs::remove_dir_all(entry)
    } else if entry.exists() {
        fs::remove_file(entry)
    } else {
        Ok(())
    };
    removed.map_err(|error| failed("replace", entry, error))
}

fn failed(verb: &str, path: &Path, error: io::Error) -> Error {
    let hint = match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            "the disk is full: free some space, then continue with `--resume`"
        }
        _ => "check the folder's permissions, then continue with `--resume`",
    };
    Error::work(format!("can't {verb} `{}`", path.display()))
        .with_source(error)
        .with_hint(hint)
}

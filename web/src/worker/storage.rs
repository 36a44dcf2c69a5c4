//! Where files last: in the browser's file system of this site (OPFS), or in its database, or nowhere.
//!
//! A file is written beside and put in place as a whole, so that a crash leaves the old one or the new one. Records that
//! only grow are added to in place: whoever reads them forgives half a last line. One tab writes, by a lock.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use async_channel::Receiver;
use crossover::platform;
use crossover_web::link::{Place, StorageInfo};
use crossover_web::script::{call, fetch, member, object, path, sleep, text, wait};
use js_sys::{Promise, Reflect, Uint8Array};
use wasm_bindgen::prelude::*;

use super::database::Database;
use super::waker;

/// The folder of everything that is ours, and the name of the lock.
const NAME: &str = "crossover";
/// What a file is called until it is whole.
const PART: &str = ".part";
/// Where the models that come with the page are found; they are not kept.
const BUNDLED: &str = "bundled/";
/// Seconds to wait for a lock that a worker which is gone may still hold.
const LOCK_SOON: f64 = 0.3;
const LOCK_AGAIN: f64 = 4.0;

enum Keeper {
    Opfs(JsValue),
    Database(Database),
    None,
}

/// The files that last.
pub(crate) struct Storage {
    keeper: Keeper,
    info: RefCell<StorageInfo>,
    /// What could not be written yet, newest content each.
    waiting: RefCell<BTreeMap<String, Option<Vec<u8>>>>,
    /// The paths of what is kept.
    kept: RefCell<BTreeSet<String>>,
    /// How long each record was when it was written last, and what it began with.
    records: RefCell<BTreeMap<String, (usize, u64)>>,
    busy: Cell<bool>,
    /// For tests: there is no room.
    filled: Cell<bool>,
    locked: Cell<bool>,
    /// Tells when the lock is given at last.
    turn: RefCell<Option<Receiver<()>>>,
}

impl Storage {
    /// Opens what the browser has, and brings back every file that is kept there. `again` says that a worker before this
    /// one may have been its owner a moment ago.
    pub async fn open(again: bool, had_files: bool) -> Self {
        let keeper = open_keeper().await;
        let place = match keeper {
            Keeper::Opfs(_) => Place::Opfs,
            Keeper::Database(_) => Place::IndexedDb,
            Keeper::None => Place::Memory,
        };
        let storage = Self {
            keeper,
            info: RefCell::new(StorageInfo {
                place,
                ..StorageInfo::default()
            }),
            waiting: RefCell::default(),
            kept: RefCell::default(),
            records: RefCell::default(),
            busy: Cell::new(false),
            filled: Cell::new(false),
            locked: Cell::new(false),
            turn: RefCell::default(),
        };
        storage
            .lock(if again { LOCK_AGAIN } else { LOCK_SOON })
            .await;
        let files = storage.restore().await;
        {
            let mut info = storage.info.borrow_mut();
            info.files = files;
            info.cleared = had_files && files == 0 && place != Place::Memory;
            info.read_only = !storage.locked.get();
        }
        storage.measure().await;
        storage
    }

    pub fn info(&self) -> StorageInfo {
        self.info.borrow().clone()
    }

    /// For tests: from now on there is no room.
    pub fn fill(&self) {
        self.filled.set(true);
    }

    /// Waits for the lock, for as long as it takes, and brings the files up to date. Says whether there was need to.
    pub async fn wait_for_turn(&self) -> bool {
        let Some(turn) = self.turn.take() else {
            return false;
        };
        // It is never closed.
        let _ = turn.recv().await;
        self.locked.set(true);
        let files = self.restore().await;
        let mut info = self.info.borrow_mut();
        info.files = files;
        info.read_only = false;
        true
    }

    /// Writes what changed since the last time.
    pub async fn keep(&self) {
        while self.busy.replace(true) {
            sleep(0.02).await;
        }
        let changes = platform::take_changes();
        if changes.is_empty() && self.waiting.borrow().is_empty() {
            self.busy.set(false);
            return;
        }
        if self.locked.get() {
            let ours = |(path, _): &(String, _)| !path.starts_with(BUNDLED);
            let changes = changes.into_iter().filter(ours);
            self.waiting.borrow_mut().extend(changes);
            waker::first(self.write_waiting()).await;
        }
        self.busy.set(false);
    }

    /// How much is used, and what may be.
    pub async fn measure(&self) {
        let Some(manager) = path(&["navigator", "storage"]) else {
            return;
        };
        let estimate = wait(&manager, "estimate", &[]).await.unwrap_or_default();
        let number = |name: &str| member(&estimate, name).and_then(|number| number.as_f64());
        let kept = wait(&manager, "persisted", &[]).await;
        let mut info = self.info.borrow_mut();
        info.used = number("usage");
        info.quota = number("quota");
        info.kept = kept.is_ok_and(|kept| kept.is_truthy());
    }

    /// Asks for the lock, and waits a little for it. Where there are no locks it counts as given.
    async fn lock(&self, seconds: f64) {
        let Some(locks) = path(&["navigator", "locks"]) else {
            self.locked.set(true);
            return;
        };
        let (given, has) = async_channel::bounded::<()>(1);
        let hold = Closure::<dyn FnMut() -> Promise>::new(move || {
            let _ = given.try_send(());
            // Held until the worker ends.
            Promise::new(&mut |_, _| {})
        });
        let asked = call(&locks, "request", &[NAME.into(), hold.as_ref().clone()]);
        hold.forget();
        if asked.is_err() {
            self.locked.set(true);
            return;
        }
        let mut waited = 0.0;
        while waited <= seconds {
            if has.try_recv().is_ok() {
                self.locked.set(true);
                return;
            }
            sleep(0.02).await;
            waited += 0.02;
        }
        *self.turn.borrow_mut() = Some(has);
    }

    /// Puts every kept file into memory; says how many.
    async fn restore(&self) -> usize {
        let mut files = Vec::new();
        let read = match &self.keeper {
            Keeper::Opfs(root) => read_folder(root.clone(), String::new(), &mut files).await,
            Keeper::Database(database) => database.read().await.map(|read| files = read),
            Keeper::None => Ok(()),
        };
        if let Err(error) = read {
            complain("could not read what was kept", &error);
        }
        let mut kept = self.kept.borrow_mut();
        for (path, content) in files {
            kept.insert(path.clone());
            if is_record(&path) {
                let record = (content.len(), hash(&content));
                self.records.borrow_mut().insert(path.clone(), record);
            }
            platform::restore_file(&path, content);
        }
        kept.len()
    }

    async fn write_waiting(&self) {
        let mut changes: Vec<_> = std::mem::take(&mut *self.waiting.borrow_mut())
            .into_iter()
            .collect();
        if changes.is_empty() {
            return;
        }
        changes.sort_by_key(|(path, content)| turn(path, content.as_deref()));
        let written = match (&self.keeper, self.filled.get()) {
            (_, true) => Err((
                JsValue::from_str("QuotaExceededError: a test filled the storage"),
                0,
            )),
            (Keeper::Opfs(root), _) => self.write_files(root, &changes).await,
            (Keeper::Database(database), _) => {
                database.write(&changes).await.map_err(|error| (error, 0))
            }
            (Keeper::None, _) => Ok(()),
        };
        let mut full = false;
        if let Err((error, done)) = written {
            full = text(&error).contains("QuotaExceeded");
            if !full {
                complain("could not keep a file", &error);
            }
            let mut waiting = self.waiting.borrow_mut();
            for (path, content) in changes.split_off(done) {
                waiting.entry(path).or_insert(content);
            }
        }
        let mut kept = self.kept.borrow_mut();
        for (path, content) in changes {
            match content {
                Some(_) => kept.insert(path),
                None => kept.remove(&path),
            };
        }
        let mut info = self.info.borrow_mut();
        info.full = full;
        info.files = kept.len();
    }

    /// Writes files one after the other; says which failed.
    async fn write_files(
        &self,
        root: &JsValue,
        changes: &[(String, Option<Vec<u8>>)],
    ) -> Result<(), (JsValue, usize)> {
        // A run that begins anew must not be taken for one with the old run's checkpoints, should we end in between.
        for run in begun_anew(changes) {
            let old = format!("{run}/checkpoints");
            remove(root, &old).await.map_err(|error| (error, 0))?;
        }
        for (index, (path, content)) in changes.iter().enumerate() {
            let written = match content {
                Some(content) => self.write_file(root, path, content).await,
                None => {
                    self.records.borrow_mut().remove(path);
                    remove(root, path).await
                }
            };
            written.map_err(|error| (error, index))?;
        }
        Ok(())
    }

    async fn write_file(&self, root: &JsValue, path: &str, content: &[u8]) -> Result<(), JsValue> {
        let (folder, name) = place(root, path, true).await?;
        if !is_record(path) {
            return write_whole(&folder, name, content).await;
        }
        let before = self.records.borrow().get(path).copied();
        let grown = before.filter(|(length, beginning)| {
            *length <= content.len() && hash(&content[..*length]) == *beginning
        });
        match grown {
            Some((length, _)) if write_end(&folder, name, content, length).await.is_ok() => {}
            _ => write_whole(&folder, name, content).await?,
        }
        let record = (content.len(), hash(content));
        self.records.borrow_mut().insert(path.to_owned(), record);
        Ok(())
    }
}

/// Brings the models that come with the page, where they do.
pub(crate) async fn restore_bundled(folder: &str) {
    for name in ["ar.safetensors", "masked.safetensors"] {
        if let Some(content) = fetch(&format!("{folder}{name}")).await {
            platform::restore_file(&format!("{BUNDLED}{name}"), content);
        }
    }
}

/// Removals first and checkpoints last: what is cut off in between resumes from older checkpoints, whose records are cut
/// back to them.
fn turn(path: &str, content: Option<&[u8]>) -> u8 {
    match content {
        None => 0,
        Some(_) if path.contains("/checkpoints/") => 2,
        Some(_) => 1,
    }
}

/// The runs whose configuration is among the changes.
fn begun_anew(changes: &[(String, Option<Vec<u8>>)]) -> Vec<&str> {
    changes
        .iter()
        .filter(|(_, content)| content.is_some())
        .filter_map(|(path, _)| path.strip_suffix("/config.toml"))
        .collect()
}

fn is_record(path: &str) -> bool {
    path.ends_with(".jsonl")
}

fn hash(content: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    content.hash(&mut hasher);
    hasher.finish()
}

async fn open_keeper() -> Keeper {
    match open_opfs().await {
        Ok(root) => Keeper::Opfs(root),
        Err(no_opfs) => match Database::open().await {
            Ok(database) => Keeper::Database(database),
            Err(no_database) => {
                complain("keeps nothing", &no_opfs);
                complain("keeps nothing", &no_database);
                Keeper::None
            }
        },
    }
}

async fn open_opfs() -> Result<JsValue, JsValue> {
    let manager = path(&["navigator", "storage"])
        .ok_or_else(|| JsValue::from_str("there is no storage manager"))?;
    let root = wait(&manager, "getDirectory", &[]).await?;
    folder(&root, NAME, true).await
}

async fn folder(of: &JsValue, name: &str, create: bool) -> Result<JsValue, JsValue> {
    let options = object(&[("create", create.into())])?;
    wait(of, "getDirectoryHandle", &[name.into(), options.into()]).await
}

async fn file(of: &JsValue, name: &str) -> Result<JsValue, JsValue> {
    let options = object(&[("create", true.into())])?;
    wait(of, "getFileHandle", &[name.into(), options.into()]).await
}

/// The folder that a path is in, and its name there.
async fn place<'a>(
    root: &JsValue,
    path: &'a str,
    create: bool,
) -> Result<(JsValue, &'a str), JsValue> {
    let mut at = root.clone();
    let mut parts = path.split('/').peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return Ok((at, part));
        }
        at = folder(&at, part, create).await?;
    }
    Err(JsValue::from_str("a path without a name"))
}

/// Writes beside and puts in place: by the browser itself, or by hand where it only has handles for workers.
async fn write_whole(folder: &JsValue, name: &str, content: &[u8]) -> Result<(), JsValue> {
    let target = file(folder, name).await?;
    if member(&target, "createWritable").is_some() {
        let stream = wait(&target, "createWritable", &[]).await?;
        // A copy: the memory below it may move while the browser writes.
        let bytes = Uint8Array::from(content);
        return match wait(&stream, "write", &[bytes.into()]).await {
            Ok(_) => wait(&stream, "close", &[]).await.map(|_| ()),
            Err(error) => {
                let _ = wait(&stream, "abort", &[]).await;
                Err(error)
            }
        };
    }
    let part = file(folder, &format!("{name}{PART}")).await?;
    let written = with_handle(&part, |handle| {
        call(handle, "truncate", &[0.into()])?;
        write_at(handle, content, 0)
    });
    written.await?;
    wait(&part, "move", &[folder.clone(), name.into()])
        .await
        .map(|_| ())
}

/// Adds what a record has grown by.
async fn write_end(
    folder: &JsValue,
    name: &str,
    content: &[u8],
    from: usize,
) -> Result<(), JsValue> {
    let target = file(folder, name).await?;
    with_handle(&target, |handle| {
        let size = call(handle, "getSize", &[])?.as_f64();
        if size != Some(from as f64) {
            return Err(JsValue::from_str("the file is not what it was"));
        }
        write_at(handle, &content[from..], from)
    })
    .await
}

/// Uses the handle that only workers have, and closes it whatever happens.
async fn with_handle(
    file: &JsValue,
    work: impl FnOnce(&JsValue) -> Result<(), JsValue>,
) -> Result<(), JsValue> {
    let handle = wait(file, "createSyncAccessHandle", &[]).await?;
    let worked = work(&handle).and_then(|()| call(&handle, "flush", &[]).map(|_| ()));
    call(&handle, "close", &[])?;
    worked
}

fn write_at(handle: &JsValue, content: &[u8], at: usize) -> Result<(), JsValue> {
    let options = object(&[("at", (at as f64).into())])?;
    let bytes = Uint8Array::from(content);
    let written = call(handle, "write", &[bytes.into(), options.into()])?;
    match written.as_f64() == Some(content.len() as f64) {
        true => Ok(()),
        false => Err(JsValue::from_str("QuotaExceededError: only a part fitted")),
    }
}

/// Removes a file or a folder with all that is in it; that it is not there is fine.
async fn remove(root: &JsValue, path: &str) -> Result<(), JsValue> {
    let gone = async {
        let (folder, name) = place(root, path, false).await?;
        let options = object(&[("recursive", true.into())])?;
        wait(&folder, "removeEntry", &[name.into(), options.into()]).await
    };
    match gone.await {
        Err(error) if !text(&error).contains("NotFound") => Err(error),
        _ => Ok(()),
    }
}

/// Reads every file of a folder and of those in it. What was cut off while it was written is removed.
async fn read_folder(
    root: JsValue,
    at: String,
    files: &mut Vec<(String, Vec<u8>)>,
) -> Result<(), JsValue> {
    let mut folders = vec![(root, at)];
    while let Some((folder, at)) = folders.pop() {
        let entries = call(&folder, "entries", &[])?;
        loop {
            let next = wait(&entries, "next", &[]).await?;
            if member(&next, "done").is_none_or(|done| done.is_truthy()) {
                break;
            }
            let entry = member(&next, "value").unwrap_or_default();
            let name = Reflect::get_u32(&entry, 0)?.as_string().unwrap_or_default();
            let handle = Reflect::get_u32(&entry, 1)?;
            let path = match at.is_empty() {
                true => name.clone(),
                false => format!("{at}/{name}"),
            };
            let kind = member(&handle, "kind").and_then(|kind| kind.as_string());
            if kind.as_deref() == Some("directory") {
                folders.push((handle, path));
            } else if name.ends_with(PART) {
                let _ = wait(&folder, "removeEntry", &[name.into()]).await;
            } else {
                let content = wait(&handle, "getFile", &[]).await?;
                let content = wait(&content, "arrayBuffer", &[]).await?;
                files.push((path, Uint8Array::new(&content).to_vec()));
            }
        }
    }
    Ok(())
}

fn complain(what: &str, error: &JsValue) {
    web_sys::console::warn_1(&format!("crossover: storage {what}: {}", text(error)).into());
}

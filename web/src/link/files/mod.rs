//! Files that people give and take: dialogs natively, the browser's own in the page. And [`Notes`], short texts of the
//! app's own that survive closing.

#[cfg_attr(target_family = "wasm", path = "browser.rs")]
#[cfg_attr(not(target_family = "wasm"), path = "native.rs")]
mod system;

use std::sync::{Arc, Mutex, PoisonError};

pub use system::{Notes, open, save, take_dropped};

/// A file that a person gave.
#[derive(Debug, Clone, PartialEq)]
pub struct Given {
    /// Its name, without folders.
    pub name: String,
    /// What is in it, or why it can't be read.
    pub content: Result<Vec<u8>, String>,
}

/// Where files arrive, whenever they do.
#[derive(Debug, Clone, Default)]
pub struct Inbox(Arc<Mutex<Vec<Given>>>);

impl Inbox {
    /// The files that arrived since the last time.
    pub fn take(&self) -> Vec<Given> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A file arrives.
    pub fn put(&self, file: Given) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(file);
    }
}

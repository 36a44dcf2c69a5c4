//! Files through the page (`static/page.js`): a hidden `<input type="file">`, and downloads.

use egui::{Context, DroppedFileHandle};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

use super::{Given, Inbox};
use crate::link::system::{note, noted};

#[wasm_bindgen(js_namespace = crossoverPage)]
extern "C" {
    fn pick(accept: &str) -> js_sys::Promise;
    fn download(name: &str, bytes: &[u8]);
}

/// Asks for a file with one of these extensions; it arrives in the inbox.
pub fn open(context: &Context, inbox: &Inbox, _title: &str, extensions: &'static [&'static str]) {
    let accept: Vec<String> = extensions
        .iter()
        .map(|extension| format!(".{extension}"))
        .collect();
    let promise = pick(&accept.join(","));
    let (context, inbox) = (context.clone(), inbox.clone());
    wasm_bindgen_futures::spawn_local(async move {
        let Ok(picked) = JsFuture::from(promise).await else {
            return;
        };
        if picked.is_null() {
            return;
        }
        let parts = js_sys::Array::from(&picked);
        let content = parts.get(1);
        inbox.put(Given {
            name: parts.get(0).as_string().unwrap_or_default(),
            content: match content.as_string() {
                Some(error) => Err(error),
                None => Ok(js_sys::Uint8Array::new(&content).to_vec()),
            },
        });
        context.request_repaint();
    });
}

/// Saves a file among the browser's downloads.
pub fn save(_context: &Context, _inbox: &Inbox, name: &str, content: Vec<u8>) {
    download(name, &content);
}

/// Takes files that were dropped on the page.
pub fn take_dropped(context: &Context, inbox: &Inbox, files: &[DroppedFileHandle]) {
    for file in files {
        let (context, inbox, file) = (context.clone(), inbox.clone(), file.clone());
        wasm_bindgen_futures::spawn_local(async move {
            let name = file.path().file_name().unwrap_or_default();
            inbox.put(Given {
                name: name.to_string_lossy().into_owned(),
                content: file.bytes_async().await,
            });
            context.request_repaint();
        });
    }
}

/// Short texts that survive closing: the browser's storage of this site. The default ones are kept nowhere.
#[derive(Debug, Default)]
pub struct Notes {
    are_kept: bool,
}

impl Notes {
    /// Those of this app.
    pub fn own() -> Self {
        Self { are_kept: true }
    }

    /// A note, where there is one.
    pub fn read(&self, name: &str) -> Option<String> {
        self.are_kept.then(|| noted(&key(name))).flatten()
    }

    /// Keeps a note in place of an older one, or none.
    pub fn write(&self, name: &str, text: Option<&str>) {
        if self.are_kept {
            note(&key(name), text);
        }
    }
}

fn key(name: &str) -> String {
    format!("crossover.{name}")
}

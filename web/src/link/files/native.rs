//! Files through the system's dialogs.

use crossover::platform;
use egui::{Context, DroppedFileHandle};
use rfd::AsyncFileDialog;

use super::{Given, Inbox};

/// Asks for a file with one of these extensions; it arrives in the inbox.
pub fn open(context: &Context, inbox: &Inbox, title: &str, extensions: &'static [&'static str]) {
    let (context, inbox) = (context.clone(), inbox.clone());
    let title = title.to_owned();
    platform::spawn("dialog", move || async move {
        let mut dialog = AsyncFileDialog::new().set_title(title);
        if !extensions.is_empty() {
            dialog = dialog.add_filter("Files", extensions);
        }
        if let Some(file) = dialog.pick_file().await {
            inbox.put(Given {
                name: file.file_name(),
                content: std::fs::read(file.path()).map_err(|error| error.to_string()),
            });
            context.request_repaint();
        }
    });
}

/// Saves a file where a person wants it. Why not arrives in the inbox.
pub fn save(context: &Context, inbox: &Inbox, name: &str, content: Vec<u8>) {
    let (context, inbox) = (context.clone(), inbox.clone());
    let name = name.to_owned();
    platform::spawn("dialog", move || async move {
        let chosen = AsyncFileDialog::new()
            .set_file_name(&name)
            .save_file()
            .await;
        if let Some(file) = chosen
            && let Err(error) = std::fs::write(file.path(), content)
        {
            inbox.put(Given {
                name,
                content: Err(format!("Can't save it: {error}")),
            });
            context.request_repaint();
        }
    });
}

/// Takes files that were dropped on the window.
pub fn take_dropped(_context: &Context, inbox: &Inbox, files: &[DroppedFileHandle]) {
    for file in files {
        let name = file.path().file_name().unwrap_or_default();
        inbox.put(Given {
            name: name.to_string_lossy().into_owned(),
            content: file.bytes(),
        });
    }
}

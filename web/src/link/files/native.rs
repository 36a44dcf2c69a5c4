//! Files through the system's dialogs.

use std::path::{Path, PathBuf};

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

/// Short texts that survive closing: files in this person's folder of settings. The default ones are kept nowhere.
#[derive(Debug, Default)]
pub struct Notes(Option<PathBuf>);

impl Notes {
    /// Those of this app, in the folder that the system has for settings.
    pub fn own() -> Self {
        // The XDG rules: a path that is not absolute is to be ignored.
        let place = |name: &str| {
            let value = std::env::var_os(name).map(PathBuf::from);
            value.filter(|path| path.is_absolute())
        };
        let below_home = |folder: &str| place("HOME").map(|home| home.join(folder));
        let settings = match std::env::consts::OS {
            "windows" => place("APPDATA"),
            "macos" => below_home("Library/Application Support"),
            _ => place("XDG_CONFIG_HOME").or_else(|| below_home(".config")),
        };
        Self(settings.map(|settings| settings.join("crossover")))
    }

    /// Those in a folder.
    pub fn in_folder(folder: &Path) -> Self {
        Self(Some(folder.to_owned()))
    }

    /// A note, where there is one.
    pub fn read(&self, name: &str) -> Option<String> {
        std::fs::read_to_string(self.file(name)?).ok()
    }

    /// Keeps a note in place of an older one, or none.
    pub fn write(&self, name: &str, text: Option<&str>) {
        let (Some(folder), Some(file)) = (&self.0, self.file(name)) else {
            return;
        };
        // Where nothing can be kept there is nothing to be reminded of.
        let _ = match text {
            Some(text) => std::fs::create_dir_all(folder).and_then(|()| std::fs::write(file, text)),
            None => std::fs::remove_file(file),
        };
    }

    fn file(&self, name: &str) -> Option<PathBuf> {
        Some(self.0.as_ref()?.join(format!("{name}.json")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_there_until_it_is_taken_back() {
        let folder = tempfile::tempdir().unwrap();
        let notes = Notes::in_folder(&folder.path().join("settings"));
        assert_eq!(notes.read("preferences"), None);
        notes.write("preferences", Some("{}"));
        notes.write("preferences", Some("[]"));
        assert_eq!(notes.read("preferences").as_deref(), Some("[]"));
        notes.write("preferences", None);
        assert_eq!(notes.read("preferences"), None);
        notes.write("preferences", None);
    }

    #[test]
    fn notes_that_are_kept_nowhere_are_gone() {
        let notes = Notes::default();
        notes.write("preferences", Some("{}"));
        assert_eq!(notes.read("preferences"), None);
    }
}

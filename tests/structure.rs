//! The house's rules that a reader relies on: rooms import only from rooms above them, and the platform stays in its room.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::path::{Path, PathBuf};

/// The rooms in import order; the ground floor may be used by all.
const GROUND_FLOOR: [&str; 5] = ["error", "device", "random", "ranks", "platform"];
const ROOMS: [&str; 9] = [
    "ops",
    "corpus",
    "model",
    "objective",
    "laws",
    "sample",
    "evaluate",
    "train",
    "lab",
];

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

fn source_folder() -> PathBuf {
    PathBuf::from("src")
}

#[test]
fn rooms_import_only_from_rooms_above_them() {
    let mut checked = 0;
    for path in sources(&source_folder()) {
        let relative = path.strip_prefix(source_folder()).unwrap();
        let own = relative
            .components()
            .next()
            .unwrap()
            .as_os_str()
            .to_string_lossy();
        let own = own.trim_end_matches(".rs");
        let Some(rank) = ROOMS.iter().position(|room| *room == own) else {
            continue;
        };
        let text = fs::read_to_string(&path).unwrap();
        for rest in text.split("crate::").skip(1) {
            let room: String = rest
                .chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect();
            if let Some(imported) = ROOMS.iter().position(|known| *known == room) {
                assert!(
                    imported <= rank,
                    "{} is in `{own}` and uses `{room}`, which is below it",
                    relative.display()
                );
                checked += 1;
            } else {
                assert!(
                    GROUND_FLOOR.contains(&room.as_str()),
                    "{} uses `crate::{room}`, which is no room",
                    relative.display()
                );
            }
        }
    }
    assert!(checked > 20, "the test found the imports");
}

#[test]
fn only_the_platform_asks_what_it_is_compiled_for() {
    for path in sources(&source_folder()) {
        let relative = path.strip_prefix(source_folder()).unwrap();
        if relative.starts_with("platform") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        for forbidden in ["target_family", "target_arch", "target_os"] {
            assert!(
                !text.contains(forbidden),
                "{} asks for {forbidden}",
                relative.display()
            );
        }
    }
}

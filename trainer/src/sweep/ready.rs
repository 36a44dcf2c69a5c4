//! The sweeps that come with the program: commented files, compiled in from `trainer/sweeps/`.
//!
//! The first line of a file says what it asks and how long that takes; it is what `--help` shows.

use std::path::{Path, PathBuf};

use crossover::error::{Error, Result, nearest};
use crossover::platform;

/// Every file, by the name that takes its place on the command line.
const READY: [(&str, &str); 15] = [
    ("unique-data", include_str!("../../sweeps/unique-data.toml")),
    ("onset", include_str!("../../sweeps/onset.toml")),
    (
        "data-quality",
        include_str!("../../sweeps/data-quality.toml"),
    ),
    ("model-size", include_str!("../../sweeps/model-size.toml")),
    ("sparsity", include_str!("../../sweeps/sparsity.toml")),
    (
        "ar-input-mask",
        include_str!("../../sweeps/ar-input-mask.toml"),
    ),
    ("ar-dropout", include_str!("../../sweeps/ar-dropout.toml")),
    (
        "long-repetition",
        include_str!("../../sweeps/long-repetition.toml"),
    ),
    ("code", include_str!("../../sweeps/code.toml")),
    (
        "loss-formulation",
        include_str!("../../sweeps/loss-formulation.toml"),
    ),
    ("fair-ar", include_str!("../../sweeps/fair-ar.toml")),
    (
        "fair-ar-grids",
        include_str!("../../sweeps/fair-ar-grids.toml"),
    ),
    (
        "fair-ar-text",
        include_str!("../../sweeps/fair-ar-text.toml"),
    ),
    ("dual", include_str!("../../sweeps/dual.toml")),
    ("order", include_str!("../../sweeps/order.toml")),
];

/// A sweep's name, where its text is from, and the text: of a file, or of one of the names above; a folder may have such a name,
/// as what a sweep makes often has.
///
/// # Errors
/// When there is no such file and none of that name comes with the program.
pub fn find(typed: &Path) -> Result<(String, PathBuf, String)> {
    let shown = typed.display().to_string();
    if let Some((name, text)) = READY.iter().find(|(name, _)| *name == shown)
        && !typed.is_file()
    {
        let path = PathBuf::from(format!("{name}.toml"));
        return Ok(((*name).to_owned(), path, (*text).to_owned()));
    }
    if !typed.exists() {
        let error = Error::input(format!("there is no file `{shown}`"));
        return Err(match nearest(&shown, READY.iter().map(|(name, _)| *name)) {
            Some(near) => error.with_hint(format!("did you mean the sweep `{near}`?")),
            None => error.with_hint(format!("give a TOML file, or one of\n{}", list())),
        });
    }
    let text = String::from_utf8(platform::read_file(&shown)?).map_err(|error| {
        Error::input(format!("`{shown}` is no text"))
            .with_source(error)
            .with_hint("a sweep is a TOML file")
    })?;
    let name = typed.file_stem().unwrap_or_default().to_string_lossy();
    Ok((name.into_owned(), typed.to_owned(), text))
}

/// A line for each.
pub fn list() -> String {
    let lines: Vec<String> = READY
        .iter()
        .map(|(name, text)| {
            let first = text.lines().next().unwrap_or_default();
            format!("  {name:<18}{}", first.trim_start_matches('#').trim())
        })
        .collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sweep::file::read;

    #[test]
    fn every_sweep_is_one_at_every_scale_and_says_what_it_takes() {
        let text = ["book.txt".to_owned()];
        for (name, content) in READY {
            let corpus = matches!(name, "code" | "fair-ar-text").then_some(&text[..]);
            for scale in ["cpu", "gpu", "paper"] {
                let sweep = read(Path::new(name), content, scale, corpus)
                    .unwrap_or_else(|error| panic!("{scale}: {error}"));
                assert!(sweep.points.len() > 1, "{name} compares nothing");
                assert!(sweep.about.contains("minutes"), "{name}: {}", sweep.about);
            }
        }
    }
}

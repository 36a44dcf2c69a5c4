//! Named configurations: commented TOML files of differences from the defaults, compiled in from `trainer/configs/`.
//!
//! The comment at the top of a file describes it; its first line (what it trains, how long that takes, what it promises)
//! is what `--help` shows.

use crossover::error::{Error, Result, nearest};
use crossover::train::RunConfig;

/// A named configuration.
#[derive(Debug)]
pub struct Preset {
    /// What `--preset` calls it.
    pub name: &'static str,
    /// Its file.
    text: &'static str,
}

/// Every preset.
pub static PRESETS: [Preset; 4] = [
    Preset {
        name: "grids",
        text: include_str!("../configs/grids.toml"),
    },
    Preset {
        name: "tales",
        text: include_str!("../configs/tales.toml"),
    },
    Preset {
        name: "shakespeare-like",
        text: include_str!("../configs/shakespeare-like.toml"),
    },
    Preset {
        name: "code",
        text: include_str!("../configs/code.toml"),
    },
];

/// The paper's runs: configurations that no laptop trains.
pub static PAPER: [Preset; 4] = [
    Preset {
        name: "paper-1b",
        text: include_str!("../configs/paper-1b.toml"),
    },
    Preset {
        name: "paper-1.7b",
        text: include_str!("../configs/paper-1.7b.toml"),
    },
    Preset {
        name: "paper-8b",
        text: include_str!("../configs/paper-8b.toml"),
    },
    Preset {
        name: "paper-8b1a",
        text: include_str!("../configs/paper-8b1a.toml"),
    },
];

impl Preset {
    /// What it trains, how long that takes and what it promises, in a line.
    pub fn summary(&self) -> &'static str {
        let first = self.text.lines().next().unwrap_or_default();
        first.trim_start_matches('#').trim()
    }

    /// The differences.
    ///
    /// # Errors
    /// Never for a file that the tests have read.
    pub fn table(&self) -> Result<toml::Table> {
        self.text.parse().map_err(|error: toml::de::Error| {
            Error::work(format!("preset `{}` is no TOML", self.name)).with_source(error)
        })
    }

    /// The whole configuration, without a text where the reader is to name one.
    ///
    /// # Errors
    /// Never for a file that the tests have read.
    pub fn config(&self) -> Result<RunConfig> {
        RunConfig::from_toml(self.text, &format!("preset {}", self.name))
    }

    /// Whether the reader has to bring the text.
    ///
    /// # Errors
    /// As [`Preset::table`].
    pub fn needs_text(&self) -> Result<bool> {
        Ok(!names_text(&self.table()?))
    }
}

/// Whether a configuration says which text it is about.
pub fn names_text(table: &toml::Table) -> bool {
    table
        .get("corpus")
        .is_some_and(|corpus| corpus.get("source").is_some())
}

/// The preset of a name, the paper's too.
///
/// # Errors
/// As for [`find`].
pub fn find_any(name: &str) -> Result<&'static Preset> {
    match PAPER.iter().find(|preset| preset.name == name) {
        Some(preset) => Ok(preset),
        None => find(name, &PAPER.each_ref().map(|preset| preset.name)),
    }
}

/// The preset of a name; `others` are names that are known here too.
///
/// # Errors
/// When there is none: names the nearest, or lists them all.
pub fn find(name: &str, others: &[&'static str]) -> Result<&'static Preset> {
    PRESETS
        .iter()
        .find(|preset| preset.name == name)
        .ok_or_else(|| {
            let ours = PRESETS.iter().map(|preset| preset.name);
            let names = ours.chain(others.iter().copied());
            let error = Error::input(format!("there is no preset `{name}`"));
            match nearest(name, names) {
                Some(near) => error.with_hint(format!("did you mean `{near}`?")),
                None => {
                    let others: String = others.iter().map(|name| format!("\n  {name}")).collect();
                    error.with_hint(format!("one of\n{}{others}", list()))
                }
            }
        })
}

/// A line for each preset.
pub fn list() -> String {
    let lines: Vec<String> = PRESETS
        .iter()
        .map(|preset| format!("  {:<18}{}", preset.name, preset.summary()))
        .collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_is_a_valid_configuration_and_says_what_it_promises() {
        for preset in &PRESETS {
            let config = preset.config().expect("a configuration");
            config.check().expect("valid values");
            assert_eq!(config.objectives.len(), 2, "{} is a race", preset.name);
            let summary = preset.summary();
            assert!(preset.text.starts_with("# ") && !summary.is_empty());
            for said in [" core", "cross"] {
                assert!(summary.contains(said), "{}: {summary}", preset.name);
            }
            assert!(list().contains(summary));
        }
        let brings = |name| !find(name, &[]).expect("known").needs_text().expect("TOML");
        assert!(brings("grids") && brings("tales"));
        assert!(!brings("shakespeare-like") && !brings("code"));
    }

    #[test]
    fn the_grids_preset_is_the_default_race() {
        let mut config = find("grids", &[]).expect("known").config().expect("valid");
        config.corpus.unique = None;
        assert_eq!(config, RunConfig::default());
    }

    #[test]
    fn an_unknown_preset_is_corrected_or_told_what_there_is() {
        let hint = |name| {
            find(name, &["paper-1b"])
                .expect_err("unknown")
                .hint()
                .map(str::to_owned)
        };
        assert_eq!(hint("grid").as_deref(), Some("did you mean `grids`?"));
        assert_eq!(hint("paper-1").as_deref(), Some("did you mean `paper-1b`?"));
        let all = hint("zzzzzzzzzzzzzzzzzzzzzzzzzz").expect("a hint");
        assert!(
            all.contains("\n  grids ") && all.contains("\n  paper-1b"),
            "{all}"
        );
    }
}

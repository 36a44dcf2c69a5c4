//! What a run will be: a [`RunConfig`] under edit, with the names, ranges and defaults that people see.
//!
//! [`Field`] is one number of it, [`preset`] where edits begin, [`share`] the link that restores it elsewhere.

pub mod field;
pub mod preset;
pub mod share;

use crossover::objective::Objective;
use crossover::train::RunConfig;

pub use field::Field;
pub use preset::Preset;

/// Where text comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// Latin squares: every row and column has each symbol once.
    Grids,
    /// Short tales of a grammar.
    Tales,
    /// A chain whose entropy is known.
    Markov,
    /// A text of one's own.
    Own,
}

impl Source {
    /// Every source.
    pub const ALL: [Self; 4] = [Self::Grids, Self::Tales, Self::Markov, Self::Own];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Grids => "Grids",
            Self::Tales => "Tales",
            Self::Markov => "Markov",
            Self::Own => "My text…",
        }
    }

    /// What it is, in a line.
    pub fn explain(self) -> &'static str {
        match self {
            Self::Grids => "5×5 Latin squares: each row and column holds 1 to 5 once.",
            Self::Tales => "Short made-up stories with characters, places and a moral.",
            Self::Markov => {
                "Three letters from a known chain: the lowest possible loss is known exactly."
            }
            Self::Own => "A text of yours. It stays on this device.",
        }
    }
}

/// The built-in chain: the reference of the exactness tests, whose six-letter windows have 0.7156 nats a token.
pub const CHAIN: &str =
    "transition = [[0.8, 0.15, 0.05], [0.1, 0.8, 0.1], [0.25, 0.05, 0.7]]\nsymbols = \"abc\"\n";
/// What the built-in chain is kept as.
pub const CHAIN_FILE: &str = "reference-chain.toml";

/// A text of one's own, once the lab keeps it.
#[derive(Debug, Clone, PartialEq)]
pub struct OwnText {
    /// What the file was called.
    pub name: String,
    /// What names it for the lab.
    pub path: String,
    /// Its size.
    pub bytes: usize,
    /// SHA-256 of its content, hexadecimal: what a link names it by.
    pub hash: String,
}

/// A run under edit.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    /// Where the edits began.
    pub preset: Preset,
    /// Where text comes from.
    pub source: Source,
    /// Everything else. Its source is filled in by [`Draft::config`].
    pub edited: RunConfig,
    /// Where the lab keeps the built-in chain, once it does.
    pub chain: Option<String>,
    /// The own text, once there is one.
    pub own: Option<OwnText>,
    /// The hash of an own text that a link asks for.
    pub wanted: Option<String>,
}

impl Default for Draft {
    fn default() -> Self {
        Self::of(Preset::Quick)
    }
}

impl Draft {
    /// As a preset has it.
    pub fn of(preset: Preset) -> Self {
        let (source, edited) = preset.begin();
        Self {
            preset,
            source,
            edited,
            chain: None,
            own: None,
            wanted: None,
        }
    }

    /// The settings of a run that there is.
    pub fn of_run(config: &RunConfig) -> Self {
        let name = config.corpus.source.first().map_or("", String::as_str);
        let source = match name {
            grids if grids.starts_with("grids:") => Source::Grids,
            "tales" => Source::Tales,
            chain if chain.starts_with("markov:") => Source::Markov,
            _ => Source::Own,
        };
        let mut draft = Self::of(Preset::Custom);
        draft.take_from(source);
        let hash = config.corpus.hash.clone();
        draft.edited = RunConfig {
            provenance: None,
            ..config.clone()
        };
        draft.edited.corpus.source = RunConfig::default().corpus.source;
        draft.edited.corpus.hash = None;
        if source == Source::Own {
            draft.own = Some(OwnText {
                name: name.rsplit(['/', '\\']).next().unwrap_or(name).to_owned(),
                path: name.to_owned(),
                bytes: 0,
                hash: hash.unwrap_or_default(),
            });
        }
        draft
    }

    /// Begins again from a preset, keeping what the lab keeps.
    pub fn choose(&mut self, preset: Preset) {
        self.preset = preset;
        if preset != Preset::Custom {
            (self.source, self.edited) = preset.begin();
        }
    }

    /// Takes text from elsewhere; what only made sense for the old source goes.
    pub fn take_from(&mut self, source: Source) {
        if self.source == source {
            return;
        }
        self.source = source;
        self.preset = Preset::Custom;
        let corpus = &mut self.edited.corpus;
        corpus.unique = None;
        corpus.held_out = None;
        corpus.hash = None;
        corpus.length = match source {
            Source::Grids => None,
            _ => Some(corpus.length.unwrap_or(64)),
        };
        self.edited.train.batch = match source {
            Source::Grids => RunConfig::default().train.batch,
            _ => 32,
        };
        if source == Source::Own && self.edited.corpus.tokenizer.is_none() {
            self.edited.corpus.tokenizer = Some("char".to_owned());
        }
        if matches!(source, Source::Grids | Source::Markov) {
            self.edited.corpus.tokenizer = None;
        }
        self.edited.objective.block_size = None;
    }

    /// The run that is asked for; `None` while its text is missing.
    pub fn config(&self) -> Option<RunConfig> {
        let mut config = self.edited.clone();
        config.corpus.source = vec![match self.source {
            Source::Grids => "grids:latin-5".to_owned(),
            Source::Tales => "tales".to_owned(),
            Source::Markov => format!("markov:{}", self.chain.as_ref()?),
            Source::Own => {
                let kept = self.own.as_ref().filter(|own| !own.path.is_empty());
                kept?.path.clone()
            }
        }];
        Some(config)
    }

    /// Whether anything differs from where the edits began.
    pub fn is_changed(&self) -> bool {
        self.second() != Objective::Masked || Field::ALL.iter().any(|field| field.is_changed(self))
    }

    /// What these settings would be without edits.
    pub fn pristine(&self) -> Self {
        let mut pristine = Self::of(self.preset);
        if self.preset == Preset::Custom {
            pristine.take_from(self.source);
        }
        pristine
    }

    /// The second racer.
    pub fn second(&self) -> Objective {
        self.edited
            .objectives
            .get(1)
            .copied()
            .unwrap_or(Objective::Masked)
    }

    /// Chooses the second racer.
    pub fn race_against(&mut self, second: Objective) {
        self.edited.objectives = vec![Objective::Autoregressive, second];
        self.edited.objective.block_size = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_quick_race_is_the_command_lines_default() {
        assert_eq!(
            Draft::of(Preset::Quick).config(),
            Some(RunConfig::default())
        );
    }

    #[test]
    fn a_run_needs_its_text() {
        let mut draft = Draft::of(Preset::Markov);
        assert_eq!(draft.config(), None);
        draft.chain = Some("runs/texts/chain.toml".to_owned());
        let config = draft.config().unwrap();
        assert_eq!(config.corpus.source, ["markov:runs/texts/chain.toml"]);
        assert!(config.check().is_ok());
        draft.take_from(Source::Own);
        assert_eq!(draft.config(), None);
    }

    #[test]
    fn another_source_asks_for_its_own_amounts() {
        let mut draft = Draft::of(Preset::Quick);
        draft.take_from(Source::Tales);
        assert_eq!(draft.preset, Preset::Custom);
        assert_eq!(Field::Unique.get(&draft), 50_000.0);
        assert_eq!(Field::Context.get(&draft), 64.0);
        assert_eq!(Field::Batch.get(&draft), 32.0);
        assert_eq!(draft, Draft { ..draft.pristine() });
    }
}

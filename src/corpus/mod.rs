//! Text to tokens: what a model may train on, what it is measured on, and in which order it sees it.
//!
//! A [`CorpusConfig`] and a seed enter; a [`Corpus`] leaves: a budget of unique training tokens, and validation and
//! test windows that share nothing with it. Text files are cut by position, Markov chains write three independent
//! streams, grids are drawn without replacement. For the generated two, the entropy of the source is known: it is what
//! a perfect model would score. [`EpochOrder`] says which training window comes when.
//!
//! The same configuration and seed give the same tokens on every machine and in the browser. This room knows nothing
//! of masks in training, of models or of devices.

mod config;
mod grids;
mod markov;
mod order;
mod tales;
mod text;
mod tokenizer;

use std::collections::HashSet;
use std::sync::OnceLock;

use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::platform;

pub use config::CorpusConfig;
pub use grids::Grid;
pub use markov::MarkovChain;
pub use order::{EpochOrder, TrainingData};
pub use tales::Tales;
pub use tokenizer::{Alphabet, Bpe, Encoder, Tokenizer, piece_length};

/// Tokens in a window of text or of a Markov chain, unless the configuration says otherwise.
pub const DEFAULT_LENGTH: usize = 64;

/// The most tokens a generated source writes: its three parts are held in memory, and 2^28 tokens fill a gibibyte.
const MOST_GENERATED: u64 = 1 << 28;

/// A text, tokenized and cut into three parts.
#[derive(Debug, Clone)]
pub struct Corpus {
    /// The configuration with every automatic field filled in and, natively, absolute paths.
    pub config: CorpusConfig,
    /// Between text and ids.
    pub tokenizer: Tokenizer,
    /// The unique tokens to train on.
    pub train: TrainingData,
    /// Selects checkpoints and draws curves.
    pub validation: Windows,
    /// Measured once, at the end.
    pub test: Windows,
    /// Entropy of a window of the source, in nats per token: the expected loss of a perfect model. Unknown for text.
    pub floor_nats: Option<f64>,
    /// The kind of grid, when each window is one.
    pub grid: Option<Grid>,
    /// The chain, when the source is one.
    pub chain: Option<MarkovChain>,
    training_windows: OnceLock<HashSet<Box<[u32]>>>,
}

/// What a source makes of a configuration; the lengths of the parts are the resolved budgets.
struct Parts {
    tokenizer: Tokenizer,
    length: usize,
    train: Vec<u32>,
    validation: Vec<u32>,
    test: Vec<u32>,
    floor_nats: Option<f64>,
    grid: Option<Grid>,
    chain: Option<MarkovChain>,
}

/// What [`CorpusConfig::source`] names.
enum Source<'a> {
    Grids(&'a str),
    Markov(&'a str),
    Text(&'a [String]),
}

impl<'a> Source<'a> {
    fn of(config: &'a CorpusConfig) -> Result<Self> {
        match config.source.as_slice() {
            [] => Err(Error::input("no text was given")
                .with_hint("name a text file, `markov:FILE.toml` or `grids:latin-5`")),
            [only] => Ok(if let Some(name) = only.strip_prefix(GRIDS) {
                Self::Grids(name)
            } else if let Some(file) = only.strip_prefix(MARKOV) {
                Self::Markov(file)
            } else {
                Self::Text(&config.source)
            }),
            several => {
                let generated =
                    |name: &&String| name.starts_with(GRIDS) || name.starts_with(MARKOV);
                match several.iter().find(generated) {
                    Some(name) => Err(Error::input(format!(
                        "`{name}` can't be mixed with another source"
                    ))
                    .with_hint("give it alone, or give text files only")),
                    None => Ok(Self::Text(several)),
                }
            }
        }
    }
}

const GRIDS: &str = "grids:";
const MARKOV: &str = "markov:";

impl Corpus {
    /// Reads or generates the text that `config` names.
    ///
    /// # Errors
    /// When a file can't be read, and everything that [`Corpus::from_text`] refuses.
    pub fn load(config: &CorpusConfig, seed: u64) -> Result<Self> {
        let mut text = Vec::new();
        let source = match Source::of(config)? {
            Source::Grids(_) => config.source.clone(),
            Source::Markov(file) => {
                text = platform::read_file(file)?;
                vec![format!("{MARKOV}{}", absolute(file))]
            }
            Source::Text(files) => {
                for file in files {
                    text.extend(platform::read_file(file)?);
                }
                files.iter().map(|file| absolute(file)).collect()
            }
        };
        let config = CorpusConfig {
            source,
            ..config.clone()
        };
        Self::from_text(&config, &text, seed)
    }

    /// The corpus of a text that is already in memory; what is in `config.source` is its name. For `markov:` the text
    /// is the TOML file, for `grids:` it is ignored.
    ///
    /// # Errors
    /// Input errors: the text is not the one `config.hash` was made from, is no text, or is too short for the
    /// budgets; a budget is less than a window; the chain or the kind of grid is not valid.
    pub fn from_text(config: &CorpusConfig, text: &[u8], seed: u64) -> Result<Self> {
        if config.length == Some(0) {
            return Err(Error::input("a window of 0 tokens holds nothing")
                .with_hint("`--length` is at least 1"));
        }
        let source = Source::of(config)?;
        let content = match source {
            Source::Grids(name) => name.as_bytes(),
            Source::Markov(_) | Source::Text(_) => text,
        };
        let hash = hex::encode(Sha256::digest(content));
        if config
            .hash
            .as_ref()
            .is_some_and(|began_with| *began_with != hash)
        {
            return Err(Error::input(format!(
                "the text changed since this run began: {}",
                config.source.join(", ")
            ))
            .with_hint("put the old text back, or begin a new run"));
        }

        let parts = match source {
            Source::Grids(name) => grids::parts(config, name, seed)?,
            Source::Markov(file) => markov::parts(config, file, text, seed)?,
            Source::Text(_) => text::parts(config, text)?,
        };
        Ok(Self {
            config: CorpusConfig {
                length: Some(parts.length),
                unique: Some(parts.train.len() as u64),
                held_out: Some(parts.validation.len() as u64),
                hash: Some(hash),
                ..config.clone()
            },
            tokenizer: parts.tokenizer,
            train: TrainingData {
                tokens: parts.train.into(),
                length: parts.length,
                aligned: parts.grid.is_some(),
            },
            validation: Windows::new(parts.validation, parts.length),
            test: Windows::new(parts.test, parts.length),
            floor_nats: parts.floor_nats,
            grid: parts.grid,
            chain: parts.chain,
            training_windows: OnceLock::new(),
        })
    }

    /// Tokens in a window.
    pub fn length(&self) -> usize {
        self.train.length
    }

    /// Whether training may ever show exactly this window: for grids, whether it is among the training grids.
    pub fn is_training_window(&self, window: &[u32]) -> bool {
        if window.len() != self.train.length {
            return false;
        }
        if !self.train.aligned {
            return self
                .train
                .tokens
                .windows(window.len())
                .any(|seen| seen == window);
        }
        self.training_windows
            .get_or_init(|| {
                let windows = self.train.tokens.chunks_exact(self.train.length);
                windows.map(Box::from).collect()
            })
            .contains(window)
    }
}

/// Consecutive windows that are measured, never trained on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Windows {
    /// The tokens, window after window; a rest shorter than a window is not used.
    pub tokens: Vec<u32>,
    /// Tokens in a window.
    pub length: usize,
}

impl Windows {
    /// Cuts tokens into windows.
    ///
    /// # Panics
    /// If `length` is 0.
    pub fn new(tokens: Vec<u32>, length: usize) -> Self {
        assert!(length > 0, "a window holds at least one token");
        Self { tokens, length }
    }

    /// Number of windows.
    pub fn len(&self) -> usize {
        self.tokens.len() / self.length
    }

    /// Whether there is no window.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The window of this number.
    ///
    /// # Panics
    /// If `index` is not below [`Windows::len`].
    pub fn window(&self, index: usize) -> &[u32] {
        &self.tokens[index * self.length..(index + 1) * self.length]
    }

    /// Every window in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u32]> {
        self.tokens.chunks_exact(self.length)
    }

    /// How many windows to measure when at most `limit` are asked for: the first so many.
    pub fn count(&self, limit: usize) -> usize {
        self.len().min(limit)
    }
}

/// The path as another working directory would have to name it; as given where there are no directories.
fn absolute(path: &str) -> String {
    std::path::absolute(path)
        .ok()
        .and_then(|path| path.into_os_string().into_string().ok())
        .unwrap_or_else(|| path.to_owned())
}

/// A budget in tokens, refused when not even one window fits in.
fn at_least_a_window(flag: &str, tokens: u64, length: usize) -> Result<u64> {
    if tokens < length as u64 {
        return Err(Error::input(format!(
            "`{flag} {tokens}` is less than one window of {length} tokens"
        ))
        .with_hint(format!("give at least {length}")));
    }
    Ok(tokens)
}

/// Refuses what a generated source could write but memory could not hold.
fn at_most_generated(unique: u64, held_out: u64) -> Result<()> {
    let tokens = unique.saturating_add(held_out.saturating_mul(2));
    if tokens > MOST_GENERATED {
        return Err(Error::input(format!(
            "{tokens} tokens (`--unique` and twice `--held-out`) are more than the {MOST_GENERATED} that are generated \
             at once"
        ))
        .with_hint("give less `--unique` or `--held-out`"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    fn text_config(name: &str) -> CorpusConfig {
        CorpusConfig {
            source: vec![name.to_owned()],
            length: Some(4),
            ..CorpusConfig::default()
        }
    }

    #[test]
    fn a_loaded_corpus_resumes_from_its_own_configuration() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        std::fs::write(path("a.txt"), "first part, ").unwrap();
        std::fs::write(path("b.txt"), "second part; and then some more").unwrap();
        std::fs::write(path("m.toml"), "transition = [[0, 1], [0.5, 0.5]]").unwrap();
        let texts = CorpusConfig {
            source: vec![path("a.txt"), path("b.txt")],
            ..text_config("")
        };
        let chain = text_config(&format!("markov:{}", path("m.toml")));
        for config in [texts, chain, CorpusConfig::default()] {
            let first = Corpus::load(&config, 7).unwrap();
            let again = Corpus::load(&first.config, 7).unwrap();
            assert_eq!(again.config, first.config);
            assert_eq!(again.train, first.train);
            assert_eq!(again.validation, first.validation);
            assert_eq!(again.test, first.test);
            assert!(first.config.length.is_some() && first.config.hash.is_some());
        }
    }

    #[test]
    fn a_relative_path_becomes_absolute() {
        let config = text_config("Cargo.toml");
        let corpus = Corpus::load(&config, 1).unwrap();
        assert!(std::path::Path::new(&corpus.config.source[0]).is_absolute());
    }

    #[test]
    fn a_changed_text_is_refused() {
        let config = text_config("pasted");
        let corpus = Corpus::from_text(&config, b"some text long enough", 1).unwrap();
        let error = Corpus::from_text(&corpus.config, b"some text long enougH", 1).unwrap_err();
        assert_eq!(error.kind(), Kind::Input);
        assert!(
            error
                .to_string()
                .contains("the text changed since this run began")
        );
    }

    #[test]
    fn bad_sources_are_input_errors() {
        let sources: [&[&str]; 4] = [
            &[],
            &["no/such/file.txt"],
            &["grids:latin-5", "a.txt"],
            &["a.txt", "markov:m.toml"],
        ];
        for source in sources {
            let config = CorpusConfig {
                source: source.iter().map(|&name| name.to_owned()).collect(),
                ..CorpusConfig::default()
            };
            assert_eq!(
                Corpus::load(&config, 1).unwrap_err().kind(),
                Kind::Input,
                "{source:?}"
            );
        }
        let config = CorpusConfig {
            length: Some(0),
            ..text_config("pasted")
        };
        assert_eq!(
            Corpus::from_text(&config, b"text", 1).unwrap_err().kind(),
            Kind::Input
        );
    }

    #[test]
    fn training_windows_are_recognised() {
        let config = CorpusConfig {
            unique: Some(10),
            ..text_config("pasted")
        };
        let corpus = Corpus::from_text(&config, b"abcdefghijklmnopqrstuvwxyz", 1).unwrap();
        let encode = |text: &str| corpus.tokenizer.encode(text).unwrap();
        assert!(corpus.is_training_window(&encode("defg")));
        assert!(
            !corpus.is_training_window(&encode("hijk")),
            "its last token is outside the budget"
        );
        assert!(
            !corpus.is_training_window(&encode("def")),
            "not a whole window"
        );

        let grids = Corpus::load(&CorpusConfig::default(), 1).unwrap();
        let grid = &grids.train.tokens[25..50];
        assert!(grids.is_training_window(grid));
        assert!(
            !grids.is_training_window(&grids.train.tokens[5..30]),
            "a window is one grid"
        );
    }

    #[test]
    fn windows_are_whole_and_limited() {
        let windows = Windows::new((0..11).collect(), 4);
        assert_eq!(windows.len(), 2);
        assert_eq!(windows.window(1), [4, 5, 6, 7]);
        assert_eq!(windows.iter().len(), 2);
        assert_eq!((windows.count(1), windows.count(9)), (1, 2));
        assert!(Windows::new(vec![0; 3], 4).is_empty());
    }
}

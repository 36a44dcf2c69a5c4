//! Text to tokens: what a model may train on, what it is measured on, and in which order it sees it.
//!
//! A [`CorpusConfig`] and a seed enter; a [`Corpus`] leaves: a budget of unique training tokens, and validation and
//! test windows that share nothing with it. Files and folders are documents, which a [`Survey`] finds and a tokenizer
//! cuts into a store of tokens, in memory or in shards on disk; documents are shared out whole, and a single text is
//! cut by position. Tales and Markov chains write independent streams, grids are drawn without replacement; of these
//! three the entropy of the source is known: it is what a perfect model would score. [`EpochOrder`] says which training
//! window comes when. A [`Task`] is text of another kind: questions whose answers are known.
//!
//! The same configuration and seed give the same tokens on every machine and in the browser. This room knows nothing
//! of masks in training, of models or of devices.

mod config;
mod disturb;
mod documents;
mod duplicates;
mod files;
mod grids;
mod known;
mod markov;
mod mixture;
mod order;
mod permutation;
mod records;
mod shards;
mod store;
mod stories;
mod tales;
mod tasks;
mod text;
mod tokenizer;

use std::collections::HashSet;
use std::sync::OnceLock;

use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::platform;

pub use config::{CorpusConfig, Order};
pub use documents::{DOCUMENT_END, encode_documents};
pub use duplicates::{MOST_COMPARED, NEAR, NearDuplicates, NearPair};
pub use files::{CODE_EXTENSIONS, Survey, Unreadable};
pub use grids::Grid;
pub use known::Judged;
pub use markov::MarkovChain;
pub use mixture::Share;
pub use order::{EpochOrder, TrainingData};
pub use shards::{ShardIndex, TOKENS_PER_SHARD, write_shards};
pub use store::Tokens;
pub use tales::Tales;
pub use tasks::{Gap, MultipleChoice, Task};
pub use tokenizer::{Alphabet, Bpe, Exported, Numbering, Tokenizer, piece_length};

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
    /// Documents of the whole source, copies not counted; of tales, the stories that were drawn. Other sources have none.
    pub documents: Option<usize>,
    /// Lowest expected loss, nats per token, where the source is known: for Markov chains and grids the entropy of a
    /// window, which a perfect model scores; for tales the entropy rate, which it nears as windows grow.
    pub floor_nats: Option<f64>,
    /// The kind of grid, when each window is one.
    pub grid: Option<Grid>,
    /// The chain, when the source is one.
    pub chain: Option<MarkovChain>,
    /// The grammar, when the source is tales.
    pub tales: Option<Tales>,
    /// What a person should know of the text, a sentence each: files that were left out, documents held out that are
    /// nearly the same as some to train on.
    pub notices: Vec<String>,
    training_windows: OnceLock<HashSet<Box<[u32]>>>,
}

/// What a source makes of a configuration; the lengths of the parts are the resolved budgets.
struct Parts {
    tokenizer: Tokenizer,
    /// Its name, where the source lets one choose.
    tokenizer_name: Option<String>,
    length: usize,
    train: Tokens,
    /// Where they come from, where several sources are mixed.
    shares: Vec<Share>,
    validation: Vec<u32>,
    test: Vec<u32>,
    documents: Option<usize>,
    floor_nats: Option<f64>,
    grid: Option<Grid>,
    chain: Option<MarkovChain>,
    tales: Option<Tales>,
    /// SHA-256 of the content.
    hash: String,
    notices: Vec<String>,
}

impl Parts {
    /// Nothing yet but a tokenizer and a length.
    fn of(tokenizer: Tokenizer, length: usize) -> Self {
        Self {
            tokenizer,
            tokenizer_name: None,
            length,
            train: Vec::new().into(),
            shares: Vec::new(),
            validation: Vec::new(),
            test: Vec::new(),
            documents: None,
            floor_nats: None,
            grid: None,
            chain: None,
            tales: None,
            hash: String::new(),
            notices: Vec::new(),
        }
    }
}

/// What [`CorpusConfig::source`] names.
enum Source<'a> {
    Tales,
    Grids(&'a str),
    Markov(&'a str),
    Text(&'a [String]),
}

impl<'a> Source<'a> {
    fn of(config: &'a CorpusConfig) -> Result<Self> {
        match config.source.as_slice() {
            [] => Err(Error::input("no text was given").with_hint(
                "name a file or folder, `tales`, `markov:FILE.toml` or `grids:latin-5`",
            )),
            [only] => {
                let source = if only == TALES {
                    Self::Tales
                } else if let Some(name) = only.strip_prefix(GRIDS) {
                    Self::Grids(name)
                } else if let Some(file) = only.strip_prefix(MARKOV) {
                    Self::Markov(file)
                } else {
                    Self::Text(&config.source)
                };
                match source {
                    Self::Text(_) => Ok(source),
                    _ if config.mixture.is_empty() => Ok(source),
                    _ => Err(Error::input(format!("`{only}` can't be part of a mixture"))
                        .with_hint("leave `--mixture` out, or give files and folders")),
                }
            }
            several => {
                let generated = |name: &&String| {
                    *name == TALES || name.starts_with(GRIDS) || name.starts_with(MARKOV)
                };
                match several.iter().find(generated) {
                    Some(name) => Err(Error::input(format!(
                        "`{name}` can't be mixed with another source"
                    ))
                    .with_hint("give it alone, or give files and folders only")),
                    None => Ok(Self::Text(several)),
                }
            }
        }
    }
}

const TALES: &str = "tales";
const GRIDS: &str = "grids:";
const MARKOV: &str = "markov:";

impl Corpus {
    /// Reads or generates the text that `config` names.
    ///
    /// # Errors
    /// When a file can't be read, and everything that [`Corpus::from_text`] refuses.
    pub fn load(config: &CorpusConfig, seed: u64) -> Result<Self> {
        let found = |source| CorpusConfig {
            source,
            ..config.clone()
        };
        match Source::of(config)? {
            Source::Tales | Source::Grids(_) => Self::from_text(config, b"", seed),
            Source::Markov(file) => {
                let text = platform::read_file(file)?;
                let source = format!("{MARKOV}{}", absolute(file));
                Self::from_text(&found(vec![source]), &text, seed)
            }
            Source::Text(paths) => {
                window_holds_something(config)?;
                let parts = match config.mixture.is_empty() {
                    true => text::parts(config, texts(config, paths)?, seed)?,
                    false => mixture::parts(config, seed)?,
                };
                let source = paths.iter().map(|path| absolute(path)).collect();
                Self::of_parts(&found(source), parts, seed)
            }
        }
    }

    /// The corpus of a text that is already in memory; what is in `config.source` is its name. For `markov:` the text
    /// is the TOML file, for `grids:` and `tales` it is ignored.
    ///
    /// # Errors
    /// Input errors: the text is not the one `config.hash` was made from, is no text, or is too short for the
    /// budgets; a budget is less than a window; the chain or the kind of grid is not valid.
    pub fn from_text(config: &CorpusConfig, text: &[u8], seed: u64) -> Result<Self> {
        window_holds_something(config)?;
        let parts = match Source::of(config)? {
            Source::Tales => Parts {
                hash: unchanged(config, hash(TALES.as_bytes()))?,
                ..stories::parts(config, seed)?
            },
            Source::Grids(name) => Parts {
                hash: unchanged(config, hash(name.as_bytes()))?,
                ..grids::parts(config, name, seed)?
            },
            Source::Markov(file) => Parts {
                hash: unchanged(config, hash(text))?,
                ..markov::parts(config, file, text, seed)?
            },
            Source::Text(_) => {
                let survey = Survey::of_text(config, text)?;
                unchanged(config, survey.hash.clone())?;
                text::parts(config, survey.tokenize(config)?, seed)?
            }
        };
        Self::of_parts(config, parts, seed)
    }

    fn of_parts(config: &CorpusConfig, parts: Parts, seed: u64) -> Result<Self> {
        let parts = parts
            .with_noise(config.noise, seed)?
            .in_order(config.order, seed)?;
        // What a mixture was asked for is shared out again when it is resumed; what came of it can't be.
        let (unique, held_out) = match parts.shares.is_empty() {
            true => (
                Some(parts.train.len() as u64),
                Some(parts.validation.len() as u64),
            ),
            false => (config.unique, config.held_out),
        };
        Ok(Self {
            config: CorpusConfig {
                tokenizer: parts.tokenizer_name.or_else(|| config.tokenizer.clone()),
                length: Some(parts.length),
                unique,
                held_out,
                hash: Some(parts.hash),
                ..config.clone()
            },
            train: TrainingData {
                tokens: parts.train,
                length: parts.length,
                aligned: parts.grid.is_some() || config.order != Order::Reading,
                shares: parts.shares,
            },
            tokenizer: parts.tokenizer,
            validation: Windows::new(parts.validation, parts.length),
            test: Windows::new(parts.test, parts.length),
            documents: parts.documents,
            floor_nats: parts.floor_nats,
            grid: parts.grid,
            chain: parts.chain,
            tales: parts.tales,
            notices: parts.notices,
            training_windows: OnceLock::new(),
        })
    }

    /// Tokens in a window.
    pub fn length(&self) -> usize {
        self.train.length
    }

    /// Whether training may ever show exactly this window: for grids, whether it is among the training grids.
    pub fn is_training_window(&self, window: &[u32]) -> bool {
        let length = self.train.length;
        if window.len() != length {
            return false;
        }
        // A stretch holds every window that begins in it.
        let step = STRETCH_WINDOWS * length;
        if !self.train.aligned {
            return self
                .train
                .tokens
                .stretches(step, length - 1)
                .any(|stretch| stretch.windows(length).any(|seen| seen == window));
        }
        self.training_windows
            .get_or_init(|| {
                let stretches = self.train.tokens.stretches(step, 0);
                stretches
                    .flat_map(|stretch| {
                        stretch
                            .chunks_exact(length)
                            .map(Box::from)
                            .collect::<Vec<_>>()
                    })
                    .collect()
            })
            .contains(window)
    }
}

/// Windows that are read at once when all are looked at.
const STRETCH_WINDOWS: usize = 4_096;

/// Files and folders of text, or one folder of shards.
fn texts(config: &CorpusConfig, paths: &[String]) -> Result<text::Texts> {
    if let [folder] = paths
        && shards::is_folder_of_shards(folder)?
    {
        let texts = shards::open(config, folder)?;
        unchanged(config, texts.hash.clone())?;
        return Ok(texts);
    }
    let survey = Survey::of_files(config)?;
    unchanged(config, survey.hash.clone())?;
    survey.tokenize(config)
}

/// Looks for near-duplicates among all documents of a source; `None` where it is generated.
///
/// # Errors
/// As for [`Corpus::load`].
pub fn near_duplicates(config: &CorpusConfig) -> Result<Option<NearDuplicates>> {
    match Source::of(config)? {
        Source::Text([folder]) if shards::is_folder_of_shards(folder)? => {
            shards::open(config, folder)?.near_duplicates().map(Some)
        }
        Source::Text(_) => Survey::of_files(config)?.near_duplicates().map(Some),
        Source::Tales | Source::Grids(_) | Source::Markov(_) => Ok(None),
    }
}

fn window_holds_something(config: &CorpusConfig) -> Result<()> {
    match config.length {
        Some(0) => Err(Error::input("a window of 0 tokens holds nothing")
            .with_hint("`--length` is at least 1")),
        _ => Ok(()),
    }
}

fn hash(content: &[u8]) -> String {
    hex::encode(Sha256::digest(content))
}

/// The hash of the content, which must be the one that the run began with.
fn unchanged(config: &CorpusConfig, hash: String) -> Result<String> {
    match &config.hash {
        Some(began_with) if *began_with != hash => Err(Error::input(format!(
            "the text changed since this run began: {}",
            config.source.join(", ")
        ))
        .with_hint("put the old text back, or begin a new run")),
        _ => Ok(hash),
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
pub(crate) fn absolute(path: &str) -> String {
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
        let cells = |from: usize| grids.train.tokens.read(from..from + 25);
        assert!(grids.is_training_window(&cells(25)));
        assert!(!grids.is_training_window(&cells(5)), "a window is one grid");
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

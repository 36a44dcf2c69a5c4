//! Which text, how much of it, and how it is cut.

use serde::{Deserialize, Serialize};

use super::records::TEXT_FIELD;

/// The text of a run.
///
/// Optional fields are automatic until the corpus is loaded; [`super::Corpus::config`] has them filled.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CorpusConfig {
    /// `tales`, `grids:NAME`, `markov:FILE.toml`, one folder of token shards, or files and folders of text.
    pub source: Vec<String>,
    /// Weights of the sources, one for each file or folder, where they are mixed by shares; empty: they are one text.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mixture: Vec<f64>,
    /// Of the files in folders, only those with one of these extensions (lower case, without the dot); empty: every
    /// file that isn't binary.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub extensions: Vec<String>,
    /// The field of a record that is its text, in JSON lines and tables; automatic: `text`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text_field: Option<String>,
    /// Leaves out files that can't be read as text, instead of refusing them.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub skip_unreadable: bool,
    /// The tokenizer's name; automatic: `char`, or that of the shards. Markov sources and grids have symbols of their
    /// own and ignore it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokenizer: Option<String>,
    /// Tokens in a window; automatic: 64, or the cells of a grid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub length: Option<usize>,
    /// Budget of unique training tokens; automatic: by source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unique: Option<u64>,
    /// Tokens kept for validation, and as many again for the test; automatic: by source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held_out: Option<u64>,
    /// Probability of replacing a training token by another one, drawn evenly; what is held out stays as it is.
    #[serde(skip_serializing_if = "is_zero")]
    pub noise: f64,
    /// Where windows begin, and in which order their tokens stand.
    #[serde(skip_serializing_if = "Order::is_usual")]
    pub order: Order,
    /// SHA-256 of the source's content: checked when a run is resumed, filled in when it is loaded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
}

/// Where windows begin, and in which order their tokens stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Order {
    /// As it is read, from another offset each epoch.
    Reading,
    /// As it is read; windows begin at multiples of their length, so an epoch always shows the same ones.
    Blocks,
    /// The same windows, their tokens in an order that the seed draws once for all windows of all parts: what is likely
    /// stays as likely, and left to right means nothing any more.
    Shuffled,
}

impl Order {
    /// Every name in files and flags.
    pub const NAMES: [&str; 3] = ["reading", "blocks", "shuffled"];

    /// The name in files and flags.
    pub fn name(self) -> &'static str {
        Self::NAMES[self as usize]
    }

    fn is_usual(&self) -> bool {
        *self == Self::Reading
    }
}

fn is_zero(number: &f64) -> bool {
    *number == 0.0
}

/// What text is cut into where nothing else is asked for.
const DEFAULT_TOKENIZER: &str = "char";

impl CorpusConfig {
    /// The tokenizer that is asked for, or the automatic one of text.
    pub(super) fn tokenizer_name(&self) -> &str {
        self.tokenizer.as_deref().unwrap_or(DEFAULT_TOKENIZER)
    }

    /// The field of a record that is its text.
    pub(super) fn text_field(&self) -> &str {
        self.text_field.as_deref().unwrap_or(TEXT_FIELD)
    }
}

impl Default for CorpusConfig {
    fn default() -> Self {
        Self {
            source: vec!["grids:latin-5".to_owned()],
            mixture: Vec::new(),
            extensions: Vec::new(),
            text_field: None,
            skip_unreadable: false,
            tokenizer: None,
            length: None,
            unique: None,
            held_out: None,
            noise: 0.0,
            order: Order::Reading,
            hash: None,
        }
    }
}

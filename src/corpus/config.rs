//! Which text, how much of it, and how it is cut.

use serde::{Deserialize, Serialize};

/// The text of a run.
///
/// Optional fields are automatic until the corpus is loaded; [`super::Corpus::config`] has them filled.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CorpusConfig {
    /// `grids:NAME`, `markov:FILE.toml`, or text files.
    pub source: Vec<String>,
    /// `byte` or `char`. Generated sources have symbols of their own and ignore it.
    pub tokenizer: String,
    /// Tokens in a window; automatic: 64, or the cells of a grid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub length: Option<usize>,
    /// Budget of unique training tokens; automatic: by source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unique: Option<u64>,
    /// Tokens kept for validation, and as many again for the test; automatic: by source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held_out: Option<u64>,
    /// SHA-256 of the source's content: checked when a run is resumed, filled in when it is loaded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
}

impl Default for CorpusConfig {
    fn default() -> Self {
        Self {
            source: vec!["grids:latin-5".to_owned()],
            tokenizer: "char".to_owned(),
            length: None,
            unique: None,
            held_out: None,
            hash: None,
        }
    }
}

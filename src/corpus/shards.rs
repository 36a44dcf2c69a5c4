//! Token shards: a corpus that was tokenized once and lies in a folder, read through memory maps.
//!
//! `tokens-00000.bin` and so on hold the tokens, `documents.bin` where each document ends, and `shards.json`, written
//! last, says what they must be: a folder without it was never finished. A run from shards is the run from the text
//! they were made of, because both read a [`TokenStore`].

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::files::{Survey, full_name};
use super::store::{END_BYTES, Output, TokenStore, Width, Writer};
use super::text::Texts;
use super::{CorpusConfig, Tokenizer, absolute};
use crate::error::{Error, Result};
use crate::platform::{self, FileBytes, FileWriter};

/// The file that makes a folder one of shards.
pub(super) const INDEX: &str = "shards.json";

/// Newest form of the index that this version reads, and the one it writes.
const FORMAT_VERSION: u64 = 1;

const ENDS: &str = "documents.bin";

/// Tokens in a shard, unless it is said otherwise: 128 MiB with two bytes each.
pub const TOKENS_PER_SHARD: usize = 1 << 26;

/// What a folder of shards holds.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ShardIndex {
    /// Version of this form.
    pub format_version: u64,
    /// Tokens in all.
    pub tokens: u64,
    /// Documents in all.
    pub documents: u64,
    /// Number of shard files.
    pub shards: u64,
    /// Tokens in each of them but the last.
    pub tokens_per_shard: u64,
    /// Bytes of a token: 2 or 4, little-endian.
    pub token_bytes: u64,
    /// Token ids, MASK included.
    pub vocab_size: u64,
    /// What the tokenizer was asked for as: `char`, `byte`, ….
    pub tokenizer_name: String,
    /// The tokenizer, as in a checkpoint.
    pub tokenizer: serde_json::Value,
    /// SHA-256 of the text, as a run on the text has it.
    pub hash: String,
    /// Files and folders it was made from.
    pub source: Vec<String>,
    /// What a person should know of files and documents that were left out.
    pub notices: Vec<String>,
}

/// Tokenizes the files that a configuration names and writes their tokens to a folder of its own. Memory doesn't grow
/// with the text, but for some seventy bytes a document. `progress` hears how many bytes of how many are done.
///
/// # Errors
/// Those of [`Survey::of_files`] and of the tokenizer, before anything is written; when the folder holds something else
/// than shards that were never finished; a full disk.
pub fn write_shards(
    config: &CorpusConfig,
    folder: &str,
    tokens_per_shard: usize,
    mut progress: impl FnMut(u64, u64),
) -> Result<ShardIndex> {
    if tokens_per_shard == 0 {
        return Err(Error::input("a shard of 0 tokens holds nothing"));
    }
    let survey = Survey::of_files(config)?;
    let name = config.tokenizer_name();
    let tokenizer = survey.tokenizer(name)?;
    let json = tokenizer.to_json()?;
    platform::make_folder(folder, is_leftover)?;

    let width = Width::of(tokenizer.vocab_size());
    let output = Files {
        folder: folder.to_owned(),
        shard: None,
        ends: FileWriter::create(&file(folder, ENDS))?,
    };
    let mut writer = Writer::new(output, width, tokens_per_shard);
    survey.encode(&tokenizer, &mut writer, |bytes| {
        progress(bytes, survey.bytes)
    })?;
    let (tokens, documents) = (writer.len, writer.documents);
    writer.output.finish()?;

    let index = ShardIndex {
        format_version: FORMAT_VERSION,
        tokens: tokens as u64,
        documents: documents as u64,
        shards: tokens.div_ceil(tokens_per_shard) as u64,
        tokens_per_shard: tokens_per_shard as u64,
        token_bytes: width.bytes() as u64,
        vocab_size: tokenizer.vocab_size() as u64,
        tokenizer_name: full_name(name),
        tokenizer: serde_json::from_str(&json)
            .map_err(|error| Error::work("the tokenizer can't be written").with_source(error))?,
        notices: survey.notices(),
        hash: survey.hash,
        source: config.source.iter().map(|path| absolute(path)).collect(),
    };
    let json = serde_json::to_string_pretty(&index)
        .map_err(|error| Error::work("the index can't be written").with_source(error))?;
    platform::write_file(&file(folder, INDEX), json.as_bytes())?;
    Ok(index)
}

/// Whether this folder holds shards.
///
/// # Errors
/// When it holds shards that were never finished.
pub(super) fn is_folder_of_shards(path: &str) -> Result<bool> {
    let holds = |name: &str| Path::new(path).join(name).is_file();
    if !holds(INDEX) && holds(&shard_name(0)) && holds(ENDS) {
        return Err(Error::input(format!(
            "`{path}` holds token shards without `{INDEX}`: whatever wrote them was interrupted"
        ))
        .with_hint("write them again: `crossover corpus files PATH… --out DIR`"));
    }
    Ok(holds(INDEX))
}

/// Opens the shards in a folder.
///
/// # Errors
/// When the index is no valid one or a newer version's, when a file is missing or has another size, when the
/// configuration asks for another tokenizer.
pub(super) fn open(config: &CorpusConfig, folder: &str) -> Result<Texts> {
    let path = file(folder, INDEX);
    let index = read_index(&path)?;
    if let Some(asked) = &config.tokenizer
        && full_name(asked) != index.tokenizer_name
    {
        return Err(Error::input(format!(
            "the shards in `{folder}` were made with `--tokenizer {}`, not `{asked}`",
            index.tokenizer_name
        ))
        .with_hint("leave `--tokenizer` out, or make other shards"));
    }
    if !config.extensions.is_empty() {
        return Err(Error::input(format!(
            "`--extensions` chooses among files, and `{folder}` holds token shards"
        ))
        .with_hint("leave it out, or give it to `corpus files` when the shards are made"));
    }
    let tokenizer = Tokenizer::from_json(&index.tokenizer.to_string())
        .map_err(|error| error.about(&format!("`{path}`")))?;
    let damaged = |what: String| {
        Error::input(format!("the shards in `{folder}` are damaged: {what}"))
            .with_hint("write them again: `crossover corpus files PATH… --out DIR`")
    };
    let width = Width::of(tokenizer.vocab_size());
    let size =
        |number: u64| usize::try_from(number).map_err(|_| damaged(format!("{number} tokens")));
    let (len, chunk_tokens) = (size(index.tokens)?, size(index.tokens_per_shard)?);
    let fits = index.vocab_size == tokenizer.vocab_size() as u64
        && index.token_bytes == width.bytes() as u64
        && chunk_tokens > 0
        && index.shards == len.div_ceil(chunk_tokens.max(1)) as u64;
    if !fits {
        return Err(damaged(format!(
            "the figures in `{INDEX}` contradict each other"
        )));
    }
    let map = |name: &str, expected: u64| {
        let path = Path::new(folder).join(name);
        if !path.is_file() {
            return Err(damaged(format!("`{name}` is missing")));
        }
        let bytes = FileBytes::open(&path.display().to_string())?;
        if bytes.len() as u64 != expected {
            return Err(damaged(format!(
                "`{name}` has {} bytes, and should have {expected}",
                bytes.len()
            )));
        }
        Ok(bytes)
    };
    let chunks = (0..index.shards)
        .map(|shard| {
            let left = index.tokens - shard * index.tokens_per_shard;
            let tokens = left.min(index.tokens_per_shard);
            map(&shard_name(shard), tokens.saturating_mul(index.token_bytes))
        })
        .collect::<Result<Vec<_>>>()?;
    let ends = map(ENDS, index.documents.saturating_mul(END_BYTES as u64))?;
    let store = TokenStore::new(width, chunks, chunk_tokens, len, ends)
        .map_err(|error| damaged(error.to_string()))?;
    Ok(Texts {
        tokenizer,
        tokenizer_name: index.tokenizer_name,
        store,
        in_memory: false,
        hash: index.hash,
        notices: index.notices,
    })
}

fn read_index(path: &str) -> Result<ShardIndex> {
    #[derive(Deserialize)]
    struct Versioned {
        format_version: u64,
    }
    let bytes = platform::read_file(path)?;
    let invalid = |error: serde_json::Error| {
        Error::input(format!("`{path}` is no index of token shards"))
            .with_source(error)
            .with_hint("write the shards again: `crossover corpus files PATH… --out DIR`")
    };
    let version: Versioned = serde_json::from_slice(&bytes).map_err(invalid)?;
    if version.format_version > FORMAT_VERSION {
        return Err(Error::input(format!(
            "`{path}` has version {}, and this program reads versions up to {FORMAT_VERSION}",
            version.format_version
        ))
        .with_hint("use the newer program that wrote it, or write the shards again"));
    }
    serde_json::from_slice(&bytes).map_err(invalid)
}

fn file(folder: &str, name: &str) -> String {
    Path::new(folder).join(name).display().to_string()
}

fn shard_name(shard: u64) -> String {
    format!("tokens-{shard:05}.bin")
}

/// Whether a file of this name can be what an interrupted command left.
fn is_leftover(name: &str) -> bool {
    let shard = name
        .strip_prefix("tokens-")
        .and_then(|rest| rest.strip_suffix(".bin"))
        .is_some_and(|number| {
            number.len() >= 5 && number.bytes().all(|byte| byte.is_ascii_digit())
        });
    shard || name == ENDS || name.strip_suffix(".partial") == Some(INDEX)
}

/// Chunks as files.
struct Files {
    folder: String,
    /// The shard that is being written.
    shard: Option<(usize, FileWriter)>,
    ends: FileWriter,
}

impl Files {
    fn finish(self) -> Result<()> {
        self.ends.finish()?;
        self.shard.map_or(Ok(()), |(_, file)| file.finish())
    }
}

impl Output for Files {
    fn tokens(&mut self, chunk: usize, bytes: &[u8]) -> Result<()> {
        if self.shard.as_ref().is_none_or(|(open, _)| *open != chunk) {
            let next = FileWriter::create(&file(&self.folder, &shard_name(chunk as u64)))?;
            if let Some((_, full)) = self.shard.replace((chunk, next)) {
                full.finish()?;
            }
        }
        match &mut self.shard {
            Some((_, file)) => file.write(bytes),
            None => Ok(()),
        }
    }

    fn end(&mut self, end: u64) -> Result<()> {
        self.ends.write(&end.to_le_bytes())
    }
}

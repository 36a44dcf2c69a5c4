//! Token shards: a corpus that was tokenized once and lies in a folder, read through memory maps.
//!
//! `tokens-00000.bin` and so on hold the tokens, `documents.bin` where each document ends, and `shards.json`, written
//! last, says what they must be: a folder without it was never finished. A run from shards is the run from the text
//! they were made of, because both read a [`TokenStore`]. While they are written, `progress.json` says how far they are,
//! so that the same command goes on where one was interrupted, and ends with the same files.

use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::files::{Encoded, Survey, full_name};
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

/// What says how far an interrupted command came.
const PROGRESS: &str = "progress.json";

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
    /// Shards that an interrupted command had finished, and that were kept. Not in the file.
    #[serde(skip)]
    pub kept: usize,
}

/// What was written and is on the disk.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Progress {
    format_version: u64,
    /// SHA-256 of all that decides which tokens come where: the text, the tokenizer, the size of shards.
    recipe: String,
    encoded: Encoded,
    tokens: usize,
    documents: usize,
    /// SHA-256 of each shard, of the last one as far as it goes.
    shards: Vec<String>,
    /// The same of the documents' ends.
    ends: String,
}

/// Tokenizes the files that a configuration names and writes their tokens to a folder of its own. Memory doesn't grow
/// with the text, but for some seventy bytes a document. `progress` hears how many bytes of how many are done.
///
/// Whenever a shard is full, how far everything is goes on the disk with it. Where the same command was interrupted, the
/// shards that it had finished are read, compared with what they were, and kept; anything else that it left is replaced.
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
    let width = Width::of(tokenizer.vocab_size());
    let recipe = super::hash(format!("{}\n{json}\n{tokens_per_shard}", survey.hash).as_bytes());
    let left = Progress::read(folder, recipe.clone());
    let output = match &left {
        Some(left) => Files::go_on(folder, left, width, tokens_per_shard).ok(),
        None => None,
    };
    let (left, output) = match (left, output) {
        (Some(left), Some(output)) => (left, output),
        _ => {
            platform::make_folder(folder, is_leftover)?;
            (Progress::default(), Files::create(folder)?)
        }
    };
    let kept = left.tokens / tokens_per_shard;
    let mut noted = kept;
    let mut writer = Writer::new(output, width, tokens_per_shard);
    (writer.len, writer.documents) = (left.tokens, left.documents);
    survey.encode(&tokenizer, &mut writer, left.encoded, |encoded, writer| {
        progress(encoded.bytes, survey.bytes);
        if writer.len / tokens_per_shard == noted {
            return Ok(());
        }
        noted = writer.len / tokens_per_shard;
        let (shards, ends) = writer.output.keep()?;
        let progress = Progress {
            format_version: FORMAT_VERSION,
            recipe: recipe.clone(),
            encoded,
            tokens: writer.len,
            documents: writer.documents,
            shards,
            ends,
        };
        write_json(&file(folder, PROGRESS), &progress)
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
        kept,
    };
    write_json(&file(folder, INDEX), &index)?;
    // A text of one shard leaves none.
    if Path::new(folder).join(PROGRESS).is_file() {
        platform::remove_file(&file(folder, PROGRESS))?;
    }
    Ok(index)
}

fn write_json(path: &str, value: &impl Serialize) -> Result<()> {
    let json = serde_json::to_string_pretty(value)
        .map_err(|error| Error::work(format!("`{path}` can't be written")).with_source(error))?;
    platform::write_file(path, [json.as_bytes()])
}

impl Progress {
    /// What an interrupted command left in a folder, if it was about to write the same tokens.
    fn read(folder: &str, recipe: String) -> Option<Self> {
        let finished = Path::new(folder).join(INDEX).exists();
        let bytes = platform::read_file(&file(folder, PROGRESS)).ok()?;
        let progress: Self = serde_json::from_slice(&bytes).ok()?;
        let ours = progress.format_version == FORMAT_VERSION && progress.recipe == recipe;
        (ours && !finished).then_some(progress)
    }
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
        .with_hint("the same command goes on: `crossover corpus files PATH… --out DIR`"));
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
    let whole = name.strip_suffix(".partial").unwrap_or(name);
    shard || name == ENDS || whole == PROGRESS || (whole == INDEX && name != INDEX)
}

/// The hash of a file's first `kept` bytes.
///
/// # Errors
/// When they are not what they were.
fn unchanged(path: &str, kept: u64, expected: &str) -> Result<Sha256> {
    let bytes = FileBytes::open(path)?;
    let kept = usize::try_from(kept)
        .ok()
        .and_then(|kept| bytes.get(..kept));
    let mut sha256 = Sha256::new();
    sha256.update(kept.unwrap_or_default());
    match kept.is_some() && hex::encode(sha256.clone().finalize()) == expected {
        true => Ok(sha256),
        false => Err(Error::work(format!("`{path}` is not what it was"))),
    }
}

/// A file and the hash of what is in it.
struct Hashed {
    file: FileWriter,
    sha256: Sha256,
}

impl Hashed {
    fn create(path: &str) -> Result<Self> {
        Ok(Self {
            file: FileWriter::create(path)?,
            sha256: Sha256::new(),
        })
    }

    /// Goes on behind the first `kept` bytes, if they are what they were.
    fn go_on(path: &str, kept: u64, expected: &str) -> Result<Self> {
        let sha256 = unchanged(path, kept, expected)?;
        Ok(Self {
            file: FileWriter::go_on(path, kept)?,
            sha256,
        })
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.sha256.update(bytes);
        self.file.write(bytes)
    }

    fn hash(&self) -> String {
        hex::encode(self.sha256.clone().finalize())
    }
}

/// Chunks as files.
struct Files {
    folder: String,
    /// Hashes of the shards that are full.
    full: Vec<String>,
    /// The shard that is being written.
    shard: Option<(usize, Hashed)>,
    ends: Hashed,
}

impl Files {
    fn create(folder: &str) -> Result<Self> {
        Ok(Self {
            folder: folder.to_owned(),
            full: Vec::new(),
            shard: None,
            ends: Hashed::create(&file(folder, ENDS))?,
        })
    }

    /// Takes over what an interrupted command left.
    ///
    /// # Errors
    /// When a file is not what it was.
    fn go_on(folder: &str, left: &Progress, width: Width, tokens_per_shard: usize) -> Result<Self> {
        if left.shards.len() != left.tokens.div_ceil(tokens_per_shard) {
            return Err(Error::work(format!("`{PROGRESS}` contradicts itself")));
        }
        let (mut full, mut shard) = (left.shards.clone(), None);
        let last = full.pop();
        let whole = tokens_per_shard.saturating_mul(width.bytes()) as u64;
        let path = |number: usize| file(folder, &shard_name(number as u64));
        for (number, expected) in full.iter().enumerate() {
            unchanged(&path(number), whole, expected)?;
        }
        if let Some(expected) = last {
            let tokens = left.tokens - full.len() * tokens_per_shard;
            let kept = tokens.saturating_mul(width.bytes()) as u64;
            let last = Hashed::go_on(&path(full.len()), kept, &expected)?;
            shard = Some((full.len(), last));
        }
        let kept = left.documents.saturating_mul(END_BYTES) as u64;
        let ends = Hashed::go_on(&file(folder, ENDS), kept, &left.ends)?;
        Ok(Self {
            folder: folder.to_owned(),
            full,
            shard,
            ends,
        })
    }

    /// Sees to it that everything is on the disk, and says what it is: a hash of each shard, and that of the ends.
    fn keep(&mut self) -> Result<(Vec<String>, String)> {
        let mut hashes = self.full.clone();
        if let Some((_, shard)) = &mut self.shard {
            shard.file.keep()?;
            hashes.push(shard.hash());
        }
        self.ends.file.keep()?;
        Ok((hashes, self.ends.hash()))
    }

    fn finish(self) -> Result<()> {
        self.ends.file.finish()?;
        self.shard.map_or(Ok(()), |(_, shard)| shard.file.finish())
    }
}

impl Output for Files {
    fn tokens(&mut self, chunk: usize, bytes: &[u8]) -> Result<()> {
        if self.shard.as_ref().is_none_or(|(open, _)| *open != chunk) {
            let next = Hashed::create(&file(&self.folder, &shard_name(chunk as u64)))?;
            if let Some((_, full)) = self.shard.replace((chunk, next)) {
                self.full.push(full.hash());
                full.file.finish()?;
            }
        }
        match &mut self.shard {
            Some((_, shard)) => shard.write(bytes),
            None => Ok(()),
        }
    }

    fn end(&mut self, end: u64) -> Result<()> {
        self.ends.write(&end.to_le_bytes())
    }
}

//! A checkpoint in several files: a shard of each rank, and an index that says which belong together.
//!
//! What one file would hold of tensors is one flat list of values ([`layout`]), cut into as many equal parts as there are
//! ranks. A shard has the pieces of all tensors that lie in its part, under their names in the one file and in one dimension; behind
//! each other, in the order of the ranks, they are the tensors. The index has the one file's metadata, and the size and the
//! SHA-256 of each shard. It is written last: without one, shards are nothing, and any number of ranks reads what it names.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use safetensors::SafeTensors;
use safetensors::tensor::Dtype;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::{Error, Result, grouped};
use crate::model::Shape;
use crate::model::weights::{HostTensor, layout};
use crate::platform::FileBytes;
use crate::train::checkpoint::{
    CHANGED, Checkpoint, Extent, State, checksum, damaged, group, host_tensor, unwritable,
};
use crate::train::tensor_file::TensorFile;

/// The newest version of the index that this code reads and writes.
const VERSION: u64 = 1;

/// How the name of an index ends.
pub const INDEX: &str = ".index.json";

/// How the name of a folder of shards ends.
pub const SHARDS: &str = ".shards";

/// Whether a path is that of an index, by its name. Hugging Face's of that ending name files of their own kind.
pub fn is_index(path: &str) -> bool {
    path.ends_with(INDEX) && !path.ends_with(".safetensors.index.json")
}

/// Whether a path is that of a shard, which is no checkpoint by itself.
pub fn is_shard(path: &str) -> bool {
    let folder = Path::new(path).parent();
    folder.is_some_and(|folder| folder.to_string_lossy().ends_with(SHARDS))
}

/// What one rank keeps of a state.
#[derive(Debug, Clone, PartialEq)]
pub struct Shard {
    /// Where its part begins in the flat list of all values.
    pub start: usize,
    /// The values of its part, for the weights and for each prefix.
    pub groups: Vec<(&'static str, Vec<f32>)>,
}

impl Shard {
    /// Its file.
    ///
    /// # Errors
    /// Never for a shard that came from a run.
    pub fn file(&self, shape: &Shape) -> Result<TensorFile<'_>> {
        let mut tensors = BTreeMap::new();
        for (prefix, values) in &self.groups {
            let own = self.start..self.start + values.len();
            let mut begin = 0;
            for (name, sizes) in layout(shape) {
                let end = begin + sizes.iter().product::<usize>();
                let piece = own.start.max(begin)..own.end.min(end);
                begin = end;
                if piece.is_empty() {
                    continue;
                }
                let piece = &values[piece.start - own.start..piece.end - own.start];
                let bytes = Cow::Borrowed(bytemuck::cast_slice(piece));
                tensors.insert(format!("{prefix}{name}"), (vec![piece.len()], bytes));
            }
        }
        TensorFile::new(Dtype::F32, tensors, None)
    }
}

/// A shard's file, as the index names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardFile {
    /// Its path from the folder of the index.
    pub file: String,
    /// Its size.
    pub bytes: u64,
    /// SHA-256 of all of it, in hexadecimal.
    pub sha256: String,
}

impl ShardFile {
    /// What an index says of a file with this content.
    pub fn of(file: String, content: &TensorFile<'_>) -> Self {
        let mut sum = Sha256::new();
        content.parts().for_each(|part| sum.update(part));
        Self {
            file,
            bytes: content.bytes() as u64,
            sha256: hex::encode(sum.finalize()),
        }
    }
}

/// The one key that has to be readable in every version.
#[derive(Deserialize)]
struct Version {
    version: u64,
}

/// What makes one checkpoint of several shards.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Index {
    version: u64,
    config: String,
    tokenizer: String,
    state: String,
    /// The shards, in the order of their ranks.
    pub shards: Vec<ShardFile>,
    sha256: String,
}

impl Index {
    /// The index of shards of a state, which `described` is but for its tensors.
    ///
    /// # Errors
    /// Never for a state that came from a run.
    pub fn new(described: &Checkpoint, shards: Vec<ShardFile>) -> Result<Self> {
        let [config, tokenizer, state] = described.strings()?;
        let mut index = Self {
            version: VERSION,
            config,
            tokenizer,
            state,
            shards,
            sha256: String::new(),
        };
        index.sha256 = index.checksum();
        Ok(index)
    }

    fn strings(&self) -> [&str; 3] {
        [&self.config, &self.tokenizer, &self.state]
    }

    /// That of one file, with what is said of each shard in place of a tensor's bytes.
    fn checksum(&self) -> String {
        let said = |shard: &ShardFile| format!("{} {}", shard.bytes, shard.sha256);
        let said: Vec<String> = self.shards.iter().map(said).collect();
        let files = self.shards.iter().map(|shard| &shard.file[..]);
        checksum(self.strings(), files.zip(said.iter().map(String::as_bytes)))
    }

    /// The file's bytes.
    ///
    /// # Errors
    /// Never for an index that came from a run.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(self).map_err(|error| unwritable(&error))
    }

    /// Reads an index; `origin` names it in errors.
    ///
    /// # Errors
    /// When it is damaged, or made by a newer version.
    pub fn from_bytes(bytes: &[u8], origin: &str) -> Result<Self> {
        let unreadable = |error: serde_json::Error| damaged(origin, &error.to_string());
        let Version { version } = serde_json::from_slice(bytes).map_err(unreadable)?;
        if version > VERSION {
            return Err(Error::input(format!(
                "`{origin}` was made by a newer Crossover ({version}; this reads {VERSION})"
            ))
            .with_hint("update crossover"));
        }
        let index: Self = serde_json::from_slice(bytes).map_err(unreadable)?;
        match index.sha256 == index.checksum() {
            true => Ok(index),
            false => Err(damaged(origin, CHANGED)),
        }
    }

    /// The checkpoint, read from the shards in the folder of the index, whose path `origin` is.
    ///
    /// # Errors
    /// Names the shard that is missing or not what the index promises.
    pub fn checkpoint(&self, origin: &str, extent: Extent) -> Result<Checkpoint> {
        let mut checkpoint = Checkpoint::from_strings(self.strings(), origin)?;
        let mut joined: BTreeMap<String, Vec<f32>> = BTreeMap::new();
        for shard in &self.shards {
            let path = Path::new(origin).with_file_name(&shard.file);
            let path = path.display().to_string();
            let bytes = read(&path, shard)?;
            let tensors = SafeTensors::deserialize(&bytes)
                .map_err(|error| damaged(&path, &error.to_string()))?;
            for (name, view) in tensors.iter().filter(|(name, _)| extent.has(name)) {
                let tensor = host_tensor(&view)
                    .map_err(|why| damaged(&path, &format!("tensor `{name}` {why}")))?;
                joined
                    .entry(name.to_owned())
                    .or_default()
                    .extend(tensor.values);
            }
        }
        let shapes: HashMap<String, Vec<usize>> =
            layout(&checkpoint.shape()?).into_iter().collect();
        for (name, values) in joined {
            let shape = match shapes.get(group(&name).1) {
                Some(sizes) if sizes.iter().product::<usize>() == values.len() => sizes.clone(),
                // No shape that is asked for, so the check names it.
                _ => vec![values.len()],
            };
            checkpoint.put(&name, HostTensor { shape, values });
        }
        checkpoint.check(origin)?;
        Ok(checkpoint)
    }

    /// Where training stood, without a look at the shards.
    pub fn state_of(bytes: &[u8]) -> Option<State> {
        let index: Self = serde_json::from_slice(bytes).ok()?;
        serde_json::from_str(&index.state).ok()
    }
}

/// A shard's bytes, if they are what the index promises.
fn read(path: &str, shard: &ShardFile) -> Result<FileBytes> {
    let bytes = FileBytes::open(path)?;
    if bytes.len() as u64 != shard.bytes {
        let why = format!(
            "it has {} bytes, and its index promises {}",
            grouped(bytes.len() as u64),
            grouped(shard.bytes)
        );
        return Err(damaged(path, &why));
    }
    match hex::encode(Sha256::digest(&bytes[..])) == shard.sha256 {
        true => Ok(bytes),
        false => Err(damaged(path, CHANGED)),
    }
}

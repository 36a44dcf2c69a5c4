//! Tensors in one file or several, which are mapped into memory and read one tensor at a time.

use std::collections::{BTreeMap, BTreeSet};

use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, Metadata, TensorInfo, TensorView};
use serde_json::Value;

use super::config::line_of;
use crate::error::{Error, Result};
use crate::model::weights::HostTensor;
use crate::platform::{self, FileBytes};
use crate::train::checkpoint::{check_length, host_tensor};

pub(super) const SINGLE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";

/// A model's tensors, in their files.
#[derive(Debug)]
pub struct Shards {
    files: Vec<File>,
    /// Each tensor's file.
    places: BTreeMap<String, usize>,
}

#[derive(Debug)]
struct File {
    path: String,
    bytes: FileBytes,
    /// Where the tensors begin.
    start: usize,
    metadata: Metadata,
}

impl File {
    fn open(path: &str) -> Result<Self> {
        let bytes = FileBytes::open(path)?;
        let damaged = |why: String| {
            Error::input(format!("can't read `{path}`: {why}"))
                .with_hint("it may be truncated or no safetensors file; fetch it again")
        };
        check_length(&bytes).map_err(damaged)?;
        let (header, metadata) =
            SafeTensors::read_metadata(&bytes).map_err(|error| damaged(error.to_string()))?;
        Ok(Self {
            path: path.to_owned(),
            start: header + 8,
            metadata,
            bytes,
        })
    }

    fn info(&self, name: &str) -> Option<&TensorInfo> {
        self.metadata.info(name)
    }

    /// A tensor where it lies in the file.
    fn view(&self, name: &str) -> Option<TensorView<'_>> {
        let info = self.info(name)?;
        let (begin, end) = info.data_offsets;
        let data = self.bytes.get(self.start + begin..self.start + end)?;
        TensorView::new(info.dtype, info.shape.clone(), data).ok()
    }
}

fn names_in(folder: &str) -> Result<Vec<String>> {
    let files = platform::folder_files(folder)?.into_iter();
    Ok(files.map(|(name, _)| name).collect())
}

impl Shards {
    /// The files of a folder: one, or those that an index names.
    ///
    /// # Errors
    /// When there is neither, or one of them is missing or damaged.
    pub fn open_folder(folder: &str) -> Result<Self> {
        let single = format!("{folder}/{SINGLE}");
        let index = format!("{folder}/{INDEX}");
        let names = names_in(folder)?;
        let has = |name: &str| names.iter().any(|found| found == name);
        if has(SINGLE) {
            Self::open_file(&single)
        } else if has(INDEX) {
            Self::open_file(&index)
        } else {
            let other = names.iter().any(|name| name.ends_with(".bin"));
            Err(
                Error::input(format!("there is neither `{single}` nor `{index}`")).with_hint(
                    match other {
                        true => "weights of PyTorch's own form are not read: `save_pretrained` of a newer `transformers` writes safetensors",
                        false => "give a folder with a model in it",
                    },
                ),
            )
        }
    }

    /// One file, or those that an index names.
    ///
    /// # Errors
    /// When one of them is missing or damaged.
    pub fn open_file(path: &str) -> Result<Self> {
        if !path.ends_with(".json") {
            let file = File::open(path)?;
            let names = file.metadata.tensors().into_keys();
            return Ok(Self {
                places: names.map(|name| (name, 0)).collect(),
                files: vec![file],
            });
        }
        let content = platform::read_file(path)?;
        let folder = path.rsplit_once('/').map_or(".", |(folder, _)| folder);
        let damaged = |why: &str| {
            Error::input(format!("`{path}` is no index of shards: {why}"))
                .with_hint("`weight_map` gives the file of each tensor")
        };
        let index: Value =
            serde_json::from_slice(&content).map_err(|error| damaged(&error.to_string()))?;
        let map = index["weight_map"]
            .as_object()
            .ok_or_else(|| damaged("it has no `weight_map`"))?;
        let text = String::from_utf8_lossy(&content);
        let place = |tensor: &str| format!("`{path}`, line {}", line_of(&text, tensor));
        let present = names_in(folder)?;
        let mut files: Vec<File> = Vec::new();
        let mut numbers = BTreeMap::new();
        let mut places = BTreeMap::new();
        for (tensor, file) in map {
            let name = file
                .as_str()
                .filter(|name| !name.contains(['/', '\\']))
                .ok_or_else(|| damaged(&format!("`{file}` is no file's name")))?;
            let number = match numbers.get(name) {
                Some(number) => *number,
                None => {
                    let shard = format!("{folder}/{name}");
                    if !present.iter().any(|found| found == name) {
                        return Err(Error::input(format!(
                            "{} expects a file `{shard}`, and there is none",
                            place(tensor)
                        ))
                        .with_hint("fetch all of the model's files"));
                    }
                    files.push(File::open(&shard)?);
                    numbers.insert(name, files.len() - 1);
                    files.len() - 1
                }
            };
            if files[number].info(tensor).is_none() {
                return Err(Error::input(format!(
                    "{} expects the tensor `{tensor}` in `{name}`, which has none of this name",
                    place(tensor)
                ))
                .with_hint("the files are of different models; fetch all of them again"));
            }
            places.insert(tensor.clone(), number);
        }
        Ok(Self { files, places })
    }

    /// Whether there is such a tensor.
    pub fn has(&self, name: &str) -> bool {
        self.places.contains_key(name)
    }

    /// Leaves one out.
    pub fn pass_over(&mut self, name: &str) {
        self.places.remove(name);
    }

    /// Whether two tensors hold the same.
    pub fn are_equal(&self, one: &str, other: &str) -> bool {
        let view = |name: &str| self.file(name)?.view(name);
        match (view(one), view(other)) {
            (Some(one), Some(other)) => {
                one.dtype() == other.dtype()
                    && one.shape() == other.shape()
                    && one.data() == other.data()
            }
            _ => false,
        }
    }

    fn file(&self, name: &str) -> Option<&File> {
        self.files.get(*self.places.get(name)?)
    }

    fn missing(&self, name: &str) -> Error {
        let paths: Vec<String> = self
            .files
            .iter()
            .map(|file| format!("`{}`", file.path))
            .collect();
        Error::input(format!(
            "there is no tensor `{name}` in {}, though `config.json` asks for it",
            paths.join(", ")
        ))
        .with_hint("the weights and `config.json` are of different models, or a file is missing")
    }

    /// Whether a tensor is there, of this shape and of a type that can be read.
    ///
    /// # Errors
    /// When not.
    pub fn check(&self, name: &str, shape: &[usize]) -> Result<()> {
        let file = self.file(name).ok_or_else(|| self.missing(name))?;
        let info = file.info(name).ok_or_else(|| self.missing(name))?;
        if info.shape != shape {
            return Err(Error::input(format!(
                "`{}`: `{name}` has the shape {:?}, and `config.json` asks for {shape:?}",
                file.path, info.shape
            ))
            .with_hint("the weights and `config.json` are of different models"));
        }
        if !matches!(info.dtype, Dtype::F32 | Dtype::BF16 | Dtype::F16) {
            return Err(Error::input(format!(
                "`{}`: `{name}` has the type {:?}, and F32, BF16 or F16 is expected",
                file.path, info.dtype
            ))
            .with_hint("quantized weights are not read; use the model as it was before"));
        }
        Ok(())
    }

    /// Refuses tensors that the model is computed without. Frequencies of rotary positions, which some files have, follow from
    /// `config.json`.
    ///
    /// # Errors
    /// Names the first.
    pub fn check_rest(&self, used: impl Iterator<Item = String>) -> Result<()> {
        let used: BTreeSet<String> = used.collect();
        let unused = self
            .places
            .keys()
            .find(|name| !used.contains(*name) && !name.ends_with("rotary_emb.inv_freq"));
        let Some(name) = unused else { return Ok(()) };
        let path = self.file(name).map_or("", |file| &file.path);
        Err(Error::input(format!(
            "`{path}` has a tensor `{name}`, and no model of this `config.json` has one"
        ))
        .with_hint("biases, adapters and other parts can't be computed here"))
    }

    /// A tensor's values, widened to f32.
    ///
    /// # Errors
    /// Those of [`Shards::check`].
    pub fn take(&self, name: &str) -> Result<HostTensor> {
        let file = self.file(name).ok_or_else(|| self.missing(name))?;
        let view = file.view(name).ok_or_else(|| self.missing(name))?;
        host_tensor(&view).map_err(|why| Error::input(format!("`{}`: `{name}` {why}", file.path)))
    }
}

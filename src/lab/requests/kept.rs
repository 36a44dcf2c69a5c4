//! What is kept: texts, runs and their files.

use std::io::{Cursor, Read, Write};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use crate::error::{Error, Result};
use crate::lab::CheckpointKind;
use crate::lab::protocol::{Answer, RunSummary};
use crate::lab::session::{CONFIG, EVENTS, METRICS, stored_result};
use crate::lab::states::{self, Kept, file_name};
use crate::objective::Objective;
use crate::platform;
use crate::train::index::{Index, is_index, is_shard};
use crate::train::{Checkpoint, Metrics, RunConfig};

/// The folder of runs, and of texts that came without one.
const RUNS: &str = "runs";
const TEXTS: &str = "runs/texts";

/// The largest packed run that is opened, bytes.
const LARGEST_ARCHIVE: u64 = 1 << 30;

pub(super) fn keep(name: &str, content: &[u8]) -> Result<Answer> {
    platform::make_folder(TEXTS, |_| false).or_else(|_| exists(TEXTS))?;
    let path = format!("{TEXTS}/{}", plain(name)?);
    platform::write_file(&path, [content])?;
    Ok(Answer::Kept { path })
}

/// A folder that holds something is there.
fn exists(path: &str) -> Result<()> {
    platform::folder_files(path).map(|_| ())
}

/// A name without folders.
fn plain(name: &str) -> Result<&str> {
    let is_plain = !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\\', '\0']);
    match is_plain {
        true => Ok(name),
        false => Err(Error::input(format!("`{name}` can't be a name"))
            .with_hint("use letters, digits and dashes")),
    }
}

/// The path of the run of this name.
fn place(name: &str) -> Result<String> {
    Ok(format!("{RUNS}/{}", plain(name.trim())?))
}

pub(super) fn runs() -> Result<Answer> {
    let mut runs = Vec::new();
    for folder in platform::folders(RUNS)? {
        // What is no run, or a broken one, is none of this list's.
        if let Ok(run) = summary(&folder) {
            runs.push(run);
        }
    }
    runs.sort_by_key(|run| std::cmp::Reverse(started(run)));
    Ok(Answer::Runs { runs })
}

fn started(run: &RunSummary) -> u64 {
    let provenance = run.config.provenance.as_ref();
    provenance.map_or(0, |provenance| provenance.started_unix)
}

fn summary(folder: &str) -> Result<RunSummary> {
    let text = |name: &str| platform::read_file(&format!("{folder}/{name}"));
    let config = String::from_utf8_lossy(&text(CONFIG)?).into_owned();
    let config = RunConfig::from_toml(&config, folder)?;
    let shape = config
        .model
        .resolve(config.model.vocab_size.unwrap_or_default())?;
    let metrics = text(METRICS).unwrap_or_default();
    let metrics = String::from_utf8_lossy(&metrics);
    let step_of = |objective: Objective| {
        let lines = metrics.lines().rev();
        let mut read = lines.filter_map(|line| serde_json::from_str::<Metrics>(line).ok());
        read.find(|metrics| metrics.objective == objective)
            .map_or(0, |metrics| metrics.step)
    };
    let steps_done = config
        .objectives
        .iter()
        .map(|objective| step_of(*objective));
    let saved = |objective: &Objective| {
        let path = states::find(folder, *objective, Kept::Last)?;
        let checkpoint = platform::read_file(&path).ok()?;
        let state = match is_index(&path) {
            true => Index::state_of(&checkpoint),
            false => Checkpoint::state_of(&checkpoint),
        };
        Some(state?.step)
    };
    let outcome = stored_result(&text(EVENTS).unwrap_or_default());
    let steps = config.train.steps.unwrap_or_default();
    let files = platform::folder_files(folder)?;
    Ok(RunSummary {
        run: folder.to_owned(),
        parameters: shape.parameters(),
        steps,
        step: steps_done.min().unwrap_or_default(),
        saved: match outcome {
            Some(_) => steps,
            None => {
                let saved = config.objectives.iter().map(saved);
                saved.min().flatten().unwrap_or_default()
            }
        },
        outcome,
        checkpoints: files
            .iter()
            .filter(|(name, _)| is_index(name) || is_checkpoint(name))
            .map(|(name, _)| format!("{folder}/{name}"))
            .collect(),
        bytes: files.iter().map(|(_, bytes)| bytes).sum(),
        config,
    })
}

/// Whether a file is a checkpoint by itself.
fn is_checkpoint(name: &str) -> bool {
    name.ends_with(".safetensors") && !is_shard(name)
}

pub(super) fn read(path: &str) -> Result<Answer> {
    Ok(Answer::File {
        name: last(path).to_owned(),
        content: platform::read_file(path)?,
    })
}

fn last(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

pub(super) fn archive(run: &str) -> Result<Answer> {
    let failed = |error: zip::result::ZipError| {
        Error::work(format!("can't pack `{run}`")).with_source(error)
    };
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, _) in platform::folder_files(run)? {
        // Weights are noise to a packer.
        let method = match name.ends_with(".safetensors") {
            true => CompressionMethod::Stored,
            false => CompressionMethod::Deflated,
        };
        let options = SimpleFileOptions::default().compression_method(method);
        archive.start_file(&name, options).map_err(failed)?;
        let content = platform::read_file(&format!("{run}/{name}"))?;
        archive
            .write_all(&content)
            .map_err(|error| failed(error.into()))?;
    }
    Ok(Answer::File {
        name: format!("{}.zip", last(run)),
        content: archive.finish().map_err(failed)?.into_inner(),
    })
}

pub(super) fn import(name: &str, content: &[u8]) -> Result<Answer> {
    let run = match content.starts_with(b"PK\x03\x04") {
        true => unpack(name, content)?,
        false => adopt(name, content)?,
    };
    Ok(Answer::Imported { run })
}

/// A packed run becomes a run again.
fn unpack(name: &str, content: &[u8]) -> Result<String> {
    let unreadable = |error: zip::result::ZipError| {
        Error::input(format!("can't read `{name}`"))
            .with_source(error)
            .with_hint("give a .zip that was exported here")
    };
    let mut archive = ZipArchive::new(Cursor::new(content)).map_err(unreadable)?;
    let mut files = Vec::new();
    let mut bytes = 0;
    for index in 0..archive.len() {
        let mut file = archive.by_index(index).map_err(unreadable)?;
        if file.is_dir() {
            continue;
        }
        let outside = || Error::input(format!("`{name}` has a file outside its folder"));
        let inside = file.enclosed_name().ok_or_else(outside)?;
        let inside = inside.to_str().ok_or_else(outside)?.to_owned();
        bytes += file.size();
        if bytes > LARGEST_ARCHIVE {
            return Err(Error::input(format!("`{name}` holds more than 1 GiB"))
                .with_hint("unpack it, and use the command line"));
        }
        let mut content = Vec::new();
        file.by_ref()
            .take(LARGEST_ARCHIVE)
            .read_to_end(&mut content)
            .map_err(|error| unreadable(error.into()))?;
        files.push((inside, content));
    }
    let config = files.iter().find(|(name, _)| name == CONFIG);
    let (_, config) = config.ok_or_else(|| {
        Error::input(format!("`{name}` is no run: there is no `{CONFIG}` in it"))
            .with_hint("give a .zip that was exported here, or a .safetensors file")
    })?;
    RunConfig::from_toml(&String::from_utf8_lossy(config), name)?.check()?;
    for (inside, content) in &files {
        if is_checkpoint(inside) {
            Checkpoint::from_bytes(content, inside)?;
        }
    }
    save(name, files)
}

/// A checkpoint becomes a run that has only it.
fn adopt(name: &str, content: &[u8]) -> Result<String> {
    let checkpoint = Checkpoint::from_bytes(content, name)?;
    let mut config = RunConfig {
        seed: checkpoint.state.seed,
        objectives: vec![checkpoint.objective],
        model: checkpoint.model.clone(),
        ..RunConfig::default()
    };
    config.corpus.source = vec![format!("imported:{name}")];
    config.corpus.length = Some(checkpoint.length);
    config.objective.block_size = checkpoint.block_size;
    config.train.steps = Some(checkpoint.state.step);
    let file = file_name(checkpoint.objective, CheckpointKind::Best);
    save(
        name,
        vec![
            (CONFIG.to_owned(), config.to_toml()?.into_bytes()),
            (file, content.to_owned()),
        ],
    )
}

/// Writes files as a run of a name that is free.
fn save(name: &str, files: Vec<(String, Vec<u8>)>) -> Result<String> {
    let stem = last(name)
        .rsplit_once('.')
        .map_or(last(name), |(stem, _)| stem);
    let wanted = place(stem)?;
    let numbered = (2..).map(|number| format!("{wanted}-{number}"));
    let mut free = std::iter::once(wanted.clone()).chain(numbered);
    let folder = loop {
        let Some(path) = free.next() else {
            return Err(Error::work("no name is free"));
        };
        if let Ok(folder) = platform::Folder::create(&path, false) {
            break folder;
        }
        if exists(&path).is_err() {
            return Err(Error::work(format!("can't make `{path}`")));
        }
    };
    for (inside, content) in files {
        folder.write(&inside, [&content[..]])?;
    }
    Ok(folder.name())
}

pub(super) fn rename(run: &str, name: &str) -> Result<Answer> {
    platform::rename_folder(run, &place(name)?)?;
    Ok(Answer::Done)
}

pub(super) fn remove(run: &str) -> Result<Answer> {
    platform::remove_folder(run)?;
    Ok(Answer::Done)
}

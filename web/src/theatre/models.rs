//! The models that can write: those of the kept runs, and the ones that came with the app.

use crossover::lab::RunSummary;

/// The diffusion model that came with the app.
pub const BUNDLED: &str = "bundled/masked.safetensors";
/// The autoregressive model that came with the app.
pub const BUNDLED_AR: &str = "bundled/ar.safetensors";

/// Which model.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Chosen {
    /// The newest state of the newest run; the bundled one where there is no run.
    #[default]
    Latest,
    /// The best state of the newest run; the bundled one where there is no run.
    Best,
    /// The one that came with the app.
    Bundled,
    /// A checkpoint of a kept run.
    Saved(String),
}

impl Chosen {
    /// Its name in the menu.
    pub fn name(&self) -> String {
        match self {
            Self::Latest => "Latest".to_owned(),
            Self::Best => "Best".to_owned(),
            Self::Bundled => "Bundled".to_owned(),
            Self::Saved(path) => short(path),
        }
    }

    /// Its checkpoint's path.
    pub fn path(&self, runs: &[RunSummary]) -> String {
        let newest = |kind: &str| {
            let mut found = runs.iter().flat_map(|run| &run.checkpoints);
            found.find(|path| is_diffusion(path) && file(path).starts_with(kind))
        };
        let found = match self {
            Self::Latest => newest("last").or_else(|| newest("best")),
            Self::Best => newest("best").or_else(|| newest("last")),
            Self::Bundled => None,
            Self::Saved(path) => Some(path),
        };
        found.map_or_else(|| BUNDLED.to_owned(), String::clone)
    }
}

fn file(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Whether a checkpoint's model denoises.
pub fn is_diffusion(path: &str) -> bool {
    path == BUNDLED
        || ["-masked.", "-block.", "-dual."]
            .iter()
            .any(|kind| file(path).contains(kind))
}

/// Whether a checkpoint's model was trained to write block after block.
pub fn is_of_blocks(path: &str) -> bool {
    file(path).contains("-block.")
}

/// A checkpoint in a few words: its run, and which of its checkpoints.
pub fn short(path: &str) -> String {
    let mut parts = path
        .split('/')
        .filter(|part| !matches!(*part, "runs" | "checkpoints"));
    let (run, file) = (parts.next(), parts.next());
    match (run, file) {
        (Some(run), Some(file)) => {
            format!("{run} · {}", file.trim_end_matches(".safetensors"))
        }
        _ => path.to_owned(),
    }
}

/// The autoregressive model that was trained beside a diffusion model, where there is one.
pub fn twin(path: &str, runs: &[RunSummary]) -> Option<String> {
    if path == BUNDLED {
        return Some(BUNDLED_AR.to_owned());
    }
    let run = run_of(path, runs)?;
    let kind = file(path).split('-').next().unwrap_or("best");
    let wanted = format!("{kind}-ar.");
    let mut found = run.checkpoints.iter();
    found
        .clone()
        .find(|path| file(path).starts_with(&wanted))
        .or_else(|| found.find(|path| file(path).contains("-ar.")))
        .cloned()
}

/// The run that a checkpoint is of.
pub fn run_of<'a>(path: &str, runs: &'a [RunSummary]) -> Option<&'a RunSummary> {
    runs.iter()
        .find(|run| run.checkpoints.iter().any(|own| own == path))
}

/// Tokens that a checkpoint's run has seen; unknown for a model that is of no run.
pub fn tokens_seen(path: &str, runs: &[RunSummary]) -> Option<u64> {
    let run = run_of(path, runs)?;
    let length = run.config.corpus.length.unwrap_or(1) as u64;
    Some(run.step * run.config.train.batch as u64 * length)
}

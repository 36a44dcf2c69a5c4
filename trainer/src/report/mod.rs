//! The report: one self-contained page for a run directory, finished or not, and one for the runs of several seeds.
//!
//! [`Run`] is what the directory's files say; [`render`] turns it into HTML without touching anything else;
//! [`write`] does both and puts `report.html` beside the files. [`seeds`] does so for the folder around several runs.

mod chart;
pub mod frontier;
pub mod history;
mod page;
mod samples;
pub mod scale;
mod seeds;
mod tables;
pub mod theme;
pub mod verdict;

pub use samples::rows as grid_rows;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use crossover::error::Error;
use crossover::lab::{Event, Outcome, RaceResult, SampleText, Started};
use crossover::train::{Metrics, RunConfig};

use crate::seeds::{Series, run_folder};
use history::History;
use seeds::Seeds;

/// The report's name in its folder.
const PAGE: &str = "report.html";

/// Everything a run directory says about its run.
#[derive(Debug, Clone)]
pub struct Run {
    /// Where the directory is, as the reader knows it.
    folder: String,
    /// `config.toml` as written.
    config_text: String,
    config: RunConfig,
    history: History,
    started: Option<Started>,
    /// One text for each model and step, steps rising.
    samples: Vec<SampleText>,
    notices: Vec<String>,
    /// Absent while the run is unfinished.
    outcome: Option<Outcome>,
    /// Lines that could not be read: a write that was cut off, or a newer version's.
    unreadable: usize,
}

impl Run {
    /// Reads a run directory.
    ///
    /// # Errors
    /// When `config.toml` or `metrics.jsonl` is missing, or the configuration is none.
    pub fn read(folder: &Path) -> anyhow::Result<Self> {
        let read = |name: &str| {
            let path = folder.join(name);
            fs::read_to_string(&path).map_err(|error| {
                Error::input(format!("can't read `{}`", path.display()))
                    .with_source(error)
                    .with_hint("give the folder that a `race` or `train` wrote")
            })
        };
        let events = folder.join("events.jsonl");
        // A run that was killed before its first event has no such file.
        let events = if events.exists() {
            read("events.jsonl")?
        } else {
            String::new()
        };
        Self::parse(
            &folder.display().to_string(),
            read("config.toml")?,
            &read("metrics.jsonl")?,
            &events,
        )
    }

    /// Reads a run from the text of its files.
    ///
    /// # Errors
    /// When the configuration is none.
    pub fn parse(
        folder: &str,
        config_text: String,
        metrics: &str,
        events: &str,
    ) -> anyhow::Result<Self> {
        let config = RunConfig::from_toml(&config_text, &format!("{folder}/config.toml"))?;
        let mut run = Self {
            folder: folder.to_owned(),
            config_text,
            config,
            history: History::default(),
            started: None,
            samples: Vec::new(),
            notices: Vec::new(),
            outcome: None,
            unreadable: 0,
        };
        for line in metrics.lines().filter(|line| !line.trim().is_empty()) {
            match serde_json::from_str::<Metrics>(line) {
                Ok(metrics) => run.history.push(metrics),
                Err(_) => run.unreadable += 1,
            }
        }
        for line in events.lines().filter(|line| !line.trim().is_empty()) {
            match serde_json::from_str::<Event>(line) {
                Ok(event) => run.take(event),
                Err(_) => run.unreadable += 1,
            }
        }
        run.samples.sort_by_key(|sample| sample.step);
        Ok(run)
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Started(started) => {
                // A resumed run writes anew what came after its checkpoint.
                self.samples.retain(|sample| sample.step <= started.step);
                self.started = Some(*started);
            }
            Event::Sample(sample) => {
                self.samples.retain(|known| {
                    (known.objective, known.step) != (sample.objective, sample.step)
                });
                self.samples.push(sample);
            }
            Event::Notice { message } if !self.notices.contains(&message) => {
                self.notices.push(message);
            }
            Event::Result(outcome) => self.outcome = Some(*outcome),
            _ => {}
        }
    }

    fn race(&self) -> Option<&RaceResult> {
        match &self.outcome {
            Some(Outcome::Race(race)) => Some(race),
            _ => None,
        }
    }

    fn floor(&self) -> Option<f64> {
        let known = self.started.as_ref().and_then(|started| started.floor_nats);
        known.or(match &self.outcome {
            Some(Outcome::Race(race)) => race.floor_nats,
            Some(Outcome::Train(train)) => train.floor_nats,
            None => None,
        })
    }

    /// The curve crossover's epoch: the result's, or by what is known so far.
    fn curve_crossover(&self) -> Option<f64> {
        match &self.outcome {
            Some(Outcome::Race(race)) => race.curve_crossover_epoch,
            Some(Outcome::Train(_)) => None,
            None => verdict::curve_so_far(&self.history),
        }
    }
}

/// The report as one HTML page that needs nothing else.
pub fn render(run: &Run) -> String {
    page::page(run)
}

/// Writes `report.html` into a run directory, or into a folder of several seeds and into each of their runs, and says
/// where.
///
/// # Errors
/// When the directory's files can't be read or the report can't be written.
pub fn write(folder: &Path) -> anyhow::Result<PathBuf> {
    let Some(series) = Series::read(folder)? else {
        return put(&folder.join(PAGE), &render(&Run::read(folder)?));
    };
    let seeds = Seeds::read(folder, &series)?;
    for (seed, run) in &seeds.runs {
        if let Some(run) = run {
            put(&run_folder(folder, *seed).join(PAGE), &render(run))?;
        }
    }
    put(&folder.join(PAGE), &seeds::page(&seeds))
}

/// Writes the report of several seeds alone, not that of their runs, and says where.
///
/// # Errors
/// As [`write`].
pub fn write_together(folder: &Path, series: &Series) -> anyhow::Result<PathBuf> {
    put(
        &folder.join(PAGE),
        &seeds::page(&Seeds::read(folder, series)?),
    )
}

fn put(path: &Path, html: &str) -> anyhow::Result<PathBuf> {
    // Renamed into place, so that a reader never meets half a page.
    let mut beside = std::ffi::OsString::from(".");
    beside.push(path.file_name().unwrap_or_default());
    beside.push(".new");
    let beside = path.with_file_name(beside);
    fs::write(&beside, html)
        .and_then(|()| fs::rename(&beside, path))
        .with_context(|| format!("can't write `{}`", path.display()))?;
    Ok(path.to_owned())
}

/// Text made safe for HTML, in elements and in quoted attributes.
pub fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
}

#[cfg(test)]
mod tests;

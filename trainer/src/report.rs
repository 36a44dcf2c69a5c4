//! Reports on disk: what a folder's files say goes in, `report.html` beside them comes out.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use crossover::error::Error;
use crossover_report::figures::{self, Figure};
use crossover_report::frontier::{self, Comparison};
use crossover_report::seeds::{self, Seeds};
use crossover_report::sweep::{self, Findings, Record, Sweep};
use crossover_report::{Run, render};

use crate::seeds::{Series, run_folder};
use crate::sweep::place;

/// The report's name in its folder.
const PAGE: &str = "report.html";
/// Where figures are, beside their report.
const FIGURES: &str = "figures";
/// What a sweep has found, for programs.
const RESULTS: &str = "results.json";

/// Writes `report.html` into a run directory, into a folder of several seeds and into each of their runs, or into that of a
/// sweep, and says where.
///
/// # Errors
/// When the directory's files can't be read or the report can't be written.
pub fn write(folder: &Path) -> anyhow::Result<PathBuf> {
    if let Some(record) = place::read(folder)? {
        return write_sweep(folder, &record).map(|(page, _)| page);
    }
    let Some(series) = Series::read(folder)? else {
        return put(&folder.join(PAGE), &render(&read(folder)?));
    };
    let seeds = read_seeds(folder, &series)?;
    for (seed, run) in &seeds.runs {
        if let Some(run) = run {
            put(&run_folder(folder, *seed).join(PAGE), &render(run))?;
        }
    }
    put(&folder.join(PAGE), &seeds::render(&seeds))
}

/// Writes the report of several seeds alone, not that of their runs, and says where.
///
/// # Errors
/// As [`write`].
pub fn write_together(folder: &Path, series: &Series) -> anyhow::Result<PathBuf> {
    let seeds = read_seeds(folder, series)?;
    put(&folder.join(PAGE), &seeds::render(&seeds))
}

/// Writes the report of a sweep with every figure and its results beside it, not those of its runs, and says where; with what was found.
///
/// # Errors
/// As [`write`].
pub fn write_sweep(folder: &Path, record: &Record) -> anyhow::Result<(PathBuf, Findings)> {
    let sweep = read_sweep(folder, record)?;
    let findings = Findings::of(&sweep);
    let sweep::Page { html, figures } = sweep::render(&sweep, &findings);
    let beside = folder.join(FIGURES);
    put_figures(&beside, figures)?;
    let page = put(&folder.join(PAGE), &html)?;
    let results = serde_json::to_string_pretty(&findings.to_json(&page.display().to_string()))?;
    put(&folder.join(RESULTS), &(results + "\n"))?;
    Ok((page, findings))
}

/// Writes every figure of a run's report beside it. A sweep's are there already; those of several seeds are in each run.
///
/// # Errors
/// As [`write`].
pub fn write_figures(folder: &Path) -> anyhow::Result<()> {
    if place::read(folder)?.is_some() {
        return Ok(());
    }
    let Some(series) = Series::read(folder)? else {
        return put_figures(&folder.join(FIGURES), figures::of_run(&read(folder)?));
    };
    let seeds = read_seeds(folder, &series)?;
    for (seed, run) in &seeds.runs {
        if let Some(run) = run {
            put_figures(
                &run_folder(folder, *seed).join(FIGURES),
                figures::of_run(run),
            )?;
        }
    }
    Ok(())
}

fn put_figures(folder: &Path, figures: Vec<Figure>) -> anyhow::Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("can't write `{}`", folder.display()))?;
    for figure in figures {
        for (ending, content) in [("svg", figure.svg), ("csv", figure.csv)] {
            if !content.is_empty() {
                put(&folder.join(format!("{}.{ending}", figure.name)), &content)?;
            }
        }
    }
    Ok(())
}

/// What a sweep's folder says, for its report and for what is fitted to its runs.
///
/// # Errors
/// When a run's files can't be read.
pub fn read_sweep(folder: &Path, record: &Record) -> anyhow::Result<Sweep> {
    let mut sweep = Sweep::new(&folder.display().to_string(), record.clone());
    for run in &record.runs {
        let own = folder.join(&run.name);
        if !place::has_begun(&own) {
            sweep.push(None);
            continue;
        }
        let evaluations = fs::read_to_string(own.join("evaluations.jsonl")).unwrap_or_default();
        sweep.push(Some((read(&own)?, &evaluations)));
    }
    Ok(sweep)
}

/// Writes the page of a comparison into a file, and says where.
///
/// # Errors
/// When it can't be written.
pub fn write_comparison(comparison: &Comparison, file: &Path) -> anyhow::Result<PathBuf> {
    put(file, &frontier::render(comparison))
}

/// Reads a run directory: `config.toml` and `metrics.jsonl` must be there, and the configuration must be one.
fn read(folder: &Path) -> anyhow::Result<Run> {
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
    Ok(Run::parse(
        &folder.display().to_string(),
        read("config.toml")?,
        &read("metrics.jsonl")?,
        &events,
    )?)
}

/// Reads a folder of several seeds, with the files of every run that has begun.
fn read_seeds(folder: &Path, series: &Series) -> anyhow::Result<Seeds> {
    let path = folder.join("config.toml");
    let config = fs::read_to_string(&path).map_err(|error| {
        Error::input(format!("can't read `{}`", path.display()))
            .with_source(error)
            .with_hint("each `seed-N` in that folder has a report of its own")
    })?;
    let mut seeds = Seeds::parse(&folder.display().to_string(), &series.command, config)?;
    for seed in &series.seeds {
        let own = run_folder(folder, *seed);
        // A run has begun once it has done a step.
        let has_begun = own.join("metrics.jsonl").exists();
        let run = has_begun.then(|| read(&own)).transpose()?;
        seeds.runs.push((*seed, run));
    }
    Ok(seeds)
}

fn put(path: &Path, text: &str) -> anyhow::Result<PathBuf> {
    // Renamed into place, so that a reader never meets half a page.
    let mut beside = std::ffi::OsString::from(".");
    beside.push(path.file_name().unwrap_or_default());
    beside.push(".new");
    let beside = path.with_file_name(beside);
    fs::write(&beside, text)
        .and_then(|()| fs::rename(&beside, path))
        .with_context(|| format!("can't write `{}`", path.display()))?;
    Ok(path.to_owned())
}

#[cfg(test)]
mod tests {
    use crossover::train::RunConfig;
    use crossover_report::fixtures;

    use super::*;

    #[test]
    fn the_report_is_written_beside_its_run() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        assert!(write(folder.path()).is_err(), "an empty folder is no run");
        let config = RunConfig::default().to_toml().expect("defaults are valid");
        fs::write(folder.path().join("config.toml"), config).expect("writable");
        let history = fixtures::race(&[0.9, 0.6, 0.8, 1.1], &[0.95, 0.8, 0.7, 0.551]);
        let lines: String = history
            .curves()
            .iter()
            .flat_map(|curve| &curve.steps)
            .map(|line| serde_json::to_string(line).expect("plain data") + "\n")
            .collect();
        fs::write(folder.path().join("metrics.jsonl"), lines).expect("writable");
        let path = write(folder.path()).expect("a run");
        let html = fs::read_to_string(path).expect("written");
        assert!(html.ends_with("</html>\n"));
        assert!(!folder.path().join(".report.html.new").exists());
    }
}

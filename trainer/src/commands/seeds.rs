//! `race --seeds N` and `train --seeds N`: runs that differ in their seed only, one after the other.
//!
//! Each is an ordinary run in a folder `seed-N` of its own, which can be sampled from, resumed and reported like any
//! other. The folder around them has the configuration they share and `seeds.json`, which says which seeds there are.

use std::fs;
use std::path::Path;

use anyhow::Result;
use crossover::corpus::Corpus;
use crossover::device::Selected;
use crossover::error::Error;
use crossover::lab::{self, Event, Lab};
use crossover::platform::Folder;
use crossover::train::RunConfig;
use crossover_report::together::Together;
use serde::Serialize;

use super::run::{Interrupt, as_before, stopped, watch};
use crate::arguments::RunArguments;
use crate::commands::{print_json, print_text};
use crate::exports::Exports;

use crate::seeds::{MARK, Series, run_folder};
use crate::terminal::Turn;
use crate::{devices, distributed, report, settings, terminal};

const CONFIG: &str = "config.toml";

/// A run's event with its seed.
#[derive(Serialize)]
struct Seeded<'a> {
    #[serde(flatten)]
    event: &'a Event,
    seed: u64,
}

/// Starts all seeds in a new folder.
pub(super) fn start(
    series: &Series,
    config: RunConfig,
    folder: &Path,
    arguments: &RunArguments,
) -> Result<()> {
    one_process()?;
    let device = devices::choose(&arguments.common)?;
    let config = checked(config)?;
    for seed in &series.seeds {
        free(&run_folder(folder, *seed))?;
    }
    let text = config.to_toml()?;
    let place = Folder::create(&folder.display().to_string(), arguments.force)?;
    place.write(CONFIG, [text.as_bytes()])?;
    place.write(MARK, [series.to_json()?.as_bytes()])?;
    run(series, &config, &place, &device, arguments)
}

/// Continues with the seeds of a folder that are not finished.
pub(super) fn resume(series: &Series, folder: &Path, arguments: &RunArguments) -> Result<()> {
    one_process()?;
    let place = Folder::open(&folder.display().to_string())?;
    let config = settings::read_config(&folder.join(CONFIG))?;
    let before = series.seeds.iter().find_map(|seed| {
        let config = run_folder(folder, *seed).join(CONFIG);
        settings::read_config(&config).ok()?.provenance
    });
    let device = devices::choose(&as_before(&arguments.common, before))?;
    run(series, &config, &place, &device, arguments)
}

/// Refuses several processes, each of which would run every seed.
fn one_process() -> Result<(), Error> {
    match distributed::processes() {
        1 => Ok(()),
        count => Err(Error::input(format!(
            "`--seeds` trains in one process, and {count} were started together"
        ))
        .with_hint(
            "leave the launcher out; or start them once for each seed, as a run of its own: `--seed N --out DIR`",
        )),
    }
}

/// Refuses what the first run would refuse, while nothing is written yet, and makes the text's paths absolute.
fn checked(config: RunConfig) -> Result<RunConfig, Error> {
    let (corpus, _) = lab::prepare(&config)?;
    Ok(with_text_of(config, &corpus))
}

/// A configuration that names its text as it was found: absolute paths, and the content's hash.
pub(super) fn with_text_of(mut config: RunConfig, corpus: &Corpus) -> RunConfig {
    config.corpus.source.clone_from(&corpus.config.source);
    config.corpus.hash.clone_from(&corpus.config.hash);
    config
}

/// Refuses a place for a run that holds something else, which no run may replace.
fn free(folder: &Path) -> Result<(), Error> {
    let taken = fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some());
    if taken && !folder.join(".lock").exists() {
        return Err(Error::input(format!(
            "`{}` holds files that are not a run of crossover",
            folder.display()
        ))
        .with_hint("choose another folder with `--out`"));
    }
    Ok(())
}

/// Runs every seed that is not finished, and tells what all of them say together.
fn run(
    series: &Series,
    config: &RunConfig,
    place: &Folder,
    device: &Selected,
    arguments: &RunArguments,
) -> Result<()> {
    let json = arguments.common.json;
    let mut exports = Exports::open(arguments)?;
    let name = place.name();
    let folder = Path::new(&name);
    let interrupt = Interrupt::install()?;
    let mut page = folder.join("report.html");
    let mut results = Vec::new();
    for (seed, number) in series.seeds.iter().copied().zip(1..) {
        if interrupt.was_asked() {
            return Err(stopped(&name).into());
        }
        let mut tell = |event: &Event| {
            exports.on_event(event);
            if json {
                print_json(&Seeded { event, seed })
            } else {
                Ok(())
            }
        };
        let own = run_folder(folder, seed);
        let lab = Lab::open(device.clone());
        lab.send(command(config, seed, &own));
        interrupt.lead_to(&lab);
        let turn = Turn {
            seed,
            number,
            of: series.seeds.len(),
        };
        let mut view = terminal::View::new(terminal::Mode::detect(), Some(turn));
        let ended = watch(&lab, &mut view, &mut tell)?.ended;
        // What a single run would print at its end, all of them say together.
        let _ = view.finish(None);
        let outcome = ended.map_err(|end| end.for_person(Some(folder)))?;
        report::write(&own)?;
        results.push((seed, (*outcome).clone()));
        tell(&Event::Result(outcome))?;
        page = report::write_together(folder, series)?;
    }
    let Some(together) = Together::of(results)? else {
        return Err(Error::input(format!("`{name}/{MARK}` names no seed")).into());
    };
    if json {
        return print_json(&together.to_json());
    }
    print_text(&terminal::seeds_summary(&together, config, &page))
}

/// How a seed's run goes on, or begins. One that has not done a step has nothing to lose by beginning again.
fn command(config: &RunConfig, seed: u64, folder: &Path) -> lab::Command {
    let name = folder.display().to_string();
    if folder.join("metrics.jsonl").exists() {
        return lab::Command::Resume { folder: name };
    }
    lab::Command::Start {
        config: Box::new(RunConfig {
            seed,
            ..config.clone()
        }),
        folder: name,
        force: true,
    }
}

//! `race` and `train`: both start a run in the lab and show what it tells.

use std::path::Path;

use anyhow::Result;
use crossover::error::Error;
use crossover::lab::{self, Event, Lab};
use crossover::objective::Objective;
use crossover::train::RunConfig;

use crate::arguments::{RaceArguments, RunArguments, TrainArguments};
use crate::commands::{print_json, print_text};
use crate::{devices, report, settings, terminal};

/// Trains both models side by side.
pub fn race(arguments: &RaceArguments) -> Result<()> {
    run(&arguments.run, |config| {
        if let Some(second) = &arguments.second {
            let second = settings::objective("--second", second)?;
            if second == Objective::Autoregressive {
                return Err(
                    Error::input("AR can't race against itself").with_hint("`--second masked`")
                );
            }
            config.objectives = vec![Objective::Autoregressive, second];
        }
        if config.objectives.len() != 2 {
            config.objectives = RunConfig::default().objectives;
        }
        Ok(())
    })
}

/// Trains one model.
pub fn train(arguments: &TrainArguments) -> Result<()> {
    run(&arguments.run, |config| {
        if let Some(objective) = &arguments.objective {
            config.objectives = vec![settings::objective("--objective", objective)?];
        }
        if config.objectives.len() != 1 {
            return Err(
                Error::input("`train` trains one model, and the configuration names two")
                    .with_hint("add `--objective ar` or `--objective masked`"),
            );
        }
        Ok(())
    })
}

fn run(
    arguments: &RunArguments,
    set_objectives: impl FnOnce(&mut RunConfig) -> Result<(), Error>,
) -> Result<()> {
    let mut common = arguments.common.clone();
    let command = match &arguments.resume {
        Some(folder) => {
            let alone = RunArguments {
                resume: arguments.resume.clone(),
                common: arguments.common.clone(),
                ..RunArguments::default()
            };
            if *arguments != alone {
                eprintln!(
                    "warning: a resumed run goes on as it began; its other flags are ignored"
                );
            }
            // The same device and threads as before, unless told otherwise.
            let provenance = settings::read_config(&folder.join("config.toml"))?.provenance;
            common.threads = common
                .threads
                .or(provenance.as_ref().map(|before| before.threads));
            common.device = common.device.or(provenance.map(|before| before.backend));
            lab::Command::Resume {
                folder: folder.display().to_string(),
            }
        }
        None => {
            let mut config = settings::run_config(arguments)?;
            set_objectives(&mut config)?;
            let folder = match &arguments.out {
                Some(folder) => folder.clone(),
                None => settings::default_folder(&config),
            };
            lab::Command::Start {
                config: Box::new(config),
                folder: folder.display().to_string(),
                force: arguments.force,
            }
        }
    };
    let device = devices::choose(&common)?;
    let lab = Lab::open(device);
    let asked = lab.clone();
    ctrlc::set_handler(move || asked.send(lab::Command::Stop))?;
    lab.send(command);
    show(&lab, arguments)
}

/// Shows the events until the last, then writes the report.
fn show(lab: &Lab, arguments: &RunArguments) -> Result<()> {
    let json = arguments.common.json;
    let mut view = terminal::View::new(terminal::Mode::detect());
    let mut folder = arguments
        .resume
        .as_ref()
        .map(|folder| folder.display().to_string());
    let mut outcome = None;
    // A channel that closes without an ending means that the run's thread died.
    let mut end = Err(Error::work("the run broke off: this is a bug in crossover")
        .with_hint("the state of the last evaluation is on disk: continue with `--resume`")
        .into());
    while let Ok(event) = lab.events().recv_blocking() {
        view.on_event(&event);
        // The result comes last, and only once the report is written.
        if json && !matches!(event, Event::Result(_)) {
            print_json(&event)?;
        }
        match event {
            Event::Started(started) => folder = Some(started.folder),
            Event::Result(result) => {
                outcome = Some(result);
                end = Ok(());
            }
            Event::Stopped { folder, .. } => {
                let hint = format!("continue with `crossover race --resume {folder}`");
                end = Err(Error::interrupted("stopped; the state is saved")
                    .with_hint(hint)
                    .into());
            }
            Event::Failed {
                message,
                hint,
                input,
            } => {
                let error = if input {
                    Error::input(message)
                } else {
                    Error::work(message)
                };
                end = Err(match hint {
                    Some(hint) => error.with_hint(hint),
                    None => error,
                }
                .into());
            }
            _ => {}
        }
    }
    let page = match (&folder, &outcome) {
        (Some(folder), Some(_)) => Some(report::write(Path::new(folder))?),
        _ => None,
    };
    let mut summary = view.finish(page.as_deref());
    if let (None, Some(folder), Some(outcome)) = (&summary, &folder, &outcome) {
        // A finished run that is resumed doesn't start: it only tells its result.
        let config = settings::read_config(&Path::new(folder).join("config.toml"))?;
        summary = Some(terminal::summary(outcome, &config, page.as_deref()));
    }
    match outcome {
        Some(outcome) if json => print_json(&Event::Result(outcome))?,
        _ => print_text(&summary.unwrap_or_default())?,
    }
    end
}

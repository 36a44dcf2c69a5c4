//! `race` and `train`: both start a run in the lab and show what it tells. With `--seeds` there are several runs; how
//! those follow one another is in [`seeds`](super::seeds).

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use crossover::device::Selected;
use crossover::error::Error;
use crossover::lab::{self, Event, Lab, Outcome};
use crossover::objective::Objective;
use crossover::train::{Provenance, RunConfig};

use crate::arguments::{CommonArguments, RaceArguments, RunArguments, TrainArguments};
use crate::commands::{print_json, print_text, seeds};
use crate::exports::Exports;
use crate::seeds::Series;
use crate::{devices, report, settings, terminal};

/// Trains both models side by side.
pub fn race(arguments: &RaceArguments) -> Result<()> {
    run("race", &arguments.run, |config| {
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
    run("train", &arguments.run, |config| {
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
    command: &str,
    arguments: &RunArguments,
    set_objectives: impl FnOnce(&mut RunConfig) -> Result<(), Error>,
) -> Result<()> {
    if let Some(folder) = &arguments.resume {
        return resume(folder, arguments);
    }
    let mut config = settings::run_config(arguments)?;
    set_objectives(&mut config)?;
    let folder = match &arguments.out {
        Some(folder) => folder.clone(),
        None => settings::default_folder(&config),
    };
    if let Some(count) = settings::seeds(arguments)? {
        let series = Series::new(config.seed, count, command)?;
        return seeds::start(&series, config, &folder, arguments);
    }
    let device = devices::choose_together(&arguments.common, arguments.engine)?;
    let start = lab::Command::Start {
        config: Box::new(config),
        folder: folder.display().to_string(),
        force: arguments.force,
    };
    show(start, device, None, arguments)
}

fn resume(folder: &Path, arguments: &RunArguments) -> Result<()> {
    let (series, asked) = (Series::read(folder)?, settings::seeds(arguments)?);
    if series.is_none() && asked.is_some() {
        return Err(Error::input(format!(
            "`{}` holds a single run, and `--seeds` asks for several",
            folder.display()
        ))
        .with_hint("resume it without `--seeds`, or begin several runs with `--out`")
        .into());
    }
    let alone = RunArguments {
        resume: arguments.resume.clone(),
        common: arguments.common.clone(),
        tensorboard: arguments.tensorboard,
        metrics_port: arguments.metrics_port,
        engine: arguments.engine,
        ..RunArguments::default()
    };
    if *arguments != alone {
        eprintln!("warning: a resumed run goes on as it began; its other flags are ignored");
    }
    if let Some(series) = series {
        return seeds::resume(&series, folder, arguments);
    }
    let before = settings::read_config(&folder.join("config.toml"))?.provenance;
    let common = as_before(&arguments.common, before);
    let device = devices::choose_together(&common, arguments.engine)?;
    let command = lab::Command::Resume {
        folder: folder.display().to_string(),
    };
    show(command, device, Some(folder.to_owned()), arguments)
}

/// The same device and threads as before, unless told otherwise.
pub(super) fn as_before(asked: &CommonArguments, before: Option<Provenance>) -> CommonArguments {
    let mut common = asked.clone();
    common.threads = common
        .threads
        .or(before.as_ref().map(|before| before.threads));
    common.device = common.device.or(before.map(|before| before.backend));
    common
}

/// Shows one run until its last event, then writes the report.
fn show(
    command: lab::Command,
    device: Selected,
    folder: Option<PathBuf>,
    arguments: &RunArguments,
) -> Result<()> {
    // Of several processes the first one speaks for all.
    let is_shown = device.ranks.is_first();
    let json = arguments.common.json && is_shown;
    let mut exports = match is_shown {
        true => Exports::open(arguments)?,
        false => Exports::default(),
    };
    let lab = Lab::open(device);
    let interrupt = Interrupt::install()?;
    lab.send(command);
    interrupt.lead_to(&lab);
    let mode = match is_shown {
        true => terminal::Mode::detect(),
        false => terminal::Mode::Silent,
    };
    let mut view = terminal::View::new(mode, None);
    let watched = watch(&lab, &mut view, |event| {
        exports.on_event(event);
        if json { print_json(event) } else { Ok(()) }
    })?;
    if !is_shown {
        return match watched.ended {
            Ok(_) => Ok(()),
            Err(end) => Err(end.for_person(None).into()),
        };
    }
    let folder = watched.folder.map(PathBuf::from).or(folder);
    let page = match (&folder, &watched.ended) {
        (Some(folder), Ok(_)) => Some(report::write(folder)?),
        _ => None,
    };
    let mut summary = view.finish(page.as_deref());
    let outcome = watched.ended.map_err(|end| end.for_person(None))?;
    if json {
        return print_json(&Event::Result(outcome));
    }
    if let (None, Some(folder)) = (&summary, &folder) {
        // A finished run that is resumed doesn't start: it only tells its result.
        let config = settings::read_config(&folder.join("config.toml"))?;
        summary = Some(terminal::summary(&outcome, &config, page.as_deref()));
    }
    print_text(&summary.unwrap_or_default())
}

/// Ctrl-C: remembered, and passed on to the run that is under way.
#[derive(Debug, Clone, Default)]
pub(super) struct Interrupt {
    asked: Arc<AtomicBool>,
    lab: Arc<Mutex<Option<Lab>>>,
}

impl Interrupt {
    /// Listens from now on. Once in a process.
    pub fn install() -> Result<Self> {
        let interrupt = Self::default();
        let handler = interrupt.clone();
        ctrlc::set_handler(move || {
            handler.asked.store(true, Ordering::SeqCst);
            if let Some(lab) = &*handler.lab() {
                lab.send(lab::Command::Stop);
            }
        })?;
        Ok(interrupt)
    }

    /// Passes the interrupt on to this run, whose first command has been sent.
    pub fn lead_to(&self, lab: &Lab) {
        *self.lab() = Some(lab.clone());
        if self.was_asked() {
            lab.send(lab::Command::Stop);
        }
    }

    /// Whether somebody asked to stop.
    pub fn was_asked(&self) -> bool {
        self.asked.load(Ordering::SeqCst)
    }

    fn lab(&self) -> std::sync::MutexGuard<'_, Option<Lab>> {
        self.lab.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A run's end.
pub(super) struct Watched {
    /// Where it told that its files are.
    pub folder: Option<String>,
    /// Its result, or why there is none.
    pub ended: Result<Box<Outcome>, End>,
}

/// Why a run has no result.
pub(super) enum End {
    /// Somebody asked it to stop; its state is saved in this folder.
    Stopped(String),
    /// It could not go on.
    Failed(Error),
}

impl End {
    /// What to tell the reader; `whole` is the folder to resume when it isn't the run's own.
    pub fn for_person(self, whole: Option<&Path>) -> Error {
        match self {
            Self::Stopped(folder) => {
                let folder = whole.map_or(folder, |whole| whole.display().to_string());
                stopped(&folder)
            }
            Self::Failed(error) => error,
        }
    }
}

/// The end of what was stopped and can be resumed.
pub(super) fn stopped(folder: &str) -> Error {
    Error::interrupted("stopped; the state is saved")
        .with_hint(format!("continue with `crossover race --resume {folder}`"))
}

/// Shows a run's events until the last; `tell` gets all but the result, which comes last and only once the report is
/// written.
pub(super) fn watch(
    lab: &Lab,
    view: &mut terminal::View,
    mut tell: impl FnMut(&Event) -> Result<()>,
) -> Result<Watched> {
    let mut folder = None;
    // A channel that closes without an ending means that the run's thread died.
    let mut ended = Err(End::Failed(
        Error::work("the run broke off: this is a bug in crossover")
            .with_hint("the state of the last evaluation is on disk: continue with `--resume`"),
    ));
    while let Ok(event) = lab.events().recv_blocking() {
        view.on_event(&event);
        if !matches!(event, Event::Result(_)) {
            tell(&event)?;
        }
        let is_last = event.ends_run();
        match event {
            Event::Started(started) => folder = Some(started.folder),
            Event::Result(result) => ended = Ok(result),
            Event::Stopped { folder, .. } => ended = Err(End::Stopped(folder)),
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
                ended = Err(End::Failed(match hint {
                    Some(hint) => error.with_hint(hint),
                    None => error,
                }));
            }
            _ => {}
        }
        if is_last {
            break;
        }
    }
    Ok(Watched { folder, ended })
}

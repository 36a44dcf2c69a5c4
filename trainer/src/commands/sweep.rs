//! `sweep`: a grid of races from a file. Everything is read and checked first; then each run is a process of its own, what is
//! finished is kept, and the report of all is written anew after each.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::process::ExitStatus;
use std::time::Instant;

use anyhow::Result;
use crossover::device::{DeviceChoice, select};
use crossover::error::Error;
use crossover::lab;
use crossover::laws::flops;
use crossover::platform;
use crossover::train::RunConfig;
use crossover_report::numbers;
use crossover_report::sweep::{Envelope, Record, RecordedRun};
use serde_json::{Value, json};

use crate::arguments::SweepArguments;
use crate::commands::run::Interrupt;
use crate::commands::{print_json, print_text, seeds};
use crate::sweep::runner::{Job, Told};
use crate::sweep::{file, place, ready, runner};
use crate::{devices, report, settings, terminal};

/// A run of the sweep, checked.
struct Run {
    name: String,
    config: RunConfig,
    /// Training FLOPs of all its models.
    flops: f64,
}

/// Checks, runs and reports.
pub fn run(arguments: &SweepArguments) -> Result<()> {
    let (name, path, text) = ready::find(&arguments.file)?;
    let scale = arguments.scale.as_deref().unwrap_or(file::USUAL_SCALE);
    let sweep = file::read(&path, &text, scale, arguments.corpus.as_deref())?;
    let count = settings::checked_seeds(arguments.seeds.unwrap_or(sweep.seeds))?;
    let (runs, record) = resolve(
        &name,
        scale,
        &sweep,
        settings::seed(&arguments.common),
        count,
    )?;
    let crews = Crews::of(arguments, runs.len())?;

    // Everything that could be refused has been; only now is anything written.
    let configs = runs
        .iter()
        .map(|run| run.config.to_toml())
        .collect::<Result<Vec<_>, Error>>()?;
    let folder = arguments
        .out
        .clone()
        .unwrap_or_else(|| place::default_folder(&name, scale));
    let _in_use = place::open(&folder, &record, &configs)?;
    let unfinished: Vec<&Run> = runs
        .iter()
        .filter(|run| !place::is_finished(&folder.join(&run.name)))
        .collect();
    eprintln!(
        "{}, {} of them finished; {} at once, in {}",
        numbers::counted(runs.len(), "run"),
        runs.len() - unfinished.len(),
        crews.jobs,
        folder.display()
    );
    let failed = carry_out(&unfinished, &folder, &record, &crews, arguments)?;

    let (page, findings) = report::write_sweep(&folder, &record)?;
    if !failed.is_empty() {
        return Err(Error::work(format!(
            "{} failed: {}",
            numbers::counted(failed.len(), "run"),
            failed.join(", ")
        ))
        .with_hint(format!(
            "`{}/logs` says why; the same command tries them again",
            folder.display()
        ))
        .into());
    }
    if arguments.common.json {
        return print_json(&findings.to_json(&page.display().to_string()));
    }
    let mut said = vec![findings.headline(), terminal::aligned(&findings.table())];
    said.extend(findings.envelopes.iter().map(Envelope::sentence));
    said.push(format!("Report: {}\n", page.display()));
    print_text(&said.join("\n"))
}

/// Every point with every seed, all points of a seed before the next seed.
fn resolve(
    name: &str,
    scale: &str,
    sweep: &file::Sweep,
    first: u64,
    count: u64,
) -> Result<(Vec<Run>, Record), Error> {
    let last = first.checked_add(count).ok_or_else(|| {
        Error::input(format!("there are no {count} seeds from {first} on"))
            .with_hint("give a lower `--seed`")
    })?;
    let points = sweep
        .points
        .iter()
        .map(|point| {
            let config = RunConfig {
                seed: first,
                ..point.config.clone()
            };
            let (config, flops) =
                checked(config).map_err(|error| error.about(&format!("point `{}`", point.name)))?;
            Ok((point, config, flops))
        })
        .collect::<Result<Vec<_>, Error>>()?;
    let mut runs = Vec::new();
    let mut recorded = Vec::new();
    for seed in first..last {
        for (point, config, flops) in &points {
            let run = Run {
                name: format!("{},seed={seed}", point.name),
                config: RunConfig {
                    seed,
                    ..config.clone()
                },
                flops: *flops,
            };
            let settings = point.settings.iter().map(|(key, value)| {
                let shown = serde_json::to_value(value).unwrap_or_default();
                (key.clone(), shown)
            });
            recorded.push(RecordedRun {
                name: run.name.clone(),
                point: point.name.clone(),
                label: point.label.clone(),
                seed,
                settings: settings.collect(),
                command: command(&run.config).to_owned(),
            });
            runs.push(run);
        }
    }
    let record = Record {
        version: place::VERSION,
        name: name.to_owned(),
        about: sweep.about.clone(),
        scale: scale.to_owned(),
        axes: sweep.axes.clone(),
        runs: recorded,
    };
    Ok((runs, record))
}

/// Refuses what the run would refuse, and counts its FLOPs.
fn checked(config: RunConfig) -> Result<(RunConfig, f64), Error> {
    let (corpus, shape) = lab::prepare(&config)?;
    let length = corpus.length();
    let tokens = match config.train.steps {
        Some(steps) => steps as f64 * (config.train.batch * length) as f64,
        None => config.train.epochs * corpus.train.tokens_per_epoch() as f64,
    };
    let models = config.objectives.len() as f64;
    let flops = models * tokens * flops::training_per_token(&shape, length);
    Ok((seeds::with_text_of(config, &corpus), flops))
}

/// Which command trains a configuration.
fn command(config: &RunConfig) -> &'static str {
    match config.objectives.len() {
        1 => "train",
        _ => "race",
    }
}

/// How many runs there are at once, and what each of them gets.
struct Crews {
    jobs: usize,
    device: String,
    threads: usize,
}

impl Crews {
    /// On the processor a run for each thread, as two runs of one thread finish before one after another of two; on a GPU
    /// one after the other.
    fn of(arguments: &SweepArguments, runs: usize) -> Result<Self, Error> {
        let common = &arguments.common;
        let threads = common.threads.unwrap_or_else(platform::threads);
        if threads == 0 || arguments.jobs == Some(0) {
            return Err(Error::input("`--jobs` or `--threads` is 0").with_hint("give at least 1"));
        }
        let choice = common
            .device
            .as_deref()
            .map_or(Ok(DeviceChoice::Auto), str::parse)?;
        let device = select(choice, &devices::candidates(choice), threads)?;
        let usual = match device.choice {
            DeviceChoice::Cpu => threads,
            _ => 1,
        };
        let jobs = arguments.jobs.unwrap_or(usual).min(runs.max(1));
        Ok(Self {
            jobs,
            device: device.choice.to_string(),
            threads: (threads / jobs).max(1),
        })
    }

    /// What a run is started with, or goes on with.
    fn job(&self, run: &Run, folder: &Path) -> Job {
        let own = folder.join(&run.name).display().to_string();
        let mut arguments = vec![command(&run.config).to_owned()];
        if place::has_begun(&folder.join(&run.name)) {
            arguments.extend(["--resume".to_owned(), own]);
        } else {
            let config = folder.join(place::config_file(&run.name));
            arguments.extend(["--config".to_owned(), config.display().to_string()]);
            // One that was begun and has not done a step has nothing to lose.
            arguments.extend(["--force", "--out"].map(str::to_owned));
            arguments.push(own);
        }
        arguments.extend(["--json", "--device", &self.device, "--threads"].map(str::to_owned));
        arguments.push(self.threads.to_string());
        Job {
            arguments,
            log: folder.join("logs").join(format!("{}.log", run.name)),
        }
    }
}

/// Carries out what is not finished and names what failed.
fn carry_out(
    runs: &[&Run],
    folder: &Path,
    record: &Record,
    crews: &Crews,
    arguments: &SweepArguments,
) -> Result<Vec<String>> {
    fs::create_dir_all(folder.join("logs"))?;
    let interrupt = Interrupt::install()?;
    let jobs: Vec<Job> = runs.iter().map(|run| crews.job(run, folder)).collect();
    let mut progress = Progress {
        began: Instant::now(),
        done: 0.0,
        all: runs.iter().map(|run| run.flops).sum(),
        started: HashMap::new(),
        results: HashMap::new(),
    };
    let mut failed = Vec::new();
    let is_stopped = || interrupt.was_asked();
    runner::run(&jobs, crews.jobs, is_stopped, |index, told| {
        let run = runs[index];
        match told {
            Told::Began => {
                progress.started.insert(index, Instant::now());
                eprintln!("{}: begun ({} of {})", run.name, index + 1, runs.len());
            }
            Told::Line(line) => {
                let Ok(Value::Object(mut event)) = serde_json::from_str(&line) else {
                    return Ok(());
                };
                if event.get("event") == Some(&json!("result")) {
                    progress.results.insert(index, Value::Object(event.clone()));
                }
                if arguments.common.json {
                    event.insert("run".to_owned(), json!(run.name));
                    print_json(&event)?;
                }
            }
            Told::Ended(status) if status.success() => {
                eprintln!("{}", progress.finish(index, run));
                report::write_sweep(folder, record)?;
            }
            Told::Ended(_) if interrupt.was_asked() => {}
            Told::Ended(status) => {
                eprintln!("{}", failure(run, status, &jobs[index].log));
                failed.push(run.name.clone());
            }
        }
        Ok(())
    })?;
    if interrupt.was_asked() {
        return Err(Error::interrupted("stopped; what was trained is saved")
            .with_hint("the same command goes on")
            .into());
    }
    Ok(failed)
}

/// How far the sweep has come.
struct Progress {
    began: Instant,
    done: f64,
    all: f64,
    started: HashMap<usize, Instant>,
    results: HashMap<usize, Value>,
}

impl Progress {
    /// What a run came to, and how long the rest may take.
    fn finish(&mut self, index: usize, run: &Run) -> String {
        self.done += run.flops;
        let result = self.results.remove(&index).unwrap_or_default();
        let loss = |mean: &str, se: &str| {
            Some(numbers::measured(
                result[mean].as_f64()?,
                result[se].as_f64(),
            ))
        };
        let came = match (
            loss("ar_best_nats", "ar_best_se"),
            loss("masked_best_nats", "masked_best_se"),
            loss("nats", "se"),
        ) {
            (Some(ar), Some(second), _) => format!("AR {ar}, against it {second} nats/token"),
            (_, _, Some(alone)) => format!("{alone} nats/token"),
            _ => "finished".to_owned(),
        };
        let took = self
            .started
            .get(&index)
            .map_or(0.0, |began| began.elapsed().as_secs_f64());
        let rest = self.began.elapsed().as_secs_f64() * (self.all / self.done.max(1.0) - 1.0);
        let rest = match rest > 0.5 {
            true => format!("; about {} to go", numbers::duration(rest)),
            false => String::new(),
        };
        format!("{}: {came} ({}{rest})", run.name, numbers::duration(took))
    }
}

/// What a failed run said last.
fn failure(run: &Run, status: ExitStatus, log: &Path) -> String {
    let said = fs::read_to_string(log).unwrap_or_default();
    let error = said.lines().rfind(|line| line.starts_with("error: "));
    match error {
        Some(error) => format!("{}: {error}", run.name),
        None => format!("{}: ended with {status}; see {}", run.name, log.display()),
    }
}

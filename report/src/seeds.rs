//! The report of several seeds: what they say together, each seed's own figures, and the way to its own report.

use std::fmt::Write;

use crossover::error::Result;
use crossover::train::RunConfig;

use crate::chart::{Crossing, Plot};
use crate::history::History;
use crate::numbers;
use crate::scale;
use crate::strip::{self, Row};
use crate::theme::{Racer, racer};
use crate::together::{Races, Together};
use crate::{Run, escape, page, tables, verdict};

/// Everything a folder of several seeds says.
#[derive(Debug)]
pub struct Seeds {
    /// Where the folder is, as the reader knows it.
    folder: String,
    /// Which command ran them.
    command: String,
    /// What they share, as written.
    config_text: String,
    /// What they share.
    pub config: RunConfig,
    /// Each seed's run, where it has begun.
    pub runs: Vec<(u64, Option<Run>)>,
}

impl Seeds {
    /// What a folder says of several seeds that a command ran; their runs are to be put in.
    ///
    /// # Errors
    /// When the configuration is none.
    pub fn parse(folder: &str, command: &str, config_text: String) -> Result<Self> {
        let config = RunConfig::from_toml(&config_text, &format!("{folder}/config.toml"))?;
        Ok(Self {
            folder: folder.to_owned(),
            command: command.to_owned(),
            runs: Vec::new(),
            config_text,
            config,
        })
    }

    fn begun(&self) -> impl Iterator<Item = &Run> {
        self.runs.iter().filter_map(|(_, run)| run.as_ref())
    }

    /// The finished runs' results.
    fn together(&self) -> Option<Together> {
        let finished = self.runs.iter().filter_map(|(seed, run)| {
            let outcome = run.as_ref()?.outcome.clone()?;
            Some((*seed, outcome))
        });
        Together::of(finished.collect()).ok().flatten()
    }
}

/// The name of a seed's run in that folder.
pub fn run_name(seed: u64) -> String {
    format!("seed-{seed}")
}

/// The report as one HTML page, which links to those of the runs beside it.
pub fn render(seeds: &Seeds) -> String {
    let together = seeds.together();
    let count = seeds.runs.len();
    let finished = seeds.begun().filter(|run| run.outcome.is_some()).count();
    let mut headline = match &together {
        Some(Together::Race(races)) => verdict::seeds_headline(races),
        Some(Together::Train(trainings)) => verdict::trainings_headline(trainings),
        None => "No result yet.".to_owned(),
    };
    if finished < count {
        headline = format!("Unfinished, {finished} of {count} seeds are done. {headline}");
    }
    let each = tables::each_seed(seeds);
    let result = match &together {
        Some(Together::Race(races)) => {
            tables::races(races) + &differences(races) + &each + &tables::grids_over_seeds(races)
        }
        Some(Together::Train(trainings)) => tables::trainings(trainings) + &each,
        None => each,
    };
    let mut body = page::part("Result", &result);
    body.push_str(&page::part(
        "Loss along the way",
        &charts(seeds, together.as_ref()),
    ));
    if let Some(Together::Race(races)) = &together {
        let crossovers = page::three(
            &verdict::seeds_curve(races),
            &verdict::seeds_envelope(races),
        );
        let dual = races.dual.as_ref().map(verdict::seeds_dual);
        let dual = dual.map_or_else(String::new, |words| page::also_dual(&words));
        body.push_str(&page::part("Which crossover", &(crossovers + &dual)));
    }
    let parameters = seeds
        .begun()
        .find_map(|run| Some(run.started.as_ref()?.parameters));
    let names: Vec<String> = seeds
        .runs
        .iter()
        .map(|(seed, _)| seed.to_string())
        .collect();
    body.push_str(&page::part(
        "What, where, how",
        &page::columns(
            &tables::configuration(&seeds.config, parameters, names.join(", ")),
            &provenance(seeds),
        ),
    ));
    body.push_str(&page::part("Do it again", &again(seeds, finished == count)));
    let what = format!("{} of {count} seeds", seeds.command);
    page::frame(&what, &headline, &setting(seeds, &names), &body)
}

/// The setting in a line: data, model, machine.
fn setting(seeds: &Seeds, names: &[String]) -> String {
    let (corpus, model) = (&seeds.config.corpus, &seeds.config.model);
    let mut text = corpus.source.join(", ");
    let resolved = seeds.begun().next().map(|run| &run.config);
    if let Some(unique) = resolved.and_then(|config| config.corpus.unique) {
        let _ = write!(text, ": {} unique tokens", numbers::grouped(unique));
    }
    let _ = write!(
        text,
        ". {} layers of width {}. Seeds {}: each draws its own data order, masks and first weights",
        model.num_hidden_layers,
        model.hidden_size,
        names.join(", ")
    );
    if corpus.source.iter().any(|source| source.contains(':')) {
        text.push_str(", and its own text from the source");
    }
    text + "."
}

/// The loss along the way: the mean of the finished runs, and each run.
fn charts(seeds: &Seeds, together: Option<&Together>) -> String {
    let finished: Vec<&History> = seeds
        .begun()
        .filter(|run| run.outcome.is_some())
        .map(|run| &run.history)
        .collect();
    let all: Vec<&History> = seeds.begun().map(|run| &run.history).collect();
    let shown = match (&finished[..], &all[..]) {
        ([_, _, ..], _) => History::mean(&finished),
        ([one], _) | (_, [one, ..]) => (*one).clone(),
        _ => return "<p>Nothing measured yet.</p>".to_owned(),
    };
    let is_mean = finished.len() > 1;
    let floor = seeds.begun().find_map(Run::floor);
    let crossings = match together {
        Some(Together::Race(races)) => Crossing::of_seeds(races),
        _ => Vec::new(),
    };
    let plot = Plot {
        id: String::new(),
        range: scale::losses(&shown, floor),
        history: &shown,
        floor,
        crossings,
        seeds: if is_mean { all } else { Vec::new() },
    };
    let caption = if is_mean {
        "Thick lines with marks: the mean of the seeds' validation losses at each evaluation, never smoothed. Shades: ±1 \
         and ±2 standard errors over seeds. Thin lines: each seed."
    } else {
        "The first seed's validation losses; the mean is drawn once two seeds are done."
    };
    page::drawn(&plot, caption)
}

/// Each seed's difference with its paired standard error, and their mean: a chart without a script.
fn differences(races: &Races) -> String {
    let Racer {
        subject, spoken, ..
    } = racer(races.second());
    let difference = races.difference;
    let mut rows: Vec<Row> = races
        .runs
        .iter()
        .map(|run| Row {
            name: format!("Seed {}", run.seed),
            value: run.result.difference,
            se: Some(run.result.difference_se),
            is_mean: false,
        })
        .collect();
    if rows.len() > 1 {
        rows.push(Row {
            name: "Mean".to_owned(),
            value: difference.mean,
            se: difference.se,
            is_mean: true,
        });
    }
    let label = format!(
        "Difference of each seed, and on average {}",
        numbers::measured(difference.mean, difference.se)
    );
    let drawings = strip::drawings(&rows, racer(races.second()), &label, 64.0);
    format!(
        "<figure><h3>{subject} against AR, seed by seed</h3>{drawings}\
         <figcaption>{subject}'s bound minus AR's NLL on the test part, nats/token: left of zero, {spoken} is better. \
         Bars: ±2 paired standard errors of a seed; the mean's: ±2 standard errors over seeds.</figcaption></figure>"
    )
}

/// What produced the runs, where and when.
fn provenance(seeds: &Seeds) -> String {
    let mut list = Vec::new();
    if let Some(source) = seeds.begun().find_map(|run| run.config.provenance.as_ref()) {
        list.extend([
            ("crossover", source.version.clone()),
            ("commit", source.commit.clone()),
            ("device", source.device.clone()),
            ("processor", source.processor.clone()),
            ("threads", source.threads.to_string()),
            ("first started", numbers::utc(source.started_unix)),
        ]);
    }
    let seconds: f64 = seeds
        .begun()
        .filter_map(|run| run.outcome.as_ref())
        .map(verdict::wall_seconds)
        .sum();
    list.push((
        "wall time",
        format!(
            "{} for all that are done, evaluation included",
            numbers::duration(seconds)
        ),
    ));
    if let Some(hash) = &seeds.config.corpus.hash {
        list.push(("corpus SHA-256", hash.clone()));
    }
    list.push(("folder", seeds.folder.clone()));
    tables::facts("Provenance", list)
}

/// How to repeat or continue the runs.
fn again(seeds: &Seeds, is_finished: bool) -> String {
    let folder = page::quoted(&seeds.folder);
    let config = page::quoted(&format!("{}/config.toml", seeds.folder));
    let command = &seeds.command;
    let count = seeds.runs.len();
    let start = format!("crossover {command} --config {config} --seeds {count} --out runs/again");
    let lines = if is_finished {
        start
    } else {
        format!(
            "# what is not finished yet\ncrossover {command} --resume {folder}\n\n# from the start\n{start}"
        )
    };
    format!(
        "<pre>{}</pre><details><summary><code>config.toml</code>, as all seeds share it</summary><pre>{}</pre></details>",
        escape(&lines),
        escape(&seeds.config_text)
    )
}

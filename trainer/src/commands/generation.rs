//! `evaluate --generate`: what a checkpoint's model writes in every way it can, measured beside real text.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Result;
use crossover::corpus::{Corpus, Windows};
use crossover::device::Selected;
use crossover::error::Error;
use crossover::lab::generation::{Judge, Page, Row, Writer, ladder, ways};
use crossover::lab::{Loaded, load_checkpoint};
use crossover::laws::flops::ReadCost;
use crossover::objective::{Factorization, Likelihood, Objective};
use crossover::sample::{Parameters, Sampler, Way};
use crossover_report::frontier::{self, Comparison, FIGURES};
use crossover_report::numbers;
use serde::Serialize;

use super::{check_place, evaluate, print_json, print_text};
use crate::arguments::EvaluateArguments;
use crate::terminal::aligned;
use crate::{devices, report, settings};

/// Columns that every terminal has.
const COLUMNS: usize = 80;

/// A row as a line of JSON.
#[derive(Serialize)]
struct Line<'a> {
    event: &'static str,
    #[serde(flatten)]
    row: &'a Row,
}

#[derive(Serialize)]
struct Done<'a> {
    event: &'static str,
    objective: Objective,
    samples: u64,
    length: usize,
    rows: usize,
    twin: Option<&'a str>,
    source: Option<&'a str>,
    page: Option<String>,
    seconds: f64,
}

/// Lets the model write, measures, prints, and writes the page where asked.
pub fn run(arguments: &EvaluateArguments, samples: u64) -> Result<()> {
    if samples < 2 {
        return Err(Error::input(format!(
            "`--generate {samples}`: a standard error needs at least 2 samples"
        ))
        .with_hint("leave the number out for 64")
        .into());
    }
    if let Some(file) = &arguments.out {
        check_place(file)?;
    }
    let device = devices::choose(&arguments.common)?;
    let loaded = load_checkpoint(&arguments.checkpoint.display().to_string(), &device)?;
    let page = Page {
        length: loaded.checkpoint.length,
        seed: settings::seed(&arguments.common),
        cost: ReadCost::of(loaded.model.shape()),
    };
    let ways = every_way(arguments, &loaded, page)?;
    let twin = twin(arguments, &loaded, &device)?;
    let real = Real::find(arguments, &loaded)?;

    let judge = Judge {
        twin: twin.as_ref().map(|twin| &twin.loaded.model),
        corpus: real.corpus.as_ref(),
    };
    let began = Instant::now();
    let mut comparison = Comparison {
        checkpoint: arguments.checkpoint.display().to_string(),
        objective: loaded.checkpoint.objective,
        length: page.length,
        samples,
        seed: page.seed,
        twin: twin.as_ref().map(|twin| twin.path.display().to_string()),
        source: real.name.clone(),
        device: device.description.clone(),
        rows: Vec::new(),
    };
    let mut tell = |row: Row| {
        if arguments.common.json {
            print_json(&Line {
                event: "row",
                row: &row,
            })?;
        }
        comparison.rows.push(row);
        anyhow::Ok(())
    };
    if let Some(windows) = real.windows() {
        let windows: Vec<&[u32]> = windows.iter().take(samples as usize).collect();
        eprintln!("reading {} windows of real text", windows.len());
        tell(pollster::block_on(judge.reference(&windows))?)?;
    }
    if let Some(twin) = twin.as_ref().filter(|twin| !twin.is_the_model) {
        eprintln!("letting the AR twin write");
        let way = Page {
            cost: ReadCost::of(twin.loaded.model.shape()),
            ..page
        }
        .left_to_right();
        let row = judge.row(&twin.loaded.model, Writer::Twin, &way, samples);
        tell(pollster::block_on(row)?)?;
    }
    for (number, way) in (1..).zip(&ways) {
        let steps = way
            .asked_steps()
            .map(|steps| format!(", {steps} {}", if steps == 1 { "step" } else { "steps" }))
            .unwrap_or_default();
        eprintln!("{number} of {}: {}{steps}", ways.len(), way.name());
        let row = judge.row(&loaded.model, Writer::Model, way, samples);
        tell(pollster::block_on(row)?)?;
    }
    let file = arguments.out.as_deref();
    let file = file.map(|file| report::write_comparison(&comparison, file));
    let file = file.transpose()?.map(|file| file.display().to_string());
    if arguments.common.json {
        return print_json(&Done {
            event: "result",
            objective: comparison.objective,
            samples,
            length: page.length,
            rows: comparison.rows.len(),
            twin: comparison.twin.as_deref(),
            source: comparison.source.as_deref(),
            page: file,
            seconds: began.elapsed().as_secs_f64(),
        });
    }
    let file = file.map(|file| format!("\nPage: {file}\n"));
    print_text(&(table(&comparison) + &file.unwrap_or_default()))
}

/// What the flags ask the model to do; a dual model writes left to right too.
fn every_way(
    arguments: &EvaluateArguments,
    loaded: &Loaded,
    page: Page,
) -> Result<Vec<Way>, Error> {
    let checkpoint = &loaded.checkpoint;
    let factorization = checkpoint.factorization(checkpoint.objective.headline());
    let rungs = match (factorization, &arguments.steps_ladder) {
        (Factorization::LeftToRight, _) => {
            for (flag, given) in [
                ("--samplers", arguments.samplers.is_some()),
                ("--steps-ladder", arguments.steps_ladder.is_some()),
            ] {
                if given {
                    return Err(Error::input(format!(
                        "`{flag}` is for diffusion models, and this one writes left to right"
                    ))
                    .with_hint("leave it out, or give the checkpoint of a diffusion model"));
                }
            }
            Vec::new()
        }
        (Factorization::Blocks { size }, None) => ladder(page.length, size),
        (Factorization::Blocks { .. }, Some(typed)) => {
            let mut rungs = typed.clone();
            rungs.sort_unstable();
            rungs.dedup();
            rungs
        }
    };
    let mut samplers: Vec<Sampler> = Vec::new();
    match &arguments.samplers {
        None => samplers.extend(Sampler::ALL),
        Some(names) => {
            for name in names {
                let sampler = Sampler::new(name.trim(), &Parameters::default())?;
                if !samplers.contains(&sampler) {
                    samplers.push(sampler);
                }
            }
        }
    }
    if arguments.steps_ladder.is_some() && samplers.iter().all(|one| one.chooses_its_steps()) {
        return Err(Error::input(
            "`--steps-ladder` is given, and these samplers take as many steps as they find right",
        )
        .with_hint("leave it out, or add a sampler with a fixed number, such as `ancestral`"));
    }
    let mut all = Vec::new();
    if checkpoint.objective == Objective::Dual {
        all.push(page.left_to_right());
    }
    all.extend(ways(page, factorization, &samplers, &rungs));
    for way in &all {
        way.check(checkpoint.tokenizer.mask_id())?;
    }
    Ok(all)
}

/// The model that judges.
struct Twin {
    path: PathBuf,
    loaded: Loaded,
    /// Whether the model judges itself.
    is_the_model: bool,
}

/// The twin that was asked for, or the one beside the checkpoint.
fn twin(
    arguments: &EvaluateArguments,
    loaded: &Loaded,
    device: &Selected,
) -> Result<Option<Twin>, Error> {
    let path = match &arguments.twin {
        Some(path) => path.clone(),
        None => {
            let beside = |name| arguments.checkpoint.with_file_name(name);
            let forms = ["best-ar.index.json", "best-ar.safetensors"].map(beside);
            let Some(found) = forms.iter().find(|path| path.is_file()) else {
                eprintln!("no twin: there is no `{}`", forms[1].display());
                return Ok(None);
            };
            found.clone()
        }
    };
    let twin = load_checkpoint(&path.display().to_string(), device)?;
    let (judged, judge) = (&loaded.checkpoint, &twin.checkpoint);
    let name = path.display();
    let other = "give another `--twin`";
    if !judge
        .objective
        .likelihoods()
        .contains(&Likelihood::Autoregressive)
    {
        return Err(Error::input(format!(
            "`{name}` can't be a twin: its model doesn't read left to right"
        ))
        .with_hint("give the checkpoint of an AR or a dual model"));
    }
    if judge.tokenizer != judged.tokenizer {
        return Err(Error::input(format!(
            "`{name}` can't be a twin: its tokens are not those of `{}`",
            arguments.checkpoint.display()
        ))
        .with_hint(other));
    }
    if judge.length < judged.length {
        return Err(Error::input(format!(
            "`{name}` can't be a twin: it was trained on windows of {} tokens, and the samples have {}",
            judge.length, judged.length
        ))
        .with_hint(other));
    }
    let same_file =
        std::fs::canonicalize(&path).ok() == std::fs::canonicalize(&arguments.checkpoint).ok();
    Ok(Some(Twin {
        is_the_model: same_file && judged.objective == Objective::Autoregressive,
        path,
        loaded: twin,
    }))
}

/// Real text to compare with.
struct Real {
    /// What it is.
    name: Option<String>,
    /// The corpus of the checkpoint's run.
    corpus: Option<Corpus>,
    /// The windows of another text.
    text: Option<Windows>,
}

impl Real {
    /// The text that was asked for, or the corpus of the run that the checkpoint lies in.
    fn find(arguments: &EvaluateArguments, loaded: &Loaded) -> Result<Self> {
        let checkpoint = &loaded.checkpoint;
        if let Some(text) = &arguments.text {
            let windows = evaluate::windows(text, &checkpoint.tokenizer, checkpoint.length)?;
            return Ok(Self {
                name: Some(text.display().to_string()),
                corpus: None,
                text: Some(windows),
            });
        }
        let Some(file) = run_config(&arguments.checkpoint) else {
            eprintln!("no real text: the checkpoint lies in no run directory");
            return Ok(Self {
                name: None,
                corpus: None,
                text: None,
            });
        };
        let config = settings::read_config(&file)?;
        let corpus = Corpus::load(&config.corpus, config.seed)?;
        if corpus.tokenizer != checkpoint.tokenizer || corpus.length() != checkpoint.length {
            return Err(Error::input(format!(
                "`{}` is of another model than the checkpoint: its tokens or its windows are others",
                file.display()
            ))
            .with_hint("give real text with `--text FILE`")
            .into());
        }
        Ok(Self {
            name: Some(format!("{}, test part", corpus.config.source.join(", "))),
            corpus: Some(corpus),
            text: None,
        })
    }

    fn windows(&self) -> Option<&Windows> {
        let test = self.corpus.as_ref().map(|corpus| &corpus.test);
        self.text.as_ref().or(test)
    }
}

/// `config.toml` of the run directory that a checkpoint lies in.
fn run_config(checkpoint: &Path) -> Option<PathBuf> {
    let checkpoint = std::path::absolute(checkpoint).ok()?;
    let config = checkpoint.parent()?.parent()?.join("config.toml");
    config.is_file().then_some(config)
}

/// As many figures as fit, and how to read them.
fn table(comparison: &Comparison) -> String {
    let rows = &comparison.rows;
    let column = |title: &str, text: &dyn Fn(&Row) -> String| -> Vec<String> {
        let cells = rows.iter().map(text);
        std::iter::once(title.to_owned()).chain(cells).collect()
    };
    let mut columns = vec![
        column("", &frontier::name),
        column("steps", &frontier::steps),
    ];
    let mut left_out = Vec::new();
    for figure in FIGURES.iter().filter(|figure| figure.is_known(rows)) {
        columns.push(column(figure.short, &|row| figure.short_text(row)));
        if !fits(&columns) {
            columns.pop();
            left_out.push(figure.short);
        }
    }
    let calls = column("calls", &|row| {
        let calls = row.model_calls.map(|calls| numbers::short(calls.mean));
        calls.unwrap_or_default()
    });
    columns.insert(2, calls);
    if !fits(&columns) {
        columns.remove(2);
        left_out.insert(0, "calls");
    }
    let lines = transposed(&columns);
    let mut text = aligned(&lines);
    text += &format!(
        "\n{} samples of {} tokens each, ± one standard error, NLL and entropy in nats.\n",
        numbers::grouped(comparison.samples),
        comparison.length
    );
    if comparison.source.is_some() {
        text += "Good samples have the figures of the held-out text, all of them: a low NLL alone\n\
                 may be dull text.\n";
    }
    if !left_out.is_empty() {
        text += &format!("With --json or --out:\n{}.\n", left_out.join(", "));
    }
    text
}

/// Whether a table of these columns is narrow enough.
fn fits(columns: &[Vec<String>]) -> bool {
    let text = aligned(&transposed(columns));
    text.lines().all(|line| line.chars().count() <= COLUMNS)
}

fn transposed(columns: &[Vec<String>]) -> Vec<Vec<String>> {
    let rows = columns.first().map_or(0, Vec::len);
    let row = |index: usize| columns.iter().map(|column| column[index].clone()).collect();
    (0..rows).map(row).collect()
}

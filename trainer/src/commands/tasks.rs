//! `evaluate --task`: how many questions a checkpoint's model answers.

use anyhow::Result;
use crossover::corpus::{Tales, Task};
use crossover::error::{Error, Kind};
use crossover::lab::tasks::{Answered, Examiner, Score};
use crossover::lab::{Loaded, load_checkpoint};
use crossover::objective::{Bound, Likelihood, Objective};
use crossover_report::numbers;
use serde::Serialize;

use super::{print_json, print_text};
use crate::arguments::EvaluateArguments;
use crate::{devices, settings};

/// The task that comes with the program.
const TALES: &str = "tales";
/// Questions about tales, unless somebody asks for another number.
const QUESTIONS: usize = 200;
/// Masks an answer, unless somebody asks for another number.
const SAMPLES: usize = 32;

/// Questions between two signs of life.
const TOLD_EVERY: usize = 512;

/// A question as a line of JSON.
#[derive(Serialize)]
struct Line<'a> {
    event: &'static str,
    likelihood: Likelihood,
    #[serde(flatten)]
    answered: &'a Answered,
}

#[derive(Serialize)]
struct Done<'a> {
    event: &'static str,
    task: &'a str,
    kind: &'static str,
    objective: Objective,
    likelihood: Likelihood,
    /// Masks an answer; none where nothing is masked.
    samples: Option<usize>,
    #[serde(flatten)]
    score: Score,
    /// A dual model's other half.
    #[serde(skip_serializing_if = "Option::is_none")]
    dual_ar: Option<Score>,
}

/// Puts the questions to the model, and prints.
pub fn run(arguments: &EvaluateArguments, name: &str) -> Result<()> {
    let samples = arguments.samples.unwrap_or(SAMPLES);
    if samples < 2 {
        return Err(Error::input(format!("`--samples` is {samples}"))
            .with_hint("a standard error needs at least 2")
            .into());
    }
    if arguments.limit == Some(0) {
        return Err(Error::input("`--limit` is 0")
            .with_hint("give at least 1")
            .into());
    }
    let file = match name {
        TALES => None,
        name => Some(Task::read(name)?),
    };
    let device = devices::choose(&arguments.common)?;
    let loaded = load_checkpoint(&arguments.checkpoint.display().to_string(), &device)?;
    let (checkpoint, seed) = (&loaded.checkpoint, settings::seed(&arguments.common));
    let task = match file {
        None => {
            let count = arguments.limit.unwrap_or(QUESTIONS);
            Tales::new().questions(seed, count, checkpoint.length)?
        }
        Some(mut task) => {
            task.truncate(arguments.limit.unwrap_or(usize::MAX));
            task
        }
    };
    let examination = Examination {
        name,
        task: &task,
        loaded: &loaded,
        samples,
        seed,
        json: arguments.common.json,
    };
    let likelihood = checkpoint.objective.headline();
    let score = examination.score(likelihood)?;
    let dual_ar = match (checkpoint.objective, &task) {
        // It sees one side of a gap.
        (Objective::Dual, Task::Choices(_) | Task::Cloze(_)) => {
            Some(examination.score(Likelihood::Autoregressive)?)
        }
        _ => None,
    };
    let masks = match score.bound {
        Bound::Exact => None,
        Bound::Elbo => Some(samples),
    };
    if arguments.common.json {
        return print_json(&Done {
            event: "result",
            task: name,
            kind: task.kind(),
            objective: checkpoint.objective,
            likelihood,
            samples: masks,
            score,
            dual_ar,
        });
    }
    let mut text = told(&score, masks);
    if let Some(dual_ar) = dual_ar {
        text += "Its other half, the one trained left to right:\n";
        text += &told(&dual_ar, None);
    }
    print_text(&text)
}

/// Everything that is the same for both halves of a dual model.
struct Examination<'a> {
    name: &'a str,
    task: &'a Task,
    loaded: &'a Loaded,
    samples: usize,
    seed: u64,
    json: bool,
}

impl Examination<'_> {
    fn score(&self, likelihood: Likelihood) -> Result<Score> {
        let checkpoint = &self.loaded.checkpoint;
        let factorization = checkpoint.factorization(likelihood);
        let examiner = Examiner {
            model: &self.loaded.model,
            tokenizer: &checkpoint.tokenizer,
            factorization,
            length: checkpoint.length,
            samples: self.samples,
            seed: self.seed,
        };
        let (mut printed, mut answered) = (Ok(()), 0);
        let score = pollster::block_on(examiner.examine(self.task, |question| {
            if self.json && printed.is_ok() {
                printed = print_json(&Line {
                    event: "question",
                    likelihood,
                    answered: question,
                });
            }
            answered += 1;
            if answered % TOLD_EVERY == 0 {
                eprintln!("{answered} of {} questions", self.task.len());
            }
        }));
        printed?;
        Ok(score.map_err(|error| match error.kind() {
            Kind::Input => error.about(&format!("`{}`", self.name)),
            _ => error,
        })?)
    }
}

fn told(score: &Score, masks: Option<usize>) -> String {
    let mut text = format!("{} right", numbers::share(score.acc));
    if let (Some(acc_norm), Some(chance)) = (score.acc_norm, score.chance) {
        text += &format!(
            " (acc), {} by the character (acc_norm), where guessing gets {:.1} %",
            numbers::share(acc_norm),
            chance * 100.0
        );
    }
    let kind = match masks {
        None => "exact".to_owned(),
        Some(masks) => format!("upper bound (ELBO) from {masks} masks an answer"),
    };
    text += &format!(
        "\n{} nats/token of the right answers, {kind}\n{}",
        numbers::measured(score.nats, score.se),
        numbers::counted(score.questions, "question"),
    );
    if score.cut > 0 {
        text += &format!(", {} cut to fit the model's window", score.cut);
    }
    text + "\n"
}

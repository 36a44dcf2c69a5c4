//! Tasks that a run's models are put to at each evaluation: read and checked before anything is written, scored on the way.

use crate::corpus::{Corpus, Order, Tales, Task, absolute};
use crate::error::{Error, Result};
use crate::lab::tasks::{self, Examiner, Score};
use crate::model::Decoder;
use crate::objective::{Factorization, Likelihood};
use crate::train::{EvaluateConfig, RunConfig, TaskScore};

/// The task that needs no file.
const TALES: &str = "tales";
/// Questions of each task, unless the configuration says otherwise.
const QUESTIONS: usize = 100;
/// Masks for each answer, unless the configuration says otherwise.
const ANSWER_MASKS: usize = 8;

/// A task with its name.
#[derive(Debug)]
pub(super) struct Exam {
    name: String,
    task: Task,
}

/// The tasks of a run, in order.
///
/// # Errors
/// When one can't be read, two have the same name, or no model of the run can be asked its questions.
pub(super) fn read(config: &RunConfig, corpus: &Corpus) -> Result<Vec<Exam>> {
    let evaluate = &config.evaluate;
    let count = evaluate.questions.unwrap_or(QUESTIONS);
    let length = corpus.length();
    let factorizations = factorizations(config, length)?;
    if !evaluate.task.is_empty() && config.corpus.order == Order::Shuffled {
        return Err(Error::input(
            "a model of shuffled windows can't be asked what stands in order",
        )
        .with_hint("leave `evaluate.task` out, or `--order shuffled`"));
    }
    let mut exams: Vec<Exam> = Vec::new();
    for typed in &evaluate.task {
        let name = name(typed);
        let mut task = match typed.as_str() {
            TALES => Tales::new().questions(config.seed, count, length)?,
            file => Task::read(file)?,
        };
        if exams.iter().any(|other| other.name == name) {
            return Err(
                Error::input(format!("two tasks in `evaluate.task` are called `{name}`"))
                    .with_hint("name each task once; rename a file that is called like another"),
            );
        }
        task.truncate(count);
        let asked = factorizations
            .iter()
            .map(|by| tasks::sees_enough(&task, *by, length));
        // One that can be asked is enough: the other model of a race is left out.
        asked
            .reduce(Result::or)
            .unwrap_or(Ok(()))
            .and_then(|()| tasks::check(&task, &corpus.tokenizer, length))
            .map_err(|error| error.about(&format!("the task `{typed}`")))?;
        exams.push(Exam { name, task });
    }
    Ok(exams)
}

/// Fills in what was left automatic.
pub(super) fn resolve(evaluate: &mut EvaluateConfig) {
    if evaluate.task.is_empty() {
        return;
    }
    for task in evaluate.task.iter_mut().filter(|task| *task != TALES) {
        *task = absolute(task);
    }
    evaluate.questions.get_or_insert(QUESTIONS);
    evaluate.answer_masks.get_or_insert(ANSWER_MASKS);
}

/// Puts a model to every task that it can be asked by this likelihood.
///
/// # Errors
/// When the model fails.
pub(super) async fn scores(
    exams: &[Exam],
    model: &Decoder,
    corpus: &Corpus,
    factorization: Factorization,
    config: &RunConfig,
) -> Result<Vec<TaskScore>> {
    let length = corpus.length();
    let examiner = Examiner {
        model,
        tokenizer: &corpus.tokenizer,
        factorization,
        length,
        samples: config.evaluate.answer_masks.unwrap_or(ANSWER_MASKS),
        seed: config.seed,
    };
    let mut scores = Vec::new();
    for Exam { name, task } in exams {
        if tasks::sees_enough(task, factorization, length).is_ok() {
            let score = examiner.examine(task, |_| ()).await?;
            scores.push(scored(name, &score));
        }
    }
    Ok(scores)
}

/// What a task is called: a file by its name without folders.
fn name(typed: &str) -> String {
    let last = typed.rsplit(['/', '\\']).next();
    last.unwrap_or(typed).to_owned()
}

/// How the models of a run can be asked.
fn factorizations(config: &RunConfig, length: usize) -> Result<Vec<Factorization>> {
    let mut all = Vec::new();
    for objective in &config.objectives {
        for likelihood in objective.likelihoods() {
            let block = match likelihood {
                Likelihood::Block => Some(config.objective.block_size(length)?),
                Likelihood::Autoregressive | Likelihood::Masked => None,
            };
            all.push(likelihood.factorization(length, block));
        }
    }
    Ok(all)
}

fn scored(name: &str, score: &Score) -> TaskScore {
    TaskScore {
        task: name.to_owned(),
        questions: score.questions as u64,
        acc: score.acc.mean,
        acc_se: score.acc.se,
        acc_norm: score.acc_norm.map(|share| share.mean),
        acc_norm_se: score.acc_norm.map(|share| share.se),
        chance: score.chance,
        nats: score.nats,
    }
}

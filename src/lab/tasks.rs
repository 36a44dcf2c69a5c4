//! Tasks put to a model: the answers it prefers, and what it writes into gaps.
//!
//! A [`Task`] is text and a likelihood knows tokens; here questions are cut into tokens, fitted into the model's window,
//! scored, and judged as lm-evaluation-harness judges them (`process_results` in `lm_eval/api/task.py`).

use std::ops::Range;

use serde::Serialize;

use crate::corpus::{Gap, MultipleChoice, Task, Tokenizer};
use crate::error::{Error, Result};
use crate::evaluate::{Answer, AnswerNats, answer_nats, ratio, share};
use crate::lab::protocol::Estimate;
use crate::model::{Predictor, Visibility};
use crate::objective::{Bound, Factorization};
use crate::sample::{Caching, Cell, Choice, Decoding, Denoising, Sampler, Way};

/// Questions that are scored before any of them is told of.
const AT_ONCE: usize = 64;

/// A model, and how it is examined.
#[derive(Debug, Clone, Copy)]
pub struct Examiner<'a, P> {
    /// Who answers.
    pub model: &'a P,
    /// Its tokens.
    pub tokenizer: &'a Tokenizer,
    /// How it is asked.
    pub factorization: Factorization,
    /// Tokens in its window.
    pub length: usize,
    /// Masks for an answer, where it is a bound that is measured.
    pub samples: usize,
    /// Seed of the masks.
    pub seed: u64,
}

/// What a model made of one question.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Answered {
    /// It chose.
    Choice(Preference),
    /// It filled a gap.
    Gap(Filled),
}

/// Which answer a model prefers.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Preference {
    /// The question's line.
    pub line: usize,
    /// Which answer is right.
    pub label: usize,
    /// The likeliest; the first among equals, as in the next two.
    pub chosen: usize,
    /// The likeliest by the character.
    pub chosen_norm: usize,
    /// The likeliest by the byte.
    pub chosen_bytes: usize,
    /// Whether the beginning of the context was cut off.
    pub cut: bool,
    /// The answers in their order.
    pub choices: Vec<Candidate>,
}

/// How likely an answer is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Candidate {
    /// `-ln` of its probability after the context, or the bound on that: nats of the whole answer.
    pub nats: f64,
    /// Its error, as masks were drawn.
    pub se: f64,
    /// Its tokens.
    pub tokens: usize,
    /// By `nats`: a choice's share of the probability of all choices together, or what belongs into a gap.
    pub probability: f64,
}

/// What a model writes into a gap.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Filled {
    /// The question's line.
    pub line: usize,
    /// What it wrote, as many tokens as belong there.
    pub written: String,
    /// Whether that is what belongs there.
    pub right: bool,
    /// Whether some of the text around the gap was cut off.
    pub cut: bool,
    /// How likely the right words are.
    #[serde(flatten)]
    pub answer: Candidate,
}

/// How well a model did.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Score {
    /// Questions.
    pub questions: usize,
    /// Those whose text was cut to fit the window.
    pub cut: usize,
    /// Share of right answers: the likeliest choice, or the gap filled word for word. (Standard errors of shares: Agresti
    /// and Coull's.)
    pub acc: Estimate,
    /// Share of right choices by nats over characters.
    pub acc_norm: Option<Estimate>,
    /// Share of right choices by nats over bytes.
    pub acc_bytes: Option<Estimate>,
    /// What guessing gets: the mean of one over the number of choices.
    pub chance: Option<f64>,
    /// Loss of the right answers given their contexts, nats per token.
    pub nats: f64,
    /// Its standard error over questions; `None` for a single one.
    pub se: Option<f64>,
    /// What `nats` is.
    pub bound: Bound,
    /// Tokens of the right answers.
    pub tokens: usize,
}

/// Tokens of a question: one text for each answer.
struct Posed {
    texts: Vec<(Vec<u32>, Range<usize>)>,
    cut: bool,
}

impl<P: Predictor> Examiner<'_, P> {
    /// Puts a task to the model. `tell` hears of each question, in order.
    ///
    /// # Errors
    /// Before the model is asked anything: when a question can't be cut into tokens or its answer is longer than the window,
    /// the error names the line; when there are gaps with text behind them, and the model doesn't see what is behind. Later:
    /// when the model fails.
    pub async fn examine(&self, task: &Task, tell: impl FnMut(&Answered)) -> Result<Score> {
        sees_enough(task, self.factorization, self.length)?;
        match task {
            Task::Choices(questions) => self.choices(questions, tell).await,
            Task::Cloze(gaps) | Task::Infilling(gaps) => self.gaps(gaps, tell).await,
        }
    }

    async fn choices(
        &self,
        questions: &[MultipleChoice],
        mut tell: impl FnMut(&Answered),
    ) -> Result<Score> {
        let posed = pose_choices(self.tokenizer, self.length, questions)?;
        let mut marked = Vec::with_capacity(questions.len());
        let groups = questions.chunks(AT_ONCE).zip(posed.chunks(AT_ONCE));
        for (number, (questions, posed)) in groups.enumerate() {
            let mut scored = self.score(posed, number * AT_ONCE).await?.into_iter();
            for (question, posed) in questions.iter().zip(posed) {
                let nats: Vec<AnswerNats> = scored.by_ref().take(posed.texts.len()).collect();
                let preferred = preference(question, posed, &nats);
                let picks = [
                    preferred.chosen,
                    preferred.chosen_norm,
                    preferred.chosen_bytes,
                ];
                marked.push((
                    picks.map(|pick| pick == question.label),
                    preferred.choices[question.label],
                ));
                tell(&Answered::Choice(preferred));
            }
        }
        let right = |pick: usize| share(marked.iter().map(|(right, _)| right[pick]));
        let guessed = questions.iter().map(|one| 1.0 / one.choices.len() as f64);
        let answers: Vec<Candidate> = marked.iter().map(|(_, answer)| *answer).collect();
        Ok(Score {
            acc_norm: Some(right(1)?.into()),
            acc_bytes: Some(right(2)?.into()),
            chance: Some(guessed.sum::<f64>() / questions.len() as f64),
            ..self.sum(&posed, &answers, right(0)?.into())
        })
    }

    async fn gaps(&self, gaps: &[Gap], mut tell: impl FnMut(&Answered)) -> Result<Score> {
        let posed = pose_gaps(self.tokenizer, self.length, gaps)?;
        let mut answers = Vec::with_capacity(gaps.len());
        let mut rights = Vec::with_capacity(gaps.len());
        let groups = gaps.chunks(AT_ONCE).zip(posed.chunks(AT_ONCE));
        for (number, (gaps, posed)) in groups.enumerate() {
            let scored = self.score(posed, number * AT_ONCE).await?;
            for ((gap, posed), nats) in gaps.iter().zip(posed).zip(scored) {
                let (tokens, range) = &posed.texts[0];
                let written = self.written(tokens, range).await?;
                let answer = Candidate {
                    nats: nats.nats,
                    se: nats.se,
                    tokens: range.len(),
                    probability: libm::exp(-nats.nats),
                };
                let right = written == tokens[range.clone()];
                tell(&Answered::Gap(Filled {
                    line: gap.line,
                    written: self.tokenizer.decode(&written),
                    right,
                    cut: posed.cut,
                    answer,
                }));
                answers.push(answer);
                rights.push(right);
            }
        }
        Ok(self.sum(&posed, &answers, share(rights)?.into()))
    }

    /// The score of questions, from their right answers and how often those were found.
    fn sum(&self, posed: &[Posed], answers: &[Candidate], acc: Estimate) -> Score {
        let pairs: Vec<(f64, f64)> = answers
            .iter()
            .map(|answer| (answer.nats, answer.tokens as f64))
            .collect();
        let tokens: usize = answers.iter().map(|answer| answer.tokens).sum();
        let nats: f64 = answers.iter().map(|answer| answer.nats).sum();
        Score {
            questions: posed.len(),
            cut: posed.iter().filter(|one| one.cut).count(),
            acc,
            acc_norm: None,
            acc_bytes: None,
            chance: None,
            nats: nats / tokens as f64,
            se: ratio(&pairs).ok().map(|ratio| ratio.se),
            bound: self.factorization.bound(),
            tokens,
        }
    }

    /// One figure for each text of each question; `first` is the number of the first question.
    async fn score(&self, posed: &[Posed], first: usize) -> Result<Vec<AnswerNats>> {
        let numbered = (first as u64..).zip(posed);
        let answers: Vec<Answer> = numbered
            .flat_map(|(number, posed)| {
                posed.texts.iter().map(move |(tokens, range)| Answer {
                    tokens: tokens.clone(),
                    range: range.clone(),
                    number,
                })
            })
            .collect();
        answer_nats(
            self.model,
            self.factorization,
            &answers,
            self.samples,
            self.seed,
        )
        .await
    }

    /// What the model writes into a gap at its best: the likeliest token each time, left to right or, where it may choose,
    /// the surest position first.
    async fn written(&self, tokens: &[u32], gap: &Range<usize>) -> Result<Vec<u32>> {
        let choice = Choice {
            temperature: 0.0,
            ..Choice::default()
        };
        let way = match self.factorization {
            Factorization::LeftToRight => Way::LeftToRight(Decoding {
                choice,
                cache: Caching::Exact,
                ..Decoding::new(tokens[..gap.start].to_vec(), gap.end, self.seed)
            }),
            Factorization::Blocks { size } => {
                let cell = |(at, &token): (usize, &u32)| match gap.contains(&at) {
                    true => Cell::Free,
                    false => Cell::Given(token),
                };
                let template = tokens.iter().enumerate().map(cell).collect();
                let visibility = Visibility::of_blocks(size.min(tokens.len()), tokens.len());
                Way::Denoising(Denoising {
                    sampler: Sampler::LowConfidence,
                    choice,
                    cache: Caching::suiting(visibility),
                    ..Denoising::new(template, visibility, self.seed)
                })
            }
        };
        let written = way.write(self.model, 0..1).await?;
        Ok(written[0].tokens[gap.clone()].to_vec())
    }
}

/// Refuses questions that a model of windows of `length` tokens can't be asked: one can't be cut into tokens, or its answer is
/// longer than the window. The error names the line.
///
/// # Errors
/// As said.
pub fn check(task: &Task, tokenizer: &Tokenizer, length: usize) -> Result<()> {
    match task {
        Task::Choices(questions) => pose_choices(tokenizer, length, questions),
        Task::Cloze(gaps) | Task::Infilling(gaps) => pose_gaps(tokenizer, length, gaps),
    }
    .map(|_| ())
}

/// Refuses gaps inside a text to models that read what is before them alone.
///
/// # Errors
/// As said.
pub fn sees_enough(task: &Task, factorization: Factorization, length: usize) -> Result<()> {
    let unseen = match (task, factorization) {
        (Task::Choices(_) | Task::Cloze(_), _) => return Ok(()),
        (Task::Infilling(_), Factorization::LeftToRight) => {
            "the model reads left to right and sees nothing behind a gap"
        }
        (Task::Infilling(_), Factorization::Blocks { size }) if size < length => {
            "the model reads block after block and sees nothing behind a gap's block"
        }
        (Task::Infilling(_), Factorization::Blocks { .. }) => return Ok(()),
    };
    Err(Error::input(format!(
        "{unseen}, so it can't be asked what fits between two texts"
    ))
    .with_hint("give a masked diffusion model, or a task of multiple choice or cloze"))
}

fn pose_choices(
    tokenizer: &Tokenizer,
    length: usize,
    questions: &[MultipleChoice],
) -> Result<Vec<Posed>> {
    let each = questions.iter().map(|question| {
        let answers = question.choices.iter();
        let answers: Vec<String> = answers
            .map(|choice| format!("{}{choice}", question.delimiter))
            .collect();
        let around = [question.context.as_str(), ""];
        pose(tokenizer, length, question.line, around, &answers)
    });
    each.collect()
}

fn pose_gaps(tokenizer: &Tokenizer, length: usize, gaps: &[Gap]) -> Result<Vec<Posed>> {
    let each = gaps.iter().map(|gap| {
        let around = [gap.prefix.as_str(), &gap.suffix];
        let answer = std::slice::from_ref(&gap.middle);
        pose(tokenizer, length, gap.line, around, answer)
    });
    each.collect()
}

/// Cuts a question into tokens, once for each answer between the two texts around it. Tokens that reach over the seam
/// belong to the answer. What doesn't fit the window is cut off the far ends of the texts around, by as much for every
/// answer; only where the text behind is short gets the one before more than half of the room.
fn pose(
    tokenizer: &Tokenizer,
    length: usize,
    line: usize,
    around: [&str; 2],
    answers: &[String],
) -> Result<Posed> {
    let encode = |text: &str| {
        let ids = tokenizer.encode(text);
        ids.map_err(|error| error.about(&format!("line {line}")))
    };
    let [before, behind] = [encode(around[0])?, encode(around[1])?];
    let mut texts = Vec::with_capacity(answers.len());
    for answer in answers {
        let tokens = encode(&format!("{}{answer}{}", around[0], around[1]))?;
        let same = |a: &[u32], b: &mut dyn Iterator<Item = &u32>| {
            a.iter().zip(b).take_while(|(a, b)| a == b).count()
        };
        let start = same(&tokens, &mut before.iter());
        let reversed: Vec<u32> = tokens[start..].iter().rev().copied().collect();
        let end = tokens.len() - same(&reversed, &mut behind.iter().rev());
        texts.push((tokens, start..end));
    }
    let longest = texts
        .iter()
        .map(|(_, range)| range.len())
        .max()
        .unwrap_or(0);
    let Some(room) = length.checked_sub(longest) else {
        return Err(Error::input(format!(
            "line {line}: an answer has {longest} tokens, and the model's window {}",
            length
        ))
        .with_hint("shorten it, or give a model of longer windows"));
    };
    let mut cut = false;
    for (tokens, range) in &mut texts {
        let behind = tokens.len() - range.end;
        let kept_before = range.start.min((room / 2).max(room.saturating_sub(behind)));
        let kept_behind = behind.min(room - kept_before);
        cut |= kept_before < range.start || kept_behind < behind;
        tokens.truncate(range.end + kept_behind);
        let first = range.start - kept_before;
        tokens.drain(..first);
        *range = range.start - first..range.end - first;
    }
    Ok(Posed { texts, cut })
}

/// The index of the least value, the first among equals.
fn least(values: impl Iterator<Item = f64>) -> usize {
    let compared = values.enumerate().min_by(|(_, a), (_, b)| a.total_cmp(b));
    compared.map_or(0, |(index, _)| index)
}

/// What these losses make of a question.
fn preference(question: &MultipleChoice, posed: &Posed, nats: &[AnswerNats]) -> Preference {
    let least_by = |length: &dyn Fn(&String) -> usize| {
        let each = nats.iter().zip(&question.choices);
        least(each.map(|(nats, choice)| nats.nats / length(choice) as f64))
    };
    let chosen = least_by(&|_| 1);
    let lowest = nats[chosen].nats;
    let weight = |one: &AnswerNats| libm::exp(lowest - one.nats);
    let total: f64 = nats.iter().map(weight).sum();
    let each = nats.iter().zip(&posed.texts);
    Preference {
        line: question.line,
        label: question.label,
        chosen,
        chosen_norm: least_by(&|choice| choice.chars().count()),
        chosen_bytes: least_by(&String::len),
        cut: posed.cut,
        choices: each
            .map(|(one, (_, range))| Candidate {
                nats: one.nats,
                se: one.se,
                tokens: range.len(),
                probability: weight(one) / total,
            })
            .collect(),
    }
}

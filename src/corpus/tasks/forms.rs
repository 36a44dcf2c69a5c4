//! The forms of a line, and what each shows a model.

use serde_json::{Map, Value};

use super::{Gap, MultipleChoice, Question};
use crate::error::{Error, Result};

/// What lm-evaluation-harness puts between a question and its answer (`target_delimiter`).
const SPACE: &str = " ";

/// Every form by the fields that make it.
const FORMS: &str = "there are `context`, `choices`, `label`; HellaSwag's `ctx`, `endings`, `label`; MMLU's `question`, \
    `choices`, `answer`; ARC's `question`, `choices`, `answerKey`; PIQA's `goal`, `sol1`, `sol2`, `label`; `text` for a \
    cloze; `prefix`, `middle`, `suffix` for a gap";

/// How a line is written.
#[derive(Debug, Clone, Copy)]
pub(super) enum Form {
    Own,
    HellaSwag,
    Mmlu,
    Arc,
    Piqa,
    Lambada,
    Infilling,
}

impl Form {
    /// The form of an object with these fields, by those that no other form has.
    pub(super) fn of(fields: &Map<String, Value>) -> Result<Self> {
        let marks = [
            ("context", Self::Own),
            ("endings", Self::HellaSwag),
            ("goal", Self::Piqa),
            ("answerKey", Self::Arc),
            ("question", Self::Mmlu),
            ("middle", Self::Infilling),
            ("text", Self::Lambada),
        ];
        let found = marks.iter().find(|(mark, _)| fields.contains_key(*mark));
        found.map(|(_, form)| *form).ok_or_else(|| {
            let names: Vec<String> = fields.keys().map(|name| format!("`{name}`")).collect();
            Error::input(match names.as_slice() {
                [] => "this object has no fields".to_owned(),
                _ => format!("the fields {} make no question", names.join(", ")),
            })
            .with_hint(FORMS)
        })
    }

    pub(super) fn question(self, line: usize, fields: &Map<String, Value>) -> Result<Question> {
        let fields = Fields(fields);
        let choice = |context: String, delimiter, (choices, label): (Vec<String>, usize)| {
            Question::Choice(MultipleChoice {
                line,
                context,
                delimiter,
                choices,
                label,
            })
        };
        Ok(match self {
            Self::Own => choice(
                fields.text("context")?.to_owned(),
                "",
                fields.answers("choices", "label")?,
            ),
            Self::HellaSwag => {
                let (endings, label) = fields.answers("endings", "label")?;
                let endings: Vec<String> = endings.iter().map(|ending| cleaned(ending)).collect();
                if endings.iter().any(String::is_empty) {
                    return Err(Error::input("an answer of `endings` is empty"));
                }
                choice(fields.hellaswag()?, SPACE, (endings, label))
            }
            Self::Mmlu => {
                let choices = fields.texts("choices")?;
                let letters: Vec<String> =
                    ('A'..='Z').take(choices.len()).map(String::from).collect();
                if letters.len() < choices.len() {
                    return Err(Error::input("the number of `choices` is above 26"));
                }
                let label = fields.index("answer", choices.len(), &letters)?;
                let lines = letters.iter().zip(&choices);
                let lines: String = lines
                    .map(|(letter, choice)| format!("{letter}. {choice}\n"))
                    .collect();
                let question = fields.text("question")?.trim();
                let context = format!("{question}\n{lines}Answer:");
                choice(context, SPACE, (letters, label))
            }
            Self::Arc => {
                let (question, choices, labels) = fields.arc()?;
                let label = fields.named("answerKey", &labels)?;
                choice(asked(question), SPACE, (choices, label))
            }
            Self::Piqa => {
                let choices = ["sol1", "sol2"].map(|name| fields.given(name).map(str::to_owned));
                let choices: Vec<String> = choices.into_iter().collect::<Result<_>>()?;
                let label = fields.index("label", choices.len(), &[])?;
                choice(asked(fields.text("goal")?), SPACE, (choices, label))
            }
            Self::Lambada => {
                let (before, word) = fields
                    .text("text")?
                    .rsplit_once(' ')
                    .ok_or_else(|| Error::input("`text` is one word, and nothing is before it"))?;
                if word.is_empty() {
                    return Err(Error::input(
                        "`text` ends with a space, and so with no word",
                    ));
                }
                Question::Cloze(Gap {
                    line,
                    prefix: before.to_owned(),
                    middle: format!("{SPACE}{word}"),
                    suffix: String::new(),
                })
            }
            Self::Infilling => Question::Infilling(Gap {
                line,
                prefix: fields.text("prefix")?.to_owned(),
                middle: fields.given("middle")?.to_owned(),
                suffix: fields.text("suffix")?.to_owned(),
            }),
        })
    }
}

/// ARC's and PIQA's prompt (`arc_easy.yaml`, `piqa.yaml`).
fn asked(question: &str) -> String {
    format!("Question: {question}\nAnswer:")
}

/// HellaSwag's text without the marks that WikiHow left in it (`preprocess` in `hellaswag/utils.py`).
fn cleaned(text: &str) -> String {
    let titled = text.trim().replace(" [title]", ". ");
    let mut kept = String::new();
    let mut rest = titled.as_str();
    while let Some(open) = rest.find('[') {
        kept.push_str(&rest[..open]);
        rest = &rest[open..];
        let line = rest.split('\n').next().unwrap_or(rest);
        match line.find(']') {
            Some(close) => rest = &rest[close + 1..],
            None => {
                kept.push('[');
                rest = &rest[1..];
            }
        }
    }
    kept.push_str(rest);
    kept.replace("  ", " ")
}

/// As Python's `str.capitalize`: the first letter large, all others small.
fn capitalized(text: &str) -> String {
    let mut characters = text.chars();
    let first = characters.next().into_iter().flat_map(char::to_uppercase);
    first
        .chain(characters.flat_map(char::to_lowercase))
        .collect()
}

/// The fields of a line.
struct Fields<'a>(&'a Map<String, Value>);

impl<'a> Fields<'a> {
    fn value(&self, name: &str) -> Result<&'a Value> {
        let value = self.0.get(name);
        value.ok_or_else(|| Error::input(format!("`{name}` is missing")))
    }

    fn text(&self, name: &str) -> Result<&'a str> {
        let text = self.value(name)?.as_str();
        text.ok_or_else(|| Error::input(format!("`{name}` is no text")))
    }

    /// A text that is not empty.
    fn given(&self, name: &str) -> Result<&'a str> {
        match self.text(name)? {
            "" => Err(Error::input(format!("`{name}` is empty"))),
            text => Ok(text),
        }
    }

    /// At least two texts, none empty.
    fn texts(&self, name: &str) -> Result<Vec<String>> {
        checked(texts(self.value(name)?, name)?, name)
    }

    /// Answers, and which is right.
    fn answers(&self, name: &str, label: &str) -> Result<(Vec<String>, usize)> {
        let answers = self.texts(name)?;
        let label = self.index(label, answers.len(), &[])?;
        Ok((answers, label))
    }

    /// Which of `count` a field names by its number, counted from 0, which may be written as a text, or by its letter.
    fn index(&self, name: &str, count: usize, letters: &[String]) -> Result<usize> {
        let value = self.value(name)?;
        let number = match value {
            Value::String(text) => match letters.iter().position(|letter| letter == text) {
                Some(index) => Some(index),
                None => text.parse().ok(),
            },
            value => value
                .as_u64()
                .and_then(|number| usize::try_from(number).ok()),
        };
        number.filter(|&index| index < count).ok_or_else(|| {
            let numbers = match count {
                2 => "0 or 1".to_owned(),
                _ => format!("0 to {}", count - 1),
            };
            let or_letters = match letters {
                [] => String::new(),
                letters => format!(" or one of {}", letters.join(", ")),
            };
            Error::input(format!(
                "`{name}` is {value}, where {numbers}{or_letters} is expected"
            ))
            .with_hint("answers are counted from 0")
        })
    }

    /// Which of these a field names.
    fn named(&self, name: &str, labels: &[String]) -> Result<usize> {
        let value = self.value(name)?;
        let written = match value {
            Value::String(text) => text.clone(),
            value => value.to_string(),
        };
        let found = labels.iter().position(|label| *label == written);
        found.ok_or_else(|| {
            Error::input(format!(
                "`{name}` is {value}, where one of {} is expected",
                labels.join(", ")
            ))
        })
    }

    /// HellaSwag's query (`process_docs` in `hellaswag/utils.py`); where a file has only `ctx`, that.
    fn hellaswag(&self) -> Result<String> {
        let has = |name: &str| self.0.contains_key(name);
        let context = match has("ctx_a") && has("ctx_b") {
            true => {
                let (first, second) = (self.text("ctx_a")?, self.text("ctx_b")?);
                format!("{first} {}", capitalized(second))
            }
            false => self.text("ctx")?.to_owned(),
        };
        Ok(cleaned(&match has("activity_label") {
            true => format!("{}: {context}", self.text("activity_label")?),
            false => context,
        }))
    }

    /// ARC's question, its answers and their names, as published or as on the Hugging Face hub.
    fn arc(&self) -> Result<(&'a str, Vec<String>, Vec<String>)> {
        if let Value::Object(question) = self.value("question")? {
            const NAME: &str = "question.choices";
            let stem = Fields(question)
                .text("stem")
                .map_err(|error| error.about("`question`"))?;
            let pair = |choice: &Value| {
                let part = |name: &str| choice.get(name)?.as_str().map(str::to_owned);
                Some((part("text")?, part("label")?))
            };
            let choices = question.get("choices").and_then(Value::as_array);
            let pairs = choices.and_then(|all| all.iter().map(pair).collect::<Option<Vec<_>>>());
            let pairs = pairs.ok_or_else(|| {
                Error::input(format!(
                    "`{NAME}` is no list of answers with `text` and `label`"
                ))
            })?;
            let (choices, labels) = pairs.into_iter().unzip();
            return Ok((stem, checked(choices, NAME)?, labels));
        }
        let Value::Object(choices) = self.value("choices")? else {
            return Err(Error::input(
                "`choices` is no object with `text` and `label`",
            ));
        };
        let inside = |name: &str| {
            let list = Fields(choices)
                .value(name)
                .and_then(|list| texts(list, name));
            list.map_err(|error| error.about("`choices`"))
        };
        let (choices, labels) = (inside("text")?, inside("label")?);
        if choices.len() != labels.len() {
            return Err(Error::input(format!(
                "`choices` has {} texts and {} labels",
                choices.len(),
                labels.len()
            )));
        }
        Ok((self.text("question")?, checked(choices, "choices")?, labels))
    }
}

fn texts(value: &Value, name: &str) -> Result<Vec<String>> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let all = value.as_array().map(|list| list.iter().map(text));
    let all = all.and_then(|texts| texts.collect::<Option<Vec<String>>>());
    all.ok_or_else(|| Error::input(format!("`{name}` is no list of texts")))
}

/// Refuses answers that leave no choice.
fn checked(answers: Vec<String>, name: &str) -> Result<Vec<String>> {
    if answers.len() < 2 {
        return Err(
            Error::input(format!("the number of `{name}` is {}", answers.len()))
                .with_hint("a choice is among at least 2"),
        );
    }
    if answers.iter().any(String::is_empty) {
        return Err(Error::input(format!("an answer of `{name}` is empty")));
    }
    Ok(answers)
}

//! Tasks: questions whose answers are known, read from JSON lines. Text, not yet tokens.
//!
//! There are three kinds: choosing among given answers ([`MultipleChoice`]), finding the last word of a text, and filling a
//! gap inside one (both a [`Gap`]). A file has one kind, and each line may be in the project's own form or in that of the
//! data set's authors, told apart by its fields. What a model is then shown is what lm-evaluation-harness shows it
//! (github.com/EleutherAI/lm-evaluation-harness, `lm_eval/tasks`), without examples before it.

mod forms;

use serde_json::{Map, Value};

use crate::error::{Error, Result};
use crate::platform;
use forms::Form;

/// What a model is asked, and how it is judged.
#[derive(Debug, Clone, PartialEq)]
pub enum Task {
    /// Which of several answers goes on from a text.
    Choices(Vec<MultipleChoice>),
    /// Which word ends a text. Nothing stands behind the gaps.
    Cloze(Vec<Gap>),
    /// What is missing inside a text.
    Infilling(Vec<Gap>),
}

/// A question with answers to choose from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MultipleChoice {
    /// The line it stands on, or its number where it was made up.
    pub line: usize,
    /// What is given.
    pub context: String,
    /// What stands between the context and any answer.
    pub delimiter: &'static str,
    /// The answers, at least two, none empty.
    pub choices: Vec<String>,
    /// Which is right.
    pub label: usize,
}

/// A text with a gap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// The line it stands on.
    pub line: usize,
    /// What stands before the gap.
    pub prefix: String,
    /// What belongs into it; not empty.
    pub middle: String,
    /// What stands behind it.
    pub suffix: String,
}

/// A question of any kind.
enum Question {
    Choice(MultipleChoice),
    Cloze(Gap),
    Infilling(Gap),
}

impl Task {
    /// Reads a file of JSON lines; empty lines are skipped.
    ///
    /// # Errors
    /// When it can't be read, holds no question or questions of several kinds, or a line is in no known form; the error
    /// names file, line and field.
    pub fn read(path: &str) -> Result<Self> {
        Self::parse(&platform::read_file(path)?).map_err(|error| error.about(&format!("`{path}`")))
    }

    fn parse(bytes: &[u8]) -> Result<Self> {
        let mut task = None;
        for (number, line) in (1..).zip(bytes.split(|&byte| byte == b'\n')) {
            if line.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            let here = |error: Error| error.about(&format!("line {number}"));
            let fields: Map<String, Value> =
                serde_json::from_slice(line).map_err(|error| here(no_object(&error)))?;
            let question = Form::of(&fields)
                .and_then(|form| form.question(number, &fields))
                .map_err(here)?;
            Self::add(&mut task, question).map_err(here)?;
        }
        task.ok_or_else(|| {
            Error::input("there is no question in it")
                .with_hint("a task file has one JSON object a line")
        })
    }

    fn add(task: &mut Option<Self>, question: Question) -> Result<()> {
        match (task, question) {
            (Some(Self::Choices(all)), Question::Choice(new)) => all.push(new),
            (Some(Self::Cloze(all)), Question::Cloze(new))
            | (Some(Self::Infilling(all)), Question::Infilling(new)) => all.push(new),
            (Some(task), _) => {
                return Err(Error::input(format!(
                    "this is no {} question, as those before it are",
                    task.kind()
                ))
                .with_hint("make a file for each kind of question"));
            }
            (task, Question::Choice(first)) => *task = Some(Self::Choices(vec![first])),
            (task, Question::Cloze(first)) => *task = Some(Self::Cloze(vec![first])),
            (task, Question::Infilling(first)) => *task = Some(Self::Infilling(vec![first])),
        }
        Ok(())
    }

    /// Its kind, as messages and files name it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Choices(_) => "multiple-choice",
            Self::Cloze(_) => "cloze",
            Self::Infilling(_) => "infilling",
        }
    }

    /// How many questions there are.
    pub fn len(&self) -> usize {
        match self {
            Self::Choices(questions) => questions.len(),
            Self::Cloze(gaps) | Self::Infilling(gaps) => gaps.len(),
        }
    }

    /// Whether there is none; a task that was read has at least one.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Keeps the first questions.
    pub fn truncate(&mut self, count: usize) {
        match self {
            Self::Choices(questions) => questions.truncate(count),
            Self::Cloze(gaps) | Self::Infilling(gaps) => gaps.truncate(count),
        }
    }
}

/// The parser's words, without the number of the line it was given, which is always 1.
fn no_object(error: &serde_json::Error) -> Error {
    let text = error.to_string();
    let what = text
        .rsplit_once(" at line ")
        .map_or(text.as_str(), |(what, _)| what);
    let column = error.column();
    Error::input(format!("this is no JSON object: {what} (column {column})"))
        .with_hint("a task file has one JSON object a line")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    fn choice(line: &str) -> MultipleChoice {
        match Task::parse(line.as_bytes()) {
            Ok(Task::Choices(mut all)) if all.len() == 1 => all.remove(0),
            other => panic!("{other:?}"),
        }
    }

    #[track_caller]
    fn asks(line: &str, context: &str, delimiter: &str, choices: &[&str], label: usize) {
        let found = choice(line);
        assert_eq!(found.context, context);
        assert_eq!(found.delimiter, delimiter);
        assert_eq!(found.choices, choices);
        assert_eq!(found.label, label);
        assert_eq!(found.line, 1);
    }

    #[test]
    fn our_own_form_is_taken_word_for_word() {
        let line = r#"{"context":"an ","choices":["owl","cat"],"label":0}"#;
        asks(line, "an ", "", &["owl", "cat"], 0);
        let empty = r#"{"context":"","choices":["a","b"],"label":"1"}"#;
        asks(empty, "", "", &["a", "b"], 1);
    }

    #[test]
    fn hellaswag_is_cleaned_as_the_harness_does() {
        let line = r#"{"ind":4,"activity_label":"Removing ice","ctx_a":"Then, the man  writes [step] over it.","ctx_b":"then he CUTS it","ctx":"not read","endings":[" [title] melts.","breaks [substeps] off."],"label":"1"}"#;
        asks(
            line,
            "Removing ice: Then, the man writes over it. Then he cuts it",
            " ",
            &[" melts.", "breaks off."],
            1,
        );
        let short = r#"{"ctx":"A man sits","endings":["down","up","by"],"label":2}"#;
        asks(short, "A man sits", " ", &["down", "up", "by"], 2);
        let titled = r#"{"ctx":"How to [title] bake [a","endings":["x [title] y","z"],"label":0}"#;
        asks(titled, "How to. bake [a", " ", &["x. y", "z"], 0);
    }

    #[test]
    fn mmlu_asks_for_a_letter() {
        let line = r#"{"question":" What is 1 + 1?\n","subject":"x","choices":["1","2","3","4"],"answer":1}"#;
        let asked = "What is 1 + 1?\nA. 1\nB. 2\nC. 3\nD. 4\nAnswer:";
        asks(line, asked, " ", &["A", "B", "C", "D"], 1);
        let lettered = line.replace("\"answer\":1", "\"answer\":\"D\"");
        asks(&lettered, asked, " ", &["A", "B", "C", "D"], 3);
    }

    #[test]
    fn arc_has_two_forms() {
        let published = r#"{"id":"x","question":{"stem":"Why?","choices":[{"text":"so","label":"1"},{"text":"not","label":"2"}]},"answerKey":"2"}"#;
        let hub = r#"{"question":"Why?","choices":{"text":["so","not"],"label":["1","2"]},"answerKey":"2"}"#;
        for line in [published, hub] {
            asks(line, "Question: Why?\nAnswer:", " ", &["so", "not"], 1);
        }
    }

    #[test]
    fn piqa_has_two_solutions() {
        let line = r#"{"goal":"Open it","sol1":"Pull.","sol2":"Push.","label":0}"#;
        asks(
            line,
            "Question: Open it\nAnswer:",
            " ",
            &["Pull.", "Push."],
            0,
        );
    }

    #[test]
    fn gaps_are_at_the_end_or_inside() {
        let cloze = b"{\"text\":\"so it was the  owl\"}\n\n{\"text\":\"to be\"}\r\n";
        let Ok(Task::Cloze(gaps)) = Task::parse(cloze) else {
            panic!("two last words")
        };
        let parts = |gap: &Gap| [&gap.prefix, &gap.middle, &gap.suffix].map(String::clone);
        assert_eq!(parts(&gaps[0]), ["so it was the ", " owl", ""]);
        assert_eq!(
            (parts(&gaps[1]), gaps[1].line),
            (["to", " be", ""].map(Into::into), 3)
        );
        let infill = br#"{"prefix":"a ","middle":"b","suffix":" c"}"#;
        let Ok(Task::Infilling(gaps)) = Task::parse(infill) else {
            panic!("a gap")
        };
        assert_eq!(parts(&gaps[0]), ["a ", "b", " c"]);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line_and_field() {
        let cases = [
            ("", "there is no question in it"),
            (" \n\r\n", "there is no question in it"),
            (
                "{",
                "line 1: this is no JSON object: EOF while parsing an object (column 1)",
            ),
            ("\n[1]", "line 2: this is no JSON object: invalid type"),
            (
                "\u{feff}x",
                "line 1: this is no JSON object: expected value",
            ),
            (
                r#"{"a":1,"b":2}"#,
                "line 1: the fields `a`, `b` make no question",
            ),
            ("{}", "line 1: this object has no fields"),
            (
                r#"{"context":"a","choices":["b","c"],"label":2}"#,
                "line 1: `label` is 2, where 0 or 1 is expected",
            ),
            (
                r#"{"context":"a","choices":["b","c","d"],"label":-1}"#,
                "line 1: `label` is -1, where 0 to 2 is expected",
            ),
            (
                r#"{"context":"a","choices":["b","c"],"label":0.5}"#,
                "line 1: `label` is 0.5, where 0 or 1 is expected",
            ),
            (
                r#"{"context":"a","choices":["b","c"]}"#,
                "line 1: `label` is missing",
            ),
            (
                r#"{"context":"a","choices":["b"],"label":0}"#,
                "line 1: the number of `choices` is 1",
            ),
            (
                r#"{"context":"a","choices":["b",""],"label":0}"#,
                "line 1: an answer of `choices` is empty",
            ),
            (
                r#"{"context":"a","choices":["b",3],"label":0}"#,
                "line 1: `choices` is no list of texts",
            ),
            (
                r#"{"context":7,"choices":["b","c"],"label":0}"#,
                "line 1: `context` is no text",
            ),
            (
                r#"{"ctx":"a","endings":["b","c"],"label":""}"#,
                "line 1: `label` is \"\", where 0 or 1 is expected",
            ),
            (
                r#"{"question":"a","choices":["b","c"],"answer":"C"}"#,
                "line 1: `answer` is \"C\", where 0 or 1 or one of A, B is expected",
            ),
            (
                r#"{"question":"a","choices":{"text":["b","c"],"label":["A","B"]},"answerKey":"E"}"#,
                "line 1: `answerKey` is \"E\", where one of A, B is expected",
            ),
            (
                r#"{"question":"a","choices":{"text":["b","c"],"label":["A"]},"answerKey":"A"}"#,
                "line 1: `choices` has 2 texts and 1 labels",
            ),
            (
                r#"{"question":{"stem":"a","choices":[{"text":"b"}]},"answerKey":"A"}"#,
                "line 1: `question.choices` is no list of answers with `text` and `label`",
            ),
            (
                r#"{"goal":"a","sol1":"b","sol2":"c","label":2}"#,
                "line 1: `label` is 2, where 0 or 1 is expected",
            ),
            (r#"{"text":"word"}"#, "line 1: `text` is one word"),
            (r#"{"text":"ends "}"#, "line 1: `text` ends with a space"),
            (
                r#"{"prefix":"a","middle":"","suffix":"b"}"#,
                "line 1: `middle` is empty",
            ),
            (
                "{\"text\":\"a b\"}\n{\"prefix\":\"a\",\"middle\":\"b\",\"suffix\":\"c\"}",
                "line 2: this is no cloze question, as those before it are",
            ),
        ];
        for (text, expected) in cases {
            let error = Task::parse(text.as_bytes()).unwrap_err();
            let told = error.to_string();
            assert!(told.starts_with(expected), "{told:?} for {text}");
            assert_eq!(error.kind(), Kind::Input);
        }
        let error = Task::parse(b"{\"text\":\"\xFF b\"}").unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("line 1: this is no JSON object")
        );
        let missing = Task::read("nowhere.jsonl").unwrap_err();
        assert!(missing.to_string().contains("`nowhere.jsonl`"));
    }
}

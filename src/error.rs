//! One error type for the whole library: what was wrong, what to do, and whose fault it was.
//!
//! The kind decides the exit code of the command line and the tone of the app; the message carries the
//! values (paths, shapes, steps); the hint says what to do next. Callers match on the kind, never on text.

use std::error::Error as StdError;
use std::fmt;

use serde::{Deserialize, Serialize};

/// A result of this library.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Whose turn it is after an [`Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// What was asked for can't be done as asked: a bad file, flag or combination. Nothing was written.
    Input,
    /// The request was fine and the work failed: a full disk, a lost device, a loss that is not a number.
    Work,
    /// Somebody asked to stop. The state is saved.
    Interrupted,
}

/// What went wrong, with a hint for the person who can mend it.
#[derive(Debug)]
pub struct Error {
    kind: Kind,
    message: String,
    hint: Option<String>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// The request can't be carried out as it stands.
    pub fn input(message: impl Into<String>) -> Self {
        Self::new(Kind::Input, message)
    }

    /// The work itself failed.
    pub fn work(message: impl Into<String>) -> Self {
        Self::new(Kind::Work, message)
    }

    /// The work was asked to stop, and did.
    pub fn interrupted(message: impl Into<String>) -> Self {
        Self::new(Kind::Interrupted, message)
    }

    fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            hint: None,
            source: None,
        }
    }

    /// Adds what the reader can do about it: one sentence, no final period.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Says first what the message is about: a file's name, for instance.
    #[must_use]
    pub fn about(mut self, subject: &str) -> Self {
        self.message = format!("{subject}: {}", self.message);
        self
    }

    /// Keeps the underlying cause for [`StdError::source`].
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Whose turn it is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)?;
        match &self.source {
            Some(source) => write!(formatter, ": {source}"),
            None => Ok(()),
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source
            .as_deref()
            .map(|source| source as &(dyn StdError + 'static))
    }
}

/// The candidate nearest to what was typed, for "did you mean" hints; `None` when nothing is close.
pub fn nearest<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(typed, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= candidate.len().max(typed.len()) / 2)
        .min()
        .map(|(_, candidate)| candidate)
}

/// A whole number with thousands set apart: 1,234,567.
pub fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_finds_a_misspelled_key_and_rejects_strangers() {
        let known = ["hidden_size", "batch", "epochs"];
        assert_eq!(nearest("hiden_size", known), Some("hidden_size"));
        assert_eq!(nearest("epoch", known), Some("epochs"));
        assert_eq!(nearest("zzzzzzzz", known), None);
    }

    #[test]
    fn an_error_prints_its_cause_and_keeps_its_hint() {
        let error = Error::input("can't read `a.txt`")
            .with_source(std::io::Error::other("no such file"))
            .with_hint("check the path");
        assert_eq!(error.to_string(), "can't read `a.txt`: no such file");
        assert_eq!(error.hint(), Some("check the path"));
        assert_eq!(error.kind(), Kind::Input);
    }
}

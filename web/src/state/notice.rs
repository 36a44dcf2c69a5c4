//! What the one-line bar says: one sentence, one action, details for whoever asks.

/// Something a person should know now.
#[derive(Debug, Clone, PartialEq)]
pub struct Notice {
    /// One sentence.
    pub text: String,
    /// How bad it is.
    pub grade: Grade,
    /// What can be done about it, with its label.
    pub actions: Vec<(String, Act)>,
    /// What a person who helps would want to know.
    pub details: Option<String>,
}

/// How bad something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grade {
    /// Good to know.
    Info,
    /// Worth a look.
    Warning,
    /// Went wrong.
    Error,
}

/// What a notice of the app's own offers.
#[derive(Debug, Clone, PartialEq)]
pub enum Act {
    /// Keeps a run that was about to be removed.
    Undo,
    /// Trains on raw bytes what doesn't look like text.
    UseBytes,
    /// Leaves everything as it was.
    Cancel,
}

impl Notice {
    /// Something good to know.
    pub fn said(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            grade: Grade::Info,
            actions: Vec::new(),
            details: None,
        }
    }

    /// Something that went wrong, and what to do about it.
    pub fn went_wrong(message: &str, hint: Option<&str>) -> Self {
        let mut sentence = message.to_owned();
        if let Some(hint) = hint {
            let (said, hint) = (sentence.trim_end_matches('.'), hint.trim_end_matches('.'));
            sentence = format!("{said}. {}.", first_upper(hint));
        }
        Self {
            grade: Grade::Error,
            details: Some(sentence.clone()),
            ..Self::said(first_upper(&sentence))
        }
    }

    /// The same, as a warning.
    pub fn warning(text: impl Into<String>) -> Self {
        Self {
            grade: Grade::Warning,
            ..Self::said(text)
        }
    }

    /// The same, with something to press.
    pub fn offering(mut self, label: &str, act: Act) -> Self {
        self.actions.push((label.to_owned(), act));
        self
    }
}

/// A sentence begins with a capital letter.
pub fn first_upper(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(letters).collect()
    })
}

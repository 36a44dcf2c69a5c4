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

    /// A file or a request that was refused: what is wrong with it, in one line of plain words; what to do about it is
    /// among the details.
    pub fn refused(message: &str, hint: Option<&str>) -> Self {
        let told = Self::went_wrong(message, hint);
        let plain = message.trim_end_matches('.').replace('`', "");
        // Who gave a file knows which it was.
        let plain = match plain.split_once(" was made by ") {
            Some((_, who)) => format!("made by {who}"),
            None => plain,
        };
        Self {
            text: format!("{}.", first_upper(&plain)),
            details: Some(told.text),
            ..told
        }
    }

    /// Something worth a look.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_file_is_told_in_one_plain_sentence() {
        let hint = Some("it may be truncated");
        let said = |message: &str| Notice::refused(message, hint).text;
        assert_eq!(
            said("can't read `x.safetensors`: header promises 1,812,344 bytes, file has 900,000"),
            "Can't read x.safetensors: header promises 1,812,344 bytes, file has 900,000."
        );
        assert_eq!(
            said("`x.safetensors` was made by a newer Crossover (3; this reads 2)"),
            "Made by a newer Crossover (3; this reads 2)."
        );
        let details = Notice::refused("no room.", hint).details;
        assert_eq!(details.as_deref(), Some("No room. It may be truncated."));
    }
}

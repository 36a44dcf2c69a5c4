//! What a person is told in one line, and what they can do about it.

/// How much it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Good to know.
    Info,
    /// Worth a look.
    Warning,
    /// Something is lost or stopped.
    Error,
}

/// What a button of a notice does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Goes on without a GPU.
    UseProcessor,
    /// Looks for a GPU again.
    UseGpu,
    /// Saves the run as a file.
    Export,
    /// Shows what could be removed.
    FreeSpace,
    /// Tries again.
    Retry,
    /// Loads the page again.
    Reload,
    /// Carries on the run.
    Resume,
    /// Says more.
    Why,
    /// Starts the run anew with so many windows in a batch.
    SmallerBatch(usize),
}

impl Action {
    /// The text on the button.
    pub fn label(self) -> String {
        match self {
            Self::UseProcessor => "Use processor".to_owned(),
            Self::UseGpu => "Use GPU".to_owned(),
            Self::Export => "Export".to_owned(),
            Self::FreeSpace => "Free space".to_owned(),
            Self::Retry => "Retry".to_owned(),
            Self::Reload => "Reload".to_owned(),
            Self::Resume => "Resume".to_owned(),
            Self::Why => "Why?".to_owned(),
            Self::SmallerBatch(batch) => format!("New run with batch {batch}"),
        }
    }
}

/// One line for a person.
#[derive(Debug, Clone, PartialEq)]
pub struct Notice {
    /// Its number.
    pub id: u64,
    /// How much it matters.
    pub severity: Severity,
    /// The line.
    pub text: String,
    /// More of it, for who asks.
    pub more: Option<String>,
    /// What can be done.
    pub actions: Vec<Action>,
    /// The folder of the run that it is about.
    pub run: Option<String>,
}

/// A span of time as people read it: `3 m 10 s`.
pub fn span(seconds: f64) -> String {
    let whole = seconds.round().max(0.0) as u64;
    match (whole / 3600, whole / 60 % 60, whole % 60) {
        (0, 0, seconds) => format!("{seconds} s"),
        (0, minutes, seconds) => format!("{minutes} m {seconds} s"),
        (hours, minutes, _) => format!("{hours} h {minutes} m"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::numbers::grouped;

    #[test]
    fn numbers_read_as_people_write_them() {
        assert_eq!(
            [0, 999, 1240, 1_000_000].map(grouped),
            ["0", "999", "1,240", "1,000,000"]
        );
        assert_eq!(
            [9.6, 190.0, 3725.0].map(span),
            ["10 s", "3 m 10 s", "1 h 2 m"]
        );
    }
}

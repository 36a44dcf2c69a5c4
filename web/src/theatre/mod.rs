//! What the Denoise screen plays, before anything is drawn.
//!
//! A trace becomes a [`Film`]: what stands at each position after each step, and how it looks. A [`Player`] moves through
//! its states. [`Edits`] are changes that a person made to one state and that a branch will start from; [`Corruption`]
//! hides a share of a finished text. [`Take`]s are the texts that stand side by side as tabs.

mod alignment;
mod corruption;
mod edits;
mod film;
pub mod models;
mod player;
mod spelling;
mod square;
mod take;

pub use alignment::{Alignment, Cost, differing};
pub use corruption::Corruption;
pub use edits::{Edits, token_of};
pub use film::{Colour, Film, Look, MASK, Standing};
pub use player::{Player, SPEEDS};
pub use spelling::{Spelling, bytes_of, spelled};
pub use square::{Broken, side};
pub use take::{Source, Take, Takes};

/// The text that the theatre shows, for other screens.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Onstage {
    /// Its tokens, [`MASK`] where nothing stands.
    pub tokens: Vec<i64>,
    /// How they are spelled.
    pub texts: Vec<String>,
}

/// Whether a file is meant to be a trace: its name says that it is lines of JSON, and the first is a trace's header.
pub fn is_trace(name: &str, content: &[u8]) -> bool {
    let mut lines = content.split(|byte| *byte == b'\n');
    let header = lines.next().unwrap_or_default();
    let has = |header: serde_json::Value| {
        ["version", "kind", "length", "prompt"]
            .iter()
            .all(|field| header.get(field).is_some())
    };
    name.ends_with(".jsonl") && serde_json::from_slice(header).is_ok_and(has)
}

#[cfg(test)]
pub mod tests;

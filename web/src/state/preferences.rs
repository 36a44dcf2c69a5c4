//! What a person chose about looks and habits. It survives closing the app, as a line of JSON.

use serde::{Deserialize, Serialize};

use super::units::{Axis, Unit};
use crate::link::Compute;
use crate::theatre::SPEEDS;
use crate::theme::{Motion, Tone};

/// What a person chose.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Preferences {
    /// Light or dark.
    pub tone: Tone,
    /// How much moves.
    pub motion: Motion,
    /// Size of everything, percent.
    pub text: f32,
    /// Whether single keys act.
    pub single_keys: bool,
    /// What to compute on.
    pub compute: Compute,
    /// Steps in a second that the theatre plays.
    pub speed: u32,
    /// The horizontal axis of losses.
    pub axis: Axis,
    /// The unit of losses.
    pub unit: Unit,
}

impl Default for Preferences {
    fn default() -> Self {
        Self {
            tone: Tone::System,
            motion: Motion::System,
            text: 100.0,
            single_keys: true,
            compute: Compute::Auto,
            speed: 8,
            axis: Axis::Tokens,
            unit: Unit::Nats,
        }
    }
}

impl Preferences {
    /// What they are kept as.
    pub const NAME: &str = "preferences";

    /// Reads what was kept. What is missing has its default; what is damaged or was never to be chosen gives all of them.
    pub fn read(text: &str) -> Self {
        serde_json::from_str(text)
            .ok()
            .filter(Self::is_sound)
            .unwrap_or_default()
    }

    /// The text to keep; none where nothing was chosen.
    pub fn written(&self) -> Option<String> {
        match *self == Self::default() {
            true => None,
            // Plain values can always be written.
            false => serde_json::to_string(self).ok(),
        }
    }

    fn is_sound(&self) -> bool {
        (80.0..=200.0).contains(&self.text) && SPEEDS.contains(&self.speed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_chosen_is_read_again() {
        let chosen = Preferences {
            tone: Tone::Dark,
            motion: Motion::Reduced,
            text: 130.0,
            single_keys: false,
            compute: Compute::SoftwareGpu,
            speed: 32,
            axis: Axis::Flops,
            unit: Unit::BitsPerByte,
        };
        let text = chosen.written().unwrap();
        assert_eq!(Preferences::read(&text), chosen);
        assert_eq!(Preferences::default().written(), None);
    }

    #[test]
    fn what_is_missing_has_its_default() {
        let read = Preferences::read(r#"{"tone":"dark","of_another_version":1}"#);
        let expected = Preferences {
            tone: Tone::Dark,
            ..Preferences::default()
        };
        assert_eq!(read, expected);
    }

    #[test]
    fn what_is_damaged_gives_the_defaults() {
        for text in [
            "",
            "{",
            "null",
            "[1]",
            r#"{"tone":"dark","text":1e9}"#,
            r#"{"tone":"dark","text":null}"#,
            r#"{"tone":"purple"}"#,
            r#"{"tone":"dark","speed":7}"#,
            r#"{"tone":"dark","speed":-1}"#,
        ] {
            assert_eq!(Preferences::read(text), Preferences::default(), "{text}");
        }
    }
}

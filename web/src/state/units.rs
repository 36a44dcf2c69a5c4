//! How curves are read: what the axes count, and in what unit a loss is told.

use crossover::lab::Outcome;
use serde::{Deserialize, Serialize};

use super::series::Point;

/// What the horizontal axis counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Axis {
    /// Tokens trained on.
    #[default]
    Tokens,
    /// Passes over the unique data.
    Epochs,
    /// Training FLOPs.
    Flops,
    /// Each model's own seconds.
    Time,
}

impl Axis {
    /// Every axis.
    pub const ALL: [Self; 4] = [Self::Tokens, Self::Epochs, Self::Flops, Self::Time];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tokens => "Tokens",
            Self::Epochs => "Epochs",
            Self::Flops => "FLOPs",
            Self::Time => "Time",
        }
    }

    /// Where a point lies on it.
    pub fn of(self, point: &Point) -> f64 {
        match self {
            Self::Tokens => point.tokens,
            Self::Epochs => point.epoch,
            Self::Flops => point.flops,
            Self::Time => point.seconds,
        }
    }

    /// A place on it, in words.
    pub fn say(self, at: f64) -> String {
        use crate::numbers;
        match self {
            Self::Tokens => format!("{} tokens", numbers::count(at)),
            Self::Epochs => format!("epoch {}", numbers::epoch(at)),
            Self::Flops => format!("{} FLOPs", numbers::flops(at)),
            Self::Time => numbers::duration(at),
        }
    }

    /// The next one.
    pub fn next(self) -> Self {
        let at = Self::ALL.iter().position(|axis| *axis == self).unwrap_or(0);
        Self::ALL[(at + 1) % Self::ALL.len()]
    }
}

/// What a loss is told in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Nats per token.
    #[default]
    Nats,
    /// Bits per character.
    BitsPerCharacter,
    /// Bits per byte.
    BitsPerByte,
}

impl Unit {
    /// Every unit.
    pub const ALL: [Self; 3] = [Self::Nats, Self::BitsPerCharacter, Self::BitsPerByte];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Nats => "nats/token",
            Self::BitsPerCharacter => "bits/char",
            Self::BitsPerByte => "bits/byte",
        }
    }

    /// The next one that is known here.
    pub fn next(self, scale: &Scale) -> Self {
        let at = Self::ALL.iter().position(|unit| *unit == self).unwrap_or(0);
        (1..=Self::ALL.len())
            .map(|further| Self::ALL[(at + further) % Self::ALL.len()])
            .find(|unit| scale.factor(*unit).is_some())
            .unwrap_or_default()
    }
}

/// How much text a token is: what turns nats per token into the other units.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Scale {
    /// Characters in a token, where that is known.
    pub characters: Option<f64>,
    /// Bytes in a token, where that is known.
    pub bytes: Option<f64>,
}

impl Scale {
    /// What a vocabulary tells (MASK is its last): where every token is one character, so is each; the same of bytes.
    pub fn of_vocabulary(vocab: &[String]) -> Self {
        let tokens = &vocab[..vocab.len().saturating_sub(1)];
        let single = !tokens.is_empty() && tokens.iter().all(|token| token.chars().count() == 1);
        let plain = single && tokens.iter().all(|token| token.is_ascii());
        Self {
            characters: single.then_some(1.0),
            bytes: plain.then_some(1.0),
        }
    }

    /// What was measured on the test part.
    pub fn of_outcome(outcome: &Outcome) -> Self {
        let (characters, bytes) = match outcome {
            Outcome::Race(race) => (race.characters_per_token, race.bytes_per_token),
            Outcome::Train(train) => (train.characters_per_token, train.bytes_per_token),
        };
        let known = |value: f64| (value.is_finite() && value > 0.0).then_some(value);
        Self {
            characters: known(characters),
            bytes: known(bytes),
        }
    }

    /// This unit, or nats where losses can't be told in it.
    pub fn known(&self, unit: Unit) -> Unit {
        match self.factor(unit) {
            Some(_) => unit,
            None => Unit::Nats,
        }
    }

    /// What nats per token are multiplied by, where that is known.
    pub fn factor(&self, unit: Unit) -> Option<f64> {
        let bits = std::f64::consts::LN_2.recip();
        match unit {
            Unit::Nats => Some(1.0),
            Unit::BitsPerCharacter => self.characters.map(|characters| bits / characters),
            Unit::BitsPerByte => self.bytes.map(|bytes| bits / bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POINT: Point = Point {
        step: 10,
        epoch: 2.0,
        tokens: 5_000.0,
        flops: 3e12,
        seconds: 42.0,
        nats: 1.5,
        se: 0.1,
    };

    #[test]
    fn each_axis_reads_its_own_figure() {
        assert_eq!(
            Axis::ALL.map(|axis| axis.of(&POINT)),
            [5_000.0, 2.0, 3e12, 42.0]
        );
        assert_eq!(
            Axis::ALL.map(|axis| axis.say(axis.of(&POINT))),
            ["5k tokens", "epoch 2", "3e12 FLOPs", "42 s"]
        );
        assert_eq!(Axis::Time.next(), Axis::Tokens);
    }

    /// Four characters of five bytes in a token: 1.5 nats are 1.5 / ln 2 = 2.164 bits, over 5 bytes 0.4328.
    #[test]
    fn nats_become_bits_per_character_and_byte() {
        let scale = Scale {
            characters: Some(4.0),
            bytes: Some(5.0),
        };
        let told = |unit| scale.factor(unit).map(|factor| 1.5 * factor);
        assert_eq!(told(Unit::Nats), Some(1.5));
        assert!((told(Unit::BitsPerCharacter).unwrap() - 0.541_01).abs() < 1e-5);
        assert!((told(Unit::BitsPerByte).unwrap() - 0.432_81).abs() < 1e-5);
    }

    #[test]
    fn a_vocabulary_of_letters_tells_its_scale() {
        let vocab = |tokens: &[&str]| -> Vec<String> {
            tokens.iter().map(|token| (*token).to_owned()).collect()
        };
        let of = |tokens: &[&str]| Scale::of_vocabulary(&vocab(tokens));
        assert_eq!(
            of(&["a", "b", "[MASK]"]).factor(Unit::BitsPerByte),
            Some(1.0 / 2f64.ln())
        );
        assert_eq!(of(&["a", "ö", "[MASK]"]).bytes, None);
        assert_eq!(of(&["a", "ö", "[MASK]"]).characters, Some(1.0));
        assert_eq!(of(&["ab", "c", "[MASK]"]), Scale::default());
        // A unit that can't be told is passed over.
        assert_eq!(
            Unit::Nats.next(&of(&["a", "ö", "[MASK]"])),
            Unit::BitsPerCharacter
        );
        assert_eq!(
            Unit::BitsPerCharacter.next(&of(&["a", "ö", "[MASK]"])),
            Unit::Nats
        );
    }
}

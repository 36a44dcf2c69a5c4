//! Orders: which positions a denoising step commits. A file each.
//!
//! An order sees numbers and returns positions. It never touches the model, the tokens or the random stream, so it is
//! a pure function, and the loop in `denoise.rs` alone guarantees that given and written tokens stay.

mod ancestral;
mod low_confidence;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result, nearest};
use crate::sample::draw::Drawn;
use ancestral::Ancestral;
use low_confidence::LowConfidence;

/// A rule for which positions to commit.
pub trait Order {
    /// What to do in a step. Asked at every step but the last, which commits all that is left.
    fn decide(&self, view: &StepView<'_>) -> Decision;
}

/// What an order sees of a step.
#[derive(Debug, Clone, Copy)]
pub struct StepView<'a> {
    /// Number of the step, from 1.
    pub step: usize,
    /// How many steps there are.
    pub steps: usize,
    /// How many positions were free before the first step.
    pub free: usize,
    /// The token drawn for each masked position, `None` where one is given or written: `[length]`.
    pub candidates: &'a [Option<Drawn>],
    /// A uniform random number on [0, 1) for each position: `[length]`.
    pub uniforms: &'a [f64],
}

/// What an order wants done; positions may come in any order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Decision {
    /// Masked positions whose candidate is written.
    pub commit: Vec<usize>,
    /// Written positions that are masked again.
    pub remask: Vec<usize>,
}

/// The orders by name, as flags, files and menus give it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "kebab-case")]
pub enum Sampler {
    /// Each masked position is revealed with the probability of the reverse diffusion process.
    Ancestral,
    /// Equally many positions a step: those whose drawn token is most probable; the rest stay masked.
    LowConfidence,
}

impl Sampler {
    /// Every sampler.
    pub const ALL: [Self; 2] = [Self::Ancestral, Self::LowConfidence];

    /// The name in flags and files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ancestral => "ancestral",
            Self::LowConfidence => "low-confidence",
        }
    }

    /// The rule behind the name.
    pub(super) fn order(self) -> &'static dyn Order {
        match self {
            Self::Ancestral => &Ancestral,
            Self::LowConfidence => &LowConfidence,
        }
    }

    /// Refuses a number of steps that makes no sense for so many free positions.
    ///
    /// # Errors
    /// When there is no step, or [`Sampler::LowConfidence`] would have steps that commit nothing.
    pub(super) fn check(self, steps: usize, free: usize) -> Result<()> {
        if steps == 0 {
            return Err(Error::input("`0` steps write nothing").with_hint("use at least 1 step"));
        }
        if self == Self::LowConfidence && steps > free {
            return Err(Error::input(format!(
                "`low-confidence` can't spread {free} free tokens over {steps} steps"
            ))
            .with_hint(format!(
                "use at most {free} steps, or the `ancestral` sampler"
            )));
        }
        Ok(())
    }
}

impl fmt::Display for Sampler {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl FromStr for Sampler {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        if let Some(sampler) = Self::ALL.into_iter().find(|sampler| sampler.name() == name) {
            return Ok(sampler);
        }
        let hint = match nearest(name, Self::ALL.map(Self::name)) {
            Some(known) => format!("did you mean `{known}`?"),
            None => format!(
                "the samplers are {}",
                Self::ALL.map(|known| format!("`{known}`")).join(", ")
            ),
        };
        Err(Error::input(format!("there is no sampler `{name}`")).with_hint(hint))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_to_samplers_and_back() {
        for sampler in Sampler::ALL {
            assert_eq!(sampler.name().parse::<Sampler>().unwrap(), sampler);
            let json = serde_json::to_string(&sampler).unwrap();
            assert_eq!(json, format!(r#"{{"name":"{sampler}"}}"#));
            assert_eq!(serde_json::from_str::<Sampler>(&json).unwrap(), sampler);
        }
    }

    #[test]
    fn a_misspelled_sampler_gets_a_hint() {
        let error = "low_confidence".parse::<Sampler>().unwrap_err();
        assert_eq!(error.hint(), Some("did you mean `low-confidence`?"));
        let error = "zzzz".parse::<Sampler>().unwrap_err();
        assert_eq!(
            error.hint(),
            Some("the samplers are `ancestral`, `low-confidence`")
        );
    }
}

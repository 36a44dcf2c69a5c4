//! The samplers by name, with their parameters.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::ancestral::Ancestral;
use super::dream::Dream;
use super::entropy::Entropy;
use super::entropy_bounded::EntropyBounded;
use super::first_hitting::FirstHitting;
use super::low_confidence::LowConfidence;
use super::margin::Margin;
use super::random::Random;
use super::remdm::Remdm;
use super::threshold::Threshold;
use super::{Order, Remasking, Score};
use crate::error::{Error, Result, nearest};

/// An order with its parameters, as flags, files and menus give it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "kebab-case")]
pub enum Sampler {
    /// Each masked position is revealed with the probability of the reverse diffusion process.
    Ancestral,
    /// One position a step, uniformly chosen: the same process, watched when something happens.
    FirstHitting,
    /// Those whose drawn token is most probable.
    LowConfidence,
    /// Equally many a step, whichever chance takes.
    Random,
    /// Those where the likeliest token is furthest ahead of the next.
    Margin,
    /// Those where the model's distribution has the lowest entropy.
    Entropy,
    /// All whose drawn token has at least this probability.
    Threshold {
        /// Probability from which on a token is written, 0 to 1.
        tau: f64,
    },
    /// As many as may be written independently.
    EntropyBounded {
        /// Nats that the dependence among positions of one step may cost at most.
        gamma: f64,
    },
    /// Drawn in proportion to how sure the model is.
    Dream {
        /// What sure means.
        score: Score,
        /// 0 takes the surest, more lets chance in.
        order_temperature: f64,
    },
    /// As ancestral, but written tokens may be hidden again.
    Remdm {
        /// Which, and how often.
        remasking: Remasking,
        /// How much of that, 0 to 1.
        eta: f64,
    },
}

/// What samplers can be given; what is absent has the sampler's default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Parameters {
    /// Of `threshold`: probability from which on a token is written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tau: Option<f64>,
    /// Of `entropy-bounded`: nats that one step may lose by writing independently.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gamma: Option<f64>,
    /// Of `remdm`: how often written tokens are hidden again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eta: Option<f64>,
    /// Of `remdm`: which tokens are hidden again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remasking: Option<Remasking>,
    /// Of `dream`: what decides the order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub score: Option<Score>,
    /// Of `dream`: how much chance has a say in the order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order_temperature: Option<f64>,
}

impl Sampler {
    /// Every sampler, with default parameters: Fast-dLLM's threshold, the entropy bound of the `diffusers` library, ReMDM's
    /// published cap.
    pub const ALL: [Self; 10] = [
        Self::Ancestral,
        Self::FirstHitting,
        Self::LowConfidence,
        Self::Random,
        Self::Margin,
        Self::Entropy,
        Self::Threshold { tau: 0.9 },
        Self::EntropyBounded { gamma: 0.1 },
        Self::Dream {
            score: Score::Entropy,
            order_temperature: 0.1,
        },
        Self::Remdm {
            remasking: Remasking::Cap,
            eta: 0.008,
        },
    ];

    /// The sampler of this name, with these parameters.
    ///
    /// # Errors
    /// When there is none, a parameter is another sampler's, or has no meaning.
    pub fn new(name: &str, parameters: &Parameters) -> Result<Self> {
        let mut sampler = Self::named(name)?;
        let mut left = *parameters;
        match &mut sampler {
            Self::Threshold { tau } => set(tau, &mut left.tau),
            Self::EntropyBounded { gamma } => set(gamma, &mut left.gamma),
            Self::Dream {
                score,
                order_temperature,
            } => {
                set(score, &mut left.score);
                set(order_temperature, &mut left.order_temperature);
            }
            Self::Remdm { remasking, eta } => {
                set(remasking, &mut left.remasking);
                match remasking {
                    Remasking::Cap => {}
                    // The authors' setting.
                    Remasking::Rescale => *eta = 0.015,
                    Remasking::Loop => *eta = 0.02,
                    Remasking::Confidence => *eta = 1.0,
                }
                if *remasking != Remasking::Confidence {
                    set(eta, &mut left.eta);
                }
            }
            _ => {}
        }
        left.refuse(name)?;
        sampler.check_parameters()?;
        Ok(sampler)
    }

    fn named(name: &str) -> Result<Self> {
        if let Some(sampler) = Self::ALL.into_iter().find(|sampler| sampler.name() == name) {
            return Ok(sampler);
        }
        let names = Self::ALL.map(Self::name);
        let hint = match nearest(name, names) {
            Some(known) => format!("did you mean `{known}`?"),
            None => format!(
                "the samplers are {}",
                names.map(|known| format!("`{known}`")).join(", ")
            ),
        };
        Err(Error::input(format!("there is no sampler `{name}`")).with_hint(hint))
    }

    /// The name in flags and files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ancestral => "ancestral",
            Self::FirstHitting => "first-hitting",
            Self::LowConfidence => "low-confidence",
            Self::Random => "random",
            Self::Margin => "margin",
            Self::Entropy => "entropy",
            Self::Threshold { .. } => "threshold",
            Self::EntropyBounded { .. } => "entropy-bounded",
            Self::Dream { .. } => "dream",
            Self::Remdm { .. } => "remdm",
        }
    }

    /// The parameters it has.
    pub fn parameters(self) -> Parameters {
        let none = Parameters::default();
        match self {
            Self::Threshold { tau } => Parameters {
                tau: Some(tau),
                ..none
            },
            Self::EntropyBounded { gamma } => Parameters {
                gamma: Some(gamma),
                ..none
            },
            Self::Dream {
                score,
                order_temperature,
            } => Parameters {
                score: Some(score),
                order_temperature: Some(order_temperature),
                ..none
            },
            Self::Remdm { remasking, eta } => Parameters {
                remasking: Some(remasking),
                eta: (remasking != Remasking::Confidence).then_some(eta),
                ..none
            },
            _ => none,
        }
    }

    /// Whether it takes as many steps as it finds right, not a number it is given.
    pub fn chooses_its_steps(self) -> bool {
        matches!(
            self,
            Self::FirstHitting | Self::Threshold { .. } | Self::EntropyBounded { .. }
        )
    }

    /// Whether each step commits a fixed number of positions.
    fn has_quotas(self) -> bool {
        matches!(
            self,
            Self::LowConfidence | Self::Random | Self::Margin | Self::Entropy
        )
    }

    /// The rule behind the name.
    pub(in crate::sample) fn order(self) -> Box<dyn Order> {
        match self {
            Self::Ancestral => Box::new(Ancestral),
            Self::FirstHitting => Box::new(FirstHitting),
            Self::LowConfidence => Box::new(LowConfidence),
            Self::Random => Box::new(Random),
            Self::Margin => Box::new(Margin),
            Self::Entropy => Box::new(Entropy),
            Self::Threshold { tau } => Box::new(Threshold { tau }),
            Self::EntropyBounded { gamma } => Box::new(EntropyBounded { gamma }),
            Self::Dream {
                score,
                order_temperature,
            } => Box::new(Dream {
                score,
                order_temperature,
            }),
            Self::Remdm { remasking, eta } => Box::new(Remdm { remasking, eta }),
        }
    }

    /// Refuses a number of steps that makes no sense for so many free positions.
    ///
    /// # Errors
    /// When there is no step, or some would commit nothing although each should commit the same number.
    pub(in crate::sample) fn check(self, steps: usize, free: usize) -> Result<()> {
        self.check_parameters()?;
        if steps == 0 {
            return Err(Error::input("`0` steps write nothing").with_hint("use at least 1 step"));
        }
        if self.has_quotas() && steps > free {
            return Err(Error::input(format!(
                "`{self}` can't spread {free} free tokens over {steps} steps"
            ))
            .with_hint(format!(
                "use at most {free} steps, or the `ancestral` sampler"
            )));
        }
        Ok(())
    }

    fn check_parameters(self) -> Result<()> {
        let share = 0.0..=1.0;
        let (name, value, range) = match self {
            Self::Threshold { tau } => ("tau", tau, share),
            Self::Remdm { eta, .. } => ("eta", eta, share),
            Self::EntropyBounded { gamma } => ("gamma", gamma, 0.0..=f64::MAX),
            Self::Dream {
                order_temperature, ..
            } => ("order temperature", order_temperature, 0.0..=f64::MAX),
            _ => return Ok(()),
        };
        if range.contains(&value) {
            return Ok(());
        }
        let end = match *range.end() {
            f64::MAX => "or more".to_owned(),
            end => format!("to {end}"),
        };
        Err(Error::input(format!("`{self}` has the {name} `{value}`"))
            .with_hint(format!("use {} {end}", range.start())))
    }
}

fn set<T>(value: &mut T, given: &mut Option<T>) {
    if let Some(given) = given.take() {
        *value = given;
    }
}

impl Parameters {
    /// Refuses whatever no sampler of this name has taken.
    fn refuse(&self, name: &str) -> Result<()> {
        let others = [
            (self.tau.is_some(), "tau", "`threshold`"),
            (self.gamma.is_some(), "gamma", "`entropy-bounded`"),
            (
                self.eta.is_some(),
                "eta",
                "`remdm` with `cap`, `rescale` or `loop`",
            ),
            (self.remasking.is_some(), "remasking", "`remdm`"),
            (self.score.is_some(), "score", "`dream`"),
            (
                self.order_temperature.is_some(),
                "order temperature",
                "`dream`",
            ),
        ];
        match others.into_iter().find(|(given, ..)| *given) {
            None => Ok(()),
            Some((_, parameter, owner)) => Err(Error::input(format!(
                "the sampler `{name}` has no {parameter}: that is for {owner}"
            ))
            .with_hint("leave it out, or change the sampler")),
        }
    }
}

impl fmt::Display for Sampler {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn names_and_parameters_lead_to_samplers_and_back() {
        for sampler in Sampler::ALL {
            let again = Sampler::new(sampler.name(), &sampler.parameters()).unwrap();
            assert_eq!(again, sampler);
            assert_eq!(
                Sampler::new(sampler.name(), &Parameters::default()).unwrap(),
                sampler
            );
            let json = serde_json::to_string(&sampler).unwrap();
            assert!(
                json.starts_with(&format!(r#"{{"name":"{sampler}""#)),
                "{json}"
            );
            assert_eq!(serde_json::from_str::<Sampler>(&json).unwrap(), sampler);
        }
    }

    #[test]
    fn a_misspelled_sampler_gets_a_hint() {
        let hint = |name| {
            let error = Sampler::new(name, &Parameters::default()).unwrap_err();
            error.hint().unwrap().to_owned()
        };
        assert_eq!(hint("low_confidence"), "did you mean `low-confidence`?");
        assert!(hint("zzzz").starts_with("the samplers are `ancestral`, `first-hitting`"));
    }

    #[test]
    fn a_parameter_of_another_sampler_or_without_meaning_is_refused() {
        let error = |name, parameters| Sampler::new(name, &parameters).unwrap_err().to_string();
        let none = Parameters::default();
        let tau = Parameters {
            tau: Some(0.5),
            ..none
        };
        assert_eq!(
            error("entropy", tau),
            "the sampler `entropy` has no tau: that is for `threshold`"
        );
        let tau = Parameters {
            tau: Some(1.5),
            ..none
        };
        assert_eq!(error("threshold", tau), "`threshold` has the tau `1.5`");
        let gamma = Parameters {
            gamma: Some(f64::NAN),
            ..none
        };
        assert_eq!(
            error("entropy-bounded", gamma),
            "`entropy-bounded` has the gamma `NaN`"
        );
        let confidence = Parameters {
            remasking: Some(Remasking::Confidence),
            eta: Some(0.1),
            ..none
        };
        assert!(error("remdm", confidence).starts_with("the sampler `remdm` has no eta"));
    }
}

//! Who is ahead, in one sentence that claims no more than is known.
//!
//! While a run is under way the app has each model's validation loss and its standard error, not the windows: the two
//! errors are added as if independent. Windows are shared and losses on them go together, so that is cautious.

use crossover::lab::RaceResult;

use super::series::{Point, Series};
use super::units::{Scale, Unit};
use crate::numbers;

/// Standard errors that a lead must exceed to count.
const SIGNIFICANT: f64 = 2.0;

/// Who is ahead.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Verdict {
    /// One of them was not evaluated yet.
    Unknown,
    /// Known, as far as it goes.
    Gap {
        /// The diffusion model's best bound minus AR's best loss, nats per token.
        difference: f64,
        /// Its standard error.
        se: f64,
        /// Where diffusion passed the best AR.
        envelope: Option<f64>,
        /// Whether the best checkpoints were measured on all the held-out text.
        is_final: bool,
    },
}

impl Verdict {
    /// By the curves so far.
    pub fn live(ar: Option<&Series>, second: Option<&Series>) -> Self {
        let best = |series: Option<&Series>| series.and_then(|series| series.best().copied());
        match (best(ar), best(second)) {
            (Some(ar_best), Some(best)) => Self::Gap {
                difference: best.nats - ar_best.nats,
                se: joint(&best, &ar_best),
                envelope: Crossovers::live(ar, second).envelope,
                is_final: false,
            },
            _ => Self::Unknown,
        }
    }

    /// By the measurement at the end, whose standard error is paired by window.
    pub fn measured(result: &RaceResult) -> Self {
        Self::Gap {
            difference: result.difference,
            se: result.difference_se,
            envelope: result.envelope_crossover_epoch,
            is_final: true,
        }
    }

    /// Whether diffusion is ahead by more than chance.
    pub fn wins(&self) -> bool {
        match self {
            Self::Unknown => false,
            Self::Gap { difference, se, .. } => *difference < -SIGNIFICANT * se,
        }
    }

    /// The sentence.
    pub fn say(&self, unit: Unit, scale: &Scale) -> String {
        let Self::Gap {
            difference,
            se,
            envelope,
            is_final,
        } = self
        else {
            return "No verdict before both models are evaluated.".to_owned();
        };
        let factor = scale.factor(unit).unwrap_or(1.0);
        let so_far = if *is_final { "" } else { " so far" };
        if *difference >= 0.0 {
            return format!(
                "Not yet: diffusion is {} above AR's best{so_far}.",
                numbers::loss(difference * factor)
            );
        }
        if !self.wins() {
            return format!(
                "Below AR's best{so_far}, not yet significant ({:.1} SE).",
                -difference / se
            );
        }
        let place = envelope.map_or_else(String::new, |epoch| {
            format!(" (envelope, epoch {})", numbers::epoch(epoch))
        });
        format!(
            "Diffusion wins by {} ± {} {}{so_far}{place}.",
            numbers::loss(-difference * factor),
            numbers::loss(se * factor),
            unit.name(),
        )
    }
}

fn joint(a: &Point, b: &Point) -> f64 {
    a.se.hypot(b.se)
}

/// Where the curves crossed, in epochs.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Crossovers {
    /// First evaluation from which on the bound is below AR's loss at equal tokens.
    pub curve: Option<f64>,
    /// First evaluation at which the bound is below AR's lowest loss by more than twice the standard error.
    pub envelope: Option<f64>,
}

impl Crossovers {
    /// By the curves so far.
    pub fn live(ar: Option<&Series>, second: Option<&Series>) -> Self {
        let (Some(ar), Some(second)) = (ar, second) else {
            return Self::default();
        };
        let mut curve = None;
        for point in &second.validation {
            let Some(other) = ar.validation.iter().find(|other| other.step == point.step) else {
                continue;
            };
            if point.nats < other.nats {
                curve = curve.or(Some(point.epoch));
            } else {
                curve = None;
            }
        }
        let envelope = ar.best().and_then(|lowest| {
            second
                .validation
                .iter()
                .find(|point| point.nats - lowest.nats < -SIGNIFICANT * joint(point, lowest))
                .map(|point| point.epoch)
        });
        Self { curve, envelope }
    }
}

#[cfg(test)]
mod tests {
    use super::super::series::tests::line;
    use super::*;
    use crossover::objective::Objective;

    fn series(objective: Objective, values: &[f64], se: f64) -> Series {
        let first = line(objective, 0, None);
        let mut series = Series::new(objective, first.likelihood, first.bound);
        for (index, value) in values.iter().enumerate() {
            let step = 10 * (index as u64 + 1);
            series.push(&line(objective, step, Some((*value, se))));
        }
        series
    }

    fn race(ar: &[f64], masked: &[f64], se: f64) -> (Series, Series) {
        (
            series(Objective::Autoregressive, ar, se),
            series(Objective::Masked, masked, se),
        )
    }

    fn said(ar: &[f64], masked: &[f64], se: f64) -> String {
        let (ar, masked) = race(ar, masked, se);
        Verdict::live(Some(&ar), Some(&masked)).say(Unit::Nats, &Scale::default())
    }

    fn measured(difference: f64, se: f64, envelope: Option<f64>) -> Verdict {
        Verdict::Gap {
            difference,
            se,
            envelope,
            is_final: true,
        }
    }

    /// The fixture of `crossover::lab::crossover`: the curve counts from its last crossing, the envelope against AR at
    /// its best.
    #[test]
    fn the_markers_match_the_contract() {
        let (ar, masked) = race(&[1.0, 0.6, 0.9, 1.1, 1.3], &[0.9, 1.0, 0.8, 0.7, 0.5], 0.01);
        assert_eq!(
            Crossovers::live(Some(&ar), Some(&masked)),
            Crossovers {
                curve: Some(3.0),
                envelope: Some(5.0)
            }
        );
        let (ar, masked) = race(&[1.0, 0.9, 0.6], &[0.9, 0.8, 0.7], 0.01);
        assert_eq!(
            Crossovers::live(Some(&ar), Some(&masked)),
            Crossovers::default()
        );
    }

    #[test]
    fn diffusion_wins_only_above_two_standard_errors() {
        // Independent errors of 0.03 and 0.04 make 0.05: 0.10 is not above twice that, 0.101 is.
        let close = measured(-0.10, 0.05, None);
        assert!(!close.wins());
        assert_eq!(
            close.say(Unit::Nats, &Scale::default()),
            "Below AR's best, not yet significant (2.0 SE)."
        );
        let won = measured(-0.061, 0.018, Some(31.0));
        assert!(won.wins());
        assert_eq!(
            won.say(Unit::Nats, &Scale::default()),
            "Diffusion wins by 0.061 ± 0.018 nats/token (envelope, epoch 31)."
        );
        assert!(!measured(0.061, 0.018, None).wins());
    }

    #[test]
    fn a_measured_verdict_is_said_without_reserve() {
        let said = |difference, se| {
            measured(difference, se, Some(31.0)).say(Unit::Nats, &Scale::default())
        };
        assert_eq!(
            said(0.142, 0.01),
            "Not yet: diffusion is 0.142 above AR's best."
        );
        assert_eq!(
            said(-0.013, 0.01),
            "Below AR's best, not yet significant (1.3 SE)."
        );
    }

    #[test]
    fn a_verdict_says_so_far_until_the_best_are_measured_again() {
        assert_eq!(
            said(&[1.0, 0.8], &[1.2, 0.942], 0.01),
            "Not yet: diffusion is 0.142 above AR's best so far."
        );
        assert_eq!(
            said(&[1.0, 0.8], &[1.2, 0.787], 0.01 / 2f64.sqrt()),
            "Below AR's best so far, not yet significant (1.3 SE)."
        );
        assert_eq!(
            said(&[1.0, 0.8], &[1.2, 0.7], 0.01),
            "Diffusion wins by 0.100 ± 0.014 nats/token so far (envelope, epoch 2)."
        );
        let wins = measured(-0.1, 0.01, Some(2.0));
        let text = wins.say(Unit::Nats, &Scale::default());
        assert!(!text.contains("so far"), "{text}");
        assert_eq!(
            Verdict::live(None, None).say(Unit::Nats, &Scale::default()),
            "No verdict before both models are evaluated."
        );
    }

    #[test]
    fn a_verdict_speaks_the_unit_that_is_shown() {
        let scale = Scale {
            characters: Some(1.0),
            bytes: Some(1.0),
        };
        assert_eq!(
            measured(-0.0693, 0.00693, None).say(Unit::BitsPerByte, &scale),
            "Diffusion wins by 0.100 ± 0.010 bits/byte."
        );
    }
}

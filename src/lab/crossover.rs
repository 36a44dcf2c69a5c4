//! The verdict: where the diffusion model's bound passes the autoregressive model's loss.
//!
//! *Curve*: below AR at equal tokens, from there on. *Envelope*: below the lowest loss AR ever had, as if AR had stopped in
//! time, by more than twice the paired standard error.

use serde::{Deserialize, Serialize};

use crate::evaluate::{Mean, paired_difference};
use crate::objective::{Likelihood, Objective};

/// One evaluation of one model on the validation windows: a line of `evaluations.jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Which model.
    pub objective: Objective,
    /// How it was measured.
    pub likelihood: Likelihood,
    /// After how many steps.
    pub step: u64,
    /// After how many passes over the unique data.
    pub epoch: f64,
    /// Loss of each window, nats per token; the windows are the same each time.
    pub nats: Vec<f64>,
}

impl Evaluation {
    /// Mean over the windows.
    pub fn mean(&self) -> f64 {
        self.nats.iter().sum::<f64>() / self.nats.len() as f64
    }
}

/// Both crossovers on the validation part, as epochs.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Crossovers {
    /// First evaluation from which on the bound is below AR's loss at equal tokens.
    pub curve: Option<f64>,
    /// First evaluation at which the bound is below AR's lowest loss by more than twice the paired standard error.
    pub envelope: Option<f64>,
}

/// Finds both crossovers in a race's evaluations: of the second model, by one of its likelihoods, against AR.
pub fn find(history: &[Evaluation], second: Objective, likelihood: Likelihood) -> Crossovers {
    let of = |objective, likelihood| {
        history.iter().filter(move |evaluation| {
            evaluation.objective == objective && evaluation.likelihood == likelihood
        })
    };
    let ar = || of(Objective::Autoregressive, Likelihood::Autoregressive);
    let pairs = of(second, likelihood).filter_map(|masked| {
        ar().find(|ar| ar.step == masked.step)
            .map(|ar| (masked, ar))
    });
    let mut curve = None;
    for (masked, ar) in pairs {
        if masked.mean() < ar.mean() {
            curve = curve.or(Some(masked.epoch));
        } else {
            curve = None;
        }
    }
    let lowest = ar().min_by(|a, b| a.mean().total_cmp(&b.mean()));
    let envelope = lowest.and_then(|lowest| {
        of(second, likelihood)
            .find(|masked| {
                paired_difference(&masked.nats, &lowest.nats).is_ok_and(|gap| is_below(&gap))
            })
            .map(|masked| masked.epoch)
    });
    Crossovers { curve, envelope }
}

/// Whether a paired difference is negative by more than twice its standard error.
pub fn is_below(difference: &Mean) -> bool {
    difference.mean < -2.0 * difference.se
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evaluation(objective: Objective, step: u64, mean: f64) -> Evaluation {
        Evaluation {
            objective,
            likelihood: objective.likelihoods()[0],
            step,
            epoch: step as f64 / 10.0,
            nats: [-0.02, 0.0, 0.02].map(|offset| mean + offset).to_vec(),
        }
    }

    fn race(ar: &[f64], masked: &[f64]) -> Vec<Evaluation> {
        let line = |objective, values: &[f64]| -> Vec<Evaluation> {
            values
                .iter()
                .enumerate()
                .map(|(index, mean)| evaluation(objective, 10 * (index as u64 + 1), *mean))
                .collect()
        };
        [
            line(Objective::Autoregressive, ar),
            line(Objective::Masked, masked),
        ]
        .concat()
    }

    fn find(history: &[Evaluation]) -> Crossovers {
        super::find(history, Objective::Masked, Likelihood::Masked)
    }

    #[test]
    fn the_curve_counts_from_its_last_crossing_and_the_envelope_against_ar_at_its_best() {
        let history = race(&[1.0, 0.6, 0.9, 1.1, 1.3], &[0.9, 1.0, 0.8, 0.7, 0.5]);
        assert_eq!(
            find(&history),
            Crossovers {
                curve: Some(3.0),
                envelope: Some(5.0)
            }
        );
    }

    #[test]
    fn a_curve_that_comes_back_up_has_not_crossed() {
        let history = race(&[1.0, 0.9, 0.6], &[0.9, 0.8, 0.7]);
        assert_eq!(find(&history), Crossovers::default());
    }

    #[test]
    fn noise_is_no_envelope_crossover() {
        let mut history = race(&[0.6], &[0.59]);
        // The windows disagree about who is better: the paired standard error is as large as the gap.
        history[1].nats = vec![0.50, 0.60, 0.67];
        assert_eq!(find(&history).envelope, None);
        assert_eq!(find(&history).curve, Some(1.0));
    }
}

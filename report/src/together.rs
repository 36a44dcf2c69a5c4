//! What the results of several seeds say together.
//!
//! The statistics over seeds are all here: [`Spread`] for a figure, [`Crossings`] for a crossover.

use crossover::error::{Error, Result};
use crossover::evaluate::Mean;
use crossover::lab::{DualAr, Estimate, Outcome, RaceResult, TrainResult};
use crossover::objective::Objective;
use serde::Serialize;
use serde_json::{Value, json};

/// One figure over seeds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    /// The mean over the n seeds, Σx / n.
    pub mean: f64,
    /// How far single seeds lie from it: the sample deviation, √(Σ(x − mean)² / (n − 1)). None of one seed.
    pub deviation: Option<f64>,
    /// How far the mean may be off: its standard error, the deviation over √n. None of one seed.
    pub se: Option<f64>,
}

impl Spread {
    /// The spread of one value a seed; `None` of no seed.
    pub fn over(values: &[f64]) -> Option<Self> {
        if let [only] = values {
            return Some(Self {
                mean: *only,
                deviation: None,
                se: None,
            });
        }
        let Mean { mean, se, count } = Mean::of(values).ok()?;
        Some(Self {
            mean,
            deviation: Some(se * (count as f64).sqrt()),
            se: Some(se),
        })
    }

    /// The spread of a value that every seed has; `None` where one has not.
    pub(crate) fn over_all(values: impl Iterator<Item = Option<f64>>) -> Option<Self> {
        Self::over(&values.collect::<Option<Vec<f64>>>()?)
    }

    pub(crate) fn to_json(self) -> Value {
        json!({"mean": self.mean, "se": self.se, "spread": self.deviation})
    }
}

/// One kind of crossover over seeds.
#[derive(Debug, Clone, PartialEq)]
pub struct Crossings {
    /// How many seeds showed it.
    pub count: usize,
    /// How many seeds there are.
    pub of: usize,
    /// Its epoch over seeds, where all showed it: a mean over those that crossed would praise the ones that did.
    pub epoch: Option<Spread>,
}

impl Crossings {
    fn of(epochs: &[Option<f64>]) -> Self {
        Self {
            count: epochs.iter().flatten().count(),
            of: epochs.len(),
            epoch: Spread::over_all(epochs.iter().copied()),
        }
    }
}

/// One seed's result.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Seeded<T> {
    /// Which seed.
    pub seed: u64,
    /// What it came to.
    #[serde(flatten)]
    pub result: T,
}

/// The results of several seeds together.
#[derive(Debug, Clone, PartialEq)]
pub enum Together {
    /// Of races.
    Race(Box<Races>),
    /// Of one model's training.
    Train(Trainings),
}

/// Several seeds of a race.
#[derive(Debug, Clone, PartialEq)]
pub struct Races {
    /// AR's exact test NLL, nats per token.
    pub ar: Spread,
    /// The second model's test bound, nats per token.
    pub masked: Spread,
    /// Bound minus NLL, nats per token.
    pub difference: Spread,
    /// Mean over seeds of AR's standard error within a seed, over test windows.
    pub ar_window_se: f64,
    /// The same of the second model.
    pub masked_window_se: f64,
    /// The same of the difference, paired by test window.
    pub paired_se: f64,
    /// The second model's exact left-to-right NLL and its mean standard error within a seed, where every seed measured it.
    pub left_to_right: Option<(Spread, f64)>,
    /// Its bound of several orders, likewise.
    pub k_order: Option<(Spread, f64)>,
    /// The other likelihood of a dual model.
    pub dual: Option<Duals>,
    /// Curve crossovers.
    pub curve: Crossings,
    /// Envelope crossovers.
    pub envelope: Crossings,
    /// Lowest possible loss, where the source is known.
    pub floor: Option<f64>,
    /// Each seed's result.
    pub runs: Vec<Seeded<RaceResult>>,
}

/// Several seeds of a dual model read left to right.
#[derive(Debug, Clone, PartialEq)]
pub struct Duals {
    /// Its exact test NLL, nats per token.
    pub nats: Spread,
    /// Mean over seeds of its standard error within a seed.
    pub window_se: f64,
    /// That minus AR's NLL, nats per token.
    pub difference: Spread,
    /// Mean over seeds of the difference's standard error within a seed, paired by test window.
    pub paired_se: f64,
    /// Its envelope crossovers.
    pub envelope: Crossings,
}

/// Several seeds of one model's training.
#[derive(Debug, Clone, PartialEq)]
pub struct Trainings {
    /// Test loss, nats per token.
    pub nats: Spread,
    /// Mean over seeds of its standard error over test windows.
    pub window_se: f64,
    /// The exact left-to-right NLL of a dual model, whose test loss is its bound, and the mean over seeds of its standard error
    /// over test windows.
    pub dual_ar: Option<(Spread, f64)>,
    /// Lowest possible loss, where the source is known.
    pub floor: Option<f64>,
    /// Each seed's result.
    pub runs: Vec<Seeded<TrainResult>>,
}

impl Together {
    /// Puts results together; `None` of none.
    ///
    /// # Errors
    /// When races and single models are mixed.
    pub fn of(results: Vec<(u64, Outcome)>) -> Result<Option<Self>> {
        let mut races = Vec::new();
        let mut trainings = Vec::new();
        for (seed, outcome) in results {
            match outcome {
                Outcome::Race(result) => races.push(Seeded { seed, result }),
                Outcome::Train(result) => trainings.push(Seeded { seed, result }),
            }
        }
        if !races.is_empty() && !trainings.is_empty() {
            return Err(Error::input("these seeds are not of one kind of run")
                .with_hint("races and single models can't be put together"));
        }
        Ok(Races::of(races)
            .map(|races| Self::Race(Box::new(races)))
            .or_else(|| Trainings::of(trainings).map(Self::Train)))
    }

    /// The last line of `--json`.
    pub fn to_json(&self) -> Value {
        match self {
            Self::Race(races) => races.to_json(),
            Self::Train(trainings) => trainings.to_json(),
        }
    }
}

impl Races {
    fn of(runs: Vec<Seeded<RaceResult>>) -> Option<Self> {
        let of = |pick: fn(&RaceResult) -> f64| -> Vec<f64> {
            runs.iter().map(|run| pick(&run.result)).collect()
        };
        let some = |pick: fn(&RaceResult) -> Option<f64>| -> Vec<Option<f64>> {
            runs.iter().map(|run| pick(&run.result)).collect()
        };
        let estimated = |pick: fn(&RaceResult) -> Option<Estimate>| {
            estimated(runs.iter().map(|run| pick(&run.result)))
        };
        Some(Self {
            ar: Spread::over(&of(|run| run.ar_best_nats))?,
            masked: Spread::over(&of(|run| run.masked_best_nats))?,
            difference: Spread::over(&of(|run| run.difference))?,
            ar_window_se: Spread::over(&of(|run| run.ar_best_se))?.mean,
            masked_window_se: Spread::over(&of(|run| run.masked_best_se))?.mean,
            paired_se: Spread::over(&of(|run| run.difference_se))?.mean,
            left_to_right: estimated(|run| run.masked_left_to_right),
            k_order: estimated(|run| run.masked_k_order),
            dual: Duals::of(&runs),
            curve: Crossings::of(&some(|run| run.curve_crossover_epoch)),
            envelope: Crossings::of(&some(|run| run.envelope_crossover_epoch)),
            floor: Spread::over_all(some(|run| run.floor_nats).into_iter()).map(|floor| floor.mean),
            runs,
        })
    }

    /// What AR raced against.
    pub fn second(&self) -> Objective {
        self.runs
            .first()
            .map_or(Objective::Masked, |run| run.result.second)
    }

    fn to_json(&self) -> Value {
        let seeds: Vec<u64> = self.runs.iter().map(|run| run.seed).collect();
        json!({
            "event": "result",
            "second": self.second(),
            "block_size": self.runs.first().and_then(|run| run.result.block_size),
            "ar_best_nats": self.ar.mean,
            "ar_best_se": self.ar.se,
            "ar_best_spread": self.ar.deviation,
            "masked_best_nats": self.masked.mean,
            "masked_best_se": self.masked.se,
            "masked_best_spread": self.masked.deviation,
            "difference": self.difference.mean,
            "difference_se": self.difference.se,
            "difference_spread": self.difference.deviation,
            "paired_se": self.paired_se,
            "curve_crossover_epoch": self.curve.epoch.map(|epoch| epoch.mean),
            "curve_crossovers": self.curve.count,
            "envelope_crossover_epoch": self.envelope.epoch.map(|epoch| epoch.mean),
            "envelope_crossovers": self.envelope.count,
            "floor_nats": self.floor,
            "dual_ar": self.dual.as_ref().map(Duals::to_json),
            "masked_left_to_right": self.left_to_right.map(|(spread, _)| spread.to_json()),
            "masked_k_order": self.k_order.map(|(spread, _)| spread.to_json()),
            "seeds": seeds,
            "runs": self.runs,
        })
    }
}

impl Duals {
    fn of(runs: &[Seeded<RaceResult>]) -> Option<Self> {
        let duals = runs.iter().map(|run| run.result.dual_ar);
        let duals = duals.collect::<Option<Vec<DualAr>>>()?;
        let over =
            |pick: fn(&DualAr) -> f64| Spread::over(&duals.iter().map(pick).collect::<Vec<_>>());
        let epochs: Vec<_> = duals
            .iter()
            .map(|dual| dual.envelope_crossover_epoch)
            .collect();
        Some(Self {
            nats: over(|dual| dual.nats)?,
            window_se: over(|dual| dual.se)?.mean,
            difference: over(|dual| dual.difference)?,
            paired_se: over(|dual| dual.difference_se)?.mean,
            envelope: Crossings::of(&epochs),
        })
    }

    fn to_json(&self) -> Value {
        json!({
            "nats": self.nats.mean,
            "se": self.nats.se,
            "spread": self.nats.deviation,
            "difference": self.difference.mean,
            "difference_se": self.difference.se,
            "difference_spread": self.difference.deviation,
            "paired_se": self.paired_se,
            "envelope_crossover_epoch": self.envelope.epoch.map(|epoch| epoch.mean),
            "envelope_crossovers": self.envelope.count,
        })
    }
}

/// The spread of an estimate that every seed has, and the mean of its standard errors within a seed.
fn estimated(each: impl Iterator<Item = Option<Estimate>> + Clone) -> Option<(Spread, f64)> {
    let of_all = |part: fn(Estimate) -> f64| {
        Spread::over_all(each.clone().map(|estimate| estimate.map(part)))
    };
    Some((
        of_all(|estimate| estimate.mean)?,
        of_all(|estimate| estimate.se)?.mean,
    ))
}

impl Trainings {
    fn of(runs: Vec<Seeded<TrainResult>>) -> Option<Self> {
        let of = |pick: fn(&TrainResult) -> f64| -> Vec<f64> {
            runs.iter().map(|run| pick(&run.result)).collect()
        };
        Some(Self {
            nats: Spread::over(&of(|run| run.nats))?,
            window_se: Spread::over(&of(|run| run.se))?.mean,
            dual_ar: estimated(runs.iter().map(|run| run.result.dual_ar)),
            floor: Spread::over_all(runs.iter().map(|run| run.result.floor_nats))
                .map(|floor| floor.mean),
            runs,
        })
    }

    fn to_json(&self) -> Value {
        let first = self.runs.first().map(|run| &run.result);
        let seeds: Vec<u64> = self.runs.iter().map(|run| run.seed).collect();
        json!({
            "event": "result",
            "objective": first.map(|result| result.objective),
            "nats": self.nats.mean,
            "se": self.nats.se,
            "spread": self.nats.deviation,
            "window_se": self.window_se,
            "bound": first.map(|result| result.bound),
            "dual_ar": self.dual_ar.map(|(spread, _)| spread.to_json()),
            "tokens": first.map(|result| result.tokens),
            "floor_nats": self.floor,
            "seeds": seeds,
            "runs": self.runs,
        })
    }
}

#[cfg(test)]
mod tests {
    use crossover::objective::Bound;

    use super::*;
    use crate::fixtures::races;

    #[test]
    fn a_spread_has_the_sample_deviation_and_the_standard_error_of_the_mean() {
        let spread = Spread::over(&[1.0, 2.0, 3.0, 6.0]).expect("four values");
        // Squared deviations 4 + 1 + 0 + 9 = 14, over n - 1 = 3; the standard error is that over n = 4.
        assert_eq!(spread.mean, 3.0);
        assert!((spread.deviation.expect("four") - (14.0_f64 / 3.0).sqrt()).abs() < 1e-15);
        assert!((spread.se.expect("four") - (14.0_f64 / 12.0).sqrt()).abs() < 1e-15);
        let single = Spread::over(&[2.0]).expect("one value");
        assert_eq!(
            (single.mean, single.deviation, single.se),
            (2.0, None, None)
        );
        assert_eq!(Spread::over(&[]), None);
    }

    #[test]
    fn a_mean_epoch_needs_every_seed() {
        let some = Crossings::of(&[Some(10.0), None, Some(30.0)]);
        assert_eq!((some.count, some.epoch), (2, None));
        let all = Crossings::of(&[Some(10.0), Some(30.0)]);
        assert_eq!(
            (all.count, all.epoch.map(|epoch| epoch.mean)),
            (2, Some(20.0))
        );
    }

    #[test]
    fn the_last_line_has_the_means_and_every_run() {
        let line = races(&[-0.04, -0.02, 0.03]).to_json();
        let number = |key: &str| line[key].as_f64().expect("a number");
        assert!((number("difference") + 0.01).abs() < 1e-12);
        let deviation = ((0.03_f64.powi(2) + 0.01_f64.powi(2) + 0.04_f64.powi(2)) / 2.0).sqrt();
        assert!((number("difference_spread") - deviation).abs() < 1e-12);
        assert!((number("difference_se") - deviation / 3.0_f64.sqrt()).abs() < 1e-12);
        assert!((number("paired_se") - 0.008).abs() < 1e-12);
        assert_eq!(line["seeds"], json!([1, 2, 3]));
        assert_eq!(line["envelope_crossovers"], 2);
        assert!(line["envelope_crossover_epoch"].is_null());
        assert_eq!(line["curve_crossover_epoch"], 23.0);
        assert_eq!(line["runs"][2]["seed"], 3);
        assert_eq!(line["runs"][2]["difference"], 0.03);
    }

    #[test]
    fn both_losses_of_dual_models_are_kept() {
        let trained = |seed: u64, nats: f64, left_to_right: Option<f64>| {
            let result = TrainResult {
                objective: Objective::Dual,
                nats,
                se: 0.01,
                bound: Bound::Elbo,
                dual_ar: left_to_right.map(|mean| Estimate { mean, se: 0.02 }),
                tokens: 1_000,
                best_step: 10,
                floor_nats: None,
                grids: None,
                characters_per_token: 1.0,
                bytes_per_token: 1.0,
                peak_memory_bytes: None,
                wall_seconds: 1.0,
            };
            (seed, Outcome::Train(result))
        };
        let line = |results| {
            let together = Together::of(results).expect("of one kind").expect("some");
            together.to_json()
        };
        let both = line(vec![trained(1, 2.0, Some(1.0)), trained(2, 2.2, Some(1.4))]);
        let number = |value: &Value| value.as_f64().expect("a number");
        assert!((number(&both["nats"]) - 2.1).abs() < 1e-12);
        assert!((number(&both["dual_ar"]["mean"]) - 1.2).abs() < 1e-12);
        // 0.4 apart: a deviation of 0.2 √2, over √2 seeds.
        assert!((number(&both["dual_ar"]["se"]) - 0.2).abs() < 1e-12);
        let one_alone = line(vec![trained(1, 2.0, Some(1.0)), trained(2, 2.2, None)]);
        assert!(one_alone["dual_ar"].is_null());
    }
}

//! Published laws fitted to a sweep's own runs.

use crossover::laws::critical;
use crossover::laws::fit::{
    self, Crossed, DataLaw, Fitted, Observation, Overfitted, PowerLaw, Repetition,
};
use crossover::objective::Objective;
use serde::Serialize;
use serde_json::Value;

use super::{RecordedRun, Sweep, Swept};
use crate::history::Curve;
use crate::together::Spread;

/// Losses of one run that a law is fitted to: evaluations at growing distances, as neighbours say nearly the same.
const FROM_EACH_RUN: usize = 12;
/// Seed of the draws behind the intervals: the same runs have the same intervals.
const SEED: u64 = 1;

/// Every law that the runs have enough of.
#[derive(Debug, Default, Serialize)]
pub struct Laws {
    /// The compute at which diffusion overtakes AR's best.
    pub critical: Option<PowerLaw>,
    /// The epoch at which masked diffusion begins to overfit.
    pub onset: Option<PowerLaw>,
    /// The loss by unique data and repetition: of each model, by each form.
    pub data: Vec<FittedData>,
    /// Where each point of races crossed, beside what the laws of critical compute say of it.
    pub passings: Vec<Passing>,
    /// What [`Laws::critical`] was fitted to.
    #[serde(skip)]
    pub crossed: Vec<Crossed>,
}

/// The envelope crossovers of a point, and where they were predicted.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Passing {
    /// The point.
    pub point: String,
    /// Unique tokens.
    pub unique: f64,
    /// Parameters of each model.
    pub parameters: f64,
    /// What training costs the diffusion model, FLOPs per token.
    pub flops_per_token: f64,
    /// Epochs of training.
    pub trained: f64,
    /// Of each finished seed, the epoch of its envelope crossover.
    pub epochs: Vec<Option<f64>>,
    /// The epoch at which the published law of critical compute has it.
    pub published: f64,
    /// The epoch at which the same law has it, fitted to this sweep.
    pub fitted: Option<Fitted>,
}

/// A law of one model's losses.
#[derive(Debug, Serialize)]
pub struct FittedData {
    /// Whose.
    pub objective: Objective,
    /// The law.
    pub law: DataLaw,
    /// What it was fitted to.
    #[serde(skip)]
    pub seen: Vec<Observation>,
}

impl Laws {
    /// Fits what there is enough of.
    pub fn fit(sweep: &Sweep) -> Self {
        let finished: Vec<(&RecordedRun, &Swept)> = sweep
            .each()
            .filter_map(|(record, run)| Some((record, run.filter(|run| run.outcome().is_some())?)))
            .collect();
        let crossed: Vec<Crossed> = finished
            .iter()
            .filter_map(|(_, swept)| crossed(swept))
            .collect();
        let overfitted: Vec<Overfitted> = finished
            .iter()
            .filter_map(|(_, swept)| overfitted(swept))
            .collect();
        let kin = most_budgets(&finished);
        let data = [
            (Objective::Autoregressive, Repetition::Muennighoff),
            (Objective::Masked, Repetition::Muennighoff),
            (Objective::Masked, Repetition::Quokka),
        ]
        .into_iter()
        .filter_map(|(objective, repetition)| {
            let seen: Vec<Observation> = kin
                .iter()
                .enumerate()
                .filter_map(|(run, swept)| {
                    let curve = swept.run.history.curve(objective)?;
                    Some(observations(curve, run, unique(swept)?, repetition))
                })
                .flatten()
                .collect();
            let law = fit::data(repetition, &seen, SEED)?;
            Some(FittedData {
                objective,
                law,
                seen,
            })
        });
        let critical = fit::critical(&crossed, SEED);
        Self {
            passings: passings(&finished, critical.as_ref()),
            critical,
            onset: fit::onset(&overfitted, SEED),
            data: data.collect(),
            crossed,
        }
    }

    /// Whether there is any.
    pub fn is_empty(&self) -> bool {
        !self.has_passed() && self.onset.is_none() && self.data.is_empty()
    }

    /// Whether any run crossed.
    pub fn has_passed(&self) -> bool {
        !self.crossed.is_empty()
    }
}

fn unique(swept: &Swept) -> Option<f64> {
    swept.run.config.corpus.unique.map(|tokens| tokens as f64)
}

/// Where a race's envelope crossed.
fn crossed(swept: &Swept) -> Option<Crossed> {
    let race = swept.run.race()?;
    let epoch = race.envelope_crossover_epoch?;
    let curve = swept.run.history.curve(race.second)?;
    let at = curve
        .evaluations()
        .min_by(|left, right| {
            let distance = |epoch_there: f64| (epoch_there - epoch).abs();
            distance(left.at.epoch).total_cmp(&distance(right.at.epoch))
        })?
        .at;
    Some(Crossed {
        unique: unique(swept)?,
        flops: at.flops,
    })
}

/// Every point of finished races, in order.
fn passings(finished: &[(&RecordedRun, &Swept)], law: Option<&PowerLaw>) -> Vec<Passing> {
    let mut found: Vec<Passing> = Vec::new();
    for (record, swept) in finished {
        let Some(race) = swept.run.race() else {
            continue;
        };
        let epoch = race.envelope_crossover_epoch;
        if let Some(known) = found.iter_mut().find(|known| known.point == record.point) {
            known.epochs.push(epoch);
            continue;
        }
        let last = swept
            .run
            .history
            .curve(race.second)
            .and_then(|curve| curve.steps.last());
        let (Some(unique), Some(last), Some(started)) =
            (unique(swept), last, swept.run.started.as_ref())
        else {
            continue;
        };
        let flops_per_token = last.flops / last.tokens as f64;
        let epoch_of = |flops: f64| flops / (flops_per_token * unique);
        found.push(Passing {
            point: record.point.clone(),
            unique,
            parameters: started.parameters as f64,
            flops_per_token,
            trained: last.epoch,
            epochs: vec![epoch],
            published: critical::epochs(unique, flops_per_token),
            fitted: law.map(|law| {
                let Fitted { value, low, high } = law.at(&[unique]);
                Fitted {
                    value: epoch_of(value),
                    low: epoch_of(low),
                    high: epoch_of(high),
                }
            }),
        });
    }
    found
}

impl Passing {
    /// Its crossovers' epoch over seeds, where every seed has one.
    pub fn epoch(&self) -> Option<Spread> {
        Spread::over_all(self.epochs.iter().copied())
    }
}

/// Where masked diffusion was at its best, if it surely rose after that: by more than two standard errors.
fn overfitted(swept: &Swept) -> Option<Overfitted> {
    let curve = swept.run.history.curve(Objective::Masked)?;
    let (best, last) = (curve.best()?, curve.last()?);
    let error = best.se.unwrap_or(0.0).hypot(last.se.unwrap_or(0.0));
    (last.nats - best.nats > 2.0 * error).then_some(())?;
    Some(Overfitted {
        unique: unique(swept)?,
        parameters: swept.run.started.as_ref()?.parameters as f64,
        epochs: best.at.epoch,
    })
}

/// The runs that differ in unique tokens (and length of training) alone and have most different budgets.
fn most_budgets<'a>(finished: &[(&RecordedRun, &'a Swept)]) -> Vec<&'a Swept> {
    let kin = |record: &RecordedRun| -> Vec<(String, Value)> {
        let others = record.settings.iter().filter(|(key, _)| {
            !matches!(
                key.as_str(),
                "corpus.unique" | "train.epochs" | "train.steps"
            )
        });
        let mut kin: Vec<(String, Value)> = others
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        // A point with a name differs in what only its file knows.
        kin.extend(
            record
                .label
                .iter()
                .map(|label| ("label".to_owned(), Value::from(label.clone()))),
        );
        kin
    };
    let groups = finished.iter().map(|(record, _)| kin(record));
    let group = |wanted: &Vec<(String, Value)>| -> Vec<&'a Swept> {
        finished
            .iter()
            .filter(|(record, _)| kin(record) == *wanted)
            .map(|(_, swept)| *swept)
            .collect()
    };
    let budgets = |group: &[&Swept]| {
        let mut budgets: Vec<Option<u64>> = group
            .iter()
            .map(|swept| swept.run.config.corpus.unique)
            .collect();
        budgets.sort_unstable();
        budgets.dedup();
        budgets.len()
    };
    let mut best: Vec<&'a Swept> = Vec::new();
    for wanted in groups {
        let group = group(&wanted);
        if budgets(&group) > budgets(&best) {
            best = group;
        }
    }
    best
}

/// Some of a curve's losses; of a law that never falls, the lowest so far.
fn observations(
    curve: &Curve,
    run: usize,
    unique: f64,
    repetition: Repetition,
) -> Vec<Observation> {
    let mut lowest = f64::MAX;
    let seen: Vec<Observation> = curve
        .evaluations()
        .map(|evaluation| {
            lowest = lowest.min(evaluation.nats);
            Observation {
                run,
                unique,
                epochs: evaluation.at.epoch,
                nats: match repetition {
                    Repetition::Muennighoff => lowest,
                    Repetition::Quokka => evaluation.nats,
                },
            }
        })
        .collect();
    let count = seen.len();
    if count <= FROM_EACH_RUN {
        return seen;
    }
    let apart = (count as f64).powf(1.0 / (FROM_EACH_RUN - 1) as f64);
    let mut chosen: Vec<usize> = (0..FROM_EACH_RUN)
        .map(|place| (apart.powi(place as i32).round() as usize).clamp(1, count) - 1)
        .collect();
    chosen.dedup();
    chosen.into_iter().map(|index| seen[index]).collect()
}

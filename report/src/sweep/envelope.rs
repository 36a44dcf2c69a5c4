//! The regularised envelope: diffusion against the best AR of any regularisation that was tried on the same data with a model
//! of the same shape. Of the three crossovers it is the strongest.

use std::collections::BTreeMap;

use crossover::evaluate::paired_difference;
use crossover::lab::crossover::{Evaluation, is_below};
use crossover::lab::{Estimate, Outcome};
use crossover::objective::{Likelihood, Objective};
use serde::Serialize;

use super::{RecordedRun, Sweep, Swept};
use crate::history::Curve;
use crate::numbers;
use crate::theme::racer;

/// A model that was best among several.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Best {
    /// Of which point.
    pub point: String,
    /// What it was trained for.
    pub objective: Objective,
    /// Its loss on the test part, nats per token.
    pub test: Estimate,
}

/// Diffusion against the best AR of one seed's runs that share data and shape.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Envelope {
    /// The seed they share.
    pub seed: u64,
    /// What tells them from other such runs of the sweep; empty where there are none.
    pub among: String,
    /// How many AR models were trained.
    pub tried: usize,
    /// The AR model with the lowest validation loss of all.
    pub ar: Best,
    /// The diffusion model with the lowest bound on validation.
    pub second: Best,
    /// Its bound minus AR's NLL on the test part.
    pub difference: f64,
    /// Standard error of that: as if both were independent, which windows that they share make it rather too large.
    pub difference_se: f64,
    /// First epoch of that diffusion model at which it was below AR's best by more than twice the paired standard error on
    /// validation windows, where the test part confirms it by more than twice the standard error above.
    pub epoch: Option<f64>,
    /// AR's lowest validation loss within what the diffusion model took to its best.
    pub fair: Fair,
}

/// AR's lowest validation loss of any regularisation within a budget, and the diffusion model's, nats per token.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Fair {
    /// The diffusion model's lowest.
    pub second: f64,
    /// AR's, however long it takes.
    pub any: f64,
    /// Within as many tokens.
    pub tokens: Option<f64>,
    /// Within as many FLOPs.
    pub flops: Option<f64>,
    /// Within as much training time.
    pub seconds: Option<f64>,
}

impl Envelope {
    /// What it says, in a sentence.
    pub fn sentence(&self) -> String {
        let look = racer(self.second.objective);
        let place = match self.among.is_empty() {
            true => format!("Seed {}", self.seed),
            false => format!("{}, seed {}", self.among, self.seed),
        };
        let size = numbers::measured(self.difference.abs(), Some(self.difference_se));
        let verdict = match (self.epoch, self.difference < 0.0) {
            (Some(epoch), _) => format!(
                "{} is below by {size} from epoch {} on",
                look.spoken,
                numbers::short(epoch)
            ),
            (None, true) => format!("{} ends {size} below, which is not sure", look.spoken),
            (None, false) => format!("AR stays ahead by {size}"),
        };
        format!(
            "{place}: {verdict}. AR's best of {} is `{}` with {}; {}'s is `{}` with {}.",
            self.tried,
            self.ar.point,
            numbers::measured(self.ar.test.mean, Some(self.ar.test.se)),
            look.spoken,
            self.second.point,
            numbers::measured(self.second.test.mean, Some(self.second.test.se)),
        )
    }
}

/// A model of a finished run.
struct Trained<'a> {
    record: &'a RecordedRun,
    swept: &'a Swept,
    objective: Objective,
    test: Estimate,
    /// Its lowest validation loss, window by window.
    best: &'a Evaluation,
}

impl<'a> Trained<'a> {
    fn of(record: &'a RecordedRun, swept: &'a Swept, objective: Objective) -> Option<Self> {
        let (mean, se) = match swept.outcome()? {
            Outcome::Race(race) if objective == Objective::Autoregressive => {
                (race.ar_best_nats, race.ar_best_se)
            }
            Outcome::Race(race) if race.second == objective => {
                (race.masked_best_nats, race.masked_best_se)
            }
            Outcome::Train(trained) if trained.objective == objective => (trained.nats, trained.se),
            _ => return None,
        };
        let likelihood = objective.headline();
        let best = of(&swept.evaluations, objective, likelihood)
            .min_by(|left, right| left.mean().total_cmp(&right.mean()))?;
        Some(Self {
            record,
            swept,
            objective,
            test: Estimate { mean, se },
            best,
        })
    }

    fn summary(&self) -> Best {
        Best {
            point: self.record.point.clone(),
            objective: self.objective,
            test: self.test,
        }
    }

    fn curve(&self) -> Option<&Curve> {
        self.swept.run.history.curve(self.objective)
    }
}

fn of(
    evaluations: &[Evaluation],
    objective: Objective,
    likelihood: Likelihood,
) -> impl Iterator<Item = &Evaluation> {
    evaluations.iter().filter(move |evaluation| {
        (evaluation.objective, evaluation.likelihood) == (objective, likelihood)
    })
}

/// What runs must share to be compared: the seed, the data, and the model but for its dropout.
fn kin(record: &RecordedRun, swept: &Swept) -> (u64, String) {
    let mut model = swept.run.config.model.clone();
    model.dropout = 0.0;
    (
        record.seed,
        format!("{:?} {model:?}", swept.run.config.corpus),
    )
}

/// The envelope of every group of runs that share data and shape and tried several AR models.
pub(super) fn envelopes(sweep: &Sweep) -> Vec<Envelope> {
    let mut groups: BTreeMap<(u64, String), Vec<(&RecordedRun, &Swept)>> = BTreeMap::new();
    let mut order = Vec::new();
    for (record, swept) in sweep.each() {
        let Some(swept) = swept.filter(|swept| swept.outcome().is_some()) else {
            continue;
        };
        let kin = kin(record, swept);
        if !order.contains(&kin) {
            order.push(kin.clone());
        }
        groups.entry(kin).or_default().push((record, swept));
    }
    order
        .iter()
        .filter_map(|kin| groups.get(kin))
        .filter_map(|group| envelope(sweep, group))
        .collect()
}

fn envelope(sweep: &Sweep, group: &[(&RecordedRun, &Swept)]) -> Option<Envelope> {
    let all = |is_ar: bool| {
        group.iter().flat_map(move |(record, swept)| {
            Objective::ALL
                .into_iter()
                .filter(move |objective| (*objective == Objective::Autoregressive) == is_ar)
                .filter_map(|objective| Trained::of(record, swept, objective))
        })
    };
    let lowest =
        |left: &Trained<'_>, right: &Trained<'_>| left.best.mean().total_cmp(&right.best.mean());
    let tried = all(true).count();
    if tried < 2 {
        return None;
    }
    let (ar, second) = (all(true).min_by(lowest)?, all(false).min_by(lowest)?);
    let difference = second.test.mean - ar.test.mean;
    let difference_se = second.test.se.hypot(ar.test.se);
    let confirmed = difference < -2.0 * difference_se;
    let likelihood = second.objective.headline();
    let first = of(&second.swept.evaluations, second.objective, likelihood).find(|evaluation| {
        evaluation.nats.len() == ar.best.nats.len()
            && paired_difference(&evaluation.nats, &ar.best.nats).is_ok_and(|gap| is_below(&gap))
    });
    let reached = second.curve()?.best()?.at;
    let within = |spent: &dyn Fn(&crossover::train::Metrics) -> f64| {
        all(true)
            .filter_map(|ar| {
                let curve = ar.curve()?;
                curve
                    .evaluations()
                    .filter(|evaluation| spent(evaluation.at) <= spent(reached) * (1.0 + 1e-9))
                    .map(|evaluation| evaluation.nats)
                    .min_by(f64::total_cmp)
            })
            .min_by(f64::total_cmp)
    };
    Some(Envelope {
        seed: ar.record.seed,
        among: among(sweep, group),
        tried,
        difference,
        difference_se,
        epoch: first
            .map(|evaluation| evaluation.epoch)
            .filter(|_| confirmed),
        fair: Fair {
            second: second.best.mean(),
            any: ar.best.mean(),
            tokens: within(&|at| at.tokens as f64),
            flops: within(&|at| at.flops),
            seconds: within(&|at| at.seconds),
        },
        ar: ar.summary(),
        second: second.summary(),
    })
}

/// The settings that all of a group share and other runs of the sweep don't.
fn among(sweep: &Sweep, group: &[(&RecordedRun, &Swept)]) -> String {
    let shared = sweep.record.axes.iter().filter_map(|key| {
        let value = group.first()?.0.settings.get(key)?;
        let in_all = group
            .iter()
            .all(|(record, _)| record.settings.get(key) == Some(value));
        let elsewhere = sweep
            .record
            .runs
            .iter()
            .any(|record| record.settings.get(key) != Some(value));
        (in_all && elsewhere)
            .then(|| format!("{}={}", super::view::short(key), super::view::shown(value)))
    });
    shared.collect::<Vec<_>>().join(", ")
}

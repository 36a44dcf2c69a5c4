//! A run's metrics, sorted into one curve for each likelihood of each model.

use crossover::objective::{Likelihood, Objective};
use crossover::train::{Metrics, TaskScore};

use crate::theme::{self, Racer};
use crate::together::Spread;

/// All curves of a run, in the order their models train.
#[derive(Debug, Clone, Default)]
pub struct History {
    curves: Vec<Curve>,
}

/// One model's steps, by one of its likelihoods.
#[derive(Debug, Clone)]
pub struct Curve {
    /// Whose.
    pub objective: Objective,
    /// By which likelihood.
    pub likelihood: Likelihood,
    /// Every step's line, steps rising.
    pub steps: Vec<Metrics>,
}

/// A validation loss, and the step it was measured after.
#[derive(Debug, Clone, Copy)]
pub struct Evaluation<'a> {
    /// The step.
    pub at: &'a Metrics,
    /// Nats per token.
    pub nats: f64,
    /// Its standard error, where known.
    pub se: Option<f64>,
}

impl History {
    /// Adds a step. A step that repeats an earlier one (a run resumed from a checkpoint) replaces what came after it.
    pub fn push(&mut self, metrics: Metrics) {
        let known = self.curves.iter().position(|curve| {
            (curve.objective, curve.likelihood) == (metrics.objective, metrics.likelihood)
        });
        let index = known.unwrap_or_else(|| {
            self.curves.push(Curve {
                objective: metrics.objective,
                likelihood: metrics.likelihood,
                steps: Vec::new(),
            });
            self.curves.len() - 1
        });
        let steps = &mut self.curves[index].steps;
        while steps.last().is_some_and(|last| last.step >= metrics.step) {
            steps.pop();
        }
        steps.push(metrics);
    }

    /// The mean of several runs: each model's validation loss at the steps where every run measured it, with its
    /// standard error over runs. It has no training loss.
    pub fn mean<'a>(runs: &[&'a Self]) -> Self {
        let Some((first, others)) = runs.split_first() else {
            return Self::default();
        };
        let mut mean = Self::default();
        for curve in &first.curves {
            for evaluation in curve.evaluations() {
                let same = |run: &&'a Self| -> Option<&'a Metrics> {
                    let curve = run.line(curve.objective, curve.likelihood)?;
                    let step = evaluation.at.step;
                    let mut all = curve.evaluations().map(|other| other.at);
                    all.find(|at| at.step == step)
                };
                let Some(measured) = std::iter::once(Some(evaluation.at))
                    .chain(others.iter().map(same))
                    .collect::<Option<Vec<&Metrics>>>()
                else {
                    continue;
                };
                let nats = Spread::over_all(measured.iter().map(|at| at.val_nats));
                let seconds = Spread::over_all(measured.iter().map(|at| Some(at.seconds)));
                mean.push(Metrics {
                    train_nats: None,
                    val_nats: nats.map(|nats| nats.mean),
                    val_se: nats.and_then(|nats| nats.se),
                    seconds: seconds.map_or(0.0, |seconds| seconds.mean),
                    tasks: mean_scores(&measured),
                    ..evaluation.at.clone()
                });
            }
        }
        mean
    }

    /// The curves.
    pub fn curves(&self) -> &[Curve] {
        &self.curves
    }

    /// A model's curve by one of its likelihoods.
    pub fn line(&self, objective: Objective, likelihood: Likelihood) -> Option<&Curve> {
        self.curves
            .iter()
            .find(|curve| (curve.objective, curve.likelihood) == (objective, likelihood))
    }

    /// A model's curve; a dual model's is that of its bound.
    pub fn curve(&self, objective: Objective) -> Option<&Curve> {
        self.line(objective, objective.headline())
    }

    /// AR's curve and its opponent's, when the run has both.
    pub fn race(&self) -> Option<(&Curve, &Curve)> {
        let second = self
            .curves
            .iter()
            .find(|curve| curve.objective != Objective::Autoregressive)?;
        Some((
            self.curve(Objective::Autoregressive)?,
            self.curve(second.objective)?,
        ))
    }

    /// Every step at which some model was evaluated, rising.
    pub fn evaluated_steps(&self) -> Vec<u64> {
        let mut steps: Vec<u64> = self
            .curves
            .iter()
            .flat_map(|curve| curve.evaluations().map(|evaluation| evaluation.at.step))
            .collect();
        steps.sort_unstable();
        steps.dedup();
        steps
    }

    /// The tasks that any model was put to, in the order they first come.
    pub fn tasks(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        let steps = self.curves.iter().flat_map(|curve| &curve.steps);
        for score in steps.flat_map(|at| &at.tasks) {
            if !names.contains(&score.task.as_str()) {
                names.push(&score.task);
            }
        }
        names
    }

    /// The step that every model has done.
    pub fn step(&self) -> u64 {
        self.curves
            .iter()
            .map(|curve| curve.steps.last().map_or(0, |last| last.step))
            .min()
            .unwrap_or(0)
    }

    /// The epoch of a step.
    pub fn epoch(&self, step: u64) -> Option<f64> {
        self.curves.iter().find_map(|curve| {
            let index = curve.steps.partition_point(|line| line.step < step);
            let line = curve.steps.get(index)?;
            (line.step == step).then_some(line.epoch)
        })
    }
}

/// The mean over runs of how they did on each task that all were put to, with the standard error over runs.
fn mean_scores(measured: &[&Metrics]) -> Vec<TaskScore> {
    let of_all = |name: &str| -> Option<TaskScore> {
        let scores = measured
            .iter()
            .map(|at| at.tasks.iter().find(|score| score.task == name))
            .collect::<Option<Vec<&TaskScore>>>()?;
        let over = |of: fn(&TaskScore) -> Option<f64>| {
            Spread::over_all(scores.iter().map(|score| of(score)))
        };
        let (acc, acc_norm) = (over(|score| Some(score.acc))?, over(|score| score.acc_norm));
        let own = scores.first()?;
        Some(TaskScore {
            task: name.to_owned(),
            questions: own.questions,
            acc: acc.mean,
            acc_se: acc.se.unwrap_or(own.acc_se),
            acc_norm: acc_norm.map(|share| share.mean),
            acc_norm_se: acc_norm.and_then(|share| share.se.or(own.acc_norm_se)),
            chance: over(|score| score.chance).map(|share| share.mean),
            nats: over(|score| Some(score.nats))?.mean,
        })
    };
    let first = measured.first();
    let names = first.into_iter().flat_map(|at| &at.tasks);
    names.filter_map(|score| of_all(&score.task)).collect()
}

impl Curve {
    /// How it looks.
    pub fn look(&self) -> &'static Racer {
        theme::line(self.objective, self.likelihood)
    }

    /// What its losses are.
    pub fn kind(&self) -> &'static str {
        self.steps.last().map_or("", |last| theme::kind(last.bound))
    }

    /// The steps after which validation was measured.
    pub fn evaluations(&self) -> impl Iterator<Item = Evaluation<'_>> {
        self.steps.iter().filter_map(|at| {
            Some(Evaluation {
                at,
                nats: at.val_nats?,
                se: at.val_se,
            })
        })
    }

    /// How it did on a task, with the steps after which it was put to it.
    pub fn scores<'a>(
        &'a self,
        task: &'a str,
    ) -> impl Iterator<Item = (&'a Metrics, &'a TaskScore)> {
        self.steps.iter().filter_map(move |at| {
            let score = at.tasks.iter().find(|score| score.task == task)?;
            Some((at, score))
        })
    }

    /// The evaluation with the lowest loss: the first, where several tie.
    pub fn best(&self) -> Option<Evaluation<'_>> {
        self.evaluations()
            .min_by(|left, right| left.nats.total_cmp(&right.nats))
    }

    /// The newest evaluation.
    pub fn last(&self) -> Option<Evaluation<'_>> {
        self.evaluations().last()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{answered, dual_race, line, race};

    #[test]
    fn a_dual_model_has_two_curves_and_races_with_its_bound() {
        let history = dual_race();
        assert_eq!(history.curves().len(), 3);
        let (ar, rival) = history.race().expect("both models");
        assert_eq!(ar.objective, Objective::Autoregressive);
        assert_eq!(
            (rival.objective, rival.likelihood),
            (Objective::Dual, Likelihood::Masked)
        );
        assert_eq!(rival.best().map(|best| best.nats), Some(0.9));
        assert_eq!(history.step(), 75);
    }

    #[test]
    fn a_mean_is_over_the_steps_that_every_run_measured() {
        let runs = [
            race(&[1.0, 0.8], &[1.2]),
            race(&[0.9, 0.6, 0.5], &[1.0, 0.9]),
        ];
        let mean = History::mean(&runs.iter().collect::<Vec<_>>());
        let ar = mean.curve(Objective::Autoregressive).expect("raced");
        let losses: Vec<_> = ar
            .evaluations()
            .map(|evaluation| (evaluation.at.step, evaluation.nats))
            .collect();
        assert_eq!(losses, [(25, 0.95), (50, 0.7)]);
        let se = ar.last().and_then(|last| last.se).expect("two runs");
        // 0.8 and 0.6 deviate by 0.1 each: √(0.02 / 1) over √2.
        assert!((se - 0.1).abs() < 1e-12);
        assert_eq!(
            mean.curve(Objective::Masked).map(|curve| curve.steps.len()),
            Some(1)
        );
    }

    #[test]
    fn answers_are_averaged_where_every_run_was_asked() {
        let runs = [0.4, 0.6].map(|acc| {
            let mut history = answered(&[(25, acc, 0.1), (50, acc + 0.1, 0.1)]);
            history.push(line(Objective::Masked, 75, Some(0.5)));
            history
        });
        let mut mean = History::mean(&runs.iter().collect::<Vec<_>>());
        assert_eq!(mean.tasks(), ["tales"]);
        let masked = mean.curve(Objective::Masked).expect("was asked");
        let scores: Vec<(u64, f64, f64)> = masked
            .scores("tales")
            .map(|(at, score)| (at.step, score.acc, score.acc_se))
            .collect();
        // 0.4 and 0.6: the deviation is 0.1 √2, over √2 runs.
        for ((step, acc, se), expected) in scores.iter().zip([(25, 0.5), (50, 0.6)]) {
            assert_eq!(*step, expected.0);
            assert!((acc - expected.1).abs() < 1e-12 && (se - 0.1).abs() < 1e-12);
        }
        assert_eq!(scores.len(), 2);
        assert_eq!(masked.evaluations().count(), 3);
        // A run that was asked nothing leaves nothing to average.
        let unasked = race(&[], &[0.9, 0.8]);
        mean = History::mean(&[&runs[0], &unasked]);
        assert!(mean.tasks().is_empty());
    }

    #[test]
    fn a_resumed_run_replaces_the_steps_it_repeats() {
        let mut history = race(&[1.0, 0.9, 0.8], &[]);
        history.push(line(Objective::Autoregressive, 50, Some(0.7)));
        let curve = history.curve(Objective::Autoregressive).expect("pushed");
        let losses: Vec<f64> = curve
            .evaluations()
            .map(|evaluation| evaluation.nats)
            .collect();
        assert_eq!(losses, [1.0, 0.7]);
        assert_eq!(history.epoch(50), Some(2.0));
        assert_eq!(history.epoch(75), None);
    }
}

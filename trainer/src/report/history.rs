//! A run's metrics, sorted into one curve for each model.

use crossover::objective::Objective;
use crossover::train::Metrics;

/// All curves of a run, in the order their models train.
#[derive(Debug, Clone, Default)]
pub struct History {
    curves: Vec<Curve>,
}

/// One model's steps.
#[derive(Debug, Clone)]
pub struct Curve {
    /// Whose.
    pub objective: Objective,
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
        let known = self
            .curves
            .iter()
            .position(|curve| curve.objective == metrics.objective);
        let index = known.unwrap_or_else(|| {
            self.curves.push(Curve {
                objective: metrics.objective,
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

    /// The curves.
    pub fn curves(&self) -> &[Curve] {
        &self.curves
    }

    /// One model's curve.
    pub fn curve(&self, objective: Objective) -> Option<&Curve> {
        self.curves
            .iter()
            .find(|curve| curve.objective == objective)
    }

    /// The exact curve and the bounded one, when the run has both.
    pub fn race(&self) -> Option<(&Curve, &Curve)> {
        Some((
            self.curve(Objective::Autoregressive)?,
            self.curve(Objective::Masked)?,
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

impl Curve {
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
pub(crate) mod tests {
    use crossover::objective::Bound;

    use super::*;

    /// A step's line with made-up cost: 1,000 tokens, 1e9 FLOPs and half a second a step, 25 steps an epoch.
    pub fn line(objective: Objective, step: u64, val: Option<f64>) -> Metrics {
        Metrics {
            objective,
            likelihood: objective.likelihoods()[0],
            step,
            epoch: step as f64 / 25.0,
            tokens: step * 1_000,
            flops: step as f64 * 1e9,
            seconds: step as f64 * 0.5,
            train_nats: Some(1.0),
            val_nats: val,
            val_se: val.map(|_| 0.01),
            bound: match objective {
                Objective::Autoregressive => Bound::Exact,
                _ => Bound::Elbo,
            },
            lr: 1e-3,
            grad_norm: Some(1.0),
            tokens_per_second: 50_000.0,
        }
    }

    /// A race evaluated every 25 steps with these losses.
    pub fn race(ar: &[f64], masked: &[f64]) -> History {
        let mut history = History::default();
        for (objective, losses) in [(Objective::Autoregressive, ar), (Objective::Masked, masked)] {
            for (index, nats) in losses.iter().enumerate() {
                history.push(line(objective, 25 * (index as u64 + 1), Some(*nats)));
            }
        }
        history
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

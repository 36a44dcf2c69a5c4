//! One curve: what was measured of one model, by one likelihood.

use crossover::objective::{Bound, Likelihood, Objective};
use crossover::train::Metrics;

/// One measurement.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// Optimizer steps done.
    pub step: u64,
    /// Passes over the unique data.
    pub epoch: f64,
    /// Tokens trained on.
    pub tokens: f64,
    /// Training FLOPs spent.
    pub flops: f64,
    /// Seconds this model has trained.
    pub seconds: f64,
    /// Loss, nats per token; what was not measured is NaN here and a gap in the curve.
    pub nats: f64,
    /// Its standard error, where there is one.
    pub se: f64,
}

/// What was measured of one model, by one likelihood.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// The model.
    pub objective: Objective,
    /// How it is measured.
    pub likelihood: Likelihood,
    /// What the figures are.
    pub bound: Bound,
    /// Training loss, thinned once there are many.
    pub train: Vec<Point>,
    /// Validation loss, every evaluation.
    pub validation: Vec<Point>,
    /// Training points that were seen for each that is kept.
    stride: u64,
    seen: u64,
    /// The newest line.
    pub last: Option<Metrics>,
}

/// Training points that are kept at most.
const MOST: usize = 16_384;

impl Series {
    /// An empty curve.
    pub fn new(objective: Objective, likelihood: Likelihood, bound: Bound) -> Self {
        Self {
            objective,
            likelihood,
            bound,
            train: Vec::new(),
            validation: Vec::new(),
            stride: 1,
            seen: 0,
            last: None,
        }
    }

    /// Takes note of a line. Lines come in order; one that was seen already changes nothing.
    pub fn push(&mut self, metrics: &Metrics) {
        if self
            .last
            .as_ref()
            .is_some_and(|last| metrics.step <= last.step)
        {
            return;
        }
        self.bound = metrics.bound;
        let point = |nats: Option<f64>, se: Option<f64>| Point {
            step: metrics.step,
            epoch: metrics.epoch,
            tokens: metrics.tokens as f64,
            flops: metrics.flops,
            seconds: metrics.seconds,
            nats: nats.unwrap_or(f64::NAN),
            se: se.unwrap_or(f64::NAN),
        };
        if self.seen.is_multiple_of(self.stride) {
            self.train.push(point(metrics.train_nats, None));
        }
        self.seen += 1;
        if self.train.len() >= MOST {
            let mut index = 0;
            self.train.retain(|_| {
                index += 1;
                index % 2 == 1
            });
            self.stride *= 2;
        }
        if metrics.val_nats.is_some() {
            self.validation
                .push(point(metrics.val_nats, metrics.val_se));
        }
        self.last = Some(metrics.clone());
    }

    /// Puts what was measured earlier before it.
    pub fn precede(&mut self, earlier: Self) {
        let newest = self.last.as_ref().map_or(u64::MAX, |last| last.step);
        put_before(&mut self.train, earlier.train, newest);
        put_before(&mut self.validation, earlier.validation, newest);
        self.stride = self.stride.max(earlier.stride);
        self.seen += earlier.seen;
        self.last = self.last.take().or(earlier.last);
    }

    /// Forgets what came after a step: a resumed run does it again.
    pub fn cut_back(&mut self, step: u64) {
        self.train.retain(|point| point.step <= step);
        self.validation.retain(|point| point.step <= step);
        if self.last.as_ref().is_some_and(|last| last.step > step) {
            // What is left of the newest line is enough to go on from.
            let newest = self.train.last().map_or(0, |point| point.step);
            self.last = self.last.take().map(|last| Metrics {
                step: newest.max(step),
                ..last
            });
        }
    }

    /// The lowest validation loss so far.
    pub fn best(&self) -> Option<&Point> {
        self.validation
            .iter()
            .filter(|point| point.nats.is_finite())
            .min_by(|a, b| a.nats.total_cmp(&b.nats))
    }

    /// The newest validation loss.
    pub fn newest(&self) -> Option<&Point> {
        self.validation.last()
    }

    /// The name in legends.
    pub fn name(&self) -> &'static str {
        match (self.objective, self.likelihood) {
            (Objective::Autoregressive, _) => "AR",
            (Objective::Masked, _) => "Diffusion",
            (Objective::Block, _) => "Block diffusion",
            (Objective::Dual, Likelihood::Autoregressive) => "Dual, left to right",
            (Objective::Dual, _) => "Dual",
        }
    }

    /// What its figures are: exact, or a bound.
    pub fn kind(&self) -> &'static str {
        match self.bound {
            Bound::Exact => "exact",
            Bound::Elbo => "bound",
        }
    }
}

/// Puts those of the earlier points in front that come before the first of these. What is newer than the newest line is
/// still to be told.
fn put_before(points: &mut Vec<Point>, earlier: Vec<Point>, newest: u64) {
    let first = points.first().map_or(u64::MAX, |point| point.step);
    let is_missing = |point: &Point| point.step < first && point.step <= newest;
    points.splice(0..0, earlier.into_iter().filter(is_missing));
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A line of a model that trains on 100 tokens a step and passes over its data in ten steps.
    pub fn line(objective: Objective, step: u64, val: Option<(f64, f64)>) -> Metrics {
        Metrics {
            objective,
            likelihood: objective.headline(),
            step,
            epoch: step as f64 / 10.0,
            tokens: step * 100,
            flops: step as f64 * 1e9,
            seconds: step as f64
                * if objective == Objective::Autoregressive {
                    0.5
                } else {
                    0.6
                },
            train_nats: Some(2.0 - step as f64 / 1_000.0),
            val_nats: val.map(|(nats, _)| nats),
            val_se: val.map(|(_, se)| se),
            bound: match objective {
                Objective::Autoregressive => Bound::Exact,
                _ => Bound::Elbo,
            },
            lr: 1e-3,
            grad_norm: Some(1.0),
            tokens_per_second: 200.0,
            loss_scale: None,
            skipped_steps: None,
            tasks: Vec::new(),
            communication_seconds: None,
        }
    }

    fn series() -> Series {
        Series::new(
            Objective::Autoregressive,
            Likelihood::Autoregressive,
            Bound::Exact,
        )
    }

    #[test]
    fn steps_that_are_done_again_appear_once() {
        let mut series = series();
        for step in 1..=30 {
            let val = (step % 10 == 0).then_some((1.0, 0.1));
            series.push(&line(Objective::Autoregressive, step, val));
        }
        // The same line again, as a lab that restarted may send it.
        series.push(&line(Objective::Autoregressive, 30, Some((9.0, 9.0))));
        series.cut_back(15);
        assert_eq!(series.validation.len(), 1);
        for step in 16..=30 {
            let val = (step % 10 == 0).then_some((0.9, 0.1));
            series.push(&line(Objective::Autoregressive, step, val));
        }
        let steps: Vec<u64> = series.train.iter().map(|point| point.step).collect();
        assert_eq!(steps, (1..=30).collect::<Vec<_>>());
        let evaluated: Vec<f64> = series.validation.iter().map(|point| point.nats).collect();
        assert_eq!(evaluated, [1.0, 0.9, 0.9]);
        assert_eq!(series.best().map(|point| point.step), Some(20));
    }

    #[test]
    fn a_long_run_is_thinned_and_keeps_every_evaluation() {
        let mut series = series();
        for step in 1..=100_000 {
            let val = (step % 1_000 == 0).then_some((1.0, 0.1));
            series.push(&line(Objective::Autoregressive, step, val));
        }
        assert!(series.train.len() <= MOST);
        assert_eq!(series.validation.len(), 100);
        assert!(series.train.last().is_some_and(|point| point.step > 99_900));
    }
}

//! The run on the table.

use crossover::lab::{Event, Outcome, SampleText, Started};
use crossover::objective::{Likelihood, Objective};
use crossover::train::Metrics;

use super::series::Series;
use super::units::Scale;
use super::verdict::{Crossovers, Verdict};

/// A run, as far as it is known.
#[derive(Debug, Clone)]
pub struct Run {
    /// What is fixed for the whole run.
    pub started: Started,
    /// Its curves, AR first.
    pub series: Vec<Series>,
    /// What the models wrote, oldest first.
    pub samples: Vec<SampleText>,
    /// Where it stands.
    pub phase: Phase,
    /// Steps that every model has done.
    pub step: u64,
    /// Factors between units.
    pub scale: Scale,
}

/// Where a run stands.
#[derive(Debug, Clone, PartialEq)]
pub enum Phase {
    /// It trains.
    Training,
    /// It is held.
    Paused,
    /// It does something that is no training.
    Working(String),
    /// It is over, with a result.
    Finished(Box<Outcome>),
    /// It ended early and its state is saved.
    Stopped,
    /// It could not go on.
    Failed {
        /// What went wrong.
        message: String,
        /// What to do about it.
        hint: Option<String>,
    },
}

/// Texts that are kept of a run.
const MOST_SAMPLES: usize = 64;

impl Run {
    /// A run that is about to begin.
    pub fn new(started: Started) -> Self {
        Self {
            scale: Scale::of_vocabulary(&started.vocab),
            step: started.step,
            started,
            series: Vec::new(),
            samples: Vec::new(),
            phase: Phase::Training,
        }
    }

    /// The same run goes on from a step, perhaps an earlier one than was seen.
    pub fn resume(&mut self, started: &Started) {
        for series in &mut self.series {
            series.cut_back(started.step);
        }
        self.samples.retain(|sample| sample.step <= started.step);
        self.step = started.step;
        self.started = started.clone();
        self.phase = Phase::Training;
    }

    /// Where its files are.
    pub fn folder(&self) -> &str {
        &self.started.folder
    }

    /// Takes note of an event.
    pub fn fold(&mut self, event: &Event) {
        match event {
            Event::Metrics(metrics) => self.measured(metrics),
            Event::Sample(sample) => {
                self.samples.push(sample.clone());
                if self.samples.len() > MOST_SAMPLES {
                    self.samples.remove(0);
                }
            }
            Event::Progress { doing } if self.is_under_way() => {
                self.phase = Phase::Working(doing.clone());
            }
            Event::Paused { .. } => self.phase = Phase::Paused,
            Event::Continued => self.phase = Phase::Training,
            Event::Result(outcome) => {
                self.scale = Scale::of_outcome(outcome);
                self.phase = Phase::Finished(outcome.clone());
            }
            Event::Stopped { .. } => self.phase = Phase::Stopped,
            Event::Failed { message, hint, .. } if self.is_under_way() => {
                self.phase = Phase::Failed {
                    message: message.clone(),
                    hint: hint.clone(),
                };
            }
            _ => {}
        }
    }

    /// A line of the record.
    pub fn measured(&mut self, metrics: &Metrics) {
        let (objective, likelihood) = (metrics.objective, metrics.likelihood);
        let known =
            |series: &Series| series.objective == objective && series.likelihood == likelihood;
        let index = match self.series.iter().position(known) {
            Some(index) => index,
            None => {
                self.series
                    .push(Series::new(objective, likelihood, metrics.bound));
                self.series.len() - 1
            }
        };
        self.series[index].push(metrics);
        if matches!(self.phase, Phase::Working(_)) {
            self.phase = Phase::Training;
        }
        let newest = |objective: &Objective| {
            self.series
                .iter()
                .filter(|series| series.objective == *objective)
                .filter_map(|series| series.last.as_ref())
                .map(|last| last.step)
                .max()
                .unwrap_or(0)
        };
        self.step = self
            .started
            .objectives
            .iter()
            .map(newest)
            .min()
            .unwrap_or(0);
    }

    /// Whether it is under way, held or not.
    pub fn is_under_way(&self) -> bool {
        matches!(
            self.phase,
            Phase::Training | Phase::Paused | Phase::Working(_)
        )
    }

    /// The share of its steps that is done.
    pub fn share(&self) -> f32 {
        match &self.phase {
            Phase::Finished(_) => 1.0,
            _ => (self.step as f64 / self.started.steps.max(1) as f64) as f32,
        }
    }

    /// Passes over the unique data that every model has done.
    pub fn epoch(&self) -> f64 {
        let config = &self.started.config.train;
        config.epochs * f64::from(self.share())
    }

    /// AR's curve.
    pub fn ar(&self) -> Option<&Series> {
        self.series
            .iter()
            .find(|series| series.objective == Objective::Autoregressive)
    }

    /// The second racer's curve.
    pub fn second(&self) -> Option<&Series> {
        self.series.iter().rev().find(|series| {
            series.objective != Objective::Autoregressive
                && (series.objective != Objective::Dual || series.likelihood == Likelihood::Masked)
        })
    }

    /// The result, once there is one.
    pub fn outcome(&self) -> Option<&Outcome> {
        match &self.phase {
            Phase::Finished(outcome) => Some(outcome),
            _ => None,
        }
    }

    /// Who is ahead.
    pub fn verdict(&self) -> Verdict {
        match self.outcome() {
            Some(Outcome::Race(result)) => Verdict::measured(result),
            _ => Verdict::live(self.ar(), self.second()),
        }
    }

    /// Where the curves crossed.
    pub fn crossovers(&self) -> Crossovers {
        match self.outcome() {
            Some(Outcome::Race(result)) => Crossovers {
                curve: result.curve_crossover_epoch,
                envelope: result.envelope_crossover_epoch,
            },
            _ => Crossovers::live(self.ar(), self.second()),
        }
    }

    /// The newest text of a model.
    pub fn sample(&self, objective: Objective) -> Option<&SampleText> {
        self.samples
            .iter()
            .rev()
            .find(|sample| sample.objective == objective)
    }
}

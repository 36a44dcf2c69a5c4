//! What a run's events add up to, without a clock or a screen.

use crossover::lab::{Event, ExpertLoad, Outcome, SampleText, Started};
use crossover::objective::{Likelihood, Objective};
use crossover_report::history::History;

/// Weight of the newest step in a smoothed speed.
const NEWEST: f64 = 0.1;

/// Which of several runs that differ in their seed a view shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Turn {
    /// Its seed.
    pub seed: u64,
    /// The how manieth it is, from 1.
    pub number: usize,
    /// How many there are.
    pub of: usize,
}

/// Everything the views show.
#[derive(Debug, Default)]
pub struct State {
    turn: Option<Turn>,
    started: Option<Started>,
    history: History,
    /// The newest text of each model.
    samples: Vec<SampleText>,
    /// How busy each mixture's experts were last.
    experts: Vec<ExpertLoad>,
    /// Smoothed tokens per second of each model.
    speeds: Vec<(Objective, f64)>,
    doing: Option<String>,
    outcome: Option<Outcome>,
    /// Seconds at which training began and at which the newest event came.
    began: f64,
    now: f64,
}

impl State {
    /// The state of a run before its first event.
    pub fn new(turn: Option<Turn>) -> Self {
        Self {
            turn,
            ..Self::default()
        }
    }

    /// Which of several runs this is.
    pub fn turn(&self) -> Option<Turn> {
        self.turn
    }

    /// Takes an event that came `elapsed` seconds after the view was made.
    pub fn apply(&mut self, event: &Event, elapsed: f64) {
        self.now = elapsed;
        match event {
            Event::Started(started) => {
                self.began = elapsed;
                self.started = Some((**started).clone());
            }
            Event::Metrics(metrics) => {
                self.doing = None;
                self.history.push(metrics.clone());
                let newest = metrics.tokens_per_second;
                let known = self
                    .speeds
                    .iter_mut()
                    .find(|(objective, _)| *objective == metrics.objective);
                match known {
                    Some((_, speed)) => *speed += NEWEST * (newest - *speed),
                    None => self.speeds.push((metrics.objective, newest)),
                }
            }
            Event::Sample(sample) => {
                self.samples
                    .retain(|known| known.objective != sample.objective);
                self.samples.push(sample.clone());
            }
            Event::Experts(load) => {
                let of = |load: &ExpertLoad| (load.objective, load.likelihood);
                self.experts.retain(|known| of(known) != of(load));
                self.experts.push(load.clone());
            }
            Event::Progress { doing } => self.doing = Some(doing.clone()),
            Event::Result(outcome) => {
                self.doing = None;
                self.outcome = Some((**outcome).clone());
            }
            _ => {}
        }
    }

    /// What is fixed for the whole run.
    pub fn started(&self) -> Option<&Started> {
        self.started.as_ref()
    }

    /// The curves so far.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// The newest text of a model.
    pub fn sample(&self, objective: Objective) -> Option<&SampleText> {
        self.samples
            .iter()
            .find(|sample| sample.objective == objective)
    }

    /// How busy a mixture's experts were last, as it reads for a likelihood.
    pub fn experts(&self, objective: Objective, likelihood: Likelihood) -> Option<&ExpertLoad> {
        let of = (objective, likelihood);
        self.experts
            .iter()
            .find(|load| (load.objective, load.likelihood) == of)
    }

    /// Smoothed tokens per second of each model.
    pub fn speeds(&self) -> &[(Objective, f64)] {
        &self.speeds
    }

    /// Work other than training that is under way.
    pub fn doing(&self) -> Option<&str> {
        self.doing.as_deref()
    }

    /// The result, at the end.
    pub fn outcome(&self) -> Option<&Outcome> {
        self.outcome.as_ref()
    }

    /// The models, in the order they train.
    pub fn objectives(&self) -> &[Objective] {
        self.started
            .as_ref()
            .map_or(&[], |started| &started.objectives)
    }

    /// What is drawn of the models: each of their likelihoods.
    pub fn lines(&self) -> impl Iterator<Item = (Objective, Likelihood)> + '_ {
        self.objectives().iter().flat_map(|objective| {
            let likelihoods = objective.likelihoods().iter();
            likelihoods.map(|likelihood| (*objective, *likelihood))
        })
    }

    /// Steps that every model has done.
    pub fn step(&self) -> u64 {
        let before = self.started.as_ref().map_or(0, |started| started.step);
        let waiting = self.history.curves().len() < self.lines().count();
        if waiting {
            before
        } else {
            self.history.step().max(before)
        }
    }

    /// Steps of the whole run.
    pub fn steps(&self) -> u64 {
        self.started.as_ref().map_or(0, |started| started.steps)
    }

    /// Passes over the unique data at the newest step.
    pub fn epoch(&self) -> f64 {
        self.history
            .curves()
            .iter()
            .filter_map(|curve| Some(curve.steps.last()?.epoch))
            .fold(0.0, f64::max)
    }

    /// Seconds of training and evaluation still to come, at the pace of this session; the runs after this one included.
    pub fn time_left(&self) -> Option<f64> {
        let started = self.started.as_ref()?;
        let done = self
            .step()
            .checked_sub(started.step)
            .filter(|done| *done > 0)?;
        let after = self
            .turn
            .map_or(0, |turn| turn.of.saturating_sub(turn.number));
        let left = started.steps.saturating_sub(self.step()) + started.steps * after as u64;
        Some((self.now - self.began) / done as f64 * left as f64)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use crossover::train::RunConfig;

    use super::*;
    use crossover_report::fixtures::{line, race};

    /// The start of a race of 100 steps.
    pub fn started(step: u64) -> Event {
        started_with(RunConfig::default(), step)
    }

    /// The start of another run of 100 steps.
    pub fn started_with(config: RunConfig, step: u64) -> Event {
        Event::Started(Box::new(Started {
            objectives: config.objectives.clone(),
            config,
            folder: "runs/test".to_owned(),
            step,
            done: vec![step; 2],
            steps: 100,
            tokens_per_epoch: 25_000,
            parameters: 452_000,
            initial_hash: "abc".to_owned(),
            floor_nats: Some(0.4796),
            vocab: Vec::new(),
            grid_side: Some(2),
            device: "cpu (no GPU found)".to_owned(),
        }))
    }

    /// A race after 75 of its 100 steps and 30 seconds.
    pub fn watched() -> State {
        let mut state = State::default();
        state.apply(&started(0), 0.0);
        let history = race(&[0.9, 0.6, 0.8], &[0.95, 0.8, 0.742]);
        for metrics in history.curves().iter().flat_map(|curve| &curve.steps) {
            state.apply(&Event::Metrics(metrics.clone()), 30.0);
        }
        for (objective, text, valid) in [
            (Objective::Autoregressive, "1221", true),
            (Objective::Masked, "12\x1b2", false),
        ] {
            let sample = SampleText {
                objective,
                step: 75,
                text: text.to_owned(),
                valid: Some(valid),
            };
            state.apply(&Event::Sample(sample), 30.0);
        }
        state
    }

    #[test]
    fn time_left_counts_this_session_and_the_seeds_to_come() {
        let left = |turn| {
            let mut state = State::new(turn);
            state.apply(&started(50), 10.0);
            assert_eq!(state.time_left(), None);
            for objective in [Objective::Autoregressive, Objective::Masked] {
                state.apply(&Event::Metrics(line(objective, 60, None)), 30.0);
            }
            assert_eq!(state.step(), 60);
            state.time_left()
        };
        assert_eq!(left(None), Some(80.0));
        // Two whole runs of 100 steps are still to come.
        let turn = Turn {
            seed: 7,
            number: 1,
            of: 3,
        };
        assert_eq!(left(Some(turn)), Some(480.0));
    }
}

//! The run on the table.

use crossover::lab::{Event, Outcome, SampleText, Started};
use crossover::objective::{Likelihood, Objective};
use crossover::train::Metrics;

use super::series::Series;
use super::units::Scale;
use super::verdict::{Crossovers, Verdict};
use crate::numbers;

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
    /// Whether its record may hold steps from before this app heard of it.
    pub is_partial: bool,
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
            is_partial: started.step > 0,
            started,
            series: Vec::new(),
            samples: Vec::new(),
            phase: Phase::Training,
        }
    }

    /// The same run goes on, perhaps from an earlier step than was seen. What is forgotten of a model is what that model does
    /// again: one may be ahead of the other.
    pub fn resume(&mut self, started: &Started) {
        for series in &mut self.series {
            series.cut_back(started.step_of(series.objective));
        }
        self.samples
            .retain(|sample| sample.step <= started.step_of(sample.objective));
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
                self.phase = self.diverged().unwrap_or_else(|| Phase::Failed {
                    message: message.clone(),
                    hint: hint.clone(),
                });
            }
            _ => {}
        }
    }

    /// Reads the record: the content of `metrics.jsonl`. A last line may be half a line.
    pub fn read(&mut self, record: &[u8]) {
        for line in String::from_utf8_lossy(record).lines() {
            if let Ok(metrics) = serde_json::from_str(line) {
                self.measured(&metrics);
            }
        }
    }

    /// Takes from the record what was measured before this app heard of the run.
    pub fn remember(&mut self, record: &[u8]) {
        let mut earlier = Self::new(self.started.clone());
        earlier.read(record);
        for series in earlier.series {
            match self.place_of(series.objective, series.likelihood) {
                Some(index) => self.series[index].precede(series),
                None => self.add(series),
            }
        }
        self.is_partial = false;
        self.count_steps();
    }

    /// Takes from the record of events (`events.jsonl`) what the models wrote before.
    pub fn remember_samples(&mut self, record: &[u8]) {
        let mut earlier: Vec<SampleText> = Vec::new();
        for line in String::from_utf8_lossy(record).lines() {
            match serde_json::from_str(line) {
                Ok(Event::Sample(sample)) => earlier.push(sample),
                // What follows was written anew.
                Ok(Event::Started(started)) => {
                    earlier.retain(|sample| sample.step <= started.step_of(sample.objective));
                }
                _ => {}
            }
        }
        let heard = |sample: &SampleText| {
            self.samples
                .iter()
                .any(|own| (own.objective, own.step) == (sample.objective, sample.step))
        };
        earlier.retain(|sample| !heard(sample));
        earlier.append(&mut self.samples);
        let before = earlier.len().saturating_sub(MOST_SAMPLES);
        self.samples = earlier.split_off(before);
    }

    /// A line of the record.
    pub fn measured(&mut self, metrics: &Metrics) {
        let (objective, likelihood) = (metrics.objective, metrics.likelihood);
        match self.place_of(objective, likelihood) {
            Some(index) => self.series[index].push(metrics),
            None => {
                let mut series = Series::new(objective, likelihood, metrics.bound);
                series.push(metrics);
                self.add(series);
            }
        }
        if matches!(self.phase, Phase::Working(_)) {
            self.phase = Phase::Training;
        }
        self.count_steps();
    }

    /// The end of a run whose newest loss is no number, in the app's words: the command line's hint names a flag.
    fn diverged(&self) -> Option<Phase> {
        let is_broken = |last: &Metrics| last.train_nats.is_none();
        let broken = |series: &&Series| series.last.as_ref().is_some_and(is_broken);
        let series = self.series.iter().find(broken)?;
        let mut message = format!(
            "Loss became NaN at step {}",
            numbers::grouped(series.last.as_ref()?.step)
        );
        if let Some(best) = series.best() {
            let step = numbers::grouped(best.step);
            message += &format!(". Kept the best checkpoint (step {step})");
        }
        Some(Phase::Failed {
            message,
            hint: Some("Try a lower learning rate".to_owned()),
        })
    }

    fn place_of(&self, objective: Objective, likelihood: Likelihood) -> Option<usize> {
        self.series
            .iter()
            .position(|series| (series.objective, series.likelihood) == (objective, likelihood))
    }

    /// Adds a curve where its model's turn is: a resumed run may tell of the second model first.
    fn add(&mut self, series: Series) {
        self.series.push(series);
        let objectives = &self.started.objectives;
        self.series.sort_by_key(|series| {
            objectives
                .iter()
                .position(|known| *known == series.objective)
        });
    }

    fn count_steps(&mut self) {
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

#[cfg(test)]
mod tests {
    use crossover::train::RunConfig;

    use super::super::series::tests::line;
    use super::*;

    const AR: Objective = Objective::Autoregressive;
    const MASKED: Objective = Objective::Masked;

    /// A race whose models have done so many steps already.
    fn started(ar: u64, masked: u64) -> Started {
        Started {
            config: RunConfig::default(),
            folder: "runs/race".to_owned(),
            objectives: vec![AR, MASKED],
            step: ar.min(masked),
            done: vec![ar, masked],
            steps: 100,
            tokens_per_epoch: 1_000,
            parameters: 1,
            initial_hash: String::new(),
            floor_nats: None,
            vocab: Vec::new(),
            grid_side: None,
            device: String::new(),
        }
    }

    /// A line of a model that is evaluated every ten steps.
    fn told(objective: Objective, step: u64) -> Metrics {
        let val = step.is_multiple_of(10).then_some((1.0, 0.1));
        line(objective, step, val)
    }

    fn evaluated(run: &Run, objective: Objective) -> Vec<u64> {
        let of = |series: &&Series| series.objective == objective;
        let series = run.series.iter().find(of).unwrap();
        series.validation.iter().map(|point| point.step).collect()
    }

    fn sample(objective: Objective, step: u64) -> Event {
        Event::Sample(SampleText {
            objective,
            step,
            text: String::new(),
            valid: None,
        })
    }

    /// The lab keeps what the model that is ahead has measured, and never measures it again.
    #[test]
    fn a_resumed_run_keeps_the_evaluation_of_the_model_that_is_ahead() {
        let mut run = Run::new(started(0, 0));
        for step in 1..=20 {
            run.measured(&told(AR, step));
            if step < 20 {
                run.measured(&told(MASKED, step));
            }
        }
        run.fold(&sample(AR, 20));
        run.fold(&sample(MASKED, 10));
        run.resume(&started(20, 19));
        assert_eq!(run.step, 19);
        for step in 20..=30 {
            run.measured(&told(MASKED, step));
            if step > 20 {
                run.measured(&told(AR, step));
            }
        }
        assert_eq!(evaluated(&run, AR), [10, 20, 30]);
        assert_eq!(evaluated(&run, MASKED), [10, 20, 30]);
        assert_eq!(run.sample(AR).map(|sample| sample.step), Some(20));
    }

    #[test]
    fn a_resumed_run_forgets_what_a_model_does_again() {
        let mut run = Run::new(started(0, 0));
        for step in 1..=20 {
            run.measured(&told(AR, step));
            run.measured(&told(MASKED, step));
        }
        run.fold(&sample(AR, 20));
        run.resume(&started(16, 15));
        assert_eq!(evaluated(&run, AR), [10]);
        assert_eq!(evaluated(&run, MASKED), [10]);
        assert_eq!(run.sample(AR), None);
    }

    #[test]
    fn the_record_gives_back_what_was_written_before() {
        let events = [
            Event::Started(Box::new(started(0, 0))),
            sample(AR, 10),
            sample(MASKED, 10),
            sample(AR, 20),
            sample(MASKED, 20),
            Event::Started(Box::new(started(20, 19))),
            sample(MASKED, 20),
            Event::Started(Box::new(started(25, 25))),
            sample(AR, 30),
        ];
        let record: String = events
            .iter()
            .map(|event| serde_json::to_string(event).unwrap() + "\n")
            .collect();
        let mut run = Run::new(started(25, 25));
        run.fold(&sample(AR, 30));
        run.remember_samples((record + "{\"event\":\"sam").as_bytes());
        let steps = |objective| -> Vec<u64> {
            let of = run
                .samples
                .iter()
                .filter(|sample| sample.objective == objective);
            of.map(|sample| sample.step).collect()
        };
        assert_eq!(steps(AR), [10, 20, 30]);
        assert_eq!(steps(MASKED), [10, 20]);
    }

    #[test]
    fn a_loss_that_is_no_number_is_told_with_what_is_kept() {
        let failed = Event::Failed {
            message: "the ar model's loss became NaN or infinite at step 13; …".to_owned(),
            hint: Some("start again with a lower learning rate (`--lr`)".to_owned()),
            input: false,
        };
        let told_of = |steps: u64| {
            let mut run = Run::new(started(0, 0));
            for step in 1..steps {
                run.measured(&told(MASKED, step));
                run.measured(&told(AR, step));
            }
            run.measured(&Metrics {
                train_nats: None,
                ..told(AR, steps)
            });
            run.fold(&failed);
            match run.phase {
                Phase::Failed { message, hint } => (message, hint.unwrap()),
                other => panic!("{other:?}"),
            }
        };
        let hint = "Try a lower learning rate".to_owned();
        let kept = "Loss became NaN at step 13. Kept the best checkpoint (step 10)".to_owned();
        assert_eq!(told_of(13), (kept, hint.clone()));
        assert_eq!(told_of(3), ("Loss became NaN at step 3".to_owned(), hint));
    }

    /// Of a run that was resumed after the page was loaded again, only what comes after is told.
    #[test]
    fn the_record_gives_back_what_was_measured_before() {
        let record = |to: u64| -> String {
            (1..=to)
                .flat_map(|step| [told(AR, step), told(MASKED, step)])
                .map(|line| serde_json::to_string(&line).unwrap() + "\n")
                .collect()
        };
        let whole = |run: &Run| {
            for objective in [AR, MASKED] {
                assert_eq!(evaluated(run, objective), [10, 20, 30, 40]);
            }
            for (series, objective) in run.series.iter().zip([AR, MASKED]) {
                assert_eq!(series.objective, objective);
                let steps: Vec<u64> = series.train.iter().map(|point| point.step).collect();
                assert_eq!(steps, (1..=40).collect::<Vec<_>>());
            }
            assert_eq!(run.step, 40);
        };
        // The record may come before the first new line or after it, and be newer than what was told.
        for (told_before, recorded) in [(25, 25), (30, 30), (28, 33)] {
            let mut run = Run::new(started(25, 25));
            assert!(run.is_partial);
            for step in 26..=told_before {
                run.measured(&told(MASKED, step));
                run.measured(&told(AR, step));
            }
            run.remember((record(recorded) + "{\"objective\":\"ar").as_bytes());
            assert!(!run.is_partial);
            for step in told_before + 1..=40 {
                run.measured(&told(MASKED, step));
                run.measured(&told(AR, step));
            }
            whole(&run);
        }
        assert!(!Run::new(started(0, 0)).is_partial);
    }
}

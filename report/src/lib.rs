//! What a run came to, for people: one self-contained page, and the words and figures that every view shares.
//!
//! Text goes in, the content of a run's files, and text comes out. Nothing here opens a file, so that a page in a browser
//! makes the same report as the command line.
//!
//! - [`Run`] is what a run's files say; [`render`] turns it into HTML, [`figures`] into drawings and tables by themselves. [`seeds`] does so for several seeds of one run,
//!   [`sweep`] for a grid of runs, [`frontier`] for ways of writing.
//! - [`history`] is a run's curves, [`together`] the statistics over seeds, [`verdict`] what they say in a sentence.
//! - [`numbers`] is how figures read, [`theme`] how lines look, [`scale`] how long axes are.

mod answers;
mod chart;
pub mod figures;
#[cfg(any(test, feature = "fixtures"))]
pub mod fixtures;
pub mod frontier;
pub mod history;
pub mod numbers;
mod page;
mod points;
mod samples;
pub mod scale;
pub mod seeds;
mod strip;
pub mod sweep;
mod tables;
#[cfg(test)]
mod tests;
pub mod theme;
pub mod together;
pub mod verdict;

pub use samples::rows as grid_rows;

use crossover::error::Result;
use crossover::lab::{Event, ExpertLoad, Outcome, RaceResult, SampleText, Started};
use crossover::train::{Metrics, RunConfig};

use history::History;

/// Everything a run directory says about its run.
#[derive(Debug, Clone)]
pub struct Run {
    /// Where the directory is, as the reader knows it.
    folder: String,
    /// `config.toml` as written.
    config_text: String,
    config: RunConfig,
    history: History,
    started: Option<Started>,
    /// One text for each model and step, steps rising.
    samples: Vec<SampleText>,
    /// One for each likelihood of a mixture and step, steps rising.
    experts: Vec<ExpertLoad>,
    notices: Vec<String>,
    /// Absent while the run is unfinished.
    outcome: Option<Outcome>,
    /// Lines that could not be read: a write that was cut off, or a newer version's.
    unreadable: usize,
}

impl Run {
    /// Reads a run from the text of its files.
    ///
    /// # Errors
    /// When the configuration is none.
    pub fn parse(folder: &str, config_text: String, metrics: &str, events: &str) -> Result<Self> {
        let config = RunConfig::from_toml(&config_text, &format!("{folder}/config.toml"))?;
        let mut run = Self {
            folder: folder.to_owned(),
            config_text,
            config,
            history: History::default(),
            started: None,
            samples: Vec::new(),
            experts: Vec::new(),
            notices: Vec::new(),
            outcome: None,
            unreadable: 0,
        };
        for line in metrics.lines().filter(|line| !line.trim().is_empty()) {
            match serde_json::from_str::<Metrics>(line) {
                Ok(metrics) => run.history.push(metrics),
                Err(_) => run.unreadable += 1,
            }
        }
        for line in events.lines().filter(|line| !line.trim().is_empty()) {
            match serde_json::from_str::<Event>(line) {
                Ok(event) => run.take(event),
                Err(_) => run.unreadable += 1,
            }
        }
        run.samples.sort_by_key(|sample| sample.step);
        run.experts.sort_by_key(|load| load.step);
        Ok(run)
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Started(started) => {
                // A resumed run writes anew what came after its checkpoint.
                self.samples
                    .retain(|sample| sample.step <= started.step_of(sample.objective));
                self.experts
                    .retain(|load| load.step <= started.step_of(load.objective));
                self.started = Some(*started);
            }
            Event::Sample(sample) => {
                self.samples.retain(|known| {
                    (known.objective, known.step) != (sample.objective, sample.step)
                });
                self.samples.push(sample);
            }
            Event::Experts(load) => {
                let of = |load: &ExpertLoad| (load.objective, load.likelihood, load.step);
                self.experts.retain(|known| of(known) != of(&load));
                self.experts.push(load);
            }
            Event::Notice { message } if !self.notices.contains(&message) => {
                self.notices.push(message);
            }
            Event::Result(outcome) => self.outcome = Some(*outcome),
            _ => {}
        }
    }

    fn race(&self) -> Option<&RaceResult> {
        match &self.outcome {
            Some(Outcome::Race(race)) => Some(race),
            _ => None,
        }
    }

    fn floor(&self) -> Option<f64> {
        let known = self.started.as_ref().and_then(|started| started.floor_nats);
        known.or(match &self.outcome {
            Some(Outcome::Race(race)) => race.floor_nats,
            Some(Outcome::Train(train)) => train.floor_nats,
            None => None,
        })
    }

    /// The curve crossover's epoch: the result's, or by what is known so far.
    fn curve_crossover(&self) -> Option<f64> {
        match &self.outcome {
            Some(Outcome::Race(race)) => race.curve_crossover_epoch,
            Some(Outcome::Train(_)) => None,
            None => verdict::curve_so_far(&self.history),
        }
    }
}

/// The report as one HTML page that needs nothing else.
pub fn render(run: &Run) -> String {
    page::page(run)
}

/// Text made safe for HTML, in elements and in quoted attributes.
pub fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
}

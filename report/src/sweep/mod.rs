//! The report of a sweep: many runs that differ in chosen settings, side by side.
//!
//! [`Sweep`] is what its folder says, [`Findings`] what follows from it: each point's figures over its seeds, the regularised
//! envelope, and [`laws`] fitted to the runs. [`render`] makes the page, and every figure by itself.

mod along;
mod envelope;
mod findings;
pub mod laws;
mod view;

use crossover::lab::Outcome;
use crossover::lab::crossover::Evaluation;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::Run;

pub use envelope::{Best, Envelope};
pub use findings::{Course, Findings, PointFound};
pub use view::{Page, render};

/// Which runs belong together: the content of `sweep.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The version of this file.
    pub version: u32,
    /// The sweep's name.
    pub name: String,
    /// What it asks, in a line.
    pub about: String,
    /// Which of its scales was run.
    pub scale: String,
    /// Keys that several points differ in.
    pub axes: Vec<String>,
    /// The runs, in the order they begin.
    pub runs: Vec<RecordedRun>,
}

/// One run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RecordedRun {
    /// Its name, also that of its folder beside the record.
    pub name: String,
    /// The name without the seed: runs of one point differ in their seed only.
    pub point: String,
    /// The name that the file gives the point, where it gives one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Its seed.
    pub seed: u64,
    /// Its value on each axis.
    pub settings: Map<String, Value>,
    /// Which command runs it: `race` or `train`.
    pub command: String,
}

/// What a sweep's folder says.
#[derive(Debug)]
pub struct Sweep {
    /// Where the folder is, as the reader knows it.
    folder: String,
    record: Record,
    /// One for each recorded run, in order; none where it has not begun.
    runs: Vec<Option<Swept>>,
}

/// A run that has begun.
#[derive(Debug)]
struct Swept {
    run: Run,
    /// Losses of single validation windows.
    evaluations: Vec<Evaluation>,
}

impl Sweep {
    /// A sweep whose runs are to be put in, in the record's order.
    pub fn new(folder: &str, record: Record) -> Self {
        Self {
            folder: folder.to_owned(),
            record,
            runs: Vec::new(),
        }
    }

    /// Puts the next run in, with the text of its `evaluations.jsonl`; none where it has not begun.
    pub fn push(&mut self, run: Option<(Run, &str)>) {
        self.runs.push(run.map(|(run, evaluations)| {
            let lines = evaluations.lines();
            Swept {
                run,
                // A line that was cut off is measured again when the run goes on.
                evaluations: lines
                    .filter_map(|line| serde_json::from_str(line).ok())
                    .collect(),
            }
        }));
    }

    /// Every run with its record.
    fn each(&self) -> impl Iterator<Item = (&RecordedRun, Option<&Swept>)> {
        let runs = self.runs.iter().map(Option::as_ref);
        self.record
            .runs
            .iter()
            .zip(runs.chain(std::iter::repeat(None)))
    }
}

impl Swept {
    fn outcome(&self) -> Option<&Outcome> {
        self.run.outcome.as_ref()
    }
}

#[cfg(test)]
mod tests;

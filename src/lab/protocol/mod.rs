//! The lab's two languages: a [`Command`] goes in, [`Event`]s come out. Both are plain data and cross threads and
//! workers as JSON; whole files, which JSON would swell, travel beside it ([`Command::content_mut`]).

mod outcome;
mod request;

use serde::{Deserialize, Serialize};

use crate::objective::{Likelihood, Objective};
use crate::train::{Metrics, RunConfig};

pub use outcome::{DualAr, Estimate, GridShare, Outcome, RaceResult, TrainResult};
pub use request::{
    Answer, Attention, Benchmark, Bin, Measured, ModelMeasured, Plan, Preview, Request, RunSummary,
    Template, Writing,
};

/// What a front end asks of the lab.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum Command {
    /// Starts a run: a race where there are two objectives, plain training where there is one.
    Start {
        /// What to train, on what, how.
        config: Box<RunConfig>,
        /// Where the run keeps its files.
        folder: String,
        /// Whether an earlier run in that folder may be replaced.
        force: bool,
    },
    /// Continues the run in a folder from its last checkpoint.
    Resume {
        /// Where the run keeps its files.
        folder: String,
    },
    /// Holds the run before its next step.
    Pause,
    /// Lets a held run go on.
    Continue,
    /// Saves the state and ends the run.
    Stop,
    /// Asks for something beside a run; during one it is done between two steps.
    Ask {
        /// Comes back with the answer.
        request: u64,
        /// What is asked.
        what: Request,
    },
}

impl Command {
    /// The file that travels beside this command, where one does.
    pub fn content_mut(&mut self) -> Option<&mut Vec<u8>> {
        match self {
            Self::Ask { what, .. } => what.content_mut(),
            _ => None,
        }
    }
}

/// What the lab tells, in the order it happens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The run is about to take its first step (or its next one, when resumed).
    Started(Box<Started>),
    /// One optimizer step of one model; `val_nats` is there when it was evaluated after this step.
    Metrics(Metrics),
    /// How busy a mixture's experts are, at an evaluation.
    Experts(ExpertLoad),
    /// A text the model wrote at an evaluation.
    Sample(SampleText),
    /// A checkpoint was written.
    Checkpoint {
        /// Whose.
        objective: Objective,
        /// After how many steps.
        step: u64,
        /// Whether it is the last state or the best so far.
        kind: CheckpointKind,
    },
    /// Work that takes a while and is no training: the final measurement, for instance.
    Progress {
        /// What is being done.
        doing: String,
    },
    /// A training loss left the band of those before it, or is no finite number.
    Spike(LossSpike),
    /// A step of a model in f16 moved nothing.
    Skipped(SkippedStep),
    /// One of several processes computes for longer than the others, which wait for it.
    Straggler(Straggler),
    /// Something a person should know that changes nothing.
    Notice {
        /// The text, one sentence.
        message: String,
    },
    /// The run waits for [`Command::Continue`].
    Paused {
        /// Steps done.
        step: u64,
    },
    /// The run goes on after a pause.
    Continued,
    /// What was asked for, or a part of it.
    Answer {
        /// The number it was asked by.
        request: u64,
        /// The answer.
        answer: Box<Answer>,
        /// Whether no more of it follows.
        last: bool,
    },
    /// What was asked for can't be had; the run, if there is one, goes on.
    Refused {
        /// The number it was asked by.
        request: u64,
        /// What was wrong.
        message: String,
        /// What to do about it.
        hint: Option<String>,
    },
    /// The run is complete.
    Result(Box<Outcome>),
    /// The run ended early and its state is saved.
    Stopped {
        /// Steps done.
        step: u64,
        /// Where the run's files are.
        folder: String,
    },
    /// The run could not go on.
    Failed {
        /// What went wrong.
        message: String,
        /// What to do about it.
        hint: Option<String>,
        /// Whether the request was at fault (nothing was written), rather than the work.
        input: bool,
    },
}

impl Event {
    /// The file that travels beside this event, where one does.
    pub fn content_mut(&mut self) -> Option<&mut Vec<u8>> {
        match self {
            Self::Answer { answer, .. } => answer.content_mut(),
            _ => None,
        }
    }

    /// Whether it is the last of its run.
    pub fn ends_run(&self) -> bool {
        matches!(
            self,
            Self::Result(_) | Self::Stopped { .. } | Self::Failed { .. }
        )
    }
}

/// Which of a run's checkpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CheckpointKind {
    /// The newest state: where `--resume` continues.
    Last,
    /// The state with the lowest validation loss.
    Best,
}

/// Everything that is fixed for the whole run, told once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Started {
    /// The resolved configuration, provenance included.
    pub config: RunConfig,
    /// Where the run's files are.
    pub folder: String,
    /// The models that train, in order.
    pub objectives: Vec<Objective>,
    /// Steps that all of them have done already (0 unless resumed).
    pub step: u64,
    /// Steps that each of them has done already, in the same order: one that is ahead keeps what was told of it. Empty in
    /// records of older versions.
    #[serde(default)]
    pub done: Vec<u64>,
    /// Steps of the whole run, for each model.
    pub steps: u64,
    /// Tokens of one pass over the unique data.
    pub tokens_per_epoch: u64,
    /// Parameters of each model: equal by construction.
    pub parameters: u64,
    /// SHA-256 of the initial weights: equal for all models of a race.
    pub initial_hash: String,
    /// Lowest possible loss, nats per token, where the source is known.
    pub floor_nats: Option<f64>,
    /// Token strings, id by id, MASK last.
    pub vocab: Vec<String>,
    /// Side of the square when a window is a grid of cells.
    pub grid_side: Option<usize>,
    /// What the run computes on, and why.
    pub device: String,
}

impl Started {
    /// Steps that a model has done already.
    pub fn step_of(&self, objective: Objective) -> u64 {
        let index = self.objectives.iter().position(|known| *known == objective);
        let done = index.and_then(|index| self.done.get(index));
        done.copied().unwrap_or(self.step)
    }
}

/// How busy the experts of a mixture are on validation windows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExpertLoad {
    /// Whose.
    pub objective: Objective,
    /// As it reads for this likelihood.
    pub likelihood: Likelihood,
    /// After how many steps.
    pub step: u64,
    /// The busiest expert's share over the mean share: 1 is even.
    pub busiest: f64,
    /// Entropy of the shares over that of even ones: 1 is even, 0 is one expert for everything.
    pub evenness: f64,
    /// Each layer's experts by their shares of what all tokens ask.
    pub shares: Vec<Vec<f64>>,
}

/// A training loss that is far above those before it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LossSpike {
    /// Whose.
    pub objective: Objective,
    /// By which likelihood it is measured.
    pub likelihood: Likelihood,
    /// After how many steps.
    pub step: u64,
    /// The loss, nats per token; none where it is no finite number.
    pub nats: Option<f64>,
    /// The median of the losses before it; none where there are too few.
    pub median: Option<f64>,
    /// What a loss could be at most without being a spike.
    pub limit: Option<f64>,
}

/// A step that moved nothing, since a gradient of the scaled loss did not fit f16.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SkippedStep {
    /// Whose.
    pub objective: Objective,
    /// Which, counted from 1.
    pub step: u64,
    /// What the next step's loss is multiplied by: half of what it was.
    pub loss_scale: f64,
    /// Such steps of this model so far, this one included.
    pub skipped_steps: u64,
}

/// A process that computes for longer than the others over its share of the work.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Straggler {
    /// Training which model.
    pub objective: Objective,
    /// After how many steps.
    pub step: u64,
    /// Which process, from 0.
    pub rank: u64,
    /// The machine that it runs on.
    pub host: String,
    /// Seconds that it computed for since the last evaluation of this model.
    pub seconds: f64,
    /// The median over all processes.
    pub median: f64,
}

/// A text a model wrote, for people to read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SampleText {
    /// Who wrote it.
    pub objective: Objective,
    /// After how many steps.
    pub step: u64,
    /// The text.
    pub text: String,
    /// For grids: whether every rule holds.
    pub valid: Option<bool>,
}

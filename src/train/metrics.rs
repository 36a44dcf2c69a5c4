//! One line of `metrics.jsonl`: what an optimizer step did to one model.

use serde::{Deserialize, Serialize};

use crate::objective::{Bound, Likelihood, Objective};

/// What is recorded of one optimizer step of one model. What was not measured is `None`, never NaN.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// Which model.
    pub objective: Objective,
    /// By which likelihood `train_nats` and `val_nats` are measured.
    pub likelihood: Likelihood,
    /// Optimizer steps done, this one included.
    pub step: u64,
    /// Passes over the unique data so far.
    pub epoch: f64,
    /// Tokens trained on so far.
    pub tokens: u64,
    /// Training FLOPs spent so far, by the law in [`crate::laws`].
    pub flops: f64,
    /// Seconds this model has trained, without evaluation and checkpoints.
    pub seconds: f64,
    /// Training loss of this step, nats per token.
    pub train_nats: Option<f64>,
    /// Validation loss after this step, nats per token.
    pub val_nats: Option<f64>,
    /// Standard error of `val_nats`.
    pub val_se: Option<f64>,
    /// Whether the losses are exact or a bound.
    pub bound: Bound,
    /// Learning rate of this step.
    pub lr: f64,
    /// Global gradient norm before clipping.
    pub grad_norm: Option<f64>,
    /// Training speed of this step.
    pub tokens_per_second: f64,
    /// What the next step's loss is multiplied by, where it is trained in f16.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loss_scale: Option<f64>,
    /// Steps so far that moved nothing, likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skipped_steps: Option<u64>,
    /// What the model made of each task that it was put to after this step; empty where it was put to none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tasks: Vec<TaskScore>,
    /// Seconds of this step in which the first of several ranks exchanged numbers with the others or waited for them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub communication_seconds: Option<f64>,
}

/// How well a model did on a task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskScore {
    /// The task's name.
    pub task: String,
    /// Questions.
    pub questions: u64,
    /// Share of right answers: the likeliest choice, or a gap filled word for word.
    pub acc: f64,
    /// Its standard error over questions.
    pub acc_se: f64,
    /// Share of right choices by nats over characters; none of gaps.
    pub acc_norm: Option<f64>,
    /// Its standard error over questions.
    pub acc_norm_se: Option<f64>,
    /// What guessing gets of `acc`; none of gaps.
    pub chance: Option<f64>,
    /// Loss of the right answers given their questions, nats per token.
    pub nats: f64,
}

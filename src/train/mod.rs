//! Training: one optimizer step at a time, the same natively and in the browser.
//!
//! A window of tokens enters [`Trainer::step`]; changed parameters stay on the device, and the step's loss comes back
//! through [`Trainer::read`], asynchronously and possibly some steps later. [`checkpoint`] is the file a model is kept in,
//! [`index`] several that several processes write, [`TensorFile`] the bytes of each, [`straggler`] finds a process that the others
//! wait for, [`hugging_face`] is how a model is exchanged with other programs, [`shard`] is how several processes share gradients
//! and moments, [`config`] everything that decides a run, [`precision`] what is multiplied in halves, [`metrics`] what is recorded
//! of it, [`spike`] when that is alarming. What a step does not know: files, evaluation, and the other model of a race.

pub mod checkpoint;
pub mod config;
pub mod hugging_face;
pub mod index;
pub mod metrics;
pub mod optimizer;
pub mod precision;
pub mod schedule;
pub mod shard;
pub mod spike;
pub mod straggler;
mod tensor_file;
pub mod trainer;

pub use checkpoint::{Checkpoint, Extent, Precision, State};
pub use config::{EvaluateConfig, Provenance, RunConfig, Schedule, TrainConfig, nearest_key};
pub use metrics::{Metrics, TaskScore};
pub use precision::{LossScale, MixedPrecision};
pub use tensor_file::TensorFile;
pub use trainer::{Spent, StepResult, Trainer};

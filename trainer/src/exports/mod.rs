//! Where a run's figures go besides its own folder, for those who watch many: TensorBoard's files and a page of metrics.
//! Both hear of a run what its view hears, so training waits for neither.

mod endpoint;
mod tensorboard;

use crossover::error::Result;
use crossover::lab::Event;
use crossover::train::Metrics;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::arguments::RunArguments;
use endpoint::Endpoint;
use tensorboard::TensorBoard;

/// What was asked for.
#[derive(Debug, Default)]
pub struct Exports {
    tensorboard: Option<TensorBoard>,
    endpoint: Option<Endpoint>,
}

impl Exports {
    /// Opens what the flags ask for.
    ///
    /// # Errors
    /// When the port is taken.
    pub fn open(arguments: &RunArguments) -> Result<Self> {
        let endpoint = arguments.metrics_port.map(Endpoint::open).transpose()?;
        if let Some(endpoint) = &endpoint {
            eprintln!("Metrics: {}", endpoint.url());
        }
        Ok(Self {
            tensorboard: arguments.tensorboard.then(TensorBoard::default),
            endpoint,
        })
    }

    /// Takes the next event. Files that can't be written are given up, with a warning: they are a copy.
    pub fn on_event(&mut self, event: &Event) {
        if let Some(board) = &mut self.tensorboard
            && let Err(error) = board.on_event(event)
        {
            eprintln!("warning: no more TensorBoard files: {error}");
            self.tensorboard = None;
        }
        if let Some(endpoint) = &self.endpoint {
            endpoint.on_event(event);
        }
    }
}

/// The numbers of a line of `metrics.jsonl`, or of a score in it, by their names there; what was not measured is left out.
fn figures(line: &impl Serialize) -> Vec<(String, f64)> {
    let line = match serde_json::to_value(line) {
        Ok(Value::Object(line)) => line,
        _ => Map::new(),
    };
    let numbers = line
        .into_iter()
        .filter_map(|(name, value)| Some((name, value.as_f64()?)));
    numbers.collect()
}

/// The numbers of every task's score in a line of `metrics.jsonl`: the task, and each by its name there.
fn task_figures(metrics: &Metrics) -> Vec<(&str, String, f64)> {
    let scores = metrics.tasks.iter();
    let figures = scores.flat_map(|score| {
        let named = |(name, value)| (score.task.as_str(), name, value);
        figures(score).into_iter().map(named)
    });
    figures.collect()
}

//! What is on the screen, for tests.

use super::App;
use crate::hook::{self, Hook};
use crate::state::Phase;

impl App {
    /// What is on the screen.
    pub fn hook(&self) -> Hook {
        let mut hook = Hook {
            screen: self.screens[self.shown].title().to_owned(),
            badge: self
                .state
                .device
                .as_ref()
                .map_or_else(String::new, |device| device.badge.clone()),
            status: self.status(),
            run: self.state.run.as_ref().map(|run| hook::Run {
                id: run.folder().to_owned(),
                state: match &run.phase {
                    Phase::Training | Phase::Working(_) => "running",
                    Phase::Paused => "paused",
                    Phase::Stopped => "stopped",
                    Phase::Failed { .. } => "failed",
                    Phase::Finished(_) => "done",
                }
                .to_owned(),
                step: run.step,
                steps: run.started.steps,
                saved: self
                    .link
                    .as_ref()
                    .and_then(|link| link.run())
                    .map(|run| run.saved),
                epoch: run.epoch(),
                tokens: run
                    .series
                    .iter()
                    .filter_map(|series| series.last.as_ref())
                    .map(|last| last.tokens)
                    .min()
                    .unwrap_or(0),
            }),
            series: self
                .state
                .run
                .iter()
                .flat_map(|run| &run.series)
                .map(|series| hook::Series {
                    objective: series.objective,
                    points: series
                        .validation
                        .iter()
                        .map(|point| hook::Point {
                            step: point.step,
                            tokens: point.tokens as u64,
                            nats: point.nats,
                            se: point.se.is_finite().then_some(point.se),
                        })
                        .collect(),
                })
                .collect(),
            ..Hook::default()
        };
        if let Some(link) = &self.link {
            let counters = link.counters();
            hook.counters.messages = counters.messages;
            hook.counters.bytes = counters.bytes;
            hook.counters.memory = counters.memory;
        }
        for screen in &self.screens {
            screen.describe(&mut hook);
        }
        hook
    }
}

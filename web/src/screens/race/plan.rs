//! What a run would cost: asked of the lab once the settings rest, estimated here at once.

use crossover::lab::{Plan, Request};
use crossover::laws::memory;
use crossover::platform;
use crossover::train::RunConfig;
use egui::{RichText, Ui};

use super::Race;
use crate::numbers;
use crate::screens::Context;
use crate::settings::{Draft, Field};
use crate::widgets::explain;

/// Seconds that settings must rest before the lab is asked.
const REST: f64 = 0.5;
/// Bytes that a program in the browser can have.
const BROWSER: u64 = 4 << 30;

/// The newest answer, and what it is about.
#[derive(Debug, Default)]
pub struct Planned {
    config: Option<RunConfig>,
    changed: f64,
    answer: Option<Plan>,
    refused: Option<String>,
}

impl Planned {
    /// The lab answered.
    pub fn answered(&mut self, plan: Plan) {
        self.answer = Some(plan);
        self.refused = None;
    }

    /// The lab can't do that.
    pub fn refused(&mut self, why: String) {
        self.answer = None;
        self.refused = Some(why);
    }
}

impl Race {
    /// Asks what the settings would cost, once they rest and nothing trains.
    pub(super) fn plan_soon(&mut self, ui: &Ui, context: &mut Context<'_>) {
        let config = self.draft.config();
        let now = ui.input(|input| input.time);
        if config != self.plan.config {
            self.plan.config = config;
            self.plan.changed = now;
            self.plan.answer = None;
            self.plan.refused = None;
            self.asked.plan = None;
        }
        if self.asked.plan.is_some() || context.state.is_busy() || context.state.starting.is_some()
        {
            return;
        }
        let waited = now - self.plan.changed;
        match &self.plan.config {
            Some(config) if waited >= REST && fits(&self.draft, config.train.batch) => {
                self.asked.plan = Some(context.desk.ask(Request::Plan {
                    config: Box::new(config.clone()),
                }));
            }
            Some(_) if waited < REST => {
                ui.ctx()
                    .request_repaint_after(std::time::Duration::from_secs_f64(
                        REST - waited + 0.01,
                    ));
            }
            _ => {}
        }
    }

    /// Time, compute, memory and the predicted crossover, in two lines.
    pub(super) fn cost(&mut self, ui: &mut Ui, context: &Context<'_>) {
        let palette = context.palette;
        let batch = self.draft.edited.train.batch;
        if !fits(&self.draft, batch) {
            self.too_big(ui, context);
            return;
        }
        if let Some(why) = &self.plan.refused {
            ui.label(RichText::new(why).small().color(palette.warning));
            return;
        }
        let small = |text: String| RichText::new(text).small().color(palette.muted);
        match &self.plan.answer {
            Some(plan) => {
                ui.label(small(format!(
                    "≈ {} · {} FLOPs · {} · {} parameters",
                    numbers::duration(plan.seconds),
                    numbers::flops(plan.flops),
                    numbers::memory(plan.memory_bytes),
                    numbers::count(plan.parameters as f64),
                )));
                if let Some(epoch) = plan.critical_epoch {
                    ui.horizontal_wrapped(|ui| {
                        ui.spacing_mut().item_spacing = egui::Vec2::ZERO;
                        ui.label(small(format!(
                            "Crossover predicted near epoch {} (extrapolated, ×3 either way)",
                            numbers::count(epoch.round())
                        )));
                        explain::mark(ui, "the predicted crossover", explain::text::PREDICTION);
                    });
                }
            }
            None => {
                let bytes = needed(&self.draft, batch);
                let doing = match context.state.is_busy() {
                    true => "",
                    false => " · measuring the speed…",
                };
                ui.label(small(format!("{}{doing}", numbers::memory(bytes))));
            }
        }
    }

    fn too_big(&mut self, ui: &mut Ui, context: &Context<'_>) {
        let needed = needed(&self.draft, self.draft.edited.train.batch);
        let gigabytes = |bytes: u64| format!("{:.1} GB", bytes as f64 / 1e9);
        let fitting = (0..7)
            .map(|halvings| self.draft.edited.train.batch >> halvings)
            .find(|batch| *batch >= 4 && fits(&self.draft, *batch));
        let mut words = format!(
            "Needs about {}; there is {}.",
            gigabytes(needed),
            gigabytes(limit())
        );
        if let Some(batch) = fitting {
            words += &format!(" Batch {batch} should fit.");
        } else {
            words += " Choose a smaller width or context.";
        }
        ui.label(RichText::new(words).small().color(context.palette.warning));
        if let Some(batch) = fitting
            && ui.button(format!("Use batch {batch}")).clicked()
        {
            Field::Batch.set(&mut self.draft, batch as f64);
        }
    }

    /// Whether nothing is known to keep the run from starting.
    pub(super) fn can_start(&self) -> bool {
        self.draft.config().is_some() && fits(&self.draft, self.draft.edited.train.batch)
    }
}

fn limit() -> u64 {
    platform::memory_bytes().unwrap_or(BROWSER)
}

/// Bytes that a race of these settings needs, by the law that the lab goes by.
fn needed(draft: &Draft, batch: usize) -> u64 {
    // Letters, mostly; the vocabulary hardly counts.
    const VOCABULARY: usize = 128;
    draft.edited.model.resolve(VOCABULARY).map_or(0, |shape| {
        2 * memory::training_state_bytes(&shape)
            + memory::activation_bytes(&shape, batch, draft.context(), draft.edited.train.recompute)
    })
}

fn fits(draft: &Draft, batch: usize) -> bool {
    needed(draft, batch) <= limit()
}

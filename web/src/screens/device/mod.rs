//! The Device screen: what computes, how fast, what is kept, and how the app looks.

use crossover::lab::{Answer, Benchmark, Event, Request};
use crossover::laws::memory;
use egui::{CollapsingHeader, Grid, RichText, Slider, TextEdit, Ui};

use crate::link::{Compute, Place};
use crate::numbers;
use crate::screens::{Context, Screen};
use crate::state::{Notice, Wish};
use crate::theme::{Motion, Palette, Tone, style};
use crate::widgets::{button, explain};

/// What has to be typed before everything is removed.
const WORD: &str = "reset";
/// Where a lab in the browser keeps texts. On disk they are files beside others, and a person's to remove.
const TEXTS: &str = "runs/texts";

/// The screen's own state.
#[derive(Debug, Default)]
pub struct Device {
    asked: Option<u64>,
    measured: Option<Benchmark>,
    refused: Option<String>,
    typed: String,
    /// The question for runs that are all to be removed.
    clearing: Option<u64>,
}

impl Device {
    fn computes(&mut self, ui: &mut Ui, context: &mut Context<'_>) {
        let palette = context.palette;
        section(ui, palette, "Computes on", |ui| {
            let Some(device) = context.state.device.clone() else {
                ui.label(RichText::new("Opening…").color(palette.muted));
                return;
            };
            ui.label(RichText::new(&device.badge).heading());
            ui.label(RichText::new(&device.description).color(palette.muted));
            if let Some(note) = &device.note {
                ui.label(RichText::new(note).color(palette.warning));
            }
            if let Some(why) = &device.why {
                ui.label(RichText::new(why).color(palette.muted));
            }
            let mut compute = device.compute;
            let choices = Compute::ALL.map(|compute| (compute, compute.label()));
            row(ui, "Compute", |ui| {
                if button::segments(ui, palette, &mut compute, &choices) {
                    choose(context, compute);
                }
            });
            row(ui, "Precision", |ui| {
                ui.label("f32");
                ui.label(
                    RichText::new(
                        "Here training multiplies f32; `--precision` is for native runs.",
                    )
                    .color(palette.muted),
                );
                explain::mark(ui, "precision", explain::text::PRECISION);
            });
            self.benchmark(ui, context);
            if !device.details.is_empty() {
                CollapsingHeader::new("Adapter and limits").show(ui, |ui| {
                    Grid::new("limits")
                        .striped(true)
                        .spacing([24.0, 4.0])
                        .show(ui, |ui| {
                            for (name, value) in &device.details {
                                ui.label(RichText::new(name).color(palette.muted));
                                ui.label(value);
                                ui.end_row();
                            }
                        });
                });
            }
        });
    }

    fn benchmark(&mut self, ui: &mut Ui, context: &mut Context<'_>) {
        let palette = context.palette;
        ui.horizontal_wrapped(|ui| {
            let waits = self.asked.is_some();
            let label = if waits { "Measuring…" } else { "Benchmark" };
            let ready = !waits && !context.state.is_busy();
            let button = ui.add_enabled(ready, egui::Button::new(label));
            if button.on_hover_text("At most ten seconds").clicked() {
                self.asked = Some(context.desk.ask(Request::Benchmark));
                self.refused = None;
            }
            if let Some(measured) = &self.measured {
                ui.label(format!(
                    "{} · training {:.0} % of peak · {} tokens/s · {} parameters",
                    numbers::flops_per_second(measured.matmul_flops),
                    100.0 * measured.training_flops / measured.matmul_flops.max(1.0),
                    numbers::count(measured.tokens_per_second),
                    numbers::count(measured.parameters as f64)
                ));
            }
            if let Some(why) = &self.refused {
                ui.label(RichText::new(why).color(palette.error));
            }
        });
    }

    fn memory(ui: &mut Ui, context: &Context<'_>) {
        let palette = context.palette;
        section(ui, palette, "Memory", |ui| {
            let Some(run) = &context.state.run else {
                ui.label(
                    RichText::new("Known by part once a run is on the table.").color(palette.muted),
                );
                return;
            };
            let config = &run.started.config;
            let shape = config.model.resolve(config.model.vocab_size.unwrap_or(128));
            let Ok(shape) = shape else {
                return;
            };
            let models = run.started.objectives.len() as u64;
            let weights = models * shape.parameters() * 4;
            let length = config.corpus.length.unwrap_or(64);
            let parts = [
                ("Weights", weights),
                ("Gradients", weights),
                ("Optimizer moments", 2 * weights),
                (
                    "Activations",
                    memory::activation_bytes(
                        &shape,
                        config.train.batch,
                        length,
                        config.train.recompute,
                    ),
                ),
            ];
            Grid::new("memory")
                .striped(true)
                .spacing([24.0, 4.0])
                .show(ui, |ui| {
                    for (name, bytes) in parts {
                        ui.label(RichText::new(name).color(palette.muted));
                        ui.label(numbers::memory(bytes));
                        ui.end_row();
                    }
                    ui.label(RichText::new("In all, estimated").color(palette.muted));
                    ui.label(
                        RichText::new(numbers::memory(parts.iter().map(|(_, bytes)| bytes).sum()))
                            .strong(),
                    );
                    ui.end_row();
                    if context.state.memory > 0 {
                        ui.label(RichText::new("The worker's, measured").color(palette.muted));
                        ui.label(numbers::memory(context.state.memory));
                        ui.end_row();
                    }
                });
        });
    }

    fn looks(ui: &mut Ui, context: &mut Context<'_>) {
        let palette = context.palette;
        let preferences = &mut context.state.preferences;
        section(ui, palette, "Looks and keys", |ui| {
            row(ui, "Theme", |ui| {
                let tones = [
                    (Tone::System, "System"),
                    (Tone::Light, "Light"),
                    (Tone::Dark, "Dark"),
                ];
                button::segments(ui, palette, &mut preferences.tone, &tones);
            });
            row(ui, "Motion", |ui| {
                let motions = [
                    (Motion::System, "System"),
                    (Motion::Reduced, "Reduced"),
                    (Motion::Full, "Full"),
                ];
                button::segments(ui, palette, &mut preferences.motion, &motions);
            });
            ui.horizontal(|ui| {
                let label = named(ui, "Text");
                let slider = Slider::new(&mut preferences.text, 80.0..=200.0)
                    .step_by(10.0)
                    .suffix(" %");
                // Sizes follow once the hand is off, or the slider would run away under it.
                let response = ui
                    .add(slider.update_while_editing(false))
                    .labelled_by(label.id);
                if response.has_focus() && ui.input(|input| input.key_pressed(egui::Key::Backspace))
                {
                    preferences.text = 100.0;
                }
            });
            ui.checkbox(&mut preferences.single_keys, "Single keys act");
        });
    }

    fn storage(&mut self, ui: &mut Ui, context: &mut Context<'_>) {
        let palette = context.palette;
        let storage = context.state.storage.clone();
        section(ui, palette, "Storage", |ui| {
            let mut words = format!("Runs are kept in {}", storage.place.label());
            if let Some(used) = storage.used {
                words += &format!(": {} used", numbers::memory(used as u64));
                if let Some(quota) = storage.quota {
                    words += &format!(" of {}", numbers::memory(quota as u64));
                }
            }
            ui.label(words + ".");
            if storage.read_only {
                ui.label(
                    RichText::new("Training in another tab. Read-only here.")
                        .color(palette.warning),
                );
            }
            ui.horizontal_wrapped(|ui| {
                let label = if storage.kept {
                    "Data is kept"
                } else {
                    "Keep my data"
                };
                let keep = ui.add_enabled(!storage.kept, egui::Button::new(label));
                if keep
                    .on_hover_text("Asks the browser not to clear runs by itself")
                    .clicked()
                {
                    context.state.wishes.push(Wish::KeepData);
                }
                if ui.button("Copy diagnostics").clicked() {
                    ui.ctx().copy_text(context.state.diagnostics());
                    context.state.notice = Some(Notice::said("Diagnostics are on the clipboard."));
                }
            });
            ui.add_space(8.0);
            let what = match storage.place {
                Place::Disk => "every run",
                _ => "every run and text",
            };
            let label = ui.label(
                RichText::new(format!("To remove {what}, type {WORD}:")).color(palette.muted),
            );
            ui.horizontal(|ui| {
                ui.add(TextEdit::singleline(&mut self.typed).desired_width(120.0))
                    .labelled_by(label.id);
                let sure =
                    self.typed.trim() == WORD && !storage.read_only && !context.state.is_busy();
                if ui
                    .add_enabled(sure, egui::Button::new("Reset everything"))
                    .clicked()
                {
                    self.typed.clear();
                    self.clearing = Some(context.desk.ask(Request::Runs));
                    let before = std::mem::take(&mut context.state.preferences);
                    if before.compute != context.state.preferences.compute {
                        choose(context, context.state.preferences.compute);
                    }
                }
            });
        });
    }
}

/// Computes on something else, now and when the app is opened again.
fn choose(context: &mut Context<'_>, compute: Compute) {
    context.state.preferences.compute = compute;
    context.state.wishes.push(Wish::Compute(compute));
}

fn section(ui: &mut Ui, palette: &Palette, title: &str, content: impl FnOnce(&mut Ui)) {
    style::card(palette).show(ui, |ui| {
        ui.set_width(ui.available_width());
        ui.label(RichText::new(title).small().color(palette.muted));
        ui.add_space(2.0);
        content(ui);
    });
    ui.add_space(8.0);
}

fn row(ui: &mut Ui, name: &str, content: impl FnOnce(&mut Ui)) {
    ui.horizontal_wrapped(|ui| {
        named(ui, name);
        content(ui);
    });
}

/// The name of a row, all as wide.
fn named(ui: &mut Ui, name: &str) -> egui::Response {
    let size = egui::vec2(80.0, ui.spacing().interact_size.y);
    let left = egui::Layout::left_to_right(egui::Align::Center);
    ui.allocate_ui_with_layout(size, left, |ui| {
        ui.set_min_size(size);
        ui.label(name)
    })
    .inner
}

impl Screen for Device {
    fn title(&self) -> &'static str {
        "Device"
    }

    fn ui(&mut self, ui: &mut Ui, context: &mut Context<'_>) {
        egui::ScrollArea::vertical()
            .auto_shrink(false)
            .show(ui, |ui| {
                let wide = ui.available_width() > 900.0;
                ui.columns(if wide { 2 } else { 1 }, |columns| {
                    self.computes(&mut columns[0], context);
                    Self::memory(&mut columns[0], context);
                    let last = columns.len() - 1;
                    Self::looks(&mut columns[last], context);
                    self.storage(&mut columns[last], context);
                });
            });
    }

    fn on_event(&mut self, event: &Event, context: &mut Context<'_>) {
        match event {
            Event::Answer {
                request, answer, ..
            } => match answer.as_ref() {
                Answer::Benchmark(measured) if self.asked == Some(*request) => {
                    self.measured = Some(*measured);
                    self.asked = None;
                }
                Answer::Runs { runs } if self.clearing == Some(*request) => {
                    self.clearing = None;
                    for run in runs {
                        context.desk.ask(Request::Remove {
                            run: run.run.clone(),
                        });
                    }
                    if context.state.storage.place != Place::Disk {
                        context.desk.ask(Request::Remove {
                            run: TEXTS.to_owned(),
                        });
                        context.state.texts_are_gone = true;
                    }
                    context.state.run = None;
                    context.state.notice = Some(Notice::said("Everything is reset."));
                }
                _ => {}
            },
            Event::Refused {
                request, message, ..
            } if self.asked == Some(*request) => {
                self.asked = None;
                self.refused = Some(format!(
                    "Benchmark stopped: {}.",
                    message.trim_end_matches('.')
                ));
            }
            _ => {}
        }
    }
}

//! The Inspect screen: where is each model good?
//!
//! `figures` turns measurements into lines, `chart` draws those or their table, `attention` shows who looks at whom.

mod attention;
mod chart;
mod figures;
#[cfg(test)]
mod tests;

use crossover::lab::{Answer, Event, Measured, Request, RunSummary};
use egui::{ComboBox, DragValue, Key, Modifiers, RichText, ScrollArea, Ui, vec2};

use crate::link::files::{self, Inbox};
use crate::numbers;
use crate::screens::{Context, Screen};
use crate::theatre::models::{run_of, short};
use crate::theme::Palette;
use crate::theme::style::card;

/// Narrower than this, charts stand one below the other.
const NARROW: f32 = 720.0;

/// The screen's own state.
pub struct Inspect {
    runs: Vec<RunSummary>,
    listing: Option<u64>,
    knows_runs: bool,
    first: Option<String>,
    second: Option<String>,
    sequences: usize,
    draws: usize,
    measured: Option<Measured>,
    /// The question that is being answered: its number, since when, and how many windows were asked for.
    measuring: Option<(u64, f64, usize)>,
    /// Seconds for a window and draw of a model, once that is known.
    pace: Option<f64>,
    problem: Option<String>,
    as_table: bool,
    attention: attention::Looking,
    is_running: bool,
    is_paused: bool,
    files: Inbox,
}

impl Default for Inspect {
    fn default() -> Self {
        Self {
            runs: Vec::new(),
            listing: None,
            knows_runs: false,
            first: None,
            second: None,
            sequences: 64,
            draws: 16,
            measured: None,
            measuring: None,
            pace: None,
            problem: None,
            as_table: false,
            attention: attention::Looking::default(),
            is_running: false,
            is_paused: false,
            files: Inbox::default(),
        }
    }
}

impl Inspect {
    fn models(&self) -> Vec<String> {
        let both = [&self.first, &self.second];
        both.into_iter().flatten().cloned().collect()
    }

    fn listed(&mut self, runs: &[RunSummary]) {
        self.runs = runs.to_vec();
        self.knows_runs = true;
        let all = || self.runs.iter().flat_map(|run| &run.checkpoints);
        let is_there = |path: &Option<String>| {
            path.as_ref()
                .is_some_and(|path| all().any(|own| own == path))
        };
        if !is_there(&self.first) {
            let newest = self.runs.first().map_or(&[][..], |run| &run.checkpoints);
            let best = |kind: &str| newest.iter().find(|path| path.contains(kind)).cloned();
            self.first = best("best-ar").or_else(|| newest.first().cloned());
            self.second = ["best-masked", "best-block", "best-dual"]
                .into_iter()
                .find_map(best)
                .filter(|second| Some(second) != self.first.as_ref());
        } else if !is_there(&self.second) {
            self.second = None;
        }
    }

    fn measure(&mut self, now: f64, context: &mut Context<'_>) {
        let models = self.models();
        let run = models.first().and_then(|model| run_of(model, &self.runs));
        let Some(run) = run.map(|run| run.run.clone()) else {
            return;
        };
        self.problem = None;
        self.measured = None;
        let request = context.desk.ask(Request::Measure {
            models,
            run,
            sequences: self.sequences,
            draws: self.draws,
        });
        self.measuring = Some((request, now, self.sequences));
    }

    /// Windows and draws that a measurement takes, over all models.
    fn work(&self) -> f64 {
        (self.sequences * self.draws * self.models().len().max(1)) as f64
    }

    fn controls(&mut self, ui: &mut Ui, context: &mut Context<'_>) {
        let palette = context.palette;
        let narrow = ui.available_width() < NARROW;
        let now = ui.input(|input| input.time);
        let mut menus = |ui: &mut Ui, which: usize| match which {
            0 => model_menu(ui, "Model A", &mut self.first, &self.runs, false),
            _ => model_menu(ui, "Model B", &mut self.second, &self.runs, true),
        };
        match narrow {
            true => {
                ui.horizontal(|ui| menus(ui, 0));
                ui.horizontal(|ui| menus(ui, 1));
            }
            false => {
                ui.horizontal(|ui| {
                    menus(ui, 0);
                    menus(ui, 1);
                });
            }
        }
        ui.horizontal_wrapped(|ui| {
            for (name, value, range) in [
                ("Sequences", &mut self.sequences, 16..=1024),
                ("Draws", &mut self.draws, 1..=128),
            ] {
                ui.label(name);
                ui.name_inputs(name, |ui| ui.add(DragValue::new(value).range(range)));
            }
            let estimate = self.pace.map_or_else(String::new, |pace| {
                format!(" ≈{}", numbers::duration(pace * self.work()))
            });
            let text = RichText::new(format!("Measure{estimate}"))
                .strong()
                .color(palette.background);
            let button = egui::Button::new(text)
                .fill(palette.masked)
                .min_size(vec2(96.0, ui.spacing().interact_size.y));
            let can = self.measuring.is_none() && self.first.is_some();
            let response = ui.add_enabled(can, button).on_hover_text("Ctrl/Cmd+Enter");
            let key =
                can && ui.input_mut(|input| input.consume_key(Modifiers::COMMAND, Key::Enter));
            if response.clicked() || key || can && context.state.press_primary {
                self.measure(now, context);
            }
            let csv = ui.add_enabled(self.measured.is_some(), egui::Button::new("CSV"));
            if csv
                .on_hover_text("Save all figures as comma-separated values")
                .clicked()
            {
                let csv = self.csv(palette).into_bytes();
                files::save(ui.ctx(), &self.files, "measured.csv", csv);
            }
            ui.toggle_value(&mut self.as_table, "Tables")
                .on_hover_text("T");
            if let Some((.., asked)) = self.measuring {
                let n = self
                    .measured
                    .as_ref()
                    .map_or(0, |measured| measured.sequences);
                let line = format!("Measuring: n = {n} of {asked} sequences");
                ui.label(RichText::new(line).color(palette.muted));
            } else if let Some(measured) = &self.measured {
                let line = format!("n = {} sequences", measured.sequences);
                ui.label(RichText::new(line).color(palette.muted));
            }
        });
        if let Some(problem) = &self.problem {
            ui.label(RichText::new(problem).color(palette.error));
        }
    }

    fn csv(&self, palette: &Palette) -> String {
        let models = self
            .measured
            .as_ref()
            .map_or(&[][..], |measured| &measured.models);
        let charts = figures::charts(models, palette);
        charts.iter().map(figures::Chart::csv).collect()
    }

    fn charts(&mut self, ui: &mut Ui, context: &mut Context<'_>) {
        let palette = context.palette;
        let models = self
            .measured
            .as_ref()
            .map_or(&[][..], |measured| &measured.models);
        let charts = figures::charts(models, palette);
        let narrow = ui.available_width() < NARROW;
        let height = match narrow {
            true => 200.0,
            false => ((ui.available_height() - 230.0) / 2.0).clamp(170.0, 300.0),
        };
        let columns = if narrow { 1 } else { 2 };
        let width = (ui.available_width() - 12.0 * (columns - 1) as f32) / columns as f32;
        let is_busy = self.is_running && !self.is_paused;
        let model = self.first.clone();
        let mut panel = |ui: &mut Ui, index: usize, looking: &mut attention::Looking, as_table| {
            ui.allocate_ui(vec2(width, 0.0), |ui| {
                card(palette).show(ui, |ui| {
                    ui.set_width(width - 24.0);
                    ui.set_min_height(height + 56.0);
                    ui.vertical(|ui| match charts.get(index) {
                        Some(chart) => chart::show(ui, chart, as_table, height, palette),
                        None => looking.ui(
                            ui,
                            model.as_deref(),
                            is_busy,
                            context,
                            as_table,
                            height + 30.0,
                        ),
                    });
                });
            });
        };
        for row in 0..4 / columns {
            ui.horizontal_top(|ui| {
                ui.spacing_mut().item_spacing.x = 12.0;
                for column in 0..columns {
                    panel(
                        ui,
                        row * columns + column,
                        &mut self.attention,
                        self.as_table,
                    );
                }
            });
        }
    }
}

fn model_menu(
    ui: &mut Ui,
    name: &str,
    chosen: &mut Option<String>,
    runs: &[RunSummary],
    may_be_none: bool,
) {
    ui.label(name);
    let text = chosen.as_deref().map_or_else(|| "None".to_owned(), short);
    ui.name_inputs(name, |ui| {
        ComboBox::from_id_salt(name)
            .width(170.0)
            .selected_text(text)
            .show_ui(ui, |ui| {
                if may_be_none {
                    ui.selectable_value(chosen, None, "None");
                }
                for path in runs.iter().flat_map(|run| &run.checkpoints) {
                    ui.selectable_value(chosen, Some(path.clone()), short(path));
                }
            });
    });
}

impl Screen for Inspect {
    fn title(&self) -> &'static str {
        "Inspect"
    }

    fn ui(&mut self, ui: &mut Ui, context: &mut Context<'_>) {
        if !self.knows_runs && self.listing.is_none() {
            self.listing = Some(context.desk.ask(Request::Runs));
        }
        if context.state.keys_act
            && ui.input_mut(|input| input.consume_key(Modifiers::NONE, Key::T))
        {
            self.as_table = !self.as_table;
        }
        for file in self.files.take() {
            self.problem = file.content.err();
        }
        if let (Some((request, began, _)), Some(_)) = (self.measuring, &self.measured)
            && request == 0
        {
            // The last answer came: how long it took tells how long the next will take.
            let seconds = ui.input(|input| input.time) - began;
            self.pace = Some(seconds / self.work());
            self.measuring = None;
        }
        ScrollArea::vertical()
            .auto_shrink([false, false])
            .show(ui, |ui| {
                if self.runs.is_empty() {
                    ui.add_space(24.0);
                    let empty = match self.knows_runs {
                        true => "Train or open a model to measure it.",
                        false => "Looking for models …",
                    };
                    ui.label(RichText::new(empty).color(context.palette.muted));
                    return;
                }
                self.controls(ui, context);
                ui.add_space(4.0);
                self.charts(ui, context);
            });
    }

    fn on_event(&mut self, event: &Event, _context: &mut Context<'_>) {
        match event {
            Event::Started(_) => (self.is_running, self.is_paused) = (true, false),
            Event::Paused { .. } => self.is_paused = true,
            Event::Continued => self.is_paused = false,
            Event::Checkpoint { .. } => self.knows_runs = false,
            event if event.ends_run() => {
                self.is_running = false;
                self.knows_runs = false;
            }
            Event::Answer {
                request,
                answer,
                last,
            } => {
                self.attention.answered(*request, answer);
                match answer.as_ref() {
                    Answer::Runs { runs } if self.listing == Some(*request) => {
                        self.listing = None;
                        self.listed(runs);
                    }
                    Answer::Measured(measured) => {
                        if let Some((asked, ..)) = &mut self.measuring
                            && asked == request
                        {
                            self.measured = Some(measured.clone());
                            if *last {
                                // Seen by the next frame, which has a clock.
                                *asked = 0;
                            }
                        }
                    }
                    _ => {}
                }
            }
            Event::Refused {
                request,
                message,
                hint,
            } => {
                if self.listing == Some(*request) {
                    self.listing = None;
                    self.knows_runs = true;
                }
                let told = match hint {
                    Some(hint) => format!("{message} ({hint})"),
                    None => message.clone(),
                };
                self.attention.refused(*request, &told);
                if self.measuring.is_some_and(|(asked, ..)| asked == *request) {
                    self.measuring = None;
                    self.problem = Some(told);
                }
            }
            _ => {}
        }
    }
}

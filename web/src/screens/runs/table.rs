//! The list of runs.

use crossover::lab::{Outcome, Request, RunSummary};
use egui::{Grid, RichText, ScrollArea, TextEdit, Ui};

use super::{MOST, Runs};
use crate::numbers;
use crate::screens::Context;

/// What a run is called: the last part of its folder.
pub fn name_of(run: &str) -> &str {
    run.rsplit(['/', '\\']).next().unwrap_or(run)
}

const COLUMNS: [&str; 10] = [
    "",
    "Run",
    "Corpus",
    "Unique × epochs",
    "Parameters",
    "AR",
    "Diffusion",
    "Envelope",
    "Date",
    "Size",
];

impl Runs {
    pub(super) fn table(&mut self, ui: &mut Ui, context: &mut Context<'_>) {
        let palette = context.palette;
        let runs: Vec<RunSummary> = self.visible().cloned().collect();
        ScrollArea::horizontal().id_salt("table").show(ui, |ui| {
            Grid::new("runs")
                .striped(true)
                .spacing([20.0, 6.0])
                .show(ui, |ui| {
                    for column in COLUMNS {
                        ui.label(RichText::new(column).small().color(palette.muted));
                    }
                    ui.end_row();
                    for run in &runs {
                        self.row(ui, context, run);
                        ui.end_row();
                    }
                });
        });
    }

    fn row(&mut self, ui: &mut Ui, context: &mut Context<'_>, run: &RunSummary) {
        let name = name_of(&run.run);
        let mut ticked = self.ticked.contains(&run.run);
        let room = ticked || self.ticked.len() < MOST;
        let tick = ui.add_enabled(room, egui::Checkbox::without_text(&mut ticked));
        tick.widget_info(|| egui::WidgetInfo::selected(egui::Role::CheckBox, room, ticked, name));
        if tick.changed() {
            match ticked {
                true => self.ticked.insert(run.run.clone()),
                false => self.ticked.remove(&run.run),
            };
        }
        match &mut self.renamed {
            Some((renamed, new)) if *renamed == run.run => {
                let edit = ui.add(TextEdit::singleline(new).desired_width(180.0));
                edit.widget_info(|| {
                    egui::WidgetInfo::labeled(egui::Role::TextInput, true, "New name")
                });
                if !edit.has_focus() && !edit.lost_focus() {
                    edit.request_focus();
                }
                if edit.lost_focus() {
                    let confirmed = ui.input(|input| input.key_pressed(egui::Key::Enter));
                    let new = new.trim().to_owned();
                    if confirmed && !new.is_empty() && new != name {
                        context.desk.ask(Request::Rename {
                            run: run.run.clone(),
                            name: new,
                        });
                    }
                    self.renamed = None;
                }
            }
            _ => {
                ui.label(RichText::new(name).strong());
            }
        }
        let palette = context.palette;
        let config = &run.config;
        let corpus = config.corpus.source.first().map_or("", String::as_str);
        ui.label(name_of(corpus).trim_start_matches("markov:"));
        ui.label(format!(
            "{} × {}",
            config
                .corpus
                .unique
                .map_or("–".to_owned(), |unique| numbers::count(unique as f64)),
            numbers::epoch(config.train.epochs)
        ));
        ui.label(numbers::count(run.parameters as f64));
        let figure =
            |value: f64, se: f64| format!("{} ± {}", numbers::loss(value), numbers::loss(se));
        match &run.outcome {
            Some(Outcome::Race(race)) => {
                ui.label(
                    RichText::new(figure(race.ar_best_nats, race.ar_best_se)).color(palette.ar),
                );
                ui.label(
                    RichText::new(figure(race.masked_best_nats, race.masked_best_se))
                        .color(palette.masked),
                );
                ui.label(
                    race.envelope_crossover_epoch
                        .map_or("–".to_owned(), |epoch| {
                            format!("epoch {}", numbers::epoch(epoch))
                        }),
                );
            }
            Some(Outcome::Train(train)) => {
                let is_ar = train.objective == crossover::objective::Objective::Autoregressive;
                let figure = figure(train.nats, train.se);
                ui.label(if is_ar { figure.as_str() } else { "–" });
                ui.label(if is_ar { "–" } else { figure.as_str() });
                ui.label("–");
            }
            None => {
                let words = format!(
                    "step {} of {}",
                    numbers::grouped(run.step),
                    numbers::grouped(run.steps)
                );
                ui.label(RichText::new(words).color(palette.muted));
                ui.label("–");
                ui.label("–");
            }
        }
        let started = config
            .provenance
            .as_ref()
            .map(|provenance| provenance.started_unix);
        ui.label(started.map_or("–".to_owned(), day));
        ui.label(numbers::memory(run.bytes));
    }
}

/// A day, from seconds since 1970.
fn day(unix: u64) -> String {
    let stamp = numbers::file_stamp(unix);
    match (stamp.get(..4), stamp.get(4..6), stamp.get(6..8)) {
        (Some(year), Some(month), Some(date)) => format!("{year}-{month}-{date}"),
        _ => stamp,
    }
}

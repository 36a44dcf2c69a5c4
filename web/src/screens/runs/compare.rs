//! Curves of the ticked runs over each other, and the settings that differ.

use std::collections::BTreeMap;

use crossover::lab::{Request, RunSummary, Started};
use crossover::objective::Objective;
use crossover::train::RunConfig;
use egui::{Color32, RichText, Ui};

use super::Runs;
use super::export::Kind;
use super::table::name_of;
use crate::screens::Context;
use crate::screens::race::curves;
use crate::state::units::{Axis, Unit};
use crate::state::{Phase, Run};
use crate::theme::{Palette, scale};
use crate::widgets::button;
use crate::widgets::chart::{self, Chart, Marker};

impl Runs {
    /// The curves of what is ticked; a comparison where that is two runs or more.
    pub(super) fn compare(&mut self, ui: &mut Ui, context: &mut Context<'_>) {
        let palette = context.palette;
        let ticked: Vec<RunSummary> = self
            .visible()
            .filter(|run| self.ticked.contains(&run.run))
            .cloned()
            .collect();
        if ticked.is_empty() {
            let words = "Tick two to six runs to compare them.";
            ui.label(RichText::new(words).color(palette.muted));
            return;
        }
        for run in &ticked {
            self.read_curves(context, run);
        }
        let several = ticked.len() > 1;
        let heading = if several { "Compared" } else { "Curves" };
        ui.label(RichText::new(heading).heading());
        let axes = Axis::ALL.map(|axis| (axis, axis.name()));
        ui.horizontal_wrapped(|ui| {
            if button::segments(ui, palette, &mut self.options.axis, &axes) {
                self.view.reset = true;
            }
            ui.label(RichText::new("Validation loss, nats/token").color(palette.muted));
        });
        let mut shown = Chart {
            name: match several {
                true => "Losses compared".to_owned(),
                false => format!("Losses of {}", name_of(&ticked[0].run)),
            },
            curves: Vec::new(),
            levels: Vec::new(),
            moments: Vec::new(),
            marks: Vec::new(),
            // Runs of several tokenizers have only this in common.
            unit: Unit::Nats.name().to_owned(),
            axis: self.options.axis,
            log: self.options.log,
        };
        let names = ui.horizontal_wrapped(|ui| {
            for (index, run) in ticked.iter().enumerate() {
                let color = tell_apart(palette, index, ticked.len());
                chart::sample_of(ui, color, chart::Dash::Solid, Some(Marker::Disc), None);
                ui.label(RichText::new(name_of(&run.run)).small());
                ui.add_space(8.0);
                for series in self.curves.get(&run.run).iter().flat_map(|run| &run.series) {
                    let mut curve = curves::validation(
                        series,
                        &self.options,
                        1.0,
                        color,
                        palette.band(color, true),
                    );
                    curve.name = format!("{} {}", name_of(&run.run), series.name());
                    shown.curves.push(curve);
                }
            }
        });
        ui.horizontal_wrapped(|ui| {
            let looks = [
                ("AR", Objective::Autoregressive),
                ("Masked", Objective::Masked),
                ("Block", Objective::Block),
            ];
            for (name, objective) in looks {
                let (dash, marker) = curves::look(objective);
                chart::sample_of(ui, palette.muted, dash, Some(marker), None);
                ui.label(RichText::new(name).small().color(palette.muted));
                ui.add_space(8.0);
            }
        });
        let area = chart::show(ui, palette, &shown, &mut self.view, 320.0);
        self.picture |= button::quiet(ui, "Save picture").clicked();
        if self.picture {
            let name = match several {
                true => "crossover-runs.png".to_owned(),
                false => format!("{}.png", name_of(&ticked[0].run)),
            };
            let part = area.union(names.response.rect);
            self.picture = !chart::picture::save(ui, part, &name, &self.files);
        }
        if several {
            ui.add_space(8.0);
            differing(ui, palette, &ticked);
        }
    }

    fn read_curves(&mut self, context: &mut Context<'_>, run: &RunSummary) {
        let asked = self
            .reading
            .values()
            .any(|(asked, kind)| *asked == run.run && *kind == Kind::Curves);
        if !self.curves.contains_key(&run.run) && !asked {
            let request = context.desk.ask(Request::Read {
                path: format!("{}/metrics.jsonl", run.run),
            });
            self.reading
                .insert(request, (run.run.clone(), Kind::Curves));
        }
    }

    /// The record of a run was read.
    pub(super) fn curves_are_there(&mut self, name: &str, content: &[u8]) {
        let Some(summary) = self.runs.iter().find(|run| run.run == name) else {
            return;
        };
        let mut run = Run::new(Started {
            config: summary.config.clone(),
            folder: summary.run.clone(),
            objectives: summary.config.objectives.clone(),
            step: 0,
            done: Vec::new(),
            steps: summary.steps,
            tokens_per_epoch: 0,
            parameters: summary.parameters,
            initial_hash: String::new(),
            floor_nats: None,
            vocab: Vec::new(),
            grid_side: None,
            device: String::new(),
        });
        run.read(content);
        run.phase = Phase::Stopped;
        self.curves.insert(name.to_owned(), run);
    }
}

/// A colour for each of several runs, which differ in lightness too.
fn tell_apart(palette: &Palette, index: usize, of: usize) -> Color32 {
    let share = index as f32 / (of.max(2) - 1) as f32;
    match palette.dark {
        true => scale::cividis(0.35 + 0.65 * share),
        false => scale::cividis(0.72 * share),
    }
}

/// The settings that are not the same in all runs.
fn differing(ui: &mut Ui, palette: &Palette, runs: &[RunSummary]) {
    let rows = differences(&runs.iter().map(|run| &run.config).collect::<Vec<_>>());
    if rows.is_empty() {
        ui.label(RichText::new("All settings are the same.").color(palette.muted));
        return;
    }
    egui::Grid::new("differing")
        .striped(true)
        .spacing([20.0, 4.0])
        .show(ui, |ui| {
            ui.label(RichText::new("Setting").small().color(palette.muted));
            for run in runs {
                ui.label(
                    RichText::new(name_of(&run.run))
                        .small()
                        .color(palette.muted),
                );
            }
            ui.end_row();
            for (name, values) in rows {
                ui.label(name);
                for value in values {
                    ui.label(RichText::new(value).monospace());
                }
                ui.end_row();
            }
        });
}

/// Names of settings that differ, with each run's value.
fn differences(configs: &[&RunConfig]) -> Vec<(String, Vec<String>)> {
    let flat: Vec<BTreeMap<String, String>> = configs
        .iter()
        .map(|config| {
            let mut values = BTreeMap::new();
            if let Ok(value) = serde_json::to_value(config) {
                flatten("", &value, &mut values);
            }
            values
        })
        .collect();
    let names: std::collections::BTreeSet<&String> = flat.iter().flat_map(BTreeMap::keys).collect();
    names
        .into_iter()
        .filter(|name| !name.starts_with("provenance") && !name.ends_with("hash"))
        .filter_map(|name| {
            let values: Vec<String> = flat
                .iter()
                .map(|values| values.get(name).cloned().unwrap_or_else(|| "–".to_owned()))
                .collect();
            let differ = values.iter().any(|value| *value != values[0]);
            differ.then(|| (name.clone(), values))
        })
        .collect()
}

fn flatten(name: &str, value: &serde_json::Value, into: &mut BTreeMap<String, String>) {
    match value {
        serde_json::Value::Object(fields) => {
            for (key, value) in fields {
                let inner = if name.is_empty() {
                    key.clone()
                } else {
                    format!("{name}.{key}")
                };
                flatten(&inner, value, into);
            }
        }
        serde_json::Value::String(text) => {
            into.insert(name.to_owned(), text.clone());
        }
        other => {
            into.insert(name.to_owned(), other.to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_differs_is_listed() {
        let first = RunConfig::default();
        let mut second = first.clone();
        second.model.dropout = 0.3;
        second.train.epochs = 50.0;
        let found = differences(&[&first, &second]);
        let names: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["model.dropout", "train.epochs"]);
        assert_eq!(found[0].1, ["0.0", "0.3"]);
        assert!(differences(&[&first, &first]).is_empty());
    }
}

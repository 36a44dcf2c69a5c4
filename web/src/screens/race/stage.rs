//! The chart with its verdict, what can be switched on it, and what the models wrote.

use egui::{RichText, Ui};

use super::curves::{self, Options};
use super::{Race, samples};
use crate::numbers;
use crate::screens::Context;
use crate::state::notice::first_upper;
use crate::state::units::{Axis, Unit};
use crate::state::{Phase, Run};
use crate::theme::Palette;
use crate::widgets::chart::{self, Chart, Dash, Marker};
use crate::widgets::{button, explain};

impl Race {
    /// Everything that is not settings.
    pub(super) fn stage(&mut self, ui: &mut Ui, context: &mut Context<'_>) {
        // Taken out while it is shown, because it is large and everything else may change meanwhile.
        let own = context.state.run.take();
        let is_example = own.is_none();
        let Some(run) = own.or_else(|| self.example.take()) else {
            return;
        };
        self.show_run(ui, context, &run, is_example);
        match is_example {
            true => self.example = Some(run),
            false => context.state.run = Some(run),
        }
    }

    fn show_run(&mut self, ui: &mut Ui, context: &mut Context<'_>, run: &Run, is_example: bool) {
        let palette = context.palette;
        let known = |options: Options| Options {
            unit: run.scale.known(options.unit),
            ..options
        };
        headline(ui, context, run, known(self.options).unit, is_example);
        let narrow = context.state.narrow;
        // A phone has room for the chart or for what can be switched on it: the chart comes first.
        if !narrow {
            ui.scope(|ui| self.toolbar(ui, palette, run, narrow));
        }
        let starting = context.state.starting.clone();
        let options = known(self.options);
        let chart = curves::chart(run, &options, palette, is_example);
        let mut legend_area = egui::Rect::NOTHING;
        if !narrow {
            legend_area = legend(ui, palette, &chart, run, &options);
        }
        let height = match narrow {
            true => 280.0,
            false => (ui.ctx().content_rect().height() - 480.0).clamp(240.0, 620.0),
        };
        let area = chart::show(ui, palette, &chart, &mut self.view, height);
        if let Some(doing) = starting {
            over(
                ui,
                palette,
                area,
                &loading(context, &doing),
                !context.state.reduced_motion,
            );
        } else if is_example {
            over(ui, palette, area, "Recorded example", false);
        }
        if narrow {
            legend_area = legend(ui, palette, &chart, run, &options);
            ui.scope(|ui| self.toolbar(ui, palette, run, narrow));
        }
        if self.picture {
            let part = area.union(legend_area);
            self.picture = !chart::picture::save(ui, part, "crossover-race.png", &self.files);
        }
        samples::show(ui, context, run, is_example);
    }

    fn toolbar(&mut self, ui: &mut Ui, palette: &Palette, run: &Run, narrow: bool) {
        let options = &mut self.options;
        let before = *options;
        ui.spacing_mut().item_spacing.y = 4.0;
        let units: Vec<(Unit, &str)> = Unit::ALL
            .into_iter()
            .filter(|unit| run.scale.factor(*unit).is_some())
            .map(|unit| (unit, unit.name()))
            .collect();
        let axes = Axis::ALL.map(|axis| (axis, axis.name()));
        let (mut unit, mut chosen) = (run.scale.known(options.unit), false);
        if narrow {
            ui.spacing_mut().button_padding.x = 8.0;
            button::segments(ui, palette, &mut options.axis, &axes);
            chosen = button::segments(ui, palette, &mut unit, &units);
        } else {
            ui.horizontal(|ui| {
                ui.spacing_mut().item_spacing.x = 16.0;
                button::segments(ui, palette, &mut options.axis, &axes);
                chosen = button::segments(ui, palette, &mut unit, &units);
            });
        }
        if chosen {
            options.unit = unit;
        }
        ui.horizontal_wrapped(|ui| {
            ui.spacing_mut().item_spacing.x = 4.0;
            button::toggle(ui, palette, &mut options.log, "Log")
                .on_hover_text("Logarithmic axis (L)");
            button::toggle(ui, palette, &mut options.train, "Train");
            button::toggle(ui, palette, &mut options.validation, "Validation");
            let band = ["No band", "Band ±1 SE", "Band ±2 SE"][usize::from(options.band.min(2))];
            let switch = button::segment(ui, palette, options.band > 0, band);
            if switch
                .on_hover_text(explain::text::STANDARD_ERROR)
                .clicked()
            {
                options.band = (options.band + 2) % 3;
            }
            button::toggle(ui, palette, &mut options.floor, "Floor")
                .on_hover_text(explain::text::FLOOR);
            button::toggle(ui, palette, &mut options.best, "Best AR")
                .on_hover_text(explain::text::ENVELOPE);
            button::toggle(ui, palette, &mut options.onset, "Onset")
                .on_hover_text(explain::text::ONSET);
            if button::quiet(ui, "Save picture").clicked() {
                self.picture = true;
            }
        });
        let moved = |options: &Options| (options.axis, options.unit, options.log);
        if moved(&before) != moved(options) {
            self.view.reset = true;
            self.view.cursor = None;
        }
    }
}

/// Who is ahead, and where the run stands.
fn headline(ui: &mut Ui, context: &Context<'_>, run: &Run, unit: Unit, is_example: bool) {
    let palette = context.palette;
    let verdict = run.verdict();
    let (words, color) = match &run.phase {
        Phase::Failed { message, hint } => (failure(message, hint.as_deref()), palette.error),
        _ if is_example => (
            "Train both, and watch who gets further on the same text.".to_owned(),
            palette.text,
        ),
        _ if run.started.objectives.len() < 2 => (alone(run, unit), palette.text),
        _ => (
            verdict.say(unit, &run.scale),
            if verdict.wins() {
                palette.ok
            } else {
                palette.text
            },
        ),
    };
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing.x = 4.0;
        ui.label(RichText::new(words).heading().color(color));
        if verdict.wins() && !is_example {
            explain::mark(ui, "the envelope", explain::text::ENVELOPE);
        }
    });
    let status = match is_example {
        true => format!(
            "Below: a race recorded on a processor. {}",
            verdict.say(unit, &run.scale)
        ),
        false => standing(run),
    };
    ui.label(RichText::new(status).color(palette.muted));
    ui.add_space(4.0);
}

/// Names of what is drawn, with their newest figures. Says where they are.
fn legend(
    ui: &mut Ui,
    palette: &Palette,
    chart: &Chart,
    run: &Run,
    options: &Options,
) -> egui::Rect {
    let factor = run.scale.factor(options.unit).unwrap_or(1.0);
    let shown = ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing = egui::vec2(6.0, 2.0);
        ui.spacing_mut().interact_size.y = 24.0;
        for series in &run.series {
            let (dash, marker) = curves::look(series.objective);
            let color = palette.racer(series.objective, series.likelihood);
            let mut words = format!("{} {}", series.name(), series.kind());
            if let Some(newest) = series.newest() {
                words += &format!(
                    " {} ± {}",
                    numbers::loss(newest.nats * factor),
                    numbers::loss(newest.se * factor)
                );
            }
            make_room(ui, &words, series.kind() == "bound");
            chart::sample_of(ui, color, dash, Some(marker), None);
            ui.label(RichText::new(words).small());
            if series.kind() == "bound" {
                explain::mark(ui, "the bound", explain::text::BOUND);
            }
            ui.add_space(10.0);
        }
        for level in &chart.levels {
            make_room(ui, &level.name, level.dash == Dash::Dotted);
            chart::sample_of(ui, level.color, level.dash, None, None);
            ui.label(RichText::new(&level.name).small());
            if level.dash == Dash::Dotted {
                explain::mark(ui, "the floor", explain::text::FLOOR);
            }
            ui.add_space(10.0);
        }
        for mark in &chart.marks {
            let hollow = (!mark.filled).then_some(palette.background);
            make_room(ui, &mark.name, true);
            chart::sample_of(ui, mark.color, Dash::Solid, Some(Marker::Diamond), hollow);
            ui.label(RichText::new(&mark.name).small());
            let (subject, words) = match mark.filled {
                true => ("the envelope crossover", explain::text::ENVELOPE),
                false => ("the curve crossover", explain::text::CURVE),
            };
            explain::mark(ui, subject, words);
            ui.add_space(10.0);
        }
        for moment in &chart.moments {
            make_room(ui, &moment.name, false);
            chart::sample_of(ui, moment.color, Dash::Long, None, None);
            ui.label(RichText::new(&moment.name).small());
        }
    });
    shown.response.rect
}

/// Words over the chart, on a plate of paper.
fn over(ui: &mut Ui, palette: &Palette, area: egui::Rect, words: &str, turns: bool) {
    let place = area.center_top() + egui::vec2(0.0, 16.0);
    let galley = ui.painter().layout_no_wrap(
        words.to_owned(),
        egui::TextStyle::Small.resolve(ui.style()),
        palette.muted,
    );
    let turning = if turns { 24.0 } else { 0.0 };
    let size = galley.size() + egui::vec2(28.0 + turning, 14.0);
    let plate = egui::Rect::from_center_size(place + egui::vec2(0.0, 14.0), size);
    ui.painter().rect(
        plate,
        egui::CornerRadius::same(14),
        palette.panel,
        egui::Stroke::new(1.0, palette.hairline()),
        egui::StrokeKind::Inside,
    );
    // Drawn over the chart, and takes no room.
    let inside = egui::UiBuilder::new()
        .max_rect(plate.shrink2(egui::vec2(14.0, 6.0)))
        .layout(egui::Layout::left_to_right(egui::Align::Center));
    let mut ui = ui.new_child(inside);
    if turns {
        ui.add(egui::Spinner::new().size(14.0));
    }
    ui.label(RichText::new(words).small().color(palette.muted));
}

/// Begins a new row where what comes doesn't fit any more: a picture, words, and perhaps an explanation.
fn make_room(ui: &mut Ui, words: &str, explained: bool) {
    let text = ui.painter().layout_no_wrap(
        words.to_owned(),
        egui::TextStyle::Small.resolve(ui.style()),
        ui.visuals().text_color(),
    );
    let needed = text.size().x + 44.0 + if explained { 30.0 } else { 0.0 };
    if ui.available_size_before_wrap().x < needed {
        ui.end_row();
    }
}

fn loading(context: &Context<'_>, doing: &str) -> String {
    match &context.state.loading {
        Some(loading) if loading.total > 0.0 => format!(
            "Loading the lab: {:.1} of {:.1} MB",
            loading.loaded / 1e6,
            loading.total / 1e6
        ),
        _ => format!("{doing}…"),
    }
}

/// Where a run stands, in one line.
fn standing(run: &Run) -> String {
    let place = format!(
        "step {} of {} · epoch {}",
        numbers::grouped(run.step),
        numbers::grouped(run.started.steps),
        numbers::epoch(run.epoch())
    );
    match &run.phase {
        Phase::Training => match remaining(run) {
            Some(left) if left > 0.5 => {
                format!("Training · {place} · {} left", numbers::duration(left))
            }
            _ => format!("Training · {place}"),
        },
        Phase::Paused => format!("Paused · {place}"),
        Phase::Working(doing) => format!("{}…", first_upper(doing)),
        Phase::Finished(_) => format!("Finished · {place} · measured on all held-out text"),
        Phase::Stopped => format!("Stopped and kept · {place}"),
        Phase::Failed { .. } => format!("Stopped · {place}"),
    }
}

/// Seconds of training that are left, by both models' own time so far.
fn remaining(run: &Run) -> Option<f64> {
    if run.step == 0 {
        return None;
    }
    let spent: f64 = run
        .started
        .objectives
        .iter()
        .filter_map(|objective| {
            let series = run
                .series
                .iter()
                .find(|series| series.objective == *objective)?;
            series.last.as_ref().map(|last| last.seconds)
        })
        .sum();
    Some(spent / run.step as f64 * run.started.steps.saturating_sub(run.step) as f64)
}

/// The verdict where only one model trains.
fn alone(run: &Run, unit: Unit) -> String {
    let factor = run.scale.factor(unit).unwrap_or(1.0);
    let best = run.series.first().and_then(|series| series.best());
    best.map_or_else(
        || "Not evaluated yet.".to_owned(),
        |best| {
            format!(
                "Best so far: {} ± {} {} at epoch {}.",
                numbers::loss(best.nats * factor),
                numbers::loss(best.se * factor),
                unit.name(),
                numbers::epoch(best.epoch)
            )
        },
    )
}

fn failure(message: &str, hint: Option<&str>) -> String {
    let message = first_upper(message.trim_end_matches('.'));
    match hint {
        Some(hint) => format!("{message}. {}.", first_upper(hint.trim_end_matches('.'))),
        None => format!("{message}."),
    }
}

//! What the models wrote last, side by side.

use crossover::lab::{CheckpointKind, SampleText, checkpoint_file};
use crossover::objective::Objective;
use egui::{RichText, Ui};

use crate::numbers;
use crate::screens::Context;
use crate::state::{Route, Run, Staged};
use crate::theme::style;

/// Letters of a sample that are shown here; the theatre shows all.
const SHOWN: usize = 160;

/// Shows the newest text of each model.
pub fn show(ui: &mut Ui, context: &mut Context<'_>, run: &Run, is_example: bool) {
    let texts: Vec<&SampleText> = run
        .started
        .objectives
        .iter()
        .filter_map(|objective| run.sample(*objective))
        .collect();
    if texts.is_empty() {
        return;
    }
    ui.add_space(8.0);
    let narrow = context.state.narrow;
    let mut watched = None;
    ui.columns(if narrow { 1 } else { texts.len() }, |columns| {
        for (index, sample) in texts.iter().enumerate() {
            let column = if narrow { 0 } else { index };
            if let Some(model) = card(&mut columns[column], context, run, sample, is_example) {
                watched = Some(model);
            }
        }
    });
    if let Some(model) = watched {
        context.state.staged = Some(Staged::Model(model));
        context.state.route = Some(Route::Denoise);
    }
}

/// A model's text. Gives its checkpoint's path where somebody wants to watch it write.
fn card(
    ui: &mut Ui,
    context: &Context<'_>,
    run: &Run,
    sample: &SampleText,
    is_example: bool,
) -> Option<String> {
    let palette = context.palette;
    let mut watched = None;
    style::card(palette).show(ui, |ui| {
        ui.set_width(ui.available_width());
        let name = match sample.objective {
            Objective::Autoregressive => "AR wrote",
            _ => "Diffusion wrote",
        };
        let likelihood = sample.objective.headline();
        let color = palette.racer(sample.objective, likelihood);
        ui.horizontal(|ui| {
            ui.label(RichText::new(name).strong().color(color));
            ui.label(
                RichText::new(format!("at step {}", numbers::grouped(sample.step)))
                    .small()
                    .color(palette.muted),
            );
            if let Some(valid) = sample.valid {
                let (words, color) = match valid {
                    true => ("every rule holds", palette.ok),
                    false => ("breaks a rule", palette.muted),
                };
                ui.label(RichText::new(words).small().color(color));
            }
        });
        ui.add_space(4.0);
        let text = match run.started.grid_side {
            Some(side) => grid(&sample.text, side),
            None => cut(&sample.text),
        };
        ui.label(RichText::new(text).monospace().line_height(Some(18.0)));
        if !is_example {
            ui.add_space(4.0);
            let watch = ui.horizontal(|ui| ui.button("Watch it write")).inner;
            let watch = watch.on_hover_text("This model writes another text, in Denoise");
            if watch.clicked() {
                let file = checkpoint_file(sample.objective, CheckpointKind::Last);
                watched = Some(format!("{}/{file}", run.folder()));
            }
        }
    });
    watched
}

/// A window that is a grid, row by row.
fn grid(text: &str, side: usize) -> String {
    let mut rows = String::new();
    for (index, letter) in text.chars().enumerate() {
        if index > 0 {
            rows.push(if index % side == 0 { '\n' } else { ' ' });
        }
        rows.push(letter);
    }
    rows
}

fn cut(text: &str) -> String {
    match text.chars().count() > SHOWN {
        true => text.chars().take(SHOWN).chain(['…']).collect(),
        false => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grid_is_read_row_by_row() {
        assert_eq!(grid("1221", 2), "1 2\n2 1");
        assert_eq!(cut(&"a".repeat(400)).chars().count(), SHOWN + 1);
    }
}

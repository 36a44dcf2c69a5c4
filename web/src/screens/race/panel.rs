//! The settings.

use crossover::objective::Objective;
use egui::{CollapsingHeader, RichText, Ui};

use super::Race;
use crate::screens::Context;
use crate::settings::{Draft, Field, Preset, Source, share};
use crate::theme::Palette;
use crate::widgets::{button, explain, field};

/// Tokenizers that can be chosen.
const TOKENIZERS: [(&str, &str); 6] = [
    ("byte", "Byte"),
    ("char", "Character"),
    ("bpe:512", "BPE 512"),
    ("bpe:1024", "BPE 1024"),
    ("bpe:2048", "BPE 2048"),
    ("bpe:4096", "BPE 4096"),
];

impl Race {
    /// Every setting.
    pub(super) fn panel(&mut self, ui: &mut Ui, context: &mut Context<'_>) {
        ui.vertical(|ui| {
            if self.draft.source == Source::Own {
                self.own_text(ui, context);
                ui.add_space(8.0);
            }
        });
        let palette = context.palette;
        let mut changed = false;
        ui.spacing_mut().item_spacing.y = 10.0;
        for field in Field::MAIN {
            changed |= field::show(ui, palette, &mut self.draft, field);
        }
        changed |= second(ui, palette, &mut self.draft);
        if matches!(self.draft.source, Source::Tales | Source::Own) {
            changed |= tokenizer(ui, &mut self.draft);
        }
        changed |= self.chips(ui, palette);
        CollapsingHeader::new("Advanced").show(ui, |ui| {
            for field in Field::ADVANCED {
                if field.applies(&self.draft) {
                    changed |= field::show(ui, palette, &mut self.draft, field);
                }
            }
        });
        if changed {
            self.chosen = true;
            if self.draft.preset != Preset::Custom
                && self.draft.source != Draft::of(self.draft.preset).source
            {
                self.draft.preset = Preset::Custom;
            }
        }
        ui.add_space(4.0);
        let link = button::quiet(ui, "Copy link to these settings")
            .on_hover_text("Settings and seed only: never text or weights.");
        if link.clicked() {
            ui.ctx()
                .copy_text(share::write(&context.state.home, &self.draft));
        }
    }

    /// Ideas that only change settings; whether one was taken.
    fn chips(&mut self, ui: &mut Ui, palette: &Palette) -> bool {
        let mut pressed = false;
        ui.label(RichText::new("Try this").small().color(palette.muted));
        ui.horizontal_wrapped(|ui| {
            ui.spacing_mut().item_spacing = egui::vec2(4.0, 4.0);
            let mut chip = |label: &str| {
                let chip = button::segment(ui, palette, false, label).clicked();
                pressed |= chip;
                chip
            };
            if chip("Halve the data") {
                let half = Field::Unique.get(&self.draft) / 2.0;
                Field::Unique.set(&mut self.draft, half);
            }
            if chip("Give AR dropout 0.3") {
                Field::Dropout.set(&mut self.draft, 0.3);
            }
            if chip("Block size 1 is AR") {
                self.draft.race_against(Objective::Block);
                Field::BlockSize.set(&mut self.draft, 1.0);
            }
        });
        pressed
    }
}

fn second(ui: &mut Ui, palette: &Palette, draft: &mut Draft) -> bool {
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = 4.0;
        ui.label("Second racer");
        explain::mark(
            ui,
            "the second racer",
            "Masked diffusion fills the whole window in any order; block diffusion writes block after block.",
        );
    });
    let mut chosen = draft.second();
    let choices = [(Objective::Masked, "Masked"), (Objective::Block, "Block")];
    let mut changed = button::segments(ui, palette, &mut chosen, &choices);
    if changed {
        draft.race_against(chosen);
    }
    if chosen == Objective::Block {
        changed |= field::show(ui, palette, draft, Field::BlockSize);
    }
    changed
}

fn tokenizer(ui: &mut Ui, draft: &mut Draft) -> bool {
    let now = draft
        .edited
        .corpus
        .tokenizer
        .clone()
        .unwrap_or_else(|| "char".to_owned());
    let name = TOKENIZERS.iter().find(|(key, _)| *key == now);
    let shown = name.map_or(now.clone(), |(_, name)| (*name).to_owned());
    let mut changed = false;
    let label = ui.label("Tokenizer");
    egui::ComboBox::from_id_salt("tokenizer")
        .selected_text(shown)
        .width(ui.available_width())
        .show_ui(ui, |ui| {
            for (key, name) in TOKENIZERS {
                if ui.selectable_label(now == key, name).clicked() && now != key {
                    draft.edited.corpus.tokenizer = Some(key.to_owned());
                    changed = true;
                }
            }
        })
        .response
        .labelled_by(label.id);
    changed
}

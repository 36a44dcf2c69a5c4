//! Tabs of the texts that stand side by side, and how they are looked at.

use egui::{ComboBox, RichText, Ui};

use super::Denoise;
use crate::theatre::Colour;
use crate::theme::Palette;

impl Denoise {
    pub(super) fn tabs(&mut self, ui: &mut Ui, palette: &Palette) {
        let (mut open, mut close) = (None, None);
        ui.horizontal_wrapped(|ui| {
            for (index, take) in self.takes.list().iter().enumerate() {
                let is_shown = index == self.shown;
                let name = match is_shown {
                    true => RichText::new(&take.name).strong(),
                    false => RichText::new(&take.name),
                };
                if ui.selectable_label(is_shown, name).clicked() && !is_shown {
                    open = Some(index);
                }
                if index > 0 && is_shown {
                    let name = format!("Close {}", take.name);
                    let button = egui::Button::new("×").frame(false);
                    let response = ui.add(button).on_hover_text(&name);
                    response
                        .widget_info(|| egui::WidgetInfo::labeled(egui::Role::Button, true, &name));
                    if response.clicked() {
                        close = Some(index);
                    }
                }
            }
            ui.separator();
            ui.label("Colour");
            ui.name_inputs("Colour", |ui| {
                ComboBox::from_id_salt("colour")
                    .selected_text(self.colour.name())
                    .show_ui(ui, |ui| {
                        for colour in Colour::ALL {
                            ui.selectable_value(&mut self.colour, colour, colour.name());
                        }
                    })
                    .response
                    .on_hover_text("C");
            });
            self.compare.menu(ui);
            ui.toggle_value(&mut self.drafts, "Drafts")
                .on_hover_text("Show what the model would write where nothing stands (D)");
            ui.toggle_value(&mut self.plain, "Plain text")
                .on_hover_text("The text to select and copy");
        });
        if let Some((parent, state)) = self.takes.get(self.shown).and_then(|take| take.parent)
            && let Some(parent) = self.takes.get(parent)
        {
            let note = format!(
                "Branch of {} at step {state}: cells that differ from it are underlined.",
                parent.name
            );
            ui.label(RichText::new(note).small().color(palette.muted));
        }
        if let Some(index) = close {
            let parent = self.takes.get(index).and_then(|take| take.parent);
            self.takes.close(index);
            open = Some(parent.map_or(0, |(parent, _)| parent));
        }
        if let Some(index) = open {
            // The playhead stays, so that two texts can be compared step by step.
            let state = self.player.state();
            self.show_take(index, state, false);
        }
    }
}

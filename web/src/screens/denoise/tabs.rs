//! Tabs of the texts that stand side by side, and how they are looked at.

use egui::{ComboBox, RichText, Ui};

use super::Denoise;
use crate::theatre::Colour;
use crate::theme::Palette;
use crate::widgets::button::{segment, toggle};

enum Wish {
    Open(usize),
    Close(usize),
}

impl Denoise {
    pub(super) fn tabs(&mut self, ui: &mut Ui, palette: &Palette, narrow: bool) {
        let mut wish = None;
        match narrow {
            true => {
                if self.takes.list().len() > 1 {
                    ui.horizontal_wrapped(|ui| wish = self.names(ui, palette));
                }
            }
            false => {
                ui.horizontal(|ui| {
                    wish = self.names(ui, palette);
                    ui.separator();
                    self.colour_menu(ui);
                    self.compare.menu(ui);
                    self.switches(ui, palette);
                    self.file_buttons(ui);
                });
            }
        }
        if let Some((parent, state)) = self.takes.get(self.shown).and_then(|take| take.parent)
            && let Some(parent) = self.takes.get(parent)
        {
            let note = format!(
                "Branch of {} at step {state}: cells that differ from it are underlined.",
                parent.name
            );
            ui.label(RichText::new(note).small().color(palette.muted));
        }
        match wish {
            // The playhead stays, so that two texts can be compared step by step.
            Some(Wish::Open(index)) => self.show_take(index, self.player.state(), false),
            Some(Wish::Close(index)) => {
                let parent = self.takes.get(index).and_then(|take| take.parent);
                self.takes.close(index);
                let index = parent.map_or(0, |(parent, _)| parent);
                self.show_take(index, self.player.state(), false);
            }
            None => {}
        }
    }

    fn names(&self, ui: &mut Ui, palette: &Palette) -> Option<Wish> {
        let mut wish = None;
        for (index, take) in self.takes.list().iter().enumerate() {
            let is_shown = index == self.shown;
            if segment(ui, palette, is_shown, &take.name).clicked() && !is_shown {
                wish = Some(Wish::Open(index));
            }
            if index > 0 && is_shown {
                let name = format!("Close {}", take.name);
                let button = egui::Button::new("×").frame(false);
                let response = ui.add(button).on_hover_text(&name);
                response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Button, true, &name));
                if response.clicked() {
                    wish = Some(Wish::Close(index));
                }
            }
        }
        wish
    }

    /// How texts are looked at, where there is little room.
    pub(super) fn view_menus(&mut self, ui: &mut Ui, palette: &Palette) {
        ui.horizontal(|ui| self.colour_menu(ui));
        ui.horizontal(|ui| self.compare.menu(ui));
        ui.horizontal(|ui| self.switches(ui, palette));
        ui.horizontal(|ui| self.file_buttons(ui));
    }

    fn colour_menu(&mut self, ui: &mut Ui) {
        ui.label("Colour");
        let menu = ui.name_inputs("Colour", |ui| {
            ComboBox::from_id_salt("colour")
                .selected_text(self.colour.name())
                .show_ui(ui, |ui| {
                    for colour in Colour::ALL {
                        ui.selectable_value(&mut self.colour, colour, colour.name());
                    }
                })
                .response
        });
        // Outside, for what is said of a nameless input becomes its name.
        menu.on_hover_text("C");
    }

    fn switches(&mut self, ui: &mut Ui, palette: &Palette) {
        toggle(ui, palette, &mut self.drafts, "Drafts")
            .on_hover_text("Show what the model would write where nothing stands (D)");
        toggle(ui, palette, &mut self.plain, "Plain text")
            .on_hover_text("The text to select and copy");
    }
}

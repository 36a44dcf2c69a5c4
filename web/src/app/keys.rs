//! Keys that act everywhere, and the list of all of them.

use egui::{Context, Event, Id, Key, Modal, Modifiers, RichText};

use super::App;
use crate::theme::Palette;

/// Every key, by where it acts.
const LIST: [(&str, &[(&str, &str)]); 4] = [
    (
        "Everywhere",
        &[
            ("1 – 5", "Race, Denoise, Inspect, Runs, Device"),
            ("Ctrl/Cmd + Enter", "Press the main button"),
            ("?", "This list"),
            ("Esc", "Close"),
            ("Tab, arrows", "Move, change what has the focus"),
        ],
    ),
    (
        "Race",
        &[
            ("K", "Pause, go on"),
            ("X", "Next axis: tokens, epochs, FLOPs, time"),
            ("Y", "Next unit"),
            ("L", "Logarithmic axis"),
            ("0", "Whole chart again"),
            ("← →", "Read the chart that has the focus"),
            ("Backspace", "Default of the slider that has the focus"),
        ],
    ),
    (
        "Denoise",
        &[
            ("Space", "Play, pause"),
            (", .", "One step back, on"),
            ("Page Up, Page Down", "Ten steps"),
            ("Home, End", "First, last step"),
            ("- +", "Slower, faster"),
            ("D, C", "Drafts, colours"),
            ("P E Delete B", "Pin, edit, mask, branch"),
        ],
    ),
    (
        "Inspect, Runs",
        &[
            ("T", "Chart as a table"),
            ("F2", "Rename"),
            ("Delete", "Remove, with ten seconds to undo"),
        ],
    ),
];

/// Keys of the row of digits, where they are on the keyboard.
const DIGITS: [Key; 5] = [Key::Num1, Key::Num2, Key::Num3, Key::Num4, Key::Num5];

impl App {
    /// Acts on the keys that mean the same everywhere.
    pub(super) fn keys(&mut self, context: &Context) {
        let enter = context.input_mut(|input| input.consume_key(Modifiers::COMMAND, Key::Enter));
        self.state.press_primary |= enter;
        self.state.keys_act = self.state.preferences.single_keys && !context.text_edit_focused();
        if self.state.keys_act {
            let pressed: Vec<Key> = context.input(|input| {
                let keys = input.events.iter().filter_map(|event| match event {
                    Event::Key {
                        key,
                        physical_key,
                        pressed: true,
                        repeat: false,
                        modifiers,
                    } if !modifiers.ctrl
                        && !modifiers.command
                        && !modifiers.alt
                        && !modifiers.shift =>
                    {
                        Some(physical_key.unwrap_or(*key))
                    }
                    _ => None,
                });
                keys.collect()
            });
            if let Some(index) = pressed
                .iter()
                .find_map(|key| DIGITS.iter().position(|digit| digit == key))
            {
                self.shown = index;
            }
            let asked = context.input(|input| {
                input
                    .events
                    .iter()
                    .any(|event| matches!(event, Event::Text(text) if text == "?"))
            });
            if asked {
                self.keys_listed = !self.keys_listed;
            }
        }
        let escape = !self.keys_listed
            && !egui::Popup::is_any_open(context)
            && context.input(|input| input.key_pressed(Key::Escape));
        if escape {
            self.state.notice = None;
        }
    }

    /// The list of keys, while it is asked for.
    pub(super) fn list_keys(&mut self, context: &Context, palette: &Palette) {
        if !self.keys_listed {
            return;
        }
        let shown = Modal::new(Id::unique("keys"))
            .frame(egui::Frame::window(&context.global_style()).inner_margin(20))
            .show(context, |ui| {
                let room = context.content_rect().width() - 64.0;
                ui.set_max_width(room.min(460.0));
                ui.heading("Keys");
                egui::ScrollArea::vertical()
                    .max_height(440.0)
                    .show(ui, |ui| {
                        for (place, keys) in LIST {
                            ui.add_space(8.0);
                            ui.label(RichText::new(place).strong());
                            if self.state.narrow {
                                narrow(ui, palette, keys);
                                continue;
                            }
                            egui::Grid::new(place)
                                .num_columns(2)
                                .min_col_width(132.0)
                                .spacing([24.0, 4.0])
                                .show(ui, |ui| {
                                    for (key, does) in keys {
                                        ui.label(
                                            RichText::new(*key).monospace().color(palette.text),
                                        );
                                        ui.label(RichText::new(*does).color(palette.muted));
                                        ui.end_row();
                                    }
                                });
                        }
                    });
                ui.add_space(8.0);
                ui.checkbox(&mut self.state.preferences.single_keys, "Single keys act");
                ui.button("Close").clicked()
            });
        if shown.inner || shown.should_close() {
            self.keys_listed = false;
        }
    }
}

/// Keys where what they do has no room beside them.
fn narrow(ui: &mut egui::Ui, palette: &Palette, keys: &[(&str, &str)]) {
    ui.spacing_mut().item_spacing.y = 2.0;
    for (key, does) in keys {
        ui.label(RichText::new(*key).monospace().color(palette.text));
        ui.label(RichText::new(*does).color(palette.muted));
        ui.add_space(6.0);
    }
}

//! A number of a run: its name, a dot where it was changed, a value that can be typed, a slider.

use egui::{Align, DragValue, Key, Layout, RichText, Slider, Ui};

use crate::numbers;
use crate::settings::{Draft, Field};
use crate::theme::Palette;
use crate::widgets::explain;

/// Shows a field. Says whether it was changed.
pub fn show(ui: &mut Ui, palette: &Palette, draft: &mut Draft, field: Field) -> bool {
    let spec = field.spec(draft);
    let before = field.get(draft);
    let mut value = before;
    let mut reset = false;
    let enabled = field.applies(draft);
    ui.scope(|ui| {
        ui.spacing_mut().item_spacing.y = 2.0;
        let label = ui
            .horizontal(|ui| {
                ui.spacing_mut().item_spacing.x = 4.0;
                let label = ui.label(spec.label);
                if field.is_changed(draft) {
                    let (rect, dot) =
                        ui.allocate_exact_size(egui::vec2(8.0, 8.0), egui::Sense::hover());
                    ui.painter()
                        .circle_filled(rect.center(), 3.5, palette.masked);
                    dot.widget_info(|| {
                        let words = format!("{} is changed", spec.label);
                        egui::WidgetInfo::labeled(egui::Role::Label, true, words)
                    });
                    dot.on_hover_text("Changed. Backspace on the slider restores the default.");
                }
                explain::mark(ui, spec.label, spec.explain);
                ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                    if !spec.unit.is_empty() {
                        ui.label(RichText::new(spec.unit).small().color(palette.muted));
                    }
                    let typed = DragValue::new(&mut value)
                        .range(spec.least..=spec.most)
                        .speed((spec.most - spec.least) / 400.0)
                        .update_while_editing(false)
                        .custom_formatter(|value, _| field.say(value))
                        .custom_parser(numbers::parse);
                    ui.add_enabled(enabled, typed).labelled_by(label.id);
                });
                label
            })
            .inner;
        if field != Field::Seed {
            ui.spacing_mut().slider_width = ui.available_width();
            let touch = ui.spacing().interact_size.y > 40.0;
            ui.spacing_mut().interact_size.y = if touch { 44.0 } else { 24.0 };
            ui.visuals_mut().selection.bg_fill = palette.faint(palette.masked);
            let slider = Slider::new(&mut value, spec.least..=spec.most)
                .logarithmic(spec.log)
                .smart_aim(true)
                .show_value(false);
            let slider = ui.add_enabled(enabled, slider).labelled_by(label.id);
            reset = slider.has_focus() && ui.input(|input| input.key_pressed(Key::Backspace));
        }
    });
    if reset {
        field.reset(draft);
    } else if value != before {
        field.set(draft, value);
    }
    field.get(draft) != before
}

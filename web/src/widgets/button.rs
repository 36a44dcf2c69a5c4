//! Buttons of three weights: the one that matters, the ordinary, and small toggles.

use egui::{Button, CornerRadius, Response, RichText, Stroke, Ui, vec2};

use crate::theme::{Palette, style};

/// The one button that matters.
pub fn primary(ui: &mut Ui, palette: &Palette, label: &str, enabled: bool) -> Response {
    let text = RichText::new(label).color(palette.on_accent()).strong();
    let height = ui.spacing().interact_size.y + 4.0;
    let button = Button::new(text)
        .fill(palette.masked)
        .stroke(Stroke::NONE)
        .corner_radius(CornerRadius::same(style::RADIUS))
        .min_size(vec2(112.0, height));
    ui.add_enabled(enabled, button)
}

/// A button without an edge, for what is rarely needed.
pub fn quiet(ui: &mut Ui, label: &str) -> Response {
    ui.add(Button::new(label).frame_when_inactive(false))
}

/// A switch that looks like a tag: on or off.
pub fn toggle(ui: &mut Ui, palette: &Palette, on: &mut bool, label: &str) -> Response {
    let mut response = segment(ui, palette, *on, label);
    if response.clicked() {
        *on = !*on;
        response.mark_changed();
    }
    response
}

/// One of several choices side by side.
pub fn segment(ui: &mut Ui, palette: &Palette, chosen: bool, label: &str) -> Response {
    let color = if chosen { palette.text } else { palette.muted };
    let button = Button::selectable(chosen, RichText::new(label).color(color))
        .frame_when_inactive(true)
        .stroke(Stroke::new(
            1.0,
            if chosen {
                palette.edge
            } else {
                palette.hairline()
            },
        ))
        .fill(if chosen {
            palette.tint(palette.masked)
        } else {
            palette.raised()
        });
    ui.add(button)
}

/// A row of choices of which one holds. Says whether it changed.
pub fn segments<Choice: Copy + PartialEq>(
    ui: &mut Ui,
    palette: &Palette,
    chosen: &mut Choice,
    choices: &[(Choice, &str)],
) -> bool {
    let before = *chosen;
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing.x = 4.0;
        for (choice, label) in choices {
            if segment(ui, palette, *chosen == *choice, label).clicked() {
                *chosen = *choice;
            }
        }
    });
    *chosen != before
}

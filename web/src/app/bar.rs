//! The badge of the device, and the bar with what a person should know now.

use egui::{Align, Button, Frame, Layout, Margin, Panel, RichText, Ui};

use crate::state::{Act, Grade, State};
use crate::theme::{Palette, style};

/// The badge: what the lab computes on. Says whether it was pressed.
pub fn badge(ui: &mut Ui, palette: &Palette, state: &State) -> bool {
    let (text, color) = match &state.device {
        Some(device) => (
            device.badge.clone(),
            if device.gpu {
                palette.ok
            } else {
                palette.muted
            },
        ),
        None => ("Opening…".to_owned(), palette.muted),
    };
    // A long adapter name is told in full where there is room for it.
    let short: String = match text.chars().count() {
        long if long > 28 => text.chars().take(27).chain(['…']).collect(),
        _ => text.clone(),
    };
    let button = Button::new(RichText::new(format!("● {short}")).small().color(color))
        .stroke(egui::Stroke::new(1.0, palette.hairline()))
        .fill(palette.panel)
        .corner_radius(egui::CornerRadius::same(14));
    let mut response = ui.add(button);
    response.widget_info(|| {
        egui::WidgetInfo::labeled(egui::Role::Button, true, format!("Device: {text}"))
    });
    if let Some(device) = &state.device {
        response = response.on_hover_text(&device.description);
    }
    response.clicked()
}

/// The bar, where there is something to say. Gives what was pressed.
pub fn show(ui: &mut Ui, palette: &Palette, state: &mut State) -> Option<Act> {
    let notice = state.notice.clone()?;
    let color = match notice.grade {
        Grade::Info => palette.masked,
        Grade::Warning => palette.warning,
        Grade::Error => palette.error,
    };
    let frame = Frame::new()
        .fill(palette.tint(color))
        .inner_margin(Margin::symmetric(16, 4));
    let mut act = None;
    let mut close = false;
    Panel::top("notice")
        .frame(frame)
        .show_separator_line(false)
        .show(ui, |ui| {
            ui.horizontal(|ui| {
                let mark = match notice.grade {
                    Grade::Info => "i",
                    Grade::Warning | Grade::Error => "!",
                };
                ui.label(RichText::new(mark).strong().color(color));
                ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                    let dismiss = ui.add(Button::new("✕").frame_when_inactive(false));
                    dismiss.widget_info(|| {
                        egui::WidgetInfo::labeled(egui::Role::Button, true, "Dismiss")
                    });
                    close = dismiss.clicked();
                    if let Some(details) = &notice.details
                        && ui
                            .add(Button::new("Details").frame_when_inactive(false))
                            .on_hover_text("Copies what a person who helps would want to know")
                            .clicked()
                    {
                        ui.ctx()
                            .copy_text(format!("{details}\n\n{}", state.diagnostics()));
                    }
                    if let Some((label, does)) = &notice.action
                        && ui.add(Button::new(label)).clicked()
                    {
                        act = Some(does.clone());
                        close = true;
                    }
                    ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                        let text =
                            egui::Label::new(RichText::new(&notice.text).color(palette.text))
                                .truncate();
                        ui.add(text).on_hover_text(&notice.text);
                    });
                });
            });
        });
    if close {
        state.notice = None;
    }
    let _ = style::RADIUS;
    act
}

//! The badge of the device, and the bar with what a person should know now.

use egui::{Align, Button, Frame, Label, Layout, Margin, Panel, RichText, Role, Ui, WidgetInfo};

use crate::link::{Action, Severity};
use crate::state::{Act, Grade, State, Wish};
use crate::theme::Palette;

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
    let button = Button::new(RichText::new(format!("    {short}")).small().color(color))
        .stroke(egui::Stroke::new(1.0, palette.hairline()))
        .fill(palette.panel)
        .corner_radius(egui::CornerRadius::same(14));
    let mut response = ui.add(button);
    response.widget_info(|| WidgetInfo::labeled(Role::Button, true, format!("Device: {text}")));
    let dot = response.rect.left_center() + egui::vec2(14.0, 0.0);
    ui.painter().circle_filled(dot, 3.5, color);
    if let Some(device) = &state.device {
        response = response.on_hover_text(&device.description);
    }
    response.clicked()
}

/// What a button of the bar does.
#[derive(Clone)]
enum Press {
    Own(Act),
    Link(u64, Action),
}

/// What the bar says.
pub struct Line<'a> {
    /// The text.
    pub text: &'a str,
    /// How bad it is.
    pub grade: Grade,
    details: Option<&'a str>,
    buttons: Vec<(String, Press)>,
    /// The number of a notice that the way to the lab gave.
    id: Option<u64>,
}

/// What the bar says, where there is something to say: the app's own news first.
pub fn line(state: &State) -> Option<Line<'_>> {
    if let Some(notice) = &state.notice {
        let actions = notice.actions.iter();
        return Some(Line {
            text: &notice.text,
            grade: notice.grade,
            details: notice.details.as_deref(),
            buttons: actions
                .map(|(label, act)| (label.clone(), Press::Own(act.clone())))
                .collect(),
            id: None,
        });
    }
    let told = state.told.as_ref()?;
    let actions = told.actions.iter();
    Some(Line {
        text: &told.text,
        grade: match told.severity {
            Severity::Info => Grade::Info,
            Severity::Warning => Grade::Warning,
            Severity::Error => Grade::Error,
        },
        details: told.more.as_deref(),
        buttons: actions
            .map(|action| (action.label(), Press::Link(told.id, *action)))
            .collect(),
        id: Some(told.id),
    })
}

/// The bar, where there is something to say. A phone has no room for buttons beside the text: they stand below it.
pub fn show(ui: &mut Ui, palette: &Palette, state: &mut State) {
    let Some(line) = line(state) else {
        // What is below it stays the same to egui, and so keeps the focus.
        ui.skip_ahead_auto_ids(1);
        return;
    };
    let color = match line.grade {
        Grade::Info => palette.masked,
        Grade::Warning => palette.warning,
        Grade::Error => palette.error,
    };
    let frame = Frame::new()
        .fill(palette.tint(color))
        .inner_margin(Margin::symmetric(16, 4));
    let (mut pressed, mut close) = (None, false);
    Panel::top("notice")
        .frame(frame)
        .show_separator_line(false)
        .show(ui, |ui| {
            ui.horizontal(|ui| {
                let mark = match line.grade {
                    Grade::Info => "i",
                    Grade::Warning | Grade::Error => "!",
                };
                ui.label(RichText::new(mark).strong().color(color));
                ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                    let dismiss = ui.add(Button::new("×").frame_when_inactive(false));
                    dismiss.widget_info(|| WidgetInfo::labeled(Role::Button, true, "Dismiss"));
                    close = dismiss.clicked();
                    if !state.narrow {
                        details(ui, &line, state);
                        pressed = buttons(ui, line.buttons.iter().rev());
                    }
                    let left = Layout::left_to_right(Align::Center);
                    ui.with_layout(left, |ui| text(ui, palette, line.text, state.narrow));
                });
            });
            if state.narrow && (line.details.is_some() || !line.buttons.is_empty()) {
                ui.horizontal_wrapped(|ui| {
                    pressed = buttons(ui, line.buttons.iter());
                    details(ui, &line, state);
                });
            }
        });
    let id = line.id;
    match pressed {
        Some(Press::Own(act)) => {
            state.acted = Some(act);
            close = true;
        }
        Some(Press::Link(notice, action)) => state.wishes.push(Wish::Act(notice, action)),
        None => {}
    }
    match id {
        Some(id) if close => state.wishes.push(Wish::Dismiss(id)),
        None if close => state.notice = None,
        _ => {}
    }
}

fn text(ui: &mut Ui, palette: &Palette, text: &str, wraps: bool) {
    let label = Label::new(RichText::new(text).color(palette.text));
    let label = if wraps {
        label.wrap()
    } else {
        label.truncate()
    };
    let said = ui.add(label).on_hover_text(text);
    said.widget_info(|| WidgetInfo::labeled(Role::Status, true, text));
    // Read out where the system has a reader; the page has a region of its own for that.
    ui.ctx().accesskit_node_builder(said.id, |node| {
        node.set_live(egui::accesskit::Live::Polite);
    });
}

/// What can be done; gives what was pressed.
fn buttons<'a>(ui: &mut Ui, buttons: impl Iterator<Item = &'a (String, Press)>) -> Option<Press> {
    let mut pressed = None;
    for (label, press) in buttons {
        if ui.button(label).clicked() {
            pressed = Some(press.clone());
        }
    }
    pressed
}

fn details(ui: &mut Ui, line: &Line<'_>, state: &State) {
    let Some(details) = line.details else { return };
    let button = ui.add(Button::new("Details").frame_when_inactive(false));
    let button = button.on_hover_text(format!("{details}\nClick to copy diagnostics."));
    if button.clicked() {
        ui.ctx()
            .copy_text(format!("{details}\n\n{}", state.diagnostics()));
    }
}

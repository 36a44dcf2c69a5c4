//! Buttons with a drawn sign: the same in every font.

use egui::{Color32, Pos2, Rect, Response, Role, Sense, Shape, Stroke, Ui, WidgetInfo, vec2};

/// What is drawn on a button.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Icon {
    /// To the first step.
    First,
    /// A step back.
    Back,
    /// Let it play.
    Play,
    /// Hold it.
    Pause,
    /// A step on.
    Next,
    /// To the last step.
    Last,
}

/// A button with a sign, a name for readers of screens, and the key that does the same.
pub fn icon_button(ui: &mut Ui, icon: Icon, name: &str, key: &str) -> Response {
    let side = ui.spacing().interact_size.y.max(28.0);
    let (rect, response) = ui.allocate_exact_size(vec2(side + 4.0, side), Sense::click());
    response.widget_info(|| WidgetInfo::labeled(Role::Button, ui.is_enabled(), name));
    let visuals = ui.style().interact(&response);
    ui.painter().rect(
        rect,
        visuals.corner_radius,
        visuals.weak_bg_fill,
        visuals.bg_stroke,
        egui::StrokeKind::Inside,
    );
    draw(ui, rect, icon, visuals.text_color());
    response.on_hover_text(format!("{name} ({key})"))
}

fn draw(ui: &Ui, rect: Rect, icon: Icon, color: Color32) {
    let center = rect.center();
    let triangle = |at: Pos2, right: bool| {
        let x = if right { 4.5 } else { -4.5 };
        let points = vec![at + vec2(-x, -6.0), at + vec2(x, 0.0), at + vec2(-x, 6.0)];
        ui.painter()
            .add(Shape::convex_polygon(points, color, Stroke::NONE));
    };
    let bar = |x: f32, width: f32| {
        let bar = Rect::from_center_size(center + vec2(x, 0.0), vec2(width, 12.0));
        ui.painter().rect_filled(bar, 1.0, color);
    };
    let chevron = |right: bool| {
        let x = if right { 3.0 } else { -3.0 };
        let points = [vec2(-x, -6.0), vec2(x, 0.0), vec2(-x, 6.0)];
        let points = points.map(|offset| center + offset).to_vec();
        ui.painter().line(points, Stroke::new(2.0, color));
    };
    match icon {
        Icon::First => {
            bar(-5.5, 2.5);
            triangle(center + vec2(2.0, 0.0), false);
        }
        Icon::Back => chevron(false),
        Icon::Play => triangle(center + vec2(1.0, 0.0), true),
        Icon::Pause => {
            bar(-3.5, 3.5);
            bar(3.5, 3.5);
        }
        Icon::Next => chevron(true),
        Icon::Last => {
            triangle(center + vec2(-2.0, 0.0), true);
            bar(5.5, 2.5);
        }
    }
}
